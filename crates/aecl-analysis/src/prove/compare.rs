//! Whether one bundle allows anything that another does not.

use super::Case;
use super::Held;
use super::ProofOutcome;
use super::Question;
use super::Solver;
use super::SolverAnswer;
use super::case;
use super::granted;
use super::only;
use aecl_kernel::base::id::{ActionName, AgentId};
use aecl_kernel::define::catalogue::TypedAction;
use aecl_kernel::define::catalogue::cases::CallCase;
use aecl_kernel::define::manifest::AgentManifest;
use aecl_kernel::policy::Policies;
use aecl_kernel::policy::bundle::Bundle;
use aecl_kernel::record::decision::Verdict;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Comparison of two bundles.
#[derive(Debug, Clone, Serialize)]
pub struct Comparison {
    /// What was found for each agent and action.
    pub changes: Vec<ComparedAction>,
    /// What differs and is not compared: it stands in no policy.
    pub left_out: Vec<String>,
}

/// One agent and action.
#[derive(Debug, Clone, Serialize)]
pub struct ComparedAction {
    /// The agent.
    pub agent: AgentId,
    /// The action.
    pub action: ActionName,
    /// Once somebody has agreed; otherwise without asking anybody.
    pub approved: bool,
    /// Whether nothing is newly allowed.
    #[serde(flatten)]
    pub outcome: ProofOutcome,
}

pub(super) fn prove(new: &Bundle, old: &Bundle, ask: Solver<'_>) -> Comparison {
    let mut changes = Vec::new();
    for agent in new.agents() {
        for (action, _) in new.catalogue().iter() {
            let held = Held::each(new, agent, action);
            if held.is_empty() {
                continue;
            }
            let before = old.agent(&agent.agent_id).map(|m| Held::each(old, m, action)).unwrap_or_default();
            let same = same(&held, &before)
                && schema_of(new, action) == schema_of(old, action)
                && cases_of(new, action) == cases_of(old, action);
            for approved in [false, true] {
                let outcome = match same {
                    true => ProofOutcome::Proven { by: "the same policies as before".into() },
                    false => compare_all(new, old, agent, &held, &before, approved, ask),
                };
                let agent = agent.agent_id.clone();
                changes.push(ComparedAction { agent, action: action.clone(), approved, outcome });
            }
        }
    }
    Comparison { changes, left_out: left_out(new, old) }
}

/// What rules can see of one action.
fn schema_of(bundle: &Bundle, action: &ActionName) -> Option<Value> {
    let schema = Policies::schema_json(bundle.catalogue());
    schema.get("")?.get("actions")?.get(action.as_str()).cloned()
}

/// Which calls are told apart, also by what rules do not see.
fn cases_of<'a>(bundle: &'a Bundle, action: &ActionName) -> Option<&'a [CallCase]> {
    bundle.catalogue().find(action.as_str()).map(|typed| typed.manifest.cases.as_slice())
}

fn same(new: &[(Arc<TypedAction>, Held)], old: &[(Arc<TypedAction>, Held)]) -> bool {
    new.iter().map(|(_, held)| held.all()).eq(old.iter().map(|(_, held)| held.all()))
}

/// Each variant of an action beside each of what it was before, for the calls that are both.
fn compare_all(
    new: &Bundle,
    old: &Bundle,
    agent: &AgentManifest,
    held: &[(Arc<TypedAction>, Held)],
    before: &[(Arc<TypedAction>, Held)],
    approved: bool,
    ask: Solver<'_>,
) -> ProofOutcome {
    let (mut proven, mut open) = (None, None);
    for (typed, held) in held {
        let before: Vec<_> = match before {
            [] => vec![None],
            each => each.iter().map(|(_, before)| Some(before)).collect(),
        };
        for before in before {
            match compare(new, old, agent, typed, held, before, approved, ask) {
                refuted @ ProofOutcome::Refuted { .. } => return refuted,
                found @ ProofOutcome::Proven { .. } => proven = Some(found),
                other => drop(open.get_or_insert(other)),
            }
        }
    }
    open.or(proven).unwrap_or_else(|| ProofOutcome::Proven { by: "nothing permits it".into() })
}

#[expect(clippy::too_many_arguments, reason = "two bundles, and one place in both")]
fn compare(
    new: &Bundle,
    old: &Bundle,
    agent: &AgentManifest,
    typed: &TypedAction,
    held: &Held,
    before: Option<&Held>,
    approved: bool,
    ask: Solver<'_>,
) -> ProofOutcome {
    let action = &typed.manifest.name;
    // A rule that fails blocks, and the question takes it as silent: for the bundle before, that is the wrong side.
    for told in before.iter().flat_map(|b| &b.own) {
        match ask(&Question::Errors { action: action.clone(), errors: told.json.clone() }) {
            SolverAnswer::No => {}
            SolverAnswer::Yes(_) => {
                let why = format!("`{}` of the other bundle cannot always be evaluated", told.reason.id);
                return ProofOutcome::Unknown { why };
            }
            SolverAnswer::Unknown(why) => return ProofOutcome::Unknown { why },
        }
    }
    let mut allows = held.all();
    allows.extend(granted(approved));
    allows.extend(before.iter().flat_map(|before| &before.calls).filter_map(|calls| only(calls)));
    let but_not = before.map(Held::all);
    let question = |more: &[Value]| Question::Allows {
        action: action.clone(),
        allows: allows.iter().chain(more).cloned().collect(),
        but_not: but_not.clone(),
    };
    let stricter_before = |case: &Case| {
        let was = judged_before(old, agent, action, case);
        let limit = if approved { Verdict::Block } else { Verdict::RequireApproval };
        case.verdict.is_some_and(|now| was.is_none_or(|was| was >= limit && now < was))
    };
    let found =
        case::settle(new, agent, typed, &question, &|case| case.verdict.is_some(), held.checks(), ask);
    match found {
        // Both bundles judge it with all of their checks; what is not looser there is only unproven.
        ProofOutcome::Refuted { case } if !stricter_before(&case) => ProofOutcome::Unproven { case },
        other => other,
    }
}

/// What all checks of the other bundle say; nothing if it does not know the agent.
fn judged_before(old: &Bundle, agent: &AgentManifest, action: &ActionName, case: &Case) -> Option<Verdict> {
    let situation = case.situation(agent, action).ok()?;
    old.agent(&agent.agent_id)?;
    situation.rule(old).ok().map(|(_, ruling)| ruling.decision().verdict)
}

/// Parts of manifests that are in force and stand in no policy.
fn left_out(new: &Bundle, old: &Bundle) -> Vec<String> {
    let mut out = Vec::new();
    let agents = new.agents().filter_map(|a| Some((a, old.agent(&a.agent_id)?)));
    for (now, then) in agents {
        let seen = [
            "agent_id",
            "description",
            "allowed_actions",
            "blocked_actions",
            "context_rules",
            "scopes",
            "on_behalf_of",
            "max_tool_calls_per_run",
            "credential_scope",
        ];
        differing(&format!("{}", now.agent_id), &**now, &**then, &seen, &mut out);
    }
    for (name, typed) in new.catalogue().iter() {
        let Some(then) = old.catalogue().find(name.as_str()) else { continue };
        let seen = [
            "name",
            "description",
            "effect",
            "arguments",
            "environments",
            "reversibility",
            "compensation",
            "credential_scope",
        ];
        differing(name.as_str(), &typed.manifest, &then.manifest, &seen, &mut out);
    }
    if new.weights() != old.weights() {
        out.push(new.file_of("risk"));
    }
    out
}

fn differing<T: Serialize>(what: &str, now: &T, then: &T, seen: &[&str], out: &mut Vec<String>) {
    let members = |of: &T| match serde_json::to_value(of) {
        Ok(Value::Object(members)) => members,
        Ok(_) | Err(_) => Default::default(),
    };
    let (now, then) = (members(now), members(then));
    let keys: BTreeSet<&String> = now.keys().chain(then.keys()).collect();
    for key in keys.into_iter().filter(|key| !seen.contains(&key.as_str())) {
        if now.get(key) != then.get(key) {
            out.push(format!("{what}: {key}"));
        }
    }
}
