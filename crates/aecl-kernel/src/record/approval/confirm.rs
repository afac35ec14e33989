//! A yes that is typed. Where grave harm can come of it and nobody who is trusted has named where it goes, one
//! click of one person is too little: who agrees types the end of the destination, and so has looked at it.

use super::ApprovalRequest;
use crate::base::digest::Digest;
use crate::base::id::ApprovalId;
use crate::define::catalogue::flow::Class;
use crate::provenance::atoms::plain;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How many characters are typed.
const TYPED: usize = 4;

/// A destination whose end has to be typed. The record has its digest, since the value may be erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TypedConfirmation {
    /// Where the destination stands in the arguments, as a JSON pointer.
    pub at: String,
    /// Its role.
    pub class: Class,
    /// SHA-256 of what has to be typed.
    pub typed: Digest,
    /// The step of the plan whose argument it is, from 0, if a plan is asked about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<u32>,
}

impl TypedConfirmation {
    /// What has to be typed for this value, unless there is nothing to type.
    pub fn of(approval: &ApprovalId, at: &str, class: Class, value: &Value) -> Option<Self> {
        let end = end(class, &plain(value)?)?;
        Some(Self { at: at.to_owned(), class, typed: digest(approval, &end), step: None })
    }

    /// What to type, in words.
    pub fn words(&self) -> String {
        let at = self.at.trim_start_matches('/');
        let of = self.step.map_or(String::new(), |step| format!(" in step {}", step + 1));
        match self.class {
            Class::DestEmail => format!("the last {TYPED} characters of `{at}`{of} before its last dot"),
            _ => format!("the last {TYPED} characters of `{at}`{of}"),
        }
    }
}

/// The end of a destination. Every address ends with the same few letters, so of those it is what stands before.
fn end(class: Class, value: &str) -> Option<String> {
    let value = match class {
        Class::DestEmail => value.rsplit_once('.').map_or(value, |(rest, _)| rest),
        _ => value,
    };
    let letters: Vec<char> = plainly(value).chars().collect();
    let end = letters.get(letters.len().saturating_sub(TYPED)..).unwrap_or_default();
    (!end.is_empty()).then(|| end.iter().collect())
}

/// Spaces and capitals are how people write, not what they mean.
fn plainly(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).flat_map(char::to_lowercase).collect()
}

fn digest(approval: &ApprovalId, typed: &str) -> Digest {
    Digest::of_parts("aecl/confirm/v1", &[approval.as_str().as_bytes(), typed.as_bytes()])
}

impl ApprovalRequest {
    /// Whether a yes has to be typed: one person decides, about a destination that nobody who is trusted has named.
    pub fn wants_confirmation(&self) -> bool {
        !self.confirm.is_empty() && self.need.people() < 2
    }

    /// Whether these are the ends of all destinations, in any order.
    pub fn is_confirmed_by(&self, typed: &[String]) -> bool {
        let typed: Vec<Digest> = typed.iter().map(|text| digest(&self.approval, &plainly(text))).collect();
        self.confirm.iter().all(|confirm| typed.contains(&confirm.typed))
    }

    /// What has to be typed, in words.
    pub fn what_to_type(&self) -> String {
        self.confirm.iter().map(TypedConfirmation::words).collect::<Vec<_>>().join(", and ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_tells_destinations_apart() {
        let end = |class, value| end(class, value).unwrap_or_default();
        assert_eq!(end(Class::DestAccount, "GB29 NWBK 6016 1331 9268 19"), "6819");
        assert_eq!(end(Class::DestEmail, "Bob@Example.com"), "mple");
        assert_eq!(end(Class::DestEmail, "bob"), "bob");
        assert_eq!(end(Class::DestUrl, "https://a.example/in?q=1"), "?q=1");
        assert_eq!(end(Class::DestName, "größe"), "röße");
        assert_eq!(end(Class::DestName, "  "), "");
    }
}
