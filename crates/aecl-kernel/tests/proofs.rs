//! What a label of an output proves, as the page of manifests says it: its table is read and tried cell by cell.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use aecl_kernel::define::catalogue::flow::{Class, Endorses};
use aecl_kernel::policy::bundle::Bundle;
use aecl_kernel::policy::problem::Source;
use aecl_kernel::provenance::proof::{Backing, suffices};
use aecl_kernel::record::facts::EDITION;
use serde_json::{Value, json};

const PAGE: &str = include_str!("../../../docs/reference/manifest.md");

/// Whether a label alone, or one whose record the goal names, is enough.
fn said(action: &str, class: Class, by: Endorses, actions: &Bundle) -> &'static str {
    let typed = actions.catalogue().find(action).unwrap();
    let proves = |named| suffices(class, typed, EDITION, &[Backing { by, how: None, named }]);
    match (proves(false), proves(true)) {
        (true, true) => "proves",
        (false, true) => "if named",
        (false, false) => "",
        (true, false) => panic!("a record that is named proves less: {action} {class:?} {by:?}"),
    }
}

fn actions() -> Bundle {
    let action = |name: &str, effect: &str, back: &str, severity: u8| {
        json!({"name": name, "effect": effect, "reversibility": back, "severity": severity,
               "arguments": {"type": "object", "properties": {"what": {"type": "string"}}}})
    };
    let all: Value = json!([
        action("plain", "write", "reversible", 2),
        action("grave", "write", "reversible", 3),
        action("deleted", "delete", "reversible", 2),
        action("final", "write", "irreversible", 2),
    ]);
    let source = Source { path: "actions/all.json".into(), text: all.to_string() };
    Bundle::assemble(vec![source]).unwrap().bundle
}

#[test]
fn a_label_proves_what_the_page_of_manifests_says() {
    let actions = actions();
    let (_, table) = PAGE.split_once("| a value of | where it goes |").unwrap();
    let rows: Vec<Vec<&str>> = table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    assert_eq!(rows.len(), 4);
    for row in rows {
        let by: Endorses = serde_json::from_value(json!(row[0].trim_matches('`'))).unwrap();
        for class in [Class::DestEmail, Class::DestAccount, Class::DestName, Class::DestUrl] {
            let of = |action| said(action, class, by, &actions);
            assert!(of("final") == of("plain") && of("deleted") == of("plain"), "{row:?} {class:?}");
            let goes = match (of("plain"), of("grave")) {
                (one, other) if one == other => one.to_owned(),
                (plain, grave) => format!("{plain}; where that is grave: {grave}"),
            };
            assert_eq!(row[1], goes, "{row:?} {class:?}");
        }
        for class in [Class::TargetId, Class::TargetName, Class::TargetPath] {
            let cells =
                ["plain", "grave", "deleted", "final"].map(|action| said(action, class, by, &actions));
            assert_eq!(row[2..], cells, "{class:?}");
        }
    }
}
