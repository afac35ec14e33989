//! What tools a server has, each definition in the server's own bytes.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use serde_json::Value;
use serde_json::value::RawValue;

use super::headers;

/// One tool.
#[derive(Debug, Clone)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// Its whole definition, raw: what a pin is made of.
    pub raw: Box<RawValue>,
}

/// How many tools, prompts, resources or templates a server may list. Each is compared, kept and shown.
pub const LISTED_MAX: usize = 2_000;

/// Input schemas as last listed, for the headers that repeat arguments.
#[derive(Default)]
pub(crate) struct Tools(RwLock<Option<(u64, BTreeMap<String, Value>)>>);

impl Tools {
    pub(crate) fn remember(&self, generation: u64, tools: &[Tool]) {
        let schemas = tools.iter().filter_map(|tool| {
            let mut whole: Value = serde_json::from_str(tool.raw.get()).ok()?;
            Some((tool.name.clone(), whole.get_mut("inputSchema")?.take()))
        });
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some((generation, schemas.collect()));
    }

    pub(crate) fn is_fresh(&self, generation: u64) -> bool {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .as_ref()
            .is_some_and(|(at, _)| *at == generation)
    }

    pub(crate) fn headers(&self, params: Option<&RawValue>) -> Vec<(String, String)> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let params: Option<Value> = params.and_then(|params| serde_json::from_str(params.get()).ok());
        let (Some((_, schemas)), Some(params)) = (known.as_ref(), params) else { return Vec::new() };
        let schema = params.get("name").and_then(Value::as_str).and_then(|name| schemas.get(name));
        match (schema, params.get("arguments")) {
            (Some(schema), Some(arguments)) => headers::of_arguments(schema, arguments),
            _ => Vec::new(),
        }
    }
}
