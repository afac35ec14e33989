//! What people write: manifests, catalogue, rules, examples; what is wrong with them; what policy makes of
//! them. A bundle that says something which would have no effect does not load, or says so aloud.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod flow;
mod rules;
#[path = "../world/mod.rs"]
mod world;

use aecl_analysis::load::VettedBundle;
use aecl_kernel::base::id::AgentId;
use aecl_kernel::decide::Ruling;
use aecl_kernel::define::manifest::{AgentManifest, Consent};
use aecl_kernel::policy::problem::Source;
use expect_test::{Expect, expect};
use serde_json::{Value, json};
use world::{World, acme, action, bundle, lines, principal, proposal, says, sources, wait};

/// What is wrong or doubtful with these sources, and whether they load.
fn report(sources: Vec<Source>) -> String {
    match VettedBundle::load(sources) {
        Ok(bundle) => format!("{}loads\n", lines(bundle.warnings())),
        Err(problems) => format!("{}does not load\n", lines(&problems)),
    }
}

fn check(sources: Vec<Source>, expected: Expect) {
    expected.assert_eq(&report(sources));
}

fn agent(more: Value) -> Value {
    let mut agent = json!({"agent_id": "a", "allowed_actions": ["pay", "read"]});
    agent.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    agent
}

fn pay() -> Value {
    let mut pay = action("pay", "pay", json!({"amount": {"type": "integer"}, "to": {"type": "string"}}));
    pay["fields"] = json!({"amount": {"value": "/amount", "unit": "EUR"}});
    pay
}

fn read() -> Value {
    action("read", "read", json!({"what": {"type": "string"}}))
}

/// An agent like `a`, with something more in its manifest.
fn with_agent(more: Value) -> Vec<Source> {
    sources(&agent(more), &json!([pay(), read()]), "")
}

/// The action `pay`, with something more in its manifest.
fn with_action(more: Value) -> Vec<Source> {
    let mut pay = pay();
    pay.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    sources(&agent(json!({})), &json!([pay, read()]), "")
}

fn with_rule(rule: &str) -> Vec<Source> {
    sources(&agent(json!({})), &json!([pay(), read()]), rule)
}

// --- manifests

#[test]
fn manifest_of_the_article_is_read_word_for_word() {
    let manifest: AgentManifest = serde_json::from_str(include_str!("../acme/agents/finance.json")).unwrap();
    assert_eq!(manifest.agent_id.as_str(), "finance_agent_v2");
    assert_eq!(manifest.allowed_actions.len(), 3);
    assert_eq!(manifest.blocked_actions.len(), 3);
    assert_eq!(manifest.context_rules["transfer_funds"].requires, Consent::HumanApproval);
    assert_eq!(manifest.context_rules["bulk_export"].requires, Consent::DataOwnerConsent);
    assert_eq!(manifest.credential_scope.as_deref(), Some("read_only_finance_ns"));
    assert_eq!(manifest.token_ttl_seconds, 900);
    assert_eq!(manifest.max_tool_calls_per_run, Some(50));
    // What it does not say.
    assert_eq!(manifest.auto_approve_points(), 60);
    assert_eq!(manifest.breaker_after, 3);
    assert!(!manifest.self_approval);
}

#[test]
fn acme_loads_and_says_what_is_doubtful() {
    check(
        acme(),
        expect![[r#"
            actions/finance.json: warning: `bulk_export` names no compensation, so it always waits for a person
            actions/support.json: warning: `cancel_refund` names no compensation, so it always waits for a person
            actions/ops.json: warning: `db.drop_table` names no compensation, so it always waits for a person
            actions/finance.json: warning: `delete_record` names no compensation, so it always waits for a person
            actions/finance.json: warning: `modify_iam_policy` names no compensation, so it always waits for a person
            actions/finance.json: warning: `recall_payment` names no compensation, so it always waits for a person
            actions/ops.json: warning: `run_shell` names no compensation, so it always waits for a person
            actions/support.json: warning: `send_email` names no compensation, so it always waits for a person
            actions/finance.json: warning: `transfer_funds` names no compensation, so it always waits for a person
            agents/finance.json: warning: `finance_agent_v2`: the context rule for `transfer_funds` is unreachable: `blocked_actions` beats it
            agents/ops.json: warning: `ops_agent`: `allowed_actions` has the wildcard `books.*`: it also covers what is added later
            agents/ops.json: warning: `ops_agent`: `allowed_actions` has the wildcard `db.*`: it also covers what is added later
            agents/ops.json: warning: `ops_agent`: `allowed_actions` has the wildcard `deploy.*`: it also covers what is added later
            loads
        "#]],
    );
}

#[test]
fn manifest_alone_without_its_catalogue_loads_and_permits_nothing() {
    let source = acme().remove(0);
    check(
        vec![source.clone()],
        expect![[r#"
        agents/finance.json: warning: `finance_agent_v2`: `allowed_actions` names `generate_payment_report`, which the catalogue does not have
        agents/finance.json: warning: `finance_agent_v2`: `allowed_actions` names `read_invoice`, which the catalogue does not have
        agents/finance.json: warning: `finance_agent_v2`: `allowed_actions` names `read_vendor_profile`, which the catalogue does not have
        agents/finance.json: warning: `finance_agent_v2`: `blocked_actions` names `delete_record`, which the catalogue does not have
        agents/finance.json: warning: `finance_agent_v2`: `blocked_actions` names `modify_iam_policy`, which the catalogue does not have
        agents/finance.json: warning: `finance_agent_v2`: `blocked_actions` names `transfer_funds`, which the catalogue does not have
        agents/finance.json: warning: `finance_agent_v2`: `context_rules` names `bulk_export`, which the catalogue does not have
        agents/finance.json: warning: `finance_agent_v2`: `context_rules` names `transfer_funds`, which the catalogue does not have
        agents/finance.json: warning: `finance_agent_v2`: the context rule for `transfer_funds` is unreachable: `blocked_actions` beats it
        loads
    "#]],
    );
    let mut world = World::new(std::sync::Arc::new(VettedBundle::load(vec![source]).unwrap().into_bundle()));
    let who = principal("finance_agent_v2");
    world.open(&who);
    assert_eq!(says(&world.propose(proposal(&who, "read_invoice", &json!({})))), "block action_unknown");
}

#[test]
fn unknown_key_is_an_error_with_a_suggestion() {
    check(
        with_agent(json!({"alowed_actions": []})),
        expect![[r#"
            agents/all.json: error: `a`: unknown field `alowed_actions`, expected one of `agent_id`, `description`, `allowed_actions`, `blocked_actions`, `context_rules`, `credential_scope`, `token_ttl_seconds`, `max_tool_calls_per_run`, `max_questions_per_run`, `max_concurrent_calls`, `rate_limits`, `budgets`, `auto_approve_threshold`, `scopes`, `hours`, `mode`, `plans`, `min_tier`, `on_behalf_of`, `approvers`, `self_approval`, `excluded_approvers`, `breaker_after`, `run_ttl_seconds`; did you mean `allowed_actions`?
            does not load
        "#]],
    );
    check(
        with_agent(json!({"max_tool_calls": 5})),
        expect![[r#"
            agents/all.json: error: `a`: unknown field `max_tool_calls`, expected one of `agent_id`, `description`, `allowed_actions`, `blocked_actions`, `context_rules`, `credential_scope`, `token_ttl_seconds`, `max_tool_calls_per_run`, `max_questions_per_run`, `max_concurrent_calls`, `rate_limits`, `budgets`, `auto_approve_threshold`, `scopes`, `hours`, `mode`, `plans`, `min_tier`, `on_behalf_of`, `approvers`, `self_approval`, `excluded_approvers`, `breaker_after`, `run_ttl_seconds`
            does not load
        "#]],
    );
    check(
        with_agent(json!({"budgets": [{"unit": "EUR", "limt": "5", "per": "day"}]})),
        expect![[r#"
        agents/all.json: error: `a`: unknown field `limt`, expected one of `unit`, `limit`, `per`, `of`, `actions`; did you mean `limit`?
        does not load
    "#]],
    );
    check(
        with_agent(json!({"context_rules": {"pay": {"requires": "human_approval", "aprovers": ["x"]}}})),
        expect![[r#"
        agents/all.json: error: `a`: unknown field `aprovers`, expected one of `requires`, `approvers`, `count`, `expires_s`; did you mean `approvers`?
        does not load
    "#]],
    );
    check(
        with_agent(json!({"context_rules": {"pay": "requires_human_aproval"}})),
        expect![[r#"
        agents/all.json: error: `a`: unknown context rule `requires_human_aproval`; known are `requires_human_approval` and `requires_data_owner_consent`
        does not load
    "#]],
    );
    check(
        with_agent(json!({"scopes": {"tenant": ["x"]}})),
        expect![[r#"
        agents/all.json: error: `a`: unknown field `tenant`, expected one of `tenants`, `projects`, `environments`; did you mean `tenants`?
        does not load
    "#]],
    );
    check(
        with_action(json!({"reversable": true})),
        expect![[r#"
            actions/all.json: error: `pay`: unknown field `reversable`, expected one of `name`, `description`, `effect`, `reversibility`, `arguments`, `fields`, `output`, `environments`, `cost`, `bulk`, `idempotency`, `timeout_ms`, `approval`, `compensation`, `connector`, `credential_scope`, `min_tier`, `pin`, `severity`, `egress`, `args`, `outputs`, `intent`, `resolver`, `dry_run`, `cases`, `resource`, `completes`, `authorize`
            agents/all.json: warning: `a`: `allowed_actions` names `pay`, which the catalogue does not have
            does not load
        "#]],
    );
    check(
        with_action(json!({"effect": "payy"})),
        expect![[r#"
        actions/all.json: error: `pay`: unknown variant `payy`, expected one of `read`, `write`, `delete`, `send`, `pay`, `execute`, `deploy`, `grant`; did you mean `pay`?
        agents/all.json: warning: `a`: `allowed_actions` names `pay`, which the catalogue does not have
        does not load
    "#]],
    );
    check(
        with_action(json!({"fields": {"amout": {"value": "/amount", "unit": "EUR"}}})),
        expect![[r#"
        actions/all.json: error: `pay`: unknown field `amout`, expected one of `resource`, `destination`, `amount`, `rows`, `tenant`; did you mean `amount`?
        agents/all.json: warning: `a`: `allowed_actions` names `pay`, which the catalogue does not have
        does not load
    "#]],
    );
    let mut all = acme();
    all.push(Source { path: "risk.json".into(), text: r#"{"amount_abov": "1"}"#.into() });
    check(
        all.split_off(all.len() - 1),
        expect![[r#"
            risk.json: error: item 1: unknown field `amount_abov`, expected one of `profile`, `amount_above`, `amount`, `irreversible`, `production`, `bulk_above`, `bulk`, `untrusted`, `compensatable`, `external`, `severity`, `near_limit`, `blast`, `amount_day`, `first_use`, `private`, `doubts`, `two_people_from`; did you mean `amount_above`?
            does not load
        "#]],
    );
    check(
        vec![Source { path: "agent/a.json".into(), text: "{}".into() }],
        expect![[r#"
            agent/a.json: error: not a place that a bundle has; known are agents/, actions/, people/, rules/, examples/, properties/, risk.json and sandbox.json
            does not load
        "#]],
    );
}

#[test]
fn numbers_of_a_manifest_are_written_as_numbers_or_as_text() {
    for (limit, threshold) in
        [(json!("100.50"), json!("0.40")), (json!(100.5), json!(0.4)), (json!(100), json!(0))]
    {
        let sources = with_agent(json!({
            "auto_approve_threshold": threshold, "budgets": [{"unit": "EUR", "limit": limit, "per": "day"}],
        }));
        assert_eq!(report(sources), "loads\n", "{limit} {threshold}");
    }
}

#[test]
fn limits_that_would_not_limit_do_not_load() {
    check(
        with_agent(json!({"budgets": [{"unit": "EUR", "limit": "-1", "per": "day"}]})),
        expect![[r#"
        agents/all.json: error: `a`: the budget in `EUR` is negative
        does not load
    "#]],
    );
    check(
        with_agent(json!({"budgets": [{"unit": "EUR", "limit": "1", "per": "day", "actions": ["pya"]}]})),
        expect![[r#"
        agents/all.json: error: `a`: `budgets` limits `pya`, which the catalogue does not have; did you mean `pay`?
        agents/all.json: warning: `a`: the budget in `EUR` limits nothing: no action that it covers is counted in that unit
        does not load
    "#]],
    );
    check(
        with_agent(json!({"budgets": [{"unit": "EUR", "limit": "1", "per": "day", "actions": ["p*"]}]})),
        expect![[r#"
        agents/all.json: error: `a`: `budgets` limits `p*`, which the catalogue does not have
        agents/all.json: warning: `a`: the budget in `EUR` limits nothing: no action that it covers is counted in that unit
        does not load
    "#]],
    );
    check(
        with_agent(json!({"budgets": [{"unit": "row", "limit": "1", "per": "day"}]})),
        expect![[r#"
        agents/all.json: warning: `a`: the budget in `row` limits nothing: no action that it covers is counted in that unit
        loads
    "#]],
    );
    check(
        with_agent(json!({"rate_limits": [{"calls": 1, "per_s": 0}]})),
        expect![[r#"
        agents/all.json: error: `a`: the rate of 1 calls needs a `per_s` above 0
        does not load
    "#]],
    );
    check(
        with_agent(json!({"rate_limits": [{"calls": 1, "per_s": 1, "actions": ["raed"]}]})),
        expect![[r#"
        agents/all.json: error: `a`: `rate_limits` limits `raed`, which the catalogue does not have; did you mean `read`?
        does not load
    "#]],
    );
    check(
        with_agent(json!({"auto_approve_threshold": "1.01"})),
        expect![[r#"
        agents/all.json: error: `a`: `auto_approve_threshold` must be between 0.00 and 1.00
        does not load
    "#]],
    );
    check(
        with_agent(json!({"auto_approve_threshold": "-0.1"})),
        expect![[r#"
        agents/all.json: error: `a`: `auto_approve_threshold` must be between 0.00 and 1.00
        does not load
    "#]],
    );
    check(
        with_agent(json!({"token_ttl_seconds": 0})),
        expect![[r#"
        agents/all.json: error: `a`: `token_ttl_seconds` must be between 1 and 86,400
        does not load
    "#]],
    );
    check(
        with_agent(json!({"context_rules": {"pay": {"requires": "human_approval", "count": 0}}})),
        expect![[r#"
        agents/all.json: error: `a`: the context rule for `pay` needs a `count` from 1 to 64 and an `expires_s` above 0
        does not load
    "#]],
    );
    check(
        with_agent(json!({"context_rules": {"pay": {"requires": "human_approval", "expires_s": 0}}})),
        expect![[r#"
        agents/all.json: error: `a`: the context rule for `pay` needs a `count` from 1 to 64 and an `expires_s` above 0
        does not load
    "#]],
    );
    check(
        with_action(json!({"approval": {"count": 0}})),
        expect![[r#"
        actions/all.json: error: `pay`: `approval` needs a `count` from 1 to 64 and an `expires_s` above 0
        does not load
    "#]],
    );
    check(
        with_action(json!({"approval": {"expires_s": 0}})),
        expect![[r#"
        actions/all.json: error: `pay`: `approval` needs a `count` from 1 to 64 and an `expires_s` above 0
        does not load
    "#]],
    );
    check(
        with_action(json!({"approval": {"count": 100}})),
        expect![[r#"
        actions/all.json: error: `pay`: `approval` needs a `count` from 1 to 64 and an `expires_s` above 0
        does not load
    "#]],
    );
    check(
        with_agent(json!({"hours": {"from": "7", "to": "25:00", "days": ["monday"]}})),
        expect![[r#"
        agents/all.json: error: `a`: `hours`: `7` is no time; write `HH:MM`
        agents/all.json: error: `a`: `hours`: `monday` is no day; write mon, tue, wed, thu, fri, sat, sun
        does not load
    "#]],
    );
}

#[test]
fn names_in_lists_are_exact_and_wildcards_are_said_aloud() {
    check(
        with_agent(json!({"allowed_actions": ["pay.*"]})),
        expect![[r#"
        agents/all.json: warning: `a`: `allowed_actions` has the wildcard `pay.*`: it also covers what is added later
        loads
    "#]],
    );
    check(
        with_agent(json!({"allowed_actions": ["*"]})),
        expect![[r#"
        agents/all.json: warning: `a`: `allowed_actions` has the wildcard `*`: it also covers what is added later
        loads
    "#]],
    );
    // A block that matches nothing is a deny gone quiet.
    check(
        with_agent(json!({"blocked_actions": ["pay*"]})),
        expect![[r#"
        agents/all.json: error: `a`: `pay*` in `blocked_actions` matches nothing; a wildcard is `*` or ends with `.*`
        does not load
    "#]],
    );
    check(
        with_agent(json!({"blocked_actions": ["*.delete"]})),
        expect![[r#"
        agents/all.json: error: `a`: `*.delete` in `blocked_actions` matches nothing; a wildcard is `*` or ends with `.*`
        does not load
    "#]],
    );
    check(
        with_agent(json!({"blocked_actions": ["pya"]})),
        expect![[r#"
        agents/all.json: warning: `a`: `blocked_actions` names `pya`, which the catalogue does not have; did you mean `pay`?
        loads
    "#]],
    );
    check(
        with_agent(json!({"context_rules": {"pay.*": "requires_human_approval"}})),
        expect![[r#"
        agents/all.json: error: `a`: `pay.*` in `context_rules` matches nothing; name each action
        does not load
    "#]],
    );
    check(
        with_agent(json!({"blocked_actions": ["pay"], "context_rules": {"pay": "requires_human_approval"}})),
        expect![[r#"
        agents/all.json: warning: `a`: the context rule for `pay` is unreachable: `blocked_actions` beats it
        loads
    "#]],
    );
}

// --- catalogue

#[test]
fn action_that_cannot_be_meant_does_not_load() {
    check(
        with_action(json!({"fields": {"amount": {"value": "amount", "unit": "EUR"}}})),
        expect![[r#"
        actions/all.json: error: `pay`: `fields.amount.value` must be a JSON pointer such as `/amount`
        does not load
    "#]],
    );
    check(
        with_action(json!({"fields": {"amount": {"value": "/amount"}}})),
        expect![[r#"
        actions/all.json: error: `pay`: `fields.amount` needs either `unit` or `unit_at`
        does not load
    "#]],
    );
    check(
        with_action(json!({"fields": {"amount": {"value": "/amount", "unit": "EUR", "unit_at": "/to"}}})),
        expect![[r#"
        actions/all.json: error: `pay`: `fields.amount` needs either `unit` or `unit_at`
        does not load
    "#]],
    );
    check(
        with_action(json!({"fields": {"amount": {"value": "/amout", "unit": "EUR"}}})),
        expect![[r#"
        actions/all.json: error: `pay`: `fields.amount.value` points to `/amout`, which `arguments` does not list; did you mean `/amount`?
        does not load
    "#]],
    );
    check(
        with_action(json!({"fields": {"destination": {"value": "/too", "kind": "name"}}})),
        expect![[r#"
        actions/all.json: error: `pay`: `fields.destination.value` points to `/too`, which `arguments` does not list; did you mean `/to`?
        does not load
    "#]],
    );
    check(
        with_action(json!({"fields": {"rows": "/number"}})),
        expect![[r#"
        actions/all.json: error: `pay`: `fields.rows` points to `/number`, which `arguments` does not list
        does not load
    "#]],
    );
    check(
        with_action(json!({"fields": {"tenant": "/tennant"}})),
        expect![[r#"
        actions/all.json: error: `pay`: `fields.tenant` points to `/tennant`, which `arguments` does not list
        does not load
    "#]],
    );
    check(
        with_action(json!({"fields": {"resource": "/to/name"}})),
        expect![[r#"
        actions/all.json: error: `pay`: `fields.resource` points to `/to/name`, which `arguments` does not list
        does not load
    "#]],
    );
    check(
        with_action(json!({"timeout_ms": 0})),
        expect![[r#"
        actions/all.json: error: `pay`: `timeout_ms` must be between 1 and 3,600,000
        does not load
    "#]],
    );
    check(
        with_action(json!({"arguments": {"type": "array"}})),
        expect![[r#"
        actions/all.json: error: `pay`: `arguments` must be a JSON Schema with `"type": "object"`
        agents/all.json: warning: `a`: `allowed_actions` names `pay`, which the catalogue does not have
        does not load
    "#]],
    );
    check(
        with_action(json!({"arguments": {}})),
        expect![[r#"
        actions/all.json: error: `pay`: `arguments` must be a JSON Schema with `"type": "object"`
        agents/all.json: warning: `a`: `allowed_actions` names `pay`, which the catalogue does not have
        does not load
    "#]],
    );
    check(
        with_action(json!({"arguments": {"type": "object", "properties": {"a": {"type": "strnig"}}}})),
        expect![[r#"
        actions/all.json: error: `pay`: `arguments`: "strnig" is not valid under any of the schemas listed in the 'anyOf' keyword
        agents/all.json: warning: `a`: `allowed_actions` names `pay`, which the catalogue does not have
        does not load
    "#]],
    );
    check(
        with_action(json!({"name": "pay it"})),
        expect![[r#"
        actions/all.json: error: `pay it`: `pay it` is no action name: 1 to 128 ASCII letters, digits and `_ - . : @ /`
        agents/all.json: warning: `a`: `allowed_actions` names `pay`, which the catalogue does not have
        does not load
    "#]],
    );
    check(
        with_action(json!({"name": "read"})),
        expect![[r#"
        actions/all.json: error: `read`: the action `read` is declared twice
        agents/all.json: warning: `a`: `allowed_actions` names `pay`, which the catalogue does not have
        does not load
    "#]],
    );
    check(
        with_action(json!({"name": "effect:read"})),
        expect![[r#"
        actions/all.json: error: `effect:read`: names that begin with `effect:` and `reversibility:` are groups of actions
        agents/all.json: warning: `a`: `allowed_actions` names `pay`, which the catalogue does not have
        does not load
    "#]],
    );
    check(
        with_action(json!({"cost": {"value": "-1", "unit": "EUR"}})),
        expect![[r#"
        actions/all.json: error: `pay`: the cost -1 EUR is negative: it would refund the budget that it should use
        does not load
    "#]],
    );
}

#[test]
fn schema_is_never_fetched() {
    for reference in [
        "https://schemas.example/x.json",
        "http://127.0.0.1/x",
        "file:///etc/passwd",
        "x.json",
        "#/$defs/none",
    ] {
        let sources = with_action(
            json!({"fields": {}, "arguments": {"type": "object", "properties": {"a": {"$ref": reference}}}}),
        );
        let text = report(sources);
        assert!(
            text.ends_with("does not load\n") && text.contains("`pay`: `arguments`:"),
            "{reference}: {text}"
        );
    }
}

#[test]
fn destinations_on_a_list_are_written_as_they_are_compared() {
    let with = |kind: &str, allowed: &[&str]| {
        with_action(json!({"fields": {"destination": {"value": "/to", "kind": kind, "allowed": allowed}}}))
    };
    assert_eq!(report(with("host", &["a.example", "*.a.example", "10.0.0.1"])), "loads\n");
    assert_eq!(report(with("url", &["a.example", "*.a.example", "a.example:8443", "[::1]:80"])), "loads\n");
    assert_eq!(report(with("email", &["ann@a.example", "@a.example"])), "loads\n");
    assert_eq!(report(with("name", &["Anything at all"])), "loads\n");
    check(
        with("host", &["A.example"]),
        expect![[r#"
        actions/all.json: error: `pay`: `A.example` in `fields.destination.allowed` never matches; write `a.example`
        does not load
    "#]],
    );
    check(
        with("host", &["*"]),
        expect![[r#"
        actions/all.json: error: `pay`: `*` in `fields.destination.allowed` never matches; write `example.com` or `*.example.com`
        does not load
    "#]],
    );
    check(
        with("host", &["*.*.example", "*a.example", "a.*"]),
        expect![[r#"
        actions/all.json: error: `pay`: `*.*.example` in `fields.destination.allowed` never matches; write `example.com` or `*.example.com`
        actions/all.json: error: `pay`: `*a.example` in `fields.destination.allowed` never matches; write `example.com` or `*.example.com`
        actions/all.json: error: `pay`: `a.*` in `fields.destination.allowed` never matches; write `example.com` or `*.example.com`
        does not load
    "#]],
    );
    check(
        with("url", &["https://a.example/"]),
        expect![[r#"
        actions/all.json: error: `pay`: `https://a.example/` in `fields.destination.allowed` never matches; write `a.example`
        does not load
    "#]],
    );
    check(
        with("url", &["a.example/path"]),
        expect![[r#"
        actions/all.json: error: `pay`: `a.example/path` in `fields.destination.allowed` never matches; write `a.example`
        does not load
    "#]],
    );
    check(
        with("email", &["a.example"]),
        expect![[r#"
        actions/all.json: error: `pay`: `a.example` in `fields.destination.allowed` never matches; write `ann@example.com` or `@example.com`
        does not load
    "#]],
    );
    check(
        with("email", &["*@a.example"]),
        expect![[r#"
        actions/all.json: error: `pay`: `*@a.example` in `fields.destination.allowed` never matches; write `ann@example.com` or `@example.com`
        does not load
    "#]],
    );
    check(
        with("email", &["@A.example"]),
        expect![[r#"
        actions/all.json: error: `pay`: `@A.example` in `fields.destination.allowed` never matches; write `@a.example`
        does not load
    "#]],
    );
}

#[test]
fn compensation_names_an_action_that_exists_and_where_its_arguments_come_from() {
    let undo = |action: &str, arguments: Value| {
        with_action(
            json!({"reversibility": "compensatable", "compensation": {"action": action, "arguments": arguments}}),
        )
    };
    assert_eq!(report(undo("read", json!({"what": {"from": "result", "at": "/id"}}))), "loads\n");
    check(
        undo("raed", json!({})),
        expect![[r#"
        actions/all.json: error: `pay`: its compensation `raed` is not in the catalogue; did you mean `read`?
        does not load
    "#]],
    );
    check(
        undo("read", json!({"what": {"from": "reslt", "at": "/id"}})),
        expect![[r#"
        actions/all.json: error: `pay`: the argument `what` of the compensation must be a constant or `{"from": "arguments" | "result", "at": "/pointer"}`
        does not load
    "#]],
    );
    check(
        undo("read", json!({"what": {"from": "result"}})),
        expect![[r#"
        actions/all.json: error: `pay`: the argument `what` of the compensation must be a constant or `{"from": "arguments" | "result", "at": "/pointer"}`
        does not load
    "#]],
    );
    check(
        undo("read", json!({"what": {"from": "result", "at": "id"}})),
        expect![[r#"
        actions/all.json: error: `pay`: the argument `what` of the compensation must be a constant or `{"from": "arguments" | "result", "at": "/pointer"}`
        does not load
    "#]],
    );
    check(
        with_action(json!({"reversibility": "compensatable"})),
        expect![[r#"
        actions/all.json: warning: `pay` names no compensation, so it always waits for a person
        loads
    "#]],
    );
}

// --- the bundle as a whole

#[test]
fn what_is_declared_twice_does_not_load() {
    let twice = |folder: &str, value: Value| {
        let mut all = with_agent(json!({}));
        all.push(Source { path: format!("{folder}/more.json"), text: value.to_string() });
        all
    };
    check(
        twice("agents", agent(json!({"allowed_actions": ["read"]}))),
        expect![[r#"
        agents/more.json: error: the agent `a` is declared twice
        does not load
    "#]],
    );
    check(
        twice("actions", read()),
        expect![[r#"
        actions/more.json: error: `read`: the action `read` is declared twice
        does not load
    "#]],
    );
    check(
        vec![Source { path: "agents/a.json".into(), text: r#"{"agent_id": "a", "agent_id": "b"}"#.into() }],
        expect![[r#"
        agents/a.json: error: the key `agent_id` stands twice at byte 18
        does not load
    "#]],
    );
    check(
        vec![Source { path: "agents/a.json".into(), text: "agent_id: a".into() }],
        expect![[r#"
        agents/a.json: error: expected a JSON value at byte 0
        does not load
    "#]],
    );
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let actions = json!([action("pay", "payy", json!({})), read()]);
    let mut all = sources(&agent(json!({"x": 1})), &actions, "permit(");
    all.push(Source { path: "notes.txt".into(), text: String::new() });
    check(
        all,
        expect![[r#"
            actions/all.json: error: `pay`: unknown variant `payy`, expected one of `read`, `write`, `delete`, `send`, `pay`, `execute`, `deploy`, `grant`; did you mean `pay`?
            agents/all.json: error: `a`: unknown field `x`, expected one of `agent_id`, `description`, `allowed_actions`, `blocked_actions`, `context_rules`, `credential_scope`, `token_ttl_seconds`, `max_tool_calls_per_run`, `max_questions_per_run`, `max_concurrent_calls`, `rate_limits`, `budgets`, `auto_approve_threshold`, `scopes`, `hours`, `mode`, `plans`, `min_tier`, `on_behalf_of`, `approvers`, `self_approval`, `excluded_approvers`, `breaker_after`, `run_ttl_seconds`
            notes.txt: error: not a place that a bundle has; known are agents/, actions/, people/, rules/, examples/, properties/, risk.json and sandbox.json
            rules/all.cedar: error: the rules cannot be read: unexpected end of input
            does not load
        "#]],
    );
}

#[test]
fn wrong_example_keeps_a_bundle_from_loading() {
    let with = |examples: Value| {
        let mut all = with_agent(json!({}));
        all.push(Source { path: "examples/all.json".into(), text: examples.to_string() });
        all
    };
    let example = |action: &str, arguments: Value, expect: &str, code: &str| {
        let mut example = json!({"name": "reads", "agent": "a", "action": action, "arguments": arguments, "expect": expect});
        if !code.is_empty() {
            example["code"] = json!(code);
        }
        example
    };
    let right = with(json!([
        example("read", json!({"what": "x"}), "allow", ""),
        example("drop", json!({}), "block", "action_unknown")
    ]));
    assert_eq!(VettedBundle::load(right).unwrap().examples(), 2);
    check(
        with(example("read", json!({"what": "x"}), "block", "")),
        expect![[r#"
        examples/all.json: error: the example `reads` must get `block`, and gets `allow`: nothing speaks against it
        does not load
    "#]],
    );
    check(
        with(example("drop", json!({}), "block", "not_allowed")),
        expect![[r#"
        examples/all.json: error: the example `reads` must get `block` with `not_allowed`, and gets `block` with `action_unknown`: the catalogue has no action `drop`
        does not load
    "#]],
    );
    check(
        with(example("drop", json!({}), "block", "action_unknwon")),
        expect![[r#"
        examples/all.json: error: the example `reads`: `action_unknwon` is no known code; did you mean `action_unknown`?
        does not load
    "#]],
    );
    check(
        with(json!({"name": "reads", "agent": "a", "action": "read", "expect": "allowed"})),
        expect![[r#"
        examples/all.json: error: `reads`: unknown variant `allowed`, expected one of `allow`, `require_approval`, `block`; did you mean `allow`?
        does not load
    "#]],
    );
    check(
        with(json!({"name": "reads", "agent": "a", "action": "read", "expects": "allow"})),
        expect![[r#"
            examples/all.json: error: `reads`: unknown field `expects`, expected one of `name`, `agent`, `action`, `arguments`, `environment`, `tenant`, `user`, `labels`, `goal`, `resource`, `related`, `completes`, `at`, `expect`, `code`; did you mean `expect`?
            does not load
        "#]],
    );
}

#[test]
fn hash_names_the_content_and_not_the_order() {
    let mut turned = acme();
    turned.reverse();
    let hash = VettedBundle::load(acme()).unwrap().hash();
    assert_eq!(VettedBundle::load(turned).unwrap().hash(), hash);
    let mut changed = acme();
    changed[0].text.push(' ');
    assert_ne!(VettedBundle::load(changed).unwrap().hash(), hash);
}
