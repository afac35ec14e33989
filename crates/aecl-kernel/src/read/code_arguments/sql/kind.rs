//! What each kind of statement does, and how a person would say it.

use super::bound::bounds;
use super::{SqlEffect, SqlStatement, plain};
use sqlparser::ast::{
    BinaryOperator, Delete, Expr, FromTable, Insert, ObjectName, SetExpr, SqliteOnConflict, Statement,
    TableFactor, TableObject, TableWithJoins, Truncate, Update, Value,
};

/// What one statement does, without what stands inside it.
pub(super) fn of(statement: &Statement) -> SqlStatement {
    match statement {
        Statement::Query(_) => read("reads rows"),
        Statement::Insert(insert) => inserts(insert),
        Statement::Update(update) => updates(update),
        Statement::Delete(delete) => deletes(delete),
        Statement::Merge(merge) => SqlStatement {
            effect: SqlEffect::Delete,
            bounded: false,
            rows: None,
            words: format!("merges into `{}`, which changes or deletes rows", table(&merge.table)),
        },
        Statement::Truncate(truncate) => SqlStatement {
            effect: SqlEffect::Delete,
            bounded: false,
            rows: None,
            words: format!("deletes all rows of {}", quoted(&truncated(truncate))),
        },
        Statement::ShowTables { .. }
        | Statement::ShowColumns { .. }
        | Statement::ShowCreate { .. }
        | Statement::ShowDatabases { .. }
        | Statement::ShowSchemas { .. }
        | Statement::ShowViews { .. }
        | Statement::ExplainTable { .. } => read("lists what is there"),
        Statement::Explain { .. } => worst("explains a statement by carrying it out"),
        Statement::CreateTable(_)
        | Statement::CreateView(_)
        | Statement::CreateIndex(_)
        | Statement::CreateSchema { .. }
        | Statement::CreateDatabase { .. }
        | Statement::CreateSequence { .. }
        | Statement::CreateType { .. }
        | Statement::CreateDomain(_)
        | Statement::CreateTrigger(_)
        | Statement::CreateFunction(_)
        | Statement::CreateProcedure { .. }
        | Statement::CreateVirtualTable { .. }
        | Statement::AlterTable(_)
        | Statement::AlterIndex { .. }
        | Statement::AlterView { .. }
        | Statement::AlterSchema(_)
        | Statement::AlterType(_)
        | Statement::RenameTable(_)
        | Statement::Drop { .. }
        | Statement::DropFunction(_)
        | Statement::DropProcedure { .. }
        | Statement::DropTrigger(_)
        | Statement::Comment { .. } => {
            structure(format!("changes the structure: {}", first_words(statement)))
        }
        Statement::Grant(_)
        | Statement::Revoke(_)
        | Statement::Deny(_)
        | Statement::CreateRole(_)
        | Statement::AlterRole { .. }
        | Statement::CreatePolicy(_)
        | Statement::AlterPolicy(_)
        | Statement::DropPolicy(_)
        | Statement::CreateUser(_)
        | Statement::AlterUser(_) => SqlStatement {
            effect: SqlEffect::Grant,
            bounded: false,
            rows: None,
            words: format!("changes who may do what: {}", first_words(statement)),
        },
        // A kind that is new to this list, too: CALL, EXECUTE, PREPARE, COPY, SET, PRAGMA, ATTACH, VACUUM, LOCK …
        _ => worst(&format!("runs `{}`, which may do anything", first_words(statement))),
    }
}

/// An EXPLAIN that carries nothing out.
pub(super) fn only_explains(statement: &Statement) -> bool {
    match statement {
        Statement::Explain { analyze: false, options, .. } => options.iter().flatten().all(|option| {
            ["verbose", "costs", "format", "settings", "summary"]
                .contains(&option.name.value.to_lowercase().as_str())
        }),
        _ => false,
    }
}

pub(super) fn read(words: &str) -> SqlStatement {
    SqlStatement { effect: SqlEffect::Read, bounded: true, rows: Some(0), words: words.to_owned() }
}

pub(super) fn structure(words: String) -> SqlStatement {
    SqlStatement { effect: SqlEffect::Ddl, bounded: false, rows: None, words }
}

fn worst(words: &str) -> SqlStatement {
    SqlStatement { effect: SqlEffect::Exec, bounded: false, rows: None, words: words.to_owned() }
}

/// Operators that set a variable, or that somebody has defined.
pub(super) fn assigns(op: &BinaryOperator) -> bool {
    matches!(
        op,
        BinaryOperator::Assignment | BinaryOperator::PGCustomBinaryOperator(_) | BinaryOperator::Custom(_)
    )
}

/// Tables that a statement names where the walk does not see them.
pub(super) fn named(statement: &Statement) -> Vec<&ObjectName> {
    match statement {
        Statement::Truncate(truncate) => truncate.table_names.iter().map(|t| &t.name).collect(),
        Statement::Drop { names, .. } => names.iter().collect(),
        Statement::AlterTable(alter) => vec![&alter.name],
        Statement::Delete(delete) => delete.tables.iter().collect(),
        Statement::Insert(Insert { table: TableObject::TableName(name), .. }) => vec![name],
        _ => Vec::new(),
    }
}

fn inserts(insert: &Insert) -> SqlStatement {
    let rows = match insert.source.as_deref().map(|q| &*q.body) {
        Some(SetExpr::Values(values)) => Some(values.rows.len() as u64),
        None if !insert.assignments.is_empty() => Some(1),
        _ => None,
    };
    let into = match &insert.table {
        TableObject::TableName(name) => plain(&name.to_string()),
        other => plain(&other.to_string()),
    };
    let replaces = insert.replace_into || insert.overwrite || insert.or.is_some() || insert.on.is_some();
    let verb = if replaces { "adds or replaces" } else { "adds" };
    let count = match rows {
        Some(1) => "a row".to_owned(),
        Some(n) => format!("{n} rows"),
        None => "rows".to_owned(),
    };
    SqlStatement {
        effect: SqlEffect::Write,
        // An overwrite takes away what was there, and rows that a query picks may replace all that is there.
        bounded: !insert.overwrite && (!replaces || rows.is_some()),
        rows,
        words: format!("{verb} {count} {} `{into}`", if replaces { "in" } else { "to" }),
    }
}

fn updates(update: &Update) -> SqlStatement {
    let columns: Vec<String> = update.assignments.iter().map(|a| plain(&a.target.to_string())).collect();
    let what = plain(&columns.join(", "));
    let of = table(&update.table.relation);
    let (bounded, condition) = condition(update.selection.as_ref());
    // Rows that collide with what is written go.
    let replaces = update.or == Some(SqliteOnConflict::Replace);
    SqlStatement {
        effect: if replaces { SqlEffect::Delete } else { SqlEffect::Write },
        bounded: bounded || limit(update.limit.as_ref()).is_some(),
        rows: limit(update.limit.as_ref()),
        words: format!("changes {what} of {}", which(&of, bounded, &condition, update.limit.as_ref())),
    }
}

fn deletes(delete: &Delete) -> SqlStatement {
    let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
    let names: Vec<String> = match delete.tables.as_slice() {
        [] => from.iter().map(|t: &TableWithJoins| table(&t.relation)).collect(),
        several => several.iter().map(|n| plain(&n.to_string())).collect(),
    };
    let (bounded, condition) = condition(delete.selection.as_ref());
    SqlStatement {
        effect: SqlEffect::Delete,
        bounded: bounded || limit(delete.limit.as_ref()).is_some(),
        rows: limit(delete.limit.as_ref()),
        words: format!("deletes {}", which(&names.join("`, `"), bounded, &condition, delete.limit.as_ref())),
    }
}

/// Whether the condition bounds, and how it reads.
fn condition(selection: Option<&Expr>) -> (bool, String) {
    match selection {
        None => (false, String::new()),
        Some(expr) => (bounds(expr), plain(&expr.to_string())),
    }
}

fn which(table: &str, bounded: bool, condition: &str, most: Option<&Expr>) -> String {
    let most = limit(most).map_or_else(String::new, |n| format!(", at most {n}"));
    match (bounded, condition.is_empty()) {
        (_, true) if most.is_empty() => format!("all rows of `{table}`"),
        (_, true) => format!("rows of `{table}`{most}"),
        (true, false) => format!("rows of `{table}` where {condition}{most}"),
        (false, false) => format!("perhaps all rows of `{table}` (where {condition}){most}"),
    }
}

fn limit(limit: Option<&Expr>) -> Option<u64> {
    match limit {
        Some(Expr::Value(value)) => match &value.value {
            Value::Number(text, _) => text.parse().ok(),
            _ => None,
        },
        _ => None,
    }
}

fn truncated(truncate: &Truncate) -> Vec<String> {
    truncate.table_names.iter().map(|t| t.name.to_string()).collect()
}

fn table(factor: &TableFactor) -> String {
    match factor {
        TableFactor::Table { name, .. } => plain(&name.to_string()),
        other => plain(&other.to_string()),
    }
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|n| format!("`{}`", plain(n))).collect::<Vec<_>>().join(", ")
}

fn first_words(statement: &Statement) -> String {
    let text = statement.to_string();
    let mut words: Vec<&str> = text.split_whitespace().take(7).collect();
    if text.split_whitespace().count() > words.len() {
        words.push("…");
    }
    super::super::plain(&words.join(" "), 80)
}
