//! One client in front of the upstream servers of one agent, however it is connected.

use super::import::ToolListing;
use super::inbound::{Asked, Pump, Token};
use super::runs::Runs;
use super::wire::{Envelope, INVALID_REQUEST, METHOD_NOT_FOUND, Refusal, raw, response};
use aecl_executor::connectors::mcp::{RawReply, Upstream};
use aecl_gate::{Gate, GateError, Identity, Session};
use aecl_kernel::base::code;
use aecl_kernel::base::id::{AgentId, ApprovalId, RunId, UserId};
use aecl_kernel::record::approval::AskState;
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{broadcast, mpsc};
use tokio_util::sync::CancellationToken;

/// Messages that may wait for a slow client before older unasked ones are lost.
const UNASKED: usize = 256;

/// Who stands in front, and of what.
#[derive(Debug, Clone)]
pub struct Opening {
    /// The agent that acts.
    pub agent: AgentId,
    /// The servers behind the endpoint, by name; they are in the gate already, shared or for `session`.
    pub servers: Vec<String>,
    /// The key of this client's own upstream connections. Without one the shared connections are used.
    pub session: Option<String>,
    /// A run that was opened elsewhere. Without one a run is opened when it is needed, and gone on from
    /// when it has expired.
    pub run: Option<Session>,
    /// Who opens runs.
    pub by: Identity,
    /// What the run is for.
    pub goal: Option<String>,
    /// Its ordered steps.
    pub plan: Option<Value>,
    /// People are asked about the plan; what is proposed waits a while for their answer.
    pub approve_plan: bool,
    /// For whom the agent acts.
    pub user: Option<UserId>,
}

/// Where messages for the client go while one of its requests is underway.
#[derive(Debug, Clone)]
pub struct Outbound(pub mpsc::Sender<Box<RawValue>>);

impl Outbound {
    /// Sends a message on; a client that has gone is no error.
    pub async fn send(&self, message: Box<RawValue>) {
        drop(self.0.send(message).await);
    }
}

/// One client in front of the upstream servers of one agent.
pub struct ClientSession {
    pub(super) gate: Gate,
    pub(super) opening: Opening,
    pub(super) unasked: broadcast::Sender<Arc<RawValue>>,
    pub(super) runs: Runs,
    /// How own connections were greeted; nothing before the client has said how it speaks.
    pub(super) negotiated: tokio::sync::Mutex<Option<Negotiated>>,
    pub(super) desks: BTreeMap<String, Desk>,
    pub(super) state: Mutex<State>,
    /// Calls that the client polls for.
    pub(super) tasks: super::tasks::Tasks,
    /// Whether the client speaks a revision of the older era that has tasks.
    pub(super) has_tasks: AtomicBool,
    counter: AtomicU64,
}

/// The two ways in which a client may speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Negotiated {
    Legacy,
    Modern,
}

/// What is kept for one server.
#[derive(Default)]
pub(super) struct Desk {
    pub offers: ToolListing,
    pub pump: Mutex<Option<Pump>>,
}

/// Who waits for what.
#[derive(Default)]
pub(super) struct State {
    /// The client has gone: nobody is there for what comes to wait from now on.
    left: bool,
    /// Requests of the client.
    pub underway: HashMap<u64, Underway>,
    /// Progress tokens that we gave to servers in the place of the client's own.
    pub tokens: HashMap<u64, Token>,
    /// Requests of servers that the client has to answer.
    pub asked: HashMap<u64, Asked>,
    /// Resources that this client has subscribed to on shared connections.
    pub subscribed: std::collections::BTreeSet<(String, String)>,
    /// Places in lists that servers gave: of which server, by which method.
    pub cursors: std::collections::HashSet<(String, String, String)>,
    /// Addresses that servers have listed or returned.
    pub listed: std::collections::HashSet<(String, String)>,
    /// Which server has which resource, as far as it was listed; only where there are several.
    pub resources: BTreeMap<String, String>,
}

/// A request of the client that has no answer yet.
pub(super) struct Underway {
    id: String,
    cancel: CancellationToken,
    pub server: Option<String>,
    pub out: Outbound,
    pub phase: Phase,
}

/// How far a request has come.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) enum Phase {
    /// It acts on nothing.
    #[default]
    Relayed,
    /// It was proposed to the gate.
    Proposed,
    /// It waits, or has waited, for this request for approval.
    Held(ApprovalId),
}

impl std::fmt::Debug for ClientSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ClientSession({} before {})", self.opening.agent, self.opening.servers.join(", "))
    }
}

/// One request of the client, on its way through us.
pub(super) struct Request<'a> {
    pub number: u64,
    pub id: &'a RawValue,
    pub method: &'a str,
    pub params: Option<&'a RawValue>,
    pub out: &'a Outbound,
    pub cancel: CancellationToken,
}

impl ClientSession {
    /// Takes a client in.
    ///
    /// # Errors
    /// When the agent or a server is not known.
    pub async fn open(gate: Gate, opening: Opening) -> Result<Arc<Self>, GateError> {
        if gate.bundle().agent(&opening.agent).is_none() {
            let bundle = gate.bundle();
            let known = bundle.agents().map(|agent| agent.agent_id.to_string());
            let near = aecl_kernel::define::catalogue::nearest(opening.agent.as_str(), known);
            let hint = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
            let message = format!("there is no manifest for agent `{}`{hint}", opening.agent);
            return Err(GateError::Refused { code: code::AGENT_UNKNOWN, message });
        }
        let desks = opening.servers.iter().map(|name| (name.clone(), Desk::default())).collect();
        let client = Arc::new(Self {
            gate,
            opening,
            unasked: broadcast::channel(UNASKED).0,
            runs: Runs::default(),
            negotiated: tokio::sync::Mutex::default(),
            desks,
            state: Mutex::default(),
            tasks: Default::default(),
            has_tasks: AtomicBool::new(false),
            counter: AtomicU64::new(1),
        });
        for name in &client.opening.servers {
            if client.behind(name).is_none() {
                let message = format!("`{name}` is no configured server; add it to `servers` in aecl.yaml");
                return Err(GateError::Refused { code: code::REQUEST_INVALID, message });
            }
        }
        tokio::spawn(super::kept_back::tell_changes(Arc::downgrade(&client)));
        Ok(client)
    }

    /// The run in which this client acts; opened when there is none yet.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub async fn run(&self) -> Result<RunId, GateError> {
        Ok(self.runs.current(&self.gate, &self.opening).await?.principal.run)
    }

    /// The client has shown a newer token of the run that was opened elsewhere.
    pub async fn renewed(&self, session: &Session) {
        self.runs.renewed(&self.opening, session).await;
    }

    /// Takes one message from the client, as it came. A request gives one response, a raw JSON-RPC object;
    /// notifications and responses give none, and neither does a request that was cancelled. Everything
    /// else for the client while the request is underway goes to `out`. `cancel` fires when the client has
    /// gone.
    pub async fn message(
        self: &Arc<Self>,
        raw: &RawValue,
        out: &Outbound,
        cancel: CancellationToken,
    ) -> Option<Box<RawValue>> {
        let Some(envelope) = Envelope::read(raw) else {
            return Some(no_request("the message is no single JSON-RPC object"));
        };
        match (&envelope.method, envelope.id) {
            (Some(method), Some(id)) if is_id(id) => {
                let underway = self.enter(id, out, &cancel);
                let request = Request {
                    number: underway.number,
                    id,
                    method,
                    params: envelope.params,
                    out,
                    cancel: underway.cancel.clone(),
                };
                let reply = self.dispatch(&request).await.unwrap_or_else(Refusal::reply);
                // Who has cancelled does not expect an answer any more.
                (!request.cancel.is_cancelled()).then(|| response(id, &reply))
            }
            (Some(_), Some(_)) => Some(no_request("the `id` must be a text or a whole number")),
            (Some(method), None) => {
                self.notified(method, envelope.params).await;
                None
            }
            (None, Some(id)) => {
                self.answered(id, &envelope).await;
                None
            }
            (None, None) => Some(no_request("the message has neither a `method` nor an `id`")),
        }
    }

    async fn dispatch(self: &Arc<Self>, request: &Request<'_>) -> Result<RawReply, Refusal> {
        match request.method {
            "ping" => return Ok(RawReply::Result(raw("{}".into()))),
            // Judged, and on record.
            "tools/call" | "resources/read" | "prompts/get" | "completion/complete" => {
                return self.act(request).await;
            }
            "tasks/get" | "tasks/result" | "tasks/update" | "tasks/cancel" | "tasks/list" => {
                return self.task(request).await;
            }
            _ => {}
        }
        self.passes_on().await?;
        match request.method {
            "initialize" => self.initialize(request).await,
            "server/discover" => self.discover(request).await,
            "tools/list" | "resources/list" | "resources/templates/list" | "prompts/list" => {
                self.list(request).await
            }
            "logging/setLevel" | "resources/subscribe" | "resources/unsubscribe" => self.relay(request).await,
            "subscriptions/listen" => self.follow(request).await,
            other => {
                let shown: String = other.chars().filter(|c| !c.is_control()).take(80).collect();
                Err(Refusal::new(METHOD_NOT_FOUND, format!("`{shown}` is not relayed")))
            }
        }
    }

    /// What the servers say unasked, from now on: for the GET stream or standard output.
    pub fn unasked(&self) -> broadcast::Receiver<Arc<RawValue>> {
        self.unasked.subscribe()
    }

    /// The client has gone, and nobody reads answers any more: waiting for people ends, and so does what acts
    /// on nothing. What was proposed and may have begun goes on, so that its end is known.
    pub async fn leave(&self) {
        self.tasks.leave();
        let underway: Vec<_> = {
            let mut state = self.state();
            state.left = true;
            state.underway.values().map(|it| (it.phase.clone(), it.cancel.clone())).collect()
        };
        for (phase, cancel) in underway {
            let goes_on = match phase {
                Phase::Relayed => false,
                Phase::Proposed => true,
                Phase::Held(ask) => {
                    let ask = self.gate.ledger().approval(&ask).await;
                    !matches!(ask, Ok(Some(ask)) if ask.state == AskState::Pending)
                }
            };
            if !goes_on {
                cancel.cancel();
            }
        }
    }

    /// Notes how far a request has come. One that begins to wait for people when its client has gone already waits no
    /// longer.
    pub(super) fn comes_to(&self, number: u64, phase: Phase) {
        let mut state = self.state();
        let left = state.left && matches!(phase, Phase::Held(_));
        if let Some(underway) = state.underway.get_mut(&number) {
            underway.phase = phase;
            if left {
                underway.cancel.cancel();
            }
        }
    }

    /// Completes when no task of the client is underway any more.
    pub async fn settled(&self) {
        self.tasks.settled().await;
    }

    /// Ends what is left: what is underway is cancelled, own connections end, a run that was opened here is
    /// closed unless a person may still answer something in it.
    pub async fn close(&self) {
        for underway in self.state().underway.values() {
            underway.cancel.cancel();
        }
        self.tasks.close();
        self.state().asked.clear();
        self.runs.close(&self.gate, &self.opening).await;
        for upstream in self.let_go() {
            upstream.close().await;
        }
    }

    /// Takes own connections out of the gate.
    fn let_go(&self) -> Vec<Upstream> {
        for desk in self.desks.values() {
            drop(desk.pump.lock().unwrap_or_else(PoisonError::into_inner).take());
        }
        let Some(session) = &self.opening.session else { return Vec::new() };
        let mcp = &self.gate.executor().connectors().mcp;
        self.opening.servers.iter().filter_map(|server| mcp.remove(Some(session), server)).collect()
    }

    /// The server as this client sees it, with somebody listening to what it says unasked. There is none for an agent
    /// that may use nothing of it.
    pub(super) fn upstream(self: &Arc<Self>, server: &str) -> Option<Upstream> {
        let upstream = self.behind(server).filter(|_| self.uses(server))?;
        self.listen(server, &upstream);
        Some(upstream)
    }

    fn behind(&self, server: &str) -> Option<Upstream> {
        let session = self.opening.session.as_deref();
        self.gate.executor().connectors().mcp.upstream(session, server)
    }

    /// Whether the client of the older era can have its calls as tasks.
    pub(super) fn offers_tasks(&self) -> bool {
        self.has_tasks.load(Ordering::Relaxed)
    }

    /// Whether connections are this client's own.
    pub(super) fn has_own_connections(&self) -> bool {
        self.opening.session.is_some()
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn number(&self) -> u64 {
        self.counter.fetch_add(1, Ordering::Relaxed)
    }

    fn enter(self: &Arc<Self>, id: &RawValue, out: &Outbound, cancel: &CancellationToken) -> Entered {
        let (number, cancel) = (self.number(), cancel.child_token());
        let underway = Underway {
            id: id.get().to_owned(),
            cancel: cancel.clone(),
            server: None,
            out: out.clone(),
            phase: Phase::default(),
        };
        self.state().underway.insert(number, underway);
        Entered { client: self.clone(), number, cancel }
    }

    /// The client does not wait for this request any more.
    pub(super) fn cancel(&self, id: &RawValue) {
        for underway in self.state().underway.values().filter(|it| it.id == id.get()) {
            underway.cancel.cancel();
        }
    }
}

impl Drop for ClientSession {
    fn drop(&mut self) {
        // Dropping a connection ends it.
        drop(self.let_go());
    }
}

/// A request that is underway until this is dropped.
struct Entered {
    client: Arc<ClientSession>,
    number: u64,
    cancel: CancellationToken,
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.client.state().underway.remove(&self.number);
    }
}

fn is_id(id: &RawValue) -> bool {
    let text = id.get();
    text.starts_with('"') || text.parse::<i64>().is_ok()
}

fn no_request(why: &str) -> Box<RawValue> {
    response(RawValue::NULL, &Refusal::new(INVALID_REQUEST, why).reply())
}
