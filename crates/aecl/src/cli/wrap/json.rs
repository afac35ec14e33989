//! Changes of a JSON file that somebody else keeps: only what is meant changes. Order, numbers, comments and white space
//! of the rest stay as they are, which a parser that writes again would not do.

use std::ops::Range;

/// One member of an object, where it stands in the text.
#[derive(Debug, Clone)]
pub(super) struct Member {
    pub name: String,
    /// From the quote of the name.
    pub start: usize,
    pub value: Range<usize>,
}

/// Deeper than any configuration.
const DEPTH_MAX: usize = 64;

/// The members of the object that begins at this place of a text, as far as it is one. Comments and commas too many are
/// passed over: some clients have them.
pub(super) fn members(text: &str, object: &Range<usize>) -> Result<Vec<Member>, String> {
    let mut at = Scan { text, at: object.start };
    at.take('{')?;
    let mut members = Vec::new();
    loop {
        at.blank();
        match at.peek() {
            Some('}') => return Ok(members),
            Some(',') => at.at += 1,
            Some('"') => {
                let start = at.at;
                let name = at.string()?;
                at.blank();
                at.take(':')?;
                at.blank();
                let from = at.at;
                at.value(0)?;
                members.push(Member { name, start, value: from..at.at });
            }
            _ => return Err(at.wrong("a name or `}`")),
        }
    }
}

/// Where the text's own value stands.
pub(super) fn whole(text: &str) -> Result<Range<usize>, String> {
    let mut at = Scan { text, at: 0 };
    at.blank();
    let from = at.at;
    at.value(0)?;
    let to = at.at;
    at.blank();
    if at.peek().is_some() {
        return Err(at.wrong("the end"));
    }
    Ok(from..to)
}

/// The value behind these names, if there is one.
pub(super) fn at(text: &str, path: &[&str]) -> Result<Option<Range<usize>>, String> {
    let mut value = whole(text)?;
    for name in path {
        if !text.get(value.clone()).is_some_and(|value| value.starts_with('{')) {
            return Ok(None);
        }
        // A parser takes the last of two.
        match members(text, &value)?.into_iter().rfind(|member| member.name == *name) {
            Some(member) => value = member.value,
            None => return Ok(None),
        }
    }
    Ok(Some(value))
}

/// The value itself, without comments.
pub(super) fn read(text: &str, value: &Range<usize>) -> Option<serde_json::Value> {
    let text = text.get(value.clone())?;
    serde_json::from_str(text).ok().or_else(|| serde_json::from_str(&plain(text)).ok())
}

/// The text with a member of this object set: its value replaced, or the member added behind the others.
pub(super) fn set(
    text: &str,
    object: &Range<usize>,
    name: &str,
    value: &serde_json::Value,
) -> Result<String, String> {
    let all = members(text, object)?;
    let pretty = |indent: &str| {
        let value = serde_json::to_string_pretty(value).unwrap_or_default();
        value.replace('\n', &format!("\n{indent}"))
    };
    let mut out = text.to_owned();
    if let Some(member) = all.iter().rfind(|member| member.name == name) {
        out.replace_range(member.value.clone(), &pretty(&indent_at(text, member.start)));
        return Ok(out);
    }
    let name = serde_json::Value::from(name);
    match all.last() {
        Some(last) => {
            let indent = indent_at(text, last.start);
            let after_comma = comma_after(text, last.value.end);
            let comma = if after_comma.is_some() { "" } else { "," };
            let place = after_comma.unwrap_or(last.value.end);
            out.insert_str(place, &format!("{comma}\n{indent}{name}: {}", pretty(&indent)));
        }
        None => {
            let outer = indent_at(text, object.start);
            let indent = format!("{outer}  ");
            let member = format!("{{\n{indent}{name}: {}\n{outer}}}", pretty(&indent));
            out.replace_range(object.clone(), &member);
        }
    }
    Ok(out)
}

/// The items of the array that begins at this place of a text.
pub(super) fn items(text: &str, array: &Range<usize>) -> Result<Vec<Range<usize>>, String> {
    let mut at = Scan { text, at: array.start };
    at.take('[')?;
    let mut items = Vec::new();
    loop {
        at.blank();
        match at.peek() {
            Some(']') => return Ok(items),
            Some(',') => at.at += 1,
            _ => {
                let from = at.at;
                at.value(0)?;
                items.push(from..at.at);
            }
        }
    }
}

/// The text with one more item at the end of this array.
pub(super) fn push(text: &str, array: &Range<usize>, value: &serde_json::Value) -> Result<String, String> {
    let all = items(text, array)?;
    let pretty = |indent: &str| {
        let value = serde_json::to_string_pretty(value).unwrap_or_default();
        value.replace('\n', &format!("\n{indent}"))
    };
    let mut out = text.to_owned();
    match all.last() {
        Some(last) => {
            let indent = indent_at(text, last.start);
            let after_comma = comma_after(text, last.end);
            let comma = if after_comma.is_some() { "" } else { "," };
            let place = after_comma.unwrap_or(last.end);
            out.insert_str(place, &format!("{comma}\n{indent}{}", pretty(&indent)));
        }
        None => {
            let outer = indent_at(text, array.start);
            let indent = format!("{outer}  ");
            out.replace_range(array.clone(), &format!("[\n{indent}{}\n{outer}]", pretty(&indent)));
        }
    }
    Ok(out)
}

/// The text without one of the items of this array.
pub(super) fn without_item(text: &str, array: &Range<usize>, which: usize) -> Result<String, String> {
    let all = items(text, array)?;
    let before = which.checked_sub(1).and_then(|at| all.get(at));
    let (Some(item), next) = (all.get(which), all.get(which + 1)) else { return Ok(text.to_owned()) };
    let gone = match (before, next) {
        (Some(before), _) => before.end..item.end,
        (None, Some(next)) => item.start..next.start,
        (None, None) => {
            let mut scan = Scan { text, at: comma_after(text, item.end).unwrap_or(item.end) };
            scan.blank();
            array.start + 1..scan.at
        }
    };
    let mut out = text.to_owned();
    out.replace_range(gone, "");
    Ok(out)
}

/// The text without a member of this object.
pub(super) fn without(text: &str, object: &Range<usize>, name: &str) -> Result<String, String> {
    let all = members(text, object)?;
    let Some(at) = all.iter().rposition(|member| member.name == name) else { return Ok(text.to_owned()) };
    let (before, next) = (at.checked_sub(1).and_then(|at| all.get(at)), all.get(at + 1));
    let Some(member) = all.get(at) else { return Ok(text.to_owned()) };
    let gone = match (before, next) {
        (Some(before), _) => before.value.end..member.value.end,
        (None, Some(next)) => member.start..next.start,
        (None, None) => {
            let mut scan = Scan { text, at: comma_after(text, member.value.end).unwrap_or(member.value.end) };
            scan.blank();
            object.start + 1..scan.at
        }
    };
    let mut out = text.to_owned();
    out.replace_range(gone, "");
    Ok(out)
}

/// The blanks that the line of a place begins with.
fn indent_at(text: &str, place: usize) -> String {
    let before = text.get(..place).unwrap_or_default();
    let line = before.rsplit('\n').next().unwrap_or_default();
    line.chars().take_while(|c| *c == ' ' || *c == '\t').collect()
}

/// Behind the comma that follows a value, if one does.
fn comma_after(text: &str, place: usize) -> Option<usize> {
    let mut scan = Scan { text, at: place };
    scan.blank();
    (scan.peek() == Some(',')).then_some(scan.at + 1)
}

/// Without comments and without commas before what closes.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut scan = Scan { text, at: 0 };
    while let Some(c) = scan.peek() {
        let from = scan.at;
        scan.blank();
        if scan.at > from {
            out.push(' ');
            continue;
        }
        match c {
            '"' => {
                if scan.string().is_err() {
                    scan.at = text.len();
                }
                out.push_str(text.get(from..scan.at).unwrap_or_default());
            }
            '}' | ']' => {
                let kept = out.trim_end().trim_end_matches(',').len();
                out.truncate(kept);
                out.push(c);
                scan.at += 1;
            }
            c => {
                out.push(c);
                scan.at += c.len_utf8();
            }
        }
    }
    out
}

struct Scan<'a> {
    text: &'a str,
    at: usize,
}

impl Scan<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn wrong(&self, wanted: &str) -> String {
        let line = self.text.get(..self.at).unwrap_or_default().matches('\n').count() + 1;
        format!("line {line}: {wanted} is expected")
    }

    fn take(&mut self, wanted: char) -> Result<(), String> {
        if self.peek() != Some(wanted) {
            return Err(self.wrong(&format!("`{wanted}`")));
        }
        self.at += wanted.len_utf8();
        Ok(())
    }

    /// White space and comments.
    fn blank(&mut self) {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
            let blanks = rest.len() - trimmed.len();
            let comment = if trimmed.starts_with("//") {
                trimmed.find('\n').unwrap_or(trimmed.len())
            } else if trimmed.starts_with("/*") {
                trimmed.find("*/").map_or(trimmed.len(), |end| end + 2)
            } else {
                0
            };
            self.at += blanks + comment;
            if comment == 0 {
                return;
            }
        }
    }

    fn string(&mut self) -> Result<String, String> {
        let from = self.at;
        self.take('"')?;
        let mut escaped = false;
        let end = self.rest().char_indices().find_map(|(index, c)| match c {
            _ if escaped => {
                escaped = false;
                None
            }
            '\\' => {
                escaped = true;
                None
            }
            '"' => Some(index),
            _ => None,
        });
        let Some(end) = end else { return Err(self.wrong("the end of a text")) };
        self.at += end + 1;
        let quoted = self.text.get(from..self.at).unwrap_or_default();
        serde_json::from_str(quoted).map_err(|_| self.wrong("a text"))
    }

    fn value(&mut self, depth: usize) -> Result<(), String> {
        if depth > DEPTH_MAX {
            return Err(self.wrong("less depth"));
        }
        self.blank();
        match self.peek() {
            Some('"') => self.string().map(drop),
            Some(open @ ('{' | '[')) => {
                let close = if open == '{' { '}' } else { ']' };
                self.at += 1;
                loop {
                    self.blank();
                    match self.peek() {
                        Some(c) if c == close => {
                            self.at += 1;
                            return Ok(());
                        }
                        Some(',' | ':') => self.at += 1,
                        Some(_) => self.value(depth + 1)?,
                        None => return Err(self.wrong(&format!("`{close}`"))),
                    }
                }
            }
            Some(c) if c.is_ascii_alphanumeric() || c == '-' => {
                let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.');
                self.at += self.rest().len() - self.rest().trim_start_matches(is_part).len();
                Ok(())
            }
            _ => Err(self.wrong("a value")),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_is_meant_changes() {
        let text = "{\n  // mine\n  \"z\": 1.50,\n  \"mcpServers\": {\n    \"a\": { \"command\": \"npx\", \"x\": [1, 2,] },\n  },\n  \"big\": 12345678901234567890123\n}\n";
        let servers = at(text, &["mcpServers"]).unwrap().unwrap();
        let entry = at(text, &["mcpServers", "a"]).unwrap().unwrap();
        assert_eq!(read(text, &entry).unwrap(), json!({ "command": "npx", "x": [1, 2] }));
        let changed = set(text, &entry, "command", &json!("aecl")).unwrap();
        assert_eq!(changed, text.replace("\"npx\"", "\"aecl\""));
        let added = set(text, &servers, "b", &json!({ "command": "c" })).unwrap();
        assert_eq!(
            added,
            text.replace("[1, 2,] },", "[1, 2,] },\n    \"b\": {\n      \"command\": \"c\"\n    }")
        );
        let args = set(text, &entry, "args", &json!(["x"])).unwrap();
        assert_eq!(
            at(&args, &["mcpServers", "a", "args"]).unwrap().map(|r| read(&args, &r)),
            Some(Some(json!(["x"])))
        );
    }

    #[test]
    fn one_item_comes_and_goes_and_the_others_stay() {
        for text in [
            "{\"a\": []}",
            "{\"a\": [\n  {\"x\": 1} // mine\n]}",
            "{\"a\": [1, [2], \"]\",]}",
            "{ \"a\": [ /* none */ ] }",
        ] {
            let span = |text: &str| at(text, &["a"]).unwrap().unwrap();
            let had = items(text, &span(text)).unwrap().len();
            let more = push(text, &span(text), &json!({ "y": [3] })).unwrap();
            let all = items(&more, &span(&more)).unwrap();
            assert_eq!(all.len(), had + 1, "{more}");
            assert_eq!(read(&more, all.last().unwrap()), Some(json!({ "y": [3] })), "{more}");
            let less = without_item(&more, &span(&more), had).unwrap();
            let values = |text: &str| read(text, &whole(text).unwrap());
            assert_eq!(values(&less), values(text), "{less}");
            assert!(less.contains("// mine") || !text.contains("// mine"), "{less}");
        }
    }

    #[test]
    fn what_is_empty_or_missing_is_filled_and_what_is_broken_is_refused() {
        for empty in ["{}", " {\n}\n", "{ /* nothing */ }"] {
            let object = whole(empty).unwrap();
            let one = set(empty, &object, "mcpServers", &json!({ "a": {} })).unwrap();
            assert_eq!(
                at(&one, &["mcpServers", "a"]).unwrap().map(|r| read(&one, &r)),
                Some(Some(json!({}))),
                "{one}"
            );
        }
        for broken in ["", "{", "{\"a\": }", "{\"a\": 1} x", "{\"a", &"[".repeat(500)] {
            assert!(whole(broken).and_then(|object| members(broken, &object)).is_err(), "{broken}");
        }
        assert!(at("[1]", &["a"]).unwrap().is_none());
    }
}
