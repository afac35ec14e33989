//! What is new waits beside its place until all of it is on disk.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;

use rustix::fs::{
    AtFlags, Gid, Mode, OFlags, Uid, chownat, fchmod, fchown, fstat, openat, symlinkat, unlinkat,
};

use super::{Making, failed, raw};
use crate::connectors::files::FilesError;
use crate::connectors::files::change::{New, NewKind, OURS};
use crate::connectors::files::survey::Step;
use crate::root_dir::{PathState, RootDir, RootError, at};

/// The names under which things of one path wait, in the nearest directory above it that is there and stays.
#[derive(Clone, Debug)]
pub(in super::super) struct Waiting {
    /// That directory; empty for the place itself.
    pub(in super::super) beside: String,
    /// Where what is new waits.
    pub(in super::super) new: String,
    /// Where what was there lies when it is set aside.
    pub(in super::super) old: String,
    /// Whose that directory is.
    owner: (u32, u32),
}

impl Waiting {
    /// The names of the path with this number.
    pub(in super::super) fn of(beside: &str, tag: &str, number: usize) -> Self {
        let dir = if beside.is_empty() { String::new() } else { format!("{beside}/") };
        let new = format!("{dir}{OURS}{tag}-{number}");
        Self { beside: beside.to_owned(), old: format!("{new}-old"), new, owner: (0, 0) }
    }
}

/// The names for all of them, by path.
pub(super) fn names(
    place: &RootDir,
    steps: &[Step],
    tag: &str,
) -> Result<BTreeMap<String, Waiting>, FilesError> {
    let removed = steps.iter().filter(|step| step.removes_directory());
    let removed: BTreeSet<&str> = removed.map(|step| step.wanted.path.as_str()).collect();
    let mut known = BTreeMap::<&str, (String, (u32, u32))>::new();
    let mut names = BTreeMap::new();
    for (number, step) in (1..).zip(steps) {
        let path = step.wanted.path.as_str();
        let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
        if !known.contains_key(parent) {
            known.insert(parent, nearest(place, parent, &removed)?);
        }
        if let Some((beside, owner)) = known.get(parent) {
            names.insert(path.to_owned(), Waiting { owner: *owner, ..Waiting::of(beside, tag, number) });
        }
    }
    Ok(names)
}

fn nearest(
    place: &RootDir,
    parent: &str,
    removed: &BTreeSet<&str>,
) -> Result<(String, (u32, u32)), FilesError> {
    let mut dir = parent;
    while !dir.is_empty() {
        let goes = removed.iter().any(|gone| is_at_or_below(dir, gone));
        match place.look(dir) {
            Ok(PathState::Directory(found)) if !goes => return Ok((dir.to_owned(), found.owner)),
            // Something else, or below a link that goes: nothing can wait there.
            Ok(_) | Err(RootError::Link(_)) => {}
            Err(e) => return Err(e.into()),
        }
        dir = dir.rsplit_once('/').map_or("", |(above, _)| above);
    }
    let walked = place.walk("x")?;
    let about = fstat(&walked.dir).map_err(|e| failed("read", ".", e))?;
    Ok((String::new(), (about.st_uid, about.st_gid)))
}

impl Making<'_> {
    /// Writes something new beside its place.
    pub(super) fn stage(&mut self, step: &Step, new: &New) -> Result<(), FilesError> {
        let path = &step.wanted.path;
        let Waiting { new: waiting, owner: around, .. } = self.waiting(path)?;
        let (dir, name) = self.open(&waiting)?;
        let owner = match &step.there {
            PathState::File(old) | PathState::Link(old, _) => old.owner,
            // What root makes belongs to whom the directory belongs.
            PathState::Nothing | PathState::Directory(_) | PathState::Other(..) => around,
        };
        let done = match &new.kind {
            NewKind::File { bytes, .. } => write(&dir, name, bytes, step.mode(new), owner),
            NewKind::Link(target) => {
                symlinkat(target.as_str(), &dir, name).map_err(io::Error::from).map(|()| {
                    let (uid, gid) = owner_of(owner);
                    // Where it is not allowed, it is ours, like any new file.
                    let _ = chownat(&dir, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW);
                })
            }
            NewKind::Directory => Ok(()),
        };
        if let Err(e) = done {
            if e.kind() != io::ErrorKind::AlreadyExists {
                let _ = unlinkat(&dir, name, AtFlags::empty());
            }
            return Err(FilesError::Io("write", path.clone(), e));
        }
        let id = at(&dir, name).map_err(|e| failed("write", path, e))?.identity().map(|one| one.id);
        self.staged.insert(path.clone(), (waiting.clone(), id.unwrap_or_default()));
        Ok(())
    }
}

fn write(dir: &OwnedFd, name: &str, bytes: &[u8], mode: u32, owner: (u32, u32)) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = File::from(openat(dir, name, flags, Mode::RUSR | Mode::WUSR)?);
    file.write_all(bytes)?;
    let about = fstat(&file)?;
    if (about.st_uid, about.st_gid) != owner {
        let (uid, gid) = owner_of(owner);
        // An ordinary user cannot give a file away, but may keep its group.
        if fchown(&file, uid, gid).is_err() {
            let _ = fchown(&file, None, gid);
        }
    }
    fchmod(&file, Mode::from_raw_mode(raw(mode)))?;
    file.sync_all()
}

pub(super) fn owner_of((uid, gid): (u32, u32)) -> (Option<Uid>, Option<Gid>) {
    (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))
}

fn is_at_or_below(path: &str, above: &str) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
