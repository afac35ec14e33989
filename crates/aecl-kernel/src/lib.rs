//! **The kernel thinks.** It turns an action and facts into a decision.
//!
//! **Invariant:** no I/O, no clock, no randomness, no async, no threads. Same facts, same decision, byte for
//! byte: every recorded decision can be made again from the ledger. Only [`decide::decide`] says yes.
//!
//! The life of one action here: [`action::Proposal`] → [`action::Action`] → [`facts::Facts`] gathered →
//! [`decide::decide`] → [`decide::Ruling`]. What happened is an [`event::Event`]; facts are a fold over events.

pub mod action;
pub mod amount;
pub mod approval;
pub(crate) mod approvers;
pub mod bundle;
pub mod cage;
pub mod catalogue;
pub mod checks;
pub mod code;
pub mod compensation;
mod cover;
pub mod decide;
pub mod decision;
pub mod digest;
pub mod event;
pub mod evidence;
pub mod facts;
pub mod gather;
pub mod goal;
pub mod id;
pub mod isolation;
pub mod json;
pub mod labels;
pub mod manifest;
pub mod past;
pub mod plan;
pub mod policy;
pub mod principal;
pub mod proof;
pub mod question;
pub mod risk;
pub(crate) mod text;
pub mod time;
pub mod traffic;
pub mod understand;
pub mod usage;
