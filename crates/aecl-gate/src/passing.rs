//! What is passed on without being proposed: only for an agent that may still act.

use crate::error::GateError;
use crate::gate::Gate;
use crate::identity::Session;
use aecl_kernel::base::code;
use aecl_kernel::base::id::AgentId;
use aecl_kernel::record::facts::{KillScope, RunFact};

impl Gate {
    /// Whether anything may be passed on for this agent that is no proposal: no kill switch stops it, and the run in which
    /// it acts, if there is one yet, and its token are still good.
    ///
    /// # Errors
    /// When it may not.
    pub async fn passes_on(&self, agent: &AgentId, session: Option<&Session>) -> Result<(), GateError> {
        let tenant = self.config().tenant.clone();
        let mut scopes = vec![KillScope::All, KillScope::Tenant(tenant), KillScope::Agent(agent.clone())];
        if let Some(session) = session {
            let run = self.living(session).await?;
            scopes = KillScope::around(&run.principal);
            for ancestor in &run.ancestors {
                if let Some(fact) = self.ledger().run(ancestor).await? {
                    scopes.push(KillScope::Agent(fact.principal.agent));
                }
                scopes.push(KillScope::Run(ancestor.clone()));
            }
        }
        match self.ledger().killed(&scopes).await? {
            Some(scope) => {
                Err(GateError::refused(code::KILLED, format!("a person has stopped this ({scope})")))
            }
            None => Ok(()),
        }
    }

    /// The run of a session, if it has not ended and the token is good.
    async fn living(&self, session: &Session) -> Result<RunFact, GateError> {
        let run = self.ledger().run(&session.principal.run).await?;
        let run = run.ok_or_else(|| GateError::refused(code::RUN_UNKNOWN, "there is no such run"))?;
        if let Some(why) = &run.closed {
            return Err(GateError::refused(code::RUN_CLOSED, format!("the run has ended: {why}")));
        }
        if self.now() >= run.expires_at {
            return Err(GateError::refused(code::RUN_EXPIRED, "the time of the run is over"));
        }
        self.alive(session).await?;
        Ok(run)
    }
}
