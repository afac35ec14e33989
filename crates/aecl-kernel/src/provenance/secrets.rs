//! A secret that leaves, in clear or in a common encoding. Only here is anything decoded: on the side of
//! trust one value has one writing. Compression, encryption and paraphrase are known misses.

use super::atoms::{Atom, AtomKind};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use std::collections::BTreeSet;

/// Most texts that one value is unfolded into, and how deep.
const VIEWS_MAX: usize = 32;
const DEPTH_MAX: usize = 2;
/// Longest text that is decoded, in bytes.
const DECODED_MAX: usize = 64 << 10;
/// Most candidates that are looked up.
const CANDIDATES_MAX: usize = 512;

/// The texts in a value that may be a secret, in clear or decoded.
pub(crate) fn candidates(text: &str) -> BTreeSet<Atom> {
    let mut out = BTreeSet::new();
    let mut views = vec![(text.to_owned(), 0)];
    let mut seen = 0;
    while let Some((view, depth)) = views.pop() {
        seen += 1;
        if seen > VIEWS_MAX {
            break;
        }
        note(&view, &mut out);
        for word in view
            .split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',' | ';' | '<' | '>' | '(' | ')'))
        {
            note(word.trim_matches(['.', ':', '!', '?']), &mut out);
            for part in word.split(['=', ':', '/', '?', '&', '#']) {
                note(part, &mut out);
            }
            if depth < DEPTH_MAX && word.len() <= DECODED_MAX && word.len() >= 8 && views.len() < VIEWS_MAX {
                views.extend(decoded(word).into_iter().map(|view| (view, depth + 1)));
            }
        }
        let backwards: String = if view.len() <= 512 { view.chars().rev().collect() } else { String::new() };
        note(&backwards, &mut out);
    }
    out
}

fn note(text: &str, out: &mut BTreeSet<Atom>) {
    if (6..=256).contains(&text.len()) && out.len() < CANDIDATES_MAX {
        out.insert(Atom { kind: AtomKind::Secret, text: text.to_owned() });
    }
}

fn decoded(word: &str) -> Vec<String> {
    let bare = word.trim_end_matches('=');
    let base64 = STANDARD_NO_PAD.decode(bare).or_else(|_| URL_SAFE_NO_PAD.decode(bare)).ok();
    let hex = unhex(word.strip_prefix("0x").unwrap_or(word));
    let percent = word.contains('%').then(|| unpercent(word));
    [base64, hex, percent].into_iter().flatten().filter_map(|bytes| String::from_utf8(bytes).ok()).collect()
}

fn unhex(word: &str) -> Option<Vec<u8>> {
    let pairs = word.as_bytes().chunks(2);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    (word.len().is_multiple_of(2) && word.is_ascii()).then(|| pairs.map(byte).collect())?
}

pub(super) fn unpercent(word: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(word.len());
    let mut rest = word.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let hex = tail.get(..2).and_then(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
        match (first, hex) {
            (b'%', Some(byte)) => {
                out.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            (byte, _) => {
                out.push(*byte);
                rest = tail;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_seen_through_common_encodings() {
        let secret = "s3cr3t-token-1";
        for text in [
            secret.to_owned(),
            format!("the key is {secret}."),
            format!("https://x.example/?k={secret}"),
            STANDARD_NO_PAD.encode(secret),
            format!("{}=", base64::engine::general_purpose::STANDARD_NO_PAD.encode(secret)),
            secret.bytes().map(|b| format!("{b:02x}")).collect(),
            secret.bytes().map(|b| format!("%{b:02X}")).collect(),
            STANDARD_NO_PAD.encode(STANDARD_NO_PAD.encode(secret)),
            secret.chars().rev().collect(),
        ] {
            let found = candidates(&text).iter().any(|a| a.text == secret);
            assert!(found, "{text}");
        }
    }
}
