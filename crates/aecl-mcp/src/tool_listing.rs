//! What one server lists, as far as one client has seen, and what of it was put on record.

use super::catalogue::{Definition, Pins};
use aecl_executor::connectors::mcp::Upstream;
use aecl_kernel::base::digest::Digest;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How long a listing is believed if the server does not say that it changed.
const BELIEVED: Duration = Duration::from_secs(15);

/// What one server offers, as far as this client has seen.
#[derive(Default)]
pub(super) struct ToolListing(Mutex<Listing>);

#[derive(Default)]
struct Listing {
    generation: u64,
    at: Option<Instant>,
    tools: BTreeMap<String, Offer>,
    /// Which of them the client may see, and by which policy that was found out.
    shown: Option<(Digest, Shown)>,
    /// What was put on record already, so that it is not with every listing.
    told: BTreeSet<(String, String)>,
    /// The definitions that were noted for people, beside what was accepted then.
    noted: BTreeMap<String, (Option<Digest>, Pins)>,
}

/// One tool as it is offered now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Offer {
    /// Its pins.
    pub pins: Pins,
    /// Whether clients check its results against a schema.
    pub has_output_schema: bool,
}

/// Tools that a client may see, by what of each was accepted.
pub(super) type Shown = BTreeSet<(String, Option<Digest>)>;

impl ToolListing {
    fn lock(&self) -> MutexGuard<'_, Listing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn fresh(&self, upstream: &Upstream, tool: &str) -> Option<Offer> {
        let listing = self.lock();
        let is_fresh = upstream.is_connected()
            && listing.generation == upstream.tools_generation()
            && listing.at.is_some_and(|at| at.elapsed() < BELIEVED);
        is_fresh.then(|| listing.tools.get(tool).copied())?
    }

    /// Whether a client that was shown something by another policy would see other tools by this one. Notes what it
    /// would see.
    pub(super) fn is_shown_otherwise(&self, policy: Digest, now: impl FnOnce() -> Shown) -> bool {
        let before = self.lock().shown.clone();
        let Some((by, before)) = before.filter(|(by, _)| *by != policy) else { return false };
        let now = now();
        let is_other = now != before;
        let mut listing = self.lock();
        // A listing that came meanwhile knows better.
        if listing.shown.as_ref().is_some_and(|(known, _)| *known == by) {
            listing.shown = Some((policy, now));
        }
        is_other
    }

    /// Notes what a client may see of what was listed.
    pub(super) fn shows(&self, policy: Digest, shown: Shown) {
        self.lock().shown = Some((policy, shown));
    }

    /// What was listed last, by its pins.
    pub(super) fn all(&self) -> Vec<(String, Pins)> {
        self.lock().tools.iter().map(|(tool, offer)| (tool.clone(), offer.pins)).collect()
    }

    /// Whether this is not what was noted of the tool last.
    pub(super) fn is_unnoted(&self, tool: &Definition, accepted: Option<Digest>) -> bool {
        let stands = (accepted, tool.pins);
        self.lock().noted.insert(tool.name.clone(), stands) != Some(stands)
    }

    /// Whether this is new to the record.
    pub(super) fn news(&self, tool: &str, what: String) -> bool {
        self.lock().told.insert((tool.to_owned(), what))
    }

    /// Whether this is on record already.
    pub(super) fn has_told(&self, tool: &str, what: String) -> bool {
        self.lock().told.contains(&(tool.to_owned(), what))
    }

    /// Takes in what was listed: all of it, or one page.
    pub(super) fn take_in(&self, generation: u64, definitions: &[Definition], all: bool) {
        let mut listing = self.lock();
        if all || listing.generation != generation {
            listing.tools.clear();
        }
        if all {
            // One page alone does not say that the others are still as they were.
            listing.at = Some(Instant::now());
        }
        listing.generation = generation;
        let offers = definitions
            .iter()
            .map(|it| (it.name.clone(), Offer { pins: it.pins, has_output_schema: it.has_output_schema() }));
        listing.tools.extend(offers);
        listing.at = listing.at.or_else(|| Some(Instant::now()));
    }
}
