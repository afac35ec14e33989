//! What acts by itself although its name is an ordinary one: a link of a special name leads to it, or git's own
//! configuration names it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::acting::folded_path;
use super::special::special;
use super::survey::resolved;
use crate::root_dir::{Name, PathState, RootDir};

/// Names that are looked at for links of a special name, and how far down in directories of such a name.
const LOOKED_AT_MAX: usize = 16_384;
const DEPTH_MAX: usize = 4;
/// Links that lead to each other.
const LINKS_MAX: usize = 8;
/// Files of git's configuration that are read, and how many bytes of each.
const CONFIGS_MAX: usize = 32;
const CONFIG_BYTES_MAX: u64 = 256 << 10;

/// Paths, without case, that something leads to, and what.
pub(super) struct Aims {
    at: BTreeMap<String, String>,
    /// Not all of it could be read, so anything may be meant.
    unread: Option<String>,
}

struct Looking<'a> {
    place: &'a RootDir,
    aims: Aims,
    left: usize,
}

impl Aims {
    /// What leads to somewhere in a place where these paths change.
    pub(super) fn of(place: &RootDir, paths: &[&str]) -> Self {
        let aims = Self { at: BTreeMap::new(), unread: None };
        let mut looking = Looking { place, aims, left: LOOKED_AT_MAX };
        let above = |path| str::match_indices(path, '/').filter_map(move |(at, _)| path.get(..at));
        let directories: BTreeSet<&str> = paths.iter().flat_map(|path| above(path)).chain([""]).collect();
        for dir in &directories {
            looking.links_in(dir, 0);
        }
        looking.configurations(&directories);
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
                Ok(PathState::Link(_, target)) => self.follow(&path, &target),
                Ok(PathState::Directory(_)) if depth < DEPTH_MAX => self.links_in(&path, depth + 1),
                _ => {}
            }
        }
    }

    /// Follows a link by its text, through links that it leads to.
    fn follow(&mut self, link: &str, target: &[u8]) {
        let why = format!("the link `{link}` leads to it, and tools look for that name without being asked");
        let (mut at, mut target) = (link.to_owned(), target.to_vec());
        for _ in 0..LINKS_MAX {
            let Ok(text) = std::str::from_utf8(&target) else { return };
            let Some(aim) = resolved(&at, text).filter(|aim| !aim.is_empty()) else { return };
            self.aims.at.insert(folded_path(&aim), why.clone());
            match self.place.look(&aim) {
                Ok(PathState::Link(_, next)) => (at, target) = (aim, next),
                _ => return,
            }
        }
    }

    /// What git's configuration names in repositories at these directories.
    fn configurations(&mut self, directories: &BTreeSet<&str>) {
        let mut queue: VecDeque<(String, String)> = VecDeque::new();
        for dir in directories {
            let git = below(dir, ".git");
            match self.place.look(&git) {
                Ok(PathState::Directory(_)) => {}
                Ok(PathState::Link(..)) => {
                    self.aims.unread = Some(unread(&git));
                    continue;
                }
                _ => continue,
            }
            for file in ["config", "config.worktree"] {
                queue.push_back(((*dir).to_owned(), below(&git, file)));
            }
        }
        let mut seen = BTreeSet::new();
        while let Some((dir, file)) = queue.pop_front() {
            let there = !matches!(self.place.look(&file), Ok(PathState::Nothing));
            if !there || !seen.insert(file.clone()) {
                continue;
            }
            let bytes = match self.place.open_file(&file) {
                Ok(Some(mut plain)) if seen.len() <= CONFIGS_MAX => plain.read(CONFIG_BYTES_MAX).ok(),
                _ => None,
            };
            let Some(text) = bytes.and_then(|bytes| String::from_utf8(bytes).ok()) else {
                self.aims.unread = Some(unread(&file));
                continue;
            };
            for (key, value) in settings(&text) {
                queue.extend(self.named(&dir, &file, key, value));
            }
        }
    }

    /// Remembers every path in the value of a setting, whatever setting it is: those that run something are many, and
    /// grow. Gives a file that is to be read as configuration, too.
    fn named(&mut self, dir: &str, file: &str, key: &str, value: &str) -> Option<(String, String)> {
        let key = key.trim().to_lowercase();
        if QUIET.contains(&key.as_str()) {
            return None;
        }
        let why =
            format!("git runs it or does what it says without being asked: `{key}` of `{file}` names it");
        let here = self.place.named().to_string_lossy().into_owned();
        let inside = |word: &str| match word.strip_prefix(&here) {
            Some(rest) if rest.starts_with('/') => (below("", rest.trim_start_matches('/')), true),
            _ => (word.to_owned(), false),
        };
        for word in value.split(|c: char| c.is_whitespace() || "\"';|&!()=,<>".contains(c)) {
            let (word, is_absolute) = inside(word);
            let from =
                if is_absolute { vec!["x".to_owned()] } else { vec![below(dir, "x"), file.to_owned()] };
            for aim in from.iter().filter_map(|from| resolved(from, &word)) {
                let is_there = aim != dir
                    && !aim.is_empty()
                    && !matches!(self.place.look(&aim), Ok(PathState::Nothing) | Err(_));
                if is_there && aim != file {
                    self.aims.at.insert(folded_path(&aim), why.clone());
                }
            }
        }
        if key == "hookspath" {
            // It may be the directory itself, or one that is not there yet.
            let (path, is_absolute) = inside(value.trim().trim_matches('"'));
            let from = if is_absolute { "x".to_owned() } else { below(dir, "x") };
            self.aims.at.extend(resolved(&from, &path).map(|aim| (folded_path(&aim), why)));
        }
        if key != "path" {
            return None;
        }
        let (path, is_absolute) = inside(value.trim().trim_matches('"'));
        let from = if is_absolute { "x" } else { file };
        resolved(from, &path).map(|include| (dir.to_owned(), include))
    }
}

fn unread(file: &str) -> String {
    format!("`{file}` cannot be read here, so git may run it or do what it says without being asked")
}

/// Settings whose values name branches and addresses, which may be called like files here.
const QUIET: [&str; 7] = ["fetch", "merge", "name", "email", "pushurl", "remote", "url"];

/// Keys and values, line by line; what goes on in the next line has no key there.
fn settings(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let lines = text.split('\n').map(|line| match line.trim_start().strip_prefix('[') {
        // A setting may stand behind the name of its section.
        Some(section) => section.split_once(']').map_or(section, |(_, rest)| rest),
        None => line,
    });
    let lines = lines.filter(|line| !line.trim_start().starts_with(['#', ';']));
    lines.map(|line| line.split_once('=').unwrap_or(("", line)))
}

fn below(dir: &str, name: &str) -> String {
    if dir.is_empty() { name.to_owned() } else { format!("{dir}/{name}") }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::super::acting::{Brought, acting};
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
        ] {
            std::os::unix::fs::symlink(target, dir.path().join(link)).unwrap();
        }
        let place = RootDir::open(dir.path()).unwrap();
        let marked = ["envfile", "vsc/tasks.json", "ci.groovy", "scripts/pc.sh", "sub/deep", "ENVFILE"];
        let paths = [&marked[..], &["plain", "scripts/x", "deep", "sub/x"]].concat();
        let all: Vec<_> = paths.iter().map(|path| Brought { path, was: true, stays: true }).collect();
        let why = acting(&place, &all);
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
        let why = acting(&place, &all);
        let found: Vec<_> =
            paths.iter().zip(&why).filter(|(_, why)| why.is_some()).map(|(path, _)| *path).collect();
        assert_eq!(found, marked, "{why:?}");
        fs::write(dir.path().join(".git/config"), vec![b'#'; 300 << 10]).unwrap();
        let why = acting(&place, &all);
        assert!(why.iter().all(Option::is_some), "what cannot be read may name anything: {why:?}");
    }
}
