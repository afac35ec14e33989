//! `aecl keys`: keys for people and orchestrators. A key is shown once; the configuration keeps its hash.

mod edit;
mod file;

use super::show::{self, Page, Table, Tone};
use super::{Common, Error, Exit, Result};
use aecl_gate::config::{Config, Home, Orchestrator, Person};
use aecl_gate::identity::{self, OPERATORS};
use aecl_gate::loader;
use aecl_kernel::digest::Digest;
use aecl_kernel::id::{AgentId, PersonId};
use clap::Subcommand;
use serde_json::json;
use std::collections::BTreeSet;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aecl keys add person ann --group operators --group finance
  aecl keys add orchestrator planner --agent assistant
  aecl keys list
  aecl keys remove ann

The key is printed once, to standard output: `aecl keys add person ann > ann.key`. It is sent as
`Authorization: Bearer KEY`, or given to commands with --key or AECL_KEY.")]
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
    /// Take a person or an orchestrator out of aecl.yaml; the key is worth nothing from then on.
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
    },
    /// A program that opens runs for agents.
    Orchestrator {
        /// The program's name.
        name: String,
        /// An agent it may open runs for.
        #[arg(long = "agent", value_name = "AGENT", required = true)]
        agents: Vec<String>,
    },
}

/// Runs it.
pub fn run(common: &Common, args: Args) -> Result {
    let home = Home::new(&common.dir);
    match args.command {
        Command::Add(Add::Person { name, groups }) => add_person(common, &home, &name, groups),
        Command::Add(Add::Orchestrator { name, agents }) => add_orchestrator(common, &home, &name, agents),
        Command::List => list(common, &home),
        Command::Remove { name } => remove(common, &home, &name),
    }
}

fn add_person(common: &Common, home: &Home, name: &str, groups: Vec<String>) -> Result {
    let id = PersonId::new(name)?;
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
        let entry = [
            format!("id: {}", edit::quoted(name)),
            format!("groups: {}", edit::flow(&groups)),
            format!("key: {}", edit::quoted(&hash.to_string())),
        ];
        let text = edit::insert(text, "people", &entry)?;
        let mut wanted = config.clone();
        wanted.people.push(Person {
            id: id.clone(),
            groups: groups.clone(),
            tenants: None,
            names: BTreeSet::new(),
            key: hash,
        });
        Ok((text, wanted))
    })?;
    if groups.is_empty() {
        show::say(&format!("`{name}` is in no group, so no approval asks for them; give --group"));
    }
    hand_over(common, "person", name, json!({"groups": groups}), &key, &hash)
}

fn add_orchestrator(common: &Common, home: &Home, name: &str, agents: Vec<String>) -> Result {
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
        let entry = [
            format!("id: {}", edit::quoted(name)),
            format!("agents: {}", edit::flow(&names)),
            format!("key: {}", edit::quoted(&hash.to_string())),
        ];
        let text = edit::insert(text, "orchestrators", &entry)?;
        let mut wanted = config.clone();
        wanted.orchestrators.push(Orchestrator {
            id: name.to_owned(),
            agents: agents.clone(),
            tenants: None,
            environments: None,
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
    hand_over(common, "orchestrator", name, json!({"agents": agents}), &key, &hash)
}

/// Whether nobody is called so yet.
fn free(config: &Config, name: &str) -> std::result::Result<(), Error> {
    let taken = config.people.iter().any(|p| p.id.as_str() == name)
        || config.orchestrators.iter().any(|o| o.id == name);
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
            .map(|p| json!({"id": p.id, "groups": p.groups, "key_hash": p.key}))
            .collect();
        let orchestrators: Vec<_> = config
            .orchestrators
            .iter()
            .map(|o| json!({"id": o.id, "agents": o.agents, "key_hash": o.key}))
            .collect();
        show::print_json(&json!({"people": people, "orchestrators": orchestrators}));
        return Ok(Exit::Done);
    }
    let mut table = Table::new(&["KIND", "NAME", "MAY", "KEY"]);
    for person in &config.people {
        let mut may: Vec<&str> = person.groups.iter().map(String::as_str).collect();
        if may.is_empty() {
            may.push("(no group)");
        }
        table.plain(&[
            "person",
            person.id.as_str(),
            &format!("answer for {}", may.join(", ")),
            &person.key.short(),
        ]);
    }
    for o in &config.orchestrators {
        let agents: Vec<&str> = o.agents.iter().map(AgentId::as_str).collect();
        table.plain(&["orchestrator", &o.id, &format!("open runs of {}", agents.join(", ")), &o.key.short()]);
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

fn remove(common: &Common, home: &Home, name: &str) -> Result {
    let changed = file::change(home, |config, text| {
        let mut wanted = config.clone();
        let person = config.people.iter().position(|p| p.id.as_str() == name);
        let program = config.orchestrators.iter().position(|o| o.id == name);
        let text = match (person, program) {
            (Some(at), _) => {
                wanted.people.remove(at);
                edit::remove(text, "people", at, config.people.len())?
            }
            (None, Some(at)) => {
                wanted.orchestrators.remove(at);
                edit::remove(text, "orchestrators", at, config.orchestrators.len())?
            }
            (None, None) => {
                return Err(Error::new(format!(
                    "there is no person or orchestrator `{}`",
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
