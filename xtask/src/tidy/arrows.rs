//! Which room may depend on which, and whom those that think let in.
//!
//! The arrows are the argument that nothing gets past: the kernel cannot act because it cannot
//! reach anything that acts.

use serde_json::Value;

use super::{Found, House};
use crate::programs::metadata;

/// Each room and the rooms it depends on, no more and no fewer.
const ARROWS: [(&str, &[&str]); 12] = [
    ("aecl-proof", &[]),
    ("aecl-kernel", &[]),
    ("aecl-analysis", &["aecl-kernel"]),
    ("aecl-sandbox", &[]),
    ("aecl-ledger", &["aecl-analysis", "aecl-kernel", "aecl-proof"]),
    ("aecl-egress", &["aecl-sandbox"]),
    ("aecl-executor", &["aecl-egress", "aecl-kernel", "aecl-ledger", "aecl-sandbox"]),
    ("aecl-gate", &["aecl-analysis", "aecl-egress", "aecl-executor", "aecl-kernel", "aecl-ledger"]),
    ("aecl-mcp", &["aecl-analysis", "aecl-egress", "aecl-executor", "aecl-gate", "aecl-kernel"]),
    (
        "aecl-http",
        &[
            "aecl-analysis",
            "aecl-executor",
            "aecl-gate",
            "aecl-kernel",
            "aecl-ledger",
            "aecl-mcp",
            "aecl-proof",
        ],
    ),
    ("aecl-demo", &["aecl-gate", "aecl-kernel"]),
    (
        "aecl",
        &[
            "aecl-analysis",
            "aecl-demo",
            "aecl-egress",
            "aecl-executor",
            "aecl-gate",
            "aecl-http",
            "aecl-kernel",
            "aecl-ledger",
            "aecl-mcp",
            "aecl-proof",
            "aecl-sandbox",
        ],
    ),
];

/// Whom the tests of a room know beyond its arrows: those of the kernel load bundles and put plans before people as
/// the house does, with what stands above it.
const OF_TESTS: [(&str, &str); 1] = [("aecl-kernel", "aecl-analysis")];

/// Rooms that think and do nothing else.
const PURE: [&str; 2] = ["aecl-kernel", "aecl-analysis"];

/// Pure code that they trust. Whoever joins this list is read first.
const GUESTS: [&str; 15] = [
    "base64",
    "cedar-policy",
    "cedar-policy-core",
    "icu_normalizer",
    "icu_properties",
    "jsonschema",
    "rust_decimal",
    "ryu-js",
    "serde",
    "serde_json",
    "sha2",
    "sqlparser",
    "strsim",
    "thiserror",
    "url",
];

/// In the workspace, but no room.
const NO_ROOMS: [&str; 2] = ["aecl-benches", "xtask"];

pub fn check(_house: &House, found: &mut Found) -> Result<(), String> {
    examine(&metadata()?, found);
    Ok(())
}

fn examine(metadata: &Value, found: &mut Found) {
    let packages: Vec<&Value> = list(metadata, "packages").collect();
    for (room, arrows) in ARROWS {
        let Some(package) = packages.iter().find(|package| text(package, "name") == room) else {
            found.error(format!("the room `{room}` is missing"));
            continue;
        };
        let mut ours: Vec<&str> =
            list(package, "dependencies").filter(|d| is_normal(d)).map(|d| text(d, "name")).collect();
        ours.retain(|name| is_room(name));
        ours.sort_unstable();
        ours.dedup();
        for extra in ours.iter().filter(|name| !arrows.contains(name)) {
            found.error(format!("`{room}` must not depend on `{extra}`"));
        }
        for absent in arrows.iter().filter(|name| !ours.contains(name)) {
            found.error(format!("`{room}` should depend on `{absent}` and does not; if that is right, change the arrows here and in ARCHITECTURE.md"));
        }
        // Tests reach no further than the room, or they test another one.
        for dependency in list(package, "dependencies").filter(|d| !is_normal(d)) {
            let name = text(dependency, "name");
            let is_for_tests = dependency.get("kind").and_then(Value::as_str) == Some("dev");
            let known = arrows.contains(&name) || (is_for_tests && OF_TESTS.contains(&(room, name)));
            if is_room(name) && name != room && !known {
                found.error(format!(
                    "`{room}` must not depend on `{name}`, in tests and build scripts neither"
                ));
            }
        }
        if PURE.contains(&room) {
            guests(room, package, found);
        }
    }
    for package in packages {
        let name = text(package, "name");
        if !is_room(name) && !NO_ROOMS.contains(&name) {
            found.error(format!("`{name}` is in the workspace and has no place in the arrows"));
        }
    }
}

fn guests(room: &str, package: &Value, found: &mut Found) {
    for dependency in list(package, "dependencies") {
        let name = text(dependency, "name");
        let is_for_tests = dependency.get("kind").and_then(Value::as_str) == Some("dev");
        if !is_for_tests && !is_room(name) && !GUESTS.contains(&name) {
            found.error(format!("`{name}` is no guest of `{room}`; the list is closed"));
        }
    }
}

fn is_room(name: &str) -> bool {
    ARROWS.iter().any(|(room, _)| *room == name)
}

fn is_normal(dependency: &Value) -> bool {
    dependency.get("kind").is_none_or(Value::is_null)
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value.get(key).and_then(Value::as_array).into_iter().flatten()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// The workspace as it should be, with one more dependency of one room.
    fn with(room: &str, dependency: &str, kind: Value) -> Vec<String> {
        let packages = ARROWS.iter().map(|(name, arrows)| {
            let mut dependencies: Vec<Value> =
                arrows.iter().map(|a| json!({"name": a, "kind": null})).collect();
            if *name == room {
                dependencies.push(json!({"name": dependency, "kind": kind}));
            }
            json!({"name": name, "dependencies": dependencies})
        });
        let mut found = Found::default();
        examine(&json!({"packages": packages.collect::<Vec<_>>()}), &mut found);
        found.errors
    }

    #[test]
    fn arrows_as_drawn_are_tidy() {
        assert!(with("aecl", "serde", Value::Null).is_empty());
        assert!(with("aecl-kernel", "serde", Value::Null).is_empty());
    }

    #[test]
    fn arrow_that_is_not_drawn_is_found() {
        assert_eq!(
            with("aecl-ledger", "aecl-gate", Value::Null),
            ["`aecl-ledger` must not depend on `aecl-gate`"]
        );
        assert_eq!(with("aecl-gate", "aecl-sandbox", Value::Null).len(), 1);
        assert_eq!(with("aecl-kernel", "aecl-sandbox", json!("dev")).len(), 1);
        // Its tests may know the analysis, and it may not.
        assert!(with("aecl-kernel", "aecl-analysis", json!("dev")).is_empty());
        assert_eq!(with("aecl-kernel", "aecl-analysis", Value::Null).len(), 1);
    }

    #[test]
    fn rooms_that_think_have_only_listed_guests() {
        assert_eq!(
            with("aecl-kernel", "tokio", Value::Null),
            ["`tokio` is no guest of `aecl-kernel`; the list is closed"]
        );
        assert_eq!(with("aecl-analysis", "tokio", Value::Null).len(), 1);
        assert_eq!(with("aecl-kernel", "cc", json!("build")).len(), 1);
        assert!(with("aecl-kernel", "proptest", json!("dev")).is_empty());
    }

    #[test]
    fn missing_room_and_unknown_crate_are_found() {
        let mut found = Found::default();
        examine(&json!({"packages": [{"name": "aecl-util", "dependencies": []}]}), &mut found);
        assert_eq!(found.errors.len(), ARROWS.len() + 1);
    }
}
