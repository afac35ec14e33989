//! What follows from manifest and catalogue for an action before its arguments are known. Rules, amounts,
//! budgets and what a run has read can only make it stricter; `aecl explain` judges with arguments.

use aecl_kernel::base::id::ActionName;
use aecl_kernel::define::catalogue::{ActionManifest, Reversibility, TypedAction};
use aecl_kernel::define::manifest::{AgentManifest, Consent};
use aecl_kernel::define::risk::{Exposure, Recent, assess};
use aecl_kernel::policy::bundle::Bundle;

/// How it looks for an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// Nobody is asked.
    Allowed,
    /// A person is asked.
    Asks,
    /// It does not happen.
    Blocked,
    /// It happens only to undo something else.
    OnlyToUndo,
}

/// A look as a word for people.
pub(super) fn word(look: Look) -> &'static str {
    match look {
        Look::Allowed => "allowed",
        Look::Asks => "asks",
        Look::Blocked => "blocked",
        Look::OnlyToUndo => "to undo",
    }
}

/// The outlook for an action, with reasons.
#[derive(Debug)]
pub(super) struct Outlook {
    pub look: Look,
    pub why: Vec<String>,
}

pub(super) fn of(bundle: &Bundle, agent: &AgentManifest, typed: &TypedAction, environment: &str) -> Outlook {
    let action = &typed.manifest;
    let name = action.name.as_str();
    let outlook = |look, why: &str| Outlook { look, why: vec![why.to_owned()] };
    if AgentManifest::lists(&agent.blocked_actions, name) {
        return outlook(Look::Blocked, "`blocked_actions` lists it");
    }
    let here = |list: &std::collections::BTreeSet<aecl_kernel::base::id::Environment>| {
        list.is_empty() || list.iter().any(|e| e.as_str() == environment)
    };
    if !here(&action.environments) {
        return Outlook { look: Look::Blocked, why: vec![format!("it does not exist in `{environment}`")] };
    }
    if !here(&agent.scopes.environments) {
        return Outlook {
            look: Look::Blocked,
            why: vec![format!("the agent may not act in `{environment}`")],
        };
    }
    let rule = agent.context_rules.get(name);
    let listed = AgentManifest::lists(&agent.allowed_actions, name);
    if !listed && rule.is_none() {
        return match undone_by_it(bundle, agent, name) {
            Some(what) => Outlook { look: Look::OnlyToUndo, why: vec![format!("it undoes `{what}`")] },
            None => outlook(Look::Blocked, "`allowed_actions` does not list it"),
        };
    }
    let mut why = Vec::new();
    if let Some(rule) = rule {
        why.push(match rule.requires {
            Consent::HumanApproval => "`context_rules`: a person has to agree".to_owned(),
            Consent::DataOwnerConsent => "`context_rules`: the data owner has to agree".to_owned(),
        });
    }
    if action.always_approval().is_some() {
        why.push("the action always requires approval".into());
    }
    why.extend(no_way_back(action));
    let risk = assess(
        &Exposure {
            amount: None,
            reversibility: action.reversibility(),
            window: action.compensation.as_ref().is_some_and(|c| c.window_s.is_some()),
            changes: action.effect.changes_something(),
            environment,
            rows: None,
            bulk: action.bulk,
            untrusted: false,
            evidence: &[],
            severity: action.severity(),
            egress: typed.egress,
            private: false,
            of_limit: None,
            recent: Recent::default(),
            doubts: &[],
        },
        bundle.weights(),
    );
    if risk.points > agent.auto_approve_points() {
        why.push(format!("risk {} is above {}", risk.score(), agent.auto_approve_threshold));
    }
    Outlook { look: if why.is_empty() { Look::Allowed } else { Look::Asks }, why }
}

fn no_way_back(action: &ActionManifest) -> Option<String> {
    if !action.effect.changes_something() {
        return None;
    }
    match (action.reversibility(), &action.compensation) {
        (Reversibility::Irreversible, _) => Some("it cannot be undone".into()),
        (Reversibility::Compensatable, None) => Some("it names no compensation".into()),
        (Reversibility::Compensatable | Reversibility::Reversible, _) => None,
    }
}

fn undone_by_it(bundle: &Bundle, agent: &AgentManifest, name: &str) -> Option<String> {
    bundle.catalogue().iter().find_map(|(other, typed)| {
        let compensations = typed.variants().filter_map(|variant| variant.manifest.compensation.as_ref());
        let undoes = compensations.into_iter().any(|c| c.action.as_str() == name);
        let other = other.as_str();
        let may =
            AgentManifest::lists(&agent.allowed_actions, other) || agent.context_rules.contains_key(other);
        (undoes && may && !AgentManifest::lists(&agent.blocked_actions, other)).then(|| other.to_owned())
    })
}

/// How many rules of the people's own can matter for this agent and action.
pub(super) fn own_rules(bundle: &Bundle, agent: &AgentManifest, typed: &TypedAction) -> usize {
    let action = &typed.manifest;
    let name = action.name.as_str();
    let blocked = AgentManifest::lists(&agent.blocked_actions, name);
    let rule = agent.context_rules.contains_key(name);
    let listed = AgentManifest::lists(&agent.allowed_actions, name) || rule;
    let undoes = !listed && undone_by_it(bundle, agent, name).is_some();
    let always = action.always_approval().is_some() && (listed || blocked || undoes);
    let generated = [listed || undoes, blocked, rule, always].into_iter().filter(|g| *g).count();
    bundle.policies().slice_len(&agent.agent_id, name, typed.variant).saturating_sub(generated)
}

/// An action, and which of its calls.
pub(super) fn where_called(action: &ActionName, when: Option<&str>) -> String {
    when.map_or_else(|| action.to_string(), |when| format!("{action} where {when}"))
}
