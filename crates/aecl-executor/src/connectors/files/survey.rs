//! What is there before changes are made, and what they would do to it. What is shown is what is made: both go
//! out from the same look.

use std::collections::{BTreeMap, BTreeSet};

use aecl_kernel::base::digest::Digest;
use similar::TextDiff;

use super::FilesError;
use super::acting::{Brought, acting};
use super::change::{Before, Change, Content, New, NewKind, Wanted};
use super::special::special;
use crate::root_dir::{FileStamp, Name, PathState, Reading, RootDir, RootError};

/// One change beside what is there, which is as the change expects it.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) wanted: Wanted,
    pub(super) there: PathState,
    /// Why what is at its path acts by itself, if so.
    acts: Option<String>,
}

/// Whether to go on, or why not.
pub(super) type GoOn<'a> = &'a dyn Fn() -> Result<(), FilesError>;

/// Looks at every path, or says which one is not as expected.
pub(super) fn survey(
    place: &RootDir,
    wanted: Vec<Wanted>,
    bytes_max: u64,
    go_on: GoOn<'_>,
) -> Result<Vec<Step>, FilesError> {
    let mut steps = Vec::with_capacity(wanted.len());
    let replaced = replaced_links(&wanted);
    for wanted in wanted {
        go_on()?;
        let (before, there) = look(place, &wanted.path, wanted.before, &replaced, bytes_max, go_on)?;
        if before != wanted.before {
            return Err(FilesError::changed(&wanted.path, before, &there));
        }
        steps.push(Step { wanted, there, acts: None });
    }
    let brought: Vec<_> = steps
        .iter()
        .map(|step| Brought {
            path: &step.wanted.path,
            was: !matches!(step.there, PathState::Nothing),
            stays: step.wanted.after.is_some(),
        })
        .collect();
    let why = acting(place, &brought);
    steps.iter_mut().zip(why).for_each(|(step, why)| step.acts = why);
    emptied(place, &steps)?;
    Ok(steps)
}

/// Links that the changes themselves take away or make a directory of.
pub(super) fn replaced_links(wanted: &[Wanted]) -> BTreeSet<String> {
    let goes = |wanted: &&Wanted| {
        matches!(wanted.before, Before::Link(_))
            && wanted.after.as_ref().is_none_or(|new| new.kind == NewKind::Directory)
    };
    wanted.iter().filter(goes).map(|wanted| wanted.path.clone()).collect()
}

/// What is at a path. Below a link that goes is nothing yet, wherever it leads.
pub(super) fn look_past(
    place: &RootDir,
    path: &str,
    replaced: &BTreeSet<String>,
) -> Result<PathState, FilesError> {
    match place.look(path) {
        Err(RootError::Link(at)) if replaced.contains(&at) => Ok(PathState::Nothing),
        found => Ok(found?),
    }
}

/// What is at a path, in the form in which a change says what it expects. What nobody expects there is no business
/// of ours.
pub(super) fn look(
    place: &RootDir,
    path: &str,
    expected: Before,
    replaced: &BTreeSet<String>,
    bytes_max: u64,
    go_on: GoOn<'_>,
) -> Result<(Before, PathState), FilesError> {
    let there = look_past(place, path, replaced)?;
    let before = match &there {
        PathState::Nothing => Before::Nothing,
        PathState::File(_) => Before::File(digest(place, path, bytes_max, go_on)?),
        PathState::Link(_, target) if matches!(expected, Before::Link(_)) => Before::Link(Digest::of(target)),
        PathState::Directory(_) if expected == Before::Directory => Before::Directory,
        PathState::Link(..) | PathState::Directory(_) | PathState::Other(..) => {
            return Err(FilesError::Kind(path.to_owned(), there.to_string()));
        }
    };
    Ok((before, there))
}

/// The digest of the plain file at a path.
pub(super) fn digest(
    place: &RootDir,
    path: &str,
    bytes_max: u64,
    go_on: GoOn<'_>,
) -> Result<Digest, FilesError> {
    let Some(mut file) = place.open_file(path)? else {
        return Err(FilesError::Kind(path.to_owned(), "it has just become something else".into()));
    };
    let mut stopped = None;
    let done = file.digest(bytes_max, &mut || match go_on() {
        Ok(()) => true,
        Err(why) => {
            stopped = Some(why);
            false
        }
    });
    done.map_err(|why| match (why, stopped) {
        (Reading::Io(e), _) => FilesError::Io("read", path.to_owned(), e),
        (Reading::Stopped, Some(why)) => why,
        (Reading::Stopped | Reading::TooLong, _) => FilesError::TooLong(path.to_owned(), bytes_max),
    })
}

/// Whether each directory that is to go is empty once the other changes are made.
fn emptied(place: &RootDir, steps: &[Step]) -> Result<(), FilesError> {
    let by_path: BTreeMap<&str, &Step> = steps.iter().map(|step| (step.wanted.path.as_str(), step)).collect();
    for step in steps.iter().filter(|step| step.removes_directory()) {
        let path = &step.wanted.path;
        let (names, are_more) = place.names(path, steps.len())?;
        let stays = names.iter().find(|name| match name {
            Name::Odd(_) => true,
            Name::Plain(name) => {
                let inside = by_path.get(format!("{path}/{name}").as_str());
                inside.is_none_or(|inside| inside.wanted.after.is_some())
            }
        });
        if let (Some(Name::Odd(name) | Name::Plain(name)), _) = (stays, are_more) {
            return Err(FilesError::NotEmpty(path.clone(), name.clone()));
        }
        if are_more {
            return Err(FilesError::NotEmpty(path.clone(), "more than goes".into()));
        }
    }
    Ok(())
}

impl Step {
    /// Whether a directory is no longer there afterwards.
    pub(super) fn removes_directory(&self) -> bool {
        let stays = self.wanted.after.as_ref().is_some_and(|new| new.kind == NewKind::Directory);
        matches!(self.there, PathState::Directory(_)) && !stays
    }

    /// Whether something new is written beside its place before it goes there.
    pub(super) fn is_staged(&self) -> bool {
        self.wanted.after.as_ref().is_some_and(|new| new.kind != NewKind::Directory)
    }

    /// What happens to it, in one word.
    pub(super) fn what(&self) -> &'static str {
        match (&self.there, &self.wanted.after) {
            (PathState::Nothing, _) => "created",
            (_, Some(_)) => "changed",
            (_, None) => "deleted",
        }
    }

    /// The permissions of a new file.
    pub(super) fn mode(&self, new: &New) -> u32 {
        if let Some(mode) = new.mode {
            return mode;
        }
        let before = match &self.there {
            PathState::File(old) => old.mode & 0o777,
            _ => 0o644,
        };
        match new.executable {
            // Whoever may read it may run it.
            Some(true) => before | ((before & 0o444) >> 2),
            Some(false) => before & !0o111,
            None => before,
        }
    }

    /// Whether it can be run and could not be before.
    pub(super) fn becomes_executable(&self) -> bool {
        let could = matches!(&self.there, PathState::File(old) if old.mode & 0o111 != 0);
        let can = self
            .wanted
            .after
            .as_ref()
            .is_some_and(|new| matches!(new.kind, NewKind::File { .. }) && self.mode(new) & 0o111 != 0);
        can && !could
    }

    /// What people should know of it before they say yes.
    pub(super) fn marks(&self) -> Vec<String> {
        let mut marks: Vec<String> = self.acts.iter().cloned().collect();
        let Some(new) = &self.wanted.after else { return marks };
        match &new.kind {
            NewKind::File { .. } => {
                let mode = self.mode(new);
                let was = match &self.there {
                    PathState::File(old) => Some(old.mode & 0o777),
                    _ => None,
                };
                match (was.is_some_and(|was| was & 0o111 != 0), mode & 0o111 != 0) {
                    (false, true) => marks.push("it can be run".into()),
                    (true, false) => marks.push("it cannot be run".into()),
                    (true, true) => marks.push("it can be run, as before".into()),
                    (false, false) => {}
                }
                marks.extend(said_mode(was, mode));
            }
            NewKind::Link(target) => {
                marks.push(format!("a symbolic link to `{target}`"));
                if leads_out(&self.wanted.path, target) {
                    marks.push("it leads out of the directory".into());
                }
                if let Some(why) = aims_at(&self.wanted.path, target) {
                    marks.push(format!("it leads to what acts by itself: {why}"));
                }
            }
            NewKind::Directory => {
                marks.push("a directory".into());
                let was = match &self.there {
                    PathState::Directory(old) => Some(old.mode & 0o777),
                    _ => None,
                };
                marks.extend(new.mode.and_then(|mode| said_mode(was, mode)));
            }
        }
        marks
    }

    /// Why a person has to say yes to this one by itself, if so.
    pub(super) fn special(&self) -> Option<String> {
        let link = self.wanted.after.as_ref().and_then(|new| match &new.kind {
            NewKind::Link(target) => Some(target.as_str()),
            NewKind::File { .. } | NewKind::Directory => None,
        });
        self.acts.clone().or_else(|| leads_to_what_acts(&self.wanted.path, link))
    }

    /// The change that takes this one back. `bytes` is what a file had in it.
    pub(super) fn undo(&self, bytes: Vec<u8>) -> Change {
        let expected = self.wanted.after.as_ref().map_or(Before::Nothing, |new| new.kind.as_before());
        let (before, was) = expected.said();
        let after = match &self.there {
            PathState::Nothing | PathState::Other(..) => None,
            PathState::File(old) => Some(Content::of(bytes, None).with_mode(old.mode)),
            PathState::Link(_, target) => {
                Some(Content::link_to(String::from_utf8_lossy(target).into_owned()))
            }
            PathState::Directory(old) => Some(Content::a_directory().with_mode(old.mode)),
        };
        Change { path: self.wanted.path.clone(), before, was, after }
    }

    /// What is in the file that is there, if it still is the one that was looked at.
    pub(super) fn old_bytes(&self, place: &RootDir, bytes_max: u64) -> Result<Vec<u8>, FilesError> {
        let (PathState::File(seen), Before::File(digest)) = (&self.there, self.wanted.before) else {
            return Ok(Vec::new());
        };
        let path = &self.wanted.path;
        let gone = || FilesError::changed(path, Before::Nothing, &self.there);
        let mut file = place.open_file(path)?.ok_or_else(gone)?;
        if !seen.is_content_of(&file.identity) {
            return Err(gone());
        }
        let bytes = file.read(bytes_max).map_err(|why| match why {
            Reading::Io(e) => FilesError::Io("read", path.clone(), e),
            Reading::TooLong | Reading::Stopped => FilesError::TooLong(path.clone(), bytes_max),
        })?;
        if Digest::of(&bytes) == digest { Ok(bytes) } else { Err(gone()) }
    }

    /// The text before and after, or the sizes where one of the two is no text.
    pub(super) fn texts(&self, place: &RootDir, bytes_max: u64) -> Result<Texts, FilesError> {
        let old = self.old_bytes(place, bytes_max)?;
        let new = match self.wanted.after.as_ref().map(|new| &new.kind) {
            Some(NewKind::File { bytes, .. }) => bytes.as_slice(),
            Some(NewKind::Link(_) | NewKind::Directory) | None => b"",
        };
        Ok(match (std::str::from_utf8(&old), std::str::from_utf8(new)) {
            (Ok(old), Ok(new)) => {
                Ok((before_line(&self.there, old), after_line(self.wanted.after.as_ref(), new)))
            }
            _ => Err((old.len(), new.len())),
        })
    }

    /// A unified diff, or the sizes where one of the two is no text.
    pub(super) fn diff(&self, place: &RootDir, bytes_max: u64) -> Result<String, FilesError> {
        let mut said = match self.texts(place, bytes_max)? {
            Ok((old, new)) => TextDiff::configure()
                // What takes longer is shown less finely, and nothing waits for it.
                .timeout(std::time::Duration::from_secs(2))
                .diff_lines(&old, &new)
                .unified_diff()
                .context_radius(3)
                .header("before", "after")
                .to_string(),
            Err((old, new)) => format!("binary, {old} bytes before and {new} bytes after\n"),
        };
        for mark in self.marks() {
            said.push_str(&mark);
            said.push('\n');
        }
        Ok(said)
    }
}

/// The text before and after, or the sizes where one of the two is no text.
pub(super) type Texts = Result<(String, String), (usize, usize)>;

/// A link stands in a diff as a line that says so.
fn before_line(there: &PathState, text: &str) -> String {
    match there {
        PathState::Link(_, target) => format!("(a symbolic link to {})\n", String::from_utf8_lossy(target)),
        PathState::Directory(_) => "(a directory)\n".into(),
        PathState::Nothing | PathState::File(_) | PathState::Other(..) => text.to_owned(),
    }
}

fn after_line(new: Option<&New>, text: &str) -> String {
    match new.map(|new| &new.kind) {
        Some(NewKind::Link(target)) => format!("(a symbolic link to {target})\n"),
        Some(NewKind::Directory) => "(a directory)\n".into(),
        Some(NewKind::File { .. }) | None => text.to_owned(),
    }
}

/// Why a link acts by itself: where it leads.
pub(crate) fn leads_to_what_acts(path: &str, link: Option<&str>) -> Option<String> {
    let target = link?;
    if leads_out(path, target) {
        return Some("a link that leads out of the directory".into());
    }
    aims_at(path, target).map(|why| format!("a link to what acts by itself: {why}"))
}

/// Permissions in words, where they are others than before or than is usual.
fn said_mode(was: Option<u32>, mode: u32) -> Option<String> {
    match was {
        Some(was) if was & 0o666 != mode & 0o666 => {
            Some(format!("its permissions become {mode:04o}, from {was:04o}"))
        }
        None if !matches!(mode, 0o644 | 0o755) => Some(format!("its permissions are {mode:04o}")),
        _ => None,
    }
}

/// Where a link in a place leads, as a path in it; `None` if that is out of it.
pub(super) fn resolved(path: &str, target: &str) -> Option<String> {
    if target.starts_with('/') {
        return None;
    }
    let mut parts: Vec<&str> = path.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

fn leads_out(path: &str, target: &str) -> bool {
    resolved(path, target).is_none()
}

fn aims_at(path: &str, target: &str) -> Option<&'static str> {
    resolved(path, target).and_then(|aim| special(&aim))
}

/// Whether two looks saw the same thing.
pub(super) fn is_same(one: &PathState, other: &PathState) -> bool {
    match (one, other) {
        (PathState::Nothing, PathState::Nothing) => true,
        // What lies in a directory changes its times.
        (PathState::Directory(one), PathState::Directory(other)) => is_same_directory(one, other),
        _ => one == other,
    }
}

fn is_same_directory(one: &FileStamp, other: &FileStamp) -> bool {
    (one.id, one.mode, one.owner) == (other.id, other.mode, other.owner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_link_leads_is_known_without_following_it() {
        for (path, target, aim) in [
            ("link", "a/b", Some("a/b")),
            ("d/link", "../x", Some("x")),
            ("d/link", ".", Some("d")),
            ("link", "../x", None),
            ("d/link", "../../x", None),
            ("link", "/etc/passwd", None),
        ] {
            assert_eq!(resolved(path, target).as_deref(), aim, "{path} -> {target}");
        }
        assert!(aims_at("assets", ".git/hooks").is_some());
    }
}
