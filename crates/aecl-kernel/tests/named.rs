//! What a goal proves, what in a content leads somewhere, and which value leads outside by itself: pages of sentences, each with what a careful reader would
//! say. The pages were written before the reader was; what is `held_out` was not looked at while it was changed, so
//! that its hits say how it fares with sentences that nobody had in mind. One hand wrote both.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod bank;
mod world;

use aecl_kernel::define::catalogue::flow::Class;
use aecl_kernel::provenance::atoms::wanted;
use aecl_kernel::provenance::goal::{MentionKind, ParsedGoal};
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

/// Whether the goal proves the value in a role of its kind.
fn proves(cells: &[&str]) -> &'static str {
    let [kind, value, goal] = cells else { panic!("{cells:?}") };
    let class = match *kind {
        "email" => Class::DestEmail,
        "url" => Class::DestUrl,
        "account" => Class::DestAccount,
        "number" => Class::Magnitude,
        "path" => Class::TargetPath,
        other => panic!("{other}"),
    };
    let goal = ParsedGoal::of(goal);
    let named = wanted(class, &(*value).into()).into_iter().any(|atom| {
        let how = if class.is_destination() { goal.names_destination(&atom) } else { goal.names(&atom) };
        how.is_some_and(|how| how != MentionKind::Words || class == Class::TargetPath)
    });
    if named { "proves" } else { "names" }
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

/// Whether a reader is asked about that gets this value under a name that says nothing, after a stranger was read.
fn leads(cells: &[&str]) -> &'static str {
    let [name, value] = cells else { panic!("{cells:?}") };
    let value = value.replace('⏎', "\n").replace('⇥', "\t");
    let mut run = Run::new("Look at the news").tainted();
    match run.says("look", json!({*name: value})).as_str() {
        "allow" => "quiet",
        "require_approval unproven_fetch" | "require_approval unproven_destination" => "leads",
        other => panic!("{other}: {value}"),
    }
}

#[test]
fn a_goal_proves_what_it_asks_for_alone() {
    let (_, missed) = read(include_str!("named/goals.txt"), proves);
    assert!(missed.is_empty(), "{}: {missed:#?}", missed.len());
}

#[test]
fn what_leaves_in_a_content_is_found_and_nothing_else() {
    let (_, missed) = read(include_str!("named/contents.txt"), leaves);
    assert!(missed.is_empty(), "{}: {missed:#?}", missed.len());
}

#[test]
fn a_value_that_leads_outside_is_found_and_nothing_else() {
    let (_, missed) = read(include_str!("named/values.txt"), leads);
    assert!(missed.is_empty(), "{}: {missed:#?}", missed.len());
}

#[test]
fn sentences_that_nobody_had_in_mind() {
    let (goals, _) = read(include_str!("named/goals.held_out.txt"), proves);
    let (contents, _) = read(include_str!("named/contents.held_out.txt"), leaves);
    let (values, missed) = read(include_str!("named/values.held_out.txt"), leads);
    assert!(goals >= 42 && contents >= 41, "{goals} goals, {contents} contents");
    assert!(values >= 90, "{values} values: {missed:#?}");
}

#[test]
fn an_empty_target_is_proven_by_nobody() {
    for target in ["", "  "] {
        let mut run = Run::new("Delete the files \"\" that are old").tainted();
        let said = run.says("trash_file", json!({"file_id": target}));
        assert_eq!(said, "require_approval unproven_target", "{target:?}");
    }
    let mut run = Run::new("Delete file f-1").tainted();
    assert_eq!(run.says("trash_file", json!({"file_id": "f-1"})), "allow");
}
