//! How a secret is named. A reference says where the value is and never holds it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::VaultError;
use super::store::is_name;

/// Reference to a secret. Safe to print: it never holds the value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SecretRef {
    /// A variable of our environment.
    Env(String),
    /// A file; a line break at its end is not part of the secret.
    File(PathBuf),
    /// An entry of the encrypted store, by its name.
    Stored(String),
    /// A field of what lies at a path of the vault over HTTP; the path begins with its mount.
    Remote {
        /// Mount and path, such as `secret/team/app`.
        path: String,
        /// The field, such as `password`.
        field: String,
    },
    /// The token of the log-in at a server. Only a name for what is scrubbed: no text is read as one.
    Login(String),
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Stored(name) => write!(f, "secret:{name}"),
            Self::Remote { path, field } => write!(f, "vault:{path}#{field}"),
            Self::Login(server) => write!(f, "login:{server}"),
        }
    }
}

impl FromStr for SecretRef {
    type Err = VaultError;

    fn from_str(text: &str) -> Result<Self, VaultError> {
        let known = match text.split_once(':') {
            Some(("env", name)) if is_variable_name(name) => Some(Self::Env(name.to_owned())),
            Some(("file", path)) if path.starts_with('/') => Some(Self::File(PathBuf::from(path))),
            Some(("secret", name)) if is_name(name) => Some(Self::Stored(name.to_owned())),
            Some(("vault", place)) => remote(place),
            _ => None,
        };
        known.ok_or_else(|| VaultError::NotAReference(text.to_owned()))
    }
}

fn remote(place: &str) -> Option<SecretRef> {
    let (path, field) = place.split_once('#')?;
    let fits = path.contains('/') && is_path(path) && is_segment(field);
    fits.then(|| SecretRef::Remote { path: path.to_owned(), field: field.to_owned() })
}

/// Whether it is a path of plain segments, which no reader takes for another one.
pub(super) fn is_path(path: &str) -> bool {
    path.len() <= 512 && path.split('/').all(is_segment)
}

fn is_segment(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    !matches!(text, "" | "." | "..") && text.bytes().all(plain)
}

fn is_variable_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// A piece of a text that may hold `{secret:…}`.
pub enum Part<'a> {
    /// As it stands.
    Text(&'a str),
    /// What is put in there.
    Secret(SecretRef),
}

/// The text in its pieces, in order.
pub(super) fn parts(mut text: &str) -> Result<Vec<Part<'_>>, VaultError> {
    let mut found = Vec::new();
    while let Some((before, after)) = text.split_once("{secret:") {
        let (reference, rest) = after.split_once('}').ok_or(VaultError::Unclosed)?;
        found.push(Part::Text(before));
        found.push(Part::Secret(reference.parse()?));
        text = rest;
    }
    found.push(Part::Text(text));
    Ok(found)
}

/// The references in a text, in order; for checking a configuration before anything runs.
///
/// # Errors
/// When a reference is malformed.
pub fn references(text: &str) -> Result<Vec<SecretRef>, VaultError> {
    let secrets = parts(text)?.into_iter().filter_map(|part| match part {
        Part::Text(_) => None,
        Part::Secret(reference) => Some(reference),
    });
    Ok(secrets.collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn references_are_read_strictly() {
        for good in [
            "env:TOKEN",
            "file:/run/secrets/token",
            "secret:finance/stripe.key-1",
            "vault:kv/team/app#api_key",
        ] {
            assert_eq!(good.parse::<SecretRef>().unwrap().to_string(), good);
        }
        for bad in [
            "",
            "env:",
            "env:A B",
            "file:relative",
            "vault:x",
            "TOKEN",
            "env:A}",
            "secret:",
            "secret:/x",
            "secret:a b",
            "secret:ä",
            "secret:..",
            "Secret:a",
            "vault:kv#a",
            "vault:kv/a",
            "vault:kv/a#",
            "vault:kv/../sys#a",
            "vault:/kv/a#b",
            "vault:kv//a#b",
            "vault:kv/a%2fb#c",
            "vault:kv/a#b#c",
            "vault:kv/a?x#b",
            "login:tracker",
        ] {
            assert!(bad.parse::<SecretRef>().is_err(), "{bad}");
        }
    }
}
