//! The queue of requests for approval.

use super::App;
use super::auth::Known;
use super::body::Strict;
use super::problem::{Problem, ProblemDetails};
use super::wire::summary;
use super::wire::{
    AnswerWith, Approval, ApprovalDetail, ChangedServer, Decision, FileChanges, Queue, Queued, Unproven,
};
use super::{plans, view};
use aecl_gate::approvals::{Reply, Request};
use aecl_gate::queue::{QueueFilter, QueueOrder, Queued as GateQueued};
use aecl_gate::{Gate, Identity};
use aecl_kernel::base::code::{self, Code};
use aecl_kernel::base::digest::Digest;
use aecl_kernel::base::id::{AgentId, ApprovalId, RunId};
use aecl_kernel::base::principal::Principal;
use aecl_kernel::record::approval::{ApprovalRequest, ApprovalState};
use aecl_kernel::record::event::Event;
use aecl_kernel::record::facts::ActionState;
use aecl_ledger::{LedgerError, Waiting};
use aecl_mcp::catalogue;
use axum::Json;
use axum::extract::{Path, Query, State};
use serde::Deserialize;
use utoipa::IntoParams;

/// Longest reason, in characters.
pub const REASON_MAX: usize = 2000;

/// Which requests.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// `pending` or `approved` (a yes that was not used yet); both if absent.
    state: Option<String>,
    /// `ending` (what ends first stands first, as if absent) or `newest`.
    order: Option<String>,
    /// Only what asks the caller and has no answer of theirs (`true`), or only the rest (`false`).
    mine: Option<bool>,
    /// Only what asks the same as this request, with whatever values.
    alike: Option<String>,
    /// Only of this agent.
    agent: Option<String>,
    /// Only of this run.
    run: Option<String>,
    /// The `next` of the page before.
    after: Option<String>,
    /// How many at most, up to 50.
    limit: Option<usize>,
}

impl Filter {
    /// What asks the reader, or the rest: the page after this place.
    pub fn of(mine: bool, after: Option<String>) -> Self {
        Self { mine: Some(mine), after, ..Self::default() }
    }

    /// Of those what asks the same as this request.
    pub fn like(self, approval: &str) -> Self {
        Self { alike: Some(approval.to_owned()), ..self }
    }

    /// So many at most.
    pub fn at_most(self, limit: usize) -> Self {
        Self { limit: Some(limit), ..self }
    }

    fn wanted(self) -> Result<QueueFilter, Problem> {
        let bad = |why: String| Problem::of(code::REQUEST_INVALID, why);
        let state = match self.state.as_deref() {
            None => None,
            Some("pending") => Some(ApprovalState::Pending),
            Some("approved") => Some(ApprovalState::Approved),
            Some(other) => {
                let why = "is no state of an open request; `pending` and `approved` are";
                return Err(bad(format!("`{other:.40}` {why}")));
            }
        };
        let order = match self.order.as_deref() {
            None | Some("ending") => QueueOrder::Ending,
            Some("newest") => QueueOrder::Newest,
            Some(other) => return Err(bad(format!("`{other:.40}` is no order; `ending` and `newest` are"))),
        };
        Ok(QueueFilter {
            state,
            order,
            agent: self.agent.as_deref().map(AgentId::new).transpose()?,
            run: self.run.as_deref().map(RunId::new).transpose()?,
            shape: None,
            after: self.after,
            limit: self.limit,
        })
    }
}

/// Requests that are open, in short and page by page, soonest end first. For people: what asks their groups, or is
/// for them; operators and auditors see all.
#[utoipa::path(get, path = "/v1/approvals", operation_id = "list_approvals", tag = "approvals", params(Filter),
    responses((status = 200, body = Queue), (status = "4XX", body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn queue(
    State(app): State<App>,
    by: Known,
    query: Result<Query<Filter>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<Queue>, Problem> {
    let Query(filter) = query.map_err(|e| Problem::of(code::REQUEST_INVALID, e.body_text()))?;
    by.person_or_owner("see approvals")?;
    open(&app, &by.0, filter).await.map(Json)
}

/// A page of what is open and this reader may see.
pub async fn open(app: &App, reader: &Identity, filter: Filter) -> Result<Queue, Problem> {
    let (is_first, mine) = (filter.after.is_none(), filter.mine);
    let asks = |w: &Waiting| may_answer(&app.gate, reader, &w.ask, &w.summary.principal);
    let sees = |w: &Waiting| {
        app.gate.sees_request(reader, &w.ask, &w.summary.principal) && mine.is_none_or(|mine| mine == asks(w))
    };
    let alike = filter.alike.clone();
    let mut wanted = filter.wanted()?;
    if let Some(name) = alike {
        wanted.shape = Some(shape(app, &named(app, &name, reader).await?, reader).await?);
    }
    let page = app.gate.queue(&wanted, sees)?;
    let url = app.gate.config().url();
    let is_unanswerable = |w: &Waiting| app.gate.is_unanswerable(&w.ask, &w.summary.principal);
    let queued = |queued: &GateQueued| {
        let may_answer = mine.unwrap_or_else(|| asks(&queued.waiting));
        Queued { may_answer, unanswerable: is_unanswerable(&queued.waiting), ..Queued::of(queued, &url) }
    };
    let approvals = page.requests.iter().map(queued).collect();
    let changed_servers = if is_first { changed_servers(app, reader).await } else { Vec::new() };
    Ok(Queue { approvals, total: page.total, next: page.next, changed_servers })
}

/// What an open request asks, whatever its values.
async fn shape(app: &App, id: &ApprovalId, reader: &Identity) -> Result<Digest, Problem> {
    let ask = app.gate.ask(id).await?;
    let waiting = app.gate.open_in(&ask.run).into_iter().find(|w| w.ask.approval == *id);
    let seen = waiting.filter(|w| app.gate.sees_request(reader, &w.ask, &w.summary.principal));
    let none = || Problem::of(code::APPROVAL_UNKNOWN, format!("no request `{id}` is open"));
    Ok(seen.ok_or_else(none)?.summary.shape)
}

/// Servers of which something waits to be accepted, for those who look after all of them. What cannot be read keeps
/// nobody from the queue.
async fn changed_servers(app: &App, reader: &Identity) -> Vec<ChangedServer> {
    let Some(home) = app.gate.home().cloned().filter(|_| app.gate.reads_everything(reader)) else {
        return Vec::new();
    };
    match tokio::task::spawn_blocking(move || catalogue::waiting(&home)).await {
        Ok(Ok(found)) => {
            found.into_iter().map(|(server, waiting)| ChangedServer { server, waiting }).collect()
        }
        Ok(Err(error)) => {
            tracing::error!(%error, "what servers offer otherwise cannot be read");
            Vec::new()
        }
        Err(error) => {
            tracing::error!(%error, "what servers offer otherwise cannot be read");
            Vec::new()
        }
    }
}

/// The request with this id or number. A number is the position of the entry that asks, so it means one request,
/// now and ever, to those who may read it.
pub async fn named(app: &App, name: &str, reader: &Identity) -> Result<ApprovalId, Problem> {
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(ApprovalId::new(name)?);
    }
    let none = || Problem::of(code::APPROVAL_UNKNOWN, format!("no request has the number {name:.24}"));
    let number: u64 = name.parse().map_err(|_| none())?;
    let entry = app.gate.ledger().entries(number, 1).await?.pop().filter(|e| e.position == number);
    let Some(Event::Asked(ask)) = entry.map(|e| e.event) else { return Err(none()) };
    let run = app.gate.run_now(&ask.run).await?;
    match app.gate.sees_request(reader, &ask, &run.principal) {
        true => Ok(ask.approval),
        false => Err(none()),
    }
}

/// One request with everything around it. For people.
#[utoipa::path(get, path = "/v1/approvals/{approval}", operation_id = "show_approval", tag = "approvals",
    responses((status = 200, body = ApprovalDetail), (status = "4XX", body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn show(
    State(app): State<App>,
    by: Known,
    Path(approval): Path<String>,
) -> Result<Json<ApprovalDetail>, Problem> {
    by.person_or_owner("see approvals")?;
    Ok(Json(one(&app, &approval, &by.0).await?))
}

/// How much of a request is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// What is asked.
    Question,
    /// And what the run has done and seen.
    Everything,
}

/// One request, whatever it is about, for this reader.
pub async fn one(app: &App, approval: &str, reader: &Identity) -> Result<ApprovalDetail, Problem> {
    read(app, &named(app, approval, reader).await?, reader, Depth::Everything).await
}

pub(super) async fn read(
    app: &App,
    id: &ApprovalId,
    reader: &Identity,
    depth: Depth,
) -> Result<ApprovalDetail, Problem> {
    let ask = app.gate.ask(id).await?;
    let mut full = if ask.plan.as_ref().is_some_and(|plan| !plan.is_declared()) {
        let proposed = app.gate.proposed_request(ask).await?;
        may_see(app, reader, &proposed.request.ask, &proposed.request.run.principal)?;
        plans::proposed(app, proposed, reader)
    } else if ask.plan.is_some() {
        let request = app.gate.plan_request(ask).await?;
        may_see(app, reader, &request.ask, &request.run.principal)?;
        plans::full(app, request, reader)
    } else {
        let question = app.gate.question(id).await?;
        may_see(app, reader, &question.ask, &question.ruled.principal)?;
        let files = FileChanges::of(app.gate.shown_files(&question).await);
        let question = match depth {
            Depth::Question => question,
            Depth::Everything => app.gate.request(id).await?,
        };
        ApprovalDetail { files, ..full(app, question, reader) }
    };
    let open = app.gate.open_in(&RunId::new(&full.approval.run)?);
    full.number = open.iter().find(|w| w.ask.approval == *id).map(|w| w.summary.number);
    full.view = view::of(&full).to_string();
    Ok(full)
}

fn may_see(
    app: &App,
    reader: &Identity,
    ask: &ApprovalRequest,
    principal: &Principal,
) -> Result<(), Problem> {
    if app.gate.sees_request(reader, ask, principal) {
        return Ok(());
    }
    // To whom it is not shown, it is not there.
    Err(LedgerError::NoApproval(ask.approval.clone()).into())
}

/// Whether an action has ended otherwise than well, and so says why.
fn is_over(state: ActionState) -> bool {
    match state {
        ActionState::Blocked | ActionState::Rejected | ActionState::Failed => true,
        ActionState::Waiting
        | ActionState::Started
        | ActionState::Done
        | ActionState::Unknown
        | ActionState::Asked => false,
    }
}

/// Whether an answer of this reader is asked for, and would be taken.
fn may_answer(gate: &Gate, reader: &Identity, ask: &ApprovalRequest, principal: &Principal) -> bool {
    let Identity::Person { id, groups } = reader else { return false };
    // Most of the queue asks others, which is seen at a glance.
    if reader.is_auditor() || !ask.may_answer(id, groups) {
        return false;
    }
    let tally = gate.tally(ask, principal);
    let has_answered = ask.votes.iter().any(|vote| vote.person == *id);
    tally.state == ApprovalState::Pending && (tally.anew.contains(id) || !has_answered)
}

/// Everything about a request, for this reader.
fn full(app: &App, request: Request, reader: &Identity) -> ApprovalDetail {
    let url = app.gate.config().url();
    let summary = summary::summarize(&app.gate, &request);
    let principal = &request.ruled.principal;
    let may_answer = may_answer(&app.gate, reader, &request.ask, principal);
    let (goal, plan) = request.goal.map_or((None, None), |g| (Some(g.text), g.plan));
    ApprovalDetail {
        approval: Approval::of(&request.ask, &request.tally, &url),
        summary,
        name: request.ruled.name.clone(),
        arguments: request.arguments,
        files: None,
        agent: principal.agent.to_string(),
        user: principal.user.as_ref().map(ToString::to_string),
        tenant: principal.tenant.to_string(),
        project: principal.project.as_ref().map(ToString::to_string),
        environment: principal.environment.to_string(),
        goal,
        plan,
        decision: Decision::from(&*request.ruled.decision),
        history: plans::history(app, request.history),
        unproven: request.unproven.into_iter().map(Unproven::from).collect(),
        action_state: request.action.state.name(),
        action_code: request.action.code.filter(|_| is_over(request.action.state)).map(Code::as_str),
        action_message: if is_over(request.action.state) { request.action.message } else { String::new() },
        plan_steps: Vec::new(),
        may_answer,
        number: None,
        view: String::new(),
    }
}

/// Say yes to exactly what was shown. For people.
#[utoipa::path(post, path = "/v1/approvals/{approval}/approve", operation_id = "approve", tag = "approvals", request_body = AnswerWith,
    responses((status = 200, body = Approval), (status = "4XX", body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn approve(
    State(app): State<App>,
    by: Known,
    Path(approval): Path<String>,
    Strict(body): Strict<AnswerWith>,
) -> Result<Json<Approval>, Problem> {
    answer(&app, &by.0, &approval, true, body).await.map(Json)
}

/// Say no; to a plan also after the yes. For people.
#[utoipa::path(post, path = "/v1/approvals/{approval}/reject", operation_id = "reject", tag = "approvals", request_body = AnswerWith,
    responses((status = 200, body = Approval), (status = "4XX", body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn reject(
    State(app): State<App>,
    by: Known,
    Path(approval): Path<String>,
    Strict(body): Strict<AnswerWith>,
) -> Result<Json<Approval>, Problem> {
    answer(&app, &by.0, &approval, false, body).await.map(Json)
}

/// Takes a person's answer.
pub async fn answer(
    app: &App,
    by: &Identity,
    approval: &str,
    yes: bool,
    body: AnswerWith,
) -> Result<Approval, Problem> {
    if body.reason.chars().count() > REASON_MAX {
        let why = format!("the reason is longer than {REASON_MAX} characters");
        return Err(Problem::of(code::REQUEST_INVALID, why));
    }
    let id = named(app, approval, by).await?;
    let view = match body.view.as_deref() {
        None => None,
        Some(text) => Some(looked_at(app, by, &id, text).await?),
    };
    let reply = Reply { yes, reason: body.reason, view, endorse: body.endorse, confirm: body.confirm };
    let ask = app.gate.reply(by, &id, reply).await?;
    let tally = app.gate.tally_of(&ask).await?;
    Ok(Approval::of(&ask, &tally, &app.gate.config().url()))
}

/// The view that somebody has looked at, if it is what is shown now.
async fn looked_at(app: &App, by: &Identity, id: &ApprovalId, text: &str) -> Result<Digest, Problem> {
    let given = Digest::parse(text).ok_or_else(|| {
        Problem::of(code::REQUEST_INVALID, "`view` is no `sha256:` digest of 64 hexadecimal digits")
    })?;
    let full = read(app, id, by, Depth::Question).await?;
    if full.view == given.to_string() {
        return Ok(given);
    }
    Err(changed(full))
}

/// What is asked is not what was looked at, or nobody can say what was.
pub fn changed(full: ApprovalDetail) -> Problem {
    let detail =
        format!("`{}` is shown otherwise now than what was answered; nothing was decided", full.approval.id);
    let mut problem =
        Problem::of(code::VIEW_CHANGED, detail).hint("read it again, then answer with its `view`");
    problem.approval = Some(Box::new(full));
    problem
}
