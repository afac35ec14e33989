//! SQL in arguments: what is called a read changes nothing when a database carries it out, and what is named is what
//! that database touches.

#![no_main]

use aecl_kernel::define::catalogue::dialect::Dialect;
use aecl_kernel::read::code_arguments::sql::{self, Sql, SqlEffect};
use libfuzzer_sys::fuzz_target;
use rusqlite::fallible_iterator::FallibleIterator;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::limits::Limit;
use rusqlite::{Batch, Connection};
use std::sync::{Arc, Mutex};

const TABLES: &str = "
    CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT UNIQUE, age INTEGER);
    CREATE TABLE orders (id INTEGER PRIMARY KEY, user INTEGER, total REAL);
    CREATE TABLE t (a, b);
    INSERT INTO users VALUES (1, 'ann', 40), (2, 'bob', 50), (3, 'cat', 60);
    INSERT INTO orders VALUES (1, 1, 9.5), (2, 1, 7.5), (3, 2, 1);
    INSERT INTO t VALUES (1, 2), (3, 4);
";

/// Steps of SQLite's machine between two looks at whether it goes on for too long, and how many looks.
const STEPS: i32 = 1_000;
const LOOKS: u32 = 200;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    for dialect in [Dialect::Postgres, Dialect::Mysql] {
        let _ = sql::read(text, dialect).words();
    }
    for dialect in [Dialect::Sqlite, Dialect::Generic] {
        let read = sql::read(text, dialect);
        if read.unread.is_none() && read.effect() < SqlEffect::Grant {
            carry_out(text, dialect, &read);
        }
    }
});

fn carry_out(text: &str, dialect: Dialect, read: &Sql) {
    let mut connection = Connection::open_in_memory().expect("a database in memory");
    connection.execute_batch(TABLES).expect("our own tables");
    connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, 100_000).expect("a limit");
    let before = content(&connection);
    let changes = connection.total_changes();
    let deeds = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&deeds);
    let authorise = move |context: AuthContext<'_>| {
        told.lock().expect("nobody broke it").push(Deed::of(context.action));
        Authorization::Allow
    };
    connection.authorizer(Some(authorise)).expect("an authorizer");
    let mut looks = 0;
    let stop = move || {
        looks += 1;
        looks > LOOKS
    };
    connection.progress_handler(STEPS, Some(stop)).expect("a handler");
    let mut batch = Batch::new(&connection, text);
    // What SQLite does not understand is not carried out, and nothing behind it is.
    while let Ok(Some(mut statement)) = batch.next() {
        let deeds: Vec<Deed> = deeds.lock().expect("nobody broke it").drain(..).collect();
        if statement.is_explain() != 0 {
            continue;
        }
        for deed in deeds {
            deed.judge(read).unwrap_or_else(|why| panic!("{dialect:?}, {:?}: {why}: {text}", read.effect()));
        }
        let mut rows = statement.raw_query();
        while let Ok(Some(_)) = rows.next() {}
    }
    drop(batch);
    connection.progress_handler(0, None::<fn() -> bool>).expect("no handler");
    let touched = connection.total_changes() - changes;
    let most = read.rows();
    assert!(most.is_none_or(|most| touched <= most), "{dialect:?}: {touched} rows, and not {most:?}: {text}");
    if read.effect() == SqlEffect::Read {
        assert_eq!(content(&connection), before, "{dialect:?}: a read has changed something: {text}");
    }
}

/// What SQLite says that a statement is going to do.
struct Deed {
    effect: SqlEffect,
    table: Option<String>,
    words: String,
}

impl Deed {
    fn of(action: AuthAction<'_>) -> Self {
        use AuthAction as A;
        let words = format!("{action:?}");
        let (effect, table) = match action {
            A::Select | A::Function { .. } | A::Recursive => (SqlEffect::Read, None),
            A::Read { table_name, .. } => (SqlEffect::Read, Some(table_name)),
            A::Insert { table_name } | A::Update { table_name, .. } => (SqlEffect::Write, Some(table_name)),
            A::Delete { table_name } => (SqlEffect::Delete, Some(table_name)),
            A::Unknown { .. }
            | A::Pragma { .. }
            | A::Transaction { .. }
            | A::Savepoint { .. }
            | A::Attach { .. }
            | A::Detach { .. } => (SqlEffect::Exec, None),
            _ => (SqlEffect::Ddl, None),
        };
        Self { effect, table: table.map(str::to_lowercase), words }
    }

    fn judge(&self, read: &Sql) -> Result<(), String> {
        if self.effect > read.effect() {
            return Err(format!("it does {}", self.words));
        }
        // A change of the structure goes through the schema, and through views that it has just made.
        let own =
            |table: &str| table.is_empty() || table.starts_with("sqlite_") || read.effect() >= SqlEffect::Ddl;
        match &self.table {
            Some(table) if !own(table) && !read.tables.contains(table) => {
                Err(format!("it does {}, and the tables are {:?}", self.words, read.tables))
            }
            _ => Ok(()),
        }
    }
}

/// All that is in the database, as text.
fn content(connection: &Connection) -> String {
    let mut all = String::new();
    for query in [
        "SELECT type, name, sql FROM sqlite_schema",
        "SELECT * FROM users",
        "SELECT * FROM orders",
        "SELECT * FROM t",
    ] {
        let mut statement = connection.prepare(query).expect("our own query");
        let columns = statement.column_count();
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next().expect("our own rows") {
            (0..columns).for_each(|at| all += &format!("{:?} ", row.get_ref(at)));
            all.push('\n');
        }
    }
    all
}
