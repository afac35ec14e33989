//! What acts: proposed to the gate, held while people decide, and answered in the server's own bytes.

use super::client_session::{ClientSession, Phase, Request};
use super::names::PLAN_TOOL;
use super::proposal::COMPLETION;
use super::wire::{Refusal, asking, members_of, raw};
use aecl_executor::connectors::mcp::RawReply;
use aecl_gate::submit::End;
use aecl_kernel::record::approval::{ApprovalRequest, ApprovalState};
use serde_json::Value;
use serde_json::value::RawValue;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

impl ClientSession {
    /// Proposes what the client wants done, and says what came of it.
    pub(super) async fn act(self: &Arc<Self>, request: &Request<'_>) -> Result<RawReply, Refusal> {
        let params = match members_of(request.params) {
            Ok(params) => params,
            Err(why) => return self.unread(request, why).await,
        };
        let meta = match members_of(params.get("_meta")) {
            Ok(meta) => meta,
            Err(why) => return self.unread(request, format!("`_meta`: {why}")).await,
        };
        let way = self.ready(&meta).await?;
        if request.method == "tools/call" && params.text("name").as_deref() == Some(PLAN_TOOL) {
            return self.propose_plan(request, &params, way).await;
        }
        if request.method == COMPLETION {
            self.refuse_way_home(request).await?;
            self.passes_on().await?;
            self.completes().await?;
        }
        let mut call = self.read(request.method, params, meta, way)?;
        let mut unreachable = None;
        // Of a server of which the agent may use nothing not even the definition is asked for; that it tried is judged.
        if let Some(upstream) = self.upstream(&call.server) {
            (call.offered, unreachable) = self.offered(&mut call, &upstream).await;
        }
        if let Some(wanted) = call.task.take() {
            return self.begin_task(call, &wanted, unreachable);
        }
        let theirs = call.meta.get("progressToken").map(ToOwned::to_owned);
        let token = self.stand_in(&mut call.meta, request.out);
        let hold = Duration::from_millis(self.gate.config().approvals.hold_ms);
        let (session, submission) = self.proposal(&call, hold, &request.cancel).await?;
        self.goes_to(request, &call.server);
        self.comes_to(request.number, Phase::Proposed);
        let (tell, told) = watch::channel(None);
        let held = |ask: &ApprovalRequest| {
            self.comes_to(request.number, Phase::Held(ask.approval.clone()));
            drop(tell.send_replace(Some(ask.clone())));
        };
        let walk = self.gate.submit_watched(&session, submission, &held);
        let answer = tokio::select! {
            answer = walk => answer?,
            // Ends only when the walk does: it keeps the channel open.
            never = self.show_waiting(request, theirs.as_deref(), told) => match never {},
        };
        self.in_order(&call.server).await;
        drop(token);
        if matches!(answer.end, End::Pending(_)) && self.gate.may_propose_plan(&session.principal.run).await?
        {
            call.may_plan = call.form.is_tool;
            self.offers_plan_now().await;
        }
        if let (End::Pending(ask), true, false) =
            (&answer.end, call.takes_tasks, request.cancel.is_cancelled())
        {
            let ask = ask.clone();
            return Ok(match self.go_on_as_task(call, answer, &ask) {
                Ok(seed) => seed,
                Err(too_many) => self.put(&too_many.0, too_many.1, None),
            });
        }
        Ok(self.put(&call, answer, unreachable.as_deref()))
    }

    /// Tells the client, again and again, that its call waits for people. Never ends by itself.
    async fn show_waiting(
        &self,
        request: &Request<'_>,
        token: Option<&RawValue>,
        mut held: watch::Receiver<Option<ApprovalRequest>>,
    ) -> std::convert::Infallible {
        let config = self.gate.config();
        let mut ticks = tokio::time::interval(Duration::from_millis(config.approvals.progress_ms.max(100)));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (Some(token), Ok(_)) = (token, held.wait_for(Option::is_some).await) else {
            return std::future::pending().await;
        };
        let Some(ask) = held.borrow().clone() else { return std::future::pending().await };
        let message = self.waiting_for(&ask);
        for tick in 1u32.. {
            ticks.tick().await;
            // Small steps: what the server itself reports later must be more.
            let params = format!(
                r#"{{"progressToken":{},"progress":{},"message":{}}}"#,
                token.get(),
                f64::from(tick) / 1_000_000.0,
                Value::from(message.as_str())
            );
            let note = asking(None, "notifications/progress", Some(&raw(params)));
            let asked = self.gate.ledger().approval(&ask.approval).await;
            if !asked.ok().flatten().is_some_and(|ask| ask.state == ApprovalState::Pending) {
                break;
            }
            request.out.send(note).await;
        }
        std::future::pending().await
    }
}
