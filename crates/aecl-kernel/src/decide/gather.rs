//! What one decision needs to know, read from where facts are kept. The work depends on the action and the
//! limits of its agent, not on how much has happened.

mod agreed;
mod begun;
mod cover;

pub use agreed::holds as declared_plan_holds;
pub(crate) mod history;
mod provenance;

use crate::base::principal::Principal;
use crate::base::time::Timestamp;
use crate::define::manifest::applies;
use crate::policy::bundle::Bundle;
use crate::provenance::proof::Provenance;
use crate::read::action::{Action, Mode};
use crate::record::approval::{People, Vote};
use crate::record::cover::Cover;
use crate::record::facts::{
    BegunCall, EDITION, Fact, FactKey, FactStore, Facts, KillScope, Original, keys, meter_of, rate_of,
};
use crate::record::history::History;
use std::collections::BTreeMap;

impl Facts {
    /// Reads what a decision about this action needs. The number of reads depends on the agent's own
    /// limits, not on how many agents, runs, rules, people or entries there are. `people`: who may answer now; where
    /// nobody knows, votes are what they were. `now`: a yes to a plan counts until it expires.
    pub fn gather<S: FactStore>(
        action: &Action,
        bundle: &Bundle,
        people: Option<&People>,
        now: Timestamp,
        space: &mut S,
    ) -> Result<Self, S::Error> {
        let principal = &action.principal;
        let mut facts = Facts { edition: EDITION, ..Facts::default() };
        if let Some(mut run) = space.find(keys::Run(principal.run.clone()))? {
            run.hears(space)?;
            facts.run = Some(run);
        }
        let mut scopes = KillScope::around(principal);
        let ancestors = facts.run.as_ref().map(|r| r.ancestors.clone()).unwrap_or_default();
        for ancestor in ancestors {
            if let Some(run) = space.find(keys::Run(ancestor.clone()))? {
                scopes.push(KillScope::Agent(run.principal.agent.clone()));
                facts.lineage.push(run);
            }
            scopes.push(KillScope::Run(ancestor));
        }
        for scope in scopes {
            if let Some(kill) = space.find(keys::Kill(scope.clone()))? {
                facts.kills.insert(scope.to_string(), kill);
            }
        }
        let holders: Vec<Principal> = facts.holders(principal).cloned().collect();
        for holder in &holders {
            let budgets = bundle.agent(&holder.agent).into_iter().flat_map(|m| &m.budgets);
            for budget in budgets.filter(|b| applies(&b.actions, &action.name)) {
                if let Some(name) = meter_of(budget, holder) {
                    let meter = space.find(keys::Meter(name.clone()))?.unwrap_or_default();
                    facts.meters.insert(name, meter);
                }
            }
        }
        if let Some(manifest) = bundle.agent(&principal.agent) {
            for limit in manifest.rate_limits.iter().filter(|l| applies(&l.actions, &action.name)) {
                let name = rate_of(limit, principal);
                let rate = space.find(keys::Rate(name.clone()))?.unwrap_or_default();
                facts.rates.insert(name, rate);
            }
            if manifest.max_concurrent_calls.is_some()
                && let Some(n) = space.find(keys::Active(principal.agent.clone()))?
            {
                facts.active = n;
            }
        }
        if let Some(key) = &action.idempotency_key
            && let Some(used) = space.find(keys::Idempotency(principal.run.clone(), key.clone()))?
            && let Some(fact) = space.find(keys::Action(used.action.clone()))?
        {
            facts.used = Some((used, fact.state));
        }
        // A look-up uses nobody's yes.
        if !action.credential.is_look()
            && let Some(id) = space.find(keys::AskOf(action.digest))?
            && let Some(ask) = space.find(keys::Approval(id))?
        {
            facts.ask = Some(ask);
        }
        if let Some(id) = &action.compensates
            && let Some(fact) = space.find(keys::Action(id.clone()))?
        {
            facts.original = Some(Original {
                state: fact.state,
                undo: fact.undo.clone(),
                compensation: fact.compensation.clone(),
                changed_at: fact.changed_at,
                agent: fact.agent.clone(),
                reported: fact.mode == Mode::Authorize,
            });
        }
        facts.revoked = space.has(keys::Revoked(action.credential.id.clone()))?;
        if let Some(run) = &facts.run {
            let agreed = agreed::holds(run, &facts.lineage, bundle, people, now, space)?;
            facts.provenance =
                Provenance::gather(action, run, &facts.lineage, agreed, people, bundle, space)?;
            let standing = facts.provenance.as_ref().and_then(|p| p.plan);
            facts.cover = Cover::gather(action, run, standing, space)?;
            facts.proposed = Cover::gather_proposed(action, run, space)?;
            facts.begun = BegunCall::gather(action, run, space)?;
        }
        if !action.credential.is_look() {
            facts.gather_touched(action, space)?;
        }
        let asked = facts.ask.iter().flat_map(|ask| &ask.votes);
        let covers = facts.cover.iter().chain(&facts.proposed);
        let begun = facts.begun.iter().flat_map(|begun| &begun.votes);
        let votes: Vec<&Vote> = asked.chain(covers.flat_map(|cover| &cover.votes)).chain(begun).collect();
        if let Some(people) = people.filter(|_| !votes.is_empty()) {
            facts.voters = Some(people.voters(votes, principal));
        }
        facts.past = History::gather(action, &facts.lineage, facts.edition, space)?;
        if action.typed.as_ref().is_some_and(|typed| typed.cage.is_some()) {
            // Where nobody has found out, there are none.
            facts.cages = Some(space.find(keys::Cages)?.unwrap_or_default());
        }
        Ok(facts)
    }

    /// The same where nobody has done anything before: what is stopped, what is undone and what holds programs is as it is,
    /// and nothing of what others have used up is in it.
    #[must_use]
    pub fn as_of_a_new_agent(self, action: &Action, bundle: &Bundle) -> Self {
        // There is no run, so there is no plan whose yes could expire.
        let (now, mut nothing) = (Timestamp(0), BTreeMap::<FactKey, Fact>::new());
        let Ok(new) = Facts::gather(action, bundle, None, now, &mut nothing);
        Facts { kills: self.kills, original: self.original, revoked: self.revoked, cages: self.cages, ..new }
    }
}
