//! How a decision is told: the verdict in words first, then everything behind it.

use crate::cli::show::{Field, Page, Tone, duration, inert_line, people};
use crate::http::wire::description;
use aecl_analysis::situation::AssumedSituation;
use aecl_executor::connectors::process::reaches;
use aecl_kernel::decide::Ruling;
use aecl_kernel::define::catalogue::Reversibility;
use aecl_kernel::policy::bundle::Bundle;
use aecl_kernel::read::action::Action;
use serde_json::{Value, json};

/// What was asked and what came of it.
pub(super) struct Asked<'a> {
    pub situation: &'a AssumedSituation,
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
            "reaches": self.reaches(),
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
        verdict(&mut page, &json!(**decision), decision.reason(), &action.name);
        page.gap();
        let who = &action.principal;
        let user = who.user.as_ref().map_or(String::new(), |u| format!(" for {u}"));
        let project = who.project.as_ref().map_or(String::new(), |p| format!(", project {p}"));
        page.field(
            "who",
            &format!("{}{user}, tenant {}{project}, in {}", who.agent, who.tenant, who.environment),
        );
        if let Some(typed) = &action.typed {
            let (what, server_says) = description(typed);
            let what = if what.is_empty() { String::new() } else { format!(": {what}") };
            let when = typed.when.as_ref().map_or_else(String::new, |when| format!(" where {when}"));
            page.field("what", &format!("{}{when} ({}){what}", action.name, typed.manifest.effect.name()));
            page.server_says(server_says.map(|words| json!(words)).as_ref());
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
        let runs: Vec<String> = action
            .code_arguments
            .iter()
            .flat_map(aecl_kernel::read::code_arguments::CodeArgument::words)
            .collect();
        known("it", Some(runs.join("\n")).filter(|r| !r.is_empty()));
        let cage = decision.findings.iter().find(|f| f.check == "sandbox");
        known("cage", cage.map(|f| f.message.clone()));
        known("reaches", Some(self.reaches().join("\n")).filter(|r| !r.is_empty()));
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
        page.decision(&json!(**decision), self.threshold().as_deref());
        if let Ruling::Waiting(wait) = self.ruling {
            page.heading("Who must agree");
            for requirement in &wait.ask.need.requirements {
                page.item(&people(&json!(requirement)));
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

    /// Whom the program that carries it out may reach.
    fn reaches(&self) -> Vec<String> {
        self.action.typed.as_deref().map_or_else(Vec::new, reaches)
    }

    fn threshold(&self) -> Option<String> {
        let agent = self.bundle.agent(&self.action.principal.agent)?;
        Some(agent.auto_approve_threshold.to_string())
    }

    /// How it would be undone, in words and as data.
    fn undo(&self) -> Value {
        let Some(typed) = &self.action.typed else {
            return json!({"text": "nobody knows: the action is unknown"});
        };
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
            (Reversibility::Reversible, None) => {
                json!({"text": "by doing the opposite; there is no automatic way"})
            }
            (Reversibility::Compensatable, None) => json!({"text": "by hand: it names no compensation"}),
        }
    }
}

/// The first line: what would happen, and why.
pub(super) fn verdict(page: &mut Page, decision: &Value, reason: &str, name: &str) {
    let verdict = decision.text("/verdict");
    let (tone, word, what) = match verdict.as_str() {
        "allow" => (Tone::Good, "Allowed", "would happen, and nobody is asked"),
        "require_approval" => (Tone::Mind, "Held", "waits until people agree"),
        _ => (Tone::Bad, "Blocked", "does not happen"),
    };
    let (word, name) = (page.word(tone, word), inert_line(name));
    page.line(format!("{word}: `{name}` {what}."));
    if verdict != "allow" {
        let code = decision.text("/headline");
        let code = if code.is_empty() { code } else { format!(" [{code}]") };
        page.field("because", &format!("{reason}{code}"));
    }
}
