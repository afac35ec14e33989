//! Checking proofs: RFC 9162, sections 2.1.3.2 and 2.1.4.2, written so that the length is settled first.
//!
//! These walk up from the right edge; `prove` walks down from the root. The two share no code on purpose.

use super::{Hash, ProofError, empty_root, node_hash};

/// Checks that `leaf` is leaf number `index` of the tree with `size` leaves and this `root`.
pub fn verify_inclusion(
    leaf: &Hash,
    index: u64,
    size: u64,
    proof: &[Hash],
    root: &Hash,
) -> Result<(), ProofError> {
    if index >= size {
        return Err(ProofError::BeyondTree { index, size });
    }
    let steps = steps(index, size - 1);
    check_length(steps.len(), proof)?;
    let computed = steps.iter().zip(proof).fold(*leaf, |hash, (step, sibling)| match step {
        Step::SiblingLeft => node_hash(sibling, &hash),
        Step::SiblingRight => node_hash(&hash, sibling),
    });
    check_root(size, root, computed)
}

/// Checks that the tree with `new` leaves and `new_root` extends the one with `old` leaves and `old_root`.
///
/// An empty earlier tree is extended by every tree, provided that `old_root` is the empty root.
pub fn verify_consistency(
    old: u64,
    old_root: &Hash,
    new: u64,
    new_root: &Hash,
    proof: &[Hash],
) -> Result<(), ProofError> {
    if old > new {
        return Err(ProofError::Shrunk { old, new });
    }
    if old == 0 {
        check_length(0, proof)?;
        check_root(0, old_root, empty_root())?;
        return if new == 0 { check_root(0, new_root, empty_root()) } else { Ok(()) };
    }
    if old == new {
        check_length(0, proof)?;
        return check_root(new, new_root, *old_root);
    }
    // Start at the widest complete node that ends exactly where the old tree ends.
    let level = old.trailing_zeros();
    let steps = steps((old - 1) >> level, (new - 1) >> level);
    let whole = old.is_power_of_two();
    check_length(steps.len() + usize::from(!whole), proof)?;
    let (seed, rest) = match proof.split_first() {
        Some((first, rest)) if !whole => (*first, rest),
        // The old tree is itself that node.
        Some(_) | None => (*old_root, proof),
    };
    let (mut from_old, mut from_new) = (seed, seed);
    for (step, sibling) in steps.iter().zip(rest) {
        match step {
            Step::SiblingLeft => {
                from_old = node_hash(sibling, &from_old);
                from_new = node_hash(sibling, &from_new);
            }
            // What lies to the right did not exist in the old tree.
            Step::SiblingRight => from_new = node_hash(&from_new, sibling),
        }
    }
    check_root(old, old_root, from_old)?;
    check_root(new, new_root, from_new)
}

#[derive(Clone, Copy)]
enum Step {
    SiblingLeft,
    SiblingRight,
}

/// The way from node `index` to the root, when `last` is the last node of the same level.
fn steps(mut index: u64, mut last: u64) -> Vec<Step> {
    let mut steps = Vec::new();
    while last > 0 {
        if index & 1 == 1 {
            steps.push(Step::SiblingLeft);
        } else if index < last {
            steps.push(Step::SiblingRight);
        }
        // Otherwise the node stands alone at the right edge and moves up unhashed.
        (index, last) = (index >> 1, last >> 1);
    }
    steps
}

fn check_length(expected: usize, proof: &[Hash]) -> Result<(), ProofError> {
    if proof.len() == expected { Ok(()) } else { Err(ProofError::Length { expected, got: proof.len() }) }
}

fn check_root(size: u64, expected: &Hash, computed: Hash) -> Result<(), ProofError> {
    if *expected == computed { Ok(()) } else { Err(ProofError::Root { size, expected: *expected, computed }) }
}
