//! A record that is gone, whole or in what proofs are made from.

use crate::record::{scene, scene_with};
use aecl_gate::config::Home;
use aecl_kernel::base::digest::Digest;
use aecl_kernel::record::event::{Entry, Erased, Event};
use aecl_ledger::store::{Batch, EntryRow, StoreConfig, with_nodes};
use aecl_proof::{Checkpoint, Frontier, leaf_hash};
use serde_json::json;
use std::path::Path;

/// What was done to the data of a home, and how.
type Loss = (&'static str, fn(&Path));

const LOSSES: [Loss; 5] = [
    ("the database is deleted", |data| std::fs::remove_file(data.join("ledger.db")).unwrap()),
    ("the directory is deleted", |data| std::fs::remove_dir_all(data).unwrap()),
    ("the database is cut to nothing", |data| {
        without_database(data);
        std::fs::write(data.join("ledger.db"), "").unwrap();
    }),
    ("another program's database is there", |data| {
        without_database(data);
        rusqlite::Connection::open(data.join("ledger.db")).unwrap().execute_batch("VACUUM").unwrap();
    }),
    ("a database without an entry is there", |data| {
        without_database(data);
        let other = tempfile::tempdir().unwrap();
        drop(StoreConfig::default().place(other.path(), None).write(None).unwrap());
        std::fs::copy(other.path().join("ledger.db"), data.join("ledger.db")).unwrap();
    }),
];

/// Its log would be played into what stands in its place.
fn without_database(data: &Path) {
    for name in ["ledger.db", "ledger.db-wal", "ledger.db-shm", "unclosed"] {
        drop(std::fs::remove_file(data.join(name)));
    }
}

#[test]
fn a_record_that_was_deleted_whole_is_missed_until_that_is_accepted() {
    for (what, lose) in LOSSES {
        let scene = scene();
        let aecl = &scene.aecl;
        aecl.run(&["kill", "--agent", "reader", "--reason", "reads too much"]).ended(0);
        lose(&aecl.dir().join("data"));
        for command in [&["kill", "list"][..], &["serve"]] {
            let refused = aecl.run(command).ended(1).err;
            assert!(refused.contains("[ledger_missing]"), "{what}: {refused}");
            assert!(
                refused.contains("hint: ") && refused.contains("aecl log accept-loss"),
                "{what}: {refused}"
            );
        }
        for command in [["log", "tail"], ["log", "verify"]] {
            let told = aecl.run(&command).ended(1).err;
            assert!(told.contains("[ledger_missing]"), "{what}: {told}");
        }
        let doctor = aecl.run(&["doctor", "--json"]).ended(1).json();
        let check =
            doctor["checks"].as_array().unwrap().iter().find(|c| c["what"] == "ledger").unwrap().clone();
        assert_eq!(check["state"], "broken", "{what}: {check}");

        let accepted = aecl.run(&["log", "accept-loss"]).ended(0).out;
        assert!(accepted.contains("a new record begins"), "{what}: {accepted}");
        let told = aecl.run(&["log", "tail", "--json"]).ended(0).out;
        assert!(told.contains("loss_accepted"), "{what}: {told}");
        aecl.run(&["kill", "list"]).ended(0);
        let again = aecl.run(&["log", "accept-loss"]).ended(0).out;
        assert!(again.contains("nothing is missing"), "{what}: {again}");
        aecl.run(&["log", "verify"]).ended(0);
    }
}

#[test]
fn nodes_that_the_tree_cannot_have_are_found_refused_and_taken_away() {
    for (level, position) in [(40, 7), (0, 1_000), (3, 1_000), (63, 0), (200, 0), (-1, 0), (0, -5)] {
        let scene = scene();
        let aecl = &scene.aecl;
        aecl.run(&["kill", "--agent", "reader", "--reason", "reads too much"]).ended(0);
        let raw = rusqlite::Connection::open(aecl.dir().join("data/ledger.db")).unwrap();
        raw.execute("INSERT INTO nodes VALUES (?1, ?2, zeroblob(32))", (level, position)).unwrap();
        drop(raw);
        let said = format!("no node {position} of level {level}");
        let found = aecl.run(&["log", "verify"]).ended(5).out;
        assert!(found.contains(&said), "{said}: {found}");
        let doctor = aecl.run(&["doctor"]).ended(1);
        assert!(doctor.out.contains(&said), "{said}: {}", doctor.out);
        let refused = aecl.run(&["serve"]).ended(1).err;
        assert!(refused.contains(&said) && refused.contains("aecl log rebuild-facts"), "{said}: {refused}");
        aecl.run(&["log", "rebuild-facts"]).ended(0);
        aecl.run(&["log", "verify"]).ended(0);
        aecl.run(&["kill", "list"]).ended(0);
    }
}

#[test]
fn a_long_ledger_that_differs_stops_as_soon_as_it_is_compared() {
    let scene = scene_with(json!({"limits": {"start_entries_max": 1}}));
    let aecl = &scene.aecl;
    aecl.run(&["kill", "--agent", "reader", "--reason", "reads too much"]).ended(0);
    let served = aecl.serve();
    assert_eq!(served.get(&scene.keys.olga, "/v1/kill")["kills"][0]["reason"], "reads too much");
    drop(served);
    let mut store = Home::new(aecl.dir()).record().unwrap().hold().unwrap().unwrap();
    let (kill, _) = store.scan("kill/", None, 1).unwrap().pop().unwrap();
    let first = store.head().unwrap().size;
    store.commit(&Batch { first, facts: vec![(kill.clone(), None)], ..Batch::default() }).unwrap();
    drop(store);

    let ended = aecl.run(&["serve"]).ended(1).err;
    assert!(ended.contains("[facts_differ]") && ended.contains(&format!("`{kill}` is missing")), "{ended}");
    assert!(ended.contains("aecl log rebuild-facts"), "{ended}");
    let told = aecl.run(&["log", "tail", "--json"]).ended(0).out;
    assert!(told.contains("facts_differ") && told.contains("nothing is done any more"), "{told}");
    aecl.run(&["log", "rebuild-facts"]).ended(0);
    let kills = aecl.run(&["kill", "list", "--json"]).ended(0).json();
    assert_eq!(kills["kills"][0]["reason"], "reads too much", "{kills}");
}

/// Runs this where nothing keeps the tree as it is, and puts back what does.
fn edit_unguarded(data: &Path, sql: &str) {
    unguarded(data, |raw| assert_ne!(raw.execute(sql, ()).unwrap(), 0, "{sql}"));
}

fn unguarded(data: &Path, edit: impl FnOnce(&rusqlite::Connection)) {
    let raw = rusqlite::Connection::open(data.join("ledger.db")).unwrap();
    let words = "SELECT group_concat(sql, ';') FROM sqlite_schema WHERE type = 'trigger'";
    let guards: String = raw.query_row(words, (), |row| row.get(0)).unwrap();
    let names = "SELECT group_concat('DROP TRIGGER ' || name, ';') FROM sqlite_schema WHERE type = 'trigger'";
    let drop: String = raw.query_row(names, (), |row| row.get(0)).unwrap();
    raw.execute_batch(&drop).unwrap();
    edit(&raw);
    raw.execute_batch(&guards).unwrap();
}

#[test]
fn a_node_that_was_changed_is_refused_at_a_start_and_made_anew() {
    for sql in [
        "UPDATE nodes SET hash = zeroblob(32) WHERE level = 1 AND position = 0",
        "UPDATE nodes SET hash = zeroblob(32) WHERE level = 0 AND position = 1",
        "DELETE FROM nodes WHERE level = 0 AND position = 0",
    ] {
        let scene = scene();
        let aecl = &scene.aecl;
        let served = aecl.serve();
        // Enough entries that the head is made of other nodes than these.
        for _ in 0..8 {
            served.open_run(&scene.keys.orchestrator, "payer");
        }
        drop(served);
        edit_unguarded(&aecl.dir().join("data"), sql);
        let said = "is not the one of the entries below it";
        let found = aecl.run(&["log", "verify"]).ended(5).out;
        assert!(found.contains(said), "{sql}: {found}");
        let doctor = aecl.run(&["doctor"]).ended(1).out;
        assert!(doctor.contains(said), "{sql}: {doctor}");
        for command in [&["serve"][..], &["kill", "list"]] {
            let refused = aecl.run(command).ended(1).err;
            assert!(refused.contains("[facts_differ]") && refused.contains(said), "{sql}: {refused}");
        }
        let mended = aecl.run(&["log", "rebuild-facts"]).ended(0).out;
        assert!(mended.contains(said), "{sql}: {mended}");
        aecl.run(&["log", "verify"]).ended(0);
        aecl.run(&["kill", "list"]).ended(0);
    }
}

/// Fills the index of actions with less than all, under the words that it was made with.
fn hollow_index(data: &Path) {
    let raw = rusqlite::Connection::open(data.join("ledger.db")).unwrap();
    let words = "SELECT sql FROM sqlite_schema WHERE name = 'entries_by_action'";
    let words: String = raw.query_row(words, (), |row| row.get(0)).unwrap();
    raw.execute_batch(
        "DROP INDEX entries_by_action; CREATE INDEX entries_by_action ON entries (action, position) \
         WHERE action IS NOT NULL AND position < 1; PRAGMA writable_schema = 1",
    )
    .unwrap();
    raw.execute("UPDATE sqlite_schema SET sql = ?1 WHERE name = 'entries_by_action'", [words]).unwrap();
    raw.execute_batch("PRAGMA writable_schema = RESET").unwrap();
}

#[test]
fn an_index_that_holds_less_than_its_table_is_refused_at_a_start_and_filled_anew() {
    for entries_max in [100_000, 1] {
        let scene = scene_with(json!({"limits": {"start_entries_max": entries_max}}));
        let aecl = &scene.aecl;
        let served = aecl.serve();
        let (_, token) = served.open_run(&scene.keys.orchestrator, "payer");
        let action = served.propose(&token, "mail.read", json!({"id": "m1"}));
        let action = action["action"].as_str().unwrap_or_else(|| panic!("{action}")).to_owned();
        drop(served);
        hollow_index(&aecl.dir().join("data"));
        let said = "entries_by_action";
        let found = aecl.run(&["log", "verify"]).ended(5);
        assert!(found.out.contains(said) && found.err.contains("aecl log rebuild-facts"), "{}", found.out);
        let doctor = aecl.run(&["doctor"]).ended(1).out;
        assert!(doctor.contains(said), "{doctor}");
        let refused = aecl.run(&["serve"]).ended(1).err;
        assert!(refused.contains("[facts_differ]") && refused.contains(said), "{refused}");
        let mended = aecl.run(&["log", "rebuild-facts"]).ended(0).out;
        assert!(mended.contains(said), "{mended}");
        aecl.run(&["log", "verify"]).ended(0);
        assert!(aecl.run(&["log", "show", &action]).ended(0).out.contains("mail.read"));
    }
}

#[test]
fn an_entry_that_was_changed_is_refused_at_a_start_and_never_made_to_fit() {
    let scene = scene();
    let aecl = &scene.aecl;
    aecl.run(&["kill", "--agent", "reader", "--reason", "reads too much"]).ended(0);
    // Of a kind that leaves no fact behind, so that nothing but the tree tells.
    edit_unguarded(
        &aecl.dir().join("data"),
        "UPDATE entries SET bytes = CAST(replace(CAST(bytes AS TEXT), '\"agents\":', '\"agents\":1') AS BLOB) \
         WHERE instr(CAST(bytes AS TEXT), '\"agents\":')",
    );
    for command in [&["serve"][..], &["kill", "list"], &["log", "rebuild-facts"]] {
        let refused = aecl.run(command).ended(1).err;
        assert!(refused.contains("[ledger_unavailable]") && refused.contains("not the one"), "{refused}");
    }
    aecl.run(&["log", "verify"]).ended(5);
    grow_tree_anew(&aecl.dir().join("data"));
    for command in [&["serve"][..], &["kill", "list"], &["log", "rebuild-facts"]] {
        let refused = aecl.run(command).ended(1).err;
        let said = "that of the signed head is";
        assert!(refused.contains("[ledger_unavailable]") && refused.contains(said), "{refused}");
    }
    aecl.run(&["log", "verify"]).ended(5);
    let doctor = aecl.run(&["doctor"]).ended(1).out;
    assert!(doctor.contains("is not that of the signed head"), "{doctor}");
}

/// All nodes as they follow from the entries that are there, whatever was signed.
fn grow_tree_anew(data: &Path) {
    unguarded(data, |raw| {
        let mut entries = raw.prepare("SELECT bytes FROM entries ORDER BY position").unwrap();
        let (mut tree, mut nodes) = (Frontier::new(), Vec::new());
        for bytes in entries.query_map((), |row| row.get::<_, Vec<u8>>(0)).unwrap() {
            tree.append(leaf_hash(&bytes.unwrap()), &mut nodes);
        }
        raw.execute("DELETE FROM nodes", ()).unwrap();
        for (level, position, hash) in nodes {
            let position = i64::try_from(position).unwrap();
            raw.execute("INSERT INTO nodes VALUES (?1, ?2, ?3)", (level, position, hash.0)).unwrap();
        }
    });
}

/// As a program writes it that erases what entries commit to.
fn erase_on_record(home: &Home, payloads: &[[u8; 32]]) {
    let key = aecl_gate::keys::read(&home.keys().join("ledger.pem")).unwrap();
    let mut store = home.record().unwrap().hold().unwrap().unwrap();
    let first = store.head().unwrap().size;
    let mut tree = with_nodes(&mut *store, |nodes| Frontier::load(first, nodes)).unwrap().unwrap();
    let (_, last) = store.entries(first - 1, 1).unwrap().pop().unwrap();
    let last: Entry = serde_json::from_slice(&last).unwrap();
    let (mut entries, mut nodes) = (Vec::new(), Vec::new());
    for (position, payload) in (first..).zip(payloads) {
        let erased =
            Erased { payload: Digest::from_bytes(*payload), ground: "art. 17".into(), by: "ann".into() };
        let event = Event::Erased(erased);
        let entry = Entry { position, run: None, seq: None, beside: None, event, ..last.clone() };
        let bytes = serde_json::to_vec(&entry).unwrap();
        tree.append(leaf_hash(&bytes), &mut nodes);
        entries.push(EntryRow { bytes: bytes.into(), run: None, action: None });
    }
    let head = Checkpoint::new(home.read().unwrap().origin, tree.size(), tree.root()).unwrap();
    let checkpoint = Some(head.sign(&key).unwrap());
    store.commit(&Batch { first, entries, nodes, checkpoint, ..Batch::default() }).unwrap();
    drop(store);
    let raw = rusqlite::Connection::open(home.data().join("ledger.db")).unwrap();
    for payload in payloads {
        assert_eq!(raw.execute("DELETE FROM payloads WHERE commitment = ?1", [payload]).unwrap(), 1);
    }
}

#[test]
fn what_was_erased_on_record_is_missed_by_no_start() {
    let scene = scene();
    let aecl = &scene.aecl;
    let served = aecl.serve();
    let (_, token) = served.open_run(&scene.keys.orchestrator, "payer");
    served.propose(&token, "mail.read", json!({"id": "m1"}));
    drop(served);
    // What opens and closes it in good order.
    aecl.run(&["kill", "list"]).ended(0);
    let home = Home::new(aecl.dir().to_owned());
    let payloads = {
        let raw = rusqlite::Connection::open(home.data().join("ledger.db")).unwrap();
        let mut statement = raw.prepare("SELECT commitment FROM payloads WHERE subject <> 'bundle'").unwrap();
        let rows = statement.query_map((), |row| row.get::<_, [u8; 32]>(0)).unwrap();
        rows.collect::<Result<Vec<_>, _>>().unwrap()
    };
    assert!(payloads.len() > 2, "a goal, arguments and an output: {}", payloads.len());
    erase_on_record(&home, &payloads);
    aecl.run(&["kill", "list"]).ended(0);
    let err = aecl.serve().ended();
    assert!(!err.contains("payloads"), "{err}");
    let told = aecl.run(&["log", "tail", "--json"]).ended(0).out;
    assert!(told.contains("\"kind\":\"erased\"") && !told.contains("payloads_differ"), "{told}");
    let verified = aecl.run(&["log", "verify"]).ended(0).out;
    assert!(verified.contains(&format!("{} erased on record", payloads.len())), "{verified}");
}
