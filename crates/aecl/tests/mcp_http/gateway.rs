//! The gateway over a home of its own, and a client that writes its own requests.

use aecl_gate::config::Home;
use aecl_gate::{Gate, Identity, identity, keys};
use aecl_kernel::base::id::PersonId;
use futures_util::StreamExt as _;
use reqwest::header::HeaderMap;
use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use tempfile::TempDir;

pub const MODERN: &str = "2026-07-28";
pub const LEGACY: &str = "2025-11-25";

pub struct Gateway {
    pub gate: Gate,
    pub base: String,
    pub person: String,
    pub orchestrator: String,
    pub stranger: String,
    pub http: reqwest::Client,
    _dir: TempDir,
}

impl Gateway {
    /// A gateway in front of these servers, with an agent `bot` that may read, and may write what a person
    /// agrees to.
    pub async fn start(servers: &[(&str, &str)]) -> Self {
        Self::with(servers, json!({})).await
    }

    /// The same, with more in its configuration.
    pub async fn with(servers: &[(&str, &str)], more: Value) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::new(dir.path());
        keys::private_dir(&home.keys()).unwrap();
        keys::create(&home.keys().join("ledger.pem")).unwrap();
        keys::create(&home.keys().join("tokens.pem")).unwrap();
        std::fs::create_dir_all(home.policy().join("agents")).unwrap();
        std::fs::create_dir_all(home.policy().join("actions")).unwrap();
        let (person, person_hash) = identity::new_key('p').unwrap();
        let (orchestrator, orchestrator_hash) = identity::new_key('o').unwrap();
        let (stranger, stranger_hash) = identity::new_key('o').unwrap();
        let upstreams: BTreeMap<&str, Value> = servers
            .iter()
            .map(|(name, url)| (*name, json!({"kind": "http", "url": url, "allow_private": true})))
            .collect();
        let mut config = json!({
            "origin": "test/aecl",
            "people": [{"id": "olga", "groups": ["operators"], "key": person_hash}],
            "orchestrators": [
                {"id": "conductor", "agents": ["bot"], "key": orchestrator_hash},
                {"id": "stranger", "agents": ["other"], "key": stranger_hash},
            ],
            "servers": upstreams,
            "approvals": {"hold_ms": 1500, "progress_ms": 300},
        });
        for (name, value) in more.as_object().unwrap() {
            config[name] = value.clone();
        }
        std::fs::write(home.config(), config.to_string()).unwrap();
        let all: Vec<String> = servers.iter().map(|(name, _)| format!("{name}.*")).collect();
        let manifest = json!({"agent_id": "bot", "allowed_actions": all});
        std::fs::write(home.policy().join("agents/bot.json"), manifest.to_string()).unwrap();
        let other = json!({"agent_id": "other", "allowed_actions": []});
        std::fs::write(home.policy().join("agents/other.json"), other.to_string()).unwrap();
        let gate = Gate::open(home).await.unwrap();

        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let app = aecl::mcp::http::router(gate.clone());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        let http = reqwest::Client::builder().timeout(Duration::from_secs(20)).build().unwrap();
        Self { gate, base, person, orchestrator, stranger, http, _dir: dir }
    }

    pub fn post(&self, path: &str, body: &Value) -> RequestBuilder {
        let request = self.http.post(format!("{}{path}", self.base)).bearer_auth(&self.orchestrator);
        let request = request.header("accept", "application/json, text/event-stream");
        request.header("content-type", "application/json").body(body.to_string())
    }

    /// A stateless request with everything that belongs to it.
    pub fn ask(&self, method: &str, params: Value) -> RequestBuilder {
        let body = stateless(method, params);
        let request =
            self.post("/mcp/bot", &body).header("mcp-protocol-version", MODERN).header("mcp-method", method);
        match body["params"]["name"].as_str() {
            Some(name) => request.header("mcp-name", name),
            None => request,
        }
    }

    /// A person says yes to everything that waits.
    pub async fn approve_all(&self) -> usize {
        let person =
            Identity::Person { id: PersonId::new("olga").unwrap(), groups: ["operators".to_owned()].into() };
        let open = self.gate.approvals(100).await.unwrap();
        for ask in &open {
            self.gate.answer(&person, &ask.approval, true, String::new(), None).await.unwrap();
        }
        open.len()
    }
}

pub fn stateless(method: &str, mut params: Value) -> Value {
    params["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!(MODERN);
    params["_meta"]["io.modelcontextprotocol/clientInfo"] = json!({"name": "test", "version": "1"});
    params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({});
    request(7, method, params)
}

pub fn request(id: u64, method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
}

pub async fn json_of(response: Response) -> Value {
    serde_json::from_str(&response.text().await.unwrap()).unwrap()
}

/// The answer, whichever way it came, and what came before it.
pub async fn outcome(response: Response) -> (Vec<Value>, Value) {
    let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
    if kind.starts_with("application/json") {
        return (Vec::new(), json_of(response).await);
    }
    let text = response.text().await.unwrap();
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    let mut messages: Vec<Value> = data.map(|data| serde_json::from_str(data).unwrap()).collect();
    let answer = messages.pop().unwrap();
    (messages, answer)
}

/// A stream of events, read one at a time.
pub struct Events {
    response: std::pin::Pin<Box<dyn futures_util::Stream<Item = Vec<u8>> + Send>>,
    text: String,
    pub last: Option<String>,
}

impl Events {
    pub fn of(response: Response) -> Self {
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let bytes = response.bytes_stream().take_while(|chunk| std::future::ready(chunk.is_ok()));
        let response = Box::pin(bytes.map(|chunk| chunk.unwrap().to_vec()));
        Self { response, text: String::new(), last: None }
    }

    /// The next message; nothing when the stream has ended.
    pub async fn next(&mut self) -> Option<Value> {
        loop {
            while let Some((event, rest)) =
                self.text.split_once("\n\n").map(|(a, b)| (a.to_owned(), b.to_owned()))
            {
                self.text = rest;
                if let Some(id) = event.lines().find_map(|line| line.strip_prefix("id: ")) {
                    self.last = Some(id.to_owned());
                }
                if let Some(data) = event.lines().find_map(|line| line.strip_prefix("data: ")) {
                    return Some(serde_json::from_str(data).unwrap());
                }
            }
            let more = tokio::time::timeout(Duration::from_secs(10), self.response.next()).await.unwrap()?;
            self.text.push_str(&String::from_utf8(more).unwrap());
        }
    }
}

/// A client of the older era.
pub struct Client<'g> {
    gateway: &'g Gateway,
    path: String,
    pub session: String,
    pub welcome: Value,
}

impl<'g> Client<'g> {
    pub async fn initialize(gateway: &'g Gateway, path: &str, capabilities: Value) -> Client<'g> {
        let params = json!({"protocolVersion": LEGACY, "capabilities": capabilities,
            "clientInfo": {"name": "test", "version": "1"}});
        let response = gateway.post(path, &request(1, "initialize", params)).send().await.unwrap();
        let headers: HeaderMap = response.headers().clone();
        let welcome = json_of(response).await;
        let session = headers.get("mcp-session-id").unwrap_or_else(|| panic!("{welcome}"));
        let session = session.to_str().unwrap().to_owned();
        let client = Self { gateway, path: path.into(), session, welcome };
        let told = client.post(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
        assert_eq!(told.status(), 202);
        client
    }

    fn with(&self, request: RequestBuilder) -> RequestBuilder {
        request.header("mcp-session-id", &self.session).header("mcp-protocol-version", LEGACY)
    }

    pub async fn post(&self, body: &Value) -> Response {
        self.with(self.gateway.post(&self.path, body)).send().await.unwrap()
    }

    pub async fn call(&self, name: &str, arguments: Value) -> Response {
        self.post(&request(2, "tools/call", json!({"name": name, "arguments": arguments}))).await
    }

    pub async fn get(&self, last: Option<&str>) -> Response {
        let url = format!("{}{}", self.gateway.base, self.path);
        let request = self.with(self.gateway.http.get(url)).bearer_auth(&self.gateway.orchestrator);
        let request = request.header("accept", "text/event-stream");
        let request = last.map_or_else(
            || request.try_clone().unwrap(),
            |last| request.try_clone().unwrap().header("last-event-id", last),
        );
        request.send().await.unwrap()
    }

    pub async fn delete(&self) -> Response {
        let url = format!("{}{}", self.gateway.base, self.path);
        self.with(self.gateway.http.delete(url)).bearer_auth(&self.gateway.orchestrator).send().await.unwrap()
    }
}
