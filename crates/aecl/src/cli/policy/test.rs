//! `aecl policy test`: each example on its own, and the rules that none of them reaches.

use super::check;
use crate::cli::show::{self, Page, Table, Tone, count};
use crate::cli::{Common, Error, Exit, Result};
use aecl_analysis::examples::Tried;
use aecl_analysis::what_if::{WhatIf, try_examples};
use aecl_gate::config::Home;
use aecl_gate::loader;
use aecl_kernel::record::decision::Verdict;
use serde_json::json;
use std::path::PathBuf;

pub(super) fn run(common: &Common, dir: Option<PathBuf>, strict: bool) -> Result {
    let dir = dir.unwrap_or_else(|| Home::new(&common.dir).policy());
    let sources = loader::sources(&dir)
        .map_err(|e| Error::from(e).hint("a bundle is a directory; `aecl init` writes a first one"))?;
    let trial = match try_examples(sources) {
        Ok((_, trial)) => trial,
        Err(problems) => return check::refused(common, &dir, &problems),
    };
    if trial.examples.is_empty() {
        show::say(
            "hint: write examples to examples/*.yaml: name, agent, action, arguments, expect; docs/guides/policy.md",
        );
    }
    let fails = trial.failed().next().is_some() || (strict && trial.unreached().next().is_some());
    if common.json {
        let (failed, unreached) = (trial.failed().count(), trial.unreached().count());
        show::print_json(&json!({
            "passed": trial.examples.len() - failed, "failed": failed, "rules": trial.rules.len(),
            "unreached": unreached, "trial": trial,
        }));
    } else {
        page(&trial).print();
    }
    Ok(if fails { Exit::Failed } else { Exit::Done })
}

fn page(trial: &WhatIf) -> Page {
    let mut page = Page::new();
    let mut table = Table::new(&["", "EXAMPLE", "AGENT", "ACTION", "DECISION"]);
    for example in &trial.examples {
        let (tone, word) = if example.passed { (Tone::Good, "ok") } else { (Tone::Bad, "wrong") };
        table.row(vec![
            (tone, word.into()),
            (Tone::Plain, example.name.clone()),
            (Tone::Quiet, example.agent.to_string()),
            (Tone::Plain, example.action.clone()),
            (Tone::Plain, decision(example)),
        ]);
    }
    if !trial.examples.is_empty() {
        page.table(&table);
    }
    for wrong in trial.failed() {
        page.field("wrong", &format!("`{}` ({}): {}", wrong.name, wrong.path, wrong.reason));
    }
    for rule in trial.unreached() {
        page.field("not reached", &format!("{}: {}", rule.id, rule.says));
    }
    let (failed, unreached) = (trial.failed().count(), trial.unreached().count());
    let (all, rules) = (trial.examples.len(), trial.rules.len());
    page.line(format!(
        "{}, {} wrong; {} of {} reached.",
        count(all, "example"),
        failed,
        rules - unreached,
        count(rules, "rule")
    ));
    page
}

fn decision(example: &Tried) -> String {
    let with = |verdict: Verdict, code: Option<&str>| match code {
        Some(code) => format!("{} ({code})", super::word(verdict).1),
        None => super::word(verdict).1.to_owned(),
    };
    let got = with(example.got, example.got_code.map(|c| c.as_str()));
    if example.passed {
        return got;
    }
    format!("{got}, must be {}", with(example.expected, example.expected_code.as_deref()))
}
