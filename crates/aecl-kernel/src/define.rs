//! What people wrote: the catalogue of actions, the manifests of agents, and the words that both use.

pub mod catalogue;
pub mod compensation;
pub mod connector;
pub mod isolation;
pub mod manifest;
pub mod person;
pub mod resource;
pub mod risk;
