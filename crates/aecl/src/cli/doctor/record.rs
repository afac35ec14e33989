//! The ledger: there, ours, and ending where its signed head says.

use super::{Check, Seen};
use aecl_gate::keys;
use aecl_kernel::event::Entry;
use aecl_kernel::proof::{Checkpoint, VerifierKey};
use aecl_kernel::time::Timestamp;
use aecl_ledger::store::{Sqlite, Store};

/// What was seen of the ledger.
#[derive(Debug, Default)]
pub(super) struct Record {
    /// Its head is signed by our key and covers all of it.
    pub holds: bool,
    /// How many entries.
    pub entries: u64,
    /// When the last one was recorded.
    pub last_at: Option<Timestamp>,
}

pub(super) fn look(seen: &Seen, checks: &mut Vec<Check>) -> Record {
    let data = seen.home.data();
    if !data.join("ledger.db").exists() {
        checks.push(Check::ok("ledger", "nothing is recorded yet"));
        return Record::default();
    }
    match read(seen) {
        Ok(record) => {
            let last = record.last_at.map_or(String::new(), |at| format!(", the last at {at}"));
            checks.push(Check::ok(
                "ledger",
                format!("{} entries{last}; its head is signed by our key", record.entries),
            ));
            record
        }
        Err(why) => {
            let todo = "keep the files as they are; `aecl log verify` names the first bad position";
            checks.push(Check::broken("ledger", why, todo));
            Record::default()
        }
    }
}

fn read(seen: &Seen) -> Result<Record, String> {
    let config = seen.config.as_ref().ok_or("without the configuration nobody knows its name")?;
    let key = keys::read(&seen.home.keys().join("ledger.pem")).map_err(|e| e.to_string())?;
    let key = VerifierKey::new(&config.origin, key.verifying_key()).map_err(|e| e.to_string())?;
    let mut store = Sqlite::open_existing_read_only(&seen.home.data()).map_err(|e| e.to_string())?;
    let head = store.head().map_err(|e| e.to_string())?;
    let signed = head.checkpoint.ok_or("there is no signed head")?;
    let checkpoint = Checkpoint::open(&signed, &config.origin, &key).map_err(|e| e.to_string())?;
    if checkpoint.size() != head.size {
        return Err(format!("there are {} entries, but {} are signed", head.size, checkpoint.size()));
    }
    let last = store.entries(head.size.saturating_sub(1), 1).map_err(|e| e.to_string())?;
    let last = last.first().and_then(|(_, bytes)| serde_json::from_slice::<Entry>(bytes).ok());
    Ok(Record { holds: true, entries: head.size, last_at: last.map(|e| e.at) })
}
