//! The command line: one command a file. Data goes to standard output, talk to standard error; every command
//! has `--json`; exit codes are the same everywhere.

mod approvals;
mod catalog;
pub mod client;
mod clock;
mod complete;
mod demo;
mod doctor;
mod explain;
mod help;
mod home;
mod image;
mod init;
mod keys;
mod kill;
mod log;
mod mcp;
mod place;
mod policy;
mod resolve;
mod rollback;
mod run;
mod secrets;
pub mod serve;
mod servers;
pub(crate) mod show;
mod wrap;

use clap::{CommandFactory, Parser, Subcommand};
use std::path::{Path, PathBuf};
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

/// What every command takes.
#[derive(Debug, Clone, clap::Args)]
pub struct Common {
    /// The home: the directory with aecl.yaml, policy/, keys/ and data/. By default the one of this project (see `aecl
    /// home`). A `.aecl` that lies in a directory counts only where it is named.
    #[arg(long = "dir", global = true, env = "AECL_DIR", value_name = "DIR")]
    named: Option<PathBuf>,
    /// The home that is meant.
    #[arg(skip)]
    pub dir: PathBuf,
    /// How it was found.
    #[arg(skip)]
    how: place::How,
    /// Print JSON instead of text.
    #[arg(long, global = true)]
    pub json: bool,
    /// Your key, if it is not the operator key in keys/.
    #[arg(long, global = true, env = "AECL_KEY", hide_env_values = true, value_name = "KEY")]
    pub key: Option<String>,
}

impl Common {
    /// What every command takes, on the home in this directory.
    pub fn on(dir: &Path) -> Self {
        let named = Some(dir.to_owned());
        Self { named, dir: dir.to_owned(), how: place::How::Named, json: false, key: None }
    }

    /// The home is this user's choice: named, or one of this user's own that names this project. Otherwise there is none.
    fn names_dir(&self) -> bool {
        matches!(self.how, place::How::Named | place::How::OfProject)
    }

    /// Finds the home, and keeps everything that this process starts out of it.
    fn find(&mut self) {
        (self.dir, self.how) = place::find(self.named.as_deref());
        place::keep_out(&self.dir);
    }
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
    /// Say where the keys, the policy and the record of this project are, or move them out of it.
    Home(home::Args),
    /// Run the HTTP API, the MCP gateway and the approval pages.
    Serve(serve::Args),
    /// Stand in front of an MCP server, for an MCP client's configuration.
    Mcp(mcp::Args),
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
    /// Make keys for people and orchestrators.
    Keys(keys::Args),
    /// Keep credentials in an encrypted store.
    Secrets(secrets::Args),
    /// Log in at servers that want it, and see where somebody is logged in.
    Servers(servers::Args),
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

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done,
    /// It could not be done.
    Failed,
    /// Refused by policy or a person.
    Refused,
    /// Waiting for a person.
    Pending,
    /// The record does not verify.
    Unverified,
    /// It could not be found out.
    Unknown,
    /// As the program that was run.
    Program(u8),
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(match exit {
            Exit::Done => 0u8,
            Exit::Failed => 1,
            Exit::Refused => 3,
            Exit::Pending => 4,
            Exit::Unverified => 5,
            Exit::Unknown => 6,
            Exit::Program(code) => code,
        })
    }
}

/// What a command gives: how it ended, or an error that ends with what to do next.
pub type Result = std::result::Result<Exit, Error>;

/// An error for a person at a terminal.
#[derive(Debug)]
pub struct Error {
    /// What went wrong.
    pub message: String,
    /// The stable code, if there is one.
    pub code: Option<String>,
    /// What to do next.
    pub hint: Option<String>,
    /// How the command ends.
    pub exit: Exit,
}

impl Error {
    /// An error without a hint.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: None, hint: None, exit: Exit::Failed }
    }

    /// The same, with what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl From<aecl_gate::GateError> for Error {
    fn from(e: aecl_gate::GateError) -> Self {
        let code = Some(e.code().to_string());
        let error = Self { code, ..Self::new(e.to_string()) };
        match e.code() {
            aecl_kernel::base::code::FACTS_DIFFER => error.hint(
                "keep a copy of data/ and find out who changed it; `aecl log rebuild-facts` makes the facts anew from the entries",
            ),
            aecl_kernel::base::code::LEDGER_MISSING => error.hint(
                "put back a copy of data/ and find out who took it away; `aecl log accept-loss` begins a new record",
            ),
            _ => error,
        }
    }
}

impl From<aecl_demo::Error> for Error {
    fn from(e: aecl_demo::Error) -> Self {
        Self { code: e.code, hint: e.hint, ..Self::new(e.message) }
    }
}

impl From<aecl_kernel::base::id::BadId> for Error {
    fn from(e: aecl_kernel::base::id::BadId) -> Self {
        let hint = match e.kind {
            "action id" | "run id" => "`aecl log tail` shows the latest; names are act_… and run_…",
            "approval id" => "`aecl approvals list` shows their names (apr_…)",
            "agent id" => "`aecl policy show` lists the agents",
            _ => "correct the name and run the command again",
        };
        Self::new(e.to_string()).hint(hint)
    }
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
        Command::Serve(args) => serve::run(&common, args),
        Command::Mcp(args) => mcp::run(&common, args),
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
        Command::Keys(args) => keys::run(&common, args),
        Command::Secrets(args) => secrets::run(&common, args),
        Command::Servers(args) => servers::run(&common, args),
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

/// A runtime for commands that do one thing after the other.
pub(crate) fn runtime_of_one_thread() -> std::result::Result<tokio::runtime::Runtime, Error> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Error::new(format!("the runtime cannot start: {e}")))
}

/// A runtime for commands that talk or serve.
pub(crate) fn runtime() -> std::result::Result<tokio::runtime::Runtime, Error> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| Error::new(format!("the runtime cannot start: {e}")))
}
