//! The signed head of a ledger: origin, size, root (C2SP `tlog-checkpoint`, without extension lines).

use super::{Hash, Note, NoteError, VerifierKey, note::SigningKey};
use std::fmt;
use std::str::FromStr;

/// Checkpoint of a ledger: which one, how many entries, and the root over them.
///
/// ```
/// use aecl_proof::{Checkpoint, VerifierKey, empty_root, note::SigningKey};
/// let key = SigningKey::from_bytes(&[7; 32]); // from the operating system, outside an example
/// let signed = Checkpoint::new("ledger.example/acme", 0, empty_root())?.sign(&key)?;
/// let pinned = VerifierKey::new("ledger.example/acme", key.verifying_key())?;
/// assert_eq!(Checkpoint::open(&signed, "ledger.example/acme", &pinned)?.size(), 0);
/// # Ok::<(), aecl_proof::CheckpointError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    origin: String,
    size: u64,
    root: Hash,
}

/// Errors of what is not a checkpoint, or not the one that was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// The text is not origin, size and root.
    #[error("not a checkpoint: {0}")]
    Malformed(&'static str),
    /// The checkpoint is about another ledger.
    #[error("a checkpoint of `{found}`, not of `{expected}`")]
    Origin {
        /// The pinned origin.
        expected: String,
        /// What the checkpoint says.
        found: String,
    },
    /// The note around the checkpoint does not hold.
    #[error(transparent)]
    Note(#[from] NoteError),
}

impl Checkpoint {
    /// A head. The origin is one line that is not empty.
    pub fn new(origin: impl Into<String>, size: u64, root: Hash) -> Result<Self, CheckpointError> {
        let origin = origin.into();
        if origin.is_empty() || origin.contains(|c: char| c.is_control()) {
            return Err(CheckpointError::Malformed("the origin is empty or has a control character"));
        }
        Ok(Self { origin, size, root })
    }

    /// The signed note, with the origin as key name.
    pub fn sign(&self, key: &SigningKey) -> Result<String, CheckpointError> {
        let mut note = Note::new(self.to_string())?;
        note.sign(&self.origin, key)?;
        Ok(note.to_string())
    }

    /// Reads a signed checkpoint of the pinned origin, signed by the pinned key.
    pub fn open(signed: &str, origin: &str, key: &VerifierKey) -> Result<Self, CheckpointError> {
        let checkpoint: Self = Note::parse(signed)?.verify(key)?.parse()?;
        if checkpoint.origin != origin {
            return Err(CheckpointError::Origin { expected: origin.to_owned(), found: checkpoint.origin });
        }
        Ok(checkpoint)
    }

    /// The ledger that this is the head of.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Number of entries.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The root over them.
    pub fn root(&self) -> Hash {
        self.root
    }
}

impl fmt::Display for Checkpoint {
    /// The text that is signed: three lines.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}\n{}", self.origin, self.size, self.root.to_base64())
    }
}

impl FromStr for Checkpoint {
    type Err = CheckpointError;

    /// Reads the text that is signed. Each checkpoint has one spelling; extension lines are refused.
    fn from_str(text: &str) -> Result<Self, CheckpointError> {
        let malformed = CheckpointError::Malformed;
        let text = text.strip_suffix('\n').ok_or(malformed("it does not end with a newline"))?;
        let mut lines = text.split('\n');
        let (Some(origin), Some(size), Some(root), None) =
            (lines.next(), lines.next(), lines.next(), lines.next())
        else {
            return Err(malformed("it has not exactly three lines"));
        };
        let number: u64 = size.parse().map_err(|_| malformed("the size is not a number"))?;
        if number.to_string() != size {
            return Err(malformed("the size has a sign or leading zeroes"));
        }
        let root = Hash::from_base64(root).map_err(|_| malformed("the root is not a hash in base64"))?;
        Self::new(origin, number, root)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ORIGIN: &str = "example.com/behind-the-sofa";
    const TEXT: &str =
        "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";

    fn key() -> SigningKey {
        SigningKey::from_bytes(&[3; 32])
    }

    fn pinned() -> VerifierKey {
        VerifierKey::new(ORIGIN, key().verifying_key()).unwrap()
    }

    #[test]
    fn the_text_is_that_of_the_specification() {
        let checkpoint: Checkpoint = TEXT.parse().unwrap();
        assert_eq!((checkpoint.origin(), checkpoint.size()), (ORIGIN, 20_852_163));
        assert_eq!(checkpoint.to_string(), TEXT);
        let signed = checkpoint.sign(&key()).unwrap();
        assert_eq!(Checkpoint::open(&signed, ORIGIN, &pinned()), Ok(checkpoint));
    }

    #[test]
    fn only_the_pinned_origin_opens() {
        let mut note = Note::new(TEXT).unwrap();
        note.sign("witness.example", &key()).unwrap();
        let witness = VerifierKey::new("witness.example", key().verifying_key()).unwrap();
        let signed = note.to_string();
        assert!(Checkpoint::open(&signed, ORIGIN, &witness).is_ok());
        assert_eq!(
            Checkpoint::open(&signed, "example.com", &witness).unwrap_err().to_string(),
            "a checkpoint of `example.com/behind-the-sofa`, not of `example.com`"
        );
        assert!(matches!(
            Checkpoint::open(&signed, ORIGIN, &pinned()),
            Err(CheckpointError::Note(NoteError::NotSigned(_)))
        ));
    }

    #[test]
    fn every_other_spelling_is_refused() {
        let cases = [
            "".to_owned(),
            TEXT.trim_end().to_owned(),
            format!("{TEXT}extension\n"),
            format!("{TEXT}\n"),
            format!("\n{TEXT}"),
            TEXT.replace(ORIGIN, ""),
            TEXT.replace('\n', "\r\n"),
            TEXT.replace("20852163", "020852163"),
            TEXT.replace("20852163", "+20852163"),
            TEXT.replace("20852163", "-1"),
            TEXT.replace("20852163", "18446744073709551616"),
            TEXT.replace("q2I=", "q2I"),
            TEXT.replace("q2I=", "q2J="),
            TEXT.replace("q2I=", ""),
        ];
        for case in &cases {
            assert!(case.parse::<Checkpoint>().is_err(), "{case}");
        }
    }

    proptest! {
        #[test]
        fn every_checkpoint_reads_back(size: u64, root: [u8; 32]) {
            let checkpoint = Checkpoint::new(ORIGIN, size, Hash(root)).unwrap();
            prop_assert_eq!(checkpoint.to_string().parse(), Ok(checkpoint));
        }

        #[test]
        fn a_flipped_byte_breaks_the_checkpoint(at: usize, bits in 1u8..) {
            let mut bytes = TEXT.parse::<Checkpoint>().unwrap().sign(&key()).unwrap().into_bytes();
            let at = at % bytes.len();
            bytes[at] ^= bits;
            let opened = String::from_utf8(bytes)
                .is_ok_and(|signed| Checkpoint::open(&signed, ORIGIN, &pinned()).is_ok());
            prop_assert!(!opened);
        }
    }
}
