//! A bundle: catalogue, agents, rules and examples, validated as a whole and named by its content.
//!
//! A bundle that does not compile, or whose own examples come out wrong, does not load; the running one
//! stays.

mod actions;
mod examples;
mod lint;
mod manifests;
mod prove;
pub(crate) mod residual;
mod sample;
mod situation;
mod trial;

pub use lint::{LINTS, Lint};
pub use prove::{
    Answer, Case, Change, Never, Outcome, Proof, Property, Question, RuleFault, RuleFinding, Select, Than,
};
pub use residual::{Pair, Residual};
pub use situation::Situation;
pub use trial::{OwnRule, Reached, Trial, Tried};

pub(crate) use actions::COUNT_MAX;

use crate::cage;
use crate::catalogue::{ActionManifest, Catalogue, nearest};
use crate::digest::Digest;
use crate::id::{ActionName, AgentId};
use crate::json::{Document, Limits};
use crate::manifest::AgentManifest;
use crate::policy::{Policies, RuleText};
use crate::risk::Weights;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// One file of a bundle: JSON (YAML is turned into JSON before) or Cedar.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Source {
    /// Its path inside the bundle, such as `agents/finance.json`.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// Something wrong or doubtful in a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Which file.
    pub path: String,
    /// What.
    pub message: String,
    /// It does not load because of this; otherwise it is only doubtful.
    pub fatal: bool,
}

impl Problem {
    pub(crate) fn error(path: impl Into<String>, message: String) -> Self {
        Self { path: path.into(), message, fatal: true }
    }
    pub(crate) fn warning(path: impl Into<String>, message: String) -> Self {
        Self { path: path.into(), message, fatal: false }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.path, if self.fatal { "error" } else { "warning" }, self.message)
    }
}

/// Everything that was decided about what agents may do, compiled.
#[derive(Debug)]
pub struct Bundle {
    hash: Digest,
    catalogue: Catalogue,
    agents: BTreeMap<AgentId, Arc<AgentManifest>>,
    policies: Policies,
    weights: Weights,
    cages: cage::Rules,
    warnings: Vec<Problem>,
    sources: Vec<Source>,
    examples: usize,
    properties: Vec<Property>,
}

impl Bundle {
    /// Compiles sources, runs their examples, and gives the bundle or everything that is wrong.
    pub fn compile(mut sources: Vec<Source>) -> Result<Self, Vec<Problem>> {
        sources.sort();
        let mut problems = Vec::new();
        let mut catalogue = Catalogue::default();
        let mut agents = BTreeMap::new();
        let mut homes = Homes::default();
        let (mut weights, mut cages) = (Weights::default(), cage::Rules::default());
        let mut rules = Vec::new();
        let mut examples = Vec::new();
        let mut properties = Vec::new();
        for source in &sources {
            let path = source.path.as_str();
            match path.split_once('/').map_or((path, ""), |(folder, rest)| (folder, rest)) {
                ("actions", _) => {
                    for manifest in read_each::<ActionManifest>(source, &mut problems) {
                        homes.actions.entry(manifest.name.clone()).or_insert_with(|| path.to_owned());
                        actions::add(path, manifest, &mut catalogue, &mut problems);
                    }
                }
                ("agents", _) => {
                    for manifest in read_each::<AgentManifest>(source, &mut problems) {
                        let id = manifest.agent_id.clone();
                        homes.agents.entry(id.clone()).or_insert_with(|| path.to_owned());
                        if agents.insert(id.clone(), Arc::new(manifest)).is_some() {
                            problems.push(Problem::error(path, format!("the agent `{id}` is declared twice")));
                        }
                    }
                }
                ("rules", _) => rules.push(RuleText { path, text: &source.text }),
                ("examples", _) => examples.extend(read_each::<examples::Example>(source, &mut problems).into_iter().map(|e| (path, e))),
                ("properties", _) => {
                    properties.extend(read_each::<Property>(source, &mut problems).into_iter().map(|p| (path, p)));
                }
                ("risk.json", "") => weights = read_each(source, &mut problems).pop().unwrap_or_default(),
                ("sandbox.json", "") => cages = read_each(source, &mut problems).pop().unwrap_or_default(),
                _ => problems.push(Problem::error(
                    path,
                    "not a place that a bundle has; known are agents/, actions/, rules/, examples/, properties/, risk.json and sandbox.json".into(),
                )),
            }
        }
        actions::check_compensations(&catalogue, &homes, &mut problems);
        actions::check_resolvers(&catalogue, &homes, &mut problems);
        for manifest in agents.values() {
            manifests::check(manifest, &catalogue, &homes, &mut problems);
        }
        let policies = Policies::compile(&catalogue, &agents, &rules, &mut problems);
        let fatal = |problems: &[Problem]| problems.iter().any(|p| p.fatal);
        let Some(policies) = policies.filter(|_| !fatal(&problems)) else { return Err(problems) };
        let hash = hash(&sources);
        let mut bundle = Self {
            hash,
            catalogue,
            agents,
            policies,
            weights,
            cages,
            warnings: Vec::new(),
            examples: examples.len(),
            sources: Vec::new(),
            properties: Vec::new(),
        };
        for (path, property) in &properties {
            prove::check(&bundle, path, property, &mut problems);
        }
        for (path, example) in &examples {
            if let Err(message) = example.check(&bundle) {
                problems.push(Problem::error(*path, message));
            }
        }
        if fatal(&problems) {
            return Err(problems);
        }
        bundle.properties = properties.into_iter().map(|(_, property)| property).collect();
        bundle.warnings = problems;
        bundle.sources = sources;
        Ok(bundle)
    }

    /// The hash of its content.
    pub fn hash(&self) -> Digest {
        self.hash
    }
    /// Every action that exists.
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }
    /// The manifest of an agent.
    pub fn agent(&self, agent: &AgentId) -> Option<&Arc<AgentManifest>> {
        self.agents.get(agent)
    }
    /// All agents.
    pub fn agents(&self) -> impl Iterator<Item = &Arc<AgentManifest>> {
        self.agents.values()
    }
    /// The policies.
    pub fn policies(&self) -> &Policies {
        &self.policies
    }
    /// The weights of risk factors.
    pub fn weights(&self) -> &Weights {
        &self.weights
    }
    /// What holds programs whatever the action.
    pub fn cages(&self) -> &cage::Rules {
        &self.cages
    }
    /// Whether some action is carried out by a program, so that it matters what this host can hold it with.
    pub fn needs_cages(&self) -> bool {
        self.catalogue.iter().any(|(_, typed)| typed.cage.is_some())
    }

    /// Whether some action is carried out by a module of WebAssembly here.
    pub fn needs_modules(&self) -> bool {
        self.catalogue.iter().any(|(_, typed)| typed.cage.is_some_and(|needs| needs.module))
    }
    /// What is doubtful.
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }
    /// What it was compiled from.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }
    /// How many examples came out right.
    pub fn examples(&self) -> usize {
        self.examples
    }
}

/// In which file a thing is declared, for errors that show only when all is read.
#[derive(Debug, Default)]
struct Homes {
    actions: BTreeMap<ActionName, String>,
    agents: BTreeMap<AgentId, String>,
}

impl Homes {
    fn action(&self, name: &ActionName) -> String {
        self.actions.get(name).cloned().unwrap_or_else(|| "actions".into())
    }
    fn agent(&self, id: &AgentId) -> String {
        self.agents.get(id).cloned().unwrap_or_else(|| "agents".into())
    }
}

/// "; did you mean …", if something is near.
fn did_you_mean<T: fmt::Display>(name: &str, candidates: impl Iterator<Item = T>) -> String {
    nearest(name, candidates).map_or_else(String::new, |near| format!("; did you mean `{near}`?"))
}

fn hash(sources: &[Source]) -> Digest {
    let parts: Vec<&[u8]> = sources.iter().flat_map(|s| [s.path.as_bytes(), s.text.as_bytes()]).collect();
    Digest::of_parts("aecl/bundle/v1", &parts)
}

/// Reads a file that holds one thing or a list of them.
fn read_each<T: DeserializeOwned>(source: &Source, problems: &mut Vec<Problem>) -> Vec<T> {
    let limits = Limits { bytes_max: 16 << 20, ..Limits::default() };
    let document = match Document::parse(source.text.as_bytes(), &limits) {
        Ok(document) => document,
        Err(e) => {
            problems.push(Problem::error(&source.path, e.to_string()));
            return Vec::new();
        }
    };
    let items = match document.value() {
        Value::Array(items) => items.clone(),
        other => vec![other.clone()],
    };
    let mut out = Vec::new();
    for (i, item) in items.into_iter().enumerate() {
        let named =
            ["name", "agent_id"].iter().find_map(|k| item.get(*k).and_then(Value::as_str).map(str::to_owned));
        match serde_json::from_value(item) {
            Ok(read) => out.push(read),
            Err(e) => {
                let what = named.map_or_else(|| format!("item {}", i + 1), |n| format!("`{n}`"));
                problems.push(Problem::error(&source.path, format!("{what}: {}", with_hint(&e.to_string()))));
            }
        }
    }
    out
}

/// Adds "did you mean" to an error about an unknown key.
fn with_hint(error: &str) -> String {
    let mut quoted = error.split('`').skip(1).step_by(2);
    let near = match quoted.next() {
        Some(unknown) if error.starts_with("unknown field") || error.starts_with("unknown variant") => {
            nearest(unknown, quoted)
        }
        _ => None,
    };
    near.map_or_else(|| error.to_owned(), |near| format!("{error}; did you mean `{near}`?"))
}
