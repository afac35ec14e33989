//! Can this host hold the program as strongly as it has to be held, and does what holds it give it all that it
//! needs (limits, views, a way out, the worker of a module)? There is no weaker way out but the one that the operator has written down.

use crate::base::code;
use crate::decide::isolation::selection;
use crate::decide::request::{DecisionRequest, Findings};
use crate::define::isolation::{HostIsolation, RequiredIsolation, Selection};
use crate::read::action::Mode;

pub(super) fn check(q: &DecisionRequest<'_>, findings: &mut Findings) {
    let Some((demand, choice)) = selection(q) else { return };
    let RequiredIsolation { tier, why, .. } = &demand;
    if q.action.mode == Mode::Authorize {
        let message = "who carries it out itself has no cage of ours; propose it with the mode `execute`";
        return findings.block(code::SANDBOX_UNAVAILABLE, message);
    }
    let cages = q.facts.cages.as_ref();
    match choice {
        Selection::Held { tier, instead_of: None } => {
            findings.note(code::SANDBOX_TIER, format!("it runs in `{tier}` or stronger: {why}"));
        }
        Selection::Held { tier: held, instead_of: Some(_) } => {
            let reason = cages.and_then(|c| c.lowered.as_ref()).map_or("", |l| l.reason.as_str());
            findings.note(
                code::SANDBOX_LOWERED,
                format!(
                    "it runs in `{held}` and not in `{tier}` ({why}), which is not available here; the operator \
                     accepts that: {reason}"
                ),
            );
        }
        Selection::Nothing => {
            let lack = cages.map_or_else(String::new, |c| c.unavailable(&demand));
            findings.block(code::SANDBOX_UNAVAILABLE, lack);
        }
        Selection::NoWorker => {
            let lack = cages.map_or_else(String::new, HostIsolation::no_worker);
            findings.block(code::SANDBOX_UNAVAILABLE, lack);
        }
        Selection::Unable => {
            let lack = cages.map_or_else(String::new, |c| c.unable(&demand));
            findings.block(code::SANDBOX_UNENFORCEABLE, lack);
        }
    }
}
