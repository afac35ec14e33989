//! The checks, in the order in which findings and reference list them. Each looks at one concern and
//! knows nothing of the others; all of them run, so that nobody is woken for what is refused anyway.

mod arguments;
mod breaker;
mod budget;
mod catalogue;
mod concurrency;
mod data_flow;
mod destination;
mod environment;
mod intent;
mod kill_switch;
mod own_house;
mod plan;
mod policy;
mod rate;
mod replay;
mod reversibility;
mod risk;
mod sandbox;
mod scope;
pub mod table;
mod token;
mod what_runs;

pub(crate) use data_flow::unproven;

use crate::approval::Requirement;
use crate::bundle::Bundle;
use crate::catalogue::TypedAction;
use crate::decide::{Findings, Question};
use crate::id::AgentId;
use crate::manifest::Strictness;

/// One concern.
#[derive(Debug)]
pub struct Check {
    /// Its name in findings and reference.
    pub name: &'static str,
    /// Looks, and says what it found.
    pub run: fn(&Question<'_>, &mut Findings),
}

/// All checks, in order.
pub const ALL: &[Check] = &[
    Check { name: "token", run: token::check },
    Check { name: "kill_switch", run: kill_switch::check },
    Check { name: "catalogue", run: catalogue::check },
    Check { name: "arguments", run: arguments::check },
    Check { name: "replay", run: replay::check },
    Check { name: "policy", run: policy::check },
    Check { name: "scope", run: scope::check },
    Check { name: "environment", run: environment::check },
    Check { name: "destination", run: destination::check },
    Check { name: "own_house", run: own_house::check },
    Check { name: "budget", run: budget::check },
    Check { name: "rate", run: rate::check },
    Check { name: "concurrency", run: concurrency::check },
    Check { name: "breaker", run: breaker::check },
    Check { name: "what_runs", run: what_runs::check },
    Check { name: "sandbox", run: sandbox::check },
    Check { name: "data_flow", run: data_flow::check },
    Check { name: "intent", run: intent::check },
    Check { name: "plan", run: plan::check },
    Check { name: "risk", run: risk::check },
    Check { name: "reversibility", run: reversibility::check },
];

/// The definition of an action that was understood. What was not is blocked by others.
pub(crate) fn understood<'a>(question: &Question<'a>) -> Option<&'a TypedAction> {
    question.action.typed.as_deref().filter(|_| question.action.problems.is_empty())
}

/// Whether the agent, or one that it acts for, is strict.
pub(crate) fn is_strict(question: &Question<'_>) -> bool {
    let holders = question.facts.holders(&question.action.principal);
    let mut manifests = holders.filter_map(|holder| question.bundle.agent(&holder.agent));
    manifests.any(|manifest| manifest.mode == Strictness::Strict)
}

/// Whether the run has read what strangers may have written.
pub(crate) fn is_tainted(question: &Question<'_>) -> bool {
    question.facts.run.as_ref().is_some_and(|run| run.labels.untrusted)
}

/// Who answers when a check, not a rule, asks for a person: the approver groups of the agent.
pub(crate) fn approvers(question: &Question<'_>) -> Requirement {
    approvers_of(question.bundle, &question.action.principal.agent)
}

/// The approver groups of an agent.
pub(crate) fn approvers_of(bundle: &Bundle, agent: &AgentId) -> Requirement {
    let manifest = bundle.agent(agent);
    let groups = manifest.map(|m| m.approvers.clone()).filter(|g| !g.is_empty());
    Requirement { groups: groups.unwrap_or_else(|| ["operators".to_owned()].into()), count: 1 }
}
