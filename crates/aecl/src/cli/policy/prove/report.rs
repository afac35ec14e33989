//! What was proven, in words and as JSON.

use super::super::outlook::where_called;
use super::Findings;
use crate::cli::show::{Page, Tone, count, inert_line};
use aecl_analysis::prove::{Case, ComparedAction, ProofOutcome, RuleFault};
use aecl_kernel::record::decision::Verdict;
use serde_json::{Value, json};

/// What the last lines say. A proof that says more than it is worth is worse than none.
const COVERS: &str = "Covers every request with typed arguments: manifests, rules, and of the other checks what they say \
about every request alike. Leaves out what depends on what a run has read, its plan, the time, the risk score, rates and \
what was spent before: those only make a decision stricter. A run that was delegated is judged for each agent in turn.";

/// Findings, and who found them.
pub(super) struct Report<'a> {
    pub findings: &'a Findings,
    pub questions: usize,
    pub by: String,
}

impl Report<'_> {
    pub(super) fn json(&self) -> Value {
        let all = || self.findings.outcomes();
        let number = |kind: &str| all().filter(|o| word(o).1 == kind).count();
        let faults = self.findings.rules.iter().filter(|r| r.fault.is_some()).count();
        json!({
            "proven": number("proven"), "refuted": number("refuted"), "unproven": number("unproven"),
            "unknown": number("unknown"), "rules_with_faults": faults, "findings": self.findings,
            "questions": self.questions, "solver": self.by, "covers": COVERS,
        })
    }

    pub(super) fn page(&self) -> Page {
        let mut page = Page::new();
        self.properties(&mut page);
        self.rules(&mut page);
        self.compared(&mut page);
        page.gap();
        page.line(format!("{} answered by {}.", count(self.questions, "question"), inert_line(&self.by)));
        page.line(COVERS);
        page
    }

    fn properties(&self, page: &mut Page) {
        let mut last = "";
        for proof in &self.findings.properties {
            if proof.property != last {
                page.heading(&proof.property);
                last = &proof.property;
            }
            let action = where_called(&proof.action, proof.when.as_deref());
            let whom = format!("{}, {action}", proof.agent);
            outcome(page, &whom, &proof.outcome);
        }
    }

    fn rules(&self, page: &mut Page) {
        if self.findings.rules.is_empty() {
            return;
        }
        page.heading("Rules");
        for rule in &self.findings.rules {
            let (tone, word, what) = match &rule.fault {
                None if !rule.unknown.is_empty() => (Tone::Mind, "unknown", rule.unknown.join("; ")),
                None => (Tone::Good, "matters", rule.says.clone()),
                Some(RuleFault::Dead) => {
                    (Tone::Mind, "dead", "no request that can happen meets it; correct or remove it".into())
                }
                Some(RuleFault::Shadowed { by }) => (
                    Tone::Mind,
                    "shadowed",
                    format!("whatever it is about, {} forbids or asks as much", by.join(", ")),
                ),
                Some(RuleFault::Always) => (
                    Tone::Mind,
                    "always",
                    "every request in its scope meets it; its conditions say nothing".into(),
                ),
                Some(RuleFault::MayFail { agent, action, context }) => {
                    let args = context.get("args").unwrap_or(&Value::Null);
                    (
                        Tone::Mind,
                        "may fail",
                        format!("for {agent}, {action} with {args} it cannot be evaluated, which blocks"),
                    )
                }
            };
            let word = page.word(tone, word);
            page.line(format!("  {word}  {}: {}", inert_line(&rule.rule), inert_line(&what)));
        }
    }

    fn compared(&self, page: &mut Page) {
        let Some(than) = &self.findings.than else { return };
        page.heading("Nothing is newly allowed");
        for change in &than.changes {
            let whom = format!("{}, {}, {}", change.agent, change.action, manner(change));
            outcome(page, &whom, &change.outcome);
        }
        for what in &than.left_out {
            page.field("not compared", what);
        }
    }
}

fn manner(change: &ComparedAction) -> &'static str {
    if change.approved { "with a yes" } else { "without a person" }
}

fn word(outcome: &ProofOutcome) -> (Tone, &'static str) {
    match outcome {
        ProofOutcome::Proven { .. } => (Tone::Good, "proven"),
        ProofOutcome::Refuted { .. } => (Tone::Bad, "refuted"),
        ProofOutcome::Unproven { .. } => (Tone::Mind, "unproven"),
        ProofOutcome::Unknown { .. } => (Tone::Mind, "unknown"),
    }
}

fn outcome(page: &mut Page, whom: &str, outcome: &ProofOutcome) {
    let (tone, name) = word(outcome);
    let name = page.word(tone, name);
    match outcome {
        ProofOutcome::Proven { by } => {
            page.line(format!("  {name}  {}: {}", inert_line(whom), inert_line(by)));
        }
        ProofOutcome::Unknown { why } => {
            page.line(format!("  {name}  {}: {}", inert_line(whom), inert_line(why)));
        }
        ProofOutcome::Refuted { case } => {
            page.line(format!("  {name}  {}", inert_line(whom)));
            told(page, case);
        }
        ProofOutcome::Unproven { case } => {
            page.line(format!(
                "  {name}  {}: manifests and rules alone do not keep this from happening",
                inert_line(whom)
            ));
            told(page, case);
        }
    }
}

fn told(page: &mut Page, case: &Case) {
    page.field("with", &case.arguments.to_string());
    for (name, thing) in &case.resources {
        page.field(name, &serde_json::json!(thing).to_string());
    }
    let mut where_to = format!("in {}, tenant {}", case.environment, case.tenant);
    for (what, name) in [("project", &case.project), ("for", &case.user)] {
        if let Some(name) = name {
            where_to.push_str(&format!(", {what} {name}"));
        }
    }
    page.field("where", &where_to);
    let mut after: Vec<String> = Vec::new();
    if case.labels.untrusted {
        after.push("a stranger's text was read".into());
    }
    if case.labels.private {
        after.push("private data was read".into());
    }
    if case.calls > 0 {
        after.push(format!("{} were made", count(usize::try_from(case.calls).unwrap_or(usize::MAX), "call")));
    }
    if case.compensating {
        after.push("it undoes another".into());
    }
    if case.approved {
        after.push("a person has agreed".into());
    }
    if !after.is_empty() {
        page.field("after", &after.join("; "));
    }
    let decided = match case.verdict {
        Some(Verdict::Allow) => "allowed, and nobody is asked".to_owned(),
        Some(Verdict::RequireApproval) => format!("a person is asked: {}", case.reason),
        Some(Verdict::Block) => format!("blocked: {}", case.reason),
        None => "not judged: an undo is judged together with what it undoes; `!context.compensating` leaves undos out".into(),
    };
    page.field("all checks", &decided);
    if !case.policies.is_empty() {
        page.field("policies", &case.policies.join(", "));
    }
}
