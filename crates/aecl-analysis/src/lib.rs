//! **The analysis foresees.** It says what would happen, and what never does: a bundle is loaded with its examples and
//! claims, tried out, proven and looked over; a plan is gone through before people are asked about it.
//!
//! **Invariant:** as pure as the kernel, and nothing that decides knows of it. It asks [`aecl_kernel::decide::decide`]
//! about situations that it makes up, and what comes of that is no permit for anything that is on record.

pub mod examples;
pub mod learned;
pub mod lint;
pub mod load;
pub mod outlook;
pub mod prove;
pub mod residual;
mod sample;
pub mod situation;
pub mod what_if;
pub mod why;
