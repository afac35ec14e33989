//! Numbers: amounts and counts, and what is the number of something else.
//!
//! A number proves a number where the goal may mean it. It does not where it is part of a date; where it numbers what
//! stands before it ("room 17"); and where it counts what there is ("we had 1200 guests", "the 12 suppliers")
//! rather than what is to be done ("order 12 chairs"). Whoever says a currency means money.

use super::super::canon;
use super::super::reference::is_money;
use super::ParsedGoal;
use super::words::{DETERMINERS, MONTHS, Word};

/// Words that end as several do, and are none; and money.
const NOT_SEVERAL: &[&str] = &[
    "across", "always", "as", "bucks", "cents", "crowns", "dollars", "euros", "francs", "his", "is", "its",
    "less", "minus", "pence", "pesos", "plus", "pounds", "quid", "rupees", "this", "thus", "times",
    "towards", "us", "versus", "was", "yes",
];
/// Several, without an `s`.
const SEVERAL: &[&str] = &["children", "feet", "kids", "men", "people", "staff", "women"];
/// Who or what a sentence speaks of when it tells something.
const SUBJECTS: &[&str] = &[
    "a", "an", "he", "her", "his", "i", "it", "its", "my", "our", "she", "that", "the", "their", "there",
    "these", "they", "this", "those", "we",
];
/// With these, it tells what is wanted.
const WANTS: &[&str] = &[
    "book", "buy", "get", "like", "must", "need", "needs", "order", "please", "shall", "should", "want",
    "wants",
];
/// Most words between what is wanted and its number.
const WANTED_WITHIN: usize = 24;
/// What stands before the number of what there is.
const HAVING: &[&str] = &["are", "got", "had", "has", "have", "is", "of", "was", "were", "with"];

impl ParsedGoal {
    /// Whether the number at this place of the text is no amount and no count of what is to be done.
    pub(super) fn is_of_something_else(&self, at: usize, digits: &str, token: &str) -> bool {
        let place = self.words.partition_point(|word| word.end <= at);
        let word = |i: Option<usize>| i.and_then(|i| self.words.get(i));
        let start = self.words.get(place).map_or(0, |word| word.sentence);
        let own = |i: Option<usize>| word(i).filter(|word| word.sentence == start);
        let text = |word: Option<&Word>| word.map_or(String::new(), |word| word.text.clone());
        let before = text(own(place.checked_sub(1)));
        let ends = own(Some(place)).is_some_and(|word| word.comma);
        let after = if ends { String::new() } else { text(own(Some(place + 1))) };
        if is_money(token, &after) {
            return false;
        }
        let year = is_year(digits) && determines(&before) && after.starts_with(|c: char| c.is_alphabetic());
        if year {
            return true;
        }
        let several = SEVERAL.contains(&after.as_str())
            || (after.len() > 3 && after.ends_with('s') && !NOT_SEVERAL.contains(&after.as_str()));
        several && (determines(&before) || HAVING.contains(&before.as_str()) || self.tells(start, place))
    }

    /// Whether the sentence tells something before this word, and does not say what is wanted.
    fn tells(&self, start: usize, upto: usize) -> bool {
        let words = self.words.get(start..upto).unwrap_or_default();
        let subject = words.first().is_some_and(|word| SUBJECTS.contains(&word.text.as_str()));
        subject && !words.iter().rev().take(WANTED_WITHIN).any(|word| WANTS.contains(&word.text.as_str()))
    }
}

fn determines(word: &str) -> bool {
    DETERMINERS.contains(&word)
        && !matches!(word, "for" | "by" | "in" | "from" | "any" | "some" | "a" | "an" | "new")
}

fn is_year(digits: &str) -> bool {
    digits.len() == 4 && (digits.starts_with("19") || digits.starts_with("20"))
}

/// Whether a number is part of a date or time: a day, a year, an hour.
pub(super) fn is_calendar(digits: &str, before: &str, after: &str) -> bool {
    const UNITS: [&str; 14] = [
        "am", "pm", "o'clock", "hour", "hours", "minutes", "minute", "day", "days", "week", "weeks", "month",
        "months", "year",
    ];
    let month = |w: &str| MONTHS.iter().any(|m| *m == w || (w.len() >= 3 && m.starts_with(w)));
    month(before)
        || month(after)
        || UNITS.contains(&after)
        || (is_year(digits) && matches!(before, "in" | "of" | "since" | "year" | "until" | ""))
}

/// A number without the sign of its currency.
pub(super) fn digits_of(token: &str) -> Option<&str> {
    let digits = token.trim_start_matches(['#', '$', '€', '£']).trim_end_matches(['$', '€', '£']);
    let numeric = digits.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b','));
    (numeric && !digits.is_empty() && !canon::is_date(token)).then_some(digits)
}
