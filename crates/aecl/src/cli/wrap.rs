//! `aecl wrap`: AECL in front of the servers of an MCP client, in the client's own file. Shown as a difference, made
//! after a yes, and taken back as it was.

mod back;
mod change;
mod clients;
mod entry;
mod hooks;
mod json;
mod judge;
mod kept;
pub mod uninit;

use super::show;
use super::{Common, Error, Exit, Result, input};
use aecl_gate::config::Home;
use aecl_gate::loader;
use aecl_kernel::base::id::AgentId;
pub use clients::Client;
use clients::Place;
use entry::{Front, Planned};
pub(super) use hooks::{CODING_ACTIONS, CODING_NAMES, installed};
use serde_json::json;
use similar::TextDiff;
use std::collections::BTreeSet;
use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

/// Longest file of a client, in bytes. Some keep their history in it.
const FILE_MAX_BYTES: u64 = 64 << 20;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aecl wrap claude            show what changes, ask, and put AECL in front of the servers of Claude Code
  aecl wrap codex --yes
  aecl wrap claude --undo     the files as they were (`aecl uninit`: of all clients)

Servers that a command starts get AECL in front of them; everything else in the files stays as it is, byte for byte. \
Where there is no server yet, one is added that serves this directory. Claude Code, Codex, Gemini CLI, Copilot CLI and Cursor get hooks as well, by \
which they ask AECL before each of their own tools (see `aecl hook`).")]
pub struct Args {
    /// Which client.
    #[arg(value_enum)]
    client: Client,
    /// The agent that acts through it.
    #[arg(long, default_value = "assistant", value_name = "ID")]
    agent: String,
    /// Change the files without asking.
    #[arg(long, conflicts_with = "undo")]
    yes: bool,
    /// Take back what was changed.
    #[arg(long)]
    undo: bool,
}

/// Runs it.
pub fn run(common: &Common, args: Args) -> Result {
    let home = Home::new(&common.dir);
    if !home.config().exists() {
        return Err(Error::new(format!("there is no home: no `{}`", home.config().display()))
            .hint(format!("`aecl init --client {}` makes one and does this", args.client.name())));
    }
    if args.undo {
        return take_back(common, &home, args.client);
    }
    apply(common, &home, args.client, &AgentId::new(&args.agent)?, args.yes)
}

/// The names of the servers that a client starts, for a manifest that allows them.
pub(super) fn servers(client: Client) -> std::result::Result<Vec<String>, Error> {
    let front = front(String::new(), String::new())?;
    let mut names = Vec::new();
    for (place, text) in existing(client)? {
        names.extend(plan(&front, client, &place, &text)?.wrapped);
    }
    names.sort();
    names.dedup();
    Ok(names)
}

/// Whether every server of this name that a client's files have is started with AECL in front of it. What cannot be read
/// is not.
pub(super) fn is_in_front(client: Client, server: &str, project: &Path, home: &Path) -> bool {
    let front = Front {
        program: std::env::current_exe().map_or_else(|_| "aecl".into(), |p| p.display().to_string()),
        home: home.canonicalize().unwrap_or_default().display().to_string(),
        agent: String::new(),
        project: project.to_owned(),
    };
    let mut found = false;
    let mut places = client.places(project, user().as_deref());
    // Codex lays that of a project which is trusted over the user's.
    if let Some(of_user) = places.first().filter(|_| client == Client::Codex).cloned() {
        places.push(Place { file: project.join(".codex/config.toml"), ..of_user });
    }
    for place in places {
        let text = match input::text(&place.file, FILE_MAX_BYTES) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
            Err(_) => return false,
        };
        match front.is_in_front_of(client, &place, &text, server) {
            Ok(None) => {}
            Ok(Some(true)) => found = true,
            Ok(Some(false)) | Err(_) => return false,
        }
    }
    found
}

/// The server among a client's own whose tool this is, where the client writes both with a `-` between them. Nothing where
/// none fits, more than one, or a file cannot be read.
pub(super) fn server_of(client: Client, tool: &str, project: &Path) -> Option<(String, String)> {
    let mut names = BTreeSet::new();
    for place in client.places(project, user().as_deref()) {
        let text = match input::text(&place.file, FILE_MAX_BYTES) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
            Err(_) => return None,
        };
        for list in &place.lists {
            let list: Vec<&str> = list.iter().map(String::as_str).collect();
            let Some(servers) = json::at(&text, &list).ok()? else { continue };
            names.extend(json::members(&text, &servers).ok()?.into_iter().map(|member| member.name));
        }
    }
    let fits = |server: &String| {
        Some((server.clone(), tool.strip_prefix(server.as_str())?.strip_prefix('-')?.to_owned()))
    };
    let mut found = names.iter().filter_map(fits);
    found.next().filter(|_| found.next().is_none())
}

/// Coding agents that this user has used, and what they are called.
pub(super) fn found() -> Vec<(Client, &'static str)> {
    let all = [
        (Client::Claude, ".claude", "Claude Code"),
        (Client::Codex, ".codex", "Codex CLI"),
        (Client::Gemini, ".gemini", "Gemini CLI"),
        (Client::Copilot, ".copilot", "GitHub Copilot CLI"),
        (Client::Cursor, ".cursor", "Cursor"),
    ];
    let is_here = |dir: &str| user().is_some_and(|user| user.join(dir).is_dir());
    all.into_iter().filter(|(_, dir, _)| is_here(dir)).map(|(client, _, name)| (client, name)).collect()
}

/// Puts AECL in front of a client's servers.
pub(super) fn apply(common: &Common, home: &Home, client: Client, agent: &AgentId, yes: bool) -> Result {
    let front = front(real(home)?.display().to_string(), agent.to_string())?;
    let mut changes: Vec<(Place, Option<String>, Planned)> = Vec::new();
    let mut left = Vec::new();
    let files = existing(client)?;
    for (place, text) in &files {
        let planned = plan(&front, client, place, text)?;
        left.extend(planned.left.iter().cloned());
        if !planned.wrapped.is_empty() {
            changes.push((place.clone(), Some(text.clone()), planned));
        }
    }
    if changes.is_empty() && left.is_empty() {
        changes.push(first(&front, client, files)?);
    }
    let has_hooks = hooks::add(&front, client, &mut changes)?;
    for (name, why) in &left {
        show::say(&format!("aecl: `{}` stays as it is: {}", show::inert_line(name), show::inert_line(why)));
    }
    for (name, note) in changes.iter().flat_map(|(_, _, planned)| &planned.noted) {
        show::say(&format!(
            "aecl: `{}` is treated like any other server: {}",
            show::inert_line(name),
            show::inert_line(note)
        ));
    }
    for (place, before, planned) in &changes {
        differs(&place.file, before.as_deref().unwrap_or_default(), &planned.text);
    }
    if changes.is_empty() {
        show::say("aecl: nothing to change");
        return Ok(Exit::Done);
    }
    if !yes && !agreed()? {
        show::say("aecl: nothing was changed");
        return Ok(Exit::Refused);
    }
    let mut files = Vec::new();
    let mut wrapped = Vec::new();
    for (place, before, planned) in changes {
        let (entries, hooks) = (planned.entries, planned.hooks);
        kept::change(home, client.name(), &place.file, before, &planned.text, entries, hooks)?;
        files.push(place.file);
        wrapped.extend(planned.wrapped);
    }
    not_allowed(home, agent, &wrapped);
    if has_hooks {
        hooks::catalogue(home, agent)?;
    }
    if common.json {
        show::print_json(&json!({ "client": client.name(), "files": files, "servers": wrapped }));
        return Ok(Exit::Done);
    }
    let aecl = show::aecl(common);
    if has_hooks && client == Client::Codex {
        show::say(
            "aecl: Codex runs no hook that you have not trusted, and says nothing: type `/hooks` in it, and trust these",
        );
    }
    show::say(&format!("aecl: restart the client; `{aecl} approvals watch` tells what waits for you"));
    show::say(&format!("aecl: `{aecl} wrap {} --undo` takes it back", client.name()));
    Ok(Exit::Done)
}

/// Shows what changes in a file.
fn differs(file: &Path, before: &str, after: &str) {
    let diff = TextDiff::from_lines(before, after).unified_diff().context_radius(1).to_string();
    show::say(&format!("{}\n{}", file.display(), diff.trim_end()));
}

fn front(home: String, agent: String) -> std::result::Result<Front, Error> {
    let program = std::env::current_exe().map_or_else(|_| "aecl".into(), |p| p.display().to_string());
    Ok(Front { program, home, agent, project: project()? })
}

fn real(home: &Home) -> std::result::Result<PathBuf, Error> {
    let failed = |e| Error::new(format!("cannot find `{}`: {e}", home.dir().display()));
    home.dir().canonicalize().map_err(failed)
}

fn plan(front: &Front, client: Client, place: &Place, text: &str) -> std::result::Result<Planned, Error> {
    front.plan(client, place, text).map_err(|why| {
        Error::new(format!("`{}` cannot be read: {why}", place.file.display()))
            .hint("correct the file; nothing was changed")
    })
}

/// A server that serves this directory, where the client has none.
fn first(
    front: &Front,
    client: Client,
    files: Vec<(Place, String)>,
) -> std::result::Result<(Place, Option<String>, Planned), Error> {
    let project = project()?;
    let command = ["npx", "-y", "@modelcontextprotocol/server-filesystem", &project.display().to_string()];
    let command = command.map(str::to_owned);
    let (place, before) = match files.into_iter().next() {
        Some((place, text)) => (place, Some(text)),
        None => {
            let place = client.places(&project, user().as_deref()).into_iter().next();
            (
                place.ok_or_else(|| {
                    Error::new("HOME names no directory, so there is no file of this client")
                })?,
                None,
            )
        }
    };
    let text = before.clone().unwrap_or_default();
    let planned = front.add(client, &place, &text, "filesystem", &command);
    let planned =
        planned.map_err(|why| Error::new(format!("`{}` cannot be read: {why}", place.file.display())))?;
    Ok((place, before, planned))
}

fn project() -> std::result::Result<PathBuf, Error> {
    std::env::current_dir().map_err(|e| Error::new(format!("the current directory is gone: {e}")))
}

pub(super) fn user() -> Option<PathBuf> {
    std::env::var_os("HOME").map(PathBuf::from).filter(|dir| dir.is_absolute())
}

/// The client's files that there are, with their text. Of a link, what it leads to is changed: of the user's own any, of
/// the project's one that stays in the project.
fn existing(client: Client) -> std::result::Result<Vec<(Place, String)>, Error> {
    let (project, mut found) = (project()?, Vec::new());
    for place in client.places(&project, user().as_deref()) {
        if place.file.starts_with(&project) && user().is_none_or(|user| user != project) {
            stays_within(&project, &place.file)?;
        }
        let Ok(file) = place.file.canonicalize() else { continue };
        let fail = |why: String| Error::new(format!("cannot read `{}`: {why}", file.display()));
        let text = input::text(&file, FILE_MAX_BYTES).map_err(|e| fail(e.to_string()))?;
        found.push((Place { file, ..place }, text));
    }
    Ok(found)
}

/// The text of a file in the project or of the user, if there is one.
fn existing_file(project: &Path, file: &Path) -> std::result::Result<Option<String>, Error> {
    if file.starts_with(project) && user().is_none_or(|user| user != project) {
        stays_within(project, file)?;
    }
    if file.symlink_metadata().is_err() {
        return Ok(None);
    }
    let text = input::text(file, FILE_MAX_BYTES);
    text.map(Some).map_err(|e| Error::new(format!("cannot read `{}`: {e}", file.display())))
}

/// Refuses a path in a project along which a link leads out of it, or to what is not there.
fn stays_within(project: &Path, file: &Path) -> std::result::Result<(), Error> {
    let there = |path: &&Path| path.symlink_metadata().is_ok();
    let Some(last) = file.ancestors().take_while(|path| *path != project).find(there) else { return Ok(()) };
    let root = project.canonicalize();
    if last.canonicalize().is_ok_and(|real| root.is_ok_and(|root| real.starts_with(root))) {
        return Ok(());
    }
    Err(Error::new(format!("`{}` leads out of the project; nothing was changed", file.display())).hint(
        "whoever wrote the project chose where the link leads; put a file in its place, or change the other one yourself",
    ))
}

/// Asks on the terminal.
fn agreed() -> std::result::Result<bool, Error> {
    if !std::io::stdin().is_terminal() {
        return Err(
            Error::new("there is nobody to ask; nothing was changed").hint("`--yes` changes the files")
        );
    }
    eprint!("Change it? [y/N] ");
    drop(std::io::stderr().flush());
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).map_err(|e| Error::new(format!("no answer: {e}")))?;
    Ok(matches!(line.trim(), "y" | "Y" | "yes"))
}

/// Says which of the servers the agent may not use yet.
fn not_allowed(home: &Home, agent: &AgentId, servers: &[String]) {
    let Ok(bundle) = loader::load(&home.policy()) else { return };
    let allowed = |server: &String| {
        let prefix = format!("{server}.");
        bundle
            .agent(agent)
            .is_some_and(|manifest| manifest.allowed_actions.iter().any(|name| name.starts_with(&prefix)))
    };
    for server in servers.iter().filter(|server| !allowed(server)) {
        show::say(&format!(
            "aecl: the agent `{agent}` may not use `{server}` yet; add `{server}.*` to `allowed_actions` of its manifest in `{}`",
            home.policy().join("agents").display()
        ));
    }
}

fn take_back(common: &Common, home: &Home, client: Client) -> Result {
    let undone = kept::way_back(home, Some(client.name()))?.go()?;
    told(common, ("client", client.name().into()), &undone);
    Ok(if undone.left.is_empty() { Exit::Done } else { Exit::Failed })
}

/// Tells what became of changes, and whose they are.
fn told(common: &Common, (key, whose): (&str, serde_json::Value), undone: &kept::Undone) {
    let shown = |file: &Path| show::inert_line(&file.display().to_string());
    if common.json {
        let parts: Vec<_> =
            undone.parts.iter().map(|(file, servers)| json!({ "file": file, "servers": servers })).collect();
        let stays = undone.left.iter();
        let stays: Vec<_> =
            stays.map(|(file, server, why)| json!({ "file": file, "server": server, "why": why })).collect();
        let left: Vec<_> = undone.left.iter().map(|(file, ..)| file).collect();
        show::print_json(&json!({
            (key): whose, "undone": undone.files, "in_part": parts, "left": left, "stays": stays,
        }));
    } else {
        for file in &undone.files {
            show::say(&format!("aecl: `{}` is as it was", shown(file)));
        }
        for (file, servers) in &undone.parts {
            let servers: Vec<_> =
                servers.iter().map(|name| format!("`{}`", show::inert_line(name))).collect();
            let what = match servers.is_empty() {
                true => "nothing of AECL is taken out of it".to_owned(),
                false => format!("AECL is not in front of {} any more", servers.join(", ")),
            };
            show::say(&format!(
                "aecl: `{}` was changed since: {what}, and everything else stays as it is",
                shown(file)
            ));
        }
        for (file, server, why) in &undone.left {
            let what = server.as_ref().map_or_else(
                || format!("`{}`", shown(file)),
                |name| format!("`{}` in `{}`", show::inert_line(name), shown(file)),
            );
            show::say(&format!("aecl: {what} stays as it is: {}", show::inert_line(why)));
        }
        if !undone.left.is_empty() {
            show::say("hint: correct that yourself, or put back what AECL wrote and run this again");
        }
        if undone.files.is_empty() && undone.parts.is_empty() && undone.left.is_empty() {
            show::say("aecl: nothing was changed for this client");
        }
    }
}
