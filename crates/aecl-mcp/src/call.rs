//! What acts: proposed to the gate, held while people decide, and answered in the server's own bytes.

use super::answer::{Form, Told, held};
use super::client_session::{ClientSession, Negotiated, Phase, Request};
use super::greeting::{state_capabilities, stated};
use super::listing::with_privacy;
use super::names;
use super::relay::empty;
use super::seal::{self, Round};
use super::tasks;
use super::wire::{INTERNAL_ERROR, INVALID_PARAMS, Members, Refusal, document, members_of, raw, raw_value};
use aecl_executor::CallContext;
use aecl_executor::connectors::mcp::{ObjectText, RawReply, Upstream};
use aecl_gate::Session;
use aecl_gate::submit::{Answer, End, Submission};
use aecl_kernel::base::digest::Digest;
use aecl_kernel::define::catalogue::Idempotency;
use aecl_kernel::record::approval::{Ask, AskState};
use aecl_kernel::record::event::OutcomeKind;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How often one held call asks the client to show the approval page. Clients give up after ten rounds.
const ROUNDS_MAX: u32 = 3;
/// By which method the client asks what could be typed.
const COMPLETION: &str = "completion/complete";
/// Under which key the client answers.
pub(super) const QUESTION: &str = "aecl_approval";

/// A proposal of the client, read no deeper than needed to know what it is.
pub(super) struct Call {
    server: String,
    /// The tool's own name; the method's, where it is no tool.
    tool: String,
    pub(super) action: String,
    arguments: Box<RawValue>,
    pub(super) meta: Members,
    /// `requestState` and `inputResponses` for the server behind.
    state: Option<Box<RawValue>>,
    responses: Option<Box<RawValue>>,
    /// What we remember from the rounds before.
    round: Option<Round>,
    /// The client has said that its person does not want to be asked.
    is_declined: bool,
    /// The client wants it as a task, and how.
    task: Option<Box<RawValue>>,
    /// The client of the stateless era takes a task for an answer.
    takes_tasks: bool,
    /// The tool's definition as its server offers it now.
    offered: Option<Digest>,
    form: Form,
}

impl ClientSession {
    /// Proposes what the client wants done, and says what came of it.
    pub(super) async fn act(self: &Arc<Self>, request: &Request<'_>) -> Result<RawReply, Refusal> {
        let params = match members_of(request.params) {
            Ok(params) => params,
            Err(why) => return self.unread(request, why).await,
        };
        let meta = match members_of(params.get("_meta")) {
            Ok(meta) => meta,
            Err(why) => return self.unread(request, format!("`_meta`: {why}")).await,
        };
        let way = self.ready(&meta).await?;
        if request.method == COMPLETION {
            self.refuse_way_home(request).await?;
            self.passes_on().await?;
            self.completes().await?;
        }
        let mut call = self.read(request.method, params, meta, way)?;
        let mut unreachable = None;
        // Of a server of which the agent may use nothing not even the definition is asked for; that it tried is judged.
        if let Some(upstream) = self.upstream(&call.server) {
            (call.offered, unreachable) = self.offered(&mut call, &upstream).await;
        }
        if let Some(wanted) = call.task.take() {
            return self.begin_task(call, &wanted, unreachable);
        }
        let theirs = call.meta.get("progressToken").map(ToOwned::to_owned);
        let token = self.stand_in(&mut call.meta, request.out);
        let hold = Duration::from_millis(self.gate.config().approvals.hold_ms);
        let (session, submission) = self.proposal(&call, hold, &request.cancel).await?;
        self.goes_to(request, &call.server);
        self.comes_to(request.number, Phase::Proposed);
        let (tell, told) = watch::channel(None);
        let held = |ask: &Ask| {
            self.comes_to(request.number, Phase::Held(ask.approval.clone()));
            drop(tell.send_replace(Some(ask.clone())));
        };
        let walk = self.gate.submit_watched(&session, submission, &held);
        let answer = tokio::select! {
            answer = walk => answer?,
            // Ends only when the walk does: it keeps the channel open.
            never = self.show_waiting(request, theirs.as_deref(), told) => match never {},
        };
        self.in_order(&call.server).await;
        drop(token);
        if call.form.is_tool && matches!(answer.end, End::Concluded { replayed: false, .. }) {
            self.was_agreed_to(&call.server, &call.tool).await;
        }
        if let (End::Pending(ask), true, false) =
            (&answer.end, call.takes_tasks, request.cancel.is_cancelled())
        {
            let ask = ask.clone();
            return Ok(match self.go_on_as_task(call, answer, &ask) {
                Ok(seed) => seed,
                Err(too_many) => self.put(&too_many.0, too_many.1, None),
            });
        }
        Ok(self.put(&call, answer, unreachable.as_deref()))
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
    async fn unread(&self, request: &Request<'_>, why: String) -> Result<RawReply, Refusal> {
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

    fn read(&self, method: &str, params: Members, meta: Members, way: Negotiated) -> Result<Call, Refusal> {
        let wrong = |why: &str| Refusal::new(INVALID_PARAMS, why);
        let mut params = params;
        params.take("_meta");
        let (state, responses) = (params.take("requestState"), params.take("inputResponses"));
        let is_tool = method == "tools/call";
        let mut meta = meta;
        let takes_tasks = is_tool && way == Negotiated::Modern && tasks::knows_tasks(&meta);
        let behind = stated(&meta, "clientCapabilities").and_then(tasks::without_tasks);
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
                    let arguments = params.take("arguments").unwrap_or_else(empty);
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
    fn bound_to(&self, method: &str, call: &Call) -> Vec<u8> {
        let arguments = document(&call.arguments)
            .map_or_else(|_| Digest::of(call.arguments.get().as_bytes()), |document| document.digest());
        let user = self.opening.user.as_ref().map_or("", |user| user.as_str());
        let parts = [self.opening.agent.as_str(), user, method, &call.action, &arguments.to_string()];
        parts.join("\n").into_bytes()
    }

    /// The tool's definition as it is offered now. A failure to ask is kept for the client: on record the
    /// tool is not offered.
    async fn offered(
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

    /// Tells the client, again and again, that its call waits for people. Never ends by itself.
    async fn show_waiting(
        &self,
        request: &Request<'_>,
        token: Option<&RawValue>,
        mut held: watch::Receiver<Option<Ask>>,
    ) -> std::convert::Infallible {
        let config = self.gate.config();
        let mut ticks = tokio::time::interval(Duration::from_millis(config.approvals.progress_ms.max(100)));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (Some(token), Ok(_)) = (token, held.wait_for(Option::is_some).await) else {
            return std::future::pending().await;
        };
        let Some(ask) = held.borrow().clone() else { return std::future::pending().await };
        let message = self.waiting_for(&ask);
        for tick in 1u32.. {
            ticks.tick().await;
            // Small steps: what the server itself reports later must be more.
            let params = format!(
                r#"{{"progressToken":{},"progress":{},"message":{}}}"#,
                token.get(),
                f64::from(tick) / 1_000_000.0,
                Value::from(message.as_str())
            );
            let note = super::wire::asking(None, "notifications/progress", Some(&raw(params)));
            let asked = self.gate.ledger().approval(&ask.approval).await;
            if !asked.ok().flatten().is_some_and(|ask| ask.state == AskState::Pending) {
                break;
            }
            request.out.send(note).await;
        }
        std::future::pending().await
    }

    /// In a line, for whoever looks at a call that waits.
    pub(super) fn waiting_for(&self, ask: &Ask) -> String {
        let groups: Vec<&str> =
            ask.need.requirements.iter().flat_map(|r| r.groups.iter().map(String::as_str)).collect();
        format!("waiting for approval {} by {}: {}", ask.approval, groups.join(", "), self.page_of(ask))
    }

    fn page_of(&self, ask: &Ask) -> String {
        format!("{}/approvals/{}", self.gate.config().url(), ask.approval)
    }

    /// The answer as the client gets it.
    pub(super) fn put(&self, call: &Call, answer: Answer, unreachable: Option<&str>) -> RawReply {
        let action = answer.action;
        match answer.end {
            End::Pending(ask) => self
                .ask_client(call, &ask)
                .unwrap_or_else(|| Told::pending(&ask, &self.page_of(&ask), &action).reply(call.form)),
            // The model has to read it to do better; an error of the protocol stays with its client.
            End::Blocked { code, message } if code.starts_with("json_") && !call.form.is_tool => {
                Refusal::coded(INVALID_PARAMS, code, format!("{message}; nothing was executed")).reply()
            }
            End::Blocked { code: "arguments_invalid", message } => {
                let message =
                    self.unlisted(call).map_or(message.clone(), |unlisted| format!("{unlisted}; {message}"));
                Told::blocked("arguments_invalid", &message, &action).reply(call.form)
            }
            End::Blocked { code: "tool_changed", .. } if unreachable.is_some() => {
                let why = unreachable.unwrap_or_default();
                Told::failed("upstream_not_connected", why, &action).reply(call.form)
            }
            End::Blocked { code, message } => Told::blocked(code, &message, &action).reply(call.form),
            End::Concluded { outcome, code, message, output, .. } => {
                let output = output.and_then(|bytes| String::from_utf8(bytes).ok());
                let output = output.and_then(|text| RawValue::from_string(text).ok());
                let code = code.unwrap_or_default();
                match (outcome, output) {
                    (OutcomeKind::Done, Some(output)) => RawReply::Result(self.for_one(call, output)),
                    (OutcomeKind::Failed, Some(output)) if code == "upstream_error" => {
                        RawReply::Error(output)
                    }
                    (OutcomeKind::Failed, Some(output)) => RawReply::Result(output),
                    (OutcomeKind::Done, None) => {
                        let why = "it was done, but its answer is not kept any more";
                        Told::failed("output_gone", why, &action).reply(call.form)
                    }
                    (OutcomeKind::Failed, None) => Told::failed(&code, &message, &action).reply(call.form),
                    (OutcomeKind::Unknown, _) => {
                        let harmless = self
                            .gate
                            .bundle()
                            .catalogue()
                            .find(&call.action)
                            .is_some_and(|typed| typed.manifest.idempotency == Idempotency::Pure);
                        Told::unknown(&code, &message, harmless, &action).reply(call.form)
                    }
                }
            }
            // Neither is asked for here.
            End::Permitted { .. } | End::Asked { .. } => {
                Refusal::new(INTERNAL_ERROR, "the gate gave an answer to another question").reply()
            }
        }
    }

    /// What was read under a permit is for whom it was given to: no cache may keep it for others.
    fn for_one(&self, call: &Call, output: Box<RawValue>) -> Box<RawValue> {
        let read = call.tool == "resources/read" && !call.form.is_tool && call.form.way == Negotiated::Modern;
        if read { with_privacy(output, Negotiated::Modern) } else { output }
    }

    /// Which arguments the tool's schema does not list, if it lists some and takes no others.
    fn unlisted(&self, call: &Call) -> Option<String> {
        let bundle = self.gate.bundle();
        let schema = &bundle.catalogue().find(&call.action)?.schema;
        let closed = ["additionalProperties", "unevaluatedProperties"].iter();
        let closed = closed.filter_map(|key| schema.get(*key)).any(|value| *value == Value::Bool(false));
        // Other members of the schema may list fields as well; then its own message has to do.
        let other =
            ["patternProperties", "allOf", "anyOf", "oneOf", "$ref", "$dynamicRef", "if", "dependentSchemas"];
        if !closed || other.iter().any(|key| schema.get(*key).is_some()) {
            return None;
        }
        let listed = schema.get("properties").and_then(Value::as_object);
        let given = members_of(Some(&call.arguments)).ok()?;
        let unlisted: Vec<String> = given
            .0
            .iter()
            .filter(|(name, _)| !listed.is_some_and(|listed| listed.contains_key(name)))
            .take(8)
            .map(|(name, _)| {
                format!("`{}`", name.chars().filter(|c| !c.is_control()).take(80).collect::<String>())
            })
            .collect();
        let (names, verb) = match unlisted.len() {
            0 => return None,
            1 => (unlisted.concat(), "is"),
            _ => (unlisted.join(", "), "are"),
        };
        let lists: Vec<&str> = listed.into_iter().flatten().map(|(name, _)| name.as_str()).take(32).collect();
        let lists =
            if lists.is_empty() { "no arguments".to_owned() } else { format!("`{}`", lists.join("`, `")) };
        Some(format!("{names} {verb} not listed by this tool's schema, which lists {lists}"))
    }

    /// Where the client can show a page to its person, it is asked to, a few times. Its answer is never
    /// taken for a yes: it only brings the call back.
    fn ask_client(&self, call: &Call, ask: &Ask) -> Option<RawReply> {
        let before = call.round.as_ref().filter(|round| round.approval == ask.approval.as_str());
        let round = before.map_or(0, |round| round.round) + 1;
        if !self.can_show_page(call) || call.is_declined || round > ROUNDS_MAX {
            return None;
        }
        let remembered = Round {
            approval: ask.approval.to_string(),
            round,
            state: call.state.clone(),
            responses: call.responses.clone(),
        };
        let method = if call.form.is_tool { "tools/call" } else { call.tool.as_str() };
        let ttl_ms = u64::try_from(ask.expires_at.0.saturating_sub(self.gate.now().0)).unwrap_or(0);
        let state = seal::seal(&remembered, &self.bound_to(method, call), Duration::from_millis(ttl_ms))?;
        let result = json!({
            "resultType": "input_required",
            "inputRequests": { QUESTION: self.page_question(&call.action, ask) },
            "requestState": state,
        });
        Some(RawReply::Result(raw_value(&result)))
    }

    /// Whether the client can show a page to its person.
    pub(super) fn can_show_page(&self, call: &Call) -> bool {
        let said = stated(&call.meta, "clientCapabilities");
        let said = said.and_then(|said| serde_json::from_str::<Value>(said.get()).ok());
        call.form.way == Negotiated::Modern
            && said.is_some_and(|said| said.pointer("/elicitation/url").is_some_and(Value::is_object))
    }

    /// Asks the client to show the page on which people answer.
    pub(super) fn page_question(&self, action: &str, ask: &Ask) -> Value {
        let message = format!(
            "`{action}` waits for a person's approval. Open the page to see what exactly would happen and to answer.{}",
            held(ask)
        );
        json!({
            "method": "elicitation/create",
            "params": { "mode": "url", "message": message, "url": self.page_of(ask) },
        })
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
