//! Errors on the wire: RFC 9457 problem details with our stable code. A refused proposal is no error.

use super::wire::ApprovalDetail;
use aecl_gate::GateError;
use aecl_kernel::base::code::{self, Code};
use aecl_kernel::base::id::BadId;
use aecl_ledger::LedgerError;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

/// Where the page of each code is.
const PAGES: &str = "https://aecl.dev/errors/";

/// An error, on its way to the wire.
#[derive(Debug)]
pub struct Problem {
    /// The HTTP status.
    pub status: StatusCode,
    /// The stable code.
    pub code: Code,
    /// What went wrong here.
    pub detail: String,
    /// What to do next.
    pub hint: Option<String>,
    /// The request for approval as it is shown now.
    pub approval: Option<Box<ApprovalDetail>>,
}

/// An error: RFC 9457 problem details.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProblemDetails {
    /// A page with cause, meaning and way out.
    pub r#type: String,
    /// What kind of error it is.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What went wrong here.
    pub detail: String,
    /// The stable code.
    pub code: &'static str,
    /// What to do next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// With `view_changed`: the request for approval as it is shown now.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub approval: Option<Box<ApprovalDetail>>,
}

impl From<Problem> for ProblemDetails {
    fn from(problem: Problem) -> Self {
        let Problem { status, code, detail, hint, approval } = problem;
        Self {
            r#type: format!("{PAGES}{code}"),
            title: code.as_str().replace('_', " "),
            status: status.as_u16(),
            detail,
            code: code.as_str(),
            hint,
            approval,
        }
    }
}

impl Problem {
    /// A problem with a status of its own.
    pub fn new(status: StatusCode, code: Code, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), hint: None, approval: None }
    }

    /// A problem with the status that its code has everywhere.
    pub fn of(code: Code, detail: impl Into<String>) -> Self {
        Self::new(status(code), code, detail)
    }

    /// The same, with what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// The status of a code.
fn status(code: Code) -> StatusCode {
    match code {
        code::TOKEN_INVALID | code::TOKEN_EXPIRED | code::TOKEN_REVOKED => StatusCode::UNAUTHORIZED,
        code::FORBIDDEN
        | code::APPROVER_REFUSED
        | code::OUT_OF_SCOPE
        | code::CREDENTIAL_REFUSED
        | code::TOKEN_FOREIGN => StatusCode::FORBIDDEN,
        code::ACTION_UNKNOWN
        | code::AGENT_UNKNOWN
        | code::RUN_UNKNOWN
        | code::APPROVAL_UNKNOWN
        | code::RECORD_UNKNOWN => StatusCode::NOT_FOUND,
        code::JSON_TOO_LARGE | code::ENTRY_TOO_LARGE => StatusCode::PAYLOAD_TOO_LARGE,
        code::JSON_INVALID
        | code::JSON_DUPLICATE_KEY
        | code::JSON_NUMBER
        | code::JSON_TOO_DEEP
        | code::REQUEST_INVALID => StatusCode::BAD_REQUEST,
        code::BUNDLE_INVALID => StatusCode::UNPROCESSABLE_ENTITY,
        code::OVERLOADED | code::REFUSALS_EXHAUSTED | code::TOKENS_EXHAUSTED => StatusCode::TOO_MANY_REQUESTS,
        code::LEDGER_UNAVAILABLE | code::LEDGER_MISSING | code::FACTS_DIFFER => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        // The request is not to blame.
        code::INTERNAL | code::CONFIG_INVALID => StatusCode::INTERNAL_SERVER_ERROR,
        // What is left says that things are not in a state in which this can happen.
        _ => StatusCode::CONFLICT,
    }
}

fn hint(code: Code) -> Option<&'static str> {
    Some(match code {
        code::TOKEN_INVALID => "send `Authorization: Bearer` with a key from `aecl keys add` or a run token",
        code::TOKEN_EXPIRED => "ask for a new token at `POST /v1/runs/{id}/tokens`",
        code::RUN_UNKNOWN | code::RECORD_UNKNOWN | code::APPROVAL_UNKNOWN => {
            "check the name, and whether this key is for that tenant and agent: what it may not see is not there for it"
        }
        code::RUN_CLOSED | code::RUN_EXPIRED => "open a new run at `POST /v1/runs`",
        code::APPROVAL_EXPIRED => "nothing was executed; the agent has to propose it again",
        code::OVERLOADED => "try again in a second",
        code::LEDGER_UNAVAILABLE => {
            "nothing was begun for this request; look at the server's log, then restart it"
        }
        _ => return None,
    })
}

impl From<GateError> for Problem {
    fn from(error: GateError) -> Self {
        let code = error.code();
        let problem = match &error {
            GateError::Ledger(LedgerError::WrongState { state, .. }) => {
                let problem = Problem::new(StatusCode::CONFLICT, code, error.to_string());
                match *state {
                    "started" => problem.hint(
                        "it is underway, or its permit may still be used; look again once its outcome is known or unknown",
                    ),
                    _ => problem,
                }
            }
            // The reason can name our files; it is for our log.
            GateError::Ledger(_) if code == code::LEDGER_UNAVAILABLE => {
                tracing::error!(%error, "the ledger is unavailable");
                Problem::of(code, "the ledger cannot record, so nothing new is begun")
            }
            _ => Problem::of(code, error.to_string()),
        };
        if code == code::INTERNAL {
            tracing::error!(%error, "an internal error was answered");
        }
        match hint(code) {
            Some(hint) => problem.hint(hint),
            None => problem,
        }
    }
}

impl From<LedgerError> for Problem {
    fn from(error: LedgerError) -> Self {
        GateError::from(error).into()
    }
}

impl From<BadId> for Problem {
    fn from(error: BadId) -> Self {
        Problem::of(code::REQUEST_INVALID, error.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, code) = (self.status, self.code);
        let body = serde_json::to_vec(&ProblemDetails::from(self)).unwrap_or_default();
        let mut response = (status, body).into_response();
        response.extensions_mut().insert(code);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if status == StatusCode::TOO_MANY_REQUESTS {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
