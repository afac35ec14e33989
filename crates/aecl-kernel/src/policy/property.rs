//! What a bundle claims about itself, as it writes it: `properties/*.yaml`.

use crate::define::catalogue::Effect;
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeSet;

/// A claim. It says either `never` or `always`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Property {
    /// In words.
    pub name: String,
    /// What never happens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub never: Option<Never>,
    /// What is always allowed, without asking anybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub always: Option<Select>,
}

/// Claim that something never happens.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Never {
    /// The agents, by name; absent: all.
    #[serde(default, deserialize_with = "one_or_many")]
    pub agent: BTreeSet<String>,
    /// The actions, by name; absent: all.
    #[serde(default, deserialize_with = "one_or_many")]
    pub action: BTreeSet<String>,
    /// Kinds of change; absent: all.
    #[serde(default, deserialize_with = "one_or_many_effects")]
    pub effect: BTreeSet<String>,
    /// Only actions that are at least this severe, 0 to 3.
    #[serde(default)]
    pub severity: Option<u8>,
    /// Only requests that meet this condition in Cedar, such as `context.amount.greaterThan(decimal("100.0"))`.
    #[serde(default)]
    pub when: Option<String>,
    /// `approval`: it may happen once somebody has agreed. Absent: not even then.
    #[serde(default)]
    pub without: Option<Without>,
    /// So many distinct people have to agree.
    #[serde(default)]
    pub people: Option<u32>,
    /// Members of one of these groups have to agree.
    #[serde(default, deserialize_with = "one_or_many")]
    pub of: BTreeSet<String>,
}

/// Condition without which it does not happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Without {
    /// A person's yes.
    Approval,
}

/// Selection of the requests that a claim is about.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Select {
    /// The agents, by name; absent: all.
    #[serde(default, deserialize_with = "one_or_many")]
    pub agent: BTreeSet<String>,
    /// The actions, by name; absent: all.
    #[serde(default, deserialize_with = "one_or_many")]
    pub action: BTreeSet<String>,
    /// Kinds of change; absent: all.
    #[serde(default, deserialize_with = "one_or_many_effects")]
    pub effect: BTreeSet<String>,
    /// Only actions that are at least this severe, 0 to 3.
    #[serde(default)]
    pub severity: Option<u8>,
    /// Only requests that meet this condition in Cedar.
    #[serde(default)]
    pub when: Option<String>,
}

fn one_or_many<'de, D: Deserializer<'de>>(d: D) -> Result<BTreeSet<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        One(String),
        Many(BTreeSet<String>),
    }
    Ok(match Either::deserialize(d)? {
        Either::One(one) => BTreeSet::from([one]),
        Either::Many(many) => many,
    })
}

fn one_or_many_effects<'de, D: Deserializer<'de>>(d: D) -> Result<BTreeSet<String>, D::Error> {
    let all = one_or_many(d)?;
    let known = || Effect::ALL.iter().map(|e| e.name());
    match all.iter().find(|name| !known().any(|k| k == name.as_str())) {
        Some(unknown) => {
            let known: Vec<&str> = known().collect();
            Err(serde::de::Error::custom(format!("`{unknown}` is no effect; known are {}", known.join(", "))))
        }
        None => Ok(all),
    }
}

impl Property {
    /// Which requests it is about, whichever of the two it says.
    pub fn select(&self) -> Select {
        match (&self.never, &self.always) {
            (Some(never), _) => Select {
                agent: never.agent.clone(),
                action: never.action.clone(),
                effect: never.effect.clone(),
                severity: never.severity,
                when: never.when.clone(),
            },
            (None, Some(always)) => always.clone(),
            (None, None) => Select {
                agent: BTreeSet::new(),
                action: BTreeSet::new(),
                effect: BTreeSet::new(),
                severity: None,
                when: None,
            },
        }
    }
}
