//! A person's no, in words that whoever proposed can use: who said it and why. The reason is what makes a no useful.

use crate::answer::{Answer, End};
use crate::error::GateError;
use crate::gate::Gate;
use aecl_kernel::read::action::Action;
use aecl_kernel::record::approval::{ApprovalRequest, Vote};
use std::sync::Arc;

/// Refusal of one answer: who said no, and why, in a message of ours.
#[derive(Debug, PartialEq, Eq)]
pub struct No<'a> {
    /// The person.
    pub person: &'a str,
    /// The reason, in the person's own words; empty if none was given.
    pub reason: &'a str,
}

impl<'a> No<'a> {
    const SAID: &'static str = "` said no";

    /// Reads what `in_words` and the record of a rejection say.
    #[must_use]
    pub fn read(message: &'a str) -> Option<Self> {
        let (person, rest) = message.strip_prefix('`')?.split_once(Self::SAID)?;
        Some(Self { person, reason: rest.strip_prefix(": ").unwrap_or_default() })
    }
}

/// A no in the words of the record.
fn in_words(vote: &Vote) -> String {
    let message = format!("`{}{}: {}", vote.person, No::SAID, vote.reason);
    message.trim_end_matches(": ").to_owned()
}

impl Gate {
    /// Whoever proposes again what was refused hears who refused it and why, each time.
    pub(crate) async fn explain_no(
        &self,
        answer: &mut Answer,
        action: &Arc<Action>,
    ) -> Result<(), GateError> {
        let End::Blocked { code, message } = &mut answer.end else { return Ok(()) };
        if *code != aecl_kernel::base::code::APPROVAL_REJECTED.as_str() {
            return Ok(());
        }
        let facts =
            self.ledger().facts(action.clone(), self.bundle(), Some(self.people()), self.now()).await?;
        if let Some(said) = facts.ask.as_ref().and_then(said_no) {
            *message = said;
        }
        Ok(())
    }
}

/// What stands on a request that was rejected.
fn said_no(ask: &ApprovalRequest) -> Option<String> {
    ask.votes.iter().find(|vote| !vote.yes).map(in_words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_no_is_read_as_it_was_written() {
        for (message, person, reason) in [
            ("`ann` said no: use the other folder", "ann", "use the other folder"),
            ("`ann` said no", "ann", ""),
            ("`ann` said no: `bob` said no: twice", "ann", "`bob` said no: twice"),
        ] {
            assert_eq!(No::read(message), Some(No { person, reason }), "{message}");
        }
        assert_eq!(No::read("somebody said no"), None);
    }
}
