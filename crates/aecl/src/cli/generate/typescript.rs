//! TypeScript that `tsc` reads in strict mode.

use super::shape::{Field, Shape};
use super::{Known, Names, one_line, pascal};
use std::fmt::Write as _;

/// Names that the module itself needs, words that are no names, and types that a class would hide.
const RESERVED: [&str; 50] = [
    "Done",
    "ExecuteOptions",
    "Run",
    "Promise",
    "Record",
    "Array",
    "Readonly",
    "break",
    "case",
    "catch",
    "class",
    "const",
    "continue",
    "debugger",
    "default",
    "delete",
    "do",
    "else",
    "enum",
    "export",
    "extends",
    "false",
    "finally",
    "for",
    "function",
    "if",
    "import",
    "in",
    "instanceof",
    "new",
    "null",
    "return",
    "super",
    "switch",
    "this",
    "throw",
    "true",
    "try",
    "typeof",
    "var",
    "void",
    "while",
    "with",
    "yield",
    "let",
    "static",
    "await",
    "arguments",
    "eval",
    "undefined",
];

pub(super) fn module(known: &[Known<'_>]) -> String {
    let is_executed = known.iter().any(|action| action.is_executed);
    let imports = if is_executed { "Done, ExecuteOptions, Run" } else { "Run" };
    let mut out = format!(
        "// Actions of AECL, typed. Made by `aecl gen typescript`; do not edit it, make it again.\n\n\
         import type {{ {imports} }} from \"@aecl/sdk\";\n"
    );
    let mut names = Names::beside(&RESERVED);
    for action in known {
        let kind = names.give(&pascal(action.name));
        let said = doc(action.description);
        let own = match &action.arguments {
            Shape::Record(fields) => record(fields, 0),
            _ => "{ readonly [name: string]: unknown }".to_owned(),
        };
        _ = write!(out, "\n/** Arguments of `{}`. */\nexport type {kind} = {own};\n", action.name);
        let text = quoted(action.name);
        let said = if said.is_empty() { format!("Has AECL carry out `{}`.", action.name) } else { said };
        match action.is_executed {
            true => {
                let own = names.give(&camel(&kind));
                _ = write!(
                    out,
                    "\n/** {said} */\nexport function {own}(run: Run, args: {kind}, options?: ExecuteOptions): \
                 Promise<Done> {{\n  return run.execute({text}, args, options);\n}}\n"
                );
            }
            false => {
                let guard = names.give(&format!("guard{kind}"));
                _ = write!(
                    out,
                    "\n/** Guards what carries out `{}`: {said} */\nexport function {guard}<R>(run: Run, \
                     fn: (args: {kind}) => R | Promise<R>) {{\n  return run.guard({text}, fn);\n}}\n",
                    action.name
                );
            }
        }
    }
    out
}

fn camel(pascal: &str) -> String {
    let mut letters = pascal.chars();
    letters.next().map(|first| first.to_ascii_lowercase().to_string() + letters.as_str()).unwrap_or_default()
}

fn record(fields: &[Field], depth: usize) -> String {
    if fields.is_empty() {
        return "{ readonly [name: string]: never }".to_owned();
    }
    let pad = "  ".repeat(depth + 1);
    let mut out = String::from("{\n");
    for field in fields {
        let said = doc(&field.description);
        if !said.is_empty() {
            _ = writeln!(out, "{pad}/** {said} */");
        }
        let mark = if field.is_required { "" } else { "?" };
        let starts = field.name.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
        let is_plain = starts && field.name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let name = if is_plain { field.name.clone() } else { quoted(&field.name) };
        _ = writeln!(out, "{pad}readonly {name}{mark}: {};", of(&field.shape, depth + 1));
    }
    out + &"  ".repeat(depth) + "}"
}

fn of(shape: &Shape, depth: usize) -> String {
    match shape {
        Shape::Any => "unknown".into(),
        Shape::Null => "null".into(),
        Shape::Bool => "boolean".into(),
        Shape::Whole | Shape::Number => "number".into(),
        Shape::Text => "string".into(),
        Shape::Literal(values) => {
            let values: Vec<String> =
                values.iter().map(|value| value.as_str().map_or_else(|| value.to_string(), quoted)).collect();
            values.join(" | ")
        }
        Shape::List(inner) => format!("readonly ({})[]", of(inner, depth)),
        Shape::Map(inner) => format!("{{ readonly [name: string]: {} }}", of(inner, depth)),
        Shape::Record(fields) => record(fields, depth),
        Shape::Union(shapes) => {
            let shapes: Vec<String> = shapes.iter().map(|shape| of(shape, depth)).collect();
            shapes.join(" | ")
        }
    }
}

/// Text as a literal of TypeScript, in ASCII.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            ' '..='~' => out.push(c),
            c => _ = write!(out, "\\u{{{:x}}}", u32::from(c)),
        }
    }
    out.push('"');
    out
}

/// Words of a stranger's inside of a comment, on one line.
fn doc(text: &str) -> String {
    one_line(text).replace("*/", "* /")
}
