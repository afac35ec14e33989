//! `aecl policy`: whether a bundle loads, and what follows from it. Works without a server.

mod check;
mod outlook;
mod show;

use super::{Common, Result};
use clap::Subcommand;
use std::path::PathBuf;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aecl policy check                 the bundle in use
  aecl policy check ./new-policy    before it is put into use
  aecl policy show assistant        what one agent may do, and why")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Load a bundle as a whole, run its examples, and say everything that is wrong or doubtful.
    Check {
        /// The bundle; by default policy/ in the directory of AECL.
        #[arg(value_name = "DIR")]
        bundle: Option<PathBuf>,
        /// Doubtful is wrong, too: warnings end with exit code 1.
        #[arg(long)]
        strict: bool,
    },
    /// Show what agents may do: allowed, held for a person, or blocked, and why.
    Show {
        /// Only this agent.
        agent: Option<String>,
        /// In this environment; by default that of the configuration.
        #[arg(long, value_name = "NAME")]
        environment: Option<String>,
        /// The bundle; by default policy/ in the directory of AECL.
        #[arg(long, value_name = "DIR")]
        policy: Option<PathBuf>,
    },
}

/// Runs it.
pub fn run(common: &Common, args: Args) -> Result {
    match args.command {
        Command::Check { bundle, strict } => check::run(common, bundle, strict),
        Command::Show { agent, environment, policy } => {
            show::run(common, agent.as_deref(), environment.as_deref(), policy)
        }
    }
}
