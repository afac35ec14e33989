//! What was proposed, read: an action with its arguments, the code inside of them, and a declared plan.

pub mod action;
pub mod code_arguments;
pub mod plan;
pub mod resource;
