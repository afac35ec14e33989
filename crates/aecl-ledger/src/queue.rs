//! The requests that are open, in short, in memory: what a list of them costs does not depend on what stands in
//! them, on what their runs have done, or, but for counting, on how many there are. It follows what is durable, and
//! no decision rests on it.

use crate::cache::{self, Changes};
use crate::error::LedgerError;
use crate::store::Store;
use aecl_kernel::base::digest::Digest;
use aecl_kernel::base::id::{ApprovalId, RunId};
use aecl_kernel::base::time::Timestamp;
use aecl_kernel::record::approval::{ApprovalRequest, ApprovalState, Summary};
use aecl_kernel::record::event::{Entry, Event};
use aecl_kernel::record::facts::{
    Fact, FactKey, FactStore as _,
    keys::{self, TypedKey},
};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// Requests read at once when the ledger is opened.
const CHUNK: usize = 512;

/// A request that is open, in short.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// The request, without what can be long: what has to be typed, reasons, the steps of a plan.
    pub ask: ApprovalRequest,
    /// Whether a yes has to be typed.
    pub typed: bool,
    /// What it is about.
    pub summary: Arc<Summary>,
    /// The runs that its run was delegated from.
    pub ancestors: Vec<RunId>,
}

impl Waiting {
    fn new(ask: &ApprovalRequest, summary: Arc<Summary>, ancestors: Vec<RunId>) -> Self {
        let typed = ask.wants_confirmation();
        let mut ask = ask.clone();
        ask.confirm = Vec::new();
        ask.votes.iter_mut().for_each(|vote| vote.reason = String::new());
        if let Some(plan) = &mut ask.plan {
            plan.steps = Vec::new();
        }
        Self { ask, typed, summary, ancestors }
    }

    /// Where it stands in the order of ends.
    pub fn place(&self) -> Place {
        (self.ask.expires_at, self.summary.number)
    }
}

/// A place in the order of ends: when it ends, and its number.
pub type Place = (Timestamp, u64);

/// Numbers of requests that have something in common.
type Groups<K> = HashMap<K, BTreeSet<u64>>;

/// The requests that are open.
#[derive(Debug, Default)]
pub struct Queue {
    open: BTreeMap<Place, Arc<Waiting>>,
    places: HashMap<ApprovalId, Place>,
    numbers: BTreeMap<u64, Place>,
    alike: Groups<Digest>,
    of_run: Groups<RunId>,
    below: Groups<RunId>,
    with_arguments: Groups<Digest>,
}

impl Queue {
    /// Soonest end first, after this place.
    pub fn by_end(&self, after: Option<Place>) -> impl Iterator<Item = &Arc<Waiting>> {
        let from = after.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        self.open.range((from, std::ops::Bound::Unbounded)).map(|(_, waiting)| waiting)
    }

    /// Latest first, before this number.
    pub fn by_number(&self, before: Option<u64>) -> impl Iterator<Item = &Arc<Waiting>> {
        let until = before.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        let numbers = self.numbers.range((std::ops::Bound::Unbounded, until)).rev();
        numbers.filter_map(|(_, place)| self.open.get(place))
    }

    fn numbered<'a>(&'a self, numbers: Option<&'a BTreeSet<u64>>) -> impl Iterator<Item = &'a Arc<Waiting>> {
        let places = numbers.into_iter().flatten().filter_map(|number| self.numbers.get(number));
        places.filter_map(|place| self.open.get(place))
    }

    /// How many ask the same thing, whatever the values.
    pub fn alike(&self, waiting: &Waiting) -> usize {
        self.alike.get(&waiting.summary.shape).map_or(0, BTreeSet::len)
    }

    /// What waits in a run, the oldest first.
    pub fn of_run(&self, run: &RunId) -> impl Iterator<Item = &Arc<Waiting>> {
        self.numbered(self.of_run.get(run))
    }

    /// What waits in a run, and in those that were delegated from it.
    pub fn of_lineage(&self, run: &RunId) -> impl Iterator<Item = &Arc<Waiting>> {
        self.of_run(run).chain(self.numbered(self.below.get(run)))
    }

    /// What waits with these canonical arguments, the oldest first.
    pub fn with_arguments(&self, digest: &Digest) -> impl Iterator<Item = &Arc<Waiting>> {
        self.numbered(self.with_arguments.get(digest))
    }

    fn put(&mut self, waiting: Waiting) {
        self.remove(&waiting.ask.approval);
        let place = waiting.place();
        self.places.insert(waiting.ask.approval.clone(), place);
        self.numbers.insert(place.1, place);
        self.alike.entry(waiting.summary.shape).or_default().insert(place.1);
        self.of_run.entry(waiting.ask.run.clone()).or_default().insert(place.1);
        for ancestor in &waiting.ancestors {
            self.below.entry(ancestor.clone()).or_default().insert(place.1);
        }
        self.with_arguments.entry(waiting.summary.arguments).or_default().insert(place.1);
        self.open.insert(place, Arc::new(waiting));
    }

    fn remove(&mut self, id: &ApprovalId) -> Option<Arc<Waiting>> {
        let place = self.places.remove(id)?;
        self.numbers.remove(&place.1);
        let waiting = self.open.remove(&place)?;
        less(&mut self.alike, &waiting.summary.shape, place.1);
        less(&mut self.of_run, &waiting.ask.run, place.1);
        waiting.ancestors.iter().for_each(|ancestor| less(&mut self.below, ancestor, place.1));
        less(&mut self.with_arguments, &waiting.summary.arguments, place.1);
        Some(waiting)
    }

    /// Follows what a batch has changed.
    pub(crate) fn follow(&mut self, news: Vec<News>) {
        for News { id, ask, summary, ancestors } in news {
            let Some(ask) = ask else {
                self.remove(&id);
                continue;
            };
            let known = self.places.get(&id).and_then(|place| self.open.get(place));
            let ancestors = ancestors.or_else(|| known.map(|w| w.ancestors.clone())).unwrap_or_default();
            if let Some(summary) = summary.or_else(|| known.map(|w| w.summary.clone())) {
                self.put(Waiting::new(&ask, summary, ancestors));
            }
        }
    }

    /// Everything that is open in a store.
    pub(crate) fn load(store: &mut dyn Store) -> Result<Self, LedgerError> {
        let (mut queue, mut after) = (Self::default(), None::<String>);
        loop {
            let found = store.scan("open/", after.as_deref(), CHUNK)?;
            let Some((last, _)) = found.last() else { return Ok(queue) };
            after = Some(last.clone());
            let ids = found.iter().filter_map(|(name, _)| ApprovalId::new(name.strip_prefix("open/")?).ok());
            let ids: Vec<ApprovalId> = ids.collect();
            let asks = many(store, ids.iter().map(|id| keys::Approval(id.clone())))?;
            let summaries = many(store, ids.iter().map(|id| keys::Summary(id.clone())))?;
            let runs = many(store, asks.iter().flatten().map(|ask| keys::Run(ask.run.clone())))?;
            let asks = asks.into_iter().zip(summaries).filter_map(|(ask, summary)| Some((ask?, summary)));
            for ((ask, summary), run) in asks.zip(runs) {
                let summary = match summary {
                    Some(summary) => *summary,
                    None => recall(store, &ask)?,
                };
                let ancestors = run.map(|run| run.ancestors).unwrap_or_default();
                queue.put(Waiting::new(&ask, Arc::new(summary), ancestors));
            }
        }
    }
}

fn less<K: std::hash::Hash + Eq>(groups: &mut Groups<K>, key: &K, number: u64) {
    if let Some(numbers) = groups.get_mut(key) {
        numbers.remove(&number);
        if numbers.is_empty() {
            groups.remove(key);
        }
    }
}

/// The facts under these keys.
pub(crate) fn many<K: TypedKey>(
    store: &mut dyn Store,
    keys: impl Iterator<Item = K>,
) -> Result<Vec<Option<K::Value>>, LedgerError> {
    let names: Vec<String> = keys.map(|key| key.key().to_string()).collect();
    let found = store.load(&names)?;
    let one = |(name, bytes): (&String, Option<Vec<u8>>)| {
        let fact = bytes.map(|bytes| cache::read(name, &bytes)).transpose()?;
        Ok(fact.and_then(K::value))
    };
    names.iter().zip(found).map(one).collect()
}

/// What is known of a request from before there were summaries.
fn recall(store: &mut dyn Store, ask: &ApprovalRequest) -> Result<Summary, LedgerError> {
    let (mut number, mut of) = (0, None);
    for (position, bytes) in store.entries_of_action(ask.action.as_str())? {
        let entry: Entry = serde_json::from_slice(&bytes)
            .map_err(|source| LedgerError::Unreadable { key: format!("entry {position}"), source })?;
        match entry.event {
            Event::Asked(asked) if asked.approval == ask.approval && number == 0 => number = position,
            Event::Ruled(ruled) => of = Some((ruled.name, ruled.principal)),
            _ => {}
        }
    }
    if let Some((name, principal)) = of {
        return Ok(Summary::unknown(number, &name, principal));
    }
    match cache::View(store).find(keys::Run(ask.run.clone()))? {
        Some(run) => Ok(Summary::unknown(number, "plan", run.principal)),
        None => Err(LedgerError::NoRun(ask.run.clone())),
    }
}

/// What a batch says about a request: how it stands, or that it is not open any more.
pub(crate) struct News {
    id: ApprovalId,
    ask: Option<Box<ApprovalRequest>>,
    summary: Option<Arc<Summary>>,
    ancestors: Option<Vec<RunId>>,
}

/// What a batch says about requests.
pub(crate) fn news(changes: &Changes) -> Vec<News> {
    let mut out = Vec::new();
    for (key, fact) in changes.iter() {
        let (FactKey::Approval(id), Some(Fact::Approval(ask))) = (key, fact) else { continue };
        let open = matches!(ask.state, ApprovalState::Pending | ApprovalState::Approved);
        let summary = match changes.find(&FactKey::Summary(id.clone())) {
            Some(Some(Fact::Summary(summary))) => Some(Arc::new((**summary).clone())),
            _ => None,
        };
        // An entry of a run counts in it, so a batch that speaks of a request has its run, too.
        let ancestors = match changes.find(&FactKey::Run(ask.run.clone())) {
            Some(Some(Fact::Run(run))) => Some(run.ancestors.clone()),
            _ => None,
        };
        out.push(News { id: id.clone(), ask: open.then(|| Box::new(ask.clone())), summary, ancestors });
    }
    out
}
