//! Takes our entries out of a file that was edited otherwise since: what they were comes back, what else stands there stays,
//! and an entry of ours that was edited itself is named.

use super::change::Change;
use super::entry::{Entry, Ours, of_json, of_toml, set};
use super::json;
use toml_edit::{DocumentMut, Item, TableLike};

/// What becomes of a file.
#[derive(Debug, Default)]
pub(super) struct Back {
    pub text: String,
    /// Servers that are as they were, or not there any more.
    pub undone: Vec<String>,
    /// Servers whose entries somebody has edited, and how.
    pub edited: Vec<(String, String)>,
    /// Their entries, for another try.
    pub left: Vec<Ours>,
}

/// The two keys of an entry that we write.
const KEYS: [&str; 2] = ["command", "args"];

/// The file without us, as far as our entries are as we wrote them.
pub(super) fn back(change: &Change, text: &str) -> Result<Back, String> {
    let mut back = Back { text: text.to_owned(), ..Back::default() };
    for ours in &change.entries {
        let before = change.before.as_deref().unwrap_or_default();
        let done = match change.client == "codex" {
            true => in_toml(&mut back.text, before, ours)?,
            false => in_json(&mut back.text, before, ours)?,
        };
        let name = ours.path.last().cloned().unwrap_or_default();
        match done {
            None => back.undone.push(name),
            Some(how) => {
                back.edited.push((name, how));
                back.left.push(ours.clone());
            }
        }
    }
    Ok(back)
}

/// Puts an entry back, or says how it was edited.
fn in_json(text: &mut String, before: &str, ours: &Ours) -> Result<Option<String>, String> {
    let path: Vec<&str> = ours.path.iter().map(String::as_str).collect();
    let (Some((name, list)), Some(span)) = (path.split_last(), json::at(text, &path)?) else {
        return Ok(None);
    };
    let entry = json::read(text, &span).ok_or("it cannot be read")?;
    if let Some(how) = edited(&of_json(&entry), ours) {
        return Ok(Some(how));
    }
    let was = if before.trim().is_empty() { None } else { json::at(before, &path)? };
    if was.is_none() {
        let more = json::members(text, &span)?.into_iter().map(|member| member.name);
        if let Some(how) = more_than_ours(more) {
            return Ok(Some(how));
        }
        let Some(list) = json::at(text, list)? else { return Ok(None) };
        *text = json::without(text, &list, name)?;
        return Ok(None);
    }
    for key in KEYS {
        let of_key = [&path[..], &[key]].concat();
        let old = json::at(before, &of_key)?.and_then(|span| before.get(span));
        match (old, json::at(text, &of_key)?) {
            (Some(old), Some(now)) => text.replace_range(now, old),
            _ => {
                let Some(span) = json::at(text, &path)? else { continue };
                *text = json::without(text, &span, key)?;
            }
        }
    }
    Ok(None)
}

fn in_toml(text: &mut String, before: &str, ours: &Ours) -> Result<Option<String>, String> {
    let parsed = |text: &str| text.parse::<DocumentMut>().map_err(|e| e.to_string());
    let (mut now, before) = (parsed(text)?, parsed(before)?);
    let Some((name, list)) = ours.path.split_last() else { return Ok(None) };
    let list = list.first().map(String::as_str).unwrap_or_default();
    let servers = now.get_mut(list).and_then(Item::as_table_like_mut);
    let Some(servers) = servers else { return Ok(None) };
    let Some(entry) = servers.get_mut(name).and_then(Item::as_table_like_mut) else { return Ok(None) };
    if let Some(how) = edited(&of_toml(entry), ours) {
        return Ok(Some(how));
    }
    let was = before.get(list).and_then(|list| list.get(name)).and_then(Item::as_table_like);
    match was {
        Some(was) => KEYS.into_iter().for_each(|key| put_back(entry, was, key)),
        None => {
            if let Some(how) = more_than_ours(entry.iter().map(|(key, _)| key.to_owned())) {
                return Ok(Some(how));
            }
            servers.remove(name);
        }
    }
    *text = now.to_string();
    Ok(None)
}

fn put_back(entry: &mut dyn TableLike, was: &dyn TableLike, key: &str) {
    match was.get(key) {
        Some(old) => set(entry, key, old.clone()),
        None => drop(entry.remove(key)),
    }
}

/// How an entry differs from what we wrote.
fn edited(entry: &Entry, ours: &Ours) -> Option<String> {
    match &entry.command {
        None => return Some("it has no `command` any more".into()),
        Some(command) if *command != ours.command => {
            return Some(format!("its `command` is `{command}` now"));
        }
        Some(_) => {}
    }
    (entry.args != ours.args).then(|| format!("its `args` are `{}` now", entry.args.join(" ")))
}

/// What an entry that we added has that we did not write.
fn more_than_ours(mut keys: impl Iterator<Item = String>) -> Option<String> {
    let more = keys.find(|key| !KEYS.contains(&key.as_str()));
    more.map(|key| format!("it has `{key}` now, and AECL has added the rest of it"))
}
