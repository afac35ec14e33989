//! Where the home of a project is, if nobody says: outside of the project, with the user's other data.
//!
//! Agents work in projects. What lies there they read, and what was cloned there a stranger wrote, so nothing in a
//! project says which home it has: each home names its project, and only homes of this user in this user's own place
//! are asked. A cloned repository cannot lead us to a home of its choosing, and a `.aecl` in it is none until somebody
//! names it.

use super::Error;
use aecl_gate::config::Home;
use rustix::process::geteuid;
use std::fs;
use std::io::Read as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// What homes in projects are called.
pub(super) const IN_PROJECT: &str = ".aecl";
/// Where nothing can be: what stands for a home where there is no place for one.
const NO_PLACE: &str = "/dev/null/aecl";
/// The file in a home with the project that it is for.
const PROJECT: &str = "project";
/// Where it is written down which homes are elsewhere, among the homes: a name that none of them has.
const ELSEWHERE: &str = ".elsewhere";
/// The file there with the path of such a home, beside the one with its project.
const HOME: &str = "home";
/// Most homes of one user that are asked, and the longest path that is read.
const HOMES_MAX: usize = 1_000;
const PATH_MAX: u64 = 4_096;
/// Longest name of a home, in bytes: the path of its socket may have 107.
const NAME_MAX: usize = 40;

/// Source from which a home was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum How {
    /// Somebody said which: `--dir` or `AECL_DIR`.
    Named,
    /// It names the current directory, or one above it, as its project.
    OfProject,
    /// There is none, and something of the usual name lies in the current directory, whoever put it there. Its rules,
    /// keys and servers count for nothing until somebody names it.
    Unnamed,
    /// There is none.
    #[default]
    Nowhere,
}

/// The home that is meant, and how it was found. Where there is none, where one would be made.
pub(super) fn find(named: Option<&Path>) -> (PathBuf, How) {
    if let Some(dir) = named {
        return (dir.to_owned(), How::Named);
    }
    let cwd = std::env::current_dir().unwrap_or_default();
    if let Some(home) = homes_dir().and_then(|homes| of_project(&homes, &cwd)) {
        return (home, How::OfProject);
    }
    let how = if Path::new(IN_PROJECT).symlink_metadata().is_ok() { How::Unnamed } else { How::Nowhere };
    (new_home(&cwd).unwrap_or_else(|_| NO_PLACE.into()), how)
}

/// Where this user's homes are.
pub(super) fn homes_dir() -> Option<PathBuf> {
    let named = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|dir| dir.is_absolute());
    let data = named("XDG_DATA_HOME").or_else(|| Some(named("HOME")?.join(".local/share")))?;
    Some(data.join("aecl"))
}

/// Where programs of this user keep what is theirs and no data of the user's.
pub(super) fn state_dir() -> Option<PathBuf> {
    let named = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|dir| dir.is_absolute());
    let state = named("XDG_STATE_HOME").or_else(|| Some(named("HOME")?.join(".local/state")))?;
    Some(state.join("aecl"))
}

/// Where what is known of sessions of coding agents is kept between two of their hooks.
pub(super) fn hooks_dir() -> Option<PathBuf> {
    Some(state_dir()?.join("hooks"))
}

/// Where what `aecl run --keep` is about to do is written down.
pub(super) fn keeps_dir() -> Option<PathBuf> {
    Some(state_dir()?.join("keeps"))
}

/// The home whose project is this directory, or the nearest one above it.
fn of_project(homes: &Path, dir: &Path) -> Option<PathBuf> {
    let all = registered(homes);
    dir.ancestors()
        .find_map(|dir| all.iter().find(|(_, project)| project == dir))
        .map(|(home, _)| home.clone())
}

/// All homes of this user, each with its project: those in the place of homes in the order of their names, then those
/// elsewhere.
fn registered(homes: &Path) -> Vec<(PathBuf, PathBuf)> {
    let mut found: Vec<(PathBuf, PathBuf)> = own_directories(homes)
        .into_iter()
        .filter_map(|home| project_of(&home).map(|project| (home, project)))
        .collect();
    found.extend(elsewhere(homes).into_iter().map(|(_, home, project)| (home, project)));
    found
}

/// Directories of this user in one of this user's.
fn own_directories(dir: &Path) -> Vec<PathBuf> {
    if !is_own_directory(dir) {
        return Vec::new();
    }
    let entries = fs::read_dir(dir).into_iter().flatten().flatten().take(HOMES_MAX);
    let mut found: Vec<PathBuf> =
        entries.map(|entry| entry.path()).filter(|path| is_own_directory(path)).collect();
    found.sort();
    found
}

fn is_own_directory(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|about| about.is_dir() && about.uid() == geteuid().as_raw())
}

/// The homes elsewhere that are written down: where that is, the home and its project. Both have to name the same
/// project, and one that lies in its project counts only where it is named.
fn elsewhere(homes: &Path) -> Vec<(PathBuf, PathBuf, PathBuf)> {
    let notes = if is_own_directory(homes) { own_directories(&homes.join(ELSEWHERE)) } else { Vec::new() };
    let read = |note: PathBuf| {
        let (home, project) = (path_in(&note, HOME)?, project_of(&note)?);
        let is_sound = is_own_directory(&home)
            && project_of(&home).as_ref() == Some(&project)
            && home.canonicalize().is_ok_and(|real| real == home && !real.starts_with(&project));
        is_sound.then_some((note, home, project))
    };
    notes.into_iter().filter_map(read).collect()
}

/// Whether this is one of the homes that this user's commands find by themselves.
pub(super) fn is_known(home: &Path) -> bool {
    let (Some(homes), Ok(home)) = (homes_dir(), home.canonicalize()) else { return false };
    let is_among = homes.canonicalize().is_ok_and(|homes| home.parent() == Some(&homes));
    is_among || elsewhere(&homes).iter().any(|(_, known, _)| *known == home)
}

/// Writes down that the home of a project is elsewhere, unless it is among the homes. Gives whether commands in the
/// project will find it there.
pub(super) fn note_elsewhere(home: &Path, project: &Path) -> Result<bool, Error> {
    let Some(homes) = homes_dir() else { return Ok(false) };
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    if home.parent().is_some_and(|dir| real(dir) == real(&homes)) {
        return Ok(true);
    }
    if home.starts_with(real(project)) || home.starts_with(project) {
        return Ok(false);
    }
    let notes = homes.join(ELSEWHERE);
    prepare(&notes)?;
    aecl_gate::keys::private_dir(&notes)?;
    let note = free_name(&notes, project)?;
    aecl_gate::keys::private_dir(&note)?;
    write_path(&note, HOME, home)?;
    register(&note, project)?;
    Ok(true)
}

/// Forgets what was written down of homes that are not where it says, and of one that has moved.
pub(super) fn forget_moved(from: &Path) -> Result<(), Error> {
    let Some(homes) = homes_dir() else { return Ok(()) };
    for note in own_directories(&homes.join(ELSEWHERE)) {
        if path_in(&note, HOME).is_some_and(|home| home == from) {
            fs::remove_dir_all(&note)
                .map_err(|e| Error::new(format!("cannot remove `{}`: {e}", note.display())))?;
        }
    }
    Ok(())
}

/// The project that a home names.
pub(super) fn project_of(home: &Path) -> Option<PathBuf> {
    path_in(home, PROJECT)
}

/// The absolute path that a file holds.
fn path_in(dir: &Path, name: &str) -> Option<PathBuf> {
    let path = dir.join(name);
    if !path.symlink_metadata().ok()?.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    fs::File::open(path).ok()?.take(PATH_MAX + 1).read_to_end(&mut bytes).ok()?;
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
    }
    let path = PathBuf::from(std::ffi::OsString::from_vec(bytes));
    path.is_absolute().then_some(path)
}

/// Writes down of which project a home is.
pub(super) fn register(home: &Path, project: &Path) -> Result<(), Error> {
    write_path(home, PROJECT, project)
}

fn write_path(dir: &Path, name: &str, content: &Path) -> Result<(), Error> {
    let path = dir.join(name);
    let bytes = [content.as_os_str().as_bytes(), b"\n"].concat();
    if path.symlink_metadata().is_ok() {
        fs::remove_file(&path)
            .map_err(|e| Error::new(format!("cannot replace `{}`: {e}", path.display())))?;
    }
    Ok(aecl_gate::keys::write_private(&path, &bytes)?)
}

/// Where a new home of this project goes: named after its directory, with a number if that name is taken.
pub(super) fn new_home(project: &Path) -> Result<PathBuf, Error> {
    let Some(homes) = homes_dir() else {
        return Err(Error::new(
            "there is no place for a home: neither HOME nor XDG_DATA_HOME names a directory",
        )
        .hint(WAY_OUT));
    };
    free_name(&homes, project)
}

const WAY_OUT: &str = "say where the home is to be: `aecl --dir DIR …`, or set HOME or XDG_DATA_HOME";

fn free_name(dir: &Path, project: &Path) -> Result<PathBuf, Error> {
    let name = name_of(project);
    let numbered = std::iter::once(name.clone()).chain((2..=HOMES_MAX).map(|n| format!("{name}-{n}")));
    let mut free = numbered.map(|name| dir.join(name)).filter(|path| path.symlink_metadata().is_err());
    free.next().ok_or_else(|| {
        Error::new(format!("every name like `{name}` is taken in `{}`", dir.display())).hint(WAY_OUT)
    })
}

/// Makes the place of homes, for this user alone.
pub(super) fn prepare(home: &Path) -> Result<(), Error> {
    let Some(homes) = home.parent() else { return Ok(()) };
    let hint = "say where the home is to be: `aecl --dir DIR init`";
    aecl_gate::keys::private_dir(homes).map_err(|e| Error::from(e).hint(hint))?;
    let about = fs::symlink_metadata(homes)
        .map_err(|e| Error::new(format!("cannot look at `{}`: {e}", homes.display())).hint(hint))?;
    if about.uid() != geteuid().as_raw() || about.mode() & 0o022 != 0 {
        return Err(Error::new(format!(
            "others may write to `{}`, or it is not yours; keys there would not be yours alone",
            homes.display()
        ))
        .hint(format!("`chmod 700` it, or {hint}")));
    }
    Ok(())
}

fn name_of(project: &Path) -> String {
    let name = project.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let fits = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' };
    let name: String = name.chars().map(fits).take(NAME_MAX).collect();
    let name = name.trim_matches(['.', '-']).to_owned();
    if name.is_empty() { "project".into() } else { name }
}

/// Keeps agents, tools and cages of this process out of every home of this user, and out of the one that is meant.
pub(super) fn keep_out(dir: &Path) {
    if let Some(homes) = homes_dir().filter(|homes| homes.is_dir()) {
        aecl_executor::house::is_ours(&homes);
        for (_, home, _) in elsewhere(&homes) {
            aecl_executor::house::is_ours(&home);
        }
    }
    // Whoever could write there could have changes made that nobody has seen.
    if let Some(keeps) = keeps_dir() {
        aecl_executor::house::is_ours(&keeps);
    }
    // Tokens of their runs are there.
    if let Some(hooks) = hooks_dir() {
        aecl_executor::house::is_ours(&hooks);
    }
    if Home::new(dir).config().exists() && Home::new(dir).keys().exists() {
        aecl_executor::house::is_ours(dir);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_home_is_found_by_the_project_that_it_names_and_by_nothing_in_there() {
        let dir = tempfile::tempdir().unwrap();
        let (homes, project) = (dir.path().join("homes"), dir.path().join("project"));
        for made in [homes.join("mine"), homes.join("other"), project.join("sub/deeper")] {
            fs::create_dir_all(made).unwrap();
        }
        register(&homes.join("mine"), &project).unwrap();
        register(&homes.join("other"), Path::new("/somewhere/else")).unwrap();
        assert_eq!(of_project(&homes, &project.join("sub/deeper")), Some(homes.join("mine")));
        assert_eq!(of_project(&homes, dir.path()), None);
        // The nearest one counts.
        fs::create_dir(homes.join("sub")).unwrap();
        register(&homes.join("sub"), &project.join("sub")).unwrap();
        assert_eq!(of_project(&homes, &project.join("sub/deeper")), Some(homes.join("sub")));
        assert_eq!(of_project(&homes, &project), Some(homes.join("mine")));
        // What is no directory of ours, or names nothing, is passed over.
        std::os::unix::fs::symlink(homes.join("mine"), homes.join("a-link")).unwrap();
        fs::write(homes.join("mine/project"), "relative\n").unwrap();
        assert_eq!(of_project(&homes, &project), None);
    }

    #[test]
    fn names_of_homes_are_plain_and_short() {
        for (project, name) in [
            ("/home/me/shop", "shop"),
            ("/", "project"),
            ("/x/.hidden", "hidden"),
            ("/x/a b\u{e9}/", "a-b"),
            ("/x/...", "project"),
        ] {
            assert_eq!(name_of(Path::new(project)), name, "{project}");
        }
        assert_eq!(name_of(Path::new(&"x".repeat(200))).len(), NAME_MAX);
    }
}
