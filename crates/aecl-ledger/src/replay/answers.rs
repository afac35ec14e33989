//! How people answered what was held, by the score of risk.

use super::{each_entry, read};
use crate::error::LedgerError;
use crate::store::Store;
use aecl_kernel::base::id::{ActionId, ApprovalId};
use aecl_kernel::record::approval::ApprovalState;
use aecl_kernel::record::decision::Verdict;
use aecl_kernel::record::event::{Entry, Event};
use serde::Serialize;
use std::collections::BTreeMap;
use std::ops::Range;

/// How many points a band has.
const WIDTH: u32 = 20;

/// Answers that requests have found.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub struct Answers {
    /// How many requests there were.
    pub requests: u64,
    /// By risk, lowest first.
    pub bands: Vec<Band>,
}

/// Requests whose risk lies together.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub struct Band {
    /// The least points in it.
    pub from: u32,
    /// Enough people said yes.
    pub approved: u64,
    /// Somebody said no.
    pub rejected: u64,
    /// Nobody answered in time.
    pub expired: u64,
    /// They still wait.
    pub waiting: u64,
}

impl Band {
    /// The most points in it.
    pub fn to(&self) -> u32 {
        if self.from + WIDTH >= 100 { 100 } else { self.from + WIDTH - 1 }
    }
}

/// Counts how the requests in the range were answered, of one agent or of all.
///
/// # Errors
/// When the store cannot be read.
pub fn answers(
    store: &mut dyn Store,
    range: Range<u64>,
    agent: Option<&str>,
) -> Result<Answers, LedgerError> {
    let mut risks: BTreeMap<ActionId, u32> = BTreeMap::new();
    let mut asked: BTreeMap<ApprovalId, (u32, ApprovalState)> = BTreeMap::new();
    each_entry(store, range, &mut |_, position, bytes| {
        let entry: Entry = read(position, bytes)?;
        match entry.event {
            Event::Ruled(ruled)
                if ruled.decision.verdict == Verdict::RequireApproval
                    && agent.is_none_or(|agent| ruled.principal.agent.as_str() == agent) =>
            {
                risks.insert(ruled.action, ruled.decision.risk.points);
            }
            Event::Asked(ask) => {
                if let Some(points) = risks.get(&ask.action) {
                    asked.entry(ask.approval).or_insert((*points, ApprovalState::Pending));
                }
            }
            Event::Answered(answered) => {
                if let Some((_, state)) = asked.get_mut(&answered.approval) {
                    *state = answered.state;
                }
            }
            Event::Expired(expired) => {
                // A yes that nobody used was a yes.
                if let Some((_, state @ ApprovalState::Pending)) = asked.get_mut(&expired.approval) {
                    *state = ApprovalState::Expired;
                }
            }
            Event::Withdrawn(withdrawn) => {
                if let Some((_, state @ ApprovalState::Pending)) = asked.get_mut(&withdrawn.approval) {
                    *state = ApprovalState::Withdrawn;
                }
            }
            _ => {}
        }
        Ok(())
    })?;
    let mut bands: BTreeMap<u32, Band> = BTreeMap::new();
    for (points, state) in asked.values() {
        let from = (points / WIDTH).min(100 / WIDTH - 1) * WIDTH;
        let band = bands.entry(from).or_insert(Band { from, ..Band::default() });
        match state {
            ApprovalState::Pending => band.waiting += 1,
            ApprovalState::Approved | ApprovalState::Used => band.approved += 1,
            ApprovalState::Rejected => band.rejected += 1,
            ApprovalState::Expired => band.expired += 1,
            // Nobody said anything about it.
            ApprovalState::Withdrawn => {}
        }
    }
    Ok(Answers { requests: asked.len() as u64, bands: bands.into_values().collect() })
}
