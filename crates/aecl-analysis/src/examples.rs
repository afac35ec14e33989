//! Examples: situations with the decision that they must get. A bundle whose examples come out wrong does
//! not load.

use super::situation::AssumedSituation;
use aecl_kernel::base::code::Code;
use aecl_kernel::base::id::{AgentId, BadId, Environment, TenantId};
use aecl_kernel::base::time::Timestamp;
use aecl_kernel::define::isolation::HostIsolation;
use aecl_kernel::define::resource::SELF;
use aecl_kernel::policy::bundle::Bundle;
use aecl_kernel::policy::example::Example;
use aecl_kernel::policy::problem::{BundleProblem, Source, did_you_mean, read_each};
use aecl_kernel::record::decision::Verdict;
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Makes the decision that an example is about, and compares.
pub(super) fn check(example: &Example, bundle: &Bundle) -> Result<(), String> {
    let tried = tried(example, "", bundle)?;
    if tried.passed {
        return Ok(());
    }
    let with = |code: &str| if code.is_empty() { String::new() } else { format!(" with `{code}`") };
    let wanted = with(example.code.as_deref().unwrap_or_default());
    let got = with(tried.got_code.map_or("", Code::as_str));
    Err(format!(
        "the example `{}` must get `{}`{wanted}, and gets `{}`{got}: {}",
        example.name,
        example.expect.name(),
        tried.got.name(),
        tried.reason
    ))
}

/// Makes the decision that an example is about.
pub(super) fn tried(example: &Example, path: &str, bundle: &Bundle) -> Result<Tried, String> {
    if let Some(code) = example.code.as_deref().filter(|code| Code::parse(code).is_none()) {
        let hint = did_you_mean(code, aecl_kernel::base::code::ALL.iter());
        return Err(format!("the example `{}`: `{code}` is no known code{hint}", example.name));
    }
    let ruling = situation(example).and_then(|situation| situation.rule(bundle));
    let (_, ruling) = ruling.map_err(|e| format!("`{}`: {e}", example.name))?;
    let decision = ruling.decision();
    let headline = decision.headline.map_or("", |c| c.as_str());
    Ok(Tried {
        path: path.to_owned(),
        name: example.name.clone(),
        agent: example.agent.clone(),
        action: example.action.clone(),
        expected: example.expect,
        expected_code: example.code.clone(),
        got: decision.verdict,
        got_code: decision.headline,
        reason: decision.reason().to_owned(),
        policies: decision.policies.clone(),
        passed: decision.verdict == example.expect && example.code.as_deref().is_none_or(|c| c == headline),
    })
}

/// The situation that an example describes.
pub(super) fn situation(example: &Example) -> Result<AssumedSituation, BadId> {
    Ok(AssumedSituation {
        agent: example.agent.clone(),
        action: example.action.clone(),
        arguments: Value::Object(example.arguments.clone()).to_string().into_bytes(),
        tenant: example.tenant.clone().map_or_else(|| TenantId::new("default"), Ok)?,
        project: None,
        environment: example.environment.clone().map_or_else(|| Environment::new("production"), Ok)?,
        user: example.user.clone(),
        labels: example.labels.clone(),
        goal: example.goal.clone(),
        // What a host lacks is no matter of policy.
        cages: HostIsolation::every(),
        resources: resources(example),
        completes: example.completes,
        at: example.at.unwrap_or(Timestamp(1_767_225_600_000)),
    })
}

/// What an example says things are like, by their names.
fn resources(example: &Example) -> BTreeMap<String, Map<String, Value>> {
    let own = example.resource.clone().map(|attributes| (SELF.to_owned(), attributes));
    example.related.clone().into_iter().chain(own).collect()
}

/// The examples of a bundle.
pub(super) fn of(bundle: &Bundle) -> Vec<Example> {
    // They were read when the bundle was compiled.
    let mut problems: Vec<BundleProblem> = Vec::new();
    let about = bundle.sources().iter().filter(|s| s.path.starts_with("examples/"));
    about.flat_map(|source: &Source| read_each(source, &mut problems)).collect()
}

/// One example, tried.
#[derive(Debug, Clone, Serialize)]
pub struct Tried {
    /// Its file.
    pub path: String,
    /// What it shows.
    pub name: String,
    /// Who proposes.
    pub agent: AgentId,
    /// What.
    pub action: String,
    /// The decision that it must get.
    pub expected: Verdict,
    /// The headline that it must get, if it says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_code: Option<String>,
    /// The decision that it gets.
    pub got: Verdict,
    /// The headline that it gets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub got_code: Option<Code>,
    /// The same in words.
    pub reason: String,
    /// The policies that decided.
    pub policies: Vec<String>,
    /// It comes out as it must.
    pub passed: bool,
}
