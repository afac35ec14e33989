//! A bundle: catalogue, agents, rules and examples, validated as a whole and named by its content.
//!
//! A bundle that does not compile, or whose own examples come out wrong, does not load; the running one
//! stays.

use crate::base::digest::Digest;
use crate::base::id::{AgentId, UserId};
use crate::define::catalogue::{ActionManifest, Catalogue};
use crate::define::isolation;
use crate::define::manifest::{AgentManifest, Strictness};
use crate::define::person::PersonManifest;
use crate::define::risk::Weights;
use crate::policy::compile::RuleText;
use crate::policy::example::Example;
use crate::policy::people::People;
use crate::policy::problem::{BundleProblem, Homes, Source, read_each};
use crate::policy::property::Property;
use crate::policy::{Policies, actions, completions, manifests, resource_problems};
use crate::provenance::atoms::Atom;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Everything that was decided about what agents may do, compiled.
#[derive(Debug)]
pub struct Bundle {
    hash: Digest,
    catalogue: Catalogue,
    agents: BTreeMap<AgentId, Arc<AgentManifest>>,
    people: People,
    strict: bool,
    policies: Policies,
    weights: Weights,
    cages: isolation::Rules,
    warnings: Vec<BundleProblem>,
    sources: Vec<Source>,
    examples: usize,
    properties: Vec<Property>,
}

/// A bundle that compiles, with what it claims and shows, which nobody has looked at yet.
#[derive(Debug)]
pub struct Assembled {
    /// The bundle.
    pub bundle: Bundle,
    /// Claims, each with its file.
    pub properties: Vec<(String, Property)>,
    /// Examples, each with its file.
    pub examples: Vec<(String, Example)>,
    /// What is doubtful so far.
    pub problems: Vec<BundleProblem>,
}

impl Bundle {
    /// Compiles sources, or gives everything that is wrong. Nothing that it claims or shows is tried.
    pub fn assemble(mut sources: Vec<Source>) -> Result<Assembled, Vec<BundleProblem>> {
        sources.sort();
        let mut problems = Vec::new();
        let mut catalogue = Catalogue::default();
        let mut agents = BTreeMap::new();
        let mut homes = Homes::default();
        let (mut weights, mut cages) = (Weights::default(), isolation::Rules::default());
        let mut people = People::default();
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
                            problems.push(BundleProblem::error(path, format!("the agent `{id}` is declared twice")));
                        }
                    }
                }
                ("people", _) => {
                    for person in read_each::<PersonManifest>(source, &mut problems) {
                        people.add(path, &person, &mut problems);
                    }
                }
                ("rules", _) => rules.push(RuleText { path, text: &source.text }),
                ("examples", _) => {
                    examples.extend(read_each::<Example>(source, &mut problems).into_iter().map(|e| (path.to_owned(), e)));
                }
                ("properties", _) => {
                    properties.extend(read_each::<Property>(source, &mut problems).into_iter().map(|p| (path.to_owned(), p)));
                }
                ("risk.json" | "risk.yaml" | "risk.yml", "") => {
                    alone(path, "risk", &sources, &mut problems);
                    weights = read_each(source, &mut problems).pop().unwrap_or_default();
                }
                ("sandbox.json" | "sandbox.yaml" | "sandbox.yml", "") => {
                    alone(path, "sandbox", &sources, &mut problems);
                    cages = read_each(source, &mut problems).pop().unwrap_or_default();
                }
                _ => problems.push(BundleProblem::error(
                    path,
                    "not a place that a bundle has; known are agents/, actions/, people/, rules/, examples/, properties/, risk.json and sandbox.json".into(),
                )),
            }
        }
        actions::check_compensations(&catalogue, &homes, &mut problems);
        completions::check(&catalogue, &homes, &mut problems);
        actions::check_resolvers(&catalogue, &homes, &mut problems);
        resource_problems::check(&catalogue, &homes, &mut problems);
        for manifest in agents.values() {
            manifests::check(manifest, &catalogue, &homes, &mut problems);
        }
        let policies = Policies::compile(&catalogue, &agents, &rules, &mut problems);
        let fatal = |problems: &[BundleProblem]| problems.iter().any(|p| p.fatal);
        let Some(policies) = policies.filter(|_| !fatal(&problems)) else { return Err(problems) };
        let hash = hash(&sources);
        let bundle = Self {
            strict: agents.values().any(|agent| agent.mode == Strictness::Strict),
            hash,
            catalogue,
            agents,
            people,
            policies,
            weights,
            cages,
            warnings: Vec::new(),
            examples: examples.len(),
            sources,
            properties: properties.iter().map(|(_, property)| property.clone()).collect(),
        };
        Ok(Assembled { bundle, properties, examples, problems })
    }

    /// The same, with what is doubtful about it.
    pub fn with_warnings(self, warnings: Vec<BundleProblem>) -> Self {
        Self { warnings, ..self }
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
    /// Whether any agent is strict: found out once, since calls ask for it.
    pub fn has_strict(&self) -> bool {
        self.strict
    }
    /// What is a user's own: their addresses, accounts and names.
    pub fn own_of(&self, user: &UserId) -> Option<&BTreeSet<Atom>> {
        self.people.of(user)
    }
    /// The users of whom something is known, as written.
    pub fn people(&self) -> impl Iterator<Item = &PersonManifest> {
        self.people.iter()
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
    pub fn cages(&self) -> &isolation::Rules {
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
    pub fn warnings(&self) -> &[BundleProblem] {
        &self.warnings
    }
    /// What it was compiled from.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }
    /// Where the risk weights or the rules for cages stand: the file as it was written, or as it would be.
    pub fn file_of(&self, name: &str) -> String {
        only(&self.sources, name).map_or_else(|| format!("{name}.json"), str::to_owned)
    }
    /// What the bundle claims about itself.
    pub fn properties(&self) -> &[Property] {
        &self.properties
    }
    /// How many examples came out right.
    pub fn examples(&self) -> usize {
        self.examples
    }
}

/// The file of which a bundle has one, as it was written.
fn only<'a>(sources: &'a [Source], name: &str) -> Option<&'a str> {
    let is_it = |path: &str| path.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'));
    sources.iter().map(|source| source.path.as_str()).find(|path| is_it(path))
}

/// Refuses a second one in another spelling: nobody could tell which of them counts.
fn alone(path: &str, name: &str, sources: &[Source], problems: &mut Vec<BundleProblem>) {
    if let Some(first) = only(sources, name).filter(|first| *first != path) {
        problems.push(BundleProblem::error(
            path,
            format!("`{first}` is there as well; a bundle has one of them"),
        ));
    }
}

fn hash(sources: &[Source]) -> Digest {
    let parts: Vec<&[u8]> = sources.iter().flat_map(|s| [s.path.as_bytes(), s.text.as_bytes()]).collect();
    Digest::of_parts("aecl/bundle/v1", &parts)
}
