//! Where a path leads on this host.

use aecl_kernel::base::evidence::Reach;
use aecl_sandbox::{is_home, never_shown};
use std::cell::{OnceCell, RefCell};
use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// No file system takes a longer name in one call.
const PATH_MAX: usize = 4_096;
/// Links that are followed from one path, of those that lead to nothing yet.
const LINKS_MAX: usize = 8;
/// The most directories and files of homes that are known by their numbers.
const NUMBERS_MAX: usize = 2_048;
/// What homes in projects are called.
const USUAL: &str = ".aecl";

/// Homes of AECL, as far as they are known before anybody looks.
pub(super) struct Homes {
    known: Vec<PathBuf>,
    /// Device and number of each directory at their top, and of each file in these: how a home is recognised by
    /// another way.
    numbers: OnceCell<HashSet<(u64, u64)>>,
    /// Which home a directory lies in, of those that were looked at.
    seen: RefCell<HashMap<PathBuf, Option<PathBuf>>>,
    /// Where directories lead in which something was looked for that is not there: most values are no paths, and all of
    /// them would be in the same few directories.
    led: RefCell<HashMap<PathBuf, Option<Real>>>,
}

/// Where a path leads with all links followed.
#[derive(Clone)]
struct Real {
    /// As far as it is there.
    there: PathBuf,
    /// Names below that are not there, the last one first.
    beyond: Vec<OsString>,
}

impl Real {
    fn whole(&self) -> PathBuf {
        self.beyond.iter().rev().fold(self.there.clone(), |path, name| path.join(name))
    }
}

impl Homes {
    /// What this process knows of.
    pub(super) fn known() -> Self {
        Self {
            known: never_shown(),
            numbers: OnceCell::new(),
            seen: RefCell::default(),
            led: RefCell::default(),
        }
    }

    /// The home that a text names by its path.
    pub(super) fn named_in(&self, text: &str) -> Option<String> {
        let mut names = self.known.iter().map(|home| home.display().to_string());
        names.find(|name| text.contains(name.as_str()))
    }

    /// How an absolute path stands to a home, and to which.
    pub(super) fn reach(&self, path: &Path) -> Option<(Reach, PathBuf)> {
        if path.as_os_str().len() > PATH_MAX {
            return None;
        }
        if is_anothers(path) {
            return Some((Reach::Unseen, path.to_owned()));
        }
        let real = self.real(path, 0)?;
        let whole = real.whole();
        // What is not there is a home only if it is known as one.
        let missing = self.known.iter().find(|home| whole.starts_with(home) && !real.there.starts_with(home));
        if let Some(home) = missing.cloned().or_else(|| self.home_of(&real.there)) {
            return Some((Reach::Into, home));
        }
        let around = self.known.iter().find(|home| home.starts_with(&whole));
        let usual = || Some(whole.join(USUAL)).filter(|dir| real.beyond.is_empty() && is_home(dir));
        around.cloned().or_else(usual).map(|home| (Reach::Around, home))
    }

    /// Where it leads with all links followed, also those that lead to what is not there yet. What cannot be looked at
    /// with our rights cannot be opened with them.
    fn real(&self, path: &Path, links: usize) -> Option<Real> {
        if fs::symlink_metadata(path).is_ok() {
            if let Ok(there) = path.canonicalize() {
                return Some(Real { there, beyond: Vec::new() });
            }
            if links < LINKS_MAX
                && let Ok(target) = fs::read_link(path)
            {
                return self.real(&path.parent().unwrap_or(path).join(target), links + 1);
            }
        }
        let (name, above) = (path.file_name()?, path.parent()?);
        // How many links were followed on the way here is a limit and no answer.
        let known = self.led.borrow().get(above).filter(|_| links == 0).cloned();
        let led = known.unwrap_or_else(|| self.real(above, links));
        if links == 0 {
            self.led.borrow_mut().insert(above.to_owned(), led.clone());
        }
        let mut led = led?;
        led.beyond.insert(0, name.to_owned());
        Some(led)
    }

    fn home_of(&self, path: &Path) -> Option<PathBuf> {
        if let Some(seen) = self.seen.borrow().get(path) {
            return seen.clone();
        }
        let itself = self.known.iter().any(|home| home == path) || is_home(path) || self.has_number(path);
        let home =
            if itself { Some(path.to_owned()) } else { path.parent().and_then(|dir| self.home_of(dir)) };
        self.seen.borrow_mut().insert(path.to_owned(), home.clone());
        home
    }

    fn has_number(&self, path: &Path) -> bool {
        let Ok(about) = fs::metadata(path) else { return false };
        // A file has a number of a home's only if it has two names.
        if about.is_file() && about.nlink() < 2 {
            return false;
        }
        let numbers = self.numbers.get_or_init(|| numbers(&self.known));
        numbers.contains(&(about.dev(), about.ino()))
    }
}

fn numbers(known: &[PathBuf]) -> HashSet<(u64, u64)> {
    let mut found = HashSet::new();
    let mut waiting: Vec<(PathBuf, usize)> = known.iter().map(|home| (home.clone(), 0)).collect();
    while let Some((path, depth)) = waiting.pop() {
        let Ok(about) = fs::symlink_metadata(&path) else { continue };
        if found.len() >= NUMBERS_MAX {
            break;
        }
        found.insert((about.dev(), about.ino()));
        // Images of programs are many files and no secrets; they lie deeper.
        if about.is_dir() && depth < 3 {
            let below = fs::read_dir(&path).into_iter().flatten().flatten();
            waiting.extend(below.map(|entry| (entry.path(), depth + 1)));
        }
    }
    found
}

/// What `/proc` has of another program, or of whoever asks, is not what it has of us.
fn is_anothers(path: &Path) -> bool {
    let mut parts = path.components().skip(1).map(|part| part.as_os_str().to_string_lossy());
    match (parts.next().as_deref(), parts.next().as_deref()) {
        (Some("proc"), Some(who)) if who != "self" && who != "thread-self" => {
            let is_link = ["cwd", "root", "fd", "exe", "map_files", "task"];
            who.bytes().all(|b| b.is_ascii_digit())
                && parts.next().is_some_and(|what| is_link.contains(&&*what))
        }
        (Some("proc"), Some(_)) => match parts.next().as_deref() {
            Some("fd" | "map_files" | "task") => parts.next().is_some_and(|number| !is_standard(&number)),
            _ => false,
        },
        (Some("dev"), Some("fd")) => parts.next().is_some_and(|number| !is_standard(&number)),
        _ => false,
    }
}

/// Input, output and talk of a program.
fn is_standard(number: &str) -> bool {
    matches!(number, "0" | "1" | "2")
}
