//! From a directory to a connection that keeps its promises.

use super::{corrupt, failed, schema, tables, unsigned};
use crate::store::StoreError;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(super) const DATABASE: &str = "ledger.db";
pub(super) const SIDES: [&str; 2] = ["ledger.db-wal", "ledger.db-shm"];
pub(super) const LOCK: &str = "lock";

/// Pages that the writing connection keeps, in KiB: those of the trees that it writes to at random.
const WRITER_KIB: i64 = 8 << 10;
/// Pages that a view keeps. Each commit of another connection empties them all, so more are of no use to it.
const VIEW_KIB: i64 = 1 << 10;

/// Takes the directory for this process; it is free again when the file is closed, also by a crash.
pub(super) fn lock(dir: &Path) -> Result<File, StoreError> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(io("create", dir))?;
    let path = dir.join(LOCK);
    let mut options = OpenOptions::new();
    // Not truncated: it may hold the number of the process that has the lock.
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let mut file = options.open(&path).map_err(io("open", &path))?;
    take(&file, &path, dir)?;
    let note = |file: &mut File| {
        file.set_len(0)?;
        writeln!(file, "{}", std::process::id())
    };
    note(&mut file).map_err(io("write", &path))?;
    Ok(file)
}

/// Holds the key of a ledger for this process. It outlives the directory: where that is replaced under a process
/// that runs, a second one does not begin another ledger with the same name and the same key.
pub(super) fn hold(key: &Path, dir: &Path) -> Result<File, StoreError> {
    // Some network file systems lock only what is open for writing; some keys lie where nothing can be written.
    let file = OpenOptions::new().read(true).write(true).open(key).or_else(|_| File::open(key));
    let file = file.map_err(io("open", key))?;
    take(&file, key, dir)?;
    Ok(file)
}

fn take(file: &File, path: &Path, dir: &Path) -> Result<(), StoreError> {
    match rustix::fs::flock(file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(locked(dir)),
        Err(error) => Err(io("lock", path)(error.into())),
    }
}

/// Somebody else has the directory, who wrote into it who that is.
pub(super) fn locked(dir: &Path) -> StoreError {
    StoreError::Locked { dir: dir.to_owned(), holder: holder(dir) }
}

/// The process that has taken the directory, or had it last.
pub(super) fn holder(dir: &Path) -> Option<u32> {
    std::fs::read_to_string(dir.join(LOCK)).ok()?.trim().parse().ok()
}

/// Whether there is such a process, whoever it belongs to.
pub(super) fn is_alive(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    pid.is_some_and(|pid| !matches!(rustix::process::test_kill_process(pid), Err(rustix::io::Errno::SRCH)))
}

/// There while the database is open for writing. SQLite keeps what was acknowledged last in its log; whoever loses
/// that file loses the end of the record, and SQLite opens the rest without a word.
const MARK: &str = "unclosed";

/// Whether there is a database.
pub(super) fn exists(dir: &Path) -> bool {
    dir.join(DATABASE).exists()
}

/// Refuses a store that was not shut in order and whose log is missing. The caller holds the lock.
pub(super) fn find_log(dir: &Path) -> Result<(), StoreError> {
    if log_is_missing(dir) { Err(StoreError::LogMissing { path: dir.join(SIDES[0]) }) } else { Ok(()) }
}

/// Takes back that the store was not shut in order, where its log is missing. Gives whether that was so.
pub(super) fn forget_missing_log(dir: &Path) -> Result<bool, StoreError> {
    let _lock = lock(dir)?;
    let is_missing = log_is_missing(dir);
    if is_missing {
        let path = dir.join(MARK);
        std::fs::remove_file(&path).map_err(io("remove", &path))?;
    }
    Ok(is_missing)
}

fn log_is_missing(dir: &Path) -> bool {
    dir.join(MARK).exists() && exists(dir) && !dir.join(SIDES[0]).exists()
}

/// Beside the key of a ledger: a record was begun with it. The directory of data may be lost whole; then this tells.
#[derive(Debug, Clone)]
pub(super) struct Begun(PathBuf);

impl Begun {
    /// Of this key.
    pub(super) fn beside(key: &Path) -> Self {
        let mut name = key.as_os_str().to_owned();
        name.push(".begun");
        Self(name.into())
    }

    /// There is an entry now. Some keys lie where nothing can be written; there the data alone tells.
    pub(super) fn set(&self) {
        // Where it is already, nothing is opened, and no link is followed.
        drop(OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.0));
    }
}

/// Refuses to begin a second record where there was one. The caller holds the lock.
pub(super) fn find_record(dir: &Path, begun: Option<&Begun>) -> Result<(), StoreError> {
    match is_lost(dir, begun)? {
        true => Err(StoreError::RecordMissing { path: dir.join(DATABASE) }),
        false => Ok(()),
    }
}

/// Takes back that there was a record, where it is gone, so that another one begins. Gives whether that was so.
pub(super) fn forget_missing_record(dir: &Path, begun: Option<&Begun>) -> Result<bool, StoreError> {
    let _lock = lock(dir)?;
    if !is_lost(dir, begun)? {
        return Ok(false);
    }
    // A log of the old record would be played into the new one. It is kept, since it may be all that is left.
    let (log, kept) = (dir.join(SIDES[0]), dir.join("ledger.db-wal.lost"));
    if log.exists() {
        std::fs::rename(&log, &kept).map_err(io("rename", &log))?;
    }
    let begun = begun.map(|begun| begun.0.clone());
    for path in [dir.join(SIDES[1]), dir.join(MARK)].into_iter().chain(begun) {
        match std::fs::remove_file(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(io("remove", &path)(error)),
        }
    }
    Ok(true)
}

/// Whether there was a record and now there is none: no database, or one in which nothing was ever written.
pub(super) fn is_lost(dir: &Path, begun: Option<&Begun>) -> Result<bool, StoreError> {
    let path = dir.join(DATABASE);
    let begun = begun.is_some_and(|begun| begun.0.exists());
    if !path.try_exists().map_err(io("look for", &path))? {
        return Ok(begun || SIDES.iter().chain([&MARK]).any(|name| dir.join(name).exists()));
    }
    Ok(begun && holds_nothing(&path))
}

fn holds_nothing(path: &Path) -> bool {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let look = || -> rusqlite::Result<bool> {
        let connection = Connection::open_with_flags(path, flags)?;
        let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0))?;
        match tables {
            0 => Ok(true),
            _ => connection.query_row(schema::HEAD, (), |row| Ok(row.get::<_, i64>(0)? == 0)),
        }
    };
    // What cannot be read is no empty record; whoever opens it says what it is.
    look().unwrap_or(false)
}

/// Says in the directory that the database is open.
#[derive(Debug)]
pub(super) struct Mark(PathBuf);

impl Mark {
    /// From here on, what is acknowledged may be in the log only.
    pub(super) fn set(dir: &Path) -> Result<Self, StoreError> {
        let path = dir.join(MARK);
        let mut options = OpenOptions::new();
        options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .map_err(io("create", &path))?;
        Ok(Self(path))
    }

    /// The same, if there is a database.
    pub(super) fn of_existing(dir: &Path) -> Result<Option<Self>, StoreError> {
        if exists(dir) { Self::set(dir).map(Some) } else { Ok(None) }
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        // Before the database is shut: whoever dies in between leaves the log, or needs none. A mark that stays only
        // makes the next start look for the log.
        drop(std::fs::remove_file(&self.0));
    }
}

/// A writing connection to a store that exists, whatever its tables are. The caller holds the lock.
pub(super) fn unchecked(dir: &Path) -> Result<Connection, StoreError> {
    let path = dir.join(DATABASE);
    path.metadata().map_err(io("open", &path))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(&path, flags).map_err(failed("open the database"))?;
    harden(&connection).map_err(failed("set up the connection"))?;
    durable(&connection)?;
    is_ours(&connection)?;
    Ok(connection)
}

/// The writing connection. The caller holds the lock.
pub(super) fn read_write(dir: &Path) -> Result<Connection, StoreError> {
    let path = dir.join(DATABASE);
    // SQLite would create the file with the permissions of the umask; its side files take after this one.
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
        // The name of a new file is durable only when its directory is.
        Ok(_) => File::open(dir).and_then(|dir| dir.sync_all()).map_err(io("flush", dir))?,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(io("create", &path)(error)),
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(&path, flags).map_err(failed("open the database"))?;
    harden(&connection).map_err(failed("set up the connection"))?;
    durable(&connection)?;
    if is_empty(&connection)? {
        create(&mut connection).map_err(failed("create the tables"))?;
    }
    check(&connection)?;
    let differ = tables::differ(&connection)?;
    if !differ.is_empty() {
        return Err(StoreError::TablesDiffer { what: differ.join(", ") });
    }
    Ok(connection)
}

/// A reading connection to a store that exists.
pub(super) fn read_only(dir: &Path) -> Result<Connection, StoreError> {
    let path = dir.join(DATABASE);
    path.metadata().map_err(io("open", &path))?;
    let attempt = connect_read_only(&path, OpenFlags::SQLITE_OPEN_READ_ONLY);
    let no_place = |error: &(dyn std::error::Error + 'static)| {
        let code = error.downcast_ref::<rusqlite::Error>().and_then(rusqlite::Error::sqlite_error_code);
        matches!(code, Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly))
    };
    match attempt {
        // A directory where nothing can be written has no place for SQLite's side files. That is no loss if
        // there were none: then the file was closed in order, is the whole truth, and nobody is writing it.
        Err(StoreError::Refused { ref source, .. })
            if no_place(&**source) && !SIDES.iter().any(|side| dir.join(side).exists()) =>
        {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
            connect_read_only(Path::new(&immutable_uri(&path)), flags)
        }
        Ok(_) | Err(_) => attempt,
    }
}

fn connect_read_only(path: &Path, flags: OpenFlags) -> Result<Connection, StoreError> {
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(failed("open the database"))?;
    harden(&connection).map_err(failed("set up the connection"))?;
    connection.pragma_update(None, "query_only", true).map_err(failed("set up the connection"))?;
    check(&connection)?;
    Ok(connection)
}

pub(super) fn immutable_uri(path: &Path) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(byte);
    let encode = |byte: &u8| if plain(byte) { char::from(*byte).to_string() } else { format!("%{byte:02X}") };
    let path: String = path.as_os_str().as_bytes().iter().map(encode).collect();
    format!("file:{path}?immutable=1")
}

/// What holds for every connection, before it reads the first page.
fn harden(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(32);
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    // Without this, `INSERT OR REPLACE` deletes and asks no trigger.
    connection.pragma_update(None, "recursive_triggers", true)?;
    // A disk error under a memory map is a signal, not an error code.
    connection.pragma_update(None, "mmap_size", 0)?;
    connection.pragma_update(None, "cache_size", -VIEW_KIB)?;
    connection.pragma_update(None, "temp_store", "memory")
}

/// Asks for durability, and looks whether we got it.
fn durable(connection: &Connection) -> Result<(), StoreError> {
    let ask = || {
        let mode: String =
            connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
        connection.pragma_update(None, "synchronous", "full")?;
        connection.pragma_update(None, "cache_size", -WRITER_KIB)?;
        // macOS: without these a flush ends in the cache of the disk. Elsewhere they do nothing.
        connection.pragma_update(None, "fullfsync", true)?;
        connection.pragma_update(None, "checkpoint_fullfsync", true)?;
        // 16 MB of log before it is copied into the file; a log that a slow reader made longer is cut again.
        connection.pragma_update(None, "wal_autocheckpoint", 4_000)?;
        connection.pragma_update(None, "journal_size_limit", 64 << 20)?;
        // Erasing deletes a key from the facts; its bytes must not stay behind in the page.
        connection.pragma_update(None, "secure_delete", true)?;
        let synchronous: i64 = connection.pragma_query_value(None, "synchronous", |row| row.get(0))?;
        Ok((mode, synchronous))
    };
    match ask().map_err(failed("switch to durable mode"))? {
        (mode, 2) if mode == "wal" => Ok(()),
        (mode, level) => Err(corrupt(format!(
            "SQLite runs with journal mode `{mode}` and synchronous level {level}, not with `wal` and 2"
        ))),
    }
}

fn is_empty(connection: &Connection) -> Result<bool, StoreError> {
    let count = |sql| connection.query_row(sql, (), |row| row.get::<_, i64>(0));
    let ours = pragma(connection, "application_id")? != 0 || pragma(connection, "user_version")? != 0;
    Ok(!ours && count("SELECT count(*) FROM sqlite_schema").map_err(failed("read the schema"))? == 0)
}

fn create(connection: &mut Connection) -> rusqlite::Result<()> {
    // In one transaction with the marks, so that a crash leaves an empty file or a whole one.
    let transaction = connection.transaction()?;
    transaction.execute_batch(schema::CREATE)?;
    transaction.pragma_update(None, "application_id", schema::APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", schema::VERSION)?;
    transaction.commit()
}

/// Whether this is our file, of our version.
fn is_ours(connection: &Connection) -> Result<(), StoreError> {
    if pragma(connection, "application_id")? != schema::APPLICATION_ID {
        return Err(corrupt(format!("`{DATABASE}` is not a ledger")));
    }
    let found = pragma(connection, "user_version")?;
    if found != schema::VERSION {
        return Err(StoreError::Version { found, known: schema::VERSION });
    }
    Ok(())
}

/// Whether it is, and ends where its head says. Takes the same time at any size.
fn check(connection: &Connection) -> Result<(), StoreError> {
    is_ours(connection)?;
    let (size, first, last) = ends(connection).map_err(failed("read the head"))?;
    let expected = unsigned(size)?.checked_sub(1).map(|last| (0, last));
    let real = first.zip(last).map(|(first, last)| Ok((unsigned(first)?, unsigned(last)?))).transpose()?;
    if expected != real {
        return Err(corrupt(format!("the head says {size} entries, but there are {real:?} (first, last)")));
    }
    Ok(())
}

fn ends(connection: &Connection) -> rusqlite::Result<(i64, Option<i64>, Option<i64>)> {
    // One transaction, so that a reader does not see head and entries of different commits.
    let transaction = connection.unchecked_transaction()?;
    let size = transaction.query_row(schema::HEAD, (), |row| row.get(0))?;
    let (first, last) = transaction.query_row(schema::ENDS, (), |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok((size, first, last))
}

fn pragma(connection: &Connection, name: &str) -> Result<i64, StoreError> {
    connection.pragma_query_value(None, name, |row| row.get(0)).map_err(failed("read the file's marks"))
}

fn io(what: &str, path: &Path) -> impl FnOnce(std::io::Error) -> StoreError {
    let tried = format!("{what} `{}`", path.display());
    move |source| StoreError::Io { tried, source }
}
