//! Takes our entries out of a file that was edited otherwise since: what they were comes back, what else stands there stays,
//! and an entry of ours that was edited itself is named.

use super::change::Change;
use super::entry::{Entry, Ours, of_json, of_toml, set};
use super::{hooks, json};
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

/// The file without us, as far as our entries are as we wrote them, also under another name than we gave them.
pub(super) fn back(change: &Change, text: &str) -> Result<Back, String> {
    let mut back = Back { text: text.to_owned(), ..Back::default() };
    let is_toml = change.client == "codex";
    for ours in &change.entries {
        let before = change.before.as_deref().unwrap_or_default();
        let mut names = match is_toml {
            true => alike_in_toml(&back.text, ours)?,
            false => alike_in_json(&back.text, ours)?,
        };
        let own = ours.path.last().cloned().unwrap_or_default();
        names.retain(|name| *name != own);
        names.insert(0, own);
        for name in names {
            let done = match is_toml {
                true => in_toml(&mut back.text, before, ours, &name)?,
                false => in_json(&mut back.text, before, ours, &name)?,
            };
            match done {
                None => back.undone.push(name),
                Some(how) => {
                    back.edited.push((name, how));
                    back.left.push(ours.clone());
                }
            }
        }
    }
    for hook in &change.hooks {
        let was = change.before.as_deref().unwrap_or_default();
        match hooks::take_out(&mut back.text, was, hook, is_toml)? {
            true => back.undone.push(format!("{} (hook)", hook.event)),
            false => back.edited.push((hook.event.clone(), "its hook is not as AECL wrote it".to_owned())),
        }
    }
    Ok(back)
}

/// The names beside that of an entry under which exactly what we wrote stands.
fn alike_in_json(text: &str, ours: &Ours) -> Result<Vec<String>, String> {
    let path: Vec<&str> = ours.path.iter().map(String::as_str).collect();
    let list = path.split_last().map_or(&[][..], |(_, list)| list);
    let Some(span) = json::at(text, list)? else { return Ok(Vec::new()) };
    let is_alike = |member: &json::Member| {
        json::read(text, &member.value).is_some_and(|entry| edited(&of_json(&entry), ours).is_none())
    };
    let alike = json::members(text, &span).unwrap_or_default().into_iter().filter(is_alike);
    Ok(alike.map(|member| member.name).collect())
}

fn alike_in_toml(text: &str, ours: &Ours) -> Result<Vec<String>, String> {
    let now = text.parse::<DocumentMut>().map_err(|e| e.to_string())?;
    let list = ours.path.first().map(String::as_str).unwrap_or_default();
    let Some(servers) = now.get(list).and_then(Item::as_table_like) else { return Ok(Vec::new()) };
    let is_alike =
        |entry: &Item| entry.as_table_like().is_some_and(|entry| edited(&of_toml(entry), ours).is_none());
    let alike = servers.iter().filter(|(_, entry)| is_alike(entry));
    Ok(alike.map(|(name, _)| name.to_owned()).collect())
}

/// Puts an entry back that stands under this name now, or says how it was edited.
fn in_json(text: &mut String, before: &str, ours: &Ours, name: &str) -> Result<Option<String>, String> {
    let was_at: Vec<&str> = ours.path.iter().map(String::as_str).collect();
    let Some((_, list)) = was_at.split_last() else { return Ok(None) };
    let path = [list, &[name]].concat();
    let Some(span) = json::at(text, &path)? else { return Ok(None) };
    let entry = json::read(text, &span).ok_or("it cannot be read")?;
    if let Some(how) = edited(&of_json(&entry), ours) {
        return Ok(Some(how));
    }
    let was = if before.trim().is_empty() { None } else { json::at(before, &was_at)? };
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
        let old = json::at(before, &[&was_at[..], &[key]].concat())?.and_then(|span| before.get(span));
        let of_key = [&path[..], &[key]].concat();
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

fn in_toml(text: &mut String, before: &str, ours: &Ours, name: &str) -> Result<Option<String>, String> {
    let parsed = |text: &str| text.parse::<DocumentMut>().map_err(|e| e.to_string());
    let (mut now, before) = (parsed(text)?, parsed(before)?);
    let Some((own, list)) = ours.path.split_last() else { return Ok(None) };
    let list = list.first().map(String::as_str).unwrap_or_default();
    let servers = now.get_mut(list).and_then(Item::as_table_like_mut);
    let Some(servers) = servers else { return Ok(None) };
    let Some(entry) = servers.get_mut(name).and_then(Item::as_table_like_mut) else { return Ok(None) };
    if let Some(how) = edited(&of_toml(entry), ours) {
        return Ok(Some(how));
    }
    let was = before.get(list).and_then(|list| list.get(own)).and_then(Item::as_table_like);
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
