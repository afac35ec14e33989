//! The command line, as people and scripts use it: the real program in directories of its own.

#[path = "../common/mod.rs"]
mod common;

mod bad_input;
mod checks;
mod program;
mod record;
mod reference;
mod setup;
