//! `aecl resolve`: says what an unknown outcome turned out to be. Until then nothing is repeated and budgets
//! stay held.

use super::show::{self, Field, Page, Tone};
use super::{Common, Error, Exit, Result, client};
use aecl_kernel::base::id::ActionId;
use serde_json::json;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aecl resolve act_0199… --done --note 'transfer 4711 is on the statement'
  aecl resolve act_0199… --not-done --note 'the bank has no such transfer'

Find out at the target first: what is said here is recorded under your name, and budgets follow it.")]
pub struct Args {
    /// The action whose outcome is unknown.
    #[arg(value_name = "ACTION")]
    action: String,
    #[command(flatten)]
    what: What,
    /// How that was found out.
    #[arg(long, value_name = "TEXT")]
    note: String,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct What {
    /// It happened.
    #[arg(long)]
    done: bool,
    /// It did not happen.
    #[arg(long)]
    not_done: bool,
}

/// Runs it.
pub fn run(common: &Common, args: Args) -> Result {
    let id = ActionId::new(&args.action)?;
    if args.note.trim().is_empty() {
        return Err(Error::new("how was that found out?").hint("say it with --note; it is recorded"));
    }
    let body = json!({"done": args.what.done, "note": args.note});
    let path = format!("/v1/actions/{}/resolve", client::segment(id.as_str()));
    let answer = client::ask(common, async |client| client.post(&path, &body).await)?;
    if common.json {
        show::print_json(&answer);
    } else {
        let mut page = Page::new();
        let word = page.word(Tone::Good, "Recorded");
        page.line(format!("{word}: {id} is {}", show::inert_line(&answer.text("/state")))).print();
    }
    Ok(Exit::Done)
}
