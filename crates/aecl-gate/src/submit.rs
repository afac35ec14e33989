//! The walk: submit → parse → rule → wait → perform → conclude. What happens to an action, and in which
//! order, is written here and nowhere else.

use crate::conclude::{issued_by, worst};
use crate::error::GateError;
use crate::gate::Gate;
use crate::hold::WaitEnd;
use crate::identity::Session;
use crate::ids;
use crate::resources::unlooked;
use crate::wait::Turn;
use aecl_executor::house::without_keys;
use aecl_executor::{CallContext, CallPlan, Outcome};
use aecl_kernel::base::digest::Digest;
use aecl_kernel::base::evidence::Evidence;
use aecl_kernel::base::id::ActionId;
use aecl_kernel::base::principal::Principal;
use aecl_kernel::decide::request::DecisionRequest;
use aecl_kernel::decide::{Permit, Refusal, Ruling, Wait, decide};
use aecl_kernel::provenance::ingest::Ingested;
use aecl_kernel::read::action::{Action, Mode, Proposal};
use aecl_kernel::record::approval::ApprovalRequest;
use aecl_kernel::record::decision::Verdict;
use aecl_kernel::record::event::OutcomeKind;
use aecl_ledger::{Again, Receipt, Recorded, Rule};
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

pub use crate::answer::{Answer, End};

/// Seconds for which an agent that acts by itself may use its permit.
pub(crate) const PERMIT_TTL_S: u64 = 60;

/// Submission of an action, as it came in.
#[derive(Debug, Default)]
pub struct Submission {
    /// The name of the action.
    pub name: String,
    /// The arguments, as sent.
    pub arguments: Vec<u8>,
    /// What is wanted.
    pub mode: Mode,
    /// The proposer's idempotency key.
    pub idempotency_key: Option<String>,
    /// How long to wait for people.
    pub wait: Duration,
    /// Carry on without the proposer once people have agreed.
    pub resume: bool,
    /// The definition of the tool as its server offers it now.
    pub offered: Option<Digest>,
    /// The action to undo.
    pub compensates: Option<ActionId>,
    /// What goes along with the call.
    pub context: CallContext,
    /// Fires when waiting for people should end early. An attempt that has begun goes on.
    pub until: CancellationToken,
}

impl Gate {
    /// Takes a proposal through the walk. If the caller goes away, waiting for people ends; what has begun is
    /// concluded.
    pub async fn submit(&self, session: &Session, submission: Submission) -> Result<Answer, GateError> {
        self.submit_watched(session, submission, &|_| {}).await
    }

    /// The same; whoever stands in front is told when the wait for people begins.
    pub async fn submit_watched(
        &self,
        session: &Session,
        submission: Submission,
        held: &(dyn Fn(&ApprovalRequest) + Send + Sync),
    ) -> Result<Answer, GateError> {
        // A task of its own: a caller that goes away between the permit and the attempt would leave an action
        // that has started and that nobody carries out.
        let until = submission.until.child_token();
        let _listening = until.clone().drop_guard();
        let (gate, session) = (self.clone(), session.clone());
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        let walk = tokio::spawn(async move { gate.walk(&session, submission, &until, &tell, None).await });
        // Ends with the walk, which holds the other end.
        while let Some(ask) = told.recv().await {
            held(&ask);
        }
        walk.await.map_err(|e| {
            GateError::refused(aecl_kernel::base::code::INTERNAL, format!("the walk was interrupted: {e}"))
        })?
    }

    /// The walk itself. Who holds the turn of what waits already rules alone on it, and says what that is.
    pub(crate) async fn walk(
        &self,
        session: &Session,
        submission: Submission,
        until: &CancellationToken,
        held: &tokio::sync::mpsc::UnboundedSender<ApprovalRequest>,
        turn: Option<(Turn, Again)>,
    ) -> Result<Answer, GateError> {
        let Submission { wait, context, .. } = &submission;
        let (deadline, context) = (tokio::time::Instant::now() + *wait, context.clone());
        let mut proposed = proposal(session, submission);
        let arguments = std::mem::take(&mut proposed.arguments);
        let sent = Proposal { arguments, ..proposed.clone() };
        let mut action = Action::parse(sent, self.bundle().catalogue(), &self.limits());
        // Keys of ours are nobody's arguments. What is judged, shown, carried out and recorded is the text without them.
        if let Cow::Owned(clean) = without_keys(&String::from_utf8_lossy(action.arguments.canonical())) {
            proposed.arguments = clean.into_bytes();
            action = Action::parse(proposed, self.bundle().catalogue(), &self.limits());
        }
        let action = Arc::new(action);
        let (mut turn, mut again) = match turn {
            Some((turn, again)) => (Some(turn), Some(again)),
            None => (self.0.waits.turn_of(&action.digest).await, None),
        };
        // On record with the decision, which is made from that alone. Judges are asked only about what is not refused for
        // where it leads, or for what it acts on.
        let mut known: Vec<Evidence> =
            self.0.executor.leads(&action, context.session.as_deref()).await.into_iter().collect();
        known.extend(self.resources(&action, &known, &context, again.is_some()).await?);
        let mut evidence = self.evidence(&action, &known).await?;
        evidence.extend(known);
        loop {
            // What people have answered is decided on record, whatever else came to nothing.
            if again.is_none()
                && let Some(answer) = self.done_before(&action, &evidence).await?
            {
                if !matches!(answer.end, End::Underway) {
                    return Ok(answer);
                }
                drop(turn.take());
                self.until_ended(&answer.action, deadline, [&context.cancel, until]).await?;
                return self.recorded_answer(&answer.action, answer.decision, true).await;
            }
            // A yes to a plan may come between a decision and the wait for people, so what was agreed to before it counts.
            let agreed = self.agreed_plans(&action.principal.run).await?;
            let (ruling, receipt) = self.rule(&action, &evidence, again.take()).await?.split();
            drop(turn.take());
            match ruling {
                Ruling::Allowed(permit) => return self.execute(permit, &evidence, context).await,
                Ruling::Blocked(refusal) => {
                    let mut answer = self.refused(refusal, receipt);
                    self.explain_no(&mut answer, &action).await?;
                    return Ok(answer);
                }
                Ruling::Answered(refusal) => return Ok(self.dry_run(refusal, receipt)),
                Ruling::Replayed(replay) => {
                    self.until_ended(&replay.original, deadline, [&context.cancel, until]).await?;
                    return self.recorded_answer(&replay.original, Some(replay.decision), true).await;
                }
                Ruling::Waiting(wait) => {
                    // Whoever was to be told has gone; the wait ends by itself then.
                    drop(held.send(wait.ask.clone()));
                    let asked_at = self.now();
                    let ends = [&context.cancel, until];
                    let Wait { id, action: asked, decision, .. } = wait;
                    let looked = self.looked_at_before(agreed, &decision, &asked.principal.run).await?;
                    let held = self.hold(&id, &asked.digest, &looked, Some(deadline), ends).await?;
                    self.0.metrics.waited(self.now().since_ms(asked_at));
                    match held {
                        WaitEnd::AskAgain(mine) => {
                            turn = Some(mine);
                            again = Some(Again { action: id, unattended: false });
                            // People take their time, and the thing may be another by now.
                            evidence.retain(|known| known.resource.is_none());
                            evidence.extend(self.resources(&action, &evidence, &context, true).await?);
                        }
                        WaitEnd::Over(answer) => return Ok(answer),
                        WaitEnd::NoLonger(ask) => {
                            return Ok(Answer {
                                action: id,
                                end: End::Pending(ask),
                                decision: Some(decision),
                                receipt: Some(receipt),
                            });
                        }
                    }
                }
            }
        }
    }

    pub(crate) async fn rule(
        &self,
        action: &Arc<Action>,
        evidence: &[Evidence],
        again: Option<Again>,
    ) -> Result<Recorded<Ruling>, GateError> {
        let now = self.now();
        let agent = &action.principal.agent;
        let rule = Rule {
            action: action.clone(),
            evidence: evidence.to_vec(),
            bundle: self.bundle(),
            fresh: ids::for_decision()?,
            again: again.clone(),
            people: Some(self.people()),
            now,
        };
        let recorded = self.0.ledger.rule(rule).await?;
        let ruling = recorded.get();
        let ends = match ruling {
            Ruling::Blocked(refusal) => refusal.ends.as_slice(),
            _ => &[],
        };
        ends.iter().chain(again.iter().map(|a| &a.action)).for_each(|id| self.0.waits.ring(id));
        self.0.metrics.decided(self.now().since_ms(now));
        if !matches!(ruling, Ruling::Allowed(_)) {
            let content = match ruling {
                Ruling::Blocked(refusal) if refusal.decision.is_turned_away() => 0,
                _ => action.arguments.canonical().len() as u64,
            };
            let per_min = self.config().limits.refused_bytes_per_min;
            self.0.refusals.recorded(agent, content, per_min, now);
        }
        let name = action.typed.as_ref().map(|t| &t.manifest.name);
        self.0.metrics.outcome(agent, name, ruling.outcome());
        Ok(recorded)
    }

    /// Where an agent has filled its share of the record with what came to nothing: looks, without a record, whether this
    /// would be carried out, as what it may do is done all the same. What was done before is answered again; anything else
    /// is refused.
    async fn done_before(
        &self,
        action: &Arc<Action>,
        evidence: &[Evidence],
    ) -> Result<Option<Answer>, GateError> {
        let now = self.now();
        if !self.0.refusals.are_exhausted(&action.principal.agent, now) {
            return Ok(None);
        }
        let bundle = self.bundle();
        let facts =
            self.0.ledger.facts(action.clone(), bundle.clone(), Some(self.people()), self.now()).await?;
        let question = DecisionRequest { action, facts: &facts, bundle: &bundle, evidence, now };
        let ruling = decide(&question, action, ids::for_decision()?);
        match &ruling {
            Ruling::Allowed(_) => return Ok(None),
            Ruling::Replayed(replay) => {
                let decision = Some(replay.decision.clone());
                return self.recorded_answer(&replay.original, decision, true).await.map(Some);
            }
            Ruling::Blocked(_) | Ruling::Waiting(_) | Ruling::Answered(_) => {}
        }
        self.0.metrics.unrecorded();
        let message = format!(
            "`{}` proposes too much that comes to nothing; this was not recorded and nothing was done: {}",
            action.principal.agent,
            ruling.decision().reason()
        );
        Err(GateError::refused(aecl_kernel::base::code::REFUSALS_EXHAUSTED, message))
    }

    fn refused(&self, refusal: Refusal, receipt: Receipt) -> Answer {
        let code = refusal.decision.headline.map_or("not_allowed", |c| c.as_str());
        let message = refusal.decision.reason().to_owned();
        Answer {
            action: refusal.id,
            end: End::Blocked { code, message },
            decision: Some(refusal.decision),
            receipt: Some(receipt),
        }
    }

    /// What would be decided, and what the call itself says it would do. The target is not asked: what it holds, be
    /// it a row, a difference or a number, is for an action that was permitted, that counts and whose labels stay.
    fn dry_run(&self, refusal: Refusal, receipt: Receipt) -> Answer {
        let most = self.config().limits.output_bytes_max;
        let would = (refusal.decision.verdict != Verdict::Block).then(|| {
            let would = match self.0.executor.plan(refusal.id.as_str(), &refusal.action, most) {
                CallPlan::Would(would) => would,
                CallPlan::Untold(message) | CallPlan::Failed(message) => {
                    serde_json::json!({ "unsupported": message })
                }
            };
            would.to_string().into_bytes()
        });
        Answer {
            action: refusal.id,
            end: End::Asked { would },
            decision: Some(refusal.decision),
            receipt: Some(receipt),
        }
    }

    async fn execute(
        &self,
        permit: Recorded<Permit>,
        judged: &[Evidence],
        context: CallContext,
    ) -> Result<Answer, GateError> {
        match permit.get().action().mode {
            Mode::Authorize => self.issue_permit(permit),
            Mode::Execute | Mode::DryRun => self.perform(permit, judged, context).await,
        }
    }

    async fn perform(
        &self,
        permit: Recorded<Permit>,
        judged: &[Evidence],
        context: CallContext,
    ) -> Result<Answer, GateError> {
        let (id, decision, since) =
            (permit.get().id().clone(), permit.get().decision().clone(), permit.get().at());
        let Principal { agent, run, .. } = permit.get().action().principal.clone();
        let name = permit.get().action().typed.clone();
        let action = permit.get().action().clone();
        let most = self.config().limits.output_bytes_max;
        self.0.underway.fetch_add(1, Ordering::SeqCst);
        // It is begun on record, so whatever comes of the second look is its outcome.
        let outcome = match self.changed_since(&action, judged, &context).await {
            Ok(None) => self.0.executor.perform(permit, context, most).await,
            Ok(Some(changed)) => changed,
            Err(error) => unlooked(&error),
        };
        self.forget_resources(&action, judged);
        let arguments = Some(action.arguments.value());
        let taken = self.label_output(name.as_deref(), &run, &outcome, arguments).await.unwrap_or_else(|error| {
            tracing::error!(action = %id, %error, "an output could not be read for labels and counts for the worst");
            Ingested { labels: worst(name.as_deref()), trusted: Vec::new() }
        });
        let taken = (taken, issued_by(&action, &self.bundle(), &outcome));
        let concluded = self.conclude_with(&id, outcome, taken, since, None).await;
        self.0.underway.fetch_sub(1, Ordering::SeqCst);
        let (outcome, receipt) = match concluded {
            Ok(concluded) => concluded,
            // The record has that it was begun. It may have happened, so no error may say that nothing was done.
            Err(error) => {
                tracing::error!(action = %id, %error, "what came of an attempt could not be recorded");
                self.0.waits.ring(&id);
                let message = "it was begun, and what came of it could not be recorded; once the ledger records again, \
                               it is looked up at its target or waits for a person to find out";
                let (outcome, code) = (OutcomeKind::Unknown, Some("interrupted".to_owned()));
                let message = message.to_owned();
                let end = End::Concluded { outcome, code, message, output: None, replayed: false };
                return Ok(Answer { action: id, end, decision: Some(decision), receipt: None });
            }
        };
        self.0.metrics.outcome(&agent, name.as_ref().map(|t| &t.manifest.name), outcome.kind.name());
        let Outcome { kind, code, message, output, .. } = outcome;
        let end = End::Concluded { outcome: kind, code, message, output, replayed: false };
        Ok(Answer { action: id, end, decision: Some(decision), receipt: Some(receipt) })
    }

    /// Leave for an agent that acts by itself. Its report concludes the action; without one it is unknown.
    fn issue_permit(&self, permit: Recorded<Permit>) -> Result<Answer, GateError> {
        let (at, clock) = (permit.get().at(), &self.0.clock);
        let expires_at = at.plus_s(PERMIT_TTL_S);
        let [issued, ends] = [at, expires_at].map(|at| clock.as_others_see(at));
        let signed = self.0.tokens.permit(permit.get(), issued, ends)?;
        let (permit, receipt) = permit.into_parts();
        let end = End::Permitted { permit: signed, expires_at };
        Ok(Answer {
            action: permit.id().clone(),
            end,
            decision: Some(permit.decision().clone()),
            receipt: Some(receipt),
        })
    }
}

fn proposal(session: &Session, s: Submission) -> Proposal {
    Proposal {
        principal: session.principal.clone(),
        credential: session.credential.clone(),
        name: without_keys(&s.name).into_owned(),
        arguments: s.arguments,
        mode: s.mode,
        idempotency_key: s.idempotency_key.map(|key| without_keys(&key).into_owned()),
        offered: s.offered,
        compensates: s.compensates,
        resume: s.resume,
    }
}
