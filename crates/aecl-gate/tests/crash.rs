//! `kill -9` at every step of the walk, and at moments nobody chose. Whatever the moment: nothing happens
//! twice, nothing happens that is not on record, and nothing that was acknowledged is lost.
//!
//! A child process runs the real gate on a real SQLite ledger against a real HTTP target in the parent. It
//! kills itself before or after the n-th commit, or is killed while the target works, or at a random time.
//! `AECL_CRASH_ROUNDS` makes the random part longer.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise, and its helpers are not marked as tests"
)]

use aecl_analysis::load::VettedBundle;
use aecl_executor::Executor;
use aecl_executor::connectors::Connectors;
use aecl_gate::config::Config;
use aecl_gate::runs::RunRequest;
use aecl_gate::submit::{End, Submission};
use aecl_gate::{Clock, Gate, Identity, Parts};
use aecl_kernel::base::id::{ActionId, AgentId, PersonId};
use aecl_kernel::policy::problem::Source;
use aecl_kernel::record::event::{Event, OutcomeKind};
use aecl_kernel::record::facts::ActionState;
use aecl_ledger::store::{Batch, FoundBy, Hash, Head, Node, PayloadRow, Store, StoreConfig, StoreError};
use ed25519_dalek::SigningKey;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const DIR: &str = "AECL_TEST_CRASH_DIR";
const TARGET: &str = "AECL_TEST_CRASH_TARGET";
const POINT: &str = "AECL_TEST_CRASH_POINT";

/// The target: counts effects by idempotency key, and can call for a kill while it works.
#[derive(Default)]
struct Target {
    effects: Mutex<BTreeMap<String, u32>>,
    kill_at_effect: AtomicBool,
    victim: Mutex<Option<u32>>,
}

impl Target {
    fn serve(self: &Arc<Self>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let target = self.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let target = target.clone();
                std::thread::spawn(move || target.answer(stream));
            }
        });
        address
    }

    fn answer(&self, stream: TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut stream = stream;
        loop {
            let (mut first, mut key, mut length) = (String::new(), String::new(), 0usize);
            if reader.read_line(&mut first).unwrap_or(0) == 0 {
                return;
            }
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).unwrap_or(0) == 0 || line.trim().is_empty() {
                    break;
                }
                let (name, value) = line.trim().split_once(':').unwrap_or_default();
                match name.to_ascii_lowercase().as_str() {
                    "idempotency-key" => key = value.trim().to_owned(),
                    "content-length" => length = value.trim().parse().unwrap_or(0),
                    _ => {}
                }
            }
            let mut body = vec![0; length];
            if reader.read_exact(&mut body).is_err() {
                return;
            }
            let (status, body) = if first.starts_with("POST") {
                *self.effects.lock().unwrap().entry(key).or_default() += 1;
                if self.kill_at_effect.swap(false, Ordering::SeqCst) {
                    // The effect has happened, the answer has not left.
                    if let Some(pid) = *self.victim.lock().unwrap() {
                        kill(pid);
                    }
                }
                ("200 OK", r#"{"ok":true}"#)
            } else {
                let wanted = first
                    .split_whitespace()
                    .nth(1)
                    .unwrap_or_default()
                    .trim_start_matches("/look/")
                    .to_owned();
                let there = self.effects.lock().unwrap().contains_key(&wanted);
                if there { ("200 OK", r#"{"ok":true}"#) } else { ("404 Not Found", "{}") }
            };
            let answer = format!(
                "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            if stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    }
}

fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    // It may be gone already.
    let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
}

/// A store that ends the process before or after a commit, as a power cut would.
struct Crashing {
    inner: Box<dyn Store>,
    left: u32,
    after: bool,
}

impl Store for Crashing {
    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        self.left = self.left.saturating_sub(1);
        if self.left == 0 && !self.after {
            kill(std::process::id());
        }
        let result = self.inner.commit(batch);
        if self.left == 0 && self.after {
            kill(std::process::id());
        }
        result
    }
    fn head(&mut self) -> Result<Head, StoreError> {
        self.inner.head()
    }
    fn load(&mut self, keys: &[String]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        self.inner.load(keys)
    }
    fn scan(
        &mut self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        self.inner.scan(prefix, after, limit)
    }
    fn entries(&mut self, from: u64, limit: usize) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        self.inner.entries(from, limit)
    }
    fn entries_of_run(
        &mut self,
        run: &str,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        self.inner.entries_of_run(run, after, limit)
    }
    fn entries_of_action(&mut self, action: &str) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        self.inner.entries_of_action(action)
    }
    fn found_by(&mut self, from: u64, limit: usize) -> Result<Vec<FoundBy>, StoreError> {
        self.inner.found_by(from, limit)
    }
    fn find_by(&mut self, entries: &[FoundBy]) -> Result<(), StoreError> {
        self.inner.find_by(entries)
    }
    fn payload(&mut self, commitment: &Hash) -> Result<Option<PayloadRow>, StoreError> {
        self.inner.payload(commitment)
    }
    fn payloads_beyond(&mut self, known: &dyn Fn(&Hash) -> bool) -> Result<Vec<Hash>, StoreError> {
        self.inner.payloads_beyond(known)
    }
    fn node(&mut self, level: u8, index: u64) -> Result<Option<Hash>, StoreError> {
        self.inner.node(level, index)
    }
    fn renew_nodes(&mut self, nodes: &[Node]) -> Result<(), StoreError> {
        self.inner.renew_nodes(nodes)
    }
    fn broken(&mut self) -> Result<Vec<String>, StoreError> {
        self.inner.broken()
    }
    fn tables_differ(&mut self) -> Result<Vec<String>, StoreError> {
        self.inner.tables_differ()
    }
    fn snapshot(&self) -> Result<Box<dyn Store>, StoreError> {
        self.inner.snapshot()
    }
    fn reader(&self) -> Result<Box<dyn Store>, StoreError> {
        self.inner.reader()
    }
}

fn bundle(target: &str) -> VettedBundle {
    let action = |name: &str, idempotency: &str, approval: &str, lookup: &str| {
        format!(
            r#"{{"name":"{name}","effect":"write","reversibility":"reversible","idempotency":"{idempotency}","timeout_ms":1000,{approval}
              "arguments":{{"type":"object","properties":{{"n":{{"type":"integer"}}}},"required":["n"]}},
              "connector":{{"kind":"http","method":"POST","url":"http://{target}/effect","body":"arguments","allow_private":true{lookup}}}}}"#
        )
    };
    let lookup = format!(r#","lookup":{{"url":"http://{target}/look/{{@idempotency_key}}"}}"#);
    let actions = [
        action("opaque", "opaque", "", ""),
        action("verifiable", "verifiable", "", &lookup),
        action("held", "verifiable", r#""approval":{"approvers":["operators"]},"#, &lookup),
    ];
    let source = |path: &str, text: String| Source { path: path.into(), text };
    VettedBundle::load(vec![
        source("actions/all.json", format!("[{}]", actions.join(","))),
        source(
            "agents/a.json",
            r#"{"agent_id":"a","allowed_actions":["opaque","verifiable","held"],"run_ttl_seconds":86400,"max_questions_per_run":100}"#
                .into(),
        ),
    ])
    .unwrap()
}

async fn open(dir: &Path, target: &str, crash: Option<(u32, bool)>) -> Gate {
    let store = StoreConfig::default().place(dir, None).write(None).unwrap();
    let store = match crash {
        Some((left, after)) => Box::new(Crashing { inner: store, left, after }),
        None => store,
    };
    let key = aecl_kernel::base::digest::Digest::of(b"ann");
    let people = serde_json::json!([{"id": "ann", "groups": ["operators"], "key": key}]);
    let config = serde_json::json!({"origin": "test.example/crash", "people": people});
    let config: Config = serde_json::from_value(config).unwrap();
    Gate::of_parts(Parts {
        config,
        bundle: bundle(target),
        store,
        ledger_key: SigningKey::from_bytes(&[1; 32]),
        token_key: SigningKey::from_bytes(&[2; 32]),
        executor: Executor::new(Connectors::default()),
        clock: Clock::from_fn(aecl_gate::clock::wall),
    })
    .await
    .unwrap()
}

/// The child: proposes until it dies, and says what was acknowledged.
#[test]
fn child() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let target = std::env::var(TARGET).unwrap();
    let crash = std::env::var(POINT).ok().map(|p| {
        let (n, when) = p.split_once(':').unwrap();
        (n.parse().unwrap(), when == "after")
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let gate = open(Path::new(&dir), &target, crash).await;
        let request = RunRequest {
            agent: AgentId::new("a").unwrap(),
            goal: "survive".into(),
            plan: None,
            user: None,
            tenant: None,
            project: None,
            environment: None,
            ttl_s: None,
            parent: None,
            approve_plan: false,
        };
        let session = gate.open_run(&Identity::Local, request).await.unwrap().session;
        let person =
            Identity::Person { id: PersonId::new("ann").unwrap(), groups: ["operators".to_owned()].into() };
        println!("ready");
        for n in 0..40 {
            let name = ["opaque", "verifiable", "held"][n % 3];
            let submission = |wait| Submission {
                name: name.into(),
                arguments: format!(r#"{{"n":{n}}}"#).into_bytes(),
                wait,
                ..Submission::default()
            };
            // Half of what people have to agree to they agree to as the step of a plan.
            if name == "held" && n % 2 == 0 {
                let step = serde_json::json!({"action": name, "arguments": {"/n": {"equals": n}}});
                let ask = gate.propose_plan(&session, &serde_json::json!({ "steps": [step] })).await.unwrap();
                gate.answer(&person, &ask.approval, true, String::new(), None).await.unwrap();
            }
            let mut answer = gate.submit(&session, submission(Duration::ZERO)).await.unwrap();
            if let End::Pending(ask) = &answer.end {
                gate.answer(&person, &ask.approval, true, String::new(), None).await.unwrap();
                answer = gate.submit(&session, submission(Duration::ZERO)).await.unwrap();
            }
            match answer.end {
                End::Concluded { outcome: OutcomeKind::Done, .. } => println!("ack {}", answer.action),
                other => panic!("{name}: {other:?}"),
            }
        }
        println!("finished");
    });
    std::process::exit(0);
}

fn start(dir: &Path, target: &str, point: Option<String>) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "child", "--nocapture", "--test-threads=1"]).env(DIR, dir).env(TARGET, target);
    if let Some(point) = point {
        command.env(POINT, point);
    }
    command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap()
}

/// Runs a child to its end and adds what it acknowledged.
fn round(dir: &Path, target: &Arc<Target>, address: &str, how: How, acked: &mut BTreeSet<String>) {
    let point = match &how {
        How::AtCommit(n, after) => Some(format!("{n}:{}", if *after { "after" } else { "before" })),
        How::InEffect | How::AfterMs(_) => None,
    };
    let mut child = start(dir, address, point);
    *target.victim.lock().unwrap() = Some(child.id());
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let killer = match how {
        How::AtCommit(..) => None,
        How::InEffect => {
            target.kill_at_effect.store(true, Ordering::SeqCst);
            None
        }
        How::AfterMs(ms) => {
            let pid = child.id();
            Some(std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(ms));
                kill(pid);
            }))
        }
    };
    for line in lines.by_ref().map_while(Result::ok) {
        if let Some(id) = line.strip_prefix("ack ") {
            acked.insert(id.to_owned());
        }
    }
    let status = child.wait().unwrap();
    // A child that is not killed has finished its work; one that failed by itself has found a bug.
    assert!(status.success() || status.code().is_none(), "a child failed by itself: {status}");
    if let Some(killer) = killer {
        killer.join().unwrap();
    }
    *target.victim.lock().unwrap() = None;
}

enum How {
    AtCommit(u32, bool),
    InEffect,
    AfterMs(u64),
}

#[test]
fn nothing_happens_twice_or_unrecorded_whenever_the_process_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let target = Arc::new(Target::default());
    let address = target.serve();
    let mut acked = BTreeSet::new();
    // Commits: bundle, recovery, run, token, then two or five a round of the walk.
    for n in 1..=16 {
        for after in [false, true] {
            round(dir.path(), &target, &address, How::AtCommit(n, after), &mut acked);
        }
    }
    for _ in 0..6 {
        round(dir.path(), &target, &address, How::InEffect, &mut acked);
    }
    let rounds: u64 = std::env::var("AECL_CRASH_ROUNDS").ok().and_then(|r| r.parse().ok()).unwrap_or(30);
    for i in 0..rounds {
        // Spread over start-up and work, in an order that has nothing to do with either.
        round(dir.path(), &target, &address, How::AfterMs(20 + i * 7919 % 180), &mut acked);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(check(dir.path(), &target, &address, &acked));
}

async fn check(dir: &Path, target: &Target, address: &str, acked: &BTreeSet<String>) {
    // Opening checks the signed head against the tree, and finishes what the last process left open.
    let gate = open(dir, address, None).await;
    // What could be looked up is looked up once no request can be on its way any more.
    tokio::time::sleep(Duration::from_millis(1200)).await;
    gate.reconcile().await.unwrap();
    let (mut keys, mut from) = (BTreeMap::new(), 0);
    loop {
        let entries = gate.ledger().entries(from, 1000).await.unwrap();
        let Some(last) = entries.last() else { break };
        from = last.position + 1;
        for entry in entries {
            if let Event::Started(started) = entry.event {
                assert!(keys.insert(started.key, started.action).is_none(), "an attempt was started twice");
            }
        }
    }
    let effects = target.effects.lock().unwrap().clone();
    assert!(effects.len() > 50, "the test has tested something: {} effects", effects.len());
    for (key, count) in &effects {
        assert_eq!(*count, 1, "`{key}` happened {count} times");
        let action = keys.get(key).unwrap_or_else(|| panic!("`{key}` happened and is not on record"));
        let fact = gate.ledger().action(action).await.unwrap().unwrap();
        match fact.state {
            ActionState::Done => {}
            ActionState::Unknown => assert_eq!(fact.name, "opaque", "what can be looked up is not unknown"),
            other => panic!("{action} has happened, and the record says {other:?}"),
        }
    }
    for id in acked {
        let fact = gate
            .ledger()
            .action(&ActionId::new(id).unwrap())
            .await
            .unwrap()
            .expect("what was acknowledged is there");
        assert_eq!(fact.state, ActionState::Done, "{id} was acknowledged");
    }
    for id in gate.ledger().in_flight() {
        let fact = gate.ledger().action(&id).await.unwrap().unwrap();
        assert_eq!(
            (fact.state, fact.name.as_str()),
            (ActionState::Unknown, "opaque"),
            "only what nobody can look up is left"
        );
    }
}
