//! A broker on a listener of ours, loopback servers behind names of ours, and a record of what was told.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aecl_egress::broker::{
    Allow, AllowList, Broker, ConnectionEnd, ConnectionOpening, ConnectionOutcome, ConnectionSink, Limits,
};
use aecl_egress::egress::Names;
use async_trait::async_trait;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// Names of ours. Each look-up takes the next answer of its name; the last one stays.
#[derive(Default)]
pub struct OurNames {
    pub answers: Mutex<BTreeMap<String, Vec<Vec<IpAddr>>>>,
    pub asked: Mutex<Vec<String>>,
}

impl Names for OurNames {
    fn addresses(&self, host: String) -> BoxFuture<'static, std::io::Result<Vec<IpAddr>>> {
        self.asked.lock().unwrap().push(host.clone());
        let mut answers = self.answers.lock().unwrap();
        let found =
            answers.get_mut(&host).map(|list| if list.len() > 1 { list.remove(0) } else { list[0].clone() });
        Box::pin(async move { found.ok_or_else(|| std::io::Error::other("no such name")) })
    }
}

/// What was told.
#[derive(Default)]
pub struct Record {
    pub openings: Mutex<Vec<ConnectionOpening>>,
    pub ended: Mutex<Vec<ConnectionEnd>>,
    pub full: Mutex<bool>,
}

#[async_trait]
impl ConnectionSink for Record {
    async fn opening(&self, connection: &ConnectionOpening) -> Result<(), String> {
        if *self.full.lock().unwrap() {
            return Err("the disk is full".into());
        }
        self.openings.lock().unwrap().push(connection.clone());
        Ok(())
    }
    async fn ended(&self, connection: &ConnectionEnd) {
        self.ended.lock().unwrap().push(connection.clone());
    }
}

pub struct World {
    pub names: Arc<OurNames>,
    pub record: Arc<Record>,
    pub proxy: SocketAddr,
    pub stop: CancellationToken,
    pub serving: tokio::task::JoinHandle<std::io::Result<()>>,
}

/// Short, so that what waits for them does not wait long.
pub fn limits() -> Limits {
    Limits {
        at_once: 64,
        connections: 10_000,
        head_bytes_max: 16 << 10,
        head_ms: 300,
        connect_ms: 1_000,
        idle_ms: 1_000,
        connection_ms: 1_200_000,
        out_bytes_max: 64 << 20,
        in_bytes_max: 1 << 30,
    }
}

impl World {
    /// A broker with this list; `*.test` names that are given are on loopback.
    pub fn new(list: Value, limits: Limits, names: &[&str]) -> Self {
        let list: Vec<Allow> = list.as_array().unwrap().iter().map(allow).collect();
        let our = Arc::new(OurNames::default());
        for name in names {
            our.answers.lock().unwrap().insert((*name).into(), vec![vec!["127.0.0.1".parse().unwrap()]]);
        }
        let record = Arc::new(Record::default());
        let broker = Broker::new(AllowList::new(list).unwrap(), limits, our.clone(), record.clone());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (proxy, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
        let until = stop.clone();
        let serving = tokio::spawn(async move { broker.serve(listener.into(), until).await });
        Self { names: our, record, proxy, stop, serving }
    }

    pub fn resolve(&self, name: &str, answers: &[&[&str]]) {
        let answers = answers.iter().map(|one| one.iter().map(|a| a.parse().unwrap()).collect()).collect();
        self.names.answers.lock().unwrap().insert(name.into(), answers);
    }

    /// Sends bytes to the broker and gives everything that comes back.
    pub async fn say(&self, bytes: impl Into<Vec<u8>>) -> String {
        let (proxy, bytes) = (self.proxy, bytes.into());
        tokio::task::spawn_blocking(move || exchange(proxy, &[&bytes])).await.unwrap()
    }

    /// Asks for a tunnel, and sends more once it stands. Gives everything that comes back after the first line.
    pub async fn tunnel(&self, to: &str, inside: Vec<u8>) -> (String, String) {
        let (proxy, head) = (self.proxy, format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n\r\n"));
        tokio::task::spawn_blocking(move || {
            let mut stream = connect(proxy);
            stream.write_all(head.as_bytes()).unwrap();
            let mut answer = Vec::new();
            let mut byte = [0];
            while !answer.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
                answer.push(byte[0]);
            }
            drop(stream.write_all(&inside));
            drop(stream.shutdown(std::net::Shutdown::Write));
            let mut rest = Vec::new();
            drop(stream.read_to_end(&mut rest));
            let status = String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned();
            (status, String::from_utf8_lossy(&rest).into_owned())
        })
        .await
        .unwrap()
    }

    /// How the last connection came out, once `count` have ended.
    pub async fn ended(&self, count: usize) -> ConnectionEnd {
        let late = Instant::now() + Duration::from_secs(10);
        loop {
            let last = {
                let ended = self.record.ended.lock().unwrap();
                (ended.len() >= count).then(|| ended.last().cloned()).flatten()
            };
            if let Some(last) = last {
                return last;
            }
            assert!(Instant::now() < late, "fewer than {count} have ended");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub fn asked(&self) -> Vec<String> {
        self.names.asked.lock().unwrap().clone()
    }
}

/// The code of a verdict; `allowed` if there is none.
pub fn code(ended: &ConnectionEnd) -> &'static str {
    match &ended.verdict {
        ConnectionOutcome::Allowed => "allowed",
        ConnectionOutcome::Refused { code, .. } | ConnectionOutcome::Cut { code, .. } => code,
    }
}

fn connect(proxy: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(proxy).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream
}

pub fn exchange(proxy: SocketAddr, parts: &[&[u8]]) -> String {
    let mut stream = connect(proxy);
    for part in parts {
        drop(stream.write_all(part));
    }
    let mut answer = Vec::new();
    drop(stream.read_to_end(&mut answer));
    String::from_utf8_lossy(&answer).into_owned()
}

/// A server that answers each connection with what it was told to, and remembers what it got.
pub struct Target {
    pub port: u16,
    pub got: Arc<Mutex<Vec<Vec<u8>>>>,
}

/// Reads until the other end is done or `wait` passes, then answers.
pub fn target(answer: &'static [u8]) -> Target {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (port, got) = (listener.local_addr().unwrap().port(), Arc::new(Mutex::new(Vec::new())));
    let told = got.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (Ok(mut stream), told) = (stream, told.clone()) else { return };
            std::thread::spawn(move || {
                let at = {
                    let mut told = told.lock().unwrap();
                    told.push(Vec::new());
                    told.len() - 1
                };
                stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
                let mut buffer = [0; 65_536];
                while let Ok(count) = stream.read(&mut buffer) {
                    if count == 0 {
                        break;
                    }
                    told.lock().unwrap()[at].extend_from_slice(&buffer[..count]);
                }
                drop(stream.write_all(answer));
            });
        }
    });
    Target { port, got }
}

impl Target {
    pub fn got(&self) -> Vec<String> {
        self.got.lock().unwrap().iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect()
    }
    pub fn connections(&self) -> usize {
        self.got.lock().unwrap().len()
    }
}

fn allow(rule: &Value) -> Allow {
    let methods = rule["methods"].as_array().into_iter().flatten();
    Allow {
        host: rule["host"].as_str().unwrap().into(),
        port: u16::try_from(rule["port"].as_u64().unwrap()).unwrap().try_into().unwrap(),
        methods: methods.map(|method| method.as_str().unwrap().into()).collect(),
        allow_private: rule["allow_private"] == true,
        credential: None,
    }
}

/// A rule for TLS to this name and port on loopback.
pub fn tls(host: &str, port: u16) -> Value {
    json!({"host": host, "port": port, "allow_private": true})
}

/// A rule for plain HTTP.
pub fn plain(host: &str, port: u16, methods: &[&str]) -> Value {
    json!({"host": host, "port": port, "methods": methods, "allow_private": true})
}

/// A TLS hello that names this host.
pub fn hello(name: &str) -> Vec<u8> {
    let sized =
        |width: usize, inner: &[u8]| [&(inner.len() as u64).to_be_bytes()[8 - width..], inner].concat();
    let names = sized(2, &[&[0], &sized(2, name.as_bytes())[..]].concat());
    let extensions =
        if name.is_empty() { vec![0, 43, 0, 3, 2, 3, 4] } else { [&[0, 0], &sized(2, &names)[..]].concat() };
    let body =
        [&[3, 3][..], &[7; 32], &[0], &sized(2, &[0x13, 0x01]), &[1, 0], &sized(2, &extensions)].concat();
    let message = [&[1], &sized(3, &body)[..]].concat();
    [&[22, 3, 1][..], &sized(2, &message)].concat()
}
