//! Crowds: more connections, and more bytes, than there is room for. Others are answered all the same.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise, and its helpers are not marked as tests"
)]

mod common;

use aecl_kernel::policy::problem::Source;
use common::{Served, actions, agents, count};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Barrier;

/// Far longer than anything takes here; only so that a test which waits for ever says so.
const FOREVER: Duration = Duration::from_secs(60);

/// Files that this process may have open: both ends of each connection are here.
fn many_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let wanted = maximum.map_or(8192, |maximum| maximum.min(8192));
    assert!(wanted >= 4096, "this test needs 4096 open files, and only {wanted} are allowed");
    setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum }).unwrap();
}

async fn in_time<T>(what: &str, doing: impl Future<Output = T>) -> T {
    tokio::time::timeout(FOREVER, doing).await.unwrap_or_else(|_| panic!("never: {what}"))
}

/// One request over a connection that stays, and the status of the answer.
async fn asks(stream: &mut TcpStream, token: &str) -> u16 {
    let body = json!({"action": "mail.read", "arguments": {"id": "m1"}}).to_string();
    let head = format!(
        "POST /v1/actions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).await.unwrap();
    let mut said = Vec::new();
    // The answer is JSON, so it is whole when its last bracket is there.
    while !said.ends_with(b"}") {
        let n = stream.read_buf(&mut said).await.unwrap();
        assert!(n > 0, "closed after `{}`", String::from_utf8_lossy(&said));
    }
    String::from_utf8_lossy(&said)["HTTP/1.1 ".len()..][..3].parse().unwrap()
}

/// The value of a line of `/metrics`.
async fn metric(s: &Served, name: &str) -> u64 {
    let text = s.get(&s.keys.olga, "/metrics").await.text;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
}

/// A payer who may transfer without being asked about, and has so many euros a day.
async fn with_budget(limit: &str) -> Served {
    let policy = |world: &Path| {
        let mut agents = agents();
        agents[0]["allowed_actions"] = json!(["payments.transfer"]);
        agents[0]["context_rules"] = json!({});
        agents[0]["auto_approve_threshold"] = json!("0.90");
        agents[0]["budgets"] = json!([{"unit": "EUR", "limit": limit, "per": "day"}]);
        let source = |path: &str, value: Value| Source { path: path.into(), text: value.to_string() };
        vec![source("actions/all.json", actions(world)), source("agents/all.json", agents)]
    };
    // All of them come from one address, and none has said yet who it is.
    Served::of(json!({"limits": {"strangers_max": 512}}), policy).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_clients_at_once_spend_exactly_the_budget() {
    many_files();
    let s = Arc::new(with_budget("100").await);
    // Noon: a day does not end while they pay.
    s.later(86_400 + 43_200 - (aecl_gate::clock::wall().0 / 1000).rem_euclid(86_400));
    let mut tokens = Vec::new();
    for _ in 0..200 {
        tokens.push(s.run("payer").await.1);
    }
    let ready = Arc::new(Barrier::new(tokens.len()));
    let clients = tokens.into_iter().map(|token| {
        let (s, ready) = (s.clone(), ready.clone());
        tokio::spawn(async move {
            // A connection of its own, as another process has.
            let http = reqwest::Client::new();
            let call = json!({"action": "payments.transfer",
                "arguments": {"account": "acc-9", "amount": "0.70", "currency": "EUR"}});
            ready.wait().await;
            let (mut paid, mut calls) = (0, 0);
            while calls < 2 {
                let request = http.post(format!("http://{}/v1/actions", s.address)).bearer_auth(&token);
                let request = request.header("content-type", "application/json").body(call.to_string());
                let told = request.send().await.unwrap().text().await.unwrap();
                let told: Value = serde_json::from_str(&told).unwrap();
                match (told["state"].as_str(), told["code"].as_str()) {
                    (Some("done"), _) => (paid, calls) = (paid + 1, calls + 1),
                    (Some("blocked"), Some("budget_exceeded")) => calls += 1,
                    // So many are underway of one agent; nothing was proposed.
                    (None, Some("overloaded")) => tokio::time::sleep(Duration::from_millis(20)).await,
                    _ => panic!("{told}"),
                }
            }
            paid
        })
    });
    let clients: Vec<_> = clients.collect();
    let mut paid = 0;
    for client in clients {
        paid += in_time("an answer for each", client).await.unwrap();
    }
    // 142 times 0.70 is 99.40; one more would be 100.10.
    assert_eq!((paid, count(&s.world, "payments")), (142, 142));
}

#[tokio::test]
async fn half_open_connections_keep_nobody_out() {
    many_files();
    // Patience enough that no connection ends by itself while we look.
    let s = Served::with(json!({"limits": {"receive_ms_max": 600_000, "head_ms_max": 600_000}})).await;
    let (_, token) = s.run("payer").await;
    let mut kept = TcpStream::connect(s.address).await.unwrap();
    assert_eq!(in_time("a first answer", asks(&mut kept, &token)).await, 200);
    let mut crowd = Vec::new();
    for n in 0..1_100 {
        let mut stream = in_time("a connection", TcpStream::connect(s.address)).await.unwrap();
        // Some say nothing at all, the others half of something.
        if n % 2 == 0 {
            drop(stream.write_all(b"POST /v1/actions HTTP/1.1\r\nHost: localhost\r\nX-Slow: ").await);
        }
        crowd.push(stream);
    }
    // From the same address: there is none that tells them apart.
    let mut new = in_time("a new connection", TcpStream::connect(s.address)).await.unwrap();
    assert_eq!(in_time("an answer on it", asks(&mut new, &token)).await, 200);
    assert_eq!(in_time("an answer on an old one", asks(&mut kept, &token)).await, 200);
    assert!(metric(&s, "aecl_connections_gave_way_total").await >= 1_102 - 1_024);
    assert!(metric(&s, "aecl_connections").await <= 1_024);
}

#[tokio::test]
async fn a_connection_that_asks_nothing_is_closed_before_one_that_rests() {
    let s = Served::with(json!({"limits": {"receive_ms_max": 600_000, "head_ms_max": 300}})).await;
    let (_, token) = s.run("payer").await;
    let mut kept = TcpStream::connect(s.address).await.unwrap();
    assert_eq!(in_time("a first answer", asks(&mut kept, &token)).await, 200);
    let mut half = TcpStream::connect(s.address).await.unwrap();
    half.write_all(b"GET /healthz HTTP/1.1\r\nHost: ").await.unwrap();
    let mut said = Vec::new();
    in_time("the end of the other", half.read_to_end(&mut said)).await.unwrap();
    assert_eq!(said, b"");
    assert_eq!(in_time("an answer after a rest", asks(&mut kept, &token)).await, 200);
}

/// Begins a proposal of so many bytes and sends all but its end.
async fn begun(s: &Served, token: &str, length: usize) -> TcpStream {
    let mut stream = TcpStream::connect(s.address).await.unwrap();
    let head = format!(
        "POST /v1/actions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&note(length)[..length - 1]).await.unwrap();
    stream
}

/// A proposal of exactly so many bytes.
fn note(length: usize) -> Vec<u8> {
    let empty = json!({"action": "notes.write", "arguments": {"text": ""}}).to_string();
    let text = "x".repeat(length - empty.len());
    json!({"action": "notes.write", "arguments": {"text": text}}).to_string().into_bytes()
}

#[tokio::test]
async fn bodies_underway_keep_to_their_limit() {
    let s = Served::with(json!({"limits": {"bodies_bytes_max": 8_000_000, "request_bytes_max": 1_000_000}}))
        .await;
    let ((_, payer), (_, reader)) = (s.run("payer").await, s.run("reader").await);
    let underway = async |bytes: u64| {
        in_time("so many bytes underway", async {
            while metric(&s, "aecl_request_bytes_underway").await != bytes {
                tokio::task::yield_now().await;
            }
        })
        .await;
    };
    // Announced and not sent, it weighs nothing.
    let mut announced = Vec::new();
    for _ in 0..20 {
        let mut stream = TcpStream::connect(s.address).await.unwrap();
        let head = format!(
            "POST /v1/actions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {payer}\r\n\
             Content-Type: application/json\r\nContent-Length: 900000\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        announced.push(stream);
    }
    let small = String::from_utf8(note(200)).unwrap();
    assert_eq!(s.post_text(&payer, "/v1/actions", &small).await.short(), "200 done -");
    // A quarter is one caller's: two of 900,000 bytes fit, a third does not.
    let mut first = begun(&s, &payer, 900_000).await;
    let second = begun(&s, &payer, 900_000).await;
    underway(2 * 899_999).await;
    let third = s.post_text(&payer, "/v1/actions", std::str::from_utf8(&note(900_000)).unwrap()).await;
    assert_eq!(third.short(), "429 overloaded");
    assert_eq!(third.headers["retry-after"], "1");
    assert!(third.text.contains("2000000 bytes"), "{}", third.text);
    let other = s.post_text(&reader, "/v1/actions", std::str::from_utf8(&note(900_000)).unwrap()).await;
    assert_eq!(other.short(), "200 blocked not_allowed", "another caller has a share of its own");
    // What is concluded weighs nothing any more.
    first.write_all(b"}").await.unwrap();
    let mut said = Vec::new();
    in_time("an answer", first.read_to_end(&mut said)).await.unwrap();
    assert!(said.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&said));
    underway(899_999).await;
    drop(second);
    underway(0).await;
}

#[tokio::test]
async fn many_large_calls_at_once_are_done_or_refused() {
    let s = Served::start().await;
    let (_, token) = s.run("payer").await;
    let body = String::from_utf8(note(1_900_000)).unwrap();
    let calls = (0..150).map(|_| s.post_text(&token, "/v1/actions", &body));
    let replies = in_time("150 answers", futures_util::future::join_all(calls)).await;
    let mut counts = std::collections::BTreeMap::<String, usize>::new();
    for reply in &replies {
        *counts.entry(reply.short()).or_default() += 1;
    }
    let (done, refused) = (counts.remove("200 done -"), counts.remove("429 overloaded"));
    assert_eq!(counts, [].into(), "nothing else comes of it");
    assert!(done.is_some(), "of 150 at once none got through, {refused:?} were refused");
    assert_eq!(metric(&s, "aecl_request_bytes_underway").await, 0);
    let again = s.post_text(&token, "/v1/actions", &body).await;
    assert_eq!(again.json()["state"], Value::from("done"), "{}", again.text);
}
