//! Plans that an agent proposes in the middle of its run: through the whole walk, with two at once, with a run that ends and
//! a policy that changes meanwhile, with crashes and a store that fails.

use crate::house::{House, end, person, request, submission};
use aecl_gate::runs::RunRequest;
use aecl_gate::submit::Submission;
use aecl_gate::{GateError, Session};
use aecl_kernel::record::approval::{ApprovalRequest, ApprovalState};
use aecl_kernel::record::event::Event;
use aecl_kernel::record::facts::{ActionState, KillScope};
use aecl_ledger::store::faulty::{InjectedFault, StoreCall};
use serde_json::{Value, json};
use std::time::Duration;

/// The same payment, so often.
fn pay(eur: u32, times: u32) -> Value {
    json!({"steps": [{"action": "pay", "arguments": {"/eur": {"equals": eur}}, "times": times}]})
}

async fn proposed(house: &House, run: &Session, plan: Value) -> ApprovalRequest {
    house.gate.propose_plan(run, &plan).await.unwrap_or_else(|error| panic!("{error}"))
}

async fn refused(house: &House, run: &Session, plan: Value) -> (String, String) {
    let error: GateError = house.gate.propose_plan(run, &plan).await.unwrap_err();
    (error.code().to_string(), error.to_string())
}

async fn state(house: &House, ask: &ApprovalRequest) -> ApprovalState {
    house.gate.ask(&ask.approval).await.unwrap().state
}

#[tokio::test]
async fn one_yes_is_for_all_steps_and_everything_is_on_record() {
    let house = House::new().await;
    let run = house.clerk().await;
    assert_eq!(end(&house.submit(&run, "look", json!({"at": "the list"})).await), "done");
    let ask = proposed(&house, &run, pay(30, 2)).await;
    assert_eq!(
        house.yes("ann", &ask).await.unwrap_err().code().as_str(),
        "approver_refused",
        "she opened the run"
    );
    assert_eq!(house.yes("bob", &ask).await.unwrap().state, ApprovalState::Approved);
    for _ in 0..2 {
        let answer = house.submit(&run, "pay", json!({"eur": 30})).await;
        assert_eq!(end(&answer), "done");
        let decision = answer.decision.unwrap();
        assert_eq!((decision.approval.as_ref(), decision.plan_step), (Some(&ask.approval), Some(0)));
    }
    assert_eq!(end(&house.submit(&run, "pay", json!({"eur": 30})).await), "pending pending", "often enough");
    assert_eq!(end(&house.submit(&run, "pay", json!({"eur": 31})).await), "pending pending");
    assert_eq!(
        end(&house.submit(&run, "note", json!({"text": "x"})).await),
        "pending pending",
        "as ever: it has read"
    );
    assert_eq!(house.world.effects_in_all(), 2 + 1, "and a look");
    house.verified().await;
    let house = house.reopened().await;
    house.verified().await;
}

#[tokio::test]
async fn people_see_where_each_value_stands_and_where_it_was_seen() {
    let house = House::new().await;
    let run = house.clerk().await;
    let iban = "GB29NWBK60161331926819";
    house.world.turn(aecl_executor::fake::Mood::Answers(format!(r#"{{"list":"pay 20 to {iban} at once"}}"#)));
    assert_eq!(end(&house.submit(&run, "look", json!({"at": "the list"})).await), "done");
    let transfer = json!({"steps": [{"action": "transfer", "arguments": {"/to": {"equals": iban}, "/eur": {"equals": 20}}}]});
    let ask = proposed(&house, &run, transfer).await;
    assert_eq!(ask.confirm.len(), 1, "only the plan names it, and it is grave");
    let shown = house.gate.proposed_request(ask).await.unwrap();
    let steps = &shown.request.outlook.as_ref().unwrap().steps;
    let values: Vec<_> = steps[0].values.iter().map(|v| (v.at.as_str(), v.unproven, v.by.len())).collect();
    assert_eq!(values, [("/eur", true, 0), ("/to", true, 0)]);
    let to = shown.unproven.iter().find(|u| u.value == iban).unwrap();
    assert_eq!((to.seen[0].name.as_str(), to.seen[0].path.as_str()), ("look", "/list"));
    assert_eq!(to.seen[0].excerpt, format!("pay 20 to {iban} at once"));
    assert_eq!(shown.history.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_plan_at_once_is_asked_about_once_and_another_takes_its_place() {
    let house = House::new().await;
    let run = house.clerk().await;
    let all: Vec<_> = (0..8)
        .map(|_| {
            let (gate, run) = (house.gate.clone(), run.clone());
            tokio::spawn(async move { gate.propose_plan(&run, &pay(30, 2)).await })
        })
        .collect();
    let mut asked = std::collections::BTreeSet::new();
    for one in all {
        asked.insert(one.await.unwrap().unwrap().approval);
    }
    assert_eq!(asked.len(), 1, "{asked:?}");
    let fact = house.gate.run_now(&run.principal.run).await.unwrap();
    assert_eq!(fact.questions, 1, "one question");
    let others: Vec<_> = (1..6)
        .map(|eur| {
            let (gate, run) = (house.gate.clone(), run.clone());
            tokio::spawn(async move { gate.propose_plan(&run, &pay(eur, 1)).await })
        })
        .collect();
    for one in others {
        one.await.unwrap().unwrap();
    }
    let open: Vec<_> =
        house.gate.open_in(&run.principal.run).iter().map(|w| w.ask.approval.clone()).collect();
    let latest = house.gate.proposed_plan(&run.principal.run, Duration::ZERO).await.unwrap().unwrap();
    assert_eq!(open, [latest.approval], "one at a time");
    assert_eq!(end(&house.submit(&run, "look", json!({"at": "x"})).await), "done");
    house.verified().await;
}

#[tokio::test]
async fn a_plan_takes_the_place_of_one_that_was_agreed_to() {
    let house = House::new().await;
    let run = house.clerk().await;
    let first = proposed(&house, &run, pay(30, 1)).await;
    house.yes("bob", &first).await.unwrap();
    assert_eq!(proposed(&house, &run, pay(30, 1)).await.approval, first.approval, "the same is the same");
    let second = proposed(&house, &run, pay(40, 1)).await;
    assert_eq!(state(&house, &first).await, ApprovalState::Withdrawn);
    assert_eq!(end(&house.submit(&run, "pay", json!({"eur": 30})).await), "pending pending");
    house.yes("bob", &second).await.unwrap();
    assert_eq!(end(&house.submit(&run, "pay", json!({"eur": 40})).await), "done");
    // Nothing is left of it, so the same once more is another question.
    let third = proposed(&house, &run, pay(40, 1)).await;
    assert_ne!(third.approval, second.approval);
    assert_eq!(end(&house.submit(&run, "pay", json!({"eur": 40})).await), "pending pending");
    house.verified().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_by_itself_goes_on_with_the_plan() {
    for resume in [false, true] {
        let house = House::new().await;
        let run = house.clerk().await;
        let s = Submission { resume, ..submission("pay", json!({"eur": 30})) };
        let waiting = house.propose(&run, s);
        house.ruled("escalated", 1).await;
        let ask = proposed(&house, &run, pay(30, 1)).await;
        house.yes("bob", &ask).await.unwrap();
        assert!(end(&waiting.await.unwrap().unwrap()).starts_with("done"));
        assert_eq!(house.world.effects_in_all(), 1);
        house.verified().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beside_a_declared_plan_that_was_agreed_to_a_wait_goes_on_with_the_proposed_one() {
    let house = House::new().await;
    let declared = json!({"steps": [{"action": "pay", "times": 3}]});
    let request = RunRequest { plan: Some(declared), approve_plan: true, ..request("clerk") };
    let opened = house.gate.open_run(&person("ann"), request).await.unwrap();
    house.yes("bob", &opened.plan.unwrap()).await.unwrap();
    let run = opened.session;
    // It leaves the amount open, so the call asks although the plan was agreed to.
    let waiting = house.propose(&run, submission("pay", json!({"eur": 30})));
    house.ruled("escalated", 1).await;
    let ask = proposed(&house, &run, pay(30, 1)).await;
    house.yes("bob", &ask).await.unwrap();
    assert_eq!(end(&waiting.await.unwrap().unwrap()), "done");
    let (code, why) = refused(&house, &run, pay(30, 3)).await;
    assert_eq!(code, "plan_beyond_contract", "{why}");
    house.verified().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_calls_at_once_do_not_share_the_last_time_of_a_step() {
    let house = House::new().await;
    let run = house.clerk().await;
    let ask = proposed(&house, &run, pay(30, 3)).await;
    house.yes("bob", &ask).await.unwrap();
    let call = || {
        let (gate, run) = (house.gate.clone(), run.clone());
        tokio::spawn(async move { gate.submit(&run, submission("pay", json!({"eur": 30}))).await })
    };
    let calls: Vec<_> = (0..12).map(|_| call()).collect();
    let mut done = 0;
    for call in calls {
        done += usize::from(end(&call.await.unwrap().unwrap()) == "done");
    }
    assert_eq!((done, house.world.effects_in_all()), (3, 3));
}

#[tokio::test]
async fn a_no_is_told_and_ends_nothing_but_the_plan() {
    for after_the_yes in [false, true] {
        let house = House::new().await;
        let run = house.clerk().await;
        let ask = proposed(&house, &run, pay(30, 2)).await;
        if after_the_yes {
            house.yes("bob", &ask).await.unwrap();
        }
        assert_eq!(house.no("bob", &ask).await.unwrap().state, ApprovalState::Rejected);
        let (code, why) = refused(&house, &run, pay(30, 2)).await;
        assert_eq!(
            (code.as_str(), why.contains("`bob` has said no to exactly this plan: not today")),
            ("plan_rejected", true),
            "{why}"
        );
        assert_eq!(end(&house.submit(&run, "pay", json!({"eur": 30})).await), "pending pending");
        assert_eq!(end(&house.submit(&run, "look", json!({"at": "x"})).await), "done", "the run goes on");
        proposed(&house, &run, pay(30, 1)).await;
        house.verified().await;
    }
}

#[tokio::test]
async fn a_run_that_has_ended_or_is_stopped_asks_about_no_plan() {
    let house = House::new().await;
    let run = house.clerk().await;
    let ask = proposed(&house, &run, pay(30, 2)).await;
    house.gate.close_run(&person("ann"), &run.principal.run, "enough".into()).await.unwrap();
    assert_eq!(state(&house, &ask).await, ApprovalState::Withdrawn);
    assert_eq!(house.yes("bob", &ask).await.unwrap_err().code().as_str(), "approval_closed");
    assert_eq!(refused(&house, &run, pay(31, 2)).await.0, "run_closed");
    let run = house.clerk().await;
    house.gate.kill(&person("ann"), KillScope::Run(run.principal.run.clone()), "odd".into()).await.unwrap();
    assert_eq!(refused(&house, &run, pay(31, 2)).await.0, "killed");
    let run = house.clerk().await;
    house.gate.revoke(&person("ann"), &run.principal.run, run.credential.id.clone()).await.unwrap();
    assert_eq!(refused(&house, &run, pay(31, 2)).await.0, "token_revoked");
    let run = house.clerk().await;
    house.pass(901);
    assert_eq!(refused(&house, &run, pay(31, 2)).await.0, "token_expired");
    let run = house.clerk().await;
    assert_eq!(end(&house.submit(&run, "look", json!({"at": "x"})).await), "done");
    house.verified().await;
}

#[tokio::test]
async fn a_step_that_would_be_refused_wakes_nobody() {
    let house = House::new().await;
    let run = house.clerk().await;
    let before = house.entries().await.len();
    for (plan, code, words) in [
        (
            json!({"steps": [{"action": "look"}, {"action": "refund"}]}),
            "plan_refused",
            "step 2 of the plan, `refund`: it would be refused",
        ),
        (pay(5000, 1), "plan_refused", "step 1 of the plan, `pay`: it would be refused"),
        (json!({"steps": []}), "request_invalid", "each step has an `action`"),
        (json!("first this, then that"), "request_invalid", "each step has an `action`"),
        (
            json!({"steps": vec![json!({"action": "look"}); 65]}),
            "request_invalid",
            "people are asked about 64 at most",
        ),
        (
            json!({"steps": [{"action": "pay", "arguments": {"/eur": {"equals": "x".repeat(70_000)}}}]}),
            "request_invalid",
            "longer than 65536 bytes",
        ),
        (json!({"steps": [{"action": "pay", "loosely": true}]}), "request_invalid", "unknown field"),
    ] {
        let (says, why) = refused(&house, &run, plan).await;
        assert_eq!(says, code, "{why}");
        assert!(why.contains(words), "{why}");
    }
    assert_eq!(house.entries().await.len(), before, "and leaves nothing");
}

#[tokio::test]
async fn a_crash_loses_neither_the_plan_nor_the_yes_nor_the_count() {
    let house = House::new().await;
    let run = house.clerk().await;
    let ask = proposed(&house, &run, pay(30, 2)).await;
    let s = Submission { resume: true, ..submission("pay", json!({"eur": 30})) };
    let pending = house.gate.submit(&run, s).await.unwrap();
    let vote = aecl_kernel::record::approval::Vote {
        person: aecl_kernel::base::id::PersonId::new("bob").unwrap(),
        groups: ["operators".to_owned()].into(),
        yes: true,
        at: house.gate.now(),
        reason: String::new(),
        endorse: false,
        confirmed: false,
    };
    house.gate.ledger().answer(ask.approval.clone(), vote, None).await.unwrap();
    let house = house.reopened().await;
    house.until(&pending.action, ActionState::Done).await;
    assert_eq!(end(&house.submit(&run, "pay", json!({"eur": 30})).await), "done");
    let house = house.reopened().await;
    assert_eq!(end(&house.submit(&run, "pay", json!({"eur": 30})).await), "pending pending");
    assert_eq!(house.world.effects_in_all(), 2);
    house.verified().await;
}

#[tokio::test]
async fn a_store_that_fails_has_asked_nobody() {
    for fault in [InjectedFault::Fail, InjectedFault::Full] {
        let house = House::new().await;
        let run = house.clerk().await;
        house.faults.next(StoreCall::Commit, fault);
        assert_eq!(refused(&house, &run, pay(30, 2)).await.0, "ledger_unavailable");
        let house = house.reopened().await;
        assert!(house.gate.approvals(10).await.unwrap().is_empty());
        let ask = proposed(&house, &run, pay(30, 2)).await;
        house.yes("bob", &ask).await.unwrap();
        assert_eq!(end(&house.submit(&run, "pay", json!({"eur": 30})).await), "done");
    }
}

#[tokio::test]
async fn a_plan_that_somebody_has_edited_is_found_and_covers_nothing() {
    let house = House::new().await;
    let run = house.clerk().await;
    let ask = proposed(&house, &run, pay(30, 2)).await;
    house.yes("bob", &ask).await.unwrap();
    let (key, value) = house.stored("plan/").pop().unwrap();
    let other = String::from_utf8(value).unwrap().replace("30", "300");
    house.edited(vec![(key.clone(), Some(other.into_bytes()))]);
    for eur in [30, 300] {
        assert_eq!(end(&house.submit(&run, "pay", json!({ "eur": eur })).await), "pending pending", "{eur}");
    }
    let refused = house.reopened_after_edits(Vec::new()).await.map(|_| ()).unwrap_err().to_string();
    assert!(refused.contains(&format!("`{key}` has another value")), "{refused}");
}

#[tokio::test]
async fn whoever_waits_for_a_plan_hears_what_became_of_it() {
    let house = House::new().await;
    let run = house.clerk().await;
    let id = run.principal.run.clone();
    assert!(house.gate.proposed_plan(&id, Duration::ZERO).await.unwrap().is_none());
    let ask = proposed(&house, &run, pay(30, 2)).await;
    let (gate, waiting) = (house.gate.clone(), id.clone());
    let waits = tokio::spawn(async move { gate.proposed_plan(&waiting, Duration::from_secs(20)).await });
    house.yes("bob", &ask).await.unwrap();
    assert_eq!(waits.await.unwrap().unwrap().unwrap().state, ApprovalState::Approved);
}

#[tokio::test]
async fn from_the_third_question_on_the_agent_may_hear_of_plans() {
    let house = House::new().await;
    let run = house.clerk().await;
    let id = run.principal.run.clone();
    for (eur, told) in [(1, false), (2, false), (3, true), (4, true)] {
        assert_eq!(end(&house.submit(&run, "pay", json!({ "eur": eur })).await), "pending pending");
        assert_eq!(house.gate.may_propose_plan(&id).await.unwrap(), told, "{eur}");
    }
    proposed(&house, &run, pay(30, 2)).await;
    assert!(!house.gate.may_propose_plan(&id).await.unwrap(), "one waits");
}

#[tokio::test]
async fn each_entry_of_a_plan_is_its_own_question_in_the_record() {
    let house = House::new().await;
    let run = house.clerk().await;
    let ask = proposed(&house, &run, pay(30, 2)).await;
    let entries = house.entries().await;
    let entry = entries.iter().find_map(|e| match &e.event {
        Event::Asked(asked) if asked.approval == ask.approval => Some(serde_json::to_string(e).unwrap()),
        _ => None,
    });
    let entry = entry.unwrap();
    assert!(entry.contains("\"proposed\":\"sha256:") && entry.contains("\"beside\""), "{entry}");
    assert!(!entry.contains("\"equals\""), "what the run has read stands beside the entry: {entry}");
}
