//! What an approver reads first: what will happen and to whom, why we ask, and whether it can be undone.

use super::{ServerWords, description};
use aecl_executor::connectors::process::reaches;
use aecl_gate::Gate;
use aecl_gate::approvals::Request;
use aecl_kernel::base::code;
use aecl_kernel::define::catalogue::{Compensation, Reversibility, TypedAction};
use aecl_kernel::read::action::{Action, Mode};
use aecl_kernel::record::approval::summary::{self, grouped};
use aecl_kernel::record::decision::Verdict;
use serde::Serialize;
use std::collections::BTreeSet;
use utoipa::ToSchema;

/// A request in words.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Story)]
pub struct ApprovalSummary {
    /// What will happen, such as `payments.transfer: 500 EUR to acc-9`.
    pub title: String,
    /// What the action does, as the operator says; empty where only its server says something.
    pub what: String,
    /// What its server says that it does: the server's words, which nobody has checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_says: Option<ServerWords>,
    /// What it touches and where its effect lands.
    pub to: Vec<String>,
    /// What the SQL or the command line among its arguments would do, one line each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub runs: Vec<String>,
    /// What holds the program that carries it out, and because of what.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cage: Option<String>,
    /// That is less than what is asked for, because the operator accepts it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub lowered: bool,
    /// Whom the program may reach from its cage: where its connector lists somebody, each of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reaches: Vec<String>,
    /// How much.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<String>,
    /// How it can be undone, or that it cannot.
    pub undo: String,
    /// Whether it can be.
    pub undoable: bool,
    /// How grave its harm can be, from 0 to 3; absent for a plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<u8>,
    /// The two reasons that say most, in plain words.
    pub reasons: Vec<String>,
    /// Why we ask: everything, as it is on record.
    pub because: Vec<String>,
    /// The definition of the action has changed since; what is shown is judged again before it happens.
    pub stale: bool,
}

/// Tells what a request is about.
pub fn summarize(gate: &Gate, request: &Request) -> ApprovalSummary {
    let ruled = &request.ruled;
    let action = request.understood(&gate.bundle());
    let mut to = action.destinations.clone();
    if let Some(resource) = action.resource.clone().filter(|r| !to.contains(r)) {
        to.push(resource);
    }
    let amount = action.amount.as_ref().map(ToString::to_string);
    let (undo, undoable) = undo(&action, request);
    let asks = |v| v == Verdict::RequireApproval;
    let mut because: Vec<String> =
        ruled.decision.findings.iter().filter(|f| asks(f.verdict)).map(|f| f.message.clone()).collect();
    because.dedup();
    let cage = ruled.decision.findings.iter().find(|f| f.check == "sandbox");
    let (what, server_says) = action.typed.as_deref().map(description).unwrap_or_default();
    ApprovalSummary {
        title: summary::title(&action),
        what,
        server_says,
        to,
        runs: runs(&action, request),
        cage: cage.map(|f| f.message.clone()),
        lowered: cage.is_some_and(|f| f.code == code::SANDBOX_LOWERED),
        reaches: action.typed.as_deref().map_or_else(Vec::new, reaches),
        amount,
        undo,
        undoable,
        severity: action.typed.as_ref().map(|typed| typed.manifest.severity()),
        reasons: summary::plain_reasons(&ruled.decision, 2),
        because,
        stale: action.typed.as_ref().map(|t| t.digest) != ruled.definition,
    }
}

/// What its SQL or command line would do, and how many rows were counted when it was asked.
fn runs(action: &Action, request: &Request) -> Vec<String> {
    let mut out: Vec<String> = action
        .code_arguments
        .iter()
        .flat_map(aecl_kernel::read::code_arguments::CodeArgument::words)
        .collect();
    out.extend(request.ask.rows.map(|rows| {
        format!(
            "touches {} {}; if it is more by then, nothing happens",
            grouped(&rows.to_string()),
            if rows == 1 { "row" } else { "rows" }
        )
    }));
    // What rules have seen of the thing, a person sees, too.
    let readings = request.ruled.evidence.iter().filter_map(|evidence| evidence.resource.as_ref());
    out.extend(readings.map(|reading| format!("acts on {}", reading.told())));
    // Whoever agrees to it agrees to what follows from it, and has to have read that.
    let names: BTreeSet<&str> = request.ask.completed_by.iter().map(|by| by.action.as_str()).collect();
    out.extend(
        names.into_iter().map(|name| {
            format!("will be completed by `{name}`, once and as it is, without another question")
        }),
    );
    if request.ruled.mode == Mode::Authorize {
        out.push(
            "the agent carries it out itself, once; what comes of it is what the agent reports".to_owned(),
        );
    }
    out
}

fn undo(action: &Action, request: &Request) -> (String, bool) {
    if let Some(original) = &request.ruled.compensates {
        return (format!("This undoes `{original}`."), true);
    }
    match &action.typed {
        // Bound when it was decided, before it happens.
        Some(typed) => undo_of(typed, request.ruled.compensation.as_ref()),
        None => ("The catalogue does not know this action any more.".into(), false),
    }
}

/// How an action is undone, in words: as it was bound, or as the catalogue says now.
pub(crate) fn undo_of(typed: &TypedAction, bound: Option<&Compensation>) -> (String, bool) {
    let compensation = bound.or(typed.manifest.compensation.as_ref());
    match (typed.manifest.reversibility(), compensation) {
        (Reversibility::Irreversible, _) => ("Cannot be undone.".into(), false),
        (_, Some(c)) => match c.window_s {
            Some(s) => (format!("Can be undone for {} with `{}`.", span(s), c.action), true),
            None => (format!("Can be undone with `{}`.", c.action), true),
        },
        (Reversibility::Reversible, None) => ("Can be taken back by doing the opposite.".into(), true),
        (Reversibility::Compensatable, None) => ("Names no way to undo it.".into(), false),
    }
}

/// A span of time as people say it.
pub fn span(s: u64) -> String {
    let (n, unit) = match s {
        0..120 => (s, "second"),
        120..7_200 => (s / 60, "minute"),
        7_200..172_800 => (s / 3600, "hour"),
        _ => (s / 86_400, "day"),
    };
    format!("{n} {unit}{}", if n == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_at_a_glance() {
        let spans = [1, 60, 3600, 86_400, 604_800].map(span);
        assert_eq!(spans, ["1 second", "60 seconds", "60 minutes", "24 hours", "7 days"]);
    }
}
