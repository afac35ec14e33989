//! What a stranger needs to check our ledger: the tree, its proofs, its signed heads and its files.
//!
//! Everything here is pure, so that a browser, an auditor's laptop or the server can run the same code.
//! The formats are other people's on purpose (RFC 6962, C2SP signed note, checkpoint and tiles): a verifier
//! that nobody of us wrote must come to the same answer.
//!
//! A verifier pins an origin and a public key. No function here takes a key out of the artefact it checks.

pub mod checkpoint;
pub mod hash;
pub mod merkle;
pub mod note;
pub mod tile;

pub use checkpoint::{Checkpoint, CheckpointError};
pub use hash::{Hash, HashError};
pub use merkle::{
    Frontier, Node, Nodes, ProofError, consistency_proof, empty_root, inclusion_proof, leaf_hash, node_hash,
    root_of, verify_consistency, verify_inclusion,
};
pub use note::{Note, NoteError, VerifierKey};
pub use tile::{TileError, TilePath};
