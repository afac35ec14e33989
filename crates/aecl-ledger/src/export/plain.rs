//! Reading files that somebody else has made: no link is followed on the way, nothing is waited for, and no file is read
//! that is longer than it can be.

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use std::fs::File;
use std::io::{Error, Read as _, Result};
use std::path::Path;

/// Neither a link, nor a pipe's other end, nor a terminal.
const CAUTIOUS: OFlags = OFlags::RDONLY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::CLOEXEC);
const LINK: &str = "it is a symbolic link, and none is followed";
const NO_FILE: &str = "it is no plain file (a directory, pipe, socket or device)";

/// The bytes of a plain file below a directory. Of the directory itself whoever names it chooses where it is.
///
/// # Errors
/// When it is not there, no plain file, behind a link, or longer.
pub(super) fn read(dir: &Path, inner: &str, most: u64) -> Result<Vec<u8>> {
    let entered = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut at: File = openat(CWD, dir, entered, Mode::empty())?.into();
    let (above, name) = inner.rsplit_once('/').unwrap_or(("", inner));
    let mut walked = String::new();
    for part in above.split('/').filter(|part| !part.is_empty()) {
        walked = if walked.is_empty() { part.to_owned() } else { format!("{walked}/{part}") };
        at = opened(&at, part, OFlags::DIRECTORY).map_err(|error| of_part(&walked, error))?;
    }
    let file = opened(&at, name, OFlags::empty())?;
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(Error::other(NO_FILE));
    }
    // One more, so that the end is seen without growing.
    let mut bytes = Vec::with_capacity(usize::try_from(found.len().min(most)).unwrap_or_default() + 1);
    file.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(Error::other(format!("it has more than {most} bytes")));
    }
    Ok(bytes)
}

fn opened(dir: &File, name: &str, more: OFlags) -> Result<File> {
    match openat(dir, name, CAUTIOUS | more, Mode::empty()) {
        Ok(file) => Ok(file.into()),
        Err(Errno::LOOP | Errno::MLINK) => Err(Error::other(LINK)),
        // A link to a directory is none, where a directory is asked for.
        Err(Errno::NOTDIR) if is_link(dir, name) => Err(Error::other(LINK)),
        Err(Errno::NXIO) => Err(Error::other(NO_FILE)),
        Err(error) => Err(error.into()),
    }
}

fn is_link(dir: &File, name: &str) -> bool {
    rustix::fs::readlinkat(dir, name, Vec::new()).is_ok()
}

/// Names the directory on the way that was not entered.
fn of_part(walked: &str, error: Error) -> Error {
    match error.raw_os_error() {
        Some(_) => error,
        None => Error::new(error.kind(), format!("`{walked}`: {error}")),
    }
}
