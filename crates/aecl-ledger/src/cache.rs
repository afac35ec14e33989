//! Hot facts, as the writer sees them: what this batch has changed, over what the batch before it has changed,
//! over a bounded cache, over the store.

use crate::error::LedgerError;
use crate::goal;
use crate::store::Store;
use aecl_kernel::record::facts::{Fact, FactKey, FactStore};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// A bounded cache in two generations: what is used moves to the young one, what is not falls out with the
/// old one. Memory stays the same however many runs and actions there have been.
pub(crate) struct Generations<T> {
    young: HashMap<FactKey, T>,
    old: HashMap<FactKey, T>,
}

impl<T> Default for Generations<T> {
    fn default() -> Self {
        Self { young: HashMap::new(), old: HashMap::new() }
    }
}

/// A fact as it is stored: a key, and nothing if it is to be deleted.
pub(crate) type FactRow = (String, Option<Vec<u8>>);

/// Facts in one generation.
const GENERATION: usize = 4096;

impl<T> Generations<T> {
    /// What is kept under a key.
    pub(crate) fn find(&mut self, key: &FactKey) -> Option<&T> {
        if !self.young.contains_key(key) {
            let kept = self.old.remove(key)?;
            self.keep(key.clone(), kept);
        }
        self.young.get(key)
    }

    /// Keeps something, and forgets what was kept under the key.
    pub(crate) fn keep(&mut self, key: FactKey, value: T) {
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.old.remove(&key);
        self.young.insert(key, value);
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    fn forget(&mut self, key: &FactKey) {
        self.young.remove(key);
        self.old.remove(key);
    }
}

/// What the writer has read and written.
type Cache = Generations<Option<Fact>>;

impl Cache {
    /// Takes over what a durable batch has changed.
    fn absorb(&mut self, changes: &Changes) {
        for (key, fact) in &changes.0 {
            match key {
                // No decision reads them, and they may be long.
                FactKey::Goal(_) | FactKey::Summary(_) => self.forget(key),
                key => self.keep(key.clone(), fact.clone()),
            }
        }
    }
}

/// Facts that a batch changes.
#[derive(Default)]
pub(crate) struct Changes(BTreeMap<FactKey, Option<Fact>>);

impl Changes {
    #[cfg(test)]
    pub(crate) fn set(&mut self, key: FactKey, fact: Option<Fact>) {
        self.0.insert(key, fact);
    }

    /// The same as rows.
    pub(crate) fn rows(&self) -> Result<Vec<FactRow>, LedgerError> {
        let row = |(key, fact): (&FactKey, &Option<Fact>)| {
            let name = key.to_string();
            let bytes = fact.as_ref().map(serde_json::to_vec).transpose();
            let bytes = bytes.map_err(|source| LedgerError::Unreadable { key: name.clone(), source })?;
            Ok((name, bytes))
        };
        self.0.iter().map(row).collect()
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&FactKey, Option<&Fact>)> {
        self.0.iter().map(|(key, fact)| (key, fact.as_ref()))
    }

    /// What it says about a key, if anything.
    pub(crate) fn find(&self, key: &FactKey) -> Option<Option<&Fact>> {
        self.0.get(key).map(Option::as_ref)
    }
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
                Some(fact) => drop(self.changes.0.insert(key, fact)),
                None => drop(self.changes.0.remove(&key)),
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
        if let Some(fact) = self.changes.0.get(key).or_else(|| self.underway.0.get(key)) {
            return Ok(fact.clone());
        }
        if let Some(fact) = self.cache.find(key) {
            return Ok(fact.clone());
        }
        let fact = load(&mut *self.store, key)?;
        self.cache.keep(key.clone(), fact.clone());
        Ok(fact)
    }

    fn set(&mut self, key: FactKey, fact: Option<Fact>) {
        let before = self.changes.0.insert(key.clone(), fact);
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
    let name = key.to_string();
    let found = store.load(std::slice::from_ref(&name))?.into_iter().next().flatten();
    if let (FactKey::Goal(run), Some(stored)) = (key, &found) {
        goal::check(store, run, stored)?;
    }
    found.map(|bytes| read(&name, &bytes)).transpose()
}

/// Reads a stored fact. One that cannot be read is an error, never "not there".
pub(crate) fn read(key: &str, bytes: &[u8]) -> Result<Fact, LedgerError> {
    serde_json::from_slice(bytes).map_err(|source| LedgerError::Unreadable { key: key.to_owned(), source })
}
