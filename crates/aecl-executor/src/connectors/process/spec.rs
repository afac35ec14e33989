//! What a program may have, as the catalogue entry writes it.

use aecl_kernel::define::cage;
use aecl_kernel::define::catalogue::ActionManifest;
use aecl_sandbox::{Access, Backend, Cage, Clocks, Image, Network, Program, View};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use super::wasm::WasmSpec;
use super::{ImageSpec, way_out, words};
use aecl_egress::broker::{Allow, AllowList, Limits};

/// A program in a cage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProcessSpec {
    /// A module of WebAssembly that runs instead of a program; `argv` are then its arguments, and its own name is
    /// the first of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wasm: Option<WasmSpec>,
    /// The program and its words. `{name}` stands for an argument, `{name...}` for each item of a list. No
    /// shell reads them; who wants one writes `["sh", "-c", "{line}"]` and declares `line` as a `command`. Empty: what
    /// the image says.
    pub argv: Vec<String>,
    /// Whose files are the system's; by default those of this host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageSpec>,
    /// Variables, on top of `PATH`, `HOME`, `TMPDIR` and `LANG`. No secrets: the program could tell them.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Its input, a text with placeholders. Absent: none.
    #[serde(default)]
    pub stdin: Option<String>,
    /// What it writes to its standard output.
    #[serde(default)]
    pub stdout: StdoutSpec,
    /// Where it starts; by default where the image says, or else `/scratch`.
    #[serde(default)]
    pub cwd: Option<PathBuf>,
    /// What it sees of this host beside the system's programs.
    #[serde(default)]
    pub views: Vec<ViewSpec>,
    /// Whom it can reach, through the broker; by default nobody.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub egress: Vec<Allow>,
    /// What all its connections may use up.
    #[serde(default)]
    pub egress_limits: Limits,
    /// How much it may use.
    #[serde(default)]
    pub limits: LimitsSpec,
    /// The exit codes that mean success.
    #[serde(default = "zero")]
    pub success_codes: BTreeSet<i32>,
}

fn zero() -> BTreeSet<i32> {
    BTreeSet::from([0])
}

/// What a program writes to its standard output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StdoutSpec {
    /// Whatever it likes.
    #[default]
    Text,
    /// One JSON text. Anything else is a failure.
    Json,
}

/// A directory or file of this host in the cage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ViewSpec {
    /// On this host: absolute, and no link on the way.
    pub source: PathBuf,
    /// In the cage: absolute.
    pub at: PathBuf,
    /// What may be done to it.
    #[serde(default)]
    pub access: AccessSpec,
}

/// What may be done to a view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccessSpec {
    /// Look.
    #[default]
    ReadOnly,
    /// Write, into a layer above; the host's files stay as they are, and the changes come back as data.
    Overlay,
}

/// How much a program may use, with everything it starts. What this host cannot enforce is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsSpec {
    /// Memory with scratch space, in MiB; `null` is no limit.
    pub memory_max_mib: Option<u64>,
    /// Processor time per second, in thousandths of a core; `null` is no limit.
    pub cpu_max_millicores: Option<u32>,
    /// Processes and threads at a time.
    pub processes_max: u32,
    /// The scratch space, in MiB.
    pub scratch_max_mib: u64,
    /// Files and directories in the scratch space.
    pub scratch_files_max: u64,
    /// One file, in MiB.
    pub file_max_mib: u64,
    /// Open files of one process.
    pub open_files_max: u64,
    /// What is kept of each of its two outputs, in KiB.
    pub output_kept_max_kib: u64,
    /// What it may write to either before it is ended, in MiB.
    pub output_max_mib: u64,
    /// What is collected of the files that it wrote, in KiB.
    pub collected_max_kib: u64,
    /// How many files are collected.
    pub collected_files_max: usize,
    /// How long its sandbox lives, in seconds.
    pub lifetime_max_s: u64,
}

impl Default for LimitsSpec {
    fn default() -> Self {
        Self {
            memory_max_mib: Some(1024),
            cpu_max_millicores: None,
            processes_max: 256,
            scratch_max_mib: 256,
            scratch_files_max: 20_000,
            file_max_mib: 64,
            open_files_max: 1024,
            output_kept_max_kib: 256,
            output_max_mib: 64,
            collected_max_kib: 4096,
            collected_files_max: 500,
            lifetime_max_s: 60 * 60,
        }
    }
}

impl ProcessSpec {
    /// Whom it can reach, read and checked.
    ///
    /// # Errors
    /// When that cannot be meant; what is wrong, in words.
    pub fn check(&self) -> Result<AllowList, String> {
        let list = AllowList::new(self.egress.clone()).map_err(|e| format!("`egress`: {e}"))?;
        self.image.as_ref().map_or(Ok(()), |image| image.check().map(drop))?;
        let ours = |name: &&String| way_out::VARIABLES.contains(&name.as_str());
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
        let mut variables = std::collections::BTreeSet::new();
        for credential in credentials {
            let name = &credential.variable;
            if self.env.contains_key(name)
                || !variables.insert(name)
                || super::credentials::VARIABLES.contains(&name.as_str())
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
            let proxy = format!("http://127.0.0.1:{}", way_out::PORT);
            env.extend(way_out::VARIABLES.map(|name| (name.to_owned(), proxy.clone())));
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
    pub fn needs(&self) -> cage::Needs {
        cage::Needs {
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
                false => Network::Listener { port: way_out::PORT },
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
