//! Directories of the host that no cage shows: homes of the door that programs in cages stand before. Whoever reads
//! the keys in one is everybody. Beside them stands what a process takes out of its cages by itself: shown to none, or
//! changed by none.
//!
//! What is never shown is known to the whole process and only grows. A list that each cage is given could be
//! forgotten by one caller; this one cannot.

use std::collections::{BTreeSet, VecDeque};
use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use crate::{Access, SandboxError, View};

/// What every home has, beside each other.
const CONFIG: &str = "aecl.yaml";
const KEYS: &str = "keys";

/// How far below a view homes that nobody named are looked for: this many directories at most, this deep, and so
/// many names of one directory.
const LOOKED_AT_MAX: usize = 512;
const DEPTH_MAX: usize = 3;
const NAMES_MAX: usize = 4_096;

static NEVER: RwLock<BTreeSet<PathBuf>> = RwLock::new(BTreeSet::new());
static SEALED: RwLock<BTreeSet<PathBuf>> = RwLock::new(BTreeSet::new());

/// From now on no cage of this process shows this directory or file, nor anything below it.
pub fn never_show(path: &Path) {
    remember(&NEVER, path);
}

/// From now on every cage of this process shows this directory or file read-only, with everything below it, also in a
/// view that can be written.
pub fn never_change(path: &Path) {
    remember(&SEALED, path);
}

fn remember(all: &RwLock<BTreeSet<PathBuf>>, path: &Path) {
    let real = path.canonicalize().or_else(|_| std::path::absolute(path)).unwrap_or_else(|_| path.to_owned());
    // All of the host is no home, and would leave nothing to show.
    if real.parent().is_some() {
        all.write().unwrap_or_else(PoisonError::into_inner).insert(real);
    }
}

/// What no cage of this process shows, beside homes that are found where they lie.
#[must_use]
pub fn never_shown() -> Vec<PathBuf> {
    NEVER.read().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
}

/// Whether a directory looks like a home: a configuration beside keys.
#[must_use]
pub fn is_home(dir: &Path) -> bool {
    let has = |name: &str| dir.join(name).symlink_metadata();
    has(CONFIG).is_ok() && has(KEYS).is_ok_and(|about| about.is_dir() || about.is_symlink())
}

/// The home that a path is, or lies in.
#[must_use]
pub fn hidden_around(path: &Path) -> Option<PathBuf> {
    let never = never_shown();
    let is_hidden = |dir: &&Path| never.iter().any(|hidden| hidden == dir) || is_home(dir);
    path.ancestors().find(is_hidden).map(Path::to_owned)
}

/// Refuses views of a home or of a part of it, and of what is a way out by itself.
///
/// # Errors
/// Which view, and why.
pub(crate) fn refuse(views: &[View]) -> Result<(), SandboxError> {
    let no = |view: &View, why: String| {
        Err(SandboxError::BadCage(format!("the view `{}` {why}", view.source.display())))
    };
    for view in views {
        if let Some(home) = hidden_around(&view.source) {
            let home = home.display();
            return no(
                view,
                format!("is of AECL's own directory `{home}`, which no program sees; show another"),
            );
        }
        let is_way_out = |kind: fs::FileType| kind.is_socket() || kind.is_fifo();
        if view.source.symlink_metadata().is_ok_and(|about| is_way_out(about.file_type())) {
            return no(view, "is a socket or a pipe, so it leads out of the cage; take it away".into());
        }
    }
    Ok(())
}

/// What has to be covered in these views, as paths of the cage. Nothing of it lies in another.
pub(crate) fn below(views: &[View]) -> Vec<PathBuf> {
    let mut covered: Vec<PathBuf> = Vec::new();
    for view in views {
        let mut homes = found_below(&view.source);
        homes.extend(never_shown().into_iter().filter(|path| can_be_mounted_over(path)));
        homes.sort();
        for home in homes {
            let Ok(rest) = home.strip_prefix(&view.source) else { continue };
            let at = view.at.join(rest);
            if !rest.as_os_str().is_empty() && !covered.iter().any(|outer| at.starts_with(outer)) {
                covered.push(at);
            }
        }
    }
    covered
}

/// What has to be made read-only in views that can be written, as paths of the cage. Nothing of it lies in another.
pub(crate) fn sealed(views: &[View]) -> Vec<PathBuf> {
    let all = SEALED.read().unwrap_or_else(PoisonError::into_inner);
    let mut sealed: Vec<PathBuf> = Vec::new();
    for view in views.iter().filter(|view| view.access == Access::Overlay) {
        for path in all.iter().filter(|path| can_be_mounted_over(path)) {
            let Ok(rest) = path.strip_prefix(&view.source) else { continue };
            // Joined with nothing, a file's path would end with a slash.
            let at = if rest.as_os_str().is_empty() { view.at.clone() } else { view.at.join(rest) };
            if !sealed.iter().any(|outer| at.starts_with(outer)) {
                sealed.push(at);
            }
        }
    }
    sealed
}

/// Whether it is a directory or a file, and no link to one.
fn can_be_mounted_over(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|about| about.is_dir() || about.is_file())
}

/// Homes at the top of a directory. Hidden names first: that is how homes in projects are called.
fn found_below(top: &Path) -> Vec<PathBuf> {
    let mut homes = Vec::new();
    let mut waiting = VecDeque::from([(top.to_owned(), 0)]);
    let mut looked_at = 0;
    while let Some((dir, depth)) = waiting.pop_front() {
        // What we cannot read we cannot show either, or it is no directory.
        let Ok(entries) = fs::read_dir(&dir) else { continue };
        let is_dir = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
        let mut dirs: Vec<PathBuf> =
            entries.take(NAMES_MAX).flatten().filter(is_dir).map(|entry| entry.path()).collect();
        dirs.sort_by_key(|path| {
            let name = path.file_name().map(|name| name.as_encoded_bytes().to_vec()).unwrap_or_default();
            (!name.starts_with(b"."), name)
        });
        for path in dirs {
            if looked_at >= LOOKED_AT_MAX {
                return homes;
            }
            looked_at += 1;
            if is_home(&path) {
                homes.push(path);
            } else if depth + 1 < DEPTH_MAX {
                waiting.push_back((path, depth + 1));
            }
        }
    }
    homes
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn home(dir: &Path) {
        fs::create_dir_all(dir.join(KEYS)).unwrap();
        fs::write(dir.join(CONFIG), "origin: x").unwrap();
    }

    #[test]
    fn homes_are_covered_where_they_lie_and_never_shown_themselves() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().canonicalize().unwrap();
        home(&top.join(".aecl"));
        home(&top.join("a/b/.aecl"));
        home(&top.join("deep/er/and/deeper/home"));
        let view = |source: &Path| View { source: source.into(), at: "/it".into(), access: Access::Overlay };
        assert_eq!(below(&[view(&top)]), ["/it/.aecl", "/it/a/b/.aecl"].map(PathBuf::from));
        never_show(&top.join("deep/er/and/deeper/home"));
        let all = ["/it/.aecl", "/it/a/b/.aecl", "/it/deep/er/and/deeper/home"].map(PathBuf::from);
        assert_eq!(below(&[view(&top)]), all);
        refuse(&[view(&top), view(&top.join("a"))]).unwrap();
        for own in [".aecl", ".aecl/keys", ".aecl/keys/operator.key", "deep/er/and/deeper/home/data"] {
            let why = refuse(&[view(&top.join(own))]).unwrap_err().to_string();
            assert!(why.contains("which no program sees"), "{own}: {why}");
        }
    }
}
