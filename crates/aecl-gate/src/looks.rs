//! What was looked up a short time ago, so that one look is enough for each thing, run and declared time.

use aecl_kernel::base::digest::Digest;
use aecl_kernel::base::id::{ActionId, RunId};
use aecl_kernel::base::time::Timestamp;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Most answers that are kept.
const KEPT_MAX: usize = 1024;

/// What was looked up a short time ago, by run, read and arguments. It holds no state that counts: without it, the gate
/// looks again.
#[derive(Default)]
pub(crate) struct Looks(Mutex<HashMap<Key, Slot>>);

pub(crate) type Key = (RunId, String, Digest);
/// One at a time looks at one thing; the others find what it has brought.
pub(crate) type Slot = Arc<tokio::sync::Mutex<Option<Brought>>>;

/// Answer of a look-up.
#[derive(Debug, Clone)]
pub(crate) struct Brought {
    pub(crate) at: Timestamp,
    pub(crate) action: ActionId,
    pub(crate) output: Digest,
    pub(crate) bytes: usize,
    pub(crate) value: Arc<Value>,
}

impl Looks {
    pub(crate) fn slot(&self, key: &Key) -> Slot {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= KEPT_MAX && !all.contains_key(key) {
            // Whoever looks right now keeps its own.
            all.retain(|_, slot| Arc::strong_count(slot) > 1);
        }
        all.entry(key.clone()).or_default().clone()
    }

    /// What an action has changed was read before in vain, in whichever run.
    pub(crate) fn forget(&self, read: &str, asked: &Digest) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|(_, name, digest), _| name != read || digest != asked);
    }
}
