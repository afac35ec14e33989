//! The mark that a failed commit leaves on a store.

use super::StoreError;
use crate::error::chain;

/// Set once, never cleared: a store is made usable again only by opening it anew.
#[derive(Debug, Default)]
pub(super) struct Poison(Option<String>);

impl Poison {
    /// Passes as long as no commit has failed.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        match &self.0 {
            Some(because) => Err(StoreError::Poisoned { because: because.clone() }),
            None => Ok(()),
        }
    }

    /// Remembers the outcome of a commit and hands it on.
    pub(super) fn after(&mut self, outcome: Result<(), StoreError>) -> Result<(), StoreError> {
        match &outcome {
            // Refused before anything was tried.
            Ok(()) | Err(StoreError::Conflict { .. } | StoreError::ReadOnly | StoreError::NotHere(_)) => {}
            Err(error) => self.0 = Some(chain(error)),
        }
        outcome
    }
}
