//! The writer: one thread, one group at a time. Whatever has arrived while the last group was flushed is
//! decided, recorded, signed and flushed together; then everybody is answered.

use crate::cache::{Cache, FactRow, Group};
use crate::error::LedgerError;
use crate::job::{Done, Job};
use crate::payload::{PayloadKind, Salts, seal};
use crate::recorded::Receipt;
use crate::store::{Batch, EntryRow, PayloadRow, Store, with_nodes};
use aecl_kernel::bundle::Bundle;
use aecl_kernel::digest::Digest;
use aecl_kernel::event::{BundleLoaded, Entry, Event, Fault, VERSION};
use aecl_kernel::facts::{Fact, Key, Space};
use aecl_kernel::id::RunId;
use aecl_kernel::proof::{Checkpoint, Frontier, Hash, VerifierKey, leaf_hash};
use aecl_kernel::time::Timestamp;
use ed25519_dalek::SigningKey;
use std::collections::HashSet;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, OnceLock};

/// Longest entry, in bytes: the tile format counts in 16 bits.
pub const ENTRY_BYTES_MAX: usize = 60 * 1024;
/// Most jobs in one group.
const GROUP_MAX: usize = 256;
/// A wall clock that is this much behind the last recorded time, in milliseconds, is a fault.
const BACKWARD_MS: i64 = 1000;

/// Who signs.
pub struct Signer {
    /// The name of the ledger, such as `example.com/aecl`.
    pub origin: String,
    /// The key for checkpoints; used for nothing else.
    pub key: SigningKey,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signer({})", self.origin)
    }
}

impl Signer {
    /// The key that verifies, as auditors pin it.
    pub fn verifier(&self) -> Result<VerifierKey, LedgerError> {
        VerifierKey::new(&self.origin, self.key.verifying_key())
            .map_err(|e| LedgerError::Tampered(e.to_string()))
    }
}

pub(crate) struct Writer {
    store: Box<dyn Store>,
    cache: Cache,
    frontier: Frontier,
    signer: Signer,
    origin: Arc<str>,
    last_at: Timestamp,
    backward: bool,
    bundles: HashSet<Digest>,
    salts: Salts,
}

/// What one group puts together.
pub(crate) struct Page<'a> {
    pub(crate) group: Group<'a>,
    pub(crate) origin: &'a Arc<str>,
    entries: Vec<EntryRow>,
    leaves: Vec<(Hash, Timestamp)>,
    payloads: Vec<PayloadRow>,
    first: u64,
    last_at: &'a mut Timestamp,
    backward: &'a mut bool,
    bundles: &'a mut HashSet<Digest>,
    salts: &'a mut Salts,
    // How many entries and payloads there were when the present job began to write.
    mark: (usize, usize),
}

impl Page<'_> {
    /// The time for a job: the later of its own clock and the last recorded time. A clock that has gone
    /// back is put on record once, and nothing expires into a yes because of it.
    pub(crate) fn time(&mut self, wall: Timestamp) -> Result<Timestamp, LedgerError> {
        if wall >= *self.last_at {
            *self.backward = false;
            self.mark();
            return Ok(wall);
        }
        if self.last_at.0 - wall.0 > BACKWARD_MS && !*self.backward {
            *self.backward = true;
            let message = format!("the clock says {wall}, but {} is on record already", self.last_at);
            self.append(None, *self.last_at, Event::Fault(Fault { code: "clock_backward".into(), message }))?;
        }
        self.mark();
        Ok(*self.last_at)
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

    /// What is written so far stays, whatever becomes of the present job.
    fn mark(&mut self) {
        self.mark = (self.entries.len(), self.payloads.len());
        self.group.mark();
    }

    /// Takes back what the present job has written: of a job that is refused, nothing stays.
    pub(crate) fn take_back(&mut self) {
        let (entries, payloads) = self.mark;
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
        let seq = match run {
            None => None,
            Some(run) => match self.group.fact(&Key::Run(run.clone()))? {
                Some(Fact::Run(fact)) => Some(fact.next_seq),
                // The first entry of a run opens it. An entry for a run that is not there has no sequence.
                _ => matches!(event, Event::RunOpened(_)).then_some(0),
            },
        };
        let position = self.first + self.entries.len() as u64;
        let entry = Entry { v: VERSION, position, at, run: run.cloned(), seq, event };
        let bytes = serde_json::to_vec(&entry)
            .map_err(|source| LedgerError::Unreadable { key: "entry".into(), source })?;
        if bytes.len() > ENTRY_BYTES_MAX {
            return Err(LedgerError::TooLarge { bytes: bytes.len(), limit: ENTRY_BYTES_MAX });
        }
        entry.apply(&mut self.group)?;
        self.leaves.push((leaf_hash(&bytes), at));
        self.entries.push(EntryRow {
            bytes: bytes.into(),
            run: run.map(ToString::to_string),
            action: entry.event.action().map(ToString::to_string),
        });
        *self.last_at = (*self.last_at).max(at);
        Ok(self.entries.len() - 1)
    }

    /// Puts content beside the chain and gives the commitment for the entry.
    pub(crate) fn payload(&mut self, kind: PayloadKind, content: Vec<u8>, subject: &str) -> Digest {
        let (digest, row) = seal(kind, content, subject, self.salts);
        self.payloads.push(row);
        digest
    }
}

impl Writer {
    /// Reads where the ledger ends, and checks that this is what was signed.
    pub(crate) fn open(mut store: Box<dyn Store>, signer: Signer, salts: Salts) -> Result<Self, LedgerError> {
        let head = store.head()?;
        let frontier = with_nodes(&mut *store, |nodes| Frontier::load(head.size, nodes))?
            .map_err(|e| LedgerError::Tampered(e.to_string()))?;
        let mut last_at = Timestamp(0);
        if head.size > 0 {
            let signed = head
                .checkpoint
                .as_deref()
                .ok_or_else(|| LedgerError::Tampered("the checkpoint is missing".into()))?;
            let checkpoint = Checkpoint::open(signed, &signer.origin, &signer.verifier()?)
                .map_err(|e| LedgerError::Tampered(format!("{e}; is this the key of this ledger?")))?;
            if checkpoint.size() != head.size || checkpoint.root() != frontier.root() {
                return Err(LedgerError::Tampered(format!(
                    "it has {} entries, {} were signed",
                    head.size,
                    checkpoint.size()
                )));
            }
            let last = store.entries(head.size - 1, 1)?.pop();
            let (_, bytes) = last.ok_or_else(|| LedgerError::Tampered("the last entry is missing".into()))?;
            let entry: Entry = serde_json::from_slice(&bytes)
                .map_err(|source| LedgerError::Unreadable { key: "the last entry".into(), source })?;
            last_at = entry.at;
        }
        let origin = signer.origin.as_str().into();
        Ok(Self {
            store,
            cache: Cache::default(),
            frontier,
            signer,
            origin,
            last_at,
            backward: false,
            bundles: HashSet::new(),
            salts,
        })
    }

    pub(crate) fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// Works until every handle is gone, or until a group cannot be recorded. Then `stopped` says why, before
    /// anybody is answered.
    pub(crate) fn work(mut self, jobs: &Receiver<Job>, stopped: &OnceLock<String>) {
        while let Ok(first) = jobs.recv() {
            let mut group = vec![first];
            while group.len() < GROUP_MAX {
                match jobs.try_recv() {
                    Ok(job) => group.push(job),
                    Err(_) => break,
                }
            }
            if !self.one_group(group, stopped) {
                return;
            }
        }
    }

    /// Gives whether the group is on record.
    fn one_group(&mut self, jobs: Vec<Job>, stopped: &OnceLock<String>) -> bool {
        let first = self.frontier.size();
        let mut page = Page {
            group: Group::new(&mut *self.store, &mut self.cache),
            origin: &self.origin,
            entries: Vec::new(),
            leaves: Vec::new(),
            payloads: Vec::new(),
            first,
            last_at: &mut self.last_at,
            backward: &mut self.backward,
            bundles: &mut self.bundles,
            salts: &mut self.salts,
            mark: (0, 0),
        };
        let mut answers: Vec<Done> = Vec::with_capacity(jobs.len());
        let mut unwritten = Vec::new();
        let mut broken: Option<LedgerError> = None;
        for job in jobs {
            match &broken {
                Some(error) => unwritten.push((job, error.to_string())),
                None => {
                    let (done, error) = job.write(&mut page);
                    answers.push(done);
                    broken = error;
                }
            }
        }
        let facts = page.group.rows();
        let Page { group, entries, leaves, payloads, .. } = page;
        let changes = group.into_changes();
        let made = match broken {
            Some(error) => Err(error),
            None => facts.and_then(|facts| self.flush(first, entries, &leaves, facts, payloads)),
        };
        match made {
            Ok(checkpoint) => {
                self.cache.absorb(changes);
                let origin = &self.origin;
                let receipts = leaves.iter().enumerate().map(|(i, (leaf, at))| Receipt {
                    origin: origin.clone(),
                    position: first + i as u64,
                    leaf: *leaf,
                    at: *at,
                    checkpoint: checkpoint.clone(),
                });
                let receipts: Vec<Receipt> = receipts.collect();
                answers.into_iter().for_each(|done| done.answer(&receipts));
                true
            }
            Err(error) => {
                let because = error.to_string();
                tracing::error!(%because, "the ledger stops: nothing more is recorded, so nothing more is done");
                drop(stopped.set(because.clone()));
                answers.into_iter().for_each(|done| done.fail(LedgerError::Stopped(because.clone())));
                unwritten.into_iter().for_each(|(job, because)| job.fail(LedgerError::Stopped(because)));
                false
            }
        }
    }

    fn flush(
        &mut self,
        first: u64,
        entries: Vec<EntryRow>,
        leaves: &[(Hash, Timestamp)],
        facts: Vec<FactRow>,
        payloads: Vec<PayloadRow>,
    ) -> Result<Arc<str>, LedgerError> {
        let mut nodes = Vec::new();
        for (leaf, _) in leaves {
            self.frontier.append(*leaf, &mut nodes);
        }
        let signed = Checkpoint::new(self.signer.origin.as_str(), self.frontier.size(), self.frontier.root())
            .and_then(|c| c.sign(&self.signer.key))
            .map_err(|e| LedgerError::Tampered(e.to_string()))?;
        if entries.is_empty() && facts.is_empty() {
            return Ok(signed.into());
        }
        self.store.commit(&Batch {
            first,
            entries,
            facts,
            payloads,
            nodes,
            checkpoint: Some(signed.clone()),
        })?;
        Ok(signed.into())
    }
}
