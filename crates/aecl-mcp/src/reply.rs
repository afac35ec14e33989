//! What a client is answered, once the gate has answered, and what it is asked while people are.

use super::answer::{ToolResult, held};
use super::client_session::ClientSession;
use super::list_page::with_privacy;
use super::meta::stated;
use super::negotiated::Negotiated;
use super::proposal::{Call, QUESTION};
use super::seal::{self, Round};
use super::wire::{INTERNAL_ERROR, INVALID_PARAMS, Refusal, members_of, raw_value};
use aecl_executor::connectors::mcp::RawReply;
use aecl_gate::submit::{Answer, End};
use aecl_kernel::base::code;
use aecl_kernel::define::catalogue::Idempotency;
use aecl_kernel::record::approval::ApprovalRequest;
use aecl_kernel::record::event::OutcomeKind;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::time::Duration;

/// How often one held call asks the client to show the approval page. Clients give up after ten rounds.
const ROUNDS_MAX: u32 = 3;

impl ClientSession {
    /// The answer as the client gets it.
    pub(super) fn put(&self, call: &Call, answer: Answer, unreachable: Option<&str>) -> RawReply {
        let action = answer.action;
        match answer.end {
            End::Pending(ask) => self.ask_client(call, &ask).unwrap_or_else(|| {
                ToolResult::pending(&ask, &self.page_of(&ask), &action, call.may_plan).reply(call.form)
            }),
            // The model has to read it to do better; an error of the protocol stays with its client.
            End::Blocked { code, message } if code.starts_with("json_") && !call.form.is_tool => {
                Refusal::coded(INVALID_PARAMS, code, format!("{message}; nothing was executed")).reply()
            }
            End::Blocked { code: "arguments_invalid", message } => {
                let message =
                    self.unlisted(call).map_or(message.clone(), |unlisted| format!("{unlisted}; {message}"));
                ToolResult::blocked("arguments_invalid", &message, &action).reply(call.form)
            }
            End::Blocked { code: "tool_changed", .. } if unreachable.is_some() => {
                let why = unreachable.unwrap_or_default();
                ToolResult::failed("upstream_not_connected", why, &action).reply(call.form)
            }
            End::Blocked { code: "action_unknown", message }
                if call.form.is_tool && self.is_new(&call.server, &call.tool) =>
            {
                ToolResult::blocked(code::TOOL_NEW.as_str(), &message, &action).reply(call.form)
            }
            End::Blocked { code, message } => ToolResult::blocked(code, &message, &action).reply(call.form),
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
                        ToolResult::failed("output_gone", why, &action).reply(call.form)
                    }
                    (OutcomeKind::Failed, None) => {
                        ToolResult::failed(&code, &message, &action).reply(call.form)
                    }
                    (OutcomeKind::Unknown, _) => {
                        let harmless =
                            self.gate.bundle().catalogue().find(&call.action).is_some_and(|typed| {
                                typed.variants().all(|v| v.manifest.idempotency == Idempotency::Pure)
                            });
                        ToolResult::unknown(&code, &message, harmless, &action).reply(call.form)
                    }
                }
            }
            End::Underway => ToolResult::underway(&action).reply(call.form),
            // Neither is asked for here.
            End::Permitted { .. } | End::Asked { .. } => {
                Refusal::new(INTERNAL_ERROR, "the gate gave an answer to another question").reply()
            }
        }
    }

    /// Where the client can show a page to its person, it is asked to, a few times. Its answer is never
    /// taken for a yes: it only brings the call back.
    fn ask_client(&self, call: &Call, ask: &ApprovalRequest) -> Option<RawReply> {
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

    /// Whether the client can show a page to its person.
    pub(super) fn can_show_page(&self, call: &Call) -> bool {
        let said = stated(&call.meta, "clientCapabilities");
        let said = said.and_then(|said| serde_json::from_str::<Value>(said.get()).ok());
        call.form.way == Negotiated::Modern
            && said.is_some_and(|said| said.pointer("/elicitation/url").is_some_and(Value::is_object))
    }

    /// Asks the client to show the page on which people answer.
    pub(super) fn page_question(&self, action: &str, ask: &ApprovalRequest) -> Value {
        let message = format!(
            "`{action}` waits for a person's approval. Open the page to see what exactly would happen and to answer.{}",
            held(ask)
        );
        json!({
            "method": "elicitation/create",
            "params": { "mode": "url", "message": message, "url": self.page_of(ask) },
        })
    }

    /// In a line, for whoever looks at a call that waits.
    pub(super) fn waiting_for(&self, ask: &ApprovalRequest) -> String {
        let groups: Vec<&str> =
            ask.need.requirements.iter().flat_map(|r| r.groups.iter().map(String::as_str)).collect();
        format!("waiting for approval {} by {}: {}", ask.approval, groups.join(", "), self.page_of(ask))
    }

    pub(super) fn page_of(&self, ask: &ApprovalRequest) -> String {
        format!("{}/approvals/{}", self.gate.config().url(), ask.approval)
    }
}
