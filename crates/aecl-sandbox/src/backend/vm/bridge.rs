//! Between a program in a machine and who runs it: what the agent says becomes what a launcher would say.

use std::io;
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::unix::pipe;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::connections::{CHUNK, Connections, Credit};
use super::line::{Frames, From, Line};
use super::monitor::Place;
use crate::ended::Termination;
use crate::launcher::control::Control;
use crate::launcher::launched::Launched;
use crate::leftovers::{Heard, SentOf};
use crate::protocol::frame::Kind;
use crate::protocol::nonsense;
use crate::protocol::wire::{Cause, Report};

/// Everything that passes between.
pub(super) struct Bridge {
    pub(super) line: Line,
    /// What holds the monitor.
    pub(super) outer: Launched,
    /// Who runs the program; to it we are the launcher.
    pub(super) inner: Control,
    pub(super) pipes: Pipes,
    pub(super) heard: Heard,
    /// Who serves the listener in there, if there is one.
    pub(super) served: Option<mpsc::Sender<DuplexStream>>,
    pub(super) left: oneshot::Sender<SentOf>,
    /// What has to stay as long as the machine does.
    pub(super) place: Option<Place>,
}

/// The ends of the program's three pipes that a program would have.
pub(super) struct Pipes {
    stdin: pipe::Receiver,
    stdout: pipe::Sender,
    stderr: pipe::Sender,
}

impl Pipes {
    pub(super) fn new([stdin, stdout, stderr]: [OwnedFd; 3]) -> io::Result<Self> {
        Ok(Self {
            stdin: pipe::Receiver::from_owned_fd(stdin)?,
            stdout: pipe::Sender::from_owned_fd(stdout)?,
            stderr: pipe::Sender::from_owned_fd(stderr)?,
        })
    }
}

/// How the conversation with the agent ended.
enum End {
    /// It said everything. How the cage inside ended.
    Said(Report),
    /// It is gone, or says what makes no sense.
    Lost,
    /// Who runs the program wants no more of it, or is gone.
    Unwanted,
    /// The monitor is gone.
    Over(Termination),
}

impl Bridge {
    /// Passes on until the machine is gone.
    pub(super) async fn run(self) {
        let Self { line, mut outer, mut inner, pipes, mut heard, served, left, place } = self;
        let Pipes { stdin, mut stdout, mut stderr } = pipes;
        let Line { mut from, to } = line;
        let mut ended = None;
        let (frames, waiting) = Frames::channel();
        let mut connections = Connections::new(frames.clone(), served);
        let saying = tokio::spawn(to.say(waiting));
        let feeding = tokio::spawn(feed(stdin, frames, connections.input.clone()));
        let end = {
            let mut listening = pin!(async {
                let hearers = Hearers {
                    stdout: &mut stdout,
                    stderr: &mut stderr,
                    heard: &mut heard,
                    connections: &mut connections,
                };
                listen(&mut from, hearers, &mut ended).await
            });
            let mut gone = None;
            loop {
                tokio::select! {
                    end = &mut listening => break match (end, gone) {
                        (Ok(End::Said(report)), _) => End::Said(report),
                        (_, Some(outcome)) => End::Over(outcome),
                        (end, None) => end.unwrap_or(End::Lost),
                    },
                    () = inner.asked() => break End::Unwanted,
                    // What it said last may still be on the line, which ends behind that.
                    outcome = outer.wait(), if gone.is_none() => gone = Some(outcome),
                }
            }
        };
        feeding.abort();
        saying.abort();
        drop(connections);
        let over = |cause| Report::Over { cause, oom_kills: 0 };
        // Whatever it was: nobody hears of an end before nothing is left.
        let last = match end {
            End::Over(outcome) => over(cause(outcome)),
            End::Said(report) => {
                outer.kill();
                outer.wait().await;
                report
            }
            End::Unwanted => {
                outer.kill();
                outer.wait().await;
                over(Cause::Asked)
            }
            End::Lost => {
                // It may have been ended: who ended it knows why.
                let outcome = match timeout(LAST_WORD, outer.wait()).await {
                    Ok(outcome) => outcome,
                    Err(_) => {
                        outer.kill();
                        outer.wait().await
                    }
                };
                over(cause(outcome))
            }
        };
        drop(place);
        let _ = left.send(heard.finish().unwrap_or_default());
        for report in ended.into_iter().chain([last]) {
            let _ = inner.send(&report.encode(), &[]);
        }
    }
}

/// How long a monitor may take to be gone after its line is.
const LAST_WORD: Duration = Duration::from_millis(500);

/// What the end of a monitor means for the program in its machine.
fn cause(outcome: Termination) -> Cause {
    match outcome {
        Termination::TimedOut(_) => Cause::Deadline,
        Termination::OutOfMemory => Cause::OutOfMemory,
        _ => Cause::Abandoned,
    }
}

/// For whom the agent speaks.
struct Hearers<'a> {
    stdout: &'a mut pipe::Sender,
    stderr: &'a mut pipe::Sender,
    heard: &'a mut Heard,
    connections: &'a mut Connections,
}

async fn listen(from: &mut From, hearers: Hearers<'_>, ended: &mut Option<Report>) -> io::Result<End> {
    let Hearers { stdout, stderr, heard, connections } = hearers;
    let mut over = None;
    loop {
        let Some((kind, bytes)) = from.next().await? else { return Ok(End::Lost) };
        if matches!(kind, Kind::Open | Kind::Data | Kind::Shut | Kind::Taken | Kind::Close) {
            // They have an order of their own.
            connections.hear(kind, &bytes).await?;
            continue;
        }
        match (kind, over.take()) {
            (Kind::Bye, Some(report)) => return Ok(End::Said(report)),
            // Who runs the program closes its ends only when it is gone itself, which `asked` tells.
            (Kind::Stdout, None) => stdout.write_all(&bytes).await?,
            (Kind::Stderr, None) => stderr.write_all(&bytes).await?,
            (Kind::Left | Kind::Content, None) => heard.hear(kind, &bytes)?,
            (Kind::Report, None) => match Report::decode(&bytes) {
                Ok(report @ Report::Program { .. }) => *ended = Some(report),
                Ok(report @ Report::Over { .. }) => over = Some(report),
                Ok(_) => {}
                Err(_) => return Err(nonsense("no report")),
            },
            _ => return Err(nonsense("this now")),
        }
    }
}

/// Sends input until there is no more, or nobody takes it.
async fn feed(mut stdin: pipe::Receiver, frames: Frames, window: Arc<Credit>) {
    let mut buffer = vec![0; CHUNK];
    while let Ok(count @ 1..) = stdin.read(&mut buffer).await {
        window.take(count).await;
        if !frames.send(Kind::Input, buffer.get(..count).unwrap_or_default().to_vec()).await {
            return;
        }
    }
    frames.send(Kind::InputEnd, Vec::new()).await;
}
