//! Refusing on this transport: an HTTP status with a JSON-RPC error in the body.

use crate::serving::load::NoBody;
use aecl_gate::GateError;
use aecl_kernel::base::code;
use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::value::RawValue;
use serde_json::{Value, json};

pub(super) const PARSE: i64 = -32700;
pub(super) const INVALID: i64 = -32600;
pub(super) const NO_METHOD: i64 = -32601;
pub(super) const PARAMS: i64 = -32602;
pub(super) const INTERNAL: i64 = -32603;
/// Headers and body say different things.
pub(super) const MISMATCH: i64 = -32020;
/// The client cannot do what the call needs.
pub(super) const CAPABILITY: i64 = -32021;
/// Not a version that is spoken here.
pub(super) const VERSION: i64 = -32022;
/// Refused by us: who asks may not.
pub(super) const DENIED: i64 = -32001;

/// A request that is not taken. Boxed: it is the rare way out of many functions.
#[derive(Debug)]
pub(super) struct Refusal(Box<Refused>);

#[derive(Debug)]
struct Refused {
    status: StatusCode,
    id: Option<Box<RawValue>>,
    code: i64,
    message: String,
    data: Option<Value>,
    challenge: Option<String>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, code: i64, message: impl Into<String>) -> Self {
        let message = message.into();
        Self(Box::new(Refused { status, id: None, code, message, data: None, challenge: None }))
    }

    pub(super) fn parse(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, PARSE, message)
    }

    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, INVALID, message)
    }

    pub(super) fn params(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, PARAMS, message)
    }

    pub(super) fn mismatch(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, MISMATCH, message)
    }

    /// A version that is not spoken here, with those that are.
    pub(super) fn version(requested: &str, supported: &[String], message: impl Into<String>) -> Self {
        let data = json!({"supported": supported, "requested": requested});
        Self::new(StatusCode::BAD_REQUEST, VERSION, message).with(data)
    }

    fn with(mut self, data: Value) -> Self {
        self.0.data = Some(data);
        self
    }

    /// The same, as the answer to this request.
    pub(super) fn to(mut self, id: &RawValue) -> Self {
        self.0.id = Some(id.to_owned());
        self
    }

    /// The same, telling how to authenticate.
    pub(super) fn challenge(mut self, challenge: String) -> Self {
        self.0.challenge = Some(challenge);
        self
    }

    /// Which JSON-RPC error it is.
    #[cfg(test)]
    pub(super) fn code(&self) -> i64 {
        self.0.code
    }

    fn text(&self) -> String {
        let Refused { id, code, message, data, .. } = &*self.0;
        let mut error = json!({"code": code, "message": message});
        if let (Some(data), Value::Object(error)) = (data, &mut error) {
            error.insert("data".into(), data.clone());
        }
        let id = id.as_deref().map_or("null", RawValue::get);
        format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#)
    }
}

impl From<GateError> for Refusal {
    fn from(error: GateError) -> Self {
        let of = error.code();
        let (status, code) = match of {
            code::TOKEN_INVALID | code::TOKEN_EXPIRED | code::TOKEN_REVOKED | code::RUN_UNKNOWN => {
                (StatusCode::UNAUTHORIZED, DENIED)
            }
            code::FORBIDDEN | code::TOKEN_FOREIGN | code::RUN_CLOSED | code::RUN_EXPIRED | code::KILLED => {
                (StatusCode::FORBIDDEN, DENIED)
            }
            code::AGENT_UNKNOWN => (StatusCode::NOT_FOUND, DENIED),
            code::OVERLOADED => (StatusCode::TOO_MANY_REQUESTS, INTERNAL),
            code::LEDGER_UNAVAILABLE | code::LEDGER_MISSING | code::FACTS_DIFFER => {
                (StatusCode::SERVICE_UNAVAILABLE, INTERNAL)
            }
            code::INTERNAL | code::BUNDLE_INVALID | code::CONFIG_INVALID => {
                (StatusCode::INTERNAL_SERVER_ERROR, INTERNAL)
            }
            _ => (StatusCode::BAD_REQUEST, INVALID),
        };
        Self::new(status, code, error.to_string()).with(json!({"aecl": {"code": of.as_str()}}))
    }
}

impl From<NoBody> for Refusal {
    fn from(none: NoBody) -> Self {
        let why = none.why();
        match none {
            NoBody::TooLong(_) => Self::new(StatusCode::PAYLOAD_TOO_LARGE, INVALID, why),
            NoBody::Broken => Self::new(StatusCode::BAD_REQUEST, INVALID, why),
            NoBody::Late => Self::new(StatusCode::REQUEST_TIMEOUT, INVALID, why),
            NoBody::Full(_) => Self::new(StatusCode::TOO_MANY_REQUESTS, INTERNAL, why)
                .with(json!({"aecl": {"code": code::OVERLOADED.as_str()}})),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = json_response(self.0.status, self.text());
        if let Some(challenge) = &self.0.challenge
            && let Ok(value) = HeaderValue::from_str(challenge)
        {
            response.headers_mut().insert(WWW_AUTHENTICATE, value);
        }
        if self.0.status == StatusCode::TOO_MANY_REQUESTS {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// A JSON body.
pub(super) fn json_response(status: StatusCode, text: String) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// The status under which the stateless era answers an error.
pub(super) fn status_of(error: Option<i64>) -> StatusCode {
    match error {
        Some(PARSE | INVALID | PARAMS | MISMATCH | CAPABILITY | VERSION) => StatusCode::BAD_REQUEST,
        Some(NO_METHOD) => StatusCode::NOT_FOUND,
        Some(_) | None => StatusCode::OK,
    }
}
