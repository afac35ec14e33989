//! What stands in recorded outputs, place by place.

use super::{ISSUED_ID, Suggestion, THEIRS};
use aecl_kernel::define::catalogue::flow::{Form, OutputLabel, fits};
use aecl_kernel::define::catalogue::infer::{any, words};
use aecl_kernel::provenance::ingest::is_narrow;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Fewer values of a place, or calls, show nothing.
const VALUES_MIN: u64 = 4;
const CALLS_MIN: u64 = 2;
/// A place has words out of a list if it has at most so many, each seen so often on average.
const WORDS_MAX: usize = 8;
const WORDS_EACH: u64 = 4;
/// Different values of a place that are kept; with more it is no list of words.
const KEPT_MAX: usize = 64;
/// Places that are looked at, and values of one output.
const PLACES_MAX: usize = 512;
const LEAVES_MAX: usize = 20_000;

/// What was seen of the outputs of one action.
#[derive(Debug, Default)]
pub(super) struct Outputs {
    calls: u64,
    places: BTreeMap<String, Place>,
}

#[derive(Debug, Default)]
struct Place {
    /// In how many calls, and how often.
    calls: u64,
    count: u64,
    /// How many have each form, and are narrow.
    forms: [u64; FORMS.len()],
    narrow: u64,
    /// How many look like what a backend issues.
    issued: u64,
    texts: u64,
    kept: BTreeSet<String>,
    is_more: bool,
}

/// Forms that are looked for.
const FORMS: [Form; 5] = [Form::Id, Form::Date, Form::Email, Form::Url, Form::Number];

impl Outputs {
    pub fn calls(&self) -> u64 {
        self.calls
    }

    pub fn see(&mut self, output: &Value) {
        self.calls += 1;
        let mut seen = BTreeSet::new();
        let mut left = LEAVES_MAX;
        self.walk(output, String::new(), &mut seen, &mut left);
        for path in seen {
            if let Some(place) = self.places.get_mut(&path) {
                place.calls += 1;
            }
        }
    }

    fn walk(&mut self, value: &Value, path: String, seen: &mut BTreeSet<String>, left: &mut usize) {
        if *left == 0 || (self.places.len() >= PLACES_MAX && !self.places.contains_key(&path)) {
            return;
        }
        *left -= 1;
        match value {
            Value::Array(items) => {
                for item in items {
                    self.walk(item, format!("{path}/*"), seen, left);
                }
            }
            Value::Object(members) => {
                let is_map = is_map(members);
                for (name, member) in members {
                    let step =
                        if is_map { "*".to_owned() } else { name.replace('~', "~0").replace('/', "~1") };
                    self.walk(member, format!("{path}/{step}"), seen, left);
                }
            }
            Value::Null => {}
            leaf => {
                self.places.entry(path.clone()).or_default().see(leaf);
                seen.insert(path);
            }
        }
    }

    /// Labels for what has one form everywhere and is issued by a system, and for what looks like a secret. A place of which an entry
    /// says something already stays as it is.
    pub fn labels(&self, action: &str, before: &[OutputLabel]) -> Vec<Suggestion> {
        let is_said = |path: &str| before.iter().any(|label| fits(&label.path, path));
        let mut out = Vec::new();
        for (path, place) in &self.places {
            let proposal = |value: Value, loosens: bool, why: String| Suggestion {
                action: action.to_owned(),
                key: "outputs",
                value,
                loosens,
                why,
            };
            let seen = format!("{} values in {} calls", place.count, place.calls);
            if is_secret(name_of(path)) && place.texts > 0 {
                let is_secret = before.iter().find(|label| fits(&label.path, path));
                let conf = aecl_kernel::define::catalogue::flow::Conf::Secret;
                if is_secret.is_none_or(|label| label.conf != conf) {
                    let value = json!({ "path": path, "conf": "secret" });
                    out.push(proposal(value, false, format!("it is called like a secret; {seen}")));
                }
                continue;
            }
            if is_said(path) || !place.is_enough() {
                continue;
            }
            let label = |more: Value| {
                let mut label = Map::from_iter([
                    ("path".to_owned(), json!(path)),
                    ("endorses".to_owned(), "system".into()),
                    ("taints".to_owned(), false.into()),
                ]);
                label.extend(more.as_object().cloned().unwrap_or_default());
                Value::Object(label)
            };
            if place.issued == place.count && is_called_id(name_of(path)) {
                let why = format!("{seen}, all ids by name and form");
                out.push(proposal(label(json!({ "type": "id", "pattern": ISSUED_ID })), true, why));
            } else if place.has_all(Form::Date) {
                out.push(proposal(label(json!({ "type": "date" })), true, format!("{seen}, all dates")));
            } else if let Some(words) = place.words().filter(|_| !is_owner(name_of(path))) {
                let pattern = words.join("|");
                let why =
                    format!("{seen}, all out of {} words; another word stays a stranger's", words.len());
                out.push(proposal(label(json!({ "type": "name", "pattern": pattern })), true, why));
            }
        }
        out
    }

    /// Places with texts of which nothing is proposed.
    pub fn left(&self) -> Vec<(String, String)> {
        let places = self.places.iter().filter(|(path, place)| {
            let is_issued =
                (place.issued == place.count && is_called_id(name_of(path))) || place.has_all(Form::Date);
            place.is_enough()
                && place.texts > 0
                && !is_issued
                && (place.words().is_none() || is_owner(name_of(path)))
                && !is_secret(name_of(path))
        });
        let told = places.map(|(path, place)| {
            let what = match place {
                place if place.has_all(Form::Email) => "mail addresses",
                place if place.has_all(Form::Url) => "addresses",
                place if place.has_all(Form::Number) => "numbers as text",
                place if place.narrow == place.count => "names or short texts",
                _ => "text",
            };
            (path.clone(), format!("{} {what}", place.count))
        });
        told.collect()
    }

    /// Whether every answer has one id at this place.
    pub fn issues(&self, path: &str) -> bool {
        let place = self.places.get(path);
        place.is_some_and(|place| {
            place.calls == self.calls && place.count == place.calls && place.has_all(Form::Id)
        })
    }

    /// What of an answer about one thing rules could look at: where, and of which type.
    pub fn attributes(&self) -> Vec<(String, &'static str)> {
        let places =
            self.places.iter().filter(|(path, place)| !path.contains('*') && place.calls * 2 >= self.calls);
        let typed = places.filter_map(|(path, place)| {
            let name = name_of(path);
            let kind = match place {
                place if place.texts == 0 && place.has_all(Form::Number) => "decimal",
                place if place.texts == 0 => "bool",
                place if place.has_all(Form::Date) => "time",
                place if is_called_id(name) || is_owner(name) || place.words().is_some() => "text",
                _ => return None,
            };
            Some((path.clone(), kind))
        });
        typed.collect()
    }
}

impl Place {
    fn see(&mut self, leaf: &Value) {
        self.count += 1;
        for (form, count) in FORMS.into_iter().zip(&mut self.forms) {
            *count += u64::from(is_narrow(Some(form), leaf));
        }
        self.narrow += u64::from(is_narrow(None, leaf));
        self.issued += u64::from(match leaf {
            Value::Number(_) => is_narrow(Some(Form::Id), leaf),
            Value::String(text) => is_issued(text),
            _ => false,
        });
        let Some(text) = leaf.as_str() else { return };
        self.texts += 1;
        if self.kept.len() < KEPT_MAX {
            self.kept.insert(text.to_owned());
        } else {
            self.is_more |= !self.kept.contains(text);
        }
    }

    fn is_enough(&self) -> bool {
        self.count >= VALUES_MIN && self.calls >= CALLS_MIN
    }

    fn has_all(&self, form: Form) -> bool {
        self.count > 0 && FORMS.into_iter().zip(self.forms).any(|it| it == (form, self.count))
    }

    /// The words out of which all values are, if they are out of a list.
    fn words(&self) -> Option<Vec<String>> {
        let plain = |word: &String| {
            let letter = |c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '-');
            (1..=32).contains(&word.len()) && word.chars().all(letter)
        };
        let few =
            !self.is_more && self.kept.len() >= 2 && self.kept.len() <= WORDS_MAX && self.texts == self.count;
        let often = self.count >= self.kept.len() as u64 * WORDS_EACH && self.is_enough();
        (few && often && self.kept.iter().all(plain)).then(|| self.kept.iter().cloned().collect())
    }
}

/// Whether a text looks like an id that a backend has issued, as [`ISSUED_ID`] says it. Words with hyphens are what somebody wrote.
fn is_issued(text: &str) -> bool {
    let hex = |part: &str, lengths: std::ops::RangeInclusive<usize>| {
        lengths.contains(&part.len()) && part.bytes().all(|b| b.is_ascii_hexdigit())
    };
    let parts: Vec<&str> = text.split('-').collect();
    let is_uuid = parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12])
        && parts.iter().all(|part| hex(part, 4..=12));
    let is_digest = hex(text, 7..=64) && !text.bytes().any(|b| b.is_ascii_uppercase());
    let number = text.trim_start_matches(|c: char| c.is_ascii_alphabetic());
    let mark = text.len() - number.len();
    let number = number.strip_prefix(['-', '_', ':', '#']).filter(|_| mark > 0).unwrap_or(number);
    let is_number = number.starts_with(|c: char| c.is_ascii_digit())
        && number.len() <= 32
        && number.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    is_uuid || is_digest || (mark <= 8 && is_number)
}

/// The member that a place is in.
fn name_of(path: &str) -> &str {
    path.split('/').rev().find(|step| !matches!(*step, "*" | "")).unwrap_or_default()
}

/// Whether an object's keys are data: all of them have a digit or are mail addresses.
fn is_map(members: &Map<String, Value>) -> bool {
    members.len() >= 2
        && members.keys().all(|name| name.bytes().any(|b| b.is_ascii_digit()) || name.contains('@'))
}

pub(super) fn is_called_id(name: &str) -> bool {
    let words = words(name);
    // What somebody else has chosen is no id of this backend.
    if any(&words, &THEIRS) {
        return false;
    }
    words.last().is_some_and(|last| {
        ["id", "ids", "uuid", "guid", "key", "sha", "number", "iid", "ref", "sku"].contains(&last.as_str())
    })
}

fn is_owner(name: &str) -> bool {
    any(&words(name), &["owner", "author", "creator", "assignee", "reporter", "user"])
}

fn is_secret(name: &str) -> bool {
    let words = words(name);
    any(&words, &["password", "passphrase", "secret", "credential", "otp"])
        || (any(&words, &["token", "key"])
            && any(&words, &["api", "access", "auth", "private", "refresh", "session"]))
}
