//! The queue, one request, and the answer to it.

use super::card;
use super::html::Html;
use super::login::fields;
use super::page::{Visitor, page, page_with, refused};
use crate::App;
use crate::approvals::{Filter, answer as take, changed, one, open};
use crate::problem::Problem;
use crate::wire::{AnswerWith, ApprovalDetail, ChangedServer, Queued};
use aecl_kernel::base::code;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, Request, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Page of the queue.
#[derive(Debug, Default, Deserialize)]
pub struct Turn {
    #[serde(default)]
    after: Option<String>,
}

/// The queue.
pub async fn queue(
    State(app): State<App>,
    visitor: Visitor,
    turn: Result<Query<Turn>, QueryRejection>,
) -> Response {
    let after = turn.map(|Query(turn)| turn.after).unwrap_or_default();
    let queue = match open(&app, &visitor.identity, Filter::after(after)).await {
        Ok(queue) => queue,
        Err(problem) => return refused(Some(&visitor), &problem),
    };
    let (shown, total) = (queue.approvals.len().to_string(), queue.total.to_string());
    let body = Html::new()
        .raw("<h1>Waiting for people</h1>")
        .when(queue.total == 0, |h| h.raw("<p class=\"card\">Nothing waits.</p>"))
        .when(queue.total > queue.approvals.len(), |h| {
            h.raw("<p class=\"note\">")
                .text(&shown)
                .raw(" of ")
                .text(&total)
                .raw(" are on this page, soonest end first.</p>")
        })
        .each(&queue.changed_servers, |h, server| h.html(&changed_server(server)))
        .raw("<ul class=\"queue\">")
        .each(&queue.approvals, |h, q| h.html(&row(q)))
        .raw("</ul>")
        .when(queue.next.is_some(), |h| {
            h.raw("<p><a rel=\"next\" href=\"/approvals?after=")
                .attribute(queue.next.as_deref().unwrap_or_default())
                .raw("\">Next page</a></p>")
        });
    page("Waiting for people", Some(&visitor), &body)
}

/// A server of which something waits that is looked at elsewhere.
fn changed_server(changed: &ChangedServer) -> Html {
    Html::new()
        .raw("<p class=\"note\">The server <strong>")
        .text(&changed.server)
        .raw("</strong> offers ")
        .text(&changed.waiting.to_string())
        .raw(" otherwise than accepted. On the machine where AECL runs, <code>aecl catalog diff ")
        .text(&changed.server)
        .raw("</code> shows what, and <code>aecl catalog accept ")
        .text(&changed.server)
        .raw("</code> takes it.</p>")
}

/// One request, in short.
fn row(q: &Queued) -> Html {
    let (more, alike) = (q.summary.reasons.saturating_sub(1).to_string(), (q.alike - 1).to_string());
    Html::new()
        .raw("<li class=\"card\"><a href=\"/approvals/")
        .attribute(&q.approval.id)
        .raw("\"><strong>")
        .text(&q.summary.title)
        .raw("</strong></a><span class=\"badge\">")
        .raw(q.approval.state)
        .raw("</span>")
        .when(!q.summary.undoable, |h| h.raw(" <strong class=\"bad\">Cannot be undone</strong>"))
        .raw("<p>")
        .prose(&q.summary.because.join(" · "))
        .when(more != "0", |h| h.raw(" <span class=\"quiet\">and ").text(&more).raw(" more</span>"))
        .raw("</p><p class=\"quiet\">")
        .text(&q.agent)
        .raw(" · until ")
        .text(&card::moment(&q.approval.expires_at))
        .when(alike != "0", |h| h.raw(" · ").text(&alike).raw(" more ask the same with other values"))
        .raw("</p></li>")
}

/// Wish of a link's reader, who is asked once more.
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
    match one(&app, &approval, &visitor.identity).await {
        Ok(full) => {
            let wish = wish.map(|Query(w)| w.answer).unwrap_or_default();
            let asked = matches!(wish.as_str(), "approve" | "reject");
            let said = if asked { "Nothing is decided yet. Read this, then answer below." } else { "" };
            let draft = card::Draft { said: said.to_owned(), ..card::Draft::default() };
            whole(&app, &visitor, &full, &draft)
        }
        Err(problem) => refused(Some(&visitor), &problem),
    }
}

/// The page of a request, with what was typed so far.
fn whole(app: &App, visitor: &Visitor, full: &ApprovalDetail, draft: &card::Draft) -> Response {
    let (body, bar) = card::card(full, visitor, app.gate.now(), draft);
    page_with(&full.summary.title, Some(visitor), &body, &bar)
}

/// Takes the answer, and shows what came of it.
pub async fn answer(
    State(app): State<App>,
    visitor: Visitor,
    Path(approval): Path<String>,
    request: Request,
) -> Response {
    let mut fields = match fields(request, &app).await {
        Ok(fields) => fields,
        Err(problem) => return refused(Some(&visitor), &problem),
    };
    if let Err(problem) = visitor.sent(&fields) {
        return refused(Some(&visitor), &problem);
    }
    let reason = fields.remove("reason").unwrap_or_default().trim().to_owned();
    let problem = match answered(&app, &visitor, &approval, &fields, &reason).await {
        Ok(to) => return Redirect::to(&to).into_response(),
        Err(problem) => problem,
    };
    // What was typed is not lost: the request stands there again, with what did not work.
    let again = match (problem.code, problem.approval.is_some()) {
        (code::VIEW_CHANGED, _) | (code::CONFIRMATION_WANTED, _) | (_, true) => {
            one(&app, &approval, &visitor.identity).await.ok()
        }
        _ => None,
    };
    match again {
        Some(full) => {
            let said = format!("{}. Read it and answer again.", sentence(&problem.detail));
            let draft = card::Draft { said, reason, endorse: fields.contains_key("endorse") };
            let mut response = whole(&app, &visitor, &full, &draft);
            *response.status_mut() = problem.status;
            response
        }
        None => refused(Some(&visitor), &problem),
    }
}

/// The same with a capital.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

async fn answered(
    app: &App,
    visitor: &Visitor,
    approval: &str,
    fields: &BTreeMap<String, String>,
    reason: &str,
) -> Result<String, Problem> {
    let yes = match fields.get("answer").map(String::as_str) {
        Some("approve") => true,
        Some("reject") => false,
        _ => return Err(Problem::of(code::REQUEST_INVALID, "press one of the two buttons")),
    };
    let typed = fields.iter().filter(|(name, _)| name.starts_with("confirm_"));
    let confirm = typed.map(|(_, typed)| typed.clone()).collect();
    let endorse = fields.contains_key("endorse");
    // Every form of ours says what it shows. One that does not is not of this page.
    let Some(view) = fields.get("view").cloned() else {
        return Err(changed(one(app, approval, &visitor.identity).await?));
    };
    if yes && one(app, approval, &visitor.identity).await?.approval.is_grave() {
        visitor.holds(app, fields.get("key").map_or("", String::as_str))?;
    }
    let with = AnswerWith { reason: reason.to_owned(), view: Some(view), endorse, confirm };
    let answered = take(app, &visitor.identity, approval, yes, with).await?;
    Ok(format!("/approvals/{}", answered.id))
}
