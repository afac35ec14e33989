//! One client in front of the upstream servers of one agent, however it is connected: what is known of it, and who waits
//! for what. What its messages mean is said above.

use super::negotiated::Negotiated;
use super::opening::{Opening, Outbound};
use super::runs::Runs;
use super::task::Tasks;
use super::tool_listing::ToolListing;
use aecl_executor::connectors::mcp::{Inbound, Upstream};
use aecl_gate::{Gate, GateError, Session};
use aecl_kernel::base::code;
use aecl_kernel::base::id::{ApprovalId, RunId};
use aecl_kernel::record::approval::ApprovalState;
use serde_json::value::RawValue;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{broadcast, watch};
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

/// Messages that may wait for a slow client before older unasked ones are lost.
const UNASKED: usize = 256;

/// Session of one client in front of the upstream servers of one agent.
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
    pub(super) tasks: Tasks,
    /// Whether the client speaks a revision of the older era that has tasks.
    pub(super) has_tasks: AtomicBool,
    counter: AtomicU64,
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

/// Somebody who listens to one server.
pub(super) struct Pump {
    pub upstream: Upstream,
    pub passed_on: watch::Receiver<u64>,
    pub task: AbortHandle,
}

impl Drop for Pump {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A progress token of the client.
pub(super) struct Token {
    pub theirs: Box<RawValue>,
    pub out: Outbound,
}

/// A request of a server.
pub(super) struct Asked {
    pub upstream: Upstream,
    pub inbound: Arc<Inbound>,
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
    /// A session; nothing if the agent or a server is not known.
    pub(super) fn new(gate: Gate, opening: Opening) -> Result<Arc<Self>, GateError> {
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
                    !matches!(ask, Ok(Some(ask)) if ask.state == ApprovalState::Pending)
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

    pub(super) fn behind(&self, server: &str) -> Option<Upstream> {
        let session = self.opening.session.as_deref();
        self.gate.executor().connectors().mcp.upstream(session, server)
    }

    /// Notes to which server a request went, so that what that server says meanwhile finds its client.
    pub(super) fn goes_to(&self, request: &Request<'_>, server: &str) {
        if let Some(underway) = self.state().underway.get_mut(&request.number) {
            underway.server = Some(server.to_owned());
        }
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

    pub(super) fn enter(
        self: &Arc<Self>,
        id: &RawValue,
        out: &Outbound,
        cancel: &CancellationToken,
    ) -> Entered {
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
pub(super) struct Entered {
    client: Arc<ClientSession>,
    pub number: u64,
    pub cancel: CancellationToken,
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.client.state().underway.remove(&self.number);
    }
}
