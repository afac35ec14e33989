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
    /// Cursor.
    Cursor,
}

impl Dialect {
    /// The name as on the command line.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Claude => "claude",
            Self::Codex => "codex",
            Self::Gemini => "gemini",
            Self::Copilot => "copilot",
            Self::Cursor => "cursor",
        }
    }

    /// The same client, as the one whose servers are in its files.
    pub(super) fn client(self) -> Client {
        match self {
            Self::Claude => Client::Claude,
            Self::Codex => Client::Codex,
            Self::Gemini => Client::Gemini,
            Self::Copilot => Client::Copilot,
            Self::Cursor => Client::Cursor,
        }
    }

    /// Names of the events before a tool and after it, in that order.
    pub(super) fn events(self) -> [&'static str; 2] {
        match self {
            Self::Claude | Self::Codex => ["PreToolUse", "PostToolUse"],
            Self::Gemini => ["BeforeTool", "AfterTool"],
            Self::Copilot | Self::Cursor => ["preToolUse", "postToolUse"],
        }
    }

    /// Whether an event is about to use a tool, or may be: then nothing but an answer lets it.
    pub(super) fn guards(self, input: &Value) -> bool {
        let name = input.get("hook_event_name").and_then(Value::as_str);
        let known =
            [self.events()[1], "PostToolUseFailure", "UserPromptSubmit", "BeforeAgent", "SessionStart"];
        let of_copilot = ["postToolUseFailure", "userPromptSubmitted", "sessionStart", "sessionEnd"];
        let of_cursor = ["afterMCPExecution", "beforeSubmitPrompt", "stop"];
        let known = [&known[..], &["SessionEnd", "Stop"], &of_copilot, &of_cursor].concat();
        name.is_none_or(|name| !known.contains(&name))
    }

    /// What the client says.
    pub(super) fn read(self, input: &Value) -> Result<Event, String> {
        let of = &self.in_common_words(input.as_object().ok_or("it is no object")?)?;
        let name = text(of, "hook_event_name")?;
        let [before, after] = self.events();
        // Cursor says in another event which server it is.
        let is_elsewhere = self == Self::Cursor && is_mcp(of.get("tool_name"));
        let kind = match name {
            _ if name == before && is_elsewhere => Kind::Other,
            "beforeMCPExecution" if self == Self::Cursor => Kind::Before(self.call(of)?),
            "afterMCPExecution" if self == Self::Cursor => {
                Kind::After(self.call(of)?, not_begun(of).unwrap_or_else(|| ending(of)))
            }
            _ if name == before => Kind::Before(self.call(of)?),
            _ if name == after => Kind::After(self.call(of)?, ending(of)),
            "PostToolUseFailure" | "postToolUseFailure"
                if matches!(self, Self::Claude | Self::Copilot | Self::Cursor) =>
            {
                let said = of.get("error").and_then(Value::as_str).unwrap_or_default().to_owned();
                let ending = match of.get("failure_type").and_then(Value::as_str) {
                    // Its own rules, or a hook, said no.
                    Some("permission_denied") => Ending::NotBegun(said),
                    _ if of.get("is_interrupt") == Some(&Value::Bool(true)) => Ending::Interrupted(said),
                    _ => Ending::Failed(said),
                };
                Kind::After(self.call(of)?, ending)
            }
            "UserPromptSubmit" | "BeforeAgent" | "userPromptSubmitted" | "beforeSubmitPrompt" => {
                Kind::Prompt(text(of, "prompt")?.to_owned())
            }
            "PreToolUse" | "BeforeTool" | "preToolUse" | "beforeMCPExecution" => {
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
        let names: &[(&str, &str)] = match self {
            Self::Claude | Self::Codex | Self::Gemini => return Ok(of.clone()),
            Self::Copilot => &[
                ("sessionId", "session_id"),
                ("toolName", "tool_name"),
                ("toolArgs", "tool_input"),
                ("toolResult", "tool_response"),
            ],
            Self::Cursor => &[
                ("conversation_id", "session_id"),
                ("tool_output", "tool_response"),
                ("result_json", "tool_response"),
                ("error_message", "error"),
            ],
        };
        let mut said = of.clone();
        for (theirs, ours) in names {
            if let Some(value) = said.remove(*theirs) {
                said.insert((*ours).to_owned(), value);
            }
        }
        // Arguments are text at times.
        if let Some(Value::String(text)) = said.get("tool_input") {
            let read = document(text)
                .map_err(|why| format!("the tool's parameters are no JSON with one meaning: {why}"))?;
            said.insert("tool_input".into(), read);
        }
        if self == Self::Cursor {
            if let Some(read) = said.get("tool_response").and_then(Value::as_str).map(document)
                && let Ok(read) = read
            {
                said.insert("tool_response".into(), read);
            }
            let is_said = said.get("cwd").and_then(Value::as_str).is_some_and(|cwd| !cwd.is_empty());
            if let Some(root) = of.get("workspace_roots").and_then(|roots| roots.get(0))
                && !is_said
            {
                said.insert("cwd".into(), root.clone());
            }
        }
        Ok(said)
    }

    fn call(self, of: &Map<String, Value>) -> Result<Call, String> {
        let mut tool = text(of, "tool_name")?.to_owned();
        let input = of.get("tool_input").cloned().ok_or("there is no `tool_input`")?;
        let is_of_mcp = matches!(text(of, "hook_event_name"), Ok("beforeMCPExecution" | "afterMCPExecution"));
        let id = match self {
            // The events that name its server do not name the call.
            Self::Cursor if is_of_mcp || is_mcp(of.get("tool_name")) => None,
            Self::Claude | Self::Codex | Self::Cursor => Some(text(of, "tool_use_id")?.to_owned()),
            Self::Gemini | Self::Copilot => None,
        };
        let mcp = match self {
            Self::Claude | Self::Codex => tool.strip_prefix("mcp__").map(|rest| {
                let (server, tool) = rest.split_once("__").unwrap_or((rest, ""));
                (server.to_owned(), tool.to_owned())
            }),
            // One that is reached at an address is no program of ours.
            Self::Gemini => match of.get("mcp_context").and_then(Value::as_object) {
                Some(of) if is_remote(of) => None,
                Some(of) => Some((text(of, "server_name")?.to_owned(), text(of, "tool_name")?.to_owned())),
                None => None,
            },
            // It writes server and tool as one word; which servers there are stands in its files.
            Self::Copilot => None,
            Self::Cursor if is_of_mcp && is_remote(of) => {
                tool = format!("{CURSOR_MCP}{tool}");
                None
            }
            Self::Cursor if is_of_mcp => {
                let of = (text(of, "mcp_server_name")?.to_owned(), tool.clone());
                tool = format!("{CURSOR_MCP}{tool}");
                Some(of)
            }
            Self::Cursor => None,
        };
        Ok(Call { tool, input, id, mcp })
    }

    /// Whether a tool's name leaves no doubt which server it is of. A client that writes both as one word may know servers that
    /// stand in none of its files: `x__y` of `files` and `y` of `files__x` are one word, and the gateway is asked about one.
    pub(super) fn tells_apart(self, tool: &str) -> bool {
        match self {
            Self::Claude | Self::Codex => !tool.starts_with('_') && !tool.contains("__"),
            Self::Gemini | Self::Cursor => true,
            Self::Copilot => !tool.contains('-'),
        }
    }

    /// What is printed for an answer; nothing where nothing is said.
    pub(super) fn answer(self, answer: &Answer, waits: bool) -> Option<String> {
        let said = match (self, answer) {
            (_, Answer::Pass) => return self.silence(),
            (Self::Claude, Answer::Later(why)) if waits => decided("defer", why),
            (Self::Claude | Self::Codex, Answer::Deny(why) | Answer::Later(why)) => decided("deny", why),
            (Self::Gemini, Answer::Deny(why) | Answer::Later(why)) => {
                json!({ "decision": "deny", "reason": why })
            }
            (Self::Copilot, Answer::Deny(why) | Answer::Later(why)) => {
                json!({ "permissionDecision": "deny", "permissionDecisionReason": why })
            }
            (Self::Cursor, Answer::Deny(why) | Answer::Later(why)) => {
                json!({ "permission": "deny", "user_message": why, "agent_message": why })
            }
        };
        Some(said.to_string())
    }

    /// What is printed where nothing is said. Cursor takes no output at all for a hook that has failed.
    pub(super) fn silence(self) -> Option<String> {
        (self == Self::Cursor).then(|| "{}".to_owned())
    }
}

/// What Cursor writes before the name of an MCP server's tool.
const CURSOR_MCP: &str = "MCP:";

fn is_mcp(tool: Option<&Value>) -> bool {
    tool.and_then(Value::as_str).is_some_and(|tool| tool.starts_with(CURSOR_MCP))
}

/// Whether an event says that the server of its tool is reached at an address.
fn is_remote(of: &Map<String, Value>) -> bool {
    let said = |name: &str| of.get(name).is_some_and(|value| !value.is_null() && value != "");
    ["url", "httpUrl", "tcp"].into_iter().any(said)
}

fn document(text: &str) -> Result<Value, String> {
    let limits = Limits { bytes_max: text.len(), values_max: 1_000_000, ..Limits::default() };
    Document::read(text.as_bytes(), &limits).map_err(|e| e.to_string())
}

/// The answer of Claude Code's dialect, which Codex speaks as well. Codex knows `deny` alone: `ask` and a bare `allow` are
/// none there, and then the tool is used.
fn decided(decision: &str, why: &str) -> Value {
    json!({ "hookSpecificOutput": {
        "hookEventName": "PreToolUse", "permissionDecision": decision, "permissionDecisionReason": why,
    } })
}

/// What Cursor says where an MCP tool was not called. The tool's own answer stands in `content`.
fn not_begun(of: &Map<String, Value>) -> Option<Ending> {
    let answer = of.get("tool_response")?;
    ["rejected", "permissionDenied"].iter().find(|word| answer.get(word) == Some(&Value::Bool(true)))?;
    let said = answer.get("reason").or_else(|| answer.get("error")).and_then(Value::as_str);
    Some(Ending::NotBegun(said.unwrap_or_default().to_owned()))
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
