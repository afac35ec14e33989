//! **The kernel thinks.** It turns an action and facts into a decision.
//!
//! **Invariant:** no I/O, no clock, no randomness, no async, no threads. Same facts, same decision, byte for
//! byte: every recorded decision can be made again from the ledger. Only [`decide::decide`] says yes.
//!
//! The life of one action here: [`read::action::Proposal`] → [`read::action::Action`] → [`record::facts::Facts`]
//! gathered → [`decide::decide`] → [`decide::Ruling`]. What happened is a [`record::event::Event`]; facts are a fold
//! over events.
//!
//! Read from the top, each layer knows only those below it:
//!
//! | layer | what it is for |
//! |---|---|
//! | [`decide`] | the one place that says yes, its checks, and what they need to know |
//! | [`policy`] | manifests and rules, compiled; what a bundle is |
//! | [`record`] | what is persisted: events, facts, decisions, requests for approval |
//! | [`provenance`] | where values come from, and who stands behind them |
//! | [`read`] | a proposal, understood: arguments, SQL, commands, plans |
//! | [`define`] | what people write: catalogue, manifests, cages, risk |
//! | [`base`] | ids, digests, JSON, amounts, time, codes |
//!
//! `cargo xtask tidy` keeps the order, and that no two files need each other.

pub mod base;
pub mod decide;
pub mod define;
pub mod policy;
pub mod provenance;
pub mod read;
pub mod record;
