//! Sentences that forbid: what they name is not endorsed by them.

use super::{Reading, canon};

const NEGATIONS: &[&str] = &[
    "not", "never", "don't", "dont", "don’t", "without", "avoid", "except", "neither", "nor", "cannot",
    "can't", "won't", "no",
];

impl Reading {
    /// A clause with a negation endorses nothing from there on; "don't forget to" is none.
    pub(super) fn negate(&mut self, start: usize) {
        let mut negated = false;
        let mut before_forget = None;
        for i in start..self.words.len() {
            let Some(word) = self.words.get_mut(i) else { return };
            if word.text == "but" || word.text == "instead" || word.text == "only" {
                negated = false;
            }
            if NEGATIONS.contains(&word.text.as_str()) {
                negated = true;
                before_forget = Some(i);
            } else if matches!(word.text.as_str(), "forget" | "hesitate") && before_forget == i.checked_sub(1)
            {
                negated = false;
            }
            word.negated = negated;
        }
    }

    /// Whether a text stands in the goal only where it forbids.
    pub(super) fn is_forbidden(&self, text: &str) -> bool {
        let Some(phrase) = canon::phrase(text) else { return false };
        let wanted: Vec<&str> = phrase.split(' ').collect();
        let mut found = self
            .words
            .windows(wanted.len())
            .filter(|window| window.iter().zip(&wanted).all(|(word, wanted)| word.text == *wanted));
        found.next().is_some_and(|w| w.iter().any(|w| w.negated))
            && found.all(|w| w.iter().any(|w| w.negated))
    }
}
