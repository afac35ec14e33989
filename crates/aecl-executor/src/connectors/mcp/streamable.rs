//! A server behind Streamable HTTP: each message is a POST, answered by JSON or by a stream of events.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use async_trait::async_trait;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::envelope::{RawReply, cancelled};
use super::error::{Fault, UpstreamFailure};
use super::link::{Ask, Link, Speech};
use super::pending_calls::{PendingCalls, requested_progress_token};
use super::wire::{Endpoint, Wire};

pub(crate) struct StreamableLink {
    wire: Arc<Wire>,
    listen: bool,
    stop: CancellationToken,
    _stop_on_drop: DropGuard,
}

impl StreamableLink {
    pub(crate) fn new(
        place: Endpoint,
        listen: bool,
        message_max_bytes: usize,
        pending: Arc<PendingCalls>,
    ) -> Self {
        let (session, version) = (RwLock::default(), Mutex::default());
        let wire = Arc::new(Wire { place, pending, session, version, message_max_bytes });
        let stop = CancellationToken::new();
        let _stop_on_drop = stop.clone().drop_guard();
        Self { wire, listen, stop, _stop_on_drop }
    }
}

#[async_trait]
impl Link for StreamableLink {
    async fn exchange(&self, ask: &Ask<'_>) -> Result<RawReply, Fault> {
        let (id, answer) = self.wire.pending.enter(requested_progress_token(ask.params))?;
        ask.entered(id);
        let sent = AtomicBool::new(false);
        let leaving = Leaving { wire: &self.wire, id, sent: &sent, stateless: ask.speech.stateless };
        let fault = |why| Fault { why, may_have_left: leaving.sent.load(Ordering::Acquire) };
        tokio::select! {
            biased;
            reply = self.wire.ask(ask, id, answer, &sent) => reply,
            () = ask.cancel.cancelled() => Err(fault(UpstreamFailure::Cancelled)),
            () = tokio::time::sleep_until(ask.deadline) => Err(fault(ask.timed_out())),
        }
    }

    async fn send(&self, text: String, method: Option<&str>, speech: Speech<'_>) -> Result<(), Fault> {
        self.wire.tell(text, method, speech).await
    }

    fn settled(&self, speech: Speech<'_>) {
        let version = speech.version.map(str::to_owned);
        *self.wire.version.lock().unwrap_or_else(PoisonError::into_inner) = version;
        if self.listen && !speech.stateless {
            let (wire, stop) = (Arc::clone(&self.wire), self.stop.clone());
            tokio::spawn(async move {
                tokio::select! { () = wire.listen() => {}, () = stop.cancelled() => {} }
            });
        }
    }

    fn closed(&self) -> Option<String> {
        self.wire.pending.closed()
    }

    fn generation(&self) -> u64 {
        self.wire.pending.generation()
    }

    async fn close(&self) {
        self.stop.cancel();
        self.wire.pending.close("it was closed by us");
        self.wire.end_session().await;
    }
}

impl Drop for StreamableLink {
    fn drop(&mut self) {
        if self.wire.session().is_some()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let wire = Arc::clone(&self.wire);
            runtime.spawn(async move { wire.end_session().await });
        }
    }
}

/// A request that still waits. Dropped early, the stream closes, and an older server is told as well.
struct Leaving<'a> {
    wire: &'a Arc<Wire>,
    id: u64,
    sent: &'a AtomicBool,
    stateless: bool,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        let outstanding = self.wire.pending.leave(self.id) && self.sent.load(Ordering::Acquire);
        if outstanding
            && !self.stateless
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let (wire, text) =
                (Arc::clone(self.wire), cancelled(self.id, "nobody waits for the answer any more"));
            runtime.spawn(async move {
                let _ = wire.tell(text, Some("notifications/cancelled"), Speech::default()).await;
            });
        }
    }
}
