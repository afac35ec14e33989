//! The law of changed files: whatever somebody hostile does to a directory before, while and after changes are looked
//! at, what is changed in the end is what was shown, or nothing.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

#[path = "shown/law.rs"]
mod law;

use aecl_executor::connectors::files::{Change, Changes, Content, FilePlan, FilesError};
use aecl_executor::root_dir::RootDir;
use law::{Case, Deed, ground, keeps_the_law};
use proptest::collection::vec;
use proptest::prelude::*;
use std::cell::Cell;
use std::fs;
use std::os::unix::fs::symlink;

/// Two spellings of one letter, two cases of another, and a name that is special.
const NAMES: [&str; 6] = ["a", "A", "\u{e4}", "a\u{308}", "d", ".git"];

fn path() -> impl Strategy<Value = String> {
    vec(prop::sample::select(NAMES.to_vec()), 1..4).prop_map(|parts| parts.join("/"))
}

fn target() -> impl Strategy<Value = String> {
    prop_oneof![
        path(),
        Just("../outside".to_owned()),
        Just("..".to_owned()),
        Just(".".to_owned()),
        Just("../../outside/canary".to_owned()),
        Just("OUTSIDE".to_owned()),
        path().prop_map(|path| format!("../{path}")),
    ]
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        3 => path().prop_map(Deed::Write),
        4 => path().prop_map(Deed::Mkdir),
        3 => (target(), path()).prop_map(|(to, at)| Deed::Symlink(to, at)),
        3 => (path(), path()).prop_map(|(from, to)| Deed::Rename(from, to)),
        1 => (path(), path()).prop_map(|(from, to)| Deed::HardLink(from, to)),
        1 => path().prop_map(Deed::Canary),
        2 => path().prop_map(Deed::Remove),
        1 => path().prop_map(Deed::Fifo),
    ]
}

fn content() -> impl Strategy<Value = Option<Content>> {
    prop_oneof![
        4 => Just(Some(Content::of(b"ours\n".to_vec(), None))),
        1 => Just(Some(Content::of(b"ours\n".to_vec(), Some(true)))),
        1 => Just(Some(Content::of(b"ours\n".to_vec(), None).with_mode(0o600))),
        1 => Just(Some(Content::link_to("../outside/canary".into()))),
        1 => Just(Some(Content::a_directory())),
        2 => Just(None),
    ]
}

#[test]
fn what_is_changed_is_what_was_shown_or_nothing() {
    let made = Cell::new(0);
    let cases = 400;
    proptest!(ProptestConfig::with_cases(cases), |(
        first in vec(deed(), 0..25),
        asked in vec((path(), content()), 1..6),
        after_the_look in vec(deed(), 0..4),
        while_writing in vec(deed(), 0..4),
    )| {
        let top = tempfile::tempdir().unwrap();
        ground(top.path());
        let case = Case { first, asked, after_the_look, while_writing };
        let is_made = keeps_the_law(top.path(), &case).map_err(TestCaseError::fail)?;
        made.set(made.get() + u32::from(is_made));
    });
    // A law about nothing would hold as well.
    assert!(made.get() > cases / 10, "only {} of {cases} were made", made.get());
}

fn asks_for(path: &str) -> Case {
    let asked = vec![(path.to_owned(), Some(Content::of(b"ours\n".to_vec(), None)))];
    Case { first: vec![], asked, after_the_look: vec![], while_writing: vec![] }
}

/// What waits to come to its place has a name, and somebody writes to it there.
#[test]
fn what_somebody_writes_into_what_waits_does_not_come_to_its_place() {
    let top = tempfile::tempdir().unwrap();
    ground(top.path());
    let waits = || Deed::Write(".aecl-change-law-1".into());
    let case = Case { while_writing: vec![Deed::Mkdir("d".into()), waits()], ..asks_for("a") };
    assert_eq!(keeps_the_law(top.path(), &case), Ok(false));
    assert!(!top.path().join("root/a").exists());
}

/// The directory itself goes somewhere else while changes of it are written.
#[test]
fn a_directory_that_is_moved_while_it_is_written_gets_nothing() {
    for content in [Content::a_directory(), Content::of(b"ours\n".to_vec(), None)] {
        let top = tempfile::tempdir().unwrap();
        ground(top.path());
        let moved = Deed::Rename(String::new(), "../elsewhere".into());
        let asked = vec![("a".to_owned(), Some(content))];
        let case = Case { asked, while_writing: vec![Deed::Mkdir("d".into()), moved], ..asks_for("a") };
        assert_eq!(keeps_the_law(top.path(), &case), Ok(false));
        assert!(!top.path().join("elsewhere/a").exists());
    }
}

/// A directory on the way is swapped for another, or for a link, between the look and the yes.
#[test]
fn a_directory_that_is_swapped_after_it_was_shown_gets_nothing() {
    let top = tempfile::tempdir().unwrap();
    let root = top.path().join("root");
    fs::create_dir_all(root.join("assets")).unwrap();
    fs::create_dir_all(root.join(".git/hooks")).unwrap();
    let place = RootDir::open(&root).unwrap();
    let new = Change::created("assets/pre-commit".into(), Content::of(b"x".to_vec(), Some(true)));
    let plan = FilePlan::of(&place, Changes { changes: vec![new] }, 9, 99, &|| Ok(())).unwrap();
    fs::remove_dir(root.join("assets")).unwrap();
    symlink(".git/hooks", root.join("assets")).unwrap();
    let error = plan.make("t", &|| Ok(())).unwrap_err();
    assert!(matches!(&error, FilesError::Link(at) if at == "assets"), "{error}");
    assert_eq!(fs::read_dir(root.join(".git/hooks")).unwrap().count(), 0);
    // The root itself.
    fs::rename(&root, top.path().join("away")).unwrap();
    symlink("away/.git", &root).unwrap();
    assert!(matches!(plan.make("t", &|| Ok(())).unwrap_err(), FilesError::Swapped(_)));
}
