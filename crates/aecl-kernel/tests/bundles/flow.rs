//! Severity, roles of arguments and labels of outputs: what can be wrong with them, and what they change.

use super::{agent, check, pay, read, with_action, with_agent};
use crate::world::{World, action, bundle, principal, proposal};
use aecl_kernel::base::json::Limits;
use aecl_kernel::define::catalogue::flow::{Audience, Class};
use aecl_kernel::read::action::Action;
use expect_test::expect;
use serde_json::{Value, json};

#[test]
fn roles_and_labels_that_cannot_be_meant_do_not_load() {
    check(
        with_action(json!({"severity": 4})),
        expect![[r#"
        actions/all.json: error: `pay`: `severity` is 4; it goes from 0 to 3
        does not load
    "#]],
    );
    check(
        with_action(json!({"egress": "externl"})),
        expect![[r#"
        actions/all.json: error: `pay`: unknown variant `externl`, expected one of `none`, `tenant`, `external`; did you mean `external`?
        agents/all.json: warning: `a`: `allowed_actions` names `pay`, which the catalogue does not have
        does not load
    "#]],
    );
    check(
        with_action(json!({"args": {"to": {"class": "dest_acount"}}})),
        expect![[r#"
        actions/all.json: error: `pay`: unknown variant `dest_acount`, expected one of `dest_email`, `dest_url`, `dest_account`, `dest_name`, `target_id`, `target_name`, `target_path`, `magnitude`, `credential`, `profile`, `command`, `query_sql`, `content`, `attachments`, `time`, `flag`, `selector`; did you mean `dest_account`?
        agents/all.json: warning: `a`: `allowed_actions` names `pay`, which the catalogue does not have
        does not load
    "#]],
    );
    check(
        with_action(json!({"args": {"too": {"class": "dest_account"}}})),
        expect![[r#"
        actions/all.json: error: `pay`: `args` names `too`, which `arguments` does not list; did you mean `/to`?
        does not load
    "#]],
    );
    check(
        with_action(json!({"args": {"to": {"class": "dest_account", "limit": 5}}})),
        expect![[r#"
        actions/all.json: error: `pay`: `args.to`: `low_value` and `limit` are for a `magnitude`; this is a `dest_account`
        does not load
    "#]],
    );
    check(
        with_action(json!({"args": {"amount": {"class": "magnitude", "limit": 5, "low_value": 6}}})),
        expect![[r#"
            actions/all.json: error: `pay`: `args.amount`: `low_value` must be at least 0 and at most `limit`
            does not load
        "#]],
    );
    check(
        with_action(json!({"outputs": [{"path": "id", "endorses": "agent", "type": "id"}]})),
        expect![[r#"
        actions/all.json: error: `pay`: `outputs[0].path` must be empty or a JSON pointer such as `/id`
        does not load
    "#]],
    );
    check(
        with_action(json!({"outputs": [{"path": "/id", "endorses": "agent"}]})),
        expect![[r#"
        actions/all.json: error: `pay`: `outputs[0]`: what a change answers may repeat what a stranger wrote; with `endorses: agent` it needs a `type` or a `pattern`
        does not load
    "#]],
    );
    check(
        with_action(json!({"outputs": [{"path": "/id", "pattern": "("}]})),
        expect![[r#"
        actions/all.json: error: `pay`: the `pattern` of `outputs[0]`: "^(?:()$" is not a "regex"
        agents/all.json: warning: `a`: `allowed_actions` names `pay`, which the catalogue does not have
        does not load
    "#]],
    );
    check(
        with_action(json!({"resolver": "reed"})),
        expect![[r#"
        actions/all.json: error: `pay`: its `resolver` `reed` is not in the catalogue; did you mean `read`?
        does not load
    "#]],
    );
    check(
        with_action(json!({"resolver": "pay"})),
        expect![[r#"
        actions/all.json: error: `pay`: its `resolver` `pay` is no read
        does not load
    "#]],
    );
    check(
        with_agent(json!({"mode": "strictly"})),
        expect![[r#"
        agents/all.json: error: `a`: unknown variant `strictly`, expected `standard` or `strict`; did you mean `strict`?
        does not load
    "#]],
    );
}

#[test]
fn what_an_action_does_not_say_is_read_from_its_names() {
    let mut said = pay();
    said["name"] = json!("send_money");
    said["args"] = json!({"to": {"class": "dest_name"}});
    let loaded = bundle(&agent(json!({})), &json!([pay(), said, read()]), "");
    let typed = |name: &str| loaded.catalogue().find(name).unwrap().clone();
    let class = |name: &str, pointer: &str| typed(name).roles.of_pointer(pointer).map(|a| a.class);
    assert_eq!(class("pay", "/to"), Some(Class::DestAccount));
    assert_eq!(class("pay", "/to/0"), Some(Class::DestAccount));
    assert_eq!(class("pay", "/amount"), Some(Class::Magnitude));
    assert_eq!(class("send_money", "/to"), Some(Class::DestName));
    assert_eq!(class("read", "/what"), Some(Class::Selector));
    assert_eq!(class("pay", "/nothing"), None);
    assert_eq!((typed("pay").manifest.severity(), typed("read").manifest.severity()), (3, 0));
    assert_eq!((typed("pay").egress, typed("read").egress), (Audience::External, Audience::None));
}

#[test]
fn a_definition_that_says_nothing_new_keeps_its_digest() {
    let digest = |more: Value| {
        let mut one = read();
        one.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        bundle(&agent(json!({})), &json!([pay(), one]), "").catalogue().find("read").unwrap().digest
    };
    let before = digest(json!({}));
    assert_eq!(digest(json!({"args": {}, "outputs": [], "intent": {}})), before);
    assert_ne!(digest(json!({"severity": 1})), before);
}

/// A target whose default is dangerous: what is left out is judged, shown and sent like what is said.
#[test]
fn defaults_of_omitted_arguments_are_filled_in_before_anything_is_judged() {
    let mut share = action("share", "send", json!({"file": {"type": "string"}}));
    share["arguments"]["properties"]["with"] = json!({"type": "string"});
    share["args"] = json!({"with": {"class": "dest_name", "default": "everybody"}});
    share["fields"] = json!({"destination": {"value": "/with", "kind": "name", "allowed": ["team"]}});
    let actions = json!([share, read()]);
    let loaded = bundle(&json!({"agent_id": "a", "allowed_actions": ["share"]}), &actions, "");
    let who = principal("a");
    let parse = |arguments: Value| {
        Action::parse(proposal(&who, "share", &arguments), loaded.catalogue(), &Limits::default())
    };
    let left_out = parse(json!({"file": "f"}));
    assert_eq!(left_out.arguments.text(), r#"{"file":"f","with":"everybody"}"#);
    assert_eq!(left_out.digest, parse(json!({"file": "f", "with": "everybody"})).digest);
    assert_ne!(left_out.digest, parse(json!({"file": "f", "with": "team"})).digest);
    let mut world = World::new(loaded.clone());
    world.open(&who);
    let ruling = world.propose(proposal(&who, "share", &json!({"file": "f"})));
    assert_eq!(super::says(&ruling), "block destination_refused");
}
