//! What waits and can no longer be carried out is over, on record, at the moment when this becomes true.

use crate::house::{House, PATIENCE, end, person, request, submission};
use crate::policy::home;
use aecl_executor::CallContext;
use aecl_gate::runs::RunRequest;
use aecl_gate::submit::{Answer, Submission};
use aecl_gate::{Gate, Session};
use aecl_kernel::base::id::{ActionId, ApprovalId};
use aecl_kernel::read::plan::Plan;
use aecl_kernel::record::approval::{ApprovalRequest, ApprovalState};
use aecl_kernel::record::event::Event;
use aecl_kernel::record::facts::{ActionState, Fact, KillScope};
use aecl_kernel::record::usage::Meter;
use aecl_ledger::WITHDRAWN_AT_ONCE;
use aecl_ledger::store::{InjectedFault, StoreCall};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

fn pay(eur: u64) -> Submission {
    submission("pay", json!({ "eur": eur }))
}

fn resumed(eur: u64) -> Submission {
    Submission { resume: true, ..pay(eur) }
}

/// What whoever polls for it reads, at the latest when it is over.
async fn polled(gate: &Gate, id: &ActionId) -> Answer {
    gate.status(id, PATIENCE, &CancellationToken::new()).await.unwrap().1
}

async fn state_of(gate: &Gate, approval: &ApprovalId) -> ApprovalState {
    gate.ledger().approval(approval).await.unwrap().unwrap().state
}

async fn yes(gate: &Gate, ask: &ApprovalRequest) -> Result<ApprovalRequest, &'static str> {
    let answered = gate.answer(&person("bob"), &ask.approval, true, String::new(), None).await;
    answered.map_err(|e| e.code().as_str())
}

async fn the_ask(gate: &Gate) -> ApprovalRequest {
    gate.approvals(10).await.unwrap().pop().unwrap()
}

/// Rewrites a part of the policy and brings it into force.
async fn rewrite(dir: &Path, gate: &Gate, file: &str, from: &str, to: &str) {
    let path = dir.join("policy").join(file);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(&path, text.replace(from, to)).unwrap();
    assert!(gate.reload().await.unwrap());
}

async fn block_payments(dir: &Path, gate: &Gate) {
    rewrite(dir, gate, "agents/all.json", r#""blocked_actions":[]"#, r#""blocked_actions":["pay"]"#).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_policy_of_now_refuses_after_the_yes_is_over() {
    // Carried on by itself; by a task for whoever polls; by its proposer that comes back; by one that holds on.
    for way in ["resume", "task", "again", "hold"] {
        let (dir, gate) = home().await;
        let run = gate.open_run(&person("ann"), request("clerk")).await.unwrap().session;
        let first = if way == "resume" { resumed(30) } else { pay(30) };
        let pending = gate.submit(&run, first).await.unwrap();
        let ask = the_ask(&gate).await;
        block_payments(dir.path(), &gate).await;
        let (at, session, id) = (gate.clone(), run.clone(), pending.action.clone());
        let other = tokio::spawn(async move {
            match way {
                "task" => {
                    at.carry_on_for(&id, CallContext::default(), &CancellationToken::new()).await.map(Some)
                }
                "hold" => at.submit(&session, Submission { wait: PATIENCE, ..pay(30) }).await.map(Some),
                _ => Ok(None),
            }
        });
        if way == "hold" {
            // Refused as soon as it is proposed again: nobody has to be woken for it.
            assert_eq!(end(&other.await.unwrap().unwrap().unwrap()), "blocked action_blocked");
            assert_eq!(yes(&gate, &ask).await.unwrap_err(), "approval_closed");
        } else {
            yes(&gate, &ask).await.unwrap();
            if way == "again" {
                assert_eq!(end(&gate.submit(&run, pay(30)).await.unwrap()), "blocked action_blocked");
            }
            if let Some(answer) = other.await.unwrap().unwrap() {
                assert_eq!(end(&answer), "blocked action_blocked");
            }
        }
        let answer = polled(&gate, &pending.action).await;
        assert_eq!(end(&answer), "blocked action_blocked", "{way}");
        assert!(format!("{:?}", answer.end).contains("nothing was executed"), "{way}: {:?}", answer.end);
        assert!(gate.approvals(10).await.unwrap().is_empty(), "{way}");
        assert_eq!(state_of(&gate, &ask.approval).await, ApprovalState::Withdrawn, "{way}");
        assert_eq!(yes(&gate, &ask).await.unwrap_err(), "approval_closed", "{way}");
    }
}

#[tokio::test]
async fn a_yes_outlasts_what_time_or_another_token_can_put_right() {
    let house = House::new().await;
    let run = house.clerk().await;
    // The budget of the day is enough for two of them.
    let mut waiting = Vec::new();
    for submission in [pay(600), resumed(700), pay(500), pay(450)] {
        let action = house.gate.submit(&run, submission).await.unwrap().action;
        let open = house.gate.approvals(10).await.unwrap();
        waiting.push(open.into_iter().find(|ask| ask.action == action).unwrap());
    }
    for (ask, eur) in [(&waiting[2], 500), (&waiting[3], 450)] {
        house.yes("bob", ask).await.unwrap();
        assert_eq!(end(&house.gate.submit(&run, pay(eur)).await.unwrap()), "done");
    }
    let ask = &waiting[0];
    house.yes("bob", ask).await.unwrap();
    assert_eq!(end(&house.gate.submit(&run, pay(600)).await.unwrap()), "blocked budget_exceeded");
    let revoked = house.gate.renew_session(&run).await.unwrap().1;
    let of = revoked.credential.id.clone();
    house.gate.revoke(&person("ann"), &run.principal.run, of).await.unwrap();
    assert_eq!(end(&house.gate.submit(&revoked, pay(600)).await.unwrap()), "blocked token_revoked");
    assert_eq!(house.state(&ask.action).await, ActionState::Waiting);
    assert_eq!(state_of(&house.gate, &ask.approval).await, ApprovalState::Approved);
    // Nobody comes back for what is to be carried on by itself, so there it is over.
    house.yes("bob", &waiting[1]).await.unwrap();
    assert_eq!(end(&polled(&house.gate, &waiting[1].action).await), "blocked budget_exceeded");
    house.verified().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_in_a_run_ends_with_it() {
    let house = House::new().await;
    let run = house.clerk().await;
    let child = RunRequest { parent: Some(run.principal.run.clone()), ..request("clerk") };
    let child = house.gate.open_run(&person("ann"), child).await.unwrap().session;
    let other = house.clerk().await;
    let held = house.propose(&run, pay(1));
    house.ruled("escalated", 1).await;
    let mut waiting = Vec::new();
    for (session, submission) in [(&run, pay(2)), (&run, resumed(3)), (&child, resumed(4))] {
        waiting.push(house.gate.submit(session, submission).await.unwrap().action);
    }
    let stays = house.gate.submit(&other, pay(5)).await.unwrap().action;
    let (at, id) = (house.gate.clone(), waiting[0].clone());
    let poll = tokio::spawn(async move { polled(&at, &id).await });
    let asks = house.gate.approvals(10).await.unwrap();
    // One of them has its yes already.
    let agreed = asks.iter().find(|a| a.action == waiting[0]).unwrap();
    house.yes("bob", agreed).await.unwrap();
    house.gate.close_run(&person("ann"), &run.principal.run, "enough".into()).await.unwrap();
    assert_eq!(end(&held.await.unwrap().unwrap()), "blocked run_closed");
    assert_eq!(end(&poll.await.unwrap()), "blocked run_closed");
    for id in &waiting {
        let answer = polled(&house.gate, id).await;
        assert_eq!(end(&answer), "blocked run_closed");
        assert!(format!("{:?}", answer.end).contains("Open a new run"), "{:?}", answer.end);
    }
    let open = house.gate.approvals(10).await.unwrap();
    assert_eq!(open.iter().map(|ask| &ask.action).collect::<Vec<_>>(), [&stays]);
    assert_eq!(house.gate.queue(&Default::default(), |_| true).unwrap().total, 1);
    for ask in asks.iter().filter(|ask| ask.action != stays) {
        let late = house.yes("cid", ask).await.unwrap_err();
        assert_eq!(late.code().as_str(), "approval_closed");
        assert!(late.to_string().contains("withdrawn"), "{late}");
    }
    assert_eq!(house.world.effects_in_all(), 0);
    assert!(held_of_budgets(&house).is_empty(), "what waits holds nothing, and what is over neither");
    let run = house.gate.ledger().run(&run.principal.run).await.unwrap().unwrap();
    assert_eq!(run.questions, 4, "people were asked, whatever came of it");
    house.verified().await;
}

/// What is held of budgets.
fn held_of_budgets(house: &House) -> Vec<Meter> {
    let meter = |(_, bytes): (String, Vec<u8>)| match serde_json::from_slice(&bytes).unwrap() {
        Fact::Meter(meter) if !meter.held.is_zero() => Some(meter),
        _ => None,
    };
    house.stored("meter/").into_iter().filter_map(meter).collect()
}

/// More than are withdrawn in one commit, each in a run of its own that was delegated from the one that ends.
async fn many(house: &House) -> (Session, Vec<ActionId>) {
    let run = house.run_of("patient").await;
    let mut waiting = Vec::new();
    while waiting.len() < WITHDRAWN_AT_ONCE + 10 {
        let child = RunRequest { parent: Some(run.principal.run.clone()), ..request("patient") };
        let child = house.gate.open_run(&person("ann"), child).await.unwrap().session;
        waiting.push(house.gate.submit(&child, pay(waiting.len() as u64 + 1)).await.unwrap());
    }
    assert!(waiting.iter().all(|answer| end(answer) == "pending pending"));
    (run, waiting.into_iter().map(|answer| answer.action).collect())
}

#[tokio::test]
async fn however_much_waits_ends_a_commit_at_a_time_and_a_crash_leaves_nothing_waiting() {
    let house = House::new().await;
    let (run, waiting) = many(&house).await;
    house.gate.close_run(&person("ann"), &run.principal.run, "enough".into()).await.unwrap();
    assert_eq!(all_are_over(&house, &waiting).await, waiting.len());

    for fault in [InjectedFault::Fail, InjectedFault::Lie] {
        let house = House::new().await;
        let (run, waiting) = many(&house).await;
        // The first commit ends the run, the second would end the rest.
        house.faults.plan(StoreCall::Commit, house.faults.made(StoreCall::Commit) + 2, fault);
        let ended = house.gate.close_run(&person("ann"), &run.principal.run, "enough".into()).await;
        assert!(ended.is_err());
        let house = house.reopened().await;
        assert_eq!(all_are_over(&house, &waiting).await, waiting.len(), "{fault:?}");
    }
}

#[tokio::test]
async fn a_crash_with_the_end_of_a_run_leaves_both_or_neither() {
    for (fault, ends) in [(InjectedFault::Fail, false), (InjectedFault::Lie, true)] {
        let house = House::new().await;
        let run = house.clerk().await;
        let pending = house.gate.submit(&run, resumed(30)).await.unwrap();
        house.faults.plan(StoreCall::Commit, house.faults.made(StoreCall::Commit) + 1, fault);
        assert!(house.gate.close_run(&person("ann"), &run.principal.run, "enough".into()).await.is_err());
        let house = house.reopened().await;
        let closed = house.gate.ledger().run(&run.principal.run).await.unwrap().unwrap().closed.is_some();
        let over = house.state(&pending.action).await == ActionState::Blocked;
        assert_eq!((closed, over), (ends, ends), "{fault:?}");
        assert_eq!(house.gate.approvals(10).await.unwrap().is_empty(), ends);
        house.verified().await;
    }
}

async fn all_are_over(house: &House, waiting: &[ActionId]) -> usize {
    assert!(house.gate.approvals(10).await.unwrap().is_empty());
    for id in waiting {
        assert_eq!(end(&polled(&house.gate, id).await), "blocked run_closed");
    }
    house.verified().await;
    house.entries().await.iter().filter(|e| matches!(e.event, Event::Withdrawn(_))).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_no_to_the_plan_ends_what_waits_beside_it() {
    for agreed in [false, true] {
        let house = House::new().await;
        let plan = json!({"steps": [{"action": "pay", "arguments": {"/eur": {"equals": 30}}}]});
        assert!(Plan::read(&plan).unwrap().is_ok());
        let wanted = RunRequest { plan: Some(plan), approve_plan: true, ..request("clerk") };
        let opened = house.gate.open_run(&person("ann"), wanted).await.unwrap();
        let (run, ask) = (opened.session, opened.plan.unwrap());
        let child = RunRequest { parent: Some(run.principal.run.clone()), ..request("clerk") };
        let child = house.gate.open_run(&person("ann"), child).await.unwrap().session;
        let held = house.propose(&run, pay(31));
        let below = house.gate.submit(&child, resumed(32)).await.unwrap();
        house.ruled("escalated", 2).await;
        if agreed {
            house.yes("bob", &ask).await.unwrap();
        }
        house.no("bob", &ask).await.unwrap();
        assert_eq!(end(&held.await.unwrap().unwrap()), "blocked run_closed");
        let answer = polled(&house.gate, &below.action).await;
        assert_eq!(end(&answer), "blocked run_closed");
        assert!(house.gate.approvals(10).await.unwrap().is_empty());
        house.verified().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_waits_for_people_to_answer_about_a_plan_hears_that_its_run_has_ended() {
    let house = House::new().await;
    let plan = json!({"steps": [{"action": "pay", "arguments": {"/eur": {"equals": 30}}}]});
    let wanted = RunRequest { plan: Some(plan), approve_plan: true, ..request("clerk") };
    let opened = house.gate.open_run(&person("ann"), wanted.clone()).await.unwrap();
    let below = RunRequest { parent: Some(opened.session.principal.run.clone()), ..wanted };
    let below = house.gate.open_run(&person("ann"), below).await.unwrap();
    let waits = [&opened, &below].map(|opened| {
        let (gate, run) = (house.gate.clone(), opened.session.principal.run.clone());
        tokio::spawn(async move { gate.plan_answered(&run, PATIENCE * 6).await })
    });
    house.submit(&opened.session, "look", json!({"at": "a page"})).await;
    house.gate.close_run(&person("ann"), &opened.session.principal.run, "enough".into()).await.unwrap();
    for one in waits {
        assert_eq!(one.await.unwrap().unwrap().unwrap().state, ApprovalState::Withdrawn);
    }
    assert!(house.gate.approvals(10).await.unwrap().is_empty());
    house.verified().await;
}

#[tokio::test]
async fn what_is_stopped_waits_on_and_goes_on_when_the_switch_is_lifted() {
    let house = House::new().await;
    let run = house.clerk().await;
    let pending = house.gate.submit(&run, resumed(30)).await.unwrap();
    let ask = house.asked().await;
    let scope = KillScope::Run(run.principal.run.clone());
    house.gate.kill(&person("ann"), scope.clone(), "odd".into()).await.unwrap();
    house.yes("bob", &ask).await.unwrap();
    house.ruled("blocked", 1).await;
    assert_eq!(house.state(&pending.action).await, ActionState::Waiting);
    assert_eq!(state_of(&house.gate, &ask.approval).await, ApprovalState::Approved);
    assert_eq!(house.world.effects_in_all(), 0);
    house.gate.lift(&person("ann"), scope, "fixed".into()).await.unwrap();
    house.until(&pending.action, ActionState::Done).await;
    assert_eq!(house.world.effects_in_all(), 1);
    house.verified().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_defined_otherwise_meanwhile_is_asked_about_anew_as_the_same_action() {
    for task in [false, true] {
        let (dir, gate) = home().await;
        let run = gate.open_run(&person("ann"), request("clerk")).await.unwrap().session;
        let first = if task { pay(30) } else { resumed(30) };
        let pending = gate.submit(&run, first).await.unwrap();
        let ask = the_ask(&gate).await;
        let (at, id) = (gate.clone(), pending.action.clone());
        let nobody = CancellationToken::new();
        let carried = task.then(|| {
            tokio::spawn(async move { at.carry_on_for(&id, CallContext::default(), &nobody).await })
        });
        rewrite(dir.path(), &gate, "actions/all.json", r#""expires_s":600"#, r#""expires_s":500"#).await;
        yes(&gate, &ask).await.unwrap();
        let anew = newer(&gate, &ask).await;
        assert_eq!((&anew.action, anew.state), (&pending.action, ApprovalState::Pending));
        assert_eq!(state_of(&gate, &ask.approval).await, ApprovalState::Withdrawn);
        assert_eq!(gate.approvals(10).await.unwrap().len(), 1);
        yes(&gate, &anew).await.unwrap();
        // There is no server to reach: what matters is that it was carried out, under its own name.
        let answer = polled(&gate, &pending.action).await;
        assert!(end(&answer).starts_with("failed"), "{}", end(&answer));
        if let Some(carried) = carried {
            assert_eq!(carried.await.unwrap().unwrap().action, pending.action);
        }
        let entries = gate.ledger().entries(0, 1000).await.unwrap();
        let rulings = entries.iter().filter(|e| matches!(e.event, Event::Ruled(_))).count();
        assert_eq!(rulings, 3, "it is asked about again once for each answer");
    }
}

/// The request that has taken the place of this one.
async fn newer(gate: &Gate, ask: &ApprovalRequest) -> ApprovalRequest {
    for _ in 0..1000 {
        let open = gate.approvals(10).await.unwrap();
        if let Some(other) = open.into_iter().find(|other| other.approval != ask.approval) {
            return other;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("nobody was asked anew");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_has_to_agree_to_any_more_is_carried_out_once_as_what_waited() {
    let (dir, gate) = home().await;
    let text = fs::read_to_string(dir.path().join("policy/agents/all.json")).unwrap();
    let asks: Value = serde_json::from_str(&text).unwrap();
    let mut agents = asks.clone();
    agents[0]["context_rules"] = json!({"note": "requires_human_approval"});
    let listed = agents[0]["allowed_actions"].as_array_mut().unwrap();
    listed.retain(|name| name != "note");
    fs::write(dir.path().join("policy/agents/all.json"), agents.to_string()).unwrap();
    assert!(gate.reload().await.unwrap());
    let run = gate.open_run(&person("ann"), request("clerk")).await.unwrap().session;
    let note = || submission("note", json!({"text": "a"}));
    let pending = gate.submit(&run, Submission { resume: true, ..note() }).await.unwrap();
    assert_eq!(end(&pending), "pending pending");
    let ask = the_ask(&gate).await;
    fs::write(dir.path().join("policy/agents/all.json"), text).unwrap();
    assert!(gate.reload().await.unwrap());
    let again = gate.submit(&run, note()).await.unwrap();
    assert_eq!(again.action, pending.action, "what waits already is the same action");
    assert!(!end(&again).starts_with("pending"), "{}", end(&again));
    assert_eq!(state_of(&gate, &ask.approval).await, ApprovalState::Withdrawn);
    assert_eq!(yes(&gate, &ask).await.unwrap_err(), "approval_closed");
    let entries = gate.ledger().entries(0, 1000).await.unwrap();
    assert_eq!(entries.iter().filter(|e| matches!(e.event, Event::Started(_))).count(), 1);
}
