//! Is a kill switch on: for everything, the tenant, the agent, this run or a run it came from?

use crate::base::code;
use crate::decide::request::{DecisionRequest, Findings};

pub(super) fn check(q: &DecisionRequest<'_>, findings: &mut Findings) {
    for (scope, kill) in &q.facts.kills {
        findings
            .block(code::KILLED, format!("stopped ({scope}) by {} at {}: {}", kill.by, kill.at, kill.reason));
    }
}
