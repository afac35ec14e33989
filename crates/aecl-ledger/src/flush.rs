//! The flusher: makes one batch after the other durable, with a signed head over each, and answers.

use crate::batch::SealedBatch;
use crate::error::LedgerError;
use crate::in_flight::InFlight;
use crate::known::Known;
use crate::queue::{Queue, news};
use crate::recorded::Receipt;
use crate::signer::Signer;
use crate::store::{Batch, Store};
use aecl_proof::{Checkpoint, Frontier};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use tokio::sync::watch;

/// Owns the store for writing; nobody else writes.
pub(crate) struct Flusher {
    pub(crate) store: Box<dyn Store>,
    pub(crate) frontier: Frontier,
    pub(crate) signer: Signer,
    pub(crate) origin: Arc<str>,
    pub(crate) queue: Arc<RwLock<Queue>>,
    pub(crate) in_flight: Arc<RwLock<InFlight>>,
    pub(crate) known: Arc<Known>,
    /// How many entries are durable, for whoever follows them.
    pub(crate) durable: watch::Sender<u64>,
}

impl Flusher {
    /// Makes one batch durable, calls `durable`, then answers. Gives whether it could; nothing is tried again.
    pub(crate) fn make(
        &mut self,
        mut sealed: SealedBatch,
        stopped: &OnceLock<String>,
        durable: impl FnOnce(),
    ) -> bool {
        let answers = std::mem::take(&mut sealed.answers);
        let (news, changes) = (news(&sealed.changes), sealed.changes.clone());
        match self.flush(sealed) {
            Ok(receipts) => {
                durable();
                // Whoever is answered is known as the answer says.
                self.known.follow(&changes);
                self.in_flight.write().unwrap_or_else(PoisonError::into_inner).follow(&changes);
                // Whoever is answered finds in the queue what the answer speaks of.
                if !news.is_empty() {
                    self.queue.write().unwrap_or_else(PoisonError::into_inner).follow(news);
                }
                answers.into_iter().for_each(|done| done.answer(&receipts));
                // Who follows finds in the queue what the entries speak of, and keeps nobody who was answered.
                self.durable.send_replace(self.frontier.size());
                true
            }
            Err(error) => {
                let because = error.to_string();
                tracing::error!(%because, "the ledger stops: nothing more is recorded, so nothing more is done");
                drop(stopped.set(because.clone()));
                answers.into_iter().for_each(|done| done.fail(LedgerError::Stopped(because.clone())));
                false
            }
        }
    }

    fn flush(&mut self, sealed: SealedBatch) -> Result<Vec<Receipt>, LedgerError> {
        let SealedBatch { first, entries, leaves, payloads, changes, .. } = sealed;
        let facts = changes.rows()?;
        let mut nodes = Vec::with_capacity(leaves.len() * 2);
        for (leaf, _) in &leaves {
            self.frontier.append(*leaf, &mut nodes);
        }
        let signed = Checkpoint::new(self.signer.origin.as_str(), self.frontier.size(), self.frontier.root())
            .and_then(|head| head.sign(&self.signer.key))
            .map_err(|e| LedgerError::Tampered(e.to_string()))?;
        if !entries.is_empty() || !facts.is_empty() {
            let checkpoint = Some(signed.clone());
            self.store.commit(&Batch { first, entries, facts, payloads, nodes, checkpoint })?;
        }
        let checkpoint: Arc<str> = signed.into();
        let receipt = |(position, (leaf, at))| Receipt {
            origin: self.origin.clone(),
            position,
            leaf,
            at,
            checkpoint: checkpoint.clone(),
        };
        Ok((first..).zip(leaves).map(receipt).collect())
    }
}
