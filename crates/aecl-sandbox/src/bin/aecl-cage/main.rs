//! The launcher: a small program that knows no secret and puts another program into a cage.
//!
//! It is a program of its own with an empty environment, so nothing of the supervisor's memory is in it. It is executed
//! for the first cage of a supervisor; for more of them it waits as [fork server](fork_server) and splits off a copy for
//! each, which knows nothing of the cages before. On descriptor 0 that has a socket to the supervisor, over which its order comes. It then splits in
//! three: the *watcher* (this process) stays outside and ends the cage at the deadline or when the
//! supervisor is gone; *init* builds the cage from inside and reaps; the *program* is executed in it.
//! A program that builds cages itself (a container runtime, a machine monitor) is *held* instead: it keeps
//! its rights, and ends as every cage does.
//!
//! The build script builds it from this folder and [`wire`] with the standard library alone, linked
//! statically, and the library carries it inside itself: there is no file to install, to mix up with another
//! version, or to replace.

#![no_main]

mod attack;
mod fault;
mod fork_server;
#[path = "../../protocol/frame.rs"]
mod frame;
mod groups;
mod guest;
mod hold;
mod init;
mod inside;
mod landlock;
mod lockdown;
mod namespaces;
mod sources;
mod sys;
#[path = "../../protocol/system.rs"]
mod system;
mod tree;
mod watch;
#[path = "../../protocol/wire.rs"]
mod wire;

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use fault::{Fault, Step};
use wire::{Cause, Order, Report, Sources};

/// The three ends that become the program's standard input, output and error, and what else a program that
/// is held gets: numbered from 3 on, as it will have them.
pub struct Stdio {
    input: OwnedFd,
    output: OwnedFd,
    error: OwnedFd,
    kept: Vec<OwnedFd>,
}

/// Without the standard library's start, which looks for stacks and handlers that nobody needs here, for a
/// tenth of a millisecond per cage.
#[unsafe(no_mangle)]
#[expect(unsafe_code, reason = "the C library calls this name, and nothing else here has it")]
pub extern "C" fn main() -> i32 {
    // Whoever reads what we say may be gone. That is an error to us, not the end.
    sys::set_sigpipe(sys::IGNORE);
    if inside::is_here() {
        return inside::run();
    }
    if guest::is_here() {
        guest::run();
        return 1;
    }
    // In a container, the supervisor's socket has a name.
    if sources::is_in_container() && sources::reach_supervisor().is_err() {
        return 1;
    }
    let mut socket = sys::inherited(0);
    if fork_server::is_alone() {
        fork_server::stand_apart();
    }
    if fork_server::is_here() {
        match fork_server::serve(socket) {
            Some(own) => socket = own,
            None => return 0,
        }
    }
    let ear = Ear::Supervisor(socket);
    let last = launch(&ear).unwrap_or_else(|fault| {
        ear.tell(&fault.report());
        Report::Over { cause: Cause::Ended, oom_kills: 0 }
    });
    ear.tell(&last);
    0
}

/// Who hears our reports.
pub enum Ear {
    /// The supervisor, over a socket.
    Supervisor(OwnedFd),
    /// A file that the supervisor reads.
    File(File),
}

impl Ear {
    /// Says something. If nobody is there, nobody needs to hear it.
    pub fn tell(&self, report: &Report) {
        let _ = self.hand_out(report, &[]);
    }

    /// Says something, and hands out descriptors where that is possible.
    pub fn hand_out(&self, report: &Report, fds: &[BorrowedFd<'_>]) -> std::io::Result<()> {
        match self {
            Self::Supervisor(socket) => sys::send(socket.as_fd(), &report.encode(), fds),
            Self::File(file) => (&*file).write_all(&report.record()),
        }
    }

    fn fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Supervisor(socket) => socket.as_fd(),
            Self::File(file) => file.as_fd(),
        }
    }
}

fn launch(ear: &Ear) -> Result<Report, Fault> {
    sys::close_from(3).step("closing what was inherited")?;
    let (order, stdio) = receive(ear.fd())?;
    let launcher = sys::own_pidfd().step("naming the launcher")?;
    let timer = sys::timer(order.deadline_ns).step("setting the deadline")?;
    if order.user.separate {
        sys::drop_groups().step("leaving the supervisor's groups")?;
    }
    if order.sources == Sources::HandedOut {
        sources::hand_out(&order, ear)?;
        return Ok(Report::Over { cause: Cause::Ended, oom_kills: 0 });
    }
    let is_given = order.sources == Sources::Given;
    // With the rights of root, paths that only root may walk can be shown. An ordinary user finds its own
    // paths later, inside, where it may mount.
    let found = match order.user.separate {
        _ if is_given => Some(sources::take(&order, ear.fd())?),
        true => Some(tree::find(&order)?),
        false => None,
    };
    let mut groups = if is_given { groups::Groups::of_container() } else { groups::Groups::default() };
    let place = init::Place { order: &order, found, launcher };
    let started = namespaces::enter(&order, &mut groups, ear.fd(), |go| init::run(place, stdio, ear, go));
    let child = match started {
        Ok(child) => child,
        Err(fault) => {
            groups.remove();
            return Err(fault);
        }
    };
    let cause = watch::until_over(ear.fd(), &child, &timer, &groups);
    let oom_kills = groups.oom_kills();
    groups.remove();
    Ok(Report::Over { cause, oom_kills })
}

fn receive(control: BorrowedFd<'_>) -> Result<(Order, Stdio), Fault> {
    let wrong = || Fault { step: "receiving the order".into(), errno: 22 };
    let (_, mut kept) = sys::receive(control, 16).step("receiving the order")?;
    let ours = kept.split_off(kept.len().checked_sub(4).ok_or_else(wrong)?);
    let [order, input, output, error] = <[OwnedFd; 4]>::try_from(ours).map_err(|_| wrong())?;
    // Nothing else was open, so what came first has the lowest numbers.
    if kept.iter().zip(3..).any(|(fd, number)| fd.as_raw_fd() != number) {
        return Err(wrong());
    }
    let mut bytes = Vec::new();
    File::from(order).read_to_end(&mut bytes).step("reading the order")?;
    let order =
        Order::decode(&bytes).map_err(|_| Fault { step: "understanding the order".into(), errno: 22 })?;
    Ok((order, Stdio { input, output, error, kept }))
}
