//! Makes changes in a place: all of them or none, and nothing outside of what was shown.
//!
//! Everything is written beside its place first. Only when all of it is on disk do names change, one by one, and
//! never over something that nobody has looked at: what goes is set aside and looked at again, what comes takes a
//! name that nothing has, or changes names with what was looked at. If one of them cannot, those before it are
//! taken back. What was set aside is removed when all is in place.

mod back;
mod stage;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, Mode, OFlags, chownat, fchmod, fstat, mkdirat, openat, unlinkat};
use rustix::io::Errno;

use super::FilesError;
use super::change::{Before, New, NewKind};
use super::survey::{GoOn, Step, is_same, look_past};
use crate::root_dir::{PathState, RootDir, RootError, exchange, rename_new};
use back::Done;
pub(super) use back::Moving;
pub(super) use stage::Waiting;
use stage::owner_of;

/// Makes the changes. `go_on` is asked before each file is written; once names change there is no way back but the
/// whole way forward.
pub(super) fn make(place: &RootDir, steps: &[Step], tag: &str, go_on: GoOn<'_>) -> Result<(), FilesError> {
    let mut making = Making::new(place, steps, tag)?;
    // Dropped at each way out: what is not in its place then is removed.
    let staged = making.stage_all(go_on);
    let moved = staged.and_then(|()| making.move_all());
    match moved {
        Ok(()) => {
            making.settle()?;
            making.remove_what_was()
        }
        Err(cause) => Err(making.take_back().err().unwrap_or(cause)),
    }
}

/// Whether the directory is where it was shown. Held open, it would be changed wherever somebody has moved it.
pub(super) fn still_named(place: &RootDir) -> Result<(), FilesError> {
    match place.is_still_named() {
        true => Ok(()),
        false => Err(FilesError::Swapped(place.named().display().to_string())),
    }
}

/// Changes of one place on their way.
pub(super) struct Making<'a> {
    place: &'a RootDir,
    steps: &'a [Step],
    /// The names under which things wait, by path.
    names: BTreeMap<String, Waiting>,
    /// What is written and not in its place yet: where, and which file it is.
    staged: BTreeMap<String, (String, (u64, u64))>,
    done: Vec<Done>,
    /// A record names what waits, so that it is finished by whoever reads that: nothing of it is removed here.
    pub(super) is_on_record: bool,
}

impl Drop for Making<'_> {
    fn drop(&mut self) {
        if self.is_on_record {
            return;
        }
        for (waiting, _) in std::mem::take(&mut self.staged).into_values() {
            // Nobody else uses these names; what cannot be removed now is only litter.
            drop(self.unlink(&waiting, AtFlags::empty()));
        }
    }
}

impl<'a> Making<'a> {
    /// Looks for names under which things can wait, and writes nothing.
    pub(super) fn new(place: &'a RootDir, steps: &'a [Step], tag: &str) -> Result<Self, FilesError> {
        let names = stage::names(place, steps, tag)?;
        Ok(Self { place, steps, names, staged: BTreeMap::new(), done: Vec::new(), is_on_record: false })
    }

    /// The same where all that is new waits already, under these names, as a record says.
    pub(super) fn resumed(
        place: &'a RootDir,
        steps: &'a [Step],
        names: BTreeMap<String, Waiting>,
    ) -> Result<Self, FilesError> {
        let mut making =
            Self { place, steps, names, staged: BTreeMap::new(), done: Vec::new(), is_on_record: true };
        for step in steps.iter().filter(|step| step.is_staged()) {
            let path = &step.wanted.path;
            let waits = making.waiting(path)?.new;
            let id = place.look(&waits)?.identity().map(|one| one.id).unwrap_or_default();
            making.staged.insert(path.clone(), (waits, id));
        }
        Ok(making)
    }

    pub(super) fn place(&self) -> &'a RootDir {
        self.place
    }

    pub(super) fn steps(&self) -> &'a [Step] {
        self.steps
    }

    /// The names under which things of this path wait.
    pub(super) fn waiting(&self, path: &str) -> Result<Waiting, FilesError> {
        self.names.get(path).cloned().ok_or_else(|| failed("reach", path, Errno::NOENT))
    }
}

impl Making<'_> {
    /// The directory of a path and its last component.
    fn open<'p>(&self, path: &'p str) -> Result<(OwnedFd, &'p str), FilesError> {
        let walked = self.place.walk(path)?;
        match walked.name() {
            Some(name) => Ok((walked.dir, name)),
            None => Err(failed("reach", path, Errno::NOENT)),
        }
    }

    fn unlink(&self, path: &str, flags: AtFlags) -> Result<(), FilesError> {
        let (dir, name) = self.open(path)?;
        unlinkat(&dir, name, flags).map_err(|e| failed("remove", path, e))
    }

    /// Writes everything that is new, beside its place.
    pub(super) fn stage_all(&mut self, go_on: GoOn<'_>) -> Result<(), FilesError> {
        let steps = self.steps;
        let goes = |step: &&Step| {
            matches!(step.there, PathState::Link(..))
                && step.wanted.after.as_ref().is_none_or(|new| new.kind == NewKind::Directory)
        };
        let replaced = steps.iter().filter(goes).map(|step| step.wanted.path.clone()).collect();
        for step in steps {
            go_on()?;
            let now = look_past(self.place, &step.wanted.path, &replaced)?;
            if !is_same(&now, &step.there) {
                return Err(FilesError::changed(&step.wanted.path, Before::Nothing, &now));
            }
            if let Some(new) = step.wanted.after.as_ref().filter(|_| step.is_staged()) {
                self.stage(step, new)?;
            }
        }
        go_on()?;
        still_named(self.place)
    }

    /// Changes names: first what goes, what is inside first; then what comes, what is outside first.
    pub(super) fn move_all(&mut self) -> Result<(), FilesError> {
        let steps = self.steps;
        let mut sorted: Vec<&Step> = steps.iter().collect();
        sorted.sort_by(|one, other| one.wanted.path.cmp(&other.wanted.path));
        for step in sorted.iter().rev() {
            let becomes_directory =
                step.wanted.after.as_ref().is_some_and(|new| new.kind == NewKind::Directory);
            let goes = match &step.there {
                PathState::Nothing => false,
                PathState::Directory(_) => step.wanted.after.is_none(),
                PathState::File(_) | PathState::Link(..) | PathState::Other(..) => {
                    step.wanted.after.is_none() || becomes_directory
                }
            };
            if goes {
                self.set_aside(step)?;
            }
        }
        for step in &sorted {
            match &step.wanted.after {
                None => {}
                Some(new) if new.kind == NewKind::Directory => self.directory(step)?,
                Some(_) => self.put(step)?,
            }
        }
        // Permissions of directories last, what is inside first: they may forbid us to enter.
        for step in sorted.into_iter().rev() {
            if let Some(New { kind: NewKind::Directory, mode: Some(mode), .. }) = &step.wanted.after {
                self.set_mode(step, *mode)?;
            }
        }
        self.verify(steps)
    }

    fn set_aside(&mut self, step: &Step) -> Result<(), FilesError> {
        let path = &step.wanted.path;
        let aside = self.waiting(path)?.old;
        let (from, name) = self.open(path)?;
        let (to, waits) = self.open(&aside)?;
        rename_new((&from, name), (&to, waits)).map_err(|e| failed("remove", path, e))?;
        self.done.push(Done::Aside { path: path.clone(), aside: aside.clone() });
        self.is_what_was_seen(step, &aside)
    }

    /// Whether what lies aside now is what was looked at.
    fn is_what_was_seen(&self, step: &Step, aside: &str) -> Result<(), FilesError> {
        let now = self.place.look(aside)?;
        let is_so = match (&step.there, &now) {
            (PathState::File(seen), PathState::File(now)) => now.is_content_of(seen),
            (PathState::Link(seen, target), PathState::Link(now, to)) => now.id == seen.id && target == to,
            (PathState::Directory(seen), PathState::Directory(now)) => {
                let (names, _) = self.place.names(aside, 1)?;
                now.id == seen.id && names.is_empty()
            }
            _ => false,
        };
        if is_so { Ok(()) } else { Err(FilesError::changed(&step.wanted.path, Before::Nothing, &now)) }
    }

    /// Makes a directory with those above it.
    fn directory(&mut self, step: &Step) -> Result<(), FilesError> {
        match &step.there {
            PathState::Directory(_) => Ok(()),
            PathState::Nothing | PathState::File(_) | PathState::Link(..) | PathState::Other(..) => {
                self.make_directories(&step.wanted.path)
            }
        }
    }

    fn set_mode(&mut self, step: &Step, mode: u32) -> Result<(), FilesError> {
        let path = &step.wanted.path;
        let opened = self.open_directory(path)?;
        let now = fstat(&opened).map_err(|e| failed("change", path, e))?;
        if let PathState::Directory(old) = &step.there {
            let seen = self.place.look(path)?;
            if seen.identity().map(|now| now.id) != Some(old.id) {
                return Err(FilesError::changed(path, Before::Nothing, &seen));
            }
        }
        let before = now.st_mode & 0o777;
        fchmod(&opened, Mode::from_raw_mode(raw(mode))).map_err(|e| failed("change", path, e))?;
        self.done.push(Done::Mode { path: path.clone(), before });
        Ok(())
    }

    fn open_directory(&self, path: &str) -> Result<OwnedFd, FilesError> {
        let (dir, name) = self.open(path)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        openat(&dir, name, flags, Mode::empty()).map_err(|e| failed("open", path, e))
    }

    /// Makes the directory at a path with all that are missing above it.
    fn make_directories(&mut self, path: &str) -> Result<(), FilesError> {
        let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
        for upto in ends.filter_map(|end| path.get(..end)) {
            let (dir, name) = self.open(upto)?;
            match mkdirat(&dir, name, Mode::from_raw_mode(0o777)) {
                Ok(()) => {
                    self.done.push(Done::Made { path: upto.to_owned() });
                    if let (true, Ok(about)) = (rustix::process::geteuid().is_root(), fstat(&dir)) {
                        let (uid, gid) = owner_of((about.st_uid, about.st_gid));
                        chownat(&dir, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)
                            .map_err(|e| failed("make", upto, e))?;
                    }
                }
                // One that is there is only good above the one that is asked for; the walk says what it is.
                Err(Errno::EXIST) if upto.len() < path.len() => {}
                Err(e) => return Err(failed("make", upto, e)),
            }
        }
        Ok(())
    }

    fn put(&mut self, step: &Step) -> Result<(), FilesError> {
        let path = &step.wanted.path;
        let Some((waiting, id)) = self.staged.get(path).cloned() else { return Ok(()) };
        if let (Some((parent, _)), PathState::Nothing) = (path.rsplit_once('/'), &step.there) {
            self.make_directories_above(parent)?;
        }
        let (from, waits) = self.open(&waiting)?;
        let (to, name) = self.open(path)?;
        if step.there == PathState::Nothing {
            rename_new((&from, waits), (&to, name)).map_err(|e| failed("replace", path, e))?;
            self.staged.remove(path);
            self.done.push(Done::Placed { path: path.clone(), id });
            return Ok(());
        }
        exchange((&from, waits), (&to, name)).map_err(|e| failed("replace", path, e))?;
        self.staged.remove(path);
        self.done.push(Done::Exchanged { path: path.clone(), id, aside: waiting.clone() });
        self.is_what_was_seen(step, &waiting)
    }

    fn make_directories_above(&mut self, parent: &str) -> Result<(), FilesError> {
        match self.place.look(parent)? {
            PathState::Directory(_) => Ok(()),
            _ => self.make_directories(parent),
        }
    }

    /// Whether each path leads to what was put there: a directory above it could have been moved meanwhile.
    fn verify(&self, steps: &[Step]) -> Result<(), FilesError> {
        still_named(self.place)?;
        let placed: BTreeMap<&str, (u64, u64)> = self.done.iter().filter_map(Done::placed).collect();
        for step in steps {
            let path = step.wanted.path.as_str();
            let now = self.place.look(path)?;
            let is_so = match &step.wanted.after {
                // What was there may be a directory now, with what was put into it.
                None => matches!(now, PathState::Nothing | PathState::Directory(_)),
                Some(new) if new.kind == NewKind::Directory => matches!(now, PathState::Directory(_)),
                Some(new) => {
                    now.identity().map(|now| &now.id) == placed.get(path)
                        && self.is_as_written(step, new, &now)?
                }
            };
            if !is_so {
                return Err(FilesError::changed(path, Before::Nothing, &now));
            }
        }
        Ok(())
    }

    /// Whether what is in place is what was written: while it waited it had a name, by which somebody could have written
    /// to it, too.
    fn is_as_written(&self, step: &Step, new: &New, now: &PathState) -> Result<bool, FilesError> {
        let (NewKind::File { bytes, digest }, PathState::File(stamp)) = (&new.kind, now) else {
            return Ok(matches!((&new.kind, now), (NewKind::Link(_), PathState::Link(..))));
        };
        let Some(mut file) = self.place.open_file(&step.wanted.path)? else { return Ok(false) };
        let found = file.digest(bytes.len() as u64, &mut || true);
        Ok(found.is_ok_and(|found| found == *digest) && stamp.mode & 0o777 == step.mode(new))
    }

    /// Makes durable what waits, before anything relies on it.
    pub(super) fn settle_staged(&self) -> Result<(), FilesError> {
        let waiting: BTreeMap<_, _> = self
            .staged
            .values()
            .map(|(waits, _)| (waits.rsplit_once('/').map(|(dir, _)| dir), waits))
            .collect();
        waiting.into_values().try_for_each(|waits| Ok(self.place.settle(waits)?))
    }

    /// Makes durable what changed names.
    pub(super) fn settle(&self) -> Result<(), FilesError> {
        let mut settled = BTreeSet::new();
        let paths = self.steps.iter().map(|step| step.wanted.path.as_str());
        for path in paths.chain(self.done.iter().filter_map(Done::aside)) {
            if settled.insert(path.rsplit_once('/').map(|(parent, _)| parent)) {
                // A directory that is gone has nothing left to settle.
                self.place.settle(path).map_err(|e| half(path, &e))?;
            }
        }
        Ok(())
    }

    /// Removes what was set aside.
    pub(super) fn remove_what_was(&mut self) -> Result<(), FilesError> {
        for done in std::mem::take(&mut self.done) {
            if let Done::Aside { aside, path } | Done::Exchanged { aside, path, .. } = done {
                let flags = match self.place.look(&aside) {
                    Ok(PathState::Directory(_)) => AtFlags::REMOVEDIR,
                    _ => AtFlags::empty(),
                };
                if let Err(e) = self.unlink(&aside, flags) {
                    let said = format!("what was there lies in `{aside}` and cannot be removed: {e}");
                    return Err(half(&path, &said));
                }
            }
        }
        Ok(())
    }
}

fn half(path: &str, e: &dyn std::fmt::Display) -> FilesError {
    FilesError::Half(path.to_owned(), io::Error::other(e.to_string()))
}

fn failed(what: &'static str, path: &str, e: Errno) -> FilesError {
    FilesError::Io(what, path.to_owned(), e.into())
}

impl From<RootError> for FilesError {
    fn from(error: RootError) -> Self {
        match error {
            RootError::Link(path) => Self::Link(path),
            RootError::Io(path, e) => Self::Io("reach", path, e),
        }
    }
}

#[allow(
    clippy::useless_conversion,
    clippy::unnecessary_fallible_conversions,
    reason = "16 bits on some systems"
)]
fn raw(mode: u32) -> rustix::fs::RawMode {
    rustix::fs::RawMode::try_from(mode & 0o777).unwrap_or_default()
}
