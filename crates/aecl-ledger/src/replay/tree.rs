//! The complete nodes of the tree, grown again from the entries and compared with those that are stored.

use crate::error::LedgerError;
use crate::store::Store;
use aecl_proof::{Frontier, Hash, Node, leaf_hash};

/// Nodes of a level that are compared at once.
const NODES: usize = 256;

/// The tree as it grows.
#[derive(Default)]
pub(super) struct Grown {
    tree: Frontier,
    complete: Vec<Node>,
    // For each level, what is not compared yet.
    levels: Vec<Level>,
    differs: Vec<Node>,
}

#[derive(Default)]
struct Level {
    first: u64,
    hashes: Vec<Hash>,
}

impl Grown {
    /// Takes the next entry.
    pub(super) fn take(&mut self, store: &mut dyn Store, bytes: &[u8]) -> Result<(), LedgerError> {
        self.tree.append(leaf_hash(bytes), &mut self.complete);
        self.levels.resize_with(self.levels.len().max(self.complete.len()), Level::default);
        // From the leaf upwards, none left out.
        for ((level, _, hash), row) in self.complete.drain(..).zip(&mut self.levels) {
            row.hashes.push(hash);
            if row.hashes.len() == NODES {
                row.compare(store, level, &mut self.differs)?;
            }
        }
        Ok(())
    }

    /// The nodes that are stored otherwise, as they should be. An error if those are among them that the head is made
    /// of: then the entries are not those that were signed.
    pub(super) fn end(mut self, store: &mut dyn Store) -> Result<Vec<Node>, LedgerError> {
        for (level, row) in (0u8..).zip(&mut self.levels) {
            row.compare(store, level, &mut self.differs)?;
        }
        self.differs.sort_unstable_by_key(|(level, index, _)| (*level, *index));
        let edge = Frontier::coordinates(self.tree.size());
        let leads_elsewhere = self.differs.iter().any(|(level, index, _)| edge.contains(&(*level, *index)));
        match self.differs.first() {
            Some((level, index, _)) if leads_elsewhere => {
                Err(LedgerError::Tampered(in_words(*level, *index)))
            }
            Some(_) | None => Ok(self.differs),
        }
    }
}

impl Level {
    fn compare(
        &mut self,
        store: &mut dyn Store,
        level: u8,
        differs: &mut Vec<Node>,
    ) -> Result<(), LedgerError> {
        let mut stored = store.nodes(level, self.first, self.hashes.len())?.into_iter().peekable();
        for (index, hash) in (self.first..).zip(&self.hashes) {
            let there = stored.next_if(|(at, _)| *at == index);
            if there.is_none_or(|(_, there)| there != *hash) {
                differs.push((level, index, *hash));
            }
        }
        self.first += self.hashes.len() as u64;
        self.hashes.clear();
        Ok(())
    }
}

/// What is wrong with a node.
pub(crate) fn in_words(level: u8, index: u64) -> String {
    format!("the stored node {index} of level {level} is not the one of the entries below it")
}
