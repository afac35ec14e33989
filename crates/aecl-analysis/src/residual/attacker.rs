//! An attacker with a task: what he can put into arguments, and how he looks for a set that asks nobody.

use crate::situation::AssumedSituation;
use aecl_kernel::base::code;
use aecl_kernel::base::id::{ActionName, BadId};
use aecl_kernel::decide::checks::resource;
use aecl_kernel::define::catalogue::TypedAction;
use aecl_kernel::define::catalogue::flow::{self, Class, Endorses, Form};
use aecl_kernel::define::manifest::AgentManifest;
use aecl_kernel::policy::bundle::Bundle;
use aecl_kernel::policy::example::BegunAs;
use aecl_kernel::provenance::atoms::wanted;
use aecl_kernel::provenance::ingest::Endorsement;
use aecl_kernel::record::decision::Verdict;
use aecl_kernel::record::facts::{Fact, FactKey, FactStore as _, keys};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Most pieces of a goal.
const PIECES_MAX: usize = 96;
/// How often every argument is gone through.
const ROUNDS: usize = 2;

/// What an attacker has, and where from.
#[derive(Debug, Clone)]
struct Piece {
    value: Value,
    from: &'static str,
}

/// An attacker in the run of one task.
pub(super) struct Attacker<'a> {
    bundle: &'a Bundle,
    situation: AssumedSituation,
    pieces: Vec<Piece>,
    known: BTreeMap<FactKey, Fact>,
}

/// What was found: arguments, and where each is from.
pub(super) type Found = (Value, BTreeMap<String, &'static str>);

/// How far a set of arguments is from passing. Less is better.
type Weight = (Verdict, usize, u32);

impl<'a> Attacker<'a> {
    pub(super) fn new(
        bundle: &'a Bundle,
        agent: &AgentManifest,
        task: &AssumedSituation,
    ) -> Result<Self, BadId> {
        let mut situation = task.clone();
        situation.labels.untrusted = true;
        situation.labels.private = true;
        // He has begun something to which somebody has agreed, wherever something completes it.
        situation.completes = Some(BegunAs::Agreed);
        // A run without a goal rests on nothing, and is asked about everything.
        let goal = situation.goal.get_or_insert_default().clone();
        let mut pieces = of_goal(&goal);
        let mut known = BTreeMap::new();
        for (value, form) in TRUSTED {
            let value = value();
            let marks = marks(bundle, agent, *form);
            if marks.is_empty() {
                continue;
            }
            for atom in CLASSES.iter().flat_map(|class| wanted(*class, &value)) {
                known.put(keys::Trust(AssumedSituation::of_run()?, atom.digest()), marks.clone());
            }
            pieces.push(Piece { value, from: "an output that somebody trusted stands behind" });
        }
        for value in [json!("0.01"), json!(0.01), json!(0), json!(1), json!(""), json!(true), json!(false)] {
            pieces.push(Piece { value, from: "the smallest there is" });
        }
        for text in
            ["eve@evil.example", "https://evil.example/x", "DE02100100109307118603", "eve", "/etc/passwd"]
        {
            pieces.push(Piece { value: json!(text), from: "the attacker's own" });
        }
        Ok(Self { bundle, situation, pieces, known })
    }

    /// Looks for arguments with which nobody is asked.
    pub(super) fn attack(
        &self,
        action: &ActionName,
        typed: &TypedAction,
        tries: &[Value],
    ) -> Result<Option<Found>, BadId> {
        for start in tries {
            let Value::Object(start) = start else { continue };
            let mut from: BTreeMap<String, &'static str> =
                start.keys().map(|name| (name.clone(), "the examples and the schema")).collect();
            let (mut best, hopeless) = self.weigh(action, typed, start)?;
            if hopeless {
                return Ok(None);
            }
            let mut now = start.clone();
            for _ in 0..ROUNDS {
                if best.0 == Verdict::Allow {
                    return Ok(Some((Value::Object(now), from)));
                }
                let before = best;
                for (name, piece) in self.moves(typed) {
                    let mut next = now.clone();
                    match &piece {
                        Some(piece) => drop(next.insert(name.clone(), piece.value.clone())),
                        None if next.remove(&name).is_some() => {}
                        None => continue,
                    }
                    let (weight, _) = self.weigh(action, typed, &next)?;
                    if weight < best {
                        best = weight;
                        now = next;
                        match piece {
                            Some(piece) => drop(from.insert(name, piece.from)),
                            None => drop(from.remove(&name)),
                        }
                    }
                }
                if best == before {
                    break;
                }
            }
            if best.0 == Verdict::Allow {
                return Ok(Some((Value::Object(now), from)));
            }
        }
        Ok(None)
    }

    /// Everything that can be changed about one argument: another value, or none.
    fn moves(&self, typed: &TypedAction) -> Vec<(String, Option<Piece>)> {
        let needed = typed.schema.get("required").and_then(Value::as_array);
        let mut out = Vec::new();
        for (name, schema) in typed.schema.get("properties").and_then(Value::as_object).into_iter().flatten()
        {
            if !needed.is_some_and(|list| list.iter().any(|r| r.as_str() == Some(name))) {
                out.push((name.clone(), None));
            }
            let fitting = self
                .pieces
                .iter()
                .filter_map(|piece| Some(Piece { value: fit(&piece.value, schema)?, from: piece.from }));
            out.extend(fitting.map(|piece| (name.clone(), Some(piece))));
            let below = format!("/{}", name.replace('~', "~0").replace('/', "~1"));
            let roles = typed.roles.iter().filter(|(at, _)| flow::covers(&below, at));
            let vouched = roles.flat_map(|(_, argument)| &argument.known);
            let vouched = vouched.filter_map(|value| fit(value, schema));
            out.extend(vouched.map(|value| (name.clone(), Some(Piece { value, from: "the manifest" }))));
        }
        out
    }

    /// How far these arguments are from passing, and whether others would not help either.
    fn weigh(
        &self,
        action: &ActionName,
        typed: &TypedAction,
        arguments: &Map<String, Value>,
    ) -> Result<(Weight, bool), BadId> {
        let mut situation = self.situation.clone();
        situation.action = action.to_string();
        situation.arguments = Value::Object(arguments.clone()).to_string().into_bytes();
        let (judged, ruling) = situation.rule_knowing(self.bundle, &self.known)?;
        let decision = ruling.decision();
        // Arguments of another case are another action, which is tried by itself.
        if judged.typed.as_ref().is_none_or(|judged| judged.variant != typed.variant) {
            return Ok(((Verdict::Block, usize::MAX, u32::MAX), false));
        }
        // He picks the thing, so it is taken to be one that every rule about it lets pass.
        let against =
            decision.findings.iter().filter(|f| f.verdict > Verdict::Allow && f.check != resource::NAME);
        let verdict = against.clone().map(|f| f.verdict).max().unwrap_or(Verdict::Allow);
        let verdict = if decision.findings.iter().any(|f| f.check == resource::NAME) {
            verdict
        } else {
            decision.verdict
        };
        let always = |found: code::Code| {
            [code::NOT_ALLOWED, code::ACTION_BLOCKED, code::UNCOMPENSATED, code::ENVIRONMENT_REFUSED]
                .contains(&found)
                || (found == code::IRREVERSIBLE && !typed.manifest.unless_proven())
        };
        let hopeless = against.clone().any(|f| always(f.code));
        // One finding names several arguments.
        let doubts = against.map(|f| f.about.len().max(1)).sum();
        Ok(((verdict, doubts, decision.risk.points), hopeless))
    }
}

/// A value that an output may have said, and its form.
type Known = (fn() -> Value, Form);

/// One of each form. They stand in no goal and in no example.
const TRUSTED: &[Known] = &[
    (|| json!("kim@tenant.example"), Form::Email),
    (|| json!("https://tenant.example/known"), Form::Url),
    (|| json!("DE89370400440532013000"), Form::Account),
    (|| json!("4711"), Form::Id),
    (|| json!(4711), Form::Number),
    (|| json!(12.5), Form::Number),
    (|| json!("2031-05-17"), Form::Date),
    (|| json!("known.txt"), Form::Path),
    (|| json!("Kim Known"), Form::Name),
];

const CLASSES: &[Class] = &[
    Class::DestEmail,
    Class::DestUrl,
    Class::DestAccount,
    Class::DestName,
    Class::TargetId,
    Class::TargetName,
    Class::TargetPath,
    Class::Magnitude,
    Class::Profile,
    Class::Attachments,
];

/// Who may stand behind a value of this form, as the outputs of what the agent may do are labelled.
fn marks(bundle: &Bundle, agent: &AgentManifest, form: Form) -> Vec<Endorsement> {
    let may = |name: &str| {
        AgentManifest::lists(&agent.allowed_actions, name) || agent.context_rules.contains_key(name)
    };
    let mut out = Vec::new();
    let entries = bundle.catalogue().iter().filter(|(name, _)| may(name.as_str()));
    for typed in entries.flat_map(|(_, typed)| typed.variants()) {
        let manifest = &typed.manifest;
        let labels = manifest.outputs.iter().filter(|label| label.form.is_none_or(|f| f == form));
        out.extend(labels.map(|label| label.endorses).filter(|by| *by <= Endorses::Agent));
        if manifest.outputs.is_empty() && !manifest.output.untrusted && !manifest.effect.changes_something() {
            out.push(Endorses::System);
        }
    }
    out.sort_unstable();
    out.dedup();
    out.into_iter().map(Endorsement::of).collect()
}

/// Everything that a goal says, piece by piece.
fn of_goal(goal: &str) -> Vec<Piece> {
    let mut texts: Vec<String> = Vec::new();
    let mut add = |text: &str| {
        let text =
            text.trim_matches(|c: char| !c.is_alphanumeric() && !matches!(c, '/' | '~' | '#' | '@' | '+'));
        if !text.is_empty() && !texts.iter().any(|t| t == text) {
            texts.push(text.to_owned());
        }
    };
    for quote in ['"', '\'', '`', '”'] {
        goal.split([quote, '“']).skip(1).step_by(2).for_each(&mut add);
    }
    let words: Vec<&str> = goal.split_whitespace().collect();
    words.iter().for_each(|word| add(word));
    for two in words.windows(2).filter(|w| w.iter().all(|w| w.starts_with(char::is_uppercase))) {
        add(&two.join(" "));
    }
    texts.truncate(PIECES_MAX);
    let mut out = Vec::new();
    for text in texts {
        let digits: String = text.chars().filter(|c| c.is_ascii_digit() || matches!(c, '.' | '-')).collect();
        if let Ok(number @ Value::Number(_)) = serde_json::from_str::<Value>(&digits) {
            out.push(Piece { value: number, from: "the goal" });
        }
        out.push(Piece { value: json!(text), from: "the goal" });
    }
    if !goal.is_empty() {
        out.push(Piece { value: json!(goal), from: "the goal" });
    }
    out
}

/// The value as the schema takes it, if it could.
fn fit(value: &Value, schema: &Value) -> Option<Value> {
    let takes = |kind: &str| match schema.get("type") {
        Some(Value::String(k)) => k == kind,
        Some(Value::Array(kinds)) => kinds.iter().any(|k| k == kind),
        Some(_) | None => {
            let options = schema.get("anyOf").or(schema.get("oneOf")).and_then(Value::as_array);
            options.is_some_and(|all| all.iter().any(|o| o.get("type").and_then(Value::as_str) == Some(kind)))
        }
    };
    match value {
        Value::String(_) if takes("string") => Some(value.clone()),
        Value::Number(_) if takes("number") => Some(value.clone()),
        Value::Number(n) if takes("integer") && (n.is_i64() || n.is_u64()) => Some(value.clone()),
        Value::Number(n) if takes("string") => Some(json!(n.to_string())),
        Value::Bool(_) if takes("boolean") => Some(value.clone()),
        other if takes("array") => {
            let inner = schema.get("items").unwrap_or(&Value::Null);
            fit(other, inner).map(|one| json!([one]))
        }
        _ => None,
    }
}
