//! Whose yes counts now. A vote says what a person was when they answered; the configuration says what they are.

use crate::config::{Config, Person};
use crate::error::GateError;
use crate::gate::Gate;
use crate::identity::AUDITORS;
use aecl_kernel::base::id::PersonId;
use aecl_kernel::base::principal::Principal;
use aecl_kernel::base::time::Timestamp;
use aecl_kernel::record::approval::people::{Member, lapsed};
use aecl_kernel::record::approval::{ApprovalRequest, ApprovalState, People, Vote};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Tally of a request's votes, and whose yes does not count any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// Where it stands now.
    pub state: ApprovalState,
    /// Why a person's yes does not count any more.
    pub lapsed: BTreeMap<PersonId, &'static str>,
    /// Those who have answered and may answer anew.
    pub anew: BTreeSet<PersonId>,
}

impl Tally {
    /// What was decided just now, and so rests on the people of now already.
    pub fn decided(ask: &ApprovalRequest) -> Self {
        Self { state: ask.state, lapsed: BTreeMap::new(), anew: BTreeSet::new() }
    }

    /// Of a request in what this principal has proposed, among these people.
    pub(crate) fn among(
        people: &People,
        ask: &ApprovalRequest,
        principal: &Principal,
        now: Timestamp,
    ) -> Self {
        let voters = people.voters(&ask.votes, principal);
        // Once it is over, nobody's yes is used any more.
        let lapsed = if ask.is_open(now) { lapsed(&ask.votes, Some(&voters)) } else { BTreeMap::new() };
        let voted = ask.votes.iter().map(|vote| &vote.person);
        let anew = voted.filter(|person| ask.is_open_anew(person, Some(&voters))).cloned().collect();
        Self { state: ask.state_among(Some(&voters), now), lapsed, anew }
    }
}

impl Gate {
    /// Who may answer now.
    pub(crate) fn people(&self) -> Arc<People> {
        self.0.people.load_full()
    }

    /// Where a request stands in what this principal has proposed.
    pub fn tally(&self, ask: &ApprovalRequest, principal: &Principal) -> Tally {
        Tally::among(&self.people(), ask, principal, self.now())
    }

    /// The same, where only the request is known.
    pub async fn tally_of(&self, ask: &ApprovalRequest) -> Result<Tally, GateError> {
        let run = self.run_fact(&ask.run).await?;
        Ok(self.tally(ask, &run.principal))
    }

    /// Whether nobody's yes can let this happen: of those who are here now, fewer may answer than must agree.
    pub fn is_unanswerable(&self, ask: &ApprovalRequest, principal: &Principal) -> bool {
        let (people, config) = (self.people(), self.config());
        let everybody = config.people.iter().filter(|p| ask.may_answer(&p.id, &p.groups)).map(vote);
        let all = ApprovalRequest { votes: everybody.collect(), ..ask.clone() };
        let voters = people.voters(&all.votes, principal);
        all.is_open(self.now()) && !all.need.met_by(&all.counting(Some(&voters), &all.excluded))
    }

    /// A request that is approved on record and open again, since a yes does not count any more, as what it is.
    pub(crate) async fn as_it_stands(&self, mut ask: ApprovalRequest) -> Result<ApprovalRequest, GateError> {
        if ask.state == ApprovalState::Approved && self.tally_of(&ask).await?.state == ApprovalState::Pending
        {
            ask.state = ApprovalState::Pending;
        }
        Ok(ask)
    }
}

/// The yes that this person could give.
fn vote(person: &Person) -> Vote {
    let (person, groups) = (person.id.clone(), person.groups.clone());
    Vote {
        person,
        groups,
        yes: true,
        at: Timestamp(0),
        reason: String::new(),
        endorse: false,
        confirmed: true,
    }
}

/// Who may answer, by this configuration.
pub(crate) fn people_of(config: &Config) -> People {
    let mut people = People::default();
    for Person { id, groups, tenants, names, .. } in &config.people {
        let reads_only = groups.contains(AUDITORS);
        let groups = if reads_only { BTreeSet::new() } else { groups.clone() };
        people.add(id, Member { groups, tenants: tenants.clone() }, names.iter().cloned());
    }
    people
}
