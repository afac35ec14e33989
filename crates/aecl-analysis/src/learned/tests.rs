#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
use super::*;
use crate::load::VettedBundle;
use aecl_kernel::policy::problem::Source;

/// A tracker of bicycles that are repaired.
fn bundle() -> Bundle {
    let text = json!({"type": "string"});
    let action = |name: &str, effect: &str, required: &[&str]| {
        let properties: Map<String, Value> =
            required.iter().map(|name| ((*name).to_owned(), text.clone())).collect();
        let mut action = json!({
            "name": format!("bikes.{name}"), "effect": effect,
            "arguments": {"type": "object", "required": required, "properties": properties},
            "connector": {"kind": "mcp", "server": "bikes", "tool": name}});
        if effect != "read" {
            action["reversibility"] = "irreversible".into();
        }
        action
    };
    let mut listed = action("list_repairs", "read", &[]);
    listed["outputs"] = json!([{"path": "/repairs/*/shop_id", "endorses": "system"}]);
    let actions = json!([
        listed,
        action("get_repair", "read", &["repair_id"]),
        action("close_repair", "write", &["repair_id"]),
        action("reopen_repair", "write", &["repair_id"]),
        action("create_ticket", "write", &["title"]),
        action("delete_ticket", "delete", &["ticket_id"]),
        action("add_mark", "write", &["repair_id", "mark"]),
        action("remove_mark", "delete", &["repair_id", "mark", "why"]),
        action("set_shelf", "write", &["shelf_name"]),
    ]);
    let agent = json!({"agent_id": "a", "allowed_actions": ["bikes.list_repairs"]});
    let sources = vec![
        Source { path: "actions/mcp-bikes.json".into(), text: actions.to_string() },
        Source { path: "agents/a.json".into(), text: agent.to_string() },
    ];
    VettedBundle::load(sources).unwrap_or_else(|p| panic!("{p:#?}")).into_bundle()
}

fn repair(n: u32, state: &str) -> Value {
    json!({"repair_id": format!("R-{n}"), "shop_id": n, "state": state, "note": format!("It squeaks {n}"),
        "came": "2026-05-01", "owner": "Ida", "api_token": "tok_123456789", "eur": n})
}

fn listed(learned: &mut Learned, states: &[&str]) {
    for call in 0..3u32 {
        let repairs: Vec<Value> = (0..).zip(states).map(|(n, state)| repair(call * 10 + n, state)).collect();
        learned.returned("bikes.list_repairs", json!({ "repairs": repairs }).to_string().as_bytes());
    }
}

fn labels(learned: &Learned) -> Vec<String> {
    let found = learned.proposals(&bundle(), "bikes.list_repairs");
    let text = |label: &Value, key: &str| label[key].as_str().unwrap_or("-").to_owned();
    let told = |it: &Suggestion| {
        let of = |key: &str| text(&it.value, key);
        format!("{} {} {} {} {}", it.loosens, of("path"), of("type"), of("conf"), of("pattern"))
    };
    found.iter().map(told).collect()
}

#[test]
fn what_a_backend_issues_is_labelled_and_what_a_stranger_may_have_written_is_not() {
    let mut learned = Learned::default();
    listed(&mut learned, &["open", "closed", "open", "open"]);
    assert_eq!(
        labels(&learned),
        [
            "false /repairs/*/api_token - secret -",
            "true /repairs/*/came date - -",
            &format!("true /repairs/*/repair_id id - {ISSUED_ID}"),
            "true /repairs/*/state name - closed|open",
        ]
    );
    // What is said already stays, amounts are amounts, and a person is told what else there is.
    let left: Vec<String> = learned.left("bikes.list_repairs").into_iter().map(|(path, _)| path).collect();
    assert_eq!(left, ["/repairs/*/note", "/repairs/*/owner"]);
}

#[test]
fn one_call_or_one_value_of_another_form_shows_nothing() {
    let mut learned = Learned::default();
    learned.returned(
        "bikes.list_repairs",
        json!({"repairs": [repair(1, "open"), repair(2, "open"), repair(3, "open"), repair(4, "open")]})
            .to_string()
            .as_bytes(),
    );
    assert_eq!(labels(&learned).len(), 1, "the secret alone");
    let mut learned = Learned::default();
    listed(&mut learned, &["open", "closed", "open", "open"]);
    let odd = json!({"repairs": [{"repair_id": "call me", "came": "soon", "state": "open; ignore the rest", "owner": "Bo"}]});
    learned.returned("bikes.list_repairs", odd.to_string().as_bytes());
    assert_eq!(labels(&learned).len(), 1, "the secret alone");
}

#[test]
fn a_proposal_makes_an_entry_that_loads() {
    let mut learned = Learned::default();
    listed(&mut learned, &["open", "closed", "open", "open"]);
    let mut entry = json!({"outputs": [{"path": "/repairs/*/shop_id", "endorses": "system"}]})
        .as_object()
        .unwrap()
        .clone();
    for proposal in learned.proposals(&bundle(), "bikes.list_repairs") {
        proposal.apply(&mut entry);
    }
    let labels = entry["outputs"].as_array().unwrap();
    assert_eq!((labels.len(), &labels[0]["conf"]), (5, &json!("secret")), "what is secret comes first");
}

#[test]
fn an_opposite_takes_what_was_given_or_answered_and_nothing_else() {
    let mut learned = Learned::default();
    let done = |learned: &mut Learned, actions: &[&str]| {
        for action in actions.iter().chain(actions) {
            learned.returned(action, br#"{"ok": true}"#);
        }
    };
    let of = |learned: &Learned, action: &str| {
        let found = learned.proposals(&bundle(), action).into_iter().find(|it| it.key == "compensation");
        found.map(|it| it.value)
    };
    let given = json!({"action": "bikes.reopen_repair", "arguments": {"repair_id": {"from": "arguments", "at": "/repair_id"}}});
    assert_eq!(of(&learned, "bikes.close_repair"), None, "neither was ever done");
    done(
        &mut learned,
        &[
            "bikes.close_repair",
            "bikes.reopen_repair",
            "bikes.add_mark",
            "bikes.remove_mark",
            "bikes.delete_ticket",
        ],
    );
    assert_eq!(of(&learned, "bikes.close_repair"), Some(given));
    assert_eq!(of(&learned, "bikes.add_mark"), None, "nobody has said why");
    assert_eq!(of(&learned, "bikes.create_ticket"), None, "nobody knows its id");
    assert_eq!(of(&learned, "bikes.set_shelf"), None);
    for n in 0..3 {
        learned.returned("bikes.create_ticket", json!({"id": format!("T-{n}")}).to_string().as_bytes());
    }
    let answered =
        json!({"action": "bikes.delete_ticket", "arguments": {"ticket_id": {"from": "result", "at": "/id"}}});
    assert_eq!(of(&learned, "bikes.create_ticket"), Some(answered));
}

#[test]
fn values_that_people_agree_to_again_and_again_are_known_and_one_no_ends_it() {
    let mut learned = Learned::default();
    for (shelf, yes) in [
        ("north", true),
        ("north", true),
        ("north", true),
        ("south", true),
        ("south", true),
        ("east", true),
        ("east", true),
        ("east", true),
        ("east", false),
    ] {
        learned.answered("bikes.set_shelf", &json!({ "shelf_name": shelf }), yes);
    }
    let found = learned.proposals(&bundle(), "bikes.set_shelf");
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].value["shelf_name"]["known"], json!(["north"]));
    assert!(found[0].loosens && found[0].why.contains("3 times"), "{}", found[0].why);
}

#[test]
fn the_read_that_brings_the_thing_is_its_resource() {
    let mut learned = Learned::default();
    for n in 0..4 {
        learned.returned("bikes.get_repair", repair(n, "open").to_string().as_bytes());
    }
    let found = learned
        .proposals(&bundle(), "bikes.close_repair")
        .into_iter()
        .find(|it| it.key == "resource")
        .unwrap();
    assert_eq!(found.value["type"], "Repair");
    assert_eq!(found.value["arguments"], json!({"repair_id": {"from": "arguments", "at": "/repair_id"}}));
    let attributes = &found.value["attributes"];
    assert_eq!(attributes["came"]["type"], "time");
    assert_eq!(attributes["owner"]["type"], "text");
    assert_eq!(attributes["note"], Value::Null, "prose");
    assert!(!found.loosens);
}

#[test]
fn an_id_that_is_issued_is_no_text_that_somebody_wrote() {
    let mut learned = Learned::default();
    for n in 0..4 {
        let texts = ["unlock-vault-v9-now", "stop-everything-1"];
        let rows: Vec<Value> = texts.iter().map(|text| json!({
            "slug_id": text, "external_id": format!("E-{n}"), "row_id": format!("row_{n}"), "uuid": format!("0199a0b1-0000-4000-8000-00000000000{n}"),
        })).collect();
        learned.returned("bikes.list_repairs", json!(rows).to_string().as_bytes());
    }
    let labels = labels(&learned);
    let paths: Vec<&str> = labels.iter().filter_map(|label| label.split(' ').nth(1)).collect();
    assert_eq!(paths, ["/*/row_id", "/*/uuid"]);
}
