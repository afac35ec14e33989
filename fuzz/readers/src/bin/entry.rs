//! Entries of a ledger: what is read is written as it is read.

#![no_main]

use aecl_kernel::record::event::Entry;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(entry) = serde_json::from_slice::<Entry>(bytes) else { return };
    let written = serde_json::to_vec(&entry).expect("an entry is written");
    let again: Entry = serde_json::from_slice(&written).expect("what we have written is an entry");
    assert_eq!(again, entry, "one entry, two readings");
    let rewritten = serde_json::to_vec(&again).expect("an entry is written");
    assert_eq!(written, rewritten, "two forms of one entry");
});
