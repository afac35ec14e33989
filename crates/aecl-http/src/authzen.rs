//! AuthZEN 1.0: whoever enforces elsewhere asks here what would be decided. A question and no proposal:
//! nothing is recorded, nothing is used up, and a yes here is no leave to act.

use super::App;
use super::auth::{Caller, Known};
use super::body::{Raw, bad_json, limits};
use super::problem::{Problem, ProblemDetails};
use super::wire::{
    AuthzenAnswer, AuthzenAnswers, AuthzenContext, AuthzenError, AuthzenItemAnswer, AuthzenMetadata,
    AuthzenQuestion, AuthzenQuestions, AuthzenReason, AuthzenSemantic, AuthzenSubjectProperties, AuthzenWhy,
    Decision, Labels,
};
use aecl_gate::Identity;
use aecl_gate::explain::{Explained, Situation};
use aecl_kernel::base::code;
use aecl_kernel::base::id::{AgentId, Environment, RunId, TenantId, UserId};
use aecl_kernel::base::json::Document;
use aecl_kernel::provenance::labels;
use aecl_kernel::record::decision::Verdict;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{FromRequest, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Most questions at once: each is decided like a proposal.
const QUESTIONS_MAX: usize = 50;

/// What would be decided about an action of an agent, as AuthZEN asks it: `subject.id` is the agent,
/// `action.name` the action, `action.properties` its arguments, `resource.id` what it is taken to touch. Only
/// `allow` is `true`; what a person would have to agree to is `false`, and `context.verdict` says so.
#[utoipa::path(post, path = "/access/v1/evaluation", operation_id = "evaluate", tag = "policy", request_body = AuthzenQuestion<'_>,
    responses((status = 200, body = AuthzenAnswer), (status = "4XX", body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn evaluate(
    State(app): State<App>,
    Known(by): Known,
    Asking(bytes): Asking,
) -> Result<Json<AuthzenAnswer>, Problem> {
    let question = whole(read(&bytes)?, &AuthzenQuestion::default())?;
    Ok(Json(decided(&app, &by, question).await?))
}

/// The same for several questions at once, at most 50. An item that cannot be answered has a `context.error` and is no
/// yes. Without `evaluations` this is one question, answered like one.
#[utoipa::path(post, path = "/access/v1/evaluations", operation_id = "evaluate_several", tag = "policy", request_body = AuthzenQuestions<'_>,
    responses((status = 200, body = AuthzenAnswers), (status = "4XX", body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn evaluate_several(
    State(app): State<App>,
    Known(by): Known,
    Asking(bytes): Asking,
) -> Result<Response, Problem> {
    let asked: AuthzenQuestions<'_> = read(&bytes)?;
    if asked.evaluations.len() > QUESTIONS_MAX {
        let why =
            format!("`evaluations` has {} items; at most {QUESTIONS_MAX} are taken", asked.evaluations.len());
        return Err(Problem::of(code::REQUEST_INVALID, why).hint("ask several times"));
    }
    let (semantic, alone) = (asked.options.evaluations_semantic, asked.evaluations.is_empty());
    let AuthzenQuestions { subject, action, resource, context, evaluations, .. } = asked;
    let beside = AuthzenQuestion { subject, action, resource, context };
    if alone {
        let question = whole(AuthzenQuestion::default(), &beside)?;
        return Ok(Json(decided(&app, &by, question).await?).into_response());
    }
    let mut answers = AuthzenAnswers { evaluations: Vec::new() };
    for item in evaluations {
        let answer = match whole(item, &beside) {
            Ok(question) => decided(&app, &by, question).await,
            Err(problem) => Err(problem),
        };
        let answer = match answer {
            Ok(AuthzenAnswer { decision, context }) => {
                AuthzenItemAnswer { decision, context: AuthzenWhy::Decided(Box::new(context)) }
            }
            // We cannot do our work: then nothing is answered.
            Err(problem) if problem.status.is_server_error() => return Err(problem),
            Err(Problem { status, code, detail, .. }) => {
                let error = AuthzenError { status: status.as_u16(), message: detail, code: code.as_str() };
                AuthzenItemAnswer { decision: false, context: AuthzenWhy::Error { error } }
            }
        };
        let is_yes = answer.decision;
        answers.evaluations.push(answer);
        match (semantic, is_yes) {
            (AuthzenSemantic::DenyOnFirstDeny, false) | (AuthzenSemantic::PermitOnFirstPermit, true) => break,
            (AuthzenSemantic::ExecuteAll, _)
            | (AuthzenSemantic::DenyOnFirstDeny, true)
            | (AuthzenSemantic::PermitOnFirstPermit, false) => {}
        }
    }
    Ok(Json(answers).into_response())
}

/// A question with nothing left out.
struct Asked<'a> {
    kind: String,
    agent: String,
    said: AuthzenSubjectProperties,
    action: String,
    arguments: Option<&'a RawValue>,
    resource: String,
    context: Option<AuthzenContext>,
}

/// A question with what stands beside it where it says nothing. What it does say of a subject, an action or a resource
/// stands for itself; only the members that each must have come from beside, too.
fn whole<'a>(item: AuthzenQuestion<'a>, beside: &AuthzenQuestion<'a>) -> Result<Asked<'a>, Problem> {
    let missing = |what: &'static str| {
        Problem::of(code::REQUEST_INVALID, format!("`{what}` is missing"))
            .hint("a question needs `subject`, `action` and `resource`, as AuthZEN 1.0 says")
    };
    let required = |own: Option<String>, of_all: Option<String>, what: &'static str| {
        own.or(of_all).ok_or_else(|| missing(what))
    };
    let (others, subject) = (beside.subject.clone().unwrap_or_default(), item.subject);
    let subject = subject.or_else(|| beside.subject.clone()).ok_or_else(|| missing("subject"))?;
    let (of_all, action) = (beside.action.clone().unwrap_or_default(), item.action);
    let action = action.or_else(|| beside.action.clone()).ok_or_else(|| missing("action"))?;
    let (another, resource) = (beside.resource.clone().unwrap_or_default(), item.resource);
    let resource = resource.or_else(|| beside.resource.clone()).ok_or_else(|| missing("resource"))?;
    required(resource.kind, another.kind, "resource.type")?;
    let named = |name: Option<Cow<'a, str>>| name.map(Cow::into_owned);
    Ok(Asked {
        kind: required(subject.kind, others.kind, "subject.type")?,
        agent: required(subject.id, others.id, "subject.id")?,
        said: subject.properties,
        action: required(named(action.name), named(of_all.name), "action.name")?,
        arguments: action.properties,
        resource: required(resource.id, another.id, "resource.id")?,
        context: item.context.or_else(|| beside.context.clone()),
    })
}

/// The body of a question. AuthZEN says 400 of whatever is no JSON, also of what does not say that it is.
pub struct Asking(Bytes);

impl FromRequest<App> for Asking {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        Raw::from_request(request, app).await.map(|Raw(bytes)| Self(bytes)).map_err(|problem| {
            match problem.status {
                StatusCode::UNSUPPORTED_MEDIA_TYPE => Problem { status: StatusCode::BAD_REQUEST, ..problem },
                _ => problem,
            }
        })
    }
}

fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Problem> {
    // One meaning only, whatever else it says: what is not understood here is left out, not guessed.
    Document::parse(bytes, &limits(bytes.len())).map_err(bad_json)?;
    serde_json::from_slice(bytes).map_err(|error| {
        let text: String = error.to_string().chars().take(300).collect();
        Problem::of(code::REQUEST_INVALID, format!("the body is not understood: {text}"))
            .hint("it needs `subject`, `action` and `resource`, as AuthZEN 1.0 says")
    })
}

async fn decided(app: &App, by: &Identity, question: Asked<'_>) -> Result<AuthzenAnswer, Problem> {
    let resource = question.resource.clone();
    let situation = situation(app, by, question).await?;
    Ok(answer(&resource, &app.gate.explain(by, situation).await?))
}

/// Where AuthZEN is spoken here.
#[utoipa::path(get, path = "/.well-known/authzen-configuration", operation_id = "authzen_configuration", security(()), tag = "operations",
    responses((status = 200, body = AuthzenMetadata)))]
pub async fn metadata(State(app): State<App>) -> Json<AuthzenMetadata> {
    let url = app.gate.config().url();
    Json(AuthzenMetadata {
        access_evaluation_endpoint: format!("{url}/access/v1/evaluation"),
        access_evaluations_endpoint: format!("{url}/access/v1/evaluations"),
        policy_decision_point: url,
    })
}

async fn situation(app: &App, by: &Identity, question: Asked<'_>) -> Result<Situation, Problem> {
    let Asked { kind, agent, said, action, arguments, resource: _, context } = question;
    let config = app.gate.config();
    if !config.authzen.subject_types.contains(&kind) {
        let kinds: Vec<String> =
            config.authzen.subject_types.iter().map(|kind| format!("`{kind}`")).collect();
        let why = format!("`subject.type` is `{kind:.60}`; an agent is called {} here", kinds.join(" or "));
        return Err(Problem::of(code::REQUEST_INVALID, why)
            .hint("`authzen: { subject_types: [agent, user] }` in aecl.yaml takes another word for it"));
    }
    let agent = AgentId::new(&agent)?;
    let mut situation = Situation {
        agent: agent.clone(),
        action,
        arguments: arguments.map_or_else(|| b"{}".to_vec(), |p| p.get().as_bytes().to_vec()),
        user: said.user.as_deref().map(UserId::new).transpose()?,
        tenant: said.tenant.as_deref().map(TenantId::new).transpose()?,
        environment: said.environment.as_deref().map(Environment::new).transpose()?,
        labels: labels::Labels::default(),
        goal: None,
        compensates: None,
    };
    let AuthzenContext { run, labels } = context.unwrap_or_default();
    if let Some(Labels { untrusted, private, classes }) = labels {
        situation.labels = labels::Labels { untrusted, private, classes };
    }
    let Some(run) = run else {
        app.gate.may_ask_about(by, &agent, situation.tenant.as_ref())?;
        return Ok(situation);
    };
    // Who acts, and what was seen, is what is on record about the run; what was said can only add to it.
    let fact = Caller::Known(by.clone()).run(app, &RunId::new(&run)?).await?;
    if fact.principal.agent != agent {
        return Err(Problem::of(code::REQUEST_INVALID, format!("`{run}` is no run of `{agent}`")));
    }
    situation.user = fact.principal.user;
    situation.tenant = Some(fact.principal.tenant);
    situation.environment = Some(fact.principal.environment);
    situation.labels.join(&fact.labels);
    // What the run may rest on besides its goal is not looked up here, so this answer is the stricter one.
    let goal = app.gate.ledger().goal(&RunId::new(&run)?).await.map_err(aecl_gate::GateError::from)?;
    situation.goal = Some(goal.filter(|_| !fact.late).map_or_else(String::new, |goal| goal.text));
    Ok(situation)
}

fn answer(resource: &str, explained: &Explained) -> AuthzenAnswer {
    let decision = Decision::from(&*explained.decision);
    let code = explained.decision.headline.map(|code| code.to_string());
    let touched = explained.action.resource.as_deref();
    // What it touches follows from its arguments. Whoever takes it for something else must not go on.
    let mistaken = touched.filter(|touched| *touched != resource);
    let allows = explained.decision.verdict == Verdict::Allow;
    let (allowed, code, reason) = match mistaken {
        None if allows && explained.without_usage => {
            let reason = "the policy allows it; what is left of budgets and rates is for keys that may read the agent's runs";
            (false, Some("usage_left_out".to_owned()), reason.to_owned())
        }
        None => (allows, code, decision.reason.clone()),
        Some(touched) => {
            let asked: String = resource.chars().take(128).collect();
            let reason =
                format!("`resource.id` is `{asked}`, but with these arguments it touches `{touched}`");
            (false, Some("resource_mismatch".to_owned()), reason)
        }
    };
    AuthzenAnswer {
        decision: allowed,
        context: AuthzenReason {
            verdict: if mistaken.is_some() { Verdict::Block.name() } else { decision.verdict },
            code,
            reason,
            bundle: explained.bundle.to_string(),
            details: decision,
        },
    }
}
