//! The world of the demo: a payments service, a company with mail, and an agent that is a script. All of it is real but
//! the agent, and none of it is needed for anything else.

pub mod agent;
mod door;
mod error;
pub mod payments;
mod service;
mod world;

pub use door::Door;
pub use error::Error;
pub use service::Service;
pub use world::{Mail, World};
