//! The launcher as the first process of a cage that a container runtime built. It puts the same locks on the
//! program as in a cage of its own (system calls, files, resource limits), reaps, and reports how the program
//! ended, which a runtime's exit code cannot say.

use std::fs::{self, File, OpenOptions};

use crate::init::{Ready, reap, start};
use crate::wire::{ORDER, Order, STATUS};
use crate::{Ear, Fault, Stdio, Step, landlock, namespaces, sys};

/// Whether a container runtime started us: the supervisor does so with our name alone.
pub fn is_here() -> bool {
    std::env::args_os().nth(1).is_some_and(|word| word == "inside")
}

/// Runs the program that the order names. The exit code is that of a shell.
pub fn run() -> i32 {
    const NOT_RUN: i32 = 127;
    let Ok(status) = report_file() else { return NOT_RUN };
    let ear = Ear::File(status);
    match try_to_run(&ear) {
        Ok(status) if status & 0x7f == 0 => (status >> 8) & 0xff,
        Ok(status) => 128 + (status & 0x7f),
        Err(fault) => {
            ear.tell(&fault.report());
            NOT_RUN
        }
    }
}

/// Opens the file for reports and takes its name away, so that the program cannot find it.
fn report_file() -> std::io::Result<File> {
    let file = OpenOptions::new().write(true).open(STATUS)?;
    fs::remove_file(STATUS)?;
    Ok(file)
}

fn try_to_run(ear: &Ear) -> Result<i32, Fault> {
    sys::umask(0o022);
    let bytes = fs::read(ORDER).step("reading the order")?;
    let order =
        Order::decode(&bytes).map_err(|_| Fault { step: "understanding the order".into(), errno: 22 })?;
    if order.user.inside > 0 {
        // Before we hide: the files of a process that hides are root's.
        namespaces::become_user(&order.user)?;
        // Who makes a namespace of users has every right in there, whatever the runtime has taken away. Nobody is
        // root in this one, so there are no secure bits to lock, which not every kernel has.
        sys::empty_bounding_set().step("emptying the bounding set")?;
        sys::drop_capabilities().step("dropping capabilities")?;
    }
    // Whatever was left open here is nobody's business, but for the reports.
    sys::hide_from_ptrace().step("hiding from ptrace")?;
    sys::no_new_privileges().step("giving up new privileges")?;
    let [input, output, error] = [0, 1, 2].map(sys::inherited);
    let stdio = Stdio { input, output, error, kept: Vec::new() };
    // A kernel in user space has no landlock; then the runtime's own locks are all that there are on files.
    let landlock_abi = match sys::landlock_abi() {
        Ok(_) => landlock::restrict(&order)?,
        Err(_) => 0,
    };
    let ready =
        Ready { launcher: None, scratch: Vec::new(), listener: None, landlock_abi, owners_mapped: false };
    let program = start(&order, ready, stdio, ear)?;
    Ok(reap(program, ear))
}
