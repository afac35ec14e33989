//! What acts by itself although its name is an ordinary one: a link of a special name leads to it, or git's own
//! configuration names it.

mod git;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use super::special::{folded_path, special};
use crate::root_dir::{Name, PathState, RootDir};
use git::Configurations;
pub(super) use git::OfUser;

/// Names that are looked at for links of a special name, and how far down in directories of such a name.
const LOOKED_AT_MAX: usize = 16_384;
const DEPTH_MAX: usize = 4;
/// Links that lead to each other.
const LINKS_MAX: usize = 8;

/// Paths, without case, that something leads to, and what.
pub(super) struct Aims {
    at: BTreeMap<String, String>,
    /// Not all of it could be read, so anything may be meant.
    unread: Option<String>,
}

struct Looking<'a> {
    place: &'a RootDir,
    /// The absolute path of the place, without links if it is still there.
    here: PathBuf,
    aims: Aims,
    left: usize,
}

impl Aims {
    /// What leads to somewhere in a place where these paths change.
    pub(super) fn of(place: &RootDir, paths: &[&str], user: &OfUser) -> Self {
        let aims = Self { at: BTreeMap::new(), unread: None };
        let here = std::path::absolute(place.named()).unwrap_or_else(|_| place.named().to_owned());
        let here = here.canonicalize().unwrap_or(here);
        let mut looking = Looking { place, here, aims, left: LOOKED_AT_MAX };
        let above = |path| str::match_indices(path, '/').filter_map(move |(at, _)| path.get(..at));
        let directories: BTreeSet<&str> = paths.iter().flat_map(|path| above(path)).chain([""]).collect();
        for dir in &directories {
            looking.links_in(dir, 0);
        }
        Configurations::of(&mut looking, user).read(&directories);
        looking.aims
    }

    /// Why a path acts by itself, if something leads to it or to a directory above it.
    pub(super) fn why(&self, path: &str) -> Option<String> {
        let path = folded_path(path);
        let above = path.match_indices('/').filter_map(|(at, _)| path.get(..at));
        let led = above.chain([path.as_str(), ""]).find_map(|part| self.at.get(part));
        led.or(self.unread.as_ref()).cloned()
    }
}

impl Looking<'_> {
    /// Links of a special name in a directory.
    fn links_in(&mut self, dir: &str, depth: usize) {
        let (names, _) = self.place.names(dir, self.left).unwrap_or_default();
        self.left = self.left.saturating_sub(names.len());
        for name in names {
            let Name::Plain(name) = name else { continue };
            let path = below(dir, &name);
            if special(&path).is_none() {
                continue;
            }
            match self.place.look(&path) {
                Ok(PathState::Link(_, target)) => {
                    let why = format!(
                        "the link `{path}` leads to it, and tools look for that name without being asked"
                    );
                    self.follow(&path, &target, &why);
                }
                Ok(PathState::Directory(_)) if depth < DEPTH_MAX => self.links_in(&path, depth + 1),
                _ => {}
            }
        }
    }

    /// Remembers a path, where it really lies, and what it leads to if it is a link.
    fn aim_at(&mut self, aim: &str, why: &str) {
        for aim in [Some(aim.to_owned()), self.real(aim)].into_iter().flatten() {
            self.aims.at.insert(folded_path(&aim), why.to_owned());
            if let Ok(PathState::Link(_, target)) = self.place.look(&aim) {
                self.follow(&aim, &target, why);
            }
        }
    }

    /// The same path without links on the way to it.
    fn real(&self, aim: &str) -> Option<String> {
        let path = self.here.join(aim);
        let real = path.parent()?.canonicalize().ok()?.join(path.file_name()?);
        Some(real.strip_prefix(&self.here).ok()?.to_str()?.to_owned()).filter(|real| !real.is_empty())
    }

    /// Follows a link by its text, through links that it leads to.
    fn follow(&mut self, link: &str, target: &[u8], why: &str) {
        let (mut at, mut target) = (link.to_owned(), target.to_vec());
        for _ in 0..LINKS_MAX {
            let Ok(text) = std::str::from_utf8(&target) else { return };
            let from = self.here.join(&at);
            let aim = from.parent().and_then(|from| self.inside(&from.join(text)));
            let Some(aim) = aim.filter(|aim| !aim.is_empty()) else { return };
            self.aims.at.insert(folded_path(&aim), why.to_owned());
            match self.place.look(&aim) {
                Ok(PathState::Link(_, next)) => (at, target) = (aim, next),
                _ => return,
            }
        }
    }

    /// A path as one in the place, by its words or by where it really leads.
    fn inside(&self, path: &Path) -> Option<String> {
        let in_place = |path: &Path, top: &Path| Some(path.strip_prefix(top).ok()?.to_str()?.to_owned());
        let plain = plain(path)?;
        in_place(&plain, &self.here)
            .or_else(|| in_place(&plain, self.place.named()))
            .or_else(|| in_place(&plain.canonicalize().ok()?, &self.here))
    }
}

/// A path without `.` and `..`, by its words.
fn plain(path: &Path) -> Option<PathBuf> {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => drop(plain.pop().then_some(())?),
            part => plain.push(part),
        }
    }
    Some(plain)
}

fn below(dir: &str, name: &str) -> String {
    if dir.is_empty() { name.to_owned() } else { format!("{dir}/{name}") }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::super::acting::{Brought, acting_for};
    use super::*;
    use std::fs;

    #[test]
    fn where_a_link_of_a_special_name_leads_is_marked() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join(".git/hooks")).unwrap();
        fs::create_dir(dir.path().join("sub")).unwrap();
        for (link, target) in [
            (".envrc", "envfile"),
            (".vscode", "vsc"),
            ("Jenkinsfile", "one"),
            ("one", "ci.groovy"),
            (".git/hooks/post-commit", "../../scripts/pc.sh"),
            ("sub/.envrc", "deep"),
            ("ordinary", "plain"),
            (".tool-versions", "/etc/hostname"),
        ] {
            std::os::unix::fs::symlink(target, dir.path().join(link)).unwrap();
        }
        std::os::unix::fs::symlink(dir.path().join("straight"), dir.path().join("sub/Makefile")).unwrap();
        std::os::unix::fs::symlink(dir.path().join("straight"), dir.path().join("sub/.gitlab-ci.yml"))
            .unwrap();
        let place = RootDir::open(dir.path()).unwrap();
        let marked =
            ["envfile", "vsc/tasks.json", "ci.groovy", "scripts/pc.sh", "sub/deep", "straight", "ENVFILE"];
        let paths = [&marked[..], &["plain", "scripts/x", "deep", "sub/x"]].concat();
        let all: Vec<_> = paths.iter().map(|path| Brought { path, was: true, stays: true }).collect();
        let why = acting_for(&place, &all, &OfUser::default());
        let found: Vec<_> =
            paths.iter().zip(why).filter(|(_, why)| why.is_some()).map(|(path, _)| *path).collect();
        assert_eq!(found, marked);
    }

    #[test]
    fn what_the_configuration_of_git_names_is_marked() {
        let dir = tempfile::tempdir().unwrap();
        for made in [".git/hooks", "githooks", "tools", "sub/.git", "main"] {
            fs::create_dir_all(dir.path().join(made)).unwrap();
        }
        let absolute = dir.path().join("tools/diff.sh").display().to_string();
        let config = format!(
            "[core] hooksPath = githooks\n\tfsmonitor = \"tools/fsm --quick\"\n[include]\n\tpath = ../gitconf\n\
             [branch \"main\"]\n\tmerge = refs/heads/main\n\tremote = main\n[diff \"x\"]\n\tcommand = {absolute}\n"
        );
        fs::write(dir.path().join(".git/config"), config).unwrap();
        fs::write(dir.path().join("gitconf"), "[alias]\n\tx = \"!sh tools/alias.sh\"\n").unwrap();
        fs::write(dir.path().join("sub/.git/config"), "[filter \"f\"]\nclean=./clean.sh;true\n").unwrap();
        for file in
            ["tools/fsm", "tools/alias.sh", "tools/diff.sh", "tools/other", "sub/clean.sh", "clean.sh"]
        {
            fs::write(dir.path().join(file), "x").unwrap();
        }
        let place = RootDir::open(dir.path()).unwrap();
        let marked = [
            "githooks/pre-commit",
            "tools/fsm",
            "gitconf",
            "tools/alias.sh",
            "tools/diff.sh",
            "sub/clean.sh",
        ];
        let paths = [&marked[..], &["tools/other", "main/a", "clean.sh", "sub/x"]].concat();
        let all: Vec<_> = paths.iter().map(|path| Brought { path, was: true, stays: true }).collect();
        let why = acting_for(&place, &all, &OfUser::default());
        let found: Vec<_> =
            paths.iter().zip(&why).filter(|(_, why)| why.is_some()).map(|(path, _)| *path).collect();
        assert_eq!(found, marked, "{why:?}");
        fs::write(dir.path().join(".git/config"), vec![b'#'; 300 << 10]).unwrap();
        let why = acting_for(&place, &all, &OfUser::default());
        assert!(why.iter().all(Option::is_some), "what cannot be read may name anything: {why:?}");
    }

    /// What is marked in a directory for whoever has this configuration.
    fn marked(dir: &Path, user: &OfUser, paths: &[&str]) -> Vec<String> {
        let place = RootDir::open(dir).unwrap();
        let all: Vec<_> = paths.iter().map(|path| Brought { path, was: true, stays: true }).collect();
        let why = acting_for(&place, &all, user);
        paths.iter().zip(&why).filter(|(_, why)| why.is_some()).map(|(path, _)| (*path).to_owned()).collect()
    }

    fn write(file: &Path, text: &str) {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    #[test]
    fn a_worktree_and_a_submodule_have_the_configuration_that_their_file_names() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        let hooks = "[core]\n\thooksPath = hooks # ours\n";
        // A worktree beside its repository, which shares its configuration.
        write(&at("main/.git/config"), hooks);
        write(&at("main/.git/worktrees/w/commondir"), "../..\n");
        write(&at("main/.git/worktrees/w/config.worktree"), "[core]\nfsmonitor = tools/fsm\n");
        write(&at("w/.git"), &format!("gitdir: {}\n", at("main/.git/worktrees/w").display()));
        // A submodule of a repository that has it, by a relative path.
        write(
            &at("main/.git/modules/sub/config"),
            "[core]\n\tworktree = ../../../sub\n\tfsmonitor = ./deep/fsm\n",
        );
        write(&at("main/sub/.git"), "gitdir: ../.git/modules/sub\n");
        // One whose `.git` is a link.
        fs::create_dir_all(at("linked")).unwrap();
        std::os::unix::fs::symlink("../main/.git", at("linked/.git")).unwrap();
        for file in ["w/tools/fsm", "main/sub/deep/fsm", "main/tools/fsm"] {
            write(&at(file), "x");
        }
        let nobody = OfUser::default();
        let paths = ["hooks/pre-commit", "tools/fsm", "tools/other", "sub/deep/fsm", "sub/tools/fsm"];
        assert_eq!(marked(&at("w"), &nobody, &paths), ["hooks/pre-commit", "tools/fsm"]);
        assert_eq!(marked(&at("main"), &nobody, &paths), ["hooks/pre-commit", "sub/deep/fsm"]);
        assert_eq!(marked(&at("linked"), &nobody, &paths), ["hooks/pre-commit"]);
        // Of a directory in a repository, that around it counts.
        fs::create_dir_all(at("main/hooks")).unwrap();
        assert_eq!(marked(&at("main/hooks"), &nobody, &["pre-commit"]), ["pre-commit"]);
        // What cannot be read may name anything, and nothing is waited for.
        fs::remove_file(at("w/.git")).unwrap();
        let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::from_raw_mode(0o600));
        rustix::fs::mknodat(rustix::fs::CWD, at("w/.git"), kind, mode, 0).unwrap();
        assert_eq!(marked(&at("w"), &nobody, &paths), paths);
    }

    #[test]
    fn a_repository_further_down_or_without_a_work_tree_names_what_is_marked() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        write(&at("a/b/.git/config"), "[core]\n\tfsmonitor = ../../run.sh\n\thooksPath = hk\n");
        write(&at("mods/.git/modules/c/config"), "[core]\nworktree = ../../../../c\nfsmonitor = ./fsm\n");
        write(&at("c/.git"), "gitdir: ../mods/.git/modules/c\n");
        // A repository under some name, of which no work tree is checked out, or one elsewhere.
        for bare in ["fixtures/one", "fixtures/two"] {
            write(&at(bare).join("HEAD"), "ref: refs/heads/main\n");
            fs::create_dir(at(bare).join("objects")).unwrap();
            fs::create_dir(at(bare).join("refs")).unwrap();
        }
        write(&at("fixtures/one/config"), "[core]\nbare = true\nhooksPath = ../../scripts\n");
        write(&at("fixtures/two/config"), "[core]\nworktree = ../../tree\nfsmonitor = ./fsm\n");
        // None: git looks for all three.
        write(&at("none/HEAD"), "x");
        write(&at("none/config"), "[core]\nfsmonitor = ../other.sh\n");
        for made in ["scripts", "tree"] {
            fs::create_dir(at(made)).unwrap();
        }
        let marks = ["run.sh", "a/b/hk/pre-commit", "c/fsm", "scripts/post-update", "tree/fsm"];
        let others = ["other.sh", "tree/x", "c/x", "fsm", "a/b/x"];
        assert_eq!(marked(dir.path(), &OfUser::default(), &[&marks[..], &others].concat()), marks);
        // What changes lies in one, or in a directory of one.
        write(&at("fixtures/one/config"), "[core]\nbare = true\nhooksPath = sub/hk\n");
        assert_eq!(marked(&at("fixtures/one"), &OfUser::default(), &["sub/hk/update"]), ["sub/hk/update"]);
        assert_eq!(marked(&at("fixtures/one/refs"), &OfUser::default(), &["x"]).len(), 0);
    }

    #[test]
    fn what_git_would_run_once_it_is_there_is_marked() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        write(
            &at(".git/config"),
            "[include]\n\tpath = ../team.gitconfig\n[core]\n\tfsmonitor = ./tools/fsm\n\thooksPath = hk\n\
             [filter \"a\"]\n\tclean = sh -c \\\"./lib/x\\\"\n\tsmudge = $PWD/y\n\
             [filter \"b\"]\n\tclean = $(git rev-parse --show-toplevel)/z\n\tsmudge = sh lib2/*.sh\n\
             [diff \"c\"]\n\tcommand = ./w#x\n\ttextconv = ./m\n\tother = d/e\n",
        );
        for made in ["real", "there"] {
            fs::create_dir(at(made)).unwrap();
        }
        for (link, target) in [("hk", "real"), ("m", "real.sh"), ("d", "there")] {
            std::os::unix::fs::symlink(target, at(link)).unwrap();
        }
        let marks = [
            "team.gitconfig",
            "tools/fsm",
            "real/pre-commit",
            "lib/x",
            "y",
            "z",
            "lib2/any.sh",
            "w",
            "real.sh",
            "there/e",
        ];
        let others = ["tools/other", "README", "lib/y", "there/f"];
        assert_eq!(marked(dir.path(), &OfUser::default(), &[&marks[..], &others].concat()), marks);
    }

    #[test]
    fn what_the_users_own_configuration_of_git_names_is_marked() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        let work = at("work").display().to_string();
        let user = OfUser::of(&at("home"), &[at("home/.gitconfig"), at("home/none")]);
        write(
            &at("home/.gitconfig"),
            &format!(
                "[init]\ndefaultBranch = main\n[safe]\ndirectory = {work}/vendored\n[core]\nhooksPath = githooks\n\
                 editor = vim\n[alias]\nx = !sh {work}/tools/x.sh\ny = \"!tools/y.sh\"\n[mergetool \"m\"]\n\
                 path = {work}/big\n[includeIf \"gitdir:~/a]b/\"] path = ~/more\n"
            ),
        );
        write(&at("home/more"), &format!("[diff \"x\"]\ncommand = {work}/to\\\nols/d.sh\n"));
        fs::create_dir_all(at("work/.git")).unwrap();
        write(&at("work/big"), &"x".repeat(300 << 10));
        let marks = ["githooks/pre-commit", "tools/x.sh", "tools/y.sh", "tools/d.sh", "big"];
        let others = ["main/a", "vendored/a", "vim", "tools/other"];
        for file in marks.iter().chain(&others).skip(1) {
            if *file != "big" {
                write(&at("work").join(file), "x");
            }
        }
        assert_eq!(marked(&at("work"), &user, &[&marks[..], &others].concat()), marks);
        assert_eq!(marked(&at("work"), &OfUser::default(), &marks).len(), 0);
    }
}
