//! One process owns a home: a command that finds nobody serving serves by itself, and lets go at its end.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise, and its helpers are not marked as tests"
)]

mod common;

use aecl::cli::{Common, client};
use aecl::http::host::Host;
use aecl_kernel::policy::problem::Source;
use common::Served;
use serde_json::json;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test]
async fn a_command_serves_if_nobody_does() {
    let dir = tempfile::tempdir().unwrap();
    let (home, _) = common::home(dir.path(), json!({}));
    let common = Common::on(home.dir());
    // A file that a killed process has left behind.
    std::fs::write(home.data().join("aecl.sock"), "").unwrap();

    let first = client::connect(&common).await.unwrap();
    assert!(!first.served_elsewhere());
    assert_eq!(first.get("/healthz").await.unwrap()["status"], "ok");
    let second = client::connect(&common).await.unwrap();
    assert!(second.served_elsewhere(), "the first one serves");
    assert_eq!(second.get("/healthz").await.unwrap()["status"], "ok");
    second.close().await;
    first.close().await;

    let third = client::connect(&common).await.unwrap();
    assert!(!third.served_elsewhere(), "the directory was let go");
    third.close().await;
}

#[tokio::test]
async fn readyz_says_what_the_wall_clock_does_and_an_operator_accepts_a_jump() {
    let s = Served::start().await;
    let ready = async || s.get(&s.keys.olga, "/readyz").await.json()["clock"].clone();
    assert_eq!(ready().await, json!(null));
    s.wall_is_off_by(-7200);
    assert_eq!(ready().await["standing"], "behind");
    s.wall_is_off_by(7200);
    let clock = ready().await;
    assert_eq!(clock["standing"], "ahead");
    assert!(
        clock["by_s"].as_u64().unwrap() >= 7199 && clock["believed_in_s"].as_u64().unwrap() > 800,
        "{clock}"
    );
    let metrics = s.get(&s.keys.olga, "/metrics").await.text;
    assert!(
        metrics.contains("aecl_clock_ahead_seconds 7") && metrics.contains("aecl_clock_behind_seconds 0")
    );
    // A new run acts all the while.
    let (_, token) = s.run("payer").await;
    assert_eq!(s.transfer(&token, "10.00", json!({})).await.json()["state"], "pending");

    let refused = s.post(&s.keys.orchestrator, "/v1/clock/accept", &json!({})).await;
    assert_eq!(refused.short(), "403 forbidden");
    let accepted = s.post(&s.keys.olga, "/v1/clock/accept", &json!({})).await.json();
    assert!(accepted["accepted_s"].as_u64().unwrap() >= 7199, "{accepted}");
    assert_eq!(accepted["standing"], "right");
    assert_eq!(ready().await, json!(null));
    let again = s.post(&s.keys.olga, "/v1/clock/accept", &json!({})).await.json();
    assert_eq!((&again["accepted_s"], &again["standing"]), (&json!(null), &json!("right")));
}

#[tokio::test]
async fn a_server_whose_data_is_replaced_stops_and_no_second_one_starts_beside_it() {
    let dir = tempfile::tempdir().unwrap();
    let (home, _) = common::home(dir.path(), json!({}));
    let host = Host::start(home.clone(), None).await.unwrap();
    std::fs::rename(home.data(), dir.path().join("aside")).unwrap();
    let second = Host::start(home.clone(), None).await.unwrap_err();
    assert!(second.to_string().contains("is in use by"), "{second}");
    // Nothing more is acknowledged, also before anybody has looked.
    let refused = host.gate().ledger().heartbeat(0, host.gate().now()).await.unwrap_err();
    assert!(refused.to_string().contains("removed or replaced"), "{refused}");
    let why = tokio::time::timeout(Duration::from_secs(10), host.failed()).await.unwrap();
    assert!(why.contains("ledger.db` is no longer the file that was opened"), "{why}");
    host.stop().await;
    let gone = Host::start(home.clone(), None).await.unwrap_err();
    assert!(gone.to_string().contains("aecl log accept-loss"), "{gone}");
    std::fs::remove_dir_all(home.data()).unwrap();
    std::fs::rename(dir.path().join("aside"), home.data()).unwrap();
    Host::start(home, None).await.unwrap().stop().await;
}

#[tokio::test]
async fn a_request_that_names_no_host_is_refused() {
    let s = Served::start().await;
    for (head, status) in [
        ("GET /v1/clock HTTP/1.1\r\nConnection: close\r\n\r\n", "403"),
        ("GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", "200"),
    ] {
        let mut stream = TcpStream::connect(s.address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut said = Vec::new();
        drop(stream.read_to_end(&mut said).await);
        let said = String::from_utf8_lossy(&said).into_owned();
        assert!(said.starts_with(&format!("HTTP/1.1 {status}")), "{head}: {said}");
    }
}

#[tokio::test]
async fn metrics_are_for_whoever_may_read_everything_unless_the_configuration_opens_them() {
    let auditor = aecl_gate::identity::new_key('p').unwrap();
    let of = |more: serde_json::Value| {
        let (mut config, keys) = common::config(json!({}));
        let people = config["people"].as_array_mut().unwrap();
        people.push(json!({"id": "prometheus", "groups": ["auditors"], "key": auditor.1.to_string()}));
        let mut all = json!({"people": people, "orchestrators": config["orchestrators"]});
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        (all, keys)
    };
    let (config, keys) = of(json!({}));
    let s = Served::with(config).await;
    let (_, token) = s.run_with(&keys.orchestrator, "payer").await;
    s.post(&token, "/v1/actions", &json!({"action": "mail.read", "arguments": {"id": "m1"}})).await;
    let nobody = s.send("GET", "/metrics", &[], b"").await;
    assert_eq!(nobody.short(), "401 token_invalid");
    let said = nobody.json()["hint"].as_str().unwrap().to_owned();
    assert!(said.contains("--group auditors") && said.contains("metrics: open"), "{said}");
    for (who, key, status) in [
        ("forged", "aecl_p_forged", "401 token_invalid"),
        ("a run", token.as_str(), "403 forbidden"),
        ("orchestrator", keys.orchestrator.as_str(), "403 forbidden"),
        ("finance", keys.finn.as_str(), "403 forbidden"),
    ] {
        let reply = s.get(key, "/metrics").await;
        assert_eq!(reply.short(), status, "{who}");
        assert!(!reply.text.contains("mail.read"), "{who}: {}", reply.text);
    }
    for key in [&auditor.0, &keys.olga] {
        let reply = s.get(key, "/metrics").await;
        assert!(reply.status == 200 && reply.text.contains("action=\"mail.read\""), "{}", reply.text);
    }
    let s = Served::with(of(json!({"metrics": "open"})).0).await;
    assert_eq!(s.send("GET", "/metrics", &[], b"").await.status, 200);
}

/// The usual policy, with an action that is carried out by a program.
fn with_program(world: &std::path::Path) -> Vec<Source> {
    let mut actions = common::actions(world);
    actions.as_array_mut().unwrap().push(json!({
        "name": "work.test", "effect": "execute", "reversibility": "reversible",
        "arguments": {"type": "object", "properties": {}}, "connector": {"kind": "process", "argv": ["true"]},
    }));
    let source = |path: &str, value: serde_json::Value| Source { path: path.into(), text: value.to_string() };
    vec![source("actions/all.json", actions), source("agents/all.json", common::agents())]
}

#[tokio::test]
async fn health_says_what_holds_programs_to_whoever_may_read_everything() {
    let s = Served::of(json!({}), with_program).await;
    let (keys, (_, token)) = (&s.keys, s.run("payer").await);
    for path in ["/healthz", "/readyz"] {
        let nobody = s.send("GET", path, &[], b"").await;
        assert_eq!((nobody.status, nobody.text.as_str()), (200, r#"{"status":"ok"}"#), "{path}");
        for key in ["aecl_p_forged", token.as_str(), &keys.orchestrator, &keys.finn] {
            let short = s.get(key, path).await;
            assert_eq!((short.status, short.text.as_str()), (200, r#"{"status":"ok"}"#), "{path}");
        }
        let whole = s.get(&keys.olga, path).await.json();
        assert!(whole["version"].is_string() && whole["sandbox"]["backends"].is_array(), "{path} {whole}");
    }
}
