//! Calls as tasks: a client that knows tasks gets a handle for a call that waits for people, and polls.
//! When they have agreed, the call is carried out once, without the client calling again.
//!
//! A task is a way to hear about a call and no more: what counts is the record. It lives as long as its
//! client is here and is forgotten after that; the request for approval is not, and the identical call,
//! made again, is the same one.

use super::client_session::{ClientSession, Request};
use super::meta::meta_of;
use super::negotiated::Negotiated;
use super::proposal::{Call, QUESTION};
use super::task::{Stage, TASKS_MAX, TTL_MS, Task};
use super::task_capability::{EXTENSION, knows_tasks, put_in};
use super::wire::{
    INTERNAL_ERROR, INVALID_PARAMS, METHOD_NOT_FOUND, Members, NOT_CARRIED_OUT, Refusal, members_of, raw,
    raw_value,
};
use aecl_executor::connectors::mcp::RawReply;
use aecl_gate::submit::{Answer, End};
use aecl_kernel::base::code;
use aecl_kernel::record::approval::ApprovalRequest;
use aecl_kernel::record::facts::ActionState;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;

/// Says to which task a result belongs.
const RELATED: &str = "io.modelcontextprotocol/related-task";
/// What the older era hands the model at once.
const MEANWHILE: &str = "io.modelcontextprotocol/model-immediate-response";
/// The client lacks what the request needs.
const CAPABILITY_MISSING: i64 = -32021;
/// For how long what came of a task is kept beyond the time in which people may answer, in milliseconds.
const KEPT_MS: u64 = 10 * 60 * 1000;

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
        ask: &ApprovalRequest,
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
            End::Concluded { .. }
            | End::Underway
            | End::Blocked { .. }
            | End::Permitted { .. }
            | End::Asked { .. } => Some(self.put(call, answer, unreachable)),
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
