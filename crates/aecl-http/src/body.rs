//! Bodies: read once, within limits, through the same strict JSON gate as arguments.

use super::App;
use super::problem::Problem;
use aecl_kernel::base::code;
use aecl_kernel::base::json::{Document, JsonError, Limits};
use aecl_mcp::serving::load::{Load, NoBody, receive};
use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{StatusCode, header};
use serde::de::DeserializeOwned;
use std::time::Duration;

/// A JSON body that was read strictly: no duplicate keys, no unknown fields, no number that changes.
#[derive(Debug)]
pub struct Strict<T>(pub T);

/// A JSON body, unread.
#[derive(Debug)]
pub struct Raw(pub Bytes);

impl FromRequest<App> for Raw {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let said = request.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("");
        let essence = said.split(';').next().unwrap_or("").trim();
        if !essence.eq_ignore_ascii_case("application/json") {
            let shown: String = said.chars().take(60).collect();
            let detail = format!("the body is `{shown}`; it must be `application/json`");
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, code::REQUEST_INVALID, detail));
        }
        Ok(Raw(read(request, app, app.gate.config().limits.request_bytes_max).await?))
    }
}

impl From<NoBody> for Problem {
    fn from(none: NoBody) -> Self {
        let why = none.why();
        match none {
            NoBody::TooLong(_) => Problem::of(code::JSON_TOO_LARGE, why),
            NoBody::Broken => Problem::of(code::REQUEST_INVALID, why),
            NoBody::Late => Problem::new(StatusCode::REQUEST_TIMEOUT, code::REQUEST_INVALID, why),
            NoBody::Full(_) => Problem::of(code::OVERLOADED, why).hint("try again in a second"),
        }
    }
}

/// Reads a body of at most `limit` bytes, while it comes in time.
pub async fn read(request: Request, app: &App, limit: usize) -> Result<Bytes, Problem> {
    let patience = Duration::from_millis(app.gate.config().limits.receive_ms_max);
    let load = request.extensions().get::<Load>().cloned();
    let load = load.unwrap_or_else(|| Load::new(app.bodies.share("")));
    Ok(receive(request.into_body(), &load, limit, patience).await?)
}

impl<T: DeserializeOwned> FromRequest<App> for Strict<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let Raw(bytes) = Raw::from_request(request, app).await?;
        // Nothing to say is `{}`.
        let bytes = if bytes.is_empty() { Bytes::from_static(b"{}") } else { bytes };
        let document = Document::parse(&bytes, &limits(bytes.len())).map_err(bad_json)?;
        serde_json::from_slice(document.canonical()).map(Strict).map_err(misread)
    }
}

/// The limits of a body that passed the limit on its length.
pub fn limits(bytes: usize) -> Limits {
    Limits { bytes_max: bytes, ..Limits::default() }
}

/// The problem that a strict reading found.
pub fn bad_json(error: JsonError) -> Problem {
    Problem::of(error.code, format!("the body is no acceptable JSON: {error}"))
}

/// The problem that a reading as one of our types found. It names the place, and little of the content.
pub fn misread(error: serde_json::Error) -> Problem {
    let text: String = error.to_string().chars().take(300).collect();
    // The position is one in our canonical form, which the caller never saw.
    let text = text.rsplit_once(" at line ").map_or(text.clone(), |(text, _)| text.to_owned());
    Problem::of(code::REQUEST_INVALID, format!("the body is not understood: {text}"))
}
