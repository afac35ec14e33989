//! `aecl policy check`.

use crate::cli::doctor::reach;
use crate::cli::doctor::tenants::Boundary;
use crate::cli::show::{self, Page, Tone, count};
use crate::cli::{Common, Error, Exit, Result};
use aecl_gate::config::Home;
use aecl_gate::{GateError, loader};
use aecl_kernel::base::evidence::Reach;
use aecl_kernel::define::catalogue::Reversibility;
use aecl_kernel::policy::bundle::Bundle;
use aecl_kernel::policy::problem::BundleProblem;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

pub(super) fn run(common: &Common, dir: Option<PathBuf>, strict: bool) -> Result {
    // A bundle somewhere else is nobody's yet.
    let boundary = if dir.is_none() { boundary(common) } else { None };
    let dir = dir.unwrap_or_else(|| Home::new(&common.dir).policy());
    match loader::load(&dir) {
        Ok(bundle) => loads(common, &dir, &bundle, boundary, strict),
        Err(GateError::Bundle(problems)) => refused(common, &dir, &problems),
        Err(error) => Err(Error::from(error).hint("a bundle is a directory; `aecl init` writes a first one")),
    }
}

/// What somebody should look at. Nothing that is bearable and meant, which `aecl policy lint` lists all the same:
///
/// - An imported tool, or one that says itself that it is irreversible, names no way back: a person is asked each time.
/// - A wildcard covers what a server adds later, as long as all that it covers is imported: what is new asks a person the
///   first time.
pub(in crate::cli) fn doubtful(bundle: &Bundle) -> Vec<BundleProblem> {
    let own = own_names(bundle);
    let says_irreversible = |name: &str| {
        let typed = bundle.catalogue().find(name);
        typed.is_some_and(|typed| typed.manifest.reversibility == Some(Reversibility::Irreversible))
    };
    let accepted = |problem: &BundleProblem| {
        if let Some(prefix) = wildcard(&problem.message) {
            return !own.iter().any(|name| name.starts_with(prefix));
        }
        let bare =
            problem.message.contains(" names no compensation").then(|| problem.message.split('`').nth(1));
        bare.flatten().is_some_and(|name| problem.path.starts_with("actions/mcp-") || says_irreversible(name))
    };
    bundle.warnings().iter().filter(|problem| !accepted(problem)).cloned().collect()
}

/// What the wildcard of a warning stands behind, such as `SERVER.`; nothing if it is about something else, or about
/// `*`, which covers everything that anybody ever adds.
fn wildcard(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("`allowed_actions` has the wildcard `")?;
    rest.split_once('`')?.0.strip_suffix('*').filter(|prefix| !prefix.is_empty())
}

/// The actions that people have written. An import brings files of its own.
fn own_names(bundle: &Bundle) -> BTreeSet<String> {
    let imports = bundle.sources().iter().filter(|source| source.path.starts_with("actions/mcp-"));
    let entries = imports.filter_map(|source| serde_json::from_str::<Value>(&source.text).ok());
    let imported: BTreeSet<String> = entries
        .flat_map(|entries| entries.as_array().cloned().unwrap_or_default())
        .filter_map(|entry| entry.get("name")?.as_str().map(str::to_owned))
        .collect();
    let all = bundle.catalogue().iter().map(|(name, _)| name.to_string());
    all.filter(|name| !imported.contains(name)).collect()
}

/// Whether keys are for tenants that nobody has meant them for.
fn boundary(common: &Common) -> Option<BundleProblem> {
    let home = Home::new(&common.dir);
    // A configuration that cannot be read is for `aecl doctor`.
    let (found, todo) = Boundary::of(&home, &home.read().ok()?).warning()?;
    Some(BundleProblem { path: "aecl.yaml".into(), message: format!("{found}; {todo}"), fatal: false })
}

fn loads(
    common: &Common,
    dir: &Path,
    bundle: &Bundle,
    boundary: Option<BundleProblem>,
    strict: bool,
) -> Result {
    let mut warnings = doubtful(bundle);
    warnings.extend(boundary);
    // What only the file system of this host can tell.
    warnings.extend(reach::shown(bundle).into_iter().map(|(what, reach)| BundleProblem {
        path: "actions".into(),
        message: match reach {
            Reach::Into => format!("{what} is of AECL's own directory, so it is refused whenever it is used"),
            Reach::Around | Reach::Unseen => {
                format!("{what} contains AECL's own directory, which is covered there")
            }
        },
        fatal: false,
    }));
    let rules = bundle.sources().iter().filter(|s| s.path.ends_with(".cedar")).count();
    let (agents, actions) = (bundle.agents().count(), bundle.catalogue().iter().count());
    let fails = strict && !warnings.is_empty();
    if common.json {
        show::print_json(&json!({
            "loads": true, "dir": dir.display().to_string(), "bundle": bundle.hash(), "agents": agents,
            "actions": actions, "rule_files": rules, "examples": bundle.examples(),
            "problems": problems_json(&warnings),
        }));
    } else {
        let mut page = Page::new();
        list(&mut page, &warnings);
        let (tone, word) = if fails { (Tone::Mind, "doubtful") } else { (Tone::Good, "loads") };
        let word = page.word(tone, word);
        page.line(format!("{} {word}", show::inert_line(&dir.display().to_string())));
        page.field(
            "has",
            &format!(
                "{}, {}, {}, {} as they must",
                count(agents, "agent"),
                count(actions, "action"),
                count(rules, "rule file"),
                count(bundle.examples(), "example"),
            ),
        );
        page.field("warnings", &warnings.len().to_string());
        page.field("hash", &bundle.hash().to_string());
        page.print();
    }
    Ok(if fails { Exit::Failed } else { Exit::Done })
}

pub(super) fn refused(common: &Common, dir: &Path, problems: &[BundleProblem]) -> Result {
    if common.json {
        show::print_json(&json!({
            "loads": false, "dir": dir.display().to_string(), "code": "bundle_invalid",
            "problems": problems_json(problems),
        }));
        return Ok(Exit::Failed);
    }
    let mut page = Page::new();
    list(&mut page, problems);
    let fatal = problems.iter().filter(|p| p.fatal).count();
    let word = page.word(Tone::Bad, "does not load");
    page.line(format!("{} {word}: {}", show::inert_line(&dir.display().to_string()), count(fatal, "error")));
    page.print();
    show::say(
        "hint: a running AECL keeps the bundle that it has until this one loads; `aecl help bundle_invalid` says more",
    );
    Ok(Exit::Failed)
}

fn list(page: &mut Page, problems: &[BundleProblem]) {
    // What stops it comes last, where the eye is.
    for fatal in [false, true] {
        for problem in problems.iter().filter(|p| p.fatal == fatal) {
            let (tone, word) = if fatal { (Tone::Bad, "error") } else { (Tone::Mind, "warning") };
            let word = page.word(tone, word);
            page.line(format!(
                "{word}: {}: {}",
                show::inert_line(&problem.path),
                show::inert(&problem.message)
            ));
        }
    }
}

fn problems_json(problems: &[BundleProblem]) -> Value {
    problems
        .iter()
        .map(|p| json!({"file": p.path, "message": p.message, "severity": if p.fatal { "error" } else { "warning" }}))
        .collect()
}
