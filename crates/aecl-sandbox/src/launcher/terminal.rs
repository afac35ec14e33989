//! A terminal of the program's own. It is made by us, outside, and passed in as its three streams, so nothing of the
//! terminal that we have is in there: what the program does to it (modes, who is in front, a character that is
//! pushed back) it does to its own, in a session of its own.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread;

use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// How much is passed on at once.
const CHUNK: usize = 16 << 10;

/// What a terminal takes for the end of what is typed.
const END_OF_INPUT: u8 = 4;

/// Size of a terminal, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TerminalSize {
    /// Lines.
    pub rows: u16,
    /// Characters of a line.
    pub columns: u16,
}

impl Default for TerminalSize {
    fn default() -> Self {
        Self { rows: 24, columns: 80 }
    }
}

/// The terminal of a program, from outside.
#[derive(Clone, Debug)]
pub struct Terminal {
    ours: Arc<OwnedFd>,
}

impl Terminal {
    /// Makes it another size. The program is told by `SIGWINCH`.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn resize(&self, size: TerminalSize) -> std::io::Result<()> {
        Ok(tcsetwinsize(&*self.ours, winsize(size))?)
    }

    /// A terminal, and the program's end of it.
    pub(crate) fn open(size: TerminalSize) -> std::io::Result<(Self, OwnedFd)> {
        // Nobody here gets it as the terminal of a session.
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        unlockpt(&ours)?;
        // By its other end, and not by a name: somebody could have mounted something there.
        let theirs =
            ioctl_tiocgptpeer(&ours, OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        tcsetwinsize(&ours, winsize(size))?;
        Ok((Self { ours: Arc::new(ours) }, theirs))
    }

    /// Passes on between the terminal and pipes until either ends: what comes through the first is typed, what is
    /// written goes out through the second.
    pub(crate) fn connect(&self, typed: OwnedFd, written: OwnedFd) -> std::io::Result<()> {
        let end = || self.ours.try_clone().map(File::from);
        let (mut to, mut from) = (end()?, end()?);
        let (mut typed, mut written) = (File::from(typed), File::from(written));
        let spawn = |name: &str, work: Box<dyn FnOnce() + Send>| {
            thread::Builder::new().name(name.into()).spawn(work).map(drop)
        };
        spawn(
            "aecl-typed",
            Box::new(move || {
                let _ = pass_on(&mut typed, &mut to);
                let _ = to.write_all(&[END_OF_INPUT]);
            }),
        )?;
        // When the program and all that it started are gone, reading fails, and the pipe is closed with that.
        spawn("aecl-written", Box::new(move || drop(pass_on(&mut from, &mut written))))
    }
}

fn pass_on(from: &mut File, to: &mut File) -> std::io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(()),
            count => to.write_all(buffer.get(..count).unwrap_or_default())?,
        }
    }
}

fn winsize(TerminalSize { rows, columns }: TerminalSize) -> Winsize {
    Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}
