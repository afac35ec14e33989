//! The ledger, to read: signed heads, entries, tiles.

use super::App;
use super::auth::{Caller, Known};
use super::problem::{Problem, ProblemDetails};
use aecl_kernel::base::code;
use aecl_kernel::base::id::{ActionId, RunId};
use aecl_ledger::LedgerError;
use aecl_ledger::store::with_nodes;
use aecl_proof::{TilePath, tile};
use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

/// Most entries in one answer.
const ENTRIES_MAX: usize = 1000;

/// Which entries.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Range {
    /// The position of the first one. No ledger has one beyond 2^63 - 1.
    #[serde(default)]
    from: u64,
    /// How many at most. More than 1000 are never given at once; 100 if absent.
    #[serde(default)]
    limit: Option<usize>,
}

/// Entries, each as the bytes that were hashed.
#[derive(Debug, Serialize, ToSchema)]
pub struct Entries {
    /// The entries, in order.
    #[schema(value_type = Vec<Object>)]
    pub entries: Vec<Box<RawValue>>,
    /// Where the next answer begins, if there may be more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
    /// How many entries the ledger has.
    pub size: u64,
}

type Asked = Result<Query<Range>, axum::extract::rejection::QueryRejection>;

fn range(query: Asked) -> Result<(u64, usize), Problem> {
    let Query(range) = query.map_err(|e| Problem::of(code::REQUEST_INVALID, e.body_text()))?;
    if i64::try_from(range.from).is_err() {
        let why = format!("`from` is {}, and no ledger has a position beyond {}", range.from, i64::MAX);
        return Err(Problem::of(code::REQUEST_INVALID, why));
    }
    Ok((range.from, range.limit.unwrap_or(100).clamp(1, ENTRIES_MAX)))
}

async fn entries_of(app: &App, rows: Vec<(u64, Vec<u8>)>, limit: usize) -> Result<Json<Entries>, Problem> {
    let size = app.gate.ledger().head().await?.size;
    let next = rows.last().filter(|_| rows.len() == limit).map(|(position, _)| position + 1);
    let entries = rows
        .into_iter()
        .map(|(position, bytes)| {
            serde_json::from_slice(&bytes)
                .map_err(|source| LedgerError::Unreadable { key: format!("entry {position}"), source })
        })
        .collect::<Result<_, _>>()?;
    Ok(Json(Entries { entries, next: next.filter(|n| *n < size), size }))
}

fn text(text: String) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, "no-store")], text)
        .into_response()
}

/// The last signed head (C2SP checkpoint). For everybody: witnesses need it.
#[utoipa::path(get, path = "/v1/ledger/checkpoint", operation_id = "ledger_checkpoint", security(()), tag = "ledger",
    responses((status = 200, body = String, content_type = "text/plain"), (status = "4XX", body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn checkpoint(State(app): State<App>) -> Result<Response, Problem> {
    let head = app.gate.ledger().head().await?;
    let none = || Problem::new(StatusCode::NOT_FOUND, code::RECORD_UNKNOWN, "nothing is signed yet");
    Ok(text(head.checkpoint.ok_or_else(none)?))
}

/// The key that verifies it. Pin it once, by another way than this.
#[utoipa::path(get, path = "/v1/ledger/key", operation_id = "ledger_key", security(()), tag = "ledger",
    responses((status = 200, body = String, content_type = "text/plain")))]
pub async fn key(State(app): State<App>) -> Response {
    text(format!("{}\n", app.gate.ledger().verifier()))
}

/// Entries by position. For operators, auditors and the owner of the directory.
#[utoipa::path(get, path = "/v1/ledger/entries", operation_id = "ledger_entries", tag = "ledger", params(Range),
    responses((status = 200, body = Entries), (status = "4XX", body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn entries(State(app): State<App>, by: Known, query: Asked) -> Result<Json<Entries>, Problem> {
    by.reads_everything(&app, "read the whole ledger")?;
    let (from, limit) = range(query)?;
    let rows = app.gate.ledger().read(move |store| Ok(store.entries(from, limit)?)).await?;
    entries_of(&app, rows, limit).await
}

/// Entries of a run.
#[utoipa::path(get, path = "/v1/ledger/runs/{run}/entries", operation_id = "ledger_entries_of_run", tag = "ledger", params(Range),
    responses((status = 200, body = Entries), (status = "4XX", body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn of_run(
    State(app): State<App>,
    by: Known,
    Path(run): Path<String>,
    query: Asked,
) -> Result<Json<Entries>, Problem> {
    let run = RunId::new(&run)?;
    Caller::Known(by.0).run(&app, &run).await?;
    let (from, limit) = range(query)?;
    let (run, after) = (run.to_string(), from.checked_sub(1));
    let rows = app.gate.ledger().read(move |store| Ok(store.entries_of_run(&run, after, limit)?)).await?;
    entries_of(&app, rows, limit).await
}

/// Entries about an action.
#[utoipa::path(get, path = "/v1/ledger/actions/{action}/entries", operation_id = "ledger_entries_of_action", tag = "ledger",
    responses((status = 200, body = Entries), (status = "4XX", body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn of_action(
    State(app): State<App>,
    by: Known,
    Path(action): Path<String>,
) -> Result<Json<Entries>, Problem> {
    let id = ActionId::new(&action)?;
    Caller::Known(by.0).action(&app, &id).await?;
    let rows = app.gate.ledger().read(move |store| Ok(store.entries_of_action(id.as_str())?)).await?;
    entries_of(&app, rows, usize::MAX).await
}

/// A tile of hashes, for people; or a bundle of entries, for operators, auditors and the owner of the directory (C2SP
/// tlog-tiles).
#[utoipa::path(get, path = "/v1/ledger/tile/{path}", operation_id = "ledger_tile", tag = "ledger",
    responses((status = 200, content_type = "application/octet-stream"), (status = "4XX", body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn tile(State(app): State<App>, by: Known, Path(path): Path<String>) -> Result<Response, Problem> {
    by.person_or_owner("read the ledger")?;
    let missing = || Problem::new(StatusCode::NOT_FOUND, code::RECORD_UNKNOWN, "there is no such tile");
    let path: TilePath = format!("tile/{path}").parse().map_err(|_| missing())?;
    if path.level().is_none() {
        by.reads_everything(&app, "read the whole ledger")?;
    }
    let (first, width) = (path.index().saturating_mul(256), usize::from(path.width()));
    let size = app.gate.ledger().head().await?.size;
    let row = size >> (u32::from(path.level().unwrap_or(0)) * 8).min(63);
    if first.saturating_add(width as u64) > row {
        return Err(missing());
    }
    let read = move |store: &mut dyn aecl_ledger::store::Store| match path.level() {
        Some(_) => Ok(with_nodes(store, |nodes| path.collect(nodes))?.ok()),
        None => {
            let rows = store.entries(first, width)?;
            Ok(tile::write_entries(rows.iter().map(|(_, bytes)| bytes)).ok())
        }
    };
    let bytes = app.gate.ledger().read(read).await?.ok_or_else(missing)?;
    // A full tile never changes; a partial one is replaced by a fuller one at another path.
    let kept = HeaderValue::from_static("private, max-age=31536000, immutable");
    let kind = HeaderValue::from_static("application/octet-stream");
    Ok(([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, kept)], bytes).into_response())
}
