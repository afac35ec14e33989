//! What a run is for lies beside the entries, where it can be erased. The entry that opened the run commits to it, and
//! nothing else counts as its goal.

use crate::error::LedgerError;
use crate::payload::{PayloadKind, payload};
use crate::store::Store;
use aecl_kernel::base::digest::Digest;
use aecl_kernel::base::id::RunId;
use aecl_kernel::record::event::{Entry, Event};
use aecl_kernel::record::facts::FactKey;
use serde::Serialize;
use serde_json::value::RawValue;

/// Where the goal of the run that this entry opens is kept, and the commitment to it.
pub(crate) fn stated(entry: &Entry) -> Option<(FactKey, Digest)> {
    match (&entry.run, &entry.event) {
        (Some(run), Event::RunOpened(opened)) => Some((FactKey::Goal(run.clone()), opened.stated)),
        _ => None,
    }
}

/// The goal as it is stored under this key, made from what was committed to. Nothing, if that is not there or is something
/// else; the comparison of payloads names it.
pub(crate) fn row(store: &mut dyn Store, key: &str, stated: &Digest) -> Result<Option<Vec<u8>>, LedgerError> {
    #[derive(Serialize)]
    struct Row<'a> {
        goal: &'a RawValue,
    }
    let unreadable = |source| LedgerError::Unreadable { key: key.to_owned(), source };
    let content = match payload(store, PayloadKind::Stated, stated) {
        Ok(Some(content)) => content,
        Ok(None) | Err(LedgerError::Tampered(_)) => return Ok(None),
        Err(error) => return Err(error),
    };
    let goal = serde_json::from_slice(&content).map_err(unreadable)?;
    serde_json::to_vec(&Row { goal }).map(Some).map_err(unreadable)
}

/// Refuses what is stored as the goal of a run, unless the run was opened with it.
pub(crate) fn check(store: &mut dyn Store, run: &RunId, stored: &[u8]) -> Result<(), LedgerError> {
    let key = FactKey::Goal(run.clone());
    let name = key.to_string();
    let unreadable = |source| LedgerError::Unreadable { key: name.clone(), source };
    let first = store.entries_of_run(run.as_str(), None, 1)?.into_iter().next();
    let opened: Option<Entry> =
        first.map(|(_, bytes)| serde_json::from_slice(&bytes).map_err(unreadable)).transpose()?;
    let stated = opened.as_ref().and_then(stated).filter(|(of, _)| *of == key);
    let told = stated.map(|(_, stated)| row(store, &name, &stated)).transpose()?.flatten();
    if told.as_deref() == Some(stored) {
        return Ok(());
    }
    Err(LedgerError::FactsDiffer(format!(
        "`{name}` is not what the run was opened with. Somebody has edited it; `aecl log rebuild-facts` puts it back"
    )))
}
