//! Hooks in a client's own file, by which it asks AECL before each of its own tools and tells what came of it.

use super::clients::{Client, Place, copilot_home};
use super::entry::{Front, Planned};
use super::{existing_file, json};
use crate::cli::Error;
use crate::cli::show;
use aecl_gate::config::Home;
use aecl_gate::loader;
use aecl_kernel::base::id::{ActionName, AgentId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::{Path, PathBuf};
use toml_edit::{ArrayOfTables, DocumentMut, Item, Table, value};

/// Seconds that a client waits for its hook: longer than the hook takes at most.
const TIMEOUT_S: u32 = 60;

/// Version of Cursor's file of hooks.
const CURSOR_VERSION: u32 = 1;

/// What the built-in tools of coding agents do.
pub(in crate::cli) const CODING_ACTIONS: &str = include_str!("coding-actions.yaml");
/// The names of these actions.
pub(in crate::cli) const CODING_NAMES: [&str; 9] = [
    "code.shell",
    "code.read",
    "code.search",
    "code.write",
    "code.edit",
    "code.patch",
    "code.fetch",
    "code.web_search",
    "code.internal",
];

/// One hook that we wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::cli) struct Hook {
    pub event: String,
    pub command: String,
}

/// The events of a client about which AECL hears; the first one asks, and so does [`ASKS_OF_MCP`].
fn events(client: Client) -> &'static [&'static str] {
    match client {
        Client::Claude => &["PreToolUse", "PostToolUse", "PostToolUseFailure", "UserPromptSubmit"],
        Client::Codex => &["PreToolUse", "PostToolUse", "UserPromptSubmit"],
        Client::Gemini => &["BeforeTool", "AfterTool", "BeforeAgent"],
        Client::Copilot => &["preToolUse", "postToolUse", "postToolUseFailure", "userPromptSubmitted"],
        Client::Cursor => &[
            "preToolUse",
            ASKS_OF_MCP,
            "postToolUse",
            "postToolUseFailure",
            "afterMCPExecution",
            "beforeSubmitPrompt",
        ],
        Client::Vscode => &[],
    }
}

/// The event of Cursor that says which MCP server a tool is of.
const ASKS_OF_MCP: &str = "beforeMCPExecution";

fn asks(client: Client, event: &str) -> bool {
    event == ASKS_OF_MCP || events(client).first() == Some(&event)
}

/// The file in which they are: of this project and this user alone, where the client has such a one.
pub(in crate::cli) fn file(client: Client, project: &Path, user: Option<&Path>) -> Option<PathBuf> {
    match client {
        Client::Claude => Some(project.join(".claude/settings.local.json")),
        Client::Gemini => Some(project.join(".gemini/settings.json")),
        Client::Codex => client.places(project, user).into_iter().next().map(|place| place.file),
        // Those of a project are passed over where its directory is not trusted, and nothing says so.
        Client::Copilot => copilot_home(user).map(|dir| dir.join("settings.json")),
        // That of a project is everybody's.
        Client::Cursor => user.map(|user| user.join(".cursor/hooks.json")),
        Client::Vscode => None,
    }
}

/// What the client is to run. Codex and Gemini use the tool where the program is missing or was killed, so the line says no in
/// its place; so does Claude Code before it knew `onFailure`. An event of Copilot does not say its name. Cursor writes the event
/// behind the line as a here-document, which is the input of its last command: so it is one.
fn command(front: &Front, client: Client, event: &str, is_before: bool) -> String {
    let words = ["--dir", &front.home, "hook", client.name(), "--agent", &front.agent];
    let named = if client == Client::Copilot { &["--event", event][..] } else { &[] };
    let words = std::iter::once(front.program.as_str()).chain(words).chain(named.iter().copied());
    let words = words.map(quoted).collect::<Vec<_>>().join(" ");
    match is_before {
        true => {
            let line = format!(
                "{words} || {{ echo 'AECL did not judge this call, so nothing was executed.' >&2; exit 2; }}"
            );
            if client == Client::Cursor { format!("{{ {line}; }}") } else { line }
        }
        false => words,
    }
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_' | '.' | '=' | ':');
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

fn entry(client: Client, command: &str, is_before: bool) -> Value {
    match client {
        Client::Gemini => json!({ "matcher": "*", "hooks": [
            { "type": "command", "name": "aecl", "command": command, "timeout": TIMEOUT_S * 1000 },
        ] }),
        Client::Copilot => json!({ "type": "command", "bash": command, "timeoutSec": TIMEOUT_S }),
        Client::Cursor if is_before => {
            json!({ "command": command, "timeout": TIMEOUT_S, "failClosed": true })
        }
        Client::Cursor => json!({ "command": command, "timeout": TIMEOUT_S }),
        _ if is_before => json!({ "matcher": "*", "hooks": [
            { "type": "command", "command": command, "timeout": TIMEOUT_S, "onFailure": "block" },
        ] }),
        _ => {
            json!({ "matcher": "*", "hooks": [{ "type": "command", "command": command, "timeout": TIMEOUT_S }] })
        }
    }
}

/// Adds the hooks of a client to what is changed. Gives whether the client has hooks.
pub(super) fn add(
    front: &Front,
    client: Client,
    changes: &mut Vec<(Place, Option<String>, Planned)>,
) -> Result<bool, Error> {
    let Some(file) = file(client, &front.project, super::user().as_deref()) else { return Ok(false) };
    let wrong = |why: String| {
        Error::new(format!("`{}` cannot be read: {why}", file.display()))
            .hint("correct the file; nothing was changed")
    };
    let same =
        |path: &Path| path == file || path.canonicalize().ok() == file.canonicalize().ok() && file.exists();
    if let Some((_, _, planned)) = changes.iter_mut().find(|(place, ..)| same(&place.file)) {
        let (text, hooks) = with(front, client, &planned.text).map_err(wrong)?;
        (planned.text, planned.hooks) = (text, hooks);
        return Ok(true);
    }
    let before = existing_file(&front.project, &file)?;
    let (text, hooks) = with(front, client, before.as_deref().unwrap_or_default()).map_err(wrong)?;
    if !hooks.is_empty() {
        let file = file.canonicalize().unwrap_or(file);
        changes.push((
            Place { file, lists: Vec::new() },
            before,
            Planned { text, hooks, ..Planned::default() },
        ));
    }
    Ok(true)
}

/// A file with the hooks that it does not have yet.
fn with(front: &Front, client: Client, text: &str) -> Result<(String, Vec<Hook>), String> {
    let (mut text, mut added) = (text.to_owned(), Vec::new());
    for event in events(client) {
        let is_before = asks(client, event);
        let hook = Hook { event: (*event).to_owned(), command: command(front, client, event, is_before) };
        let now = match client {
            Client::Codex => add_toml(&text, &hook)?,
            Client::Claude | Client::Gemini | Client::Copilot | Client::Cursor | Client::Vscode => {
                add_json(&text, &hook, &entry(client, &hook.command, is_before))?
            }
        };
        if let Some(now) = now {
            text = now;
            added.push(hook);
        }
    }
    if client == Client::Cursor && !added.is_empty() && json::at(&text, &["version"])?.is_none() {
        // Without it Cursor takes the file for none.
        text = json::set(&text, &json::whole(&text)?, "version", &json!(CURSOR_VERSION))?;
    }
    Ok((text, added))
}

fn add_json(text: &str, hook: &Hook, entry: &Value) -> Result<Option<String>, String> {
    let text = if text.trim().is_empty() { "{}\n" } else { text };
    let event = hook.event.as_str();
    let Some(hooks) = json::at(text, &["hooks"])? else {
        return json::set(text, &json::whole(text)?, "hooks", &json!({ event: [entry] })).map(Some);
    };
    let Some(list) = json::at(text, &["hooks", event])? else {
        return json::set(text, &hooks, event, &json!([entry])).map(Some);
    };
    let items = json::items(text, &list)?;
    if items.iter().any(|item| json::read(text, item).is_some_and(|item| is_ours(&item, hook))) {
        return Ok(None);
    }
    json::push(text, &list, entry).map(Some)
}

/// Whether an entry has this hook and no other.
fn is_ours(entry: &Value, hook: &Hook) -> bool {
    if ["bash", "command"].iter().any(|line| entry.get(line).and_then(Value::as_str) == Some(&hook.command)) {
        return true;
    }
    let hooks = entry.get("hooks").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    matches!(hooks, [one] if one.get("command").and_then(Value::as_str) == Some(&hook.command))
}

fn add_toml(text: &str, hook: &Hook) -> Result<Option<String>, String> {
    let mut document: DocumentMut = text.parse().map_err(|e: toml_edit::TomlError| e.to_string())?;
    let hooks = document.entry("hooks").or_insert_with(|| {
        let mut hooks = Table::new();
        hooks.set_implicit(true);
        Item::Table(hooks)
    });
    let hooks = hooks.as_table_like_mut().ok_or("`hooks` is no table")?;
    let list = hooks.entry(&hook.event).or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
    let list = list
        .as_array_of_tables_mut()
        .ok_or_else(|| format!("`hooks.{}` is no list of tables", hook.event))?;
    if list.iter().any(|entry| is_ours_in_toml(entry, hook)) {
        return Ok(None);
    }
    let mut one = Table::new();
    one.insert("type", value("command"));
    one.insert("command", value(hook.command.as_str()));
    one.insert("timeout", value(i64::from(TIMEOUT_S)));
    let mut commands = ArrayOfTables::new();
    commands.push(one);
    let mut entry = Table::new();
    entry.insert("hooks", Item::ArrayOfTables(commands));
    list.push(entry);
    Ok(Some(document.to_string()))
}

fn is_ours_in_toml(entry: &Table, hook: &Hook) -> bool {
    let hooks = entry.get("hooks").and_then(Item::as_array_of_tables);
    let mut commands = hooks.into_iter().flat_map(ArrayOfTables::iter).map(|one| one.get("command"));
    let first = commands.next().flatten().and_then(Item::as_str);
    first == Some(hook.command.as_str()) && commands.next().is_none()
}

/// Hook before a tool as a client's file has it, whoever wrote it, if its command is one of ours.
#[derive(Debug)]
pub(in crate::cli) struct Installed {
    pub file: PathBuf,
    pub command: String,
    /// What keeps it from being asked, or from being believed; and the line that changes this.
    pub lacks: Vec<(String, String)>,
}

/// The hooks of ours before a tool that a client's files have for a project.
pub(in crate::cli) fn installed(client: Client, project: &Path, user: Option<&Path>) -> Vec<Installed> {
    let mut files: Vec<PathBuf> = file(client, project, user).into_iter().collect();
    let of_user = |path: &str| user.map(|user| user.join(path));
    match client {
        Client::Claude => {
            files.push(project.join(".claude/settings.json"));
            files.extend(of_user(".claude/settings.json"));
        }
        Client::Gemini => files.extend(of_user(".gemini/settings.json")),
        Client::Cursor => files.push(project.join(".cursor/hooks.json")),
        Client::Codex | Client::Copilot | Client::Vscode => {}
    }
    let mut found = Vec::new();
    for file in files {
        let Ok(text) = crate::cli::input::text(&file, super::FILE_MAX_BYTES) else { continue };
        let settings = match client {
            Client::Codex => text.parse::<DocumentMut>().ok().map(|document| of_toml(document.as_table())),
            _ => json::whole(&text).ok().and_then(|span| json::read(&text, &span)),
        };
        found.extend(settings.iter().flat_map(|settings| in_settings(client, &file, settings)));
    }
    if client == Client::Copilot
        && let Some(lack) = switched_off_by(project)
    {
        found.iter_mut().for_each(|hook| hook.lacks.push(lack.clone()));
    }
    found
}

/// A file of a project that makes Copilot pass over all hooks, those of the user too, once its directory is trusted; or
/// one of which nobody can say whether it does.
fn switched_off_by(project: &Path) -> Option<(String, String)> {
    let files =
        ["settings.json", "settings.local.json"].map(|name| project.join(".github/copilot").join(name));
    files.into_iter().filter(|file| file.symlink_metadata().is_ok()).find_map(|file| {
        let at = file.display();
        let text = crate::cli::input::text(&file, super::FILE_MAX_BYTES).ok();
        let settings = text.and_then(|text| json::read(&text, &json::whole(&text).ok()?));
        match settings {
            None => Some((
                format!("`{at}` of the project cannot be read, and may set `disableAllHooks`"),
                format!("make `{at}` readable, or remove it"),
            )),
            Some(settings) if settings.get("disableAllHooks") == Some(&Value::Bool(true)) => Some((
                format!("`{at}` of the project sets `disableAllHooks`"),
                format!("take `disableAllHooks` out of `{at}`"),
            )),
            Some(_) => None,
        }
    })
}

fn in_settings(client: Client, file: &Path, settings: &Value) -> Vec<Installed> {
    let Some(event) = events(client).first() else { return Vec::new() };
    let list = |value: Option<&Value>| value.and_then(Value::as_array).cloned().unwrap_or_default();
    let mut found = Vec::new();
    for entry in list(settings.pointer(&format!("/hooks/{event}"))) {
        let matcher = entry.get("matcher").and_then(Value::as_str).unwrap_or("*").to_owned();
        let is_flat = matches!(client, Client::Copilot | Client::Cursor);
        for hook in if is_flat { vec![entry.clone()] } else { list(entry.get("hooks")) } {
            let of_copilot = client == Client::Copilot;
            let [line, time] = if of_copilot { ["bash", "timeoutSec"] } else { ["command", "timeout"] };
            let command = hook.get(line).and_then(Value::as_str).unwrap_or_default();
            if !command.contains(&format!(" hook {} ", client.name())) {
                continue;
            }
            let mut lacks = Vec::new();
            let mut lack = |what: String, todo: &str| lacks.push((what, todo.to_owned()));
            if !matches!(matcher.as_str(), "" | "*" | ".*") {
                lack(format!("it is asked about `{matcher}` alone"), r#"`"matcher": "*"`"#);
            }
            let unit = if client == Client::Gemini { 1000 } else { 1 };
            let timeout = hook.get(time).and_then(Value::as_u64).map(|timeout| timeout / unit);
            if timeout.is_none_or(|timeout| timeout < u64::from(TIMEOUT_S)) {
                let enough = if client == Client::Gemini { "60000" } else { "60" };
                lack(
                    "the client may stop waiting before it answers, and use the tool".into(),
                    &format!("`{time}`: {enough}"),
                );
            }
            let blocks = hook.get("onFailure").and_then(Value::as_str) == Some("block");
            // Copilot takes every end but a good one for a no.
            let says_no = command.contains("exit 2") || of_copilot || client == Client::Claude && blocks;
            if !says_no {
                lack(
                    "where it cannot run, the tool is used".into(),
                    "end the command with `|| { echo AECL is not there >&2; exit 2; }`",
                );
            }
            if client == Client::Claude && !blocks {
                lack("where it is killed or too slow, the tool is used".into(), r#"`"onFailure": "block"`"#);
            }
            if client == Client::Cursor {
                if settings.get("version").and_then(Value::as_u64).is_none() {
                    lack("Cursor passes over a file that names no version".into(), r#"`"version": 1`"#);
                }
                if hook.get("failClosed") != Some(&Value::Bool(true)) {
                    let what = "where it is killed or too slow, the tool is used";
                    lack(what.into(), r#"`"failClosed": true`"#);
                }
                let asks_of_mcp = list(settings.pointer(&format!("/hooks/{ASKS_OF_MCP}")));
                let is_asked = |entry: &Value| {
                    let line = entry.get("command").and_then(Value::as_str).unwrap_or_default();
                    line == command
                        && entry.get("failClosed") == Some(&Value::Bool(true))
                        && entry.get("matcher").is_none()
                };
                if !asks_of_mcp.iter().any(is_asked) {
                    let what = "it is not asked about tools of MCP servers";
                    lack(what.into(), "the same entry under `beforeMCPExecution`");
                }
            }
            if settings.get("disableAllHooks") == Some(&Value::Bool(true)) {
                lack("`disableAllHooks` is set".into(), "take `disableAllHooks` out");
            }
            let is_trusted = settings
                .pointer("/hooks/state")
                .is_some_and(|state| state.to_string().contains("trusted_hash"));
            if client == Client::Codex && !is_trusted {
                lack(
                    "Codex passes over hooks that nobody has trusted, and says nothing".into(),
                    "type `/hooks` in Codex and trust it",
                );
            }
            found.push(Installed { file: file.to_owned(), command: command.to_owned(), lacks });
        }
    }
    found
}

/// A table as JSON, as far as hooks need it.
fn of_toml(table: &Table) -> Value {
    fn of(item: &Item) -> Value {
        match item {
            Item::Table(table) => of_toml(table),
            Item::ArrayOfTables(tables) => tables.iter().map(of_toml).collect(),
            Item::Value(toml_edit::Value::String(text)) => text.value().as_str().into(),
            Item::Value(toml_edit::Value::Integer(number)) => (*number.value()).into(),
            Item::Value(toml_edit::Value::Boolean(flag)) => (*flag.value()).into(),
            Item::Value(toml_edit::Value::InlineTable(table)) => of_toml(&table.clone().into_table()),
            Item::Value(toml_edit::Value::Array(items)) => {
                items.iter().map(|item| of(&Item::Value(item.clone()))).collect()
            }
            Item::None | Item::Value(toml_edit::Value::Float(_) | toml_edit::Value::Datetime(_)) => {
                Value::Null
            }
        }
    }
    table.iter().map(|(name, item)| (name.to_owned(), of(item))).collect::<serde_json::Map<_, _>>().into()
}

/// Takes a hook of ours out of a file; what it made necessary goes with it, if it is empty and was not there before. False if
/// it is not there any more as it was.
pub(super) fn take_out(text: &mut String, before: &str, hook: &Hook, is_toml: bool) -> Result<bool, String> {
    if is_toml { take_out_of_toml(text, before, hook) } else { take_out_of_json(text, before, hook) }
}

fn take_out_of_json(text: &mut String, before: &str, hook: &Hook) -> Result<bool, String> {
    let path = ["hooks", hook.event.as_str()];
    let Some(list) = json::at(text, &path)? else { return Ok(true) };
    let items = json::items(text, &list)?;
    let which = items.iter().position(|item| json::read(text, item).is_some_and(|item| is_ours(&item, hook)));
    let Some(which) = which else {
        let list = text.get(list).unwrap_or_default();
        return Ok(!list.contains(" hook "));
    };
    *text = json::without_item(text, &list, which)?;
    let was = |path: &[&str]| Ok::<_, String>(!before.trim().is_empty() && json::at(before, path)?.is_some());
    let is_empty = |text: &str, path: &[&str]| {
        let found = json::at(text, path).ok().flatten().and_then(|span| json::read(text, &span));
        found.is_some_and(|value| value == json!([]) || value == json!({}))
    };
    let hooks = json::at(text, &["hooks"])?;
    if let Some(hooks) = hooks.filter(|_| is_empty(text, &path))
        && !was(&path)?
    {
        *text = json::without(text, &hooks, &hook.event)?;
    }
    if is_empty(text, &["hooks"]) && !was(&["hooks"])? {
        *text = json::without(text, &json::whole(text)?, "hooks")?;
        let version = json::at(text, &["version"])?.and_then(|span| json::read(text, &span));
        if version == Some(json!(CURSOR_VERSION)) && !was(&["version"])? {
            *text = json::without(text, &json::whole(text)?, "version")?;
        }
    }
    Ok(true)
}

fn take_out_of_toml(text: &mut String, before: &str, hook: &Hook) -> Result<bool, String> {
    let parsed = |text: &str| text.parse::<DocumentMut>().map_err(|e| e.to_string());
    let (mut now, before) = (parsed(text)?, parsed(before)?);
    let Some(hooks) = now.get_mut("hooks").and_then(Item::as_table_like_mut) else { return Ok(true) };
    let Some(list) = hooks.get_mut(&hook.event).and_then(Item::as_array_of_tables_mut) else {
        return Ok(true);
    };
    let Some(which) = list.iter().position(|entry| is_ours_in_toml(entry, hook)) else {
        return Ok(!list.to_string().contains(" hook "));
    };
    list.remove(which);
    let was = before.get("hooks").and_then(Item::as_table_like);
    if list.is_empty() && was.is_none_or(|was| was.get(&hook.event).is_none()) {
        hooks.remove(&hook.event);
    }
    if hooks.is_empty() && was.is_none() {
        now.remove("hooks");
    }
    *text = now.to_string();
    Ok(true)
}

/// Sees to it that the policy knows the tools of coding agents, and says which line the agent needs to use them.
pub(super) fn catalogue(home: &Home, agent: &AgentId) -> Result<(), Error> {
    let shell = ActionName::new("code.shell")?;
    let bundle = loader::load(&home.policy())?;
    if bundle.catalogue().find(shell.as_str()).is_none() {
        let path = home.policy().join("actions/coding-agents.yaml");
        let fail = |e: std::io::Error| Error::new(format!("cannot write `{}`: {e}", path.display()));
        std::fs::create_dir_all(home.policy().join("actions")).map_err(fail)?;
        aecl_gate::keys::write_private(&path, CODING_ACTIONS.as_bytes())?;
        loader::load(&home.policy())?;
        show::say(&format!("aecl: what the client's own tools do stands in `{}`", path.display()));
    }
    let allowed = bundle.agent(agent).map(|manifest| manifest.allowed_actions.clone()).unwrap_or_default();
    let is_allowed =
        |name: &str| allowed.iter().any(|entry| entry == name || entry == "code.*" || entry == "*");
    let missing: Vec<&str> = CODING_NAMES.iter().copied().filter(|name| !is_allowed(name)).collect();
    if !missing.is_empty() {
        show::say(&format!(
            "aecl: until then all of this is refused: add {} to `allowed_actions` of the agent `{agent}` in `{}`",
            missing.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
            home.policy().join("agents").display()
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn front() -> Front {
        Front {
            program: "/opt/my tools/aecl".into(),
            home: "/home/h".into(),
            agent: "assistant".into(),
            project: "/p".into(),
        }
    }

    /// What stands there stays to the byte, twice is once, and all of it goes again.
    #[test]
    fn hooks_come_once_and_go_without_a_trace() {
        let json = "{\n  // mine\n  \"model\": \"opus\",\n  \"hooks\": {\n    \"PreToolUse\": [\n      {\"matcher\": \"Bash\", \"hooks\": [{\"type\": \"command\", \"command\": \"lint\"}]}\n    ]\n  },\n  \"unknown\": 1.50\n}\n";
        let toml = "# mine\nmodel = \"o\" # best\n\n[[hooks.PreToolUse]]\nmatcher = \"^Bash$\"\n[[hooks.PreToolUse.hooks]]\ntype = \"command\"\ncommand = \"lint\"\n\n[tui]\nx = 1\n";
        for (client, text) in [
            (Client::Claude, json),
            (Client::Claude, "{}\n"),
            (Client::Claude, "{ \"hooks\": {} }\n"),
            (Client::Gemini, json),
            (Client::Copilot, json),
            (Client::Copilot, "{}\n"),
            (Client::Cursor, "{}\n"),
            (
                Client::Cursor,
                "{\n  // mine\n  \"version\": 1,\n  \"hooks\": {\n    \"preToolUse\": [{\"command\": \"lint\"}]\n  }\n}\n",
            ),
            (Client::Codex, toml),
            (Client::Codex, ""),
            (Client::Codex, "a = 1\n"),
        ] {
            let (with_hooks, added) = with(&front(), client, text).unwrap();
            assert_eq!(added.len(), events(client).len());
            assert!(with_hooks.contains("lint") == text.contains("lint"), "{with_hooks}");
            for line in text.lines().filter(|line| line.contains("mine") || line.contains("1.50")) {
                assert!(with_hooks.contains(line), "{with_hooks}");
            }
            let again = with(&front(), client, &with_hooks).unwrap();
            assert_eq!((again.0.as_str(), again.1.len()), (with_hooks.as_str(), 0));
            let mut back = with_hooks;
            for hook in &added {
                assert!(take_out(&mut back, text, hook, client == Client::Codex).unwrap(), "{}", hook.event);
            }
            assert_eq!(back.trim(), text.trim(), "{client:?}");
        }
        assert!(with(&front(), Client::Claude, "{ \"hooks\": { \"PreToolUse\": 7 } }").is_err());
        assert!(with(&front(), Client::Codex, "hooks = 7\n").is_err());
    }

    #[test]
    fn a_hook_that_fails_says_no_by_its_own_line() {
        let line = command(&front(), Client::Codex, "PreToolUse", true);
        assert!(
            line.starts_with("'/opt/my tools/aecl' --dir /home/h hook codex --agent assistant || {"),
            "{line}"
        );
        assert!(
            line.ends_with("exit 2; }")
                && !command(&front(), Client::Codex, "PostToolUse", false).contains("||")
        );
        let line = command(&front(), Client::Cursor, "preToolUse", true);
        assert!(line.starts_with("{ '/opt") && line.ends_with("exit 2; }; }"), "{line}");
        let named = command(&front(), Client::Copilot, "postToolUse", false);
        assert!(named.ends_with(" --event postToolUse"), "{named}");
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }

    #[test]
    fn a_hook_that_somebody_edited_stays_and_is_named() {
        let (text, added) = with(&front(), Client::Claude, "").unwrap();
        let mut edited = text.replace(" --agent assistant ||", " --agent other ||");
        assert!(!take_out(&mut edited, "", &added[0], false).unwrap());
        assert!(edited.contains("--agent other"));
    }
}
