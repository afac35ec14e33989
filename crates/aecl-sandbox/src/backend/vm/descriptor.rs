//! What a monitor gets as descriptors: files that are the ones that the operator named, and bytes that nobody
//! can change.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use sha2::{Digest, Sha256};

use crate::machine::Pinned;
use crate::pinned::PinnedError;

impl Pinned {
    /// The file, opened for reading. A file that was looked at once is read again only if something about it
    /// changed, since a disk may be large.
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
}

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
pub(super) fn sealed(name: &str, bytes: &[u8]) -> io::Result<Arc<OwnedFd>> {
    let mut file = File::from(memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?);
    file.write_all(bytes)?;
    file.rewind()?;
    fcntl_add_seals(&file, SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE)?;
    Ok(Arc::new(file.into()))
}

#[cfg(test)]
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
