//! A change of one file: what it was, what it will be. The same form goes in, comes out of a caged program,
//! and takes a change back.

use aecl_kernel::base::digest::Digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Component, Path};

use super::special::is_ignored;
use crate::root_dir::PathState;

/// Longest path, in bytes.
const PATH_MAX: usize = 4096;

/// Changes, as arguments carry them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Changes {
    /// One for each file; the order means nothing.
    pub changes: Vec<Change>,
}

/// One file, link or directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// Where, below the root, with `/`.
    pub path: String,
    /// The digest of what is there: of a file's content, of a link's target. Absent: nothing is there, or a directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Digest>,
    /// What is there where it is no file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub was: Option<FormerKind>,
    /// What will be there; absent: nothing will be there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Content>,
}

/// Kind of what is there where it is no file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FormerKind {
    /// A symbolic link; `before` is the digest of its target.
    Link,
    /// A directory, which is empty when the other changes are made.
    Directory,
}

/// A file's content: text where it is UTF-8, Base64 otherwise. Or a link, or a directory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Content {
    /// The content as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The content in Base64, padded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base64: Option<String>,
    /// A symbolic link with this target, which nobody follows here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// `true`: a directory.
    #[serde(default, skip_serializing_if = "is_false")]
    pub directory: bool,
    /// Whether it can be run. Absent: as the file before it, and not for a new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executable: Option<bool>,
    /// Its permissions, in octal: `"0600"`. Absent: as before, and what is usual for a new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_false(value: &bool) -> bool {
    !*value
}

impl Change {
    /// The change that puts this content where nothing is.
    #[must_use]
    pub fn created(path: String, after: Content) -> Self {
        Self { path, before: None, was: None, after: Some(after) }
    }
}

impl Content {
    /// This content.
    #[must_use]
    pub fn of(bytes: Vec<u8>, executable: Option<bool>) -> Self {
        match String::from_utf8(bytes) {
            Ok(text) => Self { text: Some(text), executable, ..Self::default() },
            Err(e) => Self { base64: Some(STANDARD.encode(e.as_bytes())), executable, ..Self::default() },
        }
    }

    /// A link with this target.
    #[must_use]
    pub fn link_to(target: String) -> Self {
        Self { link: Some(target), ..Self::default() }
    }

    /// A directory.
    #[must_use]
    pub fn a_directory() -> Self {
        Self { directory: true, ..Self::default() }
    }

    /// The same with these permissions.
    #[must_use]
    pub fn with_mode(self, mode: u32) -> Self {
        Self { mode: Some(format!("{:04o}", mode & 0o777)), executable: None, ..self }
    }

    fn read(self) -> Result<New, &'static str> {
        let mode = self.mode.as_deref().map(mode_of).transpose()?;
        let kind = match (self.text, self.base64, self.link, self.directory) {
            (Some(text), None, None, false) => NewKind::file(text.into_bytes()),
            (None, Some(base64), None, false) => {
                NewKind::file(STANDARD.decode(base64).map_err(|_| "its `base64` does not decode")?)
            }
            (None, None, Some(target), false) => {
                let is_plain = (1..=PATH_MAX).contains(&target.len()) && !target.chars().any(hides);
                if !is_plain || mode.is_some() || self.executable.is_some() {
                    return Err(
                        "its `link` must be a target of 1 to 4,096 bytes that hides nothing, without a mode",
                    );
                }
                NewKind::Link(target)
            }
            (None, None, None, true) if self.executable.is_none() => NewKind::Directory,
            _ => return Err("its `after` needs either `text`, `base64`, `link` or `directory: true`"),
        };
        if mode.is_some() && self.executable.is_some() {
            return Err("its `after` has both `mode` and `executable`; say one");
        }
        Ok(New { kind, executable: self.executable, mode })
    }
}

fn mode_of(said: &str) -> Result<u32, &'static str> {
    let mode = u32::from_str_radix(said, 8).ok().filter(|mode| *mode <= 0o777);
    mode.ok_or("its `mode` must be permissions in octal from 0000 to 0777, such as `0644`")
}

/// A change that was read: its path is plain, and it changes something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) path: String,
    pub(super) before: Before,
    pub(super) after: Option<New>,
}

/// What a change expects to find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Before {
    Nothing,
    File(Digest),
    Link(Digest),
    Directory,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct New {
    pub(super) kind: NewKind,
    pub(super) executable: Option<bool>,
    pub(super) mode: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NewKind {
    File { bytes: Vec<u8>, digest: Digest },
    Link(String),
    Directory,
}

impl New {
    /// Whether what is there has the permissions that it was to get.
    pub(super) fn is_mode_of(&self, there: &PathState) -> bool {
        let Some(now) = there.identity().map(|now| now.mode & 0o777) else { return true };
        self.mode.is_none_or(|mode| mode == now)
            && self.executable.is_none_or(|executable| executable == (now & 0o111 != 0))
    }
}

impl NewKind {
    fn file(bytes: Vec<u8>) -> Self {
        Self::File { digest: Digest::of(&bytes), bytes }
    }

    /// How the next change would expect to find it.
    pub(super) fn as_before(&self) -> Before {
        match self {
            Self::File { digest, .. } => Before::File(*digest),
            Self::Link(target) => Before::Link(Digest::of(target.as_bytes())),
            Self::Directory => Before::Directory,
        }
    }
}

impl Before {
    fn of(before: Option<Digest>, was: Option<FormerKind>) -> Result<Self, &'static str> {
        match (was, before) {
            (None, None) => Ok(Self::Nothing),
            (None, Some(digest)) => Ok(Self::File(digest)),
            (Some(FormerKind::Link), Some(digest)) => Ok(Self::Link(digest)),
            (Some(FormerKind::Link), None) => Err("was a link, so `before` is the digest of its target"),
            (Some(FormerKind::Directory), None) => Ok(Self::Directory),
            (Some(FormerKind::Directory), Some(_)) => Err("was a directory, which has no digest"),
        }
    }

    /// As a change carries it.
    pub(super) fn said(self) -> (Option<Digest>, Option<FormerKind>) {
        match self {
            Self::Nothing => (None, None),
            Self::File(digest) => (Some(digest), None),
            Self::Link(digest) => (Some(digest), Some(FormerKind::Link)),
            Self::Directory => (None, Some(FormerKind::Directory)),
        }
    }
}

/// Reads changes, or says which one is wrong and how.
pub(super) fn wanted(changes: Changes, files_max: usize, bytes_max: usize) -> Result<Vec<Wanted>, String> {
    if changes.changes.is_empty() {
        return Err("there is no change".into());
    }
    if changes.changes.len() > files_max {
        return Err(format!("{} files are more than the {files_max} allowed", changes.changes.len()));
    }
    let mut left = bytes_max;
    let (mut all, mut by_path) = (Vec::with_capacity(changes.changes.len()), BTreeMap::new());
    for change in changes.changes {
        let Change { path, before, was, after } = change;
        plain(&path).map_err(|why| format!("`{}` {why}", path.escape_debug()))?;
        let before = Before::of(before, was).map_err(|why| format!("`{path}` {why}"))?;
        let after = after.map(Content::read).transpose().map_err(|why| format!("`{path}`: {why}"))?;
        if let Some(New { kind: NewKind::File { bytes, .. }, .. }) = &after {
            left = left
                .checked_sub(bytes.len())
                .ok_or_else(|| format!("the new content is more than the {bytes_max} bytes allowed"))?;
        }
        let same = before == after.as_ref().map_or(Before::Nothing, |new| new.kind.as_before());
        if same && after.as_ref().is_none_or(|new| new.executable.is_none() && new.mode.is_none()) {
            return Err(format!("`{path}` would stay as it is"));
        }
        if by_path.insert(path.clone(), all.len()).is_some() {
            return Err(format!("`{path}` stands twice"));
        }
        all.push(Wanted { path, before, after });
    }
    contradictions(&all, &by_path)?;
    Ok(all)
}

/// Whether something is to be in what will be no directory.
fn contradictions(all: &[Wanted], by_path: &BTreeMap<String, usize>) -> Result<(), String> {
    for wanted in all.iter().filter(|wanted| wanted.after.is_some()) {
        for (at, _) in wanted.path.match_indices('/') {
            let above = wanted.path.get(..at).and_then(|above| all.get(*by_path.get(above)?));
            let stays = above.is_none_or(|above| match &above.after {
                Some(new) => new.kind == NewKind::Directory,
                // Whoever takes a file away may make a directory of its name by putting something into it.
                None => above.before != Before::Directory,
            });
            if !stays {
                return Err(format!("`{}` is to be in what will be no directory", wanted.path));
            }
        }
    }
    Ok(())
}

/// What does not belong into a path: it would not be seen, or be seen as something else.
fn hides(c: char) -> bool {
    c.is_control() || is_ignored(c)
}

/// Whether a path is written in the one way in which it is shown: no `..`, no `//`, nothing that hides.
pub(crate) fn plain(path: &str) -> Result<(), &'static str> {
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
    // Ours, while changes are made.
    if spelled.iter().any(|part| part.starts_with(OURS)) {
        return Err("begins with `.aecl-change-`, which is kept for files that are being changed");
    }
    Ok(())
}

/// How the names begin of what is on its way to its place.
pub(super) const OURS: &str = ".aecl-change-";

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
        for path in [
            "",
            "/a",
            "../a",
            "a/../b",
            "./a",
            "a//b",
            "a/",
            "a\\b",
            "a\nb",
            "a\u{202e}b",
            "a\u{200b}b",
            "a\0b",
            "d/.aecl-change-1",
        ] {
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
            (r#"[{"path":"a","after":{"text":"x","mode":"4755"}}]"#, "0000 to 0777"),
            (r#"[{"path":"a","after":{"text":"x","link":"b"}}]"#, "either"),
            (r#"[{"path":"a","was":"link","after":{"text":"x"}}]"#, "digest of its target"),
            (r#"[{"path":"a","after":{"link":"\u202ex"}}]"#, "hides nothing"),
            (r#"[{"path":"a","after":{"text":""}},{"path":"a/b","after":{"text":""}}]"#, "no directory"),
            (r#"[{"path":"a","was":"directory"},{"path":"a/b","after":{"text":""}}]"#, "no directory"),
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
        assert_eq!(binary.text, None);
        assert_eq!(binary.read().unwrap().kind, NewKind::file(vec![0xff, 0]));
    }
}
