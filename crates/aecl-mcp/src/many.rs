//! Lists over one server or several. Those over several come in one page: many a client never asks for the second one, and
//! would then not see the tools of the second server.

use super::client_session::{ClientSession, Request};
use super::list_page::{items, key, next_cursor, with_privacy};
use super::meta::meta_of;
use super::negotiated::Negotiated;
use super::wire::{INTERNAL_ERROR, INVALID_PARAMS, Members, Refusal, members_of, raw};
use aecl_executor::connectors::mcp::{LISTED_MAX, RawReply};
use std::sync::Arc;

/// How many pages of one server are read. A server that never ends its list is a broken one.
const PAGES_MAX: usize = 200;

impl ClientSession {
    /// A page of a list.
    pub(super) async fn list(self: &Arc<Self>, request: &Request<'_>) -> Result<RawReply, Refusal> {
        let way = self.ready(&meta_of(request.params)?).await?;
        let servers = self.speaking(way).await?;
        let reply = if self.opening.servers.len() == 1 {
            let server = servers.first().ok_or_else(|| Refusal::new(INTERNAL_ERROR, "there is no server"))?;
            self.page(server, request, request.params, way).await?
        } else {
            self.list_together(request, &servers, way).await?
        };
        self.with_plan_tool(request, reply).await
    }

    /// What all these servers list, in the order of their names.
    async fn list_together(
        self: &Arc<Self>,
        request: &Request<'_>,
        servers: &[String],
        way: Negotiated,
    ) -> Result<RawReply, Refusal> {
        let params = members_of(request.params).map_err(|why| Refusal::new(INVALID_PARAMS, why))?;
        if params.get("cursor").is_some_and(|cursor| cursor.get() != "null") {
            return Err(Refusal::new(INVALID_PARAMS, "unknown `cursor`: this list is one page"));
        }
        let (mut all, mut answered, mut last) = (Vec::new(), false, None);
        for server in servers {
            match self.every_page(server, request, &params, way).await {
                Ok(Ok(items)) => {
                    answered = true;
                    all.extend(items);
                }
                // A server without this list, or one that is down, does not hide the others.
                Ok(Err(error)) => last = Some(Ok(error)),
                Err(refusal) => last = Some(Err(refusal)),
            }
        }
        match last {
            Some(last) if !answered => last,
            _ => {
                let list = format!(r#"{{"{}":[{}]}}"#, key(request.method), all.join(","));
                Ok(RawReply::Result(with_privacy(raw(list), way)))
            }
        }
    }

    /// The items of one server, or its error.
    async fn every_page(
        self: &Arc<Self>,
        server: &str,
        request: &Request<'_>,
        params: &Members,
        way: Negotiated,
    ) -> Result<Result<Vec<String>, RawReply>, Refusal> {
        let mut found = Vec::new();
        let mut asked = Members(params.0.clone());
        for _ in 0..PAGES_MAX {
            let result = match self.page(server, request, Some(&asked.raw()), way).await? {
                RawReply::Result(result) => result,
                error @ RawReply::Error(_) => return Ok(Err(error)),
            };
            found.extend(items(&result, key(request.method))?.iter().map(|item| item.get().to_owned()));
            if found.len() > LISTED_MAX {
                let why = format!("the server lists more than {LISTED_MAX} `{}`", key(request.method));
                return Err(Refusal::new(INTERNAL_ERROR, why));
            }
            let Some(next) = next_cursor(&result) else { break };
            asked.set("cursor", next);
        }
        Ok(Ok(found))
    }
}
