//! What a client wants done, read no deeper than needed to propose it to the gate.

use super::answer::Form;
use super::client_session::{ClientSession, Request};
use super::meta::{state_capabilities, stated};
use super::names;
use super::negotiated::Negotiated;
use super::seal::{self, Round};
use super::task_capability;
use super::wire::{INVALID_PARAMS, Members, Refusal, document, members_of, raw, raw_value};
use aecl_executor::CallContext;
use aecl_executor::connectors::mcp::{ObjectText, RawReply, Upstream};
use aecl_gate::Session;
use aecl_gate::submit::Submission;
use aecl_kernel::base::digest::Digest;
use serde_json::Value;
use serde_json::value::RawValue;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// By which method the client asks what could be typed.
pub(super) const COMPLETION: &str = "completion/complete";
/// Under which key the client answers.
pub(super) const QUESTION: &str = "aecl_approval";

/// A proposal of the client, read no deeper than needed to know what it is.
pub(super) struct Call {
    pub(super) server: String,
    /// The tool's own name; the method's, where it is no tool.
    pub(super) tool: String,
    pub(super) action: String,
    pub(super) arguments: Box<RawValue>,
    pub(super) meta: Members,
    /// `requestState` and `inputResponses` for the server behind.
    pub(super) state: Option<Box<RawValue>>,
    pub(super) responses: Option<Box<RawValue>>,
    /// What we remember from the rounds before.
    pub(super) round: Option<Round>,
    /// The client has said that its person does not want to be asked.
    pub(super) is_declined: bool,
    /// The client wants it as a task, and how.
    pub(super) task: Option<Box<RawValue>>,
    /// The client of the stateless era takes a task for an answer.
    pub(super) takes_tasks: bool,
    /// The tool's definition as its server offers it now.
    pub(super) offered: Option<Digest>,
    /// The run has asked people often, so that the agent is told that it may propose a plan.
    pub(super) may_plan: bool,
    pub(super) form: Form,
}

impl ClientSession {
    pub(super) fn read(
        &self,
        method: &str,
        params: Members,
        meta: Members,
        way: Negotiated,
    ) -> Result<Call, Refusal> {
        let wrong = |why: &str| Refusal::new(INVALID_PARAMS, why);
        let mut params = params;
        params.take("_meta");
        let (state, responses) = (params.take("requestState"), params.take("inputResponses"));
        let is_tool = method == "tools/call";
        let mut meta = meta;
        let takes_tasks = is_tool && way == Negotiated::Modern && task_capability::knows_tasks(&meta);
        let behind = stated(&meta, "clientCapabilities").and_then(task_capability::without_tasks);
        if let Some(behind) = behind {
            state_capabilities(&mut meta, behind);
        }
        let asks_task = is_tool && way == Negotiated::Legacy && self.offers_tasks();
        let task = if asks_task { params.take("task") } else { None };
        let form = Form { way, is_tool, has_output_schema: false };
        let (server, tool, arguments) = match method {
            COMPLETION => {
                let (server, params) = self.completing(params)?;
                (server, method.to_owned(), params.raw())
            }
            "resources/read" => {
                let uri = params.text("uri").ok_or_else(|| wrong("`uri` is missing or no text"))?;
                (self.server_of(&uri)?, method.to_owned(), params.raw())
            }
            _ => {
                let shown = params.text("name").ok_or_else(|| wrong("`name` is missing or no text"))?;
                let (server, name) = names::meant(&self.opening.servers, &shown)
                    .ok_or_else(|| wrong("no server behind this endpoint has this name"))?;
                if is_tool && names::is_own(name) {
                    return Err(wrong("it is a method of the protocol and no tool"));
                }
                if is_tool {
                    let arguments = params.take("arguments").unwrap_or_else(|| raw("{}".into()));
                    params.take("name");
                    // What no revision that is spoken here knows is ignored, as the protocol wants it, also a `task`
                    // of an older one. It goes no further: nobody has judged what it would mean to the server.
                    if !params.0.is_empty() {
                        let ignored: Vec<&str> = params.0.iter().map(|(name, _)| name.as_str()).collect();
                        tracing::debug!(tool = name, ignored = ?ignored, "members of a call are ignored");
                    }
                    (server.to_owned(), name.to_owned(), arguments)
                } else {
                    let name_only = raw_value(&name.into());
                    let server = server.to_owned();
                    params.set("name", name_only);
                    (server, method.to_owned(), params.raw())
                }
            }
        };
        let action = names::action(&server, &tool);
        let mut call = Call {
            server,
            tool,
            action,
            arguments,
            meta,
            state,
            responses,
            round: None,
            is_declined: false,
            task,
            takes_tasks,
            offered: None,
            may_plan: false,
            form,
        };
        self.unseal(method, &mut call)?;
        Ok(call)
    }

    /// Opens a state of ours. What the server behind had given is put back in its place.
    fn unseal(&self, method: &str, call: &mut Call) -> Result<(), Refusal> {
        let state = call.state.as_ref().and_then(|state| serde_json::from_str::<String>(state.get()).ok());
        let Some(state) = state.filter(|state| seal::is_ours(state)) else { return Ok(()) };
        let mut round = seal::open(&state, &self.bound_to(method, call)).ok_or_else(|| {
            let why = "the `requestState` is not of this call, or too old; call again without it";
            Refusal::coded(INVALID_PARAMS, "request_invalid", why)
        })?;
        let answer = members_of(call.responses.as_deref()).ok();
        let answer = answer.and_then(|all| members_of(all.get(QUESTION)).ok()?.text("action"));
        // An `accept` proves nothing; anything else means that the person was not shown the page.
        call.is_declined = answer.as_deref() != Some("accept");
        call.state = round.state.take();
        call.responses = round.responses.take();
        call.round = Some(round);
        Ok(())
    }

    /// What a state of ours is bound to: who asks for what with which arguments.
    pub(super) fn bound_to(&self, method: &str, call: &Call) -> Vec<u8> {
        let arguments = document(&call.arguments)
            .map_or_else(|_| Digest::of(call.arguments.get().as_bytes()), |document| document.digest());
        let user = self.opening.user.as_ref().map_or("", |user| user.as_str());
        let parts = [self.opening.agent.as_str(), user, method, &call.action, &arguments.to_string()];
        parts.join("\n").into_bytes()
    }

    /// The tool's definition as it is offered now. A failure to ask is kept for the client: on record the
    /// tool is not offered.
    pub(super) async fn offered(
        self: &Arc<Self>,
        call: &mut Call,
        upstream: &Upstream,
    ) -> (Option<Digest>, Option<String>) {
        if !call.form.is_tool {
            let bundle = self.gate.bundle();
            if bundle.catalogue().find(&call.action).is_none() {
                // Reading resources and prompts is imported together with the tools.
                drop(self.offer(&call.server, upstream, "").await);
            }
            return (self.listed(call).await, None);
        }
        let (offer, unreachable) = self.offer(&call.server, upstream, &call.tool).await;
        call.form.has_output_schema = offer.is_some_and(|offer| offer.has_output_schema);
        let accepted = self.accepted(&call.server, &call.tool);
        (offer.map(|offer| offer.pins.beside(accepted)), unreachable)
    }

    /// The digest of the address that is read, if its server has listed or returned it.
    async fn listed(self: &Arc<Self>, call: &Call) -> Option<Digest> {
        let uri = members_of(Some(&call.arguments)).ok()?.text("uri")?;
        let may = call.tool == "resources/read" && self.may(&call.action) && self.passes_on().await.is_ok();
        (may && self.has_listed(&call.server, &uri).await).then(|| Digest::of(uri.as_bytes()))
    }

    /// What is proposed to the gate for a call, and in which session.
    pub(super) async fn proposal(
        &self,
        call: &Call,
        wait: Duration,
        cancel: &CancellationToken,
    ) -> Result<(Session, Submission), Refusal> {
        let arguments = call.arguments.get().as_bytes().to_vec();
        let session = self.runs.for_proposal(&self.gate, &self.opening, &call.action, &arguments).await?;
        if self.opening.approve_plan {
            let hold = Duration::from_millis(self.gate.config().approvals.hold_ms);
            tokio::select! {
                answered = self.gate.plan_answered(&session.principal.run, hold) => drop(answered?),
                () = cancel.cancelled() => {}
            }
        }
        let submission = Submission {
            name: call.action.clone(),
            arguments,
            wait,
            offered: call.offered,
            context: self.carry(call, cancel),
            ..Submission::default()
        };
        Ok((session, submission))
    }

    /// What goes along with a call to the server behind.
    pub(super) fn carry(&self, call: &Call, cancel: &CancellationToken) -> CallContext {
        CallContext {
            meta: (!call.meta.0.is_empty()).then(|| call.meta.raw()),
            extra: extra(call),
            session: self.opening.session.clone(),
            cancel: cancel.clone(),
        }
    }

    /// What has no single meaning is refused, and on record like any other proposal.
    pub(super) async fn unread(&self, request: &Request<'_>, why: String) -> Result<RawReply, Refusal> {
        let session = self.runs.current(&self.gate, &self.opening).await?;
        let params = request.params.unwrap_or(RawValue::NULL).get();
        // Whatever name can be made out; the bytes as they came are what is refused.
        let name = serde_json::from_str::<Value>(params).ok();
        let name = name.as_ref().and_then(|params| params.get("name")).and_then(Value::as_str);
        let place = match request.method {
            "tools/call" => names::meant(&self.opening.servers, name.unwrap_or("unread")),
            other => self.opening.servers.first().map(|server| (server.as_str(), other)),
        };
        let (server, tool) = place.unwrap_or(("unread", "unread"));
        let submission = Submission {
            name: names::action(server, tool),
            arguments: params.as_bytes().to_vec(),
            ..Submission::default()
        };
        let answer = self.gate.submit(&session, submission).await?;
        let mut codes = answer.decision.iter().flat_map(|d| &d.findings).map(|f| f.code.as_str());
        let code = codes.find(|code| code.starts_with("json_")).unwrap_or("request_invalid");
        Err(Refusal::coded(INVALID_PARAMS, code, format!("{why}; nothing was executed")))
    }
}

/// What goes along to the server behind, of a call that it had asked to be retried.
fn extra(call: &Call) -> Option<Box<RawValue>> {
    let mut object = ObjectText::new();
    let parts = [("inputResponses", &call.responses), ("requestState", &call.state)];
    for (name, value) in parts {
        if let Some(value) = value {
            object.member(name, value.get());
        }
    }
    (call.responses.is_some() || call.state.is_some()).then(|| raw(object.finish()))
}
