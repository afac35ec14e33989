//! Where a value was seen, for a person who has to decide. A search in text: it explains and decides nothing.

use super::ingest::READ_MAX;
use super::labels::each_leaf;
use crate::base::json::{Document, Limits};
use serde_json::Value;

/// Longest excerpt, in characters.
pub const EXCERPT_MAX: usize = 80;
/// Longest value that is looked for, in bytes: longer ones are texts, and the search would take too long.
const WANTED_MAX: usize = 256;
/// Most places in one output.
const PLACES_MAX: usize = 3;

/// One place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValuePlace {
    /// A JSON pointer into the output; empty for the whole.
    pub path: String,
    /// The words around it, at most 80 characters. A stranger's text: show it as inert.
    pub excerpt: String,
}

/// The places of an output in which a value stands, at most three.
pub fn places(value: &str, output: &[u8]) -> Vec<ValuePlace> {
    let mut out = Vec::new();
    if value.is_empty() || value.len() > WANTED_MAX {
        return out;
    }
    let limits = Limits { bytes_max: READ_MAX, ..Limits::default() };
    match Document::parse(output, &limits) {
        Ok(document) => walk(value, document.value(), &mut String::new(), &mut out),
        Err(_) => look(value, &String::from_utf8_lossy(output), "", &mut out),
    }
    out
}

fn walk(wanted: &str, value: &Value, path: &mut String, out: &mut Vec<ValuePlace>) {
    each_leaf(value, path, &mut |leaf, path| match leaf {
        Value::String(text) => {
            // A tool of an MCP server answers JSON inside of text; its own paths say more.
            match text
                .trim_start()
                .starts_with(['{', '['])
                .then(|| Document::parse(text.as_bytes(), &Limits::default()))
            {
                Some(Ok(inner)) => walk(wanted, inner.value(), path, out),
                Some(Err(_)) | None => look(wanted, text, path, out),
            }
        }
        Value::Number(number) => look(wanted, &number.to_string(), path, out),
        _ => {}
    });
}

fn look(wanted: &str, text: &str, path: &str, out: &mut Vec<ValuePlace>) {
    if out.len() >= PLACES_MAX {
        return;
    }
    // Grouped as people write accounts, it is still the same.
    let at = find(text, wanted).map(|at| (at, wanted.len())).or_else(|| spaced(text, wanted));
    if let Some((at, length)) = at {
        out.push(ValuePlace { path: path.to_owned(), excerpt: excerpt(text, at, length) });
    }
}

/// ASCII letters without their case; one pass, no allocation of the text.
fn find(text: &str, wanted: &str) -> Option<usize> {
    let (text, wanted) = (text.as_bytes(), wanted.as_bytes());
    let first = wanted.first()?.to_ascii_lowercase();
    let last = text.len().checked_sub(wanted.len())?;
    (0..=last).find(|at| {
        text.get(*at).is_some_and(|b| b.to_ascii_lowercase() == first)
            && text.get(*at..*at + wanted.len()).is_some_and(|part| part.eq_ignore_ascii_case(wanted))
    })
}

/// The value with spaces or dashes between its characters.
fn spaced(text: &str, wanted: &str) -> Option<(usize, usize)> {
    if wanted.len() < 8 || !wanted.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return None;
    }
    let kept: Vec<(usize, u8)> =
        text.bytes().enumerate().filter(|(_, b)| !matches!(b, b' ' | b'-' | b'\n' | b'\t')).collect();
    let bytes: Vec<u8> = kept.iter().map(|(_, b)| *b).collect();
    let compact = String::from_utf8_lossy(&bytes);
    let at = find(&compact, wanted)?;
    let (from, to) = (kept.get(at)?.0, kept.get(at + wanted.len() - 1)?.0);
    Some((from, to + 1 - from))
}

fn excerpt(text: &str, at: usize, length: usize) -> String {
    let mut from = at;
    while !text.is_char_boundary(from) {
        from -= 1;
    }
    // The words before a value say more about it than those after.
    let room = EXCERPT_MAX.saturating_sub(length) * 2 / 3;
    let before: Vec<char> = text.get(..from).unwrap_or_default().chars().rev().take(room).collect();
    let rest = text.get(from..).unwrap_or_default().chars();
    let mut out: String = before.into_iter().rev().collect();
    let left = EXCERPT_MAX.saturating_sub(out.chars().count());
    out.extend(rest.take(left));
    // One line, whatever it was.
    out.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_card_says_which_field_and_which_words() {
        let mail = json!({"mails": [{"from": "a@b.example"}, {"body": "Hello,\nplease pay 98 to GB29 NWBK 6016 1331 9268 19 immediately, thanks and more words that go on"}]});
        let found = places("GB29NWBK60161331926819", mail.to_string().as_bytes());
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].path, "/mails/1/body");
        assert!(found[0].excerpt.contains("pay 98 to GB29 NWBK"), "{}", found[0].excerpt);
        assert!(found[0].excerpt.chars().count() <= EXCERPT_MAX);
        let envelope =
            json!({"content": [{"type": "text", "text": "{\"account\": \"GB29NWBK60161331926819\"}"}]});
        let found = places("GB29NWBK60161331926819", envelope.to_string().as_bytes());
        assert_eq!(found[0].path, "/content/0/text/account");
        assert!(places("other", mail.to_string().as_bytes()).is_empty());
        assert_eq!(places("ÄB", "xx äÄB€".as_bytes()).len(), 1);
    }
}
