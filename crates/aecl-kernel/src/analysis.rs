//! What would happen, and what never does: a bundle is loaded with its examples and claims, tried out,
//! proven and looked over. Nothing that decides knows any of it.

pub mod examples;
pub mod lint;
pub mod load;
pub mod outlook;
pub mod prove;
pub mod residual;
mod sample;
pub mod situation;
pub mod trial;
