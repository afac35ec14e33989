//! Credentials belong to a scope: judged before anything happens, carried in the permit, narrower only.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod world;

use aecl_kernel::base::code;
use aecl_kernel::base::id::RunId;
use aecl_kernel::decide::Ruling;
use aecl_kernel::record::decision::Obligation;
use serde_json::{Value, json};
use world::{World, action, bundle, principal, proposal};

fn says(ruling: &Ruling) -> String {
    let decision = ruling.decision();
    let headline = decision.headline.map_or("", |code| code.as_str());
    format!("{} {headline}", decision.verdict.name()).trim().to_owned()
}

/// A world in which `a` of this scope proposes an action whose credentials are of that one.
fn meet(agent: Option<&str>, wanted: Option<&str>, connector: Value) -> Ruling {
    let mut call = action("call", "read", json!({}));
    call["connector"] = connector;
    call["credential_scope"] = wanted.map_or(Value::Null, Value::from);
    let agent = json!({"agent_id": "a", "allowed_actions": ["call"], "credential_scope": agent});
    let mut world = World::new(bundle(&agent, &json!([call]), ""));
    let who = principal("a");
    world.open(&who);
    world.propose(proposal(&who, "call", &json!({})))
}

#[test]
fn credentials_are_used_in_their_scope_only() {
    let secret = || json!({"headers": {"a": ["x", "Bearer {secret:env:A}"]}});
    let none = || json!({"kind": "sql"});
    let refused = "block credential_refused";
    for (agent, wanted, connector, expected) in [
        (Some("x"), Some("x"), secret(), "allow"),
        (Some("x"), Some("y"), secret(), refused),
        (Some("x"), Some("y"), none(), refused),
        (Some("x"), Some("X"), none(), refused),
        (Some("x"), None, secret(), refused),
        (Some("x"), None, none(), "allow"),
        (None, Some("x"), secret(), refused),
        (None, Some("x"), none(), refused),
        (None, None, secret(), "allow"),
        (None, None, none(), "allow"),
    ] {
        assert_eq!(says(&meet(agent, wanted, connector)), expected, "{agent:?} {wanted:?}");
    }
}

#[test]
fn a_permit_says_whose_credentials_it_opens() {
    let opened = |agent| match meet(agent, None, Value::Null) {
        Ruling::Allowed(permit) => permit.decision().credential_scope().map(str::to_owned),
        other => panic!("{other:?}"),
    };
    assert_eq!((opened(Some("x")).as_deref(), opened(None)), (Some("x"), None));
    let blocked = meet(Some("x"), Some("y"), Value::Null);
    let scope = Obligation::CredentialScope { scope: "x".into() };
    assert!(!blocked.decision().obligations.contains(&scope), "a no opens nothing");
}

#[test]
fn a_child_run_uses_no_credentials_that_its_parent_could_not_use() {
    let mut call = action("call", "read", json!({}));
    call["credential_scope"] = "child_ns".into();
    let agent = |id: &str, scope: &str| json!({"agent_id": id, "allowed_actions": ["call"], "credential_scope": scope});
    for (parent_scope, expected) in [("child_ns", "allow"), ("parent_ns", "block credential_refused")] {
        let agents = json!([agent("child", "child_ns"), agent("parent", parent_scope)]);
        let mut world = World::new(bundle(&agents, &json!([call]), ""));
        let (mut parent, child) = (principal("parent"), principal("child"));
        parent.run = RunId::new("run_parent").unwrap();
        world.open(&parent);
        world.open_child(&child, std::slice::from_ref(&parent.run));
        let ruling = world.propose(proposal(&child, "call", &json!({})));
        assert_eq!(says(&ruling), expected, "{parent_scope}");
        if expected != "allow" {
            let finding = &ruling.decision().findings[0];
            assert_eq!(finding.code, code::CREDENTIAL_REFUSED);
            assert!(finding.message.contains("`parent` has the scope `parent_ns`"), "{}", finding.message);
        }
    }
}

#[test]
fn an_entry_without_a_scope_keeps_the_digest_that_it_had() {
    let entry = action("call", "read", json!({}));
    let bundle = bundle(&json!({"agent_id": "a", "allowed_actions": ["call"]}), &json!([entry]), "");
    let manifest = &bundle.catalogue().find("call").unwrap().manifest;
    assert!(serde_json::to_value(manifest).unwrap().get("credential_scope").is_none());
}
