//! Verification by somebody who trusts nobody, us included: from an export's files alone, or from the
//! store's file, also while a server has it open.
//!
//! Everything is computed anew from the bytes of the entries: leaf hashes, root, the head of the past that
//! somebody kept. The pinned key and origin are the only things believed. Entries are read once, in order;
//! what is remembered of them is a few bytes for each run and action.

mod history;
mod line;
mod tree;

use crate::error::LedgerError;
use crate::export::Export;
use crate::payload::{PayloadKind, commitment};
use crate::replay::verify_facts;
use crate::store::{Store, StoreError, StorePlace};
use aecl_kernel::base::digest::Digest;
use aecl_kernel::base::id::ActionId;
use aecl_kernel::base::time::Timestamp;
use aecl_proof::{Checkpoint, Frontier, Hash, VerifierKey};
use history::HistoryCheck;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use tree::Chunk;

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
}

impl Auditor {
    /// Pins an origin and a key.
    pub fn new(origin: impl Into<String>, key: VerifierKey) -> Self {
        Self { origin: origin.into(), key, silence_s: 600, payloads: true, facts: true }
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
    let mut export = Export::open(dir)?;
    let files = export.clone();
    let auditor = &Auditor { payloads: auditor.payloads && export.has_payloads(), ..auditor.clone() };
    let (mut report, _) = verify(&mut export, Some(files), auditor, kept_head)?;
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
    // Of one moment: a server may go on writing.
    let mut store = place.read()?.snapshot()?;
    let (mut report, papers) = verify(&mut *store, None, auditor, kept_head)?;
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
    verify(store, None, auditor, kept_head).map(|(report, _)| report)
}

/// Compares payloads with what the entries commit to, and says how many there are. Signature, tree and story are
/// taken for granted.
pub fn verify_payloads(store: &mut dyn Store) -> Result<u64, AuditFinding> {
    let size = store.head()?.size;
    let (mut papers, mut position) = (Papers::default(), 0);
    while position < size {
        let chunk = store.entries(position, CHUNK)?;
        if chunk.is_empty() {
            return Err(AuditFinding::proof(Some(position), "it is missing"));
        }
        for (at, bytes) in chunk {
            position = at + 1;
            let line = line::read(&bytes).map_err(|what| AuditFinding::history(at, what))?;
            let said = history::said_of_payloads(&line);
            for (payload, digest) in said.filter_map(|(payload, text)| Some((payload, Digest::parse(text)?)))
            {
                papers.check(store, payload, digest, at)?;
            }
        }
    }
    papers.all_there()?;
    papers.nothing_more(store)?;
    Ok(papers.good.len() as u64)
}

/// Entries that are read at once: a multiple of the width of a tile.
const CHUNK: usize = 1024;

fn verify(
    store: &mut dyn Store,
    files: Option<Export>,
    auditor: &Auditor,
    kept_head: Option<&str>,
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
    let mut history = HistoryCheck::new(auditor);
    let mut papers = Papers::default();
    // Hashing has a thread of its own. It gets each chunk before the story is read, so that of two things
    // that are wrong the earlier one is known.
    let (told, hashed) = std::thread::scope(|scope| {
        let (chunks, queue) = std::sync::mpsc::sync_channel::<Arc<Chunk>>(4);
        let (kept, size) = (kept.as_ref().map(Checkpoint::size), head.size());
        let tiles = files.as_ref().map(Export::tiles);
        let hasher = scope.spawn(move || tree::grow(&queue, size, kept, tiles));
        let mut check_entries = || -> Result<(), AuditFinding> {
            let mut position = 0;
            while position < head.size() {
                let chunk = Arc::new(match &files {
                    Some(files) => {
                        let (first, bytes, places) = files.file(position)?;
                        Chunk::File(first, bytes, places)
                    }
                    None => {
                        let limit = CHUNK.min(usize::try_from(head.size() - position).unwrap_or(CHUNK));
                        Chunk::Rows(store.entries(position, limit)?)
                    }
                });
                if chunk.len() == 0 {
                    return Err(AuditFinding::proof(Some(position), "it is missing"));
                }
                // The hasher has found something and stopped listening.
                if chunks.send(chunk.clone()).is_err() {
                    return Ok(());
                }
                for (at, bytes) in chunk.iter() {
                    if at != position {
                        return Err(AuditFinding::proof(Some(position), "it is missing"));
                    }
                    for (kind, digest) in history.check_entry(position, bytes)? {
                        papers.check(store, kind, digest, position)?;
                    }
                    position += 1;
                }
            }
            history.end()
        };
        let told = check_entries();
        drop(chunks);
        (told, hasher.join())
    });
    let Ok(hashed) = hashed else {
        return Err(AuditFinding {
            position: None,
            what: "the hasher has panicked".into(),
            class: FindingClass::Unreadable,
        });
    };
    let grown = match (told, hashed) {
        (Ok(()), Ok(grown)) => grown,
        (Err(finding), Ok(_)) | (Ok(()), Err(finding)) => return Err(finding),
        // Bytes that are not what was hashed explain a story that makes no sense, not the other way round.
        (Err(told), Err(hashed)) => {
            let told_first = told.position.unwrap_or(u64::MAX) < hashed.position.unwrap_or(u64::MAX);
            return Err(if told_first { told } else { hashed });
        }
    };
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

/// Payloads beside the chain.
#[derive(Default)]
struct Papers {
    /// Those that are as committed.
    good: BTreeSet<Hash>,
    /// Those that are not there, and the first entry that commits to each.
    missing: BTreeMap<Digest, u64>,
    erased: BTreeSet<Digest>,
}

/// What an entry says about a payload.
pub(crate) enum PayloadRef {
    /// It is committed to, and filed under this subject, if the entry says which.
    Committed(PayloadKind, Option<String>),
    /// It is erased.
    Erased,
}

impl Papers {
    fn check(
        &mut self,
        store: &mut dyn Store,
        payload: PayloadRef,
        digest: Digest,
        position: u64,
    ) -> Result<(), AuditFinding> {
        let PayloadRef::Committed(kind, subject) = payload else {
            self.erased.insert(digest);
            return Ok(());
        };
        let hash = Hash(*digest.bytes());
        match store.payload(&hash) {
            Ok(None) => drop(self.missing.entry(digest).or_insert(position)),
            Ok(Some(row)) if commitment(&row.salt, kind, &row.content) == digest => {
                // An export names no subject.
                if let Some(subject) = subject.filter(|s| !row.subject.is_empty() && *s != row.subject) {
                    let what = format!(
                        "its payload {} is filed under `{}` and belongs to `{subject}`",
                        digest.hex(),
                        row.subject
                    );
                    return Err(AuditFinding {
                        position: Some(position),
                        what,
                        class: FindingClass::Payloads,
                    });
                }
                self.good.insert(hash);
            }
            Ok(Some(_)) => {
                let what = format!("its payload {} is not what was committed to", digest.hex());
                return Err(AuditFinding::proof(Some(position), what));
            }
            Err(error) => {
                let what = format!("its payload: {}", crate::error::chain(&error));
                return Err(AuditFinding { position: Some(position), what, class: FindingClass::Unreadable });
            }
        }
        Ok(())
    }

    /// Payloads that are gone, and not erased on record.
    fn gone(&self) -> impl Iterator<Item = u64> {
        self.missing.iter().filter(|(digest, _)| !self.erased.contains(digest)).map(|(_, position)| *position)
    }

    fn all_there(&self) -> Result<(), AuditFinding> {
        let Some(first) = self.gone().min() else { return Ok(()) };
        let what = format!(
            "its payload is not there and was not erased on record, as of {} in all: they were taken out beside the record",
            self.gone().count()
        );
        Err(AuditFinding { position: Some(first), what, class: FindingClass::Payloads })
    }

    /// Whether the store has payloads that no entry commits to.
    fn nothing_more(&self, store: &mut dyn Store) -> Result<(), AuditFinding> {
        let more = store.payloads_beyond(&|commitment| {
            self.good.contains(commitment) || self.erased.contains(&Digest::from_bytes(commitment.0))
        })?;
        let Some(first) = more.first() else { return Ok(()) };
        let what = format!(
            "{} payloads are committed to by no entry, {} among them: they were put in beside the record",
            more.len(),
            Digest::from_bytes(first.0).hex()
        );
        Err(AuditFinding { position: None, what, class: FindingClass::Payloads })
    }

    fn report(&self, report: &mut AuditReport) {
        report.payloads = self.good.len() as u64;
        report.payloads_erased = self.erased.len() as u64;
        report.payloads_missing = self.gone().count() as u64;
    }
}
