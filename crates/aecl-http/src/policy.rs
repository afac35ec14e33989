//! Policy and kill switches.

use super::App;
use super::auth::Known;
use super::body::{Raw, Strict, bad_json, limits};
use super::problem::{Problem, ProblemDetails};
use super::wire::{Explain, Explained, Kill, Kills, Policy, Reloaded, Switch};
use aecl_gate::explain::Situation;
use aecl_kernel::base::code;
use aecl_kernel::base::id::{ActionId, AgentId, Environment, TenantId, UserId};
use aecl_kernel::base::json::Document;
use aecl_kernel::provenance::labels::Labels;
use aecl_kernel::record::facts::Fact;
use axum::Json;
use axum::extract::State;

/// Most kill switches in one answer.
const KILLS_MAX: usize = 10_000;

/// The policy in force, as far as it concerns whoever asks: agents that the key runs, answers for or looks after, and what
/// they may do. The whole is for operators and auditors who are limited to no tenant.
#[utoipa::path(get, path = "/v1/policy", operation_id = "show_policy", tag = "policy",
    responses((status = 200, body = Policy), (status = "4XX", body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn show(State(app): State<App>, Known(by): Known) -> Json<Policy> {
    let whole = app.gate.reads_everything(&by);
    Json(Policy::of(&app.gate.bundle(), whole, |manifest| app.gate.sees_agent(&by, manifest)))
}

/// Read configuration and policy again. If anything is wrong, everything stays as it was. For operators.
#[utoipa::path(post, path = "/v1/reload", operation_id = "reload", tag = "policy",
    responses((status = 200, body = Reloaded), (status = "4XX", body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn reload(State(app): State<App>, by: Known) -> Result<Json<Reloaded>, Problem> {
    by.operator_or_owner("reload the policy")?;
    app.gate.for_every_tenant(&by.0, "reload the policy")?;
    let changed = app.gate.reload().await?;
    Ok(Json(Reloaded { changed, bundle: app.gate.bundle().hash().to_string() }))
}

/// What would be decided, and why. Nothing is recorded and nothing is used up. For people.
#[utoipa::path(post, path = "/v1/explain", operation_id = "explain", tag = "policy", request_body = Explain<'_>,
    responses((status = 200, body = Explained), (status = "4XX", body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn explain(State(app): State<App>, by: Known, Raw(bytes): Raw) -> Result<Json<Explained>, Problem> {
    by.person_or_owner("ask what would be decided")?;
    let body: Explain<'_> = match serde_json::from_slice(&bytes) {
        Ok(body) => body,
        Err(error) => {
            Document::parse(&bytes, &limits(bytes.len())).map_err(bad_json)?;
            let text: String = error.to_string().chars().take(300).collect();
            return Err(Problem::of(code::REQUEST_INVALID, format!("the body is not understood: {text}")));
        }
    };
    let labels = Labels {
        untrusted: body.labels.untrusted,
        private: body.labels.private,
        classes: body.labels.classes,
    };
    let situation = Situation {
        agent: AgentId::new(&body.agent)?,
        action: body.action.into_owned(),
        arguments: body.arguments.map_or_else(|| b"{}".to_vec(), |a| a.get().as_bytes().to_vec()),
        user: body.user.as_deref().map(UserId::new).transpose()?,
        tenant: body.tenant.as_deref().map(TenantId::new).transpose()?,
        environment: body.environment.as_deref().map(Environment::new).transpose()?,
        labels,
        goal: body.goal.map(std::borrow::Cow::into_owned),
        compensates: body.compensates.as_deref().map(ActionId::new).transpose()?,
    };
    app.gate.may_ask_about(&by.0, &situation.agent, situation.tenant.as_ref())?;
    let explained = app.gate.explain(&by.0, situation).await?;
    let action = &explained.action;
    Ok(Json(Explained {
        decision: (&*explained.decision).into(),
        resource: action.resource.clone(),
        destinations: action.destinations.clone(),
        amount: action.amount.as_ref().map(ToString::to_string),
        bundle: explained.bundle.to_string(),
        usage: if explained.without_usage { "left_out" } else { "counted" },
    }))
}

/// Kill switches that are on and concern whoever asks.
#[utoipa::path(get, path = "/v1/kill", operation_id = "list_kills", tag = "kill",
    responses((status = 200, body = Kills), (status = "4XX", body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn kills(State(app): State<App>, by: Known) -> Result<Json<Kills>, Problem> {
    let found = app.gate.ledger().kills(KILLS_MAX).await?;
    let mut kills = Vec::new();
    for (scope, fact) in found {
        if let Fact::Kill(kill) = fact
            && app.gate.sees_kill(&by.0, &scope).await?
        {
            kills.push(Kill::of(scope, kill));
        }
    }
    Ok(Json(Kills { kills }))
}

/// Stop everything, a tenant, an agent or a run, from now on. For operators.
#[utoipa::path(post, path = "/v1/kill", operation_id = "kill", tag = "kill", request_body = Switch,
    responses((status = 200, body = Kills), (status = "4XX", body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn kill(
    State(app): State<App>,
    Known(by): Known,
    Strict(body): Strict<Switch>,
) -> Result<Json<Kills>, Problem> {
    app.gate.kill(&by, body.scope.try_into()?, body.reason).await?;
    kills(State(app), Known(by)).await
}

/// Lift a kill switch. For operators.
#[utoipa::path(post, path = "/v1/kill/lift", operation_id = "lift_kill", tag = "kill", request_body = Switch,
    responses((status = 200, body = Kills), (status = "4XX", body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn lift(
    State(app): State<App>,
    Known(by): Known,
    Strict(body): Strict<Switch>,
) -> Result<Json<Kills>, Problem> {
    app.gate.lift(&by, body.scope.try_into()?, body.reason).await?;
    kills(State(app), Known(by)).await
}
