//! Requests that ask the same with other values: what is the same stands once, what differs side by side, and each gets
//! an answer of its own.

use super::App;
use super::approvals::{Depth, Filter, answer, named, open, read};
use super::auth::Known;
use super::body::Strict;
use super::problem::{Problem, ProblemDetails};
use super::wire::{AnswerOf, AnswerWith, Answers, ApprovalDetail, ResultOf, Results};
use aecl_gate::Identity;
use aecl_gate::queue::PAGE_MAX;
use aecl_kernel::base::code;
use axum::Json;
use axum::extract::State;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Most arguments in which requests may differ to be compared at a glance.
const COLUMNS_MAX: usize = 4;
/// What is that grave is answered by itself.
const SEVERITY_BY_ITSELF: u8 = 3;

/// Requests that ask the same with other values.
#[derive(Debug)]
pub struct Alike {
    /// Arguments that all of them have.
    pub same: Map<String, Value>,
    /// Names of the arguments in which they differ.
    pub columns: Vec<String>,
    /// The requests, soonest end first.
    pub rows: Vec<ApprovalDetail>,
    /// How many more there are.
    pub left: usize,
}

/// Why a yes to this is given on its own card, if it is.
pub fn by_itself(full: &ApprovalDetail) -> Option<&'static str> {
    let summary = &full.summary;
    let why = [
        (full.approval.about == "plan", "it is a plan"),
        (full.approval.is_grave(), "its yes has to be typed"),
        (summary.severity.is_none_or(|severity| severity >= SEVERITY_BY_ITSELF), "its harm can be grave"),
        (full.files.is_some(), "what it changes in files has to be looked at"),
        (summary.stale, "its definition has changed since it was proposed"),
    ];
    why.into_iter().find_map(|(is_so, why)| is_so.then_some(why))
}

/// What asks the same as this one and has no answer of this reader, at most a page of it.
pub async fn alike(app: &App, name: &str, reader: &Identity) -> Result<Alike, Problem> {
    let first = read(app, &named(app, name, reader).await?, reader, Depth::Question).await?;
    if let Some(why) = by_itself(&first) {
        let detail = format!("`{}` is answered by itself: {why}", first.approval.id);
        return Err(Problem::of(code::REQUEST_INVALID, detail).hint("answer it on its own card"));
    }
    let queue = open(app, reader, Filter::of(true, None).like(&first.approval.id)).await?;
    let mut rows = Vec::new();
    for queued in &queue.approvals {
        let id = named(app, &queued.approval.id, reader).await?;
        let full = read(app, &id, reader, Depth::Question).await?;
        if full.may_answer && by_itself(&full).is_none() {
            rows.push(full);
        }
    }
    let (same, columns) = compared(&rows);
    if columns.len() > COLUMNS_MAX {
        let detail = format!("they differ in {} arguments, more than {COLUMNS_MAX}", columns.len());
        return Err(Problem::of(code::REQUEST_INVALID, detail).hint("answer each on its own card"));
    }
    Ok(Alike { same, columns, left: queue.total - rows.len(), rows })
}

/// The arguments that all have, and the names of the others.
fn compared(rows: &[ApprovalDetail]) -> (Map<String, Value>, Vec<String>) {
    let arguments = || rows.iter().filter_map(|full| full.arguments.as_object());
    let names: BTreeSet<&String> = arguments().flat_map(Map::keys).collect();
    let (mut same, mut columns) = (Map::new(), Vec::new());
    for name in names {
        let mut values = arguments().map(|map| map.get(name));
        let first = values.next().flatten();
        match first.filter(|first| values.all(|value| value == Some(first))) {
            Some(value) => drop(same.insert(name.clone(), value.clone())),
            None => columns.push(name.clone()),
        }
    }
    (same, columns)
}

/// Answer several requests at once, each with the `view` that was looked at. Each gets a result of its own. For people.
#[utoipa::path(post, path = "/v1/approvals/answers", operation_id = "answer_several", tag = "approvals", request_body = Answers,
    responses((status = 200, body = Results), (status = "4XX", body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn answers(
    State(app): State<App>,
    by: Known,
    Strict(body): Strict<Answers>,
) -> Result<Json<Results>, Problem> {
    by.person_or_owner("answer approvals")?;
    Ok(Json(Results { results: each(&app, &by.0, body.answers).await? }))
}

/// Takes these answers, one after the other.
pub async fn each(app: &App, by: &Identity, answers: Vec<AnswerOf>) -> Result<Vec<ResultOf>, Problem> {
    if answers.len() > PAGE_MAX {
        let why = format!("{} answers at once; at most {PAGE_MAX} are taken", answers.len());
        return Err(Problem::of(code::REQUEST_INVALID, why));
    }
    let mut results = Vec::new();
    for given in answers {
        let approval = given.approval.clone();
        results.push(match one(app, by, given).await {
            Ok(state) => ResultOf { approval, state: Some(state), code: None, detail: None },
            Err(problem) => {
                let (code, detail) = (Some(problem.code.as_str()), Some(problem.detail));
                ResultOf { approval, state: None, code, detail }
            }
        });
    }
    Ok(results)
}

async fn one(app: &App, by: &Identity, given: AnswerOf) -> Result<&'static str, Problem> {
    let AnswerOf { approval, view, yes, reason } = given;
    if yes {
        let full = read(app, &named(app, &approval, by).await?, by, Depth::Question).await?;
        if let Some(why) = by_itself(&full) {
            let detail = format!("`{approval}` is answered by itself: {why}");
            return Err(Problem::of(code::CONFIRMATION_WANTED, detail));
        }
    }
    let with = AnswerWith { reason, view: Some(view), ..AnswerWith::default() };
    Ok(answer(app, by, &approval, yes, with).await?.state)
}
