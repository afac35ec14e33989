//! A module or component of WebAssembly instead of a program: carried out by `aecl-wasm`, a worker of ours that
//! is a program in a cage like any other, and that gives the module less than the cage gives the worker.
//!
//! The worker is a program of its own (`wasm/`), because a compiler is in it. It gets its order and the bytes of
//! the module by its standard input, so that what was compared with the pinned digest is what runs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use aecl_sandbox::{Access, Backend, Clocks, Found, PinnedError, Program, Termination, Tier, View};
use serde_json::json;
use tokio::io::AsyncWriteExt as _;

use super::spec;
use aecl_kernel::define::connector::process::{AccessSpec, LimitsSpec, ModuleSpec, ProcessSpec, WasmSpec};

/// Of the words between us and the worker; `wasm/src/order.rs` has the same number.
const PROTOCOL: u64 = 1;
const PROGRAM: &str = "aecl-wasm";
/// Where the worker lies in its cage.
const AT: &str = "/aecl/aecl-wasm";
/// The largest module.
const MODULE_MAX_BYTES: u64 = 256 << 20;
/// The largest stack, in KiB. It is a part of the addresses, not of the memory, until it is used.
const STACK_MAX_KIB: u64 = 64 << 10;
/// Threads of the worker. The module has one.
const THREADS: &str = "4";

/// Reason why a module does not run.
#[derive(Debug, thiserror::Error)]
pub enum NoModule {
    /// There is no worker.
    #[error(
        "a module needs the program `{PROGRAM}`, and {0}; in AECL's repository: `cargo install --locked --path wasm`"
    )]
    Worker(String),
    /// The cage has other libraries than the host.
    #[error(
        "`{0}` holds this module, and a machine has the libraries of its own disk, not those of this host that its \
         worker was built with; modules run in tiers below `{tier}`",
        tier = Tier::Microvm
    )]
    Machine(Backend),
    /// The file is not there, or another one.
    #[error(transparent)]
    File(#[from] PinnedError),
    /// Reading it broke.
    #[error("the thread that reads the module broke")]
    Broke,
}

impl NoModule {
    /// The code, as outcomes have it.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Worker(_) | Self::Machine(_) => "wasm_worker",
            Self::File(PinnedError::Changed { .. }) => "wasm_changed",
            Self::File(_) | Self::Broke => "wasm_unreadable",
        }
    }
}

/// Worker and its arguments, which are started in the cage instead of the module.
pub struct Work {
    /// The worker.
    pub program: Program,
    /// The worker's file, to be shown beside the views of the action.
    pub view: View,
    /// What is written to it before the input of the module.
    pub order: Vec<u8>,
}

/// What cannot be meant.
pub(super) fn check(wasm: &WasmSpec, spec: &ProcessSpec) -> Result<(), String> {
    let hex = |digit: char| digit.is_ascii_hexdigit();
    if wasm.module.sha256.len() != 64 || !wasm.module.sha256.chars().all(hex) {
        return Err(
            "`wasm.module.sha256` is not a SHA-256 in 64 hexadecimal digits; `sha256sum` prints it".into()
        );
    }
    if !wasm.module.path.is_absolute() {
        return Err(format!(
            "`wasm.module.path` must be absolute, and `{}` is not",
            wasm.module.path.display()
        ));
    }
    if !spec.egress.is_empty() {
        return Err("a module of `wasm` reaches nobody, so `egress` beside it must be empty".into());
    }
    if spec.image.is_some() {
        return Err("the worker of `wasm` is a program of this host; leave `image` out".into());
    }
    if spec.cwd.is_some() {
        return Err(
            "a module of `wasm` has no working directory; leave `cwd` out and name its `views`".into()
        );
    }
    for (name, value, most) in [
        ("fuel_max", wasm.fuel_max.unwrap_or(1), u64::MAX),
        ("memory_max_mib", wasm.memory_max_mib, 1 << 20),
        ("table_elements_max", wasm.table_elements_max.max(1), u64::MAX),
        ("stack_max_kib", wasm.stack_max_kib, STACK_MAX_KIB),
    ] {
        if value == 0 || value > most {
            return Err(format!("`wasm.{name}` is {value}; it goes from 1 to {most}"));
        }
    }
    match spec.limits.memory_max_mib {
        Some(cage) if wasm.memory_max_mib >= cage => Err(format!(
            "`wasm.memory_max_mib` is {} and `limits.memory_max_mib` {cage}; the compiler has to fit beside the \
             module, so the second must be larger",
            wasm.memory_max_mib
        )),
        _ => Ok(()),
    }
}

/// The worker and its order, for a module with these arguments in such a cage.
///
/// # Errors
/// When the cage cannot show the worker, there is none, or the module cannot be read or is another one.
pub async fn work(
    wasm: &WasmSpec,
    spec: &ProcessSpec,
    args: Vec<String>,
    cage: &Backend,
) -> Result<Work, NoModule> {
    if cage.tier() >= Tier::Microvm {
        return Err(NoModule::Machine(cage.clone()));
    }
    let file = spec::pinned(&wasm.module);
    let module = tokio::task::spawn_blocking(move || file.read(MODULE_MAX_BYTES)).await;
    let module = module.map_err(|_| NoModule::Broke)??;
    let worker = find().map_err(NoModule::Worker)?;
    Ok(order(wasm, spec, &args, &module, worker))
}

fn order(wasm: &WasmSpec, spec: &ProcessSpec, args: &[String], module: &[u8], worker: PathBuf) -> Work {
    let dirs: Vec<_> = spec
        .views
        .iter()
        .map(|view| json!({ "at": view.at, "write": view.access == AccessSpec::Overlay }))
        .collect();
    let order = json!({
        "protocol": PROTOCOL, "module_bytes": module.len(), "args": args, "env": spec.env, "dirs": dirs,
        "fuel_max": wasm.fuel_max, "memory_max_bytes": wasm.memory_max_mib.saturating_mul(1 << 20),
        "table_elements_max": wasm.table_elements_max,
        "stack_max_bytes": wasm.stack_max_kib.saturating_mul(1 << 10),
    });
    let mut order = format!("{order}\n").into_bytes();
    order.extend_from_slice(module);
    // Without these it starts a thread for each core of the host, which the cage may not allow.
    let env = ["TOKIO_WORKER_THREADS", "RAYON_NUM_THREADS"].map(|name| (name.to_owned(), THREADS.to_owned()));
    Work {
        program: Program { argv: vec![AT.to_owned()], env: BTreeMap::from(env), cwd: None },
        view: View { source: worker, at: AT.into(), access: Access::ReadOnly },
        order,
    }
}

/// How a module ended, if its worker says so: our code, and words. A module's own exit codes go to 125.
pub(super) fn ended(outcome: Termination, wasm: &WasmSpec) -> Option<(&'static str, String)> {
    let Termination::Exited(code) = outcome else { return None };
    // `wasm/src/end.rs` has the same numbers.
    Some(match code {
        200 => ("wasm_worker", "was not begun by its worker".into()),
        201 => ("wasm_invalid", "is no module or component that can be run".into()),
        202 => ("wasm_import", "wants a function that it is not given".into()),
        203 => (
            "wasm_memory",
            format!("was refused more than {} MiB of memory (`memory_max_mib`)", wasm.memory_max_mib),
        ),
        204 => (
            "wasm_table",
            format!(
                "was refused more than {} elements of tables (`table_elements_max`)",
                wasm.table_elements_max
            ),
        ),
        205 => {
            let most = wasm.fuel_max.map_or_else(|| "0".to_owned(), |most| most.to_string());
            ("wasm_fuel", format!("used up its {most} units of fuel (`fuel_max`)"))
        }
        206 => ("wasm_stack", format!("used up its {} KiB of stack (`stack_max_kib`)", wasm.stack_max_kib)),
        207 => ("wasm_trap", "did what no module may, or gave up".into()),
        _ => return None,
    })
}

/// The worker: what `AECL_WASM` names, then beside this program, then on the path. Why there is none, in words.
///
/// # Errors
/// When it is nowhere.
pub fn find() -> Result<PathBuf, String> {
    let named = std::env::var_os("AECL_WASM").filter(|value| !value.is_empty()).map(PathBuf::from);
    let beside = std::env::current_exe().ok().and_then(|own| Some(own.parent()?.join(PROGRAM)));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).map(|dir| dir.join(PROGRAM));
    let found = match &named {
        Some(named) => Some(named.clone()).filter(|file| Path::is_file(file)),
        None => beside.into_iter().chain(on_path).find(|file| Path::is_file(file)),
    };
    // A view has no link on the way.
    match (found.and_then(|file| file.canonicalize().ok()), named) {
        (Some(found), _) => Ok(found),
        (None, Some(named)) => Err(format!("`AECL_WASM` names `{}`, where there is none", named.display())),
        (None, None) => Err("it is neither beside this one nor on the path".into()),
    }
}

/// Result of a trial of the worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerTrial {
    /// Where it is.
    pub path: PathBuf,
    /// What it says that it is.
    pub version: String,
    /// How long a module took that does nothing, with its cage.
    pub took: Duration,
}

/// `(module (func (export "_start")))`
const NOTHING: [u8; 36] = [
    0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, // magic, version
    0x01, 0x04, 0x01, 0x60, 0x00, 0x00, // one type: nothing to nothing
    0x03, 0x02, 0x01, 0x00, // one function of it
    0x07, 0x0a, 0x01, 0x06, 0x5f, 0x73, 0x74, 0x61, 0x72, 0x74, 0x00, 0x00, // exported as `_start`
    0x0a, 0x04, 0x01, 0x02, 0x00, 0x0b, // which returns
];

/// Runs a module that does nothing in the weakest cage of these that has the files of this host: that a program of
/// this name is there says nothing.
///
/// # Errors
/// Why no module runs here, in words.
pub async fn try_worker(found: &[Found]) -> Result<WorkerTrial, String> {
    let tiers = [Tier::Native, Tier::Gvisor];
    let shows =
        |found: &&Found| found.available && found.offers.views && tiers.contains(&found.backend.tier());
    let cage = found.iter().filter(shows).min_by_key(|found| found.backend.tier());
    let cage = cage.ok_or(
        "nothing that holds programs here gives them the files of this host, which the worker needs",
    )?;
    let path = find().map_err(|why| NoModule::Worker(why).to_string())?;
    let spec = ProcessSpec {
        limits: LimitsSpec { memory_max_mib: None, ..LimitsSpec::default() },
        ..serde_json::from_value(json!({ "argv": ["nothing"] })).map_err(|e| e.to_string())?
    };
    let module = ModuleSpec { path: path.clone(), sha256: String::new() };
    let wasm: WasmSpec = serde_json::from_value(json!({ "module": module })).map_err(|e| e.to_string())?;
    let version = in_cage(cage, &spec, order(&wasm, &spec, &[], &[], path.clone()), &["--version"]).await?;
    let begun = Instant::now();
    in_cage(cage, &spec, order(&wasm, &spec, &["nothing".into()], &NOTHING, path.clone()), &[]).await?;
    Ok(WorkerTrial { path, version: version.trim().to_owned(), took: begun.elapsed() })
}

/// Runs the worker and gives what it wrote.
async fn in_cage(found: &Found, spec: &ProcessSpec, work: Work, words: &[&str]) -> Result<String, String> {
    let time = Duration::from_secs(20);
    let Work { mut program, view, order } = work;
    program.argv.extend(words.iter().map(|word| (*word).to_owned()));
    let mut cage = spec::cage(
        spec,
        found.backend.clone(),
        None,
        Clocks { call: time, task_left: time, lifetime_left: time },
    );
    cage.views.push(view);
    let mut running = aecl_sandbox::start(program, cage).await.map_err(|e| e.to_string())?;
    if let Some(mut stdin) = running.stdin.take() {
        tokio::spawn(async move { stdin.write_all(&order).await });
    }
    let ended = running.wait().await;
    match ended.outcome {
        Termination::Exited(0) => Ok(String::from_utf8_lossy(&ended.stdout.bytes).into_owned()),
        outcome => {
            let said = String::from_utf8_lossy(&ended.stderr.bytes).trim().to_owned();
            Err(format!("the worker `{PROGRAM}` {outcome} in a cage: {said}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aecl_sandbox::VirtualMachine;

    #[tokio::test]
    async fn a_machine_runs_no_module_and_the_way_out_is_told() {
        let file = json!({ "path": "/none", "sha256": "00" });
        let wasm: WasmSpec = serde_json::from_value(json!({ "module": file })).unwrap();
        let spec: ProcessSpec = serde_json::from_value(json!({ "argv": ["tool"] })).unwrap();
        let machine: VirtualMachine = serde_json::from_value(json!({ "monitor": "qemu", "program": "/none",
            "machine": { "kernel": file, "root": file, "root_filesystem": "ext4" } }))
        .unwrap();
        let work = |backend: Backend| {
            let (wasm, spec) = (&wasm, &spec);
            async move { super::work(wasm, spec, vec![], &backend).await.map(drop).unwrap_err() }
        };
        let refused = work(machine.into()).await;
        assert_eq!(refused.code(), "wasm_worker");
        assert!(refused.to_string().contains("tiers below `microvm`"), "{refused}");
        assert_eq!(work(Backend::Native).await.code(), "wasm_unreadable");
    }

    #[test]
    fn only_codes_of_the_worker_are_ends_of_a_module() {
        let wasm: WasmSpec =
            serde_json::from_value(json!({ "module": { "path": "/none", "sha256": "00" } })).unwrap();
        for code in 0..256 {
            let told = ended(Termination::Exited(code), &wasm);
            assert_eq!(told.is_some(), (200..=207).contains(&code), "{code}");
        }
        assert_eq!(ended(Termination::Signalled(9), &wasm), None);
        assert_eq!(ended(Termination::OutOfMemory, &wasm), None);
    }
}
