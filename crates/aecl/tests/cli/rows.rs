//! A delete in a database: how many rows it touches is on the card, and no more than that are touched.

use crate::program::{Aecl, Served};
use serde_json::{Value, json};
use std::path::Path;

fn database(path: &Path) -> rusqlite::Connection {
    let connection = rusqlite::Connection::open(path).unwrap();
    connection
        .execute_batch(
            "CREATE TABLE IF NOT EXISTS users (id INTEGER PRIMARY KEY, last_login INTEGER);
             INSERT INTO users VALUES (1, 2020), (2, 2021), (3, 2024);",
        )
        .unwrap();
    connection
}

fn home(place: &Path) -> (Aecl, String) {
    let aecl = Aecl::on(&place.join("home"));
    aecl.run(&["init", "--example", "finance"]).ended(0);
    let action = json!({
        "name": "db.run", "description": "Runs one statement.", "effect": "delete", "reversibility": "reversible",
        "arguments": {"type": "object", "properties": {"sql": {"type": "string"}}, "required": ["sql"]},
        "args": {"sql": {"class": "query_sql", "dialect": "sqlite"}},
        "approval": {"always": true}, "dry_run": {"supported": true},
        "connector": {"kind": "sql", "database": place.join("users.db"), "mode": "write", "statement_from": "sql"},
    });
    std::fs::write(aecl.dir().join("policy/actions/db.json"), action.to_string()).unwrap();
    let agent = json!({"agent_id": "cleaner", "allowed_actions": ["db.run"]});
    std::fs::write(aecl.dir().join("policy/agents/cleaner.json"), agent.to_string()).unwrap();
    let key = aecl.run(&["keys", "add", "orchestrator", "planner", "--agent", "cleaner"]).ended(0);
    (aecl, key.out.trim().to_owned())
}

/// Proposes, and gives the request for approval.
fn ask(aecl: &Aecl, served: &Served, token: &str) -> (String, Value) {
    let held = served.propose(token, "db.run", json!({"sql": "DELETE FROM users WHERE last_login < 2023"}));
    let id =
        held.pointer("/approval/id").and_then(Value::as_str).unwrap_or_else(|| panic!("{held}")).to_owned();
    let card = aecl.run(&["approvals", "show", &id, "--json"]).ended(0).json();
    (id, card)
}

#[test]
fn the_card_says_how_many_rows_and_no_more_are_touched() {
    let place = tempfile::tempdir().unwrap();
    let users = database(&place.path().join("users.db"));
    let count = || -> i64 { users.query_row("SELECT count(*) FROM users", [], |row| row.get(0)).unwrap() };
    let (aecl, key) = home(place.path());
    let served = aecl.serve();
    let (_, token) = served.open_run(&key, "cleaner");

    let (id, card) = ask(&aecl, &served, &token);
    assert_eq!(
        card["summary"]["runs"],
        json!([
            "deletes rows of `users` where last_login < 2023",
            "touches 2 rows; if it is more by then, nothing happens"
        ])
    );
    assert_eq!(count(), 3, "counting deletes nothing");
    let text = aecl.run(&["approvals", "show", &id]).ended(0);
    assert!(text.out.contains("touches 2 rows"), "{}", text.out);

    // One more falls under the condition before the yes is used.
    users.execute("INSERT INTO users VALUES (4, 2019)", []).unwrap();
    aecl.run(&["approvals", "approve", &id]).ended(0);
    let again = served.propose(&token, "db.run", json!({"sql": "DELETE FROM users WHERE last_login < 2023"}));
    assert!(again.to_string().contains("sql_more_rows"), "{again}");
    assert_eq!(count(), 4, "rolled back");

    let (id, card) = ask(&aecl, &served, &token);
    assert!(card["summary"]["runs"].to_string().contains("touches 3 rows"), "{card}");
    aecl.run(&["approvals", "approve", &id]).ended(0);
    let done = served.propose(&token, "db.run", json!({"sql": "DELETE FROM users WHERE last_login < 2023"}));
    assert!(done.to_string().contains("\"changed\":3"), "{done}");
    assert_eq!(count(), 1);
    aecl.run(&["log", "replay"]).ended(0);
}

/// A dry run is answered before anybody has agreed and leaves no label, so no row may be in it.
#[test]
fn a_dry_run_over_http_hands_out_nothing_of_the_database() {
    let place = tempfile::tempdir().unwrap();
    let users = database(&place.path().join("users.db"));
    users.execute_batch("CREATE TABLE mail (text); INSERT INTO mail VALUES ('the secret word')").unwrap();
    let (aecl, key) = home(place.path());
    let read = json!({
        "name": "db.read", "description": "Reads the mail.", "effect": "read", "approval": {"always": true},
        "arguments": {"type": "object"}, "dry_run": {"supported": true},
        "connector": {"kind": "sql", "database": place.path().join("users.db"), "mode": "read", "statement": "SELECT text FROM mail"},
    });
    std::fs::write(aecl.dir().join("policy/actions/read.json"), read.to_string()).unwrap();
    let agent = json!({"agent_id": "cleaner", "allowed_actions": ["db.run", "db.read"]});
    std::fs::write(aecl.dir().join("policy/agents/cleaner.json"), agent.to_string()).unwrap();
    let served = aecl.serve();
    let (run, token) = served.open_run(&key, "cleaner");
    let returning = json!({"sql": "DELETE FROM mail RETURNING text"});
    for (name, arguments) in [("db.read", json!({})), ("db.run", returning)] {
        let body = json!({"action": name, "arguments": arguments, "mode": "dry_run"});
        let said = served.post(&token, "/v1/actions", &body);
        assert_eq!(
            (&said["state"], &said["decision"]["verdict"]),
            (&json!("asked"), &json!("require_approval"))
        );
        assert!(!said.to_string().contains("secret word"), "{said}");
    }
    assert_eq!(users.query_row("SELECT count(*) FROM mail", [], |row| row.get::<_, i64>(0)).unwrap(), 1);
    let shown = aecl.run(&["log", "replay", "--run", &run]);
    assert!(!shown.out.contains("secret word"), "{}", shown.out);
}
