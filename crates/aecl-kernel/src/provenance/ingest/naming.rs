//! Which records of an output the goal names. A record is named by a value of its own that stands in the goal, and only as
//! far as that value tells it apart: a city or a status that many records have proves of each of them only what they have in
//! common.

use super::{is_narrow, step};
use crate::define::catalogue::flow::{Endorses, OutputLabel, fits};
use crate::provenance::atoms::{Atom, AtomKind, plain};
use crate::provenance::canon;
use crate::provenance::goal::{MentionKind, ParsedGoal};
use serde_json::{Map, Value};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// The values by which the goal names records of one list.
#[derive(Debug, Default)]
pub(super) struct Naming<'v> {
    records: Vec<Option<&'v Map<String, Value>>>,
    /// For each record: its values that stand in the goal, and their fields. Its key has none.
    values: Vec<Vec<(String, Option<&'v str>)>>,
    /// The records that have such a value.
    having: BTreeMap<String, Vec<usize>>,
    /// Whether all that have it have the same in a field.
    agree: RefCell<BTreeMap<(String, String), bool>>,
}

/// Whether any value of an output is worth more where the goal names its record.
pub(super) fn is_asked(labels: &[OutputLabel]) -> bool {
    labels.iter().any(|label| label.endorses >= Endorses::Directory && label.endorses <= Endorses::System)
}

impl<'v> Naming<'v> {
    /// `records`: where each stands below `path`, its key where that is data, and itself.
    pub(super) fn of(
        goal: &ParsedGoal,
        labels: &[OutputLabel],
        path: &str,
        records: impl Iterator<Item = (String, Option<&'v str>, &'v Value)>,
    ) -> Self {
        let mut out = Self::default();
        for (i, (place, key, record)) in records.enumerate() {
            let map = record.as_object();
            let keyed = key.filter(|key| goal.names_record(key)).and_then(canon::phrase);
            let mut values: Vec<_> = keyed.map(|phrase| (phrase, None)).into_iter().collect();
            for (field, value) in map.into_iter().flatten() {
                if is_in_goal(goal, value) && tells(labels, &format!("{path}{place}{}", step(field)), value) {
                    values.extend(
                        plain(value).and_then(|text| Some((canon::phrase(&text)?, Some(field.as_str())))),
                    );
                }
            }
            for (phrase, _) in &values {
                let having = out.having.entry(phrase.clone()).or_default();
                if having.last() != Some(&i) {
                    having.push(i);
                }
            }
            out.records.push(map);
            out.values.push(values);
        }
        out
    }

    /// Whether the goal names this record by something else than this field, and what the field says is meant with it.
    pub(super) fn names(&self, record: usize, field: &str) -> bool {
        let values = self.values.get(record).map_or(&[][..], Vec::as_slice);
        values.iter().any(|(phrase, at)| *at != Some(field) && self.agree(phrase, field))
    }

    fn agree(&self, phrase: &str, field: &str) -> bool {
        let Some(having) = self.having.get(phrase).filter(|having| having.len() > 1) else { return true };
        let mut known = self.agree.borrow_mut();
        *known.entry((phrase.to_owned(), field.to_owned())).or_insert_with(|| {
            let mut said =
                having.iter().map(|i| self.records.get(*i).copied().flatten().and_then(|r| r.get(field)));
            let first = said.next();
            said.all(|other| Some(other) == first)
        })
    }
}

fn is_in_goal(goal: &ParsedGoal, value: &Value) -> bool {
    match value {
        Value::String(text) => goal.names_record(text),
        Value::Number(number) => {
            let id = Atom { kind: AtomKind::Id, text: number.to_string() };
            goal.names(&id).is_some_and(|how| how <= MentionKind::Typed)
        }
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => false,
    }
}

/// Whether a value may name its record: what a directory holds, its owner has written; of everything else only what is
/// vouched for, and where something is said to identify records, nothing else.
fn tells(labels: &[OutputLabel], at: &str, value: &Value) -> bool {
    let own = labels.iter().find(|label| fits(&label.path, at));
    if labels.iter().any(|label| label.identifies) {
        return own.is_some_and(|label| label.identifies);
    }
    let directory = labels.iter().any(|label| label.endorses == Endorses::Directory);
    directory && value.is_string()
        || own.is_some_and(|label| {
            label.endorses <= Endorses::System && !label.taints && is_narrow(label.form, value)
        })
}
