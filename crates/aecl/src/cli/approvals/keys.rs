//! Single keys from a terminal. What was typed before a question was shown answers nothing: it is thrown away, and so
//! is what comes so soon after that nobody can have read it.

use crate::cli::Error;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{
    LocalModes, OptionalActions, QueueSelector, SpecialCodeIndex, Termios, tcflush, tcgetattr, tcsetattr,
};
use std::io::{Write as _, stdin};
use std::time::Duration;

/// Nobody reads a card faster.
const READ: Duration = Duration::from_millis(300);
/// Longest line that is read, in bytes.
const LINE_BYTES_MAX: usize = 4096;
/// Ctrl-C and Ctrl-D, where the terminal makes no signal of them.
pub(super) const ENDS: [u8; 2] = [3, 4];

fn failed(error: rustix::io::Errno) -> Error {
    Error::new(format!("the terminal cannot be read: {error}"))
}

/// A terminal that gives every key at once and shows none. Dropped, it is as before.
pub(super) struct Keys(Termios);

impl Keys {
    pub(super) fn new() -> Result<Self, Error> {
        let before = tcgetattr(stdin()).map_err(failed)?;
        let mut now = before.clone();
        // Without signals, so that Ctrl-C cannot leave the terminal like this.
        now.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG);
        now.special_codes[SpecialCodeIndex::VMIN] = 1;
        now.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(stdin(), OptionalActions::Flush, &now).map_err(failed)?;
        Ok(Self(before))
    }

    /// To be called once a question stands on the screen: only keys from now on answer it.
    pub(super) async fn shown(&self) -> Result<(), Error> {
        tokio::time::sleep(READ).await;
        tcflush(stdin(), QueueSelector::IFlush).map_err(failed)
    }

    /// The next key, if one comes in time. What is no plain key, such as an arrow, is none.
    pub(super) async fn next(&self, patience: Duration) -> Result<Option<u8>, Error> {
        let key = tokio::task::spawn_blocking(move || key(patience)).await;
        key.map_err(|e| Error::new(format!("the terminal cannot be read: {e}")))?.map_err(failed)
    }

    /// A line, typed as usual.
    pub(super) async fn line(&self, question: &str) -> Result<Option<String>, Error> {
        let raw = tcgetattr(stdin()).map_err(failed)?;
        let mut usual = self.0.clone();
        // Ctrl-C would end us with the terminal as it is; it ends the line instead.
        usual.local_modes.remove(LocalModes::ISIG);
        tcsetattr(stdin(), OptionalActions::Flush, &usual).map_err(failed)?;
        let question = question.to_owned();
        let line = tokio::task::spawn_blocking(move || line(&question)).await;
        tcsetattr(stdin(), OptionalActions::Flush, &raw).map_err(failed)?;
        line.map_err(|e| Error::new(format!("the terminal cannot be read: {e}")))?.map_err(failed)
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        if tcsetattr(stdin(), OptionalActions::Flush, &self.0).is_err() {
            tracing::debug!("the terminal is gone, or stays as it was made");
        }
    }
}

fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    // Whoever closed it does not want to hear it.
    drop(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
}

fn key(patience: Duration) -> Result<Option<u8>, rustix::io::Errno> {
    let wait = Timespec::try_from(patience).unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 });
    let stdin = stdin();
    let mut fds = [PollFd::new(&stdin, PollFlags::IN)];
    if poll(&mut fds, Some(&wait))? == 0 {
        return Ok(None);
    }
    let mut byte = [0u8; 1];
    match rustix::io::read(&stdin, &mut byte)? {
        0 => Ok(Some(4)),
        _ if byte[0] == 0x1b => skip_sequence().map(|()| None),
        _ => Ok(Some(byte[0])),
    }
}

/// Reads an escape sequence to its end: an arrow is no answer, whatever letters it is made of.
fn skip_sequence() -> Result<(), rustix::io::Errno> {
    let stdin = stdin();
    let soon = Timespec { tv_sec: 0, tv_nsec: 25_000_000 };
    for place in 0.. {
        let mut fds = [PollFd::new(&stdin, PollFlags::IN)];
        let mut byte = [0u8; 1];
        if poll(&mut fds, Some(&soon))? == 0 || rustix::io::read(&stdin, &mut byte)? == 0 {
            break;
        }
        let goes_on =
            if place == 0 { matches!(byte[0], b'[' | b'O') } else { !(0x40..=0x7e).contains(&byte[0]) };
        if !goes_on {
            break;
        }
    }
    Ok(())
}

fn line(question: &str) -> Result<Option<String>, rustix::io::Errno> {
    say(question);
    let mut bytes = [0u8; LINE_BYTES_MAX];
    let length = rustix::io::read(stdin(), &mut bytes)?;
    let read = bytes.get(..length).unwrap_or_default();
    if read.is_empty() || read.contains(&3) {
        return Ok(None);
    }
    Ok(Some(String::from_utf8_lossy(read).trim().to_owned()))
}

/// Asks for one key, after what is on the screen could be read.
pub(super) fn one(question: &str) -> Result<Option<u8>, Error> {
    let keys = Keys::new()?;
    say(question);
    std::thread::sleep(READ);
    tcflush(stdin(), QueueSelector::IFlush).map_err(failed)?;
    loop {
        if let Some(key) = key(Duration::from_secs(3600)).map_err(failed)? {
            say("\n");
            drop(keys);
            return Ok(Some(key.to_ascii_lowercase()));
        }
    }
}
