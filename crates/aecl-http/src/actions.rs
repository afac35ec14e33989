//! Actions: propose, poll, report, undo, resolve.

use super::App;
use super::auth::{Bearer, Caller, Known};
use super::body::{Raw, Strict, bad_json, limits};
use super::problem::{Problem, ProblemDetails};
use super::wire::{Action, Propose, Report, Reported, Resolve, Rollback};
use aecl_executor::Outcome;
use aecl_gate::submit::Submission;
use aecl_kernel::base::code;
use aecl_kernel::base::id::ActionId;
use aecl_kernel::base::json::Document;
use aecl_kernel::record::event::OutcomeKind;
use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use utoipa::IntoParams;

/// Longest idempotency key, in bytes.
pub(super) const KEY_BYTES_MAX: usize = 256;

/// How long to wait.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Wait {
    /// For how many seconds to wait until it is over.
    #[serde(default)]
    wait_s: u64,
}

/// What has not ended is no error: it waits for people, or it is underway.
fn answered(action: Action) -> (StatusCode, Json<Action>) {
    let status =
        if matches!(action.state, "pending" | "started") { StatusCode::ACCEPTED } else { StatusCode::OK };
    (status, Json(action))
}

/// Propose an action, with a run token. A refusal is an answer, not an error: `state` is `blocked`.
#[utoipa::path(post, path = "/v1/actions", operation_id = "propose_action", tag = "actions", request_body = Propose<'_>,
    params(("Idempotency-Key" = Option<String>, Header, description = "The same as `idempotency_key` in the body.")),
    responses((status = 200, body = Action), (status = 202, body = Action),
        (status = "4XX", body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn propose(
    State(app): State<App>,
    Bearer(session): Bearer,
    headers: HeaderMap,
    Raw(bytes): Raw,
) -> Result<(StatusCode, Json<Action>), Problem> {
    let body: Propose<'_> = serde_json::from_slice(&bytes).map_err(|error| {
        let problem = misproposed(&bytes, &error);
        app.gate.unreadable(&session, problem.code);
        problem
    })?;
    let offered = app.offered(&body.action).await;
    let submission = Submission {
        // The schema and the catalogue judge these bytes, not a copy that somebody has tidied up.
        arguments: body.arguments.get().as_bytes().to_vec(),
        name: body.action.into_owned(),
        mode: body.mode.into(),
        idempotency_key: key(body.idempotency_key, &headers)?,
        wait: app.at_most(body.wait_s),
        resume: body.resume,
        offered,
        until: app.options.closing.clone(),
        ..Submission::default()
    };
    let answer = app.gate.submit(&session, submission).await?;
    let mut action = Action::of(answer, &app.gate.config().url());
    let run = &session.principal.run;
    if action.state == "pending" && app.gate.may_propose_plan(run).await? {
        action.hint = Some(format!(
            "people are asked about call after call in this run; propose all that is left as one plan with `POST \
             /v1/runs/{run}/plan`, and they can agree to it at once"
        ));
    }
    Ok(answered(action))
}

/// What is wrong with a proposal: as JSON, or as a proposal.
fn misproposed(bytes: &[u8], error: &serde_json::Error) -> Problem {
    if let Err(error) = Document::parse(bytes, &limits(bytes.len())) {
        return bad_json(error);
    }
    let text: String = error.to_string().chars().take(300).collect();
    Problem::of(code::REQUEST_INVALID, format!("the body is not understood: {text}"))
        .hint("it needs `action` and `arguments`")
}

fn key(body: Option<String>, headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let bad = |why: &str| Problem::of(code::REQUEST_INVALID, why);
    let mut sent = headers.get_all("idempotency-key").iter();
    let header = match (sent.next(), sent.next()) {
        (_, Some(_)) => return Err(bad("`Idempotency-Key` stands twice")),
        (Some(value), None) => {
            let text = value.to_str().map_err(|_| bad("`Idempotency-Key` must be ASCII"))?;
            Some(text.to_owned())
        }
        (None, None) => None,
    };
    if let (Some(body), Some(header)) = (&body, &header)
        && body != header
    {
        return Err(bad("`idempotency_key` and the header `Idempotency-Key` differ"));
    }
    let key = body.or(header);
    match &key {
        Some(key) if key.is_empty() || key.len() > KEY_BYTES_MAX => {
            Err(bad(&format!("an idempotency key has 1 to {KEY_BYTES_MAX} bytes")))
        }
        Some(_) | None => Ok(key),
    }
}

/// Look at an action; `wait_s` waits until it is over.
#[utoipa::path(get, path = "/v1/actions/{action}", operation_id = "show_action", tag = "actions", params(Wait),
    responses((status = 200, body = Action), (status = 202, body = Action),
        (status = "4XX", body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn show(
    State(app): State<App>,
    caller: Caller,
    Path(action): Path<String>,
    query: Result<Query<Wait>, axum::extract::rejection::QueryRejection>,
) -> Result<(StatusCode, Json<Action>), Problem> {
    let Query(wait) = query.map_err(|e| Problem::of(code::REQUEST_INVALID, e.body_text()))?;
    let id = ActionId::new(&action)?;
    caller.action(&app, &id).await?;
    let wait = app.at_most(wait.wait_s);
    let (fact, answer) = app.gate.status(&id, wait, &app.options.closing).await?;
    Ok(answered(Action::on_record(&fact, answer, &app.gate.config().url())))
}

/// Report what came of a permit.
#[utoipa::path(post, path = "/v1/actions/{action}/outcome", operation_id = "report_outcome", tag = "actions", request_body = Report,
    responses((status = 200, body = Action), (status = "4XX", body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn report(
    State(app): State<App>,
    Bearer(session): Bearer,
    Path(action): Path<String>,
    Strict(report): Strict<Report>,
) -> Result<Json<Action>, Problem> {
    app.gate.alive(&session).await?;
    let outcome = Outcome {
        kind: match report.outcome {
            Reported::Done => OutcomeKind::Done,
            Reported::Failed => OutcomeKind::Failed,
            Reported::Unknown => OutcomeKind::Unknown,
        },
        code: report.code.map(|c| c.chars().take(64).collect()),
        message: report.message.chars().take(4000).collect(),
        output: report.output.map(|o| o.to_string().into_bytes()),
        // What an agent says of itself is recorded as reported.
        may_have_acted: false,
        sandbox: "agent".into(),
        traffic: None,
    };
    let answer = app.gate.report(&session, &ActionId::new(&action)?, outcome).await?;
    Ok(Json(Action::of(answer, &app.gate.config().url())))
}

/// Undo an action: its compensation is proposed, through the same door. For operators.
#[utoipa::path(post, path = "/v1/actions/{action}/rollback", operation_id = "roll_back_action", tag = "actions", request_body = Rollback,
    responses((status = 200, body = Action), (status = 202, body = Action), (status = "4XX", body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn rollback(
    State(app): State<App>,
    Known(by): Known,
    Path(action): Path<String>,
    Strict(body): Strict<Rollback>,
) -> Result<(StatusCode, Json<Action>), Problem> {
    let wait = app.at_most(body.wait_s);
    let id = ActionId::new(&action)?;
    let answer = tokio::select! {
        answer = app.gate.rollback(&by, &id, body.reason, wait) => answer?,
        () = app.options.closing.cancelled() => {
            let why = "the server is going down; the request for approval stays open";
            return Err(Problem::of(code::LEDGER_UNAVAILABLE, why));
        }
    };
    Ok(answered(Action::of(answer, &app.gate.config().url())))
}

/// Say what an unknown outcome turned out to be. For operators.
#[utoipa::path(post, path = "/v1/actions/{action}/resolve", operation_id = "resolve_action", tag = "actions", request_body = Resolve,
    responses((status = 200, body = Action), (status = "4XX", body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn resolve(
    State(app): State<App>,
    Known(by): Known,
    Path(action): Path<String>,
    Strict(body): Strict<Resolve>,
) -> Result<Json<Action>, Problem> {
    let answer = app.gate.resolve(&by, &ActionId::new(&action)?, body.done, body.note).await?;
    Ok(Json(Action::of(answer, &app.gate.config().url())))
}
