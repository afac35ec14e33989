//! Names that only this installation knows: what waits, who is there, what is on record.

use super::Offer;
use crate::cli::client;
use crate::cli::log::source::Source;
use crate::cli::show::Field as _;
use crate::cli::{Common, help};
use aecl_analysis::lint::LINTS;
use aecl_gate::config::{Config, Home};
use aecl_gate::loader;
use aecl_kernel::record::event::Entry;
use clap::Arg;
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;

/// Longest that a server is waited for. Somebody sits at the keyboard.
const PATIENCE: Duration = Duration::from_millis(500);
/// How far back in the record runs and actions are looked for.
const ENTRIES_MAX: usize = 500;

/// Names for this argument; nothing if it takes none that we know.
pub(super) fn of(common: &Common, path: &str, arg: &Arg) -> Option<Vec<Offer>> {
    let id = arg.get_id().as_str();
    Some(match (path, id) {
        ("help", _) => codes(),
        ("policy lint", "allow") => LINTS.iter().map(|(name, _, what)| offer(name, what)).collect(),
        ("approvals show" | "approvals approve" | "approvals reject", "id") => approvals(common),
        ("keys remove", "name") => keys(common),
        ("catalog diff" | "catalog accept", "names")
        | ("catalog import" | "mcp" | "servers login" | "servers logout", "server") => servers(common),
        ("keys add person", "groups") => groups(common),
        (_, "tenant" | "tenants") => tenants(common),
        ("log show", _) => both(common, Some("run_"), Some("act_")),
        ("log replay", "run") | (_, "run") => both(common, Some("run_"), None),
        ("rollback" | "resolve", "action") => both(common, None, Some("act_")),
        ("policy why", "action") => actions(common),
        ("explain", id) if Some(id) == first(arg) => {
            let mut found = agents(common);
            found.extend(both(common, None, Some("act_")));
            found
        }
        ("init" | "wrap", "agent") | (_, "agent" | "agents") => agents(common),
        _ => return None,
    })
}

/// The argument's own id, if it is the first without dashes.
fn first(arg: &Arg) -> Option<&str> {
    (arg.get_index() == Some(1)).then(|| arg.get_id().as_str())
}

fn offer(name: &str, what: &str) -> Offer {
    (name.to_owned(), what.to_owned())
}

fn codes() -> Vec<Offer> {
    let commands = crate::cli::command();
    let commands = commands.get_subcommands().filter(|sub| !sub.is_hide_set());
    let commands = commands.map(|sub| offer(sub.get_name(), "a command")).collect::<Vec<_>>();
    let codes = help::codes().map(|code| offer(code, &help::cause(code)));
    commands.into_iter().chain([offer("codes", "all codes")]).chain(codes).collect()
}

fn config(common: &Common) -> Option<Config> {
    Home::new(&common.dir).read().ok()
}

fn agents(common: &Common) -> Vec<Offer> {
    let Ok(bundle) = loader::load(&Home::new(&common.dir).policy()) else { return Vec::new() };
    bundle.agents().map(|agent| offer(agent.agent_id.as_str(), &agent.description)).collect()
}

fn actions(common: &Common) -> Vec<Offer> {
    let Ok(bundle) = loader::load(&Home::new(&common.dir).policy()) else { return Vec::new() };
    let all = bundle.catalogue().iter();
    all.map(|(name, typed)| offer(name.as_str(), typed.manifest.effect.name())).collect()
}

fn servers(common: &Common) -> Vec<Offer> {
    let config = config(common);
    config.iter().flat_map(|c| c.servers.keys()).map(|name| offer(name, "a server in aecl.yaml")).collect()
}

fn keys(common: &Common) -> Vec<Offer> {
    let Some(config) = config(common) else { return Vec::new() };
    let people = config.people.iter().map(|person| offer(person.id.as_str(), "a person"));
    let programs = config.orchestrators.iter().map(|o| offer(&o.id, "an orchestrator"));
    let workers = config.workers.iter().map(|worker| offer(&worker.id, "a worker"));
    let proxies = config.proxies.iter().map(|proxy| offer(&proxy.id, "a proxy"));
    people.chain(programs).chain(workers).chain(proxies).collect()
}

fn groups(common: &Common) -> Vec<Offer> {
    let config = config(common);
    let groups: BTreeSet<String> =
        config.iter().flat_map(|c| &c.people).flat_map(|person| person.groups.clone()).collect();
    groups.iter().map(|group| offer(group, "a group")).collect()
}

fn tenants(common: &Common) -> Vec<Offer> {
    let Some(config) = config(common) else { return Vec::new() };
    let people = config.people.iter().filter_map(|person| person.tenants.as_ref());
    let programs = config.orchestrators.iter().filter_map(|program| program.tenants.as_ref());
    let all: BTreeSet<_> = people.chain(programs).flatten().chain([&config.tenant]).collect();
    all.into_iter().map(|tenant| offer(tenant.as_str(), "a tenant")).collect()
}

/// What waits for people, as far as the key may see it. Where nobody serves, nothing can be asked, and nothing is
/// started for it.
fn approvals(common: &Common) -> Vec<Offer> {
    let Some(queue) = asked(common, "/v1/approvals?order=ending") else { return Vec::new() };
    let waits = queue.items("/approvals").iter();
    waits
        .map(|ask| (ask.text("/id"), format!("{} {}", ask.text("/number"), ask.text("/summary/title"))))
        .collect()
}

/// Runs and actions, the latest first. A key that is named sees what it may read; without one the files of the record
/// are read, as `aecl log` does.
fn both(common: &Common, run: Option<&str>, action: Option<&str>) -> Vec<Offer> {
    let entries = if common.key.is_some() { entries_asked(common) } else { entries_on_file(common) };
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for entry in entries.unwrap_or_default().iter().rev() {
        let (of_run, of_action) = (entry.run.as_ref(), entry.event.action());
        let of_run = run.and(of_run).map(ToString::to_string);
        let of_action = action.and(of_action).map(ToString::to_string);
        for name in [of_run, of_action].into_iter().flatten() {
            if seen.insert(name.clone()) {
                found.push((name, entry.at.to_string()));
            }
        }
    }
    found
}

fn entries_on_file(common: &Common) -> Option<Vec<Entry>> {
    let mut source = Source::open(common).ok()?;
    let from = source.size().ok()?.saturating_sub(ENTRIES_MAX as u64);
    let rows = source.store().entries(from, ENTRIES_MAX).ok()?;
    Some(rows.iter().filter_map(|(_, bytes)| serde_json::from_slice(bytes).ok()).collect())
}

fn entries_asked(common: &Common) -> Option<Vec<Entry>> {
    let size = asked(common, "/v1/ledger/entries?limit=1")?.pointer("/size")?.as_u64()?;
    let from = size.saturating_sub(ENTRIES_MAX as u64);
    let answer = asked(common, &format!("/v1/ledger/entries?from={from}&limit={ENTRIES_MAX}"))?;
    let entries = answer.pointer("/entries")?.as_array()?.iter();
    Some(entries.filter_map(|entry| serde_json::from_value(entry.clone()).ok()).collect())
}

/// What the server of this home answers, if there is one, with the key that would be used.
fn asked(common: &Common, path: &str) -> Option<Value> {
    // What lies in a project may be a stranger's, and so may its server: it hears no key for a press of Tab.
    if !common.names_dir() {
        return None;
    }
    let runtime = crate::cli::runtime_of_one_thread().ok()?;
    let ask = async {
        let client = client::served(common).await?;
        client.get(path).await.ok()
    };
    runtime.block_on(async { tokio::time::timeout(PATIENCE, ask).await.ok().flatten() })
}
