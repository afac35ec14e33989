//! One value, one writing. A value that can be read in two ways proves nothing, and what would be sent to
//! it is not sent.

use crate::define::catalogue::DestinationKind;
use crate::read::action::destination;
use icu_normalizer::{ComposingNormalizerBorrowed, DecomposingNormalizerBorrowed};
use icu_properties::CodePointMapData;
use icu_properties::props::{GeneralCategory, Script};
use rust_decimal::Decimal;
use std::str::FromStr;

/// Dirt in a text: letters that are not what they seem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dirt {
    /// Characters that nobody sees, that turn the reading direction, or that steer a terminal or a header.
    Hidden,
    /// Letters of two scripts in one word, so that one may stand for another.
    Mixed,
    /// In a destination: a space that is not the plain one.
    Space,
    /// Another writing of other characters.
    Compatibility,
}

impl Dirt {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Dirt::Hidden => "has invisible or control characters",
            Dirt::Mixed => "mixes letters of different scripts in one word",
            Dirt::Space => "has a space that is not a plain one; write it with plain spaces or none",
            Dirt::Compatibility => "is another writing of other characters",
        }
    }

    /// Whether nothing may be sent to such a value, whoever named it.
    pub fn is_refused(self) -> bool {
        match self {
            Dirt::Hidden | Dirt::Mixed | Dirt::Space => true,
            Dirt::Compatibility => false,
        }
    }
}

/// What is wrong with the letters of a text, the worst first. ASCII takes one fast pass.
pub fn dirt(text: &str) -> Option<Dirt> {
    if text.is_ascii() {
        return text.bytes().any(|b| b.is_ascii_control()).then_some(Dirt::Hidden);
    }
    if text.chars().any(|c| c.is_control() || is_hidden(c)) {
        return Some(Dirt::Hidden);
    }
    if text.split(|c: char| !c.is_alphanumeric()).any(is_mixed) {
        return Some(Dirt::Mixed);
    }
    // Normalising may grow a text eighteenfold; this only compares, and stops at the first difference.
    (!ComposingNormalizerBorrowed::new_nfkc().is_normalized(text)).then_some(Dirt::Compatibility)
}

/// The same for a destination, where another space makes another destination that reads the same.
pub fn dirt_of_destination(text: &str) -> Option<Dirt> {
    let worst = dirt(text);
    if worst.is_some_and(Dirt::is_refused) || !has_odd_space(text) { worst } else { Some(Dirt::Space) }
}

/// Whether it has white space that is not plain. Between two letters of Chinese or Japanese the wide space is plain.
fn has_odd_space(text: &str) -> bool {
    if text.is_ascii() {
        return false;
    }
    let scripts = CodePointMapData::<Script>::new();
    let is_wide = |c: Option<char>| {
        let script = c.map(|c| scripts.get(c));
        matches!(script, Some(Script::Han | Script::Hiragana | Script::Katakana | Script::Hangul))
    };
    let (mut before, mut rest) = (None, text.chars().peekable());
    while let Some(c) = rest.next() {
        let plain = c.is_ascii() || (c == '\u{3000}' && is_wide(before) && is_wide(rest.peek().copied()));
        if c.is_whitespace() && !plain {
            return true;
        }
        before = Some(c);
    }
    false
}

/// A text as whoever reads it takes it: its letters in their plain writing, without accents and without what leaves no
/// mark. `None` where a word has letters of two scripts, so that one may stand for another.
pub fn plain(text: &str) -> Option<std::borrow::Cow<'_, str>> {
    if text.is_ascii() {
        return Some(text.into());
    }
    let marks = CodePointMapData::<GeneralCategory>::new();
    let seen = text.chars().filter(|c| !is_hidden(*c));
    let plain: String = DecomposingNormalizerBorrowed::new_nfkd()
        .normalize_iter(seen)
        .filter(|c| !is_hidden(*c) && marks.get(*c) != GeneralCategory::NonspacingMark)
        .collect();
    let mixed = plain.split(|c: char| !c.is_alphanumeric()).any(is_mixed);
    (!mixed).then(|| plain.into())
}

fn is_mixed(word: &str) -> bool {
    if word.is_ascii() {
        return false;
    }
    let scripts = CodePointMapData::<Script>::new();
    let mut seen: Option<Script> = None;
    for c in word.chars() {
        let script = match scripts.get(c) {
            Script::Common | Script::Inherited => continue,
            // Written together in one language.
            Script::Hiragana | Script::Katakana | Script::Hangul | Script::Bopomofo => Script::Han,
            other => other,
        };
        match seen {
            // Latin stands beside Chinese, Japanese and Korean in every office there.
            Some(Script::Han) if script == Script::Latin => {}
            Some(Script::Latin) if script == Script::Han => {}
            Some(before) if before != script => return true,
            _ => seen = Some(script),
        }
    }
    false
}

/// Characters that leave no mark: fillers, joiners, direction marks, variation selectors, tags.
pub fn is_hidden(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// A mail address: local part exact, domain in lower case.
pub fn email(text: &str) -> Option<String> {
    text.is_ascii().then(|| destination(DestinationKind::Email, text).ok())?
}

/// A URL or host as host, port, path and query. Scheme and fragment do not say where something goes.
pub fn url(text: &str) -> Option<String> {
    if !text.is_ascii() || text.contains(['\\', ' ', '@']) || text.contains("/..") {
        return None;
    }
    let whole = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    let url = url::Url::parse(&whole).ok()?;
    if !matches!(url.scheme(), "http" | "https") || !url.username().is_empty() || url.password().is_some() {
        return None;
    }
    // A number is a host in many writings (octal, hexadecimal, one integer); only the plain one is taken.
    let host = url.host_str()?.trim_end_matches('.');
    let numeric = host.parse::<std::net::Ipv4Addr>().is_ok();
    let host_as_written = whole.split("://").nth(1)?.split(['/', '?', '#', ':']).next()?;
    if !host.contains('.') && !text.contains("://") || (numeric && host_as_written != host) {
        return None;
    }
    let port = url.port().map_or(String::new(), |p| format!(":{p}"));
    let query = url.query().map_or(String::new(), |q| format!("?{q}"));
    let path = url.path().strip_suffix('/').unwrap_or(url.path());
    Some(format!("{host}{port}{path}{query}"))
}

/// An account: without spaces, in upper case. It has a digit, and is long enough to be meant.
pub fn account(text: &str) -> Option<String> {
    let plain: String = text.chars().filter(|c| *c != ' ').collect::<String>().to_ascii_uppercase();
    let fits = plain.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    let digits = plain.bytes().filter(u8::is_ascii_digit).count();
    let letters = plain.bytes().any(|b| b.is_ascii_alphabetic());
    let meant = digits >= 6 || (letters && digits >= 1 && plain.len() >= 4);
    (fits && meant && plain.len() <= 64 && !is_date(&plain)).then_some(plain)
}

/// An exact number. Grouping that two readers could read differently is no number.
pub fn number(text: &str) -> Option<String> {
    let text = text.trim();
    let plain = match (text.matches(',').count(), text.matches('.').count()) {
        (0, 0) => text.to_owned(),
        // `1.200` is twelve hundred to some and one and a fifth to others.
        (0, 1) if text.split('.').nth(1).is_some_and(|f| f.len() == 3) => return None,
        (0, 1) => text.to_owned(),
        (1, 0) => {
            let (whole, rest) = text.split_once(',')?;
            if rest.len() == 3 || rest.is_empty() {
                return None;
            }
            format!("{whole}.{rest}")
        }
        (_, 0) => ungrouped(text, ',')?,
        (0, _) => ungrouped(text, '.')?,
        (_, 1) if text.rfind('.') > text.rfind(',') => {
            let (whole, fraction) = text.split_once('.')?;
            format!("{}.{fraction}", ungrouped(whole, ',')?)
        }
        (1, _) => {
            let (whole, fraction) = text.split_once(',')?;
            format!("{}.{fraction}", ungrouped(whole, '.')?)
        }
        _ => return None,
    };
    let digits = plain.strip_prefix('-').unwrap_or(&plain);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return None;
    }
    if digits.starts_with('.') || digits.ends_with('.') {
        return None;
    }
    Decimal::from_str(&plain).ok().map(|d| d.normalize().to_string())
}

/// Groups of exactly three digits after the first.
fn ungrouped(text: &str, sign: char) -> Option<String> {
    let mut groups = text.split(sign);
    let first = groups.next()?;
    let fits = (1..=3).contains(&first.len()) && groups.all(|g| g.len() == 3);
    fits.then(|| text.replace(sign, ""))
}

/// An identifier.
pub fn id(text: &str) -> Option<String> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':' | b'/' | b'#');
    ((1..=64).contains(&text.len()) && text.bytes().all(fits)).then(|| text.to_owned())
}

/// A path that leads only down.
pub fn path(text: &str) -> Option<String> {
    let clean = text.strip_prefix("./").unwrap_or(text);
    let climbs = clean.split('/').any(|step| step == ".." || step == ".") || clean.contains("//");
    let fits = !clean.is_empty() && clean.len() <= 1024 && !climbs && !clean.contains(['\\', '\0', '\n']);
    (fits && dirt(clean).is_none()).then(|| clean.to_owned())
}

/// Words, compared without the case of ASCII letters. Other letters have no case that every reader agrees on.
pub fn phrase(text: &str) -> Option<String> {
    let words: Vec<String> = text.split_whitespace().map(bare).filter(|w| !w.is_empty()).collect();
    let phrase = words.join(" ");
    (!phrase.is_empty() && phrase.len() <= 256).then_some(phrase)
}

/// A word without the punctuation around it, in ASCII lower case.
pub fn bare(word: &str) -> String {
    let edges = |c: char| !(c.is_alphanumeric() || matches!(c, '#' | '&' | '+' | '$' | '€' | '£' | '%'));
    let word = word.trim_matches(edges);
    let word = word.strip_suffix("'s").or_else(|| word.strip_suffix("’s")).unwrap_or(word);
    word.to_ascii_lowercase()
}

/// Whether it ends as the name of a file does: a dot and up to five letters or digits.
pub fn has_extension(text: &str) -> bool {
    text.trim().rsplit_once('.').is_some_and(|(stem, end)| {
        !stem.is_empty() && (1..=5).contains(&end.len()) && end.bytes().all(|b| b.is_ascii_alphanumeric())
    })
}

/// A date or a time, so no amount, id or account.
pub fn is_date(text: &str) -> bool {
    let parts: Vec<&str> =
        text.split(['-', '/', '.', ':', 'T', ' ', 'Z']).filter(|p| !p.is_empty()).collect();
    let digits = parts.iter().all(|p| p.len() <= 4 && p.bytes().all(|b| b.is_ascii_digit()));
    if !digits || !(2..=7).contains(&parts.len()) {
        return false;
    }
    if text.contains(':') {
        return true;
    }
    let year = |p: &str| p.len() == 4 && (p.starts_with("19") || p.starts_with("20"));
    parts.len() == 3 && (parts.first().is_some_and(|p| year(p)) || parts.last().is_some_and(|p| year(p)))
        || parts.len() > 3
        || (parts.len() == 2 && parts.first().is_some_and(|p| year(p)) && text.contains('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_that_are_not_what_they_seem() {
        for (text, expected) in [
            ("plain", None),
            ("Müller", None),
            ("日本語テスト", None),
            ("報告書v2.pdf", None),
            ("Москва", None),
            ("new\nline", Some(Dirt::Hidden)),
            ("a\u{200b}b", Some(Dirt::Hidden)),
            ("a\u{202e}b", Some(Dirt::Hidden)),
            ("a\u{e0041}b", Some(Dirt::Hidden)),
            ("a\u{fe0f}", Some(Dirt::Hidden)),
            ("p\u{430}ypal", Some(Dirt::Mixed)),
            ("ﬁle", Some(Dirt::Compatibility)),
            ("Ｐ１", Some(Dirt::Compatibility)),
            ("e\u{301}", Some(Dirt::Compatibility)),
            ("\u{fdfa}", Some(Dirt::Compatibility)),
        ] {
            assert_eq!(dirt(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_space_in_a_destination_is_a_plain_one() {
        for (text, expected) in [
            ("DE89 3704", None),
            ("DE89\u{a0}3704", Some(Dirt::Space)),
            ("DE89\u{1680}3704", Some(Dirt::Space)),
            ("\u{2003}DE89", Some(Dirt::Space)),
            ("DE89\u{3000}", Some(Dirt::Space)),
            ("山田\u{3000}太郎", Some(Dirt::Compatibility)),
            ("山田\u{3000}7", Some(Dirt::Space)),
            ("DE\u{200b}89\u{a0}", Some(Dirt::Hidden)),
            ("Ｐ１", Some(Dirt::Compatibility)),
            ("Müller & Söhne", None),
        ] {
            assert_eq!(dirt_of_destination(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_text_is_compared_as_it_is_read() {
        for (text, expected) in [
            ("plain", Some("plain")),
            ("d\u{200b}eletes del\u{ad}etes", Some("deletes deletes")),
            ("ｄｅｌｅｔｅｓ 𝐝𝐞𝐥𝐞𝐭𝐞𝐬 ⓓeletes", Some("deletes deletes deletes")),
            ("d\u{e9}l\u{e8}te de\u{301}lete", Some("delete delete")),
            ("d\u{435}letes", None),
            ("Москва 日本語", Some("Москва 日本語")),
            ("⚠\u{fe0f} mind", Some("⚠ mind")),
            ("ﬁle", Some("file")),
        ] {
            assert_eq!(plain(text).as_deref(), expected, "{text:?}");
        }
    }

    #[test]
    fn one_number_has_one_meaning_or_is_none() {
        for (text, expected) in [
            ("100", Some("100")),
            ("98.70", Some("98.7")),
            ("1,200.50", Some("1200.5")),
            ("1.200,50", Some("1200.5")),
            ("1,000,000", Some("1000000")),
            ("12,5", Some("12.5")),
            ("1.200", None),
            ("1,200", None),
            ("1,00,000", None),
            ("1e6", None),
            ("+0", None),
            ("-0", Some("0")),
            ("-5", Some("-5")),
            ("NaN", None),
            ("5.", None),
            ("", None),
        ] {
            assert_eq!(number(text).as_deref(), expected, "{text:?}");
        }
    }

    #[test]
    fn a_url_is_where_it_leads() {
        for (text, expected) in [
            ("https://example.com/a?b=1#c", Some("example.com/a?b=1")),
            ("http://example.com/", Some("example.com")),
            ("www.example.com", Some("www.example.com")),
            ("HTTPS://EXAMPLE.com./a", Some("example.com/a")),
            ("https://example.com:8443/a", Some("example.com:8443/a")),
            ("https://user@example.com/", None),
            ("https://example.com\\@evil.example", None),
            ("https://0x7f.1/", None),
            ("https://017700000001/", None),
            ("ftp://example.com/", None),
            ("https://example.com/a/../b", None),
            ("word", None),
            ("https://ex\u{430}mple.com", None),
        ] {
            assert_eq!(url(text).as_deref(), expected, "{text:?}");
        }
    }

    #[test]
    fn dates_and_short_words_are_no_accounts() {
        for (text, expected) in [
            ("DE89 3704 0044 0532 0130 00", Some("DE89370400440532013000")),
            ("vendor-7", Some("VENDOR-7")),
            ("GB29NWBK60161331926819", Some("GB29NWBK60161331926819")),
            ("2022-01-01", None),
            ("950", None),
            ("monthly", None),
            ("12345678", Some("12345678")),
        ] {
            assert_eq!(account(text).as_deref(), expected, "{text:?}");
        }
        for (text, expected) in
            [("2022-01-01", true), ("10:30", true), ("01.02.2026", true), ("12.50", false), ("2022", false)]
        {
            assert_eq!(is_date(text), expected, "{text:?}");
        }
        assert_eq!(path("a/../b"), None);
        assert_eq!(path("./a/b.txt").as_deref(), Some("a/b.txt"));
    }
}
