//! The tool of ours by which an agent proposes a plan: listed beside the servers' tools once its run has asked people, and
//! answered by the gate. It acts on nothing; people decide, and each step is a call that is judged like any other.

use super::client_session::{ClientSession, Request};
use super::list_page::{items, replaced};
use super::names::{self, PLAN_TOOL};
use super::negotiated::Negotiated;
use super::wire::{Members, Refusal, asking, document, members_of, raw_value};
use aecl_executor::connectors::mcp::RawReply;
use aecl_gate::GateError;
use aecl_gate::proposed::PlanStanding;
use aecl_kernel::record::approval::ApprovalState;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// How the tool is described to the model.
const SAYS: &str = "Proposes a plan to the people who approve this agent's calls: all calls that are still needed, in order, \
with their exact values. They see where each value comes from and answer once. After a yes make these calls, exactly as they \
stand and in this order; other calls are asked about as before. Call it again with the same steps to learn the answer.";

/// The definition as clients list it. Its schema is closed.
fn definition() -> Value {
    let constraint = json!({
        "type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": false,
        "description": "What the argument may be: exactly one of these three.",
        "properties": {"equals": {}, "one_of": {"type": "array", "minItems": 1}, "at_most": {"type": "number"}},
    });
    let step = json!({
        "type": "object", "required": ["action"], "additionalProperties": false,
        "properties": {
            "action": {"type": "string", "description": "The name of the tool."},
            "arguments": {
                "type": "object", "additionalProperties": constraint,
                "description": "By JSON pointer into the tool's arguments, such as `/to`.",
            },
            "times": {"type": "integer", "minimum": 1, "description": "How often at most; 1 if left out."},
        },
    });
    json!({
        "name": PLAN_TOOL, "title": "Propose a plan", "description": SAYS,
        "inputSchema": {
            "type": "object", "required": ["steps"], "additionalProperties": false,
            "properties": {"steps": {"type": "array", "minItems": 1, "maxItems": 64, "items": step}},
        },
    })
}

impl ClientSession {
    /// The list with the tool of ours at its end, where it is of use: the run of this client has asked people.
    pub(super) async fn with_plan_tool(
        &self,
        request: &Request<'_>,
        reply: RawReply,
    ) -> Result<RawReply, Refusal> {
        let RawReply::Result(result) = reply else { return Ok(reply) };
        let goes_on = members_of(request.params).ok().and_then(|mut params| params.take("cursor"));
        let first = goes_on.is_none_or(|cursor| cursor.get() == "null");
        if request.method != "tools/list" || !first || !self.is_of_use().await? {
            return Ok(RawReply::Result(result));
        }
        let listed = items(&result, "tools")?;
        let mut tools: Vec<Box<RawValue>> = listed.into_iter().map(ToOwned::to_owned).collect();
        tools.push(raw_value(&definition()));
        Ok(RawReply::Result(replaced(&result, "tools", &tools)?))
    }

    async fn is_of_use(&self) -> Result<bool, GateError> {
        match self.runs.known(&self.gate, &self.opening).await? {
            Some(session) => Ok(self.gate.run_now(&session.principal.run).await?.questions > 0),
            None => Ok(false),
        }
    }

    /// Tells a client of the older era that its list has the tool of ours now.
    pub(super) async fn offers_plan_now(&self) {
        if *self.negotiated.lock().await == Some(Negotiated::Legacy) {
            self.say(&asking(None, "notifications/tools/list_changed", None));
        }
    }

    /// Puts a plan before people, and says what they have answered by the end of the hold.
    pub(super) async fn propose_plan(
        self: &Arc<Self>,
        request: &Request<'_>,
        params: &Members,
        way: Negotiated,
    ) -> Result<RawReply, Refusal> {
        let plan = match self.plan_of(params.get("arguments")) {
            Ok(plan) => plan,
            Err(why) => return Ok(refused("request_invalid", &why, way)),
        };
        let session = self.runs.current(&self.gate, &self.opening).await?;
        if let Err(error) = self.gate.propose_plan(&session, &plan).await {
            return Ok(refused(error.code().as_str(), &error.to_string(), way));
        }
        let run = &session.principal.run;
        let hold = Duration::from_millis(self.gate.config().approvals.hold_ms);
        let standing = tokio::select! {
            standing = self.gate.plan_standing(run, hold) => standing?,
            () = request.cancel.cancelled() => self.gate.plan_standing(run, Duration::ZERO).await?,
        };
        Ok(match standing {
            Some(standing) => told(&standing, &self.page_of(&standing.ask), way),
            None => refused("record_unknown", "no plan was proposed", way),
        })
    }

    /// The plan with the names that the catalogue has. A tool is named as the client knows it, or as the catalogue does.
    fn plan_of(&self, arguments: Option<&RawValue>) -> Result<Value, String> {
        let arguments = arguments.ok_or("`arguments` are missing; they have `steps`")?;
        let document = document(arguments).map_err(|error| error.to_string())?;
        let mut plan = document.value().clone();
        let map = plan.as_object_mut().ok_or("`arguments` are no object; they have `steps`")?;
        if let Some(other) = map.keys().find(|name| *name != "steps") {
            let other: String = other.chars().filter(|c| !c.is_control()).take(80).collect();
            return Err(format!("`{other}` is not listed by this tool's schema, which lists `steps`"));
        }
        let bundle = self.gate.bundle();
        for step in map.get_mut("steps").and_then(Value::as_array_mut).into_iter().flatten() {
            let Some(action) = step.get_mut("action") else { continue };
            let Some(name) = action.as_str().filter(|name| bundle.catalogue().find(name).is_none()) else {
                continue;
            };
            if let Some((server, tool)) = names::meant(&self.opening.servers, name) {
                *action = names::action(server, tool).into();
            }
        }
        Ok(plan)
    }
}

/// Where the plan stands, for the model and for programs.
fn told(standing: &PlanStanding, url: &str, way: Negotiated) -> RawReply {
    let steps = standing.steps.iter().enumerate().map(|(i, (step, asks))| {
        json!({
            "number": i + 1, "action": step.action, "times": step.times,
            "asks": asks.iter().map(|code| code.as_str()).collect::<Vec<_>>(),
        })
    });
    let ask = &standing.ask;
    let object = json!({
        "status": standing.state.name(), "approval_id": ask.approval, "url": url,
        "expires_at": ask.expires_at.to_string(), "reason": standing.message, "steps": steps.collect::<Vec<_>>(),
    });
    let waits = match standing.state {
        ApprovalState::Pending => {
            format!(
                " The request `{}` is answered at {url}. Call this again with the same steps to learn the answer.",
                ask.approval
            )
        }
        ApprovalState::Approved
        | ApprovalState::Rejected
        | ApprovalState::Expired
        | ApprovalState::Used
        | ApprovalState::Withdrawn => String::new(),
    };
    let text = format!("The plan is {}: {}.{waits}", standing.state.name(), standing.message);
    let good = matches!(standing.state, ApprovalState::Pending | ApprovalState::Approved);
    result(&text, &object, !good, way)
}

fn refused(code: &str, why: &str, way: Negotiated) -> RawReply {
    let text =
        format!("The plan was put before nobody: {}. Nothing was executed.", why.trim_end_matches('.'));
    result(&text, &json!({ "status": "blocked", "code": code, "reason": text }), true, way)
}

fn result(text: &str, object: &Value, is_error: bool, way: Negotiated) -> RawReply {
    let mut result = json!({
        "content": [{ "type": "text", "text": text }], "isError": is_error,
        "structuredContent": { "aecl": object }, "_meta": { "aecl": object },
    });
    if let (Negotiated::Modern, Some(result)) = (way, result.as_object_mut()) {
        result.insert("resultType".into(), "complete".into());
    }
    RawReply::Result(raw_value(&result))
}
