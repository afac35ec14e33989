//! What is kept for whoever waits until their batch is durable.

use crate::error::LedgerError;
use crate::recorded::Receipt;
use tokio::sync::oneshot;

pub(crate) type Reply<T> = oneshot::Sender<Result<T, LedgerError>>;

/// A job that is written, waiting for the flush.
pub(crate) struct PendingReply(Box<Answer>);

/// Tells the caller, given the receipts of the whole group.
type Answer = dyn FnOnce(Result<&[Receipt], LedgerError>) + Send;

impl PendingReply {
    pub(crate) fn answer(self, receipts: &[Receipt]) {
        (self.0)(Ok(receipts));
    }

    pub(crate) fn fail(self, error: LedgerError) {
        (self.0)(Err(error));
    }

    /// Answers with `make(receipt of the entry)`. Whoever has stopped listening is not an error: what was
    /// recorded stays recorded.
    pub(crate) fn with_receipt<T: Send + 'static>(
        reply: Reply<T>,
        index: usize,
        make: impl FnOnce(Receipt) -> T + Send + 'static,
    ) -> Self {
        Self(Box::new(move |result| {
            let answer = result.and_then(|receipts| {
                let receipt = receipts.get(index).cloned();
                receipt.map(make).ok_or_else(|| LedgerError::Stopped("an entry has no receipt".into()))
            });
            drop(reply.send(answer));
        }))
    }

    pub(crate) fn refused<T: Send + 'static>(reply: Reply<T>, error: LedgerError) -> Self {
        Self(Box::new(move |result| drop(reply.send(Err(result.err().unwrap_or(error))))))
    }

    pub(crate) fn plain<T: Send + 'static>(reply: Reply<T>, value: T) -> Self {
        Self(Box::new(move |result| drop(reply.send(result.map(|_| value)))))
    }
}
