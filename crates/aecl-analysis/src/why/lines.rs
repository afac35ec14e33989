//! The lines of policy that may change a finding, by its code. Whether one does is tried out by whoever asks.

mod bounds;
mod proofs;

pub(super) use bounds::limits;

use super::edit::{Edit, entry, flow};
use super::{Key, Line};
use aecl_kernel::base::code;
use aecl_kernel::define::catalogue::{Effect, TypedAction};
use aecl_kernel::define::manifest::AgentManifest;
use aecl_kernel::policy::bundle::Bundle;
use aecl_kernel::provenance::proof::Backing;
use aecl_kernel::read::action::Action;
use aecl_kernel::record::decision::Decision;
use serde_json::{Map, Value, json};

/// Somebody who stands behind the value at this place.
pub(super) type Overlay = (String, Backing);

/// A line that may change something.
#[derive(Debug)]
pub(super) struct Candidate {
    pub edits: Vec<Edit>,
    /// What a label of another action's output would prove.
    pub overlay: Option<Overlay>,
    /// Of lines that say the same in other words, the first that is enough is told.
    pub group: Option<&'static str>,
    pub line: Line,
}

/// Where a finding stands.
pub(super) struct Place<'a> {
    pub bundle: &'a Bundle,
    pub agent: Option<&'a AgentManifest>,
    pub variant: &'a TypedAction,
    pub action: &'a Action,
    /// The values of the arguments are those of a call.
    pub given: bool,
    pub decision: &'a Decision,
    pub key: &'a Key,
    /// What the run is for.
    pub goal: Option<&'a str>,
}

/// Lines for a finding, the narrowest first.
pub(super) fn candidates(place: &Place<'_>) -> Vec<Candidate> {
    let code = place.key.code;
    let manifest = &place.variant.manifest;
    let reversible = || {
        let line = place.in_action(
            &["reversibility"],
            json!("reversible"),
            "being asked, and an undo by `aecl rollback`",
        );
        only_if(line, "simply doing the opposite undoes it")
    };
    let lines = match code {
        code::IRREVERSIBLE => {
            let mut lines = match (&place.key.at, manifest.unless_proven()) {
                (Some(_), _) => proofs::candidates(place),
                (None, true) => place.of_intent(),
                (None, false) => vec![place.unless_proven()],
            };
            lines.push(reversible());
            lines
        }
        code::UNCOMPENSATED => vec![reversible()],
        code::APPROVAL_RULE | code::POLICY_FORBIDS => place.of_rule(),
        code::ACTION_BLOCKED | code::NOT_ALLOWED => vec![place.listed()],
        code::ENVIRONMENT_REFUSED | code::OUT_OF_SCOPE | code::OUT_OF_HOURS | code::CREDENTIAL_REFUSED => {
            place.of_scope()
        }
        code::RISK_ABOVE_THRESHOLD => {
            // The narrowest first: what is wanted is no risk for being final.
            let narrow = (!manifest.unless_proven()).then(|| place.unless_proven()).flatten();
            std::iter::once(narrow).chain(place.of_risk()).collect()
        }
        code::PLAN_NOT_APPROVED => {
            vec![place.in_agent(
                &["plans"],
                json!("optional"),
                "people's yes to a plan before this agent changes anything",
            )]
        }
        code::QUESTIONS_EXHAUSTED => {
            vec![place.in_agent(&["max_questions_per_run"], json!(10), "a bound to how often a run may ask")]
        }
        code::OFF_INTENT | code::OFF_INTENT_UNPROVEN => place.of_intent(),
        code::TOLD_BY_STRANGER => vec![place.standard()],
        code::PRIVATE_TO_OUTSIDE => {
            let line =
                place.in_action(&["egress"], json!("tenant"), "being asked before private data leaves by it");
            vec![only_if(line, "nobody outside sees what it does")]
        }
        code::AMOUNT_ABOVE_LIMIT => vec![place.limit()],
        code::BUDGET_EXCEEDED => place.of_budget(),
        code::DESTINATION_REFUSED => vec![place.destination()],
        code::SQL_BEYOND_EFFECT => [Effect::Write, Effect::Delete, Effect::Deploy, Effect::Grant]
            .into_iter()
            .map(|effect| {
                let line = place.in_action(
                    &["effect"],
                    json!(effect),
                    "the block; what it does now counts as what it says",
                );
                only_if(line, "the action is meant for that")
            })
            .collect(),
        code::RESOURCE_UNREAD | code::RESOURCE_INCOMPLETE if manifest.resource.is_some() => {
            vec![place.in_action(
                &["resource", "missing"],
                json!("ask"),
                "the block; a person decides without knowing the thing",
            )]
        }
        _ => proofs::candidates(place),
    };
    lines.into_iter().flatten().collect()
}

/// The same line, which is true only under a condition.
fn only_if(line: Option<Candidate>, condition: &'static str) -> Option<Candidate> {
    line.map(|c| Candidate { line: Line { only_if: Some(condition), ..c.line }, ..c })
}

impl Place<'_> {
    /// The entry of the action as it is written, with its file.
    fn written(&self) -> Option<(String, Value)> {
        entry(self.bundle.sources(), "actions/", "name", self.variant.manifest.name.as_str())
    }

    /// A key of the action, or of the case of it. The rest of what stands below the first key stays.
    fn in_action(&self, path: &[&str], value: Value, gives_up: &str) -> Option<Candidate> {
        let (file, raw) = self.written()?;
        let mut at: Vec<String> = Vec::new();
        if let Some(case) = self.variant.variant.checked_sub(1) {
            at.extend(["cases".to_owned(), case.to_string()]);
        }
        let (first, below) = path.split_first()?;
        let steps = at.iter().chain(std::iter::once(&(*first).to_owned())).cloned().collect::<Vec<_>>();
        let of_entry = raw.get(*first);
        let own = lookup(&raw, &steps);
        // What a case says of arguments stands beside what the entry says of them.
        let there = own.or(of_entry.filter(|_| *first != "args")).cloned();
        let whole = match below.is_empty() {
            true => value.clone(),
            false => with(there.unwrap_or_else(|| json!({})), below, value.clone()),
        };
        // Where much else stands below the key, the place alone is said.
        let shown = match *first == "resource" || *first == "fields" {
            true => format!("{}: {}", path.join("."), flow(&value)),
            false => format!("{first}: {}", flow(&whole)),
        };
        // Two lines about one key do not undo each other; a case that has none begins with that of the entry.
        let (steps, put) = match self.variant.variant == 0 || own.is_some() {
            true => (steps.into_iter().chain(below.iter().map(|b| (*b).to_owned())).collect(), value),
            false => (steps, whole.clone()),
        };
        let name = match self.variant.variant.checked_sub(1) {
            Some(case) => format!("{} > cases[{case}]", self.variant.manifest.name),
            None if self.variant.cases.is_empty() => self.variant.manifest.name.to_string(),
            None => format!("{} (and its cases that say nothing else)", self.variant.manifest.name),
        };
        Some(Candidate {
            edits: vec![Edit::Set {
                file: file.clone(),
                entry: Some(("name", self.variant.manifest.name.to_string())),
                path: steps,
                value: Some(put),
            }],
            overlay: None,
            group: None,
            line: line(file, name, shown, gives_up),
        })
    }

    /// A key of the agent's manifest.
    fn in_agent(&self, path: &[&str], value: Value, gives_up: &str) -> Option<Candidate> {
        let id = self.action.principal.agent.as_str();
        let (file, _) = entry(self.bundle.sources(), "agents/", "agent_id", id)?;
        let shown = format!("{}: {}", path.join("."), flow(&value));
        Some(Candidate {
            edits: vec![Edit::Set {
                file: file.clone(),
                entry: Some(("agent_id", id.to_owned())),
                path: path.iter().map(|step| (*step).to_owned()).collect(),
                value: Some(value),
            }],
            overlay: None,
            group: None,
            line: line(file, id.to_owned(), shown, gives_up),
        })
    }

    fn unless_proven(&self) -> Option<Candidate> {
        let (_, raw) = self.written()?;
        let case = self.variant.variant.checked_sub(1);
        let own = case.and_then(|case| raw.pointer(&format!("/cases/{case}/approval")));
        let gives_up = "somebody who looks where the goal asks for it and has named all that matters";
        match own.or_else(|| raw.get("approval")) {
            Some(_) => self.in_action(&["approval", "unless_proven"], json!(true), gives_up),
            None => self.in_action(&["approval"], json!({"always": false, "unless_proven": true}), gives_up),
        }
    }

    /// What a rule that asks or forbids is made of.
    fn of_rule(&self) -> Vec<Option<Candidate>> {
        let Some(id) = self.key.policy.as_deref() else { return Vec::new() };
        if id.ends_with("/always_approval") {
            return vec![self.in_action(
                &["approval", "always"],
                json!(false),
                "a person's yes to every call, from whichever agent",
            )];
        }
        let name = self.variant.manifest.name.as_str();
        if id.ends_with("/context_rule") {
            return vec![self.unruled(name)];
        }
        let Some((file, rule)) = id.split_once('#') else { return Vec::new() };
        let pairs = self.bundle.policies().own_rules().get(id).map_or(0, |rule| rule.pairs.len());
        let gives_up = match pairs {
            0 | 1 => "the rule".to_owned(),
            n => format!("the rule for {n} pairs of agent and action; an `unless` in it leaves the others"),
        };
        let line = line(file.to_owned(), rule.to_owned(), "without this rule".to_owned(), &gives_up);
        vec![Some(Candidate { edits: vec![Edit::Rule(id.to_owned())], overlay: None, group: None, line })]
    }

    /// A rule of the manifest that asks, turned into a plain permission.
    fn unruled(&self, name: &str) -> Option<Candidate> {
        let agent = self.agent?;
        let mut rules = serde_json::to_value(&agent.context_rules).ok()?;
        rules.as_object_mut()?.remove(name);
        let id = agent.agent_id.as_str();
        let (file, raw) = entry(self.bundle.sources(), "agents/", "agent_id", id)?;
        let mut kept = raw.get("context_rules").cloned().unwrap_or_else(|| json!({}));
        kept.as_object_mut()?.remove(name);
        let mut lists = self.in_agent(
            &["allowed_actions"],
            added(raw.get("allowed_actions"), name),
            "a person's yes to every call of this agent",
        )?;
        lists.edits.push(Edit::Set {
            file,
            entry: Some(("agent_id", id.to_owned())),
            path: vec!["context_rules".into()],
            value: Some(kept),
        });
        lists.line.line = format!("allowed_actions: [..., {name}], and not in `context_rules`");
        Some(lists)
    }

    /// The lists of the manifest as they would allow it.
    fn listed(&self) -> Option<Candidate> {
        let (name, agent) = (self.variant.manifest.name.as_str(), self.agent?);
        let (_, raw) = entry(self.bundle.sources(), "agents/", "agent_id", agent.agent_id.as_str())?;
        let key = self.key.code;
        if key == code::NOT_ALLOWED {
            let all = added(raw.get("allowed_actions"), name);
            let mut out = self.in_agent(&["allowed_actions"], all, "that this agent cannot do it")?;
            out.line.line = format!("allowed_actions: [..., {name}]");
            return Some(out);
        }
        let mut rest = agent.blocked_actions.clone();
        rest.retain(|listed| !AgentManifest::lists(&std::iter::once(listed.clone()).collect(), name));
        self.in_agent(
            &["blocked_actions"],
            json!(rest),
            "that nothing else of the policy can allow it to this agent",
        )
    }

    fn of_intent(&self) -> Vec<Option<Candidate>> {
        let word = super::moments::WORD;
        let mut words = vec![(word.to_owned(), "WORD".to_owned())];
        if let Some(goal) = self.goal() {
            words = goal.into_iter().map(|word| (word.clone(), word)).collect();
        }
        let known = &self.variant.intent;
        let mut out: Vec<Option<Candidate>> = words
            .into_iter()
            .map(|(word, shown)| {
                let mut words = known.clone();
                words.strong.insert(word.clone());
                let gives_up =
                    "being asked where a goal gives the order with this word and means something else";
                // The first word that is written takes the place of those of the name.
                let mut one = match self.variant.manifest.intent.is_empty() {
                    true => self.in_action(&["intent"], json!(words), gives_up)?,
                    false => self.in_action(&["intent", "strong"], json!(words.strong), gives_up)?,
                };
                one.line.line = one.line.line.replace(&word, &shown);
                one.group = Some("words");
                one.line.only_if = (shown == "WORD").then_some("WORD is how your users ask for it");
                Some(one)
            })
            .collect();
        out.push(only_if(
            self.in_action(
                &["severity"],
                json!(1),
                "being asked about what the goal does not ask for, and the weight of grave harm",
            ),
            "the worst that can come of it is a nuisance",
        ));
        out.push(self.standard());
        out
    }

    /// The words of the goal, if there is one.
    fn goal(&self) -> Option<Vec<String>> {
        let goal = self.goal.filter(|goal| *goal != super::moments::WORD)?;
        let words = goal.split(|c: char| !c.is_alphanumeric()).filter(|word| word.chars().count() > 2);
        Some(words.map(str::to_lowercase).take(24).collect())
    }

    fn standard(&self) -> Option<Candidate> {
        self.in_agent(&["mode"], json!("standard"), "the block: a person is asked instead")
    }

    fn destination(&self) -> Option<Candidate> {
        let field = self.variant.manifest.fields.destination.as_ref()?;
        let mut all = field.allowed.clone().unwrap_or_default();
        all.extend(self.action.destinations.iter().cloned());
        self.in_action(
            &["fields", "destination", "allowed"],
            json!(all),
            "that it never goes there, with a yes or without",
        )
    }
}

fn line(file: String, entry: String, line: String, gives_up: &str) -> Line {
    Line { file, entry, line, only_if: None, gives_up: gives_up.to_owned(), left: Vec::new() }
}

/// A list with one more.
fn added(list: Option<&Value>, one: &str) -> Value {
    let mut all: Vec<Value> = list.and_then(Value::as_array).cloned().unwrap_or_default();
    if !all.iter().any(|known| known == one) {
        all.push(json!(one));
    }
    Value::Array(all)
}

fn lookup<'a>(value: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, step| match value {
        Value::Array(items) => items.get(step.parse::<usize>().ok()?),
        other => other.get(step),
    })
}

/// An object with something else at a place below it.
fn with(into: Value, path: &[&str], value: Value) -> Value {
    let mut members = match into {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    if let Some((first, rest)) = path.split_first() {
        let value = match rest.is_empty() {
            true => value,
            false => with(members.get(*first).cloned().unwrap_or_else(|| json!({})), rest, value),
        };
        // What is there stays where it stands.
        members.insert((*first).to_owned(), value);
    }
    Value::Object(members)
}
