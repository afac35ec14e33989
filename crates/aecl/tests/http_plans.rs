//! Plans that people agree to up front, over the HTTP API and on the pages.

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

fn transfers(times: u32) -> Value {
    let equals = |value: &str| json!({"equals": value});
    json!({"steps": [
        {"action": "mail.read"},
        {"action": "payments.transfer", "times": times, "arguments": {
            "/account": equals("acc-9"), "/amount": equals("10"), "/currency": equals("EUR")}},
        {"action": "notes.write", "arguments": {"/text": equals("<b>paid</b>")}},
    ]})
}

/// Opens a run with a plan that people are asked about.
async fn planned(s: &Served, more: Value) -> Reply {
    let mut body =
        json!({"agent": "payer", "goal": "Pay what is due.", "plan": transfers(2), "approve_plan": true});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    s.post(&s.keys.orchestrator, "/v1/runs", &body).await
}

fn text(value: &Value, at: &str) -> String {
    value.pointer(at).and_then(Value::as_str).unwrap_or_else(|| panic!("no {at} in {value}")).to_owned()
}

async fn approve(s: &Served, id: &str, key: &str, confirm: &[&str]) -> Reply {
    s.post(key, &format!("/v1/approvals/{id}/approve"), &json!({ "confirm": confirm })).await
}

#[tokio::test]
async fn a_plan_is_approved_once_and_carried_out_without_asking() {
    let s = Served::start().await;
    let opened = planned(&s, json!({})).await;
    assert_eq!(opened.status, 201, "{}", opened.text);
    let opened = opened.json();
    let (run, token) = (text(&opened, "/run"), text(&opened, "/token"));
    let id = text(&opened, "/plan_approval/id");
    assert_eq!(text(&opened, "/plan_approval/state"), "pending");
    assert!(text(&opened, "/plan_approval/url").ends_with(&format!("/approvals/{id}")));

    // It stands in the queue, with everything that people need to know.
    let queue = s.get(&s.keys.finn, "/v1/approvals").await.json();
    assert_eq!(queue["approvals"][0]["about"], "plan");
    assert_eq!(queue["approvals"][0]["summary"]["title"], "Plan of 3 steps: Pay what is due.");
    assert!(queue["approvals"][0].get("action").is_none(), "there is none");
    let full = s.get(&s.keys.finn, &format!("/v1/approvals/{id}")).await.json();
    assert_eq!((full["may_answer"].clone(), full["action_state"].clone()), (json!(true), json!("open")));
    let step = &full["plan_steps"][1];
    assert_eq!((text(step, "/name").as_str(), step["times"].as_u64()), ("payments.transfer", Some(2)));
    assert_eq!(
        step["arguments"][0],
        json!({"at": "/account", "class": "dest_account", "is": "equals", "values": ["acc-9"]})
    );
    assert_eq!((text(step, "/verdict").as_str(), step["covered"].clone()), ("require_approval", json!(true)));
    assert!(step["because"].as_array().unwrap().iter().any(|b| b.as_str().unwrap().contains("human approval") || b.as_str().unwrap().contains("person")), "{step}");
    assert_eq!(step["unnamed"], json!(["/account"]), "the goal does not name it");
    assert_eq!(full["plan_steps"][0]["verdict"], "allow");
    assert_eq!(full["confirm"][0]["what"], "the last 4 characters of `account` in step 2");

    // Until people agree, each step asks by itself; reads pass.
    assert_eq!(s.transfer(&token, "10", json!({})).await.json()["state"], "pending");
    // Somebody of other groups may not answer; a yes is typed.
    assert_eq!(approve(&s, &id, &s.keys.olga, &["cc-9"]).await.short(), "403 approver_refused");
    assert_eq!(approve(&s, &id, &s.keys.finn, &[]).await.short(), "409 confirmation_wanted");
    let path = format!("/v1/runs/{run}?wait_s=20");
    let (waits, yes) = tokio::join!(s.get(&s.keys.orchestrator, &path), async {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        approve(&s, &id, &s.keys.finn, &["cc-9"]).await
    });
    assert_eq!(yes.json()["state"], "approved", "{}", yes.text);
    assert_eq!(text(&waits.json(), "/plan_approval/state"), "approved", "whoever waits is told");

    let mail = json!({"action": "mail.read", "arguments": {"id": "m1"}});
    assert_eq!(s.post(&token, "/v1/actions", &mail).await.json()["state"], "done");
    for _ in 0..2 {
        let done = s.transfer(&token, "10", json!({})).await.json();
        assert_eq!(done["state"], "done", "{done}");
        assert_eq!((&done["decision"]["approval"], &done["decision"]["plan_step"]), (&json!(id), &json!(2)));
    }
    assert_eq!(s.transfer(&token, "10", json!({})).await.short(), "202 pending approval_pending");
    let other = json!({"arguments": {"account": "acc-8", "amount": "10", "currency": "EUR"}});
    assert_eq!(s.transfer(&token, "10", other).await.json()["state"], "blocked", "no step, and a stranger's");
    assert_eq!(count(&s.world, "payments"), 2);

    // Whoever agreed takes it back; the run ends.
    let no = s.post(&s.keys.finn, &format!("/v1/approvals/{id}/reject"), &json!({"reason": "stop"})).await;
    assert_eq!(no.json()["state"], "rejected", "{}", no.text);
    let note = json!({"action": "notes.write", "arguments": {"text": "<b>paid</b>"}});
    assert_eq!(s.post(&token, "/v1/actions", &note).await.short(), "200 blocked run_closed");
    let run = s.get(&s.keys.orchestrator, &format!("/v1/runs/{run}")).await.json();
    assert_eq!(
        (text(&run, "/state").as_str(), text(&run, "/closed").as_str()),
        ("closed", "`finn` said no to its plan: stop")
    );
    let history = s.get(&s.keys.olga, &format!("/v1/ledger/runs/{}/entries", text(&run, "/run"))).await.text;
    assert!(history.contains("\"plan_step\":1") && history.contains("\"kind\":\"run_closed\""), "{history}");
}

/// The usual policy, and `payer` may transfer without asking: plans are optional to it.
async fn of_a_free_payer() -> Served {
    let mut agents = agents();
    agents[0]["allowed_actions"].as_array_mut().unwrap().push(json!("payments.transfer"));
    agents[0]["context_rules"].as_object_mut().unwrap().remove("payments.transfer");
    agents[0]["auto_approve_threshold"] = json!("1.00");
    let source = |path: &str, value: Value| Source { path: path.into(), text: value.to_string() };
    Served::of(json!({}), |world| {
        vec![source("actions/all.json", actions(world)), source("agents/all.json", agents)]
    })
    .await
}

#[tokio::test]
async fn what_only_a_plan_that_waits_names_is_asked_about_until_people_agree() {
    let s = of_a_free_payer().await;
    let (_, free) = s.run("payer").await;
    assert_eq!(s.transfer(&free, "10", json!({})).await.json()["state"], "done", "by itself it does not ask");
    let opened = planned(&s, json!({"plan": transfers(5)})).await.json();
    let (token, id) = (text(&opened, "/token"), text(&opened, "/plan_approval/id"));
    let mail = json!({"action": "mail.read", "arguments": {"id": "m1"}});
    assert_eq!(s.post(&token, "/v1/actions", &mail).await.json()["state"], "done");
    for _ in 0..5 {
        let pending = s.transfer(&token, "10", json!({})).await;
        assert_eq!(pending.short(), "202 pending approval_pending");
        let findings = pending.json()["decision"]["findings"].to_string();
        assert!(findings.contains("unproven_destination"), "{findings}");
    }
    assert_eq!(count(&s.world, "payments"), 1, "nobody has agreed yet");
    let other = json!({"arguments": {"account": "acc-8", "amount": "10", "currency": "EUR"}});
    assert_eq!(s.transfer(&token, "10", other).await.json()["state"], "blocked", "it binds the run already");

    assert_eq!(approve(&s, &id, &s.keys.finn, &["cc-9"]).await.json()["state"], "approved");
    for _ in 0..5 {
        assert_eq!(s.transfer(&token, "10", json!({})).await.json()["state"], "done");
    }
    assert_eq!(count(&s.world, "payments"), 6);
    let sixth = s.transfer(&token, "10", json!({})).await;
    assert_eq!(sixth.json()["decision"]["headline"], "off_plan", "often enough: {}", sixth.text);
}

#[tokio::test]
async fn a_plan_that_cannot_be_asked_about_opens_no_run() {
    let s = Served::start().await;
    for (more, why) in [
        (json!({"plan": null}), "there is no plan"),
        (
            json!({"plan": {"steps": [{"action": "payments.close_account"}]}}),
            "step 1 of the plan, `payments.close_account`: it would be refused",
        ),
        (json!({"plan": {"steps": [{"action": "payments.transfr"}]}}), "did you mean `payments.transfer`?"),
        (json!({"plan": {"steps": [{"action": "mail.read", "times": -1}]}}), "the plan: "),
        (json!({"approve_plan": "yes"}), "expected a boolean"),
    ] {
        let refused = planned(&s, more.clone()).await;
        assert_eq!(refused.short(), "400 request_invalid", "{more}");
        assert!(refused.text.contains(why), "{}", refused.text);
    }
    let run = planned(&s, json!({"approve_plan": false, "wait_s": 5})).await.json();
    assert!(run.get("plan_approval").is_none(), "nobody wants it, so nobody waits");
}

async fn form(s: &Served, path: &str, cookie: &str, body: &str) -> Reply {
    let own = format!("http://aecl.localhost:{}", s.address.port());
    let all =
        [("content-type", "application/x-www-form-urlencoded"), ("origin", own.as_str()), ("cookie", cookie)];
    s.send("POST", path, &all, body.as_bytes()).await
}

#[tokio::test]
async fn the_page_shows_every_step_and_takes_the_answer_and_the_yes_back() {
    let s = Served::start().await;
    let opened = planned(&s, json!({"goal": "Pay <script>alert(1)</script> what is due."})).await.json();
    let (id, token) = (text(&opened, "/plan_approval/id"), text(&opened, "/token"));
    let body = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("key", &s.keys.finn)
        .append_pair("next", "/approvals")
        .finish();
    let login = form(&s, "/login", "", &body).await;
    let cookie = login.headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let queue = s.send("GET", "/approvals", &[("cookie", &cookie)], b"").await.text;
    assert!(queue.contains("Plan of 3 steps: Pay &lt;script&gt;"), "{queue}");
    let path = format!("/approvals/{id}");
    let page = s.send("GET", &path, &[("cookie", &cookie)], b"").await.text;
    for shows in [
        "<h2>Exactly these steps, in this order</h2>",
        "<code>payments.transfer</code> <span class=\"badge\">up to 2 times</span>",
        "<dt>account</dt><dd><span class=\"quiet\">exactly </span><pre>acc-9</pre><p class=\"warn\">Only the plan names it; the goal does not.</p>",
        "Can be undone for 24 hours with <code>payments.refund</code>.",
        "By itself it would ask, once the run has read what a stranger may have written:",
        "By itself it would not ask.",
        "<dt>note</dt><dd class=\"quiet\">anything</dd>",
        "&lt;b&gt;paid&lt;/b&gt;",
        "1 person of finance",
        "To approve, type the last 4 characters of <code>account</code> in step 2",
        "Then each step asks by itself.",
        "Your yes is for all of these steps. A no ends the run.",
    ] {
        assert!(page.contains(shows), "{shows}\n{page}");
    }
    assert!(!page.contains("<script>") && !page.contains("<b>paid"));
    let field = |page: &str, name: &str| {
        let at = format!("name=\"{name}\" value=\"");
        page.split(&at).nth(1).unwrap().split('"').next().unwrap().to_owned()
    };
    let (csrf, view) = (field(&page, "csrf"), field(&page, "view").replace(':', "%3A"));
    let yes = format!("answer=approve&csrf={csrf}&view={view}&key={}&confirm_0=cc-9", s.keys.finn);
    assert_eq!(form(&s, &path, &cookie, &yes).await.status, 303);
    assert_eq!(s.transfer(&token, "10", json!({})).await.json()["state"], "done");
    let page = s.send("GET", &path, &[("cookie", &cookie)], b"").await.text;
    assert!(
        page.contains("The plan is approved.") && page.contains("Take it back and end the run"),
        "{page}"
    );
    let view = field(&page, "view").replace(':', "%3A");
    let no = format!("answer=reject&csrf={}&view={view}&reason=enough", field(&page, "csrf"));
    assert_eq!(form(&s, &path, &cookie, &no).await.status, 303);
    let page = s.send("GET", &path, &[("cookie", &cookie)], b"").await.text;
    assert!(page.contains("The plan was rejected, and its run has ended.") && !page.contains("Take it back"));
    assert_eq!(s.transfer(&token, "10", json!({})).await.short(), "200 blocked run_closed");
}

// --- Proposed in the middle of a run

fn one_transfer(times: u32) -> Value {
    let equals = |value: &str| json!({"equals": value});
    json!([{"action": "payments.transfer", "times": times, "arguments": {
        "/account": equals("acc-9"), "/amount": equals("10"), "/currency": equals("EUR")}}])
}

#[tokio::test]
async fn an_agent_proposes_a_plan_after_what_it_has_read() {
    let s = Served::start().await;
    let (run, token) = s.run("payer").await;
    let path = format!("/v1/runs/{run}/plan");
    let mail = json!({"action": "mail.read", "arguments": {"id": "m1"}});
    assert_eq!(s.post(&token, "/v1/actions", &mail).await.json()["state"], "done");
    assert_eq!(s.get(&token, &path).await.short(), "404 record_unknown");
    let proposed = s.post(&token, &path, &json!({"steps": one_transfer(2)})).await;
    assert_eq!(proposed.status, 202, "{}", proposed.text);
    let proposed = proposed.json();
    assert_eq!((text(&proposed, "/state"), text(&proposed, "/run")), ("pending".to_owned(), run.clone()));
    assert_eq!(text(&proposed, "/steps/0/action"), "payments.transfer");
    assert!(proposed["steps"][0]["asks"].to_string().contains("unproven_destination"), "{proposed}");
    let id = text(&proposed, "/approval/id");
    let again = s.post(&token, &path, &json!({"steps": one_transfer(2)})).await.json();
    assert_eq!(text(&again, "/approval/id"), id, "the same is the same");

    let queue = s.get(&s.keys.finn, "/v1/approvals").await.json();
    assert!(text(&queue, "/approvals/0/summary/title").starts_with("Proposed: Plan of 1 step"), "{queue}");
    let full = s.get(&s.keys.finn, &format!("/v1/approvals/{id}")).await.json();
    assert_eq!((full["about"].clone(), full["proposed"].clone()), (json!("plan"), json!(true)));
    let values = full["plan_steps"][0]["values"].as_array().unwrap();
    let account = values.iter().find(|v| v["at"] == "/account").unwrap();
    assert_eq!((account["unproven"].clone(), account["stands"].clone()), (json!(true), json!("")));
    assert!(full["unproven"].as_array().unwrap().iter().any(|u| u["value"] == "acc-9"), "{full}");
    assert_eq!(full["history"][0]["name"], "mail.read");
    assert_eq!(approve(&s, &id, &s.keys.olga, &["cc-9"]).await.short(), "403 approver_refused");
    let waiting = format!("{path}?wait_s=20");
    let (waits, yes) = tokio::join!(s.get(&token, &waiting), async {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        approve(&s, &id, &s.keys.finn, &["cc-9"]).await
    });
    assert_eq!(yes.json()["state"], "approved", "{}", yes.text);
    assert_eq!((waits.status, text(&waits.json(), "/state")), (200, "approved".to_owned()));
    for _ in 0..2 {
        let done = s.transfer(&token, "10", json!({})).await.json();
        assert_eq!(done["state"], "done", "{done}");
        assert_eq!((&done["decision"]["approval"], &done["decision"]["plan_step"]), (&json!(id), &json!(1)));
    }
    assert_eq!(s.transfer(&token, "10", json!({})).await.short(), "202 pending approval_pending");
    assert_eq!(count(&s.world, "payments"), 2);
    let shown = s.get(&s.keys.orchestrator, &format!("/v1/runs/{run}")).await.json();
    assert_eq!((text(&shown, "/proposed_plan/id"), shown.get("plan_approval")), (id, None));
}

#[tokio::test]
async fn a_no_to_a_proposed_plan_is_told_and_the_run_goes_on() {
    let s = Served::start().await;
    let (run, token) = s.run("payer").await;
    let path = format!("/v1/runs/{run}/plan");
    let id = text(&s.post(&token, &path, &json!({"steps": one_transfer(2)})).await.json(), "/approval/id");
    let no = s
        .post(&s.keys.finn, &format!("/v1/approvals/{id}/reject"), &json!({"reason": "one is enough"}))
        .await;
    assert_eq!(no.json()["state"], "rejected", "{}", no.text);
    let told = s.get(&token, &path).await.json();
    assert_eq!(text(&told, "/state"), "rejected");
    assert!(text(&told, "/message").starts_with("`finn` said no: one is enough"), "{told}");
    let again = s.post(&token, &path, &json!({"steps": one_transfer(2)})).await;
    assert_eq!(again.short(), "409 plan_rejected");
    assert!(again.text.contains("one is enough"), "{}", again.text);
    assert_eq!(s.post(&token, &path, &json!({"steps": one_transfer(1)})).await.status, 202, "another may be");
    assert_eq!(text(&s.get(&token, &format!("/v1/runs/{run}")).await.json(), "/state"), "open");
}

#[tokio::test]
async fn who_may_propose_a_plan_and_which() {
    let s = Served::start().await;
    let (run, token) = s.run("payer").await;
    let (other, _) = s.run("payer").await;
    let path = format!("/v1/runs/{run}/plan");
    let body = json!({"steps": one_transfer(1)});
    for (key, at, says) in [
        (s.keys.orchestrator.as_str(), path.clone(), "401 token_invalid"),
        (s.keys.finn.as_str(), path.clone(), "401 token_invalid"),
        (token.as_str(), format!("/v1/runs/{other}/plan"), "403 forbidden"),
    ] {
        assert_eq!(s.post(key, &at, &body).await.short(), says, "{at}");
    }
    for (body, says, why) in [
        (json!({"steps": []}), "400 request_invalid", "each step has an `action`"),
        (json!({"steps": one_transfer(1), "loose": 1}), "400 request_invalid", "unknown field"),
        (
            json!({"steps": [{"action": "payments.transfr"}]}),
            "409 plan_refused",
            "did you mean `payments.transfer`?",
        ),
        (
            json!({"steps": [{"action": "mail.read"}, {"action": "payments.close_account"}]}),
            "409 plan_refused",
            "step 2 of the plan",
        ),
    ] {
        let refused = s.post(&token, &path, &body).await;
        assert_eq!(refused.short(), says, "{}", refused.text);
        assert!(refused.text.contains(why), "{}", refused.text);
    }
    let queue = s.get(&s.keys.finn, "/v1/approvals").await.json();
    assert_eq!(queue["total"], 0, "nobody was woken");
}

#[tokio::test]
async fn from_the_third_question_on_the_answer_says_that_a_plan_may_be_proposed() {
    let s = Served::start().await;
    let (run, token) = s.run("payer").await;
    for amount in ["1", "2", "3"] {
        let pending = s.transfer(&token, amount, json!({})).await.json();
        assert_eq!(pending["state"], "pending", "{pending}");
        let hint = pending["hint"].as_str().unwrap_or_default();
        assert_eq!(hint.contains(&format!("POST /v1/runs/{run}/plan")), amount == "3", "{amount}: {hint}");
    }
}

#[tokio::test]
async fn the_page_shows_where_the_values_of_a_proposed_plan_stand() {
    let s = Served::start().await;
    let (run, token) = s.run("payer").await;
    let mail = json!({"action": "mail.read", "arguments": {"id": "m1"}});
    assert_eq!(s.post(&token, "/v1/actions", &mail).await.json()["state"], "done");
    let path = format!("/v1/runs/{run}/plan");
    let id = text(&s.post(&token, &path, &json!({"steps": one_transfer(2)})).await.json(), "/approval/id");
    let body = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("key", &s.keys.finn)
        .append_pair("next", "/approvals")
        .finish();
    let login = form(&s, "/login", "", &body).await;
    let cookie = login.headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let page = s.send("GET", &format!("/approvals/{id}"), &[("cookie", &cookie)], b"").await.text;
    for shows in [
        "<h1>Proposed: Plan of 1 step",
        "<p class=\"warn\"><code>acc-9</code> is unproven: nobody who is trusted has named it.</p>",
        "<p class=\"warn\">Only the plan names it; the goal does not.</p>",
        "<h2>Where these values come from</h2>",
        "<h2>What the agent had read before</h2>",
        "To approve, type the last 4 characters of <code>account</code> in step 1",
        "Your yes is for exactly these steps. A no is to the plan; the run goes on.",
    ] {
        assert!(page.contains(shows), "{shows}\n{page}");
    }
    assert!(!page.contains("name=\"endorse\""), "a yes to a plan makes no value right elsewhere");
    approve(&s, &id, &s.keys.finn, &["cc-9"]).await;
    let page = s.send("GET", &format!("/approvals/{id}"), &[("cookie", &cookie)], b"").await.text;
    assert!(page.contains(">Take it back</button>") && !page.contains("The run ends."), "{page}");
}
