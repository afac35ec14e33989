//! What a goal asks for: verbs that order, and whether it hands the decision over.

use super::words::ORDER_BEFORE;
use super::{ParsedGoal, canon};
use crate::define::catalogue::flow::Intent;
use serde::{Deserialize, Serialize};

/// Match of a goal with the intent of an action: how far it asks for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "asks")]
pub enum IntentMatch {
    /// With a verb that asks for nothing else.
    Strongly {
        /// The verb.
        verb: String,
    },
    /// With a verb and what it acts on.
    Weakly {
        /// The verb.
        verb: String,
        /// The noun, or nothing if it names the destination.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        object: Option<String>,
    },
    /// It does not.
    No,
}

impl ParsedGoal {
    /// Whether the goal asks for an action with these words. `destination`: it names where the action goes.
    pub fn asks(&self, intent: &Intent, destination: bool) -> IntentMatch {
        let mut weak = None;
        for (i, word) in self.words.iter().enumerate() {
            if !self.orders(i, intent) {
                continue;
            }
            if intent.strong.contains(&word.text) {
                return IntentMatch::Strongly { verb: word.text.clone() };
            }
            weak = weak.or_else(|| Some((word.text.clone(), self.object_near(i, intent)?)));
        }
        match weak {
            Some((verb, object)) => IntentMatch::Weakly { verb, object: Some(object) },
            None if destination => {
                let verb = self
                    .words
                    .iter()
                    .enumerate()
                    .find(|(i, w)| !w.negated && intent.weak.contains(&w.text) && self.is_order(*i));
                verb.map_or(IntentMatch::No, |(_, w)| IntentMatch::Weakly {
                    verb: w.text.clone(),
                    object: None,
                })
            }
            None => IntentMatch::No,
        }
    }

    /// Whether the word at this place orders an action with these words.
    pub(super) fn orders(&self, at: usize, intent: &Intent) -> bool {
        self.words.get(at).is_some_and(|word| {
            let verb = intent.strong.contains(&word.text) || intent.weak.contains(&word.text);
            verb && !word.negated && self.is_order(at)
        })
    }

    /// The noun that the order at this place is about, in its own sentence.
    fn object_near(&self, verb: usize, intent: &Intent) -> Option<String> {
        // As the goal writes it: "files" says that there are several.
        let is = |text: &str| {
            let singular = text.strip_suffix('s').unwrap_or(text);
            let known = intent
                .objects
                .iter()
                .any(|o| o == text || o == singular || o.strip_suffix('s') == Some(text));
            known.then(|| text.to_owned())
        };
        // A verb that is its own object: "email Bob".
        let own = self.words.get(verb).and_then(|w| is(&w.text));
        let after = self.words.iter().skip(verb + 1).take(24).find_map(|w| is(&w.text));
        let before = || self.words.iter().take(verb).rev().take(24).find_map(|w| is(&w.text));
        own.or(after).or_else(before)
    }

    /// Whether the word at this place gives an order: it begins a clause, or stands behind a word that introduces one. A verb
    /// anywhere else tells something ("mails go out", "he can pick it up"), or is none ("the customer record").
    pub(super) fn is_order(&self, at: usize) -> bool {
        let Some(word) = self.words.get(at).filter(|word| !word.quoted) else { return false };
        word.opens || self.is_introduced(at)
    }

    fn is_introduced(&self, at: usize) -> bool {
        let word = |back: usize| at.checked_sub(back).and_then(|i| self.words.get(i));
        let text = |back: usize| word(back).map_or("", |word| word.text.as_str());
        let ends = |back: usize| word(back).is_some_and(|word| word.comma);
        match text(1) {
            "" => false,
            // "Anna has to pay", "how to pay".
            "to" => !(TOLD_BEFORE_TO.contains(&text(2)) || (text(2) == "have" && is_told_of(text(3)))),
            // "The tenant should pay" says what somebody else does.
            "must" | "should" => matches!(text(2), "i" | "we" | "you"),
            "will" => text(2) == "you",
            // "Did you pay?", "the mail that you send".
            "you" => ends(2) || word(1).is_some_and(|you| you.opens) || MAY.contains(&text(2)),
            before if ORDER_BEFORE.contains(&before) => true,
            before if FRONTING.contains(&before) => word(1).is_some_and(|word| word.opens),
            _ => false,
        }
    }
}

/// What stands before "to" where somebody else does it, or nobody.
const TOLD_BEFORE_TO: &[&str] = &[
    "able", "going", "had", "has", "how", "needed", "needs", "used", "wanted", "wants", "what", "when",
    "where", "whether", "which", "who", "whom", "whose",
];
/// What asks somebody for something, before "you".
const MAY: &[&str] = &["can", "could", "may", "might", "must", "shall", "should", "will", "would"];
/// What may open a clause before its verb.
const FRONTING: &[&str] = &[
    "again",
    "always",
    "but",
    "hey",
    "hi",
    "instead",
    "maybe",
    "ok",
    "okay",
    "otherwise",
    "perhaps",
    "pls",
    "quickly",
    "so",
    "therefore",
];

/// Who does it, where it is told.
fn is_told_of(word: &str) -> bool {
    matches!(word, "people" | "they" | "who" | "that" | "which")
}

/// Whether the goal hands the decision over to a text that will be read.
pub(super) fn delegates(goal: &str) -> bool {
    let words: Vec<String> = goal.split_whitespace().map(canon::bare).filter(|w| !w.is_empty()).collect();
    const ACTS: &[&str] = &[
        "actions",
        "instructions",
        "tasks",
        "steps",
        "todo",
        "todos",
        "task",
        "instruction",
        "action",
        "asks",
        "requests",
    ];
    const FROM: &[&str] =
        &["in", "from", "of", "on", "by", "me", "listed", "described", "specified", "mentioned", "given"];
    const DO: &[&str] =
        &["do", "follow", "perform", "complete", "execute", "carry", "implement", "handle", "take", "finish"];
    words.iter().enumerate().any(|(i, word)| {
        let near = |list: &[&str], from: usize, to: usize| {
            words.iter().skip(from).take(to.saturating_sub(from)).any(|w| list.contains(&w.as_str()))
        };
        // "The following tasks" stand in the goal itself.
        let elsewhere = !near(&["following"], i.saturating_sub(3), i);
        let acts = elsewhere
            && ACTS.contains(&word.as_str())
            && near(DO, i.saturating_sub(6), i)
            && near(FROM, i + 1, i + 4);
        // "Read the file and follow the instructions": they can only be those that are read.
        let follows = matches!(word.as_str(), "follow" | "obey" | "heed")
            && near(&["the", "its", "these", "those", "their", "his", "her", "any", "all"], i + 1, i + 2)
            && near(&["instructions", "instruction", "steps", "orders", "directions"], i + 2, i + 4);
        let says = DO.contains(&word.as_str())
            && near(&["what", "whatever", "everything", "as"], i + 1, i + 3)
            && near(
                &["says", "say", "asks", "ask", "tells", "told", "said", "requests", "wants"],
                i + 2,
                i + 9,
            );
        acts || follows || says || refers(&words, i)
    })
}

/// Whether the goal refers, at this word, to what stands somewhere: "the way the runbook says", "he wrote where", "they stand
/// in the list".
fn refers(words: &[String], at: usize) -> bool {
    const SAYS: &[&str] = &[
        "asked",
        "asks",
        "describes",
        "gave",
        "gives",
        "lists",
        "mailed",
        "named",
        "names",
        "noted",
        "said",
        "say",
        "says",
        "sent",
        "stand",
        "stands",
        "tells",
        "told",
        "wants",
        "wishes",
        "writes",
        "written",
        "wrote",
    ];
    const WHAT: &[&str] = &["as", "how", "what", "whatever", "where", "which", "who", "whom", "way"];
    const WHERE: &[&str] = &["in", "on", "how", "what", "where", "which", "who", "whom"];
    const SPOKEN: usize = 8;
    let Some(word) = words.get(at).map(String::as_str) else { return false };
    let says = |word: &String| SAYS.contains(&word.as_str());
    let asked = WHAT.contains(&word) && words.iter().skip(at + 2).take(SPOKEN).any(says);
    let stands =
        SAYS.contains(&word) && words.iter().skip(at + 1).take(2).any(|next| WHERE.contains(&next.as_str()));
    // "Tell me what" and "say where" ask the agent to speak.
    let to_me = matches!(word, "tells" | "say") && at == 0;
    (asked || stands) && !to_me
}
