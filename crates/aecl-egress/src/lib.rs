//! AECL dials out, and knows the credentials that it dials with: one way out whose every address is judged, a proxy for
//! programs in cages, secrets by reference, log-ins at servers.
//!
//! **Invariant:** no secret leaves this room in an error, a log line or a `Debug` output, and nothing here knows what an
//! action or a policy is.

pub mod broker;
pub mod egress;
pub mod login;
pub mod vault;
