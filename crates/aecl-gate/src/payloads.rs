//! What was asked for and handed out stands beside the record. A start looks whether it is what the entries commit to.

use aecl_ledger::store::Store;
use aecl_ledger::{LedgerError, verify_payloads};

/// What is wrong with the payloads of a ledger, in words, if there are no more entries than this.
pub(crate) async fn differ(view: Option<Box<dyn Store>>, entries_max: u64) -> Option<String> {
    let view = view?;
    match tokio::task::spawn_blocking(move || compare(&*view, entries_max)).await {
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

pub(crate) fn compare(view: &dyn Store, entries_max: u64) -> Result<Option<String>, LedgerError> {
    let mut store = view.snapshot()?;
    if store.head()?.size > entries_max {
        return Ok(None);
    }
    Ok(verify_payloads(&mut *store).err().map(|finding| finding.to_string()))
}
