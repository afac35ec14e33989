//! What a manifest says about where values come from and where they go: the role of each argument, what
//! each value of an output may prove, and the words by which a goal asks for the action.
//!
//! Everything here may be left out. What is left out has the strict reading: an output is third-party,
//! private and taints; an argument has the role that its name and the rest of the manifest suggest.

use crate::base::id::ActionName;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;

/// Audience of an action: whom its effect reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    /// Nobody but the system that is acted on.
    None,
    /// People and systems of the same tenant.
    Tenant,
    /// Anybody.
    External,
}

impl Audience {
    /// The name as manifests write it.
    pub fn name(self) -> &'static str {
        match self {
            Audience::None => "none",
            Audience::Tenant => "tenant",
            Audience::External => "external",
        }
    }
}

/// The role of an argument: what goes wrong if a stranger chose its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// A mail address that something is sent to.
    DestEmail,
    /// A URL or host that is called, or that something is sent to.
    DestUrl,
    /// An account that money goes to.
    DestAccount,
    /// A person, channel or group, by name, that something is sent to.
    DestName,
    /// The id of what is changed.
    TargetId,
    /// The name of what is changed.
    TargetName,
    /// The path of what is changed.
    TargetPath,
    /// How much: money, or a number that grows the effect.
    Magnitude,
    /// A password, key or token.
    Credential,
    /// Personal data of the principal.
    Profile,
    /// A command line or program.
    Command,
    /// A query in SQL.
    QuerySql,
    /// Text that is written or sent.
    Content,
    /// Files or records that go along.
    Attachments,
    /// A date or time.
    Time,
    /// A switch.
    Flag,
    /// What is read or searched for.
    Selector,
}

impl Class {
    /// Every role.
    pub const ALL: [Class; 17] = [
        Class::DestEmail,
        Class::DestUrl,
        Class::DestAccount,
        Class::DestName,
        Class::TargetId,
        Class::TargetName,
        Class::TargetPath,
        Class::Magnitude,
        Class::Credential,
        Class::Profile,
        Class::Command,
        Class::QuerySql,
        Class::Content,
        Class::Attachments,
        Class::Time,
        Class::Flag,
        Class::Selector,
    ];

    /// The name as manifests write it.
    pub fn name(self) -> &'static str {
        match self {
            Class::DestEmail => "dest_email",
            Class::DestUrl => "dest_url",
            Class::DestAccount => "dest_account",
            Class::DestName => "dest_name",
            Class::TargetId => "target_id",
            Class::TargetName => "target_name",
            Class::TargetPath => "target_path",
            Class::Magnitude => "magnitude",
            Class::Credential => "credential",
            Class::Profile => "profile",
            Class::Command => "command",
            Class::QuerySql => "query_sql",
            Class::Content => "content",
            Class::Attachments => "attachments",
            Class::Time => "time",
            Class::Flag => "flag",
            Class::Selector => "selector",
        }
    }

    /// Where the effect lands.
    pub fn is_destination(self) -> bool {
        matches!(self, Class::DestEmail | Class::DestUrl | Class::DestAccount | Class::DestName)
    }

    /// Whether its value can do harm by itself.
    pub fn matters(self) -> bool {
        !matches!(self, Class::Content | Class::Time | Class::Flag | Class::Selector)
    }

    /// What is changed.
    pub fn is_target(self) -> bool {
        matches!(self, Class::TargetId | Class::TargetName | Class::TargetPath)
    }
}

/// One argument, as the checks read it. The key in the manifest is a name of the arguments, or a JSON
/// pointer in which `*` stands for any step, such as `/lines/*/account`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Argument {
    /// Its role.
    pub class: Class,
    /// For a magnitude: up to this it needs no proof. In the unit of the argument.
    #[serde(
        default,
        deserialize_with = "crate::base::amount::read_decimal",
        skip_serializing_if = "Decimal::is_zero"
    )]
    pub low_value: Decimal,
    /// For a magnitude: above this a person is always asked. In the unit of the argument.
    #[serde(default, deserialize_with = "read_limit", skip_serializing_if = "Option::is_none")]
    pub limit: Option<Decimal>,
    /// For a query: which database's SQL it is.
    #[serde(default, skip_serializing_if = "crate::define::catalogue::dialect::Dialect::is_generic")]
    pub dialect: crate::define::catalogue::dialect::Dialect,
    /// What the target takes if the argument is left out. It is filled in before anything is judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    /// What the operator vouches for: these values need no other proof, whoever the agent has them from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub known: Vec<Value>,
}

impl Argument {
    /// Whether the operator vouches for this value.
    pub fn knows(&self, value: &Value) -> bool {
        self.known.contains(value)
    }
}

fn read_limit<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Option<Decimal>, D::Error> {
    crate::base::amount::read_decimal(d).map(Some)
}

/// For which argument a value may serve as proof. Later proves less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Endorses {
    /// The user said it.
    User,
    /// The operator of the system said it.
    Operator,
    /// A record that the principal keeps: contacts, the own profile, standing payees.
    Directory,
    /// It exists in this tenant: a channel, a member.
    Tenant,
    /// The backend has issued it: an id, an amount, a date.
    System,
    /// An echo of what we did ourselves, such as the id of what was created.
    Agent,
    /// Made by the tool; it proves nothing.
    Made,
    /// A stranger's, but so narrow that it cannot speak.
    Opaque,
    /// A stranger's.
    #[default]
    Third,
}

impl Endorses {
    /// The name as manifests write it.
    pub fn name(self) -> &'static str {
        match self {
            Endorses::User => "user",
            Endorses::Operator => "operator",
            Endorses::Directory => "directory",
            Endorses::Tenant => "tenant",
            Endorses::System => "system",
            Endorses::Agent => "agent",
            Endorses::Made => "made",
            Endorses::Opaque => "opaque",
            Endorses::Third => "third",
        }
    }
}

/// Confidentiality of a value. Later is more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Conf {
    Public,
    Internal,
    #[default]
    Private,
    Secret,
}

/// Form of a value. A label that says more than `third` holds only for values of a narrow form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// A number, also one that is written as text.
    Number,
    /// A date or a time.
    Date,
    /// A switch.
    Flag,
    /// An identifier: letters, digits and `-_.:/#`, with no space.
    Id,
    /// A mail address.
    Email,
    /// A URL or host.
    Url,
    /// An account.
    Account,
    /// A file name or path.
    Path,
    /// A name of at most three words.
    Name,
}

/// The label of some values of an output. The first that matches a value counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputLabel {
    /// JSON pointer into the output in which `*` stands for any step and a last `**` for everything below;
    /// empty means the output itself. For an MCP tool the output is its structured content, or its text
    /// read as JSON.
    pub path: String,
    /// For which argument it may serve as proof.
    #[serde(default)]
    pub endorses: Endorses,
    /// Whether it may carry what a stranger wrote, so that the run has read it from then on.
    #[serde(default = "yes")]
    pub taints: bool,
    /// How confidential it is.
    #[serde(default)]
    pub conf: Conf,
    /// Its form. A value that has another form is a stranger's.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub form: Option<Form>,
    /// Whether it tells its record apart from all others. Where one does, nothing else of a record names it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub identifies: bool,
    /// A regular expression for the whole value. A value that does not match is a stranger's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
}

fn yes() -> bool {
    true
}

/// The words by which a goal asks for the action, in any language, in lower case.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Intent {
    /// Verbs that ask for this action by themselves.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub strong: BTreeSet<String>,
    /// Verbs that ask for it if the goal names the object or the destination, too.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub weak: BTreeSet<String>,
    /// Nouns for what it acts on.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub objects: BTreeSet<String>,
}

impl Intent {
    /// The words of all of them.
    pub fn any(all: impl Iterator<Item = Self>) -> Self {
        all.fold(Self::default(), |mut any, one| {
            any.strong.extend(one.strong);
            any.weak.extend(one.weak);
            any.objects.extend(one.objects);
            any
        })
    }

    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        self.strong.is_empty() && self.weak.is_empty() && self.objects.is_empty()
    }
}

/// Dry run of an action: what can be found out before it is carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DryRunRule {
    /// The connector can say what would happen, without doing it.
    pub supported: bool,
    /// JSON pointer to the number of rows in what it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<String>,
}

/// Rule by which a call completes what another call of the same run began: it carries what that call has issued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CompletionRule {
    /// The action that begins.
    pub action: ActionName,
    /// The argument that carries what was issued, by its name or JSON pointer.
    pub argument: String,
    /// Where that stands in what the action answers that begins: a JSON pointer.
    pub issued: String,
}

/// The look-up that closes the world of an action's names.
pub type Resolver = ActionName;

/// Whether a JSON pointer fits a pattern in which `*` stands for any step and a last `**` for all below.
pub fn fits(pattern: &str, pointer: &str) -> bool {
    let mut steps = pointer.split('/');
    let mut wanted = pattern.split('/').peekable();
    loop {
        match (wanted.next(), steps.next()) {
            (None, None) => return true,
            (Some("**"), _) if wanted.peek().is_none() => return true,
            (Some(want), Some(step)) if want == "*" || want == step => {}
            _ => return false,
        }
    }
}

/// Whether a JSON pointer is this one or something above it.
pub fn is_at_or_above(pointer: &str, leaf: &str) -> bool {
    leaf.strip_prefix(pointer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether a pattern fits a pointer or something above it.
pub fn covers(pattern: &str, pointer: &str) -> bool {
    // Most patterns name one place, and most pointers are not that one.
    if !pattern.contains('*') {
        return is_at_or_above(pattern, pointer);
    }
    let mut steps = pointer.split('/');
    pattern.split('/').all(|want| steps.next().is_some_and(|step| want == "*" || want == step))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_fits_whole_paths() {
        for (pattern, pointer, expected) in [
            ("", "", true),
            ("", "/a", false),
            ("/a", "/a", true),
            ("/a", "/ab", false),
            ("/a/*/b", "/a/0/b", true),
            ("/a/*/b", "/a/0/c/b", false),
            ("/a/**", "/a/0/c/b", true),
            ("/**", "/a", true),
            ("/a/*", "/a", false),
        ] {
            assert_eq!(fits(pattern, pointer), expected, "{pattern} {pointer}");
        }
    }
}
