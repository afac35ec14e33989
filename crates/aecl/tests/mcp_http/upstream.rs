//! An MCP server of nobody in particular, in both eras, that remembers what reached it.

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use futures_util::stream;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::sync::{broadcast, mpsc};

/// Which eras it speaks.
#[derive(Clone, Copy, PartialEq)]
pub enum Eras {
    Legacy,
    Modern,
    Both,
}

pub struct Upstream {
    pub url: String,
    pub seen: Arc<Seen>,
}

/// What reached it.
#[derive(Default)]
pub struct Seen {
    pub notes: Mutex<Vec<String>>,
    pub requests: Mutex<Vec<(HeaderMap, Value)>>,
    pub clients: Mutex<Vec<Value>>,
    pub ended: Mutex<Vec<String>>,
    pub gone: Mutex<Vec<String>>,
    answers: Mutex<BTreeMap<String, mpsc::Sender<Value>>>,
    unasked: Mutex<Option<broadcast::Sender<Value>>>,
}

struct Server {
    name: String,
    eras: Eras,
    seen: Arc<Seen>,
}

impl Upstream {
    pub async fn start(name: &str, eras: Eras) -> Self {
        let seen = Arc::new(Seen::default());
        *seen.unasked.lock().unwrap() = Some(broadcast::channel(16).0);
        let server = Arc::new(Server { name: name.into(), eras, seen: seen.clone() });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        let app = Router::new().route("/mcp", any(serve)).with_state(server);
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, seen }
    }

    /// Says something that nobody asked for.
    pub fn say(&self, message: Value) {
        self.seen.unasked.lock().unwrap().as_ref().unwrap().send(message).unwrap();
    }

    pub fn notes(&self) -> Vec<String> {
        self.seen.notes.lock().unwrap().clone()
    }
}

fn tools() -> Value {
    let text =
        |name: &str| json!({"type": "object", "properties": {name: {"type": "string"}}, "required": [name]});
    let mut read = text("title");
    read["properties"]["title"]["x-mcp-header"] = json!("Title");
    json!([
        {"name": "read_note", "description": "Reads a note.", "inputSchema": read},
        {"name": "get_opinion", "description": "Gets an opinion: the client's model is asked.", "inputSchema": text("about")},
        {"name": "count_slowly", "description": "Counts: tells progress.", "inputSchema": text("to")},
        {"name": "list_forever", "description": "Lists: never ends.", "inputSchema": text("of")},
        {"name": "find_answer", "description": "Finds an answer: asks back four times.", "inputSchema": text("to")},
        {"name": "write_note", "description": "Writes a note.", "inputSchema": text("title")},
    ])
}

async fn serve(
    State(server): State<Arc<Server>>,
    method: Method,
    headers: HeaderMap,
    body: String,
) -> Response {
    let session = headers.get("mcp-session-id").map(|id| id.to_str().unwrap().to_owned());
    if method == Method::DELETE {
        server.seen.ended.lock().unwrap().extend(session);
        return StatusCode::OK.into_response();
    }
    if method == Method::GET {
        let heard = server.seen.unasked.lock().unwrap().as_ref().unwrap().subscribe();
        return events(stream::unfold(heard, async |mut heard| {
            let message = heard.recv().await.ok()?;
            Some((event(&message), heard))
        }));
    }
    let message: Value = serde_json::from_str(&body).unwrap();
    server.seen.requests.lock().unwrap().push((headers.clone(), message.clone()));
    let modern = headers.get("mcp-protocol-version").is_some_and(|it| it == "2026-07-28");
    let known = match (modern, server.eras) {
        (true, Eras::Legacy) | (false, Eras::Modern) => false,
        (true | false, _) => true,
    };
    let Some(id) = message.get("id").cloned() else { return StatusCode::ACCEPTED.into_response() };
    if !known {
        let error = json!({"code": -32600, "message": "not in this version"});
        let body = json!({"jsonrpc": "2.0", "id": id, "error": error}).to_string();
        return (StatusCode::BAD_REQUEST, [("content-type", "application/json")], body).into_response();
    }
    let Some(asked) = message.get("method").and_then(Value::as_str) else {
        let waiting = server.seen.answers.lock().unwrap().get(id.as_str().unwrap()).cloned();
        waiting.unwrap().send(message["result"].clone()).await.unwrap();
        return StatusCode::ACCEPTED.into_response();
    };
    let result = match asked {
        "initialize" => {
            server.seen.clients.lock().unwrap().push(message["params"].clone());
            json!({
                "protocolVersion": message["params"]["protocolVersion"],
                "capabilities": {"tools": {"listChanged": true}},
                "serverInfo": {"name": server.name, "version": "1"},
                "instructions": format!("This is {}.", server.name),
            })
        }
        "server/discover" => json!({
            "supportedVersions": if server.eras == Eras::Both { json!(["2026-07-28", "2025-11-25"]) } else { json!(["2026-07-28"]) },
            "capabilities": {"tools": {"listChanged": true}},
            "serverInfo": {"name": server.name, "version": "1"},
        }),
        "ping" => json!({}),
        "tools/list" => json!({"tools": tools()}),
        "tools/call" => return call(&server, id, &message["params"]).await,
        _ => {
            let error = json!({"code": -32601, "message": "no such method"});
            let status = if modern { StatusCode::NOT_FOUND } else { StatusCode::OK };
            let body = json!({"jsonrpc": "2.0", "id": id, "error": error}).to_string();
            return (status, [("content-type", "application/json")], body).into_response();
        }
    };
    let mut response = json_of(&id, result);
    if asked == "initialize" {
        let session = format!("up-{}", server.seen.clients.lock().unwrap().len());
        response.headers_mut().insert("mcp-session-id", session.parse().unwrap());
    }
    response
}

async fn call(server: &Arc<Server>, id: Value, params: &Value) -> Response {
    let text = |text: &str| json!({"content": [{"type": "text", "text": text}], "isError": false});
    match params["name"].as_str().unwrap() {
        "read_note" => json_of(&id, text(&format!("{}: {}", server.name, params["arguments"]["title"]))),
        "write_note" => {
            let title = params["arguments"]["title"].as_str().unwrap().to_owned();
            server.seen.notes.lock().unwrap().push(title);
            json_of(&id, text("written"))
        }
        "count_slowly" => {
            let token = params["_meta"]["progressToken"].clone();
            let progress = |n: u64| json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": token, "progress": n}});
            let last = json!({"jsonrpc": "2.0", "id": id, "result": text("counted")});
            events(stream::iter([progress(1), progress(2), last].map(|message| event(&message))))
        }
        "get_opinion" => {
            let (tell, heard) = mpsc::channel(1);
            server.seen.answers.lock().unwrap().insert("question-1".into(), tell);
            let question = json!({"jsonrpc": "2.0", "id": "question-1", "method": "sampling/createMessage",
                "params": {"messages": [{"role": "user", "content": {"type": "text", "text": "?"}}], "maxTokens": 9}});
            let start = (Some(question), heard, id);
            events(stream::unfold(start, async |(question, mut heard, id)| {
                if let Some(question) = question {
                    return Some((event(&question), (None, heard, id)));
                }
                let answer = heard.recv().await?;
                heard.close();
                let text = answer["content"]["text"].clone();
                let result = json!({"content": [{"type": "text", "text": text}]});
                Some((event(&json!({"jsonrpc": "2.0", "id": id, "result": result})), (None, heard, id)))
            }))
        }
        "find_answer" => {
            let round: u64 = params["requestState"].as_str().map_or(0, |state| state.parse().unwrap());
            if round == 4 {
                return json_of(&id, text("found"));
            }
            let ask = json!({"method": "elicitation/create", "params": {"message": "?", "requestedSchema": {"type": "object", "properties": {}}}});
            let state = (round + 1).to_string();
            json_of(
                &id,
                json!({"resultType": "input_required", "inputRequests": {"q": ask}, "requestState": state}),
            )
        }
        "list_forever" => {
            let gone = Gone(server.seen.clone(), params["arguments"]["of"].as_str().unwrap().into());
            events(stream::unfold(gone, async |gone| {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                Some((Ok(": waiting\n\n".to_owned()), gone))
            }))
        }
        other => {
            let error = json!({"code": -32602, "message": format!("no tool {other}")});
            let body = json!({"jsonrpc": "2.0", "id": id, "error": error}).to_string();
            (StatusCode::OK, [("content-type", "application/json")], body).into_response()
        }
    }
}

/// Notes that nobody listens any more.
struct Gone(Arc<Seen>, String);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.gone.lock().unwrap().push(self.1.clone());
    }
}

type Event = Result<String, std::convert::Infallible>;

fn event(message: &Value) -> Event {
    Ok(format!("data: {message}\n\n"))
}

fn events(stream: impl stream::Stream<Item = Event> + Send + 'static) -> Response {
    ([("content-type", "text/event-stream")], Body::from_stream(stream)).into_response()
}

fn json_of(id: &Value, result: Value) -> Response {
    let body = json!({"jsonrpc": "2.0", "id": id, "result": result}).to_string();
    ([("content-type", "application/json")], body).into_response()
}
