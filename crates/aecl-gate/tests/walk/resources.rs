//! Looking at what an action is about: once for each time that was declared, on record, for the gate alone. What cannot be
//! seen, or is another thing by the time of the attempt, does not happen.

use crate::house::{House, PATIENCE, end, person, request, submission};
use aecl_executor::fake::Mood;
use aecl_gate::Session;
use aecl_gate::runs::RunRequest;
use aecl_gate::submit::{End, Submission};
use aecl_kernel::base::id::UserId;
use aecl_kernel::record::event::{Event, Ruled};
use serde_json::{Value, json};
use std::time::Duration;

async fn keeper(house: &House) -> Session {
    let request = RunRequest { user: Some(UserId::new("ann").unwrap()), ..request("keeper") };
    house.gate.open_run(&person("ann"), request).await.unwrap().session
}

/// A case whose system answers as servers of MCP do.
fn answers(house: &House, case: Value) {
    let answer = json!({"content": [{"type": "text", "text": case.to_string()}]});
    house.world.turn_for("case.get", Mood::Answers(answer.to_string()));
}

fn open() -> Value {
    json!({"holder": "ann", "state": "open", "secret": "s3cr3t"})
}

async fn close(house: &House, run: &Session) -> String {
    end(&house.submit(run, "case.close", json!({"case": "k1"})).await)
}

async fn rulings(house: &House, name: &str) -> Vec<Ruled> {
    let entries = house.entries().await.into_iter();
    let of = |event| match event {
        Event::Ruled(ruled) if ruled.name == name => Some(*ruled),
        _ => None,
    };
    entries.filter_map(|entry| of(entry.event)).collect()
}

#[tokio::test]
async fn a_rule_about_the_thing_decides_by_what_its_system_answers() {
    let house = House::new().await;
    let run = keeper(&house).await;
    answers(&house, open());
    assert_eq!(close(&house, &run).await, "done");
    // The look before the decision, and the one before the attempt.
    assert_eq!(rulings(&house, "case.get").await.len(), 2);
    answers(&house, json!({"holder": "bob", "state": "open"}));
    assert_eq!(close(&house, &run).await, "blocked policy_forbids");
    answers(&house, json!({"holder": "ann", "state": "closed"}));
    assert_eq!(close(&house, &run).await, "blocked policy_forbids");
    // What was read stands with the decision, which is made again from that.
    let ruled = rulings(&house, "case.close").await.pop().unwrap();
    let reading = ruled.evidence.iter().find_map(|e| e.resource.clone()).unwrap();
    assert_eq!(json!(reading.attributes), json!({"holder": "ann", "state": "closed"}));
    assert!(reading.action.is_some() && reading.output.is_some());
    house.verified().await;
}

/// An error in words, the rest of an answer that was cut, and a list where a thing should be are no thing without a state.
#[tokio::test]
async fn an_answer_that_says_nothing_of_the_thing_is_no_thing() {
    let house = House::new().await;
    let run = keeper(&house).await;
    for (answer, code) in [
        (json!("error: the archive is busy"), "blocked resource_unread"),
        (json!({"holder": "ann", "state": "open", "truncated": true}), "blocked resource_unread"),
        (json!([]), "blocked resource_incomplete"),
        (json!({}), "blocked resource_incomplete"),
    ] {
        answers(&house, answer.clone());
        assert_eq!(close(&house, &run).await, code, "{answer}");
    }
    answers(&house, open());
    assert_eq!(close(&house, &run).await, "done");
}

#[tokio::test]
async fn the_gates_look_is_none_of_the_agents_calls() {
    let house = House::new().await;
    let run = keeper(&house).await;
    answers(&house, open());
    assert_eq!(close(&house, &run).await, "done");
    let fact = house.gate.ledger().run(&run.principal.run).await.unwrap().unwrap();
    // The output of the look would taint: it says nothing of being trusted.
    assert_eq!((fact.calls, fact.labels.untrusted, fact.labels.private), (1, false, false));
    // The agent itself may not read cases, and is not told what the gate has read.
    assert_eq!(end(&house.submit(&run, "case.get", json!({"id": "k1"})).await), "blocked not_allowed");
    let look = rulings(&house, "case.get").await.remove(0).action;
    let never = tokio_util::sync::CancellationToken::new();
    let (_, answer) = house.gate.status(&look, Duration::ZERO, &never).await.unwrap();
    assert!(matches!(answer.end, End::Concluded { output: None, .. }), "{answer:?}");
    house.verified().await;
}

#[tokio::test]
async fn what_cannot_be_read_blocks_or_asks_as_declared() {
    let house = House::new().await;
    let run = keeper(&house).await;
    for (mood, code) in [
        (Mood::Refuses, "blocked resource_unread"),
        (Mood::Breaks, "blocked resource_unread"),
        (Mood::SilentWithoutDoing, "blocked resource_unread"),
        (Mood::Answers("no case".into()), "blocked resource_unread"),
        (Mood::Answers(json!({"isError": true, "content": [{"type": "text", "text": "{\"holder\": \"ann\", \"state\": \"open\"}"}]}).to_string()), "blocked resource_unread"),
        (Mood::Answers(json!({"holder": "ann"}).to_string()), "blocked resource_incomplete"),
        (Mood::Answers(json!({"holder": "ann", "state": ["open"]}).to_string()), "blocked resource_incomplete"),
    ] {
        house.world.turn_for("case.get", mood.clone());
        assert_eq!(close(&house, &run).await, code, "{mood:?}");
        // A person looks instead.
        let asked = house.submit(&run, "case.note", json!({"case": "k1", "text": format!("{mood:?}")})).await;
        assert_eq!(end(&asked), "pending pending", "{mood:?}");
    }
    house.verified().await;
}

#[tokio::test]
async fn nobody_looks_for_what_is_refused_anyway() {
    let house = House::new().await;
    answers(&house, open());
    let reader = house.run_of("reader").await;
    assert_eq!(close(&house, &reader).await, "blocked not_allowed");
    assert_eq!(rulings(&house, "case.get").await.len(), 0);
    house.verified().await;
}

#[tokio::test]
async fn what_the_thing_forbids_is_not_counted_and_what_it_does_not_is() {
    let house = House::new().await;
    let run = keeper(&house).await;
    answers(&house, json!({"holder": "ann", "state": "closed"}));
    let purge = json!({"case": "k1"});
    assert_eq!(end(&house.submit(&run, "case.purge", purge.clone()).await), "blocked policy_forbids");
    assert_eq!(house.world.looks(), 0);
    answers(&house, open());
    assert_eq!(end(&house.submit(&run, "case.purge", purge).await), "done");
    assert_eq!(house.world.looks(), 1);
    house.verified().await;
}

#[tokio::test]
async fn a_run_that_has_read_a_stranger_is_judged_by_the_thing_all_the_same() {
    let house = House::new().await;
    let run = keeper(&house).await;
    house.world.turn(Mood::Answers(json!({"mail": "close k1"}).to_string()));
    assert_eq!(end(&house.submit(&run, "look", json!({"at": "inbox"})).await), "done");
    answers(&house, json!({"holder": "bob", "state": "open"}));
    assert_eq!(close(&house, &run).await, "blocked policy_forbids");
    let looked = rulings(&house, "case.get").await.pop().unwrap();
    assert_eq!(looked.outcome, "approved");
    house.verified().await;
}

#[tokio::test]
async fn one_look_for_each_thing_run_and_declared_time() {
    let house = House::new().await;
    let run = keeper(&house).await;
    answers(&house, open());
    let peek = |i: usize| submission("case.print", json!({"case": "k1", "copy": i}));
    let all: Vec<_> = (0..20).map(|i| house.propose(&run, peek(i))).collect();
    for one in all {
        assert_eq!(end(&one.await.unwrap().unwrap()), "done");
    }
    assert_eq!(rulings(&house, "case.get").await.len(), 1);
    // Another thing, another run, and a later time are looked at by themselves.
    assert_eq!(end(&house.submit(&run, "case.print", json!({"case": "k2", "copy": 1})).await), "done");
    assert_eq!(rulings(&house, "case.get").await.len(), 2);
    let other = keeper(&house).await;
    assert_eq!(end(&house.submit(&other, "case.print", json!({"case": "k1", "copy": 1})).await), "done");
    assert_eq!(rulings(&house, "case.get").await.len(), 3);
    house.pass(61);
    assert_eq!(end(&house.submit(&run, "case.print", json!({"case": "k1", "copy": 99})).await), "done");
    assert_eq!(rulings(&house, "case.get").await.len(), 4);
    house.verified().await;
}

#[tokio::test]
async fn what_changes_between_the_decision_and_the_attempt_is_not_acted_on() {
    let house = House::new().await;
    let run = keeper(&house).await;
    // Judged by what was read a minute ago at most, and changed by somebody else since.
    answers(&house, open());
    assert_eq!(end(&house.submit(&run, "case.print", json!({"case": "k1", "copy": 1})).await), "done");
    answers(&house, json!({"holder": "ann", "state": "closed"}));
    let before = house.world.effects_in_all();
    let shut = house.submit(&run, "case.shut", json!({"case": "k1"})).await;
    assert_eq!(end(&shut), "failed resource_changed");
    // The second look has happened, and nothing else.
    assert_eq!(house.world.effects_in_all(), before + 1);
    let End::Concluded { message, .. } = &shut.end else { panic!("{shut:?}") };
    // The agent is told which attribute, and not what it is.
    assert!(message.contains("`state`") && !message.contains("closed"), "{message}");
    // What was read again counts from here on.
    assert_eq!(end(&house.submit(&run, "case.shut", json!({"case": "k1"})).await), "blocked policy_forbids");
    // It can no longer be read at all.
    let run = keeper(&house).await;
    answers(&house, open());
    assert_eq!(end(&house.submit(&run, "case.print", json!({"case": "k1", "copy": 1})).await), "done");
    house.world.turn_for("case.get", Mood::Refuses);
    assert_eq!(end(&house.submit(&run, "case.shut", json!({"case": "k1"})).await), "failed resource_changed");
    house.verified().await;
}

#[tokio::test]
async fn after_a_yes_the_thing_is_looked_at_again() {
    let house = House::new().await;
    let run = keeper(&house).await;
    for (then, outcome) in
        [(json!({"holder": "ann", "state": "closed"}), "blocked policy_forbids"), (open(), "done")]
    {
        answers(&house, open());
        let shred = Submission { wait: PATIENCE, ..submission("case.shred", json!({"case": "k1"})) };
        let waiting = house.propose(&run, shred);
        let ask = house.asked().await;
        answers(&house, then);
        house.yes("bob", &ask).await.unwrap();
        assert_eq!(end(&waiting.await.unwrap().unwrap()), outcome);
    }
    house.verified().await;
}
