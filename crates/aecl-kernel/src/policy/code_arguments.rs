//! What runs, as rules see it: `context.sql` and `context.command`. Both are always there for an action that
//! has such an argument in all of its cases, so that a rule needs no `has`.

use super::typing::{long, texts};
use crate::define::catalogue::TypedAction;
use crate::define::catalogue::flow::Class;
use crate::read::code_arguments::shell::CommandLine;
use crate::read::code_arguments::sql::Sql;
use crate::read::code_arguments::{CodeArgument, ParsedCode};
use cedar_policy_core::ast::Value as CedarValue;
use serde_json::{Value, json};

/// The type of `context.sql`.
pub(super) fn sql_type() -> Value {
    json!({"type": "Record", "attributes": {
        "effect": {"type": "String"}, "tables": texts_type(), "bounded": {"type": "Boolean"},
        "understood": {"type": "Boolean"}, "statements": {"type": "Long"},
    }})
}

/// The type of `context.command`.
pub(super) fn command_type() -> Value {
    json!({"type": "Record", "attributes": {
        "programs": texts_type(), "simple": {"type": "Boolean"}, "understood": {"type": "Boolean"},
    }})
}

fn texts_type() -> Value {
    json!({"type": "Set", "element": {"type": "String"}})
}

/// Adds the values. What runs in several arguments is taken together, the worst of each.
pub(super) fn values(typed: &TypedAction, arguments: &[CodeArgument], fields: &mut Vec<(&str, CedarValue)>) {
    if typed.roles.has(Class::QuerySql) {
        let all = arguments.iter().filter_map(|argument| match &argument.code {
            ParsedCode::Sql(sql) => Some(sql),
            ParsedCode::Command(_) => None,
        });
        fields.push(("sql", sql(&all.collect::<Vec<_>>())));
    }
    if typed.roles.has(Class::Command) {
        let all = arguments.iter().filter_map(|argument| match &argument.code {
            ParsedCode::Command(line) => Some(line),
            ParsedCode::Sql(_) => None,
        });
        fields.push(("command", command(&all.collect::<Vec<_>>())));
    }
}

fn sql(all: &[&Sql]) -> CedarValue {
    let effect = all.iter().map(|s| s.effect()).max().map_or("none", |e| e.name());
    let statements = all.iter().map(|s| s.side_by_side as u64).sum();
    let fields = [
        ("effect", effect.into()),
        ("tables", texts(all.iter().flat_map(|s| s.tables.iter().map(String::as_str)))),
        ("bounded", all.iter().all(|s| s.bounded()).into()),
        ("understood", all.iter().all(|s| s.unread.is_none()).into()),
        ("statements", long(statements)),
    ];
    CedarValue::record(fields, None)
}

fn command(all: &[&CommandLine]) -> CedarValue {
    let fields = [
        ("programs", texts(all.iter().flat_map(|line| line.programs()))),
        ("simple", all.iter().all(|line| line.simple()).into()),
        ("understood", all.iter().all(|line| line.unread.is_none()).into()),
    ];
    CedarValue::record::<&str, CedarValue>(fields, None)
}
