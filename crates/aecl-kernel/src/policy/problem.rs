//! The files of a bundle, and what is wrong with them.

use crate::base::id::{ActionName, AgentId};
use crate::base::json::{Document, Limits};
use crate::define::catalogue::nearest;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;

/// One file of a bundle: JSON (the text of YAML is turned into JSON before) or Cedar.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Source {
    /// Its path inside the bundle as it was written, such as `agents/finance.yaml`.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// Something wrong or doubtful in a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundleProblem {
    /// Which file.
    pub path: String,
    /// What.
    pub message: String,
    /// It does not load because of this; otherwise it is only doubtful.
    pub fatal: bool,
}

impl BundleProblem {
    /// The bundle does not load because of this.
    pub fn error(path: impl Into<String>, message: String) -> Self {
        Self { path: path.into(), message, fatal: true }
    }
    /// The bundle loads, and this is doubtful.
    pub fn warning(path: impl Into<String>, message: String) -> Self {
        Self { path: path.into(), message, fatal: false }
    }
}

impl fmt::Display for BundleProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.path, if self.fatal { "error" } else { "warning" }, self.message)
    }
}

/// In which file a thing is declared, for errors that show only when all is read.
#[derive(Debug, Default)]
pub(crate) struct Homes {
    pub(crate) actions: BTreeMap<ActionName, String>,
    pub(crate) agents: BTreeMap<AgentId, String>,
}

impl Homes {
    pub(crate) fn action(&self, name: &ActionName) -> String {
        self.actions.get(name).cloned().unwrap_or_else(|| "actions".into())
    }
    pub(crate) fn agent(&self, id: &AgentId) -> String {
        self.agents.get(id).cloned().unwrap_or_else(|| "agents".into())
    }
}

/// "; did you mean …", if something is near.
pub fn did_you_mean<T: fmt::Display>(name: &str, candidates: impl Iterator<Item = T>) -> String {
    nearest(name, candidates).map_or_else(String::new, |near| format!("; did you mean `{near}`?"))
}

/// Reads a file that holds one thing or a list of them.
pub fn read_each<T: DeserializeOwned>(source: &Source, problems: &mut Vec<BundleProblem>) -> Vec<T> {
    let limits = Limits { bytes_max: 16 << 20, ..Limits::default() };
    let document = match Document::parse(source.text.as_bytes(), &limits) {
        Ok(document) => document,
        Err(e) => {
            problems.push(BundleProblem::error(&source.path, e.to_string()));
            return Vec::new();
        }
    };
    let items = match document.value() {
        Value::Array(items) => items.clone(),
        other => vec![other.clone()],
    };
    let mut out = Vec::new();
    for (i, item) in items.into_iter().enumerate() {
        let named =
            ["name", "agent_id"].iter().find_map(|k| item.get(*k).and_then(Value::as_str).map(str::to_owned));
        match serde_json::from_value(item) {
            Ok(read) => out.push(read),
            Err(e) => {
                let what = named.map_or_else(|| format!("item {}", i + 1), |n| format!("`{n}`"));
                problems.push(BundleProblem::error(
                    &source.path,
                    format!("{what}: {}", with_hint(&e.to_string())),
                ));
            }
        }
    }
    out
}

/// Adds "did you mean" to an error about an unknown key.
fn with_hint(error: &str) -> String {
    let mut quoted = error.split('`').skip(1).step_by(2);
    let near = match quoted.next() {
        Some(unknown) if error.starts_with("unknown field") || error.starts_with("unknown variant") => {
            nearest(unknown, quoted)
        }
        _ => None,
    };
    near.map_or_else(|| error.to_owned(), |near| format!("{error}; did you mean `{near}`?"))
}
