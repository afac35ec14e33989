//! What programs are held with here: tried out once, then chosen from for each call. Never weaker than the
//! permit says.

use aecl_kernel::define::isolation;
use aecl_sandbox::{Backend, Found, Offers, Tier, probe};
use std::sync::{Arc, PoisonError, RwLock};

use super::{ProcessError, wasm};

/// What was found out about this host, in the order of preference. Before anybody has looked, nothing.
#[derive(Clone, Debug, Default)]
pub(super) struct Cages(Arc<RwLock<Arc<[Found]>>>);

impl Cages {
    /// Builds and attacks each cage, and keeps what came of it.
    pub(super) async fn find_out(&self, backends: &[Backend]) -> Vec<isolation::BackendReport> {
        let found = probe(backends).await;
        let told = found.iter().filter_map(recorded).collect();
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = found.into();
        told
    }

    /// Runs a module that does nothing by the worker, in the weakest cage that can show it.
    pub(super) async fn try_worker(&self) -> isolation::Modules {
        let found = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        let tried = wasm::try_worker(&found).await;
        let (available, reason, version) = match tried {
            Ok(tried) => (true, format!("`{}`", tried.path.display()), tried.version),
            Err(why) => (false, why, String::new()),
        };
        isolation::Modules { available, reason: short(&reason), version: short(&version) }
    }

    /// What holds this program: the weakest that is strong enough and gives it all that it needs.
    pub(super) fn fit(
        &self,
        least: isolation::IsolationTier,
        needs: isolation::Requirements,
    ) -> Result<Fit, ProcessError> {
        let found = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        fit(&found, least, needs)
    }
}

/// A backend that holds a program at least as strongly as it has to be held. [`fit`] is the only way to one.
#[derive(Clone, Debug)]
pub(super) struct Fit {
    found: Found,
}

impl Fit {
    pub(super) fn backend(&self) -> &Backend {
        &self.found.backend
    }

    pub(super) fn into_found(self) -> Found {
        self.found
    }
}

/// Chooses the weakest available backend that is at least so strong and gives all that is needed, by the same
/// words as the decision did.
pub(super) fn fit(
    found: &[Found],
    least: isolation::IsolationTier,
    needs: isolation::Requirements,
) -> Result<Fit, ProcessError> {
    let strong = || {
        let told = found.iter().filter_map(|f| Some((f, recorded(f)?)));
        told.filter(|(_, told)| told.available && told.tier >= least)
    };
    let able = strong().filter(|(_, told)| needs.lack(told).is_none());
    if let Some((found, _)) = able.min_by_key(|(_, told)| told.tier) {
        return Ok(Fit { found: found.clone() });
    }
    let lacks: Vec<String> = strong()
        .filter_map(|(_, told)| Some(format!("`{}` {}", told.backend, needs.lack(&told)?.what())))
        .collect();
    match lacks.is_empty() {
        true => Err(ProcessError::NoCage(least)),
        false => Err(ProcessError::Unable { least, lacks: lacks.join(", ") }),
    }
}

/// The tier as decisions know it; supervision is none.
#[must_use]
pub fn tier(tier: Tier) -> Option<isolation::IsolationTier> {
    match tier {
        Tier::Process => None,
        Tier::Native => Some(isolation::IsolationTier::Native),
        Tier::Gvisor => Some(isolation::IsolationTier::Gvisor),
        Tier::Microvm => Some(isolation::IsolationTier::Microvm),
    }
}

/// Longest text of a probe that goes on record, in characters.
const TEXT_MAX: usize = 400;

fn short(text: &str) -> String {
    text.chars().take(TEXT_MAX).collect()
}

/// What was found out about a backend, as it goes on record; nothing for what is no tier.
#[must_use]
pub fn recorded(found: &Found) -> Option<isolation::BackendReport> {
    let Offers { views, overlays, listener, unlimited_memory, host_programs } = found.offers;
    Some(isolation::BackendReport {
        backend: found.backend.name().to_owned(),
        tier: tier(found.backend.tier())?,
        available: found.available,
        reason: short(&found.reason),
        version: short(&found.version),
        memory: found.enforced.memory,
        cpu: found.enforced.cpu,
        offers: Some(isolation::Capabilities { views, overlays, listener, unlimited_memory, host_programs }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use aecl_kernel::define::isolation::Requirements;
    use aecl_sandbox::{Enforced, Firecracker, Machine, Pinned, Runtime};

    fn native(available: bool, memory: bool) -> Found {
        Found {
            backend: Backend::Native,
            available,
            reason: "because".into(),
            version: "1".into(),
            enforced: Enforced { memory, cpu: false },
            offers: Offers {
                views: true,
                overlays: true,
                listener: true,
                unlimited_memory: true,
                host_programs: true,
            },
            attacks: Vec::new(),
        }
    }

    /// As the probe finds it where it works.
    fn runsc() -> Found {
        let offers = Offers { overlays: false, listener: false, ..native(true, true).offers };
        Found { backend: Backend::Runsc(Runtime::named("runsc")), offers, ..native(true, true) }
    }

    fn firecracker() -> Found {
        let pinned = || Pinned { path: "/x".into(), sha256: String::new() };
        let machine = Machine {
            kernel: pinned(),
            modules: vec![],
            root: pinned(),
            root_filesystem: "ext4".into(),
            boot_max_ms: 1,
            shown_max_mib: 1,
            shown_files_max: 1,
        };
        let firecracker = Firecracker { program: "/x".into(), program_sha256: None, machine };
        let offers = Offers { unlimited_memory: false, host_programs: false, ..native(true, true).offers };
        Found { backend: Backend::Firecracker(Box::new(firecracker)), offers, ..native(true, true) }
    }

    #[test]
    fn nothing_that_is_held_is_held_less_than_asked_for() {
        let open = Requirements::default();
        for found in [vec![], vec![native(false, true)], vec![native(true, true)], vec![native(true, false)]]
        {
            for least in isolation::IsolationTier::ALL {
                for needs in [open, Requirements { memory: true, ..open }] {
                    if let Ok(fit) = fit(&found, least, needs) {
                        assert!(tier(fit.backend().tier()) >= Some(least), "{found:?} {least}");
                        assert!(found.iter().any(|f| f.available && f.backend == *fit.backend()));
                    }
                }
            }
        }
        assert!(fit(&[native(true, false)], isolation::IsolationTier::Native, open).is_ok());
        assert!(fit(&[native(true, true)], isolation::IsolationTier::Gvisor, open).is_err());
        let error = fit(
            &[native(true, false)],
            isolation::IsolationTier::Native,
            Requirements { memory: true, ..open },
        );
        assert!(matches!(error, Err(ProcessError::Unable { .. })));
    }

    /// What is strong enough and cannot do it is passed over, for something as strong or stronger.
    #[test]
    fn the_weakest_is_taken_that_is_strong_enough_and_able() {
        use isolation::IsolationTier::{Gvisor, Microvm, Native};
        let memory = Requirements { memory: true, ..Requirements::default() };
        let (views, overlays, listener) = (
            Requirements { views: true, ..memory },
            Requirements { views: true, overlays: true, ..memory },
            Requirements { listener: true, ..memory },
        );
        let module = Requirements { module: true, ..views };
        let all = [firecracker(), runsc(), native(true, true)];
        let without_overlays =
            Found { offers: Offers { overlays: false, ..native(true, true).offers }, ..native(true, true) };
        let runc = Found { backend: Backend::Runc(Runtime::named("runc")), ..native(true, true) };
        // Where nothing makes disks.
        let offers = Offers { views: false, overlays: false, ..firecracker().offers };
        let blind = [Found { offers, ..firecracker() }];
        let other = [without_overlays, runc];
        let open = Requirements::default();
        for (found, least, needs, expected) in [
            (&all[..], Native, memory, "native"),
            (&all, Gvisor, memory, "runsc"),
            (&all, Microvm, memory, "firecracker"),
            (&all, Native, listener, "native"),
            (&all, Gvisor, views, "runsc"),
            (&all, Microvm, views, "firecracker"),
            (&all, Gvisor, overlays, "firecracker"),
            (&blind, Microvm, overlays, "`firecracker` shows nothing of this host (`views`)"),
            (&all, Gvisor, listener, "firecracker"),
            (&all[1..2], Gvisor, listener, "`runsc` gives no way out (`egress`)"),
            (&all, Microvm, open, "`firecracker` has a size, so `memory_max_mib` cannot be null"),
            (&all, Gvisor, open, "runsc"),
            (&all, Microvm, module, "`firecracker` has programs of its own and no worker for modules"),
            (&all, Gvisor, module, "runsc"),
            (&other, Native, views, "native"),
            (&other, Native, overlays, "runc"),
            (&other[..1], Native, overlays, "`native` has no layer above a view"),
        ] {
            match fit(found, least, needs) {
                Ok(fit) => assert_eq!(fit.backend().name(), expected, "{least} {needs:?}"),
                Err(error) => {
                    assert_eq!(error.code(), "sandbox_unenforceable");
                    assert!(error.to_string().contains(expected), "{least} {needs:?}: {error}");
                }
            }
        }
    }
}
