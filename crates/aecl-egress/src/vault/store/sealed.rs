//! The bytes of the store: `aecl-secrets-1`, a line break, 8 bytes that name the key, 24 bytes of nonce, and
//! the entries under XChaCha20-Poly1305 with everything before the nonce as associated data.
//!
//! Sealed are the number of entries (4 bytes), then for each: length and name (2 bytes), seconds since 1970
//! (8 bytes), length and value (4 bytes); all numbers big-endian; then zeros up to a multiple of 1 KiB. A
//! format of our own and not JSON, because a JSON reader leaves copies of what it unescapes.

use std::path::Path;

use chacha20poly1305::aead::{AeadInOut as _, KeyInit as _};
use chacha20poly1305::{Key as CipherKey, XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use super::key::{ID_BYTES, Key};
use super::{Entries, Entry, FILE_MAX_BYTES, SECRET_MAX_BYTES, Secret, SecretStoreError, is_name, random};

const MAGIC: &[u8] = b"aecl-secrets-1\n";
const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;
const PADDED_TO: usize = 1024;

pub(super) fn seal(entries: &Entries, key: &Key) -> Result<Vec<u8>, SecretStoreError> {
    let long: usize = entries.iter().map(|(name, entry)| 14 + name.len() + entry.value.expose().len()).sum();
    let padded = (4 + long).next_multiple_of(PADDED_TO);
    // Room for the tag, too: growing would leave the plain text behind in the old buffer.
    let mut body = Zeroizing::new(Vec::with_capacity(padded + TAG_BYTES));
    body.extend_from_slice(&count(entries.len())?.to_be_bytes());
    for (name, entry) in entries {
        let value = entry.value.expose().as_bytes();
        let name_length = u16::try_from(name.len()).map_err(|_| SecretStoreError::Name(name.clone()))?;
        body.extend_from_slice(&name_length.to_be_bytes());
        body.extend_from_slice(name.as_bytes());
        body.extend_from_slice(&entry.changed_at_s.to_be_bytes());
        body.extend_from_slice(&count(value.len())?.to_be_bytes());
        body.extend_from_slice(value);
    }
    body.resize(padded, 0);
    let nonce = random::<NONCE_BYTES>()?;
    let mut sealed = [MAGIC, &key.id()].concat();
    cipher(key)
        .encrypt_in_place(&XNonce::from(*nonce), &sealed, &mut *body)
        .map_err(|_| SecretStoreError::Full)?;
    sealed.extend_from_slice(&*nonce);
    sealed.extend_from_slice(&body);
    if sealed.len() as u64 > FILE_MAX_BYTES { Err(SecretStoreError::Full) } else { Ok(sealed) }
}

pub(super) fn open(
    bytes: &[u8],
    key: &Key,
    path: &Path,
    key_path: &Path,
) -> Result<Entries, SecretStoreError> {
    let truncated = || SecretStoreError::Truncated(path.to_owned());
    let garbled = || SecretStoreError::Garbled(path.to_owned());
    if !bytes.starts_with(MAGIC) {
        return Err(if MAGIC.starts_with(bytes) {
            truncated()
        } else {
            SecretStoreError::NotAStore(path.to_owned())
        });
    }
    let (head, rest) = bytes.split_at_checked(MAGIC.len() + ID_BYTES).ok_or_else(truncated)?;
    let sealed_with = head.get(MAGIC.len()..).unwrap_or_default();
    if sealed_with != key.id() {
        return Err(SecretStoreError::WrongKey {
            store: path.to_owned(),
            key: key_path.to_owned(),
            sealed_with: hex(sealed_with),
            given: hex(&key.id()),
        });
    }
    let (nonce, body) = rest.split_first_chunk::<NONCE_BYTES>().ok_or_else(truncated)?;
    // What was written has whole kilobytes, so another length is a cut and not a forgery.
    if body.len() < PADDED_TO + TAG_BYTES || !(body.len() - TAG_BYTES).is_multiple_of(PADDED_TO) {
        return Err(truncated());
    }
    let mut body = Zeroizing::new(body.to_vec());
    cipher(key).decrypt_in_place(&XNonce::from(*nonce), head, &mut *body).map_err(|_| garbled())?;
    entries(&body).ok_or_else(garbled)
}

fn cipher(key: &Key) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(CipherKey::cast_from_core(key.bytes()))
}

fn count(length: usize) -> Result<u32, SecretStoreError> {
    u32::try_from(length).map_err(|_| SecretStoreError::Full)
}

fn entries(mut body: &[u8]) -> Option<Entries> {
    let mut entries = Entries::new();
    for _ in 0..u32::from_be_bytes(take(&mut body)?) {
        let name_length = usize::from(u16::from_be_bytes(take(&mut body)?));
        let name = text(&mut body, name_length)?.to_owned();
        let changed_at_s = u64::from_be_bytes(take(&mut body)?);
        let length = usize::try_from(u32::from_be_bytes(take(&mut body)?)).ok()?;
        let value = Secret::new(text(&mut body, length)?.to_owned());
        if !is_name(&name) || length > SECRET_MAX_BYTES {
            return None;
        }
        entries.insert(name, Entry { value, changed_at_s });
    }
    Some(entries)
}

fn take<const N: usize>(body: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = body.split_first_chunk::<N>()?;
    *body = rest;
    Some(*taken)
}

fn text<'a>(body: &mut &'a [u8], length: usize) -> Option<&'a str> {
    let (taken, rest) = body.split_at_checked(length)?;
    *body = rest;
    std::str::from_utf8(taken).ok()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
