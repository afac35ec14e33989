//! An action that a worker carries out, as the catalogue writes it: a program of the operator's that holds the function and
//! its credentials, and takes one call after the other.

use serde::{Deserialize, Serialize};

/// Work for a worker, as the catalogue entry writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkerSpec {
    /// The action that this one undoes: then workers that serve that one carry it out, by its `compensate`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compensates: Option<String>,
    /// How long a call waits until a worker has accepted it, in milliseconds. After that it was not executed.
    #[serde(default = "default_queue_ms")]
    pub queue_ms: u64,
    /// The most calls of this action that wait at once.
    #[serde(default = "default_queue_max")]
    pub queue_max: usize,
    /// Silence of a worker after which the call that it has accepted is unknown, in milliseconds.
    #[serde(default = "default_lease_ms")]
    pub lease_ms: u64,
    /// The most calls of this action that workers carry out at once, all of them together.
    #[serde(default = "default_concurrency_max")]
    pub concurrency_max: usize,
}

impl WorkerSpec {
    /// Whether each limit is one that can be kept.
    ///
    /// # Errors
    /// Which one cannot, and between what it has to be.
    pub fn check(&self) -> Result<(), String> {
        let Self { compensates, queue_ms, queue_max, lease_ms, concurrency_max } = self;
        let between = |name: &str, value: u64, least: u64, most: u64| match (least..=most).contains(&value) {
            true => Ok(()),
            false => Err(format!("`{name}` is {value}; it must be between {least} and {most}")),
        };
        between("queue_ms", *queue_ms, 1, 600_000)?;
        between("queue_max", *queue_max as u64, 1, 10_000)?;
        // A worker shows three times in a lease that it lives.
        between("lease_ms", *lease_ms, 1_000, 600_000)?;
        between("concurrency_max", *concurrency_max as u64, 1, 1_000)?;
        match compensates {
            Some(name) if name.trim().is_empty() => Err("`compensates` is empty; name an action".into()),
            Some(_) | None => Ok(()),
        }
    }
}

fn default_queue_ms() -> u64 {
    10_000
}

fn default_queue_max() -> usize {
    64
}

fn default_lease_ms() -> u64 {
    15_000
}

fn default_concurrency_max() -> usize {
    16
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use serde_json::json;

    fn said(more: &serde_json::Value) -> Result<(), String> {
        let spec: WorkerSpec = serde_json::from_value(more.clone()).map_err(|e| e.to_string())?;
        spec.check()
    }

    #[test]
    fn each_limit_has_a_default_and_bounds() {
        said(&json!({})).unwrap();
        for (more, names) in [
            (json!({ "queue_ms": 0 }), "queue_ms"),
            (json!({ "queue_ms": 600_001 }), "queue_ms"),
            (json!({ "queue_max": 0 }), "queue_max"),
            (json!({ "lease_ms": 999 }), "lease_ms"),
            (json!({ "concurrency_max": 0 }), "concurrency_max"),
            (json!({ "compensates": " " }), "compensates"),
            (json!({ "lease": 5 }), "lease"),
        ] {
            let why = said(&more).unwrap_err();
            assert!(why.contains(names), "{more}: {why}");
        }
    }
}
