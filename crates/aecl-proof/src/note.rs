//! Signed notes: a text, a blank line, and lines that say who signed it (C2SP `signed-note`, Ed25519).
//!
//! The text of a note means nothing until a key that *we* know has signed it, so [`Note::verify`] is the
//! way to the text. Signatures by unknown keys are ignored, so that witnesses may add theirs; a bad signature
//! by a known key spoils the note.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ed25519_dalek::{Signature, Signer as _};
use std::fmt;

mod key;

pub use ed25519_dalek::{SigningKey, VerifyingKey};
pub use key::VerifierKey;

/// Longer notes are refused. A checkpoint with 16 post-quantum signatures has about 110 kB.
pub const NOTE_MAX_BYTES: usize = 1 << 20;
/// Notes with more signatures are refused.
pub const SIGNATURES_MAX: usize = 100;

/// Errors of what is not a note, not a key, or not signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// The whole is not a note.
    #[error("not a signed note: {0}")]
    Malformed(&'static str),
    /// A signature line that cannot be read.
    #[error("`{line}` is not a signature line: {why}")]
    Line {
        /// The line.
        line: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A key name that a note cannot carry.
    #[error("`{0}` is not a key name: it is empty or has a space, a plus or a control character")]
    Name(String),
    /// A verifier key text that cannot be read.
    #[error("`{text}` is not a verifier key: {why}")]
    Key {
        /// The text.
        text: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The known key signed, or somebody claims that it did, and the signature does not fit the text.
    #[error("the signature by `{0}` does not fit the text")]
    BadSignature(String),
    /// The known key has not signed.
    #[error("not signed by `{0}`")]
    NotSigned(String),
}

/// A note as it was read: signatures parsed, none of them checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<NoteSignature>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct NoteSignature {
    name: String,
    id: [u8; 4],
    bytes: Vec<u8>,
}

impl Note {
    /// A note without signatures yet. The text ends with a newline and has no other control characters.
    pub fn new(text: impl Into<String>) -> Result<Self, NoteError> {
        let text = text.into();
        if !text.ends_with('\n') {
            return Err(NoteError::Malformed("the text does not end with a newline"));
        }
        if text.chars().any(|c| c < ' ' && c != '\n') {
            return Err(NoteError::Malformed("it has a control character"));
        }
        Ok(Self { text, signatures: Vec::new() })
    }

    /// Reads a note. There is exactly one spelling of each note; every other is refused.
    pub fn parse(note: &str) -> Result<Self, NoteError> {
        if note.len() > NOTE_MAX_BYTES {
            return Err(NoteError::Malformed("it is too long"));
        }
        // The text may have empty lines of its own: the last one separates.
        let Some((text, lines)) = note.rsplit_once("\n\n") else {
            return Err(NoteError::Malformed("no blank line between text and signatures"));
        };
        let Some(lines) = lines.strip_suffix('\n') else {
            return Err(NoteError::Malformed("the last line does not end with a newline"));
        };
        let mut read = Self::new(format!("{text}\n"))?;
        for line in lines.split('\n') {
            if read.signatures.len() == SIGNATURES_MAX {
                return Err(NoteError::Malformed("it has too many signatures"));
            }
            read.signatures.push(NoteSignature::parse(line)?);
        }
        Ok(read)
    }

    /// Adds our signature as `name`.
    pub fn sign(&mut self, name: &str, key: &SigningKey) -> Result<(), NoteError> {
        let verifier = VerifierKey::new(name, key.verifying_key())?;
        let bytes = key.sign(self.text.as_bytes()).to_bytes().to_vec();
        self.signatures.push(NoteSignature { name: name.to_owned(), id: verifier.id(), bytes });
        Ok(())
    }

    /// Adds a signature that an external signer made, if it is good.
    pub fn attach(&mut self, key: &VerifierKey, signature: [u8; 64]) -> Result<(), NoteError> {
        self.check(key, &signature)?;
        let (name, bytes) = (key.name().to_owned(), signature.to_vec());
        self.signatures.push(NoteSignature { name, id: key.id(), bytes });
        Ok(())
    }

    /// The text, if the pinned key has signed it. With several signatures by that key, all must be good.
    pub fn verify(&self, pinned: &VerifierKey) -> Result<&str, NoteError> {
        let mut by_pinned =
            self.signatures.iter().filter(|s| s.name == pinned.name() && s.id == pinned.id()).peekable();
        if by_pinned.peek().is_none() {
            return Err(NoteError::NotSigned(pinned.to_string()));
        }
        by_pinned.try_for_each(|signature| self.check(pinned, &signature.bytes))?;
        Ok(&self.text)
    }

    /// The text, whoever wrote it. For printing only: nothing may be concluded from it.
    pub fn unverified_text(&self) -> &str {
        &self.text
    }

    /// Key name and key id of each signature, checked or not.
    pub fn signers(&self) -> impl Iterator<Item = (&str, [u8; 4])> {
        self.signatures.iter().map(|signature| (signature.name.as_str(), signature.id))
    }

    fn check(&self, key: &VerifierKey, bytes: &[u8]) -> Result<(), NoteError> {
        let bad = || NoteError::BadSignature(key.to_string());
        let signature = Signature::from_slice(bytes).map_err(|_| bad())?;
        // Strict: one signature has one spelling, and small-order points are no keys.
        key.public_key().verify_strict(self.text.as_bytes(), &signature).map_err(|_| bad())
    }
}

impl NoteSignature {
    fn parse(line: &str) -> Result<Self, NoteError> {
        let wrong = |why| NoteError::Line { line: line.to_owned(), why };
        let rest = line.strip_prefix("— ").ok_or(wrong("it does not begin with `— `"))?;
        let (name, base64) = rest.split_once(' ').ok_or(wrong("it has no signature"))?;
        if !key::is_name(name) {
            return Err(NoteError::Name(name.to_owned()));
        }
        let bytes = STANDARD.decode(base64).map_err(|_| wrong("the signature is not base64"))?;
        match bytes.split_first_chunk::<4>() {
            Some((id, bytes)) if !bytes.is_empty() => {
                Ok(Self { name: name.to_owned(), id: *id, bytes: bytes.to_vec() })
            }
            Some(_) | None => Err(wrong("the signature is too short")),
        }
    }
}

impl fmt::Display for Note {
    /// The note as it is stored and sent.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|signature| {
            let bytes = [signature.id.as_slice(), &signature.bytes].concat();
            writeln!(f, "— {} {}", signature.name, STANDARD.encode(bytes))
        })
    }
}

#[cfg(test)]
mod tests;
