//! Logging in: what an operator starts, a person says yes to in a browser, and ends up in the store.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use url::Url;
use zeroize::Zeroizing;

use super::challenge::Challenge;
use super::client::{Client, identify};
use super::dial::Dial;
use super::door::{Door, Expected, pasted};
use super::grant::{Asker, Tokens, give_back, tokens};
use super::kept::{Kept, LoginChallenge, LoginStore};
use super::metadata::{Found, discover, scopes_of};
use super::spec::{GrantKind, OauthSpec};
use super::{LoginError, is_safe, quotable, random_text};
use crate::egress::{Egress, parse_url};
use crate::vault::{Secret, Vault};

/// A log-in that has begun.
pub struct Flow {
    server: String,
    dial: Dial,
    vault: Vault,
    logins: LoginStore,
    found: Found,
    client: Client,
    scopes: Option<Vec<String>>,
    grant: GrantKind,
    door: Option<Opened>,
    offer: LoginPrompt,
}

/// What waits for the browser.
struct Opened {
    door: Door,
    expected: Expected,
    verifier: Zeroizing<String>,
    redirect: String,
}

/// Prompt that a person answers in a browser: what is asked, and by whom.
#[derive(Clone, Debug)]
pub struct LoginPrompt {
    /// The server's address.
    pub url: String,
    /// Who gives the token.
    pub issuer: String,
    /// As whom we ask.
    pub client_id: String,
    /// What for, if anything is said.
    pub scopes: Option<Vec<String>>,
    /// The page to open; absent where nobody has to say yes.
    pub page: Option<String>,
    /// Where the browser comes back to.
    pub redirect: Option<String>,
}

/// Result of a log-in.
#[derive(Clone, Debug)]
pub struct LoginResult {
    /// Who gave it.
    pub issuer: String,
    /// What it may, as far as was said.
    pub scopes: Vec<String>,
    /// When it ends unless it is renewed, in seconds since 1970.
    pub expires_at_s: Option<u64>,
    /// Whether it is renewed without anybody.
    pub renews: bool,
}

impl std::fmt::Debug for Flow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Flow").field("offer", &self.offer).finish_non_exhaustive()
    }
}

impl Flow {
    /// Finds out who gives tokens for the server at this address, and opens the place to come back to.
    /// `server_private` is whether that host and port may be private.
    ///
    /// # Errors
    /// When there is nobody to ask, or what is said cannot be trusted or used.
    pub async fn begin(
        server: &str,
        url: &str,
        server_private: bool,
        spec: &OauthSpec,
        vault: &Vault,
        egress: Egress,
    ) -> Result<Self, LoginError> {
        let logins = vault.logins().ok_or(LoginError::NoStore)?;
        let of_server = |source| LoginError::Egress { what: "the server", source };
        let url = parse_url(url).map_err(of_server)?;
        if !is_safe(&url) {
            return Err(LoginError::Plain { what: "the server", url: quotable(url.as_str()) });
        }
        let dial = Dial { egress, server: url, server_private, private: spec.allow_private };
        let wanted = match logins.wanted(server)?.filter(|wanted| wanted.url == dial.server.as_str()) {
            Some(wanted) => wanted,
            None => probed(&dial).await?,
        };
        let found = discover(&dial, spec, wanted.resource_metadata.as_deref()).await?;
        let before = logins.of(server)?.filter(|kept| {
            kept.url == dial.server.as_str() && kept.issuer == found.issuer.name && kept.grant == spec.grant
        });
        let scopes = to_ask_for(spec, &wanted, &found, before.as_ref());
        let door = match spec.grant {
            GrantKind::AuthorizationCode => Some(Door::open(spec.redirect_port).await?),
            GrantKind::ClientCredentials => None,
        };
        let redirect = door.as_ref().map(Door::url);
        let client = identify(&dial, spec, &found.issuer, redirect.as_deref(), scopes.as_deref()).await?;
        let mut offer = LoginPrompt {
            url: dial.server.to_string(),
            issuer: found.issuer.name.clone(),
            client_id: client.id.clone(),
            scopes: scopes.clone(),
            page: None,
            redirect: redirect.clone(),
        };
        let door = match (door, redirect) {
            (Some(door), Some(redirect)) => {
                let (verifier, state) = (random_text()?, random_text()?);
                offer.page = Some(page(&found, &client, scopes.as_deref(), &redirect, &verifier, &state)?);
                let expected = Expected {
                    state: Arc::new(Secret::new(state.as_str().to_owned())),
                    issuer: found.issuer.name.clone(),
                    says_iss: found.issuer.says_iss,
                };
                Some(Opened { door, expected, verifier, redirect })
            }
            _ => None,
        };
        let (server, vault) = (server.to_owned(), vault.clone());
        Ok(Self { server, dial, vault, logins, found, client, scopes, grant: spec.grant, door, offer })
    }

    /// What a person is asked.
    #[must_use]
    pub fn offer(&self) -> &LoginPrompt {
        &self.offer
    }

    /// Waits until the browser comes back, gets the token and keeps it. Where nobody has to say yes, at once.
    ///
    /// # Errors
    /// When nobody comes back in time, the answer is a no or somebody else's, or there is no token after all.
    pub async fn wait(mut self, patience: Duration) -> Result<LoginResult, LoginError> {
        match self.door.take() {
            None => self.keep(None).await,
            Some(Opened { door, expected, verifier, redirect }) => {
                let code = door.wait(&expected, patience).await?;
                self.keep(Some((&code, &redirect, &verifier))).await
            }
        }
    }

    /// The same with the address that a person brings from a browser on another machine.
    ///
    /// # Errors
    /// When it is not the answer to this log-in, or there is no token after all.
    pub async fn pasted(mut self, text: &str) -> Result<LoginResult, LoginError> {
        match self.door.take() {
            None => self.keep(None).await,
            Some(Opened { expected, verifier, redirect, .. }) => {
                let code = pasted(text, &redirect, &expected)?;
                self.keep(Some((&code, &redirect, &verifier))).await
            }
        }
    }

    async fn keep(self, brought: Option<(&Secret, &str, &str)>) -> Result<LoginResult, LoginError> {
        let mut secrets = self.vault.begin();
        let secret = match &self.client.secret_at {
            Some(at) => Some(secrets.resolve(at).await?),
            None => self.client.secret.as_ref(),
        };
        let asker = Asker { id: &self.client.id, auth: self.client.auth, secret };
        let scope = self.scopes.as_deref().map(|scopes| scopes.join(" "));
        let mut fields = vec![("grant_type", self.grant.name()), ("resource", self.found.resource.as_str())];
        match brought {
            Some((code, redirect, verifier)) => fields.extend([
                ("code", code.expose()),
                ("redirect_uri", redirect),
                ("code_verifier", verifier),
            ]),
            None => fields.extend(scope.as_deref().map(|scope| ("scope", scope))),
        }
        let tokens = tokens(&self.dial, &self.found.issuer.token, &asker, &fields).await?;
        let now = self.logins.now_s();
        let Tokens { access, refresh, scopes, expires_in_s } = tokens;
        let issuer = self.found.issuer;
        let kept = Kept {
            server: self.server,
            url: self.dial.server.to_string(),
            resource: self.found.resource,
            issuer: issuer.name,
            token_endpoint: issuer.token.to_string(),
            revocation_endpoint: issuer.revocation.map(|url| url.to_string()),
            grant: self.grant,
            client_id: self.client.id,
            client_auth: self.client.auth,
            client_secret: self.client.secret,
            client_secret_at: self.client.secret_at.map(|at| at.to_string()),
            scopes: scopes.or(self.scopes).unwrap_or_default(),
            access: Some(access),
            refresh,
            expires_at_s: expires_in_s.map(|seconds| now.saturating_add(seconds)),
            obtained_at_s: now,
            ended: None,
        };
        // A renewal of the former one must not come in between.
        let held = self.logins.hold(&kept.server).await?;
        self.logins.keep(&kept)?;
        self.logins.forget_wanted(&kept.server)?;
        drop(held);
        let renews = kept.renews();
        Ok(LoginResult { issuer: kept.issuer, scopes: kept.scopes, expires_at_s: kept.expires_at_s, renews })
    }
}

/// Asks the server for its greeting without a token, to hear what it wants. One that wants nothing has its metadata at
/// the well-known places, or none.
async fn probed(dial: &Dial) -> Result<LoginChallenge, LoginError> {
    let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {},
        "clientInfo": {"name": "aecl", "version": env!("CARGO_PKG_VERSION")},
    }});
    let client = dial.client("the server", &dial.server)?;
    let request = client
        .post(dial.server.clone())
        .header(reqwest::header::ACCEPT, "application/json, text/event-stream")
        .header(reqwest::header::CONTENT_TYPE, "application/json")
        .body(hello.to_string());
    // Only its head is of interest; a stream of events might not end.
    let sent = tokio::time::timeout(Duration::from_secs(15), request.send()).await;
    let unreachable =
        |why: String| LoginError::Unreachable { what: "the server", host: super::host_of(&dial.server), why };
    let response = match sent {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => {
            return Err(match crate::egress::refusal(&error) {
                Some(denied) => LoginError::Egress { what: "the server", source: denied.clone() },
                None => unreachable(crate::egress::innermost(&error)),
            });
        }
        Err(_) => return Err(unreachable("it took longer than 15 s".into())),
    };
    let challenge = Challenge::read(response.headers()).unwrap_or_default();
    let Challenge { resource_metadata, scopes, .. } = challenge;
    Ok(LoginChallenge { url: dial.server.to_string(), resource_metadata, scopes, at_s: 0 })
}

/// What to ask for: what the operator says, or else what the server wants or knows, and what there was before.
fn to_ask_for(
    spec: &OauthSpec,
    wanted: &LoginChallenge,
    found: &Found,
    before: Option<&Kept>,
) -> Option<Vec<String>> {
    if let Some(scopes) = &spec.scopes {
        return Some(scopes.clone()).filter(|scopes| !scopes.is_empty());
    }
    let mut scopes = before.map(|kept| kept.scopes.clone()).unwrap_or_default();
    let news = wanted.scopes.as_ref().or(found.scopes.as_ref()).into_iter().flatten();
    for scope in news {
        if !scopes.contains(scope) {
            scopes.push(scope.clone());
        }
    }
    if scopes.is_empty() {
        return None;
    }
    // Without it, some give nothing to renew a log-in with.
    let offline = "offline_access".to_owned();
    if found.issuer.scopes.contains(&offline) && !scopes.contains(&offline) {
        scopes.push(offline);
    }
    scopes_of(&scopes.join(" "))
}

/// The page on which a person says yes.
fn page(
    found: &Found,
    client: &Client,
    scopes: Option<&[String]>,
    redirect: &str,
    verifier: &str,
    state: &str,
) -> Result<String, LoginError> {
    let lacks =
        || LoginError::Lacks { issuer: quotable(&found.issuer.name), lacks: "has no log-in page".into() };
    let mut url: Url = found.issuer.authorization.clone().ok_or_else(lacks)?;
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
    // What stands in the address already must not be read in the place of ours.
    let ours = |name: &str| {
        matches!(
            name,
            "response_type"
                | "client_id"
                | "redirect_uri"
                | "state"
                | "code_challenge"
                | "code_challenge_method"
                | "resource"
                | "scope"
        )
    };
    let before: Vec<(String, String)> = url
        .query_pairs()
        .filter(|(name, _)| !ours(name))
        .map(|(n, v)| (n.into_owned(), v.into_owned()))
        .collect();
    url.query_pairs_mut().clear().extend_pairs(before).extend_pairs([
        ("response_type", "code"),
        ("client_id", &client.id),
        ("redirect_uri", redirect),
        ("state", state),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
        ("resource", &found.resource),
    ]);
    if let Some(scopes) = scopes {
        url.query_pairs_mut().append_pair("scope", &scopes.join(" "));
    }
    Ok(url.into())
}

/// Gives the tokens of a log-in back where that is possible. False when its authorization server has no place for it.
///
/// # Errors
/// When it has one, and it did not take them.
pub async fn revoke(
    kept: &Kept,
    server_private: bool,
    spec: &OauthSpec,
    vault: &Vault,
    egress: Egress,
) -> Result<bool, LoginError> {
    let Some(endpoint) = &kept.revocation_endpoint else { return Ok(false) };
    let read = |text: &str| {
        parse_url(text).map_err(|source| LoginError::Egress { what: "the revocation endpoint", source })
    };
    let (server, endpoint) = (read(&kept.url)?, read(endpoint)?);
    let dial = Dial { egress, server, server_private, private: spec.allow_private };
    let mut secrets = vault.begin();
    let secret = match &kept.secret_at()? {
        Some(at) => Some(secrets.resolve(at).await?),
        None => kept.client_secret.as_ref(),
    };
    let asker = Asker { id: &kept.client_id, auth: kept.client_auth, secret };
    // With the refresh token goes what was made with it, at most servers; the rest ends by itself.
    for (token, kind) in [(&kept.refresh, "refresh_token"), (&kept.access, "access_token")] {
        if let Some(token) = token {
            give_back(&dial, &endpoint, &asker, token, kind).await?;
        }
    }
    Ok(true)
}
