//! `aecl policy prove`: what holds for all requests, by Cedar's symbolic analysis. The analysis is a program of its
//! own, `aecl-prove`, because it pins another build of Cedar than the one that decides.

mod report;
mod solver;

use crate::cli::show;
use crate::cli::{Common, Error, Exit, Result};
use aecl_analysis::prove::{self, Comparison, Proof, ProofOutcome, RuleFinding};
use aecl_gate::config::Home;
use aecl_gate::loader;
use aecl_kernel::policy::Policies;
use aecl_kernel::policy::bundle::Bundle;
use report::Report;
use serde::Serialize;
use solver::Solver;
use std::path::PathBuf;
use std::time::Duration;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aecl policy prove                             what policy/properties/ claims, and every rule
  aecl policy prove --than ./policy-in-force    nothing that was not allowed before is allowed now
  aecl policy prove --property 'money never moves without a person'

Ends with 0 if everything is proven, 1 if something is refuted or left open by manifests and rules, 6 if it could
not be found out: no solver, or no answer within the time.")]
pub(super) struct Args {
    /// The bundle; by default policy/ in the directory of AECL.
    #[arg(value_name = "DIR")]
    bundle: Option<PathBuf>,
    /// Only the property of this name; may stand several times. Leaves the rules out.
    #[arg(long, value_name = "NAME")]
    property: Vec<String>,
    /// Prove that this bundle allows nothing that OTHER does not. Leaves properties and rules out.
    #[arg(long, value_name = "OTHER", conflicts_with = "property")]
    than: Option<PathBuf>,
    /// Most time for one question, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    question_ms: u64,
    /// Most time for all of it, in seconds.
    #[arg(long, value_name = "S", default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,
}

/// Everything that was asked and what came out.
#[derive(Debug, Default, Serialize)]
pub(super) struct Findings {
    /// Claims.
    properties: Vec<Proof>,
    /// Rules.
    rules: Vec<RuleFinding>,
    /// The comparison.
    #[serde(skip_serializing_if = "Option::is_none")]
    than: Option<Comparison>,
}

impl Findings {
    fn outcomes(&self) -> impl Iterator<Item = &ProofOutcome> {
        let compared = self.than.iter().flat_map(|than| &than.changes).map(|change| &change.outcome);
        self.properties.iter().map(|proof| &proof.outcome).chain(compared)
    }

    fn exit(&self) -> Exit {
        let refuted =
            |o: &ProofOutcome| matches!(o, ProofOutcome::Refuted { .. } | ProofOutcome::Unproven { .. });
        if self.outcomes().any(refuted) || self.rules.iter().any(|rule| rule.fault.is_some()) {
            return Exit::Failed;
        }
        let unknown = self.outcomes().any(|o| matches!(o, ProofOutcome::Unknown { .. }));
        let doubtful = self.rules.iter().any(|rule| !rule.unknown.is_empty());
        if unknown || doubtful { Exit::Unknown } else { Exit::Done }
    }
}

/// Of the thread that asks: Cedar writes a rule as JSON by calling itself for each operator.
const STACK_BYTES: usize = 1 << 30;

pub(super) fn run(common: &Common, args: &Args) -> Result {
    std::thread::scope(|scope| {
        let asks =
            std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, || prove(common, args));
        let asks = asks.map_err(|e| Error::new(format!("the thread that asks cannot start: {e}")))?;
        asks.join().unwrap_or_else(|_| Err(Error::new("the analysis has panicked")))
    })
}

fn prove(common: &Common, args: &Args) -> Result {
    let bundle = loader::load(&args.bundle.clone().unwrap_or_else(|| Home::new(&common.dir).policy()))?;
    let other = args.than.as_deref().map(loader::load).transpose()?;
    for name in &args.property {
        known(&bundle, name)?;
    }
    let question = Duration::from_millis(args.question_ms);
    let mut solver = Solver::start(
        &Policies::schema_json(bundle.catalogue()),
        question,
        Duration::from_secs(args.timeout),
    )?;
    let mut findings = Findings::default();
    let mut ask = |question: &_| solver.ask(question);
    if let Some(other) = &other {
        findings.than = Some(prove::prove_than(&bundle, other, &mut ask));
    } else {
        let wanted = |name: &String| args.property.is_empty() || args.property.contains(name);
        for property in bundle.properties().iter().filter(|p| wanted(&p.name)) {
            findings.properties.extend(prove::prove(&bundle, property, &mut ask));
        }
        if args.property.is_empty() {
            findings.rules = prove::prove_rules(&bundle, &mut ask);
        }
    }
    let report = Report { findings: &findings, questions: solver.asked(), by: solver.version() };
    solver.quiet();
    if common.json {
        show::print_json(&report.json());
    } else {
        report.page().print();
    }
    if other.is_none() && bundle.properties().is_empty() {
        show::say(
            "hint: this bundle claims nothing about itself; write properties/*.yaml, docs/guides/policy.md",
        );
    }
    Ok(findings.exit())
}

fn known(bundle: &Bundle, name: &str) -> std::result::Result<(), Error> {
    if bundle.properties().iter().any(|p| p.name == name) {
        return Ok(());
    }
    let near = aecl_kernel::define::catalogue::nearest(name, bundle.properties().iter().map(|p| &p.name));
    let near = near.map_or_else(String::new, |n| format!("; did you mean `{}`?", show::inert_line(n)));
    let message = format!("the bundle has no property `{}`{near}", show::inert_line(name));
    Err(Error::new(message).hint("they stand in properties/*.yaml of the bundle"))
}
