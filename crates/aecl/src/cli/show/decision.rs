//! A decision as it is told everywhere: what every check said, what the risk is made of, which policies
//! decided. Reads the form that answers of the HTTP API and entries of the ledger share.

use super::{Field, Page};
use serde_json::Value;

impl Page {
    /// Findings, risk and policies.
    pub(crate) fn decision(&mut self, decision: &Value, threshold: Option<&str>) -> &mut Self {
        self.heading("Findings");
        let findings = decision.items("/findings");
        if findings.is_empty() {
            self.item("nothing speaks against it");
        }
        for finding in findings {
            let word = match finding.text("/verdict").as_str() {
                "block" => "blocks",
                "require_approval" => "asks",
                _ => "notes",
            };
            let (check, message, code) =
                (finding.text("/check"), finding.text("/message"), finding.text("/code"));
            self.item(&format!("{check} {word}: {message} [{code}]"));
        }
        let above = threshold.map_or(String::new(), |t| format!("; a person is asked above {t}"));
        self.heading(&format!("Risk {}{above}", score(decision)));
        let factors = decision.items("/risk/factors");
        if factors.is_empty() {
            self.item("nothing adds to it");
        }
        for factor in factors {
            let (points, value) = (factor.text("/points"), factor.text("/value"));
            let (name, source) = (factor.text("/name"), factor.text("/source"));
            self.item(&format!("{points:>3} points: {value} ({name}, from the {source})"));
        }
        self.heading("Policies that decided");
        let policies = decision.items("/policies");
        if policies.is_empty() {
            self.item("none: nothing permits it");
        }
        for policy in policies {
            self.item(policy.as_str().unwrap_or_default());
        }
        self
    }
}

/// The score as 0.00 to 1.00.
fn score(decision: &Value) -> String {
    let points = decision.pointer("/risk/points").and_then(Value::as_u64).unwrap_or(0);
    format!("{}.{:02}", points / 100, points % 100)
}

/// Who must agree for one reason.
pub(crate) fn people(requirement: &Value) -> String {
    let groups: Vec<&str> = requirement.items("/groups").iter().filter_map(Value::as_str).collect();
    let who = match requirement.pointer("/count").and_then(Value::as_u64).unwrap_or(1) {
        1 => "one person".to_owned(),
        n => format!("{n} different people"),
    };
    format!("{who} of {}", groups.join(" or "))
}
