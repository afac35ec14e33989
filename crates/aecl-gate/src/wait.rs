//! Waiting for people and for each other, by action. What is stored here is only who listens; where an
//! action stands is on record.

use aecl_kernel::id::ActionId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Notify, OwnedMutexGuard};

/// Who listens to which action.
#[derive(Default)]
pub(crate) struct Waits {
    bells: Mutex<HashMap<ActionId, Arc<Bell>>>,
}

/// What those share who wait for the same action.
#[derive(Default)]
pub(crate) struct Bell {
    changed: Notify,
    // One at a time asks again after a yes, so that two who wait do not become two actions.
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl Waits {
    /// Listens to an action. Drop what comes back, then call `leave`.
    pub(crate) fn listen(&self, id: &ActionId) -> Arc<Bell> {
        let mut bells = self.bells.lock().unwrap_or_else(PoisonError::into_inner);
        bells.entry(id.clone()).or_default().clone()
    }

    /// Takes away what nobody listens to.
    pub(crate) fn leave(&self, id: &ActionId) {
        let mut bells = self.bells.lock().unwrap_or_else(PoisonError::into_inner);
        if bells.get(id).is_some_and(|bell| Arc::strong_count(bell) == 1) {
            bells.remove(id);
        }
    }

    /// Tells everybody that something about the action is on record.
    pub(crate) fn ring(&self, id: &ActionId) {
        let bells = self.bells.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bell) = bells.get(id) {
            bell.changed.notify_waiters();
        }
    }
}

impl Bell {
    /// Completes at the next ring. Ask for it before you look at the record, then await it.
    pub(crate) fn next(&self) -> tokio::sync::futures::Notified<'_> {
        self.changed.notified()
    }

    pub(crate) async fn turn(&self) -> OwnedMutexGuard<()> {
        self.turn.clone().lock_owned().await
    }
}
