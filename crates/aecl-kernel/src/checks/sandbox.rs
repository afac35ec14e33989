//! Can this host hold the program as strongly as it has to be held, and are its limits enforced? There is no
//! weaker way out but the one that the operator has written down.

use crate::action::Mode;
use crate::cage::{Choice, Demand, chosen};
use crate::code;
use crate::decide::{Findings, Question};

pub(super) fn check(q: &Question<'_>, findings: &mut Findings) {
    let Some((Demand { tier, why, .. }, choice)) = chosen(q) else { return };
    if q.action.mode == Mode::Authorize {
        let message = "who carries it out itself has no cage of ours; propose it with the mode `execute`";
        return findings.block(code::SANDBOX_UNAVAILABLE, message);
    }
    let cages = q.facts.cages.as_ref();
    match choice {
        Choice::Held { tier, instead_of: None } => {
            findings.note(code::SANDBOX_TIER, format!("it runs in `{tier}` or stronger: {why}"));
        }
        Choice::Held { tier: held, instead_of: Some(_) } => {
            let reason = cages.and_then(|c| c.lowered.as_ref()).map_or("", |l| l.reason.as_str());
            findings.note(
                code::SANDBOX_LOWERED,
                format!(
                    "it runs in `{held}` and not in `{tier}` ({why}), which is not available here; the operator \
                     accepts that: {reason}"
                ),
            );
        }
        Choice::Nothing => {
            let lack = cages.map_or_else(String::new, |c| c.lack(tier));
            findings.block(
                code::SANDBOX_UNAVAILABLE,
                format!(
                    "it must run in `{tier}` or stronger ({why}), and {lack}, or accept less with \
                     `sandbox.accept_lower_tier` in aecl.yaml"
                ),
            );
        }
        Choice::Unenforced { limit } => findings.block(
            code::SANDBOX_UNENFORCEABLE,
            format!(
                "nothing here enforces its limit `{limit}`; run AECL as root or in a systemd unit with \
                 `Delegate=yes`, or write `{limit}: null` in its connector"
            ),
        ),
    }
}
