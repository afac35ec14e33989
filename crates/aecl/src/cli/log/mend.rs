//! What commands have in common that mend a record: nobody serves it meanwhile, and what they do stands in it.

use super::source::failed;
use crate::cli::show::{self, Page, Tone};
use crate::cli::{Common, Error, Exit, Result, runtime};
use aecl_gate::config::Home;
use aecl_gate::{clock, keys};
use aecl_ledger::store::{Store, StoreConfig, StoreError, StorePlace};
use aecl_ledger::{Ledger, Signer};
use serde_json::Value;

/// The record of a home.
pub(super) struct Record {
    home: Home,
    config: StoreConfig,
    place: Box<dyn StorePlace>,
    signer: Signer,
}

impl Record {
    /// The record of the home that is meant, if anything was ever recorded there. `else_hint` says what that means.
    pub(super) fn of(common: &Common, else_hint: &str) -> std::result::Result<Self, Error> {
        let record = Self::of_lost(common)?;
        match record.place.is_begun().map_err(failed)? {
            true => Ok(record),
            false => Err(Error::new("nothing is recorded yet").hint(else_hint)),
        }
    }

    /// The same, also where it is gone.
    pub(super) fn of_lost(common: &Common) -> std::result::Result<Self, Error> {
        let home = Home::new(&common.dir);
        let config = home.read()?;
        let signer = Signer { origin: config.origin, key: keys::read(&home.keys().join("ledger.pem"))? };
        Ok(Self { place: home.place(&config.store), home, config: config.store, signer })
    }

    /// Accepts that it is gone. Gives whether that was so.
    pub(super) fn accept_lost(&self) -> std::result::Result<bool, Error> {
        self.place.accept_lost_record().map_err(not_ours)
    }

    /// Accepts that its end is gone. Gives what is missing, if anything is.
    pub(super) fn accept_lost_end(&self) -> std::result::Result<Option<String>, Error> {
        self.place.accept_lost_end().map_err(failed)
    }

    /// Its store, which is then ours alone.
    pub(super) fn store(&self) -> std::result::Result<Box<dyn Store>, Error> {
        self.home.ledger(&self.config, &self.signer.key.verifying_key()).map_err(not_ours)
    }

    /// Puts its tables back as they were made, and gives what was wrong with them.
    pub(super) fn mend_tables(&self) -> std::result::Result<Vec<String>, Error> {
        self.place.mend_tables().map_err(not_ours)
    }

    /// Puts on record what is done to it. `message` is told how many entries stand before. How many those are.
    pub(super) fn note(
        &self,
        code: &str,
        message: impl FnOnce(u64) -> String,
    ) -> std::result::Result<u64, Error> {
        let ledger = self.ledger()?;
        let runtime = runtime()?;
        let size = runtime.block_on(ledger.head())?.size;
        runtime.block_on(ledger.fault(code, message(size), clock::wall()))?;
        ledger.close();
        Ok(size)
    }

    /// Refuses where the tree does not lead to the signed head.
    pub(super) fn leads_to_its_head(&self) -> std::result::Result<(), Error> {
        self.ledger()?.close();
        Ok(())
    }

    fn ledger(&self) -> std::result::Result<Ledger, Error> {
        let signer = Signer { origin: self.signer.origin.clone(), key: self.signer.key.clone() };
        Ok(Ledger::open(self.store()?, signer)?)
    }
}

fn not_ours(error: StoreError) -> Error {
    let says_more = matches!(error, StoreError::RecordMissing { .. } | StoreError::Copied { .. });
    let error = failed(error);
    if says_more { error } else { error.hint("stop the server first; one process owns a directory") }
}

/// Says what was done: to programs as it is, to people in words.
pub(super) fn done(common: &Common, told: &Value, text: &str) -> Result {
    if common.json {
        show::print_json(told);
    } else {
        let mut page = Page::new();
        page.line(format!("{}: {}", page.word(Tone::Good, "Done"), show::inert_line(text))).print();
    }
    Ok(Exit::Done)
}
