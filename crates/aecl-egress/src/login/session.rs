//! A log-in in use: its token for each request, renewed before it ends and when it is refused, by one at a time.

use std::sync::Arc;

use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use url::Url;

use super::LoginError;
use super::challenge::Challenge;
use super::dial::Dial;
use super::grant::{Asker, Tokens, tokens};
use super::kept::{Kept, LoginChallenge, LoginStore};
use super::spec::{GrantKind, OauthSpec};
use crate::egress::{Egress, parse_url};
use crate::vault::{KnownSecrets, Secret, SecretRef, Vault};

/// How long before its end a token is renewed, in seconds; one that lives shorter, at its half.
const EARLY_S: u64 = 30;
/// The longest address of metadata that is noted.
const ADDRESS_MAX_BYTES: usize = 2048;

/// The log-in at one server, as its requests use it.
pub struct LoginSession {
    server: String,
    dial: Dial,
    vault: Vault,
    logins: LoginStore,
    known: KnownSecrets,
    /// The server is given other credentials, so that a refusal without a challenge is about those.
    has_headers: bool,
}

/// Refusal of a request that cannot go on. No word of a stranger is in it: a model may read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoginRefusal {
    /// Somebody has to log in.
    Login(String),
    /// Logging in again would bring the same.
    Scope,
    /// It may work later.
    Unavailable(String),
}

/// Verdict on an answer: what it means for the log-in.
pub enum LoginVerdict {
    /// Nothing.
    Other,
    /// There is a new token: ask once more.
    Again(Arc<Secret>),
    /// It cannot go on.
    Refused(LoginRefusal),
}

impl LoginSession {
    /// The log-in at this address, if there may be one: where log-ins are kept, and the server's own `Authorization`
    /// is not written by the operator.
    pub fn of(
        server: &str,
        url: &str,
        server_private: bool,
        spec: Option<&OauthSpec>,
        headers: &std::collections::BTreeMap<String, String>,
        (vault, egress, known): (&Vault, &Egress, &KnownSecrets),
    ) -> Option<Arc<Self>> {
        let logins = vault.logins()?;
        let url: Url = parse_url(url).ok()?;
        if headers.keys().any(|name| name.eq_ignore_ascii_case("authorization")) {
            return None;
        }
        let private = spec.is_some_and(|spec| spec.allow_private);
        let dial = Dial { egress: egress.clone(), server: url, server_private, private };
        let (server, vault, known) = (server.to_owned(), vault.clone(), known.clone());
        Some(Arc::new(Self { server, dial, vault, logins, known, has_headers: !headers.is_empty() }))
    }

    /// Whether there is a log-in.
    pub fn is_kept(&self) -> bool {
        matches!(self.kept(), Ok(Some(_)) | Err(_))
    }

    /// The token for a request; nothing where nobody has logged in.
    pub async fn bearer(self: &Arc<Self>) -> Result<Option<Arc<Secret>>, LoginRefusal> {
        let Some(kept) = self.kept()? else { return Ok(None) };
        let Some(access) = usable(&kept)? else { return Err(over()) };
        let left = kept.expires_at_s.map(|end| end.saturating_sub(self.logins.now_s()));
        if left.is_none_or(|left| left > early_s(&kept)) {
            return Ok(Some(self.remember(access)));
        }
        match self.renewed(access).await {
            Ok(Some(token)) => Ok(Some(token)),
            Ok(None) | Err(LoginRefusal::Unavailable(_)) if left.is_some_and(|left| left > 0) => {
                Ok(Some(self.remember(access)))
            }
            Ok(None) => Err(over()),
            Err(refused) => Err(refused),
        }
    }

    /// What a refusal means. `sent` is the token that was refused.
    pub async fn judge(
        self: &Arc<Self>,
        sent: Option<&Secret>,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> LoginVerdict {
        let challenge = Challenge::read(headers);
        match status {
            StatusCode::UNAUTHORIZED if challenge.is_none() && sent.is_none() && self.has_headers => {
                LoginVerdict::Other
            }
            StatusCode::UNAUTHORIZED => self.unauthorized(sent, challenge.unwrap_or_default()).await,
            StatusCode::FORBIDDEN => match challenge {
                Some(challenge) if challenge.error.as_deref() == Some("insufficient_scope") => {
                    self.insufficient(challenge).await
                }
                Some(_) | None => LoginVerdict::Other,
            },
            _ => LoginVerdict::Other,
        }
    }

    async fn unauthorized(self: &Arc<Self>, sent: Option<&Secret>, challenge: Challenge) -> LoginVerdict {
        let why = match sent {
            None => match self.logins.of(&self.server) {
                Ok(Some(_)) => "the log-in that is kept is for another address".to_owned(),
                Ok(None) | Err(_) => "nobody has logged in there".to_owned(),
            },
            Some(sent) => match self.renewed(sent).await {
                Ok(Some(token)) if token.expose() != sent.expose() => return LoginVerdict::Again(token),
                Ok(_) => "it does not accept the log-in any more".to_owned(),
                Err(LoginRefusal::Login(why)) => why,
                Err(other) => return LoginVerdict::Refused(other),
            },
        };
        self.note(challenge).await;
        LoginVerdict::Refused(LoginRefusal::Login(why))
    }

    async fn insufficient(&self, challenge: Challenge) -> LoginVerdict {
        let granted = match self.kept() {
            Ok(kept) => kept.map(|kept| kept.scopes).unwrap_or_default(),
            Err(refused) => return LoginVerdict::Refused(refused),
        };
        // One that has what is asked for, and is refused all the same, is not helped by another one of the same kind.
        if challenge.scopes.as_ref().is_some_and(|scopes| scopes.iter().all(|scope| granted.contains(scope)))
        {
            return LoginVerdict::Refused(LoginRefusal::Scope);
        }
        self.note(challenge).await;
        LoginVerdict::Refused(LoginRefusal::Login("it wants more than the log-in is good for".into()))
    }

    /// Notes what the server wants, for whoever logs in.
    async fn note(&self, challenge: Challenge) {
        let Challenge { resource_metadata, scopes, .. } = challenge;
        let resource_metadata = resource_metadata.filter(|url| url.len() <= ADDRESS_MAX_BYTES);
        let at_s = self.logins.now_s();
        let wanted = LoginChallenge { url: self.dial.server.to_string(), resource_metadata, scopes, at_s };
        let (logins, server) = (self.logins.clone(), self.server.clone());
        let noted = tokio::task::spawn_blocking(move || logins.note(&server, wanted)).await;
        if let Ok(Err(error)) = noted {
            tracing::warn!(server = self.server, %error, "what a server wants for a log-in was not noted");
        }
    }

    /// The log-in for exactly this address.
    fn kept(&self) -> Result<Option<Kept>, LoginRefusal> {
        let kept = self.logins.of(&self.server);
        let kept =
            kept.map_err(|error| LoginRefusal::Unavailable(format!("the log-in cannot be read: {error}")))?;
        Ok(kept.filter(|kept| kept.url == self.dial.server.as_str()))
    }

    /// A new token in the place of this one; nothing where it cannot be renewed. A task of its own: whoever gives up
    /// waiting must not leave a new refresh token behind that nobody has kept.
    async fn renewed(self: &Arc<Self>, old: &Secret) -> Result<Option<Arc<Secret>>, LoginRefusal> {
        let (session, old) = (Arc::clone(self), Secret::new(old.expose().to_owned()));
        let renewing = tokio::spawn(async move { session.renew(&old).await });
        renewing.await.unwrap_or_else(|error| Err(LoginRefusal::Unavailable(error.to_string())))
    }

    async fn renew(&self, old: &Secret) -> Result<Option<Arc<Secret>>, LoginRefusal> {
        let unavailable =
            |error: LoginError| LoginRefusal::Unavailable(format!("its log-in cannot be renewed: {error}"));
        let _held = self.logins.hold(&self.server).await.map_err(unavailable)?;
        let Some(kept) = self.kept()? else { return Ok(None) };
        let Some(access) = usable(&kept)? else { return Ok(None) };
        let now = self.logins.now_s();
        let is_over = kept.expires_at_s.is_some_and(|end| end <= now.saturating_add(early_s(&kept)));
        if access.expose() != old.expose() && !is_over {
            // Somebody else was faster.
            return Ok(Some(self.remember(access)));
        }
        if !kept.renews() {
            return Ok(None);
        }
        match self.ask(&kept).await {
            Ok(Tokens { access, refresh, scopes, expires_in_s }) => {
                let now = self.logins.now_s();
                let token = self.remember(&access);
                let kept = Kept {
                    access: Some(access),
                    refresh: refresh.or(kept.refresh),
                    scopes: scopes.unwrap_or(kept.scopes),
                    expires_at_s: expires_in_s.map(|seconds| now.saturating_add(seconds)),
                    obtained_at_s: now,
                    ..kept
                };
                self.keep(kept).await.map_err(unavailable)?;
                Ok(Some(token))
            }
            Err(LoginError::Refused { said, is_final: true, .. }) => {
                let why = format!("it was not renewed: {said}");
                let ended = Kept { access: None, refresh: None, ended: Some(why), ..kept };
                self.keep(ended).await.map_err(unavailable)?;
                Err(over())
            }
            Err(error) => Err(unavailable(error)),
        }
    }

    async fn keep(&self, kept: Kept) -> Result<(), LoginError> {
        let logins = self.logins.clone();
        let keeping = tokio::task::spawn_blocking(move || logins.keep(&kept));
        keeping.await.unwrap_or(Err(LoginError::NoStore))
    }

    /// Asks where the log-in came from, and nowhere else.
    async fn ask(&self, kept: &Kept) -> Result<Tokens, LoginError> {
        let endpoint = parse_url(&kept.token_endpoint)
            .map_err(|source| LoginError::Egress { what: "the token endpoint", source })?;
        let mut secrets = self.vault.begin();
        let secret = match &kept.secret_at()? {
            Some(at) => Some(secrets.resolve(at).await?),
            None => kept.client_secret.as_ref(),
        };
        let asker = Asker { id: &kept.client_id, auth: kept.client_auth, secret };
        let scope = kept.scopes.join(" ");
        let resource = ("resource", kept.resource.as_str());
        let fields = match (&kept.refresh, kept.grant) {
            (Some(refresh), _) => {
                vec![("grant_type", "refresh_token"), ("refresh_token", refresh.expose()), resource]
            }
            (None, grant @ (GrantKind::ClientCredentials | GrantKind::AuthorizationCode)) => {
                let mut fields = vec![("grant_type", grant.name()), resource];
                fields.extend(Some(("scope", scope.as_str())).filter(|(_, scope)| !scope.is_empty()));
                fields
            }
        };
        tokens(&self.dial, &endpoint, &asker, &fields).await
    }

    /// A token that goes to the server, so that it is scrubbed from what comes back.
    fn remember(&self, token: &Secret) -> Arc<Secret> {
        let token = Arc::new(Secret::new(token.expose().to_owned()));
        self.known.add(&SecretRef::Login(self.server.clone()), &token);
        token
    }
}

fn early_s(kept: &Kept) -> u64 {
    let life = kept.expires_at_s.map_or(u64::MAX, |end| end.saturating_sub(kept.obtained_at_s));
    EARLY_S.min(life / 2)
}

fn over() -> LoginRefusal {
    LoginRefusal::Login("the log-in has ended".into())
}

/// The token, if the log-in has not ended.
fn usable(kept: &Kept) -> Result<Option<&Secret>, LoginRefusal> {
    match (&kept.ended, &kept.access) {
        (Some(_), _) => Err(over()),
        (None, access) => Ok(access.as_ref()),
    }
}
