//! Files that are taken only if they are the ones that the operator named.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use sha2::{Digest, Sha256};

use crate::machine::Pinned;

/// Errors of a file that is not taken.
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

    pub(super) fn unreadable(&self, source: io::Error) -> PinnedError {
        PinnedError::Unreadable { path: self.path.clone(), source }
    }

    pub(super) fn compare(&self, digest: &[u8]) -> Result<(), PinnedError> {
        let found: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        if found.eq_ignore_ascii_case(self.sha256.trim()) {
            return Ok(());
        }
        Err(PinnedError::Changed { path: self.path.clone(), found, pinned: self.sha256.clone() })
    }
}
