//! The way back: what has changed hands so far, and how each of it is undone.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, Mode, fchmod};

use super::{Making, failed, raw};
use crate::connectors::files::FilesError;
use crate::connectors::files::change::Before;
use crate::root_dir::{exchange, rename_new};

/// A name that has changed hands.
pub(super) enum Done {
    /// What was there lies aside.
    Aside { path: String, aside: String },
    /// A directory was made.
    Made { path: String },
    /// Something new has this name.
    Placed { path: String, id: (u64, u64) },
    /// Something new has this name, and what was there has the other.
    Exchanged { path: String, id: (u64, u64), aside: String },
    /// A directory's permissions were changed.
    Mode { path: String, before: u32 },
}

impl Done {
    pub(super) fn placed(&self) -> Option<(&str, (u64, u64))> {
        match self {
            Self::Placed { path, id } | Self::Exchanged { path, id, .. } => Some((path, *id)),
            Self::Aside { .. } | Self::Made { .. } | Self::Mode { .. } => None,
        }
    }

    /// Where what was there lies.
    pub(super) fn aside(&self) -> Option<&str> {
        match self {
            Self::Aside { aside, .. } | Self::Exchanged { aside, .. } => Some(aside),
            Self::Placed { .. } | Self::Made { .. } | Self::Mode { .. } => None,
        }
    }
}

/// How something gets another name.
pub(in super::super) type Moving = fn((&OwnedFd, &str), (&OwnedFd, &str)) -> rustix::io::Result<()>;

impl Making<'_> {
    /// Puts back what changed hands, latest first; or it is half done.
    pub(in super::super) fn take_back(&mut self) -> Result<(), FilesError> {
        for done in std::mem::take(&mut self.done).into_iter().rev() {
            if let Err((path, why)) = self.undo(done) {
                return Err(FilesError::Half(path, io::Error::other(why.to_string())));
            }
        }
        Ok(())
    }

    fn undo(&mut self, done: Done) -> Result<(), (String, FilesError)> {
        match done {
            Done::Aside { path, aside } => self.back(&aside, &path, rename_new).map_err(|e| (path, e)),
            Done::Exchanged { path, id, aside } => {
                let back = self.back(&aside, &path, exchange);
                // What was new lies there now.
                self.staged.insert(path.clone(), (aside, id));
                back.map_err(|e| (path, e))
            }
            Done::Placed { path, id } => match self.place.look(&path).map_err(FilesError::from) {
                Ok(now) if now.identity().map(|now| now.id) == Some(id) => {
                    self.unlink(&path, AtFlags::empty()).map_err(|e| (path, e))
                }
                // Somebody else has taken the name; that is theirs.
                Ok(now) => {
                    let error = FilesError::changed(&path, Before::Nothing, &now);
                    Err((path, error))
                }
                Err(e) => Err((path, e)),
            },
            Done::Made { path } => self.unlink(&path, AtFlags::REMOVEDIR).map_err(|e| (path, e)),
            Done::Mode { path, before } => {
                let opened = self.open_directory(&path).map_err(|e| (path.clone(), e))?;
                let back = fchmod(&opened, Mode::from_raw_mode(raw(before)));
                back.map_err(|e| (path.clone(), failed("put back", &path, e)))
            }
        }
    }

    fn back(&self, aside: &str, path: &str, by: Moving) -> Result<(), FilesError> {
        let (from, waits) = self.open(aside)?;
        let (to, name) = self.open(path)?;
        by((&from, waits), (&to, name)).map_err(|e| failed("put back", path, e))
    }
}
