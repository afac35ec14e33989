//! Has exactly this call failed again and again? An agent in a loop does not notice; the breaker does.

use crate::base::code;
use crate::decide::request::{DecisionRequest, Findings};

pub(super) fn check(q: &DecisionRequest<'_>, findings: &mut Findings) {
    // What the gate looks up by itself is none of the agent's calls.
    if q.action.credential.is_look() {
        return;
    }
    let Some(manifest) = q.bundle.agent(&q.action.principal.agent) else { return };
    let Some(run) = &q.facts.run else { return };
    if run.failing == Some(q.action.digest) && run.failures >= manifest.breaker_after.max(1) {
        findings.block(
            code::BREAKER_OPEN,
            format!(
                "exactly this call has failed {} times in a row; change it, or do something else first",
                run.failures
            ),
        );
    }
}
