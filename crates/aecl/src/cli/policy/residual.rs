//! `aecl policy residual`: what a hijacked agent could still do without a person.

use crate::cli::show::{self, Page, Table, Tone, count};
use crate::cli::{Common, Exit, Result};
use aecl_gate::config::Home;
use aecl_gate::loader;
use aecl_kernel::bundle::Residual;
use serde_json::json;
use std::path::PathBuf;

pub(super) fn run(common: &Common, dir: Option<PathBuf>, max_percent: Option<u8>) -> Result {
    let bundle = loader::load(&dir.unwrap_or_else(|| Home::new(&common.dir).policy()))?;
    let residual = bundle.residual()?;
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

fn percent(residual: &Residual) -> String {
    format!("{}.{}", residual.per_mille() / 10, residual.per_mille() % 10)
}

fn page(residual: &Residual) -> Page {
    let mut page = Page::new();
    if residual.through() > 0 {
        let mut table = Table::new(&["AGENT", "TASK", "ACTION", "NOBODY IS ASKED FOR"]);
        for pair in &residual.pairs {
            let Some(through) = &pair.through else { continue };
            table.row(vec![
                (Tone::Plain, pair.agent.to_string()),
                (Tone::Quiet, pair.task.clone().unwrap_or_else(|| "-".into())),
                (Tone::Mind, pair.action.to_string()),
                (Tone::Plain, through.to_string()),
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
