//! What pages load: a style sheet and a script of ours, under paths that name what is in them, so that a browser keeps
//! them and never takes those of another version.

use crate::problem::Problem;
use aecl_kernel::base::code;
use aecl_kernel::base::digest::Digest;
use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use std::sync::LazyLock;

/// One of them.
pub struct Asset {
    /// Its path.
    pub path: String,
    kind: &'static str,
    text: &'static str,
}

impl Asset {
    fn new(name: &str, kind: &'static str, text: &'static str) -> Self {
        let digest: String = Digest::of(text.as_bytes()).hex().chars().take(16).collect();
        Self { path: format!("/assets/{digest}/{name}"), kind, text }
    }
}

/// How pages look.
pub static STYLE: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("aecl.css", "text/css; charset=utf-8", include_str!("aecl.css")));
/// What keeps them as it is now.
pub static SCRIPT: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("aecl.js", "text/javascript; charset=utf-8", include_str!("aecl.js")));

/// One of them, to whoever asks: they say nothing.
pub async fn asset(Path((digest, name)): Path<(String, String)>) -> Response {
    let path = format!("/assets/{digest}/{name}");
    match [&*STYLE, &*SCRIPT].into_iter().find(|asset| asset.path == path) {
        Some(asset) => {
            let kept = "public, max-age=31536000, immutable";
            let head = [(header::CONTENT_TYPE, asset.kind), (header::CACHE_CONTROL, kept)];
            (head, asset.text).into_response()
        }
        None => {
            let why = "this style or script is of another version; load the page again";
            Problem::new(StatusCode::NOT_FOUND, code::REQUEST_INVALID, why).into_response()
        }
    }
}
