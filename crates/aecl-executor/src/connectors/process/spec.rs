//! What a program may have, checked, and as its cage has it.

use aecl_sandbox::{Access, Backend, Cage, Clocks, Image, Network, Pinned, Program, View};
use std::collections::BTreeSet;
use std::time::Duration;

use super::{credentials, egress_proxy, image, wasm, words};
use aecl_egress::broker::{self, Allow, AllowList, CredentialRule};
use aecl_kernel::define::connector::process::{
    AccessSpec, AllowSpec, CredentialSpec, EgressLimitsSpec, ModuleSpec, ProcessSpec, ViewSpec,
};

/// Whom it can reach, read and checked.
///
/// # Errors
/// When that cannot be meant; what is wrong, in words.
pub fn check(spec: &ProcessSpec) -> Result<AllowList, String> {
    let list =
        AllowList::new(spec.egress.iter().map(allow).collect()).map_err(|e| format!("`egress`: {e}"))?;
    spec.image.as_ref().map_or(Ok(()), |image| image::check(image).map(drop))?;
    let ours = |name: &&String| egress_proxy::VARIABLES.contains(&name.as_str());
    if let Some(name) = spec.env.keys().find(ours).filter(|_| !spec.egress.is_empty()) {
        return Err(format!(
            "`env` sets `{name}`, which leads to the broker where `egress` names places; remove it from `env`"
        ));
    }
    if let Some((name, _)) = spec.env.iter().find(|(_, value)| words::has_placeholder(value)) {
        return Err(format!(
            "`env` sets `{name}` to a text with a placeholder, and no argument is put into a variable; give it as a word of \
             `argv`, as in `argv: [env, \"{name}={{argument}}\", PROGRAM]`"
        ));
    }
    let credentials = spec.egress.iter().filter_map(|allow| allow.credential.as_ref());
    let mut variables = BTreeSet::new();
    for credential in credentials {
        let name = &credential.variable;
        if spec.env.contains_key(name)
            || !variables.insert(name)
            || credentials::VARIABLES.contains(&name.as_str())
        {
            return Err(format!(
                "`egress`: the variable `{name}` of a credential has another meaning already"
            ));
        }
    }
    for (name, value) in
        [("at_once", u64::from(spec.egress_limits.at_once)), ("connections", spec.egress_limits.connections)]
    {
        if value == 0 {
            return Err(format!("`egress_limits.{name}` is 0; for no way out, leave `egress` empty"));
        }
    }
    spec.wasm.as_ref().map_or(Ok(()), |wasm| wasm::check(wasm, spec))?;
    Ok(list)
}

/// The program with these words, and the variables that lead to the broker if there is one.
#[must_use]
pub fn program(spec: &ProcessSpec, argv: Vec<String>) -> Program {
    let mut env = spec.env.clone();
    if !spec.egress.is_empty() {
        let proxy = format!("http://127.0.0.1:{}", egress_proxy::PORT);
        env.extend(egress_proxy::VARIABLES.map(|name| (name.to_owned(), proxy.clone())));
    }
    Program { argv, env, cwd: spec.cwd.clone() }
}

/// The clocks of a call that may take so long, with so much left of its run. Each call has a sandbox of its
/// own.
#[must_use]
pub fn clocks(spec: &ProcessSpec, call: Duration, task_left: Option<Duration>) -> Clocks {
    let lifetime_left = Duration::from_secs(spec.limits.lifetime_max_s);
    Clocks { call, task_left: task_left.unwrap_or(call.max(lifetime_left)), lifetime_left }
}

/// The cage, held by this.
#[must_use]
pub fn cage(spec: &ProcessSpec, backend: Backend, image: Option<Image>, clocks: Clocks) -> Cage {
    let limits = &spec.limits;
    let view = |view: &ViewSpec| View {
        source: view.source.clone(),
        at: view.at.clone(),
        access: match view.access {
            AccessSpec::ReadOnly => Access::ReadOnly,
            AccessSpec::Overlay => Access::Overlay,
        },
    };
    Cage {
        backend,
        image,
        views: spec.views.iter().map(view).collect(),
        network: match spec.egress.is_empty() {
            true => Network::None,
            false => Network::Listener { port: egress_proxy::PORT },
        },
        limits: aecl_sandbox::Limits {
            memory_max_bytes: limits.memory_max_mib.map(|mib| mib.saturating_mul(1 << 20)),
            process_memory_max_bytes: None,
            cpu_max_millicores: limits.cpu_max_millicores,
            processes_max: limits.processes_max,
            scratch_max_bytes: limits.scratch_max_mib.saturating_mul(1 << 20),
            scratch_files_max: limits.scratch_files_max,
            file_max_bytes: limits.file_max_mib.saturating_mul(1 << 20),
            open_files_max: limits.open_files_max,
            output_kept_max_bytes: limits.output_kept_max_kib.saturating_mul(1 << 10),
            output_max_bytes: limits.output_max_mib.saturating_mul(1 << 20),
        },
        clocks,
    }
}

/// A place as the broker has it.
fn allow(spec: &AllowSpec) -> Allow {
    let AllowSpec { host, port, methods, allow_private, credential } = spec.clone();
    let credential = credential.map(|CredentialSpec { secret, variable, header, methods, path }| {
        CredentialRule { secret, variable, header, methods, path }
    });
    Allow { host, port, methods, allow_private, credential }
}

/// The limits of its connections, as the broker has them.
pub(super) fn broker_limits(spec: EgressLimitsSpec) -> broker::Limits {
    let EgressLimitsSpec {
        at_once,
        connections,
        head_bytes_max,
        head_ms,
        connect_ms,
        idle_ms,
        connection_ms,
        out_bytes_max,
        in_bytes_max,
    } = spec;
    broker::Limits {
        at_once,
        connections,
        head_bytes_max,
        head_ms,
        connect_ms,
        idle_ms,
        connection_ms,
        out_bytes_max,
        in_bytes_max,
    }
}

/// The file of a module, as it is read.
pub(super) fn pinned(spec: &ModuleSpec) -> Pinned {
    let ModuleSpec { path, sha256 } = spec.clone();
    Pinned { path, sha256 }
}
