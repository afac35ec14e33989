//! A program in its cage, from its start to its end.

use std::ffi::OsStr;
use std::net::TcpListener;
use std::ops::ControlFlow;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::sync::oneshot;

use super::launched::Launched;
use crate::cage::{Cage, Limits, Network};
use crate::ended::{AppliedSandbox, Ended};
use crate::leftovers::SentOf;
use crate::listener::Listener;
use crate::output::{Output, Stream};
use crate::protocol::wire::{MountKind, Order};
use crate::scratch::Scratch;

/// How much is read at once.
const CHUNK: usize = 16 << 10;

/// A program in its cage. Dropping it ends the program and everything it started.
pub struct Running {
    /// To the program. Take it to write; [`Running::wait`] closes it.
    pub stdin: Option<pipe::Sender>,
    /// The socket that listens on the cage's own loopback, if [`Network::Listener`] was asked for. Who
    /// accepts on it serves this program and no other.
    pub listener: Option<Listener>,
    held: AppliedSandbox,
    launched: Launched,
    scratch: Vec<Scratch>,
    limits: Limits,
    /// The writable places of a machine, and what it sends of each at its end.
    sent: Option<(Vec<PathBuf>, oneshot::Receiver<SentOf>)>,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").field("held", &self.held).finish_non_exhaustive()
    }
}

impl Running {
    pub(crate) fn new(
        mut launched: Launched,
        mut fds: Vec<OwnedFd>,
        cage: &Cage,
        order: &Order,
        held: AppliedSandbox,
    ) -> Self {
        let listener = match cage.network {
            Network::None => None,
            Network::Listener { .. } => fds.pop().map(|fd| TcpListener::from(fd).into()),
        };
        let scratch = places(order).into_iter().zip(fds).map(|(at, fd)| Scratch::new(at, fd)).collect();
        let (stdin, limits) = (launched.stdin.take(), cage.limits);
        Self { stdin, listener, held, launched, scratch, limits, sent: None }
    }

    /// A program in a machine, for which somebody stands in for the launcher.
    pub(crate) fn of_machine(
        mut launched: Launched,
        cage: &Cage,
        order: &Order,
        held: AppliedSandbox,
        listener: Option<Listener>,
        sent: oneshot::Receiver<SentOf>,
    ) -> Self {
        let (stdin, limits, sent) = (launched.stdin.take(), cage.limits, Some((places(order), sent)));
        Self { stdin, listener, held, launched, scratch: Vec::new(), limits, sent }
    }

    /// The cage that it really got.
    #[must_use]
    pub fn held(&self) -> &AppliedSandbox {
        &self.held
    }

    /// The number of the launcher's process, which looks after the cage from outside. It lives as long as the
    /// cage does.
    #[must_use]
    pub fn launcher_id(&self) -> Option<u32> {
        self.launched.id()
    }

    /// Ends the program and everything it started, at once. [`Running::wait`] then tells how it went.
    pub fn kill(&self) {
        self.launched.kill();
    }

    /// Waits until nothing of the program is left, and tells how it ended. What nobody took of its input is
    /// closed, so that a program which reads does not wait for more.
    pub async fn wait(self) -> Ended {
        self.watch(|_, _| ControlFlow::Continue(())).await
    }

    /// The same, and hands out what the program writes while it runs, until it has written more than it may. Whoever
    /// breaks off ends the program, and is handed nothing more.
    pub async fn watch(mut self, mut seen: impl FnMut(Stream, &[u8]) -> ControlFlow<()>) -> Ended {
        drop(self.stdin.take());
        let (mut out, mut err) = (self.launched.stdout.take(), self.launched.stderr.take());
        let (mut stdout, mut stderr) = (Output::default(), Output::default());
        let (mut out_buffer, mut err_buffer) = (vec![0; CHUNK], vec![0; CHUNK]);
        let (mut goes_on, mut is_read) = (true, true);
        while goes_on || out.is_some() || err.is_some() {
            tokio::select! {
                read = next(&mut out, &mut out_buffer), if out.is_some() => {
                    let chunk = chunk(&out_buffer, read);
                    if !self.keep(&mut stdout, chunk, &mut is_read, |c| seen(Stream::Stdout, c)) { out = None; }
                }
                read = next(&mut err, &mut err_buffer), if err.is_some() => {
                    let chunk = chunk(&err_buffer, read);
                    if !self.keep(&mut stderr, chunk, &mut is_read, |c| seen(Stream::Stderr, c)) { err = None; }
                }
                more = self.launched.hear(), if goes_on => goes_on = more,
            }
            if self.launched.is_given_up() {
                break;
            }
        }
        let outcome = self.launched.over().await;
        let mut scratch = self.scratch;
        if let Some((places, sent)) = self.sent {
            // A machine that was lost has sent nothing.
            let sent = sent.await.unwrap_or_default().into_iter().chain(std::iter::repeat_with(Vec::new));
            scratch.extend(places.into_iter().zip(sent).map(|(at, files)| Scratch::sent(at, files)));
        }
        Ended { outcome, stdout, stderr, scratch, held: self.held }
    }

    /// Whether the stream is still open.
    fn keep(
        &mut self,
        output: &mut Output,
        chunk: &[u8],
        is_read: &mut bool,
        seen: impl FnOnce(&[u8]) -> ControlFlow<()>,
    ) -> bool {
        if chunk.is_empty() {
            return false;
        }
        output.take(chunk, self.limits.output_kept_max_bytes);
        if *is_read && !self.launched.wrote_too_much() && seen(chunk).is_break() {
            *is_read = false;
            self.launched.kill();
        }
        if output.written_bytes > self.limits.output_max_bytes {
            self.launched.end_for_output();
        }
        true
    }
}

/// Where a program can write what is collected, in the order in which the places are handed out.
pub(crate) fn places(order: &Order) -> Vec<PathBuf> {
    let overlays = order.mounts.iter().filter(|mount| mount.kind == MountKind::Overlay);
    let all = [b"/scratch".as_slice()].into_iter().chain(overlays.map(|mount| mount.at.as_slice()));
    all.map(|at| PathBuf::from(OsStr::from_bytes(at))).collect()
}

/// The next bytes of a stream that is open.
async fn next(stream: &mut Option<pipe::Receiver>, buffer: &mut [u8]) -> std::io::Result<usize> {
    match stream {
        Some(stream) => stream.read(buffer).await,
        None => Ok(0),
    }
}

/// What was read; nothing at the end, and nothing when it cannot be read.
fn chunk(buffer: &[u8], read: std::io::Result<usize>) -> &[u8] {
    read.ok().and_then(|count| buffer.get(..count)).unwrap_or_default()
}
