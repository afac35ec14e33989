//! What a run has read, for whoever looks for a value in it: the eyes of a person, or `strict`, which asks whether a
//! stranger's sentence says it.

use crate::error::GateError;
use crate::gate::Gate;
use aecl_kernel::base::evidence::Evidence;
use aecl_kernel::base::id::{ActionId, RunId};
use aecl_kernel::decide::request::{DecisionRequest, is_strict};
use aecl_kernel::define::manifest::Strictness;
use aecl_kernel::policy::bundle::Bundle;
use aecl_kernel::provenance::links::links;
use aecl_kernel::provenance::seen;
use aecl_kernel::read::action::Action;
use aecl_kernel::record::decision::{Decision, Verdict};
use aecl_kernel::record::event::Event;
use aecl_kernel::record::facts::RunFact;
use aecl_ledger::PayloadKind;
use std::collections::BTreeSet;

/// Most bytes of outputs that are looked through, the newest first.
const SEARCHED_MAX: usize = 8 << 20;
/// Most links of one content that are looked for.
const LINKS_MAX: usize = 64;

/// An output of a run.
pub(crate) struct OutputOfRun {
    /// The action that brought it.
    pub(crate) action: ActionId,
    /// Its name.
    pub(crate) name: String,
    /// The output.
    pub(crate) output: Vec<u8>,
}

impl Gate {
    /// The outputs of a run, the newest first, as far as they are looked through.
    pub(crate) async fn outputs(&self, run: &RunId) -> Result<Vec<OutputOfRun>, GateError> {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let entries = self.0.ledger.entries_of_run(run, after, 512).await?;
            let Some(last) = entries.last() else { break };
            after = Some(last.position);
            for entry in entries {
                if let Event::Concluded(concluded) = entry.event
                    && let Some(output) = concluded.output
                {
                    found.push((concluded.action, output));
                }
            }
        }
        let (mut out, mut left) = (Vec::new(), SEARCHED_MAX);
        for (action, output) in found.into_iter().rev() {
            let fact = self.0.ledger.action(&action).await?;
            // What the gate has looked up, the run has not seen.
            if fact.as_ref().is_some_and(|fact| fact.look) {
                continue;
            }
            let Some(output) = self.0.ledger.payload(PayloadKind::Output, &output).await? else { continue };
            let Some(rest) = left.checked_sub(output.len()) else { break };
            left = rest;
            let name = fact.map_or_else(String::new, |fact| fact.name);
            out.push(OutputOfRun { action, name, output });
        }
        Ok(out)
    }

    /// Whether it matters who has said a value: somebody whose rights count is strict, and the run may have read a stranger. A
    /// look at the run alone, so that other decisions cost what they cost.
    pub(crate) async fn may_be_told(&self, action: &Action, bundle: &Bundle) -> Result<bool, GateError> {
        if !bundle.has_strict() {
            return Ok(false);
        }
        let Some(run) = self.0.ledger.run(&action.principal.run).await? else { return Ok(false) };
        // Those that it was delegated from may be strict, and have read for it.
        let alone = run.ancestors.is_empty() && run.follows.is_empty();
        let own = bundle.agent(&action.principal.agent).is_some_and(|agent| agent.mode == Strictness::Strict);
        Ok(!alone || (own && run.labels.untrusted))
    }

    /// Whether a sentence in what the run has read says what nobody who is trusted has named. Only `strict` makes a
    /// difference between a stranger's word and nobody's.
    pub(crate) async fn told(
        &self,
        question: &DecisionRequest<'_>,
        first: &Decision,
    ) -> Result<Option<Evidence>, GateError> {
        let asks = first.findings.iter().filter(|f| f.verdict == Verdict::RequireApproval);
        let doubts: BTreeSet<&str> = asks.flat_map(|f| &f.about).map(|doubt| doubt.at.as_str()).collect();
        if doubts.is_empty() || !is_strict(question) {
            return Ok(None);
        }
        let wanted: Vec<(&str, String)> =
            doubts.into_iter().flat_map(|at| wanted(question.action, at)).collect();
        let mut told = BTreeSet::new();
        // What a parent has read may be what it had its child do.
        let facts = question.facts;
        let read: Vec<&RunFact> = facts.run.iter().chain(&facts.lineage).collect();
        let follows = read.iter().flat_map(|run| &run.follows);
        let runs: BTreeSet<&RunId> = read.iter().map(|run| &run.principal.run).chain(follows).collect();
        for run in runs {
            for OutputOfRun { output, .. } in self.outputs(run).await? {
                let new =
                    wanted.iter().filter(|(at, text)| !told.contains(*at) && seen::is_told(text, &output));
                let new: Vec<String> = new.map(|(at, _)| (*at).to_owned()).collect();
                told.extend(new);
            }
        }
        Ok((!told.is_empty()).then(|| Evidence::told(told)))
    }
}

/// What to look for of an argument: its value, or where it leads if that is a text with links.
fn wanted<'a>(action: &Action, at: &'a str) -> Vec<(&'a str, String)> {
    let Some(value) = action.arguments.pointer(at) else { return Vec::new() };
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let led = match text.contains(char::is_whitespace) {
        true => links(&text, LINKS_MAX).0,
        false => Vec::new(),
    };
    let all = std::iter::once(text).chain(led.into_iter().map(|atom| atom.text));
    all.filter(|text| !is_common(text)).map(|text| (at, text)).collect()
}

/// Whether it is a word of the language, which stands in sentences about anything.
fn is_common(text: &str) -> bool {
    text.chars().all(|c| c.is_lowercase() || c.is_whitespace())
}
