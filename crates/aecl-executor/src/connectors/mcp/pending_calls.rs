//! Who waits for which answer on one connection.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::{broadcast, oneshot};

use super::envelope::{Envelope, Inbound, RawReply, our_id, response};
use super::error::{Fault, UpstreamFailure};
use aecl_egress::vault::KnownSecrets;
use aecl_kernel::base::json::is_too_deep;

use crate::depth::why_withheld;

/// What outlives one connection to a server: identifiers, counts, listeners.
pub(crate) struct Shared {
    next_id: AtomicU64,
    pub inbound: broadcast::Sender<Arc<Inbound>>,
    pub counters: Counters,
    /// Grows whenever the tools may have changed: by notification, or by a new connection.
    pub tools_generation: AtomicU64,
    /// The credentials that the server was given: what it says goes on without them.
    pub secrets: KnownSecrets,
    /// How many messages the server has said unasked.
    pub said: AtomicU64,
}

/// Counters of a server's bad behaviour. Worth an alert when one grows.
#[derive(Debug, Default)]
pub struct Counters {
    /// Lines that are no JSON-RPC message.
    pub garbage: AtomicU64,
    /// Answers to a request that was answered already, or that nobody waits for any more.
    pub stale_answers: AtomicU64,
    /// Answers to a request that was never made.
    pub unknown_answers: AtomicU64,
    /// Progress for a token that belongs to no waiting request.
    pub stray_progress: AtomicU64,
    /// Connections made.
    pub connections: AtomicU64,
}

impl Shared {
    pub(crate) fn new() -> Self {
        Self {
            next_id: AtomicU64::new(1),
            inbound: broadcast::channel(1024).0,
            counters: Counters::default(),
            tools_generation: AtomicU64::new(0),
            secrets: KnownSecrets::default(),
            said: AtomicU64::new(0),
        }
    }
}

pub(crate) struct PendingCalls {
    server: String,
    generation: u64,
    shared: Arc<Shared>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: HashMap<u64, Waiting>,
    closed: Option<String>,
}

struct Waiting {
    answer: oneshot::Sender<Answer>,
    progress_token: Option<String>,
}

pub(crate) type Answer = Result<RawReply, UpstreamFailure>;

impl PendingCalls {
    pub(crate) fn new(server: String, generation: u64, shared: Arc<Shared>) -> Arc<Self> {
        Arc::new(Self { server, generation, shared, state: Mutex::default() })
    }

    /// The credentials that the server was given.
    pub(crate) fn secrets(&self) -> &KnownSecrets {
        &self.shared.secrets
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a number and waits under it.
    pub(crate) fn enter(
        &self,
        progress_token: Option<String>,
    ) -> Result<(u64, oneshot::Receiver<Answer>), Fault> {
        let mut state = self.state();
        if let Some(reason) = &state.closed {
            return Err(Fault::before(UpstreamFailure::NotConnected(reason.clone())));
        }
        let id = self.shared.next_id.fetch_add(1, Ordering::Relaxed);
        let (answer, receiver) = oneshot::channel();
        state.waiting.insert(id, Waiting { answer, progress_token });
        Ok((id, receiver))
    }

    /// Stops waiting. Whether an answer was still outstanding.
    pub(crate) fn leave(&self, id: u64) -> bool {
        self.state().waiting.remove(&id).is_some()
    }

    /// The connection is gone: all who wait learn it, nobody new can enter.
    pub(crate) fn close(&self, reason: &str) {
        let waiting = {
            let mut state = self.state();
            if state.closed.is_none() {
                state.closed = Some(reason.to_owned());
            }
            std::mem::take(&mut state.waiting)
        };
        for (_, one) in waiting {
            let _ = one.answer.send(Err(UpstreamFailure::Lost(reason.to_owned())));
        }
    }

    pub(crate) fn closed(&self) -> Option<String> {
        self.state().closed.clone()
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// Takes one message from the server. What comes back is to be sent to it.
    pub(crate) fn receive(&self, text: &str, of: Option<u64>) -> Option<String> {
        let text = self.shared.secrets.scrub(text);
        let text = &*super::ours::without_ours(&text);
        let Some(envelope) = Envelope::read(text) else {
            self.garbage(text.len());
            return None;
        };
        if envelope.method.is_some() && is_too_deep(text.as_bytes()) {
            self.garbage(text.len());
            let why = raw(r#"{"code":-32600,"message":"the message nests too deep"}"#).map(RawReply::Error);
            return envelope.id.zip(why).map(|(id, why)| response(id, &why));
        }
        match (&envelope.method, envelope.id) {
            (Some(method), Some(id)) => self.asked(text, method, id, of),
            (Some(method), None) => {
                self.notified(text, method, &envelope, of);
                None
            }
            (None, Some(id)) => {
                self.answered(id, &envelope);
                None
            }
            (None, None) => {
                self.garbage(text.len());
                None
            }
        }
    }

    pub(crate) fn garbage(&self, bytes: usize) {
        self.shared.counters.garbage.fetch_add(1, Ordering::Relaxed);
        // Only the length: what a server prints by mistake may be anything, secrets included.
        tracing::warn!(server = self.server, bytes, "a line from the upstream is no json-rpc message");
    }

    fn answered(&self, id: &RawValue, envelope: &Envelope<'_>) {
        let said = envelope.result.or(envelope.error);
        let withheld = said.and_then(|said| why_withheld(said.get().as_bytes()));
        let answer = match (envelope.result, envelope.error) {
            (Some(_), None) | (None, Some(_)) if withheld.is_some() => Ok(withheld_for(withheld.as_deref())),
            (Some(result), None) => Ok(RawReply::Result(result.to_owned())),
            (None, Some(error)) => Ok(RawReply::Error(error.to_owned())),
            (Some(_), Some(_)) => Err(UpstreamFailure::Garbage("both a result and an error".into())),
            (None, None) => Err(UpstreamFailure::Garbage("neither a result nor an error".into())),
        };
        let number = our_id(id).filter(|n| *n < self.shared.next_id.load(Ordering::Relaxed));
        let Some(number) = number else {
            self.shared.counters.unknown_answers.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(server = self.server, "dropped an answer to a request that was never made");
            return;
        };
        let Some(waiting) = self.state().waiting.remove(&number) else {
            self.shared.counters.stale_answers.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(server = self.server, id = number, "dropped an answer: a second one, or too late");
            return;
        };
        let _ = waiting.answer.send(answer);
    }

    fn asked(&self, text: &str, method: &str, id: &RawValue, of: Option<u64>) -> Option<String> {
        // Liveness is between neighbours: the ping asks whether *we* are there.
        let reply = if method == "ping" {
            raw("{}").map(RawReply::Result)
        } else if self.hand_on(text, method, Some(id), of) {
            return None;
        } else {
            raw(r#"{"code":-32601,"message":"nobody is here to answer this"}"#).map(RawReply::Error)
        };
        reply.map(|reply| response(id, &reply))
    }

    fn notified(&self, text: &str, method: &str, envelope: &Envelope<'_>, of: Option<u64>) {
        match method {
            "notifications/tools/list_changed" => {
                self.shared.tools_generation.fetch_add(1, Ordering::Relaxed);
            }
            "notifications/progress" if !self.is_awaited(envelope.params) => {
                self.shared.counters.stray_progress.fetch_add(1, Ordering::Relaxed);
                return;
            }
            _ => {}
        }
        self.hand_on(text, method, None, of);
    }

    fn is_awaited(&self, params: Option<&RawValue>) -> bool {
        let token = params.and_then(|params| progress_token_of(params.get()));
        token.is_some() && self.state().waiting.values().any(|one| one.progress_token == token)
    }

    fn hand_on(&self, text: &str, method: &str, id: Option<&RawValue>, of: Option<u64>) -> bool {
        let Some(raw) = raw(text) else { return false };
        let inbound = Inbound {
            raw,
            method: method.to_owned(),
            id: id.map(ToOwned::to_owned),
            of,
            seq: self.shared.said.fetch_add(1, Ordering::AcqRel) + 1,
            generation: self.generation,
            answered: AtomicBool::new(false),
        };
        self.shared.inbound.send(Arc::new(inbound)).is_ok()
    }
}

/// The raw text of `progressToken` in the params of a progress notification.
fn progress_token_of(params: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Token<'a> {
        #[serde(borrow, rename = "progressToken")]
        token: &'a RawValue,
    }
    Some(serde_json::from_str::<Token<'_>>(params).ok()?.token.get().to_owned())
}

/// The raw text of the progress token in the `_meta` of a request's params.
pub(crate) fn requested_progress_token(params: Option<&RawValue>) -> Option<String> {
    #[derive(Deserialize)]
    struct Params<'a> {
        #[serde(borrow, rename = "_meta")]
        meta: &'a RawValue,
    }
    progress_token_of(serde_json::from_str::<Params<'_>>(params?.get()).ok()?.meta.get())
}

/// In place of what is withheld.
fn withheld_for(why: Option<&str>) -> RawReply {
    let error = serde_json::json!({ "code": -32603, "message": why });
    RawReply::Error(raw(&error.to_string()).unwrap_or_else(|| RawValue::NULL.to_owned()))
}

fn raw(text: &str) -> Option<Box<RawValue>> {
    RawValue::from_string(text.to_owned()).ok()
}
