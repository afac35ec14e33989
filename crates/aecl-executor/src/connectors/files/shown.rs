//! What people are shown of a change before they say yes to it: for each file what happens to it, and the lines that
//! differ from what is there. Only they are shown it: it has the target's own words in it.

use super::difference::{Room, difference};
use super::plan::{FilePlan, PlannedFile};
use super::{FilesError, FilesSpec, work};
use crate::call::Call;
use crate::house::without_keys;
use std::time::{Duration, Instant};

/// Most lines of one file where there are few files, and fewest where there are many.
const LINES_MAX: usize = 200;
const LINES_MIN: usize = 20;
/// Most lines of all files together, unless that leaves one of them less than the fewest.
const LINES_OF_ALL: usize = 2_000;
/// Room for one line. Of what differs in it and is longer, both ends are shown.
const ROOM: Room = Room { long: 1_000, part: Some(1_000) };
/// Most bytes of all lines together.
const BYTES_MAX: usize = 512 << 10;
/// How long files are compared, and how long they are looked at in all, in milliseconds.
const COMPARED_MS: u64 = 2_000;
const LOOKED_AT_MS: u64 = 5_000;

/// Files that an action would change, as far as we have read it ourselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ShownFiles {
    /// It changes no files, as far as anybody has declared.
    #[default]
    None,
    /// These.
    Changes(Vec<ShownFile>),
    /// As things are it would change nothing, and why.
    Cannot(String),
    /// Files, but of a server that reads them itself: what is there is not known here.
    Elsewhere(String),
}

/// Change of one file, as a person is shown it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownFile {
    /// Where it is.
    pub path: String,
    /// `created`, `changed` or `deleted`.
    pub what: &'static str,
    /// What people should know of it.
    pub marks: Vec<String>,
    /// Why it acts by itself, if it does.
    pub special: Option<String>,
    /// How many lines come, and how many go.
    pub lines: Option<(usize, usize)>,
    /// The difference. The first character of an entry says what it is: `@` a place, ` ` a line that stays, `-` one that
    /// goes, `+` one that comes, `…` how much is left out, `\` a word of ours about the line before.
    pub difference: Vec<String>,
}

/// Looks at what a call would change.
pub(crate) async fn shown(call: &Call) -> ShownFiles {
    let call = Call { timeout_ms: call.timeout_ms.min(LOOKED_AT_MS), ..call.clone() };
    let looking = work(&call, |_, spec, plan, go_on| files(spec, plan, go_on));
    // A disk that does not answer keeps its thread, and nobody who looks at a card.
    match tokio::time::timeout(Duration::from_millis(LOOKED_AT_MS + COMPARED_MS), looking).await {
        Ok(Ok(files)) => ShownFiles::Changes(files),
        Ok(Err(error)) => ShownFiles::Cannot(error.to_string()),
        Err(_) => ShownFiles::Cannot(FilesError::Late(LOOKED_AT_MS).to_string()),
    }
}

fn files(
    spec: &FilesSpec,
    plan: &FilePlan<'_>,
    go_on: &dyn Fn() -> Result<(), FilesError>,
) -> Result<Vec<ShownFile>, FilesError> {
    let start = Instant::now();
    let mut files: Vec<_> = plan.files().collect();
    // Whoever hides one file among many puts it where nobody looks.
    files.sort_by_key(|file| (file.special().is_none(), !file.becomes_executable()));
    let most = (LINES_OF_ALL / files.len().max(1)).clamp(LINES_MIN, LINES_MAX);
    let mut left = BYTES_MAX;
    let mut out = Vec::with_capacity(files.len());
    for file in files {
        go_on()?;
        let special = file.special();
        let mut shown = ShownFile {
            path: file.path().to_owned(),
            what: file.what(),
            marks: file.marks().into_iter().filter(|mark| special.as_ref() != Some(mark)).collect(),
            special,
            lines: None,
            difference: Vec::new(),
        };
        let is_late = start.elapsed() > Duration::from_millis(COMPARED_MS);
        if is_late || left == 0 {
            let why = if is_late { "comparing took too long" } else { "the others fill the card" };
            shown.difference.push(format!("…its difference is left out: {why}"));
        } else {
            compare(&file, spec.bytes_max as u64, most, &mut shown)?;
            let bytes: usize = shown.difference.iter().map(String::len).sum();
            left = left.saturating_sub(bytes);
        }
        out.push(shown);
    }
    Ok(out)
}

fn compare(
    file: &PlannedFile<'_>,
    bytes_max: u64,
    most: usize,
    shown: &mut ShownFile,
) -> Result<(), FilesError> {
    let (old, new) = match file.texts(bytes_max)? {
        // Keys of ours are shown to nobody, wherever they were left.
        Ok((old, new)) => (without_keys(&old).into_owned(), without_keys(&new).into_owned()),
        Err((before, after)) => {
            shown.difference.push(format!("\\no text: {before} bytes before and {after} bytes after"));
            return Ok(());
        }
    };
    let found = difference(&old, &new, ROOM);
    shown.lines = Some((found.comes, found.goes));
    shown.difference = both_ends(found.entries, most);
    Ok(())
}

/// Both ends of what is too long, with what is left out between them in numbers.
fn both_ends(mut all: Vec<String>, most: usize) -> Vec<String> {
    if all.len() <= most {
        return all;
    }
    let tail = all.split_off(all.len() - most / 2);
    let cut = all.split_off(most / 2);
    let of = |sign: char| cut.iter().filter(|entry| entry.starts_with(sign)).count();
    let (comes, goes) = (of('+'), of('-'));
    all.push(format!("…{} lines are left out here: {comes} that come, {goes} that go", cut.len()));
    all.extend(tail);
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake;
    use aecl_kernel::base::digest::Digest;
    use aecl_kernel::define::connector::ConnectorSpec;
    use serde_json::{Value, json};
    use std::fs;

    fn call(root: &std::path::Path, changes: &Value) -> Call {
        let mut call = fake::call("apply", &json!({ "changes": changes }).to_string());
        let root = root.to_owned();
        call.connector = ConnectorSpec::Files(FilesSpec { root, files_max: 500, bytes_max: 4 << 20 });
        call
    }

    /// What is shown where one file of this content becomes another.
    async fn between(old: &[u8], new: &str) -> ShownFile {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a"), old).unwrap();
        let changes = json!([{"path": "a", "before": Digest::of(old), "after": {"text": new}}]);
        match shown(&call(dir.path(), &changes)).await {
            ShownFiles::Changes(mut files) if files.len() == 1 => files.remove(0),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn lines_that_come_and_go_stand_beside_those_that_stay() {
        let file = between(b"a\nb\nc\nd\ne\nf\ng\nh\n", "a\nb\nc\nD\ne\nf\ng\nh").await;
        assert_eq!((file.what, file.lines), ("changed", Some((2, 2))));
        assert_eq!(
            file.difference,
            [
                "@lines 1 to 8",
                " a",
                " b",
                " c",
                "-d",
                "+D",
                " e",
                " f",
                " g",
                "-h",
                "+h",
                "\\no line break at the end"
            ]
        );
        let binary = between(&[0xff, 0], "x").await;
        assert_eq!(binary.difference, ["\\no text: 2 bytes before and 1 bytes after"]);
    }

    #[tokio::test]
    async fn what_is_too_long_shows_both_ends_and_how_much_is_left_out() {
        let many: String = (0..5_000).map(|n| format!("line {n}\n")).collect();
        let file = between(b"x\n", &many).await;
        assert_eq!(file.lines, Some((5_000, 1)));
        assert_eq!(file.difference.len(), LINES_MAX + 1);
        assert_eq!(file.difference[100], "…4802 lines are left out here: 4802 that come, 0 that go");
        assert_eq!(file.difference.last().unwrap(), "+line 4999");
        let file = between(b"", &format!("begin{}end\n", "é".repeat(9_000))).await;
        assert_eq!(file.difference[2], "…8008 characters of this line are left out");
        assert!(file.difference[1].starts_with("+begin") && file.difference[3].ends_with("end"));
        let all: usize = file.difference.iter().map(String::len).sum();
        assert!(all < 3_000, "{all}");
    }

    /// A reader who splits at line breaks would take the second half of such a line for one of its own.
    #[tokio::test]
    async fn nothing_in_a_file_passes_for_another_line() {
        let file = between(b"safe\r+evil\n", "safe\r+evil\n…9 lines are left out here\n").await;
        assert!(file.difference.iter().all(|entry| !entry.contains('\n')), "{file:?}");
        assert!(file.difference.contains(&"+…9 lines are left out here".to_owned()), "{file:?}");
        assert_eq!(file.difference.iter().filter(|entry| entry.starts_with('+')).count(), 1);
        assert!(file.difference.iter().any(|entry| entry.contains("carriage return alone")), "{file:?}");
    }

    #[tokio::test]
    async fn what_acts_by_itself_is_not_hidden_behind_many_others() {
        let dir = tempfile::tempdir().unwrap();
        let text: String = (0..400).map(|n| format!("{n}\n")).collect();
        let mut changes: Vec<Value> =
            (0..499).map(|n| json!({"path": format!("f{n}"), "after": {"text": text}})).collect();
        changes.push(
            json!({"path": ".git/hooks/pre-commit", "after": {"text": "#!/bin/sh\n", "executable": true}}),
        );
        let ShownFiles::Changes(files) = shown(&call(dir.path(), &json!(changes))).await else { panic!() };
        assert_eq!((files.len(), files[0].path.as_str()), (500, ".git/hooks/pre-commit"));
        assert!(files[0].special.is_some() && files[0].difference.contains(&"+#!/bin/sh".to_owned()));
        assert!(files.iter().all(|file| (1..=LINES_MIN + 1).contains(&file.difference.len())));
    }

    #[tokio::test]
    async fn where_nothing_would_be_done_nothing_is_shown_as_done() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a"), "another").unwrap();
        std::os::unix::fs::symlink("/etc", dir.path().join("way")).unwrap();
        for (changes, why) in [
            (
                json!([{"path": "a", "before": Digest::of(b"x"), "after": {"text": "y"}}]),
                "not as the change expects",
            ),
            (json!([{"path": "a", "after": {"text": "y"}}]), "not as the change expects"),
            (
                json!([{"path": "way/passwd", "before": Digest::of(b"x"), "after": {"text": "y"}}]),
                "symbolic link",
            ),
            (json!([{"path": "../a", "after": {"text": "y"}}]), "`../a`"),
        ] {
            match shown(&call(dir.path(), &changes)).await {
                ShownFiles::Cannot(said) => assert!(said.contains(why), "{said}"),
                other => panic!("{other:?}"),
            }
        }
    }
}
