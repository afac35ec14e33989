//! The state that a client carries between the rounds of one held call, sealed so that it cannot be made
//! up, moved to another call or used for ever.
//!
//! It proves nothing about an approval: the record does. It only counts rounds, and keeps what the server
//! behind had given to the client for its own retry.

use rmcp::model::{RequestStateCodec, SealOptions};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::sync::OnceLock;
use std::time::Duration;

/// Marks our states among those of the servers behind. A state with this mark is never forwarded.
const MARK: &str = "aecl1.";

/// What we remember.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Round {
    /// The request for approval that was shown.
    #[serde(rename = "a")]
    pub approval: String,
    /// How often it was shown.
    #[serde(rename = "n")]
    pub round: u32,
    /// The `requestState` of the server behind with which this call came first.
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    pub state: Option<Box<RawValue>>,
    /// The `inputResponses` that came with it.
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    pub responses: Option<Box<RawValue>>,
}

/// Whether a `requestState` is one of ours, as far as the mark says.
pub(crate) fn is_ours(state: &str) -> bool {
    state.starts_with(MARK)
}

/// Seals for the call with these bound parts.
pub(crate) fn seal(round: &Round, bound_to: &[u8], ttl: Duration) -> Option<String> {
    let options = SealOptions::new().associated_data(bound_to).ttl(ttl);
    let sealed = codec()?.seal_json_with(round, &options).ok()?;
    Some(format!("{MARK}{sealed}"))
}

/// Opens, or gives nothing: forged, expired, of another call or of another process.
pub(crate) fn open(state: &str, bound_to: &[u8]) -> Option<Round> {
    codec()?.open_json_with(state.strip_prefix(MARK)?, bound_to).ok()
}

/// The key lives as long as the process: a state that outlives it only starts counting again.
fn codec() -> Option<&'static RequestStateCodec> {
    static CODEC: OnceLock<Option<RequestStateCodec>> = OnceLock::new();
    let make = || {
        let mut key = vec![0u8; 32];
        getrandom::fill(&mut key).ok()?;
        RequestStateCodec::try_new(key).ok()
    };
    CODEC.get_or_init(make).as_ref()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_state_is_for_one_call() {
        let state = RawValue::from_string(r#""theirs""#.into()).unwrap();
        let round = Round { approval: "apr_1".into(), round: 2, state: Some(state), responses: None };
        let sealed = seal(&round, b"ann|tools/call|1", Duration::from_secs(60)).unwrap();
        assert!(is_ours(&sealed));
        let opened = open(&sealed, b"ann|tools/call|1").unwrap();
        assert_eq!((opened.approval.as_str(), opened.round), ("apr_1", 2));
        assert_eq!(opened.state.unwrap().get(), r#""theirs""#);
        assert!(open(&sealed, b"bob|tools/call|1").is_none());
        assert!(open(&sealed.replace("aecl1.rs1", "aecl1.rs2"), b"ann|tools/call|1").is_none());
        assert!(open("theirs", b"ann|tools/call|1").is_none());
        let mut forged = sealed.clone();
        forged.replace_range(20..21, if sealed.as_bytes().get(20) == Some(&b'A') { "B" } else { "A" });
        assert!(open(&forged, b"ann|tools/call|1").is_none());
    }
}
