//! `aecl log rebuild-facts`: what decisions are made from follows from the entries, so it can be made anew.

use super::source::failed;
use crate::cli::show::{self, Page, Tone, count};
use crate::cli::{Common, Error, Exit, Result, runtime};
use aecl_gate::config::Home;
use aecl_gate::{clock, keys};
use aecl_ledger::replay::rebuild_facts;
use aecl_ledger::store::Sqlite;
use aecl_ledger::{Ledger, Signer, verify_facts};
use serde_json::json;

pub(super) fn run(common: &Common) -> Result {
    let home = Home::new(&common.dir);
    let config = home.read()?;
    let key_file = home.keys().join("ledger.pem");
    let key = keys::read(&key_file)?;
    if !home.data().join("ledger.db").exists() {
        return Err(Error::new("nothing is recorded yet").hint("there is nothing to make anew"));
    }
    let open = || {
        Sqlite::open_with_key(&home.data(), &key_file)
            .map_err(|e| failed(e).hint("stop the server first; one process owns a directory"))
    };
    let mut store = open()?;
    let Some(differs) = verify_facts(&mut store)?.in_words() else {
        return said(common, 0, "All facts are as the entries say.");
    };
    drop(store);
    // On record before it happens. Whoever is interrupted here runs it again: a start refuses until then.
    let ledger = Ledger::open(Box::new(open()?), Signer { origin: config.origin, key })?;
    let message = format!("facts are made anew from the entries, on request; before, {differs}");
    runtime()?.block_on(ledger.fault("facts_rebuilt", message, clock::wall()))?;
    ledger.close();
    let replaced = rebuild_facts(&mut open()?)?;
    said(common, replaced, &format!("{} made anew from the entries: {differs}.", count(replaced, "fact")))
}

fn said(common: &Common, replaced: usize, text: &str) -> Result {
    if common.json {
        show::print_json(&json!({"replaced": replaced}));
    } else {
        let mut page = Page::new();
        page.line(format!("{}: {}", page.word(Tone::Good, "Done"), show::inert_line(text))).print();
    }
    Ok(Exit::Done)
}
