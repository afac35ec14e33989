//! Key files: made once, readable by their owner only, never replaced silently.

use crate::error::GateError;
use aecl_executor::root_dir::read_plain;
use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey, EncodePrivateKey};
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Writes a file that only its owner may read; an existing one is an error.
pub fn write_private(path: &Path, content: &[u8]) -> Result<(), GateError> {
    let fail = |source| GateError::File { tried: "create", path: path.to_owned(), source };
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(fail)?;
    file.write_all(content).and_then(|()| file.sync_all()).map_err(fail)
}

/// Makes a directory that only its owner may enter, if it is not there.
pub fn private_dir(path: &Path) -> Result<(), GateError> {
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| GateError::File { tried: "create", path: path.to_owned(), source })
}

/// Makes an Ed25519 key file (PKCS #8, PEM).
pub fn create(path: &Path) -> Result<SigningKey, GateError> {
    let mut seed = zeroize::Zeroizing::new([0u8; 32]);
    let bad = |message: String| GateError::Config { path: path.to_owned(), message };
    getrandom::fill(&mut *seed).map_err(|e| bad(format!("no random bytes: {e}")))?;
    let key = SigningKey::from_bytes(&seed);
    let pem = key.to_pkcs8_pem(LineEnding::LF).map_err(|e| bad(e.to_string()))?;
    write_private(path, pem.as_bytes())?;
    Ok(key)
}

/// Largest file of a key, in bytes.
const KEY_BYTES_MAX: u64 = 1 << 16;

/// Reads an Ed25519 key file, and refuses one that others may read.
pub fn read(path: &Path) -> Result<SigningKey, GateError> {
    let fail = |source| GateError::File { tried: "read", path: path.to_owned(), source };
    let mode = std::fs::metadata(path).map_err(fail)?.permissions().mode();
    if mode & 0o077 != 0 {
        let message = format!(
            "others may read this key (mode {:o}); run `chmod 600` on it and consider it known",
            mode & 0o777
        );
        return Err(GateError::Config { path: path.to_owned(), message });
    }
    let pem = zeroize::Zeroizing::new(read_plain(path, KEY_BYTES_MAX).map_err(fail)?);
    let pem = std::str::from_utf8(&pem).map_err(|_| fail(std::io::ErrorKind::InvalidData.into()))?;
    SigningKey::from_pkcs8_pem(pem).map_err(|e| GateError::Config {
        path: path.to_owned(),
        message: format!("no Ed25519 key in PEM: {e}"),
    })
}
