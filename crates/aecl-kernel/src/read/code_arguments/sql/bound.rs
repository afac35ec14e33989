//! Whether a WHERE has a form that leaves rows out. It is not enough that it looks like a condition: `1=1`,
//! `x=x`, `id IS NOT NULL` and `… OR true` are conditions, too.
//!
//! What counts is a column compared with a constant: AND needs one such side, OR needs two. How many rows
//! that leaves is for the database to say; `id < 999999999` counts here.

use sqlparser::ast::{BinaryOperator, Expr, Query, SetExpr, UnaryOperator, Value};

/// Whether this condition has a form that leaves rows out.
pub(super) fn bounds(expr: &Expr) -> bool {
    match expr {
        Expr::Nested(inner) => bounds(inner),
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => bounds(left) || bounds(right),
        Expr::BinaryOp { left, op: BinaryOperator::Or, right } => bounds(left) && bounds(right),
        Expr::BinaryOp { left, op, right } => {
            (is_column(left) && compares(op, right))
                || (is_column(right) && mirrored(op).is_some_and(|op| compares(&op, left)))
        }
        Expr::InList { expr, list, negated: false } => is_column(expr) && list.iter().all(is_constant),
        Expr::InSubquery { expr, subquery, negated: false } => is_column(expr) && is_bounded_query(subquery),
        Expr::Between { expr, low, high, negated: false } => {
            is_column(expr) && is_constant(low) && is_constant(high)
        }
        Expr::Like { negated: false, expr, pattern, .. }
        | Expr::ILike { negated: false, expr, pattern, .. } => is_column(expr) && says_something(pattern),
        Expr::IsNull(expr) | Expr::IsTrue(expr) | Expr::IsFalse(expr) => is_column(expr),
        // Everything else proves nothing: `NOT`, `EXISTS`, a bare column, a function, a comparison of columns.
        _ => false,
    }
}

fn compares(op: &BinaryOperator, with: &Expr) -> bool {
    match op {
        BinaryOperator::Eq => is_constant(with),
        BinaryOperator::Lt | BinaryOperator::LtEq => is_constant(with),
        // Every id is above 0.
        BinaryOperator::Gt | BinaryOperator::GtEq => is_constant(with) && !is_at_the_bottom(with),
        _ => false,
    }
}

fn mirrored(op: &BinaryOperator) -> Option<BinaryOperator> {
    Some(match op {
        BinaryOperator::Eq => BinaryOperator::Eq,
        BinaryOperator::Lt => BinaryOperator::Gt,
        BinaryOperator::LtEq => BinaryOperator::GtEq,
        BinaryOperator::Gt => BinaryOperator::Lt,
        BinaryOperator::GtEq => BinaryOperator::LtEq,
        _ => return None,
    })
}

/// A column by its name. In double quotes it may be a text instead, depending on the database.
fn is_column(expr: &Expr) -> bool {
    match expr {
        Expr::Identifier(name) => name.quote_style != Some('"') && !is_word_for_a_value(&name.value),
        Expr::CompoundIdentifier(names) => !names.is_empty(),
        Expr::Nested(inner) | Expr::Cast { expr: inner, .. } | Expr::Collate { expr: inner, .. } => {
            is_column(inner)
        }
        Expr::Function(call) => {
            // `lower(name) = 'x'` asks the same of a column.
            let name = call.name.to_string().to_lowercase();
            let sqlparser::ast::FunctionArguments::List(list) = &call.args else { return false };
            let [sqlparser::ast::FunctionArg::Unnamed(sqlparser::ast::FunctionArgExpr::Expr(only))] =
                list.args.as_slice()
            else {
                return false;
            };
            matches!(name.as_str(), "lower" | "upper" | "date" | "datetime" | "trim") && is_column(only)
        }
        _ => false,
    }
}

fn is_word_for_a_value(name: &str) -> bool {
    ["true", "false", "null", "default", "current_user", "user"].contains(&name.to_lowercase().as_str())
}

/// The same for every row.
fn is_constant(expr: &Expr) -> bool {
    match expr {
        Expr::Value(value) => !matches!(value.value, Value::Null),
        Expr::TypedString(_) | Expr::Interval(_) => true,
        Expr::Nested(inner) | Expr::Cast { expr: inner, .. } | Expr::Collate { expr: inner, .. } => {
            is_constant(inner)
        }
        Expr::UnaryOp { op: UnaryOperator::Minus | UnaryOperator::Plus, expr } => is_constant(expr),
        Expr::Tuple(items) => items.iter().all(is_constant),
        Expr::BinaryOp { left, op: BinaryOperator::Plus | BinaryOperator::Minus, right } => {
            is_constant(left) && is_constant(right)
        }
        Expr::Function(call) => {
            let name = call.name.to_string().to_lowercase();
            let clock = ["now", "current_date", "current_timestamp", "date", "datetime", "curdate"];
            clock.contains(&name.as_str())
                && match &call.args {
                    sqlparser::ast::FunctionArguments::None => true,
                    sqlparser::ast::FunctionArguments::Subquery(_) => false,
                    sqlparser::ast::FunctionArguments::List(list) => list.args.iter().all(|a| {
                        matches!(a, sqlparser::ast::FunctionArg::Unnamed(
                            sqlparser::ast::FunctionArgExpr::Expr(e)) if is_constant(e))
                    }),
                }
        }
        _ => false,
    }
}

/// A number that is not above 1, or an empty text: what is above it is everything.
fn is_at_the_bottom(expr: &Expr) -> bool {
    match expr {
        Expr::UnaryOp { .. } => true,
        Expr::Nested(inner) | Expr::Cast { expr: inner, .. } => is_at_the_bottom(inner),
        Expr::Value(value) => match &value.value {
            Value::Number(text, _) => {
                text.parse::<rust_decimal::Decimal>().is_ok_and(|n| n <= rust_decimal::Decimal::ONE)
            }
            Value::SingleQuotedString(text) => text.trim().is_empty() || text.trim() == "0",
            // Its value is not to be seen here.
            Value::Placeholder(_) => true,
            _ => false,
        },
        _ => false,
    }
}

/// A pattern with something in it besides `%` and `_`.
fn says_something(pattern: &Expr) -> bool {
    match pattern {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => text.chars().any(|c| !matches!(c, '%' | '_')),
            _ => false,
        },
        _ => false,
    }
}

/// A list of values that a query picks by a bounded condition of its own.
fn is_bounded_query(query: &Query) -> bool {
    match &*query.body {
        SetExpr::Select(select) => select.selection.as_ref().is_some_and(bounds),
        _ => false,
    }
}
