//! One live connection, whatever carries it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::value::RawValue;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::envelope::RawReply;
use super::error::{Fault, UpstreamFailure};

/// One request on its way.
pub(crate) struct Ask<'a> {
    pub method: &'a str,
    pub params: Option<&'a RawValue>,
    pub speech: Speech<'a>,
    /// Headers that repeat arguments, where a tool of the 2026-07-28 era asks for them.
    pub headers: Vec<(String, String)>,
    pub timeout: Duration,
    pub deadline: Instant,
    pub cancel: &'a CancellationToken,
    /// Where the number of the request is put, for who wants to know what belongs to it.
    pub number: Option<&'a AtomicU64>,
}

/// Which protocol version the transport announces.
#[derive(Clone, Copy, Default)]
pub(crate) struct Speech<'a> {
    pub version: Option<&'a str>,
    pub stateless: bool,
}

impl Ask<'_> {
    pub(crate) fn entered(&self, number: u64) {
        if let Some(place) = self.number {
            place.store(number, Ordering::Release);
        }
    }

    pub(crate) fn timed_out(&self) -> UpstreamFailure {
        UpstreamFailure::TimedOut { after_ms: u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX) }
    }
}

#[async_trait]
pub(crate) trait Link: Send + Sync {
    /// Sends a request and waits for its answer.
    async fn exchange(&self, ask: &Ask<'_>) -> Result<RawReply, Fault>;
    /// Sends what has no answer: a notification, or an answer of ours.
    async fn send(&self, text: String, method: Option<&str>, speech: Speech<'_>) -> Result<(), Fault>;
    /// The handshake is over: from now on this version is spoken.
    fn settled(&self, speech: Speech<'_>);
    /// Why it is of no use any more, once it is not.
    fn closed(&self) -> Option<String>;
    /// Which connection to this server it is.
    fn generation(&self) -> u64;
    /// Ends it in good order.
    async fn close(&self);
}
