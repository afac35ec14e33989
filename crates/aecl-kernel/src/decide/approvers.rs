//! Who answers where no rule names anybody, and who may not answer.

use crate::base::id::AgentId;
use crate::base::principal::Principal;
use crate::decide::request::DecisionRequest;
use crate::policy::bundle::Bundle;
use crate::record::approval::{ApproverRule, Voters};
use crate::record::facts::RunFact;
use std::collections::BTreeSet;

/// Who may not answer, as the policy is now: whoever opened the run, or one that it was delegated from, has proposed
/// what is asked about as much as the agent has.
pub(crate) fn excluded_from(question: &DecisionRequest<'_>) -> BTreeSet<String> {
    let facts = question.facts;
    let runs = facts.run.iter().chain(&facts.lineage);
    excluded_in(runs, &question.action.principal, question.bundle, facts.voters.as_ref())
}

/// The same, of a run and those that it was delegated from.
pub(crate) fn excluded_in<'a>(
    runs: impl IntoIterator<Item = &'a RunFact>,
    principal: &Principal,
    bundle: &Bundle,
    voters: Option<&Voters>,
) -> BTreeSet<String> {
    let mut excluded = excluded(principal, bundle);
    if !bundle.agent(&principal.agent).is_some_and(|m| m.self_approval) {
        excluded.extend(runs.into_iter().flat_map(|run| &run.barred).map(ToString::to_string));
        excluded.extend(voters.into_iter().flat_map(Voters::own).map(ToString::to_string));
    }
    excluded
}

/// Who may not answer whatever run it is, as the policy is now.
pub fn excluded(principal: &Principal, bundle: &Bundle) -> BTreeSet<String> {
    let manifest = bundle.agent(&principal.agent);
    let mut excluded: BTreeSet<String> =
        manifest.iter().flat_map(|m| m.excluded_approvers.iter().map(|p| p.to_string())).collect();
    // The proposer never answers its own request.
    excluded.insert(principal.agent.to_string());
    if let Some(user) = &principal.user
        && !manifest.is_some_and(|m| m.self_approval)
    {
        excluded.insert(user.to_string());
    }
    excluded
}

/// The first of these runs whose agent has asked people as often as it may, and how often that is.
pub fn questions_spent<'a>(
    runs: impl IntoIterator<Item = &'a RunFact>,
    bundle: &Bundle,
) -> Option<(&'a RunFact, u64)> {
    runs.into_iter().find_map(|run| {
        let most = bundle.agent(&run.principal.agent)?.max_questions_per_run;
        (run.questions >= most).then_some((run, most))
    })
}

/// Who answers when a check, not a rule, asks for a person: the approver groups of the agent.
pub(crate) fn approvers(question: &DecisionRequest<'_>) -> ApproverRule {
    approvers_of(question.bundle, &question.action.principal.agent)
}

/// The approver groups of an agent.
pub fn approvers_of(bundle: &Bundle, agent: &AgentId) -> ApproverRule {
    let manifest = bundle.agent(agent);
    let groups = manifest.map(|m| m.approvers.clone()).filter(|g| !g.is_empty());
    ApproverRule { groups: groups.unwrap_or_else(|| ["operators".to_owned()].into()), count: 1 }
}
