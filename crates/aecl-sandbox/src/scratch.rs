//! What a program left, read with care: every name and every file in it was chosen by the program.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Dir, FileType, Mode, OFlags, ResolveFlags, fstat, openat2, readlinkat, statat};

use crate::collected::{
    self, ChangeKind, CollectLimits, Collected, CollectedChange, DEPTH_MAX, DEVICE, FIFO, RefusedPath,
    SOCKET, TOO_DEEP, TOO_MANY, UNKNOWN, check_name, check_target,
};
use crate::error::SandboxError;
use crate::leftovers::{self, Sent};

/// A writable place of a cage after its end. The files are in memory until this is dropped.
#[derive(Debug)]
pub struct Scratch {
    at: PathBuf,
    files: Files,
}

/// Where the files are.
#[derive(Debug)]
enum Files {
    Here(OwnedFd),
    /// A machine sent them before it ended.
    Sent(Vec<Sent>),
}

impl Scratch {
    pub(crate) fn new(at: PathBuf, dir: OwnedFd) -> Self {
        Self { at, files: Files::Here(dir) }
    }

    pub(crate) fn sent(at: PathBuf, files: Vec<Sent>) -> Self {
        Self { at, files: Files::Sent(files) }
    }

    /// Where it was in the cage: `/scratch`, or the path of a view.
    #[must_use]
    pub fn at(&self) -> &Path {
        &self.at
    }

    /// One plain file in it, opened for reading by its name; `None` if it is no such thing, or was sent.
    pub(crate) fn open_file(&self, name: &[u8]) -> Option<File> {
        let Files::Here(dir) = &self.files else { return None };
        let fd = open(dir, name, OFlags::empty()).ok()?;
        let about = fstat(&fd).ok()?;
        (FileType::from_raw_mode(about.st_mode) == FileType::RegularFile).then(|| File::from(fd))
    }

    /// Reads what is there. Only plain files, directories and links are taken; no link is followed, nothing waits.
    /// It reads files, so call it where blocking is allowed.
    ///
    /// # Errors
    /// When the place itself cannot be read. What is wrong with one file is in [`Collected::refused`].
    pub fn collect(&self, limits: CollectLimits) -> Result<Collected, SandboxError> {
        let failed = |source: rustix::io::Errno| SandboxError::Setup {
            step: format!("collecting `{}`", self.at.display()),
            source: source.into(),
        };
        let dir = match &self.files {
            Files::Here(dir) => dir,
            Files::Sent(files) => return Ok(leftovers::collect(files, limits)),
        };
        let mut walk = Walk { limits, total_bytes: 0, found: Collected::default() };
        let top = rustix::io::fcntl_dupfd_cloexec(dir, 3).map_err(failed)?;
        walk.directory(top, "", 0).map_err(failed)?;
        walk.found.changes.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(walk.found)
    }
}

struct Walk {
    limits: CollectLimits,
    total_bytes: u64,
    found: Collected,
}

impl Walk {
    fn directory(&mut self, dir: OwnedFd, path: &str, depth: usize) -> rustix::io::Result<()> {
        for entry in Dir::read_from(&dir)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            let shown = join(path, &collected::shown(name));
            if self.found.changes.len() + self.found.refused.len() >= self.limits.entries_max {
                self.refuse(shown, TOO_MANY);
                return Ok(());
            }
            match self.entry(&dir, name, &shown, depth) {
                Ok(()) => {}
                Err(why) => self.refuse(shown, why),
            }
        }
        Ok(())
    }

    fn refuse(&mut self, path: String, why: &'static str) {
        self.found.refused.push(RefusedPath { path, why });
    }

    fn entry(&mut self, dir: &OwnedFd, name: &[u8], shown: &str, depth: usize) -> Result<(), &'static str> {
        check_name(name)?;
        let about = statat(dir, name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW).map_err(|_| UNREADABLE)?;
        let change = match FileType::from_raw_mode(about.st_mode) {
            FileType::Directory if depth >= DEPTH_MAX => return Err(TOO_DEEP),
            FileType::Directory => {
                let below = open(dir, name, OFlags::DIRECTORY)?;
                let mode = about.st_mode & 0o777;
                let kind = ChangeKind::Directory { anew: hides_below(&below), mode };
                self.found.changes.push(CollectedChange { path: shown.to_owned(), kind });
                return self.directory(below, shown, depth + 1).map_err(|_| UNREADABLE);
            }
            FileType::RegularFile => self.file(dir, name)?,
            // How an overlay marks what is deleted. A program cannot make a device of any other number.
            FileType::CharacterDevice if about.st_rdev == 0 => ChangeKind::Deleted,
            FileType::Symlink => {
                let target = readlinkat(dir, name, Vec::new()).map_err(|_| UNREADABLE)?;
                ChangeKind::Symlink { target: check_target(target.into_bytes())? }
            }
            FileType::Fifo => return Err(FIFO),
            FileType::Socket => return Err(SOCKET),
            FileType::CharacterDevice | FileType::BlockDevice => return Err(DEVICE),
            FileType::Unknown => return Err(UNKNOWN),
        };
        self.found.changes.push(CollectedChange { path: shown.to_owned(), kind: change });
        Ok(())
    }

    fn file(&mut self, dir: &OwnedFd, name: &[u8]) -> Result<ChangeKind, &'static str> {
        let fd = open(dir, name, OFlags::empty())?;
        // Asked of what is open now, not of the name.
        let about = fstat(&fd).map_err(|_| UNREADABLE)?;
        let size = u64::try_from(about.st_size).map_err(|_| UNREADABLE)?;
        match FileType::from_raw_mode(about.st_mode) {
            FileType::RegularFile => {}
            _ => return Err(UNREADABLE),
        }
        let mode = u64::from(about.st_mode);
        self.limits.check_file(mode, about.st_nlink, size, self.total_bytes)?;
        let mut bytes = Vec::new();
        File::from(fd).take(size).read_to_end(&mut bytes).map_err(|_| UNREADABLE)?;
        self.total_bytes += size;
        Ok(ChangeKind::File { mode: about.st_mode & 0o777, bytes })
    }
}

/// How an overlay marks a directory that does not show what lies below it. A program in the cage cannot set
/// this by itself: the overlay keeps names of this kind apart.
fn hides_below(directory: &OwnedFd) -> bool {
    let mut value = [0; 1];
    let read = rustix::fs::fgetxattr(directory, c"user.overlay.opaque", &mut value);
    read == Ok(1) && value == *b"y"
}

const UNREADABLE: &str = "it cannot be read";

fn open(dir: &OwnedFd, name: &[u8], flags: OFlags) -> Result<OwnedFd, &'static str> {
    let flags =
        flags | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH
        | ResolveFlags::NO_SYMLINKS
        | ResolveFlags::NO_MAGICLINKS
        | ResolveFlags::NO_XDEV;
    openat2(dir.as_fd(), name, flags, Mode::empty(), resolve).map_err(|_| UNREADABLE)
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") }
}
