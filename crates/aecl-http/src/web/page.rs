//! What every page has around it.

use super::assets::{SCRIPT, STYLE};
use super::html::Html;
use super::shown::Shown;
use crate::problem::Problem;
use aecl_gate::Identity;
use aecl_kernel::base::id::PersonId;
use axum::http::header;
use axum::response::{IntoResponse, Response};

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

/// A page, but for what every page has around it.
#[derive(Debug, Default)]
pub struct Page<'a> {
    /// Its title.
    pub title: &'a str,
    /// Who looks at it.
    pub visitor: Option<&'a Visitor>,
    /// What it says.
    pub body: Html,
    /// A bar at its foot that covers nothing of it.
    pub bar: Html,
    /// What of it may change while somebody looks at it.
    pub shown: Option<Shown>,
}

/// A whole page.
pub fn page(title: &str, visitor: Option<&Visitor>, body: Html) -> Response {
    Page { title, visitor, body, ..Page::default() }.into_response()
}

impl IntoResponse for Page<'_> {
    fn into_response(self) -> Response {
        let Self { title, visitor, body, bar, shown } = self;
        let (topics, at) = shown.as_ref().map_or(("", 0), |shown| (shown.topics(), shown.at()));
        let html = Html::new()
            .raw("<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><meta name=\"color-scheme\" content=\"light dark\"><title>")
            .attribute(title)
            .raw(" · AECL</title><link rel=\"stylesheet\" href=\"")
            .attribute(&STYLE.path)
            .raw("\"><script src=\"")
            .attribute(&SCRIPT.path)
            .raw("\" defer></script>")
            // A card holds what somebody types, so it is not loaded again under their hands.
            .when(shown.as_ref().is_some_and(Shown::is_list), |h| {
                h.raw("<noscript><meta http-equiv=\"refresh\" content=\"30\"></noscript>")
            })
            .raw("</head>")
            .raw(if bar.as_str().is_empty() { "<body class=\"plain\"" } else { "<body class=\"barred\"" })
            .when(!topics.is_empty(), |h| {
                h.raw(" data-topics=\"")
                    .attribute(topics)
                    .raw("\" data-at=\"")
                    .attribute(&at.to_string())
                    .raw("\"")
            })
            .raw("><a class=\"skip\" href=\"#main\">Skip to what it is about</a><header><a href=\"/approvals\" class=\"home\">AECL</a>")
            .raw("<span id=\"live\" class=\"live\" hidden></span><span id=\"told\" class=\"gone\" role=\"status\"></span>");
        let html = match visitor {
            Some(visitor) => html
                .raw("<form method=\"post\" action=\"/logout\"><input type=\"hidden\" name=\"csrf\" value=\"")
                .attribute(&visitor.csrf)
                .raw("\"><span>")
                .text(visitor.person.as_str())
                .raw("</span> <button class=\"link\">Log out</button></form>"),
            None => html,
        };
        let html = html
            .raw("</header><main id=\"main\" tabindex=\"-1\">")
            .html(&body)
            .raw("</main>")
            .html(&bar)
            .raw("</body></html>");
        ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], html.into_string()).into_response()
    }
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
        .raw("<p><a href=\"/approvals\">Back to the inbox</a></p>");
    let mut response = (problem.status, page("That did not work", visitor, body)).into_response();
    response.extensions_mut().insert(problem.code);
    response
}
