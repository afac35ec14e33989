//! What people's yes to a plan covers. It stands for their yes to a call that is the plan's next step, as long as
//! everything they are asked about stands in the plan as they read it. It answers findings that ask for a person,
//! and no others: what is blocked stays blocked, budgets and caps stay as they are.

use super::Standing;
use crate::action::Action;
use crate::approval::people::{counting, lapsed};
use crate::approval::{AskState, Confirm, Need, Vote};
use crate::approvers::excluded_from;
use crate::cage::Tier;
use crate::catalogue::TypedAction;
use crate::catalogue::flow::{Class, is_at_or_above};
use crate::code;
use crate::decision::{Finding, Verdict};
use crate::digest::Digest;
use crate::facts::{Fact, Key, RunFact, Space};
use crate::id::ApprovalId;
use crate::labels::proof::{leaves, needs_proof};
use crate::question::Question;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What is known of the request to approve the plan, for the step that an action is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cover {
    /// The request.
    pub approval: ApprovalId,
    /// The step, from 0.
    pub step: u32,
    /// What was written when it was read.
    pub state: AskState,
    /// Until when a yes counts.
    pub expires_at: Timestamp,
    /// Who answered what.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub votes: Vec<Vote>,
    /// Who had to agree to it. Decisions that were recorded before this was asked have nobody.
    #[serde(default, skip_serializing_if = "Need::is_nobody")]
    pub need: Need,
    /// The definition of the action that was put before people.
    pub definition: Digest,
    /// How strongly its program was to be held then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<Tier>,
    /// What was typed with a yes, if something had to be.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub typed: BTreeSet<Digest>,
    /// Values of the action that the step spells out, by JSON pointer.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub exact: BTreeSet<String>,
    /// Values that the step gives an upper limit, and that are not negative.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub limited: BTreeSet<String>,
}

impl Cover {
    /// Looks up what people said about the step that this action is. Three facts are read, however long the plan.
    pub(crate) fn gather<S: Space>(
        action: &Action,
        run: &RunFact,
        standing: Option<Standing>,
        space: &mut S,
    ) -> Result<Option<Self>, S::Error> {
        let (Some(approval), Some(Standing::Step { step })) = (&run.plan_approval, standing) else {
            return Ok(None);
        };
        let Some(Fact::Approval(ask)) = space.fact(&Key::Approval(approval.clone()))? else {
            return Ok(None);
        };
        let plan = match space.fact(&Key::Goal(run.principal.run.clone()))? {
            Some(Fact::Goal(goal)) => goal.contract(),
            _ => None,
        };
        let at = step as usize;
        let shown = ask.plan.as_ref().and_then(|asked| asked.steps.get(at));
        let said = plan.as_ref().and_then(|plan| plan.steps.get(at));
        let (Some(shown), Some(said), Some(typed)) = (shown, said, &action.typed) else { return Ok(None) };
        let (mut exact, mut limited) = (BTreeSet::new(), BTreeSet::new());
        for leaf in leaves(action, typed) {
            let mut over =
                said.arguments.iter().filter(|(pointer, _)| is_at_or_above(pointer, &leaf.pointer));
            // Less than nothing is below every limit, and may be the opposite.
            let positive = || crate::amount::decimal(leaf.value).is_some_and(|n| !n.is_sign_negative());
            match over.any(|(_, constraint)| constraint.is_exact()) {
                true => exact.insert(leaf.pointer),
                false if said.arguments.contains_key(&leaf.pointer) && positive() => {
                    limited.insert(leaf.pointer)
                }
                false => false,
            };
        }
        Ok(Some(Self {
            approval: approval.clone(),
            step,
            state: ask.state,
            expires_at: ask.expires_at,
            definition: shown.definition,
            tier: shown.tier,
            typed: ask.confirm.iter().map(|confirm| confirm.typed).collect(),
            votes: ask.votes,
            need: ask.need,
            exact,
            limited,
        }))
    }

    /// Whether enough people have agreed, and their yes still counts.
    pub fn is_agreed(&self, now: Timestamp) -> bool {
        self.state == AskState::Approved && now < self.expires_at
    }

    /// The same, by people who may still say so.
    pub(crate) fn is_agreed_still(&self, q: &Question<'_>) -> bool {
        let stands = |voters| self.need.met_by(&counting(&self.votes, Some(voters), &excluded_from(q)));
        self.is_agreed(q.now) && q.facts.voters.as_ref().is_none_or(stands)
    }

    /// Whether it is about this action: as it was shown, with nothing that matters left open.
    pub(crate) fn reaches(&self, action: &Action, typed: &TypedAction) -> bool {
        typed.digest == self.definition && self.open(action, typed).is_none()
    }

    /// Why this call needs a yes of its own, though the plan was agreed to. `confirm` are the destinations whose ends
    /// would have to be typed, `votes` the answers that count.
    pub(crate) fn lacks(
        &self,
        q: &Question<'_>,
        findings: &[Finding],
        need: &Need,
        confirm: &[Confirm],
        votes: &[Vote],
    ) -> Option<String> {
        let Some(typed) = q.action.typed.as_deref() else {
            return Some(format!("the catalogue does not know `{}`", q.action.name));
        };
        if typed.digest != self.definition {
            return Some(format!("the definition of `{}` has changed since", q.action.name));
        }
        if crate::isolation::held(q).0 < self.tier {
            return Some("its program would be held less strongly than people were shown".into());
        }
        if crate::evidence::counted(q.evidence).is_some() {
            return Some("people are shown how many rows it touches".into());
        }
        if let Some(open) = self.open(q.action, typed) {
            return Some(format!("the plan leaves `{}` open", open.trim_start_matches('/')));
        }
        let beyond =
            findings.iter().find(|f| f.verdict == Verdict::RequireApproval && !self.answers(q, typed, f));
        if let Some(finding) = beyond {
            return Some(format!("`{}` is not for a plan to answer", finding.code));
        }
        if !need.met_by(votes) {
            return Some(match lapsed(&self.votes, q.facts.voters.as_ref()).into_iter().next() {
                Some((person, why)) => format!("the yes of `{person}` does not count any more: {why}"),
                None => "other people, or more, have to agree to it".into(),
            });
        }
        let votes: Vec<&Vote> = votes.iter().filter(|vote| vote.yes).collect();
        let all_typed = confirm.iter().all(|c| self.typed.contains(&c.typed));
        let looked_at = votes.len() > 1 || (all_typed && votes.iter().any(|v| v.confirmed));
        (!confirm.is_empty() && !looked_at).then(|| "nobody has typed the end of its destination".into())
    }

    /// An argument that matters and that the step neither spells out nor limits.
    fn open(&self, action: &Action, typed: &TypedAction) -> Option<String> {
        let changes = typed.manifest.effect.changes_something();
        let fixed = |class: Class, at: &String| {
            self.exact.contains(at) || (class == Class::Magnitude && self.limited.contains(at))
        };
        let mut matters =
            leaves(action, typed).into_iter().filter(|l| needs_proof(l.argument.class, changes));
        matters.find(|l| !fixed(l.argument.class, &l.pointer)).map(|leaf| leaf.pointer)
    }

    /// Whether people have answered this finding when they agreed to the plan: what it is about stood before them.
    fn answers(&self, q: &Question<'_>, typed: &TypedAction, finding: &Finding) -> bool {
        let spelt_out = || leaves(q.action, typed).iter().all(|leaf| self.exact.contains(&leaf.pointer));
        let about =
            || !finding.about.is_empty() && finding.about.iter().all(|doubt| self.exact.contains(&doubt.at));
        match finding.code {
            code::APPROVAL_RULE
            | code::RISK_ABOVE_THRESHOLD
            | code::IRREVERSIBLE
            | code::UNCOMPENSATED
            | code::SQL_UNREAD
            | code::SQL_STRUCTURE
            | code::SQL_UNBOUNDED
            | code::SQL_SEVERAL
            | code::SQL_BEYOND_EFFECT
            | code::COMMAND_UNREAD
            | code::COMMAND_BEYOND_LOOKING => true,
            code::AMOUNT_ABOVE_LIMIT
            | code::PROVENANCE_UNKNOWN
            | code::UNPROVEN_DESTINATION
            | code::UNPROVEN_CREDENTIAL
            | code::UNPROVEN_PROFILE
            | code::UNPROVEN_COMMAND
            | code::UNPROVEN_TARGET
            | code::UNPROVEN_AMOUNT
            | code::UNPROVEN_LINK
            | code::UNPROVEN_ATTACHMENT
            | code::UNPROVEN_FETCH => about(),
            code::UNGROUNDED => spelt_out(),
            // They have read where it goes, if every destination of the call is spelt out, also where only one needs proof.
            code::PRIVATE_TO_OUTSIDE => {
                let leaves = leaves(q.action, typed);
                let mut to = leaves.iter().filter(|l| l.argument.class.is_destination()).peekable();
                spelt_out() || (to.peek().is_some() && to.all(|leaf| self.exact.contains(&leaf.pointer)))
            }
            // Sums of a day, and whatever will ask tomorrow: a plan says nothing about it.
            _ => false,
        }
    }
}
