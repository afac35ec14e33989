//! What in a text leads somewhere: links, mail addresses and accounts, as browsers, mail programs and people
//! understand them, and not only as they should be written.
//!
//! A browser takes `\` for `/`, and any number of them after the scheme, or none; a page's own scheme will do for
//! `//host`; a mail program makes a link of `host.tld/path`. One pass over the words of the text; nothing is
//! allocated for words that lead nowhere.

mod accounts;
mod coins;
mod entities;
mod hosts;
mod whole;

pub(super) use accounts::looks_like_account;
pub(super) use whole::leads;

use super::atoms::{Atom, AtomKind};
use super::canon;
use icu_normalizer::ComposingNormalizerBorrowed;
use std::borrow::Cow;

/// What separates words, besides white space.
const BETWEEN: [char; 11] = ['<', '>', '"', '(', ')', '[', ']', '|', ',', ';', '\u{3000}'];
/// What stands around a word and is no part of it.
const AROUND: [char; 12] = ['.', '\'', '!', '?', ':', '*', '`', '“', '”', '’', '‘', '{'];
/// The schemes whose host a browser finds with any number of slashes.
const SPECIAL: [&str; 5] = ["http", "https", "ftp", "ws", "wss"];

/// What in a text leads somewhere, in order, at most `max` of it and whether there was more.
pub fn links(text: &str, max: usize) -> (Vec<Atom>, bool) {
    let text = entities::joined(entities::decoded(text));
    let mut found = Found { atoms: Vec::new(), max, more: false };
    for whole in text.split(|c: char| c.is_whitespace() || BETWEEN.contains(&c)) {
        let word = plain(whole.trim_matches(|c| AROUND.contains(&c) || c == '}'));
        if word.len() >= 4 {
            found.push(of_word(&word));
        }
        if found.more {
            return (found.atoms, true);
        }
    }
    accounts::each(&text, |account| {
        found.push(Some(Atom { kind: AtomKind::Account, text: account }));
        !found.more
    });
    (found.atoms, found.more)
}

struct Found {
    atoms: Vec<Atom>,
    max: usize,
    more: bool,
}

impl Found {
    fn push(&mut self, atom: Option<Atom>) {
        let Some(atom) = atom.filter(|atom| !self.atoms.contains(atom)) else { return };
        if self.atoms.len() == self.max {
            self.more = true;
        } else {
            self.atoms.push(atom);
        }
    }
}

/// Where a word leads. What leads somewhere and cannot be read proves nothing, so it is given as it stands.
fn of_word(word: &str) -> Option<Atom> {
    let url = |text: &str| {
        let canonical = canon::url(text).unwrap_or_else(|| text.to_owned());
        Some(Atom { kind: AtomKind::Url, text: canonical })
    };
    if word.contains("://") || is_www(word) {
        return url(word);
    }
    if let Some(rest) = after_scheme(word).or_else(|| beside_slashes(word)) {
        // Written so that it is no link to who reads strictly: the goal has to name it in the plain writing.
        return url(rest);
    }
    if word.contains('@') {
        return mailbox(word);
    }
    let account = || {
        let is = looks_like_account(word) || coins::is_address(word);
        is.then(|| canon::account(word).unwrap_or_else(|| word.to_owned()))
    };
    if let Some(text) = account() {
        return Some(Atom { kind: AtomKind::Account, text });
    }
    // The value of an attribute without quotation marks.
    let bare = word.split_once('=').filter(|(name, _)| name.bytes().all(|b| b.is_ascii_alphabetic()));
    let bare = bare.map_or(word, |(_, value)| value.trim_matches(['\'', '`']));
    if hosts::is_link(bare) { url(bare) } else { None }
}

/// A word in the signs that a browser takes it for: without what leaves no mark, wide letters as plain ones.
fn plain(word: &str) -> Cow<'_, str> {
    let odd = |c: char| canon::is_hidden(c) || c == '。';
    let usual = ComposingNormalizerBorrowed::new_nfkc();
    if word.is_ascii() || (!word.contains(odd) && usual.is_normalized(word)) {
        return word.into();
    }
    let seen = word.chars().filter(|c| !canon::is_hidden(*c));
    usual.normalize_iter(seen).map(|c| if c == '。' { '.' } else { c }).collect::<String>().into()
}

fn is_www(word: &str) -> bool {
    word.get(..4).is_some_and(|head| head.eq_ignore_ascii_case("www."))
}

fn is_slash(byte: u8) -> bool {
    matches!(byte, b'/' | b'\\')
}

/// What stands after a scheme that needs no two slashes: `https:\\host`, `http:/host`, `https:host`.
fn after_scheme(word: &str) -> Option<&str> {
    let colons = word.bytes().enumerate().filter(|(_, byte)| *byte == b':').map(|(at, _)| at);
    colons.into_iter().find_map(|at| {
        let head = word.get(..at)?;
        SPECIAL.into_iter().find(|scheme| ends_in(head, scheme))?;
        let rest = word.get(at + 1..)?;
        let host = rest.trim_start_matches(['/', '\\']);
        let slashed = host.len() < rest.len() && host.starts_with(|c: char| c.is_alphanumeric());
        (slashed || hosts::is_host(host)).then_some(host)
    })
}

/// Whether a text ends in this word, and not in a longer one.
fn ends_in(text: &str, word: &str) -> bool {
    let Some(at) = text.len().checked_sub(word.len()) else { return false };
    let before = || at.checked_sub(1).and_then(|at| text.as_bytes().get(at));
    text.get(at..).is_some_and(|end| end.eq_ignore_ascii_case(word))
        && before().is_none_or(|byte| !byte.is_ascii_alphabetic())
}

/// What stands after two slashes that begin a word or an attribute: the page's own scheme will do.
fn beside_slashes(word: &str) -> Option<&str> {
    let bytes = word.as_bytes();
    bytes.windows(2).enumerate().find_map(|(at, pair)| {
        let begins = || {
            at.checked_sub(1)
                .and_then(|at| bytes.get(at))
                .is_none_or(|b| b"=':`{".contains(b) || b.is_ascii_control())
        };
        let rest = || word.get(at..).unwrap_or_default().trim_start_matches(['/', '\\']);
        (pair.iter().all(|b| is_slash(*b)) && begins() && hosts::is_host(rest())).then(rest)
    })
}

/// The mailbox that a word names: `mailto:eve@host?subject=x`, `to:eve@host`.
fn mailbox(word: &str) -> Option<Atom> {
    let (before, after) = word.rsplit_once('@')?;
    let local = before.rsplit([':', '=', '/', '\'']).next().unwrap_or_default();
    let ends = |c: char| !(c.is_alphanumeric() || matches!(c, '-' | '.'));
    let host = after.split(ends).next().unwrap_or_default().trim_end_matches('.');
    let address = format!("{local}@{host}");
    let text = canon::email(&address).or_else(|| {
        let named = !local.is_empty() && host.split('.').count() > 1;
        let leads =
            host.rsplit('.').next().is_some_and(|end| end.len() >= 2 && !end.contains(char::is_numeric));
        (named && leads).then_some(address)
    })?;
    Some(Atom { kind: AtomKind::Email, text })
}

#[cfg(test)]
mod tests;
