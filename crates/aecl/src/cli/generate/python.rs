//! Python that `mypy` and `pyright` read in strict mode, for Python 3.10 and later.

use super::shape::{Field, Shape};
use super::{Known, Names, one_line, pascal, words};
use std::fmt::Write as _;

/// Words that are no names, and names that the module itself needs.
const RESERVED: [&str; 45] = [
    "False",
    "None",
    "True",
    "and",
    "as",
    "assert",
    "async",
    "await",
    "break",
    "class",
    "continue",
    "def",
    "del",
    "elif",
    "else",
    "except",
    "finally",
    "for",
    "from",
    "global",
    "if",
    "import",
    "in",
    "is",
    "lambda",
    "nonlocal",
    "not",
    "or",
    "pass",
    "raise",
    "return",
    "try",
    "while",
    "with",
    "yield",
    "bool",
    "dict",
    "float",
    "int",
    "list",
    "str",
    "run",
    "arguments",
    "call_id",
    "wait",
];

pub(super) fn module(known: &[Known<'_>]) -> String {
    let mut out = String::from(
        "\"\"\"Actions of AECL, typed. Made by `aecl gen python`; do not edit it, make it again.\"\"\"\n\n\
         from __future__ import annotations\n\nimport typing as _t\n",
    );
    if known.iter().any(|action| action.is_executed) {
        out.push_str("\nimport aecl as _aecl\n");
    }
    let (mut functions, mut classes) = (Names::beside(&RESERVED), Names::beside(&RESERVED));
    for action in known {
        let class = classes.give(&pascal(action.name));
        let mut inner = Inner { classes: &mut classes, out: &mut out };
        let arguments = match &action.arguments {
            Shape::Record(fields) => {
                inner.record(&class, action.name, fields);
                class
            }
            _ => "_t.Mapping[str, _t.Any]".to_owned(),
        };
        if action.is_executed {
            let function = functions.give(&words(action.name).join("_"));
            function_of(&mut out, &function, action, &arguments);
        }
    }
    out
}

fn function_of(out: &mut String, function: &str, action: &Known<'_>, arguments: &str) {
    let said = doc(action.description);
    let said = if said.is_empty() { format!("Has AECL carry out `{}`.", action.name) } else { said };
    _ = write!(
        out,
        "\n\ndef {function}(\n    run: _aecl.Run, arguments: {arguments}, *, call_id: str | None = None, \
         wait: float | None = None\n) -> _aecl.Done:\n    \"\"\"{said}\"\"\"\n    \
         return run.execute({}, arguments, call_id=call_id, wait=wait)\n",
        quoted(action.name)
    );
}

/// Writes classes for records.
struct Inner<'a> {
    classes: &'a mut Names,
    out: &'a mut String,
}

impl Inner<'_> {
    fn record(&mut self, class: &str, about: &str, fields: &[Field]) {
        // Those inside come first, each with a name that says where it stands.
        let types: Vec<String> = fields
            .iter()
            .map(|field| self.of(&field.shape, &format!("{class}{}", pascal(&field.name))))
            .collect();
        let of = |required: bool| -> Vec<(&Field, &str)> {
            let both = fields.iter().zip(types.iter().map(String::as_str));
            both.filter(|(field, _)| field.is_required == required).collect()
        };
        let (required, optional) = (of(true), of(false));
        let about = format!("Arguments of `{about}`.");
        match (required.is_empty(), optional.is_empty()) {
            (_, true) => self.part(class, &[], &required, true, &about),
            (true, false) => self.part(class, &[], &optional, false, &about),
            (false, false) => {
                let base = self.classes.give(&format!("{class}Required"));
                self.part(&base, &[], &required, true, &about);
                self.part(class, &[&base], &optional, false, &about);
            }
        }
    }

    fn part(&mut self, class: &str, bases: &[&str], fields: &[(&Field, &str)], total: bool, about: &str) {
        let is_plain = |name: &str| {
            let starts = name.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
            let names = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            starts && names && !name.starts_with("__") && !RESERVED.iter().take(35).any(|word| *word == name)
        };
        let how = if total { "" } else { ", total=False" };
        if !fields.iter().all(|(field, _)| is_plain(&field.name)) {
            // Names that a class cannot have.
            let own =
                if bases.is_empty() { class.to_owned() } else { self.classes.give(&format!("{class}More")) };
            _ = write!(self.out, "\n\n{own} = _t.TypedDict(\n    \"{own}\",\n    {{\n");
            for (field, shape) in fields {
                _ = writeln!(self.out, "        {}: {},", quoted(&field.name), quoted(shape));
            }
            _ = write!(self.out, "    }}{how},\n)\n");
            if let [base] = bases {
                _ = write!(self.out, "\n\nclass {class}({base}, {own}):\n    \"\"\"{about}\"\"\"\n");
            }
            return;
        }
        let base = bases.first().copied().unwrap_or("_t.TypedDict");
        _ = write!(self.out, "\n\nclass {class}({base}{how}):\n    \"\"\"{about}\"\"\"\n");
        for (i, (field, shape)) in fields.iter().enumerate() {
            if i == 0 {
                self.out.push('\n');
            }
            _ = writeln!(self.out, "    {}: {shape}", field.name);
            let said = doc(&field.description);
            if !said.is_empty() {
                _ = writeln!(self.out, "    \"\"\"{said}\"\"\"");
            }
        }
    }

    fn of(&mut self, shape: &Shape, name: &str) -> String {
        match shape {
            Shape::Any => "_t.Any".into(),
            Shape::Null => "None".into(),
            Shape::Bool => "bool".into(),
            Shape::Whole => "int".into(),
            Shape::Number => "float".into(),
            Shape::Text => "str".into(),
            Shape::Literal(values) => {
                let values: Vec<String> = values.iter().map(literal).collect();
                format!("_t.Literal[{}]", values.join(", "))
            }
            Shape::List(of) => format!("list[{}]", self.of(of, name)),
            Shape::Map(of) => format!("dict[str, {}]", self.of(of, name)),
            Shape::Record(fields) => {
                let class = self.classes.give(name);
                self.record(&class, name, fields);
                class
            }
            Shape::Union(shapes) => {
                let shapes: Vec<String> = shapes.iter().map(|shape| self.of(shape, name)).collect();
                shapes.join(" | ")
            }
        }
    }
}

fn literal(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Null => "None".into(),
        serde_json::Value::Bool(true) => "True".into(),
        serde_json::Value::Bool(false) => "False".into(),
        serde_json::Value::String(text) => quoted(text),
        other => other.to_string(),
    }
}

/// Text as a literal of Python, in ASCII.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            ' '..='~' => out.push(c),
            c => _ = write!(out, "\\U{:08x}", u32::from(c)),
        }
    }
    out.push('"');
    out
}

/// Words of a stranger's inside of a docstring, on one line.
fn doc(text: &str) -> String {
    one_line(text).replace('\\', "/").replace('"', "'")
}
