//! Lets the kernel's proofs read nodes from a store.

use super::{Store, StoreError};
use aecl_proof::{Hash, Nodes};
use std::cell::RefCell;

/// The nodes of a store, as the kernel wants them. Made by [`with_nodes`].
pub struct StoredNodes<'a> {
    store: RefCell<&'a mut dyn Store>,
    // The kernel only knows "not there"; a store that could not answer must not look like that.
    failed: RefCell<Option<StoreError>>,
}

/// Runs `make` on the nodes of the store: `with_nodes(store, |nodes| inclusion_proof(3, 8, nodes))`.
pub fn with_nodes<T>(
    store: &mut dyn Store,
    make: impl FnOnce(&StoredNodes<'_>) -> T,
) -> Result<T, StoreError> {
    let nodes = StoredNodes { store: RefCell::new(store), failed: RefCell::new(None) };
    let made = make(&nodes);
    match nodes.failed.into_inner() {
        Some(error) => Err(error),
        None => Ok(made),
    }
}

impl Nodes for StoredNodes<'_> {
    fn node(&self, level: u8, index: u64) -> Option<Hash> {
        if self.failed.borrow().is_some() {
            return None;
        }
        self.store.borrow_mut().node(level, index).unwrap_or_else(|error| {
            *self.failed.borrow_mut() = Some(error);
            None
        })
    }
}
