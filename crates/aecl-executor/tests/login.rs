//! Log-ins at servers: discovery, the way through a browser, use, renewal, and what hostile parties try at each step.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aecl_egress::egress::Egress;
use aecl_egress::login::{Flow, LoginError, LoginResult, LoginStore, OauthSpec, revoke};
use aecl_egress::vault::{SecretStore, Vault};
use aecl_executor::connectors::mcp::{
    ClientFace, Handshake, McpConnector, Transport, Upstream, UpstreamSpec,
};
use aecl_executor::{Call, CallResult, Connector, fake};
use aecl_kernel::define::connector::ConnectorSpec;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use serde_json::{Value, json};

/// A server and its authorization server, each at an address of its own, and what they do wrong.
#[derive(Clone, Default)]
struct Peers(Arc<Mutex<Book>>);

#[derive(Default)]
struct Book {
    wrong: &'static str,
    server: String,
    issuer: String,
    /// Tokens that the server takes, with their scopes.
    good: BTreeMap<String, String>,
    /// The one refresh token that is good; the former ones are a theft.
    refresh: Option<String>,
    /// What a call of a tool needs.
    needs: &'static str,
    /// What codes are good for, by their challenge.
    codes: BTreeMap<String, (String, String)>,
    life_s: u64,
    made: u64,
    /// Method or path, and the `Authorization` that came with it.
    seen: Vec<(String, Option<String>)>,
}

impl Peers {
    fn seen(&self, what: &str) -> Vec<Option<String>> {
        let book = self.0.lock().unwrap();
        book.seen.iter().filter(|(seen, _)| seen == what).map(|(_, with)| with.clone()).collect()
    }

    fn change<T>(&self, change: impl FnOnce(&mut Book) -> T) -> T {
        change(&mut self.0.lock().unwrap())
    }
}

fn document(value: Value) -> Response {
    axum::Json(value).into_response()
}

/// A body without an end.
fn endless() -> Response {
    let stream = futures_util::stream::repeat_with(|| Ok::<_, Infallible>("{\"resource\": \"".repeat(4096)));
    ([(header::CONTENT_TYPE, "application/json")], Body::from_stream(stream)).into_response()
}

fn fields(text: &str) -> BTreeMap<String, String> {
    url::form_urlencoded::parse(text.as_bytes()).into_owned().collect()
}

async fn serve(State(peers): State<Peers>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let authorization = parts.headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
    let path = parts.uri.path().to_owned();
    let mut book = peers.0.lock().unwrap();
    let message: Value = serde_json::from_slice(&body).unwrap_or_default();
    let what = message["method"].as_str().map_or(path.clone(), str::to_owned);
    book.seen.push((what, authorization.clone()));
    match path.as_str() {
        "/mcp" => mcp(&book, &parts.headers, &message, authorization.as_deref()),
        "/.well-known/oauth-protected-resource/mcp" => match book.wrong {
            "endless metadata" => endless(),
            "metadata elsewhere" => Redirect::temporary(&format!("{}/stolen", book.issuer)).into_response(),
            "other resource" => document(
                json!({"resource": "https://victim.example/mcp", "authorization_servers": [book.issuer]}),
            ),
            "plain issuer" => document(
                json!({"resource": format!("{}/mcp", book.server), "authorization_servers": ["http://login.example"]}),
            ),
            "private issuer" => document(
                json!({"resource": format!("{}/mcp", book.server), "authorization_servers": ["https://10.0.0.1"]}),
            ),
            "no metadata" => StatusCode::NOT_FOUND.into_response(),
            _ => document(
                json!({"resource": format!("{}/mcp", book.server), "authorization_servers": [book.issuer]}),
            ),
        },
        "/.well-known/oauth-authorization-server" if book.wrong != "no metadata" => issuer(&book),
        "/register" => {
            let made = json!({"client_id": "made-here", "redirect_uris": message["redirect_uris"]});
            (StatusCode::CREATED, document(made)).into_response()
        }
        "/authorize" => {
            let asked = fields(parts.uri.query().unwrap());
            let code = format!("code-{}", book.codes.len());
            let scope = asked.get("scope").cloned().unwrap_or_default();
            book.codes.insert(code.clone(), (asked["code_challenge"].clone(), scope));
            let iss = match book.wrong {
                "another answers" => "https://evil.example".to_owned(),
                "nobody answers" => String::new(),
                _ => book.issuer.clone(),
            };
            let mut back: url::Url = asked["redirect_uri"].parse().unwrap();
            back.query_pairs_mut().append_pair("code", &code).append_pair("state", &asked["state"]);
            if !iss.is_empty() {
                back.query_pairs_mut().append_pair("iss", &iss);
            }
            Redirect::to(back.as_str()).into_response()
        }
        "/token" => token(&mut book, &fields(&String::from_utf8_lossy(&body))),
        "/revoke" => {
            let token = fields(&String::from_utf8_lossy(&body)).remove("token").unwrap();
            book.good.remove(&token);
            book.refresh.take_if(|refresh| *refresh == token);
            StatusCode::OK.into_response()
        }
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

fn issuer(book: &Book) -> Response {
    let at = |path: &str| format!("{}{path}", book.issuer);
    let mut said = json!({
        "issuer": book.issuer, "authorization_endpoint": at("/authorize"), "token_endpoint": at("/token"),
        "registration_endpoint": at("/register"), "revocation_endpoint": at("/revoke"),
        "code_challenge_methods_supported": ["S256"], "response_types_supported": ["code"],
        "token_endpoint_auth_methods_supported": ["none"], "authorization_response_iss_parameter_supported": true,
    });
    match book.wrong {
        "speaks for another" => said["issuer"] = "https://victim.example".into(),
        "no pkce" => said["code_challenge_methods_supported"] = json!(["plain"]),
        "page is a file" => said["authorization_endpoint"] = "file:///etc/passwd".into(),
        "page is a script" => said["authorization_endpoint"] = "javascript:alert(1)".into(),
        "page has a user" => said["authorization_endpoint"] = "https://a@b.example/".into(),
        "token goes plain" => said["token_endpoint"] = "http://login.example/token".into(),
        "token goes inside" => said["token_endpoint"] = "https://169.254.169.254/token".into(),
        _ => {}
    }
    document(said)
}

fn token(book: &mut Book, asked: &BTreeMap<String, String>) -> Response {
    let no = |code: &str| {
        (StatusCode::BAD_REQUEST, document(json!({"error": code, "error_description": "secret"})))
            .into_response()
    };
    let scope = match asked["grant_type"].as_str() {
        "authorization_code" => {
            use base64::Engine as _;
            use sha2::Digest as _;
            let Some((challenge, scope)) = book.codes.remove(&asked["code"]) else {
                return no("invalid_grant");
            };
            let digest = sha2::Sha256::digest(asked["code_verifier"].as_bytes());
            if base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(digest) != challenge {
                return no("invalid_grant");
            }
            scope
        }
        "refresh_token" if book.refresh.as_ref() == Some(&asked["refresh_token"]) => "read".to_owned(),
        // Used twice: somebody has stolen it. Everything that came of it ends.
        _ => {
            book.refresh = None;
            book.good.clear();
            return no("invalid_grant");
        }
    };
    if book.wrong == "a page for a token" {
        return ([(header::CONTENT_TYPE, "text/html")], "<html>log in</html>").into_response();
    }
    if book.wrong == "busy" {
        return (StatusCode::SERVICE_UNAVAILABLE, "later").into_response();
    }
    assert_eq!(asked["resource"], format!("{}/mcp", book.server));
    book.made += 1;
    let (access, refresh) = (format!("token-number-{}", book.made), format!("refresh-number-{}", book.made));
    book.good.clear();
    book.good.insert(access.clone(), scope.clone());
    book.refresh = Some(refresh.clone());
    document(json!({
        "access_token": access, "token_type": "bearer", "expires_in": book.life_s, "refresh_token": refresh, "scope": scope,
    }))
}

fn mcp(book: &Book, headers: &HeaderMap, message: &Value, authorization: Option<&str>) -> Response {
    let token = authorization.and_then(|text| text.strip_prefix("Bearer "));
    let scopes = token.and_then(|token| book.good.get(token));
    let metadata = match book.wrong {
        "metadata of a stranger" => "https://evil.example/metadata".to_owned(),
        _ => format!("{}/.well-known/oauth-protected-resource/mcp", book.server),
    };
    let Some(scopes) = scopes else {
        let challenge = format!("Bearer scope=\"read\", resource_metadata=\"{metadata}\"");
        let challenge = if book.wrong == "no metadata" { "Bearer".to_owned() } else { challenge };
        return (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, challenge)]).into_response();
    };
    let (id, method) = (&message["id"], message["method"].as_str().unwrap_or_default());
    if method == "tools/call" && !scopes.split(' ').any(|scope| scope == book.needs) {
        let challenge = format!(
            "Bearer error=\"insufficient_scope\", scope=\"{}\", resource_metadata=\"{metadata}\"",
            book.needs
        );
        return (StatusCode::FORBIDDEN, [(header::WWW_AUTHENTICATE, challenge)]).into_response();
    }
    if id.is_null() {
        return StatusCode::ACCEPTED.into_response();
    }
    let result = match method {
        "initialize" => json!({"protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": {}}),
        // What it was given, it gives back.
        "tools/call" => json!({"content": [], "echo": format!("{headers:?} {}", token.unwrap_or_default())}),
        _ => {
            return document(json!({"jsonrpc": "2.0", "id": id, "error": {"code": -32601, "message": "no"}}));
        }
    };
    document(json!({"jsonrpc": "2.0", "id": id, "result": result}))
}

struct World {
    peers: Peers,
    url: String,
    spec: OauthSpec,
    home: tempfile::TempDir,
    now_s: Arc<AtomicU64>,
}

async fn listen(peers: &Peers) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = Router::new().fallback(serve).with_state(peers.clone());
    tokio::spawn(async move { axum::serve(listener, app).await });
    format!("http://{address}")
}

async fn world(wrong: &'static str) -> World {
    let peers = Peers::default();
    let (server, issuer) = (listen(&peers).await, listen(&peers).await);
    let url = format!("{server}/mcp");
    peers.change(|book| {
        (book.server, book.issuer) = (server, issuer);
        (book.wrong, book.life_s, book.needs) = (wrong, 3600, "read");
    });
    let spec = OauthSpec { allow_private: true, ..OauthSpec::default() };
    World { peers, url, spec, home: tempfile::tempdir().unwrap(), now_s: Arc::new(AtomicU64::new(1_000_000)) }
}

impl World {
    fn logins(&self) -> LoginStore {
        let store = SecretStore::new(self.home.path().join("logins"), self.home.path().join("key"));
        let now_s = Arc::clone(&self.now_s);
        LoginStore::new(store, move || now_s.load(Ordering::Relaxed))
    }

    fn vault(&self) -> Vault {
        Vault::with_logins(None, self.logins())
    }

    async fn begin(&self) -> Result<Flow, LoginError> {
        Flow::begin("web", &self.url, true, &self.spec, &self.vault(), Egress::default()).await
    }

    async fn login(&self) -> Result<LoginResult, LoginError> {
        let flow = self.begin().await?;
        let page = flow.offer().page.clone().unwrap();
        let browser = tokio::spawn(async move { browse(&page).await });
        let done = flow.wait(Duration::from_secs(20)).await;
        browser.await.unwrap();
        done
    }

    /// A desk of its own, as another process would have it.
    fn desk(&self) -> McpConnector {
        let transport = Transport::http(&self.url, BTreeMap::new(), true);
        let Transport::Http {
            url,
            headers,
            allow_private,
            credential_scope,
            timeout_ms,
            trust_annotations,
            ..
        } = transport
        else {
            panic!()
        };
        let oauth = Some(self.spec.clone());
        let transport = Transport::Http {
            url,
            headers,
            allow_private,
            oauth,
            listen: false,
            credential_scope,
            timeout_ms,
            trust_annotations,
        };
        let how = Handshake::Probe(ClientFace::default());
        let spec = UpstreamSpec::new("web", transport);
        let desk = McpConnector::default();
        desk.insert(None, Upstream::lazy(spec, how, Egress::default(), self.vault()));
        desk
    }
}

/// What a browser does whose user says yes to everything.
async fn browse(page: &str) {
    let client =
        reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap();
    let answer = client.get(page).send().await.unwrap();
    let back = answer.headers()["location"].to_str().unwrap().to_owned();
    let said = client.get(back).send().await.unwrap().text().await.unwrap();
    assert!(said.contains("can be closed"), "{said}");
}

fn call() -> Call {
    let mut call = fake::call("web.echo", "{}");
    call.connector = ConnectorSpec::Mcp { server: "web".into(), tool: "echo".into(), method: None };
    call.timeout_ms = 20_000;
    call
}

fn word(performed: &CallResult) -> String {
    match performed {
        CallResult::Done { output, .. } => format!("done {}", String::from_utf8_lossy(output)),
        CallResult::Failed { code, message, .. } => format!("failed {code}: {message}"),
        CallResult::Unknown { code, message, .. } => format!("unknown {code}: {message}"),
    }
}

#[tokio::test]
async fn somebody_logs_in_once_and_calls_carry_the_token() {
    let world = world("").await;
    let desk = world.desk();
    let said = word(&desk.perform(&call()).await);
    assert!(
        said.starts_with("failed upstream_login_needed: `web` wants a log-in: nobody has logged in there"),
        "{said}"
    );
    assert!(said.contains("`aecl servers login web`"), "{said}");
    assert!(world.peers.seen("tools/call").is_empty());

    let done = world.login().await.unwrap();
    assert_eq!((done.scopes, done.renews), (vec!["read".to_owned()], true));
    let said = word(&desk.perform(&call()).await);
    assert!(said.starts_with("done "), "{said}");
    // The server said it, nobody here repeats it.
    assert!(said.contains("[secret login:web]") && !said.contains("token-number"), "{said}");
    assert_eq!(world.peers.seen("tools/call"), [Some("Bearer token-number-1".to_owned())]);
    for file in std::fs::read_dir(world.home.path().join("logins")).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(6).any(|six| six == b"token-" || six == b"number"));
    }
    let kept = world.logins().of("web").unwrap().unwrap();
    assert!(!format!("{kept:?}").contains("number"), "{kept:?}");
}

#[tokio::test]
async fn a_token_that_ends_is_renewed_once_by_whoever_is_first() {
    let world = world("").await;
    world.login().await.unwrap();
    world.now_s.fetch_add(3590, Ordering::Relaxed);
    // Four desks as four processes would have them, and several calls of each.
    let desks: Vec<McpConnector> = (0..4).map(|_| world.desk()).collect();
    let call = call();
    let calls = desks.iter().flat_map(|desk| [desk.perform(&call), desk.perform(&call), desk.perform(&call)]);
    for performed in futures_util::future::join_all(calls).await {
        let said = word(&performed);
        assert!(said.starts_with("done "), "{said}");
    }
    assert_eq!(world.peers.change(|book| book.made), 2, "one log-in, one renewal");
    assert!(
        world.peers.seen("tools/call").iter().all(|with| with.as_deref() == Some("Bearer token-number-2"))
    );
}

#[tokio::test]
async fn a_token_that_is_refused_early_is_renewed_and_the_call_made_once() {
    let world = world("").await;
    world.login().await.unwrap();
    let desk = world.desk();
    assert!(word(&desk.perform(&call()).await).starts_with("done "));
    world.peers.change(|book| book.good.clear());
    assert!(word(&desk.perform(&call()).await).starts_with("done "));
    let seen = world.peers.seen("tools/call");
    let with = |number: u8| Some(format!("Bearer token-number-{number}"));
    assert_eq!(seen, [with(1), with(1), with(2)], "the second was refused before anything was looked at");
}

#[tokio::test]
async fn a_log_in_that_was_revoked_ends_with_a_code_and_asks_nobody_any_more() {
    let world = world("").await;
    world.login().await.unwrap();
    let desk = world.desk();
    assert!(word(&desk.perform(&call()).await).starts_with("done "));
    world.peers.change(|book| {
        book.good.clear();
        book.refresh = None;
    });
    let said = word(&desk.perform(&call()).await);
    assert!(
        said.starts_with("failed upstream_login_needed: `web` wants a log-in: the log-in has ended"),
        "{said}"
    );
    assert!(!said.contains("secret"), "{said}");
    let before = world.peers.change(|book| book.seen.len());
    let again = word(&world.desk().perform(&call()).await);
    assert!(again.starts_with("failed upstream_login_needed"), "{again}");
    assert_eq!(world.peers.change(|book| book.seen.len()), before, "nothing was sent");
    world.login().await.unwrap();
    assert!(word(&desk.perform(&call()).await).starts_with("done "));
}

#[tokio::test]
async fn an_authorization_server_that_is_away_ends_nothing() {
    let world = world("").await;
    world.login().await.unwrap();
    let desk = world.desk();
    world.now_s.fetch_add(7200, Ordering::Relaxed);
    for wrong in ["busy", "a page for a token"] {
        world.peers.change(|book| book.wrong = wrong);
        let said = word(&desk.perform(&call()).await);
        assert!(said.starts_with("failed upstream_not_connected"), "{wrong}: {said}");
    }
    world.peers.change(|book| book.wrong = "");
    let desk = world.desk();
    assert!(word(&desk.perform(&call()).await).starts_with("done "));
}

#[tokio::test]
async fn a_log_in_is_for_one_address_and_for_no_other() {
    let world = world("").await;
    world.login().await.unwrap();
    // The same name, as a client may give it to an address of its own choice.
    let other = World { url: format!("{}/mcp", listen(&world.peers).await), ..world };
    let said = word(&other.desk().perform(&call()).await);
    assert!(said.contains("upstream_login_needed") && said.contains("for another address"), "{said}");
    assert!(other.peers.seen("initialize").iter().all(Option::is_none));
    // What that address wants is not what the next log-in asks for elsewhere.
    let wanted = other.logins().wanted("web").unwrap().unwrap();
    assert_eq!(wanted.url, other.url);
}

#[tokio::test]
async fn more_is_asked_for_once_and_what_was_given_is_kept() {
    let world = world("").await;
    world.login().await.unwrap();
    world.peers.change(|book| book.needs = "write");
    let desk = world.desk();
    let said = word(&desk.perform(&call()).await);
    assert!(
        said.starts_with("failed upstream_login_needed: `web` wants a log-in: it wants more than"),
        "{said}"
    );
    assert_eq!(world.begin().await.unwrap().offer().scopes.clone().unwrap(), ["read", "write"]);
    world.login().await.unwrap();
    assert!(word(&desk.perform(&call()).await).starts_with("done "));
    // It asks for what the log-in has: another log-in would bring the same.
    world.peers.change(|book| {
        book.needs = "read";
        book.good.values_mut().for_each(String::clear);
    });
    let said = word(&desk.perform(&call()).await);
    assert!(said.starts_with("failed upstream_scope_refused"), "{said}");
}

#[tokio::test]
async fn nobody_in_between_gets_a_code_or_a_token() {
    for (wrong, why) in [
        ("other resource", "has metadata of another place, `https://victim.example/mcp`"),
        ("metadata of a stranger", "names `https://evil.example/metadata` as the place of its metadata"),
        ("metadata elsewhere", "answers with status 307"),
        ("endless metadata", "answers with more than 262144 bytes"),
        ("plain issuer", "is not reached over `https`"),
        ("private issuer", "`10.0.0.1`"),
        ("speaks for another", "say that they are of `https://victim.example`"),
        ("no pkce", "does not say that it checks PKCE"),
        ("page is a file", "is not reached over `https`"),
        ("page is a script", "is not reached over `https`"),
        ("page has a user", "holds a user name"),
        ("token goes plain", "is not reached over `https`"),
        ("token goes inside", "cloud metadata"),
        ("no metadata", "says nowhere who gives tokens for it"),
    ] {
        let mut world = world(wrong).await;
        world.spec.allow_private = wrong != "private issuer";
        let error = world.begin().await.map(|flow| format!("{flow:?}")).unwrap_err().to_string();
        assert!(error.contains(why), "{wrong}: {error}");
        for never in ["/register", "/authorize", "/token", "/stolen"] {
            assert!(world.peers.seen(never).is_empty(), "{wrong}: {never}");
        }
    }
}

#[tokio::test]
async fn an_answer_of_another_authorization_server_brings_no_token() {
    for (wrong, why) in [
        ("another answers", "the answer comes from `https://evil.example`"),
        ("nobody answers", "does not say that it comes from"),
        ("a page for a token", "answers with something that is no token"),
    ] {
        let world = world(wrong).await;
        let flow = world.begin().await.unwrap();
        let page = flow.offer().page.clone().unwrap();
        let browser = tokio::spawn(async move { browse(&page).await });
        let error = flow.wait(Duration::from_secs(20)).await.unwrap_err().to_string();
        browser.await.unwrap();
        assert!(error.contains(why), "{wrong}: {error}");
        assert_eq!(world.peers.seen("/token").len(), usize::from(wrong == "a page for a token"));
        assert!(world.logins().of("web").unwrap().is_none());
    }
}

#[tokio::test]
async fn an_address_inside_needs_a_word_of_the_operator() {
    let mut world = world("").await;
    world.spec.allow_private = false;
    let error = world.begin().await.map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("loopback") || error.contains("https"), "{error}");
    assert!(world.peers.seen("/.well-known/oauth-authorization-server").is_empty());
}

#[tokio::test]
async fn who_knocks_without_the_state_neither_gets_in_nor_ends_the_log_in() {
    let world = world("").await;
    let flow = world.begin().await.unwrap();
    let (page, door) = (flow.offer().page.clone().unwrap(), flow.offer().redirect.clone().unwrap());
    let waiting = tokio::spawn(flow.wait(Duration::from_secs(20)));
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    for query in ["?code=stolen", "?code=stolen&state=guess", "?error=access_denied", ""] {
        let answer = client.get(format!("{door}{query}")).send().await.unwrap();
        assert_eq!(answer.status(), 400, "{query}");
    }
    // Some say nothing, and some say too much; nobody keeps the door shut.
    let address = door.trim_start_matches("http://").trim_end_matches("/callback").to_owned();
    let silent: Vec<_> =
        futures_util::future::join_all((0..8).map(|_| tokio::net::TcpStream::connect(&address))).await;
    let long = client.get(&door).header("x", "y".repeat(20_000)).send().await;
    assert!(long.is_err() || long.unwrap().status() == 431);
    browse(&page).await;
    drop(silent);
    waiting.await.unwrap().unwrap();
    assert_eq!(world.peers.seen("/token").len(), 1);
}

#[tokio::test]
async fn a_log_in_that_ends_is_given_back() {
    let world = world("").await;
    world.login().await.unwrap();
    let kept = world.logins().take("web").unwrap().unwrap();
    assert!(revoke(&kept, true, &world.spec, &world.vault(), Egress::default()).await.unwrap());
    assert!(world.peers.change(|book| book.good.is_empty() && book.refresh.is_none()));
    assert!(world.logins().take("web").unwrap().is_none());
    let said = word(&world.desk().perform(&call()).await);
    assert!(said.contains("nobody has logged in there"), "{said}");
}
