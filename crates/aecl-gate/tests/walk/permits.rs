//! Agents that act by themselves: a permit, a report, no report.

use crate::house::{House, end, person, submission};
use aecl_executor::Outcome;
use aecl_gate::submit::{End, Submission};
use aecl_kernel::read::action::Mode;
use aecl_kernel::record::event::OutcomeKind;
use aecl_kernel::record::facts::ActionState;
use serde_json::json;

fn authorize() -> Submission {
    Submission { mode: Mode::Authorize, ..submission("poke", json!({"text": "a"})) }
}

fn done() -> Outcome {
    Outcome {
        kind: OutcomeKind::Done,
        code: None,
        message: String::new(),
        output: Some(b"{}".to_vec()),
        may_have_acted: false,
        sandbox: "agent".into(),
        traffic: None,
    }
}

#[tokio::test]
async fn a_report_concludes_a_permit_once() {
    let house = House::new().await;
    let run = house.clerk().await;
    let permitted = house.gate.submit(&run, authorize()).await.unwrap();
    assert!(matches!(permitted.end, End::Permitted { .. }));
    let other = house.clerk().await;
    let error = house.gate.report(&other, &permitted.action, done()).await.unwrap_err();
    assert_eq!(error.code().as_str(), "record_unknown", "another run's permit");
    assert_eq!(end(&house.gate.report(&run, &permitted.action, done()).await.unwrap()), "done");
    assert!(house.gate.report(&run, &permitted.action, done()).await.is_err(), "reported twice");
    assert_eq!(house.world.effects_in_all(), 0, "we did nothing ourselves");
}

#[tokio::test]
async fn a_permit_without_a_report_becomes_unknown_and_a_person_resolves_it() {
    let house = House::new().await;
    let run = house.clerk().await;
    let permitted = house.gate.submit(&run, authorize()).await.unwrap();
    house.pass(89);
    assert_eq!(house.gate.sweep().await.unwrap(), 0);
    house.pass(1);
    assert_eq!(house.gate.sweep().await.unwrap(), 1);
    assert_eq!(house.state(&permitted.action).await, ActionState::Unknown);
    let visitor = house.gate.resolve(&person("eve"), &permitted.action, true, "looked".into()).await;
    assert_eq!(visitor.unwrap_err().code().as_str(), "forbidden");
    let resolved =
        house.gate.resolve(&person("ann"), &permitted.action, true, "looked".into()).await.unwrap();
    assert_eq!(end(&resolved), "done");
    assert!(
        house.gate.resolve(&person("ann"), &permitted.action, false, "no".into()).await.is_err(),
        "known already"
    );
}

#[tokio::test]
async fn a_report_may_come_for_as_long_as_the_action_may_take() {
    let house = House::new().await;
    let run = house.clerk().await;
    let fetch = || Submission { mode: Mode::Authorize, ..submission("fetch", json!({"at": "a"})) };
    let (first, second) = (house.gate.submit(&run, fetch()).await, house.gate.submit(&run, fetch()).await);
    house.pass(659);
    assert_eq!(house.gate.sweep().await.unwrap(), 0, "a minute to begin, and ten that it may take");
    assert_eq!(end(&house.gate.report(&run, &first.unwrap().action, done()).await.unwrap()), "done");
    house.pass(1);
    assert_eq!(house.gate.sweep().await.unwrap(), 1);
    assert_eq!(house.state(&second.unwrap().action).await, ActionState::Unknown);
}

#[tokio::test]
async fn an_unknown_outcome_keeps_what_it_holds_until_it_is_resolved() {
    let house = House::new().await;
    let run = house.clerk().await;
    house.world.turn(aecl_executor::fake::Mood::SilentWithoutDoing);
    let pay = async |eur: u32| {
        let waiting = house.propose(&run, submission("pay", json!({"eur": eur})));
        let ask = house.asked().await;
        house.yes("bob", &ask).await.unwrap();
        waiting.await.unwrap().unwrap()
    };
    let unknown = pay(900).await;
    assert_eq!(end(&unknown), "unknown fake_silent");
    assert_eq!(end(&house.submit(&run, "pay", json!({"eur": 200})).await), "blocked budget_exceeded");
    house.gate.resolve(&person("ann"), &unknown.action, false, "the bank says no".into()).await.unwrap();
    assert_eq!(end(&house.submit(&run, "pay", json!({"eur": 200})).await), "pending pending");
}
