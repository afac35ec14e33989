//! Why changes of files are not made.

use super::change::Before;
use crate::root_dir::PathState;

/// Errors of changes that are not made.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// They do not read.
    #[error("the arguments are not as this connector takes them: {0}")]
    Arguments(String),
    /// The root is not there.
    #[error("the directory `{0}` does not open: {1}")]
    Root(String, #[source] std::io::Error),
    /// The root is not what it was.
    #[error("the directory `{0}` has been replaced or moved since it was looked at; nothing was changed")]
    Swapped(String),
    /// What is there is none of ours.
    #[error("`{0}` is no plain file ({1}); what no change names as a link or directory is left alone")]
    Kind(String, String),
    /// A link stands on the way.
    #[error("`{0}` is a symbolic link, and no link is followed; name the place to which it leads")]
    Link(String),
    /// It is too long to be shown.
    #[error("`{0}` has more than {1} bytes; raise `bytes_max` in the action's connector")]
    TooLong(String, u64),
    /// Somebody has changed it.
    #[error("`{0}` is not as the change expects it: {1}; look at it again")]
    Changed(String, String),
    /// A directory is to go in which something stays.
    #[error("the directory `{0}` is to go, and `{1}` in it is not; look at it again")]
    NotEmpty(String, String),
    /// The system refused.
    #[error("could not {0} `{1}`: {2}; nothing was changed")]
    Io(&'static str, String, #[source] std::io::Error),
    /// The clock ran out.
    #[error("it took longer than {0} ms; nothing was changed")]
    Late(u64),
    /// Nobody waits any more.
    #[error("the call was cancelled; nothing was changed")]
    Cancelled,
    /// It is half done.
    #[error("`{0}` broke half-way: {1}; some files may be changed and others not")]
    Half(String, #[source] std::io::Error),
    /// What is to be kept cannot be written down first.
    #[error("what is to be kept cannot be written down in `{0}`: {1}; nothing was changed")]
    Journal(String, #[source] std::io::Error),
    /// It is in a home of ours.
    #[error("`{0}` is in AECL's own directory `{1}`, which nobody changes from outside")]
    House(String, String),
    /// Two views show one place, and both change it.
    #[error("`{0}` is changed in two views; show it in one")]
    Twice(String),
    /// A thread of ours broke.
    #[error("the worker that changed files broke; nobody knows how far it got")]
    Worker,
}

impl FilesError {
    pub(super) fn changed(path: &str, now: Before, there: &PathState) -> Self {
        let said = match now.said() {
            (Some(digest), None) => format!("{digest} is there"),
            _ => there.to_string(),
        };
        Self::Changed(path.to_owned(), said)
    }

    /// The code of an outcome.
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::Arguments(_) | Self::Twice(_) => "files_arguments",
            Self::Root(..) => "files_root",
            Self::Kind(..) | Self::Link(_) | Self::House(..) => "files_kind",
            Self::TooLong(..) => "files_too_long",
            Self::Changed(..) | Self::Swapped(_) | Self::NotEmpty(..) => "files_changed",
            Self::Io(..) | Self::Journal(..) => "files_failed",
            Self::Late(_) => "files_timeout",
            Self::Cancelled => "files_cancelled",
            Self::Half(..) | Self::Worker => "files_half",
        }
    }
}
