//! The words of a goal, and the kinds of words that any goal has.

use super::super::reference::is_code;
use super::{ParsedGoal, canon};

/// Most words of a goal that are read; the gate accepts 16 KiB.
pub(super) const WORDS_MAX: usize = 4096;

/// A word of the goal.
#[derive(Debug, Clone, Default)]
pub(super) struct Word {
    /// Without punctuation, in ASCII lower case.
    pub(super) text: String,
    /// The first of a clause: what begins here is an order.
    pub(super) opens: bool,
    /// Begins with a capital.
    pub(super) capital: bool,
    /// The clause forbids.
    pub(super) negated: bool,
    /// It stands in quotation marks: it is spoken of, and orders nothing.
    pub(super) quoted: bool,
    /// A number or code, and no name.
    pub(super) code: bool,
    /// A comma follows.
    pub(super) comma: bool,
    /// The number of the first word of its sentence.
    pub(super) sentence: usize,
    /// Where it begins in the text, in bytes, and where it ends.
    pub(super) at: usize,
    pub(super) end: usize,
}

pub(super) const DETERMINERS: &[&str] = &[
    "the", "a", "an", "my", "your", "his", "her", "its", "our", "their", "this", "that", "these", "those",
    "any", "some", "last", "latest", "new", "next", "first", "unread", "every", "each", "all", "which", "of",
    "in", "from", "for", "by",
];
pub(super) const ORDER_BEFORE: &[&str] = &[
    "please",
    "and",
    "then",
    "to",
    "you",
    "also",
    "just",
    "or",
    "should",
    "must",
    "will",
    "let's",
    "afterwards",
    "finally",
    "now",
    "help",
    "immediately",
    "simply",
    "kindly",
    "directly",
];
pub(super) const PLURALS: &[&str] = &[
    "all",
    "each",
    "every",
    "both",
    "them",
    "these",
    "those",
    "several",
    "multiple",
    "many",
    "respectively",
    "two",
    "three",
    "four",
    "five",
    "six",
    "everyone",
    "everybody",
    "anyone",
    "others",
    "rest",
];

pub(super) const MONTHS: &[&str] = &[
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const WEEKDAYS: &[&str] = &["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
/// What records are, rather than which.
pub(super) const RECORDS: &[&str] = &[
    "account",
    "address",
    "appointment",
    "bill",
    "call",
    "channel",
    "contact",
    "customer",
    "document",
    "email",
    "entry",
    "event",
    "file",
    "invitation",
    "invoice",
    "item",
    "list",
    "mail",
    "meeting",
    "message",
    "note",
    "order",
    "payment",
    "person",
    "record",
    "request",
    "task",
    "ticket",
    "title",
    "transaction",
    "transfer",
    "update",
    "user",
];
/// Words that only join others.
const JOINING: &[&str] = &[
    "about", "after", "before", "have", "here", "into", "make", "onto", "than", "there", "until", "what",
    "when", "where", "with",
];

/// Words with a capital that name nobody: a goal has them for other reasons, and so has a stranger's title.
pub(super) fn is_month_or_day(word: &str) -> bool {
    MONTHS.contains(&word) || WEEKDAYS.contains(&word)
}

/// Whether a word is written as a name is.
pub(super) fn is_name(word: &str) -> bool {
    let bare = canon::bare(word);
    let capital = word.chars().next().is_some_and(char::is_uppercase) && word.chars().count() >= 3;
    capital && !is_filler(&bare) && !is_month_or_day(&bare)
}

/// Whether a word stands in goals whatever they are about.
pub(super) fn is_filler(word: &str) -> bool {
    [ORDER_BEFORE, DETERMINERS, PLURALS, JOINING].iter().any(|list| list.contains(&word))
}

impl ParsedGoal {
    pub(super) fn read_words(&mut self, text: &str) {
        let mut from = 0;
        for line in text.split_inclusive('\n') {
            let (mut start, mut opens) = (self.words.len(), true);
            for raw in line.split_inclusive(char::is_whitespace) {
                let at = from;
                from += raw.len();
                let raw = raw.trim_end();
                if self.words.len() >= WORDS_MAX {
                    break;
                }
                opens = self.read_word(raw, at, start, opens);
                // A sign ends a sentence at the end of a word only: `bob@example.com` and `98.70` are one.
                let bare = raw.trim_end_matches(['"', '”', '\'', '’', ')']);
                if bare.ends_with(['.', '!', '?', ';', ':']) {
                    self.negate(start);
                    (start, opens) = (self.words.len(), true);
                }
                opens |= raw.ends_with([',', '-', '–', '—', '(']) || is_bullet(raw);
            }
            self.negate(start);
        }
    }

    /// Whether what follows it still opens a clause, as it did: there was no word.
    fn read_word(&mut self, raw: &str, at: usize, sentence: usize, opens: bool) -> bool {
        let opens = opens || raw.starts_with('(');
        let text = canon::bare(raw);
        if text.is_empty() {
            return opens;
        }
        let first = raw.trim_start_matches(|c: char| !c.is_alphanumeric()).chars().next();
        let capital = first.is_some_and(char::is_uppercase);
        let code = is_code(raw.trim_matches(|c: char| !c.is_alphanumeric()));
        let comma = raw.trim_end_matches(['"', '”', '\'', '’', ')']).ends_with(',');
        let end = at + raw.len();
        let word =
            Word { text, opens, capital, negated: false, quoted: false, code, comma, sentence, at, end };
        self.words.push(word);
        false
    }
}

/// What stands before a clause in a list, and what leads to one: "1)", "->".
fn is_bullet(raw: &str) -> bool {
    let numbered = raw.strip_suffix(')').is_some_and(|mark| mark.len() <= 2 && !mark.contains('('));
    numbered || matches!(raw, "->" | "=>" | "→" | "•")
}

/// The words of a text without the punctuation around them, each with where it begins.
pub(super) fn tokens(text: &str) -> Vec<(usize, &str)> {
    let between = |c: char| {
        c.is_whitespace() || matches!(c, '"' | '“' | '”' | '`' | '(' | ')' | '<' | '>' | '[' | ']' | '|')
    };
    let marks = |c: char| matches!(c, '.' | ',' | ';' | ':' | '!' | '?' | '\'' | '‘' | '’' | '*');
    let mut at = 0;
    let places = text.split_inclusive(between).map(move |piece| {
        let start = at;
        at += piece.len();
        let whole = piece.trim_end_matches(between).trim_start_matches(|c: char| c != '.' && marks(c));
        // `./notes.txt`, `../notes.txt` and `.env` begin with a dot, and "...and" does not.
        let is_path = whole.starts_with("./") || whole.starts_with("../") || is_dot_file(whole);
        let head = if is_path { whole } else { whole.trim_start_matches(marks) };
        let skipped = piece.trim_end_matches(between).len() - head.len();
        (start + skipped, head.trim_end_matches(marks))
    });
    places.filter(|(_, token)| !token.is_empty()).take(WORDS_MAX).collect()
}

fn is_dot_file(text: &str) -> bool {
    text.strip_prefix('.').is_some_and(|name| name.starts_with(|c: char| c.is_ascii_alphabetic()))
}
