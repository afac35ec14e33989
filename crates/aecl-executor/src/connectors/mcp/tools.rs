//! What tools a server has, each definition in the server's own bytes.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::envelope::RawReply;
use super::error::{Fault, UpstreamError, Why};
use super::headers;
use super::upstream::Upstream;

/// One tool.
#[derive(Debug, Clone)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// Its whole definition, raw: what a pin is made of.
    pub raw: Box<RawValue>,
}

/// How many pages of tools are read at most. A server that never ends its list is a broken one.
const PAGES_MAX: usize = 200;
/// How many tools, prompts, resources or templates a server may list. Each is compared, kept and shown.
pub const LISTED_MAX: usize = 2_000;

pub(crate) async fn list(upstream: &Upstream, timeout: Duration) -> Result<Vec<Tool>, UpstreamError> {
    #[derive(Deserialize)]
    struct Page<'a> {
        #[serde(borrow)]
        tools: Vec<&'a RawValue>,
        #[serde(rename = "nextCursor")]
        next: Option<String>,
    }
    #[derive(Deserialize)]
    struct Named {
        name: String,
    }
    const METHOD: &str = "tools/list";
    let garbage = |text: String| Fault::after(Why::Garbage(text)).on(upstream.name(), METHOD);
    let (deadline, cancel) = (Instant::now() + timeout, CancellationToken::new());
    let mut tools = Vec::new();
    let mut params: Option<Box<RawValue>> = None;
    for _ in 0..PAGES_MAX {
        let left = deadline.saturating_duration_since(Instant::now());
        let reply = upstream.request(METHOD, params.as_deref(), left, &cancel).await?;
        let RawReply::Result(result) = &reply else {
            return Err(garbage(format!("an error: {}", reply.raw().get())));
        };
        let page: Page<'_> =
            serde_json::from_str(result.get()).map_err(|error| garbage(error.to_string()))?;
        if tools.len() + page.tools.len() > LISTED_MAX {
            return Err(garbage(format!("more than {LISTED_MAX} tools")));
        }
        for raw in page.tools {
            let named: Named =
                serde_json::from_str(raw.get()).map_err(|_| garbage("a tool without a name".into()))?;
            tools.push(Tool { name: named.name, raw: raw.to_owned() });
        }
        let Some(next) = page.next else { return Ok(tools) };
        let text = serde_json::json!({ "cursor": next }).to_string();
        params = Some(RawValue::from_string(text).map_err(|error| garbage(error.to_string()))?);
    }
    Err(garbage(format!("more than {PAGES_MAX} pages of tools")))
}

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
