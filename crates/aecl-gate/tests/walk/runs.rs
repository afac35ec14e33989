//! Runs: they end, their tokens end, delegation only narrows, the kill switch reaches all of them.

use crate::house::{House, end, person, request, submission};
use aecl_gate::Identity;
use aecl_gate::renewals::{TOKENS_BY_BEARER_MAX, TOKENS_MAX};
use aecl_gate::runs::RunRequest;
use aecl_gate::submit::{End, Submission};
use aecl_kernel::base::id::TenantId;
use aecl_kernel::record::facts::KillScope;
use serde_json::json;

#[tokio::test]
async fn a_token_ends_before_its_run_and_is_renewed() {
    let house = House::new().await;
    let opened = house.gate.open_run(&person("ann"), request("clerk")).await.unwrap();
    let run = house.gate.session(&opened.token).await.unwrap();
    assert_eq!(run, opened.session);
    let note = async |session: &aecl_gate::Session, text: &str| {
        end(&house.submit(session, "note", json!({"text": text})).await)
    };
    assert_eq!(note(&run, "a").await, "done");
    house.pass(899);
    let (token, renewed) = house.gate.renew_session(&run).await.unwrap();
    house.pass(1);
    assert_eq!(note(&run, "b").await, "blocked token_expired");
    assert_eq!(note(&house.gate.session(&token).await.unwrap(), "c").await, "done");
    assert_eq!(house.gate.renew_session(&run).await.unwrap_err().code().as_str(), "token_expired");
    house.pass(300);
    assert_eq!(note(&renewed, "d").await, "blocked token_expired");
    assert_eq!(
        house.gate.renew(&person("ann"), &run.principal.run).await.unwrap_err().code().as_str(),
        "run_expired"
    );
}

#[tokio::test]
async fn a_run_that_waits_for_a_person_outlives_its_time_until_the_answer() {
    let house = House::new().await;
    let mut short = request("clerk");
    short.ttl_s = Some(60);
    let run = house.gate.open_run(&person("ann"), short).await.unwrap().session;
    let s = aecl_gate::submit::Submission { resume: true, ..submission("pay", json!({"eur": 30})) };
    let pending = house.gate.submit(&run, s).await.unwrap();
    house.pass(300);
    assert_eq!(end(&house.submit(&run, "note", json!({"text": "late"})).await), "blocked token_expired");
    let ask = house.asked().await;
    house.yes("bob", &ask).await.unwrap();
    house.until(&pending.action, aecl_kernel::record::facts::ActionState::Done).await;
}

#[tokio::test]
async fn a_closed_run_and_a_revoked_token_are_dead_at_once() {
    let house = House::new().await;
    let run = house.clerk().await;
    house.submit(&run, "pay", json!({"eur": 30})).await;
    let ask = house.asked().await;
    house.gate.close_run(&person("ann"), &run.principal.run, "enough".into()).await.unwrap();
    assert_eq!(house.yes("bob", &ask).await.unwrap_err().code().as_str(), "approval_closed");
    assert_eq!(end(&house.submit(&run, "pay", json!({"eur": 30})).await), "blocked run_closed");
    assert!(house.gate.close_run(&person("ann"), &run.principal.run, "again".into()).await.is_err());
    let run = house.clerk().await;
    house.gate.revoke(&person("ann"), &run.principal.run, run.credential.id.clone()).await.unwrap();
    assert_eq!(end(&house.submit(&run, "note", json!({"text": "a"})).await), "blocked token_revoked");
    assert_eq!(house.world.effects_in_all(), 0);
}

#[tokio::test]
async fn a_foreign_token_does_not_act() {
    let house = House::new().await;
    let (mine, other) = (house.clerk().await, house.run_of("reader").await);
    let stolen =
        aecl_gate::Session { principal: mine.principal.clone(), credential: other.credential.clone() };
    assert_eq!(end(&house.submit(&stolen, "note", json!({"text": "a"})).await), "blocked token_foreign");
    let mut changed = mine.clone();
    changed.principal.tenant = TenantId::new("other").unwrap();
    assert_eq!(end(&house.submit(&changed, "note", json!({"text": "a"})).await), "blocked token_foreign");
    for bad in ["", "a.b.c", "eyJhbGciOiJub25lIn0.e30."] {
        assert_eq!(house.gate.session(bad).await.unwrap_err().code().as_str(), "token_invalid", "{bad}");
    }
}

#[tokio::test]
async fn a_delegated_run_has_at_most_what_its_parent_has() {
    let house = House::new().await;
    let parent = house.run_of("reader").await;
    house.submit(&parent, "look", json!({"at": "a web page"})).await;
    let child = RunRequest { parent: Some(parent.principal.run.clone()), ..request("clerk") };
    let opened = house.gate.open_run(&person("ann"), child.clone()).await.unwrap();
    let fact = house.gate.ledger().run(&opened.session.principal.run).await.unwrap().unwrap();
    assert!(fact.labels.untrusted, "what the parent has seen, the child has seen");
    assert_eq!(fact.principal.tenant, parent.principal.tenant);
    let other = RunRequest { tenant: Some(TenantId::new("other").unwrap()), ..child.clone() };
    assert_eq!(house.gate.open_run(&person("ann"), other).await.unwrap_err().code().as_str(), "out_of_scope");
    assert_eq!(end(&house.submit(&opened.session, "look", json!({"at": "b"})).await), "done");
    // The clerk may write; a clerk that works for the reader may not.
    assert_eq!(
        end(&house.submit(&opened.session, "note", json!({"text": "a"})).await),
        "blocked not_allowed"
    );
    let parent_ends = house.gate.ledger().run(&parent.principal.run).await.unwrap().unwrap().expires_at;
    assert!(fact.expires_at <= parent_ends);
    house.gate.close_run(&person("ann"), &parent.principal.run, "enough".into()).await.unwrap();
    assert!(house.gate.open_run(&person("ann"), child).await.is_err(), "nothing comes from a closed run");
}

#[tokio::test]
async fn what_a_run_reads_its_children_have_heard_whenever_they_were_opened() {
    let house = House::new().await;
    let run = async |parent: Option<&aecl_gate::Session>| {
        let parent = parent.map(|p| p.principal.run.clone());
        let request = RunRequest { parent, ..request("clerk") };
        house.gate.open_run(&person("ann"), request).await.unwrap().session
    };
    let tainted = async |session: &aecl_gate::Session| {
        let now = house.gate.run_now(&session.principal.run).await.unwrap().labels.untrusted;
        let answer =
            house.submit(session, "transfer", json!({"to": "GB29NWBK60161331926819", "eur": 30})).await;
        // Where nobody has read a stranger, where the money goes needs no proof.
        assert_eq!(end(&answer), if now { "pending pending" } else { "done" });
        now
    };
    let parent = run(None).await;
    let (child, sibling) = (run(Some(&parent)).await, run(Some(&parent)).await);
    let below = run(Some(&child)).await;
    let goes_on = house.gate.follow_run(&person("ann"), &parent.principal.run, "help".into()).await.unwrap();
    let further = &goes_on.session.principal.run;
    let further = house.gate.follow_run(&person("ann"), further, "help".into()).await.unwrap().session;
    let other = run(None).await;
    assert!(!tainted(&below).await && !tainted(&further).await);
    // One of them reads; its parent has heard it, and so has everybody to whom the parent may tell it.
    house.submit(&child, "look", json!({"at": "a web page"})).await;
    for heard in [&child, &parent, &sibling, &below, &goes_on.session, &further] {
        assert!(tainted(heard).await, "{}", heard.principal.run);
    }
    assert!(!tainted(&other).await, "who has nothing to do with them has heard nothing");
    // A goal that is stated now may be a stranger's words, however clean its parent's own reading is.
    let late = run(Some(&sibling)).await;
    assert!(house.gate.run_now(&late.principal.run).await.unwrap().late);
}

#[tokio::test]
async fn the_kill_switch_reaches_everything_below_it() {
    let house = House::new().await;
    let parent = house.clerk().await;
    let child = RunRequest { parent: Some(parent.principal.run.clone()), ..request("clerk") };
    let child = house.gate.open_run(&person("ann"), child).await.unwrap().session;
    house.submit(&child, "pay", json!({"eur": 30})).await;
    let ask = house.asked().await;
    house.yes("bob", &ask).await.unwrap();
    let scopes = [
        KillScope::All,
        KillScope::Tenant(child.principal.tenant.clone()),
        KillScope::Agent(child.principal.agent.clone()),
        KillScope::Run(parent.principal.run.clone()),
        KillScope::Run(child.principal.run.clone()),
    ];
    for scope in scopes {
        house.gate.kill(&person("ann"), scope.clone(), "stop".into()).await.unwrap();
        let answer = house.submit(&child, "pay", json!({"eur": 30})).await;
        assert_eq!(end(&answer), "blocked killed", "{scope}, although a person has agreed");
        house.gate.lift(&person("ann"), scope.clone(), "go on".into()).await.unwrap();
        assert!(house.gate.lift(&person("ann"), scope, "again".into()).await.is_err(), "it is off");
    }
    for by in [Identity::Local, person("eve")] {
        let refused = house.gate.kill(&by, KillScope::All, "mine".into()).await;
        assert_eq!(refused.unwrap_err().code().as_str(), "forbidden");
    }
    assert_eq!(house.world.effects_in_all(), 0);
    assert_eq!(end(&house.submit(&child, "pay", json!({"eur": 30})).await), "done", "the yes still stands");
}

#[tokio::test]
async fn a_token_is_revoked_under_its_own_run_only() {
    let house = House::new().await;
    let (one, other) = (house.clerk().await, house.clerk().await);
    let refused = house.gate.revoke(&person("ann"), &one.principal.run, other.credential.id.clone()).await;
    assert_eq!(refused.unwrap_err().code().as_str(), "record_unknown");
    assert_eq!(end(&house.submit(&other, "note", json!({"text": "a"})).await), "done");
    house.gate.revoke(&person("ann"), &other.principal.run, other.credential.id.clone()).await.unwrap();
    assert_eq!(end(&house.submit(&other, "note", json!({"text": "a"})).await), "blocked token_revoked");
}

#[tokio::test]
async fn tokens_of_a_run_are_renewed_up_to_a_limit() {
    let house = House::new().await;
    let (run, ann) = (house.clerk().await, person("ann"));
    let id = &run.principal.run;
    // At once, by several: none slips through.
    let mut many = tokio::task::JoinSet::new();
    for _ in 0..40 {
        let (gate, run) = (house.gate.clone(), run.clone());
        many.spawn(async move { gate.renew_session(&run).await });
    }
    let many = many.join_all().await;
    assert_eq!(many.iter().flatten().count() + 1, TOKENS_BY_BEARER_MAX);
    let refused = house.gate.renew_session(&run).await.unwrap_err();
    assert_eq!(refused.code().as_str(), "tokens_exhausted");
    assert!(refused.to_string().contains("the first ends at"), "{refused}");
    let recorded = house.gate.ledger().head().await.unwrap().size;
    for _ in 0..40 {
        house.gate.renew_session(&run).await.unwrap_err();
    }
    assert_eq!(house.gate.ledger().head().await.unwrap().size, recorded, "a refusal leaves nothing");
    // Whoever has opened it is not shut out by its agent, and has an end as well.
    let mut by_key = Vec::new();
    for _ in 0..80 {
        by_key.extend(house.gate.renew(&ann, id).await.ok());
    }
    assert_eq!(by_key.len() + TOKENS_BY_BEARER_MAX, TOKENS_MAX);
    // Another run has its own; and what has ended counts no more.
    let (_, other) = house.gate.renew_session(&house.clerk().await).await.unwrap();
    assert_ne!(other.principal.run, run.principal.run);
    house.pass(450);
    house.gate.revoke(&ann, id, by_key[0].1.credential.id.clone()).await.unwrap();
    let (_, late) = house.gate.renew(&ann, id).await.unwrap();
    house.pass(450);
    house.gate.renew_session(&late).await.unwrap();
}

#[tokio::test]
async fn with_a_token_goes_what_was_renewed_from_it() {
    let house = House::new().await;
    let (run, ann) = (house.clerk().await, person("ann"));
    let id = &run.principal.run;
    let note = async |of: &aecl_gate::Session| end(&house.submit(of, "note", json!({"text": "a"})).await);
    let (_, first) = house.gate.renew_session(&run).await.unwrap();
    let (_, second) = house.gate.renew_session(&first).await.unwrap();
    let (_, by_key) = house.gate.renew(&ann, id).await.unwrap();
    house.gate.revoke(&ann, id, first.credential.id.clone()).await.unwrap();
    assert_eq!(note(&first).await, "blocked token_revoked");
    assert_eq!(note(&second).await, "blocked token_revoked");
    assert_eq!(house.gate.renew_session(&second).await.unwrap_err().code().as_str(), "token_revoked");
    assert_eq!((note(&run).await, note(&by_key).await), ("done".into(), "done".into()));
    house.gate.revoke(&ann, id, run.credential.id.clone()).await.unwrap();
    assert_eq!((note(&run).await, note(&by_key).await), ("blocked token_revoked".into(), "done".into()));
}

#[tokio::test]
async fn a_yes_to_what_a_revoked_token_has_asked_for_does_not_act() {
    let house = House::new().await;
    let run = house.clerk().await;
    let resumed = aecl_gate::submit::Submission { resume: true, ..submission("pay", json!({"eur": 30})) };
    house.gate.submit(&run, resumed).await.unwrap();
    let ask = house.asked().await;
    house.gate.revoke(&person("ann"), &run.principal.run, run.credential.id.clone()).await.unwrap();
    house.yes("bob", &ask).await.unwrap();
    house.ruled("blocked", 1).await;
    assert_eq!(house.world.effects_in_all(), 0);
}

#[tokio::test]
async fn what_is_turned_away_leaves_little_and_not_without_end() {
    let house = House::terse(4096).await;
    let run = house.clerk().await;
    let scope = KillScope::Run(run.principal.run.clone());
    house.gate.kill(&person("ann"), scope.clone(), "odd".into()).await.unwrap();
    let large = "x".repeat(100_000);
    let mut ends = Vec::new();
    for _ in 0..40 {
        let proposed = house.gate.submit(&run, submission("note", json!({"text": large}))).await;
        ends.push(proposed.map_or_else(|e| e.code().to_string(), |answer| end(&answer)));
    }
    let recorded = ends.iter().filter(|e| *e == "blocked killed").count();
    let refused = ends.iter().filter(|e| *e == "refusals_exhausted").count();
    assert_eq!((recorded, refused), (16, 24), "{ends:?}");
    assert_eq!(house.gate.metrics().counts().unrecorded, 24);
    for entry in house.entries().await {
        let aecl_kernel::record::event::Event::Ruled(ruled) = entry.event else { continue };
        assert!(ruled.unkept && ruled.arguments_bytes > 100_000);
        let ledger = house.gate.ledger();
        let kept = ledger.payload(aecl_ledger::PayloadKind::Arguments, &ruled.arguments).await.unwrap();
        assert_eq!(kept, None);
    }
    // What may be done is done all the same; what may not is recorded again after a while.
    house.gate.lift(&person("ann"), scope, "fine".into()).await.unwrap();
    assert_eq!(end(&house.submit(&run, "note", json!({"text": "a"})).await), "done");
    let wrong = submission("note", json!({"text": 1}));
    assert!(house.gate.submit(&run, wrong).await.is_err());
    // What was done before is answered again, which leaves nothing and does nothing.
    let once =
        || Submission { idempotency_key: Some("k1".into()), ..submission("note", json!({"text": "once"})) };
    assert_eq!(end(&house.gate.submit(&run, once()).await.unwrap()), "done");
    let (entries, effects) = (house.entries().await.len(), house.world.effects_in_all());
    for _ in 0..3 {
        let again = house.gate.submit(&run, once()).await.unwrap();
        assert!(matches!(again.end, End::Concluded { replayed: true, .. }), "{:?}", again.end);
    }
    assert_eq!((house.entries().await.len(), house.world.effects_in_all()), (entries, effects));
    house.pass(60);
    let wrong = submission("note", json!({"text": 1}));
    assert_eq!(end(&house.gate.submit(&run, wrong).await.unwrap()), "blocked arguments_invalid");
    house.verified().await;
}

#[tokio::test]
async fn a_token_that_has_been_dead_for_a_minute_leaves_no_entry() {
    let house = House::new().await;
    let opened = house.gate.open_run(&person("ann"), request("clerk")).await.unwrap();
    house.pass(959);
    house.gate.session(&opened.token).await.unwrap();
    house.pass(1);
    let refused = house.gate.session(&opened.token).await.unwrap_err();
    assert_eq!(refused.code().as_str(), "token_expired");
    assert_eq!(house.gate.metrics().counts().dead_tokens, 1);
}
