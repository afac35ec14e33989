//! What was asked for and handed out stands beside the record. A start looks whether it is what the entries commit to.

use crate::config::Home;
use aecl_ledger::store::{Sqlite, Store as _};
use aecl_ledger::{LedgerError, verify_payloads};
use std::path::Path;

/// What is wrong with the payloads of a home, in words, if there are no more entries than this.
pub(crate) async fn differ(home: Option<&Home>, entries_max: u64) -> Option<String> {
    let data = home?.data();
    match tokio::task::spawn_blocking(move || compare(&data, entries_max)).await {
        Ok(Ok(differs)) => differs,
        Ok(Err(error)) => {
            tracing::warn!(%error, "payloads cannot be compared with what the entries commit to");
            None
        }
        Err(error) => {
            tracing::error!(%error, "payloads cannot be compared with what the entries commit to");
            None
        }
    }
}

pub(crate) fn compare(data: &Path, entries_max: u64) -> Result<Option<String>, LedgerError> {
    let mut store = Sqlite::open_snapshot(data)?;
    if store.head()?.size > entries_max {
        return Ok(None);
    }
    Ok(verify_payloads(&mut store).err().map(|finding| finding.to_string()))
}
