//! Who calls: a key or a run token in `Authorization`, or whoever may open the socket.

use super::App;
use super::problem::Problem;
use aecl_gate::{Identity, Session};
use aecl_kernel::base::code;
use aecl_kernel::base::id::{ActionId, RunId};
use aecl_kernel::record::facts::{ActionFact, RunFact};
use aecl_ledger::LedgerError;
use aecl_mcp::serving::Peer;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};

/// Caller of a request.
#[derive(Debug, Clone)]
pub enum Caller {
    /// A person, an orchestrator, or the owner of the data directory.
    Known(Identity),
    /// The bearer of a run token.
    Run(Box<Session>),
}

/// A person, an orchestrator, or the owner of the data directory.
#[derive(Debug, Clone)]
pub struct Known(pub Identity);

/// The bearer of a run token. Its age is judged with the proposal.
#[derive(Debug, Clone)]
pub struct Bearer(pub Session);

impl FromRequestParts<App> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let mut sent = parts.headers.get_all(header::AUTHORIZATION).iter();
        let (first, second) = (sent.next(), sent.next());
        if second.is_some() {
            return Err(Problem::of(code::REQUEST_INVALID, "`Authorization` stands twice"));
        }
        let Some(value) = first else {
            return match parts.extensions.get::<Peer>() {
                Some(Peer::Local) => Ok(Caller::Known(Identity::Local)),
                Some(Peer::Tcp(_)) | None => Err(no_credential("there is no `Authorization` header")),
            };
        };
        let credential = value.to_str().ok().and_then(|text| {
            let (scheme, rest) = text.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| rest.trim())
        });
        let Some(credential) = credential.filter(|c| !c.is_empty()) else {
            return Err(no_credential("`Authorization` is not `Bearer` and a credential"));
        };
        // Keys say what they are; everything else can only be a token.
        if credential.starts_with("aecl_") {
            return Ok(Caller::Known(app.gate.identify(credential)?));
        }
        Ok(Caller::Run(Box::new(app.gate.session(credential).await?)))
    }
}

/// The credential of the one `Authorization` there is, for doors that take a key of a kind of their own.
pub(crate) fn only_bearer(headers: &HeaderMap) -> Option<&str> {
    let mut sent = headers.get_all(header::AUTHORIZATION).iter();
    match (sent.next(), sent.next()) {
        (Some(value), None) => {
            let (scheme, key) = value.to_str().ok()?.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
        }
        (_, _) => None,
    }
}

fn no_credential(why: &str) -> Problem {
    Problem::of(code::TOKEN_INVALID, why)
        .hint("send `Authorization: Bearer` with a key from `aecl keys add` or a run token")
}

impl FromRequestParts<App> for Known {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        match Caller::from_request_parts(parts, app).await? {
            Caller::Known(identity) => Ok(Known(identity)),
            Caller::Run(_) => {
                let why = "a run token may not do this; use the key of a person or an orchestrator";
                Err(Problem::of(code::FORBIDDEN, why))
            }
        }
    }
}

impl FromRequestParts<App> for Bearer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        match Caller::from_request_parts(parts, app).await? {
            Caller::Run(session) => Ok(Bearer(*session)),
            Caller::Known(identity) => {
                let why = format!("{} proposes nothing; agents do, with a run token", identity.name());
                Err(Problem::of(code::TOKEN_INVALID, why).hint("open a run at `POST /v1/runs`"))
            }
        }
    }
}

impl Caller {
    /// A run that it may look at. Whether there is one of others is nothing that it hears.
    pub async fn run(&self, app: &App, id: &RunId) -> Result<RunFact, Problem> {
        if let Caller::Run(session) = self {
            app.gate.alive(session).await?;
        }
        let run = app.gate.run_now(id).await?;
        match self.sees(app, &run).await? {
            true => Ok(run),
            false => Err(LedgerError::NoRun(id.clone()).into()),
        }
    }

    /// An action of such a run.
    pub async fn action(&self, app: &App, id: &ActionId) -> Result<ActionFact, Problem> {
        if let Caller::Run(session) = self {
            app.gate.alive(session).await?;
        }
        let none = || LedgerError::NoAction(id.clone());
        let fact = app.gate.ledger().action(id).await?.ok_or_else(none)?;
        match self.sees(app, &app.gate.run_now(&fact.run).await?).await? {
            true => Ok(fact),
            false => Err(none().into()),
        }
    }

    async fn sees(&self, app: &App, run: &RunFact) -> Result<bool, Problem> {
        Ok(match self {
            Caller::Run(session) => session.principal.run == run.principal.run,
            Caller::Known(identity) => app.gate.sees_run(identity, run).await?,
        })
    }
}

impl Known {
    /// People and the owner of the directory; programs have no business here.
    pub fn person_or_owner(&self, what: &str) -> Result<(), Problem> {
        match &self.0 {
            Identity::Person { .. } | Identity::Local => Ok(()),
            Identity::Orchestrator { .. } => {
                Err(Problem::of(code::FORBIDDEN, format!("{} may not {what}; people may", self.0.name())))
            }
        }
    }

    /// Who may read about everybody: operators, auditors and the owner of the directory.
    pub fn reads_everything(&self, app: &App, what: &str) -> Result<(), Problem> {
        if app.gate.reads_everything(&self.0) {
            return Ok(());
        }
        let why = format!("{} may not {what}; `operators` and `auditors` of all tenants may", self.0.name());
        Err(Problem::of(code::FORBIDDEN, why)
            .hint("the entries of one run are at `/v1/ledger/runs/{run}/entries`"))
    }

    /// Operators and the owner of the directory.
    pub fn operator_or_owner(&self, what: &str) -> Result<(), Problem> {
        if self.0.is_operator() || self.0 == Identity::Local {
            return Ok(());
        }
        let why = format!("{} may not {what}; members of `operators` may", self.0.name());
        Err(Problem::of(code::FORBIDDEN, why))
    }
}
