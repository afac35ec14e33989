//! `aecl log`: the record. Read from the ledger's own files, also while a server has them open, so that
//! reading neither needs a server nor leaves a trace.

mod entry;
mod export;
mod loss;
mod mend;
mod rebuild;
mod replay;
pub(super) mod show;
pub(in crate::cli) mod source;
mod tail;
mod verify;

use super::{Common, Result};
use clap::Subcommand;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aecl log tail -f                          what happens, as it happens
  aecl log show act_0199…                   everything about one action
  aecl log show run_0199…                   a run from its beginning
  aecl log replay run_0199…                 its decisions, made again: they must come out the same
  aecl log replay --against ./new-policy    which decisions another policy would change
  aecl log key                              what an auditor pins
  aecl log verify                           check every entry
  aecl log export ./audit --payloads
  aecl log verify ./audit --key 'example.com/aecl+1a2b3c4d+ARpc…' --head last-month.checkpoint")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the latest entries, one a line.
    Tail(tail::Args),
    /// Show an entry, an action or a run in full.
    Show(show::Args),
    /// Check every entry against the signed head; exit code 5 if it does not hold.
    Verify(verify::Args),
    /// Write the ledger as plain files that others can verify.
    Export(export::Args),
    /// Make the decisions of a run again and compare; or ask another policy what would change.
    Replay(replay::Args),
    /// Make what decisions are made from anew from the entries; recorded. Stop the server first.
    RebuildFacts,
    /// Go on after the end of the record was lost with ledger.db-wal, or begin anew where all of it is gone; recorded.
    AcceptLoss,
    /// Print the key and the name of this ledger, for auditors to pin.
    Key,
}

/// Runs it.
pub fn run(common: &Common, args: Args) -> Result {
    match args.command {
        Command::Tail(args) => tail::run(common, &args),
        Command::Show(args) => show::run(common, &args),
        Command::Verify(args) => verify::run(common, &args),
        Command::Export(args) => export::run(common, &args),
        Command::Replay(args) => replay::run(common, &args),
        Command::RebuildFacts => rebuild::run(common),
        Command::AcceptLoss => loss::run(common),
        Command::Key => source::key(common),
    }
}
