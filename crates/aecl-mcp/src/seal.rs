//! The state that a client carries between the rounds of one held call, sealed so that it cannot be made
//! up, moved to another call or used for ever.
//!
//! It proves nothing about an approval: the record does. It only counts rounds, and keeps what the server
//! behind had given to the client for its own retry.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Marks our states among those of the servers behind. A state with this mark is never forwarded.
const MARK: &str = "aecl1.";
/// A nonce and when it ends, in milliseconds since the key was made, stand before the sealed text.
const NONCE_BYTES: usize = 24;
const END_BYTES: usize = 8;

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
    let sealer = sealer()?;
    let end = u64::try_from((sealer.since.elapsed() + ttl).as_millis()).ok()?.to_be_bytes();
    let mut nonce = [0u8; NONCE_BYTES];
    getrandom::fill(&mut nonce).ok()?;
    let text = serde_json::to_vec(round).ok()?;
    let sealed = sealer.sealed(&text, &nonce, &end, bound_to)?;
    Some(format!("{MARK}{}", BASE64.encode([&nonce[..], &end, &sealed].concat())))
}

/// Opens, or gives nothing: forged, expired, of another call or of another process.
pub(crate) fn open(state: &str, bound_to: &[u8]) -> Option<Round> {
    let sealer = sealer()?;
    let bytes = BASE64.decode(state.strip_prefix(MARK)?).ok()?;
    let (nonce, rest) = bytes.split_first_chunk::<NONCE_BYTES>()?;
    let (end, sealed) = rest.split_first_chunk::<END_BYTES>()?;
    let text = sealer.opened(sealed, nonce, end, bound_to)?;
    let lives = sealer.since.elapsed().as_millis() < u128::from(u64::from_be_bytes(*end));
    if lives { serde_json::from_slice(&text).ok() } else { None }
}

struct Sealer {
    cipher: XChaCha20Poly1305,
    since: Instant,
}

impl Sealer {
    fn sealed(&self, text: &[u8], nonce: &[u8; NONCE_BYTES], end: &[u8], bound_to: &[u8]) -> Option<Vec<u8>> {
        let aad = &[end, bound_to].concat();
        self.cipher.encrypt(&XNonce::from(*nonce), Payload { msg: text, aad }).ok()
    }

    fn opened(&self, text: &[u8], nonce: &[u8; NONCE_BYTES], end: &[u8], bound_to: &[u8]) -> Option<Vec<u8>> {
        let aad = &[end, bound_to].concat();
        self.cipher.decrypt(&XNonce::from(*nonce), Payload { msg: text, aad }).ok()
    }
}

/// The key lives as long as the process: a state that outlives it only starts counting again.
fn sealer() -> Option<&'static Sealer> {
    static SEALER: OnceLock<Option<Sealer>> = OnceLock::new();
    let make = || {
        let mut key = [0u8; 32];
        getrandom::fill(&mut key).ok()?;
        Some(Sealer { cipher: XChaCha20Poly1305::new(&key.into()), since: Instant::now() })
    };
    SEALER.get_or_init(make).as_ref()
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
        assert!(open("theirs", b"ann|tools/call|1").is_none());
        for at in MARK.len()..sealed.len() {
            let mut forged = sealed.clone();
            forged.replace_range(at..=at, if sealed.as_bytes().get(at) == Some(&b'A') { "B" } else { "A" });
            assert!(open(&forged, b"ann|tools/call|1").is_none(), "{at}");
            assert!(open(&sealed[..at], b"ann|tools/call|1").is_none(), "{at}");
        }
    }

    #[test]
    fn a_state_ends() {
        let round = Round { approval: "apr_1".into(), round: 1, state: None, responses: None };
        let over = seal(&round, b"call", Duration::ZERO).unwrap();
        assert!(open(&over, b"call").is_none());
        let lives = seal(&round, b"call", Duration::from_secs(60)).unwrap();
        assert!(open(&lives, b"call").is_some());
    }
}
