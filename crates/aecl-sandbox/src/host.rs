//! What this host has: users, control groups, the tree of files that a cage shows, the kernel's filter of system calls.

pub(crate) mod cgroup;
pub(crate) mod filter;
pub(crate) mod name;
pub(crate) mod tree;
pub(crate) mod user;
