//! Types that a database brings along. Making a value of any other runs what somebody has defined: the check of a domain,
//! the function of a cast, or that which reads the type.

use super::plain;
use crate::define::catalogue::dialect::Dialect;
use sqlparser::ast::{
    ArrayElemTypeDef, DataType, Expr, FunctionArgumentClause, FunctionArguments, TypedString,
};

/// Those of PostgreSQL, as the parser writes them. What else it has a word for is a type of other databases, and may name what
/// somebody has defined in this one.
#[rustfmt::skip]
const BUILT_IN: [&str; 90] = [
    "aclitem", "bigint", "bit", "bit varying", "bool", "boolean", "box", "bpchar", "bytea", "char", "char varying",
    "character", "character varying", "cid", "cidr", "circle", "date", "daterange", "dec", "decimal",
    "double precision", "float", "float4", "float8", "inet", "int", "int2", "int4", "int4multirange", "int4range",
    "int8", "int8multirange", "int8range", "integer", "json", "jsonb", "jsonpath", "line", "lseg", "macaddr",
    "macaddr8", "money", "name", "numeric", "nummultirange", "numrange", "oid", "oidvector", "path", "pg_lsn",
    "pg_snapshot", "point", "polygon", "real", "refcursor", "regclass", "regcollation", "regconfig", "regdictionary",
    "regnamespace", "regoper", "regoperator", "regproc", "regprocedure", "regrole", "regtype", "smallint", "text",
    "tid", "time", "time with time zone", "time without time zone", "timestamp", "timestamp with time zone",
    "timestamp without time zone", "timestamptz", "timetz", "tsmultirange", "tsquery", "tsrange", "tstzmultirange",
    "tstzrange", "tsvector", "txid_snapshot", "uuid", "varbit", "varchar", "xid", "xid8", "xml",
];

/// The type of which this makes a value, in words, if it is one of somebody's own.
pub(super) fn of_others(expr: &Expr, dialect: Dialect) -> Option<String> {
    let is_others = |data_type: &&DataType| !is_built_in(data_type, dialect == Dialect::Postgres);
    let made: Option<&DataType> = match expr {
        Expr::Cast { data_type, .. } | Expr::TypedString(TypedString { data_type, .. }) => Some(data_type),
        Expr::Convert { data_type, .. } => data_type.as_ref(),
        Expr::Function(function) => match &function.args {
            FunctionArguments::List(list) => list.clauses.iter().find_map(returned),
            FunctionArguments::None | FunctionArguments::Subquery(_) => None,
        },
        _ => None,
    };
    made.filter(is_others).map(|data_type| plain(&data_type.to_string()))
}

fn returned(clause: &FunctionArgumentClause) -> Option<&DataType> {
    match clause {
        FunctionArgumentClause::JsonReturningClause(returning) => Some(&returning.data_type),
        _ => None,
    }
}

fn is_built_in(data_type: &DataType, is_postgres: bool) -> bool {
    match data_type {
        DataType::Custom(name, _) => {
            let parts: Vec<String> = name.0.iter().map(|part| part.to_string().to_lowercase()).collect();
            match parts.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
                [name] => known(name),
                ["pg_catalog", _] => true,
                _ => false,
            }
        }
        DataType::Array(
            ArrayElemTypeDef::AngleBracket(of)
            | ArrayElemTypeDef::SquareBracket(of, _)
            | ArrayElemTypeDef::Parenthesis(of)
            | ArrayElemTypeDef::Qualified(of, _),
        ) => is_built_in(of, is_postgres),
        // Every word of the parser's own is a type that some database brings along.
        _ => !is_postgres || is_word(data_type),
    }
}

fn known(name: &str) -> bool {
    BUILT_IN.binary_search(&name).is_ok()
}

/// Whether PostgreSQL has a type of this name: without lengths, and of an interval without its fields.
fn is_word(data_type: &DataType) -> bool {
    let text = data_type.to_string().to_lowercase();
    let mut depth = 0_i32;
    let mut bare = String::with_capacity(text.len());
    for c in text.chars() {
        depth += i32::from(c == '(');
        if depth == 0 {
            bare.push(c);
        }
        depth -= i32::from(c == ')');
    }
    let name = bare.split_whitespace().collect::<Vec<_>>().join(" ");
    name.starts_with("interval") || known(&name)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_types_are_sorted_so_that_they_can_be_searched() {
        assert!(super::BUILT_IN.is_sorted());
    }
}
