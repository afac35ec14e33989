//! Undoing: a rollback is a proposal like any other, made from what was recorded, through the same door.

use crate::error::GateError;
use crate::gate::Gate;
use crate::identity::Identity;
use crate::runs::RunRequest;
use crate::submit::{Answer, Submission};
use aecl_kernel::code;
use aecl_kernel::facts::ActionState;
use aecl_kernel::id::ActionId;
use aecl_ledger::PayloadKind;
use serde_json::Value;
use std::time::Duration;

impl Gate {
    /// Proposes the compensation of an action that is done.
    pub async fn rollback(
        &self,
        by: &Identity,
        id: &ActionId,
        reason: String,
        wait: Duration,
    ) -> Result<Answer, GateError> {
        self.operator(by, "roll back")?;
        let fact = self.action_fact(id).await?;
        let Some(compensation) = &fact.compensation else {
            let message =
                format!("`{}` names no compensation; a person has to put it right at the target", fact.name);
            return Err(GateError::refused(code::UNDO_REFUSED, message));
        };
        if fact.state != ActionState::Done {
            let message = format!("`{id}` is {}; only what is done can be undone", fact.state.name());
            return Err(GateError::refused(code::UNDO_REFUSED, message));
        }
        let ruled = self.last_ruling(id).await?;
        let arguments = self.arguments(&ruled.arguments).await?.unwrap_or(Value::Null);
        let result = match &fact.output {
            Some(digest) => self.0.ledger.payload(PayloadKind::Output, digest).await?,
            None => None,
        };
        let result = result.and_then(|r| serde_json::from_slice::<Value>(&r).ok()).unwrap_or(Value::Null);
        let filled = compensation
            .arguments(&arguments, &result)
            .map_err(|e| GateError::refused(code::UNDO_REFUSED, format!("`{id}` cannot be undone: {e}")))?;
        let principal = &ruled.principal;
        let request = RunRequest {
            agent: principal.agent.clone(),
            goal: format!("Undo {id} ({}): {reason}", fact.name),
            plan: None,
            user: principal.user.clone(),
            tenant: Some(principal.tenant.clone()),
            project: principal.project.clone(),
            environment: Some(principal.environment.clone()),
            ttl_s: None,
            parent: None,
        };
        let run = self.open_run(by, request).await?;
        let submission = Submission {
            name: compensation.action.to_string(),
            arguments: Value::Object(filled).to_string().into_bytes(),
            compensates: Some(id.clone()),
            offered: self
                .bundle()
                .catalogue()
                .find(compensation.action.as_str())
                .and_then(|t| t.manifest.pin),
            resume: true,
            wait,
            ..Submission::default()
        };
        let session = self.own_session(&run.session.principal, "rollback");
        self.submit(&session, submission).await
    }
}
