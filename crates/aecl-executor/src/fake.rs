//! A world for tests: it can be slow, fail, be silent, answer twice, and it counts what it did.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use crate::call::Call;
use crate::connector::{CallPlan, CallResult, Connector, DryRun, Reconciled};

/// Behaviour of the fake world at the next attempts.
#[derive(Debug, Clone, PartialEq)]
pub enum Mood {
    /// Does it and says so, with this JSON.
    Answers(String),
    /// Does it after a while, and says so.
    Slow(Duration),
    /// Refuses; nothing happened.
    Refuses,
    /// Tries and reports an error.
    Breaks,
    /// Does it and never answers.
    SilentAfterDoing,
    /// Does not do it, and never answers.
    SilentWithoutDoing,
    /// Answers twice: the effect is counted twice, as a bad target would.
    DoesItTwice,
    /// Panics, as a connector of ours must never do.
    Panics,
}

/// A connector whose world is this struct.
#[derive(Debug)]
pub struct FakeWorld {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    mood: Mood,
    by_action: BTreeMap<String, Mood>,
    attempts: BTreeMap<String, u32>,
    effects: BTreeMap<String, u32>,
    looks: u32,
}

impl Default for FakeWorld {
    fn default() -> Self {
        Self::new(Mood::Answers(r#"{"ok":true}"#.into()))
    }
}

impl FakeWorld {
    /// A world in this mood.
    #[must_use]
    pub fn new(mood: Mood) -> Self {
        let (by_action, attempts, effects) = Default::default();
        Self { state: Mutex::new(State { mood, by_action, attempts, effects, looks: 0 }) }
    }

    /// Changes the mood from now on.
    pub fn turn(&self, mood: Mood) {
        self.with(|state| state.mood = mood);
    }

    /// Changes the mood for one action.
    pub fn turn_for(&self, action: &str, mood: Mood) {
        self.with(|state| {
            state.by_action.insert(action.into(), mood);
        });
    }

    /// How often it was tried under this idempotency key.
    #[must_use]
    pub fn attempts(&self, idempotency_key: &str) -> u32 {
        self.with(|state| state.attempts.get(idempotency_key).copied().unwrap_or(0))
    }

    /// How often it really happened under this idempotency key.
    #[must_use]
    pub fn effects(&self, idempotency_key: &str) -> u32 {
        self.with(|state| state.effects.get(idempotency_key).copied().unwrap_or(0))
    }

    /// How often anything really happened.
    #[must_use]
    pub fn effects_in_all(&self) -> u32 {
        self.with(|state| state.effects.values().sum())
    }

    /// How often somebody looked what would happen.
    #[must_use]
    pub fn looks(&self) -> u32 {
        self.with(|state| state.looks)
    }

    fn with<T>(&self, then: impl FnOnce(&mut State) -> T) -> T {
        then(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn happens(&self, call: &Call, times: u32) {
        self.with(|state| *state.effects.entry(call.idempotency_key.clone()).or_insert(0) += times);
    }
}

#[async_trait]
impl Connector for FakeWorld {
    async fn perform(&self, call: &Call) -> CallResult {
        let mood = self.with(|state| {
            *state.attempts.entry(call.idempotency_key.clone()).or_insert(0) += 1;
            state.by_action.get(&call.action).unwrap_or(&state.mood).clone()
        });
        let done = |output: String| CallResult::Done { output: output.into_bytes() };
        match mood {
            Mood::Answers(output) => {
                self.happens(call, 1);
                done(output)
            }
            Mood::Slow(delay) => {
                tokio::time::sleep(delay).await;
                self.happens(call, 1);
                done(r#"{"slow":true}"#.into())
            }
            Mood::Refuses => CallResult::not_sent("fake_refused", format!("`{}` was refused", call.action)),
            Mood::Breaks => CallResult::Failed {
                code: "fake_broke",
                message: format!("`{}` broke on the way", call.action),
                output: Some(br#"{"error":"broke"}"#.to_vec()),
                may_have_acted: true,
            },
            Mood::SilentAfterDoing => {
                self.happens(call, 1);
                silence(call).await
            }
            Mood::SilentWithoutDoing => silence(call).await,
            Mood::DoesItTwice => {
                self.happens(call, 2);
                done(r#"{"twice":true}"#.into())
            }
            #[expect(clippy::panic, reason = "this mood shows what a broken connector does to the walk")]
            Mood::Panics => panic!("the fake world was told to panic"),
        }
    }

    fn plan(&self, call: &Call) -> CallPlan {
        CallPlan::Would(serde_json::json!({"would": call.action}))
    }

    async fn dry_run(&self, call: &Call) -> DryRun {
        self.with(|state| state.looks += 1);
        DryRun::Would { output: format!(r#"{{"would":"{}"}}"#, call.action).into_bytes(), rows: Some(1) }
    }

    async fn reconcile(&self, call: &Call) -> Reconciled {
        match self.effects(&call.idempotency_key) {
            0 => Reconciled::NotDone,
            _ => Reconciled::Done { output: br#"{"found":true}"#.to_vec() },
        }
    }
}

async fn silence(call: &Call) -> CallResult {
    tokio::select! {
        () = tokio::time::sleep(call.timeout()) => CallResult::unknown("fake_silent", "no answer in time"),
        () = call.cancel.cancelled() => CallResult::unknown("fake_cancelled", "cancelled while waiting"),
    }
}

/// A call for tests: this action, these arguments, a second of time, an MCP tool of the same name.
#[must_use]
pub fn call(action: &str, arguments: &str) -> Call {
    Call {
        action_id: format!("act-{action}"),
        action: action.to_owned(),
        arguments: arguments.as_bytes().into(),
        connector: aecl_kernel::define::connector::ConnectorSpec::Mcp {
            server: "fake".into(),
            tool: action.into(),
            method: None,
        },
        timeout_ms: 1_000,
        idempotency_key: format!("key-{action}"),
        meta: None,
        extra: None,
        session: None,
        credential_scope: None,
        rows_max: None,
        tier: None,
        instead_of: None,
        task_left_ms: None,
        max_output_bytes: 1 << 20,
        cancel: tokio_util::sync::CancellationToken::new(),
        cage: std::sync::Arc::default(),
        traffic: std::sync::Arc::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn silence_is_unknown_and_the_world_remembers() {
        let world = FakeWorld::new(Mood::SilentAfterDoing);
        let mut asked = call("pay", "{}");
        asked.timeout_ms = 20;
        assert!(matches!(world.perform(&asked).await, CallResult::Unknown { .. }));
        assert_eq!((world.attempts("key-pay"), world.effects("key-pay")), (1, 1));
        assert!(matches!(world.reconcile(&asked).await, Reconciled::Done { .. }));
    }
}
