//! Whether a goal is English, the only language that is read. A goal of which any part is not cannot be known: its other
//! sentence may forbid what the English one asks for, and a word that looks like an English order may be none.
//!
//! Said by words that English does not have, by letters, and by the want of any English word. What stands in quotation
//! marks is somebody's text and may be in any language, and names may come from everywhere.

use super::ParsedGoal;
use super::words::Word;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

/// English words that the languages around it do not write alike.
static ENGLISH: LazyLock<BTreeSet<&str>> =
    LazyLock::new(|| include_str!("language/english.txt").split_whitespace().collect());
/// English words that some of them do write alike: two of them say as much as one of the others.
static ALIKE: LazyLock<BTreeSet<&str>> =
    LazyLock::new(|| include_str!("language/alike.txt").split_whitespace().collect());
/// English verbs that others write alike: they show that it is English at the beginning of a sentence only.
static OPENERS: LazyLock<BTreeSet<&str>> =
    LazyLock::new(|| include_str!("language/openers.txt").split_whitespace().collect());
/// Words of other languages that are none of English.
static FOREIGN: LazyLock<BTreeMap<&str, Says>> = LazyLock::new(|| {
    let mut says = Says::Certain;
    let mut words = BTreeMap::new();
    for line in include_str!("language/foreign.txt").lines() {
        says = match line {
            "# Hints" => Says::Hint,
            "# Names" => Says::Particle,
            _ if line.starts_with('#') => Says::Certain,
            // What is a part of names in one language is one in all of them.
            _ => {
                words.extend(line.split_whitespace().map(|word| (word, says)));
                says
            }
        };
    }
    words
});

/// What a word says about the language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Says {
    /// Only another one has it.
    Certain,
    /// It may be English, too, seldom.
    Hint,
    /// The same, and before a name it is a part of it: "van Beethoven".
    Particle,
}

/// What a word says that names may have, too, or a letter; and a word that more than one language has.
const HINT: u32 = 1;
/// What a word says that only one language has; so much makes a sentence English, and a goal another language.
const CERTAIN: u32 = 2;
/// So much English makes one hint a name.
const ENGLISH_MIN: u32 = 2 * CERTAIN;
/// A sentence of so many words has an English one if it is English.
const SENTENCE_MIN: usize = 3;
/// A goal of so many words has.
const GOAL_MIN: usize = 2;

/// English words with other letters.
const LOANS: &[&str] = &[
    "brûlée",
    "café",
    "cafés",
    "cliché",
    "crème",
    "crêpe",
    "crêpes",
    "décor",
    "déjà",
    "entrée",
    "exposé",
    "façade",
    "fiancé",
    "fiancée",
    "jalapeño",
    "matinée",
    "naïve",
    "née",
    "piñata",
    "protégé",
    "purée",
    "rosé",
    "résumé",
    "résumés",
    "sauté",
    "soirée",
    "touché",
    "vis-à-vis",
    "voilà",
    "à",
    "über",
];
/// What joins two names of one house.
const JOINING: &[&str] = &["e", "et", "och", "og", "und", "y"];
/// What stands before an apostrophe in other languages.
const ELIDED: &[&str] = &[
    "all", "c", "d", "dell", "j", "jusqu", "l", "lorsqu", "n", "nell", "puisqu", "qu", "quell", "s", "sull",
    "t",
];
/// What may follow such a letter in English: "c'mon", "d'you", "'t", "s'more".
const ENGLISH_ELIDED: &[&str] = &["ed", "ing", "know", "mon", "mores", "more", "s", "t", "was", "ya", "you"];

/// A word of the user's own, with what stands around it in its sentence.
struct Own<'a> {
    word: &'a Word,
    begins: bool,
    /// Written as a name is: with a capital that it does not have from its place.
    is_name: bool,
}

impl ParsedGoal {
    /// Whether all of it is English, as far as it is the user's own words.
    pub(super) fn is_english(&self, text: &str) -> bool {
        let own = || self.words.iter().filter(|word| !word.quoted && !is_code(&word.text));
        // Where every letter is a capital, no word is a name by it.
        let shouts = !text.contains(char::is_lowercase);
        let words: Vec<Own<'_>> = own()
            .map(|word| {
                let begins = self.words.get(word.sentence).is_some_and(|first| first.at == word.at);
                Own { word, begins, is_name: word.capital && !begins && !shouts }
            })
            .collect();
        let english: u32 = words.iter().map(Own::english).sum();
        if words.iter().any(|own| !is_latin(&own.word.text) && (!own.is_name || english < ENGLISH_MIN)) {
            return false;
        }
        let foreign: u32 = (0..words.len()).map(|at| foreign(&words, at)).sum();
        let by_words = foreign >= CERTAIN || (foreign > 0 && english < ENGLISH_MIN);
        let sentences = words.chunk_by(|a, b| a.word.sentence == b.word.sentence);
        !by_words
            && !is_silent(&words, GOAL_MIN)
            && !sentences.into_iter().any(|sentence| {
                // It may begin with a name.
                let rest = sentence.iter().filter(|own| !(own.begins && own.word.capital));
                rest.filter(|own| own.is_plain()).count() >= SENTENCE_MIN && is_silent(sentence, SENTENCE_MIN)
            })
    }
}

impl Own<'_> {
    /// How much it says that this is English.
    fn english(&self) -> u32 {
        match self.word.text.replace('’', "'").as_str() {
            text if ENGLISH.contains(text) || (self.begins && OPENERS.contains(text)) => CERTAIN,
            text if ALIKE.contains(text) => HINT,
            _ => 0,
        }
    }

    /// No name, and long enough to be a word of some language.
    fn is_plain(&self) -> bool {
        self.word.text.chars().count() >= 2 && !self.is_name
    }
}

/// Whether so many words are there, and none of them says that it is English.
fn is_silent(words: &[Own<'_>], least: usize) -> bool {
    let plain = words.iter().filter(|own| own.is_plain()).count();
    plain >= least && words.iter().map(Own::english).sum::<u32>() < CERTAIN
}

/// How much the word at this place says that this is another language.
fn foreign(words: &[Own<'_>], at: usize) -> u32 {
    let Some(own) = words.get(at) else { return 0 };
    let text = own.word.text.to_lowercase().replace('’', "'");
    let is_name = |other: Option<&Own<'_>>| {
        other.is_some_and(|other| other.is_name && other.word.sentence == own.word.sentence)
    };
    let (before, after) = (is_name(at.checked_sub(1).and_then(|i| words.get(i))), is_name(words.get(at + 1)));
    // "La Boqueria", "Charles de Gaulle", "Müller und Söhne".
    if own.is_name || (own.word.capital && after) || (before && after && JOINING.contains(&text.as_str())) {
        return 0;
    }
    match FOREIGN.get(text.as_str()) {
        Some(Says::Particle) if after => 0,
        Some(Says::Certain) => CERTAIN,
        Some(Says::Hint | Says::Particle) => HINT,
        None if is_elided(&text) => CERTAIN,
        None if text.contains(is_accented) && !LOANS.contains(&text.as_str()) => HINT,
        None => 0,
    }
}

/// Whether a word is no word of a language: a number, an address, an identifier, a path.
fn is_code(word: &str) -> bool {
    let joined =
        |c: char| c.is_ascii_digit() || matches!(c, '_' | '/' | '@' | '.' | ':' | '=' | '\\' | '#' | '$');
    (word.contains(joined) && is_latin(word)) || !word.contains(char::is_alphabetic)
}

fn is_elided(word: &str) -> bool {
    word.split_once(['\'', '’']).is_some_and(|(head, rest)| {
        ELIDED.contains(&head) && rest.len() >= 2 && !ENGLISH_ELIDED.contains(&rest)
    })
}

fn is_accented(c: char) -> bool {
    matches!(c, 'À'..='ʯ' | 'Ḁ'..='ỿ') && c.is_alphabetic()
}

/// Whether all its letters are Latin. A Greek letter by itself is a unit or a formula.
fn is_latin(word: &str) -> bool {
    let latin =
        |c: char| matches!(c, 'a'..='z' | 'A'..='Z' | 'ª' | 'µ' | 'º' | 'À'..='ʯ' | 'ʰ'..='˿' | 'Ḁ'..='ỿ');
    let greek = |c: char| matches!(c, 'Ͱ'..='Ͽ');
    let mut others = word.chars().filter(|c| c.is_alphabetic() && !latin(*c));
    match (others.next(), others.next()) {
        (None, _) => true,
        (Some(one), None) => greek(one),
        (Some(_), Some(_)) => false,
    }
}
