//! One upstream server: connected when needed, connected again when it broke.

mod listing;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use serde_json::value::RawValue;
use tokio::sync::{Mutex, broadcast, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::envelope::{Inbound, RawReply, notification, response};
use super::error::{Fault, UpstreamError, UpstreamFailure};
use super::handshake::{Era, Handshake, Patience, ServerHello, shake};
use super::link::{Ask, Link};
use super::params::with_meta;
use super::pending_calls::{Counters, PendingCalls, Shared};
use super::spec::{Transport, UpstreamSpec};
use super::stdio::{Start, StdioLink};
use super::streamable::StreamableLink;
use super::tools::Tools;
use super::wire::Endpoint;
use aecl_egress::egress::{Egress, parse_url};
use aecl_egress::login::LoginSession;
use aecl_egress::vault::Vault;

/// Methods by which a server acts or gives data away. They go through `Connector::perform` only.
pub const ACTING: [&str; 4] = ["tools/call", "resources/read", "prompts/get", "completion/complete"];

/// A handle on one upstream server. Clones share the connection.
#[derive(Clone)]
pub struct Upstream(Arc<Inner>);

struct Inner {
    spec: UpstreamSpec,
    handshake: Handshake,
    egress: Egress,
    vault: Vault,
    shared: Arc<Shared>,
    /// The log-in there, where there may be one.
    login: Option<Arc<LoginSession>>,
    current: RwLock<Option<Live>>,
    connecting: Mutex<Attempts>,
    tools: Tools,
}

#[derive(Clone)]
struct Live {
    link: Arc<dyn Link>,
    hello: Arc<ServerHello>,
}

/// Failed attempts in a row. The pause between them grows, so that a broken server is not hammered.
#[derive(Default)]
struct Attempts {
    failed: u32,
    not_before: Option<Instant>,
    connections: u64,
}

/// The longest that a server is followed at a stretch.
const FOLLOWED: Duration = Duration::from_secs(24 * 60 * 60);
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(30);

impl std::fmt::Debug for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upstream").field("name", &self.name()).finish_non_exhaustive()
    }
}

impl Upstream {
    /// A handle which connects at the first request.
    #[must_use]
    pub fn lazy(spec: UpstreamSpec, handshake: Handshake, egress: Egress, vault: Vault) -> Self {
        let shared = Arc::new(Shared::new());
        let login = match &spec.transport {
            Transport::Http { url, headers, allow_private, oauth, .. } => {
                let ours = (&vault, &egress, &shared.secrets);
                LoginSession::of(&spec.name, url, *allow_private, oauth.as_ref(), headers, ours)
            }
            Transport::Stdio { .. } => None,
        };
        Self(Arc::new(Inner {
            spec,
            handshake,
            egress,
            vault,
            shared,
            login,
            current: RwLock::default(),
            connecting: Mutex::default(),
            tools: Tools::default(),
        }))
    }

    /// A handle of its own on the same server, greeted in another way: a client's own connection.
    #[must_use]
    pub fn greeted(&self, handshake: Handshake) -> Self {
        Self::lazy(self.0.spec.clone(), handshake, self.0.egress.clone(), self.0.vault.clone())
    }

    /// Whether both are the same handle.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// A connected handle.
    ///
    /// # Errors
    /// When the server cannot be reached or the handshake fails.
    pub async fn connect(
        spec: UpstreamSpec,
        handshake: Handshake,
        egress: Egress,
        vault: Vault,
    ) -> Result<Self, UpstreamError> {
        let upstream = Self::lazy(spec, handshake, egress, vault);
        upstream.hello().await?;
        Ok(upstream)
    }

    /// The server's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.spec.name
    }

    /// How it is reached.
    #[must_use]
    pub fn transport(&self) -> &Transport {
        &self.0.spec.transport
    }

    /// Whether the server is given credentials of somebody: those of the configuration, or a log-in.
    #[must_use]
    pub fn uses_credentials(&self) -> bool {
        self.transport().uses_credentials() || self.0.login.as_ref().is_some_and(|login| login.is_kept())
    }

    /// What the server said when it was greeted; connects when it has to.
    ///
    /// # Errors
    /// When it is not connected and cannot be.
    pub async fn hello(&self) -> Result<Arc<ServerHello>, UpstreamError> {
        let live = self.live().await.map_err(|fault| fault.on(self.name(), "initialize"))?;
        Ok(live.hello)
    }

    /// Whether there is a connection right now.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.usable().is_some()
    }

    /// What the server says unasked, from now on. Requests among it are answered with [`Self::reply_raw`];
    /// as long as nobody listens they are refused on the spot.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Inbound>> {
        self.0.shared.inbound.subscribe()
    }

    /// How much the server has said unasked so far: the [`Inbound::seq`] of the latest.
    #[must_use]
    pub fn said(&self) -> u64 {
        self.0.shared.said.load(Ordering::Acquire)
    }

    /// What the server did that it should not have done.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.0.shared.counters
    }

    /// Grows whenever the tools may have changed. Compare, then ask [`Self::tools`] again.
    #[must_use]
    pub fn tools_generation(&self) -> u64 {
        self.0.shared.tools_generation.load(Ordering::Relaxed)
    }

    /// Passes on a request that neither acts nor gives data away. The caller keeps the closed list of
    /// such methods; the three that act are refused here in any case.
    ///
    /// # Errors
    /// When the method acts, or there is no answer.
    pub async fn relay(
        &self,
        method: &str,
        params: Option<&RawValue>,
        timeout: Duration,
        cancel: &CancellationToken,
    ) -> Result<RawReply, UpstreamError> {
        if ACTING.contains(&method) {
            return Err(Fault::before(UpstreamFailure::ActsOnlyByPerform).on(self.name(), method));
        }
        self.request(method, params, timeout, cancel).await
    }

    /// Passes on a notification of the client.
    ///
    /// # Errors
    /// When it could not be sent.
    pub async fn notify(&self, method: &str, params: Option<&RawValue>) -> Result<(), UpstreamError> {
        let on = |fault: Fault| fault.on(self.name(), method);
        let live = self.live().await.map_err(on)?;
        live.link.send(notification(method, params), Some(method), live.hello.era.speech()).await.map_err(on)
    }

    /// Answers a request of the server, in the client's own bytes.
    ///
    /// # Errors
    /// When it wants no answer, or the connection on which it asked is gone.
    pub async fn reply_raw(&self, to: &Inbound, reply: &RawReply) -> Result<(), UpstreamError> {
        let on = |fault: Fault| fault.on(self.name(), &to.method);
        let gone = || {
            on(Fault::before(UpstreamFailure::NotConnected("nobody waits for this answer any more".into())))
        };
        let id = to.id.as_deref().ok_or_else(gone)?;
        // Several may listen to one connection; the first answer counts.
        if to.answered.swap(true, Ordering::Relaxed) {
            return Err(gone());
        }
        let live = self.usable().filter(|live| live.link.generation() == to.generation).ok_or_else(gone)?;
        live.link.send(response(id, reply), None, live.hello.era.speech()).await.map_err(on)
    }

    /// Ends the connection in good order. The next request would connect again.
    pub async fn close(&self) {
        let live = self.0.current.write().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(live) = live {
            live.link.close().await;
        }
    }

    /// Asks a server of the stateless era to tell what changes, until it ends that or `cancel` fires. What it
    /// tells goes to `told`; the answer is its last word.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn follow(
        &self,
        params: Option<&RawValue>,
        told: &mpsc::Sender<Arc<Inbound>>,
        cancel: &CancellationToken,
    ) -> Result<RawReply, UpstreamError> {
        let (mut heard, number) = (self.subscribe(), AtomicU64::new(0));
        let asked = self.exchange("subscriptions/listen", params, FOLLOWED, cancel, Some(&number));
        tokio::pin!(asked);
        let reply = loop {
            tokio::select! {
                reply = &mut asked => break reply,
                inbound = heard.recv() => match inbound {
                    Ok(inbound) if inbound.is_about(number.load(Ordering::Acquire)) => {
                        drop(told.send(inbound).await);
                    }
                    Ok(_) => {}
                    // Something is lost: whoever follows has to begin again.
                    Err(_) => {
                        let lost = UpstreamFailure::Lost("it said more than could be passed on".into());
                        return Err(Fault::after(lost).on(self.name(), "subscriptions/listen"));
                    }
                },
            }
        };
        while let Ok(inbound) = heard.try_recv() {
            if inbound.is_about(number.load(Ordering::Acquire)) {
                drop(told.send(inbound).await);
            }
        }
        reply
    }

    /// Sends a request and waits. Within this crate only: what acts is asked for by the connector.
    pub(crate) async fn request(
        &self,
        method: &str,
        params: Option<&RawValue>,
        timeout: Duration,
        cancel: &CancellationToken,
    ) -> Result<RawReply, UpstreamError> {
        self.exchange(method, params, timeout, cancel, None).await
    }

    /// Asks, and once more over a new connection if the server has forgotten the session of this one: that refusal
    /// comes before the request is looked at.
    async fn exchange(
        &self,
        method: &str,
        params: Option<&RawValue>,
        timeout: Duration,
        cancel: &CancellationToken,
        number: Option<&AtomicU64>,
    ) -> Result<RawReply, UpstreamError> {
        let deadline = Instant::now() + timeout;
        match self.attempt(method, params, (timeout, deadline), cancel, number).await {
            Err(UpstreamError { why: UpstreamFailure::SessionEnded, .. }) => {
                self.attempt(method, params, (timeout, deadline), cancel, number).await
            }
            ended => ended,
        }
    }

    async fn attempt(
        &self,
        method: &str,
        params: Option<&RawValue>,
        (timeout, deadline): (Duration, Instant),
        cancel: &CancellationToken,
        number: Option<&AtomicU64>,
    ) -> Result<RawReply, UpstreamError> {
        let on = |fault: Fault| fault.on(self.name(), method);
        let too_late =
            || UpstreamFailure::TimedOut { after_ms: u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX) };
        let live = tokio::select! {
            biased;
            () = cancel.cancelled() => return Err(on(Fault::before(UpstreamFailure::Cancelled))),
            live = tokio::time::timeout_at(deadline, self.live()) => match live {
                Ok(live) => live.map_err(on)?,
                Err(_) => return Err(on(Fault::before(too_late()))),
            },
        };
        let stateless = matches!(live.hello.era, Era::Modern(_));
        let completed = if stateless {
            let garbled =
                |error: serde_json::Error| Fault::before(UpstreamFailure::Garbage(error.to_string()));
            Some(with_meta(params, &live.hello.meta).map_err(|error| on(garbled(error)))?)
        } else {
            None
        };
        let params = completed.as_deref().or(params);
        let headers = if stateless && self.is_http() && method == "tools/call" {
            self.parameter_headers(params, deadline).await?
        } else {
            Vec::new()
        };
        let speech = live.hello.era.speech();
        live.link
            .exchange(&Ask { method, params, speech, headers, timeout, deadline, cancel, number })
            .await
            .map_err(on)
    }

    /// The headers that the called tool wants repeated; its definition is fetched when we do not have it.
    async fn parameter_headers(
        &self,
        params: Option<&RawValue>,
        deadline: Instant,
    ) -> Result<Vec<(String, String)>, UpstreamError> {
        if !self.0.tools.is_fresh(self.tools_generation()) {
            // The failure of a listing is no reason to fail a call: most tools ask for no headers.
            let _ = Box::pin(self.tools(deadline.saturating_duration_since(Instant::now()))).await;
        }
        Ok(self.0.tools.headers(params))
    }

    fn is_http(&self) -> bool {
        matches!(self.0.spec.transport, Transport::Http { .. })
    }

    fn usable(&self) -> Option<Live> {
        let current = self.0.current.read().unwrap_or_else(PoisonError::into_inner);
        current.as_ref().filter(|live| live.link.closed().is_none()).cloned()
    }

    async fn live(&self) -> Result<Live, Fault> {
        if let Some(live) = self.usable() {
            return Ok(live);
        }
        // A task of its own: a caller that gives up must not start a slow server all over again.
        let upstream = self.clone();
        let connecting = tokio::spawn(async move { upstream.connect_once().await });
        connecting
            .await
            .unwrap_or_else(|error| Err(Fault::before(UpstreamFailure::NotConnected(error.to_string()))))
    }

    async fn connect_once(&self) -> Result<Live, Fault> {
        let mut attempts = self.0.connecting.lock().await;
        if let Some(live) = self.usable() {
            return Ok(live);
        }
        if let Some(not_before) = attempts.not_before {
            let left = not_before.saturating_duration_since(Instant::now());
            if !left.is_zero() {
                let reason = format!(
                    "{} attempts failed; the next one is in {} ms",
                    attempts.failed,
                    left.as_millis()
                );
                return Err(Fault::before(UpstreamFailure::NotConnected(reason)));
            }
        }
        attempts.connections += 1;
        match self.open(attempts.connections).await {
            Ok(live) => {
                (attempts.failed, attempts.not_before) = (0, None);
                *self.0.current.write().unwrap_or_else(PoisonError::into_inner) = Some(live.clone());
                self.0.shared.counters.connections.fetch_add(1, Ordering::Relaxed);
                self.0.shared.tools_generation.fetch_add(1, Ordering::Relaxed);
                Ok(live)
            }
            // Whoever logs in now must not wait until a pause is over.
            Err(fault) if fault.why.is_about_login() => Err(Fault::before(fault.why)),
            Err(fault) => {
                let pause = PAUSE_MIN.saturating_mul(1 << attempts.failed.min(9)).min(PAUSE_MAX);
                attempts.failed = attempts.failed.saturating_add(1);
                attempts.not_before = Some(Instant::now() + pause);
                tracing::warn!(server = self.name(), why = %fault.why, "an upstream did not connect");
                // A handshake acts on nothing: whatever became of it, the caller's request never left.
                let reason = match fault.why {
                    UpstreamFailure::NotConnected(reason) => reason,
                    other => format!("the handshake failed: it {other}"),
                };
                Err(Fault::before(UpstreamFailure::NotConnected(reason)))
            }
        }
    }

    async fn open(&self, generation: u64) -> Result<Live, Fault> {
        let spec = &self.0.spec;
        let pending = PendingCalls::new(spec.name.clone(), generation, Arc::clone(&self.0.shared));
        let link: Arc<dyn Link> = match &spec.transport {
            Transport::Stdio { command, args, env, cwd, .. } => {
                let message_max_bytes = spec.message_max_bytes;
                let (server, cwd) = (spec.name.as_str(), cwd.as_ref());
                let secrets = self.0.vault.begin_for(&self.0.shared.secrets);
                let start = Start { server, command, args, env, cwd, message_max_bytes, secrets };
                Arc::new(StdioLink::start(start, pending).await?)
            }
            Transport::Http { url, headers, allow_private, listen, .. } => {
                let refused = |error: aecl_egress::egress::EgressError| {
                    Fault::before(UpstreamFailure::NotConnected(error.to_string()))
                };
                let url = parse_url(url).map_err(refused)?;
                let client = self.0.egress.client(&url, *allow_private).map_err(refused)?;
                let (headers, max) = (headers.clone(), spec.message_max_bytes);
                let (vault, login) = (self.0.vault.clone(), self.0.login.clone());
                let place = Endpoint { server: spec.name.clone(), client, url, headers, vault, login };
                Arc::new(StreamableLink::new(place, *listen, max, pending))
            }
        };
        let patience = Patience {
            probe: Duration::from_millis(spec.probe_timeout_ms.min(spec.connect_timeout_ms)),
            whole: Duration::from_millis(spec.connect_timeout_ms),
        };
        let hello = Arc::new(shake(link.as_ref(), &self.0.handshake, &patience).await?);
        Ok(Live { link, hello })
    }
}
