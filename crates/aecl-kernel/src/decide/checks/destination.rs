//! Is every destination on the list of the action? Compared in canonical form, whole or by a suffix that
//! begins at a label; an empty list means nowhere, never anywhere.

use crate::base::code;
use crate::decide::request::{DecisionRequest, Findings};
use crate::define::catalogue::DestinationKind;

pub(super) fn check(q: &DecisionRequest<'_>, findings: &mut Findings) {
    for problem in q.action.problems.iter().filter(|p| p.code == code::DESTINATION_INVALID) {
        findings.block(problem.code, problem.message.clone());
    }
    let Some(field) = q.action.typed.as_ref().and_then(|t| t.manifest.fields.destination.as_ref()) else {
        return;
    };
    let Some(allowed) = &field.allowed else { return };
    // What is left out goes where the target thinks best, which is on no list of ours.
    if q.action.problems.is_empty() && q.action.arguments.pointer(&field.value).is_none() {
        findings.block(
            code::DESTINATION_REFUSED,
            format!("`{}` names no destination at `{}`", q.action.name, field.value),
        );
    }
    for destination in &q.action.destinations {
        if !allowed.iter().any(|entry| covers(field.kind, entry, destination)) {
            let list: Vec<_> = allowed.iter().map(|a| format!("`{a}`")).collect();
            let list = if list.is_empty() { "nothing".to_owned() } else { list.join(", ") };
            findings.block(
                code::DESTINATION_REFUSED,
                format!("`{}` has no destination `{destination}`; the catalogue lists {list}", q.action.name),
            );
        }
    }
}

fn covers(kind: DestinationKind, entry: &str, destination: &str) -> bool {
    match kind {
        DestinationKind::Name => entry == destination,
        DestinationKind::Email => match entry.strip_prefix('@') {
            Some(domain) => destination.rsplit_once('@').is_some_and(|(_, d)| d == domain),
            None => entry == destination,
        },
        DestinationKind::Host | DestinationKind::Url => match entry.strip_prefix("*.") {
            Some(suffix) => {
                destination.strip_suffix(suffix).is_some_and(|rest| rest.ends_with('.') && rest.len() > 1)
            }
            None => entry == destination,
        },
    }
}
