//! `aecl clock`: the time by which everything is judged, and how the wall clock stands to it.

use super::client;
use super::show::{self, Field as _, Page, Tone, duration};
use super::{Common, Exit, Result};
use clap::Subcommand;
use serde_json::{Value, json};

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aecl clock
  aecl clock accept

Time goes on from the last entry of the record. A wall clock that is behind makes it go a little slower until both
agree; a jump ahead is taken over when it has stayed for a quarter of an hour (one of more than a day: for a day), or
when an operator accepts it, which is recorded.")]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Take over a jump ahead of the wall clock at once.
    Accept,
}

/// Runs it.
pub fn run(common: &Common, args: &Args) -> Result {
    let answer = client::ask(common, async |client| match args.command {
        None => client.get("/v1/clock").await,
        Some(Command::Accept) => client.post("/v1/clock/accept", &json!({})).await,
    })?;
    if common.json {
        show::print_json(&answer);
        return Ok(Exit::Done);
    }
    let mut page = Page::new();
    if let Some(by_s) = answer.get("accepted_s").and_then(Value::as_u64) {
        page.line(format!("{}: {} ahead", page.word(Tone::Good, "Accepted"), duration(by_s)));
    } else if args.command.is_some() {
        page.line("There is no jump to accept.");
    }
    page.line(sentence(&answer)).print();
    Ok(Exit::Done)
}

fn sentence(answer: &Value) -> String {
    let number = |name: &str| answer.get(name).and_then(Value::as_u64).unwrap_or(0);
    let (now, by) = (answer.text("/now"), duration(number("by_s")));
    match answer.text("/standing").as_str() {
        "behind" => {
            format!("{now}. The wall clock is {by} behind; time goes on without it, a little slower.")
        }
        "ahead" => format!(
            "{now}. The wall clock has jumped {by} ahead; it is believed in {} if it stays so, or now by `aecl clock accept`.",
            duration(number("believed_in_s"))
        ),
        _ => format!("{now}. The wall clock agrees."),
    }
}
