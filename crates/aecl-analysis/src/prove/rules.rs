//! Rules that people wrote and that can never matter, always do, or cannot always be evaluated.

use super::Held;
use super::Question;
use super::Solver;
use super::anything;
use super::granted;
use super::matches;
use aecl_kernel::base::id::{ActionName, AgentId};
use aecl_kernel::policy::PolicyView;
use aecl_kernel::policy::bundle::Bundle;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeSet;

/// Finding about a rule.
#[derive(Debug, Clone, Serialize)]
pub struct RuleFinding {
    /// Its id.
    pub rule: String,
    /// What it says, in words.
    pub says: String,
    /// What is wrong with it, if anything is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<RuleFault>,
    /// What could not be found out, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<String>,
}

/// Fault of a rule.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "snake_case", tag = "fault")]
pub enum RuleFault {
    /// No request that can happen meets it.
    Dead,
    /// Whatever it is about, others forbid or ask at least as much.
    Shadowed {
        /// The others.
        by: Vec<String>,
    },
    /// Every request in its scope meets it: its conditions say nothing.
    Always,
    /// For some requests it cannot be evaluated, and those are blocked.
    MayFail {
        /// For whom.
        agent: AgentId,
        /// For what.
        action: ActionName,
        /// The context of one of them, in Cedar's JSON.
        context: Value,
    },
}

pub(super) fn prove(bundle: &Bundle, ask: Solver<'_>) -> Vec<RuleFinding> {
    let mut out = Vec::new();
    // Of two that say the same, one may go.
    let mut gone = BTreeSet::new();
    for (id, rule) in bundle.policies().own_rules() {
        let mut about =
            About { bundle, id, pairs: &rule.pairs, gone: &gone, ask: &mut *ask, unknown: Vec::new() };
        let fault = about.fault();
        let unknown = about.unknown;
        if matches!(fault, Some(RuleFault::Dead | RuleFault::Shadowed { .. })) {
            gone.insert(id.clone());
        }
        out.push(RuleFinding { rule: id.clone(), says: rule.says.clone(), fault, unknown });
    }
    out
}

/// A rule, and what is asked about it.
struct About<'a> {
    bundle: &'a Bundle,
    id: &'a str,
    pairs: &'a [(AgentId, ActionName)],
    /// Rules that nobody may rest on.
    gone: &'a BTreeSet<String>,
    ask: Solver<'a>,
    unknown: Vec<String>,
}

impl About<'_> {
    fn fault(&mut self) -> Option<RuleFault> {
        if let Some(fault) = self.may_fail() {
            return Some(fault);
        }
        if self.everywhere(|held, rule| (vec![matches(&rule.json)], Vec::new(), held.given())) {
            return Some(RuleFault::Dead);
        }
        let mut by = BTreeSet::new();
        let gone = self.gone;
        let shadowed = self.everywhere(|held, rule| {
            let others: Vec<&PolicyView> = held
                .own
                .iter()
                .filter(|other| covers(other, rule) && !gone.contains(&other.reason.id))
                .collect();
            by.extend(others.iter().map(|other| other.reason.id.clone()));
            (
                vec![matches(&rule.json)],
                others.iter().map(|other| matches(&other.json)).collect(),
                held.given(),
            )
        });
        if shadowed && !by.is_empty() {
            return Some(RuleFault::Shadowed { by: by.into_iter().collect() });
        }
        let always = self.everywhere(|held, rule| {
            let mut given = held.given();
            given.extend(rule.asks.then(|| granted(false)).flatten());
            (vec![anything()], vec![matches(&rule.json)], given)
        });
        let says_something = self.told().is_some_and(|rule| conditions(&rule) > usize::from(rule.asks));
        (always && says_something).then_some(RuleFault::Always)
    }

    fn told(&self) -> Option<PolicyView> {
        let (agent, action) = self.pairs.first()?;
        let entry = self.bundle.catalogue().find(action.as_str())?;
        let variants = entry.variants().map(|typed| typed.variant);
        let mut told = variants.flat_map(|v| self.bundle.policies().of(agent, action.as_str(), v));
        told.find(|told| told.reason.id == self.id)
    }

    /// Whether in each place of the rule what the first allow, given the last, the second allow, too.
    fn everywhere(
        &mut self,
        mut of: impl FnMut(&Held, &PolicyView) -> (Vec<Value>, Vec<Value>, Vec<Value>),
    ) -> bool {
        for (agent, action) in self.pairs {
            let manifest = self.bundle.agent(agent);
            for (_, held) in manifest.map(|m| Held::each(self.bundle, m, action)).unwrap_or_default() {
                let Some(rule) = held.own.iter().find(|told| told.reason.id == self.id) else { continue };
                let (mut allows, but_not, given) = of(&held, rule);
                allows.extend(given);
                let but_not = (!but_not.is_empty()).then_some(but_not);
                match (self.ask)(&Question::Allows { action: action.clone(), allows, but_not }).found() {
                    Ok(None) => {}
                    Ok(Some(_)) => return false,
                    Err(why) => {
                        self.unknown.push(format!("{agent}, {action}: {why}"));
                        return false;
                    }
                }
            }
        }
        !self.pairs.is_empty()
    }

    fn may_fail(&mut self) -> Option<RuleFault> {
        for (agent, action) in self.pairs {
            let rule = self.told()?;
            match (self.ask)(&Question::Errors { action: action.clone(), errors: rule.json }).found() {
                Ok(None) => {}
                Ok(Some(context)) => {
                    return Some(RuleFault::MayFail {
                        agent: agent.clone(),
                        action: action.clone(),
                        context,
                    });
                }
                Err(why) => self.unknown.push(format!("{agent}, {action}: {why}")),
            }
        }
        None
    }
}

/// Whether `other` forbids, or asks for at least what `rule` asks for.
fn covers(other: &PolicyView, rule: &PolicyView) -> bool {
    let same = other.reason.approvers == rule.reason.approvers && other.reason.count >= rule.reason.count;
    other.forbids && other.reason.id != rule.reason.id && (!other.asks || (rule.asks && same))
}

fn conditions(rule: &PolicyView) -> usize {
    rule.json.get("conditions").and_then(Value::as_array).map_or(0, Vec::len)
}
