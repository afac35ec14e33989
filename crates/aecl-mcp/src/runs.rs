//! The run in which a client acts: opened when it is needed, its token renewed, gone on from when it ends.

use super::opening::Opening;
use aecl_gate::runs::RunRequest;
use aecl_gate::{Gate, GateError, Session};
use aecl_kernel::base::id::RunId;
use aecl_kernel::base::time::Timestamp;
use aecl_kernel::record::facts::RunFact;
use std::collections::BTreeMap;
use tokio::sync::Mutex;

/// A token is renewed when it has less than this left beyond the longest hold, in milliseconds.
const MARGIN_MS: i64 = 30_000;

/// Most open requests that are looked through.
const OPEN_MAX: usize = 10_000;

/// The runs of one client.
#[derive(Default)]
pub(crate) struct Runs {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// A newer token of the run that was opened elsewhere.
    renewed: Option<Session>,
    /// The run of new proposals.
    current: Option<Session>,
    /// Earlier runs in which something waited that was proposed again here.
    earlier: BTreeMap<RunId, Session>,
}

impl Runs {
    /// The session of new proposals, with a token that lives long enough to be held.
    pub(crate) async fn current(&self, gate: &Gate, opening: &Opening) -> Result<Session, GateError> {
        let mut state = self.state.lock().await;
        if let Some(given) = &opening.run {
            return Ok(state.renewed.clone().unwrap_or_else(|| given.clone()));
        }
        let session = match state.current.clone() {
            None => gate.open_run(&opening.by, request(opening)).await?.session,
            Some(session) if fresh(gate, &session) => session,
            Some(session) => {
                let run = &session.principal.run;
                let fact = gate.ledger().run(run).await?;
                let ends = |f: RunFact| {
                    f.closed.is_none() && left_ms(gate, f.expires_at) <= needed_ms(gate, &session)
                };
                if fact.is_none_or(ends) {
                    // The client goes on with what is known about its run. One that somebody has closed is
                    // not gone on from.
                    gate.follow_run(&opening.by, run, goal(opening)).await?.session
                } else {
                    gate.renew(&opening.by, run).await?.1
                }
            }
        };
        state.current = Some(session.clone());
        Ok(session)
    }

    /// The session in which the client acts, if it does already.
    pub(crate) async fn known(&self, gate: &Gate, opening: &Opening) -> Result<Option<Session>, GateError> {
        if opening.run.is_none() && self.state.lock().await.current.is_none() {
            return Ok(None);
        }
        self.current(gate, opening).await.map(Some)
    }

    /// A newer token of the same run has come.
    pub(crate) async fn renewed(&self, opening: &Opening, session: &Session) {
        let same = opening.run.as_ref().is_some_and(|given| given.principal == session.principal);
        if same {
            self.state.lock().await.renewed = Some(session.clone());
        }
    }

    /// The session for exactly this proposal: the run in which it waits already, or the current one.
    pub(crate) async fn for_proposal(
        &self,
        gate: &Gate,
        opening: &Opening,
        action: &str,
        arguments: &[u8],
    ) -> Result<Session, GateError> {
        let current = self.current(gate, opening).await?;
        if opening.run.is_some() {
            return Ok(current);
        }
        let waits = gate.waiting_run(&opening.agent, opening.user.as_ref(), action, arguments).await?;
        let Some(run) = waits.filter(|run| *run != current.principal.run) else { return Ok(current) };
        let mut state = self.state.lock().await;
        if let Some(session) = state.earlier.get(&run).filter(|session| fresh(gate, session)) {
            return Ok(session.clone());
        }
        let (_, session) = gate.renew(&opening.by, &run).await?;
        state.earlier.insert(run, session.clone());
        Ok(session)
    }

    /// Ends the run that was opened here, unless a person may still answer something in it: then the
    /// client may come back for it, and the run ends by itself.
    pub(crate) async fn close(&self, gate: &Gate, opening: &Opening) {
        let Some(session) = self.state.lock().await.current.take() else { return };
        let run = session.principal.run;
        let waits = match gate.approvals(OPEN_MAX).await {
            Ok(asks) => asks.iter().any(|ask| ask.run == run && ask.plan.is_none()),
            // Unknown means that something may wait.
            Err(_) => true,
        };
        if !waits && let Err(error) = gate.close_run(&opening.by, &run, "the client has gone".into()).await {
            tracing::warn!(%run, %error, "a run could not be closed; it ends by itself");
        }
    }
}

fn fresh(gate: &Gate, session: &Session) -> bool {
    left_ms(gate, session.credential.expires_at) > needed_ms(gate, session)
}

fn left_ms(gate: &Gate, until: Timestamp) -> i64 {
    until.0.saturating_sub(gate.now().0)
}

/// What a token must have left to be held for as long as a call is.
fn needed_ms(gate: &Gate, session: &Session) -> i64 {
    let hold_ms = i64::try_from(gate.config().approvals.hold_ms).unwrap_or(i64::MAX / 2);
    // A token or run that is short by policy is used for most of its life, whatever the hold.
    let manifest = gate.bundle().agent(&session.principal.agent).cloned();
    let ttl_s = manifest.map_or(60, |m| m.token_ttl_seconds.min(m.run_ttl_seconds));
    let half_ms = i64::try_from(ttl_s.saturating_mul(500)).unwrap_or(i64::MAX / 2);
    hold_ms.saturating_add(MARGIN_MS).min(half_ms)
}

fn goal(opening: &Opening) -> String {
    opening.goal.clone().unwrap_or_else(|| "calls of an MCP client, which names no goal".into())
}

fn request(opening: &Opening) -> RunRequest {
    RunRequest {
        agent: opening.agent.clone(),
        goal: goal(opening),
        plan: opening.plan.clone(),
        user: opening.user.clone(),
        tenant: None,
        project: None,
        environment: None,
        ttl_s: None,
        parent: None,
        approve_plan: opening.approve_plan,
    }
}
