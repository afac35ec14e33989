//! The tasks of one client, and where each of them stands.

use super::negotiated::Negotiated;
use aecl_executor::connectors::mcp::RawReply;
use aecl_kernel::base::time::Timestamp;
use aecl_kernel::record::approval::ApprovalRequest;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Tasks of one client at once.
pub(super) const TASKS_MAX: usize = 256;
/// Tasks in one page of a list.
const PAGE: usize = 100;
/// The shortest and the longest life of a task, in milliseconds.
pub(super) const TTL_MS: (u64, u64) = (60_000, 24 * 60 * 60 * 1000);

/// The tasks of one client, in the order in which they were made.
#[derive(Default)]
pub(super) struct Tasks(Mutex<BTreeMap<String, Arc<Task>>>);

pub(super) struct Task {
    pub(super) id: String,
    pub(super) created_at: Timestamp,
    pub(super) ttl_ms: u64,
    pub(super) poll_ms: u64,
    pub(super) way: Negotiated,
    /// What was called.
    pub(super) action: String,
    /// Fires when the client cancels: waiting ends, and an attempt is told.
    pub(super) cancel: CancellationToken,
    /// Fires when nobody waits any more: an attempt goes on to its end.
    pub(super) until: CancellationToken,
    pub(super) standing: watch::Sender<Standing>,
}

/// Where a task stands, and since when.
#[derive(Clone)]
pub(super) struct Standing {
    pub(super) stage: Stage,
    pub(super) since: Timestamp,
}

#[derive(Clone)]
pub(super) enum Stage {
    /// It was proposed.
    Proposed,
    /// People are asked. Whether the client is asked to show them the page.
    Waiting { ask: Box<ApprovalRequest>, shows_page: bool },
    /// This is its answer.
    Over(RawReply),
    /// It is not carried out any more by itself.
    Cancelled(&'static str),
}

impl Stage {
    fn is_over(&self) -> bool {
        match self {
            Stage::Over(_) | Stage::Cancelled(_) => true,
            Stage::Proposed | Stage::Waiting { .. } => false,
        }
    }
}

impl Tasks {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Task>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a task in; nothing when there are too many that are not over.
    pub(super) fn add(&self, task: &Arc<Task>, now: Timestamp) -> bool {
        let mut all = self.lock();
        all.retain(|_, task| now < task.ends_at());
        if all.len() >= TASKS_MAX {
            let over = all.values().find(|task| task.stage().is_over()).map(|task| task.id.clone());
            let Some(over) = over else { return false };
            all.remove(&over);
        }
        all.insert(task.id.clone(), task.clone());
        true
    }

    pub(super) fn find(&self, id: &str, now: Timestamp) -> Option<Arc<Task>> {
        self.lock().get(id).filter(|task| now < task.ends_at()).cloned()
    }

    /// A page of tasks after the one with this id, and the id to go on from.
    pub(super) fn page(&self, after: Option<String>, now: Timestamp) -> (Vec<Arc<Task>>, Option<String>) {
        let all = self.lock();
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let alive = all.range((from, Bound::Unbounded)).map(|(_, task)| task).filter(|t| now < t.ends_at());
        let mut page: Vec<_> = alive.take(PAGE + 1).cloned().collect();
        let more = page.len() > PAGE;
        page.truncate(PAGE);
        let next = page.last().filter(|_| more).map(|task| task.id.clone());
        (page, next)
    }

    /// Nobody waits any more: what waits for people ends, what has begun goes on.
    pub(super) fn leave(&self) {
        for task in self.lock().values() {
            task.until.cancel();
        }
    }

    /// Ends all.
    pub(super) fn close(&self) {
        for task in self.lock().values() {
            task.cancel.cancel();
        }
    }

    /// Completes when none is underway.
    pub(super) async fn settled(&self) {
        let all: Vec<_> = self.lock().values().cloned().collect();
        for task in all {
            task.over().await;
        }
    }
}

impl Task {
    pub(super) fn new(way: Negotiated, action: &str, now: Timestamp, ttl_ms: u64, poll_ms: u64) -> Arc<Self> {
        let cancel = CancellationToken::new();
        Arc::new(Self {
            // Ordered by time, and with enough random bits that nobody guesses one.
            id: format!("task_{}", uuid::Uuid::now_v7().simple()),
            created_at: now,
            ttl_ms: ttl_ms.clamp(TTL_MS.0, TTL_MS.1),
            poll_ms,
            way,
            action: action.to_owned(),
            until: cancel.child_token(),
            cancel,
            standing: watch::Sender::new(Standing { stage: Stage::Proposed, since: now }),
        })
    }

    fn ends_at(&self) -> Timestamp {
        Timestamp(self.created_at.0.saturating_add(i64::try_from(self.ttl_ms).unwrap_or(i64::MAX)))
    }

    pub(super) fn stage(&self) -> Stage {
        self.standing.borrow().stage.clone()
    }

    /// Moves on, unless it is over: nothing follows an end.
    pub(super) fn comes_to(&self, stage: Stage, now: Timestamp) -> bool {
        self.standing.send_if_modified(|standing| {
            let moves = !standing.stage.is_over();
            if moves {
                *standing = Standing { stage, since: now };
            }
            moves
        })
    }

    pub(super) async fn over(&self) -> Stage {
        let mut standing = self.standing.subscribe();
        let ended = standing.wait_for(|standing| standing.stage.is_over()).await;
        ended.map_or(Stage::Cancelled("it was forgotten"), |standing| standing.stage.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_follows_an_end_and_full_is_full() {
        let now = Timestamp(1_000);
        let tasks = Tasks::default();
        let task = Task::new(Negotiated::Legacy, "a.b", now, 0, 1);
        assert_eq!(task.ttl_ms, TTL_MS.0);
        assert!(tasks.add(&task, now));
        assert!(task.comes_to(Stage::Cancelled("x"), now));
        assert!(!task.comes_to(Stage::Proposed, now));
        for _ in 1..TASKS_MAX {
            assert!(tasks.add(&Task::new(Negotiated::Legacy, "a.b", now, 0, 1), now));
        }
        assert!(tasks.add(&Task::new(Negotiated::Legacy, "a.b", now, 0, 1), now), "what is over gives way");
        assert!(!tasks.add(&Task::new(Negotiated::Legacy, "a.b", now, 0, 1), now));
        assert!(tasks.find(&task.id, now).is_none());
        let (first, next) = tasks.page(None, now);
        assert_eq!((first.len(), next.is_some()), (PAGE, true));
        let (second, next) = tasks.page(next, now);
        let (third, next) = tasks.page(next, now);
        assert_eq!((second.len(), third.len(), next), (PAGE, TASKS_MAX - 2 * PAGE, None));
        let later = Timestamp(now.0 + 60_001);
        assert!(tasks.page(None, later).0.is_empty(), "they have an end");
    }
}
