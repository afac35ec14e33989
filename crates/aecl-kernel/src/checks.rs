//! The checks, in the order in which findings and reference list them. Each looks at one concern and
//! knows nothing of the others; all of them run, so that nobody is woken for what is refused anyway.

mod arguments;
mod breaker;
mod budget;
mod catalogue;
mod concurrency;
mod destination;
mod environment;
mod kill_switch;
mod policy;
mod rate;
mod replay;
mod reversibility;
mod risk;
mod scope;
mod token;
mod what_runs;

use crate::approval::Requirement;
use crate::decide::{Findings, Question};

/// One concern.
#[derive(Debug)]
pub struct Check {
    /// Its name in findings and reference.
    pub name: &'static str,
    /// Looks, and says what it found.
    pub run: fn(&Question<'_>, &mut Findings),
}

/// All checks, in order. `data_flow`, `intent` and `plan` will stand before `risk`.
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
    Check { name: "budget", run: budget::check },
    Check { name: "rate", run: rate::check },
    Check { name: "concurrency", run: concurrency::check },
    Check { name: "breaker", run: breaker::check },
    Check { name: "what_runs", run: what_runs::check },
    Check { name: "risk", run: risk::check },
    Check { name: "reversibility", run: reversibility::check },
];

/// Who answers when a check, not a rule, asks for a person: the approver groups of the agent.
pub(crate) fn approvers(question: &Question<'_>) -> Requirement {
    let manifest = question.bundle.agent(&question.action.principal.agent);
    let groups = manifest.map(|m| m.approvers.clone()).filter(|g| !g.is_empty());
    Requirement { groups: groups.unwrap_or_else(|| ["operators".to_owned()].into()), count: 1 }
}
