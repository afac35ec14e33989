//! How a client is greeted. It is offered exactly what the servers behind speak: a revision is neither
//! raised nor lowered silently.

use super::client_session::{ClientSession, Request};
use super::meta::{PREFIX, meta_of, stated};
use super::negotiated::Negotiated;
use super::task_capability::{announced, are_declared, are_known_in, without_tasks};
use super::wire::{
    INTERNAL_ERROR, INVALID_PARAMS, INVALID_REQUEST, METHOD_NOT_FOUND, Members, Refusal, UNSUPPORTED_VERSION,
    members_of, quoted, raw, raw_value,
};
use aecl_executor::connectors::mcp::{ClientFace, Era, Handshake, LEGACY, MODERN, RawReply, ServerHello};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How long a server may stay silent when a client wants to know whether it speaks the stateless revision.
/// A client that gets no answer asks in the older way, so this must be shorter than its patience.
const DISCOVER: Duration = Duration::from_secs(15);

impl ClientSession {
    /// The client begins in the older way.
    pub(super) async fn initialize(self: &Arc<Self>, request: &Request<'_>) -> Result<RawReply, Refusal> {
        let params = members_of(request.params).map_err(|why| Refusal::new(INVALID_PARAMS, why))?;
        let wanted = params.text("protocolVersion");
        let wanted = wanted.ok_or_else(|| Refusal::new(INVALID_PARAMS, "`protocolVersion` is missing"))?;
        self.has_tasks.store(are_declared(&params), Ordering::Relaxed);
        if self.has_own_connections() {
            let params = request.params.unwrap_or(RawValue::NULL).to_owned();
            self.greet(|| Handshake::Initialize(params.clone()));
        }
        let mut negotiated = self.negotiated.lock().await;
        let hellos = self.hellos(Negotiated::Legacy, &wanted).await?;
        *negotiated = Some(Negotiated::Legacy);
        if self.has_own_connections()
            && let [(server, hello)] = hellos.as_slice()
        {
            let version = match &hello.era {
                Era::Legacy(version) | Era::Modern(version) => version,
            };
            let said = self.heard(server, hello).await?;
            return Ok(RawReply::Result(self.with_tasks(&self.noted(said).await, version)));
        }
        let spoken = hellos.iter().filter_map(|(_, hello)| match &hello.era {
            Era::Legacy(version) => Some(version.clone()),
            Era::Modern(_) => None,
        });
        // Revisions are dates. On shared connections the client may speak an older one with us, which adds
        // nothing to what it knows.
        let version = spoken.chain(LEGACY.contains(&wanted.as_str()).then(|| wanted.clone())).min();
        let version = version.unwrap_or(wanted);
        if let [(server, hello)] = hellos.as_slice() {
            let mut result = self.heard(server, hello).await?;
            result.set("protocolVersion", raw(quoted(&version)));
            return Ok(RawReply::Result(self.with_tasks(&self.noted(result).await, &version)));
        }
        let mut result = self.together(&hellos).await?;
        result.insert("protocolVersion".into(), version.as_str().into());
        result.insert("serverInfo".into(), ourselves());
        let result = self.noted(members_of_value(result)).await;
        Ok(RawReply::Result(self.with_tasks(&result, &version)))
    }

    /// The client asks whether the stateless revision is spoken.
    pub(super) async fn discover(self: &Arc<Self>, request: &Request<'_>) -> Result<RawReply, Refusal> {
        let meta = meta_of(request.params)?;
        let mut negotiated = self.negotiated.lock().await;
        if self.has_own_connections() && *negotiated != Some(Negotiated::Modern) {
            let face = face(&meta);
            self.greet(|| Handshake::Discover(face.clone()));
        }
        let hellos = tokio::time::timeout(DISCOVER, self.hellos(Negotiated::Modern, MODERN)).await;
        let hellos = match hellos {
            Ok(Ok(hellos)) => hellos,
            // What a server of the older kind says to this method; the client then asks in the older way.
            Ok(Err(refusal)) => return Err(Refusal { code: METHOD_NOT_FOUND, ..refusal }),
            Err(_) => {
                return Err(Refusal::new(METHOD_NOT_FOUND, "the server does not answer `server/discover`"));
            }
        };
        *negotiated = Some(Negotiated::Modern);
        if let [(server, hello)] = hellos.as_slice() {
            let said = self.heard(server, hello).await?;
            let hello = self.noted(said).await;
            return Ok(RawReply::Result(announced(&hello, Negotiated::Modern)));
        }
        let mut result = self.together(&hellos).await?;
        result.insert("resultType".into(), "complete".into());
        result.insert("supportedVersions".into(), json!([MODERN]));
        result.insert("ttlMs".into(), 0.into());
        result.insert("cacheScope".into(), "private".into());
        result.insert("_meta".into(), json!({ format!("{PREFIX}serverInfo"): ourselves() }));
        let result = self.noted(members_of_value(result)).await;
        Ok(RawReply::Result(announced(&result, Negotiated::Modern)))
    }

    /// The greeting, with what the model should know about tools that it does not see.
    async fn noted(self: &Arc<Self>, mut greeting: Members) -> Box<RawValue> {
        self.with_kept_back(&mut greeting).await;
        greeting.raw()
    }

    /// What several servers can do together, and what each wants the model to know.
    async fn together(&self, hellos: &[(String, Arc<ServerHello>)]) -> Result<Map<String, Value>, Refusal> {
        let mut heard = Vec::new();
        for (server, hello) in hellos {
            heard.push((server.as_str(), self.heard(server, hello).await?));
        }
        Ok(together(&heard))
    }

    /// The greeting of the older era. To a client that knows tasks they are offered, from the revision on
    /// that has them.
    fn with_tasks(&self, hello: &RawValue, version: &str) -> Box<RawValue> {
        let known = self.offers_tasks() && are_known_in(version);
        self.has_tasks.store(known, Ordering::Relaxed);
        if known { announced(hello, Negotiated::Legacy) } else { hello.to_owned() }
    }

    /// How this request is spoken, once the servers behind are known to speak that way, too.
    pub(super) async fn ready(self: &Arc<Self>, meta: &Members) -> Result<Negotiated, Refusal> {
        let version =
            stated(meta, "protocolVersion").and_then(|v| serde_json::from_str::<String>(v.get()).ok());
        let way = match version.as_deref() {
            None => Negotiated::Legacy,
            Some(MODERN) => Negotiated::Modern,
            Some(other) => return Err(unsupported(other, &[MODERN])),
        };
        if !self.has_own_connections() {
            return Ok(way);
        }
        let mut negotiated = self.negotiated.lock().await;
        match (*negotiated, way) {
            (Some(known), way) if known == way => Ok(way),
            (Some(Negotiated::Legacy), _) => Err(unsupported(MODERN, &LEGACY)),
            (Some(Negotiated::Modern), _) => {
                let message = format!("`_meta` has no `{PREFIX}protocolVersion`");
                Err(Refusal::new(INVALID_PARAMS, message))
            }
            (None, Negotiated::Legacy) => Err(Refusal::new(
                INVALID_REQUEST,
                "the first request must be `initialize` or `server/discover`",
            )),
            (None, Negotiated::Modern) => {
                let face = face(meta);
                self.greet(|| Handshake::Discover(face.clone()));
                self.hellos(Negotiated::Modern, MODERN).await?;
                *negotiated = Some(Negotiated::Modern);
                Ok(way)
            }
        }
    }

    /// Begins this client's own connections anew, with its own words.
    fn greet(self: &Arc<Self>, handshake: impl Fn() -> Handshake) {
        let session = self.opening.session.as_deref();
        for server in &self.opening.servers {
            let Some(upstream) = self.upstream(server) else { continue };
            let own = upstream.greeted(handshake());
            self.listen(server, &own);
            drop(self.gate.executor().connectors().mcp.insert(session, own));
        }
    }

    /// What those servers said that speak this way. Of several servers, the others are left out.
    async fn hellos(
        self: &Arc<Self>,
        way: Negotiated,
        wanted: &str,
    ) -> Result<Vec<(String, Arc<ServerHello>)>, Refusal> {
        let mut hellos = Vec::new();
        let mut refusal = Refusal::new(INTERNAL_ERROR, "there is no server behind this endpoint");
        for server in &self.opening.servers {
            let Some(upstream) = self.upstream(server) else {
                refusal = self.no_use(server);
                continue;
            };
            match (upstream.hello().await, way) {
                (Ok(hello), way) if Negotiated::with(&hello) == way => hellos.push((server.clone(), hello)),
                (Ok(_), Negotiated::Legacy) => refusal = unsupported(wanted, &[MODERN]),
                (Ok(_), Negotiated::Modern) => refusal = unsupported(wanted, &LEGACY),
                (Err(error), way) => {
                    tracing::warn!(server, %error, "a server could not be greeted");
                    refusal = match way {
                        Negotiated::Legacy if self.is_known_modern(server).await => {
                            unsupported(wanted, &[MODERN])
                        }
                        Negotiated::Legacy | Negotiated::Modern => error.into(),
                    };
                }
            }
        }
        if hellos.is_empty() { Err(refusal) } else { Ok(hellos) }
    }

    /// Whether a server that refused the older greeting speaks the stateless revision on the shared
    /// connection.
    async fn is_known_modern(&self, server: &str) -> bool {
        let shared = self.gate.executor().connectors().mcp.upstream(None, server);
        let Some(shared) = shared.filter(|_| self.has_own_connections()) else { return false };
        shared.hello().await.is_ok_and(|hello| Negotiated::with(&hello) == Negotiated::Modern)
    }

    /// Those servers that speak this way; where connections are the client's own, all do.
    pub(super) async fn speaking(self: &Arc<Self>, way: Negotiated) -> Result<Vec<String>, Refusal> {
        if self.has_own_connections() {
            return Ok(self.opening.servers.clone());
        }
        let wanted = match way {
            Negotiated::Legacy => "initialize",
            Negotiated::Modern => MODERN,
        };
        Ok(self.hellos(way, wanted).await?.into_iter().map(|(server, _)| server).collect())
    }
}

fn face(meta: &Members) -> ClientFace {
    let default = ClientFace::default();
    let given = |name: &str| stated(meta, name).map(ToOwned::to_owned);
    let capabilities = given("clientCapabilities").unwrap_or(default.capabilities);
    ClientFace {
        info: given("clientInfo").unwrap_or(default.info),
        capabilities: without_tasks(&capabilities).unwrap_or(capabilities),
    }
}

fn unsupported(wanted: &str, spoken: &[&str]) -> Refusal {
    let wanted: String = wanted.chars().filter(|c| !c.is_control()).take(40).collect();
    let mut refusal =
        Refusal::new(UNSUPPORTED_VERSION, format!("the server behind does not speak `{wanted}`"));
    refusal.data = Some(json!({ "supported": spoken, "requested": wanted }));
    refusal
}

fn members_of_value(object: Map<String, Value>) -> Members {
    Members(object.into_iter().map(|(key, value)| (key, raw_value(&value))).collect())
}

fn ourselves() -> Value {
    json!({ "name": "aecl", "version": env!("CARGO_PKG_VERSION") })
}

/// What several servers can do together, and what each wants the model to know.
fn together(hellos: &[(&str, Members)]) -> Map<String, Value> {
    let mut capabilities = Map::new();
    let mut instructions = Vec::new();
    for (server, hello) in hellos {
        let Ok(said) = serde_json::from_str::<Value>(hello.raw().get()) else { continue };
        for key in ["tools", "resources", "prompts", "completions", "logging"] {
            let Some(Value::Object(found)) = said.pointer(&format!("/capabilities/{key}")) else { continue };
            let kept = capabilities.entry(key).or_insert_with(|| json!({}));
            for (flag, value) in found.iter().filter(|(_, value)| **value == Value::Bool(true)) {
                if let Value::Object(kept) = kept {
                    kept.insert(flag.clone(), value.clone());
                }
            }
        }
        if let Some(text) = said.get("instructions").and_then(Value::as_str) {
            instructions.push(format!("{server}: {text}"));
        }
    }
    let mut result = Map::from_iter([("capabilities".to_owned(), Value::Object(capabilities))]);
    if !instructions.is_empty() {
        result.insert("instructions".into(), instructions.join("\n\n").into());
    }
    result
}
