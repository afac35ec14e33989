//! What the supervisor reads of a launcher: one report, and a file of them that a cage has had in its hands.

#![no_main]

#[path = "../../../crates/aecl-sandbox/src/protocol/wire.rs"]
mod wire;

use libfuzzer_sys::fuzz_target;
use wire::Report;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(report) = Report::decode(bytes) {
        assert_eq!(report.encode(), bytes, "two forms of one report");
    }
    let records: Vec<u8> = Report::records(bytes).iter().flat_map(Report::record).collect();
    assert!(bytes.starts_with(&records), "reports that are not in the file");
});
