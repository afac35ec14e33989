//! Does the action exist, and is it still what a person accepted? A server may change a tool after it
//! was reviewed; then nobody has judged what it does now.

use crate::base::code;
use crate::decide::request::{DecisionRequest, Findings};
use crate::read::action::Mode;

pub(super) fn check(q: &DecisionRequest<'_>, findings: &mut Findings) {
    for problem in q.action.problems.iter().filter(|p| p.code == code::ACTION_UNKNOWN) {
        findings.block(problem.code, problem.message.clone());
    }
    if q.bundle.agent(&q.action.principal.agent).is_none() {
        findings.block(
            code::AGENT_UNKNOWN,
            format!("there is no manifest for agent `{}`", q.action.principal.agent),
        );
    }
    if let Some(typed) = &q.action.typed
        && q.facts.edition >= 1
        && q.action.mode == Mode::Authorize
        && !typed.manifest.may_be_authorized()
    {
        let name = &q.action.name;
        findings.block(
            code::AUTHORIZE_REFUSED,
            format!(
                "`{name}` is carried out by AECL; propose it with `execute`, or let its manifest say `authorize: true`"
            ),
        );
    }
    let pinned = q.action.typed.as_ref().and_then(|t| t.manifest.pin);
    if let Some(pin) = pinned
        && q.action.offered != Some(pin)
    {
        let now = q
            .action
            .offered
            .map_or("is not offered any more".to_owned(), |d| format!("is now {}", d.short()));
        let name = &q.action.name;
        findings.block(
            code::TOOL_CHANGED,
            format!("the tool `{name}` was accepted as {} and {now}; review it with `aecl catalog diff` and `aecl catalog accept {name}`", pin.short()),
        );
    }
}
