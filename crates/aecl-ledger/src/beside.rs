//! Facts that no entry tells: what a run may rest on is words of goals and outputs, and a request in short has some of them.
//! They stand beside the entries, where they can be erased. The entry that brings them commits to them.

use crate::error::LedgerError;
use crate::payload::{PayloadKind, payload};
use crate::store::Store;
use aecl_kernel::base::digest::Digest;
use aecl_kernel::base::id::RunId;
use aecl_kernel::record::event::{Entry, Event};
use aecl_kernel::record::facts::{Fact, FactKey, FactStore};
use serde_json::value::RawValue;
use std::collections::{BTreeMap, BTreeSet};

/// What is committed to: each fact under its key.
pub(crate) fn content(facts: &BTreeMap<FactKey, Fact>) -> Result<Vec<u8>, LedgerError> {
    let named: BTreeMap<String, &Fact> = facts.iter().map(|(key, fact)| (key.to_string(), fact)).collect();
    serde_json::to_vec(&named).map_err(|source| LedgerError::Unreadable { key: "beside".into(), source })
}

/// Facts that are to stand beside an entry, over those that are known.
pub(crate) struct Beside<'a, S> {
    known: &'a mut S,
    pub(crate) facts: BTreeMap<FactKey, Fact>,
}

impl<'a, S> Beside<'a, S> {
    pub(crate) fn new(known: &'a mut S) -> Self {
        Self { known, facts: BTreeMap::new() }
    }
}

impl<S: FactStore> FactStore for Beside<'_, S> {
    type Error = S::Error;

    fn fact(&mut self, key: &FactKey) -> Result<Option<Fact>, S::Error> {
        match self.facts.get(key) {
            Some(fact) => Ok(Some(fact.clone())),
            None => self.known.fact(key),
        }
    }

    fn set(&mut self, key: FactKey, fact: Option<Fact>) {
        match fact {
            Some(fact) => drop(self.facts.insert(key, fact)),
            None => drop(self.facts.remove(&key)),
        }
    }
}

/// What a fact of this kind should be.
pub(crate) enum Meant {
    /// This, or nothing.
    Told(Option<Vec<u8>>),
    /// Nobody knows: what was committed to is erased, or was recorded before entries did.
    Unknown,
}

/// What stands beside the entries, folded from what they commit to.
#[derive(Default)]
pub(crate) struct Folded {
    told: BTreeMap<String, Vec<u8>>,
    /// The runs of which not everything is known.
    unknown: BTreeSet<String>,
    /// For each run that was delegated, the first of those that it comes from: what it has issued is kept there.
    first: BTreeMap<RunId, RunId>,
    /// The first runs of which not everything is known that they and those from them have issued.
    unissued: BTreeSet<String>,
    /// The run of each request.
    asked: BTreeMap<String, String>,
    /// What is not there or is something else: the entry that commits to it, and its run.
    gone: BTreeMap<Digest, (u64, RunId)>,
    erased: BTreeSet<Digest>,
}

impl Folded {
    /// Whether a fact is of this kind, by its key.
    pub(crate) fn has(key: &str) -> bool {
        ["trust/", "issued/", "summary/", "plan/"].iter().any(|prefix| key.starts_with(prefix))
    }

    /// Takes the next entry.
    pub(crate) fn take(&mut self, store: &mut dyn Store, entry: &Entry) -> Result<(), LedgerError> {
        if let Event::Erased(erased) = &entry.event {
            self.erased.insert(erased.payload);
        }
        let Some(run) = &entry.run else { return Ok(()) };
        if let Event::RunOpened(opened) = &entry.event
            && let Some(first) = opened.ancestors.last()
        {
            self.first.insert(run.clone(), first.clone());
        }
        if let Event::Asked(ask) = &entry.event {
            self.asked.insert(format!("summary/{}", ask.approval), run.to_string());
            self.asked.insert(format!("plan/{}", ask.approval), run.to_string());
        }
        let Some(committed) = &entry.beside else {
            // Each of these has brought some since entries commit to them.
            let brings = match &entry.event {
                Event::Asked(_) => true,
                Event::Concluded(concluded) => concluded.trusted_bytes > 0,
                _ => false,
            };
            if brings {
                self.forget(run);
            }
            return Ok(());
        };
        match payload(store, PayloadKind::Beside, committed) {
            Ok(Some(content)) => {
                let facts: BTreeMap<String, Box<RawValue>> = serde_json::from_slice(&content)
                    .map_err(|source| LedgerError::Unreadable { key: "beside".into(), source })?;
                let facts = facts.into_iter().map(|(key, fact)| (key, fact.get().as_bytes().to_vec()));
                self.told.extend(facts);
            }
            Ok(None) | Err(LedgerError::Tampered(_)) => {
                self.gone.insert(*committed, (entry.position, run.clone()));
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn forget(&mut self, run: &RunId) {
        self.unknown.insert(run.to_string());
        self.unissued.insert(self.first.get(run).unwrap_or(run).to_string());
    }

    /// All entries are taken: requests that are not open any more are not in short, either. Whoever takes away what an
    /// entry commits to could put anything in the place of the facts, so that is refused unless it was erased on record.
    pub(crate) fn end(&mut self, folded: &BTreeMap<FactKey, Fact>) -> Result<(), LedgerError> {
        for (committed, (position, run)) in std::mem::take(&mut self.gone) {
            if !self.erased.contains(&committed) {
                return Err(LedgerError::FactsDiffer(format!(
                    "what the entry {position} commits to beside it is gone or another, and was not erased on record; put \
                     back a copy of `data/`"
                )));
            }
            self.forget(&run);
        }
        let open: BTreeSet<String> = folded
            .keys()
            .filter_map(|key| match key {
                FactKey::Open(id) => Some(format!("summary/{id}")),
                _ => None,
            })
            .collect();
        self.told.retain(|key, _| !key.starts_with("summary/") || open.contains(key));
        Ok(())
    }

    /// How many facts are told.
    pub(crate) fn len(&self) -> usize {
        self.told.len()
    }

    /// What the fact under this key should be. Each is asked for once.
    pub(crate) fn meant(&mut self, key: &str) -> Meant {
        let told = self.told.remove(key);
        let kept = |prefix| key.strip_prefix(prefix).and_then(|rest: &str| rest.split('/').next());
        if let Some(first) = kept("issued/") {
            return if self.unissued.contains(first) { Meant::Unknown } else { Meant::Told(told) };
        }
        let run = kept("trust/").or_else(|| self.asked.get(key).map(String::as_str));
        if run.is_some_and(|run| self.unknown.contains(run)) { Meant::Unknown } else { Meant::Told(told) }
    }

    /// What is told and was not asked for.
    pub(crate) fn missing(mut self) -> Vec<(String, Vec<u8>)> {
        let keys: Vec<String> = self.told.keys().cloned().collect();
        let known = keys.into_iter().filter_map(|key| match self.meant(&key) {
            Meant::Told(Some(told)) => Some((key, told)),
            Meant::Told(None) | Meant::Unknown => None,
        });
        known.collect()
    }
}
