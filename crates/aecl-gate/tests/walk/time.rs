//! A wall clock that is wrong, for a second or for a year, stops nothing and revives nothing.

use crate::house::{House, end, person, submission};
use aecl_gate::Session;
use aecl_gate::submit::Submission;
use aecl_kernel::base::id::ActionId;
use aecl_kernel::record::event::Event;
use aecl_kernel::record::facts::ActionState;
use proptest::prelude::*;
use serde_json::json;
use std::time::Duration;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// An agent that begins now can act: its run and its token are alive.
async fn a_new_run_acts(house: &House, when: &str) {
    let run = house.clerk().await;
    assert_eq!(end(&house.submit(&run, "note", json!({"text": "a"})).await), "done", "{when}");
}

/// What a person agrees to is carried out, although nobody in front waits for it, and is undone on request.
async fn a_yes_is_carried_on_and_undone(house: &House, when: &str) {
    let id = asks(house, &house.clerk().await).await;
    let ask = house.asked().await;
    house.yes("bob", &ask).await.unwrap();
    house.until(&id, ActionState::Done).await;
    let undone = house.gate.rollback(&person("ann"), &id, "a mistake".into(), Duration::ZERO).await.unwrap();
    assert_eq!(end(&undone), "done", "{when}");
}

async fn asks(house: &House, run: &Session) -> ActionId {
    let s = Submission { resume: true, ..submission("pay", json!({"eur": 30})) };
    house.gate.submit(run, s).await.unwrap().action
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_dead_while_the_wall_clock_is_behind() {
    let mut house = House::new().await;
    for back in [90, 20 * MINUTE, 400 * DAY] {
        house.pass(MINUTE);
        house.wall_is_off_by(-back);
        for when in ["running", "after a restart"] {
            let when = format!("{back} s behind, {when}");
            a_new_run_acts(&house, &when).await;
            a_yes_is_carried_on_and_undone(&house, &when).await;
            house = house.reopened().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_dead_after_the_wall_clock_was_ahead() {
    let mut house = House::new().await;
    for ahead in [4 * MINUTE, 2 * HOUR, 400 * DAY] {
        let run = house.clerk().await;
        house.wall_is_off_by(ahead);
        house.pass(1);
        assert_eq!(end(&house.submit(&run, "note", json!({"text": "b"})).await), "done", "{ahead} s ahead");
        house.wall_is_off_by(0);
        for when in ["running", "after a restart"] {
            let when = format!("{ahead} s ahead for a second, {when}");
            a_new_run_acts(&house, &when).await;
            a_yes_is_carried_on_and_undone(&house, &when).await;
            house = house.reopened().await;
        }
    }
    let off = house.gate.now().since_ms(house.clock.right());
    assert!(off <= 4 * 60_000, "a jump for a second came on record: {off} ms");
}

/// What an older version wrote while the clock was a year ahead, or a start with such a clock.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_from_the_future_is_no_dead_ledger() {
    let house = House::new().await;
    house.wall_is_off_by(400 * DAY);
    let house = house.reopened().await;
    a_new_run_acts(&house, "a year ahead").await;
    house.wall_is_off_by(0);
    let house = house.reopened().await;
    assert!(
        house.gate.now().0 > house.clock.right().0 + 399 * DAY * 1000,
        "what is on record lies before now"
    );
    a_new_run_acts(&house, "right again").await;
    a_yes_is_carried_on_and_undone(&house, "right again").await;
    // What waits ends in time, and not in a year.
    let id = asks(&house, &house.clerk().await).await;
    house.pass(600 * 8 / 7 + 1);
    assert_eq!(house.gate.sweep().await.unwrap(), 1);
    assert_eq!(house.state(&id).await, ActionState::Rejected);
    let entries = house.entries().await;
    assert!(entries.windows(2).all(|w| w[0].at <= w[1].at), "recorded time never goes back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_expires_while_the_wall_clock_is_behind() {
    let house = House::new().await;
    asks(&house, &house.clerk().await).await;
    let ask = house.asked().await;
    house.wall_is_off_by(-20 * MINUTE);
    house.pass(600 * 8 / 7 + 1);
    let late = house.yes("bob", &ask).await.unwrap_err();
    assert_eq!(late.code().as_str(), "approval_expired");
}

#[tokio::test]
async fn a_jump_is_taken_over_by_an_operator_only_and_on_record() {
    let house = House::new().await;
    let start = house.gate.now();
    assert_eq!(house.gate.accept_clock(&person("ann")).await.unwrap(), None);
    house.wall_is_off_by(3 * HOUR);
    assert_eq!(house.gate.now(), start);
    let refused = house.gate.accept_clock(&person("eve")).await.unwrap_err();
    assert_eq!((refused.code().as_str(), house.gate.now()), ("forbidden", start));
    let accepted = house.gate.accept_clock(&person("ann")).await.unwrap();
    assert_eq!(accepted, Some(Duration::from_secs(3 * 3600)));
    assert_eq!(house.gate.now(), start.plus_s(3 * 3600));
    let noted = house.entries().await.into_iter().rev().find_map(|e| match e.event {
        Event::Fault(fault) => Some(fault),
        _ => None,
    });
    let noted = noted.unwrap();
    assert_eq!(noted.code, "clock_accepted");
    assert!(noted.message.contains("ann") && noted.message.contains("10800 s"), "{}", noted.message);
}

#[tokio::test]
async fn housekeeping_puts_on_record_what_the_wall_clock_does() {
    let house = House::new().await;
    house.wall_is_off_by(-HOUR);
    let (gate, keeper) = (house.gate.clone(), house.gate.clone());
    let keeper = tokio::spawn(async move { keeper.keep_house().await });
    let noted = async || {
        let entries = gate.ledger().entries(0, 1000).await.unwrap();
        entries.iter().any(|e| matches!(&e.event, Event::Fault(f) if f.code == "clock_backward"))
    };
    for _ in 0..500 {
        if noted().await {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    keeper.abort();
    assert!(noted().await);
}

/// A token of a ledger that is gone: an older copy of the data was put back.
#[tokio::test]
async fn a_token_from_later_than_the_ledger_is_refused() {
    let house = House::new().await;
    house.pass(HOUR);
    let later = house.gate.open_run(&person("ann"), crate::house::request("clerk")).await.unwrap();
    let older = House::new().await;
    let refused = older.gate.session(&later.token).await.unwrap_err();
    assert_eq!(refused.code().as_str(), "token_invalid");
    assert!(refused.to_string().contains("older copy"), "{refused}");
}

#[derive(Debug, Clone)]
enum Turn {
    WallIsOffBy(i64),
    Pass(i64),
    Restart,
    Accept,
}

fn turn() -> impl Strategy<Value = Turn> {
    prop_oneof![
        prop_oneof![-500 * DAY..500 * DAY, -2 * HOUR..2 * HOUR, -120i64..120].prop_map(Turn::WallIsOffBy),
        (1..2 * HOUR).prop_map(Turn::Pass),
        Just(Turn::Restart),
        Just(Turn::Accept),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// For any wall clock and any restarts: recorded time and the end of a request never go back, and whatever
    /// begins can act, be agreed to and be undone, while the clock is wrong and when it is right again.
    #[test]
    fn any_clock_leaves_everything_alive(turns in prop::collection::vec(turn(), 1..10)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let mut house = House::new().await;
            let mut told = house.gate.now();
            for turn in turns {
                match turn {
                    Turn::WallIsOffBy(seconds) => house.wall_is_off_by(seconds),
                    Turn::Pass(seconds) => house.pass(seconds),
                    Turn::Restart => house = house.reopened().await,
                    Turn::Accept => drop(house.gate.accept_clock(&person("ann")).await.unwrap()),
                }
                assert!(house.gate.now() >= told, "time went back");
                told = house.gate.now();
                a_new_run_acts(&house, "whatever the clock does").await;
            }
            house.wall_is_off_by(0);
            a_yes_is_carried_on_and_undone(&house, "right again").await;
            let entries = house.entries().await;
            assert!(entries.windows(2).all(|w| w[0].at <= w[1].at), "recorded time never goes back");
        });
    }
}
