//! The command line, as people and scripts use it: the real program in directories of its own.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what helpers of a test stop at is the test's failure"
)]

#[path = "../common/mod.rs"]
mod common;

mod bad_input;
mod canary;
mod checks;
mod complete;
mod functions;
mod generate;
mod handed;
mod home;
mod hook;
mod keep;
mod killed;
mod lost;
mod policy;
mod program;
mod project;
mod reach;
mod record;
mod reference;
mod rows;
mod run;
mod secrets;
mod servers;
mod setup;
mod tier;
mod watch;
mod words;
mod wrap;
