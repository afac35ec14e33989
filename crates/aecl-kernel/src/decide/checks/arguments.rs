//! Do the arguments fit? Unknown, missing and mistyped ones, and amounts that are none, end here:
//! a value that a rule cannot read must never make a rule go quiet.

use crate::base::code;
use crate::decide::request::{DecisionRequest, Findings};

pub(super) fn check(q: &DecisionRequest<'_>, findings: &mut Findings) {
    let others = [code::ACTION_UNKNOWN, code::REQUEST_INVALID, code::DESTINATION_INVALID];
    for problem in q.action.problems.iter().filter(|p| !others.contains(&p.code)) {
        findings.block(problem.code, problem.message.clone());
    }
}
