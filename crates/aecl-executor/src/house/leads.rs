//! Where a path leads on this host.

use super::numbers::{Number, number, numbers_of};
use aecl_kernel::base::evidence::Reach;
use aecl_sandbox::{is_home, never_shown};
use std::cell::{OnceCell, RefCell};
use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// No file system takes a longer name in one call.
const PATH_MAX: usize = 4_096;
/// Links that are followed from one path: more than the kernel does, since other programs follow them one by one.
const LINKS_MAX: usize = 256;
/// Longer paths are not remembered.
const KEPT_MAX: usize = 512;
/// What homes in projects are called.
const USUAL: &str = ".aecl";

/// Homes of AECL, as far as they are known before anybody looks.
pub(super) struct Homes {
    known: Vec<PathBuf>,
    numbers: OnceCell<Arc<HashSet<Number>>>,
    /// Which home a directory lies in, of those that were looked at.
    seen: RefCell<HashMap<PathBuf, Option<PathBuf>>>,
    /// Where directories lead in which something was looked for: most values are no paths, and all of them would be in
    /// the same few directories. Long paths are not remembered.
    led: RefCell<HashMap<PathBuf, PathBuf>>,
}

/// Where a path leads with all links followed.
struct Real {
    /// As far as it is there, and beyond what nobody could look at.
    there: PathBuf,
    /// Names below that are surely not there.
    beyond: PathBuf,
    /// All of `there` was looked at.
    seen: bool,
}

impl Real {
    fn whole(&self) -> PathBuf {
        if self.beyond.as_os_str().is_empty() { self.there.clone() } else { self.there.join(&self.beyond) }
    }

    fn is_there(&self) -> bool {
        self.seen && self.beyond.as_os_str().is_empty()
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
        let real = self.real(path)?;
        let whole = real.whole();
        // What is not there is a home only if it is known as one.
        let missing = self.known.iter().find(|home| whole.starts_with(home) && !real.there.starts_with(home));
        if let Some(home) = missing.cloned().or_else(|| self.home_of(&real.there)) {
            return Some((Reach::Into, home));
        }
        let around = self.known.iter().find(|home| home.starts_with(&whole));
        let usual =
            || Some(whole.join(USUAL)).filter(|dir| real.beyond.as_os_str().is_empty() && is_home(dir));
        around.cloned().or_else(usual).map(|home| (Reach::Around, home))
    }

    fn real(&self, path: &Path) -> Option<Real> {
        if let (Some(above), Some(name)) = (path.parent(), path.file_name())
            && let Some(dir) = self.directory(above)
        {
            return follow(dir, Path::new(name));
        }
        follow(PathBuf::from("/"), path)
    }

    /// Where a directory leads, if it is there.
    fn directory(&self, path: &Path) -> Option<PathBuf> {
        if let Some(led) = self.led.borrow().get(path) {
            return Some(led.clone());
        }
        let led = follow(PathBuf::from("/"), path).filter(Real::is_there)?.there;
        if path.as_os_str().len() <= KEPT_MAX {
            self.led.borrow_mut().insert(path.to_owned(), led.clone());
        }
        Some(led)
    }

    fn home_of(&self, path: &Path) -> Option<PathBuf> {
        let (mut passed, mut home) = (Vec::new(), None);
        for dir in path.ancestors() {
            if let Some(seen) = self.seen.borrow().get(dir) {
                home.clone_from(seen);
                break;
            }
            passed.push(dir);
            if self.known.iter().any(|home| home == dir) || is_home(dir) || self.has_number(dir) {
                home = Some(dir.to_owned());
                break;
            }
        }
        let kept = passed.into_iter().filter(|dir| dir.as_os_str().len() <= KEPT_MAX);
        self.seen.borrow_mut().extend(kept.map(|dir| (dir.to_owned(), home.clone())));
        home
    }

    fn has_number(&self, path: &Path) -> bool {
        let Ok(about) = fs::metadata(path) else { return false };
        // A file has a number of a home's only if it has two names.
        if about.is_file() && about.nlink() < 2 {
            return false;
        }
        self.numbers.get_or_init(|| numbers_of(&self.known)).contains(&number(&about))
    }
}

/// Where a path leads from a directory, name by name, as the kernel goes: what stands in a link comes before the rest. Also
/// where it leads to what is not there yet. What cannot be looked at with our rights cannot be opened with them. Nothing,
/// where `..` stands behind what is not there.
fn follow(from: PathBuf, path: &Path) -> Option<Real> {
    let mut rest = vec![path.to_owned()];
    let (mut there, mut seen, mut links) = (from, true, 0);
    while let Some(path) = rest.pop() {
        let mut parts = path.components();
        let Some(part) = parts.next() else { continue };
        if !parts.as_path().as_os_str().is_empty() {
            rest.push(parts.as_path().to_owned());
        }
        let name = match part {
            Component::Normal(name) => name,
            Component::RootDir => {
                there = PathBuf::from("/");
                continue;
            }
            Component::ParentDir => {
                there.pop();
                continue;
            }
            Component::CurDir | Component::Prefix(_) => continue,
        };
        there.push(name);
        match there.symlink_metadata() {
            Ok(about) if about.is_symlink() => match fs::read_link(&there) {
                Ok(target) if links < LINKS_MAX => {
                    links += 1;
                    there.pop();
                    rest.push(target);
                }
                Ok(_) | Err(_) => seen = false,
            },
            Ok(_) => {}
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) && seen => {
                there.pop();
                let mut beyond = PathBuf::from(name);
                beyond.extend(rest.iter().rev());
                let is_plain = beyond.components().all(|part| matches!(part, Component::Normal(_)));
                return is_plain.then_some(Real { there, beyond, seen });
            }
            // Too long for one call, or out of sight: it may be there all the same.
            Err(_) => seen = false,
        }
    }
    Some(Real { there, beyond: PathBuf::new(), seen })
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
