//! What the measurements share: the work that is measured, and how.
//!
//! With `AECL_BENCH_QUICK` they do a tenth of their work. With `AECL_BENCH_RATIOS` each ratio goes to the end of that file,
//! too, as one JSON object a line; `cargo xtask bench` compares them with what is written down.

use aecl_analysis::load::VettedBundle;
use aecl_kernel::base::id::{ActionId, AgentId, ApprovalId, Environment, RunId, TenantId};
use aecl_kernel::base::json::Limits;
use aecl_kernel::base::principal::Principal;
use aecl_kernel::base::time::Timestamp;
use aecl_kernel::decide::Ruling;
use aecl_kernel::decide::request::NewIds;
use aecl_kernel::policy::bundle::Bundle;
use aecl_kernel::policy::problem::Source;
use aecl_kernel::provenance::labels::Labels;
use aecl_kernel::read::action::{Action, Credential, Mode, Proposal};
use aecl_kernel::record::event::OutcomeKind;
use aecl_kernel::record::goal::Goal;
use aecl_ledger::store::{Store, StoreConfig, StorePlace};
use aecl_ledger::{Conclusion, Ledger, OpenRun, Rule, Signer};
use ed25519_dalek::SigningKey;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// When it is.
pub const NOON: Timestamp = Timestamp(1_767_268_800_000);
/// Whose ledger it is.
pub const ORIGIN: &str = "ledger.bench/acme";

/// Set where a measurement is to be `aecl`: one build, one command.
pub const ROLE: &str = "BENCH_IS_AECL";

/// One line of the table.
pub fn line(what: &str, value: String, target: &str) {
    println!("  {what:<62} {value:>14}   {target}");
}

/// A ratio to something that the machine does in the same run.
pub fn ratio(what: &str, value: f64, target: &str) {
    line(what, format!("{value:.2}"), target);
    if let Some(path) = std::env::var_os("AECL_BENCH_RATIOS") {
        let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
        writeln!(file, "{}", json!({"what": what, "value": value, "target": target})).unwrap();
    }
}

/// How often something is done: so often, or a tenth of it.
pub fn rounds(whole: usize) -> usize {
    if std::env::var_os("AECL_BENCH_QUICK").is_some() { whole.div_ceil(10) } else { whole }
}

/// A time in microseconds.
pub fn micros(what: &str, value: Duration) {
    line(what, format!("{:.1} µs", value.as_secs_f64() * 1e6), "");
}

/// Files of a bundle like one that somebody would have, and `rules` rules about other agents.
pub fn sources(rules: usize) -> Vec<Source> {
    let mut actions = vec![json!({
        "name": "payments.refund", "effect": "pay", "reversibility": "reversible",
        "description": "Pays back an order", "output": {"untrusted": false, "private": false},
        "arguments": {"type": "object", "required": ["order", "amount"], "properties": {
            "order": {"type": "string", "maxLength": 40}, "amount": {"type": "number"},
            "reason": {"type": "string"}, "notify": {"type": "boolean"}}},
        "fields": {"amount": {"value": "/amount", "unit": "EUR"}, "resource": "/order"},
    })];
    actions.extend((0..20).map(|n| {
        json!({"name": format!("crm.read{n}"), "effect": "read",
            "arguments": {"type": "object", "properties": {"id": {"type": "string"}}}})
    }));
    let agent = json!({
        "agent_id": "support", "allowed_actions": ["payments.refund", "crm.read0", "crm.read1"],
        "blocked_actions": ["crm.read9"], "max_tool_calls_per_run": 1_000_000_000u64,
        "budgets": [{"unit": "EUR", "limit": "900000000", "per": "day", "of": "tenant"}],
        "rate_limits": [{"calls": 1_000_000_000u64, "per_s": 1}],
    });
    let mut cedar = String::new();
    for n in 0..5 {
        cedar += &format!(
            "@id(\"own{n}\") forbid (principal == Agent::\"support\", action == Action::\"payments.refund\", resource) \
             when {{ context.amount.greaterThan(decimal(\"{}.0\")) }};\n",
            5000 + n
        );
    }
    for n in 5..rules {
        cedar += &format!(
            "@id(\"r{n}\") forbid (principal == Agent::\"agent{n}\", action == Action::\"payments.refund\", resource) \
             when {{ context.amount.greaterThan(decimal(\"{n}.0\")) }};\n"
        );
    }
    vec![
        Source { path: "actions/all.json".into(), text: serde_json::to_string(&actions).unwrap() },
        Source { path: "agents/support.json".into(), text: agent.to_string() },
        Source { path: "rules/all.cedar".into(), text: cedar },
    ]
}

/// The same, loaded.
pub fn bundle(rules: usize) -> Arc<Bundle> {
    Arc::new(VettedBundle::load(sources(rules)).unwrap_or_else(|p| panic!("{p:#?}")).into_bundle())
}

/// Who acts.
pub fn principal(run: &str) -> Principal {
    Principal {
        agent: AgentId::new("support").unwrap(),
        user: None,
        tenant: TenantId::new("acme").unwrap(),
        project: None,
        environment: Environment::new("test").unwrap(),
        run: RunId::new(run).unwrap(),
    }
}

/// What is proposed.
pub fn proposal(principal: &Principal, n: u64) -> Proposal {
    let credential = Credential {
        id: format!("tok_{}", principal.run),
        run: principal.run.clone(),
        agent: principal.agent.clone(),
        expires_at: NOON.plus_s(900),
    };
    Proposal {
        principal: principal.clone(),
        credential,
        name: "payments.refund".into(),
        arguments: format!(
            r#"{{"order":"order-{n:08}","amount":12.5,"reason":"the parcel never came","notify":true}}"#
        )
        .into_bytes(),
        mode: Mode::Execute,
        idempotency_key: None,
        offered: None,
        compensates: None,
        resume: false,
    }
}

/// Names for a decision.
pub fn fresh(n: u64) -> NewIds {
    // As long as a real one.
    NewIds {
        action: ActionId::new(&format!("act_{n:032x}")).unwrap(),
        approval: ApprovalId::new(&format!("apr_{n:032x}")).unwrap(),
    }
}

/// A run to act in.
pub fn open_run(principal: &Principal) -> OpenRun {
    OpenRun {
        principal: principal.clone(),
        goal: Goal::new("answer the complaint about an order that never came".into(), None),
        expires_at: NOON.plus_s(1_000_000),
        parent: None,
        follows: None,
        ask: None,
        by: "bench".into(),
        barred: BTreeSet::new(),
    }
}

/// Medians of several things, measured in turns so that a busy moment hits all of them.
pub fn medians(whole: usize, inner: u32, things: &mut [&mut dyn FnMut()]) -> Vec<Duration> {
    let rounds = rounds(whole);
    let mut times = vec![Vec::with_capacity(rounds); things.len()];
    for _ in 0..rounds {
        for (thing, times) in things.iter_mut().zip(&mut times) {
            let start = Instant::now();
            (0..inner).for_each(|_| thing());
            times.push(start.elapsed() / inner);
        }
    }
    times.into_iter().map(|mut t| *t.select_nth_unstable(rounds / 2).1).collect()
}

/// Who signs.
pub fn signer() -> Signer {
    Signer { origin: ORIGIN.into(), key: SigningKey::from_bytes(&[7; 32]) }
}

/// One client: decides, and concludes if `conclude`.
pub async fn client(
    ledger: &Ledger,
    bundle: &Arc<Bundle>,
    principal: &Principal,
    numbers: &AtomicU64,
    conclude: bool,
) {
    let n = numbers.fetch_add(1, Ordering::Relaxed);
    let action = Arc::new(Action::parse(proposal(principal, n), bundle.catalogue(), &Limits::default()));
    let rule = Rule {
        action,
        evidence: Vec::new(),
        bundle: bundle.clone(),
        people: None,
        fresh: fresh(n),
        again: None,
        now: NOON,
    };
    let Ruling::Allowed(permit) = ledger.rule(rule).await.unwrap().split().0 else {
        panic!("expected an allow")
    };
    if conclude {
        let conclusion = Conclusion {
            action: permit.get().id().clone(),
            outcome: OutcomeKind::Done,
            code: None,
            message: String::new(),
            output: Some(br#"{"refund":"re_1234567890","status":"succeeded"}"#.to_vec()),
            may_have_acted: false,
            labels: Labels::default(),
            trusted: Vec::new(),
            issued: Vec::new(),
            latency_ms: 12,
            sandbox: "none".into(),
            traffic: None,
            resolved_by: None,
        };
        ledger.conclude(conclusion, NOON).await.unwrap();
    }
}

/// As the server has it.
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Actions per second with so many clients, each with a run of its own.
pub fn rate(
    ledger: &Ledger,
    bundle: &Arc<Bundle>,
    clients: u64,
    each: u64,
    numbers: &Arc<AtomicU64>,
    conclude: bool,
) -> f64 {
    let runtime = runtime();
    runtime.block_on(async {
        let mut runs = Vec::new();
        for _ in 0..clients {
            let principal = principal(&format!("run_{:032x}", numbers.fetch_add(1, Ordering::Relaxed)));
            ledger.open_run(open_run(&principal), NOON).await.unwrap();
            runs.push(principal);
        }
        let start = Instant::now();
        let tasks: Vec<_> = runs
            .into_iter()
            .map(|principal| {
                let (ledger, bundle, numbers) = (ledger.clone(), bundle.clone(), numbers.clone());
                tokio::spawn(async move {
                    for _ in 0..each {
                        client(&ledger, &bundle, &principal, &numbers, conclude).await;
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        (clients * each) as f64 / start.elapsed().as_secs_f64()
    })
}

/// `aecl` with a home.
pub fn aecl(home: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.env(ROLE, "1").env("AECL_LOG", "error").env("RUST_LOG", "error").arg("--dir").arg(home);
    command
}

/// The process that owns a home. It does not outlive us, however we end.
pub struct Serving {
    pub child: Child,
    pub address: String,
}

impl Serving {
    /// On a port that is free.
    pub fn start(home: &Path) -> Self {
        let mut serve = aecl(home);
        serve.args(["--json", "serve", "--listen", "127.0.0.1:0"]).stdout(Stdio::piped());
        let mut serving = Self { child: serve.spawn().unwrap(), address: String::new() };
        let mut said = String::new();
        BufReader::new(serving.child.stdout.take().unwrap()).read_line(&mut said).unwrap();
        let said: Value = serde_json::from_str(&said).unwrap();
        said["listen"].as_str().unwrap().clone_into(&mut serving.address);
        serving
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// At once.
pub fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

/// One HTTP message with a `Content-Length`: its first line and its body. Nothing at the end.
pub fn message(stream: &mut BufReader<TcpStream>) -> Option<(String, Vec<u8>)> {
    let (mut first, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if line == "\r\n" {
            break;
        }
        if first.is_empty() {
            first = line;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some((first, body))
}

/// What a durable commit costs here and now.
pub struct Disk(rusqlite::Connection);

impl Disk {
    /// A file in this folder.
    pub fn open(folder: &Path) -> Self {
        let db = rusqlite::Connection::open(folder.join("commit.db")).unwrap();
        db.execute_batch("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE t (x BLOB);")
            .unwrap();
        Self(db)
    }

    /// One of 2 KiB.
    pub fn commit(&self) {
        assert_eq!(self.0.execute("INSERT INTO t VALUES (?1)", [[7u8; 2048]]).unwrap(), 1);
    }
}

/// A folder on the disk that is to be measured (`AECL_BENCH_DIR`).
pub fn on_disk() -> tempfile::TempDir {
    tempfile::TempDir::new_in(std::env::var("AECL_BENCH_DIR").unwrap_or("/tmp".into())).unwrap()
}

/// The store there.
pub fn place(data: &std::path::Path) -> Box<dyn StorePlace> {
    StoreConfig::default().place(data, None)
}

/// The same, to write.
pub fn written(data: &std::path::Path) -> Box<dyn Store> {
    place(data).write(None).unwrap()
}
