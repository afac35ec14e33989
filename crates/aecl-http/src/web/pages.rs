//! The queue, one request, and the answer to it.

use super::card;
use super::html::Html;
use super::login::fields;
use super::page::{Page, Visitor, refused};
use super::shown::Shown;
use crate::App;
use crate::approvals::{Filter, answer as take, changed, one, open};
use crate::problem::Problem;
use crate::wire::{AnswerWith, ApprovalDetail, ChangedServer, Queue, Queued};
use aecl_kernel::base::code;
use aecl_kernel::base::time::Timestamp;
use aecl_kernel::record::approval::summary::grouped;
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
    /// What asks others, instead of what asks the reader.
    #[serde(default)]
    others: bool,
}

/// Most requests that are for others and stand below one's own.
const OTHERS_MAX: usize = 10;

/// The inbox: what asks this person, and below it what asks others.
pub async fn queue(
    State(app): State<App>,
    visitor: Visitor,
    turn: Result<Query<Turn>, QueryRejection>,
) -> Response {
    let shown = Shown::queue(&app);
    let turn = turn.map(|Query(turn)| turn).unwrap_or_default();
    let inbox = match turn.others {
        true => of_others(&app, &visitor, turn.after).await,
        false => own(&app, &visitor, turn.after).await,
    };
    match inbox {
        Ok((title, body)) => {
            let (visitor, shown) = (Some(&visitor), Some(shown));
            Page { title: &title, visitor, body, shown, ..Page::default() }.into_response()
        }
        Err(problem) => refused(Some(&visitor), &problem),
    }
}

async fn own(app: &App, visitor: &Visitor, after: Option<String>) -> Result<(String, Html), Problem> {
    let is_first = after.is_none();
    let mine = open(app, &visitor.identity, Filter::of(true, after)).await?;
    let others = Filter::of(false, None).at_most(OTHERS_MAX);
    let others = if is_first { Some(open(app, &visitor.identity, others).await?) } else { None };
    let title = match mine.total {
        0 => "Nothing waits for you".to_owned(),
        n => format!("{} waiting for you", grouped(&n.to_string())),
    };
    let html = Html::new()
        .raw("<h1>")
        .text(&title)
        .raw("</h1>")
        .when(mine.total == 0, |h| {
            h.raw("<p class=\"card\">When an agent needs your yes, it appears here.</p>")
        })
        .each(&mine.changed_servers, |h, server| h.html(&changed_server(server)))
        .html(&rows(app, &mine, "/approvals?after="));
    let html = match others.filter(|others| others.total > 0) {
        None => html,
        Some(others) => html
            .raw("<h2>Waiting for others <span class=\"quiet\">")
            .text(&grouped(&others.total.to_string()))
            .raw("</span></h2>")
            .html(&list(app, &others))
            .when(others.next.is_some(), |h| {
                h.raw("<p><a href=\"/approvals?others=true\">All of them</a></p>")
            }),
    };
    Ok((title, html))
}

async fn of_others(app: &App, visitor: &Visitor, after: Option<String>) -> Result<(String, Html), Problem> {
    let others = open(app, &visitor.identity, Filter::of(false, after)).await?;
    let title = format!("{} waiting for others", grouped(&others.total.to_string()));
    let html = Html::new()
        .raw("<p class=\"crumbs\"><a href=\"/approvals\">Inbox</a></p><h1>")
        .text(&title)
        .raw("</h1>")
        .html(&rows(app, &others, "/approvals?others=true&after="));
    Ok((title, html))
}

/// A page of them, with the way to the next.
fn rows(app: &App, queue: &Queue, next: &'static str) -> Html {
    let (shown, total) = (queue.approvals.len().to_string(), grouped(&queue.total.to_string()));
    Html::new()
        .when(queue.total > queue.approvals.len(), |h| {
            h.raw("<p class=\"note\">")
                .text(&shown)
                .raw(" of ")
                .text(&total)
                .raw(" are on this page, soonest end first.</p>")
        })
        .html(&list(app, queue))
        .when(queue.next.is_some(), |h| {
            h.raw("<p><a rel=\"next\" href=\"")
                .raw(next)
                .attribute(queue.next.as_deref().unwrap_or_default())
                .raw("\">Next page</a></p>")
        })
}

fn list(app: &App, queue: &Queue) -> Html {
    let now = app.gate.now();
    Html::new()
        .when(!queue.approvals.is_empty(), |h| h.raw("<ol class=\"queue\">"))
        .each(&queue.approvals, |h, q| h.html(&row(q, now)))
        .when(!queue.approvals.is_empty(), |h| h.raw("</ol>"))
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

/// One request, in short: what, how long it lasts, the gravest reason, and whose.
fn row(q: &Queued, now: Timestamp) -> Html {
    let summary = &q.summary;
    let (more, alike) = (summary.reasons.saturating_sub(1).to_string(), (q.alike - 1).to_string());
    let is_grave = !summary.undoable || q.typed;
    let agreed: Vec<&str> =
        q.approval.votes.iter().filter(|v| v.yes && v.lapsed.is_none()).map(|v| v.person.as_str()).collect();
    let needed: u32 = q.approval.need.iter().map(|need| need.count).sum();
    Html::new()
        .raw(if is_grave { "<li class=\"card grave\">" } else { "<li class=\"card\">" })
        .raw("<a href=\"/approvals/")
        .attribute(&q.approval.id)
        .raw("\">")
        .text(&summary.title)
        .raw("</a> ")
        .html(&card::time_left(&q.approval.expires_at, now))
        .raw("<p>")
        .prose(&summary.because.join(" · "))
        .when(more != "0", |h| h.raw(" <span class=\"quiet\">and ").text(&more).raw(" more</span>"))
        .raw("</p><ul class=\"tags\">")
        .when(q.unanswerable, |h| {
            h.raw("<li class=\"bad\">Nobody can let it happen: too few may answer, of ")
                .text(&card::groups_of(&q.approval.need))
                .raw("</li>")
        })
        .when(q.approval.state == "approved", |h| h.raw("<li>Approved, and not used yet</li>"))
        .when(!summary.undoable, |h| h.raw("<li class=\"bad\">Cannot be undone</li>"))
        .when(q.typed, |h| h.raw("<li class=\"warn\">A yes has to be typed</li>"))
        .when(!agreed.is_empty(), |h| {
            let said = format!("{} of {needed} said yes: {}", agreed.len(), agreed.join(", "));
            h.raw("<li>").text(&said).raw("</li>")
        })
        .raw("<li>")
        .text(&whose(q))
        .raw("</li>")
        .when(alike != "0", |h| {
            let together = q.may_answer && !q.typed;
            h.raw("<li>")
                .when(together, |h| h.raw("<a href=\"/approvals/").attribute(&q.approval.id).raw("/alike\">"))
                .text(&alike)
                .raw(" more ask the same with other values")
                .when(together, |h| h.raw(": one decision each, on one page</a>"))
                .raw("</li>")
        })
        .raw("</ul></li>")
}

/// Who asks, for whom and where.
fn whose(q: &Queued) -> String {
    let user = q.user.as_deref().map_or_else(String::new, |user| format!(" for {user}"));
    format!("{}{user}, {}", q.agent, q.environment)
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
    let shown = Shown::approval(&app, &approval);
    match one(&app, &approval, &visitor.identity).await {
        Ok(full) => {
            let wish = wish.map(|Query(w)| w.answer).unwrap_or_default();
            let asked = matches!(wish.as_str(), "approve" | "reject");
            let said = if asked { "Nothing is decided yet. Read this, then answer below." } else { "" };
            let draft = card::Draft { said: said.to_owned(), ..card::Draft::default() };
            whole(&app, &visitor, &full, &draft, shown).await
        }
        Err(problem) => refused(Some(&visitor), &problem),
    }
}

/// The page of a request, with what was typed so far.
async fn whole(
    app: &App,
    visitor: &Visitor,
    full: &ApprovalDetail,
    draft: &card::Draft,
    shown: Shown,
) -> Response {
    let (now, waiting) = (app.gate.now(), Filter::of(true, None).at_most(1));
    // Without it the card is as good.
    let waiting = open(app, &visitor.identity, waiting).await.ok();
    let (body, bar) = card::card(full, visitor, now, draft, waiting.as_ref());
    let title = &full.summary.title;
    Page { title, visitor: Some(visitor), body, bar, shown: Some(shown) }.into_response()
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
    let shown = Shown::approval(&app, &approval);
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
            let mut response = whole(&app, &visitor, &full, &draft, shown).await;
            *response.status_mut() = problem.status;
            response
        }
        None => refused(Some(&visitor), &problem),
    }
}

/// The same with a capital.
pub fn sentence(text: &str) -> String {
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
