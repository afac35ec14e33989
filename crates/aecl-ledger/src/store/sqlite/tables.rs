//! Tables, indexes and triggers, as they were made. A trigger that somebody added changes facts as they are written; an
//! index or a guard that is gone lets rows be found elsewhere, or nowhere.

use super::{failed, schema};
use crate::store::StoreError;
use rusqlite::{Connection, Transaction, TransactionBehavior};
use std::collections::BTreeMap;

/// What SQLite keeps of a table, index, trigger or view: its kind, and the words that made it.
type Made = BTreeMap<String, (String, Option<String>)>;

/// What is not as it was made, in words.
pub(super) fn differ(connection: &Connection) -> Result<Vec<String>, StoreError> {
    let (found, ours) = (made(connection)?, as_made()?);
    let mut out = Vec::new();
    for (name, (kind, words)) in &ours {
        match found.get(name) {
            None => out.push(format!("the {kind} `{name}` is missing")),
            Some((_, other)) if other != words => out.push(format!("the {kind} `{name}` is another")),
            Some(_) => {}
        }
    }
    let beyond = found.iter().filter(|(name, _)| !ours.contains_key(*name));
    out.extend(beyond.map(|(name, (kind, _))| format!("the {kind} `{name}` is none of AECL's")));
    if ["head", "nodes"].iter().all(|name| found.get(*name) == ours.get(*name)) {
        out.extend(nodes_beyond(connection)?);
    }
    Ok(out)
}

/// Most nodes beyond the tree that are named.
const NODES_NAMED: usize = 10;

/// Nodes that a tree of this size cannot have: no proof reads them, and the entry that reaches one could not be written.
fn nodes_beyond(connection: &Connection) -> Result<Vec<String>, StoreError> {
    let find = || {
        let mut statement = connection.prepare(schema::NODES_BEYOND)?;
        let say = |row: &rusqlite::Row<'_>| {
            let (level, position, size): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            Ok(format!("a tree of {size} entries has no node {position} of level {level}"))
        };
        statement.query_map((), say)?.take(NODES_NAMED).collect::<rusqlite::Result<Vec<_>>>()
    };
    find().map_err(failed("look for nodes beyond the tree"))
}

/// Most of what does not hold together that is named.
const BROKEN_NAMED: usize = 3;

/// What does not hold together, in words. SQLite keeps the words of an index and what it holds apart: with the words of
/// ours, it can hold less than the table.
pub(super) fn broken(connection: &Connection) -> Result<Vec<String>, StoreError> {
    let check = || {
        let mut statement = connection.prepare(&format!("PRAGMA integrity_check({BROKEN_NAMED})"))?;
        statement.query_map((), |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()
    };
    let found = check().map_err(failed("check the database"))?.into_iter();
    Ok(found.filter(|said| said != "ok").map(|said| format!("the database is damaged: {said}")).collect())
}

/// Fills the indexes anew from their tables, where something does not hold together.
fn reindex(connection: &Connection) -> Result<Vec<String>, StoreError> {
    let wrong = broken(connection)?;
    if !wrong.is_empty() {
        connection.execute_batch("REINDEX").map_err(failed("fill the indexes anew"))?;
        if let Some(still) = broken(connection)?.into_iter().next() {
            return Err(StoreError::Corrupt { what: format!("{still}; put back a copy of the store") });
        }
    }
    Ok(wrong)
}

/// Takes away what is none of ours, makes what is missing, and fills indexes that are not those of their tables. A table of
/// ours that is another stays, since it holds what nobody could make again.
pub(super) fn mend(connection: &mut Connection) -> Result<Vec<String>, StoreError> {
    let mut wrong = differ(connection)?;
    let (found, ours) = (made(connection)?, as_made()?);
    let is_table = |made: Option<&(String, Option<String>)>| made.is_some_and(|(kind, _)| kind == "table");
    let other = |name: &&String| is_table(ours.get(*name)) && found.get(*name) != ours.get(*name);
    if let Some(name) = ours.keys().find(other) {
        let what = format!("the table `{name}` is not the one that was made; put back a copy of the store");
        return Err(StoreError::Corrupt { what });
    }
    let mut put_back = || {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for (name, (kind, _)) in found.iter().filter(|(name, made)| ours.get(*name) != Some(made)) {
            let quoted = name.replace('"', "\"\"");
            transaction.execute_batch(&format!("DROP {kind} IF EXISTS \"{quoted}\""))?;
        }
        for (_, (_, words)) in ours.iter().filter(|(name, made)| found.get(*name) != Some(made)) {
            transaction.execute_batch(words.as_deref().unwrap_or_default())?;
        }
        transaction.commit()
    };
    put_back().map_err(failed("put the tables back"))?;
    without(connection, "nodes_remain", |transaction| {
        let mut beyond = transaction.prepare(schema::NODES_BEYOND)?;
        let rows = beyond.query_map((), |row| Ok((row.get(0)?, row.get(1)?)))?;
        for (level, position) in rows.collect::<rusqlite::Result<Vec<(i64, i64)>>>()? {
            transaction.execute(schema::DELETE_NODE, (level, position))?;
        }
        Ok(())
    })?;
    wrong.extend(reindex(connection)?);
    Ok(wrong)
}

/// Does something in one transaction in which this trigger is not there.
pub(super) fn without(
    connection: &mut Connection,
    trigger: &str,
    change: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<()>,
) -> Result<(), StoreError> {
    let words = as_made()?.remove(trigger).and_then(|(_, words)| words).unwrap_or_default();
    let changed = || {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(&format!("DROP TRIGGER {trigger}"))?;
        change(&transaction)?;
        transaction.execute_batch(&words)?;
        transaction.commit()
    };
    changed().map_err(failed("change what a trigger keeps as it is"))
}

fn as_made() -> Result<Made, StoreError> {
    let tried = "make the tables in memory";
    let fresh = Connection::open_in_memory().map_err(failed(tried))?;
    fresh.execute_batch(schema::CREATE).map_err(failed(tried))?;
    made(&fresh)
}

fn made(connection: &Connection) -> Result<Made, StoreError> {
    let read = || {
        let mut statement = connection.prepare("SELECT name, type, sql FROM sqlite_schema")?;
        let rows = statement.query_map((), |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?))))?;
        rows.collect::<rusqlite::Result<Made>>()
    };
    read().map_err(failed("read the schema"))
}
