//! In which language a tool takes its queries. One in SQL is read by the kernel; one in another that can change
//! something is read by nobody here, so its tool is no read.

use aecl_kernel::define::catalogue::{TypedAction, infer};
use serde_json::Value;

/// Arguments that hold a query.
const QUERIES: [&str; 5] = ["query", "q", "sql", "statement", "stmt"];
/// SQL, and what is asked in it.
#[rustfmt::skip]
const SQL: [&str; 26] = [
    "athena", "bigquery", "clickhouse", "cockroachdb", "databricks", "duckdb", "libsql", "mariadb", "mssql", "mysql",
    "oracle", "planetscale", "plsql", "postgres", "postgresql", "presto", "questdb", "redshift", "snowflake", "sql",
    "sqlite", "tidb", "timescaledb", "trino", "tsql", "turso",
];
/// Languages that can change something, and what is asked in them.
#[rustfmt::skip]
const OTHERS: [&str; 16] = [
    "aql", "arangodb", "cql", "cypher", "dgraph", "edgeql", "fauna", "fql", "gql", "graphql", "gremlin", "mutation",
    "n1ql", "neo4j", "sparql", "surrealql",
];
/// Arguments that hold such a query, besides.
const TEXTS: [&str; 6] = ["body", "document", "expression", "operation", "payload", "text"];

/// Whether an argument is a query, and its tool speaks of SQL: what is said to be read only is not believed of it.
pub(super) fn takes_sql(typed: &TypedAction, name: &str) -> bool {
    let manifest = &typed.manifest;
    let about =
        manifest.arguments.pointer(&format!("/properties/{name}/description")).and_then(Value::as_str);
    let texts = [manifest.name.as_str(), manifest.description.as_str(), about.unwrap_or_default()];
    let speaks = |text: &str| text.contains("SELECT") || has(text, &SQL);
    has(name, &QUERIES) && texts.iter().any(|text| speaks(text))
}

/// Whether a tool, as it is defined, takes a query in another language than SQL that can change something.
pub(super) fn takes_another(tool: &Value) -> bool {
    let text = |part: &Value, key: &str| part.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let speaks = has(&text(tool, "name"), &OTHERS) || has(&text(tool, "description"), &OTHERS);
    let arguments = tool.pointer("/inputSchema/properties").and_then(Value::as_object);
    arguments.into_iter().flatten().any(|(name, argument)| {
        let holds = has(name, &QUERIES) || has(name, &TEXTS);
        has(name, &OTHERS) || (holds && (speaks || has(&text(argument, "description"), &OTHERS)))
    })
}

fn has(text: &str, list: &[&str]) -> bool {
    let is = |word: &str| list.iter().any(|known| known.eq_ignore_ascii_case(word));
    // `GraphQL` is one word, `sqlQuery` is two.
    text.split(|c: char| !c.is_alphanumeric()).any(is) || infer::words(text).iter().any(|word| is(word))
}
