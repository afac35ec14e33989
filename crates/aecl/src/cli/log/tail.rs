//! `aecl log tail`.

use super::entry;
use super::source::{Row, Source};
use crate::cli::show::{self, Page};
use crate::cli::{Common, Error, Exit, Result, runtime};
use aecl_kernel::record::event::Event;
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

/// How often new entries are looked for.
const EVERY: Duration = Duration::from_millis(250);
/// Entries read at once.
const CHUNK: usize = 512;
/// Most runs whose agents are remembered.
const RUNS_MAX: usize = 10_000;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Go on as entries come, until it is interrupted.
    #[arg(short, long)]
    follow: bool,
    /// How many of the latest entries to begin with, of those that are shown.
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 20)]
    lines: usize,
    /// Also show heartbeats.
    #[arg(long)]
    all: bool,
    /// Only entries of this agent.
    #[arg(long, value_name = "AGENT")]
    agent: Option<String>,
    /// Only entries of this run.
    #[arg(long, value_name = "RUN")]
    run: Option<String>,
}

pub(super) fn run(common: &Common, args: &Args) -> Result {
    let mut source = Source::open(common)?;
    let mut wanted = Wanted { args, agents: HashMap::new() };
    let mut next = source.size()?;
    for row in latest(&mut wanted, &mut source, next)? {
        if !print(common, &mut source, &row) {
            return Ok(Exit::Done);
        }
    }
    if !args.follow {
        return Ok(Exit::Done);
    }
    runtime()?.block_on(async {
        let mut ticks = tokio::time::interval(EVERY);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                _ = tokio::signal::ctrl_c() => return Ok(Exit::Done),
            }
            if !print_from(common, &mut wanted, &mut source, &mut next)? {
                return Ok(Exit::Done);
            }
        }
    })
}

/// Which entries are shown.
struct Wanted<'a> {
    args: &'a Args,
    /// The agents of runs that were looked at.
    agents: HashMap<String, String>,
}

impl Wanted<'_> {
    fn shows(&mut self, source: &mut Source, row: &Row) -> std::result::Result<bool, Error> {
        if !self.args.all && matches!(row.entry.event, Event::Heartbeat(_)) {
            return Ok(false);
        }
        let run = row.entry.run.as_ref().map(|run| run.as_str());
        if self.args.run.is_some() && self.args.run.as_deref() != run {
            return Ok(false);
        }
        let Some(agent) = &self.args.agent else { return Ok(true) };
        let Some(run) = run else { return Ok(false) };
        if let Some(known) = self.agents.get(run) {
            return Ok(known == agent);
        }
        let found = source.of_run(run, None, 1)?.into_iter().find_map(|row| match row.entry.event {
            Event::RunOpened(opened) => Some(opened.principal.agent.to_string()),
            _ => None,
        });
        if self.agents.len() >= RUNS_MAX {
            self.agents.clear();
        }
        let found = found.unwrap_or_default();
        let same = found == *agent;
        self.agents.insert(run.to_owned(), found);
        Ok(same)
    }
}

/// The latest entries that are shown, in order: looked for from the end, however many are not.
fn latest(
    wanted: &mut Wanted<'_>,
    source: &mut Source,
    size: u64,
) -> std::result::Result<VecDeque<Row>, Error> {
    let (mut found, mut end) = (VecDeque::new(), size);
    while end > 0 && found.len() < wanted.args.lines {
        let begin = end.saturating_sub(CHUNK as u64);
        let rows = source.from(begin, CHUNK)?;
        for row in rows.into_iter().rev().filter(|row| row.entry.position < end) {
            if found.len() < wanted.args.lines && wanted.shows(source, &row)? {
                found.push_front(row);
            }
        }
        end = begin;
    }
    Ok(found)
}

/// Prints what is there from `next` on. Gives whether anybody reads on.
fn print_from(
    common: &Common,
    wanted: &mut Wanted<'_>,
    source: &mut Source,
    next: &mut u64,
) -> std::result::Result<bool, Error> {
    loop {
        let rows = source.from(*next, CHUNK)?;
        if rows.is_empty() {
            return Ok(true);
        }
        for row in &rows {
            *next = row.entry.position + 1;
            if wanted.shows(source, row)? && !print(common, source, row) {
                return Ok(false);
            }
        }
    }
}

fn print(common: &Common, source: &mut Source, row: &Row) -> bool {
    if common.json {
        return show::print_json_line(&row.json);
    }
    let mut page = Page::new();
    let line = entry::line(&page, source, row);
    page.line(line).print()
}
