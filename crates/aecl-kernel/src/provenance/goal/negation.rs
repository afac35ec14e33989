//! Sentences that forbid or contrast: what they name is not endorsed by them. English is read; of a goal in
//! another language nothing is.

use super::ParsedGoal;
use super::words::{WORDS_MAX, Word};

/// What forbids from there on.
const NEGATIONS: &[&str] = &[
    "not",
    "never",
    "dont",
    "without",
    "avoid",
    "avoiding",
    "except",
    "excluding",
    "neither",
    "nor",
    "cannot",
    "no",
    "nothing",
    "nobody",
    "none",
    "noone",
];
/// What takes away what it acts on, and nothing that is said afterwards.
const REJECTS: &[&str] =
    &["disregard", "ignore", "ignoring", "omit", "omitting", "prevent", "skip", "skipping"];
/// What names one thing to say that another is meant.
const CONTRASTS: &[&str] = &["unlike"];
/// The same in two words.
const CONTRASTS_OF_TWO: &[(&str, &str)] = &[
    ("apart", "from"),
    ("aside", "from"),
    ("away", "from"),
    ("instead", "of"),
    ("lieu", "of"),
    ("opposed", "to"),
    ("other", "than"),
    ("place", "of"),
    ("rather", "than"),
];
/// What takes a negation back.
const FORGETS: &[&str] = &["fail", "forget", "hesitate", "miss", "neglect", "omit", "wait", "worry"];
/// Everybody, of whom "but" takes somebody away.
const ALL: &[&str] = &[
    "all",
    "any",
    "anybody",
    "anyone",
    "anything",
    "anywhere",
    "everybody",
    "everyone",
    "everything",
    "everywhere",
    "whoever",
];
const AUXILIARIES: &[&str] = &[
    "are", "be", "can", "could", "did", "do", "does", "had", "has", "have", "is", "may", "might", "must",
    "need", "needs", "ought", "shall", "should", "was", "were", "will", "would",
];
/// Who tells why, rather than what must not be.
const TELLERS: &[&str] = &["he", "i", "she", "there", "we"];
const CONDITIONS: &[&str] =
    &["although", "as", "because", "if", "once", "since", "though", "unless", "when", "while"];
/// What is shut out, with "is" before it.
const SHUT_OUT: &[&str] = &["banned", "blocked", "excluded", "forbidden", "prohibited", "taboo"];
/// How something is kept or left, where it stands between.
const KEPT: &[&str] = &["alone", "away", "off", "out", "unchanged", "untouched"];
/// Most words between "keep" and "out".
const KEPT_WITHIN: usize = 8;

/// What takes back the order before it.
const NOTHING: &[&str] = &["neither", "no", "nobody", "none", "noone", "nothing"];
/// What sets a limit with "no" before it, and takes nothing back.
const NO_LIMIT: &[&str] =
    &["earlier", "fewer", "later", "less", "longer", "matter", "more", "rush", "sooner", "worries"];
const PRONOUNS: &[&str] = &["her", "him", "it", "me", "them", "us"];
/// Most words between an order and the "no" that takes it back.
const NAMED_MAX: usize = 4;

/// Most words of a clause before its negation.
const CLAUSE_MAX: usize = 24;

/// How far a negation reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// To the end of the sentence, or to a "but".
    Sentence,
    /// To the end of its clause.
    Clause,
}

impl ParsedGoal {
    /// Reads what a sentence, the words from `start` on, forbids; "don't forget to" forbids nothing.
    pub(super) fn negate(&mut self, start: usize) {
        let Some(sentence) = self.words.get_mut(start..) else { return };
        let mut scope = None;
        for at in 0..sentence.len() {
            if scope.is_some_and(|scope| ends(sentence, at, scope)) {
                scope = None;
            }
            match begins(sentence, at) {
                Some(begun) if scope != Some(Scope::Sentence) || begun == Scope::Sentence => {
                    scope = Some(begun)
                }
                Some(_) | None => {}
            }
            if text(sentence, at.checked_sub(1)).is_some_and(is_negation)
                && FORGETS.contains(&text(sentence, Some(at)).unwrap_or_default())
            {
                scope = None;
            }
            if let Some(word) = sentence.get_mut(at).filter(|_| scope.is_some()) {
                word.negated = true;
            }
            shut_out(sentence, at);
        }
        self.take_back(start);
    }

    /// "Change nothing", "send Bob no mail": what is ordered right before is not, and who stands between gets nothing.
    fn take_back(&mut self, start: usize) {
        for at in start + 1..self.words.len() {
            let taken = NOTHING.contains(&text(&self.words, Some(at)).unwrap_or_default());
            let limits = NO_LIMIT.contains(&text(&self.words, Some(at + 1)).unwrap_or_default());
            let between = |word: &Word| is_thing(word) || PRONOUNS.contains(&word.text.as_str());
            let before = self.words.get(start..at).unwrap_or_default();
            let named =
                before.iter().rev().take(NAMED_MAX).take_while(|word| between(word) && !word.opens).count();
            let verb = at - named - 1;
            if taken && !limits && verb >= start && self.is_order(verb) {
                for word in self.words.iter_mut().take(at).skip(verb) {
                    word.negated = true;
                }
            }
        }
    }

    /// Whether what stands here in the goal is part of what it forbids. What was not read proves nothing, either.
    pub(super) fn is_forbidden(&self, from: usize, upto: usize) -> bool {
        let first = self.words.partition_point(|word| word.end <= from);
        let within = self.words.iter().skip(first).take_while(|word| word.at < upto);
        let unread = self.words.len() >= WORDS_MAX && first >= self.words.len();
        unread || within.into_iter().any(|word| word.negated)
    }
}

fn text(words: &[Word], at: Option<usize>) -> Option<&str> {
    words.get(at?).map(|word| word.text.as_str())
}

fn is_negation(word: &str) -> bool {
    NEGATIONS.contains(&word) || word.ends_with("n't") || word.ends_with("n’t")
}

/// Whether a word names a thing: an address, a number, a file, a name.
fn is_thing(word: &Word) -> bool {
    word.capital || word.text.contains(|c: char| c.is_ascii_digit() || matches!(c, '@' | '/' | '.'))
}

/// Whether what was forbidden ends before this word.
fn ends(words: &[Word], at: usize, scope: Scope) -> bool {
    let Some(word) = words.get(at) else { return true };
    let comma = at.checked_sub(1).and_then(|i| words.get(i)).is_some_and(|before| before.comma);
    let listed = |at: usize| words.get(at).is_some_and(is_thing);
    match word.text.as_str() {
        "but" | "instead" | "only" => true,
        "so" | "therefore" => comma,
        "please" => comma && !word.comma,
        "and" | "or" | "then" => scope == Scope::Clause && !listed(at + 1),
        _ => scope == Scope::Clause && comma && !listed(at),
    }
}

/// What begins to be forbidden at this word.
fn begins(words: &[Word], at: usize) -> Option<Scope> {
    let word = text(words, Some(at))?;
    let before = text(words, at.checked_sub(1)).unwrap_or_default();
    let next = text(words, Some(at + 1)).unwrap_or_default();
    if is_negation(word) {
        return Some(if tells(words, at) { Scope::Clause } else { Scope::Sentence });
    }
    match word {
        "but" if ALL.contains(&before) => Some(Scope::Sentence),
        "refuse" | "refuses" | "refusing" | "decline" | "declines" | "declining" if next == "to" => {
            Some(Scope::Sentence)
        }
        "stop" | "stops" | "cease" | "quit" if next.ends_with("ing") => Some(Scope::Sentence),
        "keep" | "keeps" | "leave" | "leaves" if is_kept(words, at) => Some(Scope::Clause),
        _ if REJECTS.contains(&word) || CONTRASTS.contains(&word) => Some(Scope::Clause),
        _ if CONTRASTS_OF_TWO.contains(&(word, next)) => Some(Scope::Clause),
        _ => None,
    }
}

/// Whether the negation at this place tells why, or under which condition, rather than forbids.
fn tells(words: &[Word], at: usize) -> bool {
    let word = text(words, Some(at)).unwrap_or_default();
    let before = text(words, at.checked_sub(1)).unwrap_or_default();
    let aside = AUXILIARIES.contains(&before);
    let subject = text(words, at.checked_sub(if aside { 2 } else { 1 })).unwrap_or_default();
    let verb = if aside { before } else { word };
    let modal = ["must", "should", "shall", "may"].iter().any(|modal| verb.starts_with(modal));
    let wish = matches!(text(words, Some(at + 1)), Some("want" | "wish" | "like" | "allow"));
    let clause =
        words.get(..at).unwrap_or_default().iter().rev().take(CLAUSE_MAX).take_while(|word| !word.comma);
    let condition = clause.into_iter().any(|word| CONDITIONS.contains(&word.text.as_str()));
    condition || (TELLERS.contains(&subject) && !modal && !wish)
}

/// "Keep X out", "leave X alone".
fn is_kept(words: &[Word], at: usize) -> bool {
    let rest = words.get(at + 1..).unwrap_or_default().iter().take(KEPT_WITHIN);
    let mut clause = rest.scan(false, |ended, word| {
        let read = !*ended;
        *ended = word.comma;
        read.then_some(word)
    });
    clause.any(|word| KEPT.contains(&word.text.as_str()))
}

/// "X must not get it", "X never does", "X is excluded": what stands right before is what must not.
fn shut_out(words: &mut [Word], at: usize) {
    let Some(word) = text(words, Some(at)) else { return };
    let before = at.checked_sub(1).and_then(|i| words.get(i));
    let aside = before.is_some_and(|before| AUXILIARIES.contains(&before.text.as_str()));
    let contracted = word != "don't" && (word.ends_with("n't") || word.ends_with("n’t"));
    let towards =
        words.get(at + 1).is_none_or(|next| is_thing(next) || matches!(next.text.as_str(), "to" | "at"));
    let never = word == "never" && before.is_some_and(|before| !before.comma) && !towards;
    let subject = match word {
        "not" | "never" if aside => at.checked_sub(2),
        _ if SHUT_OUT.contains(&word) && aside => at.checked_sub(2),
        _ if contracted || never || word == "cannot" => at.checked_sub(1),
        _ => return,
    };
    let mut place = subject;
    while let Some(word) = place.and_then(|at| words.get_mut(at)) {
        if !is_thing(word) && !matches!(word.text.as_str(), "and" | "or" | "nor") {
            return;
        }
        word.negated = true;
        place = place.and_then(|at| at.checked_sub(1));
    }
}
