//! A file of entries in the policy, taken in hand: locked, read, and compiled with the whole bundle before it is written.

use super::disk::{CatalogueError, lock, read, seen_file, write};
use super::seen::Seen;
use aecl_analysis::load::VettedBundle;
use aecl_gate::config::Home;
use aecl_gate::loader;
use aecl_kernel::policy::problem::Source;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;

/// One file of `policy/actions/`, locked, with the bundle as it is now.
pub(super) struct Desk<'a> {
    home: &'a Home,
    file: String,
    pub path: PathBuf,
    pub entries: Vec<Value>,
    sources: Vec<Source>,
    pub bundle: VettedBundle,
    _lock: File,
}

impl<'a> Desk<'a> {
    /// The file of a server's tools.
    pub fn open(home: &'a Home, server: &str) -> Result<Self, CatalogueError> {
        Self::of(home, &format!("mcp-{server}"))
    }

    pub fn of(home: &'a Home, file: &str) -> Result<Self, CatalogueError> {
        let lock = lock(home)?;
        let file = format!("{file}.json");
        let path = home.policy().join("actions").join(&file);
        let entries = read(&path)?.unwrap_or_default();
        let sources = loader::sources(&home.policy())?;
        let bundle = VettedBundle::load(sources.clone()).map_err(aecl_gate::GateError::Bundle)?;
        Ok(Self { home, file, path, entries, sources, bundle, _lock: lock })
    }

    /// What is wrong with the bundle if the file holds these entries.
    pub fn compile(&self, entries: &[Value]) -> Result<(), String> {
        let place = format!("actions/{}", self.file);
        let mut sources: Vec<Source> = self.sources.iter().filter(|s| s.path != place).cloned().collect();
        let text = serde_json::to_string(entries).map_err(|error| error.to_string())?;
        sources.push(Source { path: place, text });
        let fatal = |problems: Vec<aecl_kernel::policy::problem::BundleProblem>| {
            let lines = problems.iter().filter(|p| p.fatal).map(ToString::to_string);
            lines.collect::<Vec<_>>().join("; ")
        };
        VettedBundle::load(sources).map(drop).map_err(fatal)
    }

    pub fn write(&self, entries: &[Value]) -> Result<(), CatalogueError> {
        write(&self.path, &entries)
    }

    /// Changes what was seen of a server's tools.
    pub fn note(
        &self,
        server: &str,
        change: impl FnOnce(&mut BTreeMap<String, Seen>),
    ) -> Result<(), CatalogueError> {
        let mut all = seen(self.home, server)?;
        change(&mut all);
        write(&seen_file(self.home, server), &all)
    }
}

/// The action's name in an entry.
pub(super) fn name_of(entry: &Value) -> String {
    entry.get("name").and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// The definitions of a server's tools that were seen.
///
/// # Errors
/// When the file cannot be read.
pub fn seen(home: &Home, server: &str) -> Result<BTreeMap<String, Seen>, CatalogueError> {
    Ok(read(&seen_file(home, server))?.unwrap_or_default())
}
