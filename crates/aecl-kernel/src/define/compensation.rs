//! Undoing: the arguments of the compensation, fed from the original's arguments and result.

use crate::define::catalogue::Compensation;
use serde_json::{Map, Value};

/// Reason why the compensation cannot be proposed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadCompensation {
    /// A value that the template takes from the original is not there.
    #[error(
        "the argument `{argument}` of the compensation is to come from the {source_name} at `{at}`, which is not there"
    )]
    Missing {
        /// The argument of the compensation.
        argument: String,
        /// `arguments` or `result`.
        source_name: String,
        /// Where in it.
        at: String,
    },
    /// The template itself is wrong.
    #[error(
        "the argument `{0}` of the compensation must be a constant or `{{\"from\": \"arguments\" | \"result\", \"at\": \"/pointer\"}}`"
    )]
    Template(String),
}

/// What an argument of a compensation is taken from.
enum From<'a> {
    Constant(&'a Value),
    Arguments(&'a str),
    Result(&'a str),
}

fn read<'a>(argument: &str, template: &'a Value) -> Result<From<'a>, BadCompensation> {
    let bad = || BadCompensation::Template(argument.to_owned());
    let Some(map) = template.as_object().filter(|m| m.contains_key("from")) else {
        return Ok(From::Constant(template));
    };
    let at = map.get("at").and_then(Value::as_str).filter(|at| at.starts_with('/')).ok_or_else(bad)?;
    match map.get("from").and_then(Value::as_str) {
        Some("arguments") if map.len() == 2 => Ok(From::Arguments(at)),
        Some("result") if map.len() == 2 => Ok(From::Result(at)),
        Some(_) | None => Err(bad()),
    }
}

impl Compensation {
    /// Whether every argument is written as it should be.
    pub fn check(&self) -> Result<(), BadCompensation> {
        self.arguments.iter().try_for_each(|(name, template)| read(name, template).map(drop))
    }

    /// The arguments of the compensation for this original.
    pub fn arguments(
        &self,
        arguments: &Value,
        result: &Value,
    ) -> Result<Map<String, Value>, BadCompensation> {
        let mut out = Map::new();
        for (name, template) in &self.arguments {
            let (source, at, source_name) = match read(name, template)? {
                From::Constant(value) => {
                    out.insert(name.clone(), value.clone());
                    continue;
                }
                From::Arguments(at) => (arguments, at, "arguments"),
                From::Result(at) => (result, at, "result"),
            };
            let value = source.pointer(at).ok_or_else(|| BadCompensation::Missing {
                argument: name.clone(),
                source_name: source_name.into(),
                at: at.into(),
            })?;
            out.insert(name.clone(), value.clone());
        }
        Ok(out)
    }
}
