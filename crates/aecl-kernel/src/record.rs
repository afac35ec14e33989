//! What stands on record: events, the facts that are folded from them, decisions and requests for approval.
//! Whatever is persisted is defined here or below.

pub mod approval;
pub mod begun;
pub mod cover;
pub mod decision;
pub mod event;
pub mod facts;
pub mod goal;
pub mod history;
pub mod usage;
