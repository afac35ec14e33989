//! The target is slow, refuses, breaks, is silent, answers twice, panics; the store fails before and after.

use crate::house::{House, PATIENCE, end, keyed, person, submission};
use aecl_executor::CallContext;
use aecl_executor::fake::Mood;
use aecl_gate::submit::{End, Submission};
use aecl_kernel::base::id::ActionId;
use aecl_kernel::read::action::Mode;
use aecl_kernel::record::facts::ActionState;
use aecl_ledger::store::{InjectedFault, StoreCall};
use serde_json::json;
use std::time::Duration;

#[tokio::test]
async fn an_outcome_is_what_the_target_said() {
    let house = House::new().await;
    let run = house.clerk().await;
    let check = async |mood: Mood, expected: &str, effects: u32| {
        let before = house.world.effects_in_all();
        house.world.turn(mood.clone());
        let answer = house.submit(&run, "poke", json!({"text": format!("{mood:?}")})).await;
        assert_eq!(
            (end(&answer).as_str(), house.world.effects_in_all() - before),
            (expected, effects),
            "{mood:?}"
        );
        assert!(house.begun().await.is_empty(), "{mood:?} is concluded");
        assert_eq!(house.gate.underway(), 0, "{mood:?} is over");
    };
    check(Mood::Answers("{}".into()), "done", 1).await;
    check(Mood::Slow(Duration::from_millis(20)), "done", 1).await;
    check(Mood::Refuses, "failed fake_refused", 0).await;
    check(Mood::Breaks, "failed fake_broke", 0).await;
    check(Mood::SilentAfterDoing, "unknown fake_silent", 1).await;
    check(Mood::SilentWithoutDoing, "unknown fake_silent", 0).await;
    check(Mood::Panics, "unknown interrupted", 0).await;
}

#[tokio::test]
async fn what_is_unknown_is_not_done_again() {
    let house = House::new().await;
    let run = house.clerk().await;
    house.world.turn(Mood::SilentAfterDoing);
    let propose = || keyed("note", json!({"text": "once"}), "k1");
    assert_eq!(end(&house.gate.submit(&run, propose()).await.unwrap()), "unknown fake_silent");
    house.world.turn(Mood::Answers("{}".into()));
    assert_eq!(end(&house.gate.submit(&run, propose()).await.unwrap()), "unknown fake_silent (replayed)");
    assert_eq!(house.world.effects_in_all(), 1);
}

#[tokio::test]
async fn the_same_proposal_again_gives_the_recorded_outcome() {
    let house = House::new().await;
    let run = house.clerk().await;
    let first = house.gate.submit(&run, keyed("note", json!({"text": "a"}), "k1")).await.unwrap();
    let again = house.gate.submit(&run, keyed("note", json!({"text": "a"}), "k1")).await.unwrap();
    let other = house.gate.submit(&run, keyed("note", json!({"text": "b"}), "k1")).await.unwrap();
    assert_eq!(
        [end(&first), end(&again), end(&other)],
        ["done", "done (replayed)", "blocked replay_conflict"]
    );
    assert_eq!(first.action, again.action);
    let output = |a: &aecl_gate::submit::Answer| match &a.end {
        End::Concluded { output, .. } => output.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(output(&first), output(&again));
    assert_eq!(house.world.effects_in_all(), 1);
}

#[tokio::test]
async fn a_store_that_fails_at_the_ruling_stops_the_effect() {
    for fault in [InjectedFault::Fail, InjectedFault::Full, InjectedFault::Lie] {
        let house = House::new().await;
        let run = house.clerk().await;
        house.faults.next(StoreCall::Commit, fault);
        let error = house.gate.submit(&run, submission("note", json!({"text": "a"}))).await.unwrap_err();
        assert_eq!(error.code().as_str(), "ledger_unavailable", "{error}");
        // The writer has stopped: nothing is recorded any more, so nothing is done any more.
        let error = house.gate.submit(&run, submission("note", json!({"text": "b"}))).await.unwrap_err();
        assert_eq!(error.code().as_str(), "ledger_unavailable", "{error}");
        assert_eq!(house.world.effects_in_all(), 0, "{fault:?}");
        let house = house.reopened().await;
        assert!(house.begun().await.is_empty());
        house.looked_up().await;
        assert!(house.gate.ledger().in_flight().is_empty());
        assert_eq!(house.world.effects_in_all(), 0, "nothing is made up for after a restart");
    }
}

#[tokio::test]
async fn what_came_of_it_and_cannot_be_recorded_is_unknown_and_found_out_later() {
    for fault in [InjectedFault::Fail, InjectedFault::Full] {
        let house = House::new().await;
        let run = house.clerk().await;
        let ruling = house.faults.made(StoreCall::Commit) + 1;
        house.faults.plan(StoreCall::Commit, ruling + 1, fault);
        // It happened, so no answer may say that nothing was done, and none what came of it.
        let answer = house.gate.submit(&run, keyed("note", json!({"text": "a"}), "k1")).await.unwrap();
        assert_eq!(end(&answer), "unknown interrupted");
        assert!(matches!(answer.end, End::Concluded { output: None, .. }) && answer.receipt.is_none());
        assert_eq!(house.world.effects_in_all(), 1, "it happened");
        let house = house.reopened().await;
        // The target remembers the key, so what happened is known now.
        let again = house.gate.submit(&run, keyed("note", json!({"text": "a"}), "k1")).await.unwrap();
        assert_eq!(end(&again), "done (replayed)");
        assert_eq!(house.world.effects_in_all(), 1, "{fault:?}");
    }
}

/// Tells when the one action that was begun is known to be underway.
async fn begun(house: &House) -> ActionId {
    for _ in 0..1000 {
        if let Some(action) = house.begun().await.pop() {
            return action;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    panic!("nothing was begun")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeat_while_it_is_underway_says_so_and_can_wait_for_the_outcome() {
    let house = House::new().await;
    let run = house.clerk().await;
    house.world.turn(Mood::Slow(Duration::from_secs(1)));
    let call = || keyed("rename", json!({"name": "p1"}), "k1");
    let work = house.propose(&run, call());
    let action = begun(&house).await;
    let at_once = house.gate.submit(&run, call()).await.unwrap();
    assert_eq!((end(&at_once).as_str(), &at_once.action), ("underway", &action));
    let waiting = house.gate.submit(&run, Submission { wait: PATIENCE, ..call() }).await.unwrap();
    assert_eq!((end(&waiting).as_str(), &waiting.action), ("done (replayed)", &action));
    assert_eq!(end(&work.await.unwrap().unwrap()), "done");
    assert_eq!(house.world.effects_in_all(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_finds_out_about_what_is_underway() {
    let house = House::new().await;
    let run = house.clerk().await;
    house.world.turn(Mood::Slow(Duration::from_secs(1)));
    let work = house.propose(&run, submission("transfer", json!({"to": "x", "eur": 5})));
    let action = begun(&house).await;
    for done in [true, false] {
        let refused = house.gate.resolve(&person("ann"), &action, done, "looked".into()).await.unwrap_err();
        assert_eq!(refused.code().as_str(), "request_invalid");
        assert!(refused.to_string().contains("started"), "{refused}");
    }
    assert_eq!(end(&work.await.unwrap().unwrap()), "done", "what the target said is on record");
    assert_eq!(house.state(&action).await, ActionState::Done);
    // Nor about a permit that its agent may still use.
    let permitted = house
        .gate
        .submit(&run, Submission { mode: Mode::Authorize, ..submission("spend", json!({"eur": 5})) });
    let permitted = permitted.await.unwrap();
    assert_eq!(end(&permitted), "permitted");
    assert!(house.gate.resolve(&person("ann"), &permitted.action, false, "looked".into()).await.is_err());
    house.pass(90);
    house.gate.sweep().await.unwrap();
    house.gate.resolve(&person("ann"), &permitted.action, false, "looked".into()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_is_concluded_when_nobody_listens_any_more() {
    let house = House::new().await;
    let run = house.clerk().await;
    house.world.turn(Mood::Slow(Duration::from_millis(100)));
    let work = house.propose(&run, submission("poke", json!({"text": "a"})));
    for _ in 0..1000 {
        if house.started().await == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    work.abort();
    if let Some(action) = house.begun().await.pop() {
        house.until(&action, ActionState::Done).await;
    }
    assert_eq!(house.gate.drain(PATIENCE).await, 0);
    assert_eq!(house.world.effects_in_all(), 1);
}

#[tokio::test]
async fn a_cancelled_attempt_is_unknown() {
    let house = House::new().await;
    let run = house.clerk().await;
    house.world.turn(Mood::SilentAfterDoing);
    let context = CallContext::default();
    context.cancel.cancel();
    let s = Submission { context, ..submission("poke", json!({"text": "a"})) };
    assert_eq!(end(&house.gate.submit(&run, s).await.unwrap()), "unknown fake_cancelled");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_at_once_cannot_spend_one_euro_twice() {
    let house = House::new().await;
    let run = house.clerk().await;
    // A thousand euros a day; every one has a person's yes, and each asks for a little more than the last.
    let waiting: Vec<_> =
        (0..50).map(|n| house.propose(&run, submission("pay", json!({"eur": 90 + n})))).collect();
    house.ruled("escalated", 50).await;
    for ask in house.gate.approvals(100).await.unwrap() {
        house.yes("bob", &ask).await.unwrap();
    }
    let (mut spent, mut refused) = (0, 0);
    for (n, answer) in waiting.into_iter().enumerate() {
        match end(&answer.await.unwrap().unwrap()).as_str() {
            "done" => spent += 90 + n,
            "blocked budget_exceeded" => refused += 1,
            other => panic!("{other}"),
        }
    }
    assert!(spent <= 1000 && spent > 800, "{spent}");
    assert_eq!(house.world.effects_in_all() as usize, 50 - refused);
}
