//! The queue of requests, page by page. A page costs the same whatever stands in the requests and whatever their
//! runs have done; what a card shows beyond that is read for one request at a time.

use crate::error::GateError;
use crate::gate::Gate;
use crate::votes::Tally;
use aecl_kernel::base::code;
use aecl_kernel::base::digest::Digest;
use aecl_kernel::base::id::{AgentId, RunId};
use aecl_kernel::base::time::Timestamp;
use aecl_kernel::record::approval::{ApprovalState, People};
use aecl_ledger::queue::Place;
use aecl_ledger::{Queue, Waiting};
use std::sync::Arc;

/// Requests on a page, unless fewer are asked for.
pub const PAGE_MAX: usize = 50;

/// Order of the queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum QueueOrder {
    /// What ends first stands first.
    #[default]
    Ending,
    /// What was asked last stands first.
    Newest,
}

/// Filter of the queue: which requests.
#[derive(Debug, Clone, Default)]
pub struct QueueFilter {
    /// Only in this state: pending, or approved and not used yet.
    pub state: Option<ApprovalState>,
    /// Only of this agent.
    pub agent: Option<AgentId>,
    /// Only of this run.
    pub run: Option<RunId>,
    /// Only what asks this, with whatever values.
    pub shape: Option<Digest>,
    /// In which order.
    pub order: QueueOrder,
    /// After this place, as the page before said.
    pub after: Option<String>,
    /// How many at most.
    pub limit: Option<usize>,
}

/// A page of the queue.
#[derive(Debug, Clone)]
pub struct QueuePage {
    /// The requests.
    pub requests: Vec<Queued>,
    /// How many there are in all.
    pub total: usize,
    /// Where the next page begins, if there is one.
    pub next: Option<String>,
}

/// A request on a page.
#[derive(Debug, Clone)]
pub struct Queued {
    /// The request, in short.
    pub waiting: Arc<Waiting>,
    /// Where it stands now, and whose yes does not count any more.
    pub tally: Tally,
    /// How many that are open ask the same with other values, with this one.
    pub alike: usize,
}

impl QueueFilter {
    fn matches(&self, waiting: &Waiting, people: &People, now: Timestamp) -> bool {
        let state = || tally(waiting, people, now).state;
        let open = waiting.ask.is_open(now) && self.state.is_none_or(|wanted| state() == wanted);
        open && self.agent.as_ref().is_none_or(|a| *a == waiting.summary.principal.agent)
            && self.run.as_ref().is_none_or(|run| *run == waiting.ask.run)
            && self.shape.is_none_or(|shape| shape == waiting.summary.shape)
    }

    fn place(&self) -> Result<(Option<Place>, Option<u64>), GateError> {
        let Some(after) = &self.after else { return Ok((None, None)) };
        let read = || match self.order {
            QueueOrder::Ending => {
                let (end, number) = after.split_once('-')?;
                Some((Some((Timestamp(end.parse().ok()?), number.parse().ok()?)), None))
            }
            QueueOrder::Newest => Some((None, Some(after.parse().ok()?))),
        };
        read().ok_or_else(|| {
            let why = "`after` is not what an earlier answer in this order gave as `next`";
            GateError::refused(code::REQUEST_INVALID, why)
        })
    }

    fn next(&self, last: &Waiting) -> String {
        match self.order {
            QueueOrder::Ending => format!("{}-{}", last.ask.expires_at.0, last.summary.number),
            QueueOrder::Newest => last.summary.number.to_string(),
        }
    }
}

fn tally(waiting: &Waiting, people: &People, now: Timestamp) -> Tally {
    Tally::among(people, &waiting.ask, &waiting.summary.principal, now)
}

impl Gate {
    /// A page of what is open, of what `sees` lets through. It reads nothing from the store.
    pub fn queue(
        &self,
        wanted: &QueueFilter,
        sees: impl Fn(&Waiting) -> bool,
    ) -> Result<QueuePage, GateError> {
        let (place, number) = wanted.place()?;
        let (limit, now) = (wanted.limit.unwrap_or(PAGE_MAX).clamp(1, PAGE_MAX), self.now());
        let people = self.people();
        let fits = |waiting: &&Arc<Waiting>| wanted.matches(waiting, &people, now) && sees(waiting);
        let page = |queue: &Queue| {
            let total = queue.by_end(None).filter(fits).count();
            let mut found: Vec<Arc<Waiting>> = match wanted.order {
                QueueOrder::Ending => queue.by_end(place).filter(fits).take(limit + 1).cloned().collect(),
                QueueOrder::Newest => queue.by_number(number).filter(fits).take(limit + 1).cloned().collect(),
            };
            let more = found.len() > limit;
            found.truncate(limit);
            let next = found.last().filter(|_| more).map(|last| wanted.next(last));
            let queued = |waiting: Arc<Waiting>| Queued {
                tally: tally(&waiting, &people, now),
                alike: queue.alike(&waiting),
                waiting,
            };
            QueuePage { requests: found.into_iter().map(queued).collect(), total, next }
        };
        Ok(self.0.ledger.queue(page))
    }

    /// What is open now and meets this, soonest end first. It reads nothing from the store.
    pub fn open_requests(&self, meets: impl Fn(&Waiting) -> bool) -> Vec<Arc<Waiting>> {
        let now = self.now();
        let open = |queue: &Queue| {
            let all = queue.by_end(None).filter(|w| w.ask.is_open(now) && meets(w));
            all.cloned().collect()
        };
        self.0.ledger.queue(open)
    }

    /// What is open in a run, the oldest first.
    pub fn open_in(&self, run: &RunId) -> Vec<Arc<Waiting>> {
        let now = self.now();
        self.0.ledger.queue(|q| q.of_run(run).filter(|w| w.ask.is_open(now)).cloned().collect())
    }

    /// What is open with these arguments, the oldest first.
    pub(crate) fn open_with(&self, arguments: &Digest) -> Vec<Arc<Waiting>> {
        let now = self.now();
        let open = |w: &&Arc<Waiting>| w.ask.is_open(now);
        self.0.ledger.queue(|q| q.with_arguments(arguments).filter(open).cloned().collect())
    }

    /// What nobody has answered in time and is not on record as expired, at most `limit`.
    pub(crate) fn overdue(&self, limit: usize) -> Vec<Arc<Waiting>> {
        let now = self.now();
        let late = |queue: &Queue| {
            queue.by_end(None).take_while(|w| w.ask.expires_at <= now).take(limit).cloned().collect()
        };
        self.0.ledger.queue(late)
    }
}
