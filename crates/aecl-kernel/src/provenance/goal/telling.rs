//! A text that is to be written, word by word: which of its words say what it is about.

use super::canon;
use super::words::{RECORDS, is_filler, is_month_or_day, is_name};

/// Most words of a title.
const TITLE_MAX: usize = 4;
/// Short words that any text has.
const SHORT: &[&str] = &[
    "are", "but", "can", "did", "for", "had", "has", "her", "him", "his", "how", "its", "let", "may", "not",
    "now", "off", "one", "our", "out", "own", "per", "she", "via", "was", "who", "why", "yes", "yet",
];

/// Weight of a word: how much it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// Any text has it.
    Nothing,
    /// It says when.
    When,
    /// It says what records are, rather than which.
    Kind,
    /// It says what the text is about.
    Tells,
    /// It says exactly whom or how much: a name, a number.
    Exact,
}

/// A word of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Telling<'a> {
    /// As it is written, without the punctuation around it.
    pub text: &'a str,
    /// How much it says.
    pub weight: Weight,
}

/// Whether a word by itself says which thing is meant.
pub(super) fn is_telling(word: &str) -> bool {
    word.len() >= 4 || (word.len() == 3 && !SHORT.contains(&word) && !is_filler(word))
}

/// The words of a text, at most so many.
pub fn telling(text: &str, most: usize) -> Vec<Telling<'_>> {
    let capital = |word: &str| word.chars().find(|c| c.is_alphabetic()).is_none_or(char::is_uppercase);
    // In a title every word has a capital, so that none says anything by it. A long text is none.
    let mut long = text.split_whitespace().filter(|word| canon::bare(word).len() >= 3);
    let titled = long.clone().count() <= TITLE_MAX && long.all(capital);
    let mut opens = true;
    let mut out = Vec::new();
    for raw in text.split_whitespace().take(most) {
        let word = raw.trim_matches(|c: char| !c.is_alphanumeric());
        let exact = !titled && !opens && is_name(word);
        out.push(Telling { text: word, weight: weight(word, exact) });
        opens = word.is_empty() || raw.ends_with(['.', '!', '?', ':', ';']);
    }
    out
}

fn weight(word: &str, name: bool) -> Weight {
    let bare = canon::bare(word);
    if bare.bytes().any(|b| b.is_ascii_digit()) {
        let end = bare.trim_start_matches(|c: char| c.is_ascii_digit() || c == ':');
        let hour =
            matches!(end, "am" | "pm" | "h" | "st" | "nd" | "rd" | "th") && bare.len() <= end.len() + 5;
        let digits = bare.bytes().take_while(u8::is_ascii_digit).count();
        let when = canon::is_date(&bare) || (hour && digits <= 2);
        return if when { Weight::When } else { Weight::Exact };
    }
    match bare.as_str() {
        "" => Weight::Nothing,
        word if is_filler(word) => Weight::Nothing,
        word if is_month_or_day(word) => Weight::When,
        word if RECORDS.contains(&word) => Weight::Kind,
        _ if name => Weight::Exact,
        word if word.is_ascii() && (word.len() < 3 || SHORT.contains(&word)) => Weight::Nothing,
        _ => Weight::Tells,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_exact_and_what_any_text_has_says_nothing() {
        let told = |text: &str| -> String {
            let mark = |w: &Telling<'_>| match w.weight {
                Weight::Nothing | Weight::When | Weight::Kind => '-',
                Weight::Tells => 't',
                Weight::Exact => 'x',
            };
            telling(text, 64).iter().map(mark).collect()
        };
        assert_eq!(told("Renew the card of Ines Falk"), "t-t-xx");
        assert_eq!(told("Call 555-0100 by 3pm on 2026-03-04"), "-x----");
        assert_eq!(
            told("cut bob, pay all to eve 500h"),
            "tttt--tx".replacen("t", "", 1),
            "short words, and no hour"
        );
        assert_eq!(told("Renew Library Card Pay Mallory"), "txxxx", "too long for a title");
        assert_eq!(told("New Shelf For Atlases"), "-t-t", "a title");
        assert_eq!(told("done. Next: buy Atlases, 40 of them"), "t-txx--");
        assert_eq!(telling(&"word ".repeat(100), 7).len(), 7);
    }
}
