//! What is on record of an action, a run or a request; or that there is none.

use crate::error::GateError;
use crate::gate::Gate;
use aecl_kernel::base::digest::Digest;
use aecl_kernel::base::id::{ActionId, ApprovalId, RunId};
use aecl_kernel::record::approval::ApprovalRequest;
use aecl_kernel::record::event::{Event, Ruled};
use aecl_kernel::record::facts::{ActionFact, RunFact};
use aecl_ledger::{LedgerError, PayloadKind};
use serde_json::Value;

impl Gate {
    pub(crate) async fn action_fact(&self, id: &ActionId) -> Result<ActionFact, GateError> {
        Ok(self.0.ledger.action(id).await?.ok_or_else(|| LedgerError::NoAction(id.clone()))?)
    }

    pub(crate) async fn last_ruling(&self, action: &ActionId) -> Result<Ruled, GateError> {
        let entries = self.0.ledger.entries_of_action(action).await?;
        let last = entries.into_iter().rev().find_map(|e| match e.event {
            Event::Ruled(ruled) => Some(*ruled),
            _ => None,
        });
        Ok(last.ok_or_else(|| LedgerError::NoAction(action.clone()))?)
    }

    pub(crate) async fn arguments(&self, digest: &Digest) -> Result<Option<Value>, GateError> {
        let bytes = self.0.ledger.payload(PayloadKind::Arguments, digest).await?;
        Ok(bytes.and_then(|b| serde_json::from_slice(&b).ok()))
    }

    /// A run as it counts now: with what those have read from which it comes.
    pub async fn run_now(&self, id: &RunId) -> Result<RunFact, GateError> {
        Ok(self.0.ledger.run_now(id).await?.ok_or_else(|| LedgerError::NoRun(id.clone()))?)
    }

    pub(crate) async fn run_fact(&self, id: &RunId) -> Result<RunFact, GateError> {
        Ok(self.0.ledger.run(id).await?.ok_or_else(|| LedgerError::NoRun(id.clone()))?)
    }

    /// A request, whatever it is about.
    pub async fn ask(&self, id: &ApprovalId) -> Result<ApprovalRequest, GateError> {
        Ok(self.0.ledger.approval(id).await?.ok_or_else(|| LedgerError::NoApproval(id.clone()))?)
    }
}
