//! Calls as tasks: a client that knows tasks gets a handle for a call that waits for people, and polls.
//! When they have agreed, the call is carried out once, without the client calling again.
//!
//! A task is a way to hear about a call and no more: what counts is the record. It lives as long as its
//! client is here and is forgotten after that; the request for approval is not, and the identical call,
//! made again, is the same one.

use super::call::{Call, QUESTION};
use super::client_session::{ClientSession, Negotiated, Request};
use super::greeting::{meta_of, stated};
use super::wire::{
    INTERNAL_ERROR, INVALID_PARAMS, METHOD_NOT_FOUND, Members, NOT_CARRIED_OUT, Refusal, members_of, raw,
    raw_value,
};
use aecl_executor::connectors::mcp::RawReply;
use aecl_gate::submit::{Answer, End};
use aecl_kernel::base::code;
use aecl_kernel::base::time::Timestamp;
use aecl_kernel::record::approval::Ask;
use aecl_kernel::record::facts::ActionState;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Under which name the stateless era knows tasks.
const EXTENSION: &str = "io.modelcontextprotocol/tasks";
/// The revision of the older era that knows them.
const SINCE: &str = "2025-11-25";
/// Says to which task a result belongs.
const RELATED: &str = "io.modelcontextprotocol/related-task";
/// What the older era hands the model at once.
const MEANWHILE: &str = "io.modelcontextprotocol/model-immediate-response";
/// The client lacks what the request needs.
const CAPABILITY_MISSING: i64 = -32021;
/// Tasks of one client at once.
const TASKS_MAX: usize = 256;
/// Tasks in one page of a list.
const PAGE: usize = 100;
/// The shortest and the longest life of a task, in milliseconds.
const TTL_MS: (u64, u64) = (60_000, 24 * 60 * 60 * 1000);
/// For how long what came of a task is kept beyond the time in which people may answer, in milliseconds.
const KEPT_MS: u64 = 10 * 60 * 1000;

/// The tasks of one client, in the order in which they were made.
#[derive(Default)]
pub(super) struct Tasks(Mutex<BTreeMap<String, Arc<Task>>>);

struct Task {
    id: String,
    created_at: Timestamp,
    ttl_ms: u64,
    poll_ms: u64,
    way: Negotiated,
    /// What was called.
    action: String,
    /// Fires when the client cancels: waiting ends, and an attempt is told.
    cancel: CancellationToken,
    /// Fires when nobody waits any more: an attempt goes on to its end.
    until: CancellationToken,
    standing: watch::Sender<Standing>,
}

/// Where a task stands, and since when.
#[derive(Clone)]
struct Standing {
    stage: Stage,
    since: Timestamp,
}

#[derive(Clone)]
enum Stage {
    /// It was proposed.
    Proposed,
    /// People are asked. Whether the client is asked to show them the page.
    Waiting { ask: Box<Ask>, shows_page: bool },
    /// This is its answer.
    Over(RawReply),
    /// It is not carried out any more by itself.
    Cancelled(&'static str),
}

impl Stage {
    fn is_over(&self) -> bool {
        match self {
            Stage::Over(_) | Stage::Cancelled(_) => true,
            Stage::Proposed | Stage::Waiting { .. } => false,
        }
    }
}

impl Tasks {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Task>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a task in; nothing when there are too many that are not over.
    fn add(&self, task: &Arc<Task>, now: Timestamp) -> bool {
        let mut all = self.lock();
        all.retain(|_, task| now < task.ends_at());
        if all.len() >= TASKS_MAX {
            let over = all.values().find(|task| task.stage().is_over()).map(|task| task.id.clone());
            let Some(over) = over else { return false };
            all.remove(&over);
        }
        all.insert(task.id.clone(), task.clone());
        true
    }

    fn find(&self, id: &str, now: Timestamp) -> Option<Arc<Task>> {
        self.lock().get(id).filter(|task| now < task.ends_at()).cloned()
    }

    /// A page of tasks after the one with this id, and the id to go on from.
    fn page(&self, after: Option<String>, now: Timestamp) -> (Vec<Arc<Task>>, Option<String>) {
        let all = self.lock();
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let alive = all.range((from, Bound::Unbounded)).map(|(_, task)| task).filter(|t| now < t.ends_at());
        let mut page: Vec<_> = alive.take(PAGE + 1).cloned().collect();
        let more = page.len() > PAGE;
        page.truncate(PAGE);
        let next = page.last().filter(|_| more).map(|task| task.id.clone());
        (page, next)
    }

    /// Nobody waits any more: what waits for people ends, what has begun goes on.
    pub(super) fn leave(&self) {
        for task in self.lock().values() {
            task.until.cancel();
        }
    }

    /// Ends all.
    pub(super) fn close(&self) {
        for task in self.lock().values() {
            task.cancel.cancel();
        }
    }

    /// Completes when none is underway.
    pub(super) async fn settled(&self) {
        let all: Vec<_> = self.lock().values().cloned().collect();
        for task in all {
            task.over().await;
        }
    }
}

impl Task {
    fn new(way: Negotiated, action: &str, now: Timestamp, ttl_ms: u64, poll_ms: u64) -> Arc<Self> {
        let cancel = CancellationToken::new();
        Arc::new(Self {
            // Ordered by time, and with enough random bits that nobody guesses one.
            id: format!("task_{}", uuid::Uuid::now_v7().simple()),
            created_at: now,
            ttl_ms: ttl_ms.clamp(TTL_MS.0, TTL_MS.1),
            poll_ms,
            way,
            action: action.to_owned(),
            until: cancel.child_token(),
            cancel,
            standing: watch::Sender::new(Standing { stage: Stage::Proposed, since: now }),
        })
    }

    fn ends_at(&self) -> Timestamp {
        Timestamp(self.created_at.0.saturating_add(i64::try_from(self.ttl_ms).unwrap_or(i64::MAX)))
    }

    fn stage(&self) -> Stage {
        self.standing.borrow().stage.clone()
    }

    /// Moves on, unless it is over: nothing follows an end.
    fn comes_to(&self, stage: Stage, now: Timestamp) -> bool {
        self.standing.send_if_modified(|standing| {
            let moves = !standing.stage.is_over();
            if moves {
                *standing = Standing { stage, since: now };
            }
            moves
        })
    }

    async fn over(&self) -> Stage {
        let mut standing = self.standing.subscribe();
        let ended = standing.wait_for(|standing| standing.stage.is_over()).await;
        ended.map_or(Stage::Cancelled("it was forgotten"), |standing| standing.stage.clone())
    }
}

/// Whether the client of a stateless request says that it knows tasks.
pub(super) fn knows_tasks(meta: &Members) -> bool {
    let said = stated(meta, "clientCapabilities");
    let said = said.and_then(|said| serde_json::from_str::<Value>(said.get()).ok());
    said.is_some_and(|said| said.pointer("/extensions").is_some_and(|all| all.get(EXTENSION).is_some()))
}

/// Whether a client of the older era says in its `initialize` that it knows tasks.
pub(super) fn are_declared(params: &Members) -> bool {
    let said = members_of(params.get("capabilities")).ok();
    said.is_some_and(|said| said.get("tasks").is_some_and(|tasks| tasks.get().starts_with('{')))
}

/// The same capabilities without tasks: those of the servers behind are not relayed, so that no server
/// answers with one.
pub(super) fn without_tasks(capabilities: &RawValue) -> Option<Box<RawValue>> {
    let mut members = members_of(Some(capabilities)).ok()?;
    let mut extensions = members_of(members.get("extensions")).ok()?;
    extensions.take(EXTENSION)?;
    members.set("extensions", extensions.raw());
    Some(members.raw())
}

/// Whether clients of this revision can ask for tasks.
pub(super) fn are_known_in(version: &str) -> bool {
    // Revisions are dates.
    version >= SINCE
}

/// What a server says about itself, with tasks among what it can do.
pub(super) fn announced(hello: &RawValue, way: Negotiated) -> Box<RawValue> {
    let (path, value): (&[&str], _) = match way {
        Negotiated::Legacy => (
            &["capabilities", "tasks"],
            json!({"list": {}, "cancel": {}, "requests": {"tools": {"call": {}}}}),
        ),
        Negotiated::Modern => (&["capabilities", "extensions", EXTENSION], json!({})),
    };
    put_in(hello, path, &value)
}

/// A tool that may be called as a task. What the server says about that stays.
pub(super) fn offered_as_task(tool: &RawValue) -> Box<RawValue> {
    let said = members_of(Some(tool)).ok();
    let execution = said.as_ref().and_then(|tool| members_of(tool.get("execution")).ok());
    if execution.is_some_and(|execution| execution.get("taskSupport").is_some()) {
        return tool.to_owned();
    }
    put_in(tool, &["execution", "taskSupport"], &json!("optional"))
}

/// The same object with a value at this path; what is no object on the way is left as it is.
fn put_in(object: &RawValue, path: &[&str], value: &Value) -> Box<RawValue> {
    let Some((name, rest)) = path.split_first() else { return raw_value(value) };
    let Ok(mut members) = members_of(Some(object)) else { return object.to_owned() };
    let inner = members.get(name).map_or_else(|| raw("{}".into()), ToOwned::to_owned);
    members.set(name, put_in(&inner, rest, value));
    members.raw()
}

impl ClientSession {
    /// Takes a call as a task, as the client of the older era wants it: it is answered at once.
    pub(super) fn begin_task(
        self: &Arc<Self>,
        call: Call,
        wanted: &RawValue,
        unreachable: Option<String>,
    ) -> Result<RawReply, Refusal> {
        let wanted =
            members_of(Some(wanted)).map_err(|why| Refusal::new(INVALID_PARAMS, format!("`task`: {why}")))?;
        let ttl_ms = wanted.get("ttl").and_then(|ttl| serde_json::from_str::<f64>(ttl.get()).ok());
        // Fractions of a millisecond are nobody's wish, and a cast keeps to the range.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "saturates; clamped later"
        )]
        let ttl_ms = ttl_ms.map_or(TTL_MS.1, |ttl| ttl as u64);
        let task = self.new_task(Negotiated::Legacy, &call.action, ttl_ms);
        let task = task.ok_or_else(|| {
            let why = format!("there are {TASKS_MAX} tasks that are not over; nothing was executed");
            Refusal::coded(INTERNAL_ERROR, code::OVERLOADED.as_str(), why)
        })?;
        let seed = self.seed(&task);
        self.drive(task, call, None, unreachable);
        Ok(seed)
    }

    /// Goes on as a task with a call that waits for people; the call again, if there are too many tasks.
    pub(super) fn go_on_as_task(
        self: &Arc<Self>,
        call: Call,
        answer: Answer,
        ask: &Ask,
    ) -> Result<RawReply, Box<(Call, Answer)>> {
        let open_ms = ask.expires_at.0.saturating_sub(self.gate.now().0);
        let ttl_ms = u64::try_from(open_ms).unwrap_or(0).saturating_add(KEPT_MS);
        let Some(task) = self.new_task(Negotiated::Modern, &call.action, ttl_ms) else {
            return Err(Box::new((call, answer)));
        };
        let shows_page = self.can_show_page(&call);
        task.comes_to(Stage::Waiting { ask: Box::new(ask.clone()), shows_page: false }, self.gate.now());
        let seed = self.seed(&task);
        task.comes_to(Stage::Waiting { ask: Box::new(ask.clone()), shows_page }, self.gate.now());
        self.drive(task, call, Some(answer), None);
        Ok(seed)
    }

    fn new_task(&self, way: Negotiated, action: &str, ttl_ms: u64) -> Option<Arc<Task>> {
        let poll_ms = self.gate.config().approvals.progress_ms;
        let task = Task::new(way, action, self.gate.now(), ttl_ms, poll_ms);
        self.tasks.add(&task, self.gate.now()).then_some(task)
    }

    /// The walk of a call that nobody waits for in front.
    fn drive(
        self: &Arc<Self>,
        task: Arc<Task>,
        mut call: Call,
        first: Option<Answer>,
        unreachable: Option<String>,
    ) {
        // Nobody hears progress any more.
        call.meta.take("progressToken");
        let client = self.clone();
        tokio::spawn(async move {
            let life = Duration::from_millis(task.ttl_ms);
            let until = task.until.clone();
            let timer = tokio::spawn(async move {
                tokio::time::sleep(life).await;
                until.cancel();
            });
            let stage = match client.walked(&task, &call, first, unreachable.as_deref()).await {
                Ok(Some(reply)) => Stage::Over(reply),
                Ok(None) => Stage::Cancelled(
                    "nobody waits for it any more; the request for approval stays open for the identical call",
                ),
                Err(refusal) => Stage::Over(refusal.reply()),
            };
            timer.abort();
            task.comes_to(stage, client.gate.now());
        });
    }

    /// The answer of a call, once there is one; nothing if it still waits and is not waited for any more.
    async fn walked(
        self: &Arc<Self>,
        task: &Task,
        call: &Call,
        first: Option<Answer>,
        unreachable: Option<&str>,
    ) -> Result<Option<RawReply>, Refusal> {
        let answer = match first {
            Some(answer) => answer,
            None => {
                let (session, submission) = self.proposal(call, Duration::ZERO, &task.cancel).await?;
                self.gate.submit(&session, submission).await?
            }
        };
        let End::Pending(ask) = &answer.end else { return Ok(Some(self.put(call, answer, unreachable))) };
        if matches!(task.stage(), Stage::Proposed) {
            let waiting = Stage::Waiting { ask: ask.clone(), shows_page: false };
            task.comes_to(waiting, self.gate.now());
        }
        let carry = self.carry(call, &task.cancel);
        let answer = self.gate.carry_on_for(&answer.action, carry, &task.until).await?;
        Ok(match answer.end {
            End::Pending(_) => None,
            End::Concluded { .. } | End::Blocked { .. } | End::Permitted { .. } | End::Asked { .. } => {
                Some(self.put(call, answer, unreachable))
            }
        })
    }

    /// What a client is told when its call has become a task.
    fn seed(&self, task: &Task) -> RawReply {
        let state = Value::Object(task_object(task, "working", &self.message_of(&task.stage(), None)));
        RawReply::Result(raw_value(&match task.way {
            Negotiated::Legacy => json!({
                "task": state,
                "_meta": { MEANWHILE: "This call was taken as a task. Its result follows; do not make it again." },
            }),
            Negotiated::Modern => with(state, "resultType", "task".into()),
        }))
    }

    /// `tasks/…`.
    pub(super) async fn task(self: &Arc<Self>, request: &Request<'_>) -> Result<RawReply, Refusal> {
        let meta = meta_of(request.params)?;
        let way = self.ready(&meta).await?;
        let unknown = || Refusal::new(METHOD_NOT_FOUND, format!("`{}` is not relayed", request.method));
        match way {
            Negotiated::Legacy if !self.offers_tasks() => return Err(unknown()),
            Negotiated::Modern if !knows_tasks(&meta) => return Err(lacks_tasks()),
            Negotiated::Legacy | Negotiated::Modern => {}
        }
        let params = members_of(request.params).map_err(|why| Refusal::new(INVALID_PARAMS, why))?;
        match (request.method, way) {
            ("tasks/list", Negotiated::Legacy) => self.task_list(&params).await,
            ("tasks/get", _) => Ok(self.shown(&*self.named_task(&params)?, way).await),
            ("tasks/result", Negotiated::Legacy) => {
                self.task_result(&*self.named_task(&params)?, request).await
            }
            ("tasks/update", Negotiated::Modern) => self.task_update(&*self.named_task(&params)?, &params),
            ("tasks/cancel", _) => self.task_cancel(&*self.named_task(&params)?, way).await,
            _ => Err(unknown()),
        }
    }

    fn named_task(&self, params: &Members) -> Result<Arc<Task>, Refusal> {
        let wrong = |why: &str| Refusal::new(INVALID_PARAMS, why);
        let id = params.text("taskId").ok_or_else(|| wrong("`taskId` is missing or no text"))?;
        self.tasks.find(&id, self.gate.now()).ok_or_else(|| {
            wrong(
                "there is no such task here, or not any more; to go on, make the call again with the same arguments: a request for approval that is open counts for it",
            )
        })
    }

    async fn shown(&self, task: &Task, way: Negotiated) -> RawReply {
        let object = Value::Object(self.task_state(task).await);
        RawReply::Result(raw_value(&match way {
            Negotiated::Legacy => object,
            // The result in its own bytes: it is put in as text.
            Negotiated::Modern => return self.detailed(task, object),
        }))
    }

    fn detailed(&self, task: &Task, object: Value) -> RawReply {
        let object = with(object, "resultType", "complete".into());
        let mut members = members_of(Some(&raw_value(&object))).unwrap_or_default();
        match task.stage() {
            Stage::Over(RawReply::Result(result)) => members.set("result", result),
            Stage::Over(RawReply::Error(error)) => members.set("error", error),
            Stage::Waiting { ask, shows_page: true } => {
                members.set(
                    "inputRequests",
                    raw_value(&json!({ QUESTION: self.page_question(&task.action, &ask) })),
                );
            }
            Stage::Waiting { shows_page: false, .. } | Stage::Proposed | Stage::Cancelled(_) => {}
        }
        RawReply::Result(members.raw())
    }

    async fn task_state(&self, task: &Task) -> Map<String, Value> {
        let stage = task.stage();
        let status = match (&stage, task.way) {
            (Stage::Waiting { shows_page: true, .. }, _) => "input_required",
            (Stage::Proposed | Stage::Waiting { .. }, _) => "working",
            (Stage::Over(RawReply::Error(_)), _) => "failed",
            // The older era calls a result that says that it is an error a failure, the stateless one does not.
            (Stage::Over(RawReply::Result(result)), Negotiated::Legacy) if is_error(result) => "failed",
            (Stage::Over(RawReply::Result(_)), _) => "completed",
            (Stage::Cancelled(_), _) => "cancelled",
        };
        let begun = match &stage {
            Stage::Waiting { ask, .. } => {
                let fact = self.gate.ledger().action(&ask.action).await.ok().flatten();
                fact.map(|fact| fact.state)
            }
            Stage::Proposed | Stage::Over(_) | Stage::Cancelled(_) => None,
        };
        task_object(task, status, &self.message_of(&stage, begun))
    }

    fn message_of(&self, stage: &Stage, action: Option<ActionState>) -> String {
        match stage {
            Stage::Proposed => "the call was taken".into(),
            Stage::Waiting { ask, .. } if action.is_none_or(|state| state == ActionState::Waiting) => {
                self.waiting_for(ask)
            }
            Stage::Waiting { .. } => "approved; it is being carried out".into(),
            Stage::Over(_) => "the call has ended".into(),
            Stage::Cancelled(why) => (*why).into(),
        }
    }

    async fn task_list(&self, params: &Members) -> Result<RawReply, Refusal> {
        let cursor = params.get("cursor").filter(|cursor| cursor.get() != "null");
        let after = cursor.map(|cursor| serde_json::from_str::<String>(cursor.get()));
        let after = after.transpose().map_err(|_| Refusal::new(INVALID_PARAMS, "unknown `cursor`"))?;
        if after.as_ref().is_some_and(|after| !after.starts_with("task_")) {
            return Err(Refusal::new(INVALID_PARAMS, "unknown `cursor`"));
        }
        let (page, next) = self.tasks.page(after, self.gate.now());
        let mut tasks = Vec::new();
        for task in page {
            tasks.push(Value::Object(self.task_state(&task).await));
        }
        let mut list = json!({ "tasks": tasks });
        if let Some(next) = next {
            list = with(list, "nextCursor", next.into());
        }
        Ok(RawReply::Result(raw_value(&list)))
    }

    /// Waits for the end, and gives what the call itself would have been answered.
    async fn task_result(&self, task: &Task, request: &Request<'_>) -> Result<RawReply, Refusal> {
        let stage = tokio::select! {
            stage = task.over() => stage,
            () = request.cancel.cancelled() => {
                return Err(Refusal::new(NOT_CARRIED_OUT, "the request was cancelled; the task goes on"));
            }
        };
        match stage {
            Stage::Over(RawReply::Result(result)) => {
                let related = json!({ "taskId": task.id });
                Ok(RawReply::Result(put_in(&result, &["_meta", RELATED], &related)))
            }
            Stage::Over(error @ RawReply::Error(_)) => Ok(error),
            Stage::Proposed | Stage::Waiting { .. } | Stage::Cancelled(_) => {
                let why = self.message_of(&stage, None);
                Err(Refusal::coded(
                    NOT_CARRIED_OUT,
                    "task_cancelled",
                    format!("the task was cancelled: {why}"),
                ))
            }
        }
    }

    /// The client has shown the page, or its person does not want to. Neither is an answer to the request.
    fn task_update(&self, task: &Task, params: &Members) -> Result<RawReply, Refusal> {
        let answers = members_of(params.get("inputResponses"));
        let answers =
            answers.map_err(|why| Refusal::new(INVALID_PARAMS, format!("`inputResponses`: {why}")))?;
        if answers.get(QUESTION).is_some()
            && let Stage::Waiting { ask, shows_page: true } = task.stage()
        {
            task.comes_to(Stage::Waiting { ask, shows_page: false }, self.gate.now());
        }
        Ok(acknowledged())
    }

    async fn task_cancel(&self, task: &Task, way: Negotiated) -> Result<RawReply, Refusal> {
        let by_client = Stage::Cancelled("the client has cancelled it");
        let moved = task.comes_to(by_client, self.gate.now());
        task.cancel.cancel();
        match (way, moved) {
            (Negotiated::Modern, _) => Ok(acknowledged()),
            (Negotiated::Legacy, true) => Ok(self.shown(task, way).await),
            (Negotiated::Legacy, false) => Err(Refusal::new(INVALID_PARAMS, "the task is over already")),
        }
    }
}

fn task_object(task: &Task, status: &str, message: &str) -> Map<String, Value> {
    let (ttl, poll) = match task.way {
        Negotiated::Legacy => ("ttl", "pollInterval"),
        Negotiated::Modern => ("ttlMs", "pollIntervalMs"),
    };
    let mut object = Map::new();
    let since = task.standing.borrow().since;
    object.insert("taskId".into(), task.id.as_str().into());
    object.insert("status".into(), status.into());
    object.insert("statusMessage".into(), message.into());
    object.insert("createdAt".into(), task.created_at.to_string().into());
    object.insert("lastUpdatedAt".into(), since.to_string().into());
    object.insert(ttl.into(), task.ttl_ms.into());
    object.insert(poll.into(), task.poll_ms.into());
    object
}

fn with(mut object: Value, name: &str, value: Value) -> Value {
    if let Value::Object(object) = &mut object {
        object.insert(name.into(), value);
    }
    object
}

fn acknowledged() -> RawReply {
    RawReply::Result(raw(r#"{"resultType":"complete"}"#.into()))
}

fn lacks_tasks() -> Refusal {
    let mut refusal = Refusal::new(CAPABILITY_MISSING, format!("the client does not declare `{EXTENSION}`"));
    refusal.data = Some(json!({ "requiredCapabilities": { "extensions": { EXTENSION: {} } } }));
    refusal
}

fn is_error(result: &RawValue) -> bool {
    let said = members_of(Some(result)).ok();
    said.is_some_and(|result| result.get("isError").is_some_and(|it| it.get() == "true"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn what_is_added_leaves_the_rest_as_it_is() {
        let tool = raw(r#"{"name":"t","strange": 1.50,"execution":{"other":[ ]}}"#.into());
        let told = offered_as_task(&tool);
        assert_eq!(
            told.get(),
            r#"{"name":"t","strange":1.50,"execution":{"other":[ ],"taskSupport":"optional"}}"#
        );
        let never = raw(r#"{"name":"t", "execution":{"taskSupport":"forbidden"}}"#.into());
        assert_eq!(offered_as_task(&never).get(), never.get());
        let hello = raw(r#"{"capabilities":{"tools":{}},"n":12345678901234567890123}"#.into());
        let told = announced(&hello, Negotiated::Modern);
        assert_eq!(
            told.get(),
            r#"{"capabilities":{"tools":{},"extensions":{"io.modelcontextprotocol/tasks":{}}},"n":12345678901234567890123}"#
        );
    }

    #[test]
    fn servers_behind_do_not_hear_of_tasks() {
        let said =
            raw(r#"{"extensions":{"io.modelcontextprotocol/tasks":{},"x":{}},"elicitation":{}}"#.into());
        assert_eq!(without_tasks(&said).unwrap().get(), r#"{"extensions":{"x":{}},"elicitation":{}}"#);
        assert!(without_tasks(&raw(r#"{"extensions":{"x":{}}}"#.into())).is_none());
        assert!(without_tasks(&raw("{}".into())).is_none());
    }

    #[test]
    fn nothing_follows_an_end_and_full_is_full() {
        let now = Timestamp(1_000);
        let tasks = Tasks::default();
        let task = Task::new(Negotiated::Legacy, "a.b", now, 0, 1);
        assert_eq!(task.ttl_ms, TTL_MS.0);
        assert!(tasks.add(&task, now));
        assert!(task.comes_to(Stage::Cancelled("x"), now));
        assert!(!task.comes_to(Stage::Proposed, now));
        for _ in 1..TASKS_MAX {
            assert!(tasks.add(&Task::new(Negotiated::Legacy, "a.b", now, 0, 1), now));
        }
        assert!(tasks.add(&Task::new(Negotiated::Legacy, "a.b", now, 0, 1), now), "what is over gives way");
        assert!(!tasks.add(&Task::new(Negotiated::Legacy, "a.b", now, 0, 1), now));
        assert!(tasks.find(&task.id, now).is_none());
        let (first, next) = tasks.page(None, now);
        assert_eq!((first.len(), next.is_some()), (PAGE, true));
        let (second, next) = tasks.page(next, now);
        let (third, next) = tasks.page(next, now);
        assert_eq!((second.len(), third.len(), next), (PAGE, TASKS_MAX - 2 * PAGE, None));
        let later = Timestamp(now.0 + 60_001);
        assert!(tasks.page(None, later).0.is_empty(), "they have an end");
    }
}
