//! Writing a batch, inside a transaction that the caller commits.

use super::{capped, corrupt, failed, schema, unsigned};
use crate::store::{Batch, StoreError};
use rusqlite::{Connection, params};

pub(super) fn batch(connection: &Connection, batch: &Batch) -> Result<(), StoreError> {
    move_head(connection, batch)?;
    rows(connection, batch).map_err(failed("write a batch"))
}

fn move_head(connection: &Connection, batch: &Batch) -> Result<(), StoreError> {
    let end = batch.first.checked_add(batch.entries.len() as u64);
    let end = end.and_then(|end| i64::try_from(end).ok());
    let swap = |end: i64| {
        connection.prepare_cached(schema::MOVE_HEAD)?.execute(params![
            capped(batch.first),
            end,
            batch.checkpoint
        ])
    };
    // A batch that ends beyond all positions starts where no ledger can be.
    if end.map_or(Ok(0), swap).map_err(failed("move the head"))? == 1 {
        return Ok(());
    }
    let size = connection.query_row(schema::HEAD, (), |row| row.get(0)).map_err(failed("read the head"))?;
    let size = unsigned(size)?;
    if size == batch.first {
        return Err(corrupt("the head does not move"));
    }
    Err(StoreError::Conflict { first: batch.first, size })
}

fn rows(connection: &Connection, batch: &Batch) -> rusqlite::Result<()> {
    let mut add = connection.prepare_cached(schema::ADD_ENTRY)?;
    for (position, entry) in (capped(batch.first)..).zip(&batch.entries) {
        add.execute(params![position, &*entry.bytes, entry.run, entry.action])?;
    }
    let mut set = connection.prepare_cached(schema::SET_FACT)?;
    let mut delete = connection.prepare_cached(schema::DELETE_FACT)?;
    for (key, value) in &batch.facts {
        match value {
            Some(value) => set.execute(params![key, value])?,
            None => delete.execute([key])?,
        };
    }
    let mut add = connection.prepare_cached(schema::ADD_PAYLOAD)?;
    for payload in &batch.payloads {
        add.execute(params![payload.commitment.0, payload.salt, payload.content, payload.subject])?;
    }
    let mut add = connection.prepare_cached(schema::ADD_NODE)?;
    for (level, index, hash) in &batch.nodes {
        add.execute(params![level, capped(*index), hash.0])?;
    }
    Ok(())
}
