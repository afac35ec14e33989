//! Names of things. Each kind is its own type, so a run cannot be passed for an action.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// A text that is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no {kind}: {rule}")]
pub struct BadId {
    /// What it should have been.
    pub kind: &'static str,
    /// What it was.
    pub text: String,
    /// What a name of this kind looks like.
    pub rule: &'static str,
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 128
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b':' | b'@' | b'/'))
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $kind:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Reads a name: 1 to 128 ASCII letters, digits and `_ - . : @ /`.
            pub fn new(text: &str) -> Result<Self, BadId> {
                if is_name(text) {
                    return Ok(Self(text.into()));
                }
                let text = text.chars().take(64).collect();
                Err(BadId { kind: $kind, text, rule: "1 to 128 ASCII letters, digits and `_ - . : @ /`" })
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = String::deserialize(d)?;
                Self::new(&text).map_err(serde::de::Error::custom)
            }
        }
    )*};
}

ids! {
    /// An agent, as its manifest calls it.
    AgentId = "agent id";
    /// The person or service an agent acts for.
    UserId = "user id";
    /// A person who may answer approvals.
    PersonId = "person id";
    /// A tenant: who owns the data and the budget.
    TenantId = "tenant id";
    /// A project inside a tenant.
    ProjectId = "project id";
    /// An environment, such as `production`.
    Environment = "environment";
    /// One task of one agent.
    RunId = "run id";
    /// One action of a run.
    ActionId = "action id";
    /// One request for a person's yes.
    ApprovalId = "approval id";
    /// The name of an action in the catalogue.
    ActionName = "action name";
}
