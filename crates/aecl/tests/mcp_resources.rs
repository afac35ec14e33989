//! Rules about the thing that a tool acts on, with a real server behind: what it answers as text is what rules see.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod mcp_home;

use aecl_kernel::base::id::UserId;
use mcp_home::{Client, Place, aecl, status};
use serde_json::{Value, json};

const RULES: &str = r#"
@reason("a parcel is its sender's")
forbid (principal, action, resource is Parcel) unless { context has user && resource.sender == context.user };
@reason("what is on its way is not stopped")
forbid (principal, action == Action::"tiny.stop_parcel", resource) unless { resource.state == "packed" };
"#;

/// The server's two tools. What the first answers is text with JSON in it, as most servers do it.
fn tools(place: &Place, state: &str) {
    let parcel = json!({"sender": {"id": "u7"}, "state": state, "street": "1 Hidden Lane"}).to_string();
    let takes =
        json!({"type": "object", "properties": {"parcel": {"type": "string"}}, "required": ["parcel"]});
    let answer = json!({"content": [{"type": "text", "text": parcel}]});
    let listed = json!([
        {"name": "get_parcel", "description": "Gets a parcel.", "inputSchema": takes, "answer": answer},
        {"name": "stop_parcel", "description": "Stops a parcel.", "inputSchema": takes},
    ]);
    std::fs::write(place.path("tools.json"), listed.to_string()).unwrap();
}

/// What somebody writes about the tool once it has been taken in.
fn described(place: &Place) {
    let file = place.home.policy().join("actions/mcp-tiny.json");
    let mut entries: Vec<Value> = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let stop = entries.iter_mut().find(|entry| entry["name"] == "tiny.stop_parcel").unwrap();
    let more = json!({
        "effect": "write", "reversibility": "reversible", "severity": 1, "egress": "none", "approval": null,
        "resource": {
            "type": "Parcel", "read": "tiny.get_parcel", "arguments": {"parcel": {"from": "arguments", "at": "/parcel"}},
            "attributes": {"sender": {"at": "/sender/id", "type": "text"}, "state": {"at": "/state", "type": "text"}},
        },
    });
    stop.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    std::fs::write(&file, json!(entries).to_string()).unwrap();
    std::fs::create_dir_all(place.home.policy().join("rules")).unwrap();
    std::fs::write(place.home.policy().join("rules/parcels.cedar"), RULES).unwrap();
    // The agent may stop parcels. It may not read them.
    place.manifest(json!({"agent_id": "default", "allowed_actions": ["tiny.stop_parcel"]}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_is_judged_by_what_its_server_says_of_the_thing() {
    let place = Place::new(0);
    tools(&place, "packed");
    let gate = place.gate().await;
    let mut client = Client::legacy(&gate, place.hello("legacy")).await;
    client.names().await;
    client.leave().await;
    drop(gate);
    described(&place);
    let gate = place.gate().await;
    let as_user = |user: &str| {
        let mut hello = place.hello("legacy");
        hello.user = Some(UserId::new(user).unwrap());
        hello
    };
    let mut client = Client::legacy(&gate, as_user("u7")).await;
    let stopped = client.call("stop_parcel", json!({"parcel": "p1"})).await;
    assert_eq!(stopped["result"]["content"][0]["text"], "done", "{stopped}");
    assert_eq!(
        (place.count("did get_parcel"), place.count("did stop_parcel")),
        (2, 1),
        "{}",
        place.journal()
    );
    // It is on its way now.
    tools(&place, "sent");
    let refused = client.call("stop_parcel", json!({"parcel": "p1"})).await;
    assert_eq!(status(&refused)["code"], "policy_forbids", "{refused}");
    // The agent is told nothing of what the gate has read.
    assert!(!refused.to_string().contains("sent") && !refused.to_string().contains("Hidden"), "{refused}");
    client.leave().await;
    // And it is nobody else's.
    tools(&place, "packed");
    let mut client = Client::legacy(&gate, as_user("u8")).await;
    let refused = client.call("stop_parcel", json!({"parcel": "p1"})).await;
    assert_eq!(status(&refused)["code"], "policy_forbids", "{refused}");
    client.leave().await;
    assert_eq!(place.count("did stop_parcel"), 1, "{}", place.journal());
    drop(gate);
    // Who looks into the record sees what was known.
    let id = status(&refused)["action_id"].as_str().unwrap();
    let shown = aecl(&place, &["log", "show", id]);
    assert!(shown.contains("resource `p1` as its system answered at"), "{shown}");
    assert!(shown.contains("sender is `u7`, state is `packed`"), "{shown}");
}
