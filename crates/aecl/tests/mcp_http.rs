//! The gateway over Streamable HTTP, in both eras, in front of real HTTP servers.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

#[path = "mcp_http/gateway.rs"]
mod gateway;
#[path = "mcp_http/upstream.rs"]
mod upstream;

use aecl_gate::Identity;
use aecl_kernel::base::id::PersonId;
use aecl_kernel::record::facts::KillScope;
use gateway::{Client, Events, Gateway, LEGACY, MODERN, json_of, outcome, request, stateless};
use serde_json::{Value, json};
use std::time::Duration;
use upstream::{Eras, Upstream};

async fn one(eras: Eras) -> (Upstream, Gateway) {
    let upstream = Upstream::start("notes", eras).await;
    let gateway = Gateway::start(&[("notes", &upstream.url)]).await;
    (upstream, gateway)
}

fn text_of(answer: &Value) -> String {
    answer["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

/// Asks again until it holds, or fails after ten seconds.
async fn until(what: &str, holds: impl Fn() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), waiting).await.unwrap_or_else(|_| panic!("{what}"));
}

// --- who may ask

#[tokio::test]
async fn nobody_comes_in_without_a_key_and_is_told_how() {
    let (_upstream, gateway) = one(Eras::Both).await;
    let body = stateless("tools/list", json!({}));
    let bare = gateway.http.post(format!("{}/mcp/bot", gateway.base)).body(body.to_string());
    let response = bare.try_clone().unwrap().send().await.unwrap();
    assert_eq!(response.status(), 401);
    let challenge = response.headers()["www-authenticate"].to_str().unwrap().to_owned();
    let address = challenge.split('"').nth(1).unwrap();
    assert!(address.ends_with("/.well-known/oauth-protected-resource/mcp/bot"), "{challenge}");
    let path = address.splitn(4, '/').nth(3).unwrap();
    let document = gateway.http.get(format!("{}/{path}", gateway.base)).send().await.unwrap();
    assert!(json_of(document).await["resource"].as_str().unwrap().ends_with("/mcp/bot"));

    for wrong in ["aecl_o_wrong", "no.jwt.either", ""] {
        let response = bare.try_clone().unwrap().bearer_auth(wrong).send().await.unwrap();
        assert_eq!(response.status(), 401, "{wrong}");
    }
    let stranger = bare.try_clone().unwrap().bearer_auth(&gateway.stranger).send().await.unwrap();
    assert_eq!(stranger.status(), 403);
}

#[tokio::test]
async fn pages_of_others_are_kept_out() {
    let (_upstream, gateway) = one(Eras::Both).await;
    for (name, value) in
        [("host", "evil.example.net"), ("origin", "https://evil.example.net"), ("origin", "null")]
    {
        let response = gateway.ask("tools/list", json!({})).header(name, value).send().await.unwrap();
        assert_eq!(response.status(), 403, "{name}: {value}");
    }
    let page = gateway.ask("tools/list", json!({})).header("origin", &gateway.base).send().await.unwrap();
    assert_eq!(page.status(), 200);
    assert_eq!(page.headers()["access-control-allow-origin"], gateway.base.as_str());
}

#[tokio::test]
async fn no_credential_of_a_client_reaches_a_server() {
    let (upstream, gateway) = one(Eras::Both).await;
    gateway
        .ask("tools/call", json!({"name": "read_note", "arguments": {"title": "a"}}))
        .header("mcp-param-title", "a")
        .send()
        .await
        .unwrap();
    let client = Client::initialize(&gateway, "/mcp/bot", json!({})).await;
    client.call("read_note", json!({"title": "a"})).await;
    let requests = upstream.seen.requests.lock().unwrap();
    assert!(!requests.is_empty());
    for (headers, body) in requests.iter() {
        assert!(headers.get("authorization").is_none());
        assert!(!body.to_string().contains(&gateway.orchestrator));
        let session = headers.get("mcp-session-id").map(|it| it.to_str().unwrap());
        assert_ne!(session, Some(client.session.as_str()), "our session is not the server's");
    }
}

#[tokio::test]
async fn what_cannot_be_taken_is_refused_before_it_is_read() {
    let (upstream, gateway) = one(Eras::Both).await;
    let list = stateless("tools/list", json!({}));
    let post = || gateway.http.post(format!("{}/mcp/bot", gateway.base)).bearer_auth(&gateway.orchestrator);
    let plain = post().header("accept", "*/*").header("content-type", "text/plain").body(list.to_string());
    assert_eq!(plain.send().await.unwrap().status(), 415);
    let half = post().header("accept", "application/json").header("content-type", "application/json");
    assert_eq!(half.body(list.to_string()).send().await.unwrap().status(), 406);
    let long =
        stateless("tools/call", json!({"name": "read_note", "arguments": {"title": "x".repeat(5 << 20)}}));
    assert_eq!(gateway.post("/mcp/bot", &long).send().await.unwrap().status(), 413);
    let put = gateway.http.put(format!("{}/mcp/bot", gateway.base)).bearer_auth(&gateway.orchestrator);
    assert_eq!(put.send().await.unwrap().status(), 405);
    assert!(upstream.seen.requests.lock().unwrap().is_empty());
}

#[tokio::test]
async fn sessions_are_limited_and_those_in_use_stay() {
    let (_upstream, gateway) = one(Eras::Both).await;
    let first = Client::initialize(&gateway, "/mcp/bot", json!({})).await;
    for _ in 1..256 {
        Client::initialize(&gateway, "/mcp/bot", json!({})).await;
    }
    let params =
        json!({"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
    let response = gateway.post("/mcp/bot", &request(1, "initialize", params)).send().await.unwrap();
    assert_eq!(response.status(), 503);
    assert!(response.headers().get("mcp-session-id").is_none());
    assert_eq!(first.post(&request(2, "tools/list", json!({}))).await.status(), 200);
    first.delete().await;
    Client::initialize(&gateway, "/mcp/bot", json!({})).await;
}

#[tokio::test]
async fn a_silent_session_gives_way_to_a_new_one_and_an_idle_one_ends() {
    let upstream = Upstream::start("notes", Eras::Both).await;
    let limits = json!({"sessions_max": 2, "session_silent_s": 0, "session_idle_s": 2});
    let gateway = Gateway::with(&[("notes", &upstream.url)], json!({"limits": limits})).await;
    let first = Client::initialize(&gateway, "/mcp/bot", json!({})).await;
    let second = Client::initialize(&gateway, "/mcp/bot", json!({})).await;
    let held = second.get(None).await;
    let third = Client::initialize(&gateway, "/mcp/bot", json!({})).await;
    let list = request(2, "tools/list", json!({}));
    assert_eq!(first.post(&list).await.status(), 404, "the silent one gave way");
    assert_eq!(third.post(&list).await.status(), 200);
    let ended = async {
        while upstream.seen.ended.lock().unwrap().len() < 2 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(15), ended).await.expect("the servers behind hear of it");
    assert_eq!(third.post(&list).await.status(), 404, "nobody has used it for two seconds");
    assert_eq!(second.post(&list).await.status(), 200, "a stream is open on this one");
    drop(held);
}

// --- the stateless era

#[tokio::test]
async fn a_stateless_call_is_judged_and_answered() {
    let (_upstream, gateway) = one(Eras::Both).await;
    let hello = json_of(gateway.ask("server/discover", json!({})).send().await.unwrap()).await;
    assert!(hello["result"]["supportedVersions"].as_array().unwrap().contains(&json!(MODERN)), "{hello}");
    let listed = json_of(gateway.ask("tools/list", json!({})).send().await.unwrap()).await;
    let names: Vec<_> =
        listed["result"]["tools"].as_array().unwrap().iter().map(|it| it["name"].clone()).collect();
    assert!(names.contains(&json!("read_note")) && names.contains(&json!("write_note")), "{names:?}");
    let call = gateway.ask("tools/call", json!({"name": "read_note", "arguments": {"title": "ü"}}));
    let answer = json_of(call.header("mcp-param-title", "=?base64?w7w=?=").send().await.unwrap()).await;
    assert_eq!(text_of(&answer), "notes: \"ü\"");
}

#[tokio::test]
async fn a_tenant_that_was_stopped_has_no_channel_before_its_first_run() {
    let (upstream, gateway) = one(Eras::Both).await;
    let person =
        Identity::Person { id: PersonId::new("olga").unwrap(), groups: ["operators".to_owned()].into() };
    let tenant = KillScope::Tenant(gateway.gate.config().tenant.clone());
    gateway.gate.kill(&person, tenant, "enough".into()).await.unwrap();
    for method in ["server/discover", "tools/list", "prompts/list"] {
        let answer = json_of(gateway.ask(method, json!({})).send().await.unwrap()).await;
        assert_eq!(answer["error"]["data"]["aecl"]["code"], "killed", "{answer}");
    }
    // Which protocol the server speaks is asked once, in our own words.
    let seen = upstream.seen.requests.lock().unwrap();
    assert!(seen.iter().all(|(_, body)| body["method"] == "server/discover"), "{seen:?}");
}

#[tokio::test]
async fn a_held_call_streams_and_happens_once_after_the_yes() {
    let (upstream, gateway) = one(Eras::Both).await;
    gateway.ask("tools/list", json!({})).send().await.unwrap();
    let call = || {
        gateway.ask(
            "tools/call",
            json!({"name": "write_note", "arguments": {"title": "a"}, "_meta": {"progressToken": "p1"}}),
        )
    };
    let response = call().send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    assert_eq!(response.headers()["x-accel-buffering"], "no");
    let (before, answer) = outcome(response).await;
    assert!(
        before
            .iter()
            .any(|it| it["method"] == "notifications/progress" && it["params"]["progressToken"] == "p1"),
        "{before:?}"
    );
    assert_eq!(answer["result"]["isError"], true, "{answer}");
    assert_eq!(answer["result"]["_meta"]["aecl"]["status"], "pending", "{answer}");
    assert!(upstream.notes().is_empty());
    assert_eq!(gateway.approve_all().await, 1);
    let (_, answer) = outcome(call().send().await.unwrap()).await;
    assert_eq!(text_of(&answer), "written");
    assert_eq!(upstream.notes(), ["a"]);
}

#[tokio::test]
async fn headers_must_say_what_the_body_says() {
    let (upstream, gateway) = one(Eras::Both).await;
    gateway.ask("tools/list", json!({})).send().await.unwrap();
    let before = upstream.seen.requests.lock().unwrap().len();
    let body = stateless("tools/call", json!({"name": "read_note", "arguments": {"title": "a"}}));
    let good = [
        ("mcp-protocol-version", MODERN),
        ("mcp-method", "tools/call"),
        ("mcp-name", "read_note"),
        ("mcp-param-title", "a"),
    ];
    for wrong in 0..good.len() {
        for value in [None, Some("other")] {
            let mut call = gateway.post("/mcp/bot", &body);
            for (n, (name, right)) in good.iter().enumerate() {
                match (n == wrong, value) {
                    (false, _) => call = call.header(*name, *right),
                    (true, Some(value)) => call = call.header(*name, value),
                    (true, None) => {}
                }
            }
            let response = call.send().await.unwrap();
            assert_eq!(response.status(), 400, "{} {value:?}", good[wrong].0);
            assert_eq!(json_of(response).await["error"]["code"], -32020, "{} {value:?}", good[wrong].0);
        }
    }
    assert_eq!(upstream.seen.requests.lock().unwrap().len(), before, "nothing reached the server");
}

#[tokio::test]
async fn what_is_wrong_with_a_stateless_request_is_said() {
    let (_upstream, gateway) = one(Eras::Both).await;
    let send = async |body: Value, version: &str, method: &str| {
        let call = gateway
            .post("/mcp/bot", &body)
            .header("mcp-protocol-version", version)
            .header("mcp-method", method);
        let response = call.send().await.unwrap();
        let status = response.status().as_u16();
        (status, json_of(response).await)
    };
    let (status, answer) = send(request(7, "tools/list", json!({})), MODERN, "tools/list").await;
    assert_eq!((status, &answer["error"]["code"], &answer["id"]), (400, &json!(-32602), &json!(7)));
    let mut half = stateless("tools/list", json!({}));
    half["params"]["_meta"].as_object_mut().unwrap().remove("io.modelcontextprotocol/clientCapabilities");
    assert_eq!(send(half, MODERN, "tools/list").await.1["error"]["code"], -32602);
    let mut future = stateless("tools/list", json!({}));
    future["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!("2099-01-01");
    let (status, answer) = send(future, "2099-01-01", "tools/list").await;
    assert_eq!((status, &answer["error"]["code"]), (400, &json!(-32022)));
    assert_eq!(answer["error"]["data"]["supported"], json!([MODERN, LEGACY]));
    let (status, answer) = send(stateless("no/such", json!({})), MODERN, "no/such").await;
    assert_eq!((status, &answer["error"]["code"]), (404, &json!(-32601)));
    let (status, answer) = send(json!([stateless("tools/list", json!({}))]), MODERN, "tools/list").await;
    assert_eq!((status, &answer["error"]["code"]), (400, &json!(-32600)));
    let get = gateway.http.get(format!("{}/mcp/bot", gateway.base)).bearer_auth(&gateway.orchestrator);
    assert_eq!(get.header("mcp-protocol-version", MODERN).send().await.unwrap().status(), 405);
}

#[tokio::test]
async fn closing_the_answer_cancels_the_call() {
    let (upstream, gateway) = one(Eras::Both).await;
    gateway.ask("tools/list", json!({})).send().await.unwrap();
    let call = gateway.ask("tools/call", json!({"name": "list_forever", "arguments": {"of": "x"}}));
    let response = call.send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    assert!(upstream.seen.gone.lock().unwrap().is_empty());
    drop(response);
    until("the server's own stream is closed", || !upstream.seen.gone.lock().unwrap().is_empty()).await;
}

#[tokio::test]
async fn a_tool_may_ask_back_again_and_again() {
    let (_upstream, gateway) = one(Eras::Both).await;
    let mut params = json!({"name": "find_answer", "arguments": {"to": "x"}});
    for _ in 0..4 {
        let answer = json_of(gateway.ask("tools/call", params.clone()).send().await.unwrap()).await;
        assert_eq!(answer["result"]["resultType"], "input_required", "{answer}");
        params["requestState"] = answer["result"]["requestState"].clone();
        params["inputResponses"] = json!({"q": {"action": "accept", "content": {}}});
    }
    let answer = json_of(gateway.ask("tools/call", params).send().await.unwrap()).await;
    assert_eq!(text_of(&answer), "found");
}

#[tokio::test]
async fn a_run_token_acts_in_its_run_and_may_be_renewed() {
    let (_upstream, gateway) = one(Eras::Both).await;
    let agent = aecl_kernel::base::id::AgentId::new("bot").unwrap();
    let by = aecl_gate::Identity::Local;
    let wanted = aecl_gate::runs::RunRequest {
        agent,
        goal: "read".into(),
        plan: None,
        user: None,
        tenant: None,
        project: None,
        environment: None,
        ttl_s: None,
        parent: None,
        approve_plan: false,
    };
    let opened = gateway.gate.open_run(&by, wanted).await.unwrap();
    let run = opened.session.principal.run.clone();
    let with = |token: String, body: Value| {
        let request = gateway.http.post(format!("{}/mcp/bot", gateway.base)).bearer_auth(token);
        let request = request.header("accept", "application/json, text/event-stream");
        request.header("content-type", "application/json").body(body.to_string())
    };
    let params =
        json!({"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
    let welcome = with(opened.token.clone(), request(1, "initialize", params)).send().await.unwrap();
    let session = welcome.headers()["mcp-session-id"].to_str().unwrap().to_owned();
    let call = |n| request(n, "tools/call", json!({"name": "read_note", "arguments": {"title": "a"}}));
    with(opened.token.clone(), request(2, "tools/list", json!({})))
        .header("mcp-session-id", &session)
        .send()
        .await
        .unwrap();
    let (_, answer) =
        outcome(with(opened.token.clone(), call(3)).header("mcp-session-id", &session).send().await.unwrap())
            .await;
    assert_eq!(text_of(&answer), "notes: \"a\"");

    let (renewed, newer) = gateway.gate.renew(&by, &run).await.unwrap();
    gateway.gate.revoke(&by, &run, opened.session.credential.id.clone()).await.unwrap();
    let (_, answer) =
        outcome(with(renewed, call(4)).header("mcp-session-id", &session).send().await.unwrap()).await;
    assert_eq!(text_of(&answer), "notes: \"a\"", "the session goes on with {}", newer.credential.id);
    let (_, answer) =
        outcome(with(opened.token, call(5)).header("mcp-session-id", &session).send().await.unwrap()).await;
    assert_eq!(answer["result"]["_meta"]["aecl"]["code"], "token_revoked", "{answer}");
}

// --- the era with `initialize`

#[tokio::test]
async fn a_session_is_the_clients_own_up_to_the_server() {
    let (upstream, gateway) = one(Eras::Both).await;
    let client = Client::initialize(&gateway, "/mcp/bot", json!({"sampling": {}, "roots": {}})).await;
    assert_eq!(client.welcome["result"]["protocolVersion"], LEGACY);
    assert_eq!(client.welcome["result"]["serverInfo"]["name"], "notes");
    let introduced = upstream.seen.clients.lock().unwrap().last().cloned().unwrap();
    assert_eq!(introduced["capabilities"], json!({"sampling": {}, "roots": {}}));
    let listed = json_of(client.post(&request(2, "tools/list", json!({}))).await).await;
    assert!(listed["result"]["tools"].as_array().unwrap().len() >= 2, "{listed}");
    let (_, answer) = outcome(client.call("read_note", json!({"title": "a"})).await).await;
    assert_eq!(text_of(&answer), "notes: \"a\"");

    assert_eq!(client.delete().await.status(), 204);
    assert_eq!(client.call("read_note", json!({"title": "a"})).await.status(), 404);
    until("the server's session is ended, too", || !upstream.seen.ended.lock().unwrap().is_empty()).await;
}

#[tokio::test]
async fn a_server_asks_on_the_stream_of_the_call() {
    let (_upstream, gateway) = one(Eras::Both).await;
    let client = Client::initialize(&gateway, "/mcp/bot", json!({"sampling": {}})).await;
    client.post(&request(2, "tools/list", json!({}))).await;
    let mut events = Events::of(client.call("get_opinion", json!({"about": "x"})).await);
    let question = events.next().await.unwrap();
    assert_eq!(question["method"], "sampling/createMessage", "{question}");
    let result = json!({"role": "assistant", "model": "m", "content": {"type": "text", "text": "fine"}});
    let told = client.post(&json!({"jsonrpc": "2.0", "id": question["id"], "result": result})).await;
    assert_eq!(told.status(), 202);
    assert_eq!(text_of(&events.next().await.unwrap()), "fine");
    assert!(events.next().await.is_none(), "the stream ends with the answer");
}

#[tokio::test]
async fn a_broken_stream_is_picked_up_where_it_broke() {
    let (upstream, gateway) = one(Eras::Both).await;
    let client = Client::initialize(&gateway, "/mcp/bot", json!({})).await;
    client.post(&request(2, "tools/list", json!({}))).await;
    let call = request(
        3,
        "tools/call",
        json!({"name": "write_note", "arguments": {"title": "a"}, "_meta": {"progressToken": 5}}),
    );
    let mut events = Events::of(client.post(&call).await);
    let progress = events.next().await.unwrap();
    assert_eq!(progress["params"]["progressToken"], 5, "{progress}");
    let last = events.last.clone().unwrap();
    drop(events);
    assert_eq!(gateway.approve_all().await, 1);
    let mut rest = Events::of(client.get(Some(&last)).await);
    let answer = loop {
        let message = rest.next().await.unwrap();
        if message["id"] == 3 {
            break message;
        }
    };
    assert_eq!(text_of(&answer), "written");
    assert!(rest.next().await.is_none());
    assert_eq!(upstream.notes(), ["a"], "leaving is not cancelling, and coming back is not calling again");
    assert_eq!(client.get(Some("77-1")).await.status(), 404);
}

#[tokio::test]
async fn what_a_server_says_unasked_comes_on_the_listening_stream() {
    let (upstream, gateway) = one(Eras::Both).await;
    let client = Client::initialize(&gateway, "/mcp/bot", json!({})).await;
    client.post(&request(2, "tools/list", json!({}))).await;
    let mut events = Events::of(client.get(None).await);
    upstream.say(json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}));
    assert_eq!(events.next().await.unwrap()["method"], "notifications/tools/list_changed");
}

#[tokio::test]
async fn a_session_belongs_to_whoever_opened_it() {
    let (_upstream, gateway) = one(Eras::Both).await;
    let client = Client::initialize(&gateway, "/mcp/bot", json!({})).await;
    let list = request(2, "tools/list", json!({}));
    let thief = gateway
        .http
        .post(format!("{}/mcp/bot", gateway.base))
        .bearer_auth(&gateway.person)
        .header("accept", "application/json, text/event-stream")
        .header("content-type", "application/json")
        .header("mcp-session-id", &client.session)
        .body(list.to_string());
    assert_eq!(thief.send().await.unwrap().status(), 404);
    let elsewhere = gateway.post("/mcp/bot/notes", &list).header("mcp-session-id", &client.session);
    assert_eq!(elsewhere.send().await.unwrap().status(), 404);
    assert_eq!(gateway.post("/mcp/bot", &list).send().await.unwrap().status(), 400, "no session at all");
    assert_eq!(client.post(&list).await.status(), 200);
}

// --- eras, and several servers

#[tokio::test]
async fn no_era_is_translated_into_the_other() {
    let (_upstream, gateway) = one(Eras::Legacy).await;
    let response = gateway.ask("tools/list", json!({})).send().await.unwrap();
    assert_eq!(response.status(), 400);
    let answer = json_of(response).await;
    assert_eq!(answer["error"]["code"], -32022, "{answer}");
    assert!(!answer["error"]["data"]["supported"].as_array().unwrap().contains(&json!(MODERN)));
    Client::initialize(&gateway, "/mcp/bot", json!({})).await;

    let (_upstream, gateway) = one(Eras::Modern).await;
    assert_eq!(gateway.ask("tools/list", json!({})).send().await.unwrap().status(), 200);
    let params =
        json!({"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
    let response = gateway.post("/mcp/bot", &request(1, "initialize", params)).send().await.unwrap();
    assert!(response.headers().get("mcp-session-id").is_none());
    let answer = json_of(response).await;
    assert_eq!(answer["error"]["code"], -32022, "{answer}");
    assert_eq!(answer["error"]["data"]["supported"], json!([MODERN]));
}

#[tokio::test]
async fn several_servers_stand_behind_one_endpoint() {
    let (a, b) = (Upstream::start("first", Eras::Both).await, Upstream::start("second", Eras::Both).await);
    let gateway = Gateway::start(&[("b", &b.url), ("a", &a.url)]).await;
    let listed = json_of(gateway.ask("tools/list", json!({})).send().await.unwrap()).await;
    let names: Vec<_> =
        listed["result"]["tools"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(
        names.iter().filter(|name| name.ends_with("read_note")).collect::<Vec<_>>(),
        [&"a__read_note", &"b__read_note"]
    );
    let call = gateway.ask("tools/call", json!({"name": "b__read_note", "arguments": {"title": "x"}}));
    let answer = json_of(call.header("mcp-param-title", "x").send().await.unwrap()).await;
    assert_eq!(text_of(&answer), "second: \"x\"");

    let client = Client::initialize(&gateway, "/mcp/bot", json!({})).await;
    let instructions = client.welcome["result"]["instructions"].as_str().unwrap();
    assert!(
        instructions.contains("This is first.") && instructions.contains("This is second."),
        "{instructions}"
    );
    client.post(&request(2, "tools/list", json!({}))).await;
    let (_, answer) = outcome(client.call("a__read_note", json!({"title": "x"})).await).await;
    assert_eq!(text_of(&answer), "first: \"x\"");

    let single = Client::initialize(&gateway, "/mcp/bot/b", json!({})).await;
    single.post(&request(2, "tools/list", json!({}))).await;
    let (_, answer) = outcome(single.call("read_note", json!({"title": "x"})).await).await;
    assert_eq!(text_of(&answer), "second: \"x\"");
    let nowhere = gateway.post("/mcp/bot/c", &request(1, "ping", json!({}))).send().await.unwrap();
    assert_eq!(nowhere.status(), 404);
}
