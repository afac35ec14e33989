//! Is the agent inside its scope: tenant, project, user, hours, credentials? An argument that names another tenant
//! than the principal's is a step across a border, whatever the agent says about it.

use crate::base::code;
use crate::decide::request::{DecisionRequest, Findings};
use crate::define::manifest::DAYS;

pub(super) fn check(q: &DecisionRequest<'_>, findings: &mut Findings) {
    let principal = &q.action.principal;
    // An argument that is left out may mean every tenant.
    let field = q.action.typed.as_ref().and_then(|t| t.manifest.fields.tenant.as_deref());
    if let Some(pointer) = field
        && q.action.tenant.is_none()
        && q.action.problems.is_empty()
    {
        findings.block(code::OUT_OF_SCOPE, format!("`{}` names no tenant at `{pointer}`", q.action.name));
    }
    if let Some(named) = &q.action.tenant
        && named != principal.tenant.as_str()
    {
        findings.block(
            code::OUT_OF_SCOPE,
            format!("the arguments name tenant `{named}`; the run belongs to `{}`", principal.tenant),
        );
    }
    credentials(q, findings);
    let Some(manifest) = q.bundle.agent(&principal.agent) else { return };
    let scopes = &manifest.scopes;
    if !scopes.tenants.is_empty() && !scopes.tenants.contains(&principal.tenant) {
        findings.block(
            code::OUT_OF_SCOPE,
            format!("`{}` may not act for tenant `{}`", principal.agent, principal.tenant),
        );
    }
    if !scopes.projects.is_empty() && !principal.project.as_ref().is_some_and(|p| scopes.projects.contains(p))
    {
        let project = principal.project.as_ref().map_or("no project", |p| p.as_str());
        findings
            .block(code::OUT_OF_SCOPE, format!("`{}` may not act in project `{project}`", principal.agent));
    }
    if !manifest.on_behalf_of.is_empty()
        && !principal.user.as_ref().is_some_and(|u| manifest.on_behalf_of.contains(u))
    {
        let user = principal.user.as_ref().map_or("nobody", |u| u.as_str());
        findings.block(code::OUT_OF_SCOPE, format!("`{}` may not act for `{user}`", principal.agent));
    }
    if let Some(hours) = &manifest.hours {
        let (minute, weekday) = q.now.minute_and_weekday();
        let day = DAYS.get(weekday as usize).copied().unwrap_or_default();
        let inside = match hours.minutes() {
            Ok((from, to)) if from <= to => (from..to).contains(&minute),
            Ok((from, to)) => minute >= from || minute < to,
            Err(_) => false,
        };
        if !inside || (!hours.days.is_empty() && !hours.days.contains(day)) {
            findings.block(
                code::OUT_OF_HOURS,
                format!("`{}` acts from {} to {} UTC only", principal.agent, hours.from, hours.to),
            );
        }
    }
}

/// Credentials belong to a scope as agents do; having none is a scope of its own. A delegated run uses none that
/// the runs it came from could not use.
fn credentials(q: &DecisionRequest<'_>, findings: &mut Findings) {
    let Some(typed) = q.action.typed.as_ref().filter(|t| t.manifest.uses_credentials()) else { return };
    let wanted = &typed.manifest.credential_scope;
    let mut said = Vec::new();
    for holder in q.facts.holders(&q.action.principal) {
        let Some(manifest) = q.bundle.agent(&holder.agent) else { continue };
        if manifest.credential_scope != *wanted && !said.contains(&&holder.agent) {
            said.push(&holder.agent);
            findings.block(
                code::CREDENTIAL_REFUSED,
                format!(
                    "`{}` uses credentials of {}, and `{}` has {}",
                    q.action.name,
                    named(wanted),
                    holder.agent,
                    named(&manifest.credential_scope)
                ),
            );
        }
    }
}

fn named(scope: &Option<String>) -> String {
    scope.as_ref().map_or_else(|| "no scope".to_owned(), |scope| format!("the scope `{scope}`"))
}
