//! `aecl catalog learn`: what recorded calls, and what people said to them, suggest about the entries of imported tools.

mod shown;

use super::changes::fits;
use crate::cli::log::source::Source;
use crate::cli::{Common, Error, Exit, Result, show};
use crate::mcp::catalogue;
use aecl_analysis::learned::{Learned, Suggestion};
use aecl_gate::config::Home;
use aecl_gate::loader;
use aecl_kernel::base::digest::Digest;
use aecl_kernel::base::id::ActionId;
use aecl_kernel::define::connector::ConnectorSpec;
use aecl_kernel::record::event::{Event, OutcomeKind};
use aecl_ledger::PayloadKind;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Entries read at once.
const CHUNK: usize = 512;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
What is proposed has a reason and is written nowhere, unless you say --accept. A line that loosens leaves a question out: read why.
A stranger may have written what an output holds; labels are proposed only for what a backend issues.

Examples:
  aecl catalog learn                          # what the record speaks for, of all servers
  aecl catalog learn tracker                  # of one server
  aecl catalog learn --accept tracker.list_issues
  aecl catalog learn --accept 'tracker.*' --tighten   # only what leaves no question out")]
pub(super) struct Args {
    /// Only these: SERVER, SERVER.TOOL, or a pattern such as 'SERVER.list_*'.
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Write what is proposed for these into policy/actions/mcp-SERVER.json: SERVER, SERVER.TOOL, or a pattern.
    #[arg(long, value_name = "NAME")]
    accept: Vec<String>,
    /// Only what makes the policy stricter, or shows it more.
    #[arg(long)]
    tighten: bool,
}

pub(super) fn run(common: &Common, args: &Args) -> Result {
    let home = Home::new(&common.dir);
    let bundle = loader::load(&home.policy())?;
    let servers: BTreeMap<String, String> = bundle
        .catalogue()
        .iter()
        .filter_map(|(name, typed)| match typed.connector() {
            Some(ConnectorSpec::Mcp { server, method: None, .. }) => Some((name.to_string(), server.clone())),
            _ => None,
        })
        .collect();
    let means =
        |name: &str, action: &str, server: &str| name == server || fits(name.as_bytes(), action.as_bytes());
    for name in args.names.iter().chain(&args.accept) {
        if !servers.iter().any(|(action, server)| means(name, action, server)) {
            let known: BTreeSet<&str> = servers.values().map(String::as_str).collect();
            let known: Vec<&str> = known.into_iter().collect();
            return Err(Error::new(format!("no imported tool is meant by `{name}`"))
                .hint(format!("tools were imported of: {}", known.join(", "))));
        }
    }
    let asked = |names: &[String], action: &str, server: &str| {
        names.is_empty() || names.iter().any(|name| means(name, action, server))
    };
    let learned = observe(&mut Source::open(common)?, &servers)?;
    let mut found: Vec<Suggestion> = servers
        .iter()
        .filter(|(action, server)| asked(&args.names, action, server))
        .flat_map(|(action, _)| learned.proposals(&bundle, action))
        .collect();
    found.retain(|proposal| !args.tighten || !proposal.loosens);
    let who = super::who(common, &home)?;
    if args.accept.is_empty() {
        shown::note(&home, &who, &found);
        tell(&learned, &servers, &found, |action, server| asked(&args.names, action, server), common.json);
        return Ok(Exit::Done);
    }
    let accepted = |proposal: &Suggestion| {
        let server = servers.get(&proposal.action).map_or("", String::as_str);
        args.accept.iter().any(|name| means(name, &proposal.action, server))
    };
    found.retain(accepted);
    if let Some(action) = shown::unseen(&home, &who, &found) {
        let action = show::inert_line(&action);
        return Err(Error::new(format!("what is proposed for `{action}` is not what was shown to you: more was recorded since, or you have not looked"))
            .hint(format!("`aecl catalog learn '{action}'` shows it; accept it after that")));
    }
    accept(&home, &servers, &found, common.json)
}

fn accept(home: &Home, servers: &BTreeMap<String, String>, found: &[Suggestion], as_json: bool) -> Result {
    let of_servers: BTreeSet<&String> = found.iter().filter_map(|it| servers.get(&it.action)).collect();
    let mut changed = Vec::new();
    for server in of_servers {
        changed.extend(catalogue::amend(home, server, |name, entry| {
            let of_it = found.iter().filter(|proposal| proposal.action == name);
            of_it.map(|proposal| proposal.apply(entry)).count() > 0
        })?);
    }
    if as_json {
        println!(
            "{}",
            json!({ "changed": changed, "accepted": found.iter().map(shown).collect::<Vec<_>>() })
        );
        return Ok(Exit::Done);
    }
    for name in &changed {
        let keys: BTreeSet<&str> = found.iter().filter(|it| it.action == *name).map(|it| it.key).collect();
        println!("{}: {}", show::inert_line(name), keys.into_iter().collect::<Vec<_>>().join(", "));
    }
    match changed.len() {
        0 => eprintln!("nothing is proposed for them; `aecl catalog learn` shows what is"),
        _ => eprintln!(
            "a running `aecl serve` takes it up by itself; `aecl policy diff` shows what follows from it"
        ),
    }
    Ok(Exit::Done)
}

fn shown(proposal: &Suggestion) -> Value {
    json!({
        "action": proposal.action, "key": proposal.key, "value": proposal.value, "loosens": proposal.loosens,
        "why": proposal.why,
    })
}

fn tell(
    learned: &Learned,
    servers: &BTreeMap<String, String>,
    found: &[Suggestion],
    is_asked: impl Fn(&str, &str) -> bool,
    as_json: bool,
) {
    let asked = servers.iter().filter(|(action, server)| is_asked(action, server)).map(|(action, _)| action);
    let left: BTreeMap<&String, Vec<(String, String)>> =
        asked.map(|action| (action, learned.left(action))).filter(|(_, left)| !left.is_empty()).collect();
    if as_json {
        let left: BTreeMap<&String, Value> = left
            .iter()
            .map(|(action, left)| {
                let rows = left.iter().map(|(path, what)| json!({ "path": path, "what": what }));
                (*action, rows.collect())
            })
            .collect();
        println!("{}", json!({ "proposed": found.iter().map(shown).collect::<Vec<_>>(), "left": left }));
        return;
    }
    let mut before = "";
    for proposal in found {
        if proposal.action != before {
            println!("{} ({} answers)", show::inert_line(&proposal.action), learned.calls(&proposal.action));
            before = &proposal.action;
        }
        let sign = if proposal.loosens { "loosens" } else { "" };
        println!("  {:<12} {}", proposal.key, show::inert_line(&proposal.value.to_string()));
        println!("  {sign:<12} {}", show::inert_line(&proposal.why));
    }
    for (action, left) in left {
        println!("{}: left a stranger's; say more of it if you know who writes it", show::inert_line(action));
        for (path, what) in left {
            println!("  {:<12} {what}", show::inert_line(&path));
        }
    }
    match found.len() {
        0 => eprintln!(
            "nothing is proposed; it takes at least two calls and four values of a place, or three times the same yes"
        ),
        n => eprintln!("{n} proposed; `aecl catalog learn --accept NAME` writes them into the catalogue"),
    }
}

fn observe(source: &mut Source, servers: &BTreeMap<String, String>) -> std::result::Result<Learned, Error> {
    let mut learned = Learned::default();
    let mut of: BTreeMap<ActionId, (String, Digest)> = BTreeMap::new();
    let mut position = 0;
    loop {
        let rows = source.from(position, CHUNK)?;
        let Some(last) = rows.last() else { return Ok(learned) };
        position = last.entry.position + 1;
        for row in rows {
            match row.entry.event {
                Event::Ruled(ruled) if servers.contains_key(&ruled.name) => {
                    of.insert(ruled.action.clone(), (ruled.name.clone(), ruled.arguments));
                }
                Event::Concluded(concluded) if concluded.outcome == OutcomeKind::Done => {
                    if let (Some((name, _)), Some(output)) = (of.get(&concluded.action), concluded.output)
                        && let Some(paper) = source.paper(PayloadKind::Output, &output)?
                    {
                        learned.returned(name, paper.to_string().as_bytes());
                    }
                }
                Event::Answered(answered) => {
                    if let Some((name, arguments)) = of.get(&answered.action)
                        && let Some(arguments) = source.paper(PayloadKind::Arguments, arguments)?
                    {
                        learned.answered(name, &arguments, answered.vote.yes);
                    }
                }
                _ => {}
            }
        }
    }
}
