//! What git's configuration names: of the repositories where something changes and below, also where `.git` is a file and
//! where they have no work tree, of the one around all of it, and of the user.

use std::collections::{BTreeSet, VecDeque};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::{Looking, below, plain};
use crate::root_dir::{Name, PathState, read_plain};

/// Files of git's configuration that are read, and how many bytes of each.
const CONFIGS_MAX: usize = 512;
const CONFIG_BYTES_MAX: u64 = 256 << 10;
/// Names that are looked at for repositories, the nearest to the top first.
const NESTED_NAMES_MAX: usize = 16_384;

/// Where git looks for what counts in every repository.
#[derive(Debug, Default)]
pub(in super::super) struct OfUser {
    home: Option<PathBuf>,
    files: Vec<PathBuf>,
}

impl OfUser {
    /// As it is for whoever we run as.
    pub(in super::super) fn here() -> Self {
        let dir = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|dir| dir.is_absolute());
        let home = dir("HOME");
        let config = dir("XDG_CONFIG_HOME").or_else(|| Some(home.as_ref()?.join(".config")));
        let files = [
            Some(PathBuf::from("/etc/gitconfig")),
            config.map(|config| config.join("git/config")),
            home.as_ref().map(|home| home.join(".gitconfig")),
            dir("GIT_CONFIG_GLOBAL"),
        ];
        Self { files: files.into_iter().flatten().collect(), home }
    }

    #[cfg(test)]
    pub(super) fn of(home: &Path, files: &[PathBuf]) -> Self {
        Self { home: Some(home.to_owned()), files: files.to_owned() }
    }
}

/// A file of configuration.
struct Config {
    file: PathBuf,
    /// From where its relative paths may count.
    from: Vec<PathBuf>,
    /// It counts in every repository. Only what is surely a path counts there: other words may be called like
    /// something here.
    is_users: bool,
}

/// Files of configuration that are still to be read, by their absolute paths.
pub(super) struct Configurations<'a, 'b> {
    looking: &'a mut Looking<'b>,
    user: &'a OfUser,
    queue: VecDeque<Config>,
}

impl<'a, 'b> Configurations<'a, 'b> {
    pub(super) fn of(looking: &'a mut Looking<'b>, user: &'a OfUser) -> Self {
        Self { looking, user, queue: VecDeque::new() }
    }

    /// Remembers what git's configuration names where it is used in these directories.
    pub(super) fn read(mut self, directories: &BTreeSet<&str>) {
        let here = self.looking.here.clone();
        let mut tops = Vec::new();
        let nested = self.nested();
        let all: BTreeSet<&str> =
            directories.iter().copied().chain(nested.iter().map(String::as_str)).collect();
        for dir in all {
            let dir = if dir.is_empty() { here.clone() } else { here.join(dir) };
            if self.repository(&dir) {
                tops.push(dir);
            }
        }
        // The nearest one around it is the repository of what is here.
        if !tops.contains(&here)
            && let Some(top) = here.ancestors().skip(1).find(|top| self.repository(top))
        {
            tops.push(top.to_owned());
        }
        for file in self.user.files.clone() {
            self.queue.push_back(Config { file, from: tops.clone(), is_users: true });
        }
        let mut seen = BTreeSet::new();
        while let Some(mut config) = self.queue.pop_front() {
            if !seen.insert(config.file.clone()) {
                continue;
            }
            // What this user may not read, no git of this user does.
            let is_nobodys = || config.is_users && is_kept_from_us(&config.file);
            let text = if seen.len() <= CONFIGS_MAX { self.text(&config.file) } else { Err(()) };
            match text {
                Err(()) if is_nobodys() => {}
                Ok(Some(text)) => {
                    // A value may go on in the next line.
                    for text in [text.replace("\\\n", ""), text] {
                        self.work_trees(&mut config, &text);
                        settings(&text).into_iter().for_each(|setting| self.named(&config, &setting));
                    }
                }
                Ok(None) => {}
                Err(()) => self.looking.aims.unread = Some(unread(&self.shown(&config.file))),
            }
        }
    }

    /// Directories that may be the top of a repository, or one without a work tree.
    fn nested(&self) -> Vec<String> {
        let place = self.looking.place;
        let (mut found, mut left) = (Vec::new(), NESTED_NAMES_MAX);
        let mut queue = VecDeque::from([String::new()]);
        while let Some(dir) = queue.pop_front().filter(|_| left > 0) {
            let (names, _) = place.names(&dir, left).unwrap_or_default();
            left = left.saturating_sub(names.len());
            for name in names {
                let Name::Plain(name) = name else { continue };
                if matches!(name.as_str(), ".git" | "HEAD") {
                    found.push(dir.clone());
                }
                let path = below(&dir, &name);
                // What is in it is git's own.
                if name != ".git" && matches!(place.look(&path), Ok(PathState::Directory(_))) {
                    queue.push_back(path);
                }
            }
        }
        found
    }

    /// Where the commands of a configuration run, if it says so.
    fn work_trees(&self, config: &mut Config, text: &str) {
        let around = config.file.parent().map(Path::to_owned).filter(|_| !config.is_users);
        let said = settings(text).into_iter().filter(|setting| setting.key.eq_ignore_ascii_case("worktree"));
        for setting in said {
            let value = setting.value.trim().trim_matches('"');
            let tree = around.as_ref().and_then(|around| plain(&around.join(value)));
            config.from.extend(tree);
        }
    }

    /// A directory that git takes for a repository without a work tree, whatever it is called.
    fn bare(&mut self, dir: &Path) -> bool {
        let is_there = |name: &str| dir.join(name).symlink_metadata().is_ok();
        let is_one = ["HEAD", "objects", "refs"].into_iter().all(is_there);
        if is_one {
            for name in ["config", "config.worktree"] {
                let from = vec![dir.to_owned()];
                self.queue.push_back(Config { file: dir.join(name), from, is_users: false });
            }
        }
        is_one
    }

    /// Puts the configuration of a repository with this top into the queue, if it is one.
    fn repository(&mut self, top: &Path) -> bool {
        let git = top.join(".git");
        let Ok(about) = git.symlink_metadata() else { return self.bare(top) };
        let dir = if about.is_dir() {
            git
        } else {
            // A link or a file says where it is: of worktrees and submodules.
            let named = match about.is_symlink() {
                true => std::fs::read_link(&git).ok(),
                false => self.path_in(&git, "gitdir:"),
            };
            match named.and_then(|named| plain(&top.join(named))) {
                Some(dir) => dir,
                None => {
                    self.looking.aims.unread = Some(unread(&self.shown(&git)));
                    return true;
                }
            }
        };
        // What several worktrees share lies elsewhere.
        let common = self.path_in(&dir.join("commondir"), "").and_then(|common| plain(&dir.join(common)));
        for dir in [Some(dir), common].into_iter().flatten() {
            for name in ["config", "config.worktree"] {
                let from = vec![top.to_owned(), dir.clone()];
                self.queue.push_back(Config { file: dir.join(name), from, is_users: false });
            }
        }
        true
    }

    /// The path behind a word in a file of git's.
    fn path_in(&self, file: &Path, word: &str) -> Option<PathBuf> {
        let text = self.text(file).ok()??;
        let path = text.strip_prefix(word)?.trim();
        (!path.is_empty()).then(|| PathBuf::from(path))
    }

    /// The text of a plain file. Nothing in the place is read through a link, and nothing outside is waited for.
    fn text(&self, file: &Path) -> Result<Option<String>, ()> {
        let bytes = match self.in_place(file) {
            Some(path) => match self.looking.place.look(&path) {
                Ok(PathState::Nothing) => return Ok(None),
                _ => match self.looking.place.open_file(&path) {
                    Ok(Some(mut plain)) => plain.read(CONFIG_BYTES_MAX).map_err(drop)?,
                    _ => return Err(()),
                },
            },
            None => match read_plain(file, CONFIG_BYTES_MAX) {
                Ok(bytes) => bytes,
                Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                    return Ok(None);
                }
                Err(_) => return Err(()),
            },
        };
        String::from_utf8(bytes).map(Some).map_err(drop)
    }

    fn in_place(&self, file: &Path) -> Option<String> {
        Some(file.strip_prefix(&self.looking.here).ok()?.to_str()?.to_owned())
    }

    /// A file by the name that it has for whoever is asked.
    fn shown(&self, file: &Path) -> String {
        self.in_place(file).unwrap_or_else(|| file.display().to_string())
    }

    /// Remembers every path in the value of a setting, whatever setting it is: those that run something are many, and
    /// grow. What is included is read, too.
    fn named(&mut self, config: &Config, setting: &Setting<'_>) {
        let key = setting.key.to_lowercase();
        if QUIET.contains(&key.as_str()) {
            return;
        }
        let file = self.shown(&config.file);
        let why =
            format!("git runs it or does what it says without being asked: `{key}` of `{file}` names it");
        let around = config.file.parent().map(Path::to_owned);
        for word in setting.value.split(|c: char| c.is_whitespace() || "\"';|&!()=,<>".contains(c)) {
            if word.is_empty() || config.is_users && !word.contains('/') {
                continue;
            }
            let meant = meant(word);
            let from = config.from.iter().chain(&around);
            let aims: Vec<String> =
                from.flat_map(|from| meant.iter().filter_map(|word| self.inside(from, word))).collect();
            for aim in aims {
                // It may not be there yet, and become what is run.
                let path = self.looking.here.join(&aim);
                if path != config.file && !config.from.contains(&path) {
                    self.looking.aim_at(&aim, &why);
                }
            }
        }
        let whole = setting.value.trim().trim_matches('"');
        if key == "hookspath" {
            // It may be the directory itself, have blanks in its name, or, of the user's configuration, be a single word.
            let bare = whole.split([' ', '\t', '#', ';', '"']).next().unwrap_or(whole);
            for (from, path) in config.from.iter().flat_map(|from| [(from, whole), (from, bare)]) {
                if let Some(aim) = self.whole(from, path) {
                    self.looking.aim_at(&aim, &why);
                }
            }
        }
        let included = around.and_then(|around| plain(&around.join(self.home(whole))));
        if let (true, Some(file)) = (key == "path" && setting.is_include, included) {
            let (from, is_users) = (config.from.clone(), config.is_users);
            self.queue.push_back(Config { file, from, is_users });
        }
    }

    /// A path that is named from a directory, as one below the place.
    fn inside(&self, from: &Path, word: &str) -> Option<String> {
        self.whole(from, word).filter(|aim| !aim.is_empty())
    }

    fn whole(&self, from: &Path, word: &str) -> Option<String> {
        self.looking.inside(&from.join(self.home(word)))
    }

    /// A path with the home that `~/` stands for.
    fn home(&self, word: &str) -> PathBuf {
        match (word.strip_prefix("~/"), &self.user.home) {
            (Some(rest), Some(home)) => home.join(rest),
            _ => PathBuf::from(word),
        }
    }
}

/// What a word in a value may name: as it stands, as git and a shell take it apart, and the directory of a pattern.
fn meant(word: &str) -> Vec<&str> {
    let plain = word.trim_matches('\\');
    let before_comment = plain.split('#').next().unwrap_or(plain);
    // `$PWD/x`, and what is left of `$(git rev-parse --show-toplevel)/x`.
    let behind_variable = match plain.starts_with('$') {
        true => plain.split_once('/').map(|(_, rest)| rest),
        false => plain.strip_prefix('/'),
    };
    let pattern = plain.find(['*', '?', '[', '{']).and_then(|at| plain.get(..at)?.rsplit_once('/'));
    let directory = pattern.map(|(directory, _)| directory);
    let mut all: Vec<&str> = [Some(word), Some(plain), Some(before_comment), behind_variable, directory]
        .into_iter()
        .flatten()
        .collect();
    all.retain(|word| !word.is_empty());
    all.dedup();
    all
}

fn is_kept_from_us(file: &Path) -> bool {
    read_plain(file, 0).is_err_and(|error| error.kind() == ErrorKind::PermissionDenied)
}

fn unread(file: &str) -> String {
    format!("`{file}` cannot be read here, so git may run it or do what it says without being asked")
}

/// Settings whose values name branches, people, addresses and repositories, which may be called like files here.
const QUIET: [&str; 10] = [
    "fetch",
    "merge",
    "name",
    "email",
    "pushurl",
    "remote",
    "url",
    "insteadof",
    "pushinsteadof",
    "directory",
];

/// A key with its value, as far as it stands in one line; what goes on in the next line has no key there.
struct Setting<'a> {
    is_include: bool,
    key: &'a str,
    value: &'a str,
}

fn settings(text: &str) -> Vec<Setting<'_>> {
    let (mut settings, mut is_include) = (Vec::new(), false);
    for line in text.split('\n').map(str::trim_start).filter(|line| !line.starts_with(['#', ';'])) {
        // A setting may stand behind the name of its section.
        let rest = match line.strip_prefix('[') {
            Some(section) => {
                is_include = section.trim_start().to_lowercase().starts_with("include");
                behind_section(section)
            }
            None => line,
        };
        let (key, value) = rest.split_once('=').unwrap_or(("", rest));
        settings.push(Setting { is_include, key: key.trim(), value });
    }
    settings
}

/// What stands behind the bracket that closes the name of a section, of which a part may be quoted.
fn behind_section(section: &str) -> &str {
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (at, c) in section.char_indices() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            ']' if !is_quoted => return section.get(at + 1..).unwrap_or_default(),
            _ => {}
        }
    }
    section
}
