//! The files as they were opened. A directory that is removed or replaced under a running process takes the record
//! with it: SQLite goes on writing into files that have no name any more, and says that all is well.

use super::open::{DATABASE, LOCK, SIDES};
use crate::store::StoreError;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Which files are ours: device and inode of each name.
#[derive(Debug, Clone)]
pub(super) struct Files {
    dir: PathBuf,
    known: [(&'static str, Option<(u64, u64)>); 4],
}

impl Files {
    /// As they are now.
    pub(super) fn of(dir: &Path) -> Self {
        let [log, index] = SIDES;
        let known = [DATABASE, LOCK, log, index].map(|name| (name, identity(&dir.join(name))));
        Self { dir: dir.to_owned(), known }
    }

    /// Passes as long as every file is the one that was seen first under its name.
    pub(super) fn check(&mut self) -> Result<(), StoreError> {
        for (name, known) in &mut self.known {
            let path = self.dir.join(*name);
            let found = identity(&path);
            if known.is_none() {
                // SQLite makes its side files when it needs them.
                *known = found;
            } else if *known != found {
                return Err(StoreError::Replaced { path });
            }
        }
        Ok(())
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    std::fs::metadata(path).ok().map(|about| (about.dev(), about.ino()))
}
