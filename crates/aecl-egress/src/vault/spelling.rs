//! How texts spell a secret. One search for everything that comes back from somebody who was given one.
//!
//! A text is read several times over: as it stands; as what is inside of a string of JSON, up to [`STRINGS_MAX`] strings
//! in each other; and each of these as what is inside of an address, and of a page of HTML. In each reading stand the
//! value itself and what base64 makes of it. What somebody turns around, packs or enciphers is not found.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use zeroize::Zeroizing;

use super::Secret;

/// How many strings of JSON may be in each other: a message, the text of its answer, what a program quotes in that.
const STRINGS_MAX: usize = 3;

/// Shorter than this, base64 may stand in innocent words.
const BASE64_MIN_BYTES: usize = 8;

/// What is searched for because of one secret.
pub(crate) struct Spelled(Vec<Zeroizing<String>>);

/// A place where a text spells the secret of this number, as bytes of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) which: usize,
}

/// What a search has found.
pub(crate) struct Places {
    /// In their order; none touches another.
    pub(crate) all: Vec<Place>,
    /// From here on a spelling may have begun that goes on behind the end of the text; else the end.
    pub(crate) begun: usize,
}

impl Spelled {
    pub(crate) fn of(secret: &Secret) -> Self {
        let value = secret.expose();
        let mut all = vec![Zeroizing::new(value.to_owned())];
        if value.len() >= BASE64_MIN_BYTES {
            // Inside of a longer text base64 has three forms, and only the ends depend on what is beside it.
            for beside in 0..3 {
                let mut bytes = Zeroizing::new(vec![0; beside]);
                bytes.reserve_exact(value.len());
                bytes.extend_from_slice(value.as_bytes());
                let whole = Zeroizing::new(STANDARD_NO_PAD.encode(&*bytes));
                let own = (beside * 8).div_ceil(6)..bytes.len() * 8 / 6;
                let own = Zeroizing::new(whole.get(own).unwrap_or_default().to_owned());
                let of_addresses = Zeroizing::new(own.replace('+', "-").replace('/', "_"));
                if of_addresses != own {
                    all.push(of_addresses);
                }
                all.push(own);
            }
        }
        Self(all)
    }

    pub(crate) fn is_of(&self, secret: &Secret) -> bool {
        self.0.first().is_some_and(|value| value.as_str() == secret.expose())
    }
}

/// Finds where these bytes spell one of these secrets.
pub(crate) fn search(bytes: &[u8], secrets: &[&Spelled]) -> Places {
    let mut search = Search::of(secrets, bytes.len());
    let mut readings: Vec<Reading> = Vec::new();
    for _ in 0..=STRINGS_MAX {
        search.in_text(last(bytes, &readings), &readings);
        for writing in [PERCENT, HTML] {
            if let Some(reading) = Reading::of(last(bytes, &readings), writing) {
                search.has_begun(reading.begun, &readings);
                readings.push(reading);
                search.in_text(last(bytes, &readings), &readings);
                readings.pop();
            }
        }
        let Some(reading) = Reading::of(last(bytes, &readings), JSON) else { break };
        search.has_begun(reading.begun, &readings);
        readings.push(reading);
    }
    search.places()
}

fn last<'a>(bytes: &'a [u8], readings: &'a [Reading]) -> &'a [u8] {
    readings.last().map_or(bytes, |reading| reading.bytes.as_slice())
}

/// The text with every spelling of a secret replaced by its name. `is_cut`: the text goes on where nobody looks, so what
/// may be the begin of a spelling goes, too.
pub(crate) fn without<'a>(text: &'a str, secrets: &[(&str, &Spelled)], is_cut: bool) -> Cow<'a, str> {
    let spelled: Vec<&Spelled> = secrets.iter().map(|(_, spelled)| *spelled).collect();
    let places = search(text.as_bytes(), &spelled);
    let end = if is_cut { places.begun } else { text.len() };
    if places.all.is_empty() && end == text.len() {
        return Cow::Borrowed(text);
    }
    let (mut clean, mut at) = (String::with_capacity(text.len()), 0);
    for place in &places.all {
        let before = text.get(at..place.from).unwrap_or_default();
        clean.push_str(before_escape(before));
        let name = secrets.get(place.which).map_or("", |(name, _)| *name);
        clean.push_str(&format!("[secret {name}]"));
        at = place.to;
    }
    clean.push_str(text.get(at..end).unwrap_or_default());
    Cow::Owned(clean)
}

/// The text up to what would escape the first character of what is put in behind it: a backslash, or the beginning of a
/// `\uXXXX` whose last digits were of the spelling. In a string in a string, that begins with more than one backslash.
fn before_escape(text: &str) -> &str {
    let digits = text.bytes().rev().take(4).take_while(u8::is_ascii_hexdigit).count();
    let escape = text.get(..text.len() - digits).and_then(|rest| rest.strip_suffix('u'));
    if let Some(begun) = escape.filter(|begun| digits < 4 && begun.ends_with('\\')) {
        return begun.trim_end_matches('\\');
    }
    let slashes = text.bytes().rev().take_while(|byte| *byte == b'\\').count();
    text.get(..text.len() - slashes % 2).unwrap_or_default()
}

struct Search<'a> {
    secrets: &'a [&'a Spelled],
    /// The bytes with which spellings begin.
    first: [bool; 256],
    found: Vec<Place>,
    begun: Vec<usize>,
    end: usize,
}

impl<'a> Search<'a> {
    fn of(secrets: &'a [&'a Spelled], end: usize) -> Self {
        let mut first = [false; 256];
        for byte in secrets.iter().flat_map(|spelled| &spelled.0).filter_map(|form| form.as_bytes().first()) {
            if let Some(is_first) = first.get_mut(usize::from(*byte)) {
                *is_first = true;
            }
        }
        Self { secrets, first, found: Vec::new(), begun: Vec::new(), end }
    }

    fn in_text(&mut self, text: &[u8], readings: &[Reading]) {
        let mut at = 0;
        while let Some(rest) = text.get(at..) {
            let is_first = |byte: &u8| self.first.get(usize::from(*byte)).copied().unwrap_or_default();
            let Some(skipped) = rest.iter().position(is_first) else { break };
            at += skipped;
            let rest = rest.get(skipped..).unwrap_or_default();
            let mut longest: Option<(usize, usize)> = None;
            let forms = self.secrets.iter().enumerate();
            for (which, form) in
                forms.flat_map(|(which, spelled)| spelled.0.iter().map(move |form| (which, form.as_bytes())))
            {
                if rest.starts_with(form) {
                    longest = longest.max(Some((form.len(), which)));
                } else if form.starts_with(rest) {
                    self.begun.push(in_source(at, readings));
                }
            }
            match longest {
                Some((bytes, which)) => {
                    let (from, to) = (in_source(at, readings), in_source(at + bytes, readings));
                    self.found.push(Place { from, to, which });
                    at += bytes;
                }
                None => at += 1,
            }
        }
    }

    fn has_begun(&mut self, at: Option<usize>, readings: &[Reading]) {
        if let Some(at) = at {
            self.begun.push(in_source(at, readings));
        }
    }

    fn places(mut self) -> Places {
        self.found.sort_unstable();
        let mut all: Vec<Place> = Vec::new();
        for place in self.found {
            match all.last_mut() {
                Some(last) if place.from < last.to => last.to = last.to.max(place.to),
                _ => all.push(place),
            }
        }
        // What was found has not merely begun.
        let is_open = |at: &&usize| !all.iter().any(|place| (place.from..place.to).contains(at));
        let begun = self.begun.iter().filter(is_open).min().copied().unwrap_or(self.end);
        Places { all, begun }
    }
}

/// A way of writing characters: the byte with which they begin, and how they are read.
#[derive(Clone, Copy)]
struct Writing {
    lead: u8,
    read: fn(&[u8]) -> Unit,
}

/// What stands where a written character may begin.
enum Unit {
    /// A character, written in so many bytes.
    Char(char, usize),
    /// A byte of one.
    Byte(u8, usize),
    /// The byte itself.
    Itself,
    /// The begin of one, and the text ends.
    Begun,
}

const JSON: Writing = Writing { lead: b'\\', read: of_json };
const PERCENT: Writing = Writing { lead: b'%', read: of_percent };
const HTML: Writing = Writing { lead: b'&', read: of_html };

/// A text as somebody reads it who knows one way of writing.
struct Reading {
    bytes: Zeroizing<Vec<u8>>,
    /// From this byte of it on, up to the next of these, its bytes are those of what was read from that byte on.
    runs: Vec<(usize, usize)>,
    begun: Option<usize>,
}

impl Reading {
    /// Reads it, unless it reads like what was there.
    fn of(text: &[u8], writing: Writing) -> Option<Self> {
        if !text.contains(&writing.lead) {
            return None;
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
        let (mut runs, mut at, mut begun) = (Vec::new(), 0, None);
        while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
            let plain = rest.iter().position(|byte| *byte == writing.lead).unwrap_or(rest.len());
            let (plain, rest) = rest.split_at(plain);
            bytes.extend_from_slice(plain);
            at += plain.len();
            if rest.is_empty() {
                break;
            }
            let used = match (writing.read)(rest) {
                Unit::Char(c, used) => {
                    bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                    used
                }
                Unit::Byte(byte, used) => {
                    bytes.push(byte);
                    used
                }
                Unit::Itself => {
                    bytes.push(writing.lead);
                    1
                }
                Unit::Begun => {
                    begun = Some(at);
                    break;
                }
            };
            at += used;
            runs.push((bytes.len(), at));
        }
        Some(Self { bytes, runs, begun })
    }

    fn in_source(&self, at: usize) -> usize {
        let after = self.runs.partition_point(|(own, _)| *own <= at);
        let run = after.checked_sub(1).and_then(|last| self.runs.get(last));
        run.map_or(at, |(own, source)| source + (at - own))
    }
}

/// Where a byte of the last reading comes from.
fn in_source(at: usize, readings: &[Reading]) -> usize {
    readings.iter().rev().fold(at, |at, reading| reading.in_source(at))
}

fn of_json(text: &[u8]) -> Unit {
    const HIGH: std::ops::RangeInclusive<u32> = 0xd800..=0xdbff;
    const LOW: std::ops::RangeInclusive<u32> = 0xdc00..=0xdfff;
    match text.get(1) {
        None => Unit::Begun,
        Some(b'u') => match hex(text, 2, 4) {
            Hex::Is(high) if HIGH.contains(&high) => match text.get(6..) {
                None | Some([] | [b'\\']) => Unit::Begun,
                Some([b'\\', b'u', ..]) => match hex(text, 8, 4) {
                    Hex::Is(low) if LOW.contains(&low) => {
                        let both = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                        Unit::Char(char::from_u32(both).unwrap_or(char::REPLACEMENT_CHARACTER), 12)
                    }
                    Hex::Is(_) | Hex::No => Unit::Char(char::REPLACEMENT_CHARACTER, 6),
                    Hex::Begun => Unit::Begun,
                },
                Some(_) => Unit::Char(char::REPLACEMENT_CHARACTER, 6),
            },
            Hex::Is(code) => Unit::Char(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), 6),
            Hex::No => Unit::Itself,
            Hex::Begun => Unit::Begun,
        },
        // No JSON, but what scripts and YAML write.
        Some(b'x') => match hex(text, 2, 2) {
            Hex::Is(code) => Unit::Char(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), 4),
            Hex::No => Unit::Itself,
            Hex::Begun => Unit::Begun,
        },
        Some(b'n' | b'r' | b't' | b'b' | b'f') => Unit::Char('\n', 2),
        Some(byte @ (b'"' | b'\\' | b'/' | b'\'')) => Unit::Byte(*byte, 2),
        Some(_) => Unit::Itself,
    }
}

fn of_percent(text: &[u8]) -> Unit {
    match hex(text, 1, 2) {
        Hex::Is(code) => u8::try_from(code).map_or(Unit::Itself, |byte| Unit::Byte(byte, 3)),
        Hex::No => Unit::Itself,
        Hex::Begun => Unit::Begun,
    }
}

fn of_html(text: &[u8]) -> Unit {
    const LONGEST: usize = 10;
    let inside = text.get(1..).unwrap_or_default();
    let is_of_it = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'#';
    let bytes = inside.iter().take(LONGEST).take_while(|byte| is_of_it(byte)).count();
    match inside.get(bytes) {
        Some(b';') => {}
        None if bytes < LONGEST => return Unit::Begun,
        Some(_) | None => return Unit::Itself,
    }
    let name = std::str::from_utf8(inside.get(..bytes).unwrap_or_default()).unwrap_or_default();
    let number = name.strip_prefix('#');
    let is = match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => number
            .and_then(|number| match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok(),
                None => number.parse().ok(),
            })
            .and_then(char::from_u32),
    };
    is.map_or(Unit::Itself, |c| Unit::Char(c, bytes + 2))
}

enum Hex {
    Is(u32),
    No,
    Begun,
}

fn hex(text: &[u8], from: usize, digits: usize) -> Hex {
    let there = text.get(from..).unwrap_or_default();
    let there = there.get(..digits).unwrap_or(there);
    if !there.iter().all(u8::is_ascii_hexdigit) {
        return Hex::No;
    }
    if there.len() < digits {
        return Hex::Begun;
    }
    let digits = std::str::from_utf8(there).ok().and_then(|digits| u32::from_str_radix(digits, 16).ok());
    digits.map_or(Hex::No, Hex::Is)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const VALUE: &str = "s\"k-/4711+ü😀<z";

    fn spelled(value: &str) -> Spelled {
        Spelled::of(&Secret::new(value.to_owned()))
    }

    fn clean(text: &str) -> String {
        without(text, &[("s", &spelled(VALUE))], false).into_owned()
    }

    fn quoted(text: &str) -> String {
        let quoted = serde_json::Value::String(text.to_owned()).to_string();
        quoted.get(1..quoted.len() - 1).unwrap().to_owned()
    }

    /// Every character escaped, as nobody has to and everybody may.
    fn every(text: &str) -> String {
        text.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect()
    }

    fn some(text: &str) -> String {
        let one = |c: char| match c {
            '"' => "\\\"".to_owned(),
            '/' => "\\/".to_owned(),
            'k' | '+' | '<' => format!("\\u{:04x}", c as u32),
            c => c.to_string(),
        };
        text.chars().map(one).collect()
    }

    fn percent(text: &str) -> String {
        text.bytes().map(|b| format!("%{b:02x}")).collect()
    }

    fn html(text: &str) -> String {
        text.replace('4', "&#x34;").replace('"', "&quot;").replace('<', "&lt;").replace('+', "&#43;")
    }

    #[test]
    fn every_way_of_writing_a_secret_is_found() {
        let plain = VALUE.to_owned();
        let writings = [
            plain.clone(),
            quoted(VALUE),
            every(VALUE),
            some(VALUE),
            quoted(&quoted(VALUE)),
            quoted(&every(VALUE)),
            every(&every(VALUE)),
            quoted(&some(&quoted(VALUE))),
            every(&every(&every(VALUE))),
            percent(VALUE),
            quoted(&percent(VALUE)),
            html(VALUE),
            quoted(&html(VALUE)),
            percent(&quoted(VALUE)).replace("%22", "\\\"").replace("%5c", ""),
        ];
        for (number, writing) in writings.iter().enumerate() {
            for (before, after) in [("", ""), ("{\"a\": \"", "\"}"), ("x\\n", "\\n"), ("%4\\u00&am", "s")] {
                let found = clean(&format!("{before}{writing}{after}"));
                assert_eq!(found, format!("{before}[secret s]{after}"), "{number}: {before}{writing}");
            }
        }
    }

    #[test]
    fn base64_of_it_is_found_wherever_it_stands() {
        use base64::engine::general_purpose::{STANDARD, URL_SAFE};
        let value = "sk-4711???>>>~~~";
        for before in ["", "u", "us", "use", "user:"] {
            for engine in [STANDARD, URL_SAFE] {
                let text = engine.encode(format!("{before}{value}and more"));
                for text in [text.clone(), text.replace('/', "\\/"), percent(&text)] {
                    let found = without(&text, &[("s", &spelled(value))], false).into_owned();
                    assert!(found.contains("[secret s]"), "{before}: {text}");
                    // What stays of it is a part of a character on each side.
                    let rest = found.replace("[secret s]", "").replace("%", "").len();
                    assert!(rest < text.len() - value.len(), "{found}");
                }
            }
        }
    }

    #[test]
    fn what_is_replaced_in_json_leaves_json() {
        for text in [
            serde_json::json!({ "a": VALUE, "b": [format!("\\{VALUE}\\"), format!("\n{VALUE}")] })
                .to_string(),
            format!("{{\"a\":\"\\\\{}\"}}", every(VALUE)),
            serde_json::json!({ "text": serde_json::json!({ "token": VALUE }).to_string() }).to_string(),
        ] {
            let clean = clean(&text);
            assert!(serde_json::from_str::<serde_json::Value>(&clean).is_ok(), "{clean}");
            assert!(clean.contains("[secret s]") && !clean.contains("4711"), "{clean}");
        }
        // The `n` is of the line break as well as of the secret.
        let clean = without("{\"a\":\"\\nabcdefgh\"}", &[("s", &spelled("nabcdefgh"))], false).into_owned();
        assert_eq!(clean, "{\"a\":\"[secret s]\"}");
        // Digits of an escape are of the secret as well.
        for begin in ["\\u", "\\u0", "\\u00e", "\\\\u0", "\\\\\\u0"] {
            let text = format!("{{\"a\":\"é{begin}abababababab\"}}");
            let clean = without(&text, &[("s", &spelled("abababababab"))], false).into_owned();
            assert_eq!(clean, "{\"a\":\"é[secret s]\"}", "{text}");
        }
        let whole =
            without("\"\\u00e9abababababab\"", &[("s", &spelled("abababababab"))], false).into_owned();
        assert_eq!(whole, "\"\\u00e9[secret s]\"");
    }

    #[test]
    fn the_begin_of_a_spelling_at_a_cut_goes_and_nothing_else() {
        for whole in [VALUE.to_owned(), quoted(VALUE), every(VALUE), quoted(&every(VALUE)), html(VALUE)] {
            for (at, _) in whole.char_indices().skip(1) {
                let cut = format!("words {}", whole.get(..at).unwrap());
                let said = without(&cut, &[("s", &spelled(VALUE))], true);
                assert_eq!(said, "words ", "{cut}");
                assert_eq!(without(&cut, &[("s", &spelled(VALUE))], false), cut);
            }
        }
        for text in ["plain word", "a % b", "a \\d b", "a & b", "\\ud800 x"] {
            assert!(matches!(without(text, &[("s", &spelled(VALUE))], true), Cow::Borrowed(_)), "{text}");
        }
    }

    #[test]
    fn the_longer_of_two_secrets_is_named() {
        let (short, long) = (spelled("token-4711"), spelled("token-4711-and-more"));
        let secrets = [("short", &short), ("long", &long)];
        assert_eq!(
            without("token-4711-and-more token-4711-", &secrets, false),
            "[secret long] [secret short]-"
        );
        assert!(matches!(without("token-471", &secrets, false), Cow::Borrowed(_)));
    }
}
