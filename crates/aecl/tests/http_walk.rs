//! An agent, an orchestrator and people, over HTTP alone.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise, and its helpers are not marked as tests"
)]

mod common;

use common::{Served, count};
use serde_json::{Value, json};
use std::time::Duration;

#[tokio::test]
async fn a_read_is_done_and_its_receipt_is_in_the_ledger() {
    let s = Served::start().await;
    let (run, token) = s.run("payer").await;
    let reply =
        s.post(&token, "/v1/actions", &json!({"action": "mail.read", "arguments": {"id": "m1"}})).await;
    let body = reply.json();
    assert_eq!((reply.status, body["state"].as_str()), (200, Some("done")), "{}", reply.text);
    assert_eq!(body["output"]["rows"][0]["body"], common::MAIL);
    assert_eq!(body["decision"]["verdict"], "allow");
    assert_eq!(body["decision"]["risk"]["score"], "0.00");
    assert!(body["receipt"]["checkpoint"].as_str().unwrap().starts_with("test.example/aecl\n"));

    let again = s.get(&token, &format!("/v1/actions/{}", body["action"].as_str().unwrap())).await;
    assert_eq!(again.json()["state"], "done");
    let entries = s.get(&s.keys.olga, &format!("/v1/ledger/runs/{run}/entries")).await.json();
    let kinds: Vec<&str> =
        entries["entries"].as_array().unwrap().iter().filter_map(|e| e["kind"].as_str()).collect();
    assert_eq!(kinds, ["run_opened", "token_issued", "ruled", "started", "concluded"]);
    let seen = s.get(&s.keys.orchestrator, &format!("/v1/runs/{run}")).await.json();
    assert_eq!((seen["calls"].as_u64(), seen["labels"]["untrusted"].as_bool()), (Some(1), Some(true)));
    assert_eq!(seen["goal"], "Pay what is due.");
}

#[tokio::test]
async fn a_yes_executes_what_was_shown_once() {
    let s = Served::start().await;
    let (_, token) = s.run("payer").await;
    let reply = s.transfer(&token, "250.00", json!({})).await;
    let body = reply.json();
    assert_eq!((reply.status, body["state"].as_str()), (202, Some("pending")), "{}", reply.text);
    assert_eq!(count(&s.world, "payments"), 0, "nothing was executed");
    let id = body["approval"]["id"].as_str().unwrap().to_owned();

    let shown = s.get(&s.keys.finn, &format!("/v1/approvals/{id}")).await.json();
    assert_eq!(shown["summary"]["title"], "payments.transfer: 250 EUR to acc-9");
    assert_eq!(shown["summary"]["undo"], "Can be undone for 24 hours with `payments.refund`.");
    assert_eq!(shown["arguments"]["amount"], "250.00");
    assert_eq!(shown["may_answer"], true);
    let queue = s.get(&s.keys.finn, "/v1/approvals?state=pending").await.json();
    assert_eq!(queue["approvals"][0]["id"], id.as_str());

    let yes =
        s.post(&s.keys.finn, &format!("/v1/approvals/{id}/approve"), &json!({"reason": "invoice 7"})).await;
    assert_eq!((yes.status, yes.json()["state"].as_str()), (200, Some("approved")), "{}", yes.text);
    let done = s.transfer(&token, "250.00", json!({})).await.json();
    assert_eq!(done["state"], "done", "{done}");
    assert_eq!(done["decision"]["approval"], id.as_str());
    assert_eq!(count(&s.world, "payments"), 1);
    // The yes is used: the same again asks again, and so does another amount.
    assert_eq!(s.transfer(&token, "250.00", json!({})).await.status, 202);
    assert_eq!(s.transfer(&token, "251.00", json!({})).await.status, 202);
    assert_eq!(count(&s.world, "payments"), 1);
}

#[tokio::test]
async fn who_waits_is_answered_by_the_yes() {
    let s = Served::start().await;
    let (_, token) = s.run("payer").await;
    let waiting = s.transfer(&token, "10.00", json!({"wait_s": 30}));
    let approving = async {
        loop {
            let queue = s.get(&s.keys.fay, "/v1/approvals").await.json();
            if let Some(id) = queue["approvals"][0]["id"].as_str() {
                let path = format!("/v1/approvals/{id}/approve");
                return s.post(&s.keys.fay, &path, &json!({})).await;
            }
        }
    };
    let (answer, yes) = tokio::join!(waiting, approving);
    assert_eq!(yes.status, 200, "{}", yes.text);
    assert_eq!(answer.json()["state"], "done", "{}", answer.text);
    assert_eq!(count(&s.world, "payments"), 1);
}

#[tokio::test]
async fn an_action_that_resumes_is_polled_for() {
    let s = Served::start().await;
    let (_, token) = s.run("payer").await;
    let pending = s.transfer(&token, "10.00", json!({"resume": true})).await.json();
    let (action, id) = (pending["action"].as_str().unwrap(), pending["approval"]["id"].as_str().unwrap());
    let polled = format!("/v1/actions/{action}?wait_s=30");
    let approve = format!("/v1/approvals/{id}/approve");
    let no_body = json!({});
    let (done, yes) = tokio::join!(s.get(&token, &polled), s.post(&s.keys.finn, &approve, &no_body));
    assert_eq!(yes.status, 200);
    assert_eq!((done.status, done.json()["state"].as_str()), (200, Some("done")), "{}", done.text);
    assert_eq!(count(&s.world, "payments"), 1);
}

#[tokio::test]
async fn a_no_reaches_the_agent_with_its_reason() {
    let s = Served::start().await;
    let (_, token) = s.run("payer").await;
    let pending = s.transfer(&token, "10.00", json!({"resume": true})).await.json();
    let id = pending["approval"]["id"].as_str().unwrap();
    s.post(&s.keys.finn, &format!("/v1/approvals/{id}/reject"), &json!({"reason": "not ours"})).await;
    let polled = s.get(&token, &format!("/v1/actions/{}", pending["action"].as_str().unwrap())).await;
    assert_eq!(polled.short(), "200 rejected approval_rejected");
    assert_eq!(s.transfer(&token, "10.00", json!({})).await.short(), "200 rejected approval_rejected");
    assert_eq!(count(&s.world, "payments"), 0);
}

#[tokio::test]
async fn the_same_key_gives_the_recorded_outcome() {
    let s = Served::start().await;
    let (_, token) = s.run("payer").await;
    let body = json!({"action": "notes.write", "arguments": {"text": "a"}}).to_string();
    let bearer = format!("Bearer {token}");
    let headers =
        [("authorization", bearer.as_str()), ("content-type", "application/json"), ("idempotency-key", "k1")];
    let first = s.send("POST", "/v1/actions", &headers, body.as_bytes()).await.json();
    let again = s.send("POST", "/v1/actions", &headers, body.as_bytes()).await.json();
    assert_eq!((first["state"].as_str(), first["replayed"].as_bool()), (Some("done"), None), "{first}");
    assert_eq!((again["state"].as_str(), again["replayed"].as_bool()), (Some("done"), Some(true)), "{again}");
    assert_eq!(first["action"], again["action"]);
    assert_eq!(count(&s.world, "notes"), 1);
    let other = json!({"action": "notes.write", "arguments": {"text": "b"}, "idempotency_key": "k1"});
    assert_eq!(s.post(&token, "/v1/actions", &other).await.short(), "200 blocked replay_conflict");
}

#[tokio::test]
async fn a_rollback_goes_through_the_same_door_once() {
    let s = Served::start().await;
    let (_, token) = s.run("payer").await;
    let body = json!({"action": "notes.write", "arguments": {"text": "a"}});
    let done = s.post(&token, "/v1/actions", &body).await.json();
    let path = format!("/v1/actions/{}/rollback", done["action"].as_str().unwrap());
    assert_eq!(s.post(&s.keys.finn, &path, &json!({})).await.short(), "403 forbidden");
    let undone = s.post(&s.keys.olga, &path, &json!({"reason": "a mistake"})).await.json();
    assert_eq!(undone["state"], "done", "{undone}");
    assert_eq!(count(&s.world, "notes"), 0);
    let again = s.post(&s.keys.olga, &path, &json!({})).await;
    assert_eq!(again.short(), "200 blocked undo_refused");
    let seen = s.get(&token, &format!("/v1/actions/{}", done["action"].as_str().unwrap())).await.json();
    assert_eq!(seen["undo"]["state"], "done");
}

#[tokio::test]
async fn a_whole_run_is_rolled_back_from_its_end() {
    let s = Served::start().await;
    let (run, token) = s.run("payer").await;
    let mut written = Vec::new();
    for text in ["a", "b"] {
        let body = json!({"action": "notes.write", "arguments": {"text": text}});
        let done = s.post(&token, "/v1/actions", &body).await.json();
        written.insert(0, done["action"].as_str().unwrap().to_owned());
    }
    let path = format!("/v1/runs/{run}/rollback");
    assert_eq!(s.post(&s.keys.finn, &path, &json!({})).await.short(), "403 forbidden");
    assert_eq!(s.post(&token, &path, &json!({})).await.short(), "403 forbidden");
    let unknown = s.post(&s.keys.olga, "/v1/runs/run_none/rollback", &json!({})).await;
    assert_eq!(unknown.short(), "404 run_unknown");
    let back = s.post(&s.keys.olga, &path, &json!({"reason": "a mistake"})).await;
    let told = back.json();
    assert_eq!((back.status, told["state"].as_str()), (200, Some("done")), "{told}");
    let steps: Vec<&str> =
        told["steps"].as_array().unwrap().iter().filter_map(|s| s["action"].as_str()).collect();
    assert_eq!(steps, written);
    assert_eq!(
        (told["steps"][0]["state"].as_str(), told["left"].as_array().unwrap().len()),
        (Some("undone"), 0)
    );
    assert_eq!(told["steps"][0]["undo"]["decision"]["verdict"], "allow");
    assert_eq!(count(&s.world, "notes"), 0);
    let again = s.post(&s.keys.olga, &path, &json!({})).await.json();
    assert_eq!(
        (again["state"].as_str(), again["steps"][1]["state"].as_str()),
        (Some("done"), Some("undone_before"))
    );
}

/// Asks AuthZEN about an action of the payer; gives the whole reply.
async fn evaluate(s: &Served, key: &str, action: &str, arguments: Value, more: Value) -> common::Reply {
    let mut question = json!({
        "subject": {"type": "agent", "id": "payer", "properties": {"team": "ours"}},
        "action": {"name": action, "properties": arguments},
        "resource": {"type": "account", "id": "acc-9", "properties": {}},
        "context": {"time": "2026-01-01T00:00:00Z"},
    });
    for (name, value) in more.as_object().unwrap() {
        question[name] = value.clone();
    }
    s.post(key, "/access/v1/evaluation", &question).await
}

#[tokio::test]
async fn authzen_is_told_what_would_be_decided_and_nothing_is_recorded() {
    let s = Served::start().await;
    let (run, token) = s.run("payer").await;
    let size = || async { s.gate.ledger().head().await.unwrap().size };
    let before = size().await;
    let key = &s.keys.orchestrator;
    let transfer = json!({"account": "acc-9", "amount": "250.00", "currency": "EUR"});
    let verdict = |reply: &common::Reply| {
        let body = reply.json();
        let code = body["context"]["code"].as_str().unwrap_or_default().to_owned();
        (body["decision"].clone(), body["context"]["verdict"].as_str().unwrap_or_default().to_owned(), code)
    };
    let allowed = evaluate(&s, key, "notes.write", json!({"text": "a"}), json!({})).await;
    assert_eq!(
        (allowed.status, verdict(&allowed)),
        (200, (json!(true), "allow".into(), String::new())),
        "{}",
        allowed.text
    );
    let asks = evaluate(&s, key, "payments.transfer", transfer.clone(), json!({})).await;
    assert_eq!(
        (verdict(&asks).0, verdict(&asks).1.as_str()),
        (json!(false), "require_approval"),
        "{}",
        asks.text
    );
    assert!(asks.json()["context"]["details"]["need"].is_array());
    for (action, arguments, code) in [
        ("payments.close_account", json!({"account": "acc-9"}), "action_blocked"),
        ("payments.steal", json!({}), "action_unknown"),
        ("notes.write", json!({"text": 7}), "arguments_invalid"),
    ] {
        let no = evaluate(&s, key, action, arguments, json!({})).await;
        assert_eq!((no.status, verdict(&no).0), (200, json!(false)), "{action}: {}", no.text);
        assert_eq!(verdict(&no).2, code, "{action}: {}", no.text);
    }
    let other = json!({"resource": {"type": "account", "id": "acc-1"}});
    let mistaken = evaluate(&s, key, "payments.transfer", transfer.clone(), other).await;
    assert_eq!(
        verdict(&mistaken),
        (json!(false), "block".into(), "resource_mismatch".into()),
        "{}",
        mistaken.text
    );
    assert_eq!(count(&s.world, "payments"), 0);
    assert_eq!(size().await, before, "a question is not on record");

    // What the run has seen counts, whatever is said about it.
    s.post(&token, "/v1/actions", &json!({"action": "mail.read", "arguments": {"id": "m1"}})).await;
    let seen = json!({"context": {"run": run, "labels": {"untrusted": false}}});
    let risky = evaluate(&s, key, "payments.transfer", transfer, seen).await.json();
    let factors = risky["context"]["details"]["risk"]["factors"].as_array().unwrap().clone();
    assert!(factors.iter().any(|f| f["name"].as_str().unwrap().contains("untrusted")), "{risky}");

    let sent = s
        .send("POST", "/access/v1/evaluation", &[("authorization", &format!("Bearer {key}")), ("content-type", "application/json"), ("x-request-id", "r-1")],
            br#"{"subject":{"type":"agent","id":"payer"},"action":{"name":"mail.read","properties":{"id":"m1"}},"resource":{"type":"mail","id":"m1"}}"#)
        .await;
    assert_eq!((sent.status, sent.headers["x-request-id"].to_str().unwrap()), (200, "r-1"), "{}", sent.text);
    let about = s.get("", "/.well-known/authzen-configuration").await.json();
    assert!(about["access_evaluation_endpoint"].as_str().unwrap().ends_with("/access/v1/evaluation"));
}

#[tokio::test]
async fn authzen_refuses_what_it_does_not_understand_and_whom_it_does_not_know() {
    let s = Served::start().await;
    let opened = s.post(&s.keys.olga, "/v1/runs", &json!({"agent": "other", "goal": "reads"})).await.json();
    let (run, token) = (opened["run"].as_str().unwrap(), opened["token"].as_str().unwrap());
    let key = &s.keys.orchestrator;
    for (more, status) in [
        (json!({"subject": {"type": "user", "id": "ann"}}), "400 request_invalid"),
        (json!({"subject": {"type": "agent"}}), "400 request_invalid"),
        (json!({"subject": {"type": "agent", "id": "nobody"}}), "403 forbidden"),
        (json!({"resource": "acc-9"}), "400 request_invalid"),
        (json!({"context": {"run": run}}), "404 run_unknown"),
        (json!({"context": {"run": "run_none"}}), "404 run_unknown"),
    ] {
        let reply = evaluate(&s, key, "mail.read", json!({"id": "m1"}), more.clone()).await;
        assert_eq!(reply.short(), status, "{more}: {}", reply.text);
    }
    let of_another =
        evaluate(&s, &s.keys.olga, "mail.read", json!({"id": "m1"}), json!({"context": {"run": run}}));
    assert_eq!(of_another.await.short(), "400 request_invalid");
    let twice = s.post_text(key, "/access/v1/evaluation", r#"{"action":{"name":"a","name":"b"}}"#).await;
    assert_eq!(twice.short(), "400 json_duplicate_key");
    assert_eq!(evaluate(&s, token, "mail.read", json!({}), json!({})).await.short(), "403 forbidden");
    assert_eq!(
        evaluate(&s, "aecl_o_wrong", "mail.read", json!({}), json!({})).await.short(),
        "401 token_invalid"
    );
}

/// The cases of the AuthZEN certification that are about several questions, with names of our own.
#[tokio::test]
async fn authzen_answers_several_questions_at_once() {
    let s = Served::with(json!({"authzen": {"subject_types": ["agent", "user"]}})).await;
    let key = &s.keys.orchestrator;
    let ask = async |more: Value| {
        let mut body = json!({
            "subject": {"type": "user", "id": "payer", "properties": {"department": "sales"}},
            "action": {"name": "notes.write", "properties": {"text": "a"}},
            "resource": {"type": "note", "id": "any", "properties": {"owner": {"name": "ann"}}},
            "context": {"time": "2026-01-01T00:00:00Z"},
        });
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        s.post(key, "/access/v1/evaluations", &body).await
    };
    let decisions = |reply: &common::Reply| -> Vec<bool> {
        let body = reply.json();
        let answers = body["evaluations"].as_array().unwrap_or_else(|| panic!("{}", reply.text));
        answers.iter().map(|a| a["decision"].as_bool().unwrap()).collect()
    };
    let (yes, no) = (json!({}), json!({"action": {"name": "payments.steal"}}));
    let named = |semantic: &str, items: [&Value; 3]| json!({"evaluations": items, "options": {"evaluations_semantic": semantic}});
    for (what, body, wanted) in [
        ("all have the defaults", json!({"evaluations": [yes, yes]}), vec![true, true]),
        ("an item says otherwise", json!({"evaluations": [yes, no]}), vec![true, false]),
        ("execute_all", named("execute_all", [&no, &yes, &no]), vec![false, true, false]),
        ("deny_on_first_deny", named("deny_on_first_deny", [&yes, &no, &yes]), vec![true, false]),
        ("permit_on_first_permit", named("permit_on_first_permit", [&no, &yes, &yes]), vec![false, true]),
        ("options of others", json!({"evaluations": [yes], "options": {"another": 1}}), vec![true]),
    ] {
        let reply = ask(body).await;
        assert_eq!((reply.status, decisions(&reply)), (200, wanted), "{what}: {}", reply.text);
    }

    // Without items it is one question.
    for one in [json!({}), json!({"evaluations": []})] {
        let reply = ask(one).await;
        assert_eq!((reply.status, &reply.json()["decision"]), (200, &json!(true)), "{}", reply.text);
    }
    // What cannot be answered is no yes, and does not spoil the others.
    let strange = json!({"subject": {"type": "robot", "id": "payer"}});
    let foreign = json!({"subject": {"type": "user", "id": "nobody"}});
    let answers = ask(json!({"evaluations": [strange, foreign, yes]})).await;
    assert_eq!(decisions(&answers), [false, false, true]);
    let body = answers.json();
    let error = |n: usize| body["evaluations"][n]["context"]["error"].clone();
    assert_eq!((&error(0)["status"], &error(1)["status"]), (&json!(400), &json!(403)), "{body}");
    assert!(error(0)["message"].as_str().unwrap().contains("`agent` or `user`"), "{body}");

    let missing = json!({"evaluations": [{"action": {"name": "notes.write"}}]});
    let missing = s.post(key, "/access/v1/evaluations", &missing).await.json();
    assert_eq!(missing["evaluations"][0]["context"]["error"]["code"], "request_invalid", "{missing}");
    for (what, body) in [
        (
            "a semantic nobody knows",
            json!({"evaluations": [yes], "options": {"evaluations_semantic": "guess"}}),
        ),
        ("items that are none", json!({"evaluations": "all"})),
        ("too many", json!({"evaluations": vec![json!({}); 51]})),
    ] {
        assert_eq!(ask(body).await.short(), "400 request_invalid", "{what}");
    }
    assert_eq!(s.post("aecl_o_wrong", "/access/v1/evaluations", &json!({})).await.status, 401);
    let about = s.get("", "/.well-known/authzen-configuration").await.json();
    assert!(about["access_evaluations_endpoint"].as_str().unwrap().ends_with("/access/v1/evaluations"));
}

#[tokio::test]
async fn a_position_that_no_ledger_has_is_refused() {
    let s = Served::start().await;
    for (from, wanted) in
        [("9223372036854775807", 200), ("9223372036854775808", 400), ("18446744073709551616", 400)]
    {
        let reply = s.get(&s.keys.olga, &format!("/v1/ledger/entries?from={from}")).await;
        assert_eq!(reply.status, wanted, "{from}: {}", reply.text);
    }
}

#[tokio::test]
async fn a_permit_is_reported_and_can_be_verified() {
    let s = Served::start().await;
    let (_, token) = s.run("payer").await;
    let body = json!({"action": "notes.write", "arguments": {"text": "a"}, "mode": "authorize"});
    let permitted = s.post(&token, "/v1/actions", &body).await.json();
    assert_eq!(permitted["state"], "permitted", "{permitted}");
    assert_eq!(count(&s.world, "notes"), 0);
    let jwks = s.get("", "/.well-known/jwks.json").await.json();
    assert_eq!(jwks["keys"][0]["alg"], "EdDSA");
    assert_eq!(permitted["permit"].as_str().unwrap().split('.').count(), 3);
    let path = format!("/v1/actions/{}/outcome", permitted["action"].as_str().unwrap());
    let report = json!({"outcome": "done", "output": {"id": 1}});
    let (_, foreign) = s.run("payer").await;
    assert_eq!(s.post(&foreign, &path, &report).await.short(), "404 record_unknown");
    let done = s.post(&token, &path, &report).await.json();
    assert_eq!((done["state"].as_str(), done["output"]["id"].as_i64()), (Some("done"), Some(1)), "{done}");
    assert_eq!(s.post(&token, &path, &report).await.status, 409, "one permit has one outcome");
}

#[tokio::test]
async fn a_dry_run_changes_nothing() {
    let s = Served::start().await;
    let (_, token) = s.run("payer").await;
    let body = json!({"action": "notes.write", "arguments": {"text": "a"}, "mode": "dry_run"});
    let asked = s.post(&token, "/v1/actions", &body).await.json();
    assert_eq!(
        (asked["state"].as_str(), asked["decision"]["verdict"].as_str()),
        (Some("asked"), Some("allow"))
    );
    assert_eq!(count(&s.world, "notes"), 0);
}

#[tokio::test]
async fn the_kill_switch_stops_from_now_on() {
    let s = Served::start().await;
    let (run, token) = s.run("payer").await;
    let read = json!({"action": "mail.read", "arguments": {"id": "m1"}});
    let scope = json!({"scope": {"agent": "payer"}, "reason": "odd"});
    assert_eq!(s.post(&s.keys.orchestrator, "/v1/kill", &scope).await.short(), "403 forbidden");
    let on = s.post(&s.keys.olga, "/v1/kill", &scope).await.json();
    assert_eq!(on["kills"][0]["scope"], "agent:payer");
    assert_eq!(s.post(&token, "/v1/actions", &read).await.short(), "200 blocked killed");
    let off = s.post(&s.keys.olga, "/v1/kill/lift", &scope).await.json();
    assert_eq!(off["kills"], json!([]));
    assert_eq!(s.post(&token, "/v1/actions", &read).await.json()["state"], "done");
    for scope in [json!("all"), json!({"tenant": "default"}), json!({"run": run})] {
        let body = json!({"scope": scope, "reason": "odd"});
        assert_eq!(s.post(&s.keys.olga, "/v1/kill", &body).await.status, 200);
        assert_eq!(s.post(&token, "/v1/actions", &read).await.short(), "200 blocked killed");
        s.post(&s.keys.olga, "/v1/kill/lift", &body).await;
    }
}

#[tokio::test]
async fn explain_records_nothing() {
    let s = Served::start().await;
    let before = s.gate.ledger().head().await.unwrap().size;
    let ask =
        |arguments: Value| json!({"agent": "payer", "action": "payments.transfer", "arguments": arguments});
    let body = ask(json!({"account": "a", "amount": 60_000, "currency": "EUR"}));
    let held = s.post(&s.keys.olga, "/v1/explain", &body).await.json();
    assert_eq!(held["decision"]["verdict"], "require_approval", "{held}");
    assert_eq!(held["amount"], "60000 EUR");
    assert_eq!(held["decision"]["risk"]["score"], "1.00");
    let blocked = s.post(&s.keys.olga, "/v1/explain", &ask(json!({"account": "a"}))).await.json();
    assert_eq!(blocked["decision"]["headline"], "arguments_invalid");
    assert_eq!(s.post(&s.keys.orchestrator, "/v1/explain", &body).await.short(), "403 forbidden");
    assert_eq!(s.gate.ledger().head().await.unwrap().size, before);
}

#[tokio::test]
async fn a_child_run_is_opened_below_its_parent() {
    let s = Served::start().await;
    let (run, _) = s.run("payer").await;
    let path = format!("/v1/runs/{run}/delegate");
    let child = s.post(&s.keys.orchestrator, &path, &json!({"agent": "reader", "goal": "Look."})).await;
    assert_eq!(child.status, 201, "{}", child.text);
    let id = child.json()["run"].as_str().unwrap().to_owned();
    let seen = s.get(&s.keys.orchestrator, &format!("/v1/runs/{id}")).await.json();
    assert_eq!(seen["ancestors"], json!([run]));
    let wider = json!({"agent": "reader", "goal": "Look.", "environment": "staging"});
    assert_eq!(s.post(&s.keys.orchestrator, &path, &wider).await.short(), "403 out_of_scope");
}

#[tokio::test]
async fn the_ledger_is_served_as_tiles_that_verify() {
    let s = Served::start().await;
    let (_, token) = s.run("payer").await;
    s.post(&token, "/v1/actions", &json!({"action": "mail.read", "arguments": {"id": "m1"}})).await;
    let checkpoint = s.get("", "/v1/ledger/checkpoint").await;
    let size: u64 = checkpoint.text.lines().nth(1).unwrap().parse().unwrap();
    let key = s.get("", "/v1/ledger/key").await.text;
    assert!(key.starts_with("test.example/aecl+"), "{key}");
    let bearer = format!("Bearer {}", s.keys.olga);
    let get = async |path: String| {
        let url = format!("http://{}/v1/ledger/{path}", s.address);
        let reply = s.http.get(url).header("authorization", &bearer).send().await.unwrap();
        (reply.status().as_u16(), reply.bytes().await.unwrap())
    };
    let (status, entries) = get(format!("tile/entries/000.p/{size}")).await;
    assert_eq!(status, 200);
    let (_, hashes) = get(format!("tile/0/000.p/{size}")).await;
    let path = aecl_proof::TilePath::entries(0, u16::try_from(size).unwrap()).unwrap();
    let leaves: Vec<u8> = path
        .read_entries(&entries)
        .unwrap()
        .iter()
        .flat_map(|entry| aecl_proof::leaf_hash(entry).0)
        .collect();
    assert_eq!(leaves, hashes.to_vec(), "the entries are what the tile says");
    for missing in
        [format!("tile/0/000.p/{}", size + 1), "tile/9/000".into(), "tile/x".into(), "tile/0/000.p/0".into()]
    {
        assert_eq!(get(missing.clone()).await.0, 404, "{missing}");
    }
    assert_eq!(s.get(&s.keys.orchestrator, "/v1/ledger/entries").await.short(), "403 forbidden");
}

#[tokio::test]
async fn metrics_count_what_happened() {
    let s = Served::start().await;
    let (_, token) = s.run("payer").await;
    s.post(&token, "/v1/actions", &json!({"action": "mail.read", "arguments": {"id": "m1"}})).await;
    s.post(&token, "/v1/actions", &json!({"action": "made up \"\n", "arguments": {}})).await;
    let text = s.get(&s.keys.olga, "/metrics").await.text;
    for line in [
        "agent_action_total{agent=\"payer\",action=\"mail.read\",outcome=\"approved\"} 1",
        "agent_action_total{agent=\"payer\",action=\"mail.read\",outcome=\"done\"} 1",
        "agent_action_total{agent=\"payer\",action=\"unknown\",outcome=\"blocked\"} 1",
        "aecl_decide_seconds_bucket{le=\"0.001\"}",
        "aecl_decide_seconds_count 2",
        "aecl_actions_underway 0",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

#[tokio::test]
async fn shutting_down_answers_those_who_wait() {
    let s = Served::start().await;
    let (_, token) = s.run("payer").await;
    let waiting = s.transfer(&token, "10.00", json!({"wait_s": 600}));
    let closing = async {
        while s.gate.approvals(1).await.unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        s.closing.cancel();
    };
    let began = std::time::Instant::now();
    let (answer, ()) = tokio::join!(waiting, closing);
    assert_eq!(answer.short(), "202 pending approval_pending");
    let left = s.server.await.unwrap();
    assert_eq!(left, 0);
    assert!(began.elapsed() < Duration::from_secs(10), "nobody had to wait for the deadline");
    assert!(tokio::net::TcpStream::connect(s.address).await.is_err(), "nothing listens any more");
}

#[tokio::test]
async fn a_client_that_vanishes_leaves_nothing_half_done() {
    use tokio::io::AsyncWriteExt as _;
    let s = Served::start().await;
    let (_, token) = s.run("payer").await;
    for i in 0..60 {
        let body =
            json!({"action": "notes.write", "arguments": {"text": "a"}, "idempotency_key": format!("k{i}")})
                .to_string();
        let mut stream = tokio::net::TcpStream::connect(s.address).await.unwrap();
        let head = format!(
            "POST /v1/actions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(body.as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_micros(i * 40)).await;
        drop(stream);
    }
    // Every proposal that was read is carried through, whoever has hung up.
    let settled = async {
        while !s.gate.ledger().in_flight().is_empty() || s.gate.underway() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), settled).await.expect("something stays in flight");
    // A person's request dies with nobody: the wait ends, the request stays.
    let pending = s.http.post(format!("http://{}/v1/actions", s.address)).bearer_auth(&token);
    let pending = pending.header("content-type", "application/json").timeout(Duration::from_millis(300));
    let body = json!({"action": "payments.transfer", "arguments": {"account": "a", "amount": "1", "currency": "EUR"}, "wait_s": 60});
    assert!(pending.body(body.to_string()).send().await.is_err(), "it hangs up while it waits");
    let id = s.gate.approvals(1).await.unwrap()[0].approval.to_string();
    s.post(&s.keys.finn, &format!("/v1/approvals/{id}/approve"), &json!({})).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(count(&s.world, "payments"), 0, "nobody waits, so nobody carries it out");
    let done = s.post(&token, "/v1/actions", &body).await;
    assert_eq!(done.json()["state"], "done", "{}", done.text);
}
