//! The RFC 6962 tree over SHA-256: hashing, growing, and (below) proving and verifying.
//!
//! A node at `(level, index)` covers the leaves `index * 2^level .. (index + 1) * 2^level`. Only *complete*
//! nodes have coordinates and are ever stored; the ragged right edge is folded from them when needed. So a
//! stored node never changes, and a store may refuse to overwrite one.

use super::Hash;
use sha2::{Digest, Sha256};

mod prove;
mod verify;

pub use prove::{consistency_proof, inclusion_proof, root_of};
pub use verify::{verify_consistency, verify_inclusion};

/// A complete node: level, index within the level, hash.
pub type Node = (u8, u64, Hash);

/// Source of complete nodes. `None` means that the node is not there.
pub trait Nodes {
    /// The hash of the complete node at `(level, index)`.
    fn node(&self, level: u8, index: u64) -> Option<Hash>;
}

impl<F: Fn(u8, u64) -> Option<Hash>> Nodes for F {
    fn node(&self, level: u8, index: u64) -> Option<Hash> {
        self(level, index)
    }
}

/// Errors of a proof that could not be made, or does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The leaf lies outside the tree.
    #[error("leaf {index} is not in a tree of {size} leaves")]
    BeyondTree {
        /// The leaf asked about.
        index: u64,
        /// Leaves in the tree.
        size: u64,
    },
    /// The later tree is the smaller one.
    #[error("a tree of {new} leaves cannot extend one of {old}")]
    Shrunk {
        /// Size of the earlier tree.
        old: u64,
        /// Size of the later tree.
        new: u64,
    },
    /// A node that the proof needs is not stored.
    #[error("node {index} of level {level} is missing")]
    MissingNode {
        /// Its level.
        level: u8,
        /// Its index within the level.
        index: u64,
    },
    /// The number of hashes is not the one that this proof must have.
    #[error("the proof has {got} hashes and must have {expected}")]
    Length {
        /// What the sizes ask for.
        expected: usize,
        /// What is there.
        got: usize,
    },
    /// The proof leads to another root than the one to be proven.
    #[error("the proof leads to root {computed} for {size} leaves, not to {expected}")]
    Root {
        /// Leaves under the root.
        size: u64,
        /// The root to be proven.
        expected: Hash,
        /// The root that the proof leads to.
        computed: Hash,
    },
}

/// The hash of a leaf: `SHA-256(0x00 ‖ bytes)`.
pub fn leaf_hash(bytes: &[u8]) -> Hash {
    Hash(Sha256::new().chain_update([0u8]).chain_update(bytes).finalize().into())
}

/// The hash of an inner node: `SHA-256(0x01 ‖ left ‖ right)`.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Hash(Sha256::new().chain_update([1u8]).chain_update(left.0).chain_update(right.0).finalize().into())
}

/// The root of the tree without leaves: `SHA-256("")`.
pub fn empty_root() -> Hash {
    Hash(Sha256::digest(b"").into())
}

/// The right edge of a growing tree: all that is needed to append and to name the root.
///
/// ```
/// use aecl_proof::{Frontier, leaf_hash, node_hash};
/// let (a, b) = (leaf_hash(b"a"), leaf_hash(b"b"));
/// let mut tree = Frontier::new();
/// let mut complete = Vec::new();
/// tree.append(a, &mut complete);
/// tree.append(b, &mut complete);
/// assert_eq!(tree.root(), node_hash(&a, &b));
/// assert_eq!(complete, [(0, 0, a), (0, 1, b), (1, 0, tree.root())]);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    // One hash for each bit set in `size`, widest first.
    edge: Vec<Hash>,
}

impl Frontier {
    /// A tree without leaves.
    pub fn new() -> Self {
        Self::default()
    }

    /// The coordinates of the complete nodes that [`Frontier::resume`] needs, widest first. At most 64.
    pub fn coordinates(size: u64) -> Vec<(u8, u64)> {
        let set = (0..64u8).rev().filter(|level| size >> level & 1 == 1);
        // Clearing the bit itself leaves the index of the even sibling, which is the complete one.
        set.map(|level| (level, (size >> level) & !1)).collect()
    }

    /// The tree of `size` leaves, from the hashes at [`Frontier::coordinates`].
    pub fn resume(size: u64, edge: Vec<Hash>) -> Result<Self, ProofError> {
        let expected = size.count_ones() as usize;
        if edge.len() != expected {
            return Err(ProofError::Length { expected, got: edge.len() });
        }
        Ok(Self { size, edge })
    }

    /// Like [`Frontier::resume`], looking the hashes up in `nodes`.
    pub fn load(size: u64, nodes: &impl Nodes) -> Result<Self, ProofError> {
        let find = |(level, index)| nodes.node(level, index).ok_or(ProofError::MissingNode { level, index });
        let edge = Self::coordinates(size).into_iter().map(find).collect::<Result<_, _>>()?;
        Ok(Self { size, edge })
    }

    /// Adds a leaf. The nodes that became complete are pushed onto `complete`, the leaf first.
    pub fn append(&mut self, leaf: Hash, complete: &mut Vec<Node>) {
        let (mut level, mut index, mut hash) = (0u8, self.size, leaf);
        complete.push((level, index, hash));
        // An odd index means that the left sibling is complete and waits at the end of the edge.
        while index & 1 == 1 {
            let Some(left) = self.edge.pop() else { break };
            hash = node_hash(&left, &hash);
            (level, index) = (level + 1, index >> 1);
            complete.push((level, index, hash));
        }
        self.edge.push(hash);
        self.size += 1;
    }

    /// Number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The root over all leaves so far.
    pub fn root(&self) -> Hash {
        let mut narrowest_first = self.edge.iter().rev();
        let Some(&last) = narrowest_first.next() else { return empty_root() };
        narrowest_first.fold(last, |right, left| node_hash(left, &right))
    }
}

#[cfg(test)]
mod tests;
