//! Programs of other people in a cage, through the broker, at a real TLS server.

use super::{House, Value, call, json, tls};
use aecl_executor::{CallResult, Connector as _};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Serves the files of a directory over TLS and prints its port.
const SERVER: &str = r#"
import http.server, ssl, sys
class H(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *a): pass
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(200); self.send_header("content-length", str(len(body))); self.end_headers(); self.wfile.write(body)
s = http.server.ThreadingHTTPServer(("127.0.0.1", 0), H)
c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER); c.load_cert_chain(sys.argv[1])
s.socket = c.wrap_socket(s.socket, server_side=True, do_handshake_on_connect=False)
print(s.server_address[1], flush=True); s.serve_forever()
"#;

pub struct Server(Child, pub u16);

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn ran(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// An authority in `ca.pem`, and key and certificate of `secure.test` and `other.test` in `both.pem`.
pub fn certificate(dir: &Path) {
    let openssl = |args: &str| ran(Command::new("openssl").args(args.split(' ')).current_dir(dir));
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    openssl(&format!("req -x509 {key} -days 2 -subj /CN=ours -keyout ca.key -out ca.pem"));
    openssl(&format!("req -new {key} -subj /CN=secure.test -keyout key.pem -out request.pem"));
    std::fs::write(dir.join("names"), "subjectAltName=DNS:secure.test,DNS:other.test").unwrap();
    openssl(
        "x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out cert.pem",
    );
    let both =
        [std::fs::read(dir.join("key.pem")).unwrap(), std::fs::read(dir.join("cert.pem")).unwrap()].concat();
    std::fs::write(dir.join("both.pem"), both).unwrap();
}

fn serve(dir: &Path) -> Server {
    certificate(dir);
    server(SERVER, dir, &dir.join("www"))
}

/// Runs a server that is given its certificate, the directory of this test, and says its port.
pub fn server(script: &str, dir: &Path, from: &Path) -> Server {
    let mut child = Command::new("/usr/bin/python3")
        .args(["-c", script, &dir.join("both.pem").display().to_string()])
        .current_dir(from)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    Server(child, line.trim().parse().unwrap())
}

/// Files for each kind of client: a page, a Python package index, a repository, an npm registry.
fn files(www: &Path, port_later: &str) {
    std::fs::create_dir_all(www.join("simple/tiny")).unwrap();
    std::fs::write(www.join("page"), "a page").unwrap();
    let wheel = "import sys, zipfile\nz = zipfile.ZipFile(sys.argv[1], 'w')\n\
        d = 'tiny-1.0.dist-info/'\nz.writestr('tiny.py', 'x = 1\\n')\n\
        z.writestr(d + 'METADATA', 'Metadata-Version: 2.1\\nName: tiny\\nVersion: 1.0\\n')\n\
        z.writestr(d + 'WHEEL', 'Wheel-Version: 1.0\\nGenerator: t\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')\n\
        z.writestr(d + 'RECORD', '')\n";
    ran(Command::new("/usr/bin/python3")
        .args(["-c", wheel])
        .arg(www.join("simple/tiny/tiny-1.0-py3-none-any.whl")));
    std::fs::write(
        www.join("simple/tiny/index.html"),
        "<a href=\"tiny-1.0-py3-none-any.whl\">tiny-1.0-py3-none-any.whl</a>",
    )
    .unwrap();
    let git = |args: &[&str]| {
        ran(Command::new("git")
            .args(["-c", "user.name=t", "-c", "user.email=t@t", "-c", "init.defaultBranch=main"])
            .args(["-c", "safe.directory=*"])
            .args(args)
            .current_dir(www));
    };
    git(&["init", "-q", "work"]);
    std::fs::write(www.join("work/file"), "in the repository").unwrap();
    git(&["-C", "work", "add", "file"]);
    git(&["-C", "work", "commit", "-q", "-m", "one"]);
    git(&["clone", "-q", "--bare", "work", "repo.git"]);
    git(&["-C", "repo.git", "update-server-info"]);
    let package = json!({ "name": "tiny", "dist-tags": { "latest": "1.0.0" }, "versions": { "1.0.0": {
        "name": "tiny", "version": "1.0.0", "dist": { "tarball": port_later, "shasum": "" } } } });
    std::fs::write(www.join("tiny"), package.to_string()).unwrap();
}

#[tokio::test]
async fn curl_python_pip_git_node_and_npm_reach_what_is_listed_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let www = dir.path().join("www");
    files(&www, "https://secure.test/tiny.tgz");
    let server = serve(dir.path());
    let port = server.1;
    let house = House::new(&["secure.test", "other.test"]).await;
    let rules = json!({
        "egress": [tls("secure.test", port)],
        "views": [{ "source": dir.path().join("ca.pem"), "at": "/ca.pem" }],
        "env": { "CURL_CA_BUNDLE": "/ca.pem", "SSL_CERT_FILE": "/ca.pem", "REQUESTS_CA_BUNDLE": "/ca.pem",
            "PIP_CERT": "/ca.pem", "GIT_SSL_CAINFO": "/ca.pem", "NODE_EXTRA_CA_CERTS": "/ca.pem", "NPM_CONFIG_CAFILE": "/ca.pem",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1", "GIT_TERMINAL_PROMPT": "0" },
        "limits": { "memory_max_mib": null },
    });
    let urllib = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1]).read().decode())";
    let requests = "import sys; from pip._vendor import requests; print(requests.get(sys.argv[1]).text)";
    // Node's own client does not read the variables before version 24, so this is what its libraries do.
    let node = "const u=new URL(process.argv[1]),p=new URL(process.env.HTTPS_PROXY);\
        require('http').request({host:p.hostname,port:p.port,method:'CONNECT',path:u.host,headers:{host:u.host}}).on('connect',(r,s)=>{\
        if(r.statusCode!=200){console.error('proxy said '+r.statusCode+' '+r.statusMessage);process.exit(1)}\
        require('https').get(u,{socket:s,agent:false},r=>{r.on('data',d=>process.stdout.write(d))})}).end()";
    for (name, argv, good, listed) in [
        ("curl", vec!["curl", "-sS", "-d", "sent", "ORIGIN/x"], "sent", "403"),
        ("urllib", vec!["python3", "-c", urllib, "ORIGIN/page"], "a page", "is not on the list"),
        ("requests", vec!["python3", "-c", requests, "ORIGIN/page"], "a page", "is not on the list"),
        (
            "pip",
            vec![
                "python3",
                "-m",
                "pip",
                "download",
                "-q",
                "--retries",
                "1",
                "--no-cache-dir",
                "-d",
                "/scratch",
                "-i",
                "ORIGIN/simple/",
                "tiny",
            ],
            "",
            "is not on the list",
        ),
        (
            "git",
            vec!["sh", "-c", "git clone -q ORIGIN/repo.git /tmp/r && cat /tmp/r/file"],
            "in the repository",
            "403",
        ),
        ("node", vec!["node", "-e", node, "ORIGIN/page"], "a page", "is not on the list"),
        (
            "npm",
            vec!["npm", "view", "--fetch-retries=0", "--registry=ORIGIN/", "tiny", "version"],
            "1.0.0",
            "403",
        ),
    ] {
        let at = |host: &str| {
            let url = format!("https://{host}:{port}");
            let argv: Vec<String> = argv.iter().map(|word| word.replace("ORIGIN", &url)).collect();
            let words: Vec<&str> = argv.iter().map(String::as_str).collect();
            call(&words, &rules)
        };
        let good_call = at("secure.test");
        match house.connector.perform(&good_call).await {
            CallResult::Done { output, .. } => {
                let told: Value = serde_json::from_slice(&output).unwrap();
                assert_eq!(told["stdout"].as_str().unwrap().trim(), good, "{name}: {told}");
            }
            other => panic!("{name}: {other:?}"),
        }
        let traffic = good_call.traffic.get().unwrap();
        assert!(traffic.let_through > 0 && traffic.in_bytes > 0, "{name}: {traffic:?}");
        let bad_call = at("other.test");
        match house.connector.perform(&bad_call).await {
            CallResult::Failed { code: "process_exit", output: Some(output), .. } => {
                let told: Value = serde_json::from_slice(&output).unwrap();
                assert!(told["stderr"].as_str().unwrap().contains(listed), "{name}: {told}");
            }
            other => panic!("{name}: {other:?}"),
        }
        let traffic = bad_call.traffic.get().unwrap();
        assert!(traffic.let_through == 0 && traffic.refused > 0, "{name}: {traffic:?}");
    }
}
