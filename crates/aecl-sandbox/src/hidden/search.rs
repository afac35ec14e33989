//! Looks for homes and keys below a view: everywhere, or the view is not shown.

use std::collections::HashSet;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{DirEntryExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::{CONFIG, KEYS, is_home, keys_of_ours};

/// How many names below one view are looked at.
pub(super) const NAMES_MAX: usize = 2_000_000;
/// How many homes and keys are covered in one view. Each is a mount.
pub(super) const COVERED_MAX: usize = 1_024;
/// The most names of one directory of keys, and homes of one user, that are looked at.
const FEW_MAX: usize = 1_024;
/// The longest list of users that is read.
const PASSWD_MAX: u64 = 1 << 20;

/// Files by device and number.
pub(super) type Numbers = HashSet<(u64, u64)>;

/// What was found below a view, as paths of the host, or why nobody can say what is there.
pub(super) fn below(top: &Path, known: &Numbers, names_max: usize) -> Result<Vec<PathBuf>, String> {
    let mut wanted = known.clone();
    loop {
        let short = wanted.iter().map(|(_, number)| *number).collect();
        let found = Search { wanted: &wanted, short, names_max, names: 0, found: Vec::new() }.walk(top)?;
        let before = wanted.len();
        found.iter().for_each(|home| keys_with_other_names(home, &mut wanted));
        // A home that was found may have keys that are also elsewhere below.
        if wanted.len() == before {
            return Ok(found);
        }
    }
}

struct Search<'a> {
    wanted: &'a Numbers,
    /// Their numbers without the device: those are said with the names.
    short: HashSet<u64>,
    names_max: usize,
    names: usize,
    found: Vec<PathBuf>,
}

impl Search<'_> {
    fn walk(mut self, top: &Path) -> Result<Vec<PathBuf>, String> {
        let mut waiting = vec![top.to_owned()];
        while let Some(dir) = waiting.pop() {
            let before = waiting.len();
            self.one(&dir, &mut waiting).map_err(|why| match why {
                Stop::Said(why) => why,
                Stop::Io(error) => {
                    format!("cannot be searched for homes of AECL: `{}`: {error}", dir.display())
                }
            })?;
            // The view itself is refused if it is one.
            if dir != top && self.found.last() == Some(&dir) {
                waiting.truncate(before);
            }
            if self.found.len() > COVERED_MAX {
                return Err(format!(
                    "has more than {COVERED_MAX} homes or keys of AECL below; show the part of it that is needed"
                ));
            }
        }
        Ok(self.found)
    }

    fn one(&mut self, dir: &Path, waiting: &mut Vec<PathBuf>) -> Result<(), Stop> {
        let entries = match fs::read_dir(dir) {
            Ok(entries) => entries,
            Err(error) if is_nothing(&error) => return Ok(()),
            Err(error) => return Err(Stop::Io(error)),
        };
        let (mut has_config, mut has_keys, files_before) = (false, false, self.found.len());
        for entry in entries {
            let entry = entry.map_err(Stop::Io)?;
            self.names += 1;
            if self.names > self.names_max {
                return Err(Stop::Said(format!(
                    "has more than {} names below, too many to look for homes of AECL there; show the parts of it that \
                     are needed, each as a view of its own",
                    self.names_max
                )));
            }
            let kind = match entry.file_type() {
                Ok(kind) => kind,
                Err(error) if is_nothing(&error) => continue,
                Err(error) => return Err(Stop::Io(error)),
            };
            let name = entry.file_name();
            has_config |= name == CONFIG;
            has_keys |= name == KEYS && !kind.is_file();
            if kind.is_dir() {
                waiting.push(entry.path());
            } else if kind.is_file() && self.short.contains(&entry.ino()) {
                let path = entry.path();
                if number(&path).is_some_and(|number| self.wanted.contains(&number)) {
                    self.found.push(path);
                }
            }
        }
        if has_keys && (has_config || keys_of_ours(&dir.join(KEYS))) {
            self.found.truncate(files_before);
            self.found.push(dir.to_owned());
        }
        Ok(())
    }
}

enum Stop {
    Said(String),
    Io(std::io::Error),
}

/// What is not there any more, is no directory, or cannot be read with our rights, and so not with the program's.
fn is_nothing(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::PermissionDenied)
}

fn number(path: &Path) -> Option<(u64, u64)> {
    let about = path.symlink_metadata().ok()?;
    Some((about.dev(), about.ino()))
}

/// Keys of a home that can also be found elsewhere: by a second name, or because a link leads to where they lie.
pub(super) fn keys_with_other_names(home: &Path, numbers: &mut Numbers) {
    let keys = home.join(KEYS);
    let led_away = keys.is_symlink();
    for entry in fs::read_dir(&keys).into_iter().flatten().flatten().take(FEW_MAX) {
        let path = entry.path();
        let Ok(about) = fs::metadata(&path) else { continue };
        if about.is_file() && (led_away || path.is_symlink() || about.nlink() > 1) {
            numbers.insert((about.dev(), about.ino()));
        }
    }
}

/// Keys of these homes, and of homes that lie in these directories, that can also be found elsewhere.
pub(super) fn keys_elsewhere(known: &[PathBuf]) -> Numbers {
    let mut numbers = Numbers::new();
    for dir in known {
        keys_with_other_names(dir, &mut numbers);
        for entry in fs::read_dir(dir).into_iter().flatten().flatten().take(FEW_MAX) {
            let path = entry.path();
            if is_home(&path) {
                keys_with_other_names(&path, &mut numbers);
            }
        }
    }
    numbers
}

/// Where homes of this host's users usually lie, as far as we may see them.
pub(super) fn homes_of_users() -> Vec<PathBuf> {
    use std::io::Read as _;
    let mut users = Vec::new();
    // Without the list, homes in views are found all the same.
    if let Ok(file) = fs::File::open("/etc/passwd") {
        drop(file.take(PASSWD_MAX).read_to_end(&mut users));
    }
    let users = String::from_utf8_lossy(&users).into_owned();
    let mut homes: Vec<PathBuf> = users
        .lines()
        .filter_map(|line| line.split(':').nth(5))
        .filter(|dir| dir.starts_with('/'))
        .map(|dir| Path::new(dir).join(".local/share/aecl"))
        .filter_map(|dir| dir.canonicalize().ok())
        .collect();
    homes.sort();
    homes.dedup();
    homes
}
