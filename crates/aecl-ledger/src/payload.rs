//! Payloads: personal and large content stands beside the chain. The chain holds a salted commitment, so
//! content can be erased, cannot be guessed from the commitment, and cannot be exchanged.

use crate::error::LedgerError;
use crate::store::{PayloadRow, Store};
use aecl_kernel::base::digest::Digest;
use aecl_proof::Hash;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

/// Kind of a payload; part of its commitment, so that arguments never pass for an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PayloadKind {
    /// The canonical arguments of an action.
    Arguments,
    /// The output of an action.
    Output,
    /// Goal and plan of a run.
    Stated,
    /// The sources of a bundle.
    Bundle,
    /// Facts that no entry tells.
    Beside,
}

impl PayloadKind {
    fn path(self) -> &'static str {
        match self {
            PayloadKind::Arguments => "arguments",
            PayloadKind::Output => "output",
            PayloadKind::Stated => "stated",
            PayloadKind::Bundle => "bundle",
            PayloadKind::Beside => "beside",
        }
    }
}

/// `HMAC-SHA-256(salt, path ‖ 0 ‖ content)`.
pub fn commitment(salt: &[u8; 32], kind: PayloadKind, content: &[u8]) -> Digest {
    // A key of 32 bytes always fits: HMAC takes any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(salt) else { return Digest::from_bytes([0; 32]) };
    mac.update(kind.path().as_bytes());
    mac.update(&[0]);
    mac.update(content);
    Digest::from_bytes(mac.finalize().into_bytes().into())
}

/// The content behind a commitment in a store, checked against it.
pub fn payload(
    store: &mut dyn Store,
    kind: PayloadKind,
    digest: &Digest,
) -> Result<Option<Vec<u8>>, LedgerError> {
    let Some(row) = store.payload(&Hash(*digest.bytes()))? else { return Ok(None) };
    if commitment(&row.salt, kind, &row.content) != *digest {
        return Err(LedgerError::Tampered(format!(
            "the payload {} is not what was committed to",
            digest.short()
        )));
    }
    Ok(Some(row.content))
}

/// A payload with a fresh salt, and its commitment.
pub(crate) fn seal(
    kind: PayloadKind,
    content: Vec<u8>,
    subject: &str,
    salts: &mut Salts,
) -> (Digest, PayloadRow) {
    let salt = salts.next();
    let digest = commitment(&salt, kind, &content);
    (digest, PayloadRow { commitment: Hash(*digest.bytes()), salt, content, subject: subject.to_owned() })
}

/// Where salts come from.
pub(crate) enum Salts {
    /// The operating system, many at a time.
    Random {
        /// Fetched bytes.
        pool: Box<[u8; 2048]>,
        /// How many of them are used up.
        used: usize,
    },
    /// A counter: for the golden export, whose bytes must be the same each time.
    #[cfg(test)]
    Counted(u64),
}

impl Salts {
    pub(crate) fn new() -> Self {
        Self::Random { pool: Box::new([0; 2048]), used: 2048 }
    }

    fn next(&mut self) -> [u8; 32] {
        match self {
            Self::Random { pool, used } => {
                if *used + 32 > pool.len() {
                    // Without randomness nothing can be recorded safely; the operating system always has some.
                    getrandom::fill(&mut pool[..]).expect("the operating system gives random bytes");
                    *used = 0;
                }
                let mut salt = [0; 32];
                if let Some(fresh) = pool.get(*used..*used + 32) {
                    salt.copy_from_slice(fresh);
                }
                *used += 32;
                salt
            }
            #[cfg(test)]
            Self::Counted(count) => {
                *count += 1;
                *Digest::of(&count.to_be_bytes()).bytes()
            }
        }
    }
}
