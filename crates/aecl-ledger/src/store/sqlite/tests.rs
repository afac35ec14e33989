use super::*;
use crate::store::StorePlace as _;
use crate::store::suite;
use proptest::prelude::*;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use tempfile::TempDir;

fn new() -> suite::Opened {
    let dir = TempDir::new().unwrap();
    (Box::new(Sqlite::open(dir.path()).unwrap()), Some(dir))
}

suite::on!(new);

fn raw(dir: &TempDir) -> Connection {
    Connection::open(dir.path().join("ledger.db")).unwrap()
}

#[test]
fn reopening_finds_what_was_committed() {
    let dir = TempDir::new().unwrap();
    for first in 0..4 {
        let mut store = Sqlite::open(dir.path()).unwrap();
        assert_eq!(store.head().unwrap().size, first);
        store.commit(&suite::batch(first, 1)).unwrap();
    }
}

#[test]
fn a_second_opener_is_refused_by_name_and_number() {
    let dir = TempDir::new().unwrap();
    let first = Sqlite::open(dir.path()).unwrap();
    let error = Sqlite::open(dir.path()).unwrap_err();
    let (path, pid) = (dir.path().display(), std::process::id());
    assert_eq!(error.to_string(), format!("the data directory `{path}` is in use by process {pid}"));
    std::fs::write(dir.path().join("lock"), "?").unwrap();
    let error = Sqlite::open(dir.path()).unwrap_err();
    assert_eq!(error.to_string(), format!("the data directory `{path}` is in use by another process"));
    // Offline tools may read meanwhile.
    assert_eq!(Sqlite::open_existing_read_only(dir.path()).unwrap().head().unwrap().size, 0);
    drop(first);
    Sqlite::open(dir.path()).unwrap();
}

#[test]
fn files_are_for_this_user_only() {
    let parent = TempDir::new().unwrap();
    let dir = parent.path().join("a/b");
    let mut store = Sqlite::open(&dir).unwrap();
    store.commit(&suite::batch(0, 1)).unwrap();
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&dir), 0o700);
    for file in ["ledger.db", "ledger.db-wal", "ledger.db-shm", "lock"] {
        assert_eq!(mode(&dir.join(file)), 0o600, "{file}");
    }
}

#[test]
fn entries_and_nodes_are_append_only() {
    let dir = TempDir::new().unwrap();
    let mut store = Sqlite::open(dir.path()).unwrap();
    store.commit(&suite::batch(0, 4)).unwrap();
    let statements = [
        "UPDATE entries SET bytes = x'00'",
        "UPDATE entries SET run = NULL WHERE position = 1",
        "DELETE FROM entries WHERE position = 3",
        "INSERT OR REPLACE INTO entries VALUES (1, x'00', NULL, NULL)",
        "UPDATE nodes SET hash = zeroblob(32)",
        "DELETE FROM nodes",
        "REPLACE INTO nodes VALUES (0, 0, zeroblob(32))",
        "INSERT INTO nodes VALUES (0, 0, zeroblob(32)) ON CONFLICT DO UPDATE SET hash = excluded.hash",
    ];
    for statement in statements {
        let error = store.connection.execute(statement, ()).expect_err(statement).to_string();
        assert!(error.contains("append-only"), "{statement}: {error}");
    }
    // The triggers are in the file and hold for others too.
    for statement in statements.iter().filter(|statement| !statement.contains("REPLACE")) {
        raw(&dir).execute(statement, ()).expect_err(statement);
    }
}

#[test]
fn a_foreign_or_unknown_file_is_refused_and_left_alone() {
    let check = |prepare: &str, expected: &str| {
        let dir = TempDir::new().unwrap();
        drop(Sqlite::open(dir.path()).unwrap());
        raw(&dir).execute_batch(prepare).unwrap();
        for opened in [Sqlite::open(dir.path()), Sqlite::open_existing_read_only(dir.path())] {
            let error = opened.unwrap_err().to_string();
            assert!(error.contains(expected), "{prepare}: {error}");
        }
    };
    check("PRAGMA user_version = 2", "the store has schema version 2, this program knows 1");
    check("PRAGMA user_version = 0", "the store has schema version 0, this program knows 1");
    check("PRAGMA application_id = 7", "`ledger.db` is not a ledger");
    check("UPDATE head SET size = 1", "the head says 1 entries");
    check("INSERT INTO entries VALUES (0, x'', NULL, NULL)", "the head says 0 entries");
    check("DELETE FROM head", "could not read the head");

    let dir = TempDir::new().unwrap();
    assert!(matches!(Sqlite::open_existing_read_only(dir.path()), Err(StoreError::Io { .. })));
    assert!(!dir.path().join("ledger.db").exists(), "reading creates nothing");
    std::fs::write(
        dir.path().join("ledger.db"),
        "not a database, but long enough to look like one".repeat(99),
    )
    .unwrap();
    assert!(matches!(Sqlite::open(dir.path()), Err(StoreError::Corrupt { .. })));
}

#[test]
fn a_copy_on_a_read_only_medium_can_be_read() {
    let dir = TempDir::new().unwrap();
    Sqlite::open(dir.path()).unwrap().commit(&suite::batch(0, 4)).unwrap();
    let odd = dir.path().join("a copy?#%é");
    std::fs::create_dir(&odd).unwrap();
    std::fs::copy(dir.path().join("ledger.db"), odd.join("ledger.db")).unwrap();
    let uri = open::immutable_uri(&odd.join("ledger.db"));
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY | rusqlite::OpenFlags::SQLITE_OPEN_URI;
    let connection = Connection::open_with_flags(uri, flags).unwrap();
    assert_eq!(connection.query_row(schema::HEAD, (), |row| row.get::<_, i64>(0)).unwrap(), 4);
    assert!(!odd.join("ledger.db-shm").exists());
    assert_eq!(Sqlite::open_existing_read_only(&odd).unwrap().head().unwrap().size, 4);
}

#[test]
fn no_statement_reads_a_whole_table() {
    let dir = TempDir::new().unwrap();
    drop(Sqlite::open(dir.path()).unwrap());
    let raw = raw(&dir);
    for sql in schema::ALL.into_iter().chain([schema::ADD_NODE]) {
        let mut plan = raw.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let count = plan.parameter_count();
        let params = rusqlite::params_from_iter(std::iter::repeat_n(1, count));
        let steps = plan.query_map(params, |row| row.get::<_, String>(3)).unwrap();
        for step in steps.map(Result::unwrap) {
            let fine = !step.contains("SCAN") || step == "SCAN CONSTANT ROW";
            assert!(fine && !step.contains("TEMP B-TREE"), "{sql}: {step}");
        }
    }
}

#[test]
fn a_store_and_its_views_keep_few_pages_in_memory() {
    let dir = TempDir::new().unwrap();
    let store = Sqlite::open(dir.path()).unwrap();
    let view = Sqlite::open_existing_read_only(dir.path()).unwrap();
    let kib = |store: &Sqlite| {
        -store.connection.pragma_query_value(None, "cache_size", |row| row.get::<_, i64>(0)).unwrap()
    };
    assert_eq!((kib(&store), kib(&view)), (8 << 10, 1 << 10));
}

#[test]
fn a_deleted_fact_leaves_no_bytes_in_the_file() {
    let dir = TempDir::new().unwrap();
    let secret = b"the key of a person who asked to be forgotten";
    let mut store = Sqlite::open(dir.path()).unwrap();
    let facts = (0..200).map(|n| (format!("key/{n}"), Some(secret.to_vec()))).collect();
    store.commit(&Batch { facts, ..Batch::default() }).unwrap();
    let facts = (0..200).map(|n| (format!("key/{n}"), None)).collect();
    store.commit(&Batch { facts, ..Batch::default() }).unwrap();
    // Closing moves the log into the file and deletes the log.
    drop(store);
    assert!(!dir.path().join("ledger.db-wal").exists());
    let file = std::fs::read(dir.path().join("ledger.db")).unwrap();
    assert!(!file.windows(secret.len()).any(|window| window == secret));
}

#[test]
fn a_full_disk_ends_the_writing_and_loses_nothing() {
    let dir = TempDir::new().unwrap();
    let mut store = Sqlite::open(dir.path()).unwrap();
    store.connection.pragma_update(None, "max_page_count", 60).unwrap();
    let mut size = 0;
    let error = loop {
        match store.commit(&suite::batch(size, 16)) {
            Ok(()) => size += 16,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, StoreError::Full { .. }) && size > 0, "{error} at {size}");
    let again = store.commit(&Batch { first: size, ..Batch::default() }).unwrap_err().to_string();
    assert!(again.ends_with("since a commit failed: the disk is full: could not write a batch"), "{again}");
    drop(store);
    let mut store = Sqlite::open(dir.path()).unwrap();
    assert_eq!(store.head().unwrap().size, size);
    store.commit(&suite::batch(size, 16)).unwrap();
}

const CHILD: &str = "AECL_TEST_STORE_CHILD";

/// Runs as two processes: the child commits until it is killed, and says after each commit how far it got.
#[test]
fn what_was_acknowledged_survives_kill_9() {
    if let Some(dir) = std::env::var_os(CHILD) {
        let mut store = Sqlite::open(Path::new(&dir)).unwrap();
        for first in store.head().unwrap().size.. {
            store.commit(&suite::batch(first, 1)).unwrap();
            println!("\nacknowledged {}", first + 1);
        }
    }
    let dir = TempDir::new().unwrap();
    let mut size = 0;
    for round in 1..=5u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store::sqlite::tests::what_was_acknowledged_survives_kill_9", "--nocapture"])
            .env(CHILD, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let acknowledged = lines.filter_map(|line| line.strip_prefix("acknowledged ")?.parse::<u64>().ok());
        let last = acknowledged.take(round as usize * 7).last().unwrap();
        let error = Sqlite::open(dir.path()).unwrap_err();
        assert!(
            matches!(error, StoreError::Locked { holder: Some(pid), .. } if pid == child.id()),
            "{error}"
        );
        child.kill().unwrap();
        child.wait().unwrap();

        let mut store = Sqlite::open(dir.path()).unwrap();
        let head = store.head().unwrap();
        assert!(head.size >= last && last > size, "{} after {last}", head.size);
        assert_eq!(head.checkpoint, Some(format!("checkpoint {}", head.size)));
        assert_eq!(store.entries(0, usize::MAX).unwrap().len() as u64, head.size);
        assert_eq!(store.load(&["size".into()]).unwrap(), [Some(head.size.to_string().into_bytes())]);
        size = head.size;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn sqlite_and_memory_agree(
        steps in prop::collection::vec((0u64..5, prop::collection::vec(("[ab]{0,2}", any::<Option<u8>>()), 0..9)), 1..9),
        prefix in "[ab]{0,2}",
        after in prop::option::of("[ab]{0,3}"),
        limit in 0usize..6,
    ) {
        let (mut sqlite, _dir) = new();
        let mut memory = crate::store::Memory::new();
        let mut first = 0;
        for (count, facts) in steps {
            let facts = facts.into_iter().map(|(key, value)| (key, value.map(|byte| vec![byte])));
            let batch = Batch { facts: facts.collect(), ..suite::batch(first, count) };
            sqlite.commit(&batch).unwrap();
            memory.commit(&batch).unwrap();
            first += count;
        }
        let after = after.as_deref();
        prop_assert_eq!(sqlite.head().unwrap(), memory.head().unwrap());
        prop_assert_eq!(sqlite.scan(&prefix, after, limit).unwrap(), memory.scan(&prefix, after, limit).unwrap());
        prop_assert_eq!(sqlite.entries(1, limit).unwrap(), memory.entries(1, limit).unwrap());
        for run in ["run-1", "run-2"] {
            let (a, b) = (sqlite.entries_of_run(run, Some(1), limit), memory.entries_of_run(run, Some(1), limit));
            prop_assert_eq!(a.unwrap(), b.unwrap());
        }
    }
}

/// What becomes of a store whose files are taken away under it.
fn after(take_away: impl FnOnce(&Path)) -> String {
    let place = tempfile::tempdir().unwrap();
    let dir = place.path().join("data");
    let mut store = Sqlite::open(&dir).unwrap();
    store.commit(&suite::batch(0, 2)).unwrap();
    let mut view = store.reader().unwrap();
    view.still_there().unwrap();
    take_away(&dir);
    let seen = view.still_there().unwrap_err();
    let error = store.commit(&suite::batch(2, 1)).unwrap_err();
    assert!(matches!(
        store.commit(&suite::batch(2, 1)),
        Err(StoreError::Poisoned { .. } | StoreError::Refused { .. })
    ));
    let StoreError::Replaced { path } = seen else { panic!("{error}: {seen}") };
    path.file_name().unwrap().to_string_lossy().into_owned()
}

#[test]
fn a_store_whose_files_were_taken_away_records_nothing_more() {
    let elsewhere = |dir: &Path| dir.with_file_name("elsewhere");
    let copied = |dir: &Path| {
        std::fs::rename(dir, elsewhere(dir)).unwrap();
        std::fs::create_dir(dir).unwrap();
        for file in std::fs::read_dir(elsewhere(dir)).unwrap().flatten() {
            std::fs::copy(file.path(), dir.join(file.file_name())).unwrap();
        }
    };
    assert_eq!(after(|dir| std::fs::remove_dir_all(dir).unwrap()), "ledger.db");
    assert_eq!(after(|dir| std::fs::rename(dir, elsewhere(dir)).unwrap()), "ledger.db");
    assert_eq!(after(copied), "ledger.db");
    for name in ["ledger.db", "lock", "ledger.db-wal", "ledger.db-shm"] {
        assert_eq!(after(|dir| std::fs::remove_file(dir.join(name)).unwrap()), name);
    }
}

#[test]
fn a_key_writes_one_ledger_at_a_time() {
    let place = tempfile::tempdir().unwrap();
    let (key, dir) = (place.path().join("key"), place.path().join("data"));
    std::fs::write(&key, "a key").unwrap();
    let first = Sqlite::open_with_key(&dir, &key).unwrap();
    std::fs::remove_dir_all(&dir).unwrap();
    assert!(matches!(Sqlite::open_with_key(&dir, &key), Err(StoreError::Locked { .. })));
    drop(first);
    // Nothing was ever written there.
    Sqlite::open_with_key(&dir, &key).unwrap();
}

/// Each of them looks whether what another one left is still somebody's.
#[test]
fn a_claim_is_taken_beside_others_who_tidy_up() {
    let place = tempfile::tempdir().unwrap();
    let take = |name: &str| claim::take(&place.path().join("ledgers").join(name), place.path());
    std::thread::scope(|scope| {
        for name in ["a", "b", "c", "d"] {
            scope.spawn(move || (0..500).for_each(|_| assert!(take(name).unwrap().is_some(), "{name}")));
        }
    });
    let held = take("a").unwrap();
    assert!(matches!(take("a"), Err(StoreError::Locked { .. })));
    drop(held);
}

#[test]
fn a_record_that_is_gone_is_not_begun_again_by_itself() {
    let place = tempfile::tempdir().unwrap();
    let (key, dir) = (place.path().join("key"), place.path().join("data"));
    std::fs::write(&key, "a key").unwrap();
    let lost = || matches!(Sqlite::open_with_key(&dir, &key), Err(StoreError::RecordMissing { .. }));
    // One from before this was noted.
    Sqlite::open(&dir).unwrap().commit(&suite::batch(0, 1)).unwrap();
    drop(Sqlite::open_with_key(&dir, &key).unwrap());
    std::fs::remove_dir_all(&dir).unwrap();
    assert!(lost() && lost());
    assert!(Place::new(&dir, Some(&key)).accept_lost_record().unwrap());
    assert!(!Place::new(&dir, Some(&key)).accept_lost_record().unwrap());
    // One that is killed after its first entry, and loses all but its log.
    let mut store = Sqlite::open_with_key(&dir, &key).unwrap();
    store.commit(&suite::batch(0, 2)).unwrap();
    let log = std::fs::read(dir.join("ledger.db-wal")).unwrap();
    drop(store);
    std::fs::remove_file(dir.join("ledger.db")).unwrap();
    std::fs::write(dir.join("ledger.db-wal"), &log).unwrap();
    assert!(lost());
    assert!(matches!(Sqlite::open(&dir), Err(StoreError::RecordMissing { .. })), "whoever brings no key");
    assert!(Place::new(&dir, Some(&key)).accept_lost_record().unwrap());
    assert_eq!(Sqlite::open_with_key(&dir, &key).unwrap().head().unwrap().size, 0);
    assert_eq!(std::fs::read(dir.join("ledger.db-wal.lost")).unwrap(), log);
}

#[test]
fn a_log_that_is_missing_after_a_crash_is_noticed() {
    let place = tempfile::tempdir().unwrap();
    let dir = place.path().join("data");
    let mut store = Sqlite::open(&dir).unwrap();
    store.commit(&suite::batch(0, 2)).unwrap();
    // What a crash leaves, or a copy that was made while somebody wrote.
    let copy = |name: &str, without: &[&str]| {
        let to = place.path().join(name);
        std::fs::create_dir(&to).unwrap();
        for file in std::fs::read_dir(&dir).unwrap().flatten() {
            if !without.iter().any(|name| file.file_name() == *name) {
                std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
            }
        }
        to
    };
    let (whole, cut) = (copy("whole", &[]), copy("cut", &["ledger.db-wal", "ledger.db-shm"]));
    let no_index = copy("no index", &["ledger.db-shm"]);
    drop(store);
    for good in [&whole, &no_index, &dir] {
        assert_eq!(Sqlite::open(good).unwrap().head().unwrap().size, 2, "{}", good.display());
    }
    for _ in 0..2 {
        let Err(StoreError::LogMissing { path }) = Sqlite::open(&cut) else { panic!("it opens") };
        assert!(path.ends_with("ledger.db-wal"));
    }
    assert_eq!(Place::new(&cut, None).accept_lost_end().unwrap().as_deref(), Some("ledger.db-wal"));
    assert!(Place::new(&cut, None).accept_lost_end().unwrap().is_none());
    assert!(Place::new(&whole, None).accept_lost_end().unwrap().is_none());
    drop(Sqlite::open(&cut));
}

#[test]
fn what_is_refused_or_mended_after_a_kill_has_lost_no_log() {
    let dir = TempDir::new().unwrap();
    let mut store = Sqlite::open(dir.path()).unwrap();
    store.commit(&suite::batch(0, 3)).unwrap();
    raw(&dir).execute_batch("DROP TRIGGER entries_stay").unwrap();
    let killed = TempDir::new().unwrap();
    for name in ["ledger.db", "ledger.db-wal", "unclosed"] {
        std::fs::copy(dir.path().join(name), killed.path().join(name)).unwrap();
    }
    for _ in 0..2 {
        let refused = Sqlite::open(killed.path()).unwrap_err();
        assert!(matches!(refused, StoreError::TablesDiffer { .. }), "{refused}");
    }
    std::fs::write(killed.path().join("unclosed"), "").unwrap();
    std::fs::copy(dir.path().join("ledger.db-wal"), killed.path().join("ledger.db-wal")).unwrap();
    assert_eq!(Place::new(killed.path(), None).mend_tables().unwrap().len(), 1);
    assert_eq!(Sqlite::open(killed.path()).unwrap().head().unwrap().size, 3);
}

#[test]
fn tables_that_somebody_has_changed_are_named_and_put_back() {
    let dir = TempDir::new().unwrap();
    Sqlite::open(dir.path()).unwrap().commit(&suite::batch(0, 3)).unwrap();
    let cases = [
        (
            "CREATE TRIGGER t AFTER INSERT ON entries BEGIN DELETE FROM facts; END",
            "the trigger `t` is none of AECL's",
        ),
        ("CREATE VIEW \"a\"\"b\" AS SELECT 1", "the view `a\"b` is none of AECL's"),
        ("INSERT INTO nodes VALUES (0, 3, zeroblob(32))", "a tree of 3 entries has no node 3 of level 0"),
        ("INSERT INTO nodes VALUES (1, 1, zeroblob(32))", "a tree of 3 entries has no node 1 of level 1"),
        ("INSERT INTO nodes VALUES (40, 0, zeroblob(32))", "a tree of 3 entries has no node 0 of level 40"),
        ("DROP TRIGGER entries_stay", "the trigger `entries_stay` is missing"),
        ("DROP INDEX entries_by_run", "the index `entries_by_run` is missing"),
        (
            "DROP INDEX entries_by_run; CREATE INDEX entries_by_run ON entries (run) WHERE run = 'x'",
            "the index `entries_by_run` is another",
        ),
    ];
    for (change, named) in cases {
        raw(&dir).execute_batch(change).unwrap();
        let refused = Sqlite::open(dir.path()).unwrap_err();
        assert!(matches!(refused, StoreError::TablesDiffer { .. }), "{change}: {refused}");
        let words = refused.to_string();
        assert!(words.contains(named) && words.contains("aecl log rebuild-facts"), "{change}: {words}");
        // Whoever only reads can, and is told.
        let mut store = Sqlite::open_existing_read_only(dir.path()).unwrap();
        assert_eq!(store.tables_differ().unwrap(), [named], "{change}");
        drop(store);
        assert_eq!(Place::new(dir.path(), None).mend_tables().unwrap(), [named], "{change}");
        assert_eq!(Sqlite::open(dir.path()).unwrap().head().unwrap().size, 3, "{change}");
    }
    assert!(Place::new(dir.path(), None).mend_tables().unwrap().is_empty());
    raw(&dir).execute_batch("ALTER TABLE facts ADD COLUMN more TEXT").unwrap();
    let refused = Place::new(dir.path(), None).mend_tables().unwrap_err().to_string();
    assert!(refused.contains("the table `facts` is not the one that was made"), "{refused}");
}
