//! What loads and is still doubtful: lines that say nothing, and holes that nobody meant.

mod spelled;

use aecl_kernel::define::catalogue::flow::Class;
use aecl_kernel::define::catalogue::{Effect, TypedAction};
use aecl_kernel::define::isolation::IsolationTier;
use aecl_kernel::define::manifest::AgentManifest;
use aecl_kernel::policy::bundle::Bundle;
use aecl_kernel::policy::problem::BundleProblem;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeSet;

/// Something doubtful.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Lint {
    /// Its stable name, such as `dead_rule`.
    pub lint: &'static str,
    /// In which file or folder.
    pub path: String,
    /// What, and what to do.
    pub message: String,
    /// It probably is a mistake; otherwise it may be meant.
    pub warning: bool,
}

/// Every lint: its name, whether it probably is a mistake, and what it finds.
pub const LINTS: [(&str, bool, &str); 18] = [
    ("allowed_and_blocked", true, "an action in both lists; the block wins"),
    ("dead_rule", true, "a rule that no agent and action of the bundle can reach"),
    ("doubtful", true, "what Cedar or the loader says besides"),
    ("idle_budget", true, "a budget in a unit that nothing is counted in"),
    ("idle_completion", true, "an action that completes another and asks every time all the same"),
    ("no_compensation", true, "a change that names no way back, so that it always waits for a person"),
    ("no_example", false, "an agent without an example, so that nothing notices a change of its rights"),
    (
        "no_labels",
        false,
        "an action that does not say what its output carries, so that all of it is a stranger's",
    ),
    ("no_money_limit", false, "an agent that may pay without a budget in money"),
    ("one_spelling", true, "a rule that knows one way of writing a destination, and is passed by another"),
    ("open_destination", false, "a send or payment that may go anywhere"),
    ("permit_in_rules", true, "a permit among the rules; only manifests permit"),
    ("uncaged_program", false, "an action that runs code where no cage of ours holds it"),
    ("unknown_action", true, "a list that names what the catalogue does not have"),
    ("unreachable_context_rule", true, "a context rule for an action that is blocked"),
    ("untrusted_tier_lowered", false, "after text of strangers, programs may run in less than a microVM"),
    ("unused_action", false, "an action that no agent may do"),
    ("wildcard", true, "a wildcard, which also covers what is added later"),
];

/// Everything doubtful about a bundle, sorted.
pub fn lint(bundle: &Bundle) -> Vec<Lint> {
    let mut out = Vec::new();
    let mut say = |name: &str, path: &str, message: String| {
        if let Some((lint, warning, _)) = LINTS.iter().find(|(lint, ..)| *lint == name) {
            out.push(Lint { lint, path: path.to_owned(), message, warning: *warning });
        }
    };
    for problem in bundle.warnings() {
        say(of_warning(problem), &problem.path, problem.message.clone());
    }
    for (id, rule) in bundle.policies().own_rules() {
        let (path, name) = id.split_once('#').unwrap_or(("rules", id));
        let reached: BTreeSet<&str> = rule.pairs.iter().map(|(_, action)| action.as_str()).collect();
        let reached: Vec<_> = reached
            .into_iter()
            .filter_map(|action| bundle.catalogue().find(action))
            .flat_map(|typed| typed.variants().map(AsRef::as_ref))
            .collect();
        for doubt in spelled::doubts(name, rule, &reached) {
            say("one_spelling", path, doubt);
        }
        if rule.pairs.is_empty() {
            say(
                "dead_rule",
                path,
                format!(
                    "`{name}` matches no agent and action that a manifest lists; correct its scope or remove it"
                ),
            );
        }
    }
    for agent in bundle.agents() {
        of_agent(bundle, agent, &mut say);
    }
    for typed in bundle.catalogue().iter().flat_map(|(_, typed)| typed.variants()) {
        of_action(bundle, typed, &mut say);
    }
    let tier = bundle.cages().untrusted_tier;
    if tier < IsolationTier::Microvm {
        say(
            "untrusted_tier_lowered",
            &bundle.file_of("sandbox"),
            format!(
                "`untrusted_tier` is `{tier}`: in a run that has read what strangers wrote, programs run there; \
                 say `microvm`, or leave it out, if that is not meant"
            ),
        );
    }
    for name in unlabelled(bundle) {
        say(
            "no_labels",
            "actions",
            format!(
                "`{name}` says neither `output` nor `outputs`: whatever it returns taints the run; label what the system itself issues"
            ),
        );
    }
    out.sort();
    out.dedup();
    out
}

fn of_agent(bundle: &Bundle, agent: &AgentManifest, say: &mut dyn FnMut(&str, &str, String)) {
    let id = &agent.agent_id;
    for both in agent.allowed_actions.intersection(&agent.blocked_actions) {
        say(
            "allowed_and_blocked",
            "agents",
            format!(
                "`{id}`: `{both}` is in `allowed_actions` and in `blocked_actions`, which beats it; remove one"
            ),
        );
    }
    let pays = bundle
        .catalogue()
        .iter()
        .filter(|(name, _)| may(agent, name.as_str()))
        .flat_map(|(_, typed)| typed.variants())
        .any(|typed| typed.manifest.effect == Effect::Pay);
    let limited = agent.budgets.iter().any(|b| !matches!(b.unit.as_str(), "calls" | "rows" | "bytes"));
    if pays && !limited {
        say(
            "no_money_limit",
            "agents",
            format!("`{id}` may pay and has no budget in a currency; add one to `budgets`"),
        );
    }
    let shown = bundle.sources().iter().filter(|s| s.path.starts_with("examples/"));
    let marked = format!("\"{id}\"");
    if !shown.into_iter().any(|s| s.text.contains(&marked)) {
        say(
            "no_example",
            "examples",
            format!("no example is about `{id}`; write one for what it must never do"),
        );
    }
}

fn of_action(bundle: &Bundle, typed: &TypedAction, say: &mut dyn FnMut(&str, &str, String)) {
    let (action, roles) = (&typed.manifest, &typed.roles);
    let name = &action.name;
    let called = typed.called();
    let goes_out = matches!(action.effect, Effect::Send | Effect::Pay);
    if goes_out && action.fields.destination.as_ref().is_some_and(|d| d.allowed.is_none()) {
        say(
            "open_destination",
            "actions",
            format!("{called} may go anywhere; list `fields.destination.allowed` if that is not meant"),
        );
    }
    for (pointer, argument) in roles.iter() {
        if argument.class == Class::QuerySql && argument.dialect.is_generic() {
            say(
                "doubtful",
                "actions",
                format!(
                    "{called}: the SQL at `{pointer}` has no `dialect`, so what databases read differently waits for a person"
                ),
            );
        }
    }
    if action.effect == Effect::Execute && typed.cage.is_none() {
        say(
            "uncaged_program",
            "actions",
            format!(
                "{called} runs code and has no `process` connector: no tier can be asked for where it runs"
            ),
        );
    }
    let used = bundle.agents().any(|agent| may(agent, name.as_str()));
    let mut all = bundle.catalogue().iter().flat_map(|(_, other)| other.variants());
    let serves = all.any(|other| {
        let other = &other.manifest;
        other.compensation.as_ref().is_some_and(|c| c.action == *name)
            || other.resolver.as_ref() == Some(name)
    });
    if !used && !serves {
        say("unused_action", "actions", format!("no agent may do `{name}`"));
    }
}

/// Actions whose text says nothing about their output.
fn unlabelled(bundle: &Bundle) -> BTreeSet<String> {
    let about = bundle.sources().iter().filter(|s| s.path.starts_with("actions/"));
    let read = about.filter_map(|s| serde_json::from_str::<Value>(&s.text).ok());
    let items = read.flat_map(|value| match value {
        Value::Array(items) => items,
        one => vec![one],
    });
    items
        .filter(|item| item.get("output").is_none() && item.get("outputs").is_none())
        .filter_map(|item| item.get("name").and_then(Value::as_str).map(str::to_owned))
        .collect()
}

/// Whether a manifest lists the action, allowed or under a condition.
fn may(agent: &AgentManifest, action: &str) -> bool {
    (AgentManifest::lists(&agent.allowed_actions, action) || agent.context_rules.contains_key(action))
        && !AgentManifest::lists(&agent.blocked_actions, action)
}

/// What a warning of the loader is about.
fn of_warning(problem: &BundleProblem) -> &'static str {
    let has = |words: &str| problem.message.contains(words);
    if has("has the wildcard") {
        "wildcard"
    } else if has("is unreachable") {
        "unreachable_context_rule"
    } else if has("`completes`: ") {
        "idle_completion"
    } else if has("names no compensation") {
        "no_compensation"
    } else if has("which the catalogue does not have") {
        "unknown_action"
    } else if has("limits nothing") {
        "idle_budget"
    } else if has("has no effect: only an agent's manifest permits") {
        "permit_in_rules"
    } else {
        "doubtful"
    }
}
