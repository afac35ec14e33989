//! `aecl log show`.

use super::entry;
use super::source::{Row, Source};
use crate::cli::show::{self, Field, Page, inert_line};
use crate::cli::{Common, Error, Exit, Result};
use aecl_kernel::base::traffic::Traffic;
use aecl_kernel::record::event::Event;
use aecl_ledger::PayloadKind;
use serde_json::{Value, json};

/// Entries read at once.
const CHUNK: usize = 512;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A position, an action (act_…) or a run (run_…).
    #[arg(value_name = "POSITION|ACTION|RUN")]
    which: String,
}

pub(super) fn run(common: &Common, args: &Args) -> Result {
    let mut source = Source::open(common)?;
    let which = args.which.as_str();
    if let Ok(position) = which.parse::<u64>() {
        let row = source.from(position, 1)?.into_iter().find(|r| r.entry.position == position);
        let size = source.size()?;
        let row = row.ok_or_else(|| {
            unknown(&format!("there is no entry {position}"))
                .hint(format!("the ledger has {size} entries, from 0 on"))
        })?;
        return full(common, &mut source, &[row]);
    }
    if which.starts_with("run_") {
        return of_run(common, &mut source, which);
    }
    let rows = source.of_action(which)?;
    if rows.is_empty() {
        return Err(unknown(&format!("there is no action or run `{}` on record", inert_line(which)))
            .hint("`aecl log tail` shows the latest; names are act_… and run_…, positions are numbers"));
    }
    full(common, &mut source, &rows)
}

/// There is no such run.
pub(super) fn no_run(run: &str) -> Error {
    unknown(&format!("there is no run `{}` on record", inert_line(run)))
        .hint("`aecl log tail` shows the latest entries with their runs")
}

fn unknown(message: &str) -> Error {
    let error = Error::new(message);
    Error { code: Some("record_unknown".into()), ..error }
}

/// Entries with everything behind them.
fn full(common: &Common, source: &mut Source, rows: &[Row]) -> Result {
    let mut page = Page::new();
    let mut all = Vec::new();
    for row in rows {
        let papers = papers(source, row)?;
        if common.json {
            let papers: serde_json::Map<String, Value> =
                papers.into_iter().map(|(n, v)| (n.to_owned(), v)).collect();
            all.push(json!({"entry": row.json, "payloads": papers}));
            continue;
        }
        let line = entry::line(&page, source, row);
        page.line(line);
        for (name, value) in &papers {
            page.heading(&format!("  {name}")).json(value);
        }
        if let Event::Concluded(e) = &row.entry.event {
            traffic(&mut page, e.traffic.as_ref());
        }
        if let Event::Ruled(e) = &row.entry.event {
            let mut readings = e.evidence.iter().filter_map(|evidence| evidence.resource.as_ref()).peekable();
            if readings.peek().is_some() {
                page.heading("What it acts on");
            }
            for reading in readings {
                let by = reading.action.as_ref().map_or_else(String::new, |by| format!(" ({by})"));
                page.item(&format!("{}{by}", reading.told()));
            }
        }
        if let Some(decision) = row.json.get("decision") {
            page.decision(decision, None);
        }
        page.heading("  The entry, as it was hashed").json(&row.json).gap();
    }
    if common.json {
        show::print_json(&json!({ "entries": all }));
    } else {
        page.print();
    }
    Ok(Exit::Done)
}

/// Whom a program reached from its cage, and whom it wanted to reach.
pub(in crate::cli) fn traffic(page: &mut Page, traffic: Option<&Traffic>) {
    let Some(traffic) = traffic else { return };
    page.heading("  Connections");
    page.line(format!(
        "  {} let through, {} refused; {} bytes out, {} bytes in",
        traffic.let_through, traffic.refused, traffic.out_bytes, traffic.in_bytes
    ));
    for connection in &traffic.connections {
        page.item(&connection.to_string());
    }
    if traffic.unlisted > 0 {
        page.item(&format!("and {} more of other kinds, which are only counted", traffic.unlisted));
    }
}

/// What an entry commits to.
fn papers(source: &mut Source, row: &Row) -> std::result::Result<Vec<(&'static str, Value)>, Error> {
    let (name, kind, digest) = match &row.entry.event {
        Event::Ruled(e) => ("arguments", PayloadKind::Arguments, Some(e.arguments)),
        Event::Concluded(e) => ("output", PayloadKind::Output, e.output),
        Event::RunOpened(e) => ("goal", PayloadKind::Stated, Some(e.stated)),
        // A bundle's sources are many files; `--json` of replay gives them.
        _ => return Ok(Vec::new()),
    };
    let Some(digest) = digest else { return Ok(Vec::new()) };
    let value = source.paper(kind, &digest)?.unwrap_or_else(|| Value::String("(erased, or not kept)".into()));
    Ok(vec![(name, value)])
}

fn of_run(common: &Common, source: &mut Source, run: &str) -> Result {
    let mut after = None;
    let mut all = Vec::new();
    loop {
        let rows = source.of_run(run, after, CHUNK)?;
        let Some(last) = rows.last() else { break };
        after = Some(last.entry.position);
        for row in &rows {
            let papers = papers(source, row)?;
            if common.json {
                let papers: serde_json::Map<String, Value> =
                    papers.into_iter().map(|(n, v)| (n.to_owned(), v)).collect();
                all.push(json!({"entry": row.json, "payloads": papers}));
                continue;
            }
            let mut page = Page::new();
            let line = entry::line(&page, source, row);
            page.line(line);
            for (_, value) in &papers {
                match &row.entry.event {
                    Event::RunOpened(_) => page.quote(&value.text("/text")),
                    _ => page.json(value),
                };
            }
            if !page.print() {
                return Ok(Exit::Done);
            }
        }
    }
    if after.is_none() {
        return Err(no_run(run));
    }
    if common.json {
        show::print_json(&json!({"run": run, "entries": all}));
    }
    Ok(Exit::Done)
}
