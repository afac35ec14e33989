//! Do agent and action belong in this environment? The environment is the run's, set by whoever opened
//! it; an agent cannot step from sandbox to production by saying so.

use crate::base::code;
use crate::decide::request::{DecisionRequest, Findings};

pub(super) fn check(q: &DecisionRequest<'_>, findings: &mut Findings) {
    let here = &q.action.principal.environment;
    let agent = &q.action.principal.agent;
    if let Some(manifest) = q.bundle.agent(agent)
        && !manifest.scopes.environments.is_empty()
        && !manifest.scopes.environments.contains(here)
    {
        findings.block(code::ENVIRONMENT_REFUSED, format!("`{agent}` may not act in `{here}`"));
    }
    if let Some(typed) = &q.action.typed
        && !typed.manifest.environments.is_empty()
        && !typed.manifest.environments.contains(here)
    {
        findings.block(code::ENVIRONMENT_REFUSED, format!("`{}` does not exist in `{here}`", q.action.name));
    }
}
