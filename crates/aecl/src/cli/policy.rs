//! `aecl policy`: whether a bundle loads, and what follows from it. Works without a server.

mod calibrate;
pub(in crate::cli) mod check;
mod diff;
mod learn;
mod lint;
mod outlook;
mod prove;
mod residual;
mod show;
mod simulate;
mod test;
mod why;

use super::show::Tone;
use super::{Common, Result};
use aecl_kernel::record::decision::Verdict;
use clap::Subcommand;
use std::path::PathBuf;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aecl policy check                 the bundle in use
  aecl policy check ./new-policy    before it is put into use
  aecl policy show assistant        what one agent may do, and why
  aecl policy why transfer_funds    all that makes it ask, and the line that would change each
  aecl policy test                  its examples one by one, and the rules that none of them reaches
  aecl policy lint                  what loads and is still doubtful
  aecl policy diff $(aecl home)/policy ./new-policy
  aecl policy simulate --bundle ./new-policy
  aecl policy prove                 what its properties claim, for all requests
  aecl policy residual --max-percent 10
  aecl policy calibrate             how people answered, by the score of risk
  aecl policy learn > learned.json

Each of them answers a script: 0 if all is well, 1 if it found what it looks for.")]
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
    /// Say all that makes an action ask or blocks it, and for each the line of policy that would change it.
    Why(Box<why::Args>),
    /// Try each example on its own, and list the rules that none of them reaches. Exit code 1 if one is wrong.
    Test {
        /// The bundle; by default policy/ in the directory of AECL.
        #[arg(value_name = "DIR")]
        bundle: Option<PathBuf>,
        /// A rule that no example reaches ends with exit code 1, too.
        #[arg(long)]
        strict: bool,
    },
    /// Say what loads and is still doubtful: dead rules, missing labels, wildcards. Exit code 1 on warnings.
    Lint {
        /// The bundle; by default policy/ in the directory of AECL.
        #[arg(value_name = "DIR")]
        bundle: Option<PathBuf>,
        /// Leave out what this lint finds; may stand several times.
        #[arg(long, value_name = "LINT")]
        allow: Vec<String>,
        /// Notes end with exit code 1, too.
        #[arg(long)]
        strict: bool,
    },
    /// Say in words what changes from one bundle to another, for each agent and action.
    Diff {
        /// The bundle before.
        #[arg(value_name = "OLD")]
        old: PathBuf,
        /// The bundle after.
        #[arg(value_name = "NEW")]
        new: PathBuf,
        /// In this environment.
        #[arg(long, value_name = "NAME", default_value = "production")]
        environment: String,
        /// End with exit code 1 if anything changes.
        #[arg(long)]
        exit_code: bool,
    },
    /// Decide everything on record again by another bundle: what newly passes, is held or is blocked.
    Simulate(simulate::Args),
    /// Try what a hijacked agent could still do without a person, for each task and changing action.
    Residual(residual::Args),
    /// Prove for all requests what the bundle claims, which rules matter, and what another bundle does not allow.
    Prove(prove::Args),
    /// Show how people answered what was held, by the score of risk. It changes nothing.
    Calibrate {
        /// Only this agent.
        agent: Option<String>,
    },
    /// Propose a first manifest for each agent from what is on record.
    Learn {
        /// Only this agent.
        agent: Option<String>,
        /// Write it to this file, which must not exist; by default it goes to standard output.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

/// A verdict as a word for people.
pub(in crate::cli) fn word(verdict: Verdict) -> (Tone, &'static str) {
    match verdict {
        Verdict::Allow => (Tone::Good, "allowed"),
        Verdict::RequireApproval => (Tone::Mind, "held"),
        Verdict::Block => (Tone::Bad, "blocked"),
    }
}

/// Runs it.
pub fn run(common: &Common, args: Args) -> Result {
    match args.command {
        Command::Check { bundle, strict } => check::run(common, bundle, strict),
        Command::Show { agent, environment, policy } => {
            show::run(common, agent.as_deref(), environment.as_deref(), policy)
        }
        Command::Why(args) => why::run(common, *args),
        Command::Test { bundle, strict } => test::run(common, bundle, strict),
        Command::Lint { bundle, allow, strict } => lint::run(common, bundle, &allow, strict),
        Command::Diff { old, new, environment, exit_code } => {
            diff::run(common, &old, &new, &environment, exit_code)
        }
        Command::Simulate(args) => simulate::run(common, &args),
        Command::Prove(args) => prove::run(common, &args),
        Command::Residual(args) => residual::run(common, &args),
        Command::Calibrate { agent } => calibrate::run(common, agent.as_deref()),
        Command::Learn { agent, out } => learn::run(common, agent.as_deref(), out.as_deref()),
    }
}
