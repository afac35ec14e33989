//! Signs that a page writes by their names or numbers, and breaks that it leaves out.

use std::borrow::Cow;

/// The names of signs that make a link, and of `&` itself.
const NAMED: [(&str, char); 9] = [
    ("amp;", '&'),
    ("bsol;", '\\'),
    ("colon;", ':'),
    ("commat;", '@'),
    ("NewLine;", '\n'),
    ("period;", '.'),
    ("quest;", '?'),
    ("sol;", '/'),
    ("Tab;", '\t'),
];

/// The text as a page shows it. Only a text that has such a sign is copied.
pub(super) fn decoded(text: &str) -> Cow<'_, str> {
    let mut signs =
        text.match_indices('&').filter_map(|(at, _)| Some((at, sign(text.get(at + 1..)?)?))).peekable();
    if signs.peek().is_none() {
        return text.into();
    }
    let (mut out, mut done) = (String::with_capacity(text.len()), 0);
    for (at, (c, length)) in signs {
        out.push_str(text.get(done..at).unwrap_or_default());
        out.push(c);
        done = at + 1 + length;
    }
    out.push_str(text.get(done..).unwrap_or_default());
    out.into()
}

/// The sign whose name or number begins here, and how long that is. Browsers do without the `;` after a number.
fn sign(name: &str) -> Option<(char, usize)> {
    let Some(number) = name.strip_prefix('#') else {
        let named = NAMED.into_iter().find(|(known, _)| name.starts_with(known))?;
        return Some((named.1, named.0.len()));
    };
    let (digits, radix) = match number.strip_prefix(['x', 'X']) {
        Some(digits) => (digits, 16),
        None => (number, 10),
    };
    let length = digits.bytes().take_while(|b| char::from(*b).is_digit(radix)).count();
    let value = u32::from_str_radix(digits.get(..length)?, radix).ok()?;
    let before = name.len() - digits.len();
    let ends = usize::from(digits.get(length..).is_some_and(|rest| rest.starts_with(';')));
    Some((char::from_u32(value)?, before + length + ends))
}

/// The text without what is left out of an address by whoever follows it: breaks between the signs that begin one, which
/// browsers drop, and the backslash before a dot, of style sheets and of Markdown. Only a text with such a place is copied.
pub(super) fn joined(text: Cow<'_, str>) -> Cow<'_, str> {
    let is_sign = |byte: u8| matches!(byte, b'/' | b'\\' | b':');
    let is_break = |byte: u8| matches!(byte, b'\t' | b'\n' | b'\r');
    let is_place =
        |pair: &[u8]| matches!(pair, [sign, next] if is_sign(*sign) && is_break(*next)) || pair == b"\\.";
    if !text.as_bytes().windows(2).any(is_place) {
        return text;
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_ref();
    while let Some(c) = rest.chars().next() {
        let broken = rest.trim_start_matches(['\t', '\n', '\r']);
        let joins = broken.starts_with(['/', '\\']) && out.ends_with(['/', '\\', ':']);
        if broken.len() < rest.len() {
            out.push_str(if joins { "" } else { rest.get(..rest.len() - broken.len()).unwrap_or_default() });
            rest = broken;
        } else {
            if !rest.starts_with("\\.") {
                out.push(c);
            }
            rest = rest.get(c.len_utf8()..).unwrap_or_default();
        }
    }
    out.into()
}
