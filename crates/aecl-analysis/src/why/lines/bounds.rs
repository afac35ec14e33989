//! Lines about bounds: where an agent may act, how much it may spend, and how risky it may be.

use super::super::Limit;
use super::super::edit::{Edit, entry, flow};
use super::super::moments::number;
use super::{Candidate, Place, added, line};
use aecl_kernel::base::code::{self, Code};
use aecl_kernel::define::catalogue::Reversibility;
use aecl_kernel::define::manifest::AgentManifest;
use aecl_kernel::define::risk::Factor;
use aecl_kernel::policy::bundle::Bundle;
use rust_decimal::Decimal;
use serde_json::{Value, json};

impl Place<'_> {
    pub(super) fn of_scope(&self) -> Vec<Option<Candidate>> {
        let Some(agent) = self.agent else { return Vec::new() };
        let who = &self.action.principal;
        let scopes = &agent.scopes;
        let more = |list: Value, one: &str| added(Some(&list), one);
        let gives_up = "the border that the list is";
        let mut out = Vec::new();
        match self.key.code {
            code::ENVIRONMENT_REFUSED => {
                let here = who.environment.as_str();
                out.push(self.in_action(
                    &["environments"],
                    more(json!(self.variant.manifest.environments), here),
                    gives_up,
                ));
                out.push(self.in_agent(
                    &["scopes", "environments"],
                    more(json!(scopes.environments), here),
                    gives_up,
                ));
            }
            code::OUT_OF_HOURS => {
                out.push(self.in_agent(&["hours"], Value::Null, "the hours outside of which it does nothing"))
            }
            code::CREDENTIAL_REFUSED => {
                let scope = json!(self.variant.manifest.credential_scope);
                out.push(self.in_agent(
                    &["credential_scope"],
                    scope,
                    "what this agent's other actions have credentials for",
                ));
            }
            _ => {
                let tenants = more(json!(scopes.tenants), who.tenant.as_str());
                out.push(self.in_agent(&["scopes", "tenants"], tenants, gives_up));
                if let Some(project) = &who.project {
                    let projects = more(json!(scopes.projects), project.as_str());
                    out.push(self.in_agent(&["scopes", "projects"], projects, gives_up));
                }
                if let Some(user) = &who.user {
                    out.push(self.in_agent(
                        &["on_behalf_of"],
                        more(json!(agent.on_behalf_of), user.as_str()),
                        gives_up,
                    ));
                }
            }
        }
        out
    }

    /// The threshold, and each part of the score by itself.
    pub(super) fn of_risk(&self) -> Vec<Option<Candidate>> {
        let risk = &self.decision.risk;
        let threshold = number(Decimal::new(i64::from(risk.points), 2));
        let gives_up = format!("being asked about anything of this agent up to {}", risk.score());
        let mut out = vec![self.in_agent(&["auto_approve_threshold"], threshold, &gives_up)];
        let mut parts: Vec<&Factor> = risk.factors.iter().collect();
        parts.sort_by_key(|factor| std::cmp::Reverse(factor.points));
        out.extend(parts.into_iter().map(|factor| self.weight(factor)));
        out
    }

    fn weight(&self, factor: &Factor) -> Option<Candidate> {
        let file = self.bundle.file_of("risk");
        let weights = self.bundle.weights();
        let compensatable = self.variant.manifest.reversibility() == Reversibility::Compensatable
            && self.variant.manifest.compensation.as_ref().is_some_and(|c| c.window_s.is_none());
        let (key, value) = match factor.name.as_str() {
            "irreversible" if compensatable => ("compensatable", json!(0)),
            "untrusted_origin" => ("untrusted", json!(0)),
            "first_action" => ("first_use", json!([0, weights.first_use.1])),
            "first_destination" => ("first_use", json!([weights.first_use.0, 0])),
            "near_limit" => ("near_limit", json!([0, 0])),
            "blast" => ("blast", json!([0, 0, 0])),
            name @ ("amount" | "amount_day" | "irreversible" | "external" | "severity" | "private"
            | "production" | "bulk") => (name, json!(0)),
            doubt if weights.doubts.contains_key(doubt) => {
                let mut doubts = weights.doubts.clone();
                doubts.insert(doubt.to_owned(), 0);
                ("doubts", json!(doubts))
            }
            _ => return None,
        };
        let shown = match key {
            "doubts" => format!("doubts: {{ ..., {}: 0 }}", factor.name),
            _ => format!("{key}: {}", flow(&value)),
        };
        let edit =
            Edit::Set { file: file.clone(), entry: None, path: vec![key.to_owned()], value: Some(value) };
        let gives_up = format!("that this counts, for every agent and action: {}", factor.value);
        Some(Candidate {
            edits: vec![edit],
            overlay: None,
            group: None,
            line: line(file, String::new(), shown, &gives_up),
        })
    }

    pub(super) fn of_budget(&self) -> Vec<Option<Candidate>> {
        let Some(agent) = self.agent else { return Vec::new() };
        let amount = self.action.amount.as_ref();
        let needed = |unit: &str| match amount {
            Some(amount) if amount.unit == unit => amount.value,
            _ => self.action.rows.map_or(Decimal::ONE, Decimal::from),
        };
        let higher = agent.budgets.iter().enumerate().map(|(i, budget)| {
            let mut all = agent.budgets.clone();
            let one = all.get_mut(i)?;
            one.limit = one.limit.max(needed(&budget.unit));
            let all = serde_json::to_value(&all).ok()?;
            let mut out = self.in_agent(&["budgets"], all, "that the budget ends here")?;
            out.line.line = format!("budgets[{i}].limit: {}", needed(&budget.unit));
            Some(out)
        });
        let mut out: Vec<Option<Candidate>> = higher.collect();
        if let Some(amount) = amount {
            let budget = json!({"unit": amount.unit, "limit": amount.value, "per": "day"});
            let mut all = serde_json::to_value(&agent.budgets).unwrap_or_default();
            if let Some(all) = all.as_array_mut() {
                all.push(budget.clone());
            }
            let mut one = self.in_agent(&["budgets"], all, "that it spends nothing in this unit");
            if let Some(one) = &mut one {
                one.line.line = format!("budgets: [..., {}]", flow(&budget));
            }
            out.push(one);
        }
        out
    }
}

/// Limits of an agent that an action may reach.
pub(in super::super) fn limits(bundle: &Bundle, agent: &AgentManifest, action: &str) -> Vec<Limit> {
    let id = agent.agent_id.as_str();
    let Some((file, _)) = entry(bundle.sources(), "agents/", "agent_id", id) else { return Vec::new() };
    let mut out = Vec::new();
    let mut add = |code: Code, line: String| out.push(Limit { code, file: file.clone(), line });
    let applies = |actions: &std::collections::BTreeSet<String>| {
        actions.is_empty() || AgentManifest::lists(actions, action)
    };
    for budget in agent.budgets.iter().filter(|b| applies(&b.actions)) {
        let per = budget.per.name();
        add(code::BUDGET_EXCEEDED, format!("budgets: {} {} per {per}", budget.limit, budget.unit));
    }
    for rate in agent.rate_limits.iter().filter(|r| applies(&r.actions)) {
        add(code::RATE_LIMITED, format!("rate_limits: {} calls in {} s", rate.calls, rate.per_s));
    }
    if let Some(n) = agent.max_tool_calls_per_run {
        add(code::CALLS_EXHAUSTED, format!("max_tool_calls_per_run: {n}"));
    }
    if let Some(n) = agent.max_concurrent_calls {
        add(code::TOO_MANY_AT_ONCE, format!("max_concurrent_calls: {n}"));
    }
    if let Some(hours) = &agent.hours {
        add(code::OUT_OF_HOURS, format!("hours: {} to {} UTC", hours.from, hours.to));
    }
    add(code::QUESTIONS_EXHAUSTED, format!("max_questions_per_run: {}", agent.max_questions_per_run));
    out
}
