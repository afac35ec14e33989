//! The checks, in the order in which findings and reference list them. Each looks at one concern and
//! knows nothing of the others; all of them run, so that nobody is woken for what is refused anyway.

mod arguments;
mod breaker;
mod budget;
mod catalogue;
mod completion;
mod concurrency;
pub(crate) mod data_flow;
mod destination;
mod environment;
pub(crate) mod intent;
mod kill_switch;
mod own_house;
mod plan;
mod policy;
mod rate;
mod replay;
pub mod resource;
mod reversibility;
mod risk;
mod sandbox;
mod scope;
pub mod table;
mod token;
mod what_runs;

pub use crate::decide::doubts::unproven;

use crate::decide::request::{DecisionRequest, Findings};
use crate::record::decision::{CATALOGUE, KILL_SWITCH, TOKEN};

/// One concern.
#[derive(Debug)]
pub struct Check {
    /// Its name in findings and reference.
    pub name: &'static str,
    /// Looks, and says what it found.
    pub run: fn(&DecisionRequest<'_>, &mut Findings),
    /// What it blocks is not answered with what is on record of the same proposal either.
    pub bars_replay: bool,
}

const fn check(name: &'static str, run: fn(&DecisionRequest<'_>, &mut Findings)) -> Check {
    Check { name, run, bars_replay: false }
}

impl Check {
    const fn bars_replay(self) -> Self {
        Self { bars_replay: true, ..self }
    }
}

/// All checks, in order.
pub const ALL: &[Check] = &[
    check(TOKEN, token::check).bars_replay(),
    check(KILL_SWITCH, kill_switch::check).bars_replay(),
    check(CATALOGUE, catalogue::check).bars_replay(),
    check("arguments", arguments::check).bars_replay(),
    check("replay", replay::check).bars_replay(),
    check("policy", policy::check),
    check("scope", scope::check),
    check("environment", environment::check),
    check("destination", destination::check),
    check("own_house", own_house::check),
    check("budget", budget::check),
    check("rate", rate::check),
    check("concurrency", concurrency::check),
    check("breaker", breaker::check),
    check("what_runs", what_runs::check),
    check("sandbox", sandbox::check),
    check("completion", completion::check),
    check("data_flow", data_flow::check),
    check("intent", intent::check),
    check("plan", plan::check),
    check("risk", risk::check),
    check("reversibility", reversibility::check),
    check(resource::NAME, resource::check),
];
