//! How far the rollback of a whole run has come.

use super::Action;
use aecl_gate::rollback::{RunRollback, UndoResult, Undoing};
use serde::Serialize;
use utoipa::ToSchema;

/// How far the rollback of a run has come.
#[derive(Debug, Serialize, ToSchema)]
pub struct RolledBack {
    /// The run.
    pub run: String,
    /// `done` (nothing is left), `pending` (a person has to agree to an undo first), `refused` (an action cannot
    /// be undone) or `failed` (an undo failed, or nobody knows how it ended).
    pub state: &'static str,
    /// The actions that were looked at, the latest first. The last one is where it stopped, if it did.
    pub steps: Vec<UndoStep>,
    /// Actions further back that are as they were, the latest first.
    pub left: Vec<String>,
}

/// One action of the run, and what came of undoing it.
#[derive(Debug, Serialize, ToSchema)]
pub struct UndoStep {
    /// The action.
    pub action: String,
    /// Its name.
    pub name: String,
    /// `undone`, `undone_before`, `pending`, `stopped` or `cannot_be_undone`.
    pub state: &'static str,
    /// The action that undoes it, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Why it cannot be undone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The same in words.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// The undo, as an action.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undo: Option<Action>,
}

impl RolledBack {
    /// How far it has come, on the wire; `url` is where people answer.
    pub fn of(run: &str, rollback: RunRollback, url: &str) -> Self {
        let complete = rollback.is_complete();
        let steps: Vec<UndoStep> = rollback.steps.into_iter().map(|step| UndoStep::of(step, url)).collect();
        let state = match steps.last() {
            _ if complete => "done",
            None => "done",
            Some(last) if last.state == "pending" => "pending",
            Some(last)
                if last.undo.as_ref().is_some_and(|undo| matches!(undo.state, "failed" | "unknown")) =>
            {
                "failed"
            }
            Some(_) => "refused",
        };
        Self {
            run: run.to_owned(),
            state,
            steps,
            left: rollback.left.iter().map(ToString::to_string).collect(),
        }
    }
}

impl UndoStep {
    fn of(step: Undoing, url: &str) -> Self {
        let mut on_wire = Self {
            action: step.action.to_string(),
            name: step.name,
            state: "undone",
            by: None,
            code: None,
            message: String::new(),
            undo: None,
        };
        let answer = match step.result {
            UndoResult::Undone(answer) => answer,
            UndoResult::UndoneBefore(by) => {
                (on_wire.state, on_wire.by) = ("undone_before", Some(by.to_string()));
                return on_wire;
            }
            UndoResult::Waits(answer) => {
                on_wire.state = "pending";
                answer
            }
            UndoResult::Stopped(answer) => {
                on_wire.state = "stopped";
                answer
            }
            UndoResult::CannotBe { code, message } => {
                on_wire.state = "cannot_be_undone";
                (on_wire.code, on_wire.message) = (Some(code.to_owned()), message);
                return on_wire;
            }
        };
        on_wire.by = Some(answer.action.to_string());
        let undo = Action::of(*answer, url);
        if on_wire.state == "stopped" {
            (on_wire.code, on_wire.message) = (undo.code.clone(), undo.message.clone());
        }
        on_wire.undo = Some(undo);
        on_wire
    }
}
