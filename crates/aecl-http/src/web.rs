//! The pages, rendered here: they work without scripts, load nothing from elsewhere, and show what strangers
//! wrote as text that does nothing. A `GET` never decides anything. One small script keeps them as it is now.

mod alike;
mod assets;
mod card;
mod host;
mod html;
mod live;
mod login;
mod page;
mod pages;
mod plan;
mod shown;
mod strangers;

use crate::App;
use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{Redirect, Response};
use axum::routing::get;

pub use login::{Logins, visitor};

/// Only a style sheet and a script of ours, which may make markup in one place; forms only to ourselves, in nobody's frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types aecl";

const HEADERS: [(HeaderName, HeaderValue); 6] = [
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    // With `no-referrer`, browsers send `Origin: null` with our own forms.
    (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
];

/// The pages.
pub fn router(app: &App) -> Router<App> {
    Router::new()
        .route("/", get(|| async { Redirect::to("/approvals") }))
        .route("/approvals", get(pages::queue))
        .route("/approvals/{approval}", get(pages::approval).post(pages::answer))
        .route("/approvals/{approval}/alike", get(alike::page).post(alike::answer))
        .route("/login", get(login::page).post(login::enter))
        .route("/logout", axum::routing::post(login::leave))
        .route("/assets/{digest}/{name}", get(assets::asset))
        .layer(from_fn_with_state(app.clone(), host::own))
        .layer(from_fn(headers))
}

/// What the pages are told of as it happens.
pub fn streams(app: &App) -> Router<App> {
    let own = from_fn_with_state(app.clone(), host::own);
    Router::new().route("/events", get(live::events)).layer(own).layer(from_fn(headers))
}

async fn headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, value);
    }
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
