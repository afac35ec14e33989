//! What every request asks first: its run and what that is for, whether its token was revoked, what is stopped. It is in
//! memory, bounded, and as true as the store: what is committed stands here before anybody is answered.

use crate::cache::{Changes, Generations, load, load_measured};
use crate::error::LedgerError;
use crate::store::Store;
use aecl_kernel::record::facts::{Fact, FactKey, FactStore};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Facts that requests ask for, as the store has them.
#[derive(Default)]
pub(crate) struct Known(Mutex<State>);

#[derive(Default)]
struct State {
    facts: Generations<Slot>,
    tickets: u64,
}

enum Slot {
    /// Somebody has gone to the store for it.
    Sought(u64),
    /// What the store has.
    Found(Option<Arc<Fact>>),
}

/// Whether requests ask for it.
fn is_asked(key: &FactKey) -> bool {
    matches!(key, FactKey::Run(_) | FactKey::Goal(_) | FactKey::Revoked(_) | FactKey::Kill(_))
}

impl Known {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known under a key, if anything is.
    fn find(&self, key: &FactKey) -> Option<Option<Fact>> {
        let found = match self.state().facts.find(key)? {
            Slot::Found(fact) => fact.clone(),
            Slot::Sought(_) => return None,
        };
        Some(found.map(Arc::unwrap_or_clone))
    }

    fn seek(&self, key: &FactKey) -> u64 {
        let mut state = self.state();
        state.tickets += 1;
        let ticket = state.tickets;
        state.facts.keep(key.clone(), Slot::Sought(ticket), 0);
        ticket
    }

    /// Keeps what the store had, unless something was committed since.
    fn found(&self, key: &FactKey, ticket: u64, fact: Option<Fact>, stored: usize) {
        let mut state = self.state();
        if matches!(state.facts.find(key), Some(Slot::Sought(mine)) if *mine == ticket) {
            state.facts.keep(key.clone(), Slot::Found(fact.map(Arc::new)), stored);
        }
    }

    /// Takes over what was committed.
    pub(crate) fn follow(&self, changes: &Changes) {
        let asked = changes.written().filter(|(key, ..)| is_asked(key));
        let mut state = self.state();
        for (key, fact, stored) in asked {
            // It may be long, and few are looked at.
            if matches!(key, FactKey::Goal(_)) {
                state.facts.forget(key);
                continue;
            }
            state.facts.keep(key.clone(), Slot::Found(fact.cloned().map(Arc::new)), stored);
        }
    }
}

/// Why a look gives nothing.
pub(crate) enum Missed {
    /// The store has to be asked.
    Unknown,
    /// The store could not be read.
    Failed(LedgerError),
}

impl From<Missed> for LedgerError {
    fn from(missed: Missed) -> Self {
        match missed {
            Missed::Failed(error) => error,
            Missed::Unknown => {
                Self::Stopped("a fact is not in memory, and nobody has asked the store".into())
            }
        }
    }
}

/// The facts for whoever looks: those that are known, and those of the store, where there is one.
pub(crate) struct Look<'a> {
    pub(crate) known: &'a Known,
    pub(crate) store: Option<&'a mut dyn Store>,
}

impl FactStore for Look<'_> {
    type Error = Missed;

    fn fact(&mut self, key: &FactKey) -> Result<Option<Fact>, Missed> {
        if !is_asked(key) {
            let store = self.store.as_deref_mut().ok_or(Missed::Unknown)?;
            return load(store, key).map_err(Missed::Failed);
        }
        if let Some(fact) = self.known.find(key) {
            return Ok(fact);
        }
        let store = self.store.as_deref_mut().ok_or(Missed::Unknown)?;
        let ticket = self.known.seek(key);
        let (fact, stored) = load_measured(store, key).map_err(Missed::Failed)?;
        self.known.found(key, ticket, fact.clone(), stored);
        Ok(fact)
    }

    // Whoever looks changes nothing.
    fn set(&mut self, _: FactKey, _: Option<Fact>) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::GENERATION_BYTES;
    use aecl_kernel::base::time::Timestamp;

    fn key() -> FactKey {
        FactKey::Revoked("tok".into())
    }

    fn revoked(at: i64) -> Option<Fact> {
        Some(Fact::Revoked(Timestamp(at)))
    }

    fn committed(known: &Known, fact: Option<Fact>) {
        let mut changes = Changes::default();
        changes.set(key(), fact);
        changes.rows().unwrap();
        known.follow(&changes);
    }

    #[test]
    fn what_was_committed_meanwhile_counts_more_than_what_the_store_had() {
        let known = Known::default();
        let ticket = known.seek(&key());
        committed(&known, revoked(1));
        known.found(&key(), ticket, None, 0);
        assert_eq!(known.find(&key()), Some(revoked(1)));
    }

    #[test]
    fn of_two_who_look_the_later_counts() {
        let known = Known::default();
        let (early, late) = (known.seek(&key()), known.seek(&key()));
        known.found(&key(), early, revoked(1), 9);
        assert_eq!(known.find(&key()), None);
        known.found(&key(), late, revoked(2), 9);
        assert_eq!(known.find(&key()), Some(revoked(2)));
    }

    #[test]
    fn what_was_forgotten_is_looked_for_again() {
        let known = Known::default();
        let ticket = known.seek(&key());
        for n in 0..20_000 {
            known.seek(&FactKey::Revoked(n.to_string()));
        }
        known.found(&key(), ticket, revoked(1), 9);
        assert_eq!(known.find(&key()), None);
        assert!(known.state().facts.bytes() <= 2 * GENERATION_BYTES);
    }
}
