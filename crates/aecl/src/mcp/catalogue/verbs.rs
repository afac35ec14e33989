//! What a tool says of itself, read for the words of a change. `get_and_delete_all` begins like a read and is none.
//!
//! This only ever makes an entry stricter: what is overlooked here has still to begin with a word of reading, and
//! what is found here by mistake asks a person, who can correct the entry. It does not see through a server that
//! lies; that is what pins, labels and the manifest are for.

use serde_json::Value;

/// First words of names that promise to change nothing.
const READS: [&str; 15] = [
    "get", "list", "read", "search", "find", "describe", "show", "view", "query", "count", "fetch", "lookup",
    "check", "retrieve", "explain",
];
/// Nouns that promise the same where they are the whole name, or stand before what they are of. `log_workout` is no
/// log, so `log` counts alone only.
const READS_OF: [&str; 7] = ["stat", "head", "tail", "tree", "status", "diff", "info"];
const READS_ALONE: [&str; 1] = ["log"];
/// With these, `check` is another verb: a guest is checked in, a book is checked out.
const PARTICLES: [&str; 5] = ["in", "out", "off", "up", "mark"];

/// Verbs that change something and are hardly ever nouns: they count wherever they stand in a name.
#[rustfmt::skip]
const ALWAYS: &[&str] = &[
    "acknowledge", "ack", "activate", "add", "alter", "append", "apply", "approve", "assign", "attach", "authorize",
    "ban", "buy", "cancel", "clear", "clone", "configure", "confirm", "create", "deactivate", "decline", "decrement",
    "delete", "demote", "deploy", "deprovision", "deregister", "destroy", "detach", "disable", "discard",
    "disconnect", "dismiss", "dispatch", "drop", "edit", "eject", "enable", "enqueue", "dequeue", "erase", "evict",
    "exec", "execute", "forget", "forward", "freeze", "grant", "halt", "hide", "increment", "initialize", "init",
    "insert", "install", "invoke", "kick", "kill", "launch", "leave", "login", "logout", "merge", "migrate", "modify",
    "mutate", "mute", "notify", "overwrite", "pause", "pay", "persist", "poke", "populate", "promote", "provision",
    "prune", "publish", "purge", "put", "reassign", "rebase", "reboot", "rebuild", "recreate", "redeem", "redeploy",
    "register", "reject", "remove", "rename", "renew", "reopen", "reorder", "replace", "reply", "reschedule", "reset",
    "resize", "respond", "restart", "restore", "resume", "retract", "revert", "revoke", "rm", "rollback", "rotate",
    "save", "sell", "send", "shutdown", "spawn", "squash", "stage", "submit", "subscribe", "suspend", "swap",
    "terminate", "toggle", "trash", "trigger", "truncate", "unarchive", "unassign", "unban", "unblock", "undo",
    "undeploy", "unfollow", "unfreeze", "uninstall", "unlink", "unlock", "unmute", "unpin", "unpublish", "unregister",
    "unset", "unshare", "unstage", "unstar", "unsubscribe", "untag", "update", "upgrade", "upload", "upsert", "wipe",
    "withdraw", "write",
];

/// Verbs that are as often nouns or adjectives (`get_pull_request`, `list_open_issues`): they count after a word that
/// makes them a verb, as in `find_and_close`, and where a sentence begins with them.
#[rustfmt::skip]
const SOMETIMES: &[&str] = &[
    "advance", "archive", "award", "backup", "bill", "block", "book", "build", "call", "change", "charge", "checkout",
    "clean", "click", "close", "comment", "commit", "complete", "compose", "consume", "convert", "copy", "credit",
    "debit", "draft", "drag", "duplicate", "empty", "exchange", "expire", "export", "extend", "fill", "finish", "fix",
    "flag", "flush", "fork", "format", "generate", "import", "interrupt", "invite", "issue", "join", "label", "like",
    "link", "lock", "mail", "make", "mark", "message", "mount", "move", "navigate", "open", "order", "park", "patch",
    "pin", "place", "play", "pop", "post", "press", "print", "process", "pull", "purchase", "push", "quarantine",
    "react", "record", "recover", "refund", "release", "reload", "repair", "report", "request", "reserve", "resolve",
    "retry", "rewrite", "roll", "run", "scale", "schedule", "set", "settle", "share", "ship", "sign", "snooze",
    "split", "star", "start", "stop", "store", "switch", "sync", "tag", "tap", "touch", "transfer", "transform",
    "transition", "turn", "tweet", "type", "vote", "whitelist", "blacklist",
];

/// Of these, the ones that descriptions say to the model, or of data: "run this tool first", "format: json".
const NOUNS_IN_TEXT: &[&str] = &[
    "build",
    "call",
    "comment",
    "format",
    "issue",
    "label",
    "like",
    "link",
    "message",
    "order",
    "process",
    "pull",
    "record",
    "report",
    "request",
    "resolve",
    "run",
    "transition",
    "type",
];

/// Words after which a verb follows.
const LINKS: [&str; 5] = ["and", "or", "then", "to", "n"];

/// Whether a tool's name begins with a word of reading and holds no word of a change. `own` is the name without the
/// server's own name before it.
pub(super) fn name_reads(own: &str) -> bool {
    let words = words(own);
    let rest = words.get(1..).unwrap_or_default();
    let begins = match words.first().map(String::as_str) {
        Some("check") => !rest.first().is_some_and(|next| PARTICLES.contains(&next.as_str())),
        Some(first) => {
            READS.contains(&first)
                || READS_OF.contains(&first)
                || (rest.is_empty() && READS_ALONE.contains(&first))
        }
        None => false,
    };
    begins && name_changes(own).is_none()
}

/// The word of a name that says it changes something.
pub(super) fn name_changes(own: &str) -> Option<String> {
    let words = words(own);
    words.iter().enumerate().find_map(|(i, word)| {
        let after_link =
            i.checked_sub(1).and_then(|i| words.get(i)).is_some_and(|w| LINKS.contains(&w.as_str()));
        let is_verb = ALWAYS.contains(&word.as_str())
            || ((i == 0 || after_link) && SOMETIMES.contains(&word.as_str()))
            || joined(word);
        is_verb.then(|| word.clone())
    })
}

/// Whether a long verb of a change is written into this word without a break: `getanddelete`. A participle
/// describes what is read: `list_deleted`.
fn joined(word: &str) -> bool {
    ALWAYS.iter().filter(|verb| verb.len() >= 6).any(|verb| {
        word.match_indices(verb).any(|(at, _)| {
            let rest = word.get(at + verb.len()..).unwrap_or_default();
            let ends =
                ["d", "ed", "r", "er", "rs", "ers", "s", "ing", "ment", "ments", "able"].contains(&rest);
            !ends && *verb != word
        })
    })
}

/// The word of a description that says, of the tool itself, that it changes something.
pub(super) fn text_changes(text: &str) -> Option<String> {
    text.split(['.', '!', '?', ';', ':', '\n', '\r', '•', '*', '(', ')', '—', '–'])
        .find_map(|sentence| clause_changes(&sentence_words(sentence)))
}

/// Words of a sentence, in lower case; a comma is a word of its own, since what follows may be a verb.
fn sentence_words(sentence: &str) -> Vec<String> {
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

fn clause_changes(words: &[String]) -> Option<String> {
    // What is said about other moments is not said about this tool.
    const ELSEWHERE: [&str; 9] =
        ["before", "after", "if", "when", "while", "once", "unless", "whether", "until"];
    const NEGATIONS: [&str; 9] =
        ["not", "never", "without", "cannot", "no", "can't", "don't", "doesn't", "won't"];
    const SUBJECTS: [&str; 8] = ["it", "this", "tool", "will", "also", "automatically", "can", "immediately"];
    const WISHES: [&str; 9] = ["how", "user", "want", "wants", "need", "needs", "wish", "trying", "have"];
    const BEINGS: [&str; 4] = ["is", "are", "be", "gets"];
    const RELATIVES: [&str; 6] = ["that", "which", "who", "has", "have", "been"];
    if words.first().is_some_and(|first| ELSEWHERE.contains(&first.as_str())) {
        return None;
    }
    let at = |i: usize| words.get(i).map_or("", String::as_str);
    for (i, word) in words.iter().enumerate() {
        let (before, earlier) = match i {
            0 => ("", ""),
            1 => (at(0), ""),
            _ => (at(i - 1), at(i - 2)),
        };
        let near = words.get(i.saturating_sub(4)..i).unwrap_or_default();
        if near.iter().any(|w| NEGATIONS.contains(&w.as_str()) || ELSEWHERE.contains(&w.as_str())) {
            continue;
        }
        let listed = LINKS.contains(&before) || before == ",";
        let wished = before == "to" && WISHES.contains(&earlier);
        let begins = i == 0 || (listed && !wished) || SUBJECTS.contains(&before);
        let done = (BEINGS.contains(&before) && !RELATIVES.contains(&earlier))
            || (SUBJECTS.contains(&before) && BEINGS.contains(&earlier));
        let verb = begins.then(|| base(word)).flatten().filter(|verb| !NOUNS_IN_TEXT.contains(verb));
        // A list of things looks like a list of verbs: "issues, comments, and labels" has only plurals that are both.
        let verb = verb.filter(|verb| ALWAYS.contains(verb) || i == 0 || *verb == word || before != ",");
        let verb = verb.filter(|verb| {
            ALWAYS.contains(verb)
                || i == 0
                || before == "to"
                || SUBJECTS.contains(&before)
                || is_followed_by_object(at(i + 1))
        });
        let verb =
            verb.filter(|verb| *verb != "execute" || !reads_data(words.get(i + 1..).unwrap_or_default()));
        let verb = verb.or_else(|| done.then(|| participle(word)).flatten());
        if let Some(verb) = verb {
            return Some(verb.to_owned());
        }
    }
    None
}

/// Whether what is executed is said to be a reading of data: "a SELECT query". The query itself is read when it comes.
fn reads_data(object: &[String]) -> bool {
    object.iter().take(3).any(|word| ["select", "read-only", "readonly"].contains(&word.as_str()))
}

/// Whether what follows makes the word before it a verb: "and marks **them**", "and post **a** comment".
fn is_followed_by_object(word: &str) -> bool {
    ["a", "an", "the", "it", "them", "its", "their", "this", "these", "all", "each", "every", "your", "any"]
        .contains(&word)
}

/// The verb of `delete` and `deletes`.
fn base(word: &str) -> Option<&'static str> {
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

/// The argument by which a caller makes a read into a change: a switch such as `delete_after`, or a choice of the
/// operation.
pub(super) fn argument_changes(schema: &Value) -> Option<String> {
    const CHOICES: [&str; 7] = ["action", "operation", "op", "method", "command", "mode", "verb"];
    let properties = schema.get("properties").and_then(Value::as_object)?;
    properties.iter().find_map(|(name, property)| {
        let words = words(name);
        let is_switch = property.get("type").and_then(Value::as_str) == Some("boolean")
            && words.first().is_some_and(|first| ALWAYS.contains(&first.as_str()));
        let chooses = words.last().is_some_and(|last| CHOICES.contains(&last.as_str()));
        let options = property.get("enum").and_then(Value::as_array).filter(|_| chooses);
        let offers = options.into_iter().flatten().filter_map(Value::as_str).any(|option| {
            let first = self::words(option).into_iter().next().unwrap_or_default();
            base(&first).is_some()
        });
        (is_switch || offers).then(|| name.clone())
    })
}

/// The words of `getAndDelete`, `get_and_delete`, `get-and-delete`, `getHTTPAndDelete` and `get2delete`.
fn words(name: &str) -> Vec<String> {
    let letters: Vec<char> = name.chars().collect();
    let mut out = vec![String::new()];
    for (i, c) in letters.iter().enumerate() {
        let before = i.checked_sub(1).and_then(|i| letters.get(i));
        let after = letters.get(i + 1);
        let splits = !c.is_alphanumeric()
            || before.is_some_and(|b| b.is_numeric() != c.is_numeric())
            || (c.is_uppercase()
                && before.is_some_and(|b| b.is_lowercase() || after.is_some_and(|a| a.is_lowercase())));
        if splits && out.last().is_some_and(|word| !word.is_empty()) {
            out.push(String::new());
        }
        if c.is_alphanumeric()
            && let Some(word) = out.last_mut()
        {
            word.extend(c.to_lowercase());
        }
    }
    out.retain(|word| !word.is_empty());
    out
}

#[cfg(test)]
mod tests;
