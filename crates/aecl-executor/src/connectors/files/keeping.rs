//! Changes of several directories that are made for good together: all of them or none, also if we are ended in the
//! middle.
//!
//! What is to be made is written down first, in a folder of this user's outside of every project, and each new content
//! waits on disk beside its place. From then on whoever comes next finishes it. Until then nothing but what waits is
//! there, and whoever comes next removes that.

mod journal;
mod record;
mod recover;

use std::io;
use std::path::{Path, PathBuf};

use super::apply::{Making, still_named};
use super::{FilePlan, FilesError};
use journal::{Entry, Folder, Journal, Stage};
use record::{FileRecord, Record, ViewRecord, refuse, tag_of_view};

/// Journals of this user's keeps.
#[derive(Clone, Debug)]
pub struct KeepJournals {
    dir: PathBuf,
}

/// A keep that was begun and that nobody works on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnfinishedKeep {
    /// Where it is written down.
    pub journal: PathBuf,
    /// The directories whose files it changes. None are known where it is not believed, or had not begun.
    pub roots: Vec<PathBuf>,
    /// Why it does not count, if so.
    pub unbelieved: Option<String>,
}

/// Recovery of a keep that had not been finished.
#[derive(Clone, Debug)]
pub struct RecoveredKeep {
    /// The directories whose files it changes.
    pub roots: Vec<PathBuf>,
    /// How it ended.
    pub end: KeepEnd,
}

/// End of a keep that had not been finished.
#[derive(Clone, Debug)]
pub enum KeepEnd {
    /// Nothing had been changed yet, or all of it put back; what waited is removed.
    TakenBack,
    /// All that could be made is made.
    Finished {
        /// How many changes of it are in their places.
        made: usize,
        /// What is left as it is.
        left: Vec<LeftPlace>,
    },
    /// It could not be finished now. What is written down stays.
    Stuck(String),
}

/// A place that was left as it is, since it is no longer as it was written down.
#[derive(Clone, Debug)]
pub struct LeftPlace {
    /// Which.
    pub path: PathBuf,
    /// Why.
    pub why: String,
    /// Where what was to be there lies now, and what was there before, as far as there is any of it.
    pub saved: Vec<PathBuf>,
}

impl KeepJournals {
    /// In this folder, which is made when something is kept.
    #[must_use]
    pub fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// The folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Makes the folder.
    ///
    /// # Errors
    /// When it cannot be made, or is not this user's alone.
    pub fn prepare(&self) -> Result<(), FilesError> {
        Folder::make(&self.dir).map(drop).map_err(|e| self.no_journal(e))
    }

    /// Makes the changes of all plans, or none of them.
    ///
    /// # Errors
    /// When something is no longer as it was looked at, or the system refuses; with the directory where that was. Only
    /// [`FilesError::Half`] leaves anything changed; [`Self::recover`] goes on from there.
    pub fn make(&self, plans: &[&FilePlan<'_>]) -> Result<(), (Option<PathBuf>, FilesError)> {
        let anywhere = |why| (None, why);
        let places = plans
            .iter()
            .flat_map(|plan| plan.files().map(|file| (plan.place.named(), file.step.wanted.path.as_str())));
        refuse(places).map_err(anywhere)?;
        let tag = tag().map_err(|e| anywhere(self.no_journal(e)))?;
        let mut all = Vec::with_capacity(plans.len());
        for (number, plan) in plans.iter().enumerate() {
            let making = still_named(plan.place)
                .and_then(|()| Making::new(plan.place, &plan.steps, &tag_of_view(&tag, number)));
            all.push(making.map_err(|why| (Some(plan.place.named().to_owned()), why))?);
        }
        let record = Record::new(tag, views(&all).map_err(anywhere)?);
        let begun = Folder::make(&self.dir).and_then(|folder| folder.begin(&record));
        let mut journal = begun.map_err(|e| anywhere(self.no_journal(e)))?;
        if let Err(why) = self.stage(&mut all, &mut journal) {
            drop(all);
            journal.forget();
            return Err(why);
        }
        all.iter_mut().for_each(|making| making.is_on_record = true);
        if let Err(cause) = each(&mut all, Making::move_all) {
            return Err(take_back(all, journal).map_err(anywhere).err().unwrap_or(cause));
        }
        finish(&mut all)?;
        journal.forget();
        Ok(())
    }

    fn stage(&self, all: &mut [Making<'_>], journal: &mut Journal) -> Result<(), InPlace> {
        each(all, |making| making.stage_all(&|| Ok(())).and_then(|()| making.settle_staged()))?;
        journal.mark(Stage::Moving).map_err(|e| (None, self.no_journal(e)))
    }

    /// What was begun and is not finished, and what does not count.
    ///
    /// # Errors
    /// When the folder is there and cannot be read, or is not this user's alone.
    pub fn unfinished(&self) -> io::Result<Vec<UnfinishedKeep>> {
        let known = |entry| match entry {
            Entry::Busy => None,
            Entry::Empty(journal) => Some((journal.path(&self.dir), Vec::new(), None)),
            Entry::Begun(journal, record, _) => Some((journal.path(&self.dir), record.roots(), None)),
            Entry::Unbelieved(path, why) => Some((path, Vec::new(), Some(why))),
        };
        let found = self.entries()?.into_iter().filter_map(known);
        Ok(found.map(|(journal, roots, unbelieved)| UnfinishedKeep { journal, roots, unbelieved }).collect())
    }

    /// Finishes what was begun in directories that are asked for, and takes back what had not come so far.
    ///
    /// # Errors
    /// When the folder is there and cannot be read, or is not this user's alone.
    pub fn recover(&self, is_asked_for: &dyn Fn(&Path) -> bool) -> io::Result<Vec<RecoveredKeep>> {
        let mut recovered = Vec::new();
        for entry in self.entries()? {
            match entry {
                Entry::Busy | Entry::Unbelieved(..) => {}
                // It was ended before it had written down what it would do, and so before it did anything.
                Entry::Empty(journal) => journal.forget(),
                Entry::Begun(journal, record, stage) => {
                    let roots = record.roots();
                    if !roots.iter().any(|root| is_asked_for(root)) {
                        continue;
                    }
                    let end = match stage {
                        Stage::Staging | Stage::TakenBack => recover::take_back(&record),
                        Stage::Moving => recover::finish(&record),
                    };
                    if !matches!(end, KeepEnd::Stuck(_)) {
                        journal.forget();
                    }
                    recovered.push(RecoveredKeep { roots, end });
                }
            }
        }
        Ok(recovered)
    }

    fn entries(&self) -> io::Result<Vec<Entry>> {
        match Folder::open(&self.dir) {
            Ok(folder) => folder.entries(),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            // It is in a place of somebody else, where this user has kept nothing.
            Err(e) if e.raw_os_error() == Some(rustix::io::Errno::ACCESS.raw_os_error()) => Ok(Vec::new()),
            Err(e) => Err(e),
        }
    }

    fn no_journal(&self, e: io::Error) -> FilesError {
        FilesError::Journal(self.dir.display().to_string(), e)
    }
}

/// Why something cannot be, and where that is.
type InPlace = (Option<PathBuf>, FilesError);

/// Does this with each directory, until one of them refuses.
fn each<'a>(
    all: &mut [Making<'a>],
    act: impl Fn(&mut Making<'a>) -> Result<(), FilesError>,
) -> Result<(), InPlace> {
    all.iter_mut()
        .try_for_each(|making| act(making).map_err(|why| (Some(making.place().named().to_owned()), why)))
}

fn views(all: &[Making<'_>]) -> Result<Vec<ViewRecord>, FilesError> {
    let view = |making: &Making<'_>| {
        let file = |step| FileRecord::of(step, making);
        let files = making.steps().iter().map(file).collect::<Result<_, _>>()?;
        Ok(ViewRecord { root: making.place().named().to_owned(), files })
    };
    all.iter().map(view).collect()
}

/// Puts all of it back, the latest directory first, and forgets it.
fn take_back(mut all: Vec<Making<'_>>, mut journal: Journal) -> Result<(), FilesError> {
    all.iter_mut().rev().try_for_each(Making::take_back)?;
    // Whoever finds what waits from now on must not go forward with it.
    let marked = journal.mark(Stage::TakenBack);
    marked.map_err(|e| FilesError::Half(journal.name().to_owned(), e))?;
    all.iter_mut().for_each(|making| making.is_on_record = false);
    drop(all);
    journal.forget();
    Ok(())
}

/// Makes it durable before what was there is removed, and that before it is forgotten.
fn finish(all: &mut [Making<'_>]) -> Result<(), InPlace> {
    each(all, |making| making.settle())?;
    each(all, Making::remove_what_was)?;
    each(all, |making| making.settle())
}

/// Names that nobody else has, and nobody can guess.
fn tag() -> io::Result<String> {
    let mut bytes = [0_u8; 8];
    getrandom::fill(&mut bytes).map_err(|e| io::Error::other(e.to_string()))?;
    Ok(format!("run-{:016x}", u64::from_le_bytes(bytes)))
}
