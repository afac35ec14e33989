//! What a permit makes of calls that something else may complete, as facts.

use super::{Entry, Ruled};
use crate::base::id::ActionId;
use crate::record::begun::Beginnings;
use crate::record::facts::{ActionFact, FactStore, RunFact, keys};

impl Entry {
    /// What was begun is completed by this, or may be another thing from here on.
    pub(super) fn touched<S: FactStore>(&self, e: &Ruled, space: &mut S) -> Result<(), S::Error> {
        let completes = e.decision.completes.as_ref();
        for id in e.facts.touched.keys().filter(|id| completes != Some(*id)) {
            self.mark_action(id, space, |begun| begun.touched = Some(e.action.clone()))?;
        }
        if let Some(id) = completes {
            self.mark_action(id, space, |begun| begun.completed = Some(e.action.clone()))?;
        }
        if e.facts.sweeping {
            self.change_lineage(space, |run| run.beginnings = Beginnings::Lost)?;
            for run in e.facts.run.iter().flat_map(|run| &run.follows) {
                let key = keys::Run(run.clone());
                if let Some(fact) = space.find(key.clone())? {
                    space.put(key, RunFact { beginnings: Beginnings::Lost, ..fact });
                }
            }
        }
        Ok(())
    }

    /// Notes something of an action that stands as it stood.
    pub(super) fn mark_action<S: FactStore>(
        &self,
        id: &ActionId,
        space: &mut S,
        mark: impl FnOnce(&mut ActionFact),
    ) -> Result<(), S::Error> {
        let key = keys::Action(id.clone());
        if let Some(mut fact) = space.find(key.clone())? {
            mark(&mut fact);
            space.put(key, fact);
        }
        Ok(())
    }
}
