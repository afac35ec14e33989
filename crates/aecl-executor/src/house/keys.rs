//! Our own keys in what comes in and goes out: taken out before anything is judged, recorded or handed on. A tool may have
//! read them in a way that nobody has seen.
//!
//! Keys of people and programs are known by their prefix and form. Of the files in `keys/` each line is known by itself,
//! since JSON and logs break lines in their own ways. The work is one pass for each of a handful of lines.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::sync::{PoisonError, RwLock};

/// How keys begin that `aecl` hands out, and how many characters follow: 32 random bytes in base64.
const PREFIXES: [&str; 3] = ["aecl_p_", "aecl_o_", "aecl_w_"];
const RANDOM_CHARS: usize = 43;
/// What stands instead.
const INSTEAD: &str = "[key of AECL]";
/// A shorter line is no secret, or part of innocent words. `-----BEGIN PRIVATE KEY-----` is a name.
const LINE_MIN: usize = 32;
const FILES_MAX: usize = 64;
const FILE_MAX_BYTES: u64 = 16 << 10;

static LINES: RwLock<BTreeSet<String>> = RwLock::new(BTreeSet::new());

/// Learns the keys of a home.
pub(super) fn learn(home: &Path) {
    let files = fs::read_dir(home.join("keys")).into_iter().flatten().flatten().take(FILES_MAX);
    let mut lines = LINES.write().unwrap_or_else(PoisonError::into_inner);
    for file in files {
        let mut text = String::new();
        let opened = fs::File::open(file.path()).map(|file| file.take(FILE_MAX_BYTES));
        // What is no text is no key of ours.
        if opened.and_then(|mut file| file.read_to_string(&mut text)).is_ok() {
            let secret = |line: &&str| line.len() >= LINE_MIN && !line.starts_with("-----");
            lines.extend(text.lines().map(str::trim).filter(secret).map(str::to_owned));
        }
    }
}

/// The text without our keys.
#[must_use]
pub fn without_keys(text: &str) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(text);
    for prefix in PREFIXES {
        if text.contains(prefix) {
            text = Cow::Owned(without(&text, prefix));
        }
    }
    let lines = LINES.read().unwrap_or_else(PoisonError::into_inner);
    for line in lines.iter() {
        if text.contains(line.as_str()) {
            text = Cow::Owned(text.replace(line.as_str(), INSTEAD));
        }
    }
    text
}

/// Bytes without our keys; the same ones if there are none in them.
#[must_use]
pub fn bytes_without_keys(bytes: Vec<u8>) -> Vec<u8> {
    match std::str::from_utf8(&bytes) {
        Ok(text) => match without_keys(text) {
            Cow::Borrowed(_) => bytes,
            Cow::Owned(clean) => clean.into_bytes(),
        },
        // Whatever it is, keys in it are text.
        Err(_) => bytes.utf8_chunks().fold(Vec::with_capacity(bytes.len()), |mut clean, chunk| {
            clean.extend_from_slice(without_keys(chunk.valid()).as_bytes());
            clean.extend_from_slice(chunk.invalid());
            clean
        }),
    }
}

fn without(text: &str, prefix: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(prefix) {
        let (before, key) = rest.split_at(at);
        clean.push_str(before);
        let body = key.get(prefix.len()..).unwrap_or_default();
        let random =
            body.bytes().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')).count();
        if random >= RANDOM_CHARS {
            clean.push_str(INSTEAD);
            rest = body.get(RANDOM_CHARS..).unwrap_or_default();
        } else {
            clean.push_str(prefix);
            rest = body;
        }
    }
    clean.push_str(rest);
    clean
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn our_keys_are_found_in_every_text_and_nothing_else_is() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("keys")).unwrap();
        let line = "MC4CAQAwBQYDK2VwBCIEIKq3vTg9Wf0c1Qm8Xo5dXn2bRkz4mT7uYh6sPpLJeA1B";
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{line}\n-----END PRIVATE KEY-----\n");
        fs::write(dir.path().join("keys/ledger.pem"), &pem).unwrap();
        fs::write(dir.path().join("keys/raw"), [0xff, 0xfe]).unwrap();
        learn(dir.path());
        let key = format!("aecl_p_{}", "a-Z_".repeat(10) + "xyz");
        let orchestrators = key.replace("_p_", "_o_");
        let json = serde_json::json!({ "text": format!("{pem}{key}"), "more": [orchestrators] }).to_string();
        for text in [&key, &format!("x{key}y"), &pem, &json, &serde_json::json!(json).to_string()] {
            let clean = without_keys(text);
            assert!(
                clean.contains(INSTEAD) && !clean.contains("a-Z_a-Z_") && !clean.contains(line),
                "{clean}"
            );
            let mut bytes = vec![0xff];
            bytes.extend_from_slice(text.as_bytes());
            let clean = bytes_without_keys(bytes);
            assert_eq!(clean.first(), Some(&0xff));
            assert!(!String::from_utf8_lossy(&clean).contains(line));
        }
        serde_json::from_str::<serde_json::Value>(&without_keys(&json)).unwrap();
        for text in ["aecl_p_", "aecl_p_short and aecl_o_", "-----BEGIN PRIVATE KEY-----", ""] {
            assert!(without_keys(text) == text, "{text}");
        }
    }
}
