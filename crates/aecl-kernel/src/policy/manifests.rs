//! What can be wrong with an agent's manifest beyond its form: above all, a limit or a block that would
//! have no effect.

use super::actions::COUNT_MAX;
use super::problem::{BundleProblem, Homes, did_you_mean};
use crate::define::catalogue::Catalogue;
use crate::define::manifest::{AgentManifest, Budget, DAYS, applies};
use std::collections::BTreeSet;

/// Says everything that is wrong or doubtful with a manifest.
pub(super) fn check(
    manifest: &AgentManifest,
    catalogue: &Catalogue,
    homes: &Homes,
    problems: &mut Vec<BundleProblem>,
) {
    let mut said =
        Said { path: homes.agent(&manifest.agent_id), agent: manifest.agent_id.to_string(), problems };
    check_lists(manifest, catalogue, &mut said);
    check_limits(manifest, catalogue, &mut said);
    let threshold = manifest.auto_approve_threshold;
    if threshold.is_sign_negative() || threshold > rust_decimal::Decimal::ONE {
        said.error("`auto_approve_threshold` must be between 0.00 and 1.00".into());
    }
    if manifest.token_ttl_seconds == 0 || manifest.token_ttl_seconds > 86_400 {
        said.error("`token_ttl_seconds` must be between 1 and 86,400".into());
    }
    if let Some(hours) = &manifest.hours {
        if let Err(e) = hours.minutes() {
            said.error(format!("`hours`: {e}"));
        }
        for day in hours.days.iter().filter(|d| !DAYS.contains(&d.as_str())) {
            said.error(format!("`hours`: `{day}` is no day; write {}", DAYS.join(", ")));
        }
    }
}

struct Said<'a> {
    path: String,
    agent: String,
    problems: &'a mut Vec<BundleProblem>,
}

impl Said<'_> {
    fn error(&mut self, message: String) {
        self.problems.push(BundleProblem::error(&self.path, format!("`{}`: {message}", self.agent)));
    }
    fn warning(&mut self, message: String) {
        self.problems.push(BundleProblem::warning(&self.path, format!("`{}`: {message}", self.agent)));
    }
}

fn check_lists(manifest: &AgentManifest, catalogue: &Catalogue, said: &mut Said<'_>) {
    let named = manifest.allowed_actions.iter().map(|a| ("allowed_actions", a));
    let named = named.chain(manifest.blocked_actions.iter().map(|a| ("blocked_actions", a)));
    for (list, action) in named {
        let wildcard = action == "*" || action.strip_suffix(".*").is_some_and(|prefix| !prefix.contains('*'));
        if wildcard {
            said.warning(format!("`{list}` has the wildcard `{action}`: it also covers what is added later"));
        } else if action.contains('*') {
            said.error(format!(
                "`{action}` in `{list}` matches nothing; a wildcard is `*` or ends with `.*`"
            ));
        } else if catalogue.find(action).is_none() {
            let hint = hint(action, catalogue);
            said.warning(format!("`{list}` names `{action}`, which the catalogue does not have{hint}"));
        }
    }
    for (action, rule) in &manifest.context_rules {
        if action.contains('*') {
            said.error(format!("`{action}` in `context_rules` matches nothing; name each action"));
        } else if catalogue.find(action).is_none() {
            let hint = hint(action, catalogue);
            said.warning(format!(
                "`context_rules` names `{action}`, which the catalogue does not have{hint}"
            ));
        }
        if AgentManifest::lists(&manifest.blocked_actions, action) {
            said.warning(format!(
                "the context rule for `{action}` is unreachable: `blocked_actions` beats it"
            ));
        }
        if !(1..=COUNT_MAX).contains(&rule.count) || rule.expires_s == 0 {
            said.error(format!("the context rule for `{action}` needs a `count` from 1 to {COUNT_MAX} and an `expires_s` above 0"));
        }
    }
}

fn check_limits(manifest: &AgentManifest, catalogue: &Catalogue, said: &mut Said<'_>) {
    for budget in &manifest.budgets {
        if budget.limit.is_sign_negative() {
            said.error(format!("the budget in `{}` is negative", budget.unit));
        }
        check_actions("budgets", &budget.actions, catalogue, said);
        if !is_ever_charged(budget, catalogue) {
            said.warning(format!(
                "the budget in `{}` limits nothing: no action that it covers is counted in that unit",
                budget.unit
            ));
        }
    }
    for limit in &manifest.rate_limits {
        if limit.per_s == 0 {
            said.error(format!("the rate of {} calls needs a `per_s` above 0", limit.calls));
        }
        check_actions("rate_limits", &limit.actions, catalogue, said);
    }
}

/// Limits name actions exactly. One that names none that exists would never apply.
fn check_actions(list: &str, actions: &BTreeSet<String>, catalogue: &Catalogue, said: &mut Said<'_>) {
    for action in actions.iter().filter(|a| catalogue.find(a).is_none()) {
        let hint = hint(action, catalogue);
        said.error(format!("`{list}` limits `{action}`, which the catalogue does not have{hint}"));
    }
}

fn is_ever_charged(budget: &Budget, catalogue: &Catalogue) -> bool {
    let unit = &budget.unit;
    unit == "calls"
        || catalogue
            .iter()
            .filter(|(name, _)| applies(&budget.actions, name.as_str()))
            .flat_map(|(_, typed)| typed.variants())
            .any(|typed| {
                let manifest = &typed.manifest;
                let amount = manifest.fields.amount.as_ref();
                let in_amount = amount.is_some_and(|a| a.unit.as_ref().is_none_or(|u| u == unit));
                let in_rows = unit == "rows" && manifest.fields.rows.is_some();
                in_amount || in_rows || manifest.cost.as_ref().is_some_and(|c| c.unit == *unit)
            })
}

fn hint(action: &str, catalogue: &Catalogue) -> String {
    did_you_mean(action, catalogue.iter().map(|(name, _)| name))
}
