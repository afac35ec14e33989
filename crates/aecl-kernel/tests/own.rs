//! What is the user's own, as the operator knows it: nobody has to say it in a goal.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod world;

use aecl_analysis::load::VettedBundle;
use aecl_kernel::base::id::UserId;
use aecl_kernel::base::principal::Principal;
use aecl_kernel::policy::problem::Source;
use serde_json::{Value, json};
use std::sync::Arc;
use world::{World, permit, principal, proposal, says};

const ANNA: &str =
    r#"{"user": "anna", "emails": ["anna@harbour.example"], "names": ["anna_phone"], "ids": ["u-17"]}"#;

fn sources(people: &str) -> Vec<Source> {
    let text = json!({"type": "string"});
    let actions = json!([
        {"name": "read", "effect": "read", "arguments": {"type": "object", "properties": {}}},
        {"name": "send", "effect": "send", "reversibility": "reversible", "severity": 3,
         "arguments": {"type": "object", "required": ["to"], "properties": {"to": {"type": "array", "items": text}}},
         "args": {"to": {"class": "dest_email"}}, "intent": {"strong": ["send"]}},
        {"name": "page", "effect": "send", "reversibility": "reversible", "severity": 2, "egress": "tenant",
         "arguments": {"type": "object", "required": ["phone"], "properties": {"phone": text}},
         "args": {"phone": {"class": "dest_name"}}, "intent": {"strong": ["send"]}},
        {"name": "own", "effect": "write", "reversibility": "reversible", "severity": 3,
         "arguments": {"type": "object", "required": ["id"], "properties": {"id": text}},
         "args": {"id": {"class": "target_id"}}, "intent": {"strong": ["send"]}},
        {"name": "login", "effect": "grant", "reversibility": "reversible", "severity": 3,
         "arguments": {"type": "object", "required": ["password"], "properties": {"password": text}},
         "args": {"password": {"class": "credential"}}, "intent": {"strong": ["send"]}}]);
    let agent = json!({"agent_id": "a", "allowed_actions": ["read", "send", "page", "own", "login"], "auto_approve_threshold": "1.00"});
    [
        ("actions/all.json", actions.to_string()),
        ("agents/a.json", agent.to_string()),
        ("people/anna.json", people.into()),
    ]
    .map(|(path, text)| Source { path: path.into(), text })
    .into()
}

fn run(user: Option<&str>) -> (World, Principal) {
    let bundle = VettedBundle::load(sources(ANNA)).unwrap_or_else(|p| panic!("{p:#?}"));
    let mut world = World::new(Arc::new(bundle.into_bundle()));
    let who = Principal { user: user.map(|user| UserId::new(user).unwrap()), ..principal("a") };
    world.open_for(&who, "Send me the tides", None);
    let read = permit(&world.propose(proposal(&who, "read", &json!({}))));
    world.answers(&read, &json!("the tides, by a stranger"));
    (world, who)
}

fn said(user: Option<&str>, name: &str, arguments: &Value) -> String {
    let (mut world, who) = run(user);
    says(&world.propose(proposal(&who, name, arguments)))
}

#[test]
fn what_is_the_users_own_is_proven_in_its_role_and_for_nobody_else() {
    let own = [
        ("send", json!({"to": ["anna@harbour.example"]}), "unproven_destination"),
        ("page", json!({"phone": "anna_phone"}), "unproven_destination"),
        ("own", json!({"id": "u-17"}), "unproven_target"),
    ];
    for (name, call, asked) in &own {
        assert_eq!(said(Some("anna"), name, call), "allow", "{name}");
        for other in [Some("bert"), None] {
            assert_eq!(said(other, name, call), format!("require_approval {asked}"), "{name} {other:?}");
        }
    }
    let with_another = json!({"to": ["anna@harbour.example", "eve@evil.example"]});
    assert_eq!(said(Some("anna"), "send", &with_another), "require_approval unproven_destination");
    assert_eq!(
        said(Some("anna"), "login", &json!({"password": "u-17"})),
        "require_approval unproven_credential"
    );
}

#[test]
fn a_value_that_is_none_or_a_person_who_is_there_twice_is_refused_by_name() {
    for (people, why) in [
        (r#"{"user": "anna", "emails": ["anna"]}"#, "`anna` in `emails` is no mail address"),
        (r#"{"user": "anna", "mails": ["anna@harbour.example"]}"#, "mails"),
        (r#"[{"user": "anna"}, {"user": "anna"}]"#, "twice"),
    ] {
        let problems = VettedBundle::load(sources(people)).err().unwrap_or_else(|| panic!("{people}"));
        let told = format!("{problems:?}");
        assert!(told.contains(why) && told.contains("people/anna.json"), "{people}: {told}");
    }
}
