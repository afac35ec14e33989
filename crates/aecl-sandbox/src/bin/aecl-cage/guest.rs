//! The first process of a virtual machine: prepares it, holds one program in a cage inside of it, hands over
//! what the program left, and switches the machine off.
//!
//! It is this same launcher. Inside it starts itself once more, to build the same cage as on a host: whoever
//! breaks out of that has won the machine, which has no network and nothing in it but the program's own.

mod channel;
mod connections;
mod leftovers;
mod prepare;

use std::fs::File;
use std::io::{PipeReader, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::frame::{self, Kind};
use crate::wire::{MountKind, Order, Report};
use crate::{Fault, Step, sys, system};
use channel::{Incoming, Outgoing};
use connections::Connections;

/// How long the host may take to hear what was said last.
const LAST_WORD: Duration = Duration::from_secs(30);

/// Whether this is the first process of a virtual machine. That of a container has a `/proc` already.
pub fn is_here() -> bool {
    std::process::id() == 1 && !Path::new("/proc/self").exists()
}

/// Serves one order. When this returns the machine is on its way down.
pub fn run() {
    if let Err(fault) = serve() {
        // Who has a console sees it. Everybody else sees the machine end without a word.
        let _ = std::fs::write("/dev/kmsg", format!("aecl: {}: error {}\n", fault.step, fault.errno));
    }
    sys::restart();
}

fn serve() -> Result<(), Fault> {
    let settings = prepare::machine()?;
    let (mut incoming, outgoing) = channel::open(&settings)?;
    outgoing.send(Kind::Hello, &crate::frame::VERSION.to_le_bytes())?;
    let served = prepare::root(&settings).and_then(|()| hold(&mut incoming, &outgoing));
    if let Err(fault) = served {
        outgoing.send(Kind::Report, &fault.report().encode())?;
    }
    outgoing.send(Kind::Bye, &[])?;
    // A port takes more than it has passed on, and what it holds would be lost. The host ends us as soon as it
    // has heard everything.
    thread::sleep(LAST_WORD);
    Ok(())
}

fn hold(incoming: &mut Incoming, outgoing: &Arc<Outgoing>) -> Result<(), Fault> {
    let mut order = incoming.order()?;
    // An image comes with its devices; where there are none, there is no image.
    if order.mounts.iter().all(|mount| mount.kind != MountKind::Device) {
        system::show(Path::new(prepare::IMAGE), &mut order);
    }
    let inside = Inside::start(&order)?;
    let pumps = [pump(inside.stdout, Kind::Stdout, outgoing)?, pump(inside.stderr, Kind::Stderr, outgoing)?];
    let connections = Connections::new(outgoing);
    hear(incoming.again()?, feed(inside.stdin, outgoing)?, connections.clone())?;
    let (over, scratch) = listen(&inside.control, &order, outgoing, &connections)?;
    for pump in pumps {
        let _ = pump.join();
    }
    if let Some(over) = over {
        let mut hand = leftovers::HandOver { outgoing, scratch_bytes: order.scratch_bytes, said_bytes: 0 };
        for (place, dir) in (0..).zip(scratch) {
            hand.place(place, dir)?;
        }
        outgoing.send(Kind::Report, &over.encode())?;
    }
    Ok(())
}

/// The launcher that builds the cage, seen from the first process.
struct Inside {
    control: OwnedFd,
    stdin: std::io::PipeWriter,
    stdout: PipeReader,
    stderr: PipeReader,
}

impl Inside {
    fn start(order: &Order) -> Result<Self, Fault> {
        let (control, theirs) = sys::socket_pair().step("making a socket")?;
        let (their_stdin, stdin) = std::io::pipe().step("making a pipe")?;
        let (stdout, their_stdout) = std::io::pipe().step("making a pipe")?;
        let (stderr, their_stderr) = std::io::pipe().step("making a pipe")?;
        let paper = sys::paper(&order.encode()).step("writing the order")?;
        let mut command = Command::new("/proc/self/exe");
        command.arg0("aecl-cage").env_clear().stdin(Stdio::from(theirs));
        command.stdout(Stdio::null()).stderr(Stdio::null());
        // Reaped by nobody: the machine ends right after it does.
        command.spawn().step("starting the launcher")?;
        let fds = [paper.as_fd(), their_stdin.as_fd(), their_stdout.as_fd(), their_stderr.as_fd()];
        sys::send(control.as_fd(), b"order", &fds).step("sending the order")?;
        Ok(Self { control, stdin, stdout, stderr })
    }
}

/// Passes reports on until the last one, which has to wait for what else there is to say.
fn listen(
    control: &OwnedFd,
    order: &Order,
    outgoing: &Outgoing,
    connections: &Arc<Connections>,
) -> Result<(Option<Report>, Vec<OwnedFd>), Fault> {
    const REPORT_MAX_BYTES: usize = 8 << 10;
    let mut scratch = Vec::new();
    loop {
        let (bytes, fds) = sys::receive(control.as_fd(), REPORT_MAX_BYTES).step("hearing the launcher")?;
        match Report::decode(&bytes) {
            Ok(over @ Report::Over { .. }) => return Ok((Some(over), scratch)),
            Ok(report) => {
                outgoing.send(Kind::Report, &report.encode())?;
                if matches!(report, Report::Started { .. }) {
                    // Before them comes the launcher, which ends with us.
                    scratch = fds.into_iter().skip(1).collect();
                    let listener = (order.listener_port > 0).then(|| scratch.pop()).flatten();
                    // After that report: nobody is to hear of a connection before.
                    if let Some(listener) = listener {
                        connections.clone().accept(listener.into())?;
                    }
                }
            }
            // It is gone, or talks nonsense. Who hears no end knows that there was none.
            Err(_) => return Ok((None, scratch)),
        }
    }
}

fn pump(mut from: PipeReader, kind: Kind, outgoing: &Arc<Outgoing>) -> Result<JoinHandle<()>, Fault> {
    let outgoing = outgoing.clone();
    let work = move || {
        let mut buffer = vec![0; 16 << 10];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            if outgoing.send(kind, buffer.get(..count).unwrap_or_default()).is_err() {
                return;
            }
        }
    };
    thread::Builder::new().spawn(work).step("starting a thread")
}

/// Passes input on, until its sender is dropped. A program that does not read lets only this thread wait, and what waits
/// for that is never more than a window.
fn feed(mut stdin: std::io::PipeWriter, outgoing: &Arc<Outgoing>) -> Result<mpsc::Sender<Vec<u8>>, Fault> {
    let (input, pieces) = mpsc::channel::<Vec<u8>>();
    let outgoing = outgoing.clone();
    let work = move || {
        for piece in pieces {
            let taken = frame::number(frame::INPUT, &(piece.len() as u64).to_le_bytes());
            if stdin.write_all(&piece).is_err() || outgoing.send(Kind::Taken, &taken).is_err() {
                return;
            }
        }
    };
    thread::Builder::new().spawn(work).step("starting a thread").map(|_| input)
}

/// Hears the host, until it says what makes no sense. Never waits for the program.
fn hear(
    mut incoming: Incoming,
    input: mpsc::Sender<Vec<u8>>,
    connections: Arc<Connections>,
) -> Result<(), Fault> {
    let work = move || {
        let mut input = Some(input);
        while let Ok((kind, bytes)) = incoming.next() {
            match kind {
                // Whoever does not read any more hears nothing.
                Kind::Input => drop(input.as_ref().map(|input| input.send(bytes))),
                Kind::InputEnd => input = None,
                kind => connections.hear(kind, &bytes),
            }
        }
    };
    thread::Builder::new().spawn(work).step("starting a thread").map(drop)
}

/// A file descriptor as a file, for reading and writing in turn.
fn file(fd: OwnedFd) -> File {
    File::from(fd)
}
