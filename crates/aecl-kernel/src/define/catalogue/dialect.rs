//! Which database's SQL an argument is written in, as its definition says.

use serde::{Deserialize, Serialize};
use sqlparser::dialect;

/// Dialect of SQL: the database that it is written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// Nobody said. What databases read differently is not read.
    #[default]
    Generic,
    /// PostgreSQL.
    Postgres,
    /// SQLite.
    Sqlite,
    /// MySQL and MariaDB.
    Mysql,
}

impl Dialect {
    /// The name as manifests write it.
    pub fn name(self) -> &'static str {
        match self {
            Dialect::Generic => "generic",
            Dialect::Postgres => "postgres",
            Dialect::Sqlite => "sqlite",
            Dialect::Mysql => "mysql",
        }
    }

    /// Whether nobody said which it is.
    pub fn is_generic(&self) -> bool {
        *self == Dialect::Generic
    }

    pub(crate) fn rules(self) -> &'static dyn dialect::Dialect {
        match self {
            Dialect::Generic => &dialect::GenericDialect {},
            Dialect::Postgres => &dialect::PostgreSqlDialect {},
            Dialect::Sqlite => &dialect::SQLiteDialect {},
            Dialect::Mysql => &dialect::MySqlDialect {},
        }
    }
}
