//! The eleven points that an agent with write access should pass, as the article on execution control lists
//! them, judged by what this installation really does. What is not built yet says so.

use super::check::listed;
use super::record::Record;
use super::{Check, Seen, State};
use crate::cli::runtime;
use crate::cli::show::{count, duration};
use aecl_executor::connectors::mcp::Transport;
use aecl_executor::connectors::process::ProcessConnector;
use aecl_gate::config::Config;
use aecl_kernel::define::catalogue::{Effect, Reversibility, TypedAction};
use aecl_kernel::define::isolation::{HostIsolation, IsolationTier, RequiredIsolation, Selection};
use aecl_kernel::policy::bundle::Bundle;
use serde::Serialize;

/// Longest lifetime of a token that still counts as short, in seconds.
const TOKEN_TTL_SHORT: u64 = 3600;
/// Longest life of a run that still counts as one task, in seconds.
const RUN_TTL_LONG: u64 = 86_400;

/// What to do where no module runs.
const WORKER: &str = "`aecl doctor --sandbox` tries it again";

/// How far a point is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Point {
    /// Met.
    Met,
    /// Not met.
    NotMet,
    /// It does not apply yet.
    NotYet,
}

/// One point.
#[derive(Debug, Serialize)]
pub(super) struct Item {
    pub number: usize,
    pub what: &'static str,
    pub state: Point,
    pub why: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub todo: Option<String>,
}

type Said = (Point, String, Option<String>);

fn met(why: impl Into<String>) -> Said {
    (Point::Met, why.into(), None)
}
fn not_met(why: impl Into<String>, todo: impl Into<String>) -> Said {
    (Point::NotMet, why.into(), Some(todo.into()))
}
fn not_yet(why: impl Into<String>) -> Said {
    (Point::NotYet, why.into(), None)
}

pub(super) fn walk(seen: &Seen, record: &Record, checks: &[Check]) -> Vec<Item> {
    let (config, bundle) = (seen.config.as_ref(), seen.bundle.as_ref());
    let without = || not_met("the policy does not load", "`aecl policy check`");
    let of = |judge: &dyn Fn(&Bundle) -> Said| bundle.map_or_else(without, judge);
    let points = [
        ("policy manifest per agent", of(&manifests)),
        ("zero-trust credentials", of(&|b| credentials(b, config))),
        (
            "validator before execution",
            met(
                "allow-list, where arguments come from, intent, what SQL and commands do, and risk decide; give runs a telling goal, it is what arguments are held against",
            ),
        ),
        ("sandbox for the threat level", of(&|b| sandbox(b, config))),
        ("time-outs at three levels", of(&timeouts)),
        (
            "network default deny",
            met("actions over HTTP reach only listed, public addresses; a program in a cage reaches nobody"),
        ),
        ("immutable structured logs", logs(record)),
        ("central human-in-the-loop policy", people(checks)),
        (
            "exceptions escalate",
            met(
                "what is outside its parameters is held or blocked with all findings; a lost answer becomes `unknown` and is never repeated blindly",
            ),
        ),
        ("compensation for every write", of(&compensations)),
        ("no way back means a person", of(&no_way_back)),
    ];
    let item = |(i, (what, (state, why, todo)))| Item { number: i + 1, what, state, why, todo };
    points.into_iter().enumerate().map(item).collect()
}

fn manifests(bundle: &Bundle) -> Said {
    let agents: Vec<_> = bundle.agents().collect();
    if agents.is_empty() {
        return not_met("there is no agent", "write policy/agents/NAME.yaml");
    }
    let all: Vec<_> =
        agents.iter().filter(|a| a.allowed_actions.contains("*")).map(|a| a.agent_id.as_str()).collect();
    if !all.is_empty() {
        return not_met(
            format!("{} may do everything (`*`)", all.join(", ")),
            "list the actions that it needs",
        );
    }
    let longest = agents.iter().map(|a| a.token_ttl_seconds).max().unwrap_or(0);
    let shown = count(agents.len(), "agent");
    if longest > TOKEN_TTL_SHORT {
        return not_met(
            format!("{shown}; tokens live up to {}", duration(longest)),
            "set `token_ttl_seconds` to 900",
        );
    }
    let open = agents.iter().filter(|a| a.blocked_actions.is_empty()).count();
    let open = if open == 0 {
        String::new()
    } else {
        format!(
            "; {} without a block-list, which is no gap: what is not allowed is blocked",
            count(open, "manifest")
        )
    };
    met(format!("{shown} with allow-list; tokens live at most {}{open}", duration(longest)))
}

fn credentials(bundle: &Bundle, config: Option<&Config>) -> Said {
    let plain: Vec<String> = config
        .into_iter()
        .flat_map(|c| c.servers.iter())
        .flat_map(|(name, t)| plain_secrets(name, t))
        .collect();
    if !plain.is_empty() {
        return not_met(
            format!("aecl.yaml holds what looks like secrets: {}", plain.join(", ")),
            "`aecl secrets set NAME`, and write {secret:secret:NAME} instead",
        );
    }
    if bundle.agents().any(|a| a.token_ttl_seconds > TOKEN_TTL_SHORT) {
        return not_met("some run tokens live longer than an hour", "set `token_ttl_seconds` to 900");
    }
    met("runs have short-lived tokens bound to them; secrets are references that only the executor resolves")
}

/// Values that look like secrets and are written out.
fn plain_secrets(server: &str, transport: &Transport) -> Vec<String> {
    let (place, values) = match transport {
        Transport::Stdio { env, .. } => ("env", env),
        Transport::Http { headers, .. } => ("headers", headers),
    };
    let words = ["token", "secret", "password", "key", "authorization", "cookie"];
    let telling = |name: &str| words.iter().any(|w| name.to_ascii_lowercase().contains(w));
    let plain = values
        .iter()
        .filter(|(name, value)| telling(name) && !value.is_empty() && !value.contains("{secret:"));
    plain.map(|(name, _)| format!("servers.{server}.{place}.{name}")).collect()
}

fn sandbox(bundle: &Bundle, config: Option<&Config>) -> Said {
    let caged = |t: &TypedAction| t.cage.is_some();
    let bare = names(bundle, |t| t.manifest.effect == Effect::Execute && !caged(t));
    if !bare.is_empty() {
        return not_met(
            format!("{} run code, and nothing says that it is in a cage", listed(&bare)),
            "carry them out with a `process` connector (docs/reference/connectors.md), or block them",
        );
    }
    let servers =
        config.map_or(0, |c| c.servers.values().filter(|t| matches!(t, Transport::Stdio { .. })).count());
    let servers = if servers == 0 {
        String::new()
    } else {
        format!("; {} that you chose run as your user", count(servers, "MCP server"))
    };
    let least = super::sandbox::least_tier(bundle);
    let caged = names(bundle, caged);
    if caged.is_empty() {
        return not_yet(format!("no action is declared to run code (effect `execute`){servers}"));
    }
    // Built and attacked now: that a file is there says nothing.
    let sandbox = config.map(|c| c.sandbox.clone()).unwrap_or_default();
    let process = ProcessConnector::default();
    let cages = match runtime().map(|runtime| runtime.block_on(sandbox.find_out(&process, bundle))) {
        Ok(Ok(cages)) => cages,
        Ok(Err(message)) => return not_met(message, "correct aecl.yaml"),
        Err(_) => HostIsolation { lowered: sandbox.lowered(), ..HostIsolation::default() },
    };
    let held = |tier: IsolationTier| cages.found.iter().find(|found| found.available && found.tier >= tier);
    let Some(holds) = held(least) else {
        return not_met(
            format!("{} need a cage of tier `{least}`, and this host has none", listed(&caged)),
            cages.lack(least),
        );
    };
    if let Some(worker) = cages.modules.as_ref().filter(|modules| !modules.available) {
        let modules = names(bundle, super::sandbox::is_module);
        let why = &worker.reason;
        return not_met(format!("no module runs here, and {} are blocked: {why}", listed(&modules)), WORKER);
    }
    let all: Vec<_> =
        bundle.catalogue().iter().filter_map(|(name, t)| Some((name.to_string(), t.cage?))).collect();
    let unable = |tier: IsolationTier| {
        all.iter().find_map(|(name, needs)| {
            let demand = RequiredIsolation { tier, why: "the policy asks for it".into(), needs: *needs };
            (cages.choose(tier, *needs) == Selection::Unable).then(|| (name.clone(), cages.unable(&demand)))
        })
    };
    if let Some((name, why)) = unable(least) {
        return not_met(format!("`{name}` is blocked on this host"), why);
    }
    let untrusted = least.max(bundle.cages().untrusted_tier);
    match (held(untrusted), &cages.lowered) {
        (None, Some(lowered)) => not_met(
            format!(
                "after text of strangers {} need `{untrusted}`, and `{}` is accepted: {}",
                listed(&caged),
                lowered.to,
                lowered.reason
            ),
            cages.lack(untrusted),
        ),
        (None, None) => met(format!(
            "{} run in cages of tier `{}`: {}; after text of strangers they need `{untrusted}`, which is not here, \
             and are blocked{servers}",
            listed(&caged),
            holds.tier,
            holds.reason
        )),
        (Some(_), _) => met(format!(
            "{} run in cages of tier `{}`: {}{}{servers}",
            listed(&caged),
            holds.tier,
            holds.reason,
            unable(untrusted).map_or_else(String::new, |(name, why)| format!(
                "; after text of strangers `{name}` is blocked: {why}"
            )),
        )),
    }
}

fn timeouts(bundle: &Bundle) -> Said {
    let call = bundle.catalogue().iter().map(|(_, t)| t.manifest.timeout_ms).max().unwrap_or(30_000) / 1000;
    let run = bundle.agents().map(|a| a.run_ttl_seconds).max().unwrap_or(0);
    if run > RUN_TTL_LONG {
        return not_met(
            format!("a run may live {}", duration(run)),
            "set `run_ttl_seconds` to what a task takes",
        );
    }
    met(format!(
        "a tool call ends after at most {}, a run after {}, a cage with its call",
        duration(call),
        duration(run)
    ))
}

fn logs(record: &Record) -> Said {
    match (record.holds, record.entries) {
        (true, n) => met(format!("{n} entries, signed, append-only; `aecl log verify` checks every one")),
        (false, 0) => not_yet("nothing is recorded yet"),
        (false, _) => not_met("the ledger does not hold", "`aecl log verify`"),
    }
}

fn people(checks: &[Check]) -> Said {
    let gap = checks.iter().find(|c| matches!(c.what, "people" | "approvers") && c.state == State::Broken);
    match gap {
        Some(gap) => not_met(gap.found.clone(), gap.todo.clone().unwrap_or_default()),
        None if checks.iter().any(|c| c.what == "people") => {
            met("who is asked stands in manifests, catalogue and rules only, and somebody can answer")
        }
        None => not_met("nobody knows who may answer", "correct aecl.yaml"),
    }
}

fn compensations(bundle: &Bundle) -> Said {
    let changes = |t: &TypedAction| t.manifest.effect.changes_something();
    let undo: std::collections::BTreeSet<&str> = bundle
        .catalogue()
        .iter()
        .filter_map(|(_, t)| t.manifest.compensation.as_ref().map(|c| c.action.as_str()))
        .collect();
    let writes = names(bundle, changes);
    if writes.is_empty() {
        return not_yet("no action in the catalogue changes anything");
    }
    let bare = names(bundle, |t| {
        let m = &t.manifest;
        // What undoes something else is itself the way back.
        changes(t) && m.compensation.is_none() && !undo.contains(m.name.as_str())
    });
    if bare.is_empty() {
        return met(format!("{} can be undone", count(writes.len(), "action")));
    }
    not_met(
        format!("{} of {} name no way back: {}", bare.len(), count(writes.len(), "write"), listed(&bare)),
        "say in policy/actions/ how each is undone (`compensation`), where it can be",
    )
}

fn no_way_back(bundle: &Bundle) -> Said {
    let trusted = names(bundle, |t| {
        let m = &t.manifest;
        m.effect.changes_something()
            && m.compensation.is_none()
            && m.reversibility() == Reversibility::Reversible
    });
    let trusted = if trusted.is_empty() {
        String::new()
    } else {
        format!(
            "; the catalogue calls these reversible without saying how, so look at them: {}",
            listed(&trusted)
        )
    };
    met(format!("the check `reversibility` holds what cannot be undone or does not say how{trusted}"))
}

fn names(bundle: &Bundle, which: impl Fn(&TypedAction) -> bool) -> Vec<String> {
    let entries = bundle.catalogue().iter();
    let any = entries.filter(|(_, typed)| typed.variants().any(|variant| which(variant)));
    any.map(|(name, _)| name.to_string()).collect()
}
