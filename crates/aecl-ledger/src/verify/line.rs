//! An entry, read as far as the story needs it. Most of its bytes are skipped, none is copied.

use serde::Deserialize;

/// The parts of an entry that the story is about.
#[derive(Debug, Deserialize)]
pub(super) struct Line<'a> {
    pub(super) v: u64,
    pub(super) position: u64,
    pub(super) at: &'a str,
    pub(super) kind: &'a str,
    pub(super) run: Option<&'a str>,
    pub(super) seq: Option<u64>,
    pub(super) action: Option<&'a str>,
    pub(super) outcome: Option<&'a str>,
    pub(super) mode: Option<&'a str>,
    pub(super) attempt: Option<u64>,
    #[serde(borrow)]
    pub(super) decision: Option<Decided<'a>>,
    pub(super) arguments: Option<&'a str>,
    pub(super) output: Option<&'a str>,
    pub(super) stated: Option<&'a str>,
    pub(super) sources: Option<&'a str>,
    pub(super) payload: Option<&'a str>,
    #[serde(default, deserialize_with = "is_there")]
    pub(super) resolved_by: bool,
}

/// What was decided, as far as the story needs it.
#[derive(Debug, Deserialize)]
pub(super) struct Decided<'a> {
    pub(super) verdict: &'a str,
    pub(super) approval: Option<&'a str>,
    pub(super) replays: Option<&'a str>,
}

fn is_there<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Option::<serde::de::IgnoredAny>::deserialize(deserializer).map(|found| found.is_some())
}
