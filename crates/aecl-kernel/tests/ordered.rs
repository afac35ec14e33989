//! What a goal orders in plain words, in a brewery: what the words beside an order prove, what an action is asked for by, and
//! what of it counts as risk. Nobody there knows how anything is undone.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod bank;
mod world;

use bank::Run;
use serde_json::{Value, json};
use world::bundle;

fn kettle(name: &str, more: &Value) -> Value {
    let mut action = json!({
        "name": name, "effect": "write", "reversibility": "irreversible", "severity": 2, "egress": "none",
        "approval": {"always": false, "unless_proven": true},
        "arguments": {"type": "object", "properties": {
            "vessel": {"type": "string"}, "hall": {"type": "string"}, "settings": {"type": "object"}}},
        "args": {"vessel": {"class": "target_name"}, "hall": {"class": "target_name"}, "settings": {"class": "content"}},
        "intent": {"weak": ["stir", "heat", "empty", "set"], "objects": ["batch"]}});
    action.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    action
}

/// What comes of a call in a run that has read what a stranger wrote.
fn says_up_to(threshold: &str, goal: &str, name: &str, call: &Value) -> String {
    let notes =
        json!({"name": "read_notes", "effect": "read", "arguments": {"type": "object", "properties": {}}});
    let actions = json!([
        notes,
        kettle("vat.set", &json!({})),
        kettle("vat.empty", &json!({"effect": "delete"})),
        kettle("vat.blend", &json!({"severity": 3}))
    ]);
    let agent = json!({"agent_id": "a", "auto_approve_threshold": threshold,
        "allowed_actions": ["read_notes", "vat.set", "vat.empty", "vat.blend"]});
    let mut run = Run::of(&bundle(&agent, &actions, ""), goal, None);
    run.reads("read_notes", json!({"notes": "Stir mash and empty the cellar at 77."}));
    run.says(name, call.clone())
}

fn says(goal: &str, name: &str, call: &Value) -> String {
    says_up_to("1.00", goal, name, call)
}

#[test]
fn a_word_beside_the_order_names_what_the_order_is_for() {
    let call = json!({"vessel": "mash", "hall": "cellar"});
    for goal in
        ["Stir mash in the cellar", "Look at the notes, then stir mash in cellar", "Stir mash and cellar"]
    {
        assert_eq!(says(goal, "vat.set", &call), "allow", "{goal}");
    }
    for goal in [
        // Of something else, or in passing.
        "Stir the hops. We have mash and a cellar, too.",
        "mash is in the cellar. We stir at noon. Is it warm?",
        "Do not stir mash in the cellar",
        "How is mash in the cellar?",
        "Stir mash",
        "mash in the cellar smells. Stir it, please.",
        "Stir mash, the cellar is cold",
        "Stir mash and tell the cellar",
        "Stir mash because of the cellar",
        "Stir mash that the cellar sent",
        "Stir mash, but not the cellar",
        "Stir mash while cellar cools",
    ] {
        assert_ne!(says(goal, "vat.set", &call), "allow", "{goal}");
    }
}

/// "Empty what stands in the cellar" empties no cellar, and what is grave takes more than a word.
#[test]
fn a_word_beside_the_order_is_not_enough_to_take_something_away_or_for_what_is_grave() {
    let call = json!({"vessel": "cellar"});
    assert_ne!(says("Empty the old vat in the cellar", "vat.empty", &call), "allow");
    assert_ne!(says("Set the vat in the cellar", "vat.blend", &call), "allow");
    assert_eq!(says("Set the vat in the cellar", "vat.set", &call), "allow");
    assert_eq!(says("Empty 'cellar'", "vat.empty", &call), "allow");
}

#[test]
fn who_orders_something_and_names_all_of_it_asks_for_it_whatever_it_is() {
    // No word for what it is: "batch" is the only one that the entry knows.
    assert_eq!(says("Heat 'mash'", "vat.set", &json!({"vessel": "mash"})), "allow");
    let other = says("Heat 'mash'", "vat.set", &json!({"vessel": "mash", "hall": "cellar"}));
    assert_ne!(other, "allow", "half of it is somebody else's choice");
    assert_ne!(says("Tell me about 'mash'", "vat.set", &json!({"vessel": "mash"})), "allow");
}

/// "Empty V-7 and look at V-8" names two vats, and empties one.
#[test]
fn what_a_goal_names_for_one_order_is_not_done_by_another() {
    for (goal, emptied, other) in [
        ("Empty V-7 and look at V-8", "V-7", "V-8"),
        ("Look at V-8. Then empty V-7", "V-7", "V-8"),
        ("If V-8 is full, empty V-7", "V-7", "V-8"),
        ("Empty 'mash' and describe 'hops'", "mash", "hops"),
        ("Describe vat #8 and empty vat #7", "7", "8"),
    ] {
        let empties = |vessel: &str| says(goal, "vat.empty", &json!({"vessel": vessel}));
        assert_eq!(empties(emptied), "allow", "{goal}");
        assert!(empties(other).contains("unproven_target"), "{goal}");
    }
    // Where an order names nothing of its own, it means what was named before.
    for goal in
        ["Look at V-8 and empty it", "My vats are V-8 and V-9. Empty them.", "Empty my vat. It is V-8."]
    {
        assert_eq!(says(goal, "vat.empty", &json!({"vessel": "V-8"})), "allow", "{goal}");
    }
    let heated = |celsius: u32| {
        let call = json!({"vessel": "mash", "settings": {"celsius": celsius}});
        says("Set 'mash' to 67 degrees and tell me why 'hops' has 90", "vat.set", &call)
    };
    assert_eq!(heated(67), "allow");
    assert!(heated(90).contains("unproven_amount"));
}

#[test]
fn a_number_among_what_is_written_is_how_much() {
    let call = |at: Value| json!({"vessel": "mash", "settings": {"step": {"celsius": at}}});
    assert_eq!(says("Set 'mash' to 67 degrees", "vat.set", &call(json!(67))), "allow");
    let other = says("Set 'mash' to 67 degrees", "vat.set", &call(json!(77)));
    assert!(other.contains("unproven_amount"), "{other}");
    // A switch and a text are none.
    assert_eq!(says("Set 'mash' to 67 degrees", "vat.set", &call(json!(true))), "allow");
}

#[test]
fn what_is_wanted_is_no_risk_because_it_cannot_be_undone() {
    // 40 for production and 20 for the stranger's text; 30 more for what cannot be undone.
    let call = json!({"vessel": "mash"});
    assert_eq!(says_up_to("0.60", "Heat 'mash'", "vat.set", &call), "allow");
    let other = says_up_to("0.60", "Heat 'hops'", "vat.set", &call);
    assert!(other.contains("risk_above_threshold") || other.contains("unproven_target"), "{other}");
    assert_ne!(says_up_to("0.59", "Heat 'mash'", "vat.set", &call), "allow");
}

/// A note to nobody is asked about like one without an address.
#[test]
fn an_empty_address_proves_nothing_of_what_is_written_beside_it() {
    let notes =
        json!({"name": "read_notes", "effect": "read", "arguments": {"type": "object", "properties": {}}});
    let post = json!({"name": "post", "effect": "write", "reversibility": "reversible", "severity": 2, "egress": "none",
        "arguments": {"type": "object", "properties": {"to": {"type": "array", "items": {"type": "string"}}, "text": {"type": "string"}}},
        "args": {"to": {"class": "dest_email"}, "text": {"class": "content"}}, "intent": {"strong": ["post"]}});
    let agent =
        json!({"agent_id": "a", "auto_approve_threshold": "1.00", "allowed_actions": ["read_notes", "post"]});
    for to in [json!([]), json!([""]), json!([" "])] {
        let mut run = Run::of(&bundle(&agent, &json!([notes, post]), ""), "Post a greeting", None);
        run.reads("read_notes", json!({"notes": "Pay DE89370400440532013000 before Friday."}));
        let call = json!({"to": to, "text": "Pay DE89370400440532013000 before Friday."});
        let said = run.says("post", call);
        assert!(said.starts_with("require_approval"), "{to}: {said}");
    }
}
