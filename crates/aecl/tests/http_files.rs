//! What people are shown of changes of files: the lines that come and go, on the page, in the terminal and over HTTP.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise, and its helpers are not marked as tests"
)]

mod common;

use aecl_kernel::base::digest::Digest;
use common::{Reply, Served};
use serde_json::{Value, json};
use std::path::PathBuf;

fn docs(s: &Served) -> PathBuf {
    s.world.with_file_name("docs")
}

/// Somebody wants to change the third line of a file. Gives the request as a member of finance reads it.
async fn asked(s: &Served, token: &str, old: &str, new: &str) -> (String, Value) {
    std::fs::write(docs(s).join("plan.md"), old).unwrap();
    let change = json!({"path": "plan.md", "before": Digest::of(old.as_bytes()), "after": {"text": new}});
    let body = json!({"action": "docs.apply", "arguments": {"changes": [change]}});
    let pending = s.post(token, "/v1/actions", &body).await;
    assert_eq!(pending.status, 202, "{}", pending.text);
    assert!(
        !pending.text.contains("secret plan"),
        "whoever proposes is told nothing of the file: {}",
        pending.text
    );
    let id = pending.json()["approval"]["id"].as_str().unwrap().to_owned();
    let full = s.get(&s.keys.finn, &format!("/v1/approvals/{id}")).await;
    assert_eq!(full.status, 200, "{}", full.text);
    (id, full.json())
}

const OLD: &str = "# Plan\nthe secret plan\npay bob\nrest\n";
const NEW: &str = "# Plan\nthe secret plan\npay \u{202e}eve\nrest\n";

#[tokio::test]
async fn a_card_shows_what_would_be_lost_beside_what_comes() {
    let s = Served::start().await;
    let (_, token) = s.run("payer").await;
    let (id, full) = asked(&s, &token, OLD, NEW).await;
    let file = &full["files"]["changes"][0];
    assert_eq!(
        (&file["path"], &file["what"], &file["added"], &file["removed"]),
        (&json!("plan.md"), &json!("changed"), &json!(1), &json!(1))
    );
    let difference: Vec<&str> =
        file["difference"].as_array().unwrap().iter().map(|e| e.as_str().unwrap()).collect();
    assert_eq!(difference[1..], [" # Plan", " the secret plan", "-pay bob", "+pay \u{202e}eve", " rest"]);
    let page = page(&s, &id).await;
    assert!(page.contains("<del>-pay bob</del>"), "{page}");
    assert!(page.contains("<ins>+pay <span class=\"hidden\">U+202E</span>eve</ins>"), "{page}");
    let before = page.find("What changes").unwrap();
    assert!(before < page.find("Exactly this").unwrap(), "first what changes, then all arguments");

    let yes = json!({"view": full["view"]});
    let approved = s.post(&s.keys.finn, &format!("/v1/approvals/{id}/approve"), &yes).await;
    assert_eq!(approved.status, 200, "{}", approved.text);
    let change = full["arguments"].clone();
    let done = s.post(&token, "/v1/actions", &json!({"action": "docs.apply", "arguments": change})).await;
    assert_eq!(done.json()["state"], "done", "{}", done.text);
    assert_eq!(
        std::fs::read_to_string(docs(&s).join("plan.md")).unwrap(),
        NEW,
        "what was shown is what is done"
    );
    let after = s.get(&s.keys.finn, &format!("/v1/approvals/{id}")).await.json();
    assert_eq!(after.get("files"), None, "it is over: what is there now is nothing to compare with");
}

#[tokio::test]
async fn an_answer_is_for_the_files_that_were_shown() {
    let s = Served::start().await;
    let (_, token) = s.run("payer").await;
    let (id, shown) = asked(&s, &token, OLD, NEW).await;
    std::fs::write(docs(&s).join("plan.md"), "somebody else was faster\n").unwrap();
    let path = format!("/v1/approvals/{id}");
    let refused = s.post(&s.keys.finn, &format!("{path}/approve"), &json!({"view": shown["view"]})).await;
    assert_eq!((refused.status, &refused.json()["code"]), (409, &json!("view_changed")), "{}", refused.text);
    let now = s.get(&s.keys.finn, &path).await.json();
    let note = now["files"]["note"].as_str().unwrap();
    assert!(
        note.contains("changes nothing") && note.contains("`plan.md` is not as the change expects it"),
        "{note}"
    );
    assert!(!note.contains("somebody else"), "{note}");
    assert!(page(&s, &id).await.contains("a yes changes nothing"));
    // As it was: what was shown counts again.
    std::fs::write(docs(&s).join("plan.md"), OLD).unwrap();
    let approved = s.post(&s.keys.finn, &format!("{path}/approve"), &json!({"view": shown["view"]})).await;
    assert_eq!(approved.status, 200, "{}", approved.text);
}

#[tokio::test]
async fn nothing_is_read_for_who_is_not_asked() {
    let s = Served::start().await;
    let (run, token) = s.run("payer").await;
    let (id, _) = asked(&s, &token, OLD, NEW).await;
    for path in [format!("/v1/approvals/{id}"), format!("/v1/runs/{run}")] {
        let told = s.get(&s.keys.orchestrator, &path).await;
        assert!(!told.text.contains("secret plan"), "{path}: {}", told.text);
    }
    let list = s.get(&s.keys.finn, "/v1/approvals").await;
    assert!(!list.text.contains("secret plan"), "a list reads no files: {}", list.text);
}

/// A server of its own reads what it replaces; a file of the same name here may be another.
#[tokio::test]
async fn what_a_server_replaces_is_not_guessed_at() {
    let s = Served::start().await;
    let (_, token) = s.run("payer").await;
    let path = docs(&s).join("plan.md");
    std::fs::write(&path, OLD).unwrap();
    let body = json!({"action": "shelf.write_file", "arguments": {"path": path, "content": NEW}});
    let pending = s.post(&token, "/v1/actions", &body).await;
    assert_eq!(pending.status, 202, "{}", pending.text);
    let id = pending.json()["approval"]["id"].as_str().unwrap().to_owned();
    let full = s.get(&s.keys.finn, &format!("/v1/approvals/{id}")).await.json();
    assert_eq!(full["arguments"]["content"], NEW, "the new content stands there whole");
    let note = full["files"]["note"].as_str().unwrap();
    assert!(note.contains("server `shelf`") && note.contains("what would be lost is not shown"), "{note}");
    assert!(page(&s, &id).await.contains("what would be lost is not shown"));
}

/// The page of a request, as finn sees it.
async fn page(s: &Served, id: &str) -> String {
    let own = format!("http://aecl.localhost:{}", s.address.port());
    let headers = [("content-type", "application/x-www-form-urlencoded"), ("origin", own.as_str())];
    let login =
        s.send("POST", "/login", &headers, format!("key={}&next=/approvals", s.keys.finn).as_bytes()).await;
    let cookie = login.headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let Reply { status, text, .. } =
        s.send("GET", &format!("/approvals/{id}"), &[("cookie", &cookie)], b"").await;
    assert_eq!(status, 200, "{text}");
    text
}
