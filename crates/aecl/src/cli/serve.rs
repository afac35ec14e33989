//! `aecl serve`.

pub(super) mod port;

use super::{Common, Error, Exit, Result, runtime, show};
use crate::http::Host;
use crate::http::host::{HostError, socket};
use aecl_gate::Gate;
use aecl_gate::config::Home;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::signal::unix::{SignalKind, signal};

/// How long a server in the background may take until it answers.
const START: Duration = Duration::from_secs(30);

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where to listen, instead of what aecl.yaml says.
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// Go to the background once it answers; the log is data/serve.log.
    #[arg(long)]
    background: bool,
    /// Stop after so many seconds without connections, open requests for approval and work underway.
    #[arg(long, value_name = "SECONDS")]
    idle_exit: Option<u64>,
    /// How the log is written.
    #[arg(long, value_enum, default_value = "text")]
    log: Log,
    /// This is the process in the background.
    #[arg(long, hide = true, conflicts_with = "background")]
    detached: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Log {
    Text,
    Json,
}

/// Runs it.
pub fn run(common: &Common, args: Args) -> Result {
    if args.background {
        return runtime()?.block_on(background(common, &args));
    }
    if args.detached {
        // Away from the terminal: its hang-up and its interrupts are for others.
        rustix::process::setsid().map_err(|e| Error::new(format!("cannot leave the terminal: {e}")))?;
    }
    log_to_stderr(args.log);
    runtime()?.block_on(serve(common, &args))
}

fn log_to_stderr(log: Log) {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false);
    // There is one already where a test has set it; that one is as good.
    drop(match log {
        Log::Text => builder.with_writer(show::LogWriter::Text).try_init(),
        Log::Json => builder.json().with_writer(show::LogWriter::Json).try_init(),
    });
}

async fn serve(common: &Common, args: &Args) -> Result {
    let home = Home::new(&common.dir);
    let config = home.read().map_err(Error::from).map_err(|e| e.hint("`aecl init` writes a first one"))?;
    let bound = port::bind(&home, &config, args.listen.as_deref()).await?;
    let (address, at, note) = (bound.address(), bound.at.clone(), bound.note());
    let signals = |kind| signal(kind).map_err(|e| Error::new(format!("signals cannot be caught: {e}")));
    let (mut term, mut int) = (signals(SignalKind::terminate())?, signals(SignalKind::interrupt())?);
    let proxies = port::for_proxies(&config).await?;
    let for_proxies = proxies.as_ref().and_then(|listener| listener.local_addr().ok());
    let gate = Gate::open(home.clone()).await.map_err(HostError::from)?;
    // The home is ours, and nobody has found its socket yet: what they ask next is where it is.
    gate.listening(&at);
    if let Some(note) = note {
        note.keep(&home);
    }
    let host = Host::of(gate, &home, Some(bound.listener), proxies)?;
    say(common, &home, address, for_proxies, &host.gate().config().url());
    let failed = tokio::select! {
        _ = term.recv() => None,
        _ = int.recv() => None,
        why = host.failed() => Some(why),
        () = host.idle(args.idle_exit) => {
            tracing::info!("nobody was here for a while; stopping");
            None
        }
    };
    tracing::info!("stopping; requests and attempts underway may end");
    let left = tokio::select! {
        left = host.stop() => left,
        // Asked twice: what is underway becomes unknown at the next start.
        _ = term.recv() => 1,
        _ = int.recv() => 1,
    };
    match failed {
        Some(why) => Err(Error::new(format!("stopped, because the ledger cannot record: {why}"))
            .hint("look at the disk, then start again; `aecl log verify` checks what is there")),
        None => {
            if left > 0 {
                tracing::warn!(left, "attempts did not end in time; they become unknown at the next start");
            }
            Ok(Exit::Done)
        }
    }
}

fn say(common: &Common, home: &Home, bound: Option<SocketAddr>, for_proxies: Option<SocketAddr>, url: &str) {
    tracing::info!(listen = ?bound, proxies = ?for_proxies, dir = %home.dir().display(), "serving");
    if common.json {
        let listen = bound.map(|a| a.to_string());
        println!(
            "{}",
            serde_json::json!({
                "listen": listen,
                "proxy_listen": for_proxies,
                "socket": socket(home),
                "approvals": format!("{url}/approvals"),
            })
        );
        return;
    }
    match bound {
        Some(address) => eprintln!("Serving http://{address} and {}", socket(home).display()),
        None => eprintln!("Serving {}", socket(home).display()),
    }
    if let Some(address) = for_proxies {
        eprintln!("Proxies ask at {address}, by gRPC");
    }
    let aecl = show::aecl(common);
    eprintln!("Approve at {url}/approvals, or with `{aecl} approvals list`. Ctrl-C stops it.");
}

fn already(home: &Home) -> Exit {
    eprintln!("Already serving {}", socket(home).display());
    Exit::Done
}

/// Starts the server as a process of its own, and waits until it answers.
async fn background(common: &Common, args: &Args) -> Result {
    let home = Home::new(&common.dir);
    let config = home.read().map_err(Error::from).map_err(|e| e.hint("`aecl init` writes a first one"))?;
    if UnixStream::connect(socket(&home)).await.is_ok() {
        return Ok(already(&home));
    }
    aecl_gate::keys::private_dir(&home.data())?;
    let log = home.data().join("serve.log");
    let open = || std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(&log);
    let failed = |what: &str, e: io::Error| Error::new(format!("cannot {what}: {e}"));
    let out = open().map_err(|e| failed("open data/serve.log", e))?;
    let err = out.try_clone().map_err(|e| failed("open data/serve.log", e))?;
    let from = out.metadata().map_or(0, |m| m.len());
    let program = std::env::current_exe().map_err(|e| failed("find this program", e))?;
    let mut command = Command::new(program);
    command.arg("--dir").arg(home.dir()).args(["serve", "--detached"]);
    if let Some(listen) = &args.listen {
        command.args(["--listen", listen]);
    }
    if let Some(idle_exit) = args.idle_exit {
        command.args(["--idle-exit", &idle_exit.to_string()]);
    }
    command.args(["--log", if args.log == Log::Json { "json" } else { "text" }]);
    // A server needs nobody's key.
    command.env_remove("AECL_KEY").stdin(Stdio::null()).stdout(out).stderr(err);
    let mut child = command.spawn().map_err(|e| failed("start the server", e))?;
    let (place, own) = (home.place(&config.store), child.id());
    // One process owns a home, and it serves whoever asks.
    let is_others = || place.writer().is_some_and(|pid| pid != own);
    let deadline = tokio::time::Instant::now() + START;
    loop {
        if UnixStream::connect(socket(&home)).await.is_ok() {
            if is_others() {
                return Ok(already(&home));
            }
            let address = args.listen.clone().unwrap_or_else(|| port::expected(&home, &config));
            if args.listen.is_none() && address != config.listen {
                eprintln!("{} is taken by somebody else; keys belong to {address} only.", config.listen);
            }
            eprintln!(
                "Serving http://{address} and {} (process {}); the log is {}",
                socket(&home).display(),
                child.id(),
                log.display()
            );
            return Ok(Exit::Done);
        }
        let ended = child.try_wait().map_err(|e| failed("watch the server", e))?;
        // Somebody else was faster and does not listen yet.
        if (ended.is_some() && !is_others()) || tokio::time::Instant::now() >= deadline {
            let said = std::fs::read(&log).unwrap_or_default();
            let said = said.get(usize::try_from(from).unwrap_or(0)..).unwrap_or_default();
            let said = String::from_utf8_lossy(said).trim().to_owned();
            return Err(Error::new(format!("the server did not start:\n{said}"))
                .hint("`aecl serve` in the foreground shows the same"));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
