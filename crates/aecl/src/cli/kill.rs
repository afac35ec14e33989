//! `aecl kill`: stops everything, a tenant, an agent or a run, at once and until it is lifted.

use super::client;
use super::show::{self, Field, Page, Table, Tone};
use super::{Common, Error, Exit, Result};
use clap::Subcommand;
use serde_json::{Value, json};

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  aecl kill --all --reason 'strange transfers'
  aecl kill --agent assistant --reason 'reads other people\\'s mail'
  aecl kill list
  aecl kill lift --agent assistant --reason 'mailbox separated'

What is underway is concluded; nothing new begins, whatever policy and people say."
)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    switch: Switch,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the kill switches that are on.
    List,
    /// Let go on what a switch of the same scope has stopped.
    Lift(Switch),
}

#[derive(Debug, clap::Args)]
struct Switch {
    #[command(flatten)]
    scope: Scope,
    /// Why; it is recorded and shown to whoever is stopped.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

#[derive(Debug, clap::Args)]
#[group(multiple = false)]
struct Scope {
    /// Everything.
    #[arg(long)]
    all: bool,
    /// A tenant.
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// An agent, in all its runs.
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    /// A run, and the runs delegated from it.
    #[arg(long, value_name = "RUN")]
    run: Option<String>,
}

/// Runs it.
pub fn run(common: &Common, args: Args) -> Result {
    match args.command {
        Some(Command::List) => list(common),
        Some(Command::Lift(switch)) => turn(common, &switch, "/v1/kill/lift", "Lifted"),
        None => turn(common, &args.switch, "/v1/kill", "Stopped"),
    }
}

fn turn(common: &Common, switch: &Switch, path: &str, done: &str) -> Result {
    let (scope, shown) = scope(&switch.scope)?;
    let reason = switch.reason.as_deref().filter(|r| !r.trim().is_empty());
    let reason = reason.ok_or_else(|| {
        Error::new("why?").hint("give --reason; it is recorded, and shown to whoever is stopped")
    })?;
    let body = json!({"scope": scope, "reason": reason});
    let answer = client::ask(common, async |client| client.post(path, &body).await)?;
    if common.json {
        show::print_json(&answer);
    } else {
        let mut page = Page::new();
        let tone = if done == "Stopped" { Tone::Bad } else { Tone::Good };
        page.line(format!("{}: {}", page.word(tone, done), show::inert_line(&shown))).print();
    }
    Ok(Exit::Done)
}

fn scope(scope: &Scope) -> std::result::Result<(Value, String), Error> {
    let named = |kind: &str, name: &String| (json!({ kind: name }), format!("{kind} {name}"));
    match scope {
        Scope { all: true, .. } => Ok((json!("all"), "everything".into())),
        Scope { tenant: Some(name), .. } => Ok(named("tenant", name)),
        Scope { agent: Some(name), .. } => Ok(named("agent", name)),
        Scope { run: Some(name), .. } => Ok(named("run", name)),
        Scope { .. } => Err(Error::new("what?")
            .hint("give --all, --tenant NAME, --agent NAME or --run RUN; `aecl kill list` shows what is on")),
    }
}

fn list(common: &Common) -> Result {
    let answer = client::ask(common, async |client| client.get("/v1/kill").await)?;
    if common.json {
        show::print_json(&answer);
        return Ok(Exit::Done);
    }
    let kills = answer.items("/kills");
    if kills.is_empty() {
        show::say("No kill switch is on.");
        return Ok(Exit::Done);
    }
    let mut table = Table::new(&["STOPPED", "BY", "AT", "WHY"]);
    for kill in kills {
        table.plain(&[&kill.text("/scope"), &kill.text("/by"), &kill.text("/at"), &kill.text("/reason")]);
    }
    let mut page = Page::new();
    page.table(&table).print();
    Ok(Exit::Done)
}
