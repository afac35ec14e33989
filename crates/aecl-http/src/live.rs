//! What has changed, for whoever looks at it: events that say what to look at again, and nothing of what is there now.
//! Whoever hears one asks as always, so rights are checked in one place; nobody who missed one has missed anything.

use super::App;
use super::approvals::named;
use super::auth::Known;
use super::problem::{Problem, ProblemDetails};
use aecl_gate::{Gate, Identity};
use aecl_kernel::base::code;
use aecl_kernel::base::id::{ActionId, ApprovalId};
use aecl_kernel::base::principal::Principal;
use aecl_kernel::record::approval::ApprovalRequest;
use aecl_kernel::record::event::{Entry, Event};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderName, header};
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use serde::Deserialize;
use serde_json::json;
use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::broadcast::{self, Receiver, Sender};
use tokio_util::sync::CancellationToken;
use utoipa::IntoParams;

/// Most streams at once: of one reader, and of all.
const STREAMS_EACH: usize = 8;
const STREAMS_MAX: usize = 256;
/// Most things that one stream is about.
const TOPICS_MAX: usize = 8;
/// How often a stream says that it lives.
const BEAT: Duration = Duration::from_secs(15);
/// How soon a reader comes back whose stream has ended.
const RETRY: Duration = Duration::from_secs(2);
/// After something was told, what changes within this time is told together: telling hundreds of streams of each entry by
/// itself would take time from those who decide.
const TOGETHER: Duration = Duration::from_millis(250);
/// Entries read at once.
const CHUNK: usize = 256;
/// Most changes that a stream may be behind. Beyond that it says that everything may have changed.
const BEHIND_MAX: usize = 1024;

/// Streams that are open, and what tells them.
#[derive(Debug, Clone, Default)]
pub struct Live(Arc<Mutex<Room>>);

#[derive(Debug, Default)]
struct Room {
    /// There while somebody follows the record for the streams.
    telling: Option<Sender<Change>>,
    /// How many streams each reader has.
    open: HashMap<String, usize>,
}

/// An entry that concerns somebody.
#[derive(Debug, Clone)]
struct Change {
    position: u64,
    action: ActionId,
    /// The request that changed, and in whose run.
    request: Option<Arc<(ApprovalRequest, Principal)>>,
}

impl Live {
    /// How many streams are open.
    pub fn streams(&self) -> usize {
        self.room().open.values().sum()
    }

    fn room(&self) -> MutexGuard<'_, Room> {
        // What is in it is whole at all times.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn seat(&self, who: &str) -> Result<StreamSeat, Problem> {
        let mut room = self.room();
        let full = |most: usize, whose: &str| {
            let why = format!("{most} streams of events are open, as many as {whose} may have");
            Err(Problem::of(code::OVERLOADED, why).hint("close one, or ask without a stream"))
        };
        if room.open.values().sum::<usize>() >= STREAMS_MAX {
            return full(STREAMS_MAX, "all together");
        }
        let own = room.open.entry(who.to_owned()).or_default();
        if *own >= STREAMS_EACH {
            return full(STREAMS_EACH, &format!("`{who}`"));
        }
        *own += 1;
        Ok(StreamSeat { live: self.clone(), who: who.to_owned() })
    }

    /// Changes from here on. Somebody follows the record for as long as anybody listens.
    fn listen(&self, app: &App) -> Receiver<Change> {
        let mut room = self.room();
        if let Some(telling) = &room.telling {
            return telling.subscribe();
        }
        let (telling, hearing) = broadcast::channel(BEHIND_MAX);
        room.telling = Some(telling.clone());
        let durable = app.gate.ledger().durable();
        let from = *durable.borrow();
        let (live, gate) = (self.clone(), app.gate.clone());
        let follower = Follower { live, gate, telling, durable, next: from };
        tokio::spawn(follower.until(app.options.closing.clone()));
        hearing
    }
}

/// The place of one stream, given back when it ends.
#[derive(Debug)]
struct StreamSeat {
    live: Live,
    who: String,
}

impl Drop for StreamSeat {
    fn drop(&mut self) {
        let mut room = self.live.room();
        if let Some(own) = room.open.get_mut(&self.who) {
            *own -= 1;
            if *own == 0 {
                room.open.remove(&self.who);
            }
        }
    }
}

/// Reads the record once for all streams.
struct Follower {
    live: Live,
    gate: Gate,
    telling: Sender<Change>,
    durable: tokio::sync::watch::Receiver<u64>,
    next: u64,
}

impl Follower {
    async fn until(mut self, closing: CancellationToken) {
        loop {
            tokio::select! {
                () = closing.cancelled() => break,
                more = self.durable.changed() => if more.is_err() { break },
            }
            if self.has_gone() {
                return;
            }
            if let Err(problem) = self.tell().await {
                // The streams end, and their readers come back.
                tracing::warn!(why = problem.detail, "what has changed cannot be read");
                break;
            }
            tokio::select! {
                () = closing.cancelled() => break,
                () = tokio::time::sleep(TOGETHER) => {}
            }
        }
        self.live.room().telling = None;
    }

    /// Whether nobody listens any more; then nobody is told.
    fn has_gone(&self) -> bool {
        let mut room = self.live.room();
        let alone = self.telling.receiver_count() == 0;
        if alone {
            room.telling = None;
        }
        alone
    }

    async fn tell(&mut self) -> Result<(), Problem> {
        let size = *self.durable.borrow_and_update();
        while self.next < size {
            let entries = self.gate.ledger().entries(self.next, CHUNK).await?;
            let Some(last) = entries.last() else { return Ok(()) };
            self.next = last.position + 1;
            for entry in entries {
                if let Some(change) = self.change(entry).await? {
                    // Nobody may listen just now.
                    drop(self.telling.send(change));
                }
            }
        }
        Ok(())
    }

    async fn change(&self, entry: Entry) -> Result<Option<Change>, Problem> {
        let position = entry.position;
        let (action, request) = match entry.event {
            Event::Asked(ask) => (ask.action.clone(), Some(self.request(*ask).await?)),
            Event::Answered(it) => (it.action, Some(self.request_of(&it.approval).await?)),
            Event::Expired(it) => (it.action, Some(self.request_of(&it.approval).await?)),
            Event::Withdrawn(it) => (it.action, Some(self.request_of(&it.approval).await?)),
            // A yes is used.
            Event::Ruled(ruled) => {
                let principal = ruled.principal;
                (ruled.action, ruled.facts.ask.map(|ask| Arc::new((ask, principal))))
            }
            Event::Started(it) => (it.action, None),
            Event::Concluded(it) => (it.action, None),
            Event::BundleLoaded(_)
            | Event::SandboxProbed(_)
            | Event::RunOpened(_)
            | Event::RunClosed(_)
            | Event::TokenIssued(_)
            | Event::TokenRevoked(_)
            | Event::Kill(_)
            | Event::Lift(_)
            | Event::BudgetAdjusted(_)
            | Event::Erased(_)
            | Event::KeyChanged(_)
            | Event::Heartbeat(_)
            | Event::Fault(_) => return Ok(None),
        };
        Ok(Some(Change { position, action, request }))
    }

    async fn request_of(&self, id: &ApprovalId) -> Result<Arc<(ApprovalRequest, Principal)>, Problem> {
        self.request(self.gate.ask(id).await?).await
    }

    async fn request(&self, ask: ApprovalRequest) -> Result<Arc<(ApprovalRequest, Principal)>, Problem> {
        let run = self.gate.run_now(&ask.run).await?;
        Ok(Arc::new((ask, run.principal)))
    }
}

/// What a stream is about.
#[derive(Debug, Clone)]
enum Topic {
    /// Requests that this reader may see.
    Inbox,
    /// One request in the run of this principal, and what comes of it.
    Approval(Box<(ApprovalRequest, Principal)>),
}

impl Topic {
    async fn parse(app: &App, text: &str, reader: &Identity) -> Result<Self, Problem> {
        match text.split_once(':') {
            None if text == "inbox" => Ok(Self::Inbox),
            Some(("approval", name)) => {
                let id = named(app, name, reader).await?;
                let ask = app.gate.ask(&id).await?;
                let run = app.gate.run_now(&ask.run).await?;
                match app.gate.sees_request(reader, &ask, &run.principal) {
                    true => Ok(Self::Approval(Box::new((ask, run.principal)))),
                    false => Err(aecl_ledger::LedgerError::NoApproval(id).into()),
                }
            }
            None | Some(_) => {
                let why = format!(
                    "`{text:.80}` is nothing that changes are told of; `inbox` and `approval:ID` are"
                );
                Err(Problem::of(code::REQUEST_INVALID, why))
            }
        }
    }

    fn is_about(&self, change: &Change, reader: &Identity, gate: &Gate) -> bool {
        let request = change.request.as_deref();
        match self {
            Self::Inbox => request.is_some_and(|(ask, of)| gate.sees_request(reader, ask, of)),
            Self::Approval(one) => {
                let (own, of) = one.as_ref();
                let is_it = change.action == own.action
                    || request.is_some_and(|(ask, _)| ask.approval == own.approval);
                // Who may see it may change while somebody listens.
                is_it && gate.sees_request(reader, own, of)
            }
        }
    }

    fn event(&self, position: u64) -> sse::Event {
        let (name, data) = match self {
            Self::Inbox => ("inbox", json!({})),
            Self::Approval(one) => ("approval", json!({"approval": one.0.approval})),
        };
        sse::Event::default().id(position.to_string()).retry(RETRY).event(name).data(data.to_string())
    }
}

/// Reader of a stream, for as long as they may read it.
pub struct StreamReader {
    /// Who it is now; nobody once they may not read any more.
    pub now: Box<dyn Fn() -> Option<Identity> + Send + Sync>,
    /// Fires when they log out.
    pub left: CancellationToken,
    /// After this long they have to log in again.
    pub lasts: Duration,
}

/// Options of a stream.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct Wanted {
    /// What it is about, with commas between: `inbox` (requests that the caller may see), `approval:ID` (one request, and
    /// what comes of it). At most 8.
    topics: String,
    /// How many entries the record had when the caller last looked. If it has more by now, the first event comes at once.
    /// `Last-Event-ID` says the same and counts more.
    since: Option<u64>,
}

/// What has changed, as server-sent events: each names a topic to look at again. For people.
#[utoipa::path(get, path = "/v1/events", operation_id = "follow_events", tag = "approvals", params(Wanted),
    responses((status = 200, body = String, content_type = "text/event-stream"),
        (status = "4XX", body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn events(
    State(app): State<App>,
    by: Known,
    headers: HeaderMap,
    wanted: Result<Query<Wanted>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Problem> {
    by.person_or_owner("follow what changes")?;
    let Query(wanted) = wanted.map_err(|e| Problem::of(code::REQUEST_INVALID, e.body_text()))?;
    let (gate, key) = (app.gate.clone(), super::auth::only_bearer(&headers).map(str::to_owned));
    let who = by.0.clone();
    let now = move || match &key {
        Some(key) => gate.identify(key).ok(),
        None => Some(who.clone()),
    };
    let reader = StreamReader { now: Box::new(now), left: CancellationToken::new(), lasts: Duration::MAX };
    follow(&app, reader, &headers, wanted).await
}

/// Streams what changes to this reader.
pub async fn follow(
    app: &App,
    reader: StreamReader,
    headers: &HeaderMap,
    wanted: Wanted,
) -> Result<Response, Problem> {
    let nobody = || Problem::of(code::TOKEN_INVALID, "nobody is logged in any more");
    let who = (reader.now)().ok_or_else(nobody)?;
    let names: Vec<&str> = wanted.topics.split(',').map(str::trim).filter(|t| !t.is_empty()).collect();
    if names.is_empty() || names.len() > TOPICS_MAX {
        let why = format!("`topics` names {} things; 1 to {TOPICS_MAX} are possible", names.len());
        return Err(Problem::of(code::REQUEST_INVALID, why).hint("`topics=inbox`, or `topics=approval:ID`"));
    }
    let mut topics = Vec::new();
    for name in names {
        topics.push(Topic::parse(app, name, &who).await?);
    }
    let seat = app.live.seat(&who.name())?;
    // Before the look at what there is, so that nothing falls in between.
    let changes = app.live.listen(app);
    let last = headers.get("last-event-id").and_then(|value| value.to_str().ok()?.parse().ok());
    let size = *app.gate.ledger().durable().borrow();
    let told: VecDeque<sse::Event> = match last.map(|last: u64| last + 1).or(wanted.since) {
        Some(seen) if seen < size => topics.iter().map(|topic| topic.event(size - 1)).collect(),
        // A first word, so that the reader knows that it is heard.
        Some(_) | None => VecDeque::from([sse::Event::default().retry(RETRY).comment("live")]),
    };
    let ends = tokio::time::Instant::now().checked_add(reader.lasts);
    let told = Stream { app: app.clone(), reader, ends, topics, changes, told, _seat: seat };
    let told = stream::unfold(told, |mut stream| async {
        let event = stream.next().await?;
        Some((Ok::<_, Infallible>(event), stream))
    });
    let kept = Sse::new(told).keep_alive(KeepAlive::new().interval(BEAT));
    // A proxy in front that collects answers would keep them back.
    let head = [(header::CACHE_CONTROL, "no-store"), (HeaderName::from_static("x-accel-buffering"), "no")];
    Ok((head, kept).into_response())
}

/// One stream.
struct Stream {
    app: App,
    reader: StreamReader,
    ends: Option<tokio::time::Instant>,
    topics: Vec<Topic>,
    changes: Receiver<Change>,
    /// What is still to be said.
    told: VecDeque<sse::Event>,
    _seat: StreamSeat,
}

impl Stream {
    async fn next(&mut self) -> Option<sse::Event> {
        loop {
            if let Some(event) = self.told.pop_front() {
                return Some(event);
            }
            let over = async {
                match self.ends {
                    Some(ends) => tokio::time::sleep_until(ends).await,
                    None => std::future::pending().await,
                }
            };
            let heard = tokio::select! {
                heard = self.changes.recv() => heard,
                () = self.reader.left.cancelled() => return None,
                () = self.app.options.closing.cancelled() => return None,
                () = over => return None,
            };
            match heard {
                Ok(first) => self.tell(first)?,
                Err(RecvError::Lagged(_)) => {
                    let size = *self.app.gate.ledger().durable().borrow();
                    let all = self.topics.iter().map(|topic| topic.event(size.saturating_sub(1)));
                    self.told.extend(all);
                }
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// What is to be said of this and of what came with it, once for each topic; nothing to those who may not read any
    /// more.
    fn tell(&mut self, first: Change) -> Option<()> {
        let reader = (self.reader.now)()?;
        let mut last: Vec<Option<u64>> = vec![None; self.topics.len()];
        let mut next = Some(first);
        while let Some(change) = next {
            for (topic, last) in self.topics.iter().zip(&mut last) {
                if topic.is_about(&change, &reader, &self.app.gate) {
                    *last = Some(change.position);
                }
            }
            next = self.changes.try_recv().ok();
        }
        let told = self.topics.iter().zip(last).filter_map(|(topic, at)| Some(topic.event(at?)));
        self.told.extend(told);
        Some(())
    }
}
