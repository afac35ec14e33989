//! Methods that neither act nor give data away, passed on with nothing in them that the server has not said itself.

use super::channel::{PATIENCE, log_level};
use super::client_session::{ClientSession, Request};
use super::list_page::{items, key, next_cursor};
use super::meta::meta_of;
use super::names;
use super::wire::{INVALID_PARAMS, Members, Refusal, members_of, quoted, raw};
use aecl_executor::connectors::mcp::RawReply;
use aecl_kernel::base::evidence::Reach;
use serde_json::value::RawValue;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// So many pages of resources are read to find one.
const PAGES_MAX: usize = 20;

impl ClientSession {
    /// Passes a request on and gives the server's own answer.
    pub(super) async fn relay(self: &Arc<Self>, request: &Request<'_>) -> Result<RawReply, Refusal> {
        let mut meta = meta_of(request.params)?;
        let way = self.ready(&meta).await?;
        let servers = self.speaking(way).await?;
        let params = members_of(request.params).map_err(|why| Refusal::new(INVALID_PARAMS, why))?;
        self.refuse_way_home(request).await?;
        match request.method {
            "logging/setLevel" => {
                let level = log_level(&params)?;
                // The level is one of the connection; on a shared one logs are not passed on at all.
                if !self.has_own_connections() {
                    return Ok(RawReply::Result(raw("{}".into())));
                }
                self.to_all(request, &servers, &level.raw()).await
            }
            _ => {
                let uri =
                    params.text("uri").ok_or_else(|| Refusal::new(INVALID_PARAMS, "`uri` is missing"))?;
                let server = self.server_of(&uri)?;
                if !self.may(&names::action(&server, "resources/read")) {
                    return Err(Refusal::new(INVALID_PARAMS, "this agent may not read resources"));
                }
                if !self.has_listed(&server, &uri).await {
                    let why = "the server has not listed this resource, so it cannot be followed";
                    return Err(Refusal::new(INVALID_PARAMS, why));
                }
                let mut params = Members::default();
                params.set("uri", raw(quoted(&uri)));
                let subscribes = request.method == "resources/subscribe";
                if !self.has_own_connections() {
                    let ours = (server.clone(), uri);
                    if !subscribes {
                        // Others may still want to know; the server is not told.
                        self.state().subscribed.remove(&ours);
                        return Ok(RawReply::Result(raw("{}".into())));
                    }
                    self.state().subscribed.insert(ours);
                }
                self.to(&server, request, &mut meta, params).await
            }
        }
    }

    /// What is only passed on is never ruled on, and may still name files: what completes a path, or tells of changes.
    pub(super) async fn refuse_way_home(&self, request: &Request<'_>) -> Result<(), Refusal> {
        let Some(value) = request.params.and_then(|raw| serde_json::from_str(raw.get()).ok()) else {
            return Ok(());
        };
        let found = self.gate.executor().relayed_leads(value).await;
        match found.filter(|evidence| evidence.reach == Some(Reach::Into)) {
            Some(evidence) => Err(Refusal::new(INVALID_PARAMS, format!("{} (own_house)", evidence.said))),
            None => Ok(()),
        }
    }

    async fn to(
        self: &Arc<Self>,
        server: &str,
        request: &Request<'_>,
        meta: &mut Members,
        mut params: Members,
    ) -> Result<RawReply, Refusal> {
        let upstream = self.upstream(server).ok_or_else(|| self.no_use(server))?;
        let token = self.stand_in(meta, request.out);
        if let Some(ours) = token.as_ref().and_then(|_| meta.take("progressToken")) {
            let mut only = Members::default();
            only.set("progressToken", ours);
            params.set("_meta", only.raw());
        }
        self.goes_to(request, server);
        let reply = upstream.relay(request.method, Some(&params.raw()), PATIENCE, &request.cancel).await;
        self.in_order(server).await;
        drop(token);
        Ok(reply?)
    }

    async fn to_all(
        self: &Arc<Self>,
        request: &Request<'_>,
        servers: &[String],
        params: &RawValue,
    ) -> Result<RawReply, Refusal> {
        let mut last = Ok(RawReply::Result(raw("{}".into())));
        for server in servers {
            let Some(upstream) = self.upstream(server) else { continue };
            let reply = upstream.relay(request.method, Some(params), PATIENCE, &request.cancel).await;
            last = reply.map_err(Refusal::from);
        }
        last
    }

    /// Whether a server has listed or returned exactly this address. If it is not known, the server is asked for its list.
    pub(super) async fn has_listed(self: &Arc<Self>, server: &str, uri: &str) -> bool {
        let asked = (server.to_owned(), uri.to_owned());
        if self.state().listed.contains(&asked) {
            return true;
        }
        let Some(upstream) = self.upstream(server) else { return false };
        let (method, never) = ("resources/list", CancellationToken::new());
        let mut params = Members::default();
        for _ in 0..PAGES_MAX {
            let reply = upstream.relay(method, Some(&params.raw()), PATIENCE, &never).await;
            let Ok(RawReply::Result(result)) = reply else { break };
            self.note_place(server, method, &result);
            let Ok(found) = items(&result, key(method)) else { break };
            let uris = found.iter().filter_map(|item| members_of(Some(item)).ok()?.text("uri"));
            self.note_addresses(server, uris);
            if self.state().listed.contains(&asked) {
                return true;
            }
            let Some(next) = next_cursor(&result) else { break };
            params.set("cursor", next);
        }
        false
    }

    /// The server that has a resource.
    pub(super) fn server_of(&self, uri: &str) -> Result<String, Refusal> {
        if let [server] = self.opening.servers.as_slice() {
            return Ok(server.clone());
        }
        let known = self.state().resources.get(uri).cloned();
        known.ok_or_else(|| {
            let message = "no server behind this endpoint has listed this resource; list the resources first";
            Refusal::new(INVALID_PARAMS, message)
        })
    }

    /// Of which server something is completed, and what it is asked: of a prompt or resource that the agent may use.
    pub(super) fn completing(&self, mut params: Members) -> Result<(String, Members), Refusal> {
        params.0.retain(|(name, _)| matches!(name.as_str(), "ref" | "argument" | "context"));
        let garbled = |why: String| Refusal::new(INVALID_PARAMS, why);
        let reference = members_of(params.get("ref")).map_err(garbled)?;
        let method = match reference.text("type").as_deref() {
            Some("ref/prompt") => "prompts/get",
            Some("ref/resource") => "resources/read",
            _ => return Err(garbled("`ref` is neither a prompt nor a resource".into())),
        };
        let (server, params) = self.whose(reference, params)?;
        if !self.may(&names::action(&server, method)) {
            return Err(garbled("this agent may not use what is to be completed".into()));
        }
        Ok((server, params))
    }

    fn whose(&self, mut reference: Members, mut params: Members) -> Result<(String, Members), Refusal> {
        if let [server] = self.opening.servers.as_slice() {
            return Ok((server.clone(), params));
        }
        let garbled = |why: String| Refusal::new(INVALID_PARAMS, why);
        if let Some(uri) = reference.text("uri") {
            return Ok((self.server_of(&uri)?, params));
        }
        let shown = reference.text("name").unwrap_or_default();
        let Some((server, name)) = names::meant(&self.opening.servers, &shown) else {
            return Err(garbled("no server behind this endpoint has this prompt".into()));
        };
        reference.set("name", raw(quoted(name)));
        params.set("ref", reference.raw());
        Ok((server.to_owned(), params))
    }
}
