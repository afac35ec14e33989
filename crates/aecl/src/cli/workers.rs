//! `aecl workers`: programs that carry out actions with credentials of their own: who is connected, and with what.

use super::client;
use super::show::{self, Field as _, Page, Table, Tone, count};
use super::{Common, Error, Exit, Result};
use aecl_gate::config::Home;
use serde_json::{Value, json};

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aecl workers
  aecl workers --json | jq '.actions'

`ready` takes calls, `draining` ends what it has, `silent` was not heard for a while and gets nothing, `reporting` has
lost its line and still may report. `aecl keys add worker NAME --action ACTION` makes a key.")]
pub struct Args {}

/// Runs it.
pub fn run(common: &Common, _: Args) -> Result {
    let home = Home::new(&common.dir);
    if !home.config().is_file() {
        let error = Error::new(format!("there is no AECL in `{}`", home.dir().display()));
        return Err(error.hint("`aecl init` sets one up, or say where it is with --dir"));
    }
    // Workers are connected to a server that runs; one that is started for this command has none.
    let answer = super::runtime()?.block_on(async {
        match client::served(common).await {
            Some(client) => client.get("/v1/workers").await.map(Some),
            None => Ok(None),
        }
    })?;
    let Some(answer) = answer else {
        if common.json {
            show::print_json(&json!({"known": {}, "connected": [], "waiting": {}, "actions": {}}));
        }
        show::say("Nobody serves this home, so no worker is connected; `aecl serve` does.");
        return Ok(Exit::Done);
    };
    if common.json {
        show::print_json(&answer);
        return Ok(Exit::Done);
    }
    page(&answer).print();
    Ok(Exit::Done)
}

fn page(answer: &Value) -> Page {
    let mut page = Page::new();
    let connected = answer.items("/connected");
    if connected.is_empty() {
        page.line("No worker is connected.");
    } else {
        let mut table = Table::new(&["WORKER", "STATE", "SERVES", "IN FLIGHT", "HEARD", "PROCESS"]);
        for worker in connected {
            let number = |at: &str| worker.pointer(at).and_then(Value::as_u64).unwrap_or_default();
            let serves = worker.pointer("/serves").and_then(Value::as_object);
            let serves: Vec<&str> = serves.into_iter().flatten().map(|(name, _)| name.as_str()).collect();
            let instance: String = worker.text("/instance").chars().take(8).collect();
            table.plain(&[
                &worker.text("/worker"),
                &worker.text("/state"),
                &serves.join(", "),
                &format!("{} of {}", number("/in_flight"), number("/slots")),
                &format!("{} s ago", number("/heard_s")),
                &instance,
            ]);
        }
        page.table(&table);
    }
    let named = |at: &str| answer.pointer(at).and_then(Value::as_object).into_iter().flatten();
    for (action, waiting) in named("/waiting") {
        let calls = usize::try_from(waiting.as_u64().unwrap_or_default()).unwrap_or_default();
        page.line(format!("{} of `{}` wait for a worker", count(calls, "call"), show::inert_line(action)));
    }
    for (action, _) in named("/actions").filter(|(_, workers)| workers.as_u64() == Some(0)) {
        page.toned(
            Tone::Mind,
            &format!("`{}`: no worker that is connected takes it", show::inert_line(action)),
        );
    }
    page
}
