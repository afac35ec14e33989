//! What a proposal wants, `execute`, `authorize` or `dry_run`, is no side door: neither what a run has seen nor what
//! it has used up depends on how it asked.

use crate::house::{House, end, person, submission};
use aecl_executor::Outcome;
use aecl_executor::fake::Mood;
use aecl_gate::Session;
use aecl_gate::submit::{Answer, End, Submission};
use aecl_kernel::base::id::ActionId;
use aecl_kernel::provenance::labels::Labels;
use aecl_kernel::read::action::Mode;
use aecl_kernel::record::event::OutcomeKind;
use serde_json::{Value, json};
use std::time::Duration;

/// What a run has seen and used up.
async fn known(house: &House, run: &Session) -> Value {
    let fact = house.gate.ledger().run(&run.principal.run).await.unwrap().unwrap();
    json!([fact.labels, fact.calls, fact.trusted_bytes, fact.questions, fact.failures])
}

fn calls() -> Vec<Submission> {
    vec![
        submission("look", json!({"at": "the mail"})),
        submission("note", json!({"text": "a"})),
        submission("pay", json!({"eur": 3})),
        submission("contacts", json!({"of": "us"})),
        submission("note", json!({"text": 1})),
    ]
}

#[tokio::test]
async fn dry_runs_change_nothing_wherever_they_stand() {
    // Each sequence of two calls, without and with dry runs of everything before each of them.
    let count = calls().len();
    for sequence in 0..count.pow(2) {
        let chosen = [sequence % count, sequence / count];
        let mut known_after = Vec::new();
        for with_dry_runs in [false, true] {
            let house = House::new().await;
            let run = house.clerk().await;
            for at in chosen {
                if with_dry_runs {
                    for dry in calls() {
                        let dry = Submission { mode: Mode::DryRun, ..dry };
                        assert_eq!(end(&house.gate.submit(&run, dry).await.unwrap()), "asked");
                    }
                }
                house.gate.submit(&run, calls().swap_remove(at)).await.unwrap();
            }
            assert_eq!(house.world.looks(), 0, "the target was asked");
            known_after.push((known(&house, &run).await, house.world.effects_in_all()));
        }
        assert_eq!(known_after[0], known_after[1], "{chosen:?}");
    }
}

#[tokio::test]
async fn a_dry_run_says_the_same_whatever_the_target_holds() {
    let mut said = Vec::new();
    for world in [r#"{"rows":["secret"]}"#, r#"{"rows":[]}"#] {
        let house = House::new().await;
        house.world.turn(Mood::Answers(world.into()));
        let run = house.clerk().await;
        let mut answers = Vec::new();
        for call in calls() {
            let answer = house.gate.submit(&run, Submission { mode: Mode::DryRun, ..call }).await.unwrap();
            let End::Asked { would } = answer.end else { panic!("{}", end(&answer)) };
            answers.push((would, answer.decision.unwrap().verdict));
        }
        said.push(answers);
    }
    assert_eq!(said[0], said[1]);
}

async fn by_itself(house: &House, run: &Session, name: &str, arguments: Value) -> Answer {
    let wanted = Submission { mode: Mode::Authorize, ..submission(name, arguments) };
    house.gate.submit(run, wanted).await.unwrap()
}

async fn reports(house: &House, run: &Session, id: &ActionId, kind: OutcomeKind, output: Option<&str>) {
    let outcome = Outcome {
        kind,
        code: None,
        message: String::new(),
        output: output.map(|text| text.as_bytes().to_vec()),
        may_have_acted: false,
        sandbox: "agent".into(),
        traffic: None,
    };
    house.gate.report(run, id, outcome).await.unwrap();
}

async fn labels(house: &House, run: &Session) -> Labels {
    house.gate.ledger().run(&run.principal.run).await.unwrap().unwrap().labels
}

#[tokio::test]
async fn a_permit_taints_before_anything_is_reported() {
    let house = House::new().await;
    for report in [None, Some(OutcomeKind::Done), Some(OutcomeKind::Failed), Some(OutcomeKind::Unknown)] {
        let run = house.clerk().await;
        assert!(!labels(&house, &run).await.untrusted);
        let permitted = by_itself(&house, &run, "fetch", json!({"at": "the mail"})).await;
        assert_eq!(end(&permitted), "permitted");
        let seen = labels(&house, &run).await;
        assert!(seen.untrusted && seen.private, "{seen:?}");
        if let Some(kind) = report {
            reports(&house, &run, &permitted.action, kind, None).await;
        }
        assert_eq!(labels(&house, &run).await, seen, "{report:?}");
        // What a stranger may have written can have named this account.
        let to = json!({"to": "DE89370400440532013000", "eur": 3});
        assert_eq!(end(&house.submit(&run, "transfer", to).await), "pending pending");
    }
    let run = house.clerk().await;
    by_itself(&house, &run, "poke", json!({"text": "a"})).await;
    assert!(!labels(&house, &run).await.untrusted, "what its manifest calls calm stays calm");
}

#[tokio::test]
async fn an_attempt_that_nobody_saw_end_taints() {
    let house = House::new().await;
    let run = house.clerk().await;
    house.world.turn_for("look", Mood::Panics);
    assert_eq!(end(&house.submit(&run, "look", json!({"at": "the mail"})).await), "unknown interrupted");
    assert!(labels(&house, &run).await.untrusted);
}

#[tokio::test]
async fn a_yes_is_for_who_carries_it_out() {
    let house = House::new().await;
    let run = house.clerk().await;
    let send = || submission("send", json!({"eur": 30}));
    let asked = house.gate.submit(&run, send()).await.unwrap();
    let ask = house.asked().await;
    house.yes("bob", &ask).await.unwrap();
    let other = by_itself(&house, &run, "send", json!({"eur": 30})).await;
    assert_eq!(end(&other), "pending pending", "the yes was to another thing");
    assert_ne!(other.action, asked.action);
    let End::Pending(second) = other.end else { panic!() };
    house.yes("bob", &second).await.unwrap();
    let permitted = by_itself(&house, &run, "send", json!({"eur": 30})).await;
    assert_eq!((end(&permitted).as_str(), permitted.action), ("permitted", other.action));
}

#[tokio::test]
async fn what_we_carry_out_is_not_handed_over() {
    let house = House::new().await;
    let run = house.clerk().await;
    for (name, arguments) in [("note", json!({"text": "a"})), ("pay", json!({"eur": 3}))] {
        assert_eq!(end(&by_itself(&house, &run, name, arguments).await), "blocked authorize_refused");
    }
    assert_eq!(end(&by_itself(&house, &run, "poke", json!({"text": "a"})).await), "permitted");
}

#[tokio::test]
async fn an_undo_that_an_agent_has_aimed_asks_a_person_and_says_so() {
    let house = House::new().await;
    let run = house.clerk().await;
    by_itself(&house, &run, "send", json!({"eur": 30})).await;
    let ask = house.asked().await;
    house.yes("bob", &ask).await.unwrap();
    let sent = by_itself(&house, &run, "send", json!({"eur": 30})).await;
    reports(&house, &run, &sent.action, OutcomeKind::Done, Some(r#"{"id":"somebody else's"}"#)).await;
    let ann = person("ann");
    let undo = house.gate.rollback(&ann, &sent.action, "a mistake".into(), Duration::ZERO).await.unwrap();
    assert_eq!(end(&undo), "pending pending");
    let findings = &undo.decision.unwrap().findings;
    let said = findings.iter().find(|f| f.code.as_str() == "undo_of_report").unwrap();
    assert!(said.message.contains("`payment`"), "{}", said.message);
    assert_eq!(house.world.effects_in_all(), 0);
}

#[tokio::test]
async fn a_reported_failure_gives_nothing_back_until_somebody_has_found_out() {
    let house = House::new().await;
    let run = house.clerk().await;
    let mut spent = Vec::new();
    for cents in 0..20 {
        let permitted =
            by_itself(&house, &run, "spend", json!({"eur": 60.0 + f64::from(cents) / 100.0})).await;
        if end(&permitted) == "permitted" {
            reports(&house, &run, &permitted.action, OutcomeKind::Failed, None).await;
            spent.push(permitted.action);
        } else {
            assert_eq!(end(&permitted), "blocked budget_exceeded");
        }
    }
    assert_eq!(spent.len(), 16, "1000 EUR a day");
    // An operator has looked at the bank; a second look changes nothing.
    let first = &spent[0];
    house.gate.resolve(&person("ann"), first, false, "the bank says no".into()).await.unwrap();
    assert!(house.gate.resolve(&person("ann"), first, false, "again".into()).await.is_err());
    assert_eq!(end(&by_itself(&house, &run, "spend", json!({"eur": 60})).await), "permitted");
    assert_eq!(end(&by_itself(&house, &run, "spend", json!({"eur": 60})).await), "blocked budget_exceeded");
    // Another did happen; it stays used.
    house.gate.resolve(&person("ann"), &spent[1], true, "the bank says yes".into()).await.unwrap();
    assert_eq!(end(&by_itself(&house, &run, "spend", json!({"eur": 60})).await), "blocked budget_exceeded");
    assert_eq!(house.state(&spent[1]).await, aecl_kernel::record::facts::ActionState::Done);
    house.verified().await;
}
