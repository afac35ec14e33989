//! The queue of requests: what a page of it costs, who sees what of it, and what an answer is for.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise, and its helpers are not marked as tests"
)]

mod common;

use aecl_kernel::policy::problem::Source;
use common::{Reply, Served, actions, agents, count};
use serde_json::{Value, json};

async fn ask(s: &Served, token: &str, amount: usize, account: &str) -> Value {
    let arguments = json!({"account": account, "amount": amount.to_string(), "currency": "EUR"});
    let body = json!({"action": "payments.transfer", "arguments": arguments});
    let reply = s.post(token, "/v1/actions", &body).await;
    assert_eq!(reply.status, 202, "{}", reply.text);
    reply.json()
}

fn id_of(pending: &Value) -> String {
    pending["approval"]["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn pages_of_the_queue_show_everything_once_and_nothing_at_length() {
    let s = Served::start().await;
    let long = "x".repeat(1 << 20);
    let mut asked = Vec::new();
    // A run may ask ten times, so there are several.
    for _ in 0..12 {
        let (_, token) = s.run("payer").await;
        for amount in 1..=10 {
            asked.push(id_of(&ask(&s, &token, amount, "acc-9").await));
        }
    }
    let (_, token) = s.run("payer").await;
    asked.push(id_of(&ask(&s, &token, 1, &long).await));

    let (mut seen, mut after) = (Vec::new(), String::new());
    for pages in 1.. {
        let reply = s.get(&s.keys.finn, &format!("/v1/approvals?{after}")).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        assert!(reply.text.len() < 80_000, "a page of {} bytes", reply.text.len());
        let page = reply.json();
        assert_eq!(page["total"], asked.len());
        let rows = page["approvals"].as_array().unwrap();
        assert!(rows.len() <= 50);
        assert!(rows.iter().all(|row| row["summary"]["title"].as_str().unwrap().len() <= 180));
        seen.extend(rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(next) => after = format!("after={next}"),
            None => {
                assert_eq!(pages, 3);
                break;
            }
        }
    }
    assert_eq!(seen, asked, "soonest end first, each once");
    let newest = s.get(&s.keys.finn, "/v1/approvals?order=newest&limit=1").await.json();
    assert_eq!(newest["approvals"][0]["id"], asked[120].as_str());
    assert_eq!((&newest["approvals"][0]["alike"], &newest["total"]), (&json!(121), &json!(121)));
    for bad in ["after=x", "after=1", "order=oldest", "order=newest&after=1-2", "state=used", "limit=x"] {
        let refused = s.get(&s.keys.finn, &format!("/v1/approvals?{bad}")).await;
        assert_eq!(refused.short(), "400 request_invalid", "{bad}");
    }
    // What was answered is in no page any more; what is long is whole on its card.
    let card = s.get(&s.keys.finn, &format!("/v1/approvals/{}", asked[120])).await;
    assert!(card.text.contains(&long));
    s.post(&s.keys.finn, &format!("/v1/approvals/{}/reject", asked[0]), &json!({})).await;
    let page = s.get(&s.keys.finn, "/v1/approvals").await.json();
    assert_eq!((&page["total"], &page["approvals"][0]["id"]), (&json!(120), &json!(asked[1])));
}

#[tokio::test]
async fn what_asks_one_and_what_asks_others_is_all_there_is() {
    let s = Served::start().await;
    let (_, token) = s.run("payer").await;
    let first = id_of(&ask(&s, &token, 1, "acc-1").await);
    ask(&s, &token, 2, "acc-2").await;
    let rows = async |key: &str, query: &str| {
        let page = s.get(key, &format!("/v1/approvals{query}")).await.json();
        let rows = page["approvals"].as_array().unwrap().iter().map(|row| row["may_answer"] == true);
        (page["total"].as_u64().unwrap(), rows.collect::<Vec<_>>())
    };
    assert_eq!(rows(&s.keys.finn, "?mine=true").await, (2, vec![true, true]));
    assert_eq!(rows(&s.keys.finn, "?mine=false").await, (0, vec![]));
    // Who sees all of them and is asked nothing.
    assert_eq!(rows(&s.keys.olga, "?mine=true").await, (0, vec![]));
    assert_eq!(rows(&s.keys.olga, "?mine=false").await, (2, vec![false, false]));
    s.post(&s.keys.fay, &format!("/v1/approvals/{first}/approve"), &json!({})).await;
    assert_eq!(rows(&s.keys.finn, "?mine=true").await, (1, vec![true]), "it has its answer");
    assert_eq!(rows(&s.keys.finn, "?mine=false").await, (1, vec![false]), "and is not used yet");
    assert_eq!(rows(&s.keys.finn, "").await, (2, vec![false, true]));
}

#[tokio::test]
async fn what_nobody_can_let_happen_is_said() {
    let policy = |world: &std::path::Path| {
        let source = |path: &str, value: Value| Source { path: path.into(), text: value.to_string() };
        let mut agents = agents();
        agents[0]["approvers"] = json!(["board"]);
        let rule = json!({"requires": "human_approval", "approvers": ["finance"], "count": 3});
        agents[0]["context_rules"]["notes.write"] = rule;
        vec![source("actions/all.json", actions(world)), source("agents/all.json", agents)]
    };
    let s = Served::of(json!({}), policy).await;
    let (_, token) = s.run("payer").await;
    ask(&s, &token, 1, "acc-1").await;
    let body = json!({"action": "notes.write", "arguments": {"text": "x"}});
    let reply = s.post(&token, "/v1/actions", &body).await;
    assert_eq!(reply.status, 202, "{}", reply.text);
    let page = s.get(&s.keys.olga, "/v1/approvals").await.json();
    let said: Vec<bool> =
        page["approvals"].as_array().unwrap().iter().map(|row| row["unanswerable"] == true).collect();
    assert_eq!(said, [true, true], "nobody is of the board, and finance are two: {page}");
    let s = Served::start().await;
    let (_, token) = s.run("payer").await;
    ask(&s, &token, 1, "acc-1").await;
    let page = s.get(&s.keys.olga, "/v1/approvals").await.json();
    assert_eq!(page["approvals"][0].get("unanswerable"), None, "{page}");
}

#[tokio::test]
async fn a_number_means_one_request_now_and_ever() {
    let s = Served::start().await;
    let (_, token) = s.run("payer").await;
    let (first, second) = (ask(&s, &token, 1, "acc-1").await, ask(&s, &token, 2, "acc-2").await);
    let rows = s.get(&s.keys.finn, "/v1/approvals").await.json();
    let number = rows["approvals"][0]["number"].as_u64().unwrap();
    let card = s.get(&s.keys.finn, &format!("/v1/approvals/{number}")).await.json();
    assert_eq!((card["id"].clone(), card["number"].clone()), (json!(id_of(&first)), json!(number)));
    let no = s.post(&s.keys.finn, &format!("/v1/approvals/{number}/reject"), &json!({})).await;
    assert_eq!(no.json()["id"], id_of(&first).as_str());
    // It is closed, and its number is still its own.
    let closed = s.get(&s.keys.finn, &format!("/v1/approvals/{number}")).await.json();
    assert_eq!((closed["id"].clone(), closed["state"].clone()), (json!(id_of(&first)), json!("rejected")));
    for nothing in ["0", "99999", "99999999999999999999999999"] {
        let unknown = s.get(&s.keys.finn, &format!("/v1/approvals/{nothing}")).await;
        assert_eq!(unknown.short(), "404 approval_unknown", "{nothing}");
    }
    assert_ne!(id_of(&second), id_of(&first));
}

async fn approve(s: &Served, key: &str, id: &str, body: Value) -> Reply {
    s.post(key, &format!("/v1/approvals/{id}/approve"), &body).await
}

#[tokio::test]
async fn an_answer_is_for_what_was_looked_at() {
    let s = Served::start().await;
    let (_, token) = s.run("payer").await;
    let (a, b) = (id_of(&ask(&s, &token, 1, "acc-1").await), id_of(&ask(&s, &token, 2, "acc-2").await));
    let view = async |key: &str, id: &str| {
        let card = s.get(key, &format!("/v1/approvals/{id}")).await.json();
        card["view"].as_str().unwrap().to_owned()
    };
    let (of_a, of_b) = (view(&s.keys.finn, &a).await, view(&s.keys.finn, &b).await);
    assert_ne!(of_a, of_b);
    // Neither the clock nor the reader is part of it, nor what the run does meanwhile.
    s.later(60);
    let mail = json!({"action": "mail.read", "arguments": {"id": "m1"}});
    s.post(&token, "/v1/actions", &mail).await;
    assert_eq!((view(&s.keys.fay, &a).await, view(&s.keys.olga, &a).await), (of_a.clone(), of_a.clone()));
    let invented = format!("sha256:{}", "0".repeat(64));
    for wrong in [&of_b, &invented] {
        let refused = approve(&s, &s.keys.finn, &a, json!({"view": wrong})).await;
        assert_eq!(refused.short(), "409 view_changed");
        let shown = refused.json();
        assert_eq!((&shown["approval"]["id"], &shown["approval"]["view"]), (&json!(a), &json!(of_a)));
    }
    assert_eq!(approve(&s, &s.keys.finn, &a, json!({"view": "x"})).await.short(), "400 request_invalid");
    assert_eq!(count(&s.world, "payments"), 0);
    let yes = approve(&s, &s.keys.finn, &a, json!({"view": of_a})).await;
    assert_eq!(yes.json()["state"], "approved", "{}", yes.text);
    let entries = s.get(&s.keys.olga, "/v1/ledger/entries?limit=1000").await.text;
    assert!(entries.contains(&format!("\"view\":\"{of_a}\"")), "the record says what was looked at");
}

/// Two tenants, each with an approver and an orchestrator; an auditor; somebody who is asked nothing.
async fn two_tenants() -> (Served, Value) {
    let new = |kind| aecl_gate::identity::new_key(kind).unwrap();
    let (mut people, mut programs, mut keys) = (Vec::new(), Vec::new(), json!({}));
    for (id, groups, tenants) in [
        ("ann", json!(["finance"]), json!(["alpha"])),
        ("bea", json!(["finance"]), json!(["beta"])),
        ("eve", json!([]), Value::Null),
        ("aud", json!(["auditors", "finance"]), Value::Null),
        ("opa", json!(["operators"]), json!(["alpha"])),
        ("olga", json!(["operators"]), Value::Null),
    ] {
        let (key, hash) = new('p');
        keys[id] = json!(key);
        let mut person = json!({"id": id, "groups": groups, "key": hash.to_string()});
        if !tenants.is_null() {
            person["tenants"] = tenants;
        }
        people.push(person);
    }
    for (id, tenants, environments) in [
        ("at-alpha", json!(["alpha"]), json!(["staging", "test"])),
        ("at-beta", json!(["beta"]), json!(["production"])),
    ] {
        let (key, hash) = new('o');
        keys[id] = json!(key);
        programs.push(json!({"id": id, "agents": ["payer"], "tenants": tenants, "environments": environments, "key": hash.to_string()}));
    }
    (Served::with(json!({"people": people, "orchestrators": programs})).await, keys)
}

async fn open(s: &Served, key: &Value, more: Value) -> Reply {
    let mut body = json!({"agent": "payer", "goal": "Pay what is due."});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    s.post(key.as_str().unwrap(), "/v1/runs", &body).await
}

#[tokio::test]
async fn where_a_run_acts_follows_from_the_key() {
    let (s, keys) = two_tenants().await;
    for (key, asked, outcome) in [
        ("at-alpha", json!({"environment": "test"}), "201 alpha test"),
        ("at-alpha", json!({"environment": "staging", "tenant": "alpha"}), "201 alpha staging"),
        ("at-alpha", json!({"environment": "production"}), "201 alpha production"),
        ("at-alpha", json!({}), "400 request_invalid"),
        ("at-alpha", json!({"environment": "dev"}), "403 forbidden"),
        ("at-alpha", json!({"environment": "test", "tenant": "beta"}), "403 forbidden"),
        ("at-beta", json!({}), "201 beta production"),
        ("at-beta", json!({"environment": "staging"}), "403 forbidden"),
    ] {
        let reply = open(&s, &keys[key], asked.clone()).await;
        let got = match reply.status {
            201 => {
                let run = reply.json()["run"].as_str().unwrap().to_owned();
                let run = s.get(keys[key].as_str().unwrap(), &format!("/v1/runs/{run}")).await.json();
                format!("201 {} {}", run["tenant"].as_str().unwrap(), run["environment"].as_str().unwrap())
            }
            _ => reply.short(),
        };
        assert_eq!(got, outcome, "{key} {asked} {}", reply.text);
    }
    // A key without lists acts where the configuration says, and may only ask for more severity.
    let usual = Served::start().await;
    let key = json!(usual.keys.orchestrator);
    assert_eq!(open(&usual, &key, json!({"environment": "dev"})).await.short(), "403 forbidden");
    assert_eq!(open(&usual, &key, json!({"environment": "production"})).await.status, 201);
}

#[tokio::test]
async fn everybody_reads_what_asks_them_and_nothing_else() {
    let (s, keys) = two_tenants().await;
    let key = |name: &str| keys[name].as_str().unwrap().to_owned();
    let run = open(&s, &keys["at-beta"], json!({})).await.json();
    let (run, token) = (run["run"].as_str().unwrap().to_owned(), run["token"].as_str().unwrap().to_owned());
    let pending = ask(&s, &token, 7, "acc-beta").await;
    let (id, action) = (id_of(&pending), pending["action"].as_str().unwrap().to_owned());
    let paths = [
        format!("/v1/approvals/{id}"),
        format!("/v1/runs/{run}"),
        format!("/v1/actions/{action}"),
        format!("/v1/ledger/runs/{run}/entries"),
        format!("/v1/ledger/actions/{action}/entries"),
        "/v1/ledger/entries".to_owned(),
        "/v1/ledger/tile/entries/000.p/1".to_owned(),
    ];
    for (name, sees, total) in [
        ("bea", "yes yes yes yes yes no no", 1),
        ("ann", "no no no no no no no", 0),
        ("eve", "no no no no no no no", 0),
        ("opa", "no no no no no no no", 0),
        ("aud", "yes yes yes yes yes yes yes", 1),
        ("olga", "yes yes yes yes yes yes yes", 1),
        ("at-beta", "no yes yes yes yes no no", 0),
        ("at-alpha", "no no no no no no no", 0),
    ] {
        let mut seen = Vec::new();
        for path in &paths {
            let reply = s.get(&key(name), path).await;
            let there = matches!(reply.status, 200 | 202);
            assert!(there || !reply.text.contains("acc-beta"), "{name} {path}");
            assert!(there || matches!(reply.status, 403 | 404), "{name} {path} {}", reply.text);
            seen.push(if there { "yes" } else { "no" });
        }
        assert_eq!(seen.join(" "), sees, "{name}");
        let queue = s.get(&key(name), "/v1/approvals").await;
        let found = queue.json()["total"].as_u64().unwrap_or(0);
        assert_eq!(found, total, "{name} {}", queue.text);
    }
    let question = json!({"subject": {"type": "agent", "id": "payer"}, "action": {"name": "payments.transfer"},
        "resource": {"type": "resource", "id": "x"}, "context": {"run": run}});
    for (name, status) in
        [("ann", 404), ("eve", 404), ("opa", 404), ("at-alpha", 404), ("bea", 200), ("olga", 200)]
    {
        let reply = s.post(&key(name), "/access/v1/evaluation", &question).await;
        assert_eq!(reply.status, status, "{name} {}", reply.text);
    }
    for (name, status) in [("opa", 403), ("ann", 403), ("olga", 200)] {
        for path in ["/v1/clock/accept", "/v1/reload"] {
            let reply = s.post(&key(name), path, &json!({})).await;
            assert_eq!(reply.status, status, "{name} {path} {}", reply.text);
        }
    }
    for (name, said) in [
        ("ann", "404 approval_unknown"),
        ("eve", "404 approval_unknown"),
        ("aud", "403 approver_refused"),
        ("opa", "404 approval_unknown"),
    ] {
        assert_eq!(approve(&s, &key(name), &id, json!({})).await.short(), said, "{name}");
    }
    assert_eq!(approve(&s, &key("bea"), &id, json!({})).await.json()["state"], "approved");
    for (scope, outcome) in [
        (json!({"tenant": "beta"}), 403),
        (json!("all"), 403),
        (json!({"agent": "payer"}), 403),
        (json!({"run": run}), 403),
        (json!({"tenant": "alpha"}), 200),
    ] {
        let reply = s.post(&key("opa"), "/v1/kill", &json!({"scope": scope, "reason": "drill"})).await;
        assert_eq!(reply.status, outcome, "{scope} {}", reply.text);
    }
    let seen = s.get(&key("bea"), "/v1/kill").await.text;
    assert!(!seen.contains("alpha"), "{seen}");
}

/// Whether there is a run, an action or a request of others, and whose, is nothing that a stranger hears.
#[tokio::test]
async fn to_whoever_may_not_see_it_it_is_not_there() {
    let (s, keys) = two_tenants().await;
    let key = |name: &str| keys[name].as_str().unwrap().to_owned();
    let opened = open(&s, &keys["at-beta"], json!({})).await.json();
    let (run, token) = (opened["run"].as_str().unwrap(), opened["token"].as_str().unwrap());
    let pending = ask(&s, token, 7, "acc-beta").await;
    let (id, action) = (id_of(&pending), pending["action"].as_str().unwrap());
    let number = s.get(&key("bea"), &format!("/v1/approvals/{id}")).await.json()["number"].to_string();
    let other = open(&s, &keys["at-alpha"], json!({"environment": "test"})).await.json();
    let bearer = other["token"].as_str().unwrap();
    let none = |of: &str| match of.split_once('_') {
        Some((kind, name)) => format!("{kind}_{}", "0".repeat(name.len())),
        None => "4000000".to_owned(),
    };
    let reason = json!({"reason": "why not"});
    let within = json!({"agent": "payer", "goal": "more"});
    let asked = |run: &str| {
        json!({"subject": {"type": "agent", "id": "payer"}, "action": {"name": "payments.transfer"},
            "resource": {"type": "resource", "id": "x"}, "context": {"run": run}})
    };
    let undo = |action: &str| json!({"agent": "payer", "tenant": "alpha", "action": "payments.refund", "arguments": {}, "compensates": action});
    let questions = [
        (run, "GET /v1/runs/{}", json!(null)),
        (run, "GET /v1/ledger/runs/{}/entries", json!(null)),
        (run, "POST /v1/runs/{}/close", reason.clone()),
        (run, "POST /v1/runs/{}/delegate", within),
        (run, "POST /v1/runs/{}/tokens", json!({})),
        (run, "POST /v1/runs/{}/tokens/tok_1/revoke", json!({})),
        (run, "POST /v1/runs/{}/rollback", reason.clone()),
        (run, "POST /v1/kill", json!({"scope": {"run": run}, "reason": "drill"})),
        (run, "POST /access/v1/evaluation", asked(run)),
        (action, "GET /v1/actions/{}", json!(null)),
        (action, "GET /v1/ledger/actions/{}/entries", json!(null)),
        (action, "POST /v1/actions/{}/outcome", json!({"outcome": "done"})),
        (action, "POST /v1/actions/{}/rollback", reason.clone()),
        (action, "POST /v1/actions/{}/resolve", json!({"done": true, "note": "seen"})),
        (action, "POST /v1/explain", undo(action)),
        (&id, "GET /v1/approvals/{}", json!(null)),
        (&id, "POST /v1/approvals/{}/approve", json!({})),
        (&id, "POST /v1/approvals/{}/reject", reason),
        (&number, "GET /v1/approvals/{}", json!(null)),
        (&number, "POST /v1/approvals/{}/approve", json!({})),
    ];
    for name in ["ann", "eve", "opa", "at-alpha", "a token"] {
        let key = if name == "a token" { bearer.to_owned() } else { key(name) };
        for (of, question, body) in &questions {
            let (method, path) = question.split_once(' ').unwrap();
            let mut said = Vec::new();
            for of_which in [(*of).to_owned(), none(of)] {
                let path = path.replace("{}", &of_which);
                let reply = match method {
                    "GET" => s.get(&key, &path).await,
                    _ => s.post_text(&key, &path, &body.to_string().replace(of, &of_which)).await,
                };
                assert!(reply.status >= 400, "{name} {question}: {}", reply.text);
                // A number may stand anywhere else, too.
                let named = if of_which.contains('_') { of_which } else { format!("number {of_which}") };
                said.push((reply.status, reply.text.replace(&named, "it")));
            }
            assert_eq!(said[0], said[1], "{name} {question}");
        }
    }
}

#[tokio::test]
async fn what_is_refused_and_on_no_record_is_counted() {
    let s = Served::start().await;
    let (_, token) = s.run("payer").await;
    let id = id_of(&ask(&s, &token, 1, "acc-1").await);
    assert_eq!(approve(&s, &s.keys.olga, &id, json!({})).await.short(), "403 approver_refused");
    for forged in ["aecl_p_forged", "eyJhbGciOiJub25lIn0.e30."] {
        assert_eq!(s.get(forged, "/v1/approvals").await.short(), "401 token_invalid");
    }
    let kill = s.post(&s.keys.finn, "/v1/kill", &json!({"scope": "all", "reason": "x"})).await;
    assert_eq!(kill.short(), "403 forbidden");
    let metrics = s.get(&s.keys.olga, "/metrics").await.text;
    for line in [
        "aecl_refused_total{code=\"approver_refused\"} 1",
        "aecl_refused_total{code=\"token_invalid\"} 2",
        "aecl_refused_total{code=\"forbidden\"} 1",
        "aecl_approvals_open 1",
    ] {
        assert!(metrics.lines().any(|l| l == line), "{line}\n{metrics}");
    }
}

/// A payer with a budget of so much a day.
async fn with_budget(limit: &str) -> Served {
    let policy = |world: &std::path::Path| {
        let mut agents = agents();
        agents[0]["budgets"] = json!([{"unit": "EUR", "limit": limit, "per": "day"}]);
        let source = |path: &str, value: Value| Source { path: path.into(), text: value.to_string() };
        vec![source("actions/all.json", actions(world)), source("agents/all.json", agents)]
    };
    Served::of(json!({}), policy).await
}

/// What whoever polls for an action reads, the state of its request, and what a late yes is told.
async fn over(s: &Served, token: &str, pending: &Value) -> [String; 4] {
    let polled = s.get(token, &format!("/v1/actions/{}?wait_s=5", pending["action"].as_str().unwrap())).await;
    let request = format!("/v1/approvals/{}", id_of(pending));
    let shown = s.get(&s.keys.finn, &request).await.json();
    let told = format!("{} {}", shown["state"], shown["action_code"]);
    let late = s.post(&s.keys.finn, &format!("{request}/approve"), &json!({})).await;
    assert!(late.text.contains("was withdrawn"), "{}", late.text);
    assert_eq!(shown["action_message"], polled.json()["message"], "the card says what the agent is told");
    [polled.short(), polled.json()["message"].as_str().unwrap().to_owned(), told, late.short()]
}

async fn total(s: &Served) -> Value {
    s.get(&s.keys.finn, "/v1/approvals").await.json()["total"].clone()
}

#[tokio::test]
async fn what_can_no_longer_be_carried_out_leaves_the_queue_and_says_so_to_whoever_polls() {
    let s = with_budget("15").await;
    let (run, token) = s.run("payer").await;
    let resume = json!({"resume": true});
    let [first, second, third] = [
        s.transfer(&token, "10", resume.clone()).await.json(),
        s.transfer(&token, "9", resume.clone()).await.json(),
        s.transfer(&token, "8", json!({})).await.json(),
    ];
    for pending in [&first, &second] {
        let yes =
            s.post(&s.keys.finn, &format!("/v1/approvals/{}/approve", id_of(pending)), &json!({})).await;
        assert_eq!(yes.status, 200, "{}", yes.text);
        // The first is done, and the second has a budget that does not cover both.
        s.get(&token, &format!("/v1/actions/{}?wait_s=5", pending["action"].as_str().unwrap())).await;
    }
    let [polled, message, request, late] = over(&s, &token, &second).await;
    assert_eq!(
        [polled.as_str(), &request, &late],
        ["200 blocked budget_exceeded", r#""withdrawn" "budget_exceeded""#, "409 approval_closed"]
    );
    assert!(message.contains("nothing was executed"), "{message}");
    assert_eq!((total(&s).await, count(&s.world, "payments")), (json!(1), 1));

    // Whoever waits in a run that ends is told at once.
    let action = third["action"].as_str().unwrap();
    let path = format!("/v1/actions/{action}?wait_s=20");
    let (close, why) = (format!("/v1/runs/{run}/close"), json!({"reason": "enough"}));
    let (polls, closed) = tokio::join!(s.get(&token, &path), s.post(&s.keys.orchestrator, &close, &why));
    assert_eq!((polls.short().as_str(), closed.status), ("200 blocked run_closed", 200), "{}", closed.text);
    let [polled, message, request, late] = over(&s, &token, &third).await;
    assert_eq!(
        [polled.as_str(), &request, &late],
        ["200 blocked run_closed", r#""withdrawn" "run_closed""#, "409 approval_closed"]
    );
    assert!(message.contains("enough") && message.contains("Open a new run"), "{message}");
    assert_eq!((total(&s).await, count(&s.world, "payments")), (json!(0), 1));
    let entries = s.get(&s.keys.olga, &format!("/v1/ledger/runs/{run}/entries")).await.text;
    assert_eq!(entries.matches(r#""kind":"withdrawn""#).count(), 2, "{entries}");
}

#[tokio::test]
async fn what_expires_says_how_far_it_had_come() {
    let s = Served::of(json!({}), |world| {
        let mut agents = agents();
        agents[0]["context_rules"]["docs.apply"] =
            json!({"requires": "human_approval", "approvers": ["finance"], "count": 2});
        let source = |path: &str, value: Value| Source { path: path.into(), text: value.to_string() };
        vec![source("actions/all.json", actions(world)), source("agents/all.json", agents)]
    })
    .await;
    let (run, token) = s.run("payer").await;
    let change = json!({"action": "docs.apply", "arguments": {"changes": [{"path": "a", "content": "b"}]}});
    let asked = [
        s.transfer(&token, "1", json!({})).await.json(),
        s.transfer(&token, "2", json!({})).await.json(),
        s.post(&token, "/v1/actions", &change).await.json(),
    ];
    for pending in &asked[1..] {
        let yes = approve(&s, &s.keys.finn, &id_of(pending), json!({})).await;
        assert_eq!(yes.status, 200, "{}", yes.text);
    }
    s.later(2 * 3600);
    assert_eq!(s.gate.sweep().await.unwrap(), 3);
    for (pending, message) in asked.iter().zip([
        "nobody answered in time",
        "approved, but not used in time",
        "not enough people agreed in time",
    ]) {
        let path = format!("/v1/actions/{}", pending["action"].as_str().unwrap());
        let polled = s.get(&s.keys.orchestrator, &path).await;
        assert_eq!(polled.short(), "200 rejected approval_expired", "{}", polled.text);
        assert_eq!(polled.json()["message"], message);
        let card = s.get(&s.keys.finn, &format!("/v1/approvals/{}", id_of(pending))).await.json();
        assert_eq!((&card["state"], &card["action_message"]), (&json!("expired"), &json!(message)));
    }
    let entries = s.get(&s.keys.olga, &format!("/v1/ledger/runs/{run}/entries")).await.text;
    for lapse in [r#""lapse":"approved""#, r#""lapse":"incomplete""#] {
        assert_eq!(entries.matches(lapse).count(), 1, "{entries}");
    }
}

/// Notes that wait for one person of finance.
async fn notes(s: &Served, token: &str, texts: &[&str]) -> Vec<String> {
    let mut ids = Vec::new();
    for text in texts {
        let body = json!({"action": "notes.write", "arguments": {"text": text}});
        let reply = s.post(token, "/v1/actions", &body).await;
        assert_eq!(reply.status, 202, "{}", reply.text);
        ids.push(id_of(&reply.json()));
    }
    ids
}

async fn with_notes() -> Served {
    let policy = |world: &std::path::Path| {
        let source = |path: &str, value: Value| Source { path: path.into(), text: value.to_string() };
        let mut agents = agents();
        agents[0]["context_rules"]["notes.write"] = json!("requires_human_approval");
        let mut actions = actions(world);
        let all = actions.as_array_mut().unwrap();
        all.iter_mut().find(|a| a["name"] == "payments.transfer").unwrap()["severity"] = json!(3);
        vec![source("actions/all.json", actions), source("agents/all.json", agents)]
    };
    Served::of(json!({}), policy).await
}

#[tokio::test]
async fn several_are_answered_at_once_and_each_by_itself() {
    let s = with_notes().await;
    let (_, token) = s.run("payer").await;
    let ids = notes(&s, &token, &["one", "two", "three"]).await;
    let grave = id_of(&ask(&s, &token, 1, "acc-1").await);
    let alike = s.get(&s.keys.finn, &format!("/v1/approvals?alike={}", ids[0])).await.json();
    let found: Vec<&str> =
        alike["approvals"].as_array().unwrap().iter().map(|a| a["id"].as_str().unwrap()).collect();
    assert_eq!(found, ids, "not the payment");
    assert_eq!(s.get(&s.keys.finn, "/v1/approvals?alike=apr_none").await.short(), "404 approval_unknown");

    let view =
        async |id: &str| s.get(&s.keys.finn, &format!("/v1/approvals/{id}")).await.json()["view"].clone();
    let one = async |id: &str, yes: bool| json!({"approval": id, "view": view(id).await, "yes": yes});
    let stale = stale_of(&ids[2]);
    let nobody = stale_of("apr_none");
    let body = json!({"answers": [one(&ids[0], true).await, one(&ids[1], false).await, stale, nobody, one(&grave, true).await]});
    let refused = s.post(&s.keys.orchestrator, "/v1/approvals/answers", &body).await;
    assert_eq!(refused.short(), "403 forbidden");
    let told = s.post(&s.keys.finn, "/v1/approvals/answers", &body).await;
    assert_eq!(told.status, 200, "{}", told.text);
    let results: Vec<String> = told.json()["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["state"].as_str().or(r["code"].as_str()).unwrap().to_owned())
        .collect();
    let expected = ["approved", "rejected", "view_changed", "approval_unknown", "confirmation_wanted"];
    assert_eq!(results, expected, "what can do grave harm is answered on its own card");
    let again =
        s.post(&s.keys.finn, "/v1/approvals/answers", &json!({"answers": [body["answers"][0]]})).await.json();
    assert!(again["results"][0]["code"].is_string(), "once: {again}");

    for (bad, code) in [
        (json!({}), "400 request_invalid"),
        (json!({"answers": [{"approval": ids[2], "yes": true}]}), "400 request_invalid"),
        (json!({"answers": vec![stale_of(&ids[2]); 51]}), "400 request_invalid"),
    ] {
        assert_eq!(s.post(&s.keys.finn, "/v1/approvals/answers", &bad).await.short(), code, "{bad}");
    }
    let left = s.get(&s.keys.finn, &format!("/v1/approvals/{}", ids[2])).await.json();
    assert_eq!(left["state"], "pending", "what was not looked at is not answered");
}

fn stale_of(id: &str) -> Value {
    json!({"approval": id, "view": format!("sha256:{}", "0".repeat(64)), "yes": true})
}
