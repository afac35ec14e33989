//! What completes another call, where decisions are made up: examples, what an attacker could do, lints, and lines that change
//! nothing. In a garden where a bed is measured out first and dug after.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use aecl_analysis::lint::lint;
use aecl_analysis::load::VettedBundle;
use aecl_analysis::residual::residual;
use aecl_kernel::policy::problem::Source;
use serde_json::{Value, json};

fn sources(dig: &Value, examples: &Value) -> Vec<Source> {
    let text = json!({"type": "string"});
    let mut digs = json!({"name": "dig", "effect": "write", "reversibility": "irreversible", "severity": 2, "egress": "none",
        "approval": {"always": false, "unless_proven": true},
        "arguments": {"type": "object", "required": ["bed"], "properties": {"bed": text, "note": text, "depth": {"type": "number"}}},
        "args": {"bed": {"class": "target_id"}, "note": {"class": "content"}, "depth": {"class": "magnitude"}},
        "completes": {"action": "measure", "argument": "bed", "issued": "/bed"}, "intent": {"strong": ["dig"]}});
    digs.as_object_mut().unwrap().extend(dig.as_object().unwrap().clone());
    let actions = json!([
        {"name": "measure", "effect": "write", "reversibility": "reversible", "severity": 1, "egress": "none",
         "arguments": {"type": "object", "required": ["place"], "properties": {"place": text}},
         "args": {"place": {"class": "target_name"}},
         "outputs": [{"path": "/bed", "endorses": "system", "taints": false, "type": "id"}]},
        digs]);
    let agent = json!({"agent_id": "gardener", "allowed_actions": ["measure", "dig"], "auto_approve_threshold": "1.00"});
    let source = |path: &str, value: &Value| Source { path: path.into(), text: value.to_string() };
    vec![
        source("actions/all.json", &actions),
        source("agents/gardener.json", &agent),
        source("examples/all.json", examples),
    ]
}

fn example(arguments: Value, completes: Option<&str>, expect: &str) -> Value {
    let mut example = json!({"name": "a bed", "agent": "gardener", "action": "dig", "arguments": arguments,
        "goal": "Measure the bed behind the shed", "labels": {"untrusted": true}, "expect": expect});
    if let Some(how) = completes {
        example["completes"] = json!(how);
    }
    example
}

#[test]
fn an_example_says_what_a_call_completes() {
    let bed = || json!({"bed": "B-4"});
    for (grave, arguments, completes, expect) in [
        (2, bed(), None, "require_approval"),
        (2, bed(), Some("asked"), "allow"),
        (2, bed(), Some("agreed"), "allow"),
        (3, bed(), Some("asked"), "require_approval"),
        (3, bed(), Some("agreed"), "allow"),
        (2, json!({"bed": "B-4", "note": "roses"}), Some("asked"), "allow"),
        (2, json!({"bed": "B-4", "depth": 2}), Some("agreed"), "require_approval"),
    ] {
        let examples = json!([example(arguments.clone(), completes, expect)]);
        let found = VettedBundle::load(sources(&json!({ "severity": grave }), &examples));
        assert!(found.is_ok(), "{grave} {arguments} {completes:?}: {found:?}");
    }
}

/// Whoever has turned a model around has begun something to which somebody agreed: the worst case counts.
#[test]
fn residual_authority_takes_a_completion_for_one_that_passes() {
    let through = |dig: Value| {
        let examples = json!([example(json!({"bed": "B-4"}), None, "require_approval")]);
        let bundle = VettedBundle::load(sources(&dig, &examples)).unwrap();
        let found = residual(&bundle, &[]).unwrap();
        found.pairs.into_iter().find(|pair| pair.action.as_str() == "dig").unwrap().through.is_some()
    };
    assert!(through(json!({})));
    assert!(through(json!({"severity": 3})));
    assert!(!through(json!({"completes": null})));
    assert!(!through(json!({"approval": {"always": true}})));
}

#[test]
fn a_rule_that_asks_all_the_same_is_doubtful() {
    let none = json!([]);
    let found = |dig: Value| {
        let bundle = VettedBundle::load(sources(&dig, &none)).unwrap();
        let lints = lint(&bundle).into_iter().filter(|lint| lint.lint == "idle_completion");
        lints.map(|lint| lint.message).collect::<Vec<_>>().join("; ")
    };
    assert_eq!(found(json!({})), "");
    assert!(found(json!({"approval": {"always": true}})).contains("since `approval` says `always`"));
    assert!(found(json!({"approval": {"always": false}})).contains("unless_proven: true"));
    assert!(found(json!({"reversibility": "compensatable"})).contains("names no compensation"));
}
