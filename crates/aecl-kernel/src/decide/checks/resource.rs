//! Is it known what the action acts on? Rules about a thing rest on what its own system has answered. What could not be
//! read, or lacks an attribute, never allows: it blocks or asks, as the manifest says.

use crate::base::code::{self, Code};
use crate::base::evidence::reading;
use crate::decide::request::{DecisionRequest, Findings, understood};
use crate::define::resource::{Missing, SELF};
use crate::read::resource::lacking;
use crate::record::decision::Verdict;

/// The name of the check.
pub const NAME: &str = "resource";

pub(super) fn check(q: &DecisionRequest<'_>, findings: &mut Findings) {
    let Some(declared) = understood(q).and_then(|typed| typed.manifest.resource.as_ref()) else { return };
    for look in declared.looks() {
        let called =
            if look.name == SELF { format!("the {}", declared.kind) } else { format!("`{}`", look.name) };
        let Some(reading) = reading(q.evidence, look.name) else {
            // Nobody looks on behalf of what is refused anyway.
            if findings.list.iter().all(|f| f.verdict != Verdict::Block) {
                let text = format!("{called} that `{}` is about was not looked up", q.action.name);
                findings.block(code::RESOURCE_UNREAD, text);
            }
            return;
        };
        if let Some(why) = &reading.unread {
            let text = format!("{called} that `{}` is about could not be read: {why}", q.action.name);
            say(declared.missing, code::RESOURCE_UNREAD, text, findings);
            continue;
        }
        for (attribute, why) in lacking(&look, reading) {
            let text = format!("`{attribute}` of {called} is not known: {why}");
            say(declared.missing, code::RESOURCE_INCOMPLETE, text, findings);
        }
    }
}

fn say(missing: Missing, code: Code, text: String, findings: &mut Findings) {
    match missing {
        Missing::Block => findings.block(code, text),
        Missing::Ask => findings.ask_somebody(code, text),
    }
}
