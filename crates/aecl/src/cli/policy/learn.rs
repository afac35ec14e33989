//! `aecl policy learn`: a first manifest for each agent, from what it was seen to do. It is a proposal for
//! people: what was used is listed, what asked or changed something after a stranger's text asks again.

use crate::cli::log::source::Source;
use crate::cli::show::{self, count};
use crate::cli::{Common, Error, Exit, Result};
use aecl_gate::config::Home;
use aecl_gate::loader;
use aecl_kernel::base::id::{ActionId, RunId};
use aecl_kernel::policy::bundle::Bundle;
use aecl_kernel::record::decision::Verdict;
use aecl_kernel::record::event::{Event, OutcomeKind, Ruled};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Entries read at once.
const CHUNK: usize = 512;

/// What an agent was seen to do with one action.
#[derive(Debug, Default)]
struct Seen {
    proposed: u64,
    blocked: u64,
    asked: u64,
    done: u64,
    after_strangers: bool,
}

/// What an agent was seen to do.
#[derive(Debug, Default)]
struct Agent {
    actions: BTreeMap<String, Seen>,
    calls: BTreeMap<RunId, u64>,
    environments: BTreeSet<String>,
    tenants: BTreeSet<String>,
}

pub(super) fn run(common: &Common, only: Option<&str>, out: Option<&Path>) -> Result {
    let bundle = loader::load(&Home::new(&common.dir).policy())?;
    let mut agents = observe(&mut Source::open(common)?)?;
    agents.retain(|name, _| only.is_none_or(|only| only == name));
    if agents.is_empty() {
        let what = only.map_or_else(String::new, |a| format!(" of agent `{}`", show::inert_line(a)));
        return Err(Error::new(format!("nothing{what} is on record"))
            .hint("let agents work through AECL first; `aecl log tail` shows what is on record"));
    }
    let manifests: Vec<Value> = agents.iter().map(|(name, agent)| manifest(name, agent, &bundle)).collect();
    let text = serde_json::to_string_pretty(&manifests).unwrap_or_default();
    match out {
        None => drop(show::print(&format!("{text}\n"))),
        Some(path) => write(path, &text)?,
    }
    for (name, agent) in &agents {
        report(name, agent, &bundle);
    }
    show::say(
        "hint: review it, put it into policy/agents/, then `aecl policy check` and `aecl policy simulate --bundle DIR`",
    );
    Ok(Exit::Done)
}

/// A file that is there already holds what people decided; it is not overwritten.
fn write(path: &Path, text: &str) -> std::result::Result<(), Error> {
    use std::io::Write as _;
    let failed = |e: std::io::Error| {
        Error::new(format!("cannot write `{}`: {e}", path.display()))
            .hint("name a file that does not exist yet")
    };
    let mut file = std::fs::File::options().write(true).create_new(true).open(path).map_err(failed)?;
    file.write_all(format!("{text}\n").as_bytes()).map_err(failed)
}

fn observe(source: &mut Source) -> std::result::Result<BTreeMap<String, Agent>, Error> {
    let mut agents: BTreeMap<String, Agent> = BTreeMap::new();
    let mut of: BTreeMap<ActionId, (String, String)> = BTreeMap::new();
    let mut position = 0;
    loop {
        let rows = source.from(position, CHUNK)?;
        let Some(last) = rows.last() else { return Ok(agents) };
        position = last.entry.position + 1;
        for row in rows {
            match row.entry.event {
                // What the gate has looked up for itself, the agent need not be allowed.
                Event::Ruled(ruled) if ruled.credential.is_look() => {}
                Event::Ruled(ruled) => {
                    let name = ruled.principal.agent.to_string();
                    // Asked again after a yes, it is the same action.
                    let again = of.insert(ruled.action.clone(), (name.clone(), ruled.name.clone())).is_some();
                    see(agents.entry(name).or_default(), &ruled, again);
                }
                Event::Concluded(concluded) if concluded.outcome == OutcomeKind::Done => {
                    if let Some((agent, action)) = of.get(&concluded.action)
                        && let Some(seen) = agents.get_mut(agent).and_then(|a| a.actions.get_mut(action))
                    {
                        seen.done += 1;
                    }
                }
                _ => {}
            }
        }
    }
}

fn see(agent: &mut Agent, ruled: &Ruled, again: bool) {
    let principal = &ruled.principal;
    agent.environments.insert(principal.environment.to_string());
    agent.tenants.insert(principal.tenant.to_string());
    let seen = agent.actions.entry(ruled.name.clone()).or_default();
    seen.after_strangers |= ruled.facts.run.as_ref().is_some_and(|run| run.labels.untrusted);
    if !again {
        seen.proposed += 1;
        *agent.calls.entry(principal.run.clone()).or_default() += 1;
    }
    match ruled.decision.verdict {
        Verdict::Allow => {}
        Verdict::RequireApproval => seen.asked += 1,
        Verdict::Block => seen.blocked += 1,
    }
}

/// What happens to an action in the manifest.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    Allowed,
    Asks,
    LeftOut(&'static str),
}

fn place(name: &str, seen: &Seen, bundle: &Bundle) -> Place {
    let Some(typed) = bundle.catalogue().find(name) else {
        return Place::LeftOut("the catalogue does not have it");
    };
    if seen.done == 0 {
        return Place::LeftOut("it was never carried out");
    }
    let risky = typed.manifest.effect.changes_something() && (seen.after_strangers || seen.blocked > 0);
    if seen.asked > 0 || risky { Place::Asks } else { Place::Allowed }
}

fn manifest(name: &str, agent: &Agent, bundle: &Bundle) -> Value {
    let mut allowed = BTreeSet::new();
    let mut rules = Map::new();
    for (action, seen) in &agent.actions {
        match place(action, seen, bundle) {
            Place::Allowed => drop(allowed.insert(action.clone())),
            Place::Asks => drop(rules.insert(action.clone(), json!("requires_human_approval"))),
            Place::LeftOut(_) => {}
        }
    }
    let most = agent.calls.values().copied().max().unwrap_or(1);
    json!({
        "agent_id": name,
        "description": "Learned from the record; review it.",
        "allowed_actions": allowed,
        "context_rules": rules,
        // Twice what was seen, in tens.
        "max_tool_calls_per_run": (most * 2).div_ceil(10) * 10,
        "scopes": {"environments": agent.environments, "tenants": agent.tenants},
    })
}

fn report(name: &str, agent: &Agent, bundle: &Bundle) {
    let runs = count(agent.calls.len(), "run");
    show::say(&format!("{name}: {} in {runs}", count(agent.actions.len(), "action")));
    for (action, seen) in &agent.actions {
        let word = match place(action, seen, bundle) {
            Place::Allowed => "allowed".to_owned(),
            Place::Asks => "asks a person".to_owned(),
            Place::LeftOut(why) => format!("left out, {why}"),
        };
        show::say(&format!(
            "  {}: {word} (proposed {}, done {}, held {}, blocked {})",
            show::inert_line(action),
            seen.proposed,
            seen.done,
            seen.asked,
            seen.blocked
        ));
    }
}
