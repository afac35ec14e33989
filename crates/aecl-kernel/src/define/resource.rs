//! The resource of an action: the thing that it acts on, which read of the catalogue brings it, and what rules may see of
//! it. What an agent says about a thing is a claim; what its own system answers is a fact.

use crate::base::id::ActionName;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// The name of the thing itself among what is looked up; what else is looked up has names of its own.
pub const SELF: &str = "resource";
/// Most attributes of one thing.
pub const ATTRIBUTES_MAX: usize = 64;
/// Most things that are looked up beside the resource.
pub const RELATED_MAX: usize = 8;
/// How far a moment may be from 1970, in seconds; beyond are milliseconds that somebody took for seconds.
pub const TIME_MAX_S: i64 = 100_000_000_000;
/// Above and below it decimals are more than rules can compare.
pub const DECIMAL_MAX: i64 = 900_000_000_000_000;
/// Longest time for which what was read counts, in seconds.
pub const CACHE_MAX_S: u64 = 86_400;

/// Resource of an action, as the catalogue declares it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResourceDeclaration {
    /// What kind of thing it is: its type in rules.
    #[serde(rename = "type")]
    pub kind: String,
    /// The read that brings it.
    pub read: ActionName,
    /// The arguments of the read: constants, or where each comes from.
    #[serde(default)]
    pub arguments: BTreeMap<String, Value>,
    /// What rules see of it.
    pub attributes: BTreeMap<String, AttributeDeclaration>,
    /// Seconds for which one reading counts for its run.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cache_s: u64,
    /// What follows where it cannot be read.
    #[serde(default)]
    pub missing: Missing,
    /// It is read once more right before it is acted on.
    #[serde(default = "yes", skip_serializing_if = "Clone::clone")]
    pub recheck: bool,
    /// Further things, in the order in which they are looked up.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub related: Vec<RelatedDeclaration>,
}

/// A further thing that a decision needs: the customer of the order, the product that is ordered instead.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelatedDeclaration {
    /// Its name in rules: `context.related.NAME`.
    pub name: String,
    /// The read that brings it.
    pub read: ActionName,
    /// The arguments of the read. They may come from what was looked up before.
    #[serde(default)]
    pub arguments: BTreeMap<String, Value>,
    /// What rules see of it.
    pub attributes: BTreeMap<String, AttributeDeclaration>,
    /// Seconds for which one reading counts for its run.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cache_s: u64,
}

/// Attribute of a resource: where it stands in what the read answers, and what it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttributeDeclaration {
    /// JSON pointer. `*` is any step; `{argument}` is the step that an argument of the action names.
    pub at: String,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: AttributeKind,
    /// What of the values there it is.
    #[serde(default)]
    pub take: Take,
    /// It may be absent; then rules ask `resource has NAME`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
    /// How far the clock of times without a zone is ahead of UTC, such as `-05:00`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
}

/// Type of an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AttributeKind {
    /// A text; a whole number counts as its digits.
    #[serde(rename = "text")]
    Text,
    /// A whole number.
    #[serde(rename = "long")]
    Long,
    /// A number with at most four digits after the point.
    #[serde(rename = "decimal")]
    Decimal,
    /// True or false.
    #[serde(rename = "bool")]
    Bool,
    /// A moment: seconds since 1970 in rules, and its age beside it.
    #[serde(rename = "time")]
    Time,
    /// Several texts.
    #[serde(rename = "set of text")]
    Texts,
    /// Several whole numbers.
    #[serde(rename = "set of long")]
    Longs,
}

impl AttributeKind {
    /// Whether it holds several values.
    pub fn is_set(self) -> bool {
        match self {
            AttributeKind::Texts | AttributeKind::Longs => true,
            AttributeKind::Text
            | AttributeKind::Long
            | AttributeKind::Decimal
            | AttributeKind::Bool
            | AttributeKind::Time => false,
        }
    }

    /// Its name, as manifests write it.
    pub fn name(self) -> &'static str {
        match self {
            AttributeKind::Text => "text",
            AttributeKind::Long => "long",
            AttributeKind::Decimal => "decimal",
            AttributeKind::Bool => "bool",
            AttributeKind::Time => "time",
            AttributeKind::Texts => "set of text",
            AttributeKind::Longs => "set of long",
        }
    }
}

/// Selection among the values that a pointer leads to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Take {
    /// The value itself; for a set, all of them.
    #[default]
    Value,
    /// How many there are: entries of a list, members of an object, or values that `*` leads to.
    Count,
    /// The names of the members of an object.
    Names,
    /// Their sum.
    Sum,
    /// The smallest, or earliest.
    Least,
    /// The largest, or latest.
    Most,
}

/// Consequence of a resource that cannot be read, or lacks what rules need. It never allows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// It does not happen.
    #[default]
    Block,
    /// A person looks instead.
    Ask,
}

/// One thing to be looked up.
#[derive(Debug, Clone, Copy)]
pub struct Look<'a> {
    /// `resource`, or its name in `context.related`.
    pub name: &'a str,
    /// The read.
    pub read: &'a ActionName,
    /// Its arguments, as they are declared.
    pub arguments: &'a BTreeMap<String, Value>,
    /// What is taken of it.
    pub attributes: &'a BTreeMap<String, AttributeDeclaration>,
    /// Seconds for which one reading counts.
    pub cache_s: u64,
}

impl ResourceDeclaration {
    /// All that is looked up, in order: the thing itself first.
    pub fn looks(&self) -> impl Iterator<Item = Look<'_>> {
        let own = Look {
            name: SELF,
            read: &self.read,
            arguments: &self.arguments,
            attributes: &self.attributes,
            cache_s: self.cache_s,
        };
        let related = self.related.iter().map(|r| Look {
            name: &r.name,
            read: &r.read,
            arguments: &r.arguments,
            attributes: &r.attributes,
            cache_s: r.cache_s,
        });
        std::iter::once(own).chain(related)
    }
}

/// Origin of an argument of a read.
#[derive(Debug, Clone, Copy)]
pub enum Origin<'a> {
    /// It is always this.
    Constant(&'a Value),
    /// From the arguments of the action, at this pointer.
    Arguments(&'a str),
    /// The user of the run.
    User,
    /// An attribute of what was looked up before: its name, and the attribute.
    Attribute(&'a str, &'a str),
}

impl<'a> Origin<'a> {
    /// Reads how an argument of a read is written.
    pub fn of(argument: &str, template: &'a Value) -> Result<Self, String> {
        let Some(map) = template.as_object().filter(|map| map.contains_key("from")) else {
            return Ok(Self::Constant(template));
        };
        let at = map.get("at").and_then(Value::as_str);
        let bad = || {
            format!(
                "the argument `{argument}` must be a constant, `{{from: arguments, at: /pointer}}`, `{{from: user}}` or \
                 `{{from: resource, at: /attribute}}`"
            )
        };
        match (map.get("from").and_then(Value::as_str), at, map.len()) {
            (Some("user"), None, 1) => Ok(Self::User),
            (Some("arguments"), Some(at), 2) if at.starts_with('/') => Ok(Self::Arguments(at)),
            (Some(look), Some(at), 2) if look != "arguments" && look != "user" => {
                match at.strip_prefix('/') {
                    Some(attribute) if !attribute.contains('/') => Ok(Self::Attribute(look, attribute)),
                    Some(_) | None => Err(bad()),
                }
            }
            _ => Err(bad()),
        }
    }
}

fn yes() -> bool {
    true
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}
