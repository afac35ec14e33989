//! Who may answer now. A vote says what somebody was when they answered; whether their yes still counts is asked of
//! the people of now, each time it would be used, and what was found is recorded with the decision.
//!
//! Voters are looked up one by one, so a decision costs the same however many people there are.

use super::ApprovalRequest;
use super::ApprovalState;
use super::Vote;
use crate::base::id::{PersonId, TenantId};
use crate::base::principal::Principal;
use crate::base::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A person, as the configuration says at this moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Member {
    /// The groups for which they answer. Whoever only reads answers for none.
    pub groups: BTreeSet<String>,
    /// The tenants whose requests they answer; absent: all.
    pub tenants: Option<BTreeSet<TenantId>>,
}

/// Everybody who may answer, as the configuration says at this moment.
#[derive(Debug, Clone, Default)]
pub struct People {
    members: BTreeMap<PersonId, Member>,
    names: BTreeMap<String, PersonId>,
}

/// Status of a voter at this moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoterStatus {
    /// Of the groups for which they have answered, those they still answer for.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub groups: BTreeSet<String>,
    /// They are the one for whom the run acts.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub own: bool,
}

/// Voters, as they are now. Whoever is not listed is nobody here any more.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Voters(pub BTreeMap<PersonId, VoterStatus>);

impl People {
    /// Adds a person, with every name under which runs are opened for them.
    pub fn add(&mut self, id: &PersonId, member: Member, names: impl IntoIterator<Item = String>) {
        self.names.extend(names.into_iter().map(|name| (name.to_lowercase(), id.clone())));
        self.names.insert(id.as_str().to_lowercase(), id.clone());
        self.members.insert(id.clone(), member);
    }

    /// What these voters are now, for what this principal has proposed.
    pub fn voters<'a>(&self, votes: impl IntoIterator<Item = &'a Vote>, principal: &Principal) -> Voters {
        self.standing(votes.into_iter().map(|vote| (&vote.person, &vote.groups)), principal)
    }

    /// What these people are now, each with the groups for which they have answered.
    pub fn standing<'a>(
        &self,
        answered: impl IntoIterator<Item = (&'a PersonId, &'a BTreeSet<String>)>,
        principal: &Principal,
    ) -> Voters {
        let mut voters = Voters::default();
        for (person, groups) in answered {
            let Some(member) = self.members.get(person) else { continue };
            let standing = voters.0.entry(person.clone()).or_insert_with(|| VoterStatus {
                groups: BTreeSet::new(),
                own: principal.user.as_ref().is_some_and(|user| self.is_named(person, user.as_str())),
            });
            if member.tenants.as_ref().is_none_or(|tenants| tenants.contains(&principal.tenant)) {
                standing.groups.extend(groups.intersection(&member.groups).cloned());
            }
        }
        voters
    }

    fn is_named(&self, person: &PersonId, name: &str) -> bool {
        self.names.get(&name.to_lowercase()) == Some(person)
    }
}

impl Voters {
    /// Those who are the one for whom the run acts.
    pub fn own(&self) -> impl Iterator<Item = &PersonId> {
        self.0.iter().filter(|(_, standing)| standing.own).map(|(person, _)| person)
    }

    /// Whether this person still answers for one of these groups.
    pub fn stand_for(&self, person: &PersonId, groups: &BTreeSet<String>) -> bool {
        self.0.get(person).is_some_and(|standing| !standing.groups.is_disjoint(groups))
    }

    /// The vote with the groups that still count, or why it counts for nothing.
    fn of(&self, vote: &Vote) -> Result<Vote, &'static str> {
        let standing = self.0.get(&vote.person).ok_or("they are not among the people here any more")?;
        let groups: BTreeSet<String> = vote.groups.intersection(&standing.groups).cloned().collect();
        match groups.is_empty() {
            true => Err("they do not answer for the groups any more for which they have answered"),
            false => Ok(Vote { groups, ..vote.clone() }),
        }
    }
}

/// The answers that count: of nobody who is excluded, and each yes only for groups for which its voter still answers.
/// Everything that counts votes counts these. Where nobody has said who the people are now, which is so in records
/// that were made before that was asked, votes are what they were.
pub fn counting(votes: &[Vote], voters: Option<&Voters>, excluded: &BTreeSet<String>) -> Vec<Vote> {
    let of_others = votes.iter().filter(|vote| !excluded.contains(vote.person.as_str()));
    let stands = |vote: &Vote| match voters {
        // A no is on record, whoever has said it and left since.
        Some(voters) if vote.yes => voters.of(vote).ok(),
        Some(_) | None => Some(vote.clone()),
    };
    of_others.filter_map(stands).collect()
}

/// The people whose yes does not count any more, and why.
pub fn lapsed(votes: &[Vote], voters: Option<&Voters>) -> BTreeMap<PersonId, &'static str> {
    let why = |vote: &Vote| {
        let voters = voters.filter(|_| vote.yes)?;
        Some((vote.person.clone(), voters.of(vote).err()?))
    };
    votes.iter().filter_map(why).collect()
}

impl ApprovalRequest {
    /// The answers that count.
    pub fn counting(&self, voters: Option<&Voters>, excluded: &BTreeSet<String>) -> Vec<Vote> {
        counting(&self.votes, voters, excluded)
    }

    /// Whether somebody who has answered may answer anew: their yes does not count any more, or it was asked anew while
    /// yeses did not count that count again.
    pub fn is_open_anew(&self, person: &PersonId, voters: Option<&Voters>) -> bool {
        let Some(voters) = voters.filter(|_| !self.votes.is_empty()) else { return false };
        let is_met = || self.need.met_by(&self.counting(Some(voters), &self.excluded));
        lapsed(&self.votes, Some(voters)).contains_key(person)
            || (self.state == ApprovalState::Pending && is_met())
    }

    /// Where it stands at this moment among the people of now: a yes that does not count any more leaves it open.
    pub fn state_among(&self, voters: Option<&Voters>, now: Timestamp) -> ApprovalState {
        match self.state_at(now) {
            ApprovalState::Approved
                if voters.is_some() && !self.need.met_by(&self.counting(voters, &self.excluded)) =>
            {
                ApprovalState::Pending
            }
            state => state,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::approval::{ApproverRule, Quorum};

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn vote(person: &str, groups: &[&str], yes: bool) -> Vote {
        Vote {
            person: PersonId::new(person).unwrap(),
            groups: set(groups),
            yes,
            at: Timestamp(0),
            reason: String::new(),
            endorse: false,
            confirmed: false,
        }
    }

    fn principal(user: Option<&str>) -> Principal {
        let user = user.map_or(serde_json::Value::Null, Into::into);
        let of =
            serde_json::json!({"agent": "a", "user": user, "tenant": "t", "environment": "e", "run": "r"});
        serde_json::from_value(of).unwrap()
    }

    fn people(members: &[(&str, &[&str], Option<&str>)]) -> People {
        let mut people = People::default();
        for (id, groups, tenant) in members {
            let tenants = tenant.map(|tenant| [TenantId::new(tenant).unwrap()].into());
            let names = [format!("{id}@corp.example")];
            people.add(&PersonId::new(id).unwrap(), Member { groups: set(groups), tenants }, names);
        }
        people
    }

    #[test]
    fn a_vote_counts_for_the_groups_that_its_voter_had_and_has() {
        let counts = |had: &[&str], members: &[(&str, &[&str], Option<&str>)]| {
            let votes = [vote("ann", had, true)];
            let voters = people(members).voters(&votes, &principal(None));
            let counting = counting(&votes, Some(&voters), &BTreeSet::new());
            assert_eq!(counting.is_empty(), lapsed(&votes, Some(&voters)).contains_key(&votes[0].person));
            counting.into_iter().flat_map(|vote| vote.groups).collect::<Vec<_>>()
        };
        assert_eq!(counts(&["x", "y"], &[("ann", &["y", "x"], None)]), ["x", "y"]);
        assert_eq!(
            counts(&["x", "y"], &[("ann", &["y", "z"], Some("t"))]),
            ["y"],
            "no group is won by waiting"
        );
        assert!(counts(&["x"], &[("ann", &["z"], None)]).is_empty());
        assert!(counts(&["x"], &[("ann", &[], None)]).is_empty());
        assert!(counts(&["x"], &[("ann", &["x"], Some("other"))]).is_empty());
        assert!(counts(&["x"], &[("bob", &["x"], None)]).is_empty());
        assert!(counts(&["x"], &[]).is_empty());
    }

    #[test]
    fn who_has_left_takes_a_seat_and_no_more() {
        let mut need = Quorum::default();
        need.add(ApproverRule { groups: set(&["x"]), count: 2 }, 60);
        let votes = [vote("ann", &["x"], true), vote("bob", &["x"], true)];
        let both = people(&[("ann", &["x"], None), ("bob", &["x"], None)]);
        let met = |people: &People| {
            let voters = people.voters(&votes, &principal(None));
            need.met_by(&counting(&votes, Some(&voters), &BTreeSet::new()))
        };
        assert!(met(&both));
        assert!(!met(&people(&[("ann", &["x"], None)])));
        assert!(need.met_by(&counting(&votes, None, &BTreeSet::new())), "as records from before are");
        assert!(!need.met_by(&counting(&votes, None, &set(&["bob"]))));
    }

    #[test]
    fn a_no_stays_a_no_and_a_name_is_its_person() {
        let votes = [vote("ann", &["x"], false), vote("bob", &["x"], true)];
        let nobody = People::default().voters(&votes, &principal(None));
        let left: Vec<_> = counting(&votes, Some(&nobody), &BTreeSet::new());
        assert_eq!(left, votes[..1]);
        let here = people(&[("bob", &["x"], None)]);
        for (user, own) in [("bob", true), ("BOB@corp.example", true), ("ann", false)] {
            let voters = here.voters(&votes, &principal(Some(user)));
            assert_eq!(voters.own().count() == 1, own, "{user}");
        }
    }
}
