//! Examples: situations with the decision that they must get. A bundle whose examples come out wrong does
//! not load.

use super::{Bundle, did_you_mean};
use crate::action::{Action, Credential, Mode, Proposal};
use crate::code::Code;
use crate::decide::{Fresh, Question, Verdict, decide};
use crate::facts::{Facts, RunFact};
use crate::id::{ActionId, AgentId, ApprovalId, Environment, RunId, TenantId, UserId};
use crate::json::Limits;
use crate::labels::Labels;
use crate::principal::Principal;
use crate::time::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::sync::Arc;

/// A situation and the decision it must get.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Example {
    /// What it shows.
    name: String,
    /// Who proposes.
    agent: AgentId,
    /// What.
    action: String,
    /// With which arguments.
    #[serde(default)]
    arguments: Map<String, Value>,
    /// In which environment.
    #[serde(default)]
    environment: Option<Environment>,
    /// For which tenant.
    #[serde(default)]
    tenant: Option<TenantId>,
    /// For which user.
    #[serde(default)]
    user: Option<UserId>,
    /// What the run has seen.
    #[serde(default)]
    labels: Labels,
    /// When, for hours.
    #[serde(default)]
    at: Option<Timestamp>,
    /// The decision.
    expect: Verdict,
    /// The headline.
    #[serde(default)]
    code: Option<String>,
}

impl Example {
    /// Makes the decision and compares.
    pub(super) fn check(&self, bundle: &Bundle) -> Result<(), String> {
        let fail = |e: crate::id::BadId| format!("`{}`: {e}", self.name);
        if let Some(code) = self.code.as_deref().filter(|code| Code::parse(code).is_none()) {
            let hint = did_you_mean(code, crate::code::ALL.iter());
            return Err(format!("the example `{}`: `{code}` is no known code{hint}", self.name));
        }
        let now = self.at.unwrap_or(Timestamp(1_767_225_600_000));
        let run = RunId::new("run_example").map_err(fail)?;
        let principal = Principal {
            agent: self.agent.clone(),
            user: self.user.clone(),
            tenant: self.tenant.clone().map_or_else(|| TenantId::new("default"), Ok).map_err(fail)?,
            project: None,
            environment: self.environment.clone().map_or_else(|| Environment::new("production"), Ok).map_err(fail)?,
            run: run.clone(),
        };
        let expires_at = now.plus_s(3600);
        let proposal = Proposal {
            principal: principal.clone(),
            credential: Credential { id: "example".into(), run, agent: self.agent.clone(), expires_at },
            name: self.action.clone(),
            arguments: Value::Object(self.arguments.clone()).to_string().into_bytes(),
            mode: Mode::Execute,
            idempotency_key: None,
            // An example assumes that a tool is what was accepted.
            offered: bundle.catalogue().find(&self.action).and_then(|t| t.manifest.pin),
            compensates: None,
            resume: false,
        };
        let action = Arc::new(Action::parse(proposal, bundle.catalogue(), &Limits::default()));
        let facts = Facts {
            run: Some(RunFact {
                principal,
                goal: crate::digest::Digest::of(b""),
                opened_at: now,
                expires_at,
                closed: None,
                ancestors: Vec::new(),
                calls: 0,
                labels: self.labels.clone(),
                failing: None,
                failures: 0,
                next_seq: 0,
            }),
            ..Facts::default()
        };
        let fresh = Fresh {
            action: ActionId::new("act_example").map_err(fail)?,
            approval: ApprovalId::new("apr_example").map_err(fail)?,
        };
        let question = Question { action: &action, facts: &facts, bundle, evidence: &[], now };
        let ruling = decide(&question, &action, fresh);
        let decision = ruling.decision();
        let headline = decision.headline.map_or("", |c| c.as_str());
        if decision.verdict != self.expect || self.code.as_deref().is_some_and(|c| c != headline) {
            let with = |code: &str| if code.is_empty() { String::new() } else { format!(" with `{code}`") };
            let wanted = with(self.code.as_deref().unwrap_or_default());
            let got = with(headline);
            return Err(format!(
                "the example `{}` must get `{}`{wanted}, and gets `{}`{got}: {}",
                self.name,
                self.expect.name(),
                decision.verdict.name(),
                decision.reason()
            ));
        }
        Ok(())
    }
}
