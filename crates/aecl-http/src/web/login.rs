//! Logging in: a person's key is exchanged for a cookie that holds a random number. The key is neither kept
//! nor sent again.

use super::html::Html;
use super::page::{Visitor, page as whole, refused};
use crate::App;
use crate::body;
use crate::live::StreamReader;
use crate::problem::Problem;
use aecl_gate::config::Person;
use aecl_gate::identity::hash_key;
use aecl_gate::{Gate, Identity};
use aecl_kernel::base::code;
use aecl_kernel::base::digest::Digest;
use aecl_kernel::base::time::Timestamp;
use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequestParts, Query, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use subtle::ConstantTimeEq as _;
use tokio_util::sync::CancellationToken;

/// The cookie. Over TLS its name makes browsers take it from this host alone.
const COOKIE: &str = "aecl_login";
const SECURE_COOKIE: &str = "__Host-aecl_login";
/// How long a login lasts, in seconds.
const LOGIN_S: u64 = 8 * 3600;
/// Most logins at once. The oldest ends when there is one more.
const LOGINS_MAX: usize = 1000;
/// Before each key that is typed: password managers keep it under a name, and browsers miss one.
pub const USERNAME: &str = "<input class=\"gone\" name=\"username\" autocomplete=\"username\" value=\"aecl\" tabindex=\"-1\" aria-hidden=\"true\">";
/// Longest form, in bytes.
const FORM_BYTES_MAX: usize = 64 * 1024;

/// Sessions of browsers, by the hash of what their cookie holds. Kept in memory: a restart logs everybody out.
#[derive(Debug, Clone, Default)]
pub struct Logins(Arc<Mutex<HashMap<Digest, Login>>>);

#[derive(Debug, Clone)]
struct Login {
    /// The hash of the person's key: if the key goes, the login goes.
    key: Digest,
    csrf: String,
    expires_at: Timestamp,
    /// Fires when it ends before that.
    left: CancellationToken,
}

impl Login {
    /// Whose it is, while they are there.
    fn person(&self, gate: &Gate) -> Option<Person> {
        gate.config().people.iter().find(|person| person.key == self.key).cloned()
    }
}

/// Somebody who is not logged in, and where they wanted to go.
#[derive(Debug)]
pub struct Stranger {
    to: String,
    /// They came to look, and sent nothing that would be lost.
    looks: bool,
}

impl IntoResponse for Stranger {
    fn into_response(self) -> Response {
        if self.looks {
            // Everybody's first visit, and no mistake of theirs.
            return Redirect::to(&format!("/login?next={}", next(&self.to))).into_response();
        }
        form(&self.to, "Nobody is logged in any more, so this was not taken.", StatusCode::UNAUTHORIZED)
    }
}

fn random() -> Result<String, Problem> {
    let mut bytes = [0u8; 32];
    getrandom::fill(&mut bytes).map_err(|e| Problem::of(code::INTERNAL, format!("no random bytes: {e}")))?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

impl Logins {
    fn with<T>(&self, then: impl FnOnce(&mut HashMap<Digest, Login>) -> T) -> T {
        then(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn add(&self, id: &str, login: Login, now: Timestamp) {
        self.with(|logins| {
            logins.retain(|_, l| l.expires_at > now);
            if logins.len() >= LOGINS_MAX {
                let oldest = logins.iter().min_by_key(|(_, l)| l.expires_at).map(|(id, _)| *id);
                end(oldest.and_then(|id| logins.remove(&id)));
            }
            logins.insert(Digest::of(id.as_bytes()), login);
        });
    }

    fn find(&self, id: &str, now: Timestamp) -> Option<Login> {
        self.with(|logins| logins.get(&Digest::of(id.as_bytes())).filter(|l| l.expires_at > now).cloned())
    }

    fn remove(&self, id: &str) {
        end(self.with(|logins| logins.remove(&Digest::of(id.as_bytes()))));
    }
}

fn end(login: Option<Login>) {
    if let Some(login) = login {
        login.left.cancel();
    }
}

fn is_secure(app: &App) -> bool {
    app.gate.config().url().starts_with("https://")
}

fn cookie<'a>(headers: &'a HeaderMap, app: &App) -> Option<&'a str> {
    let wanted = if is_secure(app) { SECURE_COOKIE } else { COOKIE };
    let pairs = headers.get_all(header::COOKIE).iter().filter_map(|v| v.to_str().ok());
    let mut pairs = pairs.flat_map(|v| v.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == wanted).map(|(_, value)| value)
}

/// Who is logged in, for the account that their requests go on.
pub fn visitor(headers: &HeaderMap, app: &App) -> Option<String> {
    let login = app.logins.find(cookie(headers, app)?, app.gate.now())?;
    login.person(&app.gate).map(|person| person.id.to_string())
}

/// Whoever is logged in, as the reader of a stream that ends with the login.
pub fn reader(headers: &HeaderMap, app: &App) -> Option<StreamReader> {
    let (gate, now) = (app.gate.clone(), app.gate.now());
    let login = app.logins.find(cookie(headers, app)?, now)?;
    let lasts = Duration::from_millis(login.expires_at.since_ms(now));
    let left = login.left.clone();
    let who = move || login.person(&gate).map(|Person { id, groups, .. }| Identity::Person { id, groups });
    Some(StreamReader { now: Box::new(who), left, lasts })
}

impl FromRequestParts<App> for Visitor {
    type Rejection = Stranger;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Stranger> {
        let login = cookie(&parts.headers, app).and_then(|id| app.logins.find(id, app.gate.now()));
        let found = login.and_then(|login| Some((login.person(&app.gate)?, login)));
        match found {
            Some((person, login)) => Ok(Visitor {
                identity: Identity::Person { id: person.id.clone(), groups: person.groups },
                person: person.id,
                csrf: login.csrf,
            }),
            None => Err(Stranger {
                to: parts.uri.path().to_owned(),
                looks: matches!(parts.method, Method::GET | Method::HEAD),
            }),
        }
    }
}

impl Visitor {
    /// Whether this is the key of who is logged in. A cookie can be taken away without its owner knowing; a key is
    /// only ever typed.
    pub fn holds(&self, app: &App, key: &str) -> Result<(), Problem> {
        match app.gate.identify(key.trim()) {
            Ok(Identity::Person { id, .. }) if id == self.person => Ok(()),
            Ok(_) | Err(_) => {
                let why = "a yes to this needs your key once more, and this is not it; it still waits";
                Err(Problem::of(code::CONFIRMATION_WANTED, why))
            }
        }
    }

    /// Whether a form was made for this login.
    pub fn sent(&self, fields: &BTreeMap<String, String>) -> Result<(), Problem> {
        let token = fields.get("csrf").map_or("", String::as_str);
        if bool::from(token.as_bytes().ct_eq(self.csrf.as_bytes())) {
            return Ok(());
        }
        Err(Problem::of(code::FORBIDDEN, "this form was not made for your login; load the page again"))
    }
}

/// The fields of a form.
pub async fn fields(request: Request, app: &App) -> Result<BTreeMap<String, String>, Problem> {
    let bytes = body::read(request, app, FORM_BYTES_MAX).await?;
    Ok(url::form_urlencoded::parse(&bytes).into_owned().collect())
}

/// Address to go to after logging in.
#[derive(Debug, Deserialize)]
pub struct Next {
    #[serde(default)]
    next: String,
}

/// Only pages of ours, written plainly.
fn next(path: &str) -> &str {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'_' | b'-');
    let ours = path == "/approvals" || path.starts_with("/approvals/");
    if ours && path.len() <= 200 && path.bytes().all(plain) { path } else { "/approvals" }
}

/// The page to log in on.
pub async fn page(query: Result<Query<Next>, QueryRejection>) -> Response {
    let to = query.map_or(String::new(), |Query(n)| n.next);
    form(&to, "", StatusCode::OK)
}

fn form(to: &str, why: &'static str, status: StatusCode) -> Response {
    let to = next(to);
    let body = Html::new()
        .raw("<h1>Who are you?</h1>")
        .when(!why.is_empty(), |h| h.raw("<p class=\"bad\" role=\"alert\">").raw(why).raw("</p>"))
        .raw("<form method=\"post\" action=\"/login\" class=\"card\"><input type=\"hidden\" name=\"next\" value=\"")
        .attribute(to)
        .raw("\">")
        .raw(USERNAME)
        .raw("<label for=\"key\">Your key</label><input id=\"key\" name=\"key\" type=\"password\" autocomplete=\"current-password\" spellcheck=\"false\" required autofocus>")
        .raw("<p class=\"quiet\">It begins with <code>aecl_p_</code>. <code>aecl init</code> wrote the first one to <code>keys/operator.key</code>; <code>aecl keys add</code> makes more.</p>")
        .raw("<div class=\"buttons\"><button class=\"yes\">Log in</button></div></form>");
    (status, whole("Log in", None, body)).into_response()
}

/// Takes the key, gives the cookie.
pub async fn enter(State(app): State<App>, request: Request) -> Response {
    let fields = match fields(request, &app).await {
        Ok(fields) => fields,
        Err(problem) => return refused(None, &problem),
    };
    let to = next(fields.get("next").map_or("", String::as_str)).to_owned();
    let key = fields.get("key").map_or("", |k| k.trim());
    let wrong = |why| {
        let mut response = form(&to, why, StatusCode::UNAUTHORIZED);
        response.extensions_mut().insert(code::TOKEN_INVALID);
        response
    };
    match app.gate.identify(key) {
        Ok(Identity::Person { .. }) => {}
        Ok(Identity::Orchestrator { .. } | Identity::Local) => {
            return wrong("This is the key of a program. Approvals are answered by people.");
        }
        Err(_) => return wrong("Nobody has this key."),
    }
    let (id, csrf) = match (random(), random()) {
        (Ok(id), Ok(csrf)) => (id, csrf),
        (Err(problem), _) | (_, Err(problem)) => return refused(None, &problem),
    };
    let now = app.gate.now();
    let (expires_at, left) = (now.plus_s(LOGIN_S), CancellationToken::new());
    app.logins.add(&id, Login { key: hash_key(key), csrf, expires_at, left }, now);
    let mut response = Redirect::to(&to).into_response();
    set(&mut response, &app, &id, LOGIN_S);
    response
}

/// Ends a login.
pub async fn leave(State(app): State<App>, visitor: Visitor, request: Request) -> Response {
    let id = cookie(request.headers(), &app).unwrap_or_default().to_owned();
    let sent = match fields(request, &app).await {
        Ok(fields) => visitor.sent(&fields),
        Err(problem) => Err(problem),
    };
    if let Err(problem) = sent {
        return refused(Some(&visitor), &problem);
    }
    app.logins.remove(&id);
    let mut response = Redirect::to("/login").into_response();
    set(&mut response, &app, "", 0);
    response
}

fn set(response: &mut Response, app: &App, id: &str, age_s: u64) {
    let (name, secure) = if is_secure(app) { (SECURE_COOKIE, "; Secure") } else { (COOKIE, "") };
    // Lax, so that a link in a mail or a chat leads to the card. A form of another site still brings no cookie.
    let text = format!("{name}={id}; Path=/; Max-Age={age_s}; HttpOnly; SameSite=Lax{secure}");
    if let Ok(value) = HeaderValue::from_str(&text) {
        response.headers_mut().insert(header::SET_COOKIE, value);
    }
}

#[cfg(test)]
mod tests {
    use super::next;

    #[test]
    fn a_login_leads_only_to_our_own_pages() {
        assert_eq!(next("/approvals/apr_1"), "/approvals/apr_1");
        for path in [
            "",
            "//evil.example",
            "https://evil.example",
            "/approvals/../login",
            "/approvalsX",
            "/approvals/\\evil",
            "/approvals/a?b=c",
        ] {
            assert_eq!(next(path), "/approvals", "{path}");
        }
    }
}
