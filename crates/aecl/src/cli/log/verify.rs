//! `aecl log verify`: nothing is believed but the pinned key.

use super::source;
use crate::cli::show::{self, Page, Percent, Tone, count};
use crate::cli::{Common, Error, Exit, Result, input};
use aecl_gate::config::Home;
use aecl_ledger::verify::{AuditFinding, AuditReport, FindingClass};
use aecl_ledger::{Auditor, Progress, verify_data_with_progress, verify_export_with_progress};
use aecl_proof::VerifierKey;
use serde_json::json;
use std::path::PathBuf;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// An exported directory; by default the ledger of this installation.
    #[arg(value_name = "EXPORT")]
    export: Option<PathBuf>,
    /// The pinned key, as `aecl log key` printed it once; by default the key in keys/.
    // It stands in the place of the global `--key`, which is no use here.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// A signed head of the past that somebody has kept: the ledger must continue it.
    #[arg(long, value_name = "FILE")]
    head: Option<PathBuf>,
    /// Do not compare arguments and outputs with what entries commit to.
    #[arg(long)]
    no_payloads: bool,
    /// Do not compare budgets, kill switches and all else that decisions are made from with the entries. It takes
    /// memory for all of it.
    #[arg(long)]
    no_facts: bool,
}

/// Most bytes of a head with all its signatures.
const HEAD_BYTES_MAX: u64 = 1 << 20;

pub(super) fn run(common: &Common, args: &Args) -> Result {
    // What AECL_KEY holds arrives here, too; a person's key says so itself.
    let pinned = args.key.as_deref().filter(|text| !text.starts_with("aecl_")).map(|text| {
        text.trim().parse::<VerifierKey>().map_err(|e| {
            Error::new(format!("this is no key: {e}")).hint("`aecl log key` prints it as `name+id+key`")
        })
    });
    let own = pinned.is_none();
    let key = match pinned {
        Some(key) => key?,
        None => source::own_key(common)?,
    };
    let read = |path: &PathBuf| {
        input::text(path, HEAD_BYTES_MAX)
            .map_err(|e| Error::new(format!("cannot read `{}`: {e}", path.display())))
    };
    let kept = args.head.as_ref().map(read).transpose()?;
    let mut auditor = Auditor::new(key.name(), key.clone());
    auditor.payloads = !args.no_payloads;
    auditor.facts = !args.no_facts;
    let mut percent = Percent::new(common);
    let mut progress = |p: Progress| percent.tell(p.done, p.total);
    let kept = kept.as_deref();
    let found = match &args.export {
        Some(dir) => verify_export_with_progress(dir, &auditor, kept, &mut progress),
        None => {
            source::Source::open(common)?;
            let place = Home::new(&common.dir).record()?;
            verify_data_with_progress(&*place, &auditor, kept, &mut progress)
        }
    };
    drop(percent);
    match found {
        Ok(report) => {
            if common.json {
                show::print_json(&json!({"verifies": true, "key": key.to_string(), "report": report}));
            } else {
                good(&report, &key, own);
            }
            Ok(Exit::Done)
        }
        Err(finding) => {
            if common.json {
                show::print_json(&json!({"verifies": false, "key": key.to_string(), "finding": finding}));
            } else {
                bad(&finding, &key);
            }
            Ok(Exit::Unverified)
        }
    }
}

fn good(report: &AuditReport, key: &VerifierKey, own: bool) {
    let mut page = Page::new();
    let n = usize::try_from(report.entries).unwrap_or(usize::MAX);
    let word = page.word(Tone::Good, "Verifies");
    page.line(format!(
        "{word}: {} of `{}`, nothing changed, dropped or moved up to this head.",
        count(n, "entry"),
        show::inert_line(&report.origin)
    ));
    page.field("root", &report.root);
    page.field("key", &key.to_string());
    match report.continues {
        Some(size) => page.field("continues", &format!("the kept head of {size} entries")),
        None => {
            page.field("continues", "not known; without `--head` nobody can know what came after this head")
        }
    };
    if let (Some(first), Some(last)) = (report.first_at, report.last_at) {
        page.field("from, to", &format!("{first}, {last}"));
    }
    page.field("decisions", &counts(&report.decisions));
    page.field("actions", &counts(&report.actions));
    let erased = report.payloads_erased;
    page.field(
        "payloads",
        &format!(
            "{} as committed, {} not there, {erased} erased on record",
            report.payloads, report.payloads_missing
        ),
    );
    if let Some(facts) = report.facts {
        page.field("facts", &format!("{facts}, as the entries say"));
    }
    for open in &report.open {
        page.field("open", &format!("{} is {} (entry {})", open.action, open.state, open.position));
    }
    for warning in &report.warnings {
        let word = page.word(Tone::Mind, "warning");
        page.line(format!("  {word}: entry {}: {}", warning.position, show::inert_line(&warning.what)));
    }
    if report.warnings_more > 0 {
        page.line(format!("  and {} more warnings", report.warnings_more));
    }
    page.print();
    if own {
        show::say(
            "hint: this was checked with the key that lies beside the ledger; an auditor pins it with --key",
        );
    }
}

fn counts(map: &std::collections::BTreeMap<String, u64>) -> String {
    let all: Vec<String> = map.iter().map(|(name, n)| format!("{n} {name}")).collect();
    if all.is_empty() { "none".into() } else { all.join(", ") }
}

fn bad(finding: &AuditFinding, key: &VerifierKey) {
    let mut page = Page::new();
    let word = page.word(Tone::Bad, "Does not verify");
    page.line(format!("{word}: {}", show::inert(&finding.to_string())));
    page.field("key", &key.to_string());
    page.print();
    show::say(match finding.class {
        FindingClass::Proof => {
            "hint: keep the files as they are; compare with an export or a head that somebody else has kept"
        }
        FindingClass::Story => {
            "hint: keep the files as they are; a newer AECL may have written kinds of entries that this one does not know"
        }
        FindingClass::Facts => {
            "hint: the entries themselves hold. Keep a copy of data/ and find out who changed it; `aecl log rebuild-facts` makes the facts anew"
        }
        FindingClass::Payloads => {
            "hint: the entries themselves hold. Keep a copy of data/ and find out who changed it; arguments and outputs come back from a backup or an export with payloads only"
        }
        FindingClass::Unreadable => "hint: check the path, the disk and who may read it",
    });
}
