//! Finishes a keep from what was written down. Nothing of the record is taken for granted: each place is looked at, by
//! the door by which it was to be changed, and one that holds neither what was there nor what comes is left alone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rustix::fs::{AtFlags, unlinkat};
use rustix::io::Errno;

use super::record::{FileRecord, Record, ViewRecord, refuse, tag_of_view};
use super::{KeepEnd, LeftPlace};
use crate::connectors::files::apply::{Making, Moving, Waiting};
use crate::connectors::files::change::Changes;
use crate::connectors::files::standing::Standing;
use crate::connectors::files::survey::look_past;
use crate::connectors::files::{FilePlan, FilesError, PlannedFile};
use crate::root_dir::{PathState, RootDir, RootError, exchange, rename_new};

/// Numbers behind the name of what is saved.
const NAMES_MAX: u32 = 100;

/// Removes what waits, where nothing else was done or all of it was put back.
pub(super) fn take_back(record: &Record) -> KeepEnd {
    let done = each_view(record, |place, view, tag| {
        for (file, waits) in with_names(view, tag) {
            if !matches!(place.look(&waits.new), Ok(PathState::File(_) | PathState::Link(..))) {
                continue;
            }
            remove(place, &waits.new, &file.path)?;
        }
        Ok(())
    });
    match done {
        Ok(_) => KeepEnd::TakenBack,
        Err(why) => KeepEnd::Stuck(why),
    }
}

/// Puts everything into its place that is not there yet.
pub(super) fn finish(record: &Record) -> KeepEnd {
    let places = record
        .views
        .iter()
        .flat_map(|view| view.files.iter().map(|file| (view.root.as_path(), file.path.as_str())));
    if let Err(why) = refuse(places) {
        return KeepEnd::Stuck(why.to_string());
    }
    match each_view(record, |place, view, tag| Finishing::of(place, view, tag).finish()) {
        Ok(all) => {
            let made = all.iter().map(|(made, _)| made).sum();
            KeepEnd::Finished { made, left: all.into_iter().flat_map(|(_, left)| left).collect() }
        }
        Err(why) => KeepEnd::Stuck(why),
    }
}

/// Does this in each directory, also if it fails in another.
fn each_view<T>(
    record: &Record,
    act: impl Fn(&RootDir, &ViewRecord, &str) -> Result<T, FilesError>,
) -> Result<Vec<T>, String> {
    let (mut all, mut wrong) = (Vec::new(), Vec::new());
    for (number, view) in record.views.iter().enumerate() {
        let place = RootDir::open_strict(&view.root)
            .map_err(|e| FilesError::Root(view.root.display().to_string(), e));
        match place.and_then(|place| act(&place, view, &tag_of_view(&record.tag, number))) {
            Ok(done) => all.push(done),
            Err(why) => wrong.push(why.to_string()),
        }
    }
    if wrong.is_empty() { Ok(all) } else { Err(wrong.join("; ")) }
}

fn with_names<'v>(view: &'v ViewRecord, tag: &str) -> impl Iterator<Item = (&'v FileRecord, Waiting)> {
    (1..).zip(&view.files).map(move |(number, file)| (file, file.waiting(tag, number)))
}

struct Finishing<'a> {
    place: &'a RootDir,
    view: &'a ViewRecord,
    names: BTreeMap<String, Waiting>,
    /// Links that the changes themselves take away.
    replaced: BTreeSet<String>,
    left: BTreeMap<String, String>,
}

impl<'a> Finishing<'a> {
    fn of(place: &'a RootDir, view: &'a ViewRecord, tag: &str) -> Self {
        let names = with_names(view, tag).map(|(file, waits)| (file.path.clone(), waits)).collect();
        let replaced = view.files.iter().filter(|file| file.replaces_link());
        let replaced = replaced.map(|file| file.path.clone()).collect();
        Self { place, view, names, replaced, left: BTreeMap::new() }
    }

    fn finish(mut self) -> Result<(usize, Vec<LeftPlace>), FilesError> {
        let mut sorted: Vec<&FileRecord> = self.view.files.iter().collect();
        sorted.sort_by(|one, other| one.path.cmp(&other.path));
        // What is outside comes back first.
        for file in &sorted {
            self.put_back(file)?;
        }
        let mut open = Vec::new();
        for file in sorted {
            if self.is_open(file)? {
                open.push(file);
            }
        }
        self.make(open)?;
        let left = self.clean()?;
        Ok((self.view.files.len() - left.len(), left))
    }

    /// Gives a place back what was taken from it and not replaced, and what somebody put there in the last moment.
    fn put_back(&self, file: &FileRecord) -> Result<(), FilesError> {
        let path = file.path.as_str();
        for spare in self.spares(file).into_iter().filter(|_| file.had_something()) {
            let Some(what) = self.spare(file, &spare)? else { continue };
            let there = match look_past(self.place, path, &self.replaced) {
                // Who is no longer reached gets nothing back; it lies beside its place in the end.
                Err(FilesError::Link(_)) => return Ok(()),
                there => there?,
            };
            let is_gone = there == PathState::Nothing;
            let by = match what {
                Standing::Old if is_gone && !file.is_deletion() => rename_new,
                Standing::Other(..) if is_gone => rename_new,
                Standing::Other(..) if !file.makes_directory() => match self.standing(file, path)? {
                    Standing::New => exchange,
                    Standing::Old | Standing::Other(..) => continue,
                },
                Standing::Old | Standing::New | Standing::Other(..) => continue,
            };
            self.moved(&spare, path, by)?;
        }
        Ok(())
    }

    /// Where things of it may lie: set aside, between two names, or where what is new waits.
    fn spares(&self, file: &FileRecord) -> Vec<String> {
        let Some(waits) = self.names.get(&file.path) else { return Vec::new() };
        vec![waits.old.clone(), format!("{}-x", waits.new), waits.new.clone()]
    }

    /// What lies there, if anything does.
    fn spare(&self, file: &FileRecord, at: &str) -> Result<Option<Standing>, FilesError> {
        match self.place.look(at) {
            // A link is on the way by now: nothing is looked for behind it.
            Ok(PathState::Nothing) | Err(RootError::Link(_)) => return Ok(None),
            there => there?,
        };
        Ok(match self.standing(file, at)? {
            // What is in it nobody has set aside.
            Standing::Old if !self.is_empty(at)? => Some(Standing::Other(self.place.look(at)?, None)),
            what => Some(what),
        })
    }

    fn is_empty(&self, at: &str) -> Result<bool, FilesError> {
        match self.place.look(at)? {
            PathState::Directory(_) => Ok(self.place.names(at, 1)?.0.is_empty()),
            _ => Ok(true),
        }
    }

    fn standing(&self, file: &FileRecord, at: &str) -> Result<Standing, FilesError> {
        file.ends(|ends| ends.standing(self.place, at, &self.replaced, file.bytes_max(), &|| Ok(())))
    }

    /// Whether it is as it was, and what is to be there waits.
    fn is_open(&mut self, file: &FileRecord) -> Result<bool, FilesError> {
        let path = &file.path;
        let why = match self.standing(file, path) {
            Ok(Standing::New) => return Ok(false),
            Ok(Standing::Old) if file.is_deletion() || file.makes_directory() => return Ok(true),
            // Made, and its permissions are not.
            Ok(Standing::Other(PathState::Directory(_), _)) if file.makes_directory() => return Ok(true),
            Ok(Standing::Old) => {
                let waits = self.names.get(path).map(|waits| waits.new.clone()).unwrap_or_default();
                match self.spare(file, &waits)? {
                    Some(Standing::New) => return Ok(true),
                    _ => "what was to be there is gone".to_owned(),
                }
            }
            Ok(Standing::Other(there, _)) => format!("it has been changed since: {there}"),
            Err(FilesError::Link(at)) => format!("`{at}` on its way is a symbolic link now"),
            Err(e) => return Err(e),
        };
        self.left.insert(path.clone(), why);
        Ok(false)
    }

    /// Makes these as they would have been made, by the door that every change takes.
    fn make(&mut self, mut open: Vec<&FileRecord>) -> Result<(), FilesError> {
        loop {
            self.leave_around(&mut open);
            if open.is_empty() {
                return Ok(());
            }
            let mut changes = Vec::with_capacity(open.len());
            for file in &open {
                let is_made = file.makes_directory()
                    && matches!(self.place.look(&file.path), Ok(PathState::Directory(_)));
                changes.push(file.change(self.bytes(file)?, is_made));
            }
            let bytes_max = open.iter().map(|file| file.bytes_max()).fold(0, u64::saturating_add);
            let bytes_max = usize::try_from(bytes_max).unwrap_or(usize::MAX);
            let changes = Changes { changes };
            let plan = match FilePlan::of(self.place, changes, open.len(), bytes_max, &|| Ok(())) {
                Ok(plan) => plan,
                Err(e @ FilesError::Io(..)) => return Err(e),
                Err(why) => {
                    open.iter().for_each(|file| drop(self.left.insert(file.path.clone(), why.to_string())));
                    return Ok(());
                }
            };
            let acts = |file: PlannedFile<'_>| Some((file.path().to_owned(), file.special()?));
            let acts: BTreeMap<String, String> = plan.files().filter_map(acts).collect();
            let before = self.left.len();
            for file in open.iter().filter(|file| !file.is_marked) {
                if let Some(why) = acts.get(&file.path) {
                    self.left.insert(file.path.clone(), format!("it acts by itself now: {why}"));
                }
            }
            if self.left.len() == before {
                return self.go(&plan);
            }
        }
    }

    fn go(&self, plan: &FilePlan<'_>) -> Result<(), FilesError> {
        let mut making = Making::resumed(self.place, &plan.steps, self.names.clone())?;
        if let Err(cause) = making.move_all() {
            return Err(making.take_back().err().unwrap_or(cause));
        }
        making.settle()?;
        making.remove_what_was()
    }

    /// Leaves what is in or around a place that is left: a directory does not go while something stays in it.
    fn leave_around(&mut self, open: &mut Vec<&FileRecord>) {
        loop {
            let near = open.iter().find_map(|file| {
                let other = self.left.keys().find(|left| is_near(&file.path, left))?;
                Some((file.path.clone(), format!("`{other}` stays as it is")))
            });
            let Some((path, why)) = near else { break };
            self.left.insert(path, why);
            open.retain(|file| !self.left.contains_key(&file.path));
        }
    }

    /// What waits for a place, if that is a file.
    fn bytes(&self, file: &FileRecord) -> Result<Vec<u8>, FilesError> {
        let Some(digest) = file.new_digest() else { return Ok(Vec::new()) };
        let waits = self.names.get(&file.path).map(|waits| waits.new.as_str()).unwrap_or_default();
        let gone = || FilesError::Changed(file.path.clone(), "what was to be there is gone".into());
        let mut plain = self.place.open_file(waits)?.ok_or_else(gone)?;
        let bytes = plain.read(file.new_bytes()).map_err(|_| gone())?;
        if aecl_kernel::base::digest::Digest::of(&bytes) == digest { Ok(bytes) } else { Err(gone()) }
    }

    /// Removes what is no longer needed, and saves beside its place what nobody has said is to go.
    fn clean(&self) -> Result<Vec<LeftPlace>, FilesError> {
        let mut all = Vec::new();
        for file in &self.view.files {
            let why = self.left.get(&file.path);
            let mut saved = Vec::new();
            for spare in self.spares(file) {
                match (self.spare(file, &spare)?, why) {
                    (None, _) => {}
                    // Whoever took a name of ours had nothing from us.
                    (Some(Standing::Other(..)), None) if !file.had_something() => {}
                    (Some(Standing::New), Some(_)) => saved.push(self.save(file, &spare, "aecl-new")?),
                    (Some(Standing::Other(..)), _) | (Some(Standing::Old), Some(_)) => {
                        saved.push(self.save(file, &spare, "aecl-old")?);
                    }
                    (Some(Standing::New | Standing::Old), None) => remove(self.place, &spare, &file.path)?,
                }
            }
            let why = why
                .cloned()
                .or_else(|| (!saved.is_empty()).then(|| "somebody changed it in the last moment".to_owned()));
            if let Some(why) = why {
                all.push(LeftPlace { path: self.view.root.join(&file.path), why, saved });
            }
        }
        for waits in self.names.values() {
            // A directory that is gone has nothing left to settle.
            match self.place.settle(&waits.new) {
                Ok(()) | Err(RootError::Link(_)) => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(all)
    }

    fn save(&self, file: &FileRecord, spare: &str, ending: &str) -> Result<std::path::PathBuf, FilesError> {
        let name = Path::new(&file.path).file_name().unwrap_or_default().to_string_lossy();
        let dir = spare.rsplit_once('/').map_or(String::new(), |(dir, _)| format!("{dir}/"));
        for number in 1..=NAMES_MAX {
            let number = if number == 1 { String::new() } else { format!("-{number}") };
            let to = format!("{dir}{name}.{ending}{number}");
            if self.place.look(&to)? == PathState::Nothing && self.moved(spare, &to, rename_new)? {
                return Ok(self.view.root.join(to));
            }
        }
        Err(io("save", &file.path, Errno::EXIST))
    }

    /// Whether it could be reached, and has the other name now.
    fn moved(&self, from: &str, to: &str, by: Moving) -> Result<bool, FilesError> {
        let (source, target) = (self.place.walk(from)?, self.place.walk(to)?);
        let (Some(old), Some(new)) = (source.name(), target.name()) else { return Ok(false) };
        by((&source.dir, old), (&target.dir, new)).map_err(|e| io("put back", to, e)).map(|()| true)
    }
}

fn is_near(one: &str, other: &str) -> bool {
    let is_in =
        |inner: &str, outer: &str| inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('/'));
    one == other || is_in(one, other) || is_in(other, one)
}

/// Removes what waits. It has a name of ours, and is looked at before.
fn remove(place: &RootDir, waits: &str, path: &str) -> Result<(), FilesError> {
    let walked = place.walk(waits)?;
    let Some(name) = walked.name() else { return Ok(()) };
    let flags = match place.look(waits)? {
        PathState::Directory(_) => AtFlags::REMOVEDIR,
        _ => AtFlags::empty(),
    };
    unlinkat(&walked.dir, name, flags).map_err(|e| io("remove what waits for", path, e))
}

fn io(what: &'static str, path: &str, e: Errno) -> FilesError {
    FilesError::Io(what, path.to_owned(), e.into())
}
