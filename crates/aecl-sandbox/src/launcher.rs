//! The launcher from outside: how it is started, told, heard and ended.

pub(crate) mod control;
pub(crate) mod embedded;
mod fork_server;
pub(crate) mod hold;
pub(crate) mod launched;
pub(crate) mod order;
pub(crate) mod running;
pub(crate) mod start;
pub(crate) mod terminal;
