//! Proxies: what they let through of an agent, and what they saw of it.
//!
//! The agent does not carry such a call out by itself, so it does not report it either: the proxy that let it through
//! does, with what it was given along. A report that comes after nobody was waited for says what an unknown outcome was; it
//! never changes one that is known.

use crate::answer::{Answer, End};
use crate::error::GateError;
use crate::gate::Gate;
use crate::identity::{ProxyIdentity, Session};
use crate::ids;
use crate::submit::Submission;
use aecl_executor::Outcome;
use aecl_kernel::base::code;
use aecl_kernel::base::id::ActionId;
use aecl_kernel::read::action::Mode;
use aecl_kernel::record::event::OutcomeKind;
use aecl_kernel::record::facts::{ActionFact, ActionState};
use aecl_ledger::LedgerError;

/// How the idempotency key of a call begins that a proxy asked about. It is on record, so it says after a restart, too, who
/// may report the call.
const KEY: &str = "proxy:";

/// Call that a proxy may let through, or why it may not.
#[derive(Debug)]
pub struct Proxied {
    /// What was decided.
    pub answer: Answer,
    /// What goes along with the call and comes back with its end, where it may go through.
    pub token: Option<String>,
}

impl Gate {
    /// Takes a call that a proxy is about to let through on behalf of an agent. It may go through once.
    pub async fn submit_proxied(
        &self,
        proxy: &ProxyIdentity,
        session: &Session,
        submission: Submission,
    ) -> Result<Proxied, GateError> {
        // Each request is one of its own, unless the agent says that it is the same.
        let key = submission.idempotency_key.unwrap_or_else(ids::token);
        let submission = Submission {
            mode: Mode::Authorize,
            idempotency_key: Some(format!("{KEY}{}:{key}", proxy.id)),
            ..submission
        };
        let answer = self.submit(session, submission).await?;
        let token = match &answer.end {
            End::Permitted { .. } => {
                Some(self.0.tokens.proxied(&proxy.id, answer.action.as_str(), self.now())?)
            }
            End::Concluded { .. }
            | End::Underway
            | End::Blocked { .. }
            | End::Pending(_)
            | End::Asked { .. } => None,
        };
        Ok(Proxied { answer, token })
    }

    /// Takes what a proxy saw of a call that it let through. Gives where the call stands on record.
    pub async fn take_proxied(
        &self,
        proxy: &ProxyIdentity,
        token: &str,
        outcome: Outcome,
    ) -> Result<ActionState, GateError> {
        let claims = self.0.tokens.read_proxied(token)?;
        let id = ActionId::new(&claims.call)?;
        if claims.sub != proxy.id {
            let why = format!("`{id}` went through another proxy than `{}`", proxy.id);
            return Err(GateError::refused(code::FORBIDDEN, why));
        }
        let said = outcome.kind;
        let fact = self.action_fact(&id).await?;
        let concluded = match fact.state {
            ActionState::Started => self.conclude(&id, outcome, fact.changed_at, None).await.map(drop),
            ActionState::Unknown if said != OutcomeKind::Unknown => {
                let by = Some(format!("proxy:{}", proxy.id));
                self.conclude(&id, outcome, fact.changed_at, by).await.map(drop)
            }
            _ => Ok(()),
        };
        match concluded {
            // Somebody else was faster; what stands on record by now is looked at below.
            Ok(()) | Err(GateError::Ledger(LedgerError::WrongState { .. })) => {}
            Err(error) => return Err(error),
        }
        let state = self.action_fact(&id).await?.state;
        let agrees = match said {
            OutcomeKind::Done => state == ActionState::Done,
            OutcomeKind::Failed => state == ActionState::Failed,
            OutcomeKind::Unknown => true,
        };
        if agrees {
            return Ok(state);
        }
        let message = format!(
            "proxy `{}` says late that `{id}` is {}; the record says otherwise, and stays",
            proxy.id,
            said.name()
        );
        self.0.ledger.fault("proxy_late", message.clone(), self.now()).await?;
        Err(GateError::refused(code::FORBIDDEN, message))
    }
}

/// Whether a proxy says what came of this, and nobody else.
pub(crate) fn is_proxied(fact: &ActionFact) -> bool {
    fact.mode == Mode::Authorize && fact.idempotency_key.as_deref().is_some_and(|key| key.starts_with(KEY))
}
