//! Making proofs: RFC 6962, sections 2.1.1 and 2.1.2.

use super::{Hash, Nodes, ProofError, empty_root, node_hash};

/// The root of the first `size` leaves.
pub fn root_of(size: u64, nodes: &impl Nodes) -> Result<Hash, ProofError> {
    if size == 0 { Ok(empty_root()) } else { range(0, size, nodes) }
}

/// The proof that leaf `index` is in the tree of the first `size` leaves, from the leaf upwards.
pub fn inclusion_proof(index: u64, size: u64, nodes: &impl Nodes) -> Result<Vec<Hash>, ProofError> {
    if index >= size {
        return Err(ProofError::BeyondTree { index, size });
    }
    let (mut from, mut to) = (0, size);
    let mut path = Vec::new();
    while to - from > 1 {
        let middle = from + split(to - from);
        if index < middle {
            path.push(range(middle, to, nodes)?);
            to = middle;
        } else {
            path.push(range(from, middle, nodes)?);
            from = middle;
        }
    }
    path.reverse();
    Ok(path)
}

/// The proof that the tree of the first `new` leaves extends the tree of the first `old` leaves.
///
/// It is empty when there is nothing to show: equal sizes, or an empty earlier tree.
pub fn consistency_proof(old: u64, new: u64, nodes: &impl Nodes) -> Result<Vec<Hash>, ProofError> {
    if old > new {
        return Err(ProofError::Shrunk { old, new });
    }
    if old == 0 || old == new {
        return Ok(Vec::new());
    }
    let (mut from, mut to) = (0, new);
    let mut path = Vec::new();
    while to != old {
        let middle = from + split(to - from);
        if old <= middle {
            path.push(range(middle, to, nodes)?);
            to = middle;
        } else {
            path.push(range(from, middle, nodes)?);
            from = middle;
        }
    }
    // The verifier knows the old root; what it does not know is a part of the old tree further right.
    if from != 0 {
        path.push(range(from, to, nodes)?);
    }
    path.reverse();
    Ok(path)
}

/// The largest power of two smaller than `leaves`, which must be at least 2.
fn split(leaves: u64) -> u64 {
    1 << (63 - (leaves - 1).leading_zeros())
}

/// The hash over the leaves `from..to`, a range that RFC 6962's splitting produced (so it is aligned).
fn range(from: u64, to: u64, nodes: &impl Nodes) -> Result<Hash, ProofError> {
    let leaves = to - from;
    if leaves.is_power_of_two() {
        let level = leaves.trailing_zeros() as u8;
        let index = from >> level;
        return nodes.node(level, index).ok_or(ProofError::MissingNode { level, index });
    }
    let middle = from + split(leaves);
    Ok(node_hash(&range(from, middle, nodes)?, &range(middle, to, nodes)?))
}
