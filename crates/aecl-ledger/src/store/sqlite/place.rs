//! The directory of one database: what is there, who has it, and what can be done where it was damaged.

use super::{Sqlite, open, tables};
use crate::store::{Store, StoreError, StorePlace};
use std::path::{Path, PathBuf};

/// Place of a ledger in `<dir>/ledger.db`.
#[derive(Debug)]
pub(in crate::store) struct Place {
    dir: PathBuf,
    key: Option<PathBuf>,
}

impl Place {
    pub(in crate::store) fn new(dir: &Path, key: Option<&Path>) -> Self {
        Self { dir: dir.to_owned(), key: key.map(Path::to_owned) }
    }

    fn begun(&self) -> Option<open::Begun> {
        self.key.as_deref().map(open::Begun::beside)
    }
}

impl StorePlace for Place {
    fn is_begun(&self) -> Result<bool, StoreError> {
        open::find_record(&self.dir, self.begun().as_ref())?;
        Ok(open::exists(&self.dir))
    }

    fn read(&self) -> Result<Box<dyn Store>, StoreError> {
        Ok(Box::new(Sqlite::open_existing_read_only(&self.dir)?))
    }

    fn write(&self, claim: Option<&Path>) -> Result<Box<dyn Store>, StoreError> {
        let store = match (&self.key, claim) {
            (Some(key), Some(claim)) => Sqlite::open_claimed(&self.dir, key, claim)?,
            (Some(key), None) => Sqlite::open_with_key(&self.dir, key)?,
            (None, _) => Sqlite::open(&self.dir)?,
        };
        Ok(Box::new(store))
    }

    fn writer(&self) -> Option<u32> {
        open::holder(&self.dir).filter(|pid| open::is_alive(*pid))
    }

    fn hold(&self) -> Result<Option<Box<dyn Store>>, StoreError> {
        if !open::exists(&self.dir) {
            return Ok(None);
        }
        Ok(Some(Box::new(Sqlite::open(&self.dir)?)))
    }

    fn mend_tables(&self) -> Result<Vec<String>, StoreError> {
        let _lock = open::lock(&self.dir)?;
        open::find_log(&self.dir)?;
        // Where the last process was killed, its mark would outlive the log, which ends with this connection.
        let _mark = open::Mark::of_existing(&self.dir)?;
        tables::mend(&mut open::unchecked(&self.dir)?)
    }

    fn accept_lost_end(&self) -> Result<Option<String>, StoreError> {
        let is_missing = open::forget_missing_log(&self.dir)?;
        Ok(is_missing.then(|| open::SIDES[0].to_owned()))
    }

    fn accept_lost_record(&self) -> Result<bool, StoreError> {
        open::forget_missing_record(&self.dir, self.begun().as_ref())
    }
}
