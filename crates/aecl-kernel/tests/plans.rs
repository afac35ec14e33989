//! Plans that people agree to up front: what their yes covers, what it never does, and that it is one more fact.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod bank;
mod world;

use aecl_analysis::load::VettedBundle;
use aecl_kernel::base::id::{ApprovalId, PersonId};
use aecl_kernel::decide::Ruling;
use aecl_kernel::policy::bundle::Bundle;
use aecl_kernel::record::approval::{ApprovalRequest, ApprovalState};
use aecl_kernel::record::event::Event;
use aecl_kernel::record::facts::{Fact, FactKey};
use bank::{EVIL, IBAN, STANDARD};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::{Arc, LazyLock};
use world::{World, bundle, permit, principal, proposal, says, wait};

const OPS: &[&str] = &["operators"];

/// What an office does that nobody can take back.
fn office(agent: Value) -> Arc<Bundle> {
    let text = || json!({"type": "string"});
    let schema = |properties: Value, required: Value| json!({"type": "object", "properties": properties, "required": required});
    let actions = json!([
        {"name": "remit", "effect": "pay", "reversibility": "irreversible", "severity": 3, "fields": {"amount": {"value": "/amount", "unit": "EUR"}},
         "arguments": schema(json!({"to": text(), "amount": {"type": "number"}, "note": text(), "copy": text()}), json!(["to", "amount"])),
         "args": {"to": {"class": "dest_account"}, "amount": {"class": "magnitude", "limit": 5000}, "note": {"class": "content"},
                  "copy": {"class": "dest_email"}}},
        {"name": "grant", "effect": "grant", "reversibility": "reversible", "approval": {"count": 2, "approvers": ["security"], "expires_s": 600},
         "arguments": schema(json!({"who": text()}), json!(["who"])), "args": {"who": {"class": "target_name"}}},
        {"name": "shred", "effect": "delete", "reversibility": "irreversible",
         "arguments": schema(json!({"id": text()}), json!(["id"])), "args": {"id": {"class": "target_id"}}},
        {"name": "jot", "effect": "write", "reversibility": "reversible",
         "arguments": schema(json!({"text": text()}), json!(["text"])), "args": {"text": {"class": "content"}}},
        {"name": "scale", "effect": "write", "reversibility": "irreversible",
         "arguments": schema(json!({"n": {"type": "number"}}), json!(["n"])), "args": {"n": {"class": "magnitude"}}},
        {"name": "rename", "effect": "write", "reversibility": "reversible",
         "arguments": schema(json!({"id": text()}), json!(["id"])), "args": {"id": {"class": "target_id"}}},
        {"name": "erase_all", "effect": "delete", "reversibility": "irreversible", "arguments": schema(json!({}), json!([]))},
        {"name": "look_up", "effect": "read", "egress": "external",
         "arguments": schema(json!({"url": text(), "copy": text()}), json!(["url"])),
         "args": {"url": {"class": "dest_url"}, "copy": {"class": "dest_email"}}},
        {"name": "read_mail", "effect": "read", "arguments": schema(json!({}), json!([]))},
    ]);
    let mut manifest = json!({"agent_id": "a", "allowed_actions": ["remit", "grant", "shred", "jot", "rename", "scale", "look_up", "read_mail"],
        "blocked_actions": ["erase_all"], "auto_approve_threshold": "1.00", "run_ttl_seconds": 7200,
        "budgets": [{"unit": "EUR", "limit": "10000", "per": "day"}], "max_questions_per_run": 100});
    manifest.as_object_mut().unwrap().extend(agent.as_object().unwrap().clone());
    bundle(&manifest, &actions, "")
}

static OFFICE: LazyLock<Arc<Bundle>> = LazyLock::new(|| office(json!({})));

fn remit(to: &str, amount: i64) -> Value {
    json!({"to": to, "amount": amount})
}

fn step_of(name: &str, arguments: &Value, times: u32) -> Value {
    let equals = |(name, value): (&String, &Value)| (format!("/{name}"), json!({"equals": value}));
    let constraints: serde_json::Map<String, Value> =
        arguments.as_object().unwrap().iter().map(equals).collect();
    json!({"action": name, "arguments": constraints, "times": times})
}

/// A run with a plan, put before people.
fn asked(bundle: &Arc<Bundle>, goal: &str, steps: &[Value]) -> (World, ApprovalRequest) {
    let mut world = World::new(bundle.clone());
    let who = principal("a");
    world.open_for(&who, goal, Some(json!({"steps": steps})));
    let ask = world.ask_about_plan(&who).unwrap_or_else(|(_, why)| panic!("{why}"));
    (world, ask)
}

/// The same, and everybody has agreed.
fn agreed(bundle: &Arc<Bundle>, steps: &[Value]) -> (World, ApprovalRequest) {
    let goal = format!("Remit 100 to {IBAN} and tidy up the file f-1");
    let (mut world, ask) = asked(bundle, &goal, steps);
    assert!(ask.confirm.is_empty(), "the goal names it");
    world.everybody_agrees(&ask);
    (world, ask)
}

fn propose(world: &mut World, name: &str, arguments: &Value) -> Ruling {
    world.propose(proposal(&principal("a"), name, arguments))
}

fn does(world: &mut World, name: &str, arguments: &Value) -> String {
    says(&propose(world, name, arguments))
}

fn state(world: &World, approval: &ApprovalId) -> ApprovalState {
    match world.space.get(&FactKey::Approval(approval.clone())) {
        Some(Fact::Approval(ask)) => ask.state_at(world.now),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_yes_to_the_plan_is_a_yes_to_each_step_as_often_as_it_says() {
    let steps = [step_of("remit", &remit(IBAN, 100), 2), step_of("shred", &json!({"id": "f-1"}), 1)];
    let (mut world, ask) = asked(&OFFICE, &format!("Remit 100 to {IBAN} and shred f-1"), &steps);
    assert_eq!(does(&mut world, "remit", &remit(IBAN, 100)), "require_approval irreversible", "not yet");
    world.everybody_agrees(&ask);
    let ruling = propose(&mut world, "remit", &remit(IBAN, 100));
    assert_eq!(says(&ruling), "allow");
    let decision = ruling.decision();
    assert_eq!(
        (decision.approval.as_ref(), decision.plan_step),
        (Some(&ask.approval), Some(0)),
        "the entry names it"
    );
    assert_eq!(world.action(&permit(&ruling)).approval, Some(ask.approval.clone()));
    assert_eq!(does(&mut world, "remit", &remit(IBAN, 100)), "allow");
    assert_eq!(does(&mut world, "remit", &remit(IBAN, 100)), "require_approval off_plan", "often enough");
    assert_eq!(does(&mut world, "shred", &json!({"id": "f-1"})), "allow");
    assert_eq!(does(&mut world, "shred", &json!({"id": "f-1"})), "require_approval off_plan");
    assert_eq!(state(&world, &ask.approval), ApprovalState::Approved, "it is not used up by one step");
}

#[test]
fn what_waits_by_itself_goes_on_as_the_same_action() {
    let (mut world, ask) =
        asked(&OFFICE, &format!("Remit 100 to {IBAN}"), &[step_of("remit", &remit(IBAN, 100), 1)]);
    let single = wait(&propose(&mut world, "remit", &remit(IBAN, 100)));
    world.everybody_agrees(&ask);
    let id = permit(&propose(&mut world, "remit", &remit(IBAN, 100)));
    assert_eq!(id, single.action);
    assert_eq!(
        state(&world, &single.approval),
        ApprovalState::Withdrawn,
        "nobody is asked about it any more"
    );
    assert_eq!(world.answer(&single.approval, "bob", OPS, true), Err("approval_closed"));
    let (mut world, ask) =
        asked(&OFFICE, &format!("Remit 100 to {IBAN}"), &[step_of("remit", &remit(IBAN, 100), 1)]);
    let single = wait(&propose(&mut world, "remit", &remit(IBAN, 100)));
    world.answer(&single.approval, "bob", OPS, false).unwrap();
    world.everybody_agrees(&ask);
    assert_eq!(
        does(&mut world, "remit", &remit(IBAN, 100)),
        "block approval_rejected",
        "a no to exactly this stays"
    );
}

#[test]
fn any_change_of_what_was_agreed_to_asks() {
    let said = json!({"to": IBAN, "amount": 100, "note": "rent"});
    for (other, asks) in [
        (json!({"to": EVIL, "amount": 100, "note": "rent"}), "require_approval off_plan"),
        (json!({"to": IBAN, "amount": 101, "note": "rent"}), "require_approval off_plan"),
        (json!({"to": IBAN, "amount": 99, "note": "rent"}), "require_approval off_plan"),
        (json!({"to": IBAN, "amount": 100, "note": "Rent"}), "require_approval off_plan"),
        (json!({"to": IBAN, "amount": 100}), "require_approval off_plan"),
        // It fits, and gives a destination that the plan does not name.
        (
            json!({"to": IBAN, "amount": 100, "note": "rent", "copy": "eve@example.com"}),
            "require_approval irreversible",
        ),
        (said.clone(), "allow"),
    ] {
        let (mut world, _) = agreed(&OFFICE, &[step_of("remit", &said, 1)]);
        assert_eq!(does(&mut world, "remit", &other), asks, "{other}");
        world.seen(&principal("a").run, true, true);
        let (mut world, _) = agreed(&OFFICE, &[step_of("remit", &said, 1)]);
        world.seen(&principal("a").run, true, true);
        let says = does(&mut world, "remit", &other);
        assert_eq!(says == "allow", asks == "allow", "{other}: {says}");
    }
}

#[test]
fn what_the_plan_leaves_open_asks() {
    let open = |arguments: Value| json!({"action": "remit", "arguments": arguments});
    let to = json!({"equals": IBAN});
    for (step, arguments, expected) in [
        (open(json!({"/to": to})), remit(IBAN, 100), "require_approval irreversible"),
        (open(json!({"/amount": {"equals": 100}})), remit(IBAN, 100), "require_approval irreversible"),
        (open(json!({"/to": to, "/amount": {"at_most": 200}})), remit(IBAN, 100), "allow"),
        (open(json!({"/to": to, "/amount": {"at_most": 99}})), remit(IBAN, 100), "require_approval off_plan"),
        (
            open(json!({"/to": {"one_of": [EVIL, IBAN]}, "/amount": {"equals": 100}})),
            remit(IBAN, 100),
            "allow",
        ),
        (json!({"action": "shred"}), json!({"id": "f-1"}), "require_approval irreversible"),
    ] {
        let name = step["action"].as_str().unwrap().to_owned();
        let (mut world, ask) = asked(&OFFICE, "Do the usual", std::slice::from_ref(&step));
        let typed: Vec<&str> = if ask.confirm.is_empty() { vec![] } else { vec!["6819", "1212"] };
        for person in ["bob", "cid"].iter().take(ask.need.people() as usize) {
            world.answer_typing(&ask.approval, (person, OPS), true, &typed).unwrap();
        }
        let ruling = propose(&mut world, &name, &arguments);
        assert_eq!(says(&ruling), expected, "{step}");
        let told = ruling.decision().findings.iter().any(|f| f.code.as_str() == "plan_does_not_cover");
        assert_eq!(told, expected.ends_with("irreversible"), "why not is told: {step}");
    }
}

/// Also by what only reads: a destination beside the one that the plan names.
#[test]
fn a_destination_that_the_plan_leaves_open_asks_when_something_private_could_leave() {
    let page = "https://rates.example/today";
    let copied = json!({"url": page, "copy": "eve@evil.example"});
    for (plan, expected) in
        [(json!({"url": page}), "require_approval unproven_destination"), (copied.clone(), "allow")]
    {
        let (mut world, _) = agreed(&OFFICE, &[step_of("look_up", &plan, 9)]);
        let mail = permit(&propose(&mut world, "read_mail", &json!({})));
        world.answers(&mail, &json!({"mail": "hello"}));
        assert_eq!(says(&propose(&mut world, "look_up", &copied)), expected, "{plan}");
    }
}

#[test]
fn what_people_have_not_seen_asks() {
    // Less than nothing is below every limit.
    let steps = [json!({"action": "scale", "arguments": {"/n": {"at_most": 5}}, "times": 9})];
    let (mut world, _) = agreed(&OFFICE, &steps);
    assert_eq!(does(&mut world, "scale", &json!({"n": 5})), "allow");
    assert_eq!(does(&mut world, "scale", &json!({"n": -5})), "require_approval irreversible");
    assert_eq!(does(&mut world, "scale", &json!({"n": 5.1})), "require_approval off_plan");
    // How many rows it touches is shown with a request of its own.
    let counted = |world: &mut World| {
        let proposal = proposal(&principal("a"), "shred", &json!({"id": "f-1"}));
        says(&world.propose_with(proposal, &[aecl_kernel::base::evidence::Evidence::counted(2)]))
    };
    let (mut world, _) = agreed(&OFFICE, &[step_of("shred", &json!({"id": "f-1"}), 2)]);
    assert_eq!(counted(&mut world), "require_approval irreversible");
    assert_eq!(does(&mut world, "shred", &json!({"id": "f-1"})), "allow");
    // A yes without the end of a destination that nobody else names, as a policy of before may have taken it.
    let late = |typed: &[&str]| {
        let mut world = World::new(OFFICE.clone());
        let who = principal("a");
        let plan = json!({"steps": [step_of("remit", &remit(IBAN, 1), 1)]});
        world.open_for(&who, "Pay the landlord", Some(plan));
        let Some(Fact::Run(mut run)) = world.space.get(&FactKey::Run(who.run.clone())).cloned() else {
            panic!()
        };
        (run.late, run.labels.untrusted) = (true, true);
        world.space.insert(FactKey::Run(who.run.clone()), Fact::Run(run));
        let mut ask = world.ask_about_plan(&who).unwrap();
        if typed.is_empty() {
            ask.confirm.clear();
        }
        world.record(Some(&who.run), Event::Asked(Box::new(ask.clone())));
        world.answer_typing(&ask.approval, ("bob", OPS), true, typed).unwrap();
        does(&mut world, "remit", &remit(IBAN, 1))
    };
    assert_eq!(
        (late(&["6819"]), late(&[])),
        ("allow".into(), "require_approval unproven_destination".into())
    );
}

#[test]
fn a_plan_never_overrides_a_block() {
    let (mut world, _) = agreed(&OFFICE, &[step_of("remit", &remit(IBAN, 4000), 9)]);
    assert_eq!(does(&mut world, "remit", &remit(IBAN, 4000)), "allow");
    // Sums of a day and budgets stay as they are.
    assert_eq!(does(&mut world, "remit", &remit(IBAN, 4000)), "require_approval sum_above_limit");
    let single = wait(&propose(&mut world, "remit", &remit(IBAN, 4000)));
    world.everybody_agrees(&single);
    assert_eq!(does(&mut world, "remit", &remit(IBAN, 4000)), "allow");
    assert_eq!(does(&mut world, "remit", &remit(IBAN, 4000)), "block budget_exceeded");
    // Nobody is woken for what can never happen.
    for (step, why) in [
        (json!({"action": "erase_all"}), "it would be refused"),
        (json!({"action": "remitt"}), "did you mean `remit`?"),
        (
            json!({"action": "remit", "arguments": {"/to": {"equals": 7}, "/amount": {"equals": 1}}}),
            "it would be refused",
        ),
        (json!({"action": "remit", "arguments": {"to": {"equals": IBAN}}}), "no JSON pointer"),
    ] {
        let mut world = World::new(OFFICE.clone());
        world.open_for(&principal("a"), "x", Some(json!({"steps": [step]})));
        let (code, message) = world.ask_about_plan(&principal("a")).unwrap_err();
        assert_eq!(code.as_str(), "request_invalid");
        assert!(message.contains(why), "{message}");
    }
}

#[test]
fn everybody_agrees_whom_a_step_would_ask() {
    let steps = [
        step_of("jot", &json!({"text": "rent"}), 1),
        step_of("remit", &remit(IBAN, 100), 1),
        step_of("grant", &json!({"who": "bob"}), 1),
    ];
    let (mut world, ask) = asked(&OFFICE, &format!("Jot rent, remit 100 to {IBAN}, grant bob"), &steps);
    assert_eq!(ask.need.people(), 3, "two of security for one step, an operator for the other");
    assert_eq!(ask.expires_at, world.now.plus_s(600), "the shortest of all");
    let asks = |n: usize, code: &str| {
        ask.plan.as_ref().unwrap().steps[n].asks.iter().any(|asked| asked.as_str() == code)
    };
    assert!(asks(1, "irreversible") && asks(2, "approval_rule"));
    assert!(ask.plan.as_ref().unwrap().steps[0].asks.is_empty());
    // Nobody who is not asked, nor whom the run is for, nor the agent.
    let security = &["security"];
    assert_eq!(world.answer(&ask.approval, "bob", &["visitors"], true), Err("approver_refused"));
    assert_eq!(world.answer(&ask.approval, "ann", security, true), Err("approver_refused"), "it is her run");
    assert_eq!(world.answer(&ask.approval, "a", security, true), Err("approver_refused"));
    assert_eq!(world.answer(&ask.approval, "bob", security, true), Ok(ApprovalState::Pending));
    assert_eq!(world.answer(&ask.approval, "bob", security, true), Err("approver_twice"));
    assert_eq!(does(&mut world, "jot", &json!({"text": "rent"})), "allow", "it never asked");
    assert_eq!(world.answer(&ask.approval, "cid", security, true), Ok(ApprovalState::Pending));
    assert_eq!(world.answer(&ask.approval, "dan", OPS, true), Ok(ApprovalState::Approved));
    assert_eq!(does(&mut world, "remit", &remit(IBAN, 100)), "allow");
    assert_eq!(does(&mut world, "grant", &json!({"who": "bob"})), "allow");
}

#[test]
fn a_destination_that_only_the_plan_names_is_typed() {
    let (mut world, ask) = asked(&OFFICE, "Pay the landlord", &[step_of("remit", &remit(IBAN, 100), 1)]);
    assert_eq!(ask.what_to_type(), "the last 4 characters of `to` in step 1");
    assert_eq!(world.answer(&ask.approval, "bob", OPS, true), Err("confirmation_wanted"));
    assert_eq!(world.answer_typing(&ask.approval, ("bob", OPS), true, &["0000"]), Err("confirmation_wanted"));
    assert_eq!(
        world.answer_typing(&ask.approval, ("bob", OPS), true, &["6819"]),
        Ok(ApprovalState::Approved)
    );
    assert_eq!(does(&mut world, "remit", &remit(IBAN, 100)), "allow");
}

#[test]
fn a_plan_of_a_delegated_run_answers_for_what_strangers_may_have_said() {
    // The parent has read a stranger's text, so the goal and the plan of the child prove nothing.
    let mut world = World::new(OFFICE.clone());
    let who = principal("a");
    world.open_for(
        &who,
        &format!("Remit 100 to {IBAN}"),
        Some(json!({"steps": [step_of("remit", &remit(IBAN, 100), 1)]})),
    );
    let Some(Fact::Run(mut fact)) = world.space.get(&FactKey::Run(who.run.clone())).cloned() else {
        panic!()
    };
    (fact.late, fact.labels.untrusted) = (true, true);
    world.space.insert(FactKey::Run(who.run.clone()), Fact::Run(fact));
    assert_eq!(does(&mut world, "remit", &remit(IBAN, 100)), "require_approval unproven_destination");
    let ask = world.ask_about_plan(&who).unwrap();
    assert_eq!(ask.confirm.len(), 1);
    if ask.need.people() == 1 {
        world.answer_typing(&ask.approval, ("bob", OPS), true, &["6819"]).unwrap();
    } else {
        world.everybody_agrees(&ask);
    }
    assert_eq!(does(&mut world, "remit", &remit(IBAN, 100)), "allow", "people have read exactly this");
}

#[test]
fn a_no_ends_the_run_before_the_yes_and_after_it() {
    for first in [false, true] {
        let (mut world, ask) =
            asked(&OFFICE, &format!("Remit 100 to {IBAN}"), &[step_of("remit", &remit(IBAN, 100), 3)]);
        if first {
            world.answer(&ask.approval, "bob", OPS, true).unwrap();
            assert_eq!(does(&mut world, "remit", &remit(IBAN, 100)), "allow");
            assert_eq!(world.answer(&ask.approval, "eve", &["visitors"], false), Err("approver_refused"));
            assert_eq!(
                world.answer(&ask.approval, "cid", OPS, true),
                Err("approval_closed"),
                "one yes is enough"
            );
        }
        // Whoever agreed may take it back.
        assert_eq!(world.answer(&ask.approval, "bob", OPS, false), Ok(ApprovalState::Rejected));
        assert_eq!(does(&mut world, "remit", &remit(IBAN, 100)), "block run_closed");
        assert_eq!(does(&mut world, "read_mail", &json!({})), "block run_closed");
        assert_eq!(world.answer(&ask.approval, "cid", OPS, false), Err("approval_closed"));
    }
}

#[test]
fn a_yes_to_a_plan_expires_and_ends_with_the_run() {
    let (mut world, ask) = agreed(&OFFICE, &[step_of("remit", &remit(IBAN, 100), 3)]);
    assert_eq!(ask.expires_at, world.now.plus_s(1200), "never later than the run");
    let (mut late, _) = (world.clone(), world.later_s(599));
    assert_eq!(does(&mut world, "remit", &remit(IBAN, 100)), "allow");
    late.close(&principal("a").run);
    assert_eq!(state(&late, &ask.approval), ApprovalState::Withdrawn);
    assert!(!late.space.contains_key(&FactKey::Open(ask.approval.clone())), "nobody sees it in the queue");
    let (mut world, ask) = agreed(&OFFICE, &[step_of("grant", &json!({"who": "bob"}), 3)]);
    assert_eq!(does(&mut world, "grant", &json!({"who": "bob"})), "allow");
    world.later_s(600);
    assert_eq!(state(&world, &ask.approval), ApprovalState::Expired);
    assert_eq!(does(&mut world, "grant", &json!({"who": "bob"})), "require_approval approval_rule");
}

#[test]
fn the_policy_of_now_is_asked_again() {
    let steps = [step_of("grant", &json!({"who": "bob"}), 9)];
    let (mut world, _) = agreed(&OFFICE, &steps);
    assert_eq!(does(&mut world, "grant", &json!({"who": "bob"})), "allow");
    // A person who agreed may not any more.
    world.bundle = office(json!({"excluded_approvers": ["person_1"]}));
    assert_eq!(does(&mut world, "grant", &json!({"who": "bob"})), "require_approval approval_rule");
    world.bundle = office(json!({"blocked_actions": ["grant"]}));
    assert_eq!(does(&mut world, "grant", &json!({"who": "bob"})), "block action_blocked");
    world.bundle = office(json!({"description": "another bundle, and nothing about this"}));
    assert_eq!(does(&mut world, "grant", &json!({"who": "bob"})), "allow");
    // Another definition of the action is another action.
    let sources = OFFICE.sources().to_vec();
    let changed = sources.into_iter().map(|mut source| {
        source.text = source.text.replace("\"expires_s\":600", "\"expires_s\":700");
        source
    });
    world.bundle = Arc::new(VettedBundle::load(changed.collect()).unwrap().into_bundle());
    assert_eq!(does(&mut world, "grant", &json!({"who": "bob"})), "require_approval approval_rule");
}

#[test]
fn an_agent_can_be_bound_to_approved_plans() {
    let bound = office(json!({"plans": "approve"}));
    let mut world = World::new(bound.clone());
    world.open_for(&principal("a"), "Jot something", None);
    assert_eq!(does(&mut world, "jot", &json!({"text": "x"})), "require_approval plan_not_approved");
    assert_eq!(does(&mut world, "read_mail", &json!({})), "allow");
    let rent = json!({"text": "rent"});
    let (mut world, ask) = asked(&bound, "Jot rent", &[step_of("jot", &rent, 1)]);
    assert!(
        ask.plan.as_ref().unwrap().steps[0].asks.is_empty(),
        "that the plan is not approved yet is no news"
    );
    assert_eq!(does(&mut world, "jot", &rent), "require_approval plan_not_approved");
    world.everybody_agrees(&ask);
    assert_eq!(does(&mut world, "jot", &json!({"text": "y"})), "require_approval plan_not_approved");
    assert_eq!(does(&mut world, "jot", &rent), "allow");
    assert_eq!(does(&mut world, "jot", &rent), "require_approval plan_not_approved");
    // People have agreed to the step, and not to what it leaves open.
    let (mut open, ask) = asked(&bound, "Rename something", &[json!({"action": "rename"})]);
    open.everybody_agrees(&ask);
    assert_eq!(does(&mut open, "rename", &json!({"id": "f-1"})), "require_approval plan_not_approved");
    // A child is no way around.
    let mut child = principal("a");
    child.run = aecl_kernel::base::id::RunId::new("run_child").unwrap();
    world.open_child(&child, std::slice::from_ref(&principal("a").run));
    assert_eq!(
        says(&world.propose(proposal(&child, "jot", &json!({"text": "x"})))),
        "require_approval plan_not_approved"
    );
}

#[test]
fn a_plan_is_for_its_own_run() {
    let (mut world, _) = agreed(&OFFICE, &[step_of("remit", &remit(IBAN, 100), 3)]);
    let mut other = principal("a");
    other.run = aecl_kernel::base::id::RunId::new("run_2").unwrap();
    world.open_for(
        &other,
        &format!("Remit 100 to {IBAN}"),
        Some(json!({"steps": [step_of("remit", &remit(IBAN, 100), 3)]})),
    );
    assert_eq!(
        says(&world.propose(proposal(&other, "remit", &remit(IBAN, 100)))),
        "require_approval irreversible"
    );
}

#[test]
fn who_brings_a_plan_does_not_agree_to_it() {
    let mut world = World::new(STANDARD.clone());
    let who = principal("a");
    world.open_for(&who, "x", Some(json!({"steps": [{"action": "balance"}]})));
    let Some(Fact::Goal(goal)) = world.space.get(&FactKey::Goal(who.run.clone())).cloned() else { panic!() };
    let (run, bundle, now) = (world.run(&who.run), world.bundle.clone(), world.now);
    let known = std::collections::BTreeMap::new();
    let stated = aecl_analysis::outlook::Stated {
        goal: &goal,
        run: &run,
        lineage: &[],
        known: &known,
        bundle: &bundle,
        cages: None,
        now,
        midway: None,
    };
    let fresh = aecl_kernel::decide::request::NewIds {
        action: aecl_kernel::base::id::ActionId::new("act_9").unwrap(),
        approval: ApprovalId::new("apr_9").unwrap(),
    };
    let ask = stated.ask(Some(&PersonId::new("olga").unwrap()), &fresh).unwrap();
    assert!(ask.excluded.contains("olga") && ask.excluded.contains("a") && ask.excluded.contains("ann"));
}

// --- A plan that waits

/// A run of the bank's that has a plan, is asked about it or not, and has read a stranger's mail.
fn reading(bundle: &Arc<Bundle>, goal: &str, asks: bool) -> (World, Option<ApprovalRequest>) {
    let steps = [
        step_of("get_page", &json!({"url": "https://rates.example/today"}), 9),
        step_of("pay", &remit(IBAN, 100), 9),
        step_of("wire", &remit(IBAN, 7), 9),
        step_of("add_event", &json!({"title": "Dentist"}), 9),
    ];
    let mut world = World::new(bundle.clone());
    let who = principal("a");
    world.open_for(&who, goal, Some(json!({"steps": steps})));
    let ask = asks.then(|| world.ask_about_plan(&who).unwrap_or_else(|(_, why)| panic!("{why}")));
    let mail = permit(&propose(&mut world, "read_mail", &json!({})));
    world.answers(&mail, &json!({"mails": [{"id": "m-1", "body": "Hello"}]}));
    (world, ask)
}

fn agree(world: &mut World, ask: &ApprovalRequest) {
    let people = ["person_1", "person_2"].into_iter().take(ask.need.people() as usize);
    for person in people {
        world.answer_typing(&ask.approval, (person, OPS), true, &["6819"]).unwrap();
    }
}

const ITS_STEPS: [(&str, &str); 4] = [
    ("get_page", r#"{"url": "https://rates.example/today"}"#),
    ("pay", r#"{"to": "GB29NWBK60161331926819", "amount": 100}"#),
    ("wire", r#"{"to": "GB29NWBK60161331926819", "amount": 7}"#),
    ("add_event", r#"{"title": "Dentist"}"#),
];

fn all(world: &World) -> Vec<String> {
    // Each as if it were the only one: a later step ends those before it.
    let one = |(name, arguments): (&str, &str)| {
        does(&mut world.clone(), name, &serde_json::from_str(arguments).unwrap())
    };
    ITS_STEPS.into_iter().map(one).collect()
}

#[test]
fn a_plan_that_waits_vouches_for_nothing() {
    for bundle in [&*STANDARD, &*bank::STRICT] {
        let (world, _) = reading(bundle, "Do the usual for the dentist", false);
        assert_eq!(
            all(&world),
            ["allow"; 4],
            "whoever opened the run vouches for a plan that nobody is asked about"
        );
        let (mut world, ask) = reading(bundle, "Do the usual for the dentist", true);
        let ask = ask.unwrap();
        let waits = ["unproven_fetch", "unproven_destination", "unproven_destination", "off_intent"];
        let waits = waits.map(|code| format!("require_approval {code}"));
        assert_eq!(all(&world), waits, "nobody has agreed yet");
        let said_no = {
            let mut world = world.clone();
            assert_eq!(world.answer(&ask.approval, "person_1", OPS, false), Ok(ApprovalState::Rejected));
            all(&world)
        };
        assert_eq!(said_no, ["block run_closed"; 4]);
        let mut expired = world.clone();
        expired.later_s(3600);
        expired.expire(&ask);
        let Some(Fact::Run(mut run)) = expired.space.get(&FactKey::Run(ask.run.clone())).cloned() else {
            panic!()
        };
        run.expires_at = expired.now.plus_s(60);
        expired.space.insert(FactKey::Run(ask.run.clone()), Fact::Run(run));
        assert_eq!(expired.run(&ask.run).plan_approval.as_ref(), Some(&ask.approval));
        assert!(all(&expired).iter().all(|said| said != "allow"), "{:?}", all(&expired));
        agree(&mut world, &ask);
        assert_eq!(all(&world), ["allow"; 4], "people have read exactly this");
        world.bundle = {
            let sources = bundle.sources().to_vec().into_iter().map(|mut source| {
                source.text = source.text.replace(
                    "\"agent_id\":",
                    "\"excluded_approvers\":[\"person_1\",\"person_2\"],\"agent_id\":",
                );
                source
            });
            Arc::new(VettedBundle::load(sources.collect()).unwrap().into_bundle())
        };
        assert_eq!(all(&world), waits, "who agreed may not any more");
    }
}

#[test]
fn beside_a_plan_that_waits_the_words_of_the_goal_count() {
    let goal = format!("Pay 100 EUR to {IBAN} and add an event for the dentist");
    let (world, _) = reading(&STANDARD, &goal, true);
    assert_eq!(
        all(&world),
        ["require_approval unproven_fetch", "allow", "require_approval unproven_amount", "allow"]
    );
    let mut world = world;
    let other = json!({"to": IBAN, "amount": 99});
    assert_eq!(does(&mut world, "pay", &other), "block plan_violated", "it is a contract already");
}

#[test]
fn a_plan_that_has_to_be_agreed_to_and_was_not_put_before_anybody_vouches_for_nothing() {
    let (mut world, _) = reading(&STANDARD, "Do the usual", false);
    world.bundle = {
        let sources = STANDARD.sources().to_vec().into_iter().map(|mut source| {
            source.text = source.text.replace("\"agent_id\":", "\"plans\":\"approve\",\"agent_id\":");
            source
        });
        Arc::new(VettedBundle::load(sources.collect()).unwrap().into_bundle())
    };
    assert_eq!(all(&world)[0], "require_approval unproven_fetch");
    assert!(all(&world).iter().all(|said| said != "allow"), "{:?}", all(&world));
}

// --- Laws

/// Arguments near those of the plan.
fn near() -> impl Strategy<Value = (String, Value)> {
    let to =
        prop_oneof![3 => Just(IBAN.to_owned()), 1 => Just(EVIL.to_owned()), 1 => Just(IBAN.to_lowercase())];
    let amount = prop_oneof![3 => Just(100i64), 1 => 0..200i64, 1 => Just(6000i64)];
    let more = prop_oneof![
        3 => Just(json!({})), 1 => Just(json!({"note": "rent"})), 1 => Just(json!({"copy": "eve@example.com"})),
        1 => Just(json!({"unknown": 1}))
    ];
    let name = prop_oneof![4 => Just("remit"), 1 => Just("erase_all"), 1 => Just("jot")];
    (name, to, amount, more).prop_map(|(name, to, amount, more)| {
        let mut arguments = remit(&to, amount);
        arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        (name.to_owned(), arguments)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// A yes to the plan turns an ask into an allow, for what the plan spells out; it changes nothing else.
    #[test]
    fn a_plan_only_answers_what_asks((name, arguments) in near(), read in any::<bool>(), limited in any::<bool>()) {
        let step = if limited {
            json!({"action": "remit", "arguments": {"/to": {"equals": IBAN}, "/amount": {"at_most": 100}}})
        } else {
            step_of("remit", &remit(IBAN, 100), 1)
        };
        let (mut without, ask) = asked(&OFFICE, &format!("Remit 100 to {IBAN}"), &[step]);
        if read {
            without.seen(&principal("a").run, true, true);
        }
        let mut with = without.clone();
        with.everybody_agrees(&ask);
        let before = does(&mut without, &name, &arguments);
        let ruling = propose(&mut with, &name, &arguments);
        let after = says(&ruling);
        // What the plan would vouch for is asked about, too, as long as it waits.
        let verdict = |said: &str| said.split(' ').next().map(str::to_owned);
        if verdict(&before) != verdict(&after) {
            prop_assert!(before.starts_with("require_approval") && after == "allow", "{before} → {after}");
            prop_assert_eq!(ruling.decision().plan_step, Some(0));
            prop_assert_eq!(&name, "remit");
            prop_assert_eq!(&arguments["to"], IBAN);
            let amount = arguments["amount"].as_i64().unwrap();
            prop_assert!(amount == 100 || (limited && amount < 100));
            prop_assert!(arguments.get("copy").is_none(), "a destination that the plan does not name");
        }
        // Replay equals history: what is on record says the same again, from its own facts.
        let mut space = std::collections::BTreeMap::new();
        for (key, fact) in &with.space {
            // The goal is beside the entries.
            if matches!(key, FactKey::Goal(_)) { space.insert(key.clone(), fact.clone()); }
        }
        for entry in &with.entries {
            let Ok(()) = entry.apply(&mut space);
        }
        let run = FactKey::Run(principal("a").run);
        let (Some(Fact::Run(a)), Some(Fact::Run(b))) = (space.get(&run), with.space.get(&run)) else { panic!() };
        prop_assert_eq!((&a.step, &a.plan_approval, a.calls), (&b.step, &b.plan_approval, b.calls));
        if let Some(Event::Ruled(ruled)) = with.entries.iter().rev().map(|e| &e.event).find(|e| matches!(e, Event::Ruled(_))) {
            let written = serde_json::to_vec(&ruled.facts).unwrap();
            let read: aecl_kernel::record::facts::Facts = serde_json::from_slice(&written).unwrap();
            prop_assert_eq!(&read, &ruled.facts);
        }
    }
}
