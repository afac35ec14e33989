//! What is kept of log-ins: one sealed file of their own beside the secrets. References such as `secret:NAME` do not
//! lead there, so no action can be written that sends a token elsewhere.

use std::fmt;
use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::LoginError;
use super::spec::{ClientAuth, GrantKind};
use crate::vault::{Dated, Secret, SecretRef, SecretStore, SecretStoreError, Vault};

/// How long a process waits for another one that renews the same log-in.
const HOLD_MAX: Duration = Duration::from_secs(45);
/// The longest that one may become: what a store takes as one value.
const KEPT_MAX_BYTES: usize = 64 * 1024;

/// Store of log-ins, with the clock by which they end. Cheap to clone.
#[derive(Clone)]
pub struct LoginStore(Dated);

impl fmt::Debug for LoginStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoginStore").field("store", &self.0.store).finish_non_exhaustive()
    }
}

/// A log-in.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// The server's name.
    pub server: String,
    /// The address that it is for, and no other.
    pub url: String,
    /// The server's name for itself.
    pub resource: String,
    /// Who gave it.
    pub issuer: String,
    /// Where it is renewed.
    pub(super) token_endpoint: String,
    /// Where it is given back.
    #[serde(default)]
    pub(super) revocation_endpoint: Option<String>,
    /// Who logged in.
    pub grant: GrantKind,
    /// The client's id there.
    pub client_id: String,
    /// How the client says who it is.
    pub(super) client_auth: ClientAuth,
    /// The client's secret, where it was given one.
    #[serde(default, with = "text")]
    pub(super) client_secret: Option<Secret>,
    /// Where the client's secret is, where the operator has it.
    #[serde(default)]
    pub(super) client_secret_at: Option<String>,
    /// What it may, as far as was said.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// The token; nothing once it is known that it is of no use any more.
    #[serde(default, with = "text")]
    pub(super) access: Option<Secret>,
    /// What it is renewed with.
    #[serde(default, with = "text")]
    pub(super) refresh: Option<Secret>,
    /// When it ends unless it is renewed, in seconds since 1970.
    #[serde(default)]
    pub expires_at_s: Option<u64>,
    /// When it was given or renewed, in seconds since 1970.
    pub obtained_at_s: u64,
    /// Why it is of no use any more.
    #[serde(default)]
    pub ended: Option<String>,
}

impl Kept {
    /// Whether it is renewed without anybody.
    #[must_use]
    pub fn renews(&self) -> bool {
        self.ended.is_none() && (self.refresh.is_some() || self.grant == GrantKind::ClientCredentials)
    }

    /// Where the operator keeps the client's secret.
    pub(super) fn secret_at(&self) -> Result<Option<SecretRef>, LoginError> {
        Ok(self.client_secret_at.as_deref().map(str::parse).transpose()?)
    }
}

/// Challenge of a server: what it wanted when it was last asked in vain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoginChallenge {
    /// The address that said so.
    pub url: String,
    /// Where its metadata are.
    #[serde(default)]
    pub resource_metadata: Option<String>,
    /// What a token has to be good for.
    #[serde(default)]
    pub scopes: Option<Vec<String>>,
    /// When, in seconds since 1970.
    pub at_s: u64,
}

/// A secret in a record, which is written into what is wiped.
mod text {
    use super::{Deserialize, Deserializer, Secret, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(secret: &Option<Secret>, to: S) -> Result<S::Ok, S::Error> {
        secret.as_ref().map(Secret::expose).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Secret>, D::Error> {
        Ok(Option::<String>::deserialize(from)?.map(Secret::new))
    }
}

fn entry(server: &str) -> String {
    format!("of/{server}")
}

fn note(server: &str) -> String {
    format!("wants/{server}")
}

impl LoginStore {
    /// The log-ins in this store, by this clock (seconds since 1970).
    #[must_use]
    pub fn new(store: SecretStore, now_s: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self(Dated { store, now_s: Arc::new(now_s) })
    }

    /// The time.
    #[must_use]
    pub fn now_s(&self) -> u64 {
        (self.0.now_s)()
    }

    /// The log-in at a server.
    ///
    /// # Errors
    /// When the store cannot be read. What another version has written is none.
    pub fn of(&self, server: &str) -> Result<Option<Kept>, SecretStoreError> {
        Ok(self.0.store.get(&entry(server))?.and_then(|value| serde_json::from_str(value.expose()).ok()))
    }

    /// What a server wanted, if it was asked in vain since the last log-in.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn wanted(&self, server: &str) -> Result<Option<LoginChallenge>, SecretStoreError> {
        Ok(self.0.store.get(&note(server))?.and_then(|value| serde_json::from_str(value.expose()).ok()))
    }

    /// The names of all servers with a log-in, or that wanted one.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn servers(&self) -> Result<Vec<String>, SecretStoreError> {
        let names = self.0.store.list()?.into_iter().filter_map(|listed| {
            let name = listed.name.strip_prefix("of/").or_else(|| listed.name.strip_prefix("wants/"));
            name.map(str::to_owned)
        });
        let names: std::collections::BTreeSet<String> = names.collect();
        Ok(names.into_iter().collect())
    }

    /// Keeps a log-in.
    pub(super) fn keep(&self, kept: &Kept) -> Result<(), LoginError> {
        // Room at once: growing would leave parts of it behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(2 * KEPT_MAX_BYTES));
        let written = serde_json::to_writer(&mut *bytes, kept).is_ok() && bytes.len() <= KEPT_MAX_BYTES;
        let text = std::str::from_utf8(&bytes).ok().filter(|_| written);
        let text = text.ok_or_else(|| SecretStoreError::Value(entry(&kept.server)))?;
        self.0.store.set(&entry(&kept.server), Secret::new(text.to_owned()), self.now_s())?;
        Ok(())
    }

    /// Notes what a server wants. The same again is not written again.
    pub(super) fn note(&self, server: &str, wanted: LoginChallenge) -> Result<(), SecretStoreError> {
        let known = self.wanted(server)?;
        let same = |known: &LoginChallenge| LoginChallenge { at_s: wanted.at_s, ..known.clone() } == wanted;
        // Of a log-in that is younger than what is known, the note is news.
        let obtained = self.of(server)?.map_or(0, |kept| kept.obtained_at_s);
        if known.as_ref().is_some_and(|known| same(known) && known.at_s >= obtained) {
            return Ok(());
        }
        let text = serde_json::to_string(&wanted).unwrap_or_default();
        self.0.store.set(&note(server), Secret::new(text), self.now_s()).map(|_| ())
    }

    /// What a server wanted is there now.
    pub(super) fn forget_wanted(&self, server: &str) -> Result<(), SecretStoreError> {
        self.0.store.remove(&note(server)).map(|_| ())
    }

    /// Takes a log-in out. Gives it, if there was one.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub fn take(&self, server: &str) -> Result<Option<Kept>, SecretStoreError> {
        let kept = self.of(server)?;
        self.0.store.remove(&entry(server))?;
        self.0.store.remove(&note(server))?;
        Ok(kept)
    }

    /// Keeps every other process, and every other task of this one, from renewing this log-in, until what comes back
    /// is dropped. Two that renew with the same refresh token would make its owner look like a thief.
    pub(super) async fn hold(&self, server: &str) -> Result<File, LoginError> {
        let file = self.0.store.lock_file(&format!("{server}.renewing"))?;
        let late = Instant::now() + HOLD_MAX;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(std::fs::TryLockError::WouldBlock) if Instant::now() < late => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Err(_) => return Err(LoginError::Busy(server.to_owned())),
            }
        }
    }
}

impl Vault {
    /// The same with a place for log-ins at servers, which no reference leads to.
    #[must_use]
    pub fn with_logins(store: Option<SecretStore>, logins: LoginStore) -> Self {
        Self::beside(store, logins.0)
    }

    /// The log-ins at servers, where they are kept.
    #[must_use]
    pub fn logins(&self) -> Option<LoginStore> {
        self.of_logins().cloned().map(LoginStore)
    }
}
