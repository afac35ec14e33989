//! A program in its cage, from its start to its end.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::time::{Instant, sleep, sleep_until};

use super::wire::{Cause, MountKind, Order, Report};
use super::{Launched, groups_of};
use crate::{Cage, Ended, Held, Level, Limits, Network, Outcome, Output, Scratch, Stream};

/// How much later than the launcher's the supervisor's own deadline is. It matters only if the launcher
/// hangs.
const GRACE: Duration = Duration::from_millis(250);

/// Longer than any machine runs, and short enough to be added to a clock.
const FAR: Duration = Duration::from_secs(10 * 365 * 86_400);

/// How much is read at once.
const CHUNK: usize = 16 << 10;

/// A program in its cage. Dropping it ends the program and everything it started.
pub struct Running {
    /// To the program. Take it to write; [`Running::wait`] closes it.
    pub stdin: Option<pipe::Sender>,
    /// The socket that listens on the cage's own loopback, if [`Network::Listener`] was asked for. Who
    /// accepts on it serves this program and no other.
    pub listener: Option<TcpListener>,
    held: Held,
    launched: Launched,
    scratch: Vec<Scratch>,
    limits: Limits,
    groups: Vec<PathBuf>,
    deadline: Instant,
    level: Level,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").field("held", &self.held).finish_non_exhaustive()
    }
}

/// What is known so far of how it ended.
#[derive(Default)]
struct Findings {
    status: Option<ExitStatus>,
    cause: Option<Cause>,
    oom_kills: u64,
    too_much: bool,
    late: bool,
}

impl Running {
    pub(super) fn new(
        mut launched: Launched,
        mut fds: Vec<OwnedFd>,
        cage: &Cage,
        order: &Order,
        held: Held,
    ) -> Self {
        let listener = match cage.network {
            Network::None => None,
            Network::Listener { .. } => fds.pop().map(TcpListener::from),
        };
        let overlays = order.mounts.iter().filter(|mount| mount.kind == MountKind::Overlay);
        let places = [b"/scratch".to_vec()].into_iter().chain(overlays.map(|mount| mount.at.clone()));
        let scratch = places.zip(fds).map(|(at, fd)| Scratch::new(at, fd)).collect();
        let (left, level) = cage.clocks.deadline();
        Self {
            stdin: launched.stdin.take(),
            listener,
            held,
            launched,
            scratch,
            limits: cage.limits,
            groups: groups_of(order),
            deadline: Instant::now() + left.min(FAR) + GRACE,
            level,
        }
    }

    /// The cage that it really got.
    #[must_use]
    pub fn held(&self) -> &Held {
        &self.held
    }

    /// The number of the launcher's process, which looks after the cage from outside. It lives as long as the
    /// cage does.
    #[must_use]
    pub fn launcher_id(&self) -> Option<u32> {
        self.launched.child.id()
    }

    /// Ends the program and everything it started, at once. [`Running::wait`] then tells how it went.
    pub fn kill(&self) {
        // If the launcher is gone, the cage is gone.
        let _ = self.launched.control.send(b"kill", &[]);
    }

    /// Waits until nothing of the program is left, and tells how it ended. What nobody took of its input is
    /// closed, so that a program which reads does not wait for more.
    pub async fn wait(self) -> Ended {
        self.watch(|_, _| ()).await
    }

    /// The same, and hands out what the program writes while it runs, until it has written more than it may.
    pub async fn watch(mut self, mut seen: impl FnMut(Stream, &[u8])) -> Ended {
        drop(self.stdin.take());
        let (mut stdout, mut stderr) = (Output::default(), Output::default());
        let mut findings = Findings::default();
        let (mut out_open, mut err_open, mut control_open) = (true, true, true);
        let (mut out_buffer, mut err_buffer) = (vec![0; CHUNK], vec![0; CHUNK]);
        while control_open || out_open || err_open {
            tokio::select! {
                read = self.launched.stdout.read(&mut out_buffer), if out_open => {
                    let chunk = chunk(&out_buffer, read);
                    out_open = self.keep(&mut stdout, chunk, &mut findings, |c| seen(Stream::Stdout, c));
                }
                read = self.launched.stderr.read(&mut err_buffer), if err_open => {
                    let chunk = chunk(&err_buffer, read);
                    err_open = self.keep(&mut stderr, chunk, &mut findings, |c| seen(Stream::Stderr, c));
                }
                report = self.launched.control.next(), if control_open => {
                    control_open = findings.hear(report);
                }
                () = sleep_until(self.deadline), if !findings.late => {
                    findings.late = true;
                    // The launcher should have done this. Its end is the end of all that it holds.
                    let _ = self.launched.child.start_kill();
                }
            }
        }
        let mut launcher = self.launched.child;
        if findings.cause.is_none() {
            let _ = launcher.wait().await;
            remove_groups(&self.groups).await;
        } else {
            // Its last word was that the cage is gone. Nobody has to wait until it is gone itself.
            tokio::spawn(async move { launcher.wait().await });
        }
        let outcome = findings.outcome(self.level);
        Ended { outcome, stdout, stderr, scratch: self.scratch, held: self.held }
    }

    /// Whether the stream is still open.
    fn keep(
        &self,
        output: &mut Output,
        chunk: &[u8],
        findings: &mut Findings,
        seen: impl FnOnce(&[u8]),
    ) -> bool {
        if chunk.is_empty() {
            return false;
        }
        output.take(chunk, self.limits.output_kept_max_bytes);
        if !findings.too_much {
            seen(chunk);
        }
        if output.written_bytes > self.limits.output_max_bytes && !findings.too_much {
            findings.too_much = true;
            self.kill();
        }
        true
    }
}

/// What was read; nothing at the end, and nothing when it cannot be read.
fn chunk(buffer: &[u8], read: std::io::Result<usize>) -> &[u8] {
    read.ok().and_then(|count| buffer.get(..count)).unwrap_or_default()
}

impl Findings {
    /// Whether there is more to hear.
    fn hear(&mut self, report: std::io::Result<Option<(Report, Vec<OwnedFd>)>>) -> bool {
        match report {
            Ok(Some((Report::Program { status }, _))) => {
                self.status = i32::try_from(status).ok().map(ExitStatus::from_raw);
                true
            }
            Ok(Some((Report::Over { cause, oom_kills }, _))) => {
                (self.cause, self.oom_kills) = (Some(cause), oom_kills);
                true
            }
            Ok(Some(_)) => true,
            Ok(None) | Err(_) => false,
        }
    }

    fn outcome(&self, level: Level) -> Outcome {
        let by_itself = self.status.and_then(|status| match (status.code(), status.signal()) {
            (Some(code), _) => Some(Outcome::Exited(code)),
            (None, Some(libc::SIGSYS)) => Some(Outcome::Seccomp),
            (None, Some(signal)) => Some(Outcome::Signalled(signal)),
            (None, None) => None,
        });
        let out_of_memory = self.oom_kills > 0 && by_itself != Some(Outcome::Exited(0));
        match self.cause {
            _ if self.too_much => Outcome::OutputCap,
            Some(Cause::OutOfMemory) => Outcome::OutOfMemory,
            Some(Cause::Ended) | None if out_of_memory => Outcome::OutOfMemory,
            Some(Cause::Deadline) => Outcome::TimedOut(level),
            None if self.late => Outcome::TimedOut(level),
            Some(Cause::Asked | Cause::Abandoned) => Outcome::Killed,
            Some(Cause::Ended) | None => by_itself.unwrap_or(Outcome::Killed),
        }
    }
}

/// Removes the cgroups of a cage whose launcher could not.
pub(super) async fn remove_groups(dirs: &[PathBuf]) {
    for dir in dirs.iter().rev() {
        for _ in 0..200 {
            match std::fs::remove_dir(dir) {
                Err(error) if error.kind() == std::io::ErrorKind::ResourceBusy => {
                    sleep(Duration::from_millis(2)).await;
                }
                Ok(()) | Err(_) => break,
            }
        }
    }
}
