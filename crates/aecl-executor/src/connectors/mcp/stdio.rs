//! A server in a child process.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use aecl_sandbox::{Contained, Program, Supervised};
use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWriteExt, BufReader};
use tokio::process::{ChildStdin, ChildStdout};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::envelope::{RawReply, cancelled, one_line, request};
use super::error::{Fault, UpstreamFailure};
use super::line::{LineRead, next_line, rest_of_line};
use super::link::{Ask, Link, Speech};
use super::pending_calls::{PendingCalls, requested_progress_token};
use aecl_egress::vault::{KnownSecrets, Use};

const QUEUED: u8 = 0;
const WRITING: u8 = 1;
const WITHDRAWN: u8 = 2;

/// How many messages may wait while the server does not read.
const QUEUE: usize = 256;
/// How long a server may take to end by itself once its input is closed.
const GRACE: Duration = Duration::from_secs(2);

struct Outgoing {
    line: String,
    /// Lets a request that gave up in the queue be certain that it never left.
    state: Arc<AtomicU8>,
}

pub(crate) struct StdioLink {
    pending: Arc<PendingCalls>,
    writer: Mutex<Option<mpsc::Sender<Outgoing>>>,
    outgoing: mpsc::WeakSender<Outgoing>,
    reader: Mutex<Option<JoinHandle<()>>>,
    stop: CancellationToken,
    _stop_on_drop: DropGuard,
}

/// The program to start, as the operator wrote it.
pub(crate) struct Start<'a> {
    pub server: &'a str,
    pub command: &'a str,
    pub args: &'a [String],
    pub env: &'a BTreeMap<String, String>,
    pub cwd: Option<&'a PathBuf>,
    pub message_max_bytes: usize,
    pub secrets: Use,
}

impl StdioLink {
    pub(crate) async fn start(mut start: Start<'_>, pending: Arc<PendingCalls>) -> Result<Self, Fault> {
        let not_connected = |reason: String| Fault::before(UpstreamFailure::NotConnected(reason));
        let mut env = BTreeMap::new();
        for (name, value) in start.env {
            let filled = start.secrets.fill(value).await;
            let value = filled.map_err(|error| not_connected(error.to_string()))?;
            env.insert(name.clone(), value.expose().to_owned());
        }
        let argv = std::iter::once(start.command.to_owned()).chain(start.args.iter().cloned()).collect();
        let program = Program { argv, env, cwd: start.cwd.cloned() };
        let supervised = Supervised { core_max_bytes: 0, open_files_max: None };
        let mut contained = aecl_sandbox::spawn(program, supervised)
            .await
            .map_err(|error| not_connected(error.to_string()))?;
        let pipes = (contained.stdin.take(), contained.stdout.take(), contained.stderr.take());
        let (Some(stdin), Some(stdout), Some(stderr)) = pipes else {
            return Err(not_connected("it started without its pipes".into()));
        };
        let (writer, queue) = mpsc::channel(QUEUE);
        let stop = CancellationToken::new();
        tokio::spawn(write_all(queue, stdin, Arc::clone(&pending)));
        tokio::spawn(log_lines(start.server.to_owned(), pending.secrets().clone(), stderr));
        let outgoing = writer.downgrade();
        let reading = read_all(Reading {
            stdout,
            contained,
            pending: Arc::clone(&pending),
            outgoing: outgoing.clone(),
            max_bytes: start.message_max_bytes,
            stop: stop.clone(),
            secrets: start.secrets,
        });
        let reader = Mutex::new(Some(tokio::spawn(reading)));
        let _stop_on_drop = stop.clone().drop_guard();
        Ok(Self { pending, writer: Mutex::new(Some(writer)), outgoing, reader, stop, _stop_on_drop })
    }

    fn queue(&self) -> Result<mpsc::Sender<Outgoing>, Fault> {
        let closed = || self.pending.closed().unwrap_or_else(|| "its input is closed".into());
        self.outgoing.upgrade().ok_or_else(|| Fault::before(UpstreamFailure::NotConnected(closed())))
    }
}

#[async_trait]
impl Link for StdioLink {
    async fn exchange(&self, ask: &Ask<'_>) -> Result<RawReply, Fault> {
        let queue = self.queue()?;
        let (id, mut answer) = self.pending.enter(requested_progress_token(ask.params))?;
        ask.entered(id);
        let line = one_line(request(id, ask.method, ask.params));
        let state = Arc::new(AtomicU8::new(QUEUED));
        // Also when this future is dropped: the server learns that nobody waits.
        let leaving = Leaving { pending: &self.pending, queue: &queue, id, state: Arc::clone(&state) };
        let given_up = async {
            tokio::select! {
                () = ask.cancel.cancelled() => UpstreamFailure::Cancelled,
                () = tokio::time::sleep_until(ask.deadline) => ask.timed_out(),
            }
        };
        tokio::pin!(given_up);
        tokio::select! {
            biased;
            why = &mut given_up => return Err(Fault::before(why)),
            sent = queue.send(Outgoing { line, state }) => if sent.is_err() {
                return Err(Fault::before(UpstreamFailure::NotConnected("its input is closed".into())));
            },
        }
        tokio::select! {
            biased;
            answer = &mut answer => match answer {
                Ok(Ok(reply)) => Ok(reply),
                Ok(Err(why)) => Err(leaving.fault(why)),
                Err(_) => Err(leaving.fault(UpstreamFailure::Lost("the connection was dropped".into()))),
            },
            why = given_up => Err(leaving.fault(why)),
        }
    }

    async fn send(&self, text: String, _method: Option<&str>, _speech: Speech<'_>) -> Result<(), Fault> {
        let outgoing = Outgoing { line: one_line(text), state: Arc::new(AtomicU8::new(QUEUED)) };
        let closed = |_| Fault::before(UpstreamFailure::NotConnected("its input is closed".into()));
        self.queue()?.send(outgoing).await.map_err(closed)
    }

    fn settled(&self, _speech: Speech<'_>) {}

    fn closed(&self) -> Option<String> {
        self.pending.closed()
    }

    fn generation(&self) -> u64 {
        self.pending.generation()
    }

    async fn close(&self) {
        // Closing its input is how a server is told to end; what does not end is killed.
        drop(self.writer.lock().await.take());
        if let Some(reader) = self.reader.lock().await.take() {
            let abort = reader.abort_handle();
            if tokio::time::timeout(GRACE, reader).await.is_err() {
                self.stop.cancel();
                abort.abort();
            }
        }
        self.pending.close("it was closed by us");
    }
}

/// A request that still waits. Dropped early, it withdraws from the queue or tells the server.
struct Leaving<'a> {
    pending: &'a PendingCalls,
    queue: &'a mpsc::Sender<Outgoing>,
    id: u64,
    state: Arc<AtomicU8>,
}

impl Leaving<'_> {
    fn withdraw(&self) -> bool {
        let taken = self.state.compare_exchange(QUEUED, WITHDRAWN, Ordering::AcqRel, Ordering::Acquire);
        taken.is_ok() || taken == Err(WITHDRAWN)
    }

    fn fault(&self, why: UpstreamFailure) -> Fault {
        if self.withdraw() { Fault::before(why) } else { Fault::after(why) }
    }
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        let outstanding = self.pending.leave(self.id);
        if outstanding && !self.withdraw() {
            let line = cancelled(self.id, "nobody waits for the answer any more");
            // A full queue means that the server does not read; then it cannot be told either.
            let _ = self.queue.try_send(Outgoing { line, state: Arc::new(AtomicU8::new(QUEUED)) });
        }
    }
}

/// Writes whole lines and nothing else, so that a request which gave up never leaves half a line behind.
async fn write_all(mut queue: mpsc::Receiver<Outgoing>, mut stdin: ChildStdin, pending: Arc<PendingCalls>) {
    let mut lines = Vec::new();
    let mut buffer = Vec::new();
    while queue.recv_many(&mut lines, 64).await > 0 {
        buffer.clear();
        for one in lines.drain(..) {
            if one.state.compare_exchange(QUEUED, WRITING, Ordering::AcqRel, Ordering::Acquire).is_ok() {
                buffer.extend_from_slice(one.line.as_bytes());
                buffer.push(b'\n');
            }
        }
        if let Err(error) = stdin.write_all(&buffer).await {
            pending.close(&format!("its input broke: {error}"));
            return;
        }
    }
}

struct Reading {
    stdout: ChildStdout,
    contained: Contained,
    pending: Arc<PendingCalls>,
    outgoing: mpsc::WeakSender<Outgoing>,
    max_bytes: usize,
    stop: CancellationToken,
    /// What it was started with: made for it, and given back when it ends.
    secrets: Use,
}

/// Reads until the server ends, misbehaves or is stopped; then kills what is left of it.
async fn read_all(mut reading: Reading) {
    let mut from = BufReader::with_capacity(64 * 1024, reading.stdout);
    let mut line = Vec::new();
    let lost = reading.secrets.lost();
    tokio::pin!(lost);
    let reason = loop {
        let read = tokio::select! {
            read = next_line(&mut from, &mut line, reading.max_bytes) => read,
            () = reading.stop.cancelled() => break "it was stopped by us".to_owned(),
            () = &mut lost => break "a credential that it was started with has ended".to_owned(),
        };
        match read {
            Ok(LineRead::Read) if line.is_empty() => {}
            Ok(LineRead::Read) => match std::str::from_utf8(&line) {
                Ok(text) => {
                    if let Some(reply) = reading.pending.receive(text, None)
                        && let Some(queue) = reading.outgoing.upgrade()
                    {
                        let _ =
                            queue.try_send(Outgoing { line: reply, state: Arc::new(AtomicU8::new(QUEUED)) });
                    }
                }
                Err(_) => reading.pending.garbage(line.len()),
            },
            Ok(LineRead::TooLong) => break format!("a line is longer than {} bytes", reading.max_bytes),
            Ok(LineRead::End) => break "the program ended".to_owned(),
            Err(error) => break format!("its output broke: {error}"),
        }
    };
    reading.pending.close(&reason);
    reading.contained.kill();
    match reading.contained.wait().await {
        Ok(status) => tracing::info!(reason, %status, "an upstream program ended"),
        Err(error) => tracing::warn!(reason, %error, "an upstream program ended"),
    }
}

async fn log_lines(server: String, secrets: KnownSecrets, stderr: impl AsyncRead + Unpin) {
    let mut from = BufReader::new(stderr);
    let mut line = Vec::new();
    loop {
        match next_line(&mut from, &mut line, 8 * 1024).await {
            Ok(LineRead::Read) => {
                tracing::info!(target: "aecl::upstream", server, "{}", secrets.scrub(&String::from_utf8_lossy(&line)));
            }
            Ok(LineRead::TooLong) => {
                // The rest is passed over: a credential may be cut here, and nobody knows the other half of one.
                let Ok(left) = rest_of_line(&mut from).await else { return };
                let begin = String::from_utf8_lossy(&line);
                tracing::info!(target: "aecl::upstream", server, "{}… ({left} more bytes)", secrets.scrub_cut(&begin));
            }
            Ok(LineRead::End) | Err(_) => return,
        }
    }
}
