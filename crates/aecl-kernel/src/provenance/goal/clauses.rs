//! What belongs to which order. "Delete ABC-42 and summarise ABC-43" names two issues and has one deleted: what stands in
//! the clause of one order proves nothing for another, unless that one names none of its own ("find ABC-43 and close it").

use super::words::{DETERMINERS, PLURALS, RECORDS, Word, is_filler};
use super::{Atom, AtomKind, Mention, MentionKind, ParsedGoal};
use crate::define::catalogue::flow::Intent;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::ops::BitOr;
use std::sync::LazyLock;

/// English verbs by which people order something.
static ORDERS: LazyLock<BTreeSet<&str>> =
    LazyLock::new(|| include_str!("orders.txt").split_whitespace().collect());

/// Words behind which a clause tells why, when or what of, and no longer what is acted on. Up to the next comma.
const ASIDES: &[&str] = &[
    "about",
    "after",
    "although",
    "because",
    "before",
    "concerning",
    "if",
    "like",
    "mentioning",
    "once",
    "regarding",
    "saying",
    "since",
    "stating",
    "than",
    "though",
    "unless",
    "until",
    "when",
    "whereas",
    "whether",
    "while",
];

/// More orders for one action in one goal are not read; what they name counts as named for something else.
const ORDERS_MAX: usize = 64;

/// Words that refer to what was named before.
const PRONOUNS: &[&str] =
    &["everything", "he", "her", "him", "it", "me", "she", "them", "us", "what", "whatever", "whom"];

/// Clauses of a goal in which something is named. Those from the 64th on are one, which may belong to any order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Clauses(u64);

impl Clauses {
    const LAST: usize = 63;

    /// Whether these are none.
    pub fn are_none(&self) -> bool {
        self.0 == 0
    }

    fn of(clause: usize) -> Self {
        Self(1 << clause.min(Self::LAST))
    }

    fn have(self, clause: usize) -> bool {
        self.0 & Self::of(clause).0 != 0
    }
}

impl BitOr for Clauses {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Part of a goal: the words from one order to the next one, or a sentence without any.
#[derive(Debug, Clone, Default)]
pub(super) struct Clause {
    /// The place of its verb among the words, if it orders something.
    verb: Option<usize>,
    /// Where it begins in the text, in bytes.
    from: usize,
    /// What in it stands aside, by the same measure: each from and up to, one after the other.
    asides: Vec<(usize, usize)>,
}

impl Clause {
    fn is_aside(&self, at: usize) -> bool {
        let before = self.asides.partition_point(|(from, _)| *from <= at);
        before.checked_sub(1).and_then(|i| self.asides.get(i)).is_some_and(|(_, upto)| at < *upto)
    }
}

impl ParsedGoal {
    /// Cuts the goal into what belongs to one order each.
    pub(super) fn read_clauses(&mut self) {
        let mut clauses: Vec<Clause> = Vec::new();
        let mut sentence = None;
        for (i, word) in self.words.iter().enumerate() {
            let begins = sentence != Some(word.sentence);
            sentence = Some(word.sentence);
            let verb = self.begins_order(i).then_some(i);
            match clauses.last_mut().filter(|_| !begins) {
                // What stands before the first order of a sentence belongs to it: "in ABC-42, change the title".
                Some(last) if last.verb.is_none() => last.verb = verb,
                Some(_) if verb.is_none() => {}
                Some(_) | None => clauses.push(Clause { verb, from: word.at, asides: Vec::new() }),
            }
            let Some(last) = clauses.last_mut().filter(|_| ASIDES.contains(&word.text.as_str())) else {
                continue;
            };
            if !last.is_aside(word.at) {
                let rest = self.words.iter().skip(i).take_while(|w| w.sentence == word.sentence);
                let upto = rest.clone().find(|w| w.comma).or(rest.last()).map_or(word.end, |w| w.end);
                last.asides.push((word.at, upto));
            }
        }
        self.clauses = clauses;
    }

    /// Whether this word is a verb that orders something, as far as that can be seen without knowing which actions there are.
    fn begins_order(&self, at: usize) -> bool {
        let Some(word) = self.words.get(at).filter(|word| !word.negated && self.is_order(at)) else {
            return false;
        };
        let text = word.text.as_str();
        let next = self.words.get(at + 1).filter(|next| next.sentence == word.sentence && !word.comma);
        let is_thing = |w: &Word| {
            w.quoted || w.code || w.text.contains(|c: char| c.is_ascii_digit() || matches!(c, '@' | '/'))
        };
        let plain = text.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
        // "and order 43", "and the invoice": a thing, not what is done to it.
        let noun =
            RECORDS.contains(&text) && next.is_none_or(|next| is_thing(next) || next.capital) && !word.opens;
        // A capital within a sentence makes a name: "pay Anna, Mark and Bob".
        let name = word.capital && at != word.sentence;
        if !plain || noun || name || is_filler(text) {
            return false;
        }
        let acts_on = |w: &Word| {
            let determines = DETERMINERS.contains(&w.text.as_str()) || PLURALS.contains(&w.text.as_str());
            let places = matches!(w.text.as_str(), "by" | "for" | "from" | "in" | "of");
            (determines && !places) || PRONOUNS.contains(&w.text.as_str()) || is_thing(w)
        };
        // A word that nobody has listed is a verb where it acts on something; what opens a sentence with a capital may be a
        // name or a heading ("Amount 50").
        ORDERS.contains(text)
            || (next.is_some_and(acts_on)
                && !RECORDS.contains(&text)
                && (!word.capital || next.is_some_and(|w| !is_thing(w))))
    }

    /// Whether the goal orders an action with these words.
    pub fn orders_any(&self, intent: &Intent) -> bool {
        (0..self.words.len()).any(|at| self.orders(at, intent))
    }

    /// How the goal names this for an action with these words: in the clause of an order for it, or where that names nothing
    /// of the kind, in the last one before it that does; or where nothing is ordered. `by_name`: also what is named or quoted
    /// is bound to its order, and not only what has a kind of its own.
    pub fn names_for(
        &self,
        atom: &Atom,
        destination: bool,
        intent: &Intent,
        by_name: bool,
    ) -> Option<MentionKind> {
        let most = if by_name { MentionKind::Proper } else { MentionKind::Typed };
        let rivals: Vec<usize> =
            self.mentions_of(atom.kind, most, destination).map(|mention| mention.at).collect();
        let mut orders = (0..self.words.len()).filter(|at| self.orders(*at, intent)).peekable();
        let unbound = orders.peek().is_none();
        let spans: Vec<Span> = orders.take(ORDERS_MAX).filter_map(|verb| self.meant(verb, &rivals)).collect();
        let stands = |mention: &Mention| {
            let bound = mention.how == MentionKind::Typed || by_name;
            unbound
                || self.is_free(mention.at)
                || !bound
                || spans.iter().any(|span| self.is_in(*span, mention.at))
        };
        self.mentions(atom, destination).iter().filter(|m| stands(m)).map(|mention| mention.how).min()
    }

    /// Where something that has such rivals has to stand to be meant by the order of this verb.
    fn meant(&self, verb: usize, rivals: &[usize]) -> Option<Span> {
        let word = self.words.get(verb)?;
        let clause = self.clause_at(word.at)?;
        let from = if clause.verb == Some(verb) { clause.from } else { word.at };
        let own = Span { from, upto: self.ends(word.at), aside: false };
        let has = |span: Span| rivals.iter().any(|at| self.is_in(span, *at));
        let whole = Span { aside: true, ..own };
        if has(own) || has(whole) {
            return Some(if has(own) { own } else { whole });
        }
        let last = rivals.iter().filter(|at| **at < from).max()?;
        let from_there = self.clause_at(*last).map_or(0, |clause| clause.from);
        Some(Span { from: from_there, upto: self.ends(*last).min(from), aside: true })
    }

    /// Whether what stands here belongs to no order: it may mean any.
    pub(super) fn is_free(&self, at: usize) -> bool {
        self.clause_at(at).is_none_or(|clause| clause.verb.is_none())
    }

    /// The clauses in which these places of the text stand.
    pub(super) fn clauses_of(&self, places: impl IntoIterator<Item = usize>) -> Clauses {
        let clause = |at| self.place_of_clause(at).map_or(Clauses::of(Clauses::LAST), Clauses::of);
        places.into_iter().map(clause).fold(Clauses::default(), BitOr::bitor)
    }

    /// Whether what is named in these clauses is meant by an order for an action with these words, or nothing is ordered.
    /// `quotes`: what an order quotes is what it is for, and cannot be what is written.
    pub fn means(&self, named: Clauses, intent: &Intent, quotes: bool) -> bool {
        let mut orders = (0..self.words.len()).filter(|at| self.orders(*at, intent)).peekable();
        let free = |i: usize| self.clauses.get(i).is_none_or(|clause| clause.verb.is_none());
        if orders.peek().is_none() || (0..=Clauses::LAST).any(|i| named.have(i) && free(i)) {
            return true;
        }
        let things =
            self.atoms.iter().chain(&self.references).filter(|(atom, _)| atom.kind != AtomKind::Number);
        let least = if quotes { MentionKind::Quoted } else { MentionKind::Typed };
        let names = things.flat_map(|(_, mentions)| mentions).map(|m| (m.at, m.how));
        let others = names.filter(|(_, how)| (least..=MentionKind::Proper).contains(how)).map(|(at, _)| at);
        let others = self.clauses_of(others);
        orders.take(ORDERS_MAX).filter_map(|verb| self.place_of_clause(self.words.get(verb)?.at)).any(|own| {
            let said = others | named;
            let meant = (0..=own).rev().find(|i| said.have(*i));
            meant.is_some_and(|clause| named.have(clause))
        })
    }

    fn place_of_clause(&self, at: usize) -> Option<usize> {
        self.clauses.partition_point(|clause| clause.from <= at).checked_sub(1)
    }

    fn clause_at(&self, at: usize) -> Option<&Clause> {
        self.clauses.get(self.place_of_clause(at)?)
    }

    /// Where the clause at this place ends.
    fn ends(&self, at: usize) -> usize {
        let next = self.place_of_clause(at).map_or(0, |place| place + 1);
        self.clauses.get(next).map_or(usize::MAX, |clause| clause.from)
    }

    fn is_in(&self, span: Span, at: usize) -> bool {
        let aside = self.clause_at(at).is_some_and(|clause| clause.is_aside(at));
        (span.from..span.upto).contains(&at) && (span.aside || !aside)
    }
}

/// Part of a goal's text, in bytes.
#[derive(Debug, Clone, Copy)]
struct Span {
    from: usize,
    upto: usize,
    /// With what stands aside in it.
    aside: bool,
}
