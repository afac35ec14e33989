//! LiteLLM's guardrail: what a model answers is judged before the agent gets it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise, and its helpers are not marked as tests"
)]

mod common;

use common::Served;
use serde_json::{Value, json};

const PATH: &str = "/beta/litellm_basic_guardrail_api";

fn call(id: &str, tool: &str, arguments: &Value) -> Value {
    json!({"id": id, "type": "function", "function": {"name": tool, "arguments": arguments.to_string()}})
}

async fn asked(served: &Served, token: Option<&str>, more: Value) -> Value {
    let mut body =
        json!({"input_type": "response", "texts": [""], "request_data": {}, "litellm_version": "1.108.7"});
    body["request_headers"] = json!({"host": "x", "authorization": "[present]"});
    if let Some(token) = token {
        body["request_headers"]["X-AECL-Run"] = token.into();
    }
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let reply =
        served.send("POST", PATH, &[("content-type", "application/json")], body.to_string().as_bytes()).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    reply.json()
}

/// What LiteLLM is told: nothing, or why not.
async fn judged(served: &Served, token: &str, calls: Value) -> Option<String> {
    let said = asked(served, Some(token), json!({"tool_calls": calls})).await;
    match said["action"].as_str().unwrap() {
        "NONE" => None,
        "BLOCKED" => Some(said["blocked_reason"].as_str().unwrap().to_owned()),
        other => panic!("{other}"),
    }
}

async fn states(served: &Served, run: &str) -> Vec<String> {
    let entries = served.get(&served.keys.olga, &format!("/v1/ledger/runs/{run}/entries")).await.json();
    let concluded =
        entries["entries"].as_array().unwrap().iter().filter(|entry| entry["kind"] == "concluded");
    concluded.map(|entry| entry["outcome"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_model_answers_is_judged_and_what_the_agent_says_of_it_is_on_record() {
    let served = Served::start().await;
    let (run, token) = served.run("payer").await;
    let note = json!([call("c-1", "notes.write", &json!({"text": "a"}))]);
    assert_eq!(judged(&served, &token, note.clone()).await, None);
    assert_eq!(judged(&served, &token, note).await, None, "LiteLLM asks again about the same answer");
    let messages = json!([
        {"role": "user", "content": "Do it."},
        {"role": "assistant", "content": null, "tool_calls": []},
        {"role": "tool", "tool_call_id": "c-1", "content": "written"},
        {"role": "tool", "tool_call_id": "c-of-nobody", "content": "x"},
    ]);
    for _ in 0..2 {
        let said =
            asked(&served, Some(&token), json!({"input_type": "request", "structured_messages": messages}))
                .await;
        assert_eq!(said["action"], "NONE");
    }
    assert_eq!(states(&served, &run).await, ["done"]);
    let again =
        judged(&served, &token, json!([call("c-1", "notes.write", &json!({"text": "a"}))])).await.unwrap();
    assert!(again.contains("made before (done)"), "{again}");
    let other =
        judged(&served, &token, json!([call("c-1", "notes.write", &json!({"text": "b"}))])).await.unwrap();
    assert!(other.contains("replay_conflict"), "{other}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_refuses_the_whole_answer_and_leaves_nothing_open() {
    let served = Served::start().await;
    let (run, token) = served.run("payer").await;
    let calls = json!([
        call("c-1", "notes.write", &json!({"text": "a"})),
        call("c-2", "payments.close_account", &json!({"account": "x"})),
    ]);
    let why = judged(&served, &token, calls).await.unwrap();
    assert!(why.contains("AECL refuses `payments.close_account` [authorize_refused]"), "{why}");
    assert_eq!(states(&served, &run).await, ["failed"], "the other one surely did not happen");
    for (calls, part) in [
        (json!([call("c-3", "rm.rf", &json!({}))]), "action_unknown"),
        (
            json!([{"id": "c-4", "function": {"name": "notes.write", "arguments": "{\"text\":\"a\",\"text\":\"b\"}"}}]),
            "json_duplicate_key",
        ),
        (
            json!([{"id": "c-5", "function": {"name": "notes.write", "arguments": "{\"text\":"}}]),
            "json_invalid",
        ),
        (
            json!([
                call("c-7", "notes.write", &json!({"text": "a"})),
                call("c-7", "notes.write", &json!({"text": "a"}))
            ]),
            "have the id `c-7`",
        ),
        (json!([{"id": null, "function": {"name": "notes.write", "arguments": "{}"}}]), "has no id"),
        (json!([{"id": "c-6", "function": {"name": null, "arguments": "{}"}}]), "has no id or no name"),
    ] {
        let why = judged(&served, &token, calls).await.unwrap();
        assert!(why.contains(part), "{part}: {why}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_run_no_tool_call_passes_and_nothing_else_is_held_up() {
    let served = Served::start().await;
    let calls = json!({"tool_calls": [call("c-1", "notes.write", &json!({"text": "a"}))]});
    for (token, part) in [
        (None, "has no header `x-aecl-run`"),
        (Some("[present]"), "`extra_headers`"),
        (Some("x"), "token_invalid"),
        (Some(served.keys.orchestrator.as_str()), "token_invalid"),
    ] {
        let said = asked(&served, token, calls.clone()).await;
        let why = said["blocked_reason"].as_str().unwrap_or_default();
        assert!(said["action"] == "BLOCKED" && why.contains(part), "{part}: {said}");
    }
    for harmless in [
        json!({"tool_calls": null}),
        json!({"input_type": "request", "structured_messages": [{"role": "user", "content": "hi"}]}),
    ] {
        assert_eq!(asked(&served, None, harmless).await["action"], "NONE");
    }
    for odd in ["", "[]", "{", "{\"input_type\":\"other\"}"] {
        let reply = served.send("POST", PATH, &[("content-type", "application/json")], odd.as_bytes()).await;
        assert_eq!((reply.status, &reply.json()["action"]), (200, &json!("BLOCKED")), "{odd}");
    }
    let reply = served.send("POST", PATH, &[("content-type", "text/plain")], b"{}").await;
    assert_eq!((reply.status, &reply.json()["action"]), (200, &json!("BLOCKED")));
}
