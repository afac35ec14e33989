//! What a proxy lets through goes through once, and that proxy alone says what came of it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise, and its helpers are not marked as tests"
)]

mod common;

use aecl_executor::Outcome;
use aecl_gate::proxies::Proxied;
use aecl_gate::submit::{End, Submission};
use aecl_gate::{GateError, ProxyIdentity};
use aecl_kernel::base::digest::Digest;
use aecl_kernel::record::event::OutcomeKind;
use aecl_kernel::record::facts::ActionState;
use common::Served;
use serde_json::json;

/// A server that knows two proxies.
async fn served() -> (Served, [String; 2]) {
    let new = || aecl_gate::identity::new_key('x').unwrap();
    let ((edge, first), (other, second)) = (new(), new());
    let proxy = |id: &str, hash: Digest| json!({"id": id, "key": hash.to_string()});
    (Served::with(json!({"proxies": [proxy("edge", first), proxy("other", second)]})).await, [edge, other])
}

/// Asks as a proxy does.
async fn asked(served: &Served, proxy: &ProxyIdentity, token: &str, key: Option<&str>) -> Proxied {
    let session = served.gate.session(token).await.unwrap();
    let submission = Submission {
        name: "notes.write".into(),
        arguments: br#"{"text":"a"}"#.to_vec(),
        idempotency_key: key.map(str::to_owned),
        ..Submission::default()
    };
    served.gate.submit_proxied(proxy, &session, submission).await.unwrap()
}

fn saw(kind: OutcomeKind) -> Outcome {
    Outcome {
        kind,
        code: None,
        message: String::new(),
        output: None,
        may_have_acted: false,
        sandbox: "proxy".into(),
        traffic: None,
    }
}

fn code(taken: Result<ActionState, GateError>) -> &'static str {
    taken.unwrap_err().code().as_str()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_goes_through_a_proxy_once_and_that_proxy_says_what_came_of_it() {
    let (served, keys) = served().await;
    let [edge, other] = keys.map(|key| served.gate.proxy(&key).unwrap());
    let (_, token) = served.run("payer").await;
    let through = asked(&served, &edge, &token, Some("k-1")).await;
    let (id, leave) = (through.answer.action.to_string(), through.token.unwrap());
    let again = asked(&served, &edge, &token, Some("k-1")).await;
    assert!(again.token.is_none() && !matches!(again.answer.end, End::Permitted { .. }), "{again:?}");

    let report = format!("/v1/actions/{id}/outcome");
    assert_eq!(served.post(&token, &report, &json!({"outcome": "failed"})).await.short(), "403 forbidden");
    assert_eq!(code(served.gate.take_proxied(&other, &leave, saw(OutcomeKind::Done)).await), "forbidden");
    let End::Permitted { permit, .. } = through.answer.end else { panic!("{:?}", through.answer) };
    for forged in [token.as_str(), &permit, &format!("{leave}x"), "", "a.b.c"] {
        let taken = served.gate.take_proxied(&edge, forged, saw(OutcomeKind::Done)).await;
        assert_eq!(code(taken), "request_invalid", "{forged}");
    }
    assert_eq!(served.get(&token, &format!("/v1/actions/{id}")).await.json()["state"], "permitted");

    for _ in 0..2 {
        let taken = served.gate.take_proxied(&edge, &leave, saw(OutcomeKind::Done)).await.unwrap();
        assert_eq!(taken, ActionState::Done);
    }
    // It contradicts what is on record, which stays; that somebody has said so is there, too.
    assert_eq!(code(served.gate.take_proxied(&edge, &leave, saw(OutcomeKind::Failed)).await), "forbidden");
    assert_eq!(served.get(&token, &format!("/v1/actions/{id}")).await.json()["state"], "done");
    let entries = served.get(&served.keys.olga, "/v1/ledger/entries?from=0").await.text;
    assert!(entries.contains("proxy_late"), "{entries}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_proxy_says_late_settles_what_is_unknown() {
    let (served, [edge, _]) = served().await;
    let edge = served.gate.proxy(&edge).unwrap();
    let (_, token) = served.run("payer").await;
    let through = asked(&served, &edge, &token, None).await;
    let (id, leave) = (through.answer.action.to_string(), through.token.unwrap());
    served.later(600);
    served.gate.sweep().await.unwrap();
    let seen = served.get(&served.keys.olga, &format!("/v1/actions/{id}")).await;
    assert_eq!(seen.json()["state"], "unknown", "{}", seen.text);
    let taken = served.gate.take_proxied(&edge, &leave, saw(OutcomeKind::Done)).await.unwrap();
    assert_eq!(taken, ActionState::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_of_a_proxy_is_good_for_nothing_else() {
    let (served, [edge, _]) = served().await;
    for path in ["/v1/actions", "/v1/runs", "/v1/kill", "/v1/workers/accept"] {
        assert_eq!(served.post(&edge, path, &json!({})).await.short(), "403 forbidden", "{path}");
    }
    for path in ["/v1/workers", "/v1/policy", "/v1/approvals", "/metrics"] {
        assert_eq!(served.get(&edge, path).await.short(), "403 forbidden", "{path}");
    }
    let reply = served.post(&edge, "/envoy.service.auth.v3.Authorization/Check", &json!({})).await;
    assert_eq!(reply.status, 404, "{}", reply.text);
    for key in [&served.keys.olga, &served.keys.orchestrator] {
        assert_eq!(served.gate.proxy(key).unwrap_err().code().as_str(), "token_invalid");
    }
}
