//! What recorded traffic suggests about the entries of a catalogue: labels of outputs, values that people have agreed to again and
//! again, how an action is undone, and which read tells about what it acts on. All of it is a proposal for people, with its reason:
//! traffic shows what was, and a stranger may have written some of it.

mod opposites;
mod outputs;
mod things;

use aecl_kernel::define::catalogue::flow::Class;
use aecl_kernel::define::catalogue::{Effect, TypedAction, infer};
use aecl_kernel::policy::bundle::Bundle;
use aecl_kernel::provenance::ingest;
use outputs::Outputs;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// So many people's yes to one value, and no no, make it a value that is worth a line.
pub const YES_MIN: u32 = 3;
/// So often an action was carried out before a way back is proposed.
const DONE_MIN: u64 = 2;
/// Arguments whose value is what is done, and not to what.
const SETTINGS: [&str; 12] = [
    "access",
    "kind",
    "level",
    "mode",
    "permission",
    "privilege",
    "role",
    "state",
    "status",
    "type",
    "value",
    "visibility",
];
/// Form of an id that a backend issues: a number, with a short mark before it, or a digest.
pub const ISSUED_ID: &str = "([A-Za-z]{1,8}[-_:#]?)?[0-9][0-9-]{0,31}|[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}|[0-9a-f]{7,64}";
/// Words of ids that somebody else has chosen.
pub const THEIRS: [&str; 10] = [
    "client",
    "custom",
    "customer",
    "external",
    "foreign",
    "idempotency",
    "reference",
    "remote",
    "reply",
    "sender",
];
/// As many values of one argument are proposed.
const KNOWN_MAX: usize = 32;

/// Traffic of actions, as it was recorded.
#[derive(Debug, Default)]
pub struct Learned(BTreeMap<String, Traffic>);

#[derive(Debug, Default)]
struct Traffic {
    outputs: Outputs,
    /// By argument and value as JSON: how often people have said yes and no to a call with it.
    answers: BTreeMap<(String, String), (u32, u32)>,
}

/// Suggestion of one line of policy that traffic speaks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Suggestion {
    /// The action.
    pub action: String,
    /// The key of its entry: `outputs`, `args`, `compensation` or `resource`.
    pub key: &'static str,
    /// What it would say; of `outputs` one label more, of `args` what is said of one argument more.
    pub value: Value,
    /// Whether fewer people would be asked with it.
    pub loosens: bool,
    /// What speaks for it.
    pub why: String,
}

impl Suggestion {
    /// Writes it into the entry of its action, beside what is there.
    pub fn apply(&self, entry: &mut Map<String, Value>) {
        match self.key {
            "outputs" => {
                let labels = entry.entry("outputs").or_insert_with(|| json!([]));
                let Some(labels) = labels.as_array_mut() else { return };
                // The first that fits counts, and what is secret is so whatever else is said.
                match self.loosens {
                    true => labels.push(self.value.clone()),
                    false => labels.insert(0, self.value.clone()),
                }
            }
            "args" => {
                let args = entry.entry("args").or_insert_with(|| json!({}));
                for (name, said) in self.value.as_object().into_iter().flatten() {
                    let own = args
                        .as_object_mut()
                        .map(|args| args.entry(name.clone()).or_insert_with(|| json!({})));
                    if let (Some(Value::Object(own)), Some(said)) = (own, said.as_object()) {
                        own.extend(said.clone());
                    }
                }
            }
            "compensation" => {
                entry.insert("compensation".into(), self.value.clone());
                entry.insert("reversibility".into(), "compensatable".into());
            }
            key => drop(entry.insert(key.to_owned(), self.value.clone())),
        }
    }
}

impl Learned {
    /// Takes in what a call has answered.
    pub fn returned(&mut self, action: &str, output: &[u8]) {
        if let Some(answer) = ingest::answer(output) {
            self.0.entry(action.to_owned()).or_default().outputs.see(&answer);
        }
    }

    /// Takes in what people have said to a call with these arguments.
    pub fn answered(&mut self, action: &str, arguments: &Value, yes: bool) {
        let answers = &mut self.0.entry(action.to_owned()).or_default().answers;
        for (name, value) in arguments.as_object().into_iter().flatten() {
            if value.is_string() || value.is_number() {
                let (yeses, noes) = answers.entry((name.clone(), value.to_string())).or_default();
                *(if yes { yeses } else { noes }) += 1;
            }
        }
    }

    /// How many answers of an action were seen.
    pub fn calls(&self, action: &str) -> u64 {
        self.0.get(action).map_or(0, |traffic| traffic.outputs.calls())
    }

    /// Texts of an action's answers that stay a stranger's, with what they look like: a person who knows who writes them may say
    /// more.
    pub fn left(&self, action: &str) -> Vec<(String, String)> {
        self.0.get(action).map(|traffic| traffic.outputs.left()).unwrap_or_default()
    }

    /// What speaks for changing the entry of an action.
    pub fn proposals(&self, bundle: &Bundle, action: &str) -> Vec<Suggestion> {
        let Some(typed) = bundle.catalogue().find(action) else { return Vec::new() };
        let mut out = Vec::new();
        if let Some(traffic) = self.0.get(action) {
            out.extend(traffic.outputs.labels(action, &typed.manifest.outputs));
            out.extend(traffic.known(action, typed));
        }
        if self.calls(action) >= DONE_MIN {
            let was_done = |other: &str| self.calls(other) > 0;
            out.extend(opposites::compensation(bundle, typed, was_done, |path| self.issues(action, path)));
        }
        out.extend(things::resource(bundle, typed, |read| {
            self.0.get(read).map(|traffic| traffic.outputs.attributes()).unwrap_or_default()
        }));
        out
    }

    /// Whether every answer of an action has an id at this place.
    fn issues(&self, action: &str, path: &str) -> bool {
        self.0.get(action).is_some_and(|traffic| traffic.outputs.issues(path))
    }
}

impl Traffic {
    /// Values that people have agreed to and nobody has refused: of targets only, since where something goes, how much and what
    /// runs is worth a look each time.
    fn known(&self, action: &str, typed: &TypedAction) -> Vec<Suggestion> {
        // What takes something away or is grave is worth a look each time.
        let changes = [Effect::Write, Effect::Send].contains(&typed.manifest.effect);
        if !changes || typed.manifest.severity() >= 3 {
            return Vec::new();
        }
        let mut of: BTreeMap<&str, Vec<(Value, u32)>> = BTreeMap::new();
        for ((name, value), (yes, no)) in &self.answers {
            let role = typed.roles.of_pointer(&format!("/{}", name.replace('~', "~0").replace('/', "~1")));
            let is_target =
                role.is_some_and(|role| role.class.is_target() && role.class != Class::TargetPath);
            let value = serde_json::from_str(value).unwrap_or_default();
            let is_setting = infer::any(&infer::words(name), &SETTINGS);
            if is_target
                && !is_setting
                && *yes >= YES_MIN
                && *no == 0
                && !role.is_some_and(|role| role.knows(&value))
            {
                of.entry(name).or_default().push((value, *yes));
            }
        }
        let proposals = of.into_iter().map(|(name, mut values)| {
            values.sort_by_key(|(_, yes)| std::cmp::Reverse(*yes));
            values.truncate(KNOWN_MAX);
            let before = typed.manifest.args.get(name);
            let class = typed.roles.of_pointer(&format!("/{name}")).map(|role| role.class);
            let known: Vec<Value> = before
                .map(|argument| argument.known.clone())
                .unwrap_or_default()
                .into_iter()
                .chain(values.iter().map(|(value, _)| value.clone()))
                .collect();
            let least = values.iter().map(|(_, yes)| *yes).min().unwrap_or_default();
            let mut said = Map::from_iter([("known".to_owned(), Value::Array(known))]);
            if before.is_none() {
                said.insert("class".into(), json!(class));
            }
            Suggestion {
                action: action.to_owned(),
                key: "args",
                value: json!({ name: said }),
                loosens: true,
                why: format!(
                    "people have said yes at least {least} times to calls with each of {} values of `{name}`, and never no; list none that would do harm by itself",
                    values.len()
                ),
            }
        });
        proposals.collect()
    }
}

#[cfg(test)]
mod tests;
