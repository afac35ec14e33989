//! The HTTP under Streamable HTTP: posts, streams of events, and picking a broken stream up again.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use futures_util::StreamExt as _;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use tokio::sync::oneshot;
use url::Url;

use super::envelope::{Envelope, RawReply, our_id, request};
use super::error::{Fault, UpstreamFailure};
use super::headers;
use super::link::{Ask, Speech};
use super::pending_calls::{Answer, PendingCalls};
use super::sse::Events;
use aecl_egress::egress;
use aecl_egress::login::{LoginRefusal, LoginSession, LoginVerdict};
use aecl_egress::vault::{Secret, Use, Vault};

const JSON: &str = "application/json";
const EVENTS: &str = "text/event-stream";
/// How often a broken stream is picked up again for one request.
const RESUMPTIONS_MAX: u32 = 5;

/// Where the server is, and what every request to it carries.
pub(super) struct Endpoint {
    pub(super) server: String,
    pub(super) client: reqwest::Client,
    pub(super) url: Url,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) vault: Vault,
    pub(super) login: Option<Arc<LoginSession>>,
}

/// What a background task needs to talk to the server.
pub(super) struct Wire {
    pub(super) place: Endpoint,
    pub(super) pending: Arc<PendingCalls>,
    pub(super) session: RwLock<Option<String>>,
    pub(super) version: Mutex<Option<String>>,
    pub(super) message_max_bytes: usize,
}

/// Where a stream stands, so that it can be picked up again.
#[derive(Default)]
struct Place {
    last_event: Option<String>,
    retry: Option<Duration>,
}

impl Wire {
    pub(super) fn session(&self) -> Option<String> {
        self.session.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Headers of every request, with the secrets resolved now and kept out of every debug output.
    /// Keep the use until the answer is there: what was made for the request ends with it.
    async fn request(&self, method: Method, speech: Speech<'_>) -> Result<(RequestBuilder, Use), Fault> {
        let odd = |what: String| Fault::before(UpstreamFailure::NotConnected(what));
        let mut all = HeaderMap::new();
        let mut secrets = self.place.vault.begin_for(self.pending.secrets());
        for (name, template) in &self.place.headers {
            let value = secrets.fill(template).await.map_err(|error| odd(error.to_string()))?;
            let name: HeaderName = name.parse().map_err(|_| odd(format!("`{name}` is no header name")))?;
            let mut value = HeaderValue::from_str(value.expose())
                .map_err(|_| odd(format!("the header `{name}` holds odd characters")))?;
            value.set_sensitive(true);
            all.insert(name, value);
        }
        let settled = self.version.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut request = self.place.client.request(method, self.place.url.clone()).headers(all);
        if let Some(version) = speech.version.map(str::to_owned).or(settled) {
            request = request.header(headers::VERSION, version);
        }
        if let Some(session) = self.session().filter(|_| !speech.stateless) {
            request = request.header(headers::SESSION, session);
        }
        Ok((request, secrets))
    }

    async fn post(
        &self,
        text: String,
        method: Option<&str>,
        speech: Speech<'_>,
    ) -> Result<(RequestBuilder, Use), Fault> {
        let (mut request, secrets) = self.request(Method::POST, speech).await?;
        if let Some(method) = method.filter(|_| speech.stateless) {
            request = request.header(headers::METHOD, method);
        }
        let request =
            request.header(ACCEPT, format!("{JSON}, {EVENTS}")).header(CONTENT_TYPE, JSON).body(text);
        Ok((request, secrets))
    }

    pub(super) async fn ask(
        &self,
        ask: &Ask<'_>,
        id: u64,
        mut answer: oneshot::Receiver<Answer>,
        sent: &AtomicBool,
    ) -> Result<RawReply, Fault> {
        let text = request(id, ask.method, ask.params);
        let (mut post, _made_for_it) = self.post(text, Some(ask.method), ask.speech).await?;
        if ask.speech.stateless {
            if let Some(name) = headers::name_of(ask.method, ask.params.map(|params| params.get())) {
                post = post.header(headers::NAME, headers::encoded(&name));
            }
            for (name, value) in &ask.headers {
                post = post.header(name, value);
            }
        }
        let response = self.dispatch(post, sent).await?;
        if ask.method == "initialize" {
            self.keep_session(&response);
        }
        let status = response.status();
        if !status.is_success() {
            return self.refused(response, id).await;
        }
        let mut place = Place::default();
        let reading = self.read(response, id, &mut place);
        let ended = tokio::select! {
            biased;
            reply = &mut answer => return outcome(reply),
            ended = reading => ended,
        };
        match answer.try_recv() {
            Ok(reply) => return outcome(Ok(reply)),
            Err(_) if place.last_event.is_none() => return Err(ended.err().unwrap_or_else(no_answer)),
            Err(_) => {}
        }
        let resuming = self.resume(id, &mut place, ask.speech);
        tokio::select! {
            biased;
            reply = &mut answer => outcome(reply),
            () = resuming => answer.try_recv().map_or_else(|_| Err(no_answer()), |reply| outcome(Ok(reply))),
        }
    }

    /// Sends a request with the token of the log-in, where there is one; once more where that was refused and another
    /// one is there. A refusal comes before anything is looked at.
    async fn dispatch(&self, request: RequestBuilder, sent: &AtomicBool) -> Result<Response, Fault> {
        let leave = |request: RequestBuilder| async move {
            sent.store(true, Ordering::Release);
            request.send().await.map_err(|error| {
                sent.store(!error.is_connect(), Ordering::Release);
                fault_of(&error)
            })
        };
        let Some(login) = &self.place.login else { return leave(request).await };
        let stopped = |refused: LoginRefusal| Fault::before(self.why(refused));
        let token = login.bearer().await.map_err(stopped)?;
        let again = request.try_clone();
        let response = leave(authorized(request, token.as_deref())).await?;
        let verdict = login.judge(token.as_deref(), response.status(), response.headers()).await;
        let (token, again) = match (verdict, again) {
            (LoginVerdict::Other, _) => return Ok(response),
            (LoginVerdict::Again(token), Some(again)) => (token, again),
            (LoginVerdict::Again(_), None) => return Ok(response),
            (LoginVerdict::Refused(refused), _) => {
                sent.store(false, Ordering::Release);
                return Err(stopped(refused));
            }
        };
        let response = leave(authorized(again, Some(&token))).await?;
        match login.judge(Some(&token), response.status(), response.headers()).await {
            LoginVerdict::Other => Ok(response),
            // Renewed a moment ago, and refused again: another one would fare no better.
            LoginVerdict::Again(_) => {
                Err(stopped(LoginRefusal::Login("it does not accept the log-in any more".into())))
            }
            LoginVerdict::Refused(refused) => Err(stopped(refused)),
        }
    }

    fn has_login(&self) -> bool {
        self.place.login.as_ref().is_some_and(|login| login.is_kept())
    }

    fn why(&self, refused: LoginRefusal) -> UpstreamFailure {
        match refused {
            LoginRefusal::Login(reason) => {
                UpstreamFailure::LoginNeeded { server: self.place.server.clone(), reason }
            }
            LoginRefusal::Scope => UpstreamFailure::ScopeRefused,
            LoginRefusal::Unavailable(reason) => UpstreamFailure::NotConnected(reason),
        }
    }

    fn keep_session(&self, response: &Response) {
        let session = response.headers().get(headers::SESSION).and_then(|value| value.to_str().ok());
        *self.session.write().unwrap_or_else(PoisonError::into_inner) = session.map(str::to_owned);
    }

    /// An error status. If it carries a JSON-RPC error, that is the server's answer.
    async fn refused(&self, response: Response, id: u64) -> Result<RawReply, Fault> {
        let status = response.status();
        if status == StatusCode::NOT_FOUND && self.session().is_some() {
            self.pending.close("its session ended");
            return Err(Fault::before(UpstreamFailure::SessionEnded));
        }
        let body = self.body(response).await.unwrap_or_default();
        let text = String::from_utf8_lossy(&body);
        let text = self.pending.secrets().scrub(&text);
        if let Some(envelope) = Envelope::read(&text)
            && let Some(error) = envelope.error
            && envelope.id.is_none_or(|raw| our_id(raw) == Some(id))
        {
            return Ok(RawReply::Error(error.to_owned()));
        }
        let text = text.chars().take(200).collect();
        let why = UpstreamFailure::Refused { status: status.as_u16(), text };
        // A gateway on the way reports 5xx also when the server behind it went on working.
        let may_have_left = !status.is_client_error();
        Err(Fault { why, may_have_left })
    }

    /// Reads a response to its end; messages go to the pending calls.
    async fn read(&self, response: Response, id: u64, place: &mut Place) -> Result<(), Fault> {
        if !content_type(&response).starts_with(EVENTS) {
            let body = self.body(response).await?;
            let text = std::str::from_utf8(&body)
                .map_err(|_| Fault::after(UpstreamFailure::Garbage("the body is no utf-8 text".into())))?;
            self.take(text, Some(id)).await;
            return Ok(());
        }
        self.events(response, Some(id), place).await
    }

    async fn events(&self, response: Response, of: Option<u64>, place: &mut Place) -> Result<(), Fault> {
        let mut stream = response.bytes_stream();
        let mut events = Events::new(self.message_max_bytes);
        while let Some(bytes) = stream.next().await {
            let bytes = bytes.map_err(|error| fault_of(&error))?;
            let whole = events.push(&bytes).map_err(|_| self.too_long())?;
            for event in whole {
                if let Some(id) = event.id {
                    place.last_event = Some(id);
                }
                place.retry = event.retry_ms.map(Duration::from_millis).or(place.retry);
                if !event.data.is_empty() {
                    self.take(&event.data, of).await;
                }
            }
        }
        Ok(())
    }

    async fn take(&self, text: &str, of: Option<u64>) {
        if let Some(reply) = self.pending.receive(text, of) {
            let _ = self.tell(reply, None, Speech::default()).await;
        }
    }

    async fn body(&self, response: Response) -> Result<Vec<u8>, Fault> {
        let mut body = Vec::new();
        let mut stream = response.bytes_stream();
        while let Some(bytes) = stream.next().await {
            let bytes = bytes.map_err(|error| fault_of(&error))?;
            if body.len() + bytes.len() > self.message_max_bytes {
                return Err(self.too_long());
            }
            body.extend_from_slice(&bytes);
        }
        Ok(body)
    }

    fn too_long(&self) -> Fault {
        Fault::after(UpstreamFailure::Garbage(format!(
            "a message is longer than {} bytes",
            self.message_max_bytes
        )))
    }

    /// Picks a broken stream up where it stood, as the 2025 revisions allow.
    async fn resume(&self, id: u64, place: &mut Place, speech: Speech<'_>) {
        for _ in 0..RESUMPTIONS_MAX {
            tokio::time::sleep(place.retry.unwrap_or(Duration::from_millis(500))).await;
            let Some(last) = place.last_event.clone() else { return };
            let Ok((request, _made_for_it)) = self.request(Method::GET, speech).await else { return };
            let request = request.header(ACCEPT, EVENTS).header("last-event-id", last);
            let asked = self.dispatch(request, &AtomicBool::new(false)).await;
            match asked {
                Ok(response) if response.status().is_success() => {
                    let _ = self.events(response, Some(id), place).await;
                }
                Ok(_) => return,
                Err(_) => {}
            }
        }
    }

    /// Keeps a stream open for what the server says unasked. A server without one answers 405.
    pub(super) async fn listen(&self) {
        let mut place = Place::default();
        let mut pause = Duration::from_millis(250);
        while self.pending.closed().is_none() {
            let asked = self.request(Method::GET, Speech::default()).await;
            let Ok((mut request, _made_for_it)) = asked else { return };
            request = request.header(ACCEPT, EVENTS);
            if let Some(last) = &place.last_event {
                request = request.header("last-event-id", last);
            }
            match self.dispatch(request, &AtomicBool::new(false)).await {
                // Where somebody was logged in, it goes on when somebody is again.
                Err(fault) if fault.why.is_about_login() && !self.has_login() => return,
                Ok(response) if response.status().is_success() => {
                    pause = Duration::from_millis(250);
                    let _ = self.events(response, None, &mut place).await;
                }
                Ok(response) if response.status().is_client_error() => return,
                Ok(_) | Err(_) => pause = (pause * 2).min(Duration::from_secs(30)),
            }
            tokio::time::sleep(place.retry.unwrap_or(pause)).await;
        }
    }

    pub(super) async fn tell(
        &self,
        text: String,
        method: Option<&str>,
        speech: Speech<'_>,
    ) -> Result<(), Fault> {
        let (post, _made_for_it) = self.post(text, method, speech).await?;
        let post = post.timeout(Duration::from_secs(30));
        let response = self.dispatch(post, &AtomicBool::new(false)).await?;
        match response.status() {
            status if status.is_success() => Ok(()),
            status => {
                Err(Fault::after(UpstreamFailure::Refused { status: status.as_u16(), text: String::new() }))
            }
        }
    }

    pub(super) async fn end_session(&self) {
        if self.session().is_some()
            && let Ok((request, _made_for_it)) = self.request(Method::DELETE, Speech::default()).await
        {
            let request = request.timeout(Duration::from_secs(2));
            let _ = self.dispatch(request, &AtomicBool::new(false)).await;
            *self.session.write().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }
}

/// The request with a token, which no debug output shows.
fn authorized(request: RequestBuilder, token: Option<&Secret>) -> RequestBuilder {
    let Some(token) = token else { return request };
    // A token is visible ASCII, so this is always a header.
    let value = zeroize::Zeroizing::new(format!("Bearer {}", token.expose()));
    let Ok(mut value) = HeaderValue::from_str(&value) else { return request };
    value.set_sensitive(true);
    request.header(AUTHORIZATION, value)
}

fn content_type(response: &Response) -> &str {
    response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn outcome(answer: Result<Answer, oneshot::error::RecvError>) -> Result<RawReply, Fault> {
    match answer {
        Ok(Ok(reply)) => Ok(reply),
        Ok(Err(why)) => Err(Fault::after(why)),
        Err(_) => Err(no_answer()),
    }
}

fn no_answer() -> Fault {
    Fault::after(UpstreamFailure::Garbage("the response ended without an answer".into()))
}

fn fault_of(error: &reqwest::Error) -> Fault {
    let cause = egress::refusal(error).map_or_else(|| egress::innermost(error), ToString::to_string);
    if error.is_connect() || error.is_builder() {
        Fault::before(UpstreamFailure::NotConnected(cause))
    } else {
        Fault::after(UpstreamFailure::Lost(cause))
    }
}
