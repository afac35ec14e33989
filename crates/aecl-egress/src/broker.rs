//! The only way out of a cage: an HTTP proxy on a listener that was made inside it.
//!
//! Nothing is reached unless the list of the action names it. A connection is judged by one string, looked up
//! once, every address is judged, and only judged addresses are dialled. `CONNECT` carries TLS whose hello
//! names the same host; what is inside stays between the two ends. Plain HTTP goes through the same steps, one
//! request a connection. Before the first byte leaves, the connection is told to a [`ConnectionSink`]; when it has ended,
//! too.
//!
//! Where a rule has a [`CredentialRule`], TLS ends here: one request a connection, judged by method and path, with
//! the real value in the place of the program's placeholder.
//!
//! What this cannot see elsewhere: the `Host` header inside TLS. A server that answers for several names behind one
//! certificate can be asked for any of them.

mod answer;
mod client_hello;
mod connection;
mod credentials;
mod head;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod laws;
mod relay;
mod rules;
mod tls_intercept;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aecl_sandbox::Listener;
use async_trait::async_trait;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::egress::{Destination, Names};
pub use credentials::{CredentialSubstitution, Credentials};
pub use rules::{Allow, AllowList, CredentialRule, RuleError};

/// Limits of all connections of one broker together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most connections at once; more wait until one ends.
    pub at_once: u32,
    /// Most connections; after them the listener closes.
    pub connections: u64,
    /// Longest head of a request, in bytes.
    pub head_bytes_max: usize,
    /// Time for head and TLS hello to arrive, in milliseconds.
    pub head_ms: u64,
    /// Time for look-up and dialling, in milliseconds.
    pub connect_ms: u64,
    /// Longest silence in both directions, in milliseconds.
    pub idle_ms: u64,
    /// Longest life of one connection, in milliseconds.
    pub connection_ms: u64,
    /// Most bytes that leave, of all connections together.
    pub out_bytes_max: u64,
    /// Most bytes that come in, of all connections together.
    pub in_bytes_max: u64,
}

/// A connection that is about to leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionOpening {
    /// The same number in [`ConnectionEnd`]; counted from 1 for each broker.
    pub number: u64,
    /// `CONNECT`, or the method of plain HTTP.
    pub method: String,
    /// Where to.
    pub to: Destination,
    /// The address that was judged and dialled.
    pub address: SocketAddr,
}

/// A connection that is over, or was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionEnd {
    /// Counted from 1 for each broker.
    pub number: u64,
    /// `CONNECT`, or the method of plain HTTP; absent when the request could not be read.
    pub method: Option<String>,
    /// Where it wanted to go; absent when the request could not be read.
    pub to: Option<Destination>,
    /// The first line of a request that could not be read, shortened. Somebody else's text.
    pub asked: Option<String>,
    /// The address that was dialled, if one was.
    pub address: Option<SocketAddr>,
    /// How it came out.
    pub verdict: ConnectionOutcome,
    /// Bytes that left.
    pub out_bytes: u64,
    /// Bytes that came in.
    pub in_bytes: u64,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

/// Outcome of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectionOutcome {
    /// It was let through and ended by itself.
    Allowed,
    /// Nothing left.
    Refused {
        /// The code: `egress_malformed`, `egress_denied`, `egress_mismatch`, `egress_credential`,
        /// `egress_unreachable`, `egress_limit`, `egress_unrecorded`.
        code: &'static str,
        /// Why, without anything that was sent.
        why: String,
    },
    /// It was let through and ended by us.
    Cut {
        /// The code: `egress_limit`, `egress_malformed` or `egress_stopped`.
        code: &'static str,
        /// Why.
        why: String,
    },
}

/// Recorder of connections.
#[async_trait]
pub trait ConnectionSink: Send + Sync {
    /// Before the first byte leaves. An error refuses the connection: what cannot be recorded does not happen.
    async fn opening(&self, connection: &ConnectionOpening) -> Result<(), String>;
    /// After it ended or was refused.
    async fn ended(&self, connection: &ConnectionEnd);
}

/// Serves the connections of one action.
#[derive(Clone)]
pub struct Broker(Arc<Inner>);

struct Inner {
    list: AllowList,
    limits: Limits,
    names: Arc<dyn Names>,
    sink: Arc<dyn ConnectionSink>,
    credentials: Option<Credentials>,
    out_bytes: AtomicU64,
    in_bytes: AtomicU64,
}

impl Broker {
    /// A broker that lets through what the list names.
    #[must_use]
    pub fn new(
        list: AllowList,
        limits: Limits,
        names: Arc<dyn Names>,
        sink: Arc<dyn ConnectionSink>,
    ) -> Self {
        Self::with_credentials(list, limits, names, sink, None)
    }

    /// The same; these take the place of the program's placeholders on the way.
    #[must_use]
    pub fn with_credentials(
        list: AllowList,
        limits: Limits,
        names: Arc<dyn Names>,
        sink: Arc<dyn ConnectionSink>,
        credentials: Option<Credentials>,
    ) -> Self {
        let (out_bytes, in_bytes) = (AtomicU64::new(0), AtomicU64::new(0));
        Self(Arc::new(Inner { list, limits, names, sink, credentials, out_bytes, in_bytes }))
    }

    /// Serves a listener until it is stopped or has served its last connection; then the listener is closed,
    /// and every connection has ended and been told to the sink.
    ///
    /// # Errors
    /// When the listener cannot be listened on.
    pub async fn serve(&self, mut listener: Listener, stop: CancellationToken) -> std::io::Result<()> {
        let limits = &self.0.limits;
        let seats = Arc::new(Semaphore::new(limits.at_once.max(1) as usize));
        let mut connections = JoinSet::new();
        for number in 1..=limits.connections {
            // A seat first: whoever opens connections by the thousand waits in the kernel's queue, which is short.
            let accepted = async {
                let seat = Arc::clone(&seats).acquire_owned().await;
                (listener.accept().await, seat)
            };
            let (accepted, seat) = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                accepted = accepted => accepted,
            };
            let Ok(stream) = accepted else {
                // Out of descriptors, or the other end has gone already.
                tokio::time::sleep(Duration::from_millis(10)).await;
                continue;
            };
            let (broker, stop) = (Arc::clone(&self.0), stop.clone());
            connections.spawn(async move {
                let _seat = seat;
                connection::serve(&broker, number, stream, &stop).await;
            });
            while connections.try_join_next().is_some() {}
        }
        drop(listener);
        while connections.join_next().await.is_some() {}
        Ok(())
    }
}

/// What one connection has used so far.
struct Meter<'a> {
    broker: &'a Inner,
    started: Instant,
    out_bytes: AtomicU64,
    in_bytes: AtomicU64,
}

impl Meter<'_> {
    /// Counts bytes that are about to leave; false when they may not.
    fn may_leave(&self, count: usize) -> bool {
        let count = count as u64;
        let before = self.broker.out_bytes.fetch_add(count, Ordering::Relaxed);
        let fits = before.saturating_add(count) <= self.broker.limits.out_bytes_max;
        if fits {
            self.out_bytes.fetch_add(count, Ordering::Relaxed);
        }
        fits
    }

    /// Counts bytes that came in; false when they are too many.
    fn may_enter(&self, count: usize) -> bool {
        let count = count as u64;
        let before = self.broker.in_bytes.fetch_add(count, Ordering::Relaxed);
        let fits = before.saturating_add(count) <= self.broker.limits.in_bytes_max;
        if fits {
            self.in_bytes.fetch_add(count, Ordering::Relaxed);
        }
        fits
    }
}
