//! Waiting for people and for each other, by action. What is stored here is only who listens; where an
//! action stands is on record.

use aecl_kernel::id::ActionId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Notify, OwnedMutexGuard};

/// Who listens to which action.
#[derive(Default)]
pub(crate) struct Waits {
    // With how many listen.
    bells: Mutex<HashMap<ActionId, (Arc<Bell>, usize)>>,
}

/// What those share who wait for the same action.
#[derive(Default)]
pub(crate) struct Bell {
    changed: Notify,
    // One at a time asks again after a yes, so that two who wait do not become two actions.
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl Waits {
    /// Listens to an action until it is dropped.
    pub(crate) fn listener(&self, id: &ActionId) -> Listener<'_> {
        let mut bells = self.bells.lock().unwrap_or_else(PoisonError::into_inner);
        let (bell, listeners) = bells.entry(id.clone()).or_default();
        *listeners += 1;
        Listener { waits: self, id: id.clone(), bell: bell.clone() }
    }

    /// Takes away what nobody listens to.
    fn leave(&self, id: &ActionId) {
        let mut bells = self.bells.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, listeners)) = bells.get_mut(id) {
            *listeners -= 1;
            if *listeners == 0 {
                bells.remove(id);
            }
        }
    }

    /// Tells everybody that something about the action is on record.
    pub(crate) fn ring(&self, id: &ActionId) {
        let bells = self.bells.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((bell, _)) = bells.get(id) {
            bell.changed.notify_waiters();
        }
    }
}

/// Somebody who listens. Whoever gives up waiting leaves nothing behind.
pub(crate) struct Listener<'a> {
    waits: &'a Waits,
    id: ActionId,
    bell: Arc<Bell>,
}

impl Listener<'_> {
    pub(crate) fn bell(&self) -> &Bell {
        &self.bell
    }
}

impl Drop for Listener<'_> {
    fn drop(&mut self) {
        self.waits.leave(&self.id);
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
