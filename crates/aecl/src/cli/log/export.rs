//! `aecl log export`.

use super::source::Source;
use crate::cli::show::{self, Page, Percent, Tone};
use crate::cli::{Common, Error, Exit, Result};
use aecl_ledger::{Progress, export};
use serde_json::json;
use std::path::PathBuf;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where to; what is there already is continued, and never overwritten.
    #[arg(value_name = "TO")]
    to: PathBuf,
    /// Also write arguments, outputs and goals. They may be personal.
    #[arg(long)]
    payloads: bool,
}

pub(super) fn run(common: &Common, args: &Args) -> Result {
    let mut source = Source::open(common)?;
    let mut percent = Percent::new(common);
    let mut progress = |p: Progress| percent.tell(p.done, p.total);
    let exported = export(source.store(), &args.to, args.payloads, &mut progress);
    drop(percent);
    let exported = exported.map_err(|e| {
        Error::new(e.to_string())
            .hint("an export is continued in its own directory, or begun in an empty one")
    })?;
    if common.json {
        show::print_json(&json!({"to": args.to.display().to_string(), "exported": exported}));
        return Ok(Exit::Done);
    }
    let mut page = Page::new();
    let word = page.word(Tone::Good, "Exported");
    page.line(format!(
        "{word}: {} entries to {}",
        exported.entries,
        show::inert_line(&args.to.display().to_string())
    ));
    page.field(
        "new",
        &format!(
            "{} entries, {} files, {} payloads",
            exported.entries - exported.before,
            exported.files,
            exported.payloads
        ),
    );
    page.print();
    show::say(&format!("hint: verify it anywhere with `aecl log verify {} --key KEY`", args.to.display()));
    Ok(Exit::Done)
}
