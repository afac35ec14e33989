//! `aecl approvals`: what waits for a person, and the person's answer.

mod answer;
mod card;
mod keys;
mod plan;
mod watch;

use super::client;
use super::show::{self, Field, Page, Table, Tone};
use super::{Common, Error, Exit, Result};
use aecl_kernel::base::id::ApprovalId;
use clap::Subcommand;
use serde_json::Value;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aecl approvals                               what is open
  aecl approvals watch                         asks as it comes; one key answers
  aecl approvals show 57                       everything about one request
  aecl approvals approve 57 --reason 'checked with the vendor'
  aecl approvals approve apr_0199… --confirm 1212
  aecl approvals reject --last --reason 'unknown account'

A request is named by its number, which is never given again, or its id. A yes is for exactly what is shown, once, and expires. Exit codes of approve: 0 enough people agree,
4 more people have to.")]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show what is open, soonest end first.
    List(ListArgs),
    /// Show everything about one request: what will happen, why we ask, what cannot be undone.
    Show {
        /// Which: its number or its id.
        id: String,
    },
    /// Say yes to exactly what is shown.
    Approve(answer::Args),
    /// Say no.
    Reject(answer::Args),
    /// Show requests as they come, and take a person's answer by one key, until it is interrupted.
    Watch,
}

/// Which of those that are open.
#[derive(Debug, Default, clap::Args)]
struct ListArgs {
    /// What was asked last stands first.
    #[arg(long)]
    newest: bool,
    /// Go on where a page before has ended, as it said.
    #[arg(long, value_name = "PLACE")]
    after: Option<String>,
}

/// Runs it.
pub fn run(common: &Common, args: Args) -> Result {
    match args.command.unwrap_or(Command::List(ListArgs::default())) {
        Command::List(args) => list(common, &args),
        Command::Show { id } => one(common, &id),
        Command::Approve(args) => answer::run(common, &args, true),
        Command::Reject(args) => answer::run(common, &args, false),
        Command::Watch => watch::run(common),
    }
}

/// The path of a request, by its number or its id.
fn path(id: &str) -> std::result::Result<String, Error> {
    let wrong = |_| Error::new(format!("`{}` is no approval", show::inert_line(id)));
    ApprovalId::new(id)
        .map_err(wrong)
        .map_err(|e| e.hint("`aecl approvals list` shows their numbers and names (apr_…)"))?;
    Ok(format!("/v1/approvals/{}", client::segment(id)))
}

/// The path of a page of the queue.
fn page_of(newest: bool, after: Option<&str>) -> String {
    let after = after.map_or(String::new(), |after| format!("&after={}", client::segment(after)));
    format!("/v1/approvals?order={}{after}", if newest { "newest" } else { "ending" })
}

/// How many more wait than are shown.
fn more(queue: &Value, shown: usize) -> usize {
    let total = queue.pointer("/total").and_then(Value::as_u64).unwrap_or(0);
    usize::try_from(total).unwrap_or(usize::MAX).saturating_sub(shown)
}

/// A line for each server of which something waits that is not answered here.
fn changed_servers(queue: &Value, aecl: &str) -> Vec<String> {
    let line = |changed: &Value| {
        let (server, n) = (show::inert_line(&changed.text("/server")), changed.text("/waiting"));
        format!(
            "server `{server}` offers {n} otherwise than accepted: `{aecl} catalog diff {server}`, then `{aecl} catalog accept {server}`"
        )
    };
    queue.items("/changed_servers").iter().map(line).collect()
}

fn list(common: &Common, args: &ListArgs) -> Result {
    let path = page_of(args.newest, args.after.as_deref());
    let queue = client::ask(common, async |client| client.get(&path).await)?;
    if common.json {
        show::print_json(&queue);
        return Ok(Exit::Done);
    }
    let open = queue.items("/approvals");
    for line in changed_servers(&queue, &show::aecl(common)) {
        show::say(&line);
    }
    if open.is_empty() {
        show::say("Nothing waits for a person.");
        return Ok(Exit::Done);
    }
    let mut table = Table::new(&["NUMBER", "WHAT", "AGENT", "STATE", "EXPIRES", "APPROVAL"]);
    for ask in open {
        let state = ask.text("/state");
        let tone = if state == "pending" { Tone::Mind } else { Tone::Good };
        table.row(vec![
            (Tone::Strong, ask.text("/number")),
            (Tone::Strong, ask.text("/summary/title")),
            (Tone::Plain, ask.text("/agent")),
            (tone, state),
            (Tone::Quiet, ask.text("/expires_at")),
            (Tone::Quiet, ask.text("/id")),
        ]);
    }
    let mut page = Page::new();
    page.table(&table).print();
    let next = queue.text("/next");
    if !next.is_empty() {
        let newest = if args.newest { " --newest" } else { "" };
        let aecl = show::aecl(common);
        let left = match args.after {
            None => format!("and {} more", more(&queue, open.len())),
            Some(_) => format!("{} in all", queue.text("/total")),
        };
        show::say(&format!("{left}: `{aecl} approvals list{newest} --after {next}`"));
    }
    Ok(Exit::Done)
}

fn one(common: &Common, id: &str) -> Result {
    let path = path(id)?;
    let full = client::ask(common, async |client| client.get(&path).await)?;
    if common.json {
        show::print_json(&full);
    } else {
        card::full(&full, &show::aecl(common)).print();
    }
    Ok(Exit::Done)
}
