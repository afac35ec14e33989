//! AECL acts: given something that was allowed and recorded, this room performs it and says what happened.
//!
//! What goes wrong out there is an outcome, not an error of ours. **Unknown is not failed**: once the bytes
//! of a request may have left, only an answer can say what happened; a time-out, a lost connection, a
//! killed upstream or garbage leaves [`CallResult::Unknown`]. What is refused before anything was sent is
//! [`CallResult::Failed`] that surely has not acted.
//!
//! **Invariant:** this room never learns why something was allowed, and no secret leaves it in an error,
//! a log line or a `Debug` output.

mod arguments;
mod call;
mod connector;
pub mod connectors;
mod depth;
mod executor;
pub mod fake;
pub mod house;
pub mod judge;
pub mod root_dir;

pub use call::Call;
pub use connector::{CallPlan, CallResult, Connector, DryRun, Reconciled};
pub use connectors::Connectors;
pub use executor::{CallContext, Executor, Outcome};
