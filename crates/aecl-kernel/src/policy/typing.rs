//! JSON Schema as Cedar types: which arguments rules can see, and as what.

use crate::base::json::number_text;
use cedar_policy_core::ast::{ExtensionFunction, Name, PartialValue, Value as CedarValue};
use cedar_policy_core::extensions::Extensions;
use rust_decimal::Decimal;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::LazyLock;

/// The type of an argument, as rules see it. What has no Cedar type is hidden: a rule that names it does
/// not compile, instead of never matching.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum ArgumentType {
    Bool,
    Long,
    Text,
    Decimal,
    Set(Box<ArgumentType>),
    Record(BTreeMap<String, (ArgumentType, bool)>),
}

impl ArgumentType {
    /// The type of a schema, if it has one. Nullable counts as optional.
    pub(super) fn of(schema: &Value) -> Option<(Self, bool)> {
        if let Some(options) = schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Value::as_array) {
            let is_null = |o: &Value| o.get("type").and_then(Value::as_str) == Some("null");
            let (nulls, rest): (Vec<_>, Vec<_>) = options.iter().partition(|o| is_null(o));
            return match (nulls.is_empty(), rest.as_slice()) {
                (false, [only]) => Self::of(only).map(|(t, _)| (t, true)),
                _ => None,
            };
        }
        let (name, nullable) = match schema.get("type") {
            Some(Value::String(name)) => (name.as_str(), false),
            Some(Value::Array(names)) => {
                let names: Vec<&str> = names.iter().filter_map(Value::as_str).collect();
                match names.as_slice() {
                    [one, "null"] | ["null", one] => (*one, true),
                    _ => return None,
                }
            }
            None if schema
                .get("enum")
                .and_then(Value::as_array)
                .is_some_and(|e| !e.is_empty() && e.iter().all(Value::is_string)) =>
            {
                ("string", false)
            }
            _ => return None,
        };
        let argument_type = match name {
            "boolean" => Self::Bool,
            "integer" => Self::Long,
            "string" => Self::Text,
            // Cedar decimals have four digits. A number that may have more is not shown to rules at all.
            "number" => {
                let step = schema.get("multipleOf").and_then(crate::base::amount::decimal)?;
                (step.normalize().scale() <= 4 && !step.is_zero()).then_some(Self::Decimal)?
            }
            "array" => {
                Self::Set(Box::new(Self::of(schema.get("items")?).filter(|(_, nullable)| !nullable)?.0))
            }
            "object" => Self::record(schema),
            _ => return None,
        };
        Some((argument_type, nullable))
    }

    /// An object schema as a record of what can be typed.
    pub(super) fn record(schema: &Value) -> Self {
        let required: Vec<&str> = schema
            .get("required")
            .and_then(Value::as_array)
            .map(|r| r.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default();
        let mut fields = BTreeMap::new();
        for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            if let Some((argument_type, nullable)) = Self::of(property) {
                fields.insert(name.clone(), (argument_type, required.contains(&name.as_str()) && !nullable));
            }
        }
        Self::Record(fields)
    }

    /// Its kind in one word.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Long => "long",
            Self::Text => "text",
            Self::Decimal => "decimal",
            Self::Set(_) => "set",
            Self::Record(_) => "record",
        }
    }

    /// The type in Cedar's JSON schema format.
    pub(super) fn schema(&self) -> Value {
        match self {
            Self::Bool => json!({"type": "Boolean"}),
            Self::Long => json!({"type": "Long"}),
            Self::Text => json!({"type": "String"}),
            Self::Decimal => json!({"type": "Extension", "name": "decimal"}),
            Self::Set(inner) => json!({"type": "Set", "element": inner.schema()}),
            Self::Record(fields) => {
                let attributes: Map<String, Value> = fields
                    .iter()
                    .map(|(name, (t, required))| {
                        let mut schema = t.schema();
                        if let Some(map) = schema.as_object_mut() {
                            map.insert("required".into(), Value::Bool(*required));
                        }
                        (name.clone(), schema)
                    })
                    .collect();
                json!({"type": "Record", "attributes": attributes})
            }
        }
    }

    /// A value as this type; `None` where an optional value is absent or null. A value that does not fit
    /// is an error, and so a no. `made` is a decimal that need not be made once more.
    pub(super) fn value(
        &self,
        value: &Value,
        made: Option<&MadeDecimal>,
    ) -> Result<Option<CedarValue>, String> {
        let misfit = || {
            Err(format!(
                "`{}` has not the type that its schema declares",
                value.to_string().chars().take(40).collect::<String>()
            ))
        };
        Ok(Some(match (self, value) {
            (_, Value::Null) => return Ok(None),
            (Self::Bool, Value::Bool(b)) => (*b).into(),
            (Self::Long, Value::Number(n)) => match n.as_i64() {
                Some(i) => i.into(),
                None => return misfit(),
            },
            (Self::Text, Value::String(s)) => s.as_str().into(),
            (Self::Decimal, Value::Number(n)) => match Decimal::from_str(&number_text(n)) {
                Ok(d) => match made.filter(|made| made.value == d) {
                    Some(made) => made.in_cedar.clone(),
                    None => decimal(&d)?,
                },
                Err(_) => return misfit(),
            },
            (Self::Set(inner), Value::Array(items)) => {
                let mut out = Vec::with_capacity(items.len());
                for item in items {
                    match inner.value(item, made)? {
                        Some(value) => out.push(value),
                        None => return misfit(),
                    }
                }
                CedarValue::set(out, None)
            }
            (Self::Record(fields), Value::Object(map)) => {
                let mut out = Vec::with_capacity(fields.len());
                for (name, (inner, required)) in fields {
                    match map.get(name).map(|v| inner.value(v, made)).transpose()?.flatten() {
                        Some(value) => out.push((name.as_str(), value)),
                        None if *required => return misfit(),
                        None => {}
                    }
                }
                CedarValue::record(out, None)
            }
            _ => return misfit(),
        }))
    }
}

/// A decimal and what it is in Cedar. To make one, Cedar reads a text with a regular expression; an amount stands in an
/// argument and beside the arguments.
pub(super) struct MadeDecimal {
    value: Decimal,
    pub(super) in_cedar: CedarValue,
}

impl MadeDecimal {
    pub(super) fn of(value: Decimal) -> Result<Self, String> {
        Ok(Self { value, in_cedar: decimal(&value)? })
    }
}

/// A decimal as Cedar has them: four digits after the point, about 9 × 10^14 at most. Others are an error,
/// and so a no.
fn decimal(value: &Decimal) -> Result<CedarValue, String> {
    // Looked up once: the name of a function is read by a parser.
    static MAKE: LazyLock<Option<&ExtensionFunction>> = LazyLock::new(|| {
        let name = Name::parse_unqualified_name("decimal").ok()?;
        Extensions::all_available().func(&name).ok()
    });
    let normal = value.normalize();
    if normal.scale() > 4 || normal.abs() >= Decimal::new(922_337_203_685_477, 0) {
        return Err(format!(
            "`{value}` is beyond what rules can compare: four digits after the point, 15 before"
        ));
    }
    let make = MAKE.ok_or("Cedar was built without decimals")?;
    match make.call(&[format!("{normal:.4}").into()]).map_err(|e| e.to_string())? {
        PartialValue::Value(value) => Ok(value),
        PartialValue::Residual(_) => Err(format!("`{value}` is no decimal to Cedar")),
    }
}

/// A number, which may be more than Cedar counts to.
pub(super) fn long(number: u64) -> CedarValue {
    i64::try_from(number).unwrap_or(i64::MAX).into()
}

/// A set of texts.
pub(super) fn texts<T: Into<CedarValue>>(all: impl IntoIterator<Item = T>) -> CedarValue {
    CedarValue::set(all.into_iter().map(Into::into), None)
}
