//! Upstream servers over Streamable HTTP, older and stateless, with JSON and with event streams.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aecl_egress::egress::Egress;
use aecl_egress::vault::Vault;
use aecl_executor::connectors::mcp::{
    ClientFace, Era, Handshake, McpConnector, Transport, Upstream, UpstreamSpec,
};
use aecl_executor::{Call, CallResult, Connector, fake};
use aecl_kernel::define::connector::ConnectorSpec;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use futures_util::StreamExt as _;
use serde_json::value::RawValue;
use serde_json::{Value, json};

#[derive(Clone)]
struct Server {
    modern: bool,
    seen: Arc<Mutex<Vec<(String, HeaderMap, Value)>>>,
    sessions: Arc<Mutex<u32>>,
}

fn reply(id: &Value, result: Value) -> Response {
    axum::Json(json!({ "jsonrpc": "2.0", "id": id, "result": result })).into_response()
}

fn error(status: StatusCode, id: &Value, code: i64) -> Response {
    let body = json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": "no" } });
    (status, axum::Json(body)).into_response()
}

fn events(parts: Vec<(u64, String)>) -> Response {
    let stream = futures_util::stream::iter(parts).then(|(pause_ms, text)| async move {
        tokio::time::sleep(Duration::from_millis(pause_ms)).await;
        Ok::<_, Infallible>(text)
    });
    ([("content-type", "text/event-stream")], Body::from_stream(stream)).into_response()
}

fn event(message: &Value) -> String {
    format!("event: message\ndata: {message}\n\n")
}

async fn serve(State(server): State<Server>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let message: Value = serde_json::from_slice(&body).unwrap_or_default();
    server.seen.lock().unwrap().push((parts.method.to_string(), parts.headers.clone(), message.clone()));
    let (id, params) = (&message["id"], &message["params"]);
    let method = message["method"].as_str().unwrap_or_default();
    if parts.method == Method::GET {
        return get(&parts.headers);
    }
    if parts.method == Method::DELETE {
        return StatusCode::OK.into_response();
    }
    let session = parts.headers.get("mcp-session-id").map(|value| value.to_str().unwrap().to_owned());
    let current = format!("s{}", server.sessions.lock().unwrap());
    if !server.modern && method != "initialize" && session.as_deref() != Some(current.as_str()) {
        let status = if session.is_some() { StatusCode::NOT_FOUND } else { StatusCode::BAD_REQUEST };
        return (status, "no such session").into_response();
    }
    match (method, params["name"].as_str().unwrap_or_default()) {
        ("initialize", _) => {
            let session = {
                let mut sessions = server.sessions.lock().unwrap();
                *sessions += 1;
                format!("s{sessions}")
            };
            let result =
                json!({ "protocolVersion": params["protocolVersion"], "capabilities": {}, "serverInfo": {} });
            ([("mcp-session-id", session)], reply(id, result)).into_response()
        }
        ("server/discover", _) => reply(
            id,
            json!({
                "resultType": "complete", "supportedVersions": ["2026-07-28"], "capabilities": {},
            }),
        ),
        ("tools/list", _) => reply(
            id,
            json!({ "tools": [{ "name": "plain", "inputSchema": {
                "type": "object", "properties": { "region": { "type": "string", "x-mcp-header": "Region" } },
            }}]}),
        ),
        (_, "plain") => {
            let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{ "n":12345678901234567890123 }}}}"#);
            ([("content-type", "application/json")], text).into_response()
        }
        (_, "stream") => {
            let token = &params["_meta"]["progressToken"];
            let progress = json!({ "jsonrpc": "2.0", "method": "notifications/progress",
                "params": { "progressToken": token, "progress": 1 } });
            let done = json!({ "jsonrpc": "2.0", "id": id, "result": { "ok": true } });
            events(vec![(0, ": hi\n\n".into()), (20, event(&progress)), (50, event(&done))])
        }
        (_, "cut") => events(vec![(0, ": hi\n\n".into())]),
        (_, "cut_resumable") => {
            events(vec![(0, format!("id: {}\nretry: 20\ndata:\n\n", id.as_str().unwrap()))])
        }
        (_, "hang") => events(vec![(0, ": hi\n\n".into()), (20_000, String::new())]),
        (_, "gateway") => (StatusCode::BAD_GATEWAY, "oops").into_response(),
        (_, "unauthorized") => (StatusCode::UNAUTHORIZED, "who are you").into_response(),
        (_, "mismatch") => error(StatusCode::BAD_REQUEST, id, -32020),
        (_, "moved") => (StatusCode::TEMPORARY_REDIRECT, [("location", "/else")]).into_response(),
        ("notifications/initialized" | "notifications/cancelled", _) => StatusCode::ACCEPTED.into_response(),
        _ => error(StatusCode::NOT_FOUND, id, -32601),
    }
}

fn get(headers: &HeaderMap) -> Response {
    match headers.get("last-event-id").map(|id| id.to_str().unwrap()) {
        Some(id) => {
            events(vec![(0, event(&json!({ "jsonrpc": "2.0", "id": id, "result": { "resumed": true } })))])
        }
        None => {
            let changed = json!({ "jsonrpc": "2.0", "method": "notifications/tools/list_changed" });
            events(vec![(100, event(&changed)), (20_000, String::new())])
        }
    }
}

struct World {
    server: Server,
    desk: McpConnector,
    upstream: Upstream,
}

async fn world(modern: bool) -> World {
    let server = Server { modern, seen: Arc::default(), sessions: Arc::default() };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let app = Router::new().fallback(serve).with_state(server.clone());
    tokio::spawn(async move { axum::serve(listener, app).await });
    let headers = BTreeMap::from([("X-Fixed".to_owned(), "yes".to_owned())]);
    let transport = Transport::http(url, headers, true);
    let how = Handshake::Probe(ClientFace::default());
    let upstream =
        Upstream::connect(UpstreamSpec::new("web", transport), how, Egress::default(), Vault::default())
            .await
            .unwrap();
    let desk = McpConnector::default();
    desk.insert(None, upstream.clone());
    World { server, desk, upstream }
}

impl World {
    fn call(&self, tool: &str, arguments: &str) -> Call {
        let mut call = fake::call(tool, arguments);
        call.connector = ConnectorSpec::Mcp { server: "web".into(), tool: tool.into(), method: None };
        call.timeout_ms = 3_000;
        call
    }

    async fn perform(&self, tool: &str) -> CallResult {
        self.desk.perform(&self.call(tool, "{}")).await
    }

    fn seen(&self, method: &str) -> Vec<(String, HeaderMap, Value)> {
        let seen = self.server.seen.lock().unwrap();
        seen.iter().filter(|(_, _, message)| message["method"] == method).cloned().collect()
    }
}

fn word(performed: &CallResult) -> String {
    match performed {
        CallResult::Done { output, .. } => String::from_utf8(output.clone()).unwrap(),
        CallResult::Failed { code, may_have_acted: false, .. } => format!("nothing happened: {code}"),
        CallResult::Failed { code, may_have_acted: true, .. } => format!("failed: {code}"),
        CallResult::Unknown { code, .. } => format!("unknown: {code}"),
    }
}

#[tokio::test]
async fn an_older_server_has_a_session() {
    let world = world(false).await;
    assert_eq!(world.upstream.hello().await.unwrap().era, Era::Legacy("2025-11-25".into()));
    assert_eq!(word(&world.perform("plain").await), r#"{ "n":12345678901234567890123 }"#);
    let (_, headers, _) = world.seen("tools/call").remove(0);
    assert_eq!(
        (&headers["mcp-session-id"], &headers["mcp-protocol-version"]),
        (&"s1".parse().unwrap(), &"2025-11-25".parse().unwrap())
    );
    assert_eq!(headers["x-fixed"], "yes");
    assert!(!headers.contains_key("mcp-method"));
    world.upstream.close().await;
    assert!(world.server.seen.lock().unwrap().iter().any(|(method, _, _)| method == "DELETE"));
}

#[tokio::test]
async fn a_stateless_server_gets_its_headers_and_meta() {
    let world = world(true).await;
    assert_eq!(world.upstream.hello().await.unwrap().era, Era::Modern("2026-07-28".into()));
    let mut call = world.call("plain", r#"{"region":"eu süd"}"#);
    call.meta = Some(RawValue::from_string(r#"{"traceparent":"t"}"#.into()).unwrap());
    assert_eq!(word(&world.desk.perform(&call).await), r#"{ "n":12345678901234567890123 }"#);
    let (_, headers, message) = world.seen("tools/call").remove(0);
    assert_eq!(headers["mcp-protocol-version"], "2026-07-28");
    assert_eq!(
        (&headers["mcp-method"], &headers["mcp-name"]),
        (&"tools/call".parse().unwrap(), &"plain".parse().unwrap())
    );
    assert_eq!(headers["mcp-param-region"], "=?base64?ZXUgc8O8ZA==?=");
    assert!(!headers.contains_key("mcp-session-id"));
    let meta = &message["params"]["_meta"];
    assert_eq!(meta["traceparent"], "t");
    assert_eq!(meta["io.modelcontextprotocol/protocolVersion"], "2026-07-28");
    assert!(meta["io.modelcontextprotocol/clientCapabilities"].is_object());
    assert!(!world.server.seen.lock().unwrap().iter().any(|(method, _, _)| method == "GET"));
}

#[tokio::test]
async fn a_stream_brings_progress_and_then_the_answer() {
    for modern in [false, true] {
        let world = world(modern).await;
        let mut inbound = world.upstream.subscribe();
        let mut call = world.call("stream", "{}");
        call.meta = Some(RawValue::from_string(r#"{"progressToken":7}"#.into()).unwrap());
        assert_eq!(word(&world.desk.perform(&call).await), r#"{"ok":true}"#);
        let progress = inbound.recv().await.unwrap();
        assert_eq!(progress.method, "notifications/progress");
        assert!(progress.of.is_some());
    }
}

#[tokio::test]
async fn every_ending_has_its_meaning() {
    let world = world(false).await;
    for (tool, expected) in [
        ("cut", "unknown: upstream_garbage"),
        ("cut_resumable", r#"{"resumed":true}"#),
        ("gateway", "unknown: upstream_refused"),
        ("moved", "unknown: upstream_refused"),
        ("unauthorized", "nothing happened: upstream_refused"),
        ("mismatch", "nothing happened: upstream_error"),
        // It knows no session of ours, the second one neither.
        ("nobody", "nothing happened: upstream_not_connected"),
    ] {
        let performed = world.perform(tool).await;
        assert_eq!(word(&performed), expected, "{tool}: {performed:?}");
    }
}

#[tokio::test]
async fn a_timeout_is_unknown_and_only_an_older_server_is_told() {
    for modern in [false, true] {
        let world = world(modern).await;
        let mut call = world.call("hang", "{}");
        call.timeout_ms = 150;
        assert_eq!(word(&world.desk.perform(&call).await), "unknown: upstream_timeout");
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(world.seen("notifications/cancelled").len(), usize::from(!modern));
    }
}

#[tokio::test]
async fn a_call_on_a_lost_session_did_nothing_and_is_made_again_on_a_new_one() {
    let world = world(false).await;
    *world.server.sessions.lock().unwrap() += 1;
    assert_eq!(word(&world.perform("plain").await), r#"{ "n":12345678901234567890123 }"#);
}

#[tokio::test]
async fn what_a_server_says_unasked_arrives() {
    let world = world(false).await;
    let generation = world.upstream.tools_generation();
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert!(world.upstream.tools_generation() > generation);
}

#[tokio::test]
async fn loopback_needs_a_word_of_the_operator() {
    let url = "http://127.0.0.1:9/mcp".to_owned();
    let transport = Transport::Http {
        url,
        headers: BTreeMap::new(),
        allow_private: false,
        oauth: None,
        listen: false,
        credential_scope: None,
        timeout_ms: None,
        trust_annotations: None,
    };
    let how = Handshake::Probe(ClientFace::default());
    let Err(error) =
        Upstream::connect(UpstreamSpec::new("web", transport), how, Egress::default(), Vault::default())
            .await
    else {
        panic!()
    };
    assert!(!error.may_have_left, "{error}");
    assert!(error.to_string().contains("allow_private"), "{error}");
}
