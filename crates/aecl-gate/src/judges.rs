//! Evidence: what is asked outside before a decision. The target counts what would be touched; judges say how
//! likely a call does not serve its goal. Both only for what is not refused anyway, both within a time. What they
//! say is recorded with the decision, so it is made again from the record and nobody is asked twice.

use crate::error::GateError;
use crate::gate::Gate;
use crate::ids;
use aecl_executor::judge::{Judge, JudgeSpec};
use aecl_kernel::base::evidence::Evidence;
use aecl_kernel::decide::decide;
use aecl_kernel::decide::request::DecisionRequest;
use aecl_kernel::define::catalogue::flow::{Class, DryRunRule};
use aecl_kernel::provenance::proof::leaves;
use aecl_kernel::read::action::{Action, Mode};
use aecl_kernel::record::decision::Verdict;
use aecl_kernel::record::facts::Facts;
use std::sync::Arc;
use tokio::task::JoinSet;

impl Gate {
    /// What is known about an action that is not in the record yet. `known`: what was looked up before.
    pub(crate) async fn evidence(
        &self,
        action: &Arc<Action>,
        known: &[Evidence],
    ) -> Result<Vec<Evidence>, GateError> {
        let Some(typed) = action.typed.as_ref().filter(|_| action.problems.is_empty()) else {
            return Ok(Vec::new());
        };
        let rule = typed.manifest.dry_run.clone().filter(|d| d.supported && action.mode == Mode::Execute);
        let mut judges = self.0.judges.load().as_ref().clone();
        judges.retain(|_| typed.manifest.effect.changes_something() && action.compensates.is_none());
        let (bundle, now) = (self.bundle(), self.now());
        if rule.is_none() && judges.is_empty() && !self.may_be_told(action, &bundle).await? {
            return Ok(Vec::new());
        }
        let facts =
            self.0.ledger.facts(action.clone(), bundle.clone(), Some(self.people()), self.now()).await?;
        let question = DecisionRequest { action, facts: &facts, bundle: &bundle, evidence: known, now };
        let first = decide(&question, action, ids::for_decision()?).decision().clone();
        if first.verdict == Verdict::Block || first.replays.is_some() {
            return Ok(Vec::new());
        }
        let mut evidence: Vec<Evidence> = self.told(&question, &first).await?.into_iter().collect();
        if let Some(rule) = rule {
            evidence.extend(self.counted(action, &rule).await);
        }
        evidence.extend(self.judged(action, &facts, judges).await?);
        Ok(evidence)
    }

    /// What the target itself counts that an action would touch, without touching it.
    async fn counted(&self, action: &Arc<Action>, rule: &DryRunRule) -> Option<Evidence> {
        let most = self.config().limits.output_bytes_max;
        let counted = self.0.executor.count(action, rule.rows.as_deref(), most).await;
        counted.map(Evidence::counted)
    }

    /// What the judges say, all asked at once. One that says nothing adds nothing: the words of the goal are
    /// compared without it, as they always are.
    async fn judged(
        &self,
        action: &Action,
        facts: &Facts,
        mut judges: Vec<Arc<Judge>>,
    ) -> Result<Vec<Evidence>, GateError> {
        let tainted = facts.run.as_ref().is_some_and(|run| run.labels.untrusted);
        judges.retain(|judge| judge.spec.always || tainted);
        if judges.is_empty() {
            return Ok(Vec::new());
        }
        let goal = self.0.ledger.goal(&action.principal.run).await?.map(|goal| goal.text);
        let Some(goal) = goal.filter(|text| !text.trim().is_empty()) else { return Ok(Vec::new()) };
        let call = rendered(action);
        let mut asked = JoinSet::new();
        for (i, judge) in judges.into_iter().enumerate() {
            let (egress, vault) = (self.0.egress.clone(), self.0.executor.connectors().vault.clone());
            let (goal, call) = (goal.clone(), call.clone());
            asked.spawn(async move {
                let said = judge.ask(&egress, &vault, &goal, &call).await;
                let name = judge.spec.name.clone();
                let (points, said) = match said {
                    Ok(opinion) => (opinion.points, opinion.said),
                    Err(error) => {
                        tracing::warn!(judge = %name, %error, "a judge has said nothing; the decision is made without it");
                        (0, format!("no answer: {error}"))
                    }
                };
                (i, Evidence { judge: name, about: "intent".into(), points, said, ..Evidence::default() })
            });
        }
        let mut evidence: Vec<(usize, Evidence)> = Vec::new();
        while let Some(answer) = asked.join_next().await {
            // A judge that broke has said nothing.
            evidence.extend(answer.ok());
        }
        // In the order of the configuration, whoever was first.
        evidence.sort_by_key(|(i, _)| *i);
        Ok(evidence.into_iter().map(|(_, evidence)| evidence).collect())
    }
}

/// Gets the judges of a configuration ready. What is wrong with one is said before anything is decided.
pub(crate) async fn ready(specs: &[JudgeSpec]) -> Result<Vec<Arc<Judge>>, String> {
    let specs = specs.to_vec();
    let reading = tokio::task::spawn_blocking(move || {
        specs.into_iter().map(|spec| Judge::ready(spec).map(Arc::new)).collect()
    });
    reading.await.unwrap_or_else(|_| Err("`judges`: a local model cannot be read; is it whole?".into()))
}

/// A call in words: name, description and arguments, without passwords and keys.
fn rendered(action: &Action) -> String {
    let Some(typed) = &action.typed else { return action.name.clone() };
    let mut text = format!("{} {}", action.name, typed.manifest.description);
    for leaf in leaves(action, typed).iter().filter(|l| l.argument.class != Class::Credential) {
        let value = leaf.value.as_str().map_or_else(|| leaf.value.to_string(), str::to_owned);
        text.push_str(&format!(" {}: {value}", leaf.pointer.trim_start_matches('/')));
    }
    text
}
