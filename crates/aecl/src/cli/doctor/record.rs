//! The ledger: there, ours, and ending where its signed head says.

use super::{Check, Seen};
use aecl_gate::keys;
use aecl_kernel::base::time::Timestamp;
use aecl_kernel::record::event::Entry;
use aecl_ledger::replay::{FactsReport, START_ENTRIES_MAX};
use aecl_ledger::store::{StorePlace, with_nodes};
use aecl_ledger::{LedgerError, verify_facts, verify_payloads};
use aecl_proof::{Checkpoint, Frontier, VerifierKey};

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
    let place = match seen.home.record() {
        Ok(place) => place,
        Err(error) => {
            let todo = "correct aecl.yaml, which says what keeps it";
            checks.push(Check::broken("ledger", error.to_string(), todo));
            return Record::default();
        }
    };
    match place.is_begun() {
        Ok(true) => {}
        Ok(false) => {
            checks.push(Check::ok("ledger", "nothing is recorded yet"));
            return Record::default();
        }
        Err(missing) => {
            let todo =
                "put back a copy of data/, or accept with `aecl log accept-loss` that a new record begins";
            checks.push(Check::broken("ledger", missing.to_string(), todo));
            return Record::default();
        }
    }
    match read(seen, &*place) {
        Ok(record) => {
            checks.push(facts(&*place, &record));
            checks.push(payloads(&*place, &record));
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

/// Whether decisions are made from what the entries say.
fn facts(place: &dyn StorePlace, record: &Record) -> Check {
    let todo = "keep a copy of data/, find out who changed it, then `aecl log rebuild-facts`";
    if record.entries > START_ENTRIES_MAX {
        return Check::ok("facts", "the ledger is too long to compare them here; `aecl log verify` does");
    }
    let compare = || -> Result<_, LedgerError> {
        let mut store = place.read()?.snapshot()?;
        Ok((store.tables_differ()?, verify_facts(&mut *store)?))
    };
    let in_words = |(tables, report): (Vec<String>, FactsReport)| {
        let differs: Vec<String> = tables.into_iter().chain(report.in_words()).collect();
        ((!differs.is_empty()).then(|| differs.join(", ")), report.facts)
    };
    match compare().map(in_words) {
        Ok((None, n)) => {
            Check::ok("facts", format!("{n} facts that decisions are made from, as the entries say"))
        }
        Ok((Some(differs), _)) => {
            Check::broken("facts", format!("not what the entries say: {differs}"), todo)
        }
        Err(error) => Check::broken("facts", error.to_string(), todo),
    }
}

fn read(seen: &Seen, place: &dyn StorePlace) -> Result<Record, String> {
    let config = seen.config.as_ref().ok_or("without the configuration nobody knows its name")?;
    let key = keys::read(&seen.home.keys().join("ledger.pem")).map_err(|e| e.to_string())?;
    let key = VerifierKey::new(&config.origin, key.verifying_key()).map_err(|e| e.to_string())?;
    let mut store = place.read().map_err(|e| e.to_string())?;
    let head = store.head().map_err(|e| e.to_string())?;
    let signed = head.checkpoint.ok_or("there is no signed head")?;
    let checkpoint = Checkpoint::open(&signed, &config.origin, &key).map_err(|e| e.to_string())?;
    if checkpoint.size() != head.size {
        return Err(format!("there are {} entries, but {} are signed", head.size, checkpoint.size()));
    }
    let tree =
        with_nodes(&mut *store, |nodes| Frontier::load(head.size, nodes)).map_err(|e| e.to_string())?;
    if tree.map_err(|e| e.to_string())?.root() != checkpoint.root() {
        return Err(
            "the root of its tree is not that of the signed head: entries or nodes were changed".into()
        );
    }
    let last = store.entries(head.size.saturating_sub(1), 1).map_err(|e| e.to_string())?;
    let last = last.first().and_then(|(_, bytes)| serde_json::from_slice::<Entry>(bytes).ok());
    Ok(Record { holds: true, entries: head.size, last_at: last.map(|e| e.at) })
}

/// Whether arguments and outputs are what the entries commit to.
fn payloads(place: &dyn StorePlace, record: &Record) -> Check {
    if record.entries > START_ENTRIES_MAX {
        return Check::ok("payloads", "the ledger is too long to compare them here; `aecl log verify` does");
    }
    let snapshot = place.read().and_then(|store| store.snapshot());
    let compared = snapshot
        .map_err(|error| LedgerError::from(error).to_string())
        .and_then(|mut store| verify_payloads(&mut *store).map_err(|finding| finding.to_string()));
    match compared {
        Ok(n) => Check::ok("payloads", format!("{n} arguments, outputs, goals and bundles, as committed to")),
        Err(why) => {
            let todo = "keep a copy of data/ and find out who changed it; `aecl log verify` says more";
            Check::broken("payloads", why, todo)
        }
    }
}
