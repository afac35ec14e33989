//! Descriptions and titles, clause by clause.

use super::{ALWAYS, LINKS, NOUNS_IN_TEXT, SOMETIMES, is_half_a_noun, name_changes};
use aecl_kernel::provenance::canon::plain;

/// A longer text counts as one that says it changes something, in bytes: nobody reads it.
const TEXT_BYTES_MAX: usize = 64 << 10;

/// Of what a text speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    Tool,
    /// Of the tool, in a few words: "Pull Request".
    Title,
    Argument,
}

/// Verbs that arguments of reads are described with, and nouns: "Enable regular expressions", "Stage of the deal".
#[rustfmt::skip]
const OF_A_VIEW: [&str; 15] = [
    "apply", "clear", "configure", "confirm", "disable", "enable", "forward", "hide", "init", "initialize", "launch",
    "leave", "put", "stage", "trigger",
];
/// After these words a verb is a noun: "Update time".
#[rustfmt::skip]
pub(super) const HEADS: [&str; 19] = [
    "at", "count", "date", "dates", "id", "ids", "key", "kind", "name", "names", "number", "path", "state", "status",
    "time", "timestamp", "token", "type", "url",
];

/// The word of a description that says, of the tool itself, that it changes something.
pub(in super::super) fn text_changes(text: &str) -> Option<String> {
    says(text, Of::Tool)
}

/// The word of a description that says, of an argument, that what is given makes a change.
pub(super) fn argument_text_changes(text: &str) -> Option<String> {
    says(text, Of::Argument)
}

/// The word of a title that says so: a sentence, or a name like `GetAndDelete`.
pub(in super::super) fn title_changes(title: &str) -> Option<String> {
    if title.len() <= TEXT_BYTES_MAX && !title.contains(char::is_whitespace) {
        return is_foreign(title).or_else(|| name_changes(title));
    }
    says(title, Of::Title)
}

/// Why a text is not compared with words.
pub(super) fn is_foreign(text: &str) -> Option<String> {
    plain(text).is_none().then(|| "a word in letters of two scripts".into())
}

fn says(text: &str, of: Of) -> Option<String> {
    if text.len() > TEXT_BYTES_MAX {
        return Some(format!("more than {TEXT_BYTES_MAX} bytes"));
    }
    let Some(plain) = plain(text) else { return is_foreign(text) };
    plain
        .split(['.', '!', '?', ';', ':', '\n', '\r', '•', '*', '(', ')', '—', '–'])
        .find_map(|sentence| clause_changes(&sentence_words(sentence), of))
}

/// Words of a sentence, in lower case; a comma is a word of its own, since what follows may be a verb.
pub(super) fn sentence_words(sentence: &str) -> Vec<String> {
    let mut out = Vec::new();
    for piece in sentence.split_whitespace() {
        if piece == "&" {
            out.push("and".into());
        }
        let bare = piece.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
        if !bare.is_empty() {
            // "create/update" are two verbs; "e-mail" and "don't" are one word.
            out.extend(bare.split('/').filter(|w| !w.is_empty()).map(str::to_owned));
        }
        if piece.ends_with(',') {
            out.push(",".into());
        }
    }
    out
}

fn clause_changes(words: &[String], of: Of) -> Option<String> {
    // What is said about other moments is not said about this tool. An argument is described by what it makes happen.
    const ELSEWHERE: [&str; 9] =
        ["before", "after", "once", "unless", "until", "while", "if", "when", "whether"];
    const NEGATIONS: [&str; 9] =
        ["not", "never", "without", "cannot", "no", "can't", "don't", "doesn't", "won't"];
    const SUBJECTS: [&str; 8] = ["it", "this", "tool", "will", "also", "automatically", "can", "immediately"];
    const WISHES: [&str; 9] = ["how", "user", "want", "wants", "need", "needs", "wish", "trying", "have"];
    let elsewhere = match of {
        Of::Tool | Of::Title => &ELSEWHERE[..],
        Of::Argument => &ELSEWHERE[..6],
    };
    let at = |i: usize| words.get(i).map_or("", String::as_str);
    if elsewhere.contains(&at(0)) {
        return None;
    }
    let has_condition = of == Of::Argument && ["if", "when"].contains(&at(0));
    for (i, word) in words.iter().enumerate() {
        let (before, earlier) = match i {
            0 => ("", ""),
            1 => (at(0), ""),
            _ => (at(i - 1), at(i - 2)),
        };
        let near = words.get(i.saturating_sub(4)..i).unwrap_or_default();
        if near.iter().any(|w| NEGATIONS.contains(&w.as_str()) || elsewhere.contains(&w.as_str())) {
            continue;
        }
        let follows_condition = has_condition && before == ",";
        let listed = LINKS.contains(&before) || before == ",";
        let wished = before == "to" && WISHES.contains(&earlier);
        let begins = i == 0 || (listed && !wished) || SUBJECTS.contains(&before);
        let verb = begins.then(|| base(word)).flatten().filter(|verb| !NOUNS_IN_TEXT.contains(verb));
        let verb = verb.filter(|_| !is_half_a_noun(word, at(i + 1)));
        // A list of things looks like a list of verbs: "issues, comments, and labels" has only plurals that are both.
        let is_listed = before == "," && !follows_condition;
        let verb = verb.filter(|verb| ALWAYS.contains(verb) || i == 0 || *verb == word || !is_listed);
        let has_object = is_followed_by_object(at(i + 1));
        let verb = verb.filter(|verb| match of {
            Of::Tool => {
                ALWAYS.contains(verb) || i == 0 || before == "to" || SUBJECTS.contains(&before) || has_object
            }
            Of::Title => ALWAYS.contains(verb) || i > 0 || *verb != word,
            Of::Argument if OF_A_VIEW.contains(verb) => false,
            // "Update time", but "Delete the message" and "Marks them as read".
            Of::Argument if ALWAYS.contains(verb) => *verb != word || !HEADS.contains(&at(i + 1)),
            Of::Argument => follows_condition || has_object && (*verb != word || i > 0) && before != "to",
        });
        let verb = verb.filter(|verb| *verb != "execute" || !reads_data(words, i));
        let verb = verb.or_else(|| done(word, before, earlier, of, has_condition));
        let verb = verb.or_else(|| noun(word, before, at(i + 1), near));
        if let Some(verb) = verb {
            return Some(verb.to_owned());
        }
    }
    None
}

/// The verb of what is said to be done: "the message is deleted", "will be removed".
fn done(word: &str, before: &str, earlier: &str, of: Of, has_condition: bool) -> Option<&'static str> {
    const BEINGS: [&str; 4] = ["is", "are", "be", "gets"];
    const RELATIVES: [&str; 6] = ["that", "which", "who", "has", "have", "been"];
    const SUBJECTS: [&str; 8] = ["it", "this", "tool", "will", "also", "automatically", "can", "immediately"];
    let is_done = (BEINGS.contains(&before) && !RELATIVES.contains(&earlier))
        || (SUBJECTS.contains(&before) && BEINGS.contains(&earlier));
    // "Whether it is archived" describes what is looked for.
    let is_meant = of != Of::Argument || has_condition || (before == "be" && earlier == "will");
    (is_done && is_meant).then(|| participle(word)).flatten()
}

/// The verb of a noun that happens: "Deletion happens afterwards", "by deleting them".
fn noun(word: &str, before: &str, after: &str, near: &[String]) -> Option<&'static str> {
    const HAPPENS: [&str; 8] =
        ["happens", "happen", "occurs", "occur", "follows", "follow", "takes", "afterwards"];
    const CAUSES: [&str; 7] = ["performs", "perform", "causes", "cause", "triggers", "does", "forces"];
    const JOINS: [&str; 5] = ["and", "then", "by", "also", ","];
    const PURPOSES: [&str; 9] = ["for", "of", "about", "on", "when", "from", "in", "instead", "are"];
    let happens = HAPPENS.contains(&after) || CAUSES.contains(&before);
    if let Some(verb) = happens.then(|| nominal(word).or_else(|| gerund(word))).flatten() {
        return Some(verb);
    }
    let is_joined = JOINS.contains(&before) && !near.iter().any(|word| PURPOSES.contains(&word.as_str()));
    (is_joined || (before.is_empty() && is_followed_by_object(after))).then(|| gerund(word)).flatten()
}

/// Whether what is executed is said to be a reading of data: "execute a SELECT query", and of an argument "SELECT query to
/// execute". The query itself is read when it comes.
fn reads_data(words: &[String], at: usize) -> bool {
    let after = words.iter().skip(at + 1).take(3);
    let is_purpose = at.checked_sub(1).and_then(|before| words.get(before)).is_some_and(|word| word == "to");
    let before = words.iter().take(at).rev().take(if is_purpose { 4 } else { 0 });
    after.chain(before).any(|word| ["select", "read-only", "readonly"].contains(&word.as_str()))
}

/// Whether what follows makes the word before it a verb: "and marks **them**", "and post **a** comment".
pub(super) fn is_followed_by_object(word: &str) -> bool {
    ["a", "an", "the", "it", "them", "its", "their", "this", "these", "all", "each", "every", "your", "any"]
        .contains(&word)
}

/// The verb of `delete` and `deletes`.
pub(super) fn base(word: &str) -> Option<&'static str> {
    let known = |w: &str| ALWAYS.iter().chain(SOMETIMES).find(|verb| **verb == w).copied();
    known(word)
        .or_else(|| known(word.strip_suffix('s')?))
        .or_else(|| known(word.strip_suffix("es")?))
        .or_else(|| known(&format!("{}y", word.strip_suffix("ies")?)))
}

/// The verb of `deleted`, `marked` and `modified`.
fn participle(word: &str) -> Option<&'static str> {
    let known = |w: &str| {
        ALWAYS.iter().chain(&["mark", "move", "close", "archive", "store"]).find(|v| **v == w).copied()
    };
    known(word.strip_suffix('d')?)
        .or_else(|| known(word.strip_suffix("ed")?))
        .or_else(|| known(&format!("{}y", word.strip_suffix("ied")?)))
}

/// The verb of `deleting`, `writing` and `dropping`.
fn gerund(word: &str) -> Option<&'static str> {
    let known = |w: &str| ALWAYS.iter().find(|verb| **verb == w).copied();
    let stem = word.strip_suffix("ing")?;
    let doubled = stem.chars().last().and_then(|last| stem.strip_suffix(last)).filter(|s| s.len() > 1);
    known(stem).or_else(|| known(&format!("{stem}e"))).or_else(|| known(doubled?))
}

/// The verb of `deletion`, `insertion`, `installation`, `modification`, `removal` and `erasure`.
fn nominal(word: &str) -> Option<&'static str> {
    let known = |w: &str| ALWAYS.iter().find(|verb| **verb == w).copied();
    let of = |end: &str, verb_end: &str| {
        let stem = word.strip_suffix('s').unwrap_or(word).strip_suffix(end)?;
        known(&format!("{stem}{verb_end}"))
    };
    let ends = [
        ("ion", "e"),
        ("ion", ""),
        ("ation", ""),
        ("ation", "e"),
        ("ification", "ify"),
        ("al", "e"),
        ("ure", "e"),
    ];
    ends.iter()
        .find_map(|(end, verb_end)| of(end, verb_end))
        .or_else(|| ["destruction", "overwriting"].contains(&word).then_some("destroy"))
}
