//! What is said of a finding for which no line of policy was found that changes it.

use aecl_kernel::base::code::Code;

/// The sentence where only a person can help.
pub const PERSON: &str = "nothing but a person; that is its purpose";

/// What else ends a finding, by its code: a person, another call, or what has to happen first. Nothing for what no
/// decision about a call finds.
pub fn otherwise(code: Code) -> Option<&'static str> {
    Some(match code.as_str() {
        "completes" | "what_runs" | "sandbox_tier" | "sandbox_lowered" | "replayed" => "it is only told",
        "irreversible" | "uncompensated" => {
            "a `compensation`, if another action undoes it, or a person; that is its purpose"
        }
        "approval_rule" | "risk_above_threshold" => PERSON,
        "unproven_destination"
        | "unproven_target"
        | "unproven_amount"
        | "unproven_attachment"
        | "unproven_profile"
        | "unproven_command"
        | "unproven_fetch" => "a goal that names the value, or a person; that is its purpose",
        "unproven_credential" => "a goal that says it, or a person: nobody vouches for passwords beforehand",
        "unproven_link" => "a goal that has the link or address, or a person; that is its purpose",
        "ungrounded" => "a goal that says what is to be written, or a person; that is its purpose",
        "off_intent" | "off_intent_unproven" => "a goal that asks for it, or a person; that is its purpose",
        "goal_unread" => "a goal in English, which is the only language that is read, or a person",
        "told_by_stranger" => "a goal that names where it goes; that is its purpose",
        "more_than_asked" => {
            "a goal that says how many (\"both\", \"all\", each by name), or a person; that is its purpose"
        }
        "being_completed" => "the end of the call that completes it, or a person; that is its purpose",
        "private_to_outside" => "a goal that names where it goes, or a person; that is its purpose",
        "amount_above_limit" | "sum_above_limit" => PERSON,
        "sql_unread"
        | "sql_unbounded"
        | "sql_structure"
        | "sql_several"
        | "sql_beyond_effect"
        | "command_unread"
        | "command_beyond_looking" => PERSON,
        "undo_of_report" => PERSON,
        "provenance_unknown" => "a new run, or a person; that is its purpose",
        "plan_not_approved" => "a plan that people have agreed to, or a person; that is its purpose",
        "off_plan" | "plan_violated" => {
            "a plan that has this step, stated by whoever opens the run; that is its purpose"
        }
        "plan_does_not_cover" => PERSON,
        "secret_leaves" | "own_house" => "nothing, and no person either; that is its purpose",
        "sink_not_canonical" | "destination_invalid" => {
            "a call that writes it plainly; nothing else, and no person either"
        }
        "own_house_around" | "own_house_unseen" => {
            "a call with another path, or another place for the home of AECL"
        }
        "destination_refused" => "a call to a destination that is listed",
        "resource_unread" | "resource_incomplete" => "the read that brings the thing, and has to work",
        "budget_exceeded" => "time, or a new run, where the budget begins anew",
        "calls_exhausted" => "a new run",
        "rate_limited" | "too_many_at_once" => "time",
        "breaker_open" => "a new run, or what makes it fail",
        "questions_exhausted" => "a new run",
        "killed" => "`aecl kill lift`",
        "token_invalid" | "token_expired" | "token_revoked" | "token_foreign" => "a token of this run",
        "run_unknown" | "run_closed" | "run_expired" => "a new run",
        "replay_conflict" => "another idempotency key",
        "undo_refused" => "an undo of what is known to be done, once and in time",
        "approval_rejected" | "approval_lapsed" | "approval_expired" => {
            "another yes, from somebody who may give it"
        }
        "json_invalid"
        | "json_duplicate_key"
        | "json_number"
        | "json_too_large"
        | "json_too_deep"
        | "arguments_not_object"
        | "arguments_invalid"
        | "amount_invalid"
        | "request_invalid" => "a call with arguments that fit",
        "action_unknown" => "an entry in the catalogue",
        "agent_unknown" => "a manifest in agents/",
        "tool_changed" => "`aecl catalog diff`, and `aecl catalog accept`",
        "authorize_refused" => "`authorize: true` of the action, or a call that AECL carries out",
        "not_allowed" | "action_blocked" | "policy_forbids" | "policy_error" => {
            "nothing, and no person either"
        }
        "out_of_scope" | "out_of_hours" | "environment_refused" | "credential_refused" => {
            "a run where it belongs; no person either"
        }
        "sandbox_unavailable" | "sandbox_unenforceable" => "what holds programs (`aecl doctor --sandbox`)",
        _ => return None,
    })
}
