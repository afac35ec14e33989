//! What a target answers is handed on as it came. Brackets by the thousand in it end the process of whoever reads them by
//! calling itself, so what nests deeper than readers take is withheld, and its digest says what it was.

use aecl_kernel::base::digest::Digest;
use aecl_kernel::base::json::{READABLE_DEPTH, is_too_deep};
use serde_json::value::RawValue;

/// Why this answer is withheld, if it is.
pub(crate) fn why_withheld(json: &[u8]) -> Option<String> {
    is_too_deep(json).then(|| {
        let (bytes, digest) = (json.len(), Digest::of(json).hex());
        format!(
            "the answer of {bytes} bytes nests deeper than {READABLE_DEPTH} brackets and was withheld; its SHA-256 is {digest}"
        )
    })
}

/// The output, or, where it is JSON that nests too deep, why it is not here.
pub(crate) fn withhold(output: Vec<u8>) -> Vec<u8> {
    // A text that is no JSON may have all the brackets it likes.
    match why_withheld(&output).filter(|_| serde_json::from_slice::<&RawValue>(&output).is_ok()) {
        Some(why) => serde_json::json!({ "withheld": why }).to_string().into_bytes(),
        None => output,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_that_nests_too_deep_is_withheld_and_named_by_its_digest() {
        let nested = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels)).into_bytes();
        for kept in [
            nested(READABLE_DEPTH),
            format!("{{\"a\":\"{}\"}}", "[\\\"[".repeat(5_000)).into_bytes(),
            format!("[{}[]]", "[[]],".repeat(5_000)).into_bytes(),
            "no JSON: ".bytes().chain(nested(500_000)).collect(),
            "[".repeat(500_000).into_bytes(),
        ] {
            assert!(withhold(kept.clone()) == kept, "{}", String::from_utf8_lossy(&kept[..40]));
        }
        for deep in [
            nested(READABLE_DEPTH + 1),
            nested(500_000),
            format!("{}1{}", "{\"a\":".repeat(500_000), "}".repeat(500_000)).into_bytes(),
            format!("{{\"a\":\"\\\"\",\"b\":{}{}}}", "[".repeat(200), "]".repeat(200)).into_bytes(),
        ] {
            let told = String::from_utf8(withhold(deep.clone())).unwrap();
            assert!(told.len() < 300 && told.contains(&Digest::of(&deep).hex()), "{told}");
        }
    }
}
