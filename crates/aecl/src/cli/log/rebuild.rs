//! `aecl log rebuild-facts`: what decisions are made from follows from the entries, so it can be made anew.

use super::mend::{Record, done};
use crate::cli::show::count;
use crate::cli::{Common, Result};
use aecl_ledger::replay::rebuild_facts;
use aecl_ledger::verify_facts;
use serde_json::json;

pub(super) fn run(common: &Common) -> Result {
    let record = Record::of(common, "there is nothing to make anew")?;
    // Before anything is recorded: in tables that somebody has changed, no entry may be written.
    let mended = record.mend_tables()?;
    let found = verify_facts(&mut *record.store()?)?;
    let differs: Vec<String> = mended.into_iter().chain(found.in_words()).collect();
    if differs.is_empty() {
        record.leads_to_its_head()?;
        return done(common, &json!({ "replaced": 0 }), "All facts are as the entries say.");
    }
    let differs = differs.join(", ");
    // On record before it happens. Whoever is interrupted here runs it again: a start refuses until then.
    record.note("facts_rebuilt", |_| {
        format!("facts are made anew from the entries, on request; before, {differs}")
    })?;
    let replaced = rebuild_facts(&mut *record.store()?)?;
    let text = format!("{} made anew from the entries: {differs}.", count(replaced, "fact"));
    done(common, &json!({ "replaced": replaced }), &text)
}
