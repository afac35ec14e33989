//! The folder of this user's in which keeps are written down, and one file in it. Whoever could write there could have
//! changes made that nobody has seen, so it is believed only if it is this user's alone, and never through a link.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use aecl_kernel::base::digest::Digest;
use rustix::fs::{AtFlags, Dir, FlockOperation, Mode, OFlags, flock, fsync, openat, unlinkat};
use rustix::io::Errno;

use super::record::{Record, is_tag};

/// More than such a file ever has.
const FILE_MAX_BYTES: u64 = 256 << 20;
/// Most keeps of one user that are looked at.
const FILES_MAX: usize = 1_000;
/// What stands behind the tag in the name of a file.
const ENDING: &str = ".keep";

/// How far a keep has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// What is new is being written beside its place; nothing else is touched.
    Staging,
    /// All of it is on disk, and names change.
    Moving,
    /// All that had changed names was put back.
    TakenBack,
}

/// A folder that is held open.
pub(super) struct Folder {
    dir: OwnedFd,
    path: PathBuf,
}

/// One file in it, which nobody else works on as long as it is held.
pub(super) struct Journal {
    folder: OwnedFd,
    name: String,
    file: File,
    /// Of the record that stands in it first.
    digest: Digest,
}

/// What is in a file.
pub(super) enum Entry {
    /// Somebody works on it.
    Busy,
    /// Nothing was begun yet.
    Empty(Journal),
    /// What was begun.
    Begun(Journal, Record, Stage),
    /// It does not count, and why.
    Unbelieved(PathBuf, String),
}

impl Folder {
    /// Makes it if it is not there.
    pub(super) fn make(path: &Path) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        Self::open(path)
    }

    /// Opens it if it is this user's alone.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
        let dir = match rustix::fs::open(path, flags, Mode::empty()) {
            Err(Errno::LOOP | Errno::MLINK | Errno::NOTDIR) => {
                return Err(wrong("it is no directory, or a link to one"));
            }
            opened => opened?,
        };
        let dir = File::from(dir);
        let about = dir.metadata()?;
        if about.uid() != rustix::process::geteuid().as_raw() || about.mode() & 0o077 != 0 {
            return Err(wrong("others may enter it, or it is not yours"));
        }
        Ok(Self { dir: dir.into(), path: path.to_owned() })
    }

    /// Files appear and are taken over one at a time.
    fn lock(&self) -> io::Result<Locked<'_>> {
        flock(&self.dir, FlockOperation::LockExclusive)?;
        Ok(Locked(self))
    }

    /// A new file for this tag.
    pub(super) fn begin(&self, record: &Record) -> io::Result<Journal> {
        let name = format!("{}{ENDING}", record.tag);
        let mut line = serde_json::to_vec(record)?;
        let digest = Digest::of(&line);
        line.push(b'\n');
        if line.len() as u64 > FILE_MAX_BYTES {
            return Err(wrong("these are too many files for one keep"));
        }
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let journal = {
            let _locked = self.lock()?;
            let file = File::from(openat(&self.dir, &name, flags, Mode::RUSR | Mode::WUSR)?);
            let journal = Journal { folder: self.dir.try_clone()?, name, file, digest };
            flock(&journal.file, FlockOperation::NonBlockingLockExclusive)
                .inspect_err(|_| journal.unlink())?;
            journal
        };
        let written = (&journal.file)
            .write_all(&line)
            .and_then(|()| journal.file.sync_all())
            .and_then(|()| Ok(fsync(&self.dir)?));
        match written {
            Ok(()) => Ok(journal),
            Err(e) => {
                journal.unlink();
                Err(e)
            }
        }
    }

    /// All that is in it, as far as nobody works on it.
    pub(super) fn entries(&self) -> io::Result<Vec<Entry>> {
        let _locked = self.lock()?;
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.dir)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            if name.strip_suffix(ENDING).is_some_and(is_tag) && names.len() < FILES_MAX {
                names.push(name.to_owned());
            }
        }
        names.sort();
        Ok(names.into_iter().map(|name| self.entry(name)).collect())
    }

    fn entry(&self, name: String) -> Entry {
        let path = self.path.join(&name);
        match self.read(name) {
            Ok(entry) => entry,
            Err(e) => Entry::Unbelieved(path, e.to_string()),
        }
    }

    fn read(&self, name: String) -> io::Result<Entry> {
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let mut file = match openat(&self.dir, &name, flags, Mode::empty()) {
            Err(Errno::LOOP | Errno::MLINK) => return Err(wrong("it is a link")),
            opened => File::from(opened?),
        };
        let about = file.metadata()?;
        let is_ours = about.uid() == rustix::process::geteuid().as_raw() && about.mode() & 0o077 == 0;
        if !about.is_file() || !is_ours || about.nlink() != 1 {
            return Err(wrong("it is not yours alone, or no plain file"));
        }
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => return Ok(Entry::Busy),
            locked => locked?,
        }
        if about.len() > FILE_MAX_BYTES {
            return Err(wrong("it is too long"));
        }
        let mut bytes = Vec::new();
        (&mut file).take(FILE_MAX_BYTES).read_to_end(&mut bytes)?;
        let tag = name.strip_suffix(ENDING).unwrap_or_default().to_owned();
        // A line without its end was being written, and nothing that it announces has begun.
        let mut lines = bytes.split_inclusive(|b| *b == b'\n').filter_map(|line| line.strip_suffix(b"\n"));
        let first = lines.next();
        let digest = Digest::of(first.unwrap_or_default());
        let journal = Journal { folder: self.dir.try_clone()?, name, file, digest };
        let Some(first) = first else { return Ok(Entry::Empty(journal)) };
        let record: Record =
            serde_json::from_slice(first).map_err(|e| wrong(&format!("it does not read: {e}")))?;
        record.check().map_err(|why| wrong(&why))?;
        if record.tag != tag {
            return Err(wrong("it has the name of another"));
        }
        let marks = lines.filter_map(|line| Stage::read(line, &digest));
        let stage = marks.fold(Stage::Staging, |_, stage| stage);
        Ok(Entry::Begun(journal, record, stage))
    }
}

struct Locked<'a>(&'a Folder);

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        // It ends with the descriptor at the latest.
        let _ = flock(&self.0.dir, FlockOperation::Unlock);
    }
}

impl Stage {
    fn word(self) -> &'static str {
        match self {
            Self::Staging => "staging",
            Self::Moving => "moving",
            Self::TakenBack => "taken back",
        }
    }

    /// A line that says so of this record.
    fn read(line: &[u8], of: &Digest) -> Option<Self> {
        let said = std::str::from_utf8(line).ok()?;
        [Self::Moving, Self::TakenBack].into_iter().find(|stage| said == format!("{} {of}", stage.word()))
    }
}

impl Journal {
    /// Writes down how far it has come, so that it stays there.
    pub(super) fn mark(&mut self, stage: Stage) -> io::Result<()> {
        let digest = self.digest;
        self.file.seek(io::SeekFrom::End(0))?;
        self.file.write_all(format!("{} {digest}\n", stage.word()).as_bytes())?;
        self.file.sync_all()
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn path(&self, dir: &Path) -> PathBuf {
        dir.join(&self.name)
    }

    /// Forgets it: nothing is left to do.
    pub(super) fn forget(self) {
        self.unlink();
        let _ = fsync(&self.folder);
    }

    fn unlink(&self) {
        let _ = unlinkat(&self.folder, self.name.as_str(), AtFlags::empty());
    }
}

fn wrong(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, why.to_owned())
}
