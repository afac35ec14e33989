//! `aecl demo`: the story of the vendor e-mail on real parts. Only the agent is a script.

mod acts;
mod card;
pub(crate) mod payments;
mod record;
mod stage;

use super::place::How;
use super::{Common, Error, Result, runtime};
use stage::Stage;
use std::io::IsTerminal as _;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aecl demo                  you answer, in the terminal or on the page that it links
  aecl demo --auto           it answers by itself
  aecl --dir /tmp/d demo     the pieces lie there afterwards; otherwise in ./aecl-demo")]
pub struct Args {
    /// Answer by itself and do not wait for the keyboard.
    #[arg(long)]
    auto: bool,
    /// Keep AECL and its pages running at the end, until Ctrl-C.
    #[arg(long)]
    keep: bool,
}

/// Runs it.
pub fn run(common: &Common, args: Args) -> Result {
    let auto = args.auto || common.json;
    if !auto && !std::io::stdin().is_terminal() {
        return Err(Error::new("the demo asks a person, and there is no terminal to ask at")
            .hint("run `aecl demo --auto`; it answers by itself"));
    }
    // The demo never touches a directory in use: unless one is named, it has its own.
    let dir = if common.how == How::Named { common.dir.clone() } else { "aecl-demo".into() };
    let stage = Stage::new(auto, common.json);
    runtime()?.block_on(acts::play(stage, &dir, args.keep))
}
