//! Is it the same proposal again? Same key and same digest gives the recorded outcome; the same key for
//! something else is a mistake or an attack, and is refused.

use crate::base::code;
use crate::decide::request::{DecisionRequest, Findings};

pub(super) fn check(q: &DecisionRequest<'_>, findings: &mut Findings) {
    for problem in q.action.problems.iter().filter(|p| p.code == code::REQUEST_INVALID) {
        findings.block(problem.code, problem.message.clone());
    }
    let Some((used, state)) = &q.facts.used else { return };
    if used.digest == q.action.digest {
        findings
            .note(code::REPLAYED, format!("proposed before as `{}`, which is {}", used.action, state.name()));
    } else {
        let key = q.action.idempotency_key.as_deref().unwrap_or_default();
        findings.block(
            code::REPLAY_CONFLICT,
            format!(
                "the idempotency key `{key}` was used for another proposal, `{}`; use a new key",
                used.action
            ),
        );
    }
}
