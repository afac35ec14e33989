//! Credentials by reference: `env:NAME`, `file:/path`. Resolved at the moment of use, wiped when dropped.
//!
//! A text may hold references as `{secret:env:NAME}`; [`fill`] puts the values in.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use zeroize::Zeroizing;

/// The longest secret that is read from a file.
const SECRET_MAX_BYTES: u64 = 64 * 1024;

/// Where a secret is. Safe to print: it never holds the value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SecretRef {
    /// A variable of our environment.
    Env(String),
    /// A file; a line break at its end is not part of the secret.
    File(PathBuf),
}

/// What goes wrong with a secret. Names the reference, never the value.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The reference cannot be read.
    #[error("`{0}` is no secret reference; write `env:NAME` or `file:/path`")]
    NotAReference(String),
    /// An opening `{secret:` without its end.
    #[error("a secret reference in a template does not end; write `{{secret:env:NAME}}`")]
    Unclosed,
    /// The variable is not set, or empty.
    #[error("the secret `{0}` is not set; set the variable where AECL runs")]
    NotSet(SecretRef),
    /// The value is not text, is too long or holds characters that no credential has.
    #[error("the secret `{0}` is not one line of text under 64 KiB")]
    NotText(SecretRef),
    /// The file cannot be read.
    #[error("the secret `{reference}` cannot be read: {source}")]
    Unreadable {
        /// Which one.
        reference: SecretRef,
        /// What the operating system said.
        source: std::io::Error,
    },
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

impl FromStr for SecretRef {
    type Err = VaultError;

    fn from_str(text: &str) -> Result<Self, VaultError> {
        let known = match text.split_once(':') {
            Some(("env", name)) if is_variable_name(name) => Some(Self::Env(name.to_owned())),
            Some(("file", path)) if path.starts_with('/') => Some(Self::File(PathBuf::from(path))),
            _ => None,
        };
        known.ok_or_else(|| VaultError::NotAReference(text.to_owned()))
    }
}

fn is_variable_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

impl SecretRef {
    /// The secret itself. Wiped when dropped; never log it.
    ///
    /// # Errors
    /// When it is not there, or is not one line of text.
    pub fn resolve(&self) -> Result<Zeroizing<String>, VaultError> {
        let value = match self {
            Self::Env(name) => {
                Zeroizing::new(std::env::var(name).map_err(|_| VaultError::NotSet(self.clone()))?)
            }
            Self::File(path) => {
                let unreadable = |source| VaultError::Unreadable { reference: self.clone(), source };
                let metadata = std::fs::metadata(path).map_err(unreadable)?;
                // A FIFO or a device would block or never end.
                if !metadata.is_file() || metadata.len() > SECRET_MAX_BYTES {
                    return Err(VaultError::NotText(self.clone()));
                }
                let bytes = Zeroizing::new(std::fs::read(path).map_err(unreadable)?);
                let text = std::str::from_utf8(&bytes).map_err(|_| VaultError::NotText(self.clone()))?;
                Zeroizing::new(text.trim_end_matches(['\n', '\r']).to_owned())
            }
        };
        if value.is_empty() {
            return Err(VaultError::NotSet(self.clone()));
        }
        if value.chars().any(char::is_control) {
            return Err(VaultError::NotText(self.clone()));
        }
        Ok(value)
    }
}

/// The text with every `{secret:…}` replaced by its value.
///
/// # Errors
/// When a reference is malformed or its secret is missing.
pub fn fill(text: &str) -> Result<Zeroizing<String>, VaultError> {
    let mut filled = Zeroizing::new(String::with_capacity(text.len() + 64));
    each_part(text, |part| {
        match part {
            Part::Text(text) => filled.push_str(text),
            Part::Secret(reference) => {
                let value = reference.resolve()?;
                // Grown by hand: `String` would leave its old buffer, with secrets, unwiped.
                if filled.capacity() - filled.len() < value.len() {
                    let mut larger =
                        Zeroizing::new(String::with_capacity(filled.len() + value.len() + text.len()));
                    larger.push_str(&filled);
                    filled = larger;
                }
                filled.push_str(&value);
            }
        }
        Ok(())
    })?;
    Ok(filled)
}

/// The references in a text, in order; for checking a configuration before anything runs.
///
/// # Errors
/// When a reference is malformed.
pub fn references(text: &str) -> Result<Vec<SecretRef>, VaultError> {
    let mut found = Vec::new();
    each_part(text, |part| {
        if let Part::Secret(reference) = part {
            found.push(reference);
        }
        Ok(())
    })?;
    Ok(found)
}

enum Part<'a> {
    Text(&'a str),
    Secret(SecretRef),
}

fn each_part<'a>(
    mut text: &'a str,
    mut take: impl FnMut(Part<'a>) -> Result<(), VaultError>,
) -> Result<(), VaultError> {
    while let Some((before, after)) = text.split_once("{secret:") {
        let (reference, rest) = after.split_once('}').ok_or(VaultError::Unclosed)?;
        take(Part::Text(before))?;
        take(Part::Secret(reference.parse()?))?;
        text = rest;
    }
    take(Part::Text(text))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use std::io::Write as _;

    #[test]
    fn references_are_read_strictly() {
        for good in ["env:TOKEN", "file:/run/secrets/token"] {
            assert_eq!(good.parse::<SecretRef>().unwrap().to_string(), good);
        }
        for bad in ["", "env:", "env:A B", "file:relative", "vault:x", "TOKEN", "env:A}"] {
            assert!(bad.parse::<SecretRef>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_text_is_filled_and_an_error_names_the_reference_only() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(file, "s3cret").unwrap();
        let text = format!("Bearer {{secret:file:{}}}!", file.path().display());
        assert_eq!(*fill(&text).unwrap(), "Bearer s3cret!");
        let missing = fill("a {secret:env:AECL_TEST_NEVER_SET} b").unwrap_err().to_string();
        assert!(missing.contains("`env:AECL_TEST_NEVER_SET` is not set"), "{missing}");
        assert!(matches!(fill("{secret:env:A"), Err(VaultError::Unclosed)));
    }

    #[test]
    fn a_secret_of_two_lines_is_refused_without_being_shown() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        write!(file, "one\r\nX-Injected: two").unwrap();
        let error = SecretRef::File(file.path().into()).resolve().unwrap_err();
        assert!(!format!("{error} {error:?}").contains("Injected"));
    }
}
