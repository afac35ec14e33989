//! Lists of tools, resources and prompts: what the agent may not use is left out, what remains keeps its
//! bytes.

use super::channel::PATIENCE;
use super::client_session::{ClientSession, Request};
use super::list_page::{items, key, members_shown, replaced, with_privacy};
use super::names;
use super::negotiated::Negotiated;
use super::standing::Standing;
use super::task_capability::offered_as_task;
use super::wire::{INVALID_PARAMS, Refusal, members_of, quoted, raw};
use aecl_executor::connectors::mcp::{RawReply, Tool, Upstream};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::sync::Arc;

impl ClientSession {
    pub(super) async fn page(
        self: &Arc<Self>,
        server: &str,
        request: &Request<'_>,
        params: Option<&RawValue>,
        way: Negotiated,
    ) -> Result<RawReply, Refusal> {
        let upstream = self.upstream(server).ok_or_else(|| self.no_use(server))?;
        let generation = upstream.tools_generation();
        let mut asked = members_of(params).map_err(|why| Refusal::new(INVALID_PARAMS, why))?;
        self.knows_place(server, request.method, &asked)?;
        asked.0.retain(|(name, _)| name == "cursor");
        let reply = upstream.relay(request.method, Some(&asked.raw()), PATIENCE, &request.cancel).await?;
        let RawReply::Result(result) = reply else { return Ok(reply) };
        self.note_place(server, request.method, &result);
        let result = match request.method {
            "tools/list" => self.tools(server, &upstream, generation, &result).await?,
            _ => self.others(server, request.method, &result).await?,
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
        if !self.knows(server) {
            // All of a server is taken in at once, or its second page would seem to have come later.
            drop(self.offer(server, upstream, "").await);
        }
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
            match self.standing(server, &tool.name, definition.pins) {
                Standing::Shown => {
                    let shown = definition.shown(&tool.raw, self.accepted(server, &tool.name));
                    let shown = self.renamed(server, &tool.name, &shown);
                    kept.push(if self.offers_tasks() { offered_as_task(&shown) } else { shown });
                }
                Standing::Hidden | Standing::Changed | Standing::New => {}
            }
        }
        replaced(result, "tools", &kept)
    }

    async fn others(&self, server: &str, method: &str, result: &RawValue) -> Result<Box<RawValue>, Refusal> {
        let key = key(method);
        let use_by = if method == "prompts/list" { "prompts/get" } else { "resources/read" };
        if !self.may(&names::action(server, use_by)) {
            return replaced(result, key, &[]);
        }
        let mut found = Vec::new();
        for raw in items(result, key)? {
            // What has no single meaning is shown to nobody.
            let Ok(mut item) = members_of(Some(raw)) else { continue };
            item.0.retain(|(name, value)| {
                members_shown(method).contains(&name.as_str()) && value.get() != "null"
            });
            found.push(item);
        }
        if method == "prompts/list" {
            found = self.accepted_prompts(server, found).await;
        }
        self.note_addresses(server, found.iter().filter_map(|item| item.text("uri")));
        let mut kept = Vec::new();
        for item in found {
            if let Some(uri) = item.text("uri").filter(|_| self.opening.servers.len() > 1) {
                let owner =
                    self.state().resources.entry(uri.clone()).or_insert_with(|| server.to_owned()).clone();
                if owner != server {
                    // Two of one name cannot be told apart when one is read, so only the first is shown.
                    let why = format!("`{owner}` lists the resource `{}`, too, and was first", shown(&uri));
                    self.fault(server, "resources/read", "resource_doubled", why).await;
                    continue;
                }
            }
            kept.push(match item.text("name") {
                Some(name) if method == "prompts/list" => self.renamed(server, &name, &item.raw()),
                Some(_) | None => item.raw(),
            });
        }
        replaced(result, key, &kept)
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

fn shown(uri: &str) -> String {
    uri.chars().filter(|c| !c.is_control()).take(200).collect()
}
