//! What every store must do. `suite::on!(open)` makes one test of each check, on the stores that `open` returns.

use super::{Batch, EntryRow, FoundBy, PayloadRow, Store, StoreConfig, StoreError, with_nodes};
use aecl_proof::{Frontier, Hash, inclusion_proof, leaf_hash, root_of, verify_inclusion};
use std::sync::Arc;
use tempfile::TempDir;

/// An empty store, and the directory that must outlive it.
pub(crate) type Opened = (Box<dyn Store>, Option<TempDir>);

macro_rules! on {
    ($open:ident) => {
        crate::store::suite::on! { $open;
            a_new_store_is_empty
            what_was_committed_is_read_back
            a_batch_at_another_place_is_refused_and_harmless
            a_failed_batch_leaves_nothing_and_poisons
            the_last_word_on_a_fact_counts
            a_scan_goes_in_key_order
            entries_are_found_by_run_and_action
            what_entries_are_found_by_is_read_and_put_right
            nodes_are_read_in_rows_and_put_right
            a_payload_that_is_there_stays
            a_checkpoint_stays_until_the_next
            a_reader_sees_what_is_committed_and_writes_nothing
            bytes_are_kept_as_they_are
            the_tree_grows_across_batches
            a_snapshot_is_of_one_moment
            payloads_beyond_what_is_known_are_listed
        }
    };
    ($open:ident; $($check:ident)*) => {
        mod suite_on_this_store {
            $(#[test] fn $check() { crate::store::suite::$check(super::$open()) })*
        }
    };
}
pub(crate) use on;

/// A batch of `count` entries at `first`, with all nodes of the tree over them and those before.
pub(crate) fn batch(first: u64, count: u64) -> Batch {
    let mut tree = Frontier::new();
    (0..first).for_each(|position| tree.append(leaf(position), &mut Vec::new()));
    let mut nodes = Vec::new();
    (first..first + count).for_each(|position| tree.append(leaf(position), &mut nodes));
    Batch {
        first,
        entries: (first..first + count).map(entry).collect(),
        facts: vec![("size".into(), Some((first + count).to_string().into_bytes()))],
        payloads: (first..first + count).map(payload).collect(),
        nodes,
        checkpoint: Some(format!("checkpoint {}", first + count)),
    }
}

fn entry(position: u64) -> EntryRow {
    let run = (!position.is_multiple_of(3)).then(|| format!("run-{}", position % 3));
    let action = (position % 5 == 1).then(|| "action-1".to_owned());
    EntryRow { bytes: Arc::from(format!("entry {position}").as_bytes()), run, action }
}

fn leaf(position: u64) -> Hash {
    leaf_hash(&entry(position).bytes)
}

fn payload(position: u64) -> PayloadRow {
    PayloadRow {
        commitment: leaf_hash(&position.to_be_bytes()),
        salt: [position as u8; 32],
        content: vec![position as u8; 100],
        subject: format!("subject-{position}"),
    }
}

fn numbered(positions: impl IntoIterator<Item = u64>) -> Vec<(u64, Vec<u8>)> {
    positions.into_iter().map(|position| (position, entry(position).bytes.to_vec())).collect()
}

fn facts(facts: &[(&str, Option<&str>)]) -> Vec<(String, Option<Vec<u8>>)> {
    facts
        .iter()
        .map(|(key, value)| ((*key).to_owned(), value.map(|value| value.as_bytes().to_vec())))
        .collect()
}

fn load(store: &mut dyn Store, key: &str) -> Option<Vec<u8>> {
    store.load(&[key.to_owned()]).unwrap().remove(0)
}

pub(crate) fn a_new_store_is_empty((mut store, _dir): Opened) {
    assert_eq!(store.head().unwrap(), Default::default());
    assert_eq!(store.load(&["a".into(), "b".into()]).unwrap(), [None, None]);
    assert!(store.load(&[]).unwrap().is_empty());
    assert!(store.scan("", None, 9).unwrap().is_empty());
    assert!(store.entries(0, 9).unwrap().is_empty());
    assert!(store.entries_of_run("r", None, 9).unwrap().is_empty());
    assert!(store.entries_of_action("a").unwrap().is_empty());
    assert!(store.payload(&Hash([0; 32])).unwrap().is_none());
    assert!(store.node(0, 0).unwrap().is_none());
    assert!(store.payloads_beyond(&|_| false).unwrap().is_empty());
    assert!(store.tables_differ().unwrap().is_empty());
    assert!(store.broken().unwrap().is_empty());
}

pub(crate) fn what_was_committed_is_read_back((mut store, _dir): Opened) {
    store.commit(&batch(0, 4)).unwrap();
    store.commit(&batch(4, 3)).unwrap();
    let head = store.head().unwrap();
    assert_eq!((head.size, head.checkpoint.as_deref()), (7, Some("checkpoint 7")));
    assert_eq!(store.entries(0, 100).unwrap(), numbered(0..7));
    assert_eq!(store.entries(2, 3).unwrap(), numbered(2..5));
    assert!(store.entries(7, 1).unwrap().is_empty());
    assert!(store.entries(u64::MAX, 1).unwrap().is_empty());
    assert!(store.entries(0, 0).unwrap().is_empty());
    assert_eq!(load(&mut *store, "size"), Some(b"7".to_vec()));
    assert_eq!(store.payload(&payload(5).commitment).unwrap(), Some(payload(5)));
    assert_eq!(store.node(0, 6).unwrap(), Some(leaf(6)));
    assert_eq!(store.node(u8::MAX, u64::MAX).unwrap(), None);
}

pub(crate) fn a_batch_at_another_place_is_refused_and_harmless((mut store, _dir): Opened) {
    store.commit(&batch(0, 2)).unwrap();
    for first in [0, 1, 3, u64::MAX] {
        let wrong = Batch { first, ..batch(2, 1) };
        let error = store.commit(&wrong).unwrap_err();
        assert!(matches!(error, StoreError::Conflict { first: at, size: 2 } if at == first), "{error}");
    }
    assert_eq!(store.head().unwrap().size, 2);
    assert_eq!(load(&mut *store, "size"), Some(b"2".to_vec()));
    store.commit(&batch(2, 1)).unwrap();
}

pub(crate) fn a_failed_batch_leaves_nothing_and_poisons((mut store, _dir): Opened) {
    store.commit(&batch(0, 2)).unwrap();
    let mut reader = store.reader().unwrap();
    let mut bad = batch(2, 2);
    bad.nodes.push((0, 1, leaf(9)));
    assert!(store.commit(&bad).is_err(), "a node is written once");

    assert_eq!(reader.head().unwrap().size, 2);
    assert_eq!(reader.entries(0, 9).unwrap(), numbered(0..2));
    assert_eq!(load(&mut *reader, "size"), Some(b"2".to_vec()));
    assert_eq!(reader.node(0, 1).unwrap(), Some(leaf(1)));
    assert_eq!(reader.node(0, 2).unwrap(), None);
    assert_eq!(reader.payload(&payload(2).commitment).unwrap(), None);

    let outcomes = [
        store.head().map(drop),
        store.load(&[]).map(drop),
        store.scan("", None, 1).map(drop),
        store.commit(&batch(2, 1)),
        store.entries(0, 1).map(drop),
        store.entries_of_run("r", None, 1).map(drop),
        store.entries_of_action("a").map(drop),
        store.payload(&Hash([0; 32])).map(drop),
        store.node(0, 0).map(drop),
        store.payloads_beyond(&|_| true).map(drop),
        store.reader().map(drop),
        store.snapshot().map(drop),
    ];
    for outcome in outcomes {
        assert!(matches!(outcome, Err(StoreError::Poisoned { .. })), "{outcome:?}");
    }
}

pub(crate) fn the_last_word_on_a_fact_counts((mut store, _dir): Opened) {
    let words =
        [("a", Some("1")), ("b", Some("1")), ("a", Some("2")), ("b", None), ("c", None), ("c", Some(""))];
    store.commit(&Batch { facts: facts(&words), ..Batch::default() }).unwrap();
    let keys = ["c", "b", "a", "a"].map(str::to_owned);
    assert_eq!(store.load(&keys).unwrap(), [Some(vec![]), None, Some(b"2".to_vec()), Some(b"2".to_vec())]);
    store.commit(&Batch { facts: facts(&[("a", None), ("never", None)]), ..Batch::default() }).unwrap();
    assert_eq!(load(&mut *store, "a"), None);
    assert_eq!(store.head().unwrap().size, 0);
}

pub(crate) fn a_scan_goes_in_key_order((mut store, _dir): Opened) {
    let keys =
        ["a", "a/", "a/1", "a/10", "a/2", "a/B", "a/b", "a/é", "a/\u{10ffff}", "a/\u{10ffff}x", "a0", "b"];
    let shuffled: Vec<_> = keys.iter().rev().map(|key| (*key, Some(*key))).collect();
    store.commit(&Batch { facts: facts(&shuffled), ..Batch::default() }).unwrap();
    let mut scan = |prefix: &str, after: Option<&str>, limit| {
        let found = store.scan(prefix, after, limit).unwrap();
        assert!(found.iter().all(|(key, value)| key.as_bytes() == value));
        found.into_iter().map(|(key, _)| key).collect::<Vec<_>>()
    };
    assert_eq!(scan("", None, 99), keys);
    assert_eq!(scan("a/", None, 99), keys[1..10]);
    assert_eq!(scan("a/", None, 2), keys[1..3]);
    assert_eq!(scan("a/", Some("a/1"), 2), keys[3..5]);
    assert_eq!(scan("a/", Some("a/11"), 1), keys[4..5]);
    assert_eq!(scan("a/", Some("a"), 1), keys[1..2], "after may lie before the prefix");
    assert!(scan("a/", Some("a0"), 99).is_empty());
    assert!(scan("c", None, 99).is_empty());
    assert!(scan("", None, 0).is_empty());
    // Characters that mean something to LIKE or GLOB mean nothing here.
    assert!(scan("a%", None, 99).is_empty());
    assert!(scan("a*", None, 99).is_empty());
}

pub(crate) fn entries_are_found_by_run_and_action((mut store, _dir): Opened) {
    store.commit(&batch(0, 5)).unwrap();
    store.commit(&batch(5, 6)).unwrap();
    assert_eq!(store.entries_of_run("run-1", None, 99).unwrap(), numbered([1, 4, 7, 10]));
    assert_eq!(store.entries_of_run("run-1", Some(4), 1).unwrap(), numbered([7]));
    assert_eq!(store.entries_of_run("run-1", Some(5), 99).unwrap(), numbered([7, 10]));
    assert!(store.entries_of_run("run-1", Some(10), 99).unwrap().is_empty());
    assert!(store.entries_of_run("run-1", Some(u64::MAX), 99).unwrap().is_empty());
    assert!(store.entries_of_run("run", None, 99).unwrap().is_empty());
    assert_eq!(store.entries_of_action("action-1").unwrap(), numbered([1, 6]));
}

pub(crate) fn what_entries_are_found_by_is_read_and_put_right((mut store, _dir): Opened) {
    store.commit(&batch(0, 9)).unwrap();
    let meant = |position: u64| {
        let EntryRow { run, action, .. } = entry(position);
        FoundBy { position, run, action }
    };
    assert_eq!(store.found_by(0, 99).unwrap(), (0..9).map(meant).collect::<Vec<_>>());
    assert_eq!(store.found_by(7, 1).unwrap(), [meant(7)]);
    assert!(store.found_by(9, 1).unwrap().is_empty());
    let hidden = FoundBy { position: 1, run: None, action: Some("another".into()) };
    store.find_by(std::slice::from_ref(&hidden)).unwrap();
    assert_eq!(store.found_by(1, 1).unwrap(), [hidden]);
    assert_eq!(store.entries_of_action("another").unwrap(), numbered([1]));
    assert_eq!(store.entries_of_run("run-1", None, 9).unwrap(), numbered([4, 7]));
    store.find_by(&[meant(1)]).unwrap();
    assert!(store.entries_of_action("another").unwrap().is_empty());
    assert_eq!(store.entries_of_run("run-1", None, 9).unwrap(), numbered([1, 4, 7]));
    assert!(store.reader().unwrap().find_by(&[meant(1)]).is_err());
}

pub(crate) fn a_payload_that_is_there_stays((mut store, _dir): Opened) {
    store.commit(&Batch { payloads: vec![payload(1)], ..Batch::default() }).unwrap();
    let other = PayloadRow { content: b"other".to_vec(), ..payload(1) };
    store.commit(&Batch { payloads: vec![other, payload(2)], ..Batch::default() }).unwrap();
    assert_eq!(store.payload(&payload(1).commitment).unwrap(), Some(payload(1)));
    assert_eq!(store.payload(&payload(2).commitment).unwrap(), Some(payload(2)));
}

pub(crate) fn a_checkpoint_stays_until_the_next((mut store, _dir): Opened) {
    store.commit(&batch(0, 1)).unwrap();
    store.commit(&Batch { checkpoint: None, ..batch(1, 1) }).unwrap();
    let head = store.head().unwrap();
    assert_eq!((head.size, head.checkpoint.as_deref()), (2, Some("checkpoint 1")));
}

pub(crate) fn a_reader_sees_what_is_committed_and_writes_nothing((mut store, _dir): Opened) {
    let mut reader = store.reader().unwrap();
    store.commit(&batch(0, 2)).unwrap();
    assert_eq!(reader.head().unwrap().size, 2);
    assert_eq!(reader.entries(0, 9).unwrap(), numbered(0..2));
    assert!(matches!(reader.commit(&batch(2, 1)), Err(StoreError::ReadOnly)));
    assert_eq!(reader.reader().unwrap().head().unwrap().size, 2);
    assert_eq!(store.head().unwrap().size, 2);
}

pub(crate) fn bytes_are_kept_as_they_are((mut store, _dir): Opened) {
    let contents = [vec![], vec![0], vec![0xff; 61_440], b"'; DROP TABLE entries; --".to_vec()];
    let row = |bytes: &Vec<u8>| EntryRow {
        bytes: bytes.as_slice().into(),
        run: Some("a' b%".into()),
        action: None,
    };
    let big = PayloadRow { content: vec![7; 3 << 20], ..payload(0) };
    let batch = Batch {
        entries: contents.iter().map(row).collect(),
        payloads: vec![big.clone()],
        ..Batch::default()
    };
    store.commit(&batch).unwrap();
    let read: Vec<_> = store.entries_of_run("a' b%", None, 9).unwrap().into_iter().map(|(_, b)| b).collect();
    assert_eq!(read, contents);
    assert_eq!(store.payload(&big.commitment).unwrap(), Some(big));
}

pub(crate) fn the_tree_grows_across_batches((mut store, _dir): Opened) {
    let mut size = 0;
    for count in [1, 2, 5, 8, 1, 64] {
        store.commit(&batch(size, count)).unwrap();
        size += count;
        // As at start-up: the edge is read back, and the next leaf can be appended to it.
        let edge: Vec<_> = Frontier::coordinates(size)
            .into_iter()
            .map(|(level, index)| store.node(level, index).unwrap().unwrap())
            .collect();
        let root = Frontier::resume(size, edge).unwrap().root();
        assert_eq!(with_nodes(&mut *store, |nodes| root_of(size, nodes)).unwrap(), Ok(root));
        for index in 0..size {
            let proof =
                with_nodes(&mut *store, |nodes| inclusion_proof(index, size, nodes)).unwrap().unwrap();
            verify_inclusion(&leaf(index), index, size, &proof, &root).unwrap();
        }
    }
}

pub(crate) fn nodes_are_read_in_rows_and_put_right((mut store, _dir): Opened) {
    store.commit(&batch(0, 9)).unwrap();
    let one = |store: &mut dyn Store, level, index| (index, store.node(level, index).unwrap().unwrap());
    let row: Vec<_> = (2..7).map(|index| one(&mut *store, 0, index)).collect();
    assert_eq!(store.nodes(0, 2, 5).unwrap(), row);
    assert_eq!(store.nodes(1, 3, 9).unwrap(), [one(&mut *store, 1, 3)]);
    assert!(store.nodes(7, 0, 9).unwrap().is_empty());
    let (right, other) = (store.node(2, 1).unwrap().unwrap(), leaf(77));
    store.renew_nodes(&[(2, 1, other)]).unwrap();
    assert_eq!((store.node(2, 1).unwrap(), store.nodes(2, 1, 1).unwrap()), (Some(other), vec![(1, other)]));
    store.renew_nodes(&[(2, 1, right)]).unwrap();
    assert_eq!(store.node(2, 1).unwrap(), Some(right));
    assert!(store.reader().unwrap().renew_nodes(&[(2, 1, right)]).is_err());
    store.commit(&batch(9, 7)).unwrap();
}

pub(crate) fn a_snapshot_is_of_one_moment((mut store, _dir): Opened) {
    store.commit(&batch(0, 2)).unwrap();
    let mut views = [store.snapshot().unwrap(), store.reader().unwrap().snapshot().unwrap()];
    store.commit(&batch(2, 3)).unwrap();
    for view in &mut views {
        assert_eq!(view.head().unwrap().size, 2);
        assert_eq!(view.entries(0, 9).unwrap(), numbered(0..2));
        assert_eq!(load(&mut **view, "size"), Some(b"2".to_vec()));
        assert_eq!(view.payload(&payload(3).commitment).unwrap(), None);
        assert!(matches!(view.commit(&batch(2, 1)), Err(StoreError::ReadOnly)));
    }
    assert_eq!(store.snapshot().unwrap().head().unwrap().size, 5);
}

pub(crate) fn payloads_beyond_what_is_known_are_listed((mut store, _dir): Opened) {
    store.commit(&batch(0, 3)).unwrap();
    let known = [payload(0).commitment, payload(2).commitment];
    assert_eq!(store.payloads_beyond(&|one| known.contains(one)).unwrap(), [payload(1).commitment]);
    assert!(store.payloads_beyond(&|_| true).unwrap().is_empty());
}

/// What every place of a store must do.
pub(crate) fn of_place(config: &StoreConfig) {
    let home = tempfile::tempdir().unwrap();
    let (data, key) = (home.path().join("data"), home.path().join("key"));
    std::fs::write(&key, "a key").unwrap();
    let place = config.place(&data, Some(&key));
    assert!(!place.is_begun().unwrap(), "{config:?}");
    assert!(place.read().is_err() && place.hold().unwrap().is_none(), "{config:?}: looking makes nothing");

    let mut store = place.write(None).unwrap();
    store.commit(&batch(0, 3)).unwrap();
    assert!(place.write(None).is_err() && place.hold().is_err(), "{config:?}: one process writes");
    let mut view = place.read().unwrap();
    assert_eq!(view.head().unwrap().size, 3);
    assert!(matches!(view.commit(&batch(3, 1)), Err(StoreError::ReadOnly)));
    drop((view, store));

    let held = place.hold().unwrap().unwrap();
    assert!(place.write(None).is_err(), "{config:?}: it is held");
    drop(held);
    assert!(place.is_begun().unwrap());
    assert!(place.mend_tables().unwrap().is_empty() && place.accept_lost_end().unwrap().is_none());
    assert!(!place.accept_lost_record().unwrap(), "{config:?}: nothing is lost");
    assert_eq!(place.write(None).unwrap().entries(0, 9).unwrap(), numbered(0..3));
}
