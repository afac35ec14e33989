//! What the launcher is told: the cage in its words.

use std::fs::File;
use std::io::{Seek, Write};

use rustix::fs::MemfdFlags;
use rustix::process::{Resource, getrlimit};

use crate::cage::{Cage, Limits, Network};
use crate::error::SandboxError;
use crate::host::name::bytes;
use crate::host::{cgroup, filter, tree, user};
use crate::program::Program;
use crate::protocol::wire::Order;

/// Below this nothing starts, and the kernel would kill before the program's first line.
const MEMORY_MIN_BYTES: u64 = 4 << 20;

/// What every program gets. Nothing of ours.
const ENVIRONMENT: [(&str, &str); 4] =
    [("PATH", "/usr/local/bin:/usr/bin:/bin"), ("HOME", "/tmp"), ("TMPDIR", "/tmp"), ("LANG", "C.UTF-8")];

pub(crate) fn name_of(program: &Program) -> &str {
    program.argv.first().map_or("", String::as_str)
}

pub(crate) fn plan(program: &Program, cage: &Cage) -> Result<Order, SandboxError> {
    let mut order = plan_anywhere(program, cage)?;
    order.user = user::choose()?;
    order.groups = cgroup::groups(cgroup::hierarchies(), &(&cage.limits).into())?;
    tree::plan(&mut order, &cage.views, cage.image.as_ref())?;
    Ok(order)
}

/// The order for the same cage inside a machine, which has what is shown of this host in a directory, and fills in
/// what it shows of its own system where there is no image.
pub(crate) fn plan_in_machine(program: &Program, cage: &Cage, shown: &str) -> Result<Order, SandboxError> {
    let mut order = plan_anywhere(program, cage)?;
    order.user = user::in_a_machine();
    order.groups = cgroup::groups_of_a_machine(&(&cage.limits).into())?;
    tree::plan_in_machine(&mut order, &cage.views, cage.image.as_ref(), shown)?;
    Ok(order)
}

/// A user of the host who owns nothing, if we may become one.
pub(crate) fn separate_user() -> Option<u32> {
    let user = user::choose().ok().filter(|user| user.separate)?;
    u32::try_from(user.outside_uid).ok()
}

/// What an order says wherever it is carried out. User, groups and files depend on that.
pub(crate) fn plan_anywhere(program: &Program, cage: &Cage) -> Result<Order, SandboxError> {
    if program.argv.is_empty() {
        return Err(SandboxError::NoProgram);
    }
    check_limits(&cage.limits)?;
    let (deadline, _) = cage.clocks.deadline();
    let order = Order {
        scratch_bytes: cage.limits.scratch_max_bytes,
        scratch_inodes: cage.limits.scratch_files_max,
        deadline_ns: u64::try_from(deadline.as_nanos()).unwrap_or(u64::MAX),
        listener_port: port(cage.network)?,
        ..inner(program, cage)
    };
    if has_zero(&order) {
        return Err(SandboxError::BadCage("an argument, variable or path has a zero byte in it".into()));
    }
    Ok(order)
}

/// What every cage does to its program from inside, whoever built it.
pub(crate) fn inner(program: &Program, cage: &Cage) -> Order {
    let mut env: std::collections::BTreeMap<&str, &str> = ENVIRONMENT.into_iter().collect();
    env.extend(program.env.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let (deadline, _) = cage.clocks.deadline();
    Order {
        argv: program.argv.iter().map(|word| word.clone().into_bytes()).collect(),
        env: env.iter().map(|(name, value)| format!("{name}={value}").into_bytes()).collect(),
        cwd: program.cwd.as_deref().map_or_else(|| b"/scratch".to_vec(), bytes),
        rlimits: rlimits(&cage.limits, deadline.as_secs()),
        filters: vec![filter::filter().to_vec()],
        ..Order::default()
    }
}

pub(super) fn port(network: Network) -> Result<u64, SandboxError> {
    match network {
        Network::None => Ok(0),
        Network::Listener { port: 0 } => {
            Err(SandboxError::BadCage("the listener's port is 0; name one from 1 to 65535".into()))
        }
        Network::Listener { port } => Ok(u64::from(port)),
    }
}

pub(crate) fn has_zero(order: &Order) -> bool {
    order.argv.iter().chain(&order.env).chain([&order.cwd]).any(|text| text.contains(&0))
}

fn check_limits(limits: &Limits) -> Result<(), SandboxError> {
    let no = |why: String| Err(SandboxError::BadCage(why));
    if let Some(memory) = limits.memory_max_bytes {
        if memory < MEMORY_MIN_BYTES {
            return no(format!("memory_max_bytes is {memory}; less than {MEMORY_MIN_BYTES} starts nothing"));
        }
        if limits.scratch_max_bytes >= memory {
            return no(format!(
                "scratch_max_bytes is {}, and memory_max_bytes {memory}: the scratch space is memory, so it must \
                 be smaller, or a full disk would look like a lack of memory",
                limits.scratch_max_bytes
            ));
        }
    }
    for (name, value) in [
        ("processes_max", u64::from(limits.processes_max)),
        ("scratch_max_bytes", limits.scratch_max_bytes),
        ("scratch_files_max", limits.scratch_files_max),
        ("open_files_max", limits.open_files_max),
        ("process_memory_max_bytes", limits.process_memory_max_bytes.unwrap_or(1)),
        ("cpu_max_millicores", limits.cpu_max_millicores.map_or(1, u64::from)),
    ] {
        if value == 0 {
            return no(format!("{name} is 0, with which nothing runs"));
        }
    }
    Ok(())
}

/// A limit's number, as the kernel counts them. C libraries give it different types.
pub(crate) const fn limit_number(of: Resource) -> u64 {
    of as u64
}

fn rlimits(limits: &Limits, deadline_s: u64) -> Vec<(u64, u64)> {
    // Processor time of one process cannot be more than this, even if nobody enforced the deadline.
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
    let cpu_s = deadline_s.saturating_add(2).saturating_mul(cores);
    [
        (Resource::Core, 0),
        (Resource::Cpu, cpu_s),
        (Resource::Fsize, limits.file_max_bytes),
        (Resource::Nofile, limits.open_files_max),
        (Resource::Nproc, u64::from(limits.processes_max) + 1),
        (Resource::Memlock, 1 << 20),
        (Resource::Msgqueue, 1 << 20),
        (Resource::Sigpending, 4096),
    ]
    .into_iter()
    // What is only reserved, as by the virtual machines of languages, does not count for this one.
    .chain(limits.process_memory_max_bytes.map(|most| (Resource::Data, most)))
    // Nobody without rights can have more than we have ourselves.
    .map(|(of, value)| (limit_number(of), value.min(getrlimit(of).maximum.unwrap_or(u64::MAX))))
    .collect()
}

pub(crate) fn paper(bytes: &[u8]) -> std::io::Result<File> {
    let mut file = File::from(rustix::fs::memfd_create("order", MemfdFlags::CLOEXEC)?);
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file)
}
