//! Where values come from: what a run has seen, what a goal says, and who stands behind an argument.

pub mod atoms;
pub mod canon;
pub mod goal;
pub mod ingest;
pub mod issued;
pub mod labels;
pub mod links;
pub mod proof;
mod reference;
pub(crate) mod secrets;
pub mod seen;
pub mod spelling;
