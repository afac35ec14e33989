//! The writer: one thread that decides, one that flushes. While a batch is flushed, the next one is written:
//! whatever arrives meanwhile is decided on what the batch before it leaves behind, and is answered after it,
//! or not at all if that one fails.

use crate::batch::{OpenBatch, SealedBatch};
use crate::command::Command;
use crate::error::LedgerError;
use crate::flush::Flusher;
use crate::in_flight::InFlight;
use crate::known::Known;
use crate::payload::Salts;
use crate::queue::Queue;
use crate::signer::Signer;
use crate::store::{Store, with_nodes};
use aecl_kernel::base::time::Timestamp;
use aecl_kernel::record::event::Entry;
use aecl_proof::{Checkpoint, Frontier};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::sync::{Arc, Mutex, OnceLock, RwLock};
use std::time::Duration;
use tokio::sync::watch;

/// Most commands in one batch.
const BATCH_MAX: usize = 256;
/// With so many, a batch is sealed although more commands are there: two half groups on their way are better than
/// a whole one and nothing.
const BATCH_ENOUGH: usize = 32;
/// How long to look at the flusher before looking at the queue again.
const PATIENCE: Duration = Duration::from_micros(100);

/// The writer, before it works.
pub(crate) struct Writer {
    batch: OpenBatch,
    flusher: Flusher,
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
            if checkpoint.size() != head.size {
                return Err(LedgerError::Tampered(format!(
                    "it has {} entries, {} were signed",
                    head.size,
                    checkpoint.size()
                )));
            }
            if checkpoint.root() != frontier.root() {
                return Err(LedgerError::Tampered(format!(
                    "its root is {}, that of the signed head is {}: entries or nodes were changed; keep the files as they \
                     are, and compare with an export or a backup",
                    frontier.root(),
                    checkpoint.root()
                )));
            }
            let last = store.entries(head.size - 1, 1)?.pop();
            let (_, bytes) = last.ok_or_else(|| LedgerError::Tampered("the last entry is missing".into()))?;
            let entry: Entry = serde_json::from_slice(&bytes)
                .map_err(|source| LedgerError::Unreadable { key: "the last entry".into(), source })?;
            last_at = entry.at;
        }
        let origin: Arc<str> = signer.origin.as_str().into();
        let queue = Arc::new(RwLock::new(Queue::load(&mut *store)?));
        let in_flight = Arc::new(RwLock::new(InFlight::load(&mut *store)?));
        let batch = OpenBatch::new(store.reader()?, origin.clone(), head.size, last_at, salts);
        let (known, durable) = (Arc::default(), watch::Sender::new(head.size));
        let flusher = Flusher { store, frontier, signer, origin, queue, in_flight, known, durable };
        Ok(Self { batch, flusher })
    }

    /// When the last entry was recorded.
    pub(crate) fn last_at(&self) -> Timestamp {
        self.batch.last_at()
    }

    /// A view for listings.
    pub(crate) fn reader(&self) -> Result<Box<dyn Store>, LedgerError> {
        Ok(self.flusher.store.reader()?)
    }

    /// The requests that are open, as they will be kept.
    pub(crate) fn queue(&self) -> Arc<RwLock<Queue>> {
        self.flusher.queue.clone()
    }

    /// How many entries are durable, as it will be told.
    pub(crate) fn durable(&self) -> watch::Receiver<u64> {
        self.flusher.durable.subscribe()
    }

    /// What is underway, as it will be kept.
    pub(crate) fn in_flight(&self) -> Arc<RwLock<InFlight>> {
        self.flusher.in_flight.clone()
    }

    /// What requests ask for, as it will be kept.
    pub(crate) fn known(&self) -> Arc<Known> {
        self.flusher.known.clone()
    }

    /// Works until every handle is gone, or until something cannot be recorded. Then `stopped` says why,
    /// before anybody is answered.
    pub(crate) fn work(self, commands: &Receiver<Command>, stopped: &OnceLock<String>) {
        let Self { batch, flusher } = self;
        let flusher = Mutex::new(flusher);
        let (sealed_batches, queue) = channel();
        let (say, settled) = channel();
        std::thread::scope(|scope| {
            let flush = || {
                // Moved in here: when this thread ends, the writer hears of it.
                let (queue, say) = (queue, say);
                for sealed in queue {
                    let Ok(mut flusher) = flusher.lock() else { return };
                    // A writer that is gone by then has learned of it from `stopped`.
                    if !flusher.make(sealed, stopped, || drop(say.send(Settled))) {
                        return;
                    }
                }
            };
            let thread = std::thread::Builder::new().name("ledger-flusher".into());
            if let Err(error) = thread.spawn_scoped(scope, flush) {
                drop(stopped.set(format!("the flusher's thread cannot start: {error}")));
                return;
            }
            Writing { batch, flusher: &flusher, sealed_batches, settled, underway: false, stopped }
                .work(commands);
        });
    }
}

/// Where decisions are made and handed on.
struct Writing<'a> {
    batch: OpenBatch,
    flusher: &'a Mutex<Flusher>,
    sealed_batches: Sender<SealedBatch>,
    settled: Receiver<Settled>,
    // A batch is with the flusher's thread.
    underway: bool,
    stopped: &'a OnceLock<String>,
}

/// A batch is durable. If one cannot be made so, the flusher goes and says no more.
struct Settled;

/// Nothing more can be recorded.
struct Over;

impl Writing<'_> {
    fn work(mut self, commands: &Receiver<Command>) {
        if self.until_over(commands).is_err() {
            // The flusher, or a fact that could not be read, has said why.
            self.batch.fail(self.stopped.get().map_or("the flusher is gone", String::as_str));
        }
    }

    fn until_over(&mut self, commands: &Receiver<Command>) -> Result<(), Over> {
        loop {
            let command =
                if self.batch.waiting() == 0 { commands.recv().ok() } else { commands.try_recv().ok() };
            let idle = command.is_none();
            if let Some(command) = command {
                self.decide(command)?;
            } else if self.batch.waiting() == 0 {
                // All handles are gone, and everything is handed on.
                return Ok(());
            }
            self.look(idle)?;
            if !self.underway && (idle || self.batch.waiting() >= BATCH_ENOUGH) {
                self.hand_on()?;
            }
        }
    }

    fn hand_on(&mut self) -> Result<(), Over> {
        let alone = self.batch.waiting() == 1;
        let sealed = self.batch.seal();
        if !alone {
            self.sealed_batches.send(sealed).map_err(|_| Over)?;
            self.underway = true;
            return Ok(());
        }
        // Nobody else is there whose time would be used better: to wake another thread takes longer.
        let made = self.flusher.lock().is_ok_and(|mut flusher| flusher.make(sealed, self.stopped, || ()));
        self.batch.settled();
        if made { Ok(()) } else { Err(Over) }
    }

    fn decide(&mut self, command: Command) -> Result<(), Over> {
        command.write(&mut self.batch).map_err(|error| {
            let because = error.to_string();
            tracing::error!(%because, "the ledger stops: nothing more is recorded, so nothing more is done");
            drop(self.stopped.set(because));
            Over
        })
    }

    /// Looks whether the batch that is underway is durable; waits for it if there is nothing else to do.
    fn look(&mut self, idle: bool) -> Result<(), Over> {
        if !self.underway {
            return Ok(());
        }
        let settled = if self.batch.waiting() >= BATCH_MAX {
            self.settled.recv().map(Some).map_err(|_| Over)?
        } else if idle {
            match self.settled.recv_timeout(PATIENCE) {
                Ok(settled) => Some(settled),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return Err(Over),
            }
        } else {
            match self.settled.try_recv() {
                Ok(settled) => Some(settled),
                Err(TryRecvError::Empty) => None,
                Err(TryRecvError::Disconnected) => return Err(Over),
            }
        };
        if let Some(Settled) = settled {
            self.batch.settled();
            self.underway = false;
        }
        Ok(())
    }
}
