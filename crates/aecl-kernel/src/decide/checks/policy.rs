//! What do manifest and rules say? The request is asked without a yes, and if that is refused, with one:
//! what only the second allows needs a person.

use crate::base::code;
use crate::base::id::AgentId;
use crate::decide::request::{DecisionRequest, Findings};
use crate::define::manifest::AgentManifest;
use crate::policy::{PolicyAnswer, Reason};
use crate::record::approval::ApproverRule;

pub(super) fn check(q: &DecisionRequest<'_>, findings: &mut Findings) {
    // What was not understood has no types to ask about; `catalogue` and `arguments` have blocked it.
    if !q.action.problems.is_empty() || q.action.typed.is_none() {
        return;
    }
    // A delegated run may do at most what the runs it came from may do.
    let mut asked = Vec::new();
    for holder in q.facts.holders(&q.action.principal) {
        if !asked.contains(&&holder.agent) {
            asked.push(&holder.agent);
            ask(q, &holder.agent, findings);
        }
    }
}

fn ask(q: &DecisionRequest<'_>, agent: &AgentId, findings: &mut Findings) {
    let (answer, policies) = q.bundle.policies().ask(q.of_policy(), agent);
    findings.policies.extend(policies);
    match answer {
        PolicyAnswer::Allow => {}
        // The action that it is for permits exactly this read, to the gate and to nobody else.
        PolicyAnswer::NotAllowed if q.action.credential.is_look() && is_declared(q, agent) => {}
        PolicyAnswer::NotAllowed => {
            findings.block(
                code::NOT_ALLOWED,
                format!("the manifest of `{agent}` does not list `{}`", q.action.name),
            );
        }
        PolicyAnswer::Forbid(reasons) => {
            for reason in reasons {
                let code = if reason.id.starts_with("agents/") && reason.id.ends_with("/blocked") {
                    code::ACTION_BLOCKED
                } else {
                    code::POLICY_FORBIDS
                };
                findings.block(code, format!("{} (policy `{}`)", reason.text, reason.id));
            }
        }
        PolicyAnswer::NeedsApproval(reasons) => {
            for reason in reasons {
                let requirement = requirement(q, &reason);
                let text = format!("{} (policy `{}`)", reason.text, reason.id);
                findings.ask(code::APPROVAL_RULE, text, requirement, reason.expires_s);
            }
        }
        PolicyAnswer::Error(message) => findings.block(code::POLICY_ERROR, message),
    }
}

/// Whether an action that the agent may do names this read.
fn is_declared(q: &DecisionRequest<'_>, agent: &AgentId) -> bool {
    let Some(manifest) = q.bundle.agent(agent) else { return false };
    q.bundle.catalogue().iter().any(|(name, typed)| {
        let name = name.as_str();
        let may = AgentManifest::lists(&manifest.allowed_actions, name)
            || manifest.context_rules.contains_key(name);
        let mut declared = typed.variants().filter_map(|variant| variant.manifest.resource.as_ref());
        may && declared.any(|declared| declared.looks().any(|look| look.read.as_str() == q.action.name))
    })
}

fn requirement(q: &DecisionRequest<'_>, reason: &Reason) -> ApproverRule {
    let mut requirement = crate::decide::approvers::approvers(q);
    if !reason.approvers.is_empty() {
        requirement.groups = reason.approvers.clone();
    }
    requirement.count = reason.count.max(1);
    requirement
}
