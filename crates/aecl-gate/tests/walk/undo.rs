//! Undoing: through the same door, once, and only what is known to have happened.

use crate::house::{House, end, person, submission};
use aecl_executor::fake::Mood;
use aecl_gate::Session;
use aecl_gate::rollback::{RunRollback, UndoResult};
use aecl_gate::submit::Answer;
use aecl_kernel::base::id::{ActionId, RunId};
use aecl_kernel::record::facts::ActionState;
use serde_json::json;
use std::time::Duration;

async fn paid(house: &House) -> ActionId {
    let run = house.clerk().await;
    pays(house, &run, 30).await
}

async fn pays(house: &House, run: &Session, eur: u32) -> ActionId {
    let waiting = house.propose(run, submission("pay", json!({"eur": eur})));
    let ask = house.asked().await;
    house.yes("bob", &ask).await.unwrap();
    waiting.await.unwrap().unwrap().action
}

async fn undo(house: &House, id: &ActionId) -> Answer {
    house.gate.rollback(&person("ann"), id, "a mistake".into(), Duration::ZERO).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_done_is_undone_once() {
    let house = House::new().await;
    let id = paid(&house).await;
    let undone = undo(&house, &id).await;
    assert_eq!(end(&undone), "done");
    assert_eq!(end(&undo(&house, &id).await), "blocked undo_refused");
    // The undo names no way back itself.
    let again = house.gate.rollback(&person("ann"), &undone.action, "no".into(), Duration::ZERO).await;
    assert_eq!(again.unwrap_err().code().as_str(), "undo_refused");
    assert_eq!(house.world.effects_in_all(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_undo_that_failed_may_be_tried_again_one_that_is_unknown_may_not() {
    let house = House::new().await;
    let id = paid(&house).await;
    house.world.turn_for("refund", Mood::Refuses);
    assert_eq!(end(&undo(&house, &id).await), "failed fake_refused");
    house.world.turn_for("refund", Mood::Panics);
    assert_eq!(end(&undo(&house, &id).await), "unknown interrupted");
    house.world.turn_for("refund", Mood::Answers("{}".into()));
    assert_eq!(end(&undo(&house, &id).await), "blocked undo_refused");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_window_of_the_target_ends_undoing() {
    let house = House::new().await;
    let id = paid(&house).await;
    house.pass(86_400);
    assert_eq!(end(&undo(&house, &id).await), "blocked undo_refused");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_operators_undo_and_only_what_can_be() {
    let house = House::new().await;
    let id = paid(&house).await;
    let refused = house.gate.rollback(&person("eve"), &id, "mine".into(), Duration::ZERO).await;
    assert_eq!(refused.unwrap_err().code().as_str(), "forbidden");
    let run = house.clerk().await;
    let note = house.submit(&run, "note", json!({"text": "a"})).await;
    let refused = house.gate.rollback(&person("ann"), &note.action, "no way".into(), Duration::ZERO).await;
    assert_eq!(refused.unwrap_err().code().as_str(), "undo_refused");
    let direct = house.submit(&run, "refund", json!({"payment": "p1"})).await;
    assert_eq!(end(&direct), "blocked not_allowed", "the agent itself may not call the undo");
}

async fn undo_run(house: &House, run: &Session) -> RunRollback {
    let run = &run.principal.run;
    house.gate.rollback_run(&person("ann"), run, "all of it".into(), Duration::ZERO).await.unwrap()
}

/// What came of each step, in a word, with the action.
fn steps(rollback: &RunRollback) -> Vec<(ActionId, &'static str)> {
    let word = |result: &UndoResult| match result {
        UndoResult::Undone(_) => "undone",
        UndoResult::UndoneBefore(_) => "before",
        UndoResult::Waits(_) => "waits",
        UndoResult::Stopped(_) => "stopped",
        UndoResult::CannotBe { code, .. } => code,
    };
    rollback.steps.iter().map(|step| (step.action.clone(), word(&step.result))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_is_undone_from_its_end_and_twice_is_once() {
    let house = House::new().await;
    let run = house.clerk().await;
    let first = pays(&house, &run, 30).await;
    house.submit(&run, "look", json!({"at": "it"})).await;
    let second = pays(&house, &run, 40).await;
    house.submit(&run, "refund", json!({"payment": "p1"})).await;
    let all = undo_run(&house, &run).await;
    assert_eq!(
        steps(&all),
        [(second.clone(), "undone"), (first.clone(), "undone")],
        "reads and refusals are no part"
    );
    assert!(all.is_complete());
    let effects = house.world.effects_in_all();
    let again = undo_run(&house, &run).await;
    assert_eq!(steps(&again), [(second, "before"), (first, "before")]);
    assert!(again.is_complete() && house.world.effects_in_all() == effects);
    // The run of the undo has done nothing but undo.
    let UndoResult::UndoneBefore(undo) = &again.steps[0].result else { panic!() };
    let undoing = house.gate.ledger().action(undo).await.unwrap().unwrap().run;
    let none = house.gate.rollback_run(&person("ann"), &undoing, "no".into(), Duration::ZERO).await.unwrap();
    assert!(none.steps.is_empty() && none.is_complete(), "an undo is not undone");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rollback_of_a_run_stops_at_what_cannot_be_undone_and_says_what_is_left() {
    let house = House::new().await;
    let run = house.clerk().await;
    let first = pays(&house, &run, 30).await;
    let note = house.submit(&run, "note", json!({"text": "a"})).await.action;
    let second = pays(&house, &run, 40).await;
    let some = undo_run(&house, &run).await;
    assert_eq!(steps(&some), [(second.clone(), "undone"), (note.clone(), "undo_refused")]);
    assert_eq!((some.left.as_slice(), some.is_complete()), ([first.clone()].as_slice(), false));
    let again = undo_run(&house, &run).await;
    assert_eq!(steps(&again), [(second, "before"), (note, "undo_refused")], "it stands where it stood");
    assert_eq!(again.left, [first]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rollback_of_a_run_stops_at_what_nobody_knows() {
    let house = House::new().await;
    let run = house.clerk().await;
    let first = pays(&house, &run, 30).await;
    house.world.turn_for("poke", Mood::Panics);
    let poke = house.submit(&run, "poke", json!({"text": "a"})).await.action;
    assert_eq!(house.state(&poke).await, ActionState::Unknown);
    let none = undo_run(&house, &run).await;
    assert_eq!(
        (steps(&none), none.left.as_slice()),
        (vec![(poke.clone(), "undo_refused")], [first.clone()].as_slice())
    );
    // Somebody has found out that it did not happen: then there is nothing to undo.
    house.gate.resolve(&person("ann"), &poke, false, "looked".into()).await.unwrap();
    assert_eq!(steps(&undo_run(&house, &run).await), [(first, "undone")]);
    // An undo that fails stops it, too, and can be tried again.
    let second = pays(&house, &run, 40).await;
    house.world.turn_for("refund", Mood::Refuses);
    assert_eq!(steps(&undo_run(&house, &run).await), [(second.clone(), "stopped")][..]);
    house.world.turn_for("refund", Mood::Answers("{}".into()));
    assert_eq!(steps(&undo_run(&house, &run).await)[0], (second, "undone"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_undo_that_waits_is_asked_for_once_and_the_run_goes_on_after_it() {
    let house = House::new().await;
    let run = house.run_of("careful").await;
    let first = pays(&house, &run, 30).await;
    let second = pays(&house, &run, 40).await;
    let waits = undo_run(&house, &run).await;
    assert_eq!(
        (steps(&waits), waits.left.as_slice()),
        (vec![(second.clone(), "waits")], [first.clone()].as_slice())
    );
    let again = undo_run(&house, &run).await;
    let by = |rollback: &RunRollback| match &rollback.steps[0].result {
        UndoResult::Waits(answer) => answer.action.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(by(&waits), by(&again));
    assert_eq!(house.gate.approvals(10).await.unwrap().len(), 1, "one person is asked once");
    let ask = house.asked().await;
    house.yes("bob", &ask).await.unwrap();
    house.until(&by(&waits), ActionState::Done).await;
    let rest = undo_run(&house, &run).await;
    assert_eq!(steps(&rest), [(second, "before"), (first, "waits")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_operators_undo_a_run_and_only_one_that_there_is() {
    let house = House::new().await;
    let run = house.clerk().await.principal.run;
    let refused = house.gate.rollback_run(&person("eve"), &run, "mine".into(), Duration::ZERO).await;
    assert_eq!(refused.unwrap_err().code().as_str(), "forbidden");
    let none = RunId::new("run_none").unwrap();
    let unknown = house.gate.rollback_run(&person("ann"), &none, "what".into(), Duration::ZERO).await;
    assert_eq!(unknown.unwrap_err().code().as_str(), "run_unknown");
}
