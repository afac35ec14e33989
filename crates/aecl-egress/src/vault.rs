//! Credentials by reference: `env:NAME`, `file:/path`, `secret:NAME` of the encrypted store,
//! `vault:MOUNT/PATH#FIELD` of a vault over HTTP. Resolved at the moment of use, wiped when dropped.
//!
//! A text may hold references as `{secret:env:NAME}`; [`Use::fill`] puts the values in.

mod known;
mod reference;
mod remote;
mod secret;
pub(crate) mod spelling;
mod store;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio_util::task::TaskTracker;
use zeroize::Zeroizing;

pub use known::KnownSecrets;
use known::Wanted;
pub use reference::Part;
pub use reference::{SecretRef, references};
pub use remote::{Engine, RemoteError, RemoteSpec};
use remote::{Read, Remote};
use secret::SECRET_MAX_BYTES;
pub use secret::Secret;
pub use store::{Listed, SecretStore, SecretStoreError};

/// Errors of a secret. Names the reference, never the value.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The reference cannot be read.
    #[error(
        "`{0}` is no secret reference; write `env:NAME`, `file:/path`, `secret:NAME` or `vault:MOUNT/PATH#FIELD`"
    )]
    NotAReference(String),
    /// An opening `{secret:` without its end.
    #[error("a secret reference in a template does not end; write `{{secret:env:NAME}}`")]
    Unclosed,
    /// The variable is not set, or the file is empty.
    #[error("the secret `{0}` is not set; set it where AECL runs")]
    NotSet(SecretRef),
    /// The store has no such entry.
    #[error("the secret `{reference}` is not in the store; run `aecl secrets set {name}`")]
    NotStored {
        /// Which one.
        reference: SecretRef,
        /// Its name in the store.
        name: String,
    },
    /// There is no store here.
    #[error(
        "the secret `{0}` is of an encrypted store, and nothing here has one; use `env:NAME` or `file:/path`"
    )]
    NoStore(SecretRef),
    /// The store cannot be used.
    #[error("the secret `{reference}` cannot be read: {source}")]
    Store {
        /// Which one.
        reference: SecretRef,
        /// What is wrong with the store.
        source: SecretStoreError,
    },
    /// The vault did not give it.
    #[error("the secret `{reference}` cannot be had: {source}")]
    Remote {
        /// Which one.
        reference: SecretRef,
        /// What the vault did.
        source: RemoteError,
    },
    /// The value is not text, is too long or holds characters that no credential has.
    #[error("the secret `{0}` is not one line of text under 64 KiB")]
    NotText(SecretRef),
    /// The file cannot be read.
    #[error("the secret `{reference}` cannot be read: {source}")]
    Unreadable {
        /// Which one.
        reference: SecretRef,
        /// What the operating system said.
        source: std::io::Error,
    },
}

/// Resolver of references to secrets. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Vault(Arc<Places>, Option<Arc<BTreeMap<String, Secret>>>);

#[derive(Default)]
struct Places {
    store: Option<SecretStore>,
    remote: RwLock<Option<Remote>>,
    logins: Option<Dated>,
    /// One task for each lease that lives.
    leases: TaskTracker,
}

/// A store, and the clock by which what is in it ends (seconds since 1970).
#[derive(Clone)]
pub(crate) struct Dated {
    pub(crate) store: SecretStore,
    pub(crate) now_s: Arc<dyn Fn() -> u64 + Send + Sync>,
}

impl std::fmt::Debug for Places {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Places").field("store", &self.store).finish_non_exhaustive()
    }
}

impl Vault {
    /// A vault with an encrypted store. Without one (`Vault::default()`), `env:` and `file:` work.
    #[must_use]
    pub fn new(store: Option<SecretStore>) -> Self {
        Self(Arc::new(Places { store, ..Places::default() }), None)
    }

    /// The same with a store of its own for log-ins at servers, which no reference leads to.
    pub(crate) fn beside(store: Option<SecretStore>, logins: Dated) -> Self {
        Self(Arc::new(Places { store, logins: Some(logins), ..Places::default() }), None)
    }

    /// Where log-ins at servers are kept.
    pub(crate) fn of_logins(&self) -> Option<&Dated> {
        self.0.logins.as_ref()
    }

    /// The same places, seen by a client that has brought variables of its own environment: for it, `env:` means those.
    #[must_use]
    pub fn with_env(&self, env: BTreeMap<String, Secret>) -> Self {
        Self(self.0.clone(), Some(Arc::new(env)))
    }

    /// Sets, changes or takes away the vault over HTTP. Leases that it has given stay with it.
    ///
    /// # Errors
    /// When its address or token cannot be meant; in words.
    pub fn configure(&self, spec: Option<RemoteSpec>) -> Result<(), String> {
        let remote = spec.map(|spec| Remote::new(spec, self.0.leases.clone())).transpose()?;
        *self.0.remote.write().unwrap_or_else(PoisonError::into_inner) = remote;
        Ok(())
    }

    /// Whether there are leases that were not given back yet.
    #[must_use]
    pub fn has_leases(&self) -> bool {
        !self.0.leases.is_empty()
    }

    /// Waits until every lease is given back whose use has ended. False when that takes longer.
    pub async fn settle(&self, patience: Duration) -> bool {
        self.0.leases.close();
        let settled = tokio::time::timeout(patience, self.0.leases.wait()).await.is_ok();
        self.0.leases.reopen();
        settled
    }

    /// Begins a use: one request, or one connection. Each secret is fetched once for it.
    #[must_use]
    pub fn begin(&self) -> Use {
        self.begin_for(&KnownSecrets::default())
    }

    /// The same; what is fetched is remembered where it goes to, so that it can be scrubbed from what comes back.
    #[must_use]
    pub fn begin_for(&self, known: &KnownSecrets) -> Use {
        Use { vault: self.clone(), found: Vec::new(), read: Vec::new(), known: known.clone() }
    }

    /// Reads a path of the vault over HTTP.
    async fn read(&self, path: &str) -> Result<Read, RemoteError> {
        let remote = self.0.remote.read().unwrap_or_else(PoisonError::into_inner).clone();
        let remote = remote.ok_or(RemoteError::NotConfigured)?;
        remote.read(path, self).await
    }

    /// A secret that is here: what a vault's own token is.
    fn local(&self, reference: &SecretRef) -> Result<Secret, VaultError> {
        let value = match reference {
            SecretRef::Remote { .. } => {
                let source = RemoteError::Token("it is in a vault itself".into());
                return Err(VaultError::Remote { reference: reference.clone(), source });
            }
            // Log-ins are not lent out: they are used by the requests to their own server, and by nothing else.
            SecretRef::Login(_) => return Err(VaultError::NotAReference(reference.to_string())),
            SecretRef::Env(name) => match &self.1 {
                Some(env) => {
                    let brought = env.get(name).map(|value| Secret::new(value.expose().to_owned()));
                    brought.ok_or_else(|| VaultError::NotSet(reference.clone()))?
                }
                None => Secret::new(std::env::var(name).map_err(|_| VaultError::NotSet(reference.clone()))?),
            },
            SecretRef::File(path) => from_file(reference, path)?,
            SecretRef::Stored(name) => {
                let store = self.0.store.as_ref().ok_or_else(|| VaultError::NoStore(reference.clone()))?;
                let unreadable = |source| VaultError::Store { reference: reference.clone(), source };
                let missing = || VaultError::NotStored { reference: reference.clone(), name: name.clone() };
                store.get(name).map_err(unreadable)?.ok_or_else(missing)?
            }
        };
        checked(reference, value)
    }
}

fn checked(reference: &SecretRef, value: Secret) -> Result<Secret, VaultError> {
    if value.expose().is_empty() {
        return Err(VaultError::NotSet(reference.clone()));
    }
    if !value.is_one_line() {
        return Err(VaultError::NotText(reference.clone()));
    }
    Ok(value)
}

fn from_file(reference: &SecretRef, path: &std::path::Path) -> Result<Secret, VaultError> {
    let unreadable = |source| VaultError::Unreadable { reference: reference.clone(), source };
    let metadata = std::fs::metadata(path).map_err(unreadable)?;
    // A FIFO or a device would block or never end.
    if !metadata.is_file() || metadata.len() > SECRET_MAX_BYTES as u64 {
        return Err(VaultError::NotText(reference.clone()));
    }
    let bytes = Zeroizing::new(std::fs::read(path).map_err(unreadable)?);
    let text = std::str::from_utf8(&bytes).map_err(|_| VaultError::NotText(reference.clone()))?;
    Ok(Secret::new(text.trim_end_matches(['\n', '\r']).to_owned()))
}

/// The secrets of one use. Dropping it wipes them, and revokes what was made for it.
#[derive(Debug)]
pub struct Use {
    vault: Vault,
    found: Vec<(SecretRef, Arc<Secret>)>,
    known: KnownSecrets,
    /// What lay at paths of the vault: two fields of one path are of one reading, and of one lease.
    read: Vec<(String, Read)>,
}

impl Use {
    /// A secret, fetched now or earlier in this use.
    ///
    /// # Errors
    /// When it is not there, or is not one line of text.
    pub async fn resolve(&mut self, reference: &SecretRef) -> Result<&Secret, VaultError> {
        let at = match self.found.iter().position(|(known, _)| known == reference) {
            Some(at) => at,
            None => {
                let value = match reference {
                    SecretRef::Remote { path, field } => {
                        let taken = self.remote(path, field).await;
                        let failed = |source| VaultError::Remote { reference: reference.clone(), source };
                        checked(reference, taken.map_err(failed)?)?
                    }
                    SecretRef::Env(_) | SecretRef::File(_) | SecretRef::Stored(_) | SecretRef::Login(_) => {
                        self.vault.local(reference)?
                    }
                };
                let value = Arc::new(value);
                self.known.add(reference, &value);
                self.found.push((reference.clone(), value));
                self.found.len() - 1
            }
        };
        self.found.get(at).map(|(_, value)| &**value).ok_or_else(|| VaultError::NotSet(reference.clone()))
    }

    async fn remote(&mut self, path: &str, field: &str) -> Result<Secret, RemoteError> {
        if let Some((_, read)) = self.read.iter_mut().find(|(known, _)| known == path) {
            return read.take(field);
        }
        let mut read = self.vault.read(path).await?;
        let taken = read.take(field);
        self.read.push((path.to_owned(), read));
        taken
    }

    /// Ends when a credential of this use is not valid any more; never, if all of them last.
    pub async fn lost(&self) {
        let leases = self.read.iter().filter_map(|(_, read)| read.lease.as_ref());
        let mut lost: FuturesUnordered<_> = leases.map(remote::Lease::lost).collect();
        if lost.next().await.is_none() {
            std::future::pending::<()>().await;
        }
    }

    /// The text with every `{secret:…}` replaced by its value.
    ///
    /// # Errors
    /// When a reference is malformed or its secret cannot be had.
    pub async fn fill(&mut self, template: &str) -> Result<Secret, VaultError> {
        self.fill_around(template, |text| Ok(text.to_owned())).await
    }

    /// The same; what stands around the references goes through `text`. References come from the template
    /// alone: what `text` puts in stays text, even if it spells one out.
    pub async fn fill_around<E: From<VaultError>>(
        &mut self,
        template: &str,
        text: impl Fn(&str) -> Result<String, E>,
    ) -> Result<Secret, E> {
        let mut filled = Secret::new(String::with_capacity(template.len() + 64));
        for part in reference::parts(template)? {
            match part {
                Part::Text(part) => filled.push(&text(part)?),
                Part::Secret(reference) => filled.push(self.resolve(&reference).await?.expose()),
            }
        }
        Ok(filled)
    }

    /// The text with every secret of this use replaced by its reference, however the text spells it, for what a target
    /// repeats. `is_cut`: the text goes on where nobody looks.
    #[must_use]
    pub fn scrub(&self, text: &str, is_cut: bool) -> String {
        let wanted: Vec<_> =
            self.found.iter().filter_map(|(reference, value)| Wanted::of(reference, value)).collect();
        spelling::without(text, &wanted.iter().map(Wanted::as_pair).collect::<Vec<_>>(), is_cut).into_owned()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use std::io::Write as _;

    async fn fill(text: &str) -> Result<Secret, VaultError> {
        Vault::default().begin().fill(text).await
    }

    #[tokio::test]
    async fn a_text_is_filled_and_an_error_names_the_reference_only() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(file, "s3cret").unwrap();
        let text = format!("Bearer {{secret:file:{}}}!", file.path().display());
        assert_eq!(fill(&text).await.unwrap().expose(), "Bearer s3cret!");
        let missing = fill("a {secret:env:AECL_TEST_NEVER_SET} b").await.unwrap_err().to_string();
        assert!(missing.contains("`env:AECL_TEST_NEVER_SET` is not set"), "{missing}");
        assert!(matches!(fill("{secret:env:A").await, Err(VaultError::Unclosed)));
        assert!(matches!(fill("{secret:secret:a}").await, Err(VaultError::NoStore(_))));
    }

    #[tokio::test]
    async fn a_secret_of_two_lines_is_refused_without_being_shown() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        write!(file, "one\r\nX-Injected: two").unwrap();
        let reference = SecretRef::File(file.path().into());
        let mut uses = Vault::default().begin();
        let error = uses.resolve(&reference).await.unwrap_err();
        assert!(!format!("{error} {error:?}").contains("Injected"));
    }

    #[tokio::test]
    async fn a_stored_secret_is_found_by_its_name_and_shown_by_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let store = SecretStore::new(dir.path().join("secrets"), dir.path().join("keys/secrets.key"));
        store.set("stripe", Secret::new("sk_live_4711".into()), 1).unwrap();
        let vault = Vault::new(Some(store));
        let mut uses = vault.begin();
        let filled = uses.fill("Bearer {secret:secret:stripe}").await.unwrap();
        assert_eq!(filled.expose(), "Bearer sk_live_4711");
        assert!(!format!("{filled:?} {uses:?} {vault:?}").contains("sk_live"));
        assert_eq!(uses.scrub("got sk_live_4711", false), "got [secret secret:stripe]");
        let missing = uses.fill("{secret:secret:other}").await.unwrap_err().to_string();
        assert!(missing.contains("run `aecl secrets set other`"), "{missing}");
    }
}
