//! The last act: an auditor with the public key alone, and somebody who changes one byte.

use super::stage::{Stage, shown};
use crate::cli::Error;
use crate::cli::show::Tone;
use aecl_demo::World;
use aecl_gate::config::Home;
use aecl_ledger::{AuditFinding, AuditReport, Auditor, Ledger, export, verify_export};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Plays it.
pub(super) fn play(stage: &Stage, world: &World, ledger: &Ledger) -> Result<Value, Error> {
    stage.act(5, "the record");
    stage.say(
        "Every decision was on record before anything happened, and every answer after it was recorded. An \
         auditor gets the entries as files and trusts nobody; the public key is all it takes.",
    );
    let (copy, changed) = (world.dir.join("export"), world.dir.join("export-changed"));
    written(&world.home(), &copy)?;
    let auditor = Auditor::new(ledger.origin().to_string(), ledger.verifier().clone());
    let report = verify_export(&copy, &auditor, None)
        .map_err(|e| Error::new(format!("the record does not verify: {e}")))?;
    stage.gap();
    told(stage, &copy, &Ok(&report));
    stage.show(|page| {
        let count = |name: &str| report.decisions.get(name).copied().unwrap_or(0);
        page.line(format!(
            "             {} runs; {} approved, {} held, {} blocked, {} replayed; {} payloads as committed",
            report.runs,
            count("approved"),
            count("escalated"),
            count("blocked"),
            count("replayed"),
            report.payloads
        ));
    });
    written(&world.home(), &changed)?;
    let place = flip(&changed)?;
    stage.gap();
    stage.say(&format!("Now somebody flips one bit in a copy: {place}."));
    let found = verify_export(&changed, &auditor, None);
    stage.gap();
    told(stage, &changed, &found.as_ref());
    match found {
        Ok(_) => Err(Error::new("a changed entry was not found; please report this")),
        Err(finding) => Ok(json!({"verified": report, "changed": finding})),
    }
}

fn told(stage: &Stage, dir: &Path, result: &Result<&AuditReport, &AuditFinding>) {
    stage.show(|page| {
        let (tone, word, text) = match result {
            Ok(report) => {
                (Tone::Good, "VERIFIES", format!("{} entries, signed by {}", report.entries, report.origin))
            }
            Err(finding) => (Tone::Bad, "DOES NOT", finding.to_string()),
        };
        page.line(format!("  {}: {}", shown(dir), page.word(tone, word)));
        page.line(format!("             {}", super::stage::wrapped(&text, 13)));
    });
}

fn written(home: &Home, dir: &Path) -> Result<(), Error> {
    let fail = |e: &dyn std::fmt::Display| Error::new(format!("the record cannot be exported: {e}"));
    let mut store = home.record()?.read().map_err(|e| fail(&e))?;
    export(&mut *store, dir, true, &mut |_| {}).map_err(|e| fail(&e))?;
    Ok(())
}

/// Turns `transfer_funds` into `uransfer_funds` in the first entry that has it. Gives where that was.
fn flip(dir: &Path) -> Result<String, Error> {
    let fail = |e: std::io::Error| Error::new(format!("the copy cannot be changed: {e}"));
    let name = b"transfer_funds";
    for path in files(&dir.join("tile/entries")).map_err(fail)? {
        let mut bytes = std::fs::read(&path).map_err(fail)?;
        let at = bytes.windows(name.len()).position(|window| window == name);
        if let Some(byte) = at.and_then(|at| bytes.get_mut(at)) {
            *byte ^= 1;
            std::fs::write(&path, &bytes).map_err(fail)?;
            return Ok("`transfer_funds` becomes `uransfer_funds` in one entry".into());
        }
    }
    Err(Error::new("the copy has no entry about the transfer"))
}

fn files(dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() { found.extend(files(&path)?) } else { found.push(path) }
    }
    found.sort();
    Ok(found)
}
