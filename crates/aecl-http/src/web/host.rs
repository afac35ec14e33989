//! A host name of their own for the pages. Cookies know no ports: what is set for `127.0.0.1` or `localhost` goes to
//! every other program of the machine that serves pages there, such as the agent's own. So on this machine the pages
//! live at `aecl.localhost`, which browsers resolve to it by themselves, and their cookie goes nowhere else.

use crate::App;
use crate::problem::Problem;
use aecl_kernel::base::code;
use aecl_mcp::serving::PAGES as NAME;
use axum::extract::{Request, State};
use axum::http::{Method, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Redirect, Response};

/// Sends whoever comes by another name of this machine to ours; a form that was sent there is not taken.
pub async fn own(State(app): State<App>, request: Request, next: Next) -> Response {
    let Some(there) = elsewhere(&app, &request) else { return next.run(request).await };
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return Redirect::temporary(&there).into_response();
    }
    Problem::of(code::FORBIDDEN, "forms are taken under our own name only")
        .hint(format!("open {there}"))
        .into_response()
}

/// Where this request should have gone, if it came by a name that other programs of this machine share.
fn elsewhere(app: &App, request: &Request) -> Option<String> {
    // Whoever gives AECL an address of its own has a proxy before it, which may call it as it likes.
    if app.gate.config().public_url.is_some() {
        return None;
    }
    let sent = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let uri: Uri = format!("http://{}", sent?).parse().ok()?;
    let shared = matches!(uri.host()?, "localhost" | "127.0.0.1" | "[::1]");
    let port = uri.port_u16().map_or_else(String::new, |port| format!(":{port}"));
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    shared.then(|| format!("http://{NAME}{port}{path}"))
}
