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
const OTHERS: [&str; 21] = [
    "aql", "arangodb", "cql", "cypher", "dgraph", "edgeql", "fauna", "fql", "gql", "graphql", "gremlin",
    "janusgraph", "mutation", "n1ql", "neo4j", "opencypher", "sparql", "surql", "surrealdb", "surrealql", "typeql",
];
/// Arguments that hold such a query, besides.
#[rustfmt::skip]
const TEXTS: [&str; 10] = [
    "body", "document", "expression", "operation", "payload", "pipeline", "program", "stages", "text", "traversal",
];
/// Arguments that hold one where they are lists of steps.
const STEPS: [&str; 3] = ["pipeline", "stages", "traversal"];
/// What is done with a text that is a program, as its description says: "Expression to evaluate".
const RUN: [&str; 5] = ["eval", "evaluate", "interpret", "invoke", "run"];

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
        let about = text(argument, "description");
        // Steps are objects; names of them are what is looked for.
        let of = |at: &str| argument.pointer(at).and_then(Value::as_str);
        let is_list = of("/type") == Some("array")
            && matches!(of("/items/type"), None | Some("object"))
            && argument.pointer("/items/enum").is_none();
        has(name, &OTHERS)
            || (holds && (speaks || has(&about, &OTHERS)))
            || (is_list && has(name, &STEPS))
            || (is_free(argument) && !has(&about, &SQL) && is_run(&about))
    })
}

/// Whether any text will do.
fn is_free(argument: &Value) -> bool {
    let is_text = match argument.get("type") {
        Some(Value::String(kind)) => kind == "string",
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "string"),
        _ => argument.get("anyOf").is_none() && argument.get("oneOf").is_none(),
    };
    is_text && argument.get("enum").is_none() && argument.get("const").is_none()
}

/// Whether a description says of an argument that it is run.
fn is_run(about: &str) -> bool {
    let words: Vec<String> = about
        .split_whitespace()
        .map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase())
        .collect();
    words.windows(2).enumerate().any(|(at, two)| {
        let [to, verb] = two else { return false };
        // "the query to run", and not "whether to run it" or "how many to run".
        at > 0 && at < 6 && to == "to" && RUN.contains(&verb.as_str()) && words.len() <= at + 4
    })
}

fn has(text: &str, list: &[&str]) -> bool {
    let is = |word: &str| list.iter().any(|known| known.eq_ignore_ascii_case(word));
    // `GraphQL` is one word, `sqlQuery` is two.
    text.split(|c: char| !c.is_alphanumeric()).any(is) || infer::words(text).iter().any(|word| is(word))
}
