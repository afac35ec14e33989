//! Situations in which an action is looked at, from the best to the worst.

use crate::residual::choices;
use crate::situation::AssumedSituation;
use aecl_kernel::base::amount::decimal;
use aecl_kernel::base::id::BadId;
use aecl_kernel::define::catalogue::cases::CallCase;
use aecl_kernel::define::catalogue::flow::Class;
use aecl_kernel::define::catalogue::{Effect, TypedAction, pointer_of};
use aecl_kernel::define::manifest::Strictness;
use aecl_kernel::policy::bundle::Bundle;
use aecl_kernel::provenance::goal::IntentMatch;
use aecl_kernel::provenance::labels::Labels;
use aecl_kernel::provenance::proof::Provenance;
use aecl_kernel::read::action::Action;
use rust_decimal::Decimal;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// A goal that asks for no action, and whose word a line may make one that does.
pub(super) const WORD: &str = "aeclwhy";

/// A situation, and what is supposed in it.
#[derive(Debug, Clone)]
pub(super) struct Moment {
    pub when: &'static str,
    pub situation: AssumedSituation,
    pub suppose: Suppose,
    pub told: BTreeSet<String>,
    pub thing: Thing,
}

/// What is known of the thing that the action acts on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Thing {
    /// The question says.
    Given,
    /// Nobody asks.
    LeftOut,
    /// It could not be read, and this alone is what is looked at.
    Unread,
}

/// What is supposed of where the arguments come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Suppose {
    /// What the goal says.
    Gathered,
    /// The user has named every value, and asks for exactly this.
    Named,
    /// The user asks for it, and has named no value.
    Unnamed,
    /// The user has named every value, and asks for what the goal says.
    ByGoal,
    /// The user has named every value and asks for one, and this is the second.
    Again,
    /// The user has named nothing and asks for nothing.
    Nothing,
}

impl Suppose {
    pub(super) fn of(self, action: &Action, found: Option<Provenance>) -> Option<Provenance> {
        let named = Provenance::as_if_asked_for(action);
        let asked = IntentMatch::Strongly { verb: String::new() };
        match self {
            Suppose::Gathered => found,
            Suppose::Named => named,
            Suppose::Again => {
                named.map(|named| Provenance { earlier: 1, plural: false, asks: asked, ..named })
            }
            Suppose::Unnamed => found.map(|found| Provenance {
                asks: asked,
                plural: true,
                delegates: false,
                elsewhere: false,
                ..found
            }),
            Suppose::ByGoal => match (named, found) {
                (Some(named), Some(found)) => Some(Provenance {
                    asks: found.asks,
                    delegates: found.delegates,
                    plural: found.plural,
                    ..named
                }),
                (named, None) => named,
                (None, found) => found,
            },
            Suppose::Nothing => found.map(|found| Provenance { delegates: false, ..found }),
        }
    }
}

impl Moment {
    /// The arguments that are tried.
    pub(super) fn arguments(&self) -> Value {
        serde_json::from_slice(&self.situation.arguments).unwrap_or(Value::Null)
    }
}

const READ: Labels = Labels { untrusted: true, private: false, classes: BTreeSet::new() };
const PRIVATE: Labels = Labels { untrusted: true, private: true, classes: BTreeSet::new() };

/// Those of an action whose arguments nobody has given; none where no call of this kind was found.
pub(super) fn of_action(
    asked: &AssumedSituation,
    bundle: &Bundle,
    entry: &TypedAction,
    variant: &TypedAction,
) -> Result<Vec<Moment>, BadId> {
    let Some(arguments) = sample(asked, bundle, entry, variant)? else { return Ok(Vec::new()) };
    let asked = AssumedSituation { arguments: arguments.to_string().into_bytes(), ..asked.clone() };
    let mut out = of_call(&asked, bundle, variant, false);
    for (when, name, value) in worse(bundle, variant, &arguments) {
        let mut other = arguments.clone();
        if let Some(place) = other.as_object_mut() {
            place.insert(name, value);
        }
        let situation = AssumedSituation { arguments: other.to_string().into_bytes(), ..asked.clone() };
        out.push(Moment { when, situation, ..plain(&asked) });
    }
    Ok(out)
}

/// Every call, as the user wants it.
fn plain(asked: &AssumedSituation) -> Moment {
    let thing = if asked.resources.is_empty() { Thing::LeftOut } else { Thing::Given };
    let situation = AssumedSituation { goal: None, labels: Labels::default(), ..asked.clone() };
    let (suppose, told) = (Suppose::Named, BTreeSet::new());
    Moment { when: "every call", situation, suppose, told, thing }
}

/// Those of a call, or of the sample that stands for one.
pub(super) fn of_call(
    asked: &AssumedSituation,
    bundle: &Bundle,
    typed: &TypedAction,
    given: bool,
) -> Vec<Moment> {
    let base = plain(asked);
    let with = |when, labels: Labels, goal: Option<&str>, suppose| {
        let situation = AssumedSituation { labels, goal: goal.map(str::to_owned), ..base.situation.clone() };
        Moment { when, situation, suppose, ..base.clone() }
    };
    let mut out = Vec::new();
    if let Some(goal) = &asked.goal {
        let by = if given { Suppose::Gathered } else { Suppose::ByGoal };
        out.push(with("this call", Labels::default(), Some(goal), by));
        out.push(with("after a stranger's text was read", READ, Some(goal), by));
        out.push(with("after private data was read, too", PRIVATE, Some(goal), by));
    } else {
        let none = Labels::default();
        out.push(base.clone());
        out.push(with("values that nobody has named", none.clone(), Some(WORD), Suppose::Unnamed));
        out.push(with("what the goal does not ask for", none, Some(WORD), Suppose::ByGoal));
        out.push(with("after a stranger's text was read", READ, None, Suppose::Named));
        out.push(with("after private data was read, too", PRIVATE, None, Suppose::Named));
        out.push(with(
            "after a stranger's text: values that nobody has named",
            READ,
            Some(WORD),
            Suppose::Unnamed,
        ));
        out.push(with(
            "after a stranger's text: what the goal does not ask for",
            READ,
            Some(WORD),
            Suppose::ByGoal,
        ));
        out.push(with("after a stranger's text: once more than the goal asks", READ, None, Suppose::Again));
        let strict = bundle.agent(&asked.agent).is_some_and(|a| a.mode == Strictness::Strict);
        if strict {
            let mut told = with("what a stranger's sentence says", READ, Some(WORD), Suppose::Nothing);
            told.told = pointers(&told.arguments());
            out.push(told);
        }
    }
    if asked.resources.is_empty() && typed.manifest.resource.is_some() {
        // Somebody has looked, and knows of something else.
        let mut situation = base.situation.clone();
        situation.resources.insert(String::new(), Map::new());
        out.push(Moment { when: "the thing cannot be read", thing: Thing::Unread, situation, ..base });
    }
    out
}

/// Where the values of arguments stand.
fn pointers(arguments: &Value) -> BTreeSet<String> {
    fn walk(value: &Value, at: &str, out: &mut BTreeSet<String>) {
        match value {
            Value::Object(members) => members.iter().for_each(|(name, value)| {
                walk(value, &format!("{at}{}", pointer_of(name)), out);
            }),
            Value::Array(items) => {
                items.iter().enumerate().for_each(|(i, value)| walk(value, &format!("{at}/{i}"), out));
            }
            _ => drop(out.insert(at.to_owned())),
        }
    }
    let mut out = BTreeSet::new();
    walk(arguments, "", &mut out);
    out
}

/// Most values of an argument, and most sets of arguments, that are tried for a sample.
const TRIES: (usize, usize) = (16, 256);

/// Arguments that stand for those of any call of this kind, every one if that is understood; nothing if none were found.
fn sample(
    asked: &AssumedSituation,
    bundle: &Bundle,
    entry: &TypedAction,
    variant: &TypedAction,
) -> Result<Option<Value>, BadId> {
    let required = |name: &str| {
        let list = variant.schema.get("required").and_then(Value::as_array);
        list.is_some_and(|list| list.iter().any(|r| r.as_str() == Some(name)))
    };
    // What says which kind of call it is.
    let decides = |name: &str| {
        let mut places = entry.manifest.cases.iter().flat_map(|case| case.when.keys());
        places.any(|at| CallCase::argument(at).is_some_and(|other| other == name))
    };
    let properties = variant.schema.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
    // The plainest values first, and others where these are not taken.
    for (all, wide) in [(true, false), (false, false), (true, true), (false, true)] {
        let mut sets: Vec<Map<String, Value>> = vec![Map::new()];
        for (name, schema) in properties.iter().filter(|(name, _)| all || required(name)) {
            let pointer = pointer_of(name);
            let mut values = own(variant, &pointer, schema);
            values.extend(choices(variant, &pointer, schema));
            values.truncate(if wide || decides(name) { TRIES.0 } else { 1 });
            let with = |set: &Map<String, Value>, value: &Value| {
                let mut set = set.clone();
                set.insert(name.clone(), value.clone());
                set
            };
            let more = sets.iter().flat_map(|set| values.iter().map(move |value| with(set, value)));
            sets = more.take(TRIES.1).collect();
        }
        for set in sets {
            let mut arguments = Value::Object(set);
            crate::residual::aim(&mut arguments, entry, variant);
            let situation =
                AssumedSituation { arguments: arguments.to_string().into_bytes(), ..plain(asked).situation };
            let (action, _) = situation.rule(bundle)?;
            let is_it = action.typed.as_ref().is_some_and(|typed| typed.variant == variant.variant);
            if is_it && action.problems.is_empty() {
                return Ok(Some(arguments));
            }
        }
    }
    Ok(None)
}

/// A value of the role that an argument has, which speaks for any of them.
fn own(typed: &TypedAction, pointer: &str, schema: &Value) -> Vec<Value> {
    let listed = ["const", "enum", "pattern", "format"].iter().any(|key| schema.get(*key).is_some());
    let destination = typed.manifest.fields.destination.as_ref().is_some_and(|f| f.value == pointer);
    let Some(argument) = typed.roles.of_pointer(pointer).filter(|_| !listed && !destination) else {
        return Vec::new();
    };
    let value = match argument.class {
        Class::QuerySql => match typed.manifest.effect {
            Effect::Read => json!("SELECT 1"),
            Effect::Delete => json!("DELETE FROM items WHERE id = 1"),
            _ => json!("UPDATE items SET seen = 1 WHERE id = 1"),
        },
        Class::Command => json!("ls"),
        Class::DestUrl => json!("https://somewhere.example/page"),
        Class::DestEmail => json!("somebody@somewhere.example"),
        Class::Magnitude => {
            // What is too small to matter says nothing.
            let above = argument.low_value.checked_add(Decimal::ONE).unwrap_or(argument.low_value);
            let at_most = argument.limit.filter(|limit| *limit > argument.low_value).unwrap_or(above);
            number(above.min(at_most))
        }
        Class::Content => json!("Look at https://somewhere.example/page"),
        _ => return Vec::new(),
    };
    match (schema.get("type").and_then(Value::as_str), &value) {
        (Some("array"), _) => vec![json!([value])],
        (Some("string") | None, Value::Number(n)) => vec![json!(n.to_string()), value.clone()],
        _ => vec![value],
    }
}

pub(super) fn number(n: Decimal) -> Value {
    serde_json::from_str(&n.normalize().to_string()).unwrap_or(Value::Null)
}

/// Values that are worse than the sample: an amount above its limit, SQL and commands that do more.
fn worse(bundle: &Bundle, typed: &TypedAction, arguments: &Value) -> Vec<(&'static str, String, Value)> {
    let mut out = Vec::new();
    for (name, value) in arguments.as_object().into_iter().flatten() {
        let pointer = pointer_of(name);
        let Some(argument) = typed.roles.of_pointer(&pointer) else { continue };
        let mut add = |when, other: Value| {
            let other = if value.is_string() && other.is_number() { json!(other.to_string()) } else { other };
            out.push((when, name.clone(), other));
        };
        match argument.class {
            Class::Magnitude => {
                if let Some(limit) = argument.limit.and_then(|l| l.checked_add(Decimal::ONE)) {
                    add("an amount above its limit", number(limit));
                }
                let counted = typed.manifest.fields.amount.as_ref().is_some_and(|a| a.value == pointer);
                let high = bundle.weights().amount_above.checked_add(Decimal::ONE);
                let fits = high.filter(|h| argument.limit.is_none_or(|limit| *h <= limit));
                if let Some(high) = fits.filter(|_| counted && bundle.weights().amount > 0) {
                    add("a high amount", number(high));
                }
            }
            Class::QuerySql => {
                add("SQL that is not understood", json!("what is this"));
                add("SQL without a condition", json!("DELETE FROM items"));
                add("SQL that changes structure", json!("DROP TABLE items"));
            }
            Class::Command => {
                add("a command that does more than look", json!("rm notes.txt"));
                add("a command that is not understood", json!("$(cat x)"));
            }
            _ => {}
        }
    }
    // Only texts take the place of texts.
    out.retain(|(_, name, other)| {
        arguments.get(name).is_some_and(|value| value.is_string() == other.is_string())
            || decimal(other).is_some()
    });
    out
}
