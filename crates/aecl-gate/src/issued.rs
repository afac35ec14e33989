//! The tokens that runs have had, as the record says: how many live, and which was renewed from which.

use crate::error::GateError;
use aecl_kernel::base::code;
use aecl_kernel::base::id::RunId;
use aecl_kernel::base::time::Timestamp;
use aecl_kernel::record::event::{Event, TokenIssued};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};
use tokio::sync::Mutex;

/// Of so many runs the tokens are remembered before they are read from the record again.
const RUNS_MAX: usize = 10_000;

/// The tokens that runs have, as the record says.
#[derive(Debug, Default)]
pub(crate) struct Renewals(std::sync::Mutex<BTreeMap<RunId, Arc<Mutex<Option<Tokens>>>>>);

impl Renewals {
    pub(crate) fn of(&self, run: &RunId) -> Arc<Mutex<Option<Tokens>>> {
        // A poisoned lock only means that somebody else was interrupted; each entry stays whole.
        let mut runs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if runs.len() >= RUNS_MAX {
            runs.retain(|_, tokens| Arc::strong_count(tokens) > 1);
        }
        runs.entry(run.clone()).or_default().clone()
    }
}

/// The tokens of one run.
#[derive(Debug, Default)]
pub(crate) struct Tokens(Vec<Issued>);

#[derive(Debug)]
struct Issued {
    id: String,
    from: Option<String>,
    expires_at: Timestamp,
    revoked: bool,
}

impl Tokens {
    pub(crate) fn apply(&mut self, event: Event) {
        match event {
            Event::TokenIssued(TokenIssued { token, expires_at, from }) => {
                self.0.push(Issued { id: token, from, expires_at, revoked: false });
            }
            Event::TokenRevoked(revoked) => self.revoked(&revoked.token),
            _ => {}
        }
    }

    pub(crate) fn has(&self, id: &str) -> bool {
        self.0.iter().any(|issued| issued.id == id)
    }

    pub(crate) fn revoked(&mut self, id: &str) {
        self.0.iter_mut().filter(|issued| issued.id == id).for_each(|issued| issued.revoked = true);
    }

    /// Refuses one more than may live at once.
    pub(crate) fn another(&self, run: &RunId, max: usize, now: Timestamp) -> Result<(), GateError> {
        let living = self.0.iter().filter(|issued| !issued.revoked && issued.expires_at > now);
        let ends: Vec<Timestamp> = living.map(|issued| issued.expires_at).collect();
        match ends.iter().min() {
            Some(first) if ends.len() >= max => Err(GateError::refused(
                code::TOKENS_EXHAUSTED,
                format!("{} tokens of `{run}` live; use one of them: the first ends at {first}", ends.len()),
            )),
            Some(_) | None => Ok(()),
        }
    }

    /// Whatever was renewed from this token, from what was renewed from it, and so on.
    pub(crate) fn renewed_from(&self, id: &str) -> Vec<String> {
        let mut all = BTreeSet::from([id]);
        let mut after = Vec::new();
        // None is older than what it was renewed from.
        for issued in &self.0 {
            if issued.from.as_deref().is_some_and(|from| all.contains(from)) && all.insert(&issued.id) {
                after.extend((!issued.revoked).then(|| issued.id.clone()));
            }
        }
        after
    }
}
