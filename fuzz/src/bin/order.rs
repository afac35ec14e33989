//! What the launcher reads first: its order, from whoever started it. Any bytes are refused or mean one thing.

#![no_main]

#[path = "../../../crates/aecl-sandbox/src/protocol/wire.rs"]
mod wire;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(order) = wire::Order::decode(bytes) {
        assert_eq!(order.encode(), bytes, "two forms of one order");
    }
});
