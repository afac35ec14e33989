//! What is on record. Only the writer makes these, after the flush.

use aecl_kernel::digest::Digest;
use aecl_kernel::id::ActionId;
use aecl_kernel::proof::Hash;
use aecl_kernel::time::Timestamp;
use serde::Serialize;
use std::sync::Arc;

/// A value whose entry is durable.
///
/// There is no constructor outside this room, so "acted before it was recorded" does not compile:
///
/// ```compile_fail
/// fn forged<T>(value: T) -> aecl_ledger::Recorded<T> { aecl_ledger::Recorded { value, receipt: todo!() } }
/// ```
/// ```compile_fail
/// fn twice(p: aecl_ledger::Recorded<aecl_kernel::decide::Permit>) { let again = p.clone(); }
/// ```
#[derive(Debug)]
pub struct Recorded<T> {
    value: T,
    receipt: Receipt,
}

/// Where an entry stands, and the signed head that covers it.
#[derive(Debug, Clone, Serialize)]
pub struct Receipt {
    /// The ledger.
    pub origin: Arc<str>,
    /// The position of the entry.
    pub position: u64,
    /// RFC 6962 leaf hash of the entry.
    pub leaf: Hash,
    /// When it was recorded.
    pub at: Timestamp,
    /// The signed checkpoint of the group that the entry was written in.
    pub checkpoint: Arc<str>,
}

impl<T> Recorded<T> {
    pub(crate) fn new(value: T, receipt: Receipt) -> Self {
        Self { value, receipt }
    }

    /// The value.
    pub fn get(&self) -> &T {
        &self.value
    }

    /// Where it stands.
    pub fn receipt(&self) -> &Receipt {
        &self.receipt
    }

    /// Takes it apart. What was a witness is only a value from here on.
    pub fn into_parts(self) -> (T, Receipt) {
        (self.value, self.receipt)
    }

    /// The stable key that a deduplicating target gets for this action: the same for every attempt, other
    /// for every other ledger.
    pub fn key_for(&self, action: &ActionId) -> String {
        target_key(&self.receipt.origin, action)
    }
}

pub(crate) fn target_key(origin: &str, action: &ActionId) -> String {
    let digest = Digest::of_parts("aecl/target-key/v1", &[origin.as_bytes(), action.as_str().as_bytes()]);
    digest.hex().chars().take(32).collect()
}
