//! History, again: every recorded decision can be made anew from its entry, the arguments and the policy of
//! then, and must come out byte for byte the same. With another policy it shows what would change.
//!
//! All of this reads a store or an export, and writes nothing.

mod answers;
mod facts;
mod steps;
mod tree;

pub use answers::{Answers, Band, answers};
pub use facts::{Differs, FactsReport, START_ENTRIES_MAX, facts_at_start, rebuild_facts, verify_facts};
pub use steps::{ReplayStep, StepKind, steps};
pub(crate) use tree::in_words as node_in_words;

use crate::error::LedgerError;
use crate::payload::{PayloadKind, payload};
use crate::store::Store;
use aecl_analysis::load::VettedBundle;
use aecl_kernel::base::code::Code;
use aecl_kernel::base::digest::Digest;
use aecl_kernel::base::evidence::reading;
use aecl_kernel::base::id::{ActionId, AgentId, ApprovalId, RunId};
use aecl_kernel::base::json::Limits;
use aecl_kernel::base::time::Timestamp;
use aecl_kernel::decide::decide;
use aecl_kernel::decide::request::{DecisionRequest, NewIds};
use aecl_kernel::policy::bundle::Bundle;
use aecl_kernel::policy::problem::Source;
use aecl_kernel::read::action::{Action, Mode, is_unread};
use aecl_kernel::record::decision::{Decision, Verdict};
use aecl_kernel::record::event::{Entry, Event, Ruled};
use aecl_kernel::record::facts::Facts;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// Result of making decisions again.
#[derive(Debug, Default, Serialize)]
pub struct Redecided {
    /// Decisions that were made again.
    pub decisions: u64,
    /// Those that came out otherwise.
    pub mismatches: Vec<Mismatch>,
    /// Those that could not be made again.
    pub unavailable: Vec<Unavailable>,
    /// Those that were refused at the door, for who proposed or a name that nobody knows, so their arguments were not
    /// kept.
    pub turned_away: u64,
}

/// A decision that comes out otherwise than it is recorded.
#[derive(Debug, Serialize)]
pub struct Mismatch {
    /// The position of its entry.
    pub position: u64,
    /// The action.
    pub action: ActionId,
    /// What differs: `decision`, `digest`, `problems`, `definition` or `outcome`.
    pub what: &'static str,
    /// What is recorded, as JSON.
    pub recorded: String,
    /// What comes out now, as JSON.
    pub now: String,
}

/// A decision that cannot be made again.
#[derive(Debug, Serialize)]
pub struct Unavailable {
    /// The position of its entry.
    pub position: u64,
    /// Why.
    pub why: String,
}

/// Comparison with what another policy would have decided.
#[derive(Debug, Default, Serialize)]
pub struct Compared {
    /// Decisions that were made again.
    pub decisions: u64,
    /// Those that change.
    pub changes: Vec<DecisionChange>,
    /// Those that could not be made again.
    pub unavailable: Vec<Unavailable>,
}

/// A decision that another policy changes.
#[derive(Debug, Serialize)]
pub struct DecisionChange {
    /// The position of its entry.
    pub position: u64,
    /// When it was made.
    pub at: Timestamp,
    /// The run.
    pub run: RunId,
    /// The agent.
    pub agent: AgentId,
    /// The action.
    pub action: ActionId,
    /// Its name.
    pub name: String,
    /// What the proposer wanted.
    pub mode: Mode,
    /// What was decided.
    pub was: DecisionSummary,
    /// What would be.
    pub now: DecisionSummary,
}

/// A decision in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DecisionSummary {
    /// Allow, require approval or block.
    pub verdict: Verdict,
    /// The headline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headline: Option<Code>,
    /// The headline in words.
    pub reason: String,
}

impl DecisionSummary {
    fn of(decision: &Decision) -> Self {
        let reason = decision.reason().to_owned();
        Self { verdict: decision.verdict, headline: decision.headline, reason }
    }
}

/// Makes every decision in the range again, with the policy of then, and compares byte for byte.
pub fn redecide(store: &mut dyn Store, range: Range<u64>) -> Result<Redecided, LedgerError> {
    let mut out = Redecided::default();
    each_decision(store, range, &mut |store, again, bundles, position, bytes| {
        let bundle = match bundles.compiled(store, &again.ruled.bundle)? {
            Ok(bundle) => bundle,
            Err(why) => {
                out.unavailable.push(Unavailable { position, why });
                return Ok(());
            }
        };
        out.decisions += 1;
        out.mismatches.extend(again.compare(position, bytes, &bundle)?);
        Ok(())
    })
    .map(|Unread { unavailable, turned_away }| {
        out.unavailable.extend(unavailable);
        out.turned_away = turned_away;
    })?;
    out.unavailable.sort_by_key(|u| u.position);
    Ok(out)
}

/// Makes every decision in the range again with another policy, and lists those that change. What was known
/// then is taken as it was; a yes that was given then counts for the same action.
pub fn against(store: &mut dyn Store, range: Range<u64>, bundle: &Bundle) -> Result<Compared, LedgerError> {
    let mut out = Compared::default();
    each_decision(store, range, &mut |_, again, _, position, _| {
        let ruled = &again.ruled;
        let action = again.action(bundle);
        if let Some(name) = again.unread(&action) {
            let why = format!("`{name}`, which the other policy looks at, was not read then");
            out.unavailable.push(Unavailable { position, why });
            return Ok(());
        }
        out.decisions += 1;
        let mut facts = ruled.facts.clone();
        // The digest covers the definition, which the other catalogue may have written anew.
        if let Some(ask) = facts.ask.as_mut().filter(|ask| ask.digest == ruled.digest) {
            ask.digest = action.digest;
        }
        let covers = facts.cover.iter_mut().chain(&mut facts.proposed);
        for cover in covers.filter(|cover| ruled.definition == Some(cover.definition)) {
            if let Some(typed) = &action.typed {
                cover.definition = typed.digest;
            }
        }
        if let Some((used, _)) = facts.used.as_mut().filter(|(used, _)| used.digest == ruled.digest) {
            used.digest = action.digest;
        }
        let (was, now) = (
            DecisionSummary::of(&ruled.decision),
            DecisionSummary::of(&again.decide(&action, &facts, bundle)),
        );
        if (was.verdict, was.headline) != (now.verdict, now.headline) {
            out.changes.push(DecisionChange {
                position,
                at: ruled.now,
                run: ruled.principal.run.clone(),
                agent: ruled.principal.agent.clone(),
                action: ruled.action.clone(),
                name: ruled.name.clone(),
                mode: ruled.mode,
                was,
                now,
            });
        }
        Ok(())
    })
    .map(|unread| out.unavailable.extend(unread.unavailable))?;
    out.unavailable.sort_by_key(|unavailable| unavailable.position);
    Ok(out)
}

/// A decision that is to be made again, with its arguments.
struct Again {
    ruled: Ruled,
    arguments: Vec<u8>,
}

/// Decisions whose arguments are not there.
#[derive(Default)]
struct Unread {
    unavailable: Vec<Unavailable>,
    turned_away: u64,
}

type Visit<'a> = dyn FnMut(&mut dyn Store, &Again, &mut Bundles, u64, &[u8]) -> Result<(), LedgerError> + 'a;

/// Visits each decision in the range whose arguments are there. Gives the others.
fn each_decision(
    store: &mut dyn Store,
    range: Range<u64>,
    visit: &mut Visit<'_>,
) -> Result<Unread, LedgerError> {
    let mut bundles = Bundles::default();
    let mut unread = Unread::default();
    each_entry(store, 0..range.end, &mut |store, position, bytes| {
        let kind: Kind<'_> = read(position, bytes)?;
        match kind.kind {
            "bundle_loaded" => {
                if let Event::BundleLoaded(loaded) = read::<Entry>(position, bytes)?.event {
                    bundles.sources.insert(loaded.bundle, loaded.sources);
                }
            }
            "ruled" if range.contains(&position) => {
                let Event::Ruled(ruled) = read::<Entry>(position, bytes)?.event else { return Ok(()) };
                if ruled.unkept {
                    unread.turned_away += 1;
                    return Ok(());
                }
                match payload(store, PayloadKind::Arguments, &ruled.arguments)? {
                    Some(arguments) => {
                        visit(store, &Again { ruled: *ruled, arguments }, &mut bundles, position, bytes)?;
                    }
                    None => {
                        let why = "its arguments are not there".into();
                        unread.unavailable.push(Unavailable { position, why });
                    }
                }
            }
            _ => {}
        }
        Ok(())
    })?;
    Ok(unread)
}

type Each<'a> = dyn FnMut(&mut dyn Store, u64, &[u8]) -> Result<(), LedgerError> + 'a;

/// Visits the entries in the range, a few at a time.
pub(crate) fn each_entry(
    store: &mut dyn Store,
    range: Range<u64>,
    visit: &mut Each<'_>,
) -> Result<(), LedgerError> {
    let mut position = range.start;
    while position < range.end {
        let limit = usize::try_from(range.end - position).unwrap_or(256).min(256);
        let entries = store.entries(position, limit)?;
        if entries.is_empty() {
            break;
        }
        for (at, bytes) in entries {
            visit(store, at, &bytes)?;
            position = at + 1;
        }
    }
    Ok(())
}

#[derive(Deserialize)]
struct Kind<'a> {
    kind: &'a str,
}

pub(crate) fn read<'de, T: Deserialize<'de>>(position: u64, bytes: &'de [u8]) -> Result<T, LedgerError> {
    serde_json::from_slice(bytes)
        .map_err(|source| LedgerError::Unreadable { key: format!("entry {position}"), source })
}

/// Policies of the past. Each is compiled once.
#[derive(Default)]
struct Bundles {
    sources: HashMap<Digest, Digest>,
    compiled: HashMap<Digest, Result<Arc<Bundle>, String>>,
}

impl Bundles {
    fn compiled(
        &mut self,
        store: &mut dyn Store,
        hash: &Digest,
    ) -> Result<Result<Arc<Bundle>, String>, LedgerError> {
        if let Some(found) = self.compiled.get(hash) {
            return Ok(found.clone());
        }
        let found = match self.sources.get(hash) {
            None => Err(format!("the bundle {} is not on record before it", hash.short())),
            Some(sources) => match payload(store, PayloadKind::Bundle, sources)? {
                None => Err(format!("the sources of bundle {} are not there", hash.short())),
                Some(json) => compile(&json, hash),
            },
        };
        self.compiled.insert(*hash, found.clone());
        Ok(found)
    }
}

fn compile(json: &[u8], hash: &Digest) -> Result<Arc<Bundle>, String> {
    let named = |why: String| format!("the bundle {} does not load: {why}", hash.short());
    let sources: Vec<Source> = serde_json::from_slice(json).map_err(|e| named(e.to_string()))?;
    let bundle = VettedBundle::load(sources).map_err(|problems| {
        let first = problems.iter().find(|p| p.fatal);
        named(first.map_or("nobody knows why".into(), ToString::to_string))
    })?;
    if bundle.hash() == *hash {
        Ok(Arc::new(bundle.into_bundle()))
    } else {
        Err(named("its sources have another hash".into()))
    }
}

impl Again {
    /// The action, understood again against this catalogue.
    fn action(&self, bundle: &Bundle) -> Arc<Action> {
        let ruled = &self.ruled;
        // A name that was too long was cut when it was recorded, and must not turn into one that fits.
        let cut = ruled.definition.is_none() && ruled.name.chars().count() == 128;
        let mut proposal = ruled.proposal(self.arguments.clone());
        if cut {
            proposal.name.push('…');
        }
        // What was accepted then was within the limits of then.
        let limits = Limits { bytes_max: usize::MAX, depth_max: 128, values_max: usize::MAX };
        let mut action = Action::parse(proposal, bundle.catalogue(), &limits);
        if ruled.problems.iter().any(|problem| is_unread(problem.code)) {
            // Nobody has understood these bytes, then or now: only their digest and what was wrong with
            // them are known.
            action.digest = ruled.digest;
            action.problems.clone_from(&ruled.problems);
            (action.resource, action.tenant, action.amount, action.rows) = (None, None, None, None);
            action.destinations.clear();
            action.code_arguments.clear();
        }
        if ruled.facts.edition == 0 {
            action.forget_mode();
        }
        Arc::new(action)
    }

    /// What this definition of the action declares and nobody has read then, unless it was refused without looking.
    fn unread(&self, action: &Action) -> Option<String> {
        let declared = action.typed.as_ref()?.manifest.resource.as_ref()?;
        let known = |name: &str| reading(&self.ruled.evidence, name);
        let lacks = declared.looks().find(|look| match known(look.name) {
            None => true,
            Some(read) => {
                let absent =
                    |name: &&String| !read.attributes.contains_key(*name) && !read.wrong.contains_key(*name);
                read.unread.is_none() && look.attributes.iter().any(|(name, a)| !a.optional && absent(&name))
            }
        });
        lacks.filter(|_| self.ruled.decision.verdict != Verdict::Block).map(|look| look.name.to_owned())
    }

    fn decide(&self, action: &Arc<Action>, facts: &Facts, bundle: &Bundle) -> Arc<Decision> {
        let (evidence, now) = (&self.ruled.evidence, self.ruled.now);
        let question = DecisionRequest { action, facts, bundle, evidence, now };
        // Names do not decide: whatever stands here, the decision is the same.
        let approval = ApprovalId::new("apr_again").expect("a constant that is a name");
        let fresh = NewIds { action: self.ruled.action.clone(), approval };
        decide(&question, action, fresh).decision().clone()
    }

    /// What comes out otherwise than it is recorded.
    fn compare(&self, position: u64, bytes: &[u8], bundle: &Bundle) -> Result<Option<Mismatch>, LedgerError> {
        #[derive(Deserialize)]
        struct Raw<'a> {
            #[serde(borrow)]
            decision: &'a RawValue,
        }
        let ruled = &self.ruled;
        let action = self.action(bundle);
        let json = |value: &dyn erased::Json| value.json();
        let definition = action.typed.as_ref().map(|typed| typed.digest);
        let now = json(&*self.decide(&action, &ruled.facts, bundle));
        let raw: Raw<'_> = read(position, bytes)?;
        let pairs = [
            ("digest", json(&ruled.digest), json(&action.digest)),
            ("problems", json(&ruled.problems), json(&action.problems)),
            ("definition", json(&ruled.definition), json(&definition)),
            ("decision", raw.decision.get().to_owned(), now),
        ];
        Ok(pairs.into_iter().find(|(_, recorded, now)| recorded != now).map(|(what, recorded, now)| {
            Mismatch { position, action: ruled.action.clone(), what, recorded, now }
        }))
    }
}

mod erased {
    /// Anything that can be written as JSON.
    pub(super) trait Json {
        fn json(&self) -> String;
    }

    impl<T: serde::Serialize> Json for T {
        fn json(&self) -> String {
            // Facts and decisions always can; if one cannot, it differs from everything.
            serde_json::to_string(self).unwrap_or_else(|error| error.to_string())
        }
    }
}
