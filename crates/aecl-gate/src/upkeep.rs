//! Housekeeping while a gate lives, and what is still underway at its end.

use crate::error::GateError;
use crate::gate::Gate;
use crate::recovery::SWEEP_MAX;
use crate::standing::Said;
use crate::submit::PERMIT_TTL_S;
use aecl_executor::Outcome;
use aecl_kernel::record::event::OutcomeKind;
use aecl_kernel::record::facts::ActionFact;
use aecl_ledger::Stage;
use std::time::Duration;

/// How long a report may still come once a permit has ended, in seconds, where the action names no longer time.
const REPORT_GRACE_S: u64 = 30;
/// How often unknown outcomes are looked up at their targets, in seconds.
const RECONCILE_S: u64 = 15;

impl Gate {
    /// One round of housekeeping: what nobody has answered in time is rejected, permits without a report
    /// become unknown. Gives how much was done.
    pub async fn sweep(&self) -> Result<usize, GateError> {
        let now = self.now();
        let mut done = 0;
        for waiting in self.overdue(SWEEP_MAX) {
            if self.0.ledger.expire(waiting.ask.approval.clone(), now).await? {
                self.0.waits.ring(&waiting.ask.action);
                done += 1;
            }
        }
        let late = now.minus_s(PERMIT_TTL_S + REPORT_GRACE_S);
        for id in self.0.ledger.in_flight_since(Stage::Permitted, late) {
            let fact = self.action_fact(&id).await?;
            let since = fact.changed_at;
            if now < since.plus_s(PERMIT_TTL_S + self.report_s(&fact)) {
                continue;
            }
            let outcome = Outcome {
                kind: OutcomeKind::Unknown,
                code: Some("no_report".into()),
                message: "a permit was given out and nobody has reported what came of it".into(),
                output: None,
                may_have_acted: false,
                sandbox: "agent".into(),
                traffic: None,
            };
            done += usize::from(self.conclude_late(&id, outcome, since, None).await?);
        }
        Ok(done)
    }

    /// For how many seconds behind its permit an attempt of an agent may take: a build or a test runs longer than the time in
    /// which it has to begin.
    fn report_s(&self, fact: &ActionFact) -> u64 {
        let bundle = self.bundle();
        let catalogue = bundle.catalogue();
        let typed = catalogue.judged(&fact.name, fact.definition).or_else(|| catalogue.find(&fact.name));
        typed.map_or(0, |typed| typed.manifest.timeout_ms.div_ceil(1000)).max(REPORT_GRACE_S)
    }

    /// Housekeeping until the gate is shut: sweeps, and shows that the ledger is alive when nothing else does.
    pub async fn keep_house(&self) {
        let mut ticks = tokio::time::interval(Duration::from_secs(1));
        let (mut size, mut silent_s, mut seconds) = (0, 0, 0u64);
        let mut said = Said::default();
        loop {
            ticks.tick().await;
            seconds += 1;
            if let Err(error) = self.note_clock(&mut said).await {
                tracing::error!(%error, "what the clock does cannot be recorded");
            }
            if seconds % RECONCILE_S == 0
                && let Err(error) = self.reconcile().await
            {
                tracing::error!(%error, "unknown outcomes could not be looked up");
            }
            if let Err(error) = self.sweep().await {
                tracing::error!(%error, "housekeeping failed");
            }
            let Ok(head) = self.0.ledger.head().await else { continue };
            silent_s = if head.size == size { silent_s + 1 } else { 0 };
            size = head.size;
            if silent_s >= self.config().limits.heartbeat_s {
                let in_flight = self.0.ledger.in_flight().len() as u64;
                if let Err(error) = self.0.ledger.heartbeat(in_flight, self.now()).await {
                    tracing::error!(%error, "the heartbeat cannot be recorded");
                }
            }
        }
    }

    /// Waits until nothing is underway, at most this long. Gives what still is; that becomes unknown at the
    /// next start.
    pub async fn drain(&self, at_most: Duration) -> usize {
        let deadline = tokio::time::Instant::now() + at_most;
        while self.underway() > 0 && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.underway()
    }
}
