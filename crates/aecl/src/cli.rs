//! The command line: one command a file. Data goes to standard output, talk to standard error; every command
//! has `--json`; exit codes are the same everywhere.

mod approvals;
mod catalog;
pub mod client;
mod clock;
mod common;
mod complete;
mod demo;
mod doctor;
mod error;
mod explain;
mod generate;
mod help;
mod home;
mod hook;
mod image;
mod init;
mod input;
mod keys;
mod kill;
mod log;
mod mcp;
mod output;
mod place;
mod policy;
mod resolve;
mod rollback;
mod run;
mod runtime;
mod secrets;
pub mod serve;
mod servers;
pub(crate) mod show;
mod workers;
mod wrap;

pub use common::Common;
pub use error::{Error, Exit, Result};
pub(crate) use runtime::{runtime, runtime_of_one_thread};

use clap::{CommandFactory, Parser, Subcommand};
use std::process::ExitCode;

/// AECL, the Agent Execution Control Layer: judges, gates, contains, records and can undo what agents do.
#[derive(Debug, Parser)]
#[command(
    name = "aecl",
    version,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    after_help = "Exit codes: 0 done · 1 failed · 2 wrong usage · 3 refused by policy or a person · 4 waiting for a person · 5 the record does not verify · 6 not known; `aecl run` ends as its command does, or with 123 to 127 (`aecl run --help`)"
)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the story of the vendor e-mail on real parts.
    Demo(demo::Args),
    /// The payments service of the demo and the examples.
    #[command(hide = true)]
    DemoPayments(demo::payments::Args),
    /// Write a starting configuration, keys and a first bundle.
    Init(init::Args),
    /// Put AECL in front of the servers of an MCP client, in the client's own configuration.
    Wrap(wrap::Args),
    /// Take AECL out of the configuration of all clients again.
    Uninit(wrap::uninit::Args),
    /// Say where the keys, the policy and the record of this project are, or move them out of it.
    Home(home::Args),
    /// Run the HTTP API, the MCP gateway and the approval pages.
    Serve(serve::Args),
    /// Stand in front of an MCP server, for an MCP client's configuration.
    Mcp(mcp::Args),
    /// Answer a coding agent that is about to use a tool, in its hooks.
    Hook(hook::Args),
    /// Check the policy bundle.
    Policy(policy::Args),
    /// Say why an action would be allowed, blocked or held.
    Explain(explain::Args),
    /// List, show and answer requests for approval.
    Approvals(approvals::Args),
    /// Read, verify, export and replay the record.
    Log(log::Args),
    /// Run a command in a cage.
    Run(run::Args),
    /// List and unpack the images that programs may have.
    Image(image::Args),
    /// Stop everything, a tenant, an agent or a run.
    Kill(kill::Args),
    /// Show the time that is recorded, and how the wall clock stands to it.
    Clock(clock::Args),
    /// Undo an action.
    Rollback(rollback::Args),
    /// Say what an unknown outcome turned out to be.
    Resolve(resolve::Args),
    /// Review imported tools.
    Catalog(catalog::Args),
    /// Write the actions of the catalogue as typed functions of a program.
    Gen(generate::Args),
    /// Make keys for people, orchestrators, workers and proxies.
    Keys(keys::Args),
    /// Keep credentials in an encrypted store.
    Secrets(secrets::Args),
    /// Log in at servers that want it, and see where somebody is logged in.
    Servers(servers::Args),
    /// Show which workers are connected, what they serve and what they have.
    Workers(workers::Args),
    /// Check configuration, keys and the eleven-point list.
    Doctor(doctor::Args),
    /// Say what a command does, or what a code means.
    Help(help::Args),
    /// Print a completion script; for bash, zsh and fish it knows what waits, runs, agents, servers, keys and codes.
    #[command(after_help = "\
Examples:
  source <(aecl completions bash)                   # in ~/.bashrc
  source <(aecl completions zsh)                    # in ~/.zshrc, behind compinit
  aecl completions fish | source                    # in ~/.config/fish/config.fish

The script asks `aecl` for names when Tab is pressed. That starts no server, waits half a second at most, and shows what
your key may read.")]
    Completions {
        /// For which shell.
        shell: clap_complete::Shell,
    },
    /// What fits at the cursor.
    #[command(name = "__complete", hide = true)]
    Complete(complete::Args),
}

/// The command line as clap knows it, for the reference page.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    keep_memory_private();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return wrong_usage(&error),
    };
    let mut common = cli.common;
    common.find();
    if common.how == place::How::Unnamed && wants_a_home(&cli.command) {
        // Standard output is for data.
        show::say(
            "aecl: `.aecl` in this directory counts for nothing: it may have come with the project. If you made it, \
             `aecl --dir ./.aecl home move` takes it to your own homes",
        );
    }
    let json = common.json;
    let result = match cli.command {
        Command::Demo(args) => demo::run(&common, args),
        Command::DemoPayments(args) => demo::payments::run(&args),
        Command::Init(args) => init::run(&common, args),
        Command::Home(args) => home::run(&common, args),
        Command::Wrap(args) => wrap::run(&common, args),
        Command::Uninit(args) => wrap::uninit::run(&common, &args),
        Command::Serve(args) => serve::run(&common, args),
        Command::Mcp(args) => mcp::run(&common, args),
        Command::Hook(args) => hook::run(&common, &args),
        Command::Policy(args) => policy::run(&common, args),
        Command::Explain(args) => explain::run(&common, args),
        Command::Approvals(args) => approvals::run(&common, args),
        Command::Log(args) => log::run(&common, args),
        Command::Run(args) => run::run(&common, args),
        Command::Image(args) => image::run(&common, args),
        Command::Kill(args) => kill::run(&common, args),
        Command::Clock(args) => clock::run(&common, &args),
        Command::Rollback(args) => rollback::run(&common, args),
        Command::Resolve(args) => resolve::run(&common, args),
        Command::Catalog(args) => catalog::run(&common, args),
        Command::Gen(args) => generate::run(&common, &args),
        Command::Keys(args) => keys::run(&common, args),
        Command::Secrets(args) => secrets::run(&common, args),
        Command::Servers(args) => servers::run(&common, args),
        Command::Workers(args) => workers::run(&common, args),
        Command::Doctor(args) => doctor::run(&common, args),
        Command::Help(args) => help::run(&common, args),
        Command::Completions { shell } => {
            match complete::script(shell) {
                Some(script) => print!("{script}"),
                None => clap_complete::generate(shell, &mut command(), "aecl", &mut std::io::stdout()),
            }
            Ok(Exit::Done)
        }
        Command::Complete(args) => complete::run(&common, args),
    };
    match result {
        Ok(exit) => exit.into(),
        Err(error) => {
            if json {
                println!(
                    "{}",
                    serde_json::json!({"error": {"message": error.message, "code": error.code, "hint": error.hint}})
                );
            } else {
                let code = error.code.as_ref().map_or(String::new(), |c| format!(" [{c}]"));
                // A message can quote what came from outside.
                show::say(&format!("error: {}{code}", error.message));
                // Every error ends with what to do next; its code has a page, if nothing better is known.
                let page =
                    error.code.map(|code| format!("`aecl help {code}` says what it means and what to do"));
                if let Some(hint) = error.hint.or(page) {
                    show::say(&format!("hint: {hint}"));
                }
            }
            error.exit.into()
        }
    }
}

/// Says what is wrong with the words, or what was asked for instead of a command. A command that `aecl run` starts may end
/// with 2 itself.
fn wrong_usage(error: &clap::Error) -> ExitCode {
    drop(error.print());
    let code = u8::try_from(error.exit_code()).unwrap_or(2);
    let is_run = || {
        let words = command().ignore_errors(true).try_get_matches();
        words.is_ok_and(|words| words.subcommand_name() == Some("run"))
    };
    ExitCode::from(if code == 2 && is_run() { run::NOT_RUN } else { code })
}

/// Whether a command works on a home of this user.
fn wants_a_home(command: &Command) -> bool {
    !matches!(
        command,
        Command::Run(_)
            | Command::Image(_)
            | Command::Demo(_)
            | Command::DemoPayments(_)
            | Command::Help(_)
            | Command::Completions { .. }
            | Command::Complete(_)
    )
}

/// Secrets are in our memory while they are used: no core file holds it, and no other program of the same user
/// may look into it. Where the system cannot do that, it goes on without.
fn keep_memory_private() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    let none = rustix::process::Rlimit { current: Some(0), maximum: Some(0) };
    let _ = rustix::process::setrlimit(rustix::process::Resource::Core, none);
}
