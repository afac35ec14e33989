//! Secrets that somebody outside was given, so that what comes back from there can be scrubbed.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use super::{Secret, SecretRef};

/// A short secret may be part of innocent words; what is that short is no secret.
const SCRUBBED_MIN_BYTES: usize = 8;

/// The secrets that one server was given. Clones share them.
#[derive(Clone, Default)]
pub struct Known(Arc<RwLock<BTreeMap<SecretRef, Arc<Secret>>>>);

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Known(…)")
    }
}

impl Known {
    pub(crate) fn add(&self, reference: &SecretRef, value: &Arc<Secret>) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let before = known.insert(reference.clone(), Arc::clone(value));
        // A token that was renewed may still come back.
        if let (SecretRef::Login(server), Some(before)) = (reference, before)
            && before.expose() != value.expose()
        {
            known.insert(SecretRef::Login(format!("{server}, the former")), before);
        }
    }

    /// The text without them.
    #[must_use]
    pub fn scrub<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.iter().fold(Cow::Borrowed(text), |text, (reference, value)| scrubbed(text, reference, value))
    }
}

/// The text without this secret, as it is and as JSON writes it inside a string, or a string inside that.
pub(super) fn scrubbed<'a>(text: Cow<'a, str>, reference: &SecretRef, value: &Secret) -> Cow<'a, str> {
    if value.expose().len() < SCRUBBED_MIN_BYTES {
        return text;
    }
    // What stands in its place fits into JSON text, whatever the reference is called.
    let name: String = reference
        .to_string()
        .chars()
        .map(|c| if matches!(c, '"' | '\\') || c.is_control() { '?' } else { c })
        .collect();
    let escaped = |text: &str| {
        let quoted = serde_json::Value::String(text.to_owned()).to_string();
        Secret::new(quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default().to_owned())
    };
    let once = escaped(value.expose());
    let twice = escaped(once.expose());
    // The longest first: a shorter form may be part of it.
    [twice.expose(), once.expose(), value.expose()].into_iter().fold(text, |text, form| {
        if text.contains(form) { Cow::Owned(text.replace(form, &format!("[secret {name}]"))) } else { text }
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_secret_is_found_as_it_is_and_as_json_writes_it() {
        let known = Known::default();
        let value = r#"top"secret\4711"#;
        known.add(&SecretRef::File("/a\"b".into()), &Arc::new(Secret::new(value.to_owned())));
        known.add(&SecretRef::Env("SHORT".into()), &Arc::new(Secret::new("four".to_owned())));
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
