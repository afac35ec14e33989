//! `aecl log replay`: history, again. Every decision is made anew from what was recorded and must come out
//! byte for byte the same; with another policy, it shows what would change.

use super::entry;
use super::source::Source;
use crate::cli::show::{self, Page, Table, Tone, count};
use crate::cli::{Common, Error, Exit, Result};
use aecl_gate::loader;
use aecl_kernel::base::id::ActionId;
use aecl_kernel::record::event::Event;
use aecl_ledger::replay::{self, Compared, DecisionSummary, Redecided, Unavailable};
use serde_json::json;
use std::collections::BTreeSet;
use std::ops::Range;
use std::path::PathBuf;

/// Entries read at once.
const CHUNK: usize = 512;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A run (run_…); by default everything.
    #[arg(value_name = "RUN")]
    run: Option<String>,
    /// Ask this bundle instead of the policy of then, and show which decisions change.
    #[arg(long, value_name = "DIR")]
    against: Option<PathBuf>,
}

/// What is made again.
struct Part {
    range: Range<u64>,
    /// The actions of the run; without a run all are meant.
    actions: Option<BTreeSet<ActionId>>,
}

impl Part {
    fn has(&self, action: &ActionId) -> bool {
        self.actions.as_ref().is_none_or(|actions| actions.contains(action))
    }
}

pub(super) fn run(common: &Common, args: &Args) -> Result {
    let bundle = args.against.as_deref().map(loader::load).transpose()?;
    let mut source = Source::open(common)?;
    let part = match &args.run {
        None => Part { range: 0..source.size()?, actions: None },
        Some(run) => of_run(common, &mut source, run)?,
    };
    match bundle {
        None => {
            let mut again = replay::redecide(source.store(), part.range.clone())?;
            again.mismatches.retain(|m| part.has(&m.action));
            if let Some(actions) = &part.actions {
                again.decisions = decisions(&mut source, &part, actions)?;
            }
            same(common, &again)
        }
        Some(bundle) => {
            let mut compared = replay::against(source.store(), part.range.clone(), &bundle)?;
            compared.changes.retain(|c| part.has(&c.action));
            if let Some(actions) = &part.actions {
                compared.decisions = decisions(&mut source, &part, actions)?;
            }
            changed(common, &compared)
        }
    }
}

/// Prints the steps of a run, and gives what it spans.
fn of_run(common: &Common, source: &mut Source, run: &str) -> std::result::Result<Part, Error> {
    let (mut after, mut first) = (None, None);
    let mut actions = BTreeSet::new();
    loop {
        let rows = source.of_run(run, after, CHUNK)?;
        let Some(last) = rows.last() else { break };
        after = Some(last.entry.position);
        for row in &rows {
            first.get_or_insert(row.entry.position);
            if let Event::Ruled(ruled) = &row.entry.event {
                actions.insert(ruled.action.clone());
            }
            if !common.json {
                let mut page = Page::new();
                let line = entry::line(&page, source, row);
                page.line(line).print();
            }
        }
    }
    match (first, after) {
        (Some(first), Some(last)) => Ok(Part { range: first..last + 1, actions: Some(actions) }),
        _ => Err(super::show::no_run(run)),
    }
}

/// How many decisions about these actions there are.
fn decisions(
    source: &mut Source,
    part: &Part,
    actions: &BTreeSet<ActionId>,
) -> std::result::Result<u64, Error> {
    let mut n = 0;
    for action in actions {
        let rows = source.of_action(action.as_str())?;
        let ruled = |r: &&super::source::Row| {
            matches!(r.entry.event, Event::Ruled(_)) && part.range.contains(&r.entry.position)
        };
        n += rows.iter().filter(ruled).count() as u64;
    }
    Ok(n)
}

fn same(common: &Common, again: &Redecided) -> Result {
    let holds = again.mismatches.is_empty();
    if common.json {
        show::print_json(&json!({"same": holds, "replay": again}));
        return Ok(if holds { Exit::Done } else { Exit::Unverified });
    }
    let mut page = Page::new();
    let n = count(usize::try_from(again.decisions).unwrap_or(usize::MAX), "decision");
    if holds {
        let word = page.word(Tone::Good, "Same");
        page.line(format!("{word}: {n} made again with the policy of then, each byte for byte as recorded."));
    } else {
        let word = page.word(Tone::Bad, "Not the same");
        page.line(format!("{word}: {n} made again, {} come out otherwise.", again.mismatches.len()));
    }
    for mismatch in &again.mismatches {
        page.field(
            "entry",
            &format!("{} ({}): its {} differs", mismatch.position, mismatch.action, mismatch.what),
        );
        page.field("recorded", "").quote(&mismatch.recorded);
        page.field("now", "").quote(&mismatch.now);
    }
    left_out(&mut page, &again.unavailable);
    if again.turned_away > 0 {
        let n = count(usize::try_from(again.turned_away).unwrap_or(usize::MAX), "proposal");
        page.field("not made again", &format!("{n} turned away at the door, whose arguments are not kept"));
    }
    page.print();
    Ok(if holds { Exit::Done } else { Exit::Unverified })
}

fn changed(common: &Common, compared: &Compared) -> Result {
    if common.json {
        show::print_json(&json!({"changes": compared.changes.len(), "replay": compared}));
        return Ok(Exit::Done);
    }
    let mut page = Page::new();
    let n = count(usize::try_from(compared.decisions).unwrap_or(usize::MAX), "decision");
    page.line(format!("{n} made again with the other policy, {} changed.", compared.changes.len()));
    if !compared.changes.is_empty() {
        let mut table = Table::new(&["ENTRY", "AGENT", "ACTION", "WAS", "WOULD BE", "WHY"]);
        for change in &compared.changes {
            let (was, now) = (word(&change.was), word(&change.now));
            table.row(vec![
                (Tone::Quiet, change.position.to_string()),
                (Tone::Plain, change.agent.to_string()),
                (Tone::Plain, change.name.clone()),
                was,
                now,
                (Tone::Plain, change.now.reason.clone()),
            ]);
        }
        page.table(&table);
    }
    left_out(&mut page, &compared.unavailable);
    page.print();
    Ok(Exit::Done)
}

fn word(outcome: &DecisionSummary) -> (Tone, String) {
    let (tone, word) = crate::cli::policy::word(outcome.verdict);
    (tone, word.to_owned())
}

fn left_out(page: &mut Page, unavailable: &[Unavailable]) {
    for one in unavailable {
        page.field("left out", &format!("entry {}: {}", one.position, one.why));
    }
}
