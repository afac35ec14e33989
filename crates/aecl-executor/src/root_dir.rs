//! A directory of the host that is held open, and the only way to what lies below it.
//!
//! Every path is walked from that descriptor, one component after the other, and no link is followed on any of
//! them: what somebody was shown under a path is what is read, compared and written under it. Files are opened
//! so that nothing waits, and read only if they are plain files, piece by piece and never beyond a limit.

mod file;
mod moved;

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, fstat, openat, readlinkat, statat};
use rustix::io::Errno;

pub use file::read_plain;
pub(crate) use file::{Plain, Reading};
pub(crate) use moved::{exchange, rename_new};

/// How a directory is opened: itself, never what a link of its name leads to.
const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::CLOEXEC);

/// How a directory on the way is opened: whoever may only pass through it passes.
#[cfg(target_os = "linux")]
const THROUGH: OFlags = DIRECTORY.difference(OFlags::NONBLOCK.union(OFlags::NOCTTY)).union(OFlags::PATH);
#[cfg(not(target_os = "linux"))]
const THROUGH: OFlags = DIRECTORY;

/// A directory that is held open.
#[derive(Debug)]
pub struct RootDir {
    top: OwnedFd,
    named: PathBuf,
    /// No link may be on the way to it either.
    is_strict: bool,
}

/// Errors of something below a place that is not reached.
#[derive(Debug, thiserror::Error)]
pub enum RootError {
    /// A link stands where a directory should.
    #[error("`{0}` is a symbolic link, and no link is followed")]
    Link(String),
    /// The system refused.
    #[error("`{0}`: {1}")]
    Io(String, #[source] io::Error),
}

/// State of a path: what is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathState {
    /// Nothing.
    Nothing,
    /// A plain file.
    File(FileStamp),
    /// A directory.
    Directory(FileStamp),
    /// A symbolic link with its target, byte for byte.
    Link(FileStamp, Vec<u8>),
    /// Something else that has a name and is left alone.
    Other(FileStamp, &'static str),
}

/// Stamp of a file and its last change. Two that are equal are the same file, untouched in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileStamp {
    /// Its device and number.
    pub id: (u64, u64),
    /// Its length in bytes.
    pub size: u64,
    /// Its permission bits.
    pub mode: u32,
    /// Its owner and group.
    pub owner: (u32, u32),
    /// When its content changed, in nanoseconds.
    pub modified_ns: i128,
    /// When anything about it changed, in nanoseconds. Nobody can set this.
    pub changed_ns: i128,
}

impl FileStamp {
    #[allow(
        clippy::useless_conversion,
        clippy::unnecessary_cast,
        clippy::cast_lossless,
        reason = "types of `stat` differ from system to system"
    )]
    fn of(about: &Stat) -> Self {
        let ns = |seconds: i128, ns: i128| seconds * 1_000_000_000 + ns;
        Self {
            id: (about.st_dev as u64, about.st_ino as u64),
            size: u64::try_from(about.st_size).unwrap_or_default(),
            mode: u32::from(about.st_mode) & 0o7777,
            owner: (about.st_uid, about.st_gid),
            modified_ns: ns(about.st_mtime as i128, about.st_mtime_nsec as i128),
            changed_ns: ns(about.st_ctime as i128, about.st_ctime_nsec as i128),
        }
    }

    /// Whether it is the same file with the same content; its name, mode and owner may be others.
    #[must_use]
    pub fn is_content_of(&self, other: &Self) -> bool {
        (self.id, self.size, self.modified_ns) == (other.id, other.size, other.modified_ns)
    }
}

impl PathState {
    /// Which file it is, if there is one.
    #[must_use]
    pub fn identity(&self) -> Option<&FileStamp> {
        match self {
            Self::Nothing => None,
            Self::File(identity)
            | Self::Directory(identity)
            | Self::Link(identity, _)
            | Self::Other(identity, _) => Some(identity),
        }
    }
}

impl fmt::Display for PathState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "nothing is there",
            Self::File(_) => "a file is there",
            Self::Directory(_) => "a directory is there",
            Self::Link(..) => "a symbolic link is there",
            Self::Other(_, what) => what,
        })
    }
}

/// How far a path leads.
pub(crate) struct Walked<'a> {
    /// The last directory on the way that is there.
    pub(crate) dir: OwnedFd,
    /// What of the path is left from there: one name, unless directories are missing.
    pub(crate) rest: &'a str,
}

impl<'a> Walked<'a> {
    /// The name of the last component, if everything before it is there.
    pub(crate) fn name(&self) -> Option<&'a str> {
        (!self.rest.contains('/')).then_some(self.rest)
    }
}

impl RootDir {
    /// Opens the directory that somebody named. Links in this one path are the operator's and followed.
    ///
    /// # Errors
    /// When it is no directory, or may not be read.
    pub fn open(named: &Path) -> io::Result<Self> {
        let flags = DIRECTORY.difference(OFlags::NOFOLLOW);
        let top = rustix::fs::open(named, flags, Mode::empty())?;
        Ok(Self { top, named: named.to_owned(), is_strict: false })
    }

    /// Opens a directory to whose absolute path no link may lead, as with the views of a cage.
    ///
    /// # Errors
    /// When a link is on the way, when it is no directory, or may not be read.
    pub fn open_strict(named: &Path) -> io::Result<Self> {
        Ok(Self { top: without_links(named)?, named: named.to_owned(), is_strict: true })
    }

    /// The path by which it was opened.
    #[must_use]
    pub fn named(&self) -> &Path {
        &self.named
    }

    /// Whether its path still leads to it. Where it does not, whatever is said of files by that path would be said
    /// of others.
    #[must_use]
    pub fn is_still_named(&self) -> bool {
        let now = match self.is_strict {
            true => without_links(&self.named).ok(),
            false => {
                rustix::fs::open(&self.named, DIRECTORY.difference(OFlags::NOFOLLOW), Mode::empty()).ok()
            }
        };
        let id = |dir: &OwnedFd| fstat(dir).ok().map(|about| FileStamp::of(&about).id);
        now.is_some_and(|now| id(&now).is_some() && id(&now) == id(&self.top))
    }

    /// Walks to the directory in which a path ends, or to the last one on the way that is there.
    pub(crate) fn walk<'a>(&self, path: &'a str) -> Result<Walked<'a>, RootError> {
        let io = |e: Errno| RootError::Io(path.to_owned(), e.into());
        // Callers have looked at this before; a place does not rely on it.
        if path.split('/').any(|component| matches!(component, "" | "." | "..")) {
            return Err(io(Errno::INVAL));
        }
        let mut dir = rustix::io::fcntl_dupfd_cloexec(&self.top, 3).map_err(io)?;
        let mut rest = path;
        while let Some((component, below)) = rest.split_once('/') {
            match openat(&dir, component, THROUGH, Mode::empty()) {
                Ok(next) => (dir, rest) = (next, below),
                Err(Errno::NOENT) => break,
                // Not a directory, or a link; the two are told apart by looking at the name itself.
                Err(error @ (Errno::NOTDIR | Errno::LOOP | Errno::MLINK)) => {
                    let about = statat(&dir, component, AtFlags::SYMLINK_NOFOLLOW).map_err(io)?;
                    match FileType::from_raw_mode(about.st_mode) {
                        FileType::Symlink => {
                            let upto = path.len() - below.len() - 1;
                            let link = path.get(..upto).unwrap_or(path);
                            return Err(RootError::Link(link.to_owned()));
                        }
                        FileType::Directory => return Err(io(error)),
                        _ => break,
                    }
                }
                Err(error) => return Err(io(error)),
            }
        }
        Ok(Walked { dir, rest })
    }

    /// What is at a path.
    ///
    /// # Errors
    /// When a link is on the way, or the system does not say.
    pub fn look(&self, path: &str) -> Result<PathState, RootError> {
        let walked = self.walk(path)?;
        let Some(name) = walked.name() else { return Ok(PathState::Nothing) };
        at(&walked.dir, name).map_err(|e| RootError::Io(path.to_owned(), e.into()))
    }

    /// The names in a directory, sorted; at most so many, and whether there are more. A name that is no UTF-8 is
    /// given as far as it can be read, and marked. An empty path is the place itself.
    pub(crate) fn names(&self, path: &str, most: usize) -> Result<(Vec<Name>, bool), RootError> {
        let io = |e: Errno| RootError::Io(path.to_owned(), e.into());
        let dir = if path.is_empty() {
            openat(&self.top, ".", DIRECTORY, Mode::empty()).map_err(io)?
        } else {
            let walked = self.walk(path)?;
            let name = walked.name().ok_or_else(|| io(Errno::NOENT))?;
            openat(&walked.dir, name, DIRECTORY, Mode::empty()).map_err(io)?
        };
        let (mut names, mut are_more) = (Vec::new(), false);
        for entry in Dir::new(dir).map_err(io)? {
            let entry = entry.map_err(io)?;
            match entry.file_name().to_bytes() {
                b"." | b".." => {}
                _ if names.len() >= most => {
                    are_more = true;
                    break;
                }
                bytes => names.push(match std::str::from_utf8(bytes) {
                    Ok(name) => Name::Plain(name.to_owned()),
                    Err(_) => Name::Odd(String::from_utf8_lossy(bytes).into_owned()),
                }),
            }
        }
        names.sort();
        Ok((names, are_more))
    }

    /// Opens a plain file for reading.
    pub(crate) fn open_file(&self, path: &str) -> Result<Option<Plain>, RootError> {
        let walked = self.walk(path)?;
        let Some(name) = walked.name() else { return Ok(None) };
        Plain::open_at(&walked.dir, name).map_err(|e| RootError::Io(path.to_owned(), e))
    }

    /// Makes what was done in the directory of a path durable.
    pub(crate) fn settle(&self, path: &str) -> Result<(), RootError> {
        let walked = self.walk(path)?;
        let opened = openat(&walked.dir, ".", DIRECTORY, Mode::empty());
        match opened.and_then(rustix::fs::fsync) {
            // Some file systems know no such thing for directories, and some directories are not ours to read.
            Ok(()) | Err(Errno::INVAL | Errno::ACCESS) => Ok(()),
            Err(e) => Err(RootError::Io(path.to_owned(), e.into())),
        }
    }
}

/// A name in a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Name {
    /// As it is.
    Plain(String),
    /// No UTF-8; this is only fit to be shown.
    Odd(String),
}

/// What has this name in a directory.
pub(crate) fn at(dir: &OwnedFd, name: &str) -> rustix::io::Result<PathState> {
    let about = match statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(about) => about,
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(PathState::Nothing),
        Err(e) => return Err(e),
    };
    let identity = FileStamp::of(&about);
    Ok(match FileType::from_raw_mode(about.st_mode) {
        FileType::RegularFile => PathState::File(identity),
        FileType::Directory => PathState::Directory(identity),
        FileType::Symlink => PathState::Link(identity, readlinkat(dir, name, Vec::new())?.into_bytes()),
        FileType::Fifo => PathState::Other(identity, "a named pipe is there"),
        FileType::Socket => PathState::Other(identity, "a socket is there"),
        FileType::CharacterDevice | FileType::BlockDevice => PathState::Other(identity, "a device is there"),
        FileType::Unknown => PathState::Other(identity, "nobody knows what is there"),
    })
}

/// Opens the directory at an absolute path in which no component is a link.
fn without_links(path: &Path) -> io::Result<OwnedFd> {
    let wrong = || io::Error::new(io::ErrorKind::InvalidInput, "it is no absolute path without `..`");
    let mut components = path.components();
    if components.next() != Some(Component::RootDir) {
        return Err(wrong());
    }
    let mut dir = rustix::fs::open("/", THROUGH, Mode::empty())?;
    for component in components {
        let Component::Normal(name) = component else { return Err(wrong()) };
        dir = openat(&dir, name, THROUGH, Mode::empty())?;
    }
    Ok(openat(&dir, ".", DIRECTORY, Mode::empty())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn no_link_is_followed_on_any_component() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("real/deep")).unwrap();
        fs::write(dir.path().join("real/deep/file"), "x").unwrap();
        symlink("real", dir.path().join("way")).unwrap();
        symlink("deep", dir.path().join("real/in")).unwrap();
        let place = RootDir::open(dir.path()).unwrap();
        assert!(matches!(place.look("real/deep/file").unwrap(), PathState::File(_)));
        for (path, link) in [
            ("way/deep/file", "way"),
            ("real/in/file", "real/in"),
            ("way/none/none", "way"),
            ("way/x", "way"),
        ] {
            assert!(matches!(place.look(path), Err(RootError::Link(at)) if at == link), "{path}");
        }
        assert!(matches!(place.look("way").unwrap(), PathState::Link(_, target) if target == b"real"));
        assert_eq!(place.look("real/deep/file/below").unwrap(), PathState::Nothing);
        assert_eq!(place.look("none/none/none").unwrap(), PathState::Nothing);
    }

    #[test]
    fn a_place_that_was_swapped_is_not_the_one_of_that_name() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().canonicalize().unwrap();
        let (root, other) = (top.join("root"), top.join("other"));
        fs::create_dir(&root).unwrap();
        fs::create_dir(&other).unwrap();
        let place = RootDir::open_strict(&root).unwrap();
        assert!(place.is_still_named());
        fs::rename(&root, top.join("away")).unwrap();
        assert!(!place.is_still_named());
        symlink(&other, &root).unwrap();
        assert!(!place.is_still_named());
        assert!(RootDir::open_strict(&root).is_err(), "a link leads there");
        // What was held is what is looked at.
        fs::write(other.join("file"), "").unwrap();
        assert_eq!(place.look("file").unwrap(), PathState::Nothing);
    }
}
