//! **The ledger remembers.** Facts and signed entries are written in one step, by one writer, for many at
//! once.
//!
//! **Invariant:** it does not know what a policy means, how an action is carried out, or over which protocol
//! it came. What it gives out as [`Recorded`] is durable. The facts that a decision rests on are read, decided
//! on and changed inside one group: nobody can spend in between.

// Under its own name the helpers of the tests in `tests/` also work in here.
#[cfg(test)]
extern crate self as aecl_ledger;

mod batch;
mod beside;
mod cache;
mod command;
pub mod error;
pub mod export;
mod flush;
mod goal;
#[cfg(test)]
mod golden;
mod in_flight;
mod known;
mod ledger;
mod payload;
pub mod queue;
mod readers;
mod recorded;
pub mod replay;
mod reply;
mod signer;
pub mod store;
pub mod verify;
mod withdraw;
mod writer;

pub use batch::ENTRY_BYTES_MAX;
pub use command::{Answering, AskPlan, Conclusion, OpenRun, Rule};
pub use error::LedgerError;
pub use export::{Export, ExportError, Exported, Progress, export};
pub use in_flight::Stage;
pub use ledger::Ledger;
pub use payload::{PayloadKind, commitment, payload};
pub use queue::{Queue, Waiting};
pub use recorded::{Receipt, Recorded};
pub use replay::{against, redecide, steps, verify_facts};
pub use signer::Signer;
pub use verify::{
    AuditFinding, AuditReport, Auditor, verify_data, verify_data_with_progress, verify_export,
    verify_export_with_progress, verify_payloads, verify_store,
};
pub use withdraw::{Again, WITHDRAWN_AT_ONCE};
