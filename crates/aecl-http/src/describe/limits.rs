//! Limits that the server enforces and no type says.

use crate::actions::KEY_BYTES_MAX;
use crate::approvals::REASON_MAX;
use aecl_gate::runs::GOAL_BYTES_MAX;
use aecl_kernel::read::plan::STEPS_MAX;
use serde_json::{Map, Value, json};

/// What names look like: agents, runs, actions, tenants and so on.
const NAME: &str = "^[A-Za-z0-9_.:@/-]{1,128}$";
/// What paths of tiles and of bundles of entries look like: level or `entries`, number, width unless it is full.
const TILE: &str = r"^([0-9]|[1-5][0-9]|6[0-3]|entries)/(x[0-9]{3}/)*[0-9]{3}(\.p/([1-9][0-9]?|1[0-9]{2}|2[0-4][0-9]|25[0-5]))?$";
/// Larger numbers do not survive every reader of JSON, and are refused.
const INTEGER_MAX: u64 = (1 << 53) - 1;

/// What holds for a name in a path.
pub(super) fn of_path(name: &str) -> Value {
    match name {
        "run" | "action" | "approval" => json!({"type": "string", "pattern": NAME}),
        "path" => json!({"type": "string", "pattern": TILE}),
        _ => json!({"type": "string"}),
    }
}

/// What a plan may be: steps that bind the run, or anything else, which is words for the approver.
fn plan() -> Value {
    let exact = |name: &str, value: Value| {
        json!({
            "type": "object", "properties": {name: value}, "required": [name], "additionalProperties": false,
        })
    };
    let constraint = json!({"oneOf": [
        exact("equals", json!({})),
        exact("one_of", json!({"type": "array"})),
        exact("at_most", json!({"type": "number"})),
    ]});
    let step = json!({
        "type": "object",
        "properties": {
            "action": {"type": "string"},
            "arguments": {
                "type": "object",
                "description": "What arguments may be, by JSON pointer.",
                "additionalProperties": constraint,
            },
            "times": {"type": "integer", "minimum": 0, "maximum": u32::MAX},
        },
        "required": ["action"],
        "additionalProperties": false,
    });
    let steps = json!({
        "type": "object",
        "description": "Steps, in order.",
        "properties": {"steps": {"type": "array", "minItems": 1, "maxItems": STEPS_MAX, "items": step}},
        "required": ["steps"],
        "additionalProperties": false,
    });
    let any_step = json!({"type": "array", "contains": {"type": "object", "required": ["action"]}});
    let words = json!({
        "description": "Anything else: words for the approver.",
        "not": {"type": "object", "properties": {"steps": any_step}, "required": ["steps"]},
    });
    json!({"anyOf": [steps, words]})
}

/// What holds for a header, and for what stands behind the path.
fn of_parameter(name: &str) -> Option<Value> {
    match name {
        "Idempotency-Key" => Some(json!({"minLength": 1, "maxLength": KEY_BYTES_MAX})),
        // No store counts further.
        "from" => Some(json!({"maximum": i64::MAX})),
        _ => None,
    }
}

/// Adds what holds for the members of bodies.
pub(super) fn add_to_bodies(schemas: &mut Value) {
    let name = || json!({"pattern": NAME});
    let whole = || json!({"maximum": INTEGER_MAX});
    let members = [
        ("OpenRun", "agent", name()),
        ("OpenRun", "user", name()),
        ("OpenRun", "tenant", name()),
        ("OpenRun", "project", name()),
        ("OpenRun", "environment", name()),
        ("OpenRun", "goal", json!({"maxLength": GOAL_BYTES_MAX})),
        ("OpenRun", "plan", plan()),
        ("OpenRun", "ttl_s", whole()),
        ("OpenRun", "wait_s", whole()),
        ("Propose", "idempotency_key", json!({"minLength": 1, "maxLength": KEY_BYTES_MAX})),
        ("Rollback", "wait_s", whole()),
        ("AnswerWith", "reason", json!({"maxLength": REASON_MAX})),
        ("AnswerWith", "view", json!({"pattern": "^sha256:[0-9a-f]{64}$"})),
        ("Explain", "agent", name()),
        ("Explain", "user", name()),
        ("Explain", "tenant", name()),
        ("Explain", "environment", name()),
        ("Explain", "compensates", name()),
        ("AuthzenSubject", "id", name()),
        ("AuthzenSubjectProperties", "user", name()),
        ("AuthzenSubjectProperties", "tenant", name()),
        ("AuthzenSubjectProperties", "environment", name()),
        ("AuthzenContext", "run", name()),
    ];
    for (schema, member, holds) in members {
        let found = schemas.pointer_mut(&format!("/{schema}/properties/{member}"));
        if let (Some(Value::Object(found)), Value::Object(holds)) = (found, holds) {
            found.extend(holds);
        }
    }
    // One type reads single questions and those of several, which may leave things to what stands beside them.
    for (schema, members) in [
        ("/AuthzenQuestion", &["subject", "action", "resource"][..]),
        ("/AuthzenQuestion/properties/action", &["name"]),
        ("/AuthzenSubject", &["type", "id"]),
        ("/AuthzenResource", &["type", "id"]),
    ] {
        if let Some(schema) = schemas.pointer_mut(schema) {
            require(schema, members);
        }
    }
    let scopes = schemas.pointer_mut("/Scope/oneOf").and_then(Value::as_array_mut);
    for names in scopes.into_iter().flatten().filter_map(|one| one.pointer_mut("/properties")) {
        for member in names.as_object_mut().into_iter().flat_map(Map::values_mut) {
            if let Some(member) = member.as_object_mut() {
                member.insert("pattern".into(), NAME.into());
            }
        }
    }
}

/// Says that these members must be there, and are not null.
fn require(schema: &mut Value, members: &[&str]) {
    for name in members {
        let Some(member) = schema.pointer_mut(&format!("/properties/{name}")) else { continue };
        let there = member.pointer("/oneOf/0").cloned();
        if let Some(there) = there {
            *member = there;
        } else if let Some(kind) = member.pointer("/type/0").cloned() {
            member["type"] = kind;
        }
    }
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("required".into(), json!(members));
    }
}

/// Adds what holds for a header, or for what stands behind the path.
pub(super) fn add_to_parameter(parameter: &mut Map<String, Value>) {
    let name = parameter.get("name").and_then(Value::as_str).unwrap_or_default();
    let holds = of_parameter(name);
    if let (Some(Value::Object(schema)), Some(Value::Object(holds))) = (parameter.get_mut("schema"), holds) {
        schema.extend(holds);
    }
}
