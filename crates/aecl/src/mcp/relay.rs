//! Methods that neither act nor give data away, passed on as they are.

use super::front::{Front, Request};
use super::hello::meta_of;
use super::names;
use super::wire::{INTERNAL_ERROR, INVALID_PARAMS, Members, Refusal, members_of, quoted, raw};
use aecl_executor::connectors::mcp::RawReply;
use aecl_kernel::base::evidence::Reach;
use serde_json::value::RawValue;
use std::sync::Arc;
use std::time::Duration;

/// How long a server may take for what does not act.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

impl Front {
    /// Passes a request on and gives the server's own answer.
    pub(super) async fn relay(self: &Arc<Self>, request: &Request<'_>) -> Result<RawReply, Refusal> {
        let mut meta = meta_of(request.params)?;
        let way = self.ready(&meta).await?;
        let servers = self.speaking(way).await?;
        let params = members_of(request.params).map_err(|why| Refusal::new(INVALID_PARAMS, why))?;
        self.refuse_way_home(request).await?;
        match request.method {
            // The level is one of the connection; on a shared one logs are not passed on at all.
            "logging/setLevel" if !self.has_own_connections() => Ok(RawReply::Result(raw("{}".into()))),
            "logging/setLevel" => self.to_all(request, &servers).await,
            "completion/complete" => {
                let (server, params) = self.completing(params)?;
                self.to(&server, request, &mut meta, params).await
            }
            _ => {
                let uri =
                    params.text("uri").ok_or_else(|| Refusal::new(INVALID_PARAMS, "`uri` is missing"))?;
                let server = self.server_of(&uri)?;
                if !self.may(&names::action(&server, "resources/read")) {
                    return Err(Refusal::new(INVALID_PARAMS, "this agent may not read resources"));
                }
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
    async fn refuse_way_home(&self, request: &Request<'_>) -> Result<(), Refusal> {
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
        let upstream = self.upstream(server);
        let upstream = upstream.ok_or_else(|| Refusal::new(INTERNAL_ERROR, format!("`{server}` is gone")))?;
        let token = self.stand_in(meta, request.out);
        if token.is_some() {
            params.set("_meta", meta.raw());
        }
        let params = request.params.map(|_| params.raw());
        self.goes_to(request, server);
        let reply = upstream.relay(request.method, params.as_deref(), PATIENCE, &request.cancel).await;
        self.in_order(server).await;
        drop(token);
        Ok(reply?)
    }

    async fn to_all(
        self: &Arc<Self>,
        request: &Request<'_>,
        servers: &[String],
    ) -> Result<RawReply, Refusal> {
        let mut last = Ok(RawReply::Result(raw("{}".into())));
        for server in servers {
            let Some(upstream) = self.upstream(server) else { continue };
            let reply = upstream.relay(request.method, request.params, PATIENCE, &request.cancel).await;
            last = reply.map_err(Refusal::from);
        }
        last
    }

    /// Notes to which server a request went, so that what that server says meanwhile finds its client.
    pub(super) fn goes_to(&self, request: &Request<'_>, server: &str) {
        if let Some(underway) = self.state().underway.get_mut(&request.number) {
            underway.server = Some(server.to_owned());
        }
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

    fn completing(&self, mut params: Members) -> Result<(String, Members), Refusal> {
        if let [server] = self.opening.servers.as_slice() {
            return Ok((server.clone(), params));
        }
        let garbled = |why: String| Refusal::new(INVALID_PARAMS, why);
        let mut reference = members_of(params.get("ref")).map_err(garbled)?;
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

/// The raw text of an object that is sent where there were no params.
pub(super) fn empty() -> Box<RawValue> {
    raw("{}".into())
}
