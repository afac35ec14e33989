//! `aecl policy calibrate`: how people answered what was held, by the score of risk. It shows; nothing is changed.

use crate::cli::log::source::Source;
use crate::cli::show::{self, Page, Table, Tone};
use crate::cli::{Common, Exit, Result};
use aecl_ledger::replay::{Answers, Band, answers};
use serde_json::json;

/// Fewer answers than these say nothing.
const ENOUGH: u64 = 10;

pub(super) fn run(common: &Common, agent: Option<&str>) -> Result {
    let mut source = Source::open(common)?;
    let size = source.size()?;
    let answers = answers(source.store(), 0..size, agent)?;
    if common.json {
        let bands: Vec<_> = answers.bands.iter().map(|b| json!({
            "from": b.from, "to": b.to(), "approved": b.approved, "rejected": b.rejected, "expired": b.expired, "waiting": b.waiting,
            "rejected_percent": percent(b),
        })).collect();
        show::print_json(&json!({"requests": answers.requests, "bands": bands}));
    } else {
        page(&answers).print();
    }
    Ok(Exit::Done)
}

/// The share of noes among the answers, with one yes and one no assumed beforehand, so that few answers say little.
fn percent(band: &Band) -> u64 {
    (band.rejected + 1) * 100 / (band.approved + band.rejected + 2)
}

fn page(answers: &Answers) -> Page {
    let mut page = Page::new();
    if answers.requests == 0 {
        page.line("Nobody was asked anything yet.");
        return page;
    }
    let mut table =
        Table::new(&["RISK", "APPROVED", "REJECTED", "NOBODY ANSWERED", "WAITING", "REJECTED, SMOOTHED"]);
    for band in &answers.bands {
        let answered = band.approved + band.rejected;
        let share = if answered == 0 { "-".to_owned() } else { format!("{} %", percent(band)) };
        table.row(vec![
            (Tone::Strong, format!("0.{:02} to {}.{:02}", band.from, band.to() / 100, band.to() % 100)),
            (Tone::Plain, band.approved.to_string()),
            (Tone::Plain, band.rejected.to_string()),
            (Tone::Plain, band.expired.to_string()),
            (Tone::Plain, band.waiting.to_string()),
            (if answered < ENOUGH { Tone::Quiet } else { Tone::Plain }, share),
        ]);
    }
    page.table(&table);
    page.line(
        "This shows how people answered. It changes no threshold; what they wave through may still be wrong.",
    );
    page
}
