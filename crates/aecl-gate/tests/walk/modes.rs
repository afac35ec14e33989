//! What a proposal wants, `execute`, `authorize` or `dry_run`, is no side door: neither what a run has seen nor what
//! it has used up depends on how it asked.

use crate::house::{House, end, submission};
use aecl_executor::fake::Mood;
use aecl_gate::Session;
use aecl_gate::submit::{End, Submission};
use aecl_kernel::action::Mode;
use serde_json::{Value, json};

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
