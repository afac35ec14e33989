//! What came of a submission, and the answer that is on record already.

use crate::error::GateError;
use crate::gate::Gate;
use aecl_kernel::base::id::ActionId;
use aecl_kernel::base::time::Timestamp;
use aecl_kernel::record::approval::ApprovalRequest;
use aecl_kernel::record::decision::Decision;
use aecl_kernel::record::event::{Event, OutcomeKind};
use aecl_kernel::record::facts::ActionState;
use aecl_ledger::{LedgerError, PayloadKind, Receipt};
use std::sync::Arc;

/// Answer to a submission.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The action on record.
    pub action: ActionId,
    /// How it ended.
    pub end: End,
    /// Why.
    pub decision: Option<Arc<Decision>>,
    /// Where that is on record.
    pub receipt: Option<Receipt>,
}

/// End of a submission.
#[derive(Debug, Clone)]
pub enum End {
    /// It was carried out, or its recorded outcome is given again.
    Concluded {
        /// Done, failed or unknown.
        outcome: OutcomeKind,
        /// What went wrong, as a code.
        code: Option<String>,
        /// What went wrong, in words.
        message: String,
        /// What the target answered.
        output: Option<Vec<u8>>,
        /// The outcome was on record already; nothing was executed now.
        replayed: bool,
    },
    /// It was begun and has not ended: nobody knows yet what comes of it.
    Underway,
    /// It was refused.
    Blocked {
        /// The stable code.
        code: &'static str,
        /// Why.
        message: String,
    },
    /// It waits for people. Nothing was executed.
    Pending(Box<ApprovalRequest>),
    /// The agent may do it by itself, once.
    Permitted {
        /// The signed permit.
        permit: String,
        /// Until when.
        expires_at: Timestamp,
    },
    /// Only an answer was wanted.
    Asked {
        /// What carrying it out would do, if the connector can tell.
        would: Option<Vec<u8>>,
    },
}

impl Gate {
    /// The answer that is on record for an action that is over, or underway elsewhere.
    pub(crate) async fn recorded_answer(
        &self,
        id: &ActionId,
        decision: Option<Arc<Decision>>,
        replayed: bool,
    ) -> Result<Answer, GateError> {
        let fact = self.action_fact(id).await?;
        // What the gate has looked up for itself is told to nobody who asks how an action ended.
        let output = match fact.output.as_ref().filter(|_| !fact.look) {
            Some(digest) => self.0.ledger.payload(PayloadKind::Output, digest).await?,
            None => None,
        };
        let code = fact.code.map(|c| c.as_str());
        let end = match fact.state {
            ActionState::Started => End::Underway,
            ActionState::Done | ActionState::Failed | ActionState::Unknown => {
                let outcome = match fact.state {
                    ActionState::Done => OutcomeKind::Done,
                    ActionState::Failed => OutcomeKind::Failed,
                    _ => OutcomeKind::Unknown,
                };
                End::Concluded {
                    outcome,
                    code: self.outcome_code(id).await?,
                    message: fact.message,
                    output,
                    replayed,
                }
            }
            ActionState::Blocked | ActionState::Rejected | ActionState::Asked => {
                End::Blocked { code: code.unwrap_or("not_allowed"), message: fact.message }
            }
            ActionState::Waiting => match fact.approval {
                Some(approval) => {
                    let ask =
                        self.0.ledger.approval(&approval).await?.ok_or(LedgerError::NoApproval(approval))?;
                    End::Pending(Box::new(self.as_it_stands(ask).await?))
                }
                None => End::Blocked {
                    code: "approval_unknown",
                    message: "the request for approval is gone; propose it again".into(),
                },
            },
        };
        Ok(Answer { action: id.clone(), end, decision, receipt: None })
    }

    /// What went wrong, in the target's own terms: the same code that was answered the first time.
    async fn outcome_code(&self, id: &ActionId) -> Result<Option<String>, GateError> {
        let entries = self.0.ledger.entries_of_action(id).await?;
        let last = entries.into_iter().rev().find_map(|e| match e.event {
            Event::Concluded(concluded) => Some(concluded.code),
            _ => None,
        });
        Ok(last.flatten())
    }
}
