//! `aecl log tail`.

use super::entry;
use super::source::{Row, Source};
use crate::cli::show::{self, Page};
use crate::cli::{Common, Error, Exit, Result, runtime};
use aecl_kernel::event::Event;
use std::time::Duration;

/// How often new entries are looked for.
const EVERY: Duration = Duration::from_millis(250);
/// Entries read at once.
const CHUNK: usize = 512;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Go on as entries come, until it is interrupted.
    #[arg(short, long)]
    follow: bool,
    /// How many of the latest entries to begin with.
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 20)]
    lines: u64,
    /// Also show heartbeats.
    #[arg(long)]
    all: bool,
}

pub(super) fn run(common: &Common, args: &Args) -> Result {
    let mut source = Source::open(common)?;
    let size = source.size()?;
    let mut next = size.saturating_sub(args.lines);
    if !print_from(common, args, &mut source, &mut next)? || !args.follow {
        return Ok(Exit::Done);
    }
    runtime()?.block_on(async {
        let mut ticks = tokio::time::interval(EVERY);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                _ = tokio::signal::ctrl_c() => return Ok(Exit::Done),
            }
            if !print_from(common, args, &mut source, &mut next)? {
                return Ok(Exit::Done);
            }
        }
    })
}

/// Prints what is there from `next` on. Gives whether anybody reads on.
fn print_from(
    common: &Common,
    args: &Args,
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
            if !args.all && matches!(row.entry.event, Event::Heartbeat(_)) {
                continue;
            }
            if !print(common, source, row) {
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
