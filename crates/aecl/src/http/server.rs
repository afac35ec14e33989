//! Listening: one accept loop for TCP and the Unix socket, with limits on headers and connections, and an
//! end that lets everybody finish.

use super::{Options, router};
use aecl_gate::Gate;
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

/// Longest head of a request, in bytes.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// How long connections and attempts may take to end.
pub const DRAIN: Duration = Duration::from_secs(30);

/// Who sits at the other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// Anybody who can reach the port.
    Tcp(SocketAddr),
    /// Whoever may open the socket in the data directory: its owner.
    Local,
}

/// Where to listen.
#[derive(Debug, Default)]
pub struct Listeners {
    /// For everybody.
    pub tcp: Option<TcpListener>,
    /// For the owner of the data directory.
    pub unix: Option<UnixListener>,
}

/// Serves until `shutdown` fires, then lets requests and attempts end. Gives how many attempts did not; those
/// become unknown at the next start.
pub async fn serve(gate: Gate, listeners: Listeners, shutdown: CancellationToken) -> usize {
    serve_with(gate, listeners, Options { closing: shutdown, ..Options::default() }).await
}

/// The same, with what the caller wants to know about it.
pub async fn serve_with(gate: Gate, listeners: Listeners, options: Options) -> usize {
    let connections_max = gate.config().limits.requests_max.saturating_mul(2).max(16);
    let graceful = GracefulShutdown::new();
    let floor = || Floor {
        app: router(gate.clone(), &options),
        // Each socket has seats of its own: a crowd at the port does not lock the owner out.
        seats: Arc::new(Semaphore::new(connections_max)),
        patience: Duration::from_millis(gate.config().limits.receive_ms_max),
        closing: options.closing.clone(),
        open: options.connections.clone(),
        graceful: &graceful,
    };
    let (tcp_floor, unix_floor) = (floor(), floor());
    let tcp = async {
        if let Some(listener) = listeners.tcp {
            while let Some((seat, (stream, address))) = tcp_floor.next(|| listener.accept()).await {
                // Without it a small answer can wait 40 ms for the peer's acknowledgement.
                drop(stream.set_nodelay(true));
                tcp_floor.host(seat, stream, Peer::Tcp(address));
            }
        }
    };
    let unix = async {
        if let Some(listener) = listeners.unix {
            while let Some((seat, (stream, _))) = unix_floor.next(|| listener.accept()).await {
                unix_floor.host(seat, stream, Peer::Local);
            }
        }
    };
    tokio::join!(tcp, unix, options.closing.cancelled());
    if tokio::time::timeout(DRAIN, graceful.shutdown()).await.is_err() {
        tracing::warn!("some connections did not end in time and are dropped");
    }
    gate.drain(DRAIN).await
}

/// What every connection of one socket shares.
struct Floor<'a> {
    app: Router,
    seats: Arc<Semaphore>,
    /// Longest time for the head of a request, and for an idle connection.
    patience: Duration,
    closing: CancellationToken,
    open: Arc<AtomicUsize>,
    graceful: &'a GracefulShutdown,
}

impl Floor<'_> {
    /// The next connection, once there is a seat for it; nothing once we shut down.
    async fn next<T, F: Future<Output = io::Result<T>>>(
        &self,
        mut accept: impl FnMut() -> F,
    ) -> Option<(OwnedSemaphorePermit, T)> {
        loop {
            let next = async {
                let seat = self.seats.clone().acquire_owned().await;
                (seat, accept().await)
            };
            let (seat, accepted) = tokio::select! {
                next = next => next,
                () = self.closing.cancelled() => return None,
            };
            match accepted {
                Ok(accepted) => return Some((seat.ok()?, accepted)),
                // A connection that broke before it was ours, or no file descriptors for a moment.
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    fn host<S>(&self, seat: OwnedSemaphorePermit, stream: S, peer: Peer)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let app = self.app.clone();
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(peer);
            app.clone().oneshot(request.map(Body::new))
        });
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(self.patience).max_header_size(HEAD_BYTES_MAX);
        let connection = self.graceful.watch(builder.serve_connection(TokioIo::new(stream), service));
        let open = self.open.clone();
        open.fetch_add(1, Ordering::SeqCst);
        tokio::spawn(async move {
            let _seat = seat;
            if let Err(error) = connection.await {
                tracing::debug!(%error, ?peer, "a connection broke");
            }
            open.fetch_sub(1, Ordering::SeqCst);
        });
    }
}
