//! What people's yes to a plan covers. It stands for their yes to a call that is the plan's next step, as long as
//! everything they are asked about stands in the plan as they read it. It answers findings that ask for a person,
//! and no others: what is blocked stays blocked, budgets and caps stay as they are.

use crate::base::code;
use crate::decide::approvers::excluded_from;
use crate::decide::request::DecisionRequest;
use crate::define::catalogue::TypedAction;
use crate::define::catalogue::flow::Class;
use crate::provenance::proof::{judged, wants_proof};
use crate::read::action::Action;
use crate::record::approval::people::{counting, lapsed};
use crate::record::approval::{Quorum, TypedConfirmation, Vote};
use crate::record::cover::Cover;
use crate::record::decision::{Finding, Verdict};

impl Cover {
    /// The same, by people who may still say so.
    pub(crate) fn is_agreed_still(&self, q: &DecisionRequest<'_>) -> bool {
        let stands = |voters| self.need.met_by(&counting(&self.votes, Some(voters), &excluded_from(q)));
        self.is_agreed(q.now) && q.facts.voters.as_ref().is_none_or(stands)
    }

    /// Whether it is about this action: as it was shown, with nothing that matters left open.
    pub(crate) fn reaches(&self, action: &Action, typed: &TypedAction, edition: u32) -> bool {
        typed.digest == self.definition && self.open(action, typed, edition).is_none()
    }

    /// Why this call needs a yes of its own, though the plan was agreed to. `confirm` are the destinations whose ends
    /// would have to be typed, `votes` the answers that count.
    pub(crate) fn lacks(
        &self,
        q: &DecisionRequest<'_>,
        findings: &[Finding],
        need: &Quorum,
        confirm: &[TypedConfirmation],
        votes: &[Vote],
    ) -> Option<String> {
        let Some(typed) = q.action.typed.as_deref() else {
            return Some(format!("the catalogue does not know `{}`", q.action.name));
        };
        if typed.digest != self.definition {
            let name = &q.action.name;
            return Some(match typed.cases.is_empty() && typed.when.is_none() {
                true => format!("the definition of `{name}` has changed since"),
                false => format!(
                    "people agreed to calls of another case of `{name}`, or its definition has changed since"
                ),
            });
        }
        if crate::decide::isolation::held(q).0 < self.tier {
            return Some("its program would be held less strongly than people were shown".into());
        }
        if crate::base::evidence::counted(q.evidence).is_some() {
            return Some("people are shown how many rows it touches".into());
        }
        if let Some(open) = self.open(q.action, typed, q.facts.edition) {
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
    fn open(&self, action: &Action, typed: &TypedAction, edition: u32) -> Option<String> {
        let changes = typed.manifest.effect.changes_something();
        let fixed = |class: Class, at: &String| {
            self.exact.contains(at) || (class == Class::Magnitude && self.limited.contains(at))
        };
        let mut matters =
            judged(action, typed, edition).into_iter().filter(|l| wants_proof(l, changes, edition));
        matters.find(|l| !fixed(l.class, &l.pointer)).map(|leaf| leaf.pointer)
    }

    /// Whether people have answered this finding when they agreed to the plan: what it is about stood before them.
    fn answers(&self, q: &DecisionRequest<'_>, typed: &TypedAction, finding: &Finding) -> bool {
        let leaves = judged(q.action, typed, q.facts.edition);
        let spelt_out = || leaves.iter().all(|leaf| self.exact.contains(&leaf.pointer));
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
            // With a declared plan the words of the goal are not asked. Beside one that the agent proposes they are, and people
            // have read next to each step that the goal does not ask for it.
            code::OFF_INTENT | code::OFF_INTENT_UNPROVEN | code::GOAL_UNREAD | code::MORE_THAN_ASKED => {
                self.proposed
            }
            // They have read where it goes, if every destination of the call is spelt out, also where only one needs proof.
            code::PRIVATE_TO_OUTSIDE => {
                let mut to = leaves.iter().filter(|l| l.class.is_destination()).peekable();
                spelt_out() || (to.peek().is_some() && to.all(|leaf| self.exact.contains(&leaf.pointer)))
            }
            // Sums of a day, and whatever will ask tomorrow: a plan says nothing about it.
            _ => false,
        }
    }
}
