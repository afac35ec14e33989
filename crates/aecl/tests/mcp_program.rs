//! `aecl mcp` as an MCP client starts it: the program itself, with the gate inside or at the attach socket.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod mcp_home;

use aecl::mcp::stdio;
use mcp_home::{PATIENCE, Place, answer, status};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Instant;
use tokio_util::sync::CancellationToken;

/// The program with a raw client in front.
struct Program {
    child: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
    next: u64,
}

impl Program {
    fn start(dir: &Path, args: &[&str], command: &[String]) -> Self {
        let mut program = Command::new(env!("CARGO_BIN_EXE_aecl"));
        program.arg("--dir").arg(dir).arg("mcp").args(args);
        if !command.is_empty() {
            program.arg("--").args(command);
        }
        program.env_remove("AECL_DIR").env_remove("AECL_AGENT").env("GIVEN_BY_CLIENT", "yes");
        let program = program.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = program.spawn().unwrap();
        let (to, from) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, to, from, next: 1 }
    }

    fn ask(&mut self, method: &str, params: Value) -> Value {
        let id = self.next;
        self.next += 1;
        let line = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        writeln!(self.to.as_mut().unwrap(), "{line}").unwrap();
        loop {
            let mut line = String::new();
            assert!(self.from.read_line(&mut line).unwrap() > 0, "it ended: {}", self.stderr());
            let message: Value = serde_json::from_str(&line).expect("standard output carries JSON-RPC only");
            if message["id"] == id {
                return message;
            }
        }
    }

    fn initialize(&mut self) {
        let params = json!({"protocolVersion": "2025-06-18", "capabilities": {},
            "clientInfo": {"name": "raw-client", "version": "1"}});
        let hello = self.ask("initialize", params);
        assert!(hello["result"]["serverInfo"].is_object(), "{hello}");
        writeln!(self.to.as_mut().unwrap(), r#"{{"jsonrpc":"2.0","method":"notifications/initialized"}}"#)
            .unwrap();
    }

    fn call(&mut self, tool: &str, arguments: Value) -> Value {
        self.ask("tools/call", json!({"name": tool, "arguments": arguments}))
    }

    fn stderr(&mut self) -> String {
        let mut text = String::new();
        drop(self.child.stderr.take().unwrap().read_to_string(&mut text));
        text
    }

    /// Closes the pipes and gives the exit code.
    fn end(&mut self) -> Option<i32> {
        drop(self.to.take());
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        self.child.kill().unwrap();
        panic!("it does not end")
    }
}

#[test]
fn the_program_with_the_gate_inside_serves_a_client_and_ends_with_it() {
    let place = Place::new(0);
    let mut program = Program::start(
        place.home.dir(),
        &["--embedded", "--agent", "default", "--server", "tiny"],
        &place.server("legacy"),
    );
    program.initialize();
    assert_eq!(program.call("read_note", json!({}))["result"]["one"], 1.0);
    let waits = program.call("write_note", json!({"text": "one"}));
    assert_eq!(status(&waits)["status"], "pending", "{waits}");
    assert_eq!(program.end(), Some(0));
    assert_eq!(place.count("wrote"), 0);

    let args = ["--embedded", "--agent", "default", "--server", "other"];
    let mut program = Program::start(place.home.dir(), &args, &place.server("legacy"));
    let greeted = json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}});
    let refused = program.ask("initialize", greeted);
    assert_eq!(refused["error"]["data"]["aecl"]["code"], "policy_forbids", "{refused}");
    assert!(refused["error"]["message"].as_str().unwrap().contains("lists nothing of `other`"), "{refused}");
    assert_eq!(program.end(), Some(0));
    assert!(program.stderr().contains("lists no action of `other`"));
}

/// As docs/reference/isolation.md says for Kata: containerd is not here, so its client is a stand-in that takes what
/// it is told as `ctr` does and then is the server.
#[test]
fn a_server_that_containerd_starts_is_served_over_its_pipes() {
    let place = Place::new(0);
    let ctr = place.home.dir().join("ctr");
    let script = "#!/bin/sh\necho \"$@\" > \"$0.told\"\n[ \"$1 $2 $3\" = 'run --rm --runtime' ] || exit 64\n\
                  shift 6\nexec \"$@\"\n";
    std::fs::write(&ctr, script).unwrap();
    std::fs::set_permissions(&ctr, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let run = ["run", "--rm", "--runtime", "io.containerd.kata.v2", "example.org/tiny:1", "tiny"];
    let told = run.map(str::to_owned).to_vec();
    let command = [vec![ctr.to_str().unwrap().to_owned()], told, place.server("legacy")].concat();
    let args = ["--embedded", "--agent", "default", "--server", "tiny"];
    let mut program = Program::start(place.home.dir(), &args, &command);
    program.initialize();
    assert_eq!(program.call("read_note", json!({}))["result"]["one"], 1.0);
    assert_eq!(status(&program.call("write_note", json!({"text": "one"})))["status"], "pending");
    assert_eq!(program.end(), Some(0));
    assert_eq!(place.count("wrote"), 0);
    let told = std::fs::read_to_string(place.home.dir().join("ctr.told")).unwrap();
    assert!(told.starts_with(&format!("{} ", run.join(" "))), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_attaches_to_the_process_that_owns_the_home() {
    let place = Place::new(0);
    let gate = place.gate().await;
    let socket = tokio::net::UnixListener::bind(place.home.data().join("mcp.sock")).unwrap();
    let shutdown = CancellationToken::new();
    let listening = tokio::spawn(stdio::listen(gate.clone(), socket, shutdown.clone(), Arc::default()));
    let (dir, server) = (place.home.dir().to_owned(), place.server("legacy"));
    let (mut program, approval) = tokio::task::spawn_blocking(move || {
        let mut program = Program::start(&dir, &["--agent", "default", "--server", "tiny"], &server);
        program.initialize();
        assert_eq!(program.call("read_note", json!({}))["result"]["one"], 1.0);
        let waits = program.call("write_note", json!({"text": "one"}));
        let approval = status(&waits)["approval_id"].as_str().unwrap().to_owned();
        (program, approval)
    })
    .await
    .unwrap();
    answer(&gate, &approval, true).await;
    let code = tokio::task::spawn_blocking(move || {
        let done = program.call("write_note", json!({"text": "one"}));
        assert_eq!(done["result"]["content"][0]["text"], "written", "{done}");
        program.end()
    })
    .await
    .unwrap();
    assert_eq!(code, Some(0));
    assert_eq!(place.count("wrote"), 1);

    // When the process that owns the home ends, the client is told so.
    let (dir, server) = (place.home.dir().to_owned(), place.server("legacy"));
    let attached = tokio::task::spawn_blocking(move || {
        let mut program = Program::start(&dir, &["--agent", "default", "--server", "tiny"], &server);
        program.initialize();
        program
    });
    let mut program = attached.await.unwrap();
    shutdown.cancel();
    listening.await.unwrap();
    let ended = tokio::task::spawn_blocking(move || {
        let status = program.child.wait().unwrap();
        (status.code(), program.stderr())
    });
    let (code, said) = ended.await.unwrap();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("has ended") && said.contains("hint:"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_put_before_people_and_its_steps_are_carried_out_after_one_yes() {
    let place = Place::new(20_000);
    let gate = place.gate().await;
    let socket = tokio::net::UnixListener::bind(place.home.data().join("mcp.sock")).unwrap();
    tokio::spawn(stdio::listen(gate.clone(), socket, CancellationToken::new(), Arc::default()));
    let (dir, server) = (place.home.dir().to_owned(), place.server("legacy"));
    let step = |n: u32| json!({"action": "tiny.write_note", "arguments": {"/text": {"equals": "planned"}, "/n": {"equals": n}}});
    let file = place.path("plan.json");
    std::fs::write(&file, json!({"steps": [step(1), step(2)]}).to_string()).unwrap();
    let plan = file.display().to_string();
    let program = tokio::task::spawn_blocking(move || {
        // The first listing writes the tools into the catalogue.
        let mut first = Program::start(&dir, &["--agent", "default", "--server", "tiny"], &server);
        first.initialize();
        first.ask("tools/list", json!({}));
        assert_eq!(first.end(), Some(0));
        let args = [
            "--agent",
            "default",
            "--server",
            "tiny",
            "--goal",
            "Write planned",
            "--plan",
            &plan,
            "--approve-plan",
        ];
        let mut program = Program::start(&dir, &args, &server);
        program.initialize();
        program
    });
    let mut program = program.await.unwrap();
    let ask = mcp_home::asked(&gate).await;
    assert_eq!(ask.plan.as_ref().unwrap().steps.len(), 2);
    // The first call waits for the answer to the plan, and people are asked once.
    let first = tokio::task::spawn_blocking(move || {
        let done = program.call("write_note", json!({"text": "planned", "n": 1}));
        (program, done)
    });
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert!(!first.is_finished() && place.count("wrote") == 0);
    answer(&gate, ask.approval.as_str(), true).await;
    let (mut program, done) = first.await.unwrap();
    assert_eq!(done["result"]["content"][0]["text"], "written", "{done}");
    let second = tokio::task::spawn_blocking(move || {
        let done = program.call("write_note", json!({"text": "planned", "n": 2}));
        (program, done)
    });
    let (mut program, done) = second.await.unwrap();
    assert_eq!(done["result"]["content"][0]["text"], "written", "{done}");
    assert_eq!(
        (place.count("wrote"), gate.approvals(10).await.unwrap().len()),
        (2, 1),
        "nobody else was asked"
    );
    let said = tokio::task::spawn_blocking(move || (program.end(), program.stderr())).await.unwrap();
    assert_eq!(said.0, Some(0));
    assert!(
        said.1.contains(&format!(
            "the plan waits for people: http://127.0.0.1:7600/approvals/{}",
            ask.approval
        )),
        "{}",
        said.1
    );
}

#[test]
fn a_file_that_is_no_plan_is_refused_before_anything_starts() {
    let place = Place::new(0);
    let file = place.path("plan.json");
    let args = ["--agent", "default", "--embedded", "--plan", file.to_str().unwrap(), "--approve-plan"];
    for (text, why) in [
        (r#"{"steps": []}"#, "there are no steps"),
        (r#"{"steps": [{"action": "x", "time": 2}]}"#, "unknown field `time`"),
        (r#"["first", "then"]"#, "there are no steps"),
        ("{", "the plan in `"),
    ] {
        std::fs::write(&file, text).unwrap();
        let mut program = Program::start(place.home.dir(), &args, &place.server("legacy"));
        assert_eq!(program.end(), Some(1));
        let said = program.stderr();
        assert!(said.contains(why), "{text}: {said}");
    }
    let mut program = Program::start(place.home.dir(), &["--approve-plan"], &place.server("legacy"));
    assert_eq!(program.end(), Some(2), "a plan is needed");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_agent_is_told_so_at_the_door() {
    let place = Place::new(0);
    let gate = place.gate().await;
    let socket = tokio::net::UnixListener::bind(place.home.data().join("mcp.sock")).unwrap();
    tokio::spawn(stdio::listen(gate.clone(), socket, CancellationToken::new(), Arc::default()));
    let (dir, server) = (place.home.dir().to_owned(), place.server("legacy"));
    let ended = tokio::task::spawn_blocking(move || {
        let mut program = Program::start(&dir, &["--agent", "defualt", "--server", "tiny"], &server);
        let status = program.child.wait().unwrap();
        (status.code(), program.stderr())
    });
    let (code, said) = ended.await.unwrap();
    assert_eq!(code, Some(1));
    assert!(said.contains("did you mean `default`") && said.contains("agent_unknown"), "{said}");
}

#[test]
fn without_a_home_there_is_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    let mut program = Program::start(&folder.path().join("none"), &["--embedded"], &["true".to_owned()]);
    assert_eq!(program.end(), Some(1));
    let said = program.stderr();
    assert!(said.contains("aecl.yaml") && said.contains("hint: run `aecl init`"), "{said}");
}

#[test]
fn a_server_that_does_not_start_is_an_error_to_the_client_and_no_crash() {
    let place = Place::new(0);
    let mut program = Program::start(
        place.home.dir(),
        &["--embedded", "--agent", "default", "--server", "tiny"],
        &["/no/such/program".to_owned()],
    );
    let params = json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "me", "version": "1"}});
    let failed = program.ask("initialize", params);
    assert_eq!(failed["error"]["code"], -32603, "{failed}");
    assert_eq!(failed["error"]["data"]["aecl"]["code"], "upstream_not_connected", "{failed}");
    assert_eq!(program.end(), Some(0));
}

/// The official file system server, where the peers are installed.
#[test]
fn the_official_file_system_server_works_behind() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let script = "node_modules/@modelcontextprotocol/server-filesystem/dist/index.js";
    let places = [".cache/peers/node", "tests/peers"].map(|place| root.join(place).join(script));
    let given = std::env::var_os("AECL_TEST_FILESYSTEM").map(std::path::PathBuf::from);
    let Some(script) = given.into_iter().chain(places).find(|place| place.is_file()) else {
        eprintln!("skipped: the peers are not installed");
        return;
    };
    let place = Place::new(0);
    let folder = place.path("files");
    std::fs::create_dir(&folder).unwrap();
    let folder = folder.canonicalize().unwrap();
    std::fs::write(folder.join("read.txt"), "hello\n").unwrap();
    let command = ["node", script.to_str().unwrap(), folder.to_str().unwrap()].map(str::to_owned);
    let mut program = Program::start(
        place.home.dir(),
        &["--embedded", "--agent", "default", "--server", "filesystem"],
        &command,
    );
    program.initialize();
    let list = program.ask("tools/list", json!({}));
    let names: Vec<_> =
        list["result"]["tools"].as_array().unwrap().iter().map(|t| t["name"].clone()).collect();
    assert!(names.contains(&json!("read_text_file")) && names.contains(&json!("write_file")), "{list}");
    let read = program.call("read_text_file", json!({"path": folder.join("read.txt")}));
    assert_eq!(read["result"]["content"][0]["text"], "hello\n", "{read}");
    let waits = program.call("write_file", json!({"path": folder.join("new.txt"), "content": "x"}));
    assert_eq!(status(&waits)["status"], "pending", "{waits}");
    assert!(!folder.join("new.txt").exists());
    assert_eq!(program.end(), Some(0));
}
