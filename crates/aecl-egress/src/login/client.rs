//! As whom we ask: a client that was registered beforehand, one whose id is the address of its metadata, or one that is
//! registered now (RFC 7591).

use serde::Deserialize;
use serde_json::json;

use super::dial::Dial;
use super::grant::{REGISTRATION, refused};
use super::metadata::Issuer;
use super::spec::{ClientAuth, GrantKind, OauthSpec, is_printable};
use super::{LoginError, host_of, quotable};
use crate::vault::{Secret, SecretRef};

/// A client at one authorization server, and nowhere else.
pub(super) struct Client {
    pub id: String,
    pub auth: ClientAuth,
    /// The secret that it was given.
    pub secret: Option<Secret>,
    /// Where the operator has its secret.
    pub secret_at: Option<SecretRef>,
}

#[derive(Deserialize)]
struct Registered {
    client_id: String,
    #[serde(default)]
    client_secret: Option<String>,
    #[serde(default)]
    token_endpoint_auth_method: Option<String>,
}

/// The client of this configuration, or a new one.
pub(super) async fn identify(
    dial: &Dial,
    spec: &OauthSpec,
    issuer: &Issuer,
    redirect: Option<&str>,
    scopes: Option<&[String]>,
) -> Result<Client, LoginError> {
    let lacks = |lacks: &str| LoginError::Lacks { issuer: quotable(&issuer.name), lacks: lacks.to_owned() };
    if let Some(id) = &spec.client_id {
        let secret_at = spec.secret().map_err(LoginError::Mismatch)?;
        let ours: &[ClientAuth] = match secret_at {
            Some(_) => &[ClientAuth::ClientSecretBasic, ClientAuth::ClientSecretPost],
            None => &[ClientAuth::None],
        };
        let auth = spec.client_auth.or_else(|| known(issuer, ours)).ok_or_else(|| {
            lacks("knows none of the ways in which a client with this id and secret can say who it is")
        })?;
        return Ok(Client { id: id.clone(), auth, secret: None, secret_at });
    }
    if let Some(url) = spec.client_metadata_url.as_ref().filter(|_| issuer.reads_client_metadata) {
        return Ok(Client { id: url.clone(), auth: ClientAuth::None, secret: None, secret_at: None });
    }
    let Some(endpoint) = &issuer.registration else {
        return Err(lacks(
            "registers no clients by itself; have one registered there, and write its `client_id` and the `issuer` below `oauth` of the server",
        ));
    };
    let wanted = spec
        .client_auth
        .or_else(|| known(issuer, &ClientAuth::ALL))
        .ok_or_else(|| lacks("knows none of the ways in which this client can say who it is"))?;
    let mut body = json!({
        "client_name": "AECL",
        "application_type": "native",
        "grant_types": [GrantKind::AuthorizationCode.name(), "refresh_token"],
        "response_types": ["code"],
        "redirect_uris": redirect.into_iter().collect::<Vec<_>>(),
        "token_endpoint_auth_method": wanted.name(),
    });
    if let (Some(scopes), Some(body)) = (scopes, body.as_object_mut()) {
        body.insert("scope".into(), scopes.join(" ").into());
    }
    let request = dial.client(REGISTRATION, endpoint)?.post(endpoint.clone());
    let request = request
        .header(reqwest::header::CONTENT_TYPE, "application/json")
        .header(reqwest::header::ACCEPT, "application/json")
        .body(body.to_string());
    let answer = dial.exchange(REGISTRATION, endpoint, request).await?;
    if !answer.status.is_success() {
        return Err(refused(REGISTRATION, endpoint, &answer));
    }
    let garbage =
        |why: &str| LoginError::Garbage { what: REGISTRATION, host: host_of(endpoint), why: why.to_owned() };
    let made: Registered =
        answer.read().ok_or_else(|| garbage("answers with something that is no client"))?;
    let secret = made.client_secret.filter(|secret| !secret.is_empty()).map(Secret::new);
    let odd_secret = secret.as_ref().is_some_and(|secret| !is_printable(secret.expose()));
    if !is_printable(&made.client_id) || odd_secret {
        return Err(garbage("gives an id or a secret of odd characters"));
    }
    let auth = match made.token_endpoint_auth_method.as_deref() {
        None if secret.is_none() => ClientAuth::None,
        None => wanted,
        Some(name) => ClientAuth::ALL
            .into_iter()
            .find(|auth| auth.name() == name)
            .ok_or_else(|| garbage("wants this client to say who it is in a way that it does not know"))?,
    };
    if auth != ClientAuth::None && secret.is_none() {
        return Err(garbage("gives no secret, and wants one"));
    }
    Ok(Client { id: made.client_id, auth, secret, secret_at: None })
}

/// The first of these that the authorization server knows. One that does not say knows the header (RFC 8414).
fn known(issuer: &Issuer, ours: &[ClientAuth]) -> Option<ClientAuth> {
    let Some(theirs) = &issuer.client_auth else {
        let usual = ClientAuth::ClientSecretBasic;
        return if ours.contains(&usual) { Some(usual) } else { ours.first().copied() };
    };
    ours.iter().copied().find(|auth| theirs.contains(auth))
}
