//! What is on record. Only the writer makes these, after the flush.

use aecl_kernel::base::digest::Digest;
use aecl_kernel::base::id::ActionId;
use aecl_kernel::base::time::Timestamp;
use aecl_kernel::decide::{Permit, Ruling};
use aecl_proof::Hash;
use serde::Serialize;
use std::sync::Arc;

/// A value whose entry is durable.
///
/// Whoever holds one may look at it, show its receipt, and take it apart:
///
/// ```
/// use aecl_kernel::decide::Permit;
/// use aecl_ledger::{Receipt, Recorded};
/// fn look(recorded: &Recorded<Permit>) { let _ = (recorded.get().id(), recorded.receipt().position); }
/// fn spend(recorded: Recorded<Permit>) -> (Permit, Receipt) { recorded.into_parts() }
/// ```
///
/// There is no constructor outside this room, no `Clone`, and taking it apart moves it. So "acted before it
/// was recorded" and "acted twice" do not compile:
///
/// ```compile_fail,E0451
/// use aecl_ledger::{Receipt, Recorded};
/// fn forged<T>(value: T, receipt: Receipt) -> Recorded<T> { Recorded { value, receipt } }
/// ```
/// ```compile_fail,E0624
/// use aecl_ledger::{Receipt, Recorded};
/// fn forged<T>(value: T, receipt: Receipt) -> Recorded<T> { Recorded::new(value, receipt) }
/// ```
/// ```compile_fail,E0599
/// use aecl_kernel::decide::Permit;
/// use aecl_ledger::Recorded;
/// fn twice(recorded: Recorded<Permit>) { let _again = recorded.clone(); }
/// ```
/// ```compile_fail,E0382
/// use aecl_kernel::decide::Permit;
/// use aecl_ledger::Recorded;
/// fn twice(recorded: Recorded<Permit>) { let _ = (recorded.into_parts(), recorded.into_parts()); }
/// ```
#[derive(Debug)]
pub struct Recorded<T> {
    value: T,
    receipt: Receipt,
}

/// Receipt of an entry: where it stands, and the signed head that covers it.
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

impl Recorded<Ruling> {
    /// The ruling and where it stands. A permit stays on record: as such it is the only key to the executor.
    pub fn split(self) -> (Ruling<Recorded<Permit>>, Receipt) {
        let (ruling, receipt) = self.into_parts();
        (ruling.map_permit(|permit| Recorded::new(permit, receipt.clone())), receipt)
    }
}

pub(crate) fn target_key(origin: &str, action: &ActionId) -> String {
    let digest = Digest::of_parts("aecl/target-key/v1", &[origin.as_bytes(), action.as_str().as_bytes()]);
    digest.hex().chars().take(32).collect()
}
