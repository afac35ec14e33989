//! How a description begins. A verb that no list has is a change until somebody has looked: "Casts the vote." stands
//! behind a name that begins with `get`, too.

use super::text::{is_followed_by_object, sentence_words};
use super::{PARTICLES, READS};
use aecl_kernel::provenance::canon::plain;

/// Verbs that change nothing, beside those of names.
#[rustfmt::skip]
const READS_IN_TEXT: [&str; 19] = [
    "analyze", "browse", "calculate", "compare", "compute", "determine", "display", "enumerate", "examine", "inspect", "look",
    "preview", "provide", "query", "return", "see", "summarize", "validate", "verify",
];
/// What may stand before the verb.
const MANNERS: [&str; 12] = [
    "asynchronously",
    "directly",
    "efficiently",
    "fully",
    "optionally",
    "quickly",
    "recursively",
    "safely",
    "securely",
    "semantically",
    "simply",
    "to",
];
/// Ways to begin that say nothing yet.
const LEADS: [&[&str]; 13] = [
    &["a", "tool", "that"],
    &["a", "tool", "to"],
    &["allows", "you", "to"],
    &["can", "be", "used", "to"],
    &["helps", "you"],
    &["it"],
    &["lets", "you"],
    &["this", "endpoint"],
    &["this", "tool"],
    &["this", "function"],
    &["tool", "to"],
    &["use", "this", "tool", "to"],
    &["use", "this", "to"],
];
/// Headings under which a description says what the tool does.
const HEADINGS: [&str; 6] = ["about", "description", "function", "overview", "purpose", "summary"];
/// Things that are read, where no verb begins the sentence: "The current weather", "A list of users".
#[rustfmt::skip]
const THINGS: [&str; 17] = [
    "content", "contents", "count", "details", "history", "info", "information", "list", "metadata", "number", "overview",
    "result", "results", "statistics", "status", "summary", "weather",
];

/// Whether a description, if there is one, begins by saying that something is read, and names no verb beside it that
/// nobody knows.
pub(in super::super) fn text_reads(text: &str) -> bool {
    let Some(first) = opening(text) else { return false };
    first.is_empty() || clause_reads(&first)
}

/// Whether it begins with a verb with which names of reads begin, too. "Returns the list." may follow anything.
pub(super) fn text_reads_by_name(text: &str) -> bool {
    let first = opening(text).unwrap_or_default();
    without_leads(&first).first().and_then(|first| reading(first)).is_some_and(|verb| READS.contains(&verb))
}

/// The words of the first clause that says something. None, if letters of two scripts are mixed; no words, if nothing is
/// said at all.
fn opening(text: &str) -> Option<Vec<String>> {
    let plain = plain(text)?;
    let text = plain.trim();
    // "Notion | Retrieve a user": whose it is.
    let text = text.split_once(" | ").filter(|(who, _)| !who.contains(' ')).map_or(text, |(_, rest)| rest);
    let ends = ['.', '!', '?', ';', ':', '\n', '\r', '•', '*', '(', ')', '—', '–'];
    let mut clauses = text.split(ends).map(sentence_words);
    let first = clauses.find(|words| !words.is_empty() && !is_heading(words));
    // Headings alone say nothing that reads.
    first.or_else(|| Some(if text.is_empty() { Vec::new() } else { vec![text.to_owned()] }))
}

/// "Purpose:", and the number of what stands below.
fn is_heading(words: &[String]) -> bool {
    let [word] = words else { return false };
    HEADINGS.contains(&word.as_str()) || word.chars().all(char::is_numeric)
}

fn clause_reads(words: &[String]) -> bool {
    let words = without_leads(words);
    let Some(first) = words.first() else { return false };
    let begins = match reading(first) {
        // "Check out", "Check a guest in".
        Some("check") => {
            !words.get(1).into_iter().chain(words.last()).any(|word| PARTICLES.contains(&word.as_str()))
        }
        Some("look") => words.get(1).is_some_and(|next| ["up", "at", "for"].contains(&next.as_str())),
        // "Lists the item for sale".
        Some("list") => !words.windows(2).any(|two| two == ["for", "sale"] || two == ["for", "rent"]),
        // "Get rid of", "Gets all back to": what follows makes another verb.
        Some("get" | "find" | "show" | "return") => {
            let other = |word: &String| ["rid", "back"].contains(&word.as_str());
            let next = words.get(1).is_some_and(|next| ["off", "out", "down", "up"].contains(&next.as_str()));
            !next && !words.iter().any(other)
        }
        Some(_) => true,
        None => names_a_thing(words) || runs_a_query(words),
    };
    begins && !joins_the_unknown(words)
}

fn without_leads(words: &[String]) -> &[String] {
    let lead = LEADS
        .iter()
        .filter(|lead| words.iter().map(String::as_str).take(lead.len()).eq(lead.iter().copied()));
    let longest = lead.map(|lead| lead.len()).max().unwrap_or(0);
    let rest = words.get(longest..).unwrap_or_default();
    match rest.split_first() {
        Some((first, rest)) if MANNERS.contains(&first.as_str()) => rest,
        _ => rest,
    }
}

/// The verb of `list`, `lists` and `queries`, if it only reads.
fn reading(word: &str) -> Option<&'static str> {
    let known = |w: &str| READS.iter().chain(&READS_IN_TEXT).find(|verb| **verb == w).copied();
    known(word)
        .or_else(|| known(word.strip_suffix('s')?))
        .or_else(|| known(word.strip_suffix("es")?))
        .or_else(|| known(&format!("{}y", word.strip_suffix("ies")?)))
}

/// "The current weather of a city": an article, a thing that is read soon after it, and nobody who does something.
fn names_a_thing(words: &[String]) -> bool {
    let article = words.first().is_some_and(|word| ["a", "an", "the", "all"].contains(&word.as_str()));
    let thing = words.iter().take(4).any(|word| THINGS.contains(&word.as_str()));
    let doing =
        words.iter().any(|word| ["that", "which", "to", "will", "is", "are"].contains(&word.as_str()));
    article && thing && !doing
}

/// "Execute a SELECT query": what it is given is judged by itself.
fn runs_a_query(words: &[String]) -> bool {
    let words: Vec<&str> =
        words.iter().map(String::as_str).filter(|word| !["a", "an", "sql"].contains(word)).collect();
    let is_query = |word: &str| ["query", "queries", "statement", "statements"].contains(&word);
    match words.as_slice() {
        ["execute" | "executes" | "run" | "runs", "select" | "readonly" | "read-only", what, ..] => {
            is_query(what)
        }
        ["execute" | "executes" | "run" | "runs", "read", "only", what, ..] => is_query(what),
        _ => false,
    }
}

/// Whether another verb stands beside the first: "Pulls the code and checks it out", "searches for flights and holds
/// the seat".
fn joins_the_unknown(words: &[String]) -> bool {
    /// Neither verbs nor things.
    #[rustfmt::skip]
    const SMALL: [&str; 42] = [
        "a", "about", "across", "after", "all", "an", "any", "as", "at", "before", "both", "by", "each", "every", "for",
        "from", "how", "if", "in", "including", "into", "its", "of", "on", "optionally", "or", "over", "so", "than", "that",
        "the", "their", "then", "these", "this", "through", "to", "under", "using", "what", "where", "with",
    ];
    words.windows(3).any(|three| {
        let [link, verb, object] = three else { return false };
        let links = ["and", "or", "then", ",", "also"].contains(&link.as_str());
        links && !SMALL.contains(&verb.as_str()) && reading(verb).is_none() && is_followed_by_object(object)
    }) || words
        .windows(2)
        .any(|two| matches!(two, [word, next] if word == "it" && PARTICLES.contains(&next.as_str())))
}
