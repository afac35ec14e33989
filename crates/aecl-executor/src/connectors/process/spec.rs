//! What a program may have, checked, and as its cage has it.

use aecl_kernel::define::catalogue::ActionManifest;
use aecl_kernel::define::isolation;
use aecl_sandbox::{Access, Backend, Cage, Clocks, Image, Network, Program, View};
use std::collections::BTreeSet;
use std::time::Duration;

use super::{credentials, egress_proxy, words};
use crate::spec::process::{AccessSpec, ProcessSpec, ViewSpec};
use aecl_egress::broker::AllowList;

impl ProcessSpec {
    /// Whom it can reach, read and checked.
    ///
    /// # Errors
    /// When that cannot be meant; what is wrong, in words.
    pub fn check(&self) -> Result<AllowList, String> {
        let list = AllowList::new(self.egress.clone()).map_err(|e| format!("`egress`: {e}"))?;
        self.image.as_ref().map_or(Ok(()), |image| image.check().map(drop))?;
        let ours = |name: &&String| egress_proxy::VARIABLES.contains(&name.as_str());
        if let Some(name) = self.env.keys().find(ours).filter(|_| !self.egress.is_empty()) {
            return Err(format!(
                "`env` sets `{name}`, which leads to the broker where `egress` names places; remove it from `env`"
            ));
        }
        if let Some((name, value)) = self.env.iter().find(|(_, value)| words::has_placeholder(value)) {
            return Err(format!(
                "`env` sets `{name}` to `{value}`, and no argument is put into a variable; give it as a word of \
                 `argv`, as in `argv: [env, \"{name}={value}\", PROGRAM]`"
            ));
        }
        let credentials = self.egress.iter().filter_map(|allow| allow.credential.as_ref());
        let mut variables = BTreeSet::new();
        for credential in credentials {
            let name = &credential.variable;
            if self.env.contains_key(name)
                || !variables.insert(name)
                || credentials::VARIABLES.contains(&name.as_str())
            {
                return Err(format!(
                    "`egress`: the variable `{name}` of a credential has another meaning already"
                ));
            }
        }
        for (name, value) in [
            ("at_once", u64::from(self.egress_limits.at_once)),
            ("connections", self.egress_limits.connections),
        ] {
            if value == 0 {
                return Err(format!("`egress_limits.{name}` is 0; for no way out, leave `egress` empty"));
            }
        }
        self.wasm.as_ref().map_or(Ok(()), |wasm| wasm.check(self))?;
        Ok(list)
    }

    /// Checks that no argument of this action becomes code, unless it is read and judged as a command.
    ///
    /// # Errors
    /// When one would; which, in words, and the way out.
    pub fn check_words(&self, manifest: &ActionManifest) -> Result<(), String> {
        // A module has the words as its arguments, and its own name is the first of them.
        if self.wasm.is_some() { Ok(()) } else { words::check(self, manifest) }
    }

    /// The program with these words, and the variables that lead to the broker if there is one.
    #[must_use]
    pub fn program(&self, argv: Vec<String>) -> Program {
        let mut env = self.env.clone();
        if !self.egress.is_empty() {
            let proxy = format!("http://127.0.0.1:{}", egress_proxy::PORT);
            env.extend(egress_proxy::VARIABLES.map(|name| (name.to_owned(), proxy.clone())));
        }
        Program { argv, env, cwd: self.cwd.clone() }
    }

    /// The clocks of a call that may take so long, with so much left of its run. Each call has a sandbox of its
    /// own.
    #[must_use]
    pub fn clocks(&self, call: Duration, task_left: Option<Duration>) -> Clocks {
        let lifetime_left = Duration::from_secs(self.limits.lifetime_max_s);
        Clocks { call, task_left: task_left.unwrap_or(call.max(lifetime_left)), lifetime_left }
    }

    /// What it needs of its cage.
    #[must_use]
    pub fn needs(&self) -> isolation::Requirements {
        isolation::Requirements {
            memory: self.limits.memory_max_mib.is_some(),
            cpu: self.limits.cpu_max_millicores.is_some(),
            // The files of an image, a module with its worker, and the certificates that go with a credential are views
            // of ours.
            views: !self.views.is_empty()
                || self.image.is_some()
                || self.wasm.is_some()
                || self.egress.iter().any(|allow| allow.credential.is_some()),
            overlays: self.views.iter().any(|view| view.access == AccessSpec::Overlay),
            listener: !self.egress.is_empty(),
            module: self.wasm.is_some(),
        }
    }

    /// The cage, held by this.
    #[must_use]
    pub fn cage(&self, backend: Backend, image: Option<Image>, clocks: Clocks) -> Cage {
        let limits = &self.limits;
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
            views: self.views.iter().map(view).collect(),
            network: match self.egress.is_empty() {
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
}
