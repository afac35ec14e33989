//! Atoms: the smallest things that can prove an argument. A proof is an exact match of kind and value, never
//! a search for the value in a text.

use super::canon;
use crate::base::digest::Digest;
use crate::define::catalogue::flow::{Class, Form};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Kind of a value. A date is no amount, and the id of a record is no account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum AtomKind {
    Email,
    Url,
    Account,
    Number,
    Id,
    Path,
    Phrase,
    Secret,
}

impl AtomKind {
    fn name(self) -> &'static str {
        match self {
            AtomKind::Email => "email",
            AtomKind::Url => "url",
            AtomKind::Account => "account",
            AtomKind::Number => "number",
            AtomKind::Id => "id",
            AtomKind::Path => "path",
            AtomKind::Phrase => "phrase",
            AtomKind::Secret => "secret",
        }
    }
}

/// One value of one kind, in its one writing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Atom {
    /// Its kind.
    pub kind: AtomKind,
    /// Its canonical text.
    pub text: String,
}

impl Atom {
    fn new(kind: AtomKind, text: Option<String>) -> Option<Self> {
        text.map(|text| Self { kind, text })
    }

    /// The name under which it is looked up.
    pub fn digest(&self) -> Digest {
        Digest::of_parts("aecl/atom/v1", &[self.kind.name().as_bytes(), self.text.as_bytes()])
    }

    /// The number of bytes that it counts for.
    pub fn bytes(&self) -> u64 {
        self.text.len() as u64 + 64
    }
}

/// A value as text: what is no text, number or switch is none.
pub(crate) fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(_) | Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The atoms of which one proves an argument of this role.
pub fn wanted(class: Class, value: &Value) -> Vec<Atom> {
    let Some(text) = plain(value) else { return Vec::new() };
    if canon::dirt(&text).is_some() {
        return Vec::new();
    }
    let kinds: &[AtomKind] = match class {
        Class::DestEmail => &[AtomKind::Email],
        Class::DestUrl => &[AtomKind::Url],
        Class::DestAccount => &[AtomKind::Account, AtomKind::Phrase],
        Class::DestName => &[AtomKind::Phrase, AtomKind::Email],
        Class::TargetId => &[AtomKind::Id],
        Class::TargetName => &[AtomKind::Phrase, AtomKind::Id, AtomKind::Path, AtomKind::Email],
        Class::TargetPath => &[AtomKind::Path],
        Class::Magnitude => &[AtomKind::Number],
        Class::Credential => &[AtomKind::Secret],
        Class::Profile => &[AtomKind::Phrase, AtomKind::Email],
        Class::Attachments => &[AtomKind::Path, AtomKind::Id, AtomKind::Phrase],
        Class::Command | Class::QuerySql => &[AtomKind::Secret],
        Class::Content | Class::Time | Class::Flag | Class::Selector => &[],
    };
    // A goal quotes files, too, and a file is nobody to whom money goes.
    let is_file = class == Class::DestAccount && canon::has_extension(&text);
    // Nor is a path that begins elsewhere the name that it ends in.
    let is_phrase = !is_file && !is_rooted(&text);
    let kinds = kinds.iter().filter(|kind| is_phrase || **kind != AtomKind::Phrase);
    kinds.filter_map(|kind| atom(*kind, value, &text)).collect()
}

fn atom(kind: AtomKind, value: &Value, text: &str) -> Option<Atom> {
    let canonical = match kind {
        AtomKind::Email => canon::email(text),
        AtomKind::Url => canon::url(text),
        AtomKind::Account => canon::account(text),
        // A number of JSON has one reading already; only text can be ambiguous.
        AtomKind::Number => match value {
            Value::Number(n) => {
                crate::base::amount::decimal(&Value::Number(n.clone())).map(|d| d.normalize().to_string())
            }
            _ => canon::number(text),
        },
        AtomKind::Id => canon::id(text),
        AtomKind::Path => canon::path(text),
        AtomKind::Phrase => canon::phrase(text),
        AtomKind::Secret => (!text.is_empty()).then(|| text.to_owned()),
    };
    Atom::new(kind, canonical)
}

/// The kind in which a destination is spelt out, so that it cannot be meant for anything else.
pub fn own_kind(class: Class) -> Option<AtomKind> {
    match class {
        Class::DestEmail => Some(AtomKind::Email),
        Class::DestUrl => Some(AtomKind::Url),
        Class::DestAccount => Some(AtomKind::Account),
        // A name may be meant for anything; the others are no destinations.
        Class::DestName
        | Class::TargetId
        | Class::TargetName
        | Class::TargetPath
        | Class::Magnitude
        | Class::Credential
        | Class::Profile
        | Class::Command
        | Class::QuerySql
        | Class::Content
        | Class::Attachments
        | Class::Time
        | Class::Flag
        | Class::Selector => None,
    }
}

/// The atoms that a trusted leaf gives: those of its declared form, or what key and shape say.
pub fn given(form: Option<Form>, key: &str, value: &Value) -> Vec<Atom> {
    let Some(text) = plain(value) else { return Vec::new() };
    if canon::dirt(&text).is_some() {
        return Vec::new();
    }
    let kinds: Vec<AtomKind> = match form {
        Some(Form::Number) => vec![AtomKind::Number],
        Some(Form::Date | Form::Flag) => vec![],
        Some(Form::Id) => vec![AtomKind::Id],
        Some(Form::Email) => vec![AtomKind::Email],
        Some(Form::Url) => vec![AtomKind::Url],
        Some(Form::Account) => vec![AtomKind::Account],
        Some(Form::Path) => vec![AtomKind::Path],
        Some(Form::Name) => vec![AtomKind::Phrase],
        None => guessed(key, value, &text),
    };
    kinds.into_iter().filter_map(|kind| atom(kind, value, &text)).collect()
}

fn guessed(key: &str, value: &Value, text: &str) -> Vec<AtomKind> {
    let words = crate::define::catalogue::infer::words(key);
    let last = words.last().map_or("", String::as_str);
    if matches!(last, "id" | "ids" | "uuid" | "key" | "number" | "no") {
        return vec![AtomKind::Id];
    }
    if canon::is_date(text) {
        return vec![];
    }
    if value.is_number() {
        return vec![AtomKind::Number];
    }
    if canon::email(text).is_some() {
        return vec![AtomKind::Email];
    }
    if text.contains("://") || text.starts_with("www.") {
        return vec![AtomKind::Url];
    }
    if matches!(last, "iban" | "account" | "bic") {
        return vec![AtomKind::Account];
    }
    let one_word = !text.contains(char::is_whitespace);
    if one_word && (text.contains('/') || has_extension(text)) {
        return vec![AtomKind::Path];
    }
    if one_word && text.bytes().any(|b| b.is_ascii_digit()) {
        return vec![AtomKind::Id];
    }
    vec![AtomKind::Phrase]
}

/// Whether a path begins elsewhere than in the working directory, or is hidden there.
pub(super) fn is_rooted(text: &str) -> bool {
    text.starts_with(['/', '~', '.', '\\'])
}

/// `report.pdf`, `bill-december-2023.txt`; no `v1.2` and no sentence end.
pub(crate) fn has_extension(text: &str) -> bool {
    text.rsplit_once('.').is_some_and(|(stem, end)| {
        !stem.is_empty()
            && (2..=5).contains(&end.len())
            && end.bytes().all(|b| b.is_ascii_alphanumeric())
            && end.bytes().any(|b| b.is_ascii_alphabetic())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_form_gives_its_own_kind_only() {
        let kinds = |form, key: &str, value: Value| {
            given(form, key, &value).into_iter().map(|a| a.kind).collect::<Vec<_>>()
        };
        assert_eq!(kinds(Some(Form::Id), "x", json!("7")), [AtomKind::Id]);
        assert_eq!(kinds(Some(Form::Number), "x", json!(7)), [AtomKind::Number]);
        assert_eq!(kinds(None, "date", json!("2026-01-02")), []);
        assert_eq!(kinds(None, "file_id", json!(13)), [AtomKind::Id]);
        assert_eq!(kinds(None, "amount", json!(13.5)), [AtomKind::Number]);
        assert_eq!(kinds(None, "email", json!("a@b.example")), [AtomKind::Email]);
        assert_eq!(kinds(None, "iban", json!("DE89370400440532013000")), [AtomKind::Account]);
        assert_eq!(kinds(None, "name", json!("David Smith")), [AtomKind::Phrase]);
        assert_eq!(kinds(None, "name", json!("Dav\u{200b}id")), []);
    }

    #[test]
    fn nobody_is_paid_by_the_name_of_a_file() {
        let kinds =
            |class, value: &str| wanted(class, &json!(value)).into_iter().map(|a| a.kind).collect::<Vec<_>>();
        assert_eq!(kinds(Class::DestAccount, "bill-december-2023.txt"), []);
        assert_eq!(kinds(Class::DestAccount, "Spotify"), [AtomKind::Phrase]);
        assert_eq!(kinds(Class::DestAccount, "J. Smith"), [AtomKind::Phrase]);
        assert_eq!(kinds(Class::DestName, "news.txt"), [AtomKind::Phrase]);
    }
}
