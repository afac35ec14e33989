//! LiteLLM's guardrail: each tool call that a model answers is judged before the agent gets it, and what the agent says of its
//! tools in its next request is what came of them.
//!
//! It is the agent's process that calls the tools, so this is cooperative. Whatever goes wrong here is an answer that
//! blocks: LiteLLM can be told to go on where a guardrail fails.

use super::App;
use super::body::Raw;
use super::problem::Problem;
use super::wire::Action;
use aecl_executor::Outcome;
use aecl_gate::Session;
use aecl_gate::submit::Submission;
use aecl_kernel::base::code;
use aecl_kernel::base::id::ActionId;
use aecl_kernel::read::action::Mode;
use aecl_kernel::record::event::OutcomeKind;
use aecl_kernel::record::facts::ActionState;
use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Header of the agent's request to LiteLLM with the token of its run.
const RUN: &str = "x-aecl-run";
/// How the idempotency key of such a call begins; the model's own name of it follows.
const KEY: &str = "litellm:";
/// Most tool calls of one answer, and most results of one request.
const CALLS_MAX: usize = 64;

/// Question of LiteLLM. What else it sends is not looked at.
#[derive(Debug, Deserialize)]
struct Asked {
    input_type: String,
    #[serde(default)]
    tool_calls: Option<Vec<ToolCall>>,
    #[serde(default)]
    structured_messages: Option<Vec<Message>>,
    #[serde(default)]
    request_headers: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Deserialize)]
struct ToolCall {
    #[serde(default)]
    id: Option<String>,
    function: Function,
}

#[derive(Debug, Deserialize)]
struct Function {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    arguments: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Message {
    role: String,
    #[serde(default)]
    tool_call_id: Option<String>,
    #[serde(default)]
    content: Value,
}

/// Judges what a model answers, or takes what an agent says of its tools.
pub async fn guardrail(State(app): State<App>, body: Result<Raw, Problem>) -> Json<Value> {
    Json(match asked(&app, body).await {
        Ok(()) => json!({"action": "NONE"}),
        Err(why) => json!({"action": "BLOCKED", "blocked_reason": why}),
    })
}

async fn asked(app: &App, body: Result<Raw, Problem>) -> Result<(), String> {
    let Raw(bytes) = body.map_err(|problem| told(&problem))?;
    let asked: Asked = serde_json::from_slice(&bytes)
        .map_err(|error| format!("AECL does not understand what LiteLLM asks: {error}"))?;
    let calls = asked.tool_calls.unwrap_or_default();
    match asked.input_type.as_str() {
        "response" if calls.is_empty() => Ok(()),
        "response" => judged(app, &session(app, asked.request_headers).await?, calls).await,
        "request" => {
            let results: Vec<Message> = asked
                .structured_messages
                .unwrap_or_default()
                .into_iter()
                .filter(|message| message.role == "tool")
                .collect();
            if results.is_empty() {
                return Ok(());
            }
            reported(app, &session(app, asked.request_headers).await?, results).await;
            Ok(())
        }
        other => Err(format!("AECL does not know `input_type` `{other}`")),
    }
}

async fn session(app: &App, headers: Option<BTreeMap<String, String>>) -> Result<Session, String> {
    let headers = headers.unwrap_or_default();
    let mut tokens =
        headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(RUN)).map(|(_, token)| token);
    match (tokens.next(), tokens.next()) {
        (Some(token), None) if token == "[present]" => Err(format!(
            "LiteLLM keeps the header `{RUN}` back; name it in `extra_headers` of this guardrail"
        )),
        (Some(token), None) => app.gate.session(token).await.map_err(|error| told(&error.into())),
        (_, _) => Err(format!(
            "the request has no header `{RUN}` with the token of a run, so nobody knows on whose behalf this is; whoever opened \
             the run has it"
        )),
    }
}

/// Judges the calls of one answer. LiteLLM takes all of them or none.
async fn judged(app: &App, session: &Session, calls: Vec<ToolCall>) -> Result<(), String> {
    if calls.len() > CALLS_MAX {
        return Err(format!("the model calls {} tools at once; at most {CALLS_MAX} are judged", calls.len()));
    }
    // The second would pass as the first, which was judged, and be done beside it.
    let mut ids = BTreeSet::new();
    if let Some(twice) = calls.iter().filter_map(|call| call.id.as_deref()).find(|id| !ids.insert(*id)) {
        return Err(format!("two tool calls of one answer have the id `{twice:.60}`; nothing was executed"));
    }
    let mut permitted = Vec::new();
    for call in calls {
        match one(app, session, call).await {
            Ok(action) => permitted.extend(action),
            Err(why) => {
                for action in permitted {
                    report(app, session, &action, OutcomeKind::Failed, None).await;
                }
                return Err(why);
            }
        }
    }
    Ok(())
}

/// The action that was permitted just now; nothing if it was before.
async fn one(app: &App, session: &Session, call: ToolCall) -> Result<Option<ActionId>, String> {
    let (Some(id), Some(name)) = (call.id.filter(|id| !id.is_empty()), call.function.name) else {
        return Err(
            "a tool call of the model has no id or no name, so it is not judged; with a stream, set \
                    `streaming_buffer_until_moderated`"
                .into(),
        );
    };
    let arguments =
        call.function.arguments.filter(|text| !text.trim().is_empty()).unwrap_or_else(|| "{}".into());
    let offered = app.offered(&name).await;
    let submission = Submission {
        name: name.clone(),
        arguments: arguments.into_bytes(),
        mode: Mode::Authorize,
        idempotency_key: Some(format!("{KEY}{id}")),
        offered,
        until: app.options.closing.clone(),
        ..Submission::default()
    };
    let answer = app.gate.submit(session, submission).await.map_err(|error| told(&error.into()))?;
    let action = answer.action.clone();
    let answer = Action::of(answer, &app.gate.config().url());
    match answer.state {
        "permitted" => Ok(Some(action)),
        // LiteLLM asks more than once about one answer.
        "started" => Ok(None),
        "pending" => {
            let asked =
                answer.approval.map_or(String::new(), |asked| format!(" ({}, {})", asked.id, asked.url));
            Err(format!(
                "AECL asks a person about `{name}`, and nobody has answered yet{asked}. Nothing was executed. Do not try to do the \
                 same in another way; after the approval the same call goes through."
            ))
        }
        "blocked" | "rejected" => {
            let code = answer.code.unwrap_or_default();
            Err(format!("AECL refuses `{name}` [{code}]: {}. Nothing was executed.", answer.message))
        }
        state => {
            Err(format!("AECL: this very call of `{name}` was made before ({state}); it is not done twice."))
        }
    }
}

/// Takes what an agent says of its tools. Each result is in every request from then on; the first one counts.
async fn reported(app: &App, session: &Session, results: Vec<Message>) {
    for result in results.into_iter().rev().take(CALLS_MAX) {
        let Some(id) = result.tool_call_id else { continue };
        let used = app.gate.ledger().used(&session.principal.run, &format!("{KEY}{id}")).await;
        if let Ok(Some(used)) = used {
            report(app, session, &used.action, OutcomeKind::Done, Some(result.content)).await;
        }
    }
}

async fn report(app: &App, session: &Session, action: &ActionId, kind: OutcomeKind, output: Option<Value>) {
    let started = app.gate.ledger().action(action).await;
    if !started.is_ok_and(|fact| fact.is_some_and(|fact| fact.state == ActionState::Started)) {
        return;
    }
    let failed = kind == OutcomeKind::Failed;
    let outcome = Outcome {
        kind,
        code: failed.then(|| "not_executed".to_owned()),
        message: if failed { "another call of the same answer was refused".into() } else { String::new() },
        output: output.map(|output| output.to_string().into_bytes()),
        may_have_acted: false,
        sandbox: "agent".into(),
        traffic: None,
    };
    if let Err(error) = app.gate.report(session, action, outcome).await {
        tracing::warn!(%action, %error, "what an agent says of its tool could not be recorded");
    }
}

fn told(problem: &Problem) -> String {
    let code = problem.code;
    match code {
        code::LEDGER_UNAVAILABLE | code::INTERNAL => {
            format!("AECL cannot judge this now [{code}]; nothing was executed.")
        }
        _ => format!("AECL [{code}]: {}. Nothing was executed.", problem.detail),
    }
}
