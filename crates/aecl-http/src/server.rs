//! Listening: one accept loop for TCP and the Unix socket, with limits on headers and connections, and an
//! end that lets everybody finish.

use super::crowd::{Crowd, Seat};
use super::{Options, for_proxies, router};
use aecl_gate::Gate;
use aecl_mcp::serving::Peer;
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

/// Longest head of a request, in bytes.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// The same of one that comes by HTTP/2.
const HEAD_LIST_BYTES_MAX: u32 = 64 * 1024;
/// Most requests at once of one connection by HTTP/2.
const STREAMS_MAX: u32 = 256;
/// How long connections and attempts may take to end.
pub const DRAIN: Duration = Duration::from_secs(30);

/// Addresses to listen on.
#[derive(Debug, Default)]
pub struct Listeners {
    /// For everybody.
    pub tcp: Option<TcpListener>,
    /// For the owner of the data directory.
    pub unix: Option<UnixListener>,
    /// For proxies that ask, by gRPC.
    pub proxies: Option<TcpListener>,
}

/// Serves until `shutdown` fires, then lets requests and attempts end. Gives how many attempts did not; those
/// become unknown at the next start.
pub async fn serve(gate: Gate, listeners: Listeners, shutdown: CancellationToken) -> usize {
    serve_with(gate, listeners, Options { closing: shutdown, ..Options::default() }).await
}

/// The same, with what the caller wants to know about it.
pub async fn serve_with(gate: Gate, listeners: Listeners, options: Options) -> usize {
    let limits = gate.config().limits.clone();
    let connections_max = limits.requests_max.saturating_mul(2).max(16);
    let graceful = GracefulShutdown::new();
    let room = |of: fn(usize, usize, Arc<AtomicU64>) -> Crowd| {
        of(connections_max, limits.strangers_max, options.gave_way.clone())
    };
    let floor = |app, crowd, speaks| Floor {
        app,
        crowd,
        speaks,
        patience: Duration::from_millis(limits.receive_ms_max),
        head: Duration::from_millis(limits.head_ms_max),
        closing: options.closing.clone(),
        open: options.connections.clone(),
        graceful: &graceful,
    };
    // Each socket has room of its own: a crowd at the port does not lock the owner out, who is alone at the other.
    let tcp_floor = floor(router(gate.clone(), &options), room(Crowd::of), Speaks::Http1);
    let unix_floor = floor(router(gate.clone(), &options), room(Crowd::of_one), Speaks::Http1);
    let proxies_floor = floor(for_proxies(gate.clone(), &options), room(Crowd::of), Speaks::Http2);
    let unix = async {
        if let Some(listener) = listeners.unix {
            while let Some((stream, _)) = unix_floor.next(|| listener.accept()).await {
                let Some(seat) = unix_floor.seat(None).await else { return };
                unix_floor.host(seat, stream, Peer::Local);
            }
        }
    };
    let closes = async {
        options.closing.cancelled().await;
        // Whoever waits for a worker is answered; a worker that has a call reports it to the next start.
        gate.desk().close();
    };
    let (tcp, proxies) = (tcp_floor.open(listeners.tcp), proxies_floor.open(listeners.proxies));
    tokio::join!(tcp, proxies, unix, closes);
    if tokio::time::timeout(DRAIN, graceful.shutdown()).await.is_err() {
        tracing::warn!("some connections did not end in time and are dropped");
    }
    gate.drain(DRAIN).await
}

/// What every connection of one socket shares.
struct Floor<'a> {
    app: Router,
    crowd: Crowd,
    speaks: Speaks,
    /// Longest time for the head of a request, and for an idle connection.
    patience: Duration,
    /// Longest time for the first head of a connection.
    head: Duration,
    closing: CancellationToken,
    open: Arc<AtomicUsize>,
    graceful: &'a GracefulShutdown,
}

/// What is spoken at a socket.
#[derive(Debug, Clone, Copy)]
enum Speaks {
    Http1,
    /// HTTP/2 from its first byte, as gRPC is.
    Http2,
}

impl Floor<'_> {
    /// Serves a port until we shut down.
    async fn open(&self, listener: Option<TcpListener>) {
        let Some(listener) = listener else { return };
        while let Some((stream, address)) = self.next(|| listener.accept()).await {
            // Without it a small answer can wait 40 ms for the peer's acknowledgement.
            drop(stream.set_nodelay(true));
            let Some(seat) = self.seat(Some(address.ip())).await else { return };
            self.host(seat, stream, Peer::Tcp(address));
        }
    }

    /// The next connection; nothing once we shut down.
    async fn next<T, F: Future<Output = io::Result<T>>>(&self, mut accept: impl FnMut() -> F) -> Option<T> {
        loop {
            let accepted = tokio::select! {
                accepted = accept() => accepted,
                () = self.closing.cancelled() => return None,
            };
            match accepted {
                Ok(accepted) => return Some(accepted),
                // A connection that broke before it was ours, or no file descriptors for a moment.
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    /// A seat for it, once there is one; nothing once we shut down.
    async fn seat(&self, from: Option<IpAddr>) -> Option<Seat> {
        tokio::select! {
            seat = self.crowd.enter(from) => Some(seat),
            () = self.closing.cancelled() => None,
        }
    }

    fn host<S>(&self, seat: Seat, stream: S, peer: Peer)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (app, place, spoken) = (self.app.clone(), seat.clone(), CancellationToken::new());
        let spoke = spoken.clone();
        let service = service_fn(move |mut request: Request<Incoming>| {
            spoke.cancel();
            request.extensions_mut().insert(peer);
            request.extensions_mut().insert(place.clone());
            app.clone().oneshot(request.map(Body::new))
        });
        let (stream, patience) = (TokioIo::new(stream), self.patience);
        let connection: Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>> = match self.speaks {
            Speaks::Http1 => {
                let mut builder = http1::Builder::new();
                builder
                    .timer(TokioTimer::new())
                    .header_read_timeout(patience)
                    .max_header_size(HEAD_BYTES_MAX);
                Box::pin(self.graceful.watch(builder.serve_connection(stream, service)))
            }
            Speaks::Http2 => {
                let mut builder = http2::Builder::new(TokioExecutor::new());
                builder.timer(TokioTimer::new()).keep_alive_interval(patience).keep_alive_timeout(patience);
                builder.max_header_list_size(HEAD_LIST_BYTES_MAX).max_concurrent_streams(STREAMS_MAX);
                Box::pin(self.graceful.watch(builder.serve_connection(stream, service)))
            }
        };
        let (open, head) = (self.open.clone(), self.head);
        open.fetch_add(1, Ordering::SeqCst);
        let silent = async move {
            if tokio::time::timeout(head, spoken.cancelled()).await.is_ok() {
                std::future::pending().await
            }
        };
        tokio::spawn(async move {
            tokio::select! {
                ended = connection => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, ?peer, "a connection broke");
                    }
                }
                () = seat.taken_away() => tracing::debug!(?peer, "a connection gave way to others"),
                () = silent => tracing::debug!(?peer, "nothing was asked in time"),
            }
            open.fetch_sub(1, Ordering::SeqCst);
        });
    }
}
