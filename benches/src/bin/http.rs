//! What the HTTP API costs beside what it cannot do without: the same decisions without a socket, a path that asks
//! nothing, one commit. `aecl serve` in a process of its own, over real sockets; all figures that count are ratios within
//! one run.
//!
//! `cargo run --profile dist --bin http [processor|rate|alone|lists]...` in `benches/`.

use aecl_benches::*;
use aecl_kernel::base::json::Limits;
use aecl_kernel::decide::decide;
use aecl_kernel::decide::request::DecisionRequest;
use aecl_kernel::read::action::Action;
use aecl_kernel::record::facts::Facts;
use aecl_ledger::Ledger;
use serde_json::{Value, json};
use std::io::{BufReader, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const CLIENTS: usize = 64;
/// Clients whose slowest answers are looked at.
const FEW: usize = 8;

fn main() -> ExitCode {
    if std::env::var_os(ROLE).is_some() {
        return aecl::cli::main();
    }
    let scratch = on_disk();
    let server = Server::start(scratch.path());
    let here = Here::open(scratch.path());
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let parts: [(&str, &dyn Fn()); 4] = [
        ("processor", &|| processor(&server, &here)),
        ("rate", &|| rates(&server, &here)),
        ("alone", &|| alone(&server, &here, scratch.path())),
        ("lists", &|| beside_lists(&server)),
    ];
    for (name, part) in parts {
        if wanted.is_empty() || wanted.iter().any(|w| w == name) {
            part();
        }
    }
    ExitCode::SUCCESS
}

/// How long clients ask the same.
fn spell() -> Duration {
    Duration::from_millis(rounds(1500) as u64)
}

/// Processor time of a process so far.
fn processor_time(process: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn processor(server: &Server, here: &Here) {
    let mut spent: [Vec<f64>; 4] = Default::default();
    for _ in 0..rounds(5) {
        for (ask, spent) in [Ask::Health, Ask::Look, Ask::Decide].into_iter().zip(&mut spent) {
            let before = processor_time(server.serving.child.id());
            let answered = server.load(CLIENTS, ask, spell()).len();
            let after = processor_time(server.serving.child.id());
            spent.push((after - before).as_secs_f64() / answered as f64);
        }
        let before = processor_time(std::process::id());
        let (decisions, _) = here.decisions();
        spent[3].push((processor_time(std::process::id()) - before).as_secs_f64() / decisions as f64);
    }
    let [health, look, decide, here] = spent.map(median);
    let micros = |what, seconds: f64| micros(what, Duration::from_secs_f64(seconds));
    println!("processor time for each request, {CLIENTS} connections");
    micros("/healthz", health);
    micros("a look at a run", look);
    micros("a decision, one durable commit (`authorize`)", decide);
    micros("the same decision without a socket", here);
    ratio("look / /healthz", look / health, "<= 3");
    ratio("decision / (/healthz + decision without a socket)", decide / (health + here), "<= 3");
}

fn rates(server: &Server, here: &Here) {
    let (mut over, mut without) = (Vec::new(), Vec::new());
    for _ in 0..rounds(5) {
        over.push(server.load(CLIENTS, Ask::Decide, spell()).len() as f64 / spell().as_secs_f64());
        without.push(here.decisions().1);
    }
    let (over, without) = (median(over), median(without));
    println!("{CLIENTS} clients, decisions a second");
    line("over sockets", format!("{over:.0}"), "");
    line("without", format!("{without:.0}"), "");
    ratio("over sockets / without", over / without, ">= 0.4");
}

fn alone(server: &Server, here: &Here, scratch: &Path) {
    let disk = Disk::open(scratch);
    let (mut health, mut decide) = (server.wire(0), server.wire(1));
    let times = medians(
        1000,
        1,
        &mut [
            &mut || assert!(health.ask(Ask::Health) > Duration::ZERO),
            &mut || assert!(decide.ask(Ask::Decide) > Duration::ZERO),
            &mut || disk.commit(),
            &mut || here.decision(),
        ],
    );
    let [health, decide, commit, decision] = times[..] else { return };
    println!("one client, one after the other (p50)");
    micros("/healthz", health);
    micros("one SQLite commit of 2 KiB with synchronous=FULL", commit);
    micros("the decision in memory", decision);
    micros("a durable decision over a socket", decide);
    let limit = (health + commit + decision).as_secs_f64();
    ratio("decision / (/healthz + commit + decision in memory)", decide.as_secs_f64() / limit, "<= 1.5");
}

/// One connection lists a thousand entries at a time, again and again, while others decide.
fn beside_lists(server: &Server) {
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for _ in 0..rounds(5) {
        without.push(p99(server.load(FEW, Ask::Decide, spell())));
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut wire = server.wire(0);
                while !over.load(Ordering::Relaxed) {
                    wire.ask(Ask::List);
                }
            });
            with.push(p99(server.load(FEW, Ask::Decide, spell())));
            over.store(true, Ordering::Relaxed);
        });
    }
    let (with, without) = (median(with), median(without));
    println!("{FEW} connections, p99 of decisions");
    micros("nobody lists", Duration::from_secs_f64(without));
    micros("one connection lists the record without a break", Duration::from_secs_f64(with));
    ratio("p99 beside lists / p99", with / without, "<= 1.5");
}

fn p99(mut taken: Vec<Duration>) -> f64 {
    let at = taken.len() * 99 / 100;
    taken.select_nth_unstable(at).1.as_secs_f64()
}

/// The same decisions in this process.
struct Here {
    ledger: Ledger,
    bundle: Arc<aecl_kernel::policy::bundle::Bundle>,
    numbers: Arc<AtomicU64>,
    action: Arc<Action>,
    facts: Facts,
}

impl Here {
    fn open(scratch: &Path) -> Self {
        let bundle = bundle(10);
        let ledger = Ledger::open(written(&scratch.join("here")), signer()).unwrap();
        let principal = principal("run_0123456789abcdef");
        let action = Action::parse(proposal(&principal, 1), bundle.catalogue(), &Limits::default());
        let action = Arc::new(action);
        runtime().block_on(async { ledger.open_run(open_run(&principal), NOON).await.unwrap() });
        let looked = ledger.facts(action.clone(), bundle.clone(), None, NOON);
        let facts = runtime().block_on(looked).unwrap();
        Self { ledger, bundle, numbers: Arc::new(AtomicU64::new(1)), action, facts }
    }

    /// How many, and how many a second.
    fn decisions(&self) -> (u64, f64) {
        let each = rounds(250) as u64;
        (64 * each, rate(&self.ledger, &self.bundle, 64, each, &self.numbers, false))
    }

    fn decision(&self) {
        let principal = &self.action.principal;
        let action = Action::parse(proposal(principal, 1), self.bundle.catalogue(), &Limits::default());
        let question = DecisionRequest {
            action: &self.action,
            facts: &self.facts,
            bundle: &self.bundle,
            evidence: &[],
            now: NOON,
        };
        drop(std::hint::black_box((decide(&question, &self.action, fresh(1)), action)));
    }
}

/// What is asked for.
#[derive(Clone, Copy, PartialEq)]
enum Ask {
    Health,
    Look,
    Decide,
    List,
}

/// `aecl serve` with the bundle that the other measurements use, and a run for each client.
struct Server {
    serving: Serving,
    key: String,
    runs: Vec<(String, String)>,
}

impl Server {
    fn start(scratch: &Path) -> Self {
        let home = scratch.join("home");
        let done = |command: &mut Command| {
            let out = command.output().unwrap();
            assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
            String::from_utf8(out.stdout).unwrap()
        };
        done(aecl(&home).args(["init", "--example", "finance", "--origin", "bench/aecl"]));
        std::fs::remove_dir_all(home.join("policy")).unwrap();
        for source in sources(10) {
            let path = home.join("policy").join(&source.path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, &source.text).unwrap();
        }
        let config = home.join("aecl.yaml");
        let text = std::fs::read_to_string(&config).unwrap();
        let text = text.replace("\ntenant: default", "\ntenant: acme");
        std::fs::write(&config, text.replace("\nenvironment: production", "\nenvironment: test")).unwrap();
        let key = done(aecl(&home).args(["keys", "add", "orchestrator", "planner", "--agent", "support"]));
        let serving = Serving::start(&home);
        let operator = std::fs::read_to_string(home.join("keys/operator.key")).unwrap();
        let mut server = Self { serving, key: operator.trim().to_owned(), runs: Vec::new() };
        let mut wire = Wire::open(&server.serving.address, key.trim(), "");
        let goal = json!({"agent": "support", "goal": "answer the complaint about an order that never came"});
        for _ in 0..CLIENTS {
            let run = wire.send("POST", "/v1/runs", key.trim(), &goal.to_string());
            let named = |name: &str| run[name].as_str().unwrap_or_else(|| panic!("{run}")).to_owned();
            server.runs.push((named("run"), named("token")));
        }
        server
    }

    fn wire(&self, client: usize) -> Wire {
        let (run, token) = &self.runs[client];
        let mut wire = Wire::open(&self.serving.address, token, run);
        wire.key.clone_from(&self.key);
        wire
    }

    /// So many clients ask the same for so long; how long each answer took.
    fn load(&self, clients: usize, ask: Ask, long: Duration) -> Vec<Duration> {
        let until = Instant::now() + long;
        std::thread::scope(|scope| {
            let clients: Vec<_> = (0..clients)
                .map(|client| {
                    let mut wire = self.wire(client);
                    scope.spawn(move || {
                        let mut taken = Vec::new();
                        while Instant::now() < until {
                            taken.push(wire.ask(ask));
                        }
                        taken
                    })
                })
                .collect();
            clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
        })
    }
}

/// A client that keeps one connection.
struct Wire {
    stream: BufReader<TcpStream>,
    token: String,
    key: String,
    run: String,
    next: u64,
}

impl Wire {
    fn open(address: &str, token: &str, run: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        let stream = BufReader::with_capacity(64 << 10, stream);
        Self { stream, token: token.into(), key: String::new(), run: run.into(), next: 0 }
    }

    fn ask(&mut self, ask: Ask) -> Duration {
        let begun = Instant::now();
        match ask {
            Ask::Health => self.exchange("GET", "/healthz", "", ""),
            Ask::Look => self.exchange("GET", &format!("/v1/runs/{}", self.run), &self.token.clone(), ""),
            Ask::List => self.exchange("GET", "/v1/ledger/entries?from=0&limit=1000", &self.key.clone(), ""),
            Ask::Decide => {
                self.next += 1;
                let order = format!("order-{:08}", self.next);
                let body = json!({"action": "payments.refund", "mode": "authorize", "arguments": {
                    "order": order, "amount": 12.5, "reason": "the parcel never came", "notify": true}});
                self.exchange("POST", "/v1/actions", &self.token.clone(), &body.to_string())
            }
        };
        begun.elapsed()
    }

    fn send(&mut self, method: &str, path: &str, credential: &str, body: &str) -> Value {
        serde_json::from_slice(&self.exchange(method, path, credential, body)).unwrap()
    }

    /// One request and its answer, which has to be a success.
    fn exchange(&mut self, method: &str, path: &str, credential: &str, body: &str) -> Vec<u8> {
        let text = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {credential}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.stream.get_mut().write_all(text.as_bytes()).unwrap();
        let (status, body) = message(&mut self.stream).expect("an answer");
        let waits = body.windows(9).any(|some| some == b"\"pending\"" || some == b"\"blocked\"");
        assert!(status.contains(" 20") && !waits, "{status}{}", String::from_utf8_lossy(&body));
        body
    }
}
