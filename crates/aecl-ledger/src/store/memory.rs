//! A store that forgets: for tests, demonstrations and `--ephemeral`. Fast, and durable for nobody.

use super::poison::Poison;
use super::{Batch, EntryRow, FoundBy, Head, PayloadRow, Store, StoreError};
use aecl_proof::{Hash, Node};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard};

/// A store in memory. Its views share one state.
#[derive(Debug, Default)]
pub struct Memory {
    state: Arc<Mutex<State>>,
    poison: Poison,
    read_only: bool,
}

#[derive(Debug, Default, Clone)]
struct State {
    entries: Vec<EntryRow>,
    by_run: BTreeMap<String, Vec<u64>>,
    by_action: BTreeMap<String, Vec<u64>>,
    facts: BTreeMap<String, Vec<u8>>,
    payloads: BTreeMap<Hash, PayloadRow>,
    nodes: BTreeMap<(u8, u64), Hash>,
    checkpoint: Option<String>,
}

impl Memory {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same state through a new handle, as after a restart: whole, writable, not poisoned.
    pub fn reopen(&self) -> Self {
        Self { state: Arc::clone(&self.state), ..Self::default() }
    }

    fn state(&self) -> Result<MutexGuard<'_, State>, StoreError> {
        self.poison.check()?;
        self.lock()
    }

    fn lock(&self) -> Result<MutexGuard<'_, State>, StoreError> {
        // A panic while the lock was held: the state may be half written.
        self.state
            .lock()
            .map_err(|_| StoreError::Poisoned { because: "a thread panicked in a commit".into() })
    }
}

impl Store for Memory {
    fn head(&mut self) -> Result<Head, StoreError> {
        let state = self.state()?;
        Ok(Head { size: state.size(), checkpoint: state.checkpoint.clone() })
    }

    fn load(&mut self, keys: &[String]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let state = self.state()?;
        Ok(keys.iter().map(|key| state.facts.get(key).cloned()).collect())
    }

    fn scan(
        &mut self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            Some(_) | None => Bound::Included(prefix),
        };
        let state = self.state()?;
        let facts = state.facts.range::<str, _>((start, Bound::Unbounded));
        let facts = facts.take_while(|(key, _)| key.starts_with(prefix)).take(limit);
        Ok(facts.map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        self.poison.check()?;
        if self.read_only {
            return Err(StoreError::ReadOnly);
        }
        let outcome = self.lock().and_then(|mut state| state.commit(batch));
        self.poison.after(outcome)
    }

    fn entries(&mut self, from: u64, limit: usize) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        let state = self.state()?;
        Ok(state.rows(from..state.size(), limit))
    }

    fn entries_of_run(
        &mut self,
        run: &str,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        let state = self.state()?;
        let of_run = state.by_run.get(run).map(Vec::as_slice).unwrap_or_default();
        let skip = after.map_or(0, |after| of_run.partition_point(|position| *position <= after));
        Ok(state.rows(of_run.iter().copied().skip(skip), limit))
    }

    fn entries_of_action(&mut self, action: &str) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        let state = self.state()?;
        Ok(state.rows(state.by_action.get(action).into_iter().flatten().copied(), usize::MAX))
    }

    fn found_by(&mut self, from: u64, limit: usize) -> Result<Vec<FoundBy>, StoreError> {
        let state = self.state()?;
        let found = |position: u64| {
            let entry = state.entries.get(usize::try_from(position).ok()?)?;
            Some(FoundBy { position, run: entry.run.clone(), action: entry.action.clone() })
        };
        Ok((from..state.size()).take(limit).filter_map(found).collect())
    }

    fn find_by(&mut self, entries: &[FoundBy]) -> Result<(), StoreError> {
        self.poison.check()?;
        if self.read_only {
            return Err(StoreError::ReadOnly);
        }
        let outcome = self.lock().map(|mut state| state.find_by(entries));
        self.poison.after(outcome)
    }

    fn payload(&mut self, commitment: &Hash) -> Result<Option<PayloadRow>, StoreError> {
        Ok(self.state()?.payloads.get(commitment).cloned())
    }

    fn payloads_beyond(&mut self, known: &dyn Fn(&Hash) -> bool) -> Result<Vec<Hash>, StoreError> {
        Ok(self.state()?.payloads.keys().filter(|commitment| !known(commitment)).copied().collect())
    }

    fn node(&mut self, level: u8, index: u64) -> Result<Option<Hash>, StoreError> {
        Ok(self.state()?.nodes.get(&(level, index)).copied())
    }

    fn renew_nodes(&mut self, nodes: &[Node]) -> Result<(), StoreError> {
        self.poison.check()?;
        if self.read_only {
            return Err(StoreError::ReadOnly);
        }
        let renewed = nodes.iter().map(|(level, index, hash)| ((*level, *index), *hash));
        let outcome = self.lock().map(|mut state| state.nodes.extend(renewed));
        self.poison.after(outcome)
    }

    fn broken(&mut self) -> Result<Vec<String>, StoreError> {
        Ok(Vec::new())
    }

    fn tables_differ(&mut self) -> Result<Vec<String>, StoreError> {
        Ok(Vec::new())
    }

    fn reader(&self) -> Result<Box<dyn Store>, StoreError> {
        self.poison.check()?;
        Ok(Box::new(Self { read_only: true, ..self.reopen() }))
    }

    fn snapshot(&self) -> Result<Box<dyn Store>, StoreError> {
        let state = Arc::new(Mutex::new(self.state()?.clone()));
        Ok(Box::new(Self { state, read_only: true, ..Self::default() }))
    }
}

impl State {
    fn size(&self) -> u64 {
        self.entries.len() as u64
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        if batch.first != self.size() {
            return Err(StoreError::Conflict { first: batch.first, size: self.size() });
        }
        // Everything that can fail comes before the first change.
        let mut fresh = BTreeMap::new();
        for (level, index, hash) in &batch.nodes {
            let known = self.nodes.contains_key(&(*level, *index));
            if known || fresh.insert((*level, *index), *hash).is_some() {
                return Err(StoreError::Corrupt {
                    what: format!("node {index} of level {level} is there already"),
                });
            }
        }
        // Not `append`: it rebuilds the whole tree.
        self.nodes.extend(fresh);
        self.index(batch.first, &batch.entries);
        self.entries.extend(batch.entries.iter().cloned());
        for (key, value) in &batch.facts {
            match value {
                Some(value) => self.facts.insert(key.clone(), value.clone()),
                None => self.facts.remove(key),
            };
        }
        for payload in &batch.payloads {
            self.payloads.entry(payload.commitment).or_insert_with(|| payload.clone());
        }
        if batch.checkpoint.is_some() {
            self.checkpoint.clone_from(&batch.checkpoint);
        }
        Ok(())
    }

    fn find_by(&mut self, entries: &[FoundBy]) {
        for FoundBy { position, run, action } in entries {
            let entry = usize::try_from(*position).ok().and_then(|at| self.entries.get_mut(at));
            if let Some(entry) = entry {
                (entry.run, entry.action) = (run.clone(), action.clone());
            }
        }
        (self.by_run, self.by_action) = Default::default();
        let entries = std::mem::take(&mut self.entries);
        self.index(0, &entries);
        self.entries = entries;
    }

    fn index(&mut self, first: u64, entries: &[EntryRow]) {
        for (position, entry) in (first..).zip(entries) {
            if let Some(run) = &entry.run {
                self.by_run.entry(run.clone()).or_default().push(position);
            }
            if let Some(action) = &entry.action {
                self.by_action.entry(action.clone()).or_default().push(position);
            }
        }
    }

    fn rows(&self, positions: impl Iterator<Item = u64>, limit: usize) -> Vec<(u64, Vec<u8>)> {
        let row = |position: u64| {
            let entry = self.entries.get(usize::try_from(position).ok()?)?;
            Some((position, entry.bytes.to_vec()))
        };
        positions.take(limit).filter_map(row).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::suite;

    fn open() -> suite::Opened {
        (Box::new(Memory::new()), None)
    }

    suite::on!(open);

    #[test]
    fn reopening_finds_what_was_committed() {
        let mut store = Memory::new();
        let batch = suite::batch(0, 3);
        store.commit(&batch).unwrap();
        assert!(store.commit(&Batch { first: 3, ..batch }).is_err(), "its nodes are there already");
        assert!(matches!(store.head(), Err(StoreError::Poisoned { .. })));
        let mut again = store.reopen();
        assert_eq!(again.head().unwrap().size, 3);
        again.commit(&suite::batch(3, 2)).unwrap();
    }
}
