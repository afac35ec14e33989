//! Who gives tokens for a server, and how: the server's metadata (RFC 9728) and the authorization server's (RFC 8414,
//! or OpenID discovery), in the order that the MCP specification gives.

use serde::Deserialize;
use url::Url;

use super::dial::Dial;
use super::spec::{ClientAuth, GrantKind, OauthSpec, is_scope};
use super::{LoginError, host_of, is_safe, quotable};

const RESOURCE: &str = "the server's metadata";
const ISSUER: &str = "the authorization server's metadata";
const RESOURCE_WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";
const OAUTH_WELL_KNOWN: &str = "/.well-known/oauth-authorization-server";
const OPENID_WELL_KNOWN: &str = "/.well-known/openid-configuration";
/// The most scopes that are asked for at once.
const SCOPES_MAX: usize = 64;

/// What was found out.
#[derive(Debug)]
pub(super) struct Found {
    /// The server's name for itself, exactly as it is published; it goes into every request for a token.
    pub resource: String,
    /// What the server knows to ask for.
    pub scopes: Option<Vec<String>>,
    /// Who gives tokens.
    pub issuer: Issuer,
}

/// An authorization server.
#[derive(Debug)]
pub(super) struct Issuer {
    pub name: String,
    pub authorization: Option<Url>,
    pub token: Url,
    pub registration: Option<Url>,
    pub revocation: Option<Url>,
    pub scopes: Vec<String>,
    /// Absent when it does not say.
    pub client_auth: Option<Vec<ClientAuth>>,
    /// Whether it says in its answers who it is (RFC 9207).
    pub says_iss: bool,
    /// Whether a client's id may be the address of its metadata.
    pub reads_client_metadata: bool,
}

#[derive(Deserialize)]
struct ResourceDocument {
    resource: String,
    #[serde(default)]
    authorization_servers: Vec<String>,
    #[serde(default)]
    scopes_supported: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct IssuerDocument {
    issuer: String,
    #[serde(default)]
    authorization_endpoint: Option<String>,
    token_endpoint: String,
    #[serde(default)]
    registration_endpoint: Option<String>,
    #[serde(default)]
    revocation_endpoint: Option<String>,
    #[serde(default)]
    scopes_supported: Vec<String>,
    #[serde(default)]
    code_challenge_methods_supported: Vec<String>,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
    #[serde(default)]
    client_id_metadata_document_supported: bool,
}

/// The scopes of a text; nothing when one of them is none, or there are too many.
pub(super) fn scopes_of(text: &str) -> Option<Vec<String>> {
    let scopes: Vec<String> = text.split(' ').filter(|part| !part.is_empty()).map(str::to_owned).collect();
    let fits = !scopes.is_empty() && scopes.len() <= SCOPES_MAX && scopes.iter().all(|scope| is_scope(scope));
    fits.then_some(scopes)
}

/// Finds out who gives tokens. `named` is where the server said that its metadata are.
pub(super) async fn discover(
    dial: &Dial,
    spec: &OauthSpec,
    named: Option<&str>,
) -> Result<Found, LoginError> {
    let mut asked = Vec::new();
    let document = match named {
        Some(named) => Some(named_resource(dial, named).await?),
        None => guessed_resource(dial, &mut asked).await?,
    };
    let (resource, listed, scopes) = match document {
        Some(document) => {
            if !covers(&document.resource, &dial.server) {
                return Err(LoginError::Mismatch(format!(
                    "`{}` has metadata of another place, `{}`; a token for that is not asked for",
                    dial.server,
                    quotable(&document.resource)
                )));
            }
            let scopes = document.scopes_supported.and_then(|scopes| scopes_of(&scopes.join(" ")));
            (document.resource, document.authorization_servers, scopes)
        }
        None => (dial.server.to_string(), Vec::new(), None),
    };
    let name = chosen(dial, spec, &listed)?;
    // The revision of 2025-03-26 has no metadata of servers: there each is its own authorization server.
    let is_own = listed.is_empty() && spec.issuer.is_none();
    let issuer = match issuer(dial, spec, &name, is_own, &mut asked).await? {
        Some(issuer) => issuer,
        None if is_own && spec.assume_endpoints => assumed(&name)?,
        None => {
            let asked = asked.join(", ");
            return Err(LoginError::NoMetadata { server: dial.server.to_string(), asked });
        }
    };
    Ok(Found { resource, scopes, issuer })
}

/// The document at the address that the server named; it must be the server's own.
async fn named_resource(dial: &Dial, named: &str) -> Result<ResourceDocument, LoginError> {
    let url = Url::parse(named).ok().filter(|url| url.origin() == dial.server.origin());
    let url = url.ok_or_else(|| {
        LoginError::Mismatch(format!(
            "`{}` names `{}` as the place of its metadata, which is not on it; that is not asked",
            dial.server,
            quotable(named)
        ))
    })?;
    let answer = dial.get(RESOURCE, &url).await?;
    let garbage =
        |why: &str| LoginError::Garbage { what: RESOURCE, host: host_of(&url), why: why.to_owned() };
    if !answer.status.is_success() {
        return Err(garbage(&format!("answers with status {}", answer.status.as_u16())));
    }
    answer.read().ok_or_else(|| garbage("answers with something that is no such document"))
}

/// The document at one of the two well-known places.
async fn guessed_resource(
    dial: &Dial,
    asked: &mut Vec<String>,
) -> Result<Option<ResourceDocument>, LoginError> {
    let path = dial.server.path().trim_end_matches('/');
    let below = format!("{RESOURCE_WELL_KNOWN}{path}");
    let places = [below.as_str(), RESOURCE_WELL_KNOWN];
    let places = if path.is_empty() { places.get(1..).unwrap_or_default() } else { &places };
    for place in places {
        if let Some(document) = guess(dial, RESOURCE, &dial.server, place, asked).await? {
            return Ok(Some(document));
        }
    }
    Ok(None)
}

/// A document at a well-known place, if there is one. Whatever else answers there, a page or a redirect, is none.
async fn guess<T: for<'a> Deserialize<'a>>(
    dial: &Dial,
    what: &'static str,
    at: &Url,
    place: &str,
    asked: &mut Vec<String>,
) -> Result<Option<T>, LoginError> {
    let mut url = at.clone();
    url.set_query(None);
    url.set_fragment(None);
    url.set_path(place);
    let answer = dial.get(what, &url).await?;
    let document = if answer.status.is_success() { answer.read() } else { None };
    if document.is_none() {
        let answered =
            if answer.status.is_success() { "no such document".into() } else { answer.status.to_string() };
        asked.push(format!("{} ({answered})", quotable(url.as_str())));
    }
    Ok(document)
}

/// Whether a server's name for itself is that of this address: the same host and port, and its path or one above it.
fn covers(resource: &str, server: &Url) -> bool {
    let Ok(named) = Url::parse(resource) else { return false };
    let plain = named.username().is_empty() && named.password().is_none() && named.fragment().is_none();
    let (above, below) = (named.path().trim_end_matches('/'), server.path().trim_end_matches('/'));
    let is_above = below.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let same_query = named.query().is_none() || named.query() == server.query();
    plain && named.origin() == server.origin() && is_above && same_query
}

/// The authorization server that is asked.
fn chosen(dial: &Dial, spec: &OauthSpec, listed: &[String]) -> Result<String, LoginError> {
    let same = |a: &str, b: &str| a.trim_end_matches('/') == b.trim_end_matches('/');
    match (&spec.issuer, listed) {
        (Some(wanted), []) => Ok(wanted.clone()),
        (Some(wanted), listed) => listed.iter().find(|it| same(it, wanted)).cloned().ok_or_else(|| {
            LoginError::Mismatch(format!(
                "`{}` names `{}` as its authorization server, and `oauth.issuer` is `{wanted}`; nobody is asked",
                dial.server,
                quotable(&listed.join("`, `"))
            ))
        }),
        (None, [first, ..]) => Ok(first.clone()),
        (None, []) => Ok(dial.server.origin().ascii_serialization()),
    }
}

async fn issuer(
    dial: &Dial,
    spec: &OauthSpec,
    name: &str,
    is_own: bool,
    asked: &mut Vec<String>,
) -> Result<Option<Issuer>, LoginError> {
    let odd = || LoginError::Mismatch(format!("`{}` is no name of an authorization server", quotable(name)));
    let url = Url::parse(name).map_err(|_| odd())?;
    let has_user = !url.username().is_empty() || url.password().is_some();
    if url.query().is_some() || url.fragment().is_some() || has_user {
        return Err(odd());
    }
    let path = url.path().trim_end_matches('/');
    let places = if path.is_empty() {
        vec![OAUTH_WELL_KNOWN.to_owned(), OPENID_WELL_KNOWN.to_owned()]
    } else {
        let before = [OAUTH_WELL_KNOWN, OPENID_WELL_KNOWN].map(|known| format!("{known}{path}"));
        [&before[..], &[format!("{path}{OPENID_WELL_KNOWN}")]].concat()
    };
    for place in places {
        let document: Option<IssuerDocument> = guess(dial, ISSUER, &url, &place, asked).await?;
        let Some(document) = document else { continue };
        // One that speaks for another would get codes and secrets that are meant for that one.
        let is_it = document.issuer == name || (is_own && document.issuer.strip_suffix('/') == Some(name));
        if !is_it {
            return Err(LoginError::Mismatch(format!(
                "the metadata of `{}` say that they are of `{}`; they are not used",
                quotable(name),
                quotable(&document.issuer)
            )));
        }
        return usable(dial, spec, document).map(Some);
    }
    Ok(None)
}

/// What a document says, as far as it can be used.
fn usable(dial: &Dial, spec: &OauthSpec, document: IssuerDocument) -> Result<Issuer, LoginError> {
    let lacks =
        |lacks: &str| LoginError::Lacks { issuer: quotable(&document.issuer), lacks: lacks.to_owned() };
    let endpoint = |what: &'static str, text: &Option<String>| {
        let read = |text: &String| {
            let odd = || lacks(&format!("has an address that cannot be used: `{}` ({what})", quotable(text)));
            let url = Url::parse(text).map_err(|_| odd())?;
            if !is_safe(&url) {
                return Err(LoginError::Plain { what, url: quotable(text) });
            }
            if url.fragment().is_some() || text.len() > 2048 {
                return Err(odd());
            }
            // The browser goes to one of them and we to the others; for all of them the same places are shut.
            dial.client(what, &url).map(|_| url)
        };
        text.as_ref().map(read).transpose()
    };
    let authorization = endpoint("the log-in page", &document.authorization_endpoint)?;
    if spec.grant == GrantKind::AuthorizationCode {
        if authorization.is_none() {
            return Err(lacks("has no log-in page (`authorization_endpoint`)"));
        }
        if !document.code_challenge_methods_supported.iter().any(|method| method == "S256") {
            return Err(lacks(
                "does not say that it checks PKCE with `S256`, without which a stolen code would be worth something",
            ));
        }
    }
    let token = endpoint("the token endpoint", &Some(document.token_endpoint.clone()))?;
    let token = token.ok_or_else(|| lacks("has no token endpoint"))?;
    let known = |names: &Vec<String>| {
        ClientAuth::ALL.into_iter().filter(|auth| names.iter().any(|name| name == auth.name())).collect()
    };
    Ok(Issuer {
        authorization,
        token,
        registration: endpoint("the registration endpoint", &document.registration_endpoint)?,
        revocation: endpoint("the revocation endpoint", &document.revocation_endpoint)?,
        scopes: document
            .scopes_supported
            .into_iter()
            .filter(|scope| is_scope(scope))
            .take(SCOPES_MAX)
            .collect(),
        client_auth: document.token_endpoint_auth_methods_supported.as_ref().map(known),
        says_iss: document.authorization_response_iss_parameter_supported,
        reads_client_metadata: document.client_id_metadata_document_supported,
        name: document.issuer,
    })
}

/// The endpoints of a server that has no metadata at all, where the operator says so.
fn assumed(name: &str) -> Result<Issuer, LoginError> {
    let odd = |_| LoginError::Mismatch(format!("`{}` is no address", quotable(name)));
    let at = |path: &str| Url::parse(name).and_then(|url| url.join(path)).map_err(odd);
    Ok(Issuer {
        name: name.to_owned(),
        authorization: Some(at("/authorize")?),
        token: at("/token")?,
        registration: Some(at("/register")?),
        revocation: None,
        scopes: Vec::new(),
        client_auth: None,
        says_iss: false,
        reads_client_metadata: false,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_server_is_covered_by_its_own_name_and_by_no_other() {
        let server: Url = "https://a.example/team/mcp".parse().unwrap();
        for own in [
            "https://a.example/team/mcp",
            "https://a.example/team/mcp/",
            "https://a.example/team",
            "https://a.example",
        ] {
            assert!(covers(own, &server), "{own}");
        }
        for other in [
            "https://a.example/team/mc",
            "https://a.example/team/mcp/more",
            "https://a.example/teams",
            "https://a.example:8443/team/mcp",
            "http://a.example/team/mcp",
            "https://b.example/team/mcp",
            "https://a.example@b.example/team/mcp",
            "https://u@a.example/team/mcp",
            "https://a.example/team/mcp#x",
            "https://a.example/team/mcp?x",
            "mcp",
            "",
        ] {
            assert!(!covers(other, &server), "{other}");
        }
    }

    #[test]
    fn scopes_are_words_without_quotes() {
        assert_eq!(scopes_of(" a  b:c/d ").unwrap(), ["a", "b:c/d"]);
        for odd in ["", " ", "a\"b", "a\\b", "ä", "a\nb", &"x".repeat(257), &"x ".repeat(65)] {
            assert_eq!(scopes_of(odd), None, "{odd}");
        }
    }
}
