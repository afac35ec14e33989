//! What servers say of themselves and of their prompts: what was said first is what was accepted, until a person accepts
//! something else. It stands in `data/said/SERVER.json`.

use super::disk::{CatalogueError, lock, read, said_file, write};
use super::seen::Seen;
use aecl_gate::config::Home;
use aecl_kernel::base::digest::Digest;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Under which name a server's instructions and titles are kept.
pub const INSTRUCTIONS: &str = "instructions";
/// Before the name of a prompt.
const PROMPT: &str = "prompts/";
/// As many texts of a server are kept. What comes beyond is left out.
const TEXTS_MAX: usize = 1_000;

/// Under which name a prompt is kept.
#[must_use]
pub fn prompt(name: &str) -> String {
    format!("{PROMPT}{name}")
}

/// Takes in what a server says under some names. Gives the names of what is not what was accepted.
///
/// # Errors
/// When files cannot be read or written.
pub fn hear(
    home: &Home,
    server: &str,
    texts: &[(String, Value)],
) -> Result<BTreeSet<String>, CatalogueError> {
    let _lock = lock(home)?;
    let mut all = said(home, server)?;
    let (before, mut others) = (all.clone(), BTreeSet::new());
    for (name, text) in texts {
        if !all.contains_key(name) && all.len() >= TEXTS_MAX {
            others.insert(name.clone());
            continue;
        }
        let seen = all.entry(name.clone()).or_default();
        let is_accepted = seen.accepted.get_or_insert_with(|| text.clone()) == text;
        seen.offered = (!is_accepted).then(|| text.clone());
        if !is_accepted {
            others.insert(name.clone());
        }
    }
    if all != before {
        write(&said_file(home, server), &all)?;
    }
    Ok(others)
}

/// Puts what a server says now under these names, and has these digests, in the place of what was accepted.
///
/// # Errors
/// When nothing else is said, something else is said by now, or files cannot be read or written.
pub fn accept_said(
    home: &Home,
    server: &str,
    names: &[(String, Option<Digest>)],
) -> Result<(), CatalogueError> {
    let _lock = lock(home)?;
    let mut all = said(home, server)?;
    for (name, digest) in names {
        let seen = all.get_mut(name).filter(|seen| seen.offered.is_some());
        let seen = seen.ok_or_else(|| {
            CatalogueError::Unknown(format!("nothing waits to be accepted for `{server}:{name}`"))
        })?;
        if seen.waiting_digest() != *digest {
            return Err(CatalogueError::Unseen(format!("{server}:{name}")));
        }
        *seen = Seen { accepted: seen.offered.take(), ..Seen::default() };
    }
    write(&said_file(home, server), &all)
}

/// What a server was heard to say.
///
/// # Errors
/// When the file cannot be read.
pub fn said(home: &Home, server: &str) -> Result<BTreeMap<String, Seen>, CatalogueError> {
    Ok(read(&said_file(home, server))?.unwrap_or_default())
}
