//! What every page has around it.

use super::html::Html;
use crate::problem::Problem;
use aecl_gate::Identity;
use aecl_kernel::base::id::PersonId;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};

/// A person who is logged in.
#[derive(Debug, Clone)]
pub struct Visitor {
    /// Who.
    pub identity: Identity,
    /// The name to show.
    pub person: PersonId,
    /// What forms of this login carry.
    pub csrf: String,
}

/// A whole page.
pub fn page(title: &str, visitor: Option<&Visitor>, body: &Html) -> Response {
    page_with(title, visitor, body, &Html::new())
}

/// A whole page, with a bar at its foot that covers nothing of it.
pub(super) fn page_with(title: &str, visitor: Option<&Visitor>, body: &Html, bar: &Html) -> Response {
    let html = Html::new()
        .raw("<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><meta name=\"color-scheme\" content=\"light dark\"><title>")
        .attribute(title)
        .raw(" · AECL</title><link rel=\"stylesheet\" href=\"/assets/aecl.css\"></head>")
        .raw(if bar.as_str().is_empty() { "<body>" } else { "<body class=\"barred\">" })
        .raw("<header><a href=\"/approvals\" class=\"home\">AECL approvals</a>");
    let html = match visitor {
        Some(visitor) => html
            .raw("<form method=\"post\" action=\"/logout\"><input type=\"hidden\" name=\"csrf\" value=\"")
            .attribute(&visitor.csrf)
            .raw("\"><span>")
            .text(visitor.person.as_str())
            .raw("</span> <button class=\"link\">Log out</button></form>"),
        None => html,
    };
    let html = html.raw("</header><main>").html(body).raw("</main>").html(bar).raw("</body></html>");
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], html.into_string()).into_response()
}

/// A page for what did not work.
pub fn refused(visitor: Option<&Visitor>, problem: &Problem) -> Response {
    let body = Html::new()
        .raw("<h1>That did not work</h1><p class=\"bad\" role=\"alert\">")
        .text(&problem.detail)
        .raw("</p><p class=\"quiet\">")
        .raw(problem.code.as_str())
        .raw("</p>")
        .when(problem.hint.is_some(), |h| {
            h.raw("<p>").text(problem.hint.as_deref().unwrap_or_default()).raw("</p>")
        })
        .raw("<p><a href=\"/approvals\">Back to the queue</a></p>");
    let mut response = (problem.status, page("That did not work", visitor, &body)).into_response();
    response.extensions_mut().insert(problem.code);
    response
}
