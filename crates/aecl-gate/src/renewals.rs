//! Tokens of a run: given out, renewed up to a limit, taken back together with what was renewed from them.
//!
//! Each is an entry, and no proposal: without a limit of its own, whoever has a token could fill the record with them.

use crate::error::GateError;
use crate::gate::Gate;
use crate::identity::{Identity, Session};
use crate::issued::Tokens;
use aecl_kernel::base::code;
use aecl_kernel::base::id::RunId;
use aecl_kernel::base::principal::Principal;
use aecl_kernel::base::time::Timestamp;
use aecl_kernel::record::event::{Event, TokenIssued};
use aecl_kernel::record::facts::RunFact;

/// So many tokens of a run may live at once.
pub const TOKENS_MAX: usize = 64;
/// With so many living, a token of the run renews itself no more: the rest is for whoever opened it.
pub const TOKENS_BY_BEARER_MAX: usize = 16;
/// Entries of a run that are read at once.
const ENTRIES_PAGE: usize = 512;

impl Gate {
    /// The first token of a run that was just opened.
    pub(crate) async fn first_token(
        &self,
        principal: Principal,
        run_expires_at: Timestamp,
        ttl_s: u64,
    ) -> Result<(String, Session), GateError> {
        let slot = self.0.renewals.of(&principal.run);
        let mut slot = slot.lock().await;
        let tokens = slot.get_or_insert_with(Tokens::default);
        self.issue(tokens, principal, run_expires_at, ttl_s, None).await
    }

    async fn issue(
        &self,
        tokens: &mut Tokens,
        principal: Principal,
        run_expires_at: Timestamp,
        ttl_s: u64,
        from: Option<String>,
    ) -> Result<(String, Session), GateError> {
        let now = self.now();
        let expires_at = now.plus_s(ttl_s).min(run_expires_at);
        let (token, credential) = self.0.tokens.issue(&principal.run, &principal.agent, now, expires_at)?;
        let issued = TokenIssued { token: credential.id.clone(), expires_at: credential.expires_at, from };
        // Before it is recorded: whoever goes away meanwhile has had it nevertheless.
        tokens.apply(Event::TokenIssued(issued.clone()));
        self.0.ledger.token_issued(principal.run.clone(), issued, now).await?;
        Ok((token, Session { principal, credential }))
    }

    /// Gives out a fresh token for a run that lives. The old one stays valid until it expires.
    pub async fn renew(&self, by: &Identity, run: &RunId) -> Result<(String, Session), GateError> {
        let fact = self.run_for(by, run, "renew tokens of").await?;
        self.renewed(fact, None).await
    }

    /// The same for the bearer of a token that has not expired. Whoever revokes it revokes the new one with it.
    pub async fn renew_session(&self, session: &Session) -> Result<(String, Session), GateError> {
        let run = &session.principal.run;
        let fact = self.run_fact(run).await?;
        self.renewed(fact, Some(session)).await
    }

    /// Whether a token still counts, for what is no proposal. A proposal's token is judged with it, on record.
    pub async fn alive(&self, session: &Session) -> Result<(), GateError> {
        if self.now() >= session.credential.expires_at {
            return Err(GateError::refused(
                code::TOKEN_EXPIRED,
                "the token has expired; ask the orchestrator for a new one",
            ));
        }
        // Without this, a revoked token would renew itself.
        if self.0.ledger.revoked(&session.credential.id).await?.is_some() {
            return Err(GateError::refused(code::TOKEN_REVOKED, "the token was revoked"));
        }
        Ok(())
    }

    async fn renewed(&self, fact: RunFact, bearer: Option<&Session>) -> Result<(String, Session), GateError> {
        let run = fact.principal.run.clone();
        let slot = self.0.renewals.of(&run);
        let mut slot = slot.lock().await;
        // Now, not before: a token that was revoked meanwhile has no new one.
        if let Some(session) = bearer {
            self.alive(session).await?;
        }
        if let Some(why) = &fact.closed {
            return Err(GateError::refused(code::RUN_CLOSED, format!("the run has ended: {why}")));
        }
        let until = self.usable_until(&fact).await?;
        let ttl_s = self.bundle().agent(&fact.principal.agent).map_or(60, |m| m.token_ttl_seconds);
        let tokens = self.tokens_in(&run, &mut slot).await?;
        let max = if bearer.is_some() { TOKENS_BY_BEARER_MAX } else { TOKENS_MAX };
        tokens.another(&run, max, self.now())?;
        let from = bearer.map(|session| session.credential.id.clone());
        self.issue(tokens, fact.principal, until, ttl_s, from).await
    }

    /// Revokes a token at once, with all that were renewed from it.
    pub async fn revoke(&self, by: &Identity, run: &RunId, token: String) -> Result<(), GateError> {
        self.run_for(by, run, "revoke tokens of").await?;
        let slot = self.0.renewals.of(run);
        let mut slot = slot.lock().await;
        let tokens = self.tokens_in(run, &mut slot).await?;
        if !tokens.has(&token) {
            let message =
                format!("`{token:.64}` is no token of `{run}`; `aecl log replay --run {run}` lists them");
            return Err(GateError::refused(code::RECORD_UNKNOWN, message));
        }
        // The expired ones too: what they have asked for may wait for people still.
        let renewed = tokens.renewed_from(&token);
        for token in [token].into_iter().chain(renewed) {
            self.0.ledger.revoke_token(run.clone(), token.clone(), by.name(), self.now()).await?;
            tokens.revoked(&token);
        }
        Ok(())
    }

    /// The tokens of a run: read from its entries once, then kept.
    async fn tokens_in<'a>(
        &self,
        run: &RunId,
        slot: &'a mut Option<Tokens>,
    ) -> Result<&'a mut Tokens, GateError> {
        let known = match slot.take() {
            Some(tokens) => tokens,
            None => self.recorded_tokens(run).await?,
        };
        Ok(slot.insert(known))
    }

    async fn recorded_tokens(&self, run: &RunId) -> Result<Tokens, GateError> {
        let (mut tokens, mut after) = (Tokens::default(), None);
        loop {
            let entries = self.0.ledger.entries_of_run(run, after, ENTRIES_PAGE).await?;
            let Some(last) = entries.last() else { return Ok(tokens) };
            after = Some(last.position);
            entries.into_iter().for_each(|entry| tokens.apply(entry.event));
        }
    }

    /// A run that waits for a person lives until the answer can be used; so does a token for it.
    async fn usable_until(&self, fact: &RunFact) -> Result<Timestamp, GateError> {
        let now = self.now();
        if now < fact.expires_at {
            return Ok(fact.expires_at);
        }
        let waits = self.open_in(&fact.principal.run);
        waits.iter().map(|waiting| waiting.ask.expires_at).max().ok_or_else(|| {
            let message = format!("the run ended at {}; open a new one", fact.expires_at);
            GateError::refused(code::RUN_EXPIRED, message)
        })
    }
}
