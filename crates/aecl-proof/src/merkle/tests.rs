use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// The leaves of Certificate Transparency's reference tree.
const LEAVES: [&[u8]; 8] = [
    b"",
    b"\x00",
    b"\x10",
    b"\x20\x21",
    b"\x30\x31",
    b"\x40\x41\x42\x43",
    b"\x50\x51\x52\x53\x54\x55\x56\x57",
    b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
];

/// Its roots for 1 to 8 leaves.
const ROOTS: [&str; 8] = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

struct Tree {
    leaves: Vec<Hash>,
    nodes: BTreeMap<(u8, u64), Hash>,
    /// `roots[n]` is the frontier's root after n leaves.
    roots: Vec<Hash>,
}

impl Nodes for Tree {
    fn node(&self, level: u8, index: u64) -> Option<Hash> {
        self.nodes.get(&(level, index)).copied()
    }
}

fn grow(leaves: impl IntoIterator<Item = Hash>) -> Tree {
    let mut tree = Tree { leaves: Vec::new(), nodes: BTreeMap::new(), roots: vec![empty_root()] };
    let mut frontier = Frontier::new();
    for leaf in leaves {
        let mut complete = Vec::new();
        frontier.append(leaf, &mut complete);
        for (level, index, hash) in complete {
            assert!(tree.nodes.insert((level, index), hash).is_none(), "a node is completed once");
        }
        tree.leaves.push(leaf);
        tree.roots.push(frontier.root());
    }
    tree
}

fn tree(size: u64) -> Tree {
    grow((0..size).map(|n| leaf_hash(&n.to_be_bytes())))
}

/// RFC 6962, section 2.1, as it is written there.
fn mth(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => empty_root(),
        [leaf] => *leaf,
        _ => {
            let middle = leaves.len().next_power_of_two() / 2;
            let (left, right) = leaves.split_at(middle);
            node_hash(&mth(left), &mth(right))
        }
    }
}

fn hex(text: &str) -> Hash {
    text.parse().unwrap()
}

#[test]
fn roots_are_those_of_certificate_transparency() {
    assert_eq!(empty_root(), hex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"));
    let tree = grow(LEAVES.iter().map(|leaf| leaf_hash(leaf)));
    for (size, root) in ROOTS.iter().enumerate() {
        assert_eq!(tree.roots[size + 1], hex(root), "{} leaves", size + 1);
        assert_eq!(root_of(size as u64 + 1, &tree), Ok(hex(root)));
    }
}

#[test]
fn proofs_are_those_of_certificate_transparency() {
    let tree = grow(LEAVES.iter().map(|leaf| leaf_hash(leaf)));
    let texts = |proof: Vec<Hash>| proof.iter().map(Hash::to_string).collect::<Vec<_>>();
    assert_eq!(
        texts(inclusion_proof(5, 8, &tree).unwrap()),
        [
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ]
    );
    assert_eq!(
        texts(consistency_proof(6, 8, &tree).unwrap()),
        [
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ]
    );
}

#[test]
fn every_proof_of_every_small_tree_holds() {
    let tree = tree(65);
    for size in 0..=65u64 {
        let root = tree.roots[size as usize];
        assert_eq!(root, mth(&tree.leaves[..size as usize]));
        assert_eq!(Frontier::load(size, &tree).unwrap().root(), root);
        for index in 0..size {
            let proof = inclusion_proof(index, size, &tree).unwrap();
            verify_inclusion(&tree.leaves[index as usize], index, size, &proof, &root).unwrap();
        }
        for old in 0..=size {
            let proof = consistency_proof(old, size, &tree).unwrap();
            verify_consistency(old, &tree.roots[old as usize], size, &root, &proof).unwrap();
        }
    }
}

#[test]
fn no_root_is_reached_from_another_place() {
    let tree = tree(20);
    for size in 1..=20u64 {
        for index in 0..size {
            let proof = inclusion_proof(index, size, &tree).unwrap();
            let leaf = tree.leaves[index as usize];
            let elsewhere = (0..20u64).filter(|other| *other != index);
            for other in elsewhere {
                let root = tree.roots[size as usize];
                assert!(verify_inclusion(&leaf, other, size, &proof, &root).is_err());
            }
        }
    }
}

#[test]
fn errors_say_what_failed() {
    let tree = tree(4);
    let none = |_: u8, _: u64| None;
    assert_eq!(inclusion_proof(4, 4, &tree), Err(ProofError::BeyondTree { index: 4, size: 4 }));
    assert_eq!(consistency_proof(3, 2, &tree), Err(ProofError::Shrunk { old: 3, new: 2 }));
    assert_eq!(inclusion_proof(0, 2, &none), Err(ProofError::MissingNode { level: 0, index: 1 }));
    assert_eq!(root_of(5, &tree), Err(ProofError::MissingNode { level: 0, index: 4 }));
    assert_eq!(Frontier::resume(3, vec![]), Err(ProofError::Length { expected: 2, got: 0 }));
    let root = tree.roots[4];
    assert_eq!(
        verify_inclusion(&tree.leaves[0], 0, 4, &[], &root),
        Err(ProofError::Length { expected: 2, got: 0 })
    );
    let text = verify_consistency(0, &root, 4, &root, &[]).unwrap_err().to_string();
    assert_eq!(text, format!("the proof leads to root {} for 0 leaves, not to {root}", empty_root()));
    assert!(verify_consistency(4, &root, 4, &tree.roots[3], &[]).is_err());
    assert!(verify_consistency(0, &empty_root(), 0, &root, &[]).is_err());
}

#[test]
fn sizes_at_the_end_of_the_number_line_are_no_panic() {
    let any = |_: u8, _: u64| Some(Hash([7; 32]));
    for size in [u64::MAX, 1 << 63, (1 << 63) + 1] {
        let root = root_of(size, &any).unwrap();
        let proof = inclusion_proof(size - 1, size, &any).unwrap();
        let _ = verify_inclusion(&Hash([7; 32]), size - 1, size, &proof, &root);
        let proof = consistency_proof(size - 1, size, &any).unwrap();
        let _ = verify_consistency(size - 1, &root, size, &root, &proof);
        assert_eq!(Frontier::coordinates(size).len() as u32, size.count_ones());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn proofs_hold_at_any_size(size in 1u64..3000, a: u64, b: u64) {
        let tree = tree(size);
        let (index, old) = (a % size, b % (size + 1));
        let root = tree.roots[size as usize];
        let proof = inclusion_proof(index, size, &tree).unwrap();
        prop_assert_eq!(verify_inclusion(&tree.leaves[index as usize], index, size, &proof, &root), Ok(()));
        let proof = consistency_proof(old, size, &tree).unwrap();
        prop_assert_eq!(verify_consistency(old, &tree.roots[old as usize], size, &root, &proof), Ok(()));
    }

    #[test]
    fn a_flipped_byte_breaks_the_proof(size in 1u64..600, a: u64, b: u64, at: usize, bits in 1u8..) {
        let tree = tree(size);
        let (index, old) = (a % size, 1 + b % size);

        let mut hashes = vec![tree.leaves[index as usize], tree.roots[size as usize]];
        hashes.extend(inclusion_proof(index, size, &tree).unwrap());
        flip(&mut hashes, at, bits);
        prop_assert!(verify_inclusion(&hashes[0], index, size, &hashes[2..], &hashes[1]).is_err());

        let mut hashes = vec![tree.roots[old as usize], tree.roots[size as usize]];
        hashes.extend(consistency_proof(old, size, &tree).unwrap());
        flip(&mut hashes, at, bits);
        prop_assert!(verify_consistency(old, &hashes[0], size, &hashes[1], &hashes[2..]).is_err());
    }

    #[test]
    fn a_proof_of_another_length_fails(size in 2u64..600, a: u64, b: u64) {
        let tree = tree(size);
        let (index, old) = (a % size, 1 + b % (size - 1));
        let root = tree.roots[size as usize];
        let leaf = tree.leaves[index as usize];
        let mut proof = inclusion_proof(index, size, &tree).unwrap();
        proof.push(root);
        prop_assert!(verify_inclusion(&leaf, index, size, &proof, &root).is_err());
        proof.truncate(proof.len() - 2);
        prop_assert!(verify_inclusion(&leaf, index, size, &proof, &root).is_err());
        let mut proof = consistency_proof(old, size, &tree).unwrap();
        proof.push(root);
        prop_assert!(verify_consistency(old, &tree.roots[old as usize], size, &root, &proof).is_err());
        proof.truncate(proof.len() - 2);
        prop_assert!(verify_consistency(old, &tree.roots[old as usize], size, &root, &proof).is_err());
    }
}

fn flip(hashes: &mut [Hash], at: usize, bits: u8) {
    let at = at % (hashes.len() * 32);
    hashes[at / 32].0[at % 32] ^= bits;
}
