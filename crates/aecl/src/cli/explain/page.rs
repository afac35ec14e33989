//! How a decision is told: the verdict in words first, then everything behind it.

use super::super::show::{Page, Tone, duration};
use aecl_kernel::action::Action;
use aecl_kernel::approval::Requirement;
use aecl_kernel::bundle::{Bundle, Situation};
use aecl_kernel::catalogue::Reversibility;
use aecl_kernel::decide::{Decision, Ruling, Verdict};
use serde_json::{Value, json};

/// What was asked and what came of it.
pub(super) struct Asked<'a> {
    pub situation: &'a Situation,
    pub bundle: &'a Bundle,
    pub action: &'a Action,
    pub ruling: &'a Ruling,
}

impl Asked<'_> {
    pub(super) fn json(&self) -> Value {
        let action = self.action;
        let mut out = json!({
            "verdict": self.ruling.decision().verdict,
            "reason": self.ruling.decision().reason(),
            "decision": **self.ruling.decision(),
            "action": {
                "name": action.name, "digest": action.digest, "principal": action.principal,
                "arguments": action.arguments.value(), "resource": action.resource,
                "destinations": action.destinations, "amount": action.amount, "rows": action.rows,
            },
            "undo": self.undo(),
            "bundle": self.bundle.hash(),
        });
        if let (Ruling::Waiting(wait), Some(out)) = (self.ruling, out.as_object_mut()) {
            out.insert("excluded".into(), json!(wait.ask.excluded));
        }
        out
    }

    pub(super) fn page(&self) -> Page {
        let (action, decision) = (self.action, self.ruling.decision());
        let mut page = Page::new();
        verdict(&mut page, decision, &action.name);
        page.gap();
        let who = &action.principal;
        let user = who.user.as_ref().map_or(String::new(), |u| format!(" for {u}"));
        let project = who.project.as_ref().map_or(String::new(), |p| format!(", project {p}"));
        page.field("who", &format!("{}{user}, tenant {}{project}, in {}", who.agent, who.tenant, who.environment));
        if let Some(typed) = &action.typed {
            let what = &typed.manifest.description;
            let what = if what.is_empty() { String::new() } else { format!(": {what}") };
            page.field("what", &format!("{} ({}){what}", action.name, typed.manifest.effect.name()));
        }
        let mut known = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                page.field(name, &value);
            }
        };
        known("touches", action.resource.clone());
        known("lands at", Some(action.destinations.join(", ")).filter(|d| !d.is_empty()));
        known("amount", action.amount.as_ref().map(ToString::to_string));
        known("rows", action.rows.map(|n| n.to_string()));
        let labels = &self.situation.labels;
        let seen: Vec<&str> = [("untrusted text", labels.untrusted), ("private data", labels.private)]
            .iter()
            .filter(|(_, seen)| *seen)
            .map(|(name, _)| *name)
            .collect();
        known("run has read", Some(seen.join(" and ")).filter(|s| !s.is_empty()));
        page.heading("Arguments");
        if action.problems.is_empty() {
            page.json(action.arguments.value());
        } else {
            page.quote(&String::from_utf8_lossy(&self.situation.arguments));
        }
        findings(&mut page, decision);
        risk(&mut page, decision, self.threshold());
        page.heading("Policies that decided");
        if decision.policies.is_empty() {
            page.item("none: nothing permits it");
        }
        for policy in &decision.policies {
            page.item(policy);
        }
        if let Ruling::Waiting(wait) = self.ruling {
            page.heading("Who must agree");
            for requirement in &wait.ask.need.requirements {
                page.item(&people(requirement));
            }
            page.item(&format!("within {}; after that it counts as a no", duration(wait.ask.need.expires_s)));
            let excluded: Vec<&str> = wait.ask.excluded.iter().map(String::as_str).collect();
            page.item(&format!("never {}", excluded.join(", ")));
        }
        page.heading("Undo");
        let undo = self.undo();
        page.item(undo.get("text").and_then(Value::as_str).unwrap_or_default());
        if let Some(arguments) = undo.get("arguments") {
            page.json(arguments);
        }
        page
    }

    fn threshold(&self) -> Option<String> {
        let agent = self.bundle.agent(&self.action.principal.agent)?;
        Some(agent.auto_approve_threshold.to_string())
    }

    /// How it would be undone, in words and as data.
    fn undo(&self) -> Value {
        let Some(typed) = &self.action.typed else { return json!({"text": "nobody knows: the action is unknown"}) };
        let manifest = &typed.manifest;
        if !manifest.effect.changes_something() {
            return json!({"text": "it changes nothing"});
        }
        match (manifest.reversibility(), &manifest.compensation) {
            (Reversibility::Irreversible, _) => json!({"text": "it cannot be undone"}),
            (_, Some(c)) => {
                let window = c.window_s.map_or(String::new(), |s| format!(", within {}", duration(s)));
                json!({
                    "text": format!("by `{}`{window} (`aecl rollback`), with these arguments:", c.action),
                    "action": c.action, "window_s": c.window_s, "arguments": c.arguments,
                })
            }
            (Reversibility::Reversible, None) => json!({"text": "by doing the opposite; there is no automatic way"}),
            (Reversibility::Compensatable, None) => json!({"text": "by hand: it names no compensation"}),
        }
    }
}

/// The first line: what would happen.
pub(super) fn verdict(page: &mut Page, decision: &Decision, name: &str) {
    let (tone, word) = match decision.verdict {
        Verdict::Allow => (Tone::Good, "Allowed"),
        Verdict::RequireApproval => (Tone::Mind, "Held"),
        Verdict::Block => (Tone::Bad, "Blocked"),
    };
    let what = match decision.verdict {
        Verdict::Allow => "would happen, and nobody is asked",
        Verdict::RequireApproval => "waits until people agree",
        Verdict::Block => "does not happen",
    };
    let (word, name) = (page.word(tone, word), page.word(Tone::Plain, name));
    page.line(format!("{word}: `{name}` {what}."));
    if decision.verdict != Verdict::Allow {
        let code = decision.headline.map_or(String::new(), |c| format!(" [{c}]"));
        page.field("because", &format!("{}{code}", decision.reason()));
    }
}

/// What every check said.
pub(super) fn findings(page: &mut Page, decision: &Decision) {
    page.heading("Findings");
    if decision.findings.is_empty() {
        page.item("nothing speaks against it");
    }
    for finding in &decision.findings {
        let word = match finding.verdict {
            Verdict::Allow => "notes",
            Verdict::RequireApproval => "asks",
            Verdict::Block => "blocks",
        };
        page.item(&format!("{} {word}: {} [{}]", finding.check, finding.message, finding.code));
    }
}

/// The score and what it is made of.
pub(super) fn risk(page: &mut Page, decision: &Decision, threshold: Option<String>) {
    let threshold = threshold.map_or(String::new(), |t| format!("; a person is asked above {t}"));
    page.heading(&format!("Risk {}{threshold}", decision.risk.score()));
    if decision.risk.factors.is_empty() {
        page.item("nothing adds to it");
    }
    for factor in &decision.risk.factors {
        page.item(&format!("{:>3} points: {} ({}, from the {})", factor.points, factor.value, factor.name, factor.source));
    }
}

fn people(requirement: &Requirement) -> String {
    let groups: Vec<&str> = requirement.groups.iter().map(String::as_str).collect();
    let who = if requirement.count == 1 { "one person".into() } else { format!("{} different people", requirement.count) };
    format!("{who} of {}", groups.join(" or "))
}
