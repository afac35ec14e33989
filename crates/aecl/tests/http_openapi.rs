//! `openapi/aecl.json` is generated from the handlers. `UPDATE_EXPECT=1 cargo test -p aecl --test http_openapi`
//! writes it again.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise, and its helpers are not marked as tests"
)]

use expect_test::expect_file;

#[test]
fn the_description_of_the_api_is_checked_in() {
    expect_file!["../../../openapi/aecl.json"].assert_eq(&aecl::http::openapi_text());
}

#[test]
fn every_path_says_what_it_answers() {
    let api: serde_json::Value = serde_json::from_str(&aecl::http::openapi_text()).unwrap();
    assert_eq!(api["openapi"].as_str().unwrap().get(..3), Some("3.1"));
    let paths = api["paths"].as_object().unwrap();
    assert!(paths.len() >= 28, "{}", paths.len());
    let mut ids = std::collections::BTreeSet::new();
    for (path, methods) in paths {
        for (method, operation) in methods.as_object().unwrap() {
            assert!(operation["summary"].is_string(), "{method} {path} has no summary");
            assert!(
                ids.insert(operation["operationId"].as_str().unwrap()),
                "{method} {path}: its id stands twice"
            );
            for (status, response) in operation["responses"].as_object().unwrap() {
                assert!(response["description"].is_string(), "{method} {path} {status}");
            }
            let named = operation["parameters"]
                .as_array()
                .into_iter()
                .flatten()
                .filter(|p| p["in"] == "path")
                .count();
            assert_eq!(named, path.matches('{').count(), "{method} {path}");
        }
    }
}
