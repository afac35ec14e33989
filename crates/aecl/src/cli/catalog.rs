//! `aecl catalog`: what was imported from MCP servers, what changed, and a person's yes to a change.

use super::{Common, Error, Exit, Result};
use crate::mcp::catalogue::{self, CatalogueError, Seen};
use crate::mcp::import_now;
use aecl_gate::config::Home;
use aecl_gate::loader;
use aecl_kernel::catalogue::TypedAction;
use serde_json::{Value, json};
use std::collections::BTreeSet;

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
        /// Only this one, as SERVER.TOOL.
        tool: Option<String>,
    },
    /// Accept what the server offers now.
    Accept {
        /// Which, as SERVER.TOOL.
        tool: String,
    },
    /// Take the tools of a configured server into the catalogue without a client.
    Import {
        /// The server's name in aecl.yaml.
        server: String,
    },
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
        Command::Diff { tool } => diff(&home, tool.as_deref(), common.json),
        Command::Accept { tool } => accept(&home, &tool, common.json),
        Command::Import { server } => import(&home, &server, common.json),
    }
}

impl From<CatalogueError> for Error {
    fn from(e: CatalogueError) -> Self {
        let hint = match &e {
            CatalogueError::Policy(_) => Some("`aecl policy check` shows what is wrong"),
            CatalogueError::Unknown(_) => Some("`aecl catalog diff` shows what waits to be accepted"),
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
    let changed: BTreeSet<String> = changes(home)?.into_iter().map(|change| change.name).collect();
    let rows = bundle.catalogue().iter().map(|(name, typed)| row(name.as_str(), typed, &changed));
    if as_json {
        println!("{}", Value::Array(rows.collect()));
        return Ok(Exit::Done);
    }
    for row in rows {
        let text = |key: &str| row.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let flags =
            if text("state") == "accepted" { String::new() } else { format!("  [{}]", text("state")) };
        println!("{:<40} {:<8} {:<14}{flags}", text("name"), text("effect"), text("reversibility"));
    }
    Ok(Exit::Done)
}

fn row(name: &str, typed: &TypedAction, changed: &BTreeSet<String>) -> Value {
    let manifest = &typed.manifest;
    let state = if changed.contains(name) { "changed" } else { "accepted" };
    json!({
        "name": name,
        "effect": manifest.effect.name(),
        "reversibility": manifest.reversibility().name(),
        "connector": manifest.connector.get("kind"),
        "pin": manifest.pin,
        "state": state,
    })
}

struct Change {
    name: String,
    seen: Seen,
}

/// Every tool of which another definition is offered.
fn changes(home: &Home) -> std::result::Result<Vec<Change>, Error> {
    let mut out = Vec::new();
    for server in catalogue::servers(home)? {
        for (tool, seen) in catalogue::seen(home, &server)? {
            if seen.offered.is_some() {
                out.push(Change { name: crate::mcp::names::action(&server, &tool), seen });
            }
        }
    }
    Ok(out)
}

fn diff(home: &Home, only: Option<&str>, as_json: bool) -> Result {
    let mut found = changes(home)?;
    found.retain(|change| only.is_none_or(|only| change.name == only));
    if as_json {
        let rows = found
            .iter()
            .map(|c| json!({"name": c.name, "accepted": c.seen.accepted, "offered": c.seen.offered}));
        println!("{}", Value::Array(rows.collect()));
        return Ok(Exit::Done);
    }
    if found.is_empty() {
        println!("nothing has changed");
    }
    for change in &found {
        println!("{}", change.name);
        let member = |of: &Option<Value>, key: &str| of.as_ref().and_then(|v| v.get(key)).cloned();
        for key in ["description", "inputSchema", "outputSchema", "annotations"] {
            let (before, after) = (member(&change.seen.accepted, key), member(&change.seen.offered, key));
            if before != after {
                println!("  {key}");
                show('-', before.as_ref());
                show('+', after.as_ref());
            }
        }
        println!("  accept it with `aecl catalog accept {}`", change.name);
    }
    Ok(Exit::Done)
}

/// A value on lines of its own. It is a stranger's text, so nothing in it may steer the terminal.
fn show(sign: char, value: Option<&Value>) {
    let text = match value {
        None => return,
        Some(Value::String(text)) => text.clone(),
        Some(other) => serde_json::to_string_pretty(other).unwrap_or_default(),
    };
    for line in text.lines() {
        let line: String = line.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
        println!("    {sign} {line}");
    }
}

fn split(tool: &str) -> std::result::Result<(&str, &str), Error> {
    let hint = "write it as SERVER.TOOL, such as `filesystem.write_file`";
    tool.split_once('.').ok_or_else(|| Error::new(format!("`{tool}` names no tool of a server")).hint(hint))
}

fn accept(home: &Home, tool: &str, as_json: bool) -> Result {
    let (server, name) = split(tool)?;
    let entry = catalogue::accept(home, server, name)?;
    if as_json {
        println!("{entry}");
    } else {
        let effect = entry.get("effect").and_then(Value::as_str).unwrap_or_default();
        println!("`{tool}` is accepted as it is offered now (effect `{effect}`)");
        eprintln!("a running `aecl serve` takes it up by itself");
    }
    Ok(Exit::Done)
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
    let line = format!(
        "{name:<40} {:<6} severity {} egress {:<8} {}",
        text("effect"),
        text("severity"),
        text("egress"),
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
    if as_json {
        println!("{}", serde_json::to_value(&report).unwrap_or_default());
    } else {
        for name in &report.added {
            println!("{}", guess(name, report.guessed.get(name)));
        }
        if !report.added.is_empty() {
            eprintln!(
                "roles, severity and reach are guesses from names: review them in `{}`",
                home.policy().join("actions").join(format!("mcp-{server}.json")).display()
            );
        }
        for (tool, why) in &report.refused {
            eprintln!("not taken in: `{tool}`: {why}");
        }
        eprintln!("{} taken in; a running `aecl serve` takes it up by itself", report.added.len());
    }
    Ok(Exit::Done)
}
