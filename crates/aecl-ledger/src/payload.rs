//! Payloads: personal and large content stands beside the chain. The chain holds a salted commitment, so
//! content can be erased, cannot be guessed from the commitment, and cannot be exchanged.

use crate::store::PayloadRow;
use aecl_kernel::digest::Digest;
use aecl_kernel::proof::Hash;
use serde::{Deserialize, Serialize};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// What a payload is; part of its commitment, so that arguments never pass for an output.
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
}

impl PayloadKind {
    fn path(self) -> &'static str {
        match self {
            PayloadKind::Arguments => "arguments",
            PayloadKind::Output => "output",
            PayloadKind::Stated => "stated",
            PayloadKind::Bundle => "bundle",
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

/// Random salts, fetched from the operating system many at a time.
pub(crate) struct Salts {
    pool: [u8; 2048],
    used: usize,
}

impl Salts {
    pub(crate) fn new() -> Self {
        Self { pool: [0; 2048], used: 2048 }
    }

    fn next(&mut self) -> [u8; 32] {
        if self.used + 32 > self.pool.len() {
            // Without randomness nothing can be recorded safely; the operating system always has some.
            getrandom::fill(&mut self.pool).expect("the operating system gives random bytes");
            self.used = 0;
        }
        let mut salt = [0; 32];
        if let Some(fresh) = self.pool.get(self.used..self.used + 32) {
            salt.copy_from_slice(fresh);
        }
        self.used += 32;
        salt
    }
}
