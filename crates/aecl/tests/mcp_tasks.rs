//! Calls as tasks: a client that knows them gets a handle for what waits for people, and polls.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod mcp_home;

use aecl_kernel::record::facts::ActionState;
use mcp_home::{Client, Place, answer, asked};
use serde_json::{Value, json};
use std::time::Duration;

const EXTENSION: &str = "io.modelcontextprotocol/tasks";

/// A client of the older era that says that it knows tasks.
async fn legacy(gate: &aecl_gate::Gate, place: &Place) -> Client {
    let mut client = Client::attach(gate, place.hello("legacy"));
    let params =
        json!({"protocolVersion": "2025-11-25", "capabilities": {"tasks": {}}, "clientInfo": {"name": "t"}});
    let hello = client.ask("initialize", params).await;
    let offered = json!({"list": {}, "cancel": {}, "requests": {"tools": {"call": {}}}});
    assert_eq!(hello["result"]["capabilities"]["tasks"], offered, "{hello}");
    client.send(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).await;
    client
}

fn as_task(text: &str) -> Value {
    json!({"name": "write_note", "arguments": {"text": text}, "task": {"ttl": 120_000}})
}

fn stateless(mut params: Value, capabilities: Value) -> Value {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": capabilities,
        "io.modelcontextprotocol/clientInfo": {"name": "t", "version": "1"},
    });
    params
}

fn knows() -> Value {
    json!({"extensions": {EXTENSION: {}}})
}

/// Asks again until the task has this status.
async fn until(client: &mut Client, params: Value, status: &str) -> Value {
    for _ in 0..500 {
        let task = client.ask("tasks/get", params.clone()).await["result"].clone();
        if task["status"] == status {
            return task;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the task did not become {status}: {}", client.ask("tasks/get", params).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_of_the_older_era_happens_once_after_the_yes() {
    let place = Place::new(20_000);
    let gate = place.gate().await;
    let mut client = legacy(&gate, &place).await;
    let tools = client.ask("tools/list", json!({})).await;
    assert_eq!(tools["result"]["tools"][0]["execution"]["taskSupport"], "optional", "{tools}");

    // At once, although calls are held for longer than this test is patient.
    let begun = client.ask("tools/call", as_task("one")).await;
    let task = &begun["result"]["task"];
    assert_eq!((&task["status"], &task["ttl"]), (&json!("working"), &json!(120_000)), "{begun}");
    assert!(
        task["createdAt"].is_string() && task["lastUpdatedAt"].is_string() && task["pollInterval"].is_u64()
    );
    let id = json!({"taskId": task["taskId"]});
    let ask = asked(&gate).await;
    let waiting = until(&mut client, id.clone(), "working").await;
    let waits = async {
        loop {
            let task = client.ask("tasks/get", id.clone()).await["result"].clone();
            if task["statusMessage"].as_str().unwrap().contains(ask.approval.as_str()) {
                return task;
            }
        }
    };
    tokio::time::timeout(mcp_home::PATIENCE, waits).await.unwrap_or_else(|_| panic!("{waiting}"));
    let result = client.begin("tasks/result", id.clone()).await;
    assert_eq!(place.count("wrote"), 0);
    answer(&gate, ask.approval.as_str(), true).await;
    let (result, _) = client.answer(result).await;
    assert_eq!(result["result"]["content"][0]["text"], "written", "{result}");
    assert_eq!(result["result"]["_meta"]["io.modelcontextprotocol/related-task"], id);
    assert_eq!(until(&mut client, id.clone(), "completed").await["taskId"], id["taskId"]);
    let again = client.ask("tasks/result", id.clone()).await;
    assert_eq!(again["result"], result["result"], "the result is kept");
    let over = client.ask("tasks/cancel", id.clone()).await;
    assert_eq!(over["error"]["code"], -32602, "{over}");
    assert_eq!(place.count("wrote"), 1);
    // The yes was for once.
    let next = client.ask("tools/call", as_task("one")).await;
    let next = json!({"taskId": next["result"]["task"]["taskId"]});
    let ask = asked(&gate).await;
    answer(&gate, ask.approval.as_str(), false).await;
    let failed = until(&mut client, next.clone(), "failed").await;
    assert_ne!(failed["taskId"], id["taskId"]);
    let said = client.ask("tasks/result", next).await;
    assert_eq!(said["result"]["_meta"]["aecl"]["status"], "rejected", "{said}");
    let listed = client.ask("tasks/list", json!({})).await;
    assert_eq!(listed["result"]["tasks"].as_array().unwrap().len(), 2, "{listed}");
    assert_eq!(place.count("wrote"), 1);
    client.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_task_does_not_happen_whatever_people_say() {
    let place = Place::new(0);
    let gate = place.gate().await;
    let mut client = legacy(&gate, &place).await;
    let begun = client.ask("tools/call", as_task("one")).await;
    let id = json!({"taskId": begun["result"]["task"]["taskId"]});
    let ask = asked(&gate).await;
    let cancelled = client.ask("tasks/cancel", id.clone()).await;
    assert_eq!(cancelled["result"]["status"], "cancelled", "{cancelled}");
    answer(&gate, ask.approval.as_str(), true).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let after = client.ask("tasks/get", id.clone()).await;
    assert_eq!(after["result"]["status"], "cancelled", "{after}");
    let result = client.ask("tasks/result", id).await;
    assert_eq!(result["error"]["data"]["aecl"]["code"], "task_cancelled", "{result}");
    assert_eq!(place.count("wrote"), 0);
    let fact = gate.ledger().action(&ask.action).await.unwrap().unwrap();
    assert_eq!(fact.state, ActionState::Waiting);
    for unknown in [json!({"taskId": "task_0"}), json!({"taskId": ask.action}), json!({})] {
        let refused = client.ask("tasks/get", unknown).await;
        assert_eq!(refused["error"]["code"], -32602, "{refused}");
    }
    client.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_identical_call_and_the_task_are_one_action() {
    let place = Place::new(0);
    let gate = place.gate().await;
    let mut client = legacy(&gate, &place).await;
    let begun = client.ask("tools/call", as_task("one")).await;
    let id = json!({"taskId": begun["result"]["task"]["taskId"]});
    let ask = asked(&gate).await;
    let second = client.ask("tools/call", as_task("one")).await;
    let second = json!({"taskId": second["result"]["task"]["taskId"]});
    // A task is answered before its call is proposed; after the yes it would be a call of its own.
    let waits = async {
        while !client.ask("tasks/get", second.clone()).await.to_string().contains(ask.approval.as_str()) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), waits).await.expect("the second call waits, too");
    answer(&gate, ask.approval.as_str(), true).await;
    until(&mut client, id, "completed").await;
    until(&mut client, second, "completed").await;
    assert_eq!(place.count("wrote"), 1);
    assert!(gate.approvals(10).await.unwrap().is_empty(), "nobody is asked twice");
    client.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_as_a_task_needs_nobody_and_who_does_not_know_tasks_sees_none() {
    let place = Place::new(0);
    let gate = place.gate().await;
    let mut client = legacy(&gate, &place).await;
    let read = client.ask("tools/call", json!({"name": "read_note", "task": {}})).await;
    let id = json!({"taskId": read["result"]["task"]["taskId"]});
    until(&mut client, id.clone(), "completed").await;
    client.begin("tasks/result", id).await;
    let line = client.line().await;
    assert!(line.contains(r#""big":12345678901234567890123"#), "in the server's own bytes: {line}");
    client.leave().await;
    let mut client = Client::legacy(&gate, place.hello("legacy")).await;
    let tools = client.ask("tools/list", json!({})).await;
    assert!(tools["result"]["tools"][0].get("execution").is_none(), "{tools}");
    assert_eq!(client.ask("tasks/list", json!({})).await["error"]["code"], -32601);
    // Who was not offered tasks is answered as if nothing had been said of them.
    let held = client.ask("tools/call", as_task("one")).await;
    assert_eq!(held["result"]["_meta"]["aecl"]["status"], "pending", "{held}");
    client.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stateless_client_gets_a_task_for_what_waits_and_is_asked_to_show_the_page() {
    let place = Place::new(300);
    let gate = place.gate().await;
    let mut client = Client::attach(&gate, place.hello("modern"));
    let hello = client.ask("server/discover", stateless(json!({}), knows())).await;
    assert_eq!(hello["result"]["capabilities"]["extensions"][EXTENSION], json!({}), "{hello}");
    let capabilities = json!({"extensions": {EXTENSION: {}}, "elicitation": {"url": {}}});
    let call = json!({"name": "write_note", "arguments": {"text": "one"}});
    let begun = client.ask("tools/call", stateless(call, capabilities.clone())).await["result"].clone();
    assert_eq!((&begun["resultType"], &begun["status"]), (&json!("task"), &json!("working")), "{begun}");
    assert!(begun["ttlMs"].is_u64() && begun["pollIntervalMs"].is_u64());
    let named = json!({"taskId": begun["taskId"]});
    let id = stateless(named.clone(), capabilities.clone());
    let asks = until(&mut client, id.clone(), "input_required").await;
    assert_eq!(asks["resultType"], "complete");
    let question = &asks["inputRequests"]["aecl_approval"];
    let ask = asked(&gate).await;
    assert_eq!(question["params"]["mode"], "url");
    assert!(question["params"]["url"].as_str().unwrap().ends_with(ask.approval.as_str()), "{asks}");
    let mut shown = id.clone();
    shown["inputResponses"] = json!({"aecl_approval": {"action": "accept"}});
    let told = client.ask("tasks/update", shown).await;
    assert_eq!(told["result"], json!({"resultType": "complete"}));
    until(&mut client, id.clone(), "working").await;
    assert_eq!(place.count("wrote"), 0, "what the client answers is no yes");
    answer(&gate, ask.approval.as_str(), true).await;
    let done = until(&mut client, id.clone(), "completed").await;
    assert_eq!(done["result"]["content"][0]["text"], "written", "{done}");
    let refused = client.ask("tasks/get", stateless(named, json!({}))).await;
    assert_eq!(refused["error"]["code"], -32021, "{refused}");
    assert_eq!(refused["error"]["data"]["requiredCapabilities"]["extensions"][EXTENSION], json!({}));
    assert_eq!(client.ask("tasks/list", id.clone()).await["error"]["code"], -32601);

    let call = json!({"name": "write_note", "arguments": {"text": "two"}});
    let second = client.ask("tools/call", stateless(call.clone(), knows())).await["result"].clone();
    let second = stateless(json!({"taskId": second["taskId"]}), knows());
    until(&mut client, second.clone(), "working").await;
    assert_eq!(client.ask("tasks/cancel", second.clone()).await["result"], json!({"resultType": "complete"}));
    until(&mut client, second, "cancelled").await;
    let plain = client.ask("tools/call", stateless(call, json!({}))).await;
    assert_eq!(mcp_home::status(&plain)["status"], "pending", "who does not know tasks gets none: {plain}");
    assert_eq!(place.count("wrote"), 1);
    client.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_ends_with_its_client_and_the_request_for_approval_does_not() {
    let place = Place::new(0);
    let gate = place.gate().await;
    let mut client = legacy(&gate, &place).await;
    client.ask("tools/call", as_task("one")).await;
    let ask = asked(&gate).await;
    client.leave().await;
    answer(&gate, ask.approval.as_str(), true).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(place.count("wrote"), 0, "nobody is here who wants it");
    let mut client = legacy(&gate, &place).await;
    let begun = client.ask("tools/call", as_task("one")).await;
    until(&mut client, json!({"taskId": begun["result"]["task"]["taskId"]}), "completed").await;
    assert_eq!(place.count("wrote"), 1);
    client.leave().await;
}
