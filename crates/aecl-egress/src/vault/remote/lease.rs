//! A credential that was made for one use: renewed while the use lasts, revoked when it ends.

use std::time::Duration;

use reqwest::Method;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::answer::RenewedAnswer;
use super::{Remote, RemoteError, parse};
use crate::vault::Vault;

/// How often revoking is tried. After that the lease ends by itself.
const REVOKE_TRIES: u32 = 3;
/// The shortest pause between two attempts at renewing.
const PAUSE_MIN: Duration = Duration::from_millis(500);

/// Keeps a lease alive. Dropping it revokes the credential, in the background.
#[derive(Debug)]
pub(in crate::vault) struct Lease {
    lost: CancellationToken,
    _ends_with_us: DropGuard,
}

impl Lease {
    pub(super) fn keep(remote: Remote, vault: Vault, id: String, seconds: u64, renewable: bool) -> Self {
        let (lost, ended) = (CancellationToken::new(), CancellationToken::new());
        let keeper = Keeper { remote: remote.clone(), vault, id, lost: lost.clone() };
        let until = ended.clone();
        remote.leases.spawn(async move {
            tokio::select! {
                () = keeper.renew(seconds, renewable) => keeper.lost.cancel(),
                () = until.cancelled() => {}
            }
            // Also when it is lost: revoking what has ended does no harm.
            until.cancelled().await;
            keeper.revoke().await;
        });
        Self { lost, _ends_with_us: ended.drop_guard() }
    }

    /// Ends when the credential is not valid any more, or will not be in a moment.
    pub(in crate::vault) async fn lost(&self) {
        self.lost.cancelled().await;
    }
}

struct Keeper {
    remote: Remote,
    vault: Vault,
    id: String,
    lost: CancellationToken,
}

impl Keeper {
    /// Renews at two thirds of the time; returns shortly before the lease ends for good.
    async fn renew(&self, mut seconds: u64, renewable: bool) {
        let mut ends = Instant::now() + Duration::from_secs(seconds);
        loop {
            let length = Duration::from_secs(seconds);
            let last = ends.checked_sub(length / 20).unwrap_or(ends);
            let next = (Instant::now() + ends.saturating_duration_since(Instant::now()) * 2 / 3)
                .max(Instant::now() + PAUSE_MIN);
            if !renewable || next >= last {
                tokio::time::sleep_until(last).await;
                return;
            }
            tokio::time::sleep_until(next).await;
            match self.renewed(seconds).await {
                // The vault shortens it when the longest life is near; zero is its end.
                Ok(granted) => {
                    ends = Instant::now() + Duration::from_secs(granted);
                    seconds = seconds.min(granted.max(1));
                }
                Err(error) => tracing::warn!(%error, "a lease was not renewed; it is tried again"),
            }
        }
    }

    async fn renewed(&self, seconds: u64) -> Result<u64, RemoteError> {
        let body = serde_json::json!({ "lease_id": self.id, "increment": seconds }).to_string();
        let answer =
            self.remote.ask(Method::PUT, &["v1", "sys", "leases", "renew"], Some(body), &self.vault).await?;
        Ok(parse::<RenewedAnswer>(&answer)?.lease_duration)
    }

    async fn revoke(&self) {
        let body = serde_json::json!({ "lease_id": self.id }).to_string();
        let mut pause = Duration::from_millis(200);
        for attempt in 1..=REVOKE_TRIES {
            let path = ["v1", "sys", "leases", "revoke"];
            let revoked = self.remote.ask(Method::PUT, &path, Some(body.clone()), &self.vault).await;
            match revoked {
                Ok(_) => return,
                Err(error) if attempt == REVOKE_TRIES => {
                    tracing::warn!(%error, "a lease was not revoked; the credential lives until it ends by itself");
                }
                Err(_) => tokio::time::sleep(pause).await,
            }
            pause *= 4;
        }
    }
}
