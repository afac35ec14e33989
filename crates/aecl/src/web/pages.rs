//! The queue, one request, and the answer to it.

use super::card;
use super::html::Html;
use super::login::{Visitor, fields};
use crate::http::App;
use crate::http::approvals::{answer as take, one, open};
use crate::http::problem::Problem;
use crate::http::wire::AnswerWith;
use aecl_kernel::code;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, Request, State};
use axum::http::header;
use axum::response::{IntoResponse as _, Redirect, Response};
use serde::Deserialize;

/// A whole page.
pub fn page(title: &str, visitor: Option<&Visitor>, body: &Html) -> Response {
    let html = Html::new()
        .raw("<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><meta name=\"color-scheme\" content=\"light dark\"><title>")
        .attribute(title)
        .raw(" · AECL</title><link rel=\"stylesheet\" href=\"/assets/aecl.css\"></head><body><header><a href=\"/approvals\" class=\"home\">AECL approvals</a>");
    let html = match visitor {
        Some(visitor) => html
            .raw("<form method=\"post\" action=\"/logout\"><input type=\"hidden\" name=\"csrf\" value=\"")
            .attribute(&visitor.csrf)
            .raw("\"><span>")
            .text(visitor.person.as_str())
            .raw("</span> <button class=\"link\">Log out</button></form>"),
        None => html,
    };
    let html = html.raw("</header><main>").html(body).raw("</main></body></html>");
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
    (problem.status, page("That did not work", visitor, &body)).into_response()
}

/// The queue.
pub async fn queue(State(app): State<App>, visitor: Visitor) -> Response {
    let queued = match open(&app, None).await {
        Ok(queued) => queued,
        Err(problem) => return refused(Some(&visitor), &problem),
    };
    let body = Html::new()
        .raw("<h1>Waiting for people</h1>")
        .when(queued.is_empty(), |h| h.raw("<p class=\"card\">Nothing waits.</p>"))
        .raw("<ul class=\"queue\">")
        .each(&queued, |h, q| {
            h.raw("<li class=\"card\"><a href=\"/approvals/")
                .attribute(&q.approval.id)
                .raw("\"><strong>")
                .text(&q.summary.title)
                .raw("</strong></a><span class=\"badge\">")
                .raw(q.approval.state)
                .raw("</span><p>")
                .prose(&q.summary.because.join(" · "))
                .raw("</p><p class=\"quiet\">")
                .text(&q.agent)
                .raw(" · until ")
                .text(&card::moment(&q.approval.expires_at))
                .raw("</p></li>")
        })
        .raw("</ul>");
    page("Waiting for people", Some(&visitor), &body)
}

/// What a link says that its reader wants to do. It is asked once more.
#[derive(Debug, Default, Deserialize)]
pub struct Wish {
    #[serde(default)]
    answer: String,
}

/// One request, with everything around it.
pub async fn approval(
    State(app): State<App>,
    visitor: Visitor,
    Path(approval): Path<String>,
    wish: Result<Query<Wish>, QueryRejection>,
) -> Response {
    match shown(&app, &visitor, &approval).await {
        Ok((title, card)) => {
            let wish = wish.map(|Query(w)| w.answer).unwrap_or_default();
            let asked = matches!(wish.as_str(), "approve" | "reject");
            let body = Html::new()
                .when(asked, |h| {
                    h.raw("<p class=\"note\" role=\"status\">Nothing is decided yet. Read this, then answer below.</p>")
                })
                .html(&card);
            page(&title, Some(&visitor), &body)
        }
        Err(problem) => refused(Some(&visitor), &problem),
    }
}

async fn shown(app: &App, visitor: &Visitor, approval: &str) -> Result<(String, Html), Problem> {
    let full = one(app, approval, &visitor.identity).await?;
    Ok((full.summary.title.clone(), card::card(&full, visitor, app.gate.now())))
}

/// Takes the answer, and shows what came of it.
pub async fn answer(
    State(app): State<App>,
    visitor: Visitor,
    Path(approval): Path<String>,
    request: Request,
) -> Response {
    match answered(&app, &visitor, &approval, request).await {
        Ok(to) => Redirect::to(&to).into_response(),
        Err(problem) => refused(Some(&visitor), &problem),
    }
}

async fn answered(app: &App, visitor: &Visitor, approval: &str, request: Request) -> Result<String, Problem> {
    let mut fields = fields(request, app).await?;
    visitor.sent(&fields)?;
    let yes = match fields.get("answer").map(String::as_str) {
        Some("approve") => true,
        Some("reject") => false,
        _ => return Err(Problem::of(code::REQUEST_INVALID, "press one of the two buttons")),
    };
    let reason = fields.remove("reason").unwrap_or_default().trim().to_owned();
    let typed = fields.iter().filter(|(name, _)| name.starts_with("confirm_"));
    let confirm = typed.map(|(_, typed)| typed.clone()).collect();
    let endorse = fields.contains_key("endorse");
    let with = AnswerWith { reason, view: fields.remove("view"), endorse, confirm };
    let answered = take(app, &visitor.identity, approval, yes, with).await?;
    Ok(format!("/approvals/{}", answered.id))
}
