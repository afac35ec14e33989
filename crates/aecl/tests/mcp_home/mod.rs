//! A home with a gate, a real server behind, and a raw client in front.
#![allow(dead_code, reason = "each test program uses its part")]

use aecl::mcp::stdio::{self, AttachRequest};
use aecl_executor::connectors::mcp::Transport;
use aecl_gate::config::Home;
use aecl_gate::{Gate, GateError, Identity};
use aecl_kernel::base::id::{AgentId, ApprovalId, PersonId};
use aecl_kernel::record::approval::{ApprovalRequest, ApprovalState};
use aecl_ledger::LedgerError;
use aecl_ledger::store::StoreError;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, Lines, ReadHalf, WriteHalf};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Longer than anything here takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A home in a scratch directory.
pub struct Place {
    pub dir: tempfile::TempDir,
    pub home: Home,
}

impl Place {
    /// A home whose agent `default` may do everything of the server `tiny`, except `secret_tool`.
    pub fn new(hold_ms: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::new(dir.path().join("home"));
        for folder in [home.policy().join("agents"), home.keys(), home.data()] {
            std::fs::create_dir_all(folder).unwrap();
        }
        for key in ["ledger.pem", "tokens.pem"] {
            aecl_gate::keys::create(&home.keys().join(key)).unwrap();
        }
        let config = json!({
            "origin": "example.com/test",
            "people": [{"id": "ann", "groups": ["operators"], "key": format!("sha256:{}", "a".repeat(64))}],
            "approvals": { "hold_ms": hold_ms, "progress_ms": 200 },
        });
        std::fs::write(home.config(), config.to_string()).unwrap();
        let place = Self { dir, home };
        place.manifest(json!({
            "agent_id": "default",
            "allowed_actions": ["tiny.*", "filesystem.*"],
            "blocked_actions": ["tiny.secret_tool"],
        }));
        place
    }

    pub fn manifest(&self, manifest: Value) {
        let name = manifest["agent_id"].as_str().unwrap().to_owned();
        std::fs::write(self.home.policy().join(format!("agents/{name}.json")), manifest.to_string()).unwrap();
    }

    pub async fn gate(&self) -> Gate {
        for _ in 0..500 {
            match Gate::open(self.home.clone()).await {
                // A session that has left lets go of the one before in its own time.
                Err(GateError::Ledger(LedgerError::Store(StoreError::Locked { .. }))) => {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                opened => return opened.unwrap(),
            }
        }
        panic!("somebody holds the ledger for ever");
    }

    pub fn server(&self, era: &str) -> Vec<String> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/mcp_server.py");
        ["python3", "-u", script, era].map(str::to_owned).into_iter().chain([self.folder()]).collect()
    }

    pub fn hello(&self, era: &str) -> AttachRequest {
        let mut command = self.server(era);
        let rest = command.split_off(1);
        let transport = Transport::Stdio {
            command: command.remove(0),
            args: rest,
            env: BTreeMap::new(),
            cwd: Some(self.dir.path().to_owned()),
            credential_scope: None,
            timeout_ms: None,
            trust_annotations: None,
        };
        AttachRequest {
            v: 1,
            agent: AgentId::new("default").unwrap(),
            server: Some("tiny".into()),
            transport: Some(transport),
            env: BTreeMap::new(),
            goal: None,
            plan: None,
            approve_plan: false,
            user: None,
        }
    }

    fn folder(&self) -> String {
        self.dir.path().display().to_string()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn journal(&self) -> String {
        std::fs::read_to_string(self.path("journal")).unwrap_or_default()
    }

    pub fn count(&self, what: &str) -> usize {
        self.journal().lines().filter(|line| line.starts_with(what)).count()
    }

    /// Waits until the journal has a line.
    pub async fn until(&self, what: &str) {
        let there = async {
            while self.count(what) == 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, there)
            .await
            .unwrap_or_else(|_| panic!("no `{what}` in {}", self.journal()));
    }
}

/// A raw client on one end of a pipe, the gateway on the other.
pub struct Client {
    pub from: Lines<BufReader<ReadHalf<DuplexStream>>>,
    to: Option<WriteHalf<DuplexStream>>,
    next: u64,
    served: JoinHandle<()>,
}

impl Client {
    pub fn attach(gate: &Gate, hello: AttachRequest) -> Self {
        let (near, far) = tokio::io::duplex(1 << 20);
        let (from, to) = tokio::io::split(near);
        let (reader, writer) = tokio::io::split(far);
        let gate = gate.clone();
        let served = tokio::spawn(async move {
            stdio::serve(&gate, hello, reader, writer, &CancellationToken::new()).await.unwrap();
        });
        Self { from: BufReader::new(from).lines(), to: Some(to), next: 1, served }
    }

    /// A client of the older kind that has introduced itself.
    pub async fn legacy(gate: &Gate, hello: AttachRequest) -> Self {
        let mut client = Self::attach(gate, hello);
        let params = json!({"protocolVersion": "2025-06-18", "capabilities": {"sampling": {}, "odd": 7},
            "clientInfo": {"name": "raw-client", "version": "1"}});
        let answer = client.ask("initialize", params).await;
        assert_eq!(answer["result"]["protocolVersion"], "2025-06-18", "{answer}");
        client.send(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).await;
        client
    }

    pub async fn send(&mut self, line: &str) {
        let to = self.to.as_mut().unwrap();
        to.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }

    /// Sends a request without waiting. Gives its id.
    pub async fn begin(&mut self, method: &str, params: Value) -> u64 {
        let id = self.next;
        self.next += 1;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string()).await;
        id
    }

    pub async fn line(&mut self) -> String {
        let line = tokio::time::timeout(PATIENCE, self.from.next_line()).await.expect("a line in time");
        line.unwrap().expect("a line before the end")
    }

    pub async fn message(&mut self) -> Value {
        serde_json::from_str(&self.line().await).unwrap()
    }

    /// Waits for the answer to a request; gives what came before it, too.
    pub async fn answer(&mut self, id: u64) -> (Value, Vec<Value>) {
        let mut before = Vec::new();
        loop {
            let message = self.message().await;
            if message["id"] == id && message.get("method").is_none() {
                return (message, before);
            }
            before.push(message);
        }
    }

    pub async fn ask(&mut self, method: &str, params: Value) -> Value {
        let id = self.begin(method, params).await;
        self.answer(id).await.0
    }

    pub async fn call(&mut self, tool: &str, arguments: Value) -> Value {
        self.ask("tools/call", json!({"name": tool, "arguments": arguments})).await
    }

    pub async fn names(&mut self) -> Vec<String> {
        let (mut names, mut params) = (Vec::new(), json!({}));
        loop {
            let page = self.ask("tools/list", params).await["result"].clone();
            names.extend(
                page["tools"].as_array().unwrap().iter().map(|t| t["name"].as_str().unwrap().to_owned()),
            );
            match page.get("nextCursor") {
                Some(cursor) => params = json!({"cursor": cursor}),
                None => return names,
            }
        }
    }

    /// Closes the pipe and waits until the gateway is done with it.
    pub async fn leave(mut self) {
        drop(self.to.take());
        drop(self.from);
        tokio::time::timeout(PATIENCE, self.served).await.expect("the end in time").unwrap();
    }
}

/// What a command prints about the home.
pub fn aecl(place: &Place, words: &[&str]) -> String {
    let home = place.home.config().parent().unwrap().to_owned();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_aecl"));
    let done = command.arg("--dir").arg(home).args(words).output().unwrap();
    assert!(done.status.success(), "{words:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

/// What a command says that is refused.
pub fn refused(place: &Place, words: &[&str]) -> String {
    let home = place.home.config().parent().unwrap().to_owned();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_aecl"));
    let done = command.arg("--dir").arg(home).args(words).output().unwrap();
    assert_eq!(done.status.code(), Some(1), "{words:?}: {}", String::from_utf8_lossy(&done.stdout));
    String::from_utf8(done.stderr).unwrap()
}

/// What AECL says about a call that it did not carry out.
pub fn status(answer: &Value) -> &Value {
    &answer["result"]["_meta"]["aecl"]
}

pub fn approver() -> Identity {
    Identity::Person { id: PersonId::new("ann").unwrap(), groups: BTreeSet::from(["operators".to_owned()]) }
}

pub async fn answer(gate: &Gate, approval: &str, yes: bool) -> ApprovalRequest {
    let id = ApprovalId::new(approval).unwrap();
    gate.answer(&approver(), &id, yes, String::new(), None).await.unwrap()
}

/// Waits until somebody is asked, and gives the request.
pub async fn asked(gate: &Gate) -> ApprovalRequest {
    let ask = async {
        loop {
            let asks = gate.approvals(10).await.unwrap();
            if let Some(ask) = asks.into_iter().find(|ask| ask.state == ApprovalState::Pending) {
                return ask;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, ask).await.expect("a request in time")
}
