//! How far a change has come: what somebody finds at its path who does not know whether it was made.

use std::collections::BTreeSet;

use aecl_kernel::base::digest::Digest;

use super::FilesError;
use super::change::Before;
use super::survey::{GoOn, digest, look_past};
use crate::root_dir::{PathState, RootDir};

/// What is at the path of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// What was there before.
    Old,
    /// What the change puts there.
    New,
    /// Neither of the two, with the digest of a file.
    Other(PathState, Option<Digest>),
}

/// What a change finds and leaves.
pub(super) struct Ends<'a> {
    pub(super) before: Before,
    pub(super) after: Before,
    /// Whether something has the permissions that the change gives.
    pub(super) is_mode: &'a dyn Fn(&PathState) -> bool,
}

impl Ends<'_> {
    /// Which of the two is at a path. Below a link that goes is nothing yet.
    pub(super) fn standing(
        &self,
        place: &RootDir,
        path: &str,
        replaced: &BTreeSet<String>,
        bytes_max: u64,
        go_on: GoOn<'_>,
    ) -> Result<Standing, FilesError> {
        let there = look_past(place, path, replaced)?;
        let found = match &there {
            PathState::File(_) => match digest(place, path, bytes_max, go_on) {
                Ok(digest) => Some(digest),
                // Longer than what was, and what comes.
                Err(FilesError::TooLong(..)) => None,
                Err(e) => return Err(e),
            },
            PathState::Link(_, target) => Some(Digest::of(target)),
            PathState::Nothing | PathState::Directory(_) | PathState::Other(..) => None,
        };
        let is = |end: Before| match (end, &there) {
            (Before::Nothing, PathState::Nothing) | (Before::Directory, PathState::Directory(_)) => true,
            (Before::File(digest), PathState::File(_)) | (Before::Link(digest), PathState::Link(..)) => {
                found == Some(digest)
            }
            _ => false,
        };
        Ok(match () {
            () if is(self.after) && (self.is_mode)(&there) => Standing::New,
            () if is(self.before) => Standing::Old,
            () => {
                let digest = found.filter(|_| matches!(there, PathState::File(_)));
                Standing::Other(there, digest)
            }
        })
    }
}
