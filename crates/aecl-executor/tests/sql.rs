//! SQL statements against a real SQLite file.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use aecl_executor::connectors::sql::SqlConnector;
use aecl_executor::{Call, CallPlan, CallResult, Connector, DryRun, Reconciled, fake};
use aecl_kernel::define::connector::ConnectorSpec;
use aecl_kernel::define::connector::sql::{SqlMode, SqlSpec};
use rusqlite::Connection;
use serde_json::{Value, json};

struct World {
    file: tempfile::NamedTempFile,
}

fn world() -> World {
    let file = tempfile::NamedTempFile::new().unwrap();
    let connection = Connection::open(file.path()).unwrap();
    connection
        .execute_batch(
            "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, last_login INTEGER, key TEXT);
             INSERT INTO users VALUES (1, 'ann', 2020, NULL), (2, 'bob', 2021, NULL), (3, 'cy', 2024, NULL);",
        )
        .unwrap();
    World { file }
}

impl World {
    fn call(&self, mode: SqlMode, statement: &str, arguments: &str) -> Call {
        let database = self.file.path().to_owned();
        let lookup = Some("SELECT id FROM users WHERE key = :idempotency_key".to_owned());
        let mut call = fake::call("users", arguments);
        let statement = statement.to_owned();
        call.connector = ConnectorSpec::Sql(SqlSpec {
            database,
            statement,
            statement_from: None,
            mode,
            max_rows: 2,
            lookup,
        });
        call
    }

    fn count(&self) -> i64 {
        let connection = Connection::open(self.file.path()).unwrap();
        connection.query_row("SELECT count(*) FROM users", [], |row| row.get(0)).unwrap()
    }
}

async fn output(call: &Call) -> Value {
    match SqlConnector.perform(call).await {
        CallResult::Done { output, .. } => serde_json::from_slice(&output).unwrap(),
        other => panic!("{other:?}"),
    }
}

async fn refusal(call: &Call) -> String {
    match SqlConnector.perform(call).await {
        CallResult::Failed { code, message, may_have_acted: false, .. } => format!("{code}: {message}"),
        other => panic!("{other:?}"),
    }
}

const DELETE_OLD: &str = "DELETE FROM users WHERE last_login < :before";

#[tokio::test]
async fn rows_come_back_as_objects_up_to_the_limit() {
    let world = world();
    let call = world.call(SqlMode::Read, "SELECT id, name, name FROM users ORDER BY id", "{}");
    let expected = json!({ "rows": [
        { "id": 1, "name": "ann", "name_2": "ann" }, { "id": 2, "name": "bob", "name_2": "bob" },
    ], "truncated": true });
    assert_eq!(output(&call).await, expected);
}

#[tokio::test]
async fn arguments_are_bound_and_never_read_as_sql() {
    let world = world();
    let arguments = json!({ "name": "x' OR 1=1 --" }).to_string();
    let call = world.call(SqlMode::Read, "SELECT id FROM users WHERE name = :name", &arguments);
    assert_eq!(output(&call).await, json!({ "rows": [] }));
}

#[tokio::test]
async fn a_dry_run_counts_and_changes_nothing_and_then_it_happens() {
    let world = world();
    let call = world.call(SqlMode::Write, DELETE_OLD, r#"{"before":2023}"#);
    let DryRun::Would { output: would, rows } = SqlConnector.dry_run(&call).await else { panic!() };
    assert_eq!((rows, world.count()), (Some(2), 3));
    assert_eq!(would, br#"{"changed":2}"#);
    assert_eq!(output(&call).await, json!({ "changed": 2 }));
    assert_eq!(world.count(), 1);
}

#[tokio::test]
async fn a_dry_run_hands_out_no_row() {
    let world = world();
    let returning = "DELETE FROM users WHERE last_login < 2023 RETURNING name";
    for (mode, statement, expected) in [
        (SqlMode::Read, "SELECT name FROM users", r#"{"rows":2}"#),
        (SqlMode::Write, returning, r#"{"changed":2}"#),
    ] {
        let call = world.call(mode, statement, "{}");
        let DryRun::Would { output, .. } = SqlConnector.dry_run(&call).await else { panic!() };
        assert_eq!(String::from_utf8(output).unwrap(), expected, "{statement}");
        assert!(matches!(SqlConnector.plan(&call), CallPlan::Untold(_)), "{statement}");
    }
    assert_eq!(world.count(), 3);
}

#[tokio::test]
async fn more_rows_than_were_counted_are_rolled_back() {
    let world = world();
    let mut call = world.call(SqlMode::Write, DELETE_OLD, r#"{"before":2023}"#);
    call.rows_max = Some(1);
    let said = refusal(&call).await;
    assert!(
        said.starts_with("sql_more_rows: `users`: it touches 2 rows, and 1 were counted before"),
        "{said}"
    );
    assert_eq!(world.count(), 3);
    call.rows_max = Some(2);
    assert_eq!(output(&call).await, json!({ "changed": 2 }));
}

#[tokio::test]
async fn a_statement_may_be_an_argument_and_stays_one_statement() {
    let world = world();
    let call = |mode, sql: &str| {
        let mut call = world.call(mode, "", &json!({ "sql": sql, "before": 2023 }).to_string());
        if let ConnectorSpec::Sql(spec) = &mut call.connector {
            spec.statement_from = Some("sql".into());
        }
        call
    };
    for (mode, sql, expected) in [
        (SqlMode::Write, "DELETE FROM users; DELETE FROM users", "more than one statement"),
        (SqlMode::Write, "ATTACH 'x.db' AS x", "begins with `ATTACH`"),
        (SqlMode::Write, "PRAGMA writable_schema = 1", "begins with `PRAGMA`"),
        (SqlMode::Read, "DELETE FROM users", "`mode` is `read`"),
    ] {
        let said = refusal(&call(mode, sql)).await;
        assert!(said.contains(expected), "{said}");
    }
    assert_eq!(world.count(), 3);
    assert_eq!(output(&call(SqlMode::Write, DELETE_OLD)).await, json!({ "changed": 2 }));
}

#[tokio::test]
async fn what_is_wrong_is_refused_and_nothing_happens() {
    let world = world();
    for (mode, statement, arguments, expected) in [
        (SqlMode::Read, DELETE_OLD, r#"{"before":2023}"#, "`mode` is `read`"),
        (SqlMode::Write, "DELETE FROM users WHERE id = 1; DROP TABLE users", "{}", "more than one statement"),
        (SqlMode::Write, DELETE_OLD, "{}", "needs `before`"),
        (SqlMode::Write, DELETE_OLD, r#"{"before":99999999999999999999}"#, "cannot hold exactly"),
        (SqlMode::Write, "DELETE FROM users WHERE id = ?", "{}", "has no name"),
        (SqlMode::Write, "DELETE FROM nobody", "{}", "does not compile"),
        (SqlMode::Write, "INSERT INTO users (id) VALUES (1)", "{}", "was rolled back"),
        (SqlMode::Write, "COMMIT", "{}", "begins with `COMMIT`"),
        (SqlMode::Read, "PRAGMA query_only = false", "{}", "begins with `PRAGMA`"),
        (SqlMode::Write, "ATTACH '/etc/x' AS x", "{}", "begins with `ATTACH`"),
        (SqlMode::Write, "/* hi */ COMMIT", "{}", "begins with"),
    ] {
        let text = refusal(&world.call(mode, statement, arguments)).await;
        assert!(text.contains(expected), "{statement}: {text}");
    }
    assert_eq!(world.count(), 3);
}

#[tokio::test]
async fn a_long_statement_is_interrupted_and_rolled_back() {
    let world = world();
    let endless = "INSERT INTO users (name) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)
                   SELECT i FROM n LIMIT 2000000000";
    let mut call = world.call(SqlMode::Write, endless, "{}");
    call.timeout_ms = 150;
    assert!(refusal(&call).await.starts_with("sql_timeout"));
    call.timeout_ms = 60_000;
    let cancel = call.cancel.clone();
    let (text, ()) = tokio::join!(refusal(&call), async {
        tokio::time::sleep(std::time::Duration::from_millis(150)).await;
        cancel.cancel();
    });
    assert!(text.starts_with("sql_cancelled"), "{text}");
    assert_eq!(world.count(), 3);
}

#[tokio::test]
async fn a_missing_database_is_not_made() {
    let world = world();
    let mut call = world.call(SqlMode::Write, DELETE_OLD, r#"{"before":1}"#);
    let missing = world.file.path().with_extension("missing");
    if let ConnectorSpec::Sql(spec) = &mut call.connector {
        spec.database = missing.clone();
    }
    assert!(refusal(&call).await.starts_with("sql_open"));
    assert!(!missing.exists());
}

#[tokio::test]
async fn a_lookup_finds_out_by_the_key() {
    let world = world();
    let insert = "INSERT INTO users (name, key) VALUES (:name, :idempotency_key)";
    let call = world.call(SqlMode::Write, insert, r#"{"name":"dee"}"#);
    assert_eq!(SqlConnector.reconcile(&call).await, Reconciled::NotDone);
    assert_eq!(output(&call).await, json!({ "changed": 1 }));
    assert!(matches!(SqlConnector.reconcile(&call).await, Reconciled::Done { .. }));
}

#[tokio::test]
async fn a_statement_makes_no_value_that_is_longer_than_the_limit() {
    let world = world();
    let doubled =
        "WITH RECURSIVE c(n, x) AS (SELECT 0, 'xxxxxxxx' UNION ALL SELECT n + 1, x || x FROM c WHERE n < 25)
                   SELECT n, length(x) FROM c";
    let why = refusal(&world.call(SqlMode::Read, doubled, "{}")).await;
    assert!(why.starts_with("sql_failed: ") && why.contains("too big"), "{why}");
    let written = format!("UPDATE users SET name = ({})", doubled.replace("n, length(x)", "max(x)"));
    assert!(refusal(&world.call(SqlMode::Write, &written, "{}")).await.contains("too big"));
    assert_eq!(world.count(), 3);
}

#[tokio::test]
async fn rows_beyond_what_an_answer_holds_are_counted_and_not_kept() {
    let world = world();
    let long = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 400)
                SELECT n, hex(zeroblob(500000)) AS x FROM c";
    let mut call = world.call(SqlMode::Read, long, "{}");
    call.max_output_bytes = 1_000_000;
    if let ConnectorSpec::Sql(spec) = &mut call.connector {
        spec.max_rows = 1_000;
    }
    assert_eq!(output(&call).await, json!({ "truncated": true }));
}
