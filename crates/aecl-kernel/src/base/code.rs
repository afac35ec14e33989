//! Stable codes. Every refusal and error that leaves AECL carries one; `docs/reference/errors.md` has a
//! paragraph for each, with cause, meaning and way out.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// A stable code, such as `budget_exceeded`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(&'static str);

impl Code {
    /// The code as text.
    pub fn as_str(self) -> &'static str {
        self.0
    }

    /// The known code of this text.
    pub fn parse(text: &str) -> Option<Code> {
        ALL.iter().copied().find(|c| c.0 == text)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.0)
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        Code::parse(&text).ok_or_else(|| serde::de::Error::custom(format!("`{text}` is no known code")))
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        $($(#[$doc])* pub const $name: Code = Code($text);)*
        /// Every code there is.
        pub const ALL: &[Code] = &[$($name),*];
    };
}

codes! {
    /// The text is no JSON.
    JSON_INVALID = "json_invalid";
    /// A key stands twice in one object.
    JSON_DUPLICATE_KEY = "json_duplicate_key";
    /// A number that not every reader keeps.
    JSON_NUMBER = "json_number";
    /// Longer or with more values than accepted.
    JSON_TOO_LARGE = "json_too_large";
    /// Nested deeper than accepted.
    JSON_TOO_DEEP = "json_too_deep";
    /// The arguments are no JSON object.
    ARGUMENTS_NOT_OBJECT = "arguments_not_object";
    /// The arguments do not fit the action's schema.
    ARGUMENTS_INVALID = "arguments_invalid";
    /// The amount is missing, negative, too precise or no number.
    AMOUNT_INVALID = "amount_invalid";
    /// The action is not in the catalogue.
    ACTION_UNKNOWN = "action_unknown";
    /// The agent may not carry it out itself.
    AUTHORIZE_REFUSED = "authorize_refused";
    /// What would be undone is only the agent's own report.
    UNDO_OF_REPORT = "undo_of_report";
    /// More refusals than are put on record.
    REFUSALS_EXHAUSTED = "refusals_exhausted";
    /// As many tokens of a run live as may live at once.
    TOKENS_EXHAUSTED = "tokens_exhausted";
    /// A tool came to a known server later, and nobody has accepted it.
    TOOL_NEW = "tool_new";
    /// An imported tool is no longer what was accepted.
    TOOL_CHANGED = "tool_changed";
    /// The agent has no manifest.
    AGENT_UNKNOWN = "agent_unknown";
    /// The credential is no valid run token or key.
    TOKEN_INVALID = "token_invalid";
    /// The run token has expired.
    TOKEN_EXPIRED = "token_expired";
    /// The run token was revoked.
    TOKEN_REVOKED = "token_revoked";
    /// The token belongs to another run or agent.
    TOKEN_FOREIGN = "token_foreign";
    /// There is no such run.
    RUN_UNKNOWN = "run_unknown";
    /// The run has ended.
    RUN_CLOSED = "run_closed";
    /// The run is older than it may get.
    RUN_EXPIRED = "run_expired";
    /// A kill switch is on.
    KILLED = "killed";
    /// The same key was used for something else.
    REPLAY_CONFLICT = "replay_conflict";
    /// The recorded outcome, again; nothing was executed.
    REPLAYED = "replayed";
    /// The agent's manifest does not list the action.
    NOT_ALLOWED = "not_allowed";
    /// The agent's manifest blocks the action.
    ACTION_BLOCKED = "action_blocked";
    /// A rule forbids it.
    POLICY_FORBIDS = "policy_forbids";
    /// A rule could not be evaluated.
    POLICY_ERROR = "policy_error";
    /// A rule asks for a person's yes.
    APPROVAL_RULE = "approval_rule";
    /// Tenant, project or user is out of the agent's scope.
    OUT_OF_SCOPE = "out_of_scope";
    /// The action uses credentials of another scope than the agent's.
    CREDENTIAL_REFUSED = "credential_refused";
    /// Outside the hours of the agent.
    OUT_OF_HOURS = "out_of_hours";
    /// Not in this environment.
    ENVIRONMENT_REFUSED = "environment_refused";
    /// The destination is not on the list.
    DESTINATION_REFUSED = "destination_refused";
    /// The destination cannot be understood.
    DESTINATION_INVALID = "destination_invalid";
    /// A value leads into a home of AECL.
    OWN_HOUSE = "own_house";
    /// A value is a directory that a home of AECL lies in.
    OWN_HOUSE_AROUND = "own_house_around";
    /// Nobody could look where a value leads.
    OWN_HOUSE_UNSEEN = "own_house_unseen";
    /// The budget does not cover it.
    BUDGET_EXCEEDED = "budget_exceeded";
    /// The run has made all its calls.
    CALLS_EXHAUSTED = "calls_exhausted";
    /// Too many calls in a short time.
    RATE_LIMITED = "rate_limited";
    /// Too many calls at once.
    TOO_MANY_AT_ONCE = "too_many_at_once";
    /// The same call has failed too often in a row.
    BREAKER_OPEN = "breaker_open";
    /// What the SQL or the command line among the arguments would do.
    WHAT_RUNS = "what_runs";
    /// SQL that was not understood.
    SQL_UNREAD = "sql_unread";
    /// SQL that changes rows without a condition that leaves any out.
    SQL_UNBOUNDED = "sql_unbounded";
    /// SQL that changes structure or rights, or runs what cannot be seen.
    SQL_STRUCTURE = "sql_structure";
    /// Several statements of SQL at once, one of which changes something.
    SQL_SEVERAL = "sql_several";
    /// SQL that does more than its action is declared to do.
    SQL_BEYOND_EFFECT = "sql_beyond_effect";
    /// A command line that was not understood, or runs what it is given.
    COMMAND_UNREAD = "command_unread";
    /// A command that does more than look, or may.
    COMMAND_BEYOND_LOOKING = "command_beyond_looking";
    /// How strongly the program is held, and because of what.
    SANDBOX_TIER = "sandbox_tier";
    /// The program is held less strongly than asked for, because the operator accepts that.
    SANDBOX_LOWERED = "sandbox_lowered";
    /// Nothing here holds the program as strongly as it has to be held.
    SANDBOX_UNAVAILABLE = "sandbox_unavailable";
    /// Nothing here enforces a limit that the program has.
    SANDBOX_UNENFORCEABLE = "sandbox_unenforceable";
    /// The risk is above what goes through by itself.
    RISK_ABOVE_THRESHOLD = "risk_above_threshold";
    /// What something would be sent to or done to has letters that are not what they seem.
    SINK_NOT_CANONICAL = "sink_not_canonical";
    /// A secret value would leave.
    SECRET_LEAVES = "secret_leaves";
    /// The declared plan does not have it, and a value that matters is unproven.
    PLAN_VIOLATED = "plan_violated";
    /// The declared plan does not have it.
    OFF_PLAN = "off_plan";
    /// The agent changes things only as people have agreed to in a plan, and this is none of it.
    PLAN_NOT_APPROVED = "plan_not_approved";
    /// The plan was approved, and the yes does not reach this call.
    PLAN_DOES_NOT_COVER = "plan_does_not_cover";
    /// A plan that the agent proposes is not put before anybody.
    PLAN_REFUSED = "plan_refused";
    /// A plan that the agent proposes has a step that the declared plan does not have.
    PLAN_BEYOND_CONTRACT = "plan_beyond_contract";
    /// A person said no to exactly this plan.
    PLAN_REJECTED = "plan_rejected";
    /// The amount is above the limit of the argument.
    AMOUNT_ABOVE_LIMIT = "amount_above_limit";
    /// Where the values come from, or which of them are secret, is not known.
    PROVENANCE_UNKNOWN = "provenance_unknown";
    /// Nobody who is trusted has named where it goes.
    UNPROVEN_DESTINATION = "unproven_destination";
    /// What went to the same destination in the last 24 hours comes to more than the limit of the argument.
    SUM_ABOVE_LIMIT = "sum_above_limit";
    /// Nobody who is trusted has named what is changed.
    UNPROVEN_TARGET = "unproven_target";
    /// Nobody who is trusted has named the amount.
    UNPROVEN_AMOUNT = "unproven_amount";
    /// The user has not named the password or key.
    UNPROVEN_CREDENTIAL = "unproven_credential";
    /// The user has not named the personal data.
    UNPROVEN_PROFILE = "unproven_profile";
    /// The user has not named the command or query.
    UNPROVEN_COMMAND = "unproven_command";
    /// A link, address or account in what is sent comes from nobody who is trusted.
    UNPROVEN_LINK = "unproven_link";
    /// Nobody who is trusted has named what goes along.
    UNPROVEN_ATTACHMENT = "unproven_attachment";
    /// What would be created has nothing to do with the goal.
    UNGROUNDED = "ungrounded";
    /// The goal does not ask for it.
    OFF_INTENT = "off_intent";
    /// The goal does not ask for it, and a value that matters is unproven.
    OFF_INTENT_UNPROVEN = "off_intent_unproven";
    /// The goal is in a language that is not read.
    GOAL_UNREAD = "goal_unread";
    /// A stranger's sentence says where it goes, and nobody who is trusted does.
    TOLD_BY_STRANGER = "told_by_stranger";
    /// The goal asks for one, and this is another.
    MORE_THAN_ASKED = "more_than_asked";
    /// It rests on the call that it completes, or why it does not.
    COMPLETES = "completes";
    /// It changes what is being completed at this moment.
    BEING_COMPLETED = "being_completed";
    /// Private data would go where the user has not said, after text of strangers was read.
    PRIVATE_TO_OUTSIDE = "private_to_outside";
    /// A page would be fetched that the user has not named.
    UNPROVEN_FETCH = "unproven_fetch";
    /// What the action acts on could not be read, so no rule has seen it.
    RESOURCE_UNREAD = "resource_unread";
    /// What was read of the thing lacks what rules need.
    RESOURCE_INCOMPLETE = "resource_incomplete";
    /// The thing was changed between the decision and the attempt.
    RESOURCE_CHANGED = "resource_changed";
    /// It cannot be undone.
    IRREVERSIBLE = "irreversible";
    /// It names no compensation.
    UNCOMPENSATED = "uncompensated";
    /// Undoing what is not known to have happened, or is undone already.
    UNDO_REFUSED = "undo_refused";
    /// A person said no.
    APPROVAL_REJECTED = "approval_rejected";
    /// Nobody answered in time.
    APPROVAL_EXPIRED = "approval_expired";
    /// There is no such approval.
    APPROVAL_UNKNOWN = "approval_unknown";
    /// The approval has been answered or used.
    APPROVAL_CLOSED = "approval_closed";
    /// A yes does not count any more, since whoever gave it could not give it now.
    APPROVAL_LAPSED = "approval_lapsed";
    /// This person may not answer this approval.
    APPROVER_REFUSED = "approver_refused";
    /// This person has answered already.
    APPROVER_TWICE = "approver_twice";
    /// The run has asked people as often as it may.
    QUESTIONS_EXHAUSTED = "questions_exhausted";
    /// A yes to this has to be typed, and was not, or otherwise.
    CONFIRMATION_WANTED = "confirmation_wanted";
    /// What is asked is shown otherwise now than when it was looked at.
    VIEW_CHANGED = "view_changed";
    /// Waiting for a person; nothing was executed.
    APPROVAL_PENDING = "approval_pending";
    /// The arguments or results of the entry are more than is kept.
    ENTRY_TOO_LARGE = "entry_too_large";
    /// The bundle does not compile.
    BUNDLE_INVALID = "bundle_invalid";
    /// A file of the configuration is not what it should be.
    CONFIG_INVALID = "config_invalid";
    /// There is no such action on record.
    RECORD_UNKNOWN = "record_unknown";
    /// The delivery is not there for this worker, or not any more.
    WORK_GONE = "work_gone";
    /// What a worker says came late, and the record says otherwise.
    WORK_ANSWERED = "work_answered";
    /// The principal may not do this.
    FORBIDDEN = "forbidden";
    /// The request is not understood.
    REQUEST_INVALID = "request_invalid";
    /// The ledger cannot record, so nothing is done.
    LEDGER_UNAVAILABLE = "ledger_unavailable";
    /// There was a ledger, and now there is none.
    LEDGER_MISSING = "ledger_missing";
    /// What decisions are made from is not what the ledger says.
    FACTS_DIFFER = "facts_differ";
    /// More waiting than is accepted.
    OVERLOADED = "overloaded";
    /// Our own failure.
    INTERNAL = "internal";
}
