//! How other systems broke, one test each, named after what holds here. The comment names the class of
//! failure, seen in the field in autumn 2026.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod world;

use aecl_analysis::load::VettedBundle;
use aecl_kernel::base::id::{AgentId, RunId};
use aecl_kernel::base::principal::Principal;
use aecl_kernel::decide::Ruling;
use aecl_kernel::policy::bundle::Bundle;
use aecl_kernel::read::action::Mode;
use aecl_kernel::record::approval::ApprovalState;
use aecl_kernel::record::event::{BudgetAdjusted, Event, OutcomeKind};
use aecl_kernel::record::facts::{ActionState, Fact, FactKey, KillScope, Undo};
use aecl_kernel::record::usage::Meter;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use std::sync::Arc;
use world::{World, action, bundle, keyed, lasting, permit, principal, proposal, raw, says, sources, wait};

/// One agent `a` that may pay, read and mail; nobody is asked because of risk.
fn world_with(agent: Value, rules: &str) -> (World, Principal) {
    let mut manifest = json!({
        "agent_id": "a", "allowed_actions": ["pay", "read", "mail"], "auto_approve_threshold": "1.00", "approvers": ["leads"],
    });
    manifest.as_object_mut().unwrap().extend(agent.as_object().unwrap().clone());
    let other = json!({"agent_id": "b", "allowed_actions": ["pay", "read", "mail"], "auto_approve_threshold": "1.00"});
    let mut world = World::new(bundle(&json!([manifest, other]), &actions(), rules));
    let who = principal("a");
    world.open(&who);
    (world, who)
}

fn actions() -> Value {
    let mut pay = action("pay", "pay", json!({"amount": {}, "currency": {"type": "string"}}));
    pay["fields"] = json!({"amount": {"value": "/amount", "unit_at": "/currency"}});
    let mut mail = action("mail", "send", json!({"to": {"type": "string"}}));
    mail["fields"] = json!({"destination": {"value": "/to", "kind": "email", "allowed": []}});
    json!([pay, mail, action("read", "read", json!({"what": {"type": "string"}}))])
}

fn pay(amount: impl Into<Value>) -> Value {
    json!({"amount": amount.into(), "currency": "EUR"})
}

const ASK_OVER_TEN: &str = r#"
    @id("over-ten") @approvers("leads")
    forbid(principal, action == Action::"pay", resource)
    when { context.amount.greaterThan(decimal("10.0")) } unless { context.approval.granted };
"#;

// --- Self-declared facts

/// The caller's own cost, zero by default, was charged to the budget.
#[test]
fn cost_is_the_amount_that_is_paid_not_what_the_agent_says() {
    let (mut world, who) = world_with(json!({"budgets": [{"unit": "EUR", "limit": 100, "per": "day"}]}), "");
    let ruling = world.propose(proposal(&who, "pay", &pay("9999999")));
    assert_eq!(says(&ruling), "block budget_exceeded");
    let with_cost = json!({"amount": "9999999", "currency": "EUR", "cost": 0});
    assert_eq!(says(&world.propose(proposal(&who, "pay", &with_cost))), "block arguments_invalid");
}

/// A negative amount gave money back to the budget.
#[test]
fn negative_amount_refunds_no_budget() {
    let (mut world, who) = world_with(json!({"budgets": [{"unit": "EUR", "limit": 100, "per": "day"}]}), "");
    for amount in [json!(-1000), json!("-1000"), json!("-0.01"), json!(-0.5)] {
        assert_eq!(says(&world.propose(proposal(&who, "pay", &pay(amount)))), "block amount_invalid");
    }
    assert!(world.meters().is_empty());
    world.done(proposal(&who, "pay", &pay("-0")));
    assert!(world.meters().values().all(|m| m.used.is_zero() && m.held.is_zero()));
}

/// Empty windows: the caller's clock decided what was recent.
#[test]
fn clock_of_the_agent_is_not_asked() {
    let (mut world, who) = world_with(json!({"rate_limits": [{"calls": 1, "per_s": 60}]}), "");
    world.done(proposal(&who, "read", &json!({"what": "x"})));
    assert_eq!(says(&world.propose(proposal(&who, "read", &json!({"what": "y"})))), "block rate_limited");
    let with_time = json!({"what": "y", "now": "2030-01-01T00:00:00Z"});
    assert_eq!(says(&world.propose(proposal(&who, "read", &with_time))), "block arguments_invalid");
}

/// `drop_all(action="refund")`: the name that was judged was an argument.
#[test]
fn name_that_is_judged_is_the_name_that_is_carried_out() {
    let (mut world, who) = world_with(json!({}), "");
    assert_eq!(
        says(&world.propose(proposal(&who, "drop_all", &json!({"action": "read"})))),
        "block action_unknown"
    );
    let ruling = world.propose(proposal(&who, "read", &json!({"what": "x"})));
    let Ruling::Allowed(permit) = ruling else { panic!("{}", says(&ruling)) };
    assert_eq!(permit.action().name, permit.action().typed.as_ref().unwrap().manifest.name.as_str());
}

/// A sum in a unit of the agent's choice is on no meter.
#[test]
fn euros_are_no_leave_to_spend_dollars_or_rows() {
    let (mut world, who) = world_with(json!({"budgets": [{"unit": "EUR", "limit": 100, "per": "day"}]}), "");
    for unit in ["USD", "usd", "BTC"] {
        let ruling = world.propose(proposal(&who, "pay", &json!({"amount": "1", "currency": unit})));
        assert_eq!(says(&ruling), "block budget_exceeded", "{unit}");
    }
    for unit in
        ["rows", "Rows", "calls", "bytes", "recipients", "EUR ", " EUR", "ＥＵＲ", "E\u{200b}UR", "€", ""]
    {
        let ruling = world.propose(proposal(&who, "pay", &json!({"amount": "1", "currency": unit})));
        assert_eq!(says(&ruling), "block amount_invalid", "{unit}");
    }
    world.done(proposal(&who, "pay", &json!({"amount": "60", "currency": "eur"})));
    let ruling = world.propose(proposal(&who, "pay", &json!({"amount": "60", "currency": "EUR"})));
    assert_eq!(says(&ruling), "block budget_exceeded", "lower case is the same currency");
}

// --- Missing, mistyped, unparsed

/// A deny rule with a comparison did not match what it could not compare.
#[test]
fn deny_rule_does_not_go_quiet_on_a_value_that_it_cannot_read() {
    let rule = r#"forbid(principal, action == Action::"pay", resource) when { context.amount.greaterThan(decimal("10000.0")) };"#;
    let (mut world, who) = world_with(json!({}), rule);
    let mut try_amount = |amount: Value| says(&world.propose(proposal(&who, "pay", &pay(amount))));
    assert_eq!(try_amount(json!(10000)), "allow");
    for amount in [json!(99999), json!("99999"), json!("99999.00"), json!(99999.5), json!("00099999")] {
        assert_eq!(try_amount(amount.clone()), "block policy_forbids", "{amount}");
    }
    for amount in [
        json!([99999]),
        json!({"value": 99999}),
        json!(null),
        json!(true),
        json!(""),
        json!("99999 "),
        json!("NaN"),
        json!("Infinity"),
        json!("-Infinity"),
        json!("9e9"),
        json!("0x1869f"),
        json!("99,999"),
        json!("٩٩٩٩٩"),
        json!("99999999999999999999999999999999"),
    ] {
        assert_eq!(try_amount(amount.clone()), "block amount_invalid", "{amount}");
    }
    assert_eq!(try_amount(json!("999999999999999999")), "block policy_error", "more than rules can compare");
    assert_eq!(
        says(&world.propose(proposal(&who, "pay", &json!({"currency": "EUR"})))),
        "block arguments_invalid",
        "missing"
    );
    for text in [r#"{"amount":NaN,"currency":"EUR"}"#, r#"{"amount":1e999,"currency":"EUR"}"#] {
        assert!(says(&world.propose(raw(&who, "pay", text))).starts_with("block json_"));
    }
}

/// One reader took the first of two keys, the other the last.
#[test]
fn key_that_stands_twice_is_refused() {
    let (mut world, who) = world_with(json!({}), "");
    for text in [
        r#"{"amount":1,"amount":99999,"currency":"EUR"}"#,
        r#"{"amount":1,"\u0061mount":99999,"currency":"EUR"}"#,
    ] {
        assert_eq!(says(&world.propose(raw(&who, "pay", text))), "block json_duplicate_key");
    }
}

/// An empty allow-list meant everything.
#[test]
fn empty_list_means_nothing() {
    let (mut world, who) = world_with(json!({}), "");
    assert_eq!(
        says(&world.propose(proposal(&who, "mail", &json!({"to": "x@y.example"})))),
        "block destination_refused"
    );
    let mut world = World::new(bundle(&json!({"agent_id": "a"}), &actions(), ""));
    world.open(&who);
    assert_eq!(says(&world.propose(proposal(&who, "read", &json!({"what": "x"})))), "block not_allowed");
}

/// A target that was left out of the arguments was compared with no list.
#[test]
fn destination_that_is_left_out_is_on_no_list() {
    let mut fetch = action("fetch", "read", json!({}));
    fetch["arguments"] = json!({"type": "object", "properties": {"url": {"type": "string"}}});
    fetch["fields"] = json!({"destination": {"value": "/url", "kind": "url", "allowed": ["a.example"]}});
    let mut world =
        World::new(bundle(&json!({"agent_id": "a", "allowed_actions": ["fetch"]}), &json!([fetch]), ""));
    let who = principal("a");
    world.open(&who);
    assert_eq!(says(&world.propose(proposal(&who, "fetch", &json!({"url": "https://a.example/"})))), "allow");
    assert_eq!(says(&world.propose(proposal(&who, "fetch", &json!({})))), "block destination_refused");
}

/// No limit in the arguments was no rows in the count.
#[test]
fn number_of_rows_that_is_left_out_is_all_of_them() {
    let mut export = action("export", "read", json!({}));
    export["arguments"] = json!({"type": "object", "properties": {"limit": {"type": "integer"}}});
    export["fields"] = json!({"rows": "/limit"});
    let agent = json!({"agent_id": "a", "allowed_actions": ["export"], "budgets": [{"unit": "rows", "limit": 100, "per": "day"}]});
    let mut world = World::new(bundle(&agent, &json!([export]), ""));
    let who = principal("a");
    world.open(&who);
    assert_eq!(says(&world.propose(proposal(&who, "export", &json!({"limit": 100})))), "allow");
    assert_eq!(says(&world.propose(proposal(&who, "export", &json!({})))), "block budget_exceeded");
}

/// The tenant of a request was optional, and then every tenant.
#[test]
fn tenant_that_is_left_out_is_not_every_tenant() {
    let mut list = action("list", "read", json!({}));
    list["arguments"] = json!({"type": "object", "properties": {"tenant": {"type": "string"}}});
    list["fields"] = json!({"tenant": "/tenant"});
    let mut world =
        World::new(bundle(&json!({"agent_id": "a", "allowed_actions": ["list"]}), &json!([list]), ""));
    let who = principal("a");
    world.open(&who);
    assert_eq!(says(&world.propose(proposal(&who, "list", &json!({"tenant": "acme"})))), "allow");
    assert_eq!(
        says(&world.propose(proposal(&who, "list", &json!({"tenant": "globex"})))),
        "block out_of_scope"
    );
    assert_eq!(says(&world.propose(proposal(&who, "list", &json!({})))), "block out_of_scope");
}

/// A typo in a condition, a key or a name was skipped in silence.
#[test]
fn typo_in_a_policy_does_not_load() {
    let fails = |agent: Value, actions: &Value, rules: &str| {
        VettedBundle::load(sources(&agent, actions, rules)).is_err()
    };
    let agent = json!({"agent_id": "a", "allowed_actions": ["pay"]});
    assert!(!fails(agent.clone(), &actions(), ""));
    let typo = |key: &str, value: Value| {
        let mut agent = agent.clone();
        agent[key] = value;
        agent
    };
    assert!(fails(typo("max_tool_cals_per_run", json!(5)), &actions(), ""));
    assert!(fails(typo("context_rules", json!({"pay": "requires_humn_approval"})), &actions(), ""));
    assert!(fails(typo("budgets", json!([{"unit": "EUR", "limit": 1, "per": "week"}])), &actions(), ""));
    assert!(fails(
        typo("budgets", json!([{"unit": "EUR", "limit": 1, "per": "day", "actions": ["pya"]}])),
        &actions(),
        ""
    ));
    assert!(fails(typo("blocked_actions", json!(["pay*"])), &actions(), ""));
    assert!(fails(
        agent.clone(),
        &actions(),
        r#"forbid(principal, action == Action::"pay", resource) when { context.amout.greaterThan(decimal("1.0")) };"#
    ));
    let mut pointed = actions();
    pointed[0]["fields"]["amount"]["value"] = json!("/amonut");
    assert!(fails(agent, &pointed, ""));
}

/// An expression that could not be evaluated let the call through.
#[test]
fn rule_that_cannot_be_evaluated_is_a_no() {
    let rule = r#"forbid(principal, action == Action::"pay", resource) when { context.run.calls * 9223372036854775807 > 5 };"#;
    let (mut world, who) = world_with(json!({}), rule);
    world.done(proposal(&who, "pay", &pay("1")));
    world.done(proposal(&who, "read", &json!({"what": "x"})));
    assert_eq!(says(&world.propose(proposal(&who, "pay", &pay("1")))), "block policy_error");
}

// --- Time of check, time of use

/// The content of an approved call was swapped before it was carried out.
#[test]
fn approval_is_for_one_digest() {
    let (mut world, who) = world_with(json!({}), ASK_OVER_TEN);
    let ask = wait(&world.propose(proposal(&who, "pay", &pay("11"))));
    assert_eq!(world.answer(&ask.approval, "zoe", &["leads"], true), Ok(ApprovalState::Approved));
    for other in [pay("500"), pay("12"), json!({"amount": "11", "currency": "USD"}), pay(11)] {
        let ruling = world.propose(proposal(&who, "pay", &other));
        assert_ne!(wait(&ruling).approval, ask.approval, "{other} is something else");
    }
    let ruling = world.propose(proposal(&who, "pay", &pay("11")));
    assert_eq!(permit(&ruling), ask.action);
    let Ruling::Allowed(permit) = ruling else { panic!("not allowed") };
    assert_eq!(permit.action().digest, ask.digest, "what was shown is what happens");
}

/// The same words in another run, by another agent or for another user passed on the old yes.
#[test]
fn approval_is_for_one_run_of_one_agent_for_one_user() {
    let (mut world, who) = world_with(json!({}), ASK_OVER_TEN);
    let ask = wait(&world.propose(proposal(&who, "pay", &pay("11"))));
    world.answer(&ask.approval, "zoe", &["leads"], true).unwrap();
    let change = |field: &str, value: &str| {
        let mut changed = serde_json::to_value(&who).unwrap();
        changed[field] = json!(value);
        serde_json::from_value::<Principal>(changed).unwrap()
    };
    for other in [
        change("run", "run_2"),
        change("agent", "b"),
        change("user", "bob"),
        change("tenant", "globex"),
        change("environment", "sandbox"),
    ] {
        world.open(&other);
        let ruling = world.propose(proposal(&other, "pay", &pay("11")));
        assert_ne!(wait(&ruling).approval, ask.approval, "{other:?}");
        world.open(&who);
    }
}

/// A tool was changed by its server between the yes and the call.
#[test]
fn approval_is_for_one_definition_of_the_tool() {
    let (mut world, who) = world_with(json!({}), ASK_OVER_TEN);
    let ask = wait(&world.propose(proposal(&who, "pay", &pay("11"))));
    world.answer(&ask.approval, "zoe", &["leads"], true).unwrap();
    let mut changed = actions();
    changed[0]["description"] = json!("pays twice");
    let agent = json!({"agent_id": "a", "allowed_actions": ["pay"], "auto_approve_threshold": "1.00", "approvers": ["leads"]});
    world.bundle = bundle(&agent, &changed, ASK_OVER_TEN);
    assert_ne!(wait(&world.propose(proposal(&who, "pay", &pay("11")))).approval, ask.approval);
}

/// A yes that was given under an old policy was enough under the new one.
#[test]
fn policy_in_force_is_asked_again_after_the_yes() {
    let (mut world, who) = world_with(json!({}), ASK_OVER_TEN);
    let ask = wait(&world.propose(proposal(&who, "pay", &pay("11"))));
    world.answer(&ask.approval, "zoe", &["leads"], true).unwrap();
    let agent = |more: Value| {
        let mut agent = json!({"agent_id": "a", "allowed_actions": ["pay"], "auto_approve_threshold": "1.00", "approvers": ["leads"]});
        agent.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        agent
    };
    let (space, entries) = (world.space.clone(), world.entries.clone());
    let mut under = |bundle: Arc<Bundle>| {
        (world.space, world.entries) = (space.clone(), entries.clone());
        world.bundle = bundle;
        let ruling = world.propose(proposal(&who, "pay", &pay("11")));
        (says(&ruling), ruling)
    };
    assert_eq!(
        under(bundle(&agent(json!({"blocked_actions": ["pay"]})), &actions(), ASK_OVER_TEN)).0,
        "block action_blocked"
    );
    assert_eq!(
        under(bundle(&agent(json!({"allowed_actions": ["read"]})), &actions(), ASK_OVER_TEN)).0,
        "block not_allowed"
    );
    let two = ASK_OVER_TEN.replace("@approvers", "@count(\"2\") @approvers");
    let (said, ruling) = under(bundle(&agent(json!({})), &actions(), &two));
    assert_eq!(said, "require_approval approval_rule");
    assert_eq!(wait(&ruling).approval, ask.approval, "the first yes still counts as one of two");
    let others = ASK_OVER_TEN.replace("\"leads\"", "\"security\"");
    assert_eq!(under(bundle(&agent(json!({})), &actions(), &others)).0, "require_approval approval_rule");
    let without_zoe = agent(json!({"excluded_approvers": ["zoe"]}));
    assert_eq!(
        under(bundle(&without_zoe, &actions(), ASK_OVER_TEN)).0,
        "require_approval approval_rule",
        "zoe may not any more"
    );
    assert_eq!(under(bundle(&agent(json!({})), &actions(), ASK_OVER_TEN)).0, "allow");
}

// --- Approvals

/// The agent was on the list of approvers and approved itself.
#[test]
fn agent_never_approves_itself() {
    let (mut world, who) = world_with(json!({}), ASK_OVER_TEN);
    let ask = wait(&world.propose(proposal(&who, "pay", &pay("11"))));
    assert_eq!(world.answer(&ask.approval, "a", &["leads"], true), Err("approver_refused"));
    assert_eq!(
        world.answer(&ask.approval, "ann", &["leads"], true),
        Err("approver_refused"),
        "the user it acts for"
    );
    assert_eq!(
        world.answer(&ask.approval, "zoe", &["others"], true),
        Err("approver_refused"),
        "in no group that was asked"
    );
    assert_eq!(world.answer(&ask.approval, "zoe", &[], true), Err("approver_refused"));
    assert_eq!(says(&world.propose(proposal(&who, "pay", &pay("11")))), "require_approval approval_rule");
}

/// Self-confirmation and four eyes are two settings; the first never opens the second for the agent.
#[test]
fn self_approval_is_for_the_user_and_not_for_the_agent() {
    let (mut world, who) = world_with(json!({"self_approval": true}), ASK_OVER_TEN);
    let ask = wait(&world.propose(proposal(&who, "pay", &pay("11"))));
    assert_eq!(world.answer(&ask.approval, "a", &["leads"], true), Err("approver_refused"));
    assert_eq!(world.answer(&ask.approval, "ann", &["leads"], true), Ok(ApprovalState::Approved));
}

/// One person passed both stages.
#[test]
fn one_person_fills_one_of_two_seats() {
    let rule = ASK_OVER_TEN.replace("@approvers", "@count(\"2\") @approvers");
    let (mut world, who) = world_with(json!({}), &rule);
    let ask = wait(&world.propose(proposal(&who, "pay", &pay("11"))));
    assert_eq!(world.answer(&ask.approval, "zoe", &["leads"], true), Ok(ApprovalState::Pending));
    assert_eq!(world.answer(&ask.approval, "zoe", &["leads"], true), Err("approver_twice"));
    assert_eq!(says(&world.propose(proposal(&who, "pay", &pay("11")))), "require_approval approval_rule");
    assert_eq!(world.answer(&ask.approval, "yan", &["leads"], true), Ok(ApprovalState::Approved));
    assert_eq!(says(&world.propose(proposal(&who, "pay", &pay("11")))), "allow");
}

/// A member of two groups filled a seat of each.
#[test]
fn one_person_in_two_groups_is_one_person() {
    let rules = format!(
        "{ASK_OVER_TEN}{}",
        ASK_OVER_TEN.replace("over-ten", "security-too").replace("\"leads\"", "\"security\"")
    );
    let (mut world, who) = world_with(json!({}), &rules);
    let ask = wait(&world.propose(proposal(&who, "pay", &pay("11"))));
    assert_eq!(world.answer(&ask.approval, "zoe", &["leads", "security"], true), Ok(ApprovalState::Pending));
    assert_eq!(
        world.answer(&ask.approval, "yan", &["leads"], true),
        Ok(ApprovalState::Approved),
        "zoe moves to the other seat"
    );
}

/// A yes was used again and again.
#[test]
fn yes_is_used_once() {
    let (mut world, who) = world_with(json!({}), ASK_OVER_TEN);
    let ask = wait(&world.propose(proposal(&who, "pay", &pay("11"))));
    world.answer(&ask.approval, "zoe", &["leads"], true).unwrap();
    world.done(proposal(&who, "pay", &pay("11")));
    assert_eq!(world.answer(&ask.approval, "yan", &["leads"], true), Err("approval_closed"));
    let again = wait(&world.propose(proposal(&who, "pay", &pay("11"))));
    assert_ne!(again.approval, ask.approval);
    assert!(again.votes.is_empty());
}

/// The same call was asked about twice, so that one yes could be followed by another.
#[test]
fn identical_proposals_wait_as_one() {
    let (mut world, who) = world_with(json!({}), ASK_OVER_TEN);
    let first = wait(&world.propose(proposal(&who, "pay", &pay("11"))));
    let second = wait(&world.propose(keyed(proposal(&who, "pay", &pay("11")), "k")));
    assert_eq!((&first.approval, &first.action), (&second.approval, &second.action));
    world.answer(&first.approval, "zoe", &["leads"], true).unwrap();
    assert_eq!(permit(&world.propose(proposal(&who, "pay", &pay("11")))), first.action);
    assert_eq!(says(&world.propose(proposal(&who, "pay", &pay("11")))), "require_approval approval_rule");
}

/// A no was followed by the same question until somebody said yes.
#[test]
fn no_is_an_answer() {
    let (mut world, who) = world_with(json!({}), ASK_OVER_TEN);
    let ask = wait(&world.propose(proposal(&who, "pay", &pay("11"))));
    assert_eq!(world.answer(&ask.approval, "zoe", &["leads"], false), Ok(ApprovalState::Rejected));
    assert_eq!(says(&world.propose(proposal(&who, "pay", &pay("11")))), "block approval_rejected");
    assert_eq!(world.answer(&ask.approval, "yan", &["leads"], true), Err("approval_closed"));
    assert_eq!(world.action(&ask.action).state, ActionState::Rejected);
}

/// A clock that went back revived what had expired.
#[test]
fn clock_that_goes_back_revives_no_approval() {
    let (mut world, who) = world_with(json!({}), ASK_OVER_TEN);
    let proposal = lasting(proposal(&who, "pay", &pay("11")));
    let ask = wait(&world.propose(proposal.clone()));
    world.answer(&ask.approval, "zoe", &["leads"], true).unwrap();
    let before = world.now;
    world.now = ask.expires_at;
    assert_eq!(world.answer(&ask.approval, "yan", &["leads"], true), Err("approval_expired"));
    world.expire(&ask);
    world.now = before;
    assert_ne!(wait(&world.propose(proposal)).approval, ask.approval);
}

/// An approval without an end outlived what it was given for.
#[test]
fn yes_ends_at_the_moment_it_was_given_until() {
    let (mut world, who) = world_with(json!({"run_ttl_seconds": 1200}), ASK_OVER_TEN);
    let proposal = lasting(proposal(&who, "pay", &pay("11")));
    let ask = wait(&world.propose(proposal.clone()));
    world.answer(&ask.approval, "zoe", &["leads"], true).unwrap();
    world.now = aecl_kernel::base::time::Timestamp(ask.expires_at.0 - 1);
    assert_eq!(says(&world.clone().propose(proposal.clone())), "allow");
    world.now = ask.expires_at;
    assert_eq!(says(&world.propose(proposal)), "block run_expired");
}

/// Used requests kept a run alive that had ended.
#[test]
fn run_outlives_its_end_only_for_a_request_that_is_open() {
    let (mut world, who) = world_with(json!({}), ASK_OVER_TEN);
    let proposal = lasting(proposal(&who, "pay", &pay("11")));
    let ask = wait(&world.propose(proposal.clone()));
    world.answer(&ask.approval, "zoe", &["leads"], true).unwrap();
    world.later_s(1201);
    let id = permit(&world.propose(proposal.clone()));
    world.conclude(&id, OutcomeKind::Done);
    assert_eq!(says(&world.propose(proposal)), "block run_expired", "the request is used");
}

// --- Budgets

/// Fifty calls of 0.9 each passed a limit of 1, because the check came before the record.
#[test]
fn fifty_calls_do_not_spend_one_euro_twice() {
    let (mut world, who) = world_with(json!({"budgets": [{"unit": "EUR", "limit": 1, "per": "day"}]}), "");
    let said: Vec<String> =
        (0..50).map(|_| says(&world.propose(proposal(&who, "pay", &pay("0.90"))))).collect();
    assert_eq!(said.iter().filter(|s| *s == "allow").count(), 1);
    assert_eq!(said.iter().filter(|s| *s == "block budget_exceeded").count(), 49);
}

/// Twenty parallel legal calls: one passed, nineteen conflicted.
#[test]
fn parallel_calls_that_fit_all_pass() {
    let (mut world, who) = world_with(json!({"budgets": [{"unit": "EUR", "limit": 20, "per": "day"}]}), "");
    for n in 0..20 {
        assert_eq!(says(&world.propose(proposal(&who, "pay", &pay("1")))), "allow", "{n}");
    }
    assert_eq!(says(&world.propose(proposal(&who, "pay", &pay("0.01")))), "block budget_exceeded");
}

/// What failed stayed spent; what was unknown was given back and spent twice.
#[test]
fn failed_gives_back_done_keeps_and_unknown_holds() {
    let (mut world, who) = world_with(json!({"budgets": [{"unit": "EUR", "limit": 10, "per": "day"}]}), "");
    let mut pay_and = |amount: &str, outcome| {
        let id = permit(&world.propose(proposal(&who, "pay", &pay(amount))));
        world.conclude(&id, outcome);
        let meters = world.meters();
        let meter = meters.values().next().unwrap();
        (id, format!("{} used, {} held", meter.used.normalize(), meter.held.normalize()))
    };
    assert_eq!(pay_and("4", OutcomeKind::Failed).1, "0 used, 0 held");
    assert_eq!(pay_and("3", OutcomeKind::Done).1, "3 used, 0 held");
    let (unknown, state) = pay_and("5", OutcomeKind::Unknown);
    assert_eq!(state, "3 used, 5 held");
    assert_eq!(says(&world.propose(proposal(&who, "pay", &pay("2.01")))), "block budget_exceeded");
    world.conclude(&unknown, OutcomeKind::Failed);
    assert_eq!(says(&world.propose(proposal(&who, "pay", &pay("7")))), "allow");
}

/// An outcome that was reported twice was charged, or given back, twice.
#[test]
fn second_conclusion_moves_no_money() {
    let (mut world, who) = world_with(json!({"budgets": [{"unit": "EUR", "limit": 10, "per": "day"}]}), "");
    let id = permit(&world.propose(proposal(&who, "pay", &pay("4"))));
    world.conclude(&id, OutcomeKind::Unknown);
    world.conclude(&id, OutcomeKind::Done);
    let once = world.meters();
    world.conclude(&id, OutcomeKind::Done);
    world.conclude(&id, OutcomeKind::Failed);
    assert_eq!(world.meters(), once);
}

/// A correction forgot what was in flight, and its end then refunded the budget.
#[test]
fn correcting_a_budget_leaves_what_is_held() {
    let (mut world, who) = world_with(json!({"budgets": [{"unit": "EUR", "limit": 10, "per": "day"}]}), "");
    let id = permit(&world.propose(proposal(&who, "pay", &pay("4"))));
    let (name, meter) = world.meters().pop_first().unwrap();
    let now = Meter { used: Decimal::from(5), held: Decimal::ZERO, ..meter };
    world.record(
        None,
        Event::BudgetAdjusted(BudgetAdjusted {
            meter: name,
            now,
            by: "ann".into(),
            reason: "invoice".into(),
        }),
    );
    assert_eq!(says(&world.propose(proposal(&who, "pay", &pay("2")))), "block budget_exceeded");
    world.conclude(&id, OutcomeKind::Failed);
    let meter = world.meters().pop_first().unwrap().1;
    assert_eq!((meter.used, meter.held), (Decimal::from(5), Decimal::ZERO));
}

/// What was held over midnight was in no window.
#[test]
fn what_is_held_moves_into_the_next_window() {
    let (mut world, who) = world_with(json!({"budgets": [{"unit": "EUR", "limit": 10, "per": "day"}]}), "");
    let id = permit(&world.propose(proposal(&who, "pay", &pay("8"))));
    world.later_s(86_400);
    world.open(&who);
    let mut late = proposal(&who, "pay", &pay("3"));
    late.credential.expires_at = world.now.plus_s(60);
    assert_eq!(says(&world.propose(late.clone())), "block budget_exceeded", "8 are still held");
    world.conclude(&id, OutcomeKind::Done);
    assert_eq!(says(&world.propose(late)), "allow", "they were spent yesterday");

    let (mut world, who) = world_with(json!({"budgets": [{"unit": "EUR", "limit": 10, "per": "day"}]}), "");
    let yesterday = permit(&world.propose(proposal(&who, "pay", &pay("4"))));
    world.later_s(86_400);
    world.open(&who);
    let today = |world: &mut World| {
        let mut five = proposal(&who, "pay", &pay("5"));
        five.credential.expires_at = world.now.plus_s(60);
        permit(&world.propose(five))
    };
    let first = today(&mut world);
    world.conclude(&yesterday, OutcomeKind::Done);
    world.conclude(&first, OutcomeKind::Done);
    today(&mut world);
}

/// A clock that went back opened a window that was used up.
#[test]
fn clock_that_goes_back_empties_no_meter() {
    let back = |world: &mut World| world.now = aecl_kernel::base::time::Timestamp(world.now.0 - 86_400_000);
    let (mut world, who) = world_with(json!({"budgets": [{"unit": "EUR", "limit": 10, "per": "day"}]}), "");
    world.done(lasting(proposal(&who, "pay", &pay("8"))));
    back(&mut world);
    assert_eq!(says(&world.propose(lasting(proposal(&who, "pay", &pay("3"))))), "block budget_exceeded");
    world.done(lasting(proposal(&who, "pay", &pay("1"))));
    let (mut world, who) = world_with(json!({"rate_limits": [{"calls": 2, "per_s": 60}]}), "");
    world.done(lasting(proposal(&who, "pay", &pay("1"))));
    world.done(lasting(proposal(&who, "pay", &pay("1"))));
    back(&mut world);
    assert_eq!(says(&world.propose(lasting(proposal(&who, "pay", &pay("1"))))), "block rate_limited");
}

/// Slots of calls that had ended were never given back.
#[test]
fn slot_is_given_back_whatever_the_outcome() {
    let (mut world, who) = world_with(json!({"max_concurrent_calls": 1}), "");
    for outcome in [OutcomeKind::Done, OutcomeKind::Failed, OutcomeKind::Unknown] {
        let id = permit(&world.propose(proposal(&who, "read", &json!({"what": "x"}))));
        assert_eq!(
            says(&world.propose(proposal(&who, "read", &json!({"what": "y"})))),
            "block too_many_at_once"
        );
        world.conclude(&id, outcome);
        // Resolved, or told once more: a slot is given back once.
        world.conclude(&id, OutcomeKind::Done);
    }
    assert!(
        !world.space.contains_key(&FactKey::Active(AgentId::new("a").unwrap())),
        "nothing is left behind"
    );
    assert!(!world.space.keys().any(|k| matches!(k, FactKey::InFlight(_))));
}

/// A refused or waiting call took a slot, a call or money with it.
#[test]
fn what_is_not_allowed_takes_nothing() {
    let (mut world, who) = world_with(
        json!({"max_concurrent_calls": 1, "budgets": [{"unit": "EUR", "limit": 100, "per": "day"}], "rate_limits": [{"calls": 1, "per_s": 60}]}),
        ASK_OVER_TEN,
    );
    for _ in 0..5 {
        world.propose(proposal(&who, "pay", &pay("11")));
        world.propose(proposal(&who, "pay", &pay("101")));
        let mut dry = proposal(&who, "pay", &pay("1"));
        dry.mode = Mode::DryRun;
        assert_eq!(says(&world.propose(dry)), "answer allow");
    }
    assert!(world.meters().is_empty());
    let left: Vec<_> = world
        .space
        .keys()
        .filter(|k| matches!(k, FactKey::Rate(_) | FactKey::Active(_) | FactKey::InFlight(_)))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

/// Nobody was woken for what a later check refused anyway; the other way round was the rule.
#[test]
fn person_is_not_asked_about_what_is_refused_anyway() {
    let (mut world, who) =
        world_with(json!({"budgets": [{"unit": "EUR", "limit": 10, "per": "day"}]}), ASK_OVER_TEN);
    let ruling = world.propose(proposal(&who, "pay", &pay("11")));
    assert_eq!(says(&ruling), "block budget_exceeded");
    assert!(
        ruling.decision().findings.iter().any(|f| f.code.as_str() == "approval_rule"),
        "but it is on record"
    );
    assert!(
        !world.space.keys().any(|k| matches!(k, FactKey::Approval(_) | FactKey::Open(_) | FactKey::AskOf(_)))
    );
}

// --- Replay

/// A time-out was answered with "not executed"; the retry made it two.
#[test]
fn retry_of_an_unknown_outcome_is_not_carried_out_again() {
    let (mut world, who) = world_with(json!({}), "");
    let first = keyed(proposal(&who, "pay", &pay("5")), "k");
    let id = permit(&world.propose(first.clone()));
    assert_eq!(says(&world.propose(first.clone())), format!("replay of {id}"), "while it is in flight");
    world.conclude(&id, OutcomeKind::Unknown);
    assert_eq!(says(&world.propose(first.clone())), format!("replay of {id}"));
    world.conclude(&id, OutcomeKind::Done);
    assert_eq!(says(&world.propose(first)), format!("replay of {id}"));
}

/// `P1`, `p1 ` and a full-width `Ｐ１` were three effects.
#[test]
fn key_that_only_looks_like_another_is_refused() {
    let (mut world, who) = world_with(json!({}), "");
    world.done(keyed(proposal(&who, "pay", &pay("5")), "P1"));
    for key in ["P1 ", " P1", "P1\n", "Ｐ１", "P\u{200b}1", "Ρ1", ""] {
        assert_eq!(
            says(&world.propose(keyed(proposal(&who, "pay", &pay("5")), key))),
            "block request_invalid",
            "{key:?}"
        );
    }
}

/// A key was taken for another call, which then got the answer of the first.
#[test]
fn key_names_one_proposal() {
    let (mut world, who) = world_with(json!({}), "");
    world.done(keyed(proposal(&who, "pay", &pay("5")), "k"));
    assert_eq!(says(&world.propose(keyed(proposal(&who, "pay", &pay("6")), "k"))), "block replay_conflict");
    assert_eq!(
        says(&world.propose(keyed(proposal(&who, "read", &json!({"what": "x"})), "k"))),
        "block replay_conflict"
    );
}

/// A refused call used up the key of the one that was meant.
#[test]
fn refused_proposal_does_not_use_its_key_up() {
    let (mut world, who) = world_with(json!({}), "");
    assert_eq!(says(&world.propose(keyed(proposal(&who, "pay", &pay("-5")), "k"))), "block amount_invalid");
    assert_eq!(says(&world.propose(keyed(proposal(&who, "pay", &pay("5")), "k"))), "allow");
}

/// Keys were dropped when there were many of them.
#[test]
fn key_is_remembered_however_many_follow() {
    let (mut world, who) = world_with(json!({}), "");
    let first = keyed(proposal(&who, "pay", &pay("5")), "k");
    let id = world.done(first.clone());
    for n in 0..2_000 {
        world.done(keyed(proposal(&who, "read", &json!({"what": "x"})), &format!("n{n}")));
    }
    assert_eq!(says(&world.propose(first)), format!("replay of {id}"));
}

/// A killed agent still got answers out of the record with an old key.
#[test]
fn kill_switch_and_dead_token_silence_replays() {
    let (mut world, who) = world_with(json!({}), "");
    let first = keyed(proposal(&who, "pay", &pay("5")), "k");
    world.done(first.clone());
    world.kill(KillScope::Agent(who.agent.clone()));
    assert_eq!(says(&world.propose(first.clone())), "block killed");
    let (mut world, who) = world_with(json!({}), "");
    let id = world.done(first.clone());
    assert_eq!(says(&world.propose(first.clone())), format!("replay of {id}"));
    world.revoke(&first.credential.id);
    assert_eq!(says(&world.propose(first)), "block token_revoked");
    assert_eq!(who.run.as_str(), "run_1");
}

// --- Delegation and kill switches

fn child_of(world: &mut World, parent: &Principal, agent: &str, run: &str) -> Principal {
    let mut child = principal(agent);
    child.run = RunId::new(run).unwrap();
    let mut ancestors = vec![parent.run.clone()];
    if let Some(Fact::Run(fact)) = world.space.get(&FactKey::Run(parent.run.clone())) {
        ancestors.extend(fact.ancestors.clone());
    }
    world.open_child(&child, &ancestors);
    child
}

/// A kill switch stopped an agent and not those it had started.
#[test]
fn kill_switch_reaches_children_and_their_children() {
    for scope in ["all", "tenant", "agent", "run"] {
        let (mut world, who) = world_with(json!({}), "");
        let child = child_of(&mut world, &who, "b", "run_2");
        let grandchild = child_of(&mut world, &child, "b", "run_3");
        assert_eq!(says(&world.propose(proposal(&grandchild, "read", &json!({"what": "x"})))), "allow");
        world.kill(match scope {
            "all" => KillScope::All,
            "tenant" => KillScope::Tenant(who.tenant.clone()),
            "agent" => KillScope::Agent(who.agent.clone()),
            _ => KillScope::Run(who.run.clone()),
        });
        for run in [&who, &child, &grandchild] {
            assert_eq!(
                says(&world.propose(proposal(run, "read", &json!({"what": "x"})))),
                "block killed",
                "{scope} {run:?}"
            );
        }
    }
}

/// A child went on when its parent had ended.
#[test]
fn child_ends_with_its_parent() {
    let (mut world, who) = world_with(json!({}), "");
    let child = child_of(&mut world, &who, "b", "run_2");
    world.close(&who.run);
    assert_eq!(says(&world.propose(proposal(&child, "read", &json!({"what": "x"})))), "block run_closed");
    let (mut world, who) = world_with(json!({}), "");
    let child = child_of(&mut world, &who, "b", "run_2");
    world.space.remove(&FactKey::Run(who.run.clone()));
    assert_eq!(
        says(&world.propose(proposal(&child, "read", &json!({"what": "x"})))),
        "block run_unknown",
        "a parent nobody knows"
    );
}

/// What a delegation left out was unlimited.
#[test]
fn child_may_do_at_most_what_its_parent_may() {
    let (mut world, who) = world_with(json!({"allowed_actions": ["read"]}), "");
    let child = child_of(&mut world, &who, "b", "run_2");
    assert_eq!(says(&world.propose(proposal(&child, "read", &json!({"what": "x"})))), "allow");
    assert_eq!(
        says(&world.propose(proposal(&child, "pay", &pay("1")))),
        "block not_allowed",
        "b may, a may not"
    );
}

/// Each child began with a full budget.
#[test]
fn children_spend_the_budget_of_their_parent() {
    let (mut world, who) = world_with(
        json!({"budgets": [{"unit": "EUR", "limit": 10, "per": "run"}], "max_tool_calls_per_run": 3}),
        "",
    );
    let first = child_of(&mut world, &who, "b", "run_2");
    let second = child_of(&mut world, &who, "b", "run_3");
    world.done(proposal(&first, "pay", &pay("6")));
    assert_eq!(says(&world.propose(proposal(&second, "pay", &pay("6")))), "block budget_exceeded");
    world.done(proposal(&second, "pay", &pay("4")));
    world.done(proposal(&second, "read", &json!({"what": "x"})));
    assert_eq!(
        says(&world.propose(proposal(&first, "read", &json!({"what": "x"})))),
        "block calls_exhausted"
    );
}

/// A child read what its parent was then thought not to have seen.
#[test]
fn parent_has_seen_what_its_child_has_seen() {
    let (mut world, who) = world_with(json!({}), "");
    let child = child_of(&mut world, &who, "b", "run_2");
    let id = permit(&world.propose(proposal(&child, "read", &json!({"what": "x"}))));
    let labels = aecl_kernel::provenance::labels::Labels { untrusted: true, ..Default::default() };
    world.conclude_with(&id, OutcomeKind::Done, labels);
    let ruling = world.propose(proposal(&who, "pay", &pay("1")));
    assert!(ruling.decision().risk.factors.iter().any(|f| f.name == "untrusted_origin"));
}

/// A stolen or borrowed token worked in another run.
#[test]
fn token_is_for_one_run_of_one_agent() {
    let (mut world, who) = world_with(json!({}), "");
    let mut other = who.clone();
    other.run = RunId::new("run_2").unwrap();
    world.open(&other);
    let mut borrowed = proposal(&other, "read", &json!({"what": "x"}));
    borrowed.credential.run = who.run.clone();
    assert_eq!(says(&world.propose(borrowed)), "block token_foreign");
    // The request says who acts; the record says who opened the run.
    let mut promoted = who.clone();
    promoted.environment = "sandbox".parse_as();
    let mut forged = proposal(&promoted, "read", &json!({"what": "x"}));
    forged.credential.run = who.run.clone();
    assert_eq!(says(&world.propose(forged)), "block token_foreign");
}

trait ParseAs {
    fn parse_as<T: serde::de::DeserializeOwned>(&self) -> T;
}
impl ParseAs for str {
    fn parse_as<T: serde::de::DeserializeOwned>(&self) -> T {
        serde_json::from_value(json!(self)).unwrap()
    }
}

// --- Undoing

/// A rollback ran twice, or undid what had never been known to happen.
#[test]
fn undo_happens_once_and_only_to_what_is_done() {
    let mut world = World::acme();
    let who = principal("support_agent");
    world.open(&who);
    let refund = |amount: &str| proposal(&who, "refund_payment", &json!({"order": "1", "amount": amount}));
    let undo = |of: &aecl_kernel::base::id::ActionId| {
        let mut undo = proposal(&who, "cancel_refund", &json!({"refund": "re_1"}));
        undo.compensates = Some(of.clone());
        undo
    };
    let id = permit(&world.propose(refund("10")));
    assert_eq!(says(&world.propose(undo(&id))), "block undo_refused");
    world.conclude(&id, OutcomeKind::Unknown);
    assert_eq!(says(&world.propose(undo(&id))), "block undo_refused");
    world.conclude(&id, OutcomeKind::Done);
    let first = permit(&world.propose(undo(&id)));
    assert_eq!(world.action(&id).undo, Undo::Underway(first.clone()));
    assert_eq!(says(&world.propose(undo(&id))), "block undo_refused");
    world.conclude(&first, OutcomeKind::Unknown);
    assert_eq!(says(&world.propose(undo(&id))), "block undo_refused", "the undo may have happened");
    world.conclude(&first, OutcomeKind::Done);
    assert_eq!(world.action(&id).undo, Undo::Done(first.clone()));
    assert_eq!(says(&world.propose(undo(&id))), "block undo_refused");
    assert_eq!(says(&world.propose(undo(&first))), "block undo_refused", "an undo is not undone");
}

// --- Speed that decays

/// The tenth thousand of rules made each decision slower.
#[test]
fn rules_for_others_are_not_looked_at() {
    let rules: String = (0..500)
        .map(|n| {
            format!(
                "@id(\"r{n}\") forbid(principal == Agent::\"x{n}\", action == Action::\"pay\", resource);\n"
            )
        })
        .collect();
    let (world, who) = world_with(json!({}), &rules);
    assert_eq!(world.bundle.policies().slice_len(&who.agent, "pay", 0), 1);
}

/// Carried state was never reaped: each call made the next one slower.
#[test]
fn facts_of_a_decision_do_not_grow_with_history() {
    let (mut world, who) =
        world_with(json!({"budgets": [{"unit": "EUR", "limit": 100000, "per": "day"}]}), "");
    world.done(proposal(&who, "pay", &pay("1")));
    let size = |world: &World| {
        let last = world.entries.iter().rev().find(|e| matches!(e.event, Event::Ruled(_))).unwrap();
        serde_json::to_vec(last).unwrap().len()
    };
    let first = size(&world);
    for _ in 0..300 {
        world.done(proposal(&who, "pay", &pay("1")));
    }
    assert!(size(&world) < first + 100, "{first} bytes became {}", size(&world));
}

// --- Defaults

/// What was not written down was allowed, reversible, trusted and unasked.
#[test]
fn what_is_not_said_is_read_strictly() {
    let silent = json!([{"name": "act", "effect": "write", "arguments": {"type": "object"}}]);
    let bundle = bundle(
        &json!({"agent_id": "a", "allowed_actions": ["act"], "auto_approve_threshold": 1}),
        &silent,
        "",
    );
    let typed = bundle.catalogue().find("act").unwrap().clone();
    assert!(typed.manifest.output.untrusted && typed.manifest.output.private);
    let mut world = World::new(bundle);
    let who = principal("a");
    world.open(&who);
    assert_eq!(says(&world.propose(proposal(&who, "act", &json!({})))), "require_approval irreversible");
    assert_eq!(says(&world.propose(proposal(&who, "act", &json!({"x": 1})))), "block arguments_invalid");
}
