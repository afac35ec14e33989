//! What a program left, read with care: every name and every file in it was chosen by the program.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Dir, FileType, Mode, OFlags, ResolveFlags, fstat, openat2, statat};

use crate::{Change, ChangeKind, CollectLimits, Collected, Refused, SandboxError};

/// Directories inside directories. Deeper ones are refused.
const DEPTH_MAX: usize = 64;

/// A writable place of a cage after its end. The files are in memory until this is dropped.
#[derive(Debug)]
pub struct Scratch {
    at: PathBuf,
    dir: OwnedFd,
}

impl Scratch {
    pub(crate) fn new(at: Vec<u8>, dir: OwnedFd) -> Self {
        Self { at: PathBuf::from(OsStr::from_bytes(&at)), dir }
    }

    /// Where it was in the cage: `/scratch`, or the path of a view.
    #[must_use]
    pub fn at(&self) -> &Path {
        &self.at
    }

    /// Reads what is there. Only plain files and directories are taken; no link is followed, nothing waits.
    /// It reads files, so call it where blocking is allowed.
    ///
    /// # Errors
    /// When the place itself cannot be read. What is wrong with one file is in [`Collected::refused`].
    pub fn collect(&self, limits: CollectLimits) -> Result<Collected, SandboxError> {
        let failed = |source: rustix::io::Errno| SandboxError::Setup {
            step: format!("collecting `{}`", self.at.display()),
            source: source.into(),
        };
        let mut walk = Walk { limits, total_bytes: 0, found: Collected::default() };
        let top = rustix::io::fcntl_dupfd_cloexec(&self.dir, 3).map_err(failed)?;
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
            let shown = join(path, &shown(name));
            if self.found.changes.len() + self.found.refused.len() >= self.limits.entries_max {
                self.refuse(shown, "there are more entries than are collected");
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
        self.found.refused.push(Refused { path, why });
    }

    fn entry(&mut self, dir: &OwnedFd, name: &[u8], shown: &str, depth: usize) -> Result<(), &'static str> {
        if std::str::from_utf8(name).map_or(true, |text| text.chars().any(is_odd)) {
            return Err("its name has control characters or is no UTF-8");
        }
        let about = statat(dir, name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW).map_err(|_| UNREADABLE)?;
        let change = match FileType::from_raw_mode(about.st_mode) {
            FileType::Directory if depth >= DEPTH_MAX => return Err("it is nested too deeply"),
            FileType::Directory => {
                let below = open(dir, name, OFlags::DIRECTORY)?;
                let kind = ChangeKind::Directory { anew: hides_below(&below) };
                self.found.changes.push(Change { path: shown.to_owned(), kind });
                return self.directory(below, shown, depth + 1).map_err(|_| UNREADABLE);
            }
            FileType::RegularFile => self.file(dir, name)?,
            // How an overlay marks what is deleted. A program cannot make a device of any other number.
            FileType::CharacterDevice if about.st_rdev == 0 => ChangeKind::Deleted,
            FileType::Symlink => return Err("it is a symbolic link"),
            FileType::Fifo => return Err("it is a named pipe"),
            FileType::Socket => return Err("it is a socket"),
            FileType::CharacterDevice | FileType::BlockDevice => return Err("it is a device"),
            FileType::Unknown => return Err("nobody knows what it is"),
        };
        self.found.changes.push(Change { path: shown.to_owned(), kind: change });
        Ok(())
    }

    fn file(&mut self, dir: &OwnedFd, name: &[u8]) -> Result<ChangeKind, &'static str> {
        const SET_ID: u32 = 0o6000;
        let fd = open(dir, name, OFlags::empty())?;
        // Asked of what is open now, not of the name.
        let about = fstat(&fd).map_err(|_| UNREADABLE)?;
        let size = u64::try_from(about.st_size).map_err(|_| UNREADABLE)?;
        match FileType::from_raw_mode(about.st_mode) {
            FileType::RegularFile => {}
            _ => return Err(UNREADABLE),
        }
        if about.st_mode & SET_ID != 0 {
            return Err("it would run as somebody else (set-user-ID or set-group-ID)");
        }
        if about.st_nlink > 1 {
            return Err("it is a hard link");
        }
        if size > self.limits.file_max_bytes {
            return Err("it is larger than what is collected of one file");
        }
        if self.total_bytes.saturating_add(size) > self.limits.total_max_bytes {
            return Err("all files together are larger than what is collected");
        }
        let mut bytes = Vec::new();
        File::from(fd).take(size).read_to_end(&mut bytes).map_err(|_| UNREADABLE)?;
        self.total_bytes += size;
        Ok(ChangeKind::File { executable: about.st_mode & 0o100 != 0, bytes })
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

fn is_odd(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

fn shown(name: &[u8]) -> String {
    String::from_utf8_lossy(name)
        .chars()
        .map(|c| if is_odd(c) { char::REPLACEMENT_CHARACTER } else { c })
        .collect()
}
