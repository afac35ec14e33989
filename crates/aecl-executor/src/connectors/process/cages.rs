//! What programs are held with here: tried out once, then chosen from for each call. Never weaker than the
//! permit says.

use aecl_kernel::cage;
use aecl_sandbox::{Backend, Found, Tier, probe};
use std::sync::{Arc, PoisonError, RwLock};

use super::{ProcessError, ProcessSpec};

/// What was found out about this host, in the order of preference. Before anybody has looked, nothing.
#[derive(Clone, Debug, Default)]
pub(super) struct Cages(Arc<RwLock<Arc<[Found]>>>);

impl Cages {
    /// Builds and attacks each cage, and keeps those that may be used: all, or those of the list in its order.
    pub(super) async fn find_out(
        &self,
        backends: &[Backend],
        allowed: Option<&[String]>,
    ) -> Result<Vec<cage::Found>, String> {
        let found = probe(&preferred(backends, allowed)?).await;
        let told = found.iter().filter_map(told).collect();
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = found.into();
        Ok(told)
    }

    /// What holds this program: the weakest that is strong enough.
    pub(super) fn fit(&self, least: cage::Tier, spec: &ProcessSpec) -> Result<Fit, ProcessError> {
        let found = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        fit(&found, least, spec)
    }
}

/// A backend that holds a program at least as strongly as it has to be held. [`fit`] is the only way to one.
#[derive(Clone, Debug)]
pub(super) struct Fit {
    backend: Backend,
}

impl Fit {
    pub(super) fn backend(&self) -> &Backend {
        &self.backend
    }
}

/// Chooses the weakest available backend that is at least so strong, shows the image and enforces the limits.
pub(super) fn fit(found: &[Found], least: cage::Tier, spec: &ProcessSpec) -> Result<Fit, ProcessError> {
    let limits = &spec.limits;
    let holds = |f: &&Found| f.available && tier(f.backend.tier()).is_some_and(|tier| tier >= least);
    let shows = |f: &&Found| spec.image.is_none() || f.backend.shows_images();
    let strong = || found.iter().filter(holds).filter(shows);
    let enforces = |f: &&Found| {
        (f.enforced.memory || limits.memory_max_mib.is_none())
            && (f.enforced.cpu || limits.cpu_max_millicores.is_none())
    };
    match (strong().filter(enforces).min_by_key(|f| f.backend.tier()), strong().next()) {
        (Some(found), _) => Ok(Fit { backend: found.backend.clone() }),
        (None, Some(_)) => Err(ProcessError::NotEnforced),
        (None, None) if found.iter().any(|f| holds(&f)) => Err(ProcessError::NoImages(least)),
        (None, None) => Err(ProcessError::NoCage(least)),
    }
}

/// Which of them may be used, and in which order.
fn preferred(known: &[Backend], allowed: Option<&[String]>) -> Result<Vec<Backend>, String> {
    let Some(allowed) = allowed else { return Ok(known.to_vec()) };
    let mut preferred = Vec::new();
    for name in allowed {
        let before = preferred.len();
        preferred.extend(known.iter().filter(|backend| backend.name() == name).cloned());
        if preferred.len() == before {
            let known: Vec<&str> = known.iter().map(Backend::name).collect();
            return Err(format!(
                "`sandbox.backends` names `{name}`; known here are `{}`",
                known.join("`, `")
            ));
        }
    }
    Ok(preferred)
}

/// The tier as decisions know it; a leash is none.
pub(super) fn tier(tier: Tier) -> Option<cage::Tier> {
    match tier {
        Tier::Process => None,
        Tier::Native => Some(cage::Tier::Native),
        Tier::Gvisor => Some(cage::Tier::Gvisor),
        Tier::Microvm => Some(cage::Tier::Microvm),
    }
}

/// Longest text of a probe that goes on record, in characters.
const TEXT_MAX: usize = 400;

/// The same for the record.
fn told(found: &Found) -> Option<cage::Found> {
    let short = |text: &str| text.chars().take(TEXT_MAX).collect();
    Some(cage::Found {
        backend: found.backend.name().to_owned(),
        tier: tier(found.backend.tier())?,
        available: found.available,
        reason: short(&found.reason),
        version: short(&found.version),
        memory: found.enforced.memory,
        cpu: found.enforced.cpu,
    })
}

#[cfg(test)]
mod tests {
    use super::super::{ImageSpec, LimitsSpec};
    use super::*;
    use aecl_sandbox::{Enforced, VirtualMachine};

    fn machine() -> Backend {
        let file = serde_json::json!({ "path": "/srv/file", "sha256": "00" });
        let machine: VirtualMachine = serde_json::from_value(serde_json::json!({
            "monitor": "qemu", "program": "/usr/bin/qemu-system-x86_64",
            "machine": { "kernel": file, "root": file, "root_filesystem": "ext4" },
        }))
        .unwrap();
        machine.into()
    }

    fn native(available: bool, memory: bool) -> Found {
        Found {
            backend: Backend::Native,
            available,
            reason: "because".into(),
            version: "1".into(),
            enforced: Enforced { memory, cpu: false },
            attacks: Vec::new(),
        }
    }

    #[test]
    fn nothing_that_is_held_is_held_less_than_asked_for() {
        let spec = |limits: LimitsSpec, image: bool| ProcessSpec {
            limits,
            image: image.then(|| ImageSpec::new("/srv/images/tools".into(), None)),
            ..serde_json::from_value(serde_json::json!({ "argv": [] })).unwrap()
        };
        let open = spec(LimitsSpec { memory_max_mib: None, ..LimitsSpec::default() }, false);
        let usual = spec(LimitsSpec::default(), false);
        for found in [vec![], vec![native(false, true)], vec![native(true, true)], vec![native(true, false)]]
        {
            for least in cage::Tier::ALL {
                for spec in [&open, &usual] {
                    if let Ok(fit) = fit(&found, least, spec) {
                        assert!(tier(fit.backend().tier()) >= Some(least), "{found:?} {least}");
                        assert!(found.iter().any(|f| f.available && f.backend == fit.backend));
                    }
                }
            }
        }
        assert!(fit(&[native(true, false)], cage::Tier::Native, &open).is_ok());
        assert!(fit(&[native(true, true)], cage::Tier::Gvisor, &open).is_err());
        let error = fit(&[native(true, false)], cage::Tier::Native, &usual);
        assert!(matches!(error, Err(ProcessError::NotEnforced)));
        let with_image = spec(LimitsSpec::default(), true);
        assert!(fit(&[native(true, true)], cage::Tier::Native, &with_image).is_ok());
        let machine = Found { backend: machine(), ..native(true, true) };
        assert!(fit(std::slice::from_ref(&machine), cage::Tier::Native, &usual).is_ok());
        let error = fit(&[machine], cage::Tier::Native, &with_image).unwrap_err();
        assert!(error.to_string().contains("programs of its own disk"), "{error}");
    }

    #[test]
    fn the_list_of_the_operator_is_the_order_and_names_what_it_does_not_know() {
        let names = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        assert_eq!(preferred(&[Backend::Native], Some(&names(&[]))), Ok(vec![]));
        let error = preferred(&[Backend::Native], Some(&names(&["native", "nativ"]))).unwrap_err();
        assert_eq!(error, "`sandbox.backends` names `nativ`; known here are `native`");
    }

    /// The kernel reads of the connector only what it needs to know; here it is read whole.
    #[test]
    fn the_kernel_reads_the_limits_as_they_are_enforced() {
        use aecl_kernel::bundle::{Bundle, Source};
        use serde_json::json;
        for limits in [
            json!(null),
            json!({}),
            json!({ "memory_max_mib": 64 }),
            json!({ "memory_max_mib": null }),
            json!({ "cpu_max_millicores": 500 }),
            json!({ "cpu_max_millicores": null, "memory_max_mib": null }),
        ] {
            let mut connector = json!({ "kind": "process", "argv": ["true"] });
            if !limits.is_null() {
                connector["limits"] = limits;
            }
            let action = json!({ "name": "run", "effect": "execute", "connector": connector, "arguments": { "type": "object" } });
            let bundle =
                Bundle::compile(vec![Source { path: "actions/a.json".into(), text: action.to_string() }]);
            let needs = bundle.unwrap().catalogue().find("run").unwrap().cage.unwrap();
            let Ok(crate::ConnectorSpec::Process(spec)) = crate::Executor::check(&connector) else {
                panic!()
            };
            assert_eq!(needs.memory, spec.limits.memory_max_mib.is_some(), "{connector}");
            assert_eq!(needs.cpu, spec.limits.cpu_max_millicores.is_some(), "{connector}");
        }
    }
}
