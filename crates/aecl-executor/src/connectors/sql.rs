//! One SQL statement with named parameters, on SQLite.
//!
//! The statement is the operator's; arguments are bound, never pasted. A statement runs in a transaction,
//! so an interrupted one has surely changed nothing; only a commit that broke leaves an unknown.

mod rows;

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::limits::Limit;
use rusqlite::{Connection, ErrorCode, InterruptHandle, OpenFlags};
use serde_json::Value;
use tokio::sync::oneshot;

use crate::call::Call;
use crate::connector::{CallPlan, CallResult, Connector, DryRun, Reconciled};
use aecl_kernel::define::connector::ConnectorSpec;
use aecl_kernel::define::connector::sql::{SqlMode, SqlSpec};
use rows::{bind, changed, rows};

/// What is wrong with it, if something is.
pub(crate) fn check(spec: &SqlSpec) -> Result<(), String> {
    match (spec.statement.is_empty(), &spec.statement_from) {
        (false, None) | (true, Some(_)) => Ok(()),
        _ => Err("a sql connector needs either `statement` or `statement_from`".into()),
    }
}

fn statement(spec: &SqlSpec, call: &Call) -> Result<String, SqlError> {
    let Some(name) = &spec.statement_from else { return Ok(spec.statement.clone()) };
    let arguments: Value =
        serde_json::from_slice(&call.arguments).map_err(|e| SqlError::Arguments(e.to_string()))?;
    let text = arguments.get(name).and_then(Value::as_str);
    text.map(str::to_owned).ok_or_else(|| SqlError::Missing(name.clone()))
}

/// Acts on SQLite databases.
#[derive(Clone, Copy, Debug, Default)]
pub struct SqlConnector;

/// How a statement may begin. What steers transactions, settings or other files is not among them.
const BEGINNINGS: [&str; 10] =
    ["SELECT", "WITH", "VALUES", "INSERT", "REPLACE", "UPDATE", "DELETE", "CREATE", "ALTER", "DROP"];

#[derive(Debug, thiserror::Error)]
enum SqlError {
    #[error("the database `{0}` does not open: {1}")]
    Open(String, rusqlite::Error),
    #[error("the statement begins with `{0}`; write one of {list}", list = BEGINNINGS.join(", "))]
    Beginning(String),
    #[error("more than one statement; write one")]
    ManyStatements,
    #[error("the statement does not compile: {0}")]
    Compile(rusqlite::Error),
    #[error("the statement writes, but its `mode` is `read`")]
    WritesInReadMode,
    #[error("the statement needs `{0}`, which the arguments do not have; make it required in the schema")]
    Missing(String),
    #[error("`{0}` is a number that sqlite cannot hold exactly")]
    Number(String),
    #[error("the parameter number {0} has no name; write `:name`")]
    Nameless(usize),
    #[error("the arguments are no json object: {0}")]
    Arguments(String),
    #[error(
        "it touches {0} rows, and {1} were counted before; it was rolled back: propose it again to see the new number"
    )]
    MoreRows(u64, u64),
    #[error("the statement failed and was rolled back: {0}")]
    Run(rusqlite::Error),
    #[error("the statement took longer than {0} ms; it was interrupted and rolled back")]
    Interrupted(u128),
    #[error("the call was cancelled; the statement was interrupted and rolled back")]
    Cancelled,
    #[error("the commit broke: {0}; nobody knows whether it holds")]
    Commit(rusqlite::Error),
    #[error("the worker that ran the statement broke; nobody knows how far it got")]
    Worker,
}

impl SqlError {
    fn code(&self) -> &'static str {
        match self {
            Self::Open(..) => "sql_open",
            Self::Interrupted(_) => "sql_timeout",
            Self::Cancelled => "sql_cancelled",
            Self::MoreRows(..) => "sql_more_rows",
            Self::Run(_) => "sql_failed",
            Self::Commit(_) | Self::Worker => "sql_commit",
            _ => "sql_statement",
        }
    }
}

/// What becomes of the transaction.
#[derive(Clone, Copy, PartialEq)]
enum End {
    Commit,
    Rollback,
}

struct Ran {
    output: Value,
    rows: u64,
    truncated: bool,
}

#[async_trait]
impl Connector for SqlConnector {
    async fn perform(&self, call: &Call) -> CallResult {
        let ConnectorSpec::Sql(spec) = &call.connector else {
            let (code, message) = call.connector_mismatch();
            return CallResult::not_sent(code, message);
        };
        match run_own(call, spec, End::Commit).await {
            Ok(ran) => {
                let mut output = ran.output.to_string().into_bytes();
                if output.len() > call.max_output_bytes {
                    output = br#"{"truncated":true}"#.to_vec();
                }
                CallResult::Done { output }
            }
            Err(error @ (SqlError::Commit(_) | SqlError::Worker)) if spec.mode == SqlMode::Write => {
                CallResult::unknown(error.code(), format!("`{}`: {error}", call.action))
            }
            Err(error) => CallResult::not_sent(error.code(), format!("`{}`: {error}", call.action)),
        }
    }

    fn plan(&self, call: &Call) -> CallPlan {
        CallPlan::Untold(format!(
            "what `{}` would touch stands in the database; it is read only by a call that may",
            call.action
        ))
    }

    /// Counts what the statement would touch, and rolls it back. Neither a read nor `RETURNING` hands out a row: rows
    /// are for a call that was allowed.
    async fn dry_run(&self, call: &Call) -> DryRun {
        let ConnectorSpec::Sql(spec) = &call.connector else {
            let (code, message) = call.connector_mismatch();
            return DryRun::Failed { code, message };
        };
        match run_own(call, spec, End::Rollback).await {
            Ok(ran) => {
                let what = if spec.mode == SqlMode::Read { "rows" } else { "changed" };
                let output = serde_json::json!({ (what): ran.rows }).to_string().into_bytes();
                DryRun::Would { output, rows: Some(ran.rows) }
            }
            Err(error) => DryRun::Failed { code: error.code(), message: error.to_string() },
        }
    }

    async fn reconcile(&self, call: &Call) -> Reconciled {
        let unknown = |message: String| Reconciled::StillUnknown { message };
        let ConnectorSpec::Sql(spec) = &call.connector else { return unknown(call.connector_mismatch().1) };
        let Some(lookup) = &spec.lookup else {
            return unknown(format!("`{}` names no `lookup`; check in the database", call.action));
        };
        match run(call, spec, lookup, SqlMode::Read, End::Rollback).await {
            Ok(ran) if ran.rows > 0 => Reconciled::Done { output: ran.output.to_string().into_bytes() },
            Ok(_) => Reconciled::NotDone,
            Err(error) => unknown(format!("the look-up failed: {error}")),
        }
    }
}

/// The statement that the action is about.
async fn run_own(call: &Call, spec: &SqlSpec, end: End) -> Result<Ran, SqlError> {
    run(call, spec, &statement(spec, call)?, spec.mode, end).await
}

async fn run(call: &Call, spec: &SqlSpec, statement: &str, mode: SqlMode, end: End) -> Result<Ran, SqlError> {
    if call.cancel.is_cancelled() {
        return Err(SqlError::Cancelled);
    }
    let (call_inside, database) = (call.clone(), spec.database.clone());
    let (statement, max_rows, timeout) = (statement.to_owned(), spec.max_rows, call.timeout());
    let (hand_over, handle) = oneshot::channel();
    let mut work = tokio::task::spawn_blocking(move || {
        let connection = open(&database, mode, timeout)?;
        let _ = hand_over.send(connection.get_interrupt_handle());
        in_transaction(&connection, &call_inside, &statement, mode, max_rows, end)
    });
    let stopped = tokio::select! {
        biased;
        ran = &mut work => return ran.unwrap_or(Err(SqlError::Worker)),
        () = tokio::time::sleep(timeout) => SqlError::Interrupted(timeout.as_millis()),
        () = call.cancel.cancelled() => SqlError::Cancelled,
    };
    let ran = interrupt(handle, work).await;
    match ran {
        // Interrupted inside the statement: rolled back. What finished in spite of it stands.
        Err(SqlError::Run(error)) if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => {
            Err(stopped)
        }
        other => other,
    }
}

/// Interrupts until the worker is back: a single interrupt is lost when no statement runs at that moment.
async fn interrupt(
    handle: oneshot::Receiver<InterruptHandle>,
    mut work: tokio::task::JoinHandle<Result<Ran, SqlError>>,
) -> Result<Ran, SqlError> {
    let Ok(handle) = handle.await else { return work.await.unwrap_or(Err(SqlError::Worker)) };
    loop {
        handle.interrupt();
        tokio::select! {
            ran = &mut work => return ran.unwrap_or(Err(SqlError::Worker)),
            () = tokio::time::sleep(Duration::from_millis(10)) => {}
        }
    }
}

/// Longest text or blob that a statement makes or reads, in bytes.
const VALUE_BYTES_MAX: i32 = 16 << 20;

fn open(database: &Path, mode: SqlMode, timeout: Duration) -> Result<Connection, SqlError> {
    let flags = match mode {
        SqlMode::Read => OpenFlags::SQLITE_OPEN_READ_ONLY,
        SqlMode::Write => OpenFlags::SQLITE_OPEN_READ_WRITE,
    } | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let error = |error| SqlError::Open(database.display().to_string(), error);
    let connection = Connection::open_with_flags(database, flags).map_err(error)?;
    connection.busy_timeout(timeout.min(Duration::from_secs(5))).map_err(error)?;
    connection.pragma_update(None, "foreign_keys", true).map_err(error)?;
    connection.pragma_update(None, "query_only", mode == SqlMode::Read).map_err(error)?;
    // A statement may double a text with each row; SQLite's own limit is a gigabyte for each value.
    connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, VALUE_BYTES_MAX).map_err(error)?;
    Ok(connection)
}

fn in_transaction(
    connection: &Connection,
    call: &Call,
    statement: &str,
    mode: SqlMode,
    max_rows: usize,
    end: End,
) -> Result<Ran, SqlError> {
    let begin = if mode == SqlMode::Write { "BEGIN IMMEDIATE" } else { "BEGIN" };
    let first = statement.split_whitespace().next().unwrap_or_default();
    if !BEGINNINGS.iter().any(|word| first.eq_ignore_ascii_case(word)) {
        return Err(SqlError::Beginning(first.to_owned()));
    }
    connection.execute_batch(begin).map_err(SqlError::Run)?;
    // From here on every way out but a commit is a rollback: the connection closes with us.
    let ran = {
        let mut prepared = connection.prepare(statement).map_err(|error| match error {
            rusqlite::Error::MultipleStatement => SqlError::ManyStatements,
            other => SqlError::Compile(other),
        })?;
        if mode == SqlMode::Read && !prepared.readonly() {
            return Err(SqlError::WritesInReadMode);
        }
        bind(&mut prepared, call)?;
        let before = connection.total_changes();
        let ran = rows(&mut prepared, max_rows, call.max_output_bytes)?;
        changed(ran, connection.total_changes() - before, &prepared)
    };
    // What was shown to whoever agreed is what happens, or nothing does.
    if let Some(most) = call.rows_max.filter(|most| ran.rows > *most && mode == SqlMode::Write) {
        return Err(SqlError::MoreRows(ran.rows, most));
    }
    match end {
        End::Commit => connection.execute_batch("COMMIT").map_err(SqlError::Commit)?,
        End::Rollback => connection.execute_batch("ROLLBACK").map_err(SqlError::Run)?,
    }
    Ok(ran)
}
