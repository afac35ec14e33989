//! The law of changed files, for one case: whatever somebody hostile does to a directory before, while and after changes
//! are looked at, what is changed in the end is what was shown, or nothing. A test of properties makes cases up, and so
//! does a fuzzer.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use aecl_executor::connectors::files::{Change, Changes, Content, FilePlan, FilesError, FormerKind};
use aecl_executor::root_dir::{PathState, RootDir};
use aecl_kernel::base::digest::Digest;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::Path;

/// Something that somebody else does to the directory. Paths are of few names, so that they meet.
#[derive(Clone, Debug)]
pub enum Deed {
    Write(String),
    Mkdir(String),
    Symlink(String, String),
    Rename(String, String),
    HardLink(String, String),
    Canary(String),
    Remove(String),
    Fifo(String),
}

/// What is asked for: at each path this, or nothing.
pub type Asked = Vec<(String, Option<Content>)>;

/// Changes, and what somebody hostile does before they are looked at, after that, and while they are written.
#[derive(Clone, Debug)]
pub struct Case {
    pub first: Vec<Deed>,
    pub asked: Asked,
    pub after_the_look: Vec<Deed>,
    pub while_writing: Vec<Deed>,
}

/// A directory with a root, and something outside of it.
pub fn ground(top: &Path) {
    fs::create_dir(top.join("root")).unwrap();
    fs::create_dir(top.join("outside")).unwrap();
    fs::write(top.join("outside/canary"), "canary").unwrap();
}

/// Whoever is hostile here stays in the test's own directory, whatever links there are.
fn act(top: &Path, number: usize, deed: &Deed) {
    let top = top.canonicalize().unwrap();
    let at = |path: &str| {
        let path = top.join("root").join(path);
        let (parent, name) = (path.parent()?.canonicalize().ok()?, path.file_name()?);
        parent.starts_with(&top).then(|| parent.join(name))
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

fn holds(is_so: bool, why: impl FnOnce() -> String) -> Result<(), String> {
    if is_so { Ok(()) } else { Err(why()) }
}

/// One case of the law. Whether the changes were made, or how it was broken.
pub fn keeps_the_law(top: &Path, case: &Case) -> Result<bool, String> {
    let top = &top.canonicalize().unwrap();
    let root = top.join("root");
    for (number, deed) in case.first.iter().enumerate() {
        act(top, number, deed);
    }
    // Somebody may have moved it away.
    let Ok(place) = RootDir::open_strict(&root) else { return Ok(false) };
    let asked = case.asked.iter().cloned();
    let changes: Vec<Change> =
        asked.filter_map(|(path, after)| change(&place, &root, &path, after)).collect();
    let shown: BTreeMap<String, Option<Content>> =
        changes.iter().map(|change| (change.path.clone(), change.after.clone())).collect();
    let before_the_look = everything(top);
    let plan = FilePlan::of(&place, Changes { changes }, 100, 10_000, &|| Ok(()));
    holds(everything(top) == before_the_look, || "looking changed something".into())?;
    let Ok(plan) = plan else { return Ok(false) };
    for (number, deed) in case.after_the_look.iter().enumerate() {
        act(top, 100 + number, deed);
    }
    // Whoever is hostile may make names like ours.
    let litter = left(top);
    let (next, last) = (Cell::new(0), RefCell::new(everything(top)));
    let go_on = || {
        if let Some(deed) = case.while_writing.get(next.get()) {
            act(top, 200 + next.get(), deed);
            next.set(next.get() + 1);
        }
        *last.borrow_mut() = everything(top);
        Ok(())
    };
    let made = plan.make("law", &go_on);
    let (before, now) = (last.into_inner(), everything(top));
    match &made {
        Err(error) => {
            holds(!matches!(error, FilesError::Half(..)), || error.to_string())?;
            holds(now == before, || format!("refused ({error}), and changed"))?;
        }
        Ok(()) => only_what_was_shown(&shown, &before, &now)?,
    }
    // What somebody has moved away with its directory is not found again.
    let new: Vec<String> = left(top).into_iter().filter(|path| !litter.contains(path)).collect();
    holds(new.is_empty() || !case.while_writing.is_empty(), || format!("litter: {new:?}"))?;
    Ok(made.is_ok())
}

fn only_what_was_shown(
    shown: &BTreeMap<String, Option<Content>>,
    before: &BTreeMap<String, Is>,
    now: &BTreeMap<String, Is>,
) -> Result<(), String> {
    for (path, after) in shown {
        let is = now.get(&format!("root/{path}"));
        holds(is_as_wanted(is, after.as_ref()), || format!("{path}: {is:?} for {after:?}"))?;
    }
    let is_shown = |path: &str| path.strip_prefix("root/").is_some_and(|path| shown.contains_key(path));
    let is_above = |path: &str| {
        let below = format!("{path}/");
        shown.iter().any(|(shown, after)| after.is_some() && format!("root/{shown}").starts_with(&below))
    };
    for (path, is) in before {
        holds(is_shown(path) || now.get(path) == Some(is), || format!("{path} was not shown, and changed"))?;
    }
    for (path, is) in now {
        let is_new_parent = matches!(is, Is::Directory { .. }) && is_above(path);
        holds(before.contains_key(path) || is_shown(path) || is_new_parent, || {
            format!("{path} was not shown, and is new")
        })?;
    }
    Ok(())
}

/// What is left of changes that are over.
fn left(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_str().unwrap().starts_with(".aecl-change-") {
            found.push(path.display().to_string());
        }
        if fs::symlink_metadata(&path).unwrap().is_dir() {
            found.extend(left(&path));
        }
    }
    found
}
