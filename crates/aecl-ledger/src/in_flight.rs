//! What is started and has no conclusion, in memory, by how it goes on and since when: whoever looks for what is late
//! reads nothing else, however much is underway. It follows what is durable, and no decision rests on it.

use crate::cache::Changes;
use crate::error::LedgerError;
use crate::queue::many;
use crate::store::Store;
use aecl_kernel::base::id::ActionId;
use aecl_kernel::base::time::Timestamp;
use aecl_kernel::read::action::Mode;
use aecl_kernel::record::facts::{ActionFact, ActionState, Fact, FactKey, keys};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Actions read at once when the ledger is opened.
const CHUNK: usize = 512;

/// Stage of an action without a conclusion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// We carry it out.
    Running,
    /// Its agent has leave to do it, and has not reported.
    Permitted,
    /// We have tried, and nobody knows what came of it.
    Unknown,
    /// Its agent had leave, and nobody knows what came of it.
    Unreported,
}

impl Stage {
    fn of(action: &ActionFact) -> Self {
        match (action.mode, action.state == ActionState::Unknown) {
            (Mode::Execute | Mode::DryRun, false) => Self::Running,
            (Mode::Authorize, false) => Self::Permitted,
            (Mode::Execute | Mode::DryRun, true) => Self::Unknown,
            (Mode::Authorize, true) => Self::Unreported,
        }
    }
}

type Place = (Stage, Timestamp);

/// What is started and has no conclusion.
#[derive(Debug, Default)]
pub(crate) struct InFlight {
    places: HashMap<ActionId, Place>,
    order: BTreeMap<Place, BTreeSet<ActionId>>,
}

impl InFlight {
    /// All of it.
    pub(crate) fn all(&self) -> impl Iterator<Item = &ActionId> {
        self.order.values().flatten()
    }

    /// What has been at this stage since then or longer, the oldest first.
    pub(crate) fn since(&self, stage: Stage, then: Timestamp) -> impl Iterator<Item = &ActionId> {
        self.order.range((stage, Timestamp(i64::MIN))..=(stage, then)).flat_map(|(_, ids)| ids)
    }

    fn put(&mut self, id: &ActionId, action: &ActionFact) {
        self.remove(id);
        let place = (Stage::of(action), action.changed_at);
        self.places.insert(id.clone(), place);
        self.order.entry(place).or_default().insert(id.clone());
    }

    fn remove(&mut self, id: &ActionId) {
        let Some(place) = self.places.remove(id) else { return };
        if let Some(ids) = self.order.get_mut(&place) {
            ids.remove(id);
            if ids.is_empty() {
                self.order.remove(&place);
            }
        }
    }

    /// Follows what a batch has changed: what it says of an action that is underway stands in the action, too.
    pub(crate) fn follow(&mut self, changes: &Changes) {
        for (key, fact) in changes.iter() {
            let FactKey::InFlight(id) = key else { continue };
            match (fact, changes.find(&FactKey::Action(id.clone()))) {
                (Some(_), Some(Some(Fact::Action(action)))) => self.put(id, action),
                (Some(_), _) => {}
                (None, _) => self.remove(id),
            }
        }
    }

    /// Everything that is underway in a store.
    pub(crate) fn load(store: &mut dyn Store) -> Result<Self, LedgerError> {
        let (mut in_flight, mut after) = (Self::default(), None::<String>);
        loop {
            let found = store.scan("flight/", after.as_deref(), CHUNK)?;
            let Some((last, _)) = found.last() else { return Ok(in_flight) };
            after = Some(last.clone());
            let ids = found.iter().filter_map(|(name, _)| ActionId::new(name.strip_prefix("flight/")?).ok());
            let ids: Vec<ActionId> = ids.collect();
            let actions = many(store, ids.iter().map(|id| keys::Action(id.clone())))?;
            // What is underway without being there is for the comparison with the entries, which names it.
            let known = ids.iter().zip(&actions).filter_map(|(id, action)| Some((id, action.as_deref()?)));
            known.for_each(|(id, action)| in_flight.put(id, action));
        }
    }
}
