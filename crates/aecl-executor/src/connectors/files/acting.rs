//! What acts by itself because of what lies around it: a directory that git takes for a repository, whatever it is
//! called; a name with a dot that was not there before; a second name of a file where case does not count.

use std::collections::{BTreeMap, BTreeSet};

use super::aims::{Aims, OfUser};
use super::special::{folded, folded_path, special};
use crate::root_dir::{Name, PathState, RootDir};

/// A change, as far as it is looked at here.
pub(crate) struct Brought<'a> {
    /// Where, below the place.
    pub(crate) path: &'a str,
    /// Whether something was there before.
    pub(crate) was: bool,
    /// Whether something is there afterwards.
    pub(crate) stays: bool,
}

const REPOSITORY: &str =
    "git takes its directory for a repository and runs what the configuration in it says";
const DOT: &str =
    "nothing with this name was there before, and tools look for names with a dot without being asked";

/// Directories in which nobody looks for settings of a project, and names with a dot that hold none: what builds and
/// tests leave, and lists of what to leave out. What is known to act by itself is marked below them, too.
const QUIET: [&str; 47] = [
    "node_modules",
    "bower_components",
    "site-packages",
    "vendor",
    "target",
    ".git",
    ".hg",
    ".jj",
    ".sl",
    ".svn",
    ".venv",
    ".tox",
    ".nox",
    ".eggs",
    ".pytest_cache",
    ".mypy_cache",
    ".ruff_cache",
    ".hypothesis",
    ".ipynb_checkpoints",
    ".coverage",
    ".nyc_output",
    ".eslintcache",
    ".stylelintcache",
    ".cache",
    ".parcel-cache",
    ".turbo",
    ".next",
    ".nuxt",
    ".output",
    ".svelte-kit",
    ".astro",
    ".angular",
    ".vite",
    ".sass-cache",
    ".gradle",
    ".dart_tool",
    ".DS_Store",
    ".gitignore",
    ".gitkeep",
    ".keep",
    ".hgignore",
    ".dockerignore",
    ".npmignore",
    ".eslintignore",
    ".prettierignore",
    ".editorconfig",
    ".nojekyll",
];

/// Names of a directory that are compared with a new one.
const NAMES_MAX: usize = 4_096;

/// Why what lies at each of these paths acts by itself, if so: because of its name, or of what is around it.
pub(crate) fn acting(place: &RootDir, all: &[Brought<'_>]) -> Vec<Option<String>> {
    acting_for(place, all, &OfUser::here())
}

/// The same, for a user whose configuration is elsewhere.
pub(super) fn acting_for(place: &RootDir, all: &[Brought<'_>], user: &OfUser) -> Vec<Option<String>> {
    let paths: Vec<&str> = all.iter().map(|one| one.path).collect();
    let mut around = Around {
        place,
        all: BTreeMap::new(),
        goes: BTreeSet::new(),
        names: BTreeMap::new(),
        aims: Aims::of(place, &paths, user),
    };
    for one in all {
        match one.stays {
            true => around.all.entry(folded_path(one.path)).or_default().push(one.path),
            false => drop(around.goes.insert(one.path)),
        }
    }
    all.iter().map(|one| around.why(one)).collect()
}

struct Around<'a> {
    place: &'a RootDir,
    /// What is there afterwards, under the names that count where case does not.
    all: BTreeMap<String, Vec<&'a str>>,
    goes: BTreeSet<&'a str>,
    /// What is in directories, as far as somebody has asked.
    names: BTreeMap<String, Vec<String>>,
    aims: Aims,
}

impl Around<'_> {
    fn why(&mut self, one: &Brought<'_>) -> Option<String> {
        if let Some(why) = special(one.path) {
            return Some(why.to_owned());
        }
        if let Some(why) = self.aims.why(one.path) {
            return Some(why);
        }
        if !one.stays {
            return None;
        }
        if self.is_of_repository(one.path) {
            return Some(REPOSITORY.to_owned());
        }
        if one.was {
            return None;
        }
        if self.is_new_dot(one.path) {
            return Some(DOT.to_owned());
        }
        let twin = self.twin(one.path)?;
        Some(format!("where case does not count it is `{twin}`, and some tools take either"))
    }

    /// Whether git reads it in order to know what to run, in a directory of any name.
    fn is_of_repository(&self, path: &str) -> bool {
        let parts: Vec<&str> = path.split('/').collect();
        let small: Vec<String> = parts.iter().map(|part| folded(part)).collect();
        let small: Vec<&str> = small.iter().map(String::as_str).collect();
        // What is inside of a directory of its usual name is known by its name.
        if small.iter().any(|part| part.ends_with(".git") || *part == "git~1") {
            return false;
        }
        let mut homes: Vec<usize> =
            (0..small.len()).filter(|at| small.get(*at).is_some_and(|part| *part == "hooks")).collect();
        match small.as_slice() {
            // Without it nothing is a repository.
            [.., "head"] => return true,
            [above @ .., "config" | "config.worktree" | "commondir" | "gitdir"]
            | [above @ .., "info", "attributes"]
            | [above @ .., "objects", "info", "alternates"] => homes.push(above.len()),
            _ => {}
        }
        homes.iter().any(|home| self.is_repository(parts.get(..*home).unwrap_or_default()))
    }

    fn is_repository(&self, dir: &[&str]) -> bool {
        let head = dir.iter().copied().chain(["HEAD"]).collect::<Vec<_>>().join("/");
        self.all.contains_key(&folded_path(&head))
            || matches!(self.place.look(&head), Ok(PathState::File(_) | PathState::Link(..)))
    }

    /// Whether it is the first of a name with a dot, or in a directory that is.
    fn is_new_dot(&self, path: &str) -> bool {
        let mut end = 0;
        for part in path.split('/') {
            end += part.len();
            if QUIET.contains(&part) {
                return false;
            }
            if folded(part).starts_with('.') {
                let name = path.get(..end).unwrap_or(path);
                return !matches!(
                    self.place.look(name),
                    Ok(PathState::File(_) | PathState::Directory(_) | PathState::Link(..))
                );
            }
            end += 1;
        }
        false
    }

    /// Another name beside it that is the same where case does not count.
    fn twin(&mut self, path: &str) -> Option<String> {
        let beside = self.all.get(&folded_path(path)).into_iter().flatten();
        if let Some(twin) = beside.copied().find(|other| *other != path) {
            return Some(twin.to_owned());
        }
        let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
        let place = self.place;
        let names = self.names.entry(dir.to_owned()).or_insert_with(|| {
            let (names, _) = place.names(dir, NAMES_MAX).unwrap_or_default();
            let plain = |name| match name {
                Name::Plain(name) => Some(name),
                Name::Odd(_) => None,
            };
            names.into_iter().filter_map(plain).collect()
        });
        let same = folded(name);
        let twin = names.iter().find(|other| other.as_str() != name && folded(other) == same)?;
        let full = if dir.is_empty() { twin.clone() } else { format!("{dir}/{twin}") };
        // Who gives a file another name has taken the old one away.
        (!self.goes.contains(full.as_str())).then_some(full)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use std::fs;

    fn marked(there: &[&str], goes: &[&str], comes: &[&str]) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        for path in there {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let place = RootDir::open(dir.path()).unwrap();
        let gone = goes.iter().map(|path| Brought { path, was: true, stays: false });
        let come =
            comes.iter().map(|path| Brought { path, was: dir.path().join(path).exists(), stays: true });
        let all: Vec<_> = gone.chain(come).collect();
        let why = acting_for(&place, &all, &OfUser::default());
        all.iter().zip(why).filter(|(_, why)| why.is_some()).map(|(one, _)| one.path.to_owned()).collect()
    }

    #[test]
    fn a_repository_is_one_whatever_it_is_called() {
        let of = ["d/HEAD", "d/config", "d/hooks/update", "d/objects/info/alternates", "d/info/attributes"];
        let more =
            ["d/refs/heads/main", "d/objects/aa/bb", "d/description", "e/config", "e/hooks/useState.ts"];
        assert_eq!(marked(&[], &[], &[&of[..], &more[..]].concat()), of);
        // The repository was there already, or its directory is the place itself.
        assert_eq!(
            marked(&["d/HEAD", "d/config"], &[], &["d/config", "d/commondir", "d/x"]),
            ["d/config", "d/commondir"]
        );
        assert_eq!(
            marked(&["HEAD"], &[], &["config", "hooks/post-checkout", "x"]),
            ["config", "hooks/post-checkout"]
        );
        assert_eq!(marked(&[], &[], &["D/Head", "d/Config"]), ["D/Head", "d/Config"]);
        // A checkout changes these in every repository of a usual name.
        assert!(
            marked(&[".git/HEAD"], &[], &[".git/HEAD", ".git/logs/HEAD", ".git/refs/remotes/o/HEAD"])
                .is_empty()
        );
    }

    #[test]
    fn a_name_with_a_dot_that_was_not_there_is_marked() {
        let comes = [".toolrc", "sub/.tool/x.toml", ".old/more", "src/.hidden.rs", "a.b/c"];
        assert_eq!(marked(&[".old/one"], &[], &comes), [".toolrc", "sub/.tool/x.toml", "src/.hidden.rs"]);
        let quiet =
            [".gitignore", ".pytest_cache/x", "node_modules/a/.eslintrc", ".next/.y/z", ".git/objects/aa/bb"];
        assert!(marked(&[], &[], &quiet).is_empty());
        // What is known acts wherever it is, also where it was before.
        let known = ["node_modules/a/.envrc", "target/.vscode/tasks.json"];
        assert_eq!(marked(&known, &[], &known), known);
    }

    #[test]
    fn a_second_name_where_case_does_not_count_is_marked() {
        assert_eq!(
            marked(&["Makefile", "src/a"], &[], &["makefile", "src/A", "src/b"]),
            ["makefile", "src/A"]
        );
        assert_eq!(marked(&[], &[], &["src/New", "src/new"]), ["src/New", "src/new"]);
        assert!(marked(&["Readme"], &["Readme"], &["README"]).is_empty(), "renamed");
    }
}
