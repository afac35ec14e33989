//! The walk's faults: each step fails, is repeated, is interrupted, or never answers. Nothing may happen
//! twice, nothing may happen unrecorded.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests stop at the first surprise"
)]

mod cages;
mod completes;
mod crash;
mod credentials;
mod facts;
mod house;
mod judges;
mod modes;
mod own_house;
mod people;
mod permits;
mod plans;
mod policy;
mod proposed;
mod provenance;
mod resources;
mod runs;
mod steps;
mod time;
mod undo;
mod votes;
mod withdrawn;
