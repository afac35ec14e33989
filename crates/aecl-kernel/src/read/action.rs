//! A proposal is what the agent sent, unread. An action is the same, understood against the catalogue.

use crate::base::amount::{self, Amount, BadAmount};
use crate::base::code::{self, Code};
use crate::base::digest::Digest;
use crate::base::id::ActionId;
use crate::base::json::{Document, JsonError, Limits};
use crate::base::principal::Principal;
use crate::base::text::{is_invisible, visible};
use crate::base::time::Timestamp;
use crate::define::catalogue::flow::Class;
use crate::define::catalogue::{DestinationField, DestinationKind, TypedAction};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::{Arc, OnceLock};

/// Mode of a proposal: an effect, leave to make it oneself, or only an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// AECL carries it out.
    #[default]
    Execute,
    /// The agent's process carries it out with a signed permit, and reports.
    Authorize,
    /// Nothing is changed: what would be decided, and what would happen.
    DryRun,
}

/// Credential of the bearer of a run token; the gate has verified the signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    /// The token's id, by which it is revoked.
    pub id: String,
    /// The run it is bound to.
    pub run: crate::base::id::RunId,
    /// The agent it was given to.
    pub agent: crate::base::id::AgentId,
    /// When it expires.
    pub expires_at: Timestamp,
}

/// The name of the credential by which the gate itself looks at the thing that an action is about. No token has it: tokens
/// are named by us.
const LOOK: &str = "gate:look";

impl Credential {
    /// The gate's own, for a look-up on behalf of a run.
    pub fn of_look(
        run: crate::base::id::RunId,
        agent: crate::base::id::AgentId,
        expires_at: Timestamp,
    ) -> Self {
        Self { id: LOOK.into(), run, agent, expires_at }
    }

    /// Whether the gate looks here, and not the agent.
    pub fn is_look(&self) -> bool {
        self.id == LOOK
    }
}

/// Proposal of an agent: bytes and a name, not yet understood.
#[derive(Debug, Clone)]
pub struct Proposal {
    /// Who proposes, from the credential and the run.
    pub principal: Principal,
    /// The credential it came with.
    pub credential: Credential,
    /// The name of the action, as sent.
    pub name: String,
    /// The arguments, as sent.
    pub arguments: Vec<u8>,
    /// What the proposer wants.
    pub mode: Mode,
    /// The proposer's idempotency key.
    pub idempotency_key: Option<String>,
    /// The definition of the tool as its server offers it now; our own fact, from the connector.
    pub offered: Option<Digest>,
    /// The action that this one undoes.
    pub compensates: Option<ActionId>,
    /// Carry on by itself once a person has said yes (someone polls for the result); otherwise the
    /// proposer has to propose again.
    pub resume: bool,
}

/// Problem for which a proposal is not understood. It becomes a finding of the check of the same concern.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProposalProblem {
    /// Which kind.
    pub code: Code,
    /// What exactly, in words.
    pub message: String,
}

/// A proposal, understood: immutable, with one digest over everything that matters.
#[derive(Debug, Clone)]
pub struct Action {
    /// Who acts.
    pub principal: Principal,
    /// With which credential.
    pub credential: Credential,
    /// The name as sent (it may be unknown).
    pub name: String,
    /// The definition, if the catalogue has one; of one with cases the one that describes this call.
    pub typed: Option<Arc<TypedAction>>,
    /// The arguments: these bytes are judged, approved, executed and logged.
    pub arguments: Document,
    /// SHA-256 over principal, name, definition, arguments and who carries it out.
    pub digest: Digest,
    /// What the proposer wants.
    pub mode: Mode,
    /// The proposer's idempotency key.
    pub idempotency_key: Option<String>,
    /// The definition that the tool's server offers now.
    pub offered: Option<Digest>,
    /// The action that this one undoes.
    pub compensates: Option<ActionId>,
    /// Carry on by itself after a yes.
    pub resume: bool,
    /// What the action touches.
    pub resource: Option<String>,
    /// Where its effect lands.
    pub destinations: Vec<String>,
    /// How much.
    pub amount: Option<Amount>,
    /// How many rows or recipients.
    pub rows: Option<u64>,
    /// The tenant that an argument names.
    pub tenant: Option<String>,
    /// What the SQL and the command lines among its arguments would do.
    pub code_arguments: Vec<crate::read::code_arguments::CodeArgument>,
    /// What was not understood; any of these blocks.
    pub problems: Vec<ProposalProblem>,
    leading: OnceLock<Vec<Leading>>,
}

/// A value that leads outside, although its role is no destination.
#[derive(Debug, Clone)]
pub struct Leading {
    /// Where, as a JSON pointer.
    pub pointer: String,
    /// The destination that it is.
    pub class: Class,
}

impl Action {
    /// Understands a proposal against the catalogue. It always gives an action: one that was not
    /// understood carries its problems, is judged like any other, and is blocked on the record.
    pub fn parse(
        proposal: Proposal,
        catalogue: &crate::define::catalogue::Catalogue,
        limits: &Limits,
    ) -> Self {
        let mut problems = Vec::new();
        let arguments = match Document::parse(&proposal.arguments, limits) {
            Ok(document) if document.value().is_object() => document,
            Ok(_) => {
                problems.push(ProposalProblem {
                    code: code::ARGUMENTS_NOT_OBJECT,
                    message: "the arguments must be a JSON object".into(),
                });
                Document::empty()
            }
            Err(JsonError { code, message, offset }) => {
                let message = format!("{message} at byte {offset} of the arguments");
                problems.push(ProposalProblem { code, message });
                Document::empty()
            }
        };
        let name: String = proposal.name.chars().take(128).collect();
        let typed = (name.len() == proposal.name.len()).then(|| catalogue.find(&name)).flatten().cloned();
        let arguments = match typed.as_deref().filter(|_| problems.is_empty()) {
            Some(typed) => filled_in(typed, arguments),
            None => arguments,
        };
        let typed = typed.map(|typed| typed.for_call(arguments.value()).clone());
        if typed.is_none() {
            let shown: String = name.chars().filter(|c| !c.is_control() && !is_invisible(*c)).collect();
            let hint = catalogue.nearest(&name).map_or(String::new(), |n| format!("; did you mean `{n}`?"));
            let message = format!("the catalogue has no action `{shown}`{hint}");
            problems.push(ProposalProblem { code: code::ACTION_UNKNOWN, message });
        }
        let digest = if problems.iter().any(|p| p.code != code::ACTION_UNKNOWN) {
            // Not understood: the digest names the bytes that came, so that a repeat is recognised.
            Digest::of_parts("aecl/unread/v1", &[proposal.name.as_bytes(), &proposal.arguments])
        } else {
            let (principal, compensates) = (&proposal.principal, proposal.compensates.as_ref());
            digest_of(principal, &name, typed.as_deref(), &arguments, compensates, proposal.mode)
        };
        if let Some(key) = proposal.idempotency_key.as_deref().filter(|key| !is_key(key)) {
            let message =
                format!("the idempotency key `{}` must be 1 to 255 visible ASCII characters", visible(key));
            problems.push(ProposalProblem { code: code::REQUEST_INVALID, message });
        }
        let mut action = Self {
            principal: proposal.principal,
            credential: proposal.credential,
            name,
            typed,
            arguments,
            digest,
            mode: proposal.mode,
            idempotency_key: proposal.idempotency_key,
            offered: proposal.offered,
            compensates: proposal.compensates,
            resume: proposal.resume,
            resource: None,
            destinations: Vec::new(),
            amount: None,
            rows: None,
            tenant: None,
            code_arguments: Vec::new(),
            problems,
            leading: OnceLock::new(),
        };
        action.understand();
        action
    }

    /// The digest as it was when no mode was part of it, for decisions that were recorded then.
    pub fn forget_mode(&mut self) {
        if self.problems.iter().all(|p| !is_unread(p.code)) {
            let (typed, compensates) = (self.typed.as_deref(), self.compensates.as_ref());
            let mode = Mode::Execute;
            self.digest = digest_of(&self.principal, &self.name, typed, &self.arguments, compensates, mode);
        }
    }

    fn understand(&mut self) {
        let Some(typed) = self.typed.clone() else { return };
        if !self.problems.is_empty() {
            return;
        }
        for violation in typed.violations(self.arguments.value()) {
            self.problems.push(ProposalProblem { code: code::ARGUMENTS_INVALID, message: violation });
        }
        if !self.problems.is_empty() {
            return;
        }
        self.code_arguments = crate::read::code_arguments::find(&typed, self.arguments.value());
        let fields = &typed.manifest.fields;
        self.resource = fields.resource.as_deref().and_then(|p| self.arguments.pointer(p)).map(plain);
        self.tenant = fields.tenant.as_deref().and_then(|p| self.arguments.pointer(p)).map(plain);
        if let Some(pointer) = &fields.rows {
            self.rows = match self.arguments.pointer(pointer) {
                Some(Value::Array(items)) => Some(items.len() as u64),
                // What is no count, or is not said, is the worst count.
                Some(value) => Some(value.as_u64().unwrap_or(u64::MAX)),
                None => Some(u64::MAX),
            };
        }
        if let Some(field) = &fields.destination {
            match destinations(field, self.arguments.pointer(&field.value)) {
                Ok(found) => self.destinations = found,
                Err(message) => {
                    self.problems.push(ProposalProblem { code: code::DESTINATION_INVALID, message })
                }
            }
        }
        if let Some(field) = &fields.amount {
            let unit = match (&field.unit, &field.unit_at) {
                (Some(unit), _) => Ok(unit.clone()),
                (None, Some(pointer)) => match self.arguments.pointer(pointer).and_then(Value::as_str) {
                    Some(text) => amount::currency(text)
                        .ok_or_else(|| format!("`{}` is no currency code", visible(text))),
                    None => Err(format!("the currency of the amount at `{pointer}` is missing")),
                },
                (None, None) => Err("the unit of the amount is missing".to_owned()),
            };
            let read = match (unit, self.arguments.pointer(&field.value)) {
                (Err(message), _) => Err(message),
                (_, None) => Err(format!("the amount at `{}` is missing", field.value)),
                (Ok(unit), Some(value)) => {
                    let scale = typed.manifest.scale(&unit);
                    Amount::read(value, &unit, scale).map_err(|e: BadAmount| format!("the amount {e}"))
                }
            };
            match read {
                Ok(amount) => self.amount = Some(amount),
                Err(message) => self.problems.push(ProposalProblem { code: code::AMOUNT_INVALID, message }),
            }
        }
    }

    /// The values that lead outside, which are looked for once: every check and look-up asks for them.
    pub(crate) fn leading(&self, find: impl FnOnce() -> Vec<Leading>) -> &[Leading] {
        self.leading.get_or_init(find)
    }

    /// The kind of change, for what is known; the worst for what is not.
    pub fn changes_something(&self) -> bool {
        self.typed.as_ref().is_none_or(|t| t.manifest.effect.changes_something())
    }
}

/// The arguments with the defaults of what was left out: what the target would take by itself is judged,
/// shown and sent.
fn filled_in(typed: &TypedAction, arguments: Document) -> Document {
    let missing: Vec<_> = typed
        .manifest
        .args
        .iter()
        .filter_map(|(name, argument)| Some((name, argument.default.as_ref()?)))
        .filter(|(name, _)| !name.contains('/') && arguments.value().get(name.as_str()).is_none())
        .collect();
    let (false, Some(given)) = (missing.is_empty(), arguments.value().as_object()) else { return arguments };
    let mut all = given.clone();
    all.extend(missing.into_iter().map(|(name, default)| (name.clone(), default.clone())));
    Document::from_value(Value::Object(all)).unwrap_or(arguments)
}

/// Whether a problem is one of reading: nobody knows what the arguments mean.
pub fn is_unread(code: Code) -> bool {
    [
        code::JSON_INVALID,
        code::JSON_DUPLICATE_KEY,
        code::JSON_NUMBER,
        code::JSON_TOO_LARGE,
        code::JSON_TOO_DEEP,
        code::ARGUMENTS_NOT_OBJECT,
    ]
    .contains(&code)
}

/// The digest that a yes is bound to. A call that AECL carries out and one that the agent carries out are two things; a
/// dry run asks about the first.
fn digest_of(
    principal: &Principal,
    name: &str,
    typed: Option<&TypedAction>,
    arguments: &Document,
    compensates: Option<&ActionId>,
    mode: Mode,
) -> Digest {
    let principal = serde_json::to_vec(principal).unwrap_or_default();
    let definition = typed.map(|t| t.digest.to_string()).unwrap_or_default();
    let compensates = compensates.map(ActionId::as_str).unwrap_or_default();
    let kind = match mode {
        Mode::Execute | Mode::DryRun => "aecl/action/v1",
        Mode::Authorize => "aecl/permit/v1",
    };
    Digest::of_parts(
        kind,
        &[&principal, name.as_bytes(), definition.as_bytes(), arguments.canonical(), compensates.as_bytes()],
    )
}

/// A value as the text that names a resource.
fn plain(value: &Value) -> String {
    match value {
        Value::String(s) => s.clone(),
        other => other.to_string(),
    }
}

/// Reads destinations into the form in which they are compared.
fn destinations(field: &DestinationField, value: Option<&Value>) -> Result<Vec<String>, String> {
    let one = |value: &Value| match value {
        Value::String(text) => destination(field.kind, text),
        other => Err(format!("`{other}` is no destination; a string is expected")),
    };
    match value {
        // Whether it may be missing is the schema's business; a missing one lands nowhere.
        None => Ok(Vec::new()),
        Some(Value::Array(items)) => items.iter().map(one).collect(),
        Some(value) => one(value).map(|d| vec![d]),
    }
}

/// One destination in the form in which it is compared, or why it is none.
pub(crate) fn destination(kind: DestinationKind, text: &str) -> Result<String, String> {
    let shown = visible(text);
    if text.chars().any(|c| c.is_control() || is_invisible(c)) {
        return Err(format!("the destination `{shown}` has invisible or control characters"));
    }
    match kind {
        DestinationKind::Name => Ok(text.to_owned()),
        DestinationKind::Email => match text.rsplit_once('@') {
            Some((local, domain)) if is_mailbox(local) => {
                let host = host(domain).ok_or_else(|| format!("`{shown}` has no valid domain"))?;
                Ok(format!("{local}@{host}"))
            }
            _ => Err(format!("`{shown}` is no single mail address")),
        },
        DestinationKind::Host => host(text).ok_or_else(|| format!("`{shown}` is no host name")),
        // Readers disagree about these, so that one sees another host than the other.
        DestinationKind::Url if text.contains(['\\', ' ']) || !has_authority(text) => {
            Err(format!("`{shown}` is no plain http or https URL"))
        }
        DestinationKind::Url => {
            let url = url::Url::parse(text).map_err(|e| format!("`{shown}` is no URL: {e}"))?;
            if !matches!(url.scheme(), "http" | "https")
                || !url.username().is_empty()
                || url.password().is_some()
            {
                return Err(format!("`{shown}` is no plain http or https URL"));
            }
            let host = url.host_str().ok_or_else(|| format!("`{shown}` has no host"))?;
            let host = host.trim_end_matches('.');
            Ok(url.port().map_or(host.to_owned(), |port| format!("{host}:{port}")))
        }
    }
}

/// Whether a host comes right after `://`, and no `@` before it.
fn has_authority(text: &str) -> bool {
    let rest = text.split_once("://").map_or("", |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    !authority.is_empty() && !authority.contains('@')
}

/// Letters, digits and the signs that mean nothing to a mail server: `%` and `!` route on, `:` and
/// brackets are syntax.
fn is_mailbox(local: &str) -> bool {
    !local.is_empty() && local.chars().all(|c| c.is_alphanumeric() || ".+-_=&'*/?^`{|}~#$".contains(c))
}

/// `P1`, `p1 ` and a full-width `Ｐ１` look like one key and are three; what is not plain is refused.
fn is_key(key: &str) -> bool {
    (1..=255).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic())
}

fn host(text: &str) -> Option<String> {
    match url::Host::parse(text.trim_end_matches('.')).ok()? {
        url::Host::Domain(d) if !d.is_empty() => Some(d),
        url::Host::Domain(_) => None,
        address => Some(address.to_string()),
    }
}
