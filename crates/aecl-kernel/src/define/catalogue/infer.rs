//! What the names in a definition suggest. Nobody has reviewed this, so a guess is never weaker than what a
//! careful reader would write: what no rule knows must be proven like the target of a change.

use super::flow::{Audience, Class, Intent};
use super::{DestinationKind, Effect, Fields};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The words of `sendMoney`, `send_money` and `send-money`, in lower case.
pub fn words(name: &str) -> Vec<String> {
    let mut out = vec![String::new()];
    let mut before = ' ';
    for c in name.chars() {
        let splits = !c.is_alphanumeric() || (c.is_uppercase() && before.is_lowercase());
        if splits && out.last().is_some_and(|w| !w.is_empty()) {
            out.push(String::new());
        }
        if c.is_alphanumeric()
            && let Some(word) = out.last_mut()
        {
            word.extend(c.to_lowercase());
        }
        before = c;
    }
    out.retain(|w| !w.is_empty());
    out
}

/// Whether one of these words is among those, or several of it.
pub fn any(words: &[String], of: &[&str]) -> bool {
    words.iter().any(|w| of.contains(&w.as_str()) || w.strip_suffix('s').is_some_and(|w| of.contains(&w)))
}

/// The name of an action without its server: `mail` of `mail.send_message` says what it is about, too.
fn own_words(name: &str) -> Vec<String> {
    words(name.rsplit_once('.').map_or(name, |(_, tool)| tool))
}

/// Words of arguments that are addresses to every edition.
const URLS: &[&str] =
    &["url", "uri", "link", "website", "endpoint", "webhook", "host", "hostname", "domain", "site"];
const MONEY: &[&str] = &[
    "pay",
    "payment",
    "money",
    "transfer",
    "transaction",
    "refund",
    "invoice",
    "bank",
    "wire",
    "remit",
    "funds",
];
const MAIL: &[&str] = &[
    "email",
    "mail",
    "calendar",
    "event",
    "meeting",
    "appointment",
    "share",
    "invite",
    "participant",
    "attendee",
];
const SENDS: &[&str] = &[
    "send", "share", "post", "reply", "forward", "email", "mail", "message", "invite", "notify", "publish",
    "upload", "tweet", "comment", "export", "submit",
];
const EXECUTES: &[&str] =
    &["run", "exec", "execute", "eval", "shell", "command", "bash", "terminal", "script", "spawn"];
const RIGHTS: &[&str] =
    &["password", "credential", "permission", "role", "grant", "auth", "login", "token", "secret", "key"];

/// The roles of the arguments that a schema lists, by their names.
pub fn classes(action: &str, effect: Effect, fields: &Fields, schema: &Value) -> BTreeMap<String, Class> {
    let mut out = BTreeMap::new();
    for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let pointer = format!("/{name}");
        let class = of_fields(fields, &pointer, effect, action)
            .unwrap_or_else(|| of_name(&own_words(action), effect, name, property));
        out.insert(name.clone(), class);
    }
    out
}

/// What the `fields` of a manifest say about an argument.
fn of_fields(fields: &Fields, pointer: &str, effect: Effect, action: &str) -> Option<Class> {
    let below = |p: &str| p == pointer || p.strip_prefix(pointer).is_some_and(|rest| rest.starts_with('/'));
    if let Some(destination) = fields.destination.as_ref().filter(|d| below(&d.value)) {
        let named = if effect == Effect::Pay || any(&own_words(action), MONEY) {
            Class::DestAccount
        } else {
            Class::DestName
        };
        return Some(match destination.kind {
            DestinationKind::Url | DestinationKind::Host => Class::DestUrl,
            DestinationKind::Email => Class::DestEmail,
            DestinationKind::Name => named,
        });
    }
    if fields.amount.as_ref().is_some_and(|a| below(&a.value)) {
        return Some(Class::Magnitude);
    }
    if fields.amount.as_ref().and_then(|a| a.unit_at.as_deref()).is_some_and(below) {
        return Some(Class::Flag);
    }
    // Checked against the run's own tenant already.
    if fields.tenant.as_deref().is_some_and(below) {
        return Some(Class::Flag);
    }
    None
}

/// What the name of an argument suggests.
fn of_name(action: &[String], effect: Effect, name: &str, schema: &Value) -> Class {
    let words = words(name);
    let is = |of: &[&str]| any(&words, of);
    let last = words.last().map_or("", String::as_str);
    let kind = type_of(schema);
    let money = effect == Effect::Pay || any(action, MONEY);
    // A page token or a cursor is no secret.
    let pages = is(&["page", "next", "cursor", "continuation", "offset"]);
    if is(&["password", "passphrase", "secret", "credential", "otp", "pin", "apikey"])
        || (is(&["token", "key"]) && is(&["api", "access", "auth", "private", "secret", "token"]) && !pages)
    {
        return Class::Credential;
    }
    if is(&["command", "cmd", "shell", "script", "argv", "code", "program"]) {
        return Class::Command;
    }
    if is(&["sql", "statement"]) || (is(&["query"]) && any(action, &["sql", "db", "database"])) {
        return Class::QuerySql;
    }
    if is(URLS) || schema.get("format").and_then(Value::as_str).is_some_and(|f| f == "uri") {
        return Class::DestUrl;
    }
    // A read sends nothing but what it asks for.
    if !effect.changes_something() {
        return Class::Selector;
    }
    if kind == Some("boolean") || (schema.get("enum").is_some() && !is(&["to", "recipient", "channel"])) {
        return Class::Flag;
    }
    if is(&["iban", "bic", "wallet"]) || (is(&["account"]) && money) {
        return Class::DestAccount;
    }
    let addressee =
        is(&["to", "cc", "bcc", "recipient", "participant", "attendee", "invitee", "receiver", "payee"]);
    if is(&["email", "mail"]) || schema.get("format").and_then(Value::as_str) == Some("email") {
        return Class::DestEmail;
    }
    if is(&["attachment"]) {
        return Class::Attachments;
    }
    if addressee && !is(&["time", "date"]) {
        return match (money, any(action, MAIL)) {
            (true, _) => Class::DestAccount,
            (false, true) => Class::DestEmail,
            (false, false) => Class::DestName,
        };
    }
    if last == "id" || last == "ids" || is(&["uuid", "guid"]) {
        return Class::TargetId;
    }
    if is(&["file", "filename", "path", "directory", "dir", "folder"]) && !is(&["content"]) {
        return Class::TargetPath;
    }
    if is(&[
        "time",
        "date",
        "day",
        "when",
        "deadline",
        "until",
        "start",
        "end",
        "hour",
        "month",
        "year",
        "recurring",
    ]) {
        return if matches!(kind, Some("boolean")) { Class::Flag } else { Class::Time };
    }
    if is(&["street", "city", "zip", "phone", "birthday", "birth", "firstname", "lastname", "address"])
        || (is(&["first", "last"]) && last == "name")
    {
        return Class::Profile;
    }
    if is(&[
        "body",
        "text",
        "content",
        "message",
        "subject",
        "title",
        "description",
        "comment",
        "note",
        "summary",
        "data",
    ]) {
        return Class::Content;
    }
    if is(&["channel", "user", "username", "member", "group", "room", "team", "contact"]) {
        let sends =
            matches!(effect, Effect::Send | Effect::Grant) || any(action, SENDS) || any(action, &["add"]);
        return if sends { Class::DestName } else { Class::TargetName };
    }
    match kind {
        Some("number" | "integer") => Class::Magnitude,
        _ if is(&["amount", "sum", "total", "price", "quantity", "budget"]) => Class::Magnitude,
        // Nobody knows what it is, so it is what matters.
        _ => Class::TargetName,
    }
}

/// Names of arguments that are addresses wherever they stand. What leads outside is judged by them, too, so one more is a new
/// edition of facts, once somebody holds a record.
const ADDRESSES: &[&str] =
    &["callback", "feed", "hook", "href", "permalink", "postback", "proxy", "redirect", "rss", "sitemap"];
/// Names that are addresses where a tool goes to the web, and files or anything else where it does not.
const PLACES: &[&str] = &["address", "location", "page", "resource", "source", "src", "target"];
/// Words of tools that go to the web.
const WEB: &[&str] = &[
    "browse", "browser", "crawl", "curl", "download", "fetch", "goto", "http", "https", "iframe", "img",
    "navigate", "scrape", "visit", "webpage",
];
/// Names of arguments whose description may speak of addresses, and means texts with them or what they belong to.
const ABOUT: &[&str] =
    &["body", "comment", "content", "data", "description", "html", "id", "message", "note", "query", "text"];
/// In how many words a description has said what an argument is.
const SAID_FIRST: usize = 6;

/// Whether an argument of these words is an address, whatever its tool does.
pub fn is_called_address(names: &[String]) -> bool {
    any(names, URLS) || any(names, ADDRESSES)
}

/// Whether an argument is an address by its name, its format or the words with which its description begins. More than
/// [`classes`] takes for one, which recorded decisions rest on.
pub fn is_address(action: &str, name: &str, schema: &Value) -> bool {
    let (action, names) = (&own_words(action), &words(name));
    // A switch, or how often a redirect is followed.
    if matches!(type_of(schema), Some("boolean" | "integer" | "number")) {
        return false;
    }
    let item = schema.get("items");
    let of = |key: &str| [Some(schema), item].into_iter().flatten().find_map(|s| s.get(key)?.as_str());
    let format = matches!(of("format"), Some("uri" | "url" | "iri" | "uri-reference" | "hostname"));
    let pattern = of("pattern").is_some_and(|p| p.trim_start_matches(['^', '(']).starts_with("http"));
    let place =
        any(names, PLACES) && any(action, WEB) && !any(action, &["file", "path", "folder", "directory"]);
    let said = schema.get("description").and_then(Value::as_str).is_some_and(|text| {
        let first: Vec<String> = words(text).into_iter().take(SAID_FIRST).collect();
        any(&first, &["url", "uri", "href", "hyperlink", "webhook"])
    });
    any(names, ADDRESSES) || format || pattern || place || (said && !any(names, ABOUT))
}

fn type_of(schema: &Value) -> Option<&str> {
    let options = schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Value::as_array);
    let own = match schema.get("type") {
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).find(|n| *n != "null"),
        Some(Value::String(name)) => Some(name.as_str()),
        _ => None,
    };
    own.or_else(|| options?.iter().filter_map(|o| o.get("type")?.as_str()).find(|n| *n != "null"))
}

/// How bad the worst is that can come of it, 0 to 3.
pub fn severity(action: &str, effect: Effect) -> u8 {
    let words = own_words(action);
    match effect {
        Effect::Read => 0,
        Effect::Pay | Effect::Execute | Effect::Deploy | Effect::Grant => 3,
        _ if any(&words, MONEY) || any(&words, EXECUTES) || any(&words, RIGHTS) => 3,
        Effect::Write | Effect::Delete | Effect::Send => 2,
    }
}

/// Whom it reaches.
pub fn egress(action: &str, effect: Effect, classes: impl Iterator<Item = Class>) -> Audience {
    let reaches = classes.into_iter().any(|c| c.is_destination() || matches!(c, Class::Command));
    match effect {
        Effect::Send | Effect::Pay | Effect::Execute => Audience::External,
        Effect::Read | Effect::Write | Effect::Delete | Effect::Grant | Effect::Deploy => {
            let sends = effect.changes_something() && any(&own_words(action), SENDS);
            if reaches || sends { Audience::External } else { Audience::None }
        }
    }
}

/// The words by which a goal would ask for it.
pub fn intent(action: &str, effect: Effect, profile: bool) -> Intent {
    let words = own_words(action);
    let verb = words.first().map_or("", String::as_str);
    let of = |list: &[&str]| -> BTreeSet<String> { list.iter().map(|w| (*w).to_owned()).collect() };
    let mut intent = Intent::default();
    let weak: &[&str] = match verb {
        "delete" | "remove" | "cancel" | "drop" | "purge" | "clear" | "erase" | "archive" | "unsubscribe" => {
            &["delete", "remove", "cancel", "erase", "drop", "purge", "clear", "discard", "archive", "trash"]
        }
        "create" | "add" | "make" | "insert" | "new" | "schedule" | "book" | "reserve" | "register" => &[
            "create", "add", "make", "schedule", "book", "reserve", "set", "plan", "arrange", "organize",
            "put", "save", "write", "insert", "register", "enter",
        ],
        "update" | "edit" | "modify" | "change" | "set" | "rename" | "move" | "reschedule" | "append"
        | "adjust" | "replace" | "patch" => &[
            "update",
            "edit",
            "modify",
            "change",
            "set",
            "rename",
            "move",
            "reschedule",
            "append",
            "add",
            "adjust",
            "increase",
            "decrease",
            "replace",
            "correct",
            "fix",
            "postpone",
            "shift",
            "insert",
        ],
        "share" | "invite" | "grant" | "give" => {
            &["share", "invite", "grant", "give", "add", "send", "allow"]
        }
        "run" | "exec" | "execute" | "start" | "launch" => &["run", "execute", "start", "launch", "call"],
        "send" | "post" | "reply" | "forward" | "mail" | "email" | "message" | "notify" | "publish" => &[
            "send", "write", "post", "forward", "reply", "respond", "answer", "message", "email", "mail",
            "notify", "tell", "inform", "ask", "publish", "let",
        ],
        _ => &[],
    };
    intent.weak = of(weak);
    if !verb.is_empty() {
        intent.weak.insert(verb.to_owned());
    }
    if effect == Effect::Pay || any(&words, MONEY) {
        intent.weak.extend(of(&["send", "settle", "make", "give", "process"]));
        intent.objects.extend(of(&[
            "money",
            "payment",
            "bill",
            "invoice",
            "rent",
            "transaction",
            "fee",
            "transfer",
        ]));
        // To change a standing payment is something else than to pay.
        if !matches!(verb, "update" | "edit" | "cancel" | "delete" | "get") {
            intent.strong = of(&["pay", "transfer", "wire", "refund", "reimburse", "repay", "remit"]);
        }
    }
    if profile {
        intent.objects.extend(of(&[
            "profile",
            "address",
            "street",
            "city",
            "phone",
            "name",
            "details",
            "information",
        ]));
    }
    for word in words.iter().skip(usize::from(words.len() > 1)) {
        intent.objects.insert(word.clone());
        let others: &[&str] = match word.as_str() {
            "email" | "mail" => &["email", "mail", "message", "e-mail"],
            "event" | "calendar" => {
                &["event", "meeting", "appointment", "calendar", "lunch", "dinner", "call"]
            }
            "file" | "files" => &["file", "document", "doc", "note", "spreadsheet"],
            "participants" | "attendees" => &["participant", "attendee", "meeting", "event"],
            "transaction" => &["transaction", "payment", "transfer"],
            "message" | "dm" => &["message", "dm"],
            _ => &[],
        };
        intent.objects.extend(of(others));
    }
    intent
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn class(action: &str, argument: &str, schema: Value) -> &'static str {
        let schema = json!({"properties": {argument: schema}});
        let effect = if action.starts_with("get") { Effect::Read } else { Effect::Write };
        classes(action, effect, &Fields::default(), &schema).get(argument).map_or("", |c| c.name())
    }

    #[test]
    fn names_suggest_roles_and_what_nobody_knows_must_be_proven() {
        let text = || json!({"type": "string"});
        for (action, argument, schema, expected) in [
            ("s.send_money", "recipient", text(), "dest_account"),
            ("s.send_money", "amount", json!({"type": "number"}), "magnitude"),
            ("s.send_money", "subject", text(), "content"),
            ("s.send_money", "date", text(), "time"),
            ("s.update_password", "password", text(), "credential"),
            ("s.update_user_info", "street", text(), "profile"),
            ("s.update_user_info", "first_name", json!({"type": ["string", "null"]}), "profile"),
            ("s.send_email", "recipients", json!({"type": "array"}), "dest_email"),
            ("s.send_email", "attachments", json!({"type": "array"}), "attachments"),
            ("s.create_calendar_event", "participants", json!({"type": "array"}), "dest_email"),
            ("s.share_file", "file_id", text(), "target_id"),
            ("s.share_file", "permission", json!({"enum": ["r", "rw"]}), "flag"),
            ("sendMessage", "channelName", text(), "dest_name"),
            ("write_file", "path", text(), "target_path"),
            ("write_file", "content", text(), "content"),
            ("run_command", "command", text(), "command"),
            ("db_query", "query", text(), "query_sql"),
            ("get_webpage", "url", text(), "dest_url"),
            ("get_page", "page_token", text(), "selector"),
            ("create_thing", "frobnication", text(), "target_name"),
            ("create_thing", "frobnications", json!({"type": "integer"}), "magnitude"),
            ("create_thing", "silent", json!({"type": "boolean"}), "flag"),
        ] {
            assert_eq!(class(action, argument, schema), expected, "{action} {argument}");
        }
    }

    #[test]
    fn an_address_has_many_names() {
        let text = || json!({"type": "string"});
        let about = |text: &str| json!({"type": "string", "description": text});
        for (action, argument, schema, expected) in [
            ("get_page", "href", text(), true),
            ("create_job", "callback", text(), true),
            ("create_job", "redirectTo", text(), true),
            ("create_job", "on_done", about("The URL that is called"), true),
            (
                "create_job",
                "target",
                json!({"type": "array", "items": {"type": "string", "format": "uri"}}),
                true,
            ),
            ("create_job", "to", json!({"type": "string", "pattern": "^https?://"}), true),
            ("s.fetch", "src", text(), true),
            ("get_download", "source", text(), true),
            ("create_job", "follow_redirects", json!({"type": "boolean"}), false),
            ("create_job", "max_redirects", json!({"type": "integer"}), false),
            ("create_post", "text", about("Text, each URL counts 23"), false),
            ("get_page", "page_id", about("ID or URL of the page"), false),
            ("search", "query", about("What to look for, no URL"), false),
            ("copy_file", "src", text(), false),
            ("download_file", "target", text(), false),
            ("get_flights", "origin", text(), false),
        ] {
            assert_eq!(is_address(action, argument, &schema), expected, "{action} {argument}");
        }
    }

    #[test]
    fn money_rights_and_programs_are_the_worst() {
        for (action, effect, expected) in [
            ("send_money", Effect::Write, 3),
            ("update_password", Effect::Write, 3),
            ("run_command", Effect::Write, 3),
            ("send_email", Effect::Write, 2),
            ("get_balance", Effect::Read, 0),
        ] {
            assert_eq!(severity(action, effect), expected, "{action}");
        }
    }
}
