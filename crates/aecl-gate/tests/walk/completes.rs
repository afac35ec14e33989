//! What completes another call, through the whole walk: which call has issued an id is found in what the target answered, nobody is
//! asked twice about one decision, and nothing that an agent says of itself begins anything.

use crate::house::{House, end, person, request, submission};
use aecl_executor::fake::Mood;
use aecl_gate::Session;
use aecl_gate::runs::RunRequest;
use aecl_gate::submit::{Answer, Submission};
use aecl_kernel::read::action::Mode;
use aecl_kernel::record::event::{Event, OutcomeKind};
use serde_json::{Value, json};

async fn run_for(house: &House, goal: &str, parent: Option<&Session>) -> Session {
    let parent = parent.map(|p| p.principal.run.clone());
    let request = RunRequest { goal: goal.into(), parent, ..request("builder") };
    house.gate.open_run(&person("ann"), request).await.unwrap().session
}

/// A run whose goal asks for a permit, and what became of its draft.
async fn drafted(house: &House) -> (Session, Answer) {
    let run = run_for(house, "Lodge a permit for \"plot 9\"", None).await;
    house.world.turn(Mood::Answers(r#"{"id":"pm-7"}"#.into()));
    let draft = house.submit(&run, "permit.draft", json!({"plot": "plot 9"})).await;
    (run, draft)
}

async fn lodge(house: &House, run: &Session) -> String {
    end(&house.submit(run, "permit.lodge", json!({"permit": "pm-7"})).await)
}

#[tokio::test]
async fn what_the_goal_asked_for_is_completed_once_and_rests_on_its_call() {
    let house = House::new().await;
    let (run, draft) = drafted(&house).await;
    assert_eq!(end(&draft), "done");
    let lodged = house.submit(&run, "permit.lodge", json!({"permit": "pm-7"})).await;
    assert_eq!(end(&lodged), "done");
    assert_eq!(lodged.decision.unwrap().completes, Some(draft.action.clone()));
    assert_eq!(lodge(&house, &run).await, "pending pending", "once");
    let rests = |entry: &&aecl_kernel::record::event::Entry| matches!(&entry.event, Event::Ruled(ruled) if ruled.decision.completes.is_some());
    assert_eq!(house.entries().await.iter().filter(rests).count(), 1);
    house.verified().await;
}

#[tokio::test]
async fn many_at_once_complete_it_once() {
    let house = House::new().await;
    let (run, _) = drafted(&house).await;
    let call = || house.submit(&run, "permit.lodge", json!({"permit": "pm-7"}));
    let (a, b, c) = tokio::join!(call(), call(), call());
    let ends = [end(&a), end(&b), end(&c)];
    assert_eq!(ends.iter().filter(|end| *end == "done").count(), 1, "{ends:?}");
    house.verified().await;
}

#[tokio::test]
async fn what_is_grave_follows_from_a_yes_that_was_told_of_it() {
    let house = House::new().await;
    let (run, _) = drafted(&house).await;
    let seal = json!({"permit": "pm-7"});
    assert_eq!(
        end(&house.submit(&run, "permit.seal", seal.clone()).await),
        "pending pending",
        "nobody was asked"
    );
    // A run of which nobody knows the goal: the draft is asked about once a stranger was read.
    let run = run_for(&house, "Look around", None).await;
    house.world.turn(Mood::Answers(r#"{"text":"permits are due"}"#.into()));
    assert_eq!(end(&house.submit(&run, "look", json!({"at": "inbox"})).await), "done");
    house.world.turn(Mood::Answers(r#"{"id":"pm-7"}"#.into()));
    let plot = json!({"plot": "north"});
    let held = house.submit(&run, "permit.draft", plot.clone()).await;
    assert_eq!(end(&held), "pending pending");
    let asked =
        house.gate.approvals(10).await.unwrap().into_iter().find(|ask| ask.action == held.action).unwrap();
    let told: Vec<&str> = asked.completed_by.iter().map(|by| by.action.as_str()).collect();
    assert_eq!(told, ["permit.lodge", "permit.seal"]);
    house.yes("bob", &asked).await.unwrap();
    assert_eq!(end(&house.submit(&run, "permit.draft", plot).await), "done");
    assert_eq!(end(&house.submit(&run, "permit.seal", seal).await), "done");
    assert_eq!(lodge(&house, &run).await, "pending pending", "it is completed");
    house.verified().await;
}

#[tokio::test]
async fn what_an_agent_reports_or_somebody_finds_out_begins_nothing() {
    let house = House::new().await;
    let run = run_for(&house, "Lodge a permit for \"plot 9\"", None).await;
    let plot = json!({"plot": "plot 9"});
    let by_itself = Submission { mode: Mode::Authorize, ..submission("permit.draft", plot.clone()) };
    let permitted = house.gate.submit(&run, by_itself).await.unwrap();
    assert_eq!(end(&permitted), "permitted");
    let outcome = aecl_executor::Outcome {
        kind: OutcomeKind::Done,
        code: None,
        message: String::new(),
        output: Some(br#"{"id":"pm-7"}"#.to_vec()),
        may_have_acted: false,
        sandbox: "none".into(),
        traffic: None,
    };
    house.gate.report(&run, &permitted.action, outcome).await.unwrap();
    assert_eq!(lodge(&house, &run).await, "pending pending");
    // One of which nobody knew what became of it.
    let run = run_for(&house, "Lodge a permit for \"plot 9\"", None).await;
    house.world.turn(Mood::SilentAfterDoing);
    let lost = house.submit(&run, "permit.draft", plot).await;
    assert!(end(&lost).starts_with("unknown"), "{}", end(&lost));
    house.world.turn(Mood::Answers(r#"{"id":"pm-7"}"#.into()));
    assert_eq!(lodge(&house, &run).await, "pending pending");
    house.verified().await;
}

#[tokio::test]
async fn what_is_changed_by_a_child_or_after_a_restart_is_known() {
    let house = House::new().await;
    let (run, _) = drafted(&house).await;
    let house = house.reopened().await;
    assert_eq!(lodge(&house, &run).await, "done", "what was issued is remembered");
    let (run, _) = drafted(&house).await;
    let child = run_for(&house, "Amend it", Some(&run)).await;
    assert_eq!(lodge(&house, &child).await, "pending pending", "it is its parent's");
    assert_eq!(end(&house.submit(&child, "permit.amend", json!({"permit": "PM 7"})).await), "done");
    assert_eq!(lodge(&house, &run).await, "pending pending");
    house.verified().await;
}

#[tokio::test]
async fn only_what_the_target_itself_has_issued_in_its_field_counts() {
    for answer in [
        json!({"ids": ["pm-7"]}),
        json!({"id": "pm 7 is the one that you want"}),
        json!({"isError": true, "content": [{"type": "text", "text": "{\"id\":\"pm-7\"}"}]}),
        Value::Null,
    ] {
        let house = House::new().await;
        let run = run_for(&house, "Lodge a permit for \"plot 9\"", None).await;
        house.world.turn(Mood::Answers(answer.to_string()));
        drop(house.submit(&run, "permit.draft", json!({"plot": "plot 9"})).await);
        house.world.turn(Mood::Answers("{}".into()));
        assert_eq!(lodge(&house, &run).await, "pending pending", "{answer}");
    }
    // As a server of MCP says it.
    let house = House::new().await;
    let run = run_for(&house, "Lodge a permit for \"plot 9\"", None).await;
    let said = json!({"content": [{"type": "text", "text": "{\"id\":\"pm-7\"}"}], "structuredContent": {"id": "pm-7"}});
    house.world.turn(Mood::Answers(said.to_string()));
    assert_eq!(end(&house.submit(&run, "permit.draft", json!({"plot": "plot 9"})).await), "done");
    assert_eq!(lodge(&house, &run).await, "done");
}
