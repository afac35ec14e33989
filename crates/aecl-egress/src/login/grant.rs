//! Asking for tokens: the token endpoint, and giving them back.

use base64::Engine as _;
use reqwest::RequestBuilder;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use serde::Deserialize;
use serde_json::Value;
use url::Url;
use zeroize::Zeroizing;

use super::dial::{Answer, Dial};
use super::metadata::scopes_of;
use super::spec::ClientAuth;
use super::{LoginError, host_of, quotable};
use crate::vault::Secret;

const TOKEN: &str = "the token endpoint";
const REVOCATION: &str = "the revocation endpoint";
/// Where clients are registered, in messages.
pub(super) const REGISTRATION: &str = "the registration of clients";
/// The longest token.
const TOKEN_MAX_BYTES: usize = 16 * 1024;
/// The longest life that is believed, in seconds: ten years.
const LIFE_MAX_S: u64 = 315_360_000;

/// What came of it.
#[derive(Debug)]
pub(super) struct Tokens {
    pub access: Secret,
    pub refresh: Option<Secret>,
    pub scopes: Option<Vec<String>>,
    pub expires_in_s: Option<u64>,
}

/// Who asks.
pub(super) struct Asker<'a> {
    pub id: &'a str,
    pub auth: ClientAuth,
    pub secret: Option<&'a Secret>,
}

#[derive(Deserialize)]
struct TokenAnswer {
    #[serde(default)]
    access_token: Option<String>,
    #[serde(default)]
    token_type: Option<String>,
    #[serde(default)]
    expires_in: Option<Value>,
    #[serde(default)]
    refresh_token: Option<String>,
    #[serde(default)]
    scope: Option<String>,
    #[serde(default)]
    error: Option<String>,
}

#[derive(Deserialize)]
struct ErrorAnswer {
    error: String,
    #[serde(default)]
    error_description: Option<String>,
}

/// A form, in what is wiped.
pub(super) fn form(fields: &[(&str, &str)]) -> Zeroizing<String> {
    let long: usize = fields.iter().map(|(name, value)| 3 * (name.len() + value.len()) + 2).sum();
    let mut text = Zeroizing::new(String::with_capacity(long));
    for (name, value) in fields {
        if !text.is_empty() {
            text.push('&');
        }
        text.extend(url::form_urlencoded::byte_serialize(name.as_bytes()));
        text.push('=');
        text.extend(url::form_urlencoded::byte_serialize(value.as_bytes()));
    }
    text
}

/// Asks for tokens with what these fields show.
pub(super) async fn tokens(
    dial: &Dial,
    endpoint: &Url,
    asker: &Asker<'_>,
    fields: &[(&str, &str)],
) -> Result<Tokens, LoginError> {
    let answer = ask(dial, TOKEN, endpoint, asker, fields).await?;
    let garbage =
        |why: &str| LoginError::Garbage { what: TOKEN, host: host_of(endpoint), why: why.to_owned() };
    if !answer.status.is_success() {
        return Err(refused(TOKEN, endpoint, &answer));
    }
    let said: TokenAnswer =
        answer.read().ok_or_else(|| garbage("answers with something that is no token"))?;
    // Some say no with a good status.
    if said.error.is_some() {
        return Err(refused(TOKEN, endpoint, &answer));
    }
    let access = said.access_token.map(Secret::new).ok_or_else(|| garbage("answers without a token"))?;
    if !is_token(access.expose()) {
        return Err(garbage("gives a token of odd characters, or of more than 16 KiB"));
    }
    if !said.token_type.is_some_and(|kind| kind.eq_ignore_ascii_case("bearer")) {
        return Err(garbage("gives a token of another kind than `Bearer`"));
    }
    let refresh = said.refresh_token.filter(|text| !text.is_empty()).map(Secret::new);
    if refresh.as_ref().is_some_and(|refresh| !is_token(refresh.expose())) {
        return Err(garbage("gives a refresh token of odd characters, or of more than 16 KiB"));
    }
    let seconds = |value: Value| match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    let expires_in_s = match said.expires_in {
        None | Some(Value::Null) => None,
        Some(value) => {
            Some(seconds(value).ok_or_else(|| garbage("gives a token without a life that can be read"))?)
        }
    };
    let expires_in_s = expires_in_s.map(|seconds| seconds.min(LIFE_MAX_S));
    Ok(Tokens { access, refresh, scopes: said.scope.as_deref().and_then(scopes_of), expires_in_s })
}

fn is_token(text: &str) -> bool {
    (1..=TOKEN_MAX_BYTES).contains(&text.len()) && text.bytes().all(|byte| (0x21..=0x7e).contains(&byte))
}

/// Gives a token back (RFC 7009).
pub(super) async fn give_back(
    dial: &Dial,
    endpoint: &Url,
    asker: &Asker<'_>,
    token: &Secret,
    kind: &str,
) -> Result<(), LoginError> {
    let fields = [("token", token.expose()), ("token_type_hint", kind)];
    let answer = ask(dial, REVOCATION, endpoint, asker, &fields).await?;
    if answer.status.is_success() { Ok(()) } else { Err(refused(REVOCATION, endpoint, &answer)) }
}

/// Sends the fields, and says who asks.
async fn ask(
    dial: &Dial,
    what: &'static str,
    endpoint: &Url,
    asker: &Asker<'_>,
    fields: &[(&str, &str)],
) -> Result<Answer, LoginError> {
    let mut fields = fields.to_vec();
    let secret = asker.secret.map(Secret::expose).unwrap_or_default();
    let mut header = None;
    // Beside the header, too: there are servers that look the client up by it first.
    fields.push(("client_id", asker.id));
    match asker.auth {
        ClientAuth::None => {}
        ClientAuth::ClientSecretPost => fields.push(("client_secret", secret)),
        ClientAuth::ClientSecretBasic => header = Some(basic(asker.id, secret)),
    }
    let with = |request: RequestBuilder| match header {
        Some(header) => request.header(AUTHORIZATION, header),
        None => request,
    };
    dial.post(what, endpoint, &form(&fields), with).await
}

/// Id and secret as a header: each encoded as in a form, then together in base64 (RFC 6749, 2.3.1).
fn basic(id: &str, secret: &str) -> HeaderValue {
    let encoded = |text: &str| {
        Zeroizing::new(url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>())
    };
    let pair = Zeroizing::new(format!("{}:{}", *encoded(id), *encoded(secret)));
    let text = Zeroizing::new(format!(
        "Basic {}",
        base64::engine::general_purpose::STANDARD.encode(pair.as_bytes())
    ));
    let mut value = HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static("Basic"));
    value.set_sensitive(true);
    value
}

/// A no, with its code. Words only where no secret was sent that they could repeat.
pub(super) fn refused(what: &'static str, endpoint: &Url, answer: &Answer) -> LoginError {
    let host = host_of(endpoint);
    let status = answer.status.as_u16();
    let Some(said) = answer.read::<ErrorAnswer>().filter(|said| is_code(&said.error)) else {
        let why = format!("answers with status {status} and nothing that can be read");
        return LoginError::Garbage { what, host, why };
    };
    let is_final = matches!(
        said.error.as_str(),
        "invalid_grant"
            | "invalid_client"
            | "unauthorized_client"
            | "invalid_scope"
            | "invalid_target"
            | "access_denied"
            | "unsupported_grant_type"
    );
    let words = said.error_description.filter(|words| what == REGISTRATION && !words.is_empty());
    let words = words.map_or(String::new(), |words| format!(" («{}»)", quotable(&words)));
    let said = format!("`{}`{words}, status {status}", said.error);
    LoginError::Refused { what, host, said, is_final }
}

/// Whether it is a code as the standards have them, and no text.
pub(super) fn is_code(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_form_and_a_header_keep_what_is_special() {
        assert_eq!(*form(&[("a", "b c&d=e"), ("f", "ü")]), "a=b+c%26d%3De&f=%C3%BC");
        let value = basic("my id", "a:b");
        assert_eq!(value.to_str().unwrap(), "Basic bXkraWQ6YSUzQWI=");
        assert!(value.is_sensitive());
    }
}
