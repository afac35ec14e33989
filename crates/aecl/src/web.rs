//! The pages, rendered here: they work without scripts.

use crate::http::App;
use axum::Router;

/// Who is logged in.
#[derive(Debug, Clone, Default)]
pub struct Logins;

/// The pages.
pub fn router() -> Router<App> {
    Router::new()
}
