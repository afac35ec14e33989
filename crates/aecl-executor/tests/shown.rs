//! The law of changed files: whatever somebody hostile does to a directory before, while and after changes are looked
//! at, what is changed in the end is what was shown, or nothing.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use aecl_executor::connectors::files::{Change, Changes, Content, FilePlan, FilesError, FormerKind};
use aecl_executor::root_dir::{PathState, RootDir};
use aecl_kernel::digest::Digest;
use proptest::collection::vec;
use proptest::prelude::*;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::Path;

/// Something that somebody else does to the directory. Paths are of few names, so that they meet.
#[derive(Clone, Debug)]
enum Deed {
    Write(String),
    Mkdir(String),
    Symlink(String, String),
    Rename(String, String),
    HardLink(String, String),
    Canary(String),
    Remove(String),
    Fifo(String),
}

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

/// Whoever is hostile here stays in the test's own directory, whatever links there are.
fn act(top: &Path, number: usize, deed: &Deed) {
    let top = top.canonicalize().unwrap();
    let at = |path: &str| {
        let path = top.join("root").join(path);
        let parent = path.parent().unwrap().canonicalize().ok()?;
        parent.starts_with(&top).then(|| parent.join(path.file_name().unwrap()))
    };
    let both = |one: &str, other: &str| Some((at(one)?, at(other)?));
    // What cannot be done is not done; somebody hostile tries on.
    let _ = match deed {
        Deed::Write(path) => at(path).map(|path| {
            let aim = path.canonicalize().ok();
            let is_ours = match &aim {
                Some(aim) => aim.is_file() && aim.starts_with(&top),
                None => fs::symlink_metadata(&path).is_err(),
            };
            if is_ours { fs::write(aim.unwrap_or(path), format!("theirs {number}\n")) } else { Ok(()) }
        }),
        Deed::Mkdir(path) => at(path).map(fs::create_dir),
        Deed::Symlink(to, path) => {
            let outside = top.join("outside");
            let to = if to == "OUTSIDE" { outside } else { to.into() };
            at(path).map(|path| symlink(to, path))
        }
        Deed::Rename(from, to) => both(from, to).map(|(from, to)| fs::rename(from, to)),
        Deed::HardLink(from, to) => both(from, to).map(|(from, to)| fs::hard_link(from, to)),
        Deed::Canary(path) => at(path).map(|path| fs::hard_link(top.join("outside/canary"), path)),
        Deed::Remove(path) => at(path).map(|path| fs::remove_file(&path).or_else(|_| fs::remove_dir(&path))),
        Deed::Fifo(path) => at(path).map(|path| {
            let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR);
            rustix::fs::mknodat(rustix::fs::CWD, path, kind, mode, 0).map_err(Into::into)
        }),
    };
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Is {
    File { bytes: Vec<u8>, mode: u32, inode: u64 },
    Link(Vec<u8>),
    Directory { mode: u32 },
    Other(u64),
}

/// Everything below a directory, by path, no link followed; without what is on its way to its place.
fn everything(top: &Path) -> BTreeMap<String, Is> {
    fn add(dir: &Path, top: &Path, all: &mut BTreeMap<String, Is>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(top).unwrap().to_str().unwrap().to_owned();
            if name.contains(".aecl-change-") {
                continue;
            }
            let about = fs::symlink_metadata(&path).unwrap();
            let mode = about.mode() & 0o7777;
            if about.is_dir() {
                all.insert(name, Is::Directory { mode });
                add(&path, top, all);
            } else if about.is_symlink() {
                all.insert(
                    name,
                    Is::Link(fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes()),
                );
            } else if about.is_file() {
                all.insert(name, Is::File { bytes: fs::read(&path).unwrap(), mode, inode: about.ino() });
            } else {
                all.insert(name, Is::Other(about.ino()));
            }
        }
    }
    let mut all = BTreeMap::new();
    add(top, top, &mut all);
    all
}

/// A change of what is at a path, as somebody would propose it who has looked.
fn change(place: &RootDir, root: &Path, path: &str, after: Option<Content>) -> Option<Change> {
    // Below a link, something can only be made if the link goes with the same changes.
    let (before, was) = match place.look(path).unwrap_or(PathState::Nothing) {
        PathState::Nothing if after.is_none() => return None,
        PathState::Nothing => (None, None),
        PathState::File(_) => (Some(Digest::of(&fs::read(root.join(path)).unwrap())), None),
        PathState::Link(_, target) => (Some(Digest::of(&target)), Some(FormerKind::Link)),
        // What is in it would have to go as well.
        PathState::Directory(_) if fs::read_dir(root.join(path)).unwrap().next().is_some() => return None,
        PathState::Directory(_) if after.as_ref().is_some_and(|after| after.directory) => return None,
        PathState::Directory(_) => (None, Some(FormerKind::Directory)),
        PathState::Other(..) => return None,
    };
    Some(Change { path: path.to_owned(), before, was, after })
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

fn is_as_wanted(now: Option<&Is>, after: Option<&Content>) -> bool {
    match (now, after) {
        (None, None) => true,
        // Whoever takes a file away may make a directory of its name by putting something into it.
        (Some(Is::Directory { .. }), None) => true,
        (Some(Is::File { bytes, mode, .. }), Some(content)) => {
            content.text.as_ref().is_some_and(|text| text.as_bytes() == bytes)
                && content.mode.as_ref().is_none_or(|said| u32::from_str_radix(said, 8) == Ok(*mode))
                && content.executable.is_none_or(|executable| executable == (mode & 0o111 != 0))
        }
        (Some(Is::Link(target)), Some(content)) => {
            content.link.as_ref().is_some_and(|link| link.as_bytes() == target.as_slice())
        }
        (Some(Is::Directory { .. }), Some(content)) => content.directory,
        _ => false,
    }
}

type Asked = Vec<(String, Option<Content>)>;

/// One case of the law.
fn keeps_the_law(
    first: &[Deed],
    asked: Asked,
    after_the_look: &[Deed],
    while_writing: &[Deed],
    made_so_far: &Cell<u32>,
) -> Result<(), TestCaseError> {
    let top = tempfile::tempdir().unwrap();
    let root = top.path().join("root");
    fs::create_dir(&root).unwrap();
    fs::create_dir(top.path().join("outside")).unwrap();
    fs::write(top.path().join("outside/canary"), "canary").unwrap();
    for (number, deed) in first.iter().enumerate() {
        act(top.path(), number, deed);
    }
    let place = RootDir::open(&root).unwrap();
    let changes: Vec<Change> =
        asked.into_iter().filter_map(|(path, after)| change(&place, &root, &path, after)).collect();
    let shown: BTreeMap<String, Option<Content>> =
        changes.iter().map(|change| (change.path.clone(), change.after.clone())).collect();
    let before_the_look = everything(top.path());
    let plan = FilePlan::of(&place, Changes { changes }, 100, 10_000, &|| Ok(()));
    prop_assert_eq!(&everything(top.path()), &before_the_look, "looking changes nothing");
    let Ok(plan) = plan else { return Ok(()) };
    for (number, deed) in after_the_look.iter().enumerate() {
        act(top.path(), 100 + number, deed);
    }
    let (next, last) = (Cell::new(0), RefCell::new(everything(top.path())));
    let go_on = || {
        if let Some(deed) = while_writing.get(next.get()) {
            act(top.path(), 200 + next.get(), deed);
            next.set(next.get() + 1);
        }
        *last.borrow_mut() = everything(top.path());
        Ok(())
    };
    let made = plan.make("law", &go_on);
    let (before, now) = (last.into_inner(), everything(top.path()));
    match made {
        Err(error) => {
            prop_assert!(!matches!(error, FilesError::Half(..)), "{error}");
            prop_assert_eq!(&now, &before, "refused ({}), and changed", error);
        }
        Ok(()) => {
            made_so_far.set(made_so_far.get() + 1);
            for (path, after) in &shown {
                let is = now.get(&format!("root/{path}"));
                prop_assert!(is_as_wanted(is, after.as_ref()), "{path}: {is:?} for {after:?}");
            }
            let is_shown =
                |path: &str| path.strip_prefix("root/").is_some_and(|path| shown.contains_key(path));
            let is_above = |path: &str| {
                let below = format!("{path}/");
                shown
                    .iter()
                    .any(|(shown, after)| after.is_some() && format!("root/{shown}").starts_with(&below))
            };
            for (path, is) in &before {
                prop_assert!(
                    is_shown(path) || now.get(path) == Some(is),
                    "{path} was not shown, and changed"
                );
            }
            for (path, is) in &now {
                let is_new_parent = matches!(is, Is::Directory { .. }) && is_above(path);
                prop_assert!(
                    before.contains_key(path) || is_shown(path) || is_new_parent,
                    "{path} was not shown, and is new"
                );
            }
        }
    }
    // What somebody has moved away with its directory is not found again.
    let left = walk(top.path());
    prop_assert!(left.is_empty() || !while_writing.is_empty(), "litter: {left:?}");
    Ok(())
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
        keeps_the_law(&first, asked, &after_the_look, &while_writing, &made)?;
    });
    // A law about nothing would hold as well.
    assert!(made.get() > cases / 10, "only {} of {cases} were made", made.get());
}

/// What is left of changes that are over.
fn walk(dir: &Path) -> Vec<String> {
    let mut left = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_str().unwrap().starts_with(".aecl-change-") {
            left.push(path.display().to_string());
        }
        if fs::symlink_metadata(&path).unwrap().is_dir() {
            left.extend(walk(&path));
        }
    }
    left
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
