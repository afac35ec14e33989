//! What servers say unasked, and what the client says that is no request: each goes to whom it concerns.
//!
//! On a connection that several clients share, a server cannot know whom it asks: there requests are
//! refused, and logs, which may hold what another client did, go to our own log and to no client.

use super::client_session::{Asked, ClientSession, Phase, Pump, Token};
use super::opening::Outbound;
use super::wire::{METHOD_NOT_FOUND, Members, Refusal, asking, members_of, quoted, raw};
use aecl_executor::connectors::mcp::{Envelope, Inbound, RawReply, Upstream};
use serde_json::value::RawValue;
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::{broadcast, watch};

/// Before our progress tokens, which stand for the client's own: those of two clients may be the same.
const TOKEN: &str = "aecl-p-";
/// Before our ids of servers' requests: those of two servers may be the same.
const ASKED: &str = "aecl-s-";
/// Longest note of a server in our log, in characters.
const LOGGED_MAX: usize = 2_000;
/// What a server may ask of a client.
const QUESTIONS: [&str; 3] = ["sampling/createMessage", "elicitation/create", "roots/list"];
/// What a server may tell beside what is looked at one by one.
const NEWS: [&str; 2] = ["notifications/message", "notifications/elicitation/complete"];
/// What a person reads of a question.
const MESSAGE: &str = "message";
/// How long an answer waits for what its server said before it, when the client does not read.
const IN_ORDER_MS: u64 = 1_000;

impl ClientSession {
    /// The server as this client sees it, with somebody listening to what it says unasked. There is none for an agent
    /// that may use nothing of it.
    pub(super) fn upstream(self: &Arc<Self>, server: &str) -> Option<Upstream> {
        let upstream = self.behind(server).filter(|_| self.uses(server))?;
        self.listen(server, &upstream);
        Some(upstream)
    }

    /// Sees to it that somebody listens to this very handle.
    pub(super) fn listen(self: &Arc<Self>, server: &str, upstream: &Upstream) {
        let Some(desk) = self.desks.get(server) else { return };
        let mut pump = desk.pump.lock().unwrap_or_else(PoisonError::into_inner);
        if pump.as_ref().is_some_and(|pump| pump.upstream.is(upstream)) {
            return;
        }
        let said = upstream.subscribe();
        let (progress, passed_on) = watch::channel(upstream.said());
        let (client, name, handle) = (Arc::downgrade(self), server.to_owned(), upstream.clone());
        let task = tokio::spawn(pass_on(client, name, handle, said, progress)).abort_handle();
        *pump = Some(Pump { upstream: upstream.clone(), passed_on, task });
    }

    /// Waits until everything was passed on that the server has said so far, so that an answer does not
    /// overtake the progress and the logs before it.
    pub(super) async fn in_order(&self, server: &str) {
        let Some(desk) = self.desks.get(server) else { return };
        let (mut passed_on, said) = {
            let pump = desk.pump.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(pump) = pump.as_ref() else { return };
            (pump.passed_on.clone(), pump.upstream.said())
        };
        let wait = passed_on.wait_for(|passed_on| *passed_on >= said);
        drop(tokio::time::timeout(Duration::from_millis(IN_ORDER_MS), wait).await);
    }

    /// Puts a token of ours in the place of the client's, for as long as the guard lives.
    pub(super) fn stand_in(self: &Arc<Self>, meta: &mut Members, out: &Outbound) -> Option<StandIn> {
        let theirs = meta.get("progressToken")?.to_owned();
        let number = self.number();
        meta.set("progressToken", raw(quoted(&format!("{TOKEN}{number}"))));
        self.state().tokens.insert(number, Token { theirs, out: out.clone() });
        Some(StandIn { client: self.clone(), number })
    }

    async fn said(&self, server: &str, upstream: &Upstream, inbound: &Arc<Inbound>) {
        let params =
            Envelope::read(inbound.raw.get()).and_then(|envelope| envelope.params.map(ToOwned::to_owned));
        let params = params.as_deref();
        let has_channel = self.uses(server) && self.passes_on().await.is_ok();
        if inbound.id.is_some() {
            return self.was_asked(server, upstream, inbound, (params, has_channel)).await;
        }
        if !has_channel {
            return;
        }
        if inbound.subscription().is_some() {
            // Told to whoever follows, and to nobody else.
            return;
        }
        // Its other members go no further: nobody has looked at them, and some readers take a name in another case for the
        // same one.
        let told = || asking(None, &inbound.method, params);
        match inbound.method.as_str() {
            "notifications/progress" => self.progress(params).await,
            "notifications/cancelled" => self.withdrawn(server, upstream, params).await,
            "notifications/tools/list_changed"
            | "notifications/resources/list_changed"
            | "notifications/prompts/list_changed" => self.say(&told()),
            "notifications/resources/updated" if self.has_own_connections() => self.say(&told()),
            "notifications/resources/updated" => {
                let uri = members_of(params).ok().and_then(|members| members.text("uri"));
                let ours = uri.map(|uri| (server.to_owned(), uri));
                if ours.is_some_and(|it| self.state().subscribed.contains(&it)) {
                    self.say(&told());
                }
            }
            other if self.has_own_connections() && NEWS.contains(&other) => match self.latest(server) {
                Some(out) => out.send(told()).await,
                None => self.say(&told()),
            },
            "notifications/message" if inbound.is_news() => log(server, params),
            _ => {}
        }
    }

    pub(super) fn say(&self, message: &RawValue) {
        // Nobody may be listening right now; what is said unasked may be missed.
        drop(self.unasked.send(Arc::from(message.to_owned())));
    }

    /// Where the request of the client goes on that was sent to this server last: what a server says during
    /// a call belongs to it, and the older transports do not tell to which.
    fn latest(&self, server: &str) -> Option<Outbound> {
        let state = self.state();
        let on_it = state.underway.iter().filter(|(_, it)| it.server.as_deref() == Some(server));
        on_it.max_by_key(|(number, _)| **number).map(|(_, it)| it.out.clone())
    }

    /// Whether a proposal of the client is on its way to this server.
    fn acts_at(&self, server: &str) -> bool {
        let state = self.state();
        let mut underway = state.underway.values();
        underway.any(|it| it.server.as_deref() == Some(server) && it.phase != Phase::Relayed)
    }

    async fn was_asked(
        &self,
        server: &str,
        upstream: &Upstream,
        inbound: &Arc<Inbound>,
        (params, has_channel): (Option<&RawValue>, bool),
    ) {
        let number = self.number();
        let params = params.map(|params| marked(server, &inbound.method, params)).transpose();
        let id = format!("{ASKED}{number}");
        let message = params.map(|params| asking(Some(&id), &inbound.method, params.as_deref()));
        let out = self.latest(server);
        let listens = out.is_some() || self.unasked.receiver_count() > 0;
        let message = match inbound.method.as_str() {
            other if !QUESTIONS.contains(&other) => Err("it is not passed on to clients".into()),
            _ if !has_channel => Err("this client may use nothing here any more".into()),
            _ if !self.has_own_connections() && listens => {
                Err("this connection serves several clients".into())
            }
            _ if !listens => Err("nobody is here to answer".into()),
            // Which folders there are says the client of itself; people and models are asked for a call of theirs.
            "roots/list" => message,
            _ if !self.acts_at(server) => Err("no call is underway that it could belong to".into()),
            _ => message,
        };
        let message = match message {
            Ok(message) => message,
            Err(why) => {
                let refusal = Refusal::new(METHOD_NOT_FOUND, why).reply();
                drop(upstream.reply_raw(inbound, &refusal).await);
                return;
            }
        };
        let asked = Asked { upstream: upstream.clone(), inbound: inbound.clone() };
        self.state().asked.insert(number, asked);
        match out {
            Some(out) => out.send(message).await,
            None => self.say(&message),
        }
    }

    async fn progress(&self, params: Option<&RawValue>) {
        let Ok(mut params) = members_of(params) else { return };
        let token = params.text("progressToken");
        let number = token.and_then(|token| token.strip_prefix(TOKEN)?.parse::<u64>().ok());
        let (theirs, out) = {
            let state = self.state();
            let Some(token) = number.and_then(|number| state.tokens.get(&number)) else { return };
            (token.theirs.clone(), token.out.clone())
        };
        params.set("progressToken", theirs);
        out.send(asking(None, "notifications/progress", Some(&params.raw()))).await;
    }

    /// A server does not wait for the client's answer any more.
    async fn withdrawn(&self, server: &str, upstream: &Upstream, params: Option<&RawValue>) {
        let Ok(mut params) = members_of(params) else { return };
        let Some(id) = params.get("requestId").map(ToOwned::to_owned) else { return };
        let number = {
            let mut state = self.state();
            let same = |it: &Asked| {
                it.upstream.is(upstream)
                    && it.inbound.id.as_ref().is_some_and(|known| known.get() == id.get())
            };
            let found = state.asked.iter().find(|(_, it)| same(it)).map(|(number, _)| *number);
            if let Some(number) = found {
                state.asked.remove(&number);
            }
            found
        };
        let Some(number) = number else { return };
        params.set("requestId", raw(quoted(&format!("{ASKED}{number}"))));
        let message = asking(None, "notifications/cancelled", Some(&params.raw()));
        match self.latest(server) {
            Some(out) => out.send(message).await,
            None => self.say(&message),
        }
    }

    /// The client answers a request of a server.
    pub(super) async fn answered(&self, id: &RawValue, envelope: &Envelope<'_>) {
        let number: Option<String> = serde_json::from_str(id.get()).ok();
        let number = number.and_then(|text| text.strip_prefix(ASKED)?.parse::<u64>().ok());
        let asked = number.and_then(|number| self.state().asked.remove(&number));
        let reply = match (envelope.result, envelope.error) {
            (Some(result), None) => RawReply::Result(result.to_owned()),
            (None, Some(error)) => RawReply::Error(error.to_owned()),
            _ => Refusal::new(super::wire::INTERNAL_ERROR, "the client answered with nothing").reply(),
        };
        let Some(asked) = asked else {
            tracing::debug!("a client answered what nobody asked");
            return;
        };
        let reply = match self.passes_on().await {
            Ok(()) => reply,
            Err(_) => Refusal::new(METHOD_NOT_FOUND, "nobody is here to answer").reply(),
        };
        if let Err(error) = asked.upstream.reply_raw(&asked.inbound, &reply).await {
            tracing::warn!(%error, "a client's answer could not be passed on");
        }
    }

    /// The client says something that wants no answer. What is not known is dropped: an unknown
    /// notification might act.
    pub(super) async fn notified(self: &Arc<Self>, method: &str, params: Option<&RawValue>) {
        match method {
            "notifications/cancelled" => {
                let params = members_of(params).unwrap_or_default();
                if let Some(id) = params.get("requestId") {
                    self.cancel(id);
                }
            }
            "notifications/roots/list_changed" if self.has_own_connections() => {
                if self.passes_on().await.is_err() {
                    return;
                }
                for server in &self.opening.servers {
                    // A connection that nobody has used yet needs no news.
                    let Some(upstream) = self.upstream(server).filter(Upstream::is_connected) else {
                        continue;
                    };
                    if let Err(error) = upstream.notify(method, None).await {
                        tracing::warn!(%error, "a client's notification could not be passed on");
                    }
                }
            }
            // Ours is sent with each connection's own handshake.
            "notifications/initialized" => {}
            other => tracing::debug!(method = other, "dropped a notification of a client"),
        }
    }
}

/// Keeps a progress token of ours in use.
pub(super) struct StandIn {
    client: Arc<ClientSession>,
    number: u64,
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.client.state().tokens.remove(&self.number);
    }
}

/// The params of a question, which says whose it is where a person is asked. What has no single meaning is no question.
fn marked(server: &str, method: &str, params: &RawValue) -> Result<Box<RawValue>, String> {
    let mut members = members_of(Some(params))?;
    if method != "elicitation/create" {
        return Ok(params.to_owned());
    }
    let message = members.text(MESSAGE).unwrap_or_default();
    members.0.retain(|(name, _)| name == MESSAGE || !reads_as(name, MESSAGE));
    members.set(MESSAGE, raw(quoted(&format!("The MCP server `{server}` asks: {message}"))));
    Ok(members.raw())
}

/// Whether a reader for whom case does not count takes the name for this one: a long `s` and the sign of Kelvin are also
/// letters of other cases.
fn reads_as(name: &str, plain: &str) -> bool {
    name.to_uppercase().to_lowercase() == plain
}

/// Notes what a server says about itself, shortened, as text that cannot break a line.
fn log(server: &str, params: Option<&RawValue>) {
    let said = members_of(params).unwrap_or_default();
    let data = said.text("data").or_else(|| said.get("data").map(|data| data.get().to_owned()));
    let data: String =
        data.unwrap_or_default().chars().take(LOGGED_MAX).flat_map(char::escape_debug).collect();
    let level = said.text("level").unwrap_or_default();
    match level.as_str() {
        "warning" | "error" | "critical" | "alert" | "emergency" => {
            tracing::warn!(target: "aecl::upstream", server, level, "{data}");
        }
        "debug" => tracing::debug!(target: "aecl::upstream", server, level, "{data}"),
        _ => tracing::info!(target: "aecl::upstream", server, "{data}"),
    }
}

async fn pass_on(
    client: Weak<ClientSession>,
    server: String,
    upstream: Upstream,
    mut said: broadcast::Receiver<Arc<Inbound>>,
    passed_on: watch::Sender<u64>,
) {
    loop {
        match said.recv().await {
            Ok(inbound) => {
                let Some(client) = client.upgrade() else { return };
                client.said(&server, &upstream, &inbound).await;
                passed_on.send_replace(inbound.seq);
            }
            Err(broadcast::error::RecvError::Lagged(lost)) => {
                tracing::warn!(server, lost, "messages of a server were lost: the client does not read");
            }
            Err(broadcast::error::RecvError::Closed) => return,
        }
    }
}
