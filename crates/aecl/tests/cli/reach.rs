//! Whom a program in a cage reached, and whom it wanted to reach: on record, and told.

use crate::program::Aecl;
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;

/// A web server on loopback that says hello. Gives its port.
fn web() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            drop(stream.read(&mut [0; 4096]));
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello";
            drop(stream.write_all(answer));
        }
    });
    port
}

fn run(dir: &Path, args: &[&str]) -> crate::program::Ran {
    Aecl::on(&dir.join(".aecl")).run(&[&["run", "--memory", "none"], args].concat())
}

#[test]
fn a_command_reaches_whom_it_may_and_the_rest_is_told_with_the_way_out() {
    let (dir, port) = (tempfile::tempdir().unwrap(), web());
    let place = format!("http://localhost:{port}");
    let line =
        format!("curl -s {place}/; curl -s https://evil.test/; curl -s http://127.0.0.1:{port}/; true");
    let words = ["--", "sh", "-c", &line];
    let ran = run(dir.path(), &[&["--allow-host", &place, "--allow-private"], &words[..]].concat()).ended(0);
    assert!(ran.out.starts_with("hello"), "{}", ran.out);
    for said in [
        "aecl: CONNECT evil.test:443, refused: TLS to `evil.test:443` is not on the list of this action",
        "hint: `--allow-host evil.test` lets it through",
        "refused: the host is no plain name and port",
        "--env NO_PROXY=127.0.0.1",
    ] {
        assert!(ran.err.contains(said), "{said}: {}", ran.err);
    }
    let ran = run(dir.path(), &[&["--allow-host", &place], &words[..]].concat()).ended(0);
    assert!(
        ran.out.contains("`localhost` is at") && ran.err.contains("hint: `--allow-private`"),
        "{}{}",
        ran.out,
        ran.err
    );
    // Without a list there is no way out, and nothing to tell.
    let ran = run(dir.path(), &words).ended(0);
    assert_eq!((ran.out.as_str(), ran.err.as_str()), ("", ""));
    run(dir.path(), &["--allow-host", "10.0.0.1", "--", "true"]).ended(125);
    run(dir.path(), &["--allow-host", "a.b:0", "--", "true"]).ended(125);
    let told = Aecl::on(&dir.path().join(".aecl"))
        .run(
            &[&["--json", "run", "--memory", "none", "--allow-host", &place, "--allow-private"], &words[..]]
                .concat(),
        )
        .ended(0)
        .json();
    assert_eq!(
        (&told["traffic"]["let_through"], &told["traffic"]["refused"]),
        (&json!(1), &json!(2)),
        "{told}"
    );
}

#[test]
fn every_connection_is_on_record_and_shown() {
    let (place, port) = (tempfile::tempdir().unwrap(), web());
    let aecl = Aecl::on(&place.path().join("home"));
    aecl.run(&["init", "--example", "finance"]).ended(0);
    let action = |egress: &str| {
        let action = json!({
            "name": "work.fetch", "effect": "execute", "reversibility": "reversible", "egress": egress,
            "approval": {"always": true},
            "arguments": {"type": "object", "properties": {}},
            "connector": {"kind": "process", "limits": {"memory_max_mib": null},
                "argv": ["sh", "-c", format!("curl -s http://localhost:{port}/; curl -s https://evil.test/; \
                    printf 'GET http://[::1]\\033[2J/ HTTP/1.1\\r\\n\\r\\n' | python3 -c 'import socket,sys; \
                    s=socket.create_connection((\"127.0.0.1\",3128)); s.sendall(sys.stdin.buffer.read()); s.recv(99)'")],
                "egress": [{"host": "localhost", "port": port, "methods": ["GET"], "allow_private": true}]},
        });
        std::fs::write(aecl.dir().join("policy/actions/work.json"), action.to_string()).unwrap();
    };
    let agent = json!({"agent_id": "worker", "allowed_actions": ["work.fetch"]});
    std::fs::write(aecl.dir().join("policy/agents/worker.json"), agent.to_string()).unwrap();
    action("none");
    let refused = aecl.run(&["policy", "check"]).ended(1);
    assert!((refused.out + &refused.err).contains("its own `egress` says `none`"));
    action("tenant");
    let key = aecl.run(&["keys", "add", "orchestrator", "planner", "--agent", "worker"]).ended(0);
    let served = aecl.serve();
    let (run, token) = served.open_run(key.out.trim(), "worker");
    // Whoever answers sees before the yes whom the program may reach.
    let reaches = format!(
        "  reaches       `localhost`, port {port}, over plain HTTP: GET; this machine and private networks, too\n"
    );
    let asked = served.propose(&token, "work.fetch", json!({}));
    let ask = asked.pointer("/approval/id").and_then(Value::as_str).unwrap();
    let card = aecl.run(&["approvals", "show", ask]).ended(0).out;
    assert!(card.contains(&reaches), "{card}");
    let before = aecl.run(&["explain", "worker", "work.fetch"]).ended(4).out;
    assert!(before.contains(&reaches), "{before}");
    aecl.run(&["approvals", "approve", ask]).ended(0);
    let done = served.propose(&token, "work.fetch", json!({}));
    assert_eq!(done["state"], "done", "{done}");
    let id = done["action"].as_str().unwrap();
    // And afterwards whom it reached.
    let why = aecl.run(&["explain", id]).ended(0).out;
    for part in
        ["  ran in        native: ", "  1 let through, 2 refused; ", "- CONNECT evil.test:443, refused"]
    {
        assert!(why.contains(part), "{part}: {why}");
    }
    assert_eq!(aecl.run(&["explain", id, "--json"]).ended(0).json()["traffic"]["let_through"], 1);
    let shown = aecl.run(&["log", "show", id]).ended(0).out;
    assert!(shown.contains("1 connection let through, 2 refused"), "{shown}");
    assert!(shown.contains("  Connections\n  1 let through, 2 refused; "), "{shown}");
    assert!(shown.contains(&format!("- GET localhost:{port} at 127.0.0.1:{port}, ")), "{shown}");
    assert!(shown.contains("- CONNECT evil.test:443, refused: TLS to"), "{shown}");
    assert!(shown.contains("<1b>[2J") && !shown.contains('\u{1b}'), "{shown}");
    let told = aecl.run(&["log", "show", &run, "--json"]).ended(0).json();
    let entries = told["entries"].as_array().unwrap();
    let traffic = entries.iter().find_map(|e| e["entry"].get("traffic")).unwrap();
    assert_eq!((&traffic["let_through"], &traffic["refused"]), (&json!(1), &json!(2)));
    aecl.run(&["log", "verify"]).ended(0);
}
