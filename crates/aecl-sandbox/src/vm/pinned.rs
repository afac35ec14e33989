//! Files that are taken only if they are the ones that the operator named.

#[cfg(native_cage)]
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
#[cfg(native_cage)]
use std::io::{Seek, Write};
#[cfg(native_cage)]
use std::os::fd::OwnedFd;
#[cfg(native_cage)]
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
#[cfg(native_cage)]
use std::sync::{Arc, Mutex, PoisonError};

#[cfg(native_cage)]
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use sha2::{Digest, Sha256};

use super::Pinned;

/// Why a file is not taken.
#[derive(Debug, thiserror::Error)]
pub enum PinnedError {
    /// It is not there, or not for us.
    #[error("`{}` cannot be read: {source}", path.display())]
    Unreadable {
        /// Where it should be.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It is larger than whoever reads it takes.
    #[error("`{}` is larger than {most_bytes} bytes", path.display())]
    TooLarge {
        /// Where it is.
        path: PathBuf,
        /// What is taken at most.
        most_bytes: u64,
    },
    /// Its bytes are others.
    #[error(
        "`{}` is not the file that was named: its SHA-256 is {found}, and {pinned} was pinned; if the change is \
         yours, pin the new one",
        path.display()
    )]
    Changed {
        /// Where it is.
        path: PathBuf,
        /// What it is.
        found: String,
        /// What it must be.
        pinned: String,
    },
}

impl From<PinnedError> for String {
    fn from(error: PinnedError) -> Self {
        error.to_string()
    }
}

impl Pinned {
    /// Its bytes, which are the ones that were named. At most so many are taken.
    ///
    /// # Errors
    /// When it cannot be read, is larger, or is another file.
    pub fn read(&self, most_bytes: u64) -> Result<Vec<u8>, PinnedError> {
        let mut bytes = Vec::new();
        let file = File::open(&self.path).map_err(|error| self.unreadable(error))?;
        file.take(most_bytes.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|error| self.unreadable(error))?;
        if bytes.len() as u64 > most_bytes {
            return Err(PinnedError::TooLarge { path: self.path.clone(), most_bytes });
        }
        self.compare(&Sha256::digest(&bytes))?;
        Ok(bytes)
    }

    /// The file, opened for reading. A file that was looked at once is read again only if something about it
    /// changed, since a disk may be large.
    #[cfg(native_cage)]
    pub(super) fn open(&self) -> Result<File, PinnedError> {
        type Look = (u64, u64, u64, i64, i64, i64, i64);
        static KNOWN: Mutex<Option<HashMap<Look, Vec<u8>>>> = Mutex::new(None);
        let mut file = File::open(&self.path).map_err(|error| self.unreadable(error))?;
        let about = file.metadata().map_err(|error| self.unreadable(error))?;
        let look = (
            about.dev(),
            about.ino(),
            about.size(),
            about.mtime(),
            about.mtime_nsec(),
            about.ctime(),
            about.ctime_nsec(),
        );
        let known =
            KNOWN.lock().unwrap_or_else(PoisonError::into_inner).as_ref().and_then(|k| k.get(&look).cloned());
        let digest = match known {
            Some(digest) => digest,
            None => {
                let digest = digest(&mut file).map_err(|error| self.unreadable(error))?;
                let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
                known.get_or_insert_default().insert(look, digest.clone());
                digest
            }
        };
        self.compare(&digest)?;
        file.rewind().map_err(|error| self.unreadable(error))?;
        Ok(file)
    }

    fn unreadable(&self, source: io::Error) -> PinnedError {
        PinnedError::Unreadable { path: self.path.clone(), source }
    }

    fn compare(&self, digest: &[u8]) -> Result<(), PinnedError> {
        let found: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        if found.eq_ignore_ascii_case(self.sha256.trim()) {
            return Ok(());
        }
        Err(PinnedError::Changed { path: self.path.clone(), found, pinned: self.sha256.clone() })
    }
}

#[cfg(native_cage)]
fn digest(file: &mut File) -> io::Result<Vec<u8>> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.finalize().to_vec()),
            count => hasher.update(buffer.get(..count).unwrap_or_default()),
        }
    }
}

/// A file in memory with these bytes, which nobody can change any more.
#[cfg(native_cage)]
pub(super) fn sealed(name: &str, bytes: &[u8]) -> io::Result<Arc<OwnedFd>> {
    let mut file = File::from(memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?);
    file.write_all(bytes)?;
    file.rewind()?;
    fcntl_add_seals(&file, SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE)?;
    Ok(Arc::new(file.into()))
}

#[cfg(all(test, native_cage))]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_the_one_that_was_named_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kernel");
        std::fs::write(&path, b"abc").unwrap();
        let sha256 = "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD".to_owned();
        let pinned = Pinned { path: path.clone(), sha256 };
        assert_eq!(pinned.read(3).unwrap(), b"abc");
        assert!(matches!(pinned.read(2), Err(PinnedError::TooLarge { most_bytes: 2, .. })));
        assert!(pinned.open().is_ok());
        // Looked at already, and then changed, with the same length.
        std::thread::sleep(std::time::Duration::from_millis(20));
        std::fs::write(&path, b"abd").unwrap();
        for refused in [pinned.read(3).unwrap_err(), pinned.open().unwrap_err()].map(String::from) {
            assert!(
                refused.contains("is not the file that was named") && refused.contains("BA7816"),
                "{refused}"
            );
        }
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(pinned.open(), Err(PinnedError::Unreadable { .. })));
    }
}
