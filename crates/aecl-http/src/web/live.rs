//! What has changed, for a page that is looked at.

use super::login::reader;
use crate::App;
use crate::live::{Wanted, follow};
use crate::problem::Problem;
use aecl_kernel::base::code;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Response};

/// The same stream as for programs, for whoever is logged in. It ends with the login.
pub async fn events(
    State(app): State<App>,
    headers: HeaderMap,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Response {
    let streamed = async {
        let Query(wanted) = wanted.map_err(|e| Problem::of(code::REQUEST_INVALID, e.body_text()))?;
        let gone = || Problem::of(code::TOKEN_INVALID, "nobody is logged in any more");
        follow(&app, reader(&headers, &app).ok_or_else(gone)?, &headers, wanted).await
    };
    streamed.await.unwrap_or_else(|problem| problem.into_response())
}
