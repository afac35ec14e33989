//! What everybody names and what knows nobody: ids, bytes, digests, amounts, time, codes.

pub mod amount;
pub mod code;
pub mod digest;
pub mod evidence;
pub mod id;
pub mod json;
pub mod principal;
pub(crate) mod text;
pub mod time;
pub mod traffic;
