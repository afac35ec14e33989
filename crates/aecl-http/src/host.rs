//! Hosting one home: the gate, its housekeeping, the sockets in its data directory, and the watch over its
//! files. `aecl serve` and a command that finds nobody serving both do it here.

use super::server::{self, Listeners};
use super::{Options, watch};
use aecl_gate::config::Home;
use aecl_gate::{Gate, GateError};
use aecl_kernel::record::approval::{ApprovalRequest, ApprovalState};
use aecl_mcp::stdio;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::{TcpListener, UnixListener};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How often we look whether it still goes well.
const TICK: Duration = Duration::from_secs(1);

/// Most open requests that are looked through for one that waits.
const OPEN_MAX: usize = 100;

/// How long the end waits for credentials to be given back to their vault.
const GIVE_BACK: Duration = Duration::from_secs(5);

/// A home that is served by this process.
#[derive(Debug)]
pub struct Host {
    gate: Gate,
    options: Options,
    serving: JoinHandle<usize>,
    /// The clients that are piped to `mcp.sock`.
    piped: JoinHandle<()>,
    upkeep: Vec<JoinHandle<()>>,
    sockets: Vec<PathBuf>,
}

/// The socket for commands, in the data directory.
pub fn socket(home: &Home) -> PathBuf {
    home.data().join("aecl.sock")
}

/// The socket that MCP clients are piped to.
pub fn mcp_socket(home: &Home) -> PathBuf {
    home.data().join("mcp.sock")
}

/// Errors of a home that cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The gate does not open.
    #[error(transparent)]
    Gate(#[from] GateError),
    /// A socket cannot be listened on.
    #[error("cannot listen on `{}`: {source}", path.display())]
    Socket {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Host {
    /// Opens the gate and serves it on the sockets in its data directory, and on TCP if there is a listener.
    pub async fn start(home: Home, tcp: Option<TcpListener>) -> Result<Self, HostError> {
        let gate = Gate::open(home.clone()).await?;
        Self::of(gate, &home, tcp, None)
    }

    /// The same, of a gate that is open: who is told where it listens before somebody can ask.
    pub fn of(
        gate: Gate,
        home: &Home,
        tcp: Option<TcpListener>,
        proxies: Option<TcpListener>,
    ) -> Result<Self, HostError> {
        // Whoever has opened the ledger owns the directory: a socket file that lies there is a left-over.
        let (commands, mcp) = (socket(home), mcp_socket(home));
        let options = Options::default();
        let listeners = Listeners { tcp, unix: Some(bind(&commands)?), proxies };
        let pipes = bind(&mcp)?;
        let (closing, connections) = (options.closing.clone(), options.connections.clone());
        let piped = tokio::spawn(stdio::listen(gate.clone(), pipes, closing, connections));
        let sockets = vec![commands, mcp];
        let serving = tokio::spawn(server::serve_with(gate.clone(), listeners, options.clone()));
        let house = gate.clone();
        let upkeep = vec![
            tokio::spawn(async move { house.keep_house().await }),
            tokio::spawn(watch::files(gate.clone())),
        ];
        Ok(Self { gate, options, serving, piped, upkeep, sockets })
    }

    /// The gate.
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Ends it from elsewhere: cancel it, then call [`Host::stop`].
    pub fn closing(&self) -> &CancellationToken {
        &self.options.closing
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        self.options.connections.load(std::sync::atomic::Ordering::SeqCst)
    }

    /// Completes when nothing can be recorded any more, with the reason. Nothing may be done then.
    pub async fn failed(&self) -> String {
        let mut ticks = tokio::time::interval(TICK);
        loop {
            ticks.tick().await;
            if let Some(why) = self.gate.ledger().stopped() {
                return why.to_owned();
            }
            if let Err(error) = self.gate.ledger().still_there().await {
                return error.to_string();
            }
            if self.serving.is_finished() {
                return "the server has ended by itself".to_owned();
            }
        }
    }

    /// Completes when nobody has been here for so long and nothing is open; never without a limit.
    pub async fn idle(&self, limit_s: Option<u64>) {
        let Some(limit_s) = limit_s else { return std::future::pending().await };
        let mut ticks = tokio::time::interval(TICK);
        let mut since = tokio::time::Instant::now();
        loop {
            ticks.tick().await;
            // A plan that was agreed to waits for nobody.
            let waits = |ask: &ApprovalRequest| ask.plan.is_none() || ask.state == ApprovalState::Pending;
            let open = self.gate.approvals(OPEN_MAX).await.map_or(true, |asks| asks.iter().any(waits));
            if self.connections() > 0 || self.gate.underway() > 0 || open {
                since = tokio::time::Instant::now();
            }
            if since.elapsed() >= Duration::from_secs(limit_s) {
                return;
            }
        }
    }

    /// Stops accepting, lets requests and attempts end, and shuts the ledger. Gives how many attempts are
    /// still underway; those become unknown at the next start.
    pub async fn stop(self) -> usize {
        let Self { gate, options, serving, piped, upkeep, sockets } = self;
        options.closing.cancel();
        let left = serving.await.unwrap_or_else(|_| gate.underway());
        drop(piped.await);
        for task in upkeep {
            task.abort();
            drop(task.await);
        }
        for socket in sockets {
            drop(std::fs::remove_file(socket));
        }
        if !gate.settle(GIVE_BACK).await {
            tracing::warn!(
                "not every credential that a vault made was given back; the rest end by themselves"
            );
        }
        if left == 0 && !gate.close() {
            tracing::debug!("somebody still holds the gate; the ledger is shut when they let go");
        }
        left
    }
}

/// Listens on a socket file that only its owner may open. The directory is its owner's already, so nobody
/// gets in between the two steps.
fn bind(path: &Path) -> Result<UnixListener, HostError> {
    let listen = || {
        if path.exists() {
            std::fs::remove_file(path)?;
        }
        let listener = UnixListener::bind(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        Ok(listener)
    };
    listen().map_err(|source| HostError::Socket { path: path.to_owned(), source })
}
