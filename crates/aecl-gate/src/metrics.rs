//! Counts and latencies, kept as plain numbers; how they are written for a scraper is not this room's business.

use aecl_kernel::base::code::Code;
use aecl_kernel::base::id::{ActionName, AgentId};
use std::collections::BTreeMap;
use std::sync::Mutex;

/// Upper bounds of the latency buckets, in milliseconds.
pub const BUCKETS_MS: [u64; 14] = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000];

/// Most different label sets. What comes later counts as `other`, so a scraper cannot be flooded.
const SERIES_MAX: usize = 10_000;

/// A histogram of milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Histogram {
    /// How many fell at or under each bound of [`BUCKETS_MS`].
    pub buckets: [u64; 14],
    /// How many there were.
    pub count: u64,
    /// Their sum, in milliseconds.
    pub sum_ms: u64,
}

impl Histogram {
    fn add(&mut self, ms: u64) {
        for (bound, bucket) in BUCKETS_MS.iter().zip(self.buckets.iter_mut()) {
            *bucket += u64::from(ms <= *bound);
        }
        self.count += 1;
        self.sum_ms += ms;
    }
}

/// Counts of what has happened so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// By agent, action and outcome.
    pub actions: BTreeMap<(String, String, String), u64>,
    /// Requests that were refused and are on no record, by code.
    pub refused: BTreeMap<&'static str, u64>,
    /// From the proposal to the recorded decision.
    pub decide: Histogram,
    /// From the permit to the recorded conclusion.
    pub perform: Histogram,
    /// From the request for approval to the end of the wait.
    pub wait: Histogram,
    /// Requests with tokens that had been dead for a while; they are on no record.
    pub dead_tokens: u64,
    /// Proposals that would have come to nothing and were not even recorded, since their agent had too many of them.
    pub unrecorded: u64,
}

/// Counts of one AECL.
#[derive(Debug, Default)]
pub struct Metrics(Mutex<Counts>);

impl Metrics {
    fn with(&self, change: impl FnOnce(&mut Counts)) {
        // A poisoned lock only means that another count was interrupted; numbers stay numbers.
        change(&mut self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    }

    /// One more outcome. An action that is not in the catalogue counts as `unknown`: its name is the caller's.
    pub(crate) fn outcome(&self, agent: &AgentId, action: Option<&ActionName>, outcome: &str) {
        self.with(|counts| {
            let action = action.map_or("unknown", ActionName::as_str);
            let mut key = (agent.to_string(), action.to_owned(), outcome.to_owned());
            if counts.actions.len() >= SERIES_MAX && !counts.actions.contains_key(&key) {
                key = ("other".into(), "other".into(), outcome.to_owned());
            }
            *counts.actions.entry(key).or_default() += 1;
        });
    }

    /// One more request that was refused before it was anything to record: a forged token, an answer of somebody who
    /// is not asked, a kill by nobody who may. Counted, since a record of each could be written by anybody.
    pub fn refused(&self, code: Code) {
        self.with(|counts| *counts.refused.entry(code.as_str()).or_default() += 1);
    }

    pub(crate) fn decided(&self, ms: u64) {
        self.with(|counts| counts.decide.add(ms));
    }

    pub(crate) fn performed(&self, ms: u64) {
        self.with(|counts| counts.perform.add(ms));
    }

    pub(crate) fn waited(&self, ms: u64) {
        self.with(|counts| counts.wait.add(ms));
    }

    pub(crate) fn dead_token(&self) {
        self.with(|counts| counts.dead_tokens += 1);
    }

    pub(crate) fn unrecorded(&self) {
        self.with(|counts| counts.unrecorded += 1);
    }

    /// What was counted so far.
    pub fn counts(&self) -> Counts {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }
}
