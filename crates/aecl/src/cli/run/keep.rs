//! What a command changed, shown to a person and then made for good: all that was shown, or nothing.

use super::Args;
use super::terminal::{Answer, Terminal};
use crate::cli::Error;
use crate::cli::show::{self, inert_line};
use aecl_executor::connectors::files::{Changes, FilePlan, FilesError, KeepJournals};
use aecl_executor::connectors::process::Views;
use aecl_kernel::define::connector::process::{AccessSpec, ProcessSpec, ViewSpec};
use serde_json::{Value, json};

/// What became of the changes.
pub(super) struct Kept {
    /// The directories whose changes were kept.
    pub places: Vec<String>,
    /// Nothing that the command changed was left out or refused.
    pub is_all: bool,
    /// Why not.
    pub why_not: Option<String>,
}

impl Default for Kept {
    fn default() -> Self {
        Self { places: Vec::new(), is_all: true, why_not: None }
    }
}

impl Kept {
    fn nothing(why: impl Into<String>) -> Self {
        Self { places: Vec::new(), is_all: false, why_not: Some(why.into()) }
    }
}

/// Lines of differences that are shown where nobody can ask for more.
const LINES_MAX: usize = 2_000;

/// Files that are listed by name before the differences.
const LISTED_MAX: usize = 40;

/// The changes of each writable view.
pub(super) fn changes<'a>(
    told: &Value,
    spec: &'a ProcessSpec,
) -> Result<Vec<(&'a ViewSpec, Changes)>, Error> {
    let mut all = Vec::new();
    for view in &spec.views {
        let place = view.at.display().to_string();
        let Some(found) = told.get("changes").and_then(|all| all.get(&place)) else { continue };
        let changes: Changes = serde_json::from_value(json!({ "changes": found }))
            .map_err(|e| Error::new(format!("the changes in `{}` cannot be read: {e}", view.at.display())))?;
        if !changes.changes.is_empty() {
            all.push((view, changes));
        }
    }
    Ok(all)
}

/// How many things below writable views were not taken along.
fn left_out(told: &Value, spec: &ProcessSpec) -> usize {
    let views = || spec.views.iter().filter(|view| view.access == AccessSpec::Overlay);
    let refused = told.get("refused").and_then(Value::as_array).into_iter().flatten();
    let paths = refused.filter_map(|refused| refused.get("path").and_then(Value::as_str));
    paths.filter(|path| views().any(|view| std::path::Path::new(path).starts_with(&view.at))).count()
}

/// Shows the changes, asks, and makes them for good.
pub(super) fn keep(
    args: &Args,
    told: &Value,
    spec: &ProcessSpec,
    views: &Views,
    journals: &KeepJournals,
    terminal: Option<Terminal>,
) -> Result<Kept, Error> {
    let missing = left_out(told, spec);
    if missing > 0 && !args.keep_partial {
        let things = show::count(missing, "thing");
        return Ok(Kept::nothing(format!(
            "nothing was kept: {things} that the command changed cannot be; `--keep-partial` keeps the rest, \
             `--keep-max-files` and `--keep-max-mib` take more along"
        )));
    }
    let all = changes(told, spec)?;
    if all.is_empty() {
        return Ok(Kept { is_all: missing == 0, ..Kept::default() });
    }
    let go_on = || Ok(());
    let bytes_max = usize::try_from(spec.limits.collected_max_kib << 10).unwrap_or(usize::MAX);
    let mut plans = Vec::with_capacity(all.len());
    for (view, changes) in all {
        let place = match views.place(&view.at) {
            Some(Ok(place)) => place,
            Some(Err(why)) => return Ok(Kept::nothing(format!("nothing was kept: {why}"))),
            None => continue,
        };
        let files_max = changes.changes.len();
        match FilePlan::of(place, changes, files_max, bytes_max, &go_on) {
            Ok(plan) => plans.push(Planned { source: view.source.display().to_string(), plan }),
            Err(why) => return Ok(Kept::nothing(format!("nothing was kept: {why}"))),
        }
    }
    let shown = Shown::of(&plans, missing);
    if args.yes {
        if !shown.special.is_empty() && !args.keep_special {
            shown.special.iter().for_each(|line| show::say(line));
            return Ok(Kept::nothing(
                "nothing was kept: `--yes` does not cover what acts by itself; look at it, and say `--keep-special`, or \
                 keep it from a terminal without `--yes`",
            ));
        }
    } else if let Some(why) = ask(&plans, &shown, bytes_max as u64, terminal)? {
        return Ok(why);
    }
    Ok(make(journals, &plans, missing))
}

fn make(journals: &KeepJournals, plans: &[Planned<'_>], missing: usize) -> Kept {
    let all: Vec<&FilePlan<'_>> = plans.iter().map(|planned| &planned.plan).collect();
    let (place, error) = match journals.make(&all) {
        Ok(()) => {
            let places = plans.iter().map(|planned| planned.source.clone()).collect();
            return Kept { places, is_all: missing == 0, why_not: None };
        }
        Err((place, error)) => (place, error),
    };
    let place = place.map_or_else(String::new, |place| format!(" in {}", place.display()));
    Kept::nothing(match error {
        FilesError::Half(..) => format!("not all was kept{place}: {error}; `aecl run --recover` finishes it"),
        _ => format!("nothing was kept{place}: {error}"),
    })
}

/// Asks whoever is at the terminal. Gives what to say if the changes are not to be kept.
fn ask(
    plans: &[Planned<'_>],
    shown: &Shown,
    bytes_max: u64,
    terminal: Option<Terminal>,
) -> Result<Option<Kept>, Error> {
    let lines = match differences(plans, bytes_max) {
        Ok(lines) => lines,
        Err(why) => return Ok(Some(Kept::nothing(format!("nothing was kept: {why}")))),
    };
    let Some(mut terminal) = terminal else {
        shown
            .lines
            .iter()
            .chain(&shown.special)
            .chain(lines.iter().take(LINES_MAX))
            .for_each(|line| show::say(line));
        if lines.len() > LINES_MAX {
            show::say(&format!("… and {} more lines", lines.len() - LINES_MAX));
        }
        return Err(Error::new("nobody is here to ask").hint("`--yes` keeps without asking"));
    };
    let io = |e: std::io::Error| Error::new(format!("the terminal does not answer: {e}"));
    let answer = terminal.ask(&shown.lines, &shown.special, &shown.short, &lines).map_err(io)?;
    Ok(match answer {
        Answer::Yes => None,
        Answer::No => {
            terminal.say("aecl: nothing was kept").map_err(io)?;
            Some(Kept::default())
        }
        Answer::Noise => {
            Some(Kept::nothing("nothing was kept: the terminal is never quiet, so nobody can be asked"))
        }
    })
}

/// The changes of one directory.
struct Planned<'a> {
    source: String,
    plan: FilePlan<'a>,
}

/// What is said of all of them before they are shown one by one.
struct Shown {
    /// How many, and their names.
    lines: Vec<String>,
    /// Those that need a look of their own.
    special: Vec<String>,
    /// The same in one line.
    short: String,
}

impl Shown {
    fn of(plans: &[Planned<'_>], missing: usize) -> Self {
        let (mut lines, mut special) = (Vec::new(), Vec::new());
        let (mut all, mut executable) = (0_usize, 0_usize);
        for Planned { source, plan } in plans {
            let mut count = std::collections::BTreeMap::<&str, usize>::new();
            let mut names = Vec::new();
            for file in plan.files() {
                all += 1;
                *count.entry(file.what()).or_default() += 1;
                let name = inert_line(&format!("{source}/{}", file.path()));
                if let Some(why) = file.special() {
                    special.push(format!("! {} {name}: {}", file.what(), inert_line(&why)));
                } else if file.becomes_executable() {
                    executable += 1;
                    names.insert(0, format!("  {} {name} (it can be run)", file.what()));
                } else {
                    names.push(format!("  {} {name}", file.what()));
                }
            }
            let words: Vec<_> = count.iter().map(|(what, many)| format!("{many} {what}")).collect();
            lines.push(format!(
                "aecl: the command changed files in {}: {}",
                inert_line(source),
                words.join(", ")
            ));
            let more = names.len().saturating_sub(LISTED_MAX);
            lines.extend(names.into_iter().take(LISTED_MAX));
            if more > 0 {
                lines.push(format!("  and {more} more, which the differences name"));
            }
        }
        let mut short = show::count(all, "change");
        let words =
            [(executable, "that can be run now"), (special.len(), "that act by themselves (marked with !)")];
        for (many, what) in words.into_iter().filter(|(many, _)| *many > 0) {
            short.push_str(&format!(", {many} {what}"));
        }
        if missing > 0 {
            short.push_str(&format!("; {} left out", show::count(missing, "thing")));
        }
        Self { lines, special, short }
    }
}

/// All differences as lines, which a terminal only shows. They are no more than a few times what was collected.
fn differences(plans: &[Planned<'_>], bytes_max: u64) -> Result<Vec<String>, FilesError> {
    let mut lines = Vec::new();
    for Planned { source, plan } in plans {
        for file in plan.files() {
            let mark = if file.special().is_some() { "! " } else { "" };
            lines.push(inert_line(&format!("{mark}{} {source}/{}", file.what(), file.path())));
            lines.extend(file.difference(bytes_max)?.iter().map(|line| inert_line(line)));
        }
    }
    Ok(lines)
}
