//! Whose credentials an attempt may use, where only the server's own configuration says what it holds.

use crate::house::{end, everybody, person, request, submission};
use aecl_analysis::load::VettedBundle;
use aecl_executor::{Connectors, Executor};
use aecl_gate::{Clock, Gate, Parts};
use aecl_kernel::base::time::Timestamp;
use aecl_kernel::policy::problem::Source;
use aecl_ledger::store::Memory;
use ed25519_dalek::SigningKey;
use serde_json::{Value, json};

/// Two servers that cannot be started: who may use their credentials gets as far as that.
async fn gate() -> Gate {
    let tool = |name: &str, server: &str| {
        json!({
            "name": name, "effect": "read", "arguments": {"type": "object", "properties": {}},
            "connector": {"kind": "mcp", "server": server, "tool": "any"},
        })
    };
    let agent = |id: &str, scope: Value| json!({"agent_id": id, "allowed_actions": ["mail", "open"], "credential_scope": scope});
    let source = |path: &str, value: Value| Source { path: path.into(), text: value.to_string() };
    let sources = vec![
        source("actions/all.json", json!([tool("mail", "mail"), tool("open", "open")])),
        source(
            "agents/all.json",
            json!([
                agent("mailer", "mail_ns".into()),
                agent("other", "other_ns".into()),
                agent("plain", Value::Null)
            ]),
        ),
    ];
    let server = |scope: Value| {
        json!({
            "kind": "stdio", "command": "/no/such/server", "env": {"TOKEN": "{secret:env:PATH}"}, "credential_scope": scope,
        })
    };
    let servers = json!({"mail": server("mail_ns".into()), "open": server(Value::Null)});
    let parts = Parts {
        config: serde_json::from_value(
            json!({"origin": "example.com/credentials", "people": everybody(), "servers": servers}),
        )
        .unwrap(),
        bundle: VettedBundle::load(sources).unwrap(),
        store: Box::new(Memory::new()),
        ledger_key: SigningKey::from_bytes(&[7; 32]),
        token_key: SigningKey::from_bytes(&[8; 32]),
        executor: Executor::new(Connectors::default()),
        clock: Clock::from_fn(|| Timestamp(1_767_225_600_000)),
    };
    Gate::of_parts(parts).await.unwrap()
}

#[tokio::test]
async fn a_permit_opens_the_credentials_of_its_scope_and_no_others() {
    let gate = gate().await;
    for (agent, action, expected) in [
        ("mailer", "mail", "failed upstream_not_connected"),
        ("mailer", "open", "failed credential_refused"),
        ("other", "mail", "failed credential_refused"),
        ("plain", "mail", "failed credential_refused"),
        ("plain", "open", "failed upstream_not_connected"),
    ] {
        let run = gate.open_run(&person("ann"), request(agent)).await.unwrap().session;
        let answer = gate.submit(&run, submission(action, json!({}))).await.unwrap();
        assert_eq!(end(&answer), expected, "{agent} {action}");
    }
}
