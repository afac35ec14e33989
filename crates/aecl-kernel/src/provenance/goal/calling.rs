//! What a goal calls by its name: it says what it is ("the namespace shop", "the orders table"), or orders something done to
//! it ("restart web and api"). A word that stands there for any other reason names nothing for good.

use super::words::{DETERMINERS, RECORDS, Word, is_filler, is_month_or_day};
use super::{ParsedGoal, canon};
use crate::define::catalogue::flow::Intent;
use std::collections::BTreeSet;

/// What may stand between a noun and a name.
const CALLED: &[&str] = &["called", "named", "is"];
/// What may follow a thing that something is ordered for.
const FOLLOWS: &[&str] = &[
    "and", "as", "at", "because", "before", "after", "by", "for", "from", "if", "in", "into", "now", "of",
    "on", "or", "so", "then", "to", "when", "with",
];
/// What tells where or whose something is, so that nothing before it is done to what follows.
const PLACES: &[&str] = &["by", "for", "from", "in", "of"];
/// Farthest that an order stands before what it is about, in words.
const ORDER_MAX: usize = 12;

impl ParsedGoal {
    /// Whether the goal calls something by this name. `nouns`: words for what it is.
    pub fn calls(&self, name: &str, nouns: &BTreeSet<String>, intent: &Intent) -> bool {
        let wanted: Vec<String> = name.split_whitespace().map(canon::bare).collect();
        let is_noun = |word: &str| {
            nouns.contains(word) || word.strip_suffix('s').is_some_and(|single| nouns.contains(single))
        };
        // What it is is no name of it, and neither is what any goal has.
        let common = |word: &String| {
            let any = is_filler(word) || is_month_or_day(word) || RECORDS.contains(&word.as_str());
            word.len() < 2 || any || is_noun(word)
        };
        if wanted.is_empty() || wanted.iter().all(common) {
            return false;
        }
        let mut places = self.words.windows(wanted.len()).enumerate();
        places.any(|(at, window)| {
            let stands =
                window.iter().zip(&wanted).all(|(word, wanted)| !word.negated && word.text == *wanted);
            stands
                && (self.is_said_before(at, &is_noun)
                    || self.is_said_after(at + wanted.len(), &is_noun)
                    || (self.is_whole(at + wanted.len()) && self.is_ordered(at, &is_noun, intent)))
        })
    }

    /// "The namespace shop", "a label called Old".
    fn is_said_before(&self, at: usize, is_noun: &dyn Fn(&str) -> bool) -> bool {
        let mut before = self.before(at).skip_while(|(_, word)| CALLED.contains(&word.text.as_str()));
        before.next().is_some_and(|(_, word)| is_noun(&word.text) && !word.comma)
    }

    /// "The orders table".
    fn is_said_after(&self, end: usize, is_noun: &dyn Fn(&str) -> bool) -> bool {
        let last = end.checked_sub(1).and_then(|last| self.words.get(last));
        let next = self.words.get(end).filter(|next| last.is_some_and(|last| last.sentence == next.sentence));
        // "The archive files" are many, and none is called that.
        let one =
            |word: &Word| is_noun(&word.text) && (!word.text.ends_with('s') || word.text.ends_with("ss"));
        next.is_some_and(|next| one(next) && last.is_some_and(|last| !last.comma))
    }

    /// Whether nothing follows that the words before only describe: "remove admin" is whole, "remove admin rights" is not.
    fn is_whole(&self, end: usize) -> bool {
        let last = end.checked_sub(1).and_then(|last| self.words.get(last));
        let next = self.words.get(end).filter(|next| last.is_some_and(|last| last.sentence == next.sentence));
        let follows = |next: &Word| FOLLOWS.contains(&next.text.as_str());
        last.is_some_and(|last| last.comma) || next.is_none_or(follows)
    }

    /// "Restart web", "restart web, the api and checkout".
    fn is_ordered(&self, at: usize, is_noun: &dyn Fn(&str) -> bool, intent: &Intent) -> bool {
        let mut item = false;
        for (i, word) in self.before(at).take(ORDER_MAX) {
            let text = word.text.as_str();
            if self.orders(i, intent) {
                return true;
            }
            // One thing of a list stands before a comma or an "and".
            let joins = matches!(text, "and" | "or");
            let describes = DETERMINERS.contains(&text) && !PLACES.contains(&text);
            if !(item || joins || word.comma || is_noun(text) || describes) {
                return false;
            }
            item = joins;
        }
        false
    }

    /// The words of the same sentence before this one, the last first.
    fn before(&self, at: usize) -> impl Iterator<Item = (usize, &Word)> {
        let sentence = self.words.get(at).map(|word| word.sentence);
        let before = self.words.iter().enumerate().take(at).rev();
        before.take_while(move |(_, word)| Some(word.sentence) == sentence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_calls_by_name_what_it_says_it_is_or_orders_something_done_to() {
        let calls = |goal: &str, name: &str| {
            let nouns = ["shelf", "branch", "book", "books"].map(String::from).into();
            let intent = Intent {
                strong: ["restock".to_owned()].into(),
                weak: ["clear".to_owned()].into(),
                objects: ["shelf".to_owned()].into(),
            };
            ParsedGoal::of(goal).calls(name, &nouns, &intent)
        };
        for (goal, name) in [
            ("Tidy the shelf atl", "atl"),
            ("Look at the harbour branch", "harbour"),
            ("Look into the branch called old town", "old town"),
            ("Restock atl and nov", "nov"),
            ("Please restock the atl, the nov and poe", "poe"),
            ("Clear atl in harbour", "atl"),
        ] {
            assert!(calls(goal, name), "{goal}: {name}");
        }
        for (goal, name) in [
            ("Clear the books that are old", "books"),
            ("Clear the books that are old", "old"),
            ("Restock what the harbour needs", "needs"),
            ("Restock atl. Then go to harbour", "harbour"),
            ("Never restock atl", "atl"),
            ("Tell me about the weather and restock it", "weather"),
            ("Look at the shelf, then write", "then"),
            ("Restock my list", "list"),
            ("Restock atl copies", "atl"),
            ("Clear the atl books", "atl"),
            ("Clear the books in harbour", "harbour"),
        ] {
            assert!(!calls(goal, name), "{goal}: {name}");
        }
    }
}
