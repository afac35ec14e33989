//! JSON schemas as types that programming languages have. What they cannot say is anything: the schema is enforced in any case.

use serde_json::Value;

/// So deep a schema is followed; behind that stands anything.
const DEPTH_MAX: usize = 16;
/// Unions of more than so many members say nothing that anybody reads.
const UNION_MAX: usize = 64;

/// A type.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Shape {
    Any,
    Null,
    Bool,
    Whole,
    Number,
    Text,
    /// One of these values.
    Literal(Vec<Value>),
    List(Box<Self>),
    /// Members of any name.
    Map(Box<Self>),
    Record(Vec<Field>),
    Union(Vec<Self>),
}

/// A member of a record.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Field {
    pub name: String,
    pub description: String,
    pub shape: Shape,
    pub is_required: bool,
}

impl Shape {
    pub fn of(schema: &Value) -> Self {
        read(schema, schema, 0)
    }
}

fn read(schema: &Value, root: &Value, depth: usize) -> Shape {
    if depth >= DEPTH_MAX {
        return Shape::Any;
    }
    let text = |key: &str| schema.get(key).and_then(Value::as_str);
    if let Some(reference) = text("$ref") {
        let there = reference.strip_prefix('#').and_then(|at| root.pointer(at));
        return there.map_or(Shape::Any, |there| read(there, root, depth + 1));
    }
    if let Some(value) = schema.get("const") {
        return literal(std::slice::from_ref(value));
    }
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        return literal(values);
    }
    for key in ["anyOf", "oneOf"] {
        if let Some(several) = schema.get(key).and_then(Value::as_array) {
            return union(several.iter().map(|one| read(one, root, depth + 1)).collect());
        }
    }
    match schema.get("type") {
        Some(Value::String(kind)) => of_kind(kind, schema, root, depth),
        Some(Value::Array(kinds)) => union(
            kinds.iter().filter_map(Value::as_str).map(|kind| of_kind(kind, schema, root, depth)).collect(),
        ),
        None if schema.get("properties").is_some() => of_kind("object", schema, root, depth),
        _ => Shape::Any,
    }
}

fn of_kind(kind: &str, schema: &Value, root: &Value, depth: usize) -> Shape {
    match kind {
        "null" => Shape::Null,
        "boolean" => Shape::Bool,
        "integer" => Shape::Whole,
        "number" => Shape::Number,
        "string" => Shape::Text,
        "array" => {
            let items = schema.get("items").filter(|items| items.is_object());
            Shape::List(Box::new(items.map_or(Shape::Any, |items| read(items, root, depth + 1))))
        }
        "object" => match schema.get("properties").and_then(Value::as_object) {
            None => {
                let rest = schema.get("additionalProperties").filter(|rest| rest.is_object());
                Shape::Map(Box::new(rest.map_or(Shape::Any, |rest| read(rest, root, depth + 1))))
            }
            Some(properties) => {
                let required = schema.get("required").and_then(Value::as_array);
                let required = |name: &str| {
                    required.is_some_and(|names| names.iter().any(|known| known.as_str() == Some(name)))
                };
                let field = |(name, schema): (&String, &Value)| Field {
                    name: name.clone(),
                    description: schema
                        .get("description")
                        .and_then(Value::as_str)
                        .unwrap_or_default()
                        .to_owned(),
                    shape: read(schema, root, depth + 1),
                    is_required: required(name),
                };
                Shape::Record(properties.iter().map(field).collect())
            }
        },
        _ => Shape::Any,
    }
}

fn literal(values: &[Value]) -> Shape {
    let is_plain = |value: &Value| match value {
        Value::Null | Value::Bool(_) | Value::String(_) => true,
        Value::Number(number) => number.is_i64(),
        Value::Array(_) | Value::Object(_) => false,
    };
    match values {
        [] => Shape::Any,
        values if values.len() <= UNION_MAX && values.iter().all(is_plain) => Shape::Literal(values.to_vec()),
        values if values.iter().all(Value::is_string) => Shape::Text,
        _ => Shape::Any,
    }
}

fn union(shapes: Vec<Shape>) -> Shape {
    let mut flat: Vec<Shape> = Vec::new();
    for shape in shapes {
        let inner = if let Shape::Union(inner) = shape { inner } else { vec![shape] };
        for shape in inner {
            if !flat.contains(&shape) {
                flat.push(shape);
            }
        }
    }
    match flat.len() {
        0 => Shape::Any,
        _ if flat.contains(&Shape::Any) || flat.len() > UNION_MAX => Shape::Any,
        1 => flat.pop().unwrap_or(Shape::Any),
        _ => Shape::Union(flat),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use serde_json::json;

    #[test]
    fn a_schema_becomes_the_nearest_type() {
        let text = || Box::new(Shape::Text);
        for (schema, shape) in [
            (json!({}), Shape::Any),
            (json!(true), Shape::Any),
            (json!({"type": "string", "format": "date"}), Shape::Text),
            (json!({"type": ["string", "null"]}), Shape::Union(vec![Shape::Text, Shape::Null])),
            (json!({"anyOf": [{"type": "string"}, {"type": "string", "pattern": "a"}]}), Shape::Text),
            (json!({"oneOf": [{"type": "integer"}, {}]}), Shape::Any),
            (json!({"enum": ["a", 1, null]}), Shape::Literal(vec![json!("a"), json!(1), json!(null)])),
            (json!({"enum": [1.5]}), Shape::Any),
            (json!({"const": "x"}), Shape::Literal(vec![json!("x")])),
            (json!({"type": "array", "items": {"type": "string"}}), Shape::List(text())),
            (json!({"type": "array"}), Shape::List(Box::new(Shape::Any))),
            (json!({"type": "object", "additionalProperties": {"type": "string"}}), Shape::Map(text())),
            (json!({"type": "object"}), Shape::Map(Box::new(Shape::Any))),
            (json!({"$ref": "#/$defs/a", "$defs": {"a": {"type": "boolean"}}}), Shape::Bool),
            (json!({"$ref": "https://example.org/a"}), Shape::Any),
            (json!({"type": "unheard"}), Shape::Any),
        ] {
            assert_eq!(Shape::of(&schema), shape, "{schema}");
        }
    }

    #[test]
    fn what_refers_to_itself_ends() {
        let tree = json!({"type": "object", "properties": {"under": {"$ref": "#"}}});
        assert!(matches!(Shape::of(&tree), Shape::Record(_)));
        assert_eq!(Shape::of(&json!({"$ref": "#"})), Shape::Any);
        let many: Vec<String> = (0..100).map(|n| n.to_string()).collect();
        assert_eq!(Shape::of(&json!({"enum": many})), Shape::Text);
    }
}
