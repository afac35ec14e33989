//! A change of one file: what it was, what it will be. The same form goes in, comes out of a caged program,
//! and takes a change back.

use aecl_kernel::digest::Digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::{Component, Path};

/// Longest path, in bytes.
const PATH_MAX: usize = 4096;

/// Changes, as arguments carry them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Changes {
    /// One for each file; the order means nothing.
    pub changes: Vec<Change>,
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// Where, below the root, with `/`.
    pub path: String,
    /// The digest of what is there; absent: nothing is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Digest>,
    /// What will be there; absent: nothing will be there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Content>,
}

/// A file's content: text where it is UTF-8, Base64 otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Content {
    /// The content as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The content in Base64, padded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base64: Option<String>,
    /// Whether it can be run. Absent: as the file before it, and not for a new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executable: Option<bool>,
}

impl Change {
    /// The digest of what will be there.
    #[must_use]
    pub fn digest_after(&self) -> Option<Digest> {
        self.after.as_ref().and_then(|content| content.bytes().ok()).map(|bytes| Digest::of(&bytes))
    }

    /// Whether it says that a file can be run, or cannot.
    #[must_use]
    pub fn is_mode(&self) -> bool {
        self.after.as_ref().is_some_and(|content| content.executable.is_some())
    }
}

impl Content {
    /// This content.
    #[must_use]
    pub fn of(bytes: Vec<u8>, executable: Option<bool>) -> Self {
        match String::from_utf8(bytes) {
            Ok(text) => Self { text: Some(text), base64: None, executable },
            Err(e) => Self { text: None, base64: Some(STANDARD.encode(e.as_bytes())), executable },
        }
    }

    fn bytes(&self) -> Result<Vec<u8>, &'static str> {
        match (&self.text, &self.base64) {
            (Some(text), None) => Ok(text.clone().into_bytes()),
            (None, Some(base64)) => STANDARD.decode(base64).map_err(|_| "its `base64` does not decode"),
            _ => Err("its `after` needs either `text` or `base64`"),
        }
    }
}

/// A change that was read: its path is plain, and it changes something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) path: String,
    pub(super) before: Option<Digest>,
    pub(super) after: Option<New>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct New {
    pub(super) bytes: Vec<u8>,
    pub(super) digest: Digest,
    pub(super) executable: Option<bool>,
}

/// Reads changes, or says which one is wrong and how.
pub(super) fn wanted(changes: Changes, files_max: usize, bytes_max: usize) -> Result<Vec<Wanted>, String> {
    if changes.changes.is_empty() {
        return Err("there is no change".into());
    }
    if changes.changes.len() > files_max {
        return Err(format!("{} files are more than the {files_max} allowed", changes.changes.len()));
    }
    let mut paths = BTreeSet::new();
    let mut left = bytes_max;
    let mut all = Vec::with_capacity(changes.changes.len());
    for change in changes.changes {
        let Change { path, before, after } = change;
        plain(&path).map_err(|why| format!("`{}` {why}", path.escape_debug()))?;
        let after = match after {
            None => None,
            Some(content) => {
                let bytes = content.bytes().map_err(|why| format!("`{path}`: {why}"))?;
                left = left
                    .checked_sub(bytes.len())
                    .ok_or_else(|| format!("the new content is more than the {bytes_max} bytes allowed"))?;
                let digest = Digest::of(&bytes);
                Some(New { bytes, digest, executable: content.executable })
            }
        };
        let same = before == after.as_ref().map(|new| new.digest);
        if same && after.as_ref().is_none_or(|new| new.executable.is_none()) {
            return Err(format!("`{path}` would stay as it is"));
        }
        if !paths.insert(path.clone()) {
            return Err(format!("`{path}` stands twice"));
        }
        all.push(Wanted { path, before, after });
    }
    Ok(all)
}

/// Whether a path is written in the one way in which it is shown: no `..`, no `//`, nothing that hides.
fn plain(path: &str) -> Result<(), &'static str> {
    let hides = |c: char| c.is_control() || matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
    if path.is_empty() || path.len() > PATH_MAX {
        return Err("must be of 1 to 4,096 bytes");
    }
    if path.contains('\\') || path.chars().any(hides) {
        return Err("has a character that does not belong into a path");
    }
    let parts: Vec<_> = Path::new(path).components().collect();
    let normal = parts.iter().all(|part| matches!(part, Component::Normal(_)));
    let spelled: Vec<_> = parts.iter().map(|part| part.as_os_str().to_string_lossy()).collect();
    if !normal || spelled.join("/") != path {
        return Err("must be a plain path below the root, such as `src/main.rs`");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(changes: &serde_json::Value) -> Result<Vec<Wanted>, String> {
        wanted(serde_json::from_value(changes.clone()).map_err(|e| e.to_string())?, 3, 10)
    }

    #[test]
    fn a_change_that_is_not_plain_is_refused_by_name() {
        let one = |path: &str| serde_json::json!({ "changes": [{ "path": path, "after": { "text": "x" } }] });
        for path in ["a", "a/b.c", ".hidden", "ä/b c"] {
            assert!(read(&one(path)).is_ok(), "{path}");
        }
        for path in ["", "/a", "../a", "a/../b", "./a", "a//b", "a/", "a\\b", "a\nb", "a\u{202e}b", "a\0b"] {
            assert!(read(&one(path)).is_err(), "{path:?}");
        }
        for (changes, why) in [
            (r#"[]"#, "no change"),
            (r#"[{"path":"a"}]"#, "stay as it is"),
            (r#"[{"path":"a","after":{}}]"#, "either"),
            (r#"[{"path":"a","after":{"text":"x","base64":"eA=="}}]"#, "either"),
            (r#"[{"path":"a","after":{"base64":"%"}}]"#, "decode"),
            (r#"[{"path":"a","after":{"text":"x"}},{"path":"a","after":{"text":"y"}}]"#, "twice"),
            (r#"[{"path":"a","after":{"text":"01234567890"}}]"#, "10 bytes"),
            (r#"[{"path":"a","after":{"text":"x"},"mode":1}]"#, "unknown field"),
        ] {
            let changes: serde_json::Value = serde_json::from_str(changes).unwrap();
            let error = read(&serde_json::json!({ "changes": changes })).unwrap_err();
            assert!(error.contains(why), "{error} / {why}");
        }
    }

    #[test]
    fn content_is_text_where_it_can_be() {
        assert_eq!(Content::of(b"a".to_vec(), None).text.as_deref(), Some("a"));
        let binary = Content::of(vec![0xff, 0], Some(true));
        assert_eq!((binary.text.as_deref(), binary.bytes().unwrap()), (None, vec![0xff, 0]));
    }
}
