//! Writes what layers say into one directory, and nowhere else.
//!
//! Every path is resolved by the kernel beneath that directory, and no link is followed on the way
//! (`openat2`). What is written has no owner but us, no set-user-ID, no attributes, and may be read by
//! everybody: the cage that shows it is made for a user who owns nothing.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, Timespec, Timestamps, chmodat, fchmod, futimens,
    linkat, mkdirat, openat2, statat, symlinkat, unlinkat,
};
use rustix::io::Errno;

use super::ImageLimits;
use super::layer::{Entry, Place, Refusal};

/// Places at the top that every cage has for itself. What an image has below them is not unpacked.
const EVERY_CAGES_OWN: [&[u8]; 5] = [b"dev", b"proc", b"scratch", b"sys", b"tmp"];

/// Names at the top that are the launcher's.
const OURS: [&[u8]; 6] = [b".blank", b".empty", b".init", b".lower", b".order", b".status"];

/// Longest target of a symbolic link, in bytes.
const TARGET_MAX_BYTES: usize = 4_095;

/// A directory that is being filled.
pub(super) struct Tree {
    root: OwnedFd,
    limits: ImageLimits,
    /// What was written so far, even if it is gone again.
    pub(super) bytes: u64,
    pub(super) files: u64,
}

impl Tree {
    pub(super) fn new(root: OwnedFd, limits: ImageLimits) -> Self {
        Self { root, limits, bytes: 0, files: 0 }
    }

    /// Takes away what the layer says is gone. This comes before anything of the same layer is written: it is
    /// said of the layers below.
    pub(super) fn take_away(&mut self, place: &Place, entry: &Entry<'_>) -> Result<(), Refusal> {
        let of = |e: Errno| Refusal::of(&place.path(), format!("cannot be taken away: {e}"));
        if !matches!(entry, Entry::Gone | Entry::AllGone) || is_every_cages_own(place) {
            return Ok(());
        }
        let dir = match self.open(place.dirs()) {
            Ok(dir) => dir,
            // What is not there is gone.
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(()),
            Err(Errno::LOOP) => return Err(Refusal::of(&place.path(), THROUGH_A_LINK)),
            Err(error) => return Err(of(error)),
        };
        match entry {
            Entry::Gone => remove(dir.as_fd(), place.name()).map_err(of),
            _ => match open_beneath(dir.as_fd(), place.name(), OFlags::RDONLY | OFlags::DIRECTORY) {
                Ok(dir) => empty(&dir).map_err(of),
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(()),
                Err(error) => Err(of(error)),
            },
        }
    }

    /// Writes one entry.
    pub(super) fn write(&mut self, place: &Place, entry: Entry<'_>) -> Result<(), Refusal> {
        let refuse = |why: String| Refusal::of(&place.path(), why);
        let (top, is_all) = place.top();
        if OURS.contains(&top) {
            return Err(refuse("has a name that every cage needs for itself".into()));
        }
        self.count(place)?;
        if is_every_cages_own(place) {
            let fits = matches!(entry, Entry::Directory | Entry::Gone | Entry::AllGone) || !is_all;
            // What is put over `/proc` to mask it would go where a link leads.
            let why = "is no directory; every cage has a directory of its own there";
            return if fits { Ok(()) } else { Err(refuse(why.into())) };
        }
        let failed = |e: Errno| refuse(format!("cannot be written: {e}"));
        match entry {
            Entry::Gone | Entry::AllGone => Ok(()),
            Entry::Odd(why) => Err(refuse(why.into())),
            Entry::Directory => {
                let parent = self.parent(place)?;
                if is_directory(parent.as_fd(), place.name()) {
                    return Ok(());
                }
                remove(parent.as_fd(), place.name()).map_err(failed)?;
                make_directory(parent.as_fd(), place.name()).map_err(failed)
            }
            Entry::File { executable, modified, size, content } => {
                if size > self.limits.unpacked_max_bytes.saturating_sub(self.bytes) {
                    return Err(refuse(format!("is too much: {}", super::layer::TOO_LONG)));
                }
                let parent = self.parent(place)?;
                remove(parent.as_fd(), place.name()).map_err(failed)?;
                self.bytes += size;
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
                let file = open_beneath(parent.as_fd(), place.name(), flags).map_err(failed)?;
                fill(file, executable, modified, size, content).map_err(refuse)
            }
            Entry::SymbolicLink { target } => {
                if target.len() > TARGET_MAX_BYTES || target.contains(&0) {
                    return Err(refuse("is a link to what is no path".into()));
                }
                let parent = self.parent(place)?;
                remove(parent.as_fd(), place.name()).map_err(failed)?;
                // It means something in a cage only, where it ends in the image's own files.
                symlinkat(OsStr::from_bytes(&target), &parent, OsStr::from_bytes(place.name()))
                    .map_err(failed)
            }
            Entry::HardLink { target } => self.hard_link(place, &target),
        }
    }

    fn hard_link(&mut self, place: &Place, target: &Place) -> Result<(), Refusal> {
        let shown = crate::collected::shown(&target.path());
        let refuse =
            |why: &str| Refusal::of(&place.path(), format!("is a hard link to `{shown}`, which {why}"));
        if place == target {
            return Err(refuse("is itself"));
        }
        let from = match self.open(target.dirs()) {
            Ok(from) => from,
            Err(Errno::LOOP) => return Err(refuse(THROUGH_A_LINK)),
            Err(_) => return Err(refuse("is not in the image")),
        };
        let about = statat(&from, OsStr::from_bytes(target.name()), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|_| refuse("is not in the image"))?;
        match FileType::from_raw_mode(about.st_mode) {
            // The link itself is what is named twice; nothing is followed.
            FileType::RegularFile | FileType::Symlink => {}
            _ => return Err(refuse("is no file")),
        }
        let parent = self.parent(place)?;
        let failed = |e: Errno| refuse(&format!("cannot be linked: {e}"));
        remove(parent.as_fd(), place.name()).map_err(failed)?;
        let (old, new) = (OsStr::from_bytes(target.name()), OsStr::from_bytes(place.name()));
        linkat(&from, old, &parent, new, AtFlags::empty()).map_err(failed)
    }

    /// Replaces a file of the image by one of ours, if its directory is there.
    pub(super) fn put(&mut self, dir: &str, name: &str, content: &[u8]) -> Result<(), Refusal> {
        let refuse = |e: String| Refusal::of(format!("{dir}/{name}").as_bytes(), e);
        let parent = match self.open(&[dir.as_bytes().to_vec()]) {
            Ok(parent) => parent,
            // It has none, or a link: then cages have what they have without an image, or what it leads to.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(()),
            Err(error) => return Err(refuse(error.to_string())),
        };
        remove(parent.as_fd(), name.as_bytes()).map_err(|e| refuse(e.to_string()))?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        let file = open_beneath(parent.as_fd(), name.as_bytes(), flags).map_err(|e| refuse(e.to_string()))?;
        fill(file, false, 0, content.len() as u64, &mut &*content).map_err(refuse)
    }

    fn count(&mut self, place: &Place) -> Result<(), Refusal> {
        self.files += 1;
        match self.files > self.limits.files_max {
            true => Err(Refusal::of(&place.path(), "is one entry more than is allowed; raise `files_max`")),
            false => Ok(()),
        }
    }

    fn open(&self, dirs: &[Vec<u8>]) -> Result<OwnedFd, Errno> {
        let path = if dirs.is_empty() { b".".to_vec() } else { dirs.join(&b'/') };
        open_beneath(self.root.as_fd(), &path, OFlags::PATH | OFlags::DIRECTORY)
    }

    /// The directory in which the entry lies. What is missing on the way is made.
    fn parent(&mut self, place: &Place) -> Result<OwnedFd, Refusal> {
        let refuse = |why: String| Refusal::of(&place.path(), why);
        let told = |error: Errno| match error {
            Errno::LOOP => refuse(THROUGH_A_LINK.into()),
            Errno::NOTDIR => refuse("lies in what is no directory".into()),
            error => refuse(format!("cannot be written: {error}")),
        };
        match self.open(place.dirs()) {
            Err(Errno::NOENT) => {}
            other => return other.map_err(told),
        }
        for end in 1..=place.dirs().len() {
            let Some((name, above)) = place.dirs().get(..end).and_then(<[Vec<u8>]>::split_last) else {
                continue;
            };
            let above = self.open(above).map_err(told)?;
            match make_directory(above.as_fd(), name) {
                Ok(()) => self.count(place)?,
                Err(Errno::EXIST) => {}
                Err(error) => return Err(told(error)),
            }
        }
        self.open(place.dirs()).map_err(told)
    }
}

const THROUGH_A_LINK: &str = "lies behind a link, and a layer is not written through links";

fn is_every_cages_own(place: &Place) -> bool {
    EVERY_CAGES_OWN.contains(&place.top().0)
}

fn open_beneath(dir: BorrowedFd<'_>, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::BENEATH
        | ResolveFlags::NO_SYMLINKS
        | ResolveFlags::NO_MAGICLINKS
        | ResolveFlags::NO_XDEV;
    let mode = if flags.contains(OFlags::CREATE) { Mode::from_raw_mode(0o600) } else { Mode::empty() };
    openat2(dir, OsStr::from_bytes(path), flags | OFlags::CLOEXEC, mode, resolve)
}

fn is_directory(dir: BorrowedFd<'_>, name: &[u8]) -> bool {
    statat(dir, OsStr::from_bytes(name), AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|about| FileType::from_raw_mode(about.st_mode) == FileType::Directory)
}

/// A directory that everybody may enter, whatever our own mask of rights is.
fn make_directory(dir: BorrowedFd<'_>, name: &[u8]) -> Result<(), Errno> {
    let (name, mode) = (OsStr::from_bytes(name), Mode::from_raw_mode(0o755));
    mkdirat(dir, name, mode)?;
    chmodat(dir, name, mode, AtFlags::empty())
}

fn fill(
    file: OwnedFd,
    executable: bool,
    modified: u64,
    size: u64,
    content: &mut dyn Read,
) -> Result<(), String> {
    let mut file = File::from(file);
    let wrong = |e: std::io::Error| format!("cannot be written: {e}");
    let mut buffer = vec![0; 64 << 10];
    let mut left = size;
    while left > 0 {
        let want = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let space = buffer.get_mut(..want).unwrap_or_default();
        let count = content.read(space).map_err(|e| format!("cannot be read: {e}"))?;
        if count == 0 {
            return Err("ends early".into());
        }
        file.write_all(space.get(..count).unwrap_or_default()).map_err(wrong)?;
        left = left.saturating_sub(count as u64);
    }
    let mode = Mode::from_raw_mode(if executable { 0o555 } else { 0o444 });
    fchmod(&file, mode).map_err(|e| wrong(e.into()))?;
    // Compiled Python is read only if it is as old as its source says.
    let seconds = Timespec { tv_sec: i64::try_from(modified).unwrap_or(0), tv_nsec: 0 };
    let times = Timestamps { last_access: seconds, last_modification: seconds };
    futimens(&file, &times).map_err(|e| wrong(e.into()))
}

/// Takes away whatever has that name, and what is in it.
fn remove(dir: BorrowedFd<'_>, name: &[u8]) -> Result<(), Errno> {
    let path = OsStr::from_bytes(name);
    match unlinkat(dir, path, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(Errno::ISDIR) => {
            empty(&open_beneath(dir, name, OFlags::RDONLY | OFlags::DIRECTORY)?)?;
            unlinkat(dir, path, AtFlags::REMOVEDIR)
        }
        Err(error) => Err(error),
    }
}

fn empty(dir: &OwnedFd) -> Result<(), Errno> {
    // All names first: what is read while names go away is not said to be complete.
    let names: Vec<_> = Dir::read_from(dir)?
        .filter_map(|entry| entry.ok().map(|entry| entry.file_name().to_bytes().to_vec()))
        .filter(|name| name != b"." && name != b"..")
        .collect();
    names.iter().try_for_each(|name| remove(dir.as_fd(), name))
}
