//! What an action would complete, and what it touches that something else may complete: looked up by the values that it carries.
//! The work depends on the arguments, never on how long the run is.

use crate::define::catalogue::pointer_of;
use crate::provenance::atoms::plain;
use crate::provenance::issued::{Carried, arguments, exact, key};
use crate::read::action::Action;
use crate::record::begun::{Beginnings, BegunFlaw};
use crate::record::facts::{ActionState, BegunCall, FactStore, Facts, RunFact, first_of, is_undone, keys};
use std::collections::BTreeSet;

impl BegunCall {
    /// The call of which an action says that it completes it. Nothing, where the run knows of none.
    pub(crate) fn gather<S: FactStore>(
        action: &Action,
        run: &RunFact,
        space: &mut S,
    ) -> Result<Option<Self>, S::Error> {
        let Some(typed) = action.typed.as_deref().filter(|_| action.problems.is_empty()) else {
            return Ok(None);
        };
        let Some(rule) = typed.manifest.completes.as_ref().filter(|_| !run.beginnings.is_none()) else {
            return Ok(None);
        };
        let text = action.arguments.pointer(&pointer_of(&rule.argument)).and_then(plain);
        let Some((text, key)) = text.and_then(|text| key(&text).map(|key| (text, key))) else {
            return Ok(None);
        };
        let Some(known) = space.find(keys::Issued(first_of(run).clone(), key))? else { return Ok(None) };
        let fits = |name: &str, field: &str| name == rule.action.as_str() && field == rule.issued;
        let mut calls = known.calls.iter().filter(|call| fits(&call.name, &call.field));
        let Some(call) = calls.next() else { return Ok(None) };
        let flaw = if known.more || calls.next().is_some() {
            Some(BegunFlaw::Several)
        } else if call.run != action.principal.run {
            Some(BegunFlaw::Elsewhere)
        } else {
            (call.exact != exact(&text)).then_some(BegunFlaw::Writing)
        };
        let Some(fact) = space.find(keys::Action(call.action.clone()))? else { return Ok(None) };
        let given = arguments(action, typed).unwrap_or_default();
        let same = given.into_iter().filter(|(at, digest)| call.arguments.get(at) == Some(digest));
        let ask = match &fact.approval {
            Some(approval) => space.find(keys::Approval(approval.clone()))?,
            None => None,
        };
        Ok(Some(Self {
            action: call.action.clone(),
            flaw,
            state: fact.state,
            undone: is_undone(&fact.undo),
            beginning: fact.beginning,
            completed: fact.completed,
            touched: fact.touched,
            same: same.map(|(at, _)| at).collect(),
            votes: ask.map_or_else(Vec::new, |ask| ask.votes),
        }))
    }
}

impl Facts {
    /// Looks up which begun calls an action touches: whatever carries what one of them has issued may change it.
    pub(super) fn gather_touched<S: FactStore>(
        &mut self,
        action: &Action,
        space: &mut S,
    ) -> Result<(), S::Error> {
        let Some(run) = self.run.as_ref().filter(|run| run.beginnings != Beginnings::None) else {
            return Ok(());
        };
        let typed = action.typed.as_deref().filter(|_| action.problems.is_empty());
        let Some(typed) = typed.filter(|typed| typed.manifest.effect.changes_something()) else {
            return Ok(());
        };
        let carried = Carried::of(action, typed);
        self.sweeping = carried.more;
        // What a run goes on from has the same first run, or is one.
        let runs: BTreeSet<_> = std::iter::once(first_of(run)).chain(&run.follows).cloned().collect();
        for run in runs {
            for key in &carried.keys {
                for call in space.find(keys::Issued(run.clone(), *key))?.unwrap_or_default().calls {
                    let Some(fact) = space.find(keys::Action(call.action.clone()))? else { continue };
                    let underway = match fact.completed {
                        Some(by) => space.find(keys::Action(by.clone()))?.map(|fact| (by, fact.state)),
                        None => None,
                    };
                    let underway = underway.filter(|(_, state)| *state == ActionState::Started);
                    self.touched.insert(call.action, underway.map(|(by, _)| by));
                }
            }
        }
        Ok(())
    }
}
