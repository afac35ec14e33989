//! `aecl servers`: an operator logs in at a server that wants it, sees where somebody is, and logs out.

use crate::program::{Aecl, Ran, read};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Stdio};

const TOKEN: &str = "a-token-that-nobody-sees";

/// A server with one tool, that gives its tokens itself.
struct Tracker {
    url: String,
    _runtime: tokio::runtime::Runtime,
}

impl Tracker {
    fn start() -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let here = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().fallback(answer).with_state(here.clone());
        runtime.spawn(async move { axum::serve(listener, app).await });
        Self { url: format!("{here}/mcp"), _runtime: runtime }
    }
}

async fn answer(State(here): State<String>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let message: Value = serde_json::from_slice(&body).unwrap_or_default();
    let with = parts.headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
    let json = |value: Value| axum::Json(value).into_response();
    let at = |path: &str| format!("{here}{path}");
    match parts.uri.path() {
        "/mcp" if with != Some(format!("Bearer {TOKEN}")) => {
            let challenge = "Bearer scope=\"issues:read\"";
            (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, challenge)]).into_response()
        }
        "/mcp" => match message["method"].as_str().unwrap_or_default() {
            "initialize" => json(json!({"jsonrpc": "2.0", "id": message["id"], "result": {
                "protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": {"name": "t", "version": "1"},
            }})),
            "tools/list" => json(json!({"jsonrpc": "2.0", "id": message["id"], "result": {
                "tools": [{"name": "list_issues", "inputSchema": {"type": "object"}}],
            }})),
            "notifications/initialized" => StatusCode::ACCEPTED.into_response(),
            _ => StatusCode::NOT_FOUND.into_response(),
        },
        "/.well-known/oauth-protected-resource/mcp" => {
            json(json!({"resource": at("/mcp"), "authorization_servers": [here]}))
        }
        "/.well-known/oauth-authorization-server" => json(json!({
            "issuer": here, "authorization_endpoint": at("/authorize"), "token_endpoint": at("/token"),
            "registration_endpoint": at("/register"), "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["none"],
        })),
        "/register" => json(json!({"client_id": "made-here"})),
        "/authorize" => {
            let asked = format!("{here}{}", parts.uri);
            let asked: url::Url = asked.parse().unwrap();
            let of = |name: &str| asked.query_pairs().find(|(key, _)| key == name).unwrap().1.into_owned();
            Redirect::to(&format!("{}?code=a-code&state={}", of("redirect_uri"), of("state"))).into_response()
        }
        "/token" => json(json!({"access_token": TOKEN, "token_type": "Bearer", "expires_in": 3600})),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

/// A home with that server in its configuration, and one that is a program.
fn home(place: &tempfile::TempDir, tracker: &Tracker) -> Aecl {
    let aecl = Aecl::on(&place.path().join("home"));
    aecl.run(&["init", "--agent", "helper", "--server", "tracker"]).ended(0);
    let servers = json!({
        "tracker": {"kind": "http", "url": tracker.url, "allow_private": true},
        "files": {"kind": "stdio", "command": "true"},
    });
    let file = aecl.dir().join("aecl.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("servers: {}", &format!("servers: {servers}"))).unwrap();
    aecl
}

/// A log-in that waits for the browser, and what it said first.
fn begin(aecl: &Aecl, more: &[&str]) -> (Child, Value) {
    let args = [&["--json", "servers", "login", "tracker"], more].concat();
    let mut command = aecl.command(&args);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    out.read_line(&mut line).unwrap();
    child.stdout = Some(out.into_inner());
    let Ok(said) = serde_json::from_str(&line) else {
        panic!("{line} {}", read(child.wait_with_output().unwrap()).err);
    };
    (child, said)
}

fn end(mut child: Child) -> Ran {
    drop(child.stdin.take());
    read(child.wait_with_output().unwrap())
}

/// What a browser hears: the head and the body of an answer.
fn get(url: &str) -> String {
    let url: url::Url = url.parse().unwrap();
    let host = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap());
    let mut stream = TcpStream::connect(&host).unwrap();
    let target = &url[url::Position::BeforePath..];
    write!(stream, "GET {target} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Where a person who says yes is sent.
fn say_yes(offer: &Value) -> String {
    let answer = get(offer["page"].as_str().unwrap());
    let back = answer.lines().find_map(|line| line.strip_prefix("location: ")).unwrap();
    back.to_owned()
}

#[test]
fn an_operator_logs_in_sees_it_and_logs_out() {
    let (place, tracker) = (tempfile::tempdir().unwrap(), Tracker::start());
    let aecl = home(&place, &tracker);
    // Nobody is logged in: everything that meets it names the command.
    let refused = aecl.run(&["catalog", "import", "tracker"]).ended(1);
    assert!(refused.err.contains("`aecl servers login tracker`"), "{}", refused.err);
    let status = aecl.run(&["--json", "servers", "status"]).ended(0).json();
    assert_eq!(status["servers"][0]["state"], "logged_out");
    assert_eq!(status["servers"][0]["wanted_scopes"], json!(["issues:read"]));
    let doctor = aecl.run(&["doctor"]).ended(1);
    assert!(doctor.out.contains("`aecl servers login tracker`"), "{}", doctor.out);

    let (child, offer) = begin(&aecl, &["--no-browser"]);
    assert_eq!((&offer["url"], &offer["scopes"]), (&json!(tracker.url), &json!(["issues:read"])));
    let page = get(&say_yes(&offer));
    assert!(page.starts_with("HTTP/1.1 200") && page.contains("logged in"), "{page}");
    let done = end(child).ended(0).json();
    assert_eq!((&done["server"], &done["renews"]), (&json!("tracker"), &json!(false)));

    aecl.run(&["catalog", "import", "tracker"]).ended(0);
    let status = aecl.run(&["servers", "status"]).ended(0);
    assert!(status.out.contains("logged in") && status.out.contains("issues:read"), "{}", status.out);
    let listed = aecl.run(&["--json", "secrets", "list"]).ended(0).json();
    assert_eq!(listed["secrets"], json!([]), "a log-in is nobody's secret to name");
    let doctor = aecl.run(&["doctor"]);
    assert!(doctor.out.contains("logged in at 1 server"), "{}", doctor.out);
    for text in [offer.to_string(), done.to_string(), status.out, doctor.out] {
        assert!(!text.contains(TOKEN), "{text}");
    }

    aecl.run(&["servers", "logout", "tracker"]).ended(0);
    let twice = aecl.run(&["servers", "logout", "tracker"]).ended(1);
    assert!(twice.err.contains("nobody is logged in"), "{}", twice.err);
    aecl.run(&["catalog", "import", "tracker"]).ended(1);
}

#[test]
fn an_address_that_is_brought_by_hand_is_held_to_the_same() {
    let (place, tracker) = (tempfile::tempdir().unwrap(), Tracker::start());
    let aecl = home(&place, &tracker);
    for (brought, why) in [
        ("a-code", "no address"),
        ("http://127.0.0.1:1/callback?code=a-code", "not the address that begins with"),
        ("", "no address"),
    ] {
        let (mut child, _) = begin(&aecl, &["--paste"]);
        writeln!(child.stdin.as_mut().unwrap(), "{brought}").unwrap();
        let ran = end(child).ended(1);
        assert!(ran.out.contains(why), "{brought}: {}", ran.out);
    }
    let (mut child, offer) = begin(&aecl, &["--paste"]);
    let back = say_yes(&offer);
    writeln!(child.stdin.as_mut().unwrap(), "{back}").unwrap();
    end(child).ended(0);
}

#[test]
fn what_cannot_be_logged_in_to_says_why_and_what_to_do() {
    let (place, tracker) = (tempfile::tempdir().unwrap(), Tracker::start());
    let aecl = home(&place, &tracker);
    for (args, says) in [
        (&["trackr"][..], "did you mean `tracker`"),
        (&["elsewhere"], "say its address with --url"),
        (&["files"], "a program that AECL starts"),
        (&["tracker", "--url", "https://evil.example/mcp"], "leave out --url"),
        (&["--url", "http://example.com/mcp"], "is not reached over `https`"),
        (&["--url", "https://10.0.0.1/mcp", "inside"], "private network"),
    ] {
        let ran = aecl.run(&[&["servers", "login"], args].concat()).ended(1);
        assert!(ran.err.contains(says) && ran.err.contains("hint: "), "{args:?}: {}", ran.err);
    }
    aecl.run(&["servers", "login"]).ended(2);
    let help = aecl.run(&["help", "upstream_login_needed"]).ended(0);
    assert!(help.out.contains("`aecl servers login SERVER`"), "{}", help.out);
}
