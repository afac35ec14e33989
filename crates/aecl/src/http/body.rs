//! Bodies: read once, within limits, through the same strict JSON gate as arguments.

use super::App;
use super::problem::Problem;
use super::shares::{NoShare, Share};
use aecl_kernel::base::code;
use aecl_kernel::base::json::{Document, JsonError, Limits};
use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::{StatusCode, header};
use hyper::body::Body as _;
use serde::de::DeserializeOwned;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
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

/// What a request weighs: the bytes of its body, on the account of whoever sends it. They weigh until the request is
/// answered to its end, since so long they may lie in memory.
#[derive(Debug, Clone)]
pub struct Load(Arc<Mutex<Share>>);

impl Load {
    /// Nothing yet, of this share.
    pub fn new(share: Share) -> Self {
        Self(Arc::new(Mutex::new(share)))
    }

    fn with<T>(&self, then: impl FnOnce(&mut Share) -> T) -> T {
        then(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Why there is no body.
#[derive(Debug, PartialEq, Eq)]
pub enum NoBody {
    /// It is longer than this.
    TooLong(usize),
    /// It broke off.
    Broken,
    /// It did not come in time.
    Late,
    /// Too many bytes are underway.
    Full(NoShare),
}

impl NoBody {
    /// What is said of it.
    pub fn why(&self) -> String {
        match self {
            NoBody::TooLong(limit) => format!("the body is longer than {limit} bytes"),
            NoBody::Broken => "the body broke off".into(),
            NoBody::Late => "the body did not arrive in time".into(),
            NoBody::Full(NoShare::Own(all)) => {
                format!(
                    "your requests would have more than {all} bytes underway, as many as one caller may have"
                )
            }
            NoBody::Full(NoShare::All(all)) => {
                format!("requests would have more than {all} bytes underway, as many as are accepted")
            }
        }
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

/// Receives a body. Each piece is weighed before it is kept: what somebody only says that they will send takes nothing
/// away from the others.
pub async fn receive(mut body: Body, load: &Load, limit: usize, patience: Duration) -> Result<Bytes, NoBody> {
    let said = body.size_hint().exact().and_then(|said| usize::try_from(said).ok()).unwrap_or(0);
    if said > limit {
        return Err(NoBody::TooLong(limit));
    }
    let mut full = load.with(|share| share.could(said)).err();
    let (mut bytes, mut length) = (Vec::new(), 0_usize);
    let whole = async {
        while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            let Ok(data) = frame.map_err(|_| NoBody::Broken)?.into_data() else { continue };
            length = length.saturating_add(data.len());
            if length > limit {
                return Err(NoBody::TooLong(limit));
            }
            full = full.take().or_else(|| load.with(|share| share.take(data.len())).err());
            match &full {
                None => bytes.extend_from_slice(&data),
                // Read to its end and thrown away: whoever still writes would not read the answer. What it had is for
                // others, or of many that come at once none would get through.
                Some(_) => {
                    bytes = Vec::new();
                    load.with(Share::give_back);
                }
            }
        }
        full.take().map_or(Ok(()), |why| Err(NoBody::Full(why)))
    };
    tokio::time::timeout(patience, whole).await.unwrap_or(Err(NoBody::Late))?;
    Ok(bytes.into())
}

/// How much of a body that nobody wants is read, and for how long.
const DISCARD_BYTES_MAX: usize = 4 << 20;
const DISCARD: Duration = Duration::from_secs(10);

/// Reads a body and throws it away. Whoever still writes when the connection closes does not read the answer.
pub async fn discard(mut body: Body) {
    let mut length = 0_usize;
    let whole = async {
        while let Some(Ok(frame)) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            length = length.saturating_add(frame.data_ref().map_or(0, Bytes::len));
            if length > DISCARD_BYTES_MAX {
                return;
            }
        }
    };
    drop(tokio::time::timeout(DISCARD, whole).await);
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
