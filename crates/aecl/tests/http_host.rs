//! One process owns a home: a command that finds nobody serving serves by itself, and lets go at its end.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise, and its helpers are not marked as tests"
)]

mod common;

use aecl::cli::{Common, client};
use serde_json::json;

#[tokio::test]
async fn a_command_serves_if_nobody_does() {
    let dir = tempfile::tempdir().unwrap();
    let (home, _) = common::home(dir.path(), json!({}));
    let common = Common { dir: home.dir().to_owned(), json: false, key: None };
    // A file that a killed process has left behind.
    std::fs::write(home.data().join("aecl.sock"), "").unwrap();

    let first = client::connect(&common).await.unwrap();
    assert!(!first.served_elsewhere());
    assert_eq!(first.get("/healthz").await.unwrap()["status"], "ok");
    let second = client::connect(&common).await.unwrap();
    assert!(second.served_elsewhere(), "the first one serves");
    assert_eq!(second.get("/healthz").await.unwrap()["status"], "ok");
    second.close().await;
    first.close().await;

    let third = client::connect(&common).await.unwrap();
    assert!(!third.served_elsewhere(), "the directory was let go");
    third.close().await;
}
