//! Secrets in one encrypted file of this machine.
//!
//! The file is sealed as a whole, names too: a reader without the key learns nothing but its rough size, and
//! one entry cannot be dropped, renamed or exchanged without breaking the seal. An older copy of the whole
//! file is accepted; nothing outside remembers which one is the newest.

mod key;
mod sealed;

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::secret::{SECRET_MAX_BYTES, Secret};
use key::Key;

/// The most entries of a store.
const ENTRIES_MAX: usize = 4096;
/// The longest file that is read.
const FILE_MAX_BYTES: u64 = 16 << 20;
/// How long a writer waits for another one.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// Errors of the store. Names files and entries, never a value.
#[derive(Debug, thiserror::Error)]
pub enum SecretStoreError {
    /// The operating system said no.
    #[error("cannot {tried} `{}`: {source}", path.display())]
    File {
        /// What was tried.
        tried: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// There is a store and no key for it.
    #[error(
        "the key of the secret store, `{}`, is not there; bring it back from where you keep copies, or name it in AECL_SECRETS_KEY_FILE",
        .0.display()
    )]
    NoKey(PathBuf),
    /// Others may read the key.
    #[error(
        "others may read the key of the secret store, `{}` (mode {mode:o}); take it to be known: `chmod 600` it, replace the secrets, then the key",
        path.display()
    )]
    KeyOpen {
        /// Which file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The key file holds no key.
    #[error("`{}` holds no key of a secret store, which is one line of 32 bytes in base64", .0.display())]
    KeyGarbled(PathBuf),
    /// The store belongs to another key.
    #[error(
        "`{}` was sealed with the key {sealed_with}, and `{}` is the key {}; bring back the right one, or name it in AECL_SECRETS_KEY_FILE",
        store.display(), key.display(), given
    )]
    WrongKey {
        /// The store.
        store: PathBuf,
        /// The key file.
        key: PathBuf,
        /// The identifier of the right key.
        sealed_with: String,
        /// The identifier of this key.
        given: String,
    },
    /// Something else lies there.
    #[error("`{}` is no secret store, or one of a newer AECL; nothing was changed", .0.display())]
    NotAStore(PathBuf),
    /// The end of the file is missing.
    #[error("`{}` is cut off; bring it back from a backup, or delete it and set the secrets again", .0.display())]
    Truncated(PathBuf),
    /// The seal is broken.
    #[error(
        "`{}` was changed or is damaged, so nothing in it is used; bring it back from a backup, or delete it and set the secrets again",
        .0.display()
    )]
    Garbled(PathBuf),
    /// Somebody else holds the lock.
    #[error("somebody else is writing to the secret store (`{}` is locked); try again", .0.display())]
    Busy(PathBuf),
    /// A name that a reference cannot hold.
    #[error(
        "`{0}` is no name for a secret; take letters, digits and `_ . - /`, at most 128, a letter or digit first"
    )]
    Name(String),
    /// A value that no credential has.
    #[error("the value of `{0}` is not one line of text of 1 to 65536 bytes")]
    Value(String),
    /// The store is full.
    #[error("the secret store is full: at most {ENTRIES_MAX} secrets and 16 MiB")]
    Full,
    /// There is no randomness.
    #[error("the operating system gives no random bytes: {0}")]
    NoRandom(String),
}

/// Whether a secret of the store can be called so.
pub(super) fn is_name(name: &str) -> bool {
    name.len() <= 128
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-' | b'/'))
}

struct Entry {
    value: Secret,
    changed_at_s: u64,
}

type Entries = BTreeMap<String, Entry>;

/// The encrypted store: a directory for its file, and a key file elsewhere.
#[derive(Clone, Debug)]
pub struct SecretStore {
    dir: PathBuf,
    key: PathBuf,
}

/// An entry, without its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name; the reference is `secret:NAME`.
    pub name: String,
    /// When it was last set, in seconds since 1970.
    pub changed_at_s: u64,
}

impl SecretStore {
    /// The store in this directory, sealed with the key in this file. Neither has to be there yet.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into(), key: key.into() }
    }

    /// The value of an entry, if there is one.
    ///
    /// # Errors
    /// When the store or its key cannot be read, or the seal is broken.
    pub fn get(&self, name: &str) -> Result<Option<Secret>, SecretStoreError> {
        Ok(self.read()?.remove(name).map(|entry| entry.value))
    }

    /// All entries by name, without their values.
    ///
    /// # Errors
    /// As [`SecretStore::get`].
    pub fn list(&self) -> Result<Vec<Listed>, SecretStoreError> {
        let listed = |(name, entry): (String, Entry)| Listed { name, changed_at_s: entry.changed_at_s };
        Ok(self.read()?.into_iter().map(listed).collect())
    }

    /// Sets an entry. Gives whether it replaced one. The first one makes the key, too.
    ///
    /// # Errors
    /// When name or value cannot be held, or the store cannot be read or written.
    pub fn set(&self, name: &str, value: Secret, now_s: u64) -> Result<bool, SecretStoreError> {
        if !is_name(name) {
            return Err(SecretStoreError::Name(name.chars().filter(|c| !c.is_control()).take(140).collect()));
        }
        if !value.is_one_line() {
            return Err(SecretStoreError::Value(name.to_owned()));
        }
        self.change(|entries| {
            let before = entries.insert(name.to_owned(), Entry { value, changed_at_s: now_s });
            if entries.len() > ENTRIES_MAX { Err(SecretStoreError::Full) } else { Ok(before.is_some()) }
        })
    }

    /// Takes an entry out. Gives whether it was there.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub fn remove(&self, name: &str) -> Result<bool, SecretStoreError> {
        if !self.file().exists() {
            return Ok(false);
        }
        self.change(|entries| Ok(entries.remove(name).is_some()))
    }

    fn file(&self) -> PathBuf {
        self.dir.join("store")
    }

    fn read(&self) -> Result<Entries, SecretStoreError> {
        let path = self.file();
        let fail = |source| SecretStoreError::File { tried: "read", path: path.clone(), source };
        let found = match std::fs::metadata(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Entries::new()),
            found => found.map_err(fail)?,
        };
        if !found.is_file() || found.len() > FILE_MAX_BYTES {
            return Err(SecretStoreError::NotAStore(path));
        }
        let bytes = std::fs::read(&path).map_err(fail)?;
        sealed::open(&bytes, &Key::read(&self.key)?, &path, &self.key)
    }

    /// Reads, changes and writes as one step: a second writer waits, a reader sees the old file or the new one.
    fn change<T>(
        &self,
        edit: impl FnOnce(&mut Entries) -> Result<T, SecretStoreError>,
    ) -> Result<T, SecretStoreError> {
        private_dir(&self.dir)?;
        let _lock = self.lock()?;
        let mut entries = self.read()?;
        let done = edit(&mut entries)?;
        let key = match Key::read(&self.key) {
            // A new key for an old store would lose every secret in it.
            Err(SecretStoreError::NoKey(_)) if !self.file().exists() => Key::create(&self.key)?,
            key => key?,
        };
        self.write(&sealed::seal(&entries, &key)?)?;
        Ok(done)
    }

    /// A file beside the store, to lock for as long as something takes.
    pub(crate) fn lock_file(&self, name: &str) -> Result<File, SecretStoreError> {
        private_dir(&self.dir)?;
        self.open_lock(name)
    }

    fn open_lock(&self, name: &str) -> Result<File, SecretStoreError> {
        let path = self.dir.join(name);
        let fail = |source| SecretStoreError::File { tried: "lock", path: path.clone(), source };
        let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        let lock = lock.map_err(fail)?;
        owned_like(&path, &self.dir);
        Ok(lock)
    }

    fn lock(&self) -> Result<File, SecretStoreError> {
        let path = self.dir.join("lock");
        let fail = |source| SecretStoreError::File { tried: "lock", path: path.clone(), source };
        let lock = self.open_lock("lock")?;
        let late = Instant::now() + WAIT_MAX;
        loop {
            match lock.try_lock() {
                Ok(()) => return Ok(lock),
                Err(std::fs::TryLockError::WouldBlock) if Instant::now() < late => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                Err(std::fs::TryLockError::WouldBlock) => return Err(SecretStoreError::Busy(path)),
                Err(std::fs::TryLockError::Error(error)) => return Err(fail(error)),
            }
        }
    }

    fn write(&self, bytes: &[u8]) -> Result<(), SecretStoreError> {
        let (path, fresh) = (self.file(), self.dir.join("store.new"));
        let fail = |source| SecretStoreError::File { tried: "write", path: path.clone(), source };
        let write = || {
            // Left behind by a writer that was killed; we hold the lock, so nobody writes it now.
            match std::fs::remove_file(&fresh) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            owned_like(&fresh, &self.dir);
            std::fs::rename(&fresh, &path)?;
            File::open(&self.dir)?.sync_all()
        };
        write().map_err(fail)
    }
}

/// Makes a directory that only its owner may enter, if it is not there.
fn private_dir(path: &Path) -> Result<(), SecretStoreError> {
    if path.is_dir() {
        return Ok(());
    }
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| SecretStoreError::File { tried: "create", path: path.to_owned(), source })?;
    if let Some(parent) = path.parent() {
        owned_like(path, parent);
    }
    Ok(())
}

/// Written by root, a file stays readable for whom its directory belongs to. Others cannot give files away
/// and need not.
fn owned_like(path: &Path, dir: &Path) {
    if let Ok(dir) = std::fs::metadata(dir) {
        drop(std::os::unix::fs::lchown(path, Some(dir.uid()), Some(dir.gid())));
    }
}

/// Random bytes.
fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, SecretStoreError> {
    let mut bytes = Zeroizing::new([0u8; N]);
    getrandom::fill(&mut *bytes).map_err(|error| SecretStoreError::NoRandom(error.to_string()))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
