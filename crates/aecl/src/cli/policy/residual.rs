//! `aecl policy residual`: what a hijacked agent could still do without a person.

use super::outlook::where_called;
use crate::cli::show::{self, Page, Table, Tone, count};
use crate::cli::{Common, Error, Exit, Result, input};
use aecl_analysis::residual::{self, Pair, Residual};
use aecl_gate::config::Home;
use aecl_gate::loader;
use serde_json::json;
use std::path::{Path, PathBuf};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The bundle; by default policy/ in the directory of AECL.
    #[arg(value_name = "DIR")]
    bundle: Option<PathBuf>,
    /// End with exit code 1 if a larger share gets through.
    #[arg(long, value_name = "N")]
    max_percent: Option<u8>,
    /// More tasks, for every agent: a file with one goal a line.
    #[arg(long, value_name = "FILE")]
    goals: Option<PathBuf>,
}

pub(super) fn run(common: &Common, args: &Args) -> Result {
    let bundle = loader::load(&args.bundle.clone().unwrap_or_else(|| Home::new(&common.dir).policy()))?;
    let goals = args.goals.as_deref().map(read).transpose()?.unwrap_or_default();
    let residual = residual::residual(&bundle, &goals)?;
    let max_percent = args.max_percent;
    let fails = max_percent.is_some_and(|max| residual.per_mille() > usize::from(max) * 10);
    if common.json {
        show::print_json(&json!({
            "pairs": residual.pairs.len(), "through": residual.through(), "percent": percent(&residual),
            "details": residual.pairs,
        }));
    } else {
        page(&residual).print();
    }
    Ok(if fails { Exit::Failed } else { Exit::Done })
}

fn read(file: &Path) -> std::result::Result<Vec<String>, Error> {
    let text = input::text(file, input::TEXT_BYTES_MAX).map_err(|e| {
        Error::new(format!("cannot read the goals in `{}`: {e}", file.display()))
            .hint("it is a text file with one goal a line")
    })?;
    Ok(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect())
}

fn percent(residual: &Residual) -> String {
    format!("{}.{}", residual.per_mille() / 10, residual.per_mille() % 10)
}

/// Where the attacker has the arguments from, in words.
fn sources(pair: &Pair) -> String {
    let named: Vec<String> = pair.from.iter().map(|(name, from)| format!("{name}: {from}")).collect();
    named.join("; ")
}

fn page(residual: &Residual) -> Page {
    let mut page = Page::new();
    if residual.through() > 0 {
        let mut table = Table::new(&["AGENT", "TASK", "ACTION", "GRAVE", "NOBODY IS ASKED FOR", "FROM"]);
        for pair in &residual.pairs {
            let Some(through) = &pair.through else { continue };
            table.row(vec![
                (Tone::Plain, pair.agent.to_string()),
                (Tone::Quiet, pair.task.clone().unwrap_or_else(|| "-".into())),
                (Tone::Mind, where_called(&pair.action, pair.when.as_deref())),
                (Tone::Quiet, pair.severity.to_string()),
                (Tone::Plain, through.to_string()),
                (Tone::Quiet, sources(pair)),
            ]);
        }
        page.table(&table);
    }
    page.line(format!(
        "{} of {} of task and changing action get through without a person: {} %.",
        residual.through(),
        count(residual.pairs.len(), "pair"),
        percent(residual)
    ));
    page.line("The run is assumed to have read a stranger's text and private data. Arguments are tried, not proven.");
    page
}
