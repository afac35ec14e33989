//! An output, taken in: the labels of its values, and the atoms that later arguments may be proven by.
//!
//! One pass. Where the manifest declares nothing that could prove anything, not even that: the whole output
//! has one label, and its text is looked at only when a person wants to see where a value came from.

mod naming;
mod source;

use super::atoms::{self, Atom};
use super::canon;
use super::goal::{Clauses, ParsedGoal, Superlative};
use super::labels::{Labels, SECRET, SECRET_UNTRACKED};
use crate::base::json::{Document, Limits};
use crate::define::catalogue::TypedAction;
use crate::define::catalogue::flow::{Conf, Endorses, Form, OutputLabel, fits};
use naming::Naming;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Longest output that is read for labels, in bytes; of a longer one everything is a stranger's.
pub const READ_MAX: usize = 8 << 20;
/// Longest trusted value, in bytes. The guard for narrow values is much stricter.
const LEAF_MAX: usize = 64 << 10;
/// Most that a run may rest on, in bytes of its atoms. What is beyond proves nothing, so it asks.
pub const TRUSTED_MAX: u64 = 1 << 20;
/// Most atoms of one output that prove something, and most that must not leave.
const ATOMS_MAX: usize = 4096;
/// Longest narrow value, in characters, and its most words.
const NARROW: (usize, usize) = (64, 3);

/// Endorsement of an atom: what it is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Endorsement {
    /// Who stands behind it.
    pub by: Endorses,
    /// The goal names another value of the same record.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub named: bool,
    /// In which clauses of the goal. Of what was read before this was looked at it is not known, and may be any.
    #[serde(default, skip_serializing_if = "Clauses::are_none")]
    pub clauses: Clauses,
    /// It must not leave.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub secret: bool,
}

impl Endorsement {
    /// The word of somebody, and no more.
    pub fn of(by: Endorses) -> Self {
        Self { by, named: false, clauses: Clauses::default(), secret: false }
    }
}

/// An atom with what it is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trusted {
    /// The atom.
    pub atom: Atom,
    /// Its worth.
    pub mark: Endorsement,
}

/// Labels and trusted values that an output brings into a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ingested {
    /// What the run has seen from now on.
    pub labels: Labels,
    /// What arguments may be proven by.
    pub trusted: Vec<Trusted>,
}

/// Whether anything in the output of an action can prove something or carries a label of its own.
pub fn is_read(typed: &TypedAction) -> bool {
    let manifest = &typed.manifest;
    !manifest.outputs.is_empty() || (!manifest.output.untrusted && !manifest.effect.changes_something())
}

/// Whether what an output proves depends on the goal of its run.
pub fn reads_goal(typed: &TypedAction) -> bool {
    naming::is_asked(&typed.manifest.outputs) || !typed.manifest.effect.changes_something()
}

/// What the output of an action may carry, if nobody here reads it.
pub fn at_worst(typed: &TypedAction) -> Labels {
    let mut labels = Labels::of(&typed.manifest.output);
    labels.untrusted |= !typed.manifest.outputs.is_empty();
    // What was not read may hold the secret.
    if typed.manifest.outputs.iter().any(|label| label.conf == Conf::Secret) {
        labels.classes.extend([SECRET.to_owned(), SECRET_UNTRACKED.to_owned()]);
    }
    labels
}

/// Takes an output in. `failed`: the target reported an error, whose words are anybody's. `goal`: of the run, unless it
/// was stated after strangers had been read. `arguments`: of the call. Without any, nobody has narrowed what it lists; where
/// the goal names one of them, it names the source.
pub fn ingest(
    typed: &TypedAction,
    output: &[u8],
    failed: bool,
    goal: Option<&ParsedGoal>,
    arguments: Option<&Value>,
) -> Ingested {
    let whole = arguments.is_some_and(is_empty);
    let led = match (goal, arguments) {
        (Some(goal), Some(arguments)) if !failed && !typed.manifest.effect.changes_something() => {
            source::led_on(goal, arguments, output)
        }
        _ => None,
    };
    let declared = Labels::of(&typed.manifest.output);
    if !is_read(typed) {
        return Ingested { labels: declared, trusted: led.into_iter().collect() };
    }
    let strict = || Ingested { labels: at_worst(typed), trusted: Vec::new() };
    let limits = Limits { bytes_max: READ_MAX, ..Limits::default() };
    let read = match Document::read(output, &limits) {
        Ok(value) if !failed => value,
        // What is no JSON is one value; what cannot be read, or reports an error, is a stranger's.
        Err(_) if !failed && output.len() <= READ_MAX => match std::str::from_utf8(output) {
            Ok(text) => Value::String(text.to_owned()),
            Err(_) => return strict(),
        },
        Ok(_) | Err(_) => return strict(),
    };
    let Some((root, apart)) = envelope(read) else { return strict() };
    let (path, nameable) = (String::new(), naming::VALUES_MAX);
    let mut walk =
        Walk { typed, goal, whole, out: Ingested::default(), path, inner: 0, nameable, secrets: 0 };
    walk.out.labels.classes.clone_from(&typed.manifest.output.classes);
    walk.value(&root, "", Clauses::default());
    if apart {
        walk.out.labels.join(&strict().labels);
    }
    walk.out.trusted.extend(led);
    // Where there is no room for all, what must not leave comes first.
    walk.out.trusted.sort_by_key(|trusted| !trusted.mark.secret);
    walk.out
}

fn is_empty(arguments: &Value) -> bool {
    arguments.as_object().is_some_and(|arguments| arguments.values().all(Value::is_null))
}

/// The value that an output is about, whether a tool of MCP wraps it or not. Nothing where it is no JSON or reports an error.
pub fn answer(output: &[u8]) -> Option<Value> {
    let limits = Limits { bytes_max: READ_MAX, ..Limits::default() };
    let (value, _) = envelope(Document::read(output, &limits).ok()?)?;
    (value.is_object() || value.is_array()).then_some(value)
}

/// The value that labels speak of, and whether something stands beside it that they do not speak of.
/// Nothing, if the tool reports an error.
fn envelope(value: Value) -> Option<(Value, bool)> {
    let is_block = |block: &Value| block.get("type").is_some_and(Value::is_string);
    let structured = value.get("structuredContent").is_some_and(|s| !s.is_null());
    match value.get("content").and_then(Value::as_array) {
        Some(content) if content.iter().all(is_block) && (structured || !content.is_empty()) => {}
        Some(_) | None => return Some((value, false)),
    }
    if value.get("isError").and_then(Value::as_bool) == Some(true) {
        return None;
    }
    let Value::Object(mut members) = value else { return None };
    let Some(Value::Array(content)) = members.remove("content") else { return None };
    // Pictures, sounds and links are nobody's values.
    let texts: Option<Vec<&str>> = content
        .iter()
        .map(|block| {
            let is_text = block.get("type").and_then(Value::as_str) == Some("text");
            block.get("text").and_then(Value::as_str).filter(|_| is_text)
        })
        .collect();
    if let Some(structured) = members.remove("structuredContent").filter(|s| !s.is_null()) {
        let apart = texts.is_none_or(|texts| !texts.iter().all(|text| repeats(&structured, text)));
        return Some((structured, apart));
    }
    match texts?.as_slice() {
        [one] => Some((said(one), false)),
        many => Some((Value::Array(many.iter().map(|text| said(text)).collect()), false)),
    }
}

/// A text as JSON, or else as itself.
fn said(text: &str) -> Value {
    let limits = Limits { bytes_max: READ_MAX, ..Limits::default() };
    // Most texts are no JSON, and do not look like it.
    let looks = text
        .trim_start()
        .starts_with(|c: char| matches!(c, '{' | '[' | '"' | '-' | 't' | 'f' | 'n' | '0'..='9'));
    let read = looks.then(|| Document::read(text.as_bytes(), &limits).ok()).flatten();
    read.unwrap_or_else(|| Value::String(text.to_owned()))
}

/// Whether a text beside structured content only says the same again.
fn repeats(structured: &Value, text: &str) -> bool {
    let result = structured.get("result").filter(|_| structured.as_object().is_some_and(|o| o.len() == 1));
    let said = said(text);
    let same = |value: &Value| *value == said || value.as_str() == Some(text);
    same(structured)
        || result.is_some_and(|r| same(r) || r.as_array().is_some_and(|items| items.iter().any(same)))
}

/// A step of a JSON pointer.
fn step(name: &str) -> String {
    format!("/{}", name.replace('~', "~0").replace('/', "~1"))
}

struct Walk<'a> {
    typed: &'a TypedAction,
    goal: Option<&'a ParsedGoal>,
    whole: bool,
    out: Ingested,
    path: String,
    /// In how many lists, and parts of records, this is.
    inner: usize,
    /// How many values may still be compared with the goal.
    nameable: usize,
    /// How many of what is kept are secret values.
    secrets: usize,
}

impl Walk<'_> {
    fn value(&mut self, value: &Value, key: &str, named: Clauses) {
        let none = Clauses::default();
        match value {
            Value::Object(map) if self.is_keyed(map) => {
                let records = map.iter().map(|(key, record)| (step(key), Some(key.as_str()), record));
                let naming = self.naming(records);
                for (i, (key, record)) in map.iter().enumerate() {
                    self.key(key);
                    self.inside(key, |walk| walk.one_of(record, (&naming, i), none, ("", none)));
                }
            }
            Value::Object(map) => {
                let naming = self.naming(std::iter::once((String::new(), None, value)));
                self.record(map, (&naming, 0), none);
            }
            Value::Array(items) => {
                let extreme = self.extreme(items);
                let naming =
                    self.naming(items.iter().enumerate().map(|(i, item)| (format!("/{i}"), None, item)));
                for (i, item) in items.iter().enumerate() {
                    let meant = extreme.filter(|(place, _)| *place == i).map_or(none, |(_, clauses)| clauses);
                    self.inside(&i.to_string(), |walk| walk.one_of(item, (&naming, i), meant, (key, named)));
                }
            }
            leaf => self.leaf(leaf, key, named),
        }
    }

    /// One of a list. `meant`: where the goal means this one. `own`: of what is no record, its key and where it is named.
    fn one_of(&mut self, item: &Value, at: (&Naming<'_>, usize), meant: Clauses, own: (&str, Clauses)) {
        match item {
            Value::Object(map) if !self.is_keyed(map) => self.record(map, at, meant),
            other => self.value(other, own.0, own.1),
        }
    }

    fn record(&mut self, map: &Map<String, Value>, (naming, i): (&Naming<'_>, usize), meant: Clauses) {
        // Of several parts of a record each is one of a kind, so that a name in it says nothing.
        let parts = map.values().filter(|value| value.is_object()).count();
        self.inner += usize::from(parts > 1);
        for (name, value) in map {
            self.key(name);
            self.below(name, |walk| walk.value(value, name, meant | naming.names(i, name)));
        }
        self.inner -= usize::from(parts > 1);
    }

    /// Whether the keys of an object are data: what a label says of it holds below any of them.
    fn is_keyed(&self, map: &Map<String, Value>) -> bool {
        let any = |label: &OutputLabel| {
            let mut wanted = label.path.split('/');
            let fits = |step: &str| wanted.next().is_some_and(|want| want == "*" || want == step);
            self.path.split('/').all(fits) && wanted.next() == Some("*") && wanted.next().is_some()
        };
        !map.is_empty() && map.values().all(Value::is_object) && self.typed.manifest.outputs.iter().any(any)
    }

    /// The record that a goal means by "the largest" or "the oldest": in a list that nobody has narrowed, by the one
    /// number, or date, that the system itself gives each of them. With where the goal says so.
    fn extreme(&self, items: &[Value]) -> Option<(usize, Clauses)> {
        let (extreme, clauses) = self.goal?.extreme.filter(|_| self.whole && items.len() > 1)?;
        let form = match extreme {
            Superlative::Largest | Superlative::Smallest => Form::Number,
            Superlative::Newest | Superlative::Oldest => Form::Date,
        };
        let item = format!("{}/0", self.path);
        let labels = self.typed.manifest.outputs.iter();
        let mut fields = labels.filter_map(|label| {
            let (record, field) = label.path.rsplit_once('/')?;
            let own = label.endorses <= Endorses::System && !label.taints && label.form == Some(form);
            (own && fits(record, &item)).then_some(field)
        });
        let field = fields.next().filter(|_| fields.next().is_none())?;
        let value = |item: &Value| {
            let value = item.get(field).filter(|value| is_narrow(Some(form), value))?;
            Rank::of(form, value)
        };
        let ranks: Vec<Rank> = items.iter().map(value).collect::<Option<_>>()?;
        let alike = ranks.windows(2).all(|pair| matches!(pair, [a, b] if a.compares(b)));
        let most = match extreme {
            Superlative::Largest | Superlative::Newest => ranks.iter().max(),
            Superlative::Smallest | Superlative::Oldest => ranks.iter().min(),
        }?;
        let mut places = ranks.iter().enumerate().filter(|(_, rank)| *rank == most).map(|(i, _)| i);
        let place = places.next()?;
        (alike && places.next().is_none()).then_some((place, clauses))
    }

    /// The same inside of a list.
    fn inside(&mut self, name: &str, visit: impl FnOnce(&mut Self)) {
        self.inner += 1;
        self.below(name, visit);
        self.inner -= 1;
    }

    fn below(&mut self, name: &str, visit: impl FnOnce(&mut Self)) {
        let length = self.path.len();
        self.path.push_str(&step(name));
        visit(self);
        self.path.truncate(length);
    }

    /// A key is data, too: one that can speak is a stranger's.
    fn key(&mut self, name: &str) {
        if !is_narrow(None, &Value::String(name.to_owned())) {
            self.out.labels.untrusted = true;
        }
    }

    /// Which of these records the goal means, by what they say of themselves: each with where it stands below here, and
    /// its key where that is data. What stands inside of a record has others of its kind in other records, so no name in
    /// it tells it apart.
    fn naming<'v>(
        &mut self,
        records: impl Iterator<Item = (String, Option<&'v str>, &'v Value)>,
    ) -> Naming<'v> {
        let asked = self.inner == 0 && naming::is_asked(&self.typed.manifest.outputs);
        let Some(goal) = self.goal.filter(|_| asked) else { return Naming::default() };
        let path = &self.path;
        let records =
            records.map(|(place, key, value)| naming::Record { path: format!("{path}{place}"), key, value });
        Naming::of(goal, self.typed, records, &mut self.nameable)
    }

    fn leaf(&mut self, value: &Value, key: &str, named: Clauses) {
        let found =
            self.typed.manifest.outputs.iter().enumerate().find(|(_, label)| fits(&label.path, &self.path));
        let Some((i, label)) = found else { return self.undeclared(value, key) };
        let holds = is_narrow(label.form, value)
            && atoms::plain(value).is_none_or(|text| self.typed.has_pattern(i, &text));
        self.out.labels.private |= label.conf >= Conf::Private;
        if label.conf == Conf::Secret {
            self.secret(value);
        }
        // A label that is not kept is a lie, whoever told it.
        let taints = label.taints || !holds;
        self.out.labels.untrusted |= taints && can_speak(value);
        if holds && proves(self.typed, label) {
            let mark =
                Endorsement { named: !named.are_none(), clauses: named, ..Endorsement::of(label.endorses) };
            self.trust(label.form, key, value, mark);
        }
    }

    /// A value of which no label speaks: as `output` says.
    fn undeclared(&mut self, value: &Value, key: &str) {
        let output = &self.typed.manifest.output;
        self.out.labels.private |= output.private;
        self.out.labels.untrusted |= output.untrusted && can_speak(value);
        let read = !self.typed.manifest.effect.changes_something();
        if !output.untrusted && read && is_narrow(None, value) {
            self.trust(None, key, value, Endorsement::of(Endorses::System));
        }
    }

    fn secret(&mut self, value: &Value) {
        self.out.labels.classes.insert(SECRET.to_owned());
        let Some(text) = atoms::plain(value).filter(|text| !text.is_empty()) else { return };
        // A secret of four digits stands in many texts, and a long one is rarely repeated as a whole.
        if !(6..=256).contains(&text.len()) || self.secrets >= ATOMS_MAX {
            self.out.labels.classes.insert(SECRET_UNTRACKED.to_owned());
            return;
        }
        self.secrets += 1;
        let atom = Atom { kind: atoms::AtomKind::Secret, text };
        let mark = Endorsement { secret: true, ..Endorsement::of(Endorses::Made) };
        self.out.trusted.push(Trusted { atom, mark });
    }

    fn trust(&mut self, form: Option<Form>, key: &str, value: &Value, mark: Endorsement) {
        for atom in atoms::given(form, key, value) {
            self.push(Trusted { atom, mark });
        }
    }

    fn push(&mut self, trusted: Trusted) {
        if self.out.trusted.len() - self.secrets < ATOMS_MAX && trusted.atom.text.len() <= LEAF_MAX {
            self.out.trusted.push(trusted);
        }
    }
}

/// Where a record stands among others.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Number(Decimal),
    Date(String),
}

impl Rank {
    fn of(form: Form, value: &Value) -> Option<Self> {
        if form == Form::Number {
            let text = atoms::plain(value)?;
            return Decimal::from_str_exact(&canon::number(&text)?).ok().map(Self::Number);
        }
        let text = value.as_str()?;
        let year = text.bytes().take_while(u8::is_ascii_digit).count() == 4;
        year.then(|| Self::Date(text.to_owned()))
    }

    /// Dates are in order as text if they are all written in one way, the year first.
    fn compares(&self, other: &Self) -> bool {
        let shape = |text: &str| text.replace(|c: char| c.is_ascii_digit(), "0");
        match (self, other) {
            (Self::Number(_), Self::Number(_)) => true,
            (Self::Date(a), Self::Date(b)) => shape(a) == shape(b),
            (Self::Number(_), Self::Date(_)) | (Self::Date(_), Self::Number(_)) => false,
        }
    }
}

/// Whether a label can prove anything: what a change answers must have a form.
fn proves(typed: &TypedAction, label: &OutputLabel) -> bool {
    let formed = label.form.is_some() || label.pattern.is_some();
    label.endorses < Endorses::Made && (formed || !typed.manifest.effect.changes_something())
}

/// Numbers, switches and nothing at all carry no words.
fn can_speak(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.is_empty())
}

/// Whether a value is too narrow to say anything but itself, and has the form.
pub fn is_narrow(form: Option<Form>, value: &Value) -> bool {
    let text = match value {
        Value::String(text) => text,
        Value::Number(_) => return matches!(form, None | Some(Form::Number | Form::Id)),
        Value::Bool(_) => return matches!(form, None | Some(Form::Flag)),
        Value::Null => return true,
        Value::Array(_) | Value::Object(_) => return false,
    };
    let (chars, words) = NARROW;
    if text.chars().take(chars + 1).count() > chars || text.split_whitespace().take(words + 1).count() > words
    {
        return false;
    }
    if canon::dirt(text).is_some() {
        return false;
    }
    match form {
        None | Some(Form::Name) => true,
        Some(Form::Number) => canon::number(text).is_some(),
        Some(Form::Date) => canon::is_date(text),
        Some(Form::Flag) => matches!(text.as_str(), "true" | "false" | "yes" | "no"),
        Some(Form::Id) => canon::id(text).is_some(),
        Some(Form::Email) => canon::email(text).is_some(),
        Some(Form::Url) => canon::url(text).is_some(),
        Some(Form::Account) => canon::account(text).is_some(),
        Some(Form::Path) => canon::path(text).is_some(),
    }
}
