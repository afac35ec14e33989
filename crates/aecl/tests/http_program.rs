//! `aecl serve` as a process: how it starts, reloads, gives way and ends.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise, and its helpers are not marked as tests"
)]

mod common;

use aecl::cli::{Common, client};
use aecl_gate::config::Home;
use serde_json::json;
use std::io::Read as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

fn aecl(home: &Home) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_aecl"));
    command.arg("--dir").arg(home.dir()).env_remove("AECL_KEY").env_remove("AECL_DIR");
    command
}

fn common(home: &Home) -> Common {
    Common::on(home.dir())
}

/// A server of its own, which does not outlive the test.
struct Server(Child);

impl Server {
    fn start(home: &Home) -> Self {
        let socket = home.data().join("aecl.sock");
        let child = aecl(home).args(["serve", "--log", "json"]).stderr(Stdio::piped()).spawn().unwrap();
        until("it listens", || std::os::unix::net::UnixStream::connect(&socket).is_ok());
        Self(child)
    }

    /// With what it says of where it is.
    fn told(home: &Home, more: &[&str]) -> (Self, serde_json::Value) {
        let mut command = aecl(home);
        command.args(["--json", "serve"]).args(more).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut server = Self(command.spawn().unwrap());
        let mut line = String::new();
        let mut out = std::io::BufReader::new(server.0.stdout.take().unwrap());
        std::io::BufRead::read_line(&mut out, &mut line).unwrap();
        (server, serde_json::from_str(&line).unwrap())
    }

    fn signal(&self, name: &str) {
        let sent =
            Command::new("kill").arg(format!("-{name}")).arg(self.0.id().to_string()).status().unwrap();
        assert!(sent.success());
    }

    /// Exit code and what it said.
    fn end(mut self) -> (Option<i32>, String) {
        let mut said = String::new();
        self.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        (self.0.wait().unwrap().code(), said)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what} does not come true");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[tokio::test]
async fn a_signal_ends_it_cleanly_and_one_process_owns_a_directory() {
    let dir = tempfile::tempdir().unwrap();
    let (home, keys) = common::home(dir.path(), json!({}));
    let server = Server::start(&home);
    let reached = client::connect(&common(&home)).await.unwrap();
    assert!(reached.served_elsewhere());
    // Whoever may open the socket may open runs, but is no person and no agent.
    let opened = reached.post("/v1/runs", &json!({"agent": "payer", "goal": "x"})).await.unwrap();
    let token = opened["token"].as_str().unwrap();
    let body = json!({"action": "payments.transfer", "arguments": {"account": "a", "amount": "1", "currency": "EUR"}, "wait_s": 600});
    let refused = reached.post("/v1/actions", &body).await.unwrap_err();
    assert_eq!(refused.code.as_deref(), Some("token_invalid"));
    let refused = reached.post("/v1/kill", &json!({"scope": "all"})).await.unwrap_err();
    assert_eq!((refused.code.as_deref(), refused.message.contains("operators")), (Some("forbidden"), true));

    let second = aecl(&home).arg("serve").output().unwrap();
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(!second.status.success() && said.contains("in use by process"), "{said}");

    // Somebody waits for a person when the signal comes; it is answered.
    let waiting = reached.post_as(token, "/v1/actions", &body);
    let ending = async {
        while reached.get("/v1/approvals").await.unwrap()["approvals"].as_array().unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        server.signal("TERM");
    };
    let (answer, ()) = tokio::join!(waiting, ending);
    assert_eq!(answer.unwrap()["state"], "pending");
    let (code, said) = tokio::task::spawn_blocking(move || server.end()).await.unwrap();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("Approve at") && said.contains("\"path\":\"/v1/actions\""), "{said}");
    for secret in [token, keys.olga.as_str(), "account"] {
        assert!(!said.contains(secret), "the log holds no secrets and no bodies");
    }
    assert!(!home.data().join("aecl.sock").exists());
}

#[tokio::test]
async fn what_is_underway_when_the_signal_comes_is_concluded() {
    let dir = tempfile::tempdir().unwrap();
    let (home, _) = common::home(dir.path(), json!({}));
    let server = Server::start(&home);
    let reached = client::connect(&common(&home)).await.unwrap();
    let opened = reached.post("/v1/runs", &json!({"agent": "payer", "goal": "x"})).await.unwrap();
    let token = opened["token"].as_str().unwrap();
    // The target keeps the attempt waiting.
    let world = rusqlite::Connection::open(dir.path().join("world.db")).unwrap();
    world.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let body = json!({"action": "notes.write", "arguments": {"text": "a"}});
    let calling = reached.post_as(token, "/v1/actions", &body);
    let ending = async {
        let run = opened["run"].as_str().unwrap();
        let path = format!("/v1/runs/{run}");
        while reached.get(&path).await.unwrap()["calls"] != 1 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        server.signal("TERM");
        tokio::time::sleep(Duration::from_millis(300)).await;
        world.execute_batch("COMMIT").unwrap();
    };
    let (answer, ()) = tokio::join!(calling, ending);
    assert_eq!(answer.unwrap()["state"], "done", "its caller is answered");
    let (code, said) = tokio::task::spawn_blocking(move || server.end()).await.unwrap();
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(common::count(&dir.path().join("world.db"), "notes"), 1);
}

#[tokio::test]
async fn any_port_is_told_and_links_lead_to_it() {
    let dir = tempfile::tempdir().unwrap();
    let (home, _) = common::home(dir.path(), json!({"listen": "127.0.0.1:7600"}));
    let (_server, said) = Server::told(&home, &["--listen", "localhost:0"]);
    let bound: std::net::SocketAddr = said["listen"].as_str().unwrap().parse().unwrap();
    assert_ne!(bound.port(), 0);
    assert_eq!(said["approvals"], format!("http://localhost:{}/approvals", bound.port()));
    let opened = client::connect(&common(&home)).await.unwrap();
    let run = opened.post("/v1/runs", &json!({"agent": "payer", "goal": "x"})).await.unwrap();
    let body = json!({"action": "payments.transfer", "arguments": {"account": "a", "amount": "1", "currency": "EUR"}});
    let waits = opened.post_as(run["token"].as_str().unwrap(), "/v1/actions", &body).await.unwrap();
    let url = waits["approval"]["url"].as_str().unwrap();
    assert!(url.starts_with(&format!("http://localhost:{}/approvals/", bound.port())), "{waits}");
}

#[test]
fn a_doctor_finds_nothing_wrong_with_a_server_at_any_port() {
    let dir = tempfile::tempdir().unwrap();
    let (home, _) = common::home(dir.path(), json!({"listen": "127.0.0.1:0"}));
    let _server = Server::start(&home);
    let seen = aecl(&home).args(["--json", "doctor"]).output().unwrap();
    let seen: serde_json::Value = serde_json::from_slice(&seen.stdout).unwrap();
    let address = seen["checks"].as_array().unwrap().iter().find(|c| c["what"] == "address").unwrap();
    assert_eq!(address["state"], "ok", "{seen}");
}

#[test]
fn a_port_that_is_somebody_elses_is_advice_where_the_next_start_goes_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    let (first, _) = common::home(&dir.path().join("first"), json!({"listen": "127.0.0.1:0"}));
    let (_server, said) = Server::told(&first, &[]);
    let listen = said["listen"].as_str().unwrap();
    let doctor = |name: &str, more: serde_json::Value| {
        let (home, _) = common::home(&dir.path().join(name), more);
        let seen = aecl(&home).args(["--json", "doctor"]).output().unwrap();
        let seen: serde_json::Value = serde_json::from_slice(&seen.stdout).unwrap();
        let address = seen["checks"].as_array().unwrap().iter().find(|c| c["what"] == "address").unwrap();
        assert!(address["found"].as_str().unwrap().contains("is another AECL"), "{seen}");
        address["state"].as_str().unwrap().to_owned()
    };
    assert_eq!(doctor("second", json!({"listen": listen})), "advice");
    let behind_a_proxy = json!({"listen": listen, "public_url": "https://aecl.example"});
    assert_eq!(doctor("third", behind_a_proxy), "broken");
}

#[tokio::test]
async fn a_changed_policy_takes_effect_and_a_broken_one_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let (home, keys) = common::home(dir.path(), json!({}));
    let _server = Server::start(&home);
    let mut common = common(&home);
    common.key = Some(keys.olga.clone());
    let client = client::connect(&common).await.unwrap();
    let bundle = async || client.get("/v1/policy").await.unwrap()["bundle"].as_str().unwrap().to_owned();
    let first = bundle().await;
    let path = home.policy().join("agents/all.json");
    let text = std::fs::read_to_string(&path).unwrap();

    std::fs::write(&path, "[{").unwrap();
    let refused = client.post("/v1/reload", &json!({})).await.unwrap_err();
    assert_eq!(refused.code.as_deref(), Some("bundle_invalid"));
    assert_eq!(bundle().await, first, "the running policy stays");

    std::fs::write(&path, text.replace("\"notes.write\",", "")).unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    while bundle().await == first {
        assert!(Instant::now() < deadline, "the change is not seen");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let situation = json!({"agent": "payer", "action": "notes.write", "arguments": {"text": "a"}});
    assert_eq!(client.post("/v1/explain", &situation).await.unwrap()["decision"]["headline"], "not_allowed");
}

#[test]
fn in_the_background_it_ends_when_nobody_needs_it() {
    let dir = tempfile::tempdir().unwrap();
    let (home, _) = common::home(dir.path(), json!({}));
    let started = aecl(&home).args(["serve", "--background", "--idle-exit", "1"]).output().unwrap();
    assert!(started.status.success(), "{started:?}");
    let socket = home.data().join("aecl.sock");
    let attached = std::os::unix::net::UnixStream::connect(&socket).unwrap();
    let again = aecl(&home).args(["serve", "--background"]).output().unwrap();
    assert!(String::from_utf8_lossy(&again.stderr).contains("Already serving"));
    std::thread::sleep(Duration::from_millis(2500));
    assert!(socket.exists(), "somebody is connected");
    drop(attached);
    until("it ends", || !socket.exists());
    let log = std::fs::read_to_string(home.data().join("serve.log")).unwrap();
    assert!(log.contains("nobody was here for a while"), "{log}");
}

/// Clients start together, and each of them starts a server.
#[test]
fn of_many_that_start_at_once_one_serves_and_all_find_it() {
    let dir = tempfile::tempdir().unwrap();
    let (home, _) = common::home(dir.path(), json!({}));
    let start =
        || aecl(&home).args(["serve", "--background", "--idle-exit", "1"]).stderr(Stdio::piped()).spawn();
    let started: Vec<_> = (0..6).map(|_| start().unwrap()).collect();
    let ended: Vec<_> = started.into_iter().map(|child| child.wait_with_output().unwrap()).collect();
    let said: Vec<_> = ended.iter().map(|out| String::from_utf8_lossy(&out.stderr).into_owned()).collect();
    assert!(ended.iter().all(|out| out.status.success()), "{said:#?}");
    assert_eq!(said.iter().filter(|text| text.starts_with("Serving")).count(), 1, "{said:#?}");
    until("it ends", || !home.data().join("aecl.sock").exists());
}

/// Keys that are sent to the configured address would be somebody else's.
#[test]
fn in_the_background_it_says_where_it_is_and_whose_the_configured_address_is() {
    let dir = tempfile::tempdir().unwrap();
    let (home, _) = common::home(dir.path(), json!({}));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let configured = taken.local_addr().unwrap().to_string();
    let text = std::fs::read_to_string(home.config()).unwrap();
    std::fs::write(home.config(), text.replace("127.0.0.1:0", &configured)).unwrap();
    let started = aecl(&home).args(["serve", "--background", "--idle-exit", "1"]).output().unwrap();
    let said = String::from_utf8_lossy(&started.stderr);
    assert!(started.status.success(), "{said}");
    let at = said.split("Serving http://").nth(1).unwrap().split(' ').next().unwrap().to_owned();
    assert_ne!(at, configured);
    assert!(
        said.contains(&format!("{configured} is taken by somebody else; keys belong to {at} only.")),
        "{said}"
    );
    std::net::TcpStream::connect(&at).unwrap();
    until("it ends", || !home.data().join("aecl.sock").exists());
}

#[test]
fn what_keeps_it_from_starting_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let missing = Home::new(dir.path().join("none"));
    let said = |home: &Home, args: &[&str]| {
        let out = aecl(home).args(args).output().unwrap();
        assert_eq!(out.status.code(), Some(1));
        String::from_utf8_lossy(&out.stderr).into_owned()
    };
    assert!(said(&missing, &["serve"]).contains("hint: `aecl init`"));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (home, _) = common::home(dir.path(), json!({}));
    assert!(said(&home, &["serve", "--listen", &address]).contains("hint: choose another with `--listen`"));
    std::fs::write(home.policy().join("agents/all.json"), "[{").unwrap();
    let text = said(&home, &["serve", "--background"]);
    assert!(text.contains("agents/all.json") && text.contains("hint:"), "{text}");
}

/// Somebody leaves after their yes and before it is used, while nobody serves.
#[tokio::test]
async fn who_is_removed_from_the_configuration_gets_nothing_done_by_an_earlier_yes() {
    let dir = tempfile::tempdir().unwrap();
    let (home, keys) = common::home(dir.path(), json!({}));
    let paid = || common::count(&dir.path().join("world.db"), "payments");
    let server = Server::start(&home);
    let reached = client::connect(&common(&home)).await.unwrap();
    let opened = reached.post("/v1/runs", &json!({"agent": "payer", "goal": "x"})).await.unwrap();
    let token = opened["token"].as_str().unwrap();
    let body = json!({"action": "payments.transfer", "arguments": {"account": "a", "amount": "1", "currency": "EUR"}});
    let pending = reached.post_as(token, "/v1/actions", &body).await.unwrap();
    let id = pending["approval"]["id"].as_str().unwrap().to_owned();
    let approve = |key: &str| {
        let done = aecl(&home).args(["approvals", "approve", &id]).env("AECL_KEY", key).output().unwrap();
        (done.status.success(), String::from_utf8_lossy(&done.stderr).into_owned())
    };
    let (agreed, said) = approve(&keys.finn);
    assert!(agreed, "{said}");
    server.signal("TERM");
    let (code, said) = tokio::task::spawn_blocking(move || server.end()).await.unwrap();
    assert_eq!(code, Some(0), "{said}");

    let mut config: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(home.config()).unwrap()).unwrap();
    config["people"].as_array_mut().unwrap().retain(|person| person["id"] != "finn");
    std::fs::write(home.config(), config.to_string()).unwrap();
    let _server = Server::start(&home);
    let reached = client::connect(&common(&home)).await.unwrap();
    let listed = reached.get("/v1/approvals").await.unwrap()["approvals"][0].clone();
    assert_eq!((&listed["state"], &listed["id"]), (&json!("pending"), &json!(id)), "{listed}");
    assert!(listed["votes"][0]["lapsed"].as_str().unwrap().contains("not among the people"), "{listed}");
    let again = reached.post_as(token, "/v1/actions", &body).await.unwrap();
    assert_eq!((&again["state"], paid()), (&json!("pending"), 0), "{again}");
    let codes = |of: &serde_json::Value| of["decision"]["findings"].to_string();
    assert!(codes(&again).contains("approval_lapsed"), "{again}");
    let card = aecl(&home).args(["approvals", "show", &id]).env("AECL_KEY", &keys.fay).output().unwrap();
    let card = String::from_utf8_lossy(&card.stdout).into_owned();
    assert!(card.contains("finn has agreed") && card.contains("does not count any more"), "{card}");

    let (agreed, said) = approve(&keys.finn);
    assert!(!agreed && said.contains("token_invalid") || said.contains("not known"), "{said}");
    let (agreed, said) = approve(&keys.fay);
    assert!(agreed, "{said}");
    let done = reached.post_as(token, "/v1/actions", &body).await.unwrap();
    assert_eq!((&done["state"], paid()), (&json!("done"), 1), "{done}");
    let verified = aecl(&home).args(["log", "verify"]).output().unwrap();
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
}

/// Rights are those of now, also of a stream that was opened before.
#[tokio::test]
async fn a_stream_tells_nothing_to_whoever_may_not_see_it_any_more() {
    let dir = tempfile::tempdir().unwrap();
    let (home, keys) = common::home(dir.path(), json!({"listen": "127.0.0.1:0"}));
    let (_server, said) = Server::told(&home, &[]);
    let url = format!("http://{}", said["listen"].as_str().unwrap());
    let mut as_olga = common(&home);
    as_olga.key = Some(keys.olga.clone());
    let (reached, olga) =
        (client::connect(&common(&home)).await.unwrap(), client::connect(&as_olga).await.unwrap());
    let opened = reached.post("/v1/runs", &json!({"agent": "payer", "goal": "x"})).await.unwrap();
    let body = json!({"action": "payments.transfer", "arguments": {"account": "a", "amount": "1", "currency": "EUR"}});
    let propose =
        async || reached.post_as(opened["token"].as_str().unwrap(), "/v1/actions", &body).await.unwrap();
    let id = propose().await["approval"]["id"].as_str().unwrap().to_owned();
    let groups = async |of_finn: &[&str]| {
        let text = std::fs::read_to_string(home.config()).unwrap();
        let mut config: serde_json::Value = serde_json::from_str(&text).unwrap();
        let people = config["people"].as_array_mut().unwrap();
        people.iter_mut().find(|person| person["id"] == "finn").unwrap()["groups"] = json!(of_finn);
        std::fs::write(home.config(), config.to_string()).unwrap();
        olga.post("/v1/reload", &json!({})).await.unwrap();
    };
    let http = reqwest::Client::new();
    let stream = http.get(format!("{url}/v1/events?topics=inbox,approval:{id}")).bearer_auth(&keys.finn);
    let mut stream = stream.send().await.unwrap();
    assert_eq!(stream.status(), 200);
    assert!(stream.chunk().await.unwrap().is_some(), "it listens");

    groups(&["others"]).await;
    let approved =
        aecl(&home).args(["approvals", "approve", &id]).env("AECL_KEY", &keys.fay).output().unwrap();
    assert!(approved.status.success(), "{}", String::from_utf8_lossy(&approved.stderr));
    let note = http.get(format!("{url}/v1/ledger/checkpoint")).bearer_auth(&keys.olga).send().await.unwrap();
    let note = note.text().await.unwrap();
    let size: u64 = note.lines().nth(1).unwrap_or_else(|| panic!("{note}")).parse().unwrap();

    groups(&["finance"]).await;
    assert_eq!(propose().await["state"], "done", "the yes is used");
    let heard = stream.chunk().await.unwrap().unwrap();
    let heard = String::from_utf8(heard.to_vec()).unwrap();
    let first: u64 = heard
        .lines()
        .find_map(|line| line.strip_prefix("id: "))
        .unwrap_or_else(|| panic!("{heard}"))
        .parse()
        .unwrap();
    assert!(first >= size, "what happened meanwhile was told: {heard}, {size}");
}
