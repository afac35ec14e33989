//! What runs, as rules see it: `context.sql` and `context.command`. Both are always there for an action that
//! has such an argument, so that a rule needs no `has`.

use crate::define::catalogue::TypedAction;
use crate::define::catalogue::flow::Class;
use crate::read::code_arguments::shell::CommandLine;
use crate::read::code_arguments::sql::Sql;
use crate::read::code_arguments::{CodeArgument, ParsedCode};
use cedar_policy::RestrictedExpression;
use serde_json::{Map, Value, json};

/// Adds the types to the schema of an action's context.
pub(super) fn declare(typed: &TypedAction, context: &mut Map<String, Value>) {
    let texts = || json!({"type": "Set", "element": {"type": "String"}});
    if typed.roles.has(Class::QuerySql) {
        let attributes = json!({
            "effect": {"type": "String"}, "tables": texts(), "bounded": {"type": "Boolean"},
            "understood": {"type": "Boolean"}, "statements": {"type": "Long"},
        });
        context.insert("sql".into(), json!({"type": "Record", "attributes": attributes}));
    }
    if typed.roles.has(Class::Command) {
        let attributes =
            json!({"programs": texts(), "simple": {"type": "Boolean"}, "understood": {"type": "Boolean"}});
        context.insert("command".into(), json!({"type": "Record", "attributes": attributes}));
    }
}

/// Adds the values. What runs in several arguments is taken together, the worst of each.
pub(super) fn expressions(
    typed: &TypedAction,
    arguments: &[CodeArgument],
    pairs: &mut Vec<(String, RestrictedExpression)>,
) -> Result<(), String> {
    if typed.roles.has(Class::QuerySql) {
        let all = arguments.iter().filter_map(|argument| match &argument.code {
            ParsedCode::Sql(sql) => Some(sql),
            ParsedCode::Command(_) => None,
        });
        pairs.push(("sql".into(), sql(&all.collect::<Vec<_>>())?));
    }
    if typed.roles.has(Class::Command) {
        let all = arguments.iter().filter_map(|argument| match &argument.code {
            ParsedCode::Command(line) => Some(line),
            ParsedCode::Sql(_) => None,
        });
        pairs.push(("command".into(), command(&all.collect::<Vec<_>>())?));
    }
    Ok(())
}

fn sql(all: &[&Sql]) -> Result<RestrictedExpression, String> {
    let effect = all.iter().map(|s| s.effect()).max().map_or("none", |e| e.name());
    let statements = all.iter().map(|s| s.side_by_side).sum::<usize>();
    record(vec![
        ("effect", text(effect)),
        ("tables", texts(all.iter().flat_map(|s| s.tables.iter().map(String::as_str)))),
        ("bounded", RestrictedExpression::new_bool(all.iter().all(|s| s.bounded()))),
        ("understood", RestrictedExpression::new_bool(all.iter().all(|s| s.unread.is_none()))),
        ("statements", RestrictedExpression::new_long(i64::try_from(statements).unwrap_or(i64::MAX))),
    ])
}

fn command(all: &[&CommandLine]) -> Result<RestrictedExpression, String> {
    let programs: Vec<String> = all.iter().flat_map(|line| line.programs()).collect();
    record(vec![
        ("programs", texts(programs.iter().map(String::as_str))),
        ("simple", RestrictedExpression::new_bool(all.iter().all(|line| line.simple()))),
        ("understood", RestrictedExpression::new_bool(all.iter().all(|line| line.unread.is_none()))),
    ])
}

fn text(text: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(text.to_owned())
}

fn texts<'a>(all: impl Iterator<Item = &'a str>) -> RestrictedExpression {
    RestrictedExpression::new_set(all.map(text))
}

fn record(fields: Vec<(&str, RestrictedExpression)>) -> Result<RestrictedExpression, String> {
    RestrictedExpression::new_record(fields.into_iter().map(|(name, e)| (name.to_owned(), e)))
        .map_err(|e| format!("the context cannot be built: {e}"))
}
