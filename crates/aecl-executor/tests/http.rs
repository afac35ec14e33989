//! REST requests against a real server on loopback.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aecl_executor::connectors::http::HttpConnector;
use aecl_executor::{Call, CallPlan, CallResult, Connector, DryRun, Reconciled, fake};
use aecl_kernel::define::connector::ConnectorSpec;
use aecl_kernel::define::connector::http::HttpSpec;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use futures_util::StreamExt as _;
use serde_json::{Value, json};

#[derive(Clone, Default)]
struct Target {
    seen: Arc<Mutex<Vec<Value>>>,
    hits: Arc<AtomicU32>,
}

async fn answer(State(target): State<Target>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    target.hits.fetch_add(1, Ordering::Relaxed);
    let header = |headers: &HeaderMap, name: &str| headers.get(name).map(|v| v.to_str().unwrap().to_owned());
    target.seen.lock().unwrap().push(json!({
        "method": parts.method.as_str(), "uri": parts.uri.to_string(), "body": String::from_utf8_lossy(&body),
        "auth": header(&parts.headers, "authorization"), "key": header(&parts.headers, "idempotency-key"),
    }));
    match parts.uri.path() {
        "/missing" => (StatusCode::NOT_FOUND, r#"{"error":"none"}"#).into_response(),
        "/broken" => (StatusCode::BAD_GATEWAY, "<html>oops").into_response(),
        "/moved" => (StatusCode::FOUND, [(header::LOCATION, "/elsewhere")]).into_response(),
        "/slow" => {
            tokio::time::sleep(Duration::from_secs(20)).await;
            "late".into_response()
        }
        path if path.starts_with("/status/") => {
            let number = path.rsplit('/').next().unwrap().parse().unwrap();
            (StatusCode::from_u16(number).unwrap(), "{}").into_response()
        }
        "/large" => "z".repeat(5_000).into_response(),
        "/text" => "plain".into_response(),
        "/echo-every" => {
            let auth = header(&parts.headers, "authorization").unwrap();
            let every: String = auth.chars().map(|c| format!("\\u{:04X}", c as u32)).collect();
            format!(r#"{{"one":"{every}","two":{}}}"#, Value::String(every.clone())).into_response()
        }
        "/echo-base64" => {
            let auth = header(&parts.headers, "authorization").unwrap();
            base64::engine::general_purpose::STANDARD.encode(auth).into_response()
        }
        "/echo-late" => {
            let auth = header(&parts.headers, "authorization").unwrap();
            format!("{}{auth}", "z".repeat(100 - "Bearer sk_live_".len())).into_response()
        }
        "/echo-auth" => header(&parts.headers, "authorization").unwrap().into_response(),
        "/cut" => {
            let parts = [Ok("half"), Err(std::io::Error::other("cut"))];
            // The pause lets the first half leave before the connection breaks.
            let slowly = futures_util::stream::iter(parts).then(|part| async {
                tokio::time::sleep(Duration::from_millis(50)).await;
                part
            });
            axum::body::Body::from_stream(slowly).into_response()
        }
        _ => r#"{ "ok":true, "big":12345678901234567890123 }"#.into_response(),
    }
}

async fn target() -> (SocketAddr, Target) {
    let target = Target::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = Router::new().fallback(answer).with_state(target.clone());
    tokio::spawn(async move { axum::serve(listener, app).await });
    (address, target)
}

fn call(address: SocketAddr, method: &str, path: &str, more: Value, arguments: &str) -> Call {
    let mut spec =
        json!({ "method": method, "url": format!("http://{address}{path}"), "allow_private": true });
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let spec: HttpSpec = serde_json::from_value(spec).unwrap();
    let mut call = fake::call("refund", arguments);
    call.connector = ConnectorSpec::Http(Box::new(spec));
    call.timeout_ms = 5_000;
    call
}

async fn perform(call: &Call) -> CallResult {
    HttpConnector::default().perform(call).await
}

/// Done, unknown, or failed and perhaps not without an effect; and the code.
fn word(performed: &CallResult) -> String {
    match performed {
        CallResult::Done { .. } => "done".into(),
        CallResult::Failed { code, may_have_acted: false, .. } => format!("nothing happened: {code}"),
        CallResult::Failed { code, may_have_acted: true, .. } => format!("failed: {code}"),
        CallResult::Unknown { code, .. } => format!("unknown: {code}"),
    }
}

#[tokio::test]
async fn a_request_is_what_the_template_says() {
    let (address, target) = target().await;
    let mut secret = tempfile::NamedTempFile::new().unwrap();
    write!(secret, "sk_live_4711").unwrap();
    let more = json!({
        "query": { "reason": "{why}", "note": "{note}" },
        "headers": { "Authorization": format!("Bearer {{secret:file:{}}}", secret.path().display()) },
        "body": { "template": { "cents": "{amount}", "memo": "order {order_id}" } },
    });
    let arguments = r#"{"amount":500,"order_id":"a/b","why":"it & that"}"#;
    let call = call(address, "post", "/orders/{order_id}/refunds", more, arguments);
    let CallResult::Done { output } = perform(&call).await else { panic!() };
    assert_eq!(output, br#"{ "ok":true, "big":12345678901234567890123 }"#);
    let request = target.seen.lock().unwrap()[0].clone();
    assert_eq!(
        request,
        json!({
            "method": "POST", "uri": "/orders/a%2Fb/refunds?reason=it+%26+that",
            "body": r#"{"cents":500,"memo":"order a/b"}"#,
            "auth": "Bearer sk_live_4711", "key": "key-refund",
        })
    );
}

#[tokio::test]
async fn the_judged_bytes_are_the_body() {
    let (address, target) = target().await;
    let arguments = r#"{"amount":1.10,"z":1,"a":2}"#;
    perform(&call(address, "POST", "/x", json!({ "body": "arguments" }), arguments)).await;
    assert_eq!(target.seen.lock().unwrap()[0]["body"], arguments);
}

#[tokio::test]
async fn every_answer_has_its_meaning() {
    let (address, target) = target().await;
    for (method, path, expected) in [
        ("POST", "/fine", "done"),
        ("POST", "/text", "done"),
        ("POST", "/missing", "nothing happened: http_status"),
        ("POST", "/broken", "unknown: http_status"),
        ("POST", "/status/408", "unknown: http_status"),
        ("POST", "/status/425", "unknown: http_status"),
        ("POST", "/status/460", "unknown: http_status"),
        ("POST", "/status/499", "unknown: http_status"),
        ("POST", "/status/409", "nothing happened: http_status"),
        ("POST", "/status/429", "nothing happened: http_status"),
        ("GET", "/status/408", "nothing happened: http_status"),
        ("GET", "/broken", "nothing happened: http_status"),
        ("POST", "/moved", "unknown: http_status"),
        ("GET", "/moved", "nothing happened: http_status"),
        ("POST", "/cut", "unknown: http_status"),
        ("GET", "/cut", "nothing happened: http_lost"),
    ] {
        let performed = perform(&call(address, method, path, json!({}), "{}")).await;
        assert_eq!(word(&performed), expected, "{method} {path}: {performed:?}");
    }
    assert!(!target.seen.lock().unwrap().iter().any(|seen| seen["uri"] == "/elsewhere"));
    let unexpected = call(address, "POST", "/fine", json!({ "expect_status": [201] }), "{}");
    assert_eq!(word(&perform(&unexpected).await), "unknown: http_status");
}

#[tokio::test]
async fn silence_and_cancellation_are_unknown_for_what_writes() {
    let (address, _) = target().await;
    for (method, expected) in [("POST", "unknown: http_timeout"), ("GET", "nothing happened: http_timeout")] {
        let call = call(address, method, "/slow", json!({ "timeout_ms": 100 }), "{}");
        assert_eq!(word(&perform(&call).await), expected);
    }
    let call = call(address, "POST", "/slow", json!({}), "{}");
    let cancel = call.cancel.clone();
    let (performed, ()) = tokio::join!(perform(&call), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        cancel.cancel();
    });
    assert_eq!(word(&performed), "unknown: http_cancelled");
}

#[tokio::test]
async fn what_is_refused_before_it_leaves_is_surely_nothing() {
    let (address, target) = target().await;
    let closed: SocketAddr = "127.0.0.1:1".parse().unwrap();
    let secret = json!({ "headers": { "X": "{secret:env:AECL_TEST_NEVER_SET}" } });
    for (call, expected) in [
        (call(closed, "POST", "/x", json!({}), "{}"), "nothing happened: http_no_connection"),
        (call(address, "POST", "/{id}", json!({}), "{}"), "nothing happened: http_template"),
        (call(address, "POST", "/{id}/x", json!({}), r#"{"id":".."}"#), "nothing happened: http_template"),
        (call(address, "POST", "/x", secret, "{}"), "nothing happened: secret_missing"),
        (
            call(address, "POST", "/x", json!({ "allow_private": false }), "{}"),
            "nothing happened: egress_denied",
        ),
        (
            call(
                address,
                "POST",
                "/x",
                json!({ "url": "https://localhost:9/x", "allow_private": false }),
                "{}",
            ),
            "nothing happened: egress_denied",
        ),
        (
            call(address, "POST", "/x", json!({ "url": "https://no-such-name.invalid/x" }), "{}"),
            "nothing happened: egress_denied",
        ),
    ] {
        let performed = perform(&call).await;
        assert_eq!(word(&performed), expected, "{performed:?}");
    }
    assert_eq!(target.hits.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_target_that_repeats_the_secret_does_not_give_it_away() {
    let (address, _) = target().await;
    let mut secret = tempfile::NamedTempFile::new().unwrap();
    write!(secret, "sk_live_4711").unwrap();
    let template = format!("Bearer {{secret:file:{}}}", secret.path().display());
    let said = async |path: &str, most: usize| {
        let more = json!({ "headers": { "Authorization": template }, "max_response_bytes": most });
        let CallResult::Done { output, .. } = perform(&call(address, "GET", path, more, "{}")).await else {
            panic!()
        };
        String::from_utf8(output).unwrap()
    };
    let text = said("/echo-auth", 1_000).await;
    assert!(text.contains("[secret file:") && !text.contains("sk_live"), "{text}");
    // However it is written: a reader of JSON sees the same in all of these.
    let text = said("/echo-every", 1_000).await;
    let read: Value = serde_json::from_str(&text).unwrap();
    let two: Value = serde_json::from_str(&format!("\"{}\"", read["two"].as_str().unwrap())).unwrap();
    for part in [&read["one"], &two] {
        assert!(part.as_str().unwrap().starts_with("Bearer [secret file:"), "{text}");
    }
    let text = said("/echo-base64", 1_000).await;
    assert!(text.contains("[secret file:") && !text.contains("c2tfbGl2ZV8"), "{text}");
    // Where the answer is cut in its middle, the half that is there goes, too.
    let text = said("/echo-late", 100).await;
    assert!(text.contains("zzz") && !text.contains("sk_l"), "{text}");
}

#[tokio::test]
async fn an_argument_that_spells_a_reference_stays_text() {
    let (address, target) = target().await;
    let more = json!({ "headers": { "Authorization": "{who}" } });
    perform(&call(address, "GET", "/x", more, r#"{"who":"{secret:env:PATH}"}"#)).await;
    assert_eq!(target.seen.lock().unwrap()[0]["auth"], "{secret:env:PATH}");
}

#[tokio::test]
async fn a_long_answer_is_cut_and_says_so() {
    let (address, _) = target().await;
    let call = call(address, "GET", "/large", json!({ "max_response_bytes": 100 }), "{}");
    let CallResult::Done { output } = perform(&call).await else { panic!() };
    let output: Value = serde_json::from_slice(&output).unwrap();
    assert_eq!(output["truncated"], true);
    assert_eq!(output["text"].as_str().unwrap().len(), 100);
}

#[tokio::test]
async fn looking_it_up_and_trying_it_dry_change_nothing() {
    let (address, target) = target().await;
    let lookup = |path: &str| json!({ "lookup": { "url": format!("http://{address}{path}") } });
    let found = call(address, "POST", "/x", lookup("/by-key/{@idempotency_key}"), "{}");
    assert!(matches!(HttpConnector::default().reconcile(&found).await, Reconciled::Done { .. }));
    assert_eq!(target.seen.lock().unwrap()[0]["uri"], "/by-key/key-refund");
    assert_eq!(target.seen.lock().unwrap()[0]["method"], "GET");
    let missing = call(address, "POST", "/x", lookup("/missing"), "{}");
    assert_eq!(HttpConnector::default().reconcile(&missing).await, Reconciled::NotDone);
    for unclear in [lookup("/broken"), json!({})] {
        let call = call(address, "POST", "/x", unclear, "{}");
        let answer = HttpConnector::default().reconcile(&call).await;
        assert!(matches!(answer, Reconciled::StillUnknown { .. }), "{answer:?}");
    }
    let before = target.hits.load(Ordering::Relaxed);
    let dry = HttpConnector::default().dry_run(&found).await;
    let DryRun::Would { output, .. } = dry else { panic!("{dry:?}") };
    assert!(String::from_utf8(output).unwrap().contains(r#""method":"POST""#));
    let CallPlan::Would(plan) = HttpConnector::default().plan(&found) else { panic!() };
    assert_eq!(plan["method"], "POST");
    assert_eq!(target.hits.load(Ordering::Relaxed), before);
}
