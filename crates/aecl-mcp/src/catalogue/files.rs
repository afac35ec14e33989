//! The files behind imported tools. Each change is compiled with the whole bundle before it is written, so
//! that no server can break the policy by what it says about itself.

use super::definition::{Definition, companions};
use super::desk::{Desk, name_of, seen};
use super::disk::{CatalogueError, lock, read, said_file, seen_file, write};
use super::guesses;
use super::seen::Seen;
use super::terms::{Terms, retimed, tool_of};
use crate::names;
use aecl_executor::connectors::mcp::Transport;
use aecl_gate::config::Home;
use aecl_kernel::base::digest::Digest;
use aecl_kernel::define::manifest::AgentManifest;
use aecl_kernel::policy::bundle::Bundle;
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;

/// Tools that an import has added, and those that it has not.
#[derive(Debug, Default, Clone, Serialize)]
pub struct Imported {
    /// Entries that are new.
    pub added: Vec<String>,
    /// What was guessed about each from its definition, for review, and `why`.
    pub guessed: BTreeMap<String, Value>,
    /// Tools that the catalogue cannot hold, and why.
    pub refused: Vec<(String, String)>,
    /// Entries that have other arguments now.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<String>,
    /// Tools that nobody may use until a person accepts them.
    pub kept_back: Vec<String>,
}

/// Importer of tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportedBy {
    /// A person, who is shown what was guessed.
    Person,
    /// The gateway, when it meets them.
    Gateway,
}

/// Takes tools that the catalogue does not know into it. `reached` is how their server was reached.
///
/// What the gateway meets at a server that was known already may be new because somebody else wanted it there. Where agents may
/// use it by a wildcard alone, it is put aside until a person accepts it: nobody has chosen it, and its very text is a stranger's.
///
/// # Errors
/// When files cannot be read or written, or the policy does not load as it is.
pub fn import(
    home: &Home,
    server: &str,
    reached: &Transport,
    by: ImportedBy,
    tools: &[Definition],
) -> Result<Imported, CatalogueError> {
    let desk = Desk::open(home, server)?;
    let terms = Terms::of(home, server, Some(reached));
    let catalogue = desk.bundle.catalogue();
    let mut report = Imported::default();
    let known = seen(home, server)?;
    let is_known = known.values().any(|seen| seen.accepted.is_some());
    let mut fresh: Vec<(String, Value, Option<&Definition>)> = Vec::new();
    let mut put_aside: Vec<&Definition> = Vec::new();
    for entry in companions(server) {
        let name = name_of(&entry);
        if catalogue.find(&name).is_none() {
            fresh.push((name, entry, None));
        }
    }
    for tool in tools {
        let name = names::action(server, &tool.name);
        if catalogue.find(&name).is_some() || fresh.iter().any(|(known, _, _)| *known == name) {
            continue;
        }
        match tool.entry(server, terms.annotations) {
            Ok(_) if by == ImportedBy::Gateway && is_known && !is_chosen(&desk.bundle, &name) => {
                put_aside.push(tool);
            }
            Ok(entry) => fresh.push((name, entry, Some(tool))),
            Err(message) => report.refused.push((tool.name.clone(), message)),
        }
    }
    if !put_aside.is_empty() {
        desk.note(server, |seen| {
            for tool in &put_aside {
                seen.entry(tool.name.clone()).or_default().offered = Some(tool.pinned.clone());
            }
        })?;
        report.kept_back = put_aside.iter().map(|tool| tool.name.clone()).collect();
    }
    let mut entries = desk.entries.clone();
    let timed = retimed(server, &mut entries, &known, terms.timeout_ms);
    if fresh.is_empty() && timed.is_empty() {
        return Ok(report);
    }
    for (_, entry, _) in &mut fresh {
        terms.fill(entry);
    }
    let before = entries.clone();
    entries.extend(fresh.iter().map(|(_, entry, _)| entry.clone()));
    if desk.compile(&entries).is_err() {
        // One entry spoils the whole; the others are taken one by one.
        entries.clone_from(&before);
        fresh.retain(|(name, entry, _)| {
            entries.push(entry.clone());
            let spoilt = desk.compile(&entries).err();
            if let Some(message) = spoilt {
                entries.pop();
                report.refused.push((name.clone(), message));
                return false;
            }
            true
        });
    }
    desk.write(&entries)?;
    desk.note(server, |seen| {
        for tool in timed {
            seen.entry(tool).or_default().timeout_ms = Some(terms.timeout_ms);
        }
        for (name, _, tool) in &fresh {
            let accepted = tool.map(|tool| tool.pinned.clone());
            let known = Seen { accepted, timeout_ms: Some(terms.timeout_ms), ..Seen::default() };
            seen.insert(tool_of(server, name), known);
        }
    })?;
    for (name, entry, _) in &fresh {
        report.guessed.insert(name.clone(), guessed(entry));
    }
    report.added = fresh.into_iter().map(|(name, _, _)| name).collect();
    Ok(report)
}

/// What was guessed about a new entry, and why.
pub(super) fn guessed(entry: &Value) -> Value {
    let keys =
        ["effect", "severity", "egress", "reversibility", "approval", "args", "outputs", "intent", "cases"];
    let mut guess: Map<String, Value> =
        keys.into_iter().filter_map(|key| Some((key.to_owned(), entry.get(key)?.clone()))).collect();
    guess.insert("why".into(), Value::Object(guesses::why(entry)));
    Value::Object(guess)
}

/// Whether some manifest names it, and none covers it by a wildcard alone: what one agent is meant to have is not for all.
fn is_chosen(bundle: &Bundle, action: &str) -> bool {
    let mut named = false;
    let all = bundle.agents().all(|agent| {
        let names = agent.allowed_actions.contains(action);
        named |= names;
        names || !AgentManifest::lists(&agent.allowed_actions, action)
    });
    named && all
}

/// Puts aside how a server defines a tool now that is something else in the catalogue.
///
/// # Errors
/// When the file cannot be written.
pub fn quarantine(home: &Home, server: &str, tool: &Definition) -> Result<(), CatalogueError> {
    let _lock = lock(home)?;
    let mut all = seen(home, server)?;
    let seen = all.entry(tool.name.clone()).or_default();
    (seen.offered, seen.left_out) = (Some(tool.pinned.clone()), None);
    write(&seen_file(home, server), &all)
}

/// Notes of tools that stand as they were accepted that no other definition is offered any more, and with which title
/// and `_meta` they would be, if those are left out.
///
/// # Errors
/// When files cannot be read or written.
pub fn settle(home: &Home, server: &str, tools: Vec<(String, Option<Value>)>) -> Result<(), CatalogueError> {
    let _lock = lock(home)?;
    let mut all = seen(home, server)?;
    let before = all.clone();
    for (tool, left_out) in tools {
        // What is new waits on.
        if left_out.is_none() && all.get(&tool).is_none_or(Seen::is_new) {
            continue;
        }
        let seen = all.entry(tool).or_default();
        (seen.offered, seen.left_out) = (None, left_out);
    }
    if all == before { Ok(()) } else { write(&seen_file(home, server), &all) }
}

/// Puts the definition that the server offers now in the place of the one in the catalogue, or beside the others if it is new.
/// Gives the entry.
///
/// # Errors
/// When nothing else is offered, or the bundle would not load with it.
pub fn accept(home: &Home, server: &str, tool: &str) -> Result<Value, CatalogueError> {
    let mut accepted = accept_all(home, server, &[tool.to_owned()])?;
    accepted.pop().map_or_else(|| Err(nothing_waits(&names::action(server, tool))), |(_, entry)| Ok(entry))
}

/// The same for several tools of a server, all of them or none. Gives the entries by the tools' names.
///
/// # Errors
/// As [`accept`].
pub fn accept_all(
    home: &Home,
    server: &str,
    tools: &[String],
) -> Result<Vec<(String, Value)>, CatalogueError> {
    let seen = seen(home, server)?;
    let tools: Vec<(String, Option<Digest>)> =
        tools.iter().map(|tool| (tool.clone(), seen.get(tool).and_then(Seen::waiting_digest))).collect();
    accept_these(home, server, &tools)
}

/// The same for tools that wait with these digests, and with no others.
///
/// # Errors
/// As [`accept`], and when something else waits by now.
pub fn accept_these(
    home: &Home,
    server: &str,
    tools: &[(String, Option<Digest>)],
) -> Result<Vec<(String, Value)>, CatalogueError> {
    let desk = Desk::open(home, server)?;
    let terms = Terms::of(home, server, None);
    let mut waiting = seen(home, server)?;
    let (mut entries, mut accepted, mut pinned) = (desk.entries.clone(), Vec::new(), Vec::new());
    for (tool, digest) in tools {
        let name = names::action(server, tool);
        let refused = |message: String| CatalogueError::Refused { name: name.clone(), message };
        let waits = waiting.remove(tool).unwrap_or_default();
        let offered = waits.waiting().ok_or_else(|| nothing_waits(&name))?;
        if waits.waiting_digest() != *digest {
            return Err(CatalogueError::Unseen(name));
        }
        let offered = Definition::of_pinned(offered.clone()).map_err(refused)?;
        let place = entries.iter_mut().find(|entry| name_of(entry) == name);
        let entry = match place {
            Some(place) => {
                let empty = Map::new();
                let before = place.as_object().unwrap_or(&empty);
                let guessed = waits.accepted.clone().and_then(|it| Definition::of_pinned(it).ok());
                let guessed = guessed.and_then(|it| it.entry(server, terms.annotations).ok());
                *place = offered
                    .accepted_over(server, terms.annotations, before, guessed.as_ref())
                    .map_err(refused)?;
                place.clone()
            }
            None if desk.bundle.catalogue().find(&name).is_some() => {
                let file = desk.path.display();
                return Err(CatalogueError::Unknown(format!(
                    "`{name}` is not in `{file}`; it is declared elsewhere in the policy"
                )));
            }
            None => {
                let mut entry = offered.entry(server, terms.annotations).map_err(refused)?;
                terms.fill(&mut entry);
                entries.push(entry.clone());
                entry
            }
        };
        accepted.push((tool.clone(), entry));
        pinned.push((tool.clone(), offered.pinned));
    }
    let names = || tools.iter().map(|(tool, _)| tool.as_str()).collect::<Vec<_>>().join(", ");
    let refused = |message: String| CatalogueError::Refused { name: names(), message };
    desk.compile(&entries).map_err(refused)?;
    desk.write(&entries)?;
    desk.note(server, |seen| {
        for (tool, pinned) in pinned {
            let seen = seen.entry(tool).or_default();
            let timeout_ms = seen.timeout_ms.or(Some(terms.timeout_ms));
            *seen = Seen { accepted: Some(pinned), timeout_ms, ..Seen::default() };
        }
    })?;
    Ok(accepted)
}

fn nothing_waits(name: &str) -> CatalogueError {
    CatalogueError::Unknown(format!(
        "nothing waits to be accepted for `{name}`; nobody was offered another definition"
    ))
}

/// Changes entries of a server's tools, all of them or none: `change` is given each entry by its action's name, and says whether
/// it has changed it. Gives the names of those that have.
///
/// # Errors
/// When files cannot be read or written, or the bundle would not load with it.
pub fn amend(
    home: &Home,
    server: &str,
    mut change: impl FnMut(&str, &mut Map<String, Value>) -> bool,
) -> Result<Vec<String>, CatalogueError> {
    let desk = Desk::open(home, server)?;
    let (mut entries, mut changed) = (desk.entries.clone(), Vec::new());
    for entry in &mut entries {
        let name = name_of(entry);
        if entry.as_object_mut().is_some_and(|entry| change(&name, entry)) {
            changed.push(name);
        }
    }
    if !changed.is_empty() {
        let refused = |message: String| CatalogueError::Refused { name: changed.join(", "), message };
        desk.compile(&entries).map_err(refused)?;
        desk.write(&entries)?;
    }
    Ok(changed)
}

/// Notes what of a server was shown to somebody, of its tools or of what it says: names, and digests of what waits.
///
/// # Errors
/// When the file cannot be read or written.
pub fn note_shown(
    home: &Home,
    server: &str,
    is_said: bool,
    whom: &str,
    shown: &[(String, Option<Digest>)],
) -> Result<(), CatalogueError> {
    let _lock = lock(home)?;
    let file = if is_said { said_file(home, server) } else { seen_file(home, server) };
    let mut all: BTreeMap<String, Seen> = read(&file)?.unwrap_or_default();
    let before = all.clone();
    for (name, digest) in shown {
        if let (Some(seen), Some(digest)) = (all.get_mut(name), digest) {
            seen.show(whom, *digest);
        }
    }
    if all == before { Ok(()) } else { write(&file, &all) }
}

/// When what was seen of a server's tools changed last.
#[must_use]
pub fn changed_at(home: &Home, server: &str) -> Option<std::time::SystemTime> {
    fs::metadata(seen_file(home, server)).and_then(|meta| meta.modified()).ok()
}

/// The servers of which definitions were seen, or something was heard.
///
/// # Errors
/// When a directory cannot be read.
pub fn servers(home: &Home) -> Result<BTreeSet<String>, CatalogueError> {
    let mut names = BTreeSet::new();
    for folder in ["tools", "said"] {
        let dir = home.data().join(folder);
        let fail = |source| CatalogueError::File { tried: "read", path: dir.clone(), source };
        let entries = match fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(fail(error)),
        };
        for entry in entries {
            let name = entry.map_err(fail)?.file_name().to_string_lossy().into_owned();
            names.extend(name.strip_suffix(".json").filter(|name| names::is_server(name)).map(str::to_owned));
        }
    }
    Ok(names)
}
