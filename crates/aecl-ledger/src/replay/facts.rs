//! The facts, rebuilt from the entries alone and compared with what is stored.

use super::{each_entry, read};
use crate::error::LedgerError;
use crate::store::Store;
use aecl_kernel::event::Entry;
use aecl_kernel::facts::{Fact, Key};
use serde::Serialize;
use std::collections::BTreeMap;

/// What came of the comparison.
#[derive(Debug, Default, Serialize)]
pub struct FactsReport {
    /// Facts that follow from the entries.
    pub facts: u64,
    /// Facts that differ.
    pub differs: Vec<Differs>,
}

/// A fact that is stored otherwise than the entries say.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Differs {
    /// Its key.
    pub key: String,
    /// What is stored.
    pub stored: Option<String>,
    /// What the entries say.
    pub told: Option<String>,
}

/// Facts that stand beside the entries, so that they can be erased.
fn beside(key: &str) -> bool {
    key.starts_with("goal/") || key.starts_with("trust/")
}

/// Folds all entries from nothing and compares with the stored facts. Goals and what runs rest on are left
/// out: their text is not in any entry. Each decision has recorded what it took from them. Nobody may write meanwhile, and all facts must fit into memory.
pub fn verify_facts(store: &mut dyn Store) -> Result<FactsReport, LedgerError> {
    let size = store.head()?.size;
    let mut folded: BTreeMap<Key, Fact> = BTreeMap::new();
    each_entry(store, 0..size, &mut |_, position, bytes| {
        let entry: Entry = read(position, bytes)?;
        match entry.apply(&mut folded) {
            Ok(()) => Ok(()),
            Err(never) => match never {},
        }
    })?;
    let mut told = BTreeMap::new();
    for (key, fact) in folded {
        let key = key.to_string();
        let bytes = serde_json::to_vec(&fact)
            .map_err(|source| LedgerError::Unreadable { key: key.clone(), source })?;
        told.insert(key, bytes);
    }
    let mut report = FactsReport { facts: told.len() as u64, differs: Vec::new() };
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let mut after: Option<String> = None;
    loop {
        let stored = store.scan("", after.as_deref(), 1024)?;
        let Some((last, _)) = stored.last() else { break };
        after = Some(last.clone());
        for (key, stored) in stored.into_iter().filter(|(key, _)| !beside(key)) {
            let told = told.remove(&key);
            if told.as_ref() != Some(&stored) {
                report.differs.push(Differs { key, stored: Some(text(stored)), told: told.map(text) });
            }
        }
    }
    let missing = told.into_iter().map(|(key, told)| Differs { key, stored: None, told: Some(text(told)) });
    report.differs.extend(missing);
    Ok(report)
}
