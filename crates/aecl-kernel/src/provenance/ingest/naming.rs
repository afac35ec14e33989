//! Which records of an output the goal names. A record is named by a value of its own that stands in the goal, and only as
//! far as that value tells it apart: a city or a status that many records have proves of each of them only what they have in
//! common.

use super::{is_narrow, step};
use crate::define::catalogue::TypedAction;
use crate::define::catalogue::flow::{Endorses, OutputLabel, fits};
use crate::provenance::atoms::{Atom, AtomKind, plain};
use crate::provenance::canon;
use crate::provenance::goal::{Clauses, ParsedGoal};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// Most values of one output that are compared with the goal. What comes after names nothing.
pub(super) const VALUES_MAX: usize = 10_000;
/// Most different values by which the goal may name records of one list. With more, it names none.
const NAMES_MAX: usize = 64;

/// The values by which the goal names records of one list.
#[derive(Debug, Default)]
pub(super) struct Naming<'v> {
    /// For each record: which of the names it has, and in which field. Several fields, or its key, are none.
    values: Vec<BTreeMap<usize, Option<&'v str>>>,
    /// For each name: where the goal has it.
    places: Vec<Clauses>,
    /// For each name that several records have: the fields in which all of these say the same.
    agree: Vec<Option<BTreeSet<&'v str>>>,
}

/// The records that have a name.
type Having<'v> = Vec<&'v Map<String, Value>>;

/// One of the records of a list.
pub(super) struct Record<'v> {
    /// Where it stands.
    pub(super) path: String,
    /// Its key, where that is data.
    pub(super) key: Option<&'v str>,
    /// Itself, whatever it is.
    pub(super) value: &'v Value,
}

/// Whether any value of an output is worth more where the goal names its record.
pub(super) fn is_asked(labels: &[OutputLabel]) -> bool {
    labels.iter().any(|label| label.endorses >= Endorses::Directory && label.endorses <= Endorses::System)
}

impl<'v> Naming<'v> {
    /// `left`: how many values may still be compared with the goal.
    pub(super) fn of(
        goal: &ParsedGoal,
        typed: &TypedAction,
        records: impl Iterator<Item = Record<'v>>,
        left: &mut usize,
    ) -> Self {
        let identified = typed.manifest.outputs.iter().any(|label| label.identifies);
        let mut names: BTreeMap<String, (usize, Having<'v>)> = BTreeMap::new();
        let mut places: BTreeMap<usize, Clauses> = BTreeMap::new();
        let mut out = Self::default();
        for Record { path, key, value } in records {
            let mut own = BTreeMap::new();
            let map = value.as_object();
            let fields = map.into_iter().flatten().map(|(field, value)| (Some(field.as_str()), value));
            let is_directory = is_directory(&typed.manifest.outputs, &path);
            let mut said: Vec<(Option<&'v str>, String, Clauses)> = Vec::new();
            if let Some(key) = key.filter(|_| !identified && *left > 0) {
                *left -= 1;
                let named = goal.names_record(key);
                said.extend(named.and_then(|clauses| Some((None, canon::phrase(key)?, clauses))));
            }
            for (field, value) in fields {
                let at = || format!("{path}{}", step(field.unwrap_or_default()));
                let tells = (is_directory && !identified && value.is_string())
                    || vouched(typed, &at(), value).is_some_and(|label| !identified || label.identifies);
                if *left == 0 || !tells {
                    continue;
                }
                *left -= 1;
                // One name of several is enough only where the owner of a directory has given it.
                let whole = |text: &str| is_directory || is_whole_in_goal(goal, text);
                let text = plain(value).filter(|text| whole(text));
                let named = text.and_then(|text| Some((field, canon::phrase(&text)?, in_goal(goal, value)?)));
                said.extend(named);
            }
            for (field, phrase, clauses) in said {
                let next = names.len();
                let (number, having) = names.entry(phrase).or_insert((next, Vec::new()));
                let place = places.entry(*number).or_default();
                *place = *place | clauses;
                match own.entry(*number) {
                    std::collections::btree_map::Entry::Vacant(place) => {
                        place.insert(field);
                        having.extend(map);
                    }
                    std::collections::btree_map::Entry::Occupied(mut place) => drop(place.insert(None)),
                }
            }
            out.values.push(own);
        }
        // What was not compared may be named, too.
        if names.len() > NAMES_MAX || *left == 0 {
            return Self::default();
        }
        let mut agree: Vec<_> =
            names.into_values().map(|(number, having)| (number, agreed(&having))).collect();
        agree.sort_by_key(|(number, _)| *number);
        out.places = places.into_values().collect();
        out.agree = agree.into_iter().map(|(_, fields)| fields).collect();
        out
    }

    /// Where the goal names this record by something else than this field, so that what the field says is meant with it.
    pub(super) fn names(&self, record: usize, field: &str) -> Clauses {
        let values = self.values.get(record).into_iter().flatten();
        let naming = values.filter(|(name, at)| {
            let agree = self
                .agree
                .get(**name)
                .is_some_and(|fields| fields.as_ref().is_none_or(|f| f.contains(field)));
            **at != Some(field) && agree
        });
        naming.filter_map(|(name, _)| self.places.get(*name)).fold(Clauses::default(), |all, one| all | *one)
    }
}

/// The fields in which all of several records say the same.
fn agreed<'v>(having: &[&'v Map<String, Value>]) -> Option<BTreeSet<&'v str>> {
    let (first, others) = having.split_first().filter(|(_, others)| !others.is_empty())?;
    let mut fields: BTreeSet<&str> = first.keys().map(String::as_str).collect();
    for other in others {
        fields.retain(|field| first.get(*field) == other.get(*field));
    }
    Some(fields)
}

/// Whether all of a text stands in the goal, as one.
fn is_whole_in_goal(goal: &ParsedGoal, text: &str) -> bool {
    let atoms = [(AtomKind::Phrase, canon::phrase(text)), (AtomKind::Id, canon::id(text))];
    let mut atoms = atoms.into_iter().filter_map(|(kind, text)| Some(Atom { kind, text: text? }));
    atoms.any(|atom| goal.names(&atom).is_some())
}

/// Where the goal names a value, if it does.
fn in_goal(goal: &ParsedGoal, value: &Value) -> Option<Clauses> {
    match value {
        Value::String(text) => goal.names_record(text),
        Value::Number(number) => goal.names_number(&number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Whether a record is one of a directory: what such a one holds, its owner has written.
fn is_directory(labels: &[OutputLabel], record: &str) -> bool {
    labels.iter().any(|label| {
        let above = label.path.rsplit_once('/').map_or("", |(above, _)| above);
        label.endorses == Endorses::Directory && fits(above, record)
    })
}

/// The label that vouches for this value, if one does.
fn vouched<'t>(typed: &'t TypedAction, at: &str, value: &Value) -> Option<&'t OutputLabel> {
    let labels = typed.manifest.outputs.iter().enumerate();
    let (i, label) = labels.into_iter().find(|(_, label)| fits(&label.path, at))?;
    let holds = label.endorses <= Endorses::System && !label.taints && is_narrow(label.form, value);
    (holds && plain(value).is_none_or(|text| typed.has_pattern(i, &text))).then_some(label)
}
