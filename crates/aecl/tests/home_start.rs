//! What a reload of a home leaves alone, and what it changes at once.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise, and its helpers are not marked as tests"
)]

mod common;

use aecl_gate::Gate;
use serde_json::json;
use std::future::Future;
use std::pin::pin;
use std::task::Poll;

#[tokio::test]
async fn a_reload_compiles_where_nobody_waits_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let (home, _) = common::home(dir.path(), json!({}));
    let gate = Gate::open(home).await.unwrap();
    let mut reload = pin!(gate.reload());
    // Whatever is done on this thread is done once this gives.
    let is_underway = std::future::poll_fn(|cx| Poll::Ready(reload.as_mut().poll(cx).is_pending())).await;
    assert!(is_underway, "the policy was read and compiled on the thread that answers requests");
    assert!(!reload.await.unwrap(), "the policy is the same");
}

#[tokio::test]
async fn of_two_reloads_the_later_one_counts() {
    let dir = tempfile::tempdir().unwrap();
    let (home, _) = common::home(dir.path(), json!({}));
    let gate = Gate::open(home.clone()).await.unwrap();
    let (path, before) = (home.policy().join("agents/all.json"), gate.bundle().hash());
    let text = std::fs::read_to_string(&path).unwrap();
    let mut first = pin!(gate.reload());
    let is_underway = std::future::poll_fn(|cx| Poll::Ready(first.as_mut().poll(cx).is_pending())).await;
    assert!(is_underway);
    std::fs::write(&path, text.replace("\"notes.write\",", "")).unwrap();
    let (_, second) = tokio::join!(first, gate.reload());
    second.unwrap();
    assert_ne!(gate.bundle().hash(), before);
    assert!(!gate.reload().await.unwrap(), "what is in force is what lies there");
}

#[tokio::test]
async fn whoever_has_left_the_configuration_is_for_no_tenant() {
    let dir = tempfile::tempdir().unwrap();
    let (home, keys) = common::home(dir.path(), json!({}));
    let gate = Gate::open(home.clone()).await.unwrap();
    let (olga, runner) = (gate.identify(&keys.olga).unwrap(), gate.identify(&keys.orchestrator).unwrap());
    assert_eq!((gate.tenants_of(&olga), gate.tenants_of(&runner)), (None, None), "no entry says tenants");
    assert!(gate.reads_everything(&olga));
    let mut config: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(home.config()).unwrap()).unwrap();
    (config["people"], config["orchestrators"]) = (json!([]), json!([]));
    std::fs::write(home.config(), config.to_string()).unwrap();
    gate.reload().await.unwrap();
    let tenant = gate.config().tenant.clone();
    for by in [olga, runner] {
        assert_eq!(gate.tenants_of(&by), Some([].into()), "{}", by.name());
        assert!(!gate.is_for_tenant(&by, &tenant) && !gate.reads_everything(&by), "{}", by.name());
        assert!(gate.for_every_tenant(&by, "stop agents").is_err(), "{}", by.name());
    }
}
