//! The name of bytes by what they are.

use std::fmt;

#[cfg(any(native_cage, test))]
use sha2::{Digest as _, Sha256};

use super::ImageError;

/// A SHA-256, written as `sha256:` and 64 hexadecimal digits in lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageDigest(String);

const PREFIX: &str = "sha256:";

impl ImageDigest {
    /// Reads one.
    ///
    /// # Errors
    /// When the text is none, or one of another kind.
    pub fn parse(text: &str) -> Result<Self, ImageError> {
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        match text.strip_prefix(PREFIX) {
            Some(hex) if hex.len() == 64 && hex.bytes().all(is_digit) => Ok(Self(text.to_owned())),
            Some(_) | None => {
                let text = text.chars().take(200).flat_map(char::escape_debug).collect();
                Err(ImageError::NoDigest { text })
            }
        }
    }

    /// Its digits.
    #[must_use]
    pub fn hex(&self) -> &str {
        self.0.strip_prefix(PREFIX).unwrap_or_default()
    }

    /// Of these bytes.
    #[cfg(any(native_cage, test))]
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self::finish(Sha256::new_with_prefix(bytes))
    }

    /// Of everything that this hash was given.
    #[cfg(any(native_cage, test))]
    pub(super) fn finish(hash: Sha256) -> Self {
        Self(hash.finalize().iter().fold(PREFIX.to_owned(), |text, byte| text + &format!("{byte:02x}")))
    }
}

impl fmt::Display for ImageDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_written_in_one_way() {
        let known = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(ImageDigest::of(b"").to_string(), known);
        assert_eq!(ImageDigest::parse(known).map(|d| d.to_string()).ok().as_deref(), Some(known));
        for wrong in [
            "",
            "latest",
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "sha256:E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855",
            "sha256:e3b0",
            "sha256:../../../../../../../../../../../../../../../../../../../../../etc",
            "sha512:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        ] {
            assert!(ImageDigest::parse(wrong).is_err(), "{wrong}");
        }
    }
}
