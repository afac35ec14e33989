//! The tier `microvm`: a machine of its own for every program, with its own kernel.
//!
//! A machine is started for one program and ends with it. What it has: a kernel and a disk with programs,
//! both the ones that the operator pinned; an agent of ours, which is the launcher of the tier `native`; one
//! line to us. No network, no other device, nothing of the host. In the machine the agent builds the same
//! cage as on a host, so a program has to break out of that, and then out of the machine.

mod api;
mod archive;
mod bridge;
mod connections;
mod descriptor;
mod firecracker;
mod line;
mod monitor;
mod qemu;
mod shown;
mod start;

pub(crate) use shown::tool as shows;
pub(crate) use start::{probe, start, version};
