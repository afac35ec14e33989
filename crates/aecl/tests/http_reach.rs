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
