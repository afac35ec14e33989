//! `aecl catalog import --python`: functions of a program, as its library describes them.

use super::{Error, Exit, Result, told};
use crate::mcp::catalogue::{Function, Imported, import_functions};
use aecl_gate::config::Home;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Most bytes of what a program says of its functions.
const SAID_MAX: usize = 8 * 1024 * 1024;

/// Takes in what each word names. Each module has a file of its own.
pub(super) fn import(home: &Home, words: &[String], interpreter: Option<PathBuf>, as_json: bool) -> Result {
    let python = interpreter.unwrap_or_else(python);
    let mut modules: Vec<(&str, Vec<&str>)> = Vec::new();
    for word in words {
        let module = word.split(':').next().unwrap_or_default();
        let is_plain = module
            .split('.')
            .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'));
        if !is_plain {
            return Err(Error::new(format!("`{word}` names no module"))
                .hint("write it as `import` does: `shop.tools`, or `shop.tools:pay`"));
        }
        match modules.iter_mut().find(|(known, _)| *known == module) {
            Some((_, words)) => words.push(word),
            None => modules.push((module, vec![word])),
        }
    }
    // All are read before anything is written.
    let read: Vec<(&str, Vec<Function>)> = modules
        .into_iter()
        .map(|(module, words)| Ok((module, described(&python, &words)?)))
        .collect::<std::result::Result<_, Error>>()?;
    let mut is_whole = true;
    let mut all = Imported::default();
    for (module, functions) in read {
        let file = format!("python-{module}");
        let report = import_functions(home, &file, &functions)?;
        is_whole &= report.refused.is_empty();
        if as_json {
            all.added.extend(report.added);
            all.changed.extend(report.changed);
            all.refused.extend(report.refused);
            all.guessed.extend(report.guessed);
        } else {
            told(&report, &home.policy().join("actions").join(format!("{file}.json")), false);
        }
    }
    if as_json {
        told(&all, Path::new(""), true);
    } else if is_whole {
        eprintln!("`allowed_actions` in the manifest of an agent says who may use them");
    }
    Ok(if is_whole { Exit::Done } else { Exit::Failed })
}

/// The Python that most likely has the library and the program: of the active environment, beside this program, or on the path.
fn python() -> PathBuf {
    let of_environment = std::env::var_os("VIRTUAL_ENV").map(|dir| PathBuf::from(dir).join("bin/python"));
    let beside = std::env::current_exe().ok().and_then(|program| Some(program.parent()?.join("python")));
    let found = [of_environment, beside].into_iter().flatten().find(|path| path.is_file());
    found.unwrap_or_else(|| "python3".into())
}

/// What the library says of these functions. It imports their module from the present directory, as `python -m` does.
fn described(python: &Path, words: &[&str]) -> std::result::Result<Vec<Function>, Error> {
    let shown = python.display();
    let other = "`--interpreter` names another Python";
    let ended = Command::new(python)
        .args(["-m", "aecl.schema", "--json", "--"])
        .args(words)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| Error::new(format!("cannot start `{shown}`: {error}")).hint(other))?;
    if !ended.status.success() {
        let hint =
            format!("what `{shown}` said stands above; it needs the package `aecl` and the module; {other}");
        return Err(Error::new(format!("the functions cannot be read ({})", ended.status)).hint(hint));
    }
    if ended.stdout.len() > SAID_MAX {
        return Err(Error::new(format!("the functions take more than {SAID_MAX} bytes to describe")));
    }
    serde_json::from_slice(&ended.stdout).map_err(|error| {
        let hint = "the package `aecl` of that Python may be of another version than this program";
        Error::new(format!("what `{shown}` says of the functions does not read: {error}")).hint(hint)
    })
}
