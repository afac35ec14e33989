//! Hot facts, as the writer sees them: what this batch has changed, over what the batch before it has changed,
//! over a bounded cache, over the store.

use crate::error::LedgerError;
use crate::goal;
use crate::store::Store;
use aecl_kernel::record::facts::{Fact, FactKey, FactStore};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};

/// A bounded cache in two generations: what is used moves to the young one, what is not falls out with the
/// old one. Memory stays the same however many runs and actions there have been, and however long their facts are.
pub(crate) struct Generations<T> {
    young: Generation<T>,
    old: Generation<T>,
}

struct Generation<T> {
    kept: HashMap<FactKey, (T, usize)>,
    bytes: usize,
}

impl<T> Default for Generation<T> {
    fn default() -> Self {
        Self { kept: HashMap::new(), bytes: 0 }
    }
}

impl<T> Generation<T> {
    fn put(&mut self, key: FactKey, value: T, bytes: usize) {
        self.bytes += bytes;
        self.kept.insert(key, (value, bytes));
    }

    fn take(&mut self, key: &FactKey) -> Option<(T, usize)> {
        let (value, bytes) = self.kept.remove(key)?;
        self.bytes -= bytes;
        Some((value, bytes))
    }
}

impl<T> Default for Generations<T> {
    fn default() -> Self {
        Self { young: Generation::default(), old: Generation::default() }
    }
}

/// A fact as it is stored: a key, and nothing if it is to be deleted.
pub(crate) type FactRow = (String, Option<Vec<u8>>);

/// Bytes in one generation.
pub(crate) const GENERATION_BYTES: usize = 2 << 20;
/// A fact that is longer than this is read from the store each time.
const FACT_BYTES_MAX: usize = GENERATION_BYTES / 8;
/// About what a fact takes beside its content: its place in the table, what allocating adds.
const PLACE_BYTES: usize = 256;

impl<T> Generations<T> {
    /// What is kept under a key.
    pub(crate) fn find(&mut self, key: &FactKey) -> Option<&T> {
        if let Some((kept, bytes)) = self.old.take(key) {
            self.keep_counted(key.clone(), kept, bytes);
        }
        self.young.kept.get(key).map(|(kept, _)| kept)
    }

    /// Keeps something that is so long as it is stored, and forgets what was kept under the key.
    pub(crate) fn keep(&mut self, key: FactKey, value: T, stored: usize) {
        self.forget(&key);
        if stored <= FACT_BYTES_MAX {
            self.keep_counted(key, value, stored + PLACE_BYTES);
        }
    }

    fn keep_counted(&mut self, key: FactKey, value: T, bytes: usize) {
        if self.young.bytes + bytes > GENERATION_BYTES {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.put(key, value, bytes);
    }

    /// How much is kept, in bytes.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.young.bytes + self.old.bytes
    }

    /// Nothing is known of it any more.
    pub(crate) fn forget(&mut self, key: &FactKey) {
        self.young.take(key);
        self.old.take(key);
    }
}

/// What the writer has read and written.
type Cache = Generations<Option<Box<Fact>>>;

impl Cache {
    /// Takes over what a durable batch has changed.
    fn absorb(&mut self, changes: &Changes) {
        for (key, fact, stored) in changes.written() {
            match key {
                // No decision reads them, and they may be long.
                FactKey::Goal(_) | FactKey::Plan(_) | FactKey::Summary(_) => self.forget(key),
                key => self.keep(key.clone(), fact.cloned().map(Box::new), stored),
            }
        }
    }
}

/// Facts that a batch changes.
#[derive(Default)]
pub(crate) struct Changes {
    facts: BTreeMap<FactKey, Option<Fact>>,
    // How long each is with its key, in this order, once they are rows.
    stored: OnceLock<Vec<usize>>,
}

impl Changes {
    #[cfg(test)]
    pub(crate) fn set(&mut self, key: FactKey, fact: Option<Fact>) {
        self.facts.insert(key, fact);
    }

    /// The same as rows.
    pub(crate) fn rows(&self) -> Result<Vec<FactRow>, LedgerError> {
        let row = |(key, fact): (&FactKey, &Option<Fact>)| {
            let name = key.to_string();
            let bytes = fact.as_ref().map(serde_json::to_vec).transpose();
            let bytes = bytes.map_err(|source| LedgerError::Unreadable { key: name.clone(), source })?;
            Ok((name, bytes))
        };
        let rows: Vec<FactRow> = self.facts.iter().map(row).collect::<Result<_, LedgerError>>()?;
        self.stored.get_or_init(|| rows.iter().map(stored_bytes).collect());
        Ok(rows)
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&FactKey, Option<&Fact>)> {
        self.facts.iter().map(|(key, fact)| (key, fact.as_ref()))
    }

    /// Those that were made rows, each with how long it is there.
    pub(crate) fn written(&self) -> impl Iterator<Item = (&FactKey, Option<&Fact>, usize)> {
        let stored = self.stored.get().into_iter().flatten();
        self.iter().zip(stored).map(|((key, fact), stored)| (key, fact, *stored))
    }

    /// What it says about a key, if anything.
    pub(crate) fn find(&self, key: &FactKey) -> Option<Option<&Fact>> {
        self.facts.get(key).map(Option::as_ref)
    }
}

fn stored_bytes((name, bytes): &FactRow) -> usize {
    name.len() + bytes.as_ref().map_or(0, Vec::len)
}

/// The facts while a batch is written.
pub(crate) struct Group {
    // A second view of the store: what it does not show yet is in `underway`.
    store: Box<dyn Store>,
    cache: Cache,
    // What the batch has changed that is being made durable. The cache may forget, so this does not go there
    // before the store shows it.
    underway: Arc<Changes>,
    changes: Changes,
    // What the present job has replaced, latest last.
    replaced: Vec<(FactKey, Option<Option<Fact>>)>,
}

impl Group {
    pub(crate) fn new(store: Box<dyn Store>) -> Self {
        let (cache, underway, changes) = (Cache::default(), Arc::default(), Changes::default());
        Self { store, cache, underway, changes, replaced: Vec::new() }
    }

    /// What was changed so far stays.
    pub(crate) fn mark(&mut self) {
        self.replaced.clear();
    }

    /// Takes back what was changed since the mark.
    pub(crate) fn take_back(&mut self) {
        while let Some((key, before)) = self.replaced.pop() {
            match before {
                Some(fact) => drop(self.changes.facts.insert(key, fact)),
                None => drop(self.changes.facts.remove(&key)),
            }
        }
    }

    /// What has changed, to be made durable.
    pub(crate) fn turn(&mut self) -> Arc<Changes> {
        self.underway = Arc::new(std::mem::take(&mut self.changes));
        self.underway.clone()
    }

    /// What was underway is durable.
    pub(crate) fn settled(&mut self) {
        let underway = std::mem::take(&mut self.underway);
        self.cache.absorb(&underway);
    }
}

impl FactStore for Group {
    type Error = LedgerError;

    fn fact(&mut self, key: &FactKey) -> Result<Option<Fact>, LedgerError> {
        if let Some(fact) = self.changes.facts.get(key).or_else(|| self.underway.facts.get(key)) {
            return Ok(fact.clone());
        }
        if let Some(fact) = self.cache.find(key) {
            return Ok(fact.as_deref().cloned());
        }
        let (fact, stored) = load_measured(&mut *self.store, key)?;
        self.cache.keep(key.clone(), fact.clone().map(Box::new), stored);
        Ok(fact)
    }

    fn set(&mut self, key: FactKey, fact: Option<Fact>) {
        let before = self.changes.facts.insert(key.clone(), fact);
        self.replaced.push((key, before));
    }
}

/// The facts of a store, to look at.
pub(crate) struct View<'a>(pub(crate) &'a mut dyn Store);

impl FactStore for View<'_> {
    type Error = LedgerError;

    fn fact(&mut self, key: &FactKey) -> Result<Option<Fact>, LedgerError> {
        load(self.0, key)
    }

    // Whoever looks changes nothing.
    fn set(&mut self, _: FactKey, _: Option<Fact>) {}
}

/// The fact under a key in a store. A goal counts only if its run was opened with it.
pub(crate) fn load(store: &mut dyn Store, key: &FactKey) -> Result<Option<Fact>, LedgerError> {
    Ok(load_measured(store, key)?.0)
}

/// The same, and how long it is with its key.
pub(crate) fn load_measured(
    store: &mut dyn Store,
    key: &FactKey,
) -> Result<(Option<Fact>, usize), LedgerError> {
    let name = key.to_string();
    let found = store.load(std::slice::from_ref(&name))?.into_iter().next().flatten();
    if let (FactKey::Goal(run), Some(stored)) = (key, &found) {
        goal::check(store, run, stored)?;
    }
    let row = (name, found);
    let fact = row.1.as_ref().map(|bytes| read(&row.0, bytes)).transpose()?;
    Ok((fact, stored_bytes(&row)))
}

/// Reads a stored fact. One that cannot be read is an error, never "not there".
pub(crate) fn read(key: &str, bytes: &[u8]) -> Result<Fact, LedgerError> {
    serde_json::from_slice(bytes).map_err(|source| LedgerError::Unreadable { key: key.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Memory;
    use aecl_kernel::base::id::RunId;
    use aecl_kernel::base::time::Timestamp;
    use aecl_kernel::record::facts::{Kill, KillScope};

    fn key(n: usize) -> FactKey {
        FactKey::Kill(KillScope::Run(RunId::new(&format!("run_{n}")).unwrap()))
    }

    fn long(bytes: usize) -> Option<Fact> {
        Some(Fact::Kill(Kill { by: "ann".into(), reason: "x".repeat(bytes), at: Timestamp(0) }))
    }

    fn durable(group: &mut Group, facts: impl Iterator<Item = (FactKey, Option<Fact>)>) {
        facts.for_each(|(key, fact)| group.set(key, fact));
        group.turn().rows().unwrap();
        group.settled();
    }

    #[test]
    fn long_facts_take_no_more_memory_than_short_ones() {
        for bytes in [1, 1000, 100_000] {
            let mut group = Group::new(Box::new(Memory::new()));
            for first in (0..20_000_000 / (bytes + 100)).step_by(100) {
                durable(&mut group, (first..first + 100).map(|n| (key(n), long(bytes))));
            }
            assert!(group.cache.bytes() <= 2 * GENERATION_BYTES, "{bytes}: {}", group.cache.bytes());
            assert!(group.cache.bytes() > GENERATION_BYTES / 2, "{bytes}: {}", group.cache.bytes());
        }
    }

    #[test]
    fn one_that_is_very_long_pushes_nothing_out_and_leaves_nothing_old_behind() {
        let mut group = Group::new(Box::new(Memory::new()));
        durable(&mut group, [(key(0), long(1)), (key(1), long(1))].into_iter());
        durable(&mut group, [(key(1), long(FACT_BYTES_MAX))].into_iter());
        assert!(group.cache.find(&key(0)).is_some());
        assert!(group.cache.find(&key(1)).is_none());
    }

    #[test]
    fn what_is_used_stays() {
        let mut kept = Generations::default();
        kept.keep(key(0), (), 0);
        for n in 1..100_000 {
            kept.keep(key(n), (), 0);
            assert!(kept.find(&key(0)).is_some(), "{n}");
        }
        assert!(kept.find(&key(1)).is_none());
    }
}
