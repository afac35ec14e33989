//! What comes back from somebody who was given a secret: nothing of it stays in a text that was scrubbed, however it is
//! spelled there, and what was JSON still is.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use std::borrow::Cow;
use vault::Secret;
use vault::spelling::{Spelled, without};

// The search is compiled in from its file: the crate around it links TLS.
#[allow(dead_code, reason = "the room itself needs more of them")]
#[path = "../../../crates/aecl-egress/src/vault"]
mod vault {
    pub mod secret;
    pub mod spelling;

    pub use secret::Secret;
}

/// One that is plain, one that each writing writes in another way, and one that overlaps with itself.
const VALUES: [&str; 3] = ["token-4711-abc", "k\"4<7+/~%\u{e9}&\\", "abababababab"];

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    for value in VALUES {
        let spelled = Spelled::of(&Secret::new(value.to_owned()));
        let secrets = [("s", &spelled)];
        let clean = without(text, &secrets, false);
        assert!(!clean.contains(value), "it is still there: {clean}");
        let again = without(&clean, &secrets, false);
        assert!(matches!(again, Cow::Borrowed(_)), "a spelling was left: {clean}");
        if serde_json::from_str::<Value>(text).is_ok() {
            assert!(serde_json::from_str::<Value>(&clean).is_ok(), "no JSON any more: {clean}");
        }
        let cut = without(text, &secrets, true);
        assert!(cut.len() <= clean.len(), "more is left of a text that goes on");
        assert!(clean.starts_with(&*cut), "a text that goes on is another one");
    }
});
