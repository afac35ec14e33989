//! Homes of AECL by device and number of each directory at their top, and of each file in these: how a home is recognised by
//! another way.
//!
//! Every call asks for them, and hardly ever have they changed. What was read counts as long as each directory that was read
//! is the same and says that nothing in it has changed since; a directory says so reliably once it has not changed for a
//! while. A reading that met an error, or a limit, counts once.

use std::collections::HashSet;
use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The most directories and files of homes that are known by their numbers.
const NUMBERS_MAX: usize = 2_048;
/// Two changes within one tick of a file system's clock look like one. No tick is so long.
const TICK_MAX: Duration = Duration::from_secs(2);

/// Device and number of a file or directory.
pub(super) type Number = (u64, u64);

pub(super) fn number(about: &Metadata) -> Number {
    (about.dev(), about.ino())
}

/// The numbers of homes, read anew where something in them may have changed.
pub(super) fn numbers_of(homes: &[PathBuf]) -> Arc<HashSet<Number>> {
    static LAST: Mutex<Option<Arc<Reading>>> = Mutex::new(None);
    let last = || LAST.lock().unwrap_or_else(PoisonError::into_inner);
    let before = last().clone();
    if let Some(reading) = before.as_deref().filter(|reading| reading.is_current(homes)) {
        return reading.numbers.clone();
    }
    // Nobody waits meanwhile: a slow disk is slow for whoever asks about it.
    let reading = Reading::of(homes, before.as_deref());
    let numbers = reading.numbers.clone();
    *last() = Some(Arc::new(reading));
    numbers
}

/// What homes had in them.
struct Reading {
    homes: Vec<PathBuf>,
    dirs: Vec<(PathBuf, Option<State>)>,
    numbers: Arc<HashSet<Number>>,
    /// All that there is was read.
    is_whole: bool,
    /// How long nobody had seen a change when it was read: so long that every later one shows?
    at_rest: Duration,
    /// Since when the directories have been seen as they are.
    since: Instant,
}

/// Which directory it is, and when it changed: a time that nobody can set.
#[derive(PartialEq, Clone, Copy)]
struct State {
    number: Number,
    changed: (i64, i64),
}

impl State {
    fn of(about: &Metadata) -> Self {
        Self { number: number(about), changed: (about.ctime(), about.ctime_nsec()) }
    }
}

impl Reading {
    fn of(homes: &[PathBuf], before: Option<&Self>) -> Self {
        let begun = Instant::now();
        let (mut numbers, mut dirs, mut is_whole) = (HashSet::new(), Vec::new(), true);
        let mut waiting: Vec<(PathBuf, usize)> = homes.iter().map(|home| (home.clone(), 0)).collect();
        while let Some((path, depth)) = waiting.pop() {
            let about = match fs::symlink_metadata(&path) {
                Ok(about) => about,
                Err(error) => {
                    is_whole &= error.kind() == ErrorKind::NotFound;
                    // Where there is no home yet, one may come.
                    if depth == 0 {
                        dirs.push((path, None));
                    }
                    continue;
                }
            };
            if numbers.len() >= NUMBERS_MAX {
                is_whole = false;
                break;
            }
            numbers.insert(number(&about));
            // Images of programs are many files and no secrets; they lie deeper.
            if about.is_dir() && depth < 3 {
                match fs::read_dir(&path) {
                    Ok(below) => {
                        for entry in below {
                            match entry {
                                Ok(entry) => waiting.push((entry.path(), depth + 1)),
                                Err(_) => is_whole = false,
                            }
                        }
                    }
                    Err(_) => is_whole = false,
                }
            }
            if about.is_dir() && depth < 3 || depth == 0 {
                dirs.push((path, Some(State::of(&about))));
            }
        }
        let since = match before {
            Some(before) if before.dirs == dirs => before.since,
            _ => begun,
        };
        Self {
            homes: homes.to_vec(),
            dirs,
            numbers: Arc::new(numbers),
            is_whole,
            at_rest: begun - since,
            since,
        }
    }

    fn is_current(&self, homes: &[PathBuf]) -> bool {
        let same = |(path, then): &(PathBuf, Option<State>)| {
            fs::symlink_metadata(path).ok().map(|about| State::of(&about)) == *then
        };
        self.is_whole && self.at_rest >= TICK_MAX && self.homes == homes && self.dirs.iter().all(same)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use std::path::Path;

    /// Read once all of it is old enough.
    fn at_rest(homes: &[PathBuf], mut reading: Reading) -> Reading {
        let patience = Instant::now() + 10 * TICK_MAX;
        while !reading.is_current(homes) {
            assert!(Instant::now() < patience, "it never comes to rest");
            std::thread::sleep(TICK_MAX / 20);
            reading = Reading::of(homes, Some(&reading));
        }
        reading
    }

    #[test]
    fn what_was_read_of_homes_counts_until_anything_in_them_changes() {
        type Change = (&'static str, fn(&Path));
        let changes: [Change; 10] = [
            ("a new key", |home| fs::write(home.join("keys/new.key"), "x").unwrap()),
            ("a key put in the place of another", |home| {
                fs::write(home.with_extension("other"), "x").unwrap();
                fs::rename(home.with_extension("other"), home.join("keys/operator.key")).unwrap();
            }),
            ("a key of another name", |home| {
                fs::rename(home.join("keys/operator.key"), home.join("keys/b.key")).unwrap();
            }),
            ("a directory more", |home| fs::create_dir(home.join("policy/a/b")).unwrap()),
            ("a file that lies deep", |home| fs::write(home.join("policy/a/b.yaml"), "x").unwrap()),
            ("a file less", |home| fs::remove_file(home.join("aecl.yaml")).unwrap()),
            ("another home in its place", |home| {
                fs::rename(home, home.with_extension("old")).unwrap();
                fs::create_dir(home).unwrap();
            }),
            ("no home", |home| fs::remove_dir_all(home).unwrap()),
            ("a link in its place", |home| {
                fs::rename(home, home.with_extension("old")).unwrap();
                std::os::unix::fs::symlink(home.with_extension("old"), home).unwrap();
            }),
            ("a home where none was", |home| fs::create_dir(home.with_extension("none")).unwrap()),
        ];
        let dir = tempfile::tempdir().unwrap();
        let homes: Vec<[PathBuf; 2]> = (0..=changes.len())
            .map(|n| {
                let home = dir.path().join(format!("home{n}"));
                fs::create_dir_all(home.join("keys")).unwrap();
                fs::create_dir_all(home.join("policy/a")).unwrap();
                fs::write(home.join("keys/operator.key"), "secret").unwrap();
                fs::write(home.join("aecl.yaml"), "origin: x").unwrap();
                [home.clone(), home.with_extension("none")]
            })
            .collect();
        let readings: Vec<Reading> = homes.iter().map(|homes| Reading::of(homes, None)).collect();
        assert!(!readings[0].is_current(&homes[0]), "it has just changed");
        let readings: Vec<Reading> =
            homes.iter().zip(readings).map(|(homes, first)| at_rest(homes, first)).collect();
        for ((what, change), (homes, reading)) in changes.iter().zip(homes.iter().zip(&readings)) {
            assert!(reading.is_current(homes), "before: {what}");
            change(&homes[0]);
            assert!(!reading.is_current(homes), "{what}");
        }
        // What cannot be read, or is too much: neither a name that is too long nor thousands of files come to rest.
        let long = vec![dir.path().join("x".repeat(300))];
        assert!(!Reading::of(&long, None).is_whole);
        let many = dir.path().join("many");
        fs::create_dir(&many).unwrap();
        (0..=NUMBERS_MAX).for_each(|n| fs::write(many.join(n.to_string()), "").unwrap());
        assert!(!Reading::of(&[many], None).is_whole);
        let (homes, reading) = (homes.last().unwrap(), readings.last().unwrap());
        fs::write(homes[0].join("aecl.yaml"), "origin: y").unwrap();
        assert!(reading.is_current(homes), "what stands in a file is no matter of numbers");
        assert!(!reading.is_current(&homes[..1]), "other homes");
    }
}
