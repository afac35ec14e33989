//! `aecl policy diff`: what changes from one bundle to another, for each agent and action, in words.

mod calls;

use super::outlook::{self, Look};
use crate::cli::show::{self, Page, Table, Tone, count};
use crate::cli::{Common, Exit, Result};
use aecl_gate::loader;
use aecl_kernel::base::id::{ActionName, AgentId, Environment, UserId};
use aecl_kernel::define::catalogue::TypedAction;
use aecl_kernel::define::manifest::AgentManifest;
use aecl_kernel::policy::bundle::Bundle;
use calls::Call;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;

/// Which way it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Way {
    Looser,
    Stricter,
    Other,
}

/// How it looks for an agent and an action, before and after.
#[derive(Debug, Serialize)]
struct Pair {
    agent: AgentId,
    action: ActionName,
    #[serde(skip_serializing_if = "Option::is_none")]
    when: Option<String>,
    way: Way,
    was: String,
    now: String,
}

/// Something else that is not the same.
#[derive(Debug, Serialize)]
struct Change {
    what: String,
    said: String,
}

#[derive(Debug, Serialize)]
struct Difference {
    environment: String,
    pairs: Vec<Pair>,
    rules: Vec<Change>,
    agents: Vec<Change>,
    actions: Vec<Change>,
    people: Vec<Change>,
}

pub(super) fn run(common: &Common, old: &Path, new: &Path, environment: &str, exit_code: bool) -> Result {
    let environment = Environment::new(environment)?.to_string();
    let (old, new) = (loader::load(old)?, loader::load(new)?);
    let difference = Difference {
        pairs: pairs(&old, &new, &environment),
        rules: rules(&old, &new),
        agents: agents(&old, &new),
        actions: actions(&old, &new),
        people: people(&old, &new),
        environment,
    };
    let same = old.hash() == new.hash();
    let changes = [&difference.rules, &difference.agents, &difference.actions, &difference.people];
    let n = difference.pairs.len() + changes.map(Vec::len).iter().sum::<usize>();
    if common.json {
        show::print_json(
            &json!({"same": same, "changes": n, "old": old.hash(), "new": new.hash(), "difference": difference}),
        );
    } else {
        page(&difference, same).print();
    }
    Ok(if exit_code && n > 0 { Exit::Failed } else { Exit::Done })
}

fn pairs(old: &Bundle, new: &Bundle, environment: &str) -> Vec<Pair> {
    let agents: BTreeSet<&AgentId> = old.agents().chain(new.agents()).map(|a| &a.agent_id).collect();
    let names: BTreeSet<&ActionName> =
        old.catalogue().iter().chain(new.catalogue().iter()).map(|(name, _)| name).collect();
    let mut out = Vec::new();
    for agent in agents {
        let calls =
            names.iter().flat_map(|name| calls::of(old, new, name).into_iter().map(move |call| (name, call)));
        for (name, call) in calls {
            let look = |bundle| look(bundle, agent, name, &call, environment);
            let (was, now) = (look(old), look(new));
            if was == now {
                continue;
            }
            let way = match (strictness(was.0), strictness(now.0)) {
                (before, after) if after < before => Way::Looser,
                (before, after) if after > before => Way::Stricter,
                _ => Way::Other,
            };
            let said = |(look, why): &(Option<Look>, String)| {
                let word = look.map_or("does not exist", outlook::word);
                if why.is_empty() { word.to_owned() } else { format!("{word}: {why}") }
            };
            out.push(Pair {
                agent: agent.clone(),
                action: (*name).clone(),
                when: call.told(),
                way,
                was: said(&was),
                now: said(&now),
            });
        }
    }
    out
}

/// How it looks, and why. An agent or action that is not there is blocked like what is not listed.
fn look(
    bundle: &Bundle,
    agent: &AgentId,
    name: &ActionName,
    call: &Call,
    environment: &str,
) -> (Option<Look>, String) {
    let (Some(agent), Some(typed)) = (bundle.agent(agent), bundle.catalogue().find(name.as_str())) else {
        return (None, String::new());
    };
    let outlook = outlook::of(bundle, agent, call.judged_by(typed), environment);
    let mut why = outlook.why;
    if outlook.look != Look::Blocked {
        let rules = bundle.policies().own_rules().iter();
        let mine =
            |pairs: &[(AgentId, ActionName)]| pairs.iter().any(|(a, n)| *a == agent.agent_id && n == name);
        let mut own: Vec<&str> = rules
            .filter(|(_, r)| mine(&r.pairs))
            .map(|(id, _)| id.rsplit('#').next().unwrap_or(id))
            .collect();
        own.sort_unstable();
        if !own.is_empty() {
            why.push(format!("rules that may say more: {}", own.join(", ")));
        }
    }
    (Some(outlook.look), why.join("; "))
}

fn strictness(look: Option<Look>) -> u8 {
    match look {
        Some(Look::Allowed) => 0,
        Some(Look::Asks) => 1,
        Some(Look::OnlyToUndo) => 2,
        Some(Look::Blocked) | None => 3,
    }
}

fn rules(old: &Bundle, new: &Bundle) -> Vec<Change> {
    let (before, after) = (old.policies().own_rules(), new.policies().own_rules());
    let ids: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let change = |id: &str, said: String| Change { what: id.to_owned(), said };
    let tier = |bundle: &Bundle| bundle.cages().untrusted_tier;
    let tiers = (tier(old) != tier(new)).then(|| {
        let way = if tier(new) < tier(old) { "weaker" } else { "stronger" };
        change(
            &new.file_of("sandbox"),
            format!(
                "after text of strangers programs ran in `{}`, and run in `{}`: {way}",
                tier(old),
                tier(new)
            ),
        )
    });
    let changed = ids.into_iter().filter_map(|id| match (before.get(id), after.get(id)) {
        (None, Some(rule)) => Some(change(
            id,
            format!("new: {} (for {} of agent and action)", rule.says, count(rule.pairs.len(), "pair")),
        )),
        (Some(rule), None) => Some(change(id, format!("gone: {}", rule.says))),
        (Some(a), Some(b)) if a.text != b.text => Some(change(id, format!("reads otherwise: {}", b.says))),
        (Some(_), Some(_)) | (None, None) => None,
    });
    tiers.into_iter().chain(changed).collect()
}

fn agents(old: &Bundle, new: &Bundle) -> Vec<Change> {
    let ids: BTreeSet<&AgentId> = old.agents().chain(new.agents()).map(|a| &a.agent_id).collect();
    // Lists and rules are told for each action already.
    let told = ["allowed_actions", "blocked_actions", "context_rules", "agent_id"];
    let json =
        |agent: Option<&std::sync::Arc<AgentManifest>>| agent.and_then(|a| serde_json::to_value(&**a).ok());
    ids.into_iter()
        .flat_map(|id| fields(&format!("agent {id}"), json(old.agent(id)), json(new.agent(id)), &told))
        .collect()
}

fn actions(old: &Bundle, new: &Bundle) -> Vec<Change> {
    let names: BTreeSet<&ActionName> =
        old.catalogue().iter().chain(new.catalogue().iter()).map(|(name, _)| name).collect();
    let json = |bundle: &Bundle, name: &ActionName| {
        let typed: Option<&std::sync::Arc<TypedAction>> = bundle.catalogue().find(name.as_str());
        typed.and_then(|t| serde_json::to_value(&t.manifest).ok())
    };
    names
        .into_iter()
        .flat_map(|name| fields(&format!("action {name}"), json(old, name), json(new, name), &["name"]))
        .collect()
}

/// What is a user's own proves where something goes in their runs.
fn people(old: &Bundle, new: &Bundle) -> Vec<Change> {
    let users: BTreeSet<_> = old.people().chain(new.people()).map(|person| &person.user).collect();
    let json = |bundle: &Bundle, user: &UserId| {
        let person = bundle.people().find(|person| person.user == *user);
        person.and_then(|person| serde_json::to_value(person).ok())
    };
    users
        .into_iter()
        .flat_map(|user| fields(&format!("user {user}"), json(old, user), json(new, user), &["user"]))
        .collect()
}

/// What two things of the same name do not have in common, one line for each key.
fn fields(what: &str, old: Option<Value>, new: Option<Value>, told: &[&str]) -> Vec<Change> {
    let change = |said: String| Change { what: what.to_owned(), said };
    let (old, new) = match (old, new) {
        (None, None) => return Vec::new(),
        (None, Some(_)) => return vec![change("new".into())],
        (Some(_), None) => return vec![change("gone".into())],
        (Some(old), Some(new)) => (old, new),
    };
    let empty = serde_json::Map::new();
    let (old, new) = (old.as_object().unwrap_or(&empty), new.as_object().unwrap_or(&empty));
    let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    keys.into_iter()
        .filter(|key| !told.contains(&key.as_str()) && old.get(*key) != new.get(*key))
        .map(|key| {
            let said = |value: Option<&Value>| match value {
                None | Some(Value::Null) => "nothing".to_owned(),
                Some(value) => {
                    let text = value.to_string();
                    let short: String = text.chars().take(120).collect();
                    if short.len() < text.len() { format!("{short}…") } else { short }
                }
            };
            change(format!("`{key}` was {}, is {}", said(old.get(key)), said(new.get(key))))
        })
        .collect()
}

fn page(difference: &Difference, same: bool) -> Page {
    let mut page = Page::new();
    if same {
        page.line("The same, byte for byte.");
        return page;
    }
    if !difference.pairs.is_empty() {
        page.heading(&format!("Who may do what, in {}", difference.environment));
        let mut table = Table::new(&["", "AGENT", "ACTION", "WAS", "IS"]);
        for pair in &difference.pairs {
            let (tone, word) = match pair.way {
                Way::Looser => (Tone::Mind, "looser"),
                Way::Stricter => (Tone::Good, "stricter"),
                Way::Other => (Tone::Quiet, "other"),
            };
            table.row(vec![
                (tone, word.into()),
                (Tone::Plain, pair.agent.to_string()),
                (Tone::Plain, outlook::where_called(&pair.action, pair.when.as_deref())),
                (Tone::Plain, pair.was.clone()),
                (Tone::Plain, pair.now.clone()),
            ]);
        }
        page.table(&table);
    }
    for (heading, changes) in [
        ("Rules", &difference.rules),
        ("Agents", &difference.agents),
        ("Actions", &difference.actions),
        ("People", &difference.people),
    ] {
        if !changes.is_empty() {
            page.heading(heading);
            for change in changes {
                page.item(&format!("{}: {}", show::inert_line(&change.what), show::inert_line(&change.said)));
            }
        }
    }
    let of = |way| difference.pairs.iter().filter(|p| p.way == way).count();
    page.line(format!(
        "{} looser, {} stricter, {} otherwise. Rules judge arguments: `aecl policy simulate` shows what they change.",
        of(Way::Looser),
        of(Way::Stricter),
        of(Way::Other)
    ));
    page
}
