//! What would the SQL or the command line among the arguments do? The agent wrote it, so it is read, not
//! believed. What is not understood, has no bound or does more than change rows waits for a person; what
//! does more than its action was declared to do does not happen.

use crate::base::code;
use crate::decide::request::{DecisionRequest, Findings};
use crate::define::catalogue::Effect;
use crate::read::code_arguments::shell::CommandLine;
use crate::read::code_arguments::sql::{Sql, SqlEffect};
use crate::read::code_arguments::{CodeArgument, ParsedCode};

pub(super) fn check(q: &DecisionRequest<'_>, findings: &mut Findings) {
    let Some(typed) = &q.action.typed else { return };
    for argument in &q.action.code_arguments {
        let before = findings.list.len();
        match &argument.code {
            ParsedCode::Sql(sql) => of_sql(sql, argument, typed.manifest.effect, findings),
            ParsedCode::Command(line) => of_line(line, findings),
        }
        // Worth knowing where nobody is asked about it.
        if findings.list.len() == before && !argument.only_looks() {
            findings.note(code::WHAT_RUNS, argument.words().join("; "));
        }
    }
}

fn of_sql(sql: &Sql, argument: &CodeArgument, declared: Effect, findings: &mut Findings) {
    let words = sql.words().join("; ");
    if sql.unread.is_some() {
        return findings.ask_somebody(code::SQL_UNREAD, words);
    }
    let effect = sql.effect();
    if argument.declared && goes_beyond(effect, declared) {
        let declared = declared.name();
        findings.block(
            code::SQL_BEYOND_EFFECT,
            format!("the action is declared as `{declared}`, and its SQL {words}"),
        );
    }
    if effect >= SqlEffect::Ddl {
        findings.ask_somebody(code::SQL_STRUCTURE, words);
    } else if !sql.bounded() {
        findings.ask_somebody(code::SQL_UNBOUNDED, words);
    } else if sql.side_by_side > 1 && effect > SqlEffect::Read {
        let n = sql.side_by_side;
        findings.ask_somebody(code::SQL_SEVERAL, format!("{n} statements at once: {words}"));
    } else if !argument.declared && effect > SqlEffect::Read && !declared.changes_something() {
        // The role is a guess, so it asks instead of blocking.
        findings.ask_somebody(
            code::SQL_BEYOND_EFFECT,
            format!("the action is declared as a read, and its SQL {words}"),
        );
    }
}

/// Whether SQL does more than the kind of change that its action is declared to make.
fn goes_beyond(effect: SqlEffect, declared: Effect) -> bool {
    match declared {
        Effect::Read => effect > SqlEffect::Read,
        Effect::Write | Effect::Send | Effect::Pay => effect > SqlEffect::Write,
        Effect::Delete => effect > SqlEffect::Delete,
        Effect::Deploy => effect > SqlEffect::Ddl,
        Effect::Grant => effect > SqlEffect::Grant,
        Effect::Execute => false,
    }
}

fn of_line(line: &CommandLine, findings: &mut Findings) {
    let words = || line.words().join("; ");
    if line.unread.is_some() {
        findings.ask_somebody(code::COMMAND_UNREAD, format!("{} ({})", words(), line.why()));
    } else if !line.simple() {
        findings.ask_somebody(code::COMMAND_BEYOND_LOOKING, format!("{}: {}", words(), line.why()));
    }
}
