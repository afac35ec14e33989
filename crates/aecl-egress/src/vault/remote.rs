//! A vault over HTTP: HashiCorp Vault, OpenBao and what speaks like them. Reads version 2 of the key/value
//! engine and credentials that are made on demand; the latter end with their use.

mod answer;
mod lease;

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::StreamExt as _;
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use tokio_util::task::TaskTracker;
use url::Url;
use zeroize::Zeroizing;

use super::{Secret, SecretRef, Vault};
use crate::egress::{Egress, EgressError, innermost, parse_url, refusal};
use answer::{Field, KvAnswer, LeasedAnswer};
pub(super) use lease::Lease;

/// The longest answer that is read.
const ANSWER_MAX_BYTES: usize = 1 << 20;

/// Description of a vault and how it is reached, as `aecl.yaml` writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoteSpec {
    /// Its address, such as `https://vault.example.com:8200`.
    pub address: String,
    /// Where its token is: `env:NAME`, `file:/path` or `secret:NAME`.
    pub token: String,
    /// The namespace, if it has some.
    #[serde(default)]
    pub namespace: Option<String>,
    /// Whether this host and port may be loopback or a private network, and plain `http`.
    #[serde(default)]
    pub allow_private: bool,
    /// How long one request may take, in milliseconds.
    #[serde(default = "five_seconds")]
    pub timeout_ms: u64,
    /// What is mounted where, if it is not version 2 of the key/value engine at a path of one segment.
    #[serde(default)]
    pub mounts: BTreeMap<String, Engine>,
}

fn five_seconds() -> u64 {
    5_000
}

/// Secrets engine that answers below a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Engine {
    /// Version 2 of the key/value engine.
    Kv,
    /// Credentials that are made when they are read, with a lease: databases, clouds.
    Dynamic,
}

/// Errors of a vault. Nothing of its answers is in it.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// There is none.
    #[error("no vault is configured; write `vault` with its address and token into aecl.yaml")]
    NotConfigured,
    /// Its own token cannot be had.
    #[error("the token of the vault cannot be had: {0}")]
    Token(String),
    /// It may not be dialled.
    #[error("the vault is not asked: {0}")]
    Egress(#[from] EgressError),
    /// There is no connection, or it broke.
    #[error("the vault does not answer: {0}")]
    Unreachable(String),
    /// It took too long.
    #[error("the vault did not answer within {0} ms")]
    TimedOut(u64),
    /// The token may not read it.
    #[error("the vault refuses it: the token has expired, or its policy does not allow this path")]
    Denied,
    /// There is nothing.
    #[error("the vault has nothing there; check mount, path and version, and `mounts` in aecl.yaml")]
    NotFound,
    /// It is sealed or starting.
    #[error("the vault is sealed or not ready (status {0}); unseal it")]
    NotReady(u16),
    /// It points elsewhere.
    #[error(
        "the vault points to another address (status {0}), which is not followed; write the active node's address"
    )]
    Redirect(u16),
    /// Something else.
    #[error("the vault answers with status {0}; its audit log says why")]
    Status(u16),
    /// What it answers is no answer.
    #[error("the vault answers with something that is not understood: {0}")]
    Garbage(&'static str),
    /// The field is not there.
    #[error("the vault has no field of this name there")]
    NoField,
    /// The field is a number, a list or something else.
    #[error("the field is not text; store it as a string")]
    NotText,
}

impl RemoteSpec {
    /// What is wrong with it, in words.
    ///
    /// # Errors
    /// When the address is no URL that may be dialled, or the token is no reference to somewhere else.
    pub fn check(&self) -> Result<(), String> {
        let url = self.url().map_err(|error| format!("`vault.address`: {error}"))?;
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err("`vault.address` is more than scheme, host and port".into());
        }
        let token = self.token_reference()?;
        if matches!(token, SecretRef::Remote { .. }) {
            return Err("`vault.token` is in the vault itself; write `env:`, `file:` or `secret:`".into());
        }
        if !(1..=60_000).contains(&self.timeout_ms) {
            return Err("`vault.timeout_ms` must be between 1 and 60,000".into());
        }
        let odd = self.mounts.keys().find(|mount| !super::reference::is_path(mount));
        odd.map_or(Ok(()), |mount| Err(format!("`vault.mounts`: `{mount}` is no path; write `team/kv`")))
    }

    /// Whoever writes the token itself here is told so without its being repeated.
    fn token_reference(&self) -> Result<SecretRef, String> {
        let plain = "`vault.token` is no reference; write `env:NAME`, `file:/path` or `secret:NAME`, and never the token";
        self.token.parse().map_err(|_| plain.to_owned())
    }

    fn url(&self) -> Result<Url, EgressError> {
        parse_url(&self.address)
    }

    /// The mount in a path, what stands after it, and what answers there.
    fn split<'a>(&self, path: &'a str) -> Option<(&'a str, &'a str, Engine)> {
        let named = self.mounts.iter().filter_map(|(mount, engine)| {
            let rest = path.strip_prefix(mount.as_str())?.strip_prefix('/')?;
            Some((path.get(..mount.len())?, rest, *engine))
        });
        named.max_by_key(|(mount, ..)| mount.len()).or_else(|| {
            let (mount, rest) = path.split_once('/')?;
            Some((mount, rest, Engine::Kv))
        })
    }
}

/// A vault, and the leases that it has given.
#[derive(Clone)]
pub(super) struct Remote {
    spec: RemoteSpec,
    token: SecretRef,
    egress: Egress,
    leases: TaskTracker,
}

/// What lay at one path.
#[derive(Debug)]
pub(super) struct Read {
    fields: BTreeMap<String, Field>,
    pub(super) lease: Option<Lease>,
}

impl Read {
    pub(super) fn take(&mut self, field: &str) -> Result<Secret, RemoteError> {
        match self.fields.remove(field) {
            Some(Field::Text(value)) => Ok(value),
            Some(Field::Other) => Err(RemoteError::NotText),
            None => Err(RemoteError::NoField),
        }
    }
}

impl Remote {
    pub(super) fn new(spec: RemoteSpec, leases: TaskTracker) -> Result<Self, String> {
        spec.check()?;
        let token = spec.token_reference()?;
        Ok(Self { spec, token, egress: Egress::default(), leases })
    }

    /// Reads a path; what is made on demand is kept alive until its lease is dropped.
    pub(super) async fn read(&self, path: &str, vault: &Vault) -> Result<Read, RemoteError> {
        let (mount, rest, engine) = self.spec.split(path).ok_or(RemoteError::NotFound)?;
        match engine {
            Engine::Kv => {
                let body = self.ask(Method::GET, &["v1", mount, "data", rest], None, vault).await?;
                let KvAnswer { data } = parse(&body)?;
                let fields = data.data.ok_or(RemoteError::NotFound)?;
                Ok(Read { fields, lease: None })
            }
            Engine::Dynamic => {
                let body = self.ask(Method::GET, &["v1", mount, rest], None, vault).await?;
                let answer: LeasedAnswer = parse(&body)?;
                let fields = answer.data.ok_or(RemoteError::Garbage("there is no data in it"))?;
                if answer.lease_id.is_empty() {
                    return Err(RemoteError::Garbage("it made a credential without a lease"));
                }
                let (seconds, renewable) = (answer.lease_duration, answer.renewable);
                let lease = Lease::keep(self.clone(), vault.clone(), answer.lease_id, seconds, renewable);
                Ok(Read { fields, lease: Some(lease) })
            }
        }
    }

    /// One request, with the token as it is now; the body of a good answer.
    async fn ask(
        &self,
        method: Method,
        path: &[&str],
        body: Option<String>,
        vault: &Vault,
    ) -> Result<Zeroizing<Vec<u8>>, RemoteError> {
        let token = vault.local(&self.token).map_err(|error| RemoteError::Token(error.to_string()))?;
        let asking = self.exchange(method, path, body, &token);
        let timeout = Duration::from_millis(self.spec.timeout_ms);
        tokio::time::timeout(timeout, asking)
            .await
            .map_err(|_| RemoteError::TimedOut(self.spec.timeout_ms))?
    }

    async fn exchange(
        &self,
        method: Method,
        path: &[&str],
        body: Option<String>,
        token: &Secret,
    ) -> Result<Zeroizing<Vec<u8>>, RemoteError> {
        let mut url = self.spec.url()?;
        url.set_path(&path.join("/"));
        let client = self.egress.client(&url, self.spec.allow_private)?;
        let odd = |_| RemoteError::Token("it holds characters that no header may hold".into());
        let mut header = HeaderValue::from_str(token.expose()).map_err(odd)?;
        header.set_sensitive(true);
        let mut request = client
            .request(method, url)
            .header(HeaderName::from_static("x-vault-token"), header)
            // Asks an agent or a proxy on the way to be sure that this is no forged request of a browser.
            .header(HeaderName::from_static("x-vault-request"), "true");
        if let Some(namespace) = &self.spec.namespace {
            request = request.header(HeaderName::from_static("x-vault-namespace"), namespace);
        }
        if let Some(body) = body {
            request = request.header(reqwest::header::CONTENT_TYPE, "application/json").body(body);
        }
        let lost = |error: reqwest::Error| match refusal(&error) {
            Some(denied) => RemoteError::Egress(denied.clone()),
            None => RemoteError::Unreachable(innermost(&error)),
        };
        let response = request.send().await.map_err(lost)?;
        let status = response.status();
        // Room at once: growing would leave parts of the answer behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(ANSWER_MAX_BYTES));
        let mut stream = response.bytes_stream();
        while let Some(part) = stream.next().await {
            let part = part.map_err(lost)?;
            if bytes.len() + part.len() > ANSWER_MAX_BYTES {
                return Err(RemoteError::Garbage("it is longer than 1 MiB"));
            }
            bytes.extend_from_slice(&part);
        }
        judged(status)?;
        Ok(bytes)
    }
}

fn judged(status: StatusCode) -> Result<(), RemoteError> {
    let number = status.as_u16();
    match number {
        200..=299 => Ok(()),
        300..=399 => Err(RemoteError::Redirect(number)),
        401 | 403 => Err(RemoteError::Denied),
        404 => Err(RemoteError::NotFound),
        // Standby, replication in recovery, not initialised, sealed.
        429 | 472 | 473 | 501 | 503 => Err(RemoteError::NotReady(number)),
        _ => Err(RemoteError::Status(number)),
    }
}

fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, RemoteError> {
    // The error of the parser may quote the answer.
    serde_json::from_slice(body).map_err(|_| RemoteError::Garbage("it has another form"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn spec(yaml: serde_json::Value) -> RemoteSpec {
        let mut all =
            serde_json::json!({"address": "https://vault.example:8200", "token": "env:VAULT_TOKEN"});
        all.as_object_mut().unwrap().extend(yaml.as_object().unwrap().clone());
        serde_json::from_value(all).unwrap()
    }

    #[test]
    fn a_path_belongs_to_the_longest_mount() {
        let spec =
            spec(serde_json::json!({"mounts": {"database": "dynamic", "team": "kv", "team/db": "dynamic"}}));
        let check = |path, expected| assert_eq!(spec.split(path), expected, "{path}");
        check("secret/a/b", Some(("secret", "a/b", Engine::Kv)));
        check("database/creds/ro", Some(("database", "creds/ro", Engine::Dynamic)));
        check("team/db/creds/ro", Some(("team/db", "creds/ro", Engine::Dynamic)));
        check("team/dbx/a", Some(("team", "dbx/a", Engine::Kv)));
        check("databases/a", Some(("databases", "a", Engine::Kv)));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_when_it_is_read() {
        spec(serde_json::json!({})).check().unwrap();
        for (key, value) in [
            ("address", serde_json::json!("vault")),
            ("address", "https://vault.example/v1".into()),
            ("token", "hvs.plain".into()),
            ("token", "vault:secret/token#t".into()),
            ("timeout_ms", 0.into()),
            ("mounts", serde_json::json!({"../sys": "kv"})),
        ] {
            assert!(spec(serde_json::json!({key: value})).check().is_err(), "{key}: {value}");
        }
    }
}
