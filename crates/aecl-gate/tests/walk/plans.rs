//! Plans that people agree to up front: through the whole walk, with crashes and with two at once.

use crate::house::{House, end, person, request, submission};
use aecl_executor::CallContext;
use aecl_gate::runs::RunRequest;
use aecl_gate::submit::Submission;
use aecl_gate::{GateError, Session};
use aecl_kernel::record::approval::{ApprovalRequest, ApprovalState};
use aecl_kernel::record::event::Event;
use aecl_kernel::record::facts::ActionState;
use serde_json::{Value, json};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A run with a plan that people are asked about.
async fn planned(house: &House, steps: Value) -> Result<(Session, ApprovalRequest), GateError> {
    let plan = Some(json!({"steps": steps}));
    let request = RunRequest { goal: "pay 30".into(), plan, approve_plan: true, ..request("clerk") };
    let opened = house.gate.open_run(&person("ann"), request).await?;
    let ask = opened.plan.unwrap_or_else(|| panic!("nobody was asked"));
    Ok((opened.session, ask))
}

fn pay(times: u32) -> Value {
    json!([{"action": "pay", "arguments": {"/eur": {"equals": 30}}, "times": times}])
}

#[tokio::test]
async fn a_yes_to_the_plan_carries_its_steps_out_without_asking() {
    let house = House::new().await;
    let (run, ask) = planned(&house, pay(2)).await.unwrap();
    assert_eq!(house.asked().await.approval, ask.approval, "it is in the queue");
    assert_eq!(
        house.yes("ann", &ask).await.unwrap_err().code().as_str(),
        "approver_refused",
        "she has brought it"
    );
    assert_eq!(house.yes("bob", &ask).await.unwrap().state, ApprovalState::Approved);
    for _ in 0..2 {
        let answer = house.submit(&run, "pay", json!({"eur": 30})).await;
        assert_eq!(end(&answer), "done");
        assert_eq!(answer.decision.unwrap().approval.as_ref(), Some(&ask.approval));
    }
    assert_eq!(end(&house.submit(&run, "pay", json!({"eur": 30})).await), "pending pending");
    assert_eq!(end(&house.submit(&run, "pay", json!({"eur": 31})).await), "pending pending");
    assert_eq!(house.world.effects_in_all(), 2);
    let named =
        |event: &Event| matches!(event, Event::Concluded(c) if c.approval.as_ref() == Some(&ask.approval));
    assert_eq!(house.entries().await.iter().filter(|e| named(&e.event)).count(), 2, "each entry names it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_calls_at_once_do_not_share_the_last_time_of_a_step() {
    let house = House::new().await;
    let (run, ask) = planned(&house, pay(3)).await.unwrap();
    house.yes("bob", &ask).await.unwrap();
    let calls: Vec<_> = (0..12)
        .map(|_| {
            let (gate, run) = (house.gate.clone(), run.clone());
            tokio::spawn(async move { gate.submit(&run, submission("pay", json!({"eur": 30}))).await })
        })
        .collect();
    let mut done = 0;
    for call in calls {
        done += usize::from(end(&call.await.unwrap().unwrap()) == "done");
    }
    assert_eq!((done, house.world.effects_in_all()), (3, 3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waited_by_itself_goes_on_with_the_plan() {
    for resume in [false, true] {
        let house = House::new().await;
        let (run, ask) = planned(&house, pay(1)).await.unwrap();
        let waiting: Vec<_> = (0..3)
            .map(|_| house.propose(&run, Submission { resume, ..submission("pay", json!({"eur": 30})) }))
            .collect();
        house.ruled("escalated", 3).await;
        house.yes("bob", &ask).await.unwrap();
        for one in waiting {
            assert!(end(&one.await.unwrap().unwrap()).starts_with("done"));
        }
        assert_eq!(house.world.effects_in_all(), 1, "they are one action");
        let open = house.gate.approvals(10).await.unwrap();
        assert_eq!(
            open.iter().map(|a| &a.approval).collect::<Vec<_>>(),
            [&ask.approval],
            "nobody is asked about it"
        );
    }
}

#[tokio::test]
async fn a_wait_that_begins_after_the_yes_to_the_plan_goes_on_with_it() {
    let house = House::new().await;
    let (run, ask) = planned(&house, pay(1)).await.unwrap();
    let pending = house.gate.submit(&run, submission("pay", json!({"eur": 30}))).await.unwrap();
    assert_eq!(end(&pending), "pending pending");
    house.yes("bob", &ask).await.unwrap();
    let (nobody, context) = (CancellationToken::new(), CallContext::default());
    let waiting = house.gate.carry_on_for(&pending.action, context, &nobody);
    let answer = tokio::time::timeout(Duration::from_secs(20), waiting).await.unwrap().unwrap();
    assert_eq!(end(&answer), "done");
}

/// A step that leaves the amount open is looked at once more after the yes, and no step at all is not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wait_that_the_plan_does_not_cover_goes_on() {
    for (plan, asked) in [(json!([{"action": "pay"}]), 2), (pay(1), 1)] {
        let house = House::new().await;
        let (run, ask) = planned(&house, plan).await.unwrap();
        let waiting = house.propose(&run, submission("pay", json!({"eur": 31})));
        house.ruled("escalated", 1).await;
        house.yes("bob", &ask).await.unwrap();
        house.ruled("escalated", asked).await;
        let open = house.gate.approvals(10).await.unwrap();
        let single = open.iter().find(|a| a.plan.is_none()).unwrap();
        house.yes("bob", single).await.unwrap();
        assert_eq!(end(&waiting.await.unwrap().unwrap()), "done");
        let rulings = house.entries().await.iter().filter(|e| matches!(e.event, Event::Ruled(_))).count();
        assert_eq!(rulings, asked + 1, "it is asked about again once at most, not over and over");
    }
}

#[tokio::test]
async fn a_crash_between_the_yes_and_the_first_step_loses_neither() {
    let house = House::new().await;
    let (run, ask) = planned(&house, pay(2)).await.unwrap();
    let s = Submission { resume: true, ..submission("pay", json!({"eur": 30})) };
    let pending = house.gate.submit(&run, s).await.unwrap();
    // The yes is on record, and the process ends before anything follows from it.
    let vote = aecl_kernel::record::approval::Vote {
        person: aecl_kernel::base::id::PersonId::new("bob").unwrap(),
        groups: ["operators".to_owned()].into(),
        yes: true,
        at: house.gate.now(),
        reason: String::new(),
        endorse: false,
        confirmed: false,
    };
    house.gate.ledger().answer(ask.approval.clone(), vote, None).await.unwrap();
    let house = house.reopened().await;
    house.until(&pending.action, ActionState::Done).await;
    assert_eq!(end(&house.submit(&run, "pay", json!({"eur": 30})).await), "done", "the second time");
    assert_eq!(end(&house.submit(&run, "pay", json!({"eur": 30})).await), "pending pending");
    assert_eq!(house.world.effects_in_all(), 2);
    let house = house.reopened().await;
    assert_eq!(
        end(&house.submit(&run, "pay", json!({"eur": 30})).await),
        "pending pending",
        "the count survives, too"
    );
    assert_eq!(house.world.effects_in_all(), 2);
}

#[tokio::test]
async fn a_no_ends_the_run_and_says_who_said_it() {
    let house = House::new().await;
    let (run, ask) = planned(&house, pay(2)).await.unwrap();
    house.yes("bob", &ask).await.unwrap();
    assert_eq!(end(&house.submit(&run, "pay", json!({"eur": 30})).await), "done");
    assert_eq!(house.no("eve", &ask).await.unwrap_err().code().as_str(), "approval_unknown");
    assert_eq!(house.no("bob", &ask).await.unwrap().state, ApprovalState::Rejected);
    let refused = house.submit(&run, "pay", json!({"eur": 30})).await;
    assert_eq!(end(&refused), "blocked run_closed");
    let closed = house.gate.ledger().run(&run.principal.run).await.unwrap().unwrap().closed.unwrap();
    assert_eq!(closed, "`bob` said no to its plan: not today");
    assert!(house.gate.approvals(10).await.unwrap().is_empty());
}

#[tokio::test]
async fn nobody_answers_and_the_run_goes_on_without() {
    let house = House::new().await;
    let (run, ask) = planned(&house, pay(2)).await.unwrap();
    assert_eq!(ask.expires_at, house.gate.now().plus_s(600), "as long as its strictest step");
    house.pass(600);
    assert_eq!(house.yes("bob", &ask).await.unwrap_err().code().as_str(), "approval_expired");
    assert_eq!(house.gate.sweep().await.unwrap(), 1);
    assert_eq!(end(&house.submit(&run, "pay", json!({"eur": 30})).await), "pending pending");
    let answered =
        house.gate.plan_answered(&run.principal.run, Duration::from_secs(60)).await.unwrap().unwrap();
    assert_eq!(answered.state, ApprovalState::Expired);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_opens_the_run_can_wait_for_the_answer() {
    let house = House::new().await;
    let (run, ask) = planned(&house, pay(1)).await.unwrap();
    let (gate, id) = (house.gate.clone(), run.principal.run.clone());
    let waits = tokio::spawn(async move { gate.plan_answered(&id, crate::house::PATIENCE).await });
    tokio::time::sleep(Duration::from_millis(30)).await;
    assert!(!waits.is_finished());
    house.yes("bob", &ask).await.unwrap();
    assert_eq!(waits.await.unwrap().unwrap().unwrap().state, ApprovalState::Approved);
    let none = house.clerk().await;
    assert!(house.gate.plan_answered(&none.principal.run, Duration::from_secs(60)).await.unwrap().is_none());
}

#[tokio::test]
async fn a_plan_that_cannot_be_put_before_people_opens_no_run() {
    let house = House::new().await;
    let before = house.entries().await.len();
    for (steps, why) in [
        (json!([{"action": "refund"}]), "step 1 of the plan, `refund`: it would be refused"),
        (json!([{"action": "notee"}]), "did you mean `note`?"),
        (json!([]), "there is no plan with `steps`"),
        (json!("first this, then that"), "there is no plan with `steps`"),
        (Value::Array(vec![json!({"action": "look"}); 65]), "people are asked about 64 at most"),
    ] {
        let error = planned(&house, steps).await.unwrap_err();
        assert_eq!(error.code().as_str(), "request_invalid");
        assert!(error.to_string().contains(why), "{error}");
    }
    assert_eq!(house.entries().await.len(), before);
}

#[tokio::test]
async fn people_see_every_step_in_words() {
    let house = House::new().await;
    let steps = json!([
        {"action": "look"},
        {"action": "transfer", "arguments": {"/to": {"equals": "GB29NWBK60161331926819"}}},
        {"action": "wire", "arguments": {"/eur": {"at_most": 500}}, "times": 2},
    ]);
    let (_, ask) = planned(&house, steps).await.unwrap();
    assert_eq!(ask.need.people(), 2, "as the strictest step");
    let request = house.gate.plan_request(ask).await.unwrap();
    let outlook = request.outlook.unwrap();
    assert!(!request.policy_changed);
    assert!(
        outlook.steps[0].findings.iter().all(|f| f.verdict == aecl_kernel::record::decision::Verdict::Allow)
    );
    let transfer = &outlook.steps[1];
    assert_eq!(transfer.open.iter().map(|o| o.at.as_str()).collect::<Vec<_>>(), ["/eur"]);
    assert_eq!(
        transfer.unnamed.iter().map(|d| d.at.as_str()).collect::<Vec<_>>(),
        ["/to"],
        "the goal does not"
    );
    assert!(outlook.steps[2].findings.iter().any(|f| f.code.as_str() == "approval_rule"));
    assert!(outlook.steps[2].open.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_that_waits_keeps_nobodys_undo_away() {
    let house = House::new().await;
    let run = house.clerk().await;
    let paying = house.propose(&run, submission("pay", json!({"eur": 30})));
    let ask = house.asked().await;
    house.yes("bob", &ask).await.unwrap();
    let paid = paying.await.unwrap().unwrap().action;
    planned(&house, pay(1)).await.unwrap();
    let undone =
        house.gate.rollback(&person("ann"), &paid, "a mistake".into(), Duration::ZERO).await.unwrap();
    assert_eq!(end(&undone), "done");
}
