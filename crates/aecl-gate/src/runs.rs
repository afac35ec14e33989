//! Runs: one task of one agent, with a goal, a lifetime and a token. Where one acts follows from the configuration and the
//! key; what a request says about its tenant or environment can only be refused, or be stricter.

use crate::error::GateError;
use crate::gate::Gate;
use crate::identity::{Identity, Session};
use crate::ids;
use crate::plans::PlanWish;
use aecl_kernel::base::code;
use aecl_kernel::base::digest::Digest;
use aecl_kernel::base::id::{AgentId, Environment, PersonId, ProjectId, RunId, TenantId, UserId};
use aecl_kernel::base::json::Document;
use aecl_kernel::base::principal::Principal;
use aecl_kernel::base::time::Timestamp;
use aecl_kernel::read::plan::Plan;
use aecl_kernel::record::approval::ApprovalRequest;
use aecl_kernel::record::goal::Goal;
use aecl_ledger::{OpenRun, Waiting};
use serde_json::Value;
use std::collections::BTreeSet;

/// Longest goal, in bytes.
pub const GOAL_BYTES_MAX: usize = 16 * 1024;

/// The environment that is judged most strictly, so that anybody may ask to be judged as there.
const STRICTEST: &str = "production";

/// A run that somebody wants to open.
#[derive(Debug, Clone)]
pub struct RunRequest {
    /// For which agent.
    pub agent: AgentId,
    /// What for, in words.
    pub goal: String,
    /// Ordered steps.
    pub plan: Option<Value>,
    /// On behalf of whom.
    pub user: Option<UserId>,
    /// In which tenant; the configured one if absent.
    pub tenant: Option<TenantId>,
    /// In which project.
    pub project: Option<ProjectId>,
    /// In which environment; the configured one if absent.
    pub environment: Option<Environment>,
    /// For how long at most, in seconds; the manifest's limit if absent.
    pub ttl_s: Option<u64>,
    /// The run it is delegated from.
    pub parent: Option<RunId>,
    /// Put the plan before people: once they agree, its steps are carried out without asking again.
    pub approve_plan: bool,
}

/// A run that was opened.
#[derive(Debug, Clone)]
pub struct OpenedRun {
    /// Who acts, with which credential.
    pub session: Session,
    /// The token, which is shown once.
    pub token: String,
    /// When the run ends at the latest.
    pub expires_at: Timestamp,
    /// The request to people about its plan, if there is one.
    pub plan: Option<ApprovalRequest>,
}

impl Gate {
    /// Opens a run and gives out its first token.
    pub async fn open_run(&self, by: &Identity, request: RunRequest) -> Result<OpenedRun, GateError> {
        let barred = by.person().cloned().into_iter().collect();
        self.open_run_barring(by, request, barred).await
    }

    /// The same; these people approve nothing in it, and neither does its user under another name.
    pub(crate) async fn open_run_barring(
        &self,
        by: &Identity,
        request: RunRequest,
        mut barred: BTreeSet<PersonId>,
    ) -> Result<OpenedRun, GateError> {
        if !by.may_run(&request.agent) {
            let message = format!("{} may not open runs of `{}`", by.name(), request.agent);
            return Err(GateError::refused(code::FORBIDDEN, message));
        }
        let bundle = self.bundle();
        let Some(manifest) = bundle.agent(&request.agent) else {
            let known = aecl_kernel::define::catalogue::nearest(
                request.agent.as_str(),
                bundle.agents().map(|a| a.agent_id.clone()),
            );
            let hint = known.map_or(String::new(), |a| format!("; did you mean `{a}`?"));
            return Err(GateError::refused(
                code::AGENT_UNKNOWN,
                format!("there is no manifest for agent `{}`{hint}", request.agent),
            ));
        };
        if request.goal.len() > GOAL_BYTES_MAX {
            return Err(GateError::refused(
                code::REQUEST_INVALID,
                format!("the goal is longer than {GOAL_BYTES_MAX} bytes"),
            ));
        }
        if let Some(Err(message)) = request.plan.as_ref().and_then(Plan::read) {
            return Err(GateError::refused(code::REQUEST_INVALID, message));
        }
        let now = self.now();
        let ttl_s = request.ttl_s.unwrap_or(manifest.run_ttl_seconds).min(manifest.run_ttl_seconds);
        let expires_at = now.plus_s(ttl_s);
        let run = ids::run()?;
        let parent = match &request.parent {
            Some(id) => Some(self.run_for(by, id, "delegate from runs of").await?.principal),
            None => None,
        };
        let place = match &parent {
            Some(parent) => (parent.tenant.clone(), parent.environment.clone()),
            None => self.place_of(by, &request)?,
        };
        // What a delegation leaves out is inherited, never unlimited; what it names must be the same.
        let narrowed = |what: &str, asked: Option<String>, own: Option<String>| match (&parent, asked, own) {
            (Some(_), Some(asked), own) if own.as_deref() != Some(asked.as_str()) => Err(GateError::refused(
                code::OUT_OF_SCOPE,
                format!("a delegated run keeps the {what} of its parent; `{asked}` is another"),
            )),
            (_, asked, own) => Ok(asked.or(own)),
        };
        let text = |o: Option<&str>| o.map(str::to_owned);
        let own = parent.as_ref();
        narrowed(
            "tenant",
            text(request.tenant.as_ref().map(TenantId::as_str)),
            text(own.map(|p| p.tenant.as_str())),
        )?;
        narrowed(
            "environment",
            text(request.environment.as_ref().map(Environment::as_str)),
            text(own.map(|p| p.environment.as_str())),
        )?;
        let project = narrowed(
            "project",
            text(request.project.as_ref().map(ProjectId::as_str)),
            text(own.and_then(|p| p.project.as_ref()).map(ProjectId::as_str)),
        )?;
        let user = narrowed(
            "user",
            text(request.user.as_ref().map(UserId::as_str)),
            text(own.and_then(|p| p.user.as_ref()).map(UserId::as_str)),
        )?;
        let principal = Principal {
            agent: request.agent.clone(),
            user: user.as_deref().map(UserId::new).transpose()?,
            tenant: place.0,
            project: project.as_deref().map(ProjectId::new).transpose()?,
            environment: place.1,
            run: run.clone(),
        };
        let config = self.config();
        barred.extend(principal.user.as_ref().and_then(|user| config.person_named(user.as_str())).cloned());
        let goal = Goal::new(request.goal, request.plan);
        let wish =
            PlanWish { asked: request.approve_plan, by, parent: request.parent.as_ref(), barred: &barred };
        let ask = self.plan_ask(&principal, &goal, expires_at, wish).await?;
        let (parent, follows, by) = (request.parent, None, by.name());
        let open = OpenRun { principal, goal, expires_at, parent, follows, ask, by, barred };
        self.opened(open, manifest.token_ttl_seconds).await
    }

    /// Opens a run that goes on from another, which may have ended: same principal, same labels, in reach
    /// of the same kill switches, with a lifetime of its own.
    pub async fn follow_run(
        &self,
        by: &Identity,
        before: &RunId,
        goal: String,
    ) -> Result<OpenedRun, GateError> {
        let fact = self.run_for(by, before, "open runs of").await?;
        let bundle = self.bundle();
        let Some(manifest) = bundle.agent(&fact.principal.agent) else {
            let message = format!("there is no manifest for agent `{}`", fact.principal.agent);
            return Err(GateError::refused(code::AGENT_UNKNOWN, message));
        };
        let open = OpenRun {
            principal: Principal { run: ids::run()?, ..fact.principal },
            goal: Goal::new(goal, None),
            expires_at: self.now().plus_s(manifest.run_ttl_seconds),
            parent: None,
            follows: Some(before.clone()),
            ask: None,
            by: by.name(),
            barred: fact.barred.into_iter().chain(by.person().cloned()).collect(),
        };
        self.opened(open, manifest.token_ttl_seconds).await
    }

    async fn opened(&self, open: OpenRun, token_ttl_s: u64) -> Result<OpenedRun, GateError> {
        let principal = open.principal.clone();
        let (run, plan) = (principal.run.clone(), open.ask.clone());
        self.0.ledger.open_run(open, self.now()).await?;
        let recorded =
            self.0.ledger.run(&run).await?.ok_or_else(|| aecl_ledger::LedgerError::NoRun(run.clone()))?;
        let (token, session) = self.first_token(principal, recorded.expires_at, token_ttl_s).await?;
        Ok(OpenedRun { session, token, expires_at: recorded.expires_at, plan })
    }

    /// The run in which exactly this waits for a person, or has the yes already: who proposes it again,
    /// over whichever connection, means that one.
    pub async fn waiting_run(
        &self,
        agent: &AgentId,
        user: Option<&UserId>,
        action: &str,
        arguments: &[u8],
    ) -> Result<Option<RunId>, GateError> {
        let Ok(wanted) = Document::parse(arguments, &self.limits()) else { return Ok(None) };
        let digest = Digest::of(wanted.canonical());
        let same = |w: &Waiting| {
            let of = &w.summary.principal;
            let asks = w.ask.plan.is_none() && w.summary.name == action;
            asks && of.agent == *agent && of.user.as_ref() == user
        };
        for waiting in self.open_with(&digest).into_iter().rev().filter(|w| same(w)) {
            let run = self.0.ledger.run(&waiting.ask.run).await?;
            if run.is_some_and(|r| r.closed.is_none()) {
                return Ok(Some(waiting.ask.run.clone()));
            }
        }
        Ok(None)
    }

    /// Ends a run. What waits in it, or in a run that was delegated from it, is over with it; what is underway is concluded.
    pub async fn close_run(&self, by: &Identity, run: &RunId, reason: String) -> Result<(), GateError> {
        self.run_for(by, run, "close runs of").await?;
        let (gate, run, by) = (self.clone(), run.clone(), by.name());
        // A task of its own: a caller that goes away meanwhile would leave a part of it waiting.
        let end = tokio::spawn(async move { gate.end_run(&run, reason, by).await });
        end.await.map_err(|e| GateError::refused(code::INTERNAL, format!("the end was interrupted: {e}")))?
    }

    /// Where a run acts that is delegated from no other: what the key is for, of which a request may choose.
    fn place_of(&self, by: &Identity, request: &RunRequest) -> Result<(TenantId, Environment), GateError> {
        let config = self.config();
        let tenants = self.tenants_of(by);
        let tenant = chosen(by, "tenant", request.tenant.clone(), tenants.as_ref(), &config.tenant)?;
        let environments = match by {
            // Who operates writes the configuration, too.
            Identity::Local | Identity::Person { .. } => None,
            Identity::Orchestrator { id, .. } => {
                let entry = config.orchestrators.iter().find(|o| o.id == *id);
                let own = entry.and_then(|o| o.environments.clone());
                Some(own.unwrap_or_else(|| [config.environment.clone()].into()))
            }
        };
        if let Some(asked) = request.environment.as_ref().filter(|e| e.as_str() == STRICTEST) {
            return Ok((tenant, asked.clone()));
        }
        let wanted = request.environment.clone();
        let environment = chosen(by, "environment", wanted, environments.as_ref(), &config.environment)?;
        Ok((tenant, environment))
    }
}

/// What is asked for, if the key is for it; what the configuration says if nothing is.
fn chosen<T: Ord + Clone + std::fmt::Display>(
    by: &Identity,
    what: &str,
    asked: Option<T>,
    allowed: Option<&BTreeSet<T>>,
    usual: &T,
) -> Result<T, GateError> {
    let Some(allowed) = allowed else { return Ok(asked.unwrap_or_else(|| usual.clone())) };
    let names = || allowed.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let who = by.name();
    if allowed.is_empty() {
        let message = format!(
            "{who} may act in no {what}: aecl.yaml has no entry for it any more, or one that names none"
        );
        return Err(GateError::refused(code::FORBIDDEN, message));
    }
    match asked {
        Some(asked) if allowed.contains(&asked) => Ok(asked),
        Some(asked) => {
            let message = format!(
                "{who} may not act in {what} `{asked}`; its key is for {}, as `{what}s` of its entry in aecl.yaml or \
                 `{what}` of the configuration says",
                names()
            );
            Err(GateError::refused(code::FORBIDDEN, message))
        }
        None if allowed.contains(usual) => Ok(usual.clone()),
        None => match allowed.iter().next() {
            Some(only) if allowed.len() == 1 => Ok(only.clone()),
            _ => {
                let message = format!("{who} has to say which {what} it means: {}", names());
                Err(GateError::refused(code::REQUEST_INVALID, message))
            }
        },
    }
}
