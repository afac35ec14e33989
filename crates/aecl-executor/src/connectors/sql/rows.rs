//! Arguments into a statement, rows out of it.

use base64::Engine as _;
use rusqlite::Statement;
use rusqlite::types::{Value as SqlValue, ValueRef};
use serde_json::{Map, Value};

use super::{Ran, SqlError};
use crate::arguments::Arguments;
use crate::call::Call;

pub(super) fn bind(statement: &mut Statement<'_>, call: &Call) -> Result<(), SqlError> {
    let arguments = Arguments::of(call).map_err(|error| SqlError::Arguments(error.to_string()))?;
    for index in 1..=statement.parameter_count() {
        let named = statement.parameter_name(index).map(|name| name.trim_start_matches([':', '@', '$']));
        let name = named.ok_or(SqlError::Nameless(index))?.to_owned();
        let raw = match name.as_str() {
            "idempotency_key" | "action_id" => arguments.at(&format!("@{name}")),
            _ => arguments.at(&name),
        };
        let raw = raw.ok_or_else(|| SqlError::Missing(name.clone()))?;
        statement.raw_bind_parameter(index, bound(&name, &raw)?).map_err(SqlError::Compile)?;
    }
    Ok(())
}

fn bound(name: &str, raw: &str) -> Result<SqlValue, SqlError> {
    let value: Value = serde_json::from_str(raw).map_err(|error| SqlError::Arguments(error.to_string()))?;
    Ok(match value {
        Value::Null => SqlValue::Null,
        Value::Bool(truth) => SqlValue::Integer(i64::from(truth)),
        Value::String(text) => SqlValue::Text(text),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => SqlValue::Integer(integer),
            // An integer that only fits a float would arrive as another number.
            (None, Some(real)) if raw.contains(['.', 'e', 'E']) => SqlValue::Real(real),
            _ => return Err(SqlError::Number(name.to_owned())),
        },
        // A list or an object arrives as its JSON text, for `json_each` and friends.
        Value::Array(_) | Value::Object(_) => SqlValue::Text(raw.to_owned()),
    })
}

/// The rows, as many as are shown and as fit into an answer. Beyond that they are counted.
pub(super) fn rows(
    statement: &mut Statement<'_>,
    max_rows: usize,
    max_bytes: usize,
) -> Result<Ran, SqlError> {
    let columns = column_names(statement);
    let (mut found, mut bytes, mut truncated) = (Vec::new(), 0usize, false);
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next().map_err(SqlError::Run)? {
        // A writing statement with RETURNING is run to its end, however many rows are shown.
        if found.len() >= max_rows || bytes > max_bytes {
            truncated = true;
            continue;
        }
        let mut object = Map::new();
        for (position, column) in columns.iter().enumerate() {
            let value = row.get_ref(position).map_err(SqlError::Run)?;
            bytes = bytes.saturating_add(weight(value)).saturating_add(column.len());
            object.insert(column.clone(), as_json(value));
        }
        found.push(Value::Object(object));
    }
    let rows = found.len() as u64;
    Ok(Ran { output: serde_json::json!({ "rows": found }), rows, truncated })
}

/// The names of the columns; a name that comes twice gets a number, so that no value disappears.
fn column_names(statement: &Statement<'_>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in statement.column_names() {
        let mut unique = name.to_owned();
        let mut number = 2;
        while names.contains(&unique) {
            unique = format!("{name}_{number}");
            number += 1;
        }
        names.push(unique);
    }
    names
}

pub(super) fn changed(mut ran: Ran, changed: u64, statement: &Statement<'_>) -> Ran {
    if !statement.readonly() {
        let rows = ran.output.get_mut("rows").map(Value::take).unwrap_or_default();
        ran.output = match statement.column_count() {
            0 => serde_json::json!({ "changed": changed }),
            _ => serde_json::json!({ "changed": changed, "rows": rows }),
        };
        ran.rows = changed;
    }
    if ran.truncated
        && let Some(members) = ran.output.as_object_mut()
    {
        members.insert("truncated".into(), true.into());
    }
    ran
}

/// At least how many bytes a value takes in an answer.
fn weight(value: ValueRef<'_>) -> usize {
    match value {
        ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) => 1,
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.len(),
    }
}

fn as_json(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(integer) => integer.into(),
        ValueRef::Real(real) => real.into(),
        ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned().into(),
        ValueRef::Blob(blob) => {
            serde_json::json!({ "base64": base64::engine::general_purpose::STANDARD.encode(blob) })
        }
    }
}
