//! The weight of a schema: how many places it means once its references are followed. Two kilobytes can mean more than
//! anybody could read or compile, when each definition names the one before it twice.

use serde_json::Value;
use std::collections::BTreeMap;

/// Most places that a schema may mean.
pub(super) const PLACES_MAX: u64 = 20_000;
/// Most references that lead on to another before something stands there.
const CHAIN_MAX: u32 = 64;

/// Whether it means more than that. A reference that leads back to itself counts once: it is followed when a value is
/// looked at, and a value has an end.
pub(super) fn is_too_heavy(schema: &Value) -> bool {
    places(schema, schema, CHAIN_MAX, &mut BTreeMap::new()) > PLACES_MAX
}

fn places(part: &Value, root: &Value, chain: u32, known: &mut BTreeMap<String, u64>) -> u64 {
    match part {
        Value::Object(map) => {
            let inside = map.iter().map(|(key, part)| match (key.as_str(), part) {
                ("$ref" | "$dynamicRef" | "$recursiveRef", Value::String(to)) => {
                    target(to, root, chain, known)
                }
                (_, part) => places(part, root, chain, known),
            });
            inside.fold(1, u64::saturating_add)
        }
        Value::Array(items) => {
            items.iter().map(|item| places(item, root, chain, known)).fold(1, u64::saturating_add)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

/// What a reference means. Each target is counted once, so this takes no longer than the schema is long.
fn target(to: &str, root: &Value, chain: u32, known: &mut BTreeMap<String, u64>) -> u64 {
    if let Some(places) = known.get(to) {
        return *places;
    }
    let Some(chain) = chain.checked_sub(1) else { return u64::MAX };
    known.insert(to.to_owned(), 1);
    let found = to.strip_prefix('#').and_then(|pointer| match pointer {
        "" => Some(root),
        pointer if pointer.starts_with('/') => root.pointer(&pointer.replace("%24", "$")),
        name => named(root, name),
    });
    let count = found.map_or(1, |part| places(part, root, chain, known));
    known.insert(to.to_owned(), count);
    count
}

/// The part of the schema that has this anchor.
fn named<'a>(part: &'a Value, name: &str) -> Option<&'a Value> {
    let inside =
        |mut parts: Box<dyn Iterator<Item = &'a Value> + 'a>| parts.find_map(|part| named(part, name));
    match part {
        Value::Object(map) => {
            let is_it =
                ["$anchor", "$dynamicAnchor"].iter().any(|key| map.get(*key).is_some_and(|v| v == name));
            if is_it { Some(part) } else { inside(Box::new(map.values())) }
        }
        Value::Array(items) => inside(Box::new(items.iter())),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Map, json};

    fn doubling(n: usize, name: &dyn Fn(usize) -> String) -> Value {
        let twice = |i: usize| json!({"$anchor": format!("a{i}"), "allOf": [{"$ref": name(i - 1)}, {"$ref": name(i - 1)}]});
        let mut defs: Map<String, Value> = (1..=n).map(|i| (format!("a{i}"), twice(i))).collect();
        defs.insert("a0".into(), json!({"$anchor": "a0", "type": "string"}));
        json!({"type": "object", "properties": {"x": {"$ref": name(n)}}, "$defs": defs})
    }

    #[test]
    fn a_short_schema_that_means_very_much_is_too_heavy() {
        let by_pointer = |i: usize| format!("#/$defs/a{i}");
        let by_anchor = |i: usize| format!("#a{i}");
        for name in [&by_pointer as &dyn Fn(usize) -> String, &by_anchor] {
            assert!(!is_too_heavy(&doubling(8, name)));
            for n in [16, 40, 2_000] {
                assert!(is_too_heavy(&doubling(n, name)), "{n}");
            }
        }
    }

    #[test]
    fn what_leads_back_to_itself_is_as_heavy_as_it_is_long() {
        let tree = json!({"type": "object", "properties": {
            "left": {"$ref": "#"}, "right": {"$ref": "#"}, "other": {"$ref": "https://example.com/x"}
        }});
        assert!(!is_too_heavy(&tree));
        let long: Map<String, Value> =
            (0..3_000).map(|i| (format!("p{i}"), json!({"type": "string"}))).collect();
        assert!(!is_too_heavy(&json!({"type": "object", "properties": long})));
    }
}
