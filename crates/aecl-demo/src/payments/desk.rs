//! The desk of the payments service: its HTTP side.

use super::Book;
use super::book::{Booked, Refused, Wanted};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, PoisonError};

type Shared = Arc<Mutex<Book>>;

/// Transfers, reversals, accounts, for whoever has the key.
pub(super) fn router(book: Book, key: &str) -> Router {
    let key: Arc<str> = format!("Bearer {key}").into();
    Router::new()
        .route("/transfers", post(transfer).get(transfers))
        .route("/transfers/{id}/reverse", post(reverse))
        .route("/accounts", get(accounts))
        .layer(middleware::from_fn_with_state(key, locked))
        .with_state(Arc::new(Mutex::new(book)))
}

async fn locked(State(key): State<Arc<str>>, request: Request, next: Next) -> Response {
    let given = request.headers().get(header::AUTHORIZATION).and_then(|v| v.to_str().ok());
    if given == Some(&*key) {
        return next.run(request).await;
    }
    answer(StatusCode::UNAUTHORIZED, &json!({"error": "this service wants its key"}))
}

async fn transfer(State(book): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    let wanted = serde_json::from_slice::<Value>(&body)
        .map_err(|e| Refused::Invalid(format!("the body is no JSON: {e}")))
        .and_then(|body| Wanted::read(&body));
    booked(wanted.and_then(|wanted| lock(&book).transfer(key(&headers), &wanted)), StatusCode::CREATED)
}

async fn reverse(State(book): State<Shared>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    booked(lock(&book).reverse(key(&headers), &id), StatusCode::OK)
}

#[derive(Deserialize)]
struct Under {
    key: Option<String>,
}

async fn transfers(State(book): State<Shared>, Query(under): Query<Under>) -> Response {
    let book = lock(&book);
    let found = match under.key {
        Some(key) => match book.under(&key) {
            Ok(Some(found)) => Ok(found),
            Ok(None) => {
                return answer(StatusCode::NOT_FOUND, &json!({"error": "nothing was booked under this key"}));
            }
            Err(e) => Err(e),
        },
        None => book.transfers().map(Value::Array),
    };
    found.map_or_else(refused, |found| answer(StatusCode::OK, &found))
}

async fn accounts(State(book): State<Shared>) -> Response {
    lock(&book).accounts().map_or_else(refused, |accounts| answer(StatusCode::OK, &Value::Array(accounts)))
}

fn lock(book: &Shared) -> std::sync::MutexGuard<'_, Book> {
    // Every change is a transaction, so the book is whole after a panic, too.
    book.lock().unwrap_or_else(PoisonError::into_inner)
}

fn key(headers: &HeaderMap) -> Option<&str> {
    headers.get("idempotency-key").and_then(|v| v.to_str().ok()).filter(|key| !key.is_empty())
}

fn booked(result: Result<Booked, Refused>, new: StatusCode) -> Response {
    match result {
        Ok(booked) => answer(if booked.new { new } else { StatusCode::OK }, &booked.what),
        Err(why) => refused(why),
    }
}

fn refused(why: Refused) -> Response {
    let status = match &why {
        Refused::Invalid(_) => StatusCode::BAD_REQUEST,
        Refused::Short { .. } => StatusCode::PAYMENT_REQUIRED,
        Refused::KeyUsed | Refused::Reversed(_) => StatusCode::CONFLICT,
        Refused::NoTransfer(_) => StatusCode::NOT_FOUND,
        Refused::Book(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    answer(status, &json!({"error": why.to_string()}))
}

fn answer(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}
