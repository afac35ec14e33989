//! What a call has issued, such as the id of what it began: told again to whoever completes it, and looked for in whatever is
//! done to it in between. A call that completes carries exactly what was issued; one that changes it may write it otherwise.

use super::atoms::plain;
use super::ingest::{answer, is_narrow};
use super::proof::leaves;
use super::secrets::unpercent;
use crate::base::digest::Digest;
use crate::define::catalogue::TypedAction;
use crate::define::catalogue::flow::{Class, Endorses, OutputLabel, fits};
use crate::read::action::Action;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Most arguments of a call that is completed; what has more is not.
const ARGUMENTS_MAX: usize = 64;
/// Most values of one call that are looked for among what was issued.
const CARRIED_MAX: usize = 512;
/// Longest value that may be an id as a whole, in bytes.
const ID_BYTES_MAX: usize = 256;

/// A value that a call has issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuedValue {
    /// Where it stood in the answer.
    pub field: String,
    /// What it is looked for by, however it is written.
    pub key: Digest,
    /// Digest of how it is written.
    pub exact: Digest,
    /// Digests of the arguments of the call, by their JSON pointers.
    pub arguments: BTreeMap<String, Digest>,
}

/// What a call has issued of what these fields of its answer hold. Nothing that it was given itself: an echo begins nothing.
pub fn issued(
    action: &Action,
    typed: &TypedAction,
    fields: &BTreeSet<&str>,
    output: &[u8],
) -> Vec<IssuedValue> {
    if fields.is_empty() || !typed.manifest.effect.changes_something() {
        return Vec::new();
    }
    let (Some(answer), Some(arguments)) = (answer(output), arguments(action, typed)) else {
        return Vec::new();
    };
    let given = Carried::of(action, typed);
    let mut out = Vec::new();
    for field in fields {
        let Some((i, label)) = vouching(&typed.manifest.outputs, field) else { continue };
        let Some(value) = answer.pointer(field).filter(|value| is_narrow(label.form, value)) else {
            continue;
        };
        let Some(text) = plain(value).filter(|text| typed.has_pattern(i, text)) else { continue };
        let Some(key) = key(&text).filter(|key| !given.more && !given.keys.contains(key)) else { continue };
        let (field, exact) = ((*field).to_owned(), exact(&text));
        out.push(IssuedValue { field, key, exact, arguments: arguments.clone() });
    }
    out
}

/// The label that says that the system issues what stands in this field.
pub fn vouching<'a>(labels: &'a [OutputLabel], field: &str) -> Option<(usize, &'a OutputLabel)> {
    let (i, label) = labels.iter().enumerate().find(|(_, label)| fits(&label.path, field))?;
    let issues = matches!(label.endorses, Endorses::System | Endorses::Agent) && !label.taints;
    (issues && label.path == field && (label.form.is_some() || label.pattern.is_some())).then_some((i, label))
}

/// Digests of the arguments of a call that have a role, by their JSON pointers. Nothing, if they are too many.
pub fn arguments(action: &Action, typed: &TypedAction) -> Option<BTreeMap<String, Digest>> {
    let leaves = leaves(action, typed);
    let digest = |class: Class, value: &Value| {
        Digest::of_parts("aecl/begun/v1", &[class.name().as_bytes(), value.to_string().as_bytes()])
    };
    (leaves.len() <= ARGUMENTS_MAX)
        .then(|| leaves.into_iter().map(|leaf| (leaf.pointer, digest(leaf.class, leaf.value))).collect())
}

/// Digest of a value as it is written.
pub fn exact(text: &str) -> Digest {
    Digest::of_parts("aecl/issued/v1", &[text.as_bytes()])
}

/// What a value is looked for by: its letters and digits, without case. One that has none is nothing.
pub fn key(text: &str) -> Option<Digest> {
    if text.len() > ID_BYTES_MAX {
        return None;
    }
    let folded: String = text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    (!folded.is_empty()).then(|| Digest::of_parts("aecl/issued-key/v1", &[folded.as_bytes()]))
}

/// Values that a call carries, as they are looked for among what was issued.
#[derive(Debug, Default)]
pub struct Carried {
    /// What they are looked for by.
    pub keys: BTreeSet<Digest>,
    /// There are more than are looked for.
    pub more: bool,
}

impl Carried {
    /// Of all arguments, whatever they are called. An amount, a time or a switch names nothing; what is written names a thing only
    /// if it is nothing else.
    pub fn of(action: &Action, typed: &TypedAction) -> Self {
        let mut out = Self::default();
        out.value(action.arguments.value(), &mut String::new(), typed);
        out
    }

    fn value(&mut self, value: &Value, path: &mut String, typed: &TypedAction) {
        if self.more {
            return;
        }
        let length = path.len();
        match value {
            Value::Object(map) => {
                for (name, value) in map {
                    self.whole(name);
                    path.push('/');
                    path.push_str(&name.replace('~', "~0").replace('/', "~1"));
                    self.value(value, path, typed);
                    path.truncate(length);
                }
            }
            Value::Array(items) => {
                for (i, item) in items.iter().enumerate() {
                    path.push_str(&format!("/{i}"));
                    self.value(item, path, typed);
                    path.truncate(length);
                }
            }
            leaf => self.leaf(leaf, typed.roles.of_pointer(path).map_or(Class::Selector, |a| a.class)),
        }
    }

    fn leaf(&mut self, value: &Value, class: Class) {
        let Some(text) = plain(value) else { return };
        match class {
            Class::Magnitude | Class::Time | Class::Flag => {}
            Class::Content => self.whole(&text),
            Class::DestEmail
            | Class::DestUrl
            | Class::DestAccount
            | Class::DestName
            | Class::TargetId
            | Class::TargetName
            | Class::TargetPath
            | Class::Credential
            | Class::Profile
            | Class::Command
            | Class::QuerySql
            | Class::Attachments
            | Class::Selector => {
                self.pieces(&text);
                if text.contains('%')
                    && let Ok(read) = String::from_utf8(unpercent(&text))
                {
                    self.pieces(&read);
                }
            }
        }
    }

    /// The value, and what stands in it between the signs of paths, links and command lines.
    fn pieces(&mut self, text: &str) {
        self.whole(text);
        let parts = |c: char| c.is_whitespace() || "/?&=#,;'\"`()<>|[]{}".contains(c);
        let words = |c: char| !c.is_alphanumeric() && c != '-' && c != '_';
        text.split(parts).chain(text.split(words)).for_each(|piece| self.whole(piece));
    }

    fn whole(&mut self, text: &str) {
        if let Some(key) = key(text) {
            self.more |= self.keys.len() >= CARRIED_MAX && !self.keys.contains(&key);
            if !self.more {
                self.keys.insert(key);
            }
        }
    }
}
