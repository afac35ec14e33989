//! `aecl policy lint`: what loads and is still doubtful.

use crate::cli::show::{self, Page, Tone, count};
use crate::cli::{Common, Exit, Result};
use aecl_analysis::lint::{LINTS, Lint, lint};
use aecl_gate::config::Home;
use aecl_gate::loader;
use serde_json::json;
use std::path::PathBuf;

pub(super) fn run(common: &Common, dir: Option<PathBuf>, allow: &[String], strict: bool) -> Result {
    for name in allow {
        if !LINTS.iter().any(|(lint, ..)| lint == name) {
            let near = aecl_kernel::define::catalogue::nearest(name, LINTS.iter().map(|(lint, ..)| *lint));
            let near = near.map_or_else(String::new, |n| format!("; did you mean `{n}`?"));
            let known: Vec<&str> = LINTS.iter().map(|(lint, ..)| *lint).collect();
            return Err(crate::cli::Error::new(format!(
                "there is no lint `{}`{near}",
                show::inert_line(name)
            ))
            .hint(format!("known are {}", known.join(", "))));
        }
    }
    let bundle = loader::load(&dir.unwrap_or_else(|| Home::new(&common.dir).policy()))?;
    let mut found = lint(&bundle);
    found.retain(|lint| !allow.iter().any(|name| name == lint.lint));
    let warnings = found.iter().filter(|l| l.warning).count();
    if common.json {
        show::print_json(&json!({"warnings": warnings, "notes": found.len() - warnings, "lints": found}));
    } else {
        page(&found, warnings).print();
    }
    let fails = warnings > 0 || (strict && !found.is_empty());
    Ok(if fails { Exit::Failed } else { Exit::Done })
}

fn page(found: &[Lint], warnings: usize) -> Page {
    let mut page = Page::new();
    // What probably is a mistake comes last, where the eye is.
    for warning in [false, true] {
        for lint in found.iter().filter(|l| l.warning == warning) {
            let (tone, word) = if warning { (Tone::Mind, "warning") } else { (Tone::Quiet, "note") };
            let word = page.word(tone, word);
            page.line(format!(
                "{word} [{}]: {}: {}",
                lint.lint,
                show::inert_line(&lint.path),
                show::inert(&lint.message)
            ));
        }
    }
    page.line(format!("{}, {}.", count(warnings, "warning"), count(found.len() - warnings, "note")));
    page
}
