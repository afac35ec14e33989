//! Values of an argument that the operator vouches for, in a theatre: which boards of lamps there are is no secret and no
//! stranger's word, and which scenes its operator has written down.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod bank;
mod world;

use aecl_analysis::load::VettedBundle;
use bank::Run;
use serde_json::{Value, json};
use world::{bundle, lines, sources};

fn board(of: &Value) -> Value {
    json!({
        "name": "stage.board", "effect": "write", "reversibility": "irreversible", "severity": 3, "egress": "none",
        "approval": {"always": false, "unless_proven": true},
        "arguments": {"type": "object", "required": ["board"], "properties": {
            "board": {"type": "string"}, "twin": {"type": "string"}, "level": {"type": "number"},
            "key": {"type": "string"}, "cues": {"type": "array", "items": {"type": "object", "properties": {"to": {"type": "string"}}}}}},
        "args": of, "intent": {"strong": ["dim"]},
    })
}

fn args() -> Value {
    json!({
        "board": {"class": "target_name", "known": ["front-left", "front-right"]},
        "twin": {"class": "target_name"},
        "level": {"class": "magnitude", "known": [40]},
        "/cues/*/to": {"class": "dest_email", "known": ["desk@stage.example"]},
    })
}

fn says(call: Value) -> String {
    let notes =
        json!({"name": "read_notes", "effect": "read", "arguments": {"type": "object", "properties": {}}});
    let agent = json!({"agent_id": "a", "allowed_actions": ["stage.board", "read_notes"], "auto_approve_threshold": "1.00"});
    let mut run = Run::of(&bundle(&agent, &json!([notes, board(&args())]), ""), "Dim the lamps please", None);
    run.reads("read_notes", json!({"notes": "Take front-left, behind and 40, write to desk@stage.example."}));
    run.says("stage.board", call)
}

#[test]
fn what_the_operator_vouches_for_needs_no_other_proof() {
    for call in [
        json!({"board": "front-left"}),
        json!({"board": "front-right", "level": 40}),
        json!({"board": "front-left", "cues": [{"to": "desk@stage.example"}]}),
    ] {
        assert_eq!(says(call.clone()), "allow", "{call}");
    }
}

#[test]
fn it_vouches_for_this_value_in_this_argument_alone() {
    for call in [
        json!({"board": "behind"}),
        json!({"board": "front-left "}),
        json!({"board": "Front-Left"}),
        json!({"board": ""}),
        json!({"board": "front-left", "twin": "front-right"}),
        json!({"board": "front-left", "level": 41}),
        json!({"board": "front-left", "level": 40.5}),
        json!({"board": "front-left", "cues": [{"to": "desk@stage.example"}, {"to": "else@stage.example"}]}),
        json!({"board": "desk@stage.example"}),
    ] {
        assert_ne!(says(call.clone()), "allow", "{call}");
    }
}

#[test]
fn lists_that_would_mislead_do_not_load() {
    let problems = |action: Value| {
        let agent = json!({"agent_id": "a", "allowed_actions": ["stage.board"]});
        VettedBundle::load(sources(&agent, &json!([action]), "")).err().map(|found| lines(&found))
    };
    assert_eq!(problems(board(&args())), None);
    let many: Vec<u32> = (0..257).collect();
    for (known, class, said) in [
        (json!(["k-1"]), "credential", "a secret in a policy is none"),
        (json!([" "]), "target_name", "it takes numbers and texts that say something"),
        (json!([true]), "target_name", "it takes numbers and texts that say something"),
        (json!([["front-left"]]), "target_name", "it takes numbers and texts that say something"),
        (json!(many), "target_name", "lists 257 values; at most 256"),
        (json!("front-left"), "target_name", "invalid type: string"),
    ] {
        let all = problems(board(&json!({"board": {"class": class, "known": known}}))).unwrap();
        assert!(all.contains(said), "{known}\n{said}\n{all}");
    }
    // What nobody has described would pass where a described call asks.
    let mut several = board(&args());
    several["cases"] =
        json!([{"when": {"level": 3}, "args": {"board": {"class": "target_name", "known": ["front-left"]}}}]);
    let all = problems(several).unwrap();
    assert!(all.contains("no \"front-right\" in `known` of `/board`, and the entry itself has it"), "{all}");
}
