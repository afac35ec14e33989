//! A program in a cage, as the catalogue writes it: what it may have.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU16;
use std::path::PathBuf;

use crate::define::isolation::Requirements;
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
    pub egress: Vec<AllowSpec>,
    /// What all its connections may use up.
    #[serde(default)]
    pub egress_limits: EgressLimitsSpec,
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

impl ProcessSpec {
    /// What it needs of its cage.
    #[must_use]
    pub fn needs(&self) -> Requirements {
        Requirements {
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

/// A place that a program may reach.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AllowSpec {
    /// A host name, or `*.suffix` for every name below a suffix (not the suffix itself).
    pub host: String,
    /// The port.
    #[serde(default = "https")]
    pub port: NonZeroU16,
    /// The methods of plain HTTP. Empty means TLS through `CONNECT`, where no method can be seen; named, it
    /// means plain HTTP with these methods and no `CONNECT`.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub methods: BTreeSet<String>,
    /// Whether its addresses may be loopback or private networks. Metadata services stay shut.
    #[serde(default)]
    pub allow_private: bool,
    /// A credential that the broker puts into requests to this host. It is then met by its methods and paths only,
    /// and TLS ends at the broker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<CredentialSpec>,
}

/// Credential that a program may use without having it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CredentialSpec {
    /// Where it is, as `{secret:REFERENCE}`.
    pub secret: String,
    /// The variable in which the program finds its placeholder.
    pub variable: String,
    /// The only header in which the placeholder is replaced; what stands around it stays.
    #[serde(default = "authorization")]
    pub header: String,
    /// The methods of requests to the host.
    pub methods: BTreeSet<String>,
    /// Requests go to this path and below.
    #[serde(default = "root")]
    pub path: String,
}

impl AllowSpec {
    /// Whom it lets a program reach, and how, for people.
    #[must_use]
    pub fn words(&self) -> String {
        let list = |methods: &BTreeSet<String>| methods.iter().cloned().collect::<Vec<_>>().join(", ");
        let (port, host) = (self.port, &self.host);
        let whom = match host.strip_prefix("*.") {
            Some(suffix) => format!("every name below `{suffix}`, port {port}"),
            None => format!("`{host}`, port {port}"),
        };
        let how = match &self.credential {
            Some(CredentialSpec { variable, methods, path, .. }) => format!(
                "{} at `{path}` and below, with the credential `{variable}`, which the program does not see",
                list(methods)
            ),
            None if self.methods.is_empty() => "over TLS, so nobody sees what is said there".into(),
            None => format!("over plain HTTP: {}", list(&self.methods)),
        };
        let private = if self.allow_private { "; this machine and private networks, too" } else { "" };
        format!("{whom}, {how}{private}")
    }
}

fn authorization() -> String {
    "authorization".into()
}

fn root() -> String {
    "/".into()
}

fn https() -> NonZeroU16 {
    NonZeroU16::MIN.saturating_add(442)
}

/// Limits of all connections of a program together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EgressLimitsSpec {
    /// Most connections at once; more wait until one ends.
    pub at_once: u32,
    /// Most connections; after them the listener closes.
    pub connections: u64,
    /// Longest head of a request, in bytes.
    pub head_bytes_max: usize,
    /// Time for head and TLS hello to arrive, in milliseconds.
    pub head_ms: u64,
    /// Time for look-up and dialling, in milliseconds.
    pub connect_ms: u64,
    /// Longest silence in both directions, in milliseconds.
    pub idle_ms: u64,
    /// Longest life of one connection, in milliseconds.
    pub connection_ms: u64,
    /// Most bytes that leave, of all connections together.
    pub out_bytes_max: u64,
    /// Most bytes that come in, of all connections together.
    pub in_bytes_max: u64,
}

impl Default for EgressLimitsSpec {
    fn default() -> Self {
        Self {
            at_once: 64,
            connections: 10_000,
            head_bytes_max: 16 << 10,
            head_ms: 10_000,
            connect_ms: 10_000,
            idle_ms: 60_000,
            connection_ms: 1_200_000,
            out_bytes_max: 64 << 20,
            in_bytes_max: 1 << 30,
        }
    }
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

/// A file of a module and what it must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModuleSpec {
    /// Where it is.
    pub path: PathBuf,
    /// The SHA-256 of its bytes, in hexadecimal digits, as `sha256sum` prints it.
    pub sha256: String,
}

/// Rights of a module, beside what the cage gives its worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WasmSpec {
    /// The module or component, a binary file of this host. Another file at the same place does not run.
    pub module: ModuleSpec,
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_rule_in_words_says_whom_how_and_with_what() {
        let check = |rule: serde_json::Value, words: &str| {
            assert_eq!(serde_json::from_value::<AllowSpec>(rule).unwrap().words(), words);
        };
        let tls = "over TLS, so nobody sees what is said there";
        check(
            serde_json::json!({ "host": "api.example.com" }),
            &format!("`api.example.com`, port 443, {tls}"),
        );
        check(
            serde_json::json!({ "host": "*.example.com", "port": 8443 }),
            &format!("every name below `example.com`, port 8443, {tls}"),
        );
        check(
            serde_json::json!({ "host": "mirror", "port": 80, "methods": ["GET", "HEAD"], "allow_private": true }),
            "`mirror`, port 80, over plain HTTP: GET, HEAD; this machine and private networks, too",
        );
        let credential = serde_json::json!({ "secret": "{secret:env:T}", "variable": "TOKEN", "methods": ["POST"], "path": "/v1" });
        check(
            serde_json::json!({ "host": "api.example.com", "credential": credential }),
            "`api.example.com`, port 443, POST at `/v1` and below, with the credential `TOKEN`, which the program does not see",
        );
    }

    #[test]
    fn a_rule_that_cannot_be_meant_is_not_read() {
        for rule in [
            serde_json::json!({ "host": "a.b", "port": 0 }),
            serde_json::json!({ "host": "a.b", "ports": 1 }),
            serde_json::json!({ "port": 443 }),
        ] {
            serde_json::from_value::<AllowSpec>(rule).unwrap_err();
        }
    }
}
