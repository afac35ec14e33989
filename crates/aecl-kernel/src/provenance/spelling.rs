//! One destination, however it is written. A limit for what goes to one account counts by this form, so a hyphen gives
//! no second allowance. It merges more than it must (`a.b@c.example` is `ab@c.example`), which only counts more
//! together: nothing is proven by it, and nothing is known by it.

use super::atoms::plain;
use super::canon;
use crate::base::amount::decimal;
use crate::define::catalogue::flow::Class;
use icu_normalizer::DecomposingNormalizerBorrowed;
use icu_properties::CodePointMapData;
use icu_properties::props::GeneralCategory;
use serde_json::Value;
use url::{Host, Url};

/// Words that say what a number is, and are no part of it. None begins with another.
const WORDS: [&str; 8] = ["iban", "bban", "account", "acct", "konto", "kto", "number", "nummer"];
/// The same, where a digit follows.
const SHORT_WORDS: [&str; 2] = ["no", "nr"];

/// The form in which a destination is counted: letters and digits alone, without case, accents or widths. `None` where
/// none are left, and for what is no text or number.
pub fn counted(class: Class, value: &Value) -> Option<String> {
    usual(class, value).map(|usual| letters(&usual)).filter(|letters| !letters.is_empty())
}

/// Whether a text can be such a form.
pub fn is_form(class: Class, text: &str) -> bool {
    // What has other letters than plain ones may be a link's, which is read as another when it is read again.
    let same = || counted(class, &Value::String(text.to_owned())).is_some_and(|form| form == text);
    letters(text) == text && (!text.is_ascii() || same())
}

/// How a destination is usually written: a mailbox without its name, a link without its scheme, an account in one word.
pub(crate) fn usual(class: Class, value: &Value) -> Option<String> {
    let text = match value {
        Value::Number(_) => decimal(value).map(|n| n.normalize().to_string()).or_else(|| plain(value))?,
        _ => plain(value)?,
    };
    Some(leads(class, &text).unwrap_or_else(|| without_words(letters(&text))))
}

/// Where an address or a link leads, if the text is one.
fn leads(class: Class, text: &str) -> Option<String> {
    let text = text.trim_matches(|c: char| c.is_whitespace() || canon::is_hidden(c));
    let is_link = text.contains("://") || (class == Class::DestUrl && !text.contains('@'));
    if is_link { link(text) } else { mailbox(text) }
}

/// Host, port, path and query: no scheme, user or fragment, and each letter as itself.
fn link(text: &str) -> Option<String> {
    let whole = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    let url = Url::parse(&whole).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    let port = url.port().map_or(String::new(), |port| format!(":{port}"));
    let query = url.query().map_or(String::new(), |query| format!("?{query}"));
    Some(format!("{}{port}{}", url.host_str()?, unescaped(&format!("{}{query}", url.path()))))
}

/// A text with `%41` as `A`. What is no such sign stays.
fn unescaped(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).filter(|_| *first == b'%').and_then(|two| std::str::from_utf8(two).ok());
        match digits.and_then(|two| u8::from_str_radix(two, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                out.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The mailbox that `Bob <bob+shop@example.com>` ends in: no name, no tag, and the host as it is looked up.
fn mailbox(text: &str) -> Option<String> {
    let inner =
        text.rsplit_once('<').and_then(|(_, rest)| rest.split_once('>')).map_or(text, |(inner, _)| inner);
    let (local, domain) = inner.rsplit_once('@').or_else(|| inner.rsplit_once('\u{ff20}'))?;
    let host =
        Host::parse(domain.trim().trim_end_matches('.')).map_or(domain.to_owned(), |host| host.to_string());
    let local = local.trim();
    let local = local
        .get(..7)
        .filter(|start| start.eq_ignore_ascii_case("mailto:"))
        .map_or(local, |_| local.get(7..).unwrap_or_default());
    let (name, _tag) = local.split_once('+').filter(|(name, _)| !name.is_empty()).unwrap_or((local, ""));
    Some(format!("{name}@{host}"))
}

/// Letters and digits in their plain writing.
fn letters(text: &str) -> String {
    let categories = CodePointMapData::<GeneralCategory>::new();
    let shown = text.chars().filter(|c| !canon::is_hidden(*c));
    let plain = DecomposingNormalizerBorrowed::new_nfkd().normalize_iter(shown);
    let plain =
        plain.filter(|c| categories.get(*c) != GeneralCategory::NonspacingMark && c.is_alphanumeric());
    // Upper case first: `ß` is `SS`, and `ı` is `I`.
    plain.flat_map(char::to_uppercase).flat_map(char::to_lowercase).map(digit).collect()
}

/// A digit of any script as the digit that it is.
fn digit(c: char) -> char {
    let categories = CodePointMapData::<GeneralCategory>::new();
    let is_digit =
        |code: u32| char::from_u32(code).is_some_and(|c| categories.get(c) == GeneralCategory::DecimalNumber);
    if c.is_ascii() || !is_digit(c.into()) {
        return c;
    }
    // The ten digits of a script stand in a row, from zero.
    let before = (1..=90u32).take_while(|n| u32::from(c).checked_sub(*n).is_some_and(is_digit)).count();
    u32::try_from(before).ok().and_then(|n| char::from_digit(n % 10, 10)).unwrap_or(c)
}

/// An account without the words before it. What stands before an IBAN whose check digits are right is no part of it.
fn without_words(letters: String) -> String {
    if let Some(iban) = iban(&letters) {
        return iban.to_owned();
    }
    if !letters.bytes().any(|b| b.is_ascii_digit()) {
        return letters;
    }
    let mut rest = letters.as_str();
    while let Some(after) = without_word(rest) {
        rest = after;
    }
    rest.to_owned()
}

fn without_word(text: &str) -> Option<&str> {
    let short = || SHORT_WORDS.iter().find_map(|word| text.strip_prefix(word));
    let before_digit = |after: &&str| after.starts_with(|c: char| c.is_ascii_digit());
    WORDS.iter().find_map(|word| text.strip_prefix(word)).or_else(|| short().filter(before_digit))
}

/// The shortest end that is an IBAN. Whatever is put before it, it is the same.
fn iban(text: &str) -> Option<&str> {
    let ends = (15..=34).filter_map(|length| text.get(text.len().checked_sub(length)?..));
    ends.filter(|end| end.bytes().all(|b| b.is_ascii_alphanumeric())).find(|end| is_iban(end))
}

fn is_iban(text: &str) -> bool {
    let Some((head, rest)) = text.split_at_checked(4) else { return false };
    let (country, check) = head.split_at(2);
    let shaped = country.bytes().all(|b| b.is_ascii_lowercase()) && check.bytes().all(|b| b.is_ascii_digit());
    let turned = rest.chars().chain(head.chars()).filter_map(|c| c.to_digit(36));
    shaped && turned.fold(0, |sum, n| (sum * if n < 10 { 10 } else { 100 } + n) % 97) == 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(class: Class, text: &str) -> String {
        counted(class, &json!(text)).unwrap_or_default()
    }

    #[test]
    fn one_account_is_counted_as_one_however_it_is_written() {
        for text in [
            "DE89 3704 0044 0532 0130 00",
            "de89370400440532013000",
            "DE89-3704-0044-0532-0130-00",
            "DE89\u{a0}3704\u{2009}0044\u{200b}0532\u{3000}0130\u{1680}00",
            "ＤＥ８９３７０４００４４０５３２０１３０００",
            "DE٨٩٣٧٠٤٠٠٤٤٠٥٣٢٠١٣٠٠٠",
            "IBAN: DE89 3704 0044 0532 0130 00",
            "IBANDE89370400440532013000",
            "payto://iban/DE89370400440532013000",
            "Acme GmbH, Account no. DE89 3704 0044 0532 0130 00",
            "D\u{301}E.8.9.3.7.0.4.0.0.4.4.0.5.3.2.0.1.3.0.0.0",
        ] {
            assert_eq!(of(Class::DestAccount, text), "de89370400440532013000", "{text:?}");
        }
        for text in
            ["12345678", "12-34-56 78", "Account number 12345678", "Konto-Nr. 12345678", "acct no 12345678"]
        {
            assert_eq!(of(Class::DestAccount, text), "12345678", "{text:?}");
        }
        let norway = "no9386011117947";
        assert_eq!(of(Class::DestAccount, "NO93 8601 1117 947"), norway);
        assert_eq!(of(Class::DestAccount, "Account NO93 8601 1117 947"), norway);
        assert_eq!(counted(Class::DestAccount, &json!(100.0)), counted(Class::DestAccount, &json!("100")));
    }

    #[test]
    fn other_accounts_are_others() {
        for (one, other) in [
            ("DE89370400440532013000", "DE89370400440532013001"),
            ("vendor-7", "customer-7"),
            ("Spotify", "Shopify"),
            ("Konto", "Account"),
            ("Noah 7", "7"),
            ("Number One Ltd", "One Ltd"),
            ("пай 7", "pay 7"),
        ] {
            assert_ne!(of(Class::DestAccount, one), of(Class::DestAccount, other), "{one} {other}");
        }
        let links =
            ["https://a.example/x", "https://a.example/y", "https://b.example/x", "https://a.example:81/x"];
        let kept: std::collections::BTreeSet<_> = links.map(|link| of(Class::DestUrl, link)).into();
        assert_eq!(kept.len(), links.len());
    }

    #[test]
    fn one_mailbox_and_one_page_are_one() {
        for text in [
            "eve@b\u{fc}cher.example",
            "EVE@xn--bcher-kva.example.",
            "Eve <eve@b\u{fc}cher.example>",
            "e.v.e+7@B\u{dc}CHER.example",
            "mailto:eve@b\u{fc}cher.example",
            "ｅｖｅ＠b\u{fc}cher.example",
        ] {
            for class in [Class::DestEmail, Class::DestName, Class::DestAccount] {
                assert_eq!(of(class, text), "evexnbcherkvaexample", "{text:?}");
            }
        }
        for text in [
            "https://a.example/in/x",
            "http://A.example./in/%78#top",
            "a.example/./in//x",
            "https://eve@a.example:443/in/x/",
        ] {
            assert_eq!(of(Class::DestUrl, text), "aexampleinx", "{text:?}");
        }
    }

    #[test]
    fn what_has_no_letter_has_no_form() {
        for value in [json!(""), json!("—"), json!(" \u{200b}"), json!(null), json!(true), json!([])] {
            assert_eq!(counted(Class::DestName, &value), None, "{value}");
        }
    }
}
