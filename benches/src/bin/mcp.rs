//! What AECL adds to a call of an MCP tool: the same server called directly, through a process that only copies bytes, and
//! through AECL, one call of each in turn, so that a busy machine is as busy for all. A call that is let through is two
//! durable commits (ruled and started, concluded); what those cost on this disk is measured in between.
//!
//! `cargo run --profile dist --bin mcp [stdio|http]...` in `benches/`. Needs `python3` for the server on pipes.

use aecl_benches::{Disk, ROLE, Serving, aecl, end, message, micros, on_disk, ratio, rounds};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// Set where this program is to copy bytes: on pipes to the command that it is given, or to this address.
const RELAY: &str = "BENCH_IS_RELAY";
/// The first of them count for nothing.
const CALLS: usize = 2_200;
const STATELESS: &str = "2026-07-28";

/// What is measured in a folder of its own.
type Part = (&'static str, fn(&Path));

fn main() -> ExitCode {
    if std::env::var_os(ROLE).is_some() {
        return aecl::cli::main();
    }
    if let Some(to) = std::env::var_os(RELAY) {
        return relay(&to.to_string_lossy());
    }
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let parts: [Part; 2] = [("stdio", stdio), ("http", http)];
    for (name, part) in parts {
        if wanted.is_empty() || wanted.iter().any(|w| w == name) {
            println!("{name}");
            let scratch = on_disk();
            part(scratch.path());
        }
    }
    ExitCode::SUCCESS
}

/// The server of the gateway's tests, directly, through `aecl mcp`, and through `aecl mcp --embedded`.
fn stdio(scratch: &Path) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/aecl/tests/mcp_server.py");
    let server = |folder: &str| -> Vec<String> {
        let folder = scratch.join(folder);
        std::fs::create_dir_all(&folder).unwrap();
        ["python3", "-u"]
            .map(str::to_owned)
            .into_iter()
            .chain([script.display().to_string(), "legacy".into(), folder.display().to_string()])
            .collect()
    };
    let wrapped = |home: &Path, more: &[&str]| {
        let mut command = aecl(home);
        command.arg("mcp").args(["--server", "tiny"]).args(more).arg("--").args(server("behind"));
        command
    };
    let mut direct = Command::new("python3");
    direct.args(&server("direct")[1..]);
    let mut copied = Command::new(std::env::current_exe().unwrap());
    copied.env(RELAY, "").args(server("copied"));
    let (attached, embedded) = (home(scratch, "attached"), home(scratch, "embedded"));
    let serving = Serving::start(&attached);
    let mut pipes = [
        Pipe::start(direct),
        Pipe::start(copied),
        Pipe::start(wrapped(&attached, &[])),
        Pipe::start(wrapped(&embedded, &["--embedded"])),
    ];
    let mut calls: Vec<_> = pipes.iter_mut().map(|pipe| || pipe.call()).collect();
    let [direct, copied, attached, embedded, commit] = in_turns(scratch, &mut calls);
    drop(calls);
    drop(pipes);
    drop(serving);
    let limit = limit(direct, copied, commit);
    added("`aecl mcp`, attached", attached, direct, limit);
    added("`aecl mcp --embedded`", embedded, direct, limit);
}

/// What each of these takes, and a commit (p50).
fn in_turns<const N: usize>(scratch: &Path, calls: &mut [impl FnMut() -> Duration]) -> [Duration; N] {
    let disk = Disk::open(scratch);
    let mut taken = [(); N].map(|()| Vec::new());
    let all = rounds(CALLS);
    for n in 0..all {
        let mut spent: Vec<Duration> = calls.iter_mut().map(|call| call()).collect();
        let begun = Instant::now();
        disk.commit();
        spent.push(begun.elapsed());
        if n >= all / 10 {
            taken.iter_mut().zip(spent).for_each(|(taken, spent)| taken.push(spent));
        }
    }
    taken.map(p50)
}

/// What nobody can do without: both commits, and one more process on the way.
fn limit(direct: Duration, copied: Duration, commit: Duration) -> Duration {
    micros("the server called directly", direct);
    micros("the server behind a process that copies bytes", copied);
    micros("one SQLite commit of 2 KiB with synchronous=FULL", commit);
    2 * commit + copied.saturating_sub(direct)
}

/// A stateless server on HTTP, directly and through `aecl serve`.
fn http(scratch: &Path) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let upstream = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || upstream_of(stream));
        }
    });
    let home = home(scratch, "http");
    let path = home.join("aecl.yaml");
    let servers = format!(
        "servers: {{ tiny: {{ kind: http, url: \"http://{upstream}/mcp\", allow_private: true, listen: false }} }}"
    );
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("servers: {}", &servers)).unwrap();
    let serving = Serving::start(&home);
    let key = std::fs::read_to_string(home.join("keys/operator.key")).unwrap();
    let mut copies = Command::new(std::env::current_exe().unwrap());
    let mut copies = copies.env(RELAY, upstream.to_string()).stdout(Stdio::piped()).spawn().unwrap();
    let mut copied = String::new();
    BufReader::new(copies.stdout.take().unwrap()).read_line(&mut copied).unwrap();
    let mut ways = [
        Wire::open(&upstream.to_string(), "/mcp", None),
        Wire::open(copied.trim(), "/mcp", None),
        Wire::open(&serving.address, "/mcp/bench", Some(key.trim())),
    ];
    let mut calls: Vec<_> = ways.iter_mut().map(|way| || way.call()).collect();
    let [direct, copied, gateway, commit] = in_turns(scratch, &mut calls);
    drop(calls);
    drop(ways);
    drop(serving);
    end(&mut copies);
    let limit = limit(direct, copied, commit);
    added("`aecl serve`, Streamable HTTP", gateway, direct, limit);
}

/// Copies bytes between our pipes and those of a command, or between whoever connects and an address.
fn relay(to: &str) -> ExitCode {
    if to.is_empty() {
        let words: Vec<String> = std::env::args().skip(1).collect();
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (to, from) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        std::thread::spawn(move || copy(std::io::stdin(), to));
        copy(from, std::io::stdout());
        end(&mut child);
        return ExitCode::SUCCESS;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    println!("{}", listener.local_addr().unwrap());
    for here in listener.incoming().flatten() {
        let there = TcpStream::connect(to).unwrap();
        for stream in [&here, &there] {
            stream.set_nodelay(true).unwrap();
        }
        let (back_from, back_to) = (there.try_clone().unwrap(), here.try_clone().unwrap());
        std::thread::spawn(move || copy(here, there));
        std::thread::spawn(move || copy(back_from, back_to));
    }
    ExitCode::SUCCESS
}

/// As it comes, until either end is gone.
fn copy(mut from: impl Read, mut to: impl Write) {
    let mut some = [0; 64 << 10];
    while let Ok(count @ 1..) = from.read(&mut some) {
        if to.write_all(&some[..count]).and_then(|()| to.flush()).is_err() {
            return;
        }
    }
}

fn p50(mut taken: Vec<Duration>) -> Duration {
    taken.sort_unstable();
    taken[taken.len() / 2]
}

fn added(what: &str, through: Duration, direct: Duration, limit: Duration) {
    let more = through.saturating_sub(direct);
    micros(what, through);
    micros("    adds", more);
    ratio(&format!("{what}: adds / (2 commits + relay)"), more.as_secs_f64() / limit.as_secs_f64(), "<= 1.5");
}

fn home(scratch: &Path, name: &str) -> PathBuf {
    let home = scratch.join(name);
    let mut init = aecl(&home);
    init.args(["init", "--agent", "bench", "--server", "tiny", "--origin", "bench/aecl"]);
    assert!(init.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success());
    home
}

/// A client on two pipes.
struct Pipe {
    child: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
    next: u64,
}

impl Pipe {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (to, from) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        let mut pipe = Self { child, to, from, next: 1 };
        let hello = json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}});
        pipe.ask("initialize", &hello);
        pipe.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        pipe.ask("tools/list", &json!({}));
        pipe
    }

    fn send(&mut self, message: &Value) {
        let line = format!("{message}\n");
        self.to.as_mut().unwrap().write_all(line.as_bytes()).unwrap();
    }

    fn ask(&mut self, method: &str, params: &Value) -> Value {
        let id = self.next;
        self.next += 1;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        loop {
            let mut line = String::new();
            assert!(self.from.read_line(&mut line).unwrap() > 0, "the end, before an answer to `{method}`");
            let message: Value = serde_json::from_str(&line).unwrap();
            if message["id"] == id {
                return message;
            }
        }
    }

    fn call(&mut self) -> Duration {
        let params = json!({"name": "read_note", "arguments": {"path": "x".repeat(200)}});
        let begun = Instant::now();
        let answer = self.ask("tools/call", &params);
        let spent = begun.elapsed();
        assert!(answer["result"]["big"].is_number(), "{answer}");
        spent
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        drop(self.to.take());
        let until = Instant::now() + Duration::from_secs(5);
        while Instant::now() < until {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        end(&mut self.child);
    }
}

/// A client that keeps one HTTP connection.
struct Wire {
    stream: BufReader<TcpStream>,
    head: String,
}

impl Wire {
    fn open(address: &str, path: &str, key: Option<&str>) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        let key = key.map_or(String::new(), |key| format!("Authorization: Bearer {key}\r\n"));
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {address}\r\n{key}Content-Type: application/json\r\n\
             Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: {STATELESS}\r\n\
             Mcp-Method: tools/call\r\nMcp-Name: read_note\r\n"
        );
        Self { stream: BufReader::new(stream), head }
    }

    fn call(&mut self) -> Duration {
        let meta = json!({
            "io.modelcontextprotocol/protocolVersion": STATELESS,
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let params = json!({"name": "read_note", "arguments": {"path": "x".repeat(200)}, "_meta": meta});
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).to_string();
        let begun = Instant::now();
        let text = format!("{}Content-Length: {}\r\n\r\n{body}", self.head, body.len());
        self.stream.get_mut().write_all(text.as_bytes()).unwrap();
        let (head, body) = message(&mut self.stream).expect("an answer");
        let spent = begun.elapsed();
        assert!(head.contains(" 200 "), "{head}{}", String::from_utf8_lossy(&body));
        let answer: Value = serde_json::from_slice(&body).unwrap();
        assert!(answer["result"]["content"].is_array(), "{answer}");
        spent
    }
}

/// A server of the stateless era with one tool that reads.
fn upstream_of(stream: TcpStream) {
    stream.set_nodelay(true).unwrap();
    let mut stream = BufReader::new(stream);
    while let Some((_, body)) = message(&mut stream) {
        let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
        let result = match asked["method"].as_str().unwrap_or_default() {
            "server/discover" => json!({
                "resultType": "complete", "supportedVersions": [STATELESS], "capabilities": {"tools": {}},
                "ttlMs": 0, "cacheScope": "private",
            }),
            "tools/list" => json!({
                "resultType": "complete", "ttlMs": 0, "cacheScope": "private",
                "tools": [{
                    "name": "read_note",
                    "inputSchema": {"type": "object", "properties": {"path": {"type": "string"}}},
                }],
            }),
            _ => json!({"resultType": "complete", "content": [{"type": "text", "text": "a note"}]}),
        };
        let body = json!({"jsonrpc": "2.0", "id": asked["id"], "result": result}).to_string();
        let text = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        if stream.get_mut().write_all(text.as_bytes()).is_err() {
            return;
        }
    }
}
