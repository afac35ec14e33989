//! The queue of requests for approval.

use super::App;
use super::auth::Known;
use super::body::Strict;
use super::problem::{Problem, ProblemDetails};
use super::wire::{AnswerWith, Approval, Decision, Full, Queue, Queued, Step, Unproven};
use super::{plans, story};
use aecl_gate::Identity;
use aecl_gate::approvals::{Reply, Request};
use aecl_kernel::approval::AskState;
use aecl_kernel::code;
use aecl_kernel::digest::Digest;
use aecl_kernel::id::ApprovalId;
use axum::Json;
use axum::extract::{Path, Query, State};
use serde::Deserialize;
use utoipa::IntoParams;

/// Most requests in one answer.
const QUEUE_MAX: usize = 500;
/// Longest reason, in characters.
pub const REASON_MAX: usize = 2000;

/// Which requests.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// `pending` or `approved` (a yes that was not used yet); both if absent.
    #[serde(default)]
    state: Option<String>,
}

/// Requests that are open, oldest first. For people.
#[utoipa::path(get, path = "/v1/approvals", operation_id = "list_approvals", tag = "approvals", params(Filter),
    responses((status = 200, body = Queue), (status = "4XX", body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn queue(
    State(app): State<App>,
    by: Known,
    query: Result<Query<Filter>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<Queue>, Problem> {
    let Query(filter) = query.map_err(|e| Problem::of(code::REQUEST_INVALID, e.body_text()))?;
    by.person_or_owner("see approvals")?;
    let wanted = match filter.state.as_deref() {
        None => None,
        Some("pending") => Some(AskState::Pending),
        Some("approved") => Some(AskState::Approved),
        Some(other) => {
            let why = format!("`{other}` is no state of an open request; `pending` and `approved` are");
            return Err(Problem::of(code::REQUEST_INVALID, why));
        }
    };
    Ok(Json(Queue { approvals: open(&app, wanted).await? }))
}

/// What is open, in short.
pub async fn open(app: &App, wanted: Option<AskState>) -> Result<Vec<Queued>, Problem> {
    let url = app.gate.config().url();
    let mut approvals = Vec::new();
    for ask in app.gate.approvals(QUEUE_MAX).await? {
        if ask.plan.is_some() {
            let request = app.gate.plan_request(ask).await?;
            if wanted.is_none_or(|w| w == request.state) {
                approvals.push(plans::queued(&request, &url));
            }
            continue;
        }
        let request = app.gate.request(&ask.approval).await?;
        if wanted.is_some_and(|w| w != request.state) {
            continue;
        }
        approvals.push(Queued {
            approval: Approval::of(&request.ask, request.state, &url),
            name: request.ruled.name.clone(),
            agent: request.ruled.principal.agent.to_string(),
            summary: story::tell(&app.gate, &request),
        });
    }
    Ok(approvals)
}

/// One request with everything around it. For people.
#[utoipa::path(get, path = "/v1/approvals/{approval}", operation_id = "show_approval", tag = "approvals",
    responses((status = 200, body = Full), (status = "4XX", body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn show(
    State(app): State<App>,
    by: Known,
    Path(approval): Path<String>,
) -> Result<Json<Full>, Problem> {
    by.person_or_owner("see approvals")?;
    Ok(Json(one(&app, &approval, &by.0).await?))
}

/// One request, whatever it is about, for this reader.
pub async fn one(app: &App, approval: &str, reader: &Identity) -> Result<Full, Problem> {
    let id = ApprovalId::new(approval)?;
    let ask = app.gate.ask(&id).await?;
    if ask.plan.is_some() {
        return Ok(plans::full(app, app.gate.plan_request(ask).await?, reader));
    }
    Ok(full(app, app.gate.request(&id).await?, reader))
}

/// Everything about a request, for this reader.
fn full(app: &App, request: Request, reader: &Identity) -> Full {
    let url = app.gate.config().url();
    let summary = story::tell(&app.gate, &request);
    let may_answer = match reader {
        Identity::Person { id, groups } => {
            request.state == AskState::Pending
                && request.ask.may_answer(id, groups)
                && request.ask.votes.iter().all(|v| v.person != *id)
        }
        Identity::Orchestrator { .. } | Identity::Local => false,
    };
    let bundle = app.gate.bundle();
    let untrusted = |name: &str| bundle.catalogue().find(name).is_none_or(|t| t.manifest.output.untrusted);
    let principal = &request.ruled.principal;
    let (goal, plan) = request.goal.map_or((None, None), |g| (Some(g.text), g.plan));
    Full {
        approval: Approval::of(&request.ask, request.state, &url),
        summary,
        name: request.ruled.name.clone(),
        arguments: request.arguments,
        agent: principal.agent.to_string(),
        user: principal.user.as_ref().map(ToString::to_string),
        tenant: principal.tenant.to_string(),
        project: principal.project.as_ref().map(ToString::to_string),
        environment: principal.environment.to_string(),
        goal,
        plan,
        decision: Decision::from(&*request.ruled.decision),
        history: request
            .history
            .into_iter()
            .map(|step| {
                let untrusted = untrusted(&step.name);
                Step::of(step, untrusted)
            })
            .collect(),
        unproven: request.unproven.into_iter().map(Unproven::from).collect(),
        action_state: request.action.state.name(),
        plan_steps: Vec::new(),
        may_answer,
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
    let view = match body.view.as_deref() {
        None => None,
        Some(text) => Some(Digest::parse(text).ok_or_else(|| {
            Problem::of(code::REQUEST_INVALID, "`view` is no `sha256:` digest of 64 hexadecimal digits")
        })?),
    };
    let reply = Reply { yes, reason: body.reason, view, endorse: body.endorse, confirm: body.confirm };
    let ask = app.gate.reply(by, &ApprovalId::new(approval)?, reply).await?;
    let state = ask.state_at(app.gate.now());
    Ok(Approval::of(&ask, state, &app.gate.config().url()))
}
