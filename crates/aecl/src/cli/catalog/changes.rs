//! Tools that are offered otherwise than they were accepted: shown line by line, and accepted.

use crate::cli::{Error, Exit, Result, show};
use crate::mcp::catalogue::{self, CatalogueError, Seen};
use crate::mcp::names;
use aecl_gate::config::Home;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Most lines of a text that are compared line by line. Beyond it the texts stand one after the other.
const COMPARED_MAX: usize = 2_000;

/// The members of which it is shown what has changed.
const KEYS: [&str; 9] = [
    "name",
    "title",
    "description",
    "instructions",
    "arguments",
    "inputSchema",
    "outputSchema",
    "annotations",
    "_meta",
];

/// A tool of which another definition is offered, or something else that a server says otherwise than before.
pub(super) struct Change {
    pub name: String,
    server: String,
    tool: String,
    /// Whether it is what a server says of itself or of a prompt, and no tool.
    is_said: bool,
    seen: Seen,
}

impl Change {
    /// Whether the tool is used as it was accepted, without what is new in how it is shown.
    pub(super) fn is_in_part(&self) -> bool {
        self.seen.offered.is_none() && self.seen.left_out.is_some()
    }

    fn is_minor(&self) -> bool {
        let (accepted, offered) = (self.seen.accepted.as_ref(), self.seen.offered.as_ref());
        !self.is_said
            && accepted.zip(offered).is_some_and(|(accepted, offered)| catalogue::is_minor(accepted, offered))
    }
}

/// Every tool of which another definition is offered.
pub(super) fn all(home: &Home) -> std::result::Result<Vec<Change>, Error> {
    let mut out = Vec::new();
    for server in catalogue::servers(home)? {
        for (tool, seen) in catalogue::seen(home, &server)? {
            if seen.waiting().is_some() {
                let name = names::action(&server, &tool);
                out.push(Change { name, server: server.clone(), tool, is_said: false, seen });
            }
        }
        for (tool, seen) in catalogue::said(home, &server)? {
            if seen.offered.is_some() {
                let name = format!("{server}:{tool}");
                out.push(Change { name, server: server.clone(), tool, is_said: true, seen });
            }
        }
    }
    Ok(out)
}

/// Those that the names mean; all of them if there are no names.
fn meant(home: &Home, asked: &[String]) -> std::result::Result<Vec<Change>, Error> {
    let mut found = all(home)?;
    for name in asked {
        if !found.iter().any(|change| means(name, change)) {
            let error = Error::new(format!(
                "nothing waits to be accepted for `{name}`; nobody was offered another definition"
            ));
            return Err(error.hint("`aecl catalog diff` shows what waits to be accepted"));
        }
    }
    found.retain(|change| asked.is_empty() || asked.iter().any(|name| means(name, change)));
    Ok(found)
}

/// Whether a name is this server, this tool, or a pattern that fits it.
fn means(name: &str, change: &Change) -> bool {
    name == change.server || fits(name.as_bytes(), change.name.as_bytes())
}

/// Whether a text has a pattern in which `*` stands for anything.
pub(super) fn fits(pattern: &[u8], text: &[u8]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((b'*', rest)) => (0..=text.len()).any(|n| text.get(n..).is_some_and(|text| fits(rest, text))),
        Some((first, rest)) => text.split_first().is_some_and(|(c, text)| c == first && fits(rest, text)),
    }
}

pub(super) fn diff(home: &Home, who: &str, asked: &[String], as_json: bool) -> Result {
    let found = meant(home, asked)?;
    if as_json {
        let rows = found.iter().map(|c| {
            let seen = &c.seen;
            let (accepted, offered, left_out) = (&seen.accepted, &seen.offered, &seen.left_out);
            json!({"name": c.name, "minor": c.is_minor(), "accepted": accepted, "offered": offered, "left_out": left_out})
        });
        println!("{}", Value::Array(rows.collect()));
        note_shown(home, who, &found);
        return Ok(Exit::Done);
    }
    if found.is_empty() {
        println!("nothing has changed");
        return Ok(Exit::Done);
    }
    for change in &found {
        let minor = if change.seen.is_new() {
            "  (new: kept back until it is accepted)"
        } else if change.is_in_part() {
            "  (in use as it was accepted; this is left out)"
        } else if change.is_minor() {
            "  (minor: it only takes less than before)"
        } else {
            ""
        };
        println!("{}{minor}", show::inert_line(&change.name));
        println!(
            "  in the words of the server `{}`, which nobody has checked:",
            show::inert_line(&change.server)
        );
        let text = |of: &Option<Value>, key: &str| of.as_ref().and_then(|v| v.get(key)).map(text);
        let seen = &change.seen;
        let (before, after) = match (&seen.offered, &seen.left_out) {
            (Some(_), _) => (&seen.accepted, &seen.offered),
            (None, _) => (&seen.accepted, &seen.left_out),
        };
        for key in KEYS.into_iter().filter(|key| *key != "name" || change.is_said) {
            let (before, after) = (text(before, key), text(after, key));
            if before != after {
                println!("  {key}");
                let (before, after) = (before.unwrap_or_default(), after.unwrap_or_default());
                for line in lines(&before, &after).iter().flat_map(|line| fitting(line)) {
                    println!("  │ {line}");
                }
            }
        }
    }
    note_shown(home, who, &found);
    let mut servers: BTreeMap<&str, usize> = BTreeMap::new();
    for change in &found {
        *servers.entry(change.server.as_str()).or_default() += 1;
    }
    for (server, n) in servers {
        eprintln!("accept all {n} of `{server}` with `aecl catalog accept {server}`, or name some of them");
    }
    Ok(Exit::Done)
}

/// Notes what was shown to whom, so that they accept nothing else.
fn note_shown(home: &Home, who: &str, found: &[Change]) {
    for change in found {
        let shown = [(change.tool.clone(), change.seen.waiting_digest())];
        if let Err(error) = catalogue::note_shown(home, &change.server, change.is_said, who, &shown) {
            eprintln!("it is not noted that `{}` was shown: {error}", show::inert_line(&change.name));
        }
    }
}

/// A line in rows that fit beside the mark. All but the first begin with a sign with which no line does.
fn fitting(line: &str) -> Vec<String> {
    match show::rows::columns() {
        Some(columns) => show::rows::rows(line, columns - 4, "> "),
        None => vec![line.to_owned()],
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => serde_json::to_string_pretty(other).unwrap_or_default(),
    }
}

/// What differs, line by line, with a line around it. It is a stranger's text, so nothing in it steers the terminal.
fn lines(before: &str, after: &str) -> Vec<String> {
    let (a, b): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let mut all: Vec<(char, &str)> = Vec::new();
    if a.len().max(b.len()) > COMPARED_MAX {
        all.extend(a.iter().map(|line| ('-', *line)).chain(b.iter().map(|line| ('+', *line))));
    } else {
        all.extend(compared(&a, &b));
    }
    let near = |i: usize| {
        let from = i.saturating_sub(1);
        all.get(from..(i + 2).min(all.len())).is_some_and(|some| some.iter().any(|(sign, _)| *sign != ' '))
    };
    let mut out = Vec::new();
    let mut is_cut = false;
    for (i, (sign, line)) in all.iter().enumerate() {
        if near(i) {
            out.push(format!("{sign} {}", show::inert_line(line)));
            is_cut = false;
        } else if !is_cut {
            out.push("  …".into());
            is_cut = true;
        }
    }
    out
}

/// The longest common lines stay, the others go or come.
fn compared<'a>(a: &[&'a str], b: &[&'a str]) -> Vec<(char, &'a str)> {
    let width = b.len() + 1;
    let mut common = vec![0u32; (a.len() + 1) * width];
    let at = |common: &[u32], i: usize, j: usize| common.get(i * width + j).copied().unwrap_or(0);
    for (i, left) in a.iter().enumerate().rev() {
        for (j, right) in b.iter().enumerate().rev() {
            let longest = if left == right {
                at(&common, i + 1, j + 1) + 1
            } else {
                at(&common, i + 1, j).max(at(&common, i, j + 1))
            };
            if let Some(place) = common.get_mut(i * width + j) {
                *place = longest;
            }
        }
    }
    let (mut i, mut j, mut out) = (0, 0, Vec::new());
    loop {
        match (a.get(i), b.get(j)) {
            (Some(left), Some(right)) if left == right => {
                out.push((' ', *left));
                (i, j) = (i + 1, j + 1);
            }
            (Some(left), right) if right.is_none() || at(&common, i + 1, j) >= at(&common, i, j + 1) => {
                out.push(('-', *left));
                i += 1;
            }
            (_, Some(right)) => {
                out.push(('+', *right));
                j += 1;
            }
            (Some(_) | None, None) => return out,
        }
    }
}

pub(super) fn accept(home: &Home, who: &str, asked: &[String], only_minor: bool, as_json: bool) -> Result {
    let mut found = meant(home, asked)?;
    let before = found.len();
    if only_minor {
        found.retain(Change::is_minor);
    } else if let Some(unseen) = found.iter().find(|change| !change.seen.was_shown(who)) {
        return Err(CatalogueError::Unseen(show::inert_line(&unseen.name)).into());
    }
    let mut by_server: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for change in found.iter().filter(|change| !change.is_said) {
        let these = by_server.entry(change.server.clone()).or_default();
        these.push((change.tool.clone(), change.seen.waiting_digest()));
    }
    let mut entries = Vec::new();
    for change in found.iter().filter(|change| change.is_said) {
        let this = [(change.tool.clone(), change.seen.waiting_digest())];
        catalogue::accept_said(home, &change.server, &this)?;
        if as_json {
            entries.push(json!({"name": change.name}));
        } else {
            println!("`{}` is accepted as it is said now", show::inert_line(&change.name));
        }
    }
    for (server, tools) in by_server {
        for (tool, entry) in catalogue::accept_these(home, &server, &tools)? {
            let name = names::action(&server, &tool);
            if !as_json {
                let effect = entry.get("effect").and_then(Value::as_str).unwrap_or_default();
                let name = show::inert_line(&name);
                println!("`{name}` is accepted as it is offered now (effect `{effect}`)");
            }
            entries.push(entry);
        }
    }
    if as_json {
        println!("{}", Value::Array(entries));
        return Ok(Exit::Done);
    }
    match (found.len(), before) {
        (0, 0) => eprintln!("nothing waits to be accepted"),
        (0, n) => eprintln!("none of the {n} that wait is minor; `aecl catalog diff` shows them"),
        (_, _) => eprintln!("a running `aecl serve` takes it up by itself"),
    }
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_changed_line_is_shown_with_its_neighbours() {
        let before = "{\n  \"a\": 1,\n  \"b\": 2,\n  \"c\": 3,\n  \"d\": 4\n}";
        let after = "{\n  \"a\": 1,\n  \"b\": 2,\n  \"x\u{1b}\": 0,\n  \"c\": 3,\n  \"d\": 4\n}";
        let expected = ["  …", "    \"b\": 2,", "+   \"x\\u{1b}\": 0,", "    \"c\": 3,", "  …"];
        assert_eq!(lines(before, after), expected);
        assert_eq!(lines("", "new"), ["+ new"]);
        assert_eq!(lines("same", "same"), ["  …"]);
    }

    #[test]
    fn a_pattern_stands_for_any_text() {
        for (pattern, name, fitting) in [
            ("files.*", "files.read_file", true),
            ("files.read_*", "files.read_file", true),
            ("files.read_*", "files.write_file", false),
            ("*", "files.a", true),
            ("files.a", "files.a", true),
            ("files.a", "files.ab", false),
        ] {
            assert_eq!(fits(pattern.as_bytes(), name.as_bytes()), fitting, "{pattern} {name}");
        }
    }
}
