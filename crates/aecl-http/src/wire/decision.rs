//! Decisions and their reasons.

use aecl_kernel::record::decision;
use serde::Serialize;
use utoipa::ToSchema;

/// One reason of a decision.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Finding {
    /// Which check.
    pub check: String,
    /// The stable code.
    pub code: String,
    /// `allow`, `require_approval` or `block`.
    pub verdict: &'static str,
    /// In words.
    pub message: String,
}

/// One reason why an action is risky.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Factor {
    /// Its name.
    pub name: String,
    /// Its points.
    pub points: u32,
    /// What was seen.
    pub value: String,
    /// Where that came from.
    pub source: String,
}

/// How risky an action is.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Risk {
    /// 0 to 100.
    pub points: u32,
    /// The same as 0.00 to 1.00.
    pub score: String,
    /// Why.
    pub factors: Vec<Factor>,
}

/// Who must agree for one reason.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Requirement {
    /// Members of these groups.
    pub groups: Vec<String>,
    /// How many different people.
    pub count: u32,
}

/// What was decided, and why.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Decision {
    /// `allow`, `require_approval` or `block`.
    pub verdict: &'static str,
    /// The code of the first of the strictest findings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headline: Option<String>,
    /// The same in words.
    pub reason: String,
    /// All findings, in the order of the checks.
    pub findings: Vec<Finding>,
    /// The risk.
    pub risk: Risk,
    /// The policies that decided.
    pub policies: Vec<String>,
    /// Who must agree.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub need: Vec<Requirement>,
    /// The approval that was used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<String>,
    /// That approval was of the run's plan, of which this is the step, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan_step: Option<u32>,
    /// The action that this one completes, and rests on: nobody was asked again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completes: Option<String>,
}

/// Who must agree, on the wire.
pub fn requirements(need: &aecl_kernel::record::approval::Quorum) -> Vec<Requirement> {
    need.requirements
        .iter()
        .map(|r| Requirement { groups: r.groups.iter().cloned().collect(), count: r.count })
        .collect()
}

impl From<&decision::Decision> for Decision {
    fn from(d: &decision::Decision) -> Self {
        let finding = |f: &decision::Finding| Finding {
            check: f.check.clone(),
            code: f.code.to_string(),
            verdict: f.verdict.name(),
            message: f.message.clone(),
        };
        let factor = |f: &aecl_kernel::define::risk::Factor| Factor {
            name: f.name.clone(),
            points: f.points,
            value: f.value.clone(),
            source: f.source.clone(),
        };
        Self {
            verdict: d.verdict.name(),
            headline: d.headline.map(|c| c.to_string()),
            reason: d.reason().to_owned(),
            findings: d.findings.iter().map(finding).collect(),
            risk: Risk {
                points: d.risk.points,
                score: d.risk.score(),
                factors: d.risk.factors.iter().map(factor).collect(),
            },
            policies: d.policies.clone(),
            need: d.need.as_ref().map(requirements).unwrap_or_default(),
            approval: d.approval.as_ref().map(ToString::to_string),
            plan_step: d.plan_step.map(|step| step + 1),
            completes: d.completes.as_ref().map(ToString::to_string),
        }
    }
}
