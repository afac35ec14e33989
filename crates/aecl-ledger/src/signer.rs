//! Who signs what is on record.

use crate::error::LedgerError;
use aecl_proof::VerifierKey;
use ed25519_dalek::SigningKey;

/// Signer of heads.
pub struct Signer {
    /// The name of the ledger, such as `example.com/aecl`.
    pub origin: String,
    /// The key for checkpoints; used for nothing else.
    pub key: SigningKey,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signer({})", self.origin)
    }
}

impl Signer {
    /// The key that verifies, as auditors pin it.
    pub fn verifier(&self) -> Result<VerifierKey, LedgerError> {
        VerifierKey::new(&self.origin, self.key.verifying_key())
            .map_err(|e| LedgerError::Tampered(e.to_string()))
    }
}
