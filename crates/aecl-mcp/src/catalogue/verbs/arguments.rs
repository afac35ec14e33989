//! The arguments of a tool: by which of them a caller makes a read into a change. The whole schema is looked through,
//! whatever its parts are for; what a part that describes nothing would let in is not.

use super::text::{HEADS, argument_text_changes, base, is_foreign};
use super::{ALWAYS, EXECUTES, LINKS, NOUNS_IN_TEXT, SOMETIMES, is_half_a_noun, joined, words};
use serde_json::Value;

/// A schema that is deeper, or has more parts, counts as one that changes something.
const DEPTH_MAX: usize = 64;
const PARTS_MAX: usize = 20_000;
/// References that are followed one after the other.
const REFS_MAX: usize = 8;

/// Arguments that choose what is done.
const CHOICES: [&str; 11] = [
    "action",
    "operation",
    "op",
    "method",
    "command",
    "cmd",
    "mode",
    "verb",
    "function",
    "procedure",
    "step",
];
/// Of these, the ones that say with any text what is done; and texts that are carried out.
const ORDERS: [&str; 10] =
    ["action", "operation", "op", "command", "cmd", "verb", "script", "shell", "javascript", "js"];
/// How a request is made, which is a change for most of them. A `payment_method` is no method.
const METHODS: [&str; 4] = ["method", "http method", "request method", "http verb"];
/// What is looked for by names of changes: events and rights.
const LOOKED_FOR: [&str; 14] = [
    "access",
    "activities",
    "activity",
    "capabilities",
    "capability",
    "event",
    "grant",
    "permission",
    "policy",
    "privilege",
    "right",
    "role",
    "scope",
    "trigger",
];
/// Words before a verb that is meant: `auto_delete`.
const MEANT: [&str; 9] = ["auto", "also", "should", "will", "do", "force", "please", "with", "on"];
/// Verbs that are nouns before another noun: `stage_id`.
const NOUNS_TOO: [&str; 14] = [
    "edit", "forward", "init", "install", "launch", "leave", "login", "pay", "put", "register", "stage",
    "trigger", "update", "upload",
];

/// The argument, text or choice by which it says that it changes something.
pub(in super::super) fn argument_changes(schema: &Value) -> Option<String> {
    Walk { root: schema, parts: 0 }.look(schema, None, 0)
}

/// Whether an argument is called like one that chooses what is done.
pub(in super::super) fn is_called_choice(name: &str) -> bool {
    words(name).last().is_some_and(|last| CHOICES.contains(&singular(last)))
}

/// An argument that nothing is said of.
static UNKNOWN: Value = Value::Null;

struct Walk<'a> {
    root: &'a Value,
    parts: usize,
}

impl<'a> Walk<'a> {
    /// Looks at a part of the schema and at all below. `of` is the argument that it describes.
    fn look(&mut self, part: &'a Value, of: Option<&str>, depth: usize) -> Option<String> {
        self.parts += 1;
        if depth > DEPTH_MAX || self.parts > PARTS_MAX {
            return Some(format!("more than {DEPTH_MAX} levels or {PARTS_MAX} parts"));
        }
        let members = match part {
            Value::Object(members) => members,
            Value::Array(parts) => return parts.iter().find_map(|part| self.look(part, of, depth + 1)),
            _ => return None,
        };
        members.iter().find_map(|(key, value)| match (key.as_str(), value) {
            ("title", Value::String(title)) => title_changes(title, of),
            ("description", Value::String(text)) => argument_text_changes(text),
            ("enum" | "const", _) => choice(value, of),
            ("$ref", Value::String(_)) => {
                let target = self.target(part)?;
                ["enum", "const"].iter().find_map(|key| choice(target.get(key)?, of))
            }
            ("required", Value::Array(names)) => {
                let known = part.get("properties");
                let names = names.iter().filter_map(Value::as_str);
                let mut unknown = names.filter(|name| known.is_none_or(|known| known.get(name).is_none()));
                unknown.find_map(|name| self.named(name, &UNKNOWN))
            }
            ("properties" | "patternProperties", Value::Object(arguments)) => {
                arguments.iter().find_map(|(name, argument)| {
                    self.named(name, argument).or_else(|| self.look(argument, Some(name), depth + 1))
                })
            }
            // Names of parts, which may be called like anything.
            ("$defs" | "definitions" | "dependentSchemas" | "dependencies", Value::Object(parts)) => {
                parts.values().find_map(|part| self.look(part, None, depth + 1))
            }
            ("default" | "examples" | "example", _) => chosen_before(value, of),
            ("pattern", Value::String(pattern)) => {
                let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
                pattern.split(|c| !word(c)).find_map(|option| choice(&Value::String(option.to_owned()), of))
            }
            _ => self.look(value, of, depth + 1),
        })
    }

    /// What a reference within the schema leads to.
    fn target(&self, part: &'a Value) -> Option<&'a Value> {
        let mut at = part;
        for _ in 0..REFS_MAX {
            match at.get("$ref").and_then(Value::as_str) {
                Some(pointer) => at = self.root.pointer(pointer.strip_prefix('#')?)?,
                None => return Some(at),
            }
        }
        None
    }

    /// An argument whose name says that it changes something.
    fn named(&self, name: &str, argument: &'a Value) -> Option<String> {
        let words = words(name);
        let switch = self.is_switch(argument, 0);
        let at = |i: usize| words.get(i).map_or("", String::as_str);
        let said = words.iter().enumerate().any(|(i, word)| {
            let before = i.checked_sub(1).map_or("", at);
            let is_meant = i == 0 || LINKS.contains(&before) || MEANT.contains(&before);
            let is_noun = is_half_a_noun(word, at(i + 1))
                || switch == Some(false)
                    && NOUNS_TOO.contains(&word.as_str())
                    && (words.len() == 1 || HEADS.contains(&at(i + 1)));
            let always = ALWAYS.contains(&word.as_str()) && !is_noun && (is_meant || switch != Some(false));
            let sometimes = switch == Some(true)
                && SOMETIMES.contains(&word.as_str())
                && !NOUNS_IN_TEXT.contains(&word.as_str())
                && is_meant
                && words.len() > 1;
            always || sometimes || joined(word)
        });
        let last = singular(words.last().map_or("", String::as_str));
        let is_method = METHODS.contains(&words.join(" ").as_str());
        let orders =
            (ORDERS.contains(&last) || is_method) && switch != Some(true) && !self.is_listed(argument, 0);
        let writes = self.says_where_to_write(&words, argument);
        let found = is_foreign(name).is_some() || said || orders || writes;
        found.then(|| name.to_owned())
    }

    /// Whether it says where something is written, what it will be, or how a program is started that does the looking.
    fn says_where_to_write(&self, words: &[String], argument: &'a Value) -> bool {
        const OUT: [&str; 8] = ["dest", "destination", "log", "out", "outfile", "output", "save", "write"];
        const FILES: [&str; 7] = ["dir", "directory", "file", "filename", "folder", "path", "to"];
        const STARTED: [&str; 5] = ["args", "argv", "flag", "flags", "opts"];
        let is_free = || self.is_switch(argument, 0) != Some(true) && !self.is_listed(argument, 0);
        let has = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
        let last = words.last().map_or("", String::as_str);
        let out = has(&OUT) && (has(&FILES) || (words.len() == 1 && last != "log"));
        let anew = words.len() > 1 && words.first().is_some_and(|first| first == "new");
        (out || anew || STARTED.contains(&last)) && is_free()
    }

    /// Whether it is yes or no, if that can be seen.
    fn is_switch(&self, argument: &'a Value, depth: usize) -> Option<bool> {
        let argument = self.target(argument)?;
        if let Some(options) = options(argument) {
            return Some(options.iter().any(|option| option.is_boolean()));
        }
        match argument.get("type") {
            Some(Value::String(kind)) => return Some(kind == "boolean"),
            Some(Value::Array(kinds)) => return Some(kinds.iter().any(|kind| kind == "boolean")),
            _ => {}
        }
        if argument.get("properties").or_else(|| argument.get("items")).is_some() {
            return Some(false);
        }
        let either = ["anyOf", "oneOf", "allOf"].iter().find_map(|key| argument.get(key)?.as_array())?;
        if depth > REFS_MAX {
            return None;
        }
        let each: Vec<_> = either.iter().map(|part| self.is_switch(part, depth + 1)).collect();
        if each.contains(&Some(true)) {
            return Some(true);
        }
        (!each.is_empty() && !each.contains(&None)).then_some(false)
    }

    /// Whether all that it can be is listed, or is no text.
    fn is_listed(&self, argument: &'a Value, depth: usize) -> bool {
        let Some(argument) = self.target(argument).filter(|_| depth <= REFS_MAX) else { return false };
        if options(argument).is_some() {
            return true;
        }
        if let Some(items) = argument.get("items") {
            return self.is_listed(items, depth + 1);
        }
        if let Some(either) = ["anyOf", "oneOf"].iter().find_map(|key| argument.get(key)?.as_array()) {
            return either.iter().all(|part| self.is_listed(part, depth + 1));
        }
        let kinds: Vec<&str> = match argument.get("type") {
            Some(Value::String(kind)) => vec![kind],
            Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
            _ => return false,
        };
        !kinds.is_empty() && kinds.iter().all(|kind| ["integer", "number", "null", "boolean"].contains(kind))
    }
}

/// What an argument can be, where that is listed.
fn options(argument: &Value) -> Option<Vec<&Value>> {
    match (argument.get("enum"), argument.get("const")) {
        (Some(Value::Array(options)), _) => Some(options.iter().collect()),
        (_, Some(only)) => Some(vec![only]),
        _ => None,
    }
}

/// The choice that is one of a change.
fn choice(listed: &Value, of: Option<&str>) -> Option<String> {
    let of = of.map(words).unwrap_or_default();
    let is_looked_for = of.iter().any(|word| LOOKED_FOR.contains(&singular(word)));
    let of = singular(of.last().map_or("", String::as_str));
    let options = match listed {
        Value::Array(options) => options.iter().collect(),
        only => vec![only],
    };
    let mut options = options.into_iter().filter_map(Value::as_str);
    options.find_map(|option| {
        let words = words(option);
        let changes = words.iter().enumerate().any(|(i, word)| {
            let is_meant = i == 0 || words.get(i - 1).is_some_and(|before| LINKS.contains(&before.as_str()));
            let word = word.as_str();
            let known = match of {
                of if CHOICES.contains(&of) => base(word).is_some() || EXECUTES.contains(&word),
                _ if is_looked_for => false,
                _ => ALWAYS.contains(&word) && !NOUNS_TOO.contains(&word),
            };
            is_meant && known
        });
        (changes || is_foreign(option).is_some()).then(|| option.to_owned())
    })
}

/// The choice that is one of a change, among those that an argument is shown with. Where it chooses nothing they are any
/// words.
fn chosen_before(shown: &Value, of: Option<&str>) -> Option<String> {
    let of_choice =
        of.map(words).unwrap_or_default().last().is_some_and(|last| CHOICES.contains(&singular(last)));
    if of_choice { choice(shown, of) } else { None }
}

/// A title that repeats the name of its argument says nothing new.
fn title_changes(title: &str, of: Option<&str>) -> Option<String> {
    if of.is_some_and(|of| words(of) == words(title)) {
        return is_foreign(title);
    }
    match title.contains(char::is_whitespace) {
        true => argument_text_changes(title),
        false => super::title_changes(title),
    }
}

fn singular(word: &str) -> &str {
    match word {
        "js" | "access" | "activities" | "capabilities" => word,
        word => word.strip_suffix('s').unwrap_or(word),
    }
}
