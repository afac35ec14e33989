//! The door of this room: only a permit that is on record opens it, and it opens once.

use crate::call::Call;
use crate::connector::{CallPlan, CallResult, Connector, DryRun, Reconciled};
use crate::connectors::Connectors;
use crate::connectors::files::{self, ShownFiles};
use crate::connectors::{process, sql};
use crate::depth;
use crate::house::{self, Places};
use aecl_egress::vault::references;
use aecl_kernel::base::evidence::{Evidence, Reach};
use aecl_kernel::base::traffic::Traffic;
use aecl_kernel::decide::Permit;
use aecl_kernel::define::catalogue::TypedAction;
use aecl_kernel::define::catalogue::flow::Class;
use aecl_kernel::define::connector::ConnectorSpec;
use aecl_kernel::provenance::proof::leaves;
use aecl_kernel::read::action::Action;
use aecl_kernel::record::event::OutcomeKind;
use aecl_ledger::Recorded;
use futures_util::FutureExt as _;
use serde_json::value::RawValue;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Acts, and says what happened.
#[derive(Default)]
pub struct Executor {
    connectors: Connectors,
}

/// Context of a call: what goes along with it and is not part of what was judged.
#[derive(Debug, Clone, Default)]
pub struct CallContext {
    /// MCP `_meta`: progress token, trace context.
    pub meta: Option<Box<RawValue>>,
    /// MCP: `inputResponses` and `requestState` of a retried call.
    pub extra: Option<Box<RawValue>>,
    /// MCP: the client session whose own upstream connection is used.
    pub session: Option<String>,
    /// Fires when nobody waits for the answer any more.
    pub cancel: CancellationToken,
}

/// Outcome of an attempt. Never an error: what goes wrong out there is an outcome.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Done, failed or unknown.
    pub kind: OutcomeKind,
    /// What went wrong, as a code.
    pub code: Option<String>,
    /// What went wrong, in words, without secrets.
    pub message: String,
    /// What the target answered.
    pub output: Option<Vec<u8>>,
    /// It failed, and part of it may have happened.
    pub may_have_acted: bool,
    /// Where it ran.
    pub sandbox: String,
    /// Whom it reached from there; absent where there was no way out.
    pub traffic: Option<Traffic>,
}

impl Outcome {
    /// The same without keys of AECL, wherever they were read, and without what nests deeper than readers take. Before
    /// anything is recorded or handed on.
    #[must_use]
    pub fn fit_to_tell(self) -> Self {
        let message = house::without_keys(&self.message).into_owned();
        let output = self.output.map(|output| depth::withhold(house::bytes_without_keys(output)));
        Self { message, output, ..self }
    }
}

impl Executor {
    /// An executor with these ways of acting.
    pub fn new(connectors: Connectors) -> Self {
        Self { connectors }
    }

    /// The ways of acting, to set up servers and to relay what acts on nothing.
    pub fn connectors(&self) -> &Connectors {
        &self.connectors
    }

    /// Checks that a connector can be meant, by itself.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn check(spec: &ConnectorSpec) -> Result<(), String> {
        let checked = match spec {
            ConnectorSpec::Sql(statement) => sql::check(statement),
            ConnectorSpec::Process(program) => process::spec::check(program).map(drop),
            ConnectorSpec::Worker(work) => work.check(),
            ConnectorSpec::Mcp { .. } | ConnectorSpec::Http(_) | ConnectorSpec::Files(_) => Ok(()),
        };
        checked.and_then(|()| check_secrets(spec)).map_err(|e| format!("`connector`: {e}"))
    }

    /// The connector of this action, if it can be carried out as it says and none of its arguments becomes code there.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn check_action(typed: &TypedAction) -> Result<&ConnectorSpec, String> {
        let spec = typed.readable_connector().map_err(ToString::to_string)?;
        let spec = spec.ok_or_else(|| {
            format!("`{}` has no `connector`, so only an agent can carry it out", typed.manifest.name)
        })?;
        Self::check(spec)?;
        if let ConnectorSpec::Process(program) = spec {
            process::words::check(program, &typed.manifest).map_err(|e| format!("`connector`: {e}"))?;
        }
        Ok(spec)
    }

    /// Acts once. The permit is spent by the call.
    ///
    /// ```compile_fail
    /// async fn act(e: &aecl_executor::Executor, bare: aecl_kernel::decide::Permit) {
    ///     e.perform(bare, Default::default(), 1).await; // not on record
    /// }
    /// ```
    pub async fn perform(
        &self,
        permit: Recorded<Permit>,
        context: CallContext,
        max_output_bytes: usize,
    ) -> Outcome {
        let key = permit.key_for(permit.get().id());
        let action = permit.get().action().clone();
        let opened = permit.get().decision().credential_scope().map(str::to_owned);
        let rows_max = permit.get().decision().rows_max();
        let task_left_ms = permit.get().decision().task_left_ms();
        let (tier, instead_of) = match permit.get().decision().tier() {
            Some((tier, instead_of)) => (Some(tier), instead_of),
            None => (None, None),
        };
        match call(permit.get().id().as_str(), &action, key, context, max_output_bytes) {
            Ok(call) if uses_others(&action, opened.as_deref()) => {
                outcome(CallResult::out_of_scope(&call.action, opened.as_deref()), None)
            }
            Ok(call) => {
                if let Some(said) = self.leads_home(&action, &call).await {
                    return outcome(CallResult::not_sent("own_house", said), None);
                }
                let call =
                    Call { credential_scope: opened, rows_max, tier, instead_of, task_left_ms, ..call };
                // A connector of ours that breaks has left the outcome open like a line that went dead.
                let performed = AssertUnwindSafe(self.connectors.perform(&call)).catch_unwind().await;
                let broke = |_| {
                    CallResult::unknown(
                        "interrupted",
                        format!("the connector of `{}` broke during the attempt", call.action),
                    )
                };
                let cage = call.cage.get().cloned();
                let traffic = call.traffic.get().cloned();
                let outcome = outcome(performed.unwrap_or_else(broke), cage);
                Outcome { traffic, ..outcome }
            }
            Err(message) => {
                let not_sent = CallResult::Failed {
                    code: "connector_invalid",
                    message,
                    output: None,
                    may_have_acted: false,
                };
                outcome(not_sent, None)
            }
        }
    }

    /// What an action's values, and what goes along with them, lead to of our own. It reads directories, elsewhere.
    pub async fn leads(&self, action: &Arc<Action>, session: Option<&str>) -> Option<Evidence> {
        let places = self.connectors.places(action, session);
        let action = action.clone();
        looked(move || house::look(&action, &places)).await
    }

    /// What values lead to that are sent to a server and are no action.
    pub async fn relayed_leads(&self, value: serde_json::Value) -> Option<Evidence> {
        let places = Places { bases: std::env::current_dir().into_iter().collect(), apart: false };
        looked(move || house::look_at(&value, &places)).await
    }

    /// The kernel has blocked this already. Looked at again right before it happens: a link may be another by now. And
    /// what goes along was never judged.
    async fn leads_home(&self, action: &Arc<Action>, call: &Call) -> Option<String> {
        let along = [&call.meta, &call.extra].into_iter().flatten();
        let along: Vec<serde_json::Value> =
            along.filter_map(|raw| serde_json::from_str(raw.get()).ok()).collect();
        let mut found = vec![self.leads(action, call.session.as_deref()).await];
        if !along.is_empty() {
            found.push(self.relayed_leads(along.into()).await);
        }
        let into = found.into_iter().flatten().find(|evidence| evidence.reach == Some(Reach::Into));
        into.map(|evidence| format!("`{}`: {}", call.action, evidence.said))
    }

    /// Says what acting would do, from the action alone. No target is asked, so nobody's leave is needed.
    pub fn plan(&self, id: &str, action: &Action, max_output_bytes: usize) -> CallPlan {
        match call(id, action, String::new(), CallContext::default(), max_output_bytes) {
            Ok(call) => without_keys(self.connectors.plan(&call)),
            Err(message) => CallPlan::Untold(message),
        }
    }

    /// What acting would change in files, beside what is there now. It has the target's words in it, so it is for people
    /// who are asked, and for nobody else. Where a server changes files that we do not read, that is said.
    pub async fn shown(&self, action: &Arc<Action>) -> ShownFiles {
        let Some(typed) = action.typed.as_ref().filter(|_| action.problems.is_empty()) else {
            return ShownFiles::None;
        };
        let Ok(call) = call("shown", action, String::new(), CallContext::default(), 0) else {
            return ShownFiles::None;
        };
        match &call.connector {
            ConnectorSpec::Files(_) => match self.leads(action, None).await {
                Some(evidence) if evidence.reach == Some(Reach::Into) => ShownFiles::Cannot(evidence.said),
                Some(_) | None => files::shown(&call).await,
            },
            ConnectorSpec::Mcp { server, .. } => {
                let of =
                    |wanted: Class| leaves(action, typed).iter().any(|leaf| leaf.argument.class == wanted);
                let writes = typed.manifest.effect.changes_something();
                match writes && of(Class::TargetPath) && of(Class::Content) {
                    true => ShownFiles::Elsewhere(server.clone()),
                    false => ShownFiles::None,
                }
            }
            ConnectorSpec::Http(_)
            | ConnectorSpec::Sql(_)
            | ConnectorSpec::Process(_)
            | ConnectorSpec::Worker(_) => ShownFiles::None,
        }
    }

    /// How many things acting would touch, as the target counts them now. Without a permit only this number comes out
    /// of here: what a target holds is read by an action that was allowed to. `pointer`: where the number stands in
    /// what the connector says, if it does not count by itself.
    pub async fn count(
        &self,
        action: &Action,
        pointer: Option<&str>,
        max_output_bytes: usize,
    ) -> Option<u64> {
        let call = call("dry_run", action, String::new(), CallContext::default(), max_output_bytes).ok()?;
        match self.connectors.dry_run(&call).await {
            DryRun::Would { rows: Some(rows), .. } => Some(rows),
            DryRun::Would { output, rows: None } => {
                serde_json::from_slice::<serde_json::Value>(&output).ok()?.pointer(pointer?)?.as_u64()
            }
            // Nobody knows how many, and that is the worst count.
            DryRun::Unsupported { .. } | DryRun::Failed { .. } => None,
        }
    }

    /// Finds out what an attempt did whose end nobody saw. Changes nothing.
    pub async fn reconcile(
        &self,
        id: &str,
        action: &Arc<Action>,
        key: String,
        max_output_bytes: usize,
    ) -> Reconciled {
        match call(id, action, key, CallContext::default(), max_output_bytes) {
            Ok(call) => self.connectors.reconcile(&call).await,
            Err(message) => Reconciled::StillUnknown { message },
        }
    }
}

/// What is wrong with the secret references in it.
fn check_secrets(spec: &ConnectorSpec) -> Result<(), String> {
    match spec {
        ConnectorSpec::Mcp { .. } => Ok(()),
        ConnectorSpec::Http(spec) => {
            spec.headers.values().try_for_each(|text| references(text).map(drop).map_err(|e| e.to_string()))
        }
        ConnectorSpec::Sql(spec) if spec.statement.contains("{secret:") => {
            Err("a statement holds no secrets: what it says is shown to people and kept".into())
        }
        ConnectorSpec::Sql(_) | ConnectorSpec::Files(_) | ConnectorSpec::Worker(_) => Ok(()),
        ConnectorSpec::Process(spec) => {
            let texts = spec.argv.iter().chain(spec.env.values()).chain(&spec.stdin);
            if texts.into_iter().any(|text| text.contains("{secret:")) {
                return Err("a program in a cage gets no secrets: it could tell them to anybody".into());
            }
            Ok(())
        }
    }
}

/// File systems can hang; then nobody has looked.
async fn looked(look: impl FnOnce() -> Option<Evidence> + Send + 'static) -> Option<Evidence> {
    let unseen = || Evidence::reaches(Reach::Unseen, "nobody could look in time where its values lead");
    match tokio::time::timeout(LOOK_MAX, tokio::task::spawn_blocking(look)).await {
        Ok(Ok(found)) => found,
        Ok(Err(_)) | Err(_) => Some(unseen()),
    }
}

/// A look takes some microseconds.
const LOOK_MAX: Duration = Duration::from_secs(2);

/// A plan in which no key of ours stands.
fn without_keys(plan: CallPlan) -> CallPlan {
    match plan {
        CallPlan::Would(would) => {
            let said = house::bytes_without_keys(would.to_string().into_bytes());
            match serde_json::from_slice(&said) {
                Ok(would) => CallPlan::Would(would),
                Err(_) => CallPlan::Untold("what it would do names a key of ours".into()),
            }
        }
        CallPlan::Untold(message) => CallPlan::Untold(house::without_keys(&message).into()),
        CallPlan::Failed(message) => CallPlan::Failed(house::without_keys(&message).into()),
    }
}

/// The kernel has blocked this already. Said again where credentials are used, so that one mistake is not enough.
fn uses_others(action: &Action, opened: Option<&str>) -> bool {
    let manifest = action.typed.as_ref().map(|typed| &typed.manifest);
    manifest.is_some_and(|m| m.uses_credentials() && m.credential_scope.as_deref() != opened)
}

fn call(
    id: &str,
    action: &Action,
    key: String,
    context: CallContext,
    max_output_bytes: usize,
) -> Result<Call, String> {
    let typed = action.typed.as_ref().ok_or_else(|| format!("`{}` is not in the catalogue", action.name))?;
    Ok(Call {
        action_id: id.to_owned(),
        action: action.name.clone(),
        arguments: action.arguments.canonical().clone(),
        connector: Executor::check_action(typed)?.clone(),
        timeout_ms: typed.manifest.timeout_ms,
        idempotency_key: key,
        meta: context.meta,
        extra: context.extra,
        session: context.session,
        // What was ruled on before is looked up with the credentials of its own entry.
        credential_scope: typed.manifest.credential_scope.clone(),
        rows_max: None,
        tier: None,
        instead_of: None,
        task_left_ms: None,
        max_output_bytes,
        cancel: context.cancel,
        cage: Arc::default(),
        traffic: Arc::default(),
    })
}

fn outcome(performed: CallResult, cage: Option<String>) -> Outcome {
    let mut may_have_acted = false;
    let (kind, code, message, output) = match performed {
        CallResult::Done { output } => (OutcomeKind::Done, None, String::new(), Some(output)),
        CallResult::Failed { code, message, output, may_have_acted: perhaps } => {
            may_have_acted = perhaps;
            (OutcomeKind::Failed, Some(code.to_owned()), message, output)
        }
        CallResult::Unknown { code, message, output } => {
            (OutcomeKind::Unknown, Some(code.to_owned()), message, output)
        }
    };
    let sandbox = cage.unwrap_or_else(|| "none".into());
    Outcome { kind, code, message, output, may_have_acted, sandbox, traffic: None }.fit_to_tell()
}
