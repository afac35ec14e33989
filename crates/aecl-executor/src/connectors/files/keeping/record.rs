//! What is written down before changes are made for good: each place, what was there and what comes, by digest. The
//! content itself waits beside its place.

use std::collections::BTreeSet;
use std::path::PathBuf;

use aecl_kernel::base::digest::Digest;
use serde::{Deserialize, Serialize};

use crate::connectors::files::FilesError;
use crate::connectors::files::apply::{Making, Waiting};
use crate::connectors::files::change::{Before, Change, Content, FormerKind, NewKind, plain};
use crate::connectors::files::standing::Ends;
use crate::connectors::files::survey::Step;
use crate::root_dir::PathState;

/// The only form that is written and read.
const VERSION: u32 = 1;

/// All changes of one keep.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    v: u32,
    /// Part of the names of what waits.
    pub(super) tag: String,
    pub(super) views: Vec<ViewRecord>,
}

/// The changes of one directory.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ViewRecord {
    pub(super) root: PathBuf,
    pub(super) files: Vec<FileRecord>,
}

/// One change without its content.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileRecord {
    pub(super) path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    before: Option<Digest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    was: Option<FormerKind>,
    /// How much was there, in bytes.
    was_bytes: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<AfterRecord>,
    /// The directory in which it waits.
    beside: String,
    /// It was shown as something that acts by itself.
    pub(super) is_marked: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "lowercase")]
pub(super) enum AfterRecord {
    File { digest: Digest, bytes: u64, mode: u32 },
    Link(String),
    Directory { mode: Option<u32> },
}

impl Record {
    pub(super) fn new(tag: String, views: Vec<ViewRecord>) -> Self {
        Self { v: VERSION, tag, views }
    }

    pub(super) fn roots(&self) -> Vec<PathBuf> {
        self.views.iter().map(|view| view.root.clone()).collect()
    }

    /// Whether it is one that we could have written.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.v != VERSION {
            return Err(format!("it is of version {}, and this program reads {VERSION}", self.v));
        }
        if !is_tag(&self.tag) {
            return Err("its name is none of ours".into());
        }
        for file in self.views.iter().flat_map(|view| &view.files) {
            plain(&file.path).map_err(|why| format!("`{}` {why}", file.path.escape_debug()))?;
            let beside = file.beside.as_str();
            let is_above =
                beside.is_empty() || file.path.strip_prefix(beside).is_some_and(|rest| rest.starts_with('/'));
            if !is_above {
                return Err(format!("`{}` cannot wait in `{}`", file.path, beside.escape_debug()));
            }
        }
        Ok(())
    }
}

/// Sixteen hexadecimal digits: nobody else has the names that follow from them.
pub(super) fn is_tag(tag: &str) -> bool {
    tag.strip_prefix("run-").is_some_and(|id| {
        id.len() == 16 && id.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    })
}

/// The tag of one directory of a keep.
pub(super) fn tag_of_view(tag: &str, number: usize) -> String {
    format!("{tag}-{number}")
}

impl FileRecord {
    pub(super) fn of(step: &Step, making: &Making<'_>) -> Result<Self, FilesError> {
        let (before, was) = step.wanted.before.said();
        let after = step.wanted.after.as_ref().map(|new| match &new.kind {
            NewKind::File { bytes, digest } => {
                AfterRecord::File { digest: *digest, bytes: bytes.len() as u64, mode: step.mode(new) & 0o777 }
            }
            NewKind::Link(target) => AfterRecord::Link(target.clone()),
            NewKind::Directory => AfterRecord::Directory { mode: new.mode },
        });
        let was_bytes = match &step.there {
            PathState::File(old) => old.size,
            _ => 0,
        };
        Ok(Self {
            path: step.wanted.path.clone(),
            before,
            was,
            was_bytes,
            after,
            beside: making.waiting(&step.wanted.path)?.beside,
            is_marked: step.special().is_some(),
        })
    }

    pub(super) fn waiting(&self, tag: &str, number: usize) -> Waiting {
        Waiting::of(&self.beside, tag, number)
    }

    /// How much has to be read of what is there to know it.
    pub(super) fn bytes_max(&self) -> u64 {
        self.new_bytes().max(self.was_bytes)
    }

    pub(super) fn new_bytes(&self) -> u64 {
        match &self.after {
            Some(AfterRecord::File { bytes, .. }) => *bytes,
            Some(AfterRecord::Link(_) | AfterRecord::Directory { .. }) | None => 0,
        }
    }

    pub(super) fn new_digest(&self) -> Option<Digest> {
        match &self.after {
            Some(AfterRecord::File { digest, .. }) => Some(*digest),
            Some(AfterRecord::Link(_) | AfterRecord::Directory { .. }) | None => None,
        }
    }

    /// Whether it changes what was there, and makes nothing where nothing was.
    pub(super) fn had_something(&self) -> bool {
        self.before() != Before::Nothing
    }

    pub(super) fn is_deletion(&self) -> bool {
        self.after.is_none()
    }

    pub(super) fn makes_directory(&self) -> bool {
        matches!(self.after, Some(AfterRecord::Directory { .. }))
    }

    /// A link that the changes take away or make a directory of.
    pub(super) fn replaces_link(&self) -> bool {
        self.was == Some(FormerKind::Link) && (self.is_deletion() || self.makes_directory())
    }

    fn before(&self) -> Before {
        match (self.was, self.before) {
            (Some(FormerKind::Directory), _) => Before::Directory,
            (Some(FormerKind::Link), Some(digest)) => Before::Link(digest),
            (None, Some(digest)) => Before::File(digest),
            (Some(FormerKind::Link) | None, None) => Before::Nothing,
        }
    }

    fn after(&self) -> Before {
        match &self.after {
            None => Before::Nothing,
            Some(AfterRecord::File { digest, .. }) => Before::File(*digest),
            Some(AfterRecord::Link(target)) => Before::Link(Digest::of(target.as_bytes())),
            Some(AfterRecord::Directory { .. }) => Before::Directory,
        }
    }

    fn is_mode(&self, there: &PathState) -> bool {
        let now = there.identity().map(|now| now.mode & 0o777);
        match &self.after {
            Some(AfterRecord::File { mode, .. }) => now == Some(*mode),
            Some(AfterRecord::Directory { mode: Some(mode) }) => now == Some(*mode),
            Some(AfterRecord::Directory { mode: None } | AfterRecord::Link(_)) | None => true,
        }
    }

    /// Does something with what this change finds and leaves.
    pub(super) fn ends<T>(&self, then: impl FnOnce(Ends<'_>) -> T) -> T {
        then(Ends { before: self.before(), after: self.after(), is_mode: &|there| self.is_mode(there) })
    }

    /// The change again, with its content. A directory that was made already gets its permissions only.
    pub(super) fn change(&self, bytes: Vec<u8>, is_made: bool) -> Change {
        let after = self.after.as_ref().map(|after| match after {
            AfterRecord::File { mode, .. } => Content::of(bytes, None).with_mode(*mode),
            AfterRecord::Link(target) => Content::link_to(target.clone()),
            AfterRecord::Directory { mode: Some(mode) } => Content::a_directory().with_mode(*mode),
            AfterRecord::Directory { mode: None } => Content::a_directory(),
        });
        let (before, was) = match is_made {
            true => (None, Some(FormerKind::Directory)),
            false => (self.before, self.was),
        };
        Change { path: self.path.clone(), before, was, after }
    }
}

/// Whether nothing of it is in a home of ours, nor in two places at once.
pub(super) fn refuse<'a>(
    places: impl Iterator<Item = (&'a std::path::Path, &'a str)>,
) -> Result<(), FilesError> {
    let (mut all, mut dirs) = (BTreeSet::new(), BTreeSet::new());
    for (root, path) in places {
        let full = root.join(path);
        // A home may be what is to go.
        let around = full.parent().filter(|dir| dirs.insert(dir.to_path_buf()));
        if let Some(home) = [Some(full.as_path()).filter(|full| full.is_dir()), around]
            .into_iter()
            .flatten()
            .find_map(aecl_sandbox::hidden_around)
        {
            return Err(FilesError::House(full.display().to_string(), home.display().to_string()));
        }
        if let Some(twice) = all.replace(full) {
            return Err(FilesError::Twice(twice.display().to_string()));
        }
    }
    Ok(())
}
