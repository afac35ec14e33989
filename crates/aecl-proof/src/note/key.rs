//! The public half of a signer, as it is pinned: `name+hash+base64(0x01 ‖ key)`.

use super::{NoteError, VerifyingKey};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;

/// The signature type byte for plain Ed25519.
const ED25519: u8 = 0x01;

/// A name and an Ed25519 public key, with the four bytes by which notes refer to the pair.
///
/// ```
/// use aecl_proof::VerifierKey;
/// let text = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
/// let key: VerifierKey = text.parse()?;
/// assert_eq!(key.name(), "PeterNeumann");
/// assert_eq!(key.to_string(), text);
/// # Ok::<(), aecl_proof::NoteError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    id: [u8; 4],
    key: VerifyingKey,
}

impl VerifierKey {
    /// The pair. Refused are names that a note cannot carry and keys of small order.
    pub fn new(name: &str, key: VerifyingKey) -> Result<Self, NoteError> {
        if !is_name(name) {
            return Err(NoteError::Name(name.to_owned()));
        }
        if key.is_weak() {
            return Err(NoteError::Key { text: name.to_owned(), why: "its public key is of small order" });
        }
        Ok(Self { name: name.to_owned(), id: key_id(name, &key), key })
    }

    /// The key name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key id: the first bytes of `SHA-256(name ‖ "\n" ‖ 0x01 ‖ key)`.
    pub fn id(&self) -> [u8; 4] {
        self.id
    }

    /// The public key.
    pub fn public_key(&self) -> &VerifyingKey {
        &self.key
    }
}

impl FromStr for VerifierKey {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, NoteError> {
        let wrong = |why| NoteError::Key { text: text.to_owned(), why };
        // Base64 has plus signs of its own, a name has none.
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(base64)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(wrong("it is not `name+id+key`"));
        };
        let bytes = STANDARD.decode(base64).map_err(|_| wrong("its key is not base64"))?;
        let Some((&ED25519, bytes)) = bytes.split_first() else {
            return Err(wrong("its key is not of type Ed25519"));
        };
        let bytes = bytes.try_into().map_err(|_| wrong("its key has not 32 bytes"))?;
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| wrong("its key is not a point"))?;
        let read = Self::new(name, key)?;
        if hex(read.id) == id { Ok(read) } else { Err(wrong("its id does not belong to name and key")) }
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = STANDARD.encode([[ED25519].as_slice(), self.key.as_bytes()].concat());
        write!(f, "{}+{}+{key}", self.name, hex(self.id))
    }
}

/// Whether a note can carry this key name.
pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c == '+' || c.is_whitespace() || c.is_control())
}

fn key_id(name: &str, key: &VerifyingKey) -> [u8; 4] {
    let hash = Sha256::new()
        .chain_update(name)
        .chain_update([b'\n', ED25519])
        .chain_update(key.as_bytes())
        .finalize();
    let [a, b, c, d, ..]: [u8; 32] = hash.into();
    [a, b, c, d]
}

fn hex(id: [u8; 4]) -> String {
    format!("{:08x}", u32::from_be_bytes(id))
}
