//! `subscriptions/listen`, by which a client of the stateless era hears what changes. Each client's request
//! is one request to each server behind; what they say comes back under the client's own id.

use super::client_session::{ClientSession, Request};
use super::meta::meta_of;
use super::names;
use super::wire::{INVALID_PARAMS, Members, Refusal, asking, members_of, quoted, raw};
use aecl_executor::connectors::mcp::{Inbound, RawReply, Upstream};
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

const LISTENING: &str = "notifications/subscriptions/acknowledged";
const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";
/// What is asked for by being listed, one URI each.
const URIS: &str = "resourceSubscriptions";
/// What else can be asked for: yes or no.
const CHANGES: [&str; 3] = ["toolsListChanged", "promptsListChanged", "resourcesListChanged"];
/// Changes that may wait for a slow client.
const WAITING: usize = 64;

impl ClientSession {
    /// Follows what the servers tell, until all have ended it or the client leaves.
    pub(super) async fn follow(self: &Arc<Self>, request: &Request<'_>) -> Result<RawReply, Refusal> {
        let way = self.ready(&meta_of(request.params)?).await?;
        let servers = self.speaking(way).await?;
        let params = members_of(request.params).map_err(|why| Refusal::new(INVALID_PARAMS, why))?;
        let wanted = members_of(params.get("notifications"))
            .map_err(|why| Refusal::new(INVALID_PARAMS, format!("`notifications`: {why}")))?;

        let (tell, mut told) = mpsc::channel(WAITING);
        let mut following = JoinSet::new();
        for server in servers {
            let Some(upstream) = self.upstream(&server) else { continue };
            let mut params = Members::default();
            params.set("notifications", self.wanted_of(&server, &wanted).await);
            following.spawn(one(upstream, params.raw(), tell.clone(), request.cancel.clone()));
        }
        drop(tell);
        let mut greeting = Greeting { open: following.len(), honoured: Vec::new() };
        let mut last = Err(Refusal::new(INVALID_PARAMS, "no server behind this endpoint tells what changes"));
        loop {
            tokio::select! {
                biased;
                Some(inbound) = told.recv() => {
                    self.passes_on().await?;
                    if let Some(message) = greeting.passes(&inbound) {
                        request.out.send(self.under(request.id, &inbound.method, &message)).await;
                    }
                }
                ended = following.join_next() => match ended {
                    Some(Ok(Ok(reply))) => last = Ok(reply),
                    Some(Ok(Err(error))) => {
                        // A server that is gone or knows nothing of this does not end the others.
                        if let Some(message) = greeting.without_one() {
                            request.out.send(self.under(request.id, LISTENING, &message)).await;
                        }
                        last = last.or(Err(error));
                    }
                    Some(Err(_)) => {}
                    None => break,
                },
            }
        }
        Ok(match last? {
            RawReply::Result(result) => {
                let result = tagged(&result, request.id).map_err(|why| Refusal::new(INVALID_PARAMS, why))?;
                RawReply::Result(result)
            }
            error @ RawReply::Error(_) => error,
        })
    }

    /// What of the client's wishes concerns this server, and what this agent may hear of.
    async fn wanted_of(self: &Arc<Self>, server: &str, wanted: &Members) -> Box<RawValue> {
        let mut ours = Members(wanted.0.clone());
        ours.0.retain(|(name, value)| {
            name == URIS || (CHANGES.contains(&name.as_str()) && matches!(value.get(), "true" | "false"))
        });
        let uris: Option<Vec<String>> = ours.take(URIS).and_then(|it| serde_json::from_str(it.get()).ok());
        if let Some(uris) = uris {
            let may = self.may(&names::action(server, "resources/read"));
            let mut of_it: Vec<String> = Vec::new();
            for uri in uris.iter().filter(|uri| may && self.server_of(uri).is_ok_and(|it| it == server)) {
                if self.has_listed(server, uri).await {
                    of_it.push(quoted(uri));
                }
            }
            ours.set(URIS, raw(format!("[{}]", of_it.join(","))));
        }
        ours.raw()
    }

    /// A message under the client's own id.
    fn under(&self, id: &RawValue, method: &str, params: &RawValue) -> Box<RawValue> {
        asking(None, method, Some(&tagged(params, id).unwrap_or_else(|_| params.to_owned())))
    }
}

/// Follows one server. That it was not willing is its error.
async fn one(
    upstream: Upstream,
    params: Box<RawValue>,
    tell: mpsc::Sender<Arc<Inbound>>,
    cancel: tokio_util::sync::CancellationToken,
) -> Result<RawReply, Refusal> {
    Ok(upstream.follow(Some(&params), &tell, &cancel).await?)
}

/// The first message says what will be told. Of several servers, the client gets one such message.
struct Greeting {
    open: usize,
    honoured: Vec<Value>,
}

impl Greeting {
    /// The params of what goes on to the client, if anything does now.
    fn passes(&mut self, inbound: &Inbound) -> Option<Box<RawValue>> {
        #[derive(serde::Deserialize)]
        struct Params<'a> {
            #[serde(borrow)]
            params: &'a RawValue,
        }
        let params = serde_json::from_str::<Params<'_>>(inbound.raw.get()).ok()?.params;
        if inbound.method != LISTENING {
            return Some(params.to_owned());
        }
        let said: Value = serde_json::from_str(params.get()).ok()?;
        self.honoured.push(said.get("notifications").cloned().unwrap_or_default());
        self.whole()
    }

    /// One server will never greet.
    fn without_one(&mut self) -> Option<Box<RawValue>> {
        self.open = self.open.saturating_sub(1);
        if self.honoured.is_empty() { None } else { self.whole() }
    }

    fn whole(&mut self) -> Option<Box<RawValue>> {
        if self.honoured.len() < self.open || self.open == 0 {
            return None;
        }
        // Said once.
        self.open = 0;
        let mut together = serde_json::Map::new();
        let mut uris = BTreeSet::new();
        for (name, value) in self.honoured.iter().filter_map(Value::as_object).flatten() {
            match value {
                Value::Array(list) => uris.extend(list.iter().filter_map(Value::as_str).map(str::to_owned)),
                value => drop(together.insert(name.clone(), value.clone())),
            }
        }
        if !uris.is_empty() {
            together.insert(URIS.into(), uris.into_iter().collect());
        }
        Some(raw(format!(r#"{{"notifications":{}}}"#, Value::Object(together))))
    }
}

fn tagged(object: &RawValue, id: &RawValue) -> Result<Box<RawValue>, String> {
    let mut members = members_of(Some(object))?;
    let mut meta = members_of(members.get("_meta"))?;
    meta.set(SUBSCRIPTION, id.to_owned());
    members.set("_meta", meta.raw());
    Ok(members.raw())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use serde_json::json;

    #[test]
    fn several_servers_greet_as_one() {
        let mut greeting = Greeting { open: 3, honoured: Vec::new() };
        greeting.honoured.push(json!({"toolsListChanged": true, URIS: ["a"]}));
        assert!(greeting.whole().is_none());
        greeting.honoured.push(json!({"promptsListChanged": true, URIS: ["b"]}));
        let said = greeting.without_one().unwrap();
        let expected = json!({"notifications": {"toolsListChanged": true, "promptsListChanged": true, URIS: ["a", "b"]}});
        assert_eq!(serde_json::from_str::<Value>(said.get()).unwrap(), expected);
        assert!(greeting.whole().is_none(), "once");
    }

    #[test]
    fn a_message_is_told_under_the_clients_id() {
        let params = raw(r#"{"x":1,"_meta":{"io.modelcontextprotocol/subscriptionId":"aecl-7"}}"#.into());
        let told = tagged(&params, &raw("5".into())).unwrap();
        assert_eq!(told.get(), r#"{"x":1,"_meta":{"io.modelcontextprotocol/subscriptionId":5}}"#);
    }
}
