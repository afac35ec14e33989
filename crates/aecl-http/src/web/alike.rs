//! Requests that ask the same, on one page: what differs is a column each, every box is empty, and one press answers
//! what is ticked, each by itself.

use super::html::Html;
use super::login::fields;
use super::page::{Page, Visitor, refused};
use super::shown::Shown;
use super::strangers::readable;
use super::{card, pages};
use crate::App;
use crate::alike::{Alike, alike, each};
use crate::problem::Problem;
use crate::wire::{AnswerOf, ApprovalDetail, ResultOf};
use aecl_kernel::base::code;
use aecl_kernel::base::time::Timestamp;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse as _, Response};

/// Before the id of a request in the name of its box.
const TICKED: &str = "ticked_";

/// What asks the same as this one.
pub async fn page(State(app): State<App>, visitor: Visitor, Path(approval): Path<String>) -> Response {
    let shown = Shown::queue(&app);
    match alike(&app, &approval, &visitor.identity).await {
        Ok(found) => whole(&app, &visitor, &approval, &found, &Html::new(), Some(shown)),
        Err(problem) => refused(Some(&visitor), &problem),
    }
}

/// Takes what is ticked, and shows what came of each.
pub async fn answer(
    State(app): State<App>,
    visitor: Visitor,
    Path(approval): Path<String>,
    request: Request,
) -> Response {
    // What each was is said before it is answered, since afterwards it is in no list any more.
    let before = alike(&app, &approval, &visitor.identity).await.map(|found| found.rows).unwrap_or_default();
    match answered(&app, &visitor, request).await {
        Ok(results) => {
            let body = Html::new()
                .raw("<p class=\"crumbs\"><a href=\"/approvals\">Inbox</a></p><h1>What came of it</h1><ul role=\"status\" tabindex=\"-1\">")
                .each(&results, |h, result| h.html(&came(result, &before)))
                .raw("</ul><p><a class=\"next\" href=\"/approvals\">Back to the inbox</a></p>");
            let title = "What came of it";
            Page { title, visitor: Some(&visitor), body, ..Page::default() }.into_response()
        }
        Err(problem) => match alike(&app, &approval, &visitor.identity).await {
            Ok(found) => {
                let said = Html::new()
                    .raw("<p class=\"note\" role=\"alert\" tabindex=\"-1\">")
                    .prose(&pages::sentence(&problem.detail))
                    .raw(".</p>");
                let mut page = whole(&app, &visitor, &approval, &found, &said, None);
                *page.status_mut() = problem.status;
                page
            }
            Err(_) => refused(Some(&visitor), &problem),
        },
    }
}

async fn answered(app: &App, visitor: &Visitor, request: Request) -> Result<Vec<ResultOf>, Problem> {
    let mut fields = fields(request, app).await?;
    visitor.sent(&fields)?;
    let yes = match fields.get("answer").map(String::as_str) {
        Some("approve") => true,
        Some("reject") => false,
        _ => return Err(Problem::of(code::REQUEST_INVALID, "press one of the two buttons")),
    };
    let reason = fields.remove("reason").unwrap_or_default().trim().to_owned();
    let ticked = fields.into_iter().filter_map(|(name, view)| {
        let approval = name.strip_prefix(TICKED)?.to_owned();
        Some(AnswerOf { approval, view, yes, reason: reason.clone() })
    });
    let answers: Vec<AnswerOf> = ticked.collect();
    if answers.is_empty() {
        return Err(Problem::of(code::REQUEST_INVALID, "nothing is ticked, so nothing was decided"));
    }
    each(app, &visitor.identity, answers).await
}

fn came(result: &ResultOf, before: &[ApprovalDetail]) -> Html {
    let was = before.iter().find(|full| full.approval.id == result.approval);
    let html = Html::new()
        .raw("<li><a href=\"/approvals/")
        .attribute(&result.approval)
        .raw("\">")
        .text(was.map_or(result.approval.as_str(), |full| &full.summary.title))
        .raw("</a>: ");
    match (result.state, &result.detail) {
        (Some(state), _) => html.raw(state),
        (None, detail) => html
            .raw("<strong class=\"bad\">not answered</strong>, ")
            .prose(detail.as_deref().unwrap_or("nobody knows why")),
    }
    .raw("</li>")
}

fn whole(
    app: &App,
    visitor: &Visitor,
    approval: &str,
    found: &Alike,
    said: &Html,
    shown: Option<Shown>,
) -> Response {
    let now = app.gate.now();
    let count = found.rows.len().to_string();
    let name = found.rows.first().map_or("", |full| full.name.as_str());
    let title = format!("{count} ask the same: {name}");
    let head = Html::new()
        .raw("<p class=\"crumbs\"><a href=\"/approvals\">Inbox</a></p>")
        .html(said)
        .raw("<h1>")
        .text(&title)
        .raw("</h1>");
    let Some(first) = found.rows.first() else {
        let body = head.raw("<p class=\"card\">Nothing of it waits for you any more.</p>");
        return Page { title: &title, visitor: Some(visitor), body, shown, ..Page::default() }
            .into_response();
    };
    let body = head.html(&the_same(found, first)).html(&table(found, now));
    let bar = Html::new()
        .raw("<form method=\"post\" action=\"/approvals/")
        .attribute(approval)
        .raw("/alike\" id=\"answer\" class=\"answer\"><input type=\"hidden\" name=\"csrf\" value=\"")
        .attribute(&visitor.csrf)
        .raw("\"><input type=\"hidden\" name=\"view\" value=\"")
        // What is ticked stays while the same ones wait.
        .attribute(&found.rows.iter().map(|full| full.view.as_str()).collect::<String>())
        .raw("\"><details><summary>Add a reason, which the agents are told</summary><input name=\"reason\" maxlength=\"2000\" autocomplete=\"off\" aria-label=\"Reason\"></details><div class=\"buttons\"><button class=\"no\" name=\"answer\" value=\"reject\">Reject what is ticked</button><button class=\"yes\" name=\"answer\" value=\"approve\">Approve what is ticked</button></div></form>");
    Page { title: &title, visitor: Some(visitor), body, bar, shown }.into_response()
}

/// What all of them have in common.
fn the_same(found: &Alike, first: &ApprovalDetail) -> Html {
    let undo = &first.summary.undo;
    Html::new()
        .raw("<p class=\"lead\">")
        .text(&first.agent)
        .raw(" · ")
        .text(&first.environment)
        .raw(" · ")
        .when(!first.summary.undoable, |h| h.raw("<strong class=\"bad\">"))
        .prose(undo)
        .when(!first.summary.undoable, |h| h.raw("</strong>"))
        .raw("</p><div class=\"because\"><p><strong>")
        .prose(first.summary.reasons.first().map_or("", String::as_str))
        .raw("</strong></p></div>")
        .when(!found.same.is_empty(), |h| {
            h.raw("<h2>The same in all of them</h2><dl class=\"card arguments\">")
                .each(&found.same, |h, (name, value)| {
                    let value = readable(value);
                    h.raw("<dt>").text(name).raw("</dt><dd>").html(&card::value(name, &value)).raw("</dd>")
                })
                .raw("</dl>")
        })
        .when(found.left > 0, |h| {
            h.raw("<p class=\"note\">")
                .text(&found.left.to_string())
                .raw(" more ask the same and are not on this page.</p>")
        })
}

/// What differs, a row each.
fn table(found: &Alike, now: Timestamp) -> Html {
    Html::new()
        .raw("<h2>One decision each</h2><div class=\"scrolls\" tabindex=\"0\" role=\"group\" aria-label=\"What differs\"><table><thead><tr><th scope=\"col\">Tick</th>")
        .each(&found.columns, |h, name| h.raw("<th scope=\"col\">").text(name).raw("</th>"))
        .raw("<th scope=\"col\">For</th><th scope=\"col\">Left</th><th scope=\"col\">Card</th></tr></thead><tbody>")
        .each(found.rows.iter().enumerate(), |h, (i, full)| h.html(&row(found, full, i + 1, now)))
        .raw("</tbody></table></div>")
}

fn row(found: &Alike, full: &ApprovalDetail, number: usize, now: Timestamp) -> Html {
    let number = number.to_string();
    Html::new()
        .raw("<tr><td><label class=\"box\"><input type=\"checkbox\" form=\"answer\" name=\"")
        .raw(TICKED)
        .attribute(&full.approval.id)
        .raw("\" value=\"")
        .attribute(&full.view)
        .raw("\"><span class=\"gone\">Tick row ")
        .text(&number)
        .raw("</span></label></td>")
        .each(&found.columns, |h, name| {
            let value = full.arguments.get(name).map(readable);
            let is_unproven = full.unproven.iter().any(|u| at(&u.at, name));
            h.raw("<td>")
                .when(value.is_none(), |h| h.raw("<span class=\"quiet\">absent</span>"))
                .when(value.is_some(), |h| h.html(&card::value(name, value.as_deref().unwrap_or_default())))
                .when(is_unproven, |h| h.raw("<span class=\"warn\">nobody trusted has named it</span>"))
                .raw("</td>")
        })
        .raw("<td>")
        .text(full.user.as_deref().unwrap_or("nobody"))
        .raw("</td><td>")
        .html(&card::time_left(&full.approval.expires_at, now))
        .raw("</td><td><a href=\"/approvals/")
        .attribute(&full.approval.id)
        .raw("\">Card <span class=\"gone\">of row ")
        .text(&number)
        .raw("</span></a></td></tr>")
}

/// Whether a JSON pointer leads into this argument.
fn at(pointer: &str, name: &str) -> bool {
    let escaped = name.replace('~', "~0").replace('/', "~1");
    pointer.strip_prefix('/').is_some_and(|rest| rest.split('/').next() == Some(escaped.as_str()))
}
