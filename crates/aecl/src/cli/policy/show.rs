//! `aecl policy show`.

use super::outlook::{self, Look, Outlook};
use crate::cli::show::{self, Page, Table, Tone, count, duration};
use crate::cli::{Common, Error, Exit, Result};
use aecl_gate::config::Home;
use aecl_gate::loader;
use aecl_kernel::base::id::Environment;
use aecl_kernel::define::catalogue::nearest;
use aecl_kernel::define::manifest::{AgentManifest, Of, Per};
use aecl_kernel::policy::bundle::Bundle;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

pub(super) fn run(
    common: &Common,
    agent: Option<&str>,
    environment: Option<&str>,
    policy: Option<PathBuf>,
) -> Result {
    let home = Home::new(&common.dir);
    let environment = match environment {
        Some(name) => Environment::new(name)?.to_string(),
        None if home.config().exists() => home.read()?.environment.to_string(),
        None => "production".into(),
    };
    let bundle = loader::load(&policy.unwrap_or_else(|| home.policy()))?;
    let agents: Vec<Arc<AgentManifest>> = match agent {
        None => bundle.agents().cloned().collect(),
        Some(name) => vec![find(&bundle, name)?],
    };
    if common.json {
        let agents: Vec<Value> = agents.iter().map(|a| agent_json(&bundle, a, &environment)).collect();
        show::print_json(&json!({"bundle": bundle.hash(), "environment": environment, "agents": agents}));
        return Ok(Exit::Done);
    }
    let mut page = Page::new();
    for (i, agent) in agents.iter().enumerate() {
        if i > 0 {
            page.gap();
        }
        agent_page(&mut page, &bundle, agent, &environment);
    }
    if agents.is_empty() {
        page.line("The bundle has no agents: write policy/agents/NAME.yaml, or `aecl init`.");
    }
    page.print();
    Ok(Exit::Done)
}

pub(super) fn find(bundle: &Bundle, name: &str) -> std::result::Result<Arc<AgentManifest>, Error> {
    bundle.agents().find(|a| a.agent_id.as_str() == name).cloned().ok_or_else(|| {
        let near = nearest(name, bundle.agents().map(|a| a.agent_id.clone()));
        let near = near.map_or(String::new(), |n| format!("; did you mean `{n}`?"));
        let error = Error::new(format!("there is no manifest for agent `{}`{near}", show::inert_line(name)));
        Error { code: Some("agent_unknown".into()), ..error }
            .hint("`aecl policy show` without a name lists all agents")
    })
}

fn agent_page(page: &mut Page, bundle: &Bundle, agent: &AgentManifest, environment: &str) {
    page.heading(&format!("{} in {environment}", agent.agent_id));
    if !agent.description.is_empty() {
        page.field("is", &agent.description);
    }
    page.field(
        "asks",
        &format!("{} when risk is above {}", words(&agent.approvers), agent.auto_approve_threshold),
    );
    page.field(
        "lives",
        &format!("tokens {}, runs {}", duration(agent.token_ttl_seconds), duration(agent.run_ttl_seconds)),
    );
    let limits = limits(agent);
    page.field("limits", &if limits.is_empty() { "none".into() } else { limits.join("\n") });
    page.gap();
    let mut table = Table::new(&["ACTION", "EFFECT", "", "WHY"]);
    for (name, typed) in bundle.catalogue().iter().flat_map(|(n, t)| t.variants().map(move |v| (n, v))) {
        let (tone, word, why) = told(bundle, agent, typed, environment);
        let shown = typed.when.as_ref().map_or_else(|| name.to_string(), |when| format!("  where {when}"));
        table.row(vec![
            (Tone::Plain, shown),
            (Tone::Quiet, typed.manifest.effect.name().into()),
            (tone, word.into()),
            (Tone::Plain, why.join("; ")),
        ]);
    }
    for name in missing(bundle, agent) {
        table.row(vec![
            (Tone::Plain, name),
            (Tone::Quiet, "-".into()),
            (Tone::Mind, "nothing".into()),
            (Tone::Plain, "the catalogue has no such action yet".into()),
        ]);
    }
    page.table(&table);
}

fn told(
    bundle: &Bundle,
    agent: &AgentManifest,
    typed: &aecl_kernel::define::catalogue::TypedAction,
    environment: &str,
) -> (Tone, &'static str, Vec<String>) {
    let Outlook { look, mut why } = outlook::of(bundle, agent, typed, environment);
    let own = outlook::own_rules(bundle, agent, typed);
    if own > 0 && look != Look::Blocked {
        why.push(format!("{} of your own may say more", count(own, "rule")));
    }
    let tone = match look {
        Look::Allowed => Tone::Good,
        Look::Asks | Look::OnlyToUndo => Tone::Mind,
        Look::Blocked => Tone::Bad,
    };
    (tone, outlook::word(look), why)
}

/// What the manifest lists and the catalogue does not have.
fn missing(bundle: &Bundle, agent: &AgentManifest) -> Vec<String> {
    let known = |name: &str| match name.strip_suffix('*') {
        Some(prefix) => bundle.catalogue().iter().any(|(n, _)| n.as_str().starts_with(prefix)),
        None => bundle.catalogue().find(name).is_some(),
    };
    agent.allowed_actions.iter().chain(agent.context_rules.keys()).filter(|n| !known(n)).cloned().collect()
}

fn words(set: &BTreeSet<String>) -> String {
    set.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

fn limits(agent: &AgentManifest) -> Vec<String> {
    let only = |actions: &BTreeSet<String>| {
        if actions.is_empty() { String::new() } else { format!(" ({})", words(actions)) }
    };
    let mut out = Vec::new();
    out.push(format!("{} questions per run", agent.max_questions_per_run));
    out.extend(agent.max_tool_calls_per_run.map(|n| format!("{n} calls per run")));
    out.extend(agent.max_concurrent_calls.map(|n| format!("{n} calls at once")));
    out.extend(
        agent
            .rate_limits
            .iter()
            .map(|r| format!("{} calls in {}{}", r.calls, duration(r.per_s.into()), only(&r.actions))),
    );
    out.extend(agent.budgets.iter().map(|b| {
        let per = match b.per {
            Per::Call => "call",
            Per::Run => "run",
            Per::Hour => "hour",
            Per::Day => "day",
        };
        let of = match b.of {
            Of::Run => "run",
            Of::Agent => "agent",
            Of::Tenant => "tenant",
        };
        format!("{} {} per {per}, for the {of}{}", b.limit, b.unit, only(&b.actions))
    }));
    out.extend(agent.hours.as_ref().map(|h| {
        let days = if h.days.is_empty() { "every day".into() } else { words(&h.days) };
        format!("from {} to {} UTC, {days}", h.from, h.to)
    }));
    out
}

fn agent_json(bundle: &Bundle, agent: &AgentManifest, environment: &str) -> Value {
    let actions: Vec<Value> = bundle
        .catalogue()
        .iter()
        .flat_map(|(name, typed)| typed.variants().map(move |variant| (name, variant)))
        .map(|(name, typed)| {
            let Outlook { look, why } = outlook::of(bundle, agent, typed, environment);
            let look = match look {
                Look::Allowed => "allow",
                Look::Asks => "require_approval",
                Look::Blocked => "block",
                Look::OnlyToUndo => "only_to_undo",
            };
            let mut row = json!({"name": name, "effect": typed.manifest.effect, "outlook": look, "why": why,
                "own_rules": outlook::own_rules(bundle, agent, typed)});
            if let (Some(row), Some(when)) = (row.as_object_mut(), &typed.when) {
                row.insert("when".into(), json!(when));
            }
            row
        })
        .collect();
    json!({"agent": agent.agent_id, "manifest": agent, "actions": actions, "not_in_catalogue": missing(bundle, agent)})
}
