//! What a goal calls something the number of. Whoever writes a bill chooses its number, so nobody is paid by it.

use super::canon;

/// Most words between a number and what it is a number of.
const STEPS_MAX: usize = 8;
/// Most bytes that these words take.
const BYTES_MAX: usize = 256;

/// What a goal introduces a value as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meant {
    /// An account, or where something goes.
    Account,
    /// The number or name of a bill, an order, a file.
    Reference,
    /// Nothing.
    Bare,
}

/// What money or a message goes to.
const ACCOUNTS: &[&str] = &[
    "a/c",
    "acc",
    "account",
    "acct",
    "bban",
    "beneficiary",
    "blz",
    "iban",
    "konto",
    "kontonummer",
    "kto",
    "payee",
    "recipient",
    "wallet",
];
/// What leads to where something goes.
const TOWARDS: &[&str] = &["to", "into", "onto"];
/// What has a number or a title that its author chooses.
const NUMBERED: &[&str] = &[
    "article",
    "bill",
    "booking",
    "case",
    "claim",
    "code",
    "commit",
    "confirmation",
    "contract",
    "delivery",
    "document",
    "event",
    "file",
    "invoice",
    "issue",
    "item",
    "job",
    "letter",
    "note",
    "offer",
    "order",
    "package",
    "parcel",
    "po",
    "policy",
    "pr",
    "product",
    "project",
    "purchase",
    "quote",
    "receipt",
    "ref",
    "reference",
    "request",
    "reservation",
    "shipment",
    "statement",
    "task",
    "ticket",
    "tracking",
    "transaction",
    "voucher",
];
/// What makes a number of whatever stands before it.
const NUMBERS: &[&str] = &["#", "id", "ids", "no", "nos", "nr", "num", "number", "numbers"];
/// What else may stand between the two.
const BETWEEN: &[&str] = &[
    "", "a", "an", "as", "called", "is", "my", "named", "numbered", "our", "the", "their", "this", "titled",
    "with", "your",
];
/// The same after the value.
const FOLLOWING: &[&str] = &["", "a", "an", "as", "is", "my", "our", "the", "their", "this", "your"];
/// What may stand between an account and its number, with the name of whom it belongs to.
const OF: &[&str] = &["at", "for", "from", "of"];

/// What the text around a value says that it is. `account`: it is written as only accounts are.
pub(super) fn meant(before: &str, after: &str, account: bool) -> Meant {
    match (introduced(before), followed(after)) {
        (Said::Reference, _) => Meant::Reference,
        (Said::Account, _) => Meant::Account,
        (Said::Towards, Meant::Reference) if !account => Meant::Reference,
        (Said::Towards, _) => Meant::Account,
        (Said::Nothing, after) => after,
    }
}

/// Whether the text before a number calls it an account. Strangers write `to` before numbers of any kind, so that alone
/// makes none.
pub(super) fn is_called_account(before: &str) -> bool {
    matches!(introduced(before), Said::Account)
}

/// What money is taken from.
const SOURCES: &[&str] = &["charge", "charging", "debit", "debiting", "from", "off", "von", "vom"];
/// What else an account is called by.
const KINDS: &[&str] = &[
    "account", "bank", "business", "checking", "current", "debit", "giro", "is", "joint", "main", "my",
    "our", "own", "personal", "private", "salary", "savings",
];

/// Whether the text before an account says that it is the user's own: money comes from it and does not go there.
pub(super) fn is_own(before: &str) -> bool {
    let near = before.ceil_char_boundary(before.len().saturating_sub(BYTES_MAX));
    let (mut mine, mut called, mut is) = (false, false, false);
    for raw in before.get(near..).unwrap_or_default().split_whitespace().rev().take(STEPS_MAX) {
        let word = canon::bare(raw);
        let first = raw.trim_start_matches(|c: char| !c.is_alphanumeric()).chars().next();
        if SOURCES.contains(&word.as_str()) {
            return true;
        }
        if raw.ends_with(['.', '!', '?', ';', ',']) && !NUMBERS.contains(&word.as_str()) {
            break;
        }
        let account = kind(&word) == Meant::Account;
        let named = first.is_some_and(char::is_uppercase) || matches!(word.as_str(), "at" | "with");
        mine |= matches!(word.as_str(), "my" | "our");
        called |= account;
        is |= word == "is";
        if !(account || named || KINDS.contains(&word.as_str()) || NUMBERS.contains(&word.as_str())) {
            break;
        }
    }
    mine && called && is
}

enum Said {
    Account,
    Towards,
    Reference,
    Nothing,
}

fn introduced(before: &str) -> Said {
    let near = before.ceil_char_boundary(before.len().saturating_sub(BYTES_MAX));
    let before = before.get(near..).unwrap_or_default();
    let (mut apart, mut number) = (false, false);
    for raw in before.split_whitespace().rev().take(STEPS_MAX) {
        let word = canon::bare(raw);
        let short = NUMBERS.contains(&word.as_str()) || matches!(word.as_str(), "acc" | "acct" | "kto");
        let ends = raw.ends_with(['.', '!', '?', ';']) && !short;
        if ends {
            break;
        }
        apart |= raw.ends_with(',');
        match kind(&word) {
            Meant::Account => return Said::Account,
            Meant::Reference if !apart => return Said::Reference,
            Meant::Reference => return Said::Nothing,
            Meant::Bare => {}
        }
        if TOWARDS.contains(&word.as_str()) {
            return if apart { Said::Nothing } else { Said::Towards };
        }
        let numbers = NUMBERS.contains(&word.as_str());
        number |= numbers && !apart;
        let first = raw.trim_start_matches(|c: char| !c.is_alphanumeric()).chars().next();
        let of = OF.contains(&word.as_str()) || first.is_some_and(char::is_uppercase);
        if !(of || numbers || BETWEEN.contains(&word.as_str())) {
            break;
        }
        apart |= of && !numbers;
    }
    if number { Said::Reference } else { Said::Nothing }
}

fn followed(after: &str) -> Meant {
    let after = after.get(..after.floor_char_boundary(BYTES_MAX)).unwrap_or_default();
    let after = after.trim_start_matches(['"', '”', '`', '\'', '’', '*']);
    if after.starts_with([',', '.', ';', ':', '!', '?']) {
        return Meant::Bare;
    }
    let word = after.split_whitespace().take(STEPS_MAX).map(canon::bare);
    word.into_iter().find(|word| !FOLLOWING.contains(&word.as_str())).map_or(Meant::Bare, |word| kind(&word))
}

fn kind(word: &str) -> Meant {
    let own = word.strip_suffix("'s").or_else(|| word.strip_suffix("’s")).unwrap_or(word);
    let one = own.strip_suffix('s').unwrap_or(own);
    let is = |list: &[&str]| list.contains(&own) || list.contains(&one);
    match (is(ACCOUNTS), is(NUMBERED)) {
        (true, _) => Meant::Account,
        (false, true) => Meant::Reference,
        (false, false) => Meant::Bare,
    }
}

/// Whether this is a number or code, and no name: `12345678`, `INV-2026-0815`, but not `Studio54`.
pub(super) fn is_code(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let small = text.bytes().any(|b| b.is_ascii_lowercase());
    digits >= 3 || (digits >= 1 && (!small || text.contains(['-', '_', '/', '#'])))
}

/// What has a number of its own, so that the number is no amount.
const OWN_NUMBERS: &[&str] = &[
    "apartment",
    "bill",
    "booking",
    "building",
    "bus",
    "case",
    "claim",
    "contract",
    "customer",
    "desk",
    "document",
    "door",
    "flat",
    "flight",
    "floor",
    "gate",
    "house",
    "locker",
    "pier",
    "platform",
    "po",
    "pr",
    "receipt",
    "ref",
    "reference",
    "reservation",
    "room",
    "seat",
    "suite",
    "terminal",
    "train",
    "transaction",
    "voucher",
];

/// Whether a number is the one of the thing before it, and no amount.
pub(super) fn has_own_number(before: &str, token: &str, after: &str) -> bool {
    OWN_NUMBERS.contains(&before) && !is_money(token, after)
}

pub(super) fn is_money(token: &str, after: &str) -> bool {
    const UNITS: &[&str] = &[
        "$", "£", "€", "aud", "bucks", "cad", "chf", "cny", "dollar", "dollars", "eur", "euro", "euros",
        "franc", "francs", "gbp", "inr", "jpy", "nok", "pln", "pound", "pounds", "quid", "rupees", "sek",
        "usd", "yen",
    ];
    token.contains(['$', '€', '£', '.', ',']) || UNITS.contains(&after)
}

/// What stands before and after a part of a text.
pub(super) fn around(text: &str, at: usize, len: usize) -> (&str, &str) {
    (text.get(..at).unwrap_or_default(), text.get(at + len..).unwrap_or_default())
}
