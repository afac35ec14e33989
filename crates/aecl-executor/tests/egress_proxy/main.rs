//! Programs in real cages and whom they reach: through the broker, whom their action names, and nobody else.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod attacks;
mod credential;
mod machine;
mod peers;
#[path = "../../../aecl-egress/tests/broker/world.rs"]
#[allow(dead_code, reason = "the other file that shares it uses the rest")]
mod world;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aecl_egress::vault::Vault;
use aecl_executor::connectors::process::ProcessConnector;
use aecl_executor::{Call, CallResult, Connector, DryRun, Executor, Reconciled, fake};
use aecl_kernel::base::traffic::Traffic;
use aecl_kernel::define::connector::ConnectorSpec;
use aecl_kernel::define::connector::process::ProcessSpec;
use aecl_kernel::define::isolation::IsolationTier;
use serde_json::{Value, json};
use world::{OurNames, plain, target, tls};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello";

/// Runs every other test of this file again, as nobody. Without root all of them have just run so.
#[test]
fn the_way_out_is_the_same_for_an_ordinary_user() {
    if std::process::Command::new("id").arg("-u").output().unwrap().stdout != b"0\n" {
        return;
    }
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::Builder::new().prefix("aecl-user").tempdir_in("/tmp").unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    let me = dir.path().join("tests");
    std::fs::copy(std::env::current_exe().unwrap(), &me).unwrap();
    let output = std::process::Command::new("setpriv")
        .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
        .arg(me)
        .args(["--skip", "the_way_out_is_the_same_for_an_ordinary_user"])
        .env("TMPDIR", dir.path())
        .env("HOME", dir.path())
        .current_dir(dir.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(!said.contains("running 0 tests"), "{said}");
}

/// A program and the world behind its broker: these names are on loopback.
struct House {
    connector: ProcessConnector,
    names: Arc<OurNames>,
}

impl House {
    async fn new(names: &[&str]) -> Self {
        let our = Arc::new(OurNames::default());
        let loopback: IpAddr = "127.0.0.1".parse().unwrap();
        for name in names {
            our.answers.lock().unwrap().insert((*name).into(), vec![vec![loopback]]);
        }
        let connector = ProcessConnector::new(our.clone(), Vault::default());
        connector.find_cages(&[], Some(&["native".to_owned()])).await.unwrap();
        Self { connector, names: our }
    }

    fn asked(&self) -> Vec<String> {
        self.names.asked.lock().unwrap().clone()
    }

    /// What a Python program says, and the record.
    async fn python(&self, script: &str, more: &Value) -> (String, Traffic) {
        let call = call(&["python3", "-c", script], more);
        let told = match self.connector.perform(&call).await {
            CallResult::Done { output, .. } => serde_json::from_slice::<Value>(&output).unwrap(),
            other => panic!("{other:?}"),
        };
        (told["stdout"].as_str().unwrap().to_owned(), call.traffic.get().cloned().unwrap_or_default())
    }
}

/// A call of a program with these keys beside `argv`.
fn call(argv: &[&str], more: &Value) -> Call {
    let mut spec = more.clone();
    // A word with braces goes in as an argument, so that none of them is a placeholder.
    let word =
        |(n, word): (usize, &&str)| if word.contains('{') { format!("{{w{n}}}") } else { (*word).to_owned() };
    spec["argv"] = argv.iter().enumerate().map(word).collect();
    spec["limits"] = json!({ "memory_max_mib": null });
    let spec: ProcessSpec = serde_json::from_value(spec).unwrap();
    let words: serde_json::Map<String, Value> =
        argv.iter().enumerate().map(|(n, word)| (format!("w{n}"), json!(word))).collect();
    let mut call = fake::call("run", &Value::Object(words).to_string());
    call.connector = ConnectorSpec::Process(Box::new(spec));
    call.timeout_ms = 60_000;
    call.tier = Some(IsolationTier::Native);
    call
}

fn sh(line: &str, more: &Value) -> Call {
    call(&["sh", "-c", line], more)
}

fn rows(traffic: &Traffic) -> Vec<String> {
    let mut rows: Vec<String> = traffic
        .connections
        .iter()
        .map(|c| format!("{} {} x{} {}", c.method, c.to, c.times, c.code.as_deref().unwrap_or("ended")))
        .collect();
    rows.sort();
    rows
}

#[tokio::test]
async fn a_program_reaches_whom_its_action_names_and_every_connection_is_told() {
    let web = target(OK);
    let house = House::new(&["web.test", "evil.test"]).await;
    let rules = json!({ "egress": [plain("web.test", web.port, &["GET"])] });
    let line = format!(
        "env | grep -i proxy | sort; curl -sS http://web.test:{0}/x; echo; curl -s http://evil.test:{0}/; \
         curl -sS https://evil.test/ || true",
        web.port
    );
    let call = sh(&line, &rules);
    let CallResult::Done { output, .. } = house.connector.perform(&call).await else { panic!() };
    let told: Value = serde_json::from_slice(&output).unwrap();
    let (said, talk) = (told["stdout"].as_str().unwrap(), told["stderr"].as_str().unwrap());
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"] {
        assert!(said.contains(&format!("{name}=http://127.0.0.1:3128\n")), "{said}");
    }
    assert!(said.contains("\nhello\n") && !said.to_lowercase().contains("no_proxy="), "{said}");
    assert!(said.contains("is not on the list") && said.contains("add it to the list"), "{said}");
    assert!(talk.contains("403"), "{talk}");
    let traffic = call.traffic.get().unwrap();
    assert_eq!(
        rows(traffic),
        [
            "CONNECT evil.test:443 x1 egress_denied".to_owned(),
            format!("GET evil.test:{} x1 egress_denied", web.port),
            format!("GET web.test:{} x1 ended", web.port)
        ]
    );
    assert_eq!((traffic.let_through, traffic.refused, traffic.acted), (1, 2, false));
    let passed = traffic.connections.iter().find(|c| c.let_through).unwrap();
    assert_eq!(passed.address.as_deref(), Some(format!("127.0.0.1:{}", web.port).as_str()));
    assert_eq!((passed.in_bytes, passed.out_bytes), (OK.len() as u64, web.got()[0].len() as u64));
    assert_eq!(house.asked(), ["web.test"], "what is refused is not looked up");
    assert!(call.cage.get().unwrap().starts_with("native: "));
}

#[tokio::test]
async fn without_rules_there_is_no_way_out_and_nothing_to_tell() {
    let call = sh(
        "env | grep -i proxy; (exec 3<>/dev/tcp/127.0.0.1/3128) 2>&1; curl -sS http://web.test/ 2>&1; true",
        &json!({}),
    );
    let CallResult::Done { output, .. } = House::new(&["web.test"]).await.connector.perform(&call).await
    else {
        panic!()
    };
    let told = String::from_utf8_lossy(&output).into_owned();
    assert!(!told.contains("3128\""), "{told}");
    assert!(told.contains("Could not resolve"), "{told}");
    assert!(call.traffic.get().is_none());
}

#[tokio::test]
async fn a_program_that_ends_takes_its_connections_with_it() {
    let web = target(OK);
    let house = House::new(&["web.test"]).await;
    let rules = json!({ "egress": [tls("web.test", web.port)] });
    // Opens a tunnel, sends a hello, and leaves both to a child that would hold them for a minute.
    let hello: String = world::hello("web.test").iter().map(|b| format!("{b:02x}")).collect();
    let script = format!(
        "import os,socket,time\ns=socket.create_connection(('127.0.0.1',3128))\n\
         s.sendall(b'CONNECT web.test:{} HTTP/1.1\\r\\n\\r\\n')\nprint(s.recv(99).split(b'\\r')[0].decode())\n\
         s.sendall(bytes.fromhex('{hello}'))\ntime.sleep(0.1)\n",
        web.port
    );
    let begun = Instant::now();
    let (said, traffic) = house.python(&script, &rules).await;
    assert_eq!(said, "HTTP/1.1 200 Connection established\n");
    assert!(begun.elapsed() < Duration::from_secs(20));
    assert_eq!((traffic.let_through, traffic.acted), (1, true));
    assert_eq!(traffic.out_bytes, hello.len() as u64 / 2);
}

#[tokio::test]
async fn what_was_ended_after_it_had_reached_others_is_unknown() {
    let web = target(OK);
    let house = House::new(&["web.test"]).await;
    let rules = json!({ "egress": [plain("web.test", web.port, &["GET", "POST"])] });
    let asks = |method: &str, then: &str| {
        sh(&format!("curl -s -X {method} http://web.test:{}/; {then}", web.port), &rules)
    };
    let late = |mut call: Call| {
        call.timeout_ms = 3_000;
        call
    };
    for (call, expected) in [
        (late(asks("POST", "sleep 60")), "unknown process_timeout"),
        (late(asks("GET", "sleep 60")), "failed process_timeout"),
        (asks("POST", "exit 3"), "failed perhaps process_exit"),
        (asks("GET", "exit 3"), "failed process_exit"),
        (asks("POST", "kill -9 $$"), "unknown process_signal"),
        (sh("exit 3", &rules), "failed process_exit"),
    ] {
        let came = match house.connector.perform(&call).await {
            CallResult::Failed { code, may_have_acted: true, .. } => format!("failed perhaps {code}"),
            CallResult::Failed { code, .. } => format!("failed {code}"),
            CallResult::Unknown { code, message, .. } => {
                assert!(message.contains("had reached others"), "{message}");
                format!("unknown {code}")
            }
            CallResult::Done { .. } => "done".into(),
        };
        assert_eq!(came, expected);
    }
    // Cancelled in the middle: what it did there has happened.
    let call = asks("POST", "sleep 60");
    let (cancel, seen) = (call.cancel.clone(), web.got.clone());
    let before = seen.lock().unwrap().len();
    tokio::spawn(async move {
        while seen.lock().unwrap().len() == before || seen.lock().unwrap()[before].is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        tokio::time::sleep(Duration::from_millis(600)).await;
        cancel.cancel();
    });
    let came = house.connector.perform(&call).await;
    let CallResult::Unknown { code: "process_cancelled", .. } = came else { panic!("{came:?}") };
    assert_eq!(call.traffic.get().unwrap().let_through, 1);
    let Reconciled::StillUnknown { message } = house.connector.reconcile(&call).await else { panic!() };
    assert!(message.contains("`web.test`"), "{message}");
    assert_eq!(house.connector.reconcile(&sh("true", &json!({}))).await, Reconciled::NotDone);
    let DryRun::Would { output, .. } = house.connector.dry_run(&call).await else { panic!() };
    let would: Value = serde_json::from_slice(&output).unwrap();
    assert_eq!(would["egress"][0]["host"], "web.test");
}

/// Case 71: caps of one call, all its connections together.
#[tokio::test]
async fn case_71_the_caps_of_a_call_are_kept() {
    let web = target(OK);
    let house = House::new(&["web.test"]).await;
    let rules = json!({
        "egress": [plain("web.test", web.port, &["POST"])],
        "egress_limits": { "out_bytes_max": 100_000, "connections": 3 },
    });
    let line = format!(
        "head -c 60000 /dev/zero > /tmp/z; for n in 1 2 3 4; do curl -s -o /dev/null -w '%{{http_code}}\n' --data-binary \
         @/tmp/z http://web.test:{}/; done; true",
        web.port
    );
    let call = sh(&line, &rules);
    let CallResult::Done { output, .. } = house.connector.perform(&call).await else { panic!() };
    let told: Value = serde_json::from_slice(&output).unwrap();
    assert_eq!(told["stdout"], "200\n000\n000\n000\n", "{told}");
    let traffic = call.traffic.get().unwrap();
    assert_eq!(traffic.let_through, 3, "the fourth met a closed door: {traffic:?}");
    assert!(traffic.out_bytes <= 100_000, "{traffic:?}");
    assert!(traffic.connections.iter().any(|c| c.code.as_deref() == Some("egress_limit")), "{traffic:?}");
}

/// Reads a connector and looks whether it can be meant.
fn checked(written: &Value) -> Result<(), String> {
    let spec = ConnectorSpec::read(written).map_err(|e| e.to_string())?;
    Executor::check(&spec.unwrap())
}

#[test]
fn rules_that_cannot_be_meant_are_refused_when_they_are_read() {
    for (keys, said) in [
        (json!({ "egress": [{ "host": "10.0.0.1" }] }), "`egress`: `10.0.0.1` is no host"),
        (json!({ "egress": [{ "host": "*" }] }), "`egress`: `*` is no host"),
        (json!({ "egress": [{ "host": "a.b", "port": 0 }] }), "nonzero"),
        (json!({ "egress": [{ "host": "a.b", "methods": ["get"] }] }), "capital letters"),
        (json!({ "egress": [{ "host": "a.b", "hots": "x" }] }), "unknown field `hots`"),
        (json!({ "egress": [{ "host": "a.b" }], "env": { "https_proxy": "x" } }), "`env` sets `https_proxy`"),
        (json!({ "egress_limits": { "connections": 0 } }), "leave `egress` empty"),
        (json!({ "egress_limits": { "conections": 1 } }), "unknown field `conections`"),
    ] {
        let mut spec = keys.clone();
        (spec["kind"], spec["argv"]) = (json!("process"), json!(["true"]));
        let refused = checked(&spec).unwrap_err();
        assert!(refused.contains(said), "{keys}: {refused}");
    }
    let fine = json!({ "kind": "process", "argv": ["true"], "egress": [{ "host": "a.b" }], "env": { "NO_PROXY": "localhost" } });
    checked(&fine).unwrap();
}
