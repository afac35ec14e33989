//! Plain files: opened so that nothing waits, read piece by piece and never beyond a limit.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::path::Path;

use aecl_kernel::base::digest::Digest;
use rustix::fs::{FileType, Mode, OFlags, fstat, open, openat};
use sha2::Digest as _;

use super::FileStamp;

/// A pipe without a writer, a terminal, a device: opening one of them does not wait.
const READ: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// How much is read at once.
const PIECE: usize = 64 << 10;

/// A plain file that is open.
#[derive(Debug)]
pub(crate) struct Plain {
    file: File,
    /// Which one it is.
    pub(crate) identity: FileStamp,
}

/// Why a file was not read to its end.
#[derive(Debug)]
pub(crate) enum Reading {
    TooLong,
    Io(io::Error),
    /// Whoever watches the clock said no.
    Stopped,
}

impl Plain {
    /// Opens what has this name in a directory; `None` if that is nothing or no plain file.
    pub(super) fn open_at(dir: &OwnedFd, name: &str) -> io::Result<Option<Self>> {
        match openat(dir, name, READ.union(OFlags::NOFOLLOW), Mode::empty()) {
            Ok(fd) => Self::of(fd),
            Err(
                rustix::io::Errno::NOENT
                | rustix::io::Errno::NOTDIR
                | rustix::io::Errno::LOOP
                | rustix::io::Errno::MLINK
                | rustix::io::Errno::NXIO,
            ) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    fn of(fd: OwnedFd) -> io::Result<Option<Self>> {
        let about = fstat(&fd)?;
        match FileType::from_raw_mode(about.st_mode) {
            FileType::RegularFile => Ok(Some(Self { file: File::from(fd), identity: FileStamp::of(&about) })),
            _ => Ok(None),
        }
    }

    /// Everything in it, up to so many bytes.
    pub(crate) fn read(&mut self, most: u64) -> Result<Vec<u8>, Reading> {
        if self.identity.size > most {
            return Err(Reading::TooLong);
        }
        let mut bytes = Vec::new();
        (&self.file).take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(Reading::Io)?;
        if bytes.len() as u64 > most { Err(Reading::TooLong) } else { Ok(bytes) }
    }

    /// The digest of everything in it, up to so many bytes. `go_on` is asked before each piece.
    pub(crate) fn digest(&mut self, most: u64, go_on: &mut dyn FnMut() -> bool) -> Result<Digest, Reading> {
        if self.identity.size > most {
            return Err(Reading::TooLong);
        }
        let (mut hasher, mut piece, mut seen) = (sha2::Sha256::new(), vec![0; PIECE], 0_u64);
        loop {
            if !go_on() {
                return Err(Reading::Stopped);
            }
            let count = match (&self.file).read(&mut piece) {
                Ok(0) => break,
                Ok(count) => count,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(Reading::Io(e)),
            };
            seen = seen.saturating_add(count as u64);
            if seen > most {
                return Err(Reading::TooLong);
            }
            hasher.update(piece.get(..count).unwrap_or_default());
        }
        Ok(Digest::from_bytes(hasher.finalize().into()))
    }
}

/// Reads a file that somebody named, such as a configuration: a plain one, whatever links lead to it, of at most so
/// many bytes. A pipe, a device or an endless file is an error at once.
///
/// # Errors
/// When it is not there, no plain file, or longer.
pub fn read_plain(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let other = |why: String| io::Error::new(io::ErrorKind::InvalidInput, why);
    let fd = match open(path, READ, Mode::empty()) {
        Ok(fd) => fd,
        Err(rustix::io::Errno::NXIO) => return Err(other(NO_FILE.into())),
        Err(e) => return Err(e.into()),
    };
    let mut plain = Plain::of(fd)?.ok_or_else(|| other(NO_FILE.into()))?;
    plain.read(most).map_err(|why| match why {
        Reading::Io(e) => e,
        Reading::TooLong | Reading::Stopped => other(format!("it has more than {most} bytes")),
    })
}

const NO_FILE: &str = "it is no plain file (a directory, pipe, socket or device)";

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{CWD, mknodat};
    use std::time::{Duration, Instant};

    #[test]
    fn what_is_no_plain_file_is_refused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR, 0).unwrap();
        let socket = dir.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink("/dev/zero", &link).unwrap();
        let start = Instant::now();
        for path in [&pipe, &socket, &link, &dir.path().to_owned()] {
            let error = read_plain(path, 100).unwrap_err();
            assert!(error.to_string().contains("no plain file"), "{}: {error}", path.display());
        }
        let long = dir.path().join("long");
        std::fs::write(&long, "x".repeat(101)).unwrap();
        assert!(read_plain(&long, 100).unwrap_err().to_string().contains("more than 100 bytes"));
        assert_eq!(read_plain(&long, 101).unwrap().len(), 101);
        assert!(start.elapsed() < Duration::from_secs(5));
    }
}
