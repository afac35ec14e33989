//! What goes over the wire. These are not kernel types: the kernel can change without changing what clients
//! were promised.

pub mod action;
pub mod approval;
pub mod authzen;
pub mod decision;
pub mod files;
pub mod plan;
pub mod policy;
pub mod run;
pub mod summary;
pub mod undo;
pub mod words;
pub mod worker;

pub use action::*;
pub use approval::*;
pub use authzen::*;
pub use decision::*;
pub use files::*;
pub use plan::*;
pub use policy::*;
pub use run::*;
pub use undo::*;
pub use words::*;
pub use worker::*;

use serde::Serialize;
use serde_json::value::RawValue;

/// A target's or an agent's JSON, byte for byte; a text if it is no JSON.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum Verbatim {
    /// JSON, as it came.
    Json(Box<RawValue>),
    /// What is no JSON.
    Text(String),
}

impl Verbatim {
    /// These bytes.
    pub fn of(bytes: &[u8]) -> Self {
        match serde_json::from_slice::<Box<RawValue>>(bytes) {
            Ok(json) => Self::Json(json),
            Err(_) => Self::Text(String::from_utf8_lossy(bytes).into_owned()),
        }
    }
}
