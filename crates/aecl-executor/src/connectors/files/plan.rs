//! Changes that were looked at together with what is there: first shown, then made, and nothing else.

use super::change::{Change, Changes, wanted};
use super::difference::{Room, difference};
use super::survey::{GoOn, Step, Texts, survey};
use super::{FilesError, apply};
use crate::root_dir::RootDir;

/// Changes of one place, each beside what is there.
#[derive(Debug)]
pub struct FilePlan<'a> {
    pub(super) place: &'a RootDir,
    pub(super) steps: Vec<Step>,
}

/// One file of a plan.
#[derive(Clone, Copy, Debug)]
pub struct PlannedFile<'a> {
    place: &'a RootDir,
    pub(super) step: &'a Step,
}

impl<'a> FilePlan<'a> {
    /// Looks at everything that the changes name. `go_on` is asked while files are read.
    ///
    /// # Errors
    /// When something is not as the changes expect it, or cannot be looked at.
    pub fn of(
        place: &'a RootDir,
        changes: Changes,
        files_max: usize,
        bytes_max: usize,
        go_on: &dyn Fn() -> Result<(), FilesError>,
    ) -> Result<Self, FilesError> {
        let wanted = wanted(changes, files_max, bytes_max).map_err(FilesError::Arguments)?;
        Ok(Self { place, steps: survey(place, wanted, bytes_max as u64, go_on)? })
    }

    /// What it would do, file by file.
    pub fn files(&self) -> impl Iterator<Item = PlannedFile<'_>> {
        self.steps.iter().map(|step| PlannedFile { place: self.place, step })
    }

    /// Makes the changes, all of them or none. `tag` is part of the names of files on their way.
    ///
    /// # Errors
    /// When something is no longer as it was looked at, or the system refuses. Only [`FilesError::Half`] leaves
    /// anything changed.
    pub fn make(&self, tag: &str, go_on: &dyn Fn() -> Result<(), FilesError>) -> Result<(), FilesError> {
        apply::still_named(self.place)?;
        apply::make(self.place, &self.steps, tag, go_on)
    }

    /// The changes that would take these back, with what is there now; so many bytes of it in all.
    pub(super) fn undo(&self, bytes_max: u64, go_on: GoOn<'_>) -> Result<Vec<Change>, FilesError> {
        let mut left = bytes_max;
        let mut all = Vec::with_capacity(self.steps.len());
        for step in &self.steps {
            go_on()?;
            let bytes = step.old_bytes(self.place, left).map_err(|error| match error {
                FilesError::TooLong(path, _) => FilesError::TooLong(path, bytes_max),
                error => error,
            })?;
            left = left.saturating_sub(bytes.len() as u64);
            all.push(step.undo(bytes));
        }
        Ok(all)
    }
}

impl PlannedFile<'_> {
    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.step.wanted.path
    }

    /// What happens to it: `created`, `changed` or `deleted`.
    #[must_use]
    pub fn what(&self) -> &'static str {
        self.step.what()
    }

    /// What people should know of it before they say yes.
    #[must_use]
    pub fn marks(&self) -> Vec<String> {
        self.step.marks()
    }

    /// Why a person has to say yes to this one by itself, if so.
    #[must_use]
    pub fn special(&self) -> Option<String> {
        self.step.special()
    }

    /// Whether it can be run and could not be before.
    #[must_use]
    pub fn becomes_executable(&self) -> bool {
        self.step.becomes_executable()
    }

    /// The text before and after, or the sizes where one of the two is no text. It reads the file of the host, of at most
    /// so many bytes. What is no file stands there as a line that says so.
    ///
    /// # Errors
    /// When that is no longer what was looked at, or longer.
    pub(super) fn texts(&self, bytes_max: u64) -> Result<Texts, FilesError> {
        self.step.texts(self.place, bytes_max)
    }

    /// The difference for somebody who can ask for more: all that comes and goes is in it. The first character of a line is
    /// a sign, as on a card. It reads the file of the host, of at most so many bytes.
    ///
    /// # Errors
    /// When that is no longer what was looked at, or longer.
    pub fn difference(&self, bytes_max: u64) -> Result<Vec<String>, FilesError> {
        const ROOM: Room = Room { long: 400, part: None };
        let mut said = match self.texts(bytes_max)? {
            Ok((old, new)) => difference(&old, &new, ROOM).entries,
            Err((old, new)) => vec![format!("\\no text: {old} bytes before and {new} bytes after")],
        };
        said.extend(self.marks().iter().map(|mark| format!("\\{mark}")));
        Ok(said)
    }

    /// A unified diff, or the sizes where it is no text. It reads the file of the host, of at most so many bytes.
    ///
    /// # Errors
    /// When that is no longer what was looked at, or longer.
    pub fn diff(&self, bytes_max: u64) -> Result<String, FilesError> {
        self.step.diff(self.place, bytes_max)
    }
}
