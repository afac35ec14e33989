//! Where the arguments of an action come from, looked up: exactly these values, in the goal and in what the run may
//! rest on. What is found is recorded with the decision, so that it can be made again without the goal and the
//! outputs, which may have been erased.
//!
//! The work depends on the arguments and the goal (16 KiB), never on how long the run is.

use crate::base::id::RunId;
use crate::define::catalogue::flow::{Audience, Class, Endorses, is_at_or_above};
use crate::define::catalogue::{Effect, TypedAction};
use crate::policy::bundle::Bundle;
use crate::provenance::atoms::{self, Atom, AtomKind, wanted};
use crate::provenance::goal::{IntentMatch, MentionKind, ParsedGoal, Telling, Weight, telling};
use crate::provenance::ingest::Endorsement;
use crate::provenance::labels::SECRET;
use crate::provenance::proof::{
    Backing, Leaf, NamedThings, Provenance, egress, is_blank, judged, named_things, suffices, wants_proof,
};
use crate::provenance::{canon, links, secrets};
use crate::read::action::Action;
use crate::read::plan;
use crate::record::approval::People;
use crate::record::facts::{EDITION, FactStore, RunFact, keys};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Most values of one action that are proven; more than these count as unproven.
const LEAVES_MAX: usize = 256;

/// Most words of what is written that are compared with the goal.
const GROUND_MAX: usize = 512;

/// Most words of a greeting that are not the goal's.
const GREETING_MAX: usize = 8;

/// Most words of a name.
const NAME_WORDS: usize = 3;

/// Most links in one content that are proven; more than these count as unproven.
const LINKS_MAX: usize = 64;

/// What the goals of a run and of those it was delegated from say.
struct Goals(Vec<Arc<ParsedGoal>>);

impl Goals {
    fn of(runs: &[Rests]) -> Self {
        Self(runs.iter().filter_map(|run| run.goal.clone()).collect())
    }

    /// Whether a goal orders this action.
    fn order(&self, typed: &TypedAction) -> bool {
        self.0.iter().any(|goal| goal.orders_any(&typed.intent))
    }

    fn names(&self, atom: &Atom) -> Option<MentionKind> {
        self.0.iter().filter_map(|goal| goal.names(atom)).min()
    }

    /// How they name this for an action. What a goal names for another order proves nothing for this one; a goal that orders
    /// nothing of the kind names things only where no goal does.
    fn names_for(&self, class: Class, atom: &Atom, typed: &TypedAction) -> Option<MentionKind> {
        let (intent, effect) = (&typed.intent, typed.manifest.effect);
        let bound = effect.changes_something() && (class.is_destination() || class.is_target())
            || matches!(class, Class::Magnitude | Class::Attachments);
        let orders = bound && self.0.iter().any(|goal| goal.orders_any(intent));
        let goals = self.0.iter().filter(|goal| !orders || goal.orders_any(intent));
        let named = goals.filter_map(|goal| match bound {
            true => goal.names_for(atom, class.is_destination(), intent, effect == Effect::Delete),
            false if class.is_destination() => goal.names_destination(atom),
            false => goal.names(atom),
        });
        named.min()
    }
}

/// Whether what a goal names for another order proves nothing in this role.
fn is_bound(class: Class, typed: &TypedAction) -> bool {
    let thing =
        class.is_destination() || class.is_target() || matches!(class, Class::Magnitude | Class::Attachments);
    thing && typed.manifest.effect.changes_something()
}

/// A run, with what it may rest on.
struct Rests {
    run: RunId,
    /// What its goal says. One that was stated after strangers had been read may be their words. The goal of whoever
    /// delegated counts then.
    goal: Option<Arc<ParsedGoal>>,
    /// Everybody still answers here on whose word it rests values. Who of them stood behind which is not kept, so with
    /// one who does not, all are asked about again.
    on_people: bool,
}

impl Rests {
    fn of<S: FactStore>(run: &RunFact, people: Option<&People>, space: &mut S) -> Result<Self, S::Error> {
        let goal = match run.late {
            true => None,
            false => space.find(keys::Goal(run.principal.run.clone()))?.map(|goal| goal.reading()),
        };
        let on_people = people.is_none_or(|people| {
            let voters = people.standing(&run.endorsers, &run.principal);
            run.endorsers.iter().all(|(person, groups)| voters.stand_for(person, groups))
        });
        Ok(Self { run: run.principal.run.clone(), goal, on_people })
    }

    /// Whether its goal names the record of this mark for this action. `ordered`: some goal orders it.
    fn means(&self, mark: &Endorsement, typed: &TypedAction, ordered: bool) -> bool {
        let of_old = mark.clauses.are_none();
        let deletes = typed.manifest.effect == Effect::Delete;
        let meant = |goal: &Arc<ParsedGoal>| {
            (!ordered || goal.orders_any(&typed.intent)) && goal.means(mark.clauses, &typed.intent, deletes)
        };
        of_old || self.goal.as_ref().is_some_and(meant)
    }
}

struct Search<'a, S> {
    space: &'a mut S,
    runs: Vec<Rests>,
    goals: Goals,
    plan: Option<Arc<plan::Plan>>,
    late: bool,
    agreed: bool,
    typed: &'a TypedAction,
    /// What is the user's own.
    own: Option<&'a BTreeSet<Atom>>,
}

impl<S: FactStore> Search<'_, S> {
    fn proofs(&mut self, leaf: &Leaf<'_>, action: &Action) -> Result<Vec<Backing>, S::Error> {
        let mut out = BTreeSet::new();
        for atom in wanted(leaf.class, leaf.value) {
            if let Some(mut how) = self.goals.names_for(leaf.class, &atom, self.typed) {
                let orders = |goal: &Arc<ParsedGoal>| goal.orders_of(&atom, &self.typed.intent);
                if how == MentionKind::Words && leaf.class.is_target() && self.goals.0.iter().any(orders) {
                    how = MentionKind::Ordered;
                }
                out.insert(Backing { by: Endorses::User, how: Some(how), named: false });
            }
            // It is in the directory of people, and is the one whose run this is.
            if self.own.is_some_and(|own| own.contains(&atom)) {
                out.insert(Backing { by: Endorses::Directory, how: None, named: true });
            }
            let bound = is_bound(leaf.class, self.typed);
            let ordered = bound && self.goals.order(self.typed);
            for (place, mark) in self.marks(&atom)? {
                let run = self.runs.get(place);
                let meant = || !bound || run.is_some_and(|run| run.means(&mark, self.typed, ordered));
                out.insert(Backing { by: mark.by, how: None, named: mark.named && meant() });
            }
        }
        // One that needs people's yes is nobody's word without it.
        if self.agreed && self.is_planned(leaf, action) {
            out.insert(Backing { by: Endorses::User, how: Some(MentionKind::Quoted), named: false });
        }
        if leaf.argument.knows(leaf.value)
            || is_default(self.typed, leaf, action)
            || (leaf.class.is_destination() && is_listed(self.typed, &leaf.pointer))
        {
            out.insert(Backing { by: Endorses::Operator, how: None, named: false });
        }
        Ok(out.into_iter().collect())
    }

    /// Whether the plan has this value, by whoever opened the run. One that was declared after strangers had been read may
    /// be their words, like the goal beside it.
    fn is_planned(&self, leaf: &Leaf<'_>, action: &Action) -> bool {
        let own = self.plan.as_ref().filter(|_| !self.late);
        own.is_some_and(|plan| plan.says(action, &leaf.pointer, leaf.class, leaf.value))
    }

    /// What outputs and people said about this atom, in the run and those it was delegated from: each with the place of that.
    fn marks(&mut self, atom: &Atom) -> Result<Vec<(usize, Endorsement)>, S::Error> {
        let digest = atom.digest();
        let mut out = Vec::new();
        for (place, rests) in self.runs.iter().enumerate() {
            if let Some(marks) = self.space.find(keys::Trust(rests.run.clone(), digest))? {
                let counts = |m: &Endorsement| !m.secret && (rests.on_people || m.by != Endorses::User);
                out.extend(marks.into_iter().filter(counts).map(|mark| (place, mark)));
            }
        }
        Ok(out)
    }

    fn has_stray_link(&mut self, value: &Value) -> Result<bool, S::Error> {
        let Some(text) = value.as_str() else { return Ok(false) };
        let (links, more) = links::links(text, LINKS_MAX);
        for atom in &links {
            let said = self.goals.names(atom).is_some();
            if !said && !self.marks(atom)?.iter().any(|(_, m)| m.by <= Endorses::Directory) {
                return Ok(true);
            }
        }
        Ok(more)
    }

    fn has_secret(&mut self, value: &Value) -> Result<bool, S::Error> {
        let Some(text) = atoms::plain(value) else { return Ok(false) };
        for atom in secrets::candidates(&text) {
            let digest = atom.digest();
            for Rests { run, .. } in &self.runs {
                if let Some(marks) = self.space.find(keys::Trust(run.clone(), digest))?
                    && marks.iter().any(|m| m.secret)
                    && self.goals.names(&atom).is_none()
                {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Whether what is to be written says what the goal says, or what is known to be true: of each content half of the
    /// words that tell something, and all its names and numbers.
    fn is_grounded(&mut self, leaves: &[Leaf<'_>], action: &Action) -> Result<bool, S::Error> {
        let mut left = GROUND_MAX;
        for leaf in leaves.iter().filter(|l| l.class == Class::Content) {
            if self.agreed && self.is_planned(leaf, action) {
                continue;
            }
            let Some(text) = atoms::plain(leaf.value) else { continue };
            let words = telling(&text, left);
            left -= words.len();
            let (mut said, mut tells, mut known_until) = (0, 0, 0);
            let tells_something = |word: &&Telling<'_>| matches!(word.weight, Weight::Tells | Weight::Exact);
            for (i, word) in words.iter().enumerate().filter(|(_, word)| tells_something(word)) {
                let in_goal = self.is_said(word);
                if !in_goal && i >= known_until {
                    known_until = i + self.known(words.get(i..).unwrap_or_default())?;
                }
                let known = in_goal || i < known_until;
                if !known && word.weight == Weight::Exact {
                    return Ok(false);
                }
                tells += 1;
                said += usize::from(known);
            }
            // A text of small words says something, too.
            // What the goal says has to be about it, whatever else a system has vouched for.
            let about = |word: &Telling<'_>| !matches!(word.weight, Weight::Nothing | Weight::When);
            let is_about =
                text.trim().is_empty() || words.iter().any(|word| about(word) && self.is_said(word));
            // Too long a text is no note of what the goal says.
            if said * 2 < tells || !is_about || left == 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether a text has the words that the goal gives for it, and adds a number or more than a greeting. Whoever says
    /// word for word what is to be written has said all of it.
    fn is_beyond_wording(&mut self, leaf: &Leaf<'_>) -> Result<bool, S::Error> {
        let Some(text) = leaf.value.as_str() else { return Ok(false) };
        let goals = self.goals.0.clone();
        let wording = goals.iter().flat_map(|goal| goal.wordings()).find(|wording| {
            let end = |c: char| !c.is_alphanumeric();
            text.contains(wording.trim_matches(end))
        });
        let Some(wording) = wording else { return Ok(false) };
        let rest = text.replacen(wording.trim_matches(|c: char| !c.is_alphanumeric()), " ", 1);
        let words = telling(&rest, GROUND_MAX);
        let mut added = 0;
        for (i, word) in words.iter().enumerate() {
            let tells = matches!(word.weight, Weight::Tells | Weight::Exact);
            if !tells || self.is_said(word) || self.known(words.get(i..).unwrap_or_default())? > 0 {
                continue;
            }
            added += 1;
            if word.text.bytes().any(|b| b.is_ascii_digit()) || added > GREETING_MAX {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn is_said(&self, word: &Telling<'_>) -> bool {
        self.goals.0.iter().any(|goal| goal.has_word(word))
    }

    /// How many of the words that begin here a system has vouched for: as a number or id, or as a name of up to three.
    fn known(&mut self, words: &[Telling<'_>]) -> Result<usize, S::Error> {
        for length in (1..=words.len().min(NAME_WORDS)).rev() {
            let text: Vec<&str> = words.iter().take(length).map(|word| word.text).collect();
            let text = text.join(" ");
            let mut atoms = vec![(AtomKind::Phrase, canon::phrase(&text))];
            if length == 1 {
                atoms.extend([(AtomKind::Id, canon::id(&text)), (AtomKind::Number, canon::number(&text))]);
            }
            for (kind, text) in atoms.into_iter().filter_map(|(kind, text)| Some((kind, text?))) {
                if self.marks(&Atom { kind, text })?.iter().any(|(_, mark)| mark.by < Endorses::Made) {
                    return Ok(length);
                }
            }
        }
        Ok(0)
    }
}

/// Whether the value is what the definition says that the target takes by itself.
fn is_default(typed: &TypedAction, leaf: &Leaf<'_>, action: &Action) -> bool {
    let end = leaf.pointer.get(1..).and_then(|rest| rest.find('/')).map_or(leaf.pointer.len(), |at| at + 1);
    let Some(pointer) = leaf.pointer.get(..end) else { return false };
    let name = pointer.trim_start_matches('/').replace("~1", "/").replace("~0", "~");
    let default = typed.manifest.args.get(&name).and_then(|argument| argument.default.as_ref());
    default.is_some_and(|default| action.arguments.pointer(pointer) == Some(default))
}

/// Whether the catalogue lists where the action may go. What is not on that list is blocked elsewhere.
fn is_listed(typed: &TypedAction, pointer: &str) -> bool {
    let field = typed.manifest.fields.destination.as_ref();
    field.is_some_and(|d| {
        d.allowed.as_ref().is_some_and(|a| !a.is_empty()) && is_at_or_above(&d.value, pointer)
    })
}

impl Provenance {
    /// Looks up where the arguments come from. Nothing, where nobody has to know: the run has read no
    /// stranger's text and has no plan, and the action always asks or never; or it was not understood. `agreed`: the
    /// plan needs nobody's yes, or has it.
    pub fn gather<S: FactStore>(
        action: &Action,
        run: &RunFact,
        lineage: &[RunFact],
        agreed: bool,
        people: Option<&People>,
        bundle: &Bundle,
        space: &mut S,
    ) -> Result<Option<Self>, S::Error> {
        let Some(typed) = action.typed.as_deref().filter(|_| action.problems.is_empty()) else {
            return Ok(None);
        };
        // What may be completed without another question has to be what was asked for, whatever was read before.
        let completers = bundle.catalogue().completers(&action.name);
        let begins = !completers.is_empty();
        let asked = run.labels.untrusted || run.planned || typed.manifest.unless_proven() || begins;
        if !asked || action.compensates.is_some() {
            return Ok(None);
        }
        let mut runs = Vec::new();
        for run in std::iter::once(run).chain(lineage) {
            runs.push(Rests::of(run, people, space)?);
        }
        let goals = Goals::of(&runs);
        let plan = match space.find(keys::Goal(run.principal.run.clone()))? {
            Some(goal) if run.planned => goal.contract(),
            _ => None,
        };
        let own = action.principal.user.as_ref().and_then(|user| bundle.own_of(user));
        let mut search =
            Search { space, runs, goals, plan: plan.clone(), late: run.late, agreed, typed, own };
        let leaves = judged(action, typed, EDITION);
        let mut out = Self {
            proofs: BTreeMap::new(),
            leading: BTreeMap::new(),
            links: BTreeSet::new(),
            secrets: BTreeSet::new(),
            beyond: BTreeSet::new(),
            grounded: search.is_grounded(&leaves, action)?,
            asks: IntentMatch::No,
            unread: search.goals.0.iter().any(|goal| goal.unread),
            delegates: search.goals.0.iter().any(|goal| goal.delegates),
            elsewhere: false,
            plural: search.goals.0.iter().any(|goal| goal.plural),
            earlier: 0,
            named: None,
            unagreed: plan.as_ref().filter(|_| !agreed).map(|_| BTreeSet::new()),
            plan: plan.map(|plan| plan.stands(action, run.step)),
            blank: BTreeSet::new(),
            unsendable: false,
        };
        let changes = typed.manifest.effect.changes_something();
        if let Some(calls) = search.space.find(keys::calls(&run.principal.run, &action.name, typed.kind()))? {
            out.earlier = calls;
        }
        for leaf in leaves.iter().filter(|l| wants_proof(l, changes, EDITION)).take(LEAVES_MAX) {
            if is_blank(leaf, typed) {
                out.blank.insert(leaf.pointer.clone());
            }
            let proofs = search.proofs(leaf, action)?;
            if !proofs.is_empty() {
                let kept = if leaf.leads() { &mut out.leading } else { &mut out.proofs };
                kept.insert(leaf.pointer.clone(), proofs);
            }
            if let Some(planned) = out.unagreed.as_mut().filter(|_| search.is_planned(leaf, action)) {
                planned.insert(leaf.pointer.clone());
            }
        }
        if changes {
            for leaf in leaves.iter().filter(|l| l.class == Class::Content).take(LEAVES_MAX) {
                if search.is_beyond_wording(leaf)? {
                    out.beyond.insert(leaf.pointer.clone());
                }
            }
        }
        if let Some(digest) = named_things(&leaves, &out.proofs) {
            let key = keys::calls_on(&run.principal.run, &action.name, typed.kind(), &digest);
            let earlier = search.space.find(key)?.unwrap_or_default();
            out.named = Some(NamedThings { digest, earlier });
        }
        out.elsewhere = leaves.iter().filter(|l| l.class.is_destination()).any(|leaf| {
            let kind = atoms::own_kind(leaf.class);
            let intent = &typed.intent;
            let spelt =
                kind.is_some_and(|kind| search.goals.0.iter().any(|goal| goal.spells_out(kind, intent)));
            spelt && !suffices(leaf.class, typed, EDITION, out.of(leaf))
        });
        let leaves_us = egress(typed, &leaves) != Audience::None;
        if changes && leaves_us {
            let contents = leaves.iter().filter(|l| l.class == Class::Content);
            for (i, leaf) in contents.enumerate().take(LEAVES_MAX + 1) {
                if i == LEAVES_MAX || search.has_stray_link(leaf.value)? {
                    out.links.insert(leaf.pointer.clone());
                }
            }
        }
        if leaves_us && run.labels.classes.contains(SECRET) {
            let once = leaves.iter().filter(|l| !l.leads());
            for (i, leaf) in once.enumerate().take(LEAVES_MAX + 1) {
                if i == LEAVES_MAX || search.has_secret(leaf.value)? {
                    out.secrets.insert(leaf.pointer.clone());
                }
            }
        }
        // It stays here itself, and what completes it takes it along.
        if !leaves_us && completers.iter().any(|completer| completer.egress != Audience::None) {
            let has_secrets = run.labels.classes.contains(SECRET);
            out.unsendable = leaves.len() > LEAVES_MAX;
            for leaf in leaves.iter().take(LEAVES_MAX) {
                out.unsendable |= (leaf.class == Class::Content && search.has_stray_link(leaf.value)?)
                    || (has_secrets && search.has_secret(leaf.value)?);
            }
        }
        // By what an argument is for, the goal may ask for the action; by a value that leads somewhere else it does not. Who orders
        // something and names all that it is done to asks for it, whatever kind of thing that is.
        let is_named = |l: &&Leaf<'_>| {
            let proofs = out.proofs.get(&l.pointer);
            proofs.is_some_and(|p| p.iter().any(|p| p.by == Endorses::User || p.named))
        };
        let mut destinations = leaves.iter().filter(|l| l.argument.class.is_destination());
        let mut targets = leaves.iter().filter(|l| l.argument.class.is_target()).peekable();
        let named = destinations.any(|l| is_named(&l))
            || (changes && targets.peek().is_some() && targets.all(|l| is_named(&l)));
        out.asks = search
            .goals
            .0
            .iter()
            .map(|goal| goal.asks(&typed.intent, named))
            .find(|a| *a != IntentMatch::No)
            .unwrap_or(IntentMatch::No);
        Ok(Some(out))
    }
}
