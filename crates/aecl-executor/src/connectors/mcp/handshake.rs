//! How a connection begins: the older `initialize`, or the stateless 2026-07-28 with `server/discover`.

use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::envelope::{RawReply, notification};
use super::error::{Fault, UpstreamFailure};
use super::link::{Ask, Link, Speech};
use super::params::{ObjectText, with_meta};

/// The stateless revision.
pub const MODERN: &str = "2026-07-28";
/// The revisions with `initialize` that we speak, newest first.
pub const LEGACY: [&str; 2] = ["2025-11-25", "2025-06-18"];

/// Client that the upstream is told of: the real one behind us, or ourselves.
#[derive(Debug, Clone)]
pub struct ClientFace {
    /// `clientInfo`, raw.
    pub info: Box<RawValue>,
    /// The client's capabilities, raw. What is not declared here the upstream may not ask for.
    pub capabilities: Box<RawValue>,
}

/// Way to begin with a server.
#[derive(Debug, Clone)]
pub enum Handshake {
    /// Ask in the modern way, fall back to the older one.
    Probe(ClientFace),
    /// Relay these `initialize` params of an older client, as they are.
    Initialize(Box<RawValue>),
    /// The stateless revision and nothing else, as this client.
    Discover(ClientFace),
}

/// Server's answer to the handshake.
#[derive(Debug, Clone)]
pub struct ServerHello {
    /// What is spoken from now on.
    pub era: Era,
    /// The server's `initialize` or `server/discover` result, raw, for showing it on.
    pub raw: Box<RawValue>,
    pub(crate) meta: Vec<(String, String)>,
}

/// The two ways to speak MCP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Era {
    /// With `initialize` and a session; the negotiated version.
    Legacy(String),
    /// Stateless; every request says who asks.
    Modern(String),
}

impl Era {
    pub(crate) fn speech(&self) -> Speech<'_> {
        match self {
            Self::Legacy(version) => Speech { version: Some(version), stateless: false },
            Self::Modern(version) => Speech { version: Some(version), stateless: true },
        }
    }
}

impl Default for ClientFace {
    /// AECL itself, which can do nothing that a server might ask of a client.
    fn default() -> Self {
        let info = concat!(r#"{"name":"aecl","version":""#, env!("CARGO_PKG_VERSION"), r#""}"#);
        Self { info: raw(info), capabilities: raw("{}") }
    }
}

/// Text of ours, which is JSON because we wrote it.
fn raw(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

pub(crate) struct Patience {
    pub probe: Duration,
    pub whole: Duration,
}

/// Shakes hands as asked.
pub(crate) async fn shake(
    link: &dyn Link,
    how: &Handshake,
    patience: &Patience,
) -> Result<ServerHello, Fault> {
    let hello = match how {
        Handshake::Discover(face) => discover(link, face, patience.whole).await.map_err(Refusal::fault)?,
        Handshake::Initialize(params) => initialize(link, params, patience.whole).await?,
        Handshake::Probe(face) => match discover(link, face, patience.probe).await {
            Ok(hello) => hello,
            Err(Refusal::Modern(text)) => return Err(Refusal::Modern(text).fault()),
            Err(Refusal::Fault(fault))
                if matches!(fault.why, UpstreamFailure::NotConnected(_) | UpstreamFailure::Lost(_))
                    || fault.why.is_about_login() =>
            {
                return Err(fault);
            }
            Err(Refusal::Offered | Refusal::Legacy(_) | Refusal::Fault(_)) => {
                offer_versions(link, face, patience).await?
            }
        },
    };
    link.settled(hello.era.speech());
    Ok(hello)
}

async fn offer_versions(
    link: &dyn Link,
    face: &ClientFace,
    patience: &Patience,
) -> Result<ServerHello, Fault> {
    let mut last = Fault::before(UpstreamFailure::NotConnected("no version to offer".into()));
    for version in LEGACY {
        let mut params = ObjectText::new();
        params.member("protocolVersion", &format!("\"{version}\""));
        params.member("capabilities", face.capabilities.get());
        params.member("clientInfo", face.info.get());
        match initialize(link, &raw(&params.finish()), patience.whole).await {
            Ok(hello) => return Ok(hello),
            // A server may refuse a version it has never heard of instead of offering its own.
            Err(fault)
                if matches!(fault.why, UpstreamFailure::Garbage(_) | UpstreamFailure::Refused { .. }) =>
            {
                last = fault
            }
            Err(fault) => return Err(fault),
        }
    }
    Err(last)
}

async fn initialize(link: &dyn Link, params: &RawValue, patience: Duration) -> Result<ServerHello, Fault> {
    #[derive(Deserialize)]
    struct Negotiated {
        #[serde(rename = "protocolVersion")]
        version: String,
    }
    let reply = once(link, "initialize", Some(params), Speech::default(), patience).await?;
    let RawReply::Result(result) = reply else {
        return Err(Fault::after(UpstreamFailure::Garbage(format!(
            "`initialize` was refused: {}",
            short(reply.raw())
        ))));
    };
    let negotiated: Negotiated = serde_json::from_str(result.get()).map_err(|_| {
        Fault::after(UpstreamFailure::Garbage("`initialize` without a `protocolVersion`".into()))
    })?;
    let era = Era::Legacy(negotiated.version);
    let initialized = "notifications/initialized";
    link.send(notification(initialized, None), Some(initialized), era.speech()).await?;
    Ok(ServerHello { era, raw: result, meta: Vec::new() })
}

enum Refusal {
    /// It knows the stateless revision and still says no.
    Modern(String),
    /// It knows the stateless revision, offers the version that it was asked in, and wants to be asked again.
    Offered,
    /// It does not know it.
    Legacy(String),
    Fault(Fault),
}

impl Refusal {
    fn fault(self) -> Fault {
        match self {
            Self::Offered => {
                Fault::after(UpstreamFailure::Garbage(format!("`server/discover` was refused in {MODERN}")))
            }
            Self::Modern(text) | Self::Legacy(text) => {
                Fault::after(UpstreamFailure::Garbage(format!("`server/discover` was refused: {text}")))
            }
            Self::Fault(fault) => fault,
        }
    }
}

/// Asks a server of the stateless era who it is. One that refuses the version and lists it in the same breath is asked
/// again, once: that is how it says which one it wants.
async fn discover(link: &dyn Link, face: &ClientFace, patience: Duration) -> Result<ServerHello, Refusal> {
    match discover_once(link, face, patience).await {
        Err(Refusal::Offered) => match discover_once(link, face, patience).await {
            Err(Refusal::Offered) => {
                Err(Refusal::Modern(format!("it refuses {MODERN}, which it says that it speaks")))
            }
            other => other,
        },
        other => other,
    }
}

/// Whether a refusal of the version (`-32022`) lists the version that was refused.
fn offers_it(error: &RawReply) -> bool {
    let error = serde_json::from_str::<serde_json::Value>(error.raw().get()).unwrap_or_default();
    let listed = error.pointer("/data/supported").and_then(serde_json::Value::as_array);
    listed.is_some_and(|listed| listed.iter().any(|version| version == MODERN))
}

async fn discover_once(
    link: &dyn Link,
    face: &ClientFace,
    patience: Duration,
) -> Result<ServerHello, Refusal> {
    #[derive(Deserialize)]
    struct Discovered {
        #[serde(rename = "supportedVersions")]
        versions: Vec<String>,
    }
    let meta = [
        ("protocolVersion", format!("\"{MODERN}\"")),
        ("clientInfo", face.info.get().to_owned()),
        ("clientCapabilities", face.capabilities.get().to_owned()),
    ]
    .map(|(name, value)| (format!("io.modelcontextprotocol/{name}"), value))
    .to_vec();
    let era = Era::Modern(MODERN.to_owned());
    let params = with_meta(None, &meta).map_err(|error| Refusal::Legacy(error.to_string()))?;
    let reply = once(link, "server/discover", Some(&params), era.speech(), patience).await;
    match reply.map_err(Refusal::Fault)? {
        RawReply::Result(result) => match serde_json::from_str::<Discovered>(result.get()) {
            Ok(found) if found.versions.iter().any(|version| version == MODERN) => {
                Ok(ServerHello { era, raw: result, meta })
            }
            Ok(_) => Err(Refusal::Legacy(format!("it does not speak {MODERN}"))),
            Err(_) => Err(Refusal::Legacy("its answer has no `supportedVersions`".into())),
        },
        error if error.error_code() == Some(-32022) && offers_it(&error) => Err(Refusal::Offered),
        // Header mismatch and missing capability come from servers that know the stateless revision.
        error if matches!(error.error_code(), Some(-32020 | -32021)) => {
            Err(Refusal::Modern(short(error.raw())))
        }
        error => Err(Refusal::Legacy(short(error.raw()))),
    }
}

async fn once(
    link: &dyn Link,
    method: &str,
    params: Option<&RawValue>,
    speech: Speech<'_>,
    timeout: Duration,
) -> Result<RawReply, Fault> {
    let cancel = CancellationToken::new();
    let deadline = Instant::now() + timeout;
    let (headers, cancel) = (Vec::new(), &cancel);
    link.exchange(&Ask { method, params, speech, headers, timeout, deadline, cancel, number: None }).await
}

fn short(raw: &RawValue) -> String {
    raw.get().chars().take(200).collect()
}
