//! The dialects of clients: what their events look like, and how a tool is refused so that none of them uses it.
//!
//! **Invariant:** what is not understood of a tool that is about to be used is an error, and an error refuses.

use super::event::{Answer, Call, Ending, Event, Kind};
use crate::cli::wrap::Client;
use aecl_kernel::base::json::{Document, Limits};
use serde_json::{Map, Value, json};
use std::path::PathBuf;

/// Client whose hook this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Dialect {
    /// Claude Code.
    Claude,
    /// Codex CLI.
    Codex,
    /// Gemini CLI.
    Gemini,
    /// GitHub Copilot CLI.
    Copilot,
}

impl Dialect {
    /// The name as on the command line.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Claude => "claude",
            Self::Codex => "codex",
            Self::Gemini => "gemini",
            Self::Copilot => "copilot",
        }
    }

    /// The same client, as the one whose servers are in its files.
    pub(super) fn client(self) -> Client {
        match self {
            Self::Claude => Client::Claude,
            Self::Codex => Client::Codex,
            Self::Gemini => Client::Gemini,
            Self::Copilot => Client::Copilot,
        }
    }

    /// Names of the events before a tool and after it, in that order.
    pub(super) fn events(self) -> [&'static str; 2] {
        match self {
            Self::Claude | Self::Codex => ["PreToolUse", "PostToolUse"],
            Self::Gemini => ["BeforeTool", "AfterTool"],
            Self::Copilot => ["preToolUse", "postToolUse"],
        }
    }

    /// Whether an event is about to use a tool, or may be: then nothing but an answer lets it.
    pub(super) fn guards(self, input: &Value) -> bool {
        let name = input.get("hook_event_name").and_then(Value::as_str);
        let known =
            [self.events()[1], "PostToolUseFailure", "UserPromptSubmit", "BeforeAgent", "SessionStart"];
        let of_copilot = ["postToolUseFailure", "userPromptSubmitted", "sessionStart", "sessionEnd"];
        let known = [&known[..], &["SessionEnd", "Stop"], &of_copilot].concat();
        name.is_none_or(|name| !known.contains(&name))
    }

    /// What the client says.
    pub(super) fn read(self, input: &Value) -> Result<Event, String> {
        let of = &self.in_common_words(input.as_object().ok_or("it is no object")?)?;
        let name = text(of, "hook_event_name")?;
        let [before, after] = self.events();
        let kind = match name {
            _ if name == before => Kind::Before(self.call(of)?),
            _ if name == after => Kind::After(self.call(of)?, ending(of)),
            "PostToolUseFailure" | "postToolUseFailure" if matches!(self, Self::Claude | Self::Copilot) => {
                let said = of.get("error").and_then(Value::as_str).unwrap_or_default().to_owned();
                let is_cut = of.get("is_interrupt") == Some(&Value::Bool(true));
                let ending = if is_cut { Ending::Interrupted(said) } else { Ending::Failed(said) };
                Kind::After(self.call(of)?, ending)
            }
            "UserPromptSubmit" | "BeforeAgent" | "userPromptSubmitted" => {
                Kind::Prompt(text(of, "prompt")?.to_owned())
            }
            "PreToolUse" | "BeforeTool" | "preToolUse" => {
                return Err(format!("`{name}` is an event of another client"));
            }
            _ => Kind::Other,
        };
        let (session, cwd) = (text(of, "session_id")?.to_owned(), PathBuf::from(text(of, "cwd")?));
        if !cwd.is_absolute() {
            return Err(format!("`cwd` is `{}`, which is no absolute path", cwd.display()));
        }
        Ok(Event { session, cwd, kind })
    }

    /// An event under the names that most clients use.
    fn in_common_words(self, of: &Map<String, Value>) -> Result<Map<String, Value>, String> {
        if self != Self::Copilot {
            return Ok(of.clone());
        }
        let common = |name: &str| match name {
            "sessionId" => "session_id".to_owned(),
            "toolName" => "tool_name".to_owned(),
            "toolArgs" => "tool_input".to_owned(),
            "toolResult" => "tool_response".to_owned(),
            other => other.to_owned(),
        };
        let mut said: Map<String, Value> =
            of.iter().map(|(name, value)| (common(name), value.clone())).collect();
        // Some versions write the arguments as text.
        if let Some(Value::String(text)) = said.get("tool_input") {
            let limits = Limits { bytes_max: text.len(), values_max: 1_000_000, ..Limits::default() };
            let read = Document::read(text.as_bytes(), &limits)
                .map_err(|e| format!("`toolArgs` is no JSON with one meaning: {e}"))?;
            said.insert("tool_input".into(), read);
        }
        Ok(said)
    }

    fn call(self, of: &Map<String, Value>) -> Result<Call, String> {
        let tool = text(of, "tool_name")?.to_owned();
        let input = of.get("tool_input").cloned().ok_or("there is no `tool_input`")?;
        let id = match self {
            Self::Claude | Self::Codex => Some(text(of, "tool_use_id")?.to_owned()),
            Self::Gemini | Self::Copilot => None,
        };
        let mcp = match self {
            Self::Claude | Self::Codex => tool.strip_prefix("mcp__").map(|rest| {
                let (server, tool) = rest.split_once("__").unwrap_or((rest, ""));
                (server.to_owned(), tool.to_owned())
            }),
            Self::Gemini => match of.get("mcp_context").and_then(Value::as_object) {
                Some(of) => Some((text(of, "server_name")?.to_owned(), text(of, "tool_name")?.to_owned())),
                None => None,
            },
            // It writes server and tool as one word; which servers there are stands in its files.
            Self::Copilot => None,
        };
        Ok(Call { tool, input, id, mcp })
    }

    /// Whether a tool's name leaves no doubt which server it is of. A client that writes both as one word may know servers that
    /// stand in none of its files: `x__y` of `files` and `y` of `files__x` are one word, and the gateway is asked about one.
    pub(super) fn tells_apart(self, tool: &str) -> bool {
        match self {
            Self::Claude | Self::Codex => !tool.starts_with('_') && !tool.contains("__"),
            Self::Gemini => true,
            Self::Copilot => !tool.contains('-'),
        }
    }

    /// What is printed for an answer; nothing where nothing is said.
    pub(super) fn answer(self, answer: &Answer, waits: bool) -> Option<String> {
        let said = match (self, answer) {
            (_, Answer::Pass) => return None,
            (Self::Claude, Answer::Later(why)) if waits => decided("defer", why),
            (Self::Claude | Self::Codex, Answer::Deny(why) | Answer::Later(why)) => decided("deny", why),
            (Self::Gemini, Answer::Deny(why) | Answer::Later(why)) => {
                json!({ "decision": "deny", "reason": why })
            }
            (Self::Copilot, Answer::Deny(why) | Answer::Later(why)) => {
                json!({ "permissionDecision": "deny", "permissionDecisionReason": why })
            }
        };
        Some(said.to_string())
    }
}

/// The answer of Claude Code's dialect, which Codex speaks as well. Codex knows `deny` alone: `ask` and a bare `allow` are
/// none there, and then the tool is used.
fn decided(decision: &str, why: &str) -> Value {
    json!({ "hookSpecificOutput": {
        "hookEventName": "PreToolUse", "permissionDecision": decision, "permissionDecisionReason": why,
    } })
}

fn ending(of: &Map<String, Value>) -> Ending {
    let answer = of.get("tool_response").cloned().unwrap_or_default();
    // Copilot's word for it.
    if let Some(kind) = answer.get("resultType").and_then(Value::as_str).filter(|kind| *kind != "success") {
        let said = answer.get("textResultForLlm").and_then(Value::as_str).unwrap_or(kind);
        return Ending::Failed(said.to_owned());
    }
    let failed = answer.get("error").and_then(|error| error.get("message").unwrap_or(error).as_str());
    match failed {
        Some(said) if !said.is_empty() => Ending::Failed(said.to_owned()),
        Some(_) | None => Ending::Answered(answer),
    }
}

fn text<'a>(of: &'a Map<String, Value>, name: &str) -> Result<&'a str, String> {
    match of.get(name) {
        Some(Value::String(text)) if !text.is_empty() || name == "prompt" => Ok(text),
        Some(_) => Err(format!("`{name}` is no text")),
        None => Err(format!("there is no `{name}`")),
    }
}
