//! `aecl log accept-loss`: a record whose end is lost goes on from where it ends now.

use super::source::failed;
use crate::cli::show::{self, Page, Tone};
use crate::cli::{Common, Error, Exit, Result, runtime};
use aecl_gate::config::Home;
use aecl_gate::{clock, keys};
use aecl_ledger::store::Sqlite;
use aecl_ledger::{Ledger, Signer};
use serde_json::json;

pub(super) fn run(common: &Common) -> Result {
    let home = Home::new(&common.dir);
    let config = home.read()?;
    let key_file = home.keys().join("ledger.pem");
    let key = keys::read(&key_file)?;
    if !home.data().join("ledger.db").exists() {
        return Err(Error::new("nothing is recorded yet").hint("there is nothing to accept"));
    }
    if !Sqlite::forget_missing_log(&home.data()).map_err(failed)? {
        return said(common, None, "nothing is missing that AECL knows of");
    }
    let store = Sqlite::open_with_key(&home.data(), &key_file).map_err(failed)?;
    let ledger = Ledger::open(Box::new(store), Signer { origin: config.origin, key })?;
    let runtime = runtime()?;
    let size = runtime.block_on(ledger.head())?.size;
    let message =
        format!("ledger.db-wal was missing; what stood after entry {size} is lost, and that was accepted");
    runtime.block_on(ledger.fault("loss_accepted", message, clock::wall()))?;
    ledger.close();
    said(common, Some(size), &format!("the record goes on after {size} entries; what stood there is lost"))
}

fn said(common: &Common, size: Option<u64>, text: &str) -> Result {
    if common.json {
        show::print_json(&json!({"accepted": size.is_some(), "entries": size}));
    } else {
        let mut page = Page::new();
        page.line(format!("{}: {}", page.word(Tone::Good, "Done"), show::inert_line(text))).print();
    }
    Ok(Exit::Done)
}
