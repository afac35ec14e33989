//! Does an argument lead to our own keys, policy or record? Whoever reads a key answers for people, and whoever writes
//! a policy is one. No rule of a bundle allows that and no person agrees to it: people use our own commands.
//!
//! Where a path leads is known to the file system and not to a pure function. It is looked up before the ruling, and the
//! answer stands on record with the decision.

use crate::base::code;
use crate::base::evidence::Reach;
use crate::decide::request::{DecisionRequest, Findings};

pub(super) fn check(q: &DecisionRequest<'_>, findings: &mut Findings) {
    for evidence in q.evidence {
        let said = evidence.said.as_str();
        match evidence.reach {
            None => {}
            Some(Reach::Into) => findings.block(code::OWN_HOUSE, said),
            Some(Reach::Around) => findings.ask_somebody(code::OWN_HOUSE_AROUND, said),
            Some(Reach::Unseen) => findings.ask_somebody(code::OWN_HOUSE_UNSEEN, said),
        }
    }
}
