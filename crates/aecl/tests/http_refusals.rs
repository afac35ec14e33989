//! Bad input, case by case: what comes in, and status, state and code that come back. Nothing of it acts.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise, and its helpers are not marked as tests"
)]

mod common;

use aecl_proof::TilePath;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use common::{Served, count};
use expect_test::{Expect, expect};
use serde_json::{Value, json};

/// Runs a table of bodies against one path.
async fn table(s: &Served, credential: &str, path: &str, cases: &[(&str, &str)], page: Expect) {
    let mut out = String::new();
    for (name, body) in cases {
        let reply = s.post_text(credential, path, body).await;
        out += &format!("{name:<28} {}\n", reply.short());
        assert_eq!(
            reply.status,
            reply.json()["status"].as_u64().map_or(reply.status, |n| n as u16),
            "{name}"
        );
    }
    page.assert_eq(&out);
}

#[tokio::test]
async fn a_proposal_that_is_not_understood_is_refused_with_its_code() {
    let s = Served::start().await;
    let (_, token) = s.run("payer").await;
    let transfer = |arguments: &str| format!(r#"{{"action":"payments.transfer","arguments":{arguments}}}"#);
    let amount = |a: &str| transfer(&format!(r#"{{"account":"a","amount":{a},"currency":"EUR"}}"#));
    let deep = transfer(&format!("{}{}", "[".repeat(20_000), "]".repeat(20_000)));
    let deep_envelope = "[".repeat(100_000);
    let many = transfer(&format!("{{\"account\":[{}1]}}", "1,".repeat(150_000)));
    let (negative, precise, huge) = (amount("-1"), amount("1.005"), amount("1e400"));
    let (unsafe_integer, float, words) = (amount("9007199254740993"), amount("0.1e1"), amount("\"1,000\""));
    let cases = [
        ("no such action", r#"{"action":"payments.tranfser","arguments":{}}"#),
        ("not allowed", r#"{"action":"payments.close_account","arguments":{"account":"a"}}"#),
        ("missing field", &transfer(r#"{"account":"a","amount":"1"}"#)),
        ("extra field", &transfer(r#"{"account":"a","amount":"1","currency":"EUR","to":"b"}"#)),
        ("wrong type", &transfer(r#"{"account":7,"amount":"1","currency":"EUR"}"#)),
        ("arguments no object", &transfer("[]")),
        ("duplicate argument", &transfer(r#"{"account":"a","account":"b","amount":"1","currency":"EUR"}"#)),
        (
            "hidden duplicate",
            &transfer(r#"{"account":"a","\u0061ccount":"b","amount":"1","currency":"EUR"}"#),
        ),
        ("lone surrogate", &transfer(r#"{"account":"\ud800","amount":"1","currency":"EUR"}"#)),
        ("lone surrogate in name", r#"{"action":"mail\udc00","arguments":{}}"#),
        ("1e400", &huge),
        ("NaN", &amount("NaN")),
        ("unsafe integer", &unsafe_integer),
        ("negative amount", &negative),
        ("over-precise amount", &precise),
        ("amount in words", &words),
        ("amount as a float", &float),
        ("deep arguments", &deep),
        ("deep envelope", &deep_envelope),
        ("very many values", &many),
        ("nothing", ""),
        ("no JSON", "{"),
        ("two values", "{} {}"),
        ("no object", "[]"),
        ("no arguments", r#"{"action":"mail.read"}"#),
        ("no action", r#"{"arguments":{}}"#),
        ("unknown member", r#"{"action":"mail.read","arguments":{"id":"m1"},"as":"root"}"#),
        ("duplicate member", r#"{"action":"mail.read","action":"mail.read","arguments":{}}"#),
        ("unknown mode", r#"{"action":"mail.read","arguments":{"id":"m1"},"mode":"force"}"#),
        ("negative wait", r#"{"action":"mail.read","arguments":{"id":"m1"},"wait_s":-1}"#),
        ("empty key", r#"{"action":"mail.read","arguments":{"id":"m1"},"idempotency_key":""}"#),
    ];
    table(
        &s,
        &token,
        "/v1/actions",
        &cases,
        expect![[r#"
        no such action               200 blocked action_unknown
        not allowed                  200 blocked action_blocked
        missing field                200 blocked arguments_invalid
        extra field                  200 blocked arguments_invalid
        wrong type                   200 blocked arguments_invalid
        arguments no object          200 blocked arguments_not_object
        duplicate argument           200 blocked json_duplicate_key
        hidden duplicate             200 blocked json_duplicate_key
        lone surrogate               200 blocked json_invalid
        lone surrogate in name       400 json_invalid
        1e400                        200 blocked json_number
        NaN                          400 json_invalid
        unsafe integer               200 blocked json_number
        negative amount              200 blocked amount_invalid
        over-precise amount          200 blocked amount_invalid
        amount in words              200 blocked amount_invalid
        amount as a float            202 pending approval_pending
        deep arguments               200 blocked json_too_deep
        deep envelope                400 json_too_deep
        very many values             200 blocked json_too_large
        nothing                      400 json_invalid
        no JSON                      400 json_invalid
        two values                   400 json_invalid
        no object                    400 request_invalid
        no arguments                 400 request_invalid
        no action                    400 request_invalid
        unknown member               400 request_invalid
        duplicate member             400 json_duplicate_key
        unknown mode                 400 request_invalid
        negative wait                400 request_invalid
        empty key                    400 request_invalid
    "#]],
    )
    .await;
    assert_eq!(count(&s.world, "payments"), 0);
}

#[tokio::test]
async fn a_run_that_is_not_understood_is_not_opened() {
    let s = Served::start().await;
    let cases = [
        ("unknown agent", r#"{"agent":"payer2","goal":"x"}"#),
        ("another's agent", r#"{"agent":"other","goal":"x"}"#),
        ("no name", r#"{"agent":"a b","goal":"x"}"#),
        ("no goal", r#"{"agent":"payer"}"#),
        ("wrong type", r#"{"agent":"payer","goal":1}"#),
        ("unknown member", r#"{"agent":"payer","goal":"x","admin":true}"#),
        ("duplicate key", r#"{"agent":"payer","agent":"reader","goal":"x"}"#),
        ("duplicate key in the plan", r#"{"agent":"payer","goal":"x","plan":{"a":1,"a":2}}"#),
        ("number", r#"{"agent":"payer","goal":"x","plan":1e999}"#),
        ("negative time", r#"{"agent":"payer","goal":"x","ttl_s":-5}"#),
    ];
    let path = "/v1/runs";
    table(
        &s,
        &s.keys.orchestrator.clone(),
        path,
        &cases,
        expect![[r#"
        unknown agent                403 forbidden
        another's agent              403 forbidden
        no name                      400 request_invalid
        no goal                      400 request_invalid
        wrong type                   400 request_invalid
        unknown member               400 request_invalid
        duplicate key                400 json_duplicate_key
        duplicate key in the plan    400 json_duplicate_key
        number                       400 json_number
        negative time                400 request_invalid
    "#]],
    )
    .await;
    let long = json!({"agent": "payer", "goal": "x".repeat(20_000)});
    assert_eq!(s.post(&s.keys.orchestrator, path, &long).await.short(), "400 request_invalid");
    let unknown = s.post(&s.keys.olga, path, &json!({"agent": "payr", "goal": "x"})).await;
    assert_eq!(unknown.short(), "404 agent_unknown");
    assert_eq!(unknown.json()["detail"], "there is no manifest for agent `payr`; did you mean `payer`?");
}

/// The parts of a token, taken apart and put together otherwise.
fn forged(token: &str, header: Option<Value>, claims: impl FnOnce(&mut Value)) -> String {
    let mut parts = token.split('.');
    let (head, body, signature) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
    let mut value: Value = serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(body).unwrap()).unwrap();
    claims(&mut value);
    let encode = |v: &Value| BASE64_URL_SAFE_NO_PAD.encode(v.to_string());
    let head = header.map_or_else(|| head.to_owned(), |h| encode(&h));
    format!("{head}.{}.{signature}", encode(&value))
}

#[tokio::test]
async fn a_credential_that_does_not_count_is_refused() {
    let s = Served::start().await;
    let (run, token) = s.run("payer").await;
    let (other_run, _) = s.run("payer").await;
    let read = json!({"action": "mail.read", "arguments": {"id": "m1"}});
    let none = json!({"typ": "at+jwt", "alg": "none"});
    let hs = json!({"typ": "at+jwt", "alg": "HS256"});
    let unsigned = forged(&token, Some(none.clone()), |_| {});
    let permit = {
        let body = json!({"action": "notes.write", "arguments": {"text": "a"}, "mode": "authorize"});
        s.post(&token, "/v1/actions", &body).await.json()["permit"].as_str().unwrap().to_owned()
    };
    let bare = format!("{}.", unsigned.rsplit_once('.').unwrap().0);
    let mut out = String::new();
    for (name, credential) in [
        ("as issued", token.as_str()),
        ("nothing", ""),
        ("garbage", "x"),
        ("other run", &forged(&token, None, |c| c["run"] = other_run.clone().into())),
        ("later expiry", &forged(&token, None, |c| c["exp"] = 9_999_999_999_i64.into())),
        ("alg none", &unsigned),
        ("alg none, no signature", &bare),
        ("alg HS256", &forged(&token, Some(hs), |_| {})),
        ("a permit as a token", &permit),
        ("a person's key", &s.keys.finn),
        ("an orchestrator's key", &s.keys.orchestrator),
        ("an unknown key", "aecl_p_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
        ("token of another AECL", &Served::start().await.run("payer").await.1),
    ] {
        out += &format!("{name:<24} {}\n", s.post(credential, "/v1/actions", &read).await.short());
    }
    let revoke = {
        let renewed = s.post(&token, &format!("/v1/runs/{run}/tokens"), &json!({})).await.json();
        let id = renewed["token_id"].as_str().unwrap().to_owned();
        let revoked =
            s.post(&s.keys.orchestrator, &format!("/v1/runs/{run}/tokens/{id}/revoke"), &json!({})).await;
        assert_eq!(revoked.status, 204);
        renewed["token"].as_str().unwrap().to_owned()
    };
    let tokens = format!("/v1/runs/{run}/tokens");
    out += &format!("{:<24} {}\n", "revoked", s.post(&revoke, "/v1/actions", &read).await.short());
    s.later(61);
    out +=
        &format!("{:<24} {}\n", "revoked a minute ago", s.post(&revoke, "/v1/actions", &read).await.short());
    out += &format!("{:<24} {}\n", "revoked, to renew", s.post(&revoke, &tokens, &json!({})).await.short());
    out +=
        &format!("{:<24} {}\n", "revoked, to look", s.get(&revoke, &format!("/v1/runs/{run}")).await.short());
    let other = s.get(&token, &format!("/v1/runs/{other_run}")).await;
    out += &format!("{:<24} {}\n", "to look at another run", other.short());
    let kill = s.post(&token, "/v1/kill", &json!({"scope": "all"})).await;
    out += &format!("{:<24} {}\n", "to kill", kill.short());
    let twice =
        [("authorization", "Bearer a"), ("authorization", "Bearer b"), ("content-type", "application/json")];
    out += &format!("{:<24} {}\n", "two at once", s.send("POST", "/v1/actions", &twice, b"{}").await.short());
    let basic = [("authorization", "Basic YTpi"), ("content-type", "application/json")];
    out += &format!("{:<24} {}\n", "basic", s.send("POST", "/v1/actions", &basic, b"{}").await.short());
    s.later(14 * 60);
    out += &format!("{:<24} {}\n", "expired", s.post(&token, "/v1/actions", &read).await.short());
    s.later(61);
    out +=
        &format!("{:<24} {}\n", "expired a minute ago", s.post(&token, "/v1/actions", &read).await.short());
    out += &format!("{:<24} {}\n", "expired, to renew", s.post(&token, &tokens, &json!({})).await.short());
    let renewed = s.post(&s.keys.orchestrator, &tokens, &json!({})).await.json();
    let fresh = renewed["token"].as_str().unwrap();
    out += &format!("{:<24} {}\n", "renewed", s.post(fresh, "/v1/actions", &read).await.short());
    s.post(&s.keys.orchestrator, &format!("/v1/runs/{run}/close"), &json!({"reason": "over"})).await;
    out += &format!("{:<24} {}\n", "of a closed run", s.post(fresh, "/v1/actions", &read).await.short());
    out += &format!("{:<24} {}\n", "closed, to renew", s.post(fresh, &tokens, &json!({})).await.short());
    let later = s.post(&s.keys.orchestrator, &tokens, &json!({})).await;
    out += &format!("{:<24} {}\n", "closed, by its opener", later.short());
    expect![[r#"
        as issued                200 done -
        nothing                  401 token_invalid
        garbage                  401 token_invalid
        other run                401 token_invalid
        later expiry             401 token_invalid
        alg none                 401 token_invalid
        alg none, no signature   401 token_invalid
        alg HS256                401 token_invalid
        a permit as a token      401 token_invalid
        a person's key           401 token_invalid
        an orchestrator's key    401 token_invalid
        an unknown key           401 token_invalid
        token of another AECL    401 token_invalid
        revoked                  200 blocked token_revoked
        revoked a minute ago     401 token_revoked
        revoked, to renew        401 token_revoked
        revoked, to look         401 token_revoked
        to look at another run   404 run_unknown
        to kill                  403 forbidden
        two at once              400 request_invalid
        basic                    401 token_invalid
        expired                  200 blocked token_expired
        expired a minute ago     401 token_expired
        expired, to renew        401 token_expired
        renewed                  200 done -
        of a closed run          200 blocked run_closed
        closed, to renew         409 run_closed
        closed, by its opener    409 run_closed
    "#]]
    .assert_eq(&out);
}

#[tokio::test]
async fn a_token_fills_no_record_by_renewing_itself() {
    let s = Served::start().await;
    let (run, token) = s.run("payer").await;
    let tokens = format!("/v1/runs/{run}/tokens");
    let mut ends = Vec::new();
    for _ in 0..30 {
        ends.push(s.post(&token, &tokens, &json!({})).await.short());
    }
    assert_eq!((ends[14].as_str(), ends[15].as_str()), ("201 -", "429 tokens_exhausted"));
    assert!(ends[15..].iter().all(|end| end == "429 tokens_exhausted"), "{ends:?}");
    let refused = s.post(&token, &tokens, &json!({})).await;
    assert!(refused.headers.contains_key("retry-after"), "{}", refused.text);
    // What a thief has renewed ends with the token that he had, and the run goes on with a fresh one.
    let renewed = s.post(&s.keys.orchestrator, &tokens, &json!({})).await.json();
    let (fresh, id) = (renewed["token"].as_str().unwrap(), renewed["token_id"].as_str().unwrap());
    let read = json!({"action": "mail.read", "arguments": {"id": "m1"}});
    let gone = s.post(&s.keys.orchestrator, &format!("{tokens}/{id}/revoke"), &json!({})).await;
    assert_eq!(gone.status, 204);
    assert_eq!(s.post(fresh, "/v1/actions", &read).await.short(), "200 blocked token_revoked");
}

#[tokio::test]
async fn a_name_that_leads_here_is_no_name_of_ours() {
    let s = Served::start().await;
    let port = s.address.port();
    let mut out = String::new();
    for name in ["evil.example", "localhost.evil.example", "localhost", "127.0.0.1", "[::1]", "192.0.2.7"] {
        let host = format!("{name}:{port}");
        let with = [("host", host.as_str())];
        let mut line = format!("{name:<24}");
        for path in ["/metrics", "/healthz", "/readyz", "/v1/ledger/checkpoint", "/openapi.json", "/login"] {
            line += &format!(" {}", s.send("GET", path, &with, b"").await.status);
        }
        out += &format!("{line}\n");
    }
    let page = s.send("GET", "/metrics", &[("host", "evil.example")], b"").await;
    assert_eq!(page.json()["code"], "forbidden", "{}", page.text);
    expect![[r#"
        evil.example             403 403 403 403 403 403
        localhost.evil.example   403 403 403 403 403 403
        localhost                401 200 200 200 200 307
        127.0.0.1                401 200 200 200 200 307
        [::1]                    401 200 200 200 200 307
        192.0.2.7                401 200 200 200 200 200
    "#]]
    .assert_eq(&out);
    // A browser that says so sends a form of somebody else's page, whether or not it names the page.
    let form = format!("key={}", s.keys.finn);
    for (site, status) in [("cross-site", 403), ("same-site", 403), ("same-origin", 303), ("none", 303)] {
        let with = [("sec-fetch-site", site), ("content-type", "application/x-www-form-urlencoded")];
        let reply = s.send("POST", "/login", &with, form.as_bytes()).await;
        assert_eq!(reply.status, status, "{site} {}", reply.text);
    }
}

#[tokio::test]
async fn an_answer_that_does_not_count_is_refused() {
    let s = Served::start().await;
    let (_, token) = s.run("payer").await;
    let ask = async |amount: &str| {
        s.transfer(&token, amount, json!({})).await.json()["approval"]["id"].as_str().unwrap().to_owned()
    };
    let answer = async |key: &str, id: &str, verb: &str, body: Value| {
        s.post(key, &format!("/v1/approvals/{id}/{verb}"), &body).await.short()
    };
    let mut out = String::new();
    let mut note = |name: &str, short: String| out += &format!("{name:<28} {short}\n");
    let id = ask("1").await;
    note("no such request", answer(&s.keys.finn, "apr_none", "approve", json!({})).await);
    note("no name", answer(&s.keys.finn, "a%20b", "approve", json!({})).await);
    note("with an orchestrator's key", answer(&s.keys.orchestrator, &id, "approve", json!({})).await);
    note("with a run token", answer(&token, &id, "approve", json!({})).await);
    note("of another group", answer(&s.keys.olga, &id, "approve", json!({})).await);
    note("unknown member", answer(&s.keys.finn, &id, "approve", json!({"force": true})).await);
    note("view is no digest", answer(&s.keys.finn, &id, "approve", json!({"view": "x"})).await);
    note("reason too long", answer(&s.keys.finn, &id, "approve", json!({"reason": "x".repeat(2001)})).await);
    let get = s.get(&s.keys.finn, &format!("/v1/approvals/{id}/approve")).await;
    note("by GET", get.short());
    note("as it should be", answer(&s.keys.finn, &id, "approve", json!({})).await);
    note("again", answer(&s.keys.finn, &id, "approve", json!({})).await);
    note("by another, too late", answer(&s.keys.fay, &id, "reject", json!({})).await);
    assert_eq!(s.transfer(&token, "1", json!({})).await.json()["state"], "done");
    note("once it is used", answer(&s.keys.fay, &id, "approve", json!({})).await);
    let own = {
        let body = json!({"agent": "payer", "goal": "x", "on_behalf_of": "finn"});
        let opened = s.post(&s.keys.orchestrator, "/v1/runs", &body).await.json();
        let pending = s.transfer(opened["token"].as_str().unwrap(), "3", json!({})).await.json();
        pending["approval"]["id"].as_str().unwrap().to_owned()
    };
    note("of one's own request", answer(&s.keys.finn, &own, "approve", json!({})).await);
    let late = ask("2").await;
    s.later(3601);
    note("after its time", answer(&s.keys.finn, &late, "approve", json!({})).await);
    expect![[r#"
        no such request              404 approval_unknown
        no name                      400 request_invalid
        with an orchestrator's key   403 approver_refused
        with a run token             403 forbidden
        of another group             403 approver_refused
        unknown member               400 request_invalid
        view is no digest            400 request_invalid
        reason too long              400 request_invalid
        by GET                       405 request_invalid
        as it should be              200 approved -
        again                        409 approval_closed
        by another, too late         409 approval_closed
        once it is used              409 approval_closed
        of one's own request         403 approver_refused
        after its time               409 approval_expired
    "#]]
    .assert_eq(&out);
    assert_eq!(count(&s.world, "payments"), 1);
}

#[tokio::test]
async fn a_request_of_the_wrong_shape_is_refused() {
    let s = Served::with(json!({
        "allowed_origins": ["https://console.example"],
        "public_url": "https://aecl.example",
        "limits": {"request_bytes_max": 10_000},
    }))
    .await;
    let (_, token) = s.run("payer").await;
    let bearer = format!("Bearer {token}");
    let body = json!({"action": "mail.read", "arguments": {"id": "m1"}}).to_string();
    let own = format!("http://{}", s.address);
    let long = "x".repeat(20_000);
    let mut out = String::new();
    for (name, method, path, headers, body) in [
        ("no content type", "POST", "/v1/actions", vec![], body.as_str()),
        ("a form", "POST", "/v1/actions", vec![("content-type", "application/x-www-form-urlencoded")], &body),
        ("text", "POST", "/v1/actions", vec![("content-type", "text/plain")], &body),
        (
            "with a charset",
            "POST",
            "/v1/actions",
            vec![("content-type", "application/json; charset=utf-8")],
            &body,
        ),
        ("oversized", "POST", "/v1/actions", vec![("content-type", "application/json")], &long),
        (
            "another origin",
            "POST",
            "/v1/actions",
            vec![("content-type", "application/json"), ("origin", "https://evil.example")],
            &body,
        ),
        (
            "origin null",
            "POST",
            "/v1/actions",
            vec![("content-type", "application/json"), ("origin", "null")],
            &body,
        ),
        (
            "allowed origin",
            "POST",
            "/v1/actions",
            vec![("content-type", "application/json"), ("origin", "https://console.example")],
            &body,
        ),
        (
            "public origin",
            "POST",
            "/v1/actions",
            vec![("content-type", "application/json"), ("origin", "https://aecl.example")],
            &body,
        ),
        (
            "own address",
            "POST",
            "/v1/actions",
            vec![("content-type", "application/json"), ("origin", &own)],
            &body,
        ),
        (
            "rebound name",
            "POST",
            "/v1/actions",
            vec![
                ("content-type", "application/json"),
                ("origin", "http://evil.example"),
                ("host", "evil.example"),
            ],
            &body,
        ),
        ("another origin, a page", "GET", "/approvals", vec![("origin", "https://evil.example")], ""),
        ("another origin, health", "GET", "/healthz", vec![("origin", "https://evil.example")], ""),
        (
            "two keys",
            "POST",
            "/v1/actions",
            vec![("content-type", "application/json"), ("idempotency-key", "a"), ("idempotency-key", "b")],
            &body,
        ),
        ("wrong method", "DELETE", "/v1/actions", vec![], ""),
        ("no such path", "GET", "/v1/secrets", vec![], ""),
        ("bad query", "GET", "/v1/actions/act_x?wait_s=long", vec![], ""),
        ("no such action", "GET", "/v1/actions/act_x", vec![], ""),
        ("no such run", "GET", "/v1/runs/run_x", vec![], ""),
    ] {
        let mut headers = headers;
        headers.push(("authorization", &bearer));
        let reply = s.send(method, path, &headers, body.as_bytes()).await;
        out += &format!("{name:<24} {}\n", reply.short());
        assert!(reply.headers.contains_key("x-request-id"), "{name}");
        if reply.status >= 400 {
            assert_eq!(reply.headers["content-type"], "application/problem+json", "{name}");
            let body = reply.json();
            let code = body["code"].as_str().unwrap();
            assert_eq!(body["type"], format!("https://aecl.dev/errors/{code}"), "{name}");
            assert!(!reply.text.contains(&token), "{name}");
        }
    }
    expect![[r#"
        no content type          415 request_invalid
        a form                   415 request_invalid
        text                     415 request_invalid
        with a charset           200 done -
        oversized                413 json_too_large
        another origin           403 forbidden
        origin null              403 forbidden
        allowed origin           200 done -
        public origin            200 done -
        own address              200 done -
        rebound name             403 forbidden
        another origin, a page   403 forbidden
        another origin, health   403 forbidden
        two keys                 400 request_invalid
        wrong method             405 request_invalid
        no such path             404 request_invalid
        bad query                400 request_invalid
        no such action           404 record_unknown
        no such run              404 run_unknown
    "#]]
    .assert_eq(&out);
}

#[tokio::test]
async fn more_than_is_accepted_is_refused_and_people_still_get_in() {
    let s = Served::with(json!({"limits": {"requests_max": 2}})).await;
    let (_, token) = s.run("payer").await;
    let waits = json!({"wait_s": 60});
    let crowd = async {
        tokio::join!(s.transfer(&token, "1", waits.clone()), s.transfer(&token, "2", waits.clone()))
    };
    let third = async {
        while s.gate.approvals(5).await.unwrap().len() < 2 {
            tokio::task::yield_now().await;
        }
        let third = s.transfer(&token, "3", json!({})).await;
        assert_eq!(
            (third.short().as_str(), third.headers["retry-after"].to_str().unwrap()),
            ("429 overloaded", "1")
        );
        for ask in s.gate.approvals(5).await.unwrap() {
            let path = format!("/v1/approvals/{}/approve", ask.approval);
            assert_eq!(
                s.post(&s.keys.finn, &path, &json!({})).await.status,
                200,
                "people have seats of their own"
            );
        }
    };
    let ((a, b), ()) = tokio::join!(crowd, third);
    assert_eq!((a.json()["state"].as_str(), b.json()["state"].as_str()), (Some("done"), Some("done")));
}

#[tokio::test]
async fn an_agent_that_waits_leaves_the_others_their_seats() {
    let s = Served::with(json!({"limits": {"requests_max": 8}})).await;
    let ((_, one), (_, two), (_, reader)) =
        (s.run("payer").await, s.run("payer").await, s.run("reader").await);
    let waits = json!({"wait_s": 60});
    let crowd =
        async { tokio::join!(s.transfer(&one, "1", waits.clone()), s.transfer(&two, "2", waits.clone())) };
    let others = async {
        while s.gate.approvals(5).await.unwrap().len() < 2 {
            tokio::task::yield_now().await;
        }
        // Another run, and another token, are the same agent.
        let third = s.transfer(&two, "3", json!({})).await;
        assert_eq!(third.short(), "429 overloaded");
        assert!(third.text.contains("2 of the requests of `payer`"), "{}", third.text);
        let mail = json!({"action": "mail.read", "arguments": {"id": "m1"}});
        assert_eq!(s.post(&reader, "/v1/actions", &mail).await.json()["state"], "done");
        // Who only says to be that agent takes nothing of it, and strangers share one.
        assert_eq!(s.post("e30.e30.e30", "/v1/actions", &mail).await.short(), "401 token_invalid");
        for ask in s.gate.approvals(5).await.unwrap() {
            let path = format!("/v1/approvals/{}/approve", ask.approval);
            assert_eq!(s.post(&s.keys.finn, &path, &json!({})).await.status, 200);
        }
    };
    let ((a, b), ()) = tokio::join!(crowd, others);
    assert_eq!((a.json()["state"].as_str(), b.json()["state"].as_str()), (Some("done"), Some("done")));
    // Seats come back.
    assert_eq!(s.transfer(&two, "3", json!({})).await.short(), "202 pending approval_pending");
}

/// What a server says to these bytes, until it closes the connection.
async fn said_to(s: &Served, bytes: &[u8]) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(s.address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut said = Vec::new();
    let read = tokio::time::timeout(std::time::Duration::from_secs(20), stream.read_to_end(&mut said)).await;
    read.expect("the connection is not kept").unwrap();
    String::from_utf8(said).unwrap()
}

#[tokio::test]
async fn who_sends_slowly_or_too_much_is_not_waited_for() {
    let s = Served::with(json!({"limits": {"receive_ms_max": 500, "request_bytes_max": 2000}})).await;
    let (_, token) = s.run("payer").await;
    let silent = said_to(&s, b"").await;
    assert_eq!(silent, "", "who says nothing is left");
    let slow_head = said_to(&s, b"POST /v1/actions HTTP/1.1\r\nHost: localhost\r\nX-Slow: ").await;
    assert!(slow_head.is_empty() || slow_head.starts_with("HTTP/1.1 408"), "{slow_head}");
    let long_head =
        format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Long: {}\r\n\r\n", "x".repeat(70_000));
    let long_head = said_to(&s, long_head.as_bytes()).await;
    assert!(long_head.starts_with("HTTP/1.1 431"), "{long_head}");
    let post = |length: usize, body: &str| {
        format!(
            "POST /v1/actions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        )
    };
    let slow_body = said_to(&s, post(100, "{\"action\"").as_bytes()).await;
    assert!(slow_body.starts_with("HTTP/1.1 408") && slow_body.contains("request_invalid"), "{slow_body}");
    let long_body = said_to(&s, post(3000, &"x".repeat(3000)).as_bytes()).await;
    assert!(long_body.starts_with("HTTP/1.1 413") && long_body.contains("json_too_large"), "{long_body}");
    assert_eq!(s.get("", "/healthz").await.status, 200, "others are served");
}

#[tokio::test]
async fn a_proposal_that_cannot_be_read_is_counted() {
    let s = Served::start().await;
    let (_, token) = s.run("payer").await;
    let before = s.gate.ledger().head().await.unwrap().size;
    for body in
        [r#"{"action":"a","arguments":{"amount":NaN}}"#, r#"{"action":"a","action":"b","arguments":{}}"#]
    {
        assert_eq!(s.post_text(&token, "/v1/actions", body).await.status, 400);
    }
    assert_eq!(s.gate.ledger().head().await.unwrap().size, before, "nobody can fill the record with them");
    let metrics = s.get(&s.keys.olga, "/metrics").await.text;
    let line = r#"agent_action_total{agent="payer",action="unknown",outcome="unreadable"} 2"#;
    assert!(metrics.contains(line), "{metrics}");
}

/// The limits in the description are those of the server: what is just inside is taken, what is just outside is not.
#[tokio::test]
async fn limits_of_the_description_are_those_of_the_server() {
    let api: Value = serde_json::from_str(&aecl::http::openapi_text()).unwrap();
    let says = |schema: &str, member: &str, limit: &str| {
        let value = api.pointer(&format!("/components/schemas/{schema}/properties/{member}/{limit}"));
        value.unwrap_or_else(|| panic!("{schema}.{member} says no {limit}")).clone()
    };
    let s = Served::start().await;
    let open = async |more: Value| {
        let mut body = json!({"agent": "payer", "goal": "g"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        s.post(&s.keys.olga, "/v1/runs", &body).await.status
    };
    let goal = usize::try_from(says("OpenRun", "goal", "maxLength").as_u64().unwrap()).unwrap();
    let whole = says("OpenRun", "ttl_s", "maximum").as_u64().unwrap();
    for (more, status) in [
        (json!({"goal": "g".repeat(goal)}), 201),
        (json!({"goal": "g".repeat(goal + 1)}), 400),
        (json!({"ttl_s": whole}), 201),
        (json!({"ttl_s": whole + 1}), 400),
        (json!({"wait_s": whole + 1}), 400),
    ] {
        assert_eq!(
            open(more.clone()).await,
            status,
            "{}",
            more.to_string().chars().take(60).collect::<String>()
        );
    }
    let is_name = |text: &str| {
        let letter = |c: char| c.is_ascii_alphanumeric() || "_.:@/-".contains(c);
        (1..=128).contains(&text.chars().count()) && text.chars().all(letter)
    };
    for text in ["a", &"a".repeat(128), &"a".repeat(129), "", "a b", "A-z_0.9:@/", "ü"] {
        for member in ["user", "tenant", "project", "environment"] {
            assert_eq!(says("OpenRun", member, "pattern"), "^[A-Za-z0-9_.:@/-]{1,128}$");
            assert_eq!(open(json!({member: text})).await == 201, is_name(text), "{member} `{text}`");
        }
    }
    // A plan that binds has so many steps; everything else is words, whatever it looks like.
    let steps = says("OpenRun", "plan", "anyOf")[0]["properties"]["steps"].clone();
    let most = usize::try_from(steps["maxItems"].as_u64().unwrap()).unwrap();
    let times = steps["items"]["properties"]["times"]["maximum"].as_u64().unwrap();
    let step = json!({"action": "mail.read", "arguments": {"/id": {"equals": "m1"}}, "times": times});
    let bounded =
        |constraint: Value| json!({"steps": [{"action": "mail.read", "arguments": {"/id": constraint}}]});
    for (plan, status) in [
        (json!({"steps": vec![step.clone(); most]}), 201),
        (json!({"steps": vec![step.clone(); most + 1]}), 400),
        (json!({"steps": [{"action": "mail.read", "times": times + 1}]}), 400),
        (json!({"steps": [{"action": "mail.read", "times": -1}]}), 400),
        (json!({"steps": [step, {"arguments": {}}]}), 400),
        (json!({"steps": [{"action": "mail.read"}], "more": 1}), 400),
        (bounded(json!({"one_of": ["m1", 2]})), 201),
        (bounded(json!({"at_most": 3})), 201),
        (bounded(json!({"at_most": "3"})), 400),
        (bounded(json!({"equals": 1, "one_of": [1]})), 400),
        (json!({"steps": ["first this", "then that"]}), 201),
        (json!({"steps": []}), 201),
        (json!("words"), 201),
    ] {
        let shown = plan.to_string().chars().take(80).collect::<String>();
        assert_eq!(open(json!({"plan": plan})).await, status, "{shown}");
    }
    let scope = api.pointer("/components/schemas/Scope/oneOf/1/properties/tenant/pattern");
    assert_eq!(scope.unwrap(), "^[A-Za-z0-9_.:@/-]{1,128}$");
    for (tenant, status) in [("a".repeat(128), 200), ("a".repeat(129), 400), ("a b".into(), 400)] {
        let kill = json!({"scope": {"tenant": tenant}});
        assert_eq!(s.post(&s.keys.olga, "/v1/kill", &kill).await.status / 100 * 100, status, "{tenant}");
    }
    // What can be a tile, or a bundle of entries, is one that the record has or has not.
    let paths = api.pointer("/paths/~1v1~1ledger~1tile~1{path}/get/parameters/0/schema/pattern").unwrap();
    let tile = r"^([0-9]|[1-5][0-9]|6[0-3]|entries)/(x[0-9]{3}/)*[0-9]{3}(\.p/([1-9][0-9]?|1[0-9]{2}|2[0-4][0-9]|25[0-5]))?$";
    assert_eq!(paths, tile);
    for (path, fits) in [
        ("0/000.p/1", true),
        ("entries/000.p/1", true),
        ("63/x001/234", true),
        ("entries/000.p/255", true),
        ("64/000", false),
        ("0/000.p/256", false),
        ("0/000.p/0", false),
        ("0/1", false),
        ("entries/x001", false),
    ] {
        assert_eq!(format!("tile/{path}").parse::<TilePath>().is_ok(), fits, "{path}");
    }
    let (_, token) = s.run("payer").await;
    let key = usize::try_from(says("Propose", "idempotency_key", "maxLength").as_u64().unwrap()).unwrap();
    for (length, status) in [(0, 400), (1, 200), (key, 200), (key + 1, 400)] {
        let body = json!({"action": "notes.write", "arguments": {"text": "a"}, "idempotency_key": "k".repeat(length)});
        assert_eq!(s.post(&token, "/v1/actions", &body).await.status, status, "{length}");
    }
}
