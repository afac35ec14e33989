//! The store inside the binary: one SQLite file, one writing process.
//!
//! WAL with `synchronous=FULL`: a commit returns after its flush. The data directory belongs to one process,
//! by a lock file; entries and nodes are append-only, by triggers. Neither keeps out somebody who may write to
//! the file: that is what the signed tree is for.

use self::files::Files;
use super::poison::Poison;
use super::{Batch, FoundBy, Head, PayloadRow, Store, StoreError};
use aecl_proof::{Hash, Node};
use rusqlite::{Connection, OptionalExtension as _, Params, Row, TransactionBehavior};
use std::fs::File;
use std::path::{Path, PathBuf};

mod claim;
mod files;
mod open;
mod place;
mod schema;
mod tables;
mod write;

pub(super) use place::Place;

/// A store in `<dir>/ledger.db`.
#[derive(Debug)]
struct Sqlite {
    // Taken away before the database is shut, which is before the locks are given back: fields are dropped in this order.
    #[expect(dead_code, reason = "what it does, it does when it is dropped")]
    mark: Option<open::Mark>,
    connection: Connection,
    poison: Poison,
    // Of the directory, and of the ledger's key. A read-only view has none.
    locks: Vec<File>,
    // Unless somebody else writes them.
    files: Option<Files>,
    // Where it stands that a record was begun, if that is known.
    begun: Option<open::Begun>,
    dir: PathBuf,
}

impl Sqlite {
    /// Opens the store in this directory for reading and writing. What is missing is created, readable by this
    /// user only. Refused while another process has it open, and if it was made by another schema version.
    fn open(dir: &Path) -> Result<Self, StoreError> {
        Self::open_begun(dir, None)
    }

    fn open_begun(dir: &Path, begun: Option<open::Begun>) -> Result<Self, StoreError> {
        let lock = open::lock(dir)?;
        open::find_log(dir)?;
        open::find_record(dir, begun.as_ref())?;
        // What is there is marked before it is opened: if it is refused, it is shut in order all the same.
        let marked = open::Mark::of_existing(dir)?;
        let connection = open::read_write(dir)?;
        let mark = Some(marked.map_or_else(|| open::Mark::set(dir), Ok)?);
        let (poison, files) = (Poison::default(), Some(Files::of(dir)));
        Ok(Self { mark, connection, poison, locks: vec![lock], files, begun, dir: dir.to_owned() })
    }

    /// The same for the ledger that this key signs: refused also while another process writes a ledger with it
    /// that is no longer in this directory, and where there was a record with it and now there is none.
    fn open_with_key(dir: &Path, key: &Path) -> Result<Self, StoreError> {
        let held = open::hold(key, dir)?;
        let begun = open::Begun::beside(key);
        let mut store = Self::open_begun(dir, Some(begun.clone()))?;
        store.locks.push(held);
        if store.head()?.size > 0 {
            begun.set();
        }
        Ok(store)
    }

    /// The same, refused also while another process of this user writes a ledger with a copy of the key: both would sign
    /// heads of one ledger. `claim` is a file for that outside of every copy, named after the key, in a directory of
    /// nothing else; where it has no place, nothing is noticed.
    fn open_claimed(dir: &Path, key: &Path, claim: &Path) -> Result<Self, StoreError> {
        let claimed = claim::take(claim, dir)?;
        let mut store = Self::open_with_key(dir, key)?;
        store.locks.extend(claimed);
        Ok(store)
    }

    /// Opens an existing store for reading, also while a server has it open or where nothing can be written.
    fn open_existing_read_only(dir: &Path) -> Result<Self, StoreError> {
        let connection = open::read_only(dir)?;
        let poison = Poison::default();
        let (locks, dir) = (Vec::new(), dir.to_owned());
        Ok(Self { mark: None, connection, poison, locks, files: None, begun: None, dir })
    }

    /// The same, as it is now. The log grows while it is open.
    fn open_snapshot(dir: &Path) -> Result<Self, StoreError> {
        let store = Self::open_existing_read_only(dir)?;
        // The transaction begins with its first read.
        let begin = || {
            store.connection.execute_batch("BEGIN")?;
            store.connection.query_row(schema::HEAD, (), |_| Ok(()))
        };
        begin().map_err(failed("begin to read"))?;
        Ok(store)
    }

    fn row<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, StoreError> {
        self.poison.check()?;
        let find = || self.connection.prepare_cached(sql)?.query_row(params, read).optional();
        find().map_err(failed("read a row"))
    }

    fn numbered(&self, sql: &str, params: impl Params) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        self.poison.check()?;
        let find = || {
            let mut statement = self.connection.prepare_cached(sql)?;
            let rows = statement.query_map(params, |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect::<Result<Vec<(i64, Vec<u8>)>, _>>()
        };
        let rows = find().map_err(failed("read entries"))?;
        rows.into_iter().map(|(position, bytes)| Ok((unsigned(position)?, bytes))).collect()
    }
}

impl Store for Sqlite {
    fn head(&mut self) -> Result<Head, StoreError> {
        let head = self.row(schema::HEAD, (), |row| Ok((row.get(0)?, row.get(1)?)))?;
        let (size, checkpoint) = head.ok_or_else(|| corrupt("there is no head"))?;
        Ok(Head { size: unsigned(size)?, checkpoint })
    }

    fn load(&mut self, keys: &[String]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        self.poison.check()?;
        let find = || {
            let mut statement = self.connection.prepare_cached(schema::FACT)?;
            let fact = |key: &String| statement.query_row([key], |row| row.get(0)).optional();
            keys.iter().map(fact).collect::<rusqlite::Result<_>>()
        };
        find().map_err(failed("load facts"))
    }

    fn scan(
        &mut self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        self.poison.check()?;
        let (sql, start) = match after {
            Some(after) if after >= prefix => (schema::FACTS_AFTER, after),
            Some(_) | None => (schema::FACTS_FROM, prefix),
        };
        let find = || {
            let mut statement = self.connection.prepare_cached(sql)?;
            let mut rows = statement.query((start, bound(limit)))?;
            let mut facts: Vec<(String, Vec<u8>)> = Vec::new();
            // Rows come one by one, so leaving at the first foreign key reads no more than that one.
            while let Some(row) = rows.next()? {
                let key: String = row.get(0)?;
                if !key.starts_with(prefix) {
                    break;
                }
                facts.push((key, row.get(1)?));
            }
            Ok(facts)
        };
        find().map_err(failed("scan facts"))
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        self.poison.check()?;
        if self.locks.is_empty() {
            return Err(StoreError::ReadOnly);
        }
        // Looked at after the flush: what is durable in a file without a name is lost.
        let outcome = self.write(batch).and_then(|()| self.still_there());
        if let (Ok(()), 0, Some(begun)) = (&outcome, batch.first, &self.begun) {
            begun.set();
        }
        self.poison.after(outcome)
    }

    fn entries(&mut self, from: u64, limit: usize) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        self.numbered(schema::ENTRIES, (capped(from), bound(limit)))
    }

    fn entries_of_run(
        &mut self,
        run: &str,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        self.numbered(schema::ENTRIES_OF_RUN, (run, after.map_or(-1, capped), bound(limit)))
    }

    fn entries_of_action(&mut self, action: &str) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        self.numbered(schema::ENTRIES_OF_ACTION, [action])
    }

    fn found_by(&mut self, from: u64, limit: usize) -> Result<Vec<FoundBy>, StoreError> {
        self.poison.check()?;
        let find = || {
            let mut statement = self.connection.prepare_cached(schema::FOUND_BY)?;
            let rows = statement
                .query_map((capped(from), bound(limit)), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
            rows.collect::<Result<Vec<(i64, Option<String>, Option<String>)>, _>>()
        };
        let rows = find().map_err(failed("read what entries are found by"))?.into_iter();
        rows.map(|(position, run, action)| Ok(FoundBy { position: unsigned(position)?, run, action }))
            .collect()
    }

    fn find_by(&mut self, entries: &[FoundBy]) -> Result<(), StoreError> {
        self.poison.check()?;
        if self.locks.is_empty() {
            return Err(StoreError::ReadOnly);
        }
        let outcome = tables::without(&mut self.connection, "entries_stay", |transaction| {
            let mut statement = transaction.prepare(schema::FIND_BY)?;
            for FoundBy { position, run, action } in entries {
                statement.execute((capped(*position), run, action))?;
            }
            Ok(())
        });
        self.poison.after(outcome)
    }

    fn payload(&mut self, commitment: &Hash) -> Result<Option<PayloadRow>, StoreError> {
        self.row(schema::PAYLOAD, [commitment.0], |row| {
            let (salt, content, subject) = (row.get(0)?, row.get(1)?, row.get(2)?);
            Ok(PayloadRow { commitment: *commitment, salt, content, subject })
        })
    }

    fn payloads_beyond(&mut self, known: &dyn Fn(&Hash) -> bool) -> Result<Vec<Hash>, StoreError> {
        self.poison.check()?;
        let find = || {
            let mut statement = self.connection.prepare_cached(schema::COMMITMENTS)?;
            let all = statement.query_map((), |row| row.get(0).map(Hash))?;
            all.filter(|row| row.as_ref().map_or(true, |commitment| !known(commitment)))
                .collect::<rusqlite::Result<Vec<_>>>()
        };
        find().map_err(failed("list payloads"))
    }

    fn node(&mut self, level: u8, index: u64) -> Result<Option<Hash>, StoreError> {
        self.row(schema::NODE, (level, capped(index)), |row| row.get(0).map(Hash))
    }

    fn nodes(&mut self, level: u8, from: u64, limit: usize) -> Result<Vec<(u64, Hash)>, StoreError> {
        self.poison.check()?;
        let end = capped(from.saturating_add(limit as u64));
        let find = || {
            let mut statement = self.connection.prepare_cached(schema::NODES)?;
            let rows = statement
                .query_map((level, capped(from), end), |row| Ok((row.get(0)?, row.get(1).map(Hash)?)))?;
            rows.collect::<Result<Vec<(i64, Hash)>, _>>()
        };
        let rows = find().map_err(failed("read nodes"))?;
        rows.into_iter().map(|(index, hash)| Ok((unsigned(index)?, hash))).collect()
    }

    fn renew_nodes(&mut self, nodes: &[Node]) -> Result<(), StoreError> {
        self.poison.check()?;
        if self.locks.is_empty() {
            return Err(StoreError::ReadOnly);
        }
        let outcome = tables::without(&mut self.connection, "nodes_stay", |transaction| {
            let mut statement = transaction.prepare(schema::RENEW_NODE)?;
            for (level, index, hash) in nodes {
                statement.execute((level, capped(*index), hash.0))?;
            }
            Ok(())
        });
        self.poison.after(outcome)
    }

    fn broken(&mut self) -> Result<Vec<String>, StoreError> {
        self.poison.check()?;
        tables::broken(&self.connection)
    }

    fn tables_differ(&mut self) -> Result<Vec<String>, StoreError> {
        self.poison.check()?;
        tables::differ(&self.connection)
    }

    fn reader(&self) -> Result<Box<dyn Store>, StoreError> {
        self.poison.check()?;
        let view = Self::open_existing_read_only(&self.dir)?;
        Ok(Box::new(Self { files: self.files.clone(), ..view }))
    }

    fn snapshot(&self) -> Result<Box<dyn Store>, StoreError> {
        self.poison.check()?;
        Ok(Box::new(Self::open_snapshot(&self.dir)?))
    }

    fn still_there(&mut self) -> Result<(), StoreError> {
        self.files.as_mut().map_or(Ok(()), Files::check)
    }
}

impl Sqlite {
    fn write(&mut self, batch: &Batch) -> Result<(), StoreError> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(failed("begin a transaction"))?;
        // When this fails, the transaction is rolled back as it is dropped.
        write::batch(&transaction, batch)?;
        transaction.commit().map_err(failed("commit a batch"))
    }
}

/// Sorts SQLite's errors into ours.
fn failed(tried: &'static str) -> impl FnOnce(rusqlite::Error) -> StoreError {
    move |source| match source.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DiskFull) => StoreError::Full { tried },
        Some(
            rusqlite::ErrorCode::DatabaseCorrupt
            | rusqlite::ErrorCode::NotADatabase
            | rusqlite::ErrorCode::ConstraintViolation,
        ) => StoreError::Corrupt { what: format!("could not {tried}: {source}") },
        Some(_) | None => StoreError::Refused { tried, source: source.into() },
    }
}

fn corrupt(what: impl Into<String>) -> StoreError {
    StoreError::Corrupt { what: what.into() }
}

fn unsigned(number: i64) -> Result<u64, StoreError> {
    u64::try_from(number).map_err(|_| corrupt(format!("position {number} is negative")))
}

/// SQLite's integers end at 2^63 - 1. Where a number is only compared, the last of them stands for all beyond.
fn capped(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn bound(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
