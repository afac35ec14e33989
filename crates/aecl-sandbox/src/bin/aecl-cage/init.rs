//! The first process of the cage: builds it, gives up every right, starts the program, reaps.

use std::ffi::CString;
use std::io::{PipeReader, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::exit;

use crate::groups;
use crate::wire::{Order, Report};
use crate::{Ear, Fault, Stdio, Step, attack, hold, landlock, lockdown, sys, tree};

/// Where a cage is built.
pub struct Place<'a> {
    pub order: &'a Order,
    /// What was found of the host already, with more rights than are left inside.
    pub found: Option<tree::Found>,
    /// The launcher, as the supervisor will know it.
    pub launcher: OwnedFd,
}

/// What goes out to the supervisor when the program runs.
pub struct Ready {
    /// Absent where somebody else launched us.
    pub launcher: Option<OwnedFd>,
    pub scratch: Vec<OwnedFd>,
    pub listener: Option<OwnedFd>,
    pub landlock_abi: i64,
    pub owners_mapped: bool,
}

pub fn run(place: Place<'_>, stdio: Stdio, ear: &Ear, go: PipeReader) {
    let order = place.order;
    let prepared = match &order.hold {
        None => prepare(place, &go),
        Some(hold) => hold::prepare(place, hold, &go),
    };
    match prepared {
        Ok(ready) => match start(order, ready, stdio, ear) {
            Ok(program) => {
                reap(program, ear);
            }
            Err(fault) => ear.tell(&fault.report()),
        },
        Err(fault) => ear.tell(&fault.report()),
    }
}

fn prepare(place: Place<'_>, go: &PipeReader) -> Result<Ready, Fault> {
    let Place { order, found, launcher } = place;
    wait_to_go(go, order)?;
    sys::cgroup_namespace().step("making a namespace of cgroups")?;
    // Before the user changes, after which our own files in /proc belong to root.
    std::fs::write("/proc/self/oom_score_adj", "1000").step("standing first in line for the OOM killer")?;
    sys::become_user(order.user.inside, order.user.inside).step("becoming the cage's user")?;
    sys::umask(0o022);
    sys::fresh_keyring().step("taking a fresh keyring")?;
    sys::set_hostname(b"cage").step("naming the host")?;
    let found = match found {
        Some(found) => found,
        None => tree::find(order)?,
    };
    let owners_mapped = found.owners_mapped;
    let scratch = tree::build(order, found)?;
    let listener = listen(order)?;
    lockdown::give_up_rights()?;
    stay_tied(go)?;
    let landlock_abi = landlock::restrict(order)?;
    Ok(Ready { launcher: Some(launcher), scratch, listener, landlock_abi, owners_mapped })
}

/// Makes the cage's network, waits for the launcher's word, and joins the cage's cgroups.
pub fn wait_to_go(go: &PipeReader, order: &Order) -> Result<(), Fault> {
    sys::die_with_parent().step("tying the cage to its launcher")?;
    sys::network_namespace().step("making namespaces")?;
    sys::raise_loopback().step("raising the loopback interface")?;
    let mut word = [0];
    if (&mut &*go).read(&mut word).step("waiting to go")? == 0 {
        exit(1);
    }
    groups::join(&order.groups)
}

/// A change of credentials unties us from the launcher, so we are tied again when there are no more.
pub fn stay_tied(go: &PipeReader) -> Result<(), Fault> {
    sys::die_with_parent().step("tying the cage to its launcher")?;
    let [launcher_gone] = sys::poll([Some(go.as_fd())], 0).step("looking for the launcher")?;
    if launcher_gone {
        exit(1);
    }
    Ok(())
}

/// The socket on the cage's own loopback, if one was ordered.
pub fn listen(order: &Order) -> Result<Option<OwnedFd>, Fault> {
    match u16::try_from(order.listener_port) {
        Ok(0) | Err(_) => Ok(None),
        Ok(port) => sys::listen_on_loopback(port).step("listening on the loopback interface").map(Some),
    }
}

/// Starts the program. Returns its number once it really runs. What goes out to the supervisor is closed here:
/// when that closes its listener, nobody is left who could listen.
pub fn start(order: &Order, ready: Ready, stdio: Stdio, ear: &Ear) -> Result<i64, Fault> {
    let (mut said, say) = std::io::pipe().step("making a pipe")?;
    let attempt = || {
        let fault = become_program(order, &stdio, ear);
        let _ = (&mut &say).write_all(&Report::encode(&fault.report()));
    };
    // Attacks are no program that would be executed, and we have to be there for them.
    let program = if order.self_test { fork(attempt) } else { sys::vfork(attempt) };
    let program = program.step("starting the program")?;
    drop(say);
    drop(stdio);
    // Closed by the exec itself; what arrives before that is a failure.
    let mut words = Vec::new();
    said.read_to_end(&mut words).step("starting the program")?;
    if let Ok(Report::Failed { step, errno }) = Report::decode(&words) {
        let step = String::from_utf8_lossy(&step).into_owned();
        return Err(Fault { step, errno: i32::try_from(errno).unwrap_or(5) });
    }
    let started = Report::Started {
        landlock_abi: ready.landlock_abi.unsigned_abs(),
        owners_mapped: ready.owners_mapped,
    };
    let fds = ready.launcher.iter().chain(&ready.scratch).chain(&ready.listener);
    let fds: Vec<BorrowedFd<'_>> = fds.map(AsFd::as_fd).collect();
    ear.hand_out(&started, &fds).step("reporting to the supervisor")?;
    Ok(program)
}

fn fork(work: impl FnOnce()) -> std::io::Result<i64> {
    let child = sys::fork()?;
    if child == 0 {
        work();
        exit(127);
    }
    Ok(child)
}

/// Turns this process into the program, or says what kept it.
fn become_program(order: &Order, stdio: &Stdio, ear: &Ear) -> Fault {
    match try_to_become(order, stdio, ear) {
        Ok(never) => match never {},
        Err(fault) => fault,
    }
}

fn try_to_become(order: &Order, stdio: &Stdio, ear: &Ear) -> Result<std::convert::Infallible, Fault> {
    let texts = |list: &[Vec<u8>]| -> Result<Vec<CString>, Fault> {
        list.iter().map(|bytes| sys::c(bytes).step("reading the order")).collect()
    };
    let (argv, env) = (texts(&order.argv)?, texts(&order.env)?);
    let candidates = candidates(order)?;
    sys::setsid().step("leaving the session")?;
    let cwd = sys::c(&order.cwd).step("reading the order")?;
    sys::enter(&cwd).step("entering the working directory")?;
    sys::set_sigpipe(sys::DEFAULT);
    let own = i32::try_from(3 + stdio.kept.len()).unwrap_or(i32::MAX);
    sys::close_on_exec_from(own).step("closing descriptors")?;
    for fd in &stdio.kept {
        sys::keep_on_exec(fd.as_fd()).step("keeping descriptors")?;
    }
    if !order.self_test {
        for (fd, number) in [(&stdio.input, 0), (&stdio.output, 1), (&stdio.error, 2)] {
            sys::dup_to(fd.as_fd(), number).step("connecting the pipes")?;
        }
    }
    if order.terminal {
        sys::take_terminal(0).step("taking the terminal")?;
    }
    for (resource, value) in &order.rlimits {
        sys::limit(*resource, *value).step("setting limits")?;
    }
    if let Some((uid, gid)) = order.hold.as_ref().and_then(|hold| hold.user) {
        hold::become_user(uid, gid)?;
    }
    for filter in &order.filters {
        sys::install_filter(filter).step("installing the seccomp filter")?;
    }
    if order.self_test {
        attack::all(ear);
        exit(0);
    }
    // As a shell does: the last error counts, but "not permitted" is worth more than "not there".
    let mut errno = 2;
    for path in &candidates {
        let error = sys::exec(path, &argv, &env).raw_os_error().unwrap_or(5);
        if error != 2 && error != 20 {
            errno = error;
        }
    }
    Err(Fault { step: "exec".into(), errno })
}

/// Where the program may be: its own path, or its name in each directory of the cage's `PATH`.
fn candidates(order: &Order) -> Result<Vec<CString>, Fault> {
    let name = order.argv.first().map(Vec::as_slice).unwrap_or_default();
    if name.contains(&b'/') {
        return Ok(vec![sys::c(name).step("reading the order")?]);
    }
    let path = order.env.iter().find_map(|entry| entry.strip_prefix(b"PATH=")).unwrap_or(b"/usr/bin:/bin");
    let in_dir = |dir: &[u8]| sys::c(&[dir, b"/", name].concat()).step("reading the order");
    path.split(|byte| *byte == b':').filter(|dir| dir.starts_with(b"/")).map(in_dir).collect()
}

/// Collects what dies, until the program itself does. Then the kernel ends the rest with us. The program's
/// wait status.
pub fn reap(program: i64, ear: &Ear) -> i32 {
    loop {
        match sys::wait(-1) {
            Ok((pid, status)) if pid == program => {
                ear.tell(&Report::Program { status: u64::from(status.unsigned_abs()) });
                return status;
            }
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return 0,
        }
    }
}
