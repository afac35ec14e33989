//! Verification by somebody who trusts nobody, us included: from an export's files alone, or from the
//! store's file, also while a server has it open.
//!
//! Everything is computed anew from the bytes of the entries: leaf hashes, root, the head of the past that
//! somebody kept. The pinned key and origin are the only things believed. Entries are read once, in order;
//! what is remembered of them is a few bytes for each run and action.

mod entries;
mod history;
mod line;
mod payloads;
mod read;
mod tree;
mod turns;

pub use payloads::verify_payloads;

use crate::error::LedgerError;
use crate::export::{Export, Progress};
use crate::replay::verify_facts;
use crate::store::{Store, StoreError, StorePlace};
use aecl_kernel::base::id::ActionId;
use aecl_kernel::base::time::Timestamp;
use aecl_proof::{Checkpoint, Frontier, Hash, VerifierKey};
use entries::Checked;
use payloads::Papers;
use read::Names;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;

/// Auditor's own knowledge: nothing of it comes from what is checked.
#[derive(Debug, Clone)]
pub struct Auditor {
    /// The name of the ledger.
    pub origin: String,
    /// The key that signs its heads.
    pub key: VerifierKey,
    /// Silence that is worth a warning, in seconds. A running gate records a heartbeat each minute.
    pub silence_s: u64,
    /// Compare payloads with their commitments, as far as they are there.
    pub payloads: bool,
    /// Compare what decisions are made from with what the entries say, where both are there.
    pub facts: bool,
    /// Threads that read entries beside each other: by default as many as there are cores, and at most 8. What is found
    /// does not depend on it; each has up to 256 entries in memory.
    pub readers: usize,
}

/// Beyond that, what is done in order is what takes the time.
const READERS_MAX: usize = 8;

impl Auditor {
    /// Pins an origin and a key.
    pub fn new(origin: impl Into<String>, key: VerifierKey) -> Self {
        let readers = std::thread::available_parallelism().map_or(1, |cores| cores.get().min(READERS_MAX));
        Self { origin: origin.into(), key, silence_s: 600, payloads: true, facts: true, readers }
    }
}

/// Finding of an audit: what is wrong, and where it first shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{}{what}", place(*position))]
pub struct AuditFinding {
    /// The first bad position, if it is about one.
    pub position: Option<u64>,
    /// What is wrong, in words.
    pub what: String,
    /// Of which kind.
    pub class: FindingClass,
}

fn place(position: Option<u64>) -> String {
    position.map_or(String::new(), |position| format!("entry {position}: "))
}

/// Class of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingClass {
    /// Bytes, tree, signature and heads do not fit each other.
    Proof,
    /// The entries contradict each other, or are none that this program knows.
    Story,
    /// What decisions are made from is not what the entries say.
    Facts,
    /// What entries commit to is not there, or something is beside it that none commits to.
    Payloads,
    /// It cannot be read, so nothing can be said.
    Unreadable,
}

impl AuditFinding {
    pub(crate) fn proof(position: Option<u64>, what: impl Into<String>) -> Self {
        Self { position, what: what.into(), class: FindingClass::Proof }
    }

    pub(crate) fn history(position: u64, what: impl Into<String>) -> Self {
        Self { position: Some(position), what: what.into(), class: FindingClass::Story }
    }
}

impl From<StoreError> for AuditFinding {
    fn from(error: StoreError) -> Self {
        Self { position: None, what: crate::error::chain(&error), class: FindingClass::Unreadable }
    }
}

/// Report of what was verified.
#[derive(Debug, Clone, Default, Serialize)]
pub struct AuditReport {
    /// The ledger.
    pub origin: String,
    /// How many entries.
    pub entries: u64,
    /// The root over them, as signed.
    pub root: String,
    /// The size of the kept head that this ledger continues, if one was given.
    pub continues: Option<u64>,
    /// How many runs were opened.
    pub runs: u64,
    /// Entries by kind.
    pub kinds: BTreeMap<String, u64>,
    /// Decisions by outcome: `approved`, `blocked`, `escalated`, `replayed`, `asked`.
    pub decisions: BTreeMap<String, u64>,
    /// Actions that were started, by where they stand: `done`, `failed`, `unknown`, `started`.
    pub actions: BTreeMap<String, u64>,
    /// Actions whose effect may have happened without anybody knowing: started, or unknown.
    pub open: Vec<OpenAction>,
    /// When the first entry was recorded.
    pub first_at: Option<Timestamp>,
    /// When the last one was.
    pub last_at: Option<Timestamp>,
    /// Payloads that are what was committed to.
    pub payloads: u64,
    /// Payloads that are not there, and not erased on record: of an export, which may leave them out. In a store they
    /// are a finding.
    pub payloads_missing: u64,
    /// Payloads that are erased on record.
    pub payloads_erased: u64,
    /// Facts that are as the entries say, if they were compared: an export has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub facts: Option<u64>,
    /// What is worth knowing. At most [`WARNINGS_MAX`].
    pub warnings: Vec<Warning>,
    /// Warnings beyond those.
    pub warnings_more: u64,
}

/// Most warnings that a report lists.
pub const WARNINGS_MAX: usize = 1000;

/// An action without a final outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OpenAction {
    /// The action.
    pub action: ActionId,
    /// `started` or `unknown`.
    pub state: String,
    /// The position of its last entry.
    pub position: u64,
}

/// Something that is no contradiction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// Where.
    pub position: u64,
    /// What, in words.
    pub what: String,
}

/// Verifies an export from its files alone. `kept_head` is a signed checkpoint of the past that the auditor
/// has kept: the ledger must continue it.
pub fn verify_export(
    dir: &Path,
    auditor: &Auditor,
    kept_head: Option<&str>,
) -> Result<AuditReport, AuditFinding> {
    verify_export_with_progress(dir, auditor, kept_head, &mut |_| {})
}

/// Verifies an export, and says after each of its files how far it is.
pub fn verify_export_with_progress(
    dir: &Path,
    auditor: &Auditor,
    kept_head: Option<&str>,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<AuditReport, AuditFinding> {
    let mut export = Export::open(dir)?;
    let files = export.clone();
    let auditor = &Auditor { payloads: auditor.payloads && export.has_payloads(), ..auditor.clone() };
    let (mut report, _) = verify(&mut export, Some(&files), auditor, kept_head, progress)?;
    if let Some(what) = export.beyond()? {
        let position = report.entries;
        report.warnings.push(Warning { position, what });
    }
    Ok(report)
}

/// Verifies the store in this place, also while a server has it open.
pub fn verify_data(
    place: &dyn StorePlace,
    auditor: &Auditor,
    kept_head: Option<&str>,
) -> Result<AuditReport, AuditFinding> {
    verify_data_with_progress(place, auditor, kept_head, &mut |_| {})
}

/// Verifies the store in this place, and says how many entries it has come by.
pub fn verify_data_with_progress(
    place: &dyn StorePlace,
    auditor: &Auditor,
    kept_head: Option<&str>,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<AuditReport, AuditFinding> {
    // Of one moment: a server may go on writing.
    let mut store = place.read()?.snapshot()?;
    let (mut report, papers) = verify(&mut *store, None, auditor, kept_head, progress)?;
    if auditor.payloads {
        papers.nothing_more(&mut *store)?;
    }
    if auditor.facts {
        let differ = store.tables_differ()?;
        if !differ.is_empty() {
            let what = format!("the store's tables are not as they were made: {}", differ.join(", "));
            return Err(AuditFinding { position: None, what, class: FindingClass::Facts });
        }
        report.facts = Some(facts(&mut *store)?);
    }
    Ok(report)
}

/// Compares what decisions and proofs are made from with what the entries say; how many facts there are.
fn facts(store: &mut dyn Store) -> Result<u64, AuditFinding> {
    let finding = |what, class| AuditFinding { position: None, what, class };
    let class = |e: &LedgerError| match e {
        LedgerError::FactsDiffer(_) => FindingClass::Facts,
        LedgerError::Tampered(_) => FindingClass::Proof,
        _ => FindingClass::Unreadable,
    };
    let report = verify_facts(store).map_err(|e| finding(crate::error::chain(&e), class(&e)))?;
    if let Some((level, index)) = report.nodes.first() {
        return Err(AuditFinding::proof(Some(index << level), crate::replay::node_in_words(*level, *index)));
    }
    match report.in_words() {
        Some(differs) => {
            let what = format!("what decisions are made from is not what the entries say: {differs}");
            Err(finding(what, FindingClass::Facts))
        }
        None => Ok(report.facts),
    }
}

/// Verifies a store.
pub fn verify_store(
    store: &mut dyn Store,
    auditor: &Auditor,
    kept_head: Option<&str>,
) -> Result<AuditReport, AuditFinding> {
    verify(store, None, auditor, kept_head, &mut |_| {}).map(|(report, _)| report)
}

/// Entries that are read at once: as many as a full file of an export has.
const CHUNK: usize = aecl_proof::tile::TILE_WIDTH as usize;

fn verify(
    store: &mut dyn Store,
    files: Option<&Export>,
    auditor: &Auditor,
    kept_head: Option<&str>,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<(AuditReport, Papers), AuditFinding> {
    let head = head(store, auditor)?;
    let kept = kept_head.map(|kept| open(kept, auditor, "kept head")).transpose()?;
    if let Some(kept) = kept.as_ref().filter(|kept| kept.size() > head.size()) {
        let what = format!(
            "the ledger ends at {} entries, but the kept head covers {}: its tail was cut, or an older copy \
             was put back",
            head.size(),
            kept.size()
        );
        return Err(AuditFinding::proof(Some(head.size()), what));
    }
    let (names, sizes) = (Names::new(), (head.size(), kept.as_ref().map(Checkpoint::size)));
    let Checked { history, papers, grown } =
        entries::check(store, files, (auditor, &names), sizes, progress)?;
    against_heads(store, &grown, &head, kept.as_ref())?;
    // An export leaves payloads out where it is meant to; a store has all that are not erased on record.
    if files.is_none() {
        papers.all_there()?;
    }
    let mut report = history.report();
    papers.report(&mut report);
    report.origin = auditor.origin.clone();
    report.root = head.root().to_base64();
    report.continues = kept.map(|kept| kept.size());
    Ok((report, papers))
}

fn head(store: &mut dyn Store, auditor: &Auditor) -> Result<Checkpoint, AuditFinding> {
    let head = store.head()?;
    let Some(signed) = head.checkpoint else {
        return Err(AuditFinding::proof(None, "there is no signed head"));
    };
    let checkpoint = open(&signed, auditor, "head")?;
    if checkpoint.size() != head.size {
        let what = format!("there are {} entries, but {} are signed", head.size, checkpoint.size());
        return Err(AuditFinding::proof(Some(checkpoint.size().min(head.size)), what));
    }
    Ok(checkpoint)
}

fn open(signed: &str, auditor: &Auditor, what: &str) -> Result<Checkpoint, AuditFinding> {
    Checkpoint::open(signed, &auditor.origin, &auditor.key)
        .map_err(|error| AuditFinding::proof(None, format!("the {what} does not hold: {error}")))
}

fn against_heads(
    store: &mut dyn Store,
    grown: &tree::Grown,
    head: &Checkpoint,
    kept: Option<&Checkpoint>,
) -> Result<(), AuditFinding> {
    if let (Some(kept), Some(root)) = (kept, grown.kept)
        && root != kept.root()
    {
        let what = format!(
            "the first {} entries lead to the root {}, but the kept head signs {}: history was written anew",
            kept.size(),
            root.to_base64(),
            kept.root().to_base64()
        );
        return Err(AuditFinding::proof(None, what));
    }
    if grown.tree.root() != head.root() {
        let what = format!(
            "the entries lead to the root {}, but {} is signed",
            grown.tree.root().to_base64(),
            head.root().to_base64()
        );
        return Err(AuditFinding::proof(first_change(store, head.size())?, what));
    }
    edge(store, &grown.tree)
}

/// The first entry whose hash is not the one that was stored with it, to say where to look.
fn first_change(store: &mut dyn Store, size: u64) -> Result<Option<u64>, AuditFinding> {
    let mut position = 0;
    while position < size {
        for (at, bytes) in store.entries(position, CHUNK)? {
            if store.node(0, at)? != Some(aecl_proof::leaf_hash(&bytes)) {
                return Ok(Some(at));
            }
            position = at + 1;
        }
    }
    Ok(None)
}

/// The nodes that the next entry is appended to.
fn edge(store: &mut dyn Store, tree: &Frontier) -> Result<(), AuditFinding> {
    let stored: Option<Vec<Hash>> = Frontier::coordinates(tree.size())
        .into_iter()
        .map(|(level, index)| store.node(level, index))
        .collect::<Result<_, _>>()?;
    let stored = stored.and_then(|edge| Frontier::resume(tree.size(), edge).ok());
    match stored {
        Some(stored) if stored == *tree => Ok(()),
        _ => Err(AuditFinding::proof(None, "the stored nodes of the tree are not those of the entries")),
    }
}
