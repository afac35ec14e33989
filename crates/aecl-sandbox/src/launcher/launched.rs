//! The launcher at work, seen from the supervisor: whatever it holds, it is ended and judged in the same way.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use rustix::pipe::PipeFlags;
use rustix::process::{Signal, pidfd_send_signal};
use tokio::net::unix::pipe;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::control::{Caller, Control};
use super::fork_server;
use crate::deadline::{Clocks, Level};
use crate::ended::Termination;
use crate::protocol::wire::{Cause, Order, Report};

/// How much later than the launcher's the supervisor's own deadline is. It matters only if the launcher
/// hangs.
const GRACE: Duration = Duration::from_millis(250);

/// How long what was killed may take to be gone. Then it cannot be: it is frozen, or not ours to kill.
const KILLED_MAX: Duration = Duration::from_secs(2);

/// The launcher makes no more room than that.
const REPORTS_MAX_BYTES: usize = 16 << 10;

/// Longer than any machine runs, and short enough to be added to a clock.
const FAR: Duration = Duration::from_secs(10 * 365 * 86_400);

/// A launcher at work, from its order to its last word. Dropping it ends what it holds.
pub(crate) struct Launched {
    /// To the program.
    pub(crate) stdin: Option<pipe::Sender>,
    /// From the program. One that nobody reads may block.
    pub(crate) stdout: Option<pipe::Receiver>,
    /// Its talk.
    pub(crate) stderr: Option<pipe::Receiver>,
    pub(super) control: Control,
    /// Where the first process of a cage reports that somebody else built.
    reports: Option<OwnedFd>,
    process: Process,
    groups: Vec<PathBuf>,
    deadline: Instant,
    level: Level,
    findings: Findings,
    /// What more to do where a launcher is late.
    when_late: Option<Box<dyn FnOnce() + Send + Sync>>,
}

/// The launcher's process.
enum Process {
    /// Not known before the program runs: who is silent until the deadline is given up, with the server from which it
    /// was to come.
    Unknown {
        server: u64,
    },
    Known(OwnedFd),
    /// Somebody stands in for a launcher.
    Nobodys,
}

fn pipe() -> std::io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
    // The program's end stays as programs expect it; ours does not block.
    Ok((read, write))
}

/// Our ends of a program's three pipes.
pub(crate) struct Pipes {
    pub(super) stdin: pipe::Sender,
    pub(super) stdout: pipe::Receiver,
    pub(super) stderr: pipe::Receiver,
}

impl Pipes {
    /// The program's ends come second.
    pub(crate) fn new() -> std::io::Result<(Self, [OwnedFd; 3])> {
        let (stdin_theirs, stdin) = pipe()?;
        let (stdout, stdout_theirs) = pipe()?;
        let (stderr, stderr_theirs) = pipe()?;
        let pipes = Self {
            stdin: pipe::Sender::from_owned_fd(stdin)?,
            stdout: pipe::Receiver::from_owned_fd(stdout)?,
            stderr: pipe::Receiver::from_owned_fd(stderr)?,
        };
        Ok((pipes, [stdin_theirs, stdout_theirs, stderr_theirs]))
    }
}

impl Launched {
    /// From the fork server of this number.
    pub(super) fn new(control: Control, pipes: Pipes, order: &Order, level: Level, server: u64) -> Self {
        let left = Duration::from_nanos(order.deadline_ns);
        let nobody_yet = Self::until(control, pipes, (left, level));
        Self { groups: groups_of(order), process: Process::Unknown { server }, ..nobody_yet }
    }

    /// What somebody holds who stands in for a launcher: it gets `theirs`, says over that what a launcher
    /// says, and keeps these clocks.
    fn stood_in_for(control: Control, pipes: Pipes, clocks: Clocks) -> Self {
        Self::until(control, pipes, clocks.deadline())
    }

    /// A launcher that has come to us from a container.
    pub(crate) fn of_caller(control: Control, caller: Caller, pipes: Pipes, clocks: Clocks) -> Self {
        let process = Process::Known(caller.process);
        Self { process, ..Self::until(control, pipes, clocks.deadline()) }
    }

    /// Nobody's process, which ends when this time is over.
    fn until(control: Control, pipes: Pipes, (left, level): (Duration, Level)) -> Self {
        Self {
            stdin: Some(pipes.stdin),
            stdout: Some(pipes.stdout),
            stderr: Some(pipes.stderr),
            control,
            reports: None,
            process: Process::Nobodys,
            groups: Vec::new(),
            deadline: Instant::now() + left.min(FAR) + GRACE,
            level,
            findings: Findings::default(),
            when_late: None,
        }
    }

    /// What more to do if the launcher is late: somebody else can end it too.
    pub(crate) fn when_late(&mut self, end: impl FnOnce() + Send + Sync + 'static) {
        self.when_late = Some(Box::new(end));
    }

    /// The number of the launcher's process.
    pub(crate) fn id(&self) -> Option<u32> {
        let Process::Known(process) = &self.process else { return None };
        let about = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", process.as_raw_fd()));
        about.ok()?.lines().find_map(|line| line.strip_prefix("Pid:")?.trim().parse().ok())
    }

    /// The launcher's next report and what came with it, if it comes in time.
    pub(crate) async fn next(&mut self) -> std::io::Result<Option<(Report, Vec<OwnedFd>)>> {
        let Ok(said) = timeout_at(self.deadline, self.control.next()).await else {
            self.give_up_if_silent();
            return Err(std::io::Error::new(ErrorKind::TimedOut, "it said nothing until the deadline"));
        };
        let mut said = said?;
        if let Some((Report::Started { .. }, fds)) = &mut said {
            if fds.is_empty() {
                return Err(std::io::Error::new(
                    ErrorKind::InvalidData,
                    "it did not say which process it is",
                ));
            }
            self.process = Process::Known(fds.remove(0));
        }
        Ok(said)
    }

    /// Gives the server up from which no launcher came, so that the next one comes from another. Whether that is so.
    fn give_up_if_silent(&self) -> bool {
        let Process::Unknown { server } = self.process else { return false };
        fork_server::give_up(server);
        true
    }

    /// Ends the program and everything it started, at once.
    pub(crate) fn kill(&self) {
        // If the launcher is gone, the cage is gone.
        let _ = self.control.send(b"kill", &[]);
    }

    /// Waits until nothing of the program is left, or nothing that can be ended, and tells how it ended. May be given
    /// up and asked again. Whoever wants its output reads that meanwhile.
    pub(crate) async fn wait(&mut self) -> Termination {
        while self.hear().await {}
        self.over().await
    }

    /// Hears what the launcher has to say next, and keeps the deadline if the launcher does not. Whether there
    /// is more to hear. May be given up and asked again.
    pub(crate) async fn hear(&mut self) -> bool {
        // Who stands in for a launcher keeps this rule itself.
        let may_be_given_up = self.findings.late && !matches!(self.process, Process::Nobodys);
        tokio::select! {
            report = self.control.next() => self.findings.hear(report),
            () = sleep_until(self.deadline), if !self.findings.late => {
                self.findings.late = true;
                if let Process::Known(process) = &self.process {
                    // It should have done this. Its end is the end of all that it holds.
                    let _ = pidfd_send_signal(process, Signal::KILL);
                }
                if let Some(end) = self.when_late.take() {
                    end();
                }
                self.findings.given_up = self.give_up_if_silent();
                self.deadline = Instant::now() + KILLED_MAX;
                !self.findings.given_up
            }
            () = sleep_until(self.deadline), if may_be_given_up => {
                self.findings.given_up = true;
                false
            }
        }
    }

    /// Whether something of the program may be left that nobody here can end. Who waits for the ends of its streams
    /// may wait for ever.
    pub(super) fn is_given_up(&self) -> bool {
        self.findings.given_up
    }

    /// Tells how it ended, when there is nothing more to hear.
    pub(crate) async fn over(&mut self) -> Termination {
        if self.findings.cause.is_none() {
            // It ended without its last word, that the cage is gone.
            remove_groups(&self.groups).await;
        }
        if let Some(file) = &self.reports {
            self.findings.status = status_in(&reports_in(file));
        }
        self.findings.outcome(self.level)
    }

    /// What a program ended with is told there, and not by what is held.
    pub(crate) fn listen_to(&mut self, reports: OwnedFd) {
        self.reports = Some(reports);
    }

    /// What was reported there so far.
    pub(crate) fn reports(&self) -> Vec<Report> {
        self.reports.as_ref().map(reports_in).unwrap_or_default()
    }

    /// Lets the launcher finish, and does what it could not.
    pub(crate) async fn end(mut self) {
        // Nothing is read any more, and whoever writes hears of it.
        drop((self.stdout.take(), self.stderr.take()));
        self.kill();
        while self.hear().await {}
        remove_groups(&self.groups).await;
    }

    pub(super) fn wrote_too_much(&self) -> bool {
        self.findings.too_much
    }

    /// Ends the program because it wrote more than it may.
    pub(super) fn end_for_output(&mut self) {
        if !self.findings.too_much {
            self.findings.too_much = true;
            self.kill();
        }
    }
}

/// What a stand-in for a launcher gets.
pub(crate) struct StandIn {
    /// To the supervisor.
    pub(crate) control: OwnedFd,
    /// The program's ends of its standard input, output and error.
    pub(crate) pipes: [OwnedFd; 3],
}

/// A launcher whose work somebody else does.
pub(crate) fn stand_in(clocks: Clocks) -> std::io::Result<(Launched, StandIn)> {
    let (control, theirs) = Control::pair()?;
    let (pipes, pipes_theirs) = Pipes::new()?;
    let ours = Launched::stood_in_for(control, pipes, clocks);
    Ok((ours, StandIn { control: theirs, pipes: pipes_theirs }))
}

/// What is known so far of how it ended.
#[derive(Default)]
pub(super) struct Findings {
    status: Option<ExitStatus>,
    cause: Option<Cause>,
    oom_kills: u64,
    too_much: bool,
    late: bool,
    given_up: bool,
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

    fn outcome(&self, level: Level) -> Termination {
        let by_itself = self.status.and_then(|status| match (status.code(), status.signal()) {
            (Some(code), _) => Some(Termination::Exited(code)),
            (None, Some(libc::SIGSYS)) => Some(Termination::Seccomp),
            (None, Some(signal)) => Some(Termination::Signalled(signal)),
            (None, None) => None,
        });
        let out_of_memory = self.oom_kills > 0 && by_itself != Some(Termination::Exited(0));
        match self.cause {
            _ if self.too_much => Termination::OutputCap,
            Some(Cause::OutOfMemory) => Termination::OutOfMemory,
            Some(Cause::Ended) | None if out_of_memory => Termination::OutOfMemory,
            Some(Cause::Deadline) => Termination::TimedOut(level),
            None if self.late => Termination::TimedOut(level),
            Some(Cause::Asked | Cause::Abandoned) => Termination::Killed,
            Some(Cause::Ended) | None => by_itself.unwrap_or(Termination::Killed),
        }
    }
}

/// Removes the cgroups of a cage whose launcher could not.
async fn remove_groups(dirs: &[PathBuf]) {
    for dir in dirs.iter().rev() {
        for _ in 0..200 {
            match remove_with_what_is_below(dir) {
                Err(error) if error.kind() == std::io::ErrorKind::ResourceBusy => {
                    sleep(Duration::from_millis(2)).await;
                }
                Ok(()) | Err(_) => break,
            }
        }
    }
}

/// The program may have made groups of its own below.
fn remove_with_what_is_below(dir: &Path) -> std::io::Result<()> {
    let removed = std::fs::remove_dir(dir);
    if !removed.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::ResourceBusy) {
        return removed;
    }
    for entry in std::fs::read_dir(dir)?.flatten() {
        if entry.file_type()?.is_dir() {
            remove_with_what_is_below(&entry.path())?;
        }
    }
    std::fs::remove_dir(dir)
}

/// As much of the file as its first process may write.
fn reports_in(file: &OwnedFd) -> Vec<Report> {
    let mut bytes = vec![0; REPORTS_MAX_BYTES];
    let read = rustix::io::pread(file, &mut bytes, 0).unwrap_or(0);
    bytes.truncate(read);
    Report::records(&bytes)
}

fn status_in(reports: &[Report]) -> Option<ExitStatus> {
    reports.iter().find_map(|report| match report {
        Report::Program { status } => i32::try_from(*status).ok().map(ExitStatus::from_raw),
        _ => None,
    })
}

fn groups_of(order: &Order) -> Vec<PathBuf> {
    order.groups.iter().map(|group| PathBuf::from(OsStr::from_bytes(&group.dir))).collect()
}
