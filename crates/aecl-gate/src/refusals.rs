//! How much of an agent's proposals that came to nothing goes on record. Each is an entry, and most keep what was
//! proposed, so an agent that is stopped, or runs wild, could fill the disk for everybody.

use aecl_kernel::base::id::AgentId;
use aecl_kernel::base::time::Timestamp;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Minutes of the limit that may come at once.
const BURST_MIN: i64 = 16;
/// About as long as an entry with its proof, in bytes.
const ENTRY_BYTES: u64 = 4096;
const MINUTE_MS: i64 = 60_000;
/// So many agents are remembered before those are forgotten whose allowance is whole.
const AGENTS_MAX: usize = 10_000;

/// When each agent's allowance is whole again, in milliseconds: a leaky bucket, counted in bytes.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Mutex<BTreeMap<AgentId, i64>>);

impl Refusals {
    /// Whether an agent has used up what may come at once.
    pub(crate) fn are_exhausted(&self, agent: &AgentId, now: Timestamp) -> bool {
        self.with(|whole_at| whole_at.get(agent).is_some_and(|at| at - now.0 >= BURST_MIN * MINUTE_MS))
    }

    /// One more is on record, with so much content beside it.
    pub(crate) fn recorded(&self, agent: &AgentId, content: u64, per_min: u64, now: Timestamp) {
        let bytes = content.saturating_add(ENTRY_BYTES);
        let takes_ms = bytes.saturating_mul(MINUTE_MS.unsigned_abs()).div_ceil(per_min.max(1));
        let takes_ms = i64::try_from(takes_ms).unwrap_or(i64::MAX);
        self.with(|whole_at| {
            if whole_at.len() >= AGENTS_MAX {
                whole_at.retain(|_, at| *at > now.0);
            }
            let at = whole_at.entry(agent.clone()).or_insert(now.0);
            *at = at.saturating_add(takes_ms).min(now.0.saturating_add((BURST_MIN + 1) * MINUTE_MS));
        });
    }

    fn with<T>(&self, then: impl FnOnce(&mut BTreeMap<AgentId, i64>) -> T) -> T {
        // A poisoned lock only means that another count was interrupted; numbers stay numbers.
        then(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allowance_is_used_up_and_comes_back() {
        let (refusals, agent) = (Refusals::default(), AgentId::new("wild").unwrap());
        let other = AgentId::new("calm").unwrap();
        let mut now = Timestamp(0);
        let mut count = 0;
        while !refusals.are_exhausted(&agent, now) {
            refusals.recorded(&agent, 0, 1 << 20, now);
            count += 1;
        }
        assert!((4080..=4096).contains(&count), "16 MiB at once: {count}");
        assert!(!refusals.are_exhausted(&other, now));
        now = Timestamp(60_000);
        let mut more = 0;
        while !refusals.are_exhausted(&agent, now) {
            refusals.recorded(&agent, 0, 1 << 20, now);
            more += 1;
        }
        assert!((255..=256).contains(&more), "1 MiB in a minute: {more}");
        // One that is larger than all of it shuts the agent out for minutes, not for days.
        refusals.recorded(&other, u64::MAX, 1, now);
        assert!(refusals.are_exhausted(&other, now));
        assert!(!refusals.are_exhausted(&other, Timestamp(now.0 + 60_001)));
    }
}
