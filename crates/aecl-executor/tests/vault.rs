//! Credentials from a vault over HTTP. No package of a registry that we use has a Vault or OpenBao server, so
//! the peer is a small one of our own that answers over real HTTP as their API documents it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aecl_egress::egress::Egress;
use aecl_egress::vault::{RemoteSpec, Vault};
use aecl_executor::connectors::http::HttpConnector;
use aecl_executor::connectors::mcp::{
    ClientFace, Handshake, McpConnector, Transport, Upstream, UpstreamSpec,
};
use aecl_executor::{Call, CallResult, Connector, fake};
use aecl_kernel::define::connector::ConnectorSpec;
use aecl_kernel::define::connector::http::HttpSpec;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

#[derive(Clone)]
struct Server(Arc<Mutex<Inner>>);

struct Inner {
    token: String,
    status: Option<u16>,
    lease_s: u64,
    renewable: bool,
    made: u32,
    /// Living leases, with how often each was renewed.
    leases: BTreeMap<String, u32>,
    seen: Vec<String>,
}

impl Server {
    fn with<T>(&self, look: impl FnOnce(&mut Inner) -> T) -> T {
        look(&mut self.0.lock().unwrap())
    }

    /// Waits until something is so.
    async fn until(&self, what: &str, is: impl Fn(&Inner) -> bool) {
        let late = Instant::now() + Duration::from_secs(20);
        while !self.with(|inner| is(inner)) {
            assert!(Instant::now() < late, "{what}: {:?}", self.with(|inner| inner.seen.clone()));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// What every answer with a body has around its data.
fn envelope(more: Value) -> Response {
    let mut answer = json!({
        "request_id": "6a0ec1b8-0f0d-4d4c-9f6a-6a55ea3ff8a5", "lease_id": "", "renewable": false, "lease_duration": 0,
        "data": null, "wrap_info": null, "warnings": null, "auth": null,
    });
    answer.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    ([(header::CONTENT_TYPE, "application/json")], answer.to_string()).into_response()
}

fn errors(status: StatusCode, texts: &[&str]) -> Response {
    let body = json!({ "errors": texts }).to_string();
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

async fn answer(State(server): State<Server>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body: Value =
        serde_json::from_slice(&axum::body::to_bytes(body, 1 << 20).await.unwrap()).unwrap_or_default();
    let path = parts.uri.path().to_owned();
    if path == "/v1/slow/data/a" {
        tokio::time::sleep(Duration::from_secs(20)).await;
    }
    server.with(|it| {
        it.seen.push(format!("{} {path}", parts.method));
        if let Some(status) = it.status {
            return errors(StatusCode::from_u16(status).unwrap(), &["Vault is sealed"]);
        }
        if parts.headers.get("x-vault-token").and_then(|t| t.to_str().ok()) != Some(it.token.as_str()) {
            return errors(StatusCode::FORBIDDEN, &["permission denied"]);
        }
        let lease_id = body["lease_id"].as_str().unwrap_or_default().to_owned();
        match (&parts.method, path.as_str()) {
            (&Method::GET, "/v1/secret/data/team/app") => {
                let metadata = json!({"created_time": "2026-01-01T00:00:00Z", "custom_metadata": null,
                    "deletion_time": "", "destroyed": false, "version": 3});
                let data = json!({"key": "kv-value-4711", "port": 5432, "two": "a\nb", "list": [1, {"a": null}]});
                envelope(json!({"data": {"data": data, "metadata": metadata}, "mount_type": "kv"}))
            }
            (&Method::GET, "/v1/secret/data/deleted") => {
                let metadata = json!({"deletion_time": "2026-01-02T00:00:00Z", "destroyed": false, "version": 1});
                let body = json!({"data": {"data": null, "metadata": metadata}}).to_string();
                (StatusCode::NOT_FOUND, body).into_response()
            }
            (&Method::GET, "/v1/odd/data/a") => "kv-value-in-garbage".into_response(),
            (&Method::GET, "/v1/odd/data/long") => "x".repeat(2 << 20).into_response(),
            (&Method::GET, "/v1/moved/data/a") => {
                (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, "http://127.0.0.1:1/")]).into_response()
            }
            (&Method::GET, "/v1/database/creds/readonly") => {
                it.made += 1;
                let id = format!("database/creds/readonly/{}", it.made);
                it.leases.insert(id.clone(), 0);
                let data = json!({"username": format!("v-user-{}", it.made), "password": format!("v-pass-{}", it.made)});
                envelope(json!({"lease_id": id, "lease_duration": it.lease_s, "renewable": it.renewable, "data": data}))
            }
            (&Method::PUT, "/v1/sys/leases/renew") => match it.leases.get_mut(&lease_id) {
                Some(renewed) => {
                    *renewed += 1;
                    envelope(json!({"lease_id": lease_id, "lease_duration": it.lease_s, "renewable": true}))
                }
                None => errors(StatusCode::BAD_REQUEST, &["lease not found"]),
            },
            (&Method::PUT, "/v1/sys/leases/revoke") => {
                it.leases.remove(&lease_id);
                StatusCode::NO_CONTENT.into_response()
            }
            _ => errors(StatusCode::NOT_FOUND, &[]),
        }
    })
}

async fn serve(app: Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

struct World {
    server: Server,
    vault: Vault,
    token: tempfile::NamedTempFile,
    spec: Value,
    target: SocketAddr,
    got: Arc<Mutex<Vec<String>>>,
}

impl World {
    async fn new() -> Self {
        let server = Server(Arc::new(Mutex::new(Inner {
            token: "hvs.token-1".into(),
            status: None,
            lease_s: 3600,
            renewable: true,
            made: 0,
            leases: BTreeMap::new(),
            seen: Vec::new(),
        })));
        let address = serve(Router::new().fallback(answer).with_state(server.clone())).await;
        let token = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(token.path(), "hvs.token-1\n").unwrap();
        let spec = json!({
            "address": format!("http://{address}"), "token": format!("file:{}", token.path().display()),
            "allow_private": true, "timeout_ms": 500, "mounts": {"database": "dynamic"},
        });
        let got = Arc::new(Mutex::new(Vec::new()));
        let told = got.clone();
        let note = async move |headers: HeaderMap| {
            let value = |name: &str| headers[name].to_str().unwrap().to_owned();
            told.lock().unwrap().push(format!("{} {}", value("x-user"), value("x-pass")));
            value("x-pass")
        };
        let target = serve(Router::new().fallback(note)).await;
        let world = Self { server, vault: Vault::default(), token, spec, target, got };
        world.configure(json!({}));
        world
    }

    fn configure(&self, more: Value) {
        let mut spec = self.spec.clone();
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let spec: RemoteSpec = serde_json::from_value(spec).unwrap();
        self.vault.configure(Some(spec)).unwrap();
    }

    fn call(&self, user: &str, pass: &str) -> Call {
        let spec: HttpSpec = serde_json::from_value(json!({
            "method": "POST", "url": format!("http://{}/x", self.target), "allow_private": true,
            "headers": {"X-User": user, "X-Pass": pass},
        }))
        .unwrap();
        let mut call = fake::call("act", "{}");
        call.connector = ConnectorSpec::Http(Box::new(spec));
        call.timeout_ms = 5_000;
        call
    }

    async fn perform(&self, user: &str, pass: &str) -> String {
        let http = HttpConnector::new(Egress::default(), self.vault.clone());
        match http.perform(&self.call(user, pass)).await {
            CallResult::Done { output, .. } => format!("done {}", String::from_utf8(output).unwrap()),
            CallResult::Failed { code, message, .. } => format!("{code} {message}"),
            CallResult::Unknown { code, message, .. } => format!("unknown {code} {message}"),
        }
    }
}

#[tokio::test]
async fn a_field_of_the_key_value_engine_is_read_when_it_is_used() {
    let world = World::new().await;
    let said = world.perform("app", "{secret:vault:secret/team/app#key}").await;
    assert_eq!(*world.got.lock().unwrap(), ["app kv-value-4711"]);
    assert!(said.contains("[secret vault:secret/team/app#key]") && !said.contains("4711"), "{said}");
    // The token is read when it is used, too.
    world.server.with(|it| it.token = "hvs.token-2".into());
    let said = world.perform("app", "{secret:vault:secret/team/app#key}").await;
    assert!(said.contains("the token has expired, or its policy"), "{said}");
    std::fs::write(world.token.path(), "hvs.token-2").unwrap();
    world.perform("app", "{secret:vault:secret/team/app#key}").await;
    assert_eq!(world.got.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn what_goes_wrong_is_said_with_a_way_out_and_nothing_is_sent() {
    let world = World::new().await;
    let check = async |reference: &str, expected: &str| {
        let said = world.perform("app", &format!("{{secret:{reference}}}")).await;
        assert!(said.starts_with("secret_missing ") && said.contains(expected), "{reference}: {said}");
        assert!(said.contains(reference), "{said}");
        for hidden in ["kv-value", "hvs.", "permission denied"] {
            assert!(!said.contains(hidden), "{said}");
        }
    };
    check("vault:secret/team/app#none", "no field of this name").await;
    check("vault:secret/team/app#port", "not text").await;
    check("vault:secret/team/app#list", "not text").await;
    check("vault:secret/team/app#two", "not one line").await;
    check("vault:secret/deleted#key", "nothing there").await;
    check("vault:secret/none#key", "nothing there").await;
    check("vault:odd/a#key", "not understood").await;
    check("vault:odd/long#key", "longer than 1 MiB").await;
    check("vault:moved/a#key", "points to another address").await;
    check("vault:slow/a#key", "did not answer within 500 ms").await;
    world.server.with(|it| it.status = Some(503));
    check("vault:secret/team/app#key", "sealed").await;
    world.server.with(|it| it.status = Some(500));
    check("vault:secret/team/app#key", "status 500").await;
    world.configure(json!({"token": "env:AECL_TEST_NEVER_SET"}));
    check("vault:secret/team/app#key", "the token of the vault cannot be had").await;
    world.configure(json!({"address": "http://127.0.0.1:1"}));
    check("vault:secret/team/app#key", "cannot be had").await;
    world.configure(json!({"allow_private": false}));
    check("vault:secret/team/app#key", "cannot be had").await;
    let (token, before) = (json!({"token": world.spec["token"]}), world.server.with(|it| it.seen.len()));
    world.configure(json!({"address": "http://127.0.0.1:1", "token": token["token"]}));
    check("vault:secret/team/app#key", "does not answer").await;
    world.configure(json!({"allow_private": false, "token": token["token"]}));
    check("vault:secret/team/app#key", "`https`").await;
    world.configure(json!({"address": "https://169.254.169.254"}));
    check("vault:secret/team/app#key", "cloud metadata").await;
    world.vault.configure(None).unwrap();
    check("vault:secret/team/app#key", "no vault is configured").await;
    assert_eq!(world.server.with(|it| it.seen.len()), before, "what may not be dialled was not");
    assert!(world.got.lock().unwrap().is_empty(), "nothing was sent");
}

#[tokio::test]
async fn a_credential_that_is_made_for_a_call_is_made_once_and_revoked_after_it() {
    let world = World::new().await;
    let creds = "vault:database/creds/readonly";
    let said =
        world.perform(&format!("{{secret:{creds}#username}}"), &format!("{{secret:{creds}#password}}")).await;
    assert!(said.starts_with("done ") && !said.contains("v-pass"), "{said}");
    assert_eq!(*world.got.lock().unwrap(), ["v-user-1 v-pass-1"], "both are of one lease");
    world.server.until("it is revoked", |it| it.leases.is_empty()).await;
    assert_eq!(world.server.with(|it| it.made), 1);
    let call = world.call("app", &format!("{{secret:{creds}#password}}"));
    HttpConnector::new(Egress::default(), world.vault.clone()).dry_run(&call).await;
    assert_eq!(world.server.with(|it| it.made), 1, "a dry run makes none");
    world.perform("app", &format!("{{secret:{creds}#none}}")).await;
    world.server.until("what was made in vain is revoked", |it| it.made == 2 && it.leases.is_empty()).await;
}

/// A tool server that starts with a password and can be asked which.
fn server_with(vault: &Vault) -> (McpConnector, Upstream) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/upstream_server.py");
    let env = BTreeMap::from([(
        "DB_PASSWORD".to_owned(),
        "{secret:vault:database/creds/readonly#password}".to_owned(),
    )]);
    let args = vec!["-u".into(), script.into(), "legacy".into(), "/dev/null".into()];
    let transport = Transport::stdio("python3", args, env);
    let upstream = Upstream::lazy(
        UpstreamSpec::new("db", transport),
        Handshake::Probe(ClientFace::default()),
        Egress::default(),
        vault.clone(),
    );
    let desk = McpConnector::default();
    desk.insert(None, upstream.clone());
    (desk, upstream)
}

#[tokio::test]
async fn a_lease_lives_as_long_as_the_server_that_was_started_with_it() {
    let world = World::new().await;
    world.server.with(|it| it.lease_s = 2);
    let (_desk, upstream) = server_with(&world.vault);
    upstream.hello().await.unwrap();
    assert_eq!(world.server.with(|it| it.leases.len()), 1);
    world.server.until("it is renewed", |it| it.leases.values().any(|renewed| *renewed >= 2)).await;
    assert!(upstream.is_connected());
    upstream.close().await;
    world.server.until("it is revoked", |it| it.leases.is_empty()).await;
}

#[tokio::test]
async fn a_server_whose_lease_ends_is_ended_and_starts_again_with_a_new_one() {
    let world = World::new().await;
    world.server.with(|it| (it.lease_s, it.renewable) = (1, false));
    let (_desk, upstream) = server_with(&world.vault);
    upstream.hello().await.unwrap();
    let late = Instant::now() + Duration::from_secs(20);
    while upstream.is_connected() {
        assert!(Instant::now() < late, "it outlives its credential");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    world.server.with(|it| it.lease_s = 3600);
    upstream.hello().await.unwrap();
    assert_eq!(world.server.with(|it| it.made), 2);
    world.server.until("the first is revoked", |it| it.leases.len() == 1).await;
    drop((_desk, upstream));
    assert!(world.vault.settle(Duration::from_secs(10)).await, "every lease was given back");
    assert_eq!(world.server.with(|it| it.leases.len()), 0);
}
