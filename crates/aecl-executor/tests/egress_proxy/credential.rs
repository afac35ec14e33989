//! A credential that a program uses and never has: case 69, and what else could give it away.

use super::peers::{certificate, server};
use super::{House, OK, Value, call, json, plain, target};
use aecl_executor::{CallResult, Connector as _};
use std::process::Command;

const SECRET: &str = "s3cret-\"quoted\"-0123456789";

/// Says back everything it got, in each way that an answer can come, and writes it down.
const ECHO: &str = r#"
import http.server, json, gzip, ssl, sys
class H(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *a): pass
    def do(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
        got = self.headers.get("authorization", "-")
        with open("log", "a") as f: f.write("%s %s %s %s|%s\n" % (self.headers["host"].split(":")[0], self.command, self.path, got, body))
        said = ("%s %s %s" % (got, json.dumps({"echo": got}), body)).encode()
        self.send_response(200); self.send_header("x-echo", got)
        if "gzip" in self.path:
            said = gzip.compress(said); self.send_header("content-encoding", "gzip")
        if "chunked" in self.path:
            self.send_header("transfer-encoding", "chunked"); self.end_headers()
            for i in range(0, len(said), 5):
                part = said[i:i+5]; self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            self.wfile.write(b"0\r\n\r\n")
        else:
            self.send_header("content-length", str(len(said))); self.end_headers()
            if self.command != "HEAD": self.wfile.write(said)
    do_GET = do_POST = do_HEAD = do_DELETE = do
s = http.server.ThreadingHTTPServer(("127.0.0.1", 0), H)
c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER); c.load_cert_chain(sys.argv[1])
s.socket = c.wrap_socket(s.socket, server_side=True, do_handshake_on_connect=False)
print(s.server_address[1], flush=True); s.serve_forever()
"#;

/// Asks in ways that are allowed and ways that are not, and looks everywhere for what it was not given.
const PROGRAM: &str = r#"
import http.client, os, ssl, subprocess, sys, urllib.request, urllib.error
port, plain = sys.argv[1], sys.argv[2]
token, other = os.environ["API_TOKEN"], os.environ["OTHER_TOKEN"]
def ask(name, host, path, method="GET", body=None, url=None, **headers):
    request = urllib.request.Request(url or "https://%s:%s%s" % (host, port, path), data=body, method=method,
        headers={k.replace("_", "-"): v for k, v in headers.items()})
    try:
        with urllib.request.urlopen(request, timeout=20) as a: 
            said = a.read().decode("latin1")
            print(name, a.status, a.headers.get("x-echo"), said if len(said) < 1000 else len(said.rstrip("x")) + said.count("xx"))
    except urllib.error.HTTPError as e: print(name, e.code, e.read().decode())
    except Exception as e: print(name, type(e).__name__, e)
bearer = "Bearer " + token
ask("good", "secure.test", "/v1/echo", Authorization=bearer)
ask("chunked", "secure.test", "/v1/chunked", Authorization=bearer)
ask("post", "secure.test", "/v1/post", "POST", ("body " + token).encode(), Authorization=bearer)
ask("large", "secure.test", "/v1/large", "POST", b"x" * 300000, Authorization=bearer)
ask("bare", "secure.test", "/v1/bare")
ask("packed", "secure.test", "/v1/gzip", Authorization=bearer)
ask("inurl", "secure.test", "/v1/echo?t=" + token)
ask("header", "secure.test", "/v1/echo", X_Token=token)
ask("twice", "secure.test", "/v1/echo", Authorization=token + token)
ask("path", "secure.test", "/admin", Authorization=bearer)
ask("dots", "secure.test", "/v1/../admin", Authorization=bearer)
ask("method", "secure.test", "/v1/echo", "DELETE", Authorization=bearer)
ask("otherhost", "other.test", "/v1/echo", Authorization=bearer)
ask("own", "other.test", "/v1/echo", Authorization=other)
ask("plain", None, None, url="http://plain.test:%s/" % plain, Authorization=bearer)
print("curl", subprocess.run(["curl", "-sS", "-H", "Authorization: " + bearer, "https://secure.test:%s/v1/curl" % port],
    capture_output=True, text=True).stdout)
print("authority", "PRIVATE KEY" in open(os.environ["SSL_CERT_FILE"]).read(), open(os.environ["SSL_CERT_FILE"]).read().count("BEGIN"))
part = "cret-" + '"quoted' + '"'
found = [v for v in os.environ.values() if part in v]
for root, _, names in os.walk("/"):
    if root.startswith(("/usr", "/proc", "/dev", "/lib", "/bin", "/sbin")): continue
    for name in names:
        try: found += [root + "/" + name] if part in open(os.path.join(root, name), errors="replace").read() else []
        except OSError: pass
print("found", found)
"#;

/// The platform's authorities are read from a variable, which only a process of its own can be given.
#[test]
fn case_69_a_credential_is_used_and_appears_nowhere() {
    let dir = tempfile::Builder::new().prefix("aecl-credential").tempdir_in("/tmp").unwrap();
    certificate(dir.path());
    std::fs::write(dir.path().join("secret"), SECRET).unwrap();
    std::fs::write(dir.path().join("other"), "the-other-secret-value").unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "credential::supervisor", "--nocapture"])
        .env("SSL_CERT_FILE", dir.path().join("ca.pem"))
        .env("AECL_CREDENTIAL_TEST", dir.path())
        .env("TMPDIR", dir.path())
        .output()
        .unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("it was held"), "{said}");
    assert!(!said.contains("cret-\"quoted"), "{said}");
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with("aecl-cage-")), "{left:?}");
}

#[tokio::test]
async fn supervisor() {
    let Some(dir) = std::env::var_os("AECL_CREDENTIAL_TEST").map(std::path::PathBuf::from) else { return };
    let (server, web) = (server(ECHO, &dir, &dir), target(OK));
    let house = House::new(&["secure.test", "other.test", "plain.test"]).await;
    let credential = |file: &str, variable: &str| {
        json!({ "secret": format!("{{secret:file:{}}}", dir.join(file).display()), "variable": variable,
            "methods": ["GET", "POST"], "path": "/v1" })
    };
    let rules = json!({ "egress": [
        { "host": "secure.test", "port": server.1, "allow_private": true, "credential": credential("secret", "API_TOKEN") },
        { "host": "other.test", "port": server.1, "allow_private": true, "credential": credential("other", "OTHER_TOKEN") },
        plain("plain.test", web.port, &["GET"]),
    ] });
    let ports = [server.1.to_string(), web.port.to_string()];
    let call = call(&["python3", "-c", PROGRAM, &ports[0], &ports[1]], &rules);
    let CallResult::Done { output, .. } = house.connector.perform(&call).await else { panic!() };
    let told = String::from_utf8_lossy(&output).into_owned();
    let said = serde_json::from_slice::<Value>(&output).unwrap()["stdout"].as_str().unwrap().to_owned();
    for text in
        [&told, &said, &format!("{call:?}"), &serde_json::to_string(call.traffic.get().unwrap()).unwrap()]
    {
        for part in ["cret-\"quoted", "cret-\\\"quoted", "the-other-secret"] {
            assert!(!text.contains(part), "`{part}` in {text}");
        }
    }
    let line = |name: &str| {
        said.lines()
            .find(|line| line.starts_with(&format!("{name} ")))
            .unwrap_or_else(|| panic!("{name}: {said}"))
            .to_owned()
    };
    for name in ["good", "chunked"] {
        assert!(line(name).contains(&format!("200 Bearer {}", "*".repeat(SECRET.len()))), "{}", line(name));
        assert!(
            line(name).contains(&format!("{{\"echo\": \"Bearer {}\"}}", "*".repeat(SECRET.len() + 2))),
            "{}",
            line(name)
        );
    }
    assert!(line("post").contains("body aecl-placeholder-"), "a body stays as it is: {}", line("post"));
    assert!(line("large").contains(" 1500") && line("bare").contains("200 - "), "{}", line("bare"));
    assert!(!line("packed").contains(" 200 "), "{}", line("packed"));
    for name in ["inurl", "header", "twice", "path", "dots", "method", "otherhost", "plain"] {
        assert!(line(name).contains(" 403 "), "{}", line(name));
    }
    assert!(
        line("own").contains(&format!("200 {}", "*".repeat(22))) && line("curl").contains("Bearer ***"),
        "{said}"
    );
    assert_eq!(line("authority"), "authority False 2");
    assert_eq!(line("found"), "found []");
    let log = std::fs::read_to_string(dir.join("log")).unwrap();
    let got = |line: String| assert!(log.lines().any(|l| l == line), "{line}:\n{log}");
    got(format!("secure.test GET /v1/echo Bearer {SECRET}|"));
    got(format!("secure.test GET /v1/curl Bearer {SECRET}|"));
    got("other.test GET /v1/echo the-other-secret-value|".into());
    assert_eq!(log.lines().count(), 8, "nothing that was refused arrived:\n{log}");
    assert!(log.lines().all(|l| !l.starts_with("other") || !l.contains("s3cret")), "{log}");
    assert_eq!(web.connections(), 0);
    let traffic = call.traffic.get().unwrap();
    let rows = super::rows(traffic);
    assert!(rows.iter().any(|r| r.starts_with(&format!("POST secure.test:{} x2", server.1))), "{rows:?}");
    assert!(rows.iter().any(|r| r.ends_with("egress_credential")), "{rows:?}");
    println!("it was held");
}

#[test]
fn a_credential_is_bound_to_something_or_refused() {
    let fine = json!({ "secret": "{secret:env:TOKEN}", "variable": "TOKEN", "methods": ["GET"] });
    let check = |rule: Value, env: Value| {
        super::checked(&json!({ "kind": "process", "argv": ["true"], "egress": [rule], "env": env }))
    };
    check(json!({ "host": "a.b", "credential": fine }), json!({})).unwrap();
    let with = |key: &str, value: Value| {
        let mut credential = fine.clone();
        credential[key] = value;
        json!({ "host": "a.b", "credential": credential })
    };
    for (rule, why) in [
        (json!({ "host": "*.a.b", "credential": fine }), "one host"),
        (json!({ "host": "a.b", "methods": ["GET"], "credential": fine }), "one host"),
        (with("methods", json!([])), "`methods`"),
        (with("methods", json!(["CONNECT"])), "`methods`"),
        (with("secret", json!("hunter2-hunter2")), "not one reference"),
        (with("secret", json!("Bearer {secret:env:A}")), "not one reference"),
        (with("secret", json!("{secret:env:A}{secret:env:B}")), "not one reference"),
        (with("header", json!("Authorization")), "lower case"),
        (with("header", json!("host")), "holds no credential"),
        (with("path", json!("v1")), "`path`"),
        (with("path", json!("/v1/../x")), "`path`"),
        (with("variable", json!("a b")), "`variable`"),
        (with("variable", json!("SSL_CERT_FILE")), "another meaning"),
    ] {
        let refused = check(rule.clone(), json!({})).unwrap_err();
        assert!(refused.contains(why), "{rule}: {refused}");
    }
    assert!(check(json!({ "host": "a.b", "credential": fine }), json!({ "TOKEN": "x" })).is_err());
}

#[tokio::test]
async fn a_credential_that_is_not_there_starts_nothing() {
    let rules = json!({ "egress": [{ "host": "a.test",
        "credential": { "secret": "{secret:env:AECL_NO_SUCH_VARIABLE}", "variable": "T", "methods": ["GET"] } }] });
    let call = call(&["true"], &rules);
    let came = House::new(&[]).await.connector.perform(&call).await;
    let CallResult::Failed { code: "secret_missing", message, .. } = came else { panic!("{came:?}") };
    assert!(message.contains("AECL_NO_SUCH_VARIABLE") && call.cage.get().is_none(), "{message}");
}
