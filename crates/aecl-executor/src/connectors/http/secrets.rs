//! The secrets of one request: put into its headers, kept out of its answer.

use zeroize::Zeroizing;

use super::Unsendable;
use crate::arguments::Arguments;
use crate::vault::{self, VaultError};

/// The secrets of one request, so that a target which repeats them does not hand them to the agent.
#[derive(Default)]
pub(super) struct Secrets(Vec<(String, Zeroizing<String>)>);

impl Secrets {
    pub(super) fn fill(
        &mut self,
        arguments: &Arguments<'_>,
        template: &str,
    ) -> Result<Zeroizing<String>, Unsendable> {
        // References come from the template alone: an argument that spells one out stays text.
        for reference in vault::references(template)? {
            self.0.push((reference.to_string(), reference.resolve()?));
        }
        let mut filled = Zeroizing::new(String::new());
        let mut rest = template;
        while let Some((before, after)) = rest.split_once("{secret:") {
            let (reference, tail) = after.split_once('}').ok_or(VaultError::Unclosed)?;
            filled.push_str(&arguments.fill(before, str::to_owned)?);
            if let Some((_, value)) = self.0.iter().find(|(name, _)| name == reference) {
                filled.push_str(value);
            }
            rest = tail;
        }
        filled.push_str(&arguments.fill(rest, str::to_owned)?);
        Ok(filled)
    }

    pub(super) fn scrub(&self, mut text: String) -> String {
        for (name, value) in &self.0 {
            // A short secret may be part of innocent words; what is that short is no secret.
            if value.len() >= 8 && text.contains(value.as_str()) {
                text = text.replace(value.as_str(), &format!("[secret {name}]"));
            }
        }
        text
    }
}
