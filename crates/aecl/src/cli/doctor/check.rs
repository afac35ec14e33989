//! What is looked at, and how that came out.

use aecl_gate::config::{Config, Home};
use aecl_kernel::policy::bundle::Bundle;
use serde::Serialize;

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::cli) enum State {
    /// As it should be.
    Ok,
    /// It works, and could be better.
    Advice,
    /// It does not work, or is not safe.
    Broken,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct Check {
    pub(super) what: &'static str,
    pub(super) state: State,
    pub(super) found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) todo: Option<String>,
}

impl Check {
    pub(super) fn ok(what: &'static str, found: impl Into<String>) -> Self {
        Self { what, state: State::Ok, found: found.into(), todo: None }
    }
    pub(super) fn advice(what: &'static str, found: impl Into<String>, todo: impl Into<String>) -> Self {
        Self { what, state: State::Advice, found: found.into(), todo: Some(todo.into()) }
    }
    pub(super) fn broken(what: &'static str, found: impl Into<String>, todo: impl Into<String>) -> Self {
        Self { what, state: State::Broken, found: found.into(), todo: Some(todo.into()) }
    }
}

/// What could be read of the installation.
pub(in crate::cli) struct Seen {
    pub(super) home: Home,
    pub(super) config: Option<Config>,
    pub(super) bundle: Option<Bundle>,
}

/// Some names, the first of them in words.
pub(super) fn listed(names: &[String]) -> String {
    let shown: Vec<&str> = names.iter().take(8).map(String::as_str).collect();
    let more = names.len().saturating_sub(shown.len());
    if more == 0 { shown.join(", ") } else { format!("{} and {more} more", shown.join(", ")) }
}
