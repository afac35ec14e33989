//! The facts, rebuilt from the entries alone and compared with what is stored.

use super::{each_entry, read, tree};
use crate::beside::{Folded, Meant};
use crate::error::LedgerError;
use crate::goal;
use crate::store::{Batch, FoundBy, Store};
use aecl_kernel::base::digest::Digest;
use aecl_kernel::record::event::Entry;
use aecl_kernel::record::facts::{Fact, FactKey};
use aecl_proof::Node;
use serde::Serialize;
use std::collections::BTreeMap;

/// Report of the comparison of facts.
#[derive(Debug, Default, Serialize)]
pub struct FactsReport {
    /// Facts that follow from the entries.
    pub facts: u64,
    /// Facts that differ.
    pub differs: Vec<Differs>,
    /// Positions of entries that are found under another run or action than their own, or under none.
    pub elsewhere: Vec<u64>,
    /// Level and index of nodes of the tree that are not those of the entries below them.
    pub nodes: Vec<(u8, u64)>,
    /// What of the store does not hold together in itself, in words.
    pub broken: Vec<String>,
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

/// Most entries that are folded before a start goes on, unless the configuration says otherwise; more would make it long.
pub const START_ENTRIES_MAX: u64 = 100_000;

/// A fact that is not as it should be: key, what is stored, what the entries say.
type Row = (String, Option<Vec<u8>>, Option<Vec<u8>>);

/// What came of a comparison.
#[derive(Default)]
struct Compared {
    facts: u64,
    rows: Vec<Row>,
    /// What entries should be found by that are found by something else.
    found_by: Vec<FoundBy>,
    /// Nodes of the tree that are others, as they should be.
    nodes: Vec<Node>,
    /// What of the store does not hold together.
    broken: Vec<String>,
}

impl Compared {
    fn in_words(&self) -> Option<String> {
        let rows = self.rows.iter().map(|(key, stored, told)| (key, stored.is_some(), told.is_some()));
        let nodes = self.nodes.iter().map(|(level, index, _)| (*level, *index));
        in_words(&self.broken, rows, self.found_by.iter().map(|entry| entry.position), nodes)
    }
}

/// Folds all entries from nothing and compares with the stored facts: goals with what their runs were opened with, and what
/// runs rest on and requests in short with what the entries commit to beside them, as far as that is there. So are the
/// nodes of the tree, and where those differ that the head is made of, the entries are not those that were signed, which is
/// an error. Nobody may write meanwhile, and all facts must fit into memory.
pub fn verify_facts(store: &mut dyn Store) -> Result<FactsReport, LedgerError> {
    let Compared { facts, rows, found_by, nodes, broken } = compare(store)?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let differs = rows.into_iter().map(|(key, stored, told)| Differs {
        key,
        stored: stored.map(text),
        told: told.map(text),
    });
    let elsewhere = found_by.into_iter().map(|entry| entry.position).collect();
    let nodes = nodes.into_iter().map(|(level, index, _)| (level, index)).collect();
    Ok(FactsReport { facts, differs: differs.collect(), elsewhere, nodes, broken })
}

/// The same at a start, if there are no more entries than this. Gives whether it did.
pub fn facts_at_start(store: &mut dyn Store, entries_max: u64) -> Result<bool, LedgerError> {
    if store.head()?.size > entries_max {
        return Ok(false);
    }
    match compare(store)?.in_words() {
        Some(differs) => Err(LedgerError::FactsDiffer(differs)),
        None => Ok(true),
    }
}

/// Makes the facts anew from the entries, and what entries are found by, and nodes of the tree, as far as they differ. What
/// nobody knows stays as it is. Gives how much it replaced.
pub fn rebuild_facts(store: &mut dyn Store) -> Result<usize, LedgerError> {
    let Compared { rows, found_by, nodes, .. } = compare(store)?;
    let (first, replaced) = (store.head()?.size, rows.len() + found_by.len() + nodes.len());
    if !found_by.is_empty() {
        store.find_by(&found_by)?;
    }
    if !nodes.is_empty() {
        store.renew_nodes(&nodes)?;
    }
    let facts = rows.into_iter().map(|(key, _, told)| (key, told)).collect();
    store.commit(&Batch { first, facts, ..Batch::default() })?;
    Ok(replaced)
}

impl FactsReport {
    /// What differs, in a line; nothing if all is as the entries say.
    pub fn in_words(&self) -> Option<String> {
        let differs = self.differs.iter().map(|d| (&d.key, d.stored.is_some(), d.told.is_some()));
        in_words(&self.broken, differs, self.elsewhere.iter().copied(), self.nodes.iter().copied())
    }
}

/// Facts that are named; of the others it is said how many there are.
const NAMED: usize = 10;

fn in_words<'a>(
    broken: &[String],
    differs: impl ExactSizeIterator<Item = (&'a String, bool, bool)>,
    elsewhere: impl ExactSizeIterator<Item = u64>,
    nodes: impl ExactSizeIterator<Item = (u8, u64)>,
) -> Option<String> {
    let more = (broken.len() + differs.len() + elsewhere.len() + nodes.len()).saturating_sub(NAMED);
    let name = |(key, stored, told): (&String, bool, bool)| match (stored, told) {
        (false, true) => format!("`{key}` is missing"),
        (true, false) => format!("`{key}` follows from no entry"),
        (_, _) => format!("`{key}` has another value"),
    };
    let moved =
        |position: u64| format!("the entry {position} is found under another run or action than its own");
    let nodes = nodes.map(|(level, index)| tree::in_words(level, index));
    let told = differs.map(name).chain(elsewhere.map(moved)).chain(nodes);
    let named: Vec<String> = broken.iter().cloned().chain(told).take(NAMED).collect();
    let more = if more > 0 { format!(", and {more} more") } else { String::new() };
    (!named.is_empty()).then(|| format!("{}{more}", named.join(", ")))
}

/// Rows of the index that are read at once.
const INDEX_ROWS: usize = 256;

/// Folds the entries, and gives how many facts follow from them and which of the stored ones differ; what of the
/// entries is found elsewhere than where it belongs; and which nodes are not those of their tree.
fn compare(store: &mut dyn Store) -> Result<Compared, LedgerError> {
    let size = store.head()?.size;
    let broken = store.broken()?;
    let mut folded: BTreeMap<FactKey, Fact> = BTreeMap::new();
    let mut goals: BTreeMap<String, Digest> = BTreeMap::new();
    let mut beside = Folded::default();
    let (mut found_by, mut index) = (Vec::new(), Vec::new().into_iter());
    let mut grown = tree::Grown::default();
    each_entry(store, 0..size, &mut |store, position, bytes| {
        grown.take(store, bytes)?;
        let entry: Entry = read(position, bytes)?;
        if index.len() == 0 {
            index = store.found_by(position, INDEX_ROWS)?.into_iter();
        }
        let meant = crate::batch::found_by(&entry);
        if index.next().as_ref() != Some(&meant) {
            found_by.push(meant);
        }
        if let Some((key, stated)) = goal::stated(&entry) {
            goals.insert(key.to_string(), stated);
        }
        beside.take(store, &entry)?;
        match entry.apply(&mut folded) {
            Ok(()) => Ok(()),
            Err(never) => match never {},
        }
    })?;
    let nodes = grown.end(store)?;
    beside.end(&folded)?;
    let mut told = BTreeMap::new();
    for (key, fact) in folded {
        let key = key.to_string();
        let bytes = serde_json::to_vec(&fact)
            .map_err(|source| LedgerError::Unreadable { key: key.clone(), source })?;
        told.insert(key, bytes);
    }
    let (facts, mut rows) = ((told.len() + goals.len() + beside.len()) as u64, Vec::new());
    let mut after: Option<String> = None;
    loop {
        let stored = store.scan("", after.as_deref(), 1024)?;
        let Some((last, _)) = stored.last() else { break };
        after = Some(last.clone());
        for (key, stored) in stored {
            let told = match goals.remove(&key) {
                None if Folded::has(&key) => match beside.meant(&key) {
                    Meant::Told(told) => told,
                    Meant::Unknown => continue,
                },
                Some(stated) => match goal::row(store, &key, &stated)? {
                    Some(told) => Some(told),
                    None => continue,
                },
                None => told.remove(&key),
            };
            if told.as_ref() != Some(&stored) {
                rows.push((key, Some(stored), told));
            }
        }
    }
    rows.extend(told.into_iter().map(|(key, told)| (key, None, Some(told))));
    rows.extend(beside.missing().into_iter().map(|(key, told)| (key, None, Some(told))));
    // Where the payload is gone, the goal may be, too.
    for (key, stated) in goals {
        if let Some(told) = goal::row(store, &key, &stated)? {
            rows.push((key, None, Some(told)));
        }
    }
    Ok(Compared { facts, rows, found_by, nodes, broken })
}
