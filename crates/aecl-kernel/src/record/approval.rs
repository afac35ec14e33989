//! A person's yes: to one digest, once, for a while, from people who may give it.

mod confirm;
pub mod people;
pub mod plan;
pub mod summary;

pub use confirm::TypedConfirmation;
pub use people::{Member, People, Voters};
pub use summary::Summary;

use crate::base::code::{self, Code};
use crate::base::digest::Digest;
use crate::base::id::{ActionId, ActionName, ApprovalId, PersonId, RunId};
use crate::base::time::Timestamp;
use crate::define::isolation::IsolationTier;
use crate::record::approval::plan::PlanAsked;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Rule for who must agree for one reason: `count` distinct people out of these groups.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ApproverRule {
    /// Groups whose members count.
    pub groups: BTreeSet<String>,
    /// How many distinct people.
    pub count: u32,
}

/// Quorum of a request: everybody who must agree, and by when.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quorum {
    /// The requirements; all of them must be met, each by people of its own.
    pub requirements: Vec<ApproverRule>,
    /// Seconds until the request expires: the shortest of all reasons.
    pub expires_s: u64,
}

impl Quorum {
    /// Adds a reason. The same groups asked twice are asked once, with the larger count.
    pub fn add(&mut self, requirement: ApproverRule, expires_s: u64) {
        self.expires_s = if self.expires_s == 0 { expires_s } else { self.expires_s.min(expires_s) };
        match self.requirements.iter_mut().find(|r| r.groups == requirement.groups) {
            Some(same) => same.count = same.count.max(requirement.count),
            None => self.requirements.push(requirement),
        }
        self.requirements.sort();
    }

    /// Whether nobody is named.
    pub fn is_nobody(&self) -> bool {
        self.requirements.is_empty()
    }

    /// How many people have to agree.
    pub fn people(&self) -> u64 {
        self.requirements.iter().map(|r| u64::from(r.count)).sum()
    }

    /// Whether these votes meet every requirement, nobody counting twice.
    ///
    /// One person who is in two groups still is one person: each seat is filled by somebody else
    /// (a matching between seats and people, grown by augmenting paths).
    pub fn met_by(&self, votes: &[Vote]) -> bool {
        let people: Vec<&Vote> = {
            let mut seen = BTreeSet::new();
            votes.iter().filter(|v| v.yes && seen.insert(&v.person)).collect()
        };
        let seats: Vec<&BTreeSet<String>> =
            self.requirements.iter().flat_map(|r| (0..r.count.min(64)).map(move |_| &r.groups)).collect();
        if seats.is_empty() || seats.len() > people.len() {
            return false;
        }
        let may = |seat: usize, person: usize| match (seats.get(seat), people.get(person)) {
            (Some(groups), Some(vote)) => !groups.is_disjoint(&vote.groups),
            _ => false,
        };
        let mut taken: Vec<Option<usize>> = vec![None; people.len()];
        (0..seats.len()).all(|seat| seat_somebody(seat, &may, &mut taken, &mut vec![false; people.len()]))
    }
}

fn seat_somebody(
    seat: usize,
    may: &impl Fn(usize, usize) -> bool,
    taken: &mut Vec<Option<usize>>,
    tried: &mut Vec<bool>,
) -> bool {
    for person in 0..taken.len() {
        let fresh = tried.get(person).is_some_and(|t| !t);
        if !fresh || !may(seat, person) {
            continue;
        }
        if let Some(mark) = tried.get_mut(person) {
            *mark = true;
        }
        let free = match taken.get(person).copied().flatten() {
            None => true,
            Some(other) => seat_somebody(other, may, taken, tried),
        };
        if free {
            if let Some(slot) = taken.get_mut(person) {
                *slot = Some(seat);
            }
            return true;
        }
    }
    false
}

/// One person's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vote {
    /// Who.
    pub person: PersonId,
    /// The groups the person was in when answering.
    pub groups: BTreeSet<String>,
    /// Yes or no.
    pub yes: bool,
    /// When.
    pub at: Timestamp,
    /// Why, in the person's words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// The yes is also for the values that were asked about: in this run, each for its role.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub endorse: bool,
    /// The person has typed the ends of the destinations that nobody who is trusted has named.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub confirmed: bool,
}

/// State of a request for approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalState {
    /// Waiting for people.
    Pending,
    /// Enough people said yes; not used yet.
    Approved,
    /// Somebody said no.
    Rejected,
    /// Nobody answered in time.
    Expired,
    /// The yes was used.
    Used,
    /// Nobody has to answer any more: what was asked about can no longer be carried out, goes on without an answer, or is
    /// asked about otherwise.
    Withdrawn,
}

impl ApprovalState {
    /// The name in records and answers.
    pub fn name(self) -> &'static str {
        match self {
            ApprovalState::Pending => "pending",
            ApprovalState::Approved => "approved",
            ApprovalState::Rejected => "rejected",
            ApprovalState::Expired => "expired",
            ApprovalState::Used => "used",
            ApprovalState::Withdrawn => "withdrawn",
        }
    }
}

/// Completer of a call, as whoever is asked about the call reads it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CompletedBy {
    /// The action.
    pub action: ActionName,
    /// Its definition.
    pub definition: Digest,
}

/// Request for a person's yes to one digest: of an action, or of the plan of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalRequest {
    /// Its name.
    pub approval: ApprovalId,
    /// The action that waits. For a plan there is none; then this is only the name under which its entries are found.
    pub action: ActionId,
    /// The run of that action. An entry says `run` of itself, so here it is called otherwise.
    #[serde(rename = "of_run")]
    pub run: RunId,
    /// What exactly is asked about.
    pub digest: Digest,
    /// Who must agree.
    pub need: Quorum,
    /// Who may not: the user the run acts for (unless the manifest says otherwise), and people excluded by name.
    #[serde(default)]
    pub excluded: BTreeSet<String>,
    /// Answers so far.
    #[serde(default)]
    pub votes: Vec<Vote>,
    /// Where it stands.
    pub state: ApprovalState,
    /// When it was asked.
    pub asked_at: Timestamp,
    /// How many rows it would touch, as counted then and shown to whoever answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// The destinations whose ends have to be typed if one person's yes is enough.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub confirm: Vec<TypedConfirmation>,
    /// How strongly the program is held, as shown to whoever answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<IsolationTier>,
    /// How strongly it would have to be held, where the operator accepts less.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instead_of: Option<IsolationTier>,
    /// The plan that is asked about, if it is no action.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanAsked>,
    /// What may complete it without another question, as shown to whoever answers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub completed_by: Vec<CompletedBy>,
    /// When it expires, which rejects it. A yes to a plan ends then, too.
    pub expires_at: Timestamp,
}

impl ApprovalRequest {
    /// Whether it waits for people or for its use.
    pub fn is_open(&self, now: Timestamp) -> bool {
        matches!(self.state_at(now), ApprovalState::Pending | ApprovalState::Approved)
    }

    /// Where it stands at this moment: what is past its time has expired, whatever is written.
    pub fn state_at(&self, now: Timestamp) -> ApprovalState {
        match self.state {
            ApprovalState::Pending | ApprovalState::Approved if now >= self.expires_at => {
                ApprovalState::Expired
            }
            state => state,
        }
    }

    /// Where the request stands once this person has answered, or why the answer does not count. `voters`: what those
    /// are now who have answered, this person among them.
    pub fn admit(&self, vote: &Vote, voters: Option<&Voters>) -> Result<ApprovalState, (Code, String)> {
        let id = &self.approval;
        match self.state_among(voters, vote.at) {
            ApprovalState::Pending => {}
            ApprovalState::Expired => {
                return Err((
                    code::APPROVAL_EXPIRED,
                    format!("`{id}` expired at {}; nothing was executed", self.expires_at),
                ));
            }
            // A yes to a plan lasts, so it can be taken back; also by those who gave it.
            ApprovalState::Approved if self.plan.is_some() && !vote.yes => return self.take_back(vote),
            ApprovalState::Withdrawn => {
                let message = format!("`{id}` was withdrawn: nothing waits for an answer to it any more");
                return Err((code::APPROVAL_CLOSED, message));
            }
            state @ (ApprovalState::Approved | ApprovalState::Rejected | ApprovalState::Used) => {
                return Err((code::APPROVAL_CLOSED, format!("`{id}` is {} already", state.name())));
            }
        }
        if self.votes.iter().any(|v| v.person == vote.person) && !self.is_open_anew(&vote.person, voters) {
            return Err((
                code::APPROVER_TWICE,
                format!("`{}` has answered `{id}` already; somebody else has to", vote.person),
            ));
        }
        self.is_for(vote)?;
        if !vote.yes {
            return Ok(ApprovalState::Rejected);
        }
        if self.wants_confirmation() && !vote.confirmed {
            let message = format!("a yes to `{id}` is typed: {}; it still waits", self.what_to_type());
            return Err((code::CONFIRMATION_WANTED, message));
        }
        let mut after = self.clone();
        after.take(vote.clone(), voters);
        let nobody = BTreeSet::new();
        // Records that were made before people were asked for count those, too, who were excluded later.
        let excluded = if voters.is_some() { &self.excluded } else { &nobody };
        let met = self.need.met_by(&after.counting(voters, excluded));
        Ok(if met { ApprovalState::Approved } else { ApprovalState::Pending })
    }

    /// Adds an answer. It takes the place of an earlier one, where the same person may answer anew.
    pub fn take(&mut self, vote: Vote, voters: Option<&Voters>) {
        if self.is_open_anew(&vote.person, voters) {
            self.votes.retain(|known| known.person != vote.person);
        }
        self.votes.push(vote);
    }

    /// Whether this person is asked.
    fn is_for(&self, vote: &Vote) -> Result<(), (Code, String)> {
        if self.may_answer(&vote.person, &vote.groups) {
            return Ok(());
        }
        let why = if self.excluded.contains(vote.person.as_str()) {
            "it is their own request, or they are excluded from it".to_owned()
        } else {
            let groups: BTreeSet<_> =
                self.need.requirements.iter().flat_map(|r| r.groups.iter().cloned()).collect();
            format!("it asks for members of {}", groups.into_iter().collect::<Vec<_>>().join(", "))
        };
        Err((code::APPROVER_REFUSED, format!("`{}` may not answer `{}`: {why}", vote.person, self.approval)))
    }

    fn take_back(&self, vote: &Vote) -> Result<ApprovalState, (Code, String)> {
        self.is_for(vote).map(|()| ApprovalState::Rejected)
    }

    /// Whether this person may answer.
    pub fn may_answer(&self, person: &PersonId, groups: &BTreeSet<String>) -> bool {
        !self.excluded.contains(person.as_str())
            && self.need.requirements.iter().any(|r| !r.groups.is_disjoint(groups))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|n| (*n).to_owned()).collect()
    }

    fn vote(person: &str, groups: &[&str]) -> Vote {
        Vote {
            person: PersonId::new(person).unwrap(),
            groups: set(groups),
            yes: true,
            at: Timestamp(0),
            reason: String::new(),
            endorse: false,
            confirmed: false,
        }
    }

    #[test]
    fn one_person_fills_one_seat() {
        let mut need = Quorum::default();
        need.add(ApproverRule { groups: set(&["finance"]), count: 1 }, 3600);
        need.add(ApproverRule { groups: set(&["security"]), count: 1 }, 60);
        assert_eq!(need.expires_s, 60);
        let (ann, bob) = (vote("ann", &["finance", "security"]), vote("bob", &["finance"]));
        assert!(!need.met_by(std::slice::from_ref(&ann)));
        assert!(!need.met_by(&[ann.clone(), ann.clone()]));
        assert!(need.met_by(&[ann.clone(), bob.clone()]));
        assert!(need.met_by(&[bob.clone(), ann]));
        assert!(!need.met_by(&[bob.clone(), vote("cid", &["finance"])]));
        assert!(!Quorum::default().met_by(&[bob]), "no requirement is no yes");
    }

    #[test]
    fn m_of_n_counts_distinct_people() {
        let mut need = Quorum::default();
        need.add(ApproverRule { groups: set(&["ops"]), count: 2 }, 60);
        need.add(ApproverRule { groups: set(&["ops"]), count: 1 }, 60);
        assert_eq!(need.requirements.len(), 1);
        assert!(!need.met_by(&[vote("ann", &["ops"]), vote("ann", &["ops"])]));
        assert!(need.met_by(&[vote("ann", &["ops"]), vote("bob", &["ops"])]));
    }
}
