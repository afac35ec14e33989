//! The decision table of what a run has read, as data: which row, which code, how strict. Rows 1 and 2 (what
//! is unknown, what is not allowed), 6 (who must always agree), 7 and 12 (the risk score) are checks of
//! their own; they stand here for their codes only where these checks add one.

use crate::base::code::{self, Code};
use crate::record::decision::Verdict;

/// One row for one code.
#[derive(Debug)]
pub struct Row {
    /// The number of the row.
    pub number: u8,
    /// The code.
    pub code: Code,
    /// What it says for an agent in mode `standard`.
    pub standard: Verdict,
    /// What it says for an agent in mode `strict`.
    pub strict: Verdict,
    /// When it speaks.
    pub when: &'static str,
}

const fn block(number: u8, code: Code, when: &'static str) -> Row {
    Row { number, code, standard: Verdict::Block, strict: Verdict::Block, when }
}

const fn ask(number: u8, code: Code, when: &'static str) -> Row {
    Row { number, code, standard: Verdict::RequireApproval, strict: Verdict::RequireApproval, when }
}

/// The rows, in order. Of all that speak the strictest decides, and of those the first.
pub const ROWS: &[Row] = &[
    block(
        3,
        code::SINK_NOT_CANONICAL,
        "a destination or target has hidden letters, letters of two scripts, a user name in its URL, or a space that is not plain",
    ),
    block(4, code::SECRET_LEAVES, "a secret value leaves, in clear or in a common encoding"),
    block(5, code::PLAN_VIOLATED, "the declared plan does not have it, and a value that matters is unproven"),
    ask(5, code::OFF_PLAN, "the declared plan does not have it"),
    ask(6, code::AMOUNT_ABOVE_LIMIT, "an amount is above the limit of its argument"),
    ask(
        6,
        code::SUM_ABOVE_LIMIT,
        "what went to the same destination in 24 hours comes to more than the limit",
    ),
    ask(8, code::PROVENANCE_UNKNOWN, "where the values come from, or what of them is secret, is not known"),
    ask(8, code::UNPROVEN_DESTINATION, "a destination is unproven"),
    ask(8, code::UNPROVEN_CREDENTIAL, "a credential is unproven"),
    ask(8, code::UNPROVEN_PROFILE, "personal data is unproven"),
    ask(8, code::UNPROVEN_COMMAND, "a command or query is unproven"),
    ask(8, code::UNPROVEN_TARGET, "a target is unproven"),
    ask(8, code::UNPROVEN_AMOUNT, "an amount above the low value is unproven"),
    ask(8, code::UNPROVEN_LINK, "a link, address or account inside what leaves is unproven"),
    ask(8, code::UNPROVEN_ATTACHMENT, "what goes along is unproven"),
    ask(8, code::UNGROUNDED, "what is written says other things than the goal"),
    Row {
        number: 9,
        code: code::OFF_INTENT_UNPROVEN,
        standard: Verdict::RequireApproval,
        strict: Verdict::Block,
        when: "the goal does not ask for it nor hand the decision over, and a value of row 8 or 11 stands in a stranger's sentence",
    },
    Row {
        number: 9,
        code: code::TOLD_BY_STRANGER,
        standard: Verdict::RequireApproval,
        strict: Verdict::Block,
        when: "where it goes, what it links to or a password stands in a stranger's sentence, and nobody who is trusted has named it",
    },
    ask(9, code::OFF_INTENT, "the goal does not ask for it, and it is more than a nuisance"),
    ask(9, code::GOAL_UNREAD, "the goal is not in English, and no other language is read"),
    ask(9, code::MORE_THAN_ASKED, "the goal asks for one, and this is another"),
    ask(10, code::PRIVATE_TO_OUTSIDE, "the run has private data, and the user has not named where it goes"),
    ask(11, code::UNPROVEN_FETCH, "a page is fetched that the user has not named"),
];

/// The row of a code.
pub fn row(code: Code) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.code == code)
}

/// What the table says. A code that is not in it blocks.
pub fn verdict(code: Code, strict: bool) -> Verdict {
    row(code).map_or(Verdict::Block, |row| if strict { row.strict } else { row.standard })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strict_is_never_looser_and_the_goal_alone_never_blocks() {
        for row in ROWS {
            assert!(row.strict >= row.standard, "{}", row.code);
            assert!(row.standard >= Verdict::RequireApproval, "{}", row.code);
        }
        assert_eq!(verdict(code::OFF_INTENT, true), Verdict::RequireApproval);
        assert_eq!(verdict(code::OFF_INTENT_UNPROVEN, false), Verdict::RequireApproval);
        assert!(ROWS.windows(2).all(|two| two[0].number <= two[1].number));
    }
}
