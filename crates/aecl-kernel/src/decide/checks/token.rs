//! Is the credential alive, and is it for this run? The gate has verified its signature; a stolen,
//! revoked or borrowed one ends here.

use crate::base::code;
use crate::decide::request::{DecisionRequest, Findings};
use crate::record::approval::{ApprovalRequest, ApprovalState};

pub(super) fn check(q: &DecisionRequest<'_>, findings: &mut Findings) {
    let (credential, principal) = (&q.action.credential, &q.action.principal);
    if credential.run != principal.run || credential.agent != principal.agent {
        findings.block(
            code::TOKEN_FOREIGN,
            format!("the token belongs to run `{}` of `{}`", credential.run, credential.agent),
        );
    }
    if q.facts.revoked {
        findings.block(code::TOKEN_REVOKED, "the token was revoked");
    }
    if q.now >= credential.expires_at {
        findings
            .block(code::TOKEN_EXPIRED, format!("the token expired at {}; renew it", credential.expires_at));
    }
    let Some(run) = &q.facts.run else {
        findings.block(code::RUN_UNKNOWN, format!("there is no run `{}`", principal.run));
        return;
    };
    // Who acts is what was recorded when the run was opened, not what a request says now.
    if run.principal != *principal {
        findings.block(code::TOKEN_FOREIGN, format!("run `{}` was opened for somebody else", principal.run));
    }
    if let Some(why) = &run.closed {
        findings.block(code::RUN_CLOSED, format!("the run has ended: {why}"));
    }
    // A run that waits for a person lives until the answer can be used.
    let waits = |a: &&ApprovalRequest| {
        a.digest == q.action.digest && matches!(a.state, ApprovalState::Pending | ApprovalState::Approved)
    };
    let waits_until = q.facts.ask.as_ref().filter(waits).map(|a| a.expires_at);
    if q.now >= run.expires_at && waits_until.is_none_or(|until| q.now >= until) {
        findings.block(code::RUN_EXPIRED, format!("the run ended at {}; open a new one", run.expires_at));
    }
    // A delegated run ends with the run that it came from.
    if q.facts.lineage.len() < run.ancestors.len() {
        findings.block(code::RUN_UNKNOWN, "a run that this one was delegated from is not on record");
    }
    for ancestor in &q.facts.lineage {
        if ancestor.closed.is_some()
            || (q.now >= ancestor.expires_at && waits_until.is_none_or(|until| q.now >= until))
        {
            findings.block(
                code::RUN_CLOSED,
                format!("the run `{}` that this one was delegated from has ended", ancestor.principal.run),
            );
        }
    }
}
