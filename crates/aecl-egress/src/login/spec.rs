//! How to log in at a server, as the operator wrote it. Nothing of it is needed where a server and its authorization
//! server say everything themselves.

use serde::{Deserialize, Serialize};
use url::Url;

use super::is_safe;
use crate::vault::SecretRef;

/// `oauth` of a server in `aecl.yaml`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OauthSpec {
    /// The only authorization server that is asked; absent: the first that the server names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// The client that was registered there beforehand. Needs `issuer` beside it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// Where that client's secret is: `env:NAME`, `file:/path`, `secret:NAME` or `vault:MOUNT/PATH#FIELD`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<String>,
    /// An address under which this client's own metadata lie; it is the client's id where that is understood.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_metadata_url: Option<String>,
    /// How the client says who it is; absent: the first of ours that the authorization server knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_auth: Option<ClientAuth>,
    /// What to ask for, instead of what the server says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
    /// The port on 127.0.0.1 to which the browser comes back; absent: any that is free.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redirect_port: Option<u16>,
    /// Whether the authorization server may be on loopback or in a private network.
    pub allow_private: bool,
    /// Who logs in.
    pub grant: GrantKind,
    /// Whether a server without any metadata is taken to be its own authorization server, at `/authorize`, `/token`
    /// and `/register`, as the revision of 2025-03-26 did.
    pub assume_endpoints: bool,
}

/// Kind of OAuth grant: a person logs in, or we do ourselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantKind {
    /// A person, in a browser.
    #[default]
    AuthorizationCode,
    /// This client itself, with its own secret.
    ClientCredentials,
}

impl GrantKind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::AuthorizationCode => "authorization_code",
            Self::ClientCredentials => "client_credentials",
        }
    }
}

/// Authentication of a client at the token endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuth {
    /// By its id alone.
    None,
    /// Id and secret in the `Authorization` header.
    ClientSecretBasic,
    /// Id and secret in the body.
    ClientSecretPost,
}

impl ClientAuth {
    pub(super) const ALL: [Self; 3] = [Self::None, Self::ClientSecretBasic, Self::ClientSecretPost];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::ClientSecretBasic => "client_secret_basic",
            Self::ClientSecretPost => "client_secret_post",
        }
    }
}

impl OauthSpec {
    /// What is wrong with it, in words.
    ///
    /// # Errors
    /// When something cannot be meant.
    pub fn check(&self) -> Result<(), String> {
        for (name, url) in [("issuer", &self.issuer), ("client_metadata_url", &self.client_metadata_url)] {
            let Some(text) = url else { continue };
            let url: Url =
                text.parse().map_err(|error| format!("`oauth.{name}`: `{text}` is no url: {error}"))?;
            if !is_safe(&url) || url.query().is_some() || url.fragment().is_some() {
                return Err(format!(
                    "`oauth.{name}`: write an address with `https`, or of this machine, without `?` and `#`"
                ));
            }
        }
        if self.client_id.is_some() && self.issuer.is_none() {
            return Err(
                "`oauth.client_id` is known to one authorization server; name it as `oauth.issuer`".into()
            );
        }
        if self.client_id.as_deref().is_some_and(|id| !is_printable(id)) {
            return Err("`oauth.client_id` is 1 to 2,048 printable characters".into());
        }
        let secret = self.secret()?;
        if secret.is_some() && self.client_id.is_none() {
            return Err("`oauth.client_secret` is of a client; name it as `oauth.client_id`".into());
        }
        if self.grant == GrantKind::ClientCredentials && secret.is_none() {
            return Err("`oauth.grant: client_credentials` needs `client_id` and `client_secret`".into());
        }
        match self.scopes.iter().flatten().find(|scope| !is_scope(scope)) {
            Some(odd) => Err(format!("`oauth.scopes`: `{}` is no scope", super::quotable(odd))),
            None => Ok(()),
        }
    }

    /// Where the client's secret is. Whoever writes the secret itself here is told so without its being repeated.
    pub(super) fn secret(&self) -> Result<Option<SecretRef>, String> {
        let plain = "`oauth.client_secret` is no reference; write `env:NAME`, `file:/path` or `secret:NAME`, and never the secret";
        self.client_secret.as_deref().map(|text| text.parse().map_err(|_| plain.to_owned())).transpose()
    }
}

/// Whether it is what an id or a code may be made of.
pub(super) fn is_printable(text: &str) -> bool {
    (1..=2048).contains(&text.len()) && text.bytes().all(|byte| (0x20..=0x7e).contains(&byte))
}

/// Whether it is a scope: printable, without blanks and quotes.
pub(super) fn is_scope(text: &str) -> bool {
    let fits = |byte: u8| byte == 0x21 || (0x23..=0x5b).contains(&byte) || (0x5d..=0x7e).contains(&byte);
    (1..=256).contains(&text.len()) && text.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn what_cannot_be_meant_is_refused_when_it_is_read() {
        let read = |yaml: serde_json::Value| {
            serde_json::from_value::<OauthSpec>(yaml).map_err(|error| error.to_string())?.check()
        };
        let issuer = "https://login.example.com";
        read(serde_json::json!({})).unwrap();
        read(serde_json::json!({"issuer": issuer, "client_id": "a", "client_secret": "secret:a"})).unwrap();
        read(serde_json::json!({"issuer": "http://127.0.0.1:9000"})).unwrap();
        for wrong in [
            serde_json::json!({"issuer": "http://login.example.com"}),
            serde_json::json!({"issuer": "https://login.example.com/?x"}),
            serde_json::json!({"client_id": "a"}),
            serde_json::json!({"issuer": issuer, "client_secret": "secret:a"}),
            serde_json::json!({"issuer": issuer, "client_id": "a\nb"}),
            serde_json::json!({"grant": "client_credentials", "issuer": issuer, "client_id": "a"}),
            serde_json::json!({"scopes": ["a b"]}),
            serde_json::json!({"grant": "password"}),
            serde_json::json!({"token": "x"}),
        ] {
            assert!(read(wrong.clone()).is_err(), "{wrong}");
        }
        let said = read(serde_json::json!({"issuer": issuer, "client_id": "a", "client_secret": "hunter2"}));
        assert!(!said.unwrap_err().contains("hunter2"));
    }
}
