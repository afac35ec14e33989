//! The process ends at every step of the walk. Afterwards nothing has happened twice, nothing has happened
//! unrecorded, and everything that was begun is concluded.

use crate::house::{House, end, keyed, person, submission};
use aecl_executor::fake::Mood;
use aecl_gate::GateError;
use aecl_gate::submit::Submission;
use aecl_kernel::record::event::{Event, OutcomeKind};
use aecl_kernel::record::facts::ActionState;
use aecl_ledger::store::{InjectedFault, StoreCall};
use serde_json::json;
use std::time::Duration;

/// The whole story of one payment, from the proposal over the yes to the undo. Stops at the first error.
async fn story(house: &House) -> Result<(), GateError> {
    let run = house.gate.open_run(&person("ann"), crate::house::request("clerk")).await?.session;
    let s = Submission { resume: true, ..keyed("pay", json!({"eur": 30}), "k1") };
    let pending = house.gate.submit(&run, s).await?;
    let Some(ask) = house.gate.approvals(10).await?.pop() else { return Ok(()) };
    house.yes("bob", &ask).await?;
    // Carried on in the background: until it is over, or the ledger has stopped.
    while house.gate.ledger().stopped().is_none() && house.state(&pending.action).await != ActionState::Done {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    house.gate.rollback(&person("ann"), &pending.action, "changed our mind".into(), Duration::ZERO).await?;
    Ok(())
}

#[tokio::test]
async fn nothing_happens_twice_or_unrecorded_wherever_the_process_ends() {
    for fault in [InjectedFault::Fail, InjectedFault::Lie] {
        let mut survived = false;
        for nth in 1.. {
            assert!(nth < 50, "the story ends");
            let house = House::new().await;
            house.faults.plan(StoreCall::Commit, house.faults.made(StoreCall::Commit) + nth, fault);
            let told = story(&house).await;
            // What is still underway ends with its process; here it ends by itself.
            house.gate.drain(crate::house::PATIENCE).await;
            survived = told.is_ok() && house.gate.ledger().stopped().is_none();
            let before = house.world.effects_in_all();
            let house = house.reopened().await;
            settled(&house, before, &format!("{fault:?} at commit {nth}")).await;
            if survived {
                break;
            }
        }
        assert!(survived);
    }
}

/// After a restart everything that was begun is over, and the record says what the world shows.
async fn settled(house: &House, before: u32, when: &str) {
    for _ in 0..1000 {
        // A yes that is used is an action that has begun, in one step: so look for the yes first.
        let approved = house.gate.approvals(10).await.unwrap();
        let open = house.begun().await.len() + house.gate.underway();
        if open == 0
            && !approved.iter().any(|a| a.state == aecl_kernel::record::approval::ApprovalState::Approved)
        {
            break;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    house.looked_up().await;
    assert!(house.gate.ledger().in_flight().is_empty(), "{when}: something is in flight");
    let entries = house.entries().await;
    let done = entries
        .iter()
        .filter(|e| matches!(&e.event, Event::Concluded(c) if c.outcome.name() == "done"))
        .count();
    assert_eq!(done as u32, house.world.effects_in_all(), "{when}: the record says what the world shows");
    assert!(house.world.effects_in_all() <= 2, "{when}: at most the payment and its refund");
    assert!(house.world.effects_in_all() <= before + 1, "{when}: at most the one that had its yes");
    for name in ["pay", "refund"] {
        let started = entries
            .iter()
            .filter(|e| matches!(&e.event, Event::Ruled(r) if r.name == name && r.outcome == "approved"));
        assert!(started.count() <= 1, "{when}: `{name}` began twice");
    }
}

#[tokio::test]
async fn what_was_begun_and_has_no_conclusion_is_found_out_by_its_kind() {
    // The conclusion is lost, the effect is there or not; then the process ends. "Not there" counts once no
    // request can be on its way any more.
    let check = async |action: &str, argument: &str, mood: Mood, expected: &str| {
        let house = House::new().await;
        let run = house.clerk().await;
        house.world.turn(mood.clone());
        house.faults.plan(StoreCall::Commit, house.faults.made(StoreCall::Commit) + 2, InjectedFault::Fail);
        let s = keyed(action, json!({argument: "x"}), "k1");
        assert_eq!(end(&house.gate.submit(&run, s).await.unwrap()), "unknown interrupted");
        let effects = house.world.effects_in_all();
        let house = house.reopened().await;
        house.looked_up().await;
        let answer = house.gate.submit(&run, keyed(action, json!({argument: "x"}), "k1")).await.unwrap();
        assert_eq!(end(&answer), expected, "{action} {mood:?}");
        assert_eq!(house.world.effects_in_all(), effects, "{action} {mood:?}: not done again");
    };
    let answers = || Mood::Answers("{}".into());
    check("look", "at", answers(), "failed interrupted (replayed)").await;
    check("note", "text", answers(), "done (replayed)").await;
    check("note", "text", Mood::SilentWithoutDoing, "failed not_done (replayed)").await;
    check("poke", "text", answers(), "unknown interrupted (replayed)").await;
    check("poke", "text", Mood::Refuses, "unknown interrupted (replayed)").await;
}

#[tokio::test]
async fn what_a_failed_attempt_may_have_done_is_on_record() {
    let house = House::new().await;
    let run = house.clerk().await;
    for (mood, may_have_acted) in [(Mood::Breaks, true), (Mood::Refuses, false)] {
        house.world.turn(mood);
        let answer = house.gate.submit(&run, submission("poke", json!({"text": "x"}))).await.unwrap();
        let concluded = house.entries().await.into_iter().rev().find_map(|entry| match entry.event {
            Event::Concluded(concluded) if concluded.action == answer.action => Some(concluded),
            _ => None,
        });
        let concluded = concluded.unwrap();
        assert_eq!((concluded.outcome, concluded.may_have_acted), (OutcomeKind::Failed, may_have_acted));
    }
}

#[tokio::test]
async fn an_open_request_survives_a_restart() {
    let house = House::new().await;
    let run = house.clerk().await;
    let s = Submission { resume: true, ..submission("pay", json!({"eur": 30})) };
    let pending = house.gate.submit(&run, s).await.unwrap();
    let house = house.reopened().await;
    let ask = house.asked().await;
    assert_eq!(ask.action, pending.action);
    house.yes("bob", &ask).await.unwrap();
    house.until(&pending.action, ActionState::Done).await;
    assert_eq!(house.world.effects_in_all(), 1);
}

#[tokio::test]
async fn a_clock_that_is_set_back_turns_nothing_back() {
    let house = House::new().await;
    let run = house.clerk().await;
    house.pass(700);
    house.submit(&run, "note", json!({"text": "a"})).await;
    house.wall_is_off_by(-3600);
    house.submit(&run, "note", json!({"text": "b"})).await;
    let entries = house.entries().await;
    assert!(entries.windows(2).all(|w| w[0].at <= w[1].at), "recorded time never goes back");
    house.wall_is_off_by(0);
    house.pass(200);
    assert_eq!(end(&house.submit(&run, "note", json!({"text": "c"})).await), "blocked token_expired");
}
