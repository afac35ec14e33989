//! Lists of tools, resources and prompts: what the agent may not use is left out, what remains keeps its
//! bytes.

use super::front::{Front, Greeted, Request};
use super::hello::meta_of;
use super::import::Standing;
use super::names;
use super::relay::PATIENCE;
use super::wire::{INTERNAL_ERROR, INVALID_PARAMS, Members, Refusal, members_of, quoted, raw};
use aecl_executor::connectors::mcp::{RawReply, Tool, Upstream};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::sync::Arc;

/// Between the number of a server and its own cursor, in cursors over several servers.
const BETWEEN: char = '.';

impl Front {
    /// A page of a list.
    pub(super) async fn list(self: &Arc<Self>, request: &Request<'_>) -> Result<RawReply, Refusal> {
        let way = self.ready(&meta_of(request.params)?).await?;
        let servers = self.speaking(way).await?;
        if self.opening.servers.len() == 1 {
            let server = servers.first().ok_or_else(|| Refusal::new(INTERNAL_ERROR, "there is no server"))?;
            return self.page(server, request, request.params, way).await;
        }
        let mut params = members_of(request.params).map_err(|why| Refusal::new(INVALID_PARAMS, why))?;
        let (mut at, mut theirs) = match params.take("cursor").filter(|cursor| cursor.get() != "null") {
            None => (0, None),
            Some(cursor) => place(&cursor).ok_or_else(|| Refusal::new(INVALID_PARAMS, "unknown `cursor`"))?,
        };
        loop {
            let Some(server) = servers.get(at) else {
                let empty = format!(r#"{{"{}":[]}}"#, key(request.method));
                return Ok(RawReply::Result(with_privacy(raw(empty), way)));
            };
            let mut asked = Members(params.0.clone());
            if let Some(cursor) = theirs.take() {
                asked.set("cursor", raw(quoted(&cursor)));
            }
            match self.page(server, request, Some(&asked.raw()), way).await {
                Ok(RawReply::Result(result)) => {
                    let more = at + 1 < servers.len();
                    return Ok(RawReply::Result(continued(&result, at, more)?));
                }
                // A server without this list, or one that is down, does not hide the others.
                Ok(RawReply::Error(_)) | Err(_) if at + 1 < servers.len() => at += 1,
                other => return other,
            }
        }
    }

    async fn page(
        self: &Arc<Self>,
        server: &str,
        request: &Request<'_>,
        params: Option<&RawValue>,
        way: Greeted,
    ) -> Result<RawReply, Refusal> {
        let upstream = self.upstream(server);
        let upstream = upstream.ok_or_else(|| Refusal::new(INTERNAL_ERROR, format!("`{server}` is gone")))?;
        let generation = upstream.tools_generation();
        let reply = upstream.relay(request.method, params, PATIENCE, &request.cancel).await?;
        let RawReply::Result(result) = reply else { return Ok(reply) };
        let result = match request.method {
            "tools/list" => self.tools(server, &upstream, generation, &result).await?,
            _ => self.others(server, request.method, &result)?,
        };
        Ok(RawReply::Result(with_privacy(result, way)))
    }

    async fn tools(
        self: &Arc<Self>,
        server: &str,
        upstream: &Upstream,
        generation: u64,
        result: &RawValue,
    ) -> Result<Box<RawValue>, Refusal> {
        #[derive(Deserialize)]
        struct Named {
            name: String,
        }
        // A connection that was made for this very request is a generation of its own.
        let generation = generation.max(upstream.tools_generation());
        let items = items(result, "tools")?;
        let tools: Vec<Tool> = items
            .iter()
            .filter_map(|raw| {
                let named = serde_json::from_str::<Named>(raw.get()).ok()?;
                Some(Tool { name: named.name, raw: (*raw).to_owned() })
            })
            .collect();
        self.learn(server, generation, &tools, false).await;
        let mut kept: Vec<Box<RawValue>> = Vec::new();
        for tool in &tools {
            // What cannot be read has no pin, and what has none is not shown.
            let Ok(definition) = super::catalogue::Definition::of_tool(tool) else { continue };
            match self.standing(server, &tool.name, definition.pin) {
                Standing::Shown => kept.push(self.renamed(server, &tool.name, &tool.raw)),
                Standing::Hidden | Standing::Changed => {}
            }
        }
        replaced(result, "tools", items.len(), &kept)
    }

    fn others(&self, server: &str, method: &str, result: &RawValue) -> Result<Box<RawValue>, Refusal> {
        #[derive(Deserialize)]
        struct Item {
            #[serde(default)]
            name: String,
            #[serde(default)]
            uri: Option<String>,
        }
        let key = key(method);
        let items = items(result, key)?;
        let use_by = if method == "prompts/list" { "prompts/get" } else { "resources/read" };
        if !self.may(&names::action(server, use_by)) {
            return replaced(result, key, items.len(), &[]);
        }
        if self.opening.servers.len() == 1 {
            return Ok(result.to_owned());
        }
        let mut kept = Vec::new();
        for raw in &items {
            let Ok(item) = serde_json::from_str::<Item>(raw.get()) else { continue };
            if let Some(uri) = item.uri {
                self.state().resources.entry(uri).or_insert_with(|| server.to_owned());
            }
            kept.push(match method {
                "prompts/list" => self.renamed(server, &item.name, raw),
                _ => (*raw).to_owned(),
            });
        }
        replaced(result, key, usize::MAX, &kept)
    }

    /// The definition under the name that the client is shown.
    fn renamed(&self, server: &str, name: &str, raw_item: &RawValue) -> Box<RawValue> {
        if self.opening.servers.len() == 1 {
            return raw_item.to_owned();
        }
        let mut members = members_of(Some(raw_item)).unwrap_or_default();
        members.set("name", raw(quoted(&names::shown(&self.opening.servers, server, name))));
        members.raw()
    }
}

fn key(method: &str) -> &'static str {
    match method {
        "tools/list" => "tools",
        "prompts/list" => "prompts",
        "resources/list" => "resources",
        _ => "resourceTemplates",
    }
}

fn items<'a>(result: &'a RawValue, key: &str) -> Result<Vec<&'a RawValue>, Refusal> {
    let garbage =
        |why: String| Refusal::new(INTERNAL_ERROR, format!("the server's list cannot be read: {why}"));
    let mut found: std::collections::HashMap<String, &RawValue> =
        serde_json::from_str(result.get()).map_err(|error| garbage(error.to_string()))?;
    let list = found.remove(key).ok_or_else(|| garbage(format!("it has no `{key}`")))?;
    serde_json::from_str(list.get()).map_err(|error| garbage(error.to_string()))
}

/// The result with these items in the place of `of`; untouched if all are there.
fn replaced(
    result: &RawValue,
    key: &str,
    of: usize,
    kept: &[Box<RawValue>],
) -> Result<Box<RawValue>, Refusal> {
    if kept.len() == of {
        return Ok(result.to_owned());
    }
    let mut members = members_of(Some(result)).map_err(|why| Refusal::new(INTERNAL_ERROR, why))?;
    let list: Vec<&str> = kept.iter().map(|item| item.get()).collect();
    members.set(key, raw(format!("[{}]", list.join(","))));
    Ok(members.raw())
}

/// What an agent may see differs from agent to agent, so no list may be kept for others.
fn with_privacy(result: Box<RawValue>, way: Greeted) -> Box<RawValue> {
    match (way, members_of(Some(&result))) {
        (Greeted::Modern, Ok(mut members)) => {
            if members.get("resultType").is_none() {
                members.set("resultType", raw(quoted("complete")));
            }
            members.set("ttlMs", raw("0".into()));
            members.set("cacheScope", raw(quoted("private")));
            members.raw()
        }
        _ => result,
    }
}

/// A page of one of several servers, with a cursor that leads on to the next one.
fn continued(result: &RawValue, at: usize, more: bool) -> Result<Box<RawValue>, Refusal> {
    let mut members = members_of(Some(result)).map_err(|why| Refusal::new(INTERNAL_ERROR, why))?;
    let theirs = members.take("nextCursor").filter(|cursor| cursor.get() != "null");
    let next = match theirs.and_then(|cursor| serde_json::from_str::<String>(cursor.get()).ok()) {
        Some(theirs) => Some(format!("{at}{BETWEEN}{theirs}")),
        None if more => Some(format!("{}{BETWEEN}", at + 1)),
        None => None,
    };
    if let Some(next) = next {
        members.set("nextCursor", raw(quoted(&next)));
    }
    Ok(members.raw())
}

fn place(cursor: &RawValue) -> Option<(usize, Option<String>)> {
    let text: String = serde_json::from_str(cursor.get()).ok()?;
    let (at, theirs) = text.split_once(BETWEEN)?;
    let theirs = (!theirs.is_empty()).then(|| theirs.to_owned());
    Some((at.parse().ok()?, theirs))
}
