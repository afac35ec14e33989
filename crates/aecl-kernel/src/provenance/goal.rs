//! A goal, read once: what it names, what it asks for, and what in it was pasted and proves nothing.
//!
//! Whoever opens a run is authenticated and speaks for the user, so the goal is trusted. But people paste
//! mails and pages into it: what stands fenced, behind `>` or in a quotation of more than 200 characters is
//! third-party. Names in a sentence that forbids something are not endorsed by it.

mod clauses;
mod intent;
mod language;
mod negation;
mod numbers;
mod quotes;
mod telling;
#[cfg(test)]
mod tests;
mod things;
mod words;

pub use clauses::Clauses;
pub use intent::IntentMatch;
pub use telling::{Telling, Weight, telling};

use super::atoms::{Atom, AtomKind, is_rooted};
use super::canon;
use crate::define::catalogue::flow::Intent;
use clauses::Clause;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use words::{ORDER_BEFORE, PLURALS, RECORDS, Word, is_filler, is_month_or_day, is_name};

/// A word is another with another ending if it begins with as many bytes, and not more follow.
const STEM: usize = 4;
const ENDING: usize = 3;
/// The most words that a name has.
const NAME_WORDS: usize = 3;
/// A quotation of so many words is a text to be written, and no name.
const WORDING_MIN: usize = 5;
/// Endings of files that are longer than three letters.
const EXTENSIONS: &[&str] =
    &["conf", "docx", "html", "jpeg", "json", "md", "pptx", "text", "toml", "webp", "xlsx", "yaml"];
/// What begins a matter of its own.
const ANEW: &[&str] = &["additionally", "also", "besides", "furthermore", "moreover"];

/// So many words behind an order may say what it is for.
const OBJECT_WORDS: usize = 8;
/// Words behind which a sentence speaks of something else than what it orders.
#[rustfmt::skip]
const BEGINS_ELSE: &[&str] = &[
    "about", "after", "although", "as", "because", "before", "but", "by", "except", "for", "from", "if", "is", "like", "once",
    "or", "since", "so", "than", "that", "then", "though", "unless", "until", "was", "when", "where", "whether", "which", "while",
    "who", "whose", "with", "without",
];

/// Kind of a mention: how a goal names something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MentionKind {
    /// In quotation marks.
    Quoted,
    /// As a thing of its own kind: an address, an account, a number, a file.
    Typed,
    /// As a proper noun.
    Proper,
    /// As words beside the order for the very action.
    Ordered,
    /// As words among others.
    Words,
}

/// Mention: where a goal names something, in bytes of its text, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mention {
    at: usize,
    how: MentionKind,
}

/// Goal that was read: what it says.
#[derive(Debug, Clone, Default)]
pub struct ParsedGoal {
    atoms: BTreeMap<Atom, Vec<Mention>>,
    /// Numbers and names of bills, orders, files: they name these, and never where something goes.
    references: BTreeMap<Atom, Vec<Mention>>,
    words: Vec<Word>,
    /// What belongs to one order each.
    clauses: Vec<Clause>,
    /// Some of it is in another language than English, so nothing of it was read: it names nothing and asks for nothing.
    pub unread: bool,
    /// It hands the decision over to what will be read: "do what the mail says".
    pub delegates: bool,
    /// It asks for more than one of something.
    pub plural: bool,
    /// Which record of a list it means, if it says so by how that stands to all others, and where.
    pub extreme: Option<(Superlative, Clauses)>,
}

/// A record of a list by how it stands to all others: "the largest file", "the oldest backup".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Superlative {
    /// By its number, the highest.
    Largest,
    /// By its number, the lowest.
    Smallest,
    /// By its date, the last.
    Newest,
    /// By its date, the first.
    Oldest,
}

const EXTREMES: &[(Superlative, &[&str])] = &[
    (Superlative::Largest, &["biggest", "greatest", "highest", "largest"]),
    (Superlative::Smallest, &["cheapest", "lowest", "smallest"]),
    (Superlative::Newest, &["latest", "newest"]),
    (Superlative::Oldest, &["earliest", "oldest"]),
];

/// The words of an identifier, as a goal has them one after the other: "the front door" is `lock.front_door`.
/// What stands before the last dot says what kind of thing it is.
fn words_of_id(identifier: &str) -> Option<String> {
    let name = identifier.rsplit('.').next().unwrap_or_default();
    let joined = identifier.contains(['_', '-', '.']) && !identifier.contains(char::is_whitespace);
    // What has a number or a path in it is one of many, whose number the goal has to say.
    let plain = |c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '-');
    let is_file = identifier.contains('.') && (name.len() <= 3 || EXTENSIONS.contains(&name));
    (joined && !is_file && name.chars().all(plain)).then(|| name.replace(['_', '-'], " "))
}

/// Whether two words are one, also where one is about several: "order" and `orders`.
fn is_same(a: &str, b: &str) -> bool {
    let one = |word: &'_ str| {
        word.strip_suffix('s').filter(|one| one.len() >= STEM && !one.ends_with('s')).map(str::to_owned)
    };
    a == b || one(a).as_deref() == Some(b) || one(b).as_deref() == Some(a)
}

impl ParsedGoal {
    /// Reads a goal in one pass over its text.
    pub fn of(goal: &str) -> Self {
        let own = quotes::without_pasted(goal);
        let mut reading = Self { delegates: intent::delegates(&own), ..Self::default() };
        reading.read_words(&own);
        reading.mark_quoted(&own);
        if !reading.is_english(&own) {
            return Self { unread: true, ..Self::default() };
        }
        reading.read_clauses();
        reading.read_quotes(&own);
        reading.read_names();
        reading.read_tokens(&own);
        let of_kind = |kind: AtomKind| reading.atoms.keys().filter(|a| a.kind == kind).count();
        let several = [AtomKind::Email, AtomKind::Url].into_iter().any(|kind| of_kind(kind) > 1);
        reading.extreme = reading.extreme();
        reading.plural = several || reading.words.iter().any(|w| PLURALS.contains(&w.text.as_str()));
        reading
    }

    /// Two different ones could each mean any of two records, so they mean none.
    fn extreme(&self) -> Option<(Superlative, Clauses)> {
        let of = |word: &Word| EXTREMES.iter().find(|(_, words)| words.contains(&word.text.as_str()));
        let meant = || self.words.iter().filter_map(|word| Some((of(word)?.0, word)));
        let (first, _) = meant().next()?;
        let one = meant().all(|(other, word)| other == first && !word.negated);
        one.then(|| (first, self.clauses_of(meant().map(|(_, word)| word.at))))
    }

    /// How the goal names this, if it does.
    pub fn names(&self, atom: &Atom) -> Option<MentionKind> {
        self.mentions(atom, false).iter().map(|mention| mention.how).min()
    }

    /// How the goal names this as something that an action may go to, if it does. Whoever writes a bill chooses
    /// its number, so that the number of something is no account.
    pub fn names_destination(&self, atom: &Atom) -> Option<MentionKind> {
        self.mentions(atom, true).iter().map(|mention| mention.how).min()
    }

    /// Where the goal names this; as something that an action may go to, or as anything.
    fn mentions(&self, atom: &Atom, destination: bool) -> Vec<Mention> {
        let mut out = match self.atoms.get(atom) {
            Some(mentions) => mentions.clone(),
            None => self.words_of(atom),
        };
        if !destination {
            out.extend(self.references.get(atom).into_iter().flatten());
        }
        out
    }

    fn words_of(&self, atom: &Atom) -> Vec<Mention> {
        // A name in the goal is no file elsewhere: "notes.txt" is neither `/notes.txt` nor `~/notes.txt`.
        let path = atom.kind == AtomKind::Path && !is_rooted(&atom.text);
        let mut places = Vec::new();
        if atom.kind == AtomKind::Phrase || path {
            places.extend(self.phrase(&atom.text));
        }
        if let (AtomKind::Phrase | AtomKind::Id, Some(words)) = (atom.kind, words_of_id(&atom.text)) {
            places.extend(self.phrase(&words));
        }
        places.into_iter().map(|at| Mention { at, how: MentionKind::Words }).collect()
    }

    /// Whether the goal names something of this kind in its own writing (an address, a link, an account) where
    /// it may mean an action with these words. An order that begins with "also" does not look back.
    pub fn spells_out(&self, kind: AtomKind, intent: &Intent) -> bool {
        let spelt = self.mentions_of(kind, MentionKind::Typed, true);
        let anew = |at: &usize| {
            let before = self.words.iter().take(*at).skip(at.saturating_sub(3));
            before.into_iter().any(|w| ANEW.contains(&w.text.as_str()))
        };
        let mut orders = (0..self.words.len()).filter(|at| self.orders(*at, intent));
        let since = orders.clone().next().filter(|_| orders.all(|at| anew(&at))).unwrap_or(0);
        let from = self.words.get(since).map_or(0, |word| word.at);
        spelt.into_iter().any(|mention| mention.at >= from || self.is_free(mention.at))
    }

    /// Where the goal names anything of this kind, as plainly as this; as something that an action may go to, or as anything.
    fn mentions_of(
        &self,
        kind: AtomKind,
        most: MentionKind,
        destination: bool,
    ) -> impl Iterator<Item = &Mention> {
        let references = self.references.iter().filter(move |_| !destination);
        let atoms = self.atoms.iter().chain(references).filter(move |(atom, _)| atom.kind == kind);
        atoms.flat_map(|(_, mentions)| mentions).filter(move |mention| mention.how <= most)
    }

    /// Where these words stand in the goal one after the other, in bytes of its text, in a clause that does not forbid.
    fn phrase(&self, phrase: &str) -> Vec<usize> {
        let wanted: Vec<String> = phrase.split_whitespace().map(canon::bare).collect();
        let meant = wanted.len() > 1 || wanted.first().is_some_and(|w| telling::is_telling(w));
        if !meant || wanted.is_empty() {
            return Vec::new();
        }
        let is = |window: &&[Word]| {
            window.iter().zip(&wanted).all(|(word, wanted)| !word.negated && is_same(&word.text, wanted))
        };
        let places = self.words.windows(wanted.len()).filter(is);
        places.filter_map(|window| Some(window.first()?.at)).collect()
    }

    /// Whether the goal names this as what it orders an action with these words for: behind the verb, in its own clause, with
    /// nothing between that begins something else.
    pub fn orders_of(&self, atom: &Atom, intent: &Intent) -> bool {
        (0..self.words.len()).filter(|at| self.orders(*at, intent)).any(|at| {
            let Some(verb) = self.words.get(at) else { return false };
            let rest = self.words.iter().skip(at + 1).take(OBJECT_WORDS);
            let mut clause: Vec<Word> = Vec::new();
            for word in rest.take_while(|word| word.sentence == verb.sentence && !word.negated) {
                if verb.comma || BEGINS_ELSE.contains(&word.text.as_str()) {
                    break;
                }
                clause.push(word.clone());
                if word.comma {
                    break;
                }
            }
            // "web and checkout" are two; "web and tell them" is something else.
            let parts = clause.split(|word| word.text == "and");
            parts.enumerate().any(|(i, part)| {
                let words: Vec<Word> =
                    if i == 0 { part.to_vec() } else { part.iter().take(1).cloned().collect() };
                Self { words, ..Self::default() }.names_destination(atom).is_some()
            })
        })
    }

    /// Whether the goal spells out any address.
    pub fn names_a_url(&self) -> bool {
        self.atoms.keys().any(|atom| atom.kind == AtomKind::Url)
    }

    /// What the goal gives word for word: quotations of some length.
    pub fn wordings(&self) -> impl Iterator<Item = &str> {
        let is = |mention: &Mention| mention.how == MentionKind::Quoted;
        let quoted = self
            .atoms
            .iter()
            .filter(move |(atom, mentions)| atom.kind == AtomKind::Secret && mentions.iter().any(is));
        let long = quoted.filter(|(atom, _)| atom.text.split_whitespace().count() >= WORDING_MIN);
        long.map(|(atom, _)| atom.text.as_str())
    }

    /// Whether a word of a text stands in the goal: a name or number as it is, another word also with another ending.
    pub fn has_word(&self, told: &Telling<'_>) -> bool {
        let word = canon::bare(told.text);
        let same = |own: &str| {
            let alike = own.bytes().zip(word.bytes()).take_while(|(a, b)| a == b).count();
            let ends = alike >= STEM && own.len().max(word.len()) - alike <= ENDING;
            own == word || (ends && told.weight != Weight::Exact)
        };
        let number = || canon::number(&word).map(|text| Atom { kind: AtomKind::Number, text });
        !word.is_empty()
            && (self.words.iter().any(|w| !w.negated && same(&w.text))
                || number().is_some_and(|number| self.atoms.contains_key(&number)))
    }

    /// In which clauses the goal names this text of a record, if it does. Strangers write records, too, so words that any
    /// goal has, and words for what records are, name none.
    pub fn names_record(&self, text: &str) -> Option<Clauses> {
        let phrase = canon::phrase(text)?;
        let names: Vec<String> = text.split_whitespace().filter(|w| is_name(w)).map(canon::bare).collect();
        let short = phrase.split(' ').count() <= NAME_WORDS;
        let named = self.words.iter().filter(|w| short && w.capital && !w.negated && names.contains(&w.text));
        let places: Vec<usize> = named.map(|word| word.at).collect();
        if !places.is_empty() {
            return Some(self.clauses_of(places));
        }
        let quoted =
            self.names(&Atom { kind: AtomKind::Phrase, text: phrase.clone() }) == Some(MentionKind::Quoted);
        // What the goal wants done is no name of what it is done to.
        let begins = |at: usize| {
            let before = at.checked_sub(1).and_then(|i| self.words.get(i));
            before.is_none_or(|w| ORDER_BEFORE.contains(&w.text.as_str()))
        };
        let ordered =
            |w: &str| self.words.iter().enumerate().all(|(i, own)| own.text != w || own.opens || begins(i));
        let telling = |w: &str| w.len() >= 4 && !is_filler(w) && !RECORDS.contains(&w) && !is_month_or_day(w);
        let tells = phrase.split(' ').any(|w| telling(w) && !canon::is_date(w) && !ordered(w));
        let places = if quoted || tells { self.phrase(&phrase) } else { Vec::new() };
        (!places.is_empty()).then(|| self.clauses_of(places))
    }

    /// In which clauses the goal names this number of a record, if it does.
    pub fn names_number(&self, number: &str) -> Option<Clauses> {
        let mentions = self.mentions(&Atom { kind: AtomKind::Id, text: number.to_owned() }, false);
        let plain: Vec<usize> =
            mentions.iter().filter(|m| m.how <= MentionKind::Typed).map(|mention| mention.at).collect();
        (!plain.is_empty()).then(|| self.clauses_of(plain))
    }
}
