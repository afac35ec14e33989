//! The thing that an action is about, as rules see it: an entity of a type of its own, so that `resource.status` has a type
//! and a typo is an error at load; and beside it `context.related` and `context.now`.

use super::request::PolicyRequest;
use super::typing::{MadeDecimal, long, texts};
use crate::base::evidence::{ResourceReading, reading};
use crate::base::time::Timestamp;
use crate::define::catalogue::{Catalogue, TypedAction};
use crate::define::resource::{AttributeDeclaration, AttributeKind, ResourceDeclaration, SELF};
use crate::read::resource::{age_of, lacking};
use cedar_policy::{Entity, EntityUid, RestrictedExpression};
use cedar_policy_core::ast::Value as CedarValue;
use rust_decimal::Decimal;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;

/// Knowledge of the things that an action is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// Nobody has looked. Rules that look at it are not asked, and a check blocks.
    Nothing,
    /// Something of it is missing. What a rule cannot be asked for is answered by a check.
    Partly,
    /// All that was declared, or nothing was.
    Whole,
}

impl Known {
    pub(super) fn of(q: PolicyRequest<'_>) -> Self {
        let Some(declared) = declared(q) else { return Self::Whole };
        let looks: Vec<_> = declared.looks().map(|look| (look, reading(q.evidence, look.name))).collect();
        if looks.iter().all(|(_, reading)| reading.is_none()) {
            return Self::Nothing;
        }
        let whole = looks.iter().all(|(look, reading)| {
            reading.is_some_and(|reading| reading.unread.is_none() && lacking(look, reading).is_empty())
        });
        if whole { Self::Whole } else { Self::Partly }
    }
}

pub(super) fn declared<'a>(q: PolicyRequest<'a>) -> Option<&'a ResourceDeclaration> {
    q.action.typed.as_ref().and_then(|typed| typed.manifest.resource.as_deref())
}

/// The types of all things: an attribute that only some of the actions declare is optional.
pub(super) fn types(catalogue: &Catalogue) -> Map<String, Value> {
    let mut kinds: BTreeMap<&str, Vec<&ResourceDeclaration>> = BTreeMap::new();
    let variants = catalogue.iter().flat_map(|(_, typed)| typed.variants());
    for declared in variants.filter_map(|typed| typed.manifest.resource.as_deref()) {
        kinds.entry(&declared.kind).or_default().push(declared);
    }
    let shape = |all: Vec<&ResourceDeclaration>| {
        let mut attributes = Map::new();
        for declared in &all {
            for (name, attribute) in &declared.attributes {
                let always = |d: &&ResourceDeclaration| d.attributes.get(name).is_some_and(|a| !a.optional);
                declare(&mut attributes, name, attribute, all.iter().all(always));
            }
        }
        json!({"shape": {"type": "Record", "attributes": attributes}})
    };
    kinds.into_iter().map(|(kind, all)| (kind.to_owned(), shape(all))).collect()
}

/// The types of what an action is about.
pub(super) fn types_of(typed: &Arc<TypedAction>) -> Vec<String> {
    let of = |variant: &Arc<TypedAction>| {
        variant
            .manifest
            .resource
            .as_ref()
            .map_or_else(|| "Resource".to_owned(), |declared| declared.kind.clone())
    };
    let mut all: Vec<String> = typed.variants().map(of).collect();
    all.sort();
    all.dedup();
    all
}

/// The type of `context.related`, where a variant has some. In all of the variants it is the same, or optional.
pub(super) fn related_type(typed: &Arc<TypedAction>) -> Option<Value> {
    let mut things: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    let variants: Vec<_> = typed.variants().collect();
    let declared = |variant: &Arc<TypedAction>, name: &str| {
        let related = variant.manifest.resource.iter().flat_map(|declared| &declared.related);
        related.into_iter().any(|related| related.name == name)
    };
    for related in variants.iter().filter_map(|v| v.manifest.resource.as_ref()).flat_map(|d| &d.related) {
        let attributes = things.entry(&related.name).or_default();
        for (name, attribute) in &related.attributes {
            declare(attributes, name, attribute, !attribute.optional);
        }
    }
    let fields: Map<String, Value> = things
        .into_iter()
        .map(|(name, attributes)| {
            let required = variants.iter().all(|variant| declared(variant, name));
            (name.to_owned(), json!({"type": "Record", "attributes": attributes, "required": required}))
        })
        .collect();
    (!fields.is_empty()).then(|| json!({"type": "Record", "attributes": fields}))
}

fn declare(
    attributes: &mut Map<String, Value>,
    name: &str,
    attribute: &AttributeDeclaration,
    required: bool,
) {
    let kind = match attribute.kind {
        AttributeKind::Text => json!({"type": "String"}),
        AttributeKind::Long | AttributeKind::Time => json!({"type": "Long"}),
        AttributeKind::Decimal => json!({"type": "Extension", "name": "decimal"}),
        AttributeKind::Bool => json!({"type": "Boolean"}),
        AttributeKind::Texts => json!({"type": "Set", "element": {"type": "String"}}),
        AttributeKind::Longs => json!({"type": "Set", "element": {"type": "Long"}}),
    };
    let with = |mut kind: Value| {
        if let Some(members) = kind.as_object_mut() {
            members.insert("required".into(), required.into());
        }
        kind
    };
    if attribute.kind == AttributeKind::Time {
        attributes.insert(age_of(name), with(json!({"type": "Long"})));
    }
    attributes.insert(name.to_owned(), with(kind));
}

/// The thing itself, for Cedar, with as much of it as is known.
pub(super) fn entity(q: PolicyRequest<'_>, uid: EntityUid) -> Result<Option<Entity>, String> {
    let Some(declared) = declared(q) else { return Ok(None) };
    let mut out = BTreeMap::new();
    for (name, kind, value) in known(&declared.attributes, reading(q.evidence, SELF)) {
        let expression = match (kind, value) {
            (AttributeKind::Time, Value::Number(n)) => {
                let moment = n.as_i64().ok_or("a time is no number")?;
                out.insert(age_of(name), RestrictedExpression::new_long(age_s(q.now, moment)));
                Some(RestrictedExpression::new_long(moment))
            }
            (AttributeKind::Decimal, Value::String(text)) => {
                Decimal::from_str(text).ok().map(|d| RestrictedExpression::new_decimal(format!("{d:.4}")))
            }
            (_, value) => plain(value),
        };
        out.insert(name.to_owned(), expression.ok_or_else(|| format!("`{name}` has no type of rules"))?);
    }
    Entity::new(uid, out.into_iter().collect(), Default::default())
        .map(Some)
        .map_err(|e| format!("the resource cannot be shown to rules: {e}"))
}

fn plain(value: &Value) -> Option<RestrictedExpression> {
    match value {
        Value::String(text) => Some(RestrictedExpression::new_string(text.clone())),
        Value::Number(n) => n.as_i64().map(RestrictedExpression::new_long),
        Value::Bool(yes) => Some(RestrictedExpression::new_bool(*yes)),
        Value::Array(items) => {
            items.iter().map(plain).collect::<Option<Vec<_>>>().map(RestrictedExpression::new_set)
        }
        Value::Null | Value::Object(_) => None,
    }
}

/// What is related to it, for the context.
pub(super) fn related(q: PolicyRequest<'_>) -> Result<Option<CedarValue>, String> {
    let Some(declared) = declared(q).filter(|declared| !declared.related.is_empty()) else { return Ok(None) };
    let mut things = Vec::new();
    for one in &declared.related {
        let Some(reading) = reading(q.evidence, &one.name).filter(|reading| reading.unread.is_none()) else {
            continue;
        };
        let mut fields = Vec::new();
        for (name, kind, value) in known(&one.attributes, Some(reading)) {
            let shown = match (kind, value) {
                (AttributeKind::Time, Value::Number(n)) => {
                    let moment = n.as_i64().ok_or("a time is no number")?;
                    fields.push((age_of(name), age_s(q.now, moment).into()));
                    CedarValue::from(moment)
                }
                (AttributeKind::Decimal, Value::String(text)) => {
                    let read = Decimal::from_str(text).map_err(|e| e.to_string())?;
                    MadeDecimal::of(read)?.in_cedar
                }
                (AttributeKind::Texts, Value::Array(items)) => texts(items.iter().filter_map(Value::as_str)),
                (AttributeKind::Longs, Value::Array(items)) => {
                    CedarValue::set(items.iter().filter_map(Value::as_i64).map(CedarValue::from), None)
                }
                (_, Value::String(text)) => text.as_str().into(),
                (_, Value::Bool(yes)) => (*yes).into(),
                (_, Value::Number(n)) => n.as_i64().map_or_else(|| long(u64::MAX), CedarValue::from),
                (_, Value::Null | Value::Array(_) | Value::Object(_)) => continue,
            };
            fields.push((name.to_owned(), shown));
        }
        things.push((one.name.as_str(), CedarValue::record(fields, None)));
    }
    Ok(Some(CedarValue::record(things, None)))
}

/// The attributes that are known and declared, each with its type.
fn known<'a>(
    declared: &'a BTreeMap<String, AttributeDeclaration>,
    reading: Option<&'a ResourceReading>,
) -> impl Iterator<Item = (&'a str, AttributeKind, &'a Value)> {
    declared.iter().filter_map(move |(name, attribute)| {
        let reading = reading.filter(|reading| !reading.wrong.contains_key(name))?;
        Some((name.as_str(), attribute.kind, reading.attributes.get(name)?))
    })
}

fn age_s(now: Timestamp, moment: i64) -> i64 {
    now.0.div_euclid(1000).saturating_sub(moment)
}
