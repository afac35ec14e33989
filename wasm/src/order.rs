//! What to run, and what it may have.

use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Of the words between AECL and us; `crates/aecl-executor/src/connectors/process/wasm.rs` has the same number.
const PROTOCOL: u64 = 1;

/// The longest order, without the module. Arguments are in it.
pub const LINE_MAX_BYTES: u64 = 64 << 20;

/// An order. Each limit is said aloud.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// Read before everything else.
    #[serde(rename = "protocol")]
    _protocol: IgnoredAny,
    /// How many bytes of module follow the line.
    pub module_bytes: u64,
    /// The module's arguments; the first is its own name.
    pub args: Vec<String>,
    /// Its variables, all of them.
    pub env: BTreeMap<String, String>,
    /// The directories that it sees, at the same place as we.
    pub dirs: Vec<Shown>,
    /// How many units of fuel it may use, about one for each instruction. Absent: without measure.
    pub fuel_max: Option<u64>,
    /// All its linear memories together.
    pub memory_max_bytes: u64,
    /// All its tables together.
    pub table_elements_max: u64,
    /// Its stack.
    pub stack_max_bytes: u64,
}

/// A directory that the module sees.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shown {
    /// Where it is, for us and for the module.
    pub at: PathBuf,
    /// Whether the module may write there.
    pub write: bool,
}

impl Order {
    /// Reads it.
    pub fn parse(line: &[u8]) -> Result<Self, String> {
        // Before everything else: another version may have other fields.
        #[derive(Deserialize)]
        struct Version {
            protocol: u64,
        }
        let unread = |error: serde_json::Error| format!("the order does not read: {error}");
        let Version { protocol } = serde_json::from_slice(line).map_err(unread)?;
        if protocol != PROTOCOL {
            return Err(format!(
                "the order is of version {protocol}, and this worker reads {PROTOCOL}; install the worker of the same \
                 release as AECL"
            ));
        }
        serde_json::from_slice(line).map_err(unread)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn an_order_of_another_version_says_so_whatever_else_it_has() {
        let error = Order::parse(br#"{"protocol":2,"new":true}"#).unwrap_err();
        assert!(error.contains("version 2") && error.contains("same release"), "{error}");
        let error = Order::parse(br#"{"protocol":1,"new":true}"#).unwrap_err();
        assert!(error.contains("does not read"), "{error}");
        assert!(Order::parse(b"").unwrap_err().contains("does not read"));
    }
}
