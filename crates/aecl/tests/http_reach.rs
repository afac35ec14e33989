//! What a key reads of the policy, of kill switches, and of what others have used up.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise, and its helpers are not marked as tests"
)]

mod common;

use aecl_kernel::policy::problem::Source;
use common::{Served, actions, agents};
use serde_json::{Value, json};

/// Beside the usual agents `clerk`, who acts in tenant `beta` only. The payer has a budget, and `legal` is asked for one of
/// its actions.
async fn several_tenants() -> (Served, Value) {
    let new = |kind| aecl_gate::identity::new_key(kind).unwrap();
    let (mut people, mut keys) = (Vec::new(), json!({}));
    for (id, groups, tenants) in [
        ("olga", json!(["operators"]), Value::Null),
        ("aud", json!(["auditors"]), Value::Null),
        ("opa", json!(["operators"]), json!(["alpha"])),
        ("finn", json!(["finance"]), Value::Null),
        ("ann", json!(["finance"]), json!(["alpha", "default"])),
        ("lena", json!(["legal"]), Value::Null),
        ("eve", json!([]), Value::Null),
    ] {
        let (key, hash) = new('p');
        keys[id] = json!(key);
        let mut person = json!({"id": id, "groups": groups, "key": hash.to_string()});
        if !tenants.is_null() {
            person["tenants"] = tenants;
        }
        people.push(person);
    }
    let (runner, hash) = new('o');
    keys["runner"] = json!(runner);
    let programs = json!([{"id": "runner", "agents": ["payer", "reader"], "key": hash.to_string()}]);
    let policy = |world: &std::path::Path| {
        let mut agents = agents();
        agents[0]["budgets"] = json!([{"unit": "EUR", "limit": "15", "per": "day"}]);
        agents[0]["context_rules"]["docs.apply"] =
            json!({"requires": "human_approval", "approvers": ["legal"]});
        agents.as_array_mut().unwrap().push(json!({
            "agent_id": "clerk", "allowed_actions": ["notes.write"], "approvers": ["finance"],
            "scopes": {"tenants": ["beta"]},
        }));
        let source = |path: &str, value: Value| Source { path: path.into(), text: value.to_string() };
        vec![source("actions/all.json", actions(world)), source("agents/all.json", agents)]
    };
    (Served::of(json!({"people": people, "orchestrators": programs}), policy).await, keys)
}

fn names(list: &Value, member: &str) -> String {
    let names = list.as_array().unwrap().iter().map(|one| one[member].as_str().unwrap());
    names.collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn of_the_policy_everybody_reads_what_concerns_them() {
    let (s, keys) = several_tenants().await;
    let all = "docs.apply mail.read notes.erase notes.write payments.close_account payments.refund \
               payments.transfer shelf.write_file";
    let of_payer =
        "docs.apply mail.read notes.erase notes.write payments.refund payments.transfer shelf.write_file";
    for (key, agents, actions) in [
        ("olga", "clerk other payer reader", all),
        ("aud", "clerk other payer reader", all),
        ("opa", "other payer reader", of_payer),
        ("finn", "clerk payer", of_payer),
        ("ann", "payer", of_payer),
        ("lena", "payer", of_payer),
        ("eve", "", ""),
        ("runner", "payer reader", of_payer),
    ] {
        let seen = s.get(keys[key].as_str().unwrap(), "/v1/policy").await;
        let policy = seen.json();
        assert_eq!(names(&policy["agents"], "agent"), agents, "{key}");
        assert_eq!(names(&policy["actions"], "name"), actions, "{key}");
        let whole = matches!(key, "olga" | "aud");
        assert_eq!(policy["whole"], whole, "{key}");
        assert_eq!(policy["warnings"].as_array().unwrap().is_empty(), !whole, "{key} {}", policy["warnings"]);
    }
    let (_, token) = s.run_with(keys["runner"].as_str().unwrap(), "payer").await;
    assert_eq!(s.get(&token, "/v1/policy").await.short(), "403 forbidden");
}

#[tokio::test]
async fn a_kill_switch_is_told_to_whom_it_concerns() {
    let (s, keys) = several_tenants().await;
    let key = |name: &str| keys[name].as_str().unwrap();
    let (run, _) = s.run_with(key("runner"), "payer").await;
    for scope in [
        json!("all"),
        json!({"tenant": "beta"}),
        json!({"agent": "other"}),
        json!({"agent": "payer"}),
        json!({"run": run}),
    ] {
        let on = json!({"scope": scope, "reason": "drill"});
        assert_eq!(s.post(key("olga"), "/v1/kill", &on).await.status, 200, "{scope}");
    }
    let of_run = format!("run:{run}");
    for (name, told) in [
        ("olga", vec!["agent:other", "agent:payer", "all", &of_run, "tenant:beta"]),
        ("opa", vec!["agent:other", "agent:payer", "all"]),
        ("finn", vec!["agent:payer", "all", "tenant:beta"]),
        ("ann", vec!["agent:payer", "all"]),
        ("eve", vec!["all", "tenant:beta"]),
        ("runner", vec!["agent:payer", "all", &of_run, "tenant:beta"]),
    ] {
        let kills = s.get(key(name), "/v1/kill").await.json();
        assert_eq!(names(&kills["kills"], "scope"), told.join(" "), "{name}");
    }
}

/// What is said to a question whether this could be done: by `explain` and by AuthZEN.
async fn asked(s: &Served, key: &Value, agent: &str, action: &str, more: Value) -> [String; 2] {
    let key = key.as_str().unwrap();
    let arguments = match action {
        "payments.transfer" => json!({"account": "acc-9", "amount": "10", "currency": "EUR"}),
        "notes.erase" => json!({"id": 1}),
        _ => json!({"id": "m1"}),
    };
    let mut question = json!({"agent": agent, "action": action, "arguments": arguments});
    question.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let explained = s.post(key, "/v1/explain", &question).await;
    let body = explained.json();
    let told = body["decision"]["headline"].as_str().or(body["decision"]["verdict"].as_str());
    let first = match (explained.status, told) {
        (200, Some(told)) => format!("{told} {}", body["usage"].as_str().unwrap()),
        _ => explained.short(),
    };
    let question = json!({"subject": {"type": "agent", "id": agent}, "resource": {"type": "account", "id": "acc-9"},
        "action": {"name": action, "properties": arguments}});
    let evaluated = s.post(key, "/access/v1/evaluation", &question).await;
    let body = evaluated.json();
    let second = match evaluated.status {
        200 => format!("{} {}", body["decision"], body["context"]["code"].as_str().unwrap_or("-")),
        _ => evaluated.short(),
    };
    for text in [&explained.text, &evaluated.text] {
        let tells = text.contains(" is left (") || text.contains("EUR per day");
        assert_eq!(tells, text.contains("budget_exceeded"), "{text}");
    }
    [first, second]
}

#[tokio::test]
async fn what_others_have_used_up_is_told_to_whoever_may_read_their_runs() {
    let (s, keys) = several_tenants().await;
    let key = |name: &str| keys[name].as_str().unwrap();
    let (_, token) = s.run_with(key("runner"), "payer").await;
    let pending = s.transfer(&token, "10", json!({"resume": true})).await.json();
    let approve = format!("/v1/approvals/{}/approve", pending["approval"]["id"].as_str().unwrap());
    assert_eq!(s.post(key("finn"), &approve, &json!({})).await.status, 200);
    let path = format!("/v1/actions/{}?wait_s=5", pending["action"].as_str().unwrap());
    assert_eq!(s.get(&token, &path).await.json()["state"], "done");

    let (spent, unspent) = ("budget_exceeded counted", "approval_rule left_out");
    for (name, agent, action, explained, evaluated) in [
        ("olga", "payer", "payments.transfer", spent, "false budget_exceeded"),
        ("aud", "payer", "payments.transfer", spent, "false budget_exceeded"),
        ("runner", "payer", "payments.transfer", "403 forbidden", "false budget_exceeded"),
        ("runner", "payer", "mail.read", "403 forbidden", "true -"),
        ("runner", "other", "mail.read", "403 forbidden", "403 forbidden"),
        ("finn", "payer", "payments.transfer", unspent, "false approval_rule"),
        ("ann", "payer", "payments.transfer", unspent, "false approval_rule"),
        ("lena", "payer", "mail.read", "allow left_out", "false usage_left_out"),
        ("finn", "other", "mail.read", "403 forbidden", "403 forbidden"),
        ("finn", "nobody", "mail.read", "403 forbidden", "403 forbidden"),
        ("olga", "nobody", "mail.read", "agent_unknown counted", "false agent_unknown"),
        // The configuration's tenant is not one of hers.
        ("opa", "payer", "mail.read", "403 forbidden", "403 forbidden"),
        ("eve", "payer", "mail.read", "403 forbidden", "403 forbidden"),
    ] {
        let told = asked(&s, &keys[name], agent, action, json!({})).await;
        assert_eq!(told, [explained.to_owned(), evaluated.to_owned()], "{name} {agent} {action}");
    }
    // Nobody of finance was asked in this run.
    let (_, token) = s.run_with(key("runner"), "payer").await;
    let note = json!({"action": "notes.write", "arguments": {"text": "a"}});
    let note = s.post(&token, "/v1/actions", &note).await.json()["action"].clone();
    let undo = json!({"compensates": note});
    assert_eq!(asked(&s, &keys["finn"], "payer", "notes.erase", undo.clone()).await[0], "404 record_unknown");
    let [said, _] = asked(&s, &keys["olga"], "payer", "notes.erase", undo).await;
    assert!(said.ends_with(" counted"), "{said}");
}

#[tokio::test]
async fn what_an_agent_has_used_up_in_another_tenant_is_told_to_nobody_of_one() {
    let (s, keys) = several_tenants().await;
    let key = |name: &str| keys[name].as_str().unwrap();
    let open = json!({"agent": "payer", "tenant": "beta", "goal": "settle the invoice"});
    let opened = s.post(key("runner"), "/v1/runs", &open).await.json();
    let token = opened["token"].as_str().unwrap_or_else(|| panic!("{opened}")).to_owned();
    let pending = s.transfer(&token, "10", json!({"resume": true})).await.json();
    let approve = format!("/v1/approvals/{}/approve", pending["approval"]["id"].as_str().unwrap());
    assert_eq!(s.post(key("finn"), &approve, &json!({})).await.status, 200);
    let path = format!("/v1/actions/{}?wait_s=5", pending["action"].as_str().unwrap());
    assert_eq!(s.get(&token, &path).await.json()["state"], "done");

    // She looks after `alpha` alone, where this agent has done nothing.
    let in_alpha = json!({"tenant": "alpha"});
    let [said, _] = asked(&s, &keys["opa"], "payer", "payments.transfer", in_alpha.clone()).await;
    assert_eq!(said, "approval_rule left_out");
    let [said, _] = asked(&s, &keys["olga"], "payer", "payments.transfer", in_alpha).await;
    assert_eq!(said, "budget_exceeded counted");
}
