//! Waiting for people and for each other, by action. What is stored here is only who listens; where an
//! action stands is on record.

use aecl_kernel::base::digest::Digest;
use aecl_kernel::base::id::ActionId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use tokio::sync::{Notify, OwnedMutexGuard};

/// Who listens to which action.
#[derive(Default)]
pub(crate) struct Waits(Arc<Mutex<Bells>>);

#[derive(Default)]
struct Bells {
    by_action: HashMap<ActionId, Arc<Bell>>,
    by_digest: HashMap<Digest, Arc<Bell>>,
}

/// What those share who wait for the same action.
struct Bell {
    action: ActionId,
    // Set once it waits for people.
    digest: OnceLock<Digest>,
    changed: Notify,
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// Somebody who listens. What nobody listens to any more is forgotten.
pub(crate) struct Listening {
    bells: Arc<Mutex<Bells>>,
    bell: Arc<Bell>,
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
        let mut bells = lock(&self.0);
        let bell = bells.by_action.entry(id.clone()).or_insert_with(|| Arc::new(Bell::new(id))).clone();
        if let Some(digest) = digest {
            bell.digest.get_or_init(|| digest);
            bells.by_digest.insert(digest, bell.clone());
        }
        Listening { bells: self.0.clone(), bell }
    }

    /// The turn of what waits with this digest, if something does.
    pub(crate) async fn turn_of(&self, digest: &Digest) -> Option<Turn> {
        let bell = lock(&self.0).by_digest.get(digest).cloned()?;
        Some(Listening { bells: self.0.clone(), bell }.turn().await)
    }

    /// Tells everybody that something about the action is on record.
    pub(crate) fn ring(&self, id: &ActionId) {
        if let Some(bell) = lock(&self.0).by_action.get(id) {
            bell.changed.notify_waiters();
        }
    }
}

impl Bell {
    fn new(id: &ActionId) -> Self {
        Self { action: id.clone(), digest: OnceLock::new(), changed: Notify::new(), turn: Arc::default() }
    }
}

impl Listening {
    /// Completes at the next ring. Ask for it before you look at the record, then await it.
    pub(crate) fn next(&self) -> tokio::sync::futures::Notified<'_> {
        self.bell.changed.notified()
    }

    /// Waits for the turn.
    pub(crate) async fn turn(self) -> Turn {
        Turn { _guard: self.bell.turn.clone().lock_owned().await, _listening: self }
    }

    /// The same listener once more.
    pub(crate) fn again(&self) -> Listening {
        Listening { bells: self.bells.clone(), bell: self.bell.clone() }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let mut bells = lock(&self.bells);
        let digest = self.bell.digest.get();
        // A later action of the same digest may have taken the place.
        let found = digest.filter(|d| bells.by_digest.get(d).is_some_and(|b| Arc::ptr_eq(b, &self.bell)));
        let in_maps = 1 + usize::from(found.is_some());
        if Arc::strong_count(&self.bell) > in_maps + 1 {
            return;
        }
        bells.by_action.remove(&self.bell.action);
        if let Some(digest) = found {
            bells.by_digest.remove(digest);
        }
    }
}

fn lock(bells: &Mutex<Bells>) -> MutexGuard<'_, Bells> {
    // The maps are whole at all times, also after a panic elsewhere.
    bells.lock().unwrap_or_else(PoisonError::into_inner)
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
        let bells = lock(&waits.0);
        assert!(bells.by_action.is_empty() && bells.by_digest.is_empty());
    }
}
