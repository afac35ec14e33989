//! Whether the plan of a run holds: a plan that needs people's yes proves nothing before it, nor once it counts no more.

use crate::base::time::Timestamp;
use crate::decide::approvers::excluded_in;
use crate::define::manifest::Plans;
use crate::policy::bundle::Bundle;
use crate::record::approval::{ApprovalState, People};
use crate::record::facts::{FactStore, RunFact, keys};

/// Whether nobody has to agree to the plan of this run, or everybody has who has to. One fact is read, of a run whose
/// plan was put before people.
pub fn holds<S: FactStore>(
    run: &RunFact,
    lineage: &[RunFact],
    bundle: &Bundle,
    people: Option<&People>,
    now: Timestamp,
    space: &mut S,
) -> Result<bool, S::Error> {
    let Some(approval) = run.plan_approval.as_ref().filter(|_| run.planned) else {
        let wants = |run: &RunFact| {
            bundle.agent(&run.principal.agent).is_some_and(|agent| agent.plans == Plans::Approve)
        };
        return Ok(!std::iter::once(run).chain(lineage).any(wants));
    };
    let Some(ask) = space.find(keys::Approval(approval.clone()))? else { return Ok(false) };
    let voters = people.map(|people| people.voters(&ask.votes, &run.principal));
    let runs = std::iter::once(run).chain(lineage);
    let excluded = excluded_in(runs, &run.principal, bundle, voters.as_ref());
    let votes = ask.counting(voters.as_ref(), &excluded);
    Ok(ask.state_at(now) == ApprovalState::Approved && ask.need.met_by(&votes))
}
