//! AuthZEN 1.0: whoever enforces elsewhere asks here what would be decided. A question and no proposal:
//! nothing is recorded, nothing is used up, and a yes here is no leave to act.

use super::App;
use super::auth::Known;
use super::body::{Raw, bad_json, limits};
use super::problem::{Problem, ProblemDetails};
use super::runs::run_fact;
use super::wire::{
    AuthzenAnswer, AuthzenAnswers, AuthzenError, AuthzenItem, AuthzenItemAnswer, AuthzenMetadata,
    AuthzenQuestion, AuthzenQuestions, AuthzenReason, AuthzenSemantic, AuthzenWhy, Decision, Labels,
};
use aecl_gate::Identity;
use aecl_gate::explain::{Explained, Situation};
use aecl_kernel::code;
use aecl_kernel::decide::Verdict;
use aecl_kernel::id::{AgentId, Environment, RunId, TenantId, UserId};
use aecl_kernel::json::Document;
use aecl_kernel::labels;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

/// Comes back as it came, so that both sides' logs can be put together.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
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
    headers: HeaderMap,
    Raw(bytes): Raw,
) -> Result<(HeaderMap, Json<AuthzenAnswer>), Problem> {
    let question: AuthzenQuestion<'_> = read(&bytes)?;
    Ok((request_id(&headers), Json(decided(&app, &by, &question).await?)))
}

/// The same for several questions at once, at most 50. An item that cannot be answered has a `context.error` and is no
/// yes. Without `evaluations` this is one question, answered like one.
#[utoipa::path(post, path = "/access/v1/evaluations", operation_id = "evaluate_several", tag = "policy", request_body = AuthzenQuestions<'_>,
    responses((status = 200, body = AuthzenAnswers), (status = "4XX", body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn evaluate_several(
    State(app): State<App>,
    Known(by): Known,
    headers: HeaderMap,
    Raw(bytes): Raw,
) -> Result<Response, Problem> {
    let asked: AuthzenQuestions<'_> = read(&bytes)?;
    if asked.evaluations.len() > QUESTIONS_MAX {
        let why =
            format!("`evaluations` has {} items; at most {QUESTIONS_MAX} are taken", asked.evaluations.len());
        return Err(Problem::of(code::REQUEST_INVALID, why).hint("ask several times"));
    }
    let back = request_id(&headers);
    let (semantic, alone) = (asked.options.evaluations_semantic, asked.evaluations.is_empty());
    let AuthzenQuestions { subject, action, resource, context, evaluations, .. } = asked;
    let otherwise = AuthzenItem { subject, action, resource, context };
    if alone {
        let nothing = AuthzenItem { subject: None, action: None, resource: None, context: None };
        let question = whole(nothing, &otherwise)?;
        return Ok((back, Json(decided(&app, &by, &question).await?)).into_response());
    }
    let mut answers = AuthzenAnswers { evaluations: Vec::new() };
    for item in evaluations {
        let answer = match whole(item, &otherwise) {
            Ok(question) => decided(&app, &by, &question).await,
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
    Ok((back, Json(answers)).into_response())
}

/// A question of several, with what is said for all of them where it says nothing.
fn whole<'a>(item: AuthzenItem<'a>, otherwise: &AuthzenItem<'a>) -> Result<AuthzenQuestion<'a>, Problem> {
    let missing = |what: &str| {
        let why = format!("`{what}` stands neither in the item nor beside `evaluations`");
        Problem::of(code::REQUEST_INVALID, why)
    };
    Ok(AuthzenQuestion {
        subject: item.subject.or_else(|| otherwise.subject.clone()).ok_or_else(|| missing("subject"))?,
        action: item.action.or_else(|| otherwise.action.clone()).ok_or_else(|| missing("action"))?,
        resource: item.resource.or_else(|| otherwise.resource.clone()).ok_or_else(|| missing("resource"))?,
        context: item.context.or_else(|| otherwise.context.clone()),
    })
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

fn request_id(headers: &HeaderMap) -> HeaderMap {
    let id = headers.get(REQUEST_ID).map(|id| (REQUEST_ID, HeaderValue::clone(id)));
    id.into_iter().collect()
}

async fn decided(app: &App, by: &Identity, question: &AuthzenQuestion<'_>) -> Result<AuthzenAnswer, Problem> {
    let situation = situation(app, by, question).await?;
    let tenant = situation.tenant.clone().unwrap_or_else(|| app.gate.config().tenant.clone());
    if !app.gate.is_for_tenant(by, &tenant) {
        let why = format!("{} may not ask about tenant `{tenant}`", by.name());
        return Err(Problem::of(code::FORBIDDEN, why));
    }
    Ok(answer(question, &app.gate.explain(situation).await?))
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

async fn situation(app: &App, by: &Identity, question: &AuthzenQuestion<'_>) -> Result<Situation, Problem> {
    let subject = &question.subject;
    let config = app.gate.config();
    if !config.authzen.subject_types.contains(&subject.kind) {
        let kinds: Vec<String> =
            config.authzen.subject_types.iter().map(|kind| format!("`{kind}`")).collect();
        let why = format!(
            "`subject.type` is `{:.60}`; an agent is called {} here",
            subject.kind,
            kinds.join(" or ")
        );
        return Err(Problem::of(code::REQUEST_INVALID, why)
            .hint("`authzen: { subject_types: [agent, user] }` in aecl.yaml takes another word for it"));
    }
    let agent = AgentId::new(&subject.id)?;
    let may = match by {
        Identity::Person { .. } | Identity::Local => true,
        Identity::Orchestrator { .. } => by.may_run(&agent),
    };
    if !may {
        let why = format!("{} may not ask about `{agent}`", by.name());
        return Err(Problem::of(code::FORBIDDEN, why));
    }
    let said = &subject.properties;
    let mut situation = Situation {
        agent: agent.clone(),
        action: question.action.name.clone().into_owned(),
        arguments: question.action.properties.map_or_else(|| b"{}".to_vec(), |p| p.get().as_bytes().to_vec()),
        user: said.user.as_deref().map(UserId::new).transpose()?,
        tenant: said.tenant.as_deref().map(TenantId::new).transpose()?,
        environment: said.environment.as_deref().map(Environment::new).transpose()?,
        labels: labels::Labels::default(),
        goal: None,
        compensates: None,
    };
    let context = question.context.as_ref();
    if let Some(Labels { untrusted, private, classes }) = context.and_then(|context| context.labels.clone()) {
        situation.labels = labels::Labels { untrusted, private, classes };
    }
    let Some(run) = context.and_then(|context| context.run.as_deref()) else { return Ok(situation) };
    // Who acts, and what was seen, is what is on record about the run; what was said can only add to it.
    let fact = run_fact(app, &RunId::new(run)?).await?;
    if fact.principal.agent != agent {
        return Err(Problem::of(code::REQUEST_INVALID, format!("`{run}` is no run of `{agent}`")));
    }
    situation.user = fact.principal.user;
    situation.tenant = Some(fact.principal.tenant);
    situation.environment = Some(fact.principal.environment);
    situation.labels.join(&fact.labels);
    // What the run may rest on besides its goal is not looked up here, so this answer is the stricter one.
    let goal = app.gate.ledger().goal(&RunId::new(run)?).await.map_err(aecl_gate::GateError::from)?;
    situation.goal = Some(goal.filter(|_| !fact.late).map_or_else(String::new, |goal| goal.text));
    Ok(situation)
}

fn answer(question: &AuthzenQuestion<'_>, explained: &Explained) -> AuthzenAnswer {
    let decision = Decision::from(&*explained.decision);
    let code = explained.decision.headline.map(|code| code.to_string());
    let touched = explained.action.resource.as_deref();
    // What it touches follows from its arguments. Whoever takes it for something else must not go on.
    let mistaken = touched.filter(|touched| *touched != question.resource.id);
    let (allowed, code, reason) = match mistaken {
        None => (explained.decision.verdict == Verdict::Allow, code, decision.reason.clone()),
        Some(touched) => {
            let asked: String = question.resource.id.chars().take(128).collect();
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
