//! `aecl policy simulate`: what was decided, decided again by another bundle. What newly passes comes first.

use crate::cli::log::source::Source;
use crate::cli::show::{self, Page, Tone, count};
use crate::cli::{Common, Error, Exit, Result};
use aecl_gate::loader;
use aecl_kernel::policy::bundle::Bundle;
use aecl_kernel::record::decision::Verdict;
use aecl_ledger::Export;
use aecl_ledger::replay::{self, Compared, DecisionChange};
use aecl_ledger::store::Store;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The bundle that is asked.
    #[arg(long, value_name = "DIR")]
    bundle: PathBuf,
    /// Take the history from an export instead of the ledger in use. It needs its payloads.
    #[arg(long, value_name = "DIR")]
    export: Option<PathBuf>,
    /// End with exit code 1 if anything would newly pass.
    #[arg(long)]
    strict: bool,
    /// How many counterexamples to show for each kind of change.
    #[arg(long, value_name = "N", default_value_t = 5)]
    show: usize,
}

/// Changes that are of one kind.
#[derive(Debug)]
struct Group<'a> {
    agent: &'a str,
    name: &'a str,
    was: Verdict,
    why: &'a str,
    changes: Vec<&'a DecisionChange>,
}

pub(super) fn run(common: &Common, args: &Args) -> Result {
    let bundle = loader::load(&args.bundle)?;
    let compared = match &args.export {
        Some(dir) => of_export(dir, &bundle)?,
        None => {
            let mut source = Source::open(common)?;
            let size = source.size()?;
            replay::against(source.store(), 0..size, &bundle)?
        }
    };
    let newly = |verdict| compared.changes.iter().filter(move |c| becomes(c, verdict)).count();
    let passes = newly(Verdict::Allow);
    if common.json {
        show::print_json(&json!({
            "decisions": compared.decisions, "newly_allowed": passes,
            "newly_held": newly(Verdict::RequireApproval), "newly_blocked": newly(Verdict::Block),
            "changes": compared.changes, "unavailable": compared.unavailable, "bundle": bundle.hash(),
        }));
    } else {
        page(&compared, args).print();
    }
    Ok(if args.strict && passes > 0 { Exit::Failed } else { Exit::Done })
}

fn of_export(dir: &Path, bundle: &Bundle) -> std::result::Result<Compared, Error> {
    let failed = |e| {
        Error::from(aecl_gate::GateError::from(aecl_ledger::LedgerError::from(e)))
            .hint("`aecl log export DIR --payloads` writes one")
    };
    let mut export = Export::open(dir).map_err(failed)?;
    let size = export.head().map_err(failed)?.size;
    Ok(replay::against(&mut export, 0..size, bundle)?)
}

/// Whether the verdict itself changes to this one; another reason for the same is no change of the outcome.
fn becomes(change: &DecisionChange, verdict: Verdict) -> bool {
    change.now.verdict == verdict && change.was.verdict != verdict
}

fn page(compared: &Compared, args: &Args) -> Page {
    let mut page = Page::new();
    let n = usize::try_from(compared.decisions).unwrap_or(usize::MAX);
    for (verdict, title, tone) in [
        (Verdict::Block, "Newly blocked", Tone::Good),
        (Verdict::RequireApproval, "Newly held for a person", Tone::Mind),
        (Verdict::Allow, "Newly passes", Tone::Bad),
    ] {
        let groups = groups(compared, verdict);
        if groups.is_empty() {
            continue;
        }
        let total: usize = groups.iter().map(|g| g.changes.len()).sum();
        page.toned(tone, &format!("{title}: {}", count(total, "decision")));
        for group in groups {
            page.item(&format!(
                "{} of `{}`, {} × {}: {}",
                super::word(group.was).1,
                show::inert_line(group.agent),
                group.changes.len(),
                show::inert_line(group.name),
                show::inert_line(group.why)
            ));
            for change in group.changes.iter().take(args.show) {
                page.field("", &format!("{} at {}", change.action, change.at));
            }
            if group.changes.len() > args.show {
                page.field("", &format!("and {} more", group.changes.len() - args.show));
            }
        }
        page.gap();
    }
    let other = compared.changes.iter().filter(|c| c.was.verdict == c.now.verdict).count();
    page.line(format!(
        "{} made again: {} change, {} have another reason.",
        count(n, "decision"),
        compared.changes.len() - other,
        other
    ));
    if !compared.unavailable.is_empty() {
        page.field(
            "left out",
            &format!("{}: the arguments are not there", count(compared.unavailable.len(), "decision")),
        );
    }
    page.line(
        "`aecl log show act_…` shows a decision in full; `aecl explain` asks for one that did not happen.",
    );
    page
}

fn groups(compared: &Compared, verdict: Verdict) -> Vec<Group<'_>> {
    let mut groups: BTreeMap<(&str, &str, Verdict, &str), Group<'_>> = BTreeMap::new();
    for change in compared.changes.iter().filter(|c| becomes(c, verdict)) {
        // What was in the way before says most about what newly passes.
        let why = if verdict == Verdict::Allow { &change.was.reason } else { &change.now.reason };
        let (agent, name, was) = (change.agent.as_str(), change.name.as_str(), change.was.verdict);
        let new = || Group { agent, name, was, why, changes: Vec::new() };
        groups.entry((agent, name, was, why)).or_insert_with(new).changes.push(change);
    }
    let mut groups: Vec<Group<'_>> = groups.into_values().collect();
    groups.sort_by_key(|g| std::cmp::Reverse(g.changes.len()));
    groups
}
