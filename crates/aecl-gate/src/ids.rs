//! Fresh names: sortable by time, unguessable in the rest.

use aecl_kernel::base::id::{ActionId, ApprovalId, BadId, RunId};
use aecl_kernel::decide::request::NewIds;

fn fresh(prefix: &str) -> String {
    format!("{prefix}_{}", uuid::Uuid::now_v7().simple())
}

/// A name for a run.
pub(crate) fn run() -> Result<RunId, BadId> {
    RunId::new(&fresh("run"))
}

/// A name for a token.
pub(crate) fn token() -> String {
    fresh("tok")
}

/// Names for what a decision may create.
pub(crate) fn for_decision() -> Result<NewIds, BadId> {
    Ok(NewIds { action: ActionId::new(&fresh("act"))?, approval: ApprovalId::new(&fresh("apr"))? })
}
