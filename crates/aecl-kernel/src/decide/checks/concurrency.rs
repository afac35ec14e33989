//! Are too many of the agent's calls in flight? A slot is taken with the permit and given back with the
//! conclusion, whatever the outcome.

use crate::base::code;
use crate::decide::request::{DecisionRequest, Findings};

pub(super) fn check(q: &DecisionRequest<'_>, findings: &mut Findings) {
    // What the gate looks up by itself is none of the agent's calls.
    if q.action.credential.is_look() {
        return;
    }
    let Some(manifest) = q.bundle.agent(&q.action.principal.agent) else { return };
    if let Some(most) = manifest.max_concurrent_calls
        && q.facts.active >= most
    {
        findings.block(
            code::TOO_MANY_AT_ONCE,
            format!("{} calls of `{}` are in flight; the limit is {most}", q.facts.active, manifest.agent_id),
        );
    }
}
