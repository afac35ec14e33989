//! AuthZEN 1.0, as far as it is spoken here. Members that are not known are left out: the standard lets
//! everybody add some.

use super::{Decision, Labels};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;
use utoipa::ToSchema;

/// May this subject do this with this resource? One of several leaves out what stands beside them for all.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub struct AuthzenQuestion<'a> {
    /// Who.
    pub subject: Option<AuthzenSubject>,
    /// What.
    #[serde(borrow)]
    #[schema(inline)]
    pub action: Option<AuthzenAction<'a>>,
    /// With what.
    pub resource: Option<AuthzenResource>,
    /// Under which circumstances.
    pub context: Option<AuthzenContext>,
}

/// The agent.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
pub struct AuthzenSubject {
    /// `agent`, or another word that the configuration takes for it.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Its id.
    pub id: Option<String>,
    /// More about it. What is not listed here is not looked at.
    #[serde(default)]
    pub properties: AuthzenSubjectProperties,
}

/// For whom and where the agent acts.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(default)]
pub struct AuthzenSubjectProperties {
    /// On behalf of whom.
    pub user: Option<String>,
    /// In which tenant; the configured one if absent.
    pub tenant: Option<String>,
    /// In which environment; the configured one if absent.
    pub environment: Option<String>,
}

/// The action.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
pub struct AuthzenAction<'a> {
    /// Its name in the catalogue.
    #[serde(borrow)]
    #[schema(value_type = Option<String>)]
    pub name: Option<Cow<'a, str>>,
    /// Its arguments.
    #[serde(borrow)]
    #[schema(value_type = Option<Object>)]
    pub properties: Option<&'a RawValue>,
}

/// What the action is taken to touch.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
pub struct AuthzenResource {
    /// Its kind; it must be there, and is not looked at.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Compared with what the arguments say, where the action has a resource.
    pub id: Option<String>,
}

/// Circumstances.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(default)]
pub struct AuthzenContext {
    /// A run of the agent: user, tenant, environment and labels are those on record.
    pub run: Option<String>,
    /// What the run would have seen.
    pub labels: Option<Labels>,
}

/// Several questions at once. What an item leaves out is as said for all of them.
#[derive(Debug, Deserialize, ToSchema)]
pub struct AuthzenQuestions<'a> {
    /// Who, unless an item says so.
    #[serde(default)]
    pub subject: Option<AuthzenSubject>,
    /// What, unless an item says so.
    #[serde(borrow, default)]
    #[schema(inline)]
    pub action: Option<AuthzenAction<'a>>,
    /// With what, unless an item says so.
    #[serde(default)]
    pub resource: Option<AuthzenResource>,
    /// Under which circumstances, unless an item says so.
    #[serde(default)]
    pub context: Option<AuthzenContext>,
    /// The questions. Without any, this is one question, answered like one.
    #[serde(borrow, default)]
    #[schema(inline, max_items = 50)]
    pub evaluations: Vec<AuthzenQuestion<'a>>,
    /// How to answer them.
    #[serde(default)]
    pub options: AuthzenOptions,
}

/// How several questions are answered.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub struct AuthzenOptions {
    /// Which of them are answered.
    #[serde(default)]
    pub evaluations_semantic: AuthzenSemantic,
}

/// Which of several questions are answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AuthzenSemantic {
    /// All.
    #[default]
    ExecuteAll,
    /// All up to the first no.
    DenyOnFirstDeny,
    /// All up to the first yes.
    PermitOnFirstPermit,
}

/// The answers, in the order of the questions.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuthzenAnswers {
    /// One for each question that was answered.
    pub evaluations: Vec<AuthzenItemAnswer>,
}

/// One answer of several.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuthzenItemAnswer {
    /// Whether it would be allowed as it stands; not, if it cannot be answered.
    pub decision: bool,
    /// Why.
    pub context: AuthzenWhy,
}

/// Why.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum AuthzenWhy {
    /// It was decided.
    Decided(Box<AuthzenReason>),
    /// It cannot be answered.
    Error {
        /// What is wrong with the question.
        error: AuthzenError,
    },
}

/// What is wrong with one question of several.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuthzenError {
    /// As the HTTP status of a single question.
    pub status: u16,
    /// In words.
    pub message: String,
    /// The stable code.
    pub code: &'static str,
}

/// The answer.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuthzenAnswer {
    /// Whether it would be allowed as it stands, with nobody asked.
    pub decision: bool,
    /// Why.
    pub context: AuthzenReason,
}

/// Why.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuthzenReason {
    /// `allow`, `require_approval` or `block`.
    pub verdict: &'static str,
    /// The stable code of the first of the strictest findings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The same in words.
    pub reason: String,
    /// The policy that was asked.
    pub bundle: String,
    /// The whole decision.
    pub details: Decision,
}

/// Where AuthZEN is spoken here.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuthzenMetadata {
    /// Who decides.
    pub policy_decision_point: String,
    /// Where it is asked.
    pub access_evaluation_endpoint: String,
    /// Where several questions are asked at once.
    pub access_evaluations_endpoint: String,
}
