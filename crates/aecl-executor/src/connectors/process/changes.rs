//! What a program wrote, as changes of files that somebody may make.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use aecl_kernel::base::digest::Digest;
use aecl_sandbox::{ChangeKind, CollectLimits, Collected, CollectedChange as Written, Ended, SandboxError};
use serde_json::{Map, Value, json};

use super::{ProcessSpec, Views};
use crate::connectors::files::{Brought, Change, Content, FormerKind, acting, leads_to_what_acts, plain};
use crate::root_dir::{FileStamp, Name, PathState, Reading, RootDir, RootError};

/// How long the files of the host that were changed may be looked at. What is not seen by then is refused.
const LOOKING: Duration = Duration::from_secs(5);

/// Directories inside directories of what is deleted.
const DEPTH_MAX: usize = 64;

/// Members of the answer: `files` for what lies in `/scratch`, `changes` for each view with an overlay, `refused` for
/// what was not taken, and `special` for what acts by itself once it is kept.
pub(super) fn collect(
    ended: &Ended,
    spec: &ProcessSpec,
    views: &Views,
) -> Result<Map<String, Value>, SandboxError> {
    let most = spec.limits.collected_max_kib.saturating_mul(1 << 10);
    let limits = CollectLimits {
        file_max_bytes: most,
        total_max_bytes: most,
        entries_max: spec.limits.collected_files_max,
    };
    let until = Instant::now() + LOOKING;
    let (mut told, mut of_views, mut refused, mut special) = (Map::new(), Map::new(), Vec::new(), Vec::new());
    for scratch in &ended.scratch {
        let Collected { changes, refused: left } = scratch.collect(limits)?;
        let at = scratch.at().display().to_string();
        let mut refuse = |path: &str, why: &str| {
            let path = if path.is_empty() { at.clone() } else { format!("{at}/{path}") };
            refused.push(json!({ "path": path, "why": why }));
        };
        left.iter().for_each(|left| refuse(&left.path, left.why));
        let Some(place) = views.place(scratch.at()) else {
            let files: Vec<Change> = changes.into_iter().filter_map(alone).collect();
            if !files.is_empty() {
                told.insert("files".into(), json!(files));
            }
            continue;
        };
        let (place, found) = match place {
            Ok(place) => (place, Over::of(changes, place, views, limits, until)),
            Err(why) => {
                if !changes.is_empty() {
                    refuse("", &why);
                }
                continue;
            }
        };
        found.refused.iter().for_each(|(path, why)| refuse(path, why));
        let brought: Vec<_> = found.all.iter().map(brought).collect();
        for (change, why) in found.all.iter().zip(acting(place, &brought)) {
            let link = change.after.as_ref().and_then(|after| after.link.as_deref());
            if let Some(why) = why.or_else(|| leads_to_what_acts(&change.path, link)) {
                special.push(json!({ "path": format!("{at}/{}", change.path), "why": why }));
            }
        }
        of_views.insert(at, json!(found.all));
    }
    for (name, list) in [("refused", refused), ("special", special)] {
        if !list.is_empty() {
            told.insert(name.into(), Value::Array(list));
        }
    }
    if !of_views.is_empty() {
        told.insert("changes".into(), Value::Object(of_views));
    }
    Ok(told)
}

fn brought(change: &Change) -> Brought<'_> {
    let was = change.before.is_some() || change.was.is_some();
    Brought { path: &change.path, was, stays: change.after.is_some() }
}

/// What lies in a place with nothing below it. A directory comes into being with what is in it.
fn alone(written: Written) -> Option<Change> {
    let after = match written.kind {
        ChangeKind::File { mode, bytes } => of_file(bytes, mode, None),
        ChangeKind::Symlink { target } => Content::link_to(target),
        ChangeKind::Directory { .. } | ChangeKind::Deleted => return None,
    };
    Some(Change::created(written.path, after))
}

/// A file's content with its permissions, where they are not those that it would get anyway.
fn of_file(bytes: Vec<u8>, mode: u32, before: Option<u32>) -> Content {
    let kept = before.map_or(0o644, |before| before & 0o777);
    let with_all = kept | ((kept & 0o444) >> 2);
    let content = Content::of(bytes, None);
    match mode {
        mode if mode == kept => content,
        mode if mode == with_all => Content { executable: Some(true), ..content },
        mode if mode == kept & !0o111 => Content { executable: Some(false), ..content },
        mode => content.with_mode(mode),
    }
}

/// Changes above a directory of the host. What the host's file was when the program began goes along, so that nobody
/// writes over what somebody else has changed since.
struct Over<'a> {
    place: &'a RootDir,
    views: &'a Views,
    limits: CollectLimits,
    until: Instant,
    /// What the program left there.
    present: BTreeSet<String>,
    /// Directories that are new, with their permissions.
    directories: Vec<(String, u32)>,
    all: Vec<Change>,
    refused: Vec<(String, String)>,
}

impl<'a> Over<'a> {
    fn of(
        written: Vec<Written>,
        place: &'a RootDir,
        views: &'a Views,
        limits: CollectLimits,
        until: Instant,
    ) -> Self {
        let is_left = |written: &&Written| written.kind != ChangeKind::Deleted;
        let present = written.iter().filter(is_left).map(|written| written.path.clone()).collect();
        let (directories, all, refused) = (Vec::new(), Vec::new(), Vec::new());
        let mut over = Self { place, views, limits, until, present, directories, all, refused };
        if !place.is_still_named() {
            let why = "the directory was replaced or moved while the program ran, so nothing of it is taken";
            over.refused.push((String::new(), why.into()));
            return over;
        }
        for written in written {
            let path = written.path.clone();
            if let Err(why) = over.entry(written) {
                over.refused.push((path, why));
            }
        }
        over.empty_directories();
        over.all.sort_by(|one, other| one.path.cmp(&other.path));
        over.all.dedup_by(|one, other| one.path == other.path);
        over
    }

    fn entry(&mut self, written: Written) -> Result<(), String> {
        let Written { path, kind } = written;
        plain(&path).map_err(|why| format!("its name {why}"))?;
        let there = self.look(&path)?;
        match kind {
            ChangeKind::Deleted => self.remove(&path, &there, 0).map(drop),
            ChangeKind::Directory { anew, mode } => self.directory(path, &there, anew, mode),
            ChangeKind::Symlink { target } => self.put(path, &there, Content::link_to(target)),
            ChangeKind::File { mode, bytes } => match &there {
                PathState::File(old) => {
                    let before = self.digest(&path, old)?;
                    let same = Digest::of(&bytes) == before;
                    let after = of_file(bytes, mode, Some(old.mode));
                    // A program that writes a file again as it was has changed nothing.
                    if !same || after.executable.is_some() || after.mode.is_some() {
                        let before = Some(before);
                        self.all.push(Change { path, before, was: None, after: Some(after) });
                    }
                    Ok(())
                }
                _ => self.put(path, &there, of_file(bytes, mode, None)),
            },
        }
    }

    fn look(&self, path: &str) -> Result<PathState, String> {
        match self.place.look(path) {
            // A link that became a directory: nothing is below it yet, wherever it led.
            Err(RootError::Link(at)) if self.present.contains(&at) => Ok(PathState::Nothing),
            found => found.map_err(|e| format!("what is there on the host cannot be looked at: {e}")),
        }
    }

    fn directory(&mut self, path: String, there: &PathState, anew: bool, mode: u32) -> Result<(), String> {
        match there {
            PathState::Nothing => self.directories.push((path, mode)),
            PathState::Directory(old) => {
                if anew {
                    self.remove_inside(&path, 0)?;
                }
                if old.mode & 0o777 != mode {
                    let after = Some(Content::a_directory().with_mode(mode));
                    self.all.push(Change { path, before: None, was: Some(FormerKind::Directory), after });
                }
            }
            PathState::File(_) | PathState::Link(..) | PathState::Other(..) => {
                let content = Content::a_directory();
                let content = if mode == 0o755 { content } else { content.with_mode(mode) };
                self.put(path, there, content)?;
            }
        }
        Ok(())
    }

    /// Something new, or something else than what is there.
    fn put(&mut self, path: String, there: &PathState, after: Content) -> Result<(), String> {
        let (before, was) = match there {
            PathState::Nothing => (None, None),
            PathState::File(old) => (Some(self.digest(&path, old)?), None),
            PathState::Link(old, target) => {
                self.views.is_as_before(old)?;
                if after.link.as_ref().is_some_and(|link| link.as_bytes() == target.as_slice()) {
                    return Ok(());
                }
                (Some(Digest::of(target)), Some(FormerKind::Link))
            }
            PathState::Directory(_) => {
                if !self.remove_inside(&path, 0)? {
                    return Err("what is in the directory that is there on the host stays".into());
                }
                (None, Some(FormerKind::Directory))
            }
            PathState::Other(_, what) => return Err(format!("{what} on the host, which is left alone")),
        };
        self.all.push(Change { path, before, was, after: Some(after) });
        Ok(())
    }

    /// What was deleted, with all that is in it. Gives whether nothing of it stays.
    fn remove(&mut self, path: &str, there: &PathState, depth: usize) -> Result<bool, String> {
        let (before, was) = match there {
            PathState::Nothing => return Ok(true),
            PathState::File(old) => (Some(self.digest(path, old)?), None),
            PathState::Link(old, target) => {
                self.views.is_as_before(old)?;
                (Some(Digest::of(target)), Some(FormerKind::Link))
            }
            PathState::Directory(_) => {
                if !self.remove_inside(path, depth)? {
                    return Ok(false);
                }
                (None, Some(FormerKind::Directory))
            }
            PathState::Other(_, what) => {
                return Err(format!("it was deleted, and {what} on the host, which is left alone"));
            }
        };
        if self.all.len() >= self.limits.entries_max {
            return Err("it was deleted, and there are more changes than are collected".into());
        }
        self.all.push(Change { path: path.to_owned(), before, was, after: None });
        Ok(true)
    }

    /// The same for what is in a directory. What the program left there is no part of it.
    fn remove_inside(&mut self, path: &str, depth: usize) -> Result<bool, String> {
        if depth >= DEPTH_MAX {
            return Err("it was deleted, and is nested too deeply".into());
        }
        let most = self.limits.entries_max.saturating_sub(self.all.len());
        let (names, are_more) =
            self.place.names(path, most).map_err(|e| format!("the directory cannot be read: {e}"))?;
        let mut is_empty = !are_more;
        if are_more {
            let why = "there are more deleted files in it than are collected";
            self.refused.push((path.to_owned(), why.into()));
        }
        for name in names {
            let (inside, name) = match name {
                Name::Plain(name) => (format!("{path}/{name}"), Some(name)),
                Name::Odd(shown) => (format!("{path}/{shown}"), None),
            };
            if self.present.contains(&inside) {
                is_empty = false;
                continue;
            }
            let gone = match name {
                None => Err("it was deleted, and its name is no UTF-8".into()),
                Some(_) => plain(&inside)
                    .map_err(|why| format!("it was deleted, and its name {why}"))
                    .and_then(|()| self.look(&inside))
                    .and_then(|there| self.remove(&inside, &there, depth + 1)),
            };
            match gone {
                Ok(gone) => is_empty &= gone,
                Err(why) => {
                    is_empty = false;
                    self.refused.push((inside, why));
                }
            }
        }
        Ok(is_empty)
    }

    /// The digest of a file of the host, if it is as it was before.
    fn digest(&self, path: &str, seen: &FileStamp) -> Result<Digest, String> {
        self.views.is_as_before(seen)?;
        let most = self.limits.file_max_bytes;
        let gone = || "somebody else has changed it while the program ran".to_owned();
        let file = self.place.open_file(path).map_err(|e| format!("it cannot be read on the host: {e}"))?;
        let mut file = file.ok_or_else(gone)?;
        if file.identity != *seen {
            return Err(gone());
        }
        file.digest(most, &mut || Instant::now() < self.until).map_err(|why| match why {
            Reading::TooLong => format!(
                "the file that is there on the host has {} KiB, and at most {} KiB are compared and shown",
                seen.size >> 10,
                most >> 10
            ),
            Reading::Stopped => "there was no time left to look at what is there on the host".into(),
            Reading::Io(e) => format!("it cannot be read on the host: {e}"),
        })
    }

    /// A new directory is made for what is in it; one without anything, or for some people only, is a change of its own.
    fn empty_directories(&mut self) {
        let has_content = |path: &str| {
            let below = format!("{path}/");
            self.all.iter().any(|change| change.path.starts_with(&below) && change.after.is_some())
        };
        let alone: Vec<Change> = self
            .directories
            .iter()
            .rev()
            .filter(|(path, mode)| *mode != 0o755 || !has_content(path))
            .map(|(path, mode)| {
                let content = Content::a_directory();
                let content = if *mode == 0o755 { content } else { content.with_mode(*mode) };
                Change::created(path.clone(), content)
            })
            .collect();
        self.all.extend(alone);
    }
}
