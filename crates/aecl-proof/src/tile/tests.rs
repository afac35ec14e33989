use super::*;
use crate::{Frontier, leaf_hash, node_hash};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

#[test]
fn paths_are_those_of_the_specification() {
    let check = |path: Result<TilePath, TileError>, text: &str| {
        assert_eq!(path.as_ref().unwrap().to_string(), text);
        assert_eq!(text.parse::<TilePath>(), path);
    };
    check(TilePath::hashes(0, 0, 256), "tile/0/000");
    check(TilePath::hashes(0, 999, 256), "tile/0/999");
    check(TilePath::hashes(1, 1000, 1), "tile/1/x001/000.p/1");
    check(TilePath::hashes(63, 1_234_067, 255), "tile/63/x001/x234/067.p/255");
    check(TilePath::entries(1_234_067, 256), "tile/entries/x001/x234/067");
    check(TilePath::hashes(0, u64::MAX, 256), "tile/0/x018/x446/x744/x073/x709/x551/615");
}

#[test]
fn every_other_path_is_refused() {
    let cases = [
        "",
        "tile",
        "tile/",
        "tile/0",
        "tile/0/",
        "tile/0/0",
        "tile/0/00",
        "tile/0/0000",
        "tile/00/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/+1/000",
        "tile/x/000",
        "/tile/0/000",
        "tile/0/000/",
        "tile/0/x000",
        "tile/0/x000/001",
        "tile/0/001/001",
        "tile/0/x001/x001",
        "tile/0/001.p",
        "tile/0/001.p/",
        "tile/0/001.p/0",
        "tile/0/001.p/256",
        "tile/0/001.p/01",
        "tile/0/001.p/1/1",
        "tile/0/001.p/65537",
        "tile/0/../001",
        "tile/0/x018/x446/x744/x073/x709/x551/616",
        "tile/data/001",
        "tile/entries/1",
    ];
    for case in cases {
        assert_eq!(case.parse::<TilePath>(), Err(TileError::Path(case.to_owned())));
    }
    assert!(TilePath::hashes(64, 0, 1).is_err());
    assert!(TilePath::hashes(0, 0, 0).is_err());
    assert!(TilePath::entries(0, 257).is_err());
}

#[test]
fn a_tree_of_70_000_leaves_has_the_files_that_the_specification_names() {
    let mut rows = BTreeMap::<_, Vec<_>>::new();
    for path in TilePath::changed(0, 70_000) {
        rows.entry(path.level()).or_default().push((path.index(), path.width()));
    }
    let full = |n: u64| (0..n).map(|index| (index, 256));
    let leaves: Vec<_> = full(273).chain([(273, 112)]).collect();
    let expected = [
        (None, leaves.clone()),
        (Some(0), leaves),
        (Some(1), vec![(0, 256), (1, 17)]),
        (Some(2), vec![(0, 1)]),
    ];
    assert_eq!(rows, BTreeMap::from(expected));
    let of_256: Vec<_> = TilePath::changed(0, 256).map(|path| path.to_string()).collect();
    assert_eq!(of_256, ["tile/entries/000", "tile/0/000", "tile/1/000.p/1"]);
    assert_eq!(TilePath::changed(70_000, 70_000).count(), 0);
    assert_eq!(TilePath::changed(0, 0).count(), 0);
    assert!(TilePath::changed(u64::MAX - 1, u64::MAX).count() > 0);
}

#[test]
fn a_tile_holds_the_roots_of_the_tiles_below() {
    let (mut tree, mut nodes) = (Frontier::new(), Vec::new());
    (0..600u32).for_each(|n| tree.append(leaf_hash(&n.to_be_bytes()), &mut nodes));
    let nodes: BTreeMap<_, _> =
        nodes.into_iter().map(|(level, index, hash)| ((level, index), hash)).collect();
    let nodes = |level: u8, index: u64| nodes.get(&(level, index)).copied();
    let read = |text: &str| {
        let path: TilePath = text.parse().unwrap();
        path.read_hashes(&path.collect(&nodes).unwrap()).unwrap()
    };
    let upper = read("tile/1/000.p/2");
    for (tile, root) in ["tile/0/000", "tile/0/001"].into_iter().zip(upper) {
        let mut row = read(tile);
        while row.len() > 1 {
            row = row.as_chunks::<2>().0.iter().map(|[left, right]| node_hash(left, right)).collect();
        }
        assert_eq!(row, [root]);
    }
    assert_eq!(read("tile/0/002.p/88").last(), Some(&leaf_hash(&599u32.to_be_bytes())));
    assert_eq!(
        "tile/0/002.p/89".parse::<TilePath>().unwrap().collect(&nodes),
        Err(TileError::Missing(ProofError::MissingNode { level: 0, index: 600 }))
    );
}

#[test]
fn a_file_of_another_length_is_refused() {
    let path = TilePath::entries(0, 2).unwrap();
    let bytes = write_entries(["ab", ""]).unwrap();
    assert_eq!(bytes, b"\0\x02ab\0\0");
    assert_eq!(path.read_entries(&bytes), Ok(vec![b"ab".as_slice(), b""]));
    for length in 0..bytes.len() {
        assert!(path.read_entries(&bytes[..length]).is_err(), "{length}");
    }
    assert!(path.read_entries(&[bytes.as_slice(), &[0]].concat()).is_err());
    assert!(path.read_entries(&[bytes.as_slice(), &[0, 0]].concat()).is_err());
    assert!(write_entries([vec![0; ENTRY_MAX_BYTES]]).is_ok());
    assert_eq!(write_entries([vec![0; ENTRY_MAX_BYTES + 1]]), Err(TileError::EntryTooLong(65_536)));

    let path = TilePath::hashes(0, 0, 2).unwrap();
    assert!(path.read_hashes(&[0; 64]).is_ok());
    assert!(path.read_hashes(&[0; 63]).is_err());
    assert!(path.read_hashes(&[0; 96]).is_err());
}

proptest! {
    #[test]
    fn every_path_reads_back(level in 0u8..64, index: u64, width in 1u16..=256, bundle: bool) {
        let path = if bundle { TilePath::entries(index, width) } else { TilePath::hashes(level, index, width) };
        let path = path.unwrap();
        prop_assert_eq!(path.to_string().parse(), Ok(path));
    }

    #[test]
    fn every_bundle_reads_back(entries in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..257)) {
        let path = TilePath::entries(0, entries.len() as u16).unwrap();
        let bytes = write_entries(&entries).unwrap();
        prop_assert_eq!(path.read_entries(&bytes).unwrap(), entries);
    }

    #[test]
    fn growing_in_steps_writes_all_files(steps in prop::collection::vec(0u64..900, 1..8)) {
        let (mut files, mut size) = (BTreeSet::new(), 0);
        for step in steps {
            files.extend(TilePath::changed(size, size + step));
            size += step;
        }
        prop_assert!(TilePath::changed(0, size).all(|path| files.contains(&path)));
    }
}
