//! Edits a list in `aecl.yaml` as a person would: every comment and every other line stays as it is.
//!
//! It knows the forms in which such a list is written by hand and refuses others. Whether the edit means what
//! it should is not judged here: the caller reads the new text as configuration and compares.

use super::Error;
use std::collections::BTreeSet;

/// A text as YAML takes it whatever it looks like.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::String(text.to_owned()).to_string()
}

/// A list of texts on one line.
pub(super) fn flow(texts: &BTreeSet<String>) -> String {
    format!("[{}]", texts.iter().map(|t| quoted(t)).collect::<Vec<_>>().join(", "))
}

/// Appends an entry to a list. A list that is not there is added at the end.
pub(super) fn insert(text: &str, list: &str, entry: &[String]) -> Result<String, Error> {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let Some(found) = find(&lines, list)? else {
        lines.extend([String::new(), format!("{list}:")]);
        lines.extend(item(2, entry));
        return Ok(joined(&lines));
    };
    if found.empty_flow {
        open(&mut lines, list, &found);
    }
    let indent = found.items.first().map_or(2, |i| i.indent);
    let at = found.items.last().map_or(found.key + 1, |i| i.end);
    lines.splice(at..at, item(indent, entry));
    Ok(joined(&lines))
}

/// Takes the entry at `index` out of a list of `len`.
pub(super) fn remove(text: &str, list: &str, index: usize, len: usize) -> Result<String, Error> {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let found = find(&lines, list)?.filter(|f| f.items.len() == len).ok_or_else(|| by_hand(list))?;
    let gone = found.items.get(index).ok_or_else(|| by_hand(list))?;
    lines.drain(gone.start..gone.end);
    if len == 1
        && let Some(line) = lines.get_mut(found.key)
    {
        *line = line.replacen(&format!("{list}:"), &format!("{list}: []"), 1);
    }
    Ok(joined(&lines))
}

/// Where a list stands.
struct Found {
    /// The line of its key.
    key: usize,
    /// It is written as `[]`.
    empty_flow: bool,
    items: Vec<Item>,
}

/// Where an entry stands: its first line, and the line after its last.
struct Item {
    start: usize,
    end: usize,
    indent: usize,
}

fn find(lines: &[String], list: &str) -> Result<Option<Found>, Error> {
    let is_key = |line: &String| line.strip_prefix(list).is_some_and(|rest| rest.starts_with(':'));
    let Some(key) = lines.iter().position(is_key) else { return Ok(None) };
    let rest = lines.get(key).and_then(|l| l.split_once(':')).map_or("", |(_, rest)| rest);
    let value = rest.split(" #").next().unwrap_or_default().trim();
    let value = if value.starts_with('#') { "" } else { value };
    let empty_flow = value == "[]";
    if !value.is_empty() && !empty_flow {
        return Err(by_hand(list));
    }
    let mut items: Vec<Item> = Vec::new();
    for (at, line) in lines.iter().enumerate().skip(key + 1) {
        let content = line.trim_start();
        let indent = line.len() - content.len();
        if content.trim_end().is_empty() || content.starts_with('#') {
            continue;
        }
        let starts = content == "-" || content.starts_with("- ");
        if indent == 0 && !starts {
            break;
        }
        match items.last_mut() {
            Some(item) if indent > item.indent => item.end = at + 1,
            Some(item) if starts && indent == item.indent => {
                items.push(Item { start: at, end: at + 1, indent })
            }
            None if starts => items.push(Item { start: at, end: at + 1, indent }),
            Some(_) | None => return Err(by_hand(list)),
        }
    }
    if empty_flow && !items.is_empty() {
        return Err(by_hand(list));
    }
    Ok(Some(Found { key, empty_flow, items }))
}

/// Turns `list: []` into `list:`.
fn open(lines: &mut [String], list: &str, found: &Found) {
    if let Some(line) = lines.get_mut(found.key) {
        let rest = line.split_once("[]").map_or("", |(_, rest)| rest).to_owned();
        *line = format!("{list}:{rest}");
    }
}

fn item(indent: usize, entry: &[String]) -> Vec<String> {
    let pad = " ".repeat(indent);
    entry
        .iter()
        .enumerate()
        .map(|(i, line)| format!("{pad}{} {line}", if i == 0 { '-' } else { ' ' }))
        .collect()
}

fn joined(lines: &[String]) -> String {
    let mut text = lines.join("\n");
    text.push('\n');
    text
}

fn by_hand(list: &str) -> Error {
    Error::new(format!(
        "`{list}` in aecl.yaml is written in a form that is not edited here; nothing was changed"
    ))
    .hint("write it as a list with one `- id: …` block per entry, or edit the file by hand")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(text: &str) -> String {
        let entry = ["id: \"x\"".to_owned(), "key: k".to_owned()];
        insert(text, "people", &entry).unwrap_or_else(|e| format!("ERROR {}", e.message))
    }

    #[test]
    fn comments_and_neighbours_stay() {
        for (from, to) in [
            ("a: 1\n", "a: 1\n\npeople:\n  - id: \"x\"\n    key: k\n"),
            ("people: [] # none\nb: 2\n", "people: # none\n  - id: \"x\"\n    key: k\nb: 2\n"),
            ("people:\nb: 2\n", "people:\n  - id: \"x\"\n    key: k\nb: 2\n"),
            (
                "people:\n  # first\n  - id: a\n    key: b\n  # after\n\n# about b\nb: 2\n",
                "people:\n  # first\n  - id: a\n    key: b\n  - id: \"x\"\n    key: k\n  # after\n\n# about b\nb: 2\n",
            ),
            ("people:\n- id: a\nb: 2", "people:\n- id: a\n- id: \"x\"\n  key: k\nb: 2\n"),
        ] {
            assert_eq!(add(from), to);
        }
        for refused in
            ["people: [{id: a}]\n", "people: *anchor\n", "people: |\n  text\n", "people:\n  a: 1\n"]
        {
            assert!(add(refused).starts_with("ERROR"), "{refused}");
        }
    }

    #[test]
    fn an_entry_goes_and_nothing_else() {
        let text = "people:\n  # first\n  - id: a\n    groups:\n      - g\n  # second\n  - id: b\nc: 1\n";
        assert_eq!(
            remove(text, "people", 0, 2).unwrap(),
            "people:\n  # first\n  # second\n  - id: b\nc: 1\n"
        );
        assert_eq!(remove("people:\n  - id: a\nc: 1\n", "people", 0, 1).unwrap(), "people: []\nc: 1\n");
        assert!(remove(text, "people", 0, 3).is_err());
    }
}
