//! The key file of the store: 32 random bytes in base64, for its owner only.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::{SecretStoreError, owned_like, private_dir, random};

/// What tells keys apart. Not secret.
pub(super) const ID_BYTES: usize = 8;

/// The key, wiped when dropped.
pub(super) struct Key(Zeroizing<[u8; 32]>);

impl Key {
    pub(super) fn read(path: &Path) -> Result<Self, SecretStoreError> {
        let fail = |source| SecretStoreError::File { tried: "read", path: path.to_owned(), source };
        let found = match std::fs::metadata(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(SecretStoreError::NoKey(path.to_owned()));
            }
            found => found.map_err(fail)?,
        };
        let garbled = || SecretStoreError::KeyGarbled(path.to_owned());
        if !found.is_file() || found.len() > 1024 {
            return Err(garbled());
        }
        let mode = found.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(SecretStoreError::KeyOpen { path: path.to_owned(), mode });
        }
        let text = Zeroizing::new(std::fs::read(path).map_err(fail)?);
        let mut bytes = Zeroizing::new([0u8; 33]);
        let length = STANDARD.decode_slice(text.trim_ascii(), &mut *bytes).map_err(|_| garbled())?;
        let key = bytes.get(..length).and_then(|key| <[u8; 32]>::try_from(key).ok());
        key.map(|key| Self(Zeroizing::new(key))).ok_or_else(garbled)
    }

    /// A new key in a new file; one that is there is an error.
    pub(super) fn create(path: &Path) -> Result<Self, SecretStoreError> {
        let fail = |source| SecretStoreError::File { tried: "create", path: path.to_owned(), source };
        let key = Self(random()?);
        if let Some(dir) = path.parent() {
            private_dir(dir)?;
        }
        let mut text = Zeroizing::new(STANDARD.encode(key.0.as_slice()));
        text.push('\n');
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(fail)?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(fail)?;
        if let Some(dir) = path.parent() {
            owned_like(path, dir);
        }
        Ok(key)
    }

    pub(super) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    pub(super) fn id(&self) -> [u8; ID_BYTES] {
        let digest = Sha256::new()
            .chain_update(b"aecl secret store key id\0")
            .chain_update(self.0.as_slice())
            .finalize();
        let mut id = [0; ID_BYTES];
        id.iter_mut().zip(digest.iter()).for_each(|(to, from)| *to = *from);
        id
    }
}
