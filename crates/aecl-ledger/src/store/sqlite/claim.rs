//! The claim on the key of a ledger: a file outside of every home, which whoever writes with that key holds locked. A home
//! that was copied has locks of its own; this one it does not have.

use crate::store::StoreError;
use rustix::fs::{FlockOperation, Mode, OFlags, flock, open};
use rustix::io::retry_on_intr;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

/// Files that are looked at to remove what is nobody's any more, and the longest path that is read of one.
const FILES_MAX: usize = 256;
const PATH_MAX: u64 = 4_096;
/// How often somebody may remove the file while we take it.
const TRIES: usize = 16;

/// Takes the claim for the ledger in a directory. Without a place for it nobody has any.
pub(super) fn take(path: &Path, dir: &Path) -> Result<Option<File>, StoreError> {
    let Some(place) = path.parent() else { return Ok(None) };
    if !prepared(place) {
        return Ok(None);
    }
    // Whoever tidies up holds what others left for a moment, and it may be what we are about to take.
    let _alone = one_at_a_time(place);
    remove_left(place, path);
    for _ in 0..TRIES {
        let Some(mut file) = opened(path, OFlags::CREATE) else { return Ok(None) };
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(of_another(&mut file, dir)),
            Err(_) => return Ok(None),
        }
        // It may have been removed before we had it.
        if !is_still(&file, path) {
            continue;
        }
        let own = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
        let written = file.set_len(0).and_then(|()| file.write_all(own.as_os_str().as_bytes()));
        return Ok(written.is_ok().then_some(file));
    }
    Ok(None)
}

/// A directory of this user's, where nobody else can put a lock.
fn prepared(place: &Path) -> bool {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(place);
    let is_ours = |about: fs::Metadata| {
        about.is_dir() && about.uid() == rustix::process::geteuid().as_raw() && about.mode() & 0o022 == 0
    };
    made.is_ok() && place.symlink_metadata().is_ok_and(is_ours)
}

/// Claims are taken and tidied up by one process at a time, for as long as this is kept. Some file systems know no locks.
fn one_at_a_time(place: &Path) -> Option<File> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let place = File::from(open(place, flags, Mode::empty()).ok()?);
    retry_on_intr(|| flock(&place, FlockOperation::LockExclusive)).ok()?;
    Some(place)
}

fn opened(path: &Path, more: OFlags) -> Option<File> {
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | more;
    let file = File::from(open(path, flags, Mode::RUSR | Mode::WUSR).ok()?);
    file.metadata().is_ok_and(|about| about.is_file()).then_some(file)
}

fn is_still(file: &File, path: &Path) -> bool {
    let id = |about: fs::Metadata| (about.dev(), about.ino());
    file.metadata().ok().map(id) == path.symlink_metadata().ok().map(id)
}

fn of_another(file: &mut File, dir: &Path) -> StoreError {
    let mut bytes = Vec::new();
    drop(file.take(PATH_MAX).read_to_end(&mut bytes));
    let by = PathBuf::from(std::ffi::OsString::from_vec(bytes));
    let own = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    match by == own || by.as_os_str().is_empty() {
        true => super::open::locked(dir),
        false => StoreError::Copied { dir: dir.to_owned(), by },
    }
}

/// Removes what processes left that are gone.
fn remove_left(place: &Path, own: &Path) {
    for entry in fs::read_dir(place).into_iter().flatten().flatten().take(FILES_MAX) {
        let path = entry.path();
        let left = if path == own { None } else { opened(&path, OFlags::empty()) };
        if let Some(file) = left
            && flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok()
            && is_still(&file, &path)
        {
            drop(fs::remove_file(&path));
        }
    }
}
