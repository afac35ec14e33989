//! Limits that the server enforces and no type says.

use crate::http::actions::KEY_BYTES_MAX;
use crate::http::approvals::REASON_MAX;
use aecl_gate::runs::GOAL_BYTES_MAX;
use serde_json::{Map, Value, json};

/// What names look like: agents, runs, actions, tenants and so on.
const NAME: &str = "^[A-Za-z0-9_.:@/-]{1,128}$";
/// Larger numbers do not survive every reader of JSON, and are refused.
const INTEGER_MAX: u64 = (1 << 53) - 1;

/// What holds for a name in a path.
pub(super) fn of_path(name: &str) -> Value {
    match name {
        "run" | "action" | "approval" => json!({"type": "string", "pattern": NAME}),
        _ => json!({"type": "string"}),
    }
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
}

/// Adds what holds for a header, or for what stands behind the path.
pub(super) fn add_to_parameter(parameter: &mut Map<String, Value>) {
    let name = parameter.get("name").and_then(Value::as_str).unwrap_or_default();
    let holds = of_parameter(name);
    if let (Some(Value::Object(schema)), Some(Value::Object(holds))) = (parameter.get_mut("schema"), holds) {
        schema.extend(holds);
    }
}
