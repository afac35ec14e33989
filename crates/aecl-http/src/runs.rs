//! Runs: open, look, renew, delegate, close.

use super::App;
use super::auth::{Bearer, Caller, Known};
use super::body::Strict;
use super::problem::{Problem, ProblemDetails};
use super::wire::{
    OpenRun, Opened, PlanApproval, PlanState, ProposePlan, Rollback, RolledBack, Run, Token, Why,
};
use aecl_gate::Session;
use aecl_gate::runs::{OpenedRun, RunRequest};
use aecl_kernel::base::code;
use aecl_kernel::base::id::{AgentId, BadId, Environment, ProjectId, RunId, TenantId, UserId};
use aecl_kernel::record::approval::ApprovalState;
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use std::time::Duration;
use utoipa::IntoParams;

fn request(body: OpenRun, parent: Option<RunId>) -> Result<RunRequest, BadId> {
    Ok(RunRequest {
        agent: AgentId::new(&body.agent)?,
        goal: body.goal,
        plan: body.plan,
        user: body.user.as_deref().map(UserId::new).transpose()?,
        tenant: body.tenant.as_deref().map(TenantId::new).transpose()?,
        project: body.project.as_deref().map(ProjectId::new).transpose()?,
        environment: body.environment.as_deref().map(Environment::new).transpose()?,
        ttl_s: body.ttl_s,
        parent,
        approve_plan: body.approve_plan,
    })
}

/// The requests about the plans of a run as they stand: the declared one, and the one that its agent has proposed last.
async fn both(
    app: &App,
    run: &RunId,
    declared: Option<PlanApproval>,
) -> Result<[Option<PlanApproval>; 2], Problem> {
    let proposed = app.gate.plan_standing(run, Duration::ZERO).await?;
    let url = app.gate.config().url();
    Ok([declared, proposed.map(|plan| PlanApproval::of(&plan.ask, plan.state, &url))])
}

/// The plan that the agent of a run has proposed last, after at most this wait for people.
async fn proposed(app: &App, run: &RunId, wait_s: u64) -> Result<(StatusCode, Json<PlanState>), Problem> {
    let wait = app.at_most(wait_s);
    let standing = tokio::select! {
        standing = app.gate.plan_standing(run, wait) => standing?,
        () = app.options.closing.cancelled() => app.gate.plan_standing(run, Duration::ZERO).await?,
    };
    let standing = standing.ok_or_else(|| {
        Problem::of(code::RECORD_UNKNOWN, format!("no plan was proposed in `{run}`"))
            .hint("its agent proposes one with `POST /v1/runs/{run}/plan`")
    })?;
    let status = if standing.state == ApprovalState::Pending { StatusCode::ACCEPTED } else { StatusCode::OK };
    Ok((status, Json(PlanState::of(&standing, &app.gate.config().url()))))
}

/// The request about the plan of a run, after at most this wait for people.
async fn plan_approval(app: &App, run: &RunId, wait_s: u64) -> Result<Option<PlanApproval>, Problem> {
    let wait = app.at_most(wait_s);
    let ask = tokio::select! {
        ask = app.gate.plan_answered(run, wait) => ask?,
        () = app.options.closing.cancelled() => app.gate.plan_answered(run, Duration::ZERO).await?,
    };
    let Some(ask) = ask else { return Ok(None) };
    let state = app.gate.tally_of(&ask).await?.state;
    Ok(Some(PlanApproval::of(&ask, state, &app.gate.config().url())))
}

async fn opened(app: &App, opened: OpenedRun, wait_s: u64) -> Result<(StatusCode, Json<Opened>), Problem> {
    let plan = match &opened.plan {
        Some(_) => plan_approval(app, &opened.session.principal.run, wait_s).await?,
        None => None,
    };
    Ok((StatusCode::CREATED, Json(Opened::of(opened, plan))))
}

/// How long to wait.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct WaitForPlan {
    /// Seconds to wait at most until people have answered about the plan.
    #[serde(default)]
    wait_s: u64,
}

/// Open a run: one task of one agent. The token goes to whoever runs the agent, never to the model.
#[utoipa::path(post, path = "/v1/runs", operation_id = "open_run", tag = "runs", request_body = OpenRun,
    responses((status = 201, body = Opened), (status = "4XX", body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn open(
    State(app): State<App>,
    Known(by): Known,
    Strict(body): Strict<OpenRun>,
) -> Result<(StatusCode, Json<Opened>), Problem> {
    let wait_s = body.wait_s;
    let run = app.gate.open_run(&by, request(body, None)?).await?;
    opened(&app, run, wait_s).await
}

/// Open a run below another one. It keeps tenant, project, environment and user of its parent, and ends with it.
#[utoipa::path(post, path = "/v1/runs/{run}/delegate", operation_id = "delegate_run", tag = "runs", request_body = OpenRun,
    responses((status = 201, body = Opened), (status = "4XX", body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn delegate(
    State(app): State<App>,
    Known(by): Known,
    Path(run): Path<String>,
    Strict(body): Strict<OpenRun>,
) -> Result<(StatusCode, Json<Opened>), Problem> {
    let parent = RunId::new(&run)?;
    let wait_s = body.wait_s;
    let run = app.gate.open_run(&by, request(body, Some(parent))?).await?;
    opened(&app, run, wait_s).await
}

/// Look at a run; with `wait_s` once people have answered about its plan.
#[utoipa::path(get, path = "/v1/runs/{run}", operation_id = "show_run", tag = "runs", params(WaitForPlan),
    responses((status = 200, body = Run), (status = "4XX", body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn show(
    State(app): State<App>,
    caller: Caller,
    Path(run): Path<String>,
    query: Result<Query<WaitForPlan>, QueryRejection>,
) -> Result<Json<Run>, Problem> {
    let Query(wait) = query.map_err(|e| Problem::of(code::REQUEST_INVALID, e.body_text()))?;
    let run = RunId::new(&run)?;
    caller.run(&app, &run).await?;
    let plan = plan_approval(&app, &run, wait.wait_s).await?;
    let plan = both(&app, &run, plan).await?;
    let goal = app.gate.ledger().goal(&run).await?;
    Ok(Json(Run::of(app.gate.run_now(&run).await?, goal, plan, app.gate.now())))
}

/// Propose a plan in the middle of a run, with the run's token: people are asked about all of its steps at once. It proves
/// nothing; a yes covers exactly these steps. The same again is the same request, another takes its place.
#[utoipa::path(post, path = "/v1/runs/{run}/plan", operation_id = "propose_plan", tag = "runs", request_body = ProposePlan,
    responses((status = 200, body = PlanState), (status = 202, body = PlanState),
        (status = "4XX", body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn propose_plan(
    State(app): State<App>,
    Bearer(session): Bearer,
    Path(run): Path<String>,
    Strict(body): Strict<ProposePlan>,
) -> Result<(StatusCode, Json<PlanState>), Problem> {
    let run = RunId::new(&run)?;
    if session.principal.run != run {
        return Err(Problem::of(code::FORBIDDEN, "the token belongs to another run"));
    }
    app.gate.propose_plan(&session, &serde_json::json!({ "steps": body.steps })).await?;
    proposed(&app, &run, body.wait_s).await
}

/// Where the plan stands that the agent of a run has proposed last; with `wait_s` once people have answered about it.
#[utoipa::path(get, path = "/v1/runs/{run}/plan", operation_id = "show_proposed_plan", tag = "runs", params(WaitForPlan),
    responses((status = 200, body = PlanState), (status = 202, body = PlanState),
        (status = "4XX", body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn show_proposed_plan(
    State(app): State<App>,
    caller: Caller,
    Path(run): Path<String>,
    query: Result<Query<WaitForPlan>, QueryRejection>,
) -> Result<(StatusCode, Json<PlanState>), Problem> {
    let Query(wait) = query.map_err(|e| Problem::of(code::REQUEST_INVALID, e.body_text()))?;
    let run = RunId::new(&run)?;
    caller.run(&app, &run).await?;
    proposed(&app, &run, wait.wait_s).await
}

/// Get a fresh token for a run that lives: with the key of its orchestrator, or with a token that still counts.
#[utoipa::path(post, path = "/v1/runs/{run}/tokens", operation_id = "renew_token", tag = "runs",
    responses((status = 201, body = Token), (status = "4XX", body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn renew(
    State(app): State<App>,
    caller: Caller,
    Path(run): Path<String>,
) -> Result<(StatusCode, Json<Token>), Problem> {
    let run = RunId::new(&run)?;
    let (token, session) = match caller {
        Caller::Known(by) => app.gate.renew(&by, &run).await?,
        Caller::Run(session) if session.principal.run == run => app.gate.renew_session(&session).await?,
        Caller::Run(_) => {
            return Err(Problem::of(code::FORBIDDEN, "the token belongs to another run"));
        }
    };
    Ok((StatusCode::CREATED, Json(fresh(token, &session))))
}

fn fresh(token: String, session: &Session) -> Token {
    Token {
        run: session.principal.run.to_string(),
        token,
        token_id: session.credential.id.clone(),
        token_expires_at: session.credential.expires_at.to_string(),
    }
}

/// End a run. What waits in it is refused from now on; what is underway is concluded.
#[utoipa::path(post, path = "/v1/runs/{run}/close", operation_id = "close_run", tag = "runs", request_body = Why,
    responses((status = 200, body = Run), (status = "4XX", body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn close(
    State(app): State<App>,
    Known(by): Known,
    Path(run): Path<String>,
    Strict(why): Strict<Why>,
) -> Result<Json<Run>, Problem> {
    let run = RunId::new(&run)?;
    let reason = if why.reason.is_empty() { "closed".to_owned() } else { why.reason };
    app.gate.close_run(&by, &run, reason).await?;
    let goal = app.gate.ledger().goal(&run).await?;
    let plan = plan_approval(&app, &run, 0).await?;
    let plan = both(&app, &run, plan).await?;
    Ok(Json(Run::of(app.gate.run_now(&run).await?, goal, plan, app.gate.now())))
}

/// Undo everything that a run has done, the latest first. It stops where an action cannot be undone, where a
/// person has to agree first, or where an outcome is not known, and says so; asked again, it goes on from
/// there. For operators.
#[utoipa::path(post, path = "/v1/runs/{run}/rollback", operation_id = "roll_back_run", tag = "runs", request_body = Rollback,
    responses((status = 200, body = RolledBack), (status = 202, body = RolledBack), (status = "4XX", body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn rollback(
    State(app): State<App>,
    Known(by): Known,
    Path(run): Path<String>,
    Strict(body): Strict<Rollback>,
) -> Result<(StatusCode, Json<RolledBack>), Problem> {
    let wait = app.at_most(body.wait_s);
    let id = RunId::new(&run)?;
    let rollback = tokio::select! {
        rollback = app.gate.rollback_run(&by, &id, body.reason, wait) => rollback?,
        () = app.options.closing.cancelled() => {
            let why = "the server is going down; ask again how far it came";
            return Err(Problem::of(code::LEDGER_UNAVAILABLE, why));
        }
    };
    let back = RolledBack::of(&run, rollback, &app.gate.config().url());
    let status = if back.state == "pending" { StatusCode::ACCEPTED } else { StatusCode::OK };
    Ok((status, Json(back)))
}

/// Revoke a token at once.
#[utoipa::path(post, path = "/v1/runs/{run}/tokens/{token}/revoke", operation_id = "revoke_token", tag = "runs",
    responses((status = 204), (status = "4XX", body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn revoke(
    State(app): State<App>,
    Known(by): Known,
    Path((run, token)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    // A token's id is a name like any other; what is none was never given out.
    let token = aecl_kernel::base::id::ActionName::new(&token)?.to_string();
    app.gate.revoke(&by, &RunId::new(&run)?, token).await?;
    Ok(StatusCode::NO_CONTENT)
}
