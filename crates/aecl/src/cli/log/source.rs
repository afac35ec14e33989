//! Where the record is read from, and the key that it is checked with.

use crate::cli::show::{self, Page};
use crate::cli::{Common, Error, Exit, Result};
use aecl_gate::config::Home;
use aecl_gate::keys;
use aecl_kernel::base::digest::Digest;
use aecl_kernel::record::event::{Entry, Event};
use aecl_ledger::store::Store;
use aecl_ledger::{PayloadKind, payload};
use aecl_proof::VerifierKey;
use serde_json::{Value, json};

/// The ledger, for reading.
pub(in crate::cli) struct Source {
    store: Box<dyn Store>,
}

impl Source {
    pub(in crate::cli) fn open(common: &Common) -> std::result::Result<Self, Error> {
        let home = Home::new(&common.dir);
        if !home.config().exists() {
            return Err(Error::new(format!("there is no `{}`", home.config().display()))
                .hint("run `aecl init`, or say where it is with --dir"));
        }
        let place = home.record()?;
        if !place.is_begun().map_err(failed)? {
            return Err(Error::new("nothing is recorded yet")
                .hint("the record begins when AECL runs for the first time: `aecl serve` or `aecl mcp`"));
        }
        Ok(Self { store: place.read().map_err(failed)? })
    }

    pub(in crate::cli) fn store(&mut self) -> &mut dyn Store {
        &mut *self.store
    }

    /// How many entries there are.
    pub(in crate::cli) fn size(&mut self) -> std::result::Result<u64, Error> {
        Ok(self.store.head().map_err(failed)?.size)
    }

    /// Entries from a position on, as they were recorded.
    pub(in crate::cli) fn from(
        &mut self,
        position: u64,
        limit: usize,
    ) -> std::result::Result<Vec<Row>, Error> {
        self.store.entries(position, limit).map_err(failed)?.into_iter().map(Row::read).collect()
    }

    /// Entries of a run after a position.
    pub(super) fn of_run(
        &mut self,
        run: &str,
        after: Option<u64>,
        limit: usize,
    ) -> std::result::Result<Vec<Row>, Error> {
        self.store.entries_of_run(run, after, limit).map_err(failed)?.into_iter().map(Row::read).collect()
    }

    /// Entries about an action.
    pub(in crate::cli) fn of_action(&mut self, action: &str) -> std::result::Result<Vec<Row>, Error> {
        self.store.entries_of_action(action).map_err(failed)?.into_iter().map(Row::read).collect()
    }

    /// Name and agent of an action.
    pub(super) fn about(&mut self, action: &str) -> (String, String) {
        let first =
            self.of_action(action).unwrap_or_default().into_iter().find_map(|row| match row.entry.event {
                Event::Ruled(ruled) => Some((ruled.name.clone(), ruled.principal.agent.to_string())),
                Event::Asked(ask) if ask.plan.is_some() => Some(("its plan".to_owned(), String::new())),
                _ => None,
            });
        first.unwrap_or_default()
    }

    /// The content behind a commitment: JSON, or text; nothing if it is not there any more.
    pub(in crate::cli) fn paper(
        &mut self,
        kind: PayloadKind,
        digest: &Digest,
    ) -> std::result::Result<Option<Value>, Error> {
        let bytes = payload(&mut *self.store, kind, digest)?;
        Ok(bytes.map(|b| {
            serde_json::from_slice(&b)
                .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&b).into_owned()))
        }))
    }
}

/// An entry and the bytes that were hashed.
pub(in crate::cli) struct Row {
    pub entry: Entry,
    pub json: Value,
}

impl Row {
    fn read((position, bytes): (u64, Vec<u8>)) -> std::result::Result<Self, Error> {
        let wrong = |e: serde_json::Error| {
            Error::new(format!("entry {position} cannot be read: {e}"))
                .hint("`aecl log verify` says whether the record holds; a newer AECL may have written it")
        };
        let entry = serde_json::from_slice(&bytes).map_err(wrong)?;
        Ok(Self { entry, json: serde_json::from_slice(&bytes).map_err(wrong)? })
    }
}

/// An error of the store.
pub(super) fn failed(error: aecl_ledger::store::StoreError) -> Error {
    let error = Error::from(aecl_gate::GateError::from(aecl_ledger::LedgerError::from(error)));
    match error.hint {
        Some(_) => error,
        None => error.hint("`aecl doctor` says what is wrong"),
    }
}

impl From<aecl_ledger::LedgerError> for Error {
    fn from(error: aecl_ledger::LedgerError) -> Self {
        aecl_gate::GateError::from(error).into()
    }
}

/// The key of this installation's own ledger.
pub(super) fn own_key(common: &Common) -> std::result::Result<VerifierKey, Error> {
    let home = Home::new(&common.dir);
    let config = home.read()?;
    let key = keys::read(&home.keys().join("ledger.pem"))?;
    VerifierKey::new(&config.origin, key.verifying_key()).map_err(|e| Error::new(e.to_string()))
}

/// `aecl log key`.
pub(super) fn key(common: &Common) -> Result {
    let key = own_key(common)?;
    if common.json {
        show::print_json(&json!({"origin": key.name(), "key": key.to_string()}));
    } else {
        let mut page = Page::new();
        page.line(key.to_string()).print();
        show::say(&format!(
            "The key of the ledger `{}`. Hand it to auditors by another way than the ledger itself; they verify with --key.",
            key.name()
        ));
    }
    Ok(Exit::Done)
}
