//! How much is at stake? Points add up; above the one threshold a person is asked.

use super::{reversibility, table};
use crate::base::code::{self, Code};
use crate::base::evidence::counted;
use crate::decide::gather::history::ActionTrace;
use crate::decide::request::{DecisionRequest, Findings};
use crate::define::catalogue::Reversibility;
use crate::define::risk::{Exposure, Recent, assess};
use crate::provenance::proof::{egress, judged, leaves};
use crate::read::code_arguments::ParsedCode;
use crate::read::code_arguments::sql::SqlEffect;
use crate::record::approval::ApproverRule;
use crate::record::decision::UnprovenArgument;
use rust_decimal::Decimal;
use std::collections::BTreeMap;

/// From this edition on, that something cannot be undone is no risk by itself where it is what somebody trusted wants.
const WANTED: u32 = 6;

pub(super) fn check(q: &DecisionRequest<'_>, findings: &mut Findings) {
    let Some(typed) = &q.action.typed else { return };
    let manifest = &typed.manifest;
    let compensation = manifest.compensation.as_ref();
    let trace = ActionTrace::of(q.action, q.facts.holders(&q.action.principal), q.facts.edition);
    let is_final = manifest.reversibility() == Reversibility::Irreversible;
    let is_wanted = is_final && q.facts.edition >= WANTED && reversibility::is_wanted(q, typed);
    let of_limit = share_of_limit(q, findings).max(share_of_day(q, &trace, findings));
    let mut doubts: Vec<Code> =
        findings.list.iter().map(|f| f.code).filter(|c| table::row(*c).is_some()).collect();
    doubts.sort_unstable();
    doubts.dedup();
    findings.risk = assess(
        &Exposure {
            amount: q.action.amount.as_ref(),
            reversibility: if is_wanted { Reversibility::Reversible } else { manifest.reversibility() },
            window: compensation.is_some_and(|c| c.window_s.is_some()),
            changes: manifest.effect.changes_something(),
            environment: q.action.principal.environment.as_str(),
            rows: rows(q),
            bulk: manifest.bulk,
            untrusted: q.facts.run.as_ref().is_some_and(|r| r.labels.untrusted),
            evidence: q.evidence,
            severity: manifest.severity(),
            egress: egress(typed, &judged(q.action, typed, q.facts.edition)),
            private: q.facts.run.as_ref().is_some_and(|r| r.labels.private),
            of_limit,
            recent: recent(q, &trace),
            doubts: &doubts,
        },
        q.bundle.weights(),
    );
    // Where the past was not looked up, nothing is added to it.
    findings.adds = q.facts.past.as_ref().map_or_else(Vec::new, |past| trace.added(&past.first));
    let Some(agent) = q.bundle.agent(&q.action.principal.agent) else { return };
    let threshold = agent.auto_approve_points();
    if findings.risk.points > threshold {
        let why: Vec<_> =
            findings.risk.factors.iter().map(|f| format!("{} ({})", f.value, f.points)).collect();
        let text = format!(
            "risk {} is above {}.{:02}: {}",
            findings.risk.score(),
            threshold / 100,
            threshold % 100,
            why.join("; ")
        );
        let two = q.bundle.weights().two_people_from;
        if two > 0 && findings.risk.points >= two {
            let requirement = ApproverRule { count: 2, ..crate::decide::approvers::approvers(q) };
            findings.ask(code::RISK_ABOVE_THRESHOLD, text, requirement, 3600);
        } else {
            findings.ask_somebody(code::RISK_ABOVE_THRESHOLD, text);
        }
    }
}

/// The largest share of its limit, in hundredths, that an amount takes. Above the limit a person is asked,
/// whatever the score.
fn share_of_limit(q: &DecisionRequest<'_>, findings: &mut Findings) -> Option<u32> {
    let typed = crate::decide::request::understood(q)?;
    let limited = typed.roles.iter().any(|(_, argument)| argument.limit.is_some());
    if !limited {
        return None;
    }
    let mut most = None;
    for leaf in leaves(q.action, typed) {
        let Some(limit) = leaf.argument.limit else { continue };
        // What is no number is the worst number.
        let share = match crate::base::amount::decimal(leaf.value) {
            Some(n) if n.is_sign_negative() || limit.is_zero() => u32::MAX,
            Some(n) => share(n, limit),
            None => u32::MAX,
        };
        if share > 100 {
            let about = vec![UnprovenArgument { at: leaf.pointer.clone(), class: leaf.argument.class }];
            let text = format!("`{}` is above its limit of {limit}", leaf.pointer.trim_start_matches('/'));
            findings.row(code::AMOUNT_ABOVE_LIMIT, crate::decide::request::is_strict(q), text, about);
        }
        most = most.max(Some(share));
    }
    most
}

/// The largest share of its limit, in hundredths, that an argument takes together with what the agent sent to the
/// same destination in the last 24 hours. Many small amounts are a large one.
fn share_of_day(q: &DecisionRequest<'_>, trace: &ActionTrace, findings: &mut Findings) -> Option<u32> {
    let past = q.facts.past.as_ref()?;
    let mut most: BTreeMap<&str, (Decimal, Decimal)> = BTreeMap::new();
    for limited in &trace.limited {
        let before = past.sum_of(limited, q.now);
        let sum = before.checked_add(limited.amount).unwrap_or(Decimal::MAX);
        let (largest, _) = most.entry(&limited.at).or_insert((sum, limited.limit));
        *largest = sum.max(*largest);
    }
    for (at, (sum, limit)) in &most {
        // The value alone was looked at before.
        let already = findings.list.iter().any(|f| f.code == code::AMOUNT_ABOVE_LIMIT);
        if sum > limit && !already {
            let at = at.trim_start_matches('/');
            let text = format!(
                "`{at}` comes to {sum} for the same destination in 24 hours, and its limit is {limit}"
            );
            findings.row(code::SUM_ABOVE_LIMIT, crate::decide::request::is_strict(q), text, Vec::new());
        }
    }
    most.values().map(|(sum, limit)| share(*sum, *limit)).max()
}

/// So many hundredths of a limit.
fn share(n: Decimal, limit: Decimal) -> u32 {
    let hundredths = n.checked_mul(Decimal::ONE_HUNDRED).and_then(|n| n.checked_div(limit));
    hundredths.and_then(|n| u32::try_from(n.ceil()).ok()).unwrap_or(u32::MAX)
}

/// What the agent, and those it acts for, did before.
fn recent(q: &DecisionRequest<'_>, trace: &ActionTrace) -> Recent {
    let Some(past) = &q.facts.past else { return Recent::default() };
    let sums =
        trace.spent.iter().map(|(name, n)| past.sum(name, q.now).checked_add(*n).unwrap_or(Decimal::MAX));
    Recent {
        amount: sums.max(),
        first_action: trace.does.as_ref().is_some_and(|name| past.first.contains(name)),
        first_destination: trace.reaches.iter().any(|name| past.first.contains(name)),
    }
}

/// How many rows or recipients: what an argument says, what its SQL says, what was counted; the largest. A
/// change of rows that says nothing and was not counted is the worst count.
fn rows(q: &DecisionRequest<'_>) -> Option<u64> {
    let counted = counted(q.evidence);
    let of_sql = q.action.code_arguments.iter().filter_map(|argument| match &argument.code {
        ParsedCode::Sql(sql) if sql.effect() != SqlEffect::Read => sql.rows().or(counted).or(Some(u64::MAX)),
        ParsedCode::Sql(_) | ParsedCode::Command(_) => None,
    });
    q.action.rows.into_iter().chain(of_sql).chain(counted).max()
}
