//! Directories of the host that no cage shows: homes of the door that programs in cages stand before. Whoever reads
//! the keys in one is everybody. Beside them stands what a process takes out of its cages by itself: shown to none, or
//! changed by none.
//!
//! What is never shown is known to the whole process and only grows. A list that each cage is given could be
//! forgotten by one caller; this one cannot.

mod search;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use crate::cage::{Access, View};
use crate::error::SandboxError;

/// What every home has, beside each other.
const CONFIG: &str = "aecl.yaml";
const KEYS: &str = "keys";

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

/// Whether a directory looks like a home: a configuration beside keys, or keys that only a home has, whatever became of
/// the configuration.
#[must_use]
pub fn is_home(dir: &Path) -> bool {
    let keys = dir.join(KEYS);
    keys.symlink_metadata().is_ok_and(|about| about.is_dir() || about.is_symlink())
        && (dir.join(CONFIG).symlink_metadata().is_ok() || keys_of_ours(&keys))
}

/// What every home has among its keys.
fn keys_of_ours(keys: &Path) -> bool {
    ["ledger.pem", "tokens.pem"].iter().all(|name| keys.join(name).symlink_metadata().is_ok())
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
        if let Ok(about) = view.source.metadata()
            && about.is_file()
            && search::keys_elsewhere(&known()).contains(&(about.dev(), about.ino()))
        {
            return no(view, "is a key of AECL by another name, which no program sees; take it away".into());
        }
        let is_way_out = |kind: fs::FileType| kind.is_socket() || kind.is_fifo();
        if view.source.symlink_metadata().is_ok_and(|about| is_way_out(about.file_type())) {
            return no(view, "is a socket or a pipe, so it leads out of the cage; take it away".into());
        }
    }
    Ok(())
}

/// What is never shown, and where homes of this host's users lie.
fn known() -> Vec<PathBuf> {
    let mut known = never_shown();
    known.extend(search::homes_of_users());
    known
}

/// What has to be covered in these views, as paths of the cage. Nothing of it lies in another.
///
/// # Errors
/// Which view cannot be searched as a whole. It is not shown then.
pub(crate) fn below(views: &[View]) -> Result<Vec<PathBuf>, SandboxError> {
    below_within(views, search::NAMES_MAX)
}

fn below_within(views: &[View], names_max: usize) -> Result<Vec<PathBuf>, SandboxError> {
    let known = known();
    let elsewhere = if views.is_empty() { search::Numbers::new() } else { search::keys_elsewhere(&known) };
    let mut covered: Vec<PathBuf> = Vec::new();
    for view in views {
        let mut homes = search::below(&view.source, &elsewhere, names_max)
            .map_err(|why| SandboxError::BadCage(format!("the view `{}` {why}", view.source.display())))?;
        homes.extend(known.iter().filter(|path| can_be_mounted_over(path)).cloned());
        homes.sort();
        for home in homes {
            let Ok(rest) = home.strip_prefix(&view.source) else { continue };
            let at = view.at.join(rest);
            if !rest.as_os_str().is_empty() && !covered.iter().any(|outer| at.starts_with(outer)) {
                covered.push(at);
            }
        }
    }
    Ok(covered)
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn home(dir: &Path) {
        fs::create_dir_all(dir.join(KEYS)).unwrap();
        fs::write(dir.join(CONFIG), "origin: x").unwrap();
    }

    fn view(source: &Path) -> View {
        View { source: source.into(), at: "/it".into(), access: Access::Overlay }
    }

    fn covered(top: &Path) -> Vec<String> {
        let all = below(&[view(top)]).unwrap();
        all.iter().map(|at| at.strip_prefix("/it").unwrap().display().to_string()).collect()
    }

    #[test]
    fn homes_are_covered_where_they_lie_and_never_shown_themselves() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().canonicalize().unwrap();
        home(&top.join(".aecl"));
        home(&top.join("a/b/.aecl"));
        home(&top.join("deep/er/and/deeper/than/that/home"));
        fs::create_dir_all(top.join("named/home")).unwrap();
        assert_eq!(covered(&top), [".aecl", "a/b/.aecl", "deep/er/and/deeper/than/that/home"]);
        never_show(&top.join("named/home"));
        assert_eq!(covered(&top), [".aecl", "a/b/.aecl", "deep/er/and/deeper/than/that/home", "named/home"]);
        refuse(&[view(&top), view(&top.join("a"))]).unwrap();
        for own in [".aecl", ".aecl/keys", ".aecl/keys/operator.key", "named/home/data"] {
            let why = refuse(&[view(&top.join(own))]).unwrap_err().to_string();
            assert!(why.contains("which no program sees"), "{own}: {why}");
        }
    }

    #[test]
    fn no_number_of_names_hides_a_home_and_what_is_too_much_is_not_shown() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().canonicalize().unwrap();
        for number in 0..5_000 {
            fs::create_dir_all(top.join(format!("many/{number}"))).unwrap();
        }
        home(&top.join("many/zz/home"));
        assert_eq!(covered(&top), ["many/zz/home"]);
        let why = below_within(&[view(&top)], 5_000).unwrap_err().to_string();
        assert!(why.contains("more than 5000 names below") && why.contains("show the parts of it"), "{why}");
    }

    #[test]
    fn keys_are_covered_by_each_of_their_names() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().canonicalize().unwrap();
        let (outside, shown) = (top.join("outside"), top.join("shown"));
        home(&outside);
        home(&shown.join("home"));
        fs::create_dir_all(shown.join("work/linked")).unwrap();
        for key in [outside.join("keys/one"), shown.join("home/keys/two")] {
            fs::write(&key, "secret").unwrap();
            fs::hard_link(&key, shown.join("work").join(key.file_name().unwrap())).unwrap();
        }
        // Its keys lie where a link leads, and are called otherwise there.
        fs::create_dir_all(shown.join("led")).unwrap();
        fs::write(shown.join("led").join(CONFIG), "origin: x").unwrap();
        fs::write(shown.join("work/linked/three"), "secret").unwrap();
        std::os::unix::fs::symlink("../work/linked", shown.join("led/keys")).unwrap();
        // Its configuration was called otherwise.
        fs::create_dir_all(shown.join("old/keys")).unwrap();
        fs::write(shown.join("old/keys/ledger.pem"), "secret").unwrap();
        fs::write(shown.join("old/keys/tokens.pem"), "secret").unwrap();
        fs::write(shown.join("work/file"), "seen").unwrap();
        never_show(&outside);
        assert_eq!(covered(&shown), ["home", "led", "old", "work/linked/three", "work/one", "work/two"]);
        let why = refuse(&[view(&shown.join("work/one"))]).unwrap_err().to_string();
        assert!(why.contains("a key of AECL by another name"), "{why}");
        refuse(&[view(&shown.join("work/file"))]).unwrap();
    }
}
