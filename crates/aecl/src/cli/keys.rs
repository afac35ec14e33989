//! `aecl keys`: keys for people, orchestrators, workers and proxies. A key is shown once; the configuration keeps its hash.

mod edit;
mod file;

use super::show::{self, Page, Table, Tone};
use super::{Common, Error, Exit, Result};
use aecl_gate::config::{Config, Home, Orchestrator, Person, ProxyKey, WorkerKey};
use aecl_gate::identity::{self, OPERATORS};
use aecl_gate::{keys as key_file, loader};
use aecl_kernel::base::digest::Digest;
use aecl_kernel::base::id::{AgentId, BadId, Environment, PersonId, TenantId};
use clap::Subcommand;
use serde_json::json;
use std::collections::BTreeSet;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aecl keys add person ann --group operators --group finance
  aecl keys add person bob --group finance --tenant alpha
  aecl keys add orchestrator planner --agent assistant
  aecl keys add orchestrator stage --agent assistant --tenant alpha --environment staging
  aecl keys add worker payments --action transfer_funds
  aecl keys add proxy envoy
  aecl keys list
  aecl keys remove ann

The key is printed once, to standard output. Keep it where only its owner reads it:
`(umask 077; aecl keys add person ann > ~/ann.key)`, and never in a project that agents work in.
It is sent as `Authorization: Bearer KEY`, or given to commands with --key or AECL_KEY.")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a key and put its hash into aecl.yaml.
    #[command(subcommand)]
    Add(Add),
    /// Show whose keys are known.
    List,
    /// Take a person, an orchestrator, a worker or a proxy out of aecl.yaml; the key is worth nothing from then on.
    Remove {
        /// Whom.
        name: String,
    },
}

#[derive(Debug, Subcommand)]
enum Add {
    /// Somebody who answers approvals.
    Person {
        /// The person's name.
        name: String,
        /// A group that approvals ask for. Members of `operators` may also kill, lift, roll back and resolve.
        #[arg(long = "group", value_name = "GROUP")]
        groups: Vec<String>,
        /// A tenant whose runs and requests this person may see and answer. Without one it is all of them.
        #[arg(long = "tenant", value_name = "TENANT")]
        tenants: Vec<String>,
    },
    /// A program that opens runs for agents.
    Orchestrator {
        /// The program's name.
        name: String,
        /// An agent it may open runs for.
        #[arg(long = "agent", value_name = "AGENT", required = true)]
        agents: Vec<String>,
        /// A tenant it may open and see runs in. Without one it is any.
        #[arg(long = "tenant", value_name = "TENANT")]
        tenants: Vec<String>,
        /// An environment it may open runs in. Without one it is that of the configuration.
        #[arg(long = "environment", value_name = "ENVIRONMENT")]
        environments: Vec<String>,
    },
    /// A program that carries out actions with credentials of its own. Its key holds the public key of this home, too, by
    /// which it knows that a call comes from here.
    Worker {
        /// The program's name.
        name: String,
        /// An action that it may serve.
        #[arg(long = "action", value_name = "ACTION", required = true)]
        actions: Vec<String>,
    },
    /// A proxy that asks before it lets a request of an agent through, such as Envoy.
    Proxy {
        /// The proxy's name.
        name: String,
    },
}

/// Runs it.
pub fn run(common: &Common, args: Args) -> Result {
    let home = Home::new(&common.dir);
    match args.command {
        Command::Add(Add::Person { name, groups, tenants }) => {
            add_person(common, &home, &name, groups, &tenants)
        }
        Command::Add(Add::Orchestrator { name, agents, tenants, environments }) => {
            let place = (read(&tenants, TenantId::new)?, read(&environments, Environment::new)?);
            add_orchestrator(common, &home, &name, &agents, place)
        }
        Command::Add(Add::Worker { name, actions }) => add_worker(common, &home, &name, actions),
        Command::Add(Add::Proxy { name }) => add_proxy(common, &home, &name),
        Command::List => list(common, &home),
        Command::Remove { name } => remove(common, &home, &name),
    }
}

/// Names that were given, or nothing where none was: then the entry says nothing of them.
fn read<T: Ord>(
    names: &[String],
    new: impl Fn(&str) -> std::result::Result<T, BadId>,
) -> std::result::Result<Option<BTreeSet<T>>, Error> {
    let names = names.iter().map(|name| new(name)).collect::<std::result::Result<BTreeSet<_>, _>>()?;
    Ok((!names.is_empty()).then_some(names))
}

/// A line of an entry, if there is anything to say.
fn line<T: ToString>(what: &str, names: Option<&BTreeSet<T>>) -> Option<String> {
    let names = names?.iter().map(ToString::to_string).collect();
    Some(format!("{what}: {}", edit::flow(&names)))
}

fn add_person(common: &Common, home: &Home, name: &str, groups: Vec<String>, tenants: &[String]) -> Result {
    let id = PersonId::new(name)?;
    let tenants = read(tenants, TenantId::new)?;
    let groups: BTreeSet<String> = groups.into_iter().collect();
    for group in &groups {
        PersonId::new(group).map_err(|_| {
            Error::new(format!("`{}` is no name for a group", show::inert_line(group)))
                .hint("take letters, digits and `_ - . : @ /`")
        })?;
    }
    let (key, hash) = identity::new_key('p')?;
    file::change(home, |config, text| {
        free(config, name)?;
        let mut entry =
            vec![format!("id: {}", edit::quoted(name)), format!("groups: {}", edit::flow(&groups))];
        entry.extend(line("tenants", tenants.as_ref()));
        entry.push(format!("key: {}", edit::quoted(&hash.to_string())));
        let text = edit::insert(text, "people", &entry)?;
        let mut wanted = config.clone();
        wanted.people.push(Person {
            id: id.clone(),
            groups: groups.clone(),
            tenants: tenants.clone(),
            names: BTreeSet::new(),
            key: hash,
        });
        Ok((text, wanted))
    })?;
    if groups.is_empty() {
        show::say(&format!("`{name}` is in no group, so no approval asks for them; give --group"));
    }
    let more = with_place(json!({"groups": groups}), tenants.as_ref(), None);
    hand_over(common, "person", name, more, &key, &hash)
}

/// What is said of a key, with the tenants and environments that it is for.
fn with_place(
    mut said: serde_json::Value,
    tenants: Option<&BTreeSet<TenantId>>,
    environments: Option<&BTreeSet<Environment>>,
) -> serde_json::Value {
    if let Some(said) = said.as_object_mut() {
        said.extend(tenants.map(|t| ("tenants".to_owned(), json!(t))));
        said.extend(environments.map(|e| ("environments".to_owned(), json!(e))));
    }
    said
}

fn add_orchestrator(
    common: &Common,
    home: &Home,
    name: &str,
    agents: &[String],
    (tenants, environments): (Option<BTreeSet<TenantId>>, Option<BTreeSet<Environment>>),
) -> Result {
    PersonId::new(name).map_err(|_| {
        Error::new(format!("`{}` is no name", show::inert_line(name)))
            .hint("take letters, digits and `_ - . : @ /`")
    })?;
    let agents = agents.iter().map(|a| AgentId::new(a)).collect::<std::result::Result<BTreeSet<_>, _>>();
    let agents = agents?;
    let (key, hash) = identity::new_key('o')?;
    file::change(home, |config, text| {
        free(config, name)?;
        let names = agents.iter().map(ToString::to_string).collect();
        let mut entry =
            vec![format!("id: {}", edit::quoted(name)), format!("agents: {}", edit::flow(&names))];
        entry.extend(line("tenants", tenants.as_ref()));
        entry.extend(line("environments", environments.as_ref()));
        entry.push(format!("key: {}", edit::quoted(&hash.to_string())));
        let text = edit::insert(text, "orchestrators", &entry)?;
        let mut wanted = config.clone();
        wanted.orchestrators.push(Orchestrator {
            id: name.to_owned(),
            agents: agents.clone(),
            tenants: tenants.clone(),
            environments: environments.clone(),
            key: hash,
        });
        Ok((text, wanted))
    })?;
    if let Ok(bundle) = loader::load(&home.policy()) {
        for agent in agents.iter().filter(|a| bundle.agent(a).is_none()) {
            show::say(&format!(
                "there is no manifest for agent `{agent}` yet, so no run of it can be opened"
            ));
        }
    }
    let more = with_place(json!({"agents": agents}), tenants.as_ref(), environments.as_ref());
    hand_over(common, "orchestrator", name, more, &key, &hash)
}

fn add_worker(common: &Common, home: &Home, name: &str, actions: Vec<String>) -> Result {
    let is_name = |name: &str| PersonId::new(name).is_ok();
    if let Some(odd) = std::iter::once(name).chain(actions.iter().map(String::as_str)).find(|n| !is_name(n)) {
        return Err(Error::new(format!("`{}` is no name", show::inert_line(odd)))
            .hint("take letters, digits and `_ - . : @ /`"));
    }
    let actions: BTreeSet<String> = actions.into_iter().collect();
    let public = key_file::read(&home.keys().join("tokens.pem"))?.verifying_key().to_bytes();
    let (key, hash) = identity::new_worker_key(&public)?;
    file::change(home, |config, text| {
        free(config, name)?;
        let entry = vec![
            format!("id: {}", edit::quoted(name)),
            format!("actions: {}", edit::flow(&actions)),
            format!("key: {}", edit::quoted(&hash.to_string())),
        ];
        let text = edit::insert(text, "workers", &entry)?;
        let mut wanted = config.clone();
        wanted.workers.push(WorkerKey { id: name.to_owned(), actions: actions.clone(), key: hash });
        Ok((text, wanted))
    })?;
    if let Ok(bundle) = loader::load(&home.policy()) {
        for action in actions.iter().filter(|action| bundle.catalogue().find(action).is_none()) {
            show::say(&format!("the catalogue has no action `{action}` yet"));
        }
    }
    hand_over(common, "worker", name, json!({"actions": actions}), &key, &hash)
}

fn add_proxy(common: &Common, home: &Home, name: &str) -> Result {
    PersonId::new(name).map_err(|_| {
        Error::new(format!("`{}` is no name", show::inert_line(name)))
            .hint("take letters, digits and `_ - . : @ /`")
    })?;
    let (key, hash) = identity::new_key('x')?;
    let changed = file::change(home, |config, text| {
        free(config, name)?;
        let entry =
            vec![format!("id: {}", edit::quoted(name)), format!("key: {}", edit::quoted(&hash.to_string()))];
        let text = edit::insert(text, "proxies", &entry)?;
        let mut wanted = config.clone();
        wanted.proxies.push(ProxyKey { id: name.to_owned(), key: hash });
        Ok((text, wanted))
    })?;
    let listens = changed.proxy_listen;
    if listens.is_none() {
        show::say(
            "aecl.yaml has no `proxy_listen` yet, such as `proxy_listen: 127.0.0.1:7601`, so no proxy can ask.",
        );
    }
    hand_over(common, "proxy", name, json!({"proxy_listen": listens}), &key, &hash)
}

/// Whether nobody is called so yet.
fn free(config: &Config, name: &str) -> std::result::Result<(), Error> {
    let taken = config.people.iter().any(|p| p.id.as_str() == name)
        || config.orchestrators.iter().any(|o| o.id == name)
        || config.workers.iter().any(|w| w.id == name)
        || config.proxies.iter().any(|p| p.id == name);
    if !taken {
        return Ok(());
    }
    Err(Error::new(format!("`{name}` has a key already"))
        .hint(format!("for a new key, `aecl keys remove {name}` first")))
}

fn hand_over(
    common: &Common,
    kind: &str,
    name: &str,
    more: serde_json::Value,
    key: &str,
    hash: &Digest,
) -> Result {
    if common.json {
        let mut answer = json!({"kind": kind, "id": name, "key": key, "key_hash": hash});
        if let (Some(answer), Some(more)) = (answer.as_object_mut(), more.as_object()) {
            answer.extend(more.clone());
        }
        show::print_json(&answer);
    } else {
        show::say(&format!("The key of {kind} `{name}`; it is shown this once:"));
        show::print(&format!("{key}\n"));
        show::say("A running `aecl serve` knows it once it has read aecl.yaml again.");
    }
    Ok(Exit::Done)
}

fn list(common: &Common, home: &Home) -> Result {
    let config = home.read()?;
    if common.json {
        let people: Vec<_> = config
            .people
            .iter()
            .map(|p| {
                let said = json!({"id": p.id, "groups": p.groups, "key_hash": p.key});
                with_place(said, p.tenants.as_ref(), None)
            })
            .collect();
        let orchestrators: Vec<_> = config
            .orchestrators
            .iter()
            .map(|o| {
                let said = json!({"id": o.id, "agents": o.agents, "key_hash": o.key});
                with_place(said, o.tenants.as_ref(), o.environments.as_ref())
            })
            .collect();
        let workers: Vec<_> = config
            .workers
            .iter()
            .map(|w| json!({"id": w.id, "actions": w.actions, "key_hash": w.key}))
            .collect();
        let proxies: Vec<_> = config.proxies.iter().map(|p| json!({"id": p.id, "key_hash": p.key})).collect();
        show::print_json(&json!({
            "people": people,
            "orchestrators": orchestrators,
            "workers": workers,
            "proxies": proxies,
        }));
        return Ok(Exit::Done);
    }
    let environment = BTreeSet::from([config.environment.clone()]);
    let mut table = Table::new(&["KIND", "NAME", "MAY", "TENANTS", "ENVIRONMENTS", "KEY"]);
    for person in &config.people {
        let mut may: Vec<&str> = person.groups.iter().map(String::as_str).collect();
        if may.is_empty() {
            may.push("(no group)");
        }
        table.plain(&[
            "person",
            person.id.as_str(),
            &format!("answer for {}", may.join(", ")),
            &named(person.tenants.as_ref(), "all"),
            "",
            &person.key.short(),
        ]);
    }
    for o in &config.orchestrators {
        let agents: Vec<&str> = o.agents.iter().map(AgentId::as_str).collect();
        table.plain(&[
            "orchestrator",
            &o.id,
            &format!("open runs of {}", agents.join(", ")),
            &named(o.tenants.as_ref(), "any"),
            &named(Some(o.environments.as_ref().unwrap_or(&environment)), ""),
            &o.key.short(),
        ]);
    }
    for worker in &config.workers {
        let actions: Vec<&str> = worker.actions.iter().map(String::as_str).collect();
        let may = format!("carry out {}", actions.join(", "));
        table.plain(&["worker", &worker.id, &may, "", "", &worker.key.short()]);
    }
    for proxy in &config.proxies {
        let may = "ask about requests, and say what came of them";
        table.plain(&["proxy", &proxy.id, may, "", "", &proxy.key.short()]);
    }
    let mut page = Page::new();
    page.table(&table);
    if config.people.is_empty() {
        page.gap()
            .toned(Tone::Mind, "There are no people, so nobody can answer an approval: aecl keys add person");
    }
    page.print();
    Ok(Exit::Done)
}

fn named<T: ToString>(names: Option<&BTreeSet<T>>, none: &str) -> String {
    let names = names.map(|names| names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "));
    names.unwrap_or_else(|| none.to_owned())
}

fn remove(common: &Common, home: &Home, name: &str) -> Result {
    let changed = file::change(home, |config, text| {
        let mut wanted = config.clone();
        let person = config.people.iter().position(|p| p.id.as_str() == name);
        let program = config.orchestrators.iter().position(|o| o.id == name);
        let worker = config.workers.iter().position(|w| w.id == name);
        let proxy = config.proxies.iter().position(|p| p.id == name);
        let text = match (person, program, worker, proxy) {
            (Some(at), _, _, _) => {
                wanted.people.remove(at);
                edit::remove(text, "people", at, config.people.len())?
            }
            (None, Some(at), _, _) => {
                wanted.orchestrators.remove(at);
                edit::remove(text, "orchestrators", at, config.orchestrators.len())?
            }
            (None, None, Some(at), _) => {
                wanted.workers.remove(at);
                edit::remove(text, "workers", at, config.workers.len())?
            }
            (None, None, None, Some(at)) => {
                wanted.proxies.remove(at);
                edit::remove(text, "proxies", at, config.proxies.len())?
            }
            (None, None, None, None) => {
                return Err(Error::new(format!(
                    "there is no person, orchestrator, worker or proxy `{}`",
                    show::inert_line(name)
                ))
                .hint("`aecl keys list` shows them"));
            }
        };
        Ok((text, wanted))
    })?;
    if !changed.people.iter().any(|p| p.groups.contains(OPERATORS)) {
        show::say("Nobody is in the group `operators` now: nobody can kill, lift, roll back or resolve.");
    }
    if common.json {
        show::print_json(&json!({"removed": name}));
    } else {
        show::say(&format!(
            "`{name}` is taken out. A running `aecl serve` knows once it has read aecl.yaml again."
        ));
    }
    Ok(Exit::Done)
}
