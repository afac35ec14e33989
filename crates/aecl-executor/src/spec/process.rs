//! A program in a cage, as the catalogue writes it: what it may have.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use aecl_egress::broker::{Allow, Limits};
use aecl_sandbox::Pinned;
use serde::{Deserialize, Serialize};

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

/// Format of a program's standard output.
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

/// Access to a view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccessSpec {
    /// Look.
    #[default]
    ReadOnly,
    /// Write, into a layer above; the host's files stay as they are, and the changes come back as data.
    Overlay,
}

/// Limits of a program, with everything it starts. What this host cannot enforce is refused.
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

/// An image, in a directory of this host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageSpec {
    /// An OCI image layout: absolute.
    pub layout: PathBuf,
    /// `sha256:` and 64 digits: the manifest, or the list in which the one for this system is named. It has to be
    /// said; a name like `latest` means another image tomorrow.
    #[serde(default)]
    pub digest: Option<String>,
    /// What it may be unpacked, in MiB.
    #[serde(default = "unpacked_max_mib")]
    pub unpacked_max_mib: u64,
    /// How many files, directories and links it may have.
    #[serde(default = "files_max")]
    pub files_max: u64,
}

fn unpacked_max_mib() -> u64 {
    4_096
}

fn files_max() -> u64 {
    200_000
}

impl ImageSpec {
    /// An image with the limits of one of which nothing is said.
    #[must_use]
    pub fn new(layout: PathBuf, digest: Option<String>) -> Self {
        Self { layout, digest, unpacked_max_mib: unpacked_max_mib(), files_max: files_max() }
    }
}

/// Rights of a module, beside what the cage gives its worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WasmSpec {
    /// The module or component, a binary file of this host. Another file at the same place does not run.
    pub module: Pinned,
    /// How many units of fuel it may use, about one for each instruction; `null` leaves that to the clocks.
    #[serde(default = "fuel_max")]
    pub fuel_max: Option<u64>,
    /// Its linear memories together, in MiB.
    #[serde(default = "memory_max_mib")]
    pub memory_max_mib: u64,
    /// Its tables together, in elements.
    #[serde(default = "table_elements_max")]
    pub table_elements_max: u64,
    /// Its stack, in KiB.
    #[serde(default = "stack_max_kib")]
    pub stack_max_kib: u64,
}

#[expect(clippy::unnecessary_wraps, reason = "a default has the type of its field")]
fn fuel_max() -> Option<u64> {
    Some(10_000_000_000)
}

fn memory_max_mib() -> u64 {
    256
}

fn table_elements_max() -> u64 {
    100_000
}

fn stack_max_kib() -> u64 {
    1024
}
