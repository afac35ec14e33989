//! The yes of somebody who may not say it any more: gone, of other groups, of other tenants, a reader, the one for whom
//! the run acts. Each would be used after a restart with another configuration.

use crate::house::{House, end, everybody, known, person, request, submission};
use aecl_executor::fake::Mood;
use aecl_gate::approvals::Reply;
use aecl_gate::queue::QueueFilter;
use aecl_gate::submit::{Answer, Submission};
use aecl_kernel::base::id::{PersonId, UserId};
use aecl_kernel::record::approval::ApprovalState;
use serde_json::{Value, json};

/// The people of the house, but for bob.
fn without_bob() -> Value {
    let stays = |person: &Value| person["id"] != "bob";
    everybody().as_array().unwrap().iter().filter(|p| stays(p)).cloned().collect()
}

/// The same, with bob as this.
fn with_bob(more: Value) -> Value {
    let mut people = without_bob();
    people.as_array_mut().unwrap().push(known("bob", more));
    people
}

fn codes(answer: &Answer) -> Vec<&str> {
    answer.decision.as_ref().unwrap().findings.iter().map(|f| f.code.as_str()).collect()
}

#[tokio::test]
async fn a_yes_counts_as_long_as_its_voter_may_say_it() {
    for (bob, counts) in [
        (without_bob(), false),
        (with_bob(json!({"groups": ["visitors"]})), false),
        (with_bob(json!({"groups": ["auditors", "operators"]})), false),
        (with_bob(json!({"groups": ["operators"], "tenants": ["other"]})), false),
        (with_bob(json!({"groups": ["operators"], "names": ["Kate@corp.example"]})), false),
        (with_bob(json!({"groups": ["operators", "more"], "tenants": ["default"], "names": ["b"]})), true),
        (everybody(), true),
    ] {
        let house = House::new().await;
        let user = Some(UserId::new("kate@CORP.example").unwrap());
        let run = aecl_gate::runs::RunRequest { user, ..request("clerk") };
        let run = house.gate.open_run(&person("ann"), run).await.unwrap().session;
        let pay = json!({"eur": 30});
        assert_eq!(end(&house.submit(&run, "pay", pay.clone()).await), "pending pending");
        let ask = house.asked().await;
        assert_eq!(house.yes("bob", &ask).await.unwrap().state, ApprovalState::Approved);
        let house = house.reopened_with_people(bob.clone()).await;
        let answer = house.submit(&run, "pay", pay.clone()).await;
        if counts {
            assert_eq!((end(&answer).as_str(), house.world.effects_in_all()), ("done", 1), "{bob}");
            house.verified().await;
            continue;
        }
        assert_eq!((end(&answer).as_str(), house.world.effects_in_all()), ("pending pending", 0), "{bob}");
        assert_eq!(answer.action, ask.action, "it is the same request, open again");
        assert!(codes(&answer).contains(&"approval_lapsed"), "{bob}: {:?}", codes(&answer));
        let said =
            answer.decision.unwrap().findings.iter().find(|f| f.code.as_str() == "approval_lapsed").cloned();
        assert!(said.unwrap().message.contains("`bob` has said yes, which does not count any more"));
        house.yes("cid", &ask).await.unwrap();
        assert_eq!(end(&house.submit(&run, "pay", pay).await), "done");
        assert_eq!(house.world.effects_in_all(), 1);
        house.verified().await;
    }
}

#[tokio::test]
async fn what_a_dead_yes_had_settled_is_open_again_for_others_at_once() {
    let house = House::new().await;
    let run = house.clerk().await;
    house.submit(&run, "pay", json!({"eur": 30})).await;
    let ask = house.asked().await;
    house.yes("bob", &ask).await.unwrap();
    let listed = |house: &House, state| {
        let wanted = QueueFilter { state: Some(state), ..QueueFilter::default() };
        house.gate.queue(&wanted, |_| true).unwrap().requests
    };
    assert_eq!(listed(&house, ApprovalState::Approved).len(), 1);
    let house = house.reopened_with_people(without_bob()).await;
    // Nobody has proposed anything since.
    let [queued] = &listed(&house, ApprovalState::Pending)[..] else { panic!("it is not in the queue") };
    assert!(queued.tally.lapsed.contains_key(&PersonId::new("bob").unwrap()));
    assert!(listed(&house, ApprovalState::Approved).is_empty());
    let card = house.gate.request(&ask.approval).await.unwrap();
    assert_eq!(card.tally, queued.tally);
    assert_eq!(house.yes("cid", &ask).await.unwrap().state, ApprovalState::Approved);
    assert_eq!(end(&house.submit(&run, "pay", json!({"eur": 30})).await), "done");
    house.verified().await;
}

#[tokio::test]
async fn of_two_who_are_needed_none_may_have_left() {
    let house = House::new().await;
    let run = house.clerk().await;
    let wire = || json!({"eur": 30});
    house.submit(&run, "wire", wire()).await;
    let ask = house.asked().await;
    assert_eq!(house.yes("bob", &ask).await.unwrap().state, ApprovalState::Pending);
    let house = house.reopened_with_people(without_bob()).await;
    assert_eq!(house.yes("cid", &ask).await.unwrap().state, ApprovalState::Pending, "one of two");
    assert_eq!(end(&house.submit(&run, "wire", wire()).await), "pending pending");
    assert_eq!(house.yes("cid", &ask).await.unwrap_err().code().as_str(), "approver_twice");
    assert_eq!(house.yes("dan", &ask).await.unwrap().state, ApprovalState::Approved);
    // Both of them leave after that, and a third comes.
    let third = json!([
        known("ann", json!({"groups": ["operators"]})),
        known("fay", json!({"groups": ["operators"]}))
    ]);
    let house = house.reopened_with_people(third).await;
    assert_eq!(house.yes("fay", &ask).await.unwrap().state, ApprovalState::Pending, "one of two");
    assert_eq!(end(&house.submit(&run, "wire", wire()).await), "pending pending");
    let house = house.reopened_with_people(everybody()).await;
    assert_eq!(house.gate.ask(&ask.approval).await.unwrap().votes.len(), 4);
    assert_eq!(
        end(&house.submit(&run, "wire", wire()).await),
        "pending pending",
        "asked anew, answered anew"
    );
    assert_eq!(house.world.effects_in_all(), 0);
    assert_eq!(house.yes("bob", &ask).await.unwrap().state, ApprovalState::Approved);
    assert_eq!(house.yes("cid", &ask).await.unwrap_err().code().as_str(), "approval_closed");
    assert_eq!(end(&house.submit(&run, "wire", wire()).await), "done");
    house.verified().await;
}

#[tokio::test]
async fn whoever_has_other_groups_now_answers_anew() {
    let people = |groups: &[&str]| {
        json!([known("ann", json!({"groups": ["operators"]})), known("bob", json!({"groups": groups}))])
    };
    let house = House::new().await.reopened_with_people(people(&["operators"])).await;
    let run = house.clerk().await;
    house.submit(&run, "pay", json!({"eur": 30})).await;
    let ask = house.asked().await;
    house.yes("bob", &ask).await.unwrap();
    let house = house.reopened_with_people(people(&["visitors"])).await;
    assert_eq!(house.yes("eve", &ask).await.unwrap_err().code().as_str(), "approval_unknown");
    assert_eq!(end(&house.submit(&run, "pay", json!({"eur": 30})).await), "pending pending");
    // As it was: the yes is what it was.
    let house = house.reopened_with_people(people(&["operators"])).await;
    let ask = house.gate.ask(&ask.approval).await.unwrap();
    assert_eq!(ask.votes.len(), 1);
    let answer = house.submit(&run, "pay", json!({"eur": 30})).await;
    assert_eq!(end(&answer), "pending pending", "it was asked anew meanwhile, and is answered anew");
    assert_eq!(house.yes("bob", &ask).await.unwrap().state, ApprovalState::Approved);
    assert_eq!(end(&house.submit(&run, "pay", json!({"eur": 30})).await), "done");
    house.verified().await;
}

#[tokio::test]
async fn a_plan_covers_nothing_once_who_agreed_has_left() {
    let house = House::new().await;
    let plan = Some(json!({"steps": [{"action": "pay", "arguments": {"/eur": {"equals": 30}}, "times": 3}]}));
    let planned =
        aecl_gate::runs::RunRequest { goal: "pay 30".into(), plan, approve_plan: true, ..request("clerk") };
    let opened = house.gate.open_run(&person("ann"), planned).await.unwrap();
    let (run, ask) = (opened.session, opened.plan.unwrap());
    house.yes("bob", &ask).await.unwrap();
    assert_eq!(end(&house.submit(&run, "pay", json!({"eur": 30})).await), "done");
    let house = house.reopened_with_people(without_bob()).await;
    let answer = house.submit(&run, "pay", json!({"eur": 30})).await;
    assert_eq!((end(&answer).as_str(), house.world.effects_in_all()), ("pending pending", 1));
    let why =
        answer.decision.unwrap().findings.iter().find(|f| f.code.as_str() == "plan_does_not_cover").cloned();
    assert!(why.unwrap().message.contains("the yes of `bob` does not count any more"));
    // Somebody else agrees to the rest of it.
    assert_eq!(house.yes("cid", &ask).await.unwrap().state, ApprovalState::Approved);
    assert_eq!(end(&house.submit(&run, "pay", json!({"eur": 30})).await), "done");
    house.verified().await;
}

/// Of an agent that changes things only by a plan, what its plan has is not asked about at all.
#[tokio::test]
async fn what_only_the_plan_had_settled_asks_once_who_agreed_has_left() {
    let house = House::new().await;
    let plan = json!({"steps": [{"action": "note", "arguments": {"/text": {"equals": "a"}}, "times": 5}]});
    let planned = aecl_gate::runs::RunRequest {
        goal: "write a".into(),
        plan: Some(plan),
        approve_plan: true,
        ..request("planner")
    };
    let opened = house.gate.open_run(&person("ann"), planned).await.unwrap();
    let (run, ask) = (opened.session, opened.plan.unwrap());
    let note = || json!({"text": "a"});
    house.yes("bob", &ask).await.unwrap();
    assert_eq!(end(&house.submit(&run, "note", note()).await), "done");
    let house = house.reopened_with_people(without_bob()).await;
    let answer = house.submit(&run, "note", note()).await;
    assert_eq!((end(&answer).as_str(), house.world.effects_in_all()), ("pending pending", 1));
    assert!(codes(&answer).contains(&"plan_not_approved"), "{:?}", codes(&answer));
    house.yes("cid", &ask).await.unwrap();
    assert_eq!(end(&house.submit(&run, "note", note()).await), "done", "cid has agreed to the plan");
    house.verified().await;
}

#[tokio::test]
async fn what_was_to_be_carried_on_after_a_start_waits_for_somebody_who_is_here() {
    let house = House::new().await;
    let run = house.clerk().await;
    let s = Submission { resume: true, ..submission("pay", json!({"eur": 30})) };
    let pending = house.gate.submit(&run, s).await.unwrap();
    let ask = house.asked().await;
    // The yes is on record, and the process ends before anything follows from it.
    let vote = aecl_kernel::record::approval::Vote {
        person: PersonId::new("bob").unwrap(),
        groups: ["operators".to_owned()].into(),
        yes: true,
        at: house.gate.now(),
        reason: String::new(),
        endorse: false,
        confirmed: false,
    };
    house.gate.ledger().answer(ask.approval.clone(), vote, None).await.unwrap();
    let house = house.reopened_with_people(without_bob()).await;
    house.ruled("escalated", 2).await;
    assert_eq!(house.world.effects_in_all(), 0);
    house.yes("cid", &ask).await.unwrap();
    house.until(&pending.action, aecl_kernel::record::facts::ActionState::Done).await;
    house.verified().await;
}

#[tokio::test]
async fn a_run_rests_on_nobodys_word_who_has_left() {
    let house = House::new().await;
    let goal = "Read the inbox and pay 30 to each vendor".to_owned();
    let run = aecl_gate::runs::RunRequest { goal, ..request("clerk") };
    let run = house.gate.open_run(&person("ann"), run).await.unwrap().session;
    let account = "US133000000121212121212";
    house.world.turn(Mood::Answers(json!({"mail": format!("account {account}")}).to_string()));
    assert_eq!(end(&house.submit(&run, "look", json!({"at": "inbox"})).await), "done");
    house.world.turn(Mood::Answers(r#"{"id":"p1"}"#.into()));
    let transfer = || json!({"to": account, "eur": 30});
    house.submit(&run, "transfer", transfer()).await;
    let ask = house.asked().await;
    let reply = Reply { yes: true, endorse: true, confirm: vec!["1212".into()], ..Reply::default() };
    house.gate.reply(&person("bob"), &ask.approval, reply).await.unwrap();
    assert_eq!(end(&house.submit(&run, "transfer", transfer()).await), "done", "the yes");
    assert_eq!(end(&house.submit(&run, "transfer", transfer()).await), "done", "the endorsement");
    let house = house.reopened_with_people(without_bob()).await;
    assert_eq!(end(&house.submit(&run, "transfer", transfer()).await), "pending pending");
    house.verified().await;
    let house = house.reopened_with_people(everybody()).await;
    assert_eq!(house.gate.ledger().run(&run.principal.run).await.unwrap().unwrap().endorsers.len(), 1);
    house.verified().await;
}
