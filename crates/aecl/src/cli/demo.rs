//! `aecl demo`.

use super::{Common, Error, Result};

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs it.
pub fn run(_common: &Common, _args: Args) -> Result {
    Err(Error::new("not written yet"))
}
