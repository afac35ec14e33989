//! Secrets that somebody outside was given, so that what comes back from there can be scrubbed.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use super::spelling::{Spelled, without};
use super::{Secret, SecretRef};

/// A short secret may be part of innocent words; what is that short is no secret.
const SCRUBBED_MIN_BYTES: usize = 8;

/// The secrets that one server was given. Clones share them.
#[derive(Clone, Default)]
pub struct KnownSecrets(Arc<RwLock<BTreeMap<SecretRef, Wanted>>>);

impl fmt::Debug for KnownSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KnownSecrets(…)")
    }
}

impl KnownSecrets {
    pub(crate) fn add(&self, reference: &SecretRef, value: &Secret) {
        let Some(wanted) = Wanted::of(reference, value) else { return };
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let before = known.insert(reference.clone(), wanted);
        // A token that was renewed may still come back.
        if let (SecretRef::Login(server), Some(before)) = (reference, before)
            && !before.spelled.is_of(value)
        {
            known.insert(SecretRef::Login(format!("{server}, the former")), before);
        }
    }

    /// The text without them, however it spells them.
    #[must_use]
    pub fn scrub<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        without(text, &known.values().map(Wanted::as_pair).collect::<Vec<_>>(), false)
    }

    /// The same for a text that goes on where nobody looks.
    #[must_use]
    pub fn scrub_cut<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        without(text, &known.values().map(Wanted::as_pair).collect::<Vec<_>>(), true)
    }
}

/// A secret that is searched for, and the name that stands in its place.
pub(super) struct Wanted {
    name: String,
    spelled: Spelled,
}

impl Wanted {
    pub(super) fn of(reference: &SecretRef, value: &Secret) -> Option<Self> {
        if value.expose().len() < SCRUBBED_MIN_BYTES {
            return None;
        }
        // What stands in its place fits into JSON text, whatever the reference is called.
        let plain = |c: char| if matches!(c, '"' | '\\') || c.is_control() { '?' } else { c };
        let name = reference.to_string().chars().map(plain).collect();
        Some(Self { name, spelled: Spelled::of(value) })
    }

    pub(super) fn as_pair(&self) -> (&str, &Spelled) {
        (&self.name, &self.spelled)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_secret_is_found_as_it_is_and_as_json_writes_it() {
        let known = KnownSecrets::default();
        let value = r#"top"secret\4711"#;
        known.add(&SecretRef::File("/a\"b".into()), &Secret::new(value.to_owned()));
        known.add(&SecretRef::Env("SHORT".into()), &Secret::new("four".to_owned()));
        let inner = serde_json::json!({ "token": value }).to_string();
        let outer = serde_json::json!({ "text": inner, "token": value }).to_string();
        for text in [value, inner.as_str(), outer.as_str()] {
            let clean = known.scrub(text);
            assert!(!clean.contains("4711") && clean.contains("[secret file:/a?b]"), "{clean}");
        }
        let clean: serde_json::Value = serde_json::from_str(&known.scrub(&outer)).unwrap();
        assert_eq!(clean.get("text").unwrap(), r#"{"token":"[secret file:/a?b]"}"#);
        assert!(matches!(known.scrub("four"), Cow::Borrowed("four")));
    }
}
