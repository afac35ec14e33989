//! A request in short, for a list of many: made once, when people are asked, from what is known then. An agent can
//! neither make it long nor make it cost more to show.

use crate::base::code;
use crate::base::digest::Digest;
use crate::base::id::ActionId;
use crate::base::principal::Principal;
use crate::define::catalogue::Reversibility;
use crate::define::catalogue::flow::Class;
use crate::read::action::Action;
use crate::record::decision::{Decision, Finding, Verdict};
use crate::record::goal::Goal;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Longest summary as it is stored, in bytes.
pub const SUMMARY_BYTES_MAX: usize = 2048;
/// Longest title, in bytes.
pub const TITLE_BYTES_MAX: usize = 180;
/// Longest value in a title, in bytes.
const VALUE_BYTES_MAX: usize = 90;
/// Longest reason, in bytes.
const REASON_BYTES_MAX: usize = 140;
/// Longest name, in bytes.
const NAME_BYTES_MAX: usize = 128;
/// The name under which a plan stands where actions have theirs.
const PLAN: &str = "plan";

/// A request in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// The position of the entry that asks: a short name that is never given again.
    pub number: u64,
    /// The name of the action, or `plan`.
    pub name: String,
    /// What will happen, shortened.
    pub title: String,
    /// Who acts.
    pub principal: Principal,
    /// The first reason to ask, shortened.
    pub because: String,
    /// How many reasons there are.
    pub reasons: u32,
    /// Whether it can be undone.
    pub undoable: bool,
    /// The action that it undoes, if it is an undo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undoes: Option<ActionId>,
    /// Requests with the same shape ask the same thing with other values.
    pub shape: Digest,
    /// SHA-256 of the canonical arguments.
    pub arguments: Digest,
}

impl Summary {
    /// The request about an action.
    pub fn of_action(number: u64, action: &Action, decision: &Decision) -> Self {
        let asking: Vec<_> =
            decision.findings.iter().filter(|f| f.verdict == Verdict::RequireApproval).collect();
        let undoable = action.compensates.is_some()
            || action.typed.as_ref().is_some_and(|t| match t.manifest.reversibility() {
                Reversibility::Irreversible => false,
                Reversibility::Reversible => true,
                Reversibility::Compensatable => t.manifest.compensation.is_some(),
            });
        let principal = &action.principal;
        let codes = asking.iter().map(|f| f.code.as_str()).collect::<Vec<_>>().join(" ");
        let definition = action.typed.as_ref().map_or_else(String::new, |t| t.digest.hex());
        let shape = [principal.tenant.as_str(), principal.agent.as_str(), &action.name, &definition, &codes]
            .map(str::as_bytes);
        Self {
            number,
            name: short(&action.name, NAME_BYTES_MAX),
            title: title(action),
            principal: principal.clone(),
            because: plain_reasons(decision, 1)
                .pop()
                .map_or_else(String::new, |r| short(&r, REASON_BYTES_MAX)),
            reasons: u32::try_from(asking.len()).unwrap_or(u32::MAX),
            undoable,
            undoes: action.compensates.clone(),
            shape: Digest::of_parts("aecl/shape/v1", &shape),
            arguments: Digest::of(action.arguments.canonical()),
        }
    }

    /// The request about a plan of so many steps.
    pub fn of_plan(number: u64, principal: &Principal, goal: &Goal, steps: usize) -> Self {
        let parts = [principal.tenant.as_str(), principal.agent.as_str(), PLAN].map(str::as_bytes);
        Self {
            number,
            name: PLAN.into(),
            title: plan_title(steps, &goal.text),
            principal: principal.clone(),
            because: "its plan is to be approved before it is carried out".into(),
            reasons: 1,
            undoable: false,
            undoes: None,
            shape: Digest::of_parts("aecl/shape/v1", &parts),
            arguments: Digest::of(goal.text.as_bytes()),
        }
    }

    /// The request about a plan of so many steps that the agent has proposed in the middle of its run.
    pub fn of_proposed_plan(number: u64, principal: &Principal, goal: &Goal, steps: usize) -> Self {
        let because = "its agent proposes these steps after what it has read, to be agreed to at once".into();
        Self {
            because,
            title: short(&format!("Proposed: {}", plan_title(steps, &goal.text)), TITLE_BYTES_MAX),
            ..Self::of_plan(number, principal, goal, steps)
        }
    }

    /// What is known of a request that was asked before there were summaries.
    pub fn unknown(number: u64, name: &str, principal: Principal) -> Self {
        let of = Digest::of_parts("aecl/shape/v1", &[b"unknown", name.as_bytes()]);
        Self {
            number,
            name: short(name, NAME_BYTES_MAX),
            title: short(name, TITLE_BYTES_MAX),
            principal,
            because: String::new(),
            reasons: 0,
            undoable: false,
            undoes: None,
            shape: of,
            arguments: of,
        }
    }
}

/// What will happen, in a line: the action, how much, and its main argument.
pub fn title(action: &Action) -> String {
    let amount = action.amount.as_ref().map(|a| {
        let value = grouped(&a.value.to_string());
        short(&format!("{value} {}", a.unit), VALUE_BYTES_MAX)
    });
    let to = action.destinations.first().or(action.resource.as_ref());
    let to = to.map(|to| short(to, VALUE_BYTES_MAX));
    let main = to.or_else(|| if amount.is_none() { main_argument(action) } else { None });
    let text = match (&amount, &main) {
        (Some(amount), Some(to)) => format!("{}: {amount} to {to}", action.name),
        (Some(one), None) | (None, Some(one)) => format!("{}: {one}", action.name),
        (None, None) => action.name.clone(),
    };
    short(&text, TITLE_BYTES_MAX)
}

/// The reasons that say most, in plain words: where values come from before what the goal says, before rules and sums.
/// That it cannot be undone is said beside them, so it is a reason only if there is no other. What has no plainer
/// words is told as it is on record.
pub fn plain_reasons(decision: &Decision, most: usize) -> Vec<String> {
    let asking = decision.findings.iter().filter(|f| f.verdict == Verdict::RequireApproval);
    let mut told: Vec<(u8, String)> = asking.map(plainer).collect();
    told.sort_by_key(|(rank, _)| *rank);
    told.dedup_by(|a, b| a.1 == b.1);
    let others = told.iter().filter(|(rank, _)| *rank < UNDO).count();
    told.truncate(if others > 0 { others.min(most) } else { most });
    told.into_iter().map(|(_, text)| text).collect()
}

/// The place of what is said beside the reasons anyhow.
const UNDO: u8 = 9;

fn plainer(finding: &Finding) -> (u8, String) {
    let (rank, plain) = match finding.code {
        code::UNPROVEN_DESTINATION => (0, "It goes where nobody who is trusted has said"),
        code::UNPROVEN_CREDENTIAL => (0, "It uses a password or key that its task does not name"),
        code::UNPROVEN_TARGET => (1, "It changes something that its task does not name"),
        code::UNPROVEN_AMOUNT => (1, "It has an amount that its task does not name"),
        code::UNPROVEN_COMMAND => (1, "It runs something that its task does not name"),
        code::UNPROVEN_PROFILE => (1, "It gives away personal data that its task does not name"),
        code::UNPROVEN_FETCH => (2, "It opens a page that its task does not name"),
        code::OFF_INTENT | code::OFF_INTENT_UNPROVEN | code::TOLD_BY_STRANGER => {
            (2, "Its task does not ask for this")
        }
        code::GOAL_UNREAD => (2, "Its task is not in English, the only language that is read"),
        code::APPROVAL_RULE => (4, ""),
        code::RISK_ABOVE_THRESHOLD => (8, "It is riskier than what goes through by itself"),
        code::IRREVERSIBLE => (UNDO, "It cannot be undone"),
        code::UNCOMPENSATED => (UNDO, "It names no way to undo it"),
        _ => (3, ""),
    };
    let named = finding.about.first().map(|doubt| doubt.at.trim_start_matches('/'));
    let text = match (plain, named) {
        ("", _) => finding.message.clone(),
        (plain, Some(at)) if finding.code == code::IRREVERSIBLE => {
            format!("{plain}, and its task does not name `{at}`.")
        }
        (plain, Some(at)) => format!("{plain}: `{at}`."),
        (plain, None) => format!("{plain}."),
    };
    (rank, text)
}

/// What a request about a plan is called.
pub fn plan_title(steps: usize, goal: &str) -> String {
    let count = if steps == 1 { "1 step".to_owned() } else { format!("{steps} steps") };
    short(&format!("Plan of {count}: {}", short(goal, VALUE_BYTES_MAX)), TITLE_BYTES_MAX)
}

/// The argument that says most about what happens: what is changed before how, and never a secret.
fn main_argument(action: &Action) -> Option<String> {
    let map = action.arguments.value().as_object()?;
    let rank = |name: &str| {
        let pointer = crate::define::catalogue::pointer_of(name);
        let class = action.typed.as_ref().and_then(|t| t.roles.of_pointer(&pointer)).map(|a| a.class);
        match class.unwrap_or(Class::Content) {
            Class::DestEmail | Class::DestUrl | Class::DestAccount | Class::DestName => Some(0),
            Class::TargetPath | Class::TargetName | Class::TargetId => Some(1),
            Class::Command | Class::QuerySql => Some(2),
            Class::Selector => Some(3),
            Class::Attachments => Some(4),
            Class::Content => Some(5),
            Class::Credential | Class::Profile | Class::Magnitude | Class::Time | Class::Flag => None,
        }
    };
    let told = map.iter().filter_map(|(name, value)| Some((rank(name)?, plainly(value)?)));
    told.min_by_key(|(rank, _)| *rank).map(|(_, text)| text)
}

/// A value that reads in a line.
fn plainly(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.trim().is_empty() => Some(short(text, VALUE_BYTES_MAX)),
        Value::Number(number) => Some(short(&number.to_string(), VALUE_BYTES_MAX)),
        Value::Array(items) => {
            let texts: Vec<String> = items.iter().take(4).filter_map(plainly).collect();
            let more = if items.len() > 4 { ", …" } else { "" };
            (!texts.is_empty()).then(|| short(&format!("{}{more}", texts.join(", ")), VALUE_BYTES_MAX))
        }
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Object(_) => None,
    }
}

/// Text on one line of at most this many bytes. Of what is longer, beginning and end are kept, since paths and
/// addresses differ at their ends. How much is left out costs nothing.
pub fn short(text: &str, bytes_max: usize) -> String {
    let plain = |c: char| match c {
        c if c.is_whitespace() => ' ',
        c if c.is_control() => char::REPLACEMENT_CHARACTER,
        c => c,
    };
    let whole: String = text.chars().take(bytes_max + 1).map(plain).collect();
    if whole.len() <= bytes_max {
        return whole;
    }
    let room = bytes_max.saturating_sub('…'.len_utf8());
    let mut left = room * 2 / 3;
    let mut fits = |c: &char| {
        let fits = c.len_utf8() <= left;
        left = left.saturating_sub(c.len_utf8());
        fits
    };
    let head: String = text.chars().map(plain).take_while(&mut fits).collect();
    let mut left = room - head.len();
    let mut fits = |c: &char| {
        let fits = c.len_utf8() <= left;
        left = left.saturating_sub(c.len_utf8());
        fits
    };
    let tail: Vec<char> = text.chars().rev().map(plain).take_while(&mut fits).collect();
    format!("{head}…{}", tail.into_iter().rev().collect::<String>())
}

/// Digits in groups of three, so that nobody has to count zeros.
pub fn grouped(number: &str) -> String {
    let (whole, fraction) = number.split_once('.').map_or((number, None), |(w, f)| (w, Some(f)));
    let mut out = String::new();
    for (i, digit) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i).is_multiple_of(3) && digit.is_ascii_digit() && !out.ends_with('-') {
            out.push(',');
        }
        out.push(digit);
    }
    fraction.map_or(out.clone(), |f| format!("{out}.{f}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id::{AgentId, Environment, ProjectId, RunId, TenantId, UserId};

    #[test]
    fn what_is_long_keeps_both_ends_and_one_line() {
        for (text, max, out) in [
            ("notes.txt", 20, "notes.txt"),
            ("two\nlines\tand\u{1b}[2J", 40, "two lines and\u{fffd}[2J"),
            ("/home/ann/projects/very/deep/notes.txt", 23, "/home/ann/pro…tes.txt"),
            ("ääääääääää", 11, "ää…ää"),
            ("ääääääääää", 10, "ää…ä"),
        ] {
            let got = short(text, max);
            assert!(got.len() <= max, "{got}");
            assert_eq!(got, out);
        }
        let long = "x".repeat(3 << 20);
        assert_eq!(short(&long, TITLE_BYTES_MAX).len(), TITLE_BYTES_MAX);
    }

    #[test]
    fn amounts_read_at_a_glance() {
        let shown = ["1", "999", "1000", "100000", "1234567.5", "-1000"].map(grouped);
        assert_eq!(shown, ["1", "999", "1,000", "100,000", "1,234,567.5", "-1,000"]);
    }

    #[test]
    fn a_summary_stays_small_whatever_an_agent_writes() {
        let name = "n".repeat(128);
        let principal = Principal {
            agent: AgentId::new(&name).unwrap(),
            user: Some(UserId::new(&name).unwrap()),
            tenant: TenantId::new(&name).unwrap(),
            project: Some(ProjectId::new(&name).unwrap()),
            environment: Environment::new(&name).unwrap(),
            run: RunId::new(&name).unwrap(),
        };
        let goal = Goal::new("\"\\\u{0}".repeat(1 << 20), None);
        let summary =
            Summary { because: "\"".repeat(140), ..Summary::of_plan(u64::MAX, &principal, &goal, 7) };
        let bytes = serde_json::to_vec(&summary).unwrap();
        assert!(bytes.len() <= SUMMARY_BYTES_MAX, "{}", bytes.len());
    }
}
