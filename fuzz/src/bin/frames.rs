//! What a host reads of a virtual machine: frames, one after the other, with what they carry.

#![no_main]

#[path = "../../../crates/aecl-sandbox/src/protocol/frame.rs"]
mod frame;
#[path = "../../../crates/aecl-sandbox/src/protocol/wire.rs"]
mod wire;

use frame::{HEADER, Kind, Left, PAYLOAD_MAX};
use libfuzzer_sys::fuzz_target;
use wire::Report;

fuzz_target!(|bytes: &[u8]| {
    let mut rest = bytes;
    while let Some((head, after)) = rest.split_first_chunk::<HEADER>() {
        let Ok((kind, length)) = frame::parse(*head) else { return };
        assert!(length <= PAYLOAD_MAX, "a frame without a limit");
        assert_eq!(frame::header(kind, length), *head, "two forms of one header");
        let Some((payload, next)) = after.split_at_checked(length) else { return };
        match kind {
            Kind::Left => {
                if let Ok(left) = Left::decode(payload) {
                    assert_eq!(left.encode(), payload, "two forms of what was left");
                    // Whatever it says of its size.
                    let _ = left.bytes_follow(left.mode, left.place);
                }
            }
            Kind::Report => {
                if let Ok(report) = Report::decode(payload) {
                    assert_eq!(report.encode(), payload, "two forms of one report");
                }
            }
            Kind::Open | Kind::Data | Kind::Shut | Kind::Taken | Kind::Close => {
                if let Ok((number, rest)) = frame::numbered(payload) {
                    assert_eq!(frame::number(number, rest), payload, "two forms of one number");
                    assert_eq!(frame::count(rest).is_ok(), rest.len() == 8, "a count of another length");
                }
            }
            Kind::Hello
            | Kind::Order
            | Kind::OrderEnd
            | Kind::Input
            | Kind::InputEnd
            | Kind::Stdout
            | Kind::Stderr
            | Kind::Content
            | Kind::Bye => {}
        }
        rest = next;
    }
});
