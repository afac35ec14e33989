//! What was found out outside of the kernel, as data, and recorded. What judges say can only tighten. What a thing is like
//! is a fact that its own system has answered; without it, what acts on the thing does not happen.

use crate::base::digest::Digest;
use crate::base::id::ActionId;
use crate::base::text::visible;
use crate::base::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// One judge's answer about one action.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Who was asked.
    pub judge: String,
    /// What was asked.
    pub about: String,
    /// Points of suspicion that the answer adds, 0 to 100. Silence counts against the action.
    pub points: u32,
    /// The answer in words.
    pub said: String,
    /// How many rows it would touch, if they were counted without touching them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// How its arguments stand to our own directories, if they lead there or nobody can tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reach: Option<Reach>,
    /// JSON pointers of the arguments whose values stand in a sentence of a stranger.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub told: BTreeSet<String>,
    /// What the thing is like that the action acts on, as its own system has answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<ResourceReading>,
}

/// Reading of a resource: what a look-up has brought.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceReading {
    /// `resource`, or the name of what is related to it.
    pub name: String,
    /// Which thing.
    pub id: String,
    /// When it was read.
    pub at: Timestamp,
    /// The look-up on record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<ActionId>,
    /// SHA-256 of what it answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Digest>,
    /// What was declared of it: texts, whole numbers, decimals as text, seconds since 1970, lists in order.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, Value>,
    /// Attributes that are not there, or are something else, each with why.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub wrong: BTreeMap<String, String>,
    /// Why it could not be read at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unread: Option<String>,
}

impl ResourceReading {
    /// Nothing yet of this thing.
    pub fn new(name: &str, id: String, at: Timestamp) -> Self {
        let (attributes, wrong) = Default::default();
        Self { name: name.into(), id, at, action: None, output: None, attributes, wrong, unread: None }
    }

    /// What is known of it, in words, for people who decide or look into the record.
    pub fn told(&self) -> String {
        let what = format!("{} `{}`", visible(&self.name), visible(&self.id));
        if let Some(why) = &self.unread {
            return format!("{what} could not be read: {}", visible(why));
        }
        let value = |value: &Value| match value {
            Value::String(text) => format!("`{}`", visible(text)),
            other => visible(&other.to_string()),
        };
        let known = self.attributes.iter().map(|(name, known)| format!("{name} is {}", value(known)));
        let lacks = self.wrong.keys().map(|name| format!("{name} is not known"));
        let all = known.chain(lacks).collect::<Vec<_>>().join(", ");
        format!("{what} as its system answered at {}: {all}", self.at)
    }

    /// The same where it could not be read.
    #[must_use]
    pub fn unread(self, why: String) -> Self {
        Self { unread: Some(why), ..self }
    }
}

/// Reach of a value: how it stands to a directory of ours, the home of a door with its keys, its policy and its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// Nobody could look where it leads.
    Unseen,
    /// It is a directory that a home lies in.
    Around,
    /// It is a home, or lies in one.
    Into,
}

impl Evidence {
    /// What a dry run at the target has counted.
    pub fn counted(rows: u64) -> Self {
        let said = format!("it would touch {rows} rows now");
        Self { judge: "dry_run".into(), about: "rows".into(), said, rows: Some(rows), ..Self::default() }
    }

    /// What a search in the outputs of a run has found: these arguments stand in a stranger's sentence.
    pub fn told(told: BTreeSet<String>) -> Self {
        let names: Vec<&str> = told.iter().map(|at| at.trim_start_matches('/')).collect();
        let said = format!("a sentence that the run has read says {}", names.join(", "));
        Self { judge: "outputs".into(), about: "sentences".into(), said, told, ..Self::default() }
    }

    /// What a look-up has brought about a thing.
    pub fn read(reading: ResourceReading) -> Self {
        let (judge, about) = ("look_up".into(), reading.name.clone());
        Self { judge, about, resource: Some(reading), ..Self::default() }
    }

    /// What a look at the file system has found about where a value leads.
    pub fn reaches(reach: Reach, said: impl Into<String>) -> Self {
        let (judge, about) = ("own_house".into(), "paths".into());
        Self { judge, about, said: said.into(), reach: Some(reach), ..Self::default() }
    }
}

/// Whether a stranger's sentence says the value of this argument, as far as anybody has looked.
pub fn is_told(evidence: &[Evidence], at: &str) -> bool {
    evidence.iter().any(|e| e.told.contains(at))
}

/// The number of rows that was counted, if it was.
pub fn counted(evidence: &[Evidence]) -> Option<u64> {
    evidence.iter().filter_map(|e| e.rows).max()
}

/// What was read of the thing of this name.
pub fn reading<'a>(evidence: &'a [Evidence], name: &str) -> Option<&'a ResourceReading> {
    evidence.iter().filter_map(|e| e.resource.as_ref()).find(|reading| reading.name == name)
}
