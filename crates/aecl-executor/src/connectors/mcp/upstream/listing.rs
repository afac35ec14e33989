//! The tools of a server, page by page.

use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Upstream;
use crate::connectors::mcp::envelope::RawReply;
use crate::connectors::mcp::error::{Fault, UpstreamError, UpstreamFailure};
use crate::connectors::mcp::tools::{LISTED_MAX, Tool};

/// How many pages of tools are read at most. A server that never ends its list is a broken one.
const PAGES_MAX: usize = 200;

impl Upstream {
    /// Every tool with its raw definition, over all pages.
    ///
    /// # Errors
    /// When the server does not list them.
    pub async fn tools(&self, timeout: Duration) -> Result<Vec<Tool>, UpstreamError> {
        let generation = self.tools_generation();
        let listed = list(self, timeout).await?;
        self.0.tools.remember(generation, &listed);
        Ok(listed)
    }
}

async fn list(upstream: &Upstream, timeout: Duration) -> Result<Vec<Tool>, UpstreamError> {
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
    let garbage = |text: String| Fault::after(UpstreamFailure::Garbage(text)).on(upstream.name(), METHOD);
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
