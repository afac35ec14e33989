//! Batch that the writer fills: entries, the facts that they change, and who waits for them.

use crate::beside;
use crate::cache::{Changes, Group};
use crate::error::LedgerError;
use crate::payload::{PayloadKind, Salts, seal};
use crate::reply::PendingReply;
use crate::store::{EntryRow, FoundBy, PayloadRow, Store};
use aecl_kernel::base::digest::Digest;
use aecl_kernel::base::id::RunId;
use aecl_kernel::base::time::Timestamp;
use aecl_kernel::policy::bundle::Bundle;
use aecl_kernel::record::event::{BundleLoaded, Entry, Event, Fault, VERSION};
use aecl_kernel::record::facts::{Fact, FactKey, FactStore, keys};
use aecl_proof::{Hash, leaf_hash};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// Longest entry, in bytes: the tile format counts in 16 bits.
pub const ENTRY_BYTES_MAX: usize = 60 * 1024;
/// A wall clock that is this much behind the last recorded time, in milliseconds, is a fault.
const BACKWARD_MS: i64 = 1000;

/// What is being put together.
pub(crate) struct OpenBatch {
    pub(crate) group: Group,
    pub(crate) origin: Arc<str>,
    answers: Vec<PendingReply>,
    entries: Vec<EntryRow>,
    leaves: Vec<(Hash, Timestamp)>,
    payloads: Vec<PayloadRow>,
    first: u64,
    last_at: Timestamp,
    backward: bool,
    bundles: HashSet<Digest>,
    salts: Salts,
    // How many entries and payloads there were when the present command began to write, and the time then.
    mark: (usize, usize, Timestamp),
}

/// What is put together, to be made durable as a whole.
pub(crate) struct SealedBatch {
    pub(crate) first: u64,
    pub(crate) entries: Vec<EntryRow>,
    pub(crate) leaves: Vec<(Hash, Timestamp)>,
    pub(crate) payloads: Vec<PayloadRow>,
    pub(crate) changes: Arc<Changes>,
    pub(crate) answers: Vec<PendingReply>,
}

impl OpenBatch {
    /// An empty batch after `first` entries, over facts as this store has them.
    pub(crate) fn new(
        store: Box<dyn Store>,
        origin: Arc<str>,
        first: u64,
        last_at: Timestamp,
        salts: Salts,
    ) -> Self {
        Self {
            group: Group::new(store),
            origin,
            answers: Vec::new(),
            entries: Vec::new(),
            leaves: Vec::new(),
            payloads: Vec::new(),
            first,
            last_at,
            backward: false,
            bundles: HashSet::new(),
            salts,
            mark: (0, 0, last_at),
        }
    }

    /// Somebody waits for the batch to be durable.
    pub(crate) fn waits(&mut self, done: PendingReply) {
        self.answers.push(done);
    }

    /// When the last entry was recorded.
    pub(crate) fn last_at(&self) -> Timestamp {
        self.last_at
    }

    /// How many commands wait for this batch to be durable.
    pub(crate) fn waiting(&self) -> usize {
        self.answers.len()
    }

    /// Seals the batch, and goes on with the next one. What it changes counts as known from here
    /// on: nobody is answered before it is durable.
    pub(crate) fn seal(&mut self) -> SealedBatch {
        let sealed = SealedBatch {
            first: self.first,
            entries: std::mem::take(&mut self.entries),
            leaves: std::mem::take(&mut self.leaves),
            payloads: std::mem::take(&mut self.payloads),
            changes: self.group.turn(),
            answers: std::mem::take(&mut self.answers),
        };
        self.first += sealed.entries.len() as u64;
        self.mark();
        sealed
    }

    /// The batch that was sealed last is durable.
    pub(crate) fn settled(&mut self) {
        self.group.settled();
    }

    /// Tells everybody who waits for this batch that nothing of it is on record.
    pub(crate) fn fail(&mut self, because: &str) {
        for done in self.answers.drain(..) {
            done.fail(LedgerError::Stopped(because.to_owned()));
        }
    }

    /// The time for a command: the later of its own clock and the last recorded time. A clock that has gone
    /// back is put on record once, and nothing expires into a yes because of it.
    pub(crate) fn time(&mut self, wall: Timestamp) -> Result<Timestamp, LedgerError> {
        if wall >= self.last_at {
            self.backward = false;
            self.mark();
            return Ok(wall);
        }
        if self.last_at.0 - wall.0 > BACKWARD_MS && !self.backward {
            self.backward = true;
            let message = format!("the clock says {wall}, but {} is on record already", self.last_at);
            self.append(None, self.last_at, Event::Fault(Fault { code: "clock_backward".into(), message }))?;
        }
        self.mark();
        Ok(self.last_at)
    }

    /// Puts the bundle on record, unless it is: a decision can be made again only from a known bundle.
    pub(crate) fn bundle(&mut self, bundle: &Bundle, at: Timestamp) -> Result<(), LedgerError> {
        if !self.bundles.contains(&bundle.hash()) {
            self.bundle_loaded(bundle, at)?;
        }
        Ok(())
    }

    /// Puts on record that the bundle came into force. Gives the index of the entry in the group.
    pub(crate) fn bundle_loaded(&mut self, bundle: &Bundle, at: Timestamp) -> Result<usize, LedgerError> {
        let sources = serde_json::to_vec(bundle.sources())
            .map_err(|source| LedgerError::Unreadable { key: "bundle".into(), source })?;
        let loaded = BundleLoaded {
            bundle: bundle.hash(),
            sources: self.payload(PayloadKind::Bundle, sources, "bundle"),
            agents: bundle.agents().count() as u64,
            actions: bundle.catalogue().iter().count() as u64,
        };
        let index = self.append(None, at, Event::BundleLoaded(loaded))?;
        self.bundles.insert(bundle.hash());
        self.mark();
        Ok(index)
    }

    /// What is written so far stays, whatever becomes of the present command.
    fn mark(&mut self) {
        self.mark = (self.entries.len(), self.payloads.len(), self.last_at);
        self.group.mark();
    }

    /// Takes back what the present command has written: of a command that is refused, nothing stays.
    pub(crate) fn take_back(&mut self) {
        let (entries, payloads, last_at) = self.mark;
        self.last_at = last_at;
        self.entries.truncate(entries);
        self.leaves.truncate(entries);
        self.payloads.truncate(payloads);
        self.group.take_back();
    }

    /// Adds an entry and folds it into the facts. Gives its index in the group.
    pub(crate) fn append(
        &mut self,
        run: Option<&RunId>,
        at: Timestamp,
        event: Event,
    ) -> Result<usize, LedgerError> {
        self.add(run, at, None, event)
    }

    /// The same with facts that it does not tell: it commits to them.
    pub(crate) fn append_with(
        &mut self,
        run: &RunId,
        at: Timestamp,
        event: Event,
        beside: BTreeMap<FactKey, Fact>,
    ) -> Result<usize, LedgerError> {
        let content = beside::content(&beside)?;
        let committed = self.payload(PayloadKind::Beside, content, run.as_str());
        let index = self.add(Some(run), at, Some(committed), event)?;
        beside.into_iter().for_each(|(key, fact)| self.group.set(key, Some(fact)));
        Ok(index)
    }

    fn add(
        &mut self,
        run: Option<&RunId>,
        at: Timestamp,
        beside: Option<Digest>,
        event: Event,
    ) -> Result<usize, LedgerError> {
        let seq = match run {
            None => None,
            Some(run) => match self.group.find(keys::Run(run.clone()))? {
                Some(fact) => Some(fact.next_seq),
                // The first entry of a run opens it. An entry for a run that is not there has no sequence.
                None => matches!(event, Event::RunOpened(_)).then_some(0),
            },
        };
        let position = self.position();
        let entry = Entry { v: VERSION, position, at, run: run.cloned(), seq, beside, event };
        let mut bytes = Vec::with_capacity(2048);
        serde_json::to_writer(&mut bytes, &entry)
            .map_err(|source| LedgerError::Unreadable { key: "entry".into(), source })?;
        if bytes.len() > ENTRY_BYTES_MAX {
            return Err(LedgerError::TooLarge { bytes: bytes.len(), limit: ENTRY_BYTES_MAX });
        }
        // Two fields of one name, in an event and around it, are written without a word.
        debug_assert_eq!(
            serde_json::from_slice::<Entry>(&bytes).map_err(|e| e.to_string()).as_ref(),
            Ok(&entry)
        );
        entry.apply(&mut self.group)?;
        self.leaves.push((leaf_hash(&bytes), at));
        let FoundBy { run, action, .. } = found_by(&entry);
        self.entries.push(EntryRow { bytes: bytes.into(), run, action });
        self.last_at = (self.last_at).max(at);
        Ok(self.entries.len() - 1)
    }

    /// The position of the next entry.
    pub(crate) fn position(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    /// Puts content beside the chain and gives the commitment for the entry.
    pub(crate) fn payload(&mut self, kind: PayloadKind, content: Vec<u8>, subject: &str) -> Digest {
        let (digest, row) = seal(kind, content, subject, &mut self.salts);
        self.payloads.push(row);
        digest
    }
}

/// What an entry is found by.
pub(crate) fn found_by(entry: &Entry) -> FoundBy {
    FoundBy {
        position: entry.position,
        run: entry.run.as_ref().map(ToString::to_string),
        action: entry.event.action().map(ToString::to_string),
    }
}
