//! What a tool says of itself, read for the words of a change. `get_and_delete_all` begins like a read and is none.
//!
//! This only ever makes an entry stricter: what is overlooked here has still to have a word of reading in its name and
//! at the beginning of its description, and what is found here by mistake asks a person, who can correct the entry. It does not see through a server that
//! lies; that is what pins, labels and the manifest are for. It knows English words alone, in every writing of their
//! letters.

mod arguments;
mod opening;
mod text;

pub(super) use arguments::{argument_changes, is_called_choice};
pub(super) use text::{text_changes, title_changes};

use aecl_kernel::define::catalogue::Effect;
use aecl_kernel::provenance::canon::plain;
use opening::{text_reads, text_reads_by_name};

/// First words of names that promise to change nothing.
const READS: [&str; 15] = [
    "get", "list", "read", "search", "find", "describe", "show", "view", "query", "count", "fetch", "lookup",
    "check", "retrieve", "explain",
];
/// Of these, the ones that are hardly ever nouns.
const HARDLY_NOUNS: [&str; 6] = ["get", "read", "find", "describe", "retrieve", "explain"];
/// Nouns that promise the same where they are the whole name, or stand before what they are of. `log_workout` is no
/// log, so `log` counts alone only.
const READS_OF: [&str; 7] = ["stat", "head", "tail", "tree", "status", "diff", "info"];
const READS_ALONE: [&str; 1] = ["log"];
/// Words of names of what is grave, beside those that the catalogue itself knows: money, rights, what runs, what is let in.
#[rustfmt::skip]
const GRAVE: &[&str] = &[
    "access", "acl", "admin", "administrator", "authorize", "bid", "buy", "capture", "charge", "collaborator", "cron",
    "debit", "deploy", "disburse", "dns", "donate", "escrow", "evaluate", "firewall", "forwarding", "function", "iban", "impersonate",
    "install", "invest", "invoke", "lambda", "loan", "mfa", "order", "owner", "ownership", "payee", "payout", "policy",
    "privilege", "promote", "publish", "purchase", "release", "sell", "settle", "share", "signature", "sudo", "superuser", "trade",
    "transfer", "visibility", "wallet", "webhook", "withdraw",
];

/// Whether a name, or the first sentence of what is said of it, is of something grave.
pub(super) fn is_grave(own: &str, description: &str) -> bool {
    const MONEY: [&str; 4] = ["money", "payment", "payments", "payouts"];
    let is_of = |words: &[String], of: &[&str]| {
        words.iter().any(|word| {
            of.contains(&word.as_str()) || word.strip_suffix('s').is_some_and(|one| of.contains(&one))
        })
    };
    let first = description.split(['.', '\n']).find(|text| !text.trim().is_empty()).unwrap_or_default();
    let name = words(own);
    let factors = name.iter().any(|word| ["2", "factor"].contains(&word.as_str()));
    is_of(&name, GRAVE) || factors || is_of(&words(first), &MONEY)
}

/// With these, `check` is another verb: a guest is checked in, a book is checked out.
const PARTICLES: [&str; 5] = ["in", "out", "off", "up", "mark"];

/// Verbs that change something and are hardly ever nouns: they count wherever they stand in a name.
#[rustfmt::skip]
const ALWAYS: &[&str] = &[
    "accept", "acknowledge", "ack", "activate", "add", "alter", "append", "apply", "approve", "assign", "attach", "authorize",
    "annihilate", "ban", "buy", "cancel", "chmod", "chown", "clear", "clobber", "clone", "configure", "confirm", "create",
    "deactivate", "decline", "decommission", "decrement", "del", "delete", "demote",
 "deploy", "deprovision", "deregister", "destroy", "detach", "disable", "discard",
    "disburse", "disconnect", "dismiss", "dispatch", "drop", "edit", "eject", "enable", "enqueue", "dequeue", "erase",
    "escalate", "evict", "exec", "execute", "exfiltrate", "expunge", "forget", "forward", "freeze", "grant", "halt", "hide", "impersonate", "increment", "initialize", "init",
    "insert", "install", "invoke", "kick", "kill", "launch", "leave", "login", "logout", "merge", "migrate", "modify",
    "mkdir", "mutate", "mute", "mv", "notify", "nuke", "obliterate", "overwrite", "pause", "pay", "persist", "poke", "populate", "promote", "provision",
    "prune", "publish", "purge", "put", "reassign", "rebase", "reboot", "rebuild", "recreate", "redeem", "redeploy",
    "reap", "register", "reimburse", "reject", "remit", "remove", "rename", "renew", "reopen", "reorder", "replace", "reply", "reschedule", "reset",
    "resize", "respond", "restart", "restore", "resume", "retract", "revert", "revoke", "rid", "rm", "rmdir", "rollback", "rotate",
    "save", "scrub", "sell", "send", "sendmail", "shred", "shutdown", "spawn", "squash", "stage", "submit", "subscribe", "suspend", "swap",
    "teardown", "terminate", "toggle", "trash", "trigger", "truncate", "unarchive", "unassign", "unban", "unblock", "undo",
    "undeploy", "undelete", "unfollow", "unfreeze", "uninstall", "unlink", "unlock", "unmute", "unpin", "unpublish", "unregister",
    "unsend", "unset", "unshare", "unstage", "unstar", "unsubscribe", "untag", "update", "upgrade", "upload", "upsert", "vacuum", "wipe",
    "withdraw", "write", "zap",
];

/// What runs programs or texts, by whatever name: it counts wherever it stands in a name.
const EXECUTES: &[&str] =
    &["bash", "cmd", "eval", "evaluate", "powershell", "sh", "shell", "subprocess", "sudo", "syscall", "zsh"];

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

/// Of what an argument chooses, what looks only, where it is the whole word: a name of a tool would say more.
const READS_CHOSEN: [&str; 6] = ["exists", "help", "history", "preview", "select", "version"];

/// First verbs of what takes something away.
#[rustfmt::skip]
const DELETES: &[&str] = &[
    "annihilate", "ban", "burn", "cancel", "clear", "clobber", "decommission", "del", "delete", "deprovision", "deregister",
    "destroy", "discard", "dismiss", "drop", "eject", "empty", "erase", "evict", "expire", "expunge", "flush", "forget", "format",
    "kick", "kill", "nuke", "obliterate", "overwrite", "prune", "purge", "reap", "remove", "replace", "reset", "revoke", "rm",
    "rmdir", "scrub", "shred", "teardown", "terminate", "trash", "truncate", "unassign", "undeploy", "uninstall", "unregister",
    "unsubscribe", "vacuum", "wipe", "zap",
];
/// First verbs of what reaches somebody.
const SENDS: [&str; 14] = [
    "broadcast",
    "email",
    "forward",
    "invite",
    "mail",
    "message",
    "notify",
    "post",
    "publish",
    "reply",
    "respond",
    "send",
    "share",
    "tweet",
];

/// What a name says that is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Does {
    /// It looks only.
    Read,
    /// It takes something away.
    Delete,
    /// It reaches somebody.
    Send,
    /// It changes something else.
    Change,
    /// It has no verb that is known.
    Unknown,
}

impl Does {
    /// The effect of it, if it is a change; what nobody knows is one.
    pub fn changes(self) -> Effect {
        match self {
            Self::Delete => Effect::Delete,
            Self::Send => Effect::Send,
            Self::Read | Self::Change | Self::Unknown => Effect::Write,
        }
    }
}

/// What a choice, or the name of a tool without its server's, says that is done.
pub(super) fn does(own: &str) -> Does {
    let all = words(own);
    let is_chosen = matches!(all.as_slice(), [only] if READS_CHOSEN.contains(&only.as_str()));
    if is_chosen || (name_reads(own) && !ends_in_a_verb(own)) {
        return Does::Read;
    }
    match first_verb(&all) {
        Some(verb) if DELETES.contains(&verb) => Does::Delete,
        Some(verb) if SENDS.contains(&verb) => Does::Send,
        Some(_) => Does::Change,
        None => Does::Unknown,
    }
}

/// Whether a word, in any ending, is hardly ever anything else than a change.
pub(super) fn is_change(word: &str) -> bool {
    text::base(word).is_some_and(|verb| ALWAYS.contains(&verb))
}

/// The verb of a name: the first that is hardly ever a noun, or else the first that is one sometimes.
pub(super) fn first_verb(words: &[String]) -> Option<&str> {
    let find = |is: &dyn Fn(&str) -> bool| words.iter().map(String::as_str).find(|word| is(word));
    find(&|word| ALWAYS.contains(&word) || EXECUTES.contains(&word))
        // A noun that is one of them stands behind another word, or names a thing: `email_list`, `post_reader`.
        .or_else(|| find(&|word| SOMETIMES.contains(&word)))
        .or_else(|| words.first().map(String::as_str).filter(|word| SENDS.contains(word) && words.len() == 1))
}

/// Words after which a verb follows.
const LINKS: [&str; 5] = ["and", "or", "then", "to", "n"];

/// Whether there is a description, and it reads.
fn says_and_reads(description: &str) -> bool {
    !description.trim().is_empty() && text_reads(description)
}

/// Whether a tool's name and description say that it reads. `own` is the name without the server's own name before it.
///
/// Where the server's annotation says so, too (`is_hinted`), one of the two is enough, and the other need not speak: a name
/// with a word of reading anywhere, or a description that begins with one.
pub(super) fn says_it_reads(own: &str, description: &str, is_hinted: bool) -> bool {
    if is_hinted && name_changes(own).is_none() && (says_and_reads(description) || name_holds_a_look(own)) {
        return true;
    }
    let by_name = match description.trim().is_empty() {
        true => name_reads(own) && !ends_in_a_verb(own),
        false => name_reads(own) || (name_holds_reading(own) && text_reads_by_name(description)),
    };
    by_name && text_reads(description)
}

/// Whether a tool's name begins with a word of reading and holds no word of a change.
fn name_reads(own: &str) -> bool {
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
    begins && name_changes(own).is_none() && !joins_the_unknown(&words)
}

/// Whether a name holds a word of reading behind words that are none of reading or of a change: what the server calls
/// itself, or what the tool is about. `crm-list-deals`, `wiki_page_read`. A verb that nobody knows could stand there, so it
/// counts only beside a description that begins with such a word, too; a word that is as often a noun (`list_pop`,
/// `check_stop`) does not count, but `list` before what is many; and behind it no word may be a verb at all.
fn name_holds_reading(own: &str) -> bool {
    let words = words(own);
    let Some(at) = words.iter().position(|word| is_verb(word)) else { return false };
    let (word, rest) = (words.get(at).map_or("", String::as_str), words.get(at + 1..).unwrap_or_default());
    let are_many = rest.last().is_some_and(|last| last.ends_with('s'));
    let reads = HARDLY_NOUNS.contains(&word) || (word == "list" && are_many);
    let is_other = |word: &String| is_verb(word) || LINKS.contains(&word.as_str());
    at > 0 && reads && !rest.iter().any(is_other) && name_changes(own).is_none()
}

/// Whether a name holds a word of reading, and no other word that may be a verb.
fn name_holds_a_look(own: &str) -> bool {
    let words = words(own);
    let Some(at) = words.iter().position(|word| READS.contains(&word.as_str())) else { return false };
    let rest = words.get(at + 1..).unwrap_or_default();
    let is_other = |word: &String| is_verb(word) || LINKS.contains(&word.as_str());
    !rest.iter().any(is_other) && !rest.first().is_some_and(|next| PARTICLES.contains(&next.as_str()))
}

/// Whether a word is one of reading or of a change, or may be.
fn is_verb(word: &str) -> bool {
    let lists: [&[&str]; 5] = [&READS, &READS_OF, ALWAYS, EXECUTES, SOMETIMES];
    lists.iter().any(|list| list.contains(&word)) || joined(word)
}

/// Whether a name ends in a word that is as often a verb: `list_pop`, `get_lock`. Where nothing else is said, nobody knows
/// which it is.
fn ends_in_a_verb(own: &str) -> bool {
    let words = words(own);
    words.len() > 1 && words.last().is_some_and(|last| SOMETIMES.contains(&last.as_str()))
}

/// Whether a word that nobody knows stands where a verb does: `search_and_nuke`, `get_all_then_xyz`. Of several things
/// that are read the last one is many: `get_users_and_groups`.
fn joins_the_unknown(words: &[String]) -> bool {
    words.windows(2).enumerate().any(|(i, pair)| {
        let [link, next] = pair else { return false };
        let reads = READS.contains(&next.as_str()) || READS_OF.contains(&next.as_str());
        let are_things = i > 1 && link == "and" && next.ends_with('s');
        ["and", "then", "n"].contains(&link.as_str()) && !reads && !are_things
    })
}

/// The word of a name that says it changes something.
pub(super) fn name_changes(own: &str) -> Option<String> {
    let words = words(own);
    words.iter().enumerate().find_map(|(i, word)| {
        let after_link =
            i.checked_sub(1).and_then(|i| words.get(i)).is_some_and(|w| LINKS.contains(&w.as_str()));
        let next = words.get(i + 1).map_or("", String::as_str);
        let is_verb = (ALWAYS.contains(&word.as_str()) && !is_half_a_noun(word, next))
            || EXECUTES.contains(&word.as_str())
            || ((i == 0 || after_link) && SOMETIMES.contains(&word.as_str()))
            || joined(word);
        is_verb.then(|| word.clone())
    })
}

/// `get_merge_request` merges nothing.
fn is_half_a_noun(word: &str, next: &str) -> bool {
    word == "merge" && ["request", "requests"].contains(&next)
}

/// Whether a long verb of a change is written into this word without a break: `getanddelete`. A participle
/// describes what is read: `list_deleted`.
fn joined(word: &str) -> bool {
    ALWAYS.iter().filter(|verb| verb.len() >= 6).any(|verb| {
        word.match_indices(verb).any(|(at, _)| {
            let rest = word.get(at + verb.len()..).unwrap_or_default();
            let ends = ["d", "ed", "r", "er", "rs", "ers", "s", "ing", "ment", "ments", "able", "ee", "ees"]
                .contains(&rest);
            !ends && *verb != word
        })
    })
}

/// The words of `getAndDelete`, `get_and_delete`, `get-and-delete`, `getHTTPAndDelete` and `get2delete`.
pub(super) fn words(name: &str) -> Vec<String> {
    // Letters of two scripts are two words, none of which anybody knows.
    let letters: Vec<char> = plain(name).unwrap_or_default().chars().collect();
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
