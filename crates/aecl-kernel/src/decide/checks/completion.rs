//! Does it complete a call that somebody has decided about already? What it rests on is told, and so is why it does not. And
//! nothing is changed while it is being completed: what was agreed to would become another thing on its way.

use crate::base::code;
use crate::decide::completion;
use crate::decide::request::{DecisionRequest, Findings};
use crate::record::begun::Beginning;

pub(super) fn check(q: &DecisionRequest<'_>, findings: &mut Findings) {
    match completion::found(q) {
        None => {}
        Some(Ok(begun)) => {
            let why = match begun.beginning {
                Some(Beginning::Agreed { .. }) => "which people have agreed to",
                Some(Beginning::Asked) | None => "which the goal has asked for",
            };
            findings.note(code::COMPLETES, format!("it completes `{}`, {why}", begun.action));
        }
        Some(Err(why)) => {
            findings.note(code::COMPLETES, format!("it is a question of its own: {why}"));
        }
    }
    if q.action.compensates.is_some() {
        return;
    }
    if let Some((begun, by)) = q.facts.touched.iter().find_map(|(begun, by)| Some((begun, by.as_ref()?))) {
        let text = format!("`{by}` is completing what `{begun}` has begun, and this may change it");
        findings.ask_somebody(code::BEING_COMPLETED, text);
    }
}
