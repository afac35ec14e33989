//! What the model is told about a call that was not simply carried out: what happened, that nothing was
//! executed, whether to try again. Nothing in it helps to get around the policy.

use super::names::PLAN_TOOL;
use super::negotiated::Negotiated;
use super::wire::{NOT_CARRIED_OUT, Refusal, raw_value};
use crate::text::is_hidden;
use aecl_executor::connectors::mcp::RawReply;
use aecl_gate::no::No;
use aecl_kernel::base::id::ActionId;
use aecl_kernel::record::approval::ApprovalRequest;
use serde_json::{Map, Value, json};

/// A call that was not simply carried out.
#[derive(Debug)]
pub(super) struct ToolResult {
    text: String,
    object: Map<String, Value>,
}

/// How to put it, which depends on who asked for what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Form {
    pub way: Negotiated,
    /// Whether the method has results with `isError`.
    pub is_tool: bool,
    /// Whether clients check structured content against a schema, even in an error.
    pub has_output_schema: bool,
}

/// What people are told of the cage where it is weaker than what was asked for.
pub(super) fn held(ask: &ApprovalRequest) -> String {
    match (ask.tier, ask.instead_of) {
        (Some(tier), Some(asked)) => format!(
            " It would run in `{tier}` and not in `{asked}`, which is not available on this machine; the operator accepts that."
        ),
        (Some(_), None) | (None, _) => String::new(),
    }
}

impl ToolResult {
    fn new(status: &'static str, code: &str, action: &ActionId, text: String) -> Self {
        let object = json!({ "status": status, "code": code, "reason": text, "action_id": action });
        let Value::Object(object) = object else { unreachable!("an object was written") };
        Self { text, object }
    }

    /// A person has to say yes first.
    pub(super) fn pending(ask: &ApprovalRequest, url: &str, action: &ActionId, may_plan: bool) -> Self {
        let plan = if may_plan {
            format!(
                " People are asked about call after call here. With the tool `{PLAN_TOOL}` you may put all that is left before \
                 them at once, with the exact values; they can agree to it as a whole."
            )
        } else {
            String::new()
        };
        let text = format!(
            "This call needs a person's approval. Nothing was executed. The request `{id}` is open until {until}; it is answered at {url}. \
             When it is approved, make this call again with exactly the same arguments: it is then carried out, once. \
             Do not change the arguments and do not try to get the same effect in another way. Tell the user that it waits.{held}{plan}",
            held = held(ask),
            id = ask.approval,
            until = ask.expires_at,
        );
        let mut told = Self::new("pending", "approval_pending", action, text);
        told.object.insert("approval_id".into(), json!(ask.approval));
        told.object.insert("url".into(), url.into());
        told.object.insert("expires_at".into(), ask.expires_at.to_string().into());
        told
    }

    /// It was refused.
    pub(super) fn blocked(code: &str, message: &str, action: &ActionId) -> Self {
        if code == "approval_rejected" {
            return Self::rejected(message, action);
        }
        let (status, why, next) = match code {
            // What is wrong with the call itself helps to make a right one, and says nothing about policy.
            "arguments_invalid"
            | "arguments_not_object"
            | "amount_invalid"
            | "destination_invalid"
            | "json_invalid"
            | "json_duplicate_key"
            | "json_number"
            | "json_too_large"
            | "json_too_deep" => ("blocked", message.to_owned(), "Correct the arguments."),
            "action_unknown" => ("blocked", "there is no such tool".into(), "Do not call it again."),
            "tool_new" => (
                "blocked",
                "the tool came to its server later; a person has to review it first".into(),
                "Do not call it again before that. Tell the user if you need it.",
            ),
            "tool_changed" => (
                "blocked",
                "the tool's definition is not the one that was accepted; a person has to review it".into(),
                "Do not call it again before that.",
            ),
            "approval_expired" => {
                ("expired", message.to_owned(), "Ask the user before you propose it again.")
            }
            "sandbox_unavailable" | "sandbox_unenforceable" => (
                "blocked",
                "this machine cannot hold the program as safely as the policy asks".into(),
                "Do not try to run it in another way. Tell the user.",
            ),
            "killed" => ("blocked", "a person has stopped this agent".into(), "Stop."),
            "rate_limited" | "too_many_at_once" => {
                ("blocked", "there were too many calls".into(), "Wait a while before you call again.")
            }
            "budget_exceeded" | "calls_exhausted" => {
                ("blocked", "the budget for such calls is used up".into(), "Do not call it again.")
            }
            "breaker_open" => (
                "blocked",
                "the same call has failed too often".into(),
                "Do not call it again with these arguments.",
            ),
            "token_expired" | "token_invalid" | "token_revoked" | "token_foreign" | "run_closed"
            | "run_expired" | "run_unknown" => (
                "blocked",
                "the run in which it was proposed has ended".into(),
                "A new run has to be opened.",
            ),
            _ => ("blocked", "it is not permitted".into(), "Do not try it again or in another way."),
        };
        let why = why.trim_end_matches('.');
        Self::new(status, code, action, format!("This call was refused: {why}. Nothing was executed. {next}"))
    }

    /// A person has said no. The reason is theirs, so it stands as a quotation; it is for the model to act on.
    fn rejected(message: &str, action: &ActionId) -> Self {
        let no = No::read(message);
        let who = no.as_ref().map_or(String::new(), |no| format!(" ({})", quotable(no.person)));
        let reason = no.map(|no| quotable(no.reason)).filter(|reason| !reason.is_empty());
        let why = reason.as_ref().map_or(" to exactly this".to_owned(), |reason| format!(": «{reason}»"));
        let text = format!(
            "A person{who} said no{why}. Nothing was executed. Do not propose exactly this again, and do not try to get the same effect in another way{}.",
            if reason.is_some() { ", unless these words ask for it" } else { "" }
        );
        let mut told = Self::new("rejected", "approval_rejected", action, text);
        if let Some(reason) = reason {
            told.object.insert("said".into(), reason.into());
        }
        told
    }

    /// It went wrong before anything was sent.
    pub(super) fn failed(code: &str, message: &str, action: &ActionId) -> Self {
        let text = match code {
            "tool_error" | "upstream_error" | "input_required" => {
                format!("{message}; its answer is too long to be handed on.")
            }
            _ => format!("This call failed: {message}. You may call it again later."),
        };
        Self::new("failed", code, action, text)
    }

    /// It was begun for another call with the same key.
    pub(super) fn underway(action: &ActionId) -> Self {
        let text = "The identical call is underway, and how it ends is not known yet. Do not call it anew; wait, then look.";
        Self::new("started", "underway", action, text.to_owned())
    }

    /// Nobody knows what happened.
    pub(super) fn unknown(code: &str, message: &str, is_harmless: bool, action: &ActionId) -> Self {
        let next = if is_harmless {
            "It only reads, so it may be called again."
        } else {
            "It may have happened. Do not call it again: a person has to find out first. Tell the user."
        };
        let text = format!("It is not known how this call ended: {}. {next}", message.trim_end_matches('.'));
        Self::new("unknown", code, action, text)
    }

    /// As the client gets it: a result that says that it is an error, or a JSON-RPC error where the method
    /// has no such result.
    pub(super) fn reply(self, form: Form) -> RawReply {
        let object = Value::Object(self.object);
        if !form.is_tool {
            let mut refusal = Refusal::new(NOT_CARRIED_OUT, self.text);
            refusal.data = Some(json!({ "aecl": object }));
            return refusal.reply();
        }
        let mut result = json!({
            "content": [{ "type": "text", "text": self.text }],
            "isError": true,
            "_meta": { "aecl": object },
        });
        if let Value::Object(result) = &mut result {
            // Some clients check structured content against the tool's schema even in an error, and would
            // then throw the text away.
            if !form.has_output_schema {
                result.insert("structuredContent".into(), json!({ "aecl": object }));
            }
            if form.way == Negotiated::Modern {
                result.insert("resultType".into(), "complete".into());
            }
        }
        RawReply::Result(raw_value(&result))
    }
}

/// Longest reason that is passed on, in characters.
const SAID_MAX: usize = 2_000;

/// A person's words on one line, without what steers a terminal, turns the reading direction or ends the quotation.
fn quotable(words: &str) -> String {
    let clean: String = words
        .chars()
        .map(|c| if c.is_whitespace() { ' ' } else { c })
        .filter(|c| !c.is_control() && !is_hidden(*c))
        .map(|c| match c {
            '«' | '»' => '"',
            c => c,
        })
        .take(SAID_MAX)
        .collect();
    clean.split_whitespace().collect::<Vec<_>>().join(" ").trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_refusal_helps_with_arguments_and_not_with_policy() {
        let action = ActionId::new("act_1").unwrap();
        let told = ToolResult::blocked("arguments_invalid", "`/path`: 7 is no string", &action);
        assert!(told.text.contains("`/path`: 7 is no string. Nothing was executed."), "{}", told.text);
        for code in
            ["policy_forbids", "risk_above_threshold", "budget_exceeded", "action_unknown", "new_code"]
        {
            let told = ToolResult::blocked(code, "limit is 100.00 EUR; did you mean `secret`?", &action);
            assert!(!told.text.contains("100.00") && !told.text.contains("secret"), "{}", told.text);
            assert!(told.text.contains("Nothing was executed"));
        }
    }

    #[test]
    fn a_no_is_told_as_a_persons_words() {
        let action = ActionId::new("act_1").unwrap();
        let told = ToolResult::blocked(
            "approval_rejected",
            "`priya` said no: use the \u{1b}[31mother\u{202e} folder.\n»x«",
            &action,
        );
        assert!(
            told.text.starts_with(
                "A person (priya) said no: «use the [31mother folder. \"x\"». Nothing was executed."
            ),
            "{}",
            told.text
        );
        let told = ToolResult::blocked("approval_rejected", "`priya` said no", &action);
        assert!(told.text.starts_with("A person (priya) said no to exactly this. Nothing"), "{}", told.text);
        let told = ToolResult::blocked("approval_rejected", "something else", &action);
        assert!(told.text.starts_with("A person said no to exactly this. Nothing"), "{}", told.text);
    }
}
