//! What a request says in `_meta`, beside its own parameters.

use super::wire::{INVALID_PARAMS, Members, Refusal, members_of};
use serde_json::value::RawValue;

/// Where the stateless revision says who asks.
pub(super) const PREFIX: &str = "io.modelcontextprotocol/";

/// A member that the stateless revision puts into `_meta`.
pub(super) fn stated<'a>(meta: &'a Members, name: &str) -> Option<&'a RawValue> {
    meta.get(&format!("{PREFIX}{name}"))
}

/// Says in `_meta` what the client can do.
pub(super) fn state_capabilities(meta: &mut Members, capabilities: Box<RawValue>) {
    meta.set(&format!("{PREFIX}clientCapabilities"), capabilities);
}

/// The `_meta` of a request; empty if there is none.
pub(super) fn meta_of(params: Option<&RawValue>) -> Result<Members, Refusal> {
    let garbled = |why: String| Refusal::new(INVALID_PARAMS, why);
    let params = members_of(params).map_err(garbled)?;
    members_of(params.get("_meta")).map_err(|why| Refusal::new(INVALID_PARAMS, format!("`_meta`: {why}")))
}
