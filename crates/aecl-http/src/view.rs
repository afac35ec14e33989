//! The view: a digest of what a card shows of a request, whoever looks and whenever. An answer that carries it is
//! for what was on the screen; once that is another, the answer does not count and the card is shown again.

use super::wire::ApprovalDetail;
use aecl_kernel::base::digest::Digest;
use serde_json::json;

/// SHA-256 over what is asked. Left out is what changes without the question changing: votes, states, what the run
/// does meanwhile, how long it still lasts.
pub fn of(full: &ApprovalDetail) -> Digest {
    let ask = &full.approval;
    let plan = ask.about == "plan";
    let values: Vec<_> = full.unproven.iter().map(|u| json!([u.at, u.class, u.value])).collect();
    // What is there is bound by the digests that the arguments expect; how finely it is compared is a matter of time.
    let files = full.files.as_ref().map(|files| {
        let each = files.changes.iter().map(|f| json!([f.path, f.what, f.marks, f.special]));
        json!([each.collect::<Vec<_>>(), files.note])
    });
    let mut card = json!({
        "id": ask.id, "about": ask.about, "run": ask.run, "action": ask.action, "digest": ask.digest,
        "need": ask.need, "confirm": ask.confirm, "excluded": ask.excluded, "expires_at": ask.expires_at,
        "name": full.name, "summary": full.summary, "arguments": full.arguments,
        "agent": full.agent, "user": full.user, "tenant": full.tenant, "project": full.project,
        "environment": full.environment, "goal": full.goal, "plan": full.plan,
        // A plan is judged again each time it is shown, and its steps say what came of it.
        "decision": if plan { None } else { Some(&full.decision) },
        "unproven": values, "plan_steps": full.plan_steps,
    });
    if let (Some(files), Some(card)) = (files, card.as_object_mut()) {
        card.insert("files".into(), files);
    }
    Digest::of_parts("aecl/view/v1", &[card.to_string().as_bytes()])
}
