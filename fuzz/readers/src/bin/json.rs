//! The JSON gate: what passes has one meaning, its canonical bytes mean the same, and another reader agrees.

#![no_main]

use aecl_kernel::base::json::{Document, Limits, write_canonical};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|bytes: &[u8]| {
    let Ok(read) = Document::parse(bytes, &Limits::default()) else { return };
    let again = Document::parse(read.canonical(), &Limits::default());
    let again = again.unwrap_or_else(|error| panic!("the canonical bytes are refused: {error}"));
    assert_eq!(again.canonical(), read.canonical(), "canonical bytes that are not");
    assert_eq!(again.value(), read.value(), "one text, two values");
    let theirs: Value = serde_json::from_slice(bytes).expect("what passes the gate is JSON to anybody");
    let mut canonical = Vec::new();
    write_canonical(&theirs, &mut canonical);
    assert_eq!(canonical, **read.canonical(), "another reader sees something else");
    let built = Document::from_value(theirs).expect("a value that was read is a document");
    assert_eq!(built, read, "a value and its text are two documents");
});
