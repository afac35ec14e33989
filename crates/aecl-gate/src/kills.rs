//! Kill switches: pulled and lifted by operators, as far as these reach.

use crate::error::GateError;
use crate::gate::Gate;
use crate::identity::Identity;
use aecl_kernel::base::code;
use aecl_kernel::record::event::KillChanged;
use aecl_kernel::record::facts::KillScope;

impl Gate {
    /// Stops everything, a tenant, an agent or a run, from now on.
    pub async fn kill(&self, by: &Identity, scope: KillScope, reason: String) -> Result<(), GateError> {
        self.operator(by, "pull the kill switch")?;
        self.reaches(by, &scope, "pull").await?;
        self.0.ledger.kill(KillChanged { scope, by: by.name(), reason }, self.now()).await?;
        Ok(())
    }

    /// Lifts a kill switch. What people have agreed to meanwhile is decided about again.
    pub async fn lift(&self, by: &Identity, scope: KillScope, reason: String) -> Result<(), GateError> {
        self.operator(by, "lift the kill switch")?;
        self.reaches(by, &scope, "lift").await?;
        self.0.ledger.lift(KillChanged { scope, by: by.name(), reason }, self.now()).await?;
        self.carry_on_agreed().await
    }

    /// An operator of some tenants stops what is theirs, and nothing else.
    async fn reaches(&self, by: &Identity, scope: &KillScope, what: &str) -> Result<(), GateError> {
        if self.tenants_of(by).is_none() {
            return Ok(());
        }
        let within = match scope {
            KillScope::All | KillScope::Agent(_) => false,
            KillScope::Tenant(tenant) => self.is_for_tenant(by, tenant),
            KillScope::Run(run) => {
                let fact = self.0.ledger.run(run).await?;
                fact.is_some_and(|f| self.is_for_tenant(by, &f.principal.tenant))
            }
        };
        if within {
            return Ok(());
        }
        let message =
            format!("{} may not {what} the kill switch of {scope}: it reaches beyond its tenants", by.name());
        Err(GateError::refused(code::FORBIDDEN, message))
    }
}
