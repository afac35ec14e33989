//! A statement of SQL, as the catalogue writes it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// One SQL statement, as the catalogue entry writes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SqlSpec {
    /// The database file. It must exist.
    pub database: PathBuf,
    /// One statement; `:name` stands for an argument, `:idempotency_key` for the key of the attempt.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub statement: String,
    /// Or: the argument that is the statement. Declare it as `query_sql`, so that it is judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statement_from: Option<String>,
    /// Whether it may write.
    pub mode: SqlMode,
    /// The most rows that are handed back.
    #[serde(default = "default_max_rows")]
    pub max_rows: usize,
    /// A `SELECT` that finds out later whether it happened: a row means yes, none means no.
    #[serde(default)]
    pub lookup: Option<String>,
}

/// Mode of a statement: whether it may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SqlMode {
    /// The database is opened read-only.
    Read,
    /// The statement runs in a transaction of its own.
    Write,
}

fn default_max_rows() -> usize {
    1_000
}
