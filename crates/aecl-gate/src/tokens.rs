//! Run tokens: EdDSA JWTs, bound to one run and one audience, short-lived. They go to the orchestrator,
//! never to the model.

use crate::error::GateError;
use aecl_executor::connectors::worker::words::{WorkFunction, WorkOrder, WorkerId};
use aecl_kernel::base::code;
use aecl_kernel::base::digest::Digest;
use aecl_kernel::base::id::{AgentId, RunId};
use aecl_kernel::base::time::Timestamp;
use aecl_kernel::decide::Permit;
use aecl_kernel::read::action::Credential;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::EncodePrivateKey;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Makes and verifies tokens.
pub struct Tokens {
    issuer: String,
    encoding: EncodingKey,
    decoding: DecodingKey,
    public: [u8; 32],
    verified: Mutex<HashMap<Digest, Verified>>,
}

/// What a token says whose signature, issuer and audience were looked at.
#[derive(Clone)]
struct Verified {
    credential: Credential,
    issued_at: Timestamp,
}

/// Most tokens that are kept in mind; one that is not is verified again.
const VERIFIED_MAX: usize = 4096;

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tokens({})", self.issuer)
    }
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    run: String,
    jti: String,
    iat: i64,
    exp: i64,
}

/// A permit for an agent that acts by itself: leave to do exactly this, once, for a short time.
#[derive(Serialize)]
struct PermitClaims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: &'a str,
    run: &'a str,
    jti: &'a str,
    iat: i64,
    exp: i64,
    action: &'a str,
    /// SHA-256 of the canonical arguments.
    arguments: String,
    digest: String,
}

/// Leave for a worker to call one function once, with exactly these bytes. It is made when the worker accepts, and holds
/// what the worker has made up for that: so it is for this worker, for now, and for nobody who has copied it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct WorkClaims {
    iss: String,
    aud: String,
    /// The worker's name.
    pub(crate) sub: String,
    /// Its process.
    pub(crate) instance: String,
    /// What the worker has sent along when it accepted.
    pub(crate) nonce: String,
    /// The delivery.
    pub(crate) jti: String,
    iat: i64,
    exp: i64,
    /// The action on record.
    pub(crate) call: String,
    /// Its name.
    pub(crate) action: String,
    /// Under which action the function is registered.
    pub(crate) serves: String,
    pub(crate) function: WorkFunction,
    /// SHA-256 of the canonical arguments.
    pub(crate) arguments: String,
    /// The idempotency key.
    pub(crate) key: String,
    pub(crate) timeout_ms: u64,
    pub(crate) lease_ms: u64,
}

/// What goes along with a request that a proxy lets through, and comes back with what it saw of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ProxiedClaims {
    iss: String,
    aud: String,
    /// The proxy's name.
    pub(crate) sub: String,
    /// The action on record.
    pub(crate) call: String,
    iat: i64,
    exp: i64,
}

/// A greeting for a worker, by which it knows whom it has reached before it says that it is ready.
#[derive(Serialize)]
struct GreetingClaims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: &'a str,
    instance: &'a str,
    nonce: &'a str,
    iat: i64,
    exp: i64,
}

const RUN: &str = "aecl:run";
const PERMIT: &str = "aecl:permit";
const WORK: &str = "aecl:work";
const GREETING: &str = "aecl:worker";
const WORK_TYPE: &str = "aecl-work+jwt";
const PROXIED: &str = "aecl:proxied";
const PROXIED_TYPE: &str = "aecl-proxied+jwt";

impl Tokens {
    /// Tokens of this issuer, signed with this key.
    pub fn new(issuer: &str, key: &SigningKey) -> Result<Self, GateError> {
        let pem = key
            .to_pkcs8_der()
            .map_err(|e| GateError::refused(code::INTERNAL, format!("the token key cannot be used: {e}")))?;
        let public = key.verifying_key().to_bytes();
        Ok(Self {
            issuer: issuer.to_owned(),
            encoding: EncodingKey::from_ed_der(pem.as_bytes()),
            decoding: DecodingKey::from_ed_der(&public),
            public,
            verified: Mutex::default(),
        })
    }

    /// The public key as a JSON Web Key Set.
    pub fn jwks(&self) -> serde_json::Value {
        serde_json::json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": self.kid(), "x": BASE64_URL_SAFE_NO_PAD.encode(self.public)}]})
    }

    fn kid(&self) -> String {
        Digest::of(&self.public).short()
    }

    fn header(&self, typ: &str) -> Header {
        Header { typ: Some(typ.into()), kid: Some(self.kid()), ..Header::new(Algorithm::EdDSA) }
    }

    /// A token for a run.
    pub(crate) fn issue(
        &self,
        run: &RunId,
        agent: &AgentId,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<(String, Credential), GateError> {
        let id = crate::ids::token();
        let claims = Claims {
            iss: self.issuer.clone(),
            aud: RUN.into(),
            sub: agent.to_string(),
            run: run.to_string(),
            jti: id.clone(),
            iat: now.0.div_euclid(1000),
            exp: expires_at.0.div_euclid(1000),
        };
        let token = jsonwebtoken::encode(&self.header("at+jwt"), &claims, &self.encoding)
            .map_err(|e| GateError::refused(code::INTERNAL, format!("the token cannot be signed: {e}")))?;
        Ok((
            token,
            Credential {
                id,
                run: run.clone(),
                agent: agent.clone(),
                expires_at: Timestamp(claims.exp * 1000),
            },
        ))
    }

    /// Verifies signature, issuer and audience. Whether it is still alive is judged with the action, on record.
    pub(crate) fn verify(&self, token: &str, now: Timestamp) -> Result<Credential, GateError> {
        let name = Digest::of(token.as_bytes());
        let known = self.verified().get(&name).cloned();
        let Verified { credential, issued_at } = match known {
            Some(verified) => verified,
            None => self.keep(name, self.read(token)?),
        };
        // Time here never goes back, so this ledger has not given it out.
        if issued_at > now {
            return Err(invalid(
                "it was given out later than this ledger has come to; an older copy of the ledger was put back",
            ));
        }
        Ok(credential)
    }

    fn keep(&self, name: Digest, token: Verified) -> Verified {
        let mut verified = self.verified();
        if verified.len() >= VERIFIED_MAX {
            verified.clear();
        }
        verified.insert(name, token.clone());
        token
    }

    fn verified(&self) -> MutexGuard<'_, HashMap<Digest, Verified>> {
        self.verified.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, token: &str) -> Result<Verified, GateError> {
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[&self.issuer]);
        validation.set_audience(&[RUN]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        // Expiry is a check like any other: it is judged against our time and recorded.
        validation.validate_exp = false;
        let data = jsonwebtoken::decode::<Claims>(token, &self.decoding, &validation)
            .map_err(|e| invalid(&e.to_string()))?;
        if data.header.typ.as_deref() != Some("at+jwt") {
            return Err(invalid("it is a token of another type"));
        }
        let claims = data.claims;
        let credential = Credential {
            id: claims.jti,
            run: RunId::new(&claims.run).map_err(|_| invalid("it names no run"))?,
            agent: AgentId::new(&claims.sub).map_err(|_| invalid("it names no agent"))?,
            expires_at: Timestamp(claims.exp.saturating_mul(1000)),
        };
        Ok(Verified { credential, issued_at: Timestamp(claims.iat.saturating_mul(1000)) })
    }

    /// A permit that can be verified offline with the public key, by the wall clock of whoever does.
    pub(crate) fn permit(
        &self,
        permit: &Permit,
        issued_at: Timestamp,
        expires_at: Timestamp,
    ) -> Result<String, GateError> {
        let action = permit.action();
        let claims = PermitClaims {
            iss: &self.issuer,
            aud: PERMIT,
            sub: action.principal.agent.as_str(),
            run: action.principal.run.as_str(),
            jti: permit.id().as_str(),
            iat: issued_at.0.div_euclid(1000),
            exp: expires_at.0.div_euclid(1000),
            action: &action.name,
            arguments: action.arguments.digest().to_string(),
            digest: action.digest.to_string(),
        };
        jsonwebtoken::encode(&self.header("aecl-permit+jwt"), &claims, &self.encoding)
            .map_err(|e| GateError::refused(code::INTERNAL, format!("the permit cannot be signed: {e}")))
    }
}

impl Tokens {
    /// The public key with which all this is verified.
    pub fn public(&self) -> &[u8; 32] {
        &self.public
    }

    fn signed(&self, typ: &str, claims: &impl Serialize) -> Result<String, GateError> {
        jsonwebtoken::encode(&self.header(typ), claims, &self.encoding)
            .map_err(|e| GateError::refused(code::INTERNAL, format!("`{typ}` cannot be signed: {e}")))
    }

    /// A greeting for the worker that has connected with this nonce.
    pub(crate) fn greeting(&self, id: &WorkerId, nonce: &str, now: Timestamp) -> Result<String, GateError> {
        let (iss, sub, instance) = (self.issuer.as_str(), id.worker.as_str(), id.instance.as_str());
        let iat = now.0.div_euclid(1000);
        let claims = GreetingClaims { iss, aud: GREETING, sub, instance, nonce, iat, exp: iat + 60 };
        self.signed("aecl-worker+jwt", &claims)
    }

    /// Leave for the worker that accepts this delivery with this nonce. It is to begin within its lease.
    pub(crate) fn work(
        &self,
        id: &WorkerId,
        delivery: &str,
        nonce: &str,
        work: &WorkOrder,
        now: Timestamp,
    ) -> Result<String, GateError> {
        let iat = now.0.div_euclid(1000);
        let lease_s = i64::try_from(work.limits.lease_ms / 1000).unwrap_or(1).max(1);
        let claims = WorkClaims {
            iss: self.issuer.clone(),
            aud: WORK.into(),
            sub: id.worker.clone(),
            instance: id.instance.clone(),
            nonce: nonce.to_owned(),
            jti: delivery.to_owned(),
            iat,
            exp: iat + lease_s,
            call: work.action_id.clone(),
            action: work.action.clone(),
            serves: work.serves.clone(),
            function: work.function,
            arguments: Digest::of(&work.arguments).to_string(),
            key: work.idempotency_key.clone(),
            timeout_ms: work.timeout_ms,
            lease_ms: work.limits.lease_ms,
        };
        self.signed(WORK_TYPE, &claims)
    }

    /// What such leave says, which a worker sends along with its report.
    pub(crate) fn read_work(&self, permit: &str) -> Result<WorkClaims, GateError> {
        self.read_back(permit, WORK, WORK_TYPE)
            .map_err(|why| GateError::refused(code::REQUEST_INVALID, format!("`permit` is {why}")))
    }

    /// What goes along with a request that this proxy lets through.
    pub(crate) fn proxied(&self, proxy: &str, call: &str, now: Timestamp) -> Result<String, GateError> {
        let iat = now.0.div_euclid(1000);
        let claims = ProxiedClaims {
            iss: self.issuer.clone(),
            aud: PROXIED.into(),
            sub: proxy.to_owned(),
            call: call.to_owned(),
            iat,
            exp: iat,
        };
        self.signed(PROXIED_TYPE, &claims)
    }

    /// The same, as it comes back.
    pub(crate) fn read_proxied(&self, token: &str) -> Result<ProxiedClaims, GateError> {
        self.read_back(token, PROXIED, PROXIED_TYPE).map_err(|why| {
            GateError::refused(code::REQUEST_INVALID, format!("what came back with a request is {why}"))
        })
    }

    /// What we have given out and get back with a report. A report may come late, so its age is no matter.
    fn read_back<T: DeserializeOwned>(&self, token: &str, audience: &str, typ: &str) -> Result<T, String> {
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[&self.issuer]);
        validation.set_audience(&[audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.validate_exp = false;
        let data = jsonwebtoken::decode::<T>(token, &self.decoding, &validation)
            .map_err(|error| format!("none of this server: {error}"))?;
        if data.header.typ.as_deref() == Some(typ) {
            return Ok(data.claims);
        }
        Err("none of this server: it is of another type".into())
    }
}

fn invalid(why: &str) -> GateError {
    GateError::refused(code::TOKEN_INVALID, format!("the run token is not valid: {why}"))
}
