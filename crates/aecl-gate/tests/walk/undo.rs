//! Undoing: through the same door, once, and only what is known to have happened.

use crate::house::{House, end, person, submission};
use aecl_executor::fake::Mood;
use aecl_gate::submit::Answer;
use aecl_kernel::id::ActionId;
use serde_json::json;
use std::time::Duration;

async fn paid(house: &House) -> ActionId {
    let run = house.clerk().await;
    let waiting = house.propose(&run, submission("pay", json!({"eur": 30})));
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
