//! Closing a schema: what it does not list is refused, wherever it lists its own.
//!
//! INVARIANT: an object is closed where a value stands, never inside a condition. `not` and `if` would
//! match less often, and so forbid less. Where branches list fields together (`allOf`, `anyOf`, a
//! reference), `unevaluatedProperties` closes what all of them together did not list.

use serde_json::{Map, Value};

/// Branches that look at the same value, as a list, by name, or alone.
const BRANCH_LISTS: [&str; 3] = ["allOf", "anyOf", "oneOf"];
const BRANCH_MAPS: [&str; 3] = ["dependentSchemas", "$defs", "definitions"];
const BRANCHES: [&str; 2] = ["then", "else"];

/// The schema with every object closed, and whether it may differ in more than that from what was
/// written, so that the written one must be asked, too.
pub(super) fn closed(written: &Value) -> (Value, bool) {
    let mut schema = written.clone();
    let old = schema.get("$schema").and_then(Value::as_str).is_some_and(|s| !s.contains("draft/20"));
    if old {
        modernise(&mut schema);
    }
    let root = schema.clone();
    let mut apart = old;
    value(&mut schema, &root, true, &mut apart);
    (schema, apart)
}

/// A place where a value stands. The arguments themselves are closed even if nothing is listed.
fn value(schema: &mut Value, root: &Value, outermost: bool, apart: &mut bool) {
    let Some(map) = schema.as_object_mut() else { return };
    let says = map.contains_key("additionalProperties") || map.contains_key("unevaluatedProperties");
    if !says && (outermost || lists(map, root, 16)) {
        let together = branches(map).next().is_some();
        *apart |= together;
        let key = if together { "unevaluatedProperties" } else { "additionalProperties" };
        map.insert(key.into(), Value::Bool(false));
    }
    inside(map, root, apart);
}

/// What stands in a value that this schema describes.
fn inside(map: &mut Map<String, Value>, root: &Value, apart: &mut bool) {
    for (key, part) in map.iter_mut() {
        match (key.as_str(), part) {
            ("properties" | "patternProperties", Value::Object(fields)) => {
                fields.values_mut().for_each(|field| value(field, root, false, apart));
            }
            ("prefixItems", Value::Array(items)) => {
                items.iter_mut().for_each(|item| value(item, root, false, apart))
            }
            ("items" | "additionalProperties" | "unevaluatedProperties" | "unevaluatedItems", item) => {
                value(item, root, false, apart);
            }
            (key, Value::Array(branches)) if BRANCH_LISTS.contains(&key) => {
                *apart = true;
                branches.iter_mut().filter_map(Value::as_object_mut).for_each(|b| inside(b, root, apart));
            }
            (key, Value::Object(branches)) if BRANCH_MAPS.contains(&key) => {
                branches.values_mut().filter_map(Value::as_object_mut).for_each(|b| inside(b, root, apart));
            }
            (key, Value::Object(branch)) if BRANCHES.contains(&key) => inside(branch, root, apart),
            // Conditions and data.
            _ => {}
        }
    }
}

/// Whether the schema lists fields, itself or in a branch. What cannot be followed does.
fn lists(map: &Map<String, Value>, root: &Value, depth: u32) -> bool {
    if depth == 0 || map.contains_key("properties") || map.contains_key("patternProperties") {
        return true;
    }
    branches(map).any(|branch| match branch {
        Branch::Here(branch) => branch.as_object().is_some_and(|b| lists(b, root, depth - 1)),
        Branch::At(reference) => {
            match reference.strip_prefix('#').and_then(|pointer| root.pointer(pointer)) {
                Some(target) => target.as_object().is_some_and(|t| lists(t, root, depth - 1)),
                None => true,
            }
        }
    })
}

enum Branch<'a> {
    Here(&'a Value),
    At(&'a str),
}

/// Schemas that describe the same value as this one.
fn branches(map: &Map<String, Value>) -> impl Iterator<Item = Branch<'_>> {
    let listed = BRANCH_LISTS.iter().filter_map(|k| map.get(*k)?.as_array()).flatten();
    let named = map.get("dependentSchemas").and_then(Value::as_object).into_iter().flat_map(|m| m.values());
    let alone = ["if", "then", "else"].iter().filter_map(|k| map.get(*k));
    let references = ["$ref", "$dynamicRef", "$recursiveRef"].iter().filter_map(|k| map.get(*k)?.as_str());
    listed.chain(named).chain(alone).map(Branch::Here).chain(references.map(Branch::At))
}

/// An older draft in the words of the present one, as far as closing needs it; the written schema is
/// asked beside it.
fn modernise(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            map.remove("$schema");
            map.remove("dependencies");
            for bound in ["exclusiveMinimum", "exclusiveMaximum"] {
                if map.get(bound).is_some_and(Value::is_boolean) {
                    map.remove(bound);
                }
            }
            if map.get("items").is_some_and(Value::is_array)
                && let Some(items) = map.remove("items")
            {
                map.insert("prefixItems".into(), items);
                if let Some(more) = map.remove("additionalItems") {
                    map.insert("items".into(), more);
                }
            }
            for (key, part) in map.iter_mut() {
                match key.as_str() {
                    "enum" | "const" | "default" | "examples" => {}
                    "properties" | "patternProperties" | "definitions" | "$defs" => {
                        part.as_object_mut().into_iter().flat_map(|m| m.values_mut()).for_each(modernise);
                    }
                    _ => modernise(part),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(modernise),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
