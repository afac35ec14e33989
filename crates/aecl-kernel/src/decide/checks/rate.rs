//! Are the calls too close together? A generic cell rate algorithm in integer microseconds: a burst up to
//! the limit passes, then calls pass at the limit's pace.

use crate::base::code;
use crate::decide::request::{DecisionRequest, Findings};
use crate::define::manifest::applies;
use crate::record::facts::rate_of;
use crate::record::usage::Rate;

pub(super) fn check(q: &DecisionRequest<'_>, findings: &mut Findings) {
    // What the gate looks up by itself is none of the agent's calls.
    if q.action.credential.is_look() {
        return;
    }
    let principal = &q.action.principal;
    let Some(manifest) = q.bundle.agent(&principal.agent) else { return };
    if q.action.compensates.is_some() {
        return;
    }
    for limit in manifest.rate_limits.iter().filter(|l| applies(&l.actions, &q.action.name)) {
        let name = rate_of(limit, principal);
        let now_us = q.now.0.saturating_mul(1000);
        let period_us = i64::from(limit.per_s).saturating_mul(1_000_000);
        let step_us = period_us / i64::from(limit.calls.max(1));
        let full_at_us = q.facts.rates.get(&name).copied().unwrap_or_default().full_at_us.max(now_us);
        if limit.calls == 0 || full_at_us - now_us > period_us - step_us {
            let wait_ms = (full_at_us - now_us - (period_us - step_us)).max(0) / 1000 + 1;
            findings.block(
                code::RATE_LIMITED,
                format!("more than {} calls in {} s; try again in {wait_ms} ms", limit.calls, limit.per_s),
            );
        } else {
            findings.rates.push((name, Rate { full_at_us: full_at_us + step_us }));
        }
    }
}
