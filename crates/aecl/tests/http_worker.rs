//! A worker over HTTP: it connects, accepts, is handed a signed permit for exactly these bytes, and reports.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise, and its helpers are not marked as tests"
)]

mod common;

use aecl_kernel::base::digest::Digest;
use aecl_kernel::policy::problem::Source;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use common::{Served, agents};
use ed25519_dalek::{Signature, VerifyingKey};
use serde_json::{Value, json};

const INSTANCE: &str = "a-process-of-a-worker-1";
const NONCE: &str = "a-nonce-of-a-test-12345";

/// A server with one action that a worker carries out, and keys of two workers.
async fn served(lease_ms: u64) -> (Served, [String; 2]) {
    let new = || aecl_gate::identity::new_worker_key(&[7; 32]).unwrap();
    let ((one, first), (two, second)) = (new(), new());
    let worker = |id: &str, hash: Digest| json!({"id": id, "actions": ["ship"], "key": hash.to_string()});
    let workers = json!([worker("one", first), worker("two", second)]);
    let policy = move |_: &std::path::Path| {
        let text = json!({"type": "string"});
        let actions = json!([{
            "name": "ship", "effect": "write", "description": "Ship a parcel.", "reversibility": "reversible",
            "arguments": {"type": "object", "properties": {"parcel": text}, "required": ["parcel"]},
            "args": {"parcel": {"class": "selector"}}, "severity": 1, "egress": "none",
            "output": {"untrusted": false, "private": false}, "approval": {"always": false},
            "connector": {"kind": "worker", "queue_ms": 60_000, "lease_ms": lease_ms},
        }]);
        let mut agents = agents();
        agents[0]["allowed_actions"] = json!(["ship"]);
        agents[0]["context_rules"] = json!({});
        agents[0]["blocked_actions"] = json!([]);
        agents[0]["auto_approve_threshold"] = json!("0.90");
        let source = |path: &str, value: Value| Source { path: path.into(), text: value.to_string() };
        let only_payer = json!([agents[0]]);
        vec![source("actions/all.json", actions), source("agents/all.json", only_payer)]
    };
    (Served::of(json!({"workers": workers}), policy).await, [one, two])
}

/// The line of a worker, read by the line.
struct Line {
    response: reqwest::Response,
    read: String,
}

impl Line {
    async fn open(served: &Served, key: &str) -> Self {
        let body = json!({"instance": INSTANCE, "nonce": NONCE, "serves": {"ship": ["perform"]}, "slots": 1});
        let url = format!("http://{}/v1/workers/connect", served.address);
        let request = served.http.post(url).bearer_auth(key).header("content-type", "application/json");
        let response = request.body(body.to_string()).send().await.unwrap();
        assert_eq!(response.status(), 200);
        Self { response, read: String::new() }
    }

    /// The next line of this kind.
    async fn next(&mut self, kind: &str) -> Value {
        loop {
            while let Some((line, rest)) = self.read.split_once('\n') {
                let line: Value = serde_json::from_str(line).unwrap();
                self.read = rest.to_owned();
                if line["kind"] == kind {
                    return line;
                }
            }
            let chunk = self.response.chunk().await.unwrap().unwrap_or_else(|| panic!("no `{kind}` comes"));
            self.read.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }
}

/// The claims of a token that this server has signed.
async fn signed(served: &Served, token: &str, typ: &str) -> Value {
    let key = served.send("GET", "/.well-known/jwks.json", &[], b"").await.json()["keys"][0]["x"].clone();
    let bytes = |text: &str| BASE64_URL_SAFE_NO_PAD.decode(text).unwrap();
    let key: [u8; 32] = bytes(key.as_str().unwrap()).try_into().unwrap();
    let (message, signature) = token.rsplit_once('.').unwrap();
    let signature = Signature::from_slice(&bytes(signature)).unwrap();
    VerifyingKey::from_bytes(&key).unwrap().verify_strict(message.as_bytes(), &signature).unwrap();
    let (head, claims) = message.split_once('.').unwrap();
    let head: Value = serde_json::from_slice(&bytes(head)).unwrap();
    assert_eq!((&head["typ"], &head["alg"]), (&json!(typ), &json!("EdDSA")));
    serde_json::from_slice(&bytes(claims)).unwrap()
}

async fn ship(served: &Served, token: &str) -> Value {
    let body = json!({"action": "ship", "arguments": {"parcel": "ü 7"}});
    served.post(token, "/v1/actions", &body).await.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_handed_over_once_for_exactly_its_bytes_and_its_report_is_the_outcome() {
    let (served, [one, two]) = served(60_000).await;
    let mut line = Line::open(&served, &one).await;
    let greeting = line.next("hello").await["greeting"].as_str().unwrap().to_owned();
    let greeting = signed(&served, &greeting, "aecl-worker+jwt").await;
    assert_eq!((&greeting["instance"], &greeting["nonce"]), (&json!(INSTANCE), &json!(NONCE)));

    let (_, token) = served.run("payer").await;
    let shipping = async {
        let offer = line.next("offer").await;
        assert_eq!((&offer["action"], &offer["function"]), (&json!("ship"), &json!("perform")));
        assert!(offer.get("arguments").is_none(), "an offer holds nothing to act on");
        let take = json!({"instance": INSTANCE, "delivery": offer["delivery"], "nonce": NONCE});
        for (key, instance) in [(&two, INSTANCE), (&one, "another-process-of-it")] {
            let mut take = take.clone();
            take["instance"] = instance.into();
            assert_eq!(served.post(key, "/v1/workers/accept", &take).await.short(), "409 work_gone");
        }
        let handed = served.post(&one, "/v1/workers/accept", &take).await.json();
        let claims = signed(&served, handed["permit"].as_str().unwrap(), "aecl-work+jwt").await;
        assert_eq!(handed["arguments"], r#"{"parcel":"ü 7"}"#);
        let bytes = handed["arguments"].as_str().unwrap().as_bytes();
        let expected = json!({
            "aud": "aecl:work", "sub": "one", "instance": INSTANCE, "nonce": NONCE, "jti": offer["delivery"],
            "action": "ship", "serves": "ship", "function": "perform", "lease_ms": 60_000,
            "arguments": Digest::of(bytes).to_string(),
        });
        for (claim, value) in expected.as_object().unwrap() {
            assert_eq!(&claims[claim], value, "{claim}");
        }
        // Who has no permit of its own reports nothing.
        let report = json!({"instance": INSTANCE, "permit": handed["permit"], "outcome": "done", "output": {"sent": 1}});
        assert_eq!(served.post(&two, "/v1/workers/report", &report).await.short(), "409 work_gone");
        let said = served.post(&one, "/v1/workers/report", &report).await.json();
        assert_eq!(said, json!({"state": "done", "late": false}));
        // The same once more is the same; something else changes nothing and is noted.
        let said = served.post(&one, "/v1/workers/report", &report).await.json();
        assert_eq!(said, json!({"state": "done", "late": true}));
        let mut other = report.clone();
        other["outcome"] = "failed".into();
        assert_eq!(served.post(&one, "/v1/workers/report", &other).await.short(), "409 work_answered");
    };
    let (answer, ()) = tokio::join!(ship(&served, &token), shipping);
    assert_eq!((&answer["state"], &answer["output"]), (&json!("done"), &json!({"sent": 1})));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_key_of_a_worker_takes_work_and_it_is_good_for_nothing_else() {
    let (served, [one, _]) = served(60_000).await;
    let (_, token) = served.run("payer").await;
    let take = json!({"instance": INSTANCE, "delivery": "del_x", "nonce": NONCE});
    for other in [&token, &served.keys.orchestrator, &served.keys.olga] {
        assert_eq!(served.post(other, "/v1/workers/accept", &take).await.short(), "403 forbidden");
    }
    let reply = served.send("POST", "/v1/workers/accept", &[], take.to_string().as_bytes()).await;
    assert_eq!(reply.short(), "401 token_invalid");
    for path in ["/v1/actions", "/v1/runs", "/v1/kill"] {
        assert_eq!(served.post(&one, path, &json!({})).await.short(), "403 forbidden", "{path}");
    }
    for path in ["/v1/workers", "/v1/policy", "/v1/approvals", "/metrics"] {
        assert_eq!(served.get(&one, path).await.short(), "403 forbidden", "{path}");
    }
    assert_eq!(served.get(&served.keys.orchestrator, "/v1/workers").await.short(), "403 forbidden");
    let mut line = Line::open(&served, &one).await;
    line.next("hello").await;
    let seen = served.get(&served.keys.olga, "/v1/workers").await.json();
    assert_eq!(seen["connected"][0]["worker"], "one");
    assert_eq!((&seen["connected"][0]["state"], &seen["actions"]["ship"]), (&json!("ready"), &json!(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_has_begun_to_offer_ends_when_it_goes_down() {
    let (served, [one, _]) = served(60_000).await;
    let mut line = Line::open(&served, &one).await;
    let (_, token) = served.run("payer").await;
    let going_down = async {
        line.next("offer").await;
        served.closing.cancel();
        line.next("closing").await;
    };
    let (answer, ()) = tokio::join!(ship(&served, &token), going_down);
    assert_eq!((&answer["state"], &answer["code"]), (&json!("failed"), &json!("worker_unavailable")));
}
