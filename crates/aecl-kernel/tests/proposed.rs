//! Plans that an agent proposes in the middle of its run, with what it has read: what people's yes covers, and that the
//! plan by itself is nobody's word.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod world;

use aecl_kernel::base::id::RunId;
use aecl_kernel::decide::Ruling;
use aecl_kernel::policy::bundle::Bundle;
use aecl_kernel::provenance::labels::Labels;
use aecl_kernel::record::approval::{ApprovalRequest, ApprovalState};
use aecl_kernel::record::event::OutcomeKind;
use aecl_kernel::record::facts::{Fact, FactKey, KillScope};
use aecl_kernel::record::goal::ProposedPlan;
use serde_json::{Value, json};
use std::sync::Arc;
use world::{World, bundle, permit, principal, proposal, says, wait};

const ANN: &str = "GB29NWBK60161331926819";
const BEN: &str = "DE89370400440532013000";
const GOAL: &str = "The matinee is cancelled. Do what is on the list in the mail of the house manager.";

/// The box office of a theatre.
fn theatre(agent: Value) -> Arc<Bundle> {
    let text = || json!({"type": "string"});
    let schema = |properties: Value, required: Value| json!({"type": "object", "properties": properties, "required": required});
    let actions = json!([
        {"name": "refund", "effect": "pay", "reversibility": "irreversible", "severity": 3,
         "fields": {"amount": {"value": "/amount", "unit": "EUR"}},
         "arguments": schema(json!({"account": text(), "amount": {"type": "number"}, "note": text()}), json!(["account", "amount"])),
         "args": {"account": {"class": "dest_account"}, "amount": {"class": "magnitude", "limit": 500}, "note": {"class": "content"}}},
        {"name": "letter", "effect": "send", "reversibility": "irreversible",
         "arguments": schema(json!({"to": text(), "body": text()}), json!(["to", "body"])), "args": {"to": {"class": "dest_email"}}, "intent": {"strong": ["send"]}},
        {"name": "release", "effect": "write", "reversibility": "reversible",
         "arguments": schema(json!({"seat": text()}), json!(["seat"])), "args": {"seat": {"class": "target_id"}}},
        {"name": "key", "effect": "grant", "reversibility": "reversible", "approval": {"count": 2, "approvers": ["stage"], "expires_s": 600},
         "arguments": schema(json!({"who": text()}), json!(["who"])), "args": {"who": {"class": "target_name"}}},
        {"name": "burn", "effect": "delete", "reversibility": "irreversible", "arguments": schema(json!({}), json!([]))},
        {"name": "mails", "effect": "read", "arguments": schema(json!({}), json!([]))},
        {"name": "patrons", "effect": "read", "arguments": schema(json!({}), json!([])),
         "outputs": [{"path": "/*/account", "endorses": "directory", "taints": false, "type": "account"}]},
    ]);
    let mut manifest = json!({"agent_id": "a", "allowed_actions": ["refund", "letter", "release", "key", "mails", "patrons"],
        "blocked_actions": ["burn"], "auto_approve_threshold": "1.00", "run_ttl_seconds": 7200, "max_questions_per_run": 100});
    manifest.as_object_mut().unwrap().extend(agent.as_object().unwrap().clone());
    bundle(&manifest, &actions, "")
}

/// A run that has read the list.
fn reading(agent: Value, goal: &str, declared: Option<Value>) -> World {
    let mut world = World::new(theatre(agent));
    world.open_for(&principal("a"), goal, declared);
    let mail = permit(&propose(&mut world, "mails", &json!({})));
    world.answers(&mail, &json!({"mails": [{"body": format!("Refund 20 to {ANN} and 30 to {BEN}")}]}));
    world
}

fn refund(account: &str, amount: i64) -> Value {
    json!({"account": account, "amount": amount})
}

fn step(name: &str, arguments: &Value, times: u32) -> Value {
    let equals = |(name, value): (&String, &Value)| (format!("/{name}"), json!({"equals": value}));
    let constraints: serde_json::Map<String, Value> =
        arguments.as_object().unwrap().iter().map(equals).collect();
    json!({"action": name, "arguments": constraints, "times": times})
}

fn list() -> Value {
    json!({"steps": [step("refund", &refund(ANN, 20), 2), step("refund", &refund(BEN, 30), 1)]})
}

fn offered(world: &mut World, plan: &Value) -> ApprovalRequest {
    world.propose_plan(&principal("a"), plan).unwrap_or_else(|(code, why)| panic!("{code}: {why}"))
}

fn refused(world: &mut World, plan: &Value) -> (String, String) {
    let (code, why) = world.propose_plan(&principal("a"), plan).unwrap_err();
    (code.to_string(), why)
}

/// As many people as are needed agree, and type the ends of both accounts.
fn agree(world: &mut World, ask: &ApprovalRequest) {
    let people = ["person_1", "person_2"].into_iter().take(usize::try_from(ask.need.people()).unwrap());
    for person in people {
        let groups = ["operators", "stage"];
        world.answer_typing(&ask.approval, (person, &groups), true, &["6819", "3000"]).unwrap();
    }
}

fn propose(world: &mut World, name: &str, arguments: &Value) -> Ruling {
    world.propose(proposal(&principal("a"), name, arguments))
}

fn does(world: &mut World, name: &str, arguments: &Value) -> String {
    says(&propose(world, name, arguments))
}

fn state(world: &World, ask: &ApprovalRequest) -> ApprovalState {
    match world.space.get(&FactKey::Approval(ask.approval.clone())) {
        Some(Fact::Approval(ask)) => ask.state_at(world.now),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_yes_covers_exactly_these_steps_in_order_as_often_as_they_say() {
    let mut world = reading(json!({}), GOAL, None);
    let ask = offered(&mut world, &list());
    agree(&mut world, &ask);
    let first = propose(&mut world, "refund", &refund(ANN, 20));
    assert_eq!(says(&first), "allow");
    let decision = first.decision();
    assert_eq!((decision.approval.as_ref(), decision.plan_step), (Some(&ask.approval), Some(0)));
    for (account, amount) in [(ANN, 21), (BEN, 20), ("FR1420041010050500013M02606", 20)] {
        let says = does(&mut world.clone(), "refund", &refund(account, amount));
        assert_eq!(says, "require_approval unproven_destination", "{account} {amount}");
    }
    let more = json!({"account": ANN, "amount": 20, "note": "at once"});
    assert_eq!(does(&mut world.clone(), "refund", &more), "allow", "a note is nothing that matters");
    assert_eq!(does(&mut world, "refund", &refund(ANN, 20)), "allow");
    assert_eq!(
        does(&mut world, "refund", &refund(ANN, 20)),
        "require_approval unproven_destination",
        "often enough"
    );
    assert_eq!(does(&mut world, "refund", &refund(BEN, 30)), "allow");
    assert_eq!(does(&mut world, "refund", &refund(BEN, 30)), "require_approval unproven_destination");
    let mut other = reading(json!({}), GOAL, None);
    let ask = offered(&mut other, &list());
    agree(&mut other, &ask);
    assert_eq!(does(&mut other, "refund", &refund(BEN, 30)), "allow");
    assert_eq!(
        does(&mut other, "refund", &refund(ANN, 20)),
        "require_approval unproven_destination",
        "none comes again after a later one"
    );
}

#[test]
fn a_plan_that_an_agent_proposes_vouches_for_nothing() {
    let codes = |world: &mut World| -> Vec<String> {
        let ruling = propose(world, "refund", &refund(ANN, 20));
        ruling.decision().findings.iter().map(|f| format!("{} {}", f.verdict.name(), f.code)).collect()
    };
    let mut without = reading(json!({}), GOAL, None);
    let mut with = reading(json!({}), GOAL, None);
    let ask = offered(&mut with, &list());
    let before = codes(&mut without);
    assert!(before.iter().any(|code| code == "require_approval unproven_destination"), "{before:?}");
    assert_eq!(codes(&mut with.clone()), before, "it waits");
    agree(&mut with, &ask);
    assert_eq!(codes(&mut with), before, "the yes answers what is found, and proves nothing");
    let letter = json!({"to": "ann@stalls.example", "body": ANN});
    assert_eq!(does(&mut with, "letter", &letter), does(&mut without, "letter", &letter), "nor elsewhere");
}

#[test]
fn what_the_goal_does_not_ask_for_is_shown_and_covered() {
    let goal = "Say when the matinee is";
    let plan =
        json!({"steps": [step("letter", &json!({"to": "ann@stalls.example", "body": "At three"}), 1)]});
    let mut world = reading(json!({}), goal, None);
    let ask = offered(&mut world, &plan);
    let shown = &ask.plan.as_ref().unwrap().steps[0].asks;
    assert!(shown.iter().any(|code| code.as_str() == "off_intent"), "{shown:?}");
    agree(&mut world, &ask);
    let letter = json!({"to": "ann@stalls.example", "body": "At three"});
    assert_eq!(does(&mut world, "letter", &letter), "allow");
    // A plan that the run was opened with answers nothing of it: there its words are the goal.
    let facts = |world: &mut World| {
        world.propose_knowing(proposal(&principal("a"), "letter", &letter), &[], |facts| {
            if let Some(cover) = &mut facts.proposed {
                cover.proposed = false;
            }
        })
    };
    let mut again = reading(json!({}), goal, None);
    let ask = offered(&mut again, &plan);
    agree(&mut again, &ask);
    assert_eq!(says(&facts(&mut again)), "require_approval unproven_destination");
}

#[test]
fn calls_that_are_no_step_ask_or_pass_as_before() {
    let mut world = reading(json!({}), GOAL, None);
    let ask = offered(&mut world, &list());
    for agreed in [false, true] {
        if agreed {
            agree(&mut world, &ask);
        }
        assert_eq!(does(&mut world, "mails", &json!({})), "allow");
        assert_eq!(
            does(&mut world.clone(), "release", &json!({"seat": "B-4"})),
            "require_approval unproven_target"
        );
        assert_eq!(does(&mut world, "burn", &json!({})), "block action_blocked");
    }
}

#[test]
fn a_step_that_would_be_refused_is_put_before_nobody() {
    let plan = |second: Value| json!({"steps": [step("refund", &refund(ANN, 20), 1), second]});
    for (second, code, words) in [
        (step("burn", &json!({}), 1), "plan_refused", "step 2 of the plan, `burn`: it would be refused"),
        (step("refnd", &refund(ANN, 1), 1), "plan_refused", "did you mean `refund`?"),
        (step("refund", &json!({"account": ANN, "amount": -1}), 1), "plan_refused", "it would be refused"),
        (step("refund", &refund(ANN, 20), 0), "plan_refused", "`times` is 0"),
    ] {
        let mut world = reading(json!({}), GOAL, None);
        let (says, why) = refused(&mut world, &plan(second));
        assert_eq!(says, code, "{why}");
        assert!(why.contains(words), "{why}");
        assert_eq!(world.run(&principal("a").run).questions, 0);
    }
    // Of a strict agent, what goes elsewhere than the goal spells out is blocked, and no plan changes that.
    let elsewhere = step("letter", &json!({"to": "eve@pit.example", "body": "x"}), 1);
    let mut strict = reading(json!({"mode": "strict"}), "Send the letter to ann@stage.example", None);
    let said = does(&mut strict, "letter", &json!({"to": "eve@pit.example", "body": "x"}));
    assert_eq!(said, "block off_intent_unproven");
    let (says, why) = refused(&mut strict, &json!({"steps": [elsewhere]}));
    assert_eq!((says.as_str(), why.contains("it would be refused")), ("plan_refused", true), "{why}");
}

#[test]
fn a_block_that_comes_later_stays_a_block() {
    let mut world = reading(json!({}), GOAL, None);
    let ask = offered(&mut world, &list());
    agree(&mut world, &ask);
    let mut stopped = world.clone();
    stopped.kill(KillScope::Run(principal("a").run));
    assert_eq!(does(&mut stopped, "refund", &refund(ANN, 20)), "block killed");
    let mut budget = reading(json!({"budgets": [{"unit": "EUR", "limit": "45", "per": "run"}]}), GOAL, None);
    let ask = offered(&mut budget, &list());
    agree(&mut budget, &ask);
    for _ in 0..2 {
        let id = permit(&propose(&mut budget, "refund", &refund(ANN, 20)));
        budget.conclude(&id, OutcomeKind::Done);
    }
    assert_eq!(does(&mut budget, "refund", &refund(BEN, 30)), "block budget_exceeded");
    world.close(&principal("a").run);
    assert_eq!(does(&mut world, "refund", &refund(ANN, 20)), "block run_closed");
    assert_eq!(state(&world, &ask), ApprovalState::Withdrawn, "with the run ends what people said");
}

#[test]
fn a_declared_plan_binds_what_is_proposed() {
    let limits = |times: u32| {
        json!({"steps": [{"action": "refund", "times": times,
            "arguments": {"/amount": {"at_most": 25}, "/account": {"one_of": [ANN, BEN]}}}]})
    };
    let within = json!({"steps": [step("refund", &refund(ANN, 20), 1), step("refund", &refund(BEN, 25), 1)]});
    for (plan, times, says) in [
        (&within, 2, None),
        (&within, 1, Some("has it earlier, or not so often any more")),
        (&list(), 9, Some("has it with other arguments, or says more of them")),
        (&json!({"steps": [step("release", &json!({"seat": "B-4"}), 1)]}), 9, Some("has no such step")),
        (
            &json!({"steps": [{"action": "refund", "arguments": {"/account": {"equals": ANN}}}]}),
            9,
            Some("with other"),
        ),
        (
            &json!({"steps": [{"action": "refund", "arguments": {"/account": {"equals": ANN}, "/amount": {"at_most": 26}}}]}),
            9,
            Some("with other"),
        ),
        (
            &json!({"steps": [{"action": "refund", "arguments": {"/account": {"equals": ANN}, "/amount": {"at_most": 25}}}]}),
            9,
            None,
        ),
    ] {
        let mut world = reading(json!({}), GOAL, Some(limits(times)));
        match (world.propose_plan(&principal("a"), plan), says) {
            (Ok(ask), None) => {
                agree(&mut world, &ask);
                assert_eq!(does(&mut world, "refund", &refund(ANN, 20)), "allow");
                let other = refund("FR1420041010050500013M02606", 20);
                assert_eq!(
                    does(&mut world, "refund", &other),
                    "block plan_violated",
                    "the contract binds on"
                );
            }
            (Err((code, why)), Some(words)) => {
                assert_eq!(code.as_str(), "plan_beyond_contract", "{why}");
                assert!(why.contains(words), "{why}");
            }
            (got, wanted) => panic!("{plan}: {got:?} {wanted:?}"),
        }
    }
}

#[test]
fn a_yes_to_a_proposed_plan_makes_nothing_a_step_of_the_declared_one() {
    let declared = json!({"steps": [step("refund", &refund(ANN, 20), 1)]});
    let mut world = reading(json!({}), GOAL, Some(declared));
    let plan = json!({"steps": [step("refund", &refund(ANN, 20), 1)]});
    let ask = offered(&mut world, &plan);
    agree(&mut world, &ask);
    assert_eq!(does(&mut world, "refund", &refund(ANN, 20)), "allow");
    let again = does(&mut world, "refund", &refund(ANN, 20));
    assert_eq!(again, "require_approval off_plan", "both count it");
}

#[test]
fn a_no_is_to_the_plan_and_not_to_the_run() {
    for after_the_yes in [false, true] {
        let mut world = reading(json!({}), GOAL, None);
        let ask = offered(&mut world, &list());
        if after_the_yes {
            agree(&mut world, &ask);
            assert_eq!(does(&mut world, "refund", &refund(ANN, 20)), "allow");
        }
        world.answer(&ask.approval, "olga", &["operators"], false).unwrap();
        assert_eq!(state(&world, &ask), ApprovalState::Rejected);
        assert_eq!(does(&mut world, "refund", &refund(ANN, 20)), "require_approval unproven_destination");
        assert_eq!(does(&mut world, "mails", &json!({})), "allow", "the run goes on");
        let next = json!({"steps": [step("refund", &refund(ANN, 20), 1)]});
        let ask = offered(&mut world, &next);
        agree(&mut world, &ask);
        assert_eq!(does(&mut world, "refund", &refund(ANN, 20)), "allow", "another may be proposed");
    }
}

#[test]
fn what_is_done_while_the_plan_waits_counts_as_its_step() {
    let mut world = reading(json!({}), GOAL, None);
    let plan = json!({"steps": [step("refund", &refund(ANN, 20), 1)]});
    let ask = offered(&mut world, &plan);
    let alone = wait(&propose(&mut world, "refund", &refund(ANN, 20)));
    world.answer_typing(&alone.approval, ("olga", &["operators"]), true, &["6819"]).unwrap();
    let id = permit(&propose(&mut world, "refund", &refund(ANN, 20)));
    world.conclude(&id, OutcomeKind::Done);
    agree(&mut world, &ask);
    assert_eq!(
        does(&mut world, "refund", &refund(ANN, 20)),
        "require_approval unproven_destination",
        "not a second time"
    );
}

#[test]
fn everybody_agrees_whom_a_step_would_ask_and_what_is_grave_is_typed() {
    let mut world = reading(json!({}), GOAL, None);
    let plan = json!({"steps": [step("letter", &json!({"to": "ann@stalls.example", "body": "x"}), 1), step("key", &json!({"who": "Ann"}), 1)]});
    let ask = offered(&mut world, &plan);
    assert_eq!((ask.need.people(), ask.need.expires_s), (3, 600));
    let ask = offered(&mut world, &list());
    assert_eq!(ask.confirm.len(), 2);
    let answered = world.answer_typing(&ask.approval, ("olga", &["operators"]), true, &["6819", "1111"]);
    assert_eq!(answered, Err("confirmation_wanted"));
    assert_eq!(world.answer(&ask.approval, "ann", &["operators"], true), Err("approver_refused"), "its user");
    assert_eq!(world.answer(&ask.approval, "a", &["operators"], true), Err("approver_refused"), "itself");
}

#[test]
fn what_a_directory_has_stands_there_and_is_not_typed_twice() {
    let goal = format!("Do what the mail says and refund {ANN}");
    let mut world = reading(json!({}), &goal, None);
    let ask = offered(&mut world, &list());
    assert_eq!(ask.confirm.len(), 1, "the goal names the first");
    assert_eq!(ask.confirm[0].step, Some(1));
}

#[test]
fn each_plan_is_a_question_and_there_are_no_more_than_the_agent_may_ask() {
    let mut world = reading(json!({"max_questions_per_run": 2}), GOAL, None);
    offered(&mut world, &list());
    assert_eq!(world.run(&principal("a").run).questions, 1);
    offered(&mut world, &json!({"steps": [step("refund", &refund(ANN, 20), 1)]}));
    let (code, why) = refused(&mut world, &json!({"steps": [step("refund", &refund(BEN, 30), 1)]}));
    assert_eq!(code, "questions_exhausted", "{why}");
}

#[test]
fn the_latest_plan_alone_counts() {
    let mut world = reading(json!({}), GOAL, None);
    let first = offered(&mut world, &list());
    agree(&mut world, &first);
    let second = offered(&mut world, &json!({"steps": [step("refund", &refund(BEN, 30), 1)]}));
    assert_eq!(does(&mut world, "refund", &refund(ANN, 20)), "require_approval unproven_destination");
    agree(&mut world, &second);
    assert_eq!(does(&mut world, "refund", &refund(BEN, 30)), "allow");
}

#[test]
fn a_yes_ends_in_time_and_reaches_no_other_definition() {
    let mut world = reading(json!({}), GOAL, None);
    let ask = offered(&mut world, &list());
    agree(&mut world, &ask);
    let mut late = world.clone();
    late.later_s(800);
    assert_eq!(does(&mut late, "refund", &refund(ANN, 20)), "allow", "the run lives for 1200 seconds");
    assert!(ask.expires_at <= late.run(&principal("a").run).expires_at);
    let changed = |change: &dyn Fn(&mut aecl_kernel::record::cover::Cover)| {
        let proposed = proposal(&principal("a"), "refund", &refund(ANN, 20));
        let ruling =
            world.clone().propose_knowing(proposed, &[], |facts| change(facts.proposed.as_mut().unwrap()));
        let told =
            ruling.decision().findings.iter().find(|f| f.code.as_str() == "plan_does_not_cover").cloned();
        (says(&ruling), told.map(|f| f.message).unwrap_or_default())
    };
    let asks = "require_approval unproven_destination".to_owned();
    let (says, why) = changed(&|cover| cover.definition = aecl_kernel::base::digest::Digest::of(b"another"));
    assert_eq!(says, asks);
    assert!(
        why.starts_with("the plan that the agent proposed was approved, and this is its step 1, but"),
        "{why}"
    );
    assert_eq!(changed(&|cover| cover.expires_at = world.now), (asks.clone(), String::new()));
    assert_eq!(changed(&|cover| cover.state = ApprovalState::Withdrawn), (asks.clone(), String::new()));
    assert_eq!(changed(&|cover| cover.votes.clear()).0, asks);
    assert_eq!(changed(&|cover| cover.typed.clear()).0, asks);
    assert_eq!(changed(&|cover| cover.exact.clear()).0, asks);
}

#[test]
fn a_plan_that_was_changed_after_the_yes_covers_nothing() {
    let mut world = reading(json!({}), GOAL, None);
    let ask = offered(&mut world, &list());
    agree(&mut world, &ask);
    let other = json!({"steps": [step("refund", &refund(ANN, 400), 2), step("refund", &refund(BEN, 30), 1)]});
    let other = aecl_kernel::read::plan::Plan::read(&other).unwrap().unwrap();
    world.space.insert(FactKey::Plan(ask.approval.clone()), Fact::Plan(ProposedPlan::new(&other)));
    for amount in [400, 20] {
        assert_eq!(
            does(&mut world, "refund", &refund(ANN, amount)),
            "require_approval unproven_destination",
            "{amount}"
        );
    }
    world.space.remove(&FactKey::Plan(ask.approval.clone()));
    assert_eq!(
        does(&mut world, "refund", &refund(BEN, 30)),
        "require_approval unproven_destination",
        "erased"
    );
}

#[test]
fn a_plan_is_for_its_own_run_and_for_no_undo() {
    let mut world = reading(json!({}), GOAL, None);
    let ask = offered(&mut world, &list());
    agree(&mut world, &ask);
    let mut child = principal("a");
    child.run = RunId::new("run_child").unwrap();
    world.open_child(&child, std::slice::from_ref(&principal("a").run));
    let child_says = says(&world.propose(proposal(&child, "refund", &refund(ANN, 20))));
    assert_eq!(child_says, "require_approval unproven_destination");
    let done = permit(&propose(&mut world, "refund", &refund(ANN, 20)));
    let mut undo = proposal(&principal("a"), "refund", &refund(ANN, 20));
    undo.compensates = Some(done);
    world.propose_knowing(undo, &[], |facts| assert_eq!(facts.proposed, None, "an undo is no step"));
}

#[test]
fn an_agent_that_is_bound_to_approved_plans_may_bring_one_later() {
    let mut world = reading(json!({"plans": "approve"}), GOAL, None);
    let seat = json!({"seat": "B-4"});
    assert!(does(&mut world.clone(), "release", &seat).starts_with("require_approval"));
    let ask = offered(&mut world, &json!({"steps": [step("release", &seat, 1)]}));
    let one = wait(&propose(&mut world.clone(), "release", &seat));
    assert_ne!(one.approval, ask.approval, "it waits, so the call asks by itself");
    agree(&mut world, &ask);
    assert_eq!(does(&mut world, "release", &seat), "allow");
    assert_eq!(does(&mut world, "release", &json!({"seat": "B-5"})), "require_approval unproven_target");
}

#[test]
fn in_a_run_that_has_read_nothing_strange_a_plan_covers_what_always_asks() {
    let mut world = World::new(theatre(json!({})));
    world.open_for(&principal("a"), GOAL, None);
    let ask = offered(&mut world, &list());
    agree(&mut world, &ask);
    assert_eq!(world.run(&principal("a").run).labels, Labels::default());
    assert_eq!(does(&mut world, "refund", &refund(ANN, 20)), "allow");
}
