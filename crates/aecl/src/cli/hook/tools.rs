//! The built-in tools of clients as actions of the catalogue. One action means the same whichever client does it, so one
//! policy holds for all of them.
//!
//! **Invariant:** a tool that is not known here becomes an action that no catalogue has; a parameter that is not known here
//! stands under `more`, where a policy sees it.

use super::dialect::Dialect;
use super::event::Call;
use super::whereabouts::{self, Whereabouts};
use aecl_kernel::read::code_arguments::shell;
use serde_json::{Map, Value, json};
use std::path::Path;

/// Action that a tool is.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Proposal {
    pub action: String,
    pub arguments: Value,
}

/// What a tool does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tool {
    Shell,
    Read,
    Search,
    Write,
    Edit,
    Patch,
    Delete,
    Fetch,
    WebSearch,
    /// Something within the client alone.
    Internal,
}

/// Most words of a command line that are looked at; a longer one says nothing about the rest.
const WORDS_MAX: usize = 1_024;

/// Parameter of a tool: its name there, and here; those without a name here say how much is shown, and nothing else.
type Parameter = (&'static str, &'static str);

const SHELL: &[Parameter] = &[
    ("command", "command"),
    ("run_in_background", "background"),
    ("is_background", "background"),
    ("dangerouslyDisableSandbox", "unsandboxed"),
    ("dir_path", "directory"),
    ("directory", "directory"),
    ("cwd", "directory"),
    ("detach", "background"),
    ("description", ""),
    ("timeout", ""),
    ("shellId", ""),
    ("mode", ""),
    ("initial_wait", ""),
];
const READ: &[Parameter] = &[
    ("file_path", "path"),
    ("path", "path"),
    ("dir_path", "path"),
    ("notebook_path", "path"),
    ("offset", ""),
    ("limit", ""),
    ("pages", ""),
    ("start_line", ""),
    ("end_line", ""),
    ("view_range", ""),
    ("forceReadLargeFiles", ""),
];
const SEARCH: &[Parameter] = &[
    ("pattern", "pattern"),
    ("path", "path"),
    ("paths", "path"),
    ("file_path", "path"),
    ("dir_path", "path"),
    ("glob", "glob"),
    ("include", "glob"),
    ("include_pattern", "glob"),
    ("exclude_pattern", ""),
    ("output_mode", ""),
    ("-A", ""),
    ("-B", ""),
    ("-C", ""),
    ("-n", ""),
    ("-i", ""),
    ("-o", ""),
    ("context", ""),
    ("type", ""),
    ("head_limit", ""),
    ("offset", ""),
    ("multiline", ""),
    ("ignore", ""),
    ("case_sensitive", ""),
    ("respect_git_ignore", ""),
    ("fixed_strings", ""),
    ("file_filtering_options", ""),
    ("names_only", ""),
    ("max_matches_per_file", ""),
    ("total_max_matches", ""),
    ("before", ""),
    ("after", ""),
    ("no_ignore", ""),
];
const WRITE: &[Parameter] =
    &[("file_path", "path"), ("path", "path"), ("content", "content"), ("file_text", "content")];
const EDIT: &[Parameter] = &[
    ("file_path", "path"),
    ("path", "path"),
    ("old_str", "old"),
    ("new_str", "new"),
    ("notebook_path", "path"),
    ("old_string", "old"),
    ("new_string", "new"),
    ("new_source", "new"),
    ("replace_all", "all"),
    ("allow_multiple", "all"),
    ("expected_replacements", ""),
    ("instruction", ""),
    ("cell_id", "cell"),
    ("cell_type", ""),
    ("edit_mode", "mode"),
];
const FETCH: &[Parameter] = &[("url", "url"), ("prompt", "prompt")];
const WEB_SEARCH: &[Parameter] = &[("query", "query"), ("allowed_domains", ""), ("blocked_domains", "")];

/// Tools of Claude Code that touch nothing but its own session.
const CLAUDE_INTERNAL: [&str; 20] = [
    "TodoWrite",
    "Task",
    "Agent",
    "ListAgents",
    "Skill",
    "ToolSearch",
    "AskUserQuestion",
    "EnterPlanMode",
    "ExitPlanMode",
    "TaskCreate",
    "TaskGet",
    "TaskUpdate",
    "TaskList",
    "TaskOutput",
    "TaskStop",
    "BashOutput",
    "KillShell",
    "KillBash",
    "ReportFindings",
    "StructuredOutput",
];
/// The same of Codex.
const CODEX_INTERNAL: [&str; 5] =
    ["update_plan", "request_user_input", "get_goal", "create_goal", "update_goal"];
/// The same of Gemini CLI.
const GEMINI_INTERNAL: [&str; 11] = [
    "write_todos",
    "update_topic",
    "enter_plan_mode",
    "exit_plan_mode",
    "ask_user",
    "activate_skill",
    "invoke_agent",
    "list_background_processes",
    "read_background_output",
    "complete_task",
    "get_internal_docs",
];

/// The same of Copilot CLI.
const COPILOT_INTERNAL: [&str; 16] = [
    "read_bash",
    "stop_bash",
    "list_bash",
    "fetch_copilot_cli_documentation",
    "skill",
    "sql",
    "session_store_sql",
    "task",
    "read_agent",
    "list_agents",
    "write_agent",
    "tool_search_tool",
    "report_intent",
    "update_todo",
    "ask_user",
    "exit_plan_mode",
];

/// The same of Cursor.
const CURSOR_INTERNAL: [&str; 2] = ["Task", "ReadLints"];

fn tool(client: Dialect, name: &str) -> Option<Tool> {
    Some(match (client, name) {
        (Dialect::Claude | Dialect::Codex, "Bash")
        | (Dialect::Gemini, "run_shell_command")
        | (Dialect::Copilot, "bash") => Tool::Shell,
        (Dialect::Cursor, "Shell") => Tool::Shell,
        (Dialect::Cursor, "Read") => Tool::Read,
        (Dialect::Cursor, "Grep" | "List") => Tool::Search,
        (Dialect::Cursor, "Write") => Tool::Write,
        (Dialect::Cursor, "Delete") => Tool::Delete,
        (Dialect::Cursor, "Fetch") => Tool::Fetch,
        (Dialect::Cursor, name) if CURSOR_INTERNAL.contains(&name) => Tool::Internal,
        (Dialect::Copilot, "view") => Tool::Read,
        (Dialect::Copilot, "grep" | "glob") => Tool::Search,
        (Dialect::Copilot, "create") => Tool::Write,
        (Dialect::Copilot, "edit") => Tool::Edit,
        (Dialect::Copilot, "web_fetch") => Tool::Fetch,
        (Dialect::Copilot, name) if COPILOT_INTERNAL.contains(&name) => Tool::Internal,
        (Dialect::Claude, "Read" | "NotebookRead") | (Dialect::Gemini, "read_file") => Tool::Read,
        (Dialect::Codex, "view_image") => Tool::Read,
        (Dialect::Claude, "Glob" | "Grep" | "LS") => Tool::Search,
        (Dialect::Gemini, "glob" | "grep_search" | "search_file_content" | "list_directory") => Tool::Search,
        (Dialect::Claude, "Write") | (Dialect::Gemini, "write_file") => Tool::Write,
        (Dialect::Claude, "Edit" | "NotebookEdit") | (Dialect::Gemini, "replace") => Tool::Edit,
        (Dialect::Codex, "apply_patch") => Tool::Patch,
        (Dialect::Claude, "WebFetch") | (Dialect::Gemini, "web_fetch") => Tool::Fetch,
        (Dialect::Claude, "WebSearch")
        | (Dialect::Gemini, "google_web_search")
        | (Dialect::Codex, "web_search") => Tool::WebSearch,
        (Dialect::Claude, name) if CLAUDE_INTERNAL.contains(&name) => Tool::Internal,
        (Dialect::Codex, name) if CODEX_INTERNAL.contains(&name) => Tool::Internal,
        (Dialect::Gemini, name) if GEMINI_INTERNAL.contains(&name) => Tool::Internal,
        _ => return None,
    })
}

impl Tool {
    fn action(self) -> &'static str {
        match self {
            Self::Shell => "code.shell",
            Self::Read => "code.read",
            Self::Search => "code.search",
            Self::Write => "code.write",
            Self::Edit => "code.edit",
            Self::Patch | Self::Delete => "code.patch",
            Self::Fetch => "code.fetch",
            Self::WebSearch => "code.web_search",
            Self::Internal => "code.internal",
        }
    }

    fn parameters(self) -> &'static [Parameter] {
        match self {
            Self::Shell => SHELL,
            Self::Read => READ,
            Self::Search => SEARCH,
            Self::Write => WRITE,
            Self::Edit => EDIT,
            Self::Fetch => FETCH,
            Self::WebSearch => WEB_SEARCH,
            Self::Patch | Self::Delete | Self::Internal => &[],
        }
    }
}

/// How a call that fails came out, where the tool says no more: whether nothing happened.
pub(super) fn did_nothing(client: Dialect, name: &str) -> bool {
    !matches!(tool(client, name), Some(Tool::Shell) | None)
}

/// Whether a tool runs a program, which has run whatever it ended with.
pub(super) fn runs(client: Dialect, name: &str) -> bool {
    tool(client, name) == Some(Tool::Shell)
}

/// The action that a call is.
pub(super) fn proposal(client: Dialect, call: &Call, cwd: &Path, project: &Path) -> Result<Proposal, String> {
    if let Some((server, tool)) = &call.mcp {
        return Ok(Proposal { action: format!("{server}.{tool}"), arguments: call.input.clone() });
    }
    let input = call.input.as_object().ok_or("`tool_input` is no object")?;
    let Some(tool) = tool(client, &call.tool) else {
        return Ok(Proposal {
            action: format!("{}.{}", client.name(), call.tool),
            arguments: call.input.clone(),
        });
    };
    let action = tool.action().to_owned();
    if tool == Tool::Internal {
        return Ok(Proposal { action, arguments: json!({ "tool": call.tool }) });
    }
    if tool == Tool::Patch {
        return Ok(Proposal { action, arguments: patch(input, cwd, project)? });
    }
    if tool == Tool::Delete {
        let path = input.get("file_path").and_then(Value::as_str).filter(|path| !path.is_empty());
        let path = path.ok_or_else(|| format!("`{}` names no path", call.tool))?;
        let (path, place) = whereabouts::of(path, cwd, project);
        let patch = format!("*** Delete File: {path}");
        let arguments = json!({ "paths": [path], "place": place.name(), "kind": "deletes", "patch": patch });
        return Ok(Proposal { action, arguments });
    }
    let mut arguments = taken(tool.parameters(), input);
    let is_of_files = matches!(tool, Tool::Read | Tool::Search | Tool::Write | Tool::Edit);
    if is_of_files {
        let path = match arguments.get("path") {
            Some(Value::String(path)) => path.clone(),
            None if tool == Tool::Search => String::new(),
            // Copilot searches several at once.
            Some(Value::Array(paths)) if paths.len() > 1 => {
                return Err(format!("`{}` names several paths; one at a time is judged", call.tool));
            }
            Some(Value::Array(paths)) => match paths.first() {
                Some(Value::String(path)) => path.clone(),
                Some(_) | None => return Err(format!("`{}` names no path", call.tool)),
            },
            Some(_) | None => return Err(format!("`{}` names no path", call.tool)),
        };
        let (path, mut place) = whereabouts::of(&path, cwd, project);
        // A pattern may lead elsewhere by itself.
        for name in ["pattern", "glob"].into_iter().filter(|_| tool == Tool::Search) {
            if let Some(pattern) = arguments.get(name).and_then(Value::as_str) {
                place = place.max(of_pattern(pattern, Path::new(&path), project));
            }
        }
        arguments.insert("path".into(), path.into());
        arguments.insert("place".into(), place.name().into());
    }
    if tool == Tool::Shell {
        let directory = arguments.get("directory").and_then(Value::as_str).unwrap_or_default();
        let (directory, mut place) = whereabouts::of(directory, cwd, project);
        // What looks at keys is no better for being a program.
        let line = shell::read(arguments.get("command").unwrap_or(&Value::Null));
        let words = line.commands.iter().flat_map(|command| &command.arguments);
        let parts = words.flat_map(|word| word.split(['=', ':', ',']).chain([word.as_str()]));
        for part in parts.take(WORDS_MAX) {
            if whereabouts::of(part, Path::new(&directory), project).1 == Whereabouts::Secret {
                place = Whereabouts::Secret;
            }
        }
        arguments.insert("directory".into(), directory.into());
        arguments.insert("place".into(), place.name().into());
    }
    // Gemini names addresses in words.
    if tool == Tool::Fetch && !arguments.contains_key("url") {
        let prompt = arguments.get("prompt").and_then(Value::as_str).unwrap_or_default();
        let found: Vec<&str> = prompt
            .split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>' | '(' | ')' | ','))
            .filter(|word| word.contains("://"))
            .collect();
        let [url] = found[..] else { return Err("it does not name exactly one address".into()) };
        arguments.insert("url".into(), url.into());
    }
    Ok(Proposal { action, arguments: Value::Object(arguments) })
}

/// What is known of the parameters, under our names; the rest under `more`.
fn taken(known: &[Parameter], input: &Map<String, Value>) -> Map<String, Value> {
    let (mut arguments, mut more) = (Map::new(), Map::new());
    for (name, value) in input {
        match known.iter().find(|(theirs, _)| theirs == name) {
            Some((_, "")) => {}
            // `false` is what is left out.
            Some((_, "background" | "unsandboxed" | "all")) if *value == Value::Bool(false) => {}
            Some((_, ours)) if !arguments.contains_key(*ours) => {
                arguments.insert((*ours).to_owned(), value.clone());
            }
            Some(_) | None => {
                more.insert(name.clone(), value.clone());
            }
        }
    }
    if !more.is_empty() {
        arguments.insert("more".into(), Value::Object(more));
    }
    arguments
}

fn of_pattern(pattern: &str, from: &Path, project: &Path) -> Whereabouts {
    let fixed: Vec<&str> =
        pattern.split('/').take_while(|part| !part.contains(['*', '?', '[', '{'])).collect();
    let leads_off = pattern.starts_with(['/', '~']) || fixed.contains(&"..");
    match leads_off {
        true => whereabouts::of(&fixed.join("/"), from, project).1,
        false => Whereabouts::Project,
    }
}

/// The files of a patch, as Codex writes one.
fn patch(input: &Map<String, Value>, cwd: &Path, project: &Path) -> Result<Value, String> {
    let text = ["command", "patch", "input"].iter().find_map(|name| input.get(*name)?.as_str());
    let text = text.ok_or("the patch is no text")?;
    let (mut paths, mut place, mut deletes) = (Vec::new(), Whereabouts::Project, false);
    for line in text.lines() {
        let line = line.trim_start();
        let named = ["*** Add File: ", "*** Update File: ", "*** Delete File: ", "*** Move to: "];
        let Some(path) = named.iter().find_map(|head| line.strip_prefix(head)) else { continue };
        deletes |= line.starts_with("*** Delete") || line.starts_with("*** Move");
        let (path, there) = whereabouts::of(path.trim(), cwd, project);
        place = place.max(there);
        paths.push(path);
    }
    if paths.is_empty() {
        return Err("the patch names no file".into());
    }
    let kind = if deletes { "deletes" } else { "changes" };
    Ok(json!({ "paths": paths, "place": place.name(), "kind": kind, "patch": text }))
}
