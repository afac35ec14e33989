//! How much is at stake? Points add up; above the one threshold a person is asked.

use crate::code;
use crate::decide::{Findings, Question};
use crate::evidence::counted;
use crate::risk::{Exposure, assess};
use crate::understand::What;
use crate::understand::sql::SqlEffect;

pub(super) fn check(q: &Question<'_>, findings: &mut Findings) {
    let Some(typed) = &q.action.typed else { return };
    let manifest = &typed.manifest;
    let compensation = manifest.compensation.as_ref();
    findings.risk = assess(
        &Exposure {
            amount: q.action.amount.as_ref(),
            reversibility: manifest.reversibility(),
            window: compensation.is_some_and(|c| c.window_s.is_some()),
            changes: manifest.effect.changes_something(),
            environment: q.action.principal.environment.as_str(),
            rows: rows(q),
            bulk: manifest.bulk,
            untrusted: q.facts.run.as_ref().is_some_and(|r| r.labels.untrusted),
            evidence: q.evidence,
        },
        q.bundle.weights(),
    );
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
        findings.ask_somebody(code::RISK_ABOVE_THRESHOLD, text);
    }
}

/// How many rows or recipients: what an argument says, what its SQL says, what was counted; the largest. A
/// change of rows that says nothing and was not counted is the worst count.
fn rows(q: &Question<'_>) -> Option<u64> {
    let counted = counted(q.evidence);
    let of_sql = q.action.runs.iter().filter_map(|run| match &run.what {
        What::Sql(sql) if sql.effect() != SqlEffect::Read => sql.rows().or(counted).or(Some(u64::MAX)),
        What::Sql(_) | What::Command(_) => None,
    });
    q.action.rows.into_iter().chain(of_sql).chain(counted).max()
}
