//! Makes changes in a directory: all of them or none, and nothing outside of it.
//!
//! Everything is written beside its place first. Only when all of it is on disk do names change, one by one;
//! if one of them cannot, those before it are taken back.

use super::FilesError;
use super::change::{Change, Content, New, Wanted};
use aecl_kernel::digest::Digest;
use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions, Permissions, PermissionsExt};
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::Path;

/// What is there now.
#[derive(Debug)]
pub(super) struct Old {
    pub(super) bytes: Vec<u8>,
    pub(super) digest: Digest,
    mode: u32,
}

impl Old {
    fn executable(&self) -> bool {
        self.mode & 0o111 != 0
    }

    /// Whether this is what a change was to bring.
    pub(super) fn is(&self, new: &New) -> bool {
        self.digest == new.digest && new.executable.is_none_or(|executable| executable == self.executable())
    }
}

/// The directory below which everything happens.
pub(super) fn open(root: &Path) -> Result<Dir, FilesError> {
    Dir::open_ambient_dir(root, ambient_authority())
        .map_err(|e| FilesError::Root(root.display().to_string(), e))
}

/// What is at a path: a plain file, or nothing.
pub(super) fn look(dir: &Dir, path: &str, bytes_max: usize) -> Result<Option<Old>, FilesError> {
    let io = |e| FilesError::Io("read", path.to_owned(), e);
    let meta = match dir.symlink_metadata(path) {
        Ok(meta) => meta,
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
        Err(e) => return Err(io(e)),
    };
    if !meta.is_file() {
        return Err(FilesError::Kind(path.to_owned()));
    }
    let mut bytes = Vec::new();
    let file = dir.open(path).map_err(io)?;
    file.take(bytes_max as u64 + 1).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() > bytes_max {
        return Err(FilesError::TooLong(path.to_owned(), bytes_max));
    }
    let digest = Digest::of(&bytes);
    Ok(Some(Old { bytes, digest, mode: meta.permissions().mode() & 0o777 }))
}

/// One change beside what is there, which is as the change expects it.
pub(super) struct Step<'a> {
    pub(super) wanted: &'a Wanted,
    pub(super) old: Option<Old>,
}

/// Looks at every file, or says which one is not as expected.
pub(super) fn survey<'a>(
    dir: &Dir,
    wanted: &'a [Wanted],
    bytes_max: usize,
) -> Result<Vec<Step<'a>>, FilesError> {
    let mut steps = Vec::with_capacity(wanted.len());
    for wanted in wanted {
        let old = look(dir, &wanted.path, bytes_max)?;
        if old.as_ref().map(|old| old.digest) != wanted.before {
            return Err(FilesError::Changed(wanted.path.clone(), old.map(|old| old.digest)));
        }
        steps.push(Step { wanted, old });
    }
    Ok(steps)
}

impl Step<'_> {
    /// The change that takes this one back.
    fn undo(&self) -> Change {
        Change {
            path: self.wanted.path.clone(),
            before: self.wanted.after.as_ref().map(|new| new.digest),
            after: self.old.as_ref().map(|old| Content::of(old.bytes.clone(), Some(old.executable()))),
        }
    }

    fn mode(&self, new: &New) -> u32 {
        let before = self.old.as_ref().map_or(0o644, |old| old.mode);
        match new.executable {
            // Whoever may read it may run it.
            Some(true) => before | ((before & 0o444) >> 2),
            Some(false) => before & !0o111,
            None => before,
        }
    }
}

/// Files that were written and are not in their places yet, and the directories that were made for them.
/// What is not used is removed.
struct Written<'a> {
    dir: &'a Dir,
    files: Vec<Option<String>>,
    directories: Vec<String>,
}

impl Drop for Written<'_> {
    fn drop(&mut self) {
        // Nobody else uses these names; what cannot be removed now is only litter.
        for file in self.files.drain(..).flatten() {
            drop(self.dir.remove_file(file));
        }
        // One that is used is not empty, and stays.
        for directory in self.directories.drain(..).rev() {
            drop(self.dir.remove_dir(directory));
        }
    }
}

impl Written<'_> {
    fn write(&mut self, step: &Step<'_>, tag: &str, number: usize) -> Result<(), FilesError> {
        let Some(new) = &step.wanted.after else {
            self.files.push(None);
            return Ok(());
        };
        let parents: Vec<_> =
            Path::new(&step.wanted.path).ancestors().skip(1).filter_map(Path::to_str).collect();
        for parent in parents.into_iter().rev().filter(|parent| !parent.is_empty()) {
            match self.dir.create_dir(parent) {
                Ok(()) => self.directories.push(parent.to_owned()),
                Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
                Err(e) => return Err(FilesError::Io("write", step.wanted.path.clone(), e)),
            }
        }
        self.files.push(Some(write_beside(self.dir, step, new, &format!(".aecl-{tag}-{number}"))?));
        Ok(())
    }
}

/// Makes the changes and gives what takes them back. `go_on` is asked before each file is written; once
/// names change there is no way back but the whole way forward.
pub(super) fn make(
    dir: &Dir,
    steps: &[Step<'_>],
    tag: &str,
    go_on: &dyn Fn() -> Result<(), FilesError>,
) -> Result<Vec<Change>, FilesError> {
    let mut written = Written { dir, files: Vec::with_capacity(steps.len()), directories: Vec::new() };
    for (number, step) in steps.iter().enumerate() {
        go_on()?;
        written.write(step, tag, number)?;
    }
    go_on()?;
    for (number, step) in steps.iter().enumerate() {
        let name = written.files.get_mut(number);
        if let Err(error) = put(dir, step, name.as_ref().and_then(|name| name.as_deref())) {
            return Err(take_back(dir, steps.get(..number).unwrap_or_default(), tag, error));
        }
        name.map(Option::take);
    }
    for step in steps {
        settle(dir, &step.wanted.path)?;
    }
    Ok(steps.iter().map(Step::undo).collect())
}

fn write_beside(dir: &Dir, step: &Step<'_>, new: &New, name: &str) -> Result<String, FilesError> {
    let path = &step.wanted.path;
    let io = |e| FilesError::Io("write", path.clone(), e);
    let parent = Path::new(path).parent().and_then(Path::to_str).unwrap_or_default();
    let beside = if parent.is_empty() { name.to_owned() } else { format!("{parent}/{name}") };
    let done = (|| {
        let mut file = dir.open_with(&beside, OpenOptions::new().write(true).create_new(true))?;
        file.write_all(&new.bytes)?;
        file.set_permissions(Permissions::from_mode(step.mode(new)))?;
        file.sync_all()
    })();
    match done {
        Ok(()) => Ok(beside),
        Err(e) => {
            if e.kind() != ErrorKind::AlreadyExists {
                drop(dir.remove_file(&beside));
            }
            Err(io(e))
        }
    }
}

fn put(dir: &Dir, step: &Step<'_>, written: Option<&str>) -> Result<(), FilesError> {
    let path = &step.wanted.path;
    let done = match written {
        Some(written) => dir.rename(written, dir, path),
        None => dir.remove_file(path),
    };
    done.map_err(|e| FilesError::Io("replace", path.clone(), e))
}

/// Makes the names in a file's directory durable.
fn settle(dir: &Dir, path: &str) -> Result<(), FilesError> {
    let parent = Path::new(path).parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let synced = dir.open(parent).and_then(|directory| directory.sync_all());
    synced.map_err(|e| FilesError::Half(path.to_owned(), e))
}

/// Puts back what was replaced, latest first. Gives the error to report: the cause, or that it is half done.
fn take_back(dir: &Dir, done: &[Step<'_>], tag: &str, cause: FilesError) -> FilesError {
    for (number, step) in done.iter().enumerate().rev() {
        let back = match &step.old {
            None => dir.remove_file(&step.wanted.path).map_err(|e| (step, e)),
            Some(old) => {
                let new =
                    New { bytes: old.bytes.clone(), digest: old.digest, executable: Some(old.executable()) };
                let beside = write_beside(dir, step, &new, &format!(".aecl-{tag}-back-{number}"));
                beside
                    .and_then(|beside| put(dir, step, Some(&beside)))
                    .map_err(|e| (step, std::io::Error::other(e.to_string())))
            }
        };
        if let Err((step, error)) = back {
            return FilesError::Half(step.wanted.path.clone(), error);
        }
    }
    cause
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(bytes: &[u8]) -> New {
        New { bytes: bytes.to_vec(), digest: Digest::of(bytes), executable: None }
    }

    /// The second of two changes cannot take its place, as when somebody else put a directory there.
    #[test]
    fn what_was_replaced_before_a_failure_is_put_back() {
        let root = tempfile::tempdir().unwrap();
        let dir = open(root.path()).unwrap();
        dir.write("a", "old").unwrap();
        dir.create_dir("in_the_way").unwrap();
        dir.write("in_the_way/x", "").unwrap();
        let all = [("a", Some(&b"old"[..])), ("n", None), ("in_the_way", None)].map(|(path, before)| {
            Wanted { path: path.to_owned(), before: before.map(Digest::of), after: Some(new(b"new")) }
        });
        let old = look(&dir, "a", 10).unwrap();
        let steps = [
            Step { wanted: &all[0], old },
            Step { wanted: &all[1], old: None },
            Step { wanted: &all[2], old: None },
        ];
        let error = make(&dir, &steps, "t", &|| Ok(())).unwrap_err();
        assert!(matches!(&error, FilesError::Io("replace", path, _) if path == "in_the_way"), "{error}");
        assert_eq!(dir.read("a").unwrap(), b"old");
        let mut names: Vec<_> = dir.entries().unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["a", "in_the_way"]);
    }
}
