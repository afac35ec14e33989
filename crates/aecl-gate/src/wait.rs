//! Waiting for people and for each other, by action. What is stored here is only who listens; where an
//! action stands is on record.

use aecl_kernel::base::digest::Digest;
use aecl_kernel::base::id::ActionId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use tokio::sync::{Notify, OwnedMutexGuard};

/// Who listens to which action.
#[derive(Default)]
pub(crate) struct Waits(Arc<Mutex<AllWaiters>>);

#[derive(Default)]
struct AllWaiters {
    by_action: HashMap<ActionId, Arc<Waiters>>,
    by_digest: HashMap<Digest, Arc<Waiters>>,
}

/// What those share who wait for the same action.
struct Waiters {
    action: ActionId,
    // Set once it waits for people.
    digest: OnceLock<Digest>,
    changed: Notify,
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// Somebody who listens. What nobody listens to any more is forgotten.
pub(crate) struct Listening {
    all: Arc<Mutex<AllWaiters>>,
    waiters: Arc<Waiters>,
}

/// Leave to ask again about what waits. One at a time has it, so that two who wait for one yes, or one who
/// waits and one who comes anew, do not become two actions.
pub(crate) struct Turn {
    _guard: OwnedMutexGuard<()>,
    _listening: Listening,
}

impl Waits {
    /// Listens to an action.
    pub(crate) fn listen(&self, id: &ActionId) -> Listening {
        self.listener(id, None)
    }

    /// Listens to an action that waits; whoever proposes the same finds its turn.
    pub(crate) fn listen_waiting(&self, id: &ActionId, digest: &Digest) -> Listening {
        self.listener(id, Some(*digest))
    }

    fn listener(&self, id: &ActionId, digest: Option<Digest>) -> Listening {
        let mut all = lock(&self.0);
        let waiters = all.by_action.entry(id.clone()).or_insert_with(|| Arc::new(Waiters::new(id))).clone();
        if let Some(digest) = digest {
            waiters.digest.get_or_init(|| digest);
            all.by_digest.insert(digest, waiters.clone());
        }
        Listening { all: self.0.clone(), waiters }
    }

    /// The turn of what waits with this digest, if something does.
    pub(crate) async fn turn_of(&self, digest: &Digest) -> Option<Turn> {
        let waiters = lock(&self.0).by_digest.get(digest).cloned()?;
        Some(Listening { all: self.0.clone(), waiters }.turn().await)
    }

    /// Tells everybody that something about the action is on record.
    pub(crate) fn ring(&self, id: &ActionId) {
        if let Some(waiters) = lock(&self.0).by_action.get(id) {
            waiters.changed.notify_waiters();
        }
    }
}

impl Waiters {
    fn new(id: &ActionId) -> Self {
        Self { action: id.clone(), digest: OnceLock::new(), changed: Notify::new(), turn: Arc::default() }
    }
}

impl Listening {
    /// Completes at the next ring. Ask for it before you look at the record, then await it.
    pub(crate) fn next(&self) -> tokio::sync::futures::Notified<'_> {
        self.waiters.changed.notified()
    }

    /// Waits for the turn.
    pub(crate) async fn turn(self) -> Turn {
        Turn { _guard: self.waiters.turn.clone().lock_owned().await, _listening: self }
    }

    /// The same listener once more.
    pub(crate) fn again(&self) -> Listening {
        Listening { all: self.all.clone(), waiters: self.waiters.clone() }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let mut all = lock(&self.all);
        let digest = self.waiters.digest.get();
        // A later action of the same digest may have taken the place.
        let found = digest.filter(|d| all.by_digest.get(d).is_some_and(|b| Arc::ptr_eq(b, &self.waiters)));
        let in_maps = 1 + usize::from(found.is_some());
        if Arc::strong_count(&self.waiters) > in_maps + 1 {
            return;
        }
        all.by_action.remove(&self.waiters.action);
        if let Some(digest) = found {
            all.by_digest.remove(digest);
        }
    }
}

fn lock(all: &Mutex<AllWaiters>) -> MutexGuard<'_, AllWaiters> {
    // The maps are whole at all times, also after a panic elsewhere.
    all.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_nobody_listens_to_is_forgotten() {
        let (waits, id, digest) = (Waits::default(), ActionId::new("act_1").unwrap(), Digest::of(b"1"));
        assert!(waits.turn_of(&digest).await.is_none());
        let (one, two, three) =
            (waits.listen(&id), waits.listen_waiting(&id, &digest), waits.listen_waiting(&id, &digest));
        drop(two);
        let turn = three.turn().await;
        assert_eq!(lock(&waits.0).by_action.len(), 1);
        drop(turn);
        assert!(waits.turn_of(&digest).await.is_some());
        drop(one);
        let all = lock(&waits.0);
        assert!(all.by_action.is_empty() && all.by_digest.is_empty());
    }
}
