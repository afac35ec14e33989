//! Accounts: in one word, in groups as people write them, and numbers that a text calls accounts.

use super::super::canon;
use super::super::reference::is_called_account;

/// The lengths of international account numbers.
const LENGTHS: std::ops::RangeInclusive<usize> = 15..=34;
/// Fewest digits of a number that is an account because the text says so.
const DIGITS_MIN: usize = 6;

/// Two letters, two digits and a long rest, as international account numbers begin.
pub(in super::super) fn looks_like_account(word: &str) -> bool {
    let bytes = word.as_bytes();
    begins(bytes, u8::is_ascii_uppercase)
        && LENGTHS.contains(&bytes.len())
        && bytes.iter().all(u8::is_ascii_alphanumeric)
}

/// Calls `found` with each account of a text that is no single word, until it says that it has enough.
pub(super) fn each(text: &str, mut found: impl FnMut(String) -> bool) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let inside = at.checked_sub(1).and_then(|i| bytes.get(i)).is_some_and(|b| b.is_ascii_alphanumeric());
        let here = text.get(at..).filter(|_| !inside);
        let account = here.and_then(|rest| grouped(rest).or_else(|| called(text, at, rest)));
        if let Some((account, length)) = account {
            if canon::account(&account).is_some_and(|account| !found(account)) {
                return;
            }
            at += length;
        } else {
            at += 1;
        }
    }
}

/// An international account number that begins here, and how much of the text it takes.
fn grouped(text: &str) -> Option<(String, usize)> {
    if !begins(text.as_bytes(), u8::is_ascii_alphabetic) {
        return None;
    }
    let (mut length, mut check, mut best) = (0, Check::default(), None);
    let (mut group, mut regular, mut groups) = (0, true, 0);
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next().filter(|_| length < *LENGTHS.end()) {
        if c.is_ascii_alphanumeric() {
            (length, group) = (length + 1, group + 1);
            regular &= !c.is_ascii_lowercase();
            check.add(c, length);
            let ends = chars.peek().is_none_or(|(_, next)| !next.is_ascii_alphanumeric());
            let last = at + 1;
            if !ends {
                continue;
            }
            groups += 1;
            let usual = regular && group <= 4 && groups >= 4 && length > 4 * (groups - 1);
            if LENGTHS.contains(&length) && (check.holds() || usual) {
                best = Some(last);
            }
            regular &= group == 4;
            group = 0;
        } else {
            let apart = matches!(c, ' ' | '-' | '.' | '\u{a0}' | '\u{202f}' | '\n' | '\t');
            let goes_on = chars.peek().is_some_and(|(_, next)| next.is_ascii_alphanumeric());
            if !(apart && goes_on) {
                break;
            }
        }
    }
    let taken = text.get(..best?)?;
    let account = taken.chars().filter(char::is_ascii_alphanumeric).collect();
    Some((account, taken.len()))
}

/// A number that the text before it calls an account.
fn called(text: &str, at: usize, rest: &str) -> Option<(String, usize)> {
    let inner = |b: &u8| b.is_ascii_digit() || matches!(b, b'-' | b' ' | b'/');
    if !rest.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let length = rest.bytes().take(2 * LENGTHS.end()).take_while(inner).count();
    let number = rest.get(..length)?.trim_end_matches(['-', ' ', '/']);
    let digits: String = number.chars().filter(char::is_ascii_digit).collect();
    let one = number.split([' ', '-', '/']).next().unwrap_or_default();
    let after = rest.get(number.len()..)?;
    let whole = !after.starts_with(|c: char| c.is_alphanumeric());
    let is = digits.len() >= DIGITS_MIN && whole && is_called_account(text.get(..at)?);
    // What stands apart may be something else; the first part alone is the account then.
    let account = if one.len() >= DIGITS_MIN { one.to_owned() } else { digits };
    is.then_some((account, number.len()))
}

fn begins(bytes: &[u8], letter: fn(&u8) -> bool) -> bool {
    let head = bytes.get(..4);
    head.is_some_and(|h| h.iter().take(2).all(letter) && h.iter().skip(2).all(u8::is_ascii_digit))
}

/// The check digits of an international account number, which are read after all others.
#[derive(Default)]
struct Check {
    head: [u32; 4],
    rest: u32,
}

impl Check {
    fn add(&mut self, c: char, number: usize) {
        let value = c.to_digit(36).unwrap_or_default();
        match self.head.get_mut(number - 1) {
            Some(place) => *place = value,
            None => self.rest = push(self.rest, value),
        }
    }

    fn holds(&self) -> bool {
        self.head.iter().fold(self.rest, |rest, value| push(rest, *value)) == 1
    }
}

fn push(rest: u32, value: u32) -> u32 {
    (rest * if value > 9 { 100 } else { 10 } + value) % 97
}
