//! A credential is used through HTTP and through an MCP server, by targets that repeat it wherever they can; then
//! it is looked for everywhere.

use crate::program::Aecl;
use base64::Engine as _;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const WEB: &str = "cnry-web-6f1d0c4b9a7e";
/// With what JSON has to escape.
const MCP: &str = r#"cnry-mcp-"quoted"\6f1d0c4b"#;

/// Repeats its credential in a result, an error, a notification and on standard error, as it is and written in other ways.
const SERVER: &str = r#"
import hashlib, json, os, sys, urllib.parse
secret = os.environ.get("TOKEN", "")
print("starting with " + secret, file=sys.stderr, flush=True)
print("garbage " + secret, flush=True)
every = "".join("\\u%04x" % ord(c) for c in secret)
print("y" * 8180 + secret, file=sys.stderr, flush=True)
def send(message):
    print(json.dumps({"jsonrpc": "2.0", **message}).replace("EVERY", every), flush=True)
for line in sys.stdin:
    message = json.loads(line)
    id, method = message.get("id"), message.get("method")
    if method == "initialize":
        send({"id": id, "result": {"protocolVersion": message["params"]["protocolVersion"], "capabilities": {"tools": {}},
                                   "serverInfo": {"name": secret, "version": "1"}, "instructions": secret}})
    elif method == "tools/list":
        send({"id": id, "result": {"tools": [{"name": n, "inputSchema": {"type": "object"}} for n in ("leak", "fail", "crash")]}})
    elif method == "tools/call":
        name = message["params"]["name"]
        send({"method": "notifications/message", "params": {"level": "info", "data": secret}})
        proof = hashlib.sha256(secret.encode()).hexdigest()
        if name == "leak":
            send({"id": id, "result": {"content": [{"type": "text", "text": json.dumps(dict(os.environ))}], "proof": proof,
                                       "every": "EVERY", "address": urllib.parse.quote(secret)}})
        elif name == "fail":
            send({"id": id, "error": {"code": -1, "message": "no: EVERY " + secret, "data": {"env": secret}}})
        else:
            print(secret, file=sys.stderr, flush=True)
            os._exit(3)
    elif id is not None:
        send({"id": id, "error": {"code": -32601, "message": "unknown"}})
"#;

/// A web service that says back whatever it is sent. Gives its port and the heads that came.
fn echo() -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (port, heads) = (listener.local_addr().unwrap().port(), Arc::new(Mutex::new(Vec::new())));
    let told = heads.clone();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
                head.push(byte[0]);
            }
            let head = String::from_utf8_lossy(&head).into_owned();
            let status = if head.contains("/fail") { "401 Unauthorized" } else { "200 OK" };
            let basic = base64::engine::general_purpose::STANDARD.encode(format!("user:{WEB}"));
            let body =
                json!({ "you_said": head, "basic": basic, "every": "EVERY", "inner": "INNER" }).to_string();
            let body = body.replace("EVERY", &every(WEB)).replace("INNER", &escaped(&every(WEB)));
            drop(write!(
                stream,
                "HTTP/1.1 {status}\r\nx-echo: {WEB}\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            ));
            told.lock().unwrap().push(head);
        }
    });
    (port, heads)
}

struct Served(Child);

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn serve(aecl: &Aecl, logs: &Path) -> Served {
    let file = |name: &str| std::fs::File::create(logs.join(name)).unwrap();
    let mut command = aecl.command(&["serve"]);
    command.env("RUST_LOG", "trace").stdout(file("out.log")).stderr(file("err.log")).stdin(Stdio::null());
    let served = Served(command.spawn().unwrap());
    let late = Instant::now() + Duration::from_secs(30);
    while UnixStream::connect(aecl.dir().join("data/aecl.sock")).is_err() {
        assert!(Instant::now() < late, "{}", std::fs::read_to_string(logs.join("err.log")).unwrap());
        std::thread::sleep(Duration::from_millis(10));
    }
    served
}

fn escaped(text: &str) -> String {
    let quoted = Value::String(text.into()).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// As JSON may write it that escapes each character.
fn every(text: &str) -> String {
    text.chars().map(|c| format!("\\u{:04x}", c as u32)).collect()
}

/// Every form in which a secret may stand somewhere.
fn forms(secret: &str) -> Vec<Vec<u8>> {
    let once = escaped(secret);
    let hex: String = secret.bytes().map(|b| format!("{b:02x}")).collect();
    let percent = secret.replace('"', "%22").replace('\\', "%5C");
    let mut forms = vec![secret.to_owned(), once.clone(), escaped(&once), hex, percent];
    forms.extend([every(secret), escaped(&every(secret))]);
    // Inside of a longer text, base64 has three forms; its ends depend on what is beside it.
    for (before, skipped) in [("", 0), ("x", 2), ("xx", 3)] {
        let whole = base64::engine::general_purpose::STANDARD_NO_PAD.encode(format!("{before}{secret}"));
        forms.push(whole[skipped..whole.len() - 2].to_owned());
    }
    forms.into_iter().map(String::into_bytes).collect()
}

fn is_clean(what: &str, bytes: &[u8]) {
    for secret in [WEB, MCP] {
        for form in forms(secret) {
            let at = bytes.windows(form.len()).position(|window| window == form);
            if let Some(at) = at {
                let around = &bytes[at.saturating_sub(200)..(at + 60).min(bytes.len())];
                panic!("{what} holds {secret}: {}", String::from_utf8_lossy(around));
            }
        }
    }
}

fn files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, found);
        } else if path.is_file() {
            found.push(path);
        }
    }
}

/// The processes below this one.
fn children(of: u32) -> Vec<u32> {
    let tasks = format!("/proc/{of}/task");
    let list = std::fs::read_dir(tasks).into_iter().flatten().flatten();
    let own: Vec<u32> = list
        .filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok())
        .flat_map(|text| text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>())
        .collect();
    own.iter().flat_map(|pid| std::iter::once(*pid).chain(children(*pid))).collect()
}

fn home(place: &Path, port: u16) -> Aecl {
    let aecl = Aecl::on(&place.join("home"));
    aecl.run(&["init", "--example", "none", "--agent", "bot"]).ended(0);
    aecl.fed(&["secrets", "set", "web"], WEB.as_bytes()).ended(0);
    aecl.fed(&["secrets", "set", "mcp"], MCP.as_bytes()).ended(0);
    let server = place.join("server.py");
    std::fs::write(&server, SERVER).unwrap();
    let http = |path: &str| {
        json!({
            "kind": "http", "method": "POST", "url": format!("http://127.0.0.1:{port}{path}"), "allow_private": true,
            "headers": {"Authorization": "Bearer {secret:secret:web}"}, "body": "arguments",
        })
    };
    let tool = |server: &str, tool: &str| json!({"kind": "mcp", "server": server, "tool": tool});
    let action = |name: &str, connector: Value| {
        json!({
            "name": name, "effect": "write", "reversibility": "reversible", "credential_scope": "canary_ns",
            "output": {"untrusted": false, "private": false},
            "arguments": {"type": "object", "properties": {"x": {"type": "string"}}}, "connector": connector, "timeout_ms": 10_000,
        })
    };
    let mut asked = action("web.asked", http("/ok"));
    asked["approval"] = json!({"always": true});
    let mut gone = action("web.gone", http("/ok"));
    gone["connector"]["url"] = "http://127.0.0.1:1/ok".into();
    let mut plain = action("plain.leak", tool("plain", "leak"));
    plain.as_object_mut().unwrap().remove("credential_scope");
    let actions = json!([
        action("web.ok", http("/ok")),
        action("web.fail", http("/fail")),
        gone,
        asked,
        action("tiny.leak", tool("tiny", "leak")),
        action("tiny.fail", tool("tiny", "fail")),
        action("tiny.crash", tool("tiny", "crash")),
        plain,
    ]);
    std::fs::create_dir_all(aecl.dir().join("policy/actions")).unwrap();
    std::fs::write(aecl.dir().join("policy/actions/canary.json"), actions.to_string()).unwrap();
    let agents = json!([
        {"agent_id": "bot", "credential_scope": "canary_ns", "auto_approve_threshold": "1.00",
         "allowed_actions": ["web.ok", "web.fail", "web.gone", "web.asked", "tiny.leak", "tiny.fail", "tiny.crash"]},
        {"agent_id": "plain", "auto_approve_threshold": "1.00", "allowed_actions": ["plain.leak"]},
    ]);
    std::fs::remove_file(aecl.dir().join("policy/agents/bot.yaml")).unwrap();
    std::fs::write(aecl.dir().join("policy/agents/all.json"), agents.to_string()).unwrap();
    let script = server.display();
    let config = aecl.dir().join("aecl.yaml");
    let text = std::fs::read_to_string(&config).unwrap();
    let servers = format!(
        "servers:\n  tiny:\n    kind: stdio\n    command: python3\n    args: [\"-u\", \"{script}\"]\n    \
         env: {{ TOKEN: \"{{secret:secret:mcp}}\" }}\n    credential_scope: canary_ns\n  \
         plain:\n    kind: stdio\n    command: python3\n    args: [\"-u\", \"{script}\"]\n"
    );
    let text =
        text.replace("servers: {}\n", &servers).replace("listen: 127.0.0.1:7600", "listen: 127.0.0.1:0");
    std::fs::write(&config, text).unwrap();
    aecl
}

/// Says it over the socket; gives the whole answer, with its head.
fn post(aecl: &Aecl, credential: &str, path: &str, body: &Value) -> (String, Value) {
    let mut stream = UnixStream::connect(aecl.dir().join("data/aecl.sock")).unwrap();
    let body = body.to_string();
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {credential}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let value = answer.split_once("\r\n\r\n").and_then(|(_, body)| serde_json::from_str(body).ok());
    (answer.clone(), value.unwrap_or_else(|| panic!("{answer}")))
}

#[test]
fn a_credential_that_is_used_appears_nowhere() {
    let place = tempfile::tempdir().unwrap();
    let logs = tempfile::tempdir().unwrap();
    let (port, heads) = echo();
    let aecl = home(place.path(), port);
    let key = |agent: &str| {
        let name = format!("for-{agent}");
        let made =
            aecl.run(&["keys", "add", "orchestrator", &name, "--agent", agent, "--json"]).ended(0).json();
        made["key"].as_str().unwrap().to_owned()
    };
    let (bot, plain) = (key("bot"), key("plain"));
    let served = serve(&aecl, logs.path());
    let open = |key: &str, agent: &str| {
        let run = post(&aecl, key, "/v1/runs", &json!({"agent": agent, "goal": "look for canaries"})).1;
        (run["run"].as_str().unwrap().to_owned(), run["token"].as_str().unwrap().to_owned())
    };
    let ((run, token), (_, other)) = (open(&bot, "bot"), open(&plain, "plain"));
    let mut ids = Vec::new();
    let mut propose = |token: &str, action: &str, state: &str, outcome: &str| {
        let (whole, answer) =
            post(&aecl, token, "/v1/actions", &json!({"action": action, "arguments": {"x": "y"}}));
        is_clean(action, whole.as_bytes());
        assert_eq!(answer["state"], state, "{action}: {answer}");
        assert_eq!(answer["code"].as_str().unwrap_or_default(), outcome, "{action}: {answer}");
        ids.push(answer["action"].as_str().unwrap().to_owned());
        answer
    };
    let ok = propose(&token, "web.ok", "done", "");
    assert!(ok.to_string().contains("[secret secret:web]"), "{ok}");
    propose(&token, "web.fail", "failed", "http_status");
    propose(&token, "web.gone", "failed", "http_no_connection");
    let leak = propose(&token, "tiny.leak", "done", "");
    let proof: String =
        sha2::Digest::finalize(sha2::Digest::chain_update(<sha2::Sha256 as sha2::Digest>::new(), MCP))
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
    assert!(leak.to_string().contains(&proof), "the server did get it: {leak}");
    let running = children(served.0.id());
    propose(&token, "tiny.fail", "failed", "upstream_error");
    propose(&token, "tiny.crash", "unknown", "upstream_lost");
    let alone = propose(&other, "plain.leak", "done", "");
    assert!(!alone.to_string().contains("TOKEN"), "another server has nothing of it: {alone}");
    let held = propose(&token, "web.asked", "pending", "approval_pending");
    let sent = heads.lock().unwrap().iter().filter(|head| head.contains(WEB)).count();
    assert_eq!(sent, 2, "the target did get it");

    // Pages, stories, replays, exports.
    let approval = held["approval"]["id"].as_str().unwrap();
    let mut said = vec![aecl.run(&["approvals", "show", approval]).out, aecl.run(&["doctor"]).out];
    for id in &ids {
        said.push(aecl.run(&["log", "show", id]).out);
        said.push(aecl.run(&["explain", id]).out);
    }
    said.push(aecl.run(&["log", "tail", "--json"]).out);
    said.push(aecl.run(&["log", "replay", &run]).out);
    let export = place.path().join("export");
    aecl.run(&["log", "export", &export.display().to_string(), "--payloads"]).ended(0);
    is_clean("what commands say", said.join("\n").as_bytes());

    // Processes: ours, and those that we started.
    let of = |pid: u32, what: &str| std::fs::read(format!("/proc/{pid}/{what}")).unwrap_or_default();
    is_clean(
        "our arguments and environment",
        &[of(served.0.id(), "cmdline"), of(served.0.id(), "environ")].concat(),
    );
    assert!(!running.is_empty());
    for pid in running {
        is_clean("the arguments of a server", &of(pid, "cmdline"));
    }

    // Everything on disk, and the log at its most talkative.
    drop(served);
    let mut all = Vec::new();
    files(place.path(), &mut all);
    files(logs.path(), &mut all);
    let (mut logged, mut recorded) = (0, 0);
    for path in all {
        let bytes = std::fs::read(&path).unwrap();
        let scrubbed = bytes.windows(19).any(|window| window == b"[secret secret:mcp]");
        logged += usize::from(scrubbed && path.ends_with("err.log"));
        assert!(
            !path.ends_with("err.log") || !bytes.windows(8).any(|window| window == b"cnry-mcp"),
            "a line that is cut shows no half of it"
        );
        recorded += usize::from(scrubbed && path.starts_with(aecl.dir().join("data")));
        is_clean(&path.display().to_string(), &bytes);
    }
    assert!(logged > 0, "what the server wrote to standard error is in the log, without the credential");
    assert!(recorded > 0, "the outcomes are on record");
}

#[test]
fn our_memory_is_in_no_core_file_and_no_other_program_of_the_user_sees_it() {
    let place = tempfile::tempdir().unwrap();
    let logs = tempfile::tempdir().unwrap();
    std::fs::set_permissions(place.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let root = rustix::process::geteuid().is_root();
    let aecl = Aecl::on(&place.path().join("home"));
    let aecl = if root { aecl.by_nobody() } else { aecl };
    aecl.run(&["init", "--example", "none"]).ended(0);
    let config = aecl.dir().join("aecl.yaml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("listen: 127.0.0.1:7600", "listen: 127.0.0.1:0")).unwrap();
    let served = serve(&aecl, logs.path());
    let proc = PathBuf::from(format!("/proc/{}", served.0.id()));
    let limits = std::fs::read_to_string(proc.join("limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().filter(|word| *word == "0").count(), 2, "{core}");
    // What belongs to a process that may not be dumped belongs to root, whoever runs it.
    assert_eq!(std::fs::metadata(proc.join("environ")).unwrap().uid(), 0);
    let own = std::fs::metadata("/proc/self/environ").unwrap().uid();
    assert_eq!(own, rustix::process::geteuid().as_raw(), "which is not so for others");
}
