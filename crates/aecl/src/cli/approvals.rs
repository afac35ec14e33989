//! `aecl approvals`: what waits for a person, and the person's answer.

mod answer;
mod card;
mod plan;
mod watch;

use super::client;
use super::show::{self, Field, Page, Table, Tone};
use super::{Common, Error, Exit, Result};
use aecl_kernel::id::ApprovalId;
use clap::Subcommand;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aecl approvals                               what is open
  aecl approvals watch                         tells as it comes
  aecl approvals show apr_0199…                everything about one request
  aecl approvals approve apr_0199… --reason 'checked with the vendor'
  aecl approvals approve apr_0199… --confirm 1212
  aecl approvals reject apr_0199… --reason 'unknown account'

A yes is for exactly what is shown, once, and expires. Exit codes of approve: 0 enough people agree,
4 more people have to.")]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show what is open, oldest first.
    List,
    /// Show everything about one request: what will happen, why we ask, what cannot be undone.
    Show {
        /// Which.
        id: String,
    },
    /// Say yes to exactly what is shown.
    Approve(answer::Args),
    /// Say no.
    Reject(answer::Args),
    /// Show requests as they come, until it is interrupted.
    Watch,
}

/// Runs it.
pub fn run(common: &Common, args: Args) -> Result {
    match args.command.unwrap_or(Command::List) {
        Command::List => list(common),
        Command::Show { id } => one(common, &id),
        Command::Approve(args) => answer::run(common, &args, true),
        Command::Reject(args) => answer::run(common, &args, false),
        Command::Watch => watch::run(common),
    }
}

/// The path of a request.
fn path(id: &str) -> std::result::Result<String, Error> {
    let wrong = |_| Error::new(format!("`{}` is no approval", show::inert_line(id)));
    ApprovalId::new(id)
        .map_err(wrong)
        .map_err(|e| e.hint("`aecl approvals list` shows their names (apr_…)"))?;
    Ok(format!("/v1/approvals/{}", client::segment(id)))
}

fn list(common: &Common) -> Result {
    let queue = client::ask(common, async |client| client.get("/v1/approvals").await)?;
    if common.json {
        show::print_json(&queue);
        return Ok(Exit::Done);
    }
    let open = queue.items("/approvals");
    if open.is_empty() {
        show::say("Nothing waits for a person.");
        return Ok(Exit::Done);
    }
    let mut table = Table::new(&["APPROVAL", "WHAT", "AGENT", "STATE", "ASKED", "EXPIRES"]);
    for ask in open {
        let state = ask.text("/state");
        let tone = if state == "pending" { Tone::Mind } else { Tone::Good };
        table.row(vec![
            (Tone::Plain, ask.text("/id")),
            (Tone::Strong, ask.text("/summary/title")),
            (Tone::Plain, ask.text("/agent")),
            (tone, state),
            (Tone::Quiet, ask.text("/asked_at")),
            (Tone::Quiet, ask.text("/expires_at")),
        ]);
    }
    let mut page = Page::new();
    page.table(&table).print();
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
