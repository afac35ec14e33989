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

use crate::decide::question::{Findings, Question};

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
