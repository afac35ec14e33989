//! What in a content leads somewhere: pages of sentences, each with what a careful reader would say. The pages were written
//! before the reader was; what is `held_out` was not looked at while it was changed, so that its hits say how it
//! fares with sentences that nobody had in mind. One hand wrote both.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod bank;
mod world;

use bank::Run;
use serde_json::json;

/// The rows of a page that end as they should, and those that do not.
fn read(page: &str, verdict: fn(&[&str]) -> &'static str) -> (usize, Vec<String>) {
    let rows = page.lines().filter(|line| !line.is_empty());
    let (good, bad): (Vec<&str>, Vec<&str>) = rows.partition(|row| {
        let cells: Vec<&str> = row.split(" | ").map(str::trim).collect();
        cells[0] == verdict(&cells[1..])
    });
    (good.len(), bad.into_iter().map(str::to_owned).collect())
}

/// Whether a mail with this content is asked about, after a stranger was read.
fn leaves(cells: &[&str]) -> &'static str {
    let text = cells.join(" | ").replace('⏎', "\n");
    let mut run = Run::new("Write to bob@example.com about the news").tainted();
    let mail = json!({"to": ["bob@example.com"], "subject": "news", "body": text});
    match run.says("send_mail", mail).as_str() {
        "allow" => "quiet",
        "require_approval unproven_link" => "leaves",
        other => panic!("{other}: {text}"),
    }
}

#[test]
fn what_leaves_in_a_content_is_found_and_nothing_else() {
    let (_, missed) = read(include_str!("named/contents.txt"), leaves);
    assert!(missed.is_empty(), "{}: {missed:#?}", missed.len());
}

#[test]
fn contents_that_nobody_had_in_mind() {
    let (hits, missed) = read(include_str!("named/contents.held_out.txt"), leaves);
    assert!(hits >= 41, "{hits} hits; {} missed", missed.len());
}
