//! `aecl catalog`: what was imported from MCP servers, what changed, and a person's yes to a change.

mod changes;
mod functions;
mod learn;

use super::{Common, Error, Exit, Result};
use crate::mcp::catalogue::{CatalogueError, Imported};
use crate::mcp::import_now;
use aecl_gate::config::Home;
use aecl_gate::identity::hash_key;
use aecl_gate::loader;
use aecl_kernel::define::catalogue::TypedAction;
use aecl_kernel::define::connector::ConnectorSpec;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List the actions of the catalogue.
    List,
    /// Show tools whose server offers something else than what was accepted.
    Diff {
        /// Only these: SERVER, SERVER.TOOL, or a pattern such as 'SERVER.read_*'.
        #[arg(value_name = "NAME")]
        names: Vec<String>,
    },
    /// Accept what servers offer now, of one tool, of several or of a whole server.
    #[command(after_help = "Examples:
  aecl catalog accept filesystem                  # all that waits of this server
  aecl catalog accept files.read_file files.stat  # these two
  aecl catalog accept 'files.read_*'              # a pattern, in quotes
  aecl catalog accept --minor                     # all that only takes less than before")]
    Accept {
        /// Which: SERVER, SERVER.TOOL, or a pattern such as 'SERVER.read_*'.
        #[arg(value_name = "NAME", required_unless_present = "minor")]
        names: Vec<String>,
        /// Only those whose schema takes less than the accepted one, and that say the same in every other way.
        #[arg(long)]
        minor: bool,
    },
    /// Take the tools of a configured server into the catalogue without a client, or functions of a Python program.
    #[command(after_help = "Examples:
  aecl catalog import files                       # the tools of the server `files` in aecl.yaml
  aecl catalog import --python shop.tools         # what is guarded in a module, and what a worker in it serves
  aecl catalog import --python shop.tools:TOOLS   # a function, or a list of them

The module is imported, so what stands in it runs. A function that is there already gets its present
arguments; what people have written about it stays.")]
    Import {
        /// The server's name in aecl.yaml.
        #[arg(required_unless_present = "python", conflicts_with = "python")]
        server: Option<String>,
        /// Functions of a Python program: MODULE, or MODULE:NAME of a function, a list of functions or a worker.
        #[arg(long, value_name = "MODULE[:NAME]", num_args = 1..)]
        python: Vec<String>,
        /// The Python to ask. By default that of the active environment, the one that this program came with, or `python3`.
        #[arg(long, value_name = "PATH", requires = "python")]
        interpreter: Option<PathBuf>,
    },
    /// Propose what recorded calls suggest about imported tools: labels, known values, opposites, resources.
    Learn(learn::Args),
}

/// Runs it.
pub fn run(common: &Common, args: Args) -> Result {
    let home = Home::new(common.dir.clone());
    if !home.config().is_file() {
        let error = Error::new(format!("there is no `{}`", home.config().display()));
        return Err(error.hint("run `aecl init` there first, or name the directory with `--dir`"));
    }
    match args.command {
        Command::List => list(&home, common.json),
        Command::Diff { names } => changes::diff(&home, &who(common, &home)?, &names, common.json),
        Command::Accept { names, minor } => {
            changes::accept(&home, &who(common, &home)?, &names, minor, common.json)
        }
        Command::Learn(args) => learn::run(common, &args),
        Command::Import { server: Some(server), .. } => import(&home, &server, common.json),
        Command::Import { server: None, python, interpreter } => {
            functions::import(&home, &python, interpreter, common.json)
        }
    }
}

/// Who is at the terminal: the person whose key was given, and whichever user of this machine it is.
fn who(common: &Common, home: &Home) -> std::result::Result<String, Error> {
    let user = format!("uid:{}", rustix::process::getuid().as_raw());
    let Some(key) = &common.key else { return Ok(user) };
    let hash = hash_key(key);
    let config = home.read()?;
    match config.people.iter().find(|person| person.key == hash) {
        Some(person) => Ok(format!("{user} {}", person.id)),
        None => {
            Err(Error::new("the key is no person's here").hint("keys are made by `aecl keys add person`"))
        }
    }
}

impl From<CatalogueError> for Error {
    fn from(e: CatalogueError) -> Self {
        let hint = match &e {
            CatalogueError::Policy(_) => Some("`aecl policy check` shows what is wrong"),
            CatalogueError::Unknown(_) => Some("`aecl catalog diff` shows what waits to be accepted"),
            CatalogueError::Unseen(_) => Some("`aecl catalog diff` shows it; accept it after that"),
            CatalogueError::File { .. } | CatalogueError::Refused { .. } => None,
        };
        let error = Error::new(e.to_string());
        match hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}

fn list(home: &Home, as_json: bool) -> Result {
    let bundle = loader::load(&home.policy())?;
    let changed = changes::all(home)?.into_iter().map(|change| {
        let state = if change.is_in_part() { "accepted_in_part" } else { "changed" };
        (change.name, state)
    });
    let changed: BTreeMap<String, &str> = changed.collect();
    let rows = bundle.catalogue().iter().flat_map(|(name, typed)| {
        typed.variants().map(|variant| row(name.as_str(), variant, &changed)).collect::<Vec<_>>()
    });
    if as_json {
        println!("{}", Value::Array(rows.collect()));
        return Ok(Exit::Done);
    }
    for row in rows {
        let text = |key: &str| row.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let flags =
            if text("state") == "accepted" { String::new() } else { format!("  [{}]", text("state")) };
        let name = match text("when") {
            when if when.is_empty() => text("name"),
            when => format!("  where {when}"),
        };
        println!("{name:<40} {:<8} {:<14}{flags}", text("effect"), text("reversibility"));
    }
    Ok(Exit::Done)
}

fn row(name: &str, typed: &TypedAction, changed: &BTreeMap<String, &str>) -> Value {
    let manifest = &typed.manifest;
    let state = changed.get(name).copied().unwrap_or("accepted");
    json!({
        "name": name,
        "when": typed.when,
        "effect": manifest.effect.name(),
        "reversibility": manifest.reversibility().name(),
        "connector": typed.connector().map(ConnectorSpec::kind),
        "pin": manifest.pin,
        "state": state,
    })
}

/// A new entry with what was guessed about it, on one line.
fn guess(name: &str, guessed: Option<&Value>) -> String {
    let text = |key: &str| match guessed.and_then(|g| g.get(key)) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    };
    let args = guessed.and_then(|g| g.get("args")).and_then(Value::as_object);
    let args: Vec<String> = args
        .into_iter()
        .flatten()
        .map(|(name, said)| {
            let class = said.get("class").and_then(Value::as_str).unwrap_or_default();
            format!("{name}: {class}")
        })
        .collect();
    let proven = guessed.and_then(|g| g.pointer("/approval/unless_proven")).is_some();
    let cases = guessed.and_then(|g| g.get("cases")).and_then(Value::as_array).map_or(0, Vec::len);
    let several = if cases > 0 { format!("{cases} cases; ") } else { String::new() };
    let line = format!(
        "{name:<40} {:<6} severity {} egress {:<8} {:<14} {several}{}",
        text("effect"),
        text("severity"),
        text("egress"),
        match (text("effect").as_str(), proven) {
            ("read", _) => "",
            (_, true) => "unless_proven",
            (_, false) => "asks",
        },
        args.join(", ")
    );
    super::show::inert_line(line.trim_end())
}

fn import(home: &Home, server: &str, as_json: bool) -> Result {
    let config = home.read()?;
    let Some(transport) = config.servers.get(server).cloned() else {
        let known: Vec<&str> = config.servers.keys().map(String::as_str).collect();
        let hint = format!("`servers` in aecl.yaml has: {}", known.join(", "));
        return Err(Error::new(format!("`{server}` is no configured server")).hint(hint));
    };
    let runtime = super::runtime()?;
    let report = runtime.block_on(import_now(home, server, transport)).map_err(Error::new)?;
    told(&report, &home.policy().join("actions").join(format!("mcp-{server}.json")), as_json);
    Ok(Exit::Done)
}

/// Shows what an import has done, and where its guesses are to be reviewed.
fn told(report: &Imported, file: &Path, as_json: bool) {
    if as_json {
        println!("{}", serde_json::to_value(report).unwrap_or_default());
        return;
    }
    for name in &report.added {
        println!("{}", guess(name, report.guessed.get(name)));
    }
    for name in &report.changed {
        println!("{name:<40} has other arguments now");
    }
    if !report.added.is_empty() {
        eprintln!(
            "these are guesses from names and descriptions (`--json` has the reasons): review them in `{}`",
            file.display()
        );
    }
    for (name, why) in &report.refused {
        super::show::say(&super::show::inert_line(&format!("not taken in: `{name}`: {why}")));
    }
    eprintln!("{} taken in; a running `aecl serve` takes it up by itself", report.added.len());
}
