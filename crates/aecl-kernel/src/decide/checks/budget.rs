//! Does the budget cover it? What is used and held is read, compared and held in the same step as the
//! decision, so fifty calls at once cannot spend one euro twice. Cost comes from the catalogue and the
//! amount from the judged arguments, never from what the agent says it costs.

use crate::base::code;
use crate::base::principal::Principal;
use crate::decide::request::{DecisionRequest, Findings};
use crate::define::manifest::applies;
use crate::record::facts::{meter_of, window_of};
use crate::record::usage::{BudgetHold, Meter};
use rust_decimal::Decimal;

pub(super) fn check(q: &DecisionRequest<'_>, findings: &mut Findings) {
    // What the gate looks up by itself is none of the agent's calls.
    if q.action.credential.is_look() {
        return;
    }
    // Undoing is never starved by an exhausted budget.
    if q.action.compensates.is_some() {
        return;
    }
    let charges = charges(q);
    // A delegated run uses up the limits of the runs it came from, too: many children are no way around.
    let runs = q.facts.run.iter().chain(&q.facts.lineage);
    for run in runs {
        if let Some(most) = q.bundle.agent(&run.principal.agent).and_then(|m| m.max_tool_calls_per_run)
            && run.calls >= most
        {
            findings.block(
                code::CALLS_EXHAUSTED,
                format!("the run `{}` has made its {most} calls", run.principal.run),
            );
        }
    }
    for holder in q.facts.holders(&q.action.principal) {
        hold(q, holder, &charges, findings);
    }
}

fn hold(q: &DecisionRequest<'_>, holder: &Principal, charges: &[(&str, Decimal)], findings: &mut Findings) {
    let Some(manifest) = q.bundle.agent(&holder.agent) else { return };
    let budgets: Vec<_> = manifest.budgets.iter().filter(|b| applies(&b.actions, &q.action.name)).collect();
    // A budget in euros is no leave to spend dollars.
    for (unit, amount) in charges.iter().filter(|(unit, _)| is_money(unit)) {
        let any_money = budgets.iter().any(|b| is_money(&b.unit));
        if any_money && !budgets.iter().any(|b| b.unit == *unit) {
            findings.block(
                code::BUDGET_EXCEEDED,
                format!("`{}` has no budget in {unit}; {amount} {unit} asked for", holder.agent),
            );
        }
    }
    for budget in budgets {
        let unit = &budget.unit;
        let mut charged = charges.iter().filter(|(u, _)| u == unit).map(|(_, a)| *a);
        let Some(amount) = charged.try_fold(Decimal::ZERO, Decimal::checked_add) else {
            findings.block(code::BUDGET_EXCEEDED, format!("more {unit} than can be counted"));
            continue;
        };
        if amount.is_zero() {
            continue;
        }
        let Some(meter) = meter_of(budget, holder) else {
            if amount > budget.limit {
                findings.block(
                    code::BUDGET_EXCEEDED,
                    format!("{amount} {unit} is above the {} {unit} for one call", budget.limit),
                );
            }
            continue;
        };
        let window = window_of(budget.per, q.now);
        let state =
            q.facts.meters.get(&meter).map_or(Meter { window, ..Meter::default() }, |m| m.rolled_to(window));
        let taken = state.used.checked_add(state.held);
        match taken.and_then(|t| t.checked_add(amount)) {
            Some(total) if total <= budget.limit => {
                // The same meter may be reached through a parent of the same agent; it is charged once.
                if !findings.holds.iter().any(|h| h.meter == meter) {
                    findings.holds.push(BudgetHold { meter, window: state.window, amount });
                }
            }
            _ => {
                let left = (budget.limit - state.used - state.held).max(Decimal::ZERO);
                findings.block(
                    code::BUDGET_EXCEEDED,
                    format!(
                        "{amount} {unit} asked for; {left} of {} {unit} per {} is left ({} used, {} held)",
                        budget.limit,
                        budget.per.name(),
                        state.used,
                        state.held
                    ),
                );
            }
        }
    }
}

/// What the action takes, by unit.
fn charges<'q>(q: &DecisionRequest<'q>) -> Vec<(&'q str, Decimal)> {
    let mut charges = vec![("calls", Decimal::ONE)];
    if let Some(rows) = q.action.rows {
        charges.push(("rows", Decimal::from(rows)));
    }
    if let Some(amount) = &q.action.amount {
        charges.push((&amount.unit, amount.value));
    }
    if let Some(cost) = q.action.typed.as_ref().and_then(|t| t.manifest.cost.as_ref()) {
        charges.push((&cost.unit, cost.value));
    }
    charges
}

fn is_money(unit: &str) -> bool {
    !matches!(unit, "calls" | "rows" | "bytes" | "recipients")
}
