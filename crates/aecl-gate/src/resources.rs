//! Looking at the thing that an action is about, before it is decided on and once more before it is acted on. A look-up is an
//! action of the same run: judged, on record, concluded. What it answers is for the gate alone: the agent sees nothing of it,
//! so it taints nothing and proves nothing.

use crate::error::GateError;
use crate::gate::Gate;
use crate::ids;
use crate::looks::{Brought, Key};
use aecl_executor::{CallContext, Outcome};
use aecl_kernel::base::code::{self, Code};
use aecl_kernel::base::digest::Digest;
use aecl_kernel::base::evidence::{Evidence, ResourceReading};
use aecl_kernel::base::id::ActionId;
use aecl_kernel::base::json::Document;
use aecl_kernel::base::time::Timestamp;
use aecl_kernel::decide::checks::resource;
use aecl_kernel::decide::request::DecisionRequest;
use aecl_kernel::decide::{Ruling, decide};
use aecl_kernel::define::resource::Look;
use aecl_kernel::provenance::ingest::answer;
use aecl_kernel::read::action::{Action, Credential, Mode, Proposal};
use aecl_kernel::read::resource::{arguments, attributes, id, lacking};
use aecl_kernel::record::decision::Verdict;
use aecl_kernel::record::event::OutcomeKind;
use serde_json::{Map, Value};
use std::sync::Arc;

/// Most bytes of an answer that is kept.
const KEPT_BYTES_MAX: usize = 64 << 10;
/// How long a look-up may be used, in seconds: it is made at once.
const LOOK_S: u64 = 60;

impl Gate {
    /// What is known of the things that an action is about. Nobody looks for what is refused anyway. `fresh`: what was read
    /// before does not count.
    pub(crate) async fn resources(
        &self,
        action: &Arc<Action>,
        evidence: &[Evidence],
        context: &CallContext,
        fresh: bool,
    ) -> Result<Vec<Evidence>, GateError> {
        let understood = action.typed.as_ref().filter(|_| action.problems.is_empty());
        let Some(declared) = understood.and_then(|typed| typed.manifest.resource.as_deref()) else {
            return Ok(Vec::new());
        };
        let mut readings: Vec<ResourceReading> = Vec::new();
        // What is kept costs nobody a look, and so no question whether there should be one.
        let mut may_look = fresh;
        for look in declared.looks() {
            let kept = self.looked_at(action, &look, &readings, context, (fresh, may_look)).await?;
            let reading = match kept {
                Some(reading) => reading,
                None if self.is_refused(action, evidence).await? => return Ok(Vec::new()),
                None => {
                    may_look = true;
                    let Some(reading) =
                        self.looked_at(action, &look, &readings, context, (fresh, may_look)).await?
                    else {
                        return Ok(Vec::new());
                    };
                    reading
                }
            };
            readings.push(reading);
        }
        Ok(readings.into_iter().map(Evidence::read).collect())
    }

    /// Whether it would not happen whatever the thing is like, or has happened before.
    async fn is_refused(&self, action: &Arc<Action>, evidence: &[Evidence]) -> Result<bool, GateError> {
        let (bundle, now) = (self.bundle(), self.now());
        let facts = self.0.ledger.facts(action.clone(), bundle.clone(), Some(self.people()), now).await?;
        let question = DecisionRequest { action, facts: &facts, bundle: &bundle, evidence, now };
        let first = decide(&question, action, ids::for_decision()?).decision().clone();
        let blocks = |f: &aecl_kernel::record::decision::Finding| {
            f.verdict == Verdict::Block && f.check != resource::NAME
        };
        Ok(first.replays.is_some() || first.findings.iter().any(blocks))
    }

    /// What is known of one thing; nothing, if somebody would have to look and may not.
    async fn looked_at(
        &self,
        action: &Arc<Action>,
        look: &Look<'_>,
        before: &[ResourceReading],
        context: &CallContext,
        (fresh, may_look): (bool, bool),
    ) -> Result<Option<ResourceReading>, GateError> {
        let given = action.arguments.value();
        let user = action.principal.user.as_ref().map(|user| user.as_str());
        let asked = match arguments(look, given, user, before) {
            Ok(asked) => asked,
            Err(why) => {
                return Ok(Some(ResourceReading::new(look.name, "none".into(), self.now()).unread(why)));
            }
        };
        let own = action.resource.as_deref().filter(|_| look.name == aecl_kernel::define::resource::SELF);
        let called = id(own, &asked);
        let Ok(key) = key(action, look, &asked) else {
            let why = "its arguments cannot be read".to_owned();
            return Ok(Some(ResourceReading::new(look.name, called, self.now()).unread(why)));
        };
        let slot = self.0.looks.slot(&key);
        let mut kept = slot.lock().await;
        let counts = |brought: &&Brought| !fresh && self.now() < brought.at.plus_s(look.cache_s);
        let brought = match kept.as_ref().filter(counts) {
            Some(brought) => Ok(brought.clone()),
            None if !may_look => return Ok(None),
            None => self.look(action, look, asked, context).await?,
        };
        *kept = brought.as_ref().ok().filter(|b| look.cache_s > 0 && b.bytes <= KEPT_BYTES_MAX).cloned();
        Ok(Some(match brought {
            Err((at, by, why)) => {
                ResourceReading { action: by, ..ResourceReading::new(look.name, called, at).unread(why) }
            }
            Ok(brought) => {
                let (attributes, wrong) = attributes(look.attributes, &brought.value, given);
                // An answer with nothing of what was declared, such as an error in words, is none.
                let nothing = attributes.is_empty() && wrong.is_empty() && !look.attributes.is_empty();
                let unread = nothing
                    .then(|| format!("the look-up `{}` answered nothing of what is declared", look.read));
                ResourceReading {
                    unread,
                    action: Some(brought.action),
                    output: Some(brought.output),
                    attributes,
                    wrong,
                    ..ResourceReading::new(look.name, called, brought.at)
                }
            }
        }))
    }

    /// Looks, on record. What goes wrong is a reason why the thing is not known.
    async fn look(
        &self,
        action: &Arc<Action>,
        look: &Look<'_>,
        asked: Map<String, Value>,
        context: &CallContext,
    ) -> Result<Result<Brought, (Timestamp, Option<ActionId>, String)>, GateError> {
        let (bundle, now) = (self.bundle(), self.now());
        let principal = action.principal.clone();
        let expires_at = now.plus_s(LOOK_S);
        let proposal = Proposal {
            credential: Credential::of_look(principal.run.clone(), principal.agent.clone(), expires_at),
            principal,
            name: look.read.to_string(),
            arguments: Value::Object(asked).to_string().into_bytes(),
            mode: Mode::Execute,
            idempotency_key: None,
            // The tool is taken to be what was accepted.
            offered: bundle.catalogue().find(look.read.as_str()).and_then(|read| read.manifest.pin),
            compensates: None,
            resume: false,
        };
        let read = Arc::new(Action::parse(proposal, bundle.catalogue(), &self.limits()));
        let evidence: Vec<Evidence> =
            self.0.executor.leads(&read, context.session.as_deref()).await.into_iter().collect();
        let (ruling, _) = self.rule(&read, &evidence, None).await?.split();
        let permit = match ruling {
            Ruling::Allowed(permit) => permit,
            Ruling::Blocked(refusal) => {
                let why = format!("the look-up `{}` was refused: {}", look.read, refusal.decision.reason());
                return Ok(Err((now, Some(refusal.id), why)));
            }
            Ruling::Waiting(_) | Ruling::Replayed(_) | Ruling::Answered(_) => {
                return Ok(Err((now, None, format!("the look-up `{}` was not carried out", look.read))));
            }
        };
        let (by, since) = (permit.get().id().clone(), permit.get().at());
        let context = CallContext {
            session: context.session.clone(),
            cancel: context.cancel.clone(),
            ..CallContext::default()
        };
        let most = self.config().limits.output_bytes_max;
        let outcome = self.0.executor.perform(permit, context, most).await;
        // Nobody but the gate has seen it.
        let (outcome, _) = self.conclude_with(&by, outcome, Default::default(), since, None).await?;
        let at = self.now();
        let Outcome { kind, code, output, .. } = outcome;
        let value = output.as_deref().filter(|_| kind == OutcomeKind::Done).and_then(answer);
        // What is left of an answer that was cut says nothing about the rest.
        let value = value.filter(|value| value.get("truncated") != Some(&Value::Bool(true)));
        Ok(match (value, output) {
            (Some(value), Some(output)) => Ok(Brought {
                at,
                action: by,
                output: Digest::of(&output),
                bytes: output.len(),
                value: Arc::new(value),
            }),
            _ => {
                let how = match (kind, code) {
                    (OutcomeKind::Done, _) => "answered nothing that can be read whole".to_owned(),
                    (OutcomeKind::Failed | OutcomeKind::Unknown, code) => {
                        format!("ended as {} ({})", kind.name(), code.unwrap_or_else(|| "no code".into()))
                    }
                };
                Err((at, Some(by), format!("the look-up `{}` {how}", look.read)))
            }
        })
    }

    /// Looks once more, right before it happens: what was judged must still be so. Otherwise gives what is said then.
    pub(crate) async fn changed_since(
        &self,
        action: &Arc<Action>,
        judged: &[Evidence],
        context: &CallContext,
    ) -> Result<Option<Outcome>, GateError> {
        let Some(typed) = action.typed.as_ref() else { return Ok(None) };
        let Some(declared) = typed.manifest.resource.as_deref() else { return Ok(None) };
        if !declared.recheck || !typed.manifest.effect.changes_something() {
            return Ok(None);
        }
        let again = self.resources(action, &[], context, true).await?;
        for look in declared.looks() {
            let of =
                |evidence: &[Evidence]| aecl_kernel::base::evidence::reading(evidence, look.name).cloned();
            let (Some(was), Some(now)) = (of(judged), of(&again)) else {
                return Ok(Some(not_sent(format!("`{}` was not looked up again", look.name))));
            };
            // What people have agreed to without it is not known now either.
            let known = |r: &ResourceReading| r.unread.is_none();
            if known(&was) != known(&now) {
                let text = match known(&now) {
                    true => format!("`{}` could not be read when this was judged, and can be now", look.name),
                    false => format!(
                        "`{}` could be read when this was judged, and cannot be now: {}",
                        look.name,
                        now.unread.unwrap_or_default()
                    ),
                };
                return Ok(Some(not_sent(text)));
            }
            let other = look.attributes.keys().find(|name| {
                was.attributes.get(*name) != now.attributes.get(*name)
                    || lacking(&look, &was).contains_key(*name) != lacking(&look, &now).contains_key(*name)
            });
            if let Some(name) = other {
                return Ok(Some(not_sent(format!(
                    "`{name}` of `{}` is no longer what was judged",
                    look.name
                ))));
            }
        }
        Ok(None)
    }

    /// After an action that may have changed the thing.
    pub(crate) fn forget_resources(&self, action: &Arc<Action>, judged: &[Evidence]) {
        let declared = action.typed.as_ref().filter(|typed| typed.manifest.effect.changes_something());
        let Some(declared) = declared.and_then(|typed| typed.manifest.resource.as_deref()) else { return };
        let readings: Vec<ResourceReading> = judged.iter().filter_map(|e| e.resource.clone()).collect();
        let user = action.principal.user.as_ref().map(|user| user.as_str());
        for look in declared.looks() {
            let asked = arguments(&look, action.arguments.value(), user, &readings);
            if let Some((_, read, digest)) = asked.ok().and_then(|asked| key(action, &look, &asked).ok()) {
                self.0.looks.forget(&read, &digest);
            }
        }
    }
}

fn key(
    action: &Action,
    look: &Look<'_>,
    asked: &Map<String, Value>,
) -> Result<Key, aecl_kernel::base::json::JsonError> {
    let digest = Document::from_value(Value::Object(asked.clone()))?.digest();
    Ok((action.principal.run.clone(), look.read.to_string(), digest))
}

fn not_sent(message: String) -> Outcome {
    nothing_done(code::RESOURCE_CHANGED, format!("{message}; nothing was done, propose it again"))
}

/// Nobody could look once more, so nothing was sent.
pub(crate) fn unlooked(error: &GateError) -> Outcome {
    let message = format!("what it acts on could not be looked up again, so nothing was done: {error}");
    nothing_done(error.code(), message)
}

fn nothing_done(code: Code, message: String) -> Outcome {
    Outcome {
        kind: OutcomeKind::Failed,
        code: Some(code.to_string()),
        message,
        output: None,
        may_have_acted: false,
        sandbox: "none".into(),
        traffic: None,
    }
}
