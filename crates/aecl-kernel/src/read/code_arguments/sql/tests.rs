#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "hostile texts are given a time and a stack, and both are measured"
)]

use super::*;

/// Effect, bound and rows of a text, as one line.
fn says(text: &str, dialect: Dialect) -> String {
    let sql = read(text, dialect);
    if let Some(why) = &sql.unread {
        return format!("unread: {why}");
    }
    let bounded = if sql.bounded() { "bounded" } else { "unbounded" };
    let rows = sql.rows().map_or_else(|| "? rows".to_owned(), |n| format!("{n} rows"));
    format!("{} {bounded} {rows}: {}", sql.effect().name(), sql.words().join(" + "))
}

#[track_caller]
fn table(dialect: Dialect, rows: &[(&str, &str)]) {
    for (text, expected) in rows {
        assert_eq!(says(text, dialect), *expected, "{text}");
    }
}

/// The effect of a text, or `unread`.
fn effect(text: &str) -> &'static str {
    let sql = read(text, Dialect::Generic);
    if sql.unread.is_some() { "unread" } else { sql.effect().name() }
}

#[test]
fn a_bounded_delete_is_told_with_its_condition() {
    table(
        Dialect::Generic,
        &[(
            "DELETE FROM users WHERE last_login < 2023",
            "delete bounded ? rows: deletes rows of `users` where last_login < 2023",
        )],
    );
}

#[test]
fn statements_are_told_in_words() {
    table(
        Dialect::Generic,
        &[
            ("SELECT * FROM users", "read bounded 0 rows: reads rows"),
            ("DELETE FROM users", "delete unbounded ? rows: deletes all rows of `users`"),
            (
                "UPDATE users SET name = 'x', age = 2 WHERE id = 7",
                "write bounded ? rows: changes name, age of rows of `users` where id = 7",
            ),
            ("UPDATE users SET name = 'x'", "write unbounded ? rows: changes name of all rows of `users`"),
            ("INSERT INTO users (id) VALUES (1), (2), (3)", "write bounded 3 rows: adds 3 rows to `users`"),
            ("INSERT INTO users SELECT * FROM old", "write bounded ? rows: adds rows to `users`"),
            ("TRUNCATE TABLE users", "delete unbounded ? rows: deletes all rows of `users`"),
            ("DROP TABLE users", "ddl unbounded ? rows: changes the structure: DROP TABLE users"),
            (
                "GRANT ALL ON users TO eve",
                "grant unbounded ? rows: changes who may do what: GRANT ALL ON users TO eve",
            ),
        ],
    );
}

#[test]
fn a_condition_that_every_row_meets_bounds_nothing() {
    for condition in [
        "1=1",
        "1 = 1",
        "TRUE",
        "true",
        "1",
        "'a'",
        "'a'='a'",
        "x=x",
        "t.x = t.x",
        "id = id",
        "id IS NOT NULL",
        "id = 5 OR 1=1",
        "id = 5 OR true",
        "(id = 5) OR (1 = 1)",
        "NOT (id = 5)",
        "NOT false",
        "id <> 5",
        "id != 5",
        "id > 0",
        "id >= 1",
        "id > -1",
        "0 < id",
        "id > '0'",
        "name > ''",
        "name LIKE '%'",
        "name LIKE '%_%'",
        "name NOT LIKE 'x%'",
        "id NOT IN (1, 2)",
        "id IN (SELECT id FROM users)",
        "id IN (SELECT id FROM users WHERE 1=1)",
        "EXISTS (SELECT 1)",
        "active",
        "\"name\"",
        "id NOT BETWEEN 1 AND 2",
        "length(name) >= 0",
        "coalesce(id, 1) = 1",
        "id = id + 0",
        "a = b",
        "id = 5 OR (name = 'x' OR 2 > 1)",
        "CASE WHEN true THEN true END",
        "id IS NOT FALSE",
        "id = (SELECT id)",
        "id BETWEEN id AND id",
        "id IN (id)",
        "id > ?",
    ] {
        for text in
            [format!("DELETE FROM t WHERE {condition}"), format!("UPDATE t SET a = 1 WHERE {condition}")]
        {
            let sql = read(&text, Dialect::Generic);
            assert!(!sql.bounded(), "{text}: {sql:?}");
        }
    }
}

#[test]
fn a_column_compared_with_a_constant_bounds() {
    for condition in [
        "id = 5",
        "5 = id",
        "id = 5 AND 1=1",
        "1=1 AND id = 5",
        "id IN (1, 2, 3)",
        "id BETWEEN 1 AND 9",
        "name LIKE 'a%'",
        "last_login < '2023-01-01'",
        "last_login < DATE '2023-01-01'",
        "id = ?",
        "id = 1 OR id = 2",
        "deleted_at IS NULL",
        "lower(name) = 'x'",
        "id IN (SELECT user_id FROM gone WHERE year = 2020)",
        "u.id = 5",
        "id > 1000",
        "active = true",
        "created < now()",
        "(id = 5)",
        "`id` = 5",
        "id = 5 AND name IS NOT NULL",
        "CAST(id AS int) = 5",
        "id = -5",
    ] {
        let text = format!("DELETE FROM t WHERE {condition}");
        let sql = read(&text, Dialect::Generic);
        assert!(sql.bounded(), "{text}: {sql:?}");
    }
}

#[test]
fn a_write_inside_a_read_is_a_write() {
    for (text, expected) in [
        ("WITH gone AS (DELETE FROM users RETURNING *) SELECT count(*) FROM gone", "delete"),
        ("WITH a AS (SELECT 1), b AS (UPDATE users SET x = 1 RETURNING *) SELECT * FROM b", "write"),
        ("WITH a AS (SELECT 1) DELETE FROM users", "delete"),
        (
            "WITH a AS (WITH b AS (INSERT INTO t VALUES (1) RETURNING *) SELECT * FROM b) SELECT * FROM a",
            "write",
        ),
        ("SELECT * INTO copy FROM users", "ddl"),
        ("SELECT 1 UNION SELECT * INTO copy FROM users", "ddl"),
        ("SELECT * FROM users FOR UPDATE", "write"),
    ] {
        assert_eq!(effect(text), expected, "{text}");
    }
    assert!(
        !read("WITH gone AS (DELETE FROM users RETURNING *) SELECT * FROM gone", Dialect::Postgres).bounded()
    );
}

#[test]
fn an_explain_that_executes_is_what_it_executes() {
    for (text, expected) in [
        ("EXPLAIN SELECT * FROM users", "read"),
        ("EXPLAIN DELETE FROM users", "read"),
        ("EXPLAIN ANALYZE SELECT 1", "exec"),
        ("EXPLAIN ANALYZE DELETE FROM users", "exec"),
        ("EXPLAIN (ANALYZE) DELETE FROM users", "exec"),
        ("EXPLAIN (ANALYZE true, VERBOSE) DELETE FROM users", "exec"),
        ("EXPLAIN (VERBOSE) DELETE FROM users", "read"),
        ("EXPLAIN (COSTS off, ANALYZE on) DELETE FROM users", "exec"),
    ] {
        let sql = read(text, Dialect::Postgres);
        assert!(sql.unread.is_none(), "{text}: {sql:?}");
        assert_eq!(sql.effect().name(), expected, "{text}");
    }
    assert_eq!(read("EXPLAIN QUERY PLAN DELETE FROM users", Dialect::Sqlite).effect(), SqlEffect::Read);
}

#[test]
fn an_explain_names_its_tables_and_calls_what_its_planner_calls() {
    for (text, dialect) in [
        ("EXPLAIN SELECT * FROM audit_log", Dialect::Postgres),
        ("EXPLAIN (COSTS off) DELETE FROM audit_log", Dialect::Postgres),
        ("EXPLAIN SELECT 1 FROM users WHERE id IN (SELECT id FROM Audit_Log)", Dialect::Generic),
        ("EXPLAIN QUERY PLAN SELECT * FROM 'audit_log'", Dialect::Sqlite),
    ] {
        let sql = read(text, dialect);
        assert_eq!(sql.effect(), SqlEffect::Read, "{text}: {sql:?}");
        assert!(sql.tables.contains("audit_log"), "{text}: {sql:?}");
    }
    for text in [
        "EXPLAIN SELECT 1 FROM users WHERE id = CAST(CAST(table_to_xml('audit_log', true, true, '') AS text) AS int)",
        "EXPLAIN SELECT pg_sleep(1)",
        "EXPLAIN EXECUTE x",
        "EXPLAIN WITH a AS (SELECT wipe(1)) DELETE FROM users",
    ] {
        assert_eq!(read(text, Dialect::Postgres).effect(), SqlEffect::Exec, "{text}");
    }
}

#[test]
fn what_replaces_rows_that_a_query_picks_bounds_nothing() {
    for (text, bounded) in [
        ("INSERT INTO users (id, name) VALUES (1, 'a')", true),
        ("INSERT INTO users (id, name) SELECT id, 'x' FROM other", true),
        ("INSERT INTO users (id, name) VALUES (1, 'a') ON CONFLICT (id) DO UPDATE SET name = 'b'", true),
        (
            "INSERT INTO users (id) SELECT id FROM users WHERE 1 ON CONFLICT (id) DO UPDATE SET name = 'b'",
            false,
        ),
        ("INSERT OR REPLACE INTO users (id) SELECT id FROM other", false),
        ("REPLACE INTO users (id) SELECT id FROM other", false),
        ("REPLACE INTO users (id) VALUES (1)", true),
    ] {
        let sql = read(text, Dialect::Sqlite);
        assert_eq!((sql.effect(), sql.bounded()), (SqlEffect::Write, bounded), "{text}: {sql:?}");
    }
    let replaced = read("UPDATE OR REPLACE users SET id = 1 WHERE id = 2", Dialect::Sqlite);
    assert_eq!(replaced.effect(), SqlEffect::Delete);
}

#[test]
fn several_statements_are_seen() {
    let sql = read("SELECT 1; DROP TABLE users", Dialect::Generic);
    assert_eq!((sql.side_by_side, sql.effect()), (2, SqlEffect::Ddl));
    assert_eq!(read("SELECT 1;;", Dialect::Generic).side_by_side, 1);
    assert_eq!(effect("SELECT ';' AS a -- ; DROP TABLE users"), "read");
}

#[test]
fn functions_that_do_more_than_compute_are_the_worst() {
    for text in [
        "SELECT pg_sleep(10)",
        "SELECT lo_export(1, '/tmp/x')",
        "SELECT load_extension('x')",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT * FROM dblink('x', 'DELETE FROM t')",
        "SELECT lower(pg_sleep(1)::text)",
        "SELECT my_function()",
        "SELECT public.now()",
        "SELECT \"now\"()",
        "SELECT setval('s', 1)",
        "SELECT writefile('x', 'y')",
        "SELECT 1 WHERE pg_terminate_backend(1)",
        "INSERT INTO t VALUES (nextval('s'))",
        "SELECT query_to_xml('DELETE FROM t', true, true, '')",
        "SELECT sleep(5)",
        "DELETE FROM t WHERE id = 1 AND pg_sleep(1) IS NULL",
        "SELECT * FROM t ORDER BY my_function(a)",
        "SELECT count(*) FILTER (WHERE evil(a)) FROM t",
        "SELECT sum(a) OVER (PARTITION BY evil(b)) FROM t",
        "SELECT CASE WHEN evil() THEN 1 END",
        "SELECT ARRAY[evil()]",
        "SELECT * FROM t LIMIT evil()",
        "SELECT * FROM t JOIN u ON evil(a)",
        "VALUES (evil())",
        "SELECT (SELECT evil())",
        "UPDATE t SET a = evil() WHERE id = 1",
        "SELECT * FROM t GROUP BY evil(a)",
        "SELECT * FROM t GROUP BY a HAVING evil(a)",
    ] {
        let effect = effect(text);
        assert!(effect == "exec" || effect == "unread", "{text}: {effect}");
    }
    for text in [
        "SELECT count(*), max(a) FROM t",
        "SELECT coalesce(a, lower(b)) FROM t",
        "SELECT NOW()",
        "SELECT sum(a) OVER (PARTITION BY b) FROM t",
    ] {
        assert_eq!(effect(text), "read", "{text}");
    }
}

/// PostgreSQL calls what belongs to a type, an operator or a domain that somebody has defined.
#[test]
fn types_and_operators_of_somebody_else_are_called() {
    for text in [
        "SELECT 'x'::evil",
        "SELECT CAST(a AS public.evil) FROM t",
        "SELECT evil 'x'",
        "SELECT '{}'::evil[]",
        "SELECT a::evil(3) FROM t",
        "SELECT 'x'::\"Inet\"",
        "SELECT 'x'::my.inet",
        "SELECT * FROM t WHERE a = 'x'::evil",
        "SELECT json_object('a': 1 RETURNING evil)",
        "EXPLAIN SELECT 'x'::evil",
        "SELECT a OPERATOR(public.+) b FROM t",
        "SELECT a <#> b FROM t",
        "SELECT a ### b FROM t",
        "SELECT @@@ a FROM t",
        "SELECT @@@a FROM t",
        "SELECT a @@@ 'x' FROM t",
        "SELECT a||-b FROM t",
        "SELECT a =@ b FROM t",
    ] {
        let sql = read(text, Dialect::Postgres);
        assert_eq!(sql.effect(), SqlEffect::Exec, "{text}: {sql:?}");
        let sql = read(text, Dialect::Generic);
        assert_eq!(sql.effect(), SqlEffect::Exec, "{text}: {sql:?}");
    }
    // Words of other databases name what somebody has defined, and so do signs.
    for text in [
        "SELECT 'x'::tinyint",
        "SELECT CAST('x' AS datetime)",
        "SELECT datetime 'y'",
        "SELECT a::int4 unsigned FROM t",
        "SELECT a::double FROM t",
        "SELECT a <=> b FROM t",
        "SELECT a == b FROM t",
        "SELECT a <| b FROM t",
        "SELECT a ?+ b FROM t",
        "SELECT a ?@@ b FROM t",
        "SELECT a !=+ b, a !? b FROM t",
        "SELECT a FROM t ORDER BY a USING OPERATOR(evil.<<<)",
    ] {
        let sql = read(text, Dialect::Postgres);
        assert_eq!(sql.effect(), SqlEffect::Exec, "{text}: {sql:?}");
    }
    assert_eq!(
        says("SELECT 'x'::evil", Dialect::Postgres),
        "exec unbounded ? rows: reads rows + makes a value of the type `evil`, which may do anything"
    );
    for text in [
        "SELECT a::inet, b::numeric(10, 2), c::text[], d::int4 FROM t",
        "SELECT CAST(a AS varchar(20)), '1'::pg_catalog.int4, 't'::regclass FROM t",
        "SELECT date '2026-01-01', timestamp with time zone '2026-01-01', interval '1 day'",
        "SELECT a::timestamptz, b::jsonb, c::uuid, d::double precision, e::bool, f::money FROM t",
        "SELECT a || b, a ->> 'x', a @> b, a ~ 'x', a && b FROM t",
        "SELECT a||b, a->>'x', a@>b, a~'x', count(*) FROM t",
        "SELECT a=-1, a * -1, a <> -b FROM t",
        "SELECT @a FROM t",
        "SELECT a!~~*'x' FROM t",
        "SELECT a /**/ FROM t",
        "SELECT a <> -1, a <-> b, a ? 'x', a ?| b, a #>> b, a->0, a-1, a=-1, -a, +a, t.*, 2*3 FROM t",
        "SELECT a::float(24), b::character varying(9), c::time(3) with time zone, d::interval, e::bit(3) FROM t",
    ] {
        assert_eq!(read(text, Dialect::Postgres).effect(), SqlEffect::Read, "{text}");
    }
    assert_eq!(read("SELECT CAST(a AS evil) FROM t", Dialect::Sqlite).effect(), SqlEffect::Read);
}

#[test]
fn kinds_that_run_something_else_are_the_worst() {
    for text in [
        "CALL cleanup()",
        "EXECUTE cleanup",
        "PREPARE p AS DELETE FROM t",
        "COPY t FROM '/etc/passwd'",
        "COPY t TO PROGRAM 'sh'",
        "SET ROLE admin",
        "PRAGMA writable_schema = 1",
        "ATTACH DATABASE 'x.db' AS x",
        "VACUUM",
        "BEGIN",
        "LOCK TABLE t",
        "KILL 5",
        "USE other",
        "LISTEN x",
        "NOTIFY x",
    ] {
        let effect = effect(text);
        assert!(effect == "exec" || effect == "unread", "{text}: {effect}");
    }
    for (text, expected) in [
        ("ALTER TABLE t ADD COLUMN a int", "ddl"),
        ("CREATE TABLE t (a int)", "ddl"),
        ("CREATE TABLE t AS SELECT 1", "ddl"),
        ("REVOKE ALL ON t FROM eve", "grant"),
        ("CREATE ROLE eve", "grant"),
        ("MERGE INTO t USING s ON t.id = s.id WHEN MATCHED THEN DELETE", "delete"),
        ("CREATE VIEW v AS SELECT 1", "ddl"),
        ("DROP VIEW v", "ddl"),
    ] {
        assert_eq!(effect(text), expected, "{text}");
    }
}

#[test]
fn what_is_not_understood_is_unread() {
    for text in [
        "",
        ";",
        "-- nothing",
        "DO $$ BEGIN DELETE FROM t; END $$",
        "SELECT * FROM t INTO OUTFILE '/tmp/x'",
        "SELECT",
        "SELECT 'a",
        "DELETE FROM t WHERE",
        "hello",
        "SELECT 1 /*! ; DROP TABLE t */",
        "SELECT 1 /*!50000 INTO OUTFILE 'x' */",
        "SELECT 'a\\'; DROP TABLE t; --'",
        "SELECT 1 # comment",
        "SELECT 5--3",
        "SELECT 1 /* a /* b */ ; DROP TABLE t */",
        "SELECT\u{200b} 1",
        "SELECT\u{0} 1",
        "SELECT 1 /* open",
    ] {
        assert_eq!(effect(text), "unread", "{text}");
    }
}

#[test]
fn a_database_that_is_named_is_read_by_its_rules() {
    // A backslash hides the end of a string from one database and not from the other.
    let text = "SELECT 'a\\'; DROP TABLE t; --'";
    assert_eq!(read(text, Dialect::Postgres).effect(), SqlEffect::Ddl);
    assert_eq!(read(text, Dialect::Mysql).effect(), SqlEffect::Read);
    assert!(read(text, Dialect::Generic).unread.is_some());
    assert_eq!(read("DELETE FROM t LIMIT 5", Dialect::Mysql).rows(), Some(5));
    assert_eq!(read("SELECT E'a\\'; DROP TABLE t; --'", Dialect::Postgres).effect(), SqlEffect::Read);
    assert!(read("SELECT 1 /*! ; DROP TABLE t */", Dialect::Mysql).unread.is_some());
}

#[test]
fn what_one_database_skips_and_another_carries_out_is_not_read() {
    let all = [Dialect::Generic, Dialect::Postgres, Dialect::Sqlite, Dialect::Mysql];
    for dialect in all {
        for text in [
            "SELECT 1 /* /* */ ; DROP TABLE t; /* */ */",
            "SELECT 1 /* /* */ ; DROP TABLE t",
            "SELECT 1 /*! ; DROP TABLE t */",
            "SELECT 1 /* open",
        ] {
            assert!(read(text, dialect).unread.is_some(), "{dialect:?}: {text}");
        }
    }
    let quoted = "SELECT $a$ ; DROP TABLE t ; SELECT $a$";
    for dialect in [Dialect::Generic, Dialect::Sqlite, Dialect::Mysql] {
        assert!(read(quoted, dialect).unread.is_some(), "{dialect:?}");
    }
    assert_eq!(read(quoted, Dialect::Postgres).effect(), SqlEffect::Read);
    // In MySQL two dashes begin a comment only before a space, and `#` begins one.
    for (text, dialect) in [
        ("SELECT 1 --1; DROP TABLE t", Dialect::Mysql),
        ("SELECT 1 # a\n; DROP TABLE t", Dialect::Mysql),
        ("SELECT 1 -- a\n; DROP TABLE t", Dialect::Mysql),
        ("SELECT 1 --a\n; DROP TABLE t", Dialect::Postgres),
        ("SELECT 'a''b'; DROP TABLE t", Dialect::Sqlite),
        ("SELECT [a;b]; DROP TABLE t", Dialect::Sqlite),
        ("SELECT \"a\\\"; DROP TABLE t; --\"", Dialect::Sqlite),
    ] {
        let sql = read(text, dialect);
        assert!(sql.unread.is_some() || sql.effect() == SqlEffect::Ddl, "{dialect:?}: {text}: {sql:?}");
    }
    assert_eq!(read("SELECT * FROM t WHERE id = $1 AND a = $2", Dialect::Postgres).effect(), SqlEffect::Read);
    assert_eq!(read("SELECT * FROM t WHERE id = $1 AND a = $2", Dialect::Generic).effect(), SqlEffect::Read);
}

#[test]
fn nothing_stands_behind_what_was_read() {
    let all = [Dialect::Generic, Dialect::Postgres, Dialect::Sqlite, Dialect::Mysql];
    for text in [
        "SELECT 1 END; DELETE FROM users",
        "SELECT 1 end; DROP TABLE users",
        "SELECT 1 END; COPY users TO PROGRAM 'id'",
        "SELECT 1 END, pg_read_file('/etc/passwd')",
        "SELECT 1; SELECT 2 END; DROP TABLE users",
        "DELETE FROM t WHERE id = 1 END OR 1 = 1",
        "SELECT INTO x FROM users",
        "SELECT a END FROM users",
        "BEGIN; SELECT 1; END; DROP TABLE users",
    ] {
        for dialect in all {
            let sql = read(text, dialect);
            assert!(
                sql.unread.is_some() || sql.effect() >= SqlEffect::Ddl,
                "{text} for {dialect:?}: {sql:?}"
            );
        }
    }
    for text in [
        "SELECT CASE WHEN a THEN 1 ELSE 2 END FROM t",
        "SELECT 1;",
        "SELECT CASE a WHEN 1 THEN 2 END x FROM t",
    ] {
        assert_eq!(effect(text), "read", "{text}");
    }
}

#[test]
fn the_words_that_are_no_names_are_sorted_so_that_they_can_be_searched() {
    assert!(guard::is_reserved("ALL") && guard::is_reserved("where") && !guard::is_reserved("left"));
}

#[test]
fn a_table_is_named_however_it_is_written() {
    let all = [Dialect::Generic, Dialect::Postgres, Dialect::Sqlite, Dialect::Mysql];
    for text in [
        "SELECT * FROM 'audit_log'",
        "SELECT * FROM \"audit_log\"",
        "SELECT * FROM [audit_log]",
        "SELECT * FROM `audit_log`",
        "SELECT * FROM main.'audit_log'",
        "SELECT * FROM 'main'.'Audit_Log' x",
        "SELECT * FROM ONLY audit_log",
        "SELECT * FROM ONLY (audit_log)",
        "SELECT * FROM only audit_log a, b",
        "SELECT * FROM b JOIN ONLY audit_log ON true",
        "SELECT * FROM b WHERE EXISTS (SELECT 1 FROM ONLY audit_log)",
        "SELECT * FROM audit_log*",
        "TABLE audit_log",
        "TABLE ONLY audit_log",
        "TABLE main.audit_log",
        "SELECT * FROM LATERAL audit_log",
        "SELECT * FROM TABLE(audit_log)",
        "SELECT * FROM U&\"audit\\005Flog\"",
        "SELECT * FROM audit_log TABLESAMPLE SYSTEM (100)",
        "INSERT INTO 'audit_log' VALUES (1)",
        "UPDATE 'audit_log' SET a = 1 WHERE id = 2",
        "UPDATE ONLY audit_log SET a = 1 WHERE id = 2",
        "DELETE FROM 'audit_log' WHERE id = 2",
        "DELETE FROM ONLY audit_log WHERE id = 2",
        "TRUNCATE ONLY audit_log",
        "DROP TABLE 'audit_log'",
        "WITH x AS (TABLE audit_log) SELECT * FROM x",
        "SELECT (SELECT max(a) FROM 'audit_log')",
        "SELECT * FROM b NATURAL JOIN 'audit_log'",
        "SELECT * FROM /*!50000 audit_log */",
        "SELECT * FROM (audit_log)",
        "SELECT * FROM (b, audit_log)",
        "SELECT 1 IN 'audit_log'",
        "SELECT what END FROM audit_log",
        "SELECT what LIKE FROM audit_log",
        "SELECT what OR FROM audit_log",
        "SELECT what AND FROM audit_log",
        "SELECT what COLLATE FROM audit_log",
        "SELECT what REGEXP FROM audit_log",
        "SELECT what AS FROM audit_log",
        "SELECT interval FROM audit_log",
        "SELECT array FROM audit_log",
        "SELECT x::from audit_log",
        "SELECT (SELECT what OR FROM b, audit_log) UNION SELECT 1 FROM b",
        "SELECT what LIKE FROM b, audit_log UNION SELECT 1 FROM b",
        "SELECT 1from audit_log",
        "SELECT 1.from audit_log",
        "SELECT .1from audit_log",
        "SELECT 1.2from audit_log",
        "SELECT 1e5from audit_log",
        "SELECT 0x1from audit_log",
        "SELECT $1from audit_log",
        "SELECT @a.from audit_log",
        "SELECT ?from audit_log",
        "SELECT ?1from audit_log",
        "SELECT E'a'\n'\\'' , what from audit_log --'",
        "SELECT U&'a'\n'\\'' , what from audit_log --'",
        "SELECT 'a' /* x */ '\\'' , what from audit_log --'",
        "SELECT N'a'\n'\\'' , what from audit_log --'",
        "SELECT 1 IN audit_log",
    ] {
        for dialect in all {
            let sql = read(text, dialect);
            let is_known =
                sql.unread.is_some() || sql.effect() == SqlEffect::Exec || sql.tables.contains("audit_log");
            assert!(is_known, "{text} for {dialect:?}: {sql:?}");
        }
    }
}

#[test]
fn tables_are_named_with_and_without_their_schema() {
    let of = |text: &str| read(text, Dialect::Generic).tables.into_iter().collect::<Vec<_>>().join(" ");
    assert_eq!(of("DELETE FROM Public.Users USING teams WHERE id = 1"), "public.users teams users");
    assert_eq!(of("SELECT * FROM \"Secret Table\" s JOIN t ON s.a = t.a"), "secret table t");
    assert_eq!(of("UPDATE a SET x = (SELECT y FROM b) WHERE id IN (SELECT id FROM c WHERE z = 1)"), "a b c");
    assert_eq!(of("INSERT INTO a SELECT * FROM b"), "a b");
    assert_eq!(of("TRUNCATE a, b"), "a b");
    assert_eq!(of("DROP TABLE a, s.b"), "a b s.b");
}

#[test]
fn hostile_texts_of_a_megabyte_end_at_once() {
    let megabyte = 1 << 20;
    let repeat = |unit: &str| unit.repeat(megabyte / unit.len());
    let long = [
        repeat("("),
        repeat("SELECT ("),
        repeat("1 OR "),
        repeat("-"),
        repeat("/*"),
        repeat("'"),
        repeat("a,"),
        repeat("NOT "),
        repeat("\u{fdfa}"),
    ];
    let start = std::time::Instant::now();
    for text in &long {
        assert!(read(text, Dialect::Generic).unread.is_some());
    }
    assert!(start.elapsed().as_millis() < 500, "{:?}", start.elapsed());
}

#[test]
fn hostile_texts_below_the_limit_neither_hang_nor_overflow() {
    let fill = |unit: &str| unit.repeat(BYTES_MAX / unit.len());
    let mut texts = vec![
        fill("("),
        fill("SELECT ("),
        fill("1 OR "),
        fill("NOT "),
        fill("CASE WHEN "),
        fill("[["),
        fill("a."),
        fill("- "),
        fill("SELECT 1;"),
        fill("WITH a AS ("),
    ];
    texts.push(format!("SELECT {}1", fill("1 + ")));
    texts.push(format!("SELECT * FROM t WHERE id IN ({}1)", fill("1,")));
    for n in 1..=14 {
        for unit in ["(", "(SELECT ", "lower(", "CASE WHEN (", "f((", "EXISTS (SELECT "] {
            texts.push(format!("SELECT {}1", unit.repeat(n)));
            texts.push(format!("SELECT {}1{}", unit.repeat(n), ")".repeat(n)));
            texts.push(format!("SELECT * FROM {}t{}", "(".repeat(n), ")".repeat(n)));
        }
    }
    // A stack like that of a worker thread; optimised programs need far less.
    let worst = std::thread::Builder::new().stack_size(2 << 20).spawn(move || {
        let mut worst = (std::time::Duration::ZERO, String::new());
        for text in texts {
            let start = std::time::Instant::now();
            read(&text, Dialect::Generic);
            read(&text, Dialect::Postgres);
            if start.elapsed() > worst.0 {
                worst = (start.elapsed(), text.chars().take(60).collect());
            }
        }
        worst
    });
    let (time, text) = worst.unwrap().join().unwrap();
    assert!(time.as_millis() < 2_000, "{time:?} for {text}");
}

#[test]
fn a_table_that_is_a_function_by_another_name_is_called() {
    for text in [
        "SELECT * FROM pragma_table_info WHERE arg = 'audit_log'",
        "SELECT * FROM Pragma_Table_Info WHERE arg = 'audit_log'",
        "SELECT * FROM main.pragma_index_list WHERE arg = 'audit_log'",
        "SELECT * FROM \"pragma_table_xinfo\" WHERE arg = 'audit_log'",
        "SELECT * FROM users, 'pragma_table_info' AS p WHERE p.arg = 'audit_log'",
        "SELECT * FROM users WHERE id IN (SELECT cid FROM pragma_table_info WHERE arg = 'audit_log')",
        "SELECT 1 IN pragma_database_list",
        "SELECT * FROM sqlite_dbpage",
        "SELECT * FROM dbstat",
        "SELECT * FROM fsdir WHERE path = '/etc'",
        "SELECT * FROM users WHERE id IN (SELECT 1) UNION SELECT data FROM sqlite_dbpage",
    ] {
        for dialect in [Dialect::Sqlite, Dialect::Generic] {
            assert_eq!(read(text, dialect).effect(), SqlEffect::Exec, "{text}");
        }
    }
    for (text, dialect) in [
        ("SELECT * FROM pragma_notes", Dialect::Postgres),
        ("SELECT * FROM dbstat", Dialect::Mysql),
        ("SELECT pragma_x, dbstat FROM users", Dialect::Sqlite),
        ("SELECT * FROM users AS dbstat", Dialect::Sqlite),
    ] {
        assert_eq!(read(text, dialect).effect(), SqlEffect::Read, "{text}");
    }
}
