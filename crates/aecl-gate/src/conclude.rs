//! How an attempt ended, and what its output carries into its run: on record before it is answered.

use crate::error::GateError;
use crate::gate::Gate;
use aecl_executor::Outcome;
use aecl_kernel::base::id::{ActionId, RunId};
use aecl_kernel::base::time::Timestamp;
use aecl_kernel::define::catalogue::{OutputDeclaration, TypedAction};
use aecl_kernel::policy::bundle::Bundle;
use aecl_kernel::provenance::ingest::{Ingested, at_worst, ingest, reads_goal};
use aecl_kernel::provenance::issued::{IssuedValue, issued};
use aecl_kernel::provenance::labels::Labels;
use aecl_kernel::read::action::Action;
use aecl_kernel::record::event::OutcomeKind;
use aecl_ledger::{Conclusion, Receipt};
use serde_json::Value;

/// What an output may carry that nobody here has read.
pub(crate) fn worst(typed: Option<&TypedAction>) -> Labels {
    typed.map_or_else(|| Labels::of(&OutputDeclaration::default()), at_worst)
}

/// What a call has issued that another may complete, as the policy says.
pub(crate) fn issued_by(action: &Action, bundle: &Bundle, outcome: &Outcome) -> Vec<IssuedValue> {
    let (OutcomeKind::Done, Some(output), Some(typed)) = (outcome.kind, &outcome.output, &action.typed)
    else {
        return Vec::new();
    };
    let completers = bundle.catalogue().completers(&action.name).iter();
    let fields = completers.map(|completer| completer.issued.as_str()).collect();
    issued(action, typed, &fields, output)
}

impl Gate {
    /// Puts an outcome on record; only then it is answered.
    pub(crate) async fn conclude(
        &self,
        id: &ActionId,
        outcome: Outcome,
        since: Timestamp,
        resolved_by: Option<String>,
    ) -> Result<(Outcome, Receipt), GateError> {
        let outcome = outcome.fit_to_tell();
        let fact = self.action_fact(id).await?;
        let bundle = self.bundle();
        // Only the definition that was judged says what its output carries.
        let same = bundle.catalogue().judged(&fact.name, fact.definition);
        let mut taken = self.label_output(same.map(AsRef::as_ref), &fact.run, &outcome, None).await?;
        // What an agent reports of itself, and what a look-up found, taints; it proves nothing.
        taken.trusted.clear();
        self.conclude_with(id, outcome, (taken, Vec::new()), since, resolved_by).await
    }

    /// What an outcome carries into its run. `arguments`: of the call, where it was made just now.
    pub(crate) async fn label_output(
        &self,
        typed: Option<&TypedAction>,
        run: &RunId,
        outcome: &Outcome,
        arguments: Option<&Value>,
    ) -> Result<Ingested, GateError> {
        let Some(output) = &outcome.output else {
            let mut labels = Labels::default();
            // Nobody here has seen what came back; that is not to say that nobody has.
            if outcome.kind == OutcomeKind::Unknown {
                labels.join(&worst(typed));
            }
            return Ok(Ingested { labels, trusted: Vec::new() });
        };
        let Some(typed) = typed else {
            return Ok(Ingested { labels: worst(None), trusted: Vec::new() });
        };
        let mut goal = None;
        if reads_goal(typed) {
            // A goal that was stated after strangers had been read may be their words, and means no record.
            let late = self.0.ledger.run(run).await?.is_none_or(|run| run.late);
            goal = self.0.ledger.goal(run).await?.filter(|_| !late).map(|goal| goal.reading());
        }
        let failed = outcome.kind != OutcomeKind::Done;
        Ok(ingest(typed, output, failed, goal.as_deref(), arguments))
    }

    pub(crate) async fn conclude_with(
        &self,
        id: &ActionId,
        outcome: Outcome,
        (taken, issued): (Ingested, Vec<IssuedValue>),
        since: Timestamp,
        resolved_by: Option<String>,
    ) -> Result<(Outcome, Receipt), GateError> {
        let now = self.now();
        let latency_ms = now.since_ms(since);
        let conclusion = Conclusion {
            action: id.clone(),
            outcome: outcome.kind,
            code: outcome.code.clone(),
            message: outcome.message.clone(),
            output: outcome.output.clone(),
            may_have_acted: outcome.may_have_acted,
            labels: taken.labels,
            trusted: taken.trusted,
            issued,
            latency_ms,
            sandbox: outcome.sandbox.clone(),
            traffic: outcome.traffic.clone(),
            resolved_by,
        };
        let recorded = self.0.ledger.conclude(conclusion, now).await?;
        self.0.metrics.performed(latency_ms);
        self.0.waits.ring(id);
        Ok((outcome, recorded.into_parts().1))
    }
}
