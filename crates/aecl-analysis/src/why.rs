//! All that speaks for asking about an action, or against it, and for each the line of policy that would change it.
//!
//! An action is looked at in situations that grow worse: every call, values that nobody has named, what the goal does
//! not ask for, and the same after a stranger's text. What is found is told in the first of them in which it is
//! found. Each line is written into the bundle in memory, and the same call is decided again: what changes nothing is not
//! told, and what leaves other questions says so.

mod edit;
mod lines;
mod moments;
mod otherwise;

pub use otherwise::otherwise;

use crate::situation::{AssumedSituation, Supposition};
use aecl_kernel::base::code::{self, Code};
use aecl_kernel::base::id::{ActionName, AgentId, BadId};
use aecl_kernel::decide::checks;
use aecl_kernel::define::catalogue::TypedAction;
use aecl_kernel::define::manifest::AgentManifest;
use aecl_kernel::define::risk::Factor;
use aecl_kernel::policy::bundle::Bundle;
use aecl_kernel::provenance::proof::Provenance;
use aecl_kernel::read::action::Action;
use aecl_kernel::record::decision::{Decision, Finding, Verdict};
use edit::Edit;
use lines::{Candidate, Place};
use moments::Moment;
use serde::Serialize;
use serde_json::Value;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

/// Inquiry after a decision: which action of which agent, and how much of the call is known.
#[derive(Debug)]
pub struct Inquiry {
    /// Who, what, where and when. Its arguments and its goal count as far as they are given.
    pub situation: AssumedSituation,
    /// Its arguments are those of a call; otherwise they are made up.
    pub arguments_given: bool,
}

/// Answer for one agent and one kind of call.
#[derive(Debug, Serialize)]
pub struct Why {
    /// The agent.
    pub agent: AgentId,
    /// The action.
    pub action: ActionName,
    /// Which of its calls, if it is a case of an action.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// The arguments that were tried.
    pub arguments: Value,
    /// The action whose calls it completes: one that was asked for or agreed to takes away what is asked about its id and its goal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completes: Option<ActionName>,
    /// The situations, each with what speaks there and in none before.
    pub situations: Vec<SituationReasons>,
    /// What still speaks in the first situation when the first line of each of its reasons stands there together.
    pub together: Vec<Code>,
    /// Limits that speak once they are reached.
    pub limits: Vec<Limit>,
}

/// Situation, with what speaks in it.
#[derive(Debug, Serialize)]
pub struct SituationReasons {
    /// The situation, in words.
    pub situation: &'static str,
    /// What is decided there.
    pub verdict: Verdict,
    /// How risky it is there.
    pub risk: String,
    /// What speaks there and in no situation before.
    pub reasons: Vec<AskingReason>,
}

/// Reason that speaks for asking, or against it altogether.
#[derive(Debug, Serialize)]
pub struct AskingReason {
    /// Its code.
    pub code: Code,
    /// What it says.
    pub message: String,
    /// What it makes of the call.
    pub verdict: Verdict,
    /// The argument that it is about, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub argument: Option<String>,
    /// What the score is made of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Factor>,
    /// Lines of which each changes it, the narrowest first.
    pub lines: Vec<Line>,
    /// What else ends it.
    pub otherwise: &'static str,
}

/// A line of policy that changes what is decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// The file of the bundle.
    pub file: String,
    /// The entry in it, if it has several.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub entry: String,
    /// The line, by its key.
    pub line: String,
    /// What has to be so for the line to be true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub only_if: Option<&'static str>,
    /// What one does without from then on.
    pub gives_up: String,
    /// What still speaks in the same situation when it stands there.
    pub left: Vec<Code>,
}

/// A limit that speaks once it is reached.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Limit {
    /// What is found then.
    pub code: Code,
    /// The file of the bundle.
    pub file: String,
    /// The line as it is.
    pub line: String,
}

/// What speaks about an action, for each kind of call that it knows, or for the one that is given.
pub fn why(bundle: &Bundle, question: &Inquiry) -> Result<Vec<Why>, BadId> {
    let asked = &question.situation;
    let Some(entry) = bundle.catalogue().find(&asked.action) else { return Ok(Vec::new()) };
    let tries = Tries { bundle, agent: &asked.agent, changed: RefCell::default() };
    let mut out = Vec::new();
    for variant in entry.variants() {
        let moments = match question.arguments_given {
            true => {
                let (action, _) = asked.rule(bundle)?;
                // Of a call, only its own case is asked about; what was not understood is of none.
                let of = action.typed.as_ref().map_or(0, |typed| typed.variant);
                if of != variant.variant {
                    continue;
                }
                moments::of_call(asked, bundle, variant, true)
            }
            false => moments::of_action(asked, bundle, entry, variant)?,
        };
        out.push(tries.one(question, entry, variant, moments)?);
    }
    Ok(out)
}

/// Bundles as they would be with a line, made once each.
struct Tries<'a> {
    bundle: &'a Bundle,
    agent: &'a AgentId,
    changed: RefCell<BTreeMap<String, Option<Rc<Bundle>>>>,
}

impl Tries<'_> {
    fn one(
        &self,
        question: &Inquiry,
        entry: &Arc<TypedAction>,
        variant: &Arc<TypedAction>,
        moments: Vec<Moment>,
    ) -> Result<Why, BadId> {
        let asked = &question.situation;
        let mut said: BTreeSet<Key> = BTreeSet::new();
        let mut out = Why {
            agent: asked.agent.clone(),
            action: entry.manifest.name.clone(),
            when: variant.when.clone(),
            arguments: moments.first().map_or(Value::Null, Moment::arguments),
            completes: variant.manifest.completes.as_ref().map(|rule| rule.action.clone()),
            situations: Vec::new(),
            together: Vec::new(),
            limits: Vec::new(),
        };
        let agent = self.bundle.agent(&asked.agent);
        if let Some(agent) = agent {
            out.limits = lines::limits(self.bundle, agent, entry.manifest.name.as_str());
        }
        for moment in moments {
            let (action, decision) = moment.rule(self.bundle, None)?;
            let found = moment.speaking(&decision);
            let mut reasons = Vec::new();
            let mut edits = Vec::new();
            for finding in &found {
                for key in keys(finding) {
                    if !said.insert(key.clone()) {
                        continue;
                    }
                    let place = Place {
                        bundle: self.bundle,
                        agent: agent.map(Arc::as_ref),
                        variant,
                        action: &action,
                        given: question.arguments_given,
                        decision: &decision,
                        key: &key,
                        goal: moment.situation.goal.as_deref(),
                    };
                    let (reason, first) = self.reason(finding, &key, &moment, &place)?;
                    reasons.push(reason);
                    edits.extend(first);
                }
            }
            let verdict = found.iter().map(|f| f.verdict).max().unwrap_or(Verdict::Allow);
            if out.situations.is_empty() && !found.is_empty() {
                let changed = self.with(&edits);
                let (_, together) = moment.rule(changed.as_deref().unwrap_or(self.bundle), None)?;
                let left: BTreeSet<Code> = moment.speaking(&together).iter().map(|f| f.code).collect();
                out.together = left.into_iter().collect();
            }
            let risk = decision.risk.score();
            out.situations.push(SituationReasons { situation: moment.when, verdict, risk, reasons });
        }
        Ok(out)
    }

    fn reason(
        &self,
        finding: &Finding,
        key: &Key,
        moment: &Moment,
        place: &Place<'_>,
    ) -> Result<(AskingReason, Vec<Edit>), BadId> {
        let mut lines: Vec<Line> = Vec::new();
        let (mut groups, mut first) = (BTreeSet::new(), None);
        for candidate in lines::candidates(place) {
            if candidate.group.is_some_and(|group| groups.contains(group)) {
                continue;
            }
            let Some(left) = self.tried(&candidate, key, finding.verdict, moment)? else { continue };
            groups.extend(candidate.group);
            first.get_or_insert(candidate.edits);
            lines.push(Line { left, ..candidate.line });
        }
        let reason = AskingReason {
            code: finding.code,
            message: finding.message.clone(),
            verdict: finding.verdict,
            argument: key.at.clone(),
            parts: match finding.code == code::RISK_ABOVE_THRESHOLD {
                true => place.decision.risk.factors.clone(),
                false => Vec::new(),
            },
            lines,
            otherwise: otherwise(finding.code).unwrap_or(otherwise::PERSON),
        };
        Ok((reason, first.unwrap_or_default()))
    }

    /// What is left with this line, if it changes anything.
    fn tried(
        &self,
        candidate: &Candidate,
        key: &Key,
        was: Verdict,
        moment: &Moment,
    ) -> Result<Option<Vec<Code>>, BadId> {
        let Some(bundle) = self.with(&candidate.edits) else { return Ok(None) };
        let (_, decision) = moment.rule(&bundle, candidate.overlay.as_ref())?;
        let found = moment.speaking(&decision);
        // What is asked about and no longer refused has changed, too.
        if found.iter().filter(|f| f.verdict >= was).flat_map(keys).any(|other| other == *key) {
            return Ok(None);
        }
        let left: BTreeSet<Code> = found.iter().map(|f| f.code).collect();
        Ok(Some(left.into_iter().collect()))
    }

    fn with(&self, edits: &[Edit]) -> Option<Rc<Bundle>> {
        let name = format!("{edits:?}");
        if let Some(known) = self.changed.borrow().get(&name) {
            return known.clone();
        }
        let made = edit::apply(self.bundle, edits, self.agent).map(Rc::new);
        self.changed.borrow_mut().insert(name, made.clone());
        made
    }
}

/// What tells one reason from another: its code, and the argument or the policy that it is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    code: Code,
    at: Option<String>,
    /// The policy, or the border by its words.
    policy: Option<String>,
}

/// The reasons that a finding is made of: one for each argument, where each is a question of its own.
fn keys(finding: &Finding) -> Vec<Key> {
    let code = finding.code;
    let whole = code == code::PROVENANCE_UNKNOWN;
    if whole || finding.about.is_empty() {
        let by_rule = [code::APPROVAL_RULE, code::POLICY_FORBIDS, code::ACTION_BLOCKED];
        // Each border is one of its own, and its message names it.
        let borders =
            [code::OUT_OF_SCOPE, code::ENVIRONMENT_REFUSED, code::CREDENTIAL_REFUSED, code::BUDGET_EXCEEDED];
        let policy = match borders.contains(&code) {
            true => Some(finding.message.clone()),
            false => by_rule.contains(&code).then(|| policy_of(&finding.message)).flatten(),
        };
        return vec![Key { code, at: None, policy }];
    }
    let mut out: Vec<Key> =
        finding.about.iter().map(|doubt| Key { code, at: Some(doubt.at.clone()), policy: None }).collect();
    // What cannot be undone may lack both: values, and a goal that asks for it.
    if code == code::IRREVERSIBLE && finding.message.contains("the goal does not ask for it") {
        out.push(Key { code, at: None, policy: None });
    }
    out
}

/// The policy that a finding of Cedar names at its end.
fn policy_of(message: &str) -> Option<String> {
    let (_, id) = message.rsplit_once("(policy `")?;
    Some(id.trim_end_matches(')').trim_end_matches('`').to_owned())
}

impl Moment {
    /// What would be decided in it by this bundle.
    fn rule(
        &self,
        bundle: &Bundle,
        overlay: Option<&lines::Overlay>,
    ) -> Result<(Arc<Action>, Arc<Decision>), BadId> {
        let provenance = |action: &Action, found: Option<Provenance>| {
            let mut supposed = self.suppose.of(action, found)?;
            if let Some((at, backing)) = overlay {
                supposed.proofs.entry(at.clone()).or_default().push(backing.clone());
                supposed.leading.entry(at.clone()).or_default().push(backing.clone());
            }
            Some(supposed)
        };
        let suppose = Supposition { provenance: &provenance, told: self.told.clone() };
        let (action, ruling) = self.situation.rule_supposing(bundle, &BTreeMap::new(), &suppose)?;
        Ok((action, ruling.decision().clone()))
    }

    /// What asks or refuses in it. What its thing is like is looked up when a call comes.
    fn speaking(&self, decision: &Decision) -> Vec<Finding> {
        let of_thing = |f: &Finding| f.check == checks::resource::NAME;
        let speaks = |f: &&Finding| {
            f.verdict != Verdict::Allow
                && match self.thing {
                    moments::Thing::Unread => of_thing(f),
                    moments::Thing::Given => true,
                    moments::Thing::LeftOut => !of_thing(f),
                }
        };
        decision.findings.iter().filter(speaks).cloned().collect()
    }
}

/// Agents that may do an action, or may if somebody agrees.
pub fn holders<'a>(bundle: &'a Bundle, action: &str) -> Vec<&'a Arc<AgentManifest>> {
    bundle.agents().filter(|agent| agent.offers(action)).collect()
}
